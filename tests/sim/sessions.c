/*
 * Devices, and what they send over their sessions. Of each device there are two links, the second its module's. Some are wires
 * (wire.h); of the others each has its number as its slot, with generation 0, and hands its operations to the fleet itself.
 */
#include "draw.h"
#include "epochs.h"
#include "event/telemetry.h"
#include "front.h"
#include "http/http.h"
#include "shard/row.h"
#include "wire.h"
#include "world.h"

#include <stdio.h>

static const char *
link_device(const struct world *w, uint32_t link)
{
	return w->ids[link / 2];
}

static const char *
link_module(uint32_t link)
{
	return link % 2 ? "m0" : "";
}

static uint32_t
some_link(struct world *w)
{
	return rnd_below(&w->rnd, w->nid) * 2 + (rnd_below(&w->rnd, 5) == 0);
}

static struct work *
link_work(struct world *w, enum op_kind kind, uint32_t link)
{
	struct work *k = world_work(w, kind, link_device(w, link), link_module(link));

	k->op.actor = ACTOR_DEVICE;
	k->op.actor_name = k->op.device;
	k->op.session_epoch = w->session_epochs[link];
	k->op.ended = REASON_LEFT; /* of OP_DISCONNECT */
	return k;
}

/* ---- how many sessions each link has had, for the log to tell ---- */

static struct {
	uint32_t accepted;
	bool unsure; /* a crash has taken what nobody knows, or it was a wire's */
} tallies[DEVICES_MAX * 2];

bool
sessions_accepted(const struct world *w, struct str device, struct str module, uint32_t *n)
{
	for (uint32_t link = 0; link < w->nid * 2; link++)
		if (str_eq(device, str_of(link_device(w, link))) &&
		    str_eq(module, str_of(link_module(link)))) {
			*n = tallies[link].accepted;
			return !tallies[link].unsure;
		}
	return false;
}

void
sessions_forget(void)
{
	memset(tallies, 0, sizeof(tallies));
}

/* The fleet ends: what was not told of these is lost. all: so is what is on its way. */
void
sessions_end(const struct world *w, bool all)
{
	for (uint32_t link = 0; link < w->nid * 2; link++) {
		struct str device = str_of(link_device(w, link));
		uint32_t s = hub_shard_of(device);
		struct shard *sh = contact_shard(w, s);
		uint32_t n = shard_find(sh, device, str_of(link_module(link)));

		if ((n != TABLE_NONE && row_at(sh, n)->untold.listed) ||
		    (all && !contact_rests(w, contact_worker_of(w, s))))
			tallies[link].unsure = true;
	}
}

/* What the tag of these works says is their link. */
static void
link_back(struct work *k)
{
	k->tag = 0;
	world_work_back(k);
}

static void
get_back(struct work *k)
{
	struct world *w = k->owner;

	if (k->reply.fault.code == F_NONE && !k->reply.gone && !w->dead &&
	    w->session_epochs[k->tag] == k->op.session_epoch)
		mirror_got(w, k->tag, buf_view(&k->reply.body));
	link_back(k);
}

static void
subscribe_back(struct work *k)
{
	struct world *w = k->owner;

	if (k->reply.fault.code == F_NONE && !k->reply.gone && !w->dead) {
		struct work *get = link_work(w, OP_TWIN_GET, k->tag);

		get->op.session_epoch = k->op.session_epoch;
		get->done = get_back;
		get->tag = k->tag;
		world_send(w, get);
	}
	link_back(k);
}

/* It listens to calls, too. */
static void
subscribe(struct world *w, uint32_t link)
{
	static const struct filter filters[] = { { FILTER_DESIRED, 0, { NULL, 0 } },
		{ FILTER_METHODS, 0, { NULL, 0 } } };
	struct work *k = link_work(w, OP_SUBSCRIBE, link);
	struct buf list = { 0 };

	filters_put(&list, &filters[0]);
	filters_put(&list, &filters[1]);
	k->op.payload = work_str(k, buf_view(&list));
	k->done = subscribe_back;
	k->tag = link;
	buf_fini(&list);
	world_send(w, k);
}

static void
connect_back(struct work *k)
{
	struct world *w = k->owner;

	if (k->reply.fault.code == F_NONE && !w->dead) {
		w->session_epochs[k->tag] = k->reply.session_epoch;
		epochs_session_told(w, k->op.device, k->reply.session_epoch);
		mirror_off(k->tag);
		subscribe(w, k->tag);
		seen.connected++;
		tallies[k->tag].accepted++;
	}
	tallies[k->tag].unsure |= w->dead;
	link_back(k);
}

static void
connect_link(struct world *w, uint32_t link)
{
	struct work *k;
	struct buf token = { 0 }, resource = { 0 };

	if (wire_takes(link)) {
		tallies[link].unsure = true;
		if (!wire_gives_up(link))
			wire_connect(w, link);
		return;
	}
	k = link_work(w, OP_CONNECT, link);
	buf_printf(&resource, SIM_HOST "/devices/%s%s%s", link_device(w, link),
	    link % 2 ? "/modules/" : "", link_module(link));
	if (sas_make(w->mac, &token, buf_view(&resource), STR(SIM_KEY),
	        world_wall_us(w) / SECOND + 3600, STR_NONE) != ERR_OK)
		world_fail("no token");
	k->done = connect_back;
	k->tag = link;
	k->op.session_epoch = 0;
	k->op.shown.token = work_str(k, buf_view(&token));
	k->op.connect.clean = rnd_below(&w->rnd, 2);
	k->op.reply_to = (struct reply_to){ .slot = link };
	buf_fini(&token);
	buf_fini(&resource);
	world_send(w, k);
}

void
write_connect(struct world *w)
{
	connect_link(w, some_link(w));
}

void
write_connect_all(struct world *w)
{
	for (uint32_t i = 0; i < w->nid; i++)
		connect_link(w, i * 2);
	world_rest(w);
}

/* One that is, or was, connected; UINT32_MAX: none is. */
static uint32_t
some_session(struct world *w)
{
	uint32_t link = some_link(w), all = w->nid * 2;

	for (uint32_t n = 0; n < all; n++, link = (link + 1) % all)
		if (w->session_epochs[link] != 0)
			return link;
	return UINT32_MAX;
}

void
write_report(struct world *w)
{
	uint32_t link = some_session(w), number;
	struct work *k;

	if (link == UINT32_MAX) {
		write_connect(w);
		return;
	}
	if (wire_takes(link)) {
		wire_report(w, link);
		return;
	}
	number = ledger_note(w, OP_REPORT, link_device(w, link), link_module(link));
	draw_properties(&w->rnd, true, &w->text);
	world_put_own(w, number);
	k = link_work(w, OP_REPORT, link);
	world_send_noted(w, k, number);
}

/* The record of a numbered message. */
static void
put_message(struct work *k, uint32_t number)
{
	struct buf record = { 0 };
	char text[16];

	snprintf(text, sizeof(text), "m%06u", number);
	telemetry_end(&record, str_of(text));
	k->op.payload = work_str(k, buf_view(&record));
	buf_fini(&record);
}

static void
telemetry_back(struct work *k)
{
	struct world *w = k->owner;

	if (k->reply.fault.code == F_NONE && !k->reply.gone && !w->dead)
		telemetry_done(k->tag);
	link_back(k);
}

void
write_telemetry(struct world *w)
{
	uint32_t link = some_session(w);
	struct work *k;

	if (link == UINT32_MAX)
		return;
	if (wire_takes(link)) {
		wire_telemetry(w, link);
		return;
	}
	k = link_work(w, OP_TELEMETRY, link);
	k->tag = telemetry_note(link);
	k->done = telemetry_back;
	put_message(k, k->tag);
	world_send(w, k);
}

static uint32_t
row_of(const struct world *w, uint32_t link)
{
	struct str device = str_of(link_device(w, link));

	return shard_find(
	    contact_shard(w, hub_shard_of(device)), device, str_of(link_module(link)));
}

/* Nobody has removed it meanwhile; and while the store takes no writes a will is lost: nobody can be told to send it again. */
static void
will_back(struct work *k)
{
	struct world *w = k->owner;

	if (k->reply.fault.code == F_NONE && !w->dead && k->op.base_version == w->ntrouble &&
	    row_of(w, k->op.reply_to.slot) == k->op.nduplicate && k->op.nduplicate != TABLE_NONE) {
		telemetry_done(k->tag);
		seen.wills++;
	}
	link_back(k);
}

/* The link is lost, and its will is to be found once, or it is left properly, without one. */
void
write_disconnect(struct world *w)
{
	uint32_t link = some_session(w);
	struct work *k;

	if (link == UINT32_MAX)
		return;
	if (wire_takes(link)) {
		(rnd_below(&w->rnd, 3) ? wire_breaks : wire_leave)(w, link);
		return;
	}
	k = link_work(w, OP_DISCONNECT, link);
	if (rnd_below(&w->rnd, 2)) {
		k->tag = telemetry_note(link);
		k->done = will_back;
		k->op.reply_to.slot = link;
		k->op.nduplicate = row_of(w, link);
		k->op.base_version =
		    world_writes(w, link_device(w, link)) ? w->ntrouble : UINT64_MAX;
		put_message(k, k->tag);
	}
	world_send(w, k);
	mirror_off(link);
	w->session_epochs[link] = 0;
}

void
write_ping(struct world *w)
{
	for (uint32_t n = 0; n < 8; n++) {
		uint32_t link = some_session(w);

		if (link != UINT32_MAX && wire_takes(link))
			wire_ping(w, link);
	}
}

/* What a device answers, as JSON: outlives the world. */
struct str
world_answer(const struct world *w)
{
	static char large[METHOD_PAYLOAD_MAX - 64];

	if (!w->crowded)
		return STR("{\"done\":true}");
	if (large[0] == '\0') {
		memset(large, 'x', sizeof(large));
		large[0] = large[sizeof(large) - 1] = '"';
	}
	return (struct str){ large, sizeof(large) };
}

void
world_note(struct note *n)
{
	struct world *w = the_world;
	struct str answer = world_answer(w);
	struct work *k;

	if (effect_is_callers(n->kind))
		http_note(front_http(), n);
	else if (n->session.generation != 0)
		mqtt_note(wire_mqtt(), n);
	if (w->dead || effect_is_callers(n->kind) || n->session.generation != 0)
		return;
	if (n->kind == EFFECT_CLOSE)
		mirror_off(n->session.slot);
	if (n->kind == EFFECT_NOTIFY)
		mirror_told(w, n->session.slot, n->version, n->body);
	if (n->kind != EFFECT_METHOD)
		return;
	job_watch_called(w, n->name, link_device(w, n->session.slot), link_module(n->session.slot));
	k = link_work(w, OP_METHOD_RESPONSE, n->session.slot);
	k->op.method.call = n->call;
	k->op.method.status = 200;
	k->op.payload = answer;
	seen.called++;
	world_send(w, k);
}
