/* Views: labels, values, bars. */
#include "cli/priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void
expect_bar(uint64_t part, uint64_t whole, const char *filled, const char *numbers)
{
	struct view v = { 0 };
	struct buf want = { 0 };

	view_bar(&v, STR("x"), part, whole);
	buf_cstr(&want, "x           [");
	buf_cstr(&want, filled);
	for (size_t i = strlen(filled); i < 30; i++)
		buf_putc(&want, '-');
	buf_printf(&want, "]  %s\n", numbers);
	buf_putc(&want, '\0');
	buf_putc(&v.text, '\0');
	assert_string_equal(v.text.p, want.p);
	buf_fini(&want);
	view_fini(&v);
}

static void
bar__is_full_only_at_the_whole_and_empty_only_at_nothing(void **state)
{
	(void)state;
	expect_bar(0, 0, "", "0 of 0");
	expect_bar(5, 0, "", "5 of 0");
	expect_bar(0, 40, "", " 0 of 40    0.0 %");
	expect_bar(1, 1000000, "#", "      1 of 1000000    0.0 %");
	expect_bar(20, 40, "###############", "20 of 40   50.0 %");
	expect_bar(999999, 1000000, "#############################", " 999999 of 1000000   99.9 %");
	expect_bar(UINT64_MAX - 1, UINT64_MAX, "#############################",
	    "18446744073709551614 of 18446744073709551615   99.9 %");
	expect_bar(40, 40, "##############################", "40 of 40  100.0 %");
	expect_bar(100, 40, "##############################", "100 of 40  250.0 %");
}

static void
label__is_cut_and_drives_no_terminal(void **state)
{
	struct view v = { 0 };
	char wide[64];

	(void)state;
	memset(wide, 'w', sizeof(wide));
	view_widen(&v, (struct str){ wide, sizeof(wide) });
	assert_int_equal(v.width, VIEW_LABEL_MOST);
	view_text(&v, "\x1b[2J", STR("\r\n"));
	view_bar(&v, (struct str){ wide, sizeof(wide) }, 0, 0);
	buf_putc(&v.text, '\0');
	assert_string_equal(v.text.p,
	    "?[2J                              ??\n"
	    "wwwwwwwwwwwwwwwwwwwwwwwwwwwww...  [------------------------------]  0 of 0\n");
	view_fini(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bar__is_full_only_at_the_whole_and_empty_only_at_nothing),
		cmocka_unit_test(label__is_cut_and_drives_no_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
