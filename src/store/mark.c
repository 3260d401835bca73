/*
 * NEWEST-WAL: "12\n", the newest log that may hold acknowledged rows.
 *
 * RocksDB's manifest knows the logs before the newest (track_and_verify_wals_in_manifest), but were the newest deleted,
 * a hub would start with the state of an hour ago and not know. So a batch is acknowledged only when the log it
 * went to, or a later one, is named here. A new log begins with a new memtable, which shows in the version numbers of
 * the tables: asking for those costs a microsecond a batch, and the file is written once in 20 to 128 MB of log.
 * With it goes LENGTHS, see lengths.c.
 */
#include <inttypes.h>

#include "store/priv.h"

enum err
mark_write(const char *dir, uint64_t newest, struct fault *f)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%" PRIu64 "\n", newest);

	return file_replace(dir, MARK_FILE, (struct str){ text, (size_t)n }, f);
}

enum err
mark_read(const char *dir, uint64_t *newest, struct fault *f)
{
	struct buf text = { 0 };
	struct str line, rest;
	enum err e = file_read(dir, MARK_FILE, 31, &text, f);

	if (e == ERR_OK &&
	    !(str_cut(buf_view(&text), '\n', &line, &rest) && rest.n == 0 &&
	        str_u64(line, newest))) {
		fault_set(f, F_StoredDamaged, "%s/%s: not the number of a log", dir, MARK_FILE);
		e = ERR_CORRUPT;
	}
	buf_fini(&text);
	return e;
}

/* The manifest has grown, or a log has its first rows: what LENGTHS says is too little to lose nothing. */
static bool
has_grown(const struct lengths *said, const struct lengths *now)
{
	return now->manifest != said->manifest || now->manifest_bytes != said->manifest_bytes ||
	    now->log != said->log || (said->log_bytes == 0 && now->log_bytes > 0);
}

/* With m->mu held. */
static enum err
say(struct mark *m, const char *dir, const struct lengths *now, struct fault *f)
{
	enum err e = lengths_write(dir, now, f);

	if (e == ERR_OK || e == ERR_UNSYNCED) /* that is what the file says */
		m->said = *now;
	return e;
}

/* NEWEST-WAL first: it never names an older log than LENGTHS. With m->mu held. */
static enum err
mark_move(struct mark *m, const char *dir, struct fault *f)
{
	struct lengths now;
	enum err e = lengths_glance(dir, &now, f);

	if (e == ERR_OK && now.log != m->newest && (e = mark_write(dir, now.log, f)) == ERR_OK)
		m->newest = now.log;
	if (e != ERR_OK || !has_grown(&m->said, &now))
		return e;
	if ((e = lengths_look(dir, &m->said, &now, f)) == ERR_OK &&
	    now.log == m->newest) /* else there is a newer one, and who writes to it comes here */
		e = say(m, dir, &now, f);
	return e;
}

enum err
mark_manifest(struct mark *m, const char *dir, struct fault *f)
{
	enum err e;

	pthread_mutex_lock(&m->mu);
	e = mark_move(m, dir, f);
	pthread_mutex_unlock(&m->mu);
	return e;
}

/* Of the same files, or newer ones, and not less of them. */
static bool
says_more(const struct lengths *a, const struct lengths *b)
{
	return !lengths_equal(a, b) && a->manifest >= b->manifest && a->log >= b->log &&
	    (a->manifest > b->manifest || a->manifest_bytes >= b->manifest_bytes) &&
	    (a->log > b->log || a->log_bytes >= b->log_bytes);
}

/* What has been written since the last time is read without the lock: commits may need it. */
enum err
mark_lengths(struct mark *m, const char *dir, struct fault *f)
{
	struct lengths said, now;
	enum err e;

	pthread_mutex_lock(&m->mu);
	said = m->said;
	pthread_mutex_unlock(&m->mu);
	if ((e = lengths_look(dir, &said, &now, f)) != ERR_OK)
		return e;
	pthread_mutex_lock(&m->mu);
	if (now.log == m->newest && says_more(&now, &m->said))
		e = say(m, dir, &now, f);
	pthread_mutex_unlock(&m->mu);
	return e;
}

enum err
mark_make(const char *dir, struct fault *f)
{
	struct lengths now;
	enum err e = lengths_look(dir, &(struct lengths){ 0 }, &now, f);

	if (e == ERR_OK)
		e = mark_write(dir, now.log, f);
	return e != ERR_OK ? e : lengths_write(dir, &now, f);
}

enum err
mark_begin(struct mark *m, const char *dir, struct fault *f)
{
	struct lengths now;
	enum err e;

	pthread_mutex_lock(&m->mu);
	if ((e = lengths_look(dir, &(struct lengths){ 0 }, &now, f)) == ERR_OK &&
	    (e = mark_write(dir, now.log, f)) == ERR_OK && (e = say(m, dir, &now, f)) == ERR_OK) {
		m->newest = now.log;
		atomic_store_explicit(&m->version, 0, memory_order_release);
	}
	pthread_mutex_unlock(&m->mu);
	return e;
}

enum err
mark_current(struct mark *m, const char *dir, const struct engine *engine, struct fault *f)
{
	uint64_t version = engine_version(engine);
	enum err e = ERR_OK;

	if (atomic_load_explicit(&m->version, memory_order_acquire) >= version)
		return ERR_OK;
	pthread_mutex_lock(&m->mu);
	if (atomic_load_explicit(&m->version, memory_order_relaxed) < version &&
	    (e = mark_move(m, dir, f)) == ERR_OK && m->said.log == m->newest &&
	    m->said.log_bytes > 0)
		atomic_store_explicit(&m->version, version, memory_order_release);
	pthread_mutex_unlock(&m->mu);
	return e;
}
