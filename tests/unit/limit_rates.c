/* Buckets, rules, and the table of what askers have taken. Time is an argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "limit/limit.h"
#include "rnd.h"

#include <cmocka.h>

#define SECOND INT64_C(1000000000)
#define TIMES  20000u

/* ---- a bucket ---- */

/* No span of `span_ns`, wherever it begins, has more than `most` of those times. */
static void
check_spans(const int64_t *at, size_t n, int64_t span_ns, size_t most)
{
	for (size_t first = 0, last = 0; last < n; last++) {
		while (at[last] - at[first] > span_ns)
			first++;
		assert_in_range(last - first + 1, 1, most);
	}
}

static void
bucket__no_span_has_more_than_burst_and_rate(void **state)
{
	static int64_t at[TIMES];
	struct rnd r = { 6 };

	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		struct limit_rate rate = { 1000 + rnd_below(&r, 50000000), 1 + rnd_below(&r, 50) };
		int64_t now = 7 * SECOND, until = 0, wait;
		size_t n = 0;

		while (n < TIMES / 10) {
			if (limit_take(&until, &rate, now, &wait))
				at[n++] = now;
			else if (rnd_below(&r, 2) == 0)
				now += wait;
			now += rnd_below(&r, 3) == 0 ? rnd_below(&r, 1 + 2 * (uint32_t)rate.each_ns)
			                             : 0;
		}
		for (int64_t span = rate.each_ns; span < 100 * rate.each_ns; span *= 3)
			check_spans(at, n, span, rate.burst + (size_t)(span / rate.each_ns));
	}
}

/* Who asks when it is told to gets one then, not before. */
static void
bucket__says_when_to_ask_again(void **state)
{
	const struct limit_rate rate = { SECOND / 10, 3 };
	int64_t now = SECOND, until = 0, wait = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_true(limit_take(&until, &rate, now, &wait));
	for (int i = 0; i < 20; i++) {
		assert_false(limit_take(&until, &rate, now, &wait));
		assert_int_equal(wait, SECOND / 10);
		assert_false(limit_take(&until, &rate, now + wait - 1, &wait));
		now += SECOND / 10;
		assert_true(limit_take(&until, &rate, now, &wait));
	}
	/* a rest fills it, and no fuller than it was */
	now += 100 * SECOND;
	for (int i = 0; i < 3; i++)
		assert_true(limit_take(&until, &rate, now, &wait));
	assert_false(limit_take(&until, &rate, now, &wait));
}

static void
bucket__many_at_once_are_a_debt(void **state)
{
	const struct limit_rate rate = { SECOND, 2 };
	int64_t until = 0, wait;

	(void)state;
	assert_true(limit_take(&until, &rate, SECOND, &wait));
	limit_owe(&until, &rate, 99, SECOND);
	assert_false(limit_take(&until, &rate, SECOND, &wait));
	assert_int_equal(wait, 99 * SECOND);
	assert_true(limit_take(&until, &rate, 100 * SECOND, &wait));
}

static void
bucket__D81_no_second_has_more_whenever_they_are_asked_for(void **state)
{
	static const uint32_t most[] = { 1000, 500, 250, 62, 15 };
	static int64_t at[TIMES];
	struct rnd r = { 81 };

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		uint32_t m = most[round % 5];
		struct limit_rate rate = limit_a_second(m);
		int64_t now = 5 * SECOND, until = 0, wait;
		size_t n = 0;

		while (n < TIMES && now < 15 * SECOND) {
			if (limit_take(&until, &rate, now, &wait))
				at[n++] = now;
			else if (rnd_below(&r, 8) == 0)
				now += wait;
			now +=
			    rnd_below(&r, 3) == 0 ? rnd_below(&r, 1 + 4000000 * (round % 10)) : 0;
		}
		check_spans(at, n, SECOND, m);
	}
}

/* Who asks when it is told to gets nearly all of them. */
static void
bucket__D81_is_nearly_used_up(void **state)
{
	(void)state;
	for (uint32_t m = 15; m <= 1000; m *= 2) {
		struct limit_rate rate = limit_a_second(m);
		int64_t now = 5 * SECOND, until = 0, wait;
		uint32_t n = 0;

		while (now < 15 * SECOND) {
			if (limit_take(&until, &rate, now, &wait))
				n++;
			else
				now += wait;
		}
		assert_in_range(n, m * 88 / 10, m * 10);
	}
}

/* ---- rules ---- */

static void
rules__L94_are_read(void **state)
{
	static const struct {
		const char *text;
		enum limit_whose whose;
		enum limit_kind kind;
		int64_t each_ns;
		uint32_t burst;
	} good[] = {
		{ "device:updates=10/s", LIMIT_DEVICE, LIMIT_UPDATES, SECOND / 10, 10 },
		{ "module:reads=1/s", LIMIT_MODULE, LIMIT_READS, SECOND, 1 },
		{ "policy:queries=20/m,5", LIMIT_POLICY, LIMIT_QUERIES, 3 * SECOND, 5 },
		{ "address:connections=100/s,1000", LIMIT_ADDRESS, LIMIT_CONNECTIONS, SECOND / 100,
		    1000 },
		{ "policy:registry=6000/h", LIMIT_POLICY, LIMIT_REGISTRY, 600000000, 1 },
		{ "device:sends=1/d", LIMIT_DEVICE, LIMIT_SENDS, 86400 * SECOND, 1 },
		{ "policy:configurations=1000000/s", LIMIT_POLICY, LIMIT_CONFIGURATIONS, 1000,
		    1000000 },
	};
	struct limit_rules rules = { 0 };
	char why[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct limit_rate *r = &rules.rate[good[i].whose][good[i].kind];

		assert_int_equal(
		    limit_rule_parse(str_of(good[i].text), &rules, why, sizeof(why)), ERR_OK);
		assert_int_equal(r->each_ns, good[i].each_ns);
		assert_int_equal(r->burst, good[i].burst);
		assert_int_equal(rules.n, i + 1);
	}
	assert_int_equal(
	    limit_rule_parse(STR("device:updates=11/s"), &rules, why, sizeof(why)), ERR_ARG);
	assert_string_equal(why, "there are two rate limits for device:updates");
	assert_int_equal(rules.rate[LIMIT_DEVICE][LIMIT_UPDATES].burst, 10);
}

static void
rules__L94_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { "", "device", "device:updates",
		"device:updates=", "device:updates=10", "device:updates=10/", "device:updates=10/y",
		"device:updates=0/s", "device:updates=-1/s", "device:updates=1.5/s",
		"device:updates=1000001/s", "device:updates=10/s,", "device:updates=10/s,0",
		"device:updates=10/s,1,2", "Device:updates=10/s", "hub(a):updates=10/s",
		"policy():updates=1/s", "policy(a:updates=1/s", "device(a):updates=1/s",
		"device:all=10/s", " device:updates=10/s",
		"device:updates=99999999999999999999/s" };
	const struct limit_rules none = { 0 };
	struct limit_rules rules = { 0 };

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char why[256] = "";

		assert_int_equal(
		    limit_rule_parse(str_of(bad[i]), &rules, why, sizeof(why)), ERR_ARG);
		assert_non_null(strstr(why, "is no rate limit"));
		assert_memory_equal(&rules, &none, sizeof(rules));
	}
}

/* Who wrote one of these believes that something is limited. */
static void
rules__L94_that_would_not_do_what_they_say_are_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "device:methods=1/s", "no device asks for methods" },
		{ "device:queries=1/s", "no device asks for queries" },
		{ "module:jobs=1/s", "no module asks for jobs" },
		{ "module:configurations=1/s", "no module asks for configurations" },
		{ "device:sends=1/d,1000000", "more than a year until 1000000 may be done" },
		{ "policy:queries=1/d,367", "more than a year until 367 may be done" },
	};
	const struct limit_rules none = { 0 };
	struct limit_rules rules = { 0 };
	char why[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
		    limit_rule_parse(str_of(bad[i].text), &rules, why, sizeof(why)), ERR_ARG);
		assert_non_null(strstr(why, bad[i].why));
		assert_memory_equal(&rules, &none, sizeof(rules));
	}
	assert_int_equal(
	    limit_rule_parse(STR("policy:queries=1/d,366"), &rules, why, sizeof(why)), ERR_OK);
}

/* ---- askers ---- */

static struct limits
limits_of(const char *rule, const char *other, uint64_t nidentity)
{
	struct limit_rules rules = { 0 };
	struct limits l;
	char why[256];

	assert_int_equal(limit_rule_parse(str_of(rule), &rules, why, sizeof(why)), ERR_OK);
	if (other != NULL)
		assert_int_equal(limit_rule_parse(str_of(other), &rules, why, sizeof(why)), ERR_OK);
	limits_init(&l, &rules, nidentity);
	return l;
}

static void
limits__L95_each_asker_and_kind_has_its_own(void **state)
{
	struct limits l = limits_of("device:updates=1/s,2", "device:reads=1/s", 3);
	struct limit_asker a = { .key = { [LIMIT_DEVICE] = 1 } },
	                   b = { .key = { [LIMIT_DEVICE] = 2 } },
	                   policy = { .key = { [LIMIT_POLICY] = 1 } };
	struct limit_refusal why;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_true(limits_take(&l, LIMIT_UPDATES, &a, SECOND, &why));
	assert_false(limits_take(&l, LIMIT_UPDATES, &a, SECOND, &why));
	assert_int_equal(why.whose, LIMIT_DEVICE);
	assert_int_equal(why.kind, LIMIT_UPDATES);
	assert_int_equal(why.wait_ns, SECOND);
	assert_true(limits_take(&l, LIMIT_READS, &a, SECOND, &why));
	assert_true(limits_take(&l, LIMIT_UPDATES, &b, SECOND, &why));
	for (int i = 0; i < 100; i++) {
		assert_true(limits_take(&l, LIMIT_METHODS, &a, SECOND, &why));
		assert_true(limits_take(&l, LIMIT_UPDATES, &policy, SECOND, &why));
	}
	limits_fini(&l);
}

/* What one rule refuses takes nothing by another. */
static void
limits__L95_what_is_refused_takes_nothing(void **state)
{
	struct limits l = limits_of("policy:updates=1/s,5", "address:updates=1/s,1", 3);
	struct limit_asker one = { .key = { [LIMIT_POLICY] = 1, [LIMIT_ADDRESS] = 1 } },
	                   other = one;
	struct limit_refusal why;

	(void)state;
	assert_true(limits_take(&l, LIMIT_UPDATES, &one, SECOND, &why));
	for (int i = 0; i < 10; i++) {
		assert_false(limits_take(&l, LIMIT_UPDATES, &one, SECOND, &why));
		assert_int_equal(why.whose, LIMIT_ADDRESS);
	}
	for (uint64_t i = 0; i < 4; i++) {
		other.key[LIMIT_ADDRESS] = 10 + i;
		assert_true(limits_take(&l, LIMIT_UPDATES, &other, SECOND, &why));
	}
	other.key[LIMIT_ADDRESS] = 99;
	assert_false(limits_take(&l, LIMIT_UPDATES, &other, SECOND, &why));
	assert_int_equal(why.whose, LIMIT_POLICY);
	limits_fini(&l);
}

/* A million others come and go: one that is at its limit is still refused while it matters, for fuller buckets go first. */
static void
limits__strangers_push_out_full_buckets_first(void **state)
{
	struct limits l = limits_of("device:updates=1/h,3", NULL, 3);
	struct limit_asker mine = { .key = { [LIMIT_DEVICE] = UINT64_C(0x1234567) } }, other = mine;
	struct limit_refusal why;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_true(limits_take(&l, LIMIT_UPDATES, &mine, SECOND, &why));
	for (uint64_t i = 1; i <= 1000000; i++) {
		other.key[LIMIT_DEVICE] = i * UINT64_C(0x9E3779B97F4A7C15);
		assert_true(limits_take(&l, LIMIT_UPDATES, &other, SECOND, &why));
	}
	assert_false(limits_take(&l, LIMIT_UPDATES, &mine, SECOND, &why));
	limits_fini(&l);
}

/* Each of the fleet asks once a minute, as it may; one asks all the time, and gets no more than that. */
static void
limits__none_is_forgotten_in_a_fleet_that_uses_what_it_may(void **state)
{
	const uint64_t fleet = 300000, minute_ns = 60 * (uint64_t)SECOND;
	struct limits l = limits_of("device:updates=1/m", NULL, fleet);
	struct limit_asker mine = { .key = { [LIMIT_DEVICE] = UINT64_C(0x1234567) } }, other = mine;
	struct limit_refusal why;
	unsigned n = 0;

	(void)state;
	for (uint64_t i = 0; i < 5 * fleet; i++) {
		int64_t now_ns = SECOND + (int64_t)(i * (minute_ns / fleet));

		other.key[LIMIT_DEVICE] = (1 + i % fleet) * UINT64_C(0x9E3779B97F4A7C15);
		assert_true(limits_take(&l, LIMIT_UPDATES, &other, now_ns, &why));
		n += limits_take(&l, LIMIT_UPDATES, &mine, now_ns, &why);
	}
	assert_in_range(n, 5, 6);
	limits_fini(&l);
}

/* Names that are only looked up leave no trace, and push nobody out. */
static void
limits__a_look_takes_nothing(void **state)
{
	struct limits l = limits_of("device:connections=1/h", NULL, 3);
	struct limit_asker mine = { .key = { [LIMIT_DEVICE] = 5 } }, other = mine;
	struct limit_refusal why;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_true(limits_allow(&l, LIMIT_CONNECTIONS, &mine, SECOND, &why));
	assert_true(limits_take(&l, LIMIT_CONNECTIONS, &mine, SECOND, &why));
	for (uint64_t i = 0; i < 1000000; i++) {
		other.key[LIMIT_DEVICE] = 6 + i;
		assert_true(limits_allow(&l, LIMIT_CONNECTIONS, &other, SECOND, &why));
	}
	assert_false(limits_allow(&l, LIMIT_CONNECTIONS, &mine, SECOND, &why));
	assert_int_equal(why.whose, LIMIT_DEVICE);
	assert_int_equal(why.wait_ns, 3600 * SECOND);
	limits_fini(&l);
}

static void
limits__R101_L97_say_whose_limit_and_how_long(void **state)
{
	struct limit_refusal why = {
		.kind = LIMIT_UPDATES, .whose = LIMIT_DEVICE, .wait_ns = SECOND / 3
	};
	struct fault f = { 0 };

	(void)state;
	limit_fault(&why, &f);
	assert_int_equal(f.code, F_DeviceThrottlingLimitExceeded);
	assert_string_equal(f.text,
	    "request has been throttled, wait 1 seconds, operation type updates, by the rate limit "
	    "of each "
	    "device");
	why = (struct limit_refusal){
		.kind = LIMIT_QUERIES, .whose = LIMIT_POLICY, .wait_ns = 3 * SECOND + 1
	};
	limit_fault(&why, &f);
	assert_int_equal(f.code, F_ThrottlingException);
	assert_non_null(strstr(f.text, "wait 4 seconds, operation type queries"));
}

static void
rules__O280_of_several_nodes_each_has_its_part(void **state)
{
	static const char *const said[] = { "device:updates=10/s", "policy:queries=20/s",
		"hub:sends=90/s,30", "address:connections=1/m", "policy(team-a):updates=100/s",
		"module:updates=none" };
	static struct limit_rules rules, part;
	char why[256];

	(void)state;
	rules = (struct limit_rules){ .daily = 1000 };
	for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++)
		if (limit_rule_parse(str_of(said[i]), &rules, why, sizeof(why)) != ERR_OK)
			fail_msg("%s: %s", said[i], why);
	part = rules;
	limit_rules_divide(&part, 3);
	for (unsigned kind = 0; kind < LIMIT_KINDS; kind++) {
		for (unsigned whose = 0; whose < LIMIT_WHOSE; whose++) {
			const struct limit_rate *all = &rules.rate[whose][kind],
			                        *one = &part.rate[whose][kind];
			bool stays = whose == LIMIT_DEVICE || whose == LIMIT_MODULE;

			assert_true(one->each_ns == all->each_ns * (stays ? 1 : 3));
			assert_true(one->burst ==
			    (stays || all->burst == 0 ? all->burst
			            : all->burst < 3  ? 1
			                              : all->burst / 3));
		}
		assert_true(
		    part.named[0].rate[kind].each_ns == 3 * rules.named[0].rate[kind].each_ns);
	}
	assert_int_equal(part.daily, 333);
	assert_int_equal(rules.nnamed, 1);
	part = rules;
	limit_rules_divide(&part, 1);
	assert_memory_equal(&part, &rules, sizeof(part));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bucket__no_span_has_more_than_burst_and_rate),
		cmocka_unit_test(bucket__says_when_to_ask_again),
		cmocka_unit_test(bucket__many_at_once_are_a_debt),
		cmocka_unit_test(bucket__D81_no_second_has_more_whenever_they_are_asked_for),
		cmocka_unit_test(bucket__D81_is_nearly_used_up),
		cmocka_unit_test(rules__L94_are_read),
		cmocka_unit_test(rules__L94_that_are_none_are_refused),
		cmocka_unit_test(rules__L94_that_would_not_do_what_they_say_are_refused),
		cmocka_unit_test(limits__L95_each_asker_and_kind_has_its_own),
		cmocka_unit_test(limits__L95_what_is_refused_takes_nothing),
		cmocka_unit_test(limits__strangers_push_out_full_buckets_first),
		cmocka_unit_test(limits__none_is_forgotten_in_a_fleet_that_uses_what_it_may),
		cmocka_unit_test(limits__a_look_takes_nothing),
		cmocka_unit_test(rules__O280_of_several_nodes_each_has_its_part),
		cmocka_unit_test(limits__R101_L97_say_whose_limit_and_how_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
