/*
 * Columns against the row evaluator and against a naive one, on random fleets that change between turns: every verdict
 * of every block, and every aggregate, to the last bit. 2,000 pairs of fleet and query; 100,000 with TWINHUB_LONG=1.
 */
#include "query/columns.h"
#include "query_model.h"

#define ROWS_MAX 1500
#define ALL_NEEDS                                                                                  \
	((struct query_needs){ .roots = UINT64_MAX, .sections = (1u << SECTION_KINDS) - 1 })

struct rig {
	struct fleet fl;
	struct val *model[ROWS_MAX];
	enum row_kind kind[ROWS_MAX];
	uint32_t n;
	struct columns *c;
	struct query_scratch scratch;
	struct rnd r;
	uint64_t judged, asked, ordered; /* rows */
	struct buf json;                 /* what the last query gave */
	bool still;                      /* nothing changes between turns */
};

/* ---- rows ---- */

/* Another content for a row, or the first one. */
static void
rig_fill(struct rig *rig, uint32_t row)
{
	struct fleet_row last;
	struct buf json = { 0 };

	rig->model[row] = wide_row(&rig->r);
	val_json(&json, rig->model[row]);
	fleet_add(&rig->fl, buf_view(&json));
	buf_fini(&json);
	last = rig->fl.row[--rig->fl.n];
	if (row < rig->n) {
		buf_fini(&rig->fl.row[row].root);
		for (int k = 0; k < SECTION_KINDS; k++)
			buf_fini(&rig->fl.row[row].stored[k]);
	} else {
		rig->n = row + 1;
		rig->fl.n++;
	}
	rig->fl.row[row] = last;
}

static void
rig_tell(struct rig *rig, uint32_t row, bool all)
{
	struct query_needs changed = ALL_NEEDS, hand = ALL_NEEDS;

	if (!all)
		hand.sections &= (uint8_t)rnd_below(&rig->r, 8);
	columns_row_changed(rig->c, row, rig->kind[row], &changed, &hand,
	    rig->kind[row] == ROW_FREE ? NULL : &fleet_ops, &rig->fl.row[row], &rig->scratch);
}

static enum row_kind
random_kind(struct rnd *r)
{
	uint32_t k = rnd_below(r, 10);

	return k == 0 ? ROW_FREE : k == 1 ? ROW_MODULE : ROW_DEVICE;
}

/* A row changes, comes, goes, or is put back as it was (undo looks like any other change). */
static void
rig_change(struct rig *rig)
{
	uint32_t row = rnd_below(&rig->r, rig->n + (rig->n < ROWS_MAX));

	if (row == rig->n || rnd_below(&rig->r, 2))
		rig_fill(rig, row);
	if (rnd_below(&rig->r, 4) == 0 || row >= rig->n)
		rig->kind[row] = random_kind(&rig->r);
	rig_tell(rig, row, rnd_below(&rig->r, 20) > 0);
}

static void
rig_init(struct rig *rig, uint64_t seed, uint32_t rows, size_t max_bytes)
{
	memset(rig, 0, sizeof(*rig));
	rig->r.state = seed;
	pool_used = 0;
	wide = true;
	fleet_init(&rig->fl, NULL, 0);
	rig->c = columns_new(max_bytes, NULL, NULL);
	for (uint32_t i = 0; i < rows; i++) {
		rig_fill(rig, i);
		rig->kind[i] = random_kind(&rig->r);
		rig_tell(rig, i, true);
	}
}

static void
rig_fini(struct rig *rig)
{
	columns_free(rig->c);
	buf_fini(&rig->json);
	query_scratch_fini(&rig->scratch);
	fleet_fini(&rig->fl);
	wide = false;
}

/* ---- one walk, turn by turn ---- */

struct check {
	struct rig *rig;
	struct query *q;
	const struct tree *tree; /* NULL: no condition */
	const char *text;
	struct query_groups *got, *want;
	struct query_order *got_order, *want_order;
	uint64_t matched;
};

static bool
truly(struct check *k, uint32_t row)
{
	struct rig *rig = k->rig;
	bool device = query_facts(k->q)->collection == QUERY_DEVICES, match, naive;
	size_t used = pool_used;

	if (rig->kind[row] != (device ? ROW_DEVICE : ROW_MODULE))
		return false;
	match = query_match(k->q, &fleet_ops, &rig->fl.row[row], &rig->scratch);
	if (k->tree != NULL) {
		struct val v = eval(k->tree, rig->model[row]);
		naive = v.kind == BOOL && v.num != 0;
		if (naive != match)
			fail_msg("row %u, %s: the evaluators differ", row, k->text);
	}
	pool_used = used;
	return match;
}

static void
count_row(struct check *k, struct query_groups *g, uint32_t row)
{
	assert_int_equal(
	    query_groups_add(g, &fleet_ops, &k->rig->fl.row[row], &k->rig->scratch, NULL), ERR_OK);
}

static void
learn(struct check *k, struct vector *v, uint32_t row)
{
	vector_learn(v, row, &fleet_ops, &k->rig->fl.row[row], &k->rig->scratch);
}

/* A row that matches, by its document; or by columns, as far as they know. */
static void
order_row(struct check *k, struct query_order *o, struct vector *v, uint32_t row)
{
	const struct fleet_row *r = &k->rig->fl.row[row];
	enum order_view view = v != NULL ? vector_order(v, row, o) : ORDER_ASK;

	k->rig->ordered += view != ORDER_ASK;
	if (view == ORDER_TAKE ||
	    (view == ORDER_ASK && query_order_wants(o, &fleet_ops, r, &k->rig->scratch)))
		assert_int_equal(
		    query_order_take(o, 0, &fleet_ops, r, &k->rig->scratch, NULL), ERR_OK);
}

static void
check_block(struct check *k, struct vector *v, uint32_t from, uint32_t n)
{
	uint8_t verdicts[VECTOR_ROWS];
	bool any = vector_judge(v, from, n, verdicts);
	uint32_t stop;

	for (uint32_t i = 0; i < n; i++) {
		bool match = truly(k, from + i), may = verdicts[i] & VERDICT_POSSIBLE,
		     asks = verdict_asks(verdicts[i]);
		if ((match && !may) || (!match && may && !asks) || (may && !any))
			fail_msg("row %u: %s gives verdict %u, not %d", from + i, k->text,
			    verdicts[i], match);
		k->rig->judged++;
		k->rig->asked += asks;
		k->matched += match;
		if (match && k->want != NULL)
			count_row(k, k->want, from + i);
		if (match && k->want_order != NULL) {
			order_row(k, k->want_order, NULL, from + i);
			order_row(k, k->got_order, asks ? NULL : v, from + i);
		}
	}
	for (uint32_t i = 0; i < n && k->got != NULL; i = stop + 1) {
		assert_int_equal(vector_add(v, verdicts, i, n, k->got, &stop, NULL), ERR_OK);
		if (stop < n)
			learn(k, v, from + stop);
		if (stop < n && truly(k, from + stop))
			count_row(k, k->got, from + stop);
	}
	for (uint32_t i = 0; i < n && k->got == NULL; i++)
		if (verdict_asks(verdicts[i]))
			learn(k, v, from + i);
}

/* Keys k00000 to k02047, in an order that is not that of the rows. */
#define KEYS 2048u

static struct str
key_of(uint32_t i, char out[8])
{
	snprintf(out, 8, "k%05u", (unsigned)i % 100000);
	return (struct str){ out, 6 };
}

/* Sections are sources, all roots together another; what is of desired properties goes row by row. */
static unsigned
source_of(void *ctx, const struct query_needs *needs)
{
	(void)ctx;
	if (needs->sections & QUERY_SECTION_BIT(SECTION_DESIRED))
		return 0;
	return needs->sections != 0 ? needs->sections : 32;
}

/* A stretch of keys; false: only its beginning. */
static bool
sweep_some(struct rig *rig, struct vector *v, const struct column_sweep *s)
{
	uint32_t most = rnd_below(&rig->r, 2) ? UINT32_MAX : rnd_below(&rig->r, rig->n), taken = 0;
	char text[8], last[8];
	struct str key;

	for (uint32_t i = 0; i < KEYS; i++) {
		uint32_t row = i ^ 0x155;
		key = key_of(i, text);
		if (str_cmp(key, s->from) < 0 || row >= rig->n || rig->kind[row] == ROW_FREE)
			continue;
		if (s->to.n > 0 && str_cmp(key, s->to) >= 0)
			break;
		if (taken == most) {
			vector_swept(v, taken > 0 ? str_of(last) : STR_NONE, false);
			return false;
		}
		vector_take(v, row, &fleet_ops, &rig->fl.row[row], &rig->scratch);
		memcpy(last, text, sizeof(last));
		taken++;
	}
	vector_swept(v, STR_NONE, true);
	return true;
}

static bool
build_some(struct check *k, struct vector *v)
{
	struct rig *rig = k->rig;
	struct query_needs needs;
	struct column_sweep s;
	uint32_t row;

	while (rnd_below(&rig->r, 8) > 0 && vector_sweep(v, source_of, NULL, &s))
		if (!sweep_some(rig, v, &s))
			return false;
	for (uint32_t i = 1 + rnd_below(&rig->r, 2 * rig->n); vector_wants(v, &row, &needs); i--) {
		if (i == 0)
			return false;
		assert_true(needs.roots != 0 || needs.sections != 0);
		vector_show(v, row, rig->kind[row], &fleet_ops, &rig->fl.row[row], &rig->scratch);
	}
	return true;
}

static void
walk(struct check *k)
{
	struct rig *rig = k->rig;
	struct vector *v = vector_new(k->q);
	uint32_t row = 0;

	for (bool begins = true; row < rig->n; begins = false) {
		vector_open(v, rig->c, begins, &rig->scratch);
		if (build_some(k, v)) {
			for (uint32_t i = 1 + rnd_below(&rig->r, 3); i > 0 && row < rig->n; i--) {
				uint32_t n = 1 + rnd_below(&rig->r, VECTOR_ROWS);
				n = n < rig->n - row ? n : rig->n - row;
				check_block(k, v, row, n);
				row += n;
			}
		}
		for (uint32_t i = rnd_below(&rig->r, 6); i > 0 && !rig->still; i--)
			rig_change(rig);
		if (rnd_below(&rig->r, 4) == 0 && !rig->still)
			columns_trim(rig->c);
	}
	vector_free(v);
}

static void
results_same(struct check *k)
{
	struct buf *got = &k->rig->json, want = { 0 };

	got->n = 0;
	if (k->got != NULL) {
		query_groups_finish(k->got);
		query_groups_finish(k->want);
		query_groups_write(k->got, 0, UINT32_MAX, got);
		query_groups_write(k->want, 0, UINT32_MAX, &want);
	} else {
		query_order_finish(k->got_order);
		query_order_finish(k->want_order);
		assert_int_equal(query_order_count(k->got_order), query_order_count(k->want_order));
		query_order_write(k->got_order, 0, UINT32_MAX, SIZE_MAX, got);
		query_order_write(k->want_order, 0, UINT32_MAX, SIZE_MAX, &want);
	}
	if (!str_eq(buf_view(got), buf_view(&want)))
		fail_msg("%s\n  gives " STR_FMT "\n  not   " STR_FMT, k->text,
		    STR_ARG(buf_view(got)), STR_ARG(buf_view(&want)));
	buf_putc(got, '\0');
	buf_fini(&want);
}

/* Walk the fleet with a query; returns how many rows matched. */
static uint64_t
run_check(struct rig *rig, const char *text, const struct tree *tree)
{
	struct check k = { .rig = rig, .text = text, .tree = tree };
	struct query_options options = { .extensions = true };
	struct fault f = { .text = "" };

	if (query_parse(str_of(text), &options, &k.q, &f))
		fail_msg("%s: %s", text, f.text);
	if (query_facts(k.q)->aggregate) {
		k.got = query_groups_new(k.q, 1 << 24);
		k.want = query_groups_new(k.q, 1 << 24);
	}
	if (query_facts(k.q)->ordered) {
		k.got_order = query_order_new(k.q, 40, 1 << 24);
		k.want_order = query_order_new(k.q, 40, 1 << 24);
	}
	walk(&k);
	if (k.got != NULL || k.got_order != NULL)
		results_same(&k);
	query_groups_free(k.got);
	query_groups_free(k.want);
	query_order_free(k.got_order);
	query_order_free(k.want_order);
	query_free(k.q);
	return k.matched;
}

static bool
nothing_built(const struct columns *c)
{
	struct column_facts facts;
	struct buf name = { 0 };
	bool none = true;

	for (uint32_t i = 0; columns_facts(c, i, &facts, &name); i++)
		none &= facts.form == COLUMN_NONE;
	buf_fini(&name);
	return none;
}

#define FLEET_QUERIES 50

static uint64_t judged, asked, ordered; /* rows of all fleets */
static unsigned forms;                  /* bit per form that a column had */

/* Queries of which each runs twice: its columns are built, and used. */
static void
try_fleet(uint64_t seed, uint32_t rows, size_t max_bytes)
{
	struct column_facts facts;
	struct buf text = { 0 };
	struct rig rig;

	rig_init(&rig, seed, rows, max_bytes);
	for (int i = 0; i < FLEET_QUERIES; i++) {
		struct tree *t = random_query(&rig.r, &text);
		for (int turn = 0; turn < 2; turn++)
			run_check(&rig, text.p, t);
		columns_trim(rig.c);
		assert_true(columns_bytes(rig.c) <= max_bytes || nothing_built(rig.c));
	}
	judged += rig.judged;
	asked += rig.asked;
	ordered += rig.ordered;
	for (uint32_t i = 0; columns_facts(rig.c, i, &facts, &text); i++)
		forms |= 1u << facts.form;
	buf_fini(&text);
	rig_fini(&rig);
}

static void
columns__agree_with_the_row_evaluator_and_the_naive_one(void **state)
{
	static const uint32_t sizes[] = { 3, 40, 300, 300, 1200 };
	unsigned fleets = getenv("TWINHUB_LONG") != NULL ? 2000 : 40;

	(void)state;
	for (unsigned i = 0; i < fleets; i++)
		try_fleet(
		    UINT64_C(77771) + i * 1000003, sizes[i % 5], i % 4 == 3 ? 20000 : 16u << 20);
	/* the columns did answer, in all their forms */
	assert_int_equal(forms, (1u << (COLUMN_HASHES + 1)) - 1);
	assert_true(asked * 2 < judged);
	assert_true(ordered > 1000);
}

/* ---- metamorphic relations: between answers, whatever is right ---- */

/* COUNT() of a condition, by columns. */
static uint64_t
count_where(struct rig *rig, const char *format, const char *condition)
{
	struct buf text = { 0 };
	uint64_t n;

	buf_cstr(&text, "SELECT COUNT() AS c FROM devices WHERE ");
	for (; *format != '\0'; format++)
		if (*format == '?')
			buf_cstr(&text, condition);
		else
			buf_putc(&text, *format);
	buf_putc(&text, '\0');
	run_check(rig, text.p, NULL);
	run_check(rig, text.p, NULL);
	n = run_check(rig, text.p, NULL);
	buf_fini(&text);
	return n;
}

static void
columns__three_truths_partition_the_rows(void **state)
{
	struct buf p = { 0 };
	struct rig rig;

	(void)state;
	rig_init(&rig, 4242, 700, 16u << 20);
	rig.still = true;
	for (int i = 0; i < 60; i++) {
		uint64_t all, yes, no, neither;

		p.n = 0;
		tree_used = 0;
		tree_text(&p, random_tree(&rig.r, 3));
		buf_putc(&p, '\0');
		all = count_where(&rig, "IS_DEFINED(deviceId)", p.p);
		yes = count_where(&rig, "?", p.p);
		no = count_where(&rig, "NOT (?)", p.p);
		neither = count_where(&rig, "NOT IS_BOOL(?)", p.p);
		if (yes + no + neither != all)
			fail_msg("%s: %llu + %llu + %llu rows of %llu", p.p,
			    (unsigned long long)yes, (unsigned long long)no,
			    (unsigned long long)neither, (unsigned long long)all);
	}
	buf_fini(&p);
	rig_fini(&rig);
}

/* The numbers of all members "c" of the last answer: how many, and their sum. */
static void
counts_of(const struct rig *rig, uint64_t *n, uint64_t *sum)
{
	*n = *sum = 0;
	for (const char *p = rig->json.p; (p = strstr(p, "\"c\":")) != NULL; ++*n)
		*sum += strtoul(p += 4, NULL, 10);
}

static void
ask(struct rig *rig, uint64_t *n, uint64_t *sum, const char *format, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	run_check(rig, text, NULL);
	run_check(rig, text, NULL);
	counts_of(rig, n, sum);
}

static void
columns__groups_are_made_of_the_rows_and_different_values_of_the_groups(void **state)
{
	static const char *const paths[] = { "tags.flag", "tags.state", "tags.code", "tags.level",
		"tags.temp", "tags.serial", "tags.mixed", "tags.long", "tags.rare", "status" };
	struct buf p = { 0 };
	struct rig rig;

	(void)state;
	rig_init(&rig, 4243, 700, 16u << 20);
	rig.still = true;
	for (size_t i = 0; i < 40; i++) {
		const char *path = paths[i % 10];
		uint64_t n, all, groups, sum, distinct;

		p.n = 0;
		tree_used = 0;
		tree_text(&p, random_tree(&rig.r, 2));
		buf_putc(&p, '\0');
		ask(&rig, &n, &all, "SELECT COUNT() AS c FROM devices WHERE %s", p.p);
		ask(&rig, &groups, &sum, "SELECT COUNT() AS c FROM devices WHERE %s GROUP BY %s",
		    p.p, path);
		assert_int_equal(all, sum);
		ask(&rig, &n, &distinct, "SELECT COUNT(DISTINCT %s) AS c FROM devices WHERE %s",
		    path, p.p);
		ask(&rig, &groups, &sum,
		    "SELECT COUNT() AS c FROM devices WHERE (%s) AND IS_DEFINED(%s) GROUP BY %s",
		    p.p, path, path);
		assert_int_equal(distinct, groups);
		ask(&rig, &n, &all, "SELECT COUNT() AS c FROM devices WHERE %s BETWEEN 2 AND 50",
		    path);
		ask(&rig, &n, &sum, "SELECT COUNT() AS c FROM devices WHERE %s >= 2 AND %s <= 50",
		    path, path);
		assert_int_equal(all, sum);
		ask(&rig, &n, &all, "SELECT COUNT() AS c FROM devices WHERE %s LIKE 's0001'", path);
		ask(&rig, &n, &sum, "SELECT COUNT() AS c FROM devices WHERE %s = 's0001'", path);
		assert_int_equal(all, sum);
	}
	buf_fini(&p);
	rig_fini(&rig);
}

/* ---- forms ---- */

static struct column_facts
facts_of(const struct rig *rig, const char *name)
{
	struct column_facts facts;
	struct buf text = { 0 };
	bool found = false;

	for (uint32_t i = 0; !found && columns_facts(rig->c, i, &facts, &text); i++) {
		found = str_eq(buf_view(&text), str_of(name));
		text.n = 0;
	}
	buf_fini(&text);
	assert_true(found);
	return facts;
}

static void
columns__take_the_form_that_the_data_warrants(void **state)
{
	static const struct {
		const char *path;
		enum column_form form;
		size_t max_bytes; /* of 1,400 rows */
	} forms_of[] = { { "tags.state", COLUMN_CODES8, 3000 },
		{ "tags.level", COLUMN_CODES8, 8000 }, { "tags.code", COLUMN_CODES16, 32000 },
		{ "tags.temp", COLUMN_NUMBERS, 13000 }, { "tags.serial", COLUMN_HASHES, 7000 },
		{ "tags.rare", COLUMN_SPARSE, 1500 }, { "tags.absent", COLUMN_SPARSE, 600 } };
	struct rig rig;
	char text[96];

	(void)state;
	rig_init(&rig, 99, 1400, 16u << 20);
	rig.still = true;
	for (size_t i = 0; i < sizeof(forms_of) / sizeof(forms_of[0]); i++) {
		struct column_facts f;

		snprintf(text, sizeof(text), "SELECT * FROM devices WHERE %s = 's0001'",
		    forms_of[i].path);
		run_check(&rig, text, NULL);
		f = facts_of(&rig, forms_of[i].path);
		assert_true(f.complete);
		if (f.form != forms_of[i].form || f.bytes > forms_of[i].max_bytes)
			fail_msg("%s: %s, %zu bytes", forms_of[i].path, column_form_name(f.form),
			    f.bytes);
	}
	rig_fini(&rig);
}

/* Of the two records of a row only one is at hand when it changes: the row is asked once, and then known again. */
static void
columns__of_convergence_learn_from_documents(void **state)
{
	static const char query[] = "SELECT COUNT() AS n FROM devices WHERE NOT IS_CONVERGED()";
	struct query_needs desired = { .sections = QUERY_SECTION_BIT(SECTION_DESIRED) };
	struct rig rig;
	uint64_t n = 0;

	(void)state;
	rig_init(&rig, 97, 300, 16u << 20);
	rig.still = true;
	for (int i = 0; i < 3; i++)
		n = run_check(&rig, query, NULL);
	assert_true(facts_of(&rig, "IS_CONVERGED()").complete);
	for (uint32_t i = 0; i < rig.n; i++)
		columns_row_changed(rig.c, i, rig.kind[i], &desired, &desired,
		    rig.kind[i] == ROW_FREE ? NULL : &fleet_ops, &rig.fl.row[i], &rig.scratch);
	for (int i = 0; i < 2; i++) {
		rig.asked = 0;
		assert_int_equal(run_check(&rig, query, NULL), n);
		assert_int_equal(rig.asked > 200, i == 0);
		assert_int_equal(rig.asked == 0, i == 1);
	}
	rig_fini(&rig);
}

/* A fleet whose keys are data: each path is asked for twice, and none again. */
static void
columns__of_very_many_paths_stay_few(void **state)
{
	struct column_facts facts;
	struct buf name = { 0 };
	struct rig rig;
	char text[96];

	(void)state;
	rig_init(&rig, 98, 50, 16u << 20);
	rig.still = true;
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "SELECT * FROM devices WHERE tags.key%u = 1", i / 2);
		run_check(&rig, text, NULL);
	}
	assert_false(columns_facts(rig.c, COLUMNS_MAX, &facts, &name));
	assert_true(columns_bytes(rig.c) < COLUMNS_MAX * 1000);
	buf_fini(&name);
	rig_fini(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns__three_truths_partition_the_rows),
		cmocka_unit_test(
		    columns__groups_are_made_of_the_rows_and_different_values_of_the_groups),
		cmocka_unit_test(columns__take_the_form_that_the_data_warrants),
		cmocka_unit_test(columns__of_very_many_paths_stay_few),
		cmocka_unit_test(columns__of_convergence_learn_from_documents),
		cmocka_unit_test(columns__agree_with_the_row_evaluator_and_the_naive_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
