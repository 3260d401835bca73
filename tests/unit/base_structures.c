/* What is put into structures: finding the structure again from its member, counting who holds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/refs.h"

struct note {
	int text;
};

struct letter {
	char stamp;
	struct {
		int before;
		struct note second;
	} inner;
	struct note first;
};

static void
container_of__finds_the_structure_from_any_member(void **state)
{
	struct letter l[2] = { 0 };
	const struct note *read_only = &l[1].first;
	struct note *next = &l[0].first;

	(void)state;
	assert_ptr_equal(container_of(&l[1].first, struct letter, first), &l[1]);
	assert_ptr_equal(container_of(&l[1].inner.second, struct letter, inner.second), &l[1]);
	assert_ptr_equal(container_of(&l[1].stamp, struct letter, stamp), &l[1]);
	assert_ptr_equal(container_of(read_only, struct letter, first), &l[1]);
	assert_ptr_equal(container_of(next++, struct letter, first), &l[0]);
	assert_ptr_equal(next, &l[0].first + 1); /* p is looked at once */
#ifdef WRONG_TYPE                                /* CMakeLists.txt: this must not compile */
	assert_ptr_equal(container_of(&l[1].stamp, struct letter, first), &l[1]);
#endif
}

#define HOLDERS 4
#define ROUNDS  20000

static struct {
	struct refs refs;
	unsigned written[HOLDERS]; /* by each holder, before it drops */
} shared;
static unsigned nlast, sum; /* written by who drops the last one: nothing else orders that */

static void
see_all(void)
{
	nlast++;
	sum = 0;
	for (int i = 0; i < HOLDERS; i++)
		sum += shared.written[i];
}

static void *
hold(void *ctx)
{
	unsigned *own = ctx;

	for (int i = 0; i < ROUNDS; i++) {
		refs_take(&shared.refs);
		++*own;
		if (refs_drop(&shared.refs)) /* never: its own is there yet */
			see_all();
	}
	if (refs_drop(&shared.refs))
		see_all();
	return NULL;
}

/* ThreadSanitizer says whether the order is right as well. */
static void
refs__the_last_to_drop_is_one_and_sees_what_all_have_done(void **state)
{
	pthread_t holders[HOLDERS];

	(void)state;
	refs_init(&shared.refs);
	for (int i = 0; i < HOLDERS; i++) {
		refs_take(&shared.refs);
		assert_int_equal(pthread_create(&holders[i], NULL, hold, &shared.written[i]), 0);
	}
	if (refs_drop(&shared.refs))
		see_all();
	for (int i = 0; i < HOLDERS; i++)
		pthread_join(holders[i], NULL);
	assert_int_equal(nlast, 1);
	assert_int_equal(sum, HOLDERS * ROUNDS);
}

static void
refs__are_one_in_the_beginning(void **state)
{
	struct refs r;

	(void)state;
	refs_init(&r);
	refs_take(&r);
	assert_false(refs_drop(&r));
	assert_true(refs_drop(&r));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(container_of__finds_the_structure_from_any_member),
		cmocka_unit_test(refs__are_one_in_the_beginning),
		cmocka_unit_test(refs__the_last_to_drop_is_one_and_sees_what_all_have_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
