/* worker: what live.c and watches.c share. */
#ifndef TWINHUB_WORKER_WATCHES_H
#define TWINHUB_WORKER_WATCHES_H

#include "event/position.h"
#include "watch/index.h"
#include "watch/shown.h"
#include "worker/live.h"
#include "worker/priv.h"

/* What a worker does for one watch. Its own. */
struct watching {
	struct live *live;
	struct watch *watch; /* a reference */
	uint32_t refs;       /* the worker's, and one of each that is to be told */
	/* its condition may take long: until it has been asked it is taken for such a one */
	bool costly;
	bool slow;                /* it has taken long */
	bool over;                /* nothing more is told of what is found here */
	struct watch_shown shown; /* as on disk: it follows what has been told */
	bool scans;               /* the first rows are not all found yet */
	struct query_task *scan;  /* NULL: begun anew with the next slice */
	struct query_bookmark at; /* there */
	struct watching *next, **prev;
};

/* ---- live.c: any thread ---- */

struct live_part {
	struct msg watch, unwatch;
	struct live *live;
	struct worker *at;
	struct watching *x; /* the worker's */
};

const struct watch *live_watch(const struct live *l);
/* So much is going to be told; first: of the first rows, which rest before it is too much for this watch alone. false: it is too much, and the watch has ended. It is given back with live_told, or live_untold. */
bool live_pledge(struct live *l, size_t bytes, bool first);
void live_untold(struct live *l, size_t bytes);
/* One row more, or less; false: too many, and the watch has ended. */
bool live_counts(struct live *l, enum watch_step step);
/* One step, as on disk now. position: the shard's behind the change; 0: it is of the first rows. members: of the object that is told, without
 * braces. */
struct live_event {
	enum watch_step step;
	uint32_t shard;
	uint64_t position;
	struct str members;
	size_t pledged;
};
void live_tell(struct live *l, const struct live_event *e);
/* Where a shard's log ends as the watch begins. */
void live_begins(struct live *l, uint32_t shard, uint64_t position);
/* A worker's rows have all been told. */
void live_found(struct live *l);
/* Nothing more can be told, for that reason. */
void live_cut(struct live *l, enum reason why);
/* May its first rows go on? */
bool live_has_room(const struct live *l);
/* A worker has let go, with the last one it is over. */
void live_part_over(struct live *l);

/* ---- watches.c ---- */

void live_arrives(struct msg *m); /* live_part.watch */
void live_leaves(struct msg *m);  /* live_part.unwatch */

#endif
