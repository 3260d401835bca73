/* What the parts of the hub get of a machine, by the options: docs/architecture.md, "Memory" and "Bounds". */
#include "server/priv.h" /* its fail() is not cmocka's */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MB (UINT64_C(1) << 20)
#define GB (UINT64_C(1) << 30)

static const struct machine usual = { .cores = 8, .files = 65536, .memory_bytes = 16 * GB };

static void
sizes__threads_are_half_the_cores_within_their_bounds(void **state)
{
	static const struct {
		uint64_t cores, nworker, nio;
	} cases[] = { { 1, 1, 1 }, { 2, 1, 1 }, { 3, 1, 1 }, { 8, 4, 4 }, { 128, 64, 64 },
		{ 1024, SHARDS, IO_MAX } };
	struct server_options o = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct machine m = usual;
		struct sizes z;

		m.cores = cases[i].cores;
		z = sizes_of(&o, &m);
		assert_int_equal(z.nworker, cases[i].nworker);
		assert_int_equal(z.nio, cases[i].nio);
	}
}

static void
sizes__what_is_asked_for_is_what_there_is(void **state)
{
	struct server_options o = { .workers = 7,
		.io_threads = 3,
		.max_connections = 100000,
		.max_connections_per_address = 99000,
		.memory_bytes = 1 * GB };
	struct sizes z = sizes_of(&o, &usual);

	(void)state;
	assert_int_equal(z.nworker, 7);
	assert_int_equal(z.nio, 3);
	assert_int_equal(z.connections, 100000);
	assert_int_equal(z.connections_per_address, 99000);
	assert_int_equal(z.cache_bytes, 512 * MB);
}

static void
sizes__memory_is_shared_as_the_table_says(void **state)
{
	struct server_options o = { .memory_bytes = 4 * GB, .workers = 4, .io_threads = 2 };
	struct sizes z = sizes_of(&o, &usual);

	(void)state;
	assert_int_equal(z.cache_bytes, 2 * GB);
	assert_int_equal(z.store_bytes, 1 * GB);
	assert_int_equal(z.query_bytes, 16 * MB);
	assert_int_equal(z.answer_bytes, 512 * MB);
	assert_int_equal(z.column_bytes, 512 * MB);
	assert_int_equal(z.worker_bytes, 256 * MB / 4);
	assert_int_equal(z.session_bytes, 256 * MB / 2);
	assert_int_equal(z.link_bytes, 512 * MB / 2);
}

/* What less would not do for: the largest answer, a batch, a query at all. */
static void
sizes__little_memory_leaves_each_part_its_least(void **state)
{
	struct server_options o = { .memory_bytes = 64 * MB - 64, .workers = 2, .io_threads = 2 };
	struct sizes z;

	(void)state;
	z = sizes_of(&o, &usual);
	assert_int_equal(z.store_bytes, 16 * MB);
	assert_int_equal(z.query_bytes, 1 * MB);
	assert_int_equal(z.answer_bytes, 4 * (uint64_t)PAGE_BYTES_MAX);
	assert_int_equal(z.worker_bytes, 16 * MB);
	assert_int_equal(z.session_bytes, 16 * MB);
	assert_int_equal(z.link_bytes, 32 * MB);
}

static void
sizes__memory_is_a_quarter_of_the_machines(void **state)
{
	struct server_options o = { 0 };
	struct machine m = usual;

	(void)state;
	assert_int_equal(sizes_of(&o, &m).cache_bytes, 2 * GB);
	m.memory_bytes = 128 * MB; /* as little as the option takes, not less */
	assert_int_equal(sizes_of(&o, &m).cache_bytes, 32 * MB);
	m.memory_bytes = 0; /* it does not say */
	assert_int_equal(sizes_of(&o, &m).cache_bytes, 256 * MB);
}

static void
sizes__connections_leave_descriptors_for_the_store(void **state)
{
	static const struct {
		uint64_t files, connections;
	} cases[] = { { 65536, 65024 }, { 1025, 513 }, { 1024, 512 }, { 600, 300 } };
	struct server_options o = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct machine m = usual;

		m.files = cases[i].files;
		assert_int_equal(sizes_of(&o, &m).connections, cases[i].connections);
	}
}

static void
sizes__one_address_cannot_have_all_connections_unless_told(void **state)
{
	struct server_options o = { .max_connections = 1000 };

	(void)state;
	assert_int_equal(sizes_of(&o, &usual).connections_per_address, 501);
	o.max_connections = 1; /* not none */
	assert_int_equal(sizes_of(&o, &usual).connections_per_address, 1);
	o.max_connections = 0;
	assert_int_equal(sizes_of(&o, &usual).connections_per_address, 65024 / 2 + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes__threads_are_half_the_cores_within_their_bounds),
		cmocka_unit_test(sizes__what_is_asked_for_is_what_there_is),
		cmocka_unit_test(sizes__memory_is_shared_as_the_table_says),
		cmocka_unit_test(sizes__little_memory_leaves_each_part_its_least),
		cmocka_unit_test(sizes__memory_is_a_quarter_of_the_machines),
		cmocka_unit_test(sizes__connections_leave_descriptors_for_the_store),
		cmocka_unit_test(sizes__one_address_cannot_have_all_connections_unless_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
