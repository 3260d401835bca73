/* The command line. */
#include "cli/priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct command command = { .name = "twin update",
	.operands = "ID [JSON]",
	.least = 1,
	.most = 2,
	.options = OPT(DATA) | OPT(JSON) | OPT(ETAG) | OPT(TTL) };

#define WORDS(...) ((char *[]){ __VA_ARGS__, NULL })

static bool
parse(char **words, struct args *a)
{
	char why[WHY_MAX] = "";
	int n = 0;
	bool ok;

	while (words[n] != NULL)
		n++;
	ok = args_parse(&command, n, words, a, why, sizeof(why));
	assert_int_equal(ok, why[0] == '\0');
	return ok;
}

static void
args__options_stand_anywhere(void **state)
{
	struct args a;

	(void)state;
	assert_true(parse(WORDS("--data", "dir", "id", "--etag=a=b", "{}", "--json"), &a));
	assert_string_equal(a.operand[0], "id");
	assert_string_equal(a.operand[1], "{}");
	assert_string_equal(a.option[OPT_DATA], "dir");
	assert_string_equal(a.option[OPT_ETAG], "a=b");
	assert_string_equal(a.option[OPT_JSON], "");
	assert_null(a.option[OPT_TABLE]);
}

static void
args__after_two_dashes_all_are_operands(void **state)
{
	struct args a;

	(void)state;
	assert_true(parse(WORDS("--", "--data", "--"), &a));
	assert_string_equal(a.operand[0], "--data");
	assert_string_equal(a.operand[1], "--");
	assert_true(parse(WORDS("-x"), &a)); /* ids may begin with a dash */
	assert_string_equal(a.operand[0], "-x");
}

static void
args__what_is_wrong_is_refused(void **state)
{
	struct args a;

	(void)state;
	assert_false(parse(WORDS("--json"), &a));                       /* no operand */
	assert_false(parse(WORDS("a", "b", "c"), &a));                  /* too many */
	assert_false(parse(WORDS("a", "--nothing"), &a));               /* unknown */
	assert_false(parse(WORDS("a", "--table"), &a));                 /* not of this command */
	assert_false(parse(WORDS("a", "--data"), &a));                  /* no value */
	assert_false(parse(WORDS("a", "--json=yes"), &a));              /* takes none */
	assert_false(parse(WORDS("a", "--data", "x", "--data=y"), &a)); /* twice */
}

static void
args__numbers_have_bounds(void **state)
{
	struct args a;
	uint64_t n = 7;

	(void)state;
	assert_true(parse(WORDS("a"), &a));
	assert_int_equal(option_number(&a, OPT_TTL, 1, 9, &n), EXIT_DONE);
	assert_int_equal(n, 7); /* not given: the default stays */
	assert_true(parse(WORDS("a", "--ttl", "9"), &a));
	assert_int_equal(option_number(&a, OPT_TTL, 1, 9, &n), EXIT_DONE);
	assert_int_equal(n, 9);
	assert_int_equal(option_number(&a, OPT_TTL, 1, 8, &n), EXIT_USAGE);
	assert_int_equal(option_number(&a, OPT_TTL, 10, 11, &n), EXIT_USAGE);
	assert_true(parse(WORDS("a", "--ttl", "-1"), &a));
	assert_int_equal(option_number(&a, OPT_TTL, 1, 9, &n), EXIT_USAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(args__options_stand_anywhere),
		cmocka_unit_test(args__after_two_dashes_all_are_operands),
		cmocka_unit_test(args__what_is_wrong_is_refused),
		cmocka_unit_test(args__numbers_have_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
