/*
 * Queries by columns in a fleet at work: they see every acknowledged write, nothing of what failed, and answer as the
 * documents would. The same condition is put so that no column can help: `ARRAY_CONTAINS([1], 1) = (condition)`.
 */
#include "rnd.h"
#include "task/counts.h"
#include "worker_kit.h"

#include <semaphore.h>

#define FLEET 400

static const char *const conditions[] = {
	"tags.state = 'on'",
	"tags.state != 'on' AND tags.n > 100",
	"NOT is_defined(tags.state) OR tags.n < 50",
	"tags.n IN [1, 2, 3, 500] OR tags.state IN ['off', 'lost']",
	"tags.n * 2 > 700 AND NOT (tags.state = 'lost')",
	"tags.label = 'label-7' OR tags.label > 'label-9'",
	"status = 'enabled' AND connectionState = 'Disconnected' AND tags.n >= 400",
};

#define NCONDITION (sizeof(conditions) / sizeof(conditions[0]))

static void
id_of(char out[16], unsigned i)
{
	snprintf(out, 16, "d%u", i);
}

static void
send_patch(struct kit *k, struct rnd *r, unsigned i)
{
	static const char *const states[] = { "'on'", "'off'", "'lost'", "null" };
	char id[16], patch[128];

	id_of(id, i);
	snprintf(patch, sizeof(patch), "{'tags':{'state':%s,'n':%u,'label':'label-%u'}}",
	    states[rnd_below(r, 4)], (unsigned)rnd_below(r, 600), (unsigned)rnd_below(r, 2000));
	kit_send(k, OP_TWIN_PATCH, id, patch);
}

static void
fleet_with_tags(struct kit *k, struct rnd *r, unsigned nworker)
{
	kit_start(k, nworker);
	kit_create(k, "d", FLEET);
	for (unsigned i = 0; i < FLEET; i++)
		send_patch(k, r, i);
	kit_await(k, k->nback == FLEET);
	kit_forget(k);
}

/* Devices change, go, and come again. */
static void
change_some(struct kit *k, struct rnd *r)
{
	unsigned n = 60, sent = 0;
	char id[16];

	for (unsigned i = 0; i < n; i++) {
		unsigned at = rnd_below(r, FLEET);

		id_of(id, at);
		if (rnd_below(r, 5) == 0) {
			kit_send(k, OP_IDENTITY_DELETE, id, NULL);
		} else if (rnd_below(r, 5) == 0) {
			kit_send(k, OP_IDENTITY_PUT, id, "{}");
		} else {
			send_patch(k, r, at);
		}
		sent++;
	}
	kit_await(k, k->nback == sent);
	kit_forget(k);
}

/* By columns and by documents: rows, and groups. */
static void
ask_both(struct kit *k)
{
	static const char *const lists[] = { "SELECT deviceId FROM devices WHERE %s%s%s",
		"SELECT tags.state, COUNT() AS c, SUM(tags.n) AS s, MAX(tags.n) AS m FROM devices "
		"WHERE %s%s%s GROUP BY tags.state" };
	char query[400];

	for (size_t i = 0; i < NCONDITION; i++) {
		for (int list = 0; list < 2; list++) {
			char *by_columns;

			snprintf(query, sizeof(query), lists[list], conditions[i], "", "");
			by_columns = str_dup0(str_of(kit_query(k, query, 1000)));
			snprintf(query, sizeof(query), lists[list], "ARRAY_CONTAINS([1], 1) = (",
			    conditions[i], ")");
			assert_string_equal(by_columns, kit_query(k, query, 1000));
			free(by_columns);
		}
	}
}

static void
columns__answer_as_the_documents_do(void **state)
{
	struct kit *k = *state;
	struct rnd r = { 11 };

	fleet_with_tags(k, &r, 2);
	for (int round = 0; round < 12; round++) {
		ask_both(k);
		change_some(k, &r);
	}
}

/* Little memory: documents come from the store, columns make room for each other. */
static void
columns__answer_the_same_with_little_memory(void **state)
{
	struct kit *k = *state;
	struct rnd r = { 12 };

	k->fo.cache_bytes = 64 << 10;
	k->fo.column_bytes = 64 * 3000;
	fleet_with_tags(k, &r, 3);
	for (int round = 0; round < 6; round++) {
		ask_both(k);
		change_some(k, &r);
	}
}

static void
columns__show_nothing_of_what_failed(void **state)
{
	struct kit *k = *state;
	struct rnd r = { 13 };
	struct tour *w;

	fleet_with_tags(k, &r, 1);
	ask_both(k);
	ask_both(k);
	kit_forget(k);
	disk_hold();
	for (unsigned i = 0; i < 100; i++) {
		char id[16];
		id_of(id, i);
		kit_send(k, OP_TWIN_PATCH, id, "{'tags':{'state':'bad','n':1000000}}");
	}
	disk_await();
	disk_release(ENOSPC);
	kit_await(k, k->nback == 100);
	disk_release(0);
	do {
		w = kit_do_tour(k,
		    kit_tour(k, "SELECT COUNT() AS c FROM devices WHERE tags.state = 'bad'", 100));
	} while (w->task->fault.code == F_ServiceUnavailable);
	assert_int_equal(w->task->fault.code, F_NONE);
	assert_true(str_eq(buf_view(&w->task->page->rows.rest), STR("{\"c\":0}")));
}

/* ---- while others write ---- */

struct noise {
	struct kit *k;
	atomic_bool stop;
	atomic_uint nsent, nback;
};

static void
noise_back(struct work *w)
{
	atomic_fetch_add(&((struct noise *)w->owner)->nback, 1);
	work_free(w);
}

static void *
noise_main(void *arg)
{
	struct noise *n = arg;
	struct doc_parser *parser = doc_parser_new(1 << 16);
	struct doc_parsed info;
	struct rnd r = { 14 };

	while (!atomic_load(&n->stop)) {
		struct work *w = work_new(n->k->loops[1], 1000, noise_back);
		struct buf doc = { 0 };
		char id[16], json[96];

		while (atomic_load(&n->nsent) - atomic_load(&n->nback) > 200)
			sched_yield();
		id_of(id, FLEET / 2 + rnd_below(&r, FLEET / 2));
		snprintf(json, sizeof(json), "{\"tags\":{\"state\":\"%s\",\"noise\":%u}}",
		    rnd_below(&r, 2) ? "on" : "off", (unsigned)rnd_below(&r, 1000));
		assert_int_equal(doc_parse(parser, str_of(json), &doc, &info, NULL), ERR_OK);
		w->op.kind = OP_TWIN_PATCH;
		w->op.device = work_str(w, str_of(id));
		w->op.payload = work_str(w, buf_view(&doc));
		w->owner = n;
		atomic_fetch_add(&n->nsent, 1);
		fleet_submit(n->k->fleet, w);
		buf_fini(&doc);
	}
	while (atomic_load(&n->nsent) != atomic_load(&n->nback))
		sched_yield();
	doc_parser_free(parser);
	return NULL;
}

static void
columns__hold_every_write_acknowledged_before_the_query(void **state)
{
	struct kit *k = *state;
	struct noise n = { .k = k };
	struct rnd r = { 15 };
	char id[16], patch[64], query[128], want[32];
	pthread_t thread;

	fleet_with_tags(k, &r, 2);
	assert_int_equal(pthread_create(&thread, NULL, noise_main, &n), 0);
	for (unsigned i = 0; i < 150; i++) {
		id_of(id, i * 7 % (FLEET / 2));
		snprintf(patch, sizeof(patch), "{'tags':{'mark':%u}}", i);
		assert_int_equal(kit_do(k, OP_TWIN_PATCH, id, patch), F_NONE);
		snprintf(query, sizeof(query),
		    "SELECT COUNT() AS c, MAX(tags.mark) AS m FROM devices WHERE tags.mark = %u",
		    i);
		snprintf(want, sizeof(want), "{'c':1,'m':%u}", i);
		assert_string_equal(kit_query(k, query, 100), want);
		assert_string_equal(
		    kit_query(k, "SELECT COUNT() AS c FROM devices", 100), "{'c':400}");
	}
	atomic_store(&n.stop, true);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&n.nback) > 100);
}

/* ---- limits ---- */

/* Does the query's answer fit? */
static bool
fits(struct kit *k, unsigned nworker, uint64_t query_bytes)
{
	struct tour *w;
	bool ok;

	k->fo.query_bytes = query_bytes;
	kit_start(k, nworker);
	w = kit_do_tour(
	    k, kit_tour(k, "SELECT tags.n, COUNT() AS c FROM devices GROUP BY tags.n", 1000));
	ok = w->task->fault.code == F_NONE;
	assert_true(ok || w->task->fault.code == F_QueryTooLarge);
	kit_stop(k);
	return ok;
}

/* A part of the workers may hold nearly as many groups as all. */
static void
groups__fit_whatever_the_number_of_workers(void **state)
{
	struct kit *k = *state;
	struct rnd r = { 17 };
	unsigned nfit = 0, nfull = 0;

	fleet_with_tags(k, &r, 2);
	kit_stop(k);
	for (uint64_t bytes = 4000; bytes <= 64000; bytes += bytes / 2) {
		bool ok = fits(k, 1, bytes);

		assert_int_equal(fits(k, 2, bytes), ok);
		assert_int_equal(fits(k, 5, bytes), ok);
		nfit += ok;
		nfull += !ok;
	}
	assert_true(nfit > 0 && nfull > 0);
}

static void
tours__end_at_their_time(void **state)
{
	struct kit *k = *state;
	struct rnd r = { 18 };
	struct tour *w;

	k->fo.tour_us = 0;
	fleet_with_tags(k, &r, 1);
	w = kit_do_tour(k, kit_tour(k, "SELECT * FROM devices", 100));
	assert_int_equal(w->task->fault.code, F_QueryTooLong);
	assert_non_null(strstr(w->task->fault.text, "took longer than"));
}

/* ---- large results ---- */

/* Keeps the finisher busy until the test lets it go. */
struct hold {
	struct msg msg;
	sem_t begun, go;
};

static void
hold_run(struct msg *m)
{
	struct hold *h = (struct hold *)m;

	sem_post(&h->begun);
	while (sem_wait(&h->go) != 0)
		;
}

static atomic_bool large_is_back;

static void
large_back(struct tour *w)
{
	atomic_store(&large_is_back, true);
	kit_tour_back(w);
}

/* What takes long at the end of a large question is no worker's: everybody else is served meanwhile. */
static void
groups__that_are_many_are_put_together_beside_the_workers(void **state)
{
	static const char large[] =
	    "SELECT deviceId, COUNT() AS c FROM devices GROUP BY deviceId ORDER BY deviceId DESC";
	static const char small[] = "SELECT COUNT() AS c FROM devices WHERE tags.n = 1";
	struct kit *k = *state;
	struct hold h = { .msg.run = hold_run };
	unsigned served = 0;
	struct tour *w;
	char twin[16];
	bool early;

	kit_start(k, 2);
	kit_create(k, "d", 4000);
	assert_int_equal(sem_init(&h.begun, 0, 0) | sem_init(&h.go, 0, 0), 0);
	mailbox_post(&k->fleet->finisher.box, &h.msg);
	while (sem_wait(&h.begun) != 0)
		;
	w = kit_tour(k, large, 3);
	w->done = large_back;
	fleet_tour(k->fleet, w);
	for (unsigned i = 0; i < 20; i++) {
		id_of(twin, i);
		served += kit_do(k, OP_TWIN_PATCH, twin, "{'tags':{'n':1}}") == F_NONE;
		served += kit_do_tour(k, kit_tour(k, small, 9))->task->fault.code == F_NONE;
	}
	kit_forget(k);
	early = atomic_load(&large_is_back);
	sem_post(&h.go); /* before anything can fail: the fleet stops when the finisher has */
	assert_false(early);
	assert_int_equal(served, 40);
	kit_await(k, k->ntours_back == 1);
	assert_int_equal(k->tours_back[0]->task->fault.code, F_NONE);
	assert_true(k->tours_back[0]->task->page->more);
	assert_true(str_eq(buf_view(&k->tours_back[0]->task->page->rows.rest),
	    STR("{\"deviceId\":\"d999\",\"c\":1},{\"deviceId\":\"d998\",\"c\":1},"
	        "{\"deviceId\":\"d997\",\"c\":1}")));
	sem_destroy(&h.begun);
	sem_destroy(&h.go);
}

/* ---- what a tour says of itself ---- */

static struct query_seen
facts_of(struct kit *k, const char *query)
{
	struct tour *w = kit_do_tour(k, kit_tour(k, query, 100));

	assert_int_equal(w->task->fault.code, F_NONE);
	return query_task_of(w->task)->seen;
}

static void
columns__are_made_at_the_first_use(void **state)
{
	static const char query[] = "SELECT COUNT() AS c FROM devices WHERE tags.n > 100";
	struct kit *k = *state;
	struct rnd r = { 16 };
	struct query_seen f;

	fleet_with_tags(k, &r, 2);
	f = facts_of(k, query);
	assert_true(f.judged == FLEET && f.asked == 0 && f.shown == FLEET);
	assert_int_equal(f.held, f.columns);
	f = facts_of(k, query);
	assert_true(f.judged == FLEET && f.asked == 0 && f.shown == 0);
	assert_int_equal(f.held, f.columns);
}

/* ---- from the store, when documents are not in memory ---- */

static uint64_t
cached_bytes(const struct kit *k)
{
	uint64_t n = 0;

	for (uint32_t s = 0; s < SHARDS; s++)
		n += shard_cached_bytes(k->fleet->of_shard[s]->shards[s]);
	return n;
}

/* Each question is the first one for its paths. */
static void
columns__are_made_from_records_that_stay_in_the_store(void **state)
{
	static const char *const counts[][2] = {
		{ "SELECT COUNT() AS c FROM devices WHERE tags.n > 100", "tags.n" },
		{ "SELECT tags.state, COUNT() AS c, MAX(tags.label) AS m FROM devices WHERE status "
		  "= 'enabled' GROUP BY tags.state",
		    "tags.state" },
		{ "SELECT COUNT() AS c FROM devices WHERE deviceId > 'd2' AND etag > "
		  "'AAAAAAAAAAI='",
		    "etag" },
		{ "SELECT COUNT() AS c FROM devices WHERE IS_CONVERGED() OR "
		  "properties.reported.$version = 1",
		    "reported" },
	};
	struct kit *k = *state;
	struct rnd r = { 19 };

	fleet_with_tags(k, &r, 2);
	for (int i = 0; i < 50; i++)
		kit_send(k, OP_TWIN_PATCH, "d7", "{'properties':{'desired':{'a':1}}}");
	kit_await(k, k->nback == 50);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct tour *w;
		struct query_seen f;
		char *by_documents;

		w = kit_do_tour(k, kit_tour(k, counts[i][0], 100));
		by_documents = str_dup0(buf_view(&w->task->page->rows.rest));
		kit_stop(k);
		kit_start(k, 1 + (unsigned)i);
		w = kit_do_tour(k, kit_tour(k, counts[i][0], 100));
		f = query_task_of(w->task)->seen;
		assert_true(str_eq(buf_view(&w->task->page->rows.rest), str_of(by_documents)));
		assert_true(f.shown >= FLEET && f.asked == 0);
		assert_int_equal(cached_bytes(k), 0);
		free(by_documents);
	}
}

/* Little memory, so that documents come and go: new paths all the time while devices change. */
static void
columns__made_while_devices_change_hold_every_write(void **state)
{
	struct kit *k = *state;
	struct noise n = { .k = k };
	struct rnd r = { 20 };
	char id[16], patch[64], query[128];
	pthread_t thread;

	k->fo.cache_bytes = 64 * 256;
	fleet_with_tags(k, &r, 2);
	assert_int_equal(pthread_create(&thread, NULL, noise_main, &n), 0);
	for (unsigned i = 0; i < 100; i++) {
		id_of(id, i * 7 % (FLEET / 2));
		snprintf(patch, sizeof(patch), "{'tags':{'mark%u':%u}}", i, i);
		assert_int_equal(kit_do(k, OP_TWIN_PATCH, id, patch), F_NONE);
		snprintf(query, sizeof(query),
		    "SELECT COUNT() AS c FROM devices WHERE tags.mark%u = %u", i, i);
		assert_string_equal(kit_query(k, query, 100), "{'c':1}");
		snprintf(query, sizeof(query),
		    "SELECT COUNT() AS c FROM devices WHERE NOT IS_DEFINED(tags.mark%u)", i);
		assert_string_equal(kit_query(k, query, 100), "{'c':399}");
	}
	atomic_store(&n.stop, true);
	pthread_join(thread, NULL);
}

/* What all columns take, as they say themselves. */
static uint64_t
column_bytes_of(struct kit *k)
{
	struct tour *w = tour_new(k->loops[0], &columns_task_new()->task, kit_tour_back);

	w->owner = k;
	return ((const struct columns_task *)kit_do_tour(k, w)->task)->bytes;
}

/* Each device has a key of its own and a string that no other has: columns of such paths come and go. */
static void
columns__of_keys_that_are_data_stay_within_their_memory(void **state)
{
	struct kit *k = *state;
	char id[16], text[2200], deep[2000];

	k->fo.column_bytes = SHARDS * 12000;
	kit_start(k, 2);
	kit_create(k, "d", FLEET);
	for (unsigned i = 0; i < FLEET; i++) {
		id_of(id, i);
		snprintf(text, sizeof(text),
		    "{'tags':{'key%u':%u,'serial':'a string that only device %u has'}}", i, i, i);
		kit_send(k, OP_TWIN_PATCH, id, text);
	}
	kit_await(k, k->nback == FLEET);
	memset(deep, 'x', sizeof(deep));
	for (unsigned i = 0; i < 2 * FLEET; i++) {
		snprintf(text, sizeof(text),
		    "SELECT COUNT() AS c FROM devices WHERE tags.key%u = %u", i % FLEET, i % FLEET);
		assert_string_equal(kit_query(k, text, 100), "{'c':1}");
		if (i % 10 > 0)
			continue;
		snprintf(text, sizeof(text),
		    "SELECT deviceId FROM devices WHERE tags.serial = 'a string that only device "
		    "%u "
		    "has' ORDER BY tags.serial",
		    i % FLEET);
		snprintf(deep, 40, "{'deviceId':'d%u'}", i % FLEET);
		assert_string_equal(kit_query(k, text, 100), deep);
		memset(deep, 'x', 40);
		snprintf(text, sizeof(text),
		    "SELECT COUNT() AS c FROM devices WHERE tags.k%u%.*s = 1", i, 1900, deep);
		assert_string_equal(kit_query(k, text, 100), "{'c':0}");
		assert_true(column_bytes_of(k) <= k->fo.column_bytes);
	}
	assert_string_equal(
	    kit_query(k, "SELECT COUNT(DISTINCT tags.serial) AS c FROM devices", 100), "{'c':400}");
}

static void
columns__order_and_count_without_documents(void **state)
{
	struct kit *k = *state;
	struct rnd r = { 22 };
	struct query_seen f;

	fleet_with_tags(k, &r, 2);
	(void)facts_of(k, "SELECT tags.n FROM devices ORDER BY tags.n DESC, deviceId");
	kit_stop(k);
	kit_start(k, 2);
	f = facts_of(k,
	    "SELECT COUNT(DISTINCT tags.n) AS a, COUNT(DISTINCT tags.state) AS b FROM "
	    "devices");
	assert_int_equal(f.asked, 0);
	assert_int_equal(cached_bytes(k), 0);
	f = facts_of(k, "SELECT COUNT() AS c FROM devices WHERE ARRAY_CONTAINS(tags.n, 1)");
	assert_int_equal(f.asked, 0);
	assert_int_equal(cached_bytes(k), 0);
	f = facts_of(k, "SELECT TOP 3 tags.n FROM devices ORDER BY tags.n DESC");
	assert_int_equal(f.asked, 0);
	assert_true(cached_bytes(k) > 0); /* of those that were among the first */
}

static void
columns__name_a_damaged_record(void **state)
{
	struct kit *k = *state;
	struct rnd r = { 21 };
	struct buf key = { 0 };
	struct tour *w;

	fleet_with_tags(k, &r, 1);
	kit_stop(k);
	hub_key(&key, hub_shard_of(STR("d7")), STR("d7"), STR_NONE);
	kit_store_row(k, STORE_WANTED, buf_view(&key), STR("damaged"));
	kit_start(k, 1);
	w = kit_do_tour(k, kit_tour(k, "SELECT COUNT() AS c FROM devices WHERE tags.n > 1", 100));
	assert_int_equal(w->task->fault.code, F_StoredDamaged);
	assert_non_null(strstr(w->task->fault.text, "d7"));
	assert_int_equal(
	    facts_of(k, "SELECT COUNT() AS c FROM devices WHERE status = 'x'").asked, 0);
	buf_fini(&key);
}

#define kit_test(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(columns__answer_as_the_documents_do),
		kit_test(columns__answer_the_same_with_little_memory),
		kit_test(columns__show_nothing_of_what_failed),
		kit_test(columns__hold_every_write_acknowledged_before_the_query),
		kit_test(groups__fit_whatever_the_number_of_workers),
		kit_test(groups__that_are_many_are_put_together_beside_the_workers),
		kit_test(tours__end_at_their_time),
		kit_test(columns__are_made_at_the_first_use),
		kit_test(columns__are_made_from_records_that_stay_in_the_store),
		kit_test(columns__made_while_devices_change_hold_every_write),
		kit_test(columns__of_keys_that_are_data_stay_within_their_memory),
		kit_test(columns__order_and_count_without_documents),
		kit_test(columns__name_a_damaged_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
