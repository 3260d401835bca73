/* Rows that a job is about, in walks that do not show them: its targets, and dry runs. */
#include "worker/priv.h"

#include <stdlib.h>

#define TWIN (RECORD_BIT(RECORD_IDENTITY) | RECORD_BIT(RECORD_WANTED) | RECORD_BIT(RECORD_REPORTED))

void
walk_trial_free(struct walk_trial *t)
{
	if (t == NULL)
		return;
	job_unref(t->job);
	buf_fini(&t->samples);
	free(t);
}

static bool
sample(struct worker *w, struct walk *k, struct shard *sh, uint32_t row)
{
	struct walk_trial *t = k->trial;

	if (t->left == 0 || t->samples.n >= WALK_TRIAL_BYTES)
		return true;
	if (worker_load_row(w, sh, row, TWIN, &k->fault) != ERR_OK)
		return false;
	t->left--;
	if (t->samples.n > 0)
		buf_putc(&t->samples, ',');
	shard_job_try(sh, row, t->job, w->env.now_us, &t->samples);
	return true;
}

/* The first page goes on counting beyond its end; the others stop there. */
static bool
list(struct walk *k, struct shard *sh, uint32_t row)
{
	struct walk_trial *t = k->trial;

	if (t->over)
		return true;
	if (walk_page_full(k)) {
		t->over = true;
		t->end = k->place;
		t->end.row = row;
		k->more = !t->counts;
		return t->counts;
	}
	walk_row_begins(k);
	shard_job_target_write(sh, row, &k->json);
	walk_row_ends(k);
	return true;
}

bool
walk_takes_rows(const struct walk *k)
{
	return k->rows != NULL || k->trial != NULL;
}

bool
walk_take_row(struct worker *w, struct walk *k, struct shard *sh, uint32_t row)
{
	if (k->rows != NULL) {
		rowset_add(k->rows, row);
		return true;
	}
	k->trial->devices++;
	return sample(w, k, sh, row) && list(k, sh, row);
}
