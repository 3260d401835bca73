/*
 * A shard's columns follow its rows through random histories: with commits that fail, crashes, and records that are not
 * in memory, each verdict is the row evaluator's at every step.
 */
#include "hub_history.h"

#define SEEDS   60
#define STEPS   120
#define COLUMNS (1u << 20)

static const char *const conditions[] = {
	"tags.k0 > 300",
	"tags.k1 >= 0 AND properties.desired.k1 < 700",
	"NOT (properties.reported.k2 < 500)",
	"NOT is_defined(properties.reported.k0) OR status = 'disabled'",
	"connectionState = 'Connected'",
	"properties.desired.$version > 2",
	"etag != 'x' AND deviceId != 'x' AND lastActivityTime > '2020' AND version > 3",
	"tags.k0 + properties.reported.k0 > 600",
};

#define NCONDITION (sizeof(conditions) / sizeof(conditions[0]))

struct questions {
	struct query *q[NCONDITION];
	struct vector *v[NCONDITION];
	struct query_scratch scratch;
	unsigned sure, asked; /* matches */
};

static void
questions_init(struct questions *qs)
{
	struct fault f = { .text = "" };

	memset(qs, 0, sizeof(*qs));
	for (size_t i = 0; i < NCONDITION; i++) {
		if (query_parse_condition(str_of(conditions[i]), &qs->q[i], &f))
			fail_msg("%s: %s", conditions[i], f.text);
		qs->v[i] = vector_new(qs->q[i]);
	}
}

static void
questions_fini(struct questions *qs)
{
	for (size_t i = 0; i < NCONDITION; i++) {
		vector_free(qs->v[i]);
		query_free(qs->q[i]);
	}
	query_scratch_fini(&qs->scratch);
}

static bool
open_row(struct lane *l, uint32_t row, struct hub_row *hr)
{
	struct str device, module;
	unsigned missing;

	if (!shard_row(l->k.sh, row, &device, &module))
		return false;
	l->k.key.n = 0;
	missing = shard_row_missing(l->k.sh, row,
	    RECORD_BIT(RECORD_IDENTITY) | RECORD_BIT(RECORD_WANTED) | RECORD_BIT(RECORD_REPORTED),
	    &l->k.key);
	if (missing != 0)
		kit_fill(&l->k, device, module, missing);
	hub_row_open(hr, l->k.sh, row);
	return true;
}

static void
build(struct questions *qs, struct lane *l, size_t i)
{
	struct query_needs needs;
	struct hub_row hr;
	uint32_t row;

	while (vector_wants(qs->v[i], &row, &needs)) {
		bool there = open_row(l, row, &hr);
		vector_show(qs->v[i], row, there ? ROW_DEVICE : ROW_FREE, &hub_query_ops, &hr,
		    &qs->scratch);
		if (rnd_below(&l->rnd, 8) == 0)
			return; /* to be continued, after other steps */
	}
}

static void
ask(struct questions *qs, struct lane *l, size_t i)
{
	struct shard *sh = l->k.sh;
	uint8_t verdicts[VECTOR_ROWS];
	uint32_t rows = shard_rows(sh);
	struct hub_row hr;

	vector_open(qs->v[i], shard_columns(sh, COLUMNS), true, &qs->scratch);
	build(qs, l, i);
	assert_true(rows <= VECTOR_ROWS);
	vector_judge(qs->v[i], 0, rows, verdicts);
	for (uint32_t row = 0; row < rows; row++) {
		bool match = open_row(l, row, &hr) &&
		    query_match(qs->q[i], &hub_query_ops, &hr, &qs->scratch);
		bool asks = verdict_asks(verdicts[row]);
		if (!asks && (verdicts[row] == VERDICT_MATCH) != match)
			fail_msg("%s, row %u: verdict %u, not %d", conditions[i], row,
			    verdicts[row], match);
		qs->sure += match && !asks;
		qs->asked += match && asks;
	}
}

static void
columns__follow_a_shard_through_its_history(void **state)
{
	struct questions qs;

	(void)state;
	questions_init(&qs);
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct lane l;

		lane_init(&l, seed * 991, 0);
		for (int i = 0; i < STEPS; i++) {
			lane_step(&l);
			switch (rnd_below(&l.rnd, 24)) {
			case 0:
			case 1:
			case 2: lane_submit(&l); break;
			case 3:
			case 4: lane_acked(&l); break;
			case 5: lane_failed(&l, rnd_below(&l.rnd, 2)); break;
			case 6:
			case 7:
			case 8: lane_repaired(&l); break;
			case 9: shard_evict(l.k.sh, 0); break; /* before it is noticed: asked */
			case 10: lane_crash(&l, rnd_below(&l.rnd, 2)); break;
			default: break;
			}
			if (rnd_below(&l.rnd, 2)) /* or by those who look */
				shard_columns_settle(l.k.sh, &qs.scratch);
			for (size_t k = 0; k < NCONDITION; k++)
				if (rnd_below(&l.rnd, 3) == 0)
					ask(&qs, &l, k);
		}
		lane_fini(&l);
	}
	assert_true(qs.sure > qs.asked); /* the columns did answer */
	questions_fini(&qs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns__follow_a_shard_through_its_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
