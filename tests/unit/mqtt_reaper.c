/* Links whose opener counts no more: all end, at their pace, whoever else comes and goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "mqtt/reaper.h"
#include "mqtt_kit.h"
#include "rnd.h"

#include <cmocka.h>

#define LINKS 3000u
#define RATE  1000u

/* Live sessions without anything else, and when each was ended. */
struct crowd {
	struct sessions all;
	struct session v[LINKS];
	int64_t ended_us[LINKS]; /* in the order of it */
	unsigned nended, nlook;
	struct reaper rp;
	struct reaper_links links;
	int64_t now_us;
};

static struct session *
crowd_at(void *ctx, uint32_t slot)
{
	struct crowd *w = ctx;

	w->nlook++;
	return slot < LINKS && w->v[slot].state == S_LIVE ? &w->v[slot] : NULL;
}

static void
crowd_leave(struct crowd *w, struct session *s)
{
	struct actions a = { 0 };

	session_end(s, STREAM_EOF, &a);
	work_free(a.work);
	reaper_ended(&w->rp, s);
}

static void
crowd_end(void *ctx, struct session *s)
{
	struct crowd *w = ctx;
	struct actions a = { 0 };

	session_turn(s, &a);
	assert_int_equal(a.ending, SESSION_DROPS);
	w->ended_us[w->nended++] = w->now_us;
	crowd_leave(w, s);
}

/* Each was opened by a certificate of the CA 1 or 2, in turn. */
static struct crowd *
crowd_new(void)
{
	static const struct session_world nobody;
	struct crowd *w = xcalloc(1, sizeof(*w));

	w->now_us = MONO_US;
	w->all.world = &nobody;
	reaper_init(&w->rp, RATE);
	w->links = (struct reaper_links){ w, LINKS, crowd_at, crowd_end };
	for (unsigned i = 0; i < LINKS; i++) {
		session_open(&w->v[i], &w->all, (struct reply_to){ .slot = i }, 0);
		w->v[i].state = S_LIVE;
		w->v[i].opened = (struct opened){ .by = OPENED_BY_SELF, .ca = 1 + i % 2 };
	}
	return w;
}

static struct catalogue
cas(const uint64_t *v, size_t n)
{
	return (struct catalogue){ .cas = v, .nca = n };
}

/* As the loop does, a tick of its timers late, until nothing is awaited. */
static void
run(struct crowd *w, const struct catalogue *c)
{
	for (unsigned nturn = 0; w->rp.due_us != SESSION_NEVER; nturn++) {
		assert_true(nturn < 10000);
		if (w->now_us < w->rp.due_us)
			w->now_us = w->rp.due_us + LOOP_TICK_US;
		reaper_turn(&w->rp, c, &w->links, w->now_us);
	}
}

static void
check_pace(const struct crowd *w)
{
	for (unsigned first = 0, last = 0; last < w->nended; last++) {
		while (w->ended_us[last] - w->ended_us[first] >= SECOND)
			first++;
		assert_in_range(last - first + 1, 1, RATE);
	}
}

static void
reaper__D81_review_ends_those_that_count_no_more_at_its_pace(void **state)
{
	struct crowd *w = crowd_new();
	const struct catalogue c = cas((const uint64_t[]){ 1 }, 1);

	(void)state;
	reaper_review(&w->rp, w->now_us);
	assert_int_equal(w->rp.due_us, w->now_us);
	run(w, &c);
	assert_int_equal(w->nended, LINKS / 2);
	for (unsigned i = 0; i < LINKS; i++)
		assert_int_equal(w->v[i].state, i % 2 == 0 ? S_LIVE : S_CLOSED);
	assert_string_equal(reason_id(w->v[1].why), "ca-removed");
	check_pace(w);
	assert_in_range(w->now_us - MONO_US, SECOND, 4 * SECOND);
	free(w);
}

static void
reaper__D81_one_alone_ends_at_once(void **state)
{
	struct crowd *w = crowd_new();

	(void)state;
	assert_true(session_doom(&w->v[5], REASON_KEY_CHANGED));
	assert_true(reaper_doomed(&w->rp, w->now_us));
	crowd_leave(w, &w->v[5]);
	assert_int_equal(w->rp.due_us, SESSION_NEVER);
	free(w);
}

/* All of one policy's, told one after the other by their shards: as many as may end at once, then the pace. */
static void
reaper__D81_many_told_at_once_wait_for_their_turn(void **state)
{
	struct crowd *w = crowd_new();
	const struct catalogue c = cas((const uint64_t[]){ 1, 2 }, 2);

	(void)state;
	for (unsigned i = 0; i < LINKS; i++) {
		assert_true(session_doom(&w->v[i], REASON_DISABLED));
		if (reaper_doomed(&w->rp, w->now_us))
			crowd_end(w, &w->v[i]);
	}
	assert_in_range(w->nended, 1, RATE / 10);
	run(w, &c);
	assert_int_equal(w->nended, LINKS);
	assert_int_equal(w->rp.ndoomed, 0);
	check_pace(w);
	free(w);
}

/* It has gone past their slots, and there is no room for them at once. */
static void
reaper__D81_those_told_behind_its_back_have_their_turn(void **state)
{
	struct crowd *w = crowd_new();
	const struct catalogue c = cas((const uint64_t[]){ 1 }, 1);
	unsigned nlate = 0;

	(void)state;
	reaper_review(&w->rp, w->now_us);
	while (w->rp.at < LINKS / 2) {
		w->now_us = w->rp.due_us;
		reaper_turn(&w->rp, &c, &w->links, w->now_us);
	}
	for (unsigned i = 0; i < 200; i += 2) {
		assert_true(session_doom(&w->v[i], REASON_DELETED));
		if (reaper_doomed(&w->rp, w->now_us))
			crowd_end(w, &w->v[i]);
		else
			nlate++;
	}
	assert_true(nlate > 50);
	run(w, &c);
	assert_int_equal(w->nended, LINKS / 2 + 100);
	assert_int_equal(w->rp.ndoomed, 0);
	check_pace(w);
	free(w);
}

/* Some of them leave by themselves meanwhile, and the catalogue changes once more. */
static void
reaper__D81_goes_on_whatever_else_happens(void **state)
{
	struct crowd *w = crowd_new();
	const struct catalogue one = cas((const uint64_t[]){ 1 }, 1), none = cas(NULL, 0);
	struct rnd r = { 11 };
	unsigned nleft = 0;

	(void)state;
	reaper_review(&w->rp, w->now_us);
	for (unsigned turn = 0; w->rp.due_us != SESSION_NEVER; turn++) {
		struct session *s = &w->v[rnd_below(&r, LINKS)];

		assert_true(turn < 10000);
		if (turn == 5)
			reaper_review(&w->rp, w->now_us);
		w->now_us = w->rp.due_us > w->now_us ? w->rp.due_us : w->now_us;
		reaper_turn(&w->rp, turn < 5 ? &one : &none, &w->links, w->now_us);
		if (s->state == S_LIVE) {
			crowd_leave(w, s);
			nleft++;
		}
	}
	assert_true(nleft > 0);
	assert_int_equal(w->nended + nleft, LINKS);
	assert_int_equal(w->rp.ndoomed, 0);
	check_pace(w);
	free(w);
}

/* With a million links the loop has other things to do between. */
static void
reaper__a_turn_looks_at_so_many_and_no_more(void **state)
{
	struct crowd *w = crowd_new();
	const struct catalogue c = cas((const uint64_t[]){ 1, 2 }, 2);
	unsigned nturn = 0;

	(void)state;
	w->links.n = 5 * REAPER_LOOKS_MAX / 2;
	reaper_review(&w->rp, w->now_us);
	for (; w->rp.due_us != SESSION_NEVER; nturn++) {
		w->now_us = w->rp.due_us;
		w->nlook = 0;
		reaper_turn(&w->rp, &c, &w->links, w->now_us);
		assert_in_range(w->nlook, 1, REAPER_LOOKS_MAX);
	}
	assert_int_equal(nturn, 3);
	assert_int_equal(w->now_us - MONO_US, 2 * REAPER_TURN_US);
	assert_int_equal(w->nended, 0);
	free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reaper__D81_review_ends_those_that_count_no_more_at_its_pace),
		cmocka_unit_test(reaper__D81_one_alone_ends_at_once),
		cmocka_unit_test(reaper__D81_many_told_at_once_wait_for_their_turn),
		cmocka_unit_test(reaper__D81_those_told_behind_its_back_have_their_turn),
		cmocka_unit_test(reaper__D81_goes_on_whatever_else_happens),
		cmocka_unit_test(reaper__a_turn_looks_at_so_many_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
