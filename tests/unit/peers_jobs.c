/*
 * Jobs of a hub on three nodes: shard 0 has them, each node does the parts of its shards, and each device has its change once (G7), whatever moves and
 * whoever goes. docs/spec/operate.md, O-275 to O-277.
 */
#include "peers_kit.h"
#include "worker_job_kit.h"

#define DEVICES 96
#define JOBS    6

static void
version_is(struct kit *k, unsigned device, unsigned version)
{
	char id[16], want[32];

	snprintf(id, sizeof(id), "d%u", device);
	snprintf(want, sizeof(want), "'version':%u", version);
	kit_shows(k, id, want);
}

/* The value differs from job to job, so that each counts. */
static const char *
job_body(unsigned n, const char *more)
{
	static char text[512];

	snprintf(text, sizeof(text),
	    "{'type':'scheduleUpdateTwin','queryCondition':'*'%s,'updateTwin':{'etag':'*','"
	    "properties':"
	    "{'desired':{'job':%u}}}}",
	    more, n);
	return text;
}

static void
jobs__O275_each_node_does_its_part_and_each_device_has_it_once(void **state)
{
	struct kit *k = *state;
	char id[16];

	kit_create(k, "d", DEVICES);
	for (unsigned n = 0; n < JOBS; n++) {
		snprintf(id, sizeof(id), "job%u", n);
		at_node(n % NODES_);
		ask(k, id, job_body(n, ""));
		at_node((n + 1) % NODES_);
		until(k, id, "'completed'");
		assert_true(kit_says(k, "'succeededCount':96"));
	}
	for (unsigned d = 0; d < DEVICES; d++)
		version_is(k, d, 2 + JOBS);
}

static void
jobs__O277_the_pace_of_a_job_is_that_of_all_nodes_together(void **state)
{
	struct kit *k = *state;
	int64_t since_us, took_us;

	kit_create(k, "d", DEVICES);
	at_node(0);
	since_us = clock_mono_us();
	ask(k, "job", job_body(0, ",'maxUpdatesPerSecond':60"));
	until(k, "job", "'completed'");
	took_us = clock_mono_us() - since_us;
	if (took_us < 1200000) /* 96 at 60 a second, less what each node may have at once */
		fail_msg("it took %lld ms", (long long)took_us / 1000);
}

/* ---- shards move, shard 0 among them ---- */

struct mover {
	struct move move;
	unsigned moves;
	bool stops, idle; /* under k->mu */
};

static void
next_move(void *ctx)
{
	struct mover *m = ctx;
	bool stops;

	pthread_mutex_lock(&hub.k->mu);
	m->moves++;
	stops = m->idle = m->stops;
	pthread_cond_broadcast(&hub.k->changed);
	pthread_mutex_unlock(&hub.k->mu);
	if (stops)
		return;
	m->move.shard = m->moves % 3 == 0 ? 0 : (m->move.shard + 7) % SHARDS;
	m->move.to =
	    (unsigned)(atomic_load(&hub.owners[m->move.shard]) + 1 + m->moves % 2) % NODES_;
	move_begin(&m->move);
}

static void
jobs__O276_parts_go_on_where_shards_go_and_tell_a_new_owner_of_shard_0(void **state)
{
	struct kit *k = *state;
	struct mover m = { .move = { .over = next_move, .ctx = &m } };
	char id[16];

	kit_create(k, "d", DEVICES);
	next_move(&m);
	for (unsigned n = 0; n < JOBS; n++) {
		snprintf(id, sizeof(id), "job%u", n);
		at_node(n % NODES_);
		ask(k, id, job_body(n, ""));
		for (int64_t since_us = clock_mono_us();;) {
			views_tell();
			at_node((n + 1) % NODES_);
			if (kit_do_work(k, job_work(k, OP_JOB_GET, id, NULL)) == F_NONE &&
			    kit_says(k, "'completed'"))
				break;
			kit_again(since_us, "the job is completed");
		}
		assert_true(kit_says(k, "'succeededCount':96"));
	}
	pthread_mutex_lock(&k->mu);
	m.stops = true;
	pthread_mutex_unlock(&k->mu);
	kit_await(k, m.idle);
	views_tell();
	for (unsigned d = 0; d < DEVICES; d++)
		version_is(k, d, 2 + JOBS);
}

/* ---- the set ---- */

static void
set_is(unsigned node, const char *what,
    bool (*holds)(struct fleet *f, uint64_t epoch, uint64_t version))
{
	for (int64_t since_us = clock_mono_us();;) {
		uint64_t epoch, version;

		fleet_jobs_at(hub.nodes[node].fleet, &epoch, &version);
		if (holds(hub.nodes[node].fleet, epoch, version))
			return;
		clock_sleep_us(1000);
		kit_again(since_us, what);
	}
}

static bool
is_newest(struct fleet *f, uint64_t epoch, uint64_t version)
{
	struct jobs_news news = { 0 };
	enum err e = fleet_jobs_since(hub.nodes[0].fleet, epoch, version, 1 << 20, &news);

	(void)f;
	jobs_news_fini(&news);
	return e == ERR_END;
}

static void
jobs__O275_the_set_comes_in_pieces_and_what_is_forgotten_goes(void **state)
{
	struct kit *k = *state;
	struct jobs_news news = { 0 };
	uint64_t version = 0, at;
	unsigned pieces = 0;
	char id[16];

	kit_create(k, "d", 3);
	for (unsigned n = 0; n < 20; n++) {
		snprintf(id, sizeof(id), "job%u", n);
		ask(k, id, job_body(n, ",'startTime':'2099-01-01T00:00:00Z'"));
	}
	set_is(1, "b has all", is_newest);
	set_is(2, "c has all", is_newest);
	do { /* one record at a time */
		jobs_news_fini(&news);
		news = (struct jobs_news){ 0 };
		assert_int_equal(
		    fleet_jobs_since(hub.nodes[0].fleet, 10, version, 1, &news), ERR_OK);
		assert_true(news.version > version);
		version = news.version;
		pieces++;
	} while (version < news.latest);
	assert_true(pieces >= 20);
	jobs_news_fini(&news);
	/* a damaged piece changes nothing, and all is asked for anew; one of a former owner is nothing */
	fleet_jobs_at(hub.nodes[1].fleet, &at, &version);
	news = (struct jobs_news){ .epoch = 10, .version = version + 1, .latest = version + 1 };
	buf_lstr(&news.records, STR("no job"));
	assert_int_equal(fleet_jobs_learn(hub.nodes[1].fleet, &news), ERR_CORRUPT);
	set_is(1, "it has what it had", is_newest);
	news.epoch = 9;
	assert_int_equal(fleet_jobs_learn(hub.nodes[1].fleet, &news), ERR_OK);
	set_is(1, "it has what it had", is_newest);
	jobs_news_fini(&news);
}

/* What a node is given while it knows of an older set alone is kept, and done once. */
static void
jobs__O275_a_node_without_the_list_begins_nothing_and_forgets_nothing_newer(void **state)
{
	struct kit *k = *state;

	kit_create(k, "d", DEVICES);
	at_node(0);
	ask(k, "job0", job_body(0, ""));
	until(k, "job0", "'completed'");
	set_is(1, "b knows of it", is_newest);
	hub.nodes[1].cut[0] = true;
	views_tell();
	ask(k, "job1", job_body(1, ""));
	until_done(k, "job1", DEVICES / 2); /* a's and c's parts, those of b are not begun */
	for (uint32_t s = 3; s < SHARDS; s += 3)
		move_to(s, 1);
	clock_sleep_us(300000); /* time to forget what they have */
	assert_int_equal(kit_do_work(k, job_work(k, OP_JOB_GET, "job1", NULL)), F_NONE);
	assert_true(kit_says(k, "'running'"));
	hub.nodes[1].cut[0] = false;
	views_tell();
	until(k, "job1", "'completed'");
	assert_true(kit_says(k, "'succeededCount':96"));
	for (unsigned d = 0; d < DEVICES; d++)
		version_is(k, d, 2 + 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    jobs__O275_each_node_does_its_part_and_each_device_has_it_once, hub_setup,
		    hub_teardown),
		cmocka_unit_test_setup_teardown(
		    jobs__O277_the_pace_of_a_job_is_that_of_all_nodes_together, hub_setup,
		    hub_teardown),
		cmocka_unit_test_setup_teardown(
		    jobs__O276_parts_go_on_where_shards_go_and_tell_a_new_owner_of_shard_0,
		    hub_setup, hub_teardown),
		cmocka_unit_test_setup_teardown(
		    jobs__O275_the_set_comes_in_pieces_and_what_is_forgotten_goes, hub_setup,
		    hub_teardown),
		cmocka_unit_test_setup_teardown(
		    jobs__O275_a_node_without_the_list_begins_nothing_and_forgets_nothing_newer,
		    hub_setup, hub_teardown),
	};

	return cmocka_run_group_tests_name("peers_jobs", tests, NULL, NULL);
}
