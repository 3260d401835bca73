/* For the tests of jobs: a job that runs in the kit's shard, as the shell would have it. */
#ifndef JOB_KIT_H
#define JOB_KIT_H

#include "job/parts.h"

#ifndef KIT_FEATURES
#define KIT_FEATURES &job_feature
#endif
#include "hub_kit.h"

#define NUMBER 7u

#define PATCHES                                                                                    \
	"{'type':'scheduleUpdateTwin','queryCondition':'*','updateTwin':{'etag':'*','tags':{'a':"  \
	"1}}}"
#define CALLS                                                                                      \
	"{'type':'scheduleDeviceMethod','queryCondition':'*','cloudToDeviceMethod':{'methodName'"  \
	":'m','connectTimeoutInSeconds':9}}"

/* The job of this body in that state. */
static UNUSED struct job *
job_in(struct kit *k, const char *body, const struct job_state *state)
{
	struct buf record = { 0 }, moved = { 0 };
	struct op unused = { 0 };
	struct fault f = { 0 };
	struct job *j, *now;

	kit_doc(k, body, &unused);
	if (job_encode_new(&record, STR("j"), NUMBER, doc_of(unused.payload), k->env.now_us, &f) !=
	    ERR_OK)
		fail_msg("%s", f.text);
	assert_int_equal(job_new(buf_view(&record), &j), ERR_OK);
	job_encode(&moved, j, state);
	assert_int_equal(job_new(buf_view(&moved), &now), ERR_OK);
	job_unref(j);
	buf_fini(&record);
	buf_fini(&moved);
	return now;
}

/* It is the one that there is. */
static UNUSED void
know(struct kit *k, struct job *j)
{
	struct jobs *set = jobs_with(NULL, NUMBER, j);

	jobs_know(k->sh, set);
	jobs_unref(set);
}

/* A running job of every row of the shard; in the order of their keys. */
static UNUSED struct job *
begin(struct kit *k, const char *body)
{
	struct job_state running = { .status = JOB_RUNNING, .began_us = k->env.now_us };
	struct job *j = job_in(k, body, &running);
	struct rowset rows = { 0 };

	know(k, j);
	for (uint32_t r = 0; r < shard_rows(k->sh); r++)
		rowset_add(&rows, r);
	part_targets(k->sh, j, &rows, &k->env);
	part_order(k->sh, j, 1000);
	rowset_fini(&rows);
	return j;
}

static UNUSED void
end(struct kit *k, struct job *j)
{
	job_unref(j);
	kit_fini(k);
}

static UNUSED void
save(struct kit *k, const struct job *j)
{
	struct job_report r;

	if (part_save(k->sh, j, &k->env, &r))
		part_committed(k->sh, &r);
	kit_commit(k);
}

/* A start: identities, then the features' records, prefix by prefix as the shell reads them. */
static UNUSED void
kit_restart_all(struct kit *k)
{
	struct str prefix = STR_NONE;
	char room[HUB_PREFIX_MAX];

	kit_restart(k);
	while (shard_common_prefix(k->sh, &prefix, room))
		for (uint32_t i = 0; i < k->store.n; i++) {
			struct str key = buf_view(&k->store.v[i].key),
			           value = buf_view(&k->store.v[i].value);

			if (k->store.v[i].kind == RECORD_COMMON && str_starts(key, prefix))
				assert_int_equal(shard_common(k->sh, key, &value), ERR_OK);
		}
}

/* The result's own record; false: there is none. */
static UNUSED bool
result_of(struct kit *k, uint32_t row, struct job_result *out)
{
	struct buf key = { 0 };
	struct kit_row *r;

	result_key(&key, k->sh->index, NUMBER, row);
	r = rows_find(&k->store, RECORD_COMMON, buf_view(&key));
	buf_fini(&key);
	return r != NULL && result_decode(buf_view(&r->value), out);
}

#endif
