/*
 * What is hub-wide on a node of several (docs/cluster-design.md, 10, G8): policies and other secrets, and configurations, settings, sinks and routes of
 * shard 0.
 *
 *   a beat names a version --> common_named --> this thread reads it, puts it in force --> pg_in_force --> the lease is extended
 *   a change is on disk    --> common_spreads, common_wait --> all nodes have it in force, or their leases are over --> its answer
 *
 * Whoever has shard 0 hears of its records from the shard, and reads only secrets here. In force means that no thread works by a former catalogue any
 * more: a worker in the midst of a turn is waited for. While it cannot be read the lease is not extended, and the node answers 503: that is what it is for.
 */
#include <stdlib.h>

#include "pg/pg.h"
#include "server/priv.h"

#define SPREAD_US   INT64_C(6000000) /* D of the design: no lease from before is left then */
#define AGAIN_US    INT64_C(200000)  /* after what could not be read */
#define LOOK_MIN_US INT64_C(5000)    /* between looks at what others have, at first */
#define LOOK_MAX_US INT64_C(100000)
#define SETTLE_US   INT64_C(1000)

/* Who waits until all nodes have it: an answer, or a thread. */
struct waits {
	struct waits *next;
	struct work *work; /* NULL: a thread, which looks at done */
	bool done, stopped;
	int64_t need,
	    since_us; /* need: what a beat that was sent since then has named, 0: none yet */
};

struct common {
	struct server *s;
	pthread_mutex_t mu;
	pthread_cond_t wake;
	struct thread thread;
	bool stop;
	int64_t named; /* to be put in force; 0: nothing is */
	struct waits *first;
	struct buf ca, tickets; /* as they were read last */
	bool failing;
};

static struct common *the_common;

/* ---- reading ---- */

struct fetched {
	struct buf policies, ca, tickets;
	bool partitions;     /* somebody has asked for them, ever */
	struct hubwide *hub; /* NULL: shard 0 is here */
};

static enum err
fetch_secret(void *ctx, struct str name, struct str value)
{
	struct fetched *x = ctx;
	struct buf *to = str_eq(name, STR(POLICIES_SECRET)) ? &x->policies
	    : str_eq(name, STR(CA_SECRET))                  ? &x->ca
	    : str_eq(name, STR(TICKETS_SECRET))             ? &x->tickets
	                                                    : NULL;

	if (to != NULL)
		buf_str(to, value);
	x->partitions |= str_eq(name, STR(PARTITIONS_SECRET));
	return ERR_OK;
}

static enum err
fetch_record(void *ctx, struct str key, struct str value)
{
	struct fetched *x = ctx;

	return hubwide_add(x->hub, key, value);
}

static void
fetched_free(struct fetched *x)
{
	buf_wipe(&x->policies);
	buf_wipe(&x->ca);
	buf_wipe(&x->tickets);
	hubwide_free(x->hub);
}

static enum err
fetch(struct server *s, int64_t common, struct fetched *x, struct fault *f)
{
	const struct pg_options po = { .url = s->o.cluster, .node = node_name(s) };
	struct pg_common_face face = { x, fetch_secret, fetch_record };
	enum err e;

	if (x->hub == NULL)
		face.record = NULL;
	e = pg_common_read(&po, common, &face, f);
	if (e == ERR_CORRUPT)
		fault_set(f, F_StoredDamaged, "a record of shard 0 is damaged");
	return e;
}

/* ---- in force ---- */

/* Shard 0 may have come meanwhile: it is newer. */
static void
hub_take(struct server *s, const struct hubwide *hub)
{
	struct settings *set = hubwide_settings(hub);

	configurations_take(s, hubwide_configurations(hub), false);
	routing_take(s, hubwide_routing(hub), false);
	if (set->counter != 0)
		settings_take(s, set, false);
	else
		settings_unref(set);
}

static bool
is_new(struct buf *was, const struct buf *now)
{
	bool new = !str_eq(buf_view(was), buf_view(now));

	if (new) {
		buf_wipe(was);
		buf_str(was, buf_view(now));
	}
	return new;
}

/* Certificates and keys of tickets are the main thread's. */
static void
secrets_take(struct common *c, const struct fetched *x)
{
	bool first = c->ca.n == 0 && c->tickets.n == 0;
	bool new = is_new(&c->ca, &x->ca);

	new |= is_new(&c->tickets, &x->tickets);
	if (new && !first)
		atomic_store(&c->s->secrets_new, true);
}

/* Until nobody is in the midst of what an older catalogue has told. */
static bool
settle(struct common *c)
{
	bool stop = false;

	while (!catalogue_settled(c->s->catalogue) && !stop) {
		fleet_poke(c->s->fleet);
		clock_sleep_us(SETTLE_US);
		pthread_mutex_lock(&c->mu);
		stop = c->stop;
		pthread_mutex_unlock(&c->mu);
	}
	return !stop;
}

/* ERR_LOCKED: this node has changed policies meanwhile. */
static enum err
take(struct common *c, struct fetched *x, uint64_t as_of, struct fault *f)
{
	struct server *s = c->s;
	bool links = false;
	enum err e = policies_adopt_if(s, &x->policies, as_of, &links, f);

	if (e != ERR_OK)
		return e;
	if (x->hub != NULL)
		hub_take(s, x->hub);
	secrets_take(c, x);
	if (x->partitions)
		deliveries_want(s->deliveries);
	if (links && s->io[0].mqtt != NULL)
		links_again(s);
	return ERR_OK;
}

static enum err
apply(struct common *c, int64_t common, struct fault *f)
{
	struct server *s = c->s;
	enum err e;

	do {
		struct fetched x = { 0 };
		uint64_t as_of;

		pthread_mutex_lock(&s->policies_mutex);
		as_of = s->policies_changes;
		x.hub = s->hub_here ? NULL : hubwide_new();
		pthread_mutex_unlock(&s->policies_mutex);
		e = fetch(s, common, &x, f);
		if (e == ERR_OK)
			e = take(c, &x, as_of, f);
		fetched_free(&x);
	} while (e == ERR_LOCKED);
	return e;
}

static bool
put_in_force(struct common *c, int64_t common)
{
	struct fault f = { 0 };

	if (apply(c, common, &f) != ERR_OK) {
		if (!c->failing)
			log_text(LOG_ERROR,
			    "what is hub-wide cannot be read: %s; without it the node's lease ends",
			    f.text);
		c->failing = true;
		return false;
	}
	if (c->failing)
		log_text(LOG_INFO, "what is hub-wide is in force");
	c->failing = false;
	return settle(c);
}

/* ---- answers ---- */

/* Have all nodes it, or is it so long ago that no lease of before is left? */
static bool
is_everywhere(struct server *s, struct waits *w)
{
	struct pg_spread at = pg_common_spread(s->store);

	if (w->need == 0 && at.sent_us > w->since_us)
		w->need = at.named;
	return (w->need != 0 && at.least >= w->need) || clock_boot_us() >= w->since_us + SPREAD_US;
}

/* One that has it, out of the line; with mu held. */
static struct waits *
waits_over(struct common *c)
{
	for (struct waits **at = &c->first; *at != NULL; at = &(*at)->next) {
		struct waits *w = *at;

		if (!c->stop && !is_everywhere(c->s, w))
			continue;
		*at = w->next;
		return w;
	}
	return NULL;
}

static void
unheard(struct fault *f)
{
	fault_set(f, F_ServiceUnavailable,
	    "the change is stored, but the hub stops before all nodes work by it");
}

static void
answer(struct common *c, struct waits *w, bool stop)
{
	struct work *k = w->work;

	if (k == NULL) {
		pthread_mutex_lock(&c->mu);
		w->done = true;
		w->stopped = stop;
		pthread_cond_broadcast(&c->wake);
		pthread_mutex_unlock(&c->mu);
		return;
	}
	if (stop)
		unheard(&k->reply.fault);
	free(w);
	fleet_spread(c->s->fleet, k);
}

/* Is there somebody who waits still? */
static bool
answer_all(struct common *c)
{
	bool some, stop;

	for (;;) {
		struct waits *w;

		pthread_mutex_lock(&c->mu);
		w = waits_over(c);
		some = c->first != NULL;
		stop = c->stop;
		pthread_mutex_unlock(&c->mu);
		if (w == NULL)
			return some;
		answer(c, w, stop);
	}
}

/* With mu held. */
static void
waits_add(struct common *c, struct waits *w)
{
	w->since_us = clock_boot_us();
	w->next = c->first;
	c->first = w;
	pthread_cond_broadcast(&c->wake);
}

/* Others may come at any time to a node of several: only a beat says whether there are any. */
static bool
is_alone(const struct server *s)
{
	return s->o.mesh == NULL;
}

void
common_spreads(struct work *k)
{
	struct common *c = the_common;
	bool stop;

	if (is_alone(c->s)) {
		fleet_spread(c->s->fleet, k);
		return;
	}
	pthread_mutex_lock(&c->mu);
	stop = c->stop;
	if (!stop) {
		struct waits *w = xcalloc(1, sizeof(*w));

		w->work = k;
		waits_add(c, w);
	}
	pthread_mutex_unlock(&c->mu);
	if (!stop)
		nodes_poke(c->s);
	if (stop) {
		unheard(&k->reply.fault);
		fleet_spread(c->s->fleet, k);
	}
}

enum err
common_wait(struct server *s, struct fault *f)
{
	struct common *c = the_common;
	struct waits w = { 0 };
	bool stop;

	if (is_alone(s))
		return ERR_OK;
	pthread_mutex_lock(&c->mu);
	stop = c->stop;
	if (!stop) {
		waits_add(c, &w);
		pthread_mutex_unlock(&c->mu);
		nodes_poke(s);
		pthread_mutex_lock(&c->mu);
		while (!w.done)
			pthread_cond_wait(&c->wake, &c->mu);
		stop = w.stopped;
	}
	pthread_mutex_unlock(&c->mu);
	if (stop)
		unheard(f);
	return stop ? ERR_LOCKED : ERR_OK;
}

/* ---- the thread ---- */

void
common_named(void *ctx, int64_t common)
{
	struct common *c = the_common;

	(void)ctx;
	pthread_mutex_lock(&c->mu);
	c->named = common;
	pthread_cond_broadcast(&c->wake);
	pthread_mutex_unlock(&c->mu);
}

/* Until there is something to do, for_us at the longest; what is named. false: the end. */
static bool
await(struct common *c, bool waits, int64_t for_us, int64_t *named)
{
	int64_t until_us = clock_mono_us() + for_us;
	bool stop;

	pthread_mutex_lock(&c->mu);
	while (!c->stop && c->named == 0 && (waits || c->first == NULL)) {
		if (!waits)
			pthread_cond_wait(&c->wake, &c->mu);
		else if (!cond_wait_until(&c->wake, &c->mu, until_us))
			break;
	}
	*named = c->named;
	stop = c->stop;
	pthread_mutex_unlock(&c->mu);
	return !stop;
}

static void
named_done(struct common *c, int64_t named)
{
	pthread_mutex_lock(&c->mu);
	if (c->named == named)
		c->named = 0;
	pthread_mutex_unlock(&c->mu);
	pg_in_force(c->s->store, named);
}

static void
common_main(void *ctx)
{
	struct common *c = ctx;
	int64_t look_us = LOOK_MIN_US, named;
	bool waits = false;

	while (await(c, waits, look_us, &named)) {
		if (named != 0 && put_in_force(c, named))
			named_done(c, named);
		else if (named != 0)
			clock_sleep_us(AGAIN_US);
		waits = answer_all(c);
		if (waits)
			pg_hurry(c->s->store);
		look_us = !waits                ? LOOK_MIN_US
		    : look_us * 2 < LOOK_MAX_US ? look_us * 2
		                                : LOOK_MAX_US;
	}
	(void)answer_all(c);
}

/* ---- beginning and end ---- */

void
common_make(struct server *s)
{
	struct common *c = xcalloc(1, sizeof(*c));

	c->s = s;
	pthread_mutex_init(&c->mu, NULL);
	cond_init(&c->wake);
	the_common = c;
}

enum err
common_start(struct server *s)
{
	struct common *c = the_common;
	struct fault f = { 0 };

	if (apply(c, 0, &f) != ERR_OK)
		return fail(s, "what is hub-wide cannot be read: %s", f.text);
	return thread_start(&c->thread, common_main, c, &f, "common") == ERR_OK
	    ? ERR_OK
	    : fail(s, "%s", f.text);
}

void
common_stop(void)
{
	struct common *c = the_common;

	if (c == NULL)
		return;
	pthread_mutex_lock(&c->mu);
	c->stop = true;
	pthread_cond_broadcast(&c->wake);
	pthread_mutex_unlock(&c->mu);
	thread_join(&c->thread);
}

void
common_free(void)
{
	struct common *c = the_common;

	the_common = NULL;
	if (c == NULL)
		return;
	buf_wipe(&c->ca);
	buf_wipe(&c->tickets);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->mu);
	free(c);
}
