/*
 * What back ends write: identities one by one and by import; twins. What is refused is as good as what is done: both must leave
 * columns in step. Their requests over HTTP, and calls of many items, are in requests.c.
 */
#include "draw.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

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

void
world_work_back(struct work *k)
{
	struct world *w = k->owner;

	w->nwork--;
	w->nhome++;
	if (!w->dead)
		world_check_fault(&k->reply.fault);
	full_heard(k);
	noticed_heard(w, k);
	ledger_heard(w, k->tag, k->reply.fault.code, &k->reply, k->reply.gone);
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
	struct work *k = work_new(w->loop, ROOM + (json.n > 0 ? w->doc.n : 0), world_work_back);

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

/* One that the ledger knows. */
void
world_send_noted(struct world *w, struct work *k, uint32_t number)
{
	k->tag = number;
	world_send(w, k);
}

/* A device, or now and then a module of it. */
const char *
world_module(struct world *w)
{
	static const char *const modules[] = { "", "", "", "", "m0", "m1" };

	return modules[rnd_below(&w->rnd, 6)];
}

/* ---- identities ---- */

static void
put_key(struct buf *out)
{
	buf_cstr(out,
	    "\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"" SIM_KEY
	    "\",\"secondaryKey\":\"" SIM_KEY "\"}}");
}

void
world_put_identity(struct world *w, const char *device, const char *module)
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

	world_put_identity(w, device, module);
	k = world_work(w, OP_IDENTITY_PUT, device, module);
	k->op.if_match = if_match;
	world_send_noted(w, k, ledger_note(w, OP_IDENTITY_PUT, device, module));
}

void
write_identity(struct world *w)
{
	const char *device = world_device(w);

	put_one(w, device, world_module(w), rnd_below(&w->rnd, 3) ? IF_NONE : IF_ANY);
}

void
write_delete(struct world *w)
{
	const char *device = world_device(w), *module = world_module(w);
	struct work *k = world_work(w, OP_IDENTITY_DELETE, device, module);

	k->op.if_match = IF_ANY;
	world_send_noted(w, k, ledger_note(w, OP_IDENTITY_DELETE, device, module));
}

void
write_keys(struct world *w)
{
	struct work *k = world_work(w, OP_KEYS_REGENERATE, world_device(w), world_module(w));

	k->op.keys = 2; /* the primary one is what devices connect with */
	world_send(w, k);
}

/* ---- twins ---- */

/* The write's number, into the object that the text ends with. */
void
world_put_own(struct world *w, uint32_t number)
{
	struct buf *b = &w->text;

	b->n--;
	buf_printf(b, "%s\"own\":%u}", b->p[b->n - 1] == '{' ? "" : ",", number);
}

/* tags, and perhaps desired and reported, as members with commas between. */
void
world_put_sections(struct world *w, bool nulls, bool desired, bool reported, uint32_t number)
{
	struct buf *b = &w->text;

	buf_cstr(b, "\"tags\":");
	draw_tags(&w->rnd, nulls, b);
	world_put_own(w, number);
	buf_cstr(b, ",\"properties\":{");
	if (desired) {
		buf_cstr(b, "\"desired\":");
		draw_properties(&w->rnd, nulls, b);
		world_put_own(w, number);
		ledger_desired(number);
	}
	if (reported) {
		buf_cstr(b, ",\"reported\":");
		draw_properties(&w->rnd, nulls, b);
		world_put_own(w, number);
	}
	buf_cstr(b, "}");
}

/* Perhaps only if it is as it was when it was last seen. */
static void
send_twin(struct world *w, enum op_kind kind, const char *device, const char *module, bool desired)
{
	bool patch = kind == OP_TWIN_PATCH;
	uint32_t number = ledger_note(w, kind, device, module);
	struct work *k;

	buf_putc(&w->text, '{');
	world_put_sections(w, patch, desired, false, number);
	buf_putc(&w->text, '}');
	k = world_work(w, kind, device, module);
	if (rnd_below(&w->rnd, 3) == 0) {
		k->op.if_tag = work_str(k, ledger_tag(number));
		k->op.if_match = k->op.if_tag.n > 0 ? IF_TAG : IF_NONE;
	}
	world_send_noted(w, k, number);
}

void
write_twin(struct world *w)
{
	bool patch = rnd_below(&w->rnd, 4) > 0;
	const char *device = world_device(w);

	send_twin(w, patch ? OP_TWIN_PATCH : OP_TWIN_REPLACE, device, world_module(w),
	    !patch || rnd_below(&w->rnd, 4) > 0);
}

void
world_read(struct world *w, const char *device, const char *module)
{
	struct work *k = world_work(w, OP_TWIN_READ, device, module);

	world_send_noted(w, k, ledger_note(w, OP_TWIN_READ, device, module));
}

void
write_read(struct world *w)
{
	world_read(w, world_device(w), world_module(w));
}

/* ---- items of bulk calls and imports ---- */

/* Something that is passed over, to make an item large. */
static void
put_filler(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	buf_cstr(b, ",\"statusReason\":\"");
	for (size_t i = 0; i < n; i++)
		buf_putc(b, 'x');
	buf_putc(b, '"');
}

/* Its number in *number. */
const struct import_mode *
world_put_item(
    struct world *w, const char *device, const char *module, size_t filler, uint32_t *number)
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
	*number = ledger_note(w, import_mode_find(str_of(mode))->op, device, module);
	world_put_sections(w, false, true, rnd_below(&w->rnd, 2), *number);
	put_filler(b, filler);
	buf_putc(b, '}');
	return import_mode_find(str_of(mode));
}

static void
parcel_heard(struct msg *m)
{
	struct parcel *p = container_of(m, struct parcel, msg);
	struct world *w = p->owner;

	w->nparcel--;
	w->nhome++;
	for (uint32_t i = 0; i < p->cargo.n && !w->dead; i++) {
		struct fault f = { .code = p->cargo.items[i].fault, .text = "" };

		world_check_fault(&f);
		full_item_heard(f.code);
		ledger_heard(w, p->cargo.items[i].line, f.code, NULL, false);
	}
	parcel_free(p);
}

/* Behind the answers that have left before it. */
static void
parcel_back(struct parcel *p)
{
	struct world *w = p->owner;

	p->msg.run = parcel_heard;
	loop_post(w->loop, &p->msg);
}

static struct span
parcel_bytes(struct parcel *p, struct str s)
{
	struct span at = { (uint32_t)p->cargo.bytes.n, (uint32_t)s.n };

	buf_str(&p->cargo.bytes, s);
	return at;
}

static void
parcel_item(struct world *w, struct parcel *p, const char *device, size_t filler)
{
	const char *module = world_module(w);
	uint32_t number;
	const struct import_mode *mode = world_put_item(w, device, module, filler, &number);
	struct cargo_item *item = &p->cargo.items[p->cargo.n++];

	*item = (struct cargo_item){ .kind = mode->op,
		.import = mode->import | (mode->op == OP_IDENTITY_IMPORT ? IMPORT_WHOLE : 0),
		.if_match = IF_ANY,
		.line = number };
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
	uint32_t shard = hub_shard_of(str_of(world_device(w)));

	bool many = rnd_below(&w->rnd, 10) == 0;
	size_t filler = many && rnd_below(&w->rnd, 2) ? PARCEL_BYTES_MAX / 40 : 0;

	for (uint32_t n = many ? 1000 : 1 + rnd_below(&w->rnd, 12); n > 0; n--) {
		const char *device = world_device(w);

		if (hub_shard_of(str_of(device)) == shard)
			parcel_item(w, p, device, filler);
		if (p->cargo.n == PARCEL_ITEMS_MAX || p->cargo.bytes.n >= PARCEL_BYTES_MAX) {
			seen.parcels++;
			break;
		}
	}
	if (p->cargo.n == 0) {
		parcel_free(p);
		return;
	}
	w->nparcel++;
	w->sent++;
	fleet_parcel(w->fleet, shard, p);
}

/* ---- the beginning ---- */

void
world_populate(struct world *w, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		put_one(w, w->ids[i], "", IF_NONE);
		if (rnd_below(&w->rnd, 5) == 0)
			put_one(w, w->ids[i], "m0", IF_NONE);
		send_twin(w, OP_TWIN_PATCH, w->ids[i], "", true);
	}
	world_rest(w);
}
