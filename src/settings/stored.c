/*
 * The hub's settings as shard 0 keeps them, in one record, and the operation that changes them.
 *
 *   settings    values.c
 */
#include "hub/change.h"
#include "settings/settings.h"

#define KEY "settings"

struct settings_state {
	struct settings *now; /* NULL: nobody has stored them */
};

static struct settings_state *
state_of(const struct shard *sh)
{
	return shard_state(sh, &settings_feature);
}

static void
state_fini(void *state)
{
	settings_unref(((struct settings_state *)state)->now);
}

struct settings *
settings_stored(const struct shard *sh)
{
	struct settings *now = state_of(sh)->now;

	return now != NULL ? settings_ref(now) : settings_new();
}

/* ---- the record ---- */

static const char *const key_prefixes[] = { KEY, NULL };

static enum err
settings_load(struct shard *sh, struct str key, const struct str *value)
{
	struct settings_state *st = state_of(sh);
	struct settings *next = NULL;

	if (sh->index != 0 || !str_eq(key, STR(KEY)) ||
	    (value != NULL && settings_read(*value, &next) != ERR_OK))
		return ERR_CORRUPT;
	settings_unref(st->now);
	st->now = next;
	return ERR_OK;
}

static bool
settings_next_prefix(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX])
{
	(void)room;
	if (sh->index != 0 || str_eq(*prefix, STR(KEY)))
		return false;
	*prefix = STR(KEY);
	return true;
}

static bool
settings_value(const struct shard *sh, struct str key, struct buf *out)
{
	const struct settings *now = state_of(sh)->now;

	(void)key;
	if (now != NULL)
		settings_record(out, now);
	return now != NULL;
}

/* ---- the operation ---- */

static enum err
next_record(struct buf *record, const struct settings *now, const struct op *op, int64_t now_us,
    struct fault *f)
{
	struct buf unique = { 0 };
	char etag[32];
	enum err e;

	settings_etag(now, etag);
	e = precondition_check(op, etag, f);
	if (e == ERR_OK)
		e = settings_patch(record, now, op_body(op, &unique),
		    now->counter == 0 && op->actor == ACTOR_HUB, now_us, f);
	buf_fini(&unique);
	return e;
}

static void
on_settings_patch(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	static const struct effect told = { .kind = EFFECT_SETTINGS };
	struct settings *now = settings_stored(sh);
	struct buf record = { 0 };
	struct str bytes;

	(void)r;
	if (next_record(&record, now, op, env->now_us, &reply->fault) == ERR_OK) {
		bytes = buf_view(&record);
		common_write(sh, STR(KEY), &bytes, env);
		env->effect(env->ctx, &told);
		settings_etag(state_of(sh)->now, reply->etag);
	}
	settings_unref(now);
	buf_fini(&record);
}

static const struct feature_ops operations = { .operations = {
	                                           [OP_SETTINGS_PATCH] = on_settings_patch } };

const struct feature settings_feature = {
	.state_bytes = sizeof(struct settings_state),
	.fini = state_fini,
	.key_prefixes = key_prefixes,
	.load = settings_load,
	.next_prefix = settings_next_prefix,
	.value = settings_value,
	.ops = &operations,
};
