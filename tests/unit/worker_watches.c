/* Live queries through real workers: nothing is told before its commit, nothing of one that fails, and all of it comes to its end. */
#include "worker_kit.h"

#include "worker/live.h"

/* One that watches, on the kit's first loop; what it has heard is under the kit's mutex. */
struct eye {
	struct kit *k;
	struct live *live;
	struct buf piece;
	struct buf text;
	enum reason why;
	bool over;
};

static void
eye_heard(void *ctx)
{
	struct eye *e = ctx;
	enum reason why;

	e->piece.n = 0;
	why = live_take(e->live, &e->piece);
	pthread_mutex_lock(&e->k->mu);
	buf_str(&e->text, buf_view(&e->piece));
	if (why != REASON_NONE)
		e->why = why;
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

struct opening {
	struct msg msg;
	struct eye *eye;
	const char *query;
	bool close;
};

/* On the loop, as its requests do. */
static void
open_runs(struct msg *m)
{
	struct opening *o = container_of(m, struct opening, msg);
	struct eye *e = o->eye;
	struct watch *w = NULL;
	struct fault f;

	if (o->close) {
		live_close(e->live);
	} else {
		assert_int_equal(watch_compile(str_of(o->query), true, &w, &f), ERR_OK);
		assert_int_equal(fleet_watch(e->k->fleet,
		                     &(struct live_conf){ .watch = w,
		                         .home = e->k->loops[0],
		                         .heard = eye_heard,
		                         .over = eye_over,
		                         .ctx = e },
		                     &e->live, &f),
		    ERR_OK);
		watch_unref(w);
	}
	free(o);
}

static void
eye_post(struct eye *e, const char *query)
{
	struct opening *o = xcalloc(1, sizeof(*o));

	o->msg.run = open_runs;
	o->eye = e;
	o->query = query;
	o->close = query == NULL;
	loop_post(e->k->loops[0], &o->msg);
}

static bool
eye_has(struct eye *e, const char *part)
{
	buf_putc(&e->text, '\0');
	e->text.n--;
	return strstr(e->text.p, part) != NULL;
}

static void
eye_open(struct eye *e, struct kit *k, const char *query)
{
	*e = (struct eye){ .k = k };
	eye_post(e, query);
	kit_await(k, eye_has(e, "\"ready\""));
}

static void
eye_close(struct eye *e)
{
	eye_post(e, NULL);
	kit_await(e->k, e->over);
	buf_fini(&e->piece);
	buf_fini(&e->text);
}

/* What it has heard since the last look, without positions. */
static void
eye_says(struct eye *e, const char *want)
{
	char *from, *to;

	kit_flush(e->k);
	pthread_mutex_lock(&e->k->mu);
	buf_putc(&e->text, '\0');
	while ((from = strstr(e->text.p, ",\"position\":\"")) != NULL) {
		to = strchr(from + 13, '"') + 1;
		memmove(from, to, strlen(to) + 1);
	}
	assert_string_equal(e->text.p, want);
	e->text.n = 0;
	pthread_mutex_unlock(&e->k->mu);
}

#define QUERY "SELECT tags.a FROM devices WHERE tags.on = true"

static void
watch__E55_nothing_is_told_before_its_commit(void **state)
{
	struct kit *k = *state;
	struct eye e;

	kit_start(k, 2);
	kit_create(k, "d", 2);
	kit_do(k, OP_TWIN_PATCH, "d0", "{'tags':{'on':true,'a':1}}");
	eye_open(&e, k, QUERY);
	eye_says(&e,
	    "{\"event\":\"row\",\"deviceId\":\"d0\",\"row\":{\"a\":1}}\n"
	    "{\"event\":\"ready\",\"rows\":1}\n");
	disk_hold();
	kit_send(k, OP_TWIN_PATCH, "d0", "{'tags':{'a':2}}");
	disk_await();
	eye_says(&e, "");
	disk_release(0);
	kit_await(k, e.text.n > 0);
	eye_says(&e, "{\"event\":\"change\",\"deviceId\":\"d0\",\"row\":{\"a\":2}}\n");
	kit_do(k, OP_TWIN_PATCH, "d1", "{'tags':{'on':true}}");
	kit_do(k, OP_TWIN_PATCH, "d1", "{'tags':{'other':1}}");
	kit_do(k, OP_IDENTITY_DELETE, "d0", NULL);
	eye_says(&e,
	    "{\"event\":\"enter\",\"deviceId\":\"d1\",\"row\":{}}\n"
	    "{\"event\":\"leave\",\"deviceId\":\"d0\"}\n");
	eye_close(&e);
}

/* First rows that have seen what is on its way wait for it, too. */
static void
watch__E55_E63_what_a_failed_commit_had_is_never_told(void **state)
{
	struct kit *k = *state;
	struct eye old, young = { .k = k };

	kit_start(k, 1);
	kit_create(k, "d", 2);
	kit_do(k, OP_TWIN_PATCH, "d0", "{'tags':{'on':true,'a':1}}");
	eye_open(&old, k, QUERY);
	eye_says(&old,
	    "{\"event\":\"row\",\"deviceId\":\"d0\",\"row\":{\"a\":1}}\n"
	    "{\"event\":\"ready\",\"rows\":1}\n");
	disk_hold();
	kit_send(k, OP_TWIN_PATCH, "d0", "{'tags':{'a':2}}");
	disk_await();
	eye_post(&young, QUERY);
	kit_send(k, OP_TWIN_PATCH, "d1", "{'tags':{'on':true}}");
	kit_taken(k);
	disk_release(ENOSPC);
	kit_await(k, old.why != REASON_NONE && young.why != REASON_NONE);
	assert_int_equal(old.why, REASON_UNAVAILABLE);
	assert_int_equal(young.why, REASON_UNAVAILABLE);
	eye_says(&old, "");
	eye_says(&young, "");
	eye_close(&old);
	eye_close(&young);
	disk_release(0);
	eye_open(&young, k, QUERY); /* begins with what is true */
	eye_says(&young,
	    "{\"event\":\"row\",\"deviceId\":\"d0\",\"row\":{\"a\":1}}\n"
	    "{\"event\":\"ready\",\"rows\":1}\n");
	eye_close(&young);
}

static void
watch__E58_so_many_of_one_that_asks(void **state)
{
	struct kit *k = *state;
	struct eye *eyes = xcalloc(LIVE_ASKER_MAX, sizeof(*eyes));
	struct watch *w = NULL;
	struct live *none;
	struct fault f;
	struct live_conf conf = { .home = k->loops[0], .heard = eye_heard, .over = eye_over };

	kit_start(k, 2);
	assert_int_equal(watch_compile(STR(QUERY), true, &w, &f), ERR_OK);
	conf.watch = w;
	for (unsigned i = 0; i < LIVE_ASKER_MAX; i++)
		eyes[i].k = k;
	for (unsigned i = 0; i < LIVE_ASKER_MAX; i++)
		eye_post(&eyes[i], QUERY);
	for (unsigned i = 0; i < LIVE_ASKER_MAX; i++)
		kit_await(k, eye_has(&eyes[i], "\"ready\""));
	assert_int_equal(fleet_watch(k->fleet, &conf, &none, &f), ERR_FULL);
	assert_int_equal(f.code, F_GenericTooManyRequests);
	for (unsigned i = 0; i < LIVE_ASKER_MAX; i++)
		eye_close(&eyes[i]);
	eye_open(&eyes[0], k, QUERY);
	eye_close(&eyes[0]);
	watch_unref(w);
	free(eyes);
}

static void
watch__a_fleet_that_has_stopped_lets_go(void **state)
{
	struct kit *k = *state;
	struct eye e;

	kit_start(k, 2);
	kit_create(k, "d", 1);
	eye_open(&e, k, QUERY);
	kit_halt(k);
	eye_post(&e, NULL); /* too late: nobody takes it but who drops what is left */
	kit_flush(k);
	fleet_stop(k->fleet);
	kit_await(k, e.over);
	buf_fini(&e.piece);
	buf_fini(&e.text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(watch__E55_nothing_is_told_before_its_commit),
		kit_test(watch__E55_E63_what_a_failed_commit_had_is_never_told),
		kit_test(watch__E58_so_many_of_one_that_asks),
		kit_test(watch__a_fleet_that_has_stopped_lets_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
