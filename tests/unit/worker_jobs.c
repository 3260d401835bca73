/* Jobs in a fleet at work: over failed commits, restarts, deletions, and workers that change in number. */
#include "worker_job_kit.h"

#define FLEET 300

#define ONCE                                                                                       \
	"SELECT * FROM devices WHERE properties.desired.a = 1 AND properties.desired.$version = 2"

static void
jobs__J18_every_row_of_every_worker(void **state)
{
	struct kit *k = *state;

	kit_start(k, 3);
	kit_create(k, "d", FLEET);
	ask(k, "j", body("*", ""));
	until(k, "j", "'status':'completed'");
	assert_true(kit_says(k, "'deviceCount':300,'failedCount':0,'succeededCount':300"));
	counts(k, ONCE, FLEET);
	kit_create(k, "new", 5);
	counts(k, ONCE, FLEET);
	counts(k, "SELECT * FROM devices.jobs WHERE status = 'completed'", FLEET);
	counts(k, "SELECT * FROM devices.jobs WHERE deviceId = 'new1'", 0);
	counts(k, "SELECT * FROM jobs WHERE status = 'completed'", 1);
}

/* Jobs choose their targets while devices come: each is judged as it is in that turn, its columns with it. */
static void
jobs__J18_choose_among_devices_that_are_being_registered(void **state)
{
	struct kit *k = *state;
	char id[32];

	kit_start(k, 2);
	kit_create(k, "old", 64);
	for (unsigned i = 0; i < 40; i++) {
		kit_forget(k);
		snprintf(id, sizeof(id), "j%u", i);
		fleet_submit(k->fleet, job_work(k, OP_JOB_PUT, id, body("is_defined(status)", "")));
		for (unsigned d = 0; d < 100; d++) {
			snprintf(id, sizeof(id), "n%u-%u", i, d);
			fleet_submit(k->fleet, kit_create_work(k, id));
		}
		kit_await(k, k->nback == 101);
		for (unsigned b = 0; b < k->nback; b++)
			assert_int_equal(k->back[b]->reply.fault.code, F_NONE);
		snprintf(id, sizeof(id), "j%u", i);
		until(k, id, "'status':'completed'");
		assert_true(kit_says(k, "'failedCount':0"));
	}
	counts(k, "SELECT * FROM devices WHERE deviceId >= 'old' AND properties.desired.a = 1", 64);
}

static void
jobs__J27_restarts_lose_and_repeat_no_device(void **state)
{
	struct kit *k = *state;

	kit_start(k, 2);
	kit_create(k, "d", FLEET);
	ask(k, "j", body("*", ",'maxUpdatesPerSecond':1000"));
	for (unsigned i = 0; i < 4; i++) {
		until_done(k, "j", 1 + 40 * i);
		kit_stop(k);
		kit_start(k, i + 1);
	}
	until(k, "j", "'status':'completed'");
	assert_true(kit_says(k, "'deviceCount':300,'failedCount':0,'succeededCount':300"));
	counts(k, ONCE, FLEET);
}

static void
jobs__J27_failed_commits_lose_and_repeat_no_device(void **state)
{
	struct kit *k = *state;

	kit_start(k, 2);
	kit_create(k, "d", FLEET);
	ask(k, "j", body("*", ",'maxUpdatesPerSecond':1000"));
	for (unsigned i = 0; i < 4; i++) {
		until_done(k, "j", 1 + 40 * i);
		disk_hold();
		disk_await(); /* a part of the job */
		disk_release(ENOSPC);
		for (int64_t since_us = clock_mono_us();
		     store_state(k->store, NULL) == STORE_READY;)
			kit_again(since_us, "the store notices");
		disk_release(0);
	}
	until(k, "j", "'status':'completed'");
	assert_true(kit_says(k, "'deviceCount':300,'failedCount':0,'succeededCount':300"));
	counts(k, ONCE, FLEET);
	counts(k, "SELECT * FROM devices.jobs WHERE jobId = 'j' AND status = 'completed'", FLEET);
}

static void
jobs__J27_a_job_that_is_not_stored_is_not_there(void **state)
{
	struct kit *k = *state;

	kit_start(k, 2);
	kit_create(k, "d", 10);
	disk_hold();
	kit_forget(k);
	fleet_submit(k->fleet, job_work(k, OP_JOB_PUT, "j", body("*", "")));
	disk_await();
	disk_release(ENOSPC);
	kit_await(k, k->nback == 1);
	assert_int_equal(k->back[0]->reply.fault.code, F_ServiceUnavailable);
	disk_release(0);
	kit_await(k, k->nmended > 0);
	assert_int_equal(kit_do_work(k, job_work(k, OP_JOB_GET, "j", NULL)), F_JobNotFound);
	ask(k, "j", body("*", ""));
	until(k, "j", "'status':'completed'");
	counts(k, ONCE, 10);
}

/* Devices go, and others come under their names, while the job is on its way. */
static void
jobs__J18_devices_that_go_meanwhile_have_failed(void **state)
{
	struct kit *k = *state;
	unsigned gone = 0;

	kit_start(k, 2);
	kit_create(k, "d", FLEET);
	ask(k, "j", body("*", ",'maxUpdatesPerSecond':500"));
	until(k, "j", "'deviceCount':300,"); /* all are chosen: who goes before is no target */
	for (unsigned i = 0; i < FLEET; i += 10, gone++) {
		char id[16];

		snprintf(id, sizeof(id), "d%u", i);
		assert_int_equal(kit_do(k, OP_IDENTITY_DELETE, id, NULL), F_NONE);
		if (i % 20 == 0)
			assert_int_equal(kit_do_work(k, kit_create_work(k, id)), F_NONE);
	}
	until(k, "j", "'status':'completed'");
	counts(k, "SELECT * FROM devices.jobs WHERE jobId = 'j'", FLEET);
	kit_stop(k);
	kit_start(k, 3);
	counts(k, "SELECT * FROM devices.jobs WHERE jobId = 'j'", FLEET);
	counts(k, ONCE, FLEET - gone);
}

static void
jobs__J17_a_job_that_is_forgotten_leaves_nothing(void **state)
{
	struct kit *k = *state;
	struct store_cursor *c;
	struct str key, value;

	kit_start(k, 2);
	kit_create(k, "d", 20);
	ask(k, "j", body("*", ""));
	until(k, "j", "'status':'completed'");
	for (unsigned i = 0; i < 20; i++) {
		char id[16];

		snprintf(id, sizeof(id), "d%u", i);
		assert_int_equal(kit_do(k, OP_IDENTITY_DELETE, id, NULL), F_NONE);
	}
	counts(k, "SELECT * FROM devices.jobs", 20);
	kit_stop(k);
	/* as if thirty days were over: its record is gone, its parts and results are not */
	kit_store_row(k, STORE_HUB, STR("job/j"), STR_NONE);
	kit_start(k, 2);
	for (bool left = true; left;) {
		assert_int_equal(kit_do_work(k, job_work(k, OP_JOB_GET, "j", NULL)), F_JobNotFound);
		assert_int_equal(
		    store_cursor_open(k->store, STORE_HUB, STR("job"), STR("joc"), STORE_SCAN, &c),
		    ERR_OK);
		left = store_next(c, &key, &value) == ERR_OK;
		store_cursor_close(c);
	}
	counts(k, "SELECT * FROM devices.jobs", 0);
}

/* The job as such fails; a damaged record that no condition asks for is its device's failure alone. */
static void
jobs__J16_a_damaged_record(void **state)
{
	struct kit *k = *state;
	struct buf key = { 0 };

	kit_start(k, 2);
	kit_create(k, "d", 10);
	kit_stop(k);
	hub_key(&key, hub_shard_of(STR("d3")), STR("d3"), STR_NONE);
	kit_store_row(k, STORE_WANTED, buf_view(&key), STR("damaged"));
	buf_fini(&key);
	kit_start(k, 2);
	ask(k, "j", body("tags.a = 1", ""));
	until(k, "j", "'status':'failed','failureReason':'a stored record");
	ask(k, "all", body("*", ""));
	until(k, "all", "'status':'completed'");
	assert_true(kit_says(k, "'deviceCount':10,'failedCount':1,'succeededCount':9"));
	counts(k, "SELECT * FROM devices.jobs WHERE deviceId = 'd3' AND error.code = 'ServerError'",
	    1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(jobs__J18_every_row_of_every_worker),
		kit_test(jobs__J18_choose_among_devices_that_are_being_registered),
		kit_test(jobs__J27_restarts_lose_and_repeat_no_device),
		kit_test(jobs__J27_failed_commits_lose_and_repeat_no_device),
		kit_test(jobs__J27_a_job_that_is_not_stored_is_not_there),
		kit_test(jobs__J18_devices_that_go_meanwhile_have_failed),
		kit_test(jobs__J16_a_damaged_record),
		kit_test(jobs__J17_a_job_that_is_forgotten_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
