/* Rows as CSV. */
#include "cli/priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct doc
parsed(const char *json, struct buf *doc)
{
	struct doc_parser *ps = doc_parser_new(1 << 20);
	struct doc_parsed info;

	doc->n = 0;
	assert_int_equal(doc_parse(ps, str_of(json), doc, &info, NULL), ERR_OK);
	doc_parser_free(ps);
	return doc_of(buf_view(doc));
}

static void
assert_csv(const char *json, bool visible, const char *want)
{
	struct csv_columns c = { 0 };
	struct buf doc = { 0 }, out = { 0 };
	struct doc rows = parsed(json, &doc);

	assert_true(csv_columns_add(&c, rows));
	csv_head(&out, &c, visible);
	csv_rows(&out, &c, rows, visible);
	buf_putc(&out, '\0');
	assert_string_equal(out.p, want);
	csv_columns_fini(&c);
	buf_fini(&doc);
	buf_fini(&out);
}

static void
csv__fields_are_quoted_as_rfc_4180_says(void **state)
{
	(void)state;
	assert_csv("[{\"a\":\"plain\",\"b\":\"x,y\",\"c\":\"say \\\"hi\\\"\",\"d\":\"two\\nlines\","
	           "\"e\":\"\\r\",\"f\":\" \xc3\xa4 \"}]",
	    false,
	    "a,b,c,d,e,f\r\nplain,\"x,y\",\"say \"\"hi\"\"\",\"two\nlines\",\"\r\", \xc3\xa4 \r\n");
	assert_csv("[{\"a,b\":1,\"\":2}]", false, "\"a,b\",\"\"\r\n1,2\r\n");
}

static void
csv__values_keep_their_kinds_apart(void **state)
{
	(void)state;
	assert_csv("[{\"i\":-7,\"d\":1.0,\"t\":true,\"n\":null,\"s\":\"\",\"o\":{\"k\":[1,\"x\"]},"
	           "\"a\":[]}]",
	    false, "i,d,t,n,s,o,a\r\n-7,1.0,true,,\"\",\"{\"\"k\"\":[1,\"\"x\"\"]}\",[]\r\n");
}

static void
csv__heading_has_all_members_as_first_seen(void **state)
{
	(void)state;
	assert_csv("[{\"b\":1},{\"a\":2,\"b\":3},{},{\"c\":4,\"a\":5}]", false,
	    "b,a,c\r\n1,,\r\n3,2,\r\n,,\r\n,5,4\r\n");
	assert_csv("[{\"only\":1},{\"only\":null}]", false, "only\r\n1\r\n\"\"\r\n");
	assert_csv("[]", false, "");
	assert_csv("[{}]", false, "");
}

static void
csv__on_a_terminal_drives_nothing(void **state)
{
	(void)state;
	assert_csv("[{\"a\\u001b\":\"x\\u001b[2J\\u009b\\ny\"}]", true, "a?\r\nx?[2J??y\r\n");
}

static void
csv__rows_before_a_new_column_get_it_too(void **state)
{
	struct csv_columns c = { 0 };
	struct buf first = { 0 }, second = { 0 }, out = { 0 };
	struct doc a = parsed("[{\"x\":1}]", &first), b = parsed("[{\"y\":2}]", &second);

	(void)state;
	assert_true(csv_columns_add(&c, a) && csv_columns_add(&c, b) && csv_columns_add(&c, a));
	csv_head(&out, &c, false);
	csv_rows(&out, &c, a, false);
	csv_rows(&out, &c, b, false);
	buf_putc(&out, '\0');
	assert_string_equal(out.p, "x,y\r\n1,\r\n,2\r\n");
	csv_columns_fini(&c);
	buf_fini(&first);
	buf_fini(&second);
	buf_fini(&out);
}

static void
csv__columns_have_a_limit(void **state)
{
	struct csv_columns c = { 0 };
	struct buf text = { 0 }, doc = { 0 };

	(void)state;
	buf_cstr(&text, "[{");
	for (int i = 0; i < CSV_COLUMNS_MAX; i++)
		buf_printf(&text, "%s\"k%d\":%d", i > 0 ? "," : "", i, i);
	buf_cstr(&text, "}]");
	buf_putc(&text, '\0');
	assert_true(csv_columns_add(&c, parsed(text.p, &doc)));
	assert_int_equal(c.n, CSV_COLUMNS_MAX);
	assert_true(csv_columns_add(&c, parsed("[{\"k7\":0}]", &doc)));
	assert_false(csv_columns_add(&c, parsed("[{\"more\":0}]", &doc)));
	csv_columns_fini(&c);
	buf_fini(&text);
	buf_fini(&doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv__fields_are_quoted_as_rfc_4180_says),
		cmocka_unit_test(csv__values_keep_their_kinds_apart),
		cmocka_unit_test(csv__heading_has_all_members_as_first_seen),
		cmocka_unit_test(csv__on_a_terminal_drives_nothing),
		cmocka_unit_test(csv__rows_before_a_new_column_get_it_too),
		cmocka_unit_test(csv__columns_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
