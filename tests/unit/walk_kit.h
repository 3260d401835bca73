/* Questions of all kinds, and their answers as lines: for tests that ask them in more than one way. */
#ifndef WALK_KIT_H
#define WALK_KIT_H

#include "job/questions.h"
#include "task/counts.h"
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

static UNUSED void
same_lines(unsigned way, struct str got, struct str expected)
{
	while (got.n > 0 || expected.n > 0) {
		struct str g = line_of(&got), e = line_of(&expected);

		if (!str_eq(g, e))
			fail_msg("way %u:\n" STR_FMT "\ninstead of\n" STR_FMT, way, STR_ARG(g),
			    STR_ARG(e));
	}
}

static const char *const few[] = { "SELECT deviceId FROM devices",
	"SELECT tags.kind AS kind, COUNT() AS n FROM devices GROUP BY tags.kind",
	"SELECT TOP 11 deviceId FROM devices ORDER BY tags.kind, tags.n DESC", NULL };

#endif
