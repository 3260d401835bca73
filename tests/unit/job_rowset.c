/* Sets of rows: what is stored is what was there, in either form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "job/rowset.h"
#include "rnd.h"

#define ROWS 5000

static void
rowset__J18_runs_and_bits_come_back_as_they_were(void **state)
{
	struct rnd rnd = { 5 };

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct rowset s = { 0 }, back = { 0 };
		struct buf stored = { 0 };
		uint32_t n = 0, nrun = rnd_below(&rnd, 12), single = round % 3 == 0 ? 300 : 0;

		while (nrun-- > 0) {
			uint32_t from = rnd_below(&rnd, ROWS), length = rnd_below(&rnd, 70);

			for (uint32_t row = from; row < from + length; row++)
				rowset_add(&s, row);
		}
		while (single-- > 0)
			rowset_add(&s, rnd_below(&rnd, ROWS));
		rowset_encode(&stored, &s);
		assert_int_equal(
		    rowset_decode(buf_view(&stored), &back), stored.n > 1 || stored.p[0] == 0);
		for (uint32_t row = 0; row < ROWS + 100; row++) {
			assert_int_equal(rowset_has(&s, row), rowset_has(&back, row));
			n += rowset_has(&s, row);
		}
		assert_int_equal(rowset_count(&back), n);
		rowset_fini(&s);
		rowset_fini(&back);
		buf_fini(&stored);
	}
}

static void
rowset__claims_beyond_all_rows_are_refused(void **state)
{
	struct rowset s = { 0 };
	struct buf b = { 0 };

	(void)state;
	buf_putc(&b, 0);
	buf_varint(&b, 3);
	buf_varint(&b, ROWSET_ROWS_MAX - 3);
	assert_true(rowset_decode(buf_view(&b), &s));
	assert_int_equal(rowset_count(&s), ROWSET_ROWS_MAX - 3);
	assert_false(rowset_has(&s, 2));
	rowset_fini(&s);
	b.n = 1;
	buf_varint(&b, 3);
	buf_varint(&b, ROWSET_ROWS_MAX - 2);
	assert_false(rowset_decode(buf_view(&b), &s));
	b.n = 1;
	buf_varint(&b, 3);
	buf_varint(&b, 0);
	assert_false(rowset_decode(buf_view(&b), &s));
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rowset__J18_runs_and_bits_come_back_as_they_were),
		cmocka_unit_test(rowset__claims_beyond_all_rows_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
