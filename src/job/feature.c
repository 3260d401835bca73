/*
 * What jobs keep in a shard, and the table by which the shard knows them (shard/feature.h). Keys: parts.h. At a start shard 0
 * reads the jobs, each shard its targets, then its parts, and of those that are active the results.
 */
#include <stdlib.h>

#include "job/parts.h"

static void
jobs_fini(void *state)
{
	struct shard_jobs *js = state;

	jobs_unref(js->stored);
	jobs_unref(js->known);
	reports_free(js->reports);
	for (uint32_t i = 0; i < js->npart; i++)
		part_free(js->part[i]);
	free(js->part);
}

/* ---- records ---- */

static const char *const key_prefixes[] = { "job", NULL };

static bool
jobs_key(struct str key)
{
	return str_starts(key, str_of(key_prefixes[0]));
}

static enum err
job_common(struct shard *sh, struct str id, const struct str *value)
{
	struct shard_jobs *js = jobs_of(sh);
	struct job *old = jobs_find(js->stored, id), *j = NULL;
	struct jobs *next;

	if (value != NULL &&
	    (sh->index != 0 || job_new(*value, &j) != ERR_OK || !str_eq(j->id, id) ||
	        (old != NULL && old->number != j->number))) {
		job_unref(j);
		return ERR_CORRUPT;
	}
	js->next_us = 0;
	if (j == NULL && old == NULL)
		return ERR_OK;
	next = jobs_with(js->stored, j != NULL ? j->number : old->number, j);
	jobs_unref(js->stored);
	js->stored = next;
	job_unref(j);
	return ERR_OK;
}

static enum err
jobs_load(struct shard *sh, struct str key, const struct str *value)
{
	if (str_starts(key, STR(JOB_KEY)))
		return job_common(sh, str_sub(key, sizeof(JOB_KEY) - 1), value);
	if (key.n >= sizeof(PART_KEY) - 1 &&
	    (str_starts(key, STR(PART_KEY)) || str_starts(key, STR(ROWS_KEY)) ||
	        str_starts(key, STR(DONE_KEY))))
		return part_common(sh, key, value);
	return ERR_CORRUPT;
}

static struct str
shard_prefix(const char *name, uint32_t shard, char room[HUB_PREFIX_MAX])
{
	struct str key = part_key(name, shard, 0, room);

	key.n -= 8;
	return key;
}

/* Results are read of active parts only: which targets have one. */
static bool
next_active(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX])
{
	const struct shard_jobs *js = jobs_of(sh);
	uint32_t i = 0;

	if (str_starts(*prefix, STR(DONE_KEY)))
		while (i < js->npart &&
		    str_cmp(part_key(DONE_KEY, sh->index, js->part[i]->number, room), *prefix) <= 0)
			i++;
	while (i < js->npart && js->part[i]->work == NULL)
		i++;
	if (i == js->npart)
		return false;
	*prefix = part_key(DONE_KEY, sh->index, js->part[i]->number, room);
	return true;
}

static bool
jobs_next_prefix(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX])
{
	char at[HUB_PREFIX_MAX];
	struct str now = { at, prefix->n };

	if (prefix->n != 0)
		memcpy(at, prefix->p, prefix->n); /* it may be in room */
	if (!jobs_key(now) && sh->index == 0) {
		*prefix = STR(JOB_KEY);
	} else if (!jobs_key(now) || str_eq(now, STR(JOB_KEY))) {
		*prefix = shard_prefix(ROWS_KEY, sh->index, room);
	} else if (str_starts(now, STR(ROWS_KEY))) {
		*prefix = shard_prefix(PART_KEY, sh->index, room);
	} else {
		*prefix = now;
		return next_active(sh, prefix, room);
	}
	return true;
}

static struct blob *
stored_blob(const struct shard *sh, struct str key)
{
	bool rows = str_starts(key, STR(ROWS_KEY));
	uint64_t number = 0;
	struct job_part *p;

	for (size_t i = key.n - 8; i < key.n; i++)
		number = number << 8 | (unsigned char)key.p[i];
	p = part_find(sh, number);
	return p == NULL ? NULL : rows ? p->rows : p->record;
}

static bool
jobs_value(const struct shard *sh, struct str key, struct buf *out)
{
	const struct job *j;
	struct blob *b;

	if (str_starts(key, STR(DONE_KEY)))
		return false; /* each is written once */
	if (!str_starts(key, STR(JOB_KEY))) {
		b = stored_blob(sh, key);
		if (b != NULL)
			buf_str(out, blob_str(b));
		return b != NULL;
	}
	j = jobs_find(jobs_of(sh)->stored, str_sub(key, sizeof(JOB_KEY) - 1));
	if (j != NULL)
		buf_str(out, j->record);
	return j != NULL;
}

/* ---- the feature ---- */

static const struct feature_ops operations = { .operations = { [OP_JOB_PUT] = on_job_put,
	                                           [OP_JOB_GET] = on_job_get,
	                                           [OP_JOB_CANCEL] = on_job_cancel } };

const struct feature job_feature = {
	.state_bytes = sizeof(struct shard_jobs),
	.fini = jobs_fini,
	.key_prefixes = key_prefixes,
	.load = jobs_load,
	.next_prefix = jobs_next_prefix,
	.value = jobs_value,
	.row_leaves = jobs_row_leaves,
	.chose_between = jobs_chose_between,
	.ops = &operations,
};
