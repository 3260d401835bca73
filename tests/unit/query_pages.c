/* Page tokens and page sizes. */
#include <setjmp.h>
#include <stdarg.h>

#include "query/query.h"

#include <cmocka.h>

static const struct query_bookmark bookmark = { .shard = 63,
	.row = UINT64_MAX - 1,
	.delivered = 12345678901,
	.generation = 0x8000000000000001 };

static void
query_token__Q06_comes_back_as_it_went(void **state)
{
	static const struct query_bookmark bookmarks[] = { { 0 },
		{ UINT32_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX }, { 1, 2, 3, 4 } };
	struct query_bookmark got;
	struct buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bookmarks) / sizeof(bookmarks[0]); i++) {
		b.n = 0;
		buf_cstr(&b, "before");
		query_token_write(&b, 77 + i, &bookmarks[i]);
		assert_int_equal(b.n, 6 + QUERY_TOKEN_LEN);
		for (size_t k = 6; k < b.n; k++)
			assert_non_null(strchr(
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
			    b.p[k]));
		assert_int_equal(
		    query_token_read(str_sub(buf_view(&b), 6), 77 + i, &got, NULL), ERR_OK);
		assert_int_equal(got.shard, bookmarks[i].shard);
		assert_true(got.row == bookmarks[i].row &&
		    got.delivered == bookmarks[i].delivered &&
		    got.generation == bookmarks[i].generation);
	}
	buf_fini(&b);
}

static void
query_token__Q04_other_query_is_refused(void **state)
{
	struct query_bookmark got = { 0 };
	struct fault f;
	struct buf b = { 0 };

	(void)state;
	query_token_write(&b, 1, &bookmark);
	assert_int_equal(query_token_read(buf_view(&b), 2, &got, &f), ERR_ARG);
	assert_int_equal(f.code, F_ArgumentInvalid);
	assert_non_null(strstr(f.text, "another query"));
	assert_int_equal(got.row, 0);
	buf_fini(&b);
}

/* Every single-character change, every truncation, and other alphabets. */
static void
query_token__Q04_damaged_is_refused(void **state)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=. \xC3";
	struct query_bookmark got;
	struct fault f;
	struct buf b = { 0 };

	(void)state;
	query_token_write(&b, 1, &bookmark);
	for (size_t i = 0; i < b.n; i++) {
		char was = b.p[i];
		for (size_t k = 0; k < sizeof(alphabet); k++) {
			if (alphabet[k] == was)
				continue;
			b.p[i] = alphabet[k];
			assert_int_equal(query_token_read(buf_view(&b), 1, &got, &f), ERR_ARG);
			assert_int_equal(f.code, F_ArgumentInvalid);
		}
		b.p[i] = was;
		assert_int_equal(query_token_read((struct str){ b.p, i }, 1, &got, &f), ERR_ARG);
	}
	assert_int_equal(query_token_read(buf_view(&b), 1, &got, &f), ERR_OK);
	buf_putc(&b, 'A');
	assert_int_equal(query_token_read(buf_view(&b), 1, &got, &f), ERR_ARG);
	assert_int_equal(query_token_read(STR_NONE, 1, &got, &f), ERR_ARG);
	buf_fini(&b);
}

static void
query_token__hash_is_of_the_text(void **state)
{
	struct query *a, *b, *c;

	(void)state;
	assert_int_equal(query_parse(STR("SELECT * FROM devices"), NULL, &a, NULL), ERR_OK);
	assert_int_equal(query_parse(STR("SELECT * FROM devices"), NULL, &b, NULL), ERR_OK);
	assert_int_equal(query_parse(STR("select * FROM devices"), NULL, &c, NULL), ERR_OK);
	assert_true(query_facts(a)->hash == query_facts(b)->hash);
	assert_true(query_facts(a)->hash != query_facts(c)->hash);
	query_free(a);
	query_free(b);
	query_free(c);
	query_free(NULL);
}

static void
query_page_size__Q05(void **state)
{
	static const struct {
		const char *header;
		uint32_t size; /* 0: 400 */
	} all[] = { { "1", 1 }, { "50", 50 }, { "100", 100 }, { "0100", 100 }, { "1000", 1000 },
		{ "1001", 1000 }, { "10000", 1000 }, { "18446744073709551616", 1000 },
		{ "999999999999999999999999999999", 1000 }, { "0", 0 }, { "000", 0 }, { "-1", 0 },
		{ "+1", 0 }, { "", 0 }, { " ", 0 }, { "ten", 0 }, { "1.5", 0 }, { "1e3", 0 },
		{ "10 ", 0 }, { "99999999999999999999x", 0 } };
	uint32_t size;
	struct fault f;

	(void)state;
	assert_int_equal(query_page_size(STR_NONE, &size, NULL), ERR_OK);
	assert_int_equal(size, 100);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		enum err e = query_page_size(str_of(all[i].header), &size, &f);
		assert_int_equal(e, all[i].size ? ERR_OK : ERR_ARG);
		if (e)
			assert_int_equal(f.code, F_ArgumentInvalid);
		else
			assert_int_equal(size, all[i].size);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query_token__Q06_comes_back_as_it_went),
		cmocka_unit_test(query_token__Q04_other_query_is_refused),
		cmocka_unit_test(query_token__Q04_damaged_is_refused),
		cmocka_unit_test(query_token__hash_is_of_the_text),
		cmocka_unit_test(query_page_size__Q05),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
