/* what the service lacks. Each construct by example, refused in strict mode, and against a naive model. */
#include "query_model.h"

static const char *const rows[] = {
	"{'deviceId':'d1','tags':{'s':'alpha','n':3,'k':'x','order':1,'like':2,'v':true}}",
	"{'deviceId':'d2','tags':{'s':'Beta','n':1,'k':'y','v':'2'}}",
	"{'deviceId':'d3','tags':{'s':'100%','n':2,'k':'x','v':7}}",
	"{'deviceId':'d4','tags':{'s':'é_b','k':'z','v':[1]}}",
	"{'deviceId':'d5','tags':{'s':'back\\\\slash','n':2,'k':'x','v':{'a':1}}}",
};

static struct fleet fl;

static int
setup(void **state)
{
	(void)state;
	fleet_init(&fl, rows, sizeof(rows) / sizeof(rows[0]));
	fl.extensions = true;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fleet_fini(&fl);
	return 0;
}

static void
where(const char *condition, const char *want)
{
	char text[512];

	snprintf(text, sizeof(text), "SELECT * FROM devices WHERE %s", condition);
	fleet_gives(&fl, text, want);
}

/* ---- conditions ---- */

static void
query_like__Q88_patterns(void **state)
{
	(void)state;
	where("tags.s LIKE 'al%'", "d1");
	where("tags.s LIKE '%a'", "d1 d2");
	where("tags.s LIKE '%'", "d1 d2 d3 d4 d5");
	where("tags.s LIKE ''", "");
	where("tags.s LIKE 'a____'", "d1");
	where("tags.s LIKE '__b'", "d4"); /* a character is one, whatever it takes */
	where("tags.s LIKE 'beta'", "");
	where("tags.s ILIKE 'bETa'", "d2");
	where("tags.s ILIKE 'É%'", "d4");
	where("tags.s LIKE '%\\%'", "d3");
	where("tags.s LIKE '%\\\\%'", "d3");
	where("tags.s LIKE '%\\_%'", "d4");
	where("tags.s LIKE '%\\\\\\\\%'", "d5");
	where("tags.s LIKE 'back\\\\'", "");
	where("tags.s NOT LIKE '%a%'", "d3 d4");
	where("NOT tags.s LIKE '%a%'", "d3 d4");
	where("CONCAT(tags.s, 'z') LIKE '%az'", "d1 d2");
	where("tags.n LIKE '%'", ""); /* of what is no string, undefined */
	where("tags.nothing NOT LIKE 'a'", "");
	fleet_refuses(&fl, "SELECT * FROM devices WHERE tags.s LIKE tags.k", "a pattern in quotes");
	fleet_refuses(&fl, "SELECT * FROM devices WHERE tags.s LIKE", "a pattern in quotes");
	fleet_refuses(&fl, "SELECT * FROM devices WHERE tags.s = '\\%'", "backslash");
	fleet_refuses(&fl, "SELECT * FROM devices WHERE tags.s NOT 'x'", "IN, LIKE");
}

static void
query_like__Q88_patterns_are_bounded(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf_cstr(&b, "SELECT * FROM devices WHERE tags.s LIKE '");
	for (unsigned i = 0; i < QUERY_PATTERN_MAX; i++)
		buf_cstr(&b, "é");
	buf_cstr(&b, "'");
	buf_putc(&b, '\0');
	fleet_gives(&fl, b.p, "");
	b.n -= 2;
	buf_cstr(&b, "%'");
	buf_putc(&b, '\0');
	fleet_refuses(&fl, b.p, "256 characters in a pattern");
	buf_fini(&b);
}

static void
query_between__Q88_both_ends_belong_to_it(void **state)
{
	(void)state;
	where("tags.n BETWEEN 2 AND 3", "d1 d3 d5");
	where("tags.n BETWEEN 1 AND 1 AND tags.k = 'y'", "d2");
	where("tags.n NOT BETWEEN 2 AND 3", "d2");
	where("tags.n * 2 BETWEEN 1 + 1 AND 2 OR deviceId = 'd4'", "d2 d4");
	where("tags.s BETWEEN 'a' AND 'b'", "d1");
	where("2 BETWEEN tags.n AND 5", "d2 d3 d5");
	where("tags.n BETWEEN 3 AND 1", "");
	where("tags.n BETWEEN 1 AND 'x'", "");
	fleet_refuses(&fl, "SELECT * FROM devices WHERE tags.n BETWEEN 1", "AND");
	fleet_refuses(&fl, "SELECT * FROM devices WHERE tags.n BETWEEN 1 OR 2", "AND");
}

static void
query_functions__Q88_other_names_and_contains(void **state)
{
	(void)state;
	where("STARTS_WITH(tags.s, 'al')", "d1");
	where("ends_with(tags.s, 'ta')", "d2");
	where("CONTAINS(tags.s, 'a')", "d1 d2 d5");
	where("CONTAINS(tags.s, '')", "d1 d2 d3 d4 d5");
	where("NOT CONTAINS(tags.n, '1')", "");
}

static void
query_parse__Q88_words_stay_plain_keys(void **state)
{
	(void)state;
	where("tags.order = 1 AND tags.like = 2", "d1");
	where("tags.between BETWEEN 1 AND 2", "");
	fleet_gives(&fl, "SELECT tags.order, tags.like FROM devices WHERE deviceId = 'd1'",
	    "{'order':1,'like':2}");
	fleet_gives(&fl, "SELECT distinct FROM devices WHERE deviceId = 'd1'", "{}");
	fleet_gives(&fl, "SELECT tags.order AS order FROM devices WHERE order = 1", "");
	fleet_gives(&fl, "SELECT DISTINCT tags.k FROM devices WHERE deviceId='d1'", "{'k':'x'}");
	fleet_gives(&fl,
	    "SELECT deviceId FROM devices WHERE IS_DEFINED(tags.order) ORDER BY tags.order",
	    "{'deviceId':'d1'}");
}

static void
query_parse__Q88_strict_mode_refuses_each(void **state)
{
	static const char *const refused[] = { "SELECT * FROM devices WHERE tags.s LIKE 'a'",
		"SELECT * FROM devices WHERE tags.s NOT ILIKE 'a'",
		"SELECT * FROM devices WHERE tags.n BETWEEN 1 AND 2",
		"SELECT * FROM devices WHERE CONTAINS(tags.s, 'a')",
		"SELECT * FROM devices WHERE STARTS_WITH(tags.s, 'a')",
		"SELECT * FROM devices WHERE ENDS_WITH(tags.s, 'a')",
		"SELECT * FROM devices ORDER BY deviceId", "SELECT DISTINCT tags.k FROM devices",
		"SELECT DISTINCT * FROM devices", "SELECT TOP 1 DISTINCT tags.k FROM devices",
		"SELECT COUNT(DISTINCT tags.k) FROM devices",
		"SELECT tags.k FROM devices GROUP BY tags.k HAVING COUNT() > 1",
		"SELECT tags.k FROM devices GROUP BY tags.k ORDER BY tags.k DESC" };

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		fl.extensions = true;
		assert_null(strstr(fleet_run(&fl, refused[i]), "ArgumentInvalid"));
		fl.extensions = false;
		fleet_refuses(&fl, refused[i], "SQL query parse failed");
	}
	fleet_where(&fl, "tags.s LIKE 'a'"); /* conditions of jobs and configurations: always */
	assert_non_null(strstr(fl.out.p, "ArgumentInvalid"));
}

/* ---- groups ---- */

static void
query_groups__Q88_count_distinct(void **state)
{
	(void)state;
	fleet_gives(&fl, "SELECT COUNT(DISTINCT tags.n) AS n, COUNT() AS c FROM devices",
	    "{'n':3,'c':5}"); /* undefined is no value */
	fleet_gives(&fl, "SELECT count(distinct tags.n) FROM devices WHERE false", "{'$1':0}");
	fleet_gives(&fl, "SELECT tags.k, COUNT(DISTINCT tags.n) AS n FROM devices GROUP BY tags.k",
	    "{'k':'x','n':2} {'k':'y','n':1} {'k':'z','n':0}");
	fleet_refuses(&fl, "SELECT COUNT(DISTINCT) FROM devices", "a path");
	fleet_refuses(&fl, "SELECT COUNT(tags.n) FROM devices", "SQL query");
	fleet_refuses(&fl, "SELECT SUM(DISTINCT tags.n) FROM devices", "SQL query");
}

static void
query_groups__Q88_having(void **state)
{
	(void)state;
	fleet_gives(
	    &fl, "SELECT tags.k FROM devices GROUP BY tags.k HAVING COUNT() > 1", "{'k':'x'}");
	fleet_gives(&fl,
	    "SELECT tags.k AS kind, COUNT() AS c FROM devices GROUP BY tags.k HAVING c = 1 AND "
	    "kind LIKE 'y'",
	    "{'kind':'y','c':1}");
	fleet_gives(&fl,
	    "SELECT COUNT() FROM devices GROUP BY tags.k AS q HAVING q = 'x' AND devices.tags.k = "
	    "q",
	    "{'$1':3}");
	fleet_gives(&fl,
	    "SELECT tags.k FROM devices GROUP BY tags.k HAVING NOT IS_DEFINED(MAX) OR COUNT() = 9",
	    "ArgumentInvalid: SQL query parse failed. Line 1:66: neither an aggregate, nor an "
	    "alias, "
	    "nor a path that is in GROUP BY");
	fleet_gives(&fl, "SELECT tags.k FROM devices GROUP BY tags.k HAVING IS_NUMBER(AVG(tags.n))",
	    "{'k':'x'} {'k':'y'}");
	fleet_gives(&fl,
	    "SELECT tags.k FROM devices GROUP BY tags.k HAVING COUNT(DISTINCT tags.n) BETWEEN 1 "
	    "AND 2",
	    "{'k':'x'} {'k':'y'}");
	fleet_gives(&fl, "SELECT COUNT() FROM devices HAVING COUNT() > 9", "");
	fleet_refuses(&fl, "SELECT * FROM devices HAVING COUNT() > 1", "HAVING without");
	fleet_refuses(
	    &fl, "SELECT tags.k FROM devices GROUP BY tags.k HAVING tags.n > 1", "neither");
	fleet_refuses(&fl,
	    "SELECT tags.v FROM devices GROUP BY tags.v HAVING ARRAY_CONTAINS(tags.v, 1)",
	    "not into groups");
	fleet_refuses(&fl, "SELECT * FROM devices WHERE COUNT() > 1", "no function");
}

static void
query_groups__Q88_distinct(void **state)
{
	(void)state;
	fleet_gives(&fl, "SELECT DISTINCT tags.k FROM devices", "{'k':'x'} {'k':'y'} {'k':'z'}");
	fleet_gives(&fl, "SELECT DISTINCT TOP 2 tags.k FROM devices", "{'k':'x'} {'k':'y'}");
	fleet_gives(
	    &fl, "SELECT TOP 1 DISTINCT tags.k AS q FROM devices ORDER BY q DESC", "{'q':'z'}");
	fleet_gives(&fl, "SELECT DISTINCT tags.n AS k, tags.k FROM devices",
	    "{'k':'x'} {'k':'y'} {'k':'z'}");
	fleet_gives(&fl, "SELECT DISTINCT tags.nothing FROM devices", "{}");
	fleet_gives(&fl, "SELECT DISTINCT * FROM devices", "d1 d2 d3 d4 d5");
	fleet_refuses(&fl, "SELECT DISTINCT COUNT() FROM devices", "DISTINCT beside");
	fleet_refuses(
	    &fl, "SELECT DISTINCT tags.k FROM devices GROUP BY tags.k", "DISTINCT beside");
	fleet_refuses(&fl, "SELECT DISTINCT tags.k FROM devices ORDER BY tags.n", "neither");
	fleet_refuses(&fl, "SELECT DISTINCT * FROM devices.jobs", "SELECT * only");
}

/* ---- order ---- */

static void
query_order__Q88_rows(void **state)
{
	(void)state;
	fleet_gives(&fl, "SELECT deviceId FROM devices ORDER BY tags.n",
	    "{'deviceId':'d4'} {'deviceId':'d2'} {'deviceId':'d3'} {'deviceId':'d5'} "
	    "{'deviceId':'d1'}");
	fleet_gives(&fl, "SELECT TOP 2 deviceId AS i FROM devices ORDER BY tags.n DESC, i DESC",
	    "{'i':'d1'} {'i':'d5'}");
	fleet_gives(&fl, "SELECT deviceId FROM devices ORDER BY tags.v ASC, tags.v DESC",
	    "{'deviceId':'d1'} {'deviceId':'d3'} {'deviceId':'d2'} {'deviceId':'d4'} "
	    "{'deviceId':'d5'}");
	fleet_gives(&fl, "SELECT TOP 1 deviceId FROM devices WHERE tags.k = 'x' ORDER BY tags.s;",
	    "{'deviceId':'d3'}");
	fleet_refuses(&fl, "SELECT * FROM devices ORDER deviceId", "BY");
	fleet_refuses(&fl, "SELECT * FROM devices ORDER BY 1", "a path");
	fleet_refuses(&fl, "SELECT * FROM devices ORDER BY COUNT()", "unexpected '('");
	fleet_refuses(&fl, "SELECT * FROM devices ORDER BY deviceId ASC DESC", "unexpected 'DESC'");
	fleet_refuses(&fl, "SELECT * FROM devices.jobs ORDER BY jobId", "SELECT * only");
}

static void
query_order__Q88_groups(void **state)
{
	(void)state;
	fleet_gives(&fl,
	    "SELECT tags.k, COUNT() AS c FROM devices GROUP BY tags.k ORDER BY c, tags.k DESC",
	    "{'k':'z','c':1} {'k':'y','c':1} {'k':'x','c':3}");
	fleet_gives(&fl,
	    "SELECT TOP 1 tags.k FROM devices GROUP BY tags.k ORDER BY SUM(tags.n) DESC",
	    "{'k':'x'}");
	fleet_refuses(&fl, "SELECT tags.k FROM devices GROUP BY tags.k ORDER BY tags.n", "neither");
}

static void
query_order__memory_is_bounded(void **state)
{
	static const struct query_options options = { .extensions = true };
	struct query_order *o;
	struct query *q;
	struct fault f;

	(void)state;
	assert_int_equal(
	    query_parse(STR("SELECT deviceId FROM devices ORDER BY tags.k"), &options, &q, NULL),
	    ERR_OK);
	o = query_order_new(q, 5, 100);
	for (size_t i = 0; i < 2; i++) {
		assert_true(query_order_wants(o, &fleet_ops, &fl.row[i], &fl.scratch));
		assert_int_equal(query_order_take(o, 0, &fleet_ops, &fl.row[i], &fl.scratch, &f),
		    i == 0 ? ERR_OK : ERR_SIZE);
	}
	assert_int_equal(f.code, F_QueryTooLarge);
	query_order_free(o);
	o = query_order_new(q, 1, 100); /* one row fits, whichever it is */
	for (size_t i = 5; i-- > 0;)
		if (query_order_wants(o, &fleet_ops, &fl.row[i], &fl.scratch))
			assert_int_equal(
			    query_order_take(o, 0, &fleet_ops, &fl.row[i], &fl.scratch, &f),
			    ERR_OK);
	assert_int_equal(query_order_count(o), 5);
	query_order_free(o);
	query_free(q);
}

static void
query_groups__distinct_values_are_bounded(void **state)
{
	static const struct query_options options = { .extensions = true };
	struct query_groups *g;
	struct query *q;
	struct fault f;
	enum err e = ERR_OK;

	(void)state;
	assert_int_equal(
	    query_parse(STR("SELECT COUNT(DISTINCT deviceId) FROM devices"), &options, &q, NULL),
	    ERR_OK);
	g = query_groups_new(q, 250);
	for (size_t i = 0; i < 5 && e == ERR_OK; i++)
		e = query_groups_add(g, &fleet_ops, &fl.row[i], &fl.scratch, &f);
	assert_int_equal(e, ERR_SIZE);
	assert_int_equal(f.code, F_QueryTooLarge);
	query_groups_free(g);
	query_free(q);
}

/* ---- against naive models ---- */

/* Exponential, and obviously right. */
static bool
naive_like(const char *s, const char *p)
{
	const char *end = s + strlen(s);

	if (*p == '\0')
		return *s == '\0';
	if (*p == '%') {
		if (naive_like(s, p + 1))
			return true;
		return s < end && (utf8_next(&s, end), naive_like(s, p));
	}
	if (*p == '_')
		return s < end && (utf8_next(&s, end), naive_like(s, p + 1));
	if (*p == '\\' && p[1] != '\0')
		p++;
	return *s == *p && naive_like(s + 1, p + 1);
}

static void
random_text(struct rnd *r, struct buf *out, bool pattern)
{
	static const char *const parts[] = { "a", "b", "é", "😀", "%", "_", "a", "ab" };

	for (uint32_t n = rnd_below(r, 8); n > 0; n--) {
		const char *part = PICK(r, parts);
		if (pattern && rnd_below(r, 8) == 0)
			buf_cstr(out, "\\\\");
		buf_cstr(out, part);
	}
}

static void
query_like__agrees_with_a_naive_matcher(void **state)
{
	struct rnd r = { 20260302 };
	unsigned yes = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct buf s = { 0 }, p = { 0 }, text = { 0 }, plain = { 0 };
		bool want;
		random_text(&r, &s, false);
		random_text(&r, &p, true);
		buf_putc(&s, '\0');
		buf_putc(&p, '\0');
		for (size_t k = 0; k < p.n; k++) /* as the lexer reads it */
			buf_putc(&plain, p.p[p.p[k] == '\\' ? ++k : k]);
		buf_printf(&text, "SELECT * FROM devices WHERE deviceId = 'd1' AND '%s' LIKE '%s'",
		    s.p, p.p);
		buf_putc(&text, '\0');
		want = naive_like(s.p, plain.p);
		yes += want;
		fleet_gives(&fl, text.p, want ? "d1" : "");
		buf_fini(&s);
		buf_fini(&p);
		buf_fini(&text);
		buf_fini(&plain);
	}
	assert_true(yes > 1000);
}

static bool
keeps(struct fleet *f, size_t row, const char *fmt, const char *a, const char *b, const char *c)
{
	static const struct query_options options = { .extensions = true };
	struct buf text = { 0 };
	struct query *q;
	struct fault fault;
	bool m;

	buf_cstr(&text, "SELECT * FROM devices WHERE ");
	buf_printf(&text, fmt, a, b, c);
	if (query_parse(buf_view(&text), &options, &q, &fault) != ERR_OK)
		fail_msg(STR_FMT ": %s", STR_ARG(buf_view(&text)), fault.text);
	m = query_match(q, &fleet_ops, &f->row[row], &f->scratch);
	query_free(q);
	buf_fini(&text);
	return m;
}

static void
random_fleet(struct fleet *f, struct val **row, size_t n, struct rnd *r)
{
	struct buf json = { 0 };

	pool_used = 0;
	fleet_init(f, NULL, 0);
	f->extensions = true;
	for (size_t i = 0; i < n; i++) {
		row[i] = random_row(r);
		json.n = 0;
		val_json(&json, row[i]);
		fleet_add(f, buf_view(&json));
	}
	buf_fini(&json);
}

#define ROWS 40

static void
query_between__is_two_comparisons(void **state)
{
	struct rnd r = { 77 };
	struct val *row[ROWS];
	struct buf t[3] = { { 0 } };
	unsigned kept[2] = { 0 };
	struct fleet f;
	size_t used;

	(void)state;
	random_fleet(&f, row, ROWS, &r);
	used = pool_used;
	for (int i = 0; i < 1000; i++) {
		pool_used = used;
		tree_used = 0;
		for (int k = 0; k < 3; k++) {
			t[k].n = 0;
			if (k > 0 && rnd_below(&r, 3) > 0)
				buf_printf(&t[k], "%g", PICK(&r, numbers) * 2 * (k - 1));
			else
				tree_text(&t[k], random_tree(&r, (int)rnd_below(&r, 2)));
			buf_putc(&t[k], '\0');
		}
		for (size_t k = 0; k < 8; k++) {
			bool a = keeps(&f, k, "%s BETWEEN %s AND %s", t[0].p, t[1].p, t[2].p),
			     b = keeps(&f, k, "%s NOT BETWEEN %s AND %s", t[0].p, t[1].p, t[2].p),
			     c = keeps(
			         &f, k, "%1$s >= %2$s AND %1$s <= %3$s", t[0].p, t[1].p, t[2].p),
			     d = keeps(&f, k, "NOT (%1$s >= %2$s AND %1$s <= %3$s)", t[0].p, t[1].p,
			         t[2].p);
			if (a != c || b != d)
				fail_msg("%s BETWEEN %s AND %s", t[0].p, t[1].p, t[2].p);
			kept[0] += a;
			kept[1] += b;
		}
	}
	assert_true(kept[0] > 50 && kept[1] > 50);
	for (int k = 0; k < 3; k++)
		buf_fini(&t[k]);
	fleet_fini(&f);
}

/* undefined < null < boolean < number < string < array < object; inside, element by element. */
static int
naive_order(const struct val *a, const struct val *b)
{
	int c = 0;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == UNDEF || a->kind == NUL)
		return 0;
	if (a->kind == BOOL)
		return (a->num > b->num) - (a->num < b->num);
	if (a->kind < ARRAY)
		return order(a, b);
	bool object = a->kind == OBJECT;
	for (a = a->first, b = b->first; a != NULL && b != NULL; a = a->next, b = b->next) {
		if (object && (c = strcmp(a->name, b->name)) != 0)
			return c;
		if ((c = naive_order(a, b)) != 0)
			return c;
	}
	return (a != NULL) - (b != NULL);
}

static struct {
	struct tree path[3];
	bool down[3];
	unsigned n;
	struct val **row;
} by;

static int
naive_rows(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	for (unsigned i = 0; i < by.n; i++) {
		struct val v = lookup(&by.path[i], by.row[x]), w = lookup(&by.path[i], by.row[y]);
		int c = naive_order(&v, &w);
		if (c != 0)
			return by.down[i] ? -c : c;
	}
	return x < y ? -1 : 1;
}

/* Rows are told apart by an id that the test gives them. */
static void
query_order__agrees_with_qsort(void **state)
{
	struct rnd r = { 4711 };
	struct val *row[ROWS];
	struct buf text = { 0 }, want = { 0 };
	static char ids[ROWS][8];
	size_t at[ROWS];
	struct fleet f;

	(void)state;
	pool_used = 0;
	fleet_init(&f, NULL, 0);
	f.extensions = true;
	for (size_t i = 0; i < ROWS; i++) {
		row[i] = random_row(&r);
		snprintf(ids[i], sizeof(ids[i]), "r%zu", i);
		row[i]->first->text = ids[i];
		text.n = 0;
		val_json(&text, row[i]);
		fleet_add(&f, buf_view(&text));
	}
	by.row = row;
	for (int i = 0; i < 400; i++) {
		uint32_t top = 1 + rnd_below(&r, ROWS + 5);
		text.n = want.n = 0;
		buf_printf(
		    &text, "SELECT TOP %u deviceId AS d FROM devices ORDER BY ", (unsigned)top);
		by.n = 1 + rnd_below(&r, 3);
		for (unsigned k = 0; k < by.n; k++) {
			uint32_t word = rnd_below(&r, 3);
			random_path(&r, &by.path[k]);
			by.down[k] = word == 2;
			buf_cstr(&text, k ? ", " : "");
			path_text(&text, &by.path[k]);
			buf_cstr(&text, word == 0 ? "" : word == 1 ? " ASC" : " DESC");
		}
		buf_putc(&text, '\0');
		for (size_t k = 0; k < ROWS; k++)
			at[k] = k;
		qsort(at, ROWS, sizeof(at[0]), naive_rows);
		for (size_t k = 0; k < ROWS && k < top; k++)
			buf_printf(&want, "%s{'d':'%s'}", k ? " " : "", ids[at[k]]);
		buf_putc(&want, '\0');
		fleet_gives(&f, text.p, want.p);
	}
	buf_fini(&text);
	buf_fini(&want);
	fleet_fini(&f);
}

/* DISTINCT, COUNT(DISTINCT), HAVING: values and how often they occur, by looking at each row again and again. */
static void
query_groups__agree_with_counting_by_hand(void **state)
{
	struct rnd r = { 815 };
	struct val *row[ROWS];
	struct buf text = { 0 }, path = { 0 }, want = { 0 };
	struct fleet f;

	(void)state;
	for (int i = 0; i < 300; i++) {
		struct tree t = { 0 };
		size_t at[ROWS], rare = 0, values = 0, most = rnd_below(&r, 6);
		random_fleet(&f, row, ROWS, &r);
		random_path(&r, &t);
		path.n = text.n = want.n = 0;
		path_text(&path, &t);
		buf_putc(&path, '\0');
		by.row = row;
		by.n = 1;
		by.path[0] = t;
		by.down[0] = i % 2;
		for (size_t k = 0; k < ROWS; k++)
			at[k] = k;
		qsort(at, ROWS, sizeof(at[0]), naive_rows);
		for (size_t k = 0, n; k < ROWS; k += n) {
			struct val v = lookup(&t, row[at[k]]), w;
			for (n = 1; k + n < ROWS; n++)
				if (w = lookup(&t, row[at[k + n]]), naive_order(&v, &w) != 0)
					break;
			rare += n <= most;
			values += v.kind != UNDEF;
			buf_cstr(&want, k ? " {" : "{");
			if (v.kind != UNDEF) {
				buf_cstr(&want, "\"v\":");
				val_json(&want, &v);
			}
			buf_cstr(&want, "}");
		}
		buf_putc(&want, '\0');
		fleet_quotes(want.p, want.n, '"', '\'');
		buf_printf(&text, "SELECT DISTINCT %s AS v FROM devices ORDER BY v %s", path.p,
		    i % 2 ? "DESC" : "ASC");
		buf_putc(&text, '\0');
		if (strchr(want.p, 'e') == NULL) /* 1e+15 has more than one spelling */
			fleet_gives(&f, text.p, want.p);

		text.n = want.n = 0;
		buf_printf(&text, "SELECT COUNT(DISTINCT %s) AS n FROM devices", path.p);
		buf_putc(&text, '\0');
		buf_printf(&want, "{'n':%zu}", values);
		buf_putc(&want, '\0');
		fleet_gives(&f, text.p, want.p);

		text.n = want.n = 0;
		buf_printf(&text,
		    "SELECT COUNT(DISTINCT %1$s) AS n FROM devices GROUP BY %1$s HAVING COUNT() <= "
		    "%2$zu",
		    path.p, most);
		buf_putc(&text, '\0');
		fleet_run(&f, text.p);
		size_t rows_got = 0;
		for (const char *p = f.out.p; (p = strchr(p, '{')) != NULL; p++)
			rows_got++;
		if (rows_got != rare)
			fail_msg("%s gives %zu rows, not %zu", text.p, rows_got, rare);
		fleet_fini(&f);
	}
	buf_fini(&text);
	buf_fini(&path);
	buf_fini(&want);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(query_like__Q88_patterns),
		TEST(query_like__Q88_patterns_are_bounded),
		TEST(query_between__Q88_both_ends_belong_to_it),
		TEST(query_functions__Q88_other_names_and_contains),
		TEST(query_parse__Q88_words_stay_plain_keys),
		TEST(query_parse__Q88_strict_mode_refuses_each),
		TEST(query_groups__Q88_count_distinct),
		TEST(query_groups__Q88_having),
		TEST(query_groups__Q88_distinct),
		TEST(query_order__Q88_rows),
		TEST(query_order__Q88_groups),
		TEST(query_order__memory_is_bounded),
		TEST(query_groups__distinct_values_are_bounded),
		TEST(query_like__agrees_with_a_naive_matcher),
		cmocka_unit_test(query_between__is_two_comparisons),
		cmocka_unit_test(query_order__agrees_with_qsort),
		cmocka_unit_test(query_groups__agree_with_counting_by_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
