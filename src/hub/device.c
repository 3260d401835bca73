/* What devices do: connect, subscribe, read and report, send telemetry (device-mqtt.md 2 to 6). */
#include "hub/filters.h"
#include "hub/priv.h"

#include <stdlib.h>

/* ---- sessions (device-mqtt.md 2.7) ---- */

static void
presence_end(struct shard *sh, struct row *r, struct effect *e, const struct hub_env *env)
{
	if (r->presence == NULL)
		return;
	e->session = r->presence->session;
	env->effect(env->ctx, e);
	calls_lost(sh, r, env);
	row_set_presence(sh, r, NULL);
	connection_ended(sh, r, e->reason, env);
	r->presence_us = env->now_us;
}

void
presence_close(
    struct shard *sh, struct row *r, enum reason why, bool paced, const struct hub_env *env)
{
	struct effect e = { .kind = EFFECT_CLOSE, .reason = why, .paced = paced };

	presence_end(sh, r, &e, env);
}

/* Once the newer one has authenticated (D-25). */
static void
presence_taken(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env)
{
	struct effect e = {
		.kind = EFFECT_CLOSE, .reason = REASON_TAKEN_OVER, .body = op->connect.from
	};

	presence_end(sh, r, &e, env);
}

static struct blob *
session_empty(void)
{
	return blob_new((struct str){ (const char[]){ SESSION_FORMAT }, 1 });
}

/* Make the stored session what the client asked for; true if there was one that goes on. */
static bool
session_restore(struct shard *sh, struct row *r, bool clean, const struct hub_env *env)
{
	bool stored = r->records[RECORD_SESSION] != &blob_none;
	struct str fresh = { (const char[]){ SESSION_FORMAT }, 1 };

	if (clean && stored)
		row_write(sh, r, RECORD_SESSION, NULL, env);
	else if (!clean && !stored)
		row_write(sh, r, RECORD_SESSION, &fresh, env);
	return !clean && stored;
}

static void
model_announced(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env)
{
	struct identity id;
	struct str bytes;

	if (!op->connect.has_model_id || !env->can_write)
		return;
	row_read_identity(r, &id);
	if (str_eq(id.model_id, op->connect.model_id))
		return;
	id.model_id = op->connect.model_id;
	env->scratch->n = 0;
	identity_encode(env->scratch, &id);
	bytes = buf_view(env->scratch);
	row_write(sh, r, RECORD_IDENTITY, &bytes, env);
}

/* ERR_DENIED: the reply has the reason, for the log; a client learns nothing. */
static enum err
check_connect(struct shard *sh, const struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct verdict *v = &reply->verdict;

	if (r == NULL)
		v->refused = REASON_IDENTITY_UNKNOWN;
	else
		identity_judge(sh, r, op, env, v);
	if (v->refused == REASON_NONE && v->opened.by == OPENED_BY_POLICY &&
	    !rights_allow(v->rights, RIGHT_DEVICE_CONNECT))
		v->refused = REASON_POLICY_RIGHTS;
	if (v->refused == REASON_NONE)
		return ERR_OK;
	reply->reason = v->refused;
	fault_set(&reply->fault, F_IotHubUnauthorizedAccess, "%s", reason_text(v->refused));
	return ERR_DENIED;
}

void
on_connect(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct presence *p;

	reply->judged_by = env->catalogue->version;
	if (check_connect(sh, r, op, env, reply) != ERR_OK)
		return;
	if (!env->can_write && op->connect.clean == (r->records[RECORD_SESSION] != &blob_none)) {
		reply->reason = REASON_NO_WRITES;
		fault_set(&reply->fault, F_ServiceUnavailable, "the store takes no writes");
		return;
	}
	reply->session_present = session_restore(sh, r, op->connect.clean, env);
	model_announced(sh, r, op, env);
	presence_taken(sh, r, op, env);
	p = xcalloc(1, sizeof(*p));
	p->session = op->reply_to;
	p->opened = reply->verdict.opened;
	p->session_epoch = reply->session_epoch = shard_number(sh, 0);
	reply->identity = identity_stamp(r);
	p->clean = op->connect.clean;
	p->filters = p->clean ? session_empty() : blob_ref(r->records[RECORD_SESSION]);
	p->listens = filters_mask(p->filters);
	row_set_presence(sh, r, p);
	r->activity_us = r->presence_us = env->now_us;
	undo_connected(env->undo, sh, row_number(sh, r), p->session_epoch);
	connection_begun(sh, r, env);
	p->restored = reply->session_present;
	calls_wake(sh, r, env);
	messages_look(sh, r, env);
}

/* On an error the reply has the reason: its client has gone, so the log alone can tell. */
static enum err
check_will(const struct row *r, const struct hub_env *env, struct reply *reply)
{
	if (r == NULL)
		reply->reason = REASON_DELETED;
	else if (!env->can_write)
		reply->reason = REASON_NO_WRITES;
	else if (r->records[RECORD_IDENTITY] != NULL)
		return ERR_OK;
	else
		reply->reason =
		    REASON_NOT_STORED; /* it could not be read, so who sends it is not known */
	if (reply->fault.code == F_NONE)
		fault_set(&reply->fault, F_ServiceUnavailable, "%s", reason_text(reply->reason));
	return ERR_ARG;
}

void
on_disconnect(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	if (r != NULL && r->presence != NULL &&
	    r->presence->session_epoch ==
	        op->session_epoch) { /* a late one changes nothing: T-106 */
		calls_lost(sh, r, env);
		row_set_presence(sh, r, NULL);
		connection_ended(sh, r, op->ended, env);
		r->activity_us = r->presence_us = env->now_us;
	} else if (r != NULL && r->presence == NULL && op->ended != REASON_TAKEN_OVER) {
		connection_left(sh, r, op->ended, env); /* it has gone while nobody served it */
	}
	if (op->payload.n != 0 && check_will(r, env, reply) == ERR_OK)
		log_sent(sh, r, EVENT_WILL, op->payload, env);
}

/* ---- subscriptions (device-mqtt.md 3.1, 3.2) ---- */

/* Of a session record. */
static struct str
session_filters(const struct blob *session)
{
	return str_sub(blob_str(session), 1);
}

/* The session now listens to this list: in memory, and in the store for a durable one if it changed. Only that takes a
 * write; without it nothing is changed and the reply says so. */
static void
list_write(struct shard *sh, struct row *r, const struct filter_list *l, const struct hub_env *env,
    struct reply *reply)
{
	struct presence *p = r->presence;
	struct buf b = { 0 };
	struct str bytes;

	buf_putc(&b, SESSION_FORMAT);
	filter_list_put(&b, l);
	bytes = buf_view(&b);
	if (!str_eq(bytes, blob_str(p->filters)) && !p->clean && !env->can_write) {
		reply->body.n = 0;
		fault_set(&reply->fault, F_ServiceUnavailable, "the store takes no writes");
	} else if (!str_eq(bytes, blob_str(p->filters))) {
		undo_filters(env->undo, sh, row_number(sh, r), p->session_epoch, p->filters);
		if (!p->clean)
			row_write(sh, r, RECORD_SESSION, &bytes, env);
		blob_unref(p->filters);
		p->filters = p->clean ? blob_new(bytes) : blob_ref(r->records[RECORD_SESSION]);
		p->listens = filters_mask(p->filters);
	}
	buf_fini(&b);
}

void
on_subscribe(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct blob *before = blob_ref(r->presence->filters); /* the list's names live in it */
	struct rd rd = rd_of(op->payload);
	struct filter_list l;
	struct filter f;
	struct wanted w;

	filter_list_read(&l, session_filters(before));
	while (filters_next(&rd, &f))
		buf_putc(&reply->body, (char)filter_list_add(&l, &f));
	list_write(sh, r, &l, env, reply);
	if (reply->fault.code == F_NONE && filters_listen(op->payload, FILTER_DESIRED)) {
		row_read_wanted(r, &w);
		reply->version = w.desired.version;
	}
	calls_wake(sh, r, env);
	messages_look(sh, r, env);
	blob_unref(before);
}

void
on_unsubscribe(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct blob *before = blob_ref(r->presence->filters);
	struct rd rd = rd_of(op->payload);
	struct filter_list l;
	struct filter f;

	filter_list_read(&l, session_filters(before));
	while (filters_next(&rd, &f))
		filter_list_remove(&l, &f);
	list_write(sh, r, &l, env, reply);
	blob_unref(before);
}

/* ---- the twin (device-mqtt.md 4) ---- */

static bool
listens(const struct row *r, enum filter_kind kind)
{
	return (r->presence->listens & 1u << kind) != 0;
}

void
on_twin_get(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct out o = out_to(&reply->body);
	struct section reported;
	struct wanted w;

	(void)sh, (void)op, (void)env;
	row_read_wanted(r, &w);
	row_read_reported(r, &reported);
	reply->deliver = listens(r, FILTER_TWIN_RES);
	reply->version = w.desired.version;
	out_open(&o);
	section_write_device(out_value(out_key(&o, "desired")), &w.desired);
	section_write_device(out_value(out_key(&o, "reported")), &reported);
	out_close(&o);
}

void
on_report(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct section_write wr = { .kind = SECTION_REPORTED, .now_us = env->now_us };
	struct buf *out = env->scratch;
	struct section old;
	struct str bytes;
	bool changed;

	row_read_reported(r, &old);
	reply->deliver = listens(r, FILTER_TWIN_RES);
	if (op->has_base_version && op->base_version != old.version) {
		fault_set(&reply->fault, F_PreconditionFailed,
		    "reported is at version %u, not %llu", old.version,
		    (unsigned long long)op->base_version);
		return;
	}
	out->n = 0;
	reported_encode(out, env->now_us, STR_NONE);
	if (section_merge(&old, doc_of(op->payload), op->nduplicate, &wr, out, NULL, &changed,
	        &reply->fault) != ERR_OK)
		return;
	assert(changed); /* T-60: every accepted patch of a device is one */
	bytes = buf_view(out);
	row_write(sh, r, RECORD_REPORTED, &bytes, env);
	reply->version = version_after(old.version);
}

/* ---- messages ---- */

void
on_telemetry(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	(void)reply;
	log_sent(sh, r, EVENT_MESSAGE, op->payload, env);
}

void
on_events(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	const struct row *device = op->module.n == 0 ? r : row_find(sh, op->device, STR_NONE);
	struct rd rd = rd_of(op->payload);

	if (device == NULL || device->disabled) {
		fault_set(&reply->fault, F_IotHubUnauthorizedAccess, "the device is disabled");
		return;
	}
	while (rd.p < rd.end && !rd.bad)
		log_sent(sh, r, EVENT_MESSAGE, rd_lstr(&rd), env);
	r->activity_us = env->now_us;
}

void
on_ack(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	(void)sh, (void)r, (void)op, (void)env, (void)reply;
}
