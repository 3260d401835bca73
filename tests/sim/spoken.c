/* What devices say over their links, in packets, and what they make of what they hear. */
#include "wire.h"

#include "draw.h"
#include "mqtt_kit.h"

#define TOPIC_RES     "$iothub/twin/res/"
#define TOPIC_DESIRED "$iothub/twin/PATCH/properties/desired/?$version="
#define TOPIC_CALL    "$iothub/methods/POST/"

static const char *
device_of(const struct world *w, const struct wire *d)
{
	return w->ids[d->link / 2];
}

static const char *
module_of(const struct wire *d)
{
	return d->link % 2 ? "m0" : "";
}

static bool
is_current(const struct wire *d)
{
	return wire_of(d->link) == d;
}

/* ---- what is said ---- */

static void
events_topic(const struct world *w, const struct wire *d, struct buf *out)
{
	buf_printf(out, "devices/%s%s%s/messages/events/", device_of(w, d),
	    d->link % 2 ? "/modules/" : "", module_of(d));
	buf_putc(out, '\0');
}

/* Its own key, or a policy's. */
static void
put_token(struct world *w, struct wire *d, struct buf *out)
{
	struct buf resource = { 0 };

	buf_printf(&resource, SIM_HOST "/devices/%s%s%s", device_of(w, d),
	    d->link % 2 ? "/modules/" : "", module_of(d));
	d->by_policy = rnd_below(&w->rnd, 3) == 0;
	d->pass = (struct pass){ .key = SIM_KEY, .need = RIGHT_DEVICE_CONNECT };
	if (d->by_policy)
		policies_pass(w, &d->pass);
	if (sas_make(w->mac, out, buf_view(&resource), str_of(d->pass.key),
	        world_wall_us(w) / SECOND + 7200, str_of(d->pass.name)) != ERR_OK)
		world_fail("no token");
	buf_putc(out, '\0');
	policies_asked(&d->pass);
	buf_fini(&resource);
}

static void
put_hello(struct world *w, struct wire *d, struct hello *h)
{
	static const uint16_t keeps_s[] = { 0, 0, 240, 1177 };

	h->clean = d->clean = rnd_below(&w->rnd, 2);
	if (d->clean)
		*wire_durable(d->link) = false;
	h->keep_alive_s = keeps_s[rnd_below(&w->rnd, 4)];
	d->idle_us = SECOND *
	    (h->keep_alive_s == 0 ? MQTT_IDLE_MAX_S : h->keep_alive_s + (h->keep_alive_s + 1u) / 2);
	put_connect(&d->to_hub, h);
}

void
wire_connect(struct world *w, uint32_t link)
{
	struct wire *d = wire_new(w, link);
	struct buf id = { 0 }, user = { 0 }, token = { 0 }, topic = { 0 };
	struct hello h = { 0 };
	char will[16];

	buf_printf(&id, "%s%s%s", device_of(w, d), link % 2 ? "/" : "", module_of(d));
	buf_putc(&id, '\0');
	buf_printf(&user, SIM_HOST "/%s/?api-version=2021-04-12", id.p);
	buf_putc(&user, '\0');
	put_token(w, d, &token);
	if (rnd_below(&w->rnd, 3) > 0) {
		d->will = telemetry_note_will(link);
		snprintf(will, sizeof(will), "m%06u", d->will);
		events_topic(w, d, &topic);
		h.will_topic = topic.p;
		h.will = will;
	}
	h.id = id.p;
	h.user = user.p;
	h.token = token.p;
	put_hello(w, d, &h);
	buf_fini(&id);
	buf_fini(&user);
	buf_fini(&token);
	buf_fini(&topic);
}

void
wire_get(struct wire *d)
{
	put_publish(&d->to_hub, GET_TOPIC("g"), STR_NONE, 0);
	d->nget++;
}

static void
subscribe(struct wire *d)
{
	put_filter(&d->to_hub, true, TOPIC_RES "#", 1);
	put_filter(&d->to_hub, true, TOPIC_CALL "#", 2);
	put_filter(&d->to_hub, true, "$iothub/twin/PATCH/properties/desired/#", FILTERS);
}

void
wire_report(struct world *w, uint32_t link)
{
	struct wire *d = wire_of(link);
	uint32_t number = ledger_note(w, OP_REPORT, device_of(w, d), module_of(d));
	char topic[80];

	if (d->ngranted == FILTERS && rnd_below(&w->rnd, 6) == 0)
		wire_get(d);
	draw_properties(&w->rnd, true, &w->text);
	world_put_own(w, number);
	snprintf(topic, sizeof(topic), "$iothub/twin/PATCH/properties/reported/?$rid=r%u", number);
	put_publish(&d->to_hub, topic, buf_view(&w->text), 0);
	w->text.n = 0;
}

void
wire_telemetry(struct world *w, uint32_t link)
{
	struct wire *d = wire_of(link);
	uint32_t number = telemetry_note(link);
	struct buf topic = { 0 };
	char text[16];

	assert(number <= UINT16_MAX); /* so it is its packet's, too */
	snprintf(text, sizeof(text), "m%06u", number);
	events_topic(w, d, &topic);
	put_publish(
	    &d->to_hub, topic.p, str_of(text), rnd_below(&w->rnd, 4) == 0 ? 0 : (uint16_t)number);
	buf_fini(&topic);
}

void
wire_leave(struct world *w, uint32_t link)
{
	static const char goodbye[] = { (char)0xe0, 0 };
	struct wire *d = wire_of(link);

	buf_put(&d->to_hub, goodbye, sizeof(goodbye));
	d->goodbye = true;
	w->session_epochs[link] = 0; /* it says no more */
}

void
wire_ping(struct world *w, uint32_t link)
{
	static const char ping[] = { (char)0xc0, 0 };

	(void)w;
	buf_put(&wire_of(link)->to_hub, ping, sizeof(ping));
}

/* ---- what is heard ---- */

static void
hear_connack(struct world *w, struct wire *d, struct str body)
{
	bool yes = body.n == 2 && body.p[1] == CONNACK_ACCEPTED;

	if (d->by_policy && (yes || d->policy_refused))
		policies_judged(&d->pass, yes);
	if (!yes)
		return;
	wire_accepted(w, d);
	*wire_durable(d->link) &= body.p[0] & 1; /* session present */
	if (*wire_durable(d->link)) {
		d->ngranted = FILTERS;
		wire_get(d);
		seen.resumed++;
	} else {
		subscribe(d);
	}
}

static bool
eat(struct str *s, const char *literal)
{
	if (!str_starts(*s, str_of(literal)))
		return false;
	*s = str_sub(*s, strlen(literal));
	return true;
}

static uint64_t
number_in(struct str s)
{
	uint64_t n = 0;

	if (!str_u64(s, &n))
		world_fail("a hub says " STR_FMT " where a number should be", STR_ARG(s));
	return n;
}

/* What its shard has said of it, and nothing else. */
static void
hear_report(struct wire *d, uint64_t number, uint64_t status, struct str version)
{
	struct told *t = d->told, *end = d->told + d->ntold;

	while (t < end && t->number != number)
		t++;
	if (t == end)
		world_fail("report %llu is answered by nobody", (unsigned long long)number);
	if (t->code == F_NONE ? status != 204 || number_in(version) != t->version
	                      : status != (uint64_t)fault_status(t->code))
		world_fail("report %llu is answered %llu, by its shard it was %s",
		    (unsigned long long)number, (unsigned long long)status, fault_name(t->code));
	memmove(t, t + 1, (size_t)(end - t - 1) * sizeof(*t));
	d->ntold--;
	seen.reports++;
}

/* {status}/?$rid={name}[&$version={n}] */
static void
hear_answer(struct world *w, struct wire *d, struct str topic, struct str payload)
{
	struct str status, rest, rid, version;

	str_cut(topic, '/', &status, &rest);
	if (!eat(&rest, "?$rid="))
		world_fail("an answer's topic ends with " STR_FMT, STR_ARG(rest));
	str_cut(rest, '&', &rid, &version);
	(void)eat(&version, "$version=");
	if (eat(&rid, "r"))
		hear_report(d, number_in(rid), number_in(status), version);
	else if (d->nget-- > 0 && number_in(status) == 200 && is_current(d))
		mirror_got(w, d->link, payload);
}

/* It answers each call, whichever link it is still on. */
static void
hear_call(struct world *w, struct wire *d, struct str topic)
{
	struct str name, rest, text = world_answer(w);
	char answer[80];

	str_cut(topic, '/', &name, &rest);
	if (!eat(&rest, "?$rid="))
		world_fail("a call's topic ends with " STR_FMT, STR_ARG(rest));
	job_watch_called(w, name, device_of(w, d), module_of(d));
	snprintf(answer, sizeof(answer), "$iothub/methods/res/200/?$rid=" STR_FMT, STR_ARG(rest));
	put_publish(&d->to_hub, answer, text, 0);
	seen.called++;
}

static void
hear_publish(struct world *w, struct wire *d, struct str body)
{
	size_t n = body.n < 2 ? 0 : (size_t)((uint8_t)body.p[0] << 8 | (uint8_t)body.p[1]);
	struct str topic, payload;

	if (n == 0 || n + 2 > body.n)
		world_fail("a packet of the hub has no topic");
	topic = (struct str){ body.p + 2, n };
	payload = str_sub(body, n + 2);
	if (eat(&topic, TOPIC_RES))
		hear_answer(w, d, topic, payload);
	else if (eat(&topic, TOPIC_CALL))
		hear_call(w, d, topic);
	else if (!eat(&topic, TOPIC_DESIRED))
		world_fail("the hub sends to " STR_FMT, STR_ARG(topic));
	else if (is_current(d))
		mirror_told(w, d->link, number_in(topic), payload);
}

static uint32_t
id_of(struct str body)
{
	if (body.n < 2)
		world_fail("a packet of the hub is cut off");
	return (uint32_t)((uint8_t)body.p[0] << 8 | (uint8_t)body.p[1]);
}

static void
hear_suback(struct wire *d, struct str body)
{
	if (body.n != 3 || (uint8_t)body.p[2] == SUBACK_REFUSED || ++d->ngranted < FILTERS)
		return;
	if (wire_is_youngest(d))
		*wire_durable(d->link) = !d->clean;
	wire_get(d);
}

static void
hear_packet(struct world *w, struct wire *d, uint8_t first, struct str body)
{
	switch (first >> 4) {
	case 2: hear_connack(w, d, body); break;
	case 3: hear_publish(w, d, body); break;
	case 4: telemetry_done(id_of(body)); break;
	case 9: hear_suback(d, body); break;
	case 13: break; /* to a ping */
	default: world_fail("a packet of the hub begins with %02x", first);
	}
}

/* The bytes of the first packet's head, and in *n those behind it; 0: it is not whole. */
static size_t
head_of(struct str s, size_t *n)
{
	*n = 0;
	for (size_t i = 1; i < s.n && i < 5; i++) {
		*n |= (size_t)(s.p[i] & 127) << 7 * (i - 1);
		if ((s.p[i] & 128) == 0)
			return i + 1 + *n <= s.n ? i + 1 : 0;
	}
	return 0;
}

void
wire_read(struct world *w, struct wire *d)
{
	struct str all = buf_view(&d->from_hub);
	size_t head, n;

	while ((head = head_of(all, &n)) > 0) {
		hear_packet(w, d, (uint8_t)all.p[0], (struct str){ all.p + head, n });
		all = str_sub(all, head + n);
	}
	if (all.n > 0)
		world_fail("the hub writes a part of a packet");
	d->from_hub.n = 0;
}
