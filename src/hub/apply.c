/* The table of operations: what each needs in memory, whether it writes, and the function that does it. */
#include "hub/filters.h"
#include "hub/priv.h"

#define IDENTITY RECORD_BIT(RECORD_IDENTITY)
#define WANTED   RECORD_BIT(RECORD_WANTED)
#define REPORTED RECORD_BIT(RECORD_REPORTED)
#define SESSION  RECORD_BIT(RECORD_SESSION)

static const struct rule {
	op_fn *apply;   /* NULL: a feature does it */
	unsigned needs; /* records of the identity, if it exists */
	bool writes;
	bool creates;     /* may come for an identity that does not exist */
	bool of_session;  /* only for the identity's current session */
	unsigned modules; /* records of each of the device's modules */
	unsigned device;  /* records of a module's device */
	bool queue;       /* with its queue, if there is one, and the identity for its feedback */
	uint8_t admin;    /* enum admin_what: what it is to the log, done by somebody */
} rules[OP_KINDS] = {
	[OP_CONNECT] = { on_connect, IDENTITY | SESSION, false, true, false, 0, IDENTITY, true },
	[OP_JUDGE] = { on_judge, IDENTITY, false, true, false, 0, IDENTITY },
	[OP_DISCONNECT] = { on_disconnect, IDENTITY, false, true, false },
	[OP_RESUME] = { on_resume, IDENTITY | WANTED | SESSION, false, true, false, 0, IDENTITY,
	    true },
	[OP_SUBSCRIBE] = { on_subscribe, SESSION, false, false, true, .queue = true },
	[OP_UNSUBSCRIBE] = { on_unsubscribe, SESSION, false, false, true },
	[OP_TWIN_GET] = { on_twin_get, WANTED | REPORTED, false, false, true },
	[OP_REPORT] = { on_report, REPORTED, true, false, true },
	[OP_TELEMETRY] = { on_telemetry, IDENTITY, true, false, true },
	[OP_METHOD_RESPONSE] = { on_method_response, 0, false, false, true },
	[OP_ACK] = { on_ack, 0, false, false, true },
	[OP_MESSAGE_ACK] = { on_message_ack, 0, true, false, true, .queue = true },
	[OP_MESSAGE_RECEIVE] = { on_message_receive, IDENTITY, true, false, false, .queue = true },
	[OP_MESSAGE_SETTLE] = { on_message_settle, IDENTITY, true, false, false, .queue = true },
	[OP_MESSAGE_SEND] = { on_message_send, 0, true, false, false, .queue = true },
	[OP_MESSAGES_PURGE] = { on_messages_purge, 0, true, false, false, .queue = true,
	    .admin = ADMIN_MESSAGES_PURGED },
	[OP_MESSAGES_LOOK] = { on_messages_look, 0, true, true, false, .queue = true },
	[OP_FEEDBACK_RECEIVE] = { on_feedback_receive, 0, false, true, false },
	[OP_FEEDBACK_SETTLE] = { on_feedback_settle, 0, true, true, false },
	[OP_CONNECTION_GET] = { on_connection_get, IDENTITY | WANTED | REPORTED, false, false,
	    false },
	[OP_CONNECTION_CLOSE] = { on_connection_close, 0, false, false, false,
	    .admin = ADMIN_CONNECTION_CLOSED },
	[OP_EVENTS] = { on_events, IDENTITY, true, false, false },
	[OP_SCOPE_READ] = { on_scope_read, IDENTITY, false, false, false },
	[OP_SCOPE_MEMBER] = { on_scope_member, IDENTITY | REPORTED, false, true, false,
	    IDENTITY | REPORTED },
	[OP_IDENTITY_GET] = { on_identity_get, IDENTITY | REPORTED, false, false, false },
	[OP_IDENTITY_PUT] = { on_identity_put, IDENTITY | REPORTED, true, true, false },
	[OP_IDENTITY_DELETE] = { on_identity_delete, IDENTITY | WANTED | REPORTED | SESSION, true,
	    false, false, IDENTITY | WANTED | REPORTED | SESSION, .queue = true },
	[OP_IDENTITY_IMPORT] = { on_identity_import, IDENTITY | WANTED | REPORTED, true, true,
	    false },
	[OP_KEYS_REGENERATE] = { on_keys_regenerate, IDENTITY, true, false, false },
	[OP_MODULES_LIST] = { on_modules_list, 0, false, false, false, IDENTITY | REPORTED },
	[OP_SCOPE_CHECK] = { on_scope_check, IDENTITY, false, true, false },
	[OP_TWIN_READ] = { on_twin_read, IDENTITY | WANTED | REPORTED, false, false, false },
	[OP_TWIN_CONVERGENCE] = { on_twin_convergence, WANTED | REPORTED, false, false, false },
	[OP_TWIN_PATCH] = { on_twin_patch, IDENTITY | WANTED | REPORTED, true, false, false },
	[OP_METHOD] = { on_method, 0, false, false, false },
	[OP_METHOD_CANCEL] = { on_method_cancel, 0, false, true, false },
	[OP_TWIN_REPLACE] = { on_twin_replace, IDENTITY | WANTED | REPORTED, true, false, false },
	[OP_ADMIN] = { on_admin, 0, true, true, false },
	[OP_JOB_TOLD] = { on_job_told, 0, true, true, false },
	/* done by features: struct feature_ops */
	[OP_APPLY_CONTENT] = { NULL, IDENTITY, true, false, false, WANTED | REPORTED },
	[OP_CONFIGURATION_PUT] = { NULL, 0, true, true, false,
	    .admin = ADMIN_CONFIGURATION_WRITTEN },
	[OP_CONFIGURATION_DELETE] = { NULL, 0, true, true, false,
	    .admin = ADMIN_CONFIGURATION_DELETED },
	[OP_JOB_PUT] = { NULL, 0, true, true, false, .admin = ADMIN_JOB_CREATED },
	[OP_JOB_GET] = { NULL, 0, false, true, false },
	[OP_JOB_CANCEL] = { NULL, 0, true, true, false, .admin = ADMIN_JOB_CANCELLED },
	[OP_ROLLOUT] = { NULL, 0, true, true, false, .admin = ADMIN_ROLLOUT },
	[OP_SINK_PUT] = { NULL, 0, true, true, false, .admin = ADMIN_SINK_WRITTEN },
	[OP_SINK_DELETE] = { NULL, 0, true, true, false, .admin = ADMIN_SINK_DELETED },
	[OP_SINK_CURSOR] = { NULL, 0, true, true, false },
	[OP_ROUTE_PUT] = { NULL, 0, true, true, false, .admin = ADMIN_ROUTE_WRITTEN },
	[OP_ROUTE_DELETE] = { NULL, 0, true, true, false, .admin = ADMIN_ROUTE_DELETED },
	[OP_PARTITION_APPEND] = { NULL, 0, true, true, false },
	[OP_SETTINGS_PATCH] = { NULL, 0, true, true, false, .admin = ADMIN_SETTINGS_CHANGED },
};

bool
op_writes(enum op_kind kind)
{
	return rules[kind].writes;
}

uint32_t
op_shard(const struct op *op)
{
	switch (op->kind) { /* what is hub-wide */
	case OP_CONFIGURATION_PUT:
	case OP_CONFIGURATION_DELETE:
	case OP_ROLLOUT:
	case OP_SINK_PUT:
	case OP_SINK_DELETE:
	case OP_SINK_CURSOR:
	case OP_ROUTE_PUT:
	case OP_ROUTE_DELETE:
	case OP_SETTINGS_PATCH:
	case OP_JOB_PUT:
	case OP_JOB_GET:
	case OP_JOB_CANCEL:
	case OP_ADMIN:
	case OP_JOB_TOLD: return 0;
	case OP_PARTITION_APPEND: return op->partition;
	case OP_FEEDBACK_RECEIVE:
	case OP_FEEDBACK_SETTLE: return op->message.shard % SHARDS;
	default: return hub_shard_of(op->device);
	}
}

/* ---- features: what they add to a change ---- */

static const struct feature_ops *
ops_of(const struct shard *sh, uint32_t i)
{
	static const struct feature_ops none;
	const struct feature_ops *ops = sh->features[i].feature->ops;

	return ops != NULL ? ops : &none;
}

unsigned
change_needs(const struct shard *sh, enum op_kind kind)
{
	unsigned needs = 0;

	for (uint32_t i = 0; sh->watch != 0 && i < sh->nfeature; i++)
		if (sh->features[i].watch != 0 && ops_of(sh, i)->needs != NULL)
			needs |= ops_of(sh, i)->needs(sh, kind);
	return needs;
}

static unsigned
change_missing(struct shard *sh, const struct op *op, struct buf *key)
{
	unsigned missing = 0;

	for (uint32_t i = 0; missing == 0 && i < sh->nfeature; i++)
		if (sh->features[i].watch != 0 && ops_of(sh, i)->missing != NULL)
			missing = ops_of(sh, i)->missing(sh, op, key);
	return missing;
}

static void
because(struct shard *sh, const struct op *op)
{
	log_because(sh, op->actor, op->actor_name);
	sh->log.cause.replaces = op->kind == OP_TWIN_REPLACE;
	if (op->kind == OP_IDENTITY_IMPORT && (op->import & IMPORT_WHOLE) != 0)
		sh->log.cause.why = STR("import");
}

/* Its name goes with the operation: what is written later, by a sweep, is not its doing. */
static void
because_over(struct shard *sh)
{
	log_because(sh, ACTOR_HUB, STR_NONE);
}

void
change_begin(struct shard *sh, const struct op *op)
{
	because(sh, op);
	for (uint32_t i = 0; i < sh->nfeature; i++)
		if (sh->features[i].watch != 0 && ops_of(sh, i)->begin != NULL)
			ops_of(sh, i)->begin(sh, op);
}

void
change_end(struct shard *sh, const struct op *op, const struct hub_env *env, struct reply *reply)
{
	for (uint32_t i = 0; i < sh->nfeature; i++)
		if (sh->features[i].watch != 0 && ops_of(sh, i)->end != NULL)
			ops_of(sh, i)->end(sh, op, env, reply);
	because_over(sh);
}

/* ---- what an operation needs ---- */

static unsigned
missing_of(struct shard *sh, const struct op *op, struct buf *key)
{
	const struct rule *rule = &rules[op->kind];
	struct row *r = row_find(sh, op->device, op->module), *m;
	unsigned missing = 0, needs = rule->needs;

	if (rule->device != 0 && op->module.n != 0 &&
	    (m = row_find(sh, op->device, STR_NONE)) != NULL)
		missing = shard_row_missing(sh, row_number(sh, m), rule->device, key);
	if (r == NULL || missing != 0)
		return missing;
	if (op->kind == OP_DISCONNECT && op->payload.n == 0)
		needs = 0;
	if (op->kind == OP_SUBSCRIBE && filters_listen(op->payload, FILTER_DESIRED))
		needs |= WANTED; /* its version */
	needs |= change_needs(sh, op->kind);
	if (rule->queue)
		needs |= message_needs(r);
	if ((rule->writes || change_needs(sh, op->kind) != 0) && needs & (WANTED | REPORTED))
		needs |= row_version_needs(r);
	missing = shard_row_missing(sh, row_number(sh, r), needs, key);
	if (rule->modules == 0 || r->module_n != 0)
		return missing;
	for (m = module_first(sh, r); m != NULL && missing == 0; m = module_next(sh, m))
		missing = shard_row_missing(sh, row_number(sh, m), rule->modules, key);
	return missing;
}

unsigned
hub_missing(struct shard *sh, const struct op *op, struct buf *key)
{
	unsigned missing = missing_of(sh, op, key);

	return missing != 0 || sh->watch == 0 ? missing : change_missing(sh, op, key);
}

enum err
identity_not_found(struct shard *sh, const struct op *op, struct fault *f)
{
	/* A device's id alone is the text. */
	if (op->module.n == 0 || shard_find(sh, op->device, STR_NONE) == TABLE_NONE)
		fault_set(f, F_DeviceNotFound, STR_FMT, STR_ARG(op->device));
	else
		fault_set(f, F_ModuleNotFound, STR_FMT "/" STR_FMT, STR_ARG(op->device),
		    STR_ARG(op->module));
	return ERR_NOT_FOUND;
}

struct doc
op_body(const struct op *op, struct buf *unique)
{
	struct doc body = doc_of(op->payload);

	if (op->nduplicate == 0)
		return body;
	doc_put_unique(unique, body);
	return doc_of(buf_view(unique));
}

enum err
precondition_check(const struct op *op, const char *etag, struct fault *f)
{
	if (op->if_match != IF_TAG || str_eq(op->if_tag, str_of(etag)))
		return ERR_OK;
	return fault_set(f, F_PreconditionFailed, "PreconditionFailed");
}

/* Of one that is a feature's. Whoever asks for it has made the shard with that feature. */
static op_fn *
feature_operation(const struct shard *sh, enum op_kind kind)
{
	op_fn *apply = NULL;

	for (uint32_t i = 0; apply == NULL && i < sh->nfeature; i++)
		apply = ops_of(sh, i)->operations[kind];
	assert(apply != NULL);
	return apply;
}

void
hub_apply(struct shard *sh, const struct op *op, const struct hub_env *env, struct reply *reply)
{
	const struct rule *rule = &rules[op->kind];
	struct row *r = row_find(sh, op->device, op->module);
	op_fn *apply;

	if (rule->of_session &&
	    (r == NULL || r->presence == NULL || r->presence->session_epoch != op->session_epoch)) {
		reply->gone = true;
		fault_set(&reply->fault, F_ConnectionForcefullyClosedOnNewConnection,
		    "the session has ended");
		return;
	}
	if (r == NULL && !rule->creates) {
		identity_not_found(sh, op, &reply->fault);
		return;
	}
	if (r != NULL && rule->of_session)
		r->activity_us = env->now_us;
	apply = rule->apply != NULL ? rule->apply : feature_operation(sh, op->kind);
	if (sh->watch != 0)
		change_begin(sh, op);
	else
		because(sh, op);
	apply(sh, r, op, env, reply);
	if (rule->admin != ADMIN_NONE && op->actor != ACTOR_HUB && reply->fault.code == F_NONE)
		admin_done(sh, (enum admin_what)rule->admin, op, reply, env);
	if (sh->watch != 0)
		change_end(sh, op, env, reply);
	else
		because_over(sh);
}
