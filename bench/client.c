#include "client.h"
#include "device/packet.h"
#include "token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define IN_MAX      2048 /* no packet for us is longer */
#define OPENING_MAX 128  /* connections being made at once, per thread */

/* A place in the window. Its packet ids and request ids are congruent to its number, so that an
 * acknowledgement finds its place in whatever order it comes. */
struct slot {
	uint64_t sent_us;
	uint32_t nuse;
};

struct client {
	struct link link;
	struct worker *worker;
	struct slot *slots;
	bool ready;
	unsigned device;
	unsigned issued, acked; /* in this session */
	unsigned nin;
	char in[IN_MAX];
};

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static const struct plan *
plan_of(const struct client *c)
{
	return &c->worker->run->plan;
}

static void
fail(struct client *c, const char *why)
{
	struct run *run = c->worker->run;

	if (!atomic_exchange(&run->failed, true))
		fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, why,
		    errno ? ": " : "", errno ? strerror(errno) : "");
	atomic_store(&run->phase, PHASE_END);
}

/* ---- packets out ---- */

static void
put_connect(struct client *c, unsigned device)
{
	const struct plan *p = plan_of(c);
	struct buf id = { 0 }, user = { 0 };
	struct buf *out = &c->link.out;

	device_put(&id, device);
	buf_cstr(&user, p->name);
	buf_putc(&user, '/');
	buf_str(&user, buf_view(&id));
	buf_cstr(&user, "/?api-version=2021-04-12");
	packet_put_connect(out,
	    &(struct packet_connect){ .client_id = buf_view(&id),
	        .user = buf_view(&user),
	        .password = buf_view(&p->password),
	        .clean_session = p->clean });
	buf_fini(&user);
	buf_fini(&id);
}

static void
put_subscribe(struct client *c)
{
	const struct str filters[] = { STR("$iothub/twin/res/#"),
		STR("$iothub/twin/PATCH/properties/desired/#") };

	packet_put_subscribe(&c->link.out, UINT16_MAX, filters, plan_of(c)->notify ? 2 : 1);
}

/* About 100 bytes in which a counter and a reading move, as a device reports. */
static void
put_body(struct buf *b, uint64_t n)
{
	buf_str(b, STR("{\"telemetry\":{\"temperature\":2"));
	buf_u64(b, n % 10);
	buf_str(b, STR(".5,\"humidity\":48,\"uptime\":"));
	buf_u64(b, 100000 + n);
	buf_str(b, STR("},\"firmware\":\"2.4.1-r7\",\"status\":\"running\"}"));
}

/* Each key's value changes with every patch. */
static void
put_large_body(struct buf *b, unsigned keys, uint64_t n)
{
	for (unsigned i = 0; i < keys; i++) {
		buf_str(b, i == 0 ? STR("{\"k") : STR(",\"k"));
		buf_u64(b, i);
		buf_str(b, STR("\":"));
		buf_u64(b, n + i);
	}
	buf_putc(b, '}');
}

/* `since_us`: from when on its time counts. */
static void
put_patch(struct client *c, unsigned place, uint64_t since_us)
{
	const struct plan *p = plan_of(c);
	struct slot *s = &c->slots[place];
	char text[128];
	struct buf topic = { text, 0, sizeof(text) }, *body = &c->worker->body;
	unsigned uses = UINT16_MAX / p->inflight - 1;

	if (p->telemetry) {
		buf_cstr(&topic, "devices/");
		device_put(&topic, c->device);
		buf_cstr(&topic, "/messages/events/");
	} else {
		buf_str(&topic, STR("$iothub/twin/PATCH/properties/reported/?$rid="));
		buf_u64(&topic, (uint64_t)s->nuse * p->inflight + place);
	}
	body->n = 0;
	if (p->keys > 0)
		put_large_body(body, p->keys, s->nuse);
	else
		put_body(body, s->nuse);
	packet_put_header(&c->link.out, MQTT_PUBLISH << 4 | p->qos << 1,
	    2 + topic.n + (p->qos ? 2 : 0) + body->n);
	packet_put_text(&c->link.out, buf_view(&topic));
	if (p->qos)
		buf_u16be(&c->link.out, (uint16_t)(s->nuse % uses * p->inflight + place + 1));
	buf_str(&c->link.out, buf_view(body));
	s->nuse++;
	s->sent_us = since_us;
	c->issued++;
}

static void
put_first_patches(struct client *c)
{
	const struct plan *p = plan_of(c);
	unsigned n = p->inflight;

	if (p->per_session > 0 && p->per_session < n)
		n = p->per_session;
	for (unsigned i = 0; i < n; i++)
		put_patch(c, i, now_us());
}

static void
flush(struct client *c)
{
	if (c->link.out.n > 0 && link_flush(&c->link) != ERR_OK)
		fail(c, "connection lost while writing");
}

/* ---- a session: one device after the other ---- */

static bool
next_session(struct client *c)
{
	struct run *run = c->worker->run;
	unsigned nth = atomic_fetch_add(&run->next_device, 1);

	if (run->plan.per_session > 0 && nth >= run->plan.ndevice)
		return false;
	c->issued = c->acked = c->nin = 0;
	c->ready = false;
	if (link_open(&c->link, &run->plan.target, nth, c->worker->epoll, c) != ERR_OK) {
		fail(c, "cannot connect");
		return false;
	}
	c->device = (unsigned)((uint64_t)nth * run->plan.stride % run->plan.ndevice);
	put_connect(c, c->device);
	if (run->plan.hub)
		put_subscribe(c);
	if (run->plan.per_session > 0)
		put_first_patches(c);
	c->worker->nopening++;
	return true;
}

static void
open_more(struct worker *w)
{
	while (w->nopened < w->nclient && w->nopening < OPENING_MAX)
		if (!next_session(&w->clients[w->nopened++]))
			return;
}

static void
on_ready(struct client *c)
{
	struct worker *w = c->worker;

	c->ready = true;
	w->nopening--;
	w->nsession++;
	if (plan_of(c)->per_session == 0) {
		if (plan_of(c)->rate == 0)
			put_first_patches(c);
		atomic_fetch_add(&w->run->nready, 1);
	}
	open_more(w);
}

static void
end_session(struct client *c)
{
	packet_put_empty(&c->link.out, MQTT_DISCONNECT);
	flush(c);
	link_close(&c->link);
	atomic_fetch_add(&c->worker->run->nfinished, 1);
	next_session(c);
}

/* ---- packets in ---- */

static void
on_ack(struct client *c, unsigned place)
{
	const struct plan *p = plan_of(c);
	struct worker *w = c->worker;
	int phase = atomic_load_explicit(&w->run->phase, memory_order_relaxed);

	c->acked++;
	if (phase == PHASE_MEASURE)
		hist_add(&w->hists[atomic_load_explicit(&w->run->section, memory_order_relaxed)],
		    now_us() - c->slots[place].sent_us);
	if (phase != PHASE_END && p->rate == 0 &&
	    (p->per_session == 0 || c->issued < p->per_session))
		put_patch(c, place, now_us());
}

/* "$iothub/twin/res/204/?$rid=17&$version=3" */
static void
on_answer(struct client *c, const struct packet *p)
{
	struct str topic, payload, status, rest, rid;
	uint16_t id;
	uint64_t n;

	if (!packet_publish(p, &topic, &payload, &id)) {
		fail(c, "malformed PUBLISH");
		return;
	}
	if (!str_starts(topic, STR("$iothub/twin/res/"))) {
		c->worker->nnote++;
		return;
	}
	str_cut(str_sub(topic, sizeof("$iothub/twin/res/") - 1), '/', &status, &rest);
	str_cut(rest, '=', &rid, &rest);
	str_cut(rest, '&', &rid, &rest);
	if (!str_u64(rid, &n)) {
		fail(c, "an answer without its request id");
		return;
	}
	if (!str_eq(status, STR("204")) && c->worker->nerror++ == 0)
		fprintf(stderr, "%s: answered " STR_FMT "\n", program_invocation_short_name,
		    STR_ARG(status));
	on_ack(c, (unsigned)(n % plan_of(c)->inflight));
}

static void
on_puback(struct client *c, struct str packet)
{
	unsigned id;

	if (plan_of(c)->hub && !plan_of(c)->telemetry) /* counted when the 204 comes */
		return;
	id = packet.n == 2 ? (uint8_t)packet.p[0] * 256u + (uint8_t)packet.p[1] : 0;
	if (id == 0)
		fail(c, "malformed PUBACK");
	else
		on_ack(c, (id - 1) % plan_of(c)->inflight);
}

static void
on_packet(struct client *c, const struct packet *p)
{
	struct str body = p->body;

	errno = 0;
	switch (packet_type(p)) {
	case MQTT_CONNACK:
		if (body.n != 2 || body.p[1] != 0)
			fail(c, "CONNECT refused");
		else if (!plan_of(c)->hub)
			on_ready(c);
		break;
	case MQTT_SUBACK:
		if (body.n < 3 || (body.p[body.n - 1] & 0x80) != 0)
			fail(c, "SUBSCRIBE refused");
		else
			on_ready(c);
		break;
	case MQTT_PUBACK: on_puback(c, body); break;
	case MQTT_PUBLISH: on_answer(c, p); break;
	default: fail(c, "unexpected packet"); break;
	}
}

static void
parse(struct client *c)
{
	struct packet p;
	size_t at = 0, n;

	while (packet_take((struct str){ c->in + at, c->nin - at }, &p, &n) == ERR_OK) {
		on_packet(c, &p);
		at += n;
	}
	c->nin -= (unsigned)at;
	memmove(c->in, c->in + at, c->nin);
	if (c->nin == IN_MAX)
		fail(c, "a packet longer than expected");
}

static void
read_all(struct client *c)
{
	const struct plan *p = plan_of(c);
	ssize_t n;

	do {
		n = link_read(&c->link, c->in + c->nin, IN_MAX - c->nin);
		if (n < 0) {
			fail(c,
			    c->ready ? "connection closed by the server"
			             : "connection closed before CONNACK");
			return;
		}
		c->nin += (unsigned)n;
		parse(c);
	} while (n > 0 && link_has_more(&c->link));
	if (c->ready && p->per_session > 0 && c->acked == p->per_session)
		end_session(c);
}

static void
on_event(struct client *c, unsigned events)
{
	errno = 0;
	if (c->link.state != LINK_OPEN) {
		if (link_advance(&c->link, &plan_of(c)->target) != ERR_OK) {
			fail(c, "cannot connect");
			return;
		}
		if (c->link.state != LINK_OPEN)
			return;
		events |= EPOLLOUT;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) || link_has_more(&c->link))
		read_all(c);
	if (c->link.state == LINK_OPEN)
		flush(c);
}

/* ---- at a rate ---- */

static struct client *
next_idle(struct worker *w)
{
	for (unsigned i = 0; i < w->nclient; i++) {
		struct client *c = &w->clients[w->turn];

		w->turn = (w->turn + 1) % w->nclient;
		if (c->issued == c->acked)
			return c;
	}
	return NULL;
}

/* All that is due by now; what finds every client waiting goes later, and its time counts. */
static void
send_due(struct worker *w)
{
	unsigned rate = w->run->plan.rate;
	uint64_t now = now_us();
	struct client *c;

	if (w->due_us == 0)
		w->due_us = now;
	while (w->due_us <= now && (c = next_idle(w)) != NULL) {
		put_patch(c, 0, w->due_us);
		flush(c);
		w->due_us += 1000000 / rate;
	}
}

/* ---- the thread ---- */

unsigned
stride_for(unsigned ndevice)
{
	unsigned a, b, t, stride = 499979 % ndevice;

	for (;; stride++) {
		for (a = stride, b = ndevice; b != 0; t = a % b, a = b, b = t)
			;
		if (a == 1)
			return stride;
	}
}

void
worker_init(struct worker *w, struct run *run, unsigned nclient)
{
	*w = (struct worker){ .run = run, .nclient = nclient };
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->clients = xcalloc(nclient, sizeof(*w->clients));
	for (unsigned i = 0; i < nclient; i++) {
		w->clients[i].worker = w;
		w->clients[i].slots = xcalloc(run->plan.inflight, sizeof(struct slot));
	}
}

void
worker_fini(struct worker *w)
{
	for (unsigned i = 0; i < w->nclient; i++) {
		if (w->clients[i].link.state != LINK_CLOSED)
			link_close(&w->clients[i].link);
		free(w->clients[i].slots);
	}
	free(w->clients);
	buf_fini(&w->body);
	close(w->epoll);
}

/* Until something comes, or the next patch is due. */
static int
wait_for_events(struct worker *w, struct epoll_event *events, int max)
{
	uint64_t now = now_us(), us = 100000;

	if (w->run->plan.rate > 0)
		us = w->due_us > now ? w->due_us - now : 1000;
	if (us > 100000)
		us = 100000;
	return epoll_pwait2(
	    w->epoll, events, max, &(struct timespec){ .tv_nsec = (long)us * 1000 }, NULL);
}

void
worker_loop(struct worker *w)
{
	struct epoll_event events[256];
	int n, phase;

	open_more(w);
	while ((phase = atomic_load_explicit(&w->run->phase, memory_order_relaxed)) != PHASE_END) {
		n = wait_for_events(w, events, 256);
		for (int i = 0; i < n; i++)
			on_event(events[i].data.ptr, events[i].events);
		if (w->run->plan.rate > 0 && phase != PHASE_CONNECT)
			send_due(w);
	}
}
