/* Works that wait for a real worker: how many, and whose turn it is. The order alone, without a worker: worker_inbox.c. */
#include "worker_kit.h"

/* ---- room ---- */

static void
inbox__beyond_its_limit_is_429_but_ends_of_links_are_heard(void **state)
{
	struct kit *k = *state;
	unsigned nfull = 0;
	struct work *w;
	uint64_t session_epoch;

	kit_start(k, 1);
	kit_create(k, "d", 2);
	session_epoch = kit_connect(k, "d1", 1, true);
	disk_hold();
	kit_send(k, OP_TWIN_PATCH, "d0", "{'tags':{'a':1}}");
	disk_await();
	for (unsigned i = 0; i < INBOX_MAX + 99; i++) {
		w = work_new(k->loops[0], 8, kit_work_back);
		w->op.kind = OP_SCOPE_CHECK;
		w->op.device = work_str(w, STR("d0"));
		w->owner = k;
		w->asker = 1 + i % 8; /* none has its share */
		fleet_submit(k->fleet, w);
	}
	w = kit_work(k, OP_DISCONNECT, "d1", NULL);
	w->op.session_epoch = session_epoch;
	fleet_submit(k->fleet, w);
	kit_await(k, k->nback == 100);
	for (unsigned i = 0; i < 100; i++)
		nfull += k->back[i]->reply.fault.code == F_ThrottleBacklogLimitExceeded;
	assert_int_equal(nfull, 100);
	disk_release(0);
	kit_await(k, k->nback == INBOX_MAX + 101);
	kit_shows(k, "d1", "'connectionState':'Disconnected'");
}

static void
inbox__one_asker_has_a_share_of_the_room(void **state)
{
	struct kit *k = *state;
	struct work *w;

	k->fo.work_bytes = UINT64_C(1) << 30;
	kit_start(k, 1);
	kit_create(k, "d", 1);
	disk_hold();
	kit_send(k, OP_TWIN_PATCH, "d0", "{'tags':{'a':1}}");
	disk_await();
	for (unsigned i = 0; i < INBOX_SHARE + BATCH_OPS_MAX + 9; i++) {
		w = kit_work(k, OP_TWIN_PATCH, "d0", "{'tags':{'a':2}}");
		w->asker = 1;
		fleet_submit(k->fleet, w);
	}
	kit_await(k, k->nback >= 9);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(k->back[i]->reply.fault.code, F_ThrottleBacklogLimitExceeded);
	w = kit_work(k, OP_TWIN_READ, "d0", NULL);
	w->asker = 2;
	fleet_submit(k->fleet, w);
	disk_release(0);
	kit_await(k, k->nback == INBOX_SHARE + BATCH_OPS_MAX + 11);
	assert_int_equal(w->reply.fault.code, F_NONE);
}

/* What works hold has a bound of its own; what was refused gives back its room, and what was taken does when it is answered. */
static void
inbox__works_that_hold_too_many_bytes_are_429(void **state)
{
	enum { LARGE = 1 << 20, MORE = 9 };
	const unsigned fit =
	    WORK_BYTES_MAX / LARGE - 1; /* beside that of the change that the disk has */
	struct kit *k = *state;
	struct work *w;

	kit_start(k, 1);
	kit_create(k, "d", 1);
	for (unsigned round = 1; round <= 2; round++) {
		unsigned before = k->nback;

		disk_hold();
		kit_send(
		    k, OP_TWIN_PATCH, "d0", round == 1 ? "{'tags':{'a':1}}" : "{'tags':{'a':2}}");
		disk_await();
		for (unsigned i = 0; i < fit + MORE; i++) {
			w = work_new(k->loops[0], LARGE, kit_work_back);
			w->op.kind = OP_SCOPE_CHECK;
			w->op.device = work_str(w, STR("d0"));
			w->owner = k;
			w->asker = 1 + i; /* each has little */
			fleet_submit(k->fleet, w);
		}
		kit_await(k, k->nback == before + MORE);
		for (unsigned i = 0; i < MORE; i++)
			assert_int_equal(
			    k->back[before + i]->reply.fault.code, F_ThrottleBacklogLimitExceeded);
		disk_release(0);
		kit_await(k, k->nback == before + fit + MORE + 1);
	}
}

/* ---- turns ---- */

#define FULL_KEYS  10u
#define FULL_BYTES (FULL_KEYS * 3000u)

/* A device whose reported section is nearly full: any report writes all of it. */
static uint64_t
full_device(struct kit *k, const char *device, uint32_t slot)
{
	uint64_t session_epoch = kit_connect(k, device, slot, true);
	char json[3100];

	for (unsigned i = 0; i < FULL_KEYS; i++) {
		snprintf(json, sizeof(json), "{'p%u':'%0*d'}", i, FULL_BYTES / FULL_KEYS, i);
		assert_int_equal(
		    kit_do_work(k, kit_report_work(k, device, session_epoch, json)), F_NONE);
	}
	return session_epoch;
}

static void
report(struct kit *k, const char *device, uint64_t session_epoch, unsigned value)
{
	char json[32];
	struct work *w;

	snprintf(json, sizeof(json), "{'x':%u}", value);
	w = kit_report_work(k, device, session_epoch, json);
	w->home = k->loops[0];
	w->asker = asker_key(w->op.device, STR_NONE);
	fleet_submit(k->fleet, w);
}

/* Two devices have a hundred large operations each waiting. A quiet one that comes now waits for what is on its way to the
 * disk, and for what the next commit has by then: each is a few large operations. */
static void
turns__a_quiet_device_waits_for_few_large_operations(void **state)
{
	const unsigned flood = 200, few = 2 * (ROUND_LARGE / FULL_BYTES + 2);
	struct kit *k = *state;
	uint64_t session_epochs[2], quiet;
	unsigned at = 0;

	kit_start(k, 1);
	kit_create(k, "f", 2);
	kit_create(k, "q", 1);
	session_epochs[0] = full_device(k, "f0", 1);
	session_epochs[1] = full_device(k, "f1", 2);
	quiet = kit_connect(k, "q0", 3, true);
	kit_forget(k);
	disk_hold();
	for (unsigned i = 0; i < flood; i++)
		report(k, i % 2 ? "f1" : "f0", session_epochs[i % 2], i);
	report(k, "q0", quiet, 1);
	kit_taken(k);
	disk_release(0);
	kit_await(k, k->nback == flood + 1);
	for (unsigned i = 0; i <= flood; i++) {
		assert_int_equal(k->back[i]->reply.fault.code, F_NONE);
		if (str_eq(k->back[i]->op.device, STR("q0")))
			at = i;
	}
	if (at > few)
		fail_msg("%u large operations came first, not %u at the most", at, few);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(inbox__beyond_its_limit_is_429_but_ends_of_links_are_heard),
		kit_test(inbox__one_asker_has_a_share_of_the_room),
		kit_test(inbox__works_that_hold_too_many_bytes_are_429),
		kit_test(turns__a_quiet_device_waits_for_few_large_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
