/* The files beside the store: what is flipped, missing, or of a former program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/net.h"
#include "os/os.h"
#include "sealed/sealed.h"
#include "server/server.h"
#include "os/clock.h"

struct dir {
	char path[64];
	char why[DATA_WHY_MAX];
	struct data_found found;
};

static int
setup(void **state)
{
	struct dir *d = calloc(1, sizeof *d);

	strcpy(d->path, "/tmp/twinhub-data-XXXXXX");
	*state = d;
	return mkdtemp(d->path) == NULL;
}

static int
teardown(void **state)
{
	struct dir *d = *state;

	os_remove_tree(d->path, 2, NULL);
	free(d);
	return 0;
}

static const char *
path_of(const struct dir *d, const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", d->path, name);
	return path;
}

static enum err
prepare_with(struct dir *d, bool own_ca)
{
	enum err e;

	d->why[0] = '\0';
	e = data_prepare(d->path, own_ca, true, &d->found, d->why, sizeof d->why);
	if (d->found.held >= 0)
		close(d->found.held);
	return e;
}

static enum err
prepare(struct dir *d)
{
	return prepare_with(d, true);
}

/* As a hub leaves it: the files of a first start, a CA, and something in the store. */
static void
fill(struct dir *d)
{
	static const char *const names[] = { "localhost" };
	char why[NET_WHY_MAX];
	bool changed;

	assert_int_equal(prepare(d), ERR_OK);
	assert_true(d->found.first);
	assert_int_equal(
	    certs_ensure(d->path, names, 1, clock_wall_us(), d->found.first, &changed, why),
	    ERR_OK);
	mkdir(path_of(d, "store"), 0700);
	assert_int_equal(
	    os_replace_file(path_of(d, "store/CURRENT"), STR("x\n"), 0600, NULL), ERR_OK);
	assert_int_equal(prepare(d), ERR_OK);
	assert_false(d->found.first);
}

static struct buf
content(const struct dir *d, const char *name)
{
	struct buf bytes = { 0 };

	assert_int_equal(os_read_file(path_of(d, name), 1u << 20, &bytes, NULL), ERR_OK);
	return bytes;
}

static void
put(const struct dir *d, const char *name, struct str bytes)
{
	FILE *f = fopen(path_of(d, name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
	fclose(f);
}

static void
expect_refused(struct dir *d, const char *name, size_t at)
{
	if (prepare_with(d, false) == ERR_OK || strstr(d->why, path_of(d, name)) == NULL)
		fail_msg("%s, byte %zu: '%s'", name, at, d->why);
}

static void
data_prepare__any_flipped_bit_is_refused_by_name(void **state)
{
	static const char *const names[] = { "hub.json", "policies.json" };
	struct dir *d = *state;

	fill(d);
	for (int i = 0; i < 2; i++) {
		struct buf was = content(d, names[i]);

		for (size_t bit = 0; bit < 8 * was.n; bit++) {
			was.p[bit / 8] ^= (char)(1 << bit % 8);
			put(d, names[i], buf_view(&was));
			expect_refused(d, names[i], bit / 8);
			was.p[bit / 8] ^= (char)(1 << bit % 8);
		}
		put(d, names[i], buf_view(&was));
		buf_fini(&was);
		assert_int_equal(prepare(d), ERR_OK);
	}
}

static void
data_prepare__what_is_missing_beside_a_store_is_refused_and_not_made(void **state)
{
	static const struct {
		const char *name, *mend;
	} files[] = { { "hub.json", "twinhub restore" },
		{ "policies.json", "twinhub policy reset" }, { "ca.pem", "twinhub ca renew" },
		{ "ca.key", "twinhub ca renew" } };
	struct dir *d = *state;

	fill(d);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		struct buf was = content(d, files[i].name);

		assert_int_equal(unlink(path_of(d, files[i].name)), 0);
		assert_int_equal(prepare(d), ERR_NOT_FOUND);
		assert_non_null(strstr(d->why, path_of(d, files[i].name)));
		assert_non_null(strstr(d->why, files[i].mend));
		assert_int_equal(access(path_of(d, files[i].name), F_OK), -1);
		put(d, files[i].name, buf_view(&was));
		buf_fini(&was);
	}
	assert_int_equal(prepare(d), ERR_OK);
}

static void
data_prepare__with_other_certificates_no_ca_is_missed(void **state)
{
	struct dir *d = *state;

	fill(d);
	unlink(path_of(d, "ca.key"));
	assert_int_equal(prepare_with(d, false), ERR_OK);
	unlink(path_of(d, "ca.pem"));
	assert_int_equal(prepare_with(d, false), ERR_OK);
}

/* A hub has been reached here once, so there was a store. */
static void
data_prepare__a_store_that_has_gone_is_not_a_first_start(void **state)
{
	static const struct endpoint e = { .host = "hub.test", .address = "127.0.0.1" };
	struct dir *d = *state;

	fill(d);
	assert_int_equal(endpoint_write(d->path, &e), ERR_OK);
	assert_int_equal(os_remove_tree(path_of(d, "store"), 1, NULL), ERR_OK);
	assert_int_equal(prepare(d), ERR_NOT_FOUND);
	assert_non_null(strstr(d->why, path_of(d, "store")));
	mkdir(path_of(d, "store"), 0700);
	assert_int_equal(prepare(d), ERR_NOT_FOUND);
}

/* "...,"sum":"..."}" becomes "...}". */
static void
take_sum_off(struct dir *d, const char *name)
{
	struct buf was = content(d, name);
	char *sum;

	buf_putc(&was, '\0');
	sum = strstr(was.p, ",\"sum\"");
	assert_non_null(sum);
	was.n = (size_t)(sum - was.p);
	buf_cstr(&was, "}\n");
	put(d, name, buf_view(&was));
	buf_fini(&was);
}

static void
data_prepare__files_of_a_former_program_get_a_checksum(void **state)
{
	static const char *const names[] = { "hub.json", "policies.json" };
	struct dir *d = *state;

	fill(d);
	for (int i = 0; i < 2; i++) {
		struct buf was = content(d, names[i]), now;

		take_sum_off(d, names[i]);
		assert_int_equal(data_check(d->path, d->why, sizeof d->why), ERR_OK);
		assert_int_equal(prepare(d), ERR_OK);
		now = content(d, names[i]);
		assert_true(str_eq(buf_view(&now), buf_view(&was)));
		buf_fini(&was);
		buf_fini(&now);
	}
}

static void
data_prepare__first_start_that_was_cut_short_is_finished(void **state)
{
	struct dir *d = *state;
	struct buf before, after;

	assert_int_equal(prepare(d), ERR_OK);
	before = content(d, "policies.json");
	unlink(path_of(d, "hub.json"));
	assert_int_equal(prepare(d), ERR_OK);
	assert_true(d->found.first);
	after = content(d, "policies.json");
	assert_true(str_eq(buf_view(&before), buf_view(&after)));
	buf_fini(&before);
	buf_fini(&after);
}

static void
data_prepare__one_that_a_hub_has_is_left_alone(void **state)
{
	struct dir *d = *state;
	int store;

	assert_int_equal(
	    data_prepare(d->path, true, true, &d->found, d->why, sizeof d->why), ERR_OK);
	assert_int_equal(unlink(path_of(d, "policies.json")), 0);
	for (int i = 0; i < 2; i++) {
		struct data_found second;
		char why[DATA_WHY_MAX];

		assert_int_equal(
		    data_prepare(d->path, true, true, &second, why, sizeof why), ERR_LOCKED);
		assert_non_null(strstr(why, "in use by another hub"));
		if (second.held >= 0)
			close(second.held);
		assert_int_equal(access(path_of(d, "policies.json"), F_OK), -1);
		if (i == 1)
			break;
		close(d->found.held); /* a former program holds the store only */
		mkdir(path_of(d, "store"), 0700);
		assert_int_equal(os_hold_dir(path_of(d, "store"), &store, NULL), ERR_OK);
	}
	close(store);
}

/* A checksum is no leave to open what a later program has made. */
static void
data_prepare__a_newer_format_is_left_to_who_knows_it(void **state)
{
	static const char newer[] =
	    "{\"format\":5,\"shards\":64,\"hash\":\"xxh3-64\",\"created\":\"x\",\"hubId\":\"y\"";
	struct dir *d = *state;
	struct buf json = { 0 };

	fill(d);
	buf_cstr(&json, newer);
	sealed_end(&json);
	put(d, "hub.json", buf_view(&json));
	assert_int_equal(prepare(d), ERR_VERSION);
	assert_non_null(strstr(d->why, "format 5 is newer than this program's, 4"));
	assert_null(strstr(d->why, "restore")); /* no command of this program mends it */
	buf_fini(&json);
}

/* Settings are no part that others rely on: the defaults are in force, and it is said. */
static void
data_prepare__lost_settings_are_no_reason_not_to_start(void **state)
{
	struct dir *d = *state;

	assert_int_equal(prepare(d), ERR_OK);
	assert_false(d->found.settings_lost); /* a first start has none to lose */
	fill(d);
	assert_false(d->found.settings_lost);
	unlink(path_of(d, "twinhub.conf"));
	assert_int_equal(prepare(d), ERR_OK);
	assert_true(d->found.settings_lost);
	assert_int_equal(access(path_of(d, "twinhub.conf"), F_OK), 0);
	assert_int_equal(prepare(d), ERR_OK);
	assert_false(d->found.settings_lost);
}

static void
put_name(void *ctx, const char *file, const char *why)
{
	struct buf *names = ctx;

	assert_true(why[0] != '\0');
	buf_printf(names, "%s ", file);
}

static void
expect_names(struct buf *names, const char *expected)
{
	assert_true(str_eq(buf_view(names), str_of(expected)));
	names->n = 0;
}

/* `check` shows all that is wrong at once; a start names the first. */
static void
data_check_parts__tells_of_each_that_is_wrong(void **state)
{
	struct dir *d = *state;
	struct buf names = { 0 };

	fill(d);
	assert_int_equal(data_check_parts(d->path, true, put_name, &names), ERR_OK);
	expect_names(&names, "");
	put(d, "hub.json", STR("{}"));
	unlink(path_of(d, "policies.json"));
	unlink(path_of(d, "ca.key"));
	assert_int_equal(data_check_parts(d->path, true, put_name, &names), ERR_CORRUPT);
	expect_names(&names, "hub.json policies.json ca.key ");
	assert_int_equal(data_check_parts(d->path, false, put_name, &names), ERR_CORRUPT);
	expect_names(&names, "hub.json policies.json ");
	assert_int_equal(prepare(d), ERR_CORRUPT);
	assert_non_null(strstr(d->why, path_of(d, "hub.json")));
	buf_fini(&names);
}

static void
data_tell_anew__tells_what_a_start_adds_and_adds_nothing(void **state)
{
	struct dir *d = *state;
	struct buf names = { 0 }, was, now;

	fill(d);
	data_tell_anew(d->path, put_name, &names);
	expect_names(&names, "");
	take_sum_off(d, "policies.json");
	unlink(path_of(d, "twinhub.conf"));
	was = content(d, "policies.json");
	data_tell_anew(d->path, put_name, &names);
	expect_names(&names, "policies.json twinhub.conf ");
	now = content(d, "policies.json");
	assert_true(str_eq(buf_view(&was), buf_view(&now)));
	assert_int_equal(access(path_of(d, "twinhub.conf"), F_OK), -1);
	assert_int_equal(prepare(d), ERR_OK);
	data_tell_anew(d->path, put_name, &names);
	expect_names(&names, "");
	buf_fini(&names);
	buf_fini(&was);
	buf_fini(&now);
}

static void
endpoint__any_flipped_bit_is_noticed(void **state)
{
	static const struct endpoint e = { "hub.test", "127.0.0.1", 443, 8883, 4711,
		"hub.test localhost" };
	struct dir *d = *state;
	struct endpoint found;
	struct buf was;

	assert_int_equal(endpoint_write(d->path, &e), ERR_OK);
	assert_int_equal(endpoint_read(d->path, &found), ERR_OK);
	assert_memory_equal(&found, &e, sizeof e);
	was = content(d, "endpoint.json");
	for (size_t bit = 0; bit < 8 * was.n; bit++) {
		was.p[bit / 8] ^= (char)(1 << bit % 8);
		put(d, "endpoint.json", buf_view(&was));
		if (endpoint_read(d->path, &found) == ERR_OK && memcmp(&found, &e, sizeof e) != 0)
			fail_msg("byte %zu", bit / 8);
		was.p[bit / 8] ^= (char)(1 << bit % 8);
	}
	buf_fini(&was);
}

#define DATA_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DATA_TEST(data_prepare__any_flipped_bit_is_refused_by_name),
		DATA_TEST(data_prepare__what_is_missing_beside_a_store_is_refused_and_not_made),
		DATA_TEST(data_prepare__with_other_certificates_no_ca_is_missed),
		DATA_TEST(data_prepare__a_store_that_has_gone_is_not_a_first_start),
		DATA_TEST(data_prepare__files_of_a_former_program_get_a_checksum),
		DATA_TEST(data_prepare__first_start_that_was_cut_short_is_finished),
		DATA_TEST(data_prepare__one_that_a_hub_has_is_left_alone),
		DATA_TEST(data_prepare__a_newer_format_is_left_to_who_knows_it),
		DATA_TEST(data_prepare__lost_settings_are_no_reason_not_to_start),
		DATA_TEST(data_check_parts__tells_of_each_that_is_wrong),
		DATA_TEST(data_tell_anew__tells_what_a_start_adds_and_adds_nothing),
		DATA_TEST(endpoint__any_flipped_bit_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
