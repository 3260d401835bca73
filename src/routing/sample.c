/* A route on a sample, in Azure's form (E-35): what it says, and where its condition is wrong. */
#include "routing/priv.h"

#define PROPERTIES_MAX 256u /* of a sample, of each kind */

struct sample {
	struct doc_parser *ps;
	struct doc message, twin;
	bool is_message; /* else its body is an event's */
	struct route_property application[PROPERTIES_MAX], system[PROPERTIES_MAX];
	uint32_t napplication, nsystem;
	struct buf text, body; /* of the sample's body: as JSON, as a doc */
	bool read;
};

static struct str
system_text(const struct sample *s, const char *name)
{
	for (uint32_t i = 0; i < s->nsystem; i++)
		if (str_ieq(s->system[i].name, str_of(name)))
			return s->system[i].value;
	return STR_NONE;
}

/* A text is the body as it is sent; any other value is its JSON. */
static void
read_message(struct sample *s, struct doc body)
{
	if (doc_kind(body) == DOC_STRING)
		buf_str(&s->text, doc_str(body));
	else
		doc_write_json(&s->text, body);
	(void)route_body_parse(s->ps, system_text(s, "contentType"),
	    system_text(s, "contentEncoding"), buf_view(&s->text), &s->body);
}

/* An event's body is JSON, whatever properties say. */
static void
read_event(struct sample *s, struct doc body)
{
	struct doc_parsed info;

	if (doc_kind(body) != DOC_STRING)
		buf_str(&s->body, doc_bytes(body));
	else
		(void)doc_parse(s->ps, doc_str(body), &s->body, &info, NULL);
}

static struct doc
sample_body(void *ctx)
{
	struct sample *s = ctx;
	struct doc body = doc_getc(s->message, "body");

	if (!s->read && doc_defined(body) && s->is_message)
		read_message(s, body);
	else if (!s->read && doc_defined(body))
		read_event(s, body);
	s->read = true;
	return s->body.n > 0 ? doc_of(buf_view(&s->body)) : DOC_NONE;
}

static struct doc
sample_twin(void *ctx, const struct str *path, unsigned nstep, struct arena *a)
{
	const struct sample *s = ctx;
	struct doc d = s->twin;

	(void)a;
	for (unsigned i = 0; i < nstep; i++)
		d = doc_get(d, path[i]);
	return d;
}

/* ---- from the request ---- */

static enum err
take_properties(
    struct doc from, const char *name, struct route_property *out, uint32_t *n, struct fault *f)
{
	struct doc map = doc_get(from, str_of(name)), v;
	struct doc_iter it = doc_iter(map);
	struct str key;

	if (doc_defined(map) && doc_kind(map) != DOC_OBJECT && doc_kind(map) != DOC_NULL)
		return fault_set(f, F_ArgumentInvalid, "message.%s is not an object", name);
	while (doc_next(&it, &key, &v)) {
		if (*n == PROPERTIES_MAX)
			return fault_set(f, F_ArgumentInvalid,
			    "message.%s has more than %u members", name, PROPERTIES_MAX);
		if (doc_kind(v) != DOC_STRING && doc_kind(v) != DOC_NULL)
			return fault_set(f, F_ArgumentInvalid,
			    "message.%s." STR_FMT " is not a string", name, STR_ARG(key));
		out[(*n)++] = (struct route_property){ key, doc_text(v), doc_kind(v) == DOC_NULL };
	}
	return ERR_OK;
}

static void
show_place(struct out *o, const char *name, struct route_place at)
{
	out_open(out_key(o, name));
	out_u64(out_key(o, "line"), at.line);
	out_u64(out_key(o, "column"), at.column);
	out_close(o);
}

static void
show_result(struct out *o, const char *result, const struct route_error *error)
{
	out_open(o);
	out_cstr(out_key(o, "result"), result);
	out_open(out_key(o, "details"));
	out_list(out_key(o, "compilationErrors"));
	if (error != NULL) {
		out_open(o);
		out_cstr(out_key(o, "message"), error->text);
		out_cstr(out_key(o, "severity"), "error");
		out_open(out_key(o, "location"));
		show_place(o, "start", error->start);
		show_place(o, "end", error->end);
		out_close(o);
		out_close(o);
	}
	out_close(o);
	out_close(o);
	out_close(o);
}

static const char *
judge(struct sample *s, struct str condition, enum route_source source)
{
	static const char *const results[] = {
		[IS_TRUE] = "true", [IS_FALSE] = "false", [IS_UNDEFINED] = "undefined"
	};
	struct route_message m = { .source = source,
		.properties = s->application,
		.nproperty = s->napplication,
		.system = s->system,
		.nsystem = s->nsystem,
		.ctx = s,
		.body = sample_body,
		.twin = doc_kind(s->twin) == DOC_OBJECT ? sample_twin : NULL };
	struct route_error error;
	struct condition *c;
	enum truth t = IS_UNDEFINED;

	if (route_condition_compile(condition, ROUTE_SOURCE_BIT(source), &c, &error) == ERR_OK) {
		t = route_condition_judge(c, &m);
		route_condition_free(c);
	}
	return results[t];
}

/* Of the route in the body, or the stored one. error: what is wrong with its condition, if that is all. */
static enum err
route_of(struct doc body, const struct route_def *stored, struct str *condition,
    enum route_source *source, struct route_error *error, struct fault *f)
{
	struct doc own = doc_getc(body, "route"), named = doc_getc(own, "source");

	if (doc_kind(own) != DOC_OBJECT && stored == NULL)
		return fault_set(
		    f, F_GenericNotFound, "there is no such route, and none in the body");
	if (doc_kind(own) != DOC_OBJECT) {
		*condition = stored->condition;
		*source = stored->source;
		return ERR_OK;
	}
	*source = stored != NULL ? stored->source : ROUTE_MESSAGES;
	if (doc_defined(named) && !event_source_find(doc_text(named), source))
		return fault_set(f, F_ArgumentInvalid, "route.source is none");
	return route_condition_of(own, *source, condition, error, f);
}

enum err
route_test(struct out *o, struct doc body, const struct route_def *stored, struct doc_parser *ps,
    struct fault *f)
{
	struct sample *s = xcalloc(1, sizeof(*s));
	struct route_error error = { 0 };
	enum route_source source = ROUTE_MESSAGES;
	struct str condition = STR_NONE;
	enum err e;

	s->ps = ps;
	s->message = doc_getc(body, "message");
	s->twin = doc_getc(body, "twin");
	e = take_properties(s->message, "appProperties", s->application, &s->napplication, f);
	if (e == ERR_OK)
		e = take_properties(s->message, "systemProperties", s->system, &s->nsystem, f);
	if (e == ERR_OK && (e = route_of(body, stored, &condition, &source, &error, f)) == ERR_OK) {
		s->is_message = source == ROUTE_MESSAGES;
		show_result(o, judge(s, condition, source), NULL);
	} else if (error.start.line > 0) {
		show_result(o, "undefined", &error);
		e = ERR_OK;
	}
	buf_fini(&s->text);
	buf_fini(&s->body);
	free(s);
	return e;
}
