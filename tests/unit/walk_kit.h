/* Questions of all kinds, and their answers as lines: for tests that ask them in more than one way. */
#ifndef WALK_KIT_H
#define WALK_KIT_H

#include "config/questions.h"
#include "job/questions.h"
#include "task/counts.h"
#include "task/paths.h"
#include "worker_kit.h"

#define FLEET 240

/* ---- what is asked ---- */

/* Each kind of question that tests/sdk has, and each way that one is answered. */
static const char *const queries[] = {
	"SELECT * FROM devices", "SELECT deviceId FROM devices",
	"SELECT deviceId, tags.n FROM devices WHERE tags.kind = 'a'",
	"SELECT deviceId FROM devices WHERE tags.n > 37 AND tags.n < 90 AND NOT tags.kind = 'c'",
	"SELECT deviceId FROM devices WHERE deviceId = 'd17'",
	"SELECT deviceId FROM devices WHERE deviceId IN ['d1', 'd9', 'd203', 'none']",
	"SELECT deviceId FROM devices WHERE is_defined(tags.none)",
	"SELECT TOP 7 deviceId FROM devices",
	"SELECT TOP 60 deviceId FROM devices WHERE tags.n >= 0",
	"SELECT deviceId FROM devices WHERE STARTSWITH(deviceId, 'd2')",
	"SELECT COUNT() FROM devices", "SELECT COUNT() AS n FROM devices WHERE tags.kind = 'b'",
	"SELECT COUNT() AS n FROM devices WHERE tags.kind = 'nobody'",
	"SELECT tags.kind AS kind, COUNT() AS n FROM devices GROUP BY tags.kind",
	"SELECT tags.n AS n, COUNT() AS c FROM devices GROUP BY tags.n",
	"SELECT AVG(tags.n) AS mean, SUM(tags.n) AS sum, MIN(tags.n) AS low, MAX(tags.n) AS high "
	"FROM devices",
	"SELECT COUNT(DISTINCT tags.kind) AS kinds FROM devices",
	"SELECT DISTINCT tags.kind FROM devices",
	"SELECT deviceId FROM devices ORDER BY tags.n DESC",
	"SELECT deviceId, tags.n FROM devices WHERE tags.kind = 'a' ORDER BY deviceId",
	"SELECT TOP 11 deviceId FROM devices ORDER BY tags.kind, tags.n DESC",
	"SELECT * FROM devices.modules",
	"SELECT deviceId, moduleId FROM devices.modules WHERE moduleId = 'm'",
	"SELECT * FROM devices.jobs", NULL, /* the list of identities */
};
#define QUERIES (sizeof(queries) / sizeof(*queries))

/* All pages, one a line: rows, where it ended, of which shards it reflects something. */
static UNUSED void
pages_of(struct kit *k, const char *query, uint32_t limit, bool explain, struct buf *out)
{
	struct query_bookmark bookmark = { 0 };
	bool more = true;

	for (unsigned n = 0; more; n++) {
		struct tour *w = kit_tour(k, query, limit);

		assert_true(n < 1000);
		w->task->bookmark = bookmark;
		if (query != NULL)
			query_task_of(w->task)->explain = explain;
		w = kit_do_tour(k, w);
		if (w->task->fault.code != F_NONE)
			fail_msg("%s: %s", query, w->task->fault.text);
		kit_put_rows(out, w);
		bookmark = w->task->bookmark;
		more = w->task->page->more;
		buf_putc(out, ' ');
		if (more)
			query_token_write(out, 1, &bookmark);
		for (uint32_t s = 0; s < SHARDS; s++)
			buf_putc(out, w->reflects[s] != 0 ? '+' : '-');
		buf_putc(out, '\n');
		if (query == NULL)
			break;
	}
}

static UNUSED void
all_answers(struct kit *k, struct buf *out)
{
	static const uint32_t limits[] = { 1, 7, 100, 1000 };

	for (size_t i = 0; i < QUERIES; i++)
		for (size_t l = 0; l < 4; l++) {
			buf_printf(out, "%s %u\n", queries[i], limits[l]);
			if (limits[l] > 1 || i % 3 == 0)
				pages_of(k, queries[i], limits[l], i % 2 == 0, out);
		}
}

/* ---- what is no query ---- */

static void
doc_of_text(struct kit *k, const char *json, struct buf *doc)
{
	struct buf text = { 0 };
	struct doc_parsed info;

	buf_cstr(&text, json);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\'')
			text.p[i] = '"';
	assert_int_equal(doc_parse(k->parser, buf_view(&text), doc, &info, NULL), ERR_OK);
	buf_fini(&text);
}

static struct tour *
asked(struct kit *k, struct task *t)
{
	struct tour *w = tour_new(k->loops[0], t, kit_tour_back);

	w->owner = k;
	w = kit_do_tour(k, w);
	if (w->task->fault.code != F_NONE)
		fail_msg("%s: %s", w->task->kind->name, w->task->fault.text);
	return w;
}

/* What a configuration would do: the first page counts, the others go on. */
static void
dry_run(struct kit *k, struct buf *out)
{
	struct buf doc = { 0 }, record = { 0 };
	struct query_bookmark from = { 0 };
	struct fault f;
	bool more = true;

	doc_of_text(k,
	    "{'id':'c','targetCondition':'tags.n > 100','priority':3,"
	    "'content':{'deviceContent':{'properties.desired.x':{'y':1}}}}",
	    &doc);
	if (configuration_encode(&record, STR("c"), doc_of(buf_view(&doc)), NULL, STR("me"), 0, &f))
		fail_msg("%s", f.text);
	for (unsigned page = 0; more; page++) {
		struct dryrun_task *d = dryrun_task_new();
		const struct dryrun_counts *c;
		struct tour *w;

		assert_true(page < 100);
		d->run = dryrun_new(NULL, buf_view(&record), page == 0 ? 7 : 0);
		d->counts = page == 0;
		d->task.page->limit = 40;
		d->task.bookmark = from;
		w = asked(k, &d->task);
		kit_put_rows(out, w);
		c = dryrun_counts(d->run);
		if (page == 0)
			buf_printf(out, " %u %u %u %u " STR_FMT, (unsigned)c->targeted,
			    (unsigned)c->devices, (unsigned)c->twins, (unsigned)c->desired,
			    STR_ARG(dryrun_sample(d->run)));
		if (d->over)
			query_token_write(out, 1, &d->end);
		buf_putc(out, '\n');
		from = d->end;
		more = d->over;
	}
	buf_fini(&doc);
	buf_fini(&record);
}

/* What a job would do. */
static void
trial(struct kit *k, struct buf *out)
{
	struct buf doc = { 0 }, record = { 0 };
	struct query_bookmark from = { 0 };
	struct fault f;
	bool more = true;

	doc_of_text(k,
	    "{'jobId':'j','type':'scheduleUpdateTwin','queryCondition':'tags.n < 150',"
	    "'updateTwin':{'etag':'*','tags':{'new':1}},'startTime':'2030-01-01T00:00:00Z'}",
	    &doc);
	if (job_encode_new(&record, STR("j"), 1, doc_of(buf_view(&doc)), SECOND, &f) != ERR_OK)
		fail_msg("%s", f.text);
	for (unsigned page = 0; more; page++) {
		struct job *job;
		struct query *target;
		struct query_task *q;
		struct trial *t;
		struct tour *w;

		assert_true(page < 100);
		assert_int_equal(job_new(buf_view(&record), &job), ERR_OK);
		assert_int_equal(query_parse_condition(job_condition(job), &target, &f), ERR_OK);
		t = trial_new(job, page == 0, page == 0 ? 5 : 0);
		q = query_task_new(target);
		q->sink = &t->sink;
		q->task.page->limit = 40;
		q->task.bookmark = from;
		w = asked(k, &q->task);
		kit_put_rows(out, w);
		if (page == 0)
			buf_printf(out, " %u " STR_FMT, (unsigned)t->devices,
			    STR_ARG(buf_view(&t->samples.text)));
		if (t->over)
			query_token_write(out, 1, &t->end);
		buf_putc(out, '\n');
		from = t->end;
		more = t->over;
	}
	buf_fini(&doc);
	buf_fini(&record);
}

static void
members(struct kit *k, struct buf *out)
{
	struct query_bookmark from = { 0 };
	struct query *q;
	bool more = true;

	while (more) {
		struct query_task *t;
		struct tour *w;

		assert_int_equal(
		    query_parse_condition(STR("tags.kind = 'b' OR tags.n < 90"), &q, NULL), ERR_OK);
		t = query_task_new(q);
		t->sink = &registry_sink;
		t->task.page->limit = 30;
		t->task.bookmark = from;
		w = asked(k, &t->task);
		kit_put_rows(out, w);
		buf_putc(out, ' ');
		buf_str(out, buf_view(&w->task->page->modules.rest));
		from = w->task->bookmark;
		more = w->task->page->more;
		if (more)
			query_token_write(out, 1, &from);
		buf_putc(out, '\n');
	}
}

/* When something would be written is another time for each. */
static void
without_times(struct buf *out)
{
	static const char name[] = "\"$lastUpdated\":\"";
	char *at = out->p, *end = out->p + out->n;

	while ((at = memmem(at, (size_t)(end - at), name, sizeof(name) - 1)) != NULL)
		for (at += sizeof(name) - 1; *at != '"'; at++)
			*at = '_';
}

static UNUSED void
other_answers(struct kit *k, struct buf *out)
{
	static uint32_t buckets[16];
	struct query_task *q;
	struct query *all;
	struct draw draw = { .sink = draw_sink(),
		.salt = 5,
		.from = 1u << 28,
		.to = UINT64_C(1) << 32,
		.shift = 28,
		.buckets = buckets };
	struct tour *w = asked(k, paths_task_new(STR("tags")));

	paths_write(w->task, 100, out);
	buf_putc(out, '\n');
	dry_run(k, out);
	trial(k, out);
	members(k, out);
	memset(buckets, 0, sizeof(buckets));
	assert_int_equal(query_parse_condition(STR("*"), &all, NULL), ERR_OK);
	q = query_task_new(all);
	q->count = true;
	q->sink = &draw.sink;
	w = asked(k, &q->task);
	buf_printf(out, "%u of", (unsigned)w->task->bookmark.delivered);
	for (unsigned i = 0; i < 16; i++)
		buf_printf(out, " %u", buckets[i]);
	buf_putc(out, '\n');
	without_times(out);
	kit_forget(k);
}

static UNUSED struct shard_counts
counts(struct kit *k)
{
	struct tour *w = tour_new(k->loops[0], &counts_task_new()->task, kit_tour_back);

	w->owner = k;
	w = kit_do_tour(k, w);
	assert_int_equal(w->task->fault.code, F_NONE);
	return ((struct counts_task *)w->task)->counts;
}

/* ---- the fleet ---- */

static UNUSED void
make_devices(struct kit *k)
{
	kit_create(k, "d", FLEET);
	for (unsigned i = 0; i < FLEET; i++) {
		char id[16], patch[64];

		snprintf(id, sizeof(id), "d%u", i);
		snprintf(patch, sizeof(patch), "{'tags':{'n':%u,'kind':'%c'}}", i, 'a' + i % 3);
		kit_send(k, OP_TWIN_PATCH, id, patch);
	}
	kit_await(k, k->nback == FLEET);
	kit_forget(k);
	for (unsigned i = 0; i < FLEET; i += 5) {
		char id[16], json[128];
		struct work *w;

		snprintf(id, sizeof(id), "d%u", i);
		snprintf(json, sizeof(json), "{'deviceId':'d%u','moduleId':'m'}", i);
		w = kit_work(k, OP_IDENTITY_PUT, id, json);
		w->op.module = work_str(w, STR("m"));
		assert_int_equal(kit_do_work(k, w), F_NONE);
	}
}

static UNUSED struct str
line_of(struct str *text)
{
	const char *end = memchr(text->p, '\n', text->n);
	struct str line = { text->p, end != NULL ? (size_t)(end - text->p) : text->n };

	*text = str_sub(*text, line.n + (end != NULL));
	return line;
}

/* From where they differ. */
static void
tell_difference(unsigned way, struct str got, struct str expected)
{
	size_t n = 0;

	while (n < got.n && n < expected.n && got.p[n] == expected.p[n])
		n++;
	n = n > 100 ? n - 100 : 0;
	got = str_sub(got, n);
	expected = str_sub(expected, n);
	fail_msg("way %u:\n%.300s\ninstead of\n%.300s", way, got.p, expected.p);
}

static UNUSED void
same_lines(unsigned way, struct str got, struct str expected)
{
	while (got.n > 0 || expected.n > 0) {
		struct str g = line_of(&got), e = line_of(&expected);

		if (!str_eq(g, e))
			tell_difference(way, g, e);
	}
}

static const char *const few[] = { "SELECT deviceId FROM devices",
	"SELECT tags.kind AS kind, COUNT() AS n FROM devices GROUP BY tags.kind",
	"SELECT TOP 11 deviceId FROM devices ORDER BY tags.kind, tags.n DESC", NULL };

#endif
