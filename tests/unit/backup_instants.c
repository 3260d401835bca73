/*
 * A hub that is killed at any instant of a backup: before each call that changes a name in the directory of backups, and each sync of what is in
 * it. What bears the name of a backup is whole, and what does not is known as the hub's own and goes (O-161, O-164).
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "backup/backup.h"
#include "os/os.h"
#include "store_kit.h"

#define KILLED 99
#define HUB    "c0ffee00c0ffee00c0ffee00c0ffee00"
#define NOW_US INT64_C(1790000000000000)

/* ---- the kill: these stand before libc's ---- */

static char below[132]; /* "": none is awaited */
static atomic_uint left;

static void
instant(const char *path)
{
	if (below[0] != '\0' && strncmp(path, below, strlen(below)) == 0 &&
	    atomic_fetch_sub(&left, 1) == 1)
		_exit(KILLED);
}

#define REAL(name, ...) (*(int (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

int
mkdir(const char *path, mode_t mode)
{
	instant(path);
	return REAL("mkdir", const char *, mode_t)(path, mode);
}

int
rmdir(const char *path)
{
	instant(path);
	return REAL("rmdir", const char *)(path);
}

int
unlink(const char *path)
{
	instant(path);
	return REAL("unlink", const char *)(path);
}

int
link(const char *from, const char *to)
{
	instant(to);
	return REAL("link", const char *, const char *)(from, to);
}

int
rename(const char *from, const char *to)
{
	instant(from);
	return REAL("rename", const char *, const char *)(from, to);
}

/* No machine fails here, so there is nothing to wait for. */
int
fsync(int fd)
{
	char name[64], path[512];
	ssize_t n;

	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	n = readlink(name, path, sizeof path - 1);
	path[n > 0 ? n : 0] = '\0';
	instant(path);
	return 0;
}

int
fdatasync(int fd)
{
	return fsync(fd);
}

/* ---- what is killed ---- */

struct place {
	struct kit kit;
	char data[128], dir[128];
};

static int
setup(void **state)
{
	struct kit *k = NULL;
	struct place *p;
	char store[160];

	if (kit_setup((void **)&k) != 0)
		return -1;
	p = calloc(1, sizeof *p);
	rmdir(k->root);
	p->kit = *k;
	p->kit.o.dir = p->kit.dir;
	p->kit.o.ctx = &p->kit;
	free(k);
	/* It is quick, and lists what is newest first: the mark before what it is the mark of. */
	snprintf(p->kit.root, sizeof p->kit.root, "%s/twinhub-backup-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(p->kit.root) == NULL)
		return -1;
	snprintf(p->data, sizeof p->data, "%.100s/data", p->kit.root);
	snprintf(p->dir, sizeof p->dir, "%.100s/backups", p->kit.root);
	snprintf(store, sizeof store, "%s/store", p->data);
	snprintf(p->kit.dir, sizeof p->kit.dir, "%.150s", store);
	mkdir(p->data, 0700);
	mkdir(p->dir, 0700);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	kit_shell("rm -rf", p->kit.root, p->kit.root);
	free(p);
	return 0;
}

static bool
made(struct store *s, const struct place *p, int64_t now_us, char name[BACKUP_DIR_NAME_MAX])
{
	struct backup_source from = {
		.store = s, .data = p->data, .program = "0", .hub = HUB, .made_us = now_us
	};
	struct backup_made out;
	struct fault f = { 0 };
	char path[200];

	backup_dir_name(now_us, name);
	snprintf(path, sizeof path, "%s/%s", p->dir, name);
	if (backup_make(&from, path, &out, &f) == ERR_OK)
		return true;
	fprintf(stderr, "%s\n", f.text);
	return false;
}

/* So that there are tables, which are linked. In a process of its own, as those that fork have no threads. */
static void
fill(struct place *p)
{
	struct kit *k = &p->kit;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		kit_open(k);
		for (unsigned i = 0; i < STORE_TABLES; i++)
			kit_put(k, (enum store_table)i, "key", "value");
		kit_close(k);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* In a process of its own: one more backup, of which the newest `keep` stay. Its exit code. */
static int
hub_run(const struct place *p, int64_t now_us, unsigned keep, unsigned kill_at)
{
	struct store_options o = { .dir = p->kit.dir, .create = true, .lanes = 1 };
	struct store *s = NULL;
	struct fault f = { 0 };
	char name[BACKUP_DIR_NAME_MAX];
	unsigned gone;
	int status;
	pid_t pid = fork();

	if (pid != 0) {
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	if (store_open(&o, &s, &f) != ERR_OK)
		_exit(1);
	atomic_store(&left, kill_at);
	snprintf(below, sizeof below, "%s/", p->dir);
	if (!made(s, p, now_us, name) || backups_keep(p->dir, HUB, name, keep, &gone, &f) != ERR_OK)
		_exit(2);
	_exit(0);
}

static void
on_bad(void *ctx, const char *file, const char *why)
{
	print_error("%s: %s: %s\n", (const char *)ctx, file, why);
}

static enum err
is_whole(void *ctx, const char *name)
{
	const struct place *p = ctx;
	char path[512], why[BACKUP_WHY_MAX];
	struct backup_checkup up = { .bad = on_bad, .ctx = (void *)name };
	struct manifest m;
	enum err e;

	if (strstr(name, ".partial") != NULL)
		return ERR_OK;
	snprintf(path, sizeof path, "%s/%s", p->dir, name);
	e = manifest_read(path, &m, why, sizeof why);
	if (e == ERR_OK)
		e = backup_verify(path, &m, &up);
	manifest_fini(&m);
	return e;
}

static enum err
is_named(void *ctx, const char *name)
{
	++*(unsigned *)ctx;
	return strstr(name, ".partial") != NULL ? ERR_EXISTS : ERR_OK;
}

static void
told(void *ctx, const char *path)
{
	assert_non_null(strstr(path, ".partial"));
	++*(unsigned *)ctx;
}

static void
backup__O161_O164_a_kill_at_any_instant_leaves_whole_ones_and_what_is_cleaned_up(void **state)
{
	struct place *p = *state;
	unsigned ncleaned = 0, nkill = 0, n;
	int code = KILLED;

	fill(p);
	assert_int_equal(hub_run(p, NOW_US, 2, 0), 0);
	for (int64_t i = 1; code == KILLED; i++) {
		code = hub_run(p, NOW_US + i * 1000000, 1, ++nkill);
		assert_true(code == KILLED || code == 0);
		assert_int_equal(os_each_entry(p->dir, is_whole, p, NULL), ERR_OK);
		backup_clean_stage(p->data);
		backups_clean(p->dir, HUB, told, &ncleaned);
		n = 0;
		assert_int_equal(os_each_entry(p->dir, is_named, &n, NULL), ERR_OK);
		assert_true(n == 1 || n == 2); /* never none */
	}
	print_message("%u instants, %u cleaned up\n", nkill - 1, ncleaned);
	assert_true(nkill > 40 && ncleaned > 30);
	assert_int_equal(n, 1);
}

/* ---- two hubs ---- */

static void
write_file(const char *dir, const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(os_replace_file(path, str_of(text), 0600, NULL), ERR_OK);
}

static void
backup__O164_what_another_hub_is_making_stays(void **state)
{
	static const char *const marks[] = { "another", HUB "0", "\n", NULL };
	struct place *p = *state;
	char path[256];
	unsigned n = 0;

	snprintf(path, sizeof path, "%s/twinhub-20261130T093000Z.partial", p->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	write_file(path, "hub.json", "{}");
	for (unsigned i = 0; marks[i] != NULL; i++) {
		write_file(path, BACKUP_MARK, marks[i]);
		backups_clean(p->dir, HUB, told, &n);
		assert_int_equal(n, 0);
	}
	assert_int_equal(access(path, F_OK), 0);
	write_file(path, BACKUP_MARK, HUB);
	backups_clean(p->dir, HUB, told, &n);
	assert_int_equal(n, 1);
	assert_int_not_equal(access(path, F_OK), 0);
}

/* A clock that was set back makes new ones older than those that are there, which are the oldest all the same. */
static void
backup__O164_of_a_clock_that_was_set_back_the_last_ones_stay(void **state)
{
	struct place *p = *state;
	const int64_t back_us = NOW_US - 9000000;
	struct backup_seen *v;
	size_t n;

	for (int64_t i = 0; i < 3; i++)
		assert_int_equal(hub_run(p, NOW_US + i * 1000000, 3, 0), 0);
	for (int64_t i = 0; i < 4; i++) {
		assert_int_equal(hub_run(p, back_us + i * 1000000, 3, 0), 0);
		assert_int_equal(backups_list(p->dir, HUB, &v, &n, NULL), ERR_OK);
		assert_int_equal(n, 3);
		for (int64_t k = 0; k < 3;
		     k++) /* the newest by either clock: those of before, then the last ones */
			assert_int_equal(v[k].made_us,
			    k < 2 - i ? NOW_US + (2 - k) * 1000000
			              : back_us + (i - (k - (i < 2 ? 2 - i : 0))) * 1000000);
		free(v);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    backup__O161_O164_a_kill_at_any_instant_leaves_whole_ones_and_what_is_cleaned_up,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    backup__O164_what_another_hub_is_making_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    backup__O164_of_a_clock_that_was_set_back_the_last_ones_stay, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
