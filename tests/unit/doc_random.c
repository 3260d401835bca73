/*
 * Random documents against a naive model: a tree of pointers with its own comparison and its own JSON text. And random
 * damage to encoded bytes: the check and the readers must stand whatever they are given.
 */
#include "doc_help.h"

#include <stdio.h>
#include <stdlib.h>

#include "doc/priv.h"
#include "rnd.h"

/* ---- the model ---- */

#define MANY 40

struct model {
	enum doc_kind kind;
	int64_t i;
	double x;
	char text[24];
	unsigned n;
	char key[MANY][24];
	struct model *child[MANY];
};

static struct arena arena;
static struct doc_parser *parser;

static void
random_text(struct rnd *r, char *out)
{
	static const char *const parts[] = { "a", "b", "key", "\"", "\\", "\n", "\x01", "\xC3\xA9",
		"\xE2\x82\xAC", "\xF0\x9F\x98\x80", " ", "/" };
	unsigned n = rnd_below(r, 5);

	out[0] = '\0';
	while (n-- > 0)
		strcat(out, parts[rnd_below(r, 12)]);
}

static double
random_double(struct rnd *r)
{
	uint64_t u;
	double v;

	if (rnd_below(r, 2))
		return (double)rnd_below(r, 1000) / 8 - 50;
	do {
		u = rnd_u64(r);
		memcpy(&v, &u, 8);
	} while (v != v || v - v != 0);
	return v;
}

static bool
has_key(const struct model *m, const char *key)
{
	for (unsigned i = 0; i < m->n; i++)
		if (strcmp(m->key[i], key) == 0)
			return true;
	return false;
}

static struct model *
random_model(struct rnd *r, unsigned depth)
{
	struct model *m = arena_alloc(&arena, sizeof(*m));
	unsigned n = 0;

	m->kind = (enum doc_kind)(1 + rnd_below(r, depth > 0 ? 8 : 6));
	switch (m->kind) {
	case DOC_INT: m->i = (int64_t)rnd_u64(r) >> rnd_below(r, 64); break;
	case DOC_DOUBLE: m->x = random_double(r); break;
	case DOC_STRING: random_text(r, m->text); break;
	case DOC_ARRAY:
	case DOC_OBJECT: n = rnd_below(r, rnd_below(r, 8) ? 5 : MANY); break;
	default: break;
	}
	while (n-- > 0) {
		random_text(r, m->key[m->n]);
		if (m->kind == DOC_OBJECT && has_key(m, m->key[m->n]))
			continue;
		m->child[m->n++] = random_model(r, depth - 1);
	}
	return m;
}

static void
model_put(struct doc_writer *w, const struct model *m, struct rnd *stamps)
{
	uint32_t stamp = stamps && w->w ? rnd_below(stamps, 251) : 0;

	switch (m->kind) {
	case DOC_FALSE:
	case DOC_TRUE: doc_put_bool(w, stamp, m->kind == DOC_TRUE); break;
	case DOC_INT: doc_put_int(w, stamp, m->i); break;
	case DOC_DOUBLE: doc_put_double(w, stamp, m->x); break;
	case DOC_STRING: doc_put_str(w, stamp, str_of(m->text)); break;
	case DOC_ARRAY:
	case DOC_OBJECT:
		if (m->kind == DOC_ARRAY)
			doc_begin_array(w, stamp);
		else
			doc_begin_object(w, stamp);
		for (unsigned i = 0; i < m->n; i++) {
			if (m->kind == DOC_OBJECT)
				doc_key(w, str_of(m->key[i]));
			model_put(w, m->child[i], stamps);
		}
		doc_end(w);
		break;
	default: doc_put_null(w, stamp); break;
	}
}

static struct doc
model_doc(struct buf *b, const struct model *m, uint8_t w, struct rnd *stamps)
{
	struct doc_writer dw;

	b->n = 0;
	doc_writer_init(&dw, b, w);
	model_put(&dw, m, stamps);
	return doc_of_stamped(buf_view(b), w);
}

/* JSON text with every character escaped that may be, and blanks where they may be. */
static void
model_string_text(struct buf *out, const char *s)
{
	const char *end = s + strlen(s);

	buf_putc(out, '"');
	while (s < end) {
		uint32_t c = utf8_next(&s, end);
		if (c >= 0x10000)
			buf_printf(out, "\\u%04X\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
			    0xDC00 + (c & 0x3FF));
		else
			buf_printf(out, "\\u%04x", c);
	}
	buf_putc(out, '"');
}

static void
model_text(struct buf *out, const struct model *m)
{
	char close = m->kind == DOC_ARRAY ? ']' : '}';

	switch (m->kind) {
	case DOC_FALSE: buf_cstr(out, " false "); break;
	case DOC_TRUE: buf_cstr(out, "\ttrue"); break;
	case DOC_INT: buf_printf(out, "%lld", (long long)m->i); break;
	case DOC_DOUBLE: buf_printf(out, "%.17e", m->x); break;
	case DOC_STRING: model_string_text(out, m->text); break;
	case DOC_ARRAY:
	case DOC_OBJECT:
		buf_cstr(out, m->kind == DOC_ARRAY ? "[\n" : "{ ");
		for (unsigned i = 0; i < m->n; i++) {
			if (i > 0)
				buf_cstr(out, ", ");
			if (m->kind == DOC_OBJECT) {
				model_string_text(out, m->key[i]);
				buf_cstr(out, " : ");
			}
			model_text(out, m->child[i]);
		}
		buf_putc(out, close);
		break;
	default: buf_cstr(out, "null "); break;
	}
}

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

/* ---- damage ---- */

/* Visit everything that can be reached, as a reader would. */
static uint64_t
walk(struct doc d, unsigned depth)
{
	uint64_t sum = doc_stamp(d) + doc_size(d) + (uint64_t)doc_int(d) + (doc_number(d) > 0);
	struct str s = doc_str(d);
	struct doc_iter it = doc_iter(d);
	struct doc v;

	for (size_t i = 0; i < s.n; i++)
		sum += (unsigned char)s.p[i];
	while (depth < 30 && doc_next(&it, &s, &v))
		sum += walk(v, depth + 1) + s.n;
	return sum;
}

/* Copy of what a check would accept, made node by node. Equal bytes mean the encoding had no second form. */
static void
rewrite(struct doc_writer *dw, struct doc d)
{
	struct doc_iter it = doc_iter(d);
	struct str key;
	struct doc v;

	switch (doc_kind(d)) {
	case DOC_INT: doc_put_int(dw, doc_stamp(d), doc_int(d)); return;
	case DOC_DOUBLE: doc_put_double(dw, doc_stamp(d), doc_number(d)); return;
	case DOC_STRING: doc_put_str(dw, doc_stamp(d), doc_str(d)); return;
	case DOC_NULL: doc_put_null(dw, doc_stamp(d)); return;
	case DOC_OBJECT: doc_begin_object(dw, doc_stamp(d)); break;
	case DOC_ARRAY: doc_begin_array(dw, doc_stamp(d)); break;
	default: doc_put_bool(dw, doc_stamp(d), doc_kind(d) == DOC_TRUE); return;
	}
	while (doc_next(&it, &key, &v)) {
		if (it.object)
			doc_key(dw, key);
		rewrite(dw, v);
	}
	doc_end(dw);
}

/* The damaged bytes, in a block of just their size so that a sanitizer sees each step over the end. */
static bool
survives(struct str bytes, uint8_t w)
{
	struct str exact = { str_dup0(bytes), bytes.n };
	struct buf text = { 0 }, again = { 0 };
	struct doc d;
	struct doc_writer dw;
	bool valid;

	exact.p = xrealloc((char *)(uintptr_t)exact.p, exact.n);
	d = doc_of_stamped(exact, w);
	valid = doc_valid(exact, w, 6);
	walk(d, 0);
	doc_write_json(&text, d);
	(void)doc_equal(d, d);
	if (valid) {
		doc_writer_init(&dw, &again, w);
		rewrite(&dw, d);
		assert_true(str_eq(buf_view(&again), exact));
		assert_true(utf8_valid(buf_view(&text)));
		again.n = 0;
		assert_int_equal(doc_parse(parser, buf_view(&text), &again, NULL, NULL), ERR_OK);
	}
	buf_fini(&text);
	buf_fini(&again);
	free((char *)(uintptr_t)exact.p);
	return valid;
}

static void
damage(struct rnd *r, struct buf *b)
{
	for (unsigned n = 1 + rnd_below(r, 3); n > 0 && b->n > 0; n--) {
		size_t at = rnd_below(r, (uint32_t)b->n);
		switch (rnd_below(r, 4)) {
		case 0: b->p[at] = (char)rnd_u64(r); break;
		case 1: b->p[at] ^= (char)(1 << rnd_below(r, 8)); break;
		case 2: b->n = at; break;
		default: buf_putc(b, (char)rnd_u64(r)); break;
		}
	}
}

static void
doc_valid__damaged_bytes_are_refused_or_canonical(void **state)
{
	struct rnd r = { 14 };
	struct buf b = { 0 };
	int refused = 0, accepted = 0;
	(void)state;

	for (int round = 0; round < 20000; round++) {
		uint8_t w = (uint8_t)rnd_below(&r, 3);
		model_doc(&b, random_model(&r, 3), w, &r);
		damage(&r, &b);
		*(survives(buf_view(&b), w) ? &accepted : &refused) += 1;
		arena_reset(&arena);
	}
	assert_true(refused > 1000 && accepted > 1000);
	buf_fini(&b);
}

static void
doc_valid__each_second_form_is_refused(void **state)
{
#define BYTES(s)                                                                                   \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}
	static const struct str bad[] = { BYTES(""), BYTES("\x00"), BYTES("\x11"),
		BYTES("\x14\x00"), BYTES("\x24\x01\x00"), BYTES("\x14\x01z"),
		BYTES("\x94\1\1\1\1\1\1\1\1\1"), BYTES("\x75\0\0\0\0\0\0\0"),
		BYTES("\x85\0\0\0\0\0\0\xF0\x7F"), BYTES("\x85\1\0\0\0\0\0\xF8\x7F"),
		BYTES("\xD6\x01x"),
		BYTES("\xE6\x0D\x00"
		      "0123456789abc"),
		BYTES("\x16\xFF"), BYTES("\x36\xED\xA0\x80"), BYTES("\x09"), BYTES("\x0F"),
		BYTES("\x28\x16x"), BYTES("\x18\x01"), BYTES("\x28\x01\x01"), BYTES("\x17\x00"),
		BYTES("\xD7\x01\x01"), BYTES("\x17"), BYTES("\x38\x16\xFF\x01"), BYTES("\xF6\x01"),
		BYTES("\x48\xD6\x01x\x01") };
	static const struct str good[] = { BYTES("\x01"), BYTES("\x04"), BYTES("\x14\x01"),
		BYTES("\x06"), BYTES("\x07"), BYTES("\x08"), BYTES("\x28\x06\x01"),
		BYTES("\x85\0\0\0\0\0\0\0\x80"), BYTES("\x38\x16x\x04") };
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (doc_valid(bad[i], 0, 8))
			fail_msg("bad %zu was accepted", i);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!doc_valid(good[i], 0, 8))
			fail_msg("good %zu was refused", i);
	assert_false(doc_valid(good[0], 3, 8));
	assert_false(doc_valid(good[0], 1, 8));
	assert_true(doc_valid(good[4], 0, 1));
	assert_false(doc_valid(good[4], 0, 0));
}

/* Containers in containers as deep as 16 MB can say: neither the check nor a reader may use up the stack. */
static void
doc__hostile_depth_does_not_recurse_without_end(void **state)
{
	struct buf text = { 0 };
	size_t levels = 300000, n = 0;
	char *p;
	(void)state;

	p = xmalloc(levels * HEAD_MAX);
	for (size_t i = 0; i < levels; i++) { /* from the innermost outwards, built backwards */
		uint8_t head[HEAD_MAX];
		size_t nhead = (size_t)(put_head(head, DOC_ARRAY, n) - head);
		n += nhead;
		memcpy(p + levels * HEAD_MAX - n, head, nhead);
	}
	struct str bytes = { p + levels * HEAD_MAX - n, n };
	assert_false(doc_valid(bytes, 0, UINT32_MAX));
	doc_write_json(&text, doc_of(bytes));
	assert_true(text.n < 1000);
	assert_false(doc_equal(doc_of(bytes), doc_of(bytes)));
	free(p);
	buf_fini(&text);
}

/* ---- the second opinion on text ---- */

static void
json_locate__agrees_with_the_parser_on_damaged_text(void **state)
{
	struct rnd r = { 15 };
	struct buf text = { 0 }, out = { 0 };
	int refused = 0, accepted = 0;
	size_t at;
	(void)state;

	for (int round = 0; round < 20000; round++) {
		text.n = 0;
		model_text(&text, random_model(&r, 3));
		damage(&r, &text);
		buf_reserve(&text, 1);
		out.n = 0;
		enum err e = json_locate(buf_view(&text), &at);
		enum err parsed = doc_parse(parser, buf_view(&text), &out, NULL, NULL);
		if (e != parsed)
			fail_msg("'" STR_FMT "' scanned %d, parsed %d", STR_ARG(buf_view(&text)), e,
			    parsed);
		assert_true(at <= text.n);
		*(e == ERR_OK ? &accepted : &refused) += 1;
		arena_reset(&arena);
	}
	assert_true(refused > 1000 && accepted > 1000);
	buf_fini(&text);
	buf_fini(&out);
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
		cmocka_unit_test(doc_valid__damaged_bytes_are_refused_or_canonical),
		cmocka_unit_test(doc_valid__each_second_form_is_refused),
		cmocka_unit_test(doc__hostile_depth_does_not_recurse_without_end),
		cmocka_unit_test(json_locate__agrees_with_the_parser_on_damaged_text),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
