/* Rates of the hub, shares of them, rules by name, editions and the day's messages. Time is an argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "limit/limit.h"
#include "rnd.h"

#include <cmocka.h>

#define SECOND INT64_C(1000000000)
#define NOW    (7 * SECOND)

enum who { A, B, NET, STRANGER, WHO };

static char why_text[256];

static void
rule(struct limit_rules *rules, const char *text)
{
	assert_int_equal(limit_rule_parse(str_of(text), rules, why_text, sizeof(why_text)), ERR_OK);
}

static void
share(struct limit_rules *rules, const char *key, uint64_t percent)
{
	assert_int_equal(
	    limit_share_set(rules, str_of(key), percent, why_text, sizeof(why_text)), ERR_OK);
}

/* Keys of policies are the caller's to set: here their first letter. */
static void
begin(struct limits *l, struct limit_rules *rules)
{
	for (unsigned i = 0; i < rules->nnamed; i++)
		if (rules->named[i].whose == LIMIT_POLICY)
			rules->named[i].key = (uint8_t)rules->named[i].name[0];
	limits_init(l, rules, 10);
}

static struct limit_asker
asker(enum who who)
{
	struct limit_asker a = { 0 };
	struct ip_net at;

	a.key[LIMIT_POLICY] = who == A ? 'a' : who == B ? 'b' : who == STRANGER ? 's' : 0;
	a.key[LIMIT_ADDRESS] = 99 + who;
	assert_true(ip_net_parse(who == NET ? STR("10.1.2.3") : STR("10.2.0.1"), &at));
	memcpy(a.ip, at.ip, sizeof(a.ip));
	return a;
}

/* The shares of a test: 30 and 20 of policies, 10 of a net, and 40 that are nobody's. */
static const unsigned shares_of[WHO] = { 30, 20, 10, 40 };

static void
shared(struct limits *l, const char *text)
{
	struct limit_rules rules = { 0 };

	rule(&rules, text);
	share(&rules, "policy(a)", shares_of[A]);
	share(&rules, "policy(b)", shares_of[B]);
	share(&rules, "address(10.1.0.0/16)", shares_of[NET]);
	begin(l, &rules);
}

/* ---- shares ---- */

/* Whoever asks, however often, whatever the clock does meanwhile: in no span have all together more than the hub may. */
static void
shares__O151_all_together_never_have_more_than_the_hub(void **state)
{
	enum { TIMES = 4000 };
	static int64_t at[TIMES];
	struct rnd r = { 151 };

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		struct limit_refusal why;
		int64_t now = NOW;
		struct limits l;
		size_t n = 0;

		shared(&l, "hub:updates=1000/s,200");
		while (n < TIMES) {
			struct limit_asker a = asker(rnd_below(&r, WHO));

			if (limits_take(&l, LIMIT_UPDATES, &a, now, &why))
				at[n++] = now;
			else if (rnd_below(&r, 4) == 0)
				now += why.wait_ns;
			if (rnd_below(&r, 3) == 0)
				now += rnd_below(&r, 300000 << (round % 8));
		}
		for (int64_t span = SECOND / 1000; span < 4 * SECOND; span *= 3)
			for (size_t first = 0, last = 0; last < n; last++) {
				while (at[last] - at[first] > span)
					first++;
				assert_in_range(
				    last - first + 1, 1, 200 + (uint64_t)(span / (SECOND / 1000)));
			}
		limits_fini(&l);
	}
}

/* What who asks when it is told to gets in ten seconds, beside the others, who ask all the time, and bulk calls of theirs. */
static uint64_t
gets_beside_greedy(enum who who, uint64_t *others)
{
	int64_t now = NOW, next = NOW;
	struct limit_refusal why;
	struct limits l;
	uint64_t n = 0;

	*others = 0;
	shared(&l, "hub:updates=1000/s,100");
	for (; now < NOW + 10 * SECOND; now += SECOND / 10000) {
		for (unsigned other = 0; other < WHO; other++) {
			struct limit_asker a = asker(other);

			if (other != who && limits_take(&l, LIMIT_UPDATES, &a, now, &why))
				(*others)++;
		}
		while (now >= next) {
			struct limit_asker a = asker(who);

			if (!limits_take(&l, LIMIT_UPDATES, &a, now, &why))
				next = now + why.wait_ns;
			else
				n++;
		}
	}
	limits_fini(&l);
	return n;
}

static void
shares__O151_nobody_takes_anothers(void **state)
{
	(void)state;
	for (unsigned who = 0; who < STRANGER; who++) {
		uint64_t others, n = gets_beside_greedy(who, &others), own = shares_of[who] * 100;

		/* its share's rate and burst, but for the grain of the test's clock; and the rest is not idle */
		assert_in_range(n, own * 98 / 100, 10100);
		assert_in_range(n + others, 9800, 10101);
	}
}

/* Beyond its share it takes what is nobody's; but not what is another's and idle. */
static void
shares__O151_beyond_it_is_what_nobody_has(void **state)
{
	struct limit_refusal why;
	struct limits l;
	struct limit_asker a = asker(A), b = asker(B), stranger = asker(STRANGER), net = asker(NET);
	unsigned n = 0;

	(void)state;
	shared(&l, "hub:updates=1000/s,100");
	while (limits_take(&l, LIMIT_UPDATES, &a, NOW, &why))
		n++;
	assert_int_equal(n, 30 + 40);
	assert_int_equal(why.whose, LIMIT_HUB);
	assert_int_equal(why.name[0], '\0');
	assert_false(limits_take(&l, LIMIT_UPDATES, &stranger, NOW, &why));
	for (n = 0; limits_take(&l, LIMIT_UPDATES, &b, NOW, &why);)
		n++;
	assert_int_equal(n, 20);
	for (n = 0; limits_take(&l, LIMIT_UPDATES, &net, NOW, &why);)
		n++;
	assert_int_equal(n, 10);
	/* the wait is that of the bucket that has room first: a's share fills at 300 a second, what is nobody's at 400 */
	assert_false(limits_take(&l, LIMIT_UPDATES, &a, NOW, &why));
	assert_int_equal(why.wait_ns, SECOND / 400);
	assert_false(limits_take(&l, LIMIT_UPDATES, &a, NOW + why.wait_ns - 1, &why));
	assert_true(limits_take(&l, LIMIT_UPDATES, &a, NOW + SECOND / 400, &why));
	/* other kinds are not touched, and without a rule there is no limit */
	assert_true(limits_take(&l, LIMIT_READS, &a, NOW, &why));
	limits_fini(&l);
}

/* Of a policy with a share whose net has one, too, the policy's is first, and then the net's. */
static void
shares__O151_the_policys_and_the_nets(void **state)
{
	struct limit_refusal why;
	struct limits l;
	struct limit_asker a = asker(A), net = asker(NET), stranger = asker(STRANGER);
	unsigned n = 0;

	(void)state;
	shared(&l, "hub:updates=1000/s,100");
	memcpy(a.ip, net.ip, sizeof(a.ip));
	while (limits_take(&l, LIMIT_UPDATES, &stranger, NOW, &why))
		n++;
	assert_int_equal(n, 40);
	for (n = 0; n < 30; n++)
		assert_true(limits_take(&l, LIMIT_UPDATES, &a, NOW, &why));
	for (n = 0; n < 6; n++) /* the policy's has left the net's alone */
		assert_true(limits_take(&l, LIMIT_UPDATES, &net, NOW, &why));
	for (n = 0; limits_take(&l, LIMIT_UPDATES, &a, NOW, &why);)
		n++;
	assert_int_equal(n, 4);
	limits_fini(&l);
}

/* Who is named by a rule alone, and an address that no rule concerns, have none. */
static void
shares__O151_come_from_shares_alone(void **state)
{
	struct limit_rules rules = { 0 };
	struct limit_refusal why;
	struct limits l;
	struct limit_asker b = asker(B), free = asker(NET);
	unsigned n = 0;

	(void)state;
	rule(&rules, "hub:updates=1000/s,100");
	rule(&rules, "policy(b):reads=1/s");
	share(&rules, "address(10.1.0.0/16)", 40);
	begin(&l, &rules);
	free.key[LIMIT_ADDRESS] = 0;
	for (; n < 30; n++)
		assert_true(limits_take(&l, LIMIT_UPDATES, &b, NOW, &why));
	for (; n < 60; n++)
		assert_true(limits_take(&l, LIMIT_UPDATES, &free, NOW, &why));
	assert_false(limits_take(&l, LIMIT_UPDATES, &b, NOW, &why));
	assert_false(limits_take(&l, LIMIT_UPDATES, &free, NOW, &why));
	limits_fini(&l);
}

/* A CONNECT counts for its address first, and for all else once it is known whose it is. */
static void
limits__L95_what_is_skipped_does_not_count(void **state)
{
	struct limit_rules rules = { 0 };
	struct limit_refusal why;
	struct limits l;
	struct limit_asker first = asker(A), then = first;

	(void)state;
	rule(&rules, "hub:connections=1/h,2");
	rule(&rules, "address:connections=1/h,3");
	begin(&l, &rules);
	first.skip = LIMIT_BIT(LIMIT_HUB);
	then.skip = LIMIT_BIT(LIMIT_ADDRESS);
	for (int i = 0; i < 3; i++)
		assert_true(limits_take(&l, LIMIT_CONNECTIONS, &first, NOW, &why));
	assert_false(limits_take(&l, LIMIT_CONNECTIONS, &first, NOW, &why));
	assert_int_equal(why.whose, LIMIT_ADDRESS);
	for (int i = 0; i < 2; i++)
		assert_true(limits_take(&l, LIMIT_CONNECTIONS, &then, NOW, &why));
	assert_false(limits_take(&l, LIMIT_CONNECTIONS, &then, NOW, &why));
	assert_int_equal(why.whose, LIMIT_HUB);
	limits_fini(&l);
}

/* A table that is too small for who asks refuses nobody for that, and says how often one was forgotten that had taken something. */
static void
limits__O152_a_full_table_forgets_the_fullest_and_says_so(void **state)
{
	struct limit_rules rules = { 0 };
	struct limit_refusal why;
	struct limits l;
	struct limit_asker a = { 0 };

	(void)state;
	rule(&rules, "device:updates=1/h,3");
	begin(&l, &rules);
	for (uint64_t i = 1; i <= LIMIT_BUCKETS_MIN / 2; i++) {
		a.key[LIMIT_DEVICE] = i * UINT64_C(0x9E3779B97F4A7C15);
		assert_true(limits_take(&l, LIMIT_UPDATES, &a, NOW, &why));
	}
	assert_in_range(l.pushed, 0, LIMIT_BUCKETS_MIN / 16);
	for (uint64_t i = 1; i <= 2 * LIMIT_BUCKETS_MIN; i++) {
		a.key[LIMIT_DEVICE] = i * UINT64_C(0xD6E8FEB86659FD93);
		assert_true(limits_take(&l, LIMIT_UPDATES, &a, NOW, &why));
	}
	assert_in_range(l.pushed, LIMIT_BUCKETS_MIN, 3 * LIMIT_BUCKETS_MIN);
	limits_fini(&l);
	begin(&l, &rules);
	for (uint64_t i = 1; i <= 4 * LIMIT_BUCKETS_MIN; i++) { /* each long after the one before */
		a.key[LIMIT_DEVICE] = i * UINT64_C(0xD6E8FEB86659FD93);
		assert_true(
		    limits_take(&l, LIMIT_UPDATES, &a, NOW + (int64_t)i * 3600 * SECOND, &why));
	}
	assert_int_equal(l.pushed, 0);
	limits_fini(&l);
}

/* What a bulk call owes is its own affair. */
static void
shares__O151_a_debt_is_its_shares(void **state)
{
	struct limit_refusal why;
	struct limits l;
	struct limit_asker a = asker(A), stranger = asker(STRANGER);
	unsigned n;

	(void)state;
	shared(&l, "hub:registry=1000/s,100");
	assert_true(limits_take(&l, LIMIT_REGISTRY, &a, NOW, &why));
	limits_owe(&l, LIMIT_REGISTRY, &a, 99, NOW);
	limits_owe(&l, LIMIT_REGISTRY, &a, 1, NOW);
	for (n = 0; limits_take(&l, LIMIT_REGISTRY, &stranger, NOW, &why);)
		n++;
	assert_int_equal(n, 40);
	assert_false(limits_take(&l, LIMIT_REGISTRY, &a, NOW, &why));
	/* its own share is free when 101 - 30 are paid for at 300 a second, and what is nobody's before that */
	assert_true(limits_take(&l, LIMIT_REGISTRY, &a, NOW + SECOND / 400, &why));
	limits_fini(&l);
}

static void
shares__O151_that_are_none_are_refused(void **state)
{
	static const struct {
		const char *key;
		uint64_t percent;
		const char *why;
	} bad[] = {
		{ "policy", 10, "nobody who may have a share" },
		{ "device(d)", 10, "nobody who may have a share" },
		{ "hub", 10, "nobody who may have a share" },
		{ "policy()", 10, "nobody who may have a share" },
		{ "policy(x", 10, "nobody who may have a share" },
		{ "", 10, "nobody who may have a share" },
		{ "policy(b)", 0, "from 1 to 99" },
		{ "policy(b)", 100, "from 1 to 99" },
		{ "policy(b)", 40, "all together at most 99, not 40 beside 60" },
		{ "policy(a)", 10, "two shares" },
		{ "address(10.0.0.1/8)", 10, "neither an address nor a net" },
		{ "address(x)", 10, "neither an address nor a net" },
	};
	struct limit_rules rules = { 0 }, was;

	(void)state;
	share(&rules, "policy(a)", 60);
	was = rules;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(limit_share_set(&rules, str_of(bad[i].key), bad[i].percent,
		                     why_text, sizeof(why_text)),
		    ERR_ARG);
		assert_non_null(strstr(why_text, bad[i].why));
		assert_memory_equal(&rules, &was, sizeof(rules));
	}
}

/* ---- names ---- */

/* In place of the rule for each, of the smallest net that has the address; and a net is one asker. */
static void
names__L94_hold_in_place_of_each(void **state)
{
	struct limit_rules rules = { 0 };
	struct limit_refusal why;
	struct limits l;
	struct limit_asker a = asker(A), s = asker(STRANGER), net = asker(NET), near = net;

	(void)state;
	rule(&rules, "policy:updates=1/h,1");
	rule(&rules, "policy(a):updates=1/h,3");
	rule(&rules, "policy(b):updates=none");
	rule(&rules, "address(10.0.0.0/8):reads=1/h,5");
	rule(&rules, "address(10.1.0.0/16):reads=1/h,2");
	begin(&l, &rules);
	for (int i = 0; i < 3; i++)
		assert_true(limits_take(&l, LIMIT_UPDATES, &a, NOW, &why));
	assert_false(limits_take(&l, LIMIT_UPDATES, &a, NOW, &why));
	assert_int_equal(why.whose, LIMIT_POLICY);
	assert_string_equal(why.name, "a");
	assert_true(limits_take(&l, LIMIT_UPDATES, &s, NOW, &why));
	assert_false(limits_take(&l, LIMIT_UPDATES, &s, NOW, &why));
	assert_string_equal(why.name, "");
	s.key[LIMIT_POLICY] = 'b';
	for (int i = 0; i < 100; i++)
		assert_true(limits_take(&l, LIMIT_UPDATES, &s, NOW, &why));
	near.ip[15]++;
	near.key[LIMIT_ADDRESS]++;
	assert_true(limits_take(&l, LIMIT_READS, &net, NOW, &why));
	assert_true(limits_take(&l, LIMIT_READS, &near, NOW, &why));
	assert_false(limits_take(&l, LIMIT_READS, &net, NOW, &why));
	assert_string_equal(why.name, "10.1.0.0/16");
	for (int i = 0; i < 5; i++) /* in the larger net alone */
		assert_true(limits_take(&l, LIMIT_READS, &a, NOW, &why));
	assert_false(limits_take(&l, LIMIT_READS, &a, NOW, &why));
	a.key[LIMIT_ADDRESS] = 0; /* of a net that is free */
	assert_true(limits_take(&l, LIMIT_READS, &a, NOW, &why));
	limits_fini(&l);
}

static void
names__O152_are_so_many(void **state)
{
	struct limit_rules rules = { 0 };
	char text[64];

	(void)state;
	for (unsigned i = 0; i < LIMIT_NAMED_MAX; i++) {
		snprintf(text, sizeof(text), "policy(p%u):updates=1/s", i);
		rule(&rules, text);
	}
	assert_int_equal(
	    limit_rule_parse(STR("policy(one-more):updates=1/s"), &rules, why_text, 256), ERR_ARG);
	assert_non_null(strstr(why_text, "more than 64 policies and nets"));
	rule(&rules, "policy(p7):reads=1/s");
}

/* ---- one over another, and as text ---- */

static void
rules__O150_what_is_said_later_holds(void **state)
{
	struct limit_rules rules, top = { 0 };
	struct limit_text t = { { 0 }, { 0 } };

	(void)state;
	assert_int_equal(limit_preset(STR("S1"), 1, &rules, why_text, 256), ERR_OK);
	rule(&top, "hub:updates=none");
	rule(&top, "hub:reads=7/m");
	rule(&top, "policy(a):queries=600/h,30");
	share(&top, "policy(a)", 30);
	assert_int_equal(limit_rules_over(&rules, &top), ERR_OK);
	assert_int_equal(rules.n, LIMIT_KINDS + 1);
	assert_int_equal(rules.daily, 400000);
	assert_int_equal(rules.shares, 30);
	for (unsigned i = 0, found = 0; limit_rule_text(&rules, i, &t) || found != 4; i++) {
		buf_putc(&t.key, '\0');
		buf_putc(&t.rate, '\0');
		assert_true(t.key.n > 1);
		if (strcmp(t.key.p, "hub:updates") == 0 && ++found)
			assert_string_equal(t.rate.p, "none");
		if (strcmp(t.key.p, "hub:reads") == 0 && ++found)
			assert_string_equal(t.rate.p, "7/m");
		if (strcmp(t.key.p, "hub:registry") == 0 && ++found)
			assert_string_equal(t.rate.p, "100/m,100");
		if (strcmp(t.key.p, "policy(a):queries") == 0 && ++found)
			assert_string_equal(t.rate.p, "10/m,30");
	}
	assert_true(limit_share_text(&rules, 0, &t));
	assert_int_equal(t.rate.n, 2);
	assert_memory_equal(t.rate.p, "30", 2);
	assert_false(limit_share_text(&rules, 1, &t));
	buf_fini(&t.key);
	buf_fini(&t.rate);
}

/* ---- editions ---- */

static void
editions__L01_L02_L05_L06_L07_L08_L09_L11_L12_L13_L14_L15_L16_L17_are_the_tables(void **state)
{
	static const struct {
		const char *name;
		uint64_t units, daily, block;
		const char *rates; /* by kind */
	} rows[] = {
		{ "F1", 1, 8000, 512,
		    "100/s 100/s 100/s 50/s 40/s 100/m,100 20/m,20 100/m,100 20/m,20 100/m,100 "
		    "1000/m,1000 10/s " },
		{ "S1", 1, 400000, 4096,
		    "100/s 100/s 100/s 50/s 40/s 100/m,100 20/m,20 100/m,100 20/m,20 100/m,100 "
		    "1000/m,1000 10/s " },
		{ "S1", 20, 8000000, 4096,
		    "240/s 240/s 100/s 50/s 800/s 2000/m,2000 400/m,400 2000/m,2000 400/m,400 "
		    "2000/m,2000 20000/m,20000 10/s " },
		{ "S2", 1, 6000000, 4096,
		    "120/s 120/s 100/s 50/s 120/s 100/m,100 20/m,20 100/m,100 20/m,20 100/m,100 "
		    "1000/m,1000 10/s " },
		{ "S2", 20, 120000000, 4096,
		    "2400/s 2400/s 200/s 100/s 2400/s 2000/m,2000 400/m,400 2000/m,2000 400/m,400 "
		    "2000/m,2000 20000/m,20000 20/s " },
		{ "S3", 1, 300000000, 4096,
		    "6000/s 6000/s 500/s 250/s 6144/s 5000/m,5000 1000/m,1000 5000/m,5000 20/m,20 "
		    "5000/m,5000 50000/m,50000 50/s " },
	};
	static const enum limit_kind order[] = { LIMIT_CONNECTIONS, LIMIT_SENDS, LIMIT_READS,
		LIMIT_UPDATES, LIMIT_METHODS, LIMIT_REGISTRY, LIMIT_QUERIES, LIMIT_JOBS,
		LIMIT_CONFIGURATIONS, LIMIT_MESSAGES, LIMIT_RECEIVES, LIMIT_JOB_DEVICES };

	(void)state;
	for (unsigned row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct limit_text t = { { 0 }, { 0 } };
		struct buf all = { 0 };
		struct limit_rules rules;
		unsigned i;

		assert_int_equal(
		    limit_preset(str_of(rows[row].name), rows[row].units, &rules, why_text, 256),
		    ERR_OK);
		assert_int_equal(rules.daily, rows[row].daily);
		assert_int_equal(rules.block, rows[row].block);
		for (i = 0; limit_rule_text(&rules, i, &t); i++) {
			assert_int_equal(
			    rules.rate[LIMIT_HUB][order[i]].burst, rules.rate[LIMIT_HUB][i].burst);
			buf_str(&all, buf_view(&t.rate));
			buf_putc(&all, ' ');
		}
		assert_int_equal(i, LIMIT_KINDS);
		buf_putc(&all, '\0');
		assert_string_equal(all.p, rows[row].rates);
		buf_fini(&all);
		buf_fini(&t.key);
		buf_fini(&t.rate);
	}
}

static void
editions__L24_L29_L30_L32_L56_O159_have_so_many_of_each(void **state)
{
	static const struct {
		const char *name;
		uint64_t units, most[LIMIT_COUNTS];
	} rows[] = { { "F1", 1, { 500, 10, 5, 1, 1 } }, { "S1", 200, { 0, 0, 0, 0, 1 } },
		{ "S2", 7, { 0, 0, 0, 0, 5 } }, { "S3", 10, { 0, 0, 0, 0, 10 } } };
	struct limit_rules rules, top = { .counts = { { [LIMIT_IDENTITIES] = 600 } } };

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    limit_preset(str_of(rows[i].name), rows[i].units, &rules, why_text, 256),
		    ERR_OK);
		assert_memory_equal(rules.counts.most, rows[i].most, sizeof(rows[i].most));
	}
	assert_int_equal(limit_preset(STR("F1"), 1, &rules, why_text, 256), ERR_OK);
	assert_int_equal(limit_rules_over(&rules, &top), ERR_OK);
	assert_int_equal(limit_most(&rules.counts, LIMIT_IDENTITIES, 1000), 600);
	assert_int_equal(limit_most(&rules.counts, LIMIT_IDENTITIES, 100), 100);
	assert_int_equal(limit_most(&rules.counts, LIMIT_SINKS, 32), 1);
	assert_int_equal(limit_most(NULL, LIMIT_SINKS, 32), 32);
	assert_string_equal(limit_count_name(LIMIT_ACTIVE_JOBS), "activeJobs");
	assert_null(limit_count_name(LIMIT_COUNTS));
}

/* Nobody asks for them, so a share of the hub takes nothing from them. */
static void
rules__L16_O151_devices_of_jobs_are_nobodys(void **state)
{
	static const char *const bad[] = { "policy:jobDevices=1/s", "address:jobDevices=1/s",
		"device:jobDevices=1/s", "policy(a):jobDevices=1/s",
		"address(10.0.0.0/8):jobDevices=1/s" };
	static const struct limit_asker nobody = { 0 };
	struct limit_rules rules = { 0 };
	struct limit_refusal why;
	struct limits l;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
		    limit_rule_parse(str_of(bad[i]), &rules, why_text, sizeof(why_text)), ERR_ARG);
		assert_non_null(strstr(why_text, "would limit nothing"));
	}
	shared(&l, "hub:jobDevices=10/s");
	for (unsigned i = 0; i < 10; i++)
		assert_true(limits_take(&l, LIMIT_JOB_DEVICES, &nobody, NOW, &why));
	assert_false(limits_take(&l, LIMIT_JOB_DEVICES, &nobody, NOW, &why));
	assert_int_equal(why.whose, LIMIT_HUB);
	assert_int_equal(why.wait_ns, SECOND / 10);
	limits_fini(&l);
}

static void
editions__L03_O154_have_so_many_units(void **state)
{
	static const struct {
		const char *name;
		uint64_t most;
	} rows[] = { { "F1", 1 }, { "S1", 200 }, { "S2", 200 }, { "S3", 10 } };
	struct limit_rules rules;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(
		    limit_preset(str_of(rows[i].name), rows[i].most, &rules, why_text, 256),
		    ERR_OK);
		assert_int_equal(
		    limit_preset(str_of(rows[i].name), rows[i].most + 1, &rules, why_text, 256),
		    ERR_ARG);
		assert_int_equal(
		    limit_preset(str_of(rows[i].name), 0, &rules, why_text, 256), ERR_ARG);
	}
	assert_int_equal(limit_preset(STR("B1"), 1, &rules, why_text, 256), ERR_ARG);
}

/* ---- the day's messages ---- */

static void
daily__L20_L23_O153_until_the_next_day(void **state)
{
	const int64_t day_us = INT64_C(86400000000), noon = 20000 * day_us + day_us / 2;
	struct limit_daily d = { .most = 10, .block = 4096 };
	struct limit_refusal why;
	struct fault f = { 0 };

	(void)state;
	for (int i = 0; i < 4; i++) { /* an empty one is one, 4 KB are one, a byte more are two */
		assert_true(limit_daily_allows(&d, LIMIT_SENDS, noon, &why));
		limit_daily_count(&d, i == 0 ? 0 : i == 1 ? 4096 : 4097, noon);
	}
	assert_int_equal(d.used, 1 + 1 + 2 + 2);
	assert_true(limit_daily_allows(&d, LIMIT_QUERIES, noon, &why));
	d.used = 10; /* as many as there may be */
	assert_false(limit_daily_allows(&d, LIMIT_QUERIES, noon, &why));
	d.used = 6;
	limit_daily_count(&d, 5 * 4096, noon); /* what passes it is done */
	assert_int_equal(d.used, 11);
	for (unsigned kind = 0; kind < LIMIT_KINDS; kind++) {
		bool counts = kind == LIMIT_SENDS || kind == LIMIT_READS || kind == LIMIT_UPDATES ||
		    kind == LIMIT_METHODS || kind == LIMIT_QUERIES || kind == LIMIT_MESSAGES;

		assert_int_equal(!counts, limit_daily_allows(&d, kind, noon, &why));
	}
	assert_false(limit_daily_allows(&d, LIMIT_SENDS, noon, &why));
	assert_int_equal(why.whose, LIMIT_DAILY);
	assert_int_equal(why.wait_ns, day_us / 2 * 1000);
	limit_fault(&why, &f);
	assert_int_equal(f.code, F_IotHubQuotaExceeded);
	assert_non_null(
	    strstr(f.text, "allowed message count : '10', current message count : '11'"));
	assert_false(
	    limit_daily_allows(&d, LIMIT_SENDS, noon - day_us, &why)); /* a clock that went back */
	assert_false(limit_daily_allows(&d, LIMIT_SENDS, noon + day_us / 2 - 1, &why));
	assert_true(limit_daily_allows(&d, LIMIT_SENDS, noon + day_us / 2, &why));
	assert_int_equal(d.used, 0);
}

/* Somebody had set the clock by years; what was used is not held until then. */
static void
daily__O153_a_clock_that_was_far_ahead(void **state)
{
	const int64_t day_us = INT64_C(86400000000), noon = 20000 * day_us + day_us / 2;
	struct limit_daily d = { .most = 10, .block = 4096, .used = 10 };
	struct limit_refusal why;

	(void)state;
	limit_daily_turn(&d, noon);
	d.used = 10;
	limit_daily_turn(&d, noon + 3000 * day_us);
	assert_int_equal(d.used, 0);
	d.used = 10;
	assert_false(limit_daily_allows(&d, LIMIT_SENDS, noon, &why)); /* it opens none */
	assert_true(why.wait_ns == day_us / 2 * 1000);
	assert_true(limit_daily_allows(&d, LIMIT_SENDS, noon + day_us / 2, &why));
}

static void
daily__O153_without_a_quota_nothing_is_counted(void **state)
{
	struct limit_daily d = { 0 };
	struct limit_refusal why;

	(void)state;
	limit_daily_count(&d, 1 << 30, NOW);
	assert_int_equal(d.used, 0);
	assert_true(limit_daily_allows(&d, LIMIT_SENDS, NOW, &why));
}

static void
limits__O158_say_who_is_named(void **state)
{
	struct limit_refusal why = {
		.kind = LIMIT_UPDATES, .whose = LIMIT_POLICY, .wait_ns = SECOND, .name = "team-a"
	};
	struct fault f = { 0 };

	(void)state;
	limit_fault(&why, &f);
	assert_non_null(strstr(f.text, "by the rate limit of policy team-a"));
	why =
	    (struct limit_refusal){ .kind = LIMIT_UPDATES, .whose = LIMIT_HUB, .wait_ns = SECOND };
	limit_fault(&why, &f);
	assert_int_equal(f.code, F_ThrottlingException);
	assert_non_null(strstr(f.text, "by the rate limit of the hub"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares__O151_all_together_never_have_more_than_the_hub),
		cmocka_unit_test(shares__O151_nobody_takes_anothers),
		cmocka_unit_test(shares__O151_beyond_it_is_what_nobody_has),
		cmocka_unit_test(shares__O151_the_policys_and_the_nets),
		cmocka_unit_test(shares__O151_come_from_shares_alone),
		cmocka_unit_test(limits__L95_what_is_skipped_does_not_count),
		cmocka_unit_test(limits__O152_a_full_table_forgets_the_fullest_and_says_so),
		cmocka_unit_test(shares__O151_a_debt_is_its_shares),
		cmocka_unit_test(shares__O151_that_are_none_are_refused),
		cmocka_unit_test(names__L94_hold_in_place_of_each),
		cmocka_unit_test(names__O152_are_so_many),
		cmocka_unit_test(rules__O150_what_is_said_later_holds),
		cmocka_unit_test(
		    editions__L01_L02_L05_L06_L07_L08_L09_L11_L12_L13_L14_L15_L16_L17_are_the_tables),
		cmocka_unit_test(editions__L24_L29_L30_L32_L56_O159_have_so_many_of_each),
		cmocka_unit_test(rules__L16_O151_devices_of_jobs_are_nobodys),
		cmocka_unit_test(editions__L03_O154_have_so_many_units),
		cmocka_unit_test(daily__L20_L23_O153_until_the_next_day),
		cmocka_unit_test(daily__O153_a_clock_that_was_far_ahead),
		cmocka_unit_test(daily__O153_without_a_quota_nothing_is_counted),
		cmocka_unit_test(limits__O158_say_who_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
