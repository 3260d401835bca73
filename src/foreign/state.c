/*
 * The state file of `az iot hub state export`. Three layouts have been written by its releases:
 *
 *   devices: { ID: { identity, twin, parent, modules: { ID: { identity, twin } } } },
 *   configurations: { admConfigurations: { ID: {} }, edgeDeployments: { ID: {} } }
 *
 *   devices: { identities: [ identity with its twin ], children: { PARENT: [ ID ] } }, modules: { ID: [ [ identity, twin ] ] },
 *   configurations: [], edgeDeployments: []
 *
 *   devices: { ID: identity with its twin }, modules: as above, configurations: []
 *
 * Devices come first, then the modules of the older layouts, then configurations.
 */
#include "foreign/priv.h"

#include <stdlib.h>

#define EDGE_SCOPE "ms-azure-iot-edge://"

/* A part of the text that is read later. */
struct place {
	struct str text;
	uint64_t line;
};

struct kinship {
	struct str child, parent; /* as in the text */
};

struct state {
	const struct foreign_sink *sink;
	struct doc_parser *parser;
	struct buf doc, id, child, parent, line, own, parents_scope;
	struct place devices, modules, configurations, deployments;
	struct kinship *kin; /* of the layout that has it apart from the devices */
	size_t nkin, capkin;
	/* ERR_OK: it goes on; ERR_END: the sink has stopped; ERR_SYNTAX: f says why */
	enum err end;
	struct fault *f;
};

/* ---- saying what is wrong ---- */

static void
tell(struct state *st, uint64_t line, struct str id, const char *why)
{
	if (!st->sink->fault(st->sink->ctx, line, id, why))
		st->end = ERR_END;
}

/* One part as a document in st->doc; DOC_NONE: told. */
static struct doc
parse(struct state *st, struct str text, uint64_t line, struct str id)
{
	struct doc_parsed info;
	struct fault f = { 0 };

	st->doc.n = 0;
	if (doc_parse(st->parser, text, &st->doc, &info, &f) == ERR_OK)
		return doc_of(buf_view(&st->doc));
	tell(st, line, id, f.text);
	return DOC_NONE;
}

/* What a key or string says that stands so between its quotes; nothing if it is none. */
static struct str
unescape(struct state *st, struct str raw, struct buf *out)
{
	struct buf quoted = { 0 }, doc = { 0 };
	struct doc_parsed info;

	out->n = 0;
	buf_printf(&quoted, "\"" STR_FMT "\"", STR_ARG(raw));
	if (doc_parse(st->parser, buf_view(&quoted), &doc, &info, NULL) == ERR_OK)
		buf_str(out, doc_str(doc_of(buf_view(&doc))));
	buf_fini(&quoted);
	buf_fini(&doc);
	return buf_view(out);
}

static void
line_go(struct state *st, uint64_t line)
{
	if (!st->sink->line(st->sink->ctx, line, buf_view(&st->line)))
		st->end = ERR_END;
	st->line.n = 0;
}

/* ---- edge scopes: a device has its own, and its children name it ---- */

/* Where the lines go it may be there already; else the file's device gets this one, so that its children find it. */
static struct str
scope_of(struct state *st, struct str device, struct buf *out)
{
	out->n = 0;
	if (device.n == 0)
		return STR_NONE;
	if (st->sink->scope != NULL)
		st->sink->scope(st->sink->ctx, device, out);
	if (out->n == 0)
		buf_printf(out, EDGE_SCOPE STR_FMT "-0", STR_ARG(device));
	return buf_view(out);
}

static struct str
parent_of(struct state *st, struct str device)
{
	for (size_t i = 0; i < st->nkin; i++)
		if (str_eq(unescape(st, st->kin[i].child, &st->child), device))
			return unescape(st, st->kin[i].parent, &st->parent);
	return STR_NONE;
}

/* ---- one identity ---- */

static void
device_go(struct state *st, struct str id, struct doc identity, struct doc twin, struct str parent,
    uint64_t line)
{
	struct foreign_entry e = { .device = id, .identity = identity, .twin = twin };

	if (foreign_is_edge(&e))
		e.scope = scope_of(st, id, &st->own);
	e.parent_scope = scope_of(st, parent, &st->parents_scope);
	foreign_line(&st->line, &e);
	line_go(st, line);
}

static void
modules_go(struct state *st, struct str device, struct doc modules, uint64_t line)
{
	struct doc_iter it = doc_iter(modules);
	struct str id;
	struct doc d;

	while (st->end == ERR_OK && doc_next(&it, &id, &d)) {
		struct foreign_entry e = { .device = device,
			.module = id,
			.identity = doc_getc(d, "identity"),
			.twin = doc_getc(d, "twin") };

		foreign_line(&st->line, &e);
		line_go(st, line);
	}
}

/* { identity, twin, parent, modules }, or all of it in one. */
static void
device_take(struct state *st, struct str raw_id, struct str text, uint64_t line)
{
	struct str id = unescape(st, raw_id, &st->id);
	struct doc d = parse(st, text, line, id), identity = doc_getc(d, "identity"), v;

	if (!doc_defined(d))
		return;
	if (id.n == 0) {
		v = doc_getc(d, "deviceId");
		id = doc_kind(v) == DOC_STRING ? doc_str(v) : STR_NONE;
	}
	if (doc_kind(d) != DOC_OBJECT || id.n == 0) {
		tell(st, line, id, "this is no device: an object with its deviceId is expected");
	} else if (doc_kind(identity) == DOC_OBJECT) {
		v = doc_getc(d, "parent");
		device_go(st, id, identity, doc_getc(d, "twin"),
		    doc_kind(v) == DOC_STRING ? doc_str(v) : STR_NONE, line);
		modules_go(st, id, doc_getc(d, "modules"), line);
	} else {
		device_go(st, id, d, d, parent_of(st, id), line);
	}
}

/* [ identity, twin ] */
static void
module_take(struct state *st, struct str device, struct str text, uint64_t line)
{
	struct doc d = parse(st, text, line, device), identity = DOC_NONE, twin = DOC_NONE, id;
	struct doc_iter it = doc_iter(d);
	struct str key;

	if (!doc_defined(d))
		return;
	if (doc_next(&it, &key, &identity))
		doc_next(&it, &key, &twin);
	id = doc_getc(identity, "module_id");
	if (doc_kind(id) != DOC_STRING)
		id = doc_getc(identity, "moduleId");
	if (doc_kind(id) != DOC_STRING) {
		tell(
		    st, line, device, "this is no module: a pair of identity and twin is expected");
		return;
	}
	foreign_line(&st->line,
	    &(struct foreign_entry){
	        .device = device, .module = doc_str(id), .identity = identity, .twin = twin });
	line_go(st, line);
}

static void
configuration_take(struct state *st, struct str raw_id, struct str text, uint64_t line)
{
	struct str id = unescape(st, raw_id, &st->id);
	struct doc d = parse(st, text, line, id), v = doc_getc(d, "id");

	if (!doc_defined(d))
		return;
	if (doc_kind(v) == DOC_STRING)
		id = doc_str(v);
	if (doc_kind(d) != DOC_OBJECT || id.n == 0) {
		tell(st, line, id, "this is no configuration: an object with its id is expected");
		return;
	}
	foreign_configuration(&st->line, id, d);
	line_go(st, line);
}

/* ---- the parts ---- */

/* Where a part is cut short nothing behind it can be trusted. */
static void
whole(struct state *st, const struct parts *s, const char *what)
{
	if (!s->bad)
		return;
	fault_set(st->f, F_IotHubFormatError, "line %llu: %s ends or breaks off there",
	    (unsigned long long)s->line, what);
	st->end = ERR_SYNTAX;
}

typedef void take_fn(struct state *st, struct str key, struct str text, uint64_t line);

static void
each(struct state *st, const struct place *place, const char *what, take_fn *take)
{
	struct parts s;
	struct str key, value;
	uint64_t line;

	if (place->text.n == 0 || st->end != ERR_OK)
		return;
	s = parts_of(place->text, place->line);
	while (st->end == ERR_OK && parts_next(&s, &key, &value, &line))
		take(st, key, value, line);
	whole(st, &s, what);
}

static void
kin_add(struct state *st, struct str parent, struct str child)
{
	if (child.n < 2 || child.p[0] != '"')
		return;
	if (st->nkin == st->capkin) {
		st->capkin = st->capkin > 0 ? 2 * st->capkin : 64;
		st->kin = xrealloc(st->kin, st->capkin * sizeof(*st->kin));
	}
	st->kin[st->nkin++] = (struct kinship){ { child.p + 1, child.n - 2 }, parent };
}

static void
children_take(struct state *st, struct str parent, struct str text, uint64_t line)
{
	struct parts s = parts_of(text, line);
	struct str key, child;

	while (parts_next(&s, &key, &child, &line))
		kin_add(st, parent, child);
}

/* { identities: [], children: {} }? Then the places of both. */
static bool
devices_apart(const struct state *st, struct place *identities, struct place *children)
{
	struct parts s = parts_of(st->devices.text, st->devices.line);
	struct str key, value;
	uint64_t line;

	while (parts_next(&s, &key, &value, &line)) {
		if (str_eq(key, STR("identities")) && !parts_is_object(value))
			*identities = (struct place){ value, line };
		else if (str_eq(key, STR("children")))
			*children = (struct place){ value, line };
		else if (identities->text.n == 0)
			return false; /* a device's own id */
	}
	return identities->text.n > 0;
}

static void
devices_go(struct state *st)
{
	struct place identities = { 0 }, children = { 0 };

	if (st->devices.text.n > 0 && devices_apart(st, &identities, &children)) {
		each(st, &children, "devices.children", children_take);
		each(st, &identities, "devices.identities", device_take);
	} else {
		each(st, &st->devices, "devices", device_take);
	}
}

static void
modules_of_device(struct state *st, struct str raw_id, struct str text, uint64_t line)
{
	struct parts s = parts_of(text, line);
	struct str id = unescape(st, raw_id, &st->id), key, pair;

	while (st->end == ERR_OK && parts_next(&s, &key, &pair, &line))
		module_take(st, id, pair, line);
	if (s.bad)
		tell(st, line, id, "the modules of this device are no array");
}

static void
configurations_of_kind(struct state *st, struct str kind, struct str text, uint64_t line)
{
	struct place place = { text, line };

	(void)kind;
	each(st, &place, "configurations", configuration_take);
}

/* An array, or an object of admConfigurations and edgeDeployments, which are objects. */
static void
configurations_go(struct state *st)
{
	bool by_kind = st->configurations.text.n > 0 && parts_is_object(st->configurations.text);

	each(st, &st->configurations, "configurations",
	    by_kind ? configurations_of_kind : configuration_take);
	each(st, &st->deployments, "edgeDeployments", configuration_take);
}

static void
find_parts(struct state *st, struct str text)
{
	const struct {
		const char *name;
		struct place *place;
	} known[] = { { "devices", &st->devices }, { "modules", &st->modules },
		{ "configurations", &st->configurations },
		{ "edgeDeployments", &st->deployments } };
	struct parts s = parts_of(text, 1);
	struct str key, value;
	uint64_t line;

	while (parts_next(&s, &key, &value, &line)) {
		struct place *place = NULL;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (str_eq(key, str_of(known[i].name)))
				place = known[i].place;
		if (place != NULL)
			*place = (struct place){ value, line };
		else
			st->sink->passed_over(st->sink->ctx, key);
	}
	whole(st, &s, "the state");
}

enum err
state_read(struct str text, const struct foreign_sink *sink, struct fault *f)
{
	struct state st = { .sink = sink, .f = f, .parser = doc_parser_new(FOREIGN_ITEM_MAX) };
	struct buf *bufs[] = { &st.doc, &st.id, &st.child, &st.parent, &st.line, &st.own,
		&st.parents_scope };

	find_parts(&st, text);
	devices_go(&st);
	each(&st, &st.modules, "modules", modules_of_device);
	configurations_go(&st);
	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
		buf_fini(bufs[i]);
	free(st.kin);
	doc_parser_free(st.parser);
	return st.end;
}
