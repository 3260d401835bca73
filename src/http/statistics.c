/* How many devices there are (service-rest.md 14): what the shards count, each behind its commits. And, which Azure does not
 * have, the columns that queries have made, and how often configurations have changed their own target (J-36). */
#include "http/priv.h"

static void
done_counts(struct walk *k)
{
	struct request *r = request_of(k->owner, k->reply_to);
	struct buf json = { 0 };

	if (r != NULL && k->fault.code != F_NONE) {
		reply_fault(r, &k->fault);
	} else if (r != NULL) {
		if (str_ieq(r->segment[1], STR("service")))
			buf_printf(&json, "{\"connectedDeviceCount\":%u}", k->counts.connected);
		else if (str_ieq(r->segment[1], STR("configurations")))
			buf_printf(&json, "{\"configurationLoopCount\":%llu}",
			    (unsigned long long)k->looped);
		else
			buf_printf(&json,
			    "{\"totalDeviceCount\":%u,\"enabledDeviceCount\":%u,"
			    "\"disabledDeviceCount\":%u}",
			    k->counts.devices, k->counts.devices - k->counts.disabled,
			    k->counts.disabled);
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

	if (r != NULL && k->fault.code != F_NONE) {
		reply_fault(r, &k->fault);
	} else if (r != NULL) {
		buf_printf(&json,
		    "{\"bytes\":%zu,\"limitBytes\":%llu,\"columns\":", k->facts.column_bytes,
		    (unsigned long long)fleet_column_bytes(r->hl->o.fleet));
		column_report_write(k->columns, false, &json);
		buf_putc(&json, '}');
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
