/* cli/cluster: what the commands of a hub of several nodes share (docs/spec/operate.md, O-283 to O-296). */
#ifndef TWINHUB_CLI_CLUSTER_H
#define TWINHUB_CLI_CLUSTER_H

#include "cli/priv.h"
#include "pg/move.h"
#include "store/store.h"

/* ---- the database ---- */

/* --db, or TWINHUB_CLUSTER: url of o. EXIT_USAGE, said. */
int db_named(const struct args *a, struct pg_options *o);
/* The code for what pg says, said with its line; what: in front, may be "". */
int db_fail(enum err e, const struct fault *f);

/* ---- rows ---- */

/* Whose is a stored row, by its key (docs/architecture.md, "Stored formats")? false: it is none that this program knows. */
bool row_shard(enum store_table table, struct str key, uint32_t *shard);

/* How far it has got: a line each few seconds on a terminal. */
struct carried {
	uint64_t rows, bytes;
	int64_t said_us;
};
void carried_row(struct carried *c, size_t bytes);

/* All of a directory's store. w: its epochs, times and log_from_us are filled, as of now_us; before pg_move_in. */
enum err carry_survey(struct store *store, struct pg_whole *w, struct fault *f);
/* Its rows, into m; times of w->shards grow with what is met. */
enum err carry_in(struct store *store, struct pg_whole *w, struct pg_mover *m, struct carried *c,
    struct fault *f);
/* All of a database's hub, into a directory that is not there yet. w is filled. As pg_move_out. */
enum err carry_out(const struct pg_options *o, const char *dir, struct pg_whole *w,
    struct carried *told, struct fault *f);

#endif
