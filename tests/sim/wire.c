/*
 * Links of devices: a kind of stream whose other end is the simulator's. What a device writes goes to the hub in pieces; what the
 * hub writes is there at the end of its turn. What must hold of links, whatever their devices say:
 *
 *   one that the hub has accepted, and that ends without a DISCONNECT, hands its will to its shard; one that has left does not
 *   a will that its shard has taken is in the log, once; one that it has not is told of by a line (LOG_WILL_LOST)
 *   what was subscribed to with clean 0 is so after the next CONNECT, whatever was between
 *   silence ends a link, and nothing but silence does so in that name
 *   of two links of one identity the younger one stays; one whose policy has another key goes; shards know who has a link
 */
#include "wire.h"

#include "front.h"
#include "shard/row.h"

#include <stdlib.h>

#define SLACK_US SECOND

static struct {
	struct mqtt_loop *ml;
	struct wire *all;
	struct wire *of[DEVICES_MAX * 2]; /* by link: accepted last */
	bool durable[DEVICES_MAX * 2];
	uint64_t nwill_lost; /* lines that say so */
} wires;

bool
wire_takes(uint32_t link)
{
	return link / 2 % 4 == 3;
}

struct mqtt_loop *
wire_mqtt(void)
{
	return wires.ml;
}

struct wire *
wire_of(uint32_t link)
{
	return wires.of[link];
}

bool *
wire_durable(uint32_t link)
{
	return &wires.durable[link];
}

bool
wire_is_youngest(const struct wire *d)
{
	const struct wire *first = wires.all;

	while (first->link != d->link)
		first = first->next;
	return first == d;
}

static struct link *
link_at(const struct wire *d)
{
	return d->stream.told ? d->stream.ctx : NULL;
}

static struct wire *
wire_at(struct reply_to to)
{
	for (struct wire *d = wires.all; d != NULL; d = d->next) {
		const struct link *l = link_at(d);

		if (l != NULL && l->session.self.slot == to.slot &&
		    l->session.self.generation == to.generation)
			return d;
	}
	return NULL;
}

/* ---- the stream ---- */

static struct wire *
wire_from(struct stream *s)
{
	return container_of(s, struct wire, stream);
}

static enum err
stream_flush(struct stream *s)
{
	struct world *w = the_world;
	struct wire *d = wire_from(s);

	buf_put(&d->from_hub, s->out.p + s->out_from, s->out.n - s->out_from);
	s->out_from = s->out.n;
	if (w->dead)
		d->from_hub.n = 0;
	else
		wire_read(w, d);
	return ERR_OK;
}

static void
stream_fill(struct stream *s)
{
	(void)s; /* wire_move does, in its time */
}

static void
stream_reads(struct stream *s, bool on)
{
	(void)s, (void)on;
}

static void
stream_goodbye(struct stream *s)
{
	struct wire *d = wire_from(s);

	d->left = link_at(d)->session.said_goodbye;
	stream_finish(s, STREAM_CLOSED);
}

static void
check_will(const struct wire *d)
{
	if (d->will == 0)
		return;
	if (d->left && d->willed)
		world_fail("message %u is the will of a link that was left properly", d->will);
	if (d->accepted && !d->goodbye && !d->willed)
		world_fail("the link of will %u is lost, and no shard hears of it", d->will);
	if (!d->willed)
		telemetry_never(d->will);
}

static void
stream_destroy(struct stream *s)
{
	struct world *w = the_world;
	struct wire *d = wire_from(s), **at = &wires.all;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	if (!w->dead)
		check_will(d);
	if (!d->accepted) /* perhaps it was, and nobody has heard so */
		wires.durable[d->link] = false;
	if (wires.of[d->link] == d) {
		wires.of[d->link] = NULL;
		w->session_epochs[d->link] = 0;
		mirror_off(d->link);
	}
	buf_fini(&d->to_hub);
	buf_fini(&d->from_hub);
	free(d->told);
	free(d);
}

static const struct stream_ops wire_ops = { .flush = stream_flush,
	.fill = stream_fill,
	.read_enable = stream_reads,
	.goodbye = stream_goodbye,
	.destroy = stream_destroy };

struct wire *
wire_new(struct world *w, uint32_t link)
{
	struct stream_limits limits = { 0 };
	struct net_addr peer = { .ip = { [10] = 0xff, 0xff, 10 }, .port = (uint16_t)link };
	struct wire *d = xcalloc(1, sizeof(*d));

	d->link = link;
	d->next = wires.all;
	d->sent_us = d->whole_us = w->mono_us;
	wires.all = d;
	stream_init(&d->stream, w->loop, &wire_ops, &limits, &peer);
	stream_set_user(&d->stream, &mqtt_user, wires.ml);
	stream_opened(&d->stream);
	return d;
}

void
wire_accepted(struct world *w, struct wire *d)
{
	d->accepted = true;
	wires.of[d->link] = d;
	w->session_epochs[d->link] = 1;
	mirror_off(d->link);
	seen.connected++;
	seen.wired++;
}

void
wire_breaks(struct world *w, uint32_t link)
{
	static const enum stream_end ends[] = { STREAM_EOF, STREAM_FAILED };

	if (wires.of[link] == NULL)
		return;
	stream_finish(&wires.of[link]->stream, ends[rnd_below(&w->rnd, 2)]);
	w->session_epochs[link] = 0;
	mirror_off(link);
}

bool
wire_gives_up(uint32_t link)
{
	for (struct wire *d = wires.all; d != NULL; d = d->next) {
		if (d->link != link || d->accepted || !stream_is_open(&d->stream))
			continue;
		stream_finish(&d->stream, STREAM_EOF);
		return true;
	}
	return false;
}

/* ---- time goes on ---- */

static void
send_some(struct world *w, struct wire *d)
{
	bool piece = rnd_below(&w->rnd, 4) == 0;
	size_t n = piece ? rnd_below(&w->rnd, (uint32_t)d->to_hub.n + 1) : d->to_hub.n;
	struct buf some = { 0 };

	if (n == 0 || !stream_is_open(&d->stream))
		return;
	buf_put(&some, d->to_hub.p, n);
	d->to_hub.n -= n;
	memmove(d->to_hub.p, d->to_hub.p + n, d->to_hub.n);
	d->sent_us = w->mono_us;
	if (d->to_hub.n == 0)
		d->whole_us = w->mono_us;
	stream_received(&d->stream, buf_view(&some));
	buf_fini(&some);
}

void
wire_move(struct world *w)
{
	for (struct wire *d = wires.all; d != NULL && !w->dead; d = d->next)
		send_some(w, d);
}

bool
wire_busy(void)
{
	for (const struct wire *d = wires.all; d != NULL; d = d->next)
		if (d->to_hub.n > 0 || d->stream.in.n > 0 || !d->accepted)
			return true;
	return false;
}

/* ---- works ---- */

static bool
is_will(const struct work *k)
{
	return k->op.kind == OP_DISCONNECT && k->op.payload.n > 0;
}

static uint32_t
row_of(const struct world *w, const struct work *k)
{
	return shard_find(contact_shard(w, hub_shard_of(k->op.device)), k->op.device, k->op.module);
}

void
wire_work_goes(struct world *w, const struct work *k, uint32_t *row)
{
	struct wire *d = wire_at(k->op.reply_to);

	*row = row_of(w, k);
	if (is_will(k) && d != NULL)
		d->willed = true;
}

static void
report_back(struct world *w, const struct work *k)
{
	struct wire *d = wire_at(k->op.reply_to);
	uint64_t number = 0;

	if (!str_u64(str_sub(k->rid, 1), &number))
		world_fail("a report has the name " STR_FMT, STR_ARG(k->rid));
	ledger_heard(w, (uint32_t)number, k->reply.fault.code, &k->reply, k->reply.gone);
	if (d == NULL || k->reply.gone)
		return;
	d->told = xrealloc(d->told, (d->ntold + 1) * sizeof(*d->told));
	d->told[d->ntold++] =
	    (struct told){ (uint32_t)number, k->reply.fault.code, k->reply.version };
}

void
wire_work_back(struct world *w, const struct work *k, uint32_t row)
{
	world_check_fault(&k->reply.fault);
	full_heard(k);
	if (k->op.kind == OP_REPORT)
		report_back(w, k);
	if (is_will(k) && k->reply.fault.code == F_NONE && row != TABLE_NONE) {
		telemetry_done(telemetry_number(k->op.payload));
		seen.wills++;
	}
}

/* ---- the log ---- */

uint64_t
wire_wills_lost(void)
{
	return wires.nwill_lost;
}

static bool
is_of(const struct world *w, const struct wire *d, const struct log_story *story)
{
	return str_eq(story->device, str_of(w->ids[d->link / 2])) &&
	    str_eq(story->module, str_of(d->link % 2 ? "m0" : ""));
}

static bool
is_of_policies(enum reason why)
{
	return why == REASON_POLICY_UNKNOWN || why == REASON_POLICY_SIGNATURE ||
	    why == REASON_POLICY_RIGHTS;
}

void
wire_logged(struct world *w, const struct log_story *story)
{
	bool silent = false;

	wires.nwill_lost += story->event == LOG_WILL_LOST;
	for (struct wire *d = wires.all; d != NULL && !w->dead; d = d->next) {
		if (!is_of(w, d, story))
			continue;
		silent |= w->mono_us - d->whole_us >= d->idle_us;
		if (story->event == LOG_CONNECT_REFUSED && !d->accepted)
			d->policy_refused = is_of_policies(story->reason);
	}
	if (story->event != LOG_CLOSED || story->reason != REASON_KEEP_ALIVE || w->dead)
		return;
	if (!silent)
		world_fail("the link of " STR_FMT " ends for silence, and was not silent",
		    STR_ARG(story->device));
	seen.silent++;
}

/* ---- what holds when all rests ---- */

static void
check_link(struct world *w, const struct wire *d)
{
	if (wires.of[d->link] != d)
		world_fail("%s has two links", w->ids[d->link / 2]);
	if (w->mono_us - d->sent_us > 2 * d->idle_us + SLACK_US)
		world_fail("the link of %s is silent for %lld s, and stays", w->ids[d->link / 2],
		    (long long)((w->mono_us - d->sent_us) / SECOND));
	if (d->nget > 0)
		world_fail("%s asks for its twin, and is not answered", w->ids[d->link / 2]);
	if (d->by_policy && !policies_hold(&d->pass))
		world_fail("the link of %s was opened by a key that %s has no more",
		    w->ids[d->link / 2], d->pass.name);
	seen.links++;
}

/* A shard knows the links of its identities, and no others. */
static void
check_presence(const struct world *w, uint32_t link)
{
	struct str device = str_of(w->ids[link / 2]), module = str_of(link % 2 ? "m0" : "");
	struct shard *sh = contact_shard(w, hub_shard_of(device));
	uint32_t row = shard_find(sh, device, module);
	const struct presence *p = row != TABLE_NONE ? row_at(sh, row)->presence : NULL;
	const struct wire *d = wires.of[link];

	if ((p != NULL) != (d != NULL) ||
	    (p != NULL && p->session.generation != link_at(d)->session.self.generation))
		world_fail(STR_FMT "/" STR_FMT " is %sconnected, and has %s link", STR_ARG(device),
		    STR_ARG(module), p != NULL ? "" : "not ", d != NULL ? "another" : "no");
}

void
wire_check(struct world *w)
{
	for (int i = 0; i < 3; i++) { /* what is due is done, and what comes of that */
		w->mono_us += SLACK_US / 2;
		world_round(w);
		world_rest(w);
	}
	for (const struct wire *d = wires.all; d != NULL; d = d->next)
		check_link(w, d);
	for (uint32_t link = 0; link < w->nid * 2; link++)
		if (wire_takes(link))
			check_presence(w, link);
}

/* ---- start and end ---- */

void
wire_up(struct world *w)
{
	struct mqtt_options o = { .fleet = w->fleet, .catalogue = w->box, .nloop = 1 };

	wires.ml = mqtt_loop_new(w->loop, &o);
}

void
wire_new_disk(void)
{
	memset(wires.durable, 0, sizeof(wires.durable));
}

void
wire_stop(void)
{
	mqtt_loop_close(wires.ml);
}

void
wire_down(void)
{
	if (wires.all != NULL)
		world_fail(
		    "%s has a link, and its hub is down", the_world->ids[wires.all->link / 2]);
	mqtt_loop_free(wires.ml);
	wires.ml = NULL;
}
