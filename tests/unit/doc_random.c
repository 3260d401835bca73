/* Random documents against a naive model: reading, one canonical encoding, comparison. */
#include <stdio.h>

#include "doc_model.h"

static struct doc_parser *parser;

/* What the accessors say of d is what the model holds. */
static void
assert_model(struct doc d, const struct model *m)
{
	struct doc_iter it = doc_iter(d);
	struct str key;
	struct doc v;

	assert_int_equal(doc_kind(d), m->kind);
	if (m->kind == DOC_INT)
		assert_int_equal(doc_int(d), m->i);
	if (m->kind == DOC_DOUBLE)
		assert_true(doc_number(d) == m->x);
	if (m->kind == DOC_STRING)
		assert_str(doc_str(d), m->text);
	assert_int_equal(doc_count(d), m->n);
	for (unsigned i = 0; i < m->n; i++) {
		assert_true(doc_next(&it, &key, &v));
		if (m->kind == DOC_OBJECT) {
			assert_str(key, m->key[i]);
			assert_true(doc_get(d, key).p == v.p);
		}
		assert_model(v, m->child[i]);
	}
	assert_false(doc_next(&it, &key, &v));
}

static void
shuffle(struct rnd *r, struct model *m)
{
	for (unsigned i = m->n; i-- > 0;)
		shuffle(r, m->child[i]);
	for (unsigned i = m->n; m->kind == DOC_OBJECT && i-- > 1;) {
		unsigned j = rnd_below(r, i + 1);
		struct model *c = m->child[i];
		char key[24];
		memcpy(key, m->key[i], sizeof(key));
		memcpy(m->key[i], m->key[j], sizeof(key));
		memcpy(m->key[j], key, sizeof(key));
		m->child[i] = m->child[j];
		m->child[j] = c;
	}
}

/* Change one scalar somewhere, or add a member; false if the way led to nothing that can change. */
static bool
disturb(struct rnd *r, struct model *m)
{
	switch (m->kind) {
	case DOC_NULL: m->kind = DOC_FALSE; return true;
	case DOC_FALSE: m->kind = DOC_TRUE; return true;
	case DOC_TRUE: m->kind = DOC_NULL; return true;
	case DOC_INT: m->i ^= 1; return true;
	case DOC_STRING:
		m->text[0] = m->text[0] == 'Q' ? 'R' : 'Q';
		return m->text[1] == '\0' || utf8_valid(str_of(m->text));
	case DOC_ARRAY:
	case DOC_OBJECT: return m->n > 0 && disturb(r, m->child[rnd_below(r, m->n)]);
	default: return false;
	}
}

/* ---- properties ---- */

#define ROUNDS 3000

static void
doc__random_documents_read_as_the_model(void **state)
{
	struct rnd r = { 11 };
	struct buf b = { 0 };
	(void)state;

	for (int round = 0; round < ROUNDS; round++) {
		struct model *m = random_model(&r, 4);
		uint8_t w = (uint8_t)rnd_below(&r, 3);
		assert_model(model_doc(&b, m, w, &r), m);
		assert_true(doc_valid(buf_view(&b), w, 5));
		arena_reset(&arena);
	}
	buf_fini(&b);
}

/* One canonical encoding: the text of a value, however written, parses to the very bytes that the writer makes, and so
 * does the text made from them. */
static void
doc_parse__gives_the_bytes_of_the_writer(void **state)
{
	struct rnd r = { 12 };
	struct buf b = { 0 }, text = { 0 }, c = { 0 };
	struct doc_parsed info;
	(void)state;

	for (int round = 0; round < ROUNDS; round++) {
		struct model *m = random_model(&r, 4);
		struct doc d = model_doc(&b, m, 0, NULL);

		text.n = c.n = 0;
		model_text(&text, m);
		assert_int_equal(doc_parse(parser, buf_view(&text), &c, &info, NULL), ERR_OK);
		assert_int_equal(info.nduplicate, 0);
		assert_true(str_eq(buf_view(&b), buf_view(&c)));
		text.n = c.n = 0;
		doc_write_json(&text, d);
		assert_int_equal(doc_parse(parser, buf_view(&text), &c, NULL, NULL), ERR_OK);
		assert_true(str_eq(buf_view(&b), buf_view(&c)));
		c.n = 0;
		doc_put_unique(&c, d);
		assert_true(str_eq(buf_view(&b), buf_view(&c)));
		arena_reset(&arena);
	}
	buf_fini(&b);
	buf_fini(&text);
	buf_fini(&c);
}

static void
doc_equal__ignores_order_and_stamps_but_nothing_else(void **state)
{
	struct rnd r = { 13 };
	struct buf a = { 0 }, b = { 0 };
	int disturbed = 0;
	(void)state;

	for (int round = 0; round < ROUNDS; round++) {
		struct model *m = random_model(&r, 4);
		struct doc da = model_doc(&a, m, (uint8_t)rnd_below(&r, 3), &r), db;

		shuffle(&r, m);
		db = model_doc(&b, m, (uint8_t)rnd_below(&r, 3), &r);
		assert_true(doc_equal(da, db));
		assert_true(doc_equal(db, da));
		if (disturb(&r, m)) {
			disturbed++;
			db = model_doc(&b, m, 0, NULL);
			assert_false(doc_equal(da, db));
			assert_false(doc_equal(db, da));
		}
		arena_reset(&arena);
	}
	assert_true(disturbed > ROUNDS / 3);
	buf_fini(&a);
	buf_fini(&b);
}

static void
doc_equal__numbers_by_value(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = { { "1", "1.0", true }, { "0", "-0.0", true }, { "1", "1.5", false },
		{ "9007199254740993", "9007199254740992.0", false },
		{ "9007199254740992", "9007199254740992.0", true },
		{ "9223372036854775807", "9223372036854775808.0", false },
		{ "-9223372036854775808", "-9223372036854775808.0", true }, { "1", "1e300", false },
		{ "1", "true", false }, { "[1,[2.0]]", "[1.0,[2]]", true },
		{ "{\"a\":1,\"b\":2}", "{\"b\":2.0,\"a\":1}", true }, { "1", "\"1\"", false },
		{ "{\"a\":1}", "{\"a\":1,\"b\":2}", false },
		{ "{\"b\":1,\"a\":1}", "{\"a\":1}", false }, { "[1,2]", "[2,1]", false },
		{ "[1]", "[1,1]", false }, { "[]", "{}", false }, { "null", "false", false } };
	struct buf a = { 0 }, b = { 0 };
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct doc da = doc_from(&a, cases[i].a), db = doc_from(&b, cases[i].b);
		if (doc_equal(da, db) != cases[i].same || doc_equal(db, da) != cases[i].same)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
		assert_false(doc_equal(da, DOC_NONE));
	}
	assert_true(doc_equal(DOC_NONE, DOC_NONE));
	buf_fini(&a);
	buf_fini(&b);
}

/* 100,000 keys backwards: minutes if the comparison were quadratic. */
static void
doc_equal__large_objects_in_linear_time(void **state)
{
	struct buf a = { 0 }, b = { 0 };
	struct doc_writer wa, wb;
	char key[16];
	(void)state;

	doc_writer_init(&wa, &a, 0);
	doc_writer_init(&wb, &b, 0);
	doc_begin_object(&wa, 0);
	doc_begin_object(&wb, 0);
	for (int i = 0; i < 100000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		doc_key(&wa, str_of(key));
		doc_put_int(&wa, 0, i);
		snprintf(key, sizeof(key), "k%d", 99999 - i);
		doc_key(&wb, str_of(key));
		doc_put_int(&wb, 0, 99999 - i);
	}
	doc_end(&wa);
	doc_end(&wb);
	assert_true(doc_equal(doc_of(buf_view(&a)), doc_of(buf_view(&b))));
	buf_fini(&a);
	buf_fini(&b);
}

static int
setup(void **state)
{
	(void)state;
	parser = doc_parser_new(TEST_TEXT_MAX);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	doc_parser_free(parser);
	arena_fini(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doc__random_documents_read_as_the_model),
		cmocka_unit_test(doc_parse__gives_the_bytes_of_the_writer),
		cmocka_unit_test(doc_equal__ignores_order_and_stamps_but_nothing_else),
		cmocka_unit_test(doc_equal__numbers_by_value),
		cmocka_unit_test(doc_equal__large_objects_in_linear_time),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
