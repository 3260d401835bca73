/* The thread of sinks: what is to be there is made, what is not is ended. */
#include "deliver/priv.h"
#include "metric/metric.h"
#include "os/clock.h"

#define LOOK_US (INT64_C(1) * 1000000)

/* ---- what is to be there ---- */

static struct outlet *
outlet_of(const struct deliveries *d, struct str id)
{
	for (uint32_t i = 0; i < d->n; i++)
		if (str_eq(d->v[i]->def->id, id))
			return d->v[i];
	return NULL;
}

static void
drop(struct deliveries *d, uint32_t i)
{
	struct outlet *o = d->v[i];

	outlet_end(o);
	pthread_mutex_lock(&d->mu);
	d->v[i] = d->v[--d->n];
	pthread_mutex_unlock(&d->mu);
	outlet_free(o);
}

/* Those that have gone, or were made again under the same name. */
static void
drop_strangers(struct deliveries *d, const struct routing *set)
{
	for (uint32_t i = d->n; i-- > 0;) {
		const struct sink_def *def = routing_sink(set, d->v[i]->def->id);

		if (def == NULL || def->created_us != d->v[i]->def->created_us)
			drop(d, i);
	}
}

static void
change(struct deliveries *d, struct outlet *o, struct sink_def *def)
{
	struct sink_def *was = o->def;

	if (was->counter == def->counter)
		return;
	outlet_pause(o);
	pthread_mutex_lock(&d->mu);
	pthread_mutex_lock(&o->mu);
	o->def = sink_def_ref(def);
	pthread_mutex_unlock(&o->mu);
	pthread_mutex_unlock(&d->mu);
	sink_def_unref(was);
	outlet_begin(o);
}

static struct outlet *
add(struct deliveries *d, struct sink_def *def, const struct cursor *c)
{
	struct outlet *o = outlet_new(d, def, c);

	pthread_mutex_lock(&d->mu);
	d->v[d->n++] = o;
	pthread_mutex_unlock(&d->mu);
	outlet_begin(o);
	return o;
}

/* As the set says. Only this thread changes the list. */
static void
take_up(struct deliveries *d, struct routing *set, bool here)
{
	struct routing *none = here ? NULL : routing_new();

	appender_route(d->appender, set);
	if (!here)
		set = none;
	drop_strangers(d, set);
	for (uint32_t i = 0; i < set->nsink; i++) {
		struct outlet *o = outlet_of(d, set->sinks[i]->id);

		if (o == NULL)
			o = add(d, set->sinks[i], set->cursors[i]);
		else
			change(d, o, set->sinks[i]);
		outlet_route(o, set);
	}
	routing_unref(none);
}

static void
look_around(struct deliveries *d)
{
	int64_t now_us = clock_mono_us();

	appender_look(d->appender, now_us);
	for (uint32_t i = 0; i < d->n; i++)
		outlet_look(d->v[i], now_us);
}

static void
deliveries_main(void *ctx)
{
	struct deliveries *d = ctx;
	struct routing *set;
	bool here;

	pthread_mutex_lock(&d->mu);
	while (!d->stop) {
		set = d->changed ? routing_ref(d->set) : NULL;
		d->changed = false;
		here = d->here;
		pthread_mutex_unlock(&d->mu);
		if (set != NULL)
			take_up(d, set, here);
		routing_unref(set);
		look_around(d);
		pthread_mutex_lock(&d->mu);
		if (!d->changed && !d->stop)
			(void)cond_wait_until(&d->wake, &d->mu, clock_mono_us() + LOOK_US);
	}
	pthread_mutex_unlock(&d->mu);
	appender_end(d->appender);
	while (d->n > 0)
		drop(d, d->n - 1);
}

/* ---- for the program ---- */

enum err
deliveries_new(const struct deliveries_options *o, struct deliveries **out, struct fault *f)
{
	struct deliveries *d = xcalloc(1, sizeof(*d));
	enum err e;

	d->o = *o;
	d->set = routing_new();
	d->appender = appender_new(d);
	pthread_mutex_init(&d->mu, NULL);
	cond_init(&d->wake);
	e = senders_new(&o->senders, &d->senders, f);
	if (e != ERR_OK)
		deliveries_free(d);
	else
		*out = d;
	return e;
}

enum err
deliveries_begin(struct deliveries *d, const struct deliveries_world *w, struct fault *f)
{
	d->world = *w;
	appender_begin(d->appender, w->ends, w->npartition);
	return w->rests ? ERR_OK : thread_start(&d->thread, deliveries_main, d, f, "sinks");
}

void
deliveries_learn(struct deliveries *d, struct routing *set, bool here)
{
	struct routing *was;

	pthread_mutex_lock(&d->mu);
	was = d->set;
	d->set = set;
	d->here = here;
	d->changed = true;
	pthread_cond_signal(&d->wake);
	pthread_mutex_unlock(&d->mu);
	routing_unref(was);
}

void
deliveries_elsewhere(struct deliveries *d)
{
	pthread_mutex_lock(&d->mu);
	d->here = false;
	d->changed = true;
	pthread_cond_signal(&d->wake);
	pthread_mutex_unlock(&d->mu);
}

void
deliveries_want(struct deliveries *d)
{
	appender_want(d->appender);
}

void
deliveries_stop(struct deliveries *d)
{
	pthread_mutex_lock(&d->mu);
	d->stop = true;
	pthread_cond_signal(&d->wake);
	pthread_mutex_unlock(&d->mu);
	thread_join(&d->thread);
}

void
deliveries_free(struct deliveries *d)
{
	if (d == NULL)
		return;
	deliveries_stop(d);
	senders_free(d->senders);
	appender_free(d->appender);
	routing_unref(d->set);
	pthread_cond_destroy(&d->wake);
	pthread_mutex_destroy(&d->mu);
	free(d);
}

struct str
deliveries_hub(const struct deliveries *d)
{
	return d->o.origin;
}

struct routing *
deliveries_routing(struct deliveries *d)
{
	struct routing *set;

	pthread_mutex_lock(&d->mu);
	set = routing_ref(d->set);
	pthread_mutex_unlock(&d->mu);
	return set;
}

/* ---- shown ---- */

void
deliveries_show(struct deliveries *d, const struct sink_def *sink, struct out *o)
{
	struct outlet *outlet;

	pthread_mutex_lock(&d->mu);
	outlet = outlet_of(d, sink->id);
	out_key(o, "status");
	if (outlet != NULL) {
		outlet_show(outlet, o);
	} else { /* it has just come, and is about to be */
		out_open(o);
		out_cstr(out_key(o, "state"),
		    sink->enabled ? sender_phase_names[SENDER_IDLE] : OUTLET_DISABLED);
		out_close(o);
	}
	pthread_mutex_unlock(&d->mu);
}

void
deliveries_show_all(struct deliveries *d, struct out *o)
{
	struct routing *set = deliveries_routing(d);

	out_list(o);
	for (uint32_t i = 0; i < set->nsink; i++) {
		out_open(o);
		out_str(out_key(o, "id"), set->sinks[i]->id);
		out_cstr(out_key(o, "kind"), sink_type_names[set->sinks[i]->type]);
		deliveries_show(d, set->sinks[i], o);
		out_close(o);
	}
	out_close(o);
	routing_unref(set);
}

void
deliveries_look(struct deliveries *d, struct metric_looks *looks)
{
	for (unsigned i = 0; i < METRIC_SINKS; i++)
		looks->sinks[i] = looks->sinks_failing[i] = looks->sink_lag_events[i] = 0;
	pthread_mutex_lock(&d->mu);
	for (uint32_t i = 0; i < d->n; i++)
		outlet_look_at(d->v[i], looks);
	pthread_mutex_unlock(&d->mu);
}
