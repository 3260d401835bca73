/* JSON that is written a piece at a time. */
#include "doc/out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "rnd.h"

static void
assert_text(struct buf *json, const char *want)
{
	buf_putc(json, '\0');
	assert_string_equal(json->p, want);
	buf_fini(json);
}

static void
out__puts_commas_colons_and_quotes(void **state)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);

	(void)state;
	out_open(&o);
	out_key(&o, "s");
	out_str(&o, STR("a \"word\"\n"));
	out_key(&o, "n");
	out_u64(&o, UINT64_MAX);
	out_key(&o, "i");
	out_i64(&o, INT64_MIN);
	out_key(&o, "f");
	out_fixed(&o, 1.23456, 3);
	out_key(&o, "list");
	out_list(&o);
	out_bool(&o, true);
	out_bool(&o, false);
	out_null(&o);
	out_list(&o);
	out_close(&o);
	out_open(&o);
	out_close(&o);
	out_close(&o);
	out_key_str(&o, STR("\xc3\xbc\""));
	out_cstr(&o, "");
	out_close(&o);
	assert_text(&json,
	    "{\"s\":\"a \\\"word\\\"\\n\",\"n\":18446744073709551615,\"i\":-9223372036854775808,"
	    "\"f\":1.235,\"list\":[true,false,null,[],{}],\"\xc3\xbc\\\"\":\"\"}");
}

static void
out__takes_what_is_JSON_already(void **state)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);

	(void)state;
	out_open(&o);
	out_json(&o, STR_NONE);
	out_json(&o, STR("\"a\":1,\"b\":2"));
	out_key(&o, "rows");
	out_list(&o);
	out_json(&o, STR_NONE);
	out_json(&o, STR("{\"x\":1},{\"x\":2}"));
	out_json(&o, STR_NONE);
	out_json(&o, STR("3"));
	out_close(&o);
	out_json(&o, STR("\"c\":3"));
	out_key(&o, "d");
	buf_cstr(out_value(&o), "[4]");
	out_key(&o, "e");
	out_json(&o, STR_NONE);
	out_close(&o);
	assert_text(&json,
	    "{\"a\":1,\"b\":2,\"rows\":[{\"x\":1},{\"x\":2},3],\"c\":3,\"d\":[4],\"e\":null}");
}

/* The buffer may be emptied in between: what is written stands somewhere else already. */
static void
out__goes_on_after_its_text_was_taken(void **state)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);

	(void)state;
	out_list(&o);
	out_u64(&o, 1);
	json.n = 0;
	out_u64(&o, 2);
	out_close(&o);
	assert_text(&json, ",2]");
}

/* ---- whatever is written is JSON, and says the same ---- */

static void
put_any(struct out *o, struct rnd *r, int depth)
{
	uint32_t n = rnd_below(r, 4), kind = rnd_below(r, depth > 5 ? 6 : 8);

	switch (kind) {
	case 0: out_null(o); break;
	case 1: out_bool(o, n & 1); break;
	case 2: out_u64(o, n); break;
	case 3: out_i64(o, -(int64_t)n); break;
	case 4: out_cstr(o, "\t,\":}]"); break;
	case 5: out_fixed(o, n / 4.0, 2); break;
	case 6:
		out_list(o);
		for (uint32_t i = 0; i < n; i++)
			put_any(o, r, depth + 1);
		out_close(o);
		break;
	default:
		out_open(o);
		for (uint32_t i = 0; i < n; i++) {
			char key[8];

			snprintf(key, sizeof(key), "k%u", i);
			out_key(o, key);
			put_any(o, r, depth + 1);
		}
		out_close(o);
	}
}

static void
out__is_always_JSON(void **state)
{
	struct doc_parser *ps = doc_parser_new(1 << 20);
	struct rnd r = { 7 };

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct buf json = { 0 }, doc = { 0 };
		struct out o = out_to(&json);
		struct doc_parsed info;
		struct fault f;

		put_any(&o, &r, 0);
		assert_int_equal(o.depth, 0);
		if (doc_parse(ps, buf_view(&json), &doc, &info, &f) != ERR_OK)
			fail_msg(STR_FMT ": %s", STR_ARG(buf_view(&json)), f.text);
		buf_fini(&json);
		buf_fini(&doc);
	}
	doc_parser_free(ps);
}

/* What is said once is the same in either sink: the document is that which the text would be read as. */
static void
out__makes_one_value_in_either_sink(void **state)
{
	struct doc_parser *ps = doc_parser_new(1 << 20);

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct rnd r = { (uint64_t)i + 1 }, again = r;
		struct buf json = { 0 }, read = { 0 }, made = { 0 };
		struct out text = out_to(&json), o;
		struct doc_writer dw;
		struct fault f;

		put_any(&text, &r, 0);
		doc_writer_init(&dw, &made, 0);
		o = out_to_doc(&dw);
		put_any(&o, &again, 0);
		assert_int_equal(doc_parse(ps, buf_view(&json), &read, NULL, &f), ERR_OK);
		assert_int_equal(made.n, read.n);
		assert_memory_equal(made.p, read.p, read.n);
		buf_fini(&json);
		buf_fini(&read);
		buf_fini(&made);
	}
	doc_parser_free(ps);
}

static void
put_members(struct out *o, struct doc d)
{
	out_open(o);
	out_some_str(o, "none", STR_NONE);
	out_some_time(o, "never", 0);
	out_some_doc(o, "undefined", DOC_NONE);
	out_str_or_null(out_key(o, "null"), STR_NONE);
	out_doc(out_key(o, "nothing"), DOC_NONE);
	out_some_str(o, "s", STR("x"));
	out_some_time(o, "t", 1);
	out_some_doc(o, "d", d);
	out_format(out_key(o, "f"), "%d of %d", 1, 2);
	out_str_or_null(out_key_str(o, STR("k\"")), STR("y"));
	out_close(o);
}

static void
out__leaves_out_what_is_nothing(void **state)
{
	struct buf json = { 0 }, inner = { 0 }, made = { 0 };
	struct out o = out_to(&json);
	struct doc_writer dw;

	(void)state;
	doc_writer_init(&dw, &inner, 0);
	doc_begin_array(&dw, 0);
	doc_put_int(&dw, 0, -5);
	doc_end(&dw);
	put_members(&o, doc_of(buf_view(&inner)));
	doc_writer_init(&dw, &made, 0);
	o = out_to_doc(&dw);
	put_members(&o, doc_of(buf_view(&inner)));
	buf_putc(&json, '|');
	doc_write_json(&json, doc_of(buf_view(&made)));
#define TEXT                                                                                       \
	"{\"null\":null,\"nothing\":null,\"s\":\"x\",\"t\":\"1970-01-01T00:00:00.0000010Z\","      \
	"\"d\":[-5],"                                                                              \
	"\"f\":\"1 of 2\",\"k\\\"\":\"y\"}"
	assert_text(&json, TEXT "|" TEXT);
	buf_fini(&inner);
	buf_fini(&made);
}

static void
out__gathers_a_list(void **state)
{
	struct buf json = { 0 };

	(void)state;
	for (uint64_t i = 0; i < 3; i++) {
		struct out o = out_next(&json);

		out_u64(&o, i);
	}
	assert_text(&json, "0,1,2");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(out__puts_commas_colons_and_quotes),
		cmocka_unit_test(out__takes_what_is_JSON_already),
		cmocka_unit_test(out__goes_on_after_its_text_was_taken),
		cmocka_unit_test(out__is_always_JSON),
		cmocka_unit_test(out__makes_one_value_in_either_sink),
		cmocka_unit_test(out__leaves_out_what_is_nothing),
		cmocka_unit_test(out__gathers_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
