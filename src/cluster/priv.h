/* cluster: what its files share. */
#ifndef TWINHUB_CLUSTER_PRIV_H
#define TWINHUB_CLUSTER_PRIV_H

#include "cluster/cluster.h"

#define NEVER INT64_MAX

enum phase { PHASE_START, PHASE_RUN, PHASE_ENDED };

struct link {
	bool open, busy;
	unsigned host;   /* to dial next */
	int64_t dial_us; /* not before */
	struct cluster_do asked;
};

/* What is known of another node: index as in the view. */
struct peer {
	/* this (generation, beat) was received first, on the connection that is */
	int64_t since_us;
	unsigned heard;     /* own beats since then */
	int64_t lives_us;   /* this generation was seen first */
	int64_t revoked_us; /* as revoked */
};

enum hold { HOLD_NONE, HOLD_TAKING, HOLD_LOADING, HOLD_OWNED, HOLD_LEAVING, HOLD_GIVING };

struct held {
	enum hold hold;
	int64_t epoch, pos; /* the newest that the database has said; it never goes back */
	int64_t orphan_us;  /* nobody's since, NEVER: it is somebody's */
	int64_t late;       /* takings of which nothing was heard: they may be done yet */
	int64_t again_us;   /* after a loading that has failed: not before */
	int64_t at;
	bool tried; /* since the last view */
};

/* A version of what is hub-wide, and the newest beat that named it. */
struct version {
	int64_t common, sent_us; /* common 0: none */
};

struct cluster {
	struct cluster_options o;
	char node[CLUSTER_ID_MAX + 1];
	enum phase phase;
	int64_t now_us;
	struct cluster_outputs *out;
	struct link links[CLUSTER_CONNS];
	/* start.c */
	struct {
		int64_t generation, beat, since_us, look_us;
		unsigned heard;
		bool watched; /* there is one of another directory */
	} start;
	int64_t generation;
	/* beat.c */
	int64_t beat, beat_us, sent_us;
	bool hurry;                    /* a beat besides those that are due is wanted */
	bool extra;                    /* the last one is such: nobody's silence is counted by it */
	int64_t named, least, seen_us; /* as cluster_spread has them; least: of others */
	struct cluster_row sent[CLUSTER_SHARDS_MAX]; /* what was known then */
	struct cluster_lease lease;
	int64_t in_force;
	struct version applying, next;
	bool takes, durable, durable_said;
	/* as of the last beat */
	bool viewed, fresh; /* fresh: the next view is the first one of its connection */
	struct cluster_view view;
	struct peer peers[CLUSTER_NODES_MAX];
	int place[CLUSTER_SHARDS_MAX];
	/* work.c */
	struct held shards[CLUSTER_SHARDS_MAX];
	struct {
		char node[CLUSTER_ID_MAX + 1]; /* empty: none */
		int64_t generation;
	} kill;
	struct {
		char node[CLUSTER_ID_MAX + 1];
		int64_t generation;
		/* the last one that was given, and by which epoch: until it is taken, or for so long, no other one leaves */
		unsigned shard;
		int64_t epoch, until_us; /* until_us INT64_MIN: none */
	} give;
	/* outcome.c */
	struct {
		bool on, killed, fenced, made, undone;
		uint64_t shards;
		unsigned at;
		int64_t again_us;
	} unknown;
};

/* step.c */
struct cluster_do *do_put(struct cluster *c, enum cluster_do_what what);
/* The question is put out, to be filled in, and remembered when the step is over. */
struct cluster_do *do_ask(struct cluster *c, enum cluster_conn conn, enum cluster_question q);
/* Dial unless it is open or not yet time. true: it is open and nothing is under way there. */
bool link_ready(struct cluster *c, enum cluster_conn conn);
void __attribute__((format(printf, 2, 3))) do_say(struct cluster *c, const char *fmt, ...);
void __attribute__((format(printf, 3, 4)))
do_end(struct cluster *c, enum cluster_end code, const char *fmt, ...);

/* start.c */
void start_next(struct cluster *c);
void start_answered(struct cluster *c, const struct cluster_do *q, const struct cluster_input *in);
int64_t start_wake(const struct cluster *c);

/* beat.c */
void beat_next(struct cluster *c);
void beat_answered(struct cluster *c, const struct cluster_input *in);
void beat_in_force(struct cluster *c);
void beat_hurry(struct cluster *c);
void clock_judge(struct cluster *c, const struct cluster_input *in);
int64_t beat_wake(const struct cluster *c);

/* view.c: what a beat has brought, looked at */
void view_take(struct cluster *c, const struct cluster_view *v);
int me_in(const struct cluster_view *v, const char *id);
bool row_is_mine(const struct cluster *c, unsigned shard);
/* Its owner's incarnation lives as far as is known. */
bool row_has_owner(const struct cluster *c, unsigned shard);
/* The database says less than what it had said before it was asked: the end. */
bool goes_back(
    struct cluster *c, unsigned shard, struct cluster_row was, int64_t epoch, int64_t pos);

/* work.c */
void work_next(struct cluster *c);
void work_answered(struct cluster *c, const struct cluster_do *q, const struct cluster_input *in);
void work_loaded(struct cluster *c, unsigned shard);
void work_not_loaded(struct cluster *c, unsigned shard, bool full);
void work_detached(struct cluster *c, unsigned shard);
int64_t work_wake(const struct cluster *c);

/* outcome.c */
void outcome_begin(struct cluster *c, uint64_t shards, bool fenced);
void outcome_next(struct cluster *c);
int64_t outcome_wake(const struct cluster *c);
void outcome_answered(
    struct cluster *c, const struct cluster_do *q, const struct cluster_input *in);

static inline int64_t
sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline void
id_copy(char to[CLUSTER_ID_MAX + 1], const char *id)
{
	size_t n = strlen(id);

	assert(n <= CLUSTER_ID_MAX);
	memcpy(to, id, n + 1);
}

#endif
