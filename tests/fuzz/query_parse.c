/*
 * Any bytes as a query and as a condition. What is refused must say why; what is accepted must give facts that hold, and
 * run on a row without harm: the condition, the projection, or the groups.
 */
#include "query/query.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool held)
{
	if (!held)
		abort();
}

/* ---- one row: every root has a value, by turns of all kinds ---- */

struct fuzz_row {
	struct buf stored[SECTION_KINDS];
	struct section section[SECTION_KINDS];
	struct buf roots;
};

static struct doc
fuzz_root(const void *row, enum query_root root, struct buf *scratch)
{
	const struct fuzz_row *r = row;
	struct doc_iter it = doc_iter(doc_of(buf_view(&r->roots)));
	struct str key;
	struct doc d;
	size_t at = scratch->n;

	for (unsigned i = 0; i <= root % doc_count(doc_of(buf_view(&r->roots))); i++)
		require(doc_next(&it, &key, &d));
	buf_str(scratch, doc_bytes(d));
	return doc_of(str_sub(buf_view(scratch), at));
}

static const struct section *
fuzz_section(const void *row, enum section_kind kind)
{
	return &((const struct fuzz_row *)row)->section[kind];
}

static void
fuzz_document(const void *row, struct buf *json)
{
	(void)row;
	buf_cstr(json, "{}");
}

static const struct query_row_ops ops = { fuzz_root, fuzz_section, fuzz_document };

static void
row_init(struct fuzz_row *r)
{
	static const char content[] =
	    "{\"a\":1,\"b\":\"text "
	    "\xC3\xA9\",\"c\":{\"a\":[1,\"x\",{\"y\":true}],\"b\":false},\"d\":[1,2]}";
	static const char roots[] = "[\"d1\",null,true,7,{\"a\":\"x\",\"iotEdge\":false},[\"p\","
	                            "\"q\"],\"2022-01-01T00:00:00Z\"]";
	struct doc_parser *ps = doc_parser_new(4096);
	struct buf doc = { 0 };
	struct section old;
	bool changed;

	require(doc_parse(ps, str_of(content), &doc, NULL, NULL) == ERR_OK);
	require(doc_parse(ps, str_of(roots), &r->roots, NULL, NULL) == ERR_OK);
	for (int k = 0; k < SECTION_KINDS; k++) {
		struct section_write wr = { .kind = (enum section_kind)k,
			.now_us = 1700000000000000 };
		struct buf fresh = { 0 };
		section_new(&fresh, 1600000000000000);
		old = section_of(buf_view(&fresh));
		require(section_merge(&old, doc_of(buf_view(&doc)), 0, &wr, &r->stored[k], NULL,
		            &changed, NULL) == ERR_OK);
		r->section[k] = section_of(buf_view(&r->stored[k]));
		buf_fini(&fresh);
	}
	buf_fini(&doc);
	doc_parser_free(ps);
}

/* ---- running what was accepted ---- */

/* The output is JSON: the parser of doc/ says so. */
static void
require_json(const struct buf *json)
{
	static struct doc_parser *ps;
	struct buf doc = { 0 };

	if (ps == NULL)
		ps = doc_parser_new(1u << 22);
	require(doc_parse(ps, buf_view(json), &doc, NULL, NULL) == ERR_OK);
	buf_fini(&doc);
}

static void
run_groups(const struct query *q, const struct fuzz_row *row, struct query_scratch *s)
{
	struct query_groups *a = query_groups_new(q, 1u << 16), *b = query_groups_new(q, 1u << 16);
	struct buf json = { 0 }, bytes = { 0 };
	struct str parts;

	require(query_groups_add(a, &ops, row, s, NULL) == ERR_OK);
	require(query_groups_add(b, &ops, row, s, NULL) == ERR_OK);
	query_groups_put(b, &bytes);
	parts = buf_view(&bytes);
	require(query_groups_merge(a, &parts, NULL) == ERR_OK && parts.n == 0);
	query_groups_finish(a);
	require(query_groups_count(a) <= 1); /* HAVING may drop it */
	query_groups_write(a, 0, 1, &json);
	if (query_groups_count(a) == 1)
		require_json(&json);
	buf_fini(&json);
	buf_fini(&bytes);
	query_groups_free(a);
	query_groups_free(b);
}

static void
run_order(const struct query *q, const struct fuzz_row *row, struct query_scratch *s)
{
	struct query_order *o = query_order_new(q, 2, 1u << 16);
	struct buf json = { 0 };

	for (int i = 0; i < 3; i++)
		if (query_order_wants(o, &ops, row, s))
			require(query_order_take(o, 0, &ops, row, s, NULL) == ERR_OK);
	query_order_finish(o);
	require(query_order_count(o) == (query_facts(q)->top < 3 ? query_facts(q)->top : 3));
	require(query_order_write(o, 0, 1, SIZE_MAX, &json) == 1);
	require_json(&json);
	buf_fini(&json);
	query_order_free(o);
}

static void
accepted(struct query *q, const struct fuzz_row *row)
{
	const struct query_facts *f = query_facts(q);
	struct query_scratch s = { 0 };
	struct buf json = { 0 };

	require(!f->past || f->collection <= QUERY_MODULES);
	require(f->top > 0 && !(f->everything && f->nothing) && !(f->whole && f->aggregate));
	for (uint32_t i = 1; i < f->device_ids.n; i++)
		require(str_cmp(f->device_ids.v[i - 1], f->device_ids.v[i]) < 0);
	require(query_match(q, &ops, row, &s) || !f->everything);
	if (f->aggregate) {
		run_groups(q, row, &s);
	} else if (f->ordered) {
		run_order(q, row, &s);
	} else {
		query_project(q, &ops, row, &s, &json);
		require_json(&json);
	}
	buf_fini(&json);
	query_scratch_fini(&s);
	query_free(q);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_row row;
	static const struct query_options modes[] = { { .extensions = false },
		{ .extensions = true }, { .extensions = true, .past = true } };
	struct str text = { (const char *)data, size };
	struct fault f = { .text = "" };
	struct query *q = NULL;

	if (row.roots.n == 0)
		row_init(&row);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (query_parse(text, &modes[i], &q, &f) == ERR_OK)
			accepted(q, &row);
		else
			require(q == NULL && f.code != F_NONE && f.text[0] != '\0');
		q = NULL;
		f = (struct fault){ .text = "" };
	}
	if (query_parse_condition(text, &q, &f) == ERR_OK)
		accepted(q, &row);
	else
		require(q == NULL && f.code != F_NONE && f.text[0] != '\0');
	return 0;
}
