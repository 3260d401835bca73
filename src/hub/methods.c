/*
 * Direct methods (device-mqtt.md 5, service-rest.md 10): a call is sent to the session that listens, or waits for one, and
 * ends with its response, with the session, or with its caller's patience, which is the caller's to measure.
 *
 *   OP_METHOD --device listens--> SENT: in its presence ---response, session ends---> EFFECT_CALL_DONE
 *       |                          ^                    \--OP_METHOD_CANCEL--> nobody hears of it
 *       +---------wait--> WAITING: in the shard ---identity ends---> EFFECT_CALL_DONE
 *
 * Calls are in no record and in no undo entry: a failed commit answers OP_METHOD with a fault, or EFFECT_METHOD with
 * EFFECT_CALL_UNSENT, and its caller cancels.
 */
#include "hub/priv.h"

#include <stdlib.h>

bool
reply_to_same(const struct reply_to *a, const struct reply_to *b)
{
	return a->node == b->node && a->caller == b->caller && a->loop == b->loop &&
	    a->slot == b->slot && a->generation == b->generation;
}

static void
call_fails(const struct reply_to *caller, enum fault_code fault, struct str text,
    const struct hub_env *env)
{
	struct effect e = {
		.kind = EFFECT_CALL_DONE, .session = *caller, .fault = fault, .body = text
	};

	env->effect(env->ctx, &e);
}

/* ---- sent calls ---- */

/* To all methods, or to this one (device-mqtt.md 3.1). */
bool
row_listens_to(const struct row *r, struct str name)
{
	struct rd rd;
	struct filter f;

	if (r->presence == NULL)
		return false;
	if (r->presence->listens & 1u << FILTER_METHODS)
		return true;
	if (!(r->presence->listens & 1u << FILTER_METHOD))
		return false;
	rd = rd_of(blob_str(r->presence->filters));
	rd_u8(&rd);
	while (filters_next(&rd, &f))
		if (f.kind == FILTER_METHOD && str_eq(f.name, name))
			return true;
	return false;
}

static enum err
session_check_room(const struct presence *p, size_t bytes, struct fault *f)
{
	if (p->ncall < CALLS_MAX && (p->ncall == 0 || p->call_bytes + bytes <= CALL_BYTES_MAX))
		return ERR_OK;
	return fault_set(f, F_DeviceThrottlingLimitExceeded,
	    "the device has %u calls of %u bytes to answer, the limits are %u and %u", p->ncall,
	    p->call_bytes, CALLS_MAX, CALL_BYTES_MAX);
}

static void
call_send(struct shard *sh, struct row *r, const struct reply_to *caller, struct str name,
    struct str payload, const struct hub_env *env)
{
	struct presence *p = r->presence;
	struct call *c = xcalloc(1, sizeof(*c));
	struct effect e = { .kind = EFFECT_METHOD,
		.session = p->session,
		.caller = *caller,
		.name = name,
		.body = payload };

	c->caller = *caller;
	c->number = e.call = ++sh->call_last;
	c->logged = method_called(sh, r, name, payload.n, env);
	c->payload.n = payload.n;
	c->next = p->calls;
	p->calls = c;
	p->ncall++;
	p->call_bytes += (uint32_t)payload.n;
	sh->ncall++;
	env->effect(env->ctx, &e);
}

static void
sent_drop(struct shard *sh, struct presence *p, struct call **at)
{
	struct call *c = *at;

	*at = c->next;
	p->ncall--;
	p->call_bytes -= (uint32_t)c->payload.n;
	sh->ncall--;
	free(c);
}

void
calls_lost(struct shard *sh, struct row *r, const struct hub_env *env)
{
	struct presence *p = r->presence;

	while (p->calls != NULL) {
		call_fails(&p->calls->caller, F_DeviceConnectionClosedRemotely,
		    STR("the device has disconnected before it answered"), env);
		sent_drop(sh, p, &p->calls);
	}
}

/* ---- waiting calls ---- */

static bool
waits_for(const struct call *c, const struct row *r)
{
	return str_eq(c->device, row_device(r)) && str_eq(c->module, row_module(r));
}

static struct str
kept(char **at, struct str s)
{
	struct str copy = { *at, s.n };

	if (s.n != 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

static void
call_wait(struct shard *sh, struct row *r, const struct op *op)
{
	struct call *c = xcalloc(
	    1, sizeof(*c) + op->device.n + op->module.n + op->method.name.n + op->payload.n);
	struct call **end = &sh->waiting;
	char *at = c->bytes;

	c->caller = op->reply_to;
	c->device = kept(&at, op->device);
	c->module = kept(&at, op->module);
	c->name = kept(&at, op->method.name);
	c->payload = kept(&at, op->payload);
	while (*end != NULL)
		end = &(*end)->next;
	*end = c;
	sh->ncall++;
	sh->waiting_bytes += c->payload.n;
	r->awaited = true;
}

/* Unlinked; the caller frees it. */
static struct call *
waiting_take(struct shard *sh, struct call **at)
{
	struct call *c = *at;

	*at = c->next;
	sh->ncall--;
	sh->waiting_bytes -= c->payload.n;
	return c;
}

void
calls_refuse(struct shard *sh, struct row *r, const struct hub_env *env)
{
	struct call **at = &sh->waiting;

	while (r->awaited && *at != NULL) {
		if (!waits_for(*at, r)) {
			at = &(*at)->next;
			continue;
		}
		call_fails(&(*at)->caller, F_DeviceNotFound, row_device(r), env);
		free(waiting_take(sh, at));
	}
	r->awaited = false;
}

void
calls_give_up(struct shard *sh, const struct hub_env *env)
{
	while (sh->waiting != NULL) {
		call_fails(&sh->waiting->caller, F_DeviceNotOnline,
		    STR("the device is served elsewhere from now on, and had not connected"), env);
		free(waiting_take(sh, &sh->waiting));
	}
}

static bool
is_of_node(const struct call *c, uint8_t node)
{
	return c->caller.node == node && c->caller.caller == CALLER_CLIENT;
}

void
calls_forget(struct shard *sh, struct presence *p, uint8_t node)
{
	for (struct call **at = &p->calls; *at != NULL;)
		if (is_of_node(*at, node))
			sent_drop(sh, p, at);
		else
			at = &(*at)->next;
}

void
calls_forget_waiting(struct shard *sh, uint8_t node)
{
	for (struct call **at = &sh->waiting; *at != NULL;)
		if (is_of_node(*at, node))
			free(waiting_take(sh, at));
		else
			at = &(*at)->next;
}

static void
call_wakes(struct shard *sh, struct row *r, const struct call *c, const struct hub_env *env)
{
	struct effect sent = { .kind = EFFECT_CALL_SENT, .session = c->caller };
	struct fault f;

	if (session_check_room(r->presence, c->payload.n, &f) != ERR_OK) {
		call_fails(&c->caller, f.code, str_of(f.text), env);
		return;
	}
	env->effect(env->ctx, &sent);
	call_send(sh, r, &c->caller, c->name, c->payload, env);
}

void
calls_wake(struct shard *sh, struct row *r, const struct hub_env *env)
{
	struct call **at = &sh->waiting;
	bool more = false;

	while (r->awaited && *at != NULL) {
		struct call *c = *at;

		if (!waits_for(c, r) || !row_listens_to(r, c->name)) {
			more = more || waits_for(c, r);
			at = &c->next;
			continue;
		}
		waiting_take(sh, at);
		call_wakes(sh, r, c, env);
		free(c);
	}
	r->awaited = more;
}

/* ---- operations ---- */

static bool
device_disabled(struct shard *sh, const struct row *r, struct str device)
{
	const struct row *owner = r->module_n == 0 ? r : row_find(sh, device, STR_NONE);

	return owner == NULL || owner->disabled;
}

static enum err
shard_check_room(const struct shard *sh, const struct op *op, bool wait, struct fault *f)
{
	if (sh->ncall < CALLS_SHARD_MAX &&
	    (!wait || sh->waiting_bytes + op->payload.n <= WAITING_BYTES_MAX))
		return ERR_OK;
	return fault_set(f, F_ThrottleBacklogLimitExceeded, "too many calls are under way");
}

void
on_method(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	bool there = row_listens_to(r, op->method.name);

	if (device_disabled(sh, r, op->device)) {
		fault_set(&reply->fault, F_DeviceNotFound, STR_FMT ": the device is disabled",
		    STR_ARG(op->device));
	} else if (!there && !op->method.wait) {
		fault_set(&reply->fault, F_DeviceNotOnline,
		    "the device is not connected, or does not listen to this method");
	} else if (shard_check_room(sh, op, !there, &reply->fault) != ERR_OK ||
	    (there && session_check_room(r->presence, op->payload.n, &reply->fault) != ERR_OK)) {
		return;
	} else if (there) {
		call_send(sh, r, &op->reply_to, op->method.name, op->payload, env);
		reply->deliver = true;
	} else {
		call_wait(sh, r, op);
	}
}

void
on_method_cancel(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct presence *p = r != NULL ? r->presence : NULL;
	struct call **at;

	(void)env, (void)reply;
	for (at = p != NULL ? &p->calls : NULL; at != NULL && *at != NULL; at = &(*at)->next) {
		if (reply_to_same(&(*at)->caller, &op->reply_to)) {
			sent_drop(sh, p, at);
			return;
		}
	}
	for (at = &sh->waiting; *at != NULL; at = &(*at)->next) {
		if (reply_to_same(&(*at)->caller, &op->reply_to)) {
			free(waiting_take(sh, at));
			return;
		}
	}
}

/* Late and unknown ones are nobody's (D-58). */
void
on_method_response(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct effect e = { .kind = EFFECT_CALL_DONE,
		.status = op->method.status,
		.fault = op->method.fault,
		.body = op->payload };
	struct call **at = &r->presence->calls;

	(void)reply;
	while (*at != NULL && (*at)->number != op->method.call)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	e.session = (*at)->caller;
	method_answered(sh, r, (*at)->logged, op, env);
	sent_drop(sh, r->presence, at);
	env->effect(env->ctx, &e);
}
