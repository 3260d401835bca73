/* The life of jobs on shard 0: moved by the time and by what the shards report, each step undone with its commit. */
#include "job_kit.h"

#include "limit/limit.h"

#define MINUTE (60 * SECOND)

#define LATER(year)                                                                                \
	"{'startTime':'" year                                                                      \
	"-01-01T01:00:00Z','type':'scheduleUpdateTwin','queryCondition':'*',"                      \
	"'updateTwin':{'etag':'*','tags':{'a':1}}}"

static void
kit_init_0(struct kit *k)
{
	kit_init(k);
	kit_shard(k, shard_new(0, kit_features));
}

static enum fault_code
ask(struct kit *k, enum op_kind kind, const char *id, const char *body)
{
	struct op op = { .kind = kind, .name = str_of(id) };

	if (body != NULL)
		kit_doc(k, body, &op);
	return kit_run(k, &op);
}

/* What the time has brought about, on disk; when to come again. */
static int64_t
tick(struct kit *k)
{
	int64_t us = jobs_tick(k->sh, &k->env);

	kit_commit(k);
	return us;
}

/* The job of that name as it is now, or NULL; until the next one. */
static const struct job *
job_of(struct kit *k, const char *id)
{
	static struct jobs *set;

	jobs_unref(set);
	set = NULL;
	if (k == NULL)
		return NULL;
	set = jobs_stored(k->sh);
	jobs_know(k->sh, set); /* as the shell does once it is on disk */
	return jobs_find(set, str_of(id));
}

static enum job_status
status_of(struct kit *k, const char *id)
{
	const struct job *j = job_of(k, id);

	assert_non_null(j);
	return j->state.status;
}

/* Shards from..to-1 have come to their end, with so many devices each. */
static void
report(struct kit *k, const char *id, uint32_t from, uint32_t to, bool ended)
{
	struct job_report r = { .number = job_of(k, id)->number,
		.ended = ended,
		.counts = { .devices = 3, .succeeded = 2, .failed = 1, .bytes = 10 } };

	for (r.shard = from; r.shard < to; r.shard++)
		jobs_reported(k->sh, &r);
}

static void
end_0(struct kit *k)
{
	job_of(NULL, NULL);
	kit_fini(k);
}

/* Records of the log that say that a job has ended; *e is the last of them. */
static unsigned
told_ended(const struct kit *k, struct event *e)
{
	struct event one;
	unsigned n = 0;

	for (uint32_t i = 0; i < k->store.n; i++) {
		if (k->store.v[i].kind != RECORD_CHANGES ||
		    event_decode(buf_view(&k->store.v[i].value), &one) != ERR_OK ||
		    one.kind != EVENT_JOB_ENDED)
			continue;
		*e = one;
		n++;
	}
	return n;
}

static void
life__J28_its_end_is_told_once(void **state)
{
	struct buf json = { 0 };
	struct event e;
	struct kit k;

	(void)state;
	kit_init_0(&k);
	assert_int_equal(ask(&k, OP_JOB_PUT, "j", PATCHES), F_NONE);
	tick(&k);
	assert_int_equal(told_ended(&k, &e), 0);
	assert_int_equal(ask(&k, OP_JOB_CANCEL, "j", NULL), F_NONE);
	assert_int_equal(told_ended(&k, &e), 0); /* some of it is under way */
	report(&k, "j", 0, SHARDS, true);
	k.hold = true; /* a failed round: it is told again */
	jobs_tick(k.sh, &k.env);
	kit_fail(&k, true);
	kit_commit(&k);
	k.hold = false;
	assert_int_equal(told_ended(&k, &e), 0);
	tick(&k);
	tick(&k);
	assert_int_equal(told_ended(&k, &e), 1);
	assert_int_equal(e.actor, ACTOR_JOB);
	assert_true(str_eq(e.actor_name, STR("j")));
	doc_write_json(&json, doc_get(doc_of(e.fields[EVENT_ABOUT]), STR("deviceJobStatistics")));
	assert_true(str_eq(buf_view(&json),
	    STR("{\"deviceCount\":192,\"failedCount\":64,\"succeededCount\":128}")));
	buf_fini(&json);
	end_0(&k);
}

static void
life__J14_J16_it_runs_until_all_shards_have_ended(void **state)
{
	struct kit k;

	(void)state;
	kit_init_0(&k);
	assert_int_equal(ask(&k, OP_JOB_PUT, "j", PATCHES), F_NONE);
	kit_shows(&k, "status", "'queued'");
	assert_int_equal(status_of(&k, "j"), JOB_QUEUED);
	tick(&k);
	assert_int_equal(status_of(&k, "j"), JOB_RUNNING);
	report(&k, "j", 0, SHARDS - 1, true);
	report(&k, "j", 0, SHARDS - 1, true); /* told again it is the same */
	tick(&k);
	assert_int_equal(status_of(&k, "j"), JOB_RUNNING);
	assert_int_equal(ask(&k, OP_JOB_GET, "j", NULL), F_NONE);
	kit_shows(&k, "deviceJobStatistics/deviceCount", "189");
	report(&k, "j", SHARDS - 1, SHARDS, true);
	tick(&k);
	assert_int_equal(status_of(&k, "j"), JOB_COMPLETED);
	assert_int_equal(ask(&k, OP_JOB_GET, "j", NULL), F_NONE);
	kit_shows(&k, "deviceJobStatistics/deviceCount", "192");
	kit_shows(&k, "deviceJobStatistics/failedCount", "64");
	kit_shows(&k, "deviceJobStatistics/pendingCount", "0");
	end_0(&k);
}

static void
life__J08_J14_a_later_start_is_waited_for(void **state)
{
	struct kit k;

	(void)state;
	kit_init_0(&k);
	assert_int_equal(ask(&k, OP_JOB_PUT, "j", LATER("2024")), F_NONE);
	assert_true(tick(&k) == BEGIN + 60 * MINUTE);
	assert_int_equal(status_of(&k, "j"), JOB_SCHEDULED);
	k.env.now_us = BEGIN + 60 * MINUTE - 1;
	tick(&k);
	assert_int_equal(status_of(&k, "j"), JOB_SCHEDULED);
	k.env.now_us++;
	tick(&k);
	assert_int_equal(status_of(&k, "j"), JOB_RUNNING);
	end_0(&k);
}

static void
life__J10_so_many_run_and_the_next_is_refused(void **state)
{
	char id[8];
	struct kit k;

	(void)state;
	kit_init_0(&k);
	for (unsigned i = 0; i < JOBS_ACTIVE_MAX; i++) {
		snprintf(id, sizeof(id), "j%u", i);
		assert_int_equal(ask(&k, OP_JOB_PUT, id, PATCHES), F_NONE);
	}
	assert_int_equal(
	    ask(&k, OP_JOB_PUT, "more", PATCHES), F_ThrottlingMaxActiveJobCountExceeded);
	assert_null(job_of(&k, "more"));
	/* one for later is taken, and waits for its place when its time has come */
	assert_int_equal(ask(&k, OP_JOB_PUT, "later", LATER("2024")), F_NONE);
	tick(&k);
	k.env.now_us = BEGIN + 60 * MINUTE - 20 * SECOND; /* nobody is late yet */
	tick(&k);
	k.env.now_us = BEGIN + 60 * MINUTE;
	assert_int_equal(
	    ask(&k, OP_JOB_PUT, "other", LATER("2030")), F_NONE); /* all are looked at */
	tick(&k);
	assert_int_equal(status_of(&k, "later"), JOB_SCHEDULED);
	report(&k, "j3", 0, SHARDS, true);
	tick(&k);
	assert_int_equal(status_of(&k, "j3"), JOB_COMPLETED);
	assert_int_equal(status_of(&k, "later"), JOB_RUNNING);
	end_0(&k);
}

/* A hub that lets less of them run; what waits goes on as soon as it lets more. */
static void
life__L56_L83_O159_as_many_as_the_hub_lets_run(void **state)
{
	struct limit_counts counts = { { [LIMIT_ACTIVE_JOBS] = 1 } };
	struct kit k;

	(void)state;
	kit_init_0(&k);
	k.env.counts = &counts;
	assert_int_equal(ask(&k, OP_JOB_PUT, "j", PATCHES), F_NONE);
	assert_int_equal(
	    ask(&k, OP_JOB_PUT, "more", PATCHES), F_ThrottlingMaxActiveJobCountExceeded);
	assert_int_equal(ask(&k, OP_JOB_PUT, "later", LATER("2024")), F_NONE);
	tick(&k);
	k.env.now_us = BEGIN + 60 * MINUTE - 20 * SECOND;
	tick(&k);
	k.env.now_us = BEGIN + 60 * MINUTE;
	tick(&k);
	assert_int_equal(status_of(&k, "later"), JOB_SCHEDULED);
	counts.most[LIMIT_ACTIVE_JOBS] = 2;
	tick(&k);
	assert_int_equal(status_of(&k, "later"), JOB_RUNNING);
	counts.most[LIMIT_ACTIVE_JOBS] = 1; /* what runs goes on */
	tick(&k);
	assert_int_equal(status_of(&k, "later"), JOB_RUNNING);
	assert_int_equal(
	    ask(&k, OP_JOB_PUT, "more", PATCHES), F_ThrottlingMaxActiveJobCountExceeded);
	counts.most[LIMIT_ACTIVE_JOBS] = 0;
	assert_int_equal(ask(&k, OP_JOB_PUT, "more", PATCHES), F_NONE);
	end_0(&k);
}

static void
life__J09_an_id_is_taken_until_its_history_is_over(void **state)
{
	struct kit k;

	(void)state;
	kit_init_0(&k);
	assert_int_equal(ask(&k, OP_JOB_PUT, "j", PATCHES), F_NONE);
	assert_int_equal(ask(&k, OP_JOB_PUT, "j", PATCHES), F_JobAlreadyExists);
	assert_int_equal(ask(&k, OP_JOB_CANCEL, "j", NULL), F_NONE);
	assert_int_equal(ask(&k, OP_JOB_PUT, "j", PATCHES), F_JobAlreadyExists);
	assert_true(tick(&k) == job_of(&k, "j")->state.end_us + JOB_HISTORY_US);
	k.env.now_us = job_of(&k, "j")->state.end_us + JOB_HISTORY_US; /* J-17 */
	tick(&k);
	assert_null(job_of(&k, "j"));
	assert_int_equal(ask(&k, OP_JOB_GET, "j", NULL), F_JobNotFound);
	assert_int_equal(ask(&k, OP_JOB_PUT, "j", PATCHES), F_NONE);
	end_0(&k);
}

static void
life__J15_a_running_one_is_cancelled_and_settled_when_all_have_ended(void **state)
{
	struct kit k;

	(void)state;
	kit_init_0(&k);
	assert_int_equal(ask(&k, OP_JOB_PUT, "j", CALLS), F_NONE);
	tick(&k);
	assert_int_equal(ask(&k, OP_JOB_CANCEL, "j", NULL), F_NONE);
	kit_shows(&k, "status", "'cancelled'");
	assert_true(job_active(job_of(&k, "j"))); /* calls that are sent end as they end */
	assert_int_equal(ask(&k, OP_JOB_CANCEL, "j", NULL), F_OperationNotAllowedInCurrentState);
	report(&k, "j", 0, SHARDS, true);
	tick(&k);
	assert_int_equal(status_of(&k, "j"), JOB_CANCELLED);
	assert_false(job_active(job_of(&k, "j")));
	assert_int_equal(job_of(&k, "j")->state.counts.devices, 3 * SHARDS);
	end_0(&k);
}

static void
life__J19_its_time_is_over(void **state)
{
	struct kit k;

	(void)state;
	kit_init_0(&k);
	assert_int_equal(ask(&k, OP_JOB_PUT, "j", PATCHES), F_NONE);
	tick(&k);
	k.env.now_us += JOB_SECONDS * SECOND - 1;
	tick(&k);
	assert_int_equal(job_of(&k, "j")->state.stop, JOB_GOES_ON);
	k.env.now_us++;
	tick(&k);
	assert_int_equal(job_of(&k, "j")->state.stop, JOB_STOP_LATE);
	assert_int_equal(status_of(&k, "j"), JOB_RUNNING);
	report(&k, "j", 0, SHARDS, true);
	tick(&k);
	assert_int_equal(status_of(&k, "j"), JOB_COMPLETED);
	end_0(&k);
}

static void
life__J18_targets_that_cannot_be_chosen_fail_it(void **state)
{
	struct job_report broken = { .shard = 9, .broken = true };
	struct kit k;

	(void)state;
	kit_init_0(&k);
	assert_int_equal(ask(&k, OP_JOB_PUT, "j", PATCHES), F_NONE);
	tick(&k);
	broken.number = job_of(&k, "j")->number;
	jobs_reported(k.sh, &broken);
	tick(&k);
	assert_int_equal(job_of(&k, "j")->state.stop, JOB_STOP_FAILED);
	report(&k, "j", 0, SHARDS, true);
	tick(&k);
	assert_int_equal(status_of(&k, "j"), JOB_FAILED);
	assert_int_equal(ask(&k, OP_JOB_GET, "j", NULL), F_NONE);
	assert_string_not_equal(kit_at(&k, "failureReason"), "-");
	end_0(&k);
}

/* What has not come on disk has not happened; what has is there after a start, and is told by the shards again. */
static void
life__each_step_is_undone_with_its_commit(void **state)
{
	struct kit k;

	(void)state;
	kit_init_0(&k);
	k.hold = true;
	assert_int_equal(ask(&k, OP_JOB_PUT, "j", PATCHES), F_NONE);
	kit_fail(&k, false);
	kit_commit(&k);
	assert_null(job_of(&k, "j"));
	assert_int_equal(ask(&k, OP_JOB_PUT, "j", PATCHES), F_NONE);
	kit_commit(&k);
	assert_int_equal(jobs_tick(k.sh, &k.env) > 0, true);
	assert_int_equal(status_of(&k, "j"), JOB_RUNNING);
	kit_fail(&k, true); /* it is found on disk all the same, and mended */
	kit_commit(&k);
	assert_int_equal(status_of(&k, "j"), JOB_QUEUED);
	tick(&k);
	report(&k, "j", 0, SHARDS, true);
	kit_restart_all(&k);
	tick(&k);
	assert_int_equal(status_of(&k, "j"), JOB_RUNNING); /* nobody has told anything yet */
	report(&k, "j", 0, SHARDS, true);
	tick(&k);
	assert_int_equal(status_of(&k, "j"), JOB_COMPLETED);
	end_0(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(life__J28_its_end_is_told_once),
		cmocka_unit_test(life__J14_J16_it_runs_until_all_shards_have_ended),
		cmocka_unit_test(life__J08_J14_a_later_start_is_waited_for),
		cmocka_unit_test(life__J10_so_many_run_and_the_next_is_refused),
		cmocka_unit_test(life__L56_L83_O159_as_many_as_the_hub_lets_run),
		cmocka_unit_test(life__J09_an_id_is_taken_until_its_history_is_over),
		cmocka_unit_test(
		    life__J15_a_running_one_is_cancelled_and_settled_when_all_have_ended),
		cmocka_unit_test(life__J19_its_time_is_over),
		cmocka_unit_test(life__J18_targets_that_cannot_be_chosen_fail_it),
		cmocka_unit_test(life__each_step_is_undone_with_its_commit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
