/* The shared access policies: what is made, kept, read back, refused, and given another key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "os/os.h"
#include "sealed/sealed.h"
#include "server/server.h"

#define KEY "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

static char dir[64], why[DATA_WHY_MAX];

static int
setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/twinhub-policies-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	os_remove_tree(dir, 1, NULL);
	return 0;
}

static const char *
file(void)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/policies.json", dir);
	return path;
}

static void
expect_same(const struct policies *a, const struct policies *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		assert_true(str_eq(a->v[i].name, b->v[i].name));
		assert_true(str_eq(a->v[i].primary, b->v[i].primary));
		assert_true(str_eq(a->v[i].secondary, b->v[i].secondary));
		assert_int_equal(a->v[i].rights, b->v[i].rights);
	}
}

static void
policies_fresh__are_the_five_of_azure_with_keys_of_their_own(void **state)
{
	static const struct {
		const char *name;
		unsigned rights;
	} five[] = { { "iothubowner", RIGHTS_ALL }, { "service", RIGHT_SERVICE_CONNECT },
		{ "device", RIGHT_DEVICE_CONNECT }, { "registryRead", RIGHT_REGISTRY_READ },
		{ "registryReadWrite", RIGHT_REGISTRY_READ | RIGHT_REGISTRY_WRITE } };
	struct policies *p = policies_fresh(), *other = policies_fresh();

	(void)state;
	assert_int_equal(p->n, 5);
	for (size_t i = 0; i < 5; i++) {
		const struct policy *found = policy_find(p->v, p->n, str_of(five[i].name));

		assert_non_null(found);
		assert_int_equal(found->rights, five[i].rights);
		assert_true(key_valid(found->primary) && key_valid(found->secondary));
		assert_false(str_eq(found->primary, found->secondary));
		for (size_t k = 0; k < other->n; k++)
			assert_false(str_eq(found->primary, other->v[k].primary));
	}
	policies_free(p);
	policies_free(other);
}

static void
policies_save__is_read_back_and_nobody_elses_business(void **state)
{
	struct policies *p = policies_fresh(), *again;
	struct stat st;

	(void)state;
	assert_int_equal(policies_save(dir, p), ERR_OK);
	assert_int_equal(stat(file(), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(policies_load(dir, &again, why, sizeof why), ERR_OK);
	expect_same(again, p);
	policies_free(p);
	policies_free(again);
}

#define ONE(members) "{\"policies\":[{" members "}]}"
#define KEYS         "\"primaryKey\":\"" KEY "\",\"secondaryKey\":\"" KEY "\""

/* Edited by hand, without a checksum: a policy is taken whole or the file is not. */
static void
policies_load__refuses_what_is_no_policy(void **state)
{
	static const struct {
		const char *text;
		enum err e;
		const char *says;
	} cases[] = {
		{ ONE("\"name\":\"a\",\"rights\":[\"ServiceConnect\"]," KEYS), ERR_OK, "" },
		{ ONE("\"rights\":[\"ServiceConnect\"]," KEYS), ERR_CORRUPT, "a wrong one" },
		{ ONE("\"name\":\"a b\",\"rights\":[\"ServiceConnect\"]," KEYS), ERR_CORRUPT,
		    "a wrong one" },
		{ ONE("\"name\":\"a\",\"rights\":[]," KEYS), ERR_CORRUPT, "a wrong one" },
		{ ONE("\"name\":\"a\",\"rights\":\"ServiceConnect\"," KEYS), ERR_CORRUPT,
		    "a wrong one" },
		{ ONE("\"name\":\"a\",\"rights\":[\"ServiceConnect\",\"Everything\"]," KEYS),
		    ERR_CORRUPT, "a wrong one" },
		{ ONE("\"name\":\"a\",\"rights\":[\"ServiceConnect\",1]," KEYS), ERR_CORRUPT,
		    "a wrong one" },
		{ ONE("\"name\":\"a\",\"rights\":[\"ServiceConnect\"],\"primaryKey\":\"" KEY
		      "\",\"secondaryKey\":\"%\""),
		    ERR_CORRUPT, "a wrong one" },
		{ ONE("\"name\":\"a\",\"rights\":[\"ServiceConnect\"],\"secondaryKey\":\"" KEY
		      "\""),
		    ERR_CORRUPT, "a wrong one" },
		{ ONE("\"name\":\"a\",\"rights\":[\"ServiceConnect\"],\"primaryKey\":\"" KEY "\""),
		    ERR_CORRUPT, "a wrong one" },
		{ "{\"policies\":[]}", ERR_CORRUPT, "holds no policies" },
		{ "{}", ERR_CORRUPT, "holds no policies" },
		{ "[]", ERR_CORRUPT, "no JSON object" },
		{ "{\"policies\":[", ERR_CORRUPT, "no JSON object" },
		{ "{\"policies\":[{\"name\":\"a\",\"rights\":[\"ServiceConnect\"]," KEYS
		  "}],\"polities\":1}",
		    ERR_CORRUPT, "'polities' is none of its members" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct policies *p = NULL;
		enum err e;

		assert_int_equal(
		    os_replace_file(file(), str_of(cases[i].text), 0600, NULL), ERR_OK);
		why[0] = '\0';
		e = policies_load(dir, &p, why, sizeof why);
		if (e != cases[i].e || strstr(why, cases[i].says) == NULL ||
		    (e != ERR_OK && strstr(why, file()) == NULL))
			fail_msg("%s: %d, '%s'", cases[i].text, e, why);
		assert_int_equal(p != NULL, e == ERR_OK);
		policies_free(p);
	}
}

static void
policies_load__a_file_that_is_missing_is_named(void **state)
{
	struct policies *p;

	(void)state;
	assert_int_equal(policies_load(dir, &p, why, sizeof why), ERR_NOT_FOUND);
	assert_non_null(strstr(why, file()));
	assert_non_null(strstr(why, "is missing"));
}

/* Clients move to the other key first: that one has to hold. */
static void
policies_rotate__changes_one_key_of_one_policy(void **state)
{
	struct policies *was = policies_fresh();

	(void)state;
	for (size_t i = 0; i < was->n; i++)
		for (int primary = 0; primary < 2; primary++) {
			struct policies *p = policies_copy(was);

			assert_int_equal(policies_rotate(p, was->v[i].name, primary), ERR_OK);
			for (size_t k = 0; k < was->n; k++) {
				const struct policy *a = &was->v[k], *b = &p->v[k];

				assert_int_equal(
				    str_eq(a->primary, b->primary), k != i || !primary);
				assert_int_equal(
				    str_eq(a->secondary, b->secondary), k != i || primary);
				assert_true(key_valid(b->primary) && key_valid(b->secondary));
			}
			policies_free(p);
		}
	policies_free(was);
}

static void
policies_rotate__of_none_changes_none(void **state)
{
	struct policies *was = policies_fresh(), *p = policies_copy(was);

	(void)state;
	assert_int_equal(policies_rotate(p, STR("nobody"), true), ERR_NOT_FOUND);
	assert_int_equal(policies_rotate(p, STR(""), true), ERR_NOT_FOUND);
	expect_same(p, was);
	policies_free(p);
	policies_free(was);
}

/* A catalogue in use is a copy: it must outlive what it was made from. */
static void
policies_copy__stands_alone(void **state)
{
	struct policies *was = policies_fresh(), *a = policies_copy(was), *b;

	(void)state;
	expect_same(a, was);
	policies_free(was);
	b = policies_copy(a);
	policies_free(a);
	assert_int_equal(policies_rotate(b, STR("service"), true), ERR_OK);
	assert_int_equal(policies_save(dir, b), ERR_OK);
	assert_int_equal(policies_load(dir, &a, why, sizeof why), ERR_OK);
	expect_same(a, b);
	policies_free(a);
	policies_free(b);
}

#define POLICY_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		POLICY_TEST(policies_fresh__are_the_five_of_azure_with_keys_of_their_own),
		POLICY_TEST(policies_save__is_read_back_and_nobody_elses_business),
		POLICY_TEST(policies_load__refuses_what_is_no_policy),
		POLICY_TEST(policies_load__a_file_that_is_missing_is_named),
		POLICY_TEST(policies_rotate__changes_one_key_of_one_policy),
		POLICY_TEST(policies_rotate__of_none_changes_none),
		POLICY_TEST(policies_copy__stands_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
