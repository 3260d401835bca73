/*
 * For the tests of query/: a small fleet written as JSON (quotes as '), and queries run on it to a text:
 *
 *   SELECT *            the rows' ids, "d1 d2", modules as "d1/m1"
 *   anything else       the rows as JSON with blanks between, quotes as '
 *   a refused query     the fault's name and text, "ArgumentInvalid: ..."
 *
 * A row's JSON is its document; `time` and `desired`, `reported` at its root are the moment of the sections' last
 * change and their content. Each section is made new at BEGIN and, unless it is to be empty, merged once: $version 2.
 */
#ifndef QUERY_FLEET_H
#define QUERY_FLEET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "query/columns.h"

#include <cmocka.h>

#define BEGIN       INT64_C(1577836800000000) /* 2020-01-01T00:00:00Z */
#define GROUP_BYTES (1u << 20)

struct fleet_row {
	struct buf root;
	struct buf stored[SECTION_KINDS];
	struct section section[SECTION_KINDS];
};

struct fleet {
	struct fleet_row *row;
	size_t n;
	struct doc_parser *parser;
	struct query_scratch scratch;
	struct buf out;
	struct columns *columns; /* of the first FLEET_COLUMNS rows */
	bool extensions;         /* queries may use those of Q-88 */
};

#define FLEET_COLUMNS VECTOR_ROWS

static const char *const fleet_names[] = {
#define X(id, name, ...) #name,
	QUERY_ROOTS(X)
#undef X
};

static inline void
fleet_quotes(char *p, size_t n, char from, char to)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] == from)
			p[i] = to;
}

/* ---- rows as the query sees them ---- */

/* Always by way of the scratch, whose old content is spoilt: the hard case of the contract. */
static inline struct doc
fleet_root(const void *row, enum query_root root, struct buf *scratch)
{
	const struct fleet_row *r = row;
	struct doc d = doc_get(doc_of(buf_view(&r->root)), str_of(fleet_names[root]));
	struct str bytes;
	size_t at;

	if (scratch->cap > 0)
		memset(scratch->p, 0xEE, scratch->cap);
	if (!doc_defined(d))
		return DOC_NONE;
	bytes = doc_bytes(d);
	at = scratch->n;
	buf_str(scratch, bytes);
	return doc_of(str_sub(buf_view(scratch), at));
}

static inline const struct section *
fleet_section(const void *row, enum section_kind kind)
{
	const struct fleet_row *r = row;

	return r->stored[kind].n > 0 ? &r->section[kind] : NULL;
}

static inline void
fleet_document(const void *row, struct buf *json)
{
	const struct fleet_row *r = row;
	struct doc d = doc_of(buf_view(&r->root));
	struct doc module = doc_getc(d, "moduleId"), job = doc_getc(d, "jobId");

	if (doc_defined(job))
		buf_str(json, doc_str(job));
	if (doc_defined(job) && doc_defined(doc_getc(d, "deviceId")))
		buf_putc(json, ':');
	if (doc_defined(doc_getc(d, "deviceId")))
		buf_str(json, doc_str(doc_getc(d, "deviceId")));
	if (doc_defined(module)) {
		buf_putc(json, '/');
		buf_str(json, doc_str(module));
	}
}

static const struct query_row_ops fleet_ops = { fleet_root, fleet_section, fleet_document };

/* ---- making a fleet ---- */

static inline void
fleet_fill(struct fleet_row *r, enum section_kind kind, struct doc content, int64_t now_us)
{
	struct section old;
	struct section_write wr = { .kind = kind, .now_us = now_us };
	struct buf out = { 0 };
	struct fault f = { .text = "" };
	bool changed;

	section_new(&r->stored[kind], BEGIN);
	old = section_of(buf_view(&r->stored[kind]));
	if (doc_count(content) > 0) {
		if (section_merge(&old, content, 0, &wr, &out, NULL, &changed, &f) || !changed)
			fail_msg("the fleet: %s", f.text);
		buf_fini(&r->stored[kind]);
		r->stored[kind] = out;
	}
	r->section[kind] = section_of(buf_view(&r->stored[kind]));
}

static inline void
fleet_add(struct fleet *fl, struct str json)
{
	struct fleet_row *r;
	struct fault f = { .text = "" };
	int64_t now_us = BEGIN;
	struct doc d;

	fl->row = xrealloc(fl->row, (fl->n + 1) * sizeof(*fl->row));
	r = &fl->row[fl->n++];
	*r = (struct fleet_row){ 0 };
	if (doc_parse(fl->parser, json, &r->root, NULL, &f))
		fail_msg(STR_FMT ": %s", STR_ARG(json), f.text);
	d = doc_of(buf_view(&r->root));
	if (doc_defined(doc_getc(d, "time")))
		assert_true(time_parse(doc_str(doc_getc(d, "time")), &now_us));
	if (doc_defined(doc_getc(d, "jobId")))
		return;
	fleet_fill(r, SECTION_TAGS, doc_getc(d, "tags"), now_us);
	fleet_fill(r, SECTION_DESIRED, doc_getc(d, "desired"), now_us);
	fleet_fill(r, SECTION_REPORTED, doc_getc(d, "reported"), now_us);
}

static inline void
fleet_init(struct fleet *fl, const char *const *rows, size_t n)
{
	*fl = (struct fleet){ .parser = doc_parser_new(1 << 20) };
	for (size_t i = 0; i < n; i++) {
		char *text = str_dup0(str_of(rows[i]));
		fleet_quotes(text, strlen(text), '\'', '"');
		fleet_add(fl, str_of(text));
		free(text);
	}
}

static inline void
fleet_fini(struct fleet *fl)
{
	for (size_t i = 0; i < fl->n; i++) {
		buf_fini(&fl->row[i].root);
		for (int k = 0; k < SECTION_KINDS; k++)
			buf_fini(&fl->row[i].stored[k]);
	}
	free(fl->row);
	doc_parser_free(fl->parser);
	query_scratch_fini(&fl->scratch);
	buf_fini(&fl->out);
	columns_free(fl->columns);
}

/* ---- running ---- */

static inline struct doc
fleet_get(const struct fleet_row *r, const char *name)
{
	return doc_get(doc_of(buf_view(&r->root)), str_of(name));
}

static inline bool
fleet_in_collection(const struct fleet_row *r, enum query_collection c)
{
	bool job = doc_defined(fleet_get(r, "jobId")),
	     device = doc_defined(fleet_get(r, "deviceId"));

	if (job)
		return c == (device ? QUERY_DEVICE_JOBS : QUERY_JOBS);
	return c == (doc_defined(fleet_get(r, "moduleId")) ? QUERY_MODULES : QUERY_DEVICES);
}

static inline enum row_kind
fleet_kind(const struct fleet_row *r)
{
	return fleet_in_collection(r, QUERY_DEVICES) ? ROW_DEVICE
	    : fleet_in_collection(r, QUERY_MODULES)  ? ROW_MODULE
	                                             : ROW_FREE;
}

/* Columns made for the plan judge its rows as query_match does, where they judge. */
static inline void
fleet_columns(struct fleet *fl, const struct query *q)
{
	uint32_t n = fl->n < FLEET_COLUMNS ? (uint32_t)fl->n : FLEET_COLUMNS, row;
	struct query_needs needs = { 0 };
	struct vector *v = vector_new(q);
	uint8_t verdicts[VECTOR_ROWS];

	columns_free(fl->columns);
	fl->columns = columns_new(1 << 20, NULL, NULL);
	for (uint32_t i = 0; i < n; i++)
		columns_row_changed(fl->columns, i, fleet_kind(&fl->row[i]), &needs, &needs,
		    &fleet_ops, &fl->row[i], &fl->scratch);
	vector_open(v, fl->columns, true, &fl->scratch);
	while (vector_wants(v, &row, &needs))
		vector_show(
		    v, row, fleet_kind(&fl->row[row]), &fleet_ops, &fl->row[row], &fl->scratch);
	vector_judge(v, 0, n, verdicts);
	for (uint32_t i = 0; i < n; i++) {
		bool match = fleet_in_collection(&fl->row[i], query_facts(q)->collection) &&
		    query_match(q, &fleet_ops, &fl->row[i], &fl->scratch);
		if (!verdict_asks(verdicts[i]) && (verdicts[i] == VERDICT_MATCH) != match)
			fail_msg("row %u: verdict %u, not %d", i, verdicts[i], match);
	}
	vector_free(v);
}

/* ORDER BY: kept as pages of three rows keep them, and written as the last of these. */
static inline void
fleet_ordered(struct fleet *fl, const struct query *q)
{
	for (uint32_t from = 0, total = 1; from < total; from += 3) {
		struct query_order *o = query_order_new(q, from + 3, GROUP_BYTES);
		for (size_t i = 0; i < fl->n; i++) {
			const struct fleet_row *r = &fl->row[i];
			if (fleet_in_collection(r, query_facts(q)->collection) &&
			    query_match(q, &fleet_ops, r, &fl->scratch) &&
			    query_order_wants(o, &fleet_ops, r, &fl->scratch))
				assert_int_equal(
				    query_order_take(o, 0, &fleet_ops, r, &fl->scratch, NULL),
				    ERR_OK);
		}
		query_order_finish(o);
		total = (uint32_t)query_order_count(o);
		for (uint32_t i = from; i < from + 3 && i < total; i++) {
			if (i > 0)
				buf_putc(&fl->out, ' ');
			assert_int_equal(query_order_write(o, i, 1, SIZE_MAX, &fl->out), 1);
		}
		assert_int_equal(query_order_write(o, total, 1, SIZE_MAX, &fl->out), 0);
		query_order_free(o);
	}
}

static inline void
fleet_rows(struct fleet *fl, const struct query *q)
{
	const struct query_facts *f = query_facts(q);
	uint64_t left = f->top;

	if (f->ordered) {
		fleet_ordered(fl, q);
		return;
	}
	for (size_t i = 0; i < fl->n && left > 0; i++) {
		const struct fleet_row *r = &fl->row[i];
		if (!fleet_in_collection(r, f->collection) ||
		    !query_match(q, &fleet_ops, r, &fl->scratch))
			continue;
		if (fl->out.n > 0)
			buf_putc(&fl->out, ' ');
		query_project(q, &fleet_ops, r, &fl->scratch, &fl->out);
		left--;
	}
}

/* A part as bytes, and from there into the whole: all of them, where it is taken. */
static inline enum err
fleet_merge(struct query_groups *into, const struct query_groups *part, struct fault *f)
{
	struct buf bytes = { 0 };
	struct str parts;
	enum err e;

	query_groups_put(part, &bytes);
	parts = buf_view(&bytes);
	e = query_groups_merge(into, &parts, f);
	assert_true(e != ERR_OK || parts.n == 0);
	buf_fini(&bytes);
	return e;
}

static inline void
fleet_groups_write(const struct query_groups *g, struct buf *out)
{
	for (uint32_t i = 0; i < query_groups_count(g); i++) {
		if (i > 0)
			buf_putc(out, ' ');
		query_groups_write(g, i, 1, out);
	}
}

/* In two parts that are merged, as two workers would; page by page. */
static inline void
fleet_groups(struct fleet *fl, const struct query *q)
{
	struct query_groups *part[2] = { query_groups_new(q, GROUP_BYTES),
		query_groups_new(q, GROUP_BYTES) };

	for (size_t i = 0; i < fl->n; i++) {
		const struct fleet_row *r = &fl->row[i];
		if (fleet_in_collection(r, query_facts(q)->collection) &&
		    query_match(q, &fleet_ops, r, &fl->scratch))
			assert_int_equal(
			    query_groups_add(part[i % 2], &fleet_ops, r, &fl->scratch, NULL),
			    ERR_OK);
	}
	assert_int_equal(fleet_merge(part[0], part[1], NULL), ERR_OK);
	query_groups_finish(part[0]);
	fleet_groups_write(part[0], &fl->out);
	query_groups_free(part[0]);
	query_groups_free(part[1]);
}

/* The result of a plan as a text; it stands until the next call. Frees the plan. */
static inline const char *
fleet_run_plan(struct fleet *fl, struct query *q)
{
	fl->out.n = 0;
	if (query_facts(q)->collection <= QUERY_MODULES)
		fleet_columns(fl, q);
	if (query_facts(q)->aggregate)
		fleet_groups(fl, q);
	else
		fleet_rows(fl, q);
	query_free(q);
	buf_putc(&fl->out, '\0');
	fleet_quotes(fl->out.p, fl->out.n, '"', '\'');
	return fl->out.p;
}

static inline const char *
fleet_refused(struct fleet *fl, const struct fault *f)
{
	fl->out.n = 0;
	buf_printf(&fl->out, "%s: %s", fault_name(f->code), f->text);
	buf_putc(&fl->out, '\0');
	return fl->out.p;
}

/* A query, or only a condition. */
static inline const char *
fleet_run(struct fleet *fl, const char *text)
{
	const struct query_options options = { .extensions = fl->extensions };
	struct fault f;
	struct query *q;

	if (query_parse(str_of(text), &options, &q, &f))
		return fleet_refused(fl, &f);
	return fleet_run_plan(fl, q);
}

static inline const char *
fleet_where(struct fleet *fl, const char *condition)
{
	struct fault f;
	struct query *q;

	if (query_parse_condition(str_of(condition), &q, &f))
		return fleet_refused(fl, &f);
	return fleet_run_plan(fl, q);
}

static inline void
fleet_expect(const char *text, const char *got, const char *want)
{
	if (strcmp(got, want) != 0)
		fail_msg("%s\n  gives %s\n  not   %s", text, got, want);
}

static inline void
fleet_gives(struct fleet *fl, const char *text, const char *want)
{
	fleet_expect(text, fleet_run(fl, text), want);
}

static inline void
fleet_where_gives(struct fleet *fl, const char *condition, const char *want)
{
	fleet_expect(condition, fleet_where(fl, condition), want);
}

/* Refused with 400 ArgumentInvalid and a text that has `part` in it. */
static inline void
fleet_refuses(struct fleet *fl, const char *text, const char *part)
{
	const char *got = fleet_run(fl, text);

	if (strncmp(got, "ArgumentInvalid: ", 17) != 0 || strstr(got, part) == NULL)
		fail_msg("%s\n  gives %s\n  not a 400 with '%s'", text, got, part);
}

#endif
