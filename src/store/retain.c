/*
 * How long the log is kept. RocksDB drops a table file of a FIFO family when the oldest record in it is past its age, and with it all that
 * came later. So a file must not span much: what is in memory is flushed once in a span, a 32nd of the age, and only files of one span are
 * merged, here and not by RocksDB, which would merge whatever is small. A file's age is counted from two spans after its oldest record: no
 * record goes before its age, and it is gone three spans later at the most.
 *
 * What a start has made of its log has no age, and would hold up all that comes after it: it is written once more.
 *
 *   look: flush what a span has gathered -> merge what is small -> have RocksDB look at ages, which it does at a change alone
 *
 * Files are merged so that there are few: each takes a descriptor, and a reader looks into all of them.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "store/priv.h"

#define SPANS                 32u /* of an age */
#define SPAN_MIN_S            1u
#define LOG_BYTES_DEFAULT     (UINT64_C(1) << 30)
#define CHANGES_BYTES_DEFAULT (UINT64_C(4) << 30)
#define LOOK_MS               10000u /* between looks, at the most */
#define MERGE_FILES           8u     /* that are merged, at the least */
#define MERGE_BYTES           (UINT64_C(128) << 20)
#define LOOK_MERGES           64u /* of a family in one look: the rest in the next */

uint64_t
retain_span_s(uint64_t age_s)
{
	return age_s / SPANS > SPAN_MIN_S ? age_s / SPANS : SPAN_MIN_S;
}

uint64_t
retain_ttl_s(uint64_t age_s)
{
	return age_s == 0 ? 0
	                  : age_s + 2 * retain_span_s(age_s) + 2; /* RocksDB has whole seconds */
}

static uint64_t
age_of(const struct rocks *s, enum store_table t)
{
	return t == STORE_LOG ? s->o.retention.log_age_s : s->o.retention.changes_age_s;
}

static uint64_t
bytes_of(const struct rocks *s, enum store_table t)
{
	return t == STORE_LOG ? s->o.retention.log_bytes : s->o.retention.changes_bytes;
}

void
retain_fifo(char out[RETAIN_FIFO_MAX], enum store_table t, uint64_t bytes)
{
	if (bytes == 0)
		bytes = t == STORE_LOG ? LOG_BYTES_DEFAULT : CHANGES_BYTES_DEFAULT;
	snprintf(out, RETAIN_FIFO_MAX, "{max_table_files_size=%" PRIu64 ";allow_compaction=false}",
	    bytes > INT64_MAX ? INT64_MAX : bytes);
}

/* ---- what is small ---- */

struct files {
	struct table_file *v;
	size_t n, room;
};

static void
file_seen(void *ctx, const struct table_file *file)
{
	struct files *all = ctx;

	if (all->n == all->room) {
		all->room = all->room ? 2 * all->room : 64;
		all->v = xrealloc(all->v, all->room * sizeof(*all->v));
	}
	all->v[all->n++] = *file;
}

/* With those from `newest` on that are merged already: of one span, and not so large that the others are hardly anything beside it. */
static bool
goes_with(
    const struct table_file *next, const struct table_file *newest, uint64_t bytes, uint64_t span_s)
{
	return !next->busy && bytes + next->bytes <= MERGE_BYTES &&
	    next->bytes <= MERGE_BYTES / MERGE_FILES &&
	    (span_s == 0 || next->oldest_s + span_s >= newest->made_s);
}

/* The newest neighbours that are worth merging: how many, from *from on; 0: none are. One that is ageless is so alone, too: it gets an age. */
static size_t
worth_merging(const struct files *all, uint64_t span_s, size_t *from)
{
	for (*from = 0; *from < all->n; (*from)++) {
		const struct table_file *newest = &all->v[*from];
		uint64_t bytes = newest->bytes;
		size_t n = 1;

		if (newest->busy)
			continue;
		while (*from + n < all->n && goes_with(newest + n, newest, bytes, span_s))
			bytes += newest[n++].bytes;
		if (n >= MERGE_FILES || newest->ageless)
			return n;
	}
	return 0;
}

/* True: some have been. What fails is done another time. */
static bool
merge_some(struct rocks *s, enum store_table t, uint64_t span_s)
{
	rocksdb_column_family_handle_t *table = engine_table(&s->engine, t);
	struct files all = { 0 };
	char *error = NULL;
	size_t from, n;

	tables_of_family(s->engine.db, table, file_seen, &all);
	n = worth_merging(&all, span_s, &from);
	if (n > 0)
		error = tables_merge(s->engine.db, table, all.v + from, n);
	free(all.v);
	free(error);
	return n > 0 && error == NULL;
}

/* ---- a look ---- */

static void
flush(struct rocks *s, enum store_table t)
{
	rocksdb_flushoptions_t *o = rocksdb_flushoptions_create();
	char *error = NULL;

	rocksdb_flushoptions_set_wait(o, 1);
	rocksdb_flush_cf(s->engine.db, o, engine_table(&s->engine, t), &error);
	rocksdb_free(error); /* it stands in the store's state, once it is written to */
	rocksdb_flushoptions_destroy(o);
}

/* Options are set, to what they are: RocksDB looks at sizes and ages then. */
static void
judge(struct rocks *s, enum store_table t)
{
	static const char *const names[] = { "ttl", "compaction_options_fifo" };
	char text[24], fifo[RETAIN_FIFO_MAX], *error = NULL;
	const char *values[] = { text, fifo };

	snprintf(text, sizeof(text), "%" PRIu64, retain_ttl_s(age_of(s, t)));
	retain_fifo(fifo, t, bytes_of(s, t));
	rocksdb_set_options_cf(s->engine.db, engine_table(&s->engine, t), 2, names, values, &error);
	rocksdb_free(error);
}

static bool
stopping(struct rocks *s)
{
	bool stop;

	pthread_mutex_lock(&s->retain.mu);
	stop = s->retain.stop;
	pthread_mutex_unlock(&s->retain.mu);
	return stop;
}

static void
look_at(struct rocks *s, enum store_table t, int64_t now_us, int64_t *due_us)
{
	uint64_t span_s = age_of(s, t) == 0 ? 0 : retain_span_s(age_of(s, t));
	bool due = span_s != 0 && now_us >= *due_us;

	if (bytes_of(s, t) == UINT64_MAX)
		return; /* nobody has said yet what span files may have */
	if (due) {
		*due_us = now_us + (int64_t)span_s * 1000000;
		flush(s, t);
	}
	for (unsigned i = 0; i < LOOK_MERGES && !stopping(s) && merge_some(s, t, span_s); i++)
		;
	if (due)
		judge(s, t);
}

/* With the lock: the healer opens the store by these options, and not meanwhile. True: they are others from now on. */
static bool
retention_take(struct rocks *s)
{
	bool changed;

	pthread_mutex_lock(&s->retain.mu);
	changed = s->retain.changed;
	if (changed)
		s->o.retention = s->retain.next;
	s->retain.changed = false;
	pthread_mutex_unlock(&s->retain.mu);
	return changed;
}

static void
look(struct rocks *s, int64_t due_us[2])
{
	int64_t now_us = clock_mono_us();
	bool changed;

	store_share(s);
	changed = retention_take(s);
	if (changed)
		due_us[0] = due_us[1] = 0;
	if (changed && s->engine.db != NULL && rocks_state(&s->face, NULL) == STORE_READY) {
		judge(s, STORE_LOG);
		judge(s, STORE_CHANGES);
	}
	if (s->engine.db != NULL && rocks_state(&s->face, NULL) == STORE_READY) {
		look_at(s, STORE_LOG, now_us, &due_us[0]);
		look_at(s, STORE_CHANGES, now_us, &due_us[1]);
	}
	store_unshare(s);
}

static unsigned
rest_of(const struct rocks *s)
{
	uint64_t least = LOOK_MS;

	for (enum store_table t = STORE_LOG; t <= STORE_CHANGES; t++)
		if (age_of(s, t) != 0 && retain_span_s(age_of(s, t)) * 500 < least)
			least = retain_span_s(age_of(s, t)) * 500;
	return (unsigned)least;
}

/* False: it is to stop. */
static bool
rests(struct rocks *s)
{
	int64_t until_us = clock_mono_us() + (int64_t)rest_of(s) * 1000;

	pthread_mutex_lock(&s->retain.mu);
	while (!s->retain.stop && !s->retain.changed &&
	    cond_wait_until(&s->retain.wake, &s->retain.mu, until_us))
		;
	pthread_mutex_unlock(&s->retain.mu);
	return !stopping(s);
}

static void
retain_run(void *arg)
{
	struct rocks *s = arg;
	int64_t due_us[2] = { 0, 0 };

	do
		look(s, due_us);
	while (rests(s));
}

enum err
retain_start(struct rocks *s, struct fault *f)
{
	pthread_mutex_init(&s->retain.mu, NULL);
	cond_init(&s->retain.wake);
	return thread_start(&s->retain.thread, retain_run, s, f, "retention");
}

void
rocks_retain(struct store *face, const struct store_retention *r)
{
	struct rocks *s = rocks_of(face);

	pthread_mutex_lock(&s->retain.mu);
	s->retain.next = *r;
	s->retain.changed = true;
	pthread_cond_signal(&s->retain.wake);
	pthread_mutex_unlock(&s->retain.mu);
}

void
rocks_log_to_files(struct store *face)
{
	struct rocks *s = rocks_of(face);

	store_share(s);
	if (s->engine.db != NULL && rocks_state(face, NULL) == STORE_READY) {
		flush(s, STORE_LOG);
		flush(s, STORE_CHANGES);
	}
	store_unshare(s);
}

void
retain_stop(struct rocks *s)
{
	if (!s->retain.thread.runs)
		return;
	pthread_mutex_lock(&s->retain.mu);
	s->retain.stop = true;
	pthread_cond_signal(&s->retain.wake);
	pthread_mutex_unlock(&s->retain.mu);
	thread_join(&s->retain.thread);
	pthread_cond_destroy(&s->retain.wake);
	pthread_mutex_destroy(&s->retain.mu);
}
