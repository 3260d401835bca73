/* A part of a job as a task: each target has one turn, whatever the slices are, and what cannot be had delays or fails only it. */
#include "job_kit.h"
#include "task_kit.h"

#include "job/questions.h"

#define TARGETS 40u

struct seen {
	struct kit k;
	struct stepper st;
	struct part_task *pt;
	struct job *job;
	unsigned calls, nbroken, full_after; /* full_after: so many calls may be under way */
	unsigned pace_after, paced,
	    put_off; /* pace_after: so many devices the hub lets through; 0: all */
	struct job_report last;
};

static bool
calls_full(void *ctx)
{
	const struct seen *s = ctx;

	return s->full_after != 0 && s->calls >= s->full_after;
}

static void
call(void *ctx, const struct job *j, uint32_t shard, uint32_t row)
{
	struct seen *s = ctx;

	assert_ptr_equal(j, s->job);
	assert_int_equal(shard, s->k.sh->index);
	assert_true(row < shard_rows(s->k.sh));
	s->calls++;
}

/* So many devices; then a device each second, which has come when wait_us says so. */
static bool
paces(void *ctx, bool again, int64_t *wait_ns)
{
	struct seen *s = ctx;

	*wait_ns = 1000000000;
	if (s->paced < s->pace_after || s->pace_after == 0) {
		s->paced++;
		return true;
	}
	s->put_off += !again;
	return false;
}

static void
report(void *ctx, const struct job_report *r)
{
	struct seen *s = ctx;

	s->nbroken += r->broken;
	if (!r->broken) {
		s->last = *r;
		part_committed(s->k.sh, r);
	}
	kit_commit(&s->k);
}

static uint32_t
no_family(struct shard *sh, uint32_t row, unsigned *records)
{
	(void)sh, (void)row, (void)records;
	return TABLE_NONE;
}

static void
saved(void *ctx)
{
	(void)ctx;
}

static struct part_face face;

static void
seen_begin(struct seen *s, const char *body)
{
	struct job_state running = { .status = JOB_RUNNING };

	memset(s, 0, sizeof(*s));
	kit_init(&s->k);
	for (unsigned i = 0; i < TARGETS; i++) {
		char id[16];

		snprintf(id, sizeof(id), "d%u", i);
		kit_device(&s->k, id);
	}
	running.began_us = s->k.env.now_us;
	s->job = job_in(&s->k, body, &running);
	know(&s->k, s->job);
	stepper_init(&s->st, &s->k, 0);
	s->st.cold = true;
	s->st.looks = 1;
	face = (struct part_face){ s, calls_full, call, paces, report, no_family, saved };
	s->pt = part_task_new(&face);
	s->pt->job = s->job;
	s->pt->task.bookmark.shard = s->k.sh->index;
}

static void
seen_end(struct seen *s)
{
	task_free(&s->pt->task);
	stepper_fini(&s->st);
	end(&s->k, s->job);
}

/* Slices until nothing is left to be done, or it waits. */
static enum step
slices(struct seen *s)
{
	enum step now;

	do {
		now = stepper_slice(&s->st, &s->pt->task);
		kit_commit(&s->k);
		assert_true(s->st.slices < 10000);
	} while (now == STEP_OVER && s->pt->task.waits == WAIT_TURN);
	return now;
}

static void
part__J18_each_target_has_one_turn(void **state)
{
	struct seen s;

	(void)state;
	seen_begin(&s, PATCHES);
	assert_int_equal(slices(&s), STEP_DONE);
	assert_true(s.st.slices > TARGETS); /* a turn each */
	assert_true(s.last.ended);
	assert_int_equal(s.last.counts.devices, TARGETS);
	assert_int_equal(s.last.counts.succeeded, TARGETS);
	for (unsigned i = 0; i < TARGETS; i++) {
		char id[16];

		snprintf(id, sizeof(id), "d%u", i);
		kit_read(&s.k, id);
		assert_string_equal(kit_at(&s.k, "tags/a"), "1");
		assert_string_equal(kit_at(&s.k, "version"), "3"); /* of a new one 2 */
	}
	seen_end(&s);
}

/* A damaged record fails its device; a store that cannot be read delays it. */
static void
part__a_record_that_cannot_be_had(void **state)
{
	struct seen s;

	(void)state;
	seen_begin(&s, PATCHES);
	assert_int_equal(part_phase(s.k.sh, s.job), JOB_CHOOSES);
	while (part_phase(s.k.sh, s.job) != JOB_WORKS)
		(void)stepper_slice(&s.st, &s.pt->task);
	s.st.broken = "d17";
	s.st.broken_as = ERR_IO;
	assert_int_equal(slices(&s), STEP_OVER);
	assert_int_equal(s.pt->task.waits, WAIT_STORE);
	assert_false(s.last.ended);
	s.st.broken_as = ERR_CORRUPT;
	assert_int_equal(slices(&s), STEP_DONE);
	assert_true(s.last.ended);
	assert_int_equal(s.last.counts.failed, 1);
	assert_int_equal(s.last.counts.succeeded, TARGETS - 1);
	seen_end(&s);
}

/* The choice of targets reads what its condition needs: of a damaged record the job is told. */
static void
part__J18_a_damaged_record_while_targets_are_chosen(void **state)
{
	struct seen s;

	(void)state;
	seen_begin(&s,
	    "{'type':'scheduleUpdateTwin','queryCondition':'tags.b = "
	    "1','updateTwin':{'etag':'*','tags':{'a':1}}}");
	s.st.broken = "d3";
	s.st.broken_as = ERR_CORRUPT;
	assert_int_equal(slices(&s), STEP_OVER);
	assert_int_equal(s.pt->task.waits, WAIT_STORE);
	assert_int_equal(s.nbroken, 1);
	assert_null(s.pt->choice); /* it begins anew */
	s.st.broken = NULL;
	assert_int_equal(slices(&s), STEP_DONE);
	assert_int_equal(s.last.counts.devices, 0);
	assert_true(s.last.ended);
	seen_end(&s);
}

/* As many calls as there is room for; then it waits for something to happen. */
static void
part__waits_when_no_call_may_be_begun(void **state)
{
	struct seen s;

	(void)state;
	seen_begin(&s, CALLS);
	s.full_after = 5;
	assert_int_equal(slices(&s), STEP_OVER);
	assert_int_equal(s.pt->task.waits, WAIT_EVENT);
	assert_int_equal(s.calls, 5);
	s.full_after = 9;
	assert_int_equal(slices(&s), STEP_OVER);
	assert_int_equal(s.calls, 9);
	assert_int_equal(s.last.counts.running, 9);
	seen_end(&s);
}

/* All jobs together have a pace of the hub's: what is beyond it waits, and is counted once. */
static void
part__L16_waits_for_the_hubs_pace(void **state)
{
	struct seen s;

	(void)state;
	seen_begin(&s, PATCHES);
	s.pace_after = 10;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(slices(&s), STEP_OVER);
		assert_int_equal(s.pt->task.waits, WAIT_EVENT);
		assert_int_equal(s.pt->rest_us, s.k.env.elapsed_us + 1000000 + 1);
		assert_int_equal(s.last.counts.succeeded, 10);
		assert_int_equal(s.put_off, 1);
	}
	s.pace_after = 0;
	assert_int_equal(slices(&s), STEP_DONE);
	assert_int_equal(s.last.counts.succeeded, TARGETS);
	assert_int_equal(s.paced, TARGETS);
	seen_end(&s);
}

/* A job that rests for its own pace takes nothing of the hub's. */
static void
part__L16_J08_a_job_that_rests_takes_nothing_of_the_hubs_pace(void **state)
{
	struct seen s;

	(void)state;
	seen_begin(&s,
	    "{'type':'scheduleUpdateTwin','queryCondition':'*','maxUpdatesPerSecond':1,"
	    "'updateTwin':{'etag':'*','tags':{'a':1}}}");
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(slices(&s), STEP_OVER);
	assert_int_equal(s.last.counts.succeeded, 1);
	assert_int_equal(s.paced, 1);
	seen_end(&s);
}

/* Each step of its life is another value of it, and so is one that is read anew: its pace goes on. */
static void
part__J08_a_job_in_another_state_keeps_its_pace(void **state)
{
	struct job_state running = { .status = JOB_RUNNING };
	struct jobs *former, *set;
	struct seen s;
	struct job *next;
	const char *slow = "{'type':'scheduleUpdateTwin','queryCondition':'*',"
	                   "'maxUpdatesPerSecond':1,'updateTwin':{'etag':'*','tags':{'a':1}}}";

	(void)state;
	seen_begin(&s, slow);
	assert_int_equal(slices(&s), STEP_OVER);
	for (unsigned i = 0; i < 3; i++) {
		running.began_us = s.k.env.now_us;
		next = job_in(&s.k, slow, &running);
		former = jobs_with(NULL, NUMBER, s.job);
		set = jobs_with(former, NUMBER, next);
		jobs_go_on(set, former);
		jobs_go_on(set, set); /* the same values are in many sets */
		jobs_unref(former);
		job_unref(s.job);
		s.job = s.pt->job = next;
		jobs_know(s.k.sh, set);
		jobs_unref(set);
		assert_int_equal(slices(&s), STEP_OVER);
		assert_int_equal(s.last.counts.succeeded, 1);
	}
	seen_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(part__J18_each_target_has_one_turn),
		cmocka_unit_test(part__a_record_that_cannot_be_had),
		cmocka_unit_test(part__J18_a_damaged_record_while_targets_are_chosen),
		cmocka_unit_test(part__L16_waits_for_the_hubs_pace),
		cmocka_unit_test(part__L16_J08_a_job_that_rests_takes_nothing_of_the_hubs_pace),
		cmocka_unit_test(part__J08_a_job_in_another_state_keeps_its_pace),
		cmocka_unit_test(part__waits_when_no_call_may_be_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
