/* Rights, policies, keys, thumbprints. */
#include "auth/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void
rights__writing_the_registry_implies_reading_it(void **state)
{
	(void)state;
	assert_true(rights_allow(RIGHT_REGISTRY_WRITE, RIGHT_REGISTRY_READ));
	assert_false(rights_allow(RIGHT_REGISTRY_READ, RIGHT_REGISTRY_WRITE));
	assert_true(
	    rights_allow(RIGHT_SERVICE_CONNECT, RIGHT_REGISTRY_READ | RIGHT_SERVICE_CONNECT));
	assert_false(
	    rights_allow(RIGHT_DEVICE_CONNECT, RIGHTS_ALL & ~(unsigned)RIGHT_DEVICE_CONNECT));
	assert_false(rights_allow(0, RIGHTS_ALL));
	assert_false(rights_allow(RIGHTS_ALL, 0));
	assert_true(rights_allow_all(RIGHT_REGISTRY_WRITE | RIGHT_SERVICE_CONNECT,
	    RIGHT_REGISTRY_READ | RIGHT_SERVICE_CONNECT));
	assert_false(
	    rights_allow_all(RIGHT_REGISTRY_READ, RIGHT_REGISTRY_READ | RIGHT_SERVICE_CONNECT));
	assert_true(rights_allow_all(RIGHTS_ALL, RIGHTS_ALL));
	assert_false(rights_allow_all(RIGHTS_ALL, 0));
}

static void
rights__have_names(void **state)
{
	(void)state;
	for (unsigned r = 1; r <= RIGHTS_ALL; r <<= 1)
		assert_int_equal(right_of(str_of(right_name(r))), r);
	assert_null(right_name(3));
	assert_null(right_name(0));
	assert_int_equal(right_of(STR("registryread")), 0);
}

static void
policy_defaults__are_the_five_documented(void **state)
{
	const struct policy *p;
	(void)state;

	for (size_t i = 0; i < POLICY_DEFAULTS; i++)
		assert_true(policy_name_valid(policy_defaults[i].name));
	p = policy_find(policy_defaults, POLICY_DEFAULTS, STR("iothubowner"));
	assert_non_null(p);
	assert_int_equal(p->rights, RIGHTS_ALL);
	p = policy_find(policy_defaults, POLICY_DEFAULTS, STR("device"));
	assert_non_null(p);
	assert_int_equal(p->rights, RIGHT_DEVICE_CONNECT);
	assert_null(policy_find(policy_defaults, POLICY_DEFAULTS, STR("Device")));
	assert_null(policy_find(policy_defaults, POLICY_DEFAULTS, STR_NONE));
	assert_null(policy_find(NULL, 0, STR("device")));
}

static void
policy_name__is_of_few_characters(void **state)
{
	char longest[POLICY_NAME_MAX + 1];
	(void)state;

	memset(longest, 'p', sizeof(longest));
	assert_true(policy_name_valid(STR("Az09_-@.")));
	assert_true(policy_name_valid((struct str){ longest, POLICY_NAME_MAX }));
	assert_false(policy_name_valid((struct str){ longest, POLICY_NAME_MAX + 1 }));
	assert_false(policy_name_valid(STR_NONE));
	assert_false(policy_name_valid(STR("a b")));
	assert_false(policy_name_valid(STR("a\0")));
	assert_false(policy_name_valid(STR("\xc3\xa4")));
	for (const char *c = "/&=%+;[`{\x7f"; *c != '\0'; c++)
		assert_false(policy_name_valid((struct str){ c, 1 }));
}

/* Base64 of n zero bytes. */
static bool
valid_of(size_t n)
{
	static const char zeros[KEY_BYTES_MAX + 1];
	struct buf b = { 0 };
	bool ok;

	base64_encode(&b, zeros, n);
	ok = key_valid(buf_view(&b));
	buf_fini(&b);
	return ok;
}

static void
key__is_base64_of_16_to_64_bytes(void **state)
{
	(void)state;
	assert_false(valid_of(0));
	assert_false(valid_of(15));
	assert_true(valid_of(16));
	assert_true(valid_of(32));
	assert_true(valid_of(64));
	assert_false(valid_of(65));
	assert_false(
	    key_valid(STR("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"))); /* no padding */
	assert_false(
	    key_valid(STR("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWZ="))); /* not canonical */
	assert_false(key_valid(STR("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZ_Y=")));
}

#define SHA1_ABC   "a9993e364706816aba3e25717850c26c9cd0d89d"
#define SHA256_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void
cert_print__is_matched_without_case_by_either_digest(void **state)
{
	struct cert_print c;
	(void)state;

	cert_print_of("abc", 3, &c);
	assert_memory_equal(c.sha1, SHA1_ABC, 40);
	assert_memory_equal(c.sha256, SHA256_ABC, 64);
	assert_true(cert_print_is(&c, STR(SHA1_ABC), STR_NONE));
	assert_true(cert_print_is(&c, STR_NONE, STR(SHA256_ABC)));
	assert_true(
	    cert_print_is(&c, STR("A9993E364706816ABA3E25717850C26C9CD0D89D"), STR(SHA1_ABC)));
	assert_false(cert_print_is(&c, STR("a9993e364706816aba3e25717850c26c9cd0d89e"), STR_NONE));
	assert_false(cert_print_is(&c, STR_NONE, STR_NONE));
	assert_false(cert_print_is(&c, STR("a9993e36"), STR("")));
	cert_print_of("abd", 3, &c);
	assert_false(cert_print_is(&c, STR(SHA1_ABC), STR(SHA256_ABC)));
}

static void
thumbprint__is_40_or_64_hex_digits(void **state)
{
	(void)state;
	assert_true(thumbprint_valid(STR(SHA1_ABC)));
	assert_true(thumbprint_valid(STR(SHA256_ABC)));
	assert_false(thumbprint_valid(STR_NONE));
	assert_false(thumbprint_valid(STR("a9993e364706816aba3e25717850c26c9cd0d8")));
	assert_false(thumbprint_valid(STR("g9993e364706816aba3e25717850c26c9cd0d89d")));
	assert_false(thumbprint_valid(STR("A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:5")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rights__writing_the_registry_implies_reading_it),
		cmocka_unit_test(rights__have_names),
		cmocka_unit_test(policy_defaults__are_the_five_documented),
		cmocka_unit_test(policy_name__is_of_few_characters),
		cmocka_unit_test(key__is_base64_of_16_to_64_bytes),
		cmocka_unit_test(cert_print__is_matched_without_case_by_either_digest),
		cmocka_unit_test(thumbprint__is_40_or_64_hex_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
