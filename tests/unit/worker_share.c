/* worker/share: who may have how much, and whose turn it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "worker/share.h"

static const uint64_t limits[SHARE_KINDS] = { 12, 60, 1200 };

/* Seats that it gets until its share is used up. */
static unsigned
take_all(struct shares *s, struct share *sh, enum share_kind kind)
{
	unsigned n = 0;

	for (; share_fits(s, sh, kind, 1); n++)
		share_use(sh, kind, 1);
	return n;
}

static void
shares__leave_room_for_who_comes_next(void **state)
{
	struct share *a1, *a2, *b, *c;
	struct shares s;

	(void)state;
	shares_init(&s, limits);
	a1 = share_get(&s, STR("a"), STR("1"));
	a2 = share_get(&s, STR("a"), STR("2"));
	b = share_get(&s, STR("b"), STR("1"));
	c = share_get(&s, STR("c"), STR("1"));
	assert_int_equal(take_all(&s, a1, SHARE_COSTLY), 15); /* half of half */
	assert_int_equal(take_all(&s, a2, SHARE_COSTLY), 10); /* a third of half */
	assert_int_equal(take_all(&s, b, SHARE_COSTLY), 10);  /* half of a third */
	assert_int_equal(take_all(&s, c, SHARE_COSTLY), 7);
	assert_int_equal(take_all(&s, a1, SHARE_CHEAP), 3); /* another kind, as if nothing were */
	share_use(a1, SHARE_CHEAP, -3);
	share_use(a1, SHARE_COSTLY, -15);
	share_use(a2, SHARE_COSTLY, -10);
	share_use(b, SHARE_COSTLY, -10);
	share_use(c, SHARE_COSTLY, -7);
	share_drop(&s, a1);
	share_drop(&s, a2);
	share_drop(&s, b);
	share_drop(&s, c);
	shares_fini(&s);
}

/* However many come, each gets something while there is anything. */
static void
shares__give_the_first_seat_to_everybody(void **state)
{
	struct share *sh[12];
	struct shares s;

	(void)state;
	shares_init(&s, limits);
	for (unsigned i = 0; i < 12; i++) {
		char name[2] = { (char)('a' + i), 0 };

		sh[i] = share_get(&s, str_of(name), STR_NONE);
		assert_true(share_fits(&s, sh[i], SHARE_CHEAP, 1));
		share_use(sh[i], SHARE_CHEAP, 1);
	}
	assert_false(share_fits(&s, sh[0], SHARE_CHEAP, 1));
	for (unsigned i = 0; i < 12; i++) {
		share_use(sh[i], SHARE_CHEAP, -1);
		share_drop(&s, sh[i]);
	}
	shares_fini(&s);
}

static void
shares__are_one_for_a_name_and_go_with_the_last_holder(void **state)
{
	struct share *sh[100], *again, *other;
	struct shares s;

	(void)state;
	shares_init(&s, limits);
	for (unsigned i = 0; i < 100; i++) {
		char name[12];

		snprintf(name, sizeof(name), "%u", i);
		sh[i] = share_get(&s, STR("p"), str_of(name));
		assert_ptr_equal(sh[i]->parent, sh[0]->parent);
	}
	again = share_get(&s, STR("p"), STR("42"));
	assert_ptr_equal(again, sh[42]);
	other = share_get(&s, STR("p4"), STR("2"));
	assert_ptr_not_equal(other->parent, sh[42]->parent);
	share_drop(&s, other);
	share_drop(&s, again);
	for (unsigned i = 0; i < 100; i++)
		share_drop(&s, sh[i]);
	shares_fini(&s);
}

/* By the time of workers that each has had; who was away is not made up to. */
static void
shares__are_served_by_what_they_have_had(void **state)
{
	struct share *a1, *a2, *b;
	struct shares s;

	(void)state;
	shares_init(&s, limits);
	a1 = share_get(&s, STR("a"), STR("1"));
	a2 = share_get(&s, STR("a"), STR("2"));
	b = share_get(&s, STR("b"), STR("1"));
	share_use(a1, SHARE_COSTLY, 1);
	share_use(a2, SHARE_COSTLY, 1);
	share_served(a1, SHARE_COSTLY, 100);
	assert_true(share_before(a2, a1, SHARE_COSTLY));
	assert_false(share_before(a1, a2, SHARE_COSTLY));
	assert_false(share_before(a1, a2, SHARE_CHEAP));
	share_served(a2, SHARE_COSTLY, 300);
	assert_true(share_before(a1, a2, SHARE_COSTLY));
	share_served(a1, SHARE_COSTLY, 300);
	share_use(b, SHARE_COSTLY, 1); /* a has had 700, and began its last turn at 400 */
	assert_true(share_before(b, a1, SHARE_COSTLY));
	share_served(b, SHARE_COSTLY, 301);
	assert_false(share_before(b, a1, SHARE_COSTLY));
	share_use(a1, SHARE_COSTLY, -1);
	share_use(a2, SHARE_COSTLY, -1);
	share_use(b, SHARE_COSTLY, -1);
	share_drop(&s, a1);
	share_drop(&s, a2);
	share_drop(&s, b);
	shares_fini(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares__leave_room_for_who_comes_next),
		cmocka_unit_test(shares__give_the_first_seat_to_everybody),
		cmocka_unit_test(shares__are_one_for_a_name_and_go_with_the_last_holder),
		cmocka_unit_test(shares__are_served_by_what_they_have_had),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
