/* The encoding byte by byte, the writer and the accessors. */
#include "doc_help.h"

#include <math.h>
#include <stdlib.h>

struct one {
	struct buf b;
	struct doc_writer w;
};

static struct one *
start(struct one *o, uint8_t w)
{
	*o = (struct one){ 0 };
	doc_writer_init(&o->w, &o->b, w);
	return o;
}

static void
doc_put_int__uses_the_fewest_bytes(void **state)
{
	static const struct {
		int64_t v;
		size_t payload;
	} cases[] = { { 0, 0 }, { 1, 1 }, { -1, 1 }, { 127, 1 }, { 128, 2 }, { -128, 1 },
		{ -129, 2 }, { 32767, 2 }, { 32768, 3 }, { -32768, 2 }, { -32769, 3 },
		{ 8388607, 3 }, { 8388608, 4 }, { INT32_MAX, 4 }, { INT64_C(2147483648), 5 },
		{ INT32_MIN, 4 }, { INT64_C(1) << 39, 6 }, { (INT64_C(1) << 47) - 1, 6 },
		{ INT64_C(1) << 47, 7 }, { INT64_C(1) << 55, 8 }, { INT64_MAX, 8 },
		{ INT64_MIN, 8 } };
	struct one o;
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		doc_put_int(&start(&o, 0)->w, 0, cases[i].v);
		assert_int_equal(o.b.n, 1 + cases[i].payload);
		assert_int_equal((uint8_t)o.b.p[0], DOC_INT | cases[i].payload << 4);
		assert_int_equal(doc_int(doc_of(buf_view(&o.b))), cases[i].v);
		assert_true(doc_valid(buf_view(&o.b), 0, 0));
		buf_fini(&o.b);
	}
}

static void
doc_put__scalars_have_the_documented_bytes(void **state)
{
	struct one o;
	(void)state;

	doc_put_null(&start(&o, 0)->w, 7);
	doc_put_bool(&o.w, 7, false);
	doc_put_bool(&o.w, 7, true);
	doc_put_int(&o.w, 7, 258);
	doc_put_double(&o.w, 7, 1.0);
	doc_put_str(&o.w, 7, STR("ab"));
	assert_bytes(buf_view(&o.b),
	    "\x01\x02\x03\x24\x02\x01\x85\0\0\0\0\0\0\xF0\x3F\x26"
	    "ab",
	    18);
	buf_fini(&o.b);
}

static void
doc_put_double__not_finite_is_null(void **state)
{
	struct one o;
	(void)state;

	doc_put_double(&start(&o, 0)->w, 0, NAN);
	doc_put_double(&o.w, 0, -INFINITY);
	assert_bytes(buf_view(&o.b), "\x01\x01", 2);
	buf_fini(&o.b);
}

static void
doc_put_str__length_class_at_each_edge(void **state)
{
	static const size_t edges[][2] = { { 0, 1 }, { 12, 1 }, { 13, 2 }, { 255, 2 }, { 256, 3 },
		{ 65535, 3 }, { 65536, 4 }, { DOC_PAYLOAD_MAX, 4 } };
	char *text = xcalloc(1, DOC_PAYLOAD_MAX);
	struct one o;
	(void)state;

	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		struct str s = { text, edges[i][0] };
		doc_put_str(&start(&o, 0)->w, 0, s);
		assert_int_equal(o.b.n, edges[i][1] + s.n);
		assert_true(str_eq(doc_str(doc_of(buf_view(&o.b))), s));
		buf_fini(&o.b);
	}
	free(text);
}

/* A container's head grows or shrinks when it is closed: nothing inside may be lost or moved wrongly. */
static void
doc_end__head_fits_each_payload_length(void **state)
{
	static const size_t lengths[] = { 0, 1, 11, 12, 13, 14, 254, 255, 256, 257, 65535, 65536,
		100000 };
	struct one o;
	(void)state;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		doc_begin_array(&start(&o, 0)->w, 0);
		doc_begin_array(&o.w, 0);
		for (size_t k = 0; k < lengths[i]; k++)
			doc_put_bool(&o.w, 0, k % 3 == 0);
		doc_end(&o.w);
		doc_put_str(&o.w, 0, STR("after"));
		doc_end(&o.w);
		assert_true(doc_valid(buf_view(&o.b), 0, 2));

		struct doc_iter it = doc_iter(doc_of(buf_view(&o.b))), in;
		struct str key;
		struct doc v, e;
		assert_true(doc_next(&it, &key, &v));
		in = doc_iter(v);
		for (size_t k = 0; k < lengths[i]; k++) {
			assert_true(doc_next(&in, &key, &e));
			assert_int_equal(doc_kind(e), k % 3 == 0 ? DOC_TRUE : DOC_FALSE);
		}
		assert_false(doc_next(&in, &key, &e));
		assert_true(doc_next(&it, &key, &v));
		assert_str(doc_str(v), "after");
		assert_false(doc_next(&it, &key, &v));
		buf_fini(&o.b);
	}
}

static void
doc_get__finds_members_by_exact_key(void **state)
{
	struct buf b = { 0 };
	struct doc d = doc_from(&b, "{\"a\":1,\"A\":2,\"ab\":{\"\":null},\"z\":[true]}");
	(void)state;

	assert_int_equal(doc_int(doc_getc(d, "a")), 1);
	assert_int_equal(doc_int(doc_getc(d, "A")), 2); /* T-84 */
	assert_int_equal(doc_kind(doc_getc(doc_getc(d, "ab"), "")), DOC_NULL);
	assert_false(doc_defined(doc_getc(d, "b")));
	assert_false(doc_defined(doc_getc(d, "")));
	assert_false(doc_defined(doc_getc(doc_getc(d, "z"), "")));
	assert_false(doc_defined(doc_getc(doc_getc(d, "a"), "a")));
	assert_false(doc_defined(doc_getc(DOC_NONE, "a")));
	assert_int_equal(doc_count(d), 4);
	assert_int_equal(doc_count(doc_getc(d, "z")), 1);
	assert_int_equal(doc_count(doc_getc(d, "a")), 0);
	buf_fini(&b);
}

static void
doc_kind__of_no_value_is_undefined(void **state)
{
	(void)state;
	assert_int_equal(doc_kind(DOC_NONE), DOC_UNDEFINED);
	assert_false(doc_defined(doc_of(STR_NONE)));
	assert_false(doc_defined(doc_of(STR(""))));
	assert_false(doc_defined(doc_of(STR("\x00"))));
	assert_false(doc_defined(doc_of(STR("\x36"
	                                    "ab")))); /* three bytes promised, two there */
	assert_int_equal(doc_size(DOC_NONE), 0);
	assert_int_equal(doc_stamp(DOC_NONE), 0);
	assert_null(doc_str(DOC_NONE).p);
}

static void
doc__accessors_of_another_kind_give_nothing(void **state)
{
	struct buf b = { 0 };
	struct doc d = doc_from(&b, "{\"i\":7,\"x\":2.5,\"s\":\"7\",\"a\":[7]}");
	(void)state;

	assert_true(doc_is_number(doc_getc(d, "i")));
	assert_true(doc_is_number(doc_getc(d, "x")));
	assert_false(doc_is_number(doc_getc(d, "s")));
	assert_false(doc_is_number(DOC_NONE));
	assert_true(doc_number(doc_getc(d, "i")) == 7.0);
	assert_true(doc_number(doc_getc(d, "x")) == 2.5);
	assert_true(doc_number(doc_getc(d, "s")) == 0);
	assert_int_equal(doc_int(doc_getc(d, "x")), 0);
	assert_int_equal(doc_int(doc_getc(d, "a")), 0);
	assert_null(doc_str(doc_getc(d, "i")).p);
	assert_null(doc_str(d).p);
	buf_fini(&b);
}

static void
doc_iter__keeps_the_order_of_insertion(void **state)
{
	static const char *const keys[] = { "z", "a", "m" };
	struct buf b = { 0 };
	struct doc_iter it = doc_iter(doc_from(&b, "{\"z\":0,\"a\":1,\"m\":2}"));
	struct str key;
	struct doc v;
	int i = 0;
	(void)state;

	for (; doc_next(&it, &key, &v); i++) {
		assert_str(key, keys[i]);
		assert_int_equal(doc_int(v), i);
	}
	assert_int_equal(i, 3);
	buf_fini(&b);
}

/* {"a":{"b":[{"c":1}]},"d":null} with a stamp of its own on each node that bears one. */
static void
put_stamped(struct doc_writer *w)
{
	doc_begin_object(w, 1);
	doc_key(w, STR("a"));
	doc_begin_object(w, 2);
	doc_key(w, STR("b"));
	doc_begin_array(w, 3);
	doc_begin_object(w, 99);
	doc_key(w, STR("c"));
	doc_put_int(w, 99, 1);
	doc_end(w);
	doc_end(w);
	doc_end(w);
	doc_key(w, STR("d"));
	doc_put_null(w, 4);
	doc_end(w);
}

static void
doc_stamp__stands_before_each_node_but_not_in_arrays(void **state)
{
	(void)state;
	for (uint8_t w = 0; w <= 2; w++) {
		struct one o;
		put_stamped(&start(&o, w)->w);
		struct doc d = doc_of_stamped(buf_view(&o.b), w), b, c;
		b = doc_getc(doc_getc(d, "a"), "b");
		assert_int_equal(doc_stamp(d), w ? 1 : 0);
		assert_int_equal(doc_stamp(doc_getc(d, "a")), w ? 2 : 0);
		assert_int_equal(doc_stamp(b), w ? 3 : 0);
		assert_int_equal(doc_stamp(doc_getc(d, "d")), w ? 4 : 0);
		struct doc_iter it = doc_iter(b);
		struct str key;
		assert_true(doc_next(&it, &key, &c));
		assert_int_equal(c.w, 0);
		assert_int_equal(doc_stamp(doc_getc(c, "c")), 0);
		assert_int_equal(doc_int(doc_getc(c, "c")), 1);
		assert_true(doc_valid(buf_view(&o.b), w, 4));
		assert_int_equal(doc_size(d), o.b.n);
		assert_json(d, "{\"a\":{\"b\":[{\"c\":1}]},\"d\":null}");
		buf_fini(&o.b);
	}
}

static void
doc_put_copy__stamps_the_whole_copy_anew(void **state)
{
	(void)state;
	for (uint8_t from = 0; from <= 2; from++)
		for (uint8_t to = 0; to <= 2; to++) {
			struct one a, b;
			put_stamped(&start(&a, from)->w);
			struct doc d = doc_of_stamped(buf_view(&a.b), from), e;
			doc_put_copy(&start(&b, to)->w, 200, d);
			e = doc_of_stamped(buf_view(&b.b), to);
			assert_true(doc_valid(buf_view(&b.b), to, 4));
			assert_int_equal(doc_stamp(e), to ? 200 : 0);
			assert_int_equal(doc_stamp(doc_getc(doc_getc(e, "a"), "b")), to ? 200 : 0);
			assert_int_equal(doc_stamp(doc_getc(e, "d")), to ? 200 : 0);
			assert_true(doc_equal(d, e));
			buf_fini(&a.b);
			buf_fini(&b.b);
		}
}

static void
doc_put_copy__into_an_array_drops_stamps(void **state)
{
	struct one a, b;
	(void)state;

	put_stamped(&start(&a, 2)->w);
	doc_begin_array(&start(&b, 2)->w, 5);
	doc_put_copy(&b.w, 9, doc_of_stamped(buf_view(&a.b), 2));
	doc_end(&b.w);
	assert_true(doc_valid(buf_view(&b.b), 2, 5));
	assert_json(doc_of_stamped(buf_view(&b.b), 2), "[{\"a\":{\"b\":[{\"c\":1}]},\"d\":null}]");
	buf_fini(&a.b);
	buf_fini(&b.b);
}

static void
doc_put_same__copies_the_stamps_too(void **state)
{
	struct one a, b;
	(void)state;

	put_stamped(&start(&a, 1)->w);
	doc_begin_object(&start(&b, 1)->w, 0);
	doc_key(&b.w, STR("x"));
	doc_put_same(&b.w, doc_of_stamped(buf_view(&a.b), 1));
	doc_end(&b.w);
	struct doc x = doc_getc(doc_of_stamped(buf_view(&b.b), 1), "x");
	assert_true(str_eq(doc_bytes(x), buf_view(&a.b)));
	assert_int_equal(doc_stamp(doc_getc(x, "d")), 4);
	buf_fini(&a.b);
	buf_fini(&b.b);
}

static void
doc_put_same__copies_elements_of_arrays(void **state)
{
	struct one a, b;
	struct doc_iter it;
	struct str key;
	struct doc v;
	(void)state;

	doc_begin_array(&start(&a, 2)->w, 1);
	doc_put_int(&a.w, 1, 300);
	doc_put_str(&a.w, 1, STR("s"));
	doc_end(&a.w);
	it = doc_iter(doc_of_stamped(buf_view(&a.b), 2));
	doc_begin_array(&start(&b, 2)->w, 1);
	while (doc_next(&it, &key, &v))
		doc_put_same(&b.w, v);
	doc_end(&b.w);
	assert_true(str_eq(buf_view(&a.b), buf_view(&b.b)));
	buf_fini(&a.b);
	buf_fini(&b.b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doc_put_int__uses_the_fewest_bytes),
		cmocka_unit_test(doc_put__scalars_have_the_documented_bytes),
		cmocka_unit_test(doc_put_double__not_finite_is_null),
		cmocka_unit_test(doc_put_str__length_class_at_each_edge),
		cmocka_unit_test(doc_end__head_fits_each_payload_length),
		cmocka_unit_test(doc_get__finds_members_by_exact_key),
		cmocka_unit_test(doc_kind__of_no_value_is_undefined),
		cmocka_unit_test(doc__accessors_of_another_kind_give_nothing),
		cmocka_unit_test(doc_iter__keeps_the_order_of_insertion),
		cmocka_unit_test(doc_stamp__stands_before_each_node_but_not_in_arrays),
		cmocka_unit_test(doc_put_copy__stamps_the_whole_copy_anew),
		cmocka_unit_test(doc_put_copy__into_an_array_drops_stamps),
		cmocka_unit_test(doc_put_same__copies_the_stamps_too),
		cmocka_unit_test(doc_put_same__copies_elements_of_arrays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
