/* Every operation has a name of its own in metrics. */
#include "hub/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
op_name__O120_each_operation_has_one(void **state)
{
	(void)state;
	for (unsigned i = 0; i < OP_KINDS; i++) {
		assert_non_null(op_name(i));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(op_name(i), op_name(j));
	}
	assert_null(op_name(OP_KINDS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(op_name__O120_each_operation_has_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
