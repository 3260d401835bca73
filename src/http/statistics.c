/* How many devices there are (service-rest.md 14): what the shards count, each behind its commits. */
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

void
on_statistics(struct request *r)
{
	struct walk *k = walk_new(r->hl->loop, WALK_COUNTS, done_counts);

	k->reply_to = request_address(r);
	k->owner = r->hl;
	fleet_walk(r->hl->o.fleet, k);
}
