/*
 * Configurations as values: the stored form, the parts made ready for evaluation, and what the API shows.
 *
 *   record   format | priority | created | updated | counter (varints) | [length, rollout state] | body (a doc, to the end)
 *
 * Format 1 has no rollout, format 2 has.
 */
#include "config/configuration.h"

#include <stdlib.h>

#include "config/priv.h"

#define TICKS_OF_1970 INT64_C(621355968000000000) /* .NET ticks of 100 ns since 0001-01-01 */
#define DESIRED       "properties.desired"
#define MODULES_FROM  "from devices.modules"

bool
configuration_id_valid(struct str id)
{
	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];

		if (c <= ' ' || c > '~' || (c >= 'A' && c <= 'Z') ||
		    char_among(c, "&^[]{}\\/\"<>|"))
			return false;
	}
	return id.n > 0 && id.n <= CONFIGURATION_ID_MAX;
}

static struct str
text_of(struct doc d)
{
	return doc_kind(d) == DOC_STRING ? doc_str(d) : STR_NONE;
}

/* ---- from the record ---- */

static bool
nulls_in(struct doc d)
{
	struct doc_iter it = doc_iter(d);
	struct str key;
	struct doc v;

	if (doc_kind(d) == DOC_OBJECT)
		while (doc_next(&it, &key, &v))
			if (nulls_in(v))
				return true;
	return doc_kind(d) == DOC_NULL;
}

void
configuration_path_patch(struct buf *out, struct str key, struct doc value)
{
	struct str rest = str_sub(key, sizeof(DESIRED) - 1), step;
	struct doc_writer dw;
	unsigned depth = 0;

	doc_writer_init(&dw, out, 0);
	while (rest.n > 0) {
		str_cut(str_sub(rest, 1), '.', &step, &rest);
		if (rest.n > 0) /* str_cut took the dot */
			rest = (struct str){ rest.p - 1, rest.n + 1 };
		doc_begin_object(&dw, 0);
		doc_key(&dw, step);
		depth++;
	}
	doc_put_copy(&dw, 0, value);
	while (depth-- > 0)
		doc_end(&dw);
}

static void
take_path(struct configuration *c, struct str module, struct str key, struct doc v)
{
	struct configuration_path *p = &c->paths[c->npath++];
	struct buf patch = { 0 };

	configuration_path_patch(&patch, key, v);
	p->module = module;
	p->text = key;
	p->patch = doc_of(arena_str(&c->arena, buf_view(&patch)));
	p->has_nulls = nulls_in(v);
	p->whole = module.n > 0 && str_eq(key, STR(DESIRED));
	c->base |= p->whole && str_eq(module, STR("$edgeAgent"));
	buf_fini(&patch);
}

static void
take_keys(struct configuration *c, struct str module, struct doc content)
{
	struct doc_iter it = doc_iter(content);
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v))
		take_path(c, module, key, v);
}

static void
take_paths(struct configuration *c, struct doc content)
{
	struct doc_iter it = doc_iter(content);
	uint32_t n = doc_count(content);
	struct str module;
	struct doc v;

	if (c->kind == CONFIGURATION_EDGE)
		for (n = 0; doc_next(&it, &module, &v);)
			n += doc_count(v);
	c->paths = arena_alloc(&c->arena, (n + 1) * sizeof(*c->paths));
	if (c->kind != CONFIGURATION_EDGE)
		take_keys(c, STR_NONE, content);
	it = doc_iter(content);
	while (c->kind == CONFIGURATION_EDGE && doc_next(&it, &module, &v))
		take_keys(c, module, v);
}

struct doc
configuration_content(struct doc content, enum configuration_kind *kind)
{
	struct doc device = doc_getc(content, "deviceContent"),
	           module = doc_getc(content, "moduleContent"),
	           modules = doc_getc(content, "modulesContent");

	*kind = doc_count(device) > 0 ? CONFIGURATION_DEVICE
	    : doc_count(modules) > 0  ? CONFIGURATION_EDGE
	                              : CONFIGURATION_MODULE;
	return *kind == CONFIGURATION_DEVICE ? device
	    : *kind == CONFIGURATION_EDGE    ? modules
	                                     : module;
}

static bool
decode_rollout(struct configuration *c, struct str state)
{
	struct rollout *r = arena_alloc(&c->arena, sizeof(*r));

	if (!rollout_take_plan(r, doc_getc(c->body, "rollout"), c->kind == CONFIGURATION_MODULE) ||
	    !rollout_decode(r, state))
		return false;
	rollout_salt(r, c->id, c->created_us);
	c->rollout = r;
	return true;
}

static enum err
decode(struct configuration *c)
{
	struct rd rd = rd_of(c->record);
	uint8_t format = rd_u8(&rd);
	struct str body, state = STR_NONE;
	struct doc content;

	if (format != CONFIGURATION_FORMAT && format != CONFIGURATION_FORMAT_ROLLOUT)
		return ERR_CORRUPT;
	c->priority = (int64_t)rd_varint(&rd);
	c->created_us = (int64_t)rd_varint(&rd);
	c->updated_us = (int64_t)rd_varint(&rd);
	c->counter = rd_varint(&rd);
	if (format == CONFIGURATION_FORMAT_ROLLOUT)
		state = rd_lstr(&rd);
	body = (struct str){ (const char *)rd.p, (size_t)(rd.end - rd.p) };
	if (rd.bad || !doc_valid(body, 0, DOC_DEPTH_MAX))
		return ERR_CORRUPT;
	c->body = doc_of(body);
	c->id = text_of(doc_getc(c->body, "id"));
	c->target_text = text_of(doc_getc(c->body, "targetCondition"));
	content = configuration_content(doc_getc(c->body, "content"), &c->kind);
	take_paths(c, content);
	if (!configuration_id_valid(c->id) || c->npath == 0 ||
	    configuration_target(c->target_text, c->kind, &c->target, NULL) != ERR_OK)
		return ERR_CORRUPT;
	return format == CONFIGURATION_FORMAT || decode_rollout(c, state) ? ERR_OK : ERR_CORRUPT;
}

void
configuration_moved(struct buf *out, const struct configuration *c, const struct rollout *rollout)
{
	struct buf state = { 0 };

	rollout_encode(&state, rollout);
	buf_putc(out, CONFIGURATION_FORMAT_ROLLOUT);
	buf_varint(out, (uint64_t)c->priority);
	buf_varint(out, (uint64_t)c->created_us);
	buf_varint(out, (uint64_t)c->updated_us);
	buf_varint(out, c->counter);
	buf_lstr(out, buf_view(&state));
	buf_str(out, doc_bytes(c->body));
	buf_fini(&state);
}

enum err
configuration_new(struct str record, struct configuration **out)
{
	struct configuration *c = xcalloc(1, sizeof(*c));
	enum err e;

	refs_init(&c->refs);
	c->record = arena_str(&c->arena, record);
	if ((e = decode(c)) == ERR_OK)
		*out = c;
	else
		configuration_unref(c);
	return e;
}

struct configuration *
configuration_ref(struct configuration *c)
{
	refs_take(&c->refs);
	return c;
}

void
configuration_unref(struct configuration *c)
{
	if (c == NULL || !refs_drop(&c->refs))
		return;
	query_free(c->target);
	arena_fini(&c->arena);
	free(c);
}

/* ---- as the API shows it ---- */

void
configuration_etag(const struct configuration *c, char out[32])
{
	decimal_etag(c->counter, out);
}

int64_t
configuration_digest(const struct configuration *c)
{
	return c->updated_us * 10 + TICKS_OF_1970;
}

static struct doc
user_queries(const struct configuration *c)
{
	return doc_getc(doc_getc(c->body, "metrics"), "queries");
}

static const char *const system_names[CONFIGURATION_SYSTEM_METRICS] = { "targetedCount",
	"appliedCount", "reportedSuccessfulCount", "reportedFailedCount" };

static void
put_system_metrics(struct out *o, const struct configuration *c, const uint64_t *results)
{
	struct buf text = { 0 };

	out_open(out_key(o, "systemMetrics"));
	out_open(out_key(o, "results"));
	for (unsigned i = 0; i < configuration_system_metrics(c); i++)
		out_u64(out_key(o, system_names[i]), results ? results[i] : 0);
	out_close(o);
	out_open(out_key(o, "queries"));
	for (unsigned i = 0; i < configuration_system_metrics(c); i++) {
		text.n = 0;
		configuration_metric(c, i, &text);
		out_str(out_key(o, system_names[i]), buf_view(&text));
	}
	out_close(o);
	out_close(o);
	buf_fini(&text);
}

/* As it was sent, or without any members. */
static void
put_object(struct out *o, const char *name, struct doc d)
{
	out_key(o, name);
	if (doc_defined(d)) {
		out_doc(o, d);
		return;
	}
	out_open(o);
	out_close(o);
}

static void
put_user_metrics(struct out *o, const struct configuration *c, const uint64_t *results)
{
	struct doc queries = user_queries(c);
	struct doc_iter it = doc_iter(queries);
	uint32_t i = configuration_system_metrics(c);
	struct str name;
	struct doc v;

	out_open(out_key(o, "metrics"));
	out_open(out_key(o, "results"));
	while (results != NULL && doc_next(&it, &name, &v))
		out_u64(out_key_str(o, name), results[i++]);
	out_close(o);
	put_object(o, "queries", queries);
	out_close(o);
}

/* The plan as it was sent, with the state beside it. */
static void
put_rollout(struct out *o, const struct configuration *c, const uint64_t *results)
{
	uint32_t own = configuration_system_metrics(c) + doc_count(user_queries(c));
	struct doc_iter it = doc_iter(doc_getc(c->body, "rollout"));
	struct rollout_counts counts, *now = NULL;
	struct str name;
	struct doc v;

	if (results != NULL && configuration_metrics(c) > own) {
		now = &counts;
		counts = (struct rollout_counts){ .targeted = results[own + COUNT_TARGETED],
			.applied = results[1],
			.succeeded = results[own + COUNT_SUCCEEDED],
			.failed = results[own + COUNT_FAILED] };
	}
	out_open(out_key(o, "rollout"));
	while (doc_next(&it, &name, &v))
		out_doc(out_key_str(o, name), v);
	rollout_put(out_key(o, "state"), c->rollout, now);
	out_close(o);
}

void
configuration_write(struct buf *json, const struct configuration *c, const uint64_t *results)
{
	struct doc version = doc_getc(c->body, "schemaVersion");
	struct out o = out_to(json);
	char etag[32];

	out_open(&o);
	out_str(out_key(&o, "id"), c->id);
	out_key(&o, "schemaVersion");
	if (doc_defined(version))
		out_doc(&o, version);
	else
		out_str(&o, STR("1.0"));
	put_object(&o, "labels", doc_getc(c->body, "labels"));
	out_some_doc(&o, "content", doc_getc(c->body, "content"));
	out_some_doc(&o, "contentType", doc_getc(c->body, "contentType"));
	out_str(out_key(&o, "targetCondition"), c->target_text);
	out_time(out_key(&o, "createdTimeUtc"), c->created_us);
	out_time(out_key(&o, "lastUpdatedTimeUtc"), c->updated_us);
	out_i64(out_key(&o, "priority"), c->priority);
	put_system_metrics(&o, c, results);
	put_user_metrics(&o, c, results);
	if (c->rollout != NULL)
		put_rollout(&o, c, results);
	configuration_etag(c, etag);
	out_cstr(out_key(&o, "etag"), etag);
	out_close(&o);
}

/* ---- metrics (J-38, J-40) ---- */

uint32_t
configuration_system_metrics(const struct configuration *c)
{
	return c->kind == CONFIGURATION_EDGE ? CONFIGURATION_SYSTEM_METRICS : 2;
}

/* System's and user's. */
static uint32_t
own_metrics(const struct configuration *c)
{
	return configuration_system_metrics(c) + doc_count(user_queries(c));
}

uint32_t
configuration_metrics(const struct configuration *c)
{
	return own_metrics(c) +
	    (c->rollout != NULL && rollout_counts_wave(c->rollout) ? ROLLOUT_COUNTS : 0);
}

static bool
begins_with_from(struct str s)
{
	return s.n >= 5 && str_ieq((struct str){ s.p, 5 }, STR("from "));
}

/* What stands behind WHERE in `FROM devices WHERE ...`; false: nothing does. */
static bool
condition_of(struct str text, struct str *condition)
{
	for (size_t i = 5; i + 6 < text.n; i++) {
		if ((unsigned char)text.p[i] > ' ' ||
		    !str_ieq((struct str){ text.p + i + 1, 5 }, STR("where")))
			continue;
		*condition = str_sub(text, i + 6);
		while (condition->n > 0 && (unsigned char)condition->p[0] <= ' ')
			*condition = str_sub(*condition, 1);
		return true;
	}
	return false;
}

static void
targeted_text(const struct configuration *c, struct buf *out)
{
	bool all = str_eq(c->target_text, STR("*")), from = begins_with_from(c->target_text),
	     edge = c->kind == CONFIGURATION_EDGE;
	struct str condition = c->target_text;

	if (c->target_text.n == 0)
		return;
	buf_cstr(out, "select deviceId ");
	if (from && !edge) {
		buf_str(out, c->target_text);
		return;
	}
	buf_cstr(out, "from devices");
	all |= from && !condition_of(c->target_text, &condition);
	if (edge)
		buf_cstr(out, " where capabilities.iotEdge = true");
	if (all)
		return;
	buf_cstr(out, edge ? " and (" : " where ");
	buf_str(out, condition);
	buf_cstr(out, edge ? ")" : "");
}

/* J-38. Of a deployment $edgeAgent tells, for all modules of its device. */
static void
applied_text(const struct configuration *c, uint32_t i, struct buf *out)
{
	static const char *const reported[] = { "", " = 200", " != 200" };

	buf_printf(out, "select deviceId from devices%s where ",
	    c->kind != CONFIGURATION_DEVICE ? ".modules" : "");
	if (c->kind == CONFIGURATION_EDGE)
		buf_cstr(out, "moduleId = '$edgeAgent' and ");
	buf_printf(out, "configurations.[[" STR_FMT "]].status = 'Applied'", STR_ARG(c->id));
	if (i > 1)
		buf_printf(out,
		    " and properties.desired.$version = properties.reported.lastDesiredVersion"
		    " and properties.reported.lastDesiredStatus.code%s",
		    reported[i - 1]);
}

void
configuration_condition(struct str id, struct buf *out)
{
	buf_printf(out, "configurations.[[" STR_FMT "]].status = 'Applied'", STR_ARG(id));
}

void
configuration_count(const struct configuration *c, enum configuration_count which, struct buf *out)
{
	bool modules = c->kind == CONFIGURATION_MODULE;
	const struct rollout *r = c->rollout;
	const struct rollout_wave *w = r->begun > 0 ? &r->waves[r->begun - 1] : NULL;
	struct buf applied = { 0 };

	configuration_condition(c->id, &applied);
	if (which == COUNT_TARGETED)
		targeted_text(c, out);
	else if (which == COUNT_HOLDERS)
		buf_printf(out,
		    "select deviceId from devices%s where is_defined(configurations.[[" STR_FMT
		    "]])",
		    modules ? ".modules" : "", STR_ARG(c->id));
	else if (which == COUNT_APPLIED)
		rollout_query(STR_NONE, buf_view(&applied), modules, out);
	else if (which == COUNT_SUCCEEDED && w != NULL)
		rollout_query(w->success, buf_view(&applied), modules, out);
	else if (which == COUNT_FAILED && w != NULL && w->fails)
		rollout_query(w->failure, buf_view(&applied), modules, out);
	buf_fini(&applied);
}

void
configuration_metric(const struct configuration *c, uint32_t i, struct buf *out)
{
	struct doc_iter it = doc_iter(user_queries(c));
	uint32_t system = configuration_system_metrics(c);
	struct str name;
	struct doc v = DOC_NONE;

	if (i >= own_metrics(c)) {
		configuration_count(c, (enum configuration_count)(i - own_metrics(c)), out);
	} else if (i == 0) {
		targeted_text(c, out);
	} else if (i < system) {
		applied_text(c, i, out);
	} else {
		for (uint32_t k = system; k <= i; k++)
			doc_next(&it, &name, &v);
		buf_str(out, text_of(v));
	}
}

bool
configuration_metric_reached(const struct configuration *c, uint32_t i)
{
	return i == own_metrics(c) + COUNT_TARGETED;
}
