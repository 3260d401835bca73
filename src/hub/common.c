/*
 * What a shard keeps that belongs to no identity: a few records, wholly in memory, whose memory is a function of their keys
 * and values, so that loading one, writing one and taking a write back are the same.
 *
 *   configuration/ID   shard 0: a configuration
 *   swept/SHARD        the hash of the set of configurations that every row has been brought in line with; absent: the empty one;
 *                      UNSWEPT: some rows with one set, some with another
 *   job...             jobs: see jobs.c and job_part.c
 */
#include "hub/priv.h"

#include <stdlib.h>

#define CONFIGURATION "configuration/"
#define SWEPT         "swept/"

static void
take_configuration(struct shard *sh, struct str id, struct configuration *c)
{
	struct configurations *next = configurations_with(sh->stored, id, c);

	configurations_free(sh->stored);
	sh->stored = next;
	configuration_unref(c);
}

static struct str
swept_key(const struct shard *sh, char room[HUB_PREFIX_MAX])
{
	memcpy(room, SWEPT, sizeof(SWEPT));
	room[sizeof(SWEPT) - 1] = (char)(sh->index >> 8);
	room[sizeof(SWEPT)] = (char)sh->index;
	return (struct str){ room, sizeof(SWEPT) + 1 };
}

enum err
shard_common(struct shard *sh, struct str key, const struct str *value)
{
	struct configuration *c = NULL;

	if (str_starts(key, STR(SWEPT))) {
		struct rd rd = rd_of(value != NULL ? *value : STR_NONE);

		if (value != NULL && value->n != 8)
			return ERR_CORRUPT;
		sh->swept = value != NULL ? rd_le64(&rd) : 0;
		return ERR_OK;
	}
	if (jobs_key(key))
		return jobs_common(sh, key, value);
	if (!str_starts(key, STR(CONFIGURATION)))
		return ERR_OK; /* another's */
	key = str_sub(key, sizeof(CONFIGURATION) - 1);
	if (value != NULL && configuration_new(*value, &c) != ERR_OK)
		return ERR_CORRUPT;
	if (c != NULL &&
	    (!str_eq(c->id, key) ||
	        (sh->stored != NULL && sh->stored->n >= CONFIGURATIONS_MAX &&
	            configurations_find(sh->stored, key) == NULL))) {
		configuration_unref(c);
		return ERR_CORRUPT;
	}
	take_configuration(sh, key, c);
	return ERR_OK;
}

bool
shard_common_prefix(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX])
{
	if (prefix->n == 0 && sh->index == 0) {
		*prefix = STR(CONFIGURATION);
		return true;
	}
	if (str_starts(*prefix, STR(SWEPT)) || jobs_key(*prefix))
		return jobs_common_prefix(sh, prefix, room);
	*prefix = swept_key(sh, room);
	return true;
}

struct configurations *
shard_configurations(const struct shard *sh)
{
	return configurations_copy(sh->stored);
}

/* The value in memory; false: there is none. */
static bool
common_value(const struct shard *sh, struct str key, struct buf *out)
{
	struct configuration *c;

	if (jobs_key(key))
		return jobs_common_value(sh, key, out);
	if (str_starts(key, STR(SWEPT))) {
		if (sh->swept != 0)
			buf_le64(out, sh->swept);
		return sh->swept != 0;
	}
	c = configurations_find(sh->stored, str_sub(key, sizeof(CONFIGURATION) - 1));
	if (c != NULL)
		buf_str(out, c->record);
	return c != NULL;
}

void
common_write(struct shard *sh, struct str key, const struct str *value, const struct hub_env *env)
{
	struct buf old = { 0 };
	struct str was;
	bool there = common_value(sh, key, &old);
	enum err e;

	was = buf_view(&old);
	undo_common(env->undo, sh, key, there ? &was : NULL);
	e = shard_common(sh, key, value);
	assert(e == ERR_OK);
	(void)e;
	if (value == NULL)
		env->del(env->ctx, RECORD_COMMON, key);
	else
		env->put(env->ctx, RECORD_COMMON, key, *value);
	buf_fini(&old);
}

void
swept_write(struct shard *sh, uint64_t hash, const struct hub_env *env)
{
	struct buf value = { 0 };
	struct str bytes;
	char room[HUB_PREFIX_MAX];

	buf_le64(&value, hash);
	bytes = buf_view(&value);
	common_write(sh, swept_key(sh, room), hash != 0 ? &bytes : NULL, env);
	buf_fini(&value);
}

/* ---- operations on configurations (J-29 to J-34) ---- */

static void
configuration_write_key(struct buf *out, struct str id)
{
	buf_cstr(out, CONFIGURATION);
	buf_str(out, id);
}

/* The catalogue changes when this is on disk. */
static void
configuration_store(
    struct shard *sh, struct str id, const struct str *record, const struct hub_env *env)
{
	struct effect e = { .kind = EFFECT_CONFIGURATIONS };
	struct buf key = { 0 };

	configuration_write_key(&key, id);
	common_write(sh, buf_view(&key), record, env);
	env->effect(env->ctx, &e);
	buf_fini(&key);
}

/* May what If-Match asks for be done to what is there? */
static bool
allowed(const struct configuration *old, const struct op *op, struct fault *f)
{
	struct reply reply = { 0 };
	char etag[32];

	if (op->if_match == IF_NONE && op->kind == OP_CONFIGURATION_PUT) {
		if (old != NULL)
			fault_set(f, F_ConfigurationAlreadyExists,
			    "Conflict: the configuration " STR_FMT " exists, " IF_MATCH_MISSING,
			    STR_ARG(op->name));
		return old == NULL;
	}
	if (old == NULL) {
		fault_set(f, F_ConfigurationNotFound, STR_FMT, STR_ARG(op->name));
		return false;
	}
	configuration_etag(old, etag);
	if (precondition_holds(op, etag, &reply))
		return true;
	*f = reply.fault;
	return false;
}

enum err
configuration_record(const struct configurations *set, const struct op *op, int64_t now_us,
    struct buf *record, struct fault *f)
{
	const struct configuration *old = configurations_find(set, op->name);
	struct doc body = doc_of(op->payload);
	struct buf unique = { 0 };
	enum err e;

	if (!allowed(old, op, f))
		return ERR_ARG;
	if (old == NULL && (!configuration_id_valid(op->name) || id_is_dots(op->name)))
		return fault_set(f, F_ArgumentInvalid,
		    "the id is not 1 to %u lower-case letters, digits and punctuation without any "
		    "of "
		    "&^[]{}\\/\"<>|, and not . or ..",
		    CONFIGURATION_ID_MAX);
	if (old == NULL && set != NULL && set->n >= CONFIGURATIONS_MAX)
		return fault_set(f, F_ConfigurationCountLimitExceeded,
		    "there are %u configurations, the limit", CONFIGURATIONS_MAX);
	if (op->nduplicate > 0) {
		doc_put_unique(&unique, body);
		body = doc_of(buf_view(&unique));
	}
	e = configuration_encode(record, op->name, body, old, op->actor_name, now_us, f);
	buf_fini(&unique);
	return e;
}

void
on_configuration_put(struct shard *sh, struct row *r, const struct op *op,
    const struct hub_env *env, struct reply *reply)
{
	struct buf record = { 0 };
	struct configuration *c;
	struct str bytes;

	(void)r;
	if (configuration_record(sh->stored, op, env->now_us, &record, &reply->fault) == ERR_OK) {
		bytes = buf_view(&record);
		configuration_store(sh, op->name, &bytes, env);
		c = configurations_find(sh->stored, op->name);
		configuration_etag(c, reply->etag);
		configuration_write(&reply->body, c, NULL);
	}
	buf_fini(&record);
}

void
on_configuration_delete(struct shard *sh, struct row *r, const struct op *op,
    const struct hub_env *env, struct reply *reply)
{
	(void)r;
	if (allowed(configurations_find(sh->stored, op->name), op, &reply->fault))
		configuration_store(sh, op->name, NULL, env);
}

/* The rollout moves; its configuration, as its etag says, stays as it is. */
void
on_rollout(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct configuration *c = configurations_find(sh->stored, op->name);
	struct buf record = { 0 };
	struct rollout *next;
	struct str bytes;

	(void)r;
	if (!allowed(c, op, &reply->fault))
		return;
	if (c->rollout == NULL) {
		fault_set(&reply->fault, F_OperationNotAllowedInCurrentState,
		    "the configuration " STR_FMT " has no rollout", STR_ARG(op->name));
		return;
	}
	next = xmalloc(sizeof(*next));
	*next = *c->rollout;
	if (op->rollout.action == ROLLOUT_LOOK
	        ? rollout_look(next, &op->rollout.seen, env->now_us)
	        : rollout_act(next, op->rollout.action, op->actor_name, env->now_us,
	              &reply->fault) == ERR_OK) {
		configuration_moved(&record, c, next);
		bytes = buf_view(&record);
		configuration_store(sh, op->name, &bytes, env);
	}
	buf_fini(&record);
	free(next);
}
