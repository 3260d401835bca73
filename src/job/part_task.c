/*
 * A shard's part of one job as a task: its targets are chosen, put into order, and given their turns, one row after the other. How
 * far it is goes into the round that has what it did (job/work.h).
 */
#include "job/questions.h"

#include "limit/limit.h"

#include <stdlib.h>

#define LATER_US 2000 /* until what a twin was made to a moment ago is on disk, mostly */
#define HELD_US                                                                                    \
	INT64_C(100000)    /* a job that has not gone on with a twin's past for so long has ended */
#define ORDER_STEPS   256u /* of putting targets into order, between two looks at the slice */
#define PACE_BURST_NS INT64_C(100000000) /* a job that could not go on may catch up on this much */

static struct part_task *
of(struct task *t)
{
	return (struct part_task *)t;
}

static enum step
waits(struct task *t, enum task_wait for_what)
{
	t->waits = for_what;
	return STEP_OVER;
}

/* ---- choosing ---- */

void
part_task_stop(struct part_task *pt)
{
	former_forget(&pt->former);
	if (pt->choice == NULL)
		return;
	task_free(&pt->choice->task);
	pt->choice = NULL;
	rowset_fini(&pt->chosen.rows);
}

/* The condition's plan is the job's: the task has one of its own. */
static void
choice_begin(struct part_task *pt, uint32_t shard)
{
	struct query *q = NULL;
	enum err e = query_parse_condition(job_condition(pt->job), &q, NULL);

	assert(e == ERR_OK);
	(void)e;
	pt->choice = query_task_new(q);
	pt->chosen.sink = targets_sink();
	pt->choice->sink = &pt->chosen.sink;
	pt->choice->task.bookmark.shard = shard;
	task_begin(&pt->choice->task, 0);
	pt->choice_job = pt->job->number;
}

/* The choice has failed: of a damaged record the job is told. */
static enum step
choice_fails(struct part_task *pt)
{
	struct task *t = &pt->choice->task;
	struct job_report broken = {
		.number = pt->job->number, .shard = t->bookmark.shard, .broken = true
	};

	if (t->fault.code == F_StoredDamaged)
		pt->face->report(pt->face->ctx, &broken);
	part_task_stop(pt);
	return waits(&pt->task, WAIT_STORE);
}

/* One part chooses at a time: another's choice has to end first. */
static enum step
choose(struct part_task *pt, struct shard *sh, struct slice *slice)
{
	uint32_t shard = pt->task.bookmark.shard;
	struct task *choice;
	enum step s = STEP_DONE;

	if (pt->choice != NULL &&
	    (pt->choice_job != pt->job->number || pt->choice->task.bookmark.shard != shard))
		return waits(&pt->task, WAIT_EVENT);
	if (pt->choice == NULL)
		choice_begin(pt, shard);
	choice = &pt->choice->task;
	if (slice->need.answered && slice->need.kind == NEED_ROW && slice->need.e != ERR_OK)
		choice->fault = slice->need.fault;
	if (choice->fault.code == F_NONE && !choice->ended)
		s = task_step(choice, sh, slice);
	if (choice->fault.code != F_NONE)
		return choice_fails(pt);
	if (s != STEP_DONE)
		return s;
	part_targets(sh, pt->job, &pt->chosen.rows, slice->env);
	part_task_stop(pt);
	return STEP_DONE;
}

/* ---- turns ---- */

static bool
rests(struct part_task *pt, int64_t now_ns, int64_t wait_ns)
{
	pt->rest_us = (now_ns + wait_ns) / 1000 + 1;
	return false;
}

/* ...of the hub, for all jobs together? */
static bool
hub_allows(struct part_task *pt, int64_t now_ns)
{
	bool again = pt->put_off;
	int64_t wait_ns;

	pt->put_off = !pt->face->paces(pt->face->ctx, again, &wait_ns);
	return !pt->put_off || rests(pt, now_ns, wait_ns);
}

/* May one more device have its turn (maxUpdatesPerSecond)? All threads take from the same pace. The hub's is asked last, so that nothing of
 * it is taken in vain, but for what another thread is faster with. */
static bool
pace_allows(struct part_task *pt, int64_t elapsed_us)
{
	struct job *j = pt->job;
	int64_t now_ns = elapsed_us * 1000, was = atomic_load(&j->pace->until_ns), until, wait_ns;
	struct limit_rate rate = { 0, 1 };
	bool taken = false;

	if (j->rate == 0)
		return hub_allows(pt, now_ns);
	/* of several nodes each takes by the shards that it has */
	rate.each_ns =
	    INT64_C(1000000000) / j->rate * SHARDS / (pt->shards > 0 ? pt->shards : SHARDS);
	rate.burst += (uint32_t)(PACE_BURST_NS / rate.each_ns);
	do {
		until = was;
		if (!limit_take(&until, &rate, now_ns, &wait_ns))
			return rests(pt, now_ns, wait_ns);
		if (!taken && !hub_allows(pt, now_ns))
			return false;
		taken = true;
	} while (!atomic_compare_exchange_weak(&j->pace->until_ns, &was, until));
	return true;
}

/* The row's records, and those of its family, which configurations may want with it. */
static enum had
have_row(const struct part_face *face, struct shard *sh, uint32_t row, unsigned records,
    struct slice *slice)
{
	enum had had = task_had(slice, sh, row, records);
	uint32_t other;

	while (had == HAD_ALL && (other = face->family_row(sh, row, &records)) != TABLE_NONE) {
		had = task_had(slice, sh, other, records);
		if (had == HAD_DAMAGED)
			return HAD_ALL; /* of another: who evaluates it passes over */
	}
	return had;
}

/* STEP_DONE: it is in pt->former, which one job has at a time, as long as it goes on with it. What is not on disk yet will be so with the next commit. */
static enum step
know_former(struct part_task *pt, struct shard *sh, uint32_t row, struct slice *slice)
{
	int64_t now_us = slice->env->elapsed_us;

	if (pt->former.begun && !pt->former.ready && pt->former_job != pt->job->number &&
	    now_us < pt->former_us + HELD_US) {
		pt->rest_us = now_us + LATER_US;
		return waits(&pt->task, WAIT_EVENT);
	}
	pt->former_job = pt->job->number;
	pt->former_us = now_us;
	switch (former_step(&pt->former, sh, row, pt->job->at_us, slice)) {
	case FORMER_READY: return STEP_DONE;
	case FORMER_NEEDS: return STEP_NEED;
	case FORMER_OVER: return STEP_OVER;
	case FORMER_LATER: pt->rest_us = now_us + LATER_US; return waits(&pt->task, WAIT_EVENT);
	case FORMER_UNREAD: break;
	}
	return waits(&pt->task, WAIT_STORE);
}

static enum step
one_turn(
    struct part_task *pt, struct shard *sh, uint32_t row, unsigned records, struct slice *slice)
{
	const struct part_face *face = pt->face;
	struct task *t = &pt->task;
	enum had had;

	if (slice->full(slice->ctx))
		return STEP_OVER;
	had = have_row(face, sh, row, records, slice);
	if (had == HAD_ASKED)
		return STEP_NEED;
	if (had == HAD_UNREAD)
		return waits(t, WAIT_STORE);
	if (pt->job->type == JOB_RESTORE && had == HAD_ALL) {
		enum step s = know_former(pt, sh, row, slice);

		if (s != STEP_DONE)
			return s;
	}
	if (face->calls_full(face->ctx)) /* an answer wakes it */
		return waits(t, WAIT_EVENT);
	if (!pace_allows(pt, slice->env->elapsed_us))
		return waits(t, WAIT_EVENT);
	if (pt->job->type == JOB_RESTORE)
		part_restore(sh, pt->job, had == HAD_DAMAGED ? NULL : &pt->former, slice->env);
	else if (part_step(sh, pt->job, had == HAD_DAMAGED, slice->env))
		face->call(face->ctx, pt->job, t->bookmark.shard, row);
	slice->wrote(slice->ctx, sh);
	return slice_spent(slice, 1) ? STEP_OVER : STEP_DONE;
}

static enum step
all_turns(struct part_task *pt, struct shard *sh, struct slice *slice)
{
	enum step s = STEP_DONE;
	unsigned records;
	uint32_t row;

	while (s == STEP_DONE && (row = part_row(sh, pt->job, &records)) != TABLE_NONE)
		s = one_turn(pt, sh, row, records, slice);
	return s;
}

/* ---- a slice ---- */

static enum step
phases(struct part_task *pt, struct shard *sh, struct slice *slice)
{
	enum job_phase phase;
	enum step s = STEP_DONE;

	while (s == STEP_DONE && (phase = part_phase(sh, pt->job)) != JOB_ENDS) {
		switch (phase) {
		case JOB_CHOOSES: s = choose(pt, sh, slice); break;
		case JOB_ORDERS: part_order(sh, pt->job, ORDER_STEPS); break;
		default: return all_turns(pt, sh, slice);
		}
		if (s == STEP_DONE && slice->over(slice->ctx))
			s = STEP_OVER;
	}
	return s;
}

void
part_task_save(struct part_task *pt, struct shard *sh, struct slice *slice)
{
	struct job_report r;

	if (part_save(sh, pt->job, slice->env, &r))
		pt->face->report(pt->face->ctx, &r);
}

static enum step
step(struct task *t, struct shard *sh, struct slice *slice)
{
	struct part_task *pt = of(t);
	enum step s;

	t->waits = WAIT_TURN;
	s = phases(pt, sh, slice);
	if (s != STEP_NEED) {
		part_task_save(pt, sh, slice);
		pt->face->saved(pt->face->ctx);
	}
	return s;
}

static void
part_free(struct task *t)
{
	part_task_stop(of(t));
	former_fini(&of(t)->former);
	free(t);
}

static const struct task_kind kind = {
	.name = "part of a job", .step = step, .free = part_free, .tolerant = true
};

struct part_task *
part_task_new(const struct part_face *face)
{
	struct part_task *pt = xcalloc(1, sizeof(*pt));

	pt->task.kind = &kind;
	pt->face = face;
	return pt;
}
