/*
 * The hub's configurations as shard 0 keeps them, the operations on them (J-29 to J-34), and with which set each shard is through (swept).
 *
 *   configuration/ID   shard 0: a configuration
 *   swept/SHARD        the hash of the set of configurations that every row has been brought in line with; absent: the empty one;
 *                      UNSWEPT: some rows with one set, some with another
 */
#include <stdlib.h>

#include "config/configure.h"
#include "limit/limit.h"

#define CONFIGURATION "configuration/"
#define SWEPT         "swept/"

const char *const configure_key_prefixes[] = { CONFIGURATION, SWEPT, NULL };

/* ---- records ---- */

static void
take_configuration(struct configure *c, struct str id, struct configuration *one)
{
	struct configurations *next = configurations_with(c->stored, id, one);

	configurations_free(c->stored);
	c->stored = next;
	configuration_unref(one);
}

static struct str
swept_key(const struct shard *sh, char room[HUB_PREFIX_MAX])
{
	memcpy(room, SWEPT, sizeof(SWEPT));
	room[sizeof(SWEPT) - 1] = (char)(sh->index >> 8);
	room[sizeof(SWEPT)] = (char)sh->index;
	return (struct str){ room, sizeof(SWEPT) + 1 };
}

static enum err
load_swept(struct configure *c, const struct str *value)
{
	struct rd rd = rd_of(value != NULL ? *value : STR_NONE);

	if (value != NULL && value->n != 8)
		return ERR_CORRUPT;
	c->swept = value != NULL ? rd_le64(&rd) : 0;
	return ERR_OK;
}

enum err
configure_load(struct shard *sh, struct str key, const struct str *value)
{
	struct configure *c = configure_of(sh);
	struct configuration *one = NULL;

	if (str_starts(key, STR(SWEPT)))
		return load_swept(c, value);
	key = str_sub(key, sizeof(CONFIGURATION) - 1);
	if (value != NULL && configuration_new(*value, &one) != ERR_OK)
		return ERR_CORRUPT;
	if (one != NULL &&
	    (!str_eq(one->id, key) ||
	        (c->stored != NULL && c->stored->n >= CONFIGURATIONS_MAX &&
	            configurations_find(c->stored, key) == NULL))) {
		configuration_unref(one);
		return ERR_CORRUPT;
	}
	take_configuration(c, key, one);
	return ERR_OK;
}

bool
configure_next_prefix(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX])
{
	bool first = prefix->n == 0;

	if (str_starts(*prefix, STR(SWEPT)))
		return false;
	*prefix = first && sh->index == 0 ? STR(CONFIGURATION) : swept_key(sh, room);
	return true;
}

bool
configure_value(const struct shard *sh, struct str key, struct buf *out)
{
	const struct configure *c = configure_of(sh);
	struct configuration *one;

	if (str_starts(key, STR(SWEPT))) {
		if (c->swept != 0)
			buf_le64(out, c->swept);
		return c->swept != 0;
	}
	one = configurations_find(c->stored, str_sub(key, sizeof(CONFIGURATION) - 1));
	if (one != NULL)
		buf_str(out, one->record);
	return one != NULL;
}

struct configurations *
configurations_stored(const struct shard *sh)
{
	return configurations_copy(configure_of(sh)->stored);
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

/* ---- operations ---- */

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
static enum err
check_precondition(const struct configuration *old, const struct op *op, struct fault *f)
{
	char etag[32];

	if (op->if_match == IF_NONE && op->kind == OP_CONFIGURATION_PUT) {
		if (old == NULL)
			return ERR_OK;
		return fault_set(f, F_ConfigurationAlreadyExists,
		    "Conflict: the configuration " STR_FMT " exists, " IF_MATCH_MISSING,
		    STR_ARG(op->name));
	}
	if (old == NULL)
		return fault_set(f, F_ConfigurationNotFound, STR_FMT, STR_ARG(op->name));
	configuration_etag(old, etag);
	return precondition_check(op, etag, f);
}

enum err
configuration_record(const struct configurations *set, const struct op *op,
    const struct limit_counts *counts, int64_t now_us, struct buf *record, struct fault *f)
{
	const struct configuration *old = configurations_find(set, op->name);
	uint64_t most = limit_most(counts, LIMIT_ALL_CONFIGURATIONS, CONFIGURATIONS_MAX);
	struct buf unique = { 0 };
	enum err e;

	if (check_precondition(old, op, f) != ERR_OK)
		return ERR_ARG;
	if (old == NULL && (!configuration_id_valid(op->name) || id_is_dots(op->name)))
		return fault_set(f, F_ArgumentInvalid,
		    "the id is not 1 to %u lower-case letters, digits and punctuation without any "
		    "of "
		    "&^[]{}\\/\"<>|, and not . or ..",
		    CONFIGURATION_ID_MAX);
	if (old == NULL && set != NULL && set->n >= most)
		return fault_set(f, F_ConfigurationCountLimitExceeded,
		    "there are %u configurations, the limit is %u", set->n, (unsigned)most);
	e = configuration_encode(
	    record, op->name, op_body(op, &unique), old, op->actor_name, now_us, f);
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
	if (configuration_record(configure_of(sh)->stored, op, env->counts, env->now_us, &record,
	        &reply->fault) == ERR_OK) {
		bytes = buf_view(&record);
		configuration_store(sh, op->name, &bytes, env);
		c = configurations_find(configure_of(sh)->stored, op->name);
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
	if (check_precondition(configurations_find(configure_of(sh)->stored, op->name), op,
	        &reply->fault) == ERR_OK)
		configuration_store(sh, op->name, NULL, env);
}

/* The rollout moves; its configuration, as its etag says, stays as it is. */
void
on_rollout(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct configuration *c = configurations_find(configure_of(sh)->stored, op->name);
	struct buf record = { 0 };
	struct rollout *next;
	struct str bytes;

	(void)r;
	if (check_precondition(c, op, &reply->fault) != ERR_OK)
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
