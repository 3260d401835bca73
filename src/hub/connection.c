/* What a shard knows of an identity's connection, and that it is to end (O-10, O-13). */
#include "hub/priv.h"

static void
put_subscriptions(struct out *o, const struct presence *p)
{
	static const char *const names[FILTER_KINDS] = { [FILTER_TWIN_RES] = "twinAnswers",
		[FILTER_DESIRED] = "desiredProperties",
		[FILTER_METHODS] = "methods",
		[FILTER_METHOD] = "method",
		[FILTER_C2D] = "messages",
		[FILTER_MODULE_ALL] = "moduleAll",
		[FILTER_MODULE_INPUTS] = "moduleInputs",
		[FILTER_MODULE_C2D] = "moduleMessages" };
	struct rd rd = rd_of(blob_str(p->filters));
	struct filter f;

	rd_u8(&rd);
	out_list(out_key(o, "subscriptions"));
	while (filters_next(&rd, &f)) {
		if (names[f.kind] == NULL)
			continue;
		out_open(o);
		out_cstr(out_key(o, "to"), names[f.kind]);
		out_some_str(o, "method", f.name);
		out_u64(out_key(o, "qos"), f.qos);
		out_close(o);
	}
	out_close(o);
}

static bool
count_pending(void *ctx, const struct pending *p)
{
	(void)p;
	++*(uint64_t *)ctx;
	return true;
}

/* Not closed: who knows the rest of it goes on. */
void
on_connection_get(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct out o = out_to(&reply->body);
	struct section reported;
	struct identity id;
	struct wanted w;
	uint64_t npending = 0;

	(void)op, (void)env;
	row_read_identity(r, &id);
	row_read_wanted(r, &w);
	row_read_reported(r, &reported);
	section_pending(&w.desired, &reported, count_pending, &npending);
	reply->deliver = r->presence != NULL;
	reply->version = connection_last_end(sh, r);
	out_open(&o);
	row_put_ids(&o, r);
	out_cstr(out_key(&o, "status"), id.enabled ? "enabled" : "disabled");
	out_some_str(&o, "statusReason", id.reason);
	out_bool(out_key(&o, "connected"), r->presence != NULL);
	out_u64(out_key(&o, "desiredVersion"), w.desired.version);
	out_u64(out_key(&o, "pendingCount"), npending);
	out_u64(out_key(&o, "queuedMessages"), r->nmessage);
	out_some_time(&o, "lastActivityTime", r->activity_us);
	if (r->presence != NULL)
		put_subscriptions(&o, r->presence);
}

void
on_connection_close(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	(void)op;
	if (r->presence == NULL)
		fault_set(&reply->fault, F_DeviceNotOnline, "it is not connected");
	else
		presence_close(sh, r, REASON_KICKED, false, env);
}
