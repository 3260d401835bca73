/* Orders of what is to go wrong: which one is met, how often, until when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mishap/mishap.h"

#define SECOND INT64_C(1000000)

static struct buf shown;

static enum err
order(struct mishaps *m, const char *json, int64_t now_us)
{
	struct doc_parser *parser = doc_parser_new(4096);
	struct doc_parsed info;
	struct fault f = { 0 };
	struct buf doc = { 0 };
	struct out o;
	enum err e;

	shown.n = 0;
	o = out_to(&shown);
	assert_int_equal(doc_parse(parser, str_of(json), &doc, &info, &f), ERR_OK);
	e = mishaps_order(m, doc_of(buf_view(&doc)), now_us, &o, &f);
	buf_fini(&doc);
	doc_parser_free(parser);
	return e;
}

static void
orders__O175_the_oldest_that_fits_is_used_up_first(void **state)
{
	struct mishaps *m = mishaps_new();
	struct mishap_met met;

	(void)state;
	assert_false(mishap_meets(NULL, MISHAP_DROP_LINK, STR("d"), 0, &met));
	assert_false(mishap_meets(m, MISHAP_DROP_LINK, STR("d"), 0, &met));
	assert_int_equal(
	    order(m, "{\"fault\":\"refuseTwin\",\"device\":\"d\",\"status\":429}", 0), ERR_OK);
	assert_int_equal(order(m, "{\"fault\":\"refuseTwin\",\"count\":2}", 0), ERR_OK);
	assert_false(mishap_meets(m, MISHAP_DROP_LINK, STR("d"), 0, &met));
	assert_true(mishap_meets(m, MISHAP_REFUSE_TWIN, STR("d"), 0, &met));
	assert_int_equal(met.code, F_ThrottlingException);
	assert_true(mishap_meets(m, MISHAP_REFUSE_TWIN, STR("d"), 0, &met));
	assert_int_equal(met.code, F_ServiceUnavailable);
	assert_true(mishap_meets(m, MISHAP_REFUSE_TWIN, STR_NONE, 0, &met));
	assert_false(mishap_meets(m, MISHAP_REFUSE_TWIN, STR("d"), 0, &met));
	mishaps_free(m);
}

static void
orders__O178_some_end_with_time_or_count(void **state)
{
	struct mishaps *m = mishaps_new();
	struct mishap_met met;
	struct out o;

	(void)state;
	assert_int_equal(order(m, "{\"fault\":\"unavailable\",\"seconds\":2}", 0), ERR_OK);
	for (int i = 0; i < 100; i++)
		assert_true(mishap_meets(m, MISHAP_UNAVAILABLE, STR_NONE, 2 * SECOND - 1, &met));
	assert_false(mishap_meets(m, MISHAP_UNAVAILABLE, STR_NONE, 2 * SECOND, &met));
	assert_int_equal(
	    order(m, "{\"fault\":\"unavailable\",\"seconds\":2,\"count\":1}", 0), ERR_OK);
	assert_true(mishap_meets(m, MISHAP_UNAVAILABLE, STR("x"), SECOND, &met));
	assert_false(mishap_meets(m, MISHAP_UNAVAILABLE, STR("x"), SECOND, &met));
	assert_int_equal(order(m, "{\"fault\":\"tokenSkew\",\"seconds\":7}", 0), ERR_OK);
	assert_true(mishap_meets(m, MISHAP_TOKEN_SKEW, STR("x"), INT64_MAX - 1, &met));
	assert_int_equal(met.us, 7 * SECOND);
	shown.n = 0;
	o = out_to(&shown);
	mishaps_show(m, 0, &o);
	assert_true(str_eq(buf_view(&shown), STR("[]")));
	mishaps_free(m);
	buf_fini(&shown);
}

static void
orders__O175_there_is_an_end_of_them(void **state)
{
	struct mishaps *m = mishaps_new();
	struct mishap_met met;

	(void)state;
	for (unsigned i = 0; i < MISHAP_ORDERS_MAX; i++)
		assert_int_equal(order(m, "{\"fault\":\"dropLink\"}", 0), ERR_OK);
	assert_int_equal(order(m, "{\"fault\":\"dropLink\"}", 0), ERR_FULL);
	for (unsigned i = 0; i < MISHAP_ORDERS_MAX; i++)
		assert_true(mishap_meets(m, MISHAP_DROP_LINK, STR("d"), 0, &met));
	assert_false(mishap_meets(m, MISHAP_DROP_LINK, STR("d"), 0, &met));
	assert_int_equal(order(m, "{\"fault\":\"dropLink\",\"seconds\":1}", 0), ERR_ARG);
	mishaps_clear(m);
	mishaps_free(m);
	buf_fini(&shown);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orders__O175_the_oldest_that_fits_is_used_up_first),
		cmocka_unit_test(orders__O178_some_end_with_time_or_count),
		cmocka_unit_test(orders__O175_there_is_an_end_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
