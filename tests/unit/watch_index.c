/* Live queries (docs/spec/events.md): which may be watched, whom a change concerns, what it is to who has been shown some rows. */
#include "query_fleet.h"
#include "rnd.h"
#include "watch/index.h"
#include "watch/shown.h"

static struct watch *
watch_of(const char *text)
{
	struct watch *w = NULL;
	struct fault f;

	if (watch_compile(str_of(text), true, &w, &f) != ERR_OK)
		fail_msg("%s: %s", text, f.text);
	return w;
}

static void
refused(const char *text, const char *why)
{
	struct watch *w = NULL;
	struct fault f = { .code = F_NONE };

	assert_int_equal(watch_compile(str_of(text), true, &w, &f), ERR_ARG);
	assert_null(w);
	assert_int_equal(f.code, F_ArgumentInvalid);
	if (strstr(f.text, why) == NULL)
		fail_msg("%s\n  gives %s\n  without '%s'", text, f.text, why);
}

static void
watch_compile__E51_what_may_be_watched(void **state)
{
	static const char *const good[] = { "SELECT * FROM devices",
		"SELECT * FROM devices.modules",
		"SELECT deviceId, tags.a AS x FROM devices WHERE tags.b > 3",
		"SELECT * FROM devices WHERE connectionState = 'Connected'",
		"SELECT properties.desired.$version FROM devices",
		"SELECT deviceId FROM devices WHERE IS_CONVERGED() OR tags.s LIKE 'a%'" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		watch_unref(watch_of(good[i]));
	refused("SELECT * FROM devices.jobs", "only devices and devices.modules");
	refused("SELECT COUNT() FROM devices", "aggregates");
	refused("SELECT tags.a, COUNT() FROM devices GROUP BY tags.a", "GROUP BY");
	refused("SELECT DISTINCT tags.a FROM devices", "DISTINCT");
	refused("SELECT deviceId FROM devices ORDER BY tags.a", "ORDER BY");
	refused("SELECT TOP 3 * FROM devices", "TOP");
	refused("SELECT * FROM devices WHERE lastActivityTime > '2020'", "lastActivityTime");
	refused("SELECT lastActivityTime FROM devices", "lastActivityTime");
	refused("SELECT * FROM devices WHERE cloudToDeviceMessageCount > 0",
	    "cloudToDeviceMessageCount");
	refused("SELECT * FROM devices WHERE version = 3", "version cannot");
	refused("SELECT version FROM devices", "version cannot");
	refused("SELECT * FROM", "Line 1:14");
}

/* ---- whom a change concerns ---- */

#define HEARD_MAX 16u /* ids are below */

/* By id: + it matches now, and what is shown of it differs; = it does not differ; - it does not match. */
struct heard {
	char mark[HEARD_MAX];
};

static void
hear(void *ctx, const struct watch_hit *hit)
{
	struct heard *h = ctx;

	assert_true(hit->id < HEARD_MAX && h->mark[hit->id] == '\0');
	h->mark[hit->id] = !hit->matches ? '-' : hit->differs ? '+' : '=';
}

#define ALL_RECORDS                                                                                \
	(RECORD_BIT(RECORD_IDENTITY) | RECORD_BIT(RECORD_WANTED) | RECORD_BIT(RECORD_REPORTED))

struct rig {
	struct fleet fl;
	struct watch_index *ix;
};

static void
asks(struct rig *rig, int was, int is, unsigned records, bool connection, const char *want)
{
	struct watch_change c = { .ops = &fleet_ops,
		.was = was < 0 ? NULL : &rig->fl.row[was],
		.is = is < 0 ? NULL : &rig->fl.row[is],
		.collection = QUERY_DEVICES,
		.records = records,
		.connection = connection };
	struct heard h = { "" };
	struct buf text = { 0 };

	if (fleet_in_collection(&rig->fl.row[is < 0 ? was : is], QUERY_MODULES))
		c.collection = QUERY_MODULES;
	watch_index_ask(rig->ix, &c, &rig->fl.scratch, NULL, hear, &h);
	for (unsigned id = 0; id < HEARD_MAX; id++)
		if (h.mark[id] != '\0')
			buf_printf(&text, "%s%u%c", text.n > 0 ? " " : "", id, h.mark[id]);
	if (!str_eq(buf_view(&text), str_of(want)))
		fail_msg("from row %d to row %d: '" STR_FMT "', not '%s'", was, is,
		    STR_ARG(buf_view(&text)), want);
	buf_fini(&text);
}

static const char *const rows[] = {
	/* 0 */ "{'deviceId':'d1','status':'enabled','connectionState':'Connected','tags':{'site':'"
	        "a','n':1},"
	        "'reported':{'t':20,'u':1}}",
	/* 1: t */
	"{'deviceId':'d1','status':'enabled','connectionState':'Connected','tags':{'site':'a','n':"
	"1},"
	"'reported':{'t':40,'u':1}}",
	/* 2: u */
	"{'deviceId':'d1','status':'enabled','connectionState':'Connected','tags':{'site':'a','n':"
	"1},"
	"'reported':{'t':20,'u':2}}",
	/* 3: site */
	"{'deviceId':'d1','status':'enabled','connectionState':'Connected','tags':{'site':'b','n':"
	"1},"
	"'reported':{'t':20,'u':1}}",
	/* 4: a module */
	"{'deviceId':'d1','moduleId':'m','tags':{'site':'a'},'reported':{'t':20}}",
	/* 5: another one's */
	"{'deviceId':'d2','status':'enabled','connectionState':'Connected','tags':{'site':'c'},"
	"'reported':{'t':50,'u':1}}",
};

static void
rig_init(struct rig *rig, const char *const *texts, size_t n)
{
	fleet_init(&rig->fl, rows, sizeof(rows) / sizeof(rows[0]));
	rig->ix = watch_index_new();
	for (size_t i = 0; i < n; i++) {
		struct watch *w = watch_of(texts[i]);
		struct fault f;
		assert_int_equal(watch_index_add(rig->ix, w, i + 1, &f), ERR_OK);
		watch_unref(w);
	}
}
#define RIG(rig, texts) rig_init(rig, texts, sizeof(texts) / sizeof((texts)[0]))

static void
rig_fini(struct rig *rig)
{
	watch_index_free(rig->ix);
	fleet_fini(&rig->fl);
}

static void
watch_index__E57_by_key_and_by_path(void **state)
{
	static const char *const texts[] = {
		/* 1 */ "SELECT deviceId FROM devices WHERE tags.site = 'a' AND "
		        "properties.reported.t > 30",
		/* 2 */ "SELECT properties.reported.u FROM devices WHERE 'b' = tags.site",
		/* 3 */ "SELECT deviceId FROM devices WHERE properties.reported.t > 30",
		/* 4 */ "SELECT * FROM devices WHERE deviceId IN ['d1', 'd9']",
		/* 5 */
		"SELECT deviceId, properties.reported.u FROM devices WHERE tags.n = 1 OR tags.n = "
		"2",
		/* 6 */ "SELECT * FROM devices.modules WHERE tags.site = 'a'",
		/* 7 */ "SELECT deviceId FROM devices WHERE connectionState = 'Connected'",
	};
	unsigned reported = RECORD_BIT(RECORD_REPORTED), wanted = RECORD_BIT(RECORD_WANTED);
	struct rig rig;

	(void)state;
	RIG(&rig, texts);
	asks(&rig, 0, 1, reported, false, "1= 3= 4+");
	asks(&rig, 1, 0, reported, false, "1- 3- 4+");
	asks(&rig, 0, 2, reported, false, "4+ 5+");
	asks(&rig, 0, 3, wanted, false, "1- 2= 4+");
	asks(&rig, 3, 0, wanted, false, "1- 2- 4+");
	asks(&rig, 0, 0, wanted, false, "4+"); /* the record was written, and is as before */
	asks(&rig, 0, 0, 0, true, "4+ 7=");
	asks(&rig, 5, 5, reported, false, "");
	asks(&rig, -1, 5, 0, false, "3+ 5- 7+"); /* it has come */
	asks(&rig, 5, -1, 0, false, "3- 5- 7-");
	asks(&rig, -1, 4, 0, false, "6+");
	asks(&rig, 4, 4, wanted, false, "6+");
	watch_index_remove(rig.ix, 4);
	watch_index_remove(rig.ix, 4);
	assert_int_equal(watch_index_count(rig.ix), 6);
	asks(&rig, 0, 1, reported, false, "1= 3=");
	watch_index_remove(rig.ix, 1);
	asks(&rig, 0, 3, wanted, false, "2=");
	rig_fini(&rig);
}

static void
watch_index__E53_documents_ask_for_all_records(void **state)
{
	static const char *const some[] = { "SELECT deviceId FROM devices WHERE tags.a = 1" },
	                         *const all[] = { "SELECT deviceId FROM devices WHERE tags.a = 1",
		                         "SELECT * FROM devices" };
	struct rig rig;

	(void)state;
	RIG(&rig, some);
	assert_int_equal(watch_index_records(rig.ix), RECORD_BIT(RECORD_WANTED));
	rig_fini(&rig);
	RIG(&rig, all);
	assert_int_equal(watch_index_records(rig.ix), ALL_RECORDS);
	watch_index_remove(rig.ix, 2);
	assert_int_equal(watch_index_records(rig.ix), RECORD_BIT(RECORD_WANTED));
	rig_fini(&rig);
}

static void
watch_index__E58_bounds(void **state)
{
	struct watch_index *ix = watch_index_new();
	struct fault f;
	struct watch *w = watch_of("SELECT * FROM devices WHERE tags.a = 1");
	char text[96];

	(void)state;
	for (uint64_t id = 1; id <= WATCH_INDEX_MAX; id++)
		assert_int_equal(watch_index_add(ix, w, id, &f), ERR_OK);
	assert_int_equal(watch_index_add(ix, w, 0, &f), ERR_FULL);
	assert_int_equal(f.code, F_GenericTooManyRequests);
	watch_index_remove(ix, 7);
	assert_int_equal(watch_index_add(ix, w, 0, &f), ERR_OK);
	watch_unref(w);
	watch_index_free(ix);
	ix = watch_index_new();
	for (unsigned i = 0; i < WATCH_INDEX_MAX - 1; i++) { /* three new paths each */
		enum err e;
		snprintf(text, sizeof(text),
		    "SELECT tags.a%u, tags.b%u FROM devices WHERE tags.c%u = 1", i, i, i);
		w = watch_of(text);
		e = watch_index_add(ix, w, i, &f);
		watch_unref(w);
		assert_int_equal(e, i < WATCH_PATHS_MAX / 3 ? ERR_OK : ERR_FULL);
		if (e != ERR_OK) {
			assert_non_null(strstr(f.text, "4096 paths"));
			break;
		}
	}
	assert_int_equal(watch_index_count(ix), WATCH_PATHS_MAX / 3);
	watch_index_remove(ix, 0); /* what the one refused had taken has gone, too */
	w = watch_of("SELECT tags.x FROM devices WHERE tags.y = tags.z");
	assert_int_equal(watch_index_add(ix, w, 0, &f), ERR_OK);
	watch_unref(w);
	watch_index_free(ix);
}

/* ---- against a naive reader: every watch judges and shows both rows ---- */

#define WATCHES 40u

struct naive {
	struct watch *watches[WATCHES]; /* by id; NULL: none */
	bool hit[WATCHES], matches[WATCHES], differs[WATCHES];
};

static void
note(void *ctx, const struct watch_hit *hit)
{
	struct naive *n = ctx;

	assert_true(hit->id < WATCHES && n->watches[hit->id] == hit->watch);
	assert_false(n->hit[hit->id]); /* once */
	n->hit[hit->id] = true;
	n->matches[hit->id] = hit->matches;
	n->differs[hit->id] = hit->differs;
}

static const char *
draw_path(struct rnd *r)
{
	static const char *const paths[] = { "tags.a", "tags.b", "properties.reported.a",
		"properties.reported.b", "properties.desired.a", "status", "deviceId", "tags",
		"properties.reported.$version", "properties", "tags.o.x" };

	return paths[rnd_below(r, sizeof(paths) / sizeof(paths[0]))];
}

static const char *
draw_constant(struct rnd *r)
{
	static const char *const constants[] = { "1", "2", "'x'", "true", "'d1'", "1.0" };

	return constants[rnd_below(r, sizeof(constants) / sizeof(constants[0]))];
}

static struct watch *
draw_watch(struct rnd *r)
{
	char text[512], condition[256] = "true";
	const char *from = rnd_below(r, 5) == 0 ? "devices.modules" : "devices";

	switch (rnd_below(r, 6)) {
	case 0: break;
	case 1:
		snprintf(condition, sizeof(condition), "%s = %s", draw_path(r), draw_constant(r));
		break;
	case 2:
		snprintf(condition, sizeof(condition), "%s = %s AND is_defined(%s)", draw_path(r),
		    draw_constant(r), draw_path(r));
		break;
	case 3:
		snprintf(condition, sizeof(condition), "%s IN [%s, %s, %s] AND NOT %s = %s",
		    draw_path(r), draw_constant(r), draw_constant(r), draw_constant(r),
		    draw_path(r), draw_constant(r));
		break;
	case 4:
		snprintf(condition, sizeof(condition), "%s = %s OR %s > 1", draw_path(r),
		    draw_constant(r), draw_path(r));
		break;
	default:
		snprintf(condition, sizeof(condition), "%s = %s", draw_path(r), draw_path(r));
		break;
	}
	if (rnd_below(r, 4) == 0)
		snprintf(text, sizeof(text), "SELECT * FROM %s WHERE %s", from, condition);
	else
		snprintf(text, sizeof(text), "SELECT %s AS p, %s AS q FROM %s WHERE %s",
		    draw_path(r), draw_path(r), from, condition);
	return watch_of(text);
}

/* One row more. */
static void
draw_row(struct fleet *fl, struct rnd *r, unsigned device, bool module)
{
	static const char *const values[] = { "1", "2", "\"x\"", "true", "{\"x\":1}" };
	static const char *const sections[] = { "tags", "desired", "reported" };
	struct buf json = { 0 };

	buf_printf(&json, "{\"deviceId\":\"d%u\",\"status\":\"%s\"%s", device,
	    rnd_below(r, 3) ? "enabled" : "disabled", module ? ",\"moduleId\":\"m\"" : "");
	for (int k = 0; k < 3; k++) {
		buf_printf(&json, ",\"%s\":{", sections[k]);
		if (rnd_below(r, 4))
			buf_printf(&json, "\"a\":%s,", values[rnd_below(r, 5)]);
		if (rnd_below(r, 4))
			buf_printf(&json, "\"o\":%s,", values[rnd_below(r, 5)]);
		buf_printf(&json, "\"b\":%s}", values[rnd_below(r, 5)]);
	}
	buf_putc(&json, '}');
	fleet_add(fl, buf_view(&json));
	buf_fini(&json);
}

static void
shows(struct fleet *fl, const struct query *q, const struct fleet_row *r, struct buf *out)
{
	out->n = 0;
	query_project(q, &fleet_ops, r, &fl->scratch, out);
}

static void
compare(struct fleet *fl, struct naive *n, const struct fleet_row *was, const struct fleet_row *is)
{
	struct buf a = { 0 }, b = { 0 };

	for (uint32_t i = 0; i < WATCHES; i++) {
		const struct query *q = n->watches[i] != NULL ? watch_query(n->watches[i]) : NULL;
		bool did, does;

		if (q == NULL || !fleet_in_collection(is, query_facts(q)->collection)) {
			assert_false(n->hit[i]);
			continue;
		}
		did = query_match(q, &fleet_ops, was, &fl->scratch);
		does = query_match(q, &fleet_ops, is, &fl->scratch);
		assert_true(n->hit[i] || did == does);
		if (n->hit[i])
			assert_int_equal(n->matches[i], does);
		if (!does || query_facts(q)->whole)
			continue;
		shows(fl, q, was, &a);
		shows(fl, q, is, &b);
		assert_int_equal(n->hit[i] && n->differs[i], !str_eq(buf_view(&a), buf_view(&b)));
	}
	buf_fini(&a);
	buf_fini(&b);
}

static void
watch_index__E57_agrees_with_a_naive_reader(void **state)
{
	struct watch_index *ix = watch_index_new();
	struct rnd r = { 20261130 };
	struct naive n = { 0 };
	struct fault f;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct fleet fl;
		uint32_t id = rnd_below(&r, WATCHES), device = 1 + rnd_below(&r, 2);
		bool module = rnd_below(&r, 5) == 0;
		struct watch_change c = { .ops = &fleet_ops,
			.collection = module ? QUERY_MODULES : QUERY_DEVICES,
			.records = ALL_RECORDS };

		watch_index_remove(ix, id);
		watch_unref(n.watches[id]);
		n.watches[id] = draw_watch(&r);
		assert_int_equal(watch_index_add(ix, n.watches[id], id, &f), ERR_OK);
		fleet_init(&fl, NULL, 0);
		draw_row(&fl, &r, device, module); /* an identity stays what it is called */
		draw_row(&fl, &r, device, module);
		c.was = &fl.row[0];
		c.is = &fl.row[1];
		memset(n.hit, 0, sizeof(n.hit));
		watch_index_ask(ix, &c, &fl.scratch, NULL, note, &n);
		compare(&fl, &n, &fl.row[0], &fl.row[1]);
		fleet_fini(&fl);
	}
	watch_index_free(ix);
	for (uint32_t i = 0; i < WATCHES; i++)
		watch_unref(n.watches[i]);
}

/* ---- what it is to who has been shown some ---- */

static void
watch_shown__E50_E54_steps(void **state)
{
	static const struct {
		bool first, matches, differs;
		enum watch_step step;
	} table[] = {
		{ false, false, true, WATCH_NONE }, /* it never matched */
		{ true, true, false, WATCH_ROW },   /* the first result has it */
		{ true, true, true, WATCH_NONE },   /* again, after a scan that began anew */
		{ false, true, false, WATCH_NONE }, /* nothing that is shown */
		{ false, true, true, WATCH_CHANGE },
		{ false, false, true, WATCH_LEAVE },
		{ false, false, true, WATCH_NONE },
		{ false, true, false, WATCH_ENTER },
		{ true, true, false, WATCH_NONE }, /* E-54: it has come as a change */
		{ false, false, false, WATCH_LEAVE },
	};
	struct watch_shown s = { 0 };

	(void)state;
	for (uint32_t row = 0; row < 200; row += 67) {
		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
			struct watch_sight seen = { 3, row, table[i].first, table[i].matches,
				table[i].differs };
			enum watch_step step;
			assert_int_equal(watch_shown_take(&s, &seen, &step), ERR_OK);
			assert_int_equal(step, table[i].step);
		}
		assert_int_equal(s.n, 0);
	}
	watch_shown_fini(&s);
}

static void
watch_shown__E58_rows(void **state)
{
	struct watch_shown s = { 0 };
	struct watch_sight seen = { 0, 0, true, true, false };
	enum watch_step step;

	(void)state;
	for (uint32_t i = 0; i < WATCH_ROWS_MAX; i++) {
		seen.shard = i % SHARDS;
		seen.row = i / SHARDS;
		assert_int_equal(watch_shown_take(&s, &seen, &step), ERR_OK);
	}
	seen.row++;
	assert_int_equal(watch_shown_take(&s, &seen, &step), ERR_FULL);
	seen = (struct watch_sight){ 0, 0, false, false, false };
	assert_int_equal(watch_shown_take(&s, &seen, &step), ERR_OK);
	assert_int_equal(step, WATCH_LEAVE);
	seen = (struct watch_sight){ 1, 999999, false, true, false };
	assert_int_equal(watch_shown_take(&s, &seen, &step), ERR_OK);
	assert_int_equal(step, WATCH_ENTER);
	watch_shown_fini(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(watch_compile__E51_what_may_be_watched),
		cmocka_unit_test(watch_index__E57_by_key_and_by_path),
		cmocka_unit_test(watch_index__E53_documents_ask_for_all_records),
		cmocka_unit_test(watch_index__E58_bounds),
		cmocka_unit_test(watch_index__E57_agrees_with_a_naive_reader),
		cmocka_unit_test(watch_shown__E50_E54_steps),
		cmocka_unit_test(watch_shown__E58_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
