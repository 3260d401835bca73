/*
 * One session on a table: packets go in as bytes, what it wants done is kept, the fleet's answers are whatever the test says.
 * No socket, no clock, no thread. Used by the fuzzer, too.
 */
#ifndef MQTT_KIT_H
#define MQTT_KIT_H

#include "event/telemetry.h"
#include "mqtt/session.h"

#include <stdio.h>
#include <stdlib.h>

#define UNUSED  __attribute__((unused))
#define HOST    "hub.example.test"
#define SECOND  INT64_C(1000000)
#define MONO_US (INT64_C(5000) * SECOND) /* when a test begins */
#define WALL_US INT64_C(1800000000000000)

struct desk {
	struct session_world world;
	struct sessions all;
	struct session s;
	int64_t now_us, wall_us;
	enum reason outdated; /* the catalogue's word on what has opened it */
	struct limits limits; /* if limited */
	uint64_t metered;     /* bytes */
	/* what has come of it */
	struct buf sent;
	struct work **works; /* under way, oldest first */
	size_t nwork;
	unsigned nline; /* lines of the log, and the last one */
	struct log_story line;
	char detail[FAULT_TEXT_MAX];
	enum session_ending ending;
	bool accepted, doomed;
};

/* ---- the world ---- */

static struct desk *
desk_of(struct session *s)
{
	return container_of(s, struct desk, s);
}

static bool
desk_host(struct session *s, struct str host)
{
	(void)s;
	return str_eq(host, STR(HOST));
}

static void
desk_shows(struct session *s, struct tls_peer *out)
{
	(void)s;
	memset(out, 0, sizeof(*out));
}

static enum reason
desk_outdated(struct session *s, uint64_t judged_by)
{
	(void)judged_by;
	return desk_of(s)->outdated;
}

static const atomic_bool desk_limited = true;

static bool
desk_allows(struct session *s, enum limit_kind kind, const struct limit_asker *asker,
    struct limit_refusal *why)
{
	struct desk *d = desk_of(s);

	return limits_allow(&d->limits, kind, asker, d->now_us * 1000, why);
}

static bool
desk_takes(struct session *s, enum limit_kind kind, const struct limit_asker *asker,
    struct limit_refusal *why)
{
	struct desk *d = desk_of(s);

	return limits_take(&d->limits, kind, asker, d->now_us * 1000, why);
}

static void
desk_meters(struct session *s, uint64_t bytes)
{
	(void)s;
	desk_of(s)->metered += bytes;
}

static int64_t
desk_wall_us(struct session *s)
{
	return desk_of(s)->wall_us;
}

static void
desk_random(struct session *s, unsigned char out[16])
{
	(void)s;
	memset(out, 0xab, 16);
}

/* ---- birth and end ---- */

static void
desk_open(struct desk *d)
{
	session_open(&d->s, &d->all, (struct reply_to){ .loop = 1, .slot = 7, .generation = 3 }, 0);
	d->ending = SESSION_STAYS;
	d->accepted = d->doomed = false;
}

static UNUSED void
desk_init(struct desk *d, uint32_t max_in_flight)
{
	*d = (struct desk){ .world = { .host_is_mine = desk_host,
		                .shows = desk_shows,
		                .outdated = desk_outdated,
		                .wall_us = desk_wall_us,
		                .random = desk_random },
		.now_us = MONO_US,
		.wall_us = WALL_US };
	sessions_init(&d->all, &d->world, max_in_flight);
	desk_open(d);
}

/* Rules as --rate-limit has them. */
static UNUSED void
desk_limit(struct desk *d, const char *rule)
{
	struct limit_rules rules = { 0 };
	char why[256];
	enum err e = limit_rule_parse(str_of(rule), &rules, why, sizeof(why));

	assert(e == ERR_OK);
	(void)e;
	limits_init(&d->limits, &rules, 10);
	d->world.limited = &desk_limited;
	d->world.allows = desk_allows;
	d->world.takes = desk_takes;
	d->world.meters = desk_meters;
}

static UNUSED void
desk_fini(struct desk *d)
{
	for (size_t i = 0; i < d->nwork; i++)
		work_free(d->works[i]);
	free(d->works);
	session_fini(&d->s);
	sessions_fini(&d->all);
	limits_fini(&d->limits);
	buf_fini(&d->sent);
}

/* ---- what comes of it ---- */

static void
desk_perform(struct desk *d, const struct actions *a)
{
	if (a->line.reason != REASON_NONE) {
		d->nline++;
		d->line = a->line;
		snprintf(d->detail, sizeof(d->detail), "%.*s", (int)a->line.detail.n,
		    a->line.detail.n ? a->line.detail.p : "");
	}
	buf_str(&d->sent, a->send);
	if (a->work != NULL) {
		d->works = xrealloc(d->works, (d->nwork + 1) * sizeof(struct work *));
		d->works[d->nwork++] = a->work;
	}
	d->accepted |= a->accepted;
	d->doomed |= a->doomed;
	if (a->ending > d->ending)
		d->ending = a->ending;
}

/* As the loop does with what a stream has received: how many bytes were taken. */
static size_t
desk_bytes(struct desk *d, struct str in)
{
	struct actions rest = { 0 };
	enum err e = ERR_OK;
	size_t used = 0;

	while (e == ERR_OK && used < in.n && session_reads(&d->s)) {
		struct actions a = { 0 };
		size_t size = 0;

		e = session_bytes(&d->s, str_sub(in, used), d->now_us, &size, &a);
		desk_perform(d, &a);
		if (e == ERR_OK)
			used += size;
	}
	session_waits(&d->s, in.n - used, &rest);
	desk_perform(d, &rest);
	return used;
}

/* The oldest work, which is the test's from then on. */
static struct work *
desk_take(struct desk *d)
{
	struct work *w = d->works[0];

	assert(d->nwork > 0);
	memmove(d->works, d->works + 1, --d->nwork * sizeof(struct work *));
	return w;
}

/* It is back, with its reply. */
static void
desk_answer(struct desk *d, struct work *w)
{
	struct actions a = { 0 };

	if (w->op.kind == OP_CONNECT)
		session_verdict(&d->s, w, d->now_us, d->wall_us, &a);
	else
		session_answer(&d->s, w, &a);
	desk_perform(d, &a);
	work_free(w);
}

static UNUSED void
desk_tick(struct desk *d)
{
	struct actions a = { 0 };

	session_tick(&d->s, d->now_us, &a);
	desk_perform(d, &a);
}

static UNUSED void
desk_note(struct desk *d, const struct note *n)
{
	struct actions a = { 0 };

	session_note(&d->s, n, &a);
	desk_perform(d, &a);
}

static UNUSED void
desk_stop(struct desk *d)
{
	struct actions a = { 0 };

	session_stop(&d->s, &a);
	desk_perform(d, &a);
}

static UNUSED void
desk_end(struct desk *d, enum stream_end end)
{
	struct actions a = { 0 };

	session_end(&d->s, end, &a);
	desk_perform(d, &a);
}

/* ---- packets, as a client writes them ---- */

static void
put_text(struct buf *b, struct str s)
{
	buf_u16be(b, (uint16_t)s.n);
	buf_str(b, s);
}

/* `body` behind a first byte and its length. */
static void
put_packet(struct buf *out, uint8_t first, const struct buf *body)
{
	size_t n = body->n;

	buf_putc(out, (char)first);
	do {
		buf_putc(out, (char)((n & 127) | (n > 127 ? 128 : 0)));
		n >>= 7;
	} while (n > 0);
	buf_str(out, buf_view(body));
}

struct hello { /* a CONNECT; what is NULL is not sent */
	const char *id, *user, *token, *will_topic, *will;
	uint8_t level; /* 0: 4 */
	bool clean;
	uint16_t keep_alive_s;
};

static void
put_connect(struct buf *out, const struct hello *h)
{
	unsigned flags = (h->user ? 0x80u : 0) | (h->token ? 0x40u : 0) |
	    (h->will_topic ? 0x04u : 0) | (h->clean ? 0x02u : 0);
	struct buf body = { 0 };

	put_text(&body, STR("MQTT"));
	buf_putc(&body, (char)(h->level ? h->level : MQTT_LEVEL));
	buf_putc(&body, (char)flags);
	buf_u16be(&body, h->keep_alive_s);
	put_text(&body, str_of(h->id));
	if (h->will_topic) {
		put_text(&body, str_of(h->will_topic));
		put_text(&body, str_of(h->will));
	}
	if (h->user)
		put_text(&body, str_of(h->user));
	if (h->token)
		put_text(&body, str_of(h->token));
	put_packet(out, 0x10, &body);
	buf_fini(&body);
}

static UNUSED void
put_publish(struct buf *out, const char *topic, struct str payload, uint16_t packet_id)
{
	struct buf body = { 0 };

	put_text(&body, str_of(topic));
	if (packet_id != 0)
		buf_u16be(&body, packet_id);
	buf_str(&body, payload);
	put_packet(out, packet_id != 0 ? 0x32 : 0x30, &body);
	buf_fini(&body);
}

/* SUBSCRIBE, or UNSUBSCRIBE, of one filter. */
static UNUSED void
put_filter(struct buf *out, bool subscribe, const char *filter, uint16_t packet_id)
{
	struct buf body = { 0 };

	buf_u16be(&body, packet_id);
	put_text(&body, str_of(filter));
	if (subscribe)
		buf_putc(&body, 1);
	put_packet(out, subscribe ? 0x82 : 0xa2, &body);
	buf_fini(&body);
}

#define HELLO_D1                                                                                   \
	{                                                                                          \
		.id = "d1", .user = HOST "/d1/?api-version=2021-04-12", .token = "t"               \
	}

/* ---- usual ways ---- */

static UNUSED void
desk_hello(struct desk *d, const struct hello *h)
{
	struct buf b = { 0 };

	put_connect(&b, h);
	desk_bytes(d, buf_view(&b));
	buf_fini(&b);
}

/* Its shard says yes: of this epoch, until end_us of the wall clock; 0: for ever. */
static UNUSED void
desk_accept(struct desk *d, int64_t end_us)
{
	struct work *w = desk_take(d);

	w->reply.session_epoch = 42;
	w->reply.verdict.opened.by = OPENED_BY_SELF;
	w->reply.verdict.end_us = end_us;
	desk_answer(d, w);
}

/* Connected; nothing is kept of how. */
static UNUSED void
desk_live(struct desk *d, const struct hello *h)
{
	desk_hello(d, h);
	desk_accept(d, 0);
	d->sent.n = 0;
}

static UNUSED void
desk_publish(struct desk *d, const char *topic, struct str payload, uint16_t packet_id)
{
	struct buf b = { 0 };

	put_publish(&b, topic, payload, packet_id);
	desk_bytes(d, buf_view(&b));
	buf_fini(&b);
}

#define PATCH_TOPIC(rid) "$iothub/twin/PATCH/properties/reported/?$rid=" rid
#define GET_TOPIC(rid)   "$iothub/twin/GET/?$rid=" rid
#define EVENTS_D1        "devices/d1/messages/events/"

#endif
