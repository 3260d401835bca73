/* How many devices there are (service-rest.md 14): what the shards count, each behind its commits. And, which Azure does not
 * have, the columns that queries have made, and how often configurations have changed their own target (J-36). */
#include "http/priv.h"

static void
put_count(struct out *o, const char *name, uint64_t n)
{
	out_key(o, name);
	out_u64(o, n);
}

static void
done_counts(struct walk *k)
{
	struct request *r = request_of(k->owner, k->reply_to);
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (r != NULL && k->fault.code != F_NONE) {
		reply_fault(r, &k->fault);
	} else if (r != NULL) {
		out_open(&o);
		if (str_ieq(r->segment[1], STR("service"))) {
			put_count(&o, "connectedDeviceCount", k->counts.connected);
		} else if (str_ieq(r->segment[1], STR("configurations"))) {
			put_count(&o, "configurationLoopCount", k->looped);
		} else {
			put_count(&o, "totalDeviceCount", k->counts.devices);
			put_count(&o, "enabledDeviceCount", k->counts.devices - k->counts.disabled);
			put_count(&o, "disabledDeviceCount", k->counts.disabled);
		}
		out_close(&o);
		reply_json(r, 200, buf_view(&json));
	}
	buf_fini(&json);
	walk_free(k);
}

static void
done_columns(struct walk *k)
{
	struct request *r = request_of(k->owner, k->reply_to);
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (r != NULL && k->fault.code != F_NONE) {
		reply_fault(r, &k->fault);
	} else if (r != NULL) {
		out_open(&o);
		put_count(&o, "bytes", k->facts.column_bytes);
		put_count(&o, "limitBytes", fleet_column_bytes(r->hl->o.fleet));
		out_key(&o, "columns");
		column_report_write(k->columns, false, out_value(&o));
		out_close(&o);
		reply_json(r, 200, buf_view(&json));
	}
	buf_fini(&json);
	walk_free(k);
}

static void
walk_send(struct request *r, enum walk_kind kind, void (*done)(struct walk *k))
{
	struct walk *k = walk_new(r->hl->loop, kind, done);

	k->reply_to = request_address(r);
	k->owner = r->hl;
	request_walk(r, k);
}

void
on_statistics(struct request *r)
{
	walk_send(r, WALK_COUNTS, done_counts);
}

void
on_column_statistics(struct request *r)
{
	walk_send(r, WALK_COLUMNS, done_columns);
}
