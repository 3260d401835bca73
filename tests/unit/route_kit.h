/*
 * For the tests of route/: one message, conditions as texts, results as words. JSON is written with ' for ". A property is "name=value"; one
 * without = is null.
 */
#ifndef ROUTE_KIT_H
#define ROUTE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include "route/route.h"

#include <cmocka.h>

#define SAMPLE_PROPERTIES 16u
#define ALL_SOURCES       ((1u << ROUTE_SOURCES) - 1)

struct sample {
	struct route_message m;
	struct route_property properties[SAMPLE_PROPERTIES], system[SAMPLE_PROPERTIES];
	struct buf body, twin;
	unsigned nbody, ntwin; /* how often they were asked for */
};

static inline void
sample_json(struct buf *out, const char *json)
{
	struct doc_parser *ps = doc_parser_new(1u << 20);
	struct buf text = { 0 };
	struct fault f;

	out->n = 0;
	buf_cstr(&text, json);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\'')
			text.p[i] = '"';
	if (doc_parse(ps, buf_view(&text), out, NULL, &f) != ERR_OK)
		fail_msg("%s: %s", json, f.text);
	buf_fini(&text);
	doc_parser_free(ps);
}

static struct doc
sample_body(void *ctx)
{
	struct sample *s = ctx;

	s->nbody++;
	return s->body.n > 0 ? doc_of(buf_view(&s->body)) : DOC_NONE;
}

static struct doc
sample_twin(void *ctx, const struct str *path, unsigned nstep, struct arena *a)
{
	struct sample *s = ctx;
	struct doc d = doc_of(buf_view(&s->twin));

	s->ntwin++;
	for (unsigned i = 0; i < nstep; i++)
		d = doc_get(d, path[i]);
	return doc_defined(d) ? doc_of(arena_str(a, doc_bytes(d))) : d;
}

static inline uint32_t
sample_list(struct route_property *to, const char *const *from)
{
	uint32_t n = 0;

	for (; from != NULL && from[n] != NULL; n++) {
		struct str name, value;
		assert_true(n < SAMPLE_PROPERTIES);
		to[n].is_null = !str_cut(str_of(from[n]), '=', &name, &value);
		to[n].name = name;
		to[n].value = value;
	}
	return n;
}

/* body NULL: none that can be read; twin NULL: not known. */
static inline void
sample_init(struct sample *s, const char *const *properties, const char *const *system,
    const char *body, const char *twin)
{
	*s = (struct sample){ .m = { .properties = s->properties, .system = s->system } };
	s->m.nproperty = sample_list(s->properties, properties);
	s->m.nsystem = sample_list(s->system, system);
	s->m.ctx = s;
	s->m.body = sample_body;
	if (body != NULL)
		sample_json(&s->body, body);
	if (twin != NULL) {
		sample_json(&s->twin, twin);
		s->m.twin = sample_twin;
	}
}

static inline void
sample_fini(struct sample *s)
{
	buf_fini(&s->body);
	buf_fini(&s->twin);
}

static inline struct condition *
compiled(const char *text)
{
	struct condition *c = NULL;
	struct route_error error;

	if (route_condition_compile(str_of(text), ALL_SOURCES, &c, &error) != ERR_OK)
		fail_msg("%s\n  %u:%u %s", text, error.start.line, error.start.column, error.text);
	return c;
}

static inline const char *
judged(const struct sample *s, const char *text)
{
	static const char *const words[] = {
		[IS_FALSE] = "false", [IS_TRUE] = "true", [IS_UNDEFINED] = "undefined"
	};
	struct condition *c = compiled(text);
	enum truth t = route_condition_judge(c, &s->m);

	assert_int_equal(route_condition_matches(c, &s->m), t == IS_TRUE);
	route_condition_free(c);
	return words[t];
}

static inline void
expect(const struct sample *s, const char *text, const char *want)
{
	const char *got = judged(s, text);

	if (strcmp(got, want) != 0)
		fail_msg("%s\n  is %s\n  not %s", text, got, want);
}

/* Refused with a text that begins so, from column to column of line 1. */
static inline void
refuses_for(unsigned sources, const char *text, const char *why, uint32_t from, uint32_t to)
{
	struct condition *c = NULL;
	struct route_error error;

	if (route_condition_compile(str_of(text), sources, &c, &error) != ERR_ARG || c != NULL)
		fail_msg("%s\n  is taken", text);
	if (strncmp(error.text, why, strlen(why)) != 0 || error.start.line != 1 ||
	    error.end.line != 1 || error.start.column != from || error.end.column != to)
		fail_msg("%s\n  gives %u:%u to %u:%u %s\n  not 1:%u to 1:%u %s", text,
		    error.start.line, error.start.column, error.end.line, error.end.column,
		    error.text, from, to, why);
}

static inline void
refuses(const char *text, const char *why, uint32_t from, uint32_t to)
{
	refuses_for(ALL_SOURCES, text, why, from, to);
}

#endif
