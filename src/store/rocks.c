/* Opening, closing and the state of the whole. A store is made in a directory beside its own and renamed when complete:
 * a directory with files but without CURRENT is never taken for a new one. */
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/priv.h"

#define RETRY_MS_DEFAULT 1000

struct opening {
	const char *dir;
	struct fault *f;
	bool any;         /* a bad file: the first one is told */
	struct buf notes; /* lines, for when there is none */
};

static void
keep_note(void *ctx, const char *file, const char *what)
{
	struct opening *o = ctx;

	buf_printf(&o->notes, "%s/%s: %s\n", o->dir, file, what);
}

static void
warn_of_notes(const struct rocks *s, const struct buf *notes)
{
	struct str rest = buf_view(notes), line;

	while (s->o.warn != NULL && str_cut(rest, '\n', &line, &rest)) {
		char *text = str_dup0(line);

		s->o.warn(s->o.ctx, text);
		free(text);
	}
}

static void
note_first_bad(void *ctx, const char *file, const char *why)
{
	struct opening *b = ctx;

	if (!b->any)
		fault_set(b->f, F_StoredDamaged, "corrupt file %s/%s: %s", b->dir, file, why);
	b->any = true;
}

/* RocksDB names a missing log by number, and a missing table by the ending tables had in its youth. */
static void
name_missing(const char *dir, struct fault *f)
{
	static const char log[] = "Missing WAL with log number: ";
	const char *at;

	if ((at = strstr(f->text, log)) != NULL)
		fault_set(f, F_StoredDamaged, "missing file %s/%06llu.log", dir,
		    strtoull(at + strlen(log), NULL, 10));
	for (char *old = f->text; (old = strstr(old, ".ldb")) != NULL;)
		old[1] = 's', old[2] = 's', old[3] = 't';
}

/* RocksDB may blame its manifest for a table that it cannot read: find the file itself. */
static void
name_table(const struct rocks *s, const struct findings *to, const struct fault *f)
{
	if (strstr(f->text, "MANIFEST") != NULL && strstr(f->text, ".sst") == NULL)
		tables_check(s->dir, to);
}

static enum err
engine_start(struct rocks *s, const struct findings *to, struct fault *f)
{
	bool read_only = s->o.read_only;
	enum err e = engine_open(&s->engine, s->dir, &s->o,
	    read_only ? ENGINE_READ_ONLY : ENGINE_OPEN, read_only ? NULL : &s->told, f);

	if (e != ERR_OK)
		name_missing(s->dir, f);
	if (e == ERR_CORRUPT)
		name_table(s, to, f);
	if (e == ERR_OK && !read_only && (e = mark_begin(&s->mark, s->dir, f)) != ERR_OK)
		engine_close(&s->engine);
	return e;
}

enum err
engine_recover(struct rocks *s, struct fault *f)
{
	struct opening o = { .dir = s->dir, .f = f };
	const struct findings to = { note_first_bad, keep_note, &o };
	uint64_t nfiles = 0;
	enum err e = ERR_CORRUPT;

	logs_check(s->dir, &to, &nfiles);
	if (!o.any && s->o.verify)
		tables_check(s->dir, &to);
	if (!o.any && (e = engine_start(s, &to, f)) == ERR_OK)
		warn_of_notes(s, &o.notes);
	buf_fini(&o.notes);
	return e;
}

/* ---- making a new one ---- */

static enum err
make_in(const char *dir, const struct store_options *o, struct fault *f)
{
	struct engine engine;
	enum err e;

	if ((e = os_remove_tree(dir, 0, f)) != ERR_OK) /* of an attempt that was killed */
		return e;
	if (mkdir(dir, 0700) != 0)
		return os_fault(f, "creating", dir);
	if ((e = engine_open(&engine, dir, o, ENGINE_CREATE, NULL, f)) != ERR_OK)
		return e;
	engine_close(&engine);
	return mark_make(dir, f);
}

static enum err
refuse_entry(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return ERR_EXISTS;
}

static enum err
store_make(const struct store_options *o, struct fault *f)
{
	struct buf beside = { 0 };
	enum err e;

	buf_printf(&beside, "%s.creating", o->dir);
	buf_putc(&beside, 0);
	if ((e = make_in(beside.p, o, f)) == ERR_OK)
		e = os_rename(beside.p, o->dir, f);
	buf_fini(&beside);
	return e;
}

/* ERR_OK if there is a store to open, perhaps made just now. */
static enum err
store_find(const struct store_options *o, struct fault *f)
{
	bool there = access(o->dir, F_OK) == 0;

	if (there && dir_has(o->dir, "CURRENT"))
		return ERR_OK;
	if (there && os_each_entry(o->dir, refuse_entry, NULL, f) == ERR_EXISTS) {
		fault_set(f, F_StoredDamaged, "corrupt: file %s/CURRENT is missing", o->dir);
		return ERR_CORRUPT;
	}
	if (o->create)
		return store_make(o, f);
	fault_set(f, F_ServerError, "there is no store in %s", o->dir);
	return ERR_NOT_FOUND;
}

/* ---- opening ---- */

static _Thread_local struct {
	const struct rocks *store;
	unsigned depth;
} shared; /* by this thread */

void
store_share(struct rocks *s)
{
	assert(shared.depth == 0 || shared.store == s);
	shared.store = s;
	if (shared.depth++ == 0)
		pthread_rwlock_rdlock(&s->lock);
}

void
store_unshare(struct rocks *s)
{
	assert(shared.depth > 0 && shared.store == s);
	if (--shared.depth == 0)
		pthread_rwlock_unlock(&s->lock);
}

/* By default readers that overlap keep a writer out for ever. */
static void
lock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attributes;

	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attributes);
	pthread_rwlockattr_destroy(&attributes);
}

static void
sync_init(struct rocks *s)
{
	cond_init(&s->fail.wake);
	pthread_mutex_init(&s->fail.mu, NULL);
	pthread_mutex_init(&s->looked.mu, NULL);
	pthread_mutex_init(&s->mark.mu, NULL);
	lock_init(&s->lock);
}

static void
store_free(struct rocks *s)
{
	engine_close(&s->engine);
	pthread_rwlock_destroy(&s->lock);
	pthread_mutex_destroy(&s->mark.mu);
	pthread_mutex_destroy(&s->looked.mu);
	pthread_mutex_destroy(&s->fail.mu);
	pthread_cond_destroy(&s->fail.wake);
	if (s->held >= 0)
		close(s->held);
	buf_fini(&s->identity);
	free(s->dir);
	free(s);
}

/* A failure is told by the next batch, which looks again. */
static void
on_manifest(void *ctx)
{
	struct rocks *s = ctx;

	mark_manifest(&s->mark, s->dir, NULL);
}

static struct rocks *
store_new(const struct store_options *o)
{
	struct rocks *s = xcalloc(1, sizeof *s + o->lanes * sizeof s->lanes[0]);

	s->o = *o;
	if (s->o.retry_ms == 0)
		s->o.retry_ms = RETRY_MS_DEFAULT;
	if (s->o.tick_ms == 0)
		s->o.tick_ms = LENGTHS_TICK_MS;
	s->dir = str_dup0(str_of(o->dir));
	s->o.dir = s->dir;
	s->held = -1;
	s->told = (struct tables_told){ on_manifest, s };
	sync_init(s);
	return s;
}

/*
 * Where there is no room, or the disk takes no writes, reading needs neither: the log is replayed into memory. The healer opens it for
 * writing when that is possible again.
 */
enum err
engine_recover_to_read(struct rocks *s, enum err e)
{
	struct fault f;

	if ((e != ERR_FULL && e != ERR_IO) || s->o.read_only)
		return e;
	return engine_open(&s->engine, s->dir, &s->o, ENGINE_READ_ONLY, NULL, &f);
}

static enum err
recover_first(struct rocks *s, struct fault *f)
{
	enum err e = engine_recover(s, f);

	s->o.verify = false; /* a healing is no start */
	if (e == ERR_OK || engine_recover_to_read(s, e) != ERR_OK)
		return e;
	atomic_store(&s->last_row, rocksdb_get_latest_sequence_number(s->engine.db));
	s->state = e == ERR_FULL ? STORE_IS_FULL : STORE_IS_FAILED;
	s->fail.why = *f;
	state_told(s, s->state, f);
	return ERR_OK;
}

static enum err
threads_start(struct rocks *s, struct fault *f)
{
	enum err e = healer_start(s, f);

	if (e != ERR_OK)
		return e;
	if ((e = lanes_start(s, f)) == ERR_OK && (e = retain_start(s, f)) == ERR_OK) {
		if ((e = scrub_start(s, f)) == ERR_OK)
			return ERR_OK;
		retain_stop(s);
	}
	lanes_stop(s);
	healer_stop(s);
	return e;
}

static const struct store_ops rocks_ops = {
	.close = rocks_close,
	.get = rocks_get,
	.cursors_open = rocks_cursors_open,
	.next = rocks_next,
	.cursor_close = rocks_cursor_close,
	.batch_next = rocks_batch_next,
	.submit = rocks_submit,
	.resume = rocks_resume,
	.retain = rocks_retain,
	.log_to_files = rocks_log_to_files,
	.state = rocks_state,
	.generation = rocks_generation,
	.space = rocks_space,
	.has_space = rocks_has_space,
	.damage = rocks_damage,
	.stats = rocks_stats,
	.checkpoint = rocks_checkpoint,
};

enum err
store_open(const struct store_options *o, struct store **out, struct fault *f)
{
	struct rocks *s;
	enum err e;

	assert(o->lanes >= 1 && o->lanes <= STORE_LANES_MAX);
	umask(077); /* RocksDB makes its files with 0644 */
	if ((e = store_find(o, f)) != ERR_OK)
		return e;
	s = store_new(o);
	s->face.ops = &rocks_ops;
	file_read(s->dir, "IDENTITY", NAME_BYTES, &s->identity, NULL); /* none: RocksDB makes one */
	if ((e = os_hold_dir(s->dir, &s->held, f)) != ERR_OK || (e = recover_first(s, f)) != ERR_OK)
		goto fail;
	if (!s->o.read_only && (e = threads_start(s, f)) != ERR_OK)
		goto fail;
	*out = &s->face;
	return ERR_OK;
fail:
	store_free(s);
	return e;
}

void
rocks_close(struct store *face)
{
	struct rocks *s = rocks_of(face);

	scrub_stop(s);
	lanes_stop(s);
	retain_stop(s);
	if (!s->o.read_only)
		healer_stop(s);
	engine_close(&s->engine);
	if (!s->o.read_only &&
	    s->state == STORE_READY) /* what is told by nobody is noticed all the same */
		mark_lengths(&s->mark, s->dir, NULL);
	store_free(s);
}

/* ---- state ---- */

enum store_state
rocks_state(struct store *face, struct fault *why)
{
	struct rocks *s = rocks_of(face);
	enum store_state state;

	if (why == NULL)
		return atomic_load_explicit(&s->state, memory_order_acquire);
	pthread_mutex_lock(&s->fail.mu);
	state = s->state;
	*why = s->fail.why;
	pthread_mutex_unlock(&s->fail.mu);
	return state;
}

uint32_t
rocks_generation(const struct store *face)
{
	const struct rocks *s = rocks_of(face);

	return atomic_load(&s->generation);
}

uint64_t
rocks_space(const struct store *face)
{
	const struct rocks *s = rocks_of(face);
	struct statvfs v;

	if (fstatvfs(s->held, &v) != 0)
		return 0;
	return (uint64_t)v.f_bavail * v.f_frsize;
}

/* Once for each change, whoever asks first. That there is room again is told when there is an eighth more, and so not again and again. */
static void
room_told(struct rocks *s, bool has, uint64_t free_bytes)
{
	uint64_t floor = s->o.floor_bytes;
	char line[160];

	if ((has && free_bytes < floor + floor / 8) || s->o.warn == NULL ||
	    atomic_exchange(&s->cramped, !has) == !has)
		return;
	if (has)
		snprintf(line, sizeof(line), "the disk has room again: changes are taken");
	else
		snprintf(line, sizeof(line),
		    "the disk is full, changes are refused: %llu bytes are free, and %llu are to "
		    "stay (--free-space)",
		    (unsigned long long)free_bytes, (unsigned long long)floor);
	s->o.warn(s->o.ctx, line);
}

bool
rocks_has_space(const struct store *face)
{
	struct rocks *s = rocks_of(face);
	uint64_t free_bytes = rocks_space(face);
	bool has = free_bytes >= s->o.floor_bytes;

	if (has == atomic_load_explicit(&s->cramped, memory_order_relaxed))
		room_told(s, has, free_bytes);
	return has;
}
