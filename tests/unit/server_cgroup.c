/* What control groups allow of memory: the least of the group's own limits and of those above it. */
#include "server/priv.h" /* its fail() is not cmocka's */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "os/os.h"

#define M (UINT64_C(1) << 20)

static char root[64];

static int
setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/twinhub-cgroup-XXXXXX");
	return mkdtemp(root) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	os_remove_tree(root, 4, NULL);
	return 0;
}

/* Writes a limit as the kernel has it; the group's folder is made. */
static void
say(const char *group, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s%s", root, group);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s%s/%s", root, group, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%s\n", text);
	fclose(f);
}

static void
cgroup__O104_none_where_nothing_is_said(void **state)
{
	(void)state;
	assert_int_equal(cgroup_limit(root, STR("/a/b")), 0);
	say("/a", "memory.max", "max");
	say("/a", "memory.high", "max");
	say("/a/b", "memory.max", "max");
	assert_int_equal(cgroup_limit(root, STR("/a/b")), 0);
}

static void
cgroup__O104_least_of_max_and_high(void **state)
{
	(void)state;
	say("/a", "memory.max", "1073741824");
	assert_int_equal(cgroup_limit(root, STR("/a")), 1024 * M);
	say("/a", "memory.high", "536870912");
	assert_int_equal(cgroup_limit(root, STR("/a")), 512 * M);
	say("/a", "memory.high", "max");
	assert_int_equal(cgroup_limit(root, STR("/a")), 1024 * M);
}

static void
cgroup__O104_groups_above_count_too(void **state)
{
	(void)state;
	say("/a", "memory.max", "268435456");
	say("/a/b", "memory.max", "1073741824");
	assert_int_equal(cgroup_limit(root, STR("/a/b")), 256 * M);
	say("/a/b", "memory.max", "134217728");
	assert_int_equal(cgroup_limit(root, STR("/a/b")), 128 * M);
	assert_int_equal(cgroup_limit(root, STR("/a")), 256 * M);
	assert_int_equal(cgroup_limit(root, STR("/")), 0);
	say("", "memory.max", "67108864"); /* a container's root is the group itself */
	assert_int_equal(cgroup_limit(root, STR("/")), 64 * M);
	assert_int_equal(cgroup_limit(root, STR("/a/b")), 64 * M);
}

static void
cgroup__O104_of_either_version(void **state)
{
	char tree[80];

	(void)state;
	say("/a", "memory.max", "268435456");
	say("/memory", "memory.limit_in_bytes", "9223372036854771712");
	say("/memory/a", "memory.limit_in_bytes", "134217728");
	snprintf(tree, sizeof(tree), "%s", root);
	assert_int_equal(cgroup_limits(tree, STR("0::/a\n")), 256 * M);
	assert_int_equal(cgroup_limits(tree, STR("0::/a/not/there")), 256 * M);
	assert_int_equal(cgroup_limits(tree, STR("12:cpu,memory:/a\n3:pids:/a\n")), 128 * M);
	assert_int_equal(cgroup_limits(tree, STR("12:cpu,memory:/a\n0::/a\n")), 128 * M);
	/* a container sees its own group as the tree's root, and the machine's name of it */
	say("/memory", "memory.limit_in_bytes", "67108864");
	assert_int_equal(cgroup_limits(tree, STR("4:memory:/docker/0123456789ab\n")), 64 * M);
	assert_int_equal(cgroup_limits(tree, STR("4:memoryx:/a\n5:mem:/a\n")), 0);
	assert_int_equal(cgroup_limits(tree, STR("")), 0);
	assert_int_equal(cgroup_limits(tree, STR("0\n:\n::\n")), 0);
}

/* Never more than there is, and never less than works. */
static void
cgroup__O104_absurd_values(void **state)
{
	static const struct {
		const char *text;
		uint64_t limit; /* 0: none */
	} rows[] = { { "0", 0 }, { "", 0 }, { "nonsense", 0 }, { "max", 0 },
		{ "18446744073709551615", UINT64_MAX }, { "99999999999999999999999", UINT64_MAX },
		{ "1", 1 }, { "4096 ", 4096 } };

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		say("/a", "memory.max", rows[i].text);
		assert_true(cgroup_limit(root, STR("/a")) == rows[i].limit);
	}
	assert_true(cgroup_limit(root, STR("/../../../..")) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    cgroup__O104_none_where_nothing_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    cgroup__O104_least_of_max_and_high, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    cgroup__O104_groups_above_count_too, setup, teardown),
		cmocka_unit_test_setup_teardown(cgroup__O104_of_either_version, setup, teardown),
		cmocka_unit_test_setup_teardown(cgroup__O104_absurd_values, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
