/* When a sender tries again, what answers mean, and which addresses are public. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "sink/pace.h"
#include "sink/sink.h"

#define S (INT64_C(1000000))

/* The least and the longest wait of the nth failure. */
static void
waits(enum attempt_end end, unsigned n, int64_t *least, int64_t *most)
{
	const uint64_t random[] = { 0, UINT64_MAX, 1u << 20, 999999999999ull };

	*least = INT64_MAX;
	*most = 0;
	for (size_t i = 0; i < sizeof(random) / sizeof(random[0]); i++) {
		struct pace p = { .attempts = n - 1 };

		pace_failed(&p, end, 100 * S, 0, random[i]);
		if (p.due_us - 100 * S < *least)
			*least = p.due_us - 100 * S;
		if (p.due_us - 100 * S > *most)
			*most = p.due_us - 100 * S;
	}
}

static void
pace__E39_waits_double_and_end(void **state)
{
	const int64_t again[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300 };
	const int64_t refused[] = { 60, 120, 240, 300, 300 };
	int64_t least, most;

	(void)state;
	for (unsigned i = 0; i < 11; i++) {
		waits(ATTEMPT_AGAIN, i + 1, &least, &most);
		assert_in_range(least, again[i] * S / 2, again[i] * S);
		assert_in_range(most, again[i] * S / 2, again[i] * S);
		assert_true(least < most);
	}
	for (unsigned i = 0; i < 5; i++) {
		waits(ATTEMPT_REFUSED, i + 1, &least, &most);
		assert_in_range(least, refused[i] * S / 2, refused[i] * S);
	}
	waits(ATTEMPT_AGAIN, UINT32_MAX, &least, &most);
	assert_in_range(most, 150 * S, 300 * S);
}

static void
pace__E43_retry_after_is_heard_within_an_hour(void **state)
{
	struct pace p = { 0 };

	(void)state;
	pace_failed(&p, ATTEMPT_AGAIN, 0, 42 * S, 0);
	assert_int_equal(p.due_us, 42 * S);
	pace_failed(&p, ATTEMPT_AGAIN, 0, 86400 * S, 0);
	assert_int_equal(p.due_us, 3600 * S);
	pace_good(&p);
	pace_failed(&p, ATTEMPT_AGAIN, 7000 * S, 0, 0);
	assert_in_range(p.due_us, 7000 * S, 7001 * S);
}

static void
pace__E43_what_statuses_mean(void **state)
{
	static const struct {
		long status;
		enum attempt_end end;
	} rows[] = { { 200, ATTEMPT_TAKEN }, { 202, ATTEMPT_TAKEN }, { 204, ATTEMPT_TAKEN },
		{ 299, ATTEMPT_TAKEN }, { 301, ATTEMPT_REFUSED }, { 307, ATTEMPT_REFUSED },
		{ 400, ATTEMPT_REFUSED }, { 401, ATTEMPT_REFUSED }, { 403, ATTEMPT_REFUSED },
		{ 404, ATTEMPT_REFUSED }, { 408, ATTEMPT_AGAIN }, { 410, ATTEMPT_GONE },
		{ 413, ATTEMPT_TOO_LARGE }, { 415, ATTEMPT_REFUSED }, { 425, ATTEMPT_AGAIN },
		{ 429, ATTEMPT_AGAIN }, { 500, ATTEMPT_AGAIN }, { 503, ATTEMPT_AGAIN },
		{ 999, ATTEMPT_AGAIN } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(attempt_of_status(rows[i].status), rows[i].end);
}

/* ---- addresses ---- */

static struct net_addr
address(const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return net_addr_of((struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return net_addr_of((struct sockaddr *)&v6);
}

static const char *const not_public[] = { "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255",
	"100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.9", "169.254.169.254",
	"172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1",
	"198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.1.2.3",
	"240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1",
	"::ffff:10.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
	"64:ff9b:1::808:808", "100::1", "2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:1ff::1",
	"2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "3fff:fff::1", "4000::1",
	"fc00::1", "fd12::1", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1" };
static const char *const are_public[] = { "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0",
	"100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
	"172.15.255.255", "172.32.0.0", "192.0.1.1", "192.167.255.255", "192.169.0.0",
	"198.17.255.255", "198.20.0.0", "223.255.255.255", "2001:200::1", "2001:4860:4860::8888",
	"2003::1", "2606:4700::1111", "3ffe::1", "3fff:1000::1", "64:ff9b::808:808" };

static void
address__E44_what_is_not_public_is_closed(void **state)
{
	const struct nets none = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(not_public) / sizeof(not_public[0]); i++) {
		struct net_addr a = address(not_public[i]);

		if (sink_address_open(&a, &none))
			fail_msg("%s is open", not_public[i]);
	}
	for (size_t i = 0; i < sizeof(are_public) / sizeof(are_public[0]); i++) {
		struct net_addr a = address(are_public[i]);

		if (!sink_address_open(&a, &none))
			fail_msg("%s is closed", are_public[i]);
	}
}

static void
address__E44_nets_may_be_allowed(void **state)
{
	struct nets allow = { 0 };
	struct net_addr in = address("10.1.2.3"), mapped = address("::ffff:10.1.2.3"),
	                out = address("10.2.0.1"), fe80 = address("fe80::1");

	(void)state;
	assert_int_equal(nets_add(&allow, "10.1.0.0/16"), ERR_OK);
	assert_true(sink_address_open(&in, &allow));
	assert_true(sink_address_open(&mapped, &allow));
	assert_false(sink_address_open(&out, &allow));
	assert_false(sink_address_open(&fe80, &allow));
}

static void
batch__E36_events_come_back_as_they_were(void **state)
{
	struct sink_batch b = { 0 };
	char text[32];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof text, "{\"n\":%d}", i);
		sink_batch_add(&b, str_of(text), i % 2 ? STR("dev") : STR_NONE);
	}
	assert_int_equal(b.n, 100);
	for (uint32_t i = 0; i < 100; i++) {
		snprintf(text, sizeof text, "{\"n\":%u}", i);
		assert_true(str_eq(sink_batch_json(&b, i), str_of(text)));
		assert_true(str_eq(sink_batch_key(&b, i), i % 2 ? STR("dev") : STR_NONE));
	}
	sink_batch_empty(&b);
	assert_int_equal(b.n + b.json.n + b.keys.n, 0);
	sink_batch_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pace__E39_waits_double_and_end),
		cmocka_unit_test(pace__E43_retry_after_is_heard_within_an_hour),
		cmocka_unit_test(pace__E43_what_statuses_mean),
		cmocka_unit_test(address__E44_what_is_not_public_is_closed),
		cmocka_unit_test(address__E44_nets_may_be_allowed),
		cmocka_unit_test(batch__E36_events_come_back_as_they_were),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
