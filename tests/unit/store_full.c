/*
 * A disk that fills up, fails, and comes back, under a running store. On a small tmpfs where mounting is allowed; and
 * with write(2) and its kin taken over by this program, which librocksdb then calls.
 */
#include "store/priv.h"
#include "store_kit.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

/* RocksDB 7.8 loses a memtable's header when it is closed while its own attempt to recover is under way. */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:rocksdb::ErrorHandler::RecoverFromBGError";
}

/* ---- the faulty disk ---- */

static _Atomic int writes_left = -1; /* before writes fail with write_errno; -1: they do not */
static _Atomic int write_errno;
static _Atomic int sync_errno; /* 0: fsync works */
static atomic_uint nfailed;    /* of all these calls */
static struct rocks *_Atomic
    half_of; /* the next large write fails in the middle, at the worst moment for this store */

static bool
write_fails(void)
{
	int left = atomic_load(&writes_left);

	while (left > 0 && !atomic_compare_exchange_weak(&writes_left, &left, left - 1))
		;
	if (left != 0)
		return false;
	atomic_fetch_add(&nfailed, 1);
	errno = atomic_load(&write_errno);
	return true;
}

static bool
sync_fails(void)
{
	int error = atomic_load(&sync_errno);

	if (error == 0)
		return false;
	atomic_fetch_add(&nfailed, 1);
	errno = error;
	return true;
}

/* A part of a batch is in its log, and the length of the log is noted just then. */
static ssize_t
write_half(struct rocks *s, int fd, const void *p, size_t n)
{
	assert_true(syscall(SYS_write, fd, p, n / 2) > 0);
	assert_int_equal(mark_lengths(&s->mark, s->dir, NULL), ERR_OK);
	atomic_store(&writes_left, 0);
	write_fails();
	return -1;
}

ssize_t
write(int fd, const void *p, size_t n)
{
	struct rocks *s = n >= 1000 ? atomic_exchange(&half_of, NULL) : NULL;

	if (s != NULL)
		return write_half(s, fd, p, n);
	if (!write_fails())
		return syscall(SYS_write, fd, p, n);
	return -1;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (!write_fails())
		return syscall(SYS_pwrite64, fd, p, n, at);
	return -1;
}

int
fdatasync(int fd)
{
	if (sync_fails())
		return -1;
	return (int)syscall(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	if (sync_fails())
		return -1;
	return (int)syscall(SYS_fsync, fd);
}

static void
small_disk(const struct kit *k, char mount_point[150])
{
	snprintf(mount_point, 150, "%s/small", k->root);
}

static int
faulty_teardown(void **state)
{
	struct kit *k = *state;
	char mount_point[150];

	atomic_store(&writes_left, -1);
	atomic_store(&sync_errno, 0);
	kit_close(k);
	small_disk(k, mount_point);
	umount(mount_point); /* if there is one */
	return kit_teardown(state);
}

/* ---- */

static void
await_works_again(struct kit *k)
{
	pthread_mutex_lock(&k->mu);
	patience_await(&k->changed, &k->mu,
	    strcmp(k->warned, "the store works again") == 0 ||
	        store_state(k->s, NULL) == STORE_IS_CORRUPT);
	if (store_state(k->s, NULL) == STORE_IS_CORRUPT)
		fail_msg("%s", k->warned);
	k->warned[0] = 0;
	pthread_mutex_unlock(&k->mu);
	assert_int_equal(store_state(k->s, NULL), STORE_READY);
}

/* One row of that many bytes, its first four naming it; true when acknowledged. */
static enum store_result
put_sized(struct kit *k, unsigned number, size_t n)
{
	char key[16], *value = malloc(n);
	struct store_batch *b = store_batch_new();
	uint64_t noise = number * 2654435761u + 1;

	for (size_t i = 0; i + 8 <= n; i += 8) {
		noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
		memcpy(value + i, &noise, 8);
	}
	memcpy(value, &number, sizeof number);
	snprintf(key, sizeof key, "%06u", number);
	store_batch_put(b, 0, STORE_REPORTED, str_of(key), (struct str){ value, n });
	free(value);
	return kit_commit(k, 0, b);
}

static void
expect_rows(struct kit *k, unsigned n, size_t size)
{
	for (unsigned i = 0; i < n; i++) {
		struct buf b = { 0 };
		char key[16];

		snprintf(key, sizeof key, "%06u", i);
		if (kit_get(k, STORE_REPORTED, key, &b) != ERR_OK)
			fail_msg("acknowledged row %u of %u is gone", i, n);
		assert_int_equal(b.n, size);
		assert_memory_equal(b.p, &i, sizeof i);
		buf_fini(&b);
	}
}

static void
put_until_refused(struct kit *k, unsigned *n, size_t size, enum store_result want)
{
	enum store_result r;

	while ((r = put_sized(k, *n, size)) == STORE_OK)
		assert_true(++*n < 10000);
	assert_int_equal(r, want);
}

/* A file that leaves that much free. */
static void
make_ballast(const struct kit *k, const char *path, uint64_t leave)
{
	static char zeros[4096];
	struct statvfs v;
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	while (statvfs(k->dir, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize > leave)
		assert_true(write(fd, zeros, sizeof zeros) > 0);
	close(fd);
}

#define ROW 20000

static void
store_submit__full_disk_is_reported_and_heals_when_space_returns(void **state)
{
	struct kit *k = *state;
	char mount_point[150], ballast[200];
	unsigned n = 0;

	small_disk(k, mount_point);
	mkdir(mount_point, 0700);
	if (mount("tmpfs", mount_point, "tmpfs", 0, "size=48m") != 0) {
		print_message("mounting a tmpfs is refused (%s): not tested\n", strerror(errno));
		skip();
	}
	snprintf(k->dir, sizeof k->dir, "%s/rows", mount_point);
	snprintf(ballast, sizeof ballast, "%s/ballast", mount_point);
	k->o.memory_bytes = 16 << 20;
	k->o.floor_bytes = 4 << 20;
	kit_open(k);
	while (n < 100)
		assert_int_equal(put_sized(k, n++, ROW), STORE_OK);
	for (int round = 0; round < 3; round++) {
		struct fault why;

		make_ballast(k, ballast, (uint64_t)round * 1500000);
		put_until_refused(k, &n, ROW, STORE_FULL);
		assert_false(store_has_space(k->s));
		assert_int_equal(store_state(k->s, &why), STORE_IS_FULL);
		assert_non_null(strstr(why.text, "No space left"));
		expect_rows(k, n, ROW);
		assert_int_equal(put_sized(k, n, ROW), STORE_UNDONE);
		store_resume(k->s, 0);
		assert_int_equal(put_sized(k, n, ROW), STORE_UNDONE);
		store_resume(k->s, 0);
		assert_int_equal(store_generation(k->s), round);
		unlink(ballast);
		await_works_again(k);
		assert_int_equal(store_generation(k->s), round + 1);
		expect_rows(k, n, ROW);
		assert_int_equal(put_sized(k, n, ROW), STORE_OK);
		n++;
	}
	kit_close(k);
	kit_open(k);
	expect_rows(k, n, ROW);
	kit_close(k);
	assert_int_equal(kit_check(k->dir, NULL, NULL, NULL, NULL, &k->f), ERR_OK);
}

/* What is noted of a log's length is what counts in it: RocksDB cuts off what a failed write has left. */
static void
store_submit__heals_when_a_batch_was_written_in_part_while_lengths_were_noted(void **state)
{
	struct kit *k = *state;
	unsigned n = 0;

	kit_open(k);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(put_sized(k, n++, ROW), STORE_OK);
		atomic_store(&write_errno, ENOSPC);
		atomic_store(&half_of, rocks_of(k->s));
		assert_int_equal(put_sized(k, n, ROW), STORE_FULL);
		atomic_store(&writes_left, -1);
		await_works_again(k);
		expect_rows(k, n, ROW);
		store_resume(k->s, 0);
	}
	assert_int_equal(put_sized(k, n++, ROW), STORE_OK);
	kit_close(k);
	kit_open(k);
	expect_rows(k, n, ROW);
}

/* The n-th write and all after it fail, wherever that is: log, mark, table, manifest. Then the disk is well again. */
static void
fail_nth_write(struct kit *k, int nth, int error, size_t size)
{
	unsigned n = 0;

	kit_open(k);
	put_sized(k, n++, size);
	put_sized(k, n++, size);
	atomic_store(&write_errno, error);
	atomic_store(&writes_left, nth);
	put_until_refused(k, &n, size, error == ENOSPC ? STORE_FULL : STORE_FAILED);
	atomic_store(&writes_left, -1);
	await_works_again(k);
	expect_rows(k, n, size);
	assert_int_equal(put_sized(k, n, size), STORE_UNDONE);
	store_resume(k->s, 0);
	assert_int_equal(put_sized(k, n, size), STORE_OK);
	n++;
	kit_close(k);
	kit_open(k);
	expect_rows(k, n, size);
	kit_close(k);
	kit_shell("rm -rf", k->dir, k->dir);
}

static void
store_submit__loses_nothing_acknowledged_when_any_write_finds_no_space(void **state)
{
	struct kit *k = *state;

	for (int nth = 0; nth < 12; nth++)
		fail_nth_write(k, nth, ENOSPC, 100);
	k->o.memory_bytes = 16 << 20;
	for (int nth = 20; nth < 140;
	     nth += 11) /* memtables fill up: logs begin, tables are written */
		fail_nth_write(k, nth, ENOSPC, 100000);
}

static void
store_submit__loses_nothing_acknowledged_when_any_write_fails(void **state)
{
	struct kit *k = *state;

	for (int nth = 0; nth < 12; nth++)
		fail_nth_write(k, nth, EIO, 100);
	k->o.memory_bytes = 16 << 20;
	for (int nth = 20; nth < 140; nth += 29)
		fail_nth_write(k, nth, EIO, 100000);
}

static void
store_submit__after_a_failure_the_lane_fails_until_resumed_others_do_not(void **state)
{
	struct kit *k = *state;
	struct store_batch *b = store_batch_new();

	kit_open(k);
	put_sized(k, 0, 100);
	atomic_store(&write_errno, ENOSPC);
	atomic_store(&writes_left, 0);
	assert_int_equal(put_sized(k, 1, 100), STORE_FULL);
	atomic_store(&writes_left, -1);
	await_works_again(k);
	store_batch_put(b, 0, STORE_HUB, STR("other"), STR("lane"));
	assert_int_equal(kit_commit(k, 1, b), STORE_OK);
	assert_int_equal(put_sized(k, 2, 100), STORE_UNDONE);
	kit_expect_none(k, STORE_REPORTED, "000002");
	store_resume(k->s, 0);
	assert_int_equal(put_sized(k, 2, 100), STORE_OK);
}

static void
store_submit__failed_fsync_is_fatal_and_not_retried(void **state)
{
	struct kit *k = *state;

	kit_open(k);
	put_sized(k, 0, 100);
	atomic_store(&sync_errno, EIO);
	assert_int_equal(put_sized(k, 1, 100), STORE_FAILED);
	atomic_store(&sync_errno, 0);
	assert_int_equal(k->nfatal, 1);
	assert_non_null(strstr(k->fatal, "sync"));
	assert_non_null(strstr(k->fatal, k->dir));
	store_resume(k->s, 0);
	assert_int_equal(put_sized(k, 1, 100), STORE_UNDONE);
	assert_int_equal(store_generation(k->s), 0);
}

static void
store_submit__fsync_without_space_is_full_and_heals(void **state)
{
	struct kit *k = *state;

	kit_open(k);
	put_sized(k, 0, 100);
	atomic_store(&sync_errno, ENOSPC);
	assert_int_equal(put_sized(k, 1, 100), STORE_FULL);
	atomic_store(&sync_errno, 0);
	await_works_again(k);
	assert_int_equal(k->nfatal, 0);
	store_resume(k->s, 0);
	assert_int_equal(put_sized(k, 1, 100), STORE_OK);
	expect_rows(k, 2, 100);
}

/* The disk takes no writes, though there is space to be seen: a quota, or a file system that has become read-only. */
static void
reads_go_on(struct kit *k, _Atomic int *broken, int value, int well)
{
	unsigned before;

	kit_open(k);
	put_sized(k, 0, 100);
	atomic_store(broken, value);
	assert_int_not_equal(put_sized(k, 1, 100), STORE_OK);
	before = atomic_load(&nfailed);
	while (atomic_load(&nfailed) < before + 4) { /* attempts to open it again, in vain */
		expect_rows(k, 1, 100);
		sched_yield();
	}
	atomic_store(broken, well);
	await_works_again(k);
	expect_rows(k, 1, 100);
	kit_close(k);
	kit_shell("rm -rf", k->dir, k->dir);
}

static void
store_get__goes_on_while_the_disk_takes_no_writes(void **state)
{
	atomic_store(&write_errno, EROFS);
	reads_go_on(*state, &writes_left, 0, -1);
	atomic_store(&write_errno, EDQUOT);
	reads_go_on(*state, &writes_left, 0, -1);
	reads_go_on(*state, &sync_errno, ENOSPC, 0);
}

/* What is on disk can be read without writing, whichever write it is that fails first. */
static void
store_open__without_space_is_for_reading_and_heals(void **state)
{
	static const struct {
		int error;
		enum store_state state;
	} disks[] = { { ENOSPC, STORE_IS_FULL }, { EROFS, STORE_IS_FAILED } };
	struct kit *k = *state;
	unsigned n = 1;

	kit_open(k);
	put_sized(k, 0, ROW);
	kit_save(k, "killed");
	kit_restore(k, "killed"); /* so it is in the log only */
	for (int nth = 0; nth < 12; nth++) {
		struct fault why;
		int disk = nth % 2;

		atomic_store(&write_errno, disks[disk].error);
		atomic_store(&writes_left, nth / 2);
		kit_open(k);
		assert_int_equal(store_state(k->s, &why), disks[disk].state);
		assert_true(strlen(why.text) > 0);
		expect_rows(k, n, ROW);
		assert_int_equal(put_sized(k, n, ROW), STORE_UNDONE);
		atomic_store(&writes_left, -1);
		await_works_again(k);
		expect_rows(k, n, ROW);
		store_resume(k->s, 0);
		assert_int_equal(put_sized(k, n++, ROW), STORE_OK);
		kit_close(k);
	}
}

/* ---- a directory that goes away ---- */

/* Rows until one needs a file that cannot be made. Those before are in the files that are still open. */
static void
put_until_gone(struct kit *k, unsigned *n)
{
	enum store_result r;

	while ((r = put_sized(k, *n, ROW)) == STORE_OK)
		assert_true(++*n < 10000);
	assert_int_equal(r, STORE_FAILED);
	assert_int_equal(store_state(k->s, NULL), STORE_IS_FAILED);
}

static uint64_t
rocks_number(struct kit *k, const char *property)
{
	struct engine *e = &rocks_of(k->s)->engine;
	uint64_t n = 0, all = 0;

	for (unsigned i = 0; i < ENGINE_FAMILIES; i++, all += n)
		assert_int_equal(rocksdb_property_int_cf(e->db, e->family[i], property, &n), 0);
	return all;
}

/* RocksDB has begun a log in the empty place, of which nothing was acknowledged. A table that it flushed there is named by its
 * manifest, and goes to where the others are. */
static void
leave_empty_place(struct kit *k, const char *away)
{
	char line[700];

	while (rocks_number(k, "rocksdb.num-running-flushes") > 0 ||
	    (rocks_number(k, "rocksdb.mem-table-flush-pending") > 0 &&
	        rocks_number(k, "rocksdb.background-errors") == 0))
		sched_yield();
	snprintf(line, sizeof line, "find '%s' -name '*.sst' -exec mv {} '%s' ';' && rm -rf '%s'",
	    k->dir, away, k->dir);
	assert_int_equal(system(line), 0);
}

static void
store_submit__heals_when_its_directory_vanishes_and_returns(void **state)
{
	struct kit *k = *state;
	char away[200];
	struct fault why;
	unsigned n = 0;

	k->o.memory_bytes = 16 << 20;
	kit_open(k);
	put_sized(k, n++, ROW);
	kit_saved_as(k, "away", away);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(rename(k->dir, away), 0);
		if (round == 1) /* the empty place where it was mounted */
			assert_int_equal(mkdir(k->dir, 0700), 0);
		put_until_gone(k, &n);
		store_state(k->s, &why);
		assert_non_null(strstr(why.text, "is not there"));
		assert_int_equal(put_sized(k, n, ROW), STORE_UNDONE);
		if (round == 1)
			leave_empty_place(k, away);
		if (round == 2) { /* another file system may have it: other inodes */
			kit_shell("cp -a", away, k->dir);
		} else {
			assert_int_equal(rename(away, k->dir), 0);
		}
		await_works_again(k);
		expect_rows(k, n, ROW);
		store_resume(k->s, 0);
		assert_int_equal(put_sized(k, n++, ROW), STORE_OK);
	}
	kit_close(k);
	kit_open(k);
	expect_rows(k, n, ROW);
}

static void
await_corrupt(struct kit *k, const char *why)
{
	pthread_mutex_lock(&k->mu);
	patience_await(&k->changed, &k->mu, strstr(k->warned, why) != NULL);
	pthread_mutex_unlock(&k->mu);
	assert_int_equal(store_state(k->s, NULL), STORE_IS_CORRUPT);
}

/* Memory has acknowledged what such a one does not hold. */
static void
store_submit__takes_no_other_store_nor_an_older_one_for_its_own(void **state)
{
	struct kit *k = *state;
	char away[200], other[200];

	k->o.memory_bytes = 16 << 20;
	for (int round = 0; round < 2; round++) {
		unsigned n = 1;

		kit_open(k);
		put_sized(k, 0, ROW);
		kit_save(k, "older");
		if (round == 1) {
			kit_close(k);
			kit_shell("rm -rf", k->dir, k->dir);
			kit_open(k);
			kit_close(k);
			kit_saved_as(k, "another", other);
			assert_int_equal(rename(k->dir, other), 0);
			kit_restore(k, "older");
			kit_open(k);
		} else {
			kit_saved_as(k, "older", other);
		}
		kit_saved_as(k, "away", away);
		assert_int_equal(rename(k->dir, away), 0);
		put_until_gone(k, &n);
		assert_int_equal(rename(other, k->dir), 0);
		await_corrupt(k, round == 1 ? "is another store" : "is not as it was left");
		assert_int_equal(store_checkpoint(k->s, other, &k->f), ERR_IO);
		assert_int_equal(k->f.code, F_ServiceUnavailable);
		kit_close(k);
		kit_shell("rm -rf", k->dir, away);
		k->warned[0] = '\0';
		kit_saved_as(k, "older", other);
		kit_shell("rm -rf", other, other);
	}
}

static void
store_open__for_reading_goes_on_with_the_same_store_only(void **state)
{
	struct kit *k = *state;
	char away[200], other[200];

	for (int round = 0; round < 2; round++) {
		kit_open(k);
		put_sized(k, 0, ROW);
		kit_save(k, "older");
		put_sized(k, 1, ROW);
		kit_close(k);
		kit_saved_as(k, "away", away);
		kit_saved_as(k, "older", other);
		if (round == 1) {
			assert_int_equal(rename(k->dir, away), 0);
			kit_shell("rm -rf", other, other);
			kit_open(k);
			kit_close(k);
			assert_int_equal(rename(k->dir, other), 0);
			assert_int_equal(rename(away, k->dir), 0);
		}
		atomic_store(&write_errno, EROFS);
		atomic_store(&writes_left, 0);
		kit_open(k);
		expect_rows(k, 2, ROW);
		assert_int_equal(rename(k->dir, away), 0);
		assert_int_equal(rename(other, k->dir), 0);
		atomic_store(&writes_left, -1);
		await_corrupt(k, round == 1 ? "is another store" : "is not as it was left");
		kit_close(k);
		kit_shell("rm -rf", k->dir, away);
		k->warned[0] = '\0';
	}
}

/* ---- readers beside the healer ---- */

struct reader {
	struct kit *k;
	pthread_t thread;
	_Atomic bool stop;
	atomic_uint nread;
};

static void *
read_on(void *arg)
{
	struct reader *r = arg;
	struct store_cursor *c;
	struct str key, value;

	while (!atomic_load(&r->stop)) {
		struct buf b = { 0 };

		if (store_cursor_open(
		        r->k->s, STORE_REPORTED, STR_NONE, STR_NONE, STORE_SCAN, &c) == ERR_OK) {
			while (store_next(c, &key, &value) == ERR_OK) /* and reads inside */
				kit_get(r->k, STORE_REPORTED, "000000", &b);
			store_cursor_close(c);
		}
		atomic_fetch_add(&r->nread, 1);
		buf_fini(&b);
	}
	return NULL;
}

static void
store_submit__heals_beside_readers_that_never_pause(void **state)
{
	enum { READERS = 6 };
	struct kit *k = *state;
	struct reader readers[READERS] = { 0 };
	unsigned n = 0;

	kit_open(k);
	while (n < 20)
		assert_int_equal(put_sized(k, n++, 100), STORE_OK);
	for (int i = 0; i < READERS; i++) {
		readers[i].k = k;
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
	}
	for (int round = 0; round < 3; round++) {
		atomic_store(&write_errno, ENOSPC);
		atomic_store(&writes_left, 0);
		assert_int_equal(put_sized(k, n, 100), STORE_FULL);
		atomic_store(&writes_left, -1);
		await_works_again(k);
		store_resume(k->s, 0);
		assert_int_equal(put_sized(k, n++, 100), STORE_OK);
	}
	for (int i = 0; i < READERS; i++) {
		atomic_store(&readers[i].stop, true);
		pthread_join(readers[i].thread, NULL);
		assert_true(atomic_load(&readers[i].nread) > 0);
	}
	expect_rows(k, n, 100);
}

#define FULL_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, faulty_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FULL_TEST(
		    store_submit__heals_when_a_batch_was_written_in_part_while_lengths_were_noted),
		FULL_TEST(store_submit__full_disk_is_reported_and_heals_when_space_returns),
		FULL_TEST(store_submit__loses_nothing_acknowledged_when_any_write_finds_no_space),
		FULL_TEST(store_submit__loses_nothing_acknowledged_when_any_write_fails),
		FULL_TEST(store_submit__after_a_failure_the_lane_fails_until_resumed_others_do_not),
		FULL_TEST(store_submit__failed_fsync_is_fatal_and_not_retried),
		FULL_TEST(store_submit__fsync_without_space_is_full_and_heals),
		FULL_TEST(store_get__goes_on_while_the_disk_takes_no_writes),
		FULL_TEST(store_open__without_space_is_for_reading_and_heals),
		FULL_TEST(store_submit__heals_when_its_directory_vanishes_and_returns),
		FULL_TEST(store_submit__takes_no_other_store_nor_an_older_one_for_its_own),
		FULL_TEST(store_open__for_reading_goes_on_with_the_same_store_only),
		FULL_TEST(store_submit__heals_beside_readers_that_never_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
