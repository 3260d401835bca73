/* How faults leave: the table of statuses, both formats of bodies (service-rest.md 4). */
#include "http/priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define ID     "0123456789abcdef0123456789abcdef"
#define NOW_US (INT64_C(1569251828) * 1000000) /* 2019-09-23 15:17:08 */

static const enum fault_code codes[] = {
#define X(number, name) F_##name,
	FAULT_CODES(X)
#undef X
#define X(count, name, seen) F_##name,
	    FAULT_CAUSES(X)
#undef X
};
#define NCODES (sizeof(codes) / sizeof(codes[0]))

static void
faults__R14_every_code_has_a_row_for_its_status(void **state)
{
	(void)state;
	for (size_t i = 0; i < NCODES; i++) {
		const struct outcome *how = outcome_of(fault_status(codes[i]));

		if (how->status != fault_status(codes[i]))
			fail_msg("%s is %d, which has no row", fault_name(codes[i]),
			    fault_status(codes[i]));
		assert_true(how->words[0] != '\0');
	}
}

/* Here every 429 and 503 says when to come again; who is over a quota, overloads us, or meets our failure, has a line in the log. */
static void
faults__R101_who_is_to_come_again_and_what_is_logged(void **state)
{
	(void)state;
	for (size_t i = 0; i < NCODES; i++) {
		int status = fault_status(codes[i]);
		const struct outcome *how = outcome_of(status);
		bool again = status == 429 || status == 503;

		assert_int_equal(how->retry_after != NULL, again);
		assert_int_equal(
		    how->reason != REASON_NONE, again || status == 403 || status >= 500);
	}
}

static const char *
written(struct buf *json, enum fault_code code, const char *text)
{
	struct fault f = { .code = code };

	snprintf(f.text, sizeof(f.text), "%s", text);
	json->n = 0;
	fault_write(json, &f, ID, NOW_US);
	buf_putc(json, '\0');
	return json->p;
}

static void
faults__R14_format_A_and_B_to_the_byte(void **state)
{
	struct buf json = { 0 };

	(void)state;
	assert_string_equal(written(&json, F_DeviceNotFound, "d1"),
	    "{\"Message\":\"ErrorCode:DeviceNotFound;d1\",\"ExceptionMessage\":\"Tracking ID:" ID
	    "-G:0-TimeStamp:09/23/2019 15:17:08\"}");
	assert_string_equal(written(&json, F_ArgumentInvalid, "a \"word\""),
	    "{\"Message\":\"ErrorCode:ArgumentInvalid;a \\\"word\\\"\",\"ExceptionMessage\":"
	    "\"Tracking ID:" ID "-G:0-TimeStamp:09/23/2019 15:17:08\"}");
	assert_string_equal(written(&json, F_QueryTooLong, "late"),
	    "{\"Message\":\"ErrorCode:ArgumentInvalid;late\",\"ExceptionMessage\":\"Tracking ID:" ID
	    "-G:0-TimeStamp:09/23/2019 15:17:08\"}");
	assert_string_equal(written(&json, F_DeviceNotOnline, "not there"),
	    "{\"Message\":\"{\\\"errorCode\\\":404103,\\\"trackingId\\\":\\\"" ID
	    "\\\",\\\"message\\\":\\\"not there\\\",\\\"timestampUtc\\\":"
	    "\\\"2019-09-23T15:17:08.0000000Z\\\"}\",\"ExceptionMessage\":\"\"}");
	buf_fini(&json);
}

/* The four that devices cause; Node ignores the code of format A when its text is empty, so it never is. */
static void
faults__R66_R68_which_codes_are_of_devices_and_no_text_is_empty(void **state)
{
	struct buf json = { 0 };
	unsigned nb = 0;

	(void)state;
	for (size_t i = 0; i < NCODES; i++) {
		const char *text = written(&json, codes[i], "");
		const char *part = strchr(text, ';');
		bool b = part == NULL;

		nb += b;
		assert_int_equal(b,
		    codes[i] == F_DeviceNotOnline || codes[i] == F_DeviceConnectionClosedRemotely ||
		        codes[i] == F_GatewayTimeout || codes[i] == F_GenericBadGateway);
		if (!b)
			assert_true(part[1] != '"');
	}
	assert_int_equal(nb, 4);
	buf_fini(&json);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults__R14_every_code_has_a_row_for_its_status),
		cmocka_unit_test(faults__R101_who_is_to_come_again_and_what_is_logged),
		cmocka_unit_test(faults__R14_format_A_and_B_to_the_byte),
		cmocka_unit_test(faults__R66_R68_which_codes_are_of_devices_and_no_text_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
