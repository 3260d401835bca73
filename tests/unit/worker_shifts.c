/*
 * Shards that are given up and taken by another worker, over and over, under load: nothing that was answered is lost, each device's operations keep
 * their order, and who asks all shards sees each device once (cluster-design.md 4.4, 4.6).
 */
#include "worker_job_kit.h"
#include "worker_move_kit.h"

#include "worker/live.h"

#define DEVICES 96
#define FLIGHT  4 /* patches of each device under way at once */
#define MOVES   200

static void
patch(struct kit *k, unsigned device, unsigned n)
{
	char id[16], json[64];

	snprintf(id, sizeof(id), "d%u", device);
	snprintf(json, sizeof(json), "{'properties':{'desired':{'n':%u}}}", n);
	kit_send(k, OP_TWIN_PATCH, id, json);
}

static uint64_t
number_in(const struct work *w, const char *name)
{
	struct buf text = { 0 };
	const char *at;
	uint64_t n;

	buf_str(&text, buf_view(&w->reply.body));
	buf_putc(&text, '\0');
	at = strstr(text.p, name);
	assert_non_null(at);
	n = strtoull(at + strlen(name), NULL, 10);
	buf_fini(&text);
	return n;
}

static void
shifts__E108_no_answer_is_lost_and_none_overtakes(void **state)
{
	struct kit *k = *state;
	uint64_t versions[DEVICES] = { 0 }, last[DEVICES] = { 0 };
	unsigned refused = 0, n = 0;
	struct mover m;
	char id[16], want[32];

	kit_start(k, WORKERS);
	kit_create(k, "d", DEVICES);
	mover_start(&m, k, SHARDS);
	for (unsigned round = 0; round < 400 && (moves_of(&m) < MOVES || round < 20); round++) {
		uint32_t first = k->tag;

		for (unsigned i = 0; i < FLIGHT; i++)
			for (unsigned d = 0; d < DEVICES; d++)
				patch(k, d, n + i + 1);
		n += FLIGHT;
		kit_await(k, k->nback == FLIGHT * DEVICES);
		for (unsigned i = 0; i < FLIGHT * DEVICES;
		     i++) /* in the order in which they were sent */
			while (k->back[i]->tag - first != i) {
				struct work *w = k->back[i];
				uint32_t to = w->tag - first;

				k->back[i] = k->back[to];
				k->back[to] = w;
			}
		for (unsigned i = 0; i < FLIGHT * DEVICES; i++) {
			const struct work *w = k->back[i];
			unsigned d = i % DEVICES;

			if (w->reply.fault.code != F_NONE) {
				refused++;
				continue;
			}
			assert_true(number_in(w, "\"version\":") > versions[d]);
			versions[d] = number_in(w, "\"version\":");
			last[d] = number_in(w, "\"n\":");
		}
		kit_forget(k);
	}
	mover_stop(&m, MOVES);
	assert_int_equal(refused, 0); /* none has waited for five seconds */
	for (unsigned d = 0; d < DEVICES; d++) {
		snprintf(id, sizeof(id), "d%u", d);
		snprintf(want, sizeof(want), "'n':%llu", (unsigned long long)last[d]);
		kit_shows(k, id, want);
	}
}

/* What the end of a shard's log says is there to be read: its last record is on disk, in one of the two tables; and it never falls. */
static void
look_at_log_end(struct kit *k, uint32_t shard, uint64_t *was)
{
	uint64_t end = fleet_log_end(k->fleet, shard);
	struct buf record = { 0 };
	char key[EVENT_KEY];

	assert_true(end >= *was);
	*was = end;
	if (end <= 1)
		return;
	event_key(key, shard, end - 1);
	if (store_get(k->store, STORE_LOG, (struct str){ key, EVENT_KEY }, &record) != ERR_OK)
		assert_int_equal(
		    store_get(k->store, STORE_CHANGES, (struct str){ key, EVENT_KEY }, &record),
		    ERR_OK);
	buf_fini(&record);
}

/* Also where a worker gets a shard while a commit of its other shards is on its way. */
static void
shifts__E28_the_end_of_a_log_is_on_disk_while_shards_move(void **state)
{
	struct kit *k = *state;
	uint64_t was[SHARDS] = { 0 };
	struct mover m;
	unsigned n = 0;

	kit_start(k, WORKERS);
	kit_create(k, "d", DEVICES);
	mover_start(&m, k, SHARDS);
	for (unsigned round = 0; round < 400 && (moves_of(&m) < MOVES || round < 20); round++) {
		for (unsigned d = 0; d < DEVICES; d++)
			patch(k, d, ++n);
		for (unsigned i = 0; i < 20; i++)
			for (uint32_t s = 0; s < SHARDS; s++)
				look_at_log_end(k, s, &was[s]);
		kit_await(k, k->nback == DEVICES);
		kit_forget(k);
	}
	mover_stop(&m, MOVES);
}

static void
shifts__E108_a_query_sees_each_device_once(void **state)
{
	struct kit *k = *state;
	struct mover m;
	const char *all;
	char part[40];

	kit_start(k, WORKERS);
	kit_create(k, "d", DEVICES);
	mover_start(&m, k, SHARDS);
	for (unsigned i = 0; i < 2000 && (moves_of(&m) < MOVES || i < 10); i++) {
		all = kit_query(k, "SELECT deviceId FROM devices", 7 + i % 50);
		for (unsigned d = 0; d < DEVICES; d++) {
			snprintf(part, sizeof(part), "{'deviceId':'d%u'}", d);
			assert_int_equal(occurrences(all, part), 1);
		}
		all = kit_query(k, "SELECT COUNT() AS n FROM devices WHERE deviceId != 'x'", 10);
		snprintf(part, sizeof(part), "'n':%u}", DEVICES);
		assert_int_equal(occurrences(all, part), 1);
		all = kit_query(k, "SELECT deviceId FROM devices ORDER BY deviceId", 1000);
		assert_int_equal(occurrences(all, "'deviceId'"), DEVICES);
	}
	mover_stop(&m, MOVES);
}

/* Shard 0, which has the job, moves as well, and so does what has been told to it. */
static void
shifts__E109_a_job_touches_each_target_once(void **state)
{
	struct kit *k = *state;
	struct mover m;
	char id[16];

	kit_start(k, WORKERS);
	kit_create(k, "d", DEVICES);
	for (unsigned round = 0; round < 3; round++) {
		char job[16], want[64];

		snprintf(job, sizeof(job), "j%u", round);
		m = (struct mover){ .k = k, .only = round == 1 ? 0 : SHARDS, .rests = true };
		next_move(&m);
		ask(k, job, body("*", ""));
		for (int64_t since_us = clock_mono_us();;) {
			if (kit_do_work(k, job_work(k, OP_JOB_GET, job, NULL)) == F_NONE &&
			    kit_says(k, "'status':'completed'") && moves_of(&m) > 5)
				break;
			clock_sleep_us(2000);
			mover_goes_on(&m);
			kit_again(since_us, "the job is through");
		}
		mover_stop(&m, 3);
		snprintf(want, sizeof(want), "'succeededCount':%u", DEVICES);
		until(k, job, want);
		for (unsigned d = 0; d < DEVICES; d++) {
			snprintf(id, sizeof(id), "d%u", d);
			snprintf(want, sizeof(want), "'version':%u,", 3 + round);
			kit_shows(k, id, want);
		}
	}
}

static void
shifts__E108_a_message_is_there_until_it_is_received(void **state)
{
	struct kit *k = *state;
	struct mover m;
	struct message got;
	char id[16], text[16];

	kit_start(k, WORKERS);
	kit_create(k, "d", DEVICES);
	mover_start(&m, k, SHARDS);
	for (unsigned d = 0; d < DEVICES; d++) {
		struct work *w;

		snprintf(id, sizeof(id), "d%u", d);
		snprintf(text, sizeof(text), "for %u", d);
		w = kit_work(k, OP_MESSAGE_SEND, id, NULL);
		w->op.payload = work_str(w, str_of(text));
		assert_int_equal(kit_do_work(k, w), F_NONE);
	}
	mover_stop(&m, 20);
	for (unsigned d = 0; d < DEVICES; d++) {
		snprintf(id, sizeof(id), "d%u", d);
		snprintf(text, sizeof(text), "for %u", d);
		assert_int_equal(kit_do(k, OP_MESSAGE_RECEIVE, id, NULL), F_NONE);
		assert_true(k->reply.message.number != 0);
		assert_int_equal(message_decode(buf_view(&k->reply.body), &got), ERR_OK);
		assert_true(str_eq(got.payload, str_of(text)));
	}
}

/* A session hears of each change, or its link is closed (G5). */
static void
shifts__E109_a_session_hears_of_each_change_or_is_closed(void **state)
{
	struct kit *k = *state;
	struct mover m;
	uint64_t epoch;
	unsigned told;
	char line[64];

	kit_start(k, WORKERS);
	kit_create(k, "d", 1);
	for (unsigned life = 0; life < 20; life++) {
		epoch = kit_connect(k, "d0", life, true);
		kit_subscribe(k, "d0", epoch);
		kit_forget(k);
		mover_start(&m, k, hub_shard_of(STR("d0")));
		for (unsigned i = 0; i < 8; i++)
			patch(k, 0, life * 8 + i);
		kit_await(k, k->nback == 8);
		mover_stop(&m, 1);
		kit_flush(k);
		pthread_mutex_lock(&k->mu);
		buf_putc(&k->notes, '\0');
		told = 0;
		for (unsigned i = 0; i < 8; i++) { /* a beginning of them, without a gap */
			snprintf(line, sizeof(line), "notify %u v%u ", life, 2 + life * 8 + i);
			if (strstr(k->notes.p, line) == NULL)
				break;
			told++;
		}
		assert_int_equal(occurrences(k->notes.p, "notify"), told);
		snprintf(line, sizeof(line), "close %u\n", life);
		assert_int_equal(occurrences(k->notes.p, line), 1); /* as its shard has moved */
		pthread_mutex_unlock(&k->mu);
		kit_forget(k);
	}
}

/* One that watches, on the kit's first loop; what it has heard is under the kit's mutex. */
struct eye {
	struct msg msg;
	struct kit *k;
	struct live *live;
	struct buf piece;
	enum reason why;
	bool heard, over;
};

static void
eye_heard(void *ctx)
{
	struct eye *e = ctx;
	enum reason why;

	e->piece.n = 0;
	why = live_take(e->live, &e->piece);
	pthread_mutex_lock(&e->k->mu);
	e->why = why;
	e->heard = true;
	pthread_cond_broadcast(&e->k->changed);
	pthread_mutex_unlock(&e->k->mu);
	live_left(e->live);
}

static void
eye_over(void *ctx)
{
	struct eye *e = ctx;

	pthread_mutex_lock(&e->k->mu);
	e->over = true;
	pthread_cond_broadcast(&e->k->changed);
	pthread_mutex_unlock(&e->k->mu);
}

static void
eye_closes(struct msg *m)
{
	live_close(container_of(m, struct eye, msg)->live);
}

/* Each is of all shards, so one that moves ends all. */
static void
shifts__E109_a_live_query_ends(void **state)
{
	struct kit *k = *state;
	struct eye e = { .msg.run = eye_closes, .k = k };
	struct watch *w = NULL;
	struct mover m;
	struct fault f;

	kit_start(k, WORKERS);
	kit_create(k, "d", 4);
	assert_int_equal(watch_compile(STR("SELECT deviceId FROM devices"), true, &w, &f), ERR_OK);
	assert_int_equal(fleet_watch(k->fleet,
	                     &(struct live_conf){ .watch = w,
	                         .home = k->loops[0],
	                         .heard = eye_heard,
	                         .over = eye_over,
	                         .ctx = &e },
	                     &e.live, &f),
	    ERR_OK);
	watch_unref(w);
	kit_await(k, e.heard);
	mover_start(&m, k, 63);
	kit_await(k, e.why != REASON_NONE);
	assert_int_equal(e.why, REASON_SHARD_MOVED);
	mover_stop(&m, 1);
	loop_post(k->loops[0], &e.msg);
	kit_await(k, e.over);
	buf_fini(&e.piece);
}

/* What nobody serves has its answer in the end, and what ends something is not forgotten. */
static void
given(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	struct mover *m = ctx;

	(void)shard, (void)e, (void)why;
	pthread_mutex_lock(&m->k->mu);
	m->idle = true;
	pthread_cond_broadcast(&m->k->changed);
	pthread_mutex_unlock(&m->k->mu);
}

static void
shifts__E108_what_nobody_serves_waits_and_then_is_refused(void **state)
{
	struct kit *k = *state;
	struct mover m = { .k = k };
	uint32_t shard = hub_shard_of(STR("d0"));

	kit_start(k, 2);
	kit_create(k, "d", 1);
	assert_int_equal(fleet_take(k->fleet, shard, 0, given, &m), ERR_ARG);
	assert_int_equal(fleet_release(k->fleet, shard, given, &m), ERR_OK);
	kit_await(k, m.idle);
	assert_int_equal(fleet_release(k->fleet, shard, given, &m), ERR_ARG);
	assert_int_equal(kit_do(k, OP_TWIN_READ, "d0", NULL), F_ServiceUnavailable);
	kit_send(k, OP_TWIN_READ, "d0", NULL);
	m.idle = false;
	assert_int_equal(fleet_take(k->fleet, shard, 1, given, &m), ERR_OK);
	kit_await(k, k->nback == 1 && m.idle);
	assert_int_equal(k->back[0]->reply.fault.code, F_NONE);
	kit_forget(k);
	/* and at the end of the fleet */
	m.idle = false;
	assert_int_equal(fleet_release(k->fleet, shard, given, &m), ERR_OK);
	kit_await(k, m.idle);
	kit_send(k, OP_TWIN_READ, "d0", NULL);
	kit_halt(k);
	kit_await(k, k->nback == 1);
	assert_int_equal(k->back[0]->reply.fault.code, F_ServiceUnavailable);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(shifts__E108_no_answer_is_lost_and_none_overtakes),
		kit_test(shifts__E28_the_end_of_a_log_is_on_disk_while_shards_move),
		kit_test(shifts__E108_a_query_sees_each_device_once),
		kit_test(shifts__E109_a_job_touches_each_target_once),
		kit_test(shifts__E108_a_message_is_there_until_it_is_received),
		kit_test(shifts__E109_a_session_hears_of_each_change_or_is_closed),
		kit_test(shifts__E109_a_live_query_ends),
		kit_test(shifts__E108_what_nobody_serves_waits_and_then_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
