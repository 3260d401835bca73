/*
 * The hub's sinks and routes as shard 0 keeps them, and the operations on them (E-30 to E-36).
 *
 *   sink/ID     a sink
 *   sinkat/ID   its cursor: created_us of the sink (varint), bytes to the end
 *   route/ID    a route
 *
 * A cursor is never there without its sink: it is deleted before it, and undone behind it.
 */
#include "hub/change.h"
#include "limit/limit.h"
#include "routing/priv.h"

#define SINK   "sink/"
#define CURSOR "sinkat/"
#define ROUTE  "route/"

struct routing_state {
	struct routing *set; /* shard 0: as last written; NULL: nothing has been */
};

static struct routing_state *
state_of(const struct shard *sh)
{
	return shard_state(sh, &routing_feature);
}

static void
state_fini(void *state)
{
	struct routing_state *st = state;

	routing_unref(st->set);
}

struct routing *
routing_stored(const struct shard *sh)
{
	struct routing *set = state_of(sh)->set;

	return set != NULL ? routing_ref(set) : routing_new();
}

/* ---- records ---- */

static const char *const key_prefixes[] = { SINK, CURSOR, ROUTE, NULL };

static enum err
load_sink(struct routing **set, struct str id, const struct str *value)
{
	struct sink_def *d = NULL;
	bool there = routing_sink(*set, id) != NULL;
	struct routing *was = *set;

	if (value != NULL &&
	    ((!there && was->nsink == SINKS_MAX) || sink_def_new(id, *value, &d) != ERR_OK))
		return ERR_CORRUPT;
	*set = routing_with_sink(was, id, d);
	routing_unref(was);
	sink_def_unref(d);
	return ERR_OK;
}

static enum err
load_route(struct routing **set, struct str id, const struct str *value)
{
	struct route_def *d = NULL;
	bool there = routing_route(*set, id) != NULL;
	struct routing *was = *set;

	if (value != NULL &&
	    ((!there && was->nroute == ROUTES_MAX) || route_def_new(id, *value, &d) != ERR_OK))
		return ERR_CORRUPT;
	if (value == NULL && str_eq(id, STR(FALLBACK)))
		d = fallback_new();
	*set = routing_with_route(was, id, d);
	routing_unref(was);
	route_def_unref(d);
	return ERR_OK;
}

static enum err
load_cursor(struct routing **set, struct str id, const struct str *value)
{
	const struct sink_def *d = routing_sink(*set, id);
	struct rd rd = rd_of(value != NULL ? *value : STR_NONE);
	struct cursor *c = NULL;
	struct routing *was = *set;
	int64_t of_us;

	if (value != NULL) {
		of_us = (int64_t)rd_varint(&rd);
		if (rd.bad || d == NULL || d->created_us != of_us || value->n > CURSOR_MAX + 10)
			return ERR_CORRUPT;
		c = cursor_new(of_us, rd_bytes(&rd, (size_t)(rd.end - rd.p)));
	}
	*set = routing_with_cursor(was, id, c);
	routing_unref(was);
	cursor_unref(c);
	return ERR_OK;
}

static enum err
routing_load(struct shard *sh, struct str key, const struct str *value)
{
	struct routing_state *st = state_of(sh);

	if (sh->index != 0)
		return ERR_CORRUPT;
	if (st->set == NULL)
		st->set = routing_new();
	if (str_starts(key, STR(SINK)))
		return load_sink(&st->set, str_sub(key, sizeof(SINK) - 1), value);
	if (str_starts(key, STR(CURSOR)))
		return load_cursor(&st->set, str_sub(key, sizeof(CURSOR) - 1), value);
	return load_route(&st->set, str_sub(key, sizeof(ROUTE) - 1), value);
}

static bool
routing_next_prefix(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX])
{
	(void)room;
	if (sh->index != 0 || str_eq(*prefix, STR(ROUTE)))
		return false;
	if (str_eq(*prefix, STR(SINK)))
		*prefix = STR(CURSOR);
	else
		*prefix = str_eq(*prefix, STR(CURSOR)) ? STR(ROUTE) : STR(SINK);
	return true;
}

static bool
cursor_value(const struct routing *set, struct str id, struct buf *out)
{
	const struct cursor *c = routing_cursor(set, id);

	if (c == NULL)
		return false;
	buf_varint(out, (uint64_t)c->of_us);
	buf_put(out, c->bytes, c->n);
	return true;
}

static bool
routing_value(const struct shard *sh, struct str key, struct buf *out)
{
	const struct routing *set = state_of(sh)->set;
	const struct sink_def *d;
	const struct route_def *r;

	if (set == NULL)
		return false;
	if (str_starts(key, STR(CURSOR)))
		return cursor_value(set, str_sub(key, sizeof(CURSOR) - 1), out);
	if (str_starts(key, STR(SINK))) {
		d = routing_sink(set, str_sub(key, sizeof(SINK) - 1));
		if (d != NULL)
			buf_str(out, d->record);
		return d != NULL;
	}
	r = routing_route(set, str_sub(key, sizeof(ROUTE) - 1));
	if (r == NULL || r->counter == 0)
		return false; /* the fallback route as every hub has it is not stored */
	buf_str(out, r->record);
	return true;
}

/* ---- operations ---- */

static void
store(struct shard *sh, const char *prefix, struct str id, const struct str *record,
    const struct hub_env *env)
{
	struct buf key = { 0 };

	buf_cstr(&key, prefix);
	buf_str(&key, id);
	common_write(sh, buf_view(&key), record, env);
	buf_fini(&key);
}

/* The program's set changes when this is on disk. */
static void
store_and_tell(struct shard *sh, const char *prefix, struct str id, const struct str *record,
    const struct hub_env *env)
{
	const struct effect e = { .kind = EFFECT_ROUTING };

	store(sh, prefix, id, record, env);
	env->effect(env->ctx, &e);
}

/* counter 0: it is not there. */
static enum err
check_precondition(uint64_t counter, const struct op *op, struct fault *f)
{
	char etag[32];

	if (op->if_match == IF_NONE)
		return ERR_OK;
	if (counter == 0)
		return fault_set(f, F_PreconditionFailed,
		    "PreconditionFailed: there is none " STR_FMT, STR_ARG(op->name));
	decimal_etag(counter, etag);
	return precondition_check(op, etag, f);
}

static enum err
no_such(const struct op *op, struct fault *f, const char *what)
{
	return fault_set(f, F_GenericNotFound, "there is no %s " STR_FMT, what, STR_ARG(op->name));
}

/* No two write the same file. */
static enum err
check_path(const struct routing *set, const struct sink_def *d, struct fault *f)
{
	for (uint32_t i = 0; d->type == TO_FILE && i < set->nsink; i++)
		if (set->sinks[i]->type == TO_FILE && !str_eq(set->sinks[i]->id, d->id) &&
		    str_eq(sink_text(set->sinks[i], "path"), sink_text(d, "path")))
			return fault_set(f, F_ArgumentInvalid, "path is that of the sink " STR_FMT,
			    STR_ARG(set->sinks[i]->id));
	return ERR_OK;
}

static enum err
check_room(unsigned n, const char *what, uint64_t most, struct fault *f)
{
	if (n < most)
		return ERR_OK;
	return fault_set(
	    f, F_IotHubQuotaExceeded, "there are %u %s, the limit is %u", n, what, (unsigned)most);
}

static enum err
sink_record(const struct routing *set, const struct op *op, const struct hub_env *env,
    struct buf *record, struct fault *f)
{
	const struct sink_def *old = routing_sink(set, op->name);
	struct sink_def *d = NULL;
	struct buf unique = { 0 };
	enum err e = check_precondition(old != NULL ? old->counter : 0, op, f);

	if (e == ERR_OK)
		e = routing_id_check(op->name, f);
	if (e == ERR_OK && str_eq(op->name, STR(BUILT_IN)))
		e = fault_set(f, F_ArgumentInvalid,
		    "the sink " BUILT_IN " is the hub's own, and cannot be written");
	if (e == ERR_OK && old == NULL)
		e = check_room(
		    set->nsink, "sinks", limit_most(env->counts, LIMIT_SINKS, SINKS_MAX), f);
	if (e == ERR_OK)
		e = sink_encode(record, op_body(op, &unique), old, env->now_us, f);
	if (e == ERR_OK && sink_def_new(op->name, buf_view(record), &d) != ERR_OK)
		e = fault_set(f, F_ServerError, "this sink cannot be stored");
	if (e == ERR_OK)
		e = check_path(set, d, f);
	sink_def_unref(d);
	buf_fini(&unique);
	return e;
}

static void
on_sink_put(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct routing *set = routing_stored(sh);
	struct buf record = { 0 };
	struct str bytes;

	(void)r;
	if (sink_record(set, op, env, &record, &reply->fault) == ERR_OK) {
		bytes = buf_view(&record);
		store_and_tell(sh, SINK, op->name, &bytes, env);
		decimal_etag(routing_sink(state_of(sh)->set, op->name)->counter, reply->etag);
	}
	routing_unref(set);
	buf_fini(&record);
}

static void
on_sink_delete(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct routing *set = routing_stored(sh);
	const struct sink_def *d = routing_sink(set, op->name);

	(void)r;
	if (str_eq(op->name, STR(BUILT_IN)))
		fault_set(&reply->fault, F_ArgumentInvalid,
		    "the sink " BUILT_IN " is the hub's own, and cannot be deleted");
	else if (d == NULL)
		no_such(op, &reply->fault, "sink");
	else if (check_precondition(d->counter, op, &reply->fault) == ERR_OK) {
		if (routing_leads_to(set, op->name)) {
			fault_set(&reply->fault, F_GenericConflict,
			    "a route leads to the sink " STR_FMT ": it is to be deleted first",
			    STR_ARG(op->name));
		} else {
			store(sh, CURSOR, op->name, NULL, env);
			store_and_tell(sh, SINK, op->name, NULL, env);
		}
	}
	routing_unref(set);
}

/* Where the sink has come to; of one that has gone, or was made again, it is nothing. */
static void
on_sink_cursor(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct routing *set = routing_stored(sh);
	const struct sink_def *d = routing_sink(set, op->name);
	struct buf value = { 0 };
	struct str bytes;

	(void)r;
	if (d == NULL || (uint64_t)d->created_us != op->base_version ||
	    op->payload.n > CURSOR_MAX) {
		no_such(op, &reply->fault, "sink");
	} else {
		buf_varint(&value, (uint64_t)d->created_us);
		buf_str(&value, op->payload);
		bytes = buf_view(&value);
		store(sh, CURSOR, op->name, &bytes, env);
	}
	routing_unref(set);
	buf_fini(&value);
}

static enum err
route_record(const struct routing *set, const struct op *op, const struct hub_env *env,
    struct buf *record, struct fault *f)
{
	const struct route_def *old = routing_route(set, op->name);
	struct buf unique = { 0 };
	enum err e = check_precondition(old != NULL ? old->counter : 0, op, f);

	if (e == ERR_OK && !str_eq(op->name, STR(FALLBACK)))
		e = routing_id_check(op->name, f);
	if (e == ERR_OK && old == NULL)
		e = check_room(set->nroute - 1, "routes beside the fallback",
		    limit_most(env->counts, LIMIT_ROUTES, ROUTES_MAX - 1), f);
	if (e == ERR_OK)
		e = route_encode(record, op->name, op_body(op, &unique), old, set, env->now_us, f);
	buf_fini(&unique);
	return e;
}

static void
on_route_put(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct routing *set = routing_stored(sh);
	struct buf record = { 0 };
	struct str bytes;

	(void)r;
	if (route_record(set, op, env, &record, &reply->fault) == ERR_OK) {
		bytes = buf_view(&record);
		store_and_tell(sh, ROUTE, op->name, &bytes, env);
		decimal_etag(routing_route(state_of(sh)->set, op->name)->counter, reply->etag);
	}
	routing_unref(set);
	buf_fini(&record);
}

static void
on_route_delete(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct routing *set = routing_stored(sh);
	const struct route_def *d = routing_route(set, op->name);

	(void)r;
	if (str_eq(op->name, STR(FALLBACK)))
		fault_set(&reply->fault, F_ArgumentInvalid,
		    "the route " FALLBACK " is always there: isEnabled turns it off");
	else if (d == NULL)
		no_such(op, &reply->fault, "route");
	else if (check_precondition(d->counter, op, &reply->fault) == ERR_OK)
		store_and_tell(sh, ROUTE, op->name, NULL, env);
	routing_unref(set);
}

/* ---- the feature ---- */

static const struct feature_ops operations = { .operations = { [OP_SINK_PUT] = on_sink_put,
	                                           [OP_SINK_DELETE] = on_sink_delete,
	                                           [OP_SINK_CURSOR] = on_sink_cursor,
	                                           [OP_ROUTE_PUT] = on_route_put,
	                                           [OP_ROUTE_DELETE] = on_route_delete } };

const struct feature routing_feature = {
	.state_bytes = sizeof(struct routing_state),
	.fini = state_fini,
	.key_prefixes = key_prefixes,
	.load = routing_load,
	.next_prefix = routing_next_prefix,
	.value = routing_value,
	.ops = &operations,
};
