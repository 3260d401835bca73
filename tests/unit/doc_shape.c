/* Members of request bodies with the names and in the kinds that their shapes say (service-rest.md 5.4). */
#include "doc_help.h"

#include "doc/shape.h"

static const struct shape text = { { NULL, 0 }, SHAPE_TEXT, 0, 0, NULL };
static const struct shape inner_members[] = { { SHAPE_NAME("n"), SHAPE_INT, 5, 300, NULL },
	{ SHAPE_NAME("on"), SHAPE_BOOL, 0, 0, NULL }, SHAPE_END };
static const struct shape inner = { { NULL, 0 }, SHAPE_OBJECT, 0, 0, inner_members };
static const struct shape members[] = { { SHAPE_NAME("t"), SHAPE_TEXT, 0, 0, NULL },
	{ SHAPE_NAME("b"), SHAPE_BOOL, 0, 0, NULL }, { SHAPE_NAME("i"), SHAPE_INT, -9, 99, NULL },
	{ SHAPE_NAME("x"), SHAPE_NUMBER, 0, 0, NULL },
	{ SHAPE_NAME("big"), SHAPE_INT, INT64_MIN, INT64_MAX, NULL },
	{ SHAPE_NAME("in"), SHAPE_OBJECT, 0, 0, inner_members },
	{ SHAPE_NAME("list"), SHAPE_LIST, 0, 0, &inner },
	{ SHAPE_NAME("map"), SHAPE_MAP, 0, 0, &text },
	{ SHAPE_NAME("eTag"), SHAPE_TEXT, 0, 0, NULL },
	{ SHAPE_NAME("etag"), SHAPE_TEXT, 0, 0, NULL },
	{ SHAPE_NAME("any"), SHAPE_ANY, 0, 0, NULL }, SHAPE_END };
static const struct shape body = { { NULL, 0 }, SHAPE_OBJECT, 0, 0, members };

static void
shape__R108_scalars_are_taken_however_they_are_written(void **state)
{
	static const struct {
		const char *sent, *taken;
	} cases[] = {
		{ "{\"i\":\"30\"}", "{\"i\":30}" },
		{ "{\"i\":30.0}", "{\"i\":30}" },
		{ "{\"i\":3e1}", "{\"i\":30}" },
		{ "{\"i\":\" +30 \"}", "{\"i\":30}" },
		{ "{\"i\":\"-9\"}", "{\"i\":-9}" },
		{ "{\"i\":\"007\"}", "{\"i\":7}" },
		{ "{\"i\":-0.0}", "{\"i\":0}" },
		{ "{\"big\":\"9223372036854775807\"}", "{\"big\":9223372036854775807}" },
		{ "{\"b\":\"true\"}", "{\"b\":true}" },
		{ "{\"b\":\"False \"}", "{\"b\":false}" },
		{ "{\"b\":1}", "{\"b\":true}" },
		{ "{\"b\":0.0}", "{\"b\":false}" },
		{ "{\"t\":5}", "{\"t\":\"5\"}" },
		{ "{\"t\":1.50}", "{\"t\":\"1.5\"}" },
		{ "{\"t\":true}", "{\"t\":\"true\"}" },
		{ "{\"x\":\"2.5e1\"}", "{\"x\":25.0}" },
		{ "{\"in\":{\"n\":\"5\",\"other\":\"5\"},\"z\":\"1\"}",
		    "{\"in\":{\"n\":5,\"other\":\"5\"},\"z\":\"1\"}" },
		{ "{\"list\":[{\"n\":\"7\"},{\"on\":\"true\"}]}",
		    "{\"list\":[{\"n\":7},{\"on\":true}]}" },
		{ "{\"map\":{\"a\":1,\"b\":\"c\"}}", "{\"map\":{\"a\":\"1\",\"b\":\"c\"}}" },
		{ "{\"i\":\"1\",\"i\":2.0}", "{\"i\":2}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf sent = { 0 }, room = { 0 };
		struct fault f = { 0 };
		struct doc got;

		if (doc_shape(doc_from(&sent, cases[i].sent), &body, &room, &got, &f) != ERR_OK)
			fail_msg("%s: %s", cases[i].sent, f.text);
		assert_true(doc_valid(doc_bytes(got), 0, DOC_DEPTH_MAX));
		assert_json(got, cases[i].taken);
		buf_fini(&sent), buf_fini(&room);
	}
}

static void
shape__R114_members_are_found_in_any_case(void **state)
{
	static const struct {
		const char *sent, *taken;
	} cases[] = {
		{ "{\"I\":30}", "{\"i\":30}" },
		{ "{\"BIG\":\"7\",\"B\":\"True\"}", "{\"big\":7,\"b\":true}" },
		{ "{\"In\":{\"ON\":1,\"Other\":1}}", "{\"in\":{\"on\":true,\"Other\":1}}" },
		{ "{\"LIST\":[{\"N\":7}]}", "{\"list\":[{\"n\":7}]}" },
		{ "{\"etag\":\"a\",\"eTag\":\"b\"}", "{\"etag\":\"a\",\"eTag\":\"b\"}" },
		{ "{\"ETAG\":\"a\"}", "{\"eTag\":\"a\"}" },
		{ "{\"map\":{\"A\":1,\"a\":2}}", "{\"map\":{\"A\":\"1\",\"a\":\"2\"}}" },
		{ "{\"Any\":{\"I\":\"1\",\"I\":2}}", "{\"any\":{\"I\":\"1\",\"I\":2}}" },
		{ "{\"i\":1,\"I\":2}", "{\"i\":2}" },
		{ "{\"I\":1,\"u\":0,\"i\":2,\"u\":1}", "{\"u\":0,\"i\":2,\"u\":1}" },
		{ "{\"any\":{\"a\":1},\"any\":[]}", "{\"any\":[]}" },
		{ "{\"Unknown\":1,\"I\":1}", "{\"Unknown\":1,\"i\":1}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf sent = { 0 }, room = { 0 };
		struct fault f = { 0 };
		struct doc got;

		if (doc_shape(doc_from(&sent, cases[i].sent), &body, &room, &got, &f) != ERR_OK)
			fail_msg("%s: %s", cases[i].sent, f.text);
		assert_true(doc_valid(doc_bytes(got), 0, DOC_DEPTH_MAX));
		assert_json(got, cases[i].taken);
		buf_fini(&sent), buf_fini(&room);
	}
}

static void
shape__R114_one_member_is_found_as_the_whole_is(void **state)
{
	struct buf sent = { 0 }, none = { 0 };
	struct doc d = doc_from(&sent, "{\"I\":1,\"ETAG\":\"x\",\"i\":2,\"z\":3}");

	(void)state;
	assert_int_equal(doc_int(shape_get(d, &body, STR("i"))), 2);
	assert_true(str_eq(doc_text(shape_get(d, &body, STR("eTag"))), STR("x")));
	assert_false(doc_defined(shape_get(d, &body, STR("etag"))));
	assert_false(doc_defined(shape_get(d, &body, STR("z"))));
	assert_false(doc_defined(shape_get(doc_from(&none, "[1]"), &body, STR("i"))));
	buf_fini(&sent), buf_fini(&none);
}

static void
shape__R108_what_is_as_it_should_be_is_not_copied(void **state)
{
	static const char *const sent[] = { "{}",
		"{\"i\":30,\"b\":true,\"t\":\"5\",\"x\":1,\"u\":[1,\"2\"]}",
		"{\"i\":null,\"b\":null,\"t\":null,\"in\":null,\"list\":null}",
		"{\"in\":5,\"list\":{},\"map\":[1]}", "5", "[{\"i\":\"1\"}]" };

	(void)state;
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		struct buf b = { 0 }, room = { 0 };
		struct doc d = doc_from(&b, sent[i]), got = DOC_NONE;

		assert_int_equal(doc_shape(d, &body, &room, &got, NULL), ERR_OK);
		assert_ptr_equal(got.p, d.p);
		assert_int_equal(room.n, 0);
		buf_fini(&b), buf_fini(&room);
	}
}

static void
shape__R108_faults_name_the_path_and_the_bounds(void **state)
{
	static const struct {
		const char *sent, *fault;
	} cases[] = {
		{ "{\"i\":\"x\"}", "i is not an integer from -9 to 99, it is \"x\"" },
		{ "{\"i\":\"30.0\"}", "i is not an integer from -9 to 99, it is \"30.0\"" },
		{ "{\"i\":30.5}", "i is not an integer from -9 to 99, it is 30.5" },
		{ "{\"i\":\"\"}", "i is not an integer from -9 to 99, it is \"\"" },
		{ "{\"i\":\"+-3\"}", "i is not an integer from -9 to 99, it is \"+-3\"" },
		{ "{\"i\":100}", "i is not an integer from -9 to 99, it is 100" },
		{ "{\"i\":1e300}", "i is not an integer from -9 to 99, it is 1e+300" },
		{ "{\"i\":true}", "i is not an integer from -9 to 99, it is true" },
		{ "{\"i\":{}}", "i is not an integer from -9 to 99, it is an object" },
		{ "{\"big\":9.3e18}",
		    "big is not an integer from -9223372036854775808 to 9223372036854775807, it is "
		    "9.3e+18" },
		{ "{\"b\":\"yes\"}", "b is not a boolean, it is \"yes\"" },
		{ "{\"b\":[]}", "b is not a boolean, it is an array" },
		{ "{\"t\":{}}", "t is not a string, it is an object" },
		{ "{\"x\":\"nan\"}", "x is not a number, it is \"nan\"" },
		{ "{\"x\":\"1e999\"}", "x is not a number, it is \"1e999\"" },
		{ "{\"in\":{\"n\":\"4\"}}", "in.n is not an integer from 5 to 300, it is \"4\"" },
		{ "{\"list\":[{\"n\":5},{\"on\":\"?\"}]}",
		    "list[1].on is not a boolean, it is \"?\"" },
		{ "{\"map\":{\"a\":[1]}}", "map.a is not a string, it is an array" },
		{ "{\"In\":{\"N\":4}}", "In.N is not an integer from 5 to 300, it is 4" },
		{ "{\"i\":\"x\",\"i\":1}", "i is not an integer from -9 to 99, it is \"x\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf sent = { 0 }, room = { 0 };
		struct fault f = { 0 };
		struct doc got;

		assert_int_equal(
		    doc_shape(doc_from(&sent, cases[i].sent), &body, &room, &got, &f), ERR_ARG);
		assert_string_equal(f.text, cases[i].fault);
		assert_int_equal(f.code, F_ArgumentInvalid);
		assert_int_equal(room.n, 0);
		buf_fini(&sent), buf_fini(&room);
	}
}

static void
shape__R108_a_long_value_is_not_shown_whole(void **state)
{
	struct buf text_of = { 0 }, sent = { 0 }, room = { 0 };
	struct fault f = { 0 };
	struct doc got;

	(void)state;
	buf_cstr(&text_of, "{\"i\":\"");
	for (int i = 0; i < 5000; i++)
		buf_cstr(&text_of, "9");
	buf_cstr(&text_of, "\"}");
	buf_putc(&text_of, '\0');
	assert_int_equal(doc_shape(doc_from(&sent, text_of.p), &body, &room, &got, &f), ERR_ARG);
	assert_true(strlen(f.text) < 120);
	buf_fini(&text_of), buf_fini(&sent), buf_fini(&room);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shape__R108_scalars_are_taken_however_they_are_written),
		cmocka_unit_test(shape__R114_members_are_found_in_any_case),
		cmocka_unit_test(shape__R114_one_member_is_found_as_the_whole_is),
		cmocka_unit_test(shape__R108_what_is_as_it_should_be_is_not_copied),
		cmocka_unit_test(shape__R108_faults_name_the_path_and_the_bounds),
		cmocka_unit_test(shape__R108_a_long_value_is_not_shown_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
