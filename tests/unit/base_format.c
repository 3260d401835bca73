/* Text forms: time, base64, faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

#include "base/base.h"
#include "rnd.h"

static void
assert_time(int64_t us, const char *want)
{
	char out[TIME_TEXT_MAX];
	size_t n = time_format(us, out);

	if (n != strlen(want) || memcmp(out, want, n) != 0)
		fail_msg("got '%.*s', want '%s'", (int)n, out, want);
}

static void
time_format__T04_seven_digits_and_never(void **state)
{
	(void)state;
	assert_time(0, "0001-01-01T00:00:00Z");
	assert_time(1, "1970-01-01T00:00:00.0000010Z");
	assert_time(-1, "1969-12-31T23:59:59.9999990Z");
	assert_time(INT64_C(951782400000000), "2000-02-29T00:00:00.0000000Z");
	assert_time(INT64_C(1709209845123456), "2024-02-29T12:30:45.1234560Z");
	assert_time(INT64_C(4107542399999999), "2100-02-28T23:59:59.9999990Z");
	assert_time(
	    INT64_C(4107542400000000), "2100-03-01T00:00:00.0000000Z"); /* 2100 is no leap year */
	assert_time(INT64_C(253402300799999999), "9999-12-31T23:59:59.9999990Z");
}

static void
time_format__bounded_for_any_number(void **state)
{
	static const int64_t values[] = { INT64_MIN, INT64_MIN + 1, INT64_MAX,
		INT64_C(-62135596800000001) };
	char out[TIME_TEXT_MAX + 1];
	(void)state;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		memset(out, '#', sizeof(out));
		assert_int_equal(time_format(values[i], out), 28);
		assert_int_equal(out[TIME_TEXT_MAX], '#');
	}
}

static void
time_format__agrees_with_gmtime(void **state)
{
	struct rnd r = { 9 };
	char want[80];
	int64_t back;
	(void)state;

	for (int i = 0; i < 20000; i++) {
		/* Years 1 to 9999. */
		int64_t us = (int64_t)(rnd_u64(&r) % UINT64_C(315537897600000000)) -
		    INT64_C(62135596800000000);
		int64_t s = us / 1000000 - (us % 1000000 < 0);
		time_t t = (time_t)s;
		struct tm tm;
		gmtime_r(&t, &tm);
		snprintf(want, sizeof(want), "%04d-%02d-%02dT%02d:%02d:%02d.%06d0Z",
		    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		    (int)(us - s * 1000000));
		assert_time(us, want);
		assert_true(time_parse(str_of(want), &back));
		/* The first day of year 1 stands for "never". */
		assert_true(back == us || back == 0);
	}
}

static void
time_parse__T04_the_accepted_forms(void **state)
{
	static const struct {
		const char *text;
		int64_t us;
	} cases[] = { { "1970-01-01T00:00:01Z", 1000000 }, { "1970-01-01T00:00:01", 1000000 },
		{ "1970-01-01T00:00:01+00:00", 1000000 }, { "1970-01-01T00:00:00.5Z", 500000 },
		{ "1970-01-01T00:00:00.1234567Z", 123456 }, { "1970-01-01T00:00:00.000001", 1 },
		{ "1970-01-02T00:00:00.12Z", INT64_C(86400120000) }, { "0001-01-01T00:00:00Z", 0 },
		{ "0001-01-01T00:00:00", 0 },
		{ "2024-02-29T12:30:45.1234560Z", INT64_C(1709209845123456) },
		{ "1970-01-01T02:00:01+02:00", 1000000 }, { "1970-01-01T00:00:01-00:00", 1000000 },
		{ "1969-12-31T18:30:01.5-05:30", 1500000 },
		{ "2024-03-01T01:30:45.1234567+13:00", INT64_C(1709209845123456) },
		{ "2024-02-28T23:59:59-23:59", INT64_C(1709251139000000) },
		{ "0001-01-01T00:00:00+02:00", 0 }, { "0001-01-01T00:00:00-05:00", 0 },
		{ "9999-12-31T23:59:59.9999999+02:00", INT64_C(253402293599999999) } };
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t us = -77;
		if (!time_parse(str_of(cases[i].text), &us) || us != cases[i].us)
			fail_msg("'%s' gave %lld", cases[i].text, (long long)us);
	}
}

static void
time_parse__refuses_all_else(void **state)
{
	static const char *const bad[] = { "", "2024", "2024-01-01", "2024-01-01T00:00",
		"2024-01-01 00:00:00Z", "2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z",
		"2024-01-32T00:00:00Z", "2024-01-00T00:00:00Z", "2023-02-29T00:00:00Z",
		"2100-02-29T00:00:00Z", "2024-04-31T00:00:00Z", "2024-01-01T24:00:00Z",
		"2024-01-01T00:60:00Z", "2024-01-01T00:00:60Z", "2024-01-01T00:00:00.Z",
		"2024-01-01T00:00:00.12345678Z", "2024-01-01T00:00:00+1:00",
		"2024-01-01T00:00:00+0100", "2024-01-01T00:00:00+01", "2024-01-01T00:00:00+24:00",
		"2024-01-01T00:00:00+01:60", "2024-01-01T00:00:00+01:00Z",
		"2024-01-01T00:00:00Z+01:00", "2024-01-01T00:00:00+-1:00",
		"2024-01-01T00:00:00 +01:00", "9999-12-31T23:59:59-00:01", "2024-01-01T00:00:00z",
		"2024-01-01T00:00:00Z ", "0000-01-01T00:00:00Z", "-001-01-01T00:00:00Z",
		"2024-1-01T00:00:00Z", "+2024-01-01T00:00:00Z", "2024-01-01T00:00:00ZZ" };
	int64_t us = 5;
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (time_parse(str_of(bad[i]), &us))
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(us, 5);
	assert_false(time_parse(STR_NONE, &us));
}

static void
base64__test_vectors_of_the_rfc(void **state)
{
	static const char *const cases[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" }, { "\xFB\xFF", "+/8=" } };
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b = { 0 };
		base64_encode(&b, cases[i][0], strlen(cases[i][0]));
		assert_true(str_eq(buf_view(&b), str_of(cases[i][1])));
		b.n = 0;
		assert_true(base64_decode(&b, str_of(cases[i][1])));
		assert_true(str_eq(buf_view(&b), str_of(cases[i][0])));
		buf_fini(&b);
	}
}

static void
base64url__has_no_padding_and_other_characters(void **state)
{
	static const char *const cases[][2] = { { "", "" }, { "f", "Zg" }, { "fo", "Zm8" },
		{ "foo", "Zm9v" }, { "\xFB\xFF", "-_8" } };
	static const char *const bad[] = { "Zg==", "Z", "Zh", "+/8", "-/8", "Zm9v=", "Zm 9" };
	struct buf b = { 0 };
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		b.n = 0;
		base64url_encode(&b, cases[i][0], strlen(cases[i][0]));
		assert_true(str_eq(buf_view(&b), str_of(cases[i][1])));
		b.n = 0;
		assert_true(base64url_decode(&b, str_of(cases[i][1])));
		assert_true(str_eq(buf_view(&b), str_of(cases[i][0])));
	}
	b.n = 0;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(base64url_decode(&b, str_of(bad[i])));
	assert_int_equal(b.n, 0);
	buf_fini(&b);
}

/* Every string of four characters from a small alphabet: accepted if and only if encoding gives it back. */
static void
base64_decode__only_canonical_text(void **state)
{
	static const char alphabet[] = "AQgZz9+/=-_ \n\x80";
	const unsigned n = sizeof(alphabet); /* with the NUL */
	struct buf b = { 0 }, again = { 0 };
	unsigned accepted = 0;
	(void)state;

	for (unsigned i = 0; i < n * n * n * n; i++) {
		char t[4] = { alphabet[i % n], alphabet[i / n % n], alphabet[i / n / n % n],
			alphabet[i / n / n / n] };
		struct str s = { t, 4 };
		b.n = again.n = 0;
		if (!base64_decode(&b, s)) {
			assert_int_equal(b.n, 0);
			continue;
		}
		accepted++;
		base64_encode(&again, b.p, b.n);
		assert_true(str_eq(buf_view(&again), s));
	}
	/* Eight digits, three of which (A, Q, g) end in four zero bits, as a digit before padding must. */
	assert_int_equal(accepted, 8 * 8 * 8 * 8 + 8 * 8 * 3 + 8 * 3);
	buf_fini(&b);
	buf_fini(&again);
}

static void
base64_decode__leaves_the_output_on_error(void **state)
{
	static const char *const bad[] = { "Z", "Zg",
		"Zg=", "Zg==Zg==", "Zh==", "Zm9=", "====", "Zg=a", "Zm9v Zg=", "Zm9vZg=\n" };
	struct buf b = { 0 };
	(void)state;

	buf_cstr(&b, "kept");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (base64_decode(&b, str_of(bad[i])))
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(b.n, 4);
	}
	assert_true(base64_decode(&b, STR("Zm9v")));
	assert_true(str_eq(buf_view(&b), STR("keptfoo")));
	buf_fini(&b);
}

static void
base64__random_bytes_round_trip(void **state)
{
	struct rnd r = { 4 };
	struct buf text = { 0 }, back = { 0 };
	unsigned char bytes[300];
	(void)state;

	for (size_t n = 0; n < sizeof(bytes); n++) {
		for (size_t i = 0; i < n; i++)
			bytes[i] = (unsigned char)rnd_u64(&r);
		text.n = back.n = 0;
		base64_encode(&text, bytes, n);
		assert_int_equal(text.n, (n + 2) / 3 * 4);
		assert_true(base64_decode(&back, buf_view(&text)));
		assert_true(str_eq(buf_view(&back), (struct str){ (char *)bytes, n }));
	}
	buf_fini(&text);
	buf_fini(&back);
}

static void
fault_set__makes_text_safe_for_headers(void **state)
{
	struct fault f;
	(void)state;

	assert_int_equal(
	    fault_set(&f, F_DeviceNotFound, "%s;%c%c %d", "a", '\n', 0x7F, 5), ERR_ARG);
	assert_int_equal(f.code, F_DeviceNotFound);
	assert_string_equal(f.text, "a,?? 5");
	assert_int_equal(fault_set(NULL, F_DeviceNotFound, "x"), ERR_ARG);
}

/* Shift a text of four-byte characters past the end by one byte at a time: it is never cut inside one. */
static void
fault_set__cuts_long_text_between_characters(void **state)
{
	static const char *const parts[] = { "\xF0\x9F\x98\x80", "\xE2\x82\xAC", "\xC3\xA9", "x" };
	struct fault f;
	(void)state;

	for (size_t part = 0; part < 4; part++)
		for (size_t shift = 0; shift < 5; shift++) {
			struct buf b = { 0 };
			for (size_t i = 0; i < shift; i++)
				buf_putc(&b, '-');
			while (b.n < FAULT_TEXT_MAX + 100)
				buf_cstr(&b, parts[part]);
			fault_set(&f, F_ArgumentInvalid, STR_FMT, STR_ARG(buf_view(&b)));
			size_t n = strlen(f.text);
			assert_true(utf8_valid((struct str){ f.text, n }));
			assert_true(n < FAULT_TEXT_MAX && n > FAULT_TEXT_MAX - 5);
			assert_int_equal((n - shift) % strlen(parts[part]), 0);
			buf_fini(&b);
		}
}

static void
fault__names_and_statuses(void **state)
{
	(void)state;
	assert_string_equal(fault_name(F_DeviceNotFound), "DeviceNotFound");
	assert_string_equal(
	    fault_name(F_ThrottleBacklogLimitExceeded), "ThrottleBacklogLimitExceeded");
	assert_string_equal(fault_name(F_NONE), "ServerError");
	assert_string_equal(fault_name((enum fault_code)123456), "ServerError");
	assert_int_equal(fault_status(F_DeviceNotFound), 404);
	assert_int_equal(fault_number(F_DeviceNotFound), 404001);
	assert_int_equal(fault_status(F_ThrottlingException), 429);
}

/* What the program tells apart is one of Azure's to clients: its name, number and status; and no two are the same in here. */
static void
fault__causes_are_seen_as_what_azure_has_for_them(void **state)
{
	static const struct {
		enum fault_code code, seen;
		const char *name;
	} causes[] = {
#define X(count, name, seen) { F_##name, F_##seen, #seen },
		FAULT_CAUSES(X)
#undef X
	};

	(void)state;
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		assert_int_not_equal(causes[i].code, causes[i].seen);
		assert_int_equal(fault_number(causes[i].code), (int)causes[i].seen);
		assert_int_equal(fault_status(causes[i].code), fault_status(causes[i].seen));
		assert_string_equal(fault_name(causes[i].code), causes[i].name);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(causes[i].code, causes[j].code);
	}
	assert_string_equal(fault_name(F_QueryTooLarge), "ArgumentInvalid");
	assert_string_equal(fault_name(F_StoredDamaged), "ServerError");
}

static void
duration_parse__O147_days_and_parts_of_them(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} good[] = { { "PT1S", 1 }, { "PT0S", 0 }, { "PT90M", 5400 }, { "P1W", 604800 },
		{ "P1DT2H3M4S", 93784 }, { "P2W1D", 1296000 }, { "PT999999999S", 999999999 } };
	static const char *const bad[] = { "", "P", "PT", "1H", "P1H", "PT1D", "P1M", "P1Y", "P1DT",
		"PT1M1H", "PT1H1H", "PT1", "PT-1S", "PT1.5S", "pt1s", " PT1S", "PT1S ", "PT1TS",
		"PT9999999999S" };
	int64_t seconds = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(duration_parse(str_of(good[i].text), &seconds));
		assert_int_equal(seconds, good[i].seconds);
	}
	seconds = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (duration_parse(str_of(bad[i]), &seconds))
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(seconds, 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_format__T04_seven_digits_and_never),
		cmocka_unit_test(time_format__bounded_for_any_number),
		cmocka_unit_test(time_format__agrees_with_gmtime),
		cmocka_unit_test(time_parse__T04_the_accepted_forms),
		cmocka_unit_test(time_parse__refuses_all_else),
		cmocka_unit_test(duration_parse__O147_days_and_parts_of_them),
		cmocka_unit_test(base64__test_vectors_of_the_rfc),
		cmocka_unit_test(base64url__has_no_padding_and_other_characters),
		cmocka_unit_test(base64_decode__only_canonical_text),
		cmocka_unit_test(base64_decode__leaves_the_output_on_error),
		cmocka_unit_test(base64__random_bytes_round_trip),
		cmocka_unit_test(fault_set__makes_text_safe_for_headers),
		cmocka_unit_test(fault_set__cuts_long_text_between_characters),
		cmocka_unit_test(fault__names_and_statuses),
		cmocka_unit_test(fault__causes_are_seen_as_what_azure_has_for_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
