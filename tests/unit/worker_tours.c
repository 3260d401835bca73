/* Queries and lists over the whole fleet: pages, order, aggregates, limits, while others write. */
#include "worker_kit.h"

#define FLEET 300

static void
id_of(char out[16], unsigned i)
{
	snprintf(out, 16, "d%u", i);
}

/* Devices d0 to d299 with tags.n and tags.kind, a, b or c. */
static void
fleet_with_devices(struct kit *k, unsigned nworker)
{
	kit_start(k, nworker);
	kit_create(k, "d", FLEET);
	for (unsigned i = 0; i < FLEET; i++) {
		char id[16], patch[64];

		id_of(id, i);
		snprintf(patch, sizeof(patch), "{'tags':{'n':%u,'kind':'%c'}}", i, 'a' + i % 3);
		kit_send(k, OP_TWIN_PATCH, id, patch);
	}
	kit_await(k, k->nback == FLEET);
	kit_forget(k);
}

static void
each_device_once(const char *rows)
{
	for (unsigned i = 0; i < FLEET; i++) {
		char part[40];

		snprintf(part, sizeof(part), "{'deviceId':'d%u'}", i);
		if (occurrences(rows, part) != 1)
			fail_msg("%s is there %u times", part, occurrences(rows, part));
	}
}

static void
query__pages_of_any_size_have_each_row_once(void **state)
{
	static const unsigned nworkers[] = { 1, 2, 16 };
	struct kit *k = *state;

	for (int i = 0; i < 3; i++) {
		if (i == 0)
			fleet_with_devices(k, nworkers[i]);
		else
			kit_start(k, nworkers[i]);
		for (uint32_t limit = 1; limit <= 1000; limit = limit * 3 + 1)
			each_device_once(kit_query(k, "SELECT deviceId FROM devices", limit));
		kit_stop(k);
	}
}

/* Pages are the same whatever the number of workers: tokens outlive a start. */
static void
query__a_place_holds_over_a_start_with_other_workers(void **state)
{
	struct kit *k = *state;
	struct query_bookmark bookmark = { 0 };
	struct buf rows = { 0 };
	bool more = true;

	fleet_with_devices(k, 1);
	for (unsigned n = 2; more; n = n % 16 + 3) {
		struct tour *w = kit_tour(k, "SELECT deviceId FROM devices", 80);

		w->task->bookmark = bookmark;
		w = kit_do_tour(k, w);
		kit_put_rows(&rows, w);
		bookmark = w->task->bookmark;
		more = w->task->page->more;
		kit_stop(k);
		kit_start(k, n);
	}
	for (size_t i = 0; i < rows.n; i++)
		if (rows.p[i] == '"')
			rows.p[i] = '\'';
	buf_putc(&rows, '\0');
	each_device_once(rows.p);
	buf_fini(&rows);
}

/* What is there all the time comes exactly once, whatever comes, goes and changes meanwhile. */
struct writer {
	struct kit *k;
	atomic_bool stop;
	atomic_uint nback, nsent;
};

static void
writer_back(struct work *w)
{
	struct writer *wr = w->owner;

	work_free(w);
	atomic_fetch_add(&wr->nback, 1);
}

static void
writer_send(struct writer *wr, enum op_kind kind, const char *id, const struct str *payload)
{
	struct work *w = work_new(wr->k->loops[1], 1000, writer_back);

	while (atomic_load(&wr->nsent) - atomic_load(&wr->nback) > 200)
		sched_yield();
	w->op.kind = kind;
	w->op.device = work_str(w, str_of(id));
	if (payload != NULL)
		w->op.payload = work_str(w, *payload);
	w->owner = wr;
	atomic_fetch_add(&wr->nsent, 1);
	fleet_submit(wr->k->fleet, w);
}

/* Patches of the devices, and others made and deleted. */
static void *
writer_main(void *arg)
{
	struct writer *wr = arg;
	struct doc_parser *parser = doc_parser_new(1 << 16);
	struct doc_parsed info;

	for (unsigned i = 0; !atomic_load(&wr->stop); i++) {
		struct buf doc = { 0 };
		struct str payload;
		char id[16], json[128];
		bool patch = i % 3 == 0;

		if (patch) {
			id_of(id, i * 7 % FLEET);
			snprintf(json, sizeof(json), "{\"tags\":{\"w\":%u}}", i);
		} else {
			snprintf(id, sizeof(id), "x%u", i / 3 % 97);
			snprintf(json, sizeof(json), "{\"deviceId\":\"%s\"}", id);
		}
		assert_int_equal(doc_parse(parser, str_of(json), &doc, &info, NULL), ERR_OK);
		payload = buf_view(&doc);
		if (i % 3 < 2)
			writer_send(wr, patch ? OP_TWIN_PATCH : OP_IDENTITY_PUT, id, &payload);
		else
			writer_send(wr, OP_IDENTITY_DELETE, id, NULL);
		buf_fini(&doc);
	}
	while (atomic_load(&wr->nsent) != atomic_load(&wr->nback))
		sched_yield();
	doc_parser_free(parser);
	return NULL;
}

static void
query__exactly_once_under_concurrent_writes(void **state)
{
	struct kit *k = *state;
	struct writer wr = { .k = k };
	pthread_t thread;

	k->fo.cache_bytes = 32 << 10; /* some of them are read from the store */
	fleet_with_devices(k, 2);
	assert_int_equal(pthread_create(&thread, NULL, writer_main, &wr), 0);
	for (unsigned i = 0; i < 12; i++)
		each_device_once(
		    kit_query(k, "SELECT deviceId FROM devices WHERE tags.n >= 0", 7 + i * 5));
	for (unsigned i = 0; i < 5; i++)
		assert_string_equal(
		    kit_query(k, "SELECT COUNT() AS c FROM devices WHERE is_defined(tags.n)", 100),
		    "{'c':300}");
	for (unsigned i = 0; i < 5; i++) {
		struct tour *w = kit_do_tour(k, kit_tour(k, NULL, 1000));

		assert_int_equal(w->task->fault.code, F_NONE);
		assert_true(w->task->page->nrow >= FLEET && w->task->page->nrow <= FLEET + 97);
	}
	atomic_store(&wr.stop, true);
	pthread_join(thread, NULL);
}

static void
query__sees_every_write_acknowledged_before_it(void **state)
{
	struct kit *k = *state;
	char patch[64], query[96], id[16];

	fleet_with_devices(k, 2);
	for (unsigned i = 0; i < 40; i++) {
		id_of(id, i * 13 % FLEET);
		snprintf(patch, sizeof(patch), "{'tags':{'mark':%u}}", i);
		assert_int_equal(kit_do(k, OP_TWIN_PATCH, id, patch), F_NONE);
		snprintf(query, sizeof(query),
		    "SELECT COUNT() AS c FROM devices WHERE tags.mark = %u", i);
		assert_string_equal(kit_query(k, query, 100), "{'c':1}");
	}
}

static void
query__Q51_top_counts_over_pages(void **state)
{
	struct kit *k = *state;

	fleet_with_devices(k, 3);
	for (uint32_t limit = 1; limit <= 30; limit += 4)
		assert_int_equal(
		    occurrences(
		        kit_query(k, "SELECT TOP 17 deviceId FROM devices", limit), "deviceId"),
		    17);
	assert_int_equal(
	    occurrences(kit_query(k, "SELECT TOP 1000 deviceId FROM devices", 200), "deviceId"),
	    FLEET);
}

/* a last page that is exactly full says that there is no more. */
static void
query__last_page_exactly_full_has_no_successor(void **state)
{
	struct kit *k = *state;
	struct tour *w;

	fleet_with_devices(k, 2);
	w = kit_do_tour(k, kit_tour(k, "SELECT * FROM devices WHERE tags.n < 20", 20));
	assert_int_equal(w->task->page->nrow, 20);
	assert_false(w->task->page->more);
	w = kit_do_tour(k, kit_tour(k, "SELECT * FROM devices WHERE tags.n < 20", 19));
	assert_int_equal(w->task->page->nrow, 19);
	assert_true(w->task->page->more);
	w = kit_do_tour(k, kit_tour(k, "SELECT TOP 20 * FROM devices", 20));
	assert_false(w->task->page->more);
	w = kit_do_tour(k, kit_tour(k, "SELECT * FROM devices WHERE tags.n = 4711", 20));
	assert_int_equal(w->task->page->nrow, 0);
	assert_false(w->task->page->more);
}

static void
query__aggregates_are_over_all_shards(void **state)
{
	static const unsigned nworkers[] = { 1, 2, 16 };
	struct kit *k = *state;

	for (int i = 0; i < 3; i++) {
		if (i == 0)
			fleet_with_devices(k, nworkers[i]);
		else
			kit_start(k, nworkers[i]);
		assert_string_equal(kit_query(k,
		                        "SELECT COUNT() AS c, SUM(tags.n) AS s, MIN(tags.n) AS lo, "
		                        "MAX(tags.n) AS hi "
		                        "FROM devices",
		                        100),
		    "{'c':300,'s':44850,'lo':0,'hi':299}");
		for (uint32_t limit = 1; limit < 5; limit++)
			assert_string_equal(kit_query(k,
			                        "SELECT tags.kind AS k, COUNT() AS c FROM devices "
			                        "GROUP BY tags.kind",
			                        limit),
			    "{'k':'a','c':100},{'k':'b','c':100},{'k':'c','c':100}");
		assert_string_equal(
		    kit_query(k, "SELECT COUNT() AS c FROM devices WHERE tags.n > 1000", 100),
		    "{'c':0}");
		assert_string_equal(
		    kit_query(k, "SELECT COUNT() AS c FROM devices.modules", 100), "{'c':0}");
		kit_stop(k);
	}
}

static void
query__groups_beyond_their_memory_are_refused(void **state)
{
	struct kit *k = *state;

	k->fo.query_bytes = 2000;
	fleet_with_devices(k, 2);
	assert_int_equal(
	    kit_do_tour(k, kit_tour(k, "SELECT COUNT() AS c FROM devices GROUP BY tags.n", 100))
	        ->task->fault.code,
	    F_QueryTooLarge);
}

static void
query__named_ids_are_looked_up(void **state)
{
	struct kit *k = *state;
	struct buf q = { 0 };

	fleet_with_devices(k, 2);
	assert_string_equal(
	    kit_query(k, "SELECT tags.n AS n FROM devices WHERE deviceId = 'd42'", 10), "{'n':42}");
	assert_string_equal(
	    kit_query(k, "SELECT tags.n AS n FROM devices WHERE deviceId = 'nobody'", 10), "");
	buf_cstr(&q, "SELECT deviceId FROM devices WHERE deviceId IN [");
	for (unsigned i = 0; i < FLEET; i++)
		buf_printf(&q, "%s'd%u'", i ? "," : "", i);
	buf_cstr(&q, ",'nobody']");
	buf_putc(&q, '\0');
	for (uint32_t limit = 7; limit < 1000; limit *= 5)
		each_device_once(kit_query(k, q.p, limit));
	buf_fini(&q);
}

/* a page ends when its text is large, and the next one goes on. */
static void
fill_page(struct tour *w, size_t n)
{
	static const char blanks[1000] = { ' ' };

	for (; n >= sizeof(blanks); n -= sizeof(blanks))
		rope_put(&w->task->page->rows.pieces, (struct str){ blanks, sizeof(blanks) });
}

/* Rows gather in pieces of memory of their own, each row once; nothing as large as a page is ever moved. */
static void
tours__Q03_large_pages_are_in_pieces(void **state)
{
	struct kit *k = *state;
	struct buf patch = { 0 }, rows = { 0 };
	struct tour *w;

	kit_start(k, 2);
	kit_create(k, "d", 40);
	buf_cstr(&patch, "{'properties':{'desired':{");
	for (int i = 0; i < 7; i++)
		buf_printf(&patch, "%s'k%d':'%04000d'", i ? "," : "", i, i);
	buf_cstr(&patch, "}}}");
	buf_putc(&patch, '\0');
	for (unsigned i = 0; i < 40; i++) {
		char id[16];

		id_of(id, i);
		assert_int_equal(kit_do(k, OP_TWIN_PATCH, id, patch.p), F_NONE);
	}
	w = kit_do_tour(k, kit_tour(k, "SELECT * FROM devices", 100));
	assert_int_equal(w->task->page->nrow, 40);
	assert_true(w->task->page->rows.pieces.n > 1000000 &&
	    w->task->page->rows.pieces.first != w->task->page->rows.pieces.last);
	assert_true(
	    w->task->page->rows.rest.n < 128 << 10 && w->task->page->rows.rest.cap < 256 << 10);
	kit_put_rows(&rows, w);
	buf_putc(&rows, '\0');
	assert_int_equal(occurrences(rows.p, "\"deviceId\""), 40);
	assert_int_equal(occurrences(rows.p, "},{\"deviceId\""), 39);
	buf_fini(&patch);
	buf_fini(&rows);
}

static void
query__a_large_page_ends_early(void **state)
{
	struct kit *k = *state;
	struct buf patch = { 0 };
	struct tour *w;
	uint32_t nrow;

	kit_start(k, 2);
	kit_create(k, "d", 20);
	buf_cstr(&patch, "{'properties':{'desired':{");
	for (int i = 0; i < 3; i++) {
		buf_printf(&patch, "%s'k%d':'", i ? "," : "", i);
		for (int j = 0; j < 900; j++)
			buf_putc(&patch, 'v');
		buf_putc(&patch, '\'');
	}
	buf_cstr(&patch, "}}}");
	buf_putc(&patch, '\0');
	for (unsigned i = 0; i < 20; i++) {
		char id[16];

		id_of(id, i);
		assert_int_equal(kit_do(k, OP_TWIN_PATCH, id, patch.p), F_NONE);
	}
	w = kit_tour(k, "SELECT * FROM devices", 100);
	fill_page(w, PAGE_BYTES_MAX - 10000); /* as if that much were in the page already */
	w = kit_do_tour(k, w);
	nrow = w->task->page->nrow;
	assert_true(w->task->page->more);
	assert_true(nrow >= 2 && nrow < 5);
	kit_forget(k);
	assert_int_equal(
	    occurrences(kit_query(k, "SELECT deviceId FROM devices", 100), "deviceId"), 20);
	buf_fini(&patch);
}

/* ---- lists ---- */

static int
by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
list__R37_is_in_the_order_of_ids(void **state)
{
	static const uint32_t limits[] = { 1, 2, 5, 64, 299, 300, 1000 };
	struct kit *k = *state;
	static char ids[FLEET][16];
	struct buf rows = { 0 };

	fleet_with_devices(k, 3);
	for (unsigned i = 0; i < FLEET; i++)
		id_of(ids[i], i);
	qsort(ids, FLEET, sizeof(ids[0]), by_text);
	for (unsigned n = 0; n < sizeof(limits) / sizeof(limits[0]); n++) {
		struct tour *w = kit_do_tour(k, kit_tour(k, NULL, limits[n]));
		uint32_t want = limits[n] < FLEET ? limits[n] : FLEET;
		char *at;

		assert_int_equal(w->task->fault.code, F_NONE);
		assert_int_equal(w->task->page->nrow, want);
		rows.n = 0;
		kit_put_rows(&rows, w);
		buf_putc(&rows, '\0');
		at = rows.p;
		for (uint32_t i = 0; i < want; i++) {
			char part[40];

			snprintf(part, sizeof(part), "{\"deviceId\":\"%.15s\",", ids[i]);
			if ((at = strstr(at, part)) == NULL)
				fail_msg("%s is not in its place", part);
		}
		assert_int_equal(occurrences(rows.p, "\"deviceId\""), want);
	}
	buf_fini(&rows);
}

/* ---- limits ---- */

/* Every worker's rounds wait for the disk, so what has been walked waits behind them. */
static void
disk_held(struct kit *k)
{
	kit_create(k, "d", 64);
	disk_hold();
	for (unsigned i = 0; i < 64; i++) {
		char id[16];

		id_of(id, i);
		kit_send(k, OP_TWIN_PATCH, id, "{'tags':{'a':1}}");
	}
	disk_await();
	kit_taken(k);
}

#define COSTLY "SELECT * FROM devices WHERE tags.a = 1"

static void
send_as(struct kit *k, const char *who, const char *from, const char *query, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct tour *w = kit_tour(k, query, 100);

		w->ticket = ticket_new(k->fleet, str_of(who), str_of(from));
		fleet_tour(k->fleet, w);
	}
}

static unsigned
refused(const struct kit *k)
{
	unsigned n = 0;

	for (unsigned i = 0; i < k->ntours_back; i++)
		n += k->tours_back[i]->task->fault.code == F_ThrottlingException;
	return n;
}

/* Alone an asker has a quarter of a lane, as half is for other policies and half of the rest for other addresses. */
static void
tours__over_an_askers_share_wait_and_then_are_429(void **state)
{
	const unsigned seats = TOURS_COSTLY_MAX / 4, all = seats + WAITING_SHARE_MAX + 5;
	struct kit *k = *state;

	kit_start(k, 2);
	disk_held(k);
	send_as(k, "service", "here", COSTLY, all);
	kit_await(k, k->ntours_back == 5);
	assert_int_equal(refused(k), 5);
	send_as(k, "service", "there", COSTLY, 1);
	send_as(k, "iothubowner", "here", COSTLY, 1);
	send_as(k, "service", "here", "SELECT * FROM devices WHERE deviceId = 'd1'", 1);
	disk_release(0);
	kit_await(k, k->ntours_back >= 5 + seats + 3);
	for (unsigned i = 0; i < k->ntours_back;
	     i++) /* a seat goes with the answer: nobody gets one yet */
		assert_true(i < 5 || k->tours_back[i]->task->fault.code == F_NONE);
	assert_int_equal(k->ntours_back, 5 + seats + 3);
	while (k->ntours_back < all + 3) {
		unsigned n = k->ntours_back;

		kit_leave(k);
		kit_await(k, k->ntours_back > n);
	}
	assert_int_equal(refused(k), 5);
}

/* The first of both waits, without a turn, until its asker's other tours have made their columns. */
static void
tours__of_one_asker_make_so_many_columns_at_a_time(void **state)
{
	struct kit *k = *state;
	struct ticket *busy;
	unsigned n;
	bool there;

	kit_start(k, 1);
	kit_create(k, "d", 64);
	busy = ticket_new(k->fleet, STR("service"), STR("here"));
	assert_true(ticket_build(busy, BUILDING_MAX));
	send_as(k, "service", "here", "SELECT * FROM devices WHERE tags.a = 1", 1);
	send_as(k, "service", "there", "SELECT deviceId FROM devices WHERE tags.b = 1", 1);
	kit_await(k, k->ntours_back > 0);
	n = k->ntours_back;
	there = ticket_share(k->tours_back[0]->ticket) != ticket_share(busy);
	ticket_free(busy);
	kit_await(k, k->ntours_back == 2);
	assert_int_equal(n, 1);
	assert_true(there);
	assert_int_equal(refused(k), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(query__pages_of_any_size_have_each_row_once),
		kit_test(query__a_place_holds_over_a_start_with_other_workers),
		kit_test(query__exactly_once_under_concurrent_writes),
		kit_test(query__sees_every_write_acknowledged_before_it),
		kit_test(query__Q51_top_counts_over_pages),
		kit_test(query__last_page_exactly_full_has_no_successor),
		kit_test(query__aggregates_are_over_all_shards),
		kit_test(query__groups_beyond_their_memory_are_refused),
		kit_test(query__named_ids_are_looked_up),
		kit_test(query__a_large_page_ends_early),
		kit_test(tours__Q03_large_pages_are_in_pieces),
		kit_test(list__R37_is_in_the_order_of_ids),
		kit_test(tours__over_an_askers_share_wait_and_then_are_429),
		kit_test(tours__of_one_asker_make_so_many_columns_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
