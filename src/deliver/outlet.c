/* One sink at work: its sender as the definition wants it, and what is to be said of it. */
#include "deliver/priv.h"
#include "os/clock.h"

struct outlet *
outlet_new(struct sink_def *def)
{
	struct outlet *o = xcalloc(1, sizeof(*o));

	o->def = sink_def_ref(def);
	return o;
}

void
outlet_free(struct outlet *o)
{
	assert(o->sender == NULL);
	sink_def_unref(o->def);
	free(o);
}

/* ---- from the definition to what a sender takes ---- */

static struct sink_spec
spec_of(const struct deliveries *d, const struct sink_def *def, struct buf *secret)
{
	static const enum sink_kind kinds[SINK_TYPES] = {
		[TO_WEBHOOK] = SINK_WEBHOOK, [TO_FILE] = SINK_FILE, [TO_KAFKA] = SINK_KAFKA
	};

	sink_secret(def, secret);
	return (struct sink_spec){ .kind = kinds[def->type],
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

void
outlet_begin(struct deliveries *d, struct outlet *o)
{
	struct buf secret = { 0 };
	struct sender *made = NULL;
	struct fault f = { 0 };
	struct sink_spec spec;

	assert(o->sender == NULL);
	if (o->def->enabled) {
		spec = spec_of(d, o->def, &secret);
		(void)sender_new(d->senders, &spec, &made, &f);
	}
	buf_fini(&secret);
	pthread_mutex_lock(&d->mu);
	o->sender = made;
	o->fault = f;
	pthread_mutex_unlock(&d->mu);
}

void
outlet_end(struct deliveries *d, struct outlet *o)
{
	struct sender *s;

	pthread_mutex_lock(&d->mu);
	s = o->sender;
	o->sender = NULL;
	pthread_mutex_unlock(&d->mu);
	if (s != NULL)
		sender_end(s);
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
	if (st.error_us != 0)
		show_error(out, st.error, st.error_us);
	if (st.wait_us > 0)
		out_time(out_key(out, "nextAttempt"), clock_wall_us() + st.wait_us);
}

void
outlet_show(const struct outlet *o, struct out *out)
{
	out_open(out);
	if (o->sender != NULL) {
		show_sender(o, out);
	} else {
		out_cstr(out_key(out, "state"),
		    o->def->enabled ? sender_phase_names[SENDER_WAITING] : OUTLET_DISABLED);
		if (o->fault.code != F_NONE)
			show_error(out, o->fault.text, 0);
	}
	out_close(out);
}
