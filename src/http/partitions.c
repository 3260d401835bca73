/* Partitions over HTTPS (E-101, E-102): what they have, and events by their sequence. On an errand's thread, as it reads the store. */
#include "deliver/partitions.h"
#include "http/priv.h"

#define PAGE       100u         /* events of an answer */
#define PAGE_BYTES (256u << 10) /* and about so many bytes */

static void
put_info(struct out *o, uint32_t partition, const struct partition_info *info)
{
	out_open(o);
	out_u64(out_key(o, "partition"), partition);
	out_u64(out_key(o, "beginSequence"), info->begin);
	out_i64(out_key(o, "lastSequence"), (int64_t)info->next - 1);
	out_bool(out_key(o, "isEmpty"), info->begin == info->next);
	out_some_time(o, "lastEnqueuedTime", info->last_us);
	out_close(o);
}

static bool
are_there(struct request *r, uint32_t n)
{
	if (n == 0)
		reply_error(r, F_ServiceUnavailable,
		    "events are not numbered yet: the hub's settings could not be stored");
	return n != 0;
}

void
on_partitions(struct request *r)
{
	struct deliveries *d = r->hl->o.deliveries;
	uint32_t n = partitions_count(d);
	struct out o;

	if (!are_there(r, n))
		return;
	r->hl->json.n = 0;
	o = out_to(&r->hl->json);
	out_list(&o);
	for (uint32_t i = 0; i < n; i++) {
		struct partition_info info = partitions_info(d, i);

		put_info(&o, i, &info);
	}
	out_close(&o);
	reply_json(r, 200, buf_view(&r->hl->json));
}

/* ---- events ---- */

struct partition_page {
	struct teller *teller;
	struct buf *json;
	struct buf one;
	struct out *o;
	uint32_t n;
};

static bool
take(void *ctx, const struct partition_entry *entry, struct str record)
{
	struct partition_page *p = ctx;
	struct event e;

	if (event_decode(record, &e) != ERR_OK)
		return true;
	p->one.n = 0;
	told_write(p->teller, &p->one, &e, entry->shard, entry->position);
	out_open(p->o);
	out_u64(out_key(p->o, "sequence"), entry->sequence);
	out_time(out_key(p->o, "enqueuedTime"), entry->time_us);
	out_key(p->o, "event");
	buf_str(out_value(p->o), buf_view(&p->one));
	out_close(p->o);
	return ++p->n < PAGE && p->json->n < PAGE_BYTES;
}

enum err
partition_page_write(struct http_loop *hl, uint32_t partition, struct str from, struct buf *json)
{
	uint64_t sequence = 0;
	struct out o = out_to(json);
	struct partition_page page = {
		.teller = teller_new(deliveries_hub(hl->o.deliveries)), .json = json, .o = &o
	};
	enum err e;

	(void)str_u64(from, &sequence); /* empty: the oldest; else it was looked at */
	out_list(&o);
	e = partitions_read(hl->o.deliveries, hl->o.store, partition, sequence, take, &page);
	out_close(&o);
	teller_free(page.teller);
	buf_fini(&page.one);
	return e;
}

void
on_partition_read(struct request *r)
{
	uint32_t n = partitions_count(r->hl->o.deliveries);
	struct str text = request_param(r, "sequence");
	uint64_t partition, sequence = 0;

	if (!are_there(r, n))
		return;
	if (!str_u64(r->segment[2], &partition) || partition >= n)
		reply_error(r, F_GenericNotFound,
		    "there is no partition " STR_FMT ": there are 0 to %u", STR_ARG(r->segment[2]),
		    n - 1);
	else if (text.n > 0 && !str_u64(text, &sequence))
		reply_error(
		    r, F_ArgumentInvalid, "sequence is a number, not " STR_FMT, STR_ARG(text));
	else
		errand_partition(r, (uint32_t)partition, text);
}
