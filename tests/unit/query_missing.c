/*
 * Aggregates where there is no column: every aggregate of every kind of path, with and without conditions, modules and
 * freed rows, on columns that are complete, never made, dropped for want of memory, or dropped in the middle of a walk,
 * against the row evaluator.
 */
#include "query_fleet.h"

#define BLOCK 5u /* rows judged at a time: the walk has several blocks */

static const char *const rows[] = {
	"{'deviceId':'d0','status':'enabled','version':3,'lastActivityTime':'0001-01-01T00:00:00Z',"
	"'tags':{'site':'b','n':1,'mixed':5,'arr':[1],'obj':{'a':1},'s':'x'}}",
	"{'deviceId':'d1','status':'enabled','version':4,'tags':{'site':'a','n':2,'mixed':'five'}}",
	"{'deviceId':'d1','moduleId':'m1','version':7,'tags':{'site':'a','n':10,'mixed':true}}",
	"{'deviceId':'d2','status':'disabled','version':5,'tags':{'site':'a','n':-1.5,'mixed':null,"
	"'arr':[1,2],'obj':{'a':2}}}",
	"{'deviceId':'d3','status':'enabled','version':9,'tags':{'site':'b','n':1e300,'mixed':[1]}"
	"}",
	"{'deviceId':'d4','status':'enabled','tags':{'site':'a','s':'y','obj':{}}}",
	"{'deviceId':'d5','status':'enabled','version':2,'tags':{'n':'2','mixed':{'a':1}}}",
	"{'deviceId':'d5','moduleId':'m2','tags':{'site':'b','n':4,'arr':[]}}",
	"{'deviceId':'d6','status':'enabled','version':1,'tags':{'site':'a','n':8,'mixed':6.5}}",
	"{'deviceId':'d7','status':'enabled','version':1,'tags':{'site':'a','n':7,'mixed':7}}",
	"{'deviceId':'d8','status':'enabled','version':8,'desired':{'n':1},'reported':{'n':2}}",
	"{'deviceId':'d9','status':'enabled','version':6,'tags':{'site':'c','n':3,'s':'x'}}",
};

#define NROW (sizeof(rows) / sizeof(rows[0]))

static const char *const paths[] = { "version", "lastActivityTime", "deviceId", "status", "nosuch",
	"nosuch.a.b", "etag", "moduleId", "connectionState", "configurations",
	"capabilities.iotEdge", "x509Thumbprint.primaryThumbprint", "properties.nosuch", "tags",
	"tags.n", "tags.mixed", "tags.arr", "tags.obj", "tags.obj.a", "tags.s", "tags.absent",
	"properties", "properties.desired.n", "properties.reported.$version" };

static const char *const lists[] = { "SUM(%s) AS v", "AVG(%s) AS v", "MIN(%s) AS v", "MAX(%s) AS v",
	"COUNT(DISTINCT %s) AS v", "COUNT() AS c, SUM(%s) AS v", "MAX(tags.n) AS m, AVG(%s) AS v" };

/* Of most the first row of the fleet is none. */
static const char *const conditions[] = { "", " WHERE tags.site = 'a'", " WHERE nosuch = 1",
	" WHERE NOT is_defined(nosuch)", " WHERE version > 3", " WHERE tags.n > 1 OR tags.arr = 1",
	" WHERE tags.site = 'a' AND tags.obj.a != 7 AND tags.mixed > 5" };

enum state {
	COMPLETE,
	NOT_MADE,
	DROPPED,        /* before the walk */
	DROPPED_AMIDST, /* between a judgement and what is made of it */
	STATES
};

struct rig {
	struct fleet fl;
	enum row_kind kind[NROW];
	struct columns *c;
	size_t max_bytes;
};

static void
columns_make(struct rig *rig, size_t max_bytes)
{
	struct query_needs none = { 0 };

	columns_free(rig->c);
	rig->c = columns_new(max_bytes, NULL, NULL);
	for (uint32_t i = 0; i < NROW; i++)
		columns_row_changed(rig->c, i, rig->kind[i], &none, &none, &fleet_ops,
		    &rig->fl.row[i], &rig->fl.scratch);
}

static bool
matches(struct rig *rig, const struct query *q, uint32_t row)
{
	enum row_kind kind = query_facts(q)->collection == QUERY_MODULES ? ROW_MODULE : ROW_DEVICE;

	return rig->kind[row] == kind &&
	    query_match(q, &fleet_ops, &rig->fl.row[row], &rig->fl.scratch);
}

static void
count(struct rig *rig, const struct query *q, struct query_groups *g, uint32_t row)
{
	if (matches(rig, q, row))
		assert_int_equal(
		    query_groups_add(g, &fleet_ops, &rig->fl.row[row], &rig->fl.scratch, NULL),
		    ERR_OK);
}

static void
build(struct rig *rig, struct vector *v)
{
	struct query_needs needs;
	uint32_t row;

	while (vector_wants(v, &row, &needs))
		vector_show(
		    v, row, rig->kind[row], &fleet_ops, &rig->fl.row[row], &rig->fl.scratch);
}

/* What columns say, as a walk asks them. */
static void
by_columns(struct rig *rig, const struct query *q, enum state state, struct query_groups *g)
{
	struct vector *v = vector_new(q);
	uint8_t verdicts[BLOCK];

	columns_make(rig, state >= DROPPED ? 1 : 1 << 20);
	vector_open(v, rig->c, true, &rig->fl.scratch);
	if (state != NOT_MADE)
		build(rig, v);
	if (state == DROPPED)
		columns_trim(rig->c);
	for (uint32_t from = 0; from < NROW; from += BLOCK) {
		uint32_t n = NROW - from < BLOCK ? (uint32_t)NROW - from : BLOCK, i = 0;

		vector_judge(v, from, n, verdicts);
		if (state == DROPPED_AMIDST && from == BLOCK)
			columns_trim(rig->c);
		while (i < n) {
			assert_int_equal(vector_add(v, verdicts, i, n, g, &i, NULL), ERR_OK);
			if (i < n)
				count(rig, q, g, from + i++);
		}
	}
	vector_free(v);
}

static void
answer(struct query_groups *g, struct buf *out)
{
	out->n = 0;
	query_groups_finish(g);
	query_groups_write(g, 0, UINT32_MAX, out);
}

static void
check(struct rig *rig, const char *text)
{
	const struct query_options options = { .extensions = true };
	struct buf want = { 0 }, got = { 0 };
	struct query_groups *g;
	struct fault f = { .text = "" };
	struct query *q;

	if (query_parse(str_of(text), &options, &q, &f))
		fail_msg("%s: %s", text, f.text);
	g = query_groups_new(q, GROUP_BYTES);
	for (uint32_t i = 0; i < NROW; i++)
		count(rig, q, g, i);
	answer(g, &want);
	query_groups_free(g);
	for (int state = 0; state < STATES; state++) {
		g = query_groups_new(q, GROUP_BYTES);
		by_columns(rig, q, (enum state)state, g);
		answer(g, &got);
		query_groups_free(g);
		if (!str_eq(buf_view(&want), buf_view(&got)))
			fail_msg("%s, state %d\n  gives " STR_FMT "\n  not   " STR_FMT, text, state,
			    STR_ARG(buf_view(&got)), STR_ARG(buf_view(&want)));
	}
	buf_fini(&want);
	buf_fini(&got);
	query_free(q);
}

static void
rig_init(struct rig *rig, bool freed)
{
	memset(rig, 0, sizeof(*rig));
	fleet_init(&rig->fl, rows, NROW);
	for (uint32_t i = 0; i < NROW; i++)
		rig->kind[i] = fleet_kind(&rig->fl.row[i]);
	if (freed)
		rig->kind[0] = rig->kind[3] = rig->kind[NROW - 1] = ROW_FREE;
}

static void
rig_fini(struct rig *rig)
{
	columns_free(rig->c);
	fleet_fini(&rig->fl);
}

#define EACH(i, list) for (size_t i = 0; i < sizeof(list) / sizeof((list)[0]); (i)++)

static void
check_list(struct rig *rig, const char *list, const char *path)
{
	static const char *const tails[] = { "", " GROUP BY tags.site", " GROUP BY nosuch",
		" GROUP BY tags.obj, tags.mixed" };
	static const char *const froms[] = { "devices", "devices.modules" };
	char items[128], text[400];

	snprintf(items, sizeof(items), list, path);
	EACH(i, froms)
	EACH(k, conditions)
	EACH(m, tails)
	{
		snprintf(text, sizeof(text), "SELECT %s FROM %s%s%s", items, froms[i],
		    conditions[k], tails[m]);
		check(rig, text);
	}
}

static void
aggregates__Q48_of_paths_without_a_column_are_those_of_the_rows(void **state)
{
	(void)state;
	for (int freed = 0; freed <= 1; freed++) {
		struct rig rig;

		rig_init(&rig, freed);
		EACH(i, lists)
		EACH(k, paths)
		check_list(&rig, lists[i], paths[k]);
		rig_fini(&rig);
	}
}

/* More paths than columns stand for: the aggregated one is the first too many. */
static void
aggregates__Q48_of_one_path_too_many_are_those_of_the_rows(void **state)
{
	struct buf text = { 0 };
	struct rig rig;

	(void)state;
	rig_init(&rig, false);
	for (unsigned n = 30; n < 36; n++) {
		text.n = 0;
		buf_cstr(&text, "SELECT SUM(tags.n) AS v FROM devices WHERE tags.site = 'a' OR (");
		for (unsigned i = 0; i < n; i++)
			buf_printf(&text, "%stags.k%u = %u", i > 0 ? " OR " : "", i, i);
		buf_cstr(&text, ")");
		buf_putc(&text, '\0');
		check(&rig, text.p);
	}
	buf_fini(&text);
	rig_fini(&rig);
}

/* A row comes while a vector is open: what it is asked next is answered with it. */
static void
vectors__see_what_has_changed_since_they_were_opened(void **state)
{
	static const char text[] = "SELECT COUNT() AS c FROM devices WHERE tags.site = 'a'";
	struct query_needs all = { .roots = UINT64_MAX, .sections = UINT8_MAX };
	uint8_t verdicts[NROW];
	struct vector *v;
	struct rig rig;
	struct query *q;

	(void)state;
	rig_init(&rig, false);
	assert_int_equal(query_parse(str_of(text), NULL, &q, NULL), ERR_OK);
	columns_make(&rig, 1 << 20);
	v = vector_new(q);
	vector_open(v, rig.c, true, &rig.fl.scratch);
	build(&rig, v);
	vector_judge(v, 0, NROW, verdicts);
	assert_int_equal(verdicts[0], 2);
	assert_int_equal(verdicts[1], VERDICT_MATCH);
	columns_row_changed(rig.c, 1, ROW_FREE, &all, &all, NULL, NULL, &rig.fl.scratch);
	columns_row_changed(
	    rig.c, NROW, ROW_DEVICE, &all, &all, &fleet_ops, &rig.fl.row[3], &rig.fl.scratch);
	assert_int_equal(vector_rows(v), NROW + 1);
	vector_judge(v, 1, NROW, verdicts);
	assert_int_equal(verdicts[0], 2);
	assert_int_equal(verdicts[NROW - 1], VERDICT_MATCH);
	vector_judge(v, NROW + 1, 1, verdicts); /* there is none */
	assert_int_equal(verdicts[0], 2);
	vector_free(v);
	query_free(q);
	rig_fini(&rig);
}

/* Too little memory: a column is dropped before it is whole, and begun anew by who asks next, over and over. */
static void
vectors__make_a_column_once_and_then_ask_the_documents(void **state)
{
	static const char text[] = "SELECT COUNT() AS c FROM devices WHERE tags.site = 'a'";
	struct query_needs needs;
	struct vector *first, *other;
	uint32_t row, asked = 0;
	uint8_t verdicts[NROW];
	struct rig rig;
	struct query *q;

	(void)state;
	rig_init(&rig, false);
	assert_int_equal(query_parse(str_of(text), NULL, &q, NULL), ERR_OK);
	columns_make(&rig, 1);
	first = vector_new(q);
	vector_open(first, rig.c, true, &rig.fl.scratch);
	assert_true(vector_wants(first, &row, &needs));
	columns_trim(rig.c);
	other = vector_new(q);
	vector_open(other, rig.c, true, &rig.fl.scratch);
	assert_true(vector_wants(other, &row, &needs));

	vector_open(first, rig.c, false, &rig.fl.scratch);
	assert_false(vector_wants(first, &row, &needs));
	vector_judge(first, 0, NROW, verdicts);
	for (uint32_t i = 0; i < NROW; i++)
		asked += verdict_asks(verdicts[i]);
	assert_int_equal(asked, 10); /* all devices */

	build(&rig, other); /* this time it is not dropped: it serves both */
	vector_judge(first, 0, NROW, verdicts);
	assert_int_equal(verdicts[1], VERDICT_MATCH);
	vector_free(first);
	vector_free(other);
	query_free(q);
	rig_fini(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aggregates__Q48_of_paths_without_a_column_are_those_of_the_rows),
		cmocka_unit_test(aggregates__Q48_of_one_path_too_many_are_those_of_the_rows),
		cmocka_unit_test(vectors__see_what_has_changed_since_they_were_opened),
		cmocka_unit_test(vectors__make_a_column_once_and_then_ask_the_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
