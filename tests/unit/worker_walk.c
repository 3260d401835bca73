/* Questions over the shards of several owners are answered as if there were one. */
#include "walk_kit.h"

/* ---- owners that are made up: all of them are this process, asked apart ---- */

static struct owners {
	uint8_t of[SHARDS];
	/* who is asked has not all of the shards any more, now and then, or is not heard of */
	bool forgetful;
	unsigned most; /* shards whose answer can be sent; 0: any */
	unsigned nasked, nlost;
	uint64_t seed;
} owners;

static uint64_t
draw(void)
{
	owners.seed = owners.seed * 6364136223846793005u + 1442695040888963407u;
	return owners.seed >> 33;
}

static int
owner_is(void *ctx, uint32_t shard)
{
	(void)ctx;
	return owners.of[shard] == UINT8_MAX ? -1 : owners.of[shard];
}

static void
owner_asked(void *ctx, int owner, const struct walk_asked *asked, struct walk_call *c)
{
	struct walk_asked some = *asked;

	(void)ctx;
	owners.nasked++;
	for (uint32_t s = 0; s < SHARDS; s++)
		assert_true(!(asked->shards >> s & 1) || owners.of[s] == owner);
	if (owners.forgetful && draw() % 4 == 0) {
		c->lost = true;
		owners.nlost++;
		c->done(c);
		return;
	}
	if (owners.forgetful && draw() % 3 == 0)
		some.shards &= draw() << 32 | draw();
	if (owners.most > 0 && (unsigned)__builtin_popcountll(asked->shards) > owners.most) {
		c->answer.too_large = true;
		fault_set(&c->answer.fault, F_QueryTooLarge, "it is too large");
		c->done(c);
		return;
	}
	fleet_walk(the_kit->fleet, &some, c);
}

static const struct fleet_walks walks = { .self = 1, .owner = owner_is, .ask = owner_asked };

static void
who_has_what(unsigned way)
{
	owners.seed = way;
	for (uint32_t s = 0; s < SHARDS; s++)
		switch (way) {
		case 0: owners.of[s] = 1; break;                   /* this process alone */
		case 1: owners.of[s] = s < 20 ? 0 : s < 40; break; /* stretches */
		case 2: owners.of[s] = s % 3; break;               /* no two beside each other */
		default: owners.of[s] = (uint8_t)(draw() % 4);
		}
}

static void
walk__O265_answers_are_as_of_one_process(void **state)
{
	struct kit *k = *state;
	struct buf expected = { 0 }, got = { 0 };
	struct shard_counts n;

	kit_start(k, 3);
	make_devices(k);
	kit_stop(k);
	kit_start(k, 3);
	all_answers(k, &expected);
	other_answers(k, &expected);
	n = counts(k);
	kit_stop(k);
	k->fo.walks = &walks;
	for (unsigned way = 0; way < 6; way++) {
		struct shard_counts m;

		who_has_what(way);
		owners.nasked = 0;
		kit_start(k, 1 + way % 3);
		got.n = 0;
		all_answers(k, &got);
		other_answers(k, &got);
		m = counts(k);
		kit_stop(k);
		assert_true(way == 0 || owners.nasked > 0);
		assert_memory_equal(&m, &n, sizeof(n));
		same_lines(way, buf_view(&got), buf_view(&expected));
	}
	buf_fini(&expected);
	buf_fini(&got);
}

/* Who is asked has not all of the shards, or says nothing. */
static void
walk__O266_what_was_not_answered_is_asked_again(void **state)
{
	struct kit *k = *state;
	struct buf expected = { 0 }, got = { 0 };

	kit_start(k, 2);
	make_devices(k);
	for (unsigned i = 0; i < 4; i++)
		pages_of(k, few[i], 90, false, &expected);
	kit_stop(k);
	k->fo.walks = &walks;
	owners.forgetful = true;
	owners.nlost = 0;
	for (unsigned way = 2; way < 6; way++) {
		who_has_what(way);
		kit_start(k, 2);
		got.n = 0;
		for (unsigned i = 0; i < 4; i++)
			pages_of(k, few[i], 90, false, &got);
		kit_stop(k);
		same_lines(way, buf_view(&got), buf_view(&expected));
	}
	owners.forgetful = false;
	assert_true(owners.nlost > 0);
	buf_fini(&expected);
	buf_fini(&got);
}

/* Rows of many megabytes: a page is made of many parts; and groups that cannot be sent for all shards at once. */
static void
walk__O268_what_is_large_comes_in_parts(void **state)
{
	struct kit *k = *state;
	struct buf expected = { 0 }, got = { 0 }, patch = { 0 };

	kit_start(k, 2);
	make_devices(k);
	buf_cstr(&patch, "{'properties':{'desired':{");
	for (unsigned i = 0; i < 8; i++)
		buf_printf(&patch, "%s'x%u':'%03900d'", i > 0 ? "," : "", i, 7);
	buf_cstr(&patch, "}}}");
	buf_putc(&patch, '\0');
	for (unsigned i = 0; i < FLEET; i++) {
		char id[16];

		snprintf(id, sizeof(id), "d%u", i);
		kit_send(k, OP_TWIN_PATCH, id, patch.p);
	}
	kit_await(k, k->nback == FLEET);
	kit_forget(k);
	kit_stop(k);
	kit_start(k, 2);
	pages_of(k, "SELECT * FROM devices", 1000, false, &expected);
	assert_true(expected.n > 3 * WALK_PAGE_BYTES);
	for (unsigned i = 1; i < 4; i++)
		pages_of(k, few[i], 90, false, &expected);
	kit_stop(k);
	k->fo.walks = &walks;
	owners.most = 3;
	for (unsigned way = 1; way < 4; way++) {
		who_has_what(way);
		kit_start(k, 2);
		got.n = 0;
		owners.most = 0; /* pages are not too large */
		pages_of(k, "SELECT * FROM devices", 1000, false, &got);
		owners.most = 3;
		for (unsigned i = 1; i < 4; i++)
			pages_of(k, few[i], 90, false, &got);
		kit_stop(k);
		same_lines(way, buf_view(&got), buf_view(&expected));
	}
	owners.most = 0;
	buf_fini(&expected);
	buf_fini(&got);
	buf_fini(&patch);
}

/* Nobody has a shard: the question fails when its time is over, and names it. */
static void
walk__O267_a_shard_that_nobody_has_is_named(void **state)
{
	struct kit *k = *state;
	struct tour *w;

	who_has_what(1);
	owners.of[43] = UINT8_MAX;
	k->fo.walks = &walks;
	k->fo.tour_us = SECOND / 5;
	kit_start(k, 2);
	for (unsigned i = 0; i < 4; i++) {
		w = kit_do_tour(k, kit_tour(k, few[i], 100));
		assert_int_equal(w->task->fault.code, F_ServiceUnavailable);
		assert_non_null(strstr(w->task->fault.text, "shard 43 "));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(walk__O265_answers_are_as_of_one_process),
		kit_test(walk__O266_what_was_not_answered_is_asked_again),
		kit_test(walk__O268_what_is_large_comes_in_parts),
		kit_test(walk__O267_a_shard_that_nobody_has_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
