/*
 * Random rows and random conditions: the plan's evaluator against a naive one that works on plain trees and knows
 * nothing of docs, sections or plans; the law of the three truths; and text that is no query at all.
 */
#include "query_model.h"

/* ---- the tests ---- */

static bool
matches(struct fleet *fl, size_t row, const char *text)
{
	struct fault f;
	struct query *q;
	bool m;

	if (query_parse_condition(str_of(text), &q, &f))
		fail_msg("%s: %s", text, f.text);
	m = query_match(q, &fleet_ops, &fl->row[row], &fl->scratch);
	query_free(q);
	return m;
}

#define ROWS    24
#define QUERIES 2000

static void
random_fleet(struct fleet *fl, struct val **row, struct rnd *r)
{
	struct buf json = { 0 };

	pool_used = 0;
	fleet_init(fl, NULL, 0);
	for (int i = 0; i < ROWS; i++) {
		row[i] = random_row(r);
		json.n = 0;
		val_json(&json, row[i]);
		fleet_add(fl, buf_view(&json));
	}
	buf_fini(&json);
}

static void
query_match__agrees_with_naive_evaluator(void **state)
{
	struct rnd r = { 20260101 };
	struct val *row[ROWS];
	struct buf text = { 0 };
	unsigned kept = 0, dropped = 0;
	struct fleet fl;
	size_t rows_used;

	(void)state;
	random_fleet(&fl, row, &r);
	rows_used = pool_used;
	for (int i = 0; i < QUERIES; i++) {
		pool_used = rows_used;
		tree_used = 0;
		text.n = 0;
		struct tree *t = random_tree(&r, 1 + (int)rnd_below(&r, 4));
		tree_text(&text, t);
		buf_putc(&text, '\0');
		for (size_t k = 0; k < ROWS; k++) {
			struct val want = eval(t, row[k]);
			bool keep = want.kind == BOOL && want.num != 0;
			if (matches(&fl, k, text.p) != keep)
				fail_msg("query %d, row %zu: %s should %s", i, k, text.p,
				    keep ? "match" : "not match");
			kept += keep;
			dropped += !keep;
		}
	}
	assert_true(kept > QUERIES && dropped > QUERIES); /* the conditions are worth something */
	buf_fini(&text);
	fleet_fini(&fl);
}

/* Every row is kept by p, by NOT p, or by neither, and then p IS neither true nor false: IS_BOOL says which. */
static void
query_match__three_truths_partition_the_rows(void **state)
{
	struct rnd r = { 42 };
	struct val *row[ROWS];
	struct buf p = { 0 }, text = { 0 };
	unsigned seen[3] = { 0 };
	struct fleet fl;
	size_t rows_used;

	(void)state;
	random_fleet(&fl, row, &r);
	rows_used = pool_used;
	for (int i = 0; i < 500; i++) {
		pool_used = rows_used;
		tree_used = 0;
		p.n = 0;
		tree_text(&p, random_tree(&r, 3));
		buf_putc(&p, '\0');
		for (size_t k = 0; k < ROWS; k++) {
			bool in[3];
			static const char *const of[] = { "%s", "NOT (%s)", "NOT IS_BOOL(%s)" };
			for (int j = 0; j < 3; j++) {
				text.n = 0;
				buf_printf(&text, of[j], p.p);
				buf_putc(&text, '\0');
				in[j] = matches(&fl, k, text.p);
				seen[j] += in[j];
			}
			if (in[0] + in[1] + in[2] != 1)
				fail_msg("%s: true %d, false %d, undefined %d", p.p, in[0], in[1],
				    in[2]);
		}
	}
	assert_true(seen[0] > 100 && seen[1] > 100 && seen[2] > 100);
	buf_fini(&p);
	buf_fini(&text);
	fleet_fini(&fl);
}

/* ---- text that is no query ---- */

static void
try_text(struct fleet *fl, const struct buf *text)
{
	static const struct query_options extensions = { .extensions = true };
	struct fault f = { .text = "" };
	struct query *q;

	if (query_parse(buf_view(text), &extensions, &q, &f) == ERR_OK)
		fleet_run_plan(fl, q);
	else
		assert_true(f.code != F_NONE && f.text[0] != '\0');
	if (query_parse(buf_view(text), NULL, &q, &f) == ERR_OK)
		fleet_run_plan(fl, q);
	else
		assert_true(f.code != F_NONE && f.text[0] != '\0');
	if (query_parse_condition(buf_view(text), &q, &f) == ERR_OK)
		fleet_run_plan(fl, q);
	else
		assert_true(f.code != F_NONE && f.text[0] != '\0');
}

static void
query_parse__survives_token_soup(void **state)
{
	static const char *const tokens[] = { "SELECT", "TOP", "*", "FROM", "devices",
		"devices.modules", ".", ",", "WHERE", "GROUP", "BY", "AS", "AND", "OR", "NOT", "IN",
		"NIN", "[", "]", "(", ")", "[[x y]]", "tags.a", "deviceId", "properties.reported.b",
		"'s'", "\"t\"", "1", "2.5e3", "0x1F", "=", "!=", "<", ">=", "+", "-", "/", "%",
		"COUNT()", "SUM(", "IS_DEFINED(", "LOWER(", "null", "undefined", "true", "/* c */",
		";", "'", "[[", "/*", "é", "#", "ORDER", "\\", "ORDER BY", "DESC", "DISTINCT",
		"HAVING", "LIKE", "'a\\%_'", "BETWEEN", "COUNT(DISTINCT" };
	struct rnd r = { 7 };
	struct buf text = { 0 };
	struct val *row[ROWS];
	struct fleet fl;

	(void)state;
	random_fleet(&fl, row, &r);
	for (int i = 0; i < 20000; i++) {
		text.n = 0;
		if (rnd_below(&r, 2))
			buf_cstr(
			    &text, rnd_below(&r, 2) ? "SELECT * FROM devices WHERE " : "SELECT ");
		for (uint32_t n = rnd_below(&r, 24); n > 0; n--)
			buf_printf(&text, "%s%s", PICK(&r, tokens), rnd_below(&r, 4) ? " " : "");
		try_text(&fl, &text);
	}
	buf_fini(&text);
	fleet_fini(&fl);
}

static void
query_parse__survives_damaged_queries(void **state)
{
	static const char *const good[] = {
		"SELECT TOP 5 tags.site AS s, AVG(properties.reported.temp) t FROM devices WHERE "
		"tags.a NOT IN [1, -2.5, 'x'] "
		"AND (NOT is_defined(tags.[[my-key]]) OR ARRAY_CONTAINS([1, [2]], deviceId)) GROUP "
		"BY tags.site AS q;",
		"SELECT * FROM devices WHERE tags.n + 0x1F * 2 % 3 >= -1e3 AND tags.t = 'it\\'s "
		"\\u00e9' /* é */",
		"SELECT DISTINCT TOP 3 tags.a, tags.b AS x FROM devices WHERE tags.s NOT LIKE "
		"'%a\\%_' "
		"AND tags.n BETWEEN 1 AND 2 + 3 ORDER BY x DESC, tags.a ASC",
		"SELECT tags.a, COUNT(DISTINCT tags.b) AS n FROM devices GROUP BY tags.a HAVING n "
		"> 0 "
		"AND MAX(tags.n) < 9 ORDER BY COUNT() DESC",
	};
	struct rnd r = { 99 };
	struct buf text = { 0 };
	struct val *row[ROWS];
	struct fleet fl;

	(void)state;
	random_fleet(&fl, row, &r);
	for (int i = 0; i < 10000; i++) {
		text.n = 0;
		buf_cstr(&text, good[i % 4]);
		for (uint32_t n = 1 + rnd_below(&r, 4); n > 0; n--)
			text.p[rnd_below(&r, (uint32_t)text.n)] =
			    (char)(rnd_below(&r, 4) ? 32 + rnd_below(&r, 95) : rnd_below(&r, 256));
		if (rnd_below(&r, 4) == 0)
			text.n = rnd_below(&r, (uint32_t)text.n + 1);
		try_text(&fl, &text);
	}
	buf_fini(&text);
	fleet_fini(&fl);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query_match__agrees_with_naive_evaluator),
		cmocka_unit_test(query_match__three_truths_partition_the_rows),
		cmocka_unit_test(query_parse__survives_token_soup),
		cmocka_unit_test(query_parse__survives_damaged_queries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
