/* What the store says of itself: O-03, O-04. */
#include "http/priv.h"

#include <stdio.h>

void
damage_write(struct store *store, struct out *o)
{
	struct store_damage d;
	char name[40];

	store_damage(store, &d);
	out_key(o, "damagedFiles");
	out_list(o);
	for (unsigned i = 0; i < d.n; i++) {
		snprintf(name, sizeof(name), "store/%06llu.sst", (unsigned long long)d.number[i]);
		out_cstr(o, name);
	}
	out_close(o);
	out_key(o, "moreDamagedFiles");
	out_bool(o, d.more);
}

void
store_report_write(struct store *store, struct buf *json)
{
	static const char *const states[] = { [STORE_READY] = "ready",
		[STORE_IS_FULL] = "full",
		[STORE_IS_FAILED] = "failed",
		[STORE_IS_CORRUPT] = "corrupt" };
	struct out o = out_to(json);
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

	out_open(&o);
	out_key(&o, "state");
	out_cstr(&o, states[store_state(store, NULL)]);
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		out_key(&o, figures[i].name);
		out_u64(&o, figures[i].value);
	}
	damage_write(store, &o);
	out_close(&o);
}
