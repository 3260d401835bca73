/* Configurations in a fleet at work: published when they are on disk, applied to every row, over failures and restarts. */
#include "worker_configurations.h"

#define FLEET 300

/* ---- tests ---- */

static void
sweep__R93_every_row_of_every_worker(void **state)
{
	struct kit *k = *state;
	struct tour *w;

	begin(k, 3);
	kit_create(k, "d", FLEET);
	assert_int_equal(
	    kit_do_work(k, change(k, OP_CONFIGURATION_PUT, "a", body("*", 0, 1))), F_NONE);
	until(k, "properties.desired.a = 1", FLEET);
	kit_create(k, "new", 5); /* these need no sweep */
	w = kit_tour(k, "SELECT * FROM devices WHERE configurations.a.status = 'Applied'", 100);
	query_task_of(w->task)->count = true;
	w = kit_do_tour(k, w);
	assert_int_equal(w->task->bookmark.delivered, FLEET + 5);
	assert_int_equal(w->task->page->rows.rest.n, 0);
	w = kit_tour(k, "SELECT deviceId, COUNT() AS n FROM devices GROUP BY deviceId", 100);
	query_task_of(w->task)->count = true;
	w = kit_do_tour(k, w);
	assert_int_equal(w->task->bookmark.delivered, FLEET + 5);
	assert_int_equal(kit_do_work(k, change(k, OP_CONFIGURATION_DELETE, "a", NULL)), F_NONE);
	until(k, "NOT is_defined(properties.desired.a) AND NOT is_defined(configurations)",
	    FLEET + 5);
}

static void
sweep__J54_a_restart_goes_on(void **state)
{
	struct kit *k = *state;

	begin(k, 2);
	kit_create(k, "d", FLEET);
	for (int i = 1; i <= 5; i++) {
		char id[8];

		snprintf(id, sizeof(id), "c%d", i);
		assert_int_equal(
		    kit_do_work(k, change(k, OP_CONFIGURATION_PUT, id, body("*", i, i))), F_NONE);
		kit_stop(k);
		begin(k, (unsigned)i);
	}
	until(k, "properties.desired.a = 5", FLEET);
	for (int i = 1; i <= 5; i++) {
		char id[8];

		snprintf(id, sizeof(id), "c%d", i);
		assert_int_equal(
		    kit_do_work(k, change(k, OP_CONFIGURATION_DELETE, id, NULL)), F_NONE);
		kit_stop(k);
		begin(k, 2);
	}
	until(k, "NOT is_defined(properties.desired.a) AND NOT is_defined(configurations)", FLEET);
}

static void
sweep__a_configuration_that_is_not_stored_is_not_published(void **state)
{
	struct kit *k = *state;
	uint64_t before;

	begin(k, 2);
	kit_create(k, "d", 10);
	before = version;
	disk_hold();
	kit_forget(k);
	fleet_submit(k->fleet, change(k, OP_CONFIGURATION_PUT, "a", body("*", 0, 1)));
	disk_await();
	disk_release(ENOSPC);
	kit_await(k, k->nback == 1);
	assert_int_equal(k->back[0]->reply.fault.code, F_ServiceUnavailable);
	assert_int_equal(version, before);
	disk_release(0);
	kit_await(k, k->nmended > 0);
	while (kit_do_work(k, change(k, OP_CONFIGURATION_PUT, "a", body("*", 0, 2))) !=
	    F_NONE) /* 503 until the repair is on disk; 409 would be the one that was undone */
		assert_int_equal(k->reply.fault.code, F_ServiceUnavailable);
	until(k, "properties.desired.a = 2", 10);
}

static void
sweep__T19_a_failed_commit_is_swept_again_once(void **state)
{
	struct kit *k = *state;

	begin(k, 2);
	kit_create(k, "d", FLEET);
	hold = true;
	for (int i = 1; i <= 8; i++) {
		char id[8], condition[128];

		snprintf(id, sizeof(id), "c%d", i);
		while (
		    kit_do_work(k, change(k, OP_CONFIGURATION_PUT, id, body("*", i, i))) != F_NONE)
			assert_int_equal(k->reply.fault.code, F_ServiceUnavailable);
		disk_await(); /* a part of the sweep */
		disk_release(ENOSPC);
		while (store_state(k->store, NULL) == STORE_READY)
			sched_yield();
		disk_release(0);
		snprintf(condition, sizeof(condition),
		    "properties.desired.a = %d AND properties.desired.$version = %d", i, i + 1);
		until(k, condition, FLEET);
	}
	hold = false;
	kit_stop(k);
	begin(k, 3);
	until(k, "properties.desired.a = 8 AND properties.desired.$version = 9", FLEET);
}

#define fleet_test(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fleet_test(sweep__R93_every_row_of_every_worker),
		fleet_test(sweep__J54_a_restart_goes_on),
		fleet_test(sweep__a_configuration_that_is_not_stored_is_not_published),
		fleet_test(sweep__T19_a_failed_commit_is_swept_again_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
