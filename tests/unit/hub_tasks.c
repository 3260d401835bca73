/* Tasks, stepped without a worker: what they answer does not depend on how short their slices are, on what is in memory, or on
 * whether columns may be made; they ask for nothing that is there, and for what is not no more often than they must. */
#include "task_kit.h"

#include "hub/cargo.h"
#include "task/counts.h"
#include "task/paths.h"
#include "task/query.h"
#include "task/registry.h"

#define FLEET 150

static void
fleet(struct kit *k)
{
	for (unsigned i = 0; i < FLEET; i++) {
		char id[16], patch[80];

		snprintf(id, sizeof(id), "d%u", i * 7 % FLEET);
		kit_device(k, id);
		snprintf(patch, sizeof(patch), "{'tags':{'n':%u,'kind':'%c'}}", i * 7 % FLEET,
		    'a' + i % 3);
		kit_patch(k, id, NULL, patch);
	}
	kit_body(k, OP_IDENTITY_PUT, "d3/m1", NULL, "{'deviceId':'d3','moduleId':'m1'}");
}

static struct query_task *
ask(const char *text, uint32_t limit)
{
	const struct query_options options = { .extensions = true };
	struct query_task *q;
	struct query *query = NULL;

	assert_int_equal(query_parse(str_of(text), &options, &query, NULL), ERR_OK);
	q = query_task_new(query);
	q->task.page->limit = limit;
	return q;
}

static const char *const questions[] = {
	"SELECT deviceId, tags.n AS n FROM devices WHERE tags.kind = 'b' AND tags.n > 20",
	"SELECT * FROM devices WHERE deviceId = 'd42'",
	"SELECT tags.n AS n FROM devices WHERE deviceId IN ['d1','d2','nobody','d149']",
	"SELECT TOP 7 deviceId FROM devices WHERE tags.n >= 100",
	"SELECT tags.kind AS k, COUNT() AS c, SUM(tags.n) AS s FROM devices GROUP BY tags.kind",
	"SELECT COUNT() AS c FROM devices WHERE IS_DEFINED(tags.n) AND deviceId != 'd9'",
	"SELECT deviceId FROM devices WHERE tags.n < 30 ORDER BY tags.n DESC",
	"SELECT * FROM devices WHERE tags.n < 30 ORDER BY tags.n DESC",
	"SELECT deviceId FROM devices WHERE tags.kind = 'a' ORDER BY etag, deviceId DESC",
	"SELECT moduleId FROM devices.modules",
	"SELECT COUNT() AS c FROM devices.modules",
	"SELECT deviceId FROM devices",
};

static void
tasks__answer_the_same_however_they_are_stepped(void **state)
{
	struct kit *k = *state;
	unsigned slices = 0, rows = 0, ranges = 0, leaves = 0;

	fleet(k);
	for (unsigned i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		char *wanted = NULL;

		for (unsigned way = 0; way < 24; way++) {
			struct query_task *q = ask(questions[i], 1000);
			struct stepper st;
			const char *rows_now;

			kit_restart(k); /* no columns yet */
			stepper_init(&st, k, way % 2 ? 1 << 20 : 0);
			st.looks = way / 2 % 3; /* never over; at the first look; at the second */
			st.cold = way / 6 % 2;
			q->explain = way / 12 % 2;
			stepper_runs(&st, &q->task);
			assert_int_equal(q->task.fault.code, F_NONE);
			assert_false(q->task.page->more);
			rows_now = stepper_rows(&st, &q->task);
			if (wanted == NULL)
				wanted = strdup(rows_now);
			assert_string_equal(rows_now, wanted);
			slices += st.slices;
			rows += st.rows;
			ranges += st.ranges;
			leaves += st.leaves;
			task_free(&q->task);
			stepper_fini(&st);
		}
		free(wanted);
	}
	assert_true(slices > 1000 && rows > 1000 && ranges > 100 && leaves > 10);
}

/* Pages: each row once, and the token's place is where the next one begins. */
static void
tasks__Q03_a_page_ends_at_its_limit_and_the_next_goes_on(void **state)
{
	struct kit *k = *state;
	unsigned n = 0;
	struct query_bookmark bookmark = { 0 };
	bool more = true;

	fleet(k);
	while (more) {
		struct query_task *q = ask("SELECT deviceId FROM devices WHERE tags.n >= 0", 17);
		struct stepper st;

		stepper_init(&st, k, 1 << 20);
		st.looks = 1;
		st.cold = true;
		q->task.bookmark = bookmark;
		stepper_runs(&st, &q->task);
		n += q->task.page->nrow;
		more = q->task.page->more;
		assert_true(more ? q->task.page->nrow == 17 : q->task.page->nrow == FLEET % 17);
		bookmark = q->task.bookmark;
		task_free(&q->task);
		stepper_fini(&st);
	}
	assert_int_equal(n, FLEET);
}

/* Two writes between any two slices: what met the condition all the time is there once. */
static void
others_write(struct stepper *st)
{
	static unsigned n;
	char id[16];

	snprintf(id, sizeof(id), "x%u", n++);
	kit_device(st->k, id);
	kit_patch(st->k, id, NULL, "{'tags':{'n':5}}");
	if (st->slices % 3 == 0)
		kit_delete(st->k, id, "*");
	kit_patch(st->k, "d8", NULL, "{'tags':{'w':1}}");
}

static void
tasks__what_stays_is_there_once_whatever_is_written_between_slices(void **state)
{
	struct kit *k = *state;

	fleet(k);
	for (unsigned way = 0; way < 4; way++) {
		struct query_task *q = ask("SELECT deviceId FROM devices WHERE tags.n >= 0", 1000);
		struct stepper st;
		const char *rows;

		stepper_init(&st, k, way % 2 ? 1 << 20 : 0);
		st.looks = 1;
		st.cold = way / 2;
		st.between = others_write;
		stepper_runs(&st, &q->task);
		rows = stepper_rows(&st, &q->task);
		for (unsigned i = 0; i < FLEET; i++) {
			char part[40];
			const char *at;

			snprintf(part, sizeof(part), "{'deviceId':'d%u'}", i);
			at = strstr(rows, part);
			assert_non_null(at);
			assert_null(strstr(at + 1, part));
		}
		task_free(&q->task);
		stepper_fini(&st);
	}
}

/* ---- needs ---- */

static void
tasks__ask_for_each_record_once(void **state)
{
	struct kit *k = *state;
	struct query_task *q = ask("SELECT tags.n AS n FROM devices WHERE tags.kind = 'b'", 1000);
	struct stepper st;

	fleet(k);
	stepper_init(&st, k, 0);
	st.cold = true;
	stepper_runs(&st, &q->task);
	assert_int_equal(q->task.page->nrow, FLEET / 3);
	assert_int_equal(st.rows, FLEET); /* the condition's records are those of the output */
	assert_int_equal(q->seen.asked, FLEET);
	assert_int_equal(q->seen.judged, FLEET);
	task_free(&q->task);
	stepper_fini(&st);
	shard_evict(k->sh, 0);
	q = ask("SELECT * FROM devices WHERE tags.kind = 'b'", 1000);
	stepper_init(&st, k, 0);
	stepper_runs(&st, &q->task);
	assert_int_equal(st.rows, FLEET + FLEET / 3); /* and those of the output, of what matches */
	assert_int_equal(q->seen.asked, FLEET);       /* that is asked once all the same */
	task_free(&q->task);
	stepper_fini(&st);
}

static void
tasks__fail_when_a_record_that_they_need_cannot_be_had(void **state)
{
	struct kit *k = *state;

	fleet(k);
	for (unsigned columns = 0; columns < 2; columns++) {
		struct query_task *q =
		    ask("SELECT tags.n AS n FROM devices WHERE tags.n > 3", 1000);
		struct stepper st;

		stepper_init(&st, k, columns ? 1 << 20 : 0);
		st.cold = true;
		st.broken = "d77";
		st.broken_as = ERR_CORRUPT;
		shard_evict(k->sh, 0);
		stepper_runs(&st, &q->task);
		assert_int_equal(q->task.fault.code, F_StoredDamaged);
		task_free(&q->task);
		stepper_fini(&st);
	}
}

/* Who may not make columns now is over, and has seen nothing; later it goes on. */
static void
tasks__without_leave_to_make_columns_wait(void **state)
{
	struct kit *k = *state;
	struct query_task *q = ask("SELECT COUNT() AS c FROM devices WHERE tags.kind = 'c'", 10);
	struct stepper st;

	fleet(k);
	stepper_init(&st, k, 1 << 20);
	q->task.bookmark.shard = k->sh->index;
	task_begin(&q->task, 1 << 20);
	st.no_leave = true;
	for (unsigned i = 1; i < 5; i++) {
		assert_int_equal(stepper_slice(&st, &q->task), STEP_OVER);
		assert_int_equal(st.leaves, i);
		assert_int_equal(q->seen.judged + q->seen.asked + q->seen.shown, 0);
	}
	st.no_leave = false;
	assert_int_equal(stepper_slice(&st, &q->task), STEP_DONE);
	task_finish(&q->task);
	assert_string_equal(stepper_rows(&st, &q->task), "{'c':50}");
	task_free(&q->task);
	stepper_fini(&st);
}

/* ---- parts ---- */

static void
tasks__parts_of_an_aggregate_are_put_together(void **state)
{
	struct kit *k = *state;
	struct query_task *q =
	    ask("SELECT tags.kind AS k, COUNT() AS c FROM devices GROUP BY tags.kind", 100);
	struct task *parts[3];
	struct stepper st;

	fleet(k);
	stepper_init(&st, k, 0);
	task_begin(&q->task, 1 << 20);
	for (unsigned i = 0; i < 3;
	     i++) { /* each sees the same shard: counts are three times as large */
		parts[i] = task_part(&q->task, 3);
		assert_non_null(parts[i]);
		parts[i]->bookmark.shard = k->sh->index;
		assert_int_equal(stepper_slice(&st, parts[i]), STEP_DONE);
		task_merge(&q->task, parts[i]);
		task_free(parts[i]);
	}
	task_finish(&q->task);
	assert_string_equal(
	    stepper_rows(&st, &q->task), "{'k':'a','c':150},{'k':'b','c':150},{'k':'c','c':150}");
	assert_int_equal(q->seen.judged, 3 * FLEET);
	task_free(&q->task);
	q = ask("SELECT deviceId FROM devices", 100); /* rows are no groups */
	task_begin(&q->task, 1 << 20);
	assert_null(task_part(&q->task, 3));
	task_free(&q->task);
	stepper_fini(&st);
}

static void
tasks__Q88_parts_of_an_order_are_put_together(void **state)
{
	struct kit *k = *state;
	struct query_task *q = ask("SELECT deviceId FROM devices ORDER BY tags.kind, tags.n", 3);
	struct stepper st;

	fleet(k);
	stepper_init(&st, k, 0);
	q->task.bookmark.delivered =
	    1; /* the second page: what comes before it has to be known, too */
	task_begin(&q->task, 1 << 20);
	for (unsigned i = 0; i < 2; i++) { /* both see the same shard: each row comes twice */
		struct task *part = task_part(&q->task, 2);

		assert_non_null(part);
		part->bookmark.shard = k->sh->index;
		assert_int_equal(stepper_slice(&st, part), STEP_DONE);
		task_merge(&q->task, part);
		task_free(part);
	}
	task_finish(&q->task);
	assert_string_equal(
	    stepper_rows(&st, &q->task), "{'deviceId':'d0'},{'deviceId':'d3'},{'deviceId':'d3'}");
	assert_true(q->task.page->more);
	assert_int_equal(q->task.bookmark.delivered, 4);
	assert_int_equal(q->seen.judged, 2 * FLEET);
	task_free(&q->task);
	/* so deep in the pages that parts would keep more than they save */
	q = ask("SELECT deviceId FROM devices ORDER BY tags.n", 100);
	q->task.bookmark.delivered = ORDER_PARTS_ROWS / 2;
	task_begin(&q->task, 1 << 20);
	assert_null(task_part(&q->task, 2));
	task_free(&q->task);
	stepper_fini(&st);
}

/* ---- others ---- */

static void
list__R37_the_smallest_ids_in_their_order(void **state)
{
	struct kit *k = *state;

	fleet(k);
	for (unsigned cold = 0; cold < 2; cold++) {
		struct task *t = list_task_new();
		struct stepper st;
		const char *rows, *d0, *d1, *d10;

		stepper_init(&st, k, 0);
		st.cold = cold;
		st.looks = 1;
		t->page->limit = 3;
		stepper_runs(&st, t);
		rows = stepper_rows(&st, t);
		d0 = strstr(rows, "'deviceId':'d0'");
		d1 = strstr(rows, "'deviceId':'d1'");
		d10 = strstr(rows, "'deviceId':'d10'");
		assert_true(d0 != NULL && d1 > d0 && d10 > d1);
		assert_int_equal(t->page->nrow, 3);
		assert_null(strstr(rows, "m1"));
		task_free(t);
		stepper_fini(&st);
	}
}

static void
members__are_devices_with_all_their_modules(void **state)
{
	struct kit *k = *state;
	struct query_task *q = ask("SELECT * FROM devices WHERE deviceId IN ['d2','d3']", 10);
	struct stepper st;

	fleet(k);
	stepper_init(&st, k, 0);
	st.cold = true;
	q->sink = &registry_sink;
	stepper_runs(&st, &q->task);
	assert_int_equal(q->task.page->nrow, 2);
	assert_non_null(strstr(stepper_rows(&st, &q->task), "'deviceId':'d3'"));
	buf_putc(&q->task.page->modules.rest, '\0');
	assert_non_null(strstr(q->task.page->modules.rest.p, "\"moduleId\":\"m1\""));
	task_free(&q->task);
	stepper_fini(&st);
}

static void
counts__are_devices_without_their_modules(void **state)
{
	struct kit *k = *state;
	struct counts_task *c = counts_task_new();
	struct stepper st;

	fleet(k);
	kit_put(k, "d5", "*", "{'deviceId':'d5','status':'disabled'}");
	stepper_init(&st, k, 0);
	stepper_runs(&st, &c->task);
	assert_int_equal(c->counts.devices, FLEET);
	assert_int_equal(c->counts.disabled, 1);
	task_free(&c->task);
	stepper_fini(&st);
}

/* ---- paths ---- */

/* With ' for ". Until the next call. */
static const char *
paths_json(struct kit *k, struct task *t, uint32_t top)
{
	struct buf *out = &k->text;

	out->n = 0;
	paths_write(t, top, out);
	kit_quotes(out, '"', '\'');
	buf_putc(out, '\0');
	return out->p;
}

static void
paths__O130_each_twin_is_counted_once_however_it_is_stepped(void **state)
{
	struct kit *k = *state;

	fleet(k);
	kit_patch(k, "d4", NULL, "{'tags':{'a-b':{'x':[1],'s':'t'},'n':'four'}}");
	kit_body(k, OP_TWIN_PATCH, "d3/m1", NULL, "{'tags':{'n':true}}");
	for (unsigned way = 0; way < 6; way++) {
		struct task *t = paths_task_new(STR("tags"));
		struct stepper st;

		stepper_init(&st, k, 1 << 20);
		st.looks = way % 3;
		st.cold = way / 3;
		stepper_runs(&st, t);
		assert_int_equal(t->fault.code, F_NONE);
		assert_true(way % 3 == 0 || st.slices > 10);
		assert_string_equal(paths_json(k, t, 100),
		    "{'twins':151,'damagedTwins':0,'morePaths':0,'uncounted':0,'paths':["
		    "{'path':'tags','twins':151,'modules':1,'kinds':{'object':151}},"
		    "{'path':'tags.n','twins':151,'modules':1,'kinds':{'boolean':1,'number':149,'"
		    "string':1}},"
		    "{'path':'tags.kind','twins':150,'modules':0,'kinds':{'string':150}},"
		    "{'path':'tags.[[a-b]]','twins':1,'modules':0,'kinds':{'object':1}},"
		    "{'path':'tags.[[a-b]].s','twins':1,'modules':0,'kinds':{'string':1}},"
		    "{'path':'tags.[[a-b]].x','twins':1,'modules':0,'kinds':{'array':1}}]}");
		task_free(t);
		stepper_fini(&st);
	}
}

/* The text of a path that begins so; what no path can begin with is looked for in no twin. */
static void
paths__O130_a_prefix_is_of_the_text(void **state)
{
	static const struct {
		const char *prefix, *first;
	} cases[] = {
		{ "tags.k", "[{'path':'tags.kind'," },
		{ "tags.kind", "[{'path':'tags.kind'," },
		{ "tags.kinds",
		    "'twins':150,'damagedTwins':0,'morePaths':0,'uncounted':0,'paths':[]}" },
		{ "properties", "'paths':[]}" },
		{ "deviceId", "{'twins':0," },
		{ "", "[{'path':'tags'," },
	};
	struct kit *k = *state;

	fleet(k);
	kit_body(k, OP_IDENTITY_DELETE, "d3/m1", "*", NULL);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct task *t = paths_task_new(str_of(cases[i].prefix));
		struct stepper st;

		stepper_init(&st, k, 0);
		stepper_runs(&st, t);
		assert_non_null(strstr(paths_json(k, t, 1), cases[i].first));
		task_free(t);
		stepper_fini(&st);
	}
}

/* A map with another key in each twin: 256 of its members have a path, the rest is counted, and others keep their place. */
static void
paths__O131_a_map_takes_no_place_from_the_rest(void **state)
{
	struct kit *k = *state;
	struct task *t = paths_task_new(STR_NONE);
	struct stepper st;
	const char *json;

	fleet(k);
	for (unsigned i = 0; i < 10; i++) {
		struct buf patch = { 0 };
		char id[16];

		snprintf(id, sizeof(id), "d%u", i);
		buf_cstr(&patch, "{'tags':{'map':{");
		for (unsigned j = 0; j < 30; j++)
			buf_printf(&patch, "%s'k%u':{'v':1}", j > 0 ? "," : "", i * 30 + j);
		buf_cstr(&patch, "},'z':1}}");
		buf_putc(&patch, '\0');
		kit_patch(k, id, NULL, patch.p);
		buf_fini(&patch);
	}
	stepper_init(&st, k, 0);
	stepper_runs(&st, t);
	json = paths_json(k, t, 5);
	assert_non_null(strstr(json, "'morePaths':512,'uncounted':44,"));
	assert_non_null(strstr(json,
	    "{'path':'tags.map','twins':10,'modules':0,'kinds':{'object':10},'otherMembers':44}"));
	assert_non_null(strstr(json, "{'path':'tags.z','twins':10,"));
	task_free(t);
	stepper_fini(&st);
}

/* ---- cargo ---- */

static struct span
cargo_put(struct cargo *c, struct str s)
{
	struct span at = { (uint32_t)c->bytes.n, (uint32_t)s.n };

	buf_str(&c->bytes, s);
	return at;
}

static void
cargo_add(struct kit *k, struct cargo *c, enum op_kind kind, const char *id, const char *json)
{
	struct cargo_item *item = &c->items[c->n++];
	struct op op = { .kind = kind };

	*item = (struct cargo_item){ .kind = kind, .if_match = IF_ANY, .line = c->n };
	if (json != NULL)
		kit_doc(k, json, &op);
	item->device = cargo_put(c, str_of(id));
	item->payload = cargo_put(c, op.payload);
}

/* each has its own outcome; one whose record cannot be had fails, and the next one goes on. */
static void
cargo__R48_each_item_has_its_own_outcome(void **state)
{
	struct kit *k = *state;
	struct cargo *c = xmalloc(sizeof(*c));
	struct stepper st;

	fleet(k);
	shard_evict(k->sh, 0);
	stepper_init(&st, k, 0);
	st.broken = "d6";
	st.broken_as = ERR_CORRUPT;
	cargo_init(c, STR("owner"));
	cargo_add(k, c, OP_TWIN_PATCH, "d5", "{'tags':{'n':1000}}");
	cargo_add(k, c, OP_TWIN_PATCH, "nobody", "{'tags':{'n':1000}}");
	cargo_add(k, c, OP_TWIN_PATCH, "d6", "{'tags':{'n':1000}}");
	cargo_add(k, c, OP_TWIN_PATCH, "d7", "{'tags':{'n':{'$bad':1}}}");
	cargo_add(k, c, OP_IDENTITY_DELETE, "d8", NULL);
	while (!c->task.ended) {
		c->task.bookmark.shard = cargo_shard(c);
		assert_int_equal(stepper_slice(&st, &c->task), STEP_DONE);
	}
	assert_int_equal(c->items[0].fault, F_NONE);
	assert_int_equal(c->items[1].fault, F_DeviceNotFound);
	assert_int_equal(c->items[2].fault, F_StoredDamaged);
	assert_true(span_str(&c->texts, c->items[2].text).n > 0);
	assert_int_not_equal(c->items[3].fault, F_NONE);
	assert_int_equal(c->items[4].fault, F_NONE);
	assert_int_equal(st.wrote, 4);
	st.broken = NULL;
	kit_read(k, "d5");
	assert_string_equal(kit_at(k, "tags/n"), "1000");
	assert_int_equal(kit_read(k, "d8"), F_DeviceNotFound);
	cargo_fini(c);
	free(c);
	stepper_fini(&st);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(tasks__answer_the_same_however_they_are_stepped),
		kit_test(tasks__Q03_a_page_ends_at_its_limit_and_the_next_goes_on),
		kit_test(tasks__what_stays_is_there_once_whatever_is_written_between_slices),
		kit_test(tasks__ask_for_each_record_once),
		kit_test(tasks__fail_when_a_record_that_they_need_cannot_be_had),
		kit_test(tasks__without_leave_to_make_columns_wait),
		kit_test(tasks__parts_of_an_aggregate_are_put_together),
		kit_test(tasks__Q88_parts_of_an_order_are_put_together),
		kit_test(list__R37_the_smallest_ids_in_their_order),
		kit_test(members__are_devices_with_all_their_modules),
		kit_test(counts__are_devices_without_their_modules),
		kit_test(paths__O130_each_twin_is_counted_once_however_it_is_stepped),
		kit_test(paths__O130_a_prefix_is_of_the_text),
		kit_test(paths__O131_a_map_takes_no_place_from_the_rest),
		kit_test(cargo__R48_each_item_has_its_own_outcome),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
