/* What a request's body must be to become a configuration (J-30 to J-40, J-57 to J-60). */
#include <stdlib.h>

#include "hub/bodies.h"
#include "config/priv.h"

#define DESIRED   "properties.desired"
#define LABEL_MAX 128u

static enum err
as(struct fault *f, enum fault_code code, enum err e)
{
	if (e != ERR_OK && f != NULL)
		f->code = code;
	return e;
}

enum err
configuration_target(
    struct str text, enum configuration_kind kind, struct query **out, struct fault *f)
{
	const struct query_facts *facts;
	enum query_collection want = kind == CONFIGURATION_MODULE ? QUERY_MODULES : QUERY_DEVICES;
	struct query *q;

	if (query_parse_condition(text, &q, f) != ERR_OK)
		return as(f, F_InvalidConfigurationTargetCondition, ERR_ARG);
	facts = query_facts(q);
	if (!facts->nothing && facts->collection != want) {
		query_free(q);
		return fault_set(f, F_InvalidConfigurationTargetCondition,
		    kind != CONFIGURATION_MODULE
		        ? "the target condition is not one on devices"
		        : "the target condition does not begin with FROM devices.modules WHERE");
	}
	*out = q;
	return ERR_OK;
}

enum err
configuration_metric_plan(struct str text, struct query **out, struct fault *f)
{
	struct query_options o = { .from_optional = true, .from = QUERY_DEVICES };
	struct query *q;

	if (query_parse(text, &o, &q, f) != ERR_OK)
		return as(f, F_InvalidConfigurationCustomMetricsQuery, ERR_ARG);
	if (query_facts(q)->collection != QUERY_DEVICES &&
	    query_facts(q)->collection != QUERY_MODULES) {
		query_free(q);
		return fault_set(f, F_InvalidConfigurationCustomMetricsQuery,
		    "a metric counts devices or modules");
	}
	*out = q;
	return ERR_OK;
}

/* ---- members ---- */

/* NULL, or what is wrong. */
static const char *
string_or_null(struct doc body, struct str name)
{
	enum doc_kind kind = doc_kind(doc_get(body, name));

	return kind == DOC_UNDEFINED || kind == DOC_NULL || kind == DOC_STRING ? NULL
	                                                                       : "is not a string";
}

static bool
label_good(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > 0x7F)
			return false;
	return s.n <= LABEL_MAX;
}

static enum err
check_labels(struct doc labels, struct fault *f)
{
	struct doc_iter it = doc_iter(labels);
	struct str key;
	struct doc v;

	if (doc_defined(labels) && doc_kind(labels) != DOC_NULL && doc_kind(labels) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "labels is not an object");
	while (doc_next(&it, &key, &v))
		if (doc_kind(v) != DOC_STRING || !label_good(key) || !label_good(doc_str(v)))
			return fault_set(f, F_ArgumentInvalid,
			    "the label " STR_FMT " is not one of text, at most %u ASCII characters",
			    STR_ARG(key), LABEL_MAX);
	return ERR_OK;
}

static enum err
check_simple(struct doc body, struct str id, struct fault *f)
{
	static const struct str texts[] = { { "id", 2 }, { "schemaVersion", 13 },
		{ "contentType", 11 }, { "targetCondition", 15 }, { "etag", 4 } };
	struct doc priority = doc_getc(body, "priority"), own = doc_getc(body, "id");

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (string_or_null(body, texts[i]) != NULL)
			return fault_set(
			    f, F_ArgumentInvalid, STR_FMT " is not a string", STR_ARG(texts[i]));
	if (doc_kind(own) == DOC_STRING && !str_eq(doc_str(own), id))
		return fault_set(
		    f, F_ArgumentInvalid, "the id in the body is not the one of the path");
	if (doc_defined(priority) && doc_kind(priority) != DOC_NULL &&
	    (doc_kind(priority) != DOC_INT || doc_int(priority) < 0 ||
	        doc_int(priority) > CONFIGURATION_PRIORITY_MAX))
		return fault_set(f, F_ArgumentInvalid, "priority is not an integer from 0 to %lld",
		    (long long)CONFIGURATION_PRIORITY_MAX);
	return check_labels(doc_getc(body, "labels"), f);
}

/* ---- content ---- */

static enum err
bad_content(struct fault *f, struct str key, const char *what)
{
	return fault_set(f, F_InvalidConfigurationContent, STR_FMT " %s", STR_ARG(key), what);
}

static bool
steps_good(struct str key)
{
	struct str rest = str_sub(key, sizeof(DESIRED) - 1), step;

	while (rest.n > 0) {
		bool more = str_cut(str_sub(rest, 1), '.', &step, &rest);

		if (step.n == 0 || step.p[0] == '$' || (more && rest.n == 0))
			return false;
		if (more)
			rest = (struct str){ rest.p - 1, rest.n + 1 };
	}
	return true;
}

/* Keys and values obey the rules of twins: ask the twin. */
static enum err
check_value(struct section *all, struct buf *bytes, struct str key, struct doc v, struct fault *f)
{
	struct section_write wr = { .kind = SECTION_DESIRED, .now_us = 1 };
	struct buf patch = { 0 }, next = { 0 };
	bool changed;
	enum err e;

	configuration_path_patch(&patch, key, v);
	e = section_merge(all, doc_of(buf_view(&patch)), 0, &wr, &next, NULL, &changed, f);
	if (e == ERR_OK && changed) {
		struct buf old = *bytes;

		*bytes = next;
		next = old;
		*all = section_of(buf_view(bytes));
	}
	buf_fini(&patch);
	buf_fini(&next);
	return e == ERR_OK || f == NULL || f->code == F_DeviceModelMaxPropertiesExceeded
	    ? e
	    : as(f, F_InvalidConfigurationContent, e);
}

static int
by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Is one path a prefix of another? Those that begin with it need not stand beside it: "a", "a b", "a.b". */
static enum err
check_overlap(struct doc content, struct fault *f)
{
	uint32_t n = 0, count = doc_count(content);
	struct str *keys = xcalloc(count + 1, sizeof(*keys)), key;
	struct doc_iter it = doc_iter(content);
	enum err e = ERR_OK;
	struct doc v;

	while (doc_next(&it, &keys[n], &v))
		n++;
	array_sort(keys, n, sizeof(*keys), by_text);
	for (uint32_t i = 0; i < n && e == ERR_OK; i++) {
		key = keys[i];
		for (uint32_t k = i + 1; k < n && str_starts(keys[k], key) && e == ERR_OK; k++)
			if (keys[k].p[key.n] == '.')
				e = bad_content(f, keys[k], "is below another key of the content");
	}
	free(keys);
	return e;
}

enum err
configuration_paths_check(struct doc content, struct fault *f)
{
	struct doc_iter it = doc_iter(content);
	struct buf bytes = { 0 };
	struct section all;
	enum err e = ERR_OK;
	struct str key;
	struct doc v;

	if (doc_count(content) > CONFIGURATION_PATHS_MAX)
		return fault_set(f, F_InvalidConfigurationContent,
		    "the content has %u keys, the limit is %u", doc_count(content),
		    CONFIGURATION_PATHS_MAX);
	section_new(&bytes, 1);
	all = section_of(buf_view(&bytes));
	while (e == ERR_OK && doc_next(&it, &key, &v)) {
		bool root = str_eq(key, STR(DESIRED));

		if (!root && !str_starts(key, STR(DESIRED ".")))
			e = bad_content(f, key, "is not properties.desired, nor below it");
		else if (!steps_good(key))
			e = bad_content(f, key, "is not a path of property names");
		else if (root && doc_kind(v) != DOC_OBJECT)
			e = bad_content(f, key, "is not an object");
		else
			e = check_value(&all, &bytes, key, v, f);
	}
	buf_fini(&bytes);
	return e == ERR_OK ? check_overlap(content, f) : e;
}

/* The modules of a deployment (J-44, J-57 to J-60). */
static enum err
check_modules(struct doc modules, struct fault *f)
{
	struct doc_iter it = doc_iter(modules);
	enum err e = ERR_OK;
	uint32_t n = 0;
	struct str module;
	struct doc v;

	if (doc_count(modules) > MODULES_MAX)
		return fault_set(f, F_InvalidConfigurationContent,
		    "the content names %u modules, the limit is %u", doc_count(modules),
		    MODULES_MAX);
	while (e == ERR_OK && doc_next(&it, &module, &v)) {
		if (!id_valid(module) || id_is_dots(module) || doc_kind(v) != DOC_OBJECT)
			return bad_content(f, module, "is not a module and its content");
		n += doc_count(v);
		e = configuration_paths_check(v, f);
	}
	if (e == ERR_OK && (n == 0 || n > CONFIGURATION_PATHS_MAX))
		return fault_set(f, F_InvalidConfigurationContent,
		    "the content has %u keys, it must have 1 to %u", n, CONFIGURATION_PATHS_MAX);
	if (e == ERR_OK && doc_defined(doc_getc(doc_getc(modules, "$edgeAgent"), DESIRED)) &&
	    !doc_defined(doc_getc(modules, "$edgeHub")))
		return fault_set(f, F_InvalidConfigurationContent,
		    "a deployment that has properties.desired of $edgeAgent has $edgeHub, too");
	return e;
}

static const struct str content_kinds[] = { { "deviceContent", 13 }, { "moduleContent", 13 },
	{ "modulesContent", 14 } };

/* How many of the kinds it has; empty ones do not count. */
static unsigned
contents(struct doc content)
{
	unsigned n = 0;

	for (size_t i = 0; i < 3; i++)
		n += doc_count(doc_get(content, content_kinds[i])) > 0;
	return n;
}

static enum err
check_content(struct doc content, struct fault *f)
{
	enum configuration_kind kind;
	unsigned n = contents(content);

	if (doc_kind(content) != DOC_OBJECT)
		return fault_set(f, F_InvalidConfigurationContent, "content is not an object");
	for (size_t i = 0; i < 3; i++) {
		struct doc v = doc_get(content, content_kinds[i]);

		if (doc_defined(v) && doc_kind(v) != DOC_NULL && doc_kind(v) != DOC_OBJECT)
			return bad_content(f, content_kinds[i], "is not an object");
	}
	if (n != 1)
		return fault_set(f, F_InvalidConfigurationContent,
		    "content has %s deviceContent, moduleContent, modulesContent",
		    n == 0 ? "none of" : "more than one of");
	content = configuration_content(content, &kind);
	return kind == CONFIGURATION_EDGE ? check_modules(content, f)
	                                  : configuration_paths_check(content, f);
}

/* What was there may be left out or sent again; empty members do not matter (J-32). */
static enum err
check_same_content(const struct configuration *old, struct doc content, struct fault *f)
{
	enum configuration_kind kind;
	struct doc sent, was = configuration_content(doc_getc(old->body, "content"), &kind);

	if (!doc_defined(content) || doc_kind(content) == DOC_NULL)
		return ERR_OK;
	sent = configuration_content(content, &kind);
	if (kind == old->kind && doc_equal(sent, was) && contents(content) == 1)
		return ERR_OK;
	return fault_set(f, F_CannotModifyImmutableConfigurationContent,
	    "the content of a configuration does not change, make another one");
}

/* ---- condition and metrics ---- */

static enum err
check_target(struct doc body, struct doc content, struct fault *f)
{
	struct doc target = doc_getc(body, "targetCondition");
	enum configuration_kind kind;
	struct query *q = NULL;
	enum err e;

	configuration_content(content, &kind);
	e = configuration_target(
	    doc_kind(target) == DOC_STRING ? doc_str(target) : STR_NONE, kind, &q, f);
	if (e == ERR_OK)
		e = condition_check(q, F_InvalidConfigurationTargetCondition, f);
	query_free(q);
	return e;
}

static enum err
check_metrics(struct doc body, struct fault *f)
{
	struct doc metrics = doc_getc(body, "metrics"), queries = doc_getc(metrics, "queries");
	struct doc_iter it = doc_iter(queries);
	struct str name;
	struct doc v;

	if ((doc_defined(metrics) && doc_kind(metrics) != DOC_OBJECT &&
	        doc_kind(metrics) != DOC_NULL) ||
	    (doc_defined(queries) && doc_kind(queries) != DOC_OBJECT &&
	        doc_kind(queries) != DOC_NULL))
		return fault_set(f, F_InvalidConfigurationCustomMetricsQuery,
		    "metrics.queries is not an object");
	if (doc_count(queries) > CONFIGURATION_METRICS_MAX)
		return fault_set(f, F_InvalidConfigurationCustomMetricsQuery,
		    "there are %u metrics, the limit is %u", doc_count(queries),
		    CONFIGURATION_METRICS_MAX);
	while (doc_next(&it, &name, &v)) {
		struct query *q = NULL;

		if (doc_kind(v) != DOC_STRING)
			return fault_set(f, F_InvalidConfigurationCustomMetricsQuery,
			    "the metric " STR_FMT " is not a text", STR_ARG(name));
		if (configuration_metric_plan(doc_str(v), &q, f) != ERR_OK)
			return ERR_ARG;
		query_free(q);
	}
	return ERR_OK;
}

/* ---- the record ---- */

static void
put_kept(struct doc_writer *dw, struct doc body, struct str name)
{
	struct doc v = doc_get(body, name);

	if (!doc_defined(v))
		return;
	doc_key(dw, name);
	doc_put_copy(dw, 0, v);
}

static void
put_body(struct buf *out, struct str id, struct doc body, struct doc content, struct doc plan)
{
	struct doc queries = doc_getc(doc_getc(body, "metrics"), "queries");
	struct doc_writer dw;

	doc_writer_init(&dw, out, 0);
	doc_begin_object(&dw, 0);
	doc_key(&dw, STR("id"));
	doc_put_str(&dw, 0, id);
	put_kept(&dw, body, STR("schemaVersion"));
	put_kept(&dw, body, STR("labels"));
	doc_key(&dw, STR("content"));
	doc_put_copy(&dw, 0, content);
	put_kept(&dw, body, STR("contentType"));
	put_kept(&dw, body, STR("targetCondition"));
	if (doc_kind(queries) == DOC_OBJECT) {
		doc_key(&dw, STR("metrics"));
		doc_begin_object(&dw, 0);
		put_kept(&dw, doc_getc(body, "metrics"), STR("queries"));
		doc_end(&dw);
	}
	if (doc_defined(plan)) {
		doc_key(&dw, STR("rollout"));
		rollout_put_plan(&dw, plan);
	}
	doc_end(&dw);
}

/* ---- the rollout ---- */

/* Without guards, the configuration is for its whole target at once: asked for by a null, while nothing moves. */
static enum err
check_removal(const struct rollout *old, struct fault *f)
{
	if (old == NULL || !rollout_moves(old) || old->begun == 0)
		return ERR_OK;
	return fault_set(f, F_OperationNotAllowedInCurrentState,
	    "the rollout is under way, halt it before it is taken away");
}

/*
 * What becomes of the rollout (docs/rollouts.md). What is left out stays: clients drop members that they do not know.
 *
 *   plan  out: the plan that holds; DOC_NONE: there is no rollout
 *   next  its state
 */
static enum err
next_rollout(const struct configuration *old, struct doc sent, struct str id,
    enum configuration_kind kind, struct doc *plan, struct rollout *next, struct str actor,
    int64_t now_us, struct fault *f)
{
	const struct rollout *was = old != NULL ? old->rollout : NULL;
	bool modules = kind == CONFIGURATION_MODULE, anew = true;
	struct buf applied = { 0 };
	enum err e;

	*plan = was != NULL ? doc_getc(old->body, "rollout") : DOC_NONE;
	if (was != NULL)
		*next = *was;
	if (!doc_defined(sent))
		return ERR_OK;
	if (doc_kind(sent) == DOC_NULL) {
		*plan = DOC_NONE;
		return check_removal(was, f);
	}
	if (kind == CONFIGURATION_EDGE)
		return fault_set(f, F_ArgumentInvalid,
		    "a rollout is for the configurations of devices and modules, not for edge "
		    "deployments");
	configuration_condition(id, &applied);
	e = rollout_check(sent, buf_view(&applied), modules, f);
	buf_fini(&applied);
	if (e != ERR_OK || (was != NULL && rollout_same_plan(sent, *plan)))
		return e;
	if (old != NULL && was == NULL && !query_facts(old->target)->nothing)
		return fault_set(f, F_OperationNotAllowedInCurrentState,
		    "the configuration holds for its whole target already, a rollout comes too "
		    "late");
	rollout_take_plan(next, sent, modules);
	if (was != NULL && (e = rollout_replan(was, next, &anew, f)) != ERR_OK)
		return e;
	*plan = sent;
	if (anew)
		rollout_begin(next, was != NULL ? was->generation + 1 : 1, actor, now_us);
	else
		rollout_note_plan(next, actor, now_us);
	return ERR_OK;
}

static void
put_record(struct buf *out, struct str id, struct doc body, struct doc content,
    const struct configuration *old, struct doc plan, const struct rollout *rollout, int64_t now_us)
{
	struct doc priority = doc_getc(body, "priority");
	struct buf state = { 0 };

	buf_putc(out, doc_defined(plan) ? CONFIGURATION_FORMAT_ROLLOUT : CONFIGURATION_FORMAT);
	buf_varint(out, doc_kind(priority) == DOC_INT ? (uint64_t)doc_int(priority) : 0);
	buf_varint(out, (uint64_t)(old != NULL ? old->created_us : now_us));
	buf_varint(out, (uint64_t)now_us);
	buf_varint(out, old != NULL ? old->counter + 1 : 1);
	if (doc_defined(plan)) {
		rollout_encode(&state, rollout);
		buf_lstr(out, buf_view(&state));
	}
	put_body(out, id, body, content, plan);
	buf_fini(&state);
}

enum err
configuration_encode(struct buf *out, struct str id, struct doc body,
    const struct configuration *old, struct str actor, int64_t now_us, struct fault *f)
{
	struct doc content = doc_getc(body, "content"), plan;
	enum configuration_kind kind;
	struct rollout *rollout;
	enum err e;

	if (doc_kind(body) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "the body is not a JSON object");
	if ((e = check_simple(body, id, f)) ||
	    (e = old != NULL ? check_same_content(old, content, f) : check_content(content, f)))
		return e;
	if (old != NULL)
		content = doc_getc(old->body, "content");
	if ((e = check_target(body, content, f)) || (e = check_metrics(body, f)))
		return e;
	configuration_content(content, &kind);
	rollout = xcalloc(1, sizeof(*rollout));
	e = next_rollout(
	    old, doc_getc(body, "rollout"), id, kind, &plan, rollout, actor, now_us, f);
	if (e == ERR_OK)
		put_record(out, id, body, content, old, plan, rollout, now_us);
	free(rollout);
	if (e != ERR_OK)
		return e;
	if (out->n > CONFIGURATION_SIZE_MAX)
		return fault_set(f, F_ArgumentInvalid,
		    "the configuration takes %zu bytes, the limit is %u", out->n,
		    CONFIGURATION_SIZE_MAX);
	return ERR_OK;
}
