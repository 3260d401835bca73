/* Options by a table: what is taken, what is refused and how that is said, and how the table is printed. */
#include "option/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { NAME, WORKERS, TTL, ROOM, FLOOR, LEVEL, STRICT, QUICK, ROWS };

static const char *const levels[] = { "error", "warn", "info", NULL };

static const struct option_spec rows[ROWS] = {
	[NAME] = { .name = "name",
	    .value = "NAME",
	    .kind = OPTION_TEXT,
	    .many = true,
	    .help = "a name" },
	[WORKERS] = { .name = "workers",
	    .value = "N",
	    .kind = OPTION_NUMBER,
	    .most = 64,
	    .fallback = "3",
	    .help = "threads" },
	[TTL] = { .name = "ttl",
	    .value = "SECONDS",
	    .kind = OPTION_NUMBER,
	    .least = 900,
	    .most = 1000,
	    .zero = "any",
	    .fallback = "0",
	    .help = "a time" },
	[ROOM] = { .name = "room",
	    .value = "SIZE",
	    .kind = OPTION_SIZE,
	    .least = 64u << 20,
	    .otherwise = "a quarter",
	    .help = "memory" },
	[FLOOR] = { .name = "floor", .value = "SIZE", .kind = OPTION_SIZE, .help = "space" },
	[LEVEL] = { .name = "level",
	    .value = "LEVEL",
	    .kind = OPTION_WORD,
	    .words = levels,
	    .help = "lines" },
	[STRICT] = { .name = "strict",
	    .value = "yes|no",
	    .kind = OPTION_YES_NO,
	    .fallback = "no",
	    .help = "refuse much" },
	[QUICK] = { .name = "quick", .kind = OPTION_SWITCH, .help = "be quick" },
};
static const struct option_table table = { rows, ROWS, (1u << ROWS) - 1 };

#define WORDS(...) ((char *[]){ __VA_ARGS__, NULL })

static struct option_given given;
static char why[256];

/* What is said of the first words; "" when they are taken. */
static const char *
read_words(const struct option_table *t, char **words)
{
	int n = 0;
	enum err e;

	while (words[n] != NULL)
		n++;
	why[0] = '\0';
	e = option_read(t, "serve", n, words, &given, why, sizeof(why));
	assert_int_equal(e == ERR_OK, why[0] == '\0');
	return why;
}

static void
option__a_value_stands_behind_an_equals_sign_or_in_the_next_word(void **state)
{
	(void)state;
	assert_string_equal(read_words(&table, WORDS("--name", "a=b", "c")), "");
	assert_int_equal(given.row, NAME);
	assert_string_equal(given.text, "a=b");
	assert_int_equal(given.used, 2);
	assert_string_equal(read_words(&table, WORDS("--name=a=b", "c")), "");
	assert_string_equal(given.text, "a=b");
	assert_int_equal(given.used, 1);
	assert_string_equal(read_words(&table, WORDS("--name", "--strict")), "");
	assert_string_equal(given.text, "--strict");
	assert_string_equal(read_words(&table, WORDS("--name")), "--name needs a value");
	assert_string_equal(read_words(&table, WORDS("--name=")), "");
	assert_string_equal(given.text, "");
}

static void
option__switches_and_yes_or_no_leave_the_next_word_alone(void **state)
{
	(void)state;
	assert_string_equal(read_words(&table, WORDS("--quick", "no")), "");
	assert_int_equal(given.used, 1);
	assert_string_equal(read_words(&table, WORDS("--quick=yes")), "--quick takes no value");
	assert_string_equal(read_words(&table, WORDS("--strict", "no")), "");
	assert_int_equal(given.used, 1);
	assert_int_equal(given.number, 1);
	assert_string_equal(read_words(&table, WORDS("--strict=no")), "");
	assert_int_equal(given.number, 0);
	assert_string_equal(read_words(&table, WORDS("--strict=No")), "--strict No: not yes or no");
}

static void
option__only_rows_that_are_taken_are_known(void **state)
{
	struct option_table few = { rows, ROWS, 1u << TTL };

	(void)state;
	assert_string_equal(read_words(&few, WORDS("--ttl", "0")), "");
	assert_string_equal(read_words(&few, WORDS("--quick")),
	    "serve has no option '--quick' (see twinhub serve --help)");
	assert_string_equal(read_words(&table, WORDS("--=1")),
	    "serve has no option '--' (see twinhub serve --help)");
	assert_string_equal(read_words(&table, WORDS("--ttls=1")),
	    "serve has no option '--ttls'; did you mean --ttl? (see twinhub serve --help)");
	assert_string_equal(read_words(&few, WORDS("--tt")),
	    "serve has no option '--tt'; did you mean --ttl? (see twinhub serve --help)");
}

static void
option__what_is_out_of_range_is_told_option_value_and_range(void **state)
{
	static const struct {
		char *word;
		const char *said;
		uint64_t number;
	} cases[] = {
		{ "--workers=0", "", 0 },
		{ "--workers=64", "", 64 },
		{ "--workers=65", "--workers 65: not a number from 0 to 64", 0 },
		{ "--workers=-1", "--workers -1: not a number from 0 to 64", 0 },
		{ "--workers=1K", "--workers 1K: not a number from 0 to 64", 0 },
		{ "--workers=", "--workers : not a number from 0 to 64", 0 },
		{ "--workers=18446744073709551616",
		    "--workers 18446744073709551616: not a number from 0 to 64", 0 },
		{ "--ttl=0", "", 0 },
		{ "--ttl=899", "--ttl 899: not a number from 900 to 1000, or 0", 0 },
		{ "--ttl=900", "", 900 },
		{ "--room=64M", "", 64u << 20 },
		{ "--room=64m", "", 64u << 20 },
		{ "--room=65535K", "--room 65535K: not a size like 512M, at least 64M", 0 },
		{ "--room=0", "--room 0: not a size like 512M, at least 64M", 0 },
		{ "--floor=0", "", 0 },
		{ "--floor=17", "", 17 },
		{ "--floor=15T", "", UINT64_C(15) << 40 },
		{ "--floor=16777215T", "", UINT64_C(16777215) << 40 },
		{ "--floor=16777216T", "--floor 16777216T: not a size like 512M", 0 },
		{ "--floor=M", "--floor M: not a size like 512M", 0 },
		{ "--level=error", "", 0 },
		{ "--level=info", "", 2 },
		{ "--level=Info", "", 2 },
		{ "--level=inf", "--level inf: not error, warn or info", 0 },
		{ "--level=", "--level : not error, warn or info", 0 },
		{ "--level=warn info", "--level warn info: not error, warn or info", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(read_words(&table, WORDS(cases[i].word)), cases[i].said);
		if (cases[i].said[0] == '\0')
			assert_int_equal(given.number, cases[i].number);
	}
}

static void
help__says_range_default_and_what_zero_means(void **state)
{
	struct buf out = { 0 };

	(void)state;
	option_help(&out, &table, 20);
	buf_putc(&out, '\0');
	assert_string_equal(out.p,
	    "  --name NAME       a name (repeat for more)\n"
	    "  --workers N       threads (0 to 64; default 3)\n"
	    "  --ttl SECONDS     a time (900 to 1000; default 0: any)\n"
	    "  --room SIZE       memory (at least 64M; default a quarter)\n"
	    "  --floor SIZE      space\n"
	    "  --level LEVEL     lines (error, warn or info)\n"
	    "  --strict[=yes|no] refuse much (default no)\n"
	    "  --quick           be quick\n");
	buf_fini(&out);
}

static void
help__lines_end_at_a_hundred_columns(void **state)
{
	struct buf text = { 0 }, out = { 0 };
	struct str rest, line;

	(void)state;
	for (int i = 0; i < 60; i++)
		buf_cstr(&text, i == 0 ? "word" : " four");
	option_entry(&out, STR("--name"), buf_view(&text), 34);
	rest = buf_view(&out);
	while (rest.n > 0) {
		str_cut(rest, '\n', &line, &rest);
		assert_true(line.n <= OPTION_COLUMNS && (rest.n == 0 || line.n > 90));
		assert_true(line.n == 0 || line.p[line.n - 1] != ' ');
	}
	out.n = 0;
	option_entry(
	    &out, STR("--long-name"), STR("text"), 12); /* no blank would be between them */
	assert_true(str_eq(buf_view(&out), STR("  --long-name\n            text\n")));
	buf_fini(&text);
	buf_fini(&out);
}

static void
template__has_each_setting_as_it_holds(void **state)
{
	struct option_table few = { rows, ROWS, 1u << NAME | 1u << TTL | 1u << STRICT };
	struct buf out = { 0 };

	(void)state;
	option_template(&out, &few);
	buf_putc(&out, '\0');
	assert_string_equal(out.p,
	    "\n# a name (repeat for more)\n# name NAME\n"
	    "\n# a time (900 to 1000; default 0: any)\n# ttl 0\n"
	    "\n# refuse much (default no)\n# strict no\n");
	buf_fini(&out);
}

static void
word__O93_counts_what_fingers_do(void **state)
{
	static const struct {
		const char *word, *other;
		unsigned n;
	} cases[] = {
		{ "device", "device", 0 },
		{ "devcie", "device", 1 },  /* swapped */
		{ "devices", "device", 1 }, /* added */
		{ "dvice", "device", 1 },   /* left out */
		{ "levice", "device", 1 },  /* another */
		{ "conf", "configuration", 1 },
		{ "max_devics", "max-devices", 1 },
		{ "LIST", "list", 0 },
		{ "qurey", "query", 1 },
		{ "deivse", "device", 2 },
		{ "lsit", "quit", WORD_FAR },
		{ "co", "configuration", WORD_FAR },
		{ "lst", "list", 1 },
		{ "query", "device", WORD_FAR },
		{ "", "", WORD_FAR },
		{ "", "a", WORD_FAR },
		{ "a", "", WORD_FAR },
		{ "a", "b", WORD_FAR },
		{ "0123456789012345678901234567890123456789012345678",
		    "0123456789012345678901234567890123456789012345678", WORD_FAR },
		{ "012345678901234567890123456789012345678901234567",
		    "012345678901234567890123456789012345678901234567", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
		    word_distance(str_of(cases[i].word), str_of(cases[i].other)), cases[i].n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(word__O93_counts_what_fingers_do),
		cmocka_unit_test(option__a_value_stands_behind_an_equals_sign_or_in_the_next_word),
		cmocka_unit_test(option__switches_and_yes_or_no_leave_the_next_word_alone),
		cmocka_unit_test(option__only_rows_that_are_taken_are_known),
		cmocka_unit_test(option__what_is_out_of_range_is_told_option_value_and_range),
		cmocka_unit_test(help__says_range_default_and_what_zero_means),
		cmocka_unit_test(help__lines_end_at_a_hundred_columns),
		cmocka_unit_test(template__has_each_setting_as_it_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
