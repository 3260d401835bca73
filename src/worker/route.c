/*
 * Where what is for a shard goes: to the worker that has it, or, while none has, into a line of the shard's own, from which it goes on in the
 * order in which it came. Who posts does so under the lock of the route: so what was posted before a shard is given up is in its worker's box before
 * the word of that, and nothing overtakes anything.
 */
#include "worker/priv.h"

#include <stdlib.h>

void
routes_init(struct fleet *f)
{
	for (uint32_t s = 0; s < SHARDS; s++) {
		pthread_mutex_init(&f->routes[s].mutex, NULL);
		f->routes[s].open = true; /* whoever has it at the start */
	}
}

void
routes_fini(struct fleet *f)
{
	for (uint32_t s = 0; s < SHARDS; s++) {
		assert(f->routes[s].n == 0);
		free(f->routes[s].line);
		pthread_mutex_destroy(&f->routes[s].mutex);
	}
}

struct worker *
shard_worker(const struct fleet *f, uint32_t shard)
{
	return atomic_load_explicit(&f->of_shard[shard], memory_order_acquire);
}

/* ---- the line ---- */

static size_t
bytes_of(const struct traveller *t, const struct msg *m)
{
	return t->bytes != NULL ? t->bytes(m) : 0;
}

/* false: there is no room. What ends something is always taken, as are the hub's own. */
static bool
line_put(struct fleet *f, struct shard_route *r, const struct traveller *t, struct msg *m)
{
	size_t bytes = bytes_of(t, m);
	bool full = atomic_fetch_add(&f->parked, 1) >= PARKED_MAX;

	full |= atomic_fetch_add(&f->parked_bytes, bytes) + bytes > PARKED_BYTES_MAX;
	if (full && !(t->must != NULL && t->must(m))) {
		atomic_fetch_sub(&f->parked, 1);
		atomic_fetch_sub(&f->parked_bytes, bytes);
		return false;
	}
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 16;
		r->line = xrealloc(r->line, r->cap * sizeof(*r->line));
	}
	r->line[r->n++] = (struct parked){ t, m, clock_mono_us() };
	return true;
}

static void
line_left(struct fleet *f, const struct parked *p)
{
	atomic_fetch_sub(&f->parked, 1);
	atomic_fetch_sub(&f->parked_bytes, bytes_of(p->of, p->m));
}

/* ---- to other nodes ---- */

static const char *
leaves(struct fleet *f, struct shard_route *r, const struct traveller *t, struct msg *m)
{
	const char *why =
	    t->leave(f, m); /* it may have passed by now, and waits for the lock to say so */

	r->passing += why == NULL;
	return why;
}

void
fleet_passed(struct fleet *f, uint32_t shard)
{
	struct shard_route *r = &f->routes[shard];

	pthread_mutex_lock(&r->mutex);
	assert(r->passing > 0);
	r->passing--;
	pthread_mutex_unlock(&r->mutex);
}

void
fleet_settle(struct fleet *f)
{
	for (uint32_t s = 0; s < SHARDS; s++) {
		pthread_mutex_lock(&f->routes[s].mutex);
		pthread_mutex_unlock(&f->routes[s].mutex);
	}
}

bool
fleet_open(struct fleet *f, uint32_t shard)
{
	struct shard_route *r = &f->routes[shard];
	bool opens;

	pthread_mutex_lock(&r->mutex);
	opens = r->passing == 0 && shard_worker(f, shard) != NULL;
	r->open |= opens;
	pthread_mutex_unlock(&r->mutex);
	return opens;
}

bool
route_enter(struct fleet *f, uint32_t shard, const struct traveller *t, struct msg *m)
{
	struct shard_route *r = &f->routes[shard];
	struct worker *w;

	pthread_mutex_lock(&r->mutex);
	w = shard_worker(f, shard);
	if (w == NULL && t->first != NULL && t->first(m))
		w = r->comes;
	if (w != NULL)
		t->enter(w, m);
	pthread_mutex_unlock(&r->mutex);
	return w != NULL;
}

/* ---- on its way ---- */

/* Who gets it now; NULL: it waits, here or elsewhere. What goes before all that waits does not wait for that to be let in. */
static struct worker *
taker(const struct fleet *f, uint32_t shard, const struct traveller *t, const struct msg *m)
{
	const struct shard_route *r = &f->routes[shard];
	struct worker *w = shard_worker(f, shard);

	if (t->first != NULL && t->first(m))
		return w != NULL ? w : r->comes;
	return r->open || t->leave == NULL ? w : NULL;
}

void
route_send(struct fleet *f, uint32_t shard, const struct traveller *t, struct msg *m)
{
	struct shard_route *r = &f->routes[shard];
	struct worker *w;
	const char *why = NULL;
	bool taken = true;

	pthread_mutex_lock(&r->mutex);
	w = taker(f, shard, t, m);
	if (w != NULL)
		t->enter(w, m);
	else if (atomic_load(&f->stop))
		why = STOPPING;
	else if (f->o.elsewhere != NULL && t->leave != NULL)
		why = leaves(f, r, t, m);
	else
		taken = line_put(f, r, t, m);
	pthread_mutex_unlock(&r->mutex);
	if (why != NULL)
		t->refuse(f, m, F_ServiceUnavailable, why);
	else if (!taken)
		t->refuse(f, m, F_ThrottleBacklogLimitExceeded, "too many requests are waiting");
}

/* ---- it opens and closes ---- */

void
route_half_open(struct fleet *f, uint32_t shard, struct worker *w)
{
	struct shard_route *r = &f->routes[shard];

	pthread_mutex_lock(&r->mutex);
	r->comes = w;
	pthread_mutex_unlock(&r->mutex);
}

bool
route_open(struct fleet *f, uint32_t shard, struct worker *w, struct msg *first)
{
	struct shard_route *r = &f->routes[shard];

	pthread_mutex_lock(&r->mutex);
	if (w == NULL)
		w = r->comes;
	if (w == NULL) {
		pthread_mutex_unlock(&r->mutex);
		return false;
	}
	r->comes = NULL;
	mailbox_post(&w->box, first);
	atomic_store_explicit(&f->of_shard[shard], w, memory_order_release);
	r->open = f->o.elsewhere == NULL;
	for (uint32_t i = 0; i < r->n; i++) {
		line_left(f, &r->line[i]);
		r->line[i].of->enter(w, r->line[i].m);
	}
	r->n = 0;
	pthread_mutex_unlock(&r->mutex);
	return true;
}

void
route_close(struct fleet *f, uint32_t shard, struct msg *last)
{
	struct shard_route *r = &f->routes[shard];
	struct worker *w;

	pthread_mutex_lock(&r->mutex);
	w = shard_worker(f, shard);
	atomic_store_explicit(&f->of_shard[shard], NULL, memory_order_release);
	r->open = false;
	mailbox_post(&w->box, last);
	pthread_mutex_unlock(&r->mutex);
}

/* Those that have waited as long as they may, or all of them, are refused. */
static void
line_drop(struct fleet *f, uint32_t shard, int64_t now_us, bool all)
{
	struct shard_route *r = &f->routes[shard];
	uint32_t kept = 0, n = 0;
	struct parked *gone;

	pthread_mutex_lock(&r->mutex);
	gone = xcalloc(r->n + 1, sizeof(*gone));
	for (uint32_t i = 0; i < r->n; i++) {
		struct parked *p = &r->line[i];
		int64_t most_us = p->of->patience_us(p->m);

		if (!all && (most_us < 0 || now_us - p->since_us < most_us))
			r->line[kept++] = *p;
		else
			gone[n++] = *p;
	}
	r->n = kept;
	pthread_mutex_unlock(&r->mutex);
	for (uint32_t i = 0; i < n; i++) { /* one that is refused may send another one */
		line_left(f, &gone[i]);
		gone[i].of->refuse(f, gone[i].m, F_ServiceUnavailable,
		    all ? "the hub is stopping"
		        : "nobody serves the device at the moment, try again later");
	}
	free(gone);
}

void
routes_stop(struct fleet *f)
{
	for (uint32_t s = 0; s < SHARDS; s++)
		line_drop(f, s, 0, true);
}

void
route_look(struct fleet *f, uint32_t shard)
{
	if (shard_worker(f, shard) == NULL)
		line_drop(f, shard, clock_mono_us(), false);
}
