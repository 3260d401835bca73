/* What operators ask of the program: policies, readiness, a backup. Over a real directory and store, without a listener. */
#include "server/priv.h" /* its fail() is not cmocka's */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/os.h"

struct hub {
	char root[64]; /* holds the hub's directory and backups */
	char data[96];
	struct server s;
	struct http_admin admin;
	struct fault f;
};

static const char *
in(const struct hub *h, const char *name)
{
	static char path[4][256];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", h->root, name);
	return p;
}

static int
setup(void **state)
{
	struct hub *h = calloc(1, sizeof *h);
	char why[DATA_WHY_MAX];

	*state = h;
	strcpy(h->root, "/tmp/twinhub-admin-XXXXXX");
	if (mkdtemp(h->root) == NULL)
		return -1;
	snprintf(h->data, sizeof h->data, "%s/data", h->root);
	h->s.o.data = h->data;
	if (data_prepare(h->data, true, true, &h->s.found, why, sizeof why) != ERR_OK)
		return -1;
	h->s.catalogue = catalogue_box_new();
	pthread_mutex_init(&h->s.policies_mutex, NULL);
	if (policies_load(h->data, &h->s.policies, why, sizeof why) != ERR_OK)
		return -1;
	catalogue_publish(&h->s);
	if (backups_make(&h->s) != ERR_OK)
		return -1;
	h->admin = admin_of(&h->s);
	return 0;
}

static int
teardown(void **state)
{
	struct hub *h = *state;

	if (h->s.store != NULL)
		store_close(h->s.store);
	close(h->s.found.held);
	backups_free(&h->s);
	catalogue_box_free(h->s.catalogue);
	policies_free(h->s.policies);
	pthread_mutex_destroy(&h->s.policies_mutex);
	os_remove_tree(h->root, 3, NULL);
	free(h);
	return 0;
}

static void
store_up(struct hub *h, uint64_t floor_bytes)
{
	char path[160];
	struct store_options o = { .dir = path, .create = true, .lanes = 1 };

	snprintf(path, sizeof path, "%s/store", h->data);
	o.floor_bytes = h->s.o.free_space_bytes = floor_bytes;
	assert_int_equal(store_open(&o, &h->s.store, &h->f), ERR_OK);
}

/* ---- policies ---- */

/* The primary key of one, as everybody who takes the catalogue from now on sees it. */
static char *
key_in_force(const struct hub *h, const char *name)
{
	const struct catalogue *c = catalogue_use(h->s.catalogue);
	char *key = str_dup0(policy_find(c->policies, c->npolicies, str_of(name))->primary);

	catalogue_drop(h->s.catalogue, c);
	return key;
}

static const char *
shown(const struct hub *h, const char *name, enum err expected)
{
	static struct buf json;

	json.n = 0;
	assert_int_equal(h->admin.policy_show(h->admin.ctx, str_of(name), &json), expected);
	buf_putc(&json, '\0');
	return json.p;
}

static void
policy_show__shows_one_or_all_or_that_there_is_none(void **state)
{
	struct hub *h = *state;
	char *key = key_in_force(h, "service");
	const char *all = shown(h, "", ERR_OK);

	assert_int_equal(all[0], '[');
	assert_non_null(strstr(all, "\"name\":\"iothubowner\""));
	assert_non_null(strstr(all, "\"name\":\"registryReadWrite\""));
	assert_non_null(strstr(
	    shown(h, "service", ERR_OK), "{\"name\":\"service\",\"rights\":[\"ServiceConnect\"],"));
	assert_non_null(strstr(shown(h, "service", ERR_OK), key));
	shown(h, "Service", ERR_NOT_FOUND);
	free(key);
}

/* On disk before it is in force, in force before it is answered; who holds the former catalogue is not disturbed. */
static void
policy_rotate__is_on_disk_in_force_and_answered_alike(void **state)
{
	struct hub *h = *state;
	const struct catalogue *held = catalogue_use(h->s.catalogue);
	char *was = key_in_force(h, "service"), *other = key_in_force(h, "device"), *now,
	     why[DATA_WHY_MAX];
	struct buf json = { 0 };
	struct policies *stored;

	assert_int_equal(
	    h->admin.policy_rotate(h->admin.ctx, STR("service"), true, &json, &h->f), ERR_OK);
	now = key_in_force(h, "service");
	assert_string_not_equal(now, was);
	buf_putc(&json, '\0');
	assert_non_null(strstr(json.p, now));
	assert_int_equal(policies_load(h->data, &stored, why, sizeof why), ERR_OK);
	assert_true(
	    str_eq(policy_find(stored->v, stored->n, STR("service"))->primary, str_of(now)));
	assert_true(
	    str_eq(policy_find(stored->v, stored->n, STR("device"))->primary, str_of(other)));
	assert_int_equal(catalogue_version(h->s.catalogue), held->version + 1);
	assert_true(str_eq(
	    policy_find(held->policies, held->npolicies, STR("service"))->primary, str_of(was)));
	catalogue_drop(h->s.catalogue, held);
	policies_free(stored);
	buf_fini(&json);
	free(was);
	free(other);
	free(now);
}

/* A key that is not on disk would be gone after the next start: clients must not get it. */
static void
policy_rotate__that_cannot_be_stored_changes_nothing(void **state)
{
	struct hub *h = *state;
	char *was = key_in_force(h, "service"), *now;
	uint64_t version = catalogue_version(h->s.catalogue);
	struct buf json = { 0 };

	h->s.o.data = in(h, "gone");
	assert_int_not_equal(
	    h->admin.policy_rotate(h->admin.ctx, STR("service"), true, &json, &h->f), ERR_OK);
	assert_int_equal(h->f.code, F_ServiceUnavailable);
	assert_non_null(strstr(h->f.text, "the old one stays"));
	assert_int_equal(json.n, 0);
	now = key_in_force(h, "service");
	assert_string_equal(now, was);
	assert_non_null(strstr(shown(h, "service", ERR_OK), was));
	assert_int_equal(catalogue_version(h->s.catalogue), version);
	h->s.o.data = h->data;
	free(was);
	free(now);
}

static void
policy_rotate__of_none_is_not_found(void **state)
{
	struct hub *h = *state;
	uint64_t version = catalogue_version(h->s.catalogue);
	struct buf json = { 0 };

	assert_int_equal(
	    h->admin.policy_rotate(h->admin.ctx, STR("nobody"), true, &json, &h->f), ERR_NOT_FOUND);
	assert_int_equal(json.n, 0);
	assert_int_equal(catalogue_version(h->s.catalogue), version);
}

/* ---- readiness ---- */

static void
not_ready__O02_is_nothing_while_the_store_takes_writes(void **state)
{
	struct hub *h = *state;
	char why[NET_WHY_MAX];

	store_up(h, 1);
	assert_null(h->admin.not_ready(h->admin.ctx, why));
}

static void
not_ready__O02_says_how_much_a_full_disk_lacks(void **state)
{
	struct hub *h = *state;
	char why[NET_WHY_MAX];

	store_up(h, UINT64_C(1) << 60); /* more than any disk has */
	assert_ptr_equal(h->admin.not_ready(h->admin.ctx, why), why);
	assert_non_null(strstr(why, "the disk is full: "));
	assert_non_null(strstr(why, "changes need 1152921504606846976"));
}

/* ---- backups ---- */

static enum err
backup(struct hub *h, const char *to)
{
	struct buf json = { 0 };
	enum err e;

	h->f = (struct fault){ 0 };
	e = h->admin.backup(h->admin.ctx, str_of(to), &json, &h->f);
	assert_int_equal(json.n > 0, e == ERR_OK);
	buf_fini(&json);
	return e;
}

static void
backup__has_the_store_and_the_files_with_their_modes(void **state)
{
	static const struct {
		const char *name;
		unsigned mode;
	} files[] = { { "hub.json", 0600 }, { "twinhub.conf", 0600 }, { "policies.json", 0600 },
		{ "store/CURRENT", 0 } };
	struct hub *h = *state;
	struct stat st;

	store_up(h, 1);
	umask(022); /* whatever the caller's is */
	assert_int_equal(backup(h, in(h, "b")), ERR_OK);
	assert_int_equal(stat(in(h, "b"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		char name[64];

		snprintf(name, sizeof name, "b/%s", files[i].name);
		assert_int_equal(stat(in(h, name), &st), 0);
		if (files[i].mode != 0)
			assert_int_equal(st.st_mode & 0777, files[i].mode);
	}
	assert_int_equal(access(in(h, "b/ca.pem"), F_OK), -1); /* there is none to copy */
}

static void
backup__goes_into_a_new_directory_outside_of_the_hubs(void **state)
{
	struct hub *h = *state;

	store_up(h, 1);
	assert_int_equal(mkdir(in(h, "there"), 0700), 0);
	assert_int_not_equal(backup(h, in(h, "there")), ERR_OK);
	assert_int_equal(h->f.code, F_ArgumentInvalid);
	assert_int_equal(rmdir(in(h, "there")), 0); /* untouched: it is not removed either */
	assert_int_not_equal(backup(h, in(h, "data/b")), ERR_OK);
	assert_int_equal(h->f.code, F_ArgumentInvalid);
	assert_non_null(strstr(h->f.text, "is in the hub's data directory"));
	assert_int_not_equal(backup(h, in(h, "there/../data/store/b")), ERR_OK);
	assert_int_not_equal(backup(h, in(h, "none/b")), ERR_OK);
	assert_int_equal(h->f.code, F_ArgumentInvalid);
	assert_non_null(strstr(h->f.text, "none/b cannot be made"));
	assert_int_equal(access(in(h, "data/b"), F_OK), -1);
	assert_int_equal(access(in(h, "none"), F_OK), -1);
}

/* Half a backup is none: who finds a directory there has a whole one. */
static void
backup__that_fails_leaves_no_directory(void **state)
{
	struct hub *h = *state;

	store_up(h, 1);
	assert_int_equal(truncate(in(h, "data/policies.json"), 2 << 20), 0); /* no such file is */
	assert_int_not_equal(backup(h, in(h, "b")), ERR_OK);
	assert_int_not_equal(h->f.code, F_NONE);
	assert_non_null(strstr(h->f.text, "policies.json"));
	assert_int_equal(access(in(h, "b"), F_OK), -1);
}

#define HUB_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HUB_TEST(policy_show__shows_one_or_all_or_that_there_is_none),
		HUB_TEST(policy_rotate__is_on_disk_in_force_and_answered_alike),
		HUB_TEST(policy_rotate__that_cannot_be_stored_changes_nothing),
		HUB_TEST(policy_rotate__of_none_is_not_found),
		HUB_TEST(not_ready__O02_is_nothing_while_the_store_takes_writes),
		HUB_TEST(not_ready__O02_says_how_much_a_full_disk_lacks),
		HUB_TEST(backup__has_the_store_and_the_files_with_their_modes),
		HUB_TEST(backup__goes_into_a_new_directory_outside_of_the_hubs),
		HUB_TEST(backup__that_fails_leaves_no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
