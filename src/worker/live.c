/* A watch between workers and its loop: see live.h. What waits is under the mutex of the watch, and nobody holds that for long. */
#include "worker/watches.h"

#include "doc/out.h"
#include "log/log.h"

#include <stdlib.h>

struct live {
	struct fleet *fleet;
	struct live_conf conf;
	struct watch *watch;
	atomic_uint nheld;     /* parts that have not let go */
	atomic_uint nfinding;  /* parts whose first rows have not all been told */
	atomic_uint nrow;      /* that who watches has been shown */
	atomic_size_t waiting; /* bytes that are pledged and have not left */
	struct msg heard_msg, over_msg;
	pthread_mutex_t mutex;
	/* under it */
	struct position at;
	bool ready, posted;
	enum reason ended;
	struct buf told;
	size_t pledged; /* of what is in told */
	/* the loop's */
	size_t flying; /* pledged of what was taken */
	struct live_part parts[];
};

const struct watch *
live_watch(const struct live *l)
{
	return l->watch;
}

/* ---- what may wait ---- */

void
lives_untold(struct fleet *f, size_t bytes)
{
	atomic_fetch_sub(&f->lives.waiting, bytes);
}

void
live_untold(struct live *l, size_t bytes)
{
	atomic_fetch_sub(&l->waiting, bytes);
	lives_untold(l->fleet, bytes);
}

bool
live_pledge(struct live *l, size_t bytes, bool first)
{
	size_t own = atomic_fetch_add(&l->waiting, bytes) + bytes;
	size_t all = atomic_fetch_add(&l->fleet->lives.waiting, bytes) + bytes;

	/* one row may be larger than the bound of one watch, as long as nothing else waits */
	if ((first || own <= LIVE_BYTES_MAX || own == bytes) && all <= LIVE_ALL_BYTES_MAX)
		return true;
	live_untold(l, bytes);
	live_cut(l, all > LIVE_ALL_BYTES_MAX ? REASON_OVERLOADED : REASON_WATCH_SLOW);
	return false;
}

static bool
fleet_has_room(const struct fleet *f)
{
	return atomic_load(&f->lives.waiting) <= LIVE_ALL_BYTES_MAX / 2;
}

bool
live_has_room(const struct live *l)
{
	return atomic_load(&l->waiting) <= LIVE_SCAN_BYTES && fleet_has_room(l->fleet);
}

bool
live_counts(struct live *l, enum watch_step step)
{
	if (step == WATCH_LEAVE)
		atomic_fetch_sub(&l->nrow, 1);
	else if ((step == WATCH_ROW || step == WATCH_ENTER) &&
	    atomic_fetch_add(&l->nrow, 1) >= WATCH_ROWS_MAX) {
		live_cut(l, REASON_WATCH_ROWS);
		return false;
	}
	return true;
}

/* ---- what is told ---- */

static const char *const names[] = { [WATCH_ROW] = "row",
	[WATCH_ENTER] = "enter",
	[WATCH_CHANGE] = "change",
	[WATCH_LEAVE] = "leave" };

static void
write_event(struct live *l, const char *name, struct str members)
{
	struct buf *b = &l->told;
	bool sse = l->conf.sse;

	buf_cstr(b, sse ? "event: " : "{\"event\":\"");
	buf_cstr(b, name);
	if (l->ready) {
		buf_cstr(b, sse ? "\nid: " : "\",\"position\":\"");
		position_write(b, &l->at, l->conf.hub);
	}
	buf_cstr(b, sse ? "\ndata: {" : "\",");
	buf_str(b, members);
	buf_cstr(b, sse ? "}\n\n" : "}\n");
}

/* There is something to be taken. */
static void
post(struct live *l)
{
	if (l->posted)
		return;
	l->posted = true;
	loop_post(l->conf.home, &l->heard_msg);
}

void
live_begins(struct live *l, uint32_t shard, uint64_t position)
{
	pthread_mutex_lock(&l->mutex);
	l->at.next[shard] = position;
	pthread_mutex_unlock(&l->mutex);
}

void
live_tell(struct live *l, const struct live_event *e)
{
	bool late;

	pthread_mutex_lock(&l->mutex);
	late = l->ended != REASON_NONE;
	if (!late) {
		if (e->position != 0)
			l->at.next[e->shard] = e->position;
		write_event(l, names[e->step], e->members);
		l->pledged += e->pledged;
		post(l);
	}
	pthread_mutex_unlock(&l->mutex);
	if (late)
		live_untold(l, e->pledged);
}

void
live_found(struct live *l)
{
	struct buf rows = { 0 };

	if (atomic_fetch_sub(&l->nfinding, 1) > 1)
		return;
	buf_printf(&rows, "\"rows\":%u", atomic_load(&l->nrow));
	pthread_mutex_lock(&l->mutex);
	l->ready = true;
	if (l->ended == REASON_NONE) {
		write_event(l, "ready", buf_view(&rows));
		post(l);
	}
	pthread_mutex_unlock(&l->mutex);
	buf_fini(&rows);
}

void
live_cut(struct live *l, enum reason why)
{
	size_t dropped = 0;

	pthread_mutex_lock(&l->mutex);
	if (l->ended == REASON_NONE) {
		l->ended = why;
		dropped = l->pledged;
		l->pledged = 0;
		buf_fini(&l->told);
		post(l);
	}
	pthread_mutex_unlock(&l->mutex);
	live_untold(l, dropped);
}

/* ---- the loop's side ---- */

/* First rows that have rested may go on. */
static void
live_leaves_room(struct live *l, size_t bytes)
{
	bool had_room = live_has_room(l), had_all = fleet_has_room(l->fleet);

	live_untold(l, bytes);
	if ((!had_room && live_has_room(l) && atomic_load(&l->nfinding) > 0) ||
	    (!had_all && fleet_has_room(l->fleet)))
		fleet_poke(l->fleet);
}

enum reason
live_take(struct live *l, struct buf *out)
{
	struct buf empty = *out;
	enum reason ended;

	assert(l->flying == 0 && out->n == 0);
	pthread_mutex_lock(&l->mutex);
	*out = l->told;
	l->told = empty;
	l->flying = l->pledged;
	l->pledged = 0;
	ended = l->ended;
	pthread_mutex_unlock(&l->mutex);
	return ended;
}

void
live_left(struct live *l)
{
	live_leaves_room(l, l->flying);
	l->flying = 0;
}

static void
on_heard(struct msg *m)
{
	struct live *l = container_of(m, struct live, heard_msg);

	pthread_mutex_lock(&l->mutex);
	l->posted = false;
	pthread_mutex_unlock(&l->mutex);
	l->conf.heard(l->conf.ctx);
}

/* ---- how many there may be ---- */

/*
 * All watches in one index, which no row is ever shown to: what it takes in every worker's takes, as those of workers hold what it holds,
 * or less. So a worker never has to refuse one.
 */
static enum err
take_place(struct fleet *f, struct live *l, struct fault *why)
{
	struct lives *all = &f->lives;
	struct lives_of *of = NULL;
	enum err e;

	pthread_mutex_lock(&all->mutex);
	for (uint32_t i = 0; i < all->nof && of == NULL; i++)
		if (all->of[i].asker == l->conf.asker)
			of = &all->of[i];
	if (of != NULL && of->n >= LIVE_ASKER_MAX)
		e = (fault_set(why, F_GenericTooManyRequests,
		         "you watch %u queries, as many as one may", LIVE_ASKER_MAX),
		    ERR_FULL);
	else
		e = watch_index_add(all->index, l->watch, (uint64_t)(uintptr_t)l, why);
	if (e == ERR_OK && of == NULL) {
		assert(all->nof < WATCH_INDEX_MAX);
		of = &all->of[all->nof++];
		*of = (struct lives_of){ .asker = l->conf.asker };
	}
	if (e == ERR_OK)
		of->n++;
	pthread_mutex_unlock(&all->mutex);
	return e;
}

uint32_t
lives_count(struct fleet *f)
{
	uint32_t n = 0;

	pthread_mutex_lock(&f->lives.mutex);
	for (uint32_t i = 0; i < f->lives.nof; i++)
		n += f->lives.of[i].n;
	pthread_mutex_unlock(&f->lives.mutex);
	return n;
}

static void
leave_place(struct fleet *f, struct live *l)
{
	struct lives *all = &f->lives;
	uint32_t i = 0;

	pthread_mutex_lock(&all->mutex);
	watch_index_remove(all->index, (uint64_t)(uintptr_t)l);
	while (all->of[i].asker != l->conf.asker)
		i++;
	if (--all->of[i].n == 0)
		all->of[i] = all->of[--all->nof];
	pthread_mutex_unlock(&all->mutex);
}

void
lives_init(struct fleet *f)
{
	pthread_mutex_init(&f->lives.mutex, NULL);
	f->lives.index = watch_index_new();
	f->lives.of = xcalloc(WATCH_INDEX_MAX, sizeof(*f->lives.of));
}

void
lives_fini(struct fleet *f)
{
	watch_index_free(f->lives.index);
	free(f->lives.of);
	pthread_mutex_destroy(&f->lives.mutex);
}

/* ---- its life ---- */

static void
live_free(struct live *l)
{
	watch_unref(l->watch);
	buf_fini(&l->told);
	pthread_mutex_destroy(&l->mutex);
	free(l);
}

static void
on_over(struct msg *m)
{
	struct live *l = container_of(m, struct live, over_msg);
	struct live_conf conf = l->conf;

	live_leaves_room(l, l->pledged + l->flying);
	live_free(l);
	conf.over(conf.ctx);
}

void
live_part_over(struct live *l)
{
	if (atomic_fetch_sub(&l->nheld, 1) > 1)
		return;
	leave_place(l->fleet, l);
	loop_post(l->conf.home, &l->over_msg);
}

/*
 * A part of the fleet's rows is no answer. Of several nodes each sees its own shards alone (docs/cluster-design.md, 17: WATCH is not there yet); one
 * that has all of them answers, until one goes (`shard-moved`).
 */
static bool
sees_all(struct fleet *f)
{
	for (uint32_t s = 0; s < SHARDS && f->o.elsewhere != NULL; s++)
		if (shard_worker(f, s) == NULL)
			return false;
	return true;
}

enum err
fleet_watch(struct fleet *f, const struct live_conf *c, struct live **out, struct fault *why)
{
	unsigned n = f->o.nworker;
	struct live *l;
	enum err e;

	if (atomic_load(&f->stop))
		return fault_set(why, F_ServiceUnavailable, "the hub is stopping");
	if (!sees_all(f))
		return fault_set(why, F_GenericNotImplemented,
		    "live queries over several nodes are not there yet: other nodes have a part of "
		    "the fleet");
	l = xcalloc(1, sizeof(*l) + n * sizeof(l->parts[0]));
	l->fleet = f;
	l->conf = *c;
	l->watch = watch_ref(c->watch);
	l->heard_msg.run = on_heard;
	l->over_msg.run = on_over;
	pthread_mutex_init(&l->mutex, NULL);
	if ((e = take_place(f, l, why)) != ERR_OK) {
		live_free(l);
		return e;
	}
	atomic_store(&l->nheld, n);
	atomic_store(&l->nfinding, n);
	for (unsigned i = 0; i < n; i++) {
		l->parts[i] = (struct live_part){ .watch.run = live_arrives,
			.unwatch.run = live_leaves,
			.live = l,
			.at = &f->workers[i] };
	}
	*out = l;
	for (unsigned i = 0; i < n; i++)
		mailbox_post(&f->workers[i].box, &l->parts[i].watch);
	return ERR_OK;
}

void
live_close(struct live *l)
{
	unsigned n = l->fleet->o.nworker;

	/* with the last of them it may be gone */
	for (unsigned i = 0; i < n; i++)
		mailbox_post(&l->parts[i].at->box, &l->parts[i].unwatch);
}
