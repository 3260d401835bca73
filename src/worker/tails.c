/* What a worker's rounds bring to the tails of its shards' logs: see tail.h. */
#include "event/event.h"
#include "worker/priv.h"

void
tail_gather(struct worker *w, uint32_t shard, struct str key, struct str record)
{
	struct buf *b = &w->tail_gathering;

	if (b->n > TAIL_ROUND_BYTES ||
	    !atomic_load_explicit(&w->fleet->log_read, memory_order_relaxed))
		return;
	buf_putc(b, (char)shard);
	buf_str(b, key);
	buf_lstr(b, record);
}

void
tails_fly(struct worker *w)
{
	struct buf b = w->tail_flying;

	w->tail_flying = w->tail_gathering;
	w->tail_gathering = b;
	w->tail_gathering.n = 0;
}

void
tails_land(struct worker *w)
{
	struct rd rd = rd_of(buf_view(&w->tail_flying));
	uint64_t position;
	uint32_t shard;

	while (rd.p < rd.end) {
		struct tail *t = &w->fleet->tails[rd_u8(&rd)];

		if (event_key_decode(rd_bytes(&rd, EVENT_KEY), &shard, &position))
			tail_put(t, position, rd_lstr(&rd));
	}
	w->tail_flying.n = 0;
}

void
tails_fail(struct worker *w)
{
	w->tail_gathering.n = w->tail_flying.n = 0;
}

void
tails_fini(struct worker *w)
{
	buf_fini(&w->tail_gathering);
	buf_fini(&w->tail_flying);
}

void
fleet_reads_log(struct fleet *f, bool reads)
{
	atomic_store(&f->log_read, reads);
}

bool
fleet_log_tail(struct fleet *f, uint32_t shard, uint64_t from,
    bool (*seen)(void *ctx, uint64_t position, struct str record), void *ctx)
{
	return tail_read(&f->tails[shard], from, seen, ctx);
}
