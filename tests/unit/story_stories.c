/* What is remembered of connections: how long, of whom, in which order (operate.md 4). */
#include "story/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define MINUTE INT64_C(60000000)
#define NOW    (INT64_C(1800000000) * 1000000)

static const struct net_addr here = { .ip = { [10] = 0xFF, 0xFF, 10, 0, 0, 1 }, .port = 1000 };

static void
refuse(struct stories *st, const char *id, struct str module, enum reason why, int64_t now_us)
{
	story_refused(st, str_of(id), module,
	    &(struct story_event){ .reason = why, .at_us = now_us, .from = here });
}

static struct story_link
link_of(uint64_t number, struct str client)
{
	return (struct story_link){
		.number = number, .from = here, .tls = "TLSv1.3", .client = client
	};
}

static void
visit(struct stories *st, const char *id, uint64_t number, int64_t now_us)
{
	struct story_link link = link_of(number, STR_NONE);

	story_ended(
	    st, story_began(st, str_of(id), STR_NONE, &link, now_us), &link, REASON_LEFT, now_us);
}

static void
story__O10_an_hour_of_connects_is_counted_and_forgotten(void **state)
{
	struct stories *st = stories_new();
	struct story_view v;

	(void)state;
	assert_false(story_read(st, STR("d"), STR_NONE, NOW, &v));
	for (int i = 0; i < 13; i++)
		visit(st, "d", (uint64_t)i + 1, NOW + i * 10 * MINUTE);
	assert_true(story_read(st, STR("d"), STR_NONE, NOW + 120 * MINUTE, &v));
	assert_int_equal(v.nconnect, 6);
	story_read(st, STR("d"), STR_NONE, NOW + 150 * MINUTE, &v);
	assert_int_equal(v.nconnect, 3);
	story_read(st, STR("d"), STR_NONE, NOW + 190 * MINUTE, &v);
	assert_int_equal(v.nconnect, 0);
	visit(st, "d", 99, NOW + 10000 * MINUTE);
	story_read(st, STR("d"), STR_NONE, NOW + 10000 * MINUTE, &v);
	assert_int_equal(v.nconnect, 1);
	visit(st, "d", 100, NOW); /* the clock went back */
	story_read(st, STR("d"), STR_NONE, NOW + 10000 * MINUTE, &v);
	assert_int_equal(v.nconnect, 2);
	stories_free(st);
}

static void
story__O11_the_end_of_an_older_link_is_not_the_newer_ones(void **state)
{
	struct stories *st = stories_new();
	struct story_link one = link_of(1, STR_NONE), two = link_of(2, STR("sdk"));
	struct story *a, *b;
	struct story_view v;

	(void)state;
	one.from.port = 1000;
	two.from.port = 2000;
	a = story_began(st, STR("d"), STR("m"), &one, NOW);
	story_count(&story_counts(a)->received, 7);
	b = story_began(st, STR("d"), STR("m"), &two, NOW + 1);
	story_ended(st, a, &one, REASON_TAKEN_OVER, NOW + 2);
	story_read(st, STR("d"), STR("m"), NOW, &v);
	assert_true(v.connected);
	assert_int_equal(v.received, 0);
	assert_int_equal(v.ended.reason, REASON_TAKEN_OVER);
	assert_int_equal(v.ended.from.port, 1000); /* its own */
	assert_int_equal(v.from.port, 2000);
	assert_true(str_eq(v.client, STR("sdk")));
	refuse(st, "d", STR("m"), REASON_KEY_SIGNATURE, NOW + 3);
	refuse(st, "d", STR("m"), REASON_KEY_SIGNATURE, NOW + 4);
	story_ended(st, b, &two, REASON_KEEP_ALIVE, NOW + 5);
	story_read(st, STR("d"), STR("m"), NOW, &v);
	assert_false(v.connected);
	assert_int_equal(v.ended.reason, REASON_KEEP_ALIVE);
	assert_int_equal(v.nrefused, 2);
	assert_false(story_read(st, STR("d"), STR_NONE, NOW, &v));
	stories_free(st);
}

static void
story__O10_a_long_client_name_is_cut_between_characters(void **state)
{
	struct stories *st = stories_new();
	struct story_view v;
	struct story_link link;
	char name[STORY_CLIENT_MAX + 10];

	(void)state;
	memset(name, 'x', sizeof(name));
	memcpy(name + STORY_CLIENT_MAX - 1, "\xC3\xA9", 2);
	link = link_of(1, (struct str){ name, sizeof(name) });
	story_ended(st, story_began(st, STR("d"), STR_NONE, &link, NOW), &link, REASON_LEFT, NOW);
	story_read(st, STR("d"), STR_NONE, NOW, &v);
	assert_int_equal(v.client.n, STORY_CLIENT_MAX - 1);
	stories_free(st);
}

static void
count(void *ctx, const struct story_view *v)
{
	(void)v;
	++*(unsigned *)ctx;
}

static unsigned
count_all(struct stories *st, enum story_state state)
{
	struct stories_ask ask = { .state = state, .limit = 2 * STORIES_GONE_MAX };
	unsigned n = 0;

	assert_false(stories_list(st, &ask, NOW, count, &n));
	return n;
}

static void
story__O14_strangers_take_no_story_away(void **state)
{
	struct stories *st = stories_new();
	struct story_view v;
	char id[32];

	(void)state;
	visit(st, "known", 1, NOW);
	for (unsigned i = 0; i < 3 * STORIES_CLAIMED_MAX; i++) {
		snprintf(id, sizeof(id), "nobody%u", i);
		refuse(st, id, STR_NONE, REASON_IDENTITY_UNKNOWN, NOW);
	}
	assert_true(story_read(st, STR("known"), STR_NONE, NOW, &v));
	assert_in_range(count_all(st, STORY_ANY), STORIES_CLAIMED_MAX / 2, STORIES_CLAIMED_MAX + 1);
	refuse(st, "no id /", STR_NONE, REASON_USER_NAME, NOW);
	assert_false(story_read(st, STR("no id /"), STR_NONE, NOW, &v));
	stories_free(st);
}

static void
story__O14_of_those_that_have_left_the_oldest_go(void **state)
{
	struct stories *st = stories_new();
	struct story_link link = link_of(1, STR_NONE);
	struct story *first = story_began(st, STR("there"), STR_NONE, &link, NOW);
	struct story_view v;
	char id[32];

	(void)state;
	for (unsigned i = 0; i < STORIES_GONE_MAX + STORIES_GONE_MAX / 4; i++) {
		snprintf(id, sizeof(id), "d%u", i);
		visit(st, id, 1, NOW);
	}
	assert_true(story_read(st, STR("there"), STR_NONE, NOW, &v));
	assert_true(story_read(st, str_of(id), STR_NONE, NOW, &v));
	assert_false(story_read(st, STR("d0"), STR_NONE, NOW, &v));
	assert_in_range(count_all(st, STORY_GONE), STORIES_GONE_MAX / 2, STORIES_GONE_MAX);
	story_ended(st, first, &link, REASON_LEFT, NOW);
	stories_free(st);
}

/* ---- pages ---- */

struct met {
	char ids[64][8];
	unsigned n;
	struct story_view last;
};

static void
meet(void *ctx, const struct story_view *v)
{
	struct met *m = ctx;

	snprintf(m->ids[m->n++], 8, STR_FMT, STR_ARG(v->device));
	m->last = *v;
	m->last.device = (struct str){ m->ids[m->n - 1], v->device.n };
}

static void
walk(struct stories *st, struct stories_ask ask, struct met *m)
{
	bool more = true;

	m->n = 0;
	while (more) {
		unsigned before = m->n;

		more = stories_list(st, &ask, NOW, meet, m);
		assert_true(m->n - before <= ask.limit && (!more || m->n - before == ask.limit));
		ask.after.device = m->last.device;
		ask.after.nconnect = m->last.nconnect;
	}
}

static void
story__O12_pages_have_everybody_once_in_order(void **state)
{
	struct stories *st = stories_new();
	struct met m;
	char id[8];

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		snprintf(id, sizeof(id), "d%02u", i);
		for (unsigned n = 0; n <= i % 4; n++)
			visit(st, id, 1, NOW);
	}
	for (uint32_t limit = 1; limit < 50; limit += 6) {
		walk(st, (struct stories_ask){ .limit = limit }, &m);
		assert_int_equal(m.n, 40);
		for (unsigned i = 0; i + 1 < m.n; i++)
			assert_true(strcmp(m.ids[i], m.ids[i + 1]) < 0);
		walk(st, (struct stories_ask){ .limit = limit, .by_connects = true }, &m);
		assert_int_equal(m.n, 40);
		assert_string_equal(m.ids[0], "d03");
		assert_string_equal(m.ids[9], "d39");
		assert_string_equal(m.ids[10], "d02");
		assert_string_equal(m.ids[39], "d36");
	}
	walk(st, (struct stories_ask){ .limit = 9, .reason = REASON_KICKED }, &m);
	assert_int_equal(m.n, 0);
	stories_free(st);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(story__O10_an_hour_of_connects_is_counted_and_forgotten),
		cmocka_unit_test(story__O11_the_end_of_an_older_link_is_not_the_newer_ones),
		cmocka_unit_test(story__O10_a_long_client_name_is_cut_between_characters),
		cmocka_unit_test(story__O14_strangers_take_no_story_away),
		cmocka_unit_test(story__O14_of_those_that_have_left_the_oldest_go),
		cmocka_unit_test(story__O12_pages_have_everybody_once_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
