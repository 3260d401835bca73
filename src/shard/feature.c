/*
 * Features: what the rooms above keep in a shard and hear of it, and their records, which belong to no identity: a few, wholly
 * in memory, whose memory is a function of their keys and values, so that loading one, writing one and taking a write back
 * are the same.
 */
#include "shard/feature.h"

#include <stdlib.h>

void
features_init(struct shard *sh, const struct feature *const *features)
{
	for (uint32_t i = 0; features != NULL && features[i] != NULL; i++) {
		assert(i < FEATURES_MAX);
		sh->features[i].feature = features[i];
		sh->features[i].state = xcalloc(1, features[i]->state_bytes);
		sh->nfeature++;
	}
}

void
features_fini(struct shard *sh)
{
	for (uint32_t i = 0; i < sh->nfeature; i++) {
		sh->features[i].feature->fini(sh->features[i].state);
		free(sh->features[i].state);
	}
}

static uint32_t
index_of(const struct shard *sh, const struct feature *f)
{
	uint32_t i = 0;

	while (i < sh->nfeature && sh->features[i].feature != f)
		i++;
	assert(i < sh->nfeature);
	return i;
}

void *
shard_state(const struct shard *sh, const struct feature *f)
{
	return sh->features[index_of(sh, f)].state;
}

void
shard_watch(struct shard *sh, const struct feature *f, unsigned what)
{
	sh->features[index_of(sh, f)].watch = what;
	sh->watch = 0;
	for (uint32_t i = 0; i < sh->nfeature; i++)
		sh->watch |= sh->features[i].watch;
}

/* ---- rows ---- */

void
features_changed(struct shard *sh, struct row *r, unsigned what)
{
	for (uint32_t i = 0; i < sh->nfeature; i++)
		if (sh->features[i].watch & what && sh->features[i].feature->row_changed != NULL)
			sh->features[i].feature->row_changed(sh, r, what);
}

void
features_change(struct shard *sh, struct row *r, unsigned what)
{
	for (uint32_t i = 0; i < sh->nfeature; i++)
		if (sh->features[i].watch & what && sh->features[i].feature->row_changes != NULL)
			sh->features[i].feature->row_changes(sh, r, what);
}

void
features_row_leaves(struct shard *sh, struct row *r, const struct hub_env *env)
{
	for (uint32_t i = 0; i < sh->nfeature; i++)
		if (sh->features[i].feature->row_leaves != NULL)
			sh->features[i].feature->row_leaves(sh, r, env);
}

bool
features_chose_between(const struct shard *sh, uint64_t a, uint64_t b)
{
	for (uint32_t i = 0; i < sh->nfeature; i++)
		if (sh->features[i].feature->chose_between != NULL &&
		    sh->features[i].feature->chose_between(sh, a, b))
			return true;
	return false;
}

/* ---- records ---- */

static bool
owns(const struct feature *f, struct str key)
{
	for (const char *const *p = f->key_prefixes; *p != NULL; p++)
		if (str_starts(key, str_of(*p)))
			return true;
	return false;
}

/* Whose record it is; NULL: nobody's here. */
static const struct feature *
owner_of(const struct shard *sh, struct str key)
{
	for (uint32_t i = 0; i < sh->nfeature; i++)
		if (owns(sh->features[i].feature, key))
			return sh->features[i].feature;
	return NULL;
}

enum err
shard_common(struct shard *sh, struct str key, const struct str *value)
{
	const struct feature *f = owner_of(sh, key);

	if (str_starts(key, STR(EPOCH_PREFIX)))
		return epoch_load(sh, value);
	if (str_starts(key, STR(LOG_END_PREFIX)))
		return log_end_load(sh, value);
	if (str_starts(key, STR(CONNECTIONS_PREFIX)))
		return connections_load(sh, key, value);
	if (str_starts(key, STR(ENDED_PREFIX)))
		return ended_load(sh, key, value);
	return f != NULL ? f->load(sh, key, value) : ERR_OK;
}

/* The epoch, the log's end, what it says of sessions, then those of one feature after the other. */
bool
shard_common_prefix(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX])
{
	uint32_t i = 0;

	if (prefix->n == 0) {
		*prefix = epoch_key(sh, room);
		return true;
	}
	if (str_starts(*prefix, STR(EPOCH_PREFIX))) {
		*prefix = log_end_key(sh, room);
		return true;
	}
	if (str_starts(*prefix, STR(LOG_END_PREFIX))) {
		*prefix = connections_prefix(sh, room);
		return true;
	}
	if (str_starts(*prefix, STR(CONNECTIONS_PREFIX))) {
		*prefix = ended_prefix(sh, room);
		return true;
	}
	if (str_starts(*prefix, STR(ENDED_PREFIX)))
		*prefix = STR_NONE;
	while (prefix->n != 0 && i < sh->nfeature && !owns(sh->features[i].feature, *prefix))
		i++;
	for (; i < sh->nfeature; i++) {
		if (sh->features[i].feature->next_prefix != NULL &&
		    sh->features[i].feature->next_prefix(sh, prefix, room))
			return true;
		*prefix = STR_NONE;
	}
	return false;
}

void
common_write(struct shard *sh, struct str key, const struct str *value, const struct hub_env *env)
{
	const struct feature *f = owner_of(sh, key);
	struct buf old = { 0 };
	struct str was;
	bool there;
	enum err e;

	assert(f != NULL);
	there = f->value(sh, key, &old);
	was = buf_view(&old);
	undo_common(env->undo, sh, key, there ? &was : NULL);
	e = f->load(sh, key, value);
	assert(e == ERR_OK);
	(void)e;
	if (value == NULL)
		env->del(env->ctx, sh->index, RECORD_COMMON, key);
	else
		env->put(env->ctx, sh->index, RECORD_COMMON, key, *value);
	buf_fini(&old);
}
