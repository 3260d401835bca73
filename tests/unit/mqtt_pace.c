/* The pace of closings (device-mqtt.md 2.4a). Time is an argument, so each way that a burst may come is tried. */
#include "mqtt/priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "rnd.h"

#define SECOND_US INT64_C(1000000)
#define TIMES     20000u

/* More than `most` in any second, whenever it begins? */
static void
check_seconds(const int64_t *at, size_t n, uint32_t most)
{
	for (size_t first = 0, last = 0; last < n; last++) {
		while (at[last] - at[first] >= SECOND_US)
			first++;
		assert_in_range(last - first + 1, 1, most);
	}
}

static void
pace__D81_no_second_has_more_whenever_they_are_asked_for(void **state)
{
	static int64_t at[TIMES];
	struct rnd r = { 81 };
	struct pace p;

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		int64_t now_us = 0;
		size_t n = 0;

		pace_init(&p, 1000, 1);
		while (n < TIMES && now_us < 30 * SECOND_US) {
			if (pace_take(&p, now_us))
				at[n++] = now_us;
			else if (rnd_below(&r, 8) == 0)
				now_us = pace_next_us(&p);
			now_us += rnd_below(&r, 3) == 0
			    ? (int64_t)rnd_below(&r, 1 + 4000 * (round % 50))
			    : 0;
		}
		check_seconds(at, n, 1000);
	}
}

/* What asks when it is told to loses little to rounding; loops together stay below it, too. */
static void
pace__D81_is_nearly_used_up_and_shared(void **state)
{
	(void)state;
	for (uint32_t nloop = 1; nloop <= 64; nloop *= 4) {
		struct pace p;
		int64_t now_us = 5 * SECOND_US;
		uint32_t n = 0;

		pace_init(&p, 1000, nloop);
		while (now_us < 15 * SECOND_US) {
			if (pace_take(&p, now_us))
				n++;
			else
				now_us = pace_next_us(&p);
		}
		assert_in_range(n * nloop, nloop == 64 ? 6400 : 8000, 10000);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pace__D81_no_second_has_more_whenever_they_are_asked_for),
		cmocka_unit_test(pace__D81_is_nearly_used_up_and_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
