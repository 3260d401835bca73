/* The line of sessions that wait for room: nobody is left in it while there is some, and each comes to its turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mqtt/loop.h"
#include "rnd.h"

#define NLINK 200
#define MAX   (8u << 20)

static struct link links[NLINK];
static size_t own[NLINK];
static int64_t waits_since[NLINK]; /* step; -1: it does not wait */

static void
turns__nobody_waits_while_there_is_room_and_each_comes_to_its_turn(void **state)
{
	struct rnd rnd = { 11 };
	struct turns t;
	int64_t longest = 0;
	size_t most = 0;

	(void)state;
	turns_init(&t, MAX);
	for (unsigned i = 0; i < NLINK; i++)
		waits_since[i] = -1;
	for (int64_t step = 0; step < 300000; step++) {
		unsigned i = rnd_below(&rnd, NLINK);
		struct link *l;

		if (rnd_below(&rnd, 5) < 3) { /* it wants to send */
			bool was = waits_since[i] >= 0;

			if (turn_awaited(&t, &links[i])) {
				waits_since[i] = was ? waits_since[i] : step;
			} else {
				size_t n = 1 + rnd_below(&rnd, MQTT_MESSAGE_MAX);

				assert_false(was);
				turn_over(&t, &links[i]);
				own[i] += n;
				t.bytes += n;
			}
		} else if (rnd_below(&rnd, 40) ==
		    0) { /* it leaves, and comes anew; its operations come back */
			turn_dropped(&t, &links[i]);
			waits_since[i] = -1;
			t.bytes -= own[i];
			own[i] = 0;
		} else { /* its operations are over */
			t.bytes -= own[i];
			own[i] = 0;
		}
		while ((l = turn_next(&t)) != NULL) {
			int64_t waited = step - waits_since[l - links];

			assert_true(waits_since[l - links] >= 0);
			longest = waited > longest ? waited : longest;
			waits_since[l - links] = -1;
		}
		most = t.bytes > most ? t.bytes : most;
		if (t.first != NULL && t.nmine == 0)
			assert_true(t.bytes >= MAX);
	}
	assert_true(longest > 0 && longest < 20000);
	assert_true(most > MAX / 2 && most < MAX + 2 * MQTT_MESSAGE_MAX);
	for (unsigned i = 0; i < NLINK; i++)
		turn_dropped(&t, &links[i]);
	assert_null(t.first);
	assert_int_equal(t.nmine, 0);
}

static void
turns__who_waits_goes_on_in_the_order_of_the_line(void **state)
{
	static struct link a, b, c;
	struct turns t;

	(void)state;
	turns_init(&t, 2 * MQTT_MESSAGE_MAX);
	assert_false(turn_awaited(&t, &a));
	t.bytes = t.max_bytes;
	assert_true(turn_awaited(&t, &a));
	assert_true(turn_awaited(&t, &b));
	assert_true(turn_awaited(&t, &c));
	assert_null(turn_next(&t));
	t.bytes = MQTT_MESSAGE_MAX;
	assert_ptr_equal(turn_next(&t), &a);
	assert_null(turn_next(&t)); /* what is left is kept for it */
	assert_false(turn_awaited(&t, &a));
	turn_dropped(&t, &b);
	turn_over(&t, &a);
	assert_ptr_equal(turn_next(&t), &c);
	turn_dropped(&t, &c);
	assert_int_equal(t.nmine, 0);
	assert_false(turn_awaited(&t, &b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    turns__nobody_waits_while_there_is_room_and_each_comes_to_its_turn),
		cmocka_unit_test(turns__who_waits_goes_on_in_the_order_of_the_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
