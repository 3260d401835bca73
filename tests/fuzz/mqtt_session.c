/*
 * A session, and anything that can come to it in any order: packets whole and in pieces, good and bad; verdicts and answers,
 * notes, the time, its turn, a stop, the end of the stream, and answers after that. After each: what it wants done is what
 * may come of that, its bounds hold, and what has ended does nothing.
 */
#include "../unit/mqtt_kit.h"
#include "fuzz.h"

#define IN_MAX (64u * 1024) /* what the stream keeps for it */

struct play {
	struct desk d;
	struct buf in; /* received, not taken */
	unsigned naccepted,
	    ngone;      /* verdicts that were good; operations that say the link is gone */
	unsigned nover; /* lines that say that it is over */
	bool goodbye, ended, drops; /* drops: its stream has been told to */
};

/* ---- after each input ---- */

struct before {
	size_t nwork;
	unsigned nline;
	enum session_state state;
};

static struct before
begin(struct play *p)
{
	p->d.sent.n = 0;
	return (struct before){ p->d.nwork, p->d.nline, (enum session_state)p->d.s.state };
}

static void
check_bounds(const struct desk *d)
{
	const struct session *s = &d->s;
	uint32_t n = 0, bytes = 0;

	for (size_t i = 0; i < d->nwork; i++) {
		if (d->works[i]->op.kind != OP_DISCONNECT) {
			n++;
			bytes += (uint32_t)d->works[i]->room;
		}
	}
	if (s->state == S_CLOSED)
		return;
	require(s->nwork == n && s->work_bytes == bytes);
	require(n <= d->all.max_in_flight);
	require(bytes <= MQTT_IN_FLIGHT_BYTES + MQTT_REMAINING_MAX + 1024);
	require(!session_reads(s) ||
	    ((s->state == S_NEW || s->state == S_LIVE) && n < d->all.max_in_flight &&
	        bytes < MQTT_IN_FLIGHT_BYTES));
	require(session_reads(s) || s->state != S_LIVE || s->rest_us != SESSION_NEVER || s->held ||
	    n > d->all.max_in_flight / 2 || bytes > MQTT_IN_FLIGHT_BYTES / 2);
	require(s->state == S_LIVE || session_due_us(s) == SESSION_NEVER);
	require(d->all.strangers == s->waiting);
	require(d->ending == SESSION_STAYS || s->state == S_LEAVING);
}

/* It has nothing to say or do; `nwork` operations it may have been left to submit. */
static void
check_end(struct play *p, const struct before *b, size_t nwork)
{
	struct desk *d = &p->d;

	if (d->nline > b->nline &&
	    (d->line.event == LOG_CLOSED || d->line.event == LOG_CONNECT_REFUSED))
		p->nover++;
	require(p->nover <= 1);
	require(d->nline <= b->nline + 1);
	if (b->state >= S_LEAVING) {
		require(d->sent.n == 0);
		require(d->nwork <= b->nwork + nwork);
		require(p->ended || d->nline == b->nline);
	}
	if (d->nwork > b->nwork && d->works[d->nwork - 1]->op.kind == OP_DISCONNECT)
		p->ngone++;
	require(p->ngone <= p->naccepted);
	check_bounds(d);
}

/* Is what was sent one packet of this first byte (and id, of acknowledgements)? Takes it off. */
static bool
take_sent(struct str *sent, uint8_t first, int packet_id)
{
	size_t n = 0, at = 1;
	unsigned shift = 0;

	if (sent->n < 2 || (uint8_t)sent->p[0] != first)
		return false;
	do {
		require(at < sent->n && shift < 28);
		n |= (size_t)((uint8_t)sent->p[at] & 127) << shift;
		shift += 7;
	} while ((uint8_t)sent->p[at++] & 128);
	require(sent->n - at >= n && at + n <= MQTT_SEND_MAX);
	if (packet_id >= 0)
		require(
		    n >= 2 && packet_id == ((uint8_t)sent->p[at] << 8 | (uint8_t)sent->p[at + 1]));
	*sent = str_sub(*sent, at + n);
	return true;
}

/* ---- packets ---- */

/* What has come of the packet, which was taken. */
static void
check_packet(struct play *p, const struct mqtt_packet *in, const struct before *b)
{
	struct desk *d = &p->d;
	struct str sent = buf_view(&d->sent);
	bool submits = d->nwork == b->nwork + 1;
	const struct work *w = submits ? d->works[d->nwork - 1] : NULL;

	require(b->state == (in->type == MQTT_CONNECT ? S_NEW : S_LIVE));
	switch (in->type) {
	case MQTT_CONNECT:
		if (submits) {
			require(w->op.kind == OP_CONNECT && d->s.state == S_ASKING);
		} else {
			require(take_sent(&sent, 0x20, -1) && d->s.state == S_LEAVING);
			require(d->sent.p[3] != CONNACK_ACCEPTED && d->ending == SESSION_LEAVES);
		}
		break;
	case MQTT_PUBLISH:
		require(submits && w->tag == in->publish.packet_id);
		require(w->rid.n != 0 || w->op.kind != OP_TWIN_GET);
		break;
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		require(submits && (w->tag & 0xffff) == in->filters.packet_id);
		require(w->op.kind == (in->type == MQTT_SUBSCRIBE ? OP_SUBSCRIBE : OP_UNSUBSCRIBE));
		break;
	case MQTT_PINGREQ: require(take_sent(&sent, 0xd0, -1)); break;
	case MQTT_DISCONNECT:
		require(d->ending == SESSION_LEAVES);
		p->goodbye = true;
		break;
	default: require(in->type == MQTT_PUBACK); break;
	}
	require(sent.n == 0);
}

/* All that it takes of what the stream has for it; as loop.c. */
static void
feed(struct play *p)
{
	struct desk *d = &p->d;
	struct actions rest = { 0 };
	enum err e = ERR_OK;
	size_t used = 0;

	while (e == ERR_OK && used < p->in.n && session_reads(&d->s) && !p->drops) {
		struct str in = str_sub(buf_view(&p->in), used);
		struct before b = begin(p);
		struct actions a = { 0 };
		struct mqtt_packet packet;
		size_t size = 0;
		enum err whole = mqtt_decode(in, &packet, &size);

		e = session_bytes(&d->s, in, d->now_us, &size, &a);
		desk_perform(d, &a);
		require(e == ERR_OK || e == ERR_MORE || d->ending == SESSION_DROPS);
		require(e != ERR_OK || whole == ERR_OK);
		if (e == ERR_OK) {
			check_packet(p, &packet, &b);
			used += size;
		} else {
			require(d->nwork == b.nwork && d->sent.n == 0);
			/* Whole, and to come again: telemetry that a rate limit holds up. */
			require(e != ERR_MORE || whole != ERR_OK ||
			    (d->s.rest_us != SESSION_NEVER && packet.type == MQTT_PUBLISH));
		}
		check_end(p, &b, 0);
	}
	p->in.n -= used;
	if (p->in.n != 0)
		memmove(p->in.p, p->in.p + used, p->in.n);
	if (p->ended)
		return;
	session_waits(&d->s, p->in.n, &rest);
	desk_perform(d, &rest);
	require(d->s.waiting == (d->s.state == S_NEW ? p->in.n : 0));
	check_bounds(d);
}

/* More came; a closing stream takes none. */
static void
receive(struct play *p, struct str bytes)
{
	if (p->ended || p->d.ending != SESSION_STAYS || p->in.n + bytes.n > IN_MAX)
		return;
	buf_str(&p->in, bytes);
	feed(p);
}

static void
send_connect(struct play *p, struct str *in)
{
	static const char *const users[] = { HOST "/d1/?api-version=2021-04-12", HOST "/d1/m1/",
		"other/d1/", NULL };
	unsigned how = fuzz_choice(in, 64);
	struct hello h = { .id = how & 1 ? "d1/m1" : "d1",
		.user = users[how >> 1 & 3],
		.token = how & 8 ? "SharedAccessSignature sr=x&sig=y&se=1&skn=p" : NULL,
		.will_topic = how & 16 ? EVENTS_D1 : NULL,
		.will = "w",
		.clean = how & 32,
		.keep_alive_s = (uint16_t)fuzz_choice(in, 100) };
	struct buf b = { 0 };

	put_connect(&b, &h);
	receive(p, buf_view(&b));
	buf_fini(&b);
}

static void
send_publish(struct play *p, struct str *in)
{
	static const char *const topics[] = { GET_TOPIC("1"), PATCH_TOPIC("2"),
		PATCH_TOPIC("3") "&$version=x", EVENTS_D1,
		"devices/d1/modules/m1/messages/events/a=b", "$iothub/methods/res/200/?$rid=1",
		"$iothub/twin/GET/", "not/mine" };
	static const char *const payloads[] = { "{}", "{\"a\":{\"b\":null}}", "{no", "" };
	const char *topic = topics[fuzz_choice(in, 8)];
	const char *payload = payloads[fuzz_choice(in, 4)];
	struct buf b = { 0 };

	put_publish(&b, topic, str_of(payload), (uint16_t)fuzz_choice(in, 4));
	receive(p, buf_view(&b));
	buf_fini(&b);
}

static void
send_filter(struct play *p, struct str *in)
{
	static const char *const filters[] = { "$iothub/twin/res/#", "#", "a/b" };
	unsigned how = fuzz_choice(in, 6);
	struct buf b = { 0 };

	put_filter(&b, how & 1, filters[how >> 1], (uint16_t)(1 + fuzz_choice(in, 3)));
	receive(p, buf_view(&b));
	buf_fini(&b);
}

static void
send_small(struct play *p, struct str *in)
{
	static const char packets[][4] = { { '\xc0', 0 }, { '\xe0', 0 }, { '\x40', 2, 0, 1 } };
	unsigned i = fuzz_choice(in, 3);

	receive(p, (struct str){ packets[i], i == 2 ? 4 : 2 });
}

static void
send_raw(struct play *p, struct str *in)
{
	size_t n = fuzz_choice(in, 64);

	if (n > in->n)
		n = in->n;
	receive(p, (struct str){ in->p, n });
	*in = str_sub(*in, n);
}

/* ---- what comes from the fleet ---- */

static void
reply_make(struct work *w, struct str *in)
{
	static const enum fault_code faults[] = { F_NONE, F_NONE, F_NONE, F_ArgumentInvalid,
		F_ServiceUnavailable, F_IotHubUnauthorizedAccess, F_ThrottlingException };
	static const int64_t ends_us[] = { 0, INT64_MAX, WALL_US + 100 * SECOND, WALL_US - SECOND };
	unsigned how = fuzz_choice(in, 64);
	enum fault_code code = faults[fuzz_choice(in, 7)];

	w->reply.deliver = how & 1;
	w->reply.gone = how & 2 && how & 4 && w->op.kind != OP_CONNECT;
	w->reply.version = 5;
	if (w->reply.fault.code == F_NONE && code != F_NONE)
		fault_set(&w->reply.fault, code, "because");
	if (w->op.kind == OP_SUBSCRIBE && w->reply.fault.code == F_NONE)
		for (uint32_t i = 0; i < w->tag >> 16; i++)
			buf_putc(&w->reply.body, (char)(how & 8 ? 1 : SUBACK_REFUSED));
	else if (w->op.kind == OP_TWIN_GET)
		buf_cstr(&w->reply.body, "{}");
	w->reply.session_epoch = 42;
	w->reply.session_present = how & 8;
	w->reply.verdict.end_us = ends_us[how >> 4];
}

static void
check_answer(const struct work *w, struct str sent, bool live)
{
	if (w->op.kind == OP_CONNECT) {
		if (live)
			require(take_sent(&sent, 0x20, -1));
	} else if (w->op.kind == OP_SUBSCRIBE) {
		take_sent(&sent, 0x90, (int)(w->tag & 0xffff));
	} else if (w->op.kind == OP_UNSUBSCRIBE) {
		take_sent(&sent, 0xb0, (int)(w->tag & 0xffff));
	} else {
		if (w->tag != 0)
			take_sent(&sent, 0x40, (int)w->tag);
		if (w->rid.n != 0)
			take_sent(&sent, 0x30, -1);
	}
	require(sent.n == 0);
}

static void
answer(struct play *p, struct str *in)
{
	struct desk *d = &p->d;
	struct before b;
	struct work *w;
	bool good;

	if (d->nwork == 0)
		return;
	w = desk_take(d);
	reply_make(w, in);
	good = w->op.kind == OP_CONNECT && w->reply.fault.code == F_NONE;
	p->naccepted += good;
	b = begin(p);
	if (w->op.kind == OP_DISCONNECT) {
		work_free(w);
	} else if (p->ended) { /* it finds nobody */
		if (good) {
			struct actions a = { .work = session_orphan(w) };

			desk_perform(d, &a);
		}
		check_end(p, &b, good);
		work_free(w);
	} else {
		struct actions a = { 0 };

		if (w->op.kind == OP_CONNECT)
			session_verdict(&d->s, w, d->now_us, d->wall_us, &a);
		else
			session_answer(&d->s, w, &a);
		desk_perform(d, &a);
		check_answer(w, buf_view(&d->sent), b.state < S_LEAVING);
		check_end(p, &b, good);
		work_free(w);
		feed(p); /* it may read again */
	}
}

static void
note(struct play *p, struct str *in)
{
	static const struct note notes[] = {
		{ .kind = EFFECT_NOTIFY, .version = 2, .body = STR("{\"$version\":2}") },
		{ .kind = EFFECT_METHOD, .call = 77, .name = STR("m"), .body = STR("null") },
		{ .kind = EFFECT_CLOSE, .reason = REASON_TAKEN_OVER },
		{ .kind = EFFECT_CLOSE, .reason = REASON_KEY_CHANGED, .paced = true },
	};
	unsigned i = fuzz_choice(in, 4);
	struct before b = begin(p);
	struct str sent;

	if (p->ended)
		return;
	desk_note(&p->d, &notes[i]);
	sent = buf_view(&p->d.sent);
	require(i < 2 && b.state == S_LIVE ? take_sent(&sent, 0x30, -1) : true);
	require(sent.n == 0 && p->d.nwork == b.nwork);
	check_end(p, &b, 0);
}

/* ---- time, and the end ---- */

static void
pass_time(struct play *p, struct str *in)
{
	static const int64_t steps_us[] = { 0, 1, SECOND / 10, SECOND, 10 * SECOND, 100 * SECOND,
		5000 * SECOND };
	unsigned how = fuzz_choice(in, 8);
	struct desk *d = &p->d;
	int64_t due_us = session_due_us(&d->s);
	struct before b = begin(p);

	if (how < 7)
		d->now_us += steps_us[how];
	else if (due_us != SESSION_NEVER)
		d->now_us = due_us > d->now_us ? due_us : d->now_us;
	if (p->ended)
		return;
	desk_tick(d);
	require(session_due_us(&d->s) > d->now_us); /* or it would be called for ever */
	require(d->sent.n == 0 && d->nwork == b.nwork && d->nline == b.nline);
	check_end(p, &b, 0);
	feed(p);
}

static void
turn(struct play *p)
{
	struct before b = begin(p);
	struct actions a = { 0 };

	if (p->ended || p->d.s.doomed == REASON_NONE || p->d.s.state != S_LIVE)
		return;
	session_turn(&p->d.s, &a);
	desk_perform(&p->d, &a);
	require(p->d.ending == SESSION_DROPS);
	check_end(p, &b, 0);
}

static void
stop(struct play *p)
{
	struct before b = begin(p);

	if (p->ended)
		return;
	desk_stop(&p->d);
	check_end(p, &b, 0);
}

static void
end(struct play *p, struct str *in)
{
	enum stream_end why = (enum stream_end)fuzz_choice(in, STREAM_SHUTDOWN + 1);
	struct desk *d = &p->d;
	struct before b = begin(p);
	const struct work *w;

	if (p->ended)
		return;
	p->ended = true;
	desk_end(d, d->ending != SESSION_STAYS ? STREAM_CLOSED : why);
	require(d->s.state == S_CLOSED && d->all.strangers == 0 && d->sent.n == 0);
	if (d->s.session_epoch !=
	    0) { /* its shard hears of it, and of the will unless it has said goodbye */
		require(d->nwork == b.nwork + 1);
		w = d->works[d->nwork - 1];
		require(w->op.kind == OP_DISCONNECT && w->op.session_epoch == 42);
		require((w->op.payload.n != 0) == (d->s.will.n != 0 && !p->goodbye));
	}
	check_end(p, &b, 1);
}

/* Others have taken the room for operations, or it may go on. */
static void
hold(struct play *p, struct str *in)
{
	bool held = fuzz_choice(in, 2);

	if (p->ended)
		return;
	session_hold(&p->d.s, held, p->d.now_us);
	require(!held || !session_reads(&p->d.s));
	feed(p);
}

/* Another link of the same device takes one from its limits. */
static void
rival(struct play *p, struct str *in)
{
	const struct limit_asker d1 = { .key = {
		                            [LIMIT_DEVICE] = asker_key(STR("d1"), STR_NONE) } };
	static const enum limit_kind kinds[] = { LIMIT_SENDS, LIMIT_UPDATES, LIMIT_CONNECTIONS };
	enum limit_kind kind = kinds[fuzz_choice(in, 3)];
	struct limit_refusal why;

	if (p->d.world.takes != NULL)
		desk_takes(&p->d.s, kind, &d1, &why);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t in_flight[] = { 1, 2, 5, MQTT_IN_FLIGHT };
	static const char *const limits[] = { "device:sends=1/s,2", "device:sends=30/h,1",
		"device:updates=1/s,2", "device:connections=1/s,1" };
	struct str in = { (const char *)data, size };
	unsigned how = fuzz_choice(&in, 16);
	struct play p = { 0 };

	desk_init(&p.d, in_flight[how & 3]);
	if (how & 4)
		desk_limit(&p.d, limits[fuzz_choice(&in, 4)]);
	p.d.outdated = how & 8 ? REASON_POLICY_KEY_CHANGED : REASON_NONE;
	while (in.n > 0) {
		switch (fuzz_choice(&in, 13)) {
		case 0: send_connect(&p, &in); break;
		case 1: send_publish(&p, &in); break;
		case 2: send_filter(&p, &in); break;
		case 3: send_small(&p, &in); break;
		case 4: send_raw(&p, &in); break;
		case 5: answer(&p, &in); break;
		case 6: note(&p, &in); break;
		case 7: pass_time(&p, &in); break;
		case 8: turn(&p); break;
		case 9: stop(&p); break;
		case 10: end(&p, &in); break;
		case 11: rival(&p, &in); break;
		case 12: hold(&p, &in); break;
		}
	}
	end(&p, &in);
	while (p.d.nwork > 0)
		answer(&p, &in);
	require(p.ngone == p.naccepted); /* no shard is left to believe that it lives */
	require(p.nover == 1);           /* and the log says once how it ended */
	buf_fini(&p.in);
	desk_fini(&p.d);
	return 0;
}
