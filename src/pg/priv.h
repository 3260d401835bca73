/* pg: what its files share. */
#ifndef TWINHUB_PG_PRIV_H
#define TWINHUB_PG_PRIV_H

#include <libpq-fe.h>
#include <stdatomic.h>

#include "cluster/cluster.h"
#include "os/clock.h"
#include "os/os.h"
#include "os/thread.h"
#include "pg/move.h"
#include "pg/pg.h"
#include "store/face.h"
#include "store/pack.h"

/* 1: epochs were small numbers; 2: no secrets; 3: th_begin knew no address; 4: th_beat brought no identities */
#define PG_SCHEMA      5
#define PG_JOIN_MAX    ((size_t)16 * 1024 * 1024) /* bytes of batches in one call, the first aside */
#define PG_PATIENCE_US INT64_C(10000000)          /* for what is not on the way of a commit */
#define PG_RETRY_US    INT64_C(500000)            /* between attempts to reach a server */
#define PG_READERS     2u                         /* connections that read the log */
#define PG_PAGE        64                         /* rows of the log that one question brings */
#define PG_START_US    INT64_C(30000000)          /* for the node to begin */
#define PG_OTHERS_US   INT64_C(2500000)           /* in which a node that lives has beaten */
#define PG_READ_US     INT64_C(20000000)          /* for rows of the log and of others' shards */
#define CONN_NAME_MAX  64u
#define PG_LEAVE_US    INT64_C(1000000) /* for the word that this node goes */
#define PG_URL_MAX     4096

/* ---- conn.c: one connection, its time, its words ---- */

struct conn {
	PGconn *pg;  /* NULL: there is none */
	bool warned; /* a WARNING came since the last question */
};

/* host: which one of the list of servers to begin with. purpose: commit, load: a part of application_name. ERR_IO with libpq's words. */
enum err conn_open(struct conn *c, const struct pg_options *o, unsigned host, uint64_t generation,
    const char *purpose, struct fault *f);
unsigned conn_hosts(const struct pg_options *o); /* how many there are: at least 1 */
void conn_close(struct conn *c);                 /* fine when closed */
/*
 * Ask, and wait until until_us (clock_mono_us; INT64_MAX: as long as it takes). *out: what came, to be given back by PQclear; NULL: nothing came in
 * time or the connection is lost, and is closed. Parameters and results are binary.
 */
struct param {
	Oid type;
	struct str value;
	bool null;
};
enum err conn_ask(struct conn *c, const char *sql, unsigned n, const struct param *v,
    int64_t until_us, PGresult **out, struct fault *f);
/* The same where only success counts. ERR_ARG: the server has refused it, f says what. */
enum err conn_do(
    struct conn *c, const char *sql, unsigned n, const struct param *v, struct fault *f);
/* What the server said, on one line. */
void conn_fault(const struct conn *c, const PGresult *r, struct fault *f);
/* Has the server refused with this SQLSTATE? */
bool result_is(const PGresult *r, const char *sqlstate);
/* A field of the first row or of another one; binary numbers. */
struct str field(const PGresult *r, int row, int column);
int64_t field_int8(const PGresult *r, int row, int column);

/* ---- array.c: arrays and numbers as PostgreSQL has them in binary ---- */

enum pg_type {
	PG_BOOL = 16,
	PG_BYTEA = 17,
	PG_INT8 = 20,
	PG_INT2 = 21,
	PG_INT4 = 23,
	PG_TEXT = 25
};
enum pg_array { PG_BYTEAS = 1001, PG_INT2S = 1005, PG_INT4S = 1007, PG_INT8S = 1016 };

struct array {
	enum pg_type of;
	uint32_t n;
	bool nulls;
	struct buf bytes; /* with room for its head */
};
void array_begin(struct array *a, enum pg_type of); /* keeps its memory */
void array_bytes(struct array *a, struct str value);
void array_null(struct array *a);
void array_int(struct array *a, int64_t value); /* of the array's type */
/* Its head is written; borrowed until array_begin. */
struct str array_view(struct array *a);
void array_fini(struct array *a);
void be_put(char *to, uint64_t value, unsigned n);
uint64_t be_get(struct str s);

/* ---- the store ---- */

/* The two tables of the log. */
enum family { FAMILY_LOG, FAMILY_CHANGES, FAMILIES };

/* Batches that have one transaction, or that wait for one. */
struct waiting {
	struct store_batch *batch; /* NULL: none */
	uint64_t cookie;
};

struct pg_lane {
	struct waiting queue[STORE_LANE_INFLIGHT];
	unsigned head, queued, inflight;
	bool poisoned;         /* until store_resume */
	struct waiting flying; /* in the call that is under way */
};

struct call; /* commit.c */

/* drive.c; all but what is atomic under mu */
struct drive {
	pthread_mutex_t mu;
	pthread_cond_t wake;
	struct cluster *cluster;
	struct cluster_outputs out;
	int64_t wake_us;
	struct {
		bool on;
		struct cluster_do ask;
	} jobs[CLUSTER_CONNS];
	struct conn conns[CLUSTER_COMMIT]; /* each its thread's */
	struct thread threads[3];
	struct cluster_do loads[PG_SHARDS]; /* of what CLUSTER_LOAD: to be done */
	unsigned nload;
	bool resolved, made, stirs;
	bool starts, stop, ended;
	/* what is to be told: shards, a bit each, the version of what is hub-wide (0: none), a line */
	struct {
		uint64_t attach, detach;
		int64_t apply;
		bool news;
	} due;
	pthread_mutex_t
	    telling; /* who tells has it, and takes mu within: so what comes later is told later */
	struct cluster_do said;
	struct fault why;
	char *dir, *address; /* address NULL: none */
	bool has_print;
	uint8_t print[PG_PRINT];
	_Atomic int64_t until_us;
	_Atomic uint64_t run;
};

/* figures.c */
struct pg_counts {
	_Atomic uint64_t beats, beat_failures, loads, load_us, unknown, unknown_made;
	_Atomic unsigned nodes, shards, orphans;
	_Atomic bool synchronous;
	_Atomic int64_t clock_ahead_us;
	_Atomic int lost;
};

struct pg {
	struct store face;
	struct pg_counts counts;
	struct pg *self; /* the scratch has a pointer to it */
	struct pg_options o;
	struct store *scratch;
	_Atomic uint64_t generation; /* of the node */
	struct drive drive;
	struct store_epoch taken[PG_SHARDS]; /* as they were when they were taken */
	_Atomic uint64_t held;               /* those that are read and this node's, a bit each */
	_Atomic int64_t epochs[PG_SHARDS];   /* the newest that this node knows of, whoever's */
	uint64_t filled; /* the loader's: the scratch has had something of them, a bit each */
	/* where the newest row of before it was taken begins, -1: there was none. What is behind it is in the scratch */
	_Atomic int64_t older[FAMILIES][PG_SHARDS];
	struct conn commit; /* the committer's */
	struct call *call;
	pthread_mutex_t mu;
	pthread_cond_t more;
	struct thread committer;
	bool stop;
	unsigned nlane;
	struct pg_lane lanes[STORE_LANES_MAX];
	_Atomic enum store_state state;
	struct fault why; /* under mu */
	_Atomic uint64_t commits, commit_bytes, commit_failures;
	uint16_t slot;
	/* one fill of the scratch at a time, in a lane of its own behind the others */
	struct {
		bool done;
		enum store_result result;
		pthread_cond_t heard;
	} filling; /* under mu */
	struct {
		struct thread thread;
		pthread_cond_t wake;
		bool due;
		struct store_retention keep;
	} upkeep; /* under mu */
	struct {
		pthread_mutex_t mu;
		pthread_cond_t free;
		bool used[PG_READERS];
		atomic_bool
		    stale[PG_READERS];     /* its server knows too little: another one is dialled */
		unsigned host[PG_READERS]; /* to begin with when it is opened next */
		struct conn conn[PG_READERS];
	} readers;
};

static inline struct pg *
pg_of(const struct store *face)
{
	return (struct pg *)face;
}

/* schema.c */
/* An older one, or none, becomes this program's, in one transaction; with the hub of this id where there is none, NULL: without one. A newer one is left
 * as it is: ERR_ARG. */
enum err schema_raise(struct conn *c, const char *hub, struct fault *f);
/* id: out, the hub's; NULL: it must be o->hub */
enum err schema_ready(
    struct conn *c, const struct pg_options *o, char id[PG_ID_MAX], struct fault *f);

/* calls.c */
extern const char schema_calls[];
/* The lowest number, n, that no node has: below CLUSTER_NODES_MAX; NULL: all are taken. */
#define FREE_SLOT                                                                                  \
	"SELECT min(g) AS n FROM generate_series(0, 63) g WHERE NOT EXISTS (SELECT 1 FROM node x " \
	"WHERE x.slot = g)"
static_assert(CLUSTER_NODES_MAX == 64, "FREE_SLOT");

/* secret.c */
extern const char schema_secrets[];

/* common.c */
bool common_key(struct str key); /* of a record of shard 0 that each node has in force */
/* copy.c: rows by COPY in binary */
#define COPY_FIELDS_MAX 4u
/* false: enough, f says why. */
typedef enum err copy_row(void *ctx, const struct str *field, struct fault *f);
enum err copy_out(
    struct conn *c, const char *sql, unsigned nfield, copy_row *row, void *ctx, struct fault *f);
enum err copy_in_begin(struct conn *c, const char *sql, struct buf *rows, struct fault *f);
void copy_field(struct buf *rows, struct str value);
void copy_number(struct buf *rows, uint64_t value, unsigned nbyte);
void copy_fields(struct buf *rows, unsigned n); /* a row begins */
/* What has been gathered, if it is much or all is to go. */
enum err copy_in_send(struct conn *c, struct buf *rows, bool all, struct fault *f);
enum err copy_in_end(struct conn *c, struct buf *rows, struct fault *f);

/* move.c */
extern const char schema_moves[];
/* Which hub it is; ERR_NOT_FOUND: there is none, ERR_VERSION. */
enum err hub_get(struct conn *c, char id[PG_ID_MAX], struct fault *f);
/* ERR_LOCKED: a node does. Takes up to 2.5 s. */
enum err nobody_beats(struct conn *c, struct fault *f);

/* figures.c: a beat has been answered, view as it brought it; a shard was read; a commit of unknown outcome was found out */
void figures_beat(struct pg *p, const struct cluster_input *in, const struct pg_view *view);
void figures_load(struct pg *p, int64_t took_us);
void figures_unknown(struct pg *p, bool made);

/* operate.c */
extern const char schema_operate[];
/* What this node is: the version of its program, the level that it knows. */
enum err info_write(struct pg *p, struct conn *c, struct fault *f);
/* For who operates the hub, until it is accepted; as far as the server can be reached. */
void lost_note(struct pg *p, const char *text);

/* view.c: what a beat brings */
struct beat_view {
	struct cluster_view cluster;
	struct pg_view shown;
};
bool node_state_of(struct str word, enum cluster_state *out);
/* false: the tables are none of this program's. */
bool view_read(struct str nodes, struct str shards, struct beat_view *b);
/* What depends on who looks. */
void view_show(struct beat_view *b, const char *me, int64_t common);

/* ask.c: ask it on this connection; view: for a beat's. f: the last that did not go well */
void pg_asks(struct pg *p, struct conn *c, const struct cluster_do *d, struct cluster_input *in,
    struct beat_view *view, struct fault *f);
void conn_name(char out[CONN_NAME_MAX], const char *node, uint64_t generation, const char *purpose);

/* drive.c */
/* What it needs of the options, before they go; then the node begins. ERR_LOCKED, ERR_IO. drive_stop in any case. */
void drive_init(struct pg *p);
enum err drive_start(struct pg *p, struct fault *f);
void drive_stop(struct pg *p);
/* Last of all: nobody has to wait for its silence. */
void drive_fini(struct pg *p);
/* The last that has not gone well; its text may be empty. */
void drive_why(struct drive *d, struct fault *f);
void drive_step(struct pg *p, const struct cluster_input *in);
uint64_t drive_lease(struct drive *d); /* as cluster_holds */
struct cluster_spread drive_spread(struct pg *p);
bool drive_fence(struct pg *p, uint32_t shard, int64_t *epoch, int64_t *pos);
/* After CLUSTER_FENCED or CLUSTER_UNKNOWN: whether it is known by then what became of the commit, and the connection works. */
bool drive_resolve(struct pg *p, int64_t for_us, bool *made, struct fault *f);

/* take.c: what shards hold, read into the scratch */
enum err others_are_dead(struct pg *p, struct conn *c, struct fault *f);
/* A row of its own for this node, which is nobody's until it begins; its slot. */
enum err node_slot_take(struct pg *p, struct conn *c, struct fault *f);
enum err shard_read(struct pg *p, struct conn *c, const struct cluster_do *load, struct fault *f);
/* The scratch's index of what belongs to no identity (take.c), kept with each batch. */
void hub_keys_note(struct store_batch *b);

/* upkeep.c: partitions of the log, made before they are needed, dropped when nobody is to have them any more */
enum err upkeep_start(struct pg *p, struct fault *f);
void upkeep_stop(struct pg *p);
void upkeep_due(struct pg *p); /* a turn of it, now */
void pg_retain(struct store *face, const struct store_retention *r);

/* commit.c */
enum err committer_start(struct pg *p, struct fault *f);
void committer_stop(struct pg *p);
void scratch_done(void *ctx, unsigned lane, uint64_t cookie, enum store_result result);
void pg_submit(struct store *face, unsigned lane, struct store_batch *b, uint64_t cookie);
void pg_resume(struct store *face, unsigned lane);
struct store_batch *pg_batch_next(struct store *face, unsigned lane);

/* foreign.c: records of others' shards. Is it one? Cursors as store_cursors_open; read in step */
bool is_foreign(const struct pg *p, enum store_table t, struct str key);
enum err foreign_get(struct pg *p, enum store_table t, struct str key, struct buf *out);
void foreign_cursors(struct pg *p, const enum store_table *tables, unsigned n, struct str from,
    struct str to, struct store_cursor **out);

/* log.c: the two tables of the log */
enum err log_get(struct pg *p, enum store_table t, struct str key, struct buf *out);
enum err log_cursor_open(
    struct pg *p, enum store_table t, struct str from, struct str to, struct store_cursor **out);
enum err log_next(struct store_cursor *c, struct str *key, struct str *value);
void log_cursor_close(struct store_cursor *c);
/* One question on one of the connections that read; *out only with ERR_OK. */
enum err read_rows(struct pg *p, const char *sql, unsigned n, const struct param *v, int64_t for_us,
    PGresult **out);
/* Whoever has answered did not know the newest epoch. */
void readers_stale(struct pg *p);
void readers_init(struct pg *p);
void readers_fini(struct pg *p);

#endif
