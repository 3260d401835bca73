/* Slots and their generations, held against a list of all that was ever taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/slots.h"
#include "rnd.h"

static void
slots__who_comes_with_an_old_generation_finds_nothing(void **state)
{
	struct slots s = { 0 };
	int a, b;
	uint32_t slot = slot_take(&s, &a), was = slot_generation(&s, slot);

	(void)state;
	assert_ptr_equal(slot_get(&s, slot, was), &a);
	assert_null(slot_get(&s, slot, was + 1));
	assert_null(slot_get(&s, slot + 1, was));
	assert_null(slot_get(&s, UINT32_MAX, UINT32_MAX));
	assert_null(slot_get(&s, 0, 0)); /* an address of zeros is nobody's */
	slot_free(&s, slot);
	assert_null(slot_get(&s, slot, was));
	assert_null(slot_at(&s, slot));
	assert_int_equal(slot_take(&s, &b), slot); /* used again, and told apart */
	assert_null(slot_get(&s, slot, was));
	assert_ptr_equal(slot_get(&s, slot, slot_generation(&s, slot)), &b);
	slots_fini(&s);
	assert_null(slot_get(&s, slot, was));
}

static void
slots__a_generation_is_never_0(void **state)
{
	struct slots s = { 0 };
	int a;
	uint32_t slot = slot_take(&s, &a);

	(void)state;
	s.v[slot].generation = UINT32_MAX; /* after four thousand million uses */
	slot_free(&s, slot);
	assert_null(slot_get(&s, slot, 0));
	assert_int_equal(slot_take(&s, &a), slot);
	assert_int_equal(slot_generation(&s, slot), 1);
	slots_fini(&s);
}

#define STEPS   200000
#define AT_ONCE 300u

struct taken {
	uint32_t slot, generation;
	bool freed;
};

static void
slots__agree_with_a_list_of_all_that_was_taken(void **state)
{
	struct taken *all = xcalloc(STEPS, sizeof *all);
	struct slots s = { 0 };
	struct rnd r = { .state = 7 };
	uint32_t n = 0, nheld = 0;

	(void)state;
	for (int step = 0; step < STEPS; step++) {
		struct taken *t = n > 0 ? &all[rnd_below(&r, n)] : NULL;

		if (t == NULL || (nheld < AT_ONCE && rnd_below(&r, 2) == 0)) {
			t = &all[n++];
			t->slot = slot_take(&s, t);
			t->generation = slot_generation(&s, t->slot);
			nheld++;
		} else if (!t->freed) {
			slot_free(&s, t->slot);
			t->freed = true;
			nheld--;
		}
		t = &all[rnd_below(&r, n)];
		assert_ptr_equal(slot_get(&s, t->slot, t->generation), t->freed ? NULL : t);
	}
	assert_true(s.n <= AT_ONCE); /* as many as were taken at once */
	for (uint32_t i = 0; i < s.n; i++)
		nheld -= slot_at(&s, i) != NULL;
	assert_int_equal(nheld, 0);
	slots_fini(&s);
	free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots__who_comes_with_an_old_generation_finds_nothing),
		cmocka_unit_test(slots__a_generation_is_never_0),
		cmocka_unit_test(slots__agree_with_a_list_of_all_that_was_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
