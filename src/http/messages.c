/*
 * Messages to devices over HTTPS (service-rest.md 15): a back end sends, purges, and reads feedback; a device that polls receives and
 * settles. A message is the body, its properties are headers.
 */
#include "http/priv.h"

#include "message/message.h"

#include <openssl/rand.h>
#include <stdio.h>

#define APP_PREFIX   "iothub-app-"
#define LOCK_LEAST_S 5u /* L-67 */
#define LOCK_MOST_S  300u

/* Headers, without case, that are a message's system properties; and back. */
static const struct {
	const char *name;
	enum bag_key key;
} headers[] = {
	{ "iothub-messageid", BAG_MESSAGE_ID },
	{ "iothub-correlationid", BAG_CORRELATION_ID },
	{ "iothub-userid", BAG_USER_ID },
	{ "iothub-contenttype", BAG_CONTENT_TYPE },
	{ "iothub-contentencoding", BAG_CONTENT_ENCODING },
};
#define NHEADER (sizeof(headers) / sizeof(headers[0]))

/* ---- sending ---- */

/* A message as it is gathered. */
struct draft {
	struct buf bag;
	size_t size;
	unsigned n;
};

static enum err
draft_put(struct draft *d, enum bag_key key, struct str name, struct str value, struct fault *f)
{
	const struct message_property p = { .key = key, .name = name, .value = value };

	return message_put_property(&d->bag, &p, &d->size, &d->n, f);
}

/* Other headers are HTTP's. */
static enum err
take_header(struct draft *d, const struct header *h, struct fault *f)
{
	struct str prefix = { h->name.p, sizeof(APP_PREFIX) - 1 };

	if (h->name.n >= prefix.n && str_ieq(prefix, STR(APP_PREFIX)))
		return draft_put(d, BAG_CUSTOM, str_sub(h->name, prefix.n), h->value, f);
	for (size_t i = 0; i < NHEADER; i++)
		if (str_ieq(h->name, str_of(headers[i].name)))
			return draft_put(d, headers[i].key, STR_NONE, h->value, f);
	return ERR_OK;
}

/* What the headers say besides its properties. */
static enum err
take_terms(const struct request *r, struct op_message *m, struct fault *f)
{
	struct str ack = request_header(r, "iothub-ack"),
	           expiry = request_header(r, "iothub-expiry");

	if (ack.n > 0 && !message_ack_parse(ack, &m->ack))
		return fault_set(f, F_ArgumentInvalid,
		    "iothub-ack is '" STR_FMT "', not none, positive, negative or full",
		    STR_ARG(ack));
	if (expiry.n > 0 && (!time_parse(expiry, &m->expiry_us) || m->expiry_us <= 0))
		return fault_set(f, F_ArgumentInvalid,
		    "iothub-expiry is '" STR_FMT "', which is no time (2026-01-31T12:00:00Z)",
		    STR_ARG(expiry));
	return ERR_OK;
}

static enum err
take_properties(const struct request *r, struct draft *d, struct fault *f)
{
	struct str encoding = request_header(r, "Content-Encoding");
	unsigned char random[LOCK_TOKEN] = { 0 };
	char id[LOCK_TOKEN_TEXT];
	enum err e = ERR_OK;

	if (request_header(r, "iothub-messageid").n == 0) {
		(void)RAND_bytes(random, sizeof(random));
		lock_token_write(id, random);
		e = draft_put(d, BAG_MESSAGE_ID, STR_NONE, str_of(id), f);
	}
	for (size_t i = 0; i < r->ask.nheader && e == ERR_OK; i++)
		e = take_header(d, &r->ask.headers[i], f);
	if (e == ERR_OK && encoding.n > 0 && request_header(r, "iothub-contentencoding").n == 0)
		e = draft_put(d, BAG_CONTENT_ENCODING, STR_NONE, encoding, f);
	return e;
}

void
on_message_post(struct request *r)
{
	struct op_message terms = { 0 };
	struct draft d = { 0 };
	struct work *w;

	if (take_terms(r, &terms, &r->fault) != ERR_OK ||
	    take_properties(r, &d, &r->fault) != ERR_OK) {
		request_refuse(r);
	} else {
		terms.bag_bytes = (uint32_t)d.bag.n;
		buf_str(&d.bag, r->ask.body);
		w = request_work(r, OP_MESSAGE_SEND, d.bag.n, done_empty);
		w->op.message = terms;
		w->op.payload = work_str(w, buf_view(&d.bag));
		request_submit(r, w);
	}
	buf_fini(&d.bag);
}

static void
done_purge(struct work *w)
{
	struct request *r = work_back(w);
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (r != NULL) {
		out_open(&o);
		out_str(out_key(&o, "deviceId"), w->op.device);
		out_null(out_key(&o, "moduleId"));
		out_u64(out_key(&o, "totalMessagesPurged"), w->reply.version);
		out_close(&o);
		reply_json(r, 200, buf_view(&json));
	}
	buf_fini(&json);
	work_free(w);
}

void
on_purge(struct request *r)
{
	struct work *w = request_work(r, OP_MESSAGES_PURGE, WORK_PEER_ROOM, done_purge);

	work_peer(w, r);
	request_submit(r, w);
}

/* ---- receiving ---- */

static bool
is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c <= ' ' || c >= 0x7F || char_among(c, "()<>@,;:\\\"/[]?={}"))
			return false;
	}
	return s.n > 0;
}

static bool
is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] >= 0x7F)
			return false;
	return true;
}

static const char *
kept(struct request *r, const char *prefix, struct str s)
{
	struct buf b = { 0 };
	const char *p;

	buf_cstr(&b, prefix);
	buf_str(&b, s);
	buf_putc(&b, '\0');
	p = arena_str(&r->arena, buf_view(&b)).p;
	buf_fini(&b);
	return p;
}

/* What is no header, name or value, cannot be said here. */
static void
say(struct request *r, const char *prefix, struct str name, struct str value)
{
	if (is_token(name) && is_ascii(value))
		add_header(r, kept(r, prefix, name), kept(r, "", value));
}

static void
say_number(struct request *r, const char *name, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	add_header(r, name, text);
}

static void
say_time(struct request *r, const char *name, int64_t us)
{
	char text[TIME_TEXT_MAX];

	text[time_format(us, text)] = '\0';
	add_header(r, name, text);
}

static void
say_properties(struct request *r, struct str rest)
{
	struct message_property p;

	while (message_property_next(&rest, &p)) {
		if (p.key == BAG_CUSTOM)
			say(r, APP_PREFIX, p.name, p.value);
		for (size_t i = 0; i < NHEADER; i++)
			if (headers[i].key == p.key)
				say(r, "", str_of(headers[i].name), p.value);
	}
}

static void
reply_message(struct request *r, const struct work *w, const struct message *m)
{
	struct str type = message_property_find(m->properties, BAG_CONTENT_TYPE);
	char etag[sizeof(w->reply.etag) + 2], to[ID_MAX + 40];

	snprintf(etag, sizeof(etag), "\"%s\"", w->reply.etag);
	add_header(r, "ETag", etag);
	say_properties(r, m->properties);
	snprintf(to, sizeof(to), "/devices/" STR_FMT "/messages/deviceBound", STR_ARG(m->device));
	add_header(r, "iothub-to", to);
	say_number(r, "iothub-sequencenumber", w->reply.message.number);
	say_number(r, "iothub-deliverycount", w->reply.message.deliveries);
	say_time(r, "iothub-enqueuedtime", m->enqueued_us);
	if (m->expires)
		say_time(r, "iothub-expiry", m->expiry_us);
	if (m->ack != ACK_NONE)
		say(r, "", STR("iothub-ack"), message_ack_name(m->ack));
	body_str(r, m->payload);
	reply_body(
	    r, 200, type.n > 0 && is_ascii(type) ? kept(r, "", type) : "application/octet-stream");
}

static void
done_receive(struct work *w)
{
	struct request *r = work_back(w);
	struct message m;

	if (r != NULL && w->reply.message.number == 0)
		reply_empty(r, 204);
	else if (r != NULL && message_decode(buf_view(&w->reply.body), &m) == ERR_OK)
		reply_message(r, w, &m);
	else if (r != NULL)
		reply_error(r, F_StoredDamaged, "the stored message is damaged");
	work_free(w);
}

/* `az iot device c2d-message receive --lock-timeout` says how long its lock is to last. */
static enum err
take_lock_time(const struct request *r, struct op_message *m, struct fault *f)
{
	struct str text = request_header(r, "IotHub-MessageLockTimeout");
	uint64_t seconds;

	if (text.n == 0)
		return ERR_OK;
	if (!str_u64(text, &seconds) || seconds < LOCK_LEAST_S || seconds > LOCK_MOST_S)
		return fault_set(f, F_ArgumentInvalid,
		    "IotHub-MessageLockTimeout is '" STR_FMT "', not %u to %u seconds",
		    STR_ARG(text), LOCK_LEAST_S, LOCK_MOST_S);
	m->lock_s = (uint16_t)seconds;
	return ERR_OK;
}

void
on_message_poll(struct request *r)
{
	struct op_message m = { 0 };
	struct work *w;

	if (take_lock_time(r, &m, &r->fault) != ERR_OK) {
		request_refuse(r);
		return;
	}
	w = request_work(r, OP_MESSAGE_RECEIVE, 0, done_receive);
	w->op.message = m;
	request_submit(r, w);
}

/* ---- settling: messages by the device, feedback by a back end ---- */

/* The lock of the path, in that segment. ERR_ARG: there is no such lock. */
static enum err
take_lock(const struct request *r, unsigned segment, struct op_message *m, struct fault *f)
{
	bool reject = request_has_param(r, "reject");

	if (r->method == HTTP_POST)
		m->outcome = MESSAGE_ABANDON;
	else
		m->outcome = reject ? MESSAGE_REJECT : MESSAGE_COMPLETE;
	if (lock_token_parse(r->segment[segment], m->token))
		return ERR_OK;
	return fault_set(f, F_DeviceMessageLockLost, "the lock is over, or was never given");
}

void
on_message_settled(struct request *r)
{
	struct op_message m = { 0 };
	struct work *w;

	if (take_lock(r, 4, &m, &r->fault) != ERR_OK) {
		request_refuse(r);
		return;
	}
	w = request_work(r, OP_MESSAGE_SETTLE, 0, done_empty);
	w->op.message = m;
	request_submit(r, w);
}

void
on_feedback_settled(struct request *r)
{
	struct op_message m = { 0 };
	struct work *w;

	if (take_lock(r, 3, &m, &r->fault) != ERR_OK) {
		reply_fault(r, &r->fault);
		return;
	}
	m.shard = m.token[0] % SHARDS; /* as OP_FEEDBACK_RECEIVE has made it */
	w = request_work(r, OP_FEEDBACK_SETTLE, 0, done_empty);
	w->op.device = w->op.module = STR_NONE;
	w->op.message = m;
	request_submit(r, w);
}

/* ---- feedback: shards that have some are asked until one gives it ---- */

static void feedback_ask(struct request *r);

static void
done_feedback(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL && w->reply.body.n == 0)
		feedback_ask(r);
	else if (r != NULL)
		reply_etag(r, 200, buf_view(&w->reply.body), w->reply.etag);
	work_free(w);
}

static void
feedback_ask(struct request *r)
{
	unsigned from = r->hl->feedback_turn++ % SHARDS, shard;
	uint64_t behind = r->shards >> from << from;
	struct work *w;

	if (r->shards == 0) {
		reply_empty(r, 204);
		return;
	}
	shard = (unsigned)__builtin_ctzll(behind != 0 ? behind : r->shards);
	r->shards &= ~(UINT64_C(1) << shard);
	w = request_work(r, OP_FEEDBACK_RECEIVE, 0, done_feedback);
	w->op.device = w->op.module = STR_NONE;
	w->op.message.shard = (uint8_t)shard;
	request_submit(r, w);
}

void
on_feedback(struct request *r)
{
	r->shards = fleet_feedback_anywhere(r->hl->o.fleet);
	feedback_ask(r);
}
