/* GET /statistics/events: what there is of the event log (E-85). */
#include "http/priv.h"

static const char *const names[FEED_FAMILIES] = { "telemetry", "changes" };

static void
put_position(struct out *o, const char *name, const struct feed *f, const struct position *p)
{
	struct buf text = { 0 };

	feed_position_write(f, &text, p);
	out_str(out_key(o, name), buf_view(&text));
	buf_fini(&text);
}

static uint64_t
sum_of(const struct position *p)
{
	uint64_t sum = 0;

	for (unsigned s = 0; s < POSITION_SHARDS; s++)
		sum += p->next[s] - 1;
	return sum;
}

static void
put_family(struct out *o, const char *name, const struct http_loop *hl,
    const struct feed_family *family, uint64_t bytes, const int64_t max[2])
{
	out_open(out_key(o, name));
	out_some_time(o, "oldestTime", family->oldest_us);
	put_position(o, "oldestPosition", hl->o.feed, &family->oldest);
	out_u64(out_key(o, "bytes"), bytes);
	out_u64(out_key(o, "maxSize"), (uint64_t)max[0]);
	out_u64(out_key(o, "maxAge"), (uint64_t)max[1]);
	out_close(o);
}

enum err
log_report_write(struct http_loop *hl, struct buf *json)
{
	struct settings *set = hl->o.admin.settings(hl->o.admin.ctx);
	struct feed_extent extent;
	struct store_stats stats;
	struct out o = out_to(json);
	enum err e = feed_extent(hl->o.feed, &extent);

	if (e == ERR_OK) {
		store_stats(hl->o.store, &stats);
		out_open(&o);
		out_u64(out_key(&o, "records"), sum_of(&extent.end));
		put_position(&o, "endPosition", hl->o.feed, &extent.end);
		put_family(&o, names[FEED_TELEMETRY], hl, &extent.family[FEED_TELEMETRY],
		    stats.log_bytes, &set->v[SETTING_LOG_MAX_SIZE]);
		put_family(&o, names[FEED_CHANGES], hl, &extent.family[FEED_CHANGES],
		    stats.changes_bytes, &set->v[SETTING_CHANGES_MAX_SIZE]);
		out_close(&o);
	}
	settings_unref(set);
	return e;
}
