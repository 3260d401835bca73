/* Who numbers events: see partitions.h. */
#include <stdlib.h>

#include "deliver/priv.h"
#include "log/log.h"
#include "os/clock.h"
#include "shard/told.h"

#define AGAIN_US (INT64_C(1) * 1000000) /* after an append has failed */
#define QUIET_US                                                                                   \
	(INT64_C(1) *                                                                              \
	    1000000) /* between appends that only say how far the log has been looked at */
#define TRIM_US (INT64_C(10) * 1000000) /* between looks at what retention has dropped */

struct partition {
	struct appender *owner;
	struct partition_end end;  /* committed: what readers see */
	struct partition_end next; /* with what is on its way, or gathered */
	struct partition_entry *v;
	uint32_t n, room;
	struct trim trim; /* is due, if it begins behind the end's begin */
	bool away;
};

struct appender {
	struct deliveries *d;
	pthread_mutex_t mu;
	pthread_cond_t quiet;
	/* with mu: */
	uint32_t n, naway;
	struct partition partitions[PARTITIONS_MAX];
	uint64_t mine; /* those whose shards are here, a bit each: others number the others */
	struct routing *set;
	struct feed_reader *reader;
	bool wanted; /* somebody has asked for partitions, ever (E-104) */
	bool asked;  /* that was here, and all nodes are to hear of it */
	bool reading, failed;
	int64_t read_us, wrote_us,
	    trim_us; /* monotonic: no reader before; the last append; the next look */
	/* what the log began with when partitions were looked through, 0 where it was empty; and what was gone then: all before it */
	uint64_t began[FEED_FAMILIES][SHARDS], gone[FEED_FAMILIES][SHARDS];
	bool behind; /* something of it is still to go */
};

/* ---- appends ---- */

static void
appended(struct work *w)
{
	struct partition *p = w->owner;
	struct appender *a = p->owner;

	pthread_mutex_lock(&a->mu);
	if (w->reply.fault.code == F_NONE)
		p->end = p->next;
	else
		a->failed = true;
	p->n = 0;
	p->away = false;
	if (--a->naway == 0 && a->reader != NULL && !a->failed)
		feed_more(a->reader);
	pthread_cond_broadcast(&a->quiet);
	pthread_mutex_unlock(&a->mu);
	work_free(w);
}

/* With the lock. */
static void
append(struct appender *a, uint32_t number)
{
	struct partition *p = &a->partitions[number];
	struct buf payload = { 0 };
	struct work *w;

	if (p->trim.begin > p->end.begin)
		p->next.begin = p->trim.begin;
	partition_append_put(
	    &payload, number, &p->end, &p->next, p->v, p->n, p->trim.rows, p->trim.n);
	p->trim.n = 0;
	w = work_new(a->d->world.loop, payload.n, appended);
	w->op.kind = OP_PARTITION_APPEND;
	w->op.actor = ACTOR_HUB;
	w->op.partition = (uint8_t)number;
	w->op.payload = work_str(w, buf_view(&payload));
	w->owner = p;
	w->roomy = true;
	buf_fini(&payload);
	p->away = true;
	a->naway++;
	fleet_submit(a->d->world.fleet, w);
}

static bool
has_moved(const struct partition *p, uint32_t number, const struct position *at)
{
	for (uint32_t s = number; s < SHARDS; s += p->end.n)
		if (p->end.at[s] != at->next[s])
			return true;
	return false;
}

/* With the lock. */
static bool
is_mine(const struct appender *a, uint32_t number)
{
	return a->mine >> number & 1;
}

/* ---- the reader: on the feed's thread ---- */

static bool
wants(void *ctx, const struct feed_event *e)
{
	enum feed_family_kind family = e->source == TOLD_MESSAGES ? FEED_TELEMETRY : FEED_CHANGES;
	struct appender *a = ctx;
	struct partition *p;

	pthread_mutex_lock(&a->mu);
	if (is_mine(a, e->shard % a->n) && routes_take_built_in(a->d->world.feed, a->set, e)) {
		p = &a->partitions[e->shard % a->n];
		if (p->n == p->room) {
			p->room = p->room ? 2 * p->room : 64;
			p->v = xrealloc(p->v, p->room * sizeof(*p->v));
		}
		/* it was in memory, and went from the disk before it had its number */
		a->behind |= e->position < a->gone[family][e->shard];
		if (e->e->time_us > p->next.last_us)
			p->next.last_us = e->e->time_us;
		p->v[p->n++] = (struct partition_entry){ .sequence = p->next.next++,
			.position = e->position,
			.time_us = p->next.last_us,
			.shard = (uint8_t)e->shard,
			.telemetry = e->source == TOLD_MESSAGES };
	}
	pthread_mutex_unlock(&a->mu);
	return false; /* nobody needs its JSON */
}

/* A gap, as nothing else is wanted: what is gone is not numbered. */
static bool
take(void *ctx, const struct feed_event *e)
{
	(void)ctx, (void)e;
	return true;
}

static bool
rest(void *ctx, const struct position *at, bool end)
{
	struct appender *a = ctx;
	int64_t now_us = clock_mono_us();
	bool quiet, room;

	(void)end;
	pthread_mutex_lock(&a->mu);
	quiet = now_us >= a->wrote_us + QUIET_US;
	for (uint32_t i = 0; a->naway == 0 && !a->failed && i < a->n; i++)
		for (uint32_t s = i; s < SHARDS; s += a->n)
			a->partitions[i].next.at[s] = at->next[s];
	room = a->naway == 0 && !a->failed;
	for (uint32_t i = 0; room && i < a->n; i++)
		if (a->partitions[i].n > 0 ||
		    (quiet && is_mine(a, i) &&
		        (has_moved(&a->partitions[i], i, at) ||
		            a->partitions[i].trim.begin > a->partitions[i].end.begin ||
		            a->partitions[i].trim.n > 0))) {
			append(a, i);
			a->wrote_us = now_us;
		}
	room = a->naway == 0 && !a->failed;
	pthread_mutex_unlock(&a->mu);
	return room;
}

static void
reader_fails(void *ctx, enum err why)
{
	struct appender *a = ctx;

	(void)why;
	pthread_mutex_lock(&a->mu);
	a->failed = true;
	pthread_mutex_unlock(&a->mu);
}

static void
reader_over(void *ctx)
{
	struct appender *a = ctx;

	pthread_mutex_lock(&a->mu);
	a->reading = false;
	pthread_cond_broadcast(&a->quiet);
	pthread_mutex_unlock(&a->mu);
}

/* ---- on the thread of sinks ---- */

/* Which are here? */
static uint64_t
here(const struct appender *a)
{
	const struct deliveries_world *w = &a->d->world;
	uint64_t mine = 0;

	for (uint32_t i = 0; i < a->n; i++)
		if (w->has == NULL || w->has(w->ctx, i))
			mine |= UINT64_C(1) << i;
	return mine;
}

/* How far those have come that are here: another node may have numbered them meanwhile. false: that cannot be read. */
static bool
ends_read(struct appender *a, uint64_t mine)
{
	struct partition_end end;
	struct fault f;

	for (uint32_t i = 0; i < a->n; i++) {
		if (a->d->world.has == NULL || !(mine >> i & 1))
			continue;
		if (fleet_partition(a->d->world.fleet, i, a->n, &end, &f) != ERR_OK)
			return false;
		pthread_mutex_lock(&a->mu);
		a->partitions[i].end = end;
		for (uint32_t s = i; s < SHARDS; s += a->n)
			a->wanted = a->wanted || end.at[s] > 1;
		pthread_mutex_unlock(&a->mu);
	}
	return true;
}

/* From where the store has come to. With the lock. */
static void
reader_open(struct appender *a)
{
	struct feed_reader_conf c = { .from = FEED_POSITION,
		.ctx = a,
		.wants = wants,
		.take = take,
		.rest = rest,
		.fails = reader_fails,
		.over = reader_over };
	struct fault f;

	for (uint32_t s = 0; s < SHARDS; s++)
		c.position.next[s] = UINT64_MAX; /* nothing of it is read */
	for (uint32_t i = 0; i < a->n; i++) {
		struct partition *p = &a->partitions[i];

		if (!is_mine(a, i))
			continue;
		p->next = p->end;
		p->n = 0;
		p->trim = (struct trim){ 0 }; /* looked for anew */
		for (uint32_t s = i; s < SHARDS; s += a->n)
			c.position.next[s] = p->end.at[s];
	}
	a->failed = false;
	if (feed_open(a->d->world.feed, &c, &a->reader, &f) == ERR_OK)
		a->reading = true;
}

/* Until it is gone, and nothing is on its way. */
static void
reader_close(struct appender *a)
{
	struct feed_reader *r;

	pthread_mutex_lock(&a->mu);
	r = a->reader;
	a->reader = NULL;
	if (r != NULL)
		feed_close(r);
	while (a->reading || a->naway > 0)
		pthread_cond_wait(&a->quiet, &a->mu);
	pthread_mutex_unlock(&a->mu);
}

/* Has retention dropped anything since they were looked through? That reads an index that may be long. With the lock. */
static bool
log_has_moved(struct appender *a, const struct feed_extent *extent)
{
	bool moved = false;

	for (unsigned f = 0; f < FEED_FAMILIES; f++)
		for (uint32_t s = 0; s < SHARDS; s++) {
			uint64_t oldest = extent->family[f].oldest.next[s];

			if (oldest == extent->end.next[s])
				oldest = 0; /* empty: what comes does not make it another one */
			a->gone[f][s] = extent->family[f].oldest.next[s];
			moved |= a->began[f][s] != oldest;
			a->began[f][s] = oldest;
		}
	return moved;
}

/* What is not there any more, told to the next append. */
static void
trim(struct appender *a)
{
	struct trim *t = xcalloc(1, sizeof(*t));
	struct feed_extent extent;
	struct partition_end end;
	enum err e = feed_extent(a->d->world.feed, &extent);
	bool look;

	pthread_mutex_lock(&a->mu);
	look = e == ERR_OK && (log_has_moved(a, &extent) || a->behind);
	a->behind = a->behind && !look;
	pthread_mutex_unlock(&a->mu);
	for (uint32_t i = 0; look && e == ERR_OK && i < a->n; i++) {
		if (!is_mine(a, i)) /* this thread's to change */
			continue;
		pthread_mutex_lock(&a->mu);
		end = a->partitions[i].end;
		a->behind |= a->partitions[i].n > 0; /* on its way, and not looked at */
		pthread_mutex_unlock(&a->mu);
		e = trim_look(a->d->world.store, &extent, i, &end, t);
		pthread_mutex_lock(&a->mu);
		if (e == ERR_OK && a->partitions[i].end.begin == end.begin)
			a->partitions[i].trim = *t;
		/* until it is on disk, and no more is found */
		a->behind |= e != ERR_OK || t->begin != end.begin || t->n > 0;
		pthread_mutex_unlock(&a->mu);
	}
	free(t);
}

void
appender_want(struct appender *a)
{
	pthread_mutex_lock(&a->mu);
	a->wanted = true;
	pthread_mutex_unlock(&a->mu);
}

static void
tell_all(struct appender *a)
{
	const struct deliveries_world *w = &a->d->world;
	bool asked;

	pthread_mutex_lock(&a->mu);
	asked = a->asked;
	pthread_mutex_unlock(&a->mu);
	if (!asked || !w->asked(w->ctx))
		return;
	pthread_mutex_lock(&a->mu);
	a->asked = false;
	pthread_mutex_unlock(&a->mu);
}

void
appender_look(struct appender *a, int64_t now_us)
{
	uint64_t mine;
	bool broken, moved, begins, known = true;

	if (a->n == 0)
		return;
	tell_all(a);
	mine = here(a);
	pthread_mutex_lock(&a->mu);
	moved = mine != a->mine;
	broken = (a->failed || moved) && a->reader != NULL;
	begins = moved || (a->wanted && (broken || a->reader == NULL));
	pthread_mutex_unlock(&a->mu);
	if (broken) {
		reader_close(a);
		a->read_us = moved ? now_us : now_us + AGAIN_US;
	}
	if (begins)
		known = ends_read(a, mine);
	pthread_mutex_lock(&a->mu);
	if (known)
		a->mine = mine;
	if (known && a->wanted && a->reader == NULL && now_us >= a->read_us)
		reader_open(a);
	broken = a->reader == NULL;
	pthread_mutex_unlock(&a->mu);
	if (!broken && now_us >= a->trim_us) {
		a->trim_us = now_us + TRIM_US;
		trim(a);
	}
}

void
appender_route(struct appender *a, struct routing *set)
{
	struct routing *was;

	pthread_mutex_lock(&a->mu);
	was = a->set;
	a->set = routing_ref(set);
	pthread_mutex_unlock(&a->mu);
	routing_unref(was);
}

void
appender_end(struct appender *a)
{
	reader_close(a);
}

/* ---- life ---- */

struct appender *
appender_new(struct deliveries *d)
{
	struct appender *a = xcalloc(1, sizeof(*a));

	a->d = d;
	a->set = routing_new();
	pthread_mutex_init(&a->mu, NULL);
	cond_init(&a->quiet);
	return a;
}

void
appender_begin(struct appender *a, const struct partition_end *ends, uint32_t n)
{
	a->n = n;
	for (uint32_t i = 0; i < n; i++) {
		a->partitions[i].owner = a;
		a->partitions[i].end = ends[i];
		for (uint32_t s = i; s < SHARDS; s += n)
			a->wanted = a->wanted || ends[i].at[s] > 1;
	}
}

void
appender_free(struct appender *a)
{
	if (a == NULL)
		return;
	for (uint32_t i = 0; i < a->n; i++)
		free(a->partitions[i].v);
	routing_unref(a->set);
	pthread_cond_destroy(&a->quiet);
	pthread_mutex_destroy(&a->mu);
	free(a);
}

uint32_t
appender_ask(struct appender *a, bool *begins)
{
	pthread_mutex_lock(&a->mu);
	*begins = !a->wanted;
	a->asked = *begins && a->d->world.asked != NULL;
	a->wanted = true;
	pthread_mutex_unlock(&a->mu);
	return a->n;
}

struct partition_info
appender_info(struct appender *a, uint32_t partition)
{
	struct partition_end end;
	struct fault f;
	bool mine;

	pthread_mutex_lock(&a->mu);
	end = a->partitions[partition].end;
	mine = a->d->world.has == NULL || is_mine(a, partition);
	pthread_mutex_unlock(&a->mu);
	if (!mine) /* what cannot be read has nothing to read */
		(void)fleet_partition(a->d->world.fleet, partition, a->n, &end, &f);
	return (struct partition_info){ end.begin, end.next, end.last_us };
}
