/* What is put into structures: finding the structure again from its member. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(container_of__finds_the_structure_from_any_member),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
