/*
 * Nobody reaches what columns hold but through calls that bring them up to date first: each of them asks whoever has the rows what
 * has changed, whatever was asked just before, and what it says then is true then.
 */
#include "query_fleet.h"

#define ROWS 40

/* Rows that change behind the columns' back, as a shard's do. */
struct rig {
	struct fleet fl, other; /* what a row is, and what it is to be */
	bool changed[ROWS];
	unsigned brought;
	struct columns *c;
	struct query *q;
	struct vector *v;
	struct query_groups *groups;
	struct query_order *order;
	uint8_t verdicts[VECTOR_ROWS];
};

static uint32_t
bring(void *rows, struct query_scratch *s)
{
	static const struct query_needs all = { .roots = UINT64_MAX,
		.sections = (1u << SECTION_KINDS) - 1 };
	struct rig *rig = rows;

	rig->brought++;
	for (uint32_t i = 0; i < ROWS; i++)
		if (rig->changed[i])
			columns_row_changed(
			    rig->c, i, ROW_DEVICE, &all, &all, &fleet_ops, &rig->other.row[i], s);
	memset(rig->changed, 0, sizeof(rig->changed));
	return ROWS;
}

static void
fill(struct fleet *fl, int n)
{
	char json[96];

	fleet_init(fl, NULL, 0);
	for (int i = 0; i < ROWS; i++) {
		snprintf(json, sizeof(json),
		    "{\"deviceId\":\"d%02d\",\"tags\":{\"n\":%d,\"k\":\"k\"}}", i, n);
		fleet_add(fl, str_of(json));
	}
}

static void
rig_init(struct rig *rig, const char *text)
{
	static const struct query_options options = { .extensions = true };
	struct query_needs needs;
	struct fault f;
	uint32_t row;

	*rig = (struct rig){ 0 };
	fill(&rig->fl, 1);
	fill(&rig->other, 2);
	if (query_parse(str_of(text), &options, &rig->q, &f))
		fail_msg("%s: %s", text, f.text);
	rig->c = columns_new(1 << 20, bring, rig);
	rig->v = vector_new(rig->q);
	if (query_facts(rig->q)->aggregate)
		rig->groups = query_groups_new(rig->q, GROUP_BYTES);
	if (query_facts(rig->q)->ordered)
		rig->order = query_order_new(rig->q, ROWS, GROUP_BYTES);
	for (row = 0; row < ROWS; row++)
		columns_row_changed(rig->c, row, ROW_DEVICE, &(struct query_needs){ 0 },
		    &(struct query_needs){ 0 }, NULL, NULL, NULL);
	vector_open(rig->v, rig->c, true, &rig->fl.scratch);
	while (vector_wants(rig->v, &row, &needs))
		vector_show(
		    rig->v, row, ROW_DEVICE, &fleet_ops, &rig->fl.row[row], &rig->fl.scratch);
	(void)vector_judge(rig->v, 0, ROWS, rig->verdicts);
}

static void
rig_fini(struct rig *rig)
{
	query_order_free(rig->order);
	query_groups_free(rig->groups);
	vector_free(rig->v);
	columns_free(rig->c);
	query_free(rig->q);
	fleet_fini(&rig->fl);
	fleet_fini(&rig->other);
}

/* ---- each call ---- */

static unsigned
no_source(void *ctx, const struct query_needs *needs)
{
	(void)ctx;
	(void)needs;
	return 0;
}

static void
calls_open(struct rig *r)
{
	vector_open(r->v, r->c, false, &r->fl.scratch);
}

static void
calls_rows(struct rig *r)
{
	assert_int_equal(vector_rows(r->v), ROWS);
}

static void
calls_sweep(struct rig *r)
{
	struct column_sweep sweep;

	assert_false(vector_sweep(r->v, no_source, NULL, &sweep));
}

static void
calls_take(struct rig *r)
{
	vector_take(r->v, 0, &fleet_ops, &r->fl.row[0], &r->fl.scratch);
}

static void
calls_swept(struct rig *r)
{
	vector_swept(r->v, STR_NONE, true);
}

static void
calls_wants(struct rig *r)
{
	struct query_needs needs;
	uint32_t row;

	(void)vector_wants(r->v, &row, &needs);
}

static void
calls_show(struct rig *r)
{
	vector_show(r->v, 0, ROW_DEVICE, &fleet_ops, &r->fl.row[0], &r->fl.scratch);
}

static void
calls_judge(struct rig *r)
{
	(void)vector_judge(r->v, 0, ROWS, r->verdicts);
}

static void
calls_learn(struct rig *r)
{
	vector_learn(r->v, 0, &fleet_ops, &r->fl.row[0], &r->fl.scratch);
}

static void
calls_add(struct rig *r)
{
	uint32_t stop;

	assert_int_equal(vector_add(r->v, r->verdicts, 0, ROWS, r->groups, &stop, NULL), ERR_OK);
}

static void
calls_order(struct rig *r)
{
	(void)vector_order(r->v, 0, r->order);
}

static void
calls_report(struct rig *r)
{
	struct column_report *report = column_report_new();
	size_t bytes = 0;

	column_report_shard(report, r->c, &r->fl.scratch, &bytes);
	column_report_free(report);
}

static void
columns__are_brought_up_to_date_by_each_call(void **state)
{
	static const char sums[] = "SELECT SUM(tags.n) AS s FROM devices WHERE tags.k = 'k'";
	static const char sorts[] =
	    "SELECT deviceId FROM devices WHERE tags.k = 'k' ORDER BY tags.n";
	static const struct {
		const char *name, *query;
		void (*call)(struct rig *r);
	} all[] = { { "open", sums, calls_open }, { "rows", sums, calls_rows },
		{ "sweep", sums, calls_sweep }, { "take", sums, calls_take },
		{ "swept", sums, calls_swept }, { "wants", sums, calls_wants },
		{ "show", sums, calls_show }, { "judge", sums, calls_judge },
		{ "learn", sums, calls_learn }, { "add", sums, calls_add },
		{ "order", sorts, calls_order }, { "report", sums, calls_report } };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct rig rig;

		rig_init(&rig, all[i].query);
		for (int k = 0; k < 2;
		     k++) { /* also where nothing has changed since the last one */
			rig.brought = 0;
			rig.changed[0] = true;
			all[i].call(&rig);
			if (rig.brought == 0 || rig.changed[0])
				fail_msg("%s looks at columns as they were", all[i].name);
		}
		rig_fini(&rig);
	}
}

/* ---- what they say ---- */

static void
vector__says_what_is_true_when_it_says_it(void **state)
{
	struct query_groups *g;
	struct buf json = { 0 };
	struct rig rig;
	uint32_t stop;

	(void)state;
	rig_init(&rig, "SELECT SUM(tags.n) AS s FROM devices WHERE tags.n > 1");
	assert_false(vector_judge(rig.v, 0, ROWS, rig.verdicts));
	rig.changed[7] = rig.changed[8] = true;
	assert_true(vector_judge(rig.v, 0, ROWS, rig.verdicts));
	assert_int_equal(rig.verdicts[7], VERDICT_MATCH);
	assert_false(rig.verdicts[9] & VERDICT_POSSIBLE);
	/* one more changes behind what was judged: those that may match are asked, none is counted as it was */
	rig.changed[7] = true;
	assert_int_equal(vector_add(rig.v, rig.verdicts, 0, ROWS, rig.groups, &stop, NULL), ERR_OK);
	assert_int_equal(stop, 7);
	(void)vector_judge(rig.v, 0, ROWS, rig.verdicts);
	g = query_groups_new(rig.q, GROUP_BYTES);
	assert_int_equal(vector_add(rig.v, rig.verdicts, 0, ROWS, g, &stop, NULL), ERR_OK);
	assert_int_equal(stop, ROWS);
	query_groups_finish(g);
	query_groups_write(g, 0, 1, &json);
	assert_true(str_eq(buf_view(&json), STR("{\"s\":4}")));
	query_groups_free(g);
	buf_fini(&json);
	rig_fini(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns__are_brought_up_to_date_by_each_call),
		cmocka_unit_test(vector__says_what_is_true_when_it_says_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
