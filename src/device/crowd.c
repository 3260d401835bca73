/* The crowd's loop: who is due, what has come, who goes and comes back. What a pattern says is in pattern.c. */
#include "device/priv.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#define KEEP_ALIVE_S 240
#define PING_US      (INT64_C(200) * SECOND_US)
#define OPEN_US      (30 * SECOND_US) /* until CONNACK and SUBACK */
#define BACK_MOST_US (60 * SECOND_US)
#define EVENTS_MAX   256
#define PACKET_MAX   (512u << 10)

const char *const crowd_error_names[CROWD_ERRORS] = {
#define X(id, name) [CROWD_##id] = (name),
	CROWD_ERRORS_OF(X)
#undef X
};

/* ---- chance ---- */

uint64_t
crowd_random(struct crowd *c)
{
	c->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
	uint64_t z = c->random;

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

int64_t
crowd_below(struct crowd *c, int64_t us)
{
	return us <= 0 ? 0 : (int64_t)(crowd_random(c) % (uint64_t)us);
}

/* ---- whose turn is next: a heap by due_us ---- */

static bool
earlier(const struct crowd *c, uint32_t a, uint32_t b)
{
	return c->devices[c->heap[a]].due_us < c->devices[c->heap[b]].due_us;
}

static void
heap_swap(struct crowd *c, uint32_t a, uint32_t b)
{
	uint32_t t = c->heap[a];

	c->heap[a] = c->heap[b];
	c->heap[b] = t;
	c->devices[c->heap[a]].place = a;
	c->devices[c->heap[b]].place = b;
}

static void
heap_settle(struct crowd *c, uint32_t at)
{
	uint32_t down;

	for (; at > 0 && earlier(c, at, (at - 1) / 2); at = (at - 1) / 2)
		heap_swap(c, at, (at - 1) / 2);
	for (; (down = 2 * at + 1) < c->o.n; at = down) {
		if (down + 1 < c->o.n && earlier(c, down + 1, down))
			down++;
		if (!earlier(c, down, at))
			return;
		heap_swap(c, at, down);
	}
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* When it has something to do next. */
static void
device_due(struct device *d)
{
	struct crowd *c = d->crowd;

	d->due_us = d->state != DEVICE_READY
	    ? d->state_us
	    : least(least(d->act_us, d->leave_us), least(d->ping_us, d->answer_us));
	heap_settle(c, d->place);
}

/* ---- coming and going ---- */

void
device_fails(struct device *d, enum crowd_error why)
{
	d->crowd->figures.errors[why]++;
	device_goes(d, false);
	d->state_us = d->crowd->now_us + crowd_below(d->crowd, d->back_us) + SECOND_US / 20;
	d->back_us = least(2 * d->back_us, BACK_MOST_US);
}

void
device_goes(struct device *d, bool politely)
{
	struct crowd *c = d->crowd;

	if (d->state == DEVICE_READY)
		c->figures.ready--;
	if (d->state == DEVICE_OPENING)
		c->nopening--;
	if (politely && d->link.state == LINK_OPEN) {
		packet_put_empty(&d->link.out, MQTT_DISCONNECT);
		(void)link_flush(&d->link);
	}
	if (d->link.state != LINK_CLOSED)
		link_close(&d->link);
	buf_fini(&d->in);
	d->in = (struct buf){ 0 };
	d->state = DEVICE_AWAY;
	d->asked_us = 0;
}

static void
flush(struct device *d)
{
	if (d->link.state != LINK_OPEN || d->link.out.n == 0)
		return;
	if (link_flush(&d->link) != ERR_OK)
		device_fails(d, CROWD_CLOSED);
	else if (d->link.out.n == 0) { /* thousands of them are kept small */
		buf_fini(&d->link.out);
		d->link.out = (struct buf){ 0 };
	}
}

static void
put_connect(struct device *d)
{
	struct crowd *c = d->crowd;
	const struct crowd_key *key = &c->o.keys[d->nth];
	struct packet_connect connect = {
		.client_id = str_of(key->id), .clean_session = true, .keep_alive_s = KEEP_ALIVE_S
	};

	c->text.n = c->topic.n = 0;
	buf_printf(&c->topic, "%s/%s/?api-version=2021-04-12&DeviceClientType=twinhub-simulate",
	    c->o.host, key->id);
	connect.user = buf_view(&c->topic);
	c->resource.n = 0;
	buf_printf(&c->resource, "%s/devices/%s", c->o.host, key->id);
	(void)sas_make(c->mac, &c->text, buf_view(&c->resource), str_of(key->key),
	    (clock_wall_us() + SECOND_US - 1) / SECOND_US + c->o.token_s, STR_NONE);
	connect.password = buf_view(&c->text);
	packet_put_connect(&d->link.out, &connect);
}

static void
device_opens(struct device *d)
{
	static const struct str filters[] = { { RES "#", sizeof(RES "#") - 1 },
		{ DESIRED "#", sizeof(DESIRED "#") - 1 } };
	struct crowd *c = d->crowd;

	if (c->nopening >= CROWD_OPENING_MAX) {
		d->state_us = c->now_us + SECOND_US / 50 + crowd_below(c, SECOND_US / 20);
		return;
	}
	if (link_open(&d->link, &c->o.target, d->nth, c->epoll, d) != ERR_OK) {
		device_fails(d, CROWD_CONNECT);
		return;
	}
	d->state = DEVICE_OPENING;
	d->state_us = c->now_us + OPEN_US;
	c->nopening++;
	put_connect(d);
	packet_put_subscribe(&d->link.out, UINT16_MAX, filters, 2);
}

static void
device_ready(struct device *d)
{
	struct crowd *c = d->crowd;
	/* Its token is of then. Before it ends another connection comes with another one. */
	int64_t opened_us = d->state_us - OPEN_US, token_us = c->o.token_s * SECOND_US / 6 * 5;

	d->state = DEVICE_READY;
	c->nopening--;
	c->figures.connects++;
	if (++c->figures.ready > c->figures.most)
		c->figures.most = c->figures.ready;
	d->back_us = SECOND_US;
	d->act_us = d->answer_us = INT64_MAX;
	d->leave_us = opened_us + token_us - crowd_below(c, token_us / 10);
	d->ping_us = c->now_us + PING_US;
	pattern_ready(d);
}

/* ---- packets ---- */

/* One at a time has no answer yet: asked_us is when it left. */
void
device_asks(struct device *d, enum device_question what)
{
	d->question = what;
	d->asked_us = d->crowd->now_us;
	d->answer_us = d->crowd->now_us + ANSWER_US;
}

static void
answered(struct device *d)
{
	struct crowd *c = d->crowd;

	if (d->question != ASKED_TWIN)
		hist_add(&c->figures.latency, (uint64_t)(c->now_us - d->asked_us));
	d->asked_us = 0;
	d->answer_us = INT64_MAX;
}

static void
on_puback(struct device *d)
{
	if (d->asked_us == 0 || d->question != ASKED_MESSAGE)
		return;
	answered(d);
	d->crowd->figures.messages++;
	pattern_answered(d, DOC_NONE);
}

/* $iothub/twin/res/204/?$rid=17&$version=3 */
static void
on_answer(struct device *d, struct str topic, struct str payload)
{
	struct crowd *c = d->crowd;
	struct doc_parsed info;
	bool good = topic.n > 0 && topic.p[0] == '2';

	if (d->asked_us == 0 || d->question == ASKED_MESSAGE)
		return;
	answered(d);
	if (!good) {
		c->figures.errors[CROWD_ANSWER]++;
		d->act_us = c->now_us + SECOND_US + crowd_below(c, 10 * SECOND_US);
		d->question = ASKED_NOTHING;
		return;
	}
	c->doc.n = 0;
	if (d->question == ASKED_TWIN &&
	    doc_parse(c->parser, payload, &c->doc, &info, NULL) != ERR_OK) {
		device_fails(d, CROWD_PROTOCOL);
		return;
	}
	if (d->question == ASKED_UPDATE)
		c->figures.updates++;
	pattern_answered(d, d->question == ASKED_TWIN ? doc_of(buf_view(&c->doc)) : DOC_NONE);
}

static void
on_publish(struct device *d, const struct packet *p)
{
	struct str topic, payload;
	uint16_t id;

	if (!packet_publish(p, &topic, &payload, &id)) {
		device_fails(d, CROWD_PROTOCOL);
		return;
	}
	if (id != 0)
		mqtt_put_puback(&d->link.out, id);
	if (str_starts(topic, STR(RES)))
		on_answer(d, str_sub(topic, sizeof(RES) - 1), payload);
	else if (str_starts(topic, STR(DESIRED)))
		pattern_desired(d);
}

static void
on_packet(struct device *d, const struct packet *p)
{
	struct str b = p->body;

	switch (packet_type(p)) {
	case MQTT_CONNACK:
		if (b.n != 2 || b.p[1] != CONNACK_ACCEPTED)
			device_fails(
			    d, b.n == 2 && b.p[1] == CONNACK_DENIED ? CROWD_DENIED : CROWD_REFUSED);
		break;
	case MQTT_SUBACK:
		if (d->state == DEVICE_OPENING && b.n == 4 && ((b.p[2] | b.p[3]) & 0x80) == 0)
			device_ready(d);
		else
			device_fails(d, CROWD_REFUSED);
		break;
	case MQTT_PUBACK: on_puback(d); break;
	case MQTT_PUBLISH: on_publish(d, p); break;
	case MQTT_PINGRESP: break;
	default: device_fails(d, CROWD_PROTOCOL); break;
	}
}

/* Whole packets; what is left of one waits in d->in. */
static void
take_packets(struct device *d, struct str bytes)
{
	struct str rest = bytes;
	struct packet p;
	size_t n;
	enum err e = ERR_OK;

	if (d->in.n > 0) {
		buf_str(&d->in, bytes);
		rest = buf_view(&d->in);
	}
	while (d->state != DEVICE_AWAY && (e = packet_take(rest, &p, &n)) == ERR_OK) {
		rest = str_sub(rest, n);
		on_packet(d, &p);
	}
	if (d->state == DEVICE_AWAY)
		return;
	if (e == ERR_PROTOCOL || n > PACKET_MAX) {
		device_fails(d, CROWD_PROTOCOL);
	} else if (d->in.n > 0) {
		memmove(d->in.p, rest.p, rest.n);
		d->in.n = rest.n;
		if (rest.n == 0) {
			buf_fini(&d->in);
			d->in = (struct buf){ 0 };
		}
	} else if (rest.n > 0) {
		buf_str(&d->in, rest);
	}
}

static void
read_all(struct device *d)
{
	struct crowd *c = d->crowd;
	ssize_t n;

	do {
		n = link_read(&d->link, c->piece, sizeof(c->piece));
		if (n < 0)
			device_fails(d, CROWD_CLOSED);
		else if (n > 0)
			take_packets(d, (struct str){ c->piece, (size_t)n });
	} while (d->state != DEVICE_AWAY && n > 0 && link_has_more(&d->link));
}

static void
on_event(struct device *d, unsigned events)
{
	if (d->state == DEVICE_AWAY) /* of before it went */
		return;
	if (d->link.state != LINK_OPEN) {
		if (link_advance(&d->link, &d->crowd->o.target) != ERR_OK) {
			device_fails(d, CROWD_CONNECT);
			return;
		}
		if (d->link.state != LINK_OPEN)
			return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) || link_has_more(&d->link))
		read_all(d);
	flush(d);
}

/* ---- what is due ---- */

static void
on_due(struct device *d)
{
	struct crowd *c = d->crowd;
	int64_t now = c->now_us;

	if (d->state == DEVICE_AWAY) {
		device_opens(d);
	} else if (d->state == DEVICE_OPENING || d->answer_us <= now) {
		device_fails(d, CROWD_TIMEOUT);
	} else if (d->leave_us <= now) {
		pattern_leaves(d);
	} else if (d->ping_us <= now) {
		packet_put_empty(&d->link.out, MQTT_PINGREQ);
		d->ping_us = now + PING_US;
	} else {
		d->act_us = INT64_MAX;
		pattern_acts(d);
	}
	flush(d);
	device_due(d);
}

/* ---- its life ---- */

enum err
crowd_new(const struct crowd_options *o, struct crowd **out)
{
	struct crowd *c = xcalloc(1, sizeof(*c));
	int64_t now = clock_mono_us();

	c->o = *o;
	c->random = o->seed;
	c->mac = sas_mac_new();
	c->parser = doc_parser_new(PACKET_MAX);
	c->devices = xcalloc(o->n, sizeof(*c->devices));
	c->heap = xcalloc(o->n, sizeof(*c->heap));
	if ((c->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0) {
		crowd_free(c);
		return ERR_IO;
	}
	for (uint32_t i = 0; i < o->n; i++) {
		c->heap[i] = i;
		c->devices[i] = (struct device){ .crowd = c,
			.nth = i,
			.place = i,
			.back_us = SECOND_US,
			.state_us = now,
			.due_us = now };
	}
	*out = c;
	return ERR_OK;
}

void
crowd_free(struct crowd *c)
{
	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->o.n; i++) {
		device_goes(&c->devices[i], false);
		buf_fini(&c->devices[i].config);
	}
	if (c->epoll >= 0)
		close(c->epoll);
	sas_mac_free(c->mac);
	doc_parser_free(c->parser);
	buf_fini(&c->text);
	buf_fini(&c->topic);
	buf_fini(&c->resource);
	buf_fini(&c->doc);
	free(c->devices);
	free(c->heap);
	free(c);
}

static void
turn(struct crowd *c, int64_t until_us)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t wait_us = least(until_us, c->devices[c->heap[0]].due_us) - c->now_us;
	struct timespec rest = { 0 };
	int n;

	wait_us = wait_us < 0 ? 0 : least(wait_us, SECOND_US / 10);
	rest.tv_nsec = wait_us * 1000;
	n = epoll_pwait2(c->epoll, events, EVENTS_MAX, &rest, NULL);
	c->now_us = clock_mono_us();
	for (int i = 0; i < n; i++) {
		struct device *d = events[i].data.ptr;

		on_event(d, events[i].events);
		device_due(d);
	}
	for (int i = 0; i < EVENTS_MAX && c->devices[c->heap[0]].due_us <= c->now_us; i++)
		on_due(&c->devices[c->heap[0]]);
}

void
crowd_run(struct crowd *c, int64_t us, const volatile sig_atomic_t *stop)
{
	int64_t until_us;

	c->now_us = clock_mono_us();
	until_us = c->now_us + us;
	while (!*stop && c->now_us < until_us)
		turn(c, until_us);
}

void
crowd_leave(struct crowd *c)
{
	for (uint32_t i = 0; i < c->o.n; i++)
		device_goes(&c->devices[i], true);
}

const struct crowd_figures *
crowd_figures(const struct crowd *c)
{
	return &c->figures;
}
