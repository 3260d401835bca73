/*
 * x-twinhub-warning (service-rest.md 1.2): what was accepted and has no effect. The answer is the one that it would be without, so
 * that no client is stopped by what Azure lets pass.
 */
#include "http/priv.h"

#include <stdio.h>

#include "config/configuration.h"

/* Printable ASCII as it is, all else as JSON would escape it: a header can be logged and shown on a terminal. */
static void
put_escaped(struct buf *out, struct str s)
{
	const char *p = s.p, *end = str_end(s);

	while (p < end) {
		uint32_t c = utf8_next(&p, end);

		if (c >= ' ' && c < 0x7F)
			buf_putc(out, (char)c);
		else if (c < 0x10000)
			buf_printf(out, "\\u%04x", c);
		else
			buf_printf(out, "\\u%04x\\u%04x", 0xD7C0 + (c >> 10), 0xDC00 + (c & 0x3FF));
	}
}

void
request_warn(struct request *r, const char *prefix, struct str sentence)
{
	struct buf text = { 0 };

	buf_str(&text, r->warning);
	if (text.n > 0)
		buf_cstr(&text, "; ");
	buf_cstr(&text, prefix);
	put_escaped(&text, sentence);
	if (text.n > WARNING_MAX) {
		text.n = WARNING_MAX - 3;
		buf_cstr(&text, "...");
	}
	r->warning = arena_str(&r->arena, buf_view(&text));
	buf_fini(&text);
}

/* ---- queries and conditions ---- */

void
warn_query(struct request *r, const char *prefix, const struct query *q)
{
	struct buf why = { 0 };

	if (query_review(q, &why) != QUERY_SOUND)
		request_warn(r, prefix, buf_view(&why));
	buf_fini(&why);
}

void
warn_condition(struct request *r, const char *name, struct doc condition)
{
	char prefix[64];
	struct query *q = NULL;

	if (doc_kind(condition) != DOC_STRING ||
	    query_parse_condition(doc_str(condition), &q, NULL) != ERR_OK)
		return; /* the shard says why not */
	snprintf(prefix, sizeof(prefix), "%s: ", name);
	warn_query(r, prefix, q);
	query_free(q);
}

void
warn_metrics(struct request *r, struct doc queries)
{
	struct doc_iter it = doc_iter(doc_kind(queries) == DOC_OBJECT ? queries : DOC_NONE);
	struct str name;
	struct doc v;

	for (unsigned i = 0; i < CONFIGURATION_METRICS_MAX && doc_next(&it, &name, &v); i++) {
		struct buf why = { 0 };
		struct query *q = NULL;

		if (doc_kind(v) == DOC_STRING &&
		    configuration_metric_plan(doc_str(v), &q, NULL) == ERR_OK) {
			buf_printf(&why, "the metric " STR_FMT ": ", STR_ARG(name));
			if (query_review(q, &why) != QUERY_SOUND)
				request_warn(r, "", buf_view(&why));
		}
		query_free(q);
		buf_fini(&why);
	}
}

/* ---- members ---- */

void
warn_body(struct request *r, const char *prefix, struct doc body, const struct shape *s)
{
	struct buf why = { 0 };

	if (body_stray(body, s, &why))
		request_warn(r, prefix, buf_view(&why));
	buf_fini(&why);
}

/* What a twin that was read has is no hint that somebody means it: $version tells it. */
static bool
says_reported(struct doc twin)
{
	struct doc reported = doc_getc(doc_getc(twin, "properties"), "reported");

	return doc_kind(reported) == DOC_OBJECT && doc_count(reported) > 0 &&
	    !doc_defined(doc_getc(reported, "$version"));
}

void
warn_twin(struct request *r, const char *prefix, struct doc twin)
{
	struct buf why = { 0 };

	if (body_stray(twin, &body_twin, &why))
		request_warn(r, prefix, buf_view(&why));
	else if (says_reported(twin))
		request_warn(r, prefix,
		    STR("properties.reported is written by the device alone, it was left out"));
	buf_fini(&why);
}
