/*
 * pg/move: a hub goes into a database as a whole, and comes out of one as it was at one moment. Rows of six tables are as in every store
 * (docs/architecture.md, "Stored formats"); the two of the log come and go as rows of store/pack.h.
 *
 * In: one transaction, so the database has all of the hub or nothing of it, whatever dies.
 * Out: one REPEATABLE READ transaction, while no node lives.
 */
#ifndef TWINHUB_PG_MOVE_H
#define TWINHUB_PG_MOVE_H

#include "pg/pg.h"

#define PG_SHARDS      64u
#define PG_SECRETS     3u /* policies, ca, tickets */
#define PG_SECRET_NAME 16u
#define PG_MOVE_PARTS  32u /* partitions of each table of the log that is brought */

struct pg_row {
	uint32_t shard;
	enum store_table table;
	struct str key, value; /* borrowed */
	int64_t at_us;         /* in, of the log: when the newest record in it was written */
};

struct pg_whole {
	char id[PG_ID_MAX];
	/* In: of this bringing, so that one who does not know what became of it learns it when it is tried again. */
	char token[PG_ID_MAX];
	/* In, at pg_move_end: the least epoch that the next owner has. */
	struct store_epoch shards[PG_SHARDS];
	struct {
		char name[PG_SECRET_NAME];
		struct buf value;
	} secrets[PG_SECRETS];
	unsigned nsecret;
	int64_t log_from_us, now_us; /* in: of the log's rows; equal: there are none */
};
void pg_whole_fini(struct pg_whole *w); /* wipes the secrets */

struct pg_mover;
/*
 * The schema is made, the transaction begun. of o, url and node count, and must outlive it. *done: the same token is there already, and nothing
 * more is to be done: *out is NULL. ERR_EXISTS: the database has another hub, or something of one; ERR_IO, ERR_ARG: what the server says.
 */
enum err pg_move_in(const struct pg_options *o, const struct pg_whole *w, struct pg_mover **out,
    bool *done, struct fault *f);
/* Rows of one table after those of another: no table comes twice. After an error only pg_move_drop. */
enum err pg_move_row(struct pg_mover *m, const struct pg_row *row, struct fault *f);
/* In any case m is gone. ERR_UNSYNCED: nobody knows whether it is there; else an error means that it is not. */
enum err pg_move_end(struct pg_mover *m, const struct pg_whole *w, struct fault *f);
void pg_move_drop(struct pg_mover *m); /* nothing of it is there; NULL is fine */

/* The server and the database of a URL, without its password: for people. */
void pg_url_place(const char *url, char *out, size_t room);
/* Which hub has this database? It is not made. ERR_NOT_FOUND: none. */
enum err pg_hub_id(const struct pg_options *o, char id[PG_ID_MAX], struct fault *f);

/*
 * Out: w is filled before the first row comes. Rows of the log in the order of time, others in any. An error of take ends it.
 * ERR_LOCKED: a node lives; ERR_NOT_FOUND: no hub is there; ERR_VERSION: of a newer schema; ERR_CORRUPT, ERR_IO.
 */
typedef enum err pg_row_take(void *ctx, const struct pg_row *row, struct fault *f);
enum err pg_move_out(
    const struct pg_options *o, struct pg_whole *w, pg_row_take *take, void *ctx, struct fault *f);

#endif
