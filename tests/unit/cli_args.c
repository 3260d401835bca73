/* The command line. */
#include "cli/priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct command command = { .name = "twin update",
	.operands = "ID [JSON]",
	.least = 1,
	.most = 2,
	.options = OPT(DATA) | OPT(JSON) | OPT(ETAG) | OPT(TTL) | OPT(STATE) };

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
args__numbers_and_words_are_judged_and_have_defaults(void **state)
{
	struct args a;

	(void)state;
	assert_true(parse(WORDS("a"), &a));
	assert_null(a.option[OPT_TTL]);
	assert_int_equal(a.number[OPT_TTL], 3600);
	assert_string_equal(option_word(&a, OPT_STATE), "notApplied");
	assert_true(parse(WORDS("a", "--ttl", "9", "--state=NOTREACHED"), &a));
	assert_int_equal(a.number[OPT_TTL], 9);
	assert_string_equal(a.option[OPT_STATE], "notReached");
	assert_string_equal(option_word(&a, OPT_STATE), "notReached");
	assert_false(parse(WORDS("a", "--ttl", "-1"), &a));
	assert_false(parse(WORDS("a", "--ttl", "0"), &a));
	assert_false(parse(WORDS("a", "--ttl", "3162240001"), &a));
	assert_false(parse(WORDS("a", "--state", "reach"), &a));
}

/* Under one name a command has the row that it takes, and its range. */
static void
args__a_name_means_what_the_command_takes(void **state)
{
	static const struct command method = { .name = "method invoke",
		.options = OPT(METHOD_TIMEOUT) };
	char why[WHY_MAX];
	struct args a;

	(void)state;
	assert_true(args_parse(&method, 1, WORDS("--timeout=300"), &a, why, sizeof(why)));
	assert_int_equal(a.number[OPT_METHOD_TIMEOUT], 300);
	assert_int_equal(a.number[OPT_TIMEOUT], 60);
	assert_false(args_parse(&method, 1, WORDS("--timeout=301"), &a, why, sizeof(why)));
	assert_string_equal(why, "--timeout 301: not a number from 5 to 300");
}

/* All rows at once: what one has wrong shows here and not at a user's. */
static void
args__each_row_is_whole(void **state)
{
	static const struct command all = { .name = "all",
		.options = OPTION_BIT(OPTION_COUNT) - 1 };
	struct option_table t = command_options(&all);
	char why[WHY_MAX];
	uint64_t number;

	(void)state;
	assert_int_equal(t.n, OPTION_COUNT);
	for (unsigned i = 0; i < t.n; i++) {
		const struct option_spec *spec = &t.v[i];

		assert_true(spec->name != NULL && spec->help != NULL);
		assert_int_equal(spec->value == NULL, spec->kind == OPTION_SWITCH);
		assert_int_equal(spec->words != NULL, spec->kind == OPTION_WORD);
		assert_true(spec->kind != OPTION_NUMBER || spec->least < spec->most);
		if (spec->fallback != NULL)
			assert_int_equal(
			    option_judge(spec, spec->fallback, &number, why, sizeof(why)), ERR_OK);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(args__options_stand_anywhere),
		cmocka_unit_test(args__after_two_dashes_all_are_operands),
		cmocka_unit_test(args__what_is_wrong_is_refused),
		cmocka_unit_test(args__numbers_and_words_are_judged_and_have_defaults),
		cmocka_unit_test(args__a_name_means_what_the_command_takes),
		cmocka_unit_test(args__each_row_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
