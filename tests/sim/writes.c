/*
 * What clients write: identities one by one, in bulk and by import; twins; what devices report over their sessions. What
 * is refused is as good as what is done: both must leave columns in step.
 */
#include "draw.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY  "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define ROOM 1024 /* bytes of the strings in a work, without its payload */

/* ---- works ---- */

/* What the hub may answer: anything but that it does not know itself. */
void
world_check_fault(const struct fault *f)
{
	if (f->code == F_NONE)
		seen.done++;
	else if (fault_status(f->code) != 500)
		seen.refused++;
	else
		world_fail("the hub answers %s: %s", fault_name(f->code), f->text);
}

static void
work_back(struct work *k)
{
	struct world *w = k->owner;

	w->nwork--;
	w->nhome++;
	if (!w->dead)
		world_check_fault(&k->reply.fault);
	work_free(k);
}

/* The text as a document in w->doc; how many members it has twice. */
static uint32_t
parse(struct world *w, struct str json)
{
	struct doc_parsed info;
	struct fault f = { .text = "" };

	w->doc.n = 0;
	if (doc_parse(w->parser, json, &w->doc, &info, &f) != ERR_OK)
		world_fail("no JSON: " STR_FMT ": %s", STR_ARG(json), f.text);
	return info.nduplicate;
}

struct work *
world_work(struct world *w, enum op_kind kind, const char *device, const char *module)
{
	struct str json = buf_view(&w->text);
	uint32_t nduplicate = json.n > 0 ? parse(w, json) : 0;
	struct work *k = work_new(w->loop, ROOM + (json.n > 0 ? w->doc.n : 0), work_back);

	k->op.kind = kind;
	k->op.actor = ACTOR_POLICY;
	k->op.actor_name = STR("owner");
	k->op.device = work_str(k, str_of(device));
	k->op.module = work_str(k, str_of(module));
	k->owner = w;
	if (json.n > 0) {
		k->op.payload = work_str(k, buf_view(&w->doc));
		k->op.nduplicate = nduplicate;
	}
	w->text.n = 0;
	return k;
}

void
world_send(struct world *w, struct work *k)
{
	w->nwork++;
	w->sent++;
	fleet_submit(w->fleet, k);
}

/* A device, or now and then a module of it. */
static const char *
some_module(struct world *w)
{
	static const char *const modules[] = { "", "", "", "", "m0", "m1" };

	return modules[rnd_below(&w->rnd, 6)];
}

/* ---- identities ---- */

static void
put_key(struct buf *out)
{
	buf_cstr(out,
	    "\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"" KEY
	    "\",\"secondaryKey\":\"" KEY "\"}}");
}

static void
put_identity(struct world *w, const char *device, const char *module)
{
	struct buf *b = &w->text;

	buf_printf(b, "{\"deviceId\":\"%s\",", device);
	if (module[0] != '\0')
		buf_printf(b, "\"moduleId\":\"%s\",", module);
	else
		buf_printf(b, "\"status\":\"%s\",\"capabilities\":{\"iotEdge\":%s},",
		    rnd_below(&w->rnd, 4) ? "enabled" : "disabled",
		    rnd_below(&w->rnd, 6) ? "false" : "true");
	put_key(b);
	buf_putc(b, '}');
}

static void
put_one(struct world *w, const char *device, const char *module, enum precondition if_match)
{
	struct work *k;

	put_identity(w, device, module);
	k = world_work(w, OP_IDENTITY_PUT, device, module);
	k->op.if_match = if_match;
	world_send(w, k);
}

void
write_identity(struct world *w)
{
	const char *device = world_device(w);

	put_one(w, device, some_module(w), rnd_below(&w->rnd, 3) ? IF_NONE : IF_ANY);
}

void
write_delete(struct world *w)
{
	struct work *k = world_work(w, OP_IDENTITY_DELETE, world_device(w), some_module(w));

	k->op.if_match = IF_ANY;
	world_send(w, k);
}

void
write_keys(struct world *w)
{
	struct work *k = world_work(w, OP_KEYS_REGENERATE, world_device(w), some_module(w));

	k->op.keys = 2; /* the primary one is what devices connect with */
	world_send(w, k);
}

/* ---- twins ---- */

/* tags, desired and perhaps reported, as members with commas between. */
static void
put_sections(struct world *w, bool nulls, bool reported)
{
	struct buf *b = &w->text;

	buf_cstr(b, "\"tags\":");
	draw_tags(&w->rnd, nulls, b);
	buf_cstr(b, ",\"properties\":{\"desired\":");
	draw_properties(&w->rnd, nulls, b);
	if (reported) {
		buf_cstr(b, ",\"reported\":");
		draw_properties(&w->rnd, nulls, b);
	}
	buf_cstr(b, "}");
}

void
write_twin(struct world *w)
{
	bool patch = rnd_below(&w->rnd, 4) > 0;
	const char *device = world_device(w);

	buf_putc(&w->text, '{');
	put_sections(w, patch, false);
	buf_putc(&w->text, '}');
	world_send(
	    w, world_work(w, patch ? OP_TWIN_PATCH : OP_TWIN_REPLACE, device, some_module(w)));
}

void
write_read(struct world *w)
{
	const char *device = world_device(w);

	world_send(w, world_work(w, OP_TWIN_READ, device, some_module(w)));
}

/* ---- items of bulk calls and imports ---- */

static const struct import_mode *
put_item(struct world *w, const char *device, const char *module)
{
	static const char *const modes[] = { "createOrUpdate", "createOrUpdate", "create", "update",
		"updateTwin", "delete" };
	const char *mode = modes[rnd_below(&w->rnd, 6)];
	struct buf *b = &w->text;

	buf_printf(b, "{\"id\":\"%s\",", device);
	if (module[0] != '\0')
		buf_printf(b, "\"moduleId\":\"%s\",", module);
	buf_printf(b, "\"importMode\":\"%s\",", mode);
	put_key(b);
	buf_putc(b, ',');
	put_sections(w, false, rnd_below(&w->rnd, 2));
	buf_putc(b, '}');
	return import_mode_find(str_of(mode));
}

static void
bulk_item(struct world *w)
{
	const char *device = world_device(w), *module = some_module(w);
	const struct import_mode *mode = put_item(w, device, module);
	struct work *k = world_work(w, mode->op, device, module);

	k->op.import = mode->import;
	k->op.if_match = IF_ANY;
	world_send(w, k);
}

void
write_bulk(struct world *w)
{
	for (uint32_t n = 1 + rnd_below(&w->rnd, 6); n > 0; n--)
		bulk_item(w);
}

static void
parcel_back(struct parcel *p)
{
	struct world *w = p->owner;

	w->nparcel--;
	w->nhome++;
	for (uint32_t i = 0; i < p->n && !w->dead; i++) {
		struct fault f = { .code = p->items[i].fault, .text = "" };

		world_check_fault(&f);
	}
	parcel_free(p);
}

static struct span
parcel_bytes(struct parcel *p, struct str s)
{
	struct span at = { (uint32_t)p->bytes.n, (uint32_t)s.n };

	buf_str(&p->bytes, s);
	return at;
}

static void
parcel_item(struct world *w, struct parcel *p, const char *device)
{
	const char *module = some_module(w);
	const struct import_mode *mode = put_item(w, device, module);
	struct parcel_item *item = &p->items[p->n++];

	*item = (struct parcel_item){ .kind = mode->op,
		.import = mode->import | (mode->op == OP_IDENTITY_IMPORT ? IMPORT_WHOLE : 0),
		.if_match = IF_ANY };
	item->nduplicate = parse(w, buf_view(&w->text));
	item->device = parcel_bytes(p, str_of(device));
	item->module = parcel_bytes(p, str_of(module));
	item->payload = parcel_bytes(p, buf_view(&w->doc));
	w->text.n = 0;
}

void
write_import(struct world *w)
{
	struct parcel *p = parcel_new(parcel_back, w, STR("owner"));
	unsigned worker = rnd_below(&w->rnd, w->o.nworker);

	for (uint32_t n = 1 + rnd_below(&w->rnd, 12); n > 0; n--) {
		const char *device = world_device(w);

		if (fleet_worker_of(w->fleet, str_of(device)) == worker)
			parcel_item(w, p, device);
	}
	if (p->n == 0) {
		parcel_free(p);
		return;
	}
	w->nparcel++;
	w->sent++;
	fleet_parcel(w->fleet, worker, p);
}

/* ---- sessions: a link has its number as its slot; of each device there are two, the second its module's ---- */

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
	k->op.epoch = w->epochs[link];
	return k;
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
	buf_fini(&list);
	world_send(w, k);
}

static void
connect_back(struct work *k)
{
	struct world *w = k->owner;

	if (k->reply.fault.code == F_NONE && !w->dead) {
		w->epochs[k->tag] = k->reply.epoch;
		subscribe(w, k->tag);
		seen.connected++;
	}
	work_back(k);
}

static void
connect_link(struct world *w, uint32_t link)
{
	struct work *k = link_work(w, OP_CONNECT, link);
	struct buf token = { 0 }, resource = { 0 };

	buf_printf(&resource, SIM_HOST "/devices/%s%s%s", link_device(w, link),
	    link % 2 ? "/modules/" : "", link_module(link));
	if (sas_make(w->mac, &token, buf_view(&resource), STR(KEY),
	        world_wall_us(w) / SECOND + 3600, STR_NONE) != ERR_OK)
		world_fail("no token");
	k->done = connect_back;
	k->tag = link;
	k->op.epoch = 0;
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
		if (w->epochs[link] != 0)
			return link;
	return UINT32_MAX;
}

/* NULL: nobody is connected; then somebody is about to. */
static struct work *
session_work(struct world *w, enum op_kind kind)
{
	uint32_t link = some_session(w);

	if (link != UINT32_MAX)
		return link_work(w, kind, link);
	w->text.n = 0;
	write_connect(w);
	return NULL;
}

void
write_report(struct world *w)
{
	struct work *k;

	draw_properties(&w->rnd, true, &w->text);
	k = session_work(w, OP_REPORT);
	if (k != NULL)
		world_send(w, k);
}

void
write_telemetry(struct world *w)
{
	struct work *k = session_work(w, OP_TELEMETRY);
	struct buf record = { 0 };

	if (k == NULL)
		return;
	log_message(&record, STR("hello"));
	k->op.payload = work_str(k, buf_view(&record));
	buf_fini(&record);
	world_send(w, k);
}

void
write_disconnect(struct world *w)
{
	uint32_t link = some_session(w);

	if (link == UINT32_MAX)
		return;
	world_send(w, link_work(w, OP_DISCONNECT, link));
	w->epochs[link] = 0;
}

/* What a device answers, as JSON: outlives the world. */
static struct str
answer_of(const struct world *w)
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
	struct str answer = answer_of(w);
	struct work *k;

	if (n->kind != EFFECT_METHOD || w->dead)
		return;
	job_watch_called(w, n->name, link_device(w, n->session.slot), link_module(n->session.slot));
	k = link_work(w, OP_METHOD_RESPONSE, n->session.slot);
	k->op.method.call = n->call;
	k->op.method.status = 200;
	k->op.payload = answer;
	seen.called++;
	world_send(w, k);
}

/* ---- the beginning ---- */

void
world_populate(struct world *w, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		put_one(w, w->ids[i], "", IF_NONE);
		if (rnd_below(&w->rnd, 5) == 0)
			put_one(w, w->ids[i], "m0", IF_NONE);
		buf_putc(&w->text, '{');
		put_sections(w, true, false);
		buf_putc(&w->text, '}');
		world_send(w, world_work(w, OP_TWIN_PATCH, w->ids[i], ""));
	}
	world_rest(w);
}
