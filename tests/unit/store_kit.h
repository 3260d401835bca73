/*
 * What the store's tests share: a temporary directory, a store in it, commits that are waited for.
 */
#ifndef TWINHUB_TESTS_STORE_KIT_H
#define TWINHUB_TESTS_STORE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "patience.h"
#include "store/store.h"

#define KIT_LANES 4

/*
 * RocksDB is not instrumented: ThreadSanitizer sees its memory being copied but not its locks, and would report its
 * writers against each other. This option leaves all it finds in our own code. See also tests/tsan.supp.
 */
const char *__tsan_default_options(void);
const char *
__tsan_default_options(void)
{
	return "ignore_noninstrumented_modules=1";
}

struct kit {
	char root[128]; /* all of a test's files */
	char dir[160];  /* the store's */
	struct store_options o;
	struct store *s;
	struct fault f;
	pthread_mutex_t mu;
	pthread_cond_t changed;
	unsigned ndone[KIT_LANES], in_order[KIT_LANES];
	uint64_t last_cookie[KIT_LANES];
	enum store_result last_result[KIT_LANES];
	unsigned nwarn, nfatal;
	char warned[FAULT_TEXT_MAX], fatal[FAULT_TEXT_MAX + 80];
};

static inline void
kit_done(void *ctx, unsigned lane, uint64_t cookie, enum store_result result)
{
	struct kit *k = ctx;

	pthread_mutex_lock(&k->mu);
	k->in_order[lane] += cookie == k->last_cookie[lane] + 1;
	k->last_cookie[lane] = cookie;
	k->last_result[lane] = result;
	k->ndone[lane]++;
	pthread_cond_broadcast(&k->changed);
	pthread_mutex_unlock(&k->mu);
}

static inline void
kit_warn(void *ctx, const char *line)
{
	struct kit *k = ctx;

	pthread_mutex_lock(&k->mu);
	k->nwarn++;
	snprintf(k->warned, sizeof k->warned, "%s", line);
	pthread_cond_broadcast(&k->changed);
	pthread_mutex_unlock(&k->mu);
}

static inline void
kit_fatal(void *ctx, const char *line)
{
	struct kit *k = ctx;

	pthread_mutex_lock(&k->mu);
	k->nfatal++;
	snprintf(k->fatal, sizeof k->fatal, "%s", line);
	pthread_mutex_unlock(&k->mu);
}

static inline int
kit_setup(void **state)
{
	struct kit *k = calloc(1, sizeof *k);
	const char *tmp = getenv("TMPDIR");

	snprintf(k->root, sizeof k->root, "%s/twinhub-store-XXXXXX",
	    tmp != NULL && strlen(tmp) < 90 ? tmp : "/tmp");
	if (mkdtemp(k->root) == NULL)
		return -1;
	snprintf(k->dir, sizeof k->dir, "%s/rows", k->root);
	pthread_mutex_init(&k->mu, NULL);
	pthread_cond_init(&k->changed, NULL);
	k->o = (struct store_options){ .dir = k->dir,
		.create = true,
		.lanes = KIT_LANES,
		.retry_ms = 20,
		.ctx = k,
		.done = kit_done,
		.warn = kit_warn,
		.fatal = kit_fatal };
	*state = k;
	return 0;
}

static inline void
kit_shell(const char *command, const char *a, const char *b)
{
	char line[1024];

	snprintf(line, sizeof line, "%s '%s' '%s'", command, a, b);
	assert_int_equal(system(line), 0);
}

static inline int
kit_teardown(void **state)
{
	struct kit *k = *state;

	store_close(k->s);
	kit_shell("rm -rf", k->root, k->root);
	pthread_cond_destroy(&k->changed);
	pthread_mutex_destroy(&k->mu);
	free(k);
	return 0;
}

static inline void
kit_open(struct kit *k)
{
	enum err e = store_open(&k->o, &k->s, &k->f);

	if (e != ERR_OK)
		print_error("%s\n", k->f.text);
	assert_int_equal(e, ERR_OK);
}

static inline enum err
kit_check(
    const char *dir, store_tell *bad, void *ctx, uint64_t *nfiles, uint64_t *nrows, struct fault *f)
{
	struct store_checkup up = { .bad = bad, .ctx = ctx };
	enum err e = store_check(dir, &up, f);

	if (nfiles != NULL)
		*nfiles = up.nfiles;
	if (nrows != NULL)
		*nrows = up.nrows;
	return e;
}

static inline void
kit_close(struct kit *k)
{
	store_close(k->s);
	k->s = NULL;
}

/* Wait for the n-th completion of a lane; its result. */
static inline enum store_result
kit_await(struct kit *k, unsigned lane, unsigned n)
{
	enum store_result r;

	pthread_mutex_lock(&k->mu);
	patience_await(&k->changed, &k->mu, k->ndone[lane] >= n);
	r = k->last_result[lane];
	pthread_mutex_unlock(&k->mu);
	return r;
}

static inline unsigned
kit_ndone(struct kit *k, unsigned lane)
{
	unsigned n;

	pthread_mutex_lock(&k->mu);
	n = k->ndone[lane];
	pthread_mutex_unlock(&k->mu);
	return n;
}

static inline enum store_result
kit_commit(struct kit *k, unsigned lane, struct store_batch *b)
{
	unsigned n = kit_ndone(k, lane);

	store_submit(k->s, lane, b, n + 1);
	return kit_await(k, lane, n + 1);
}

static inline enum store_result
kit_put(struct kit *k, enum store_table t, const char *key, const char *value)
{
	struct store_batch *b = store_batch_new();

	store_batch_put(b, 0, t, str_of(key), str_of(value));
	return kit_commit(k, 0, b);
}

static inline enum err
kit_get(struct kit *k, enum store_table t, const char *key, struct buf *out)
{
	out->n = 0;
	return store_get(k->s, t, str_of(key), out);
}

static inline void
kit_expect(struct kit *k, enum store_table t, const char *key, const char *value)
{
	struct buf b = { 0 };

	assert_int_equal(kit_get(k, t, key, &b), ERR_OK);
	assert_int_equal(b.n, strlen(value));
	assert_memory_equal(b.p, value, b.n);
	buf_fini(&b);
}

static inline void
kit_expect_none(struct kit *k, enum store_table t, const char *key)
{
	struct buf b = { 0 };

	assert_int_equal(kit_get(k, t, key, &b), ERR_NOT_FOUND);
	buf_fini(&b);
}

/* The newest file with that ending: its path in out (of 256 bytes), its name returned; NULL if there is none. */
static inline const char *
kit_file(struct kit *k, const char *suffix, char *out)
{
	DIR *d = opendir(k->dir);
	uint64_t best = 0, n;
	struct dirent *de;

	while ((de = readdir(d)) != NULL)
		if (str_ends(str_of(de->d_name), str_of(suffix)) &&
		    (n = strtoull(de->d_name, NULL, 10)) >= best) {
			best = n;
			snprintf(out, 256, "%s/%.60s", k->dir, de->d_name);
		}
	closedir(d);
	return best ? strrchr(out, '/') + 1 : NULL;
}

static inline off_t
kit_size(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static inline void
kit_flip(const char *path, off_t at, uint8_t bits)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= bits;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* ---- a directory kept, put back, and looked at ---- */

static inline void
kit_saved_as(struct kit *k, const char *as, char path[200])
{
	snprintf(path, 200, "%s/%s", k->root, as);
}

static inline void
kit_save(struct kit *k, const char *as)
{
	char copy[200];

	kit_saved_as(k, as, copy);
	kit_shell("cp -a", k->dir, copy);
}

/* The same while RocksDB may be removing files: until a copy comes off. */
static inline void
kit_save_busy(struct kit *k, const char *as)
{
	char copy[200], line[700];

	kit_saved_as(k, as, copy);
	snprintf(line, sizeof line, "until cp -a '%s' '%s' 2>/dev/null; do rm -rf '%s'; done",
	    k->dir, copy, copy);
	assert_int_equal(system(line), 0);
}

static inline void
kit_restore(struct kit *k, const char *as)
{
	char copy[200];

	kit_close(k);
	kit_saved_as(k, as, copy);
	kit_shell("rm -rf", k->dir, k->dir);
	kit_shell("cp -a", copy, k->dir);
}

static inline void
kit_path(struct kit *k, const char *name, char path[256])
{
	snprintf(path, 256, "%s/%s", k->dir, name);
}

/* The names, sizes and bytes of all files. */
static inline void
kit_print(struct kit *k, char print[64])
{
	char line[512];
	FILE *p;

	snprintf(line, sizeof line,
	    "cd '%s' && find . -type f | sort | xargs sha256sum | sha256sum", k->dir);
	p = popen(line, "r"); /* NOLINT(cert-env33-c): a test's own words */
	assert_non_null(p);
	assert_non_null(fgets(print, 64, p));
	pclose(p);
}

#endif
