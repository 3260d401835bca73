/* Calls of methods that jobs make: what of them a start, a commit and the order of both leave. */
#include "worker_job_kit.h"

#define FLEET 40

static const char *
call_body(const char *more)
{
	static char text[256];

	snprintf(text, sizeof(text),
	    "{'type':'scheduleDeviceMethod','queryCondition':'*','cloudToDeviceMethod':{'"
	    "methodName':'m'%s}}",
	    more);
	return text;
}

/* ---- a worker that comes late ---- */

struct held {
	struct msg msg;
	struct kit *k;
	bool there, go; /* under k->mu */
};

static void
held_runs(struct msg *m)
{
	struct held *h = (struct held *)m;

	pthread_mutex_lock(&h->k->mu);
	h->there = true;
	pthread_cond_broadcast(&h->k->changed);
	while (!h->go)
		pthread_cond_wait(&h->k->changed, &h->k->mu);
	pthread_mutex_unlock(&h->k->mu);
}

/* Start, with every worker but shard 0's held up in its first turn, before it has seen any job. */
static void
start_with_late_workers(struct kit *k, unsigned nworker, struct held *held)
{
	struct fault f = { 0 };

	kit_open(k, nworker);
	assert_int_equal(fleet_load(k->fleet, &f), ERR_OK);
	for (unsigned i = 1; i < nworker; i++) {
		held[i] = (struct held){ .msg = { .run = held_runs }, .k = k };
		mailbox_post(&k->fleet->workers[i].box, &held[i].msg);
	}
	assert_int_equal(fleet_start(k->fleet), ERR_OK);
	k->running = true;
	for (unsigned i = 1; i < nworker; i++)
		kit_await(k, held[i].there);
}

static void
let_go(struct kit *k, unsigned nworker, struct held *held)
{
	pthread_mutex_lock(&k->mu);
	for (unsigned i = 1; i < nworker; i++)
		held[i].go = true;
	pthread_cond_broadcast(&k->changed);
	pthread_mutex_unlock(&k->mu);
}

static void
calls__J27_lost_ones_have_failed_whichever_set_a_worker_sees_first(void **state)
{
	struct kit *k = *state;
	struct held held[4];

	kit_start(k, 4);
	kit_create(k, "d", FLEET);
	ask(k, "j", call_body(",'connectTimeoutInSeconds':300"));
	until(k, "j", "'runningCount':40");
	kit_stop(k);
	start_with_late_workers(k, 4, held);
	assert_int_equal(
	    kit_do_work(k, job_work(k, OP_JOB_PUT, "other", body("tags.none = 1", ""))), F_NONE);
	for (int64_t since_us = clock_mono_us(); atomic_load(&k->fleet->jobs_version) < 2;)
		kit_again(since_us, "another set of jobs");
	let_go(k, 4, held);
	until(k, "j", "'status':'completed'");
	assert_true(kit_says(k, "'failedCount':40"));
	counts(k, "SELECT * FROM devices.jobs WHERE error.code = 'DeviceConnectionClosedRemotely'",
	    FLEET);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(calls__J27_lost_ones_have_failed_whichever_set_a_worker_sees_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
