/* A node's step, one input at a time. What several of them do together is the simulator's (tests/sim/cluster). */
#include "cluster/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S INT64_C(1000000)

/* Two nodes, a (which is looked at) and b, and two shards. */
struct rig {
	struct cluster *c;
	struct cluster_outputs out;
	struct cluster_view view;
	int64_t now_us, beat, common, least;
	bool standby;
	int64_t wall_off_us;
};

static void
step(struct rig *r, struct cluster_input in)
{
	cluster_step(r->c, &in, r->now_us, &r->out);
}

static const struct cluster_do *
put_out(const struct rig *r, enum cluster_do_what what)
{
	for (unsigned i = 0; i < r->out.n; i++)
		if (r->out.v[i].what == what)
			return &r->out.v[i];
	return NULL;
}

static const struct cluster_do *
asked(const struct rig *r, enum cluster_question q)
{
	for (unsigned i = 0; i < r->out.n; i++)
		if (r->out.v[i].what == CLUSTER_ASK && r->out.v[i].question == q)
			return &r->out.v[i];
	return NULL;
}

static void
answer(struct rig *r, enum cluster_conn conn, enum cluster_answer a)
{
	step(r, (struct cluster_input){ .what = CLUSTER_ANSWER, .conn = conn, .answer = a });
}

/* Of the beat that is under way. */
static void
beat_answered(struct rig *r)
{
	struct cluster_view *v = &r->view;

	v->nodes[0].beat = ++r->beat;
	step(r,
	    (struct cluster_input){ .what = CLUSTER_ANSWER,
	        .conn = CLUSTER_BEAT,
	        .beat = r->beat,
	        .common = r->common,
	        .least = r->least,
	        .synchronous = r->standby,
	        .clock_us = r->now_us,
	        .wall_us = r->now_us + r->wall_off_us,
	        .view = v });
}

/* The next one is sent, and answered after so long. */
static void
beats(struct rig *r, int64_t after_us)
{
	r->now_us += S;
	step(r, (struct cluster_input){ .what = CLUSTER_TICK });
	assert_non_null(asked(r, CLUSTER_ASK_BEAT));
	r->now_us += after_us;
	beat_answered(r);
}

static void
rig_init(struct rig *r)
{
	struct cluster_options o = { .node = "a", .shards = 2, .hosts = 2, .times = cluster_times };

	*r = (struct rig){ .c = cluster_new(&o),
		.now_us = 100 * S,
		.common = 1,
		.least = INT64_MAX,
		.standby = true };
	r->view.nnode = 2;
	r->view.nodes[0] = (struct cluster_node){ .id = "a", .generation = 7, .takes = true };
	r->view.nodes[1] =
	    (struct cluster_node){ .id = "b", .generation = 3, .beat = 5, .takes = true };
	for (int s = 0; s < 2; s++)
		r->view.rows[s] =
		    (struct cluster_row){ .epoch = 4, .pos = 10, .owner = 1, .generation = 3 };
	step(r, (struct cluster_input){ .what = CLUSTER_TICK });
	answer(r, CLUSTER_WORK, CLUSTER_OK);
	assert_non_null(asked(r, CLUSTER_LOOK));
	answer(r, CLUSTER_WORK, CLUSTER_OK);
	assert_non_null(asked(r, CLUSTER_BEGIN));
	step(r,
	    (struct cluster_input){
	        .what = CLUSTER_ANSWER, .conn = CLUSTER_WORK, .generation = 7 });
	assert_non_null(asked(r, CLUSTER_DIAL));
	answer(r, CLUSTER_BEAT, CLUSTER_OK);
	assert_non_null(asked(r, CLUSTER_ASK_BEAT));
}

/* With the first version in force. */
static void
rig_leased(struct rig *r)
{
	rig_init(r);
	beat_answered(r);
	assert_int_equal(put_out(r, CLUSTER_APPLY)->common, 1);
	step(r, (struct cluster_input){ .what = CLUSTER_IN_FORCE });
}

static uint64_t
holds(const struct rig *r)
{
	return cluster_holds(cluster_lease(r->c), r->now_us);
}

static void
lease__O195_counts_from_when_the_beat_was_sent(void **state)
{
	struct rig r;

	(void)state;
	rig_leased(&r);
	beats(&r, S / 2);
	assert_true(cluster_lease(r.c).until_us == r.now_us - S / 2 + 4 * S);
	assert_int_equal(holds(&r), 1);
	r.now_us += 7 * S / 2;
	assert_int_equal(holds(&r), 0);
	cluster_free(r.c);
}

static void
lease__O195_that_had_ended_is_another_run(void **state)
{
	struct rig r;

	(void)state;
	rig_leased(&r);
	beats(&r, 0);
	assert_int_equal(holds(&r), 1);
	r.now_us += 10 * S;
	beats(&r, 0);
	assert_int_equal(holds(&r), 2);
	cluster_free(r.c);
}

static void
lease__waits_for_the_version_that_the_beat_has_named(void **state)
{
	struct rig r;
	int64_t until_us;

	(void)state;
	rig_init(&r);
	beat_answered(&r);
	assert_int_equal(holds(&r), 0);
	step(&r, (struct cluster_input){ .what = CLUSTER_IN_FORCE });
	until_us = cluster_lease(r.c).until_us;
	assert_int_equal(holds(&r), 1);
	r.common = 2;
	beats(&r, 0);
	assert_int_equal(put_out(&r, CLUSTER_APPLY)->common, 2);
	assert_true(cluster_lease(r.c).until_us == until_us);
	r.common = 3;
	beats(&r, 0);
	step(&r, (struct cluster_input){ .what = CLUSTER_IN_FORCE });
	assert_true(cluster_lease(r.c).until_us == until_us + S);
	assert_int_equal(put_out(&r, CLUSTER_APPLY)->common, 3);
	cluster_free(r.c);
}

/* What each has in force rides on its beats; the answer of a change waits for one that was sent since, and for the last of all. */
static void
spread__O274_is_what_all_have_in_force_as_of_a_beat_sent_since(void **state)
{
	struct cluster_spread at;
	struct rig r;

	(void)state;
	rig_leased(&r);
	r.least = 1;
	beats(&r, 0);
	r.now_us += S / 10;
	r.common = 2;
	step(&r, (struct cluster_input){ .what = CLUSTER_HURRY });
	assert_non_null(asked(&r, CLUSTER_ASK_BEAT));
	assert_int_equal(asked(&r, CLUSTER_ASK_BEAT)->common, 1);
	at = cluster_spread(r.c);
	assert_true(at.others && at.named == 1 && at.least == 1 && at.sent_us < r.now_us);
	beat_answered(&r);
	at = cluster_spread(r.c);
	assert_true(at.named == 2 && at.least == 1 && at.sent_us == r.now_us);
	step(&r, (struct cluster_input){ .what = CLUSTER_IN_FORCE });
	assert_int_equal(asked(&r, CLUSTER_ASK_BEAT)->common,
	    2); /* who waits need not wait for the next that is due */
	r.least = 2;
	beat_answered(&r);
	assert_int_equal(cluster_spread(r.c).least, 2);
	/* one that is revoked beats no more: its lease is waited for, not its row, which may stand there for ever */
	r.view.nodes[1].state = CLUSTER_REVOKED;
	r.least = INT64_MAX;
	for (int i = 0; i < 7; i++) {
		beats(&r, 0);
		assert_int_equal(cluster_spread(r.c).least, i < 6 ? 0 : 2);
	}
	cluster_free(r.c);
}

/* Else five of them in one second, before the database is slow for all, would be a node's death. */
static void
death__O274_is_not_counted_by_beats_that_were_not_due(void **state)
{
	struct rig r;

	(void)state;
	rig_leased(&r);
	for (int i = 0; i < 10; i++) {
		r.now_us += S / 100;
		step(&r, (struct cluster_input){ .what = CLUSTER_HURRY });
		assert_non_null(asked(&r, CLUSTER_ASK_BEAT));
		beat_answered(&r);
	}
	r.now_us += 7 * S;
	step(&r, (struct cluster_input){ .what = CLUSTER_TICK });
	beat_answered(&r);
	assert_null(asked(&r, CLUSTER_BURY));
	cluster_free(r.c);
}

static void
ends_with(const struct rig *r, enum cluster_end code)
{
	assert_non_null(put_out(r, CLUSTER_END));
	assert_int_equal(put_out(r, CLUSTER_END)->code, code);
	assert_int_equal(holds(r), 0);
}

static void
beat__O195_of_one_that_is_buried_is_the_end(void **state)
{
	struct rig r;

	(void)state;
	rig_leased(&r);
	r.now_us += S;
	step(&r, (struct cluster_input){ .what = CLUSTER_TICK });
	answer(&r, CLUSTER_BEAT, CLUSTER_DEAD);
	ends_with(&r, CLUSTER_REPLACED);
	step(&r, (struct cluster_input){ .what = CLUSTER_TICK });
	assert_int_equal(r.out.n, 0);
	cluster_free(r.c);
}

/* Of a shard of another's, too: whoever has it may be dead, and not notice. */
static void
beat__O195_that_shows_less_than_one_before_is_the_end(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct rig r;

		(void)state;
		rig_leased(&r);
		if (i == 0)
			r.beat = -1;
		else if (i == 1)
			r.view.rows[1].pos--;
		else
			r.view.rows[1].epoch--;
		beats(&r, 0);
		ends_with(&r, CLUSTER_HISTORY);
		cluster_free(r.c);
	}
}

static void
death__O196_is_six_seconds_of_silence_and_five_beats(void **state)
{
	struct rig r;

	(void)state;
	rig_leased(&r);
	for (int i = 0; i < 5; i++) {
		beats(&r, 0);
		assert_null(asked(&r, CLUSTER_BURY));
	}
	r.now_us += S;
	step(&r, (struct cluster_input){ .what = CLUSTER_TICK });
	assert_string_equal(asked(&r, CLUSTER_BURY)->node, "b");
	assert_int_equal(asked(&r, CLUSTER_BURY)->beat, 5);
	answer(&r, CLUSTER_WORK, CLUSTER_OK);
	assert_non_null(asked(&r, CLUSTER_KILL));
	answer(&r, CLUSTER_WORK, CLUSTER_OK);
	assert_int_equal(asked(&r, CLUSTER_TAKE)->epoch, 4);
	cluster_free(r.c);
}

/* After a failover nobody is dead at once. */
static void
death__O196_is_of_one_connection(void **state)
{
	struct rig r;

	(void)state;
	rig_leased(&r);
	for (int i = 0; i < 5; i++)
		beats(&r, 0);
	r.now_us += S;
	step(&r, (struct cluster_input){ .what = CLUSTER_TICK });
	answer(&r, CLUSTER_BEAT, CLUSTER_LOST);
	assert_int_equal(asked(&r, CLUSTER_DIAL)->host, 1); /* the next one of the list */
	r.now_us += S;
	answer(&r, CLUSTER_BEAT, CLUSTER_OK);
	assert_null(asked(&r, CLUSTER_BURY));
	beat_answered(&r);
	assert_null(asked(&r, CLUSTER_BURY));
	cluster_free(r.c);
}

/* Both shards are nobody's: as buried. */
static void
b_is_dead(struct rig *r)
{
	r->view.nodes[1].state = CLUSTER_BURIED;
}

static void
take__O196_one_shard_after_the_other_each_read_before_the_next(void **state)
{
	struct rig r;
	int64_t epoch, pos;

	(void)state;
	rig_leased(&r);
	b_is_dead(&r);
	beats(&r, 0);
	for (unsigned s = 0; s < 2; s++) {
		assert_int_equal(asked(&r, CLUSTER_TAKE)->shard, s);
		step(&r,
		    (struct cluster_input){
		        .what = CLUSTER_ANSWER, .conn = CLUSTER_WORK, .epoch = 5, .pos = 10 });
		assert_int_equal(put_out(&r, CLUSTER_LOAD)->shard, s);
		assert_null(asked(&r, CLUSTER_TAKE));
		assert_false(cluster_fence(r.c, s, &epoch, &pos));
		step(&r, (struct cluster_input){ .what = CLUSTER_LOADED, .shard = s });
		assert_int_equal(put_out(&r, CLUSTER_ATTACH)->shard, s);
		assert_true(cluster_fence(r.c, s, &epoch, &pos));
		assert_int_equal(epoch, 5);
	}
	cluster_free(r.c);
}

static void
take__O196_not_by_a_node_whose_clock_is_wrong(void **state)
{
	struct rig r;

	(void)state;
	rig_leased(&r);
	b_is_dead(&r);
	r.wall_off_us = 11 * S;
	beats(&r, 0);
	assert_non_null(put_out(&r, CLUSTER_SAY));
	for (int i = 0; i < 5; i++) {
		beats(&r, 0);
		assert_null(asked(&r, CLUSTER_TAKE));
	}
	r.wall_off_us = 0;
	beats(&r, 0);
	assert_non_null(put_out(&r, CLUSTER_SAY));
	assert_non_null(asked(&r, CLUSTER_TAKE));
	cluster_free(r.c);
}

static void
durable__is_said_of_a_primary_that_waits_for_nobody(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	r.standby = false;
	beat_answered(&r);
	assert_false(put_out(&r, CLUSTER_DURABLE)->yes);
	assert_non_null(put_out(&r, CLUSTER_SAY));
	step(&r, (struct cluster_input){ .what = CLUSTER_IN_FORCE });
	r.standby = true;
	beats(&r, 0);
	assert_true(put_out(&r, CLUSTER_DURABLE)->yes);
	cluster_free(r.c);
}

static unsigned
placed(const int place[CLUSTER_SHARDS_MAX], int node)
{
	unsigned n = 0;

	for (int s = 0; s < 64; s++)
		n += place[s] == node;
	return n;
}

static void
place__O196_quotas_are_even_and_few_shards_move(void **state)
{
	struct cluster_view v = { .nnode = 4 };
	int three[CLUSTER_SHARDS_MAX], two[CLUSTER_SHARDS_MAX], moved = 0;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		v.nodes[i] = (struct cluster_node){ .id = { (char)('d' - i) }, .takes = i != 3 };
	cluster_place(&v, 64, three);
	assert_int_equal(placed(three, 0) + placed(three, 1) + placed(three, 2), 64);
	for (int i = 0; i < 3; i++)
		assert_in_range(placed(three, i), 21, 22);
	v.nodes[1].state = CLUSTER_DRAINING;
	cluster_place(&v, 64, two);
	assert_int_equal(placed(two, 0), 32);
	assert_int_equal(placed(two, 2), 32);
	for (int s = 0; s < 64; s++)
		moved += three[s] != two[s] && three[s] != 1;
	assert_in_range(moved, 0, 16);
	v.nodes[0].state = v.nodes[2].state = CLUSTER_BURIED;
	cluster_place(&v, 64, two);
	assert_int_equal(placed(two, -1), 64);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lease__O195_counts_from_when_the_beat_was_sent),
		cmocka_unit_test(lease__O195_that_had_ended_is_another_run),
		cmocka_unit_test(lease__waits_for_the_version_that_the_beat_has_named),
		cmocka_unit_test(spread__O274_is_what_all_have_in_force_as_of_a_beat_sent_since),
		cmocka_unit_test(death__O274_is_not_counted_by_beats_that_were_not_due),
		cmocka_unit_test(beat__O195_of_one_that_is_buried_is_the_end),
		cmocka_unit_test(beat__O195_that_shows_less_than_one_before_is_the_end),
		cmocka_unit_test(death__O196_is_six_seconds_of_silence_and_five_beats),
		cmocka_unit_test(death__O196_is_of_one_connection),
		cmocka_unit_test(take__O196_one_shard_after_the_other_each_read_before_the_next),
		cmocka_unit_test(take__O196_not_by_a_node_whose_clock_is_wrong),
		cmocka_unit_test(durable__is_said_of_a_primary_that_waits_for_nobody),
		cmocka_unit_test(place__O196_quotas_are_even_and_few_shards_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
