/*
 * Parts of a query as bytes: they come back as they were, count the same against the limit, and what is damaged, of another query
 * or made up is refused without harm. A query in any number of parts gives what it gives in one.
 */
#include "query_draw.h"
#include "query_fleet.h"

static struct query *
plan(const char *text)
{
	static const struct query_options options = { .extensions = true };
	struct query *q;
	struct fault f;

	if (query_parse(str_of(text), &options, &q, &f))
		fail_msg("%s: %s", text, f.text);
	return q;
}

/* ---- a part ---- */

/* a value of each type, twice; numbers to be summed */
static const char *const rows[] = { "{'deviceId':'d1','tags':{'v':'x','n':1}}",
	"{'deviceId':'d2','tags':{'v':'x','n':2.5}}", "{'deviceId':'d3','tags':{'v':-0.0,'n':-7}}",
	"{'deviceId':'d4','tags':{'v':0,'n':1e300}}", "{'deviceId':'d5','tags':{'v':true}}",
	"{'deviceId':'d6','tags':{'v':false,'n':'no number'}}", "{'deviceId':'d7','tags':{'n':4}}",
	"{'deviceId':'d8','tags':{'v':'\\u0000a\\uFFFD\\uE000😀','n':5}}",
	"{'deviceId':'d9','tags':{'v':{'b':1,'a':{'～':'é'}},'n':6}}",
	"{'deviceId':'d10','tags':{'v':{'a':{'～':'é'},'b':1.0},'n':6}}",
	"{'deviceId':'d11','tags':{'n':8,'v':{}}}", "{'deviceId':'d12','tags':{'v':''}}",
	"{'deviceId':'d13','reported':{'v':[1,[],{'a':[true]}]}}",
	"{'deviceId':'d14','reported':{'v':[1,[],{'a':[true]}]}}" };

static const char *const aggregates[] = { "SELECT COUNT() AS c FROM devices",
	"SELECT tags.v, COUNT() AS c FROM devices GROUP BY tags.v",
	"SELECT tags.v, SUM(tags.n) AS s, AVG(tags.n) AS a FROM devices GROUP BY tags.v",
	"SELECT MIN(tags.n) AS l, tags.v, MAX(tags.n) AS m FROM devices GROUP BY tags.v",
	"SELECT COUNT(DISTINCT tags.v) AS d, COUNT(DISTINCT tags.n) AS e FROM devices",
	"SELECT tags.v, COUNT(DISTINCT properties.reported.v) AS d FROM devices GROUP BY tags.v",
	"SELECT tags, tags.v, COUNT(DISTINCT tags.n) AS d FROM devices GROUP BY tags, tags.v",
	"SELECT DISTINCT tags.v, properties.reported.v AS r FROM devices",
	"SELECT tags.v FROM devices GROUP BY tags.v HAVING COUNT() > 1 ORDER BY SUM(tags.n) DESC",
	"SELECT COUNT() AS c FROM devices WHERE tags.nothing = 1 GROUP BY tags.v" };
#define NAGGREGATE (sizeof(aggregates) / sizeof(aggregates[0]))

static void
add_row(struct fleet *fl, struct query_groups *g, const struct query *q, size_t i)
{
	if (query_match(q, &fleet_ops, &fl->row[i], &fl->scratch))
		assert_int_equal(
		    query_groups_add(g, &fleet_ops, &fl->row[i], &fl->scratch, NULL), ERR_OK);
}

static struct query_groups *
groups_of(struct fleet *fl, const struct query *q)
{
	struct query_groups *g = query_groups_new(q, GROUP_BYTES);

	for (size_t i = 0; i < fl->n; i++)
		add_row(fl, g, q, i);
	return g;
}

static const char *const orders[] = { "SELECT deviceId FROM devices ORDER BY tags.v",
	"SELECT deviceId, tags FROM devices ORDER BY tags.n DESC, deviceId",
	"SELECT TOP 3 tags.v, properties.reported.v AS r FROM devices ORDER BY tags.n",
	"SELECT deviceId FROM devices WHERE tags.nothing = 1 ORDER BY tags.v" };
#define NORDER (sizeof(orders) / sizeof(orders[0]))

static void
order_row(struct fleet *fl, struct query_order *o, const struct query *q, size_t i, uint32_t shard)
{
	const struct fleet_row *r = &fl->row[i];

	if (query_match(q, &fleet_ops, r, &fl->scratch) &&
	    query_order_wants(o, &fleet_ops, r, &fl->scratch))
		assert_int_equal(
		    query_order_take(o, shard, &fleet_ops, r, &fl->scratch, NULL), ERR_OK);
}

#define WANT 8

static struct query_order *
order_of(struct fleet *fl, const struct query *q)
{
	struct query_order *o = query_order_new(q, WANT, GROUP_BYTES);

	for (size_t i = 0; i < fl->n; i++)
		order_row(fl, o, q, i, 3);
	return o;
}

/* Aggregates, then orders. */
static struct query *
plan_of(size_t i)
{
	return plan(i < NAGGREGATE ? aggregates[i] : orders[i - NAGGREGATE]);
}

/* The fleet's rows as a part. */
static void
part_of(struct fleet *fl, const struct query *q, struct buf *bytes)
{
	if (query_facts(q)->aggregate) {
		struct query_groups *g = groups_of(fl, q);
		query_groups_put(g, bytes);
		query_groups_free(g);
	} else {
		struct query_order *o = order_of(fl, q);
		query_order_put(o, bytes);
		query_order_free(o);
	}
}

static enum err
merge_groups(
    const struct query *q, size_t max_bytes, struct str parts, struct buf *json, struct fault *f)
{
	struct query_groups *g = query_groups_new(q, max_bytes);
	enum err e = query_groups_merge(g, &parts, f);

	if (e == ERR_OK && json != NULL) {
		query_groups_finish(g);
		query_groups_write(g, 0, UINT32_MAX, json);
	}
	query_groups_free(g);
	return e;
}

static enum err
merge_order(
    const struct query *q, size_t max_bytes, struct str parts, struct buf *json, struct fault *f)
{
	struct query_order *o = query_order_new(q, WANT, max_bytes);
	enum err e = query_order_merge(o, &parts, f);

	if (e == ERR_OK && json != NULL) {
		query_order_finish(o);
		query_order_write(o, 0, UINT32_MAX, SIZE_MAX, json);
	}
	query_order_free(o);
	return e;
}

/* A part merged into nothing; its rows are appended to json, which may be NULL. */
static enum err
merged(const struct query *q, size_t max_bytes, struct str parts, struct buf *json, struct fault *f)
{
	return (query_facts(q)->aggregate ? merge_groups : merge_order)(
	    q, max_bytes, parts, json, f);
}

static enum err
merge_bytes(const struct query *q, size_t max_bytes, struct str parts, struct fault *f)
{
	return merged(q, max_bytes, parts, NULL, f);
}

/* ---- what comes back ---- */

static void
query_parts__groups_come_back_from_bytes(void **state)
{
	struct fleet fl;

	(void)state;
	fleet_init(&fl, rows, sizeof(rows) / sizeof(rows[0]));
	for (size_t i = 0; i < NAGGREGATE; i++) {
		struct query *q = plan(aggregates[i]);
		struct query_groups *g = groups_of(&fl, q),
		                    *back = query_groups_new(q, GROUP_BYTES);
		struct buf bytes = { 0 }, again = { 0 }, want = { 0 }, got = { 0 };
		struct str parts;

		query_groups_put(g, &bytes);
		assert_true(bytes.n <= query_groups_bytes(g) + 64);
		parts = buf_view(&bytes);
		assert_int_equal(query_groups_merge(back, &parts, NULL), ERR_OK);
		assert_int_equal(parts.n, 0);
		query_groups_put(back, &again);
		assert_true(str_eq(buf_view(&bytes), buf_view(&again)));
		assert_int_equal(query_groups_bytes(back), query_groups_bytes(g));
		query_groups_finish(g);
		query_groups_finish(back);
		fleet_groups_write(g, &want);
		fleet_groups_write(back, &got);
		assert_true(str_eq(buf_view(&want), buf_view(&got)));
		assert_true(want.n > 0 || i == NAGGREGATE - 1);
		query_groups_free(g);
		query_groups_free(back);
		buf_fini(&bytes);
		buf_fini(&again);
		buf_fini(&want);
		buf_fini(&got);
		query_free(q);
	}
	fleet_fini(&fl);
}

static void
query_parts__stand_one_behind_the_other(void **state)
{
	struct query *q = plan("SELECT COUNT() AS c FROM devices");
	struct query_groups *g, *into = query_groups_new(q, GROUP_BYTES);
	struct buf bytes = { 0 }, got = { 0 };
	struct str parts;
	struct fleet fl;

	(void)state;
	fleet_init(&fl, rows, 5);
	g = groups_of(&fl, q);
	for (int i = 0; i < 3; i++)
		query_groups_put(g, &bytes);
	parts = buf_view(&bytes);
	for (int i = 0; i < 3; i++)
		assert_int_equal(query_groups_merge(into, &parts, NULL), ERR_OK);
	assert_int_equal(parts.n, 0);
	query_groups_finish(into);
	fleet_groups_write(into, &got);
	assert_true(str_eq(buf_view(&got), STR("{\"c\":15}")));
	query_groups_free(g);
	query_groups_free(into);
	buf_fini(&bytes);
	buf_fini(&got);
	query_free(q);
	fleet_fini(&fl);
}

static void
query_parts__groups_count_against_the_limit_as_rows_do(void **state)
{
	struct fleet fl;

	(void)state;
	fleet_init(&fl, rows, sizeof(rows) / sizeof(rows[0]));
	for (size_t i = 1; i < NAGGREGATE - 1; i++) { /* the first group always fits */
		struct query *q = plan(aggregates[i]);
		struct query_groups *g = groups_of(&fl, q);
		struct buf bytes = { 0 };
		struct fault f;

		query_groups_put(g, &bytes);
		assert_int_equal(
		    merge_bytes(q, query_groups_bytes(g), buf_view(&bytes), &f), ERR_OK);
		assert_int_equal(
		    merge_bytes(q, query_groups_bytes(g) - 1, buf_view(&bytes), &f), ERR_SIZE);
		assert_int_equal(f.code, F_QueryTooLarge);
		query_groups_free(g);
		buf_fini(&bytes);
		query_free(q);
	}
	fleet_fini(&fl);
}

/* ---- what is refused ---- */

static void
refuses(const struct query *q, struct str parts, const char *what, size_t at)
{
	struct fault f = { .text = "" };
	enum err e = merge_bytes(q, GROUP_BYTES, parts, &f);

	if (e != ERR_CORRUPT || f.code != F_ServerError)
		fail_msg("%s %zu: %d, %s", what, at, e, f.text);
}

static void
query_parts__damaged_ones_are_refused(void **state)
{
	struct fleet fl;

	(void)state;
	fleet_init(&fl, rows, sizeof(rows) / sizeof(rows[0]));
	for (size_t i = 0; i < NAGGREGATE + NORDER; i++) {
		struct query *q = plan_of(i), *other = plan_of((i + 1) % (NAGGREGATE + NORDER));
		struct buf bytes = { 0 };

		part_of(&fl, q, &bytes);
		for (size_t n = 0; n < bytes.n; n++) {
			char *cut = xmalloc(n + 1); /* so that one byte too far is seen */
			memcpy(cut, bytes.p, n);
			refuses(q, (struct str){ cut, n }, "cut at", n);
			free(cut);
		}
		for (size_t bit = 0; bit < bytes.n * 8; bit++) {
			bytes.p[bit / 8] ^= (char)(1 << bit % 8);
			refuses(q, buf_view(&bytes), "bit", bit);
			bytes.p[bit / 8] ^= (char)(1 << bit % 8);
		}
		refuses(other, buf_view(&bytes), "another query's", i);
		buf_fini(&bytes);
		query_free(q);
		query_free(other);
	}
	fleet_fini(&fl);
}

/* A part that is whole, with any body. */
static void
framed(struct buf *out, const struct query *q, struct str body)
{
	out->n = 0;
	buf_putc(out, 1);
	buf_putc(out, query_facts(q)->aggregate ? 'g' : 'o');
	buf_le64(out, query_facts(q)->hash);
	buf_le64(out, body.n);
	buf_str(out, body);
	buf_le64(out, hash_checksum(out->p, out->n));
}

/* Each bit, under a checksum that is right: refused, or taken, and then the result is one. */
static void
query_parts__made_up_ones_do_no_harm(void **state)
{
	struct doc_parser *ps = doc_parser_new(1 << 20);
	unsigned taken = 0, refused = 0;
	struct fleet fl;

	(void)state;
	fleet_init(&fl, rows, sizeof(rows) / sizeof(rows[0]));
	for (size_t i = 0; i < NAGGREGATE + NORDER; i++) {
		struct query *q = plan_of(i);
		struct buf bytes = { 0 }, part = { 0 };

		part_of(&fl, q, &bytes);
		for (size_t bit = 18 * 8; bit < (bytes.n - 8) * 8; bit++) {
			struct buf json = { 0 }, doc = { 0 };
			struct fault f;

			bytes.p[bit / 8] ^= (char)(1 << bit % 8);
			framed(&part, q, (struct str){ bytes.p + 18, bytes.n - 26 });
			bytes.p[bit / 8] ^= (char)(1 << bit % 8);
			buf_putc(&json, '[');
			if (merged(q, GROUP_BYTES, buf_view(&part), &json, &f) == ERR_OK) {
				taken++;
				buf_putc(&json, ']');
				assert_int_equal(
				    doc_parse(ps, buf_view(&json), &doc, NULL, &f), ERR_OK);
			} else {
				refused++;
				assert_int_equal(f.code, F_ServerError);
			}
			buf_fini(&json);
			buf_fini(&doc);
		}
		buf_fini(&bytes);
		buf_fini(&part);
		query_free(q);
	}
	assert_true(taken > 1000 && refused > 1000);
	fleet_fini(&fl);
	doc_parser_free(ps);
}

static void
query_parts__say_only_what_rows_could_have_said(void **state)
{
	static const char by_v[] = "SELECT tags.v, COUNT() AS c FROM devices GROUP BY tags.v";
	static const char sorted[] = "SELECT deviceId FROM devices ORDER BY tags.v";
	static const char least[] = "SELECT MIN(tags.n) AS m FROM devices";
	static const char met[] = "SELECT COUNT() AS c, COUNT(DISTINCT tags.n) AS d FROM devices";
	const struct {
		const char *query;
		struct str body;
		enum err e;
	} all[] = {
		{ by_v, STR("\0\0"), ERR_OK },
		{ by_v, STR("\1\1\2\1\0"), ERR_OK },        /* null, once */
		{ by_v, STR("\1\1\2\1\0\0"), ERR_CORRUPT }, /* more behind it */
		{ by_v, STR("\1\0\1\0"), ERR_CORRUPT },     /* a key without a value */
		{ by_v, STR("\1\2\2\2\1\0"), ERR_CORRUPT }, /* with two */
		{ by_v, STR("\1\1\x09\1\0"), ERR_CORRUPT }, /* no type */
		{ by_v, STR("\1\1\0\1\0"), ERR_CORRUPT },   /* no value */
		{ by_v, STR("\2\1\2\1\0"), ERR_CORRUPT },   /* fewer groups than it says */
		{ by_v, STR("\xFF\xFF\xFF\xFF\x7F\1\2\1\0"), ERR_CORRUPT },
		{ by_v, STR("\1\1\2\x80\x80\x80\x80\x80\x80\x40\0"), ERR_OK }, /* 2^48 rows */
		{ by_v, STR("\1\1\2\x81\x80\x80\x80\x80\x80\x40\0"), ERR_CORRUPT },
		{ by_v, STR("\1\1\2\1\1\0\0\1\3"),
		    ERR_CORRUPT }, /* values, of no COUNT(DISTINCT) */
		/* numbers: 0, -0, infinity, NaN */
		{ by_v, STR("\1\x09\5\x80\0\0\0\0\0\0\0\1\0"), ERR_OK },
		{ by_v, STR("\1\x09\5\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\1\0"), ERR_CORRUPT },
		{ by_v, STR("\1\x09\5\xFF\xF0\0\0\0\0\0\0\1\0"), ERR_CORRUPT },
		{ by_v, STR("\1\x09\5\xFF\xF8\0\0\0\0\0\0\1\0"), ERR_CORRUPT },
		{ by_v, STR("\1\x08\5\x80\0\0\0\0\0\0\1\0"), ERR_CORRUPT }, /* a byte short */
		/* strings: a, NUL, U+E000 as it is to be written and as it is not, no UTF-8, no end */
		{ by_v, STR("\1\4\6a\0\0\1\0"), ERR_OK },
		{ by_v, STR("\1\5\6\0\xFF\0\0\1\0"), ERR_OK },
		{ by_v, STR("\1\6\6\xF5\x80\x80\0\0\1\0"), ERR_OK },
		{ by_v, STR("\1\6\6\xEE\x80\x80\0\0\1\0"), ERR_CORRUPT },
		{ by_v, STR("\1\4\6\x80\0\0\1\0"), ERR_CORRUPT },
		{ by_v, STR("\1\3\6a\0\1\0"), ERR_CORRUPT },
		{ by_v, STR("\1\4\6a\0\1\1\0"), ERR_CORRUPT },
		{ by_v, STR("\1\1\6\1\0"), ERR_CORRUPT },
		/* arrays; objects with names in order, in none, twice, without a value, of no string */
		{ by_v, STR("\1\3\7\2\0\1\0"), ERR_OK },
		{ by_v, STR("\1\3\7\1\0\1\0"), ERR_CORRUPT }, /* undefined inside */
		{ by_v, STR("\1\2\7\2\1\0"), ERR_CORRUPT },   /* without an end */
		{ by_v, STR("\1\x0C\x08\6a\0\0\2\6b\0\0\2\0\1\0"), ERR_OK },
		{ by_v, STR("\1\x0C\x08\6b\0\0\2\6a\0\0\2\0\1\0"), ERR_CORRUPT },
		{ by_v, STR("\1\x0C\x08\6a\0\0\2\6a\0\0\2\0\1\0"), ERR_CORRUPT },
		{ by_v, STR("\1\6\x08\6a\0\0\0\1\0"), ERR_CORRUPT },
		{ by_v, STR("\1\4\x08\2\2\0\1\0"), ERR_CORRUPT },
		/* extremes: 1, infinity, none */
		{ least, STR("\1\0\1\0\0\0\0\0\0\xF0\x3F\0"), ERR_OK },
		{ least, STR("\1\0\1\0\0\0\0\0\0\xF0\x7F\0"), ERR_CORRUPT },
		{ least, STR("\1\0\0\0"), ERR_OK },
		{ least, STR("\1\1\2\0\0"), ERR_CORRUPT }, /* groups where there is one */
		/* values met: true; in a group that is not there, of COUNT(), undefined, two at once */
		{ met, STR("\1\0\1\1\0\1\1\4"), ERR_OK },
		{ met, STR("\1\0\1\1\1\1\1\4"), ERR_CORRUPT },
		{ met, STR("\1\0\1\1\0\0\1\4"), ERR_CORRUPT },
		{ met, STR("\1\0\1\1\0\2\1\4"), ERR_CORRUPT },
		{ met, STR("\1\0\1\1\0\1\1\1"), ERR_CORRUPT },
		{ met, STR("\1\0\1\1\0\1\2\4\4"), ERR_CORRUPT },
		{ met, STR("\1\0\1\1\0\1\0"), ERR_CORRUPT },
		{ met, STR("\1\0\1\2\0\1\1\4"), ERR_CORRUPT }, /* fewer than it says */
		/* rows in order: none; two; no JSON; two texts; more rows than were seen; fewer than it says; more behind them */
		{ sorted, STR("\0\0"), ERR_OK },
		{ sorted,
		    STR("\5\2\1\1k\1"
		        "1\2\1k\2{}"),
		    ERR_OK },
		{ sorted, STR("\5\1\1\1k\1}"), ERR_CORRUPT },
		{ sorted, STR("\5\1\1\1k\0"), ERR_CORRUPT },
		{ sorted,
		    STR("\5\1\1\1k\3"
		        "1,2"),
		    ERR_CORRUPT },
		{ sorted,
		    STR("\0\1\1\1k\1"
		        "1"),
		    ERR_CORRUPT },
		{ sorted,
		    STR("\5\2\1\1k\1"
		        "1"),
		    ERR_CORRUPT },
		{ sorted,
		    STR("\5\1\1\1k\1"
		        "1\0"),
		    ERR_CORRUPT },
		{ sorted, STR("\x81\x80\x80\x80\x80\x80\x40\0"), ERR_CORRUPT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct query *q = plan(all[i].query);
		struct buf part = { 0 };
		struct fault f = { .text = "" };

		framed(&part, q, all[i].body);
		if (merge_bytes(q, GROUP_BYTES, buf_view(&part), &f) != all[i].e)
			fail_msg("line %zu: not %d", i, all[i].e);
		buf_fini(&part);
		query_free(q);
	}
}

/* As deep as documents are, and no deeper, however deep it says to be: a key is walked by recursion. */
static void
query_parts__keys_have_a_depth(void **state)
{
	struct query *q = plan("SELECT tags.v, COUNT() AS c FROM devices GROUP BY tags.v");

	(void)state;
	for (uint32_t depth = 1; depth <= 1 << 20; depth *= 2) {
		struct buf key = { 0 }, body = { 0 }, part = { 0 };
		struct fault f;

		for (uint32_t i = 0; i < depth; i++)
			buf_putc(&key, 7);
		for (uint32_t i = 0; i < depth; i++)
			buf_putc(&key, 0);
		buf_varint(&body, 1);
		buf_lstr(&body, buf_view(&key));
		buf_put(&body, "\1\0", 2);
		framed(&part, q, buf_view(&body));
		assert_int_equal(merge_bytes(q, 1 << 24, buf_view(&part), &f),
		    depth <= DOC_DEPTH_MAX ? ERR_OK : ERR_CORRUPT);
		buf_fini(&key);
		buf_fini(&body);
		buf_fini(&part);
	}
	query_free(q);
}

/* ---- in any number of parts ---- */

#define ROWS      60
#define PARTS_MAX 5

static void
random_fleet(struct fleet *fl, struct rnd *r)
{
	static const double few[] = { 0, 1, -2.5, 3, 1000000 }; /* sums are exact in any order */
	struct buf json = { 0 };

	pool_used = 0;
	fleet_init(fl, NULL, 0);
	fl->extensions = true;
	for (int i = 0; i < ROWS; i++) {
		struct val *row = random_row(r), *n = val_new(NUM);

		n->num = PICK(r, few);
		if (rnd_below(r, 4))
			val_put(val_get(row, "tags"), "n", n);
		json.n = 0;
		val_json(&json, row);
		fleet_add(fl, buf_view(&json));
	}
	buf_fini(&json);
}

static void
draw_aggregate(struct buf *text, struct rnd *r)
{
	static const char *const paths[] = { "tags.a", "tags.b", "tags.n", "tags", "deviceId",
		"status", "properties.desired.c", "properties.reported.k1", "properties.reported",
		"nosuch" };
	static const char *const tallies[] = { "COUNT()", "SUM(tags.n)", "AVG(tags.n)",
		"MIN(tags.n)", "MAX(tags.n)", "COUNT(DISTINCT tags.n)", "COUNT(DISTINCT tags.a)",
		"COUNT(DISTINCT properties.reported.k1)" };
	static const char *const ends[] = { "", " HAVING COUNT() > 1", " ORDER BY COUNT() DESC" };
	const char *path[2] = { "", "" };
	uint32_t grouped = rnd_below(r, 3), n = 1 + rnd_below(r, 3);

	for (int i = 0; i < 2; i++)
		path[i] = PICK(r, paths);
	buf_cstr(text, "SELECT ");
	for (uint32_t i = 0; i < n; i++)
		buf_printf(text, "%s%s AS t%u", i > 0 ? ", " : "", PICK(r, tallies), i);
	for (uint32_t i = 0; i < grouped && i < 2; i++)
		buf_printf(text, ", %s AS p%u", path[i], i);
	buf_printf(text, " FROM devices%s", rnd_below(r, 3) ? "" : " WHERE tags.n > 0");
	for (uint32_t i = 0; i < grouped && i < 2; i++)
		buf_printf(text, "%s%s", i > 0 ? ", " : " GROUP BY ", path[i]);
	if (grouped > 0)
		buf_cstr(text, PICK(r, ends));
	buf_putc(text, '\0');
}

/* Each row in a part of its own choice; the parts by way of bytes, in a row. */
static void
split(struct fleet *fl, const struct query *q, struct rnd *r, uint32_t n, struct buf *out)
{
	struct query_groups *part[PARTS_MAX] = { NULL }, *into = query_groups_new(q, GROUP_BYTES);
	struct buf bytes = { 0 };
	struct str parts;

	for (uint32_t i = 0; i < n; i++)
		part[i] = query_groups_new(q, GROUP_BYTES);
	for (size_t i = 0; i < fl->n; i++)
		add_row(fl, part[rnd_below(r, n)], q, i);
	for (uint32_t i = 0; i < n; i++) {
		query_groups_put(part[i], &bytes);
		query_groups_free(part[i]);
	}
	parts = buf_view(&bytes);
	while (parts.n > 0)
		assert_int_equal(query_groups_merge(into, &parts, NULL), ERR_OK);
	query_groups_finish(into);
	fleet_groups_write(into, out);
	query_groups_free(into);
	buf_fini(&bytes);
}

static void
query_parts__give_what_one_gives(void **state)
{
	struct rnd r = { 20261129 };
	struct fleet fl;
	size_t shown = 0;

	(void)state;
	random_fleet(&fl, &r);
	for (int i = 0; i < 400; i++) {
		struct buf text = { 0 }, want = { 0 }, got = { 0 };
		struct query_groups *one;
		struct query *q;

		draw_aggregate(&text, &r);
		q = plan(text.p);
		one = groups_of(&fl, q);
		query_groups_finish(one);
		fleet_groups_write(one, &want);
		split(&fl, q, &r, 1 + (uint32_t)i % PARTS_MAX, &got);
		if (!str_eq(buf_view(&want), buf_view(&got)))
			fail_msg("%s\n  gives " STR_FMT "\n  in parts " STR_FMT, text.p,
			    STR_ARG(buf_view(&want)), STR_ARG(buf_view(&got)));
		shown += query_groups_count(one);
		query_groups_free(one);
		query_free(q);
		buf_fini(&text);
		buf_fini(&want);
		buf_fini(&got);
	}
	assert_true(shown > 2000);
	fleet_fini(&fl);
}

/* ---- rows in order ---- */

#define SHARDS_OF 6

/* The first `want` rows of the shards that are in the set. */
static struct query_order *
order_of_shards(struct fleet *fl, const struct query *q, uint32_t want, unsigned set)
{
	struct query_order *o = query_order_new(q, want, GROUP_BYTES);

	for (size_t i = 0; i < fl->n; i++) {
		uint32_t shard = (uint32_t)(i * SHARDS_OF / fl->n);
		if (set & 1u << shard)
			order_row(fl, o, q, i, shard);
	}
	return o;
}

static void
order_write(struct query_order *o, struct buf *out)
{
	query_order_finish(o);
	query_order_write(o, 0, UINT32_MAX, SIZE_MAX, out);
	buf_printf(out, " of %u", (unsigned)query_order_count(o));
	query_order_free(o);
}

/* Shards dealt to parts by chance, which come in any order; many rows have equal keys. */
static void
split_order(struct fleet *fl, const struct query *q, struct rnd *r, uint32_t want, struct buf *out)
{
	struct query_order *into = query_order_new(q, want, GROUP_BYTES);
	unsigned left = (1u << SHARDS_OF) - 1;
	struct buf bytes = { 0 };
	struct str parts;

	while (left != 0) {
		unsigned set = left & rnd_below(r, 1u << SHARDS_OF);
		struct query_order *part = order_of_shards(fl, q, want, set);

		left &= ~set;
		query_order_put(part, &bytes);
		query_order_free(part);
	}
	parts = buf_view(&bytes);
	while (parts.n > 0)
		assert_int_equal(query_order_merge(into, &parts, NULL), ERR_OK);
	order_write(into, out);
	buf_fini(&bytes);
}

static void
query_parts__in_order_give_what_one_gives(void **state)
{
	static const char *const keys[] = { "tags.n", "tags.n DESC", "tags.a",
		"tags.k1 DESC, tags.n", "deviceId, tags.b DESC", "properties.reported DESC",
		"nosuch" };
	static const char *const lists[] = { "tags, deviceId", "deviceId, tags.n", "TOP 9 tags" };
	struct rnd r = { 20261130 };
	struct fleet fl;

	(void)state;
	random_fleet(&fl, &r);
	for (int i = 0; i < 400; i++) {
		struct buf text = { 0 }, want = { 0 }, got = { 0 };
		uint32_t n = 1 + rnd_below(&r, ROWS);
		struct query *q;

		buf_printf(&text, "SELECT %s FROM devices%s ORDER BY %s", PICK(&r, lists),
		    rnd_below(&r, 3) ? "" : " WHERE tags.n > 0", PICK(&r, keys));
		buf_putc(&text, '\0');
		q = plan(text.p);
		order_write(order_of_shards(&fl, q, n, ~0u), &want);
		split_order(&fl, q, &r, n, &got);
		if (!str_eq(buf_view(&want), buf_view(&got)))
			fail_msg("%s\n  gives " STR_FMT "\n  in parts " STR_FMT, text.p,
			    STR_ARG(buf_view(&want)), STR_ARG(buf_view(&got)));
		query_free(q);
		buf_fini(&text);
		buf_fini(&want);
		buf_fini(&got);
	}
	fleet_fini(&fl);
}

/* What the first rows take is what counts, also of rows that come as bytes. */
static void
query_parts__in_order_keep_to_the_limit(void **state)
{
	struct query *q = plan(orders[1]);
	struct query_order *o;
	struct buf bytes = { 0 };
	struct fleet fl;
	struct fault f;
	size_t held;

	(void)state;
	fleet_init(&fl, rows, sizeof(rows) / sizeof(rows[0]));
	o = order_of(&fl, q);
	held = query_order_bytes(o);
	query_order_put(o, &bytes);
	assert_int_equal(merge_bytes(q, held, buf_view(&bytes), &f), ERR_OK);
	assert_int_equal(merge_bytes(q, held - 1, buf_view(&bytes), &f), ERR_SIZE);
	assert_int_equal(f.code, F_QueryTooLarge);
	query_order_free(o);
	buf_fini(&bytes);
	query_free(q);
	fleet_fini(&fl);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query_parts__groups_come_back_from_bytes),
		cmocka_unit_test(query_parts__stand_one_behind_the_other),
		cmocka_unit_test(query_parts__groups_count_against_the_limit_as_rows_do),
		cmocka_unit_test(query_parts__damaged_ones_are_refused),
		cmocka_unit_test(query_parts__made_up_ones_do_no_harm),
		cmocka_unit_test(query_parts__say_only_what_rows_could_have_said),
		cmocka_unit_test(query_parts__keys_have_a_depth),
		cmocka_unit_test(query_parts__give_what_one_gives),
		cmocka_unit_test(query_parts__in_order_give_what_one_gives),
		cmocka_unit_test(query_parts__in_order_keep_to_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
