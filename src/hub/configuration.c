/*
 * Configurations as values: the stored form, the parts made ready for evaluation, and what the API shows.
 *
 *   record   format | priority | created | updated | counter (varints) | body (a doc, to the end)
 */
#include "hub/configuration.h"

#include <stdlib.h>

#include "hub/priv.h"

#define FORMAT        1
#define TICKS_OF_1970 INT64_C(621355968000000000) /* .NET ticks of 100 ns since 0001-01-01 */
#define DESIRED       "properties.desired"
#define MODULES_FROM  "from devices.modules"

bool
configuration_id_valid(struct str id)
{
	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];

		if (c <= ' ' || c > '~' || (c >= 'A' && c <= 'Z') ||
		    strchr("&^[]{}\\/\"<>|", c) != NULL)
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

static enum err
decode(struct configuration *c)
{
	struct rd rd = rd_of(c->record);
	struct str body;
	struct doc content;

	if (rd_u8(&rd) != FORMAT)
		return ERR_CORRUPT;
	c->priority = (int64_t)rd_varint(&rd);
	c->created_us = (int64_t)rd_varint(&rd);
	c->updated_us = (int64_t)rd_varint(&rd);
	c->counter = rd_varint(&rd);
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
	return ERR_OK;
}

enum err
configuration_new(struct str record, struct configuration **out)
{
	struct configuration *c = xcalloc(1, sizeof(*c));
	enum err e;

	atomic_init(&c->refs, 1);
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
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void
configuration_unref(struct configuration *c)
{
	if (c == NULL || atomic_fetch_sub(&c->refs, 1) > 1)
		return;
	query_free(c->target);
	arena_fini(&c->arena);
	free(c);
}

/* ---- as the API shows it ---- */

void
configuration_etag(const struct configuration *c, char out[32])
{
	struct buf digits = { 0 }, b = { 0 };

	buf_u64(&digits, c->counter);
	base64_encode(&b, digits.p, digits.n);
	assert(b.n < 32);
	memcpy(out, b.p, b.n);
	out[b.n] = '\0';
	buf_fini(&digits);
	buf_fini(&b);
}

int64_t
configuration_digest(const struct configuration *c)
{
	return c->updated_us * 10 + TICKS_OF_1970;
}

static void
put_time(struct buf *json, const char *name, int64_t us)
{
	char t[TIME_TEXT_MAX];
	size_t n = time_format(us, t);

	buf_printf(json, ",\"%s\":\"" STR_FMT "\"", name, (int)n, t);
}

static void
put_member(struct buf *json, const struct configuration *c, struct str name, const char *absent)
{
	struct doc v = doc_get(c->body, name);

	if (!doc_defined(v) && absent == NULL)
		return;
	buf_printf(json, ",\"" STR_FMT "\":", STR_ARG(name));
	if (doc_defined(v))
		doc_write_json(json, v);
	else
		buf_cstr(json, absent);
}

static struct doc
user_queries(const struct configuration *c)
{
	return doc_getc(doc_getc(c->body, "metrics"), "queries");
}

static const char *const system_names[CONFIGURATION_SYSTEM_METRICS] = { "targetedCount",
	"appliedCount", "reportedSuccessfulCount", "reportedFailedCount" };

static void
put_system_metrics(struct buf *json, const struct configuration *c, const uint64_t *results)
{
	struct buf text = { 0 };

	buf_cstr(json, ",\"systemMetrics\":{\"results\":{");
	for (unsigned i = 0; i < configuration_system_metrics(c); i++)
		buf_printf(json, "%s\"%s\":%llu", i > 0 ? "," : "", system_names[i],
		    (unsigned long long)(results ? results[i] : 0));
	buf_cstr(json, "},\"queries\":{");
	for (unsigned i = 0; i < configuration_system_metrics(c); i++) {
		text.n = 0;
		configuration_metric(c, i, &text);
		buf_printf(json, "%s\"%s\":", i > 0 ? "," : "", system_names[i]);
		doc_write_json_str(json, buf_view(&text));
	}
	buf_cstr(json, "}}");
	buf_fini(&text);
}

static void
put_user_metrics(struct buf *json, const struct configuration *c, const uint64_t *results)
{
	struct doc queries = user_queries(c);
	struct doc_iter it = doc_iter(queries);
	uint32_t first = configuration_system_metrics(c), i = first;
	struct str name;
	struct doc v;

	buf_cstr(json, ",\"metrics\":{\"results\":{");
	while (results != NULL && doc_next(&it, &name, &v)) {
		if (i > first)
			buf_putc(json, ',');
		doc_write_json_str(json, name);
		buf_putc(json, ':');
		buf_u64(json, results[i++]);
	}
	buf_cstr(json, "},\"queries\":");
	if (doc_defined(queries))
		doc_write_json(json, queries);
	else
		buf_cstr(json, "{}");
	buf_putc(json, '}');
}

void
configuration_write(struct buf *json, const struct configuration *c, const uint64_t *results)
{
	char etag[32];

	buf_cstr(json, "{\"id\":");
	doc_write_json_str(json, c->id);
	put_member(json, c, STR("schemaVersion"), "\"1.0\"");
	put_member(json, c, STR("labels"), "{}");
	put_member(json, c, STR("content"), NULL);
	put_member(json, c, STR("contentType"), NULL);
	buf_cstr(json, ",\"targetCondition\":");
	doc_write_json_str(json, c->target_text);
	put_time(json, "createdTimeUtc", c->created_us);
	put_time(json, "lastUpdatedTimeUtc", c->updated_us);
	buf_printf(json, ",\"priority\":%lld", (long long)c->priority);
	put_system_metrics(json, c, results);
	put_user_metrics(json, c, results);
	configuration_etag(c, etag);
	buf_printf(json, ",\"etag\":\"%s\"}", etag);
}

/* ---- metrics (J-38, J-40) ---- */

uint32_t
configuration_system_metrics(const struct configuration *c)
{
	return c->kind == CONFIGURATION_EDGE ? CONFIGURATION_SYSTEM_METRICS : 2;
}

uint32_t
configuration_metrics(const struct configuration *c)
{
	return configuration_system_metrics(c) + doc_count(user_queries(c));
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
configuration_metric(const struct configuration *c, uint32_t i, struct buf *out)
{
	struct doc_iter it = doc_iter(user_queries(c));
	uint32_t system = configuration_system_metrics(c);
	struct str name;
	struct doc v = DOC_NONE;

	if (i == 0) {
		targeted_text(c, out);
	} else if (i < system) {
		applied_text(c, i, out);
	} else {
		for (uint32_t k = system; k <= i; k++)
			doc_next(&it, &name, &v);
		buf_str(out, text_of(v));
	}
}

/* ---- sets ---- */

static int
by_id(const void *a, const void *b)
{
	return str_cmp(
	    (*(struct configuration *const *)a)->id, (*(struct configuration *const *)b)->id);
}

/* J-43: the highest priority, then the latest creation. */
static bool
wins(const struct configuration *a, const struct configuration *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (a->created_us != b->created_us)
		return a->created_us > b->created_us;
	return str_cmp(a->id, b->id) < 0;
}

static void
put_in_order(struct configurations *set)
{
	set->order = xcalloc(set->n + 1, 1);
	for (uint32_t i = 0; i < set->n; i++) {
		uint32_t at = i;

		for (; at > 0 && wins(set->v[i], set->v[set->order[at - 1]]); at--)
			set->order[at] = set->order[at - 1];
		set->order[at] = (uint8_t)i;
	}
}

struct numbering {
	const struct configuration_path **of; /* each number's first path */
};

static bool
same_path(const void *ctx, uint32_t number, const void *key)
{
	const struct configuration_path *a = ((const struct numbering *)ctx)->of[number], *b = key;

	return str_eq(a->text, b->text) && str_eq(a->module, b->module);
}

static void
number_paths(struct configurations *set)
{
	struct numbering nb;
	struct table t = { 0 };
	uint32_t all = 0;

	for (uint32_t i = 0; i < set->n; i++)
		all += set->v[i]->npath;
	nb.of = xcalloc(all + 1, sizeof(struct configuration_path *));
	set->numbers = xcalloc(set->n + 1, sizeof(*set->numbers));
	for (uint32_t i = 0; i < set->n; i++) {
		const struct configuration *c = set->v[i];

		set->numbers[i] = xcalloc(c->npath + 1, sizeof(**set->numbers));
		for (uint32_t k = 0; k < c->npath; k++) {
			uint64_t h = hash_table(c->paths[k].text) ^ hash_table(c->paths[k].module);
			uint32_t n = table_get(&t, h, same_path, &nb, &c->paths[k]);

			if (n == TABLE_NONE) {
				n = set->nnumber++;
				nb.of[n] = &c->paths[k];
				table_add(&t, h, n);
			}
			set->numbers[i][k] = n;
		}
	}
	table_fini(&t);
	free(nb.of);
}

static void
sum_up(struct configurations *set)
{
	for (uint32_t i = 0; i < set->n; i++) {
		const struct query_facts *facts = query_facts(set->v[i]->target);

		set->edge |= set->v[i]->kind == CONFIGURATION_EDGE;
		if (!facts->nothing) {
			set->roots |= facts->match.roots;
			set->sections |= facts->match.sections;
		}
		set->hash =
		    (set->hash ^ hash_stable(set->v[i]->record)) * UINT64_C(0x9E3779B97F4A7C15);
	}
	if (set->edge) /* whether a device is one decides, too */
		set->roots |= QUERY_ROOT_BIT(QUERY_ROOT_CAPABILITIES);
	if (set->n > 0 && (set->hash == 0 || set->hash == UNSWEPT))
		set->hash = 1;
}

struct configurations *
configurations_new(struct configuration *const *v, uint32_t n)
{
	struct configurations *set = xcalloc(1, sizeof(*set));

	assert(n <= CONFIGURATIONS_MAX);
	set->n = n;
	set->v = xcalloc(n + 1, sizeof(struct configuration *));
	for (uint32_t i = 0; i < n; i++)
		set->v[i] = configuration_ref(v[i]);
	qsort(set->v, n, sizeof(struct configuration *), by_id);
	put_in_order(set);
	number_paths(set);
	sum_up(set);
	return set;
}

struct configurations *
configurations_copy(const struct configurations *set)
{
	return set == NULL ? configurations_new(NULL, 0) : configurations_new(set->v, set->n);
}

void
configurations_free(struct configurations *set)
{
	if (set == NULL)
		return;
	for (uint32_t i = 0; i < set->n; i++) {
		configuration_unref(set->v[i]);
		free(set->numbers[i]);
	}
	free(set->numbers);
	free(set->order);
	free(set->v);
	free(set);
}

struct configurations *
configurations_with(const struct configurations *set, struct str id, struct configuration *c)
{
	struct configuration *v[CONFIGURATIONS_MAX + 1];
	uint32_t n = 0;

	for (uint32_t i = 0; set != NULL && i < set->n; i++)
		if (!str_eq(set->v[i]->id, id))
			v[n++] = set->v[i];
	if (c != NULL)
		v[n++] = c;
	return configurations_new(v, n);
}

struct configuration *
configurations_find(const struct configurations *set, struct str id)
{
	for (uint32_t i = 0; set != NULL && i < set->n; i++)
		if (str_eq(set->v[i]->id, id))
			return set->v[i];
	return NULL;
}
