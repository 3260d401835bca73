/* What the store says of itself: O-03, O-04. */
#include "http/priv.h"

void
damage_write(struct store *store, struct buf *json)
{
	struct store_damage d;

	store_damage(store, &d);
	buf_cstr(json, "\"damagedFiles\":[");
	for (unsigned i = 0; i < d.n; i++)
		buf_printf(json, "%s\"store/%06llu.sst\"", i > 0 ? "," : "",
		    (unsigned long long)d.number[i]);
	buf_printf(json, "],\"moreDamagedFiles\":%s", d.more ? "true" : "false");
}

void
store_report_write(struct store *store, struct buf *json)
{
	static const char *const states[] = { [STORE_READY] = "ready",
		[STORE_IS_FULL] = "full",
		[STORE_IS_FAILED] = "failed",
		[STORE_IS_CORRUPT] = "corrupt" };
	struct store_stats n;

	store_stats(store, &n);
	const struct {
		const char *name;
		uint64_t value;
	} figures[] = {
		{ "commits", n.commits },
		{ "commitBytes", n.commit_bytes },
		{ "commitFailures", n.commit_failures },
		{ "writeAheadLogBytes", n.wal_bytes },
		{ "tableBytes", n.table_bytes },
		{ "tableFiles", n.table_files },
		{ "eventLogBytes", n.log_bytes },
		{ "freeBytes", store_space(store) },
		{ "level0Files", n.l0_files },
		{ "stallMilliseconds", n.stall_ms },
		{ "memtableBytes", n.memtable_bytes },
		{ "cacheBytes", n.cache_bytes },
		{ "scrubbedBytes", n.scrub_bytes },
		{ "scrubbedFiles", n.scrub_files },
		{ "scrubPasses", n.scrub_passes },
	};

	buf_printf(json, "{\"state\":\"%s\",", states[store_state(store, NULL)]);
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		buf_printf(
		    json, "\"%s\":%llu,", figures[i].name, (unsigned long long)figures[i].value);
	damage_write(store, json);
	buf_putc(json, '}');
}
