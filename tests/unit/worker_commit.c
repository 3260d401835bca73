/* Operations through real workers: their order, the gate before the disk, failed commits, stop and start. */
#include "worker_kit.h"

#include <fcntl.h>

/* ---- order ---- */

static void
work__one_device_is_answered_in_order(void **state)
{
	struct kit *k = *state;
	const unsigned n = 2000;
	uint64_t session_epoch;
	uint32_t first;

	kit_start(k, 2);
	kit_create(k, "d", 1);
	session_epoch = kit_connect(k, "d0", 1, true);
	first = k->tag;
	for (unsigned i = 0; i < n; i++) {
		struct work *w = kit_report_work(k, "d0", session_epoch, "{'x':1}");

		w->home = k->loops[0];
		fleet_submit(k->fleet, w);
	}
	kit_await(k, k->nback == n);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(k->back[i]->tag, first + i);
		assert_int_equal(k->back[i]->reply.fault.code, F_NONE);
		assert_int_equal(k->back[i]->reply.version, 2 + i);
	}
}

/* ---- the gate ---- */

static void
gate__nothing_leaves_before_its_commit(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_start(k, 1);
	kit_create(k, "d", 2);
	session_epoch = kit_connect(k, "d0", 6, true);
	kit_subscribe(k, "d0", session_epoch);
	kit_forget(k);
	disk_hold();
	kit_send(k, OP_TWIN_PATCH, "d0", "{'properties':{'desired':{'a':1}}}");
	disk_await(); /* whatever did not wait for the commit has left by now */
	kit_flush(k);
	assert_int_equal(k->nback + k->nnotes, 0);

	/* neither what has seen the change, nor what comes after in the next commit */
	kit_send(k, OP_TWIN_READ, "d0", NULL);
	kit_send(k, OP_TWIN_READ, "d1", NULL);
	fleet_tour(k->fleet, kit_tour(k, "SELECT * FROM devices", 100));
	kit_send(k, OP_TWIN_PATCH, "d0", "{'properties':{'desired':{'a':2}}}");
	kit_taken(k);
	kit_flush(k);
	assert_int_equal(k->nback + k->nnotes + k->ntours_back, 0);
	disk_release(0);
	kit_await(k, k->nback == 4 && k->nnotes == 2 && k->ntours_back == 1);
	kit_flush(k);
	assert_string_equal((buf_putc(&k->notes, '\0'), k->notes.p),
	    "notify 6 v2 {\"a\":1,\"$version\":2}\nnotify 6 v3 {\"a\":2,\"$version\":3}\n");
}

static void
gate__the_close_of_a_taken_over_link_waits_too(void **state)
{
	struct kit *k = *state;
	struct work *w;

	kit_start(k, 1);
	kit_create(k, "d", 1);
	kit_connect(k, "d0", 1, true);
	disk_hold();
	w = kit_work(k, OP_IDENTITY_DELETE, "d0", NULL);
	fleet_submit(k->fleet, w);
	disk_await();
	kit_flush(k);
	assert_int_equal(k->nback + k->nnotes, 0);
	disk_release(0);
	kit_await(k, k->nback == 1 && k->nnotes == 1);
	assert_memory_equal(k->notes.p, "close 1\n", 8);
}

/* ---- who may be told ---- */

static atomic_uint lease = 1; /* 0: there is none */

static uint64_t
lease_now(void *p)
{
	return atomic_load((atomic_uint *)p);
}

static void
lease_start(struct kit *k, unsigned nworker)
{
	atomic_store(&lease, 1);
	k->fo.may_answer = lease_now;
	k->fo.lease = &lease;
	kit_start(k, nworker);
}

/* The lease goes while the commit is on its way: the change is made, which its commit proves; nothing is said of what was read, and nothing begun. */
static void
lease__O195_lost_before_the_answer_is_503_but_for_what_the_commit_proves(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	lease_start(k, 1);
	kit_create(k, "d", 2);
	session_epoch = kit_connect(k, "d0", 6, true);
	kit_subscribe(k, "d0", session_epoch);
	kit_forget(k);
	disk_hold();
	kit_send(k, OP_TWIN_PATCH, "d0", "{'properties':{'desired':{'a':1}}}");
	disk_await();
	kit_send(k, OP_TWIN_READ, "d0", NULL);
	fleet_tour(k->fleet, kit_tour(k, "SELECT * FROM devices", 100));
	kit_taken(k);
	atomic_store(&lease, 0);
	disk_release(0);
	kit_await(k, k->nback == 2 && k->nnotes == 1 && k->ntours_back == 1);
	for (unsigned i = 0; i < 2; i++) {
		const struct reply *reply = &k->back[i]->reply;

		if (k->back[i]->op.kind == OP_TWIN_PATCH) {
			assert_int_equal(reply->fault.code, F_NONE);
			continue;
		}
		assert_int_equal(reply->fault.code, F_ServiceUnavailable);
		assert_non_null(strstr(reply->fault.text, "may have been done, or not"));
		assert_int_equal(reply->body.n, 0);
	}
	assert_int_equal(k->tours_back[0]->task->fault.code, F_ServiceUnavailable);
	assert_memory_equal(k->notes.p, "notify 6 v2", 11);
	assert_int_equal(kit_do(k, OP_TWIN_READ, "d0", NULL), F_ServiceUnavailable);
	assert_int_equal(kit_do(k, OP_TWIN_PATCH, "d0", "{'properties':{'desired':{'a':2}}}"),
	    F_ServiceUnavailable);
	atomic_store(&lease, 2);
	kit_shows(k, "d0", "'desired':{'a':1");
}

/* reads = fenced: a read has its commit, which nothing is in. */
static void
lease__fenced_reads_and_queries_wait_for_a_commit_of_their_own(void **state)
{
	struct kit *k = *state;
	struct store_stats before, after;

	k->fo.reads_fenced = true;
	kit_start(k, 2);
	kit_create(k, "d", 2);
	store_stats(k->store, &before);
	kit_shows(k, "d0", "'version':2");
	kit_forget(k);
	fleet_tour(k->fleet, kit_tour(k, "SELECT * FROM devices", 100));
	kit_await(k, k->ntours_back == 1);
	assert_int_equal(k->tours_back[0]->task->fault.code, F_NONE);
	store_stats(k->store, &after);
	assert_true(after.commits >= before.commits + 3); /* the read, and each worker's part */
}

/* ---- failed commits ---- */

static void
await_mended(struct kit *k)
{
	kit_await(k, k->nmended > 0);
	pthread_mutex_lock(&k->mu);
	k->nmended = 0;
	pthread_mutex_unlock(&k->mu);
}

/* Writes are refused until the repair is on disk. Nothing tells when: ask again, but leave the processor to who repairs. */
static void
do_until_stored(struct kit *k, const char *device, const char *json)
{
	enum fault_code code;

	while ((code = kit_do(k, OP_TWIN_PATCH, device, json)) == F_ServiceUnavailable)
		usleep(1000);
	assert_int_equal(code, F_NONE);
}

/* Two commits fail at once, the one on its way and the one behind it. */
static void
failure__both_rounds_are_undone_answered_and_repaired(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_start(k, 1);
	kit_create(k, "d", 3);
	session_epoch = kit_connect(k, "d0", 1, false);
	kit_subscribe(k, "d0", session_epoch);
	do_until_stored(k, "d0", "{'tags':{'a':1}}");
	kit_forget(k);

	disk_hold();
	kit_send(k, OP_TWIN_PATCH, "d0", "{'tags':{'a':2},'properties':{'desired':{'b':2}}}");
	disk_await();
	kit_send(k, OP_TWIN_READ, "d0", NULL);
	kit_send(k, OP_TWIN_PATCH, "d0", "{'tags':{'a':3}}");
	fleet_submit(k->fleet, kit_create_work(k, "new"));
	kit_send(k, OP_IDENTITY_DELETE, "d1", NULL);
	kit_send(k, OP_TWIN_READ, "d2", NULL);
	fleet_tour(k->fleet, kit_tour(k, "SELECT * FROM devices", 100));
	kit_taken(k);
	disk_release(ENOSPC);
	kit_await(k, k->nback == 6 && k->ntours_back == 1);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(k->back[i]->reply.fault.code, F_ServiceUnavailable);
		assert_int_equal(k->back[i]->reply.body.n, 0);
		assert_string_equal(k->back[i]->reply.etag, "");
	}
	assert_int_equal(k->tours_back[0]->task->fault.code, F_ServiceUnavailable);
	assert_int_equal(k->nnotes, 0);
	assert_int_equal(fleet_identities(k->fleet), 3);

	kit_shows(k, "d0", "'tags':{'a':1}"); /* reads go on */
	kit_shows(k, "d0", "'connectionState':'Connected'");
	kit_shows(k, "d1", "'version':2");
	assert_int_equal(kit_do(k, OP_TWIN_READ, "new", NULL), F_DeviceNotFound);
	assert_int_equal(kit_do(k, OP_TWIN_PATCH, "d0", "{'tags':{'a':9}}"), F_ServiceUnavailable);
	disk_release(0);
	await_mended(k);
	do_until_stored(k, "d0", "{'tags':{'c':4}}");
	kit_shows(k, "d0", "'tags':{'a':1,'c':4}");

	kit_stop(k); /* the store holds what was acknowledged */
	kit_start(k, 3);
	assert_int_equal(fleet_identities(k->fleet), 3);
	kit_shows(k, "d0", "'tags':{'a':1,'c':4}");
	kit_shows(k, "d0", "'desired':{'$metadata'");
	kit_shows(k, "d1", "'version':2");
	kit_connect(k, "d0", 2, false);
	assert_true(k->reply.session_present);
}

/* Sessions made on the strength of a commit that fails are none. */
static void
failure__a_connect_that_saw_the_failed_commit_fails_with_it(void **state)
{
	struct kit *k = *state;
	struct buf token = { 0 };
	struct work *w;

	kit_start(k, 1);
	kit_create(k, "d", 2);
	kit_forget(k);
	assert_int_equal(sas_make(k->mac, &token, STR(HOST "/devices/d1"), STR(KEY1),
	                     clock_wall_us() / SECOND + 3600, STR_NONE),
	    ERR_OK);
	disk_hold();
	kit_send(k, OP_TWIN_PATCH, "d0", "{'tags':{'a':2}}");
	disk_await();
	w = kit_work(k, OP_CONNECT, "d1", NULL);
	w->op.shown.token = work_str(w, buf_view(&token));
	w->op.connect.clean = true; /* writes nothing itself */
	fleet_submit(k->fleet, w);
	buf_fini(&token);
	kit_taken(k);
	disk_release(ENOSPC);
	kit_await(k, k->nback == 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(k->back[i]->reply.fault.code, F_ServiceUnavailable);
		assert_int_equal(k->back[i]->reply.session_epoch, 0);
	}
	kit_shows(k, "d1", "'connectionState':'Disconnected'");
	disk_release(0);
	await_mended(k);
}

/* Again and again, with a cache that holds nothing: what was put back is not read from a store that may differ. */
static void
failure__many_times_with_a_small_cache(void **state)
{
	struct kit *k = *state;
	char patch[64], want[64];

	k->fo.cache_bytes = 0;
	kit_start(k, 2);
	kit_create(k, "d", 20);
	for (int round = 0; round < 8; round++) {
		snprintf(patch, sizeof(patch), "{'tags':{'good':%d}}", round);
		for (int i = 0; i < 20; i++) {
			char id[8];

			snprintf(id, sizeof(id), "d%d", i);
			do_until_stored(k, id, patch);
		}
		kit_forget(k);
		disk_hold();
		for (int i = 0; i < 20; i++) {
			char id[8];

			snprintf(id, sizeof(id), "d%d", i);
			kit_send(k, OP_TWIN_PATCH, id, "{'tags':{'bad':1}}");
		}
		disk_await();
		disk_release(ENOSPC);
		kit_await(k, k->nback == 20);
		disk_release(0);
		snprintf(want, sizeof(want), "'tags':{'good':%d},", round);
		for (int i = 0; i < 20; i++) {
			char id[8];

			snprintf(id, sizeof(id), "d%d", i);
			kit_shows(k, id, want);
		}
	}
	kit_stop(k);
	kit_start(k, 1);
	for (int i = 0; i < 20; i++) {
		char id[8];

		snprintf(id, sizeof(id), "d%d", i);
		assert_int_equal(kit_do(k, OP_TWIN_READ, id, NULL), F_NONE);
		assert_true(kit_says(k, "'good':7"));
	}
}

/* A tour that is between two slices when the commit fails has seen what never was: it fails, or had not seen it. */
static void
failure__no_walk_shows_what_was_undone(void **state)
{
	struct kit *k = *state;
	unsigned nfailed = 0;

	kit_start(k, 1);
	kit_create(k, "d", 3000);
	for (unsigned i = 0; i < 12; i++) {
		struct tour *w;

		do_until_stored(k, "d1", "{'tags':{'good':1}}");
		kit_forget(k);
		disk_hold();
		for (unsigned j = 0; j < 50; j++) {
			char id[16];

			snprintf(id, sizeof(id), "d%u", j);
			kit_send(k, OP_TWIN_PATCH, id, "{'tags':{'bad':1}}");
		}
		disk_await();
		kit_taken(k);
		fleet_tour(k->fleet,
		    kit_tour(k, "SELECT COUNT() AS c FROM devices WHERE tags.bad = 1", 10));
		kit_taken(k);
		disk_release(ENOSPC);
		kit_await(k, k->ntours_back == 1 && k->nback == 50);
		disk_release(0);
		w = k->tours_back[0];
		nfailed += w->task->fault.code != F_NONE;
		if (w->task->fault.code == F_NONE)
			assert_memory_equal(w->task->page->rows.rest.p, "{\"c\":0}", 7);
	}
	assert_true(nfailed > 0);
}

/* Below the floor of free space changes are refused before they touch memory; reads go on. */
static void
floor__refuses_writes_only(void **state)
{
	struct kit *k = *state;

	kit_start(k, 1);
	kit_create(k, "d", 1);
	kit_stop(k);
	k->so.floor_bytes = UINT64_MAX / 4;
	kit_start(k, 1);
	assert_int_equal(kit_do(k, OP_TWIN_PATCH, "d0", "{'tags':{'a':1}}"), F_ServiceUnavailable);
	kit_shows(k, "d0", "'version':2");
	kit_connect(k, "d0", 1, true);
	assert_int_equal(
	    kit_do(k, OP_ACK, "nobody", NULL), F_ConnectionForcefullyClosedOnNewConnection);
}

/* ---- limits ---- */

static void
identities__limit_is_of_the_fleet(void **state)
{
	struct kit *k = *state;

	k->fo.identities_max = 5;
	kit_start(k, 4);
	kit_create(k, "d", 5);
	assert_int_equal(kit_do_work(k, kit_create_work(k, "more")), F_IotHubQuotaExceeded);
	assert_int_equal(kit_do(k, OP_IDENTITY_DELETE, "d3", NULL), F_NONE);
	assert_int_equal(kit_do_work(k, kit_create_work(k, "more")), F_NONE);
	assert_int_equal(fleet_identities(k->fleet), 5);
}

/* ---- catalogue ---- */

static void
catalogue__is_released_once_nobody_uses_it(void **state)
{
	struct catalogue_box *box = catalogue_box_new();
	struct catalogue *one = catalogue_new(1, 0), *two = catalogue_new(2, 0);

	(void)state;
	atomic_store(&nreleased, 0);
	catalogue_set(box, one, catalogue_release);
	assert_int_equal(catalogue_version(box), 1);
	assert_ptr_equal(catalogue_use(box), one);
	assert_ptr_equal(catalogue_use(box), one);
	catalogue_set(box, two, catalogue_release);
	assert_int_equal(catalogue_version(box), 2);
	assert_ptr_equal(catalogue_use(box), two);
	catalogue_drop(box, one);
	assert_int_equal(atomic_load(&nreleased), 0);
	catalogue_drop(box, one);
	assert_int_equal(atomic_load(&nreleased), 1);
	catalogue_drop(box, two);
	assert_int_equal(atomic_load(&nreleased), 1); /* the newest stays */
	catalogue_set(box, catalogue_new(3, 0), catalogue_release);
	assert_int_equal(atomic_load(&nreleased), 2);
	catalogue_box_free(box);
	assert_int_equal(atomic_load(&nreleased), 3);
}

static void *
use_and_drop(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		const struct catalogue *c = catalogue_use(arg);

		assert_true(c->version > 0);
		catalogue_drop(arg, c);
	}
	return NULL;
}

static void
catalogue__by_many_threads(void **state)
{
	struct catalogue_box *box = catalogue_box_new();
	pthread_t threads[3];

	(void)state;
	atomic_store(&nreleased, 0);
	catalogue_set(box, catalogue_new(1, 0), catalogue_release);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_and_drop, box), 0);
	for (uint64_t v = 2; v < 200; v++)
		catalogue_set(box, catalogue_new(v, 0), catalogue_release);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&nreleased), 198);
	catalogue_box_free(box);
	assert_int_equal(atomic_load(&nreleased), 199);
}

static enum fault_code
connect_by_policy(struct kit *k)
{
	struct work *w = kit_work(k, OP_CONNECT, "d0", NULL);
	struct buf token = { 0 };

	assert_int_equal(sas_make(k->mac, &token, STR(HOST), STR(KEY1),
	                     clock_wall_us() / SECOND + 3600, STR("device")),
	    ERR_OK);
	w->op.shown.token = work_str(w, buf_view(&token));
	w->op.connect.clean = true;
	buf_fini(&token);
	return kit_do_work(k, w);
}

static void
catalogue__a_new_one_holds_from_the_next_operation_on(void **state)
{
	struct kit *k = *state;

	kit_start(k, 2);
	kit_create(k, "d", 1);
	assert_int_equal(connect_by_policy(k), F_NONE);
	catalogue_set(k->box, catalogue_new(2, 0), catalogue_release);
	assert_int_equal(connect_by_policy(k), F_IotHubUnauthorizedAccess);
}

/* ---- start and stop ---- */

static void
stop__answers_everything(void **state)
{
	struct kit *k = *state;
	const unsigned n = 3000;
	unsigned done = 0;

	kit_start(k, 3);
	kit_create(k, "d", 50);
	for (unsigned i = 0; i < n; i++) {
		char id[16];

		snprintf(id, sizeof(id), "d%u", i % 50);
		kit_send(
		    k, i % 3 ? OP_TWIN_PATCH : OP_TWIN_READ, id, i % 3 ? "{'tags':{'a':1}}" : NULL);
		if (i % 100 == 0)
			fleet_tour(k->fleet, kit_tour(k, "SELECT * FROM devices", 100));
	}
	kit_halt(k);
	kit_await(k, k->nback == n && k->ntours_back == n / 100);
	for (unsigned i = 0; i < n; i++) {
		enum fault_code code = k->back[i]->reply.fault.code;

		assert_true(code == F_NONE || code == F_ServiceUnavailable);
		done += code == F_NONE && k->back[i]->op.kind == OP_TWIN_PATCH;
	}
	assert_int_equal(kit_do(k, OP_TWIN_READ, "d0", NULL), F_ServiceUnavailable);
	assert_int_equal(
	    kit_do_tour(k, kit_tour(k, NULL, 5))->task->fault.code, F_ServiceUnavailable);
	kit_stop(k);

	kit_start(k, 2); /* what was answered with success is there */
	for (unsigned i = 0; i < 50; i++) {
		char id[16];
		struct buf e = { 0 };
		uint64_t counter = 0;

		snprintf(id, sizeof(id), "d%u", i);
		assert_int_equal(kit_do(k, OP_TWIN_READ, id, NULL), F_NONE);
		assert_true(base64_decode(&e, str_of(k->reply.etag)));
		for (size_t j = 0; j < 8; j++)
			counter = counter << 8 | (unsigned char)e.p[j];
		done -= (unsigned)counter - 1;
		buf_fini(&e);
	}
	assert_int_equal(done, 0);
}

static void
stop__right_after_the_start(void **state)
{
	struct kit *k = *state;

	for (int i = 0; i < 20; i++) {
		kit_start(k, 4);
		kit_stop(k);
	}
}

static void
start__any_number_of_workers_on_the_same_data(void **state)
{
	static const unsigned nworkers[] = { 1, 2, 16, 64, 3 };
	struct kit *k = *state;
	char patch[64];

	kit_start(k, 5);
	kit_create(k, "d", 100);
	kit_stop(k);
	for (unsigned run = 0; run < 5; run++) {
		kit_start(k, nworkers[run]);
		assert_int_equal(fleet_identities(k->fleet), 100);
		snprintf(patch, sizeof(patch), "{'tags':{'t%u':1}}", run);
		kit_forget(k);
		for (unsigned i = 0; i < 100; i++) {
			char id[16];

			snprintf(id, sizeof(id), "d%u", i);
			kit_send(k, OP_TWIN_PATCH, id, patch);
		}
		kit_await(k, k->nback == 100);
		for (unsigned i = 0; i < 100; i++)
			assert_int_equal(k->back[i]->reply.fault.code, F_NONE);
		kit_stop(k);
	}
	kit_start(k, 2);
	for (unsigned i = 0; i < 100; i++) {
		char id[16];

		snprintf(id, sizeof(id), "d%u", i);
		kit_shows(k, id, "'tags':{'t0':1,'t1':1,'t2':1,'t3':1,'t4':1}");
	}
}

static struct str
key_of(struct buf *key, const char *device)
{
	key->n = 0;
	hub_key(key, hub_shard_of(str_of(device)), str_of(device), STR_NONE);
	return buf_view(key);
}

static void
load__a_damaged_identity_is_named_and_refused(void **state)
{
	struct kit *k = *state;
	struct fault f = { 0 };
	struct buf key = { 0 };

	kit_start(k, 2);
	kit_create(k, "d", 3);
	kit_stop(k);
	kit_store_row(k, STORE_IDENTITY, key_of(&key, "d1"), STR("nonsense"));
	kit_open(k, 2);
	assert_int_equal(fleet_load(k->fleet, &f), ERR_CORRUPT);
	assert_non_null(strstr(f.text, "d1"));
	kit_stop(k); /* never started: nothing to stop, no box to close */
	assert_true(fcntl(0, F_GETFD) >= 0);
	buf_fini(&key);
}

static void
load__other_damaged_records_are_met_when_they_are_read(void **state)
{
	struct kit *k = *state;
	struct buf key = { 0 };

	kit_start(k, 2);
	kit_create(k, "d", 3);
	kit_stop(k);
	kit_store_row(k, STORE_WANTED, key_of(&key, "d1"), STR("\1nonsense"));
	kit_start(k, 2);
	assert_int_equal(kit_do(k, OP_TWIN_READ, "d1", NULL), F_StoredDamaged);
	assert_non_null(strstr(k->reply.fault.text, "d1"));
	assert_int_equal(kit_do(k, OP_TWIN_PATCH, "d1", "{'tags':{'a':1}}"), F_StoredDamaged);
	kit_shows(k, "d0", "'version':2");
	assert_int_equal(
	    kit_do_tour(k, kit_tour(k, "SELECT * FROM devices", 100))->task->fault.code,
	    F_StoredDamaged);
	assert_int_equal(kit_do(k, OP_IDENTITY_GET, "d1", NULL), F_NONE);
	buf_fini(&key);
}

/* The clock was set back: log positions go on above what is there. */
static void
load__E02_goes_on_above_the_log_of_a_former_release(void **state)
{
	struct kit *k = *state;
	struct store_cursor *c;
	struct str row, value;
	struct work *w;
	uint32_t shard = hub_shard_of(STR("d0"));
	char key[10] = { 0, (char)shard, 0x7F, 0, 0, 0, 0, 0, 0, 0x10 };
	unsigned n = 0;

	kit_start(k, 1);
	kit_stop(k);
	kit_store_row(k, STORE_LOG, (struct str){ key, 10 }, STR("future"));
	kit_start(k, 1);
	kit_create(k, "d", 1); /* has the next position, in the other table */
	w = kit_work(k, OP_TELEMETRY, "d0", NULL);
	w->op.session_epoch = kit_connect(k, "d0", 1, true);
	assert_int_equal(kit_do_work(k, w), F_NONE);
	assert_int_equal(
	    store_cursor_open(k->store, STORE_LOG, STR_NONE, STR_NONE, STORE_SCAN, &c), ERR_OK);
	while (store_next(c, &row, &value) == ERR_OK) {
		assert_memory_equal(row.p, key, 9);
		assert_int_equal(row.p[9], 0x10 + 2 * n++);
	}
	store_cursor_close(c);
	assert_int_equal(n, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(work__one_device_is_answered_in_order),
		kit_test(gate__nothing_leaves_before_its_commit),
		kit_test(lease__O195_lost_before_the_answer_is_503_but_for_what_the_commit_proves),
		kit_test(lease__fenced_reads_and_queries_wait_for_a_commit_of_their_own),
		kit_test(gate__the_close_of_a_taken_over_link_waits_too),
		kit_test(failure__both_rounds_are_undone_answered_and_repaired),
		kit_test(failure__a_connect_that_saw_the_failed_commit_fails_with_it),
		kit_test(failure__many_times_with_a_small_cache),
		kit_test(failure__no_walk_shows_what_was_undone),
		kit_test(floor__refuses_writes_only),
		kit_test(identities__limit_is_of_the_fleet),
		cmocka_unit_test(catalogue__is_released_once_nobody_uses_it),
		cmocka_unit_test(catalogue__by_many_threads),
		kit_test(catalogue__a_new_one_holds_from_the_next_operation_on),
		kit_test(stop__answers_everything),
		kit_test(stop__right_after_the_start),
		kit_test(start__any_number_of_workers_on_the_same_data),
		kit_test(load__a_damaged_identity_is_named_and_refused),
		kit_test(load__other_damaged_records_are_met_when_they_are_read),
		kit_test(load__E02_goes_on_above_the_log_of_a_former_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
