/* Calls of methods that jobs make: what of them a start, a commit and the order of both leave. */
#include "worker_job_kit.h"

#define FLEET  40
#define CALLER 77 /* slot of one that is no job */

static const char *
call_body(const char *method, const char *more)
{
	static char text[256];

	snprintf(text, sizeof(text),
	    "{'type':'scheduleDeviceMethod','queryCondition':'*','cloudToDeviceMethod':{'"
	    "methodName':'m'%s}%s}",
	    method, more);
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
	ask(k, "j", call_body(",'connectTimeoutInSeconds':300", ""));
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

/* ---- devices that answer ---- */

static struct {
	pthread_mutex_t mu;
	unsigned ncalls[FLEET];
	uint64_t call[FLEET]; /* to be answered; 0: none */
	unsigned nunsent;     /* callers that heard so */
} devices = { .mu = PTHREAD_MUTEX_INITIALIZER };

static void
on_call(struct note *n)
{
	pthread_mutex_lock(&devices.mu);
	if (n->kind == EFFECT_METHOD) {
		devices.ncalls[n->session.slot]++;
		devices.call[n->session.slot] = n->call;
	}
	devices.nunsent += n->kind == EFFECT_CALL_UNSENT && n->session.slot == CALLER;
	pthread_mutex_unlock(&devices.mu);
}

static struct work *
listen_work(struct kit *k, const char *id, uint64_t session_epoch)
{
	static const struct filter methods = { FILTER_METHODS, 0, { NULL, 0 } };
	struct work *w = kit_work(k, OP_SUBSCRIBE, id, NULL);
	struct buf list = { 0 };

	filters_put(&list, &methods);
	w->op.payload = work_str(w, buf_view(&list));
	w->op.session_epoch = session_epoch;
	buf_fini(&list);
	return w;
}

/* All connect and listen to all methods. */
static void
devices_begin(struct kit *k, unsigned n, uint64_t session_epoch[FLEET])
{
	memset(devices.ncalls, 0, sizeof(devices.ncalls));
	memset(devices.call, 0, sizeof(devices.call));
	for (unsigned i = 0; i < n; i++) {
		char id[16];

		snprintf(id, sizeof(id), "d%u", i);
		session_epoch[i] = kit_connect(k, id, i, true);
		assert_int_equal(kit_do_work(k, listen_work(k, id, session_epoch[i])), F_NONE);
	}
}

static void
devices_end(struct kit *k, unsigned n, const uint64_t session_epoch[FLEET])
{
	for (unsigned i = 0; i < n; i++) {
		struct work *w;
		char id[16];

		snprintf(id, sizeof(id), "d%u", i);
		w = kit_work(k, OP_DISCONNECT, id, NULL);
		w->op.session_epoch = session_epoch[i];
		kit_do_work(k, w);
	}
}

static void
devices_answer(struct kit *k, unsigned n, const uint64_t session_epoch[FLEET])
{
	for (unsigned i = 0; i < n; i++) {
		struct work *w;
		uint64_t call;
		char id[16];

		pthread_mutex_lock(&devices.mu);
		call = devices.call[i];
		devices.call[i] = 0;
		pthread_mutex_unlock(&devices.mu);
		if (call == 0)
			continue;
		snprintf(id, sizeof(id), "d%u", i);
		w = kit_work(k, OP_METHOD_RESPONSE, id, NULL);
		w->op.session_epoch = session_epoch[i];
		w->op.method.call = call;
		w->op.method.status = 200;
		w->op.payload = work_str(w, STR("{}"));
		kit_do_work(k, w);
	}
}

static void
all_called_once(struct kit *k, const char *job, unsigned n, const uint64_t session_epoch[FLEET])
{
	for (int64_t since_us = clock_mono_us();;) {
		devices_answer(k, n, session_epoch);
		if (kit_do_work(k, job_work(k, OP_JOB_GET, job, NULL)) == F_NONE &&
		    kit_says(k, "'status':'completed'"))
			break;
		kit_again(since_us, "the job is completed");
	}
	assert_true(kit_says(k, "'failedCount':0"));
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(devices.ncalls[i], 1);
}

/* Whichever commit fails: a call is made once, and only if it is on disk that it is under way. */
static void
calls_with_failing_commits(struct kit *k, const char *job, bool late)
{
	uint64_t session_epoch[FLEET];
	unsigned n = 12;

	k->fo.on_note = on_call;
	kit_start(k, 1);
	kit_create(k, "d", n);
	for (unsigned fails = 1; fails <= n; fails++) {
		char id[16];

		snprintf(id, sizeof(id), "j%u", fails);
		if (!late)
			devices_begin(k, n, session_epoch);
		disk_fail_once(fails);
		ask(k, id, job);
		if (late) {
			until(k, id, "'runningCount':12");
			disk_fail_once(0);
			devices_begin(k, n, session_epoch);
		}
		all_called_once(k, id, n, session_epoch);
		disk_fail_once(0);
		devices_end(k, n, session_epoch);
	}
}

static void
calls__J27_failed_commits_call_nobody_twice_and_nobody_for_nothing(void **state)
{
	calls_with_failing_commits(*state, call_body("", ""), false);
}

/* A call that waits for its device is not undone with the round: it must not be there before its commit is on disk. The rate
 * has calls begin one by one, each in a round that has nothing else. */
static void
calls__J27_failed_commits_leave_no_call_that_waits_for_its_device(void **state)
{
	calls_with_failing_commits(
	    *state, call_body(",'connectTimeoutInSeconds':300", ",'maxUpdatesPerSecond':50"), true);
}

static unsigned
unsent(void)
{
	unsigned n;

	pthread_mutex_lock(&devices.mu);
	n = devices.nunsent;
	pthread_mutex_unlock(&devices.mu);
	return n;
}

/* A device comes, and what waited for it would be sent behind a commit that fails: its caller does not wait for an answer. */
static void
calls__a_caller_hears_that_its_device_was_not_called(void **state)
{
	struct kit *k = *state;
	struct work *w;
	uint64_t session_epoch;

	devices.nunsent = devices.ncalls[0] = 0;
	k->fo.on_note = on_call;
	kit_start(k, 1);
	kit_create(k, "d", 1);
	session_epoch = kit_connect(k, "d0", 0, true);
	w = kit_work(k, OP_METHOD, "d0", NULL);
	w->op.method.name = work_str(w, STR("m"));
	w->op.method.wait = true;
	w->op.reply_to.slot = CALLER;
	assert_int_equal(kit_do_work(k, w), F_NONE);
	disk_hold();
	kit_send(k, OP_TWIN_PATCH, "d0", "{'tags':{'a':1}}");
	disk_await();
	fleet_submit(k->fleet, listen_work(k, "d0", session_epoch));
	kit_taken(k);
	disk_release(ENOSPC);
	for (int64_t since_us = clock_mono_us(); unsent() == 0;)
		kit_again(since_us, "the caller hears of it");
	kit_await(k, k->nback == 2);
	assert_int_equal(devices.ncalls[0], 0);
}

/* ---- rate ---- */

/* At most so many a second, but for a tenth of a second's at once: it cannot be over sooner, on no machine. */
static void
jobs__J20_no_faster_than_asked_for(void **state)
{
	struct kit *k = *state;
	int64_t since_us;

	kit_start(k, 2);
	kit_create(k, "d", FLEET);
	since_us = clock_mono_us();
	ask(k, "j", body("*", ",'maxUpdatesPerSecond':50"));
	until(k, "j", "'status':'completed'");
	assert_true(clock_mono_us() - since_us >= (FLEET - 1 - 6) * SECOND / 50);
}

/* ---- jobs that are forgotten ---- */

static void
publish_none(struct kit *k)
{
	struct jobs *none = jobs_with(NULL, 1, NULL), *old;

	pthread_mutex_lock(&k->fleet->jobs_mutex);
	old = k->fleet->jobs;
	k->fleet->jobs = none;
	pthread_mutex_unlock(&k->fleet->jobs_mutex);
	atomic_fetch_add(&k->fleet->jobs_version, 1);
	jobs_unref(old);
	fleet_poke(k->fleet);
}

static bool
anything_left(struct kit *k)
{
	static const char *const prefixes[] = { "jobpart/", "jobrows/", "jobdone/" };
	struct store_cursor *c;
	struct str key, value;
	bool left = false;

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(store_cursor_open(k->store, STORE_HUB, str_of(prefixes[i]),
		                     STR_NONE, STORE_SCAN, &c),
		    ERR_OK);
		left |=
		    store_next(c, &key, &value) == ERR_OK && str_starts(key, str_of(prefixes[i]));
		store_cursor_close(c);
	}
	return left;
}

/* A result is on its way to the disk while its job is forgotten: what is not seen yet is not passed over. */
static void
jobs__J17_forgotten_beside_a_commit_in_flight_leaves_nothing(void **state)
{
	struct kit *k = *state;
	int64_t since_us;

	kit_start(k, 1);
	kit_create(k, "d", 20);
	ask(k, "j", body("*", ""));
	until(k, "j", "'status':'completed'");
	assert_true(anything_left(k));
	disk_hold();
	kit_send(k, OP_IDENTITY_DELETE, "d0", NULL);
	disk_await();
	publish_none(k);
	/* turns with that commit in flight: a shard each */
	for (unsigned i = 0; i < 2 * SHARDS; i++) {
		kit_send(k, OP_TWIN_READ, "d1", NULL);
		kit_taken(k);
	}
	disk_release(0);
	for (since_us = clock_mono_us(); anything_left(k);) {
		assert_int_equal(kit_do(k, OP_TWIN_READ, "d1", NULL), F_NONE);
		kit_again(since_us, "nothing of the job is left");
	}
}

/* ---- identities ---- */

static void
worker__L24_identities_of_a_failed_round_do_not_count(void **state)
{
	struct kit *k = *state;

	kit_start(k, 2);
	kit_create(k, "d", 5);
	assert_int_equal(fleet_identities(k->fleet), 5);
	disk_hold();
	kit_forget(k);
	for (unsigned i = 0; i < 3; i++) {
		char id[16];

		snprintf(id, sizeof(id), "e%u", i);
		fleet_submit(k->fleet, kit_create_work(k, id));
	}
	kit_send(k, OP_IDENTITY_DELETE, "d0", NULL);
	disk_await();
	disk_release(ENOSPC);
	kit_await(k, k->nback == 4);
	disk_release(0);
	kit_await(k, k->nmended > 0);
	while (kit_do_work(k, kit_create_work(k, "f")) != F_NONE)
		assert_int_equal(k->reply.fault.code, F_ServiceUnavailable);
	counts(k, "SELECT * FROM devices", (unsigned)fleet_identities(k->fleet));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(calls__J27_lost_ones_have_failed_whichever_set_a_worker_sees_first),
		kit_test(calls__J27_failed_commits_call_nobody_twice_and_nobody_for_nothing),
		kit_test(calls__J27_failed_commits_leave_no_call_that_waits_for_its_device),
		kit_test(calls__a_caller_hears_that_its_device_was_not_called),
		kit_test(jobs__J20_no_faster_than_asked_for),
		kit_test(jobs__J17_forgotten_beside_a_commit_in_flight_leaves_nothing),
		kit_test(worker__L24_identities_of_a_failed_round_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
