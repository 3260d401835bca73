/* Damage to encoded bytes and to text: the check and the readers must stand whatever they are given. */
#include <stdlib.h>

#include "doc/priv.h"
#include "doc_model.h"

static struct doc_parser *parser;

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
		cmocka_unit_test(doc_valid__damaged_bytes_are_refused_or_canonical),
		cmocka_unit_test(doc_valid__each_second_form_is_refused),
		cmocka_unit_test(doc__hostile_depth_does_not_recurse_without_end),
		cmocka_unit_test(json_locate__agrees_with_the_parser_on_damaged_text),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
