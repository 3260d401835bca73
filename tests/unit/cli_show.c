/* Values as people read them. */
#include "cli/priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct doc
parsed(const char *json, struct buf *doc)
{
	struct doc_parser *ps = doc_parser_new(65536);
	struct doc_parsed info;

	doc->n = 0;
	assert_int_equal(doc_parse(ps, str_of(json), doc, &info, NULL), ERR_OK);
	doc_parser_free(ps);
	return doc_of(buf_view(doc));
}

static void
cell__is_one_line_that_drives_no_terminal(void **state)
{
	static const struct {
		const char *json, *cell;
		unsigned most;
	} cases[] = {
		{ "\"plain\"", "plain", 80 },
		{ "\"\"", "", 80 },
		{ "null", "-", 80 },
		{ "{\"a\":null,\"b\":null}", "-", 80 },
		{ "{}", "-", 80 },
		{ "{\"a\":1.0,\"b\":[]}", "{\"a\":1.0,\"b\":[]}", 80 },
		{ "[\"x\",\"y\"]", "x, y", 80 },
		{ "[]", "[]", 80 },
		{ "[1,\"y\"]", "[1,\"y\"]", 80 },
		{ "false", "false", 80 },
		{ "\"a\\u001b[31mb\\nc\\u007f\\u009bd\"", "a?[31mb?c??d", 80 },
		{ "\"a\xe2\x80\xae\xe2\x80\xa8\xc2\xad\xf3\xa0\x81\x81z\"", "a????z",
		    80 }, /* U+202E, 2028, AD, E0041 */
		{ "\"\xc3\xa4\xc3\xb6\xc3\xbc\"", "\xc3\xa4\xc3\xb6\xc3\xbc", 3 },
		{ "\"\xc3\xa4\xc3\xb6\xc3\xbc!\"", "\xc3\xa4\xc3\xb6\xc3\xbc...", 3 },
	};
	struct buf doc = { 0 }, cell = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cell.n = 0;
		cell_text(&cell, parsed(cases[i].json, &doc), cases[i].most);
		buf_putc(&cell, '\0');
		assert_string_equal(cell.p, cases[i].cell);
	}
	cell.n = 0;
	cell_text(&cell, DOC_NONE, 80); /* a member that a row does not have */
	assert_true(str_eq(buf_view(&cell), STR("-")));
	buf_fini(&doc);
	buf_fini(&cell);
}

static void
cell__O94_is_as_wide_as_a_terminal_draws_it(void **state)
{
	static const struct {
		const char *text, *cut; /* at four columns */
		unsigned width;
	} cases[] = {
		{ "abcd", "abcd", 4 },
		{ "\u8a08\u753b", "\u8a08\u753b", 4 },
		{ "\u8a08\u753b!", "\u8a08\u753b...", 5 },
		{ "a\u8a08\u753b", "a\u8a08...", 5 }, /* half a character does not go */
		{ "\U0001f600x", "\U0001f600x", 3 },
		{ "e\u0301e\u0301e\u0301e\u0301", "e\u0301e\u0301e\u0301e\u0301", 4 },
		{ "e\u0301\u0302\u0303\u0304", "e\u0301\u0302??", 3 }, /* a tower */
		{ "\u200b\u202ea", "??a", 3 },
		{ "\xff\x80z", "??z", 3 },
		{ "", "", 0 },
	};
	struct buf cell = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cell.n = 0;
		put_visible(&cell, str_of(cases[i].text), 4);
		buf_putc(&cell, '\0');
		assert_string_equal(cell.p, cases[i].cut);
		assert_int_equal(text_width(str_of(cases[i].text)), cases[i].width);
	}
	cell.n = 0;
	put_padded(&cell, STR("\u8a08"), 4);
	assert_true(str_eq(buf_view(&cell), STR("\u8a08  ")));
	buf_fini(&cell);
}

static void
json__is_indented_without_metadata(void **state)
{
	struct buf doc = { 0 }, text = { 0 };

	(void)state;
	json_indent(&text,
	    parsed("{\"$metadata\":{\"x\":1},\"a\":{\"$metadata\":1,\"b\":[1,{}]},\"c\":[]}", &doc),
	    1);
	buf_putc(&text, '\0');
	assert_string_equal(text.p,
	    "{\n    \"a\": {\n      \"b\": [\n        1,\n        {}\n"
	    "      ]\n    },\n    \"c\": []\n  }");
	buf_fini(&doc);
	buf_fini(&text);
}

static void
if_match__is_the_etag_in_quotes_or_any(void **state)
{
	static const struct {
		const char *etag, *header;
	} cases[] = { { "", "*" }, { "AAAA", "\"AAAA\"" }, { "\"AAAA\"", "\"AAAA\"" },
		{ "\"", "\"\"\"" } };
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		b.n = 0;
		if_match_of(&b, str_of(cases[i].etag));
		assert_string_equal(b.p, cases[i].header);
	}
	buf_fini(&b);
}

static void
path__has_the_id_percent_encoded(void **state)
{
	struct buf b = { 0 };

	(void)state;
	path_of(&b, "/devices/", STR("a#b%c?d"));
	assert_string_equal(b.p, "/devices/a%23b%25c%3Fd");
	b.n = 0;
	subject_path(&b, "/twins/", (struct subject){ STR("a#"), STR_NONE }, "/methods");
	assert_string_equal(b.p, "/twins/a%23/methods");
	b.n = 0;
	subject_path(&b, "/twins/", (struct subject){ STR("a"), STR("$m") }, "");
	assert_string_equal(b.p, "/twins/a/modules/%24m");
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cell__is_one_line_that_drives_no_terminal),
		cmocka_unit_test(cell__O94_is_as_wide_as_a_terminal_draws_it),
		cmocka_unit_test(json__is_indented_without_metadata),
		cmocka_unit_test(if_match__is_the_etag_in_quotes_or_any),
		cmocka_unit_test(path__has_the_id_percent_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
