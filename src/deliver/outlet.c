/* One sink at work: from the log to its sender, and from what the place has taken to the cursor. */
#include "deliver/priv.h"
#include "log/log.h"
#include "metric/metric.h"
#include "os/clock.h"

#include <math.h>

#define WRITE_EVERY_US (INT64_C(1) * 1000000)
#define AGAIN_US       (INT64_C(10) * 1000000) /* after the log could not be read */

static enum sink_kind
kind_of(const struct sink_def *def)
{
	static const enum sink_kind kinds[SINK_TYPES] = {
		[TO_WEBHOOK] = SINK_WEBHOOK, [TO_FILE] = SINK_FILE, [TO_KAFKA] = SINK_KAFKA
	};

	return kinds[def->type];
}

/* ---- cursors as bytes: of each shard the next position, as varints ---- */

static bool
cursor_read(const struct cursor *c, struct position *out)
{
	struct rd rd = rd_of(c != NULL ? (struct str){ c->bytes, c->n } : STR_NONE);

	for (unsigned s = 0; s < POSITION_SHARDS; s++)
		out->next[s] = rd_varint(&rd);
	return !rd.bad && rd.p == rd.end;
}

static void
cursor_write(struct buf *out, const struct position *p)
{
	for (unsigned s = 0; s < POSITION_SHARDS; s++)
		buf_varint(out, p->next[s]);
}

/* ---- life ---- */

static void batch_over(struct sink_batch *b, bool taken);

struct outlet *
outlet_new(struct deliveries *d, struct sink_def *def, const struct cursor *c)
{
	struct outlet *o = xcalloc(1, sizeof(*o));

	o->d = d;
	o->def = sink_def_ref(def);
	pthread_mutex_init(&o->mu, NULL);
	cond_init(&o->quiet);
	o->batch.owner = o;
	o->batch.over = batch_over;
	o->begun = cursor_read(c, &o->taken);
	o->set = routing_new();
	return o;
}

void
outlet_free(struct outlet *o)
{
	assert(o->sender == NULL && !o->reading && !o->writing);
	sink_def_unref(o->def);
	routing_unref(o->set);
	sink_batch_fini(&o->batch);
	pthread_cond_destroy(&o->quiet);
	pthread_mutex_destroy(&o->mu);
	free(o);
}

void
outlet_route(struct outlet *o, struct routing *set)
{
	struct routing *was;

	pthread_mutex_lock(&o->mu);
	was = o->set;
	o->set = routing_ref(set);
	pthread_mutex_unlock(&o->mu);
	routing_unref(was);
}

/* ---- the batch ---- */

/* With the lock: what is in it goes. */
static void
offer(struct outlet *o)
{
	if (o->batch.n == 0 || o->away || o->sender == NULL)
		return;
	o->away = true;
	if (!sender_offer(o->sender, &o->batch))
		o->away = false; /* it ends; the next sender gets it */
}

/* On the sender's thread, or within sender_end: then it stays as it is. */
static void
batch_over(struct sink_batch *b, bool taken)
{
	struct outlet *o = b->owner;

	pthread_mutex_lock(&o->mu);
	o->away = false;
	if (taken) {
		sink_batch_empty(b);
		o->taken = o->filled;
		o->dirty = true;
		if (o->reader != NULL)
			feed_more(o->reader);
	}
	pthread_mutex_unlock(&o->mu);
}

/* ---- the reader: on the feed's thread ---- */

static bool
is_full(const struct outlet *o, size_t more)
{
	return o->away ||
	    (o->batch.n > 0 &&
	        (o->batch.n >= (uint32_t)sink_int(o->def, "batchEvents") ||
	            o->batch.json.n + more > SINK_BATCH_BYTES));
}

static bool
wants(void *ctx, const struct feed_event *e)
{
	struct outlet *o = ctx;
	bool takes;

	pthread_mutex_lock(&o->mu);
	takes = routes_take(o->d->world.feed, o->set, o->def->id, e);
	pthread_mutex_unlock(&o->mu);
	return takes;
}

static bool
take(void *ctx, const struct feed_event *e)
{
	struct outlet *o = ctx;
	bool room;

	pthread_mutex_lock(&o->mu);
	room = !is_full(o, e->json.n);
	if (room) {
		sink_batch_add(&o->batch, e->json, e->e != NULL ? e->e->device : STR_NONE);
		o->dropped += e->missing;
		metric_add(METRIC_SINK_DROPPED, kind_of(o->def), (int64_t)e->missing);
	}
	pthread_mutex_unlock(&o->mu);
	return room;
}

static bool
rest(void *ctx, const struct position *at, bool end)
{
	struct outlet *o = ctx;
	bool room;

	(void)end;
	pthread_mutex_lock(&o->mu);
	if (!o->away) {
		o->filled = *at;
		o->begun = true;
		if (o->batch.n > 0) {
			offer(o);
		} else if (memcmp(&o->taken, at, sizeof(*at)) != 0) {
			o->taken = *at; /* nothing of it was for this sink */
			o->dirty = true;
		}
	}
	room = !o->away && o->batch.n == 0;
	pthread_mutex_unlock(&o->mu);
	return room;
}

static void
reader_fails(void *ctx, enum err why)
{
	struct outlet *o = ctx;

	(void)why;
	pthread_mutex_lock(&o->mu);
	o->failed = true;
	fault_set(&o->fault, F_ServerError, "the event log cannot be read");
	pthread_mutex_unlock(&o->mu);
}

static void
reader_over(void *ctx)
{
	struct outlet *o = ctx;

	pthread_mutex_lock(&o->mu);
	o->reading = false;
	pthread_cond_broadcast(&o->quiet);
	pthread_mutex_unlock(&o->mu);
}

/* ---- the reader: on the thread of sinks ---- */

/* With the lock: behind what is away, or else behind what the place has; a new sink begins as its definition says. */
static struct feed_reader_conf
reader_conf(struct outlet *o)
{
	struct feed_reader_conf c = { .ctx = o,
		.wants = wants,
		.take = take,
		.rest = rest,
		.fails = reader_fails,
		.over = reader_over };

	if (o->begun) {
		c.from = FEED_POSITION;
		c.position = o->away ? o->filled : o->taken;
	} else {
		c.from = o->def->from_us == 0 ? FEED_EARLIEST : FEED_TIME;
		c.time_us = o->def->from_us;
	}
	return c;
}

static void
reader_open(struct outlet *o)
{
	struct feed_reader_conf c = reader_conf(o);
	struct feed_reader *r;
	struct fault f;

	o->failed = false;
	if (feed_open(o->d->world.feed, &c, &r, &f) == ERR_OK) {
		o->reader = r;
		o->reading = true;
		o->fault = (struct fault){ 0 };
	} else {
		o->fault = f;
		o->read_us = clock_mono_us() + AGAIN_US;
	}
}

/* Until it is gone. What it has put into a batch that is still here comes again: nobody knows where it stood. */
static void
reader_close(struct outlet *o)
{
	struct feed_reader *r;

	pthread_mutex_lock(&o->mu);
	r = o->reader;
	o->reader = NULL;
	pthread_mutex_unlock(&o->mu);
	if (r == NULL)
		return;
	feed_close(r);
	pthread_mutex_lock(&o->mu);
	while (o->reading)
		pthread_cond_wait(&o->quiet, &o->mu);
	if (!o->away)
		sink_batch_empty(&o->batch);
	pthread_mutex_unlock(&o->mu);
}

/* ---- the cursor ---- */

static void
cursor_done(struct work *w)
{
	struct outlet *o = w->owner;

	pthread_mutex_lock(&o->mu);
	o->writing = false;
	if (w->reply.fault.code != F_NONE && w->reply.fault.code != F_GenericNotFound)
		o->dirty = true; /* the store takes nothing now */
	pthread_cond_broadcast(&o->quiet);
	pthread_mutex_unlock(&o->mu);
	work_free(w);
}

/* With the lock. */
static void
cursor_store(struct outlet *o, int64_t now_us)
{
	struct buf bytes = { 0 };
	struct work *w;

	cursor_write(&bytes, &o->taken);
	w = work_new(o->d->world.loop, o->def->id.n + bytes.n, cursor_done);
	w->op.kind = OP_SINK_CURSOR;
	w->op.actor = ACTOR_HUB;
	w->op.name = work_str(w, o->def->id);
	w->op.base_version = (uint64_t)o->def->created_us;
	w->op.payload = work_str(w, buf_view(&bytes));
	w->owner = o;
	buf_fini(&bytes);
	o->dirty = false;
	o->writing = true;
	o->write_us = now_us + WRITE_EVERY_US;
	fleet_submit(o->d->world.fleet, w);
}

/* What is not stored comes again after the next start. */
static void
cursor_settle(struct outlet *o)
{
	pthread_mutex_lock(&o->mu);
	while (o->writing)
		pthread_cond_wait(&o->quiet, &o->mu);
	if (o->dirty)
		cursor_store(o, clock_mono_us());
	while (o->writing)
		pthread_cond_wait(&o->quiet, &o->mu);
	pthread_mutex_unlock(&o->mu);
}

void
outlet_look(struct outlet *o, int64_t now_us)
{
	bool broken;

	pthread_mutex_lock(&o->mu);
	broken = o->failed && o->reader != NULL;
	pthread_mutex_unlock(&o->mu);
	if (broken) {
		reader_close(o);
		o->read_us = now_us + AGAIN_US;
	}
	pthread_mutex_lock(&o->mu);
	if (o->sender != NULL && o->reader == NULL && now_us >= o->read_us)
		reader_open(o);
	if (o->dirty && !o->writing && now_us >= o->write_us)
		cursor_store(o, now_us);
	pthread_mutex_unlock(&o->mu);
}

/* ---- from the definition to what a sender takes ---- */

static struct sink_spec
spec_of(const struct deliveries *d, const struct sink_def *def, struct buf *secret)
{
	sink_secret(def, secret);
	return (struct sink_spec){ .kind = kind_of(def),
		.name = def->id,
		.url = sink_text(def, "url"),
		.secret = buf_view(secret),
		.token = sink_text(def, "token"),
		.client_certificate = sink_text(def, "clientCertificate"),
		.client_key = sink_text(def, "clientKey"),
		.ca = sink_text(def, "ca"),
		.origin = sink_bool(def, "handshake") ? d->o.origin : STR_NONE,
		.timeout_s = (uint32_t)sink_int(def, "timeoutSeconds"),
		.path = sink_text(def, "path"),
		.max_bytes = (uint64_t)sink_int(def, "maxBytes"),
		.files = (uint32_t)sink_int(def, "files"),
		.brokers = sink_text(def, "brokers"),
		.topic = sink_text(def, "topic"),
		.username = sink_text(def, "username"),
		.password = sink_text(def, "password"),
		.mechanism = sink_text(def, "mechanism"),
		.tls = sink_bool(def, "tls") };
}

/* Disabled: what was read is read again, when it is enabled. */
static void
disable(struct outlet *o)
{
	reader_close(o);
	pthread_mutex_lock(&o->mu);
	o->fault = (struct fault){ 0 };
	pthread_mutex_unlock(&o->mu);
}

void
outlet_begin(struct outlet *o)
{
	struct buf secret = { 0 };
	struct sender *made = NULL;
	struct fault f = { 0 };
	struct sink_spec spec;

	assert(o->sender == NULL);
	if (!o->def->enabled) {
		disable(o);
		return;
	}
	spec = spec_of(o->d, o->def, &secret);
	(void)sender_new(o->d->senders, &spec, &made, &f);
	buf_fini(&secret);
	pthread_mutex_lock(&o->mu);
	o->sender = made;
	o->fault = f;
	offer(o);
	pthread_mutex_unlock(&o->mu);
}

void
outlet_pause(struct outlet *o)
{
	struct sender *s;

	pthread_mutex_lock(&o->mu);
	s = o->sender;
	o->sender = NULL;
	pthread_mutex_unlock(&o->mu);
	if (s != NULL)
		sender_end(s);
}

void
outlet_end(struct outlet *o)
{
	outlet_pause(o);
	reader_close(o);
	cursor_settle(o);
}

/* ---- what is to be said of it ---- */

static void
show_error(struct out *out, const char *text, int64_t us)
{
	out_open(out_key(out, "lastError"));
	out_cstr(out_key(out, "message"), text);
	out_some_time(out, "time", us);
	out_close(out);
}

static void
show_sender(const struct outlet *o, struct out *out)
{
	struct sender_state st;

	sender_look(o->sender, &st);
	out_cstr(out_key(out, "state"), sender_phase_names[st.phase]);
	out_u64(out_key(out, "delivered"), st.delivered);
	out_u64(out_key(out, "givenUp"), st.given_up);
	out_u64(out_key(out, "attempts"), st.attempts);
	out_some_time(out, "lastSuccess", st.success_us);
	if (o->fault.code != F_NONE)
		show_error(out, o->fault.text, 0);
	else if (st.error_us != 0)
		show_error(out, st.error, st.error_us);
	if (st.wait_us > 0)
		out_time(out_key(out, "nextAttempt"), clock_wall_us() + st.wait_us);
}

/* Positions of the log behind what the place has; of some of them nothing is for it. */
static uint64_t
lag_of(const struct outlet *o)
{
	struct position end;
	uint64_t lag = 0;

	feed_now(o->d->world.feed, &end);
	for (unsigned s = 0; s < POSITION_SHARDS; s++)
		lag += end.next[s] > o->taken.next[s] ? end.next[s] - o->taken.next[s] : 0;
	return lag;
}

static void
show_lag(const struct outlet *o, struct out *out)
{
	if (o->begun && o->d->world.feed != NULL)
		out_u64(out_key(out, "lag"), lag_of(o));
}

void
outlet_show(struct outlet *o, struct out *out)
{
	out_open(out);
	pthread_mutex_lock(&o->mu);
	if (o->sender != NULL) {
		show_sender(o, out);
	} else {
		out_cstr(out_key(out, "state"),
		    o->def->enabled ? sender_phase_names[SENDER_WAITING] : OUTLET_DISABLED);
		if (o->fault.code != F_NONE)
			show_error(out, o->fault.text, 0);
	}
	if (o->def->enabled) {
		out_u64(out_key(out, "dropped"), o->dropped);
		show_lag(o, out);
	}
	pthread_mutex_unlock(&o->mu);
	out_close(out);
}

void
outlet_look_at(struct outlet *o, struct metric_looks *looks)
{
	enum sink_kind kind = kind_of(o->def);
	struct sender_state st = { 0 };
	bool fails;

	pthread_mutex_lock(&o->mu);
	if (o->sender != NULL)
		sender_look(o->sender, &st);
	fails = st.attempts > 0 || st.phase == SENDER_STOPPED || o->fault.code != F_NONE;
	if (o->def->enabled) {
		looks->sinks[kind]++;
		looks->sinks_failing[kind] += fails;
		if (o->begun && o->d->world.feed != NULL)
			looks->sink_lag_events[kind] =
			    fmax(looks->sink_lag_events[kind], (double)lag_of(o));
	}
	pthread_mutex_unlock(&o->mu);
}
