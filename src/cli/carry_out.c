/* Rows of a database, into the store of a directory; and the other files of it. */
#include "cli/cluster.h"

#include <stdio.h>
#include <sys/stat.h>

#include "os/os.h"
#include "os/thread.h"
#include "shard/shard.h"
#include "store/pack.h"

#define BATCH_MAX ((size_t)4 * 1024 * 1024)

/* ---- the store: one batch under way ---- */

struct filling {
	struct store *store;
	struct store_batch *batch;
	struct carried *told;
	pthread_mutex_t mu;
	pthread_cond_t heard;
	bool done;
	enum store_result result;
};

static void
batch_done(void *ctx, unsigned lane, uint64_t cookie, enum store_result result)
{
	struct filling *k = ctx;

	(void)lane, (void)cookie;
	pthread_mutex_lock(&k->mu);
	k->done = true;
	k->result = result;
	pthread_cond_signal(&k->heard);
	pthread_mutex_unlock(&k->mu);
}

static enum err
batch_put(struct filling *k, struct fault *f)
{
	k->done = false;
	store_submit(k->store, 0, k->batch, 0);
	pthread_mutex_lock(&k->mu);
	while (!k->done)
		pthread_cond_wait(&k->heard, &k->mu);
	pthread_mutex_unlock(&k->mu);
	k->batch = store_batch_next(k->store, 0);
	if (k->result == STORE_OK)
		return ERR_OK;
	store_state(k->store, f);
	return ERR_IO;
}

static enum err
records_put(struct filling *k, const struct pg_row *row, struct fault *f)
{
	struct pack_walk walk;
	struct str key, value;
	enum err e;

	pack_walk_begin(&walk, row->key, row->value);
	while ((e = pack_walk_next(&walk, &key, &value)) == ERR_OK)
		store_batch_put(k->batch, row->shard, row->table, key, value);
	if (e == ERR_END)
		return ERR_OK;
	fault_set(f, F_StoredDamaged, "a row of the log is damaged");
	return ERR_CORRUPT;
}

static enum err
row_take(void *ctx, const struct pg_row *row, struct fault *f)
{
	struct filling *k = ctx;
	enum err e = ERR_OK;

	carried_row(k->told, row->key.n + row->value.n);
	if (pack_table(row->table))
		e = records_put(k, row, f);
	else
		store_batch_put(k->batch, row->shard, row->table, row->key, row->value);
	return e != ERR_OK || store_batch_bytes(k->batch) < BATCH_MAX ? e : batch_put(k, f);
}

/* Where there are none, a start makes its own above its clock: these are above all that was given. */
static enum err
epochs_put(struct filling *k, const struct pg_whole *w, struct fault *f)
{
	struct buf key = { 0 }, value = { 0 };

	for (uint32_t s = 0; s < SHARDS; s++) {
		key.n = value.n = 0;
		epoch_record_put(&key, &value, s, w->shards[s].number, w->shards[s].at_us);
		store_batch_put(k->batch, s, STORE_HUB, buf_view(&key), buf_view(&value));
	}
	buf_fini(&key);
	buf_fini(&value);
	return batch_put(k, f);
}

static enum err
store_fill(const struct pg_options *o, const char *dir, struct pg_whole *w, struct carried *told,
    struct fault *f)
{
	struct filling k = { .told = told, .mu = PTHREAD_MUTEX_INITIALIZER };
	struct store_options so = { .dir = dir,
		.create = true,
		.lanes = 1,
		.retention = { UINT64_MAX, 0, UINT64_MAX, 0 },
		.ctx = &k,
		.done = batch_done };
	enum err e = store_open(&so, &k.store, f);

	if (e != ERR_OK)
		return e;
	cond_init(&k.heard);
	k.batch = store_batch_next(k.store, 0);
	if ((e = pg_move_out(o, w, row_take, &k, f)) == ERR_OK)
		e = epochs_put(&k, w, f);
	store_batch_free(k.batch);
	store_close(k.store);
	pthread_cond_destroy(&k.heard);
	return e;
}

/* ---- the other files ---- */

static enum err
file_put(const char *dir, const char *name, struct str bytes, unsigned mode, struct fault *f)
{
	char path[DATA_PATH_MAX];

	if (!data_path(path, dir, name))
		return fault_set(f, F_ArgumentInvalid, "the path of --to is too long");
	return os_replace_file(path, bytes, mode, f);
}

static enum err
secret_put(const char *dir, const char *name, struct str bytes, struct fault *f)
{
	struct str cert, key;
	enum err e;

	if (strcmp(name, POLICIES_SECRET) == 0)
		return file_put(dir, "policies.json", bytes, 0600, f);
	if (!ca_secret_get(bytes, &cert, &key)) {
		fault_set(f, F_StoredDamaged, "the secret 'ca' in the database is damaged");
		return ERR_CORRUPT;
	}
	e = file_put(dir, "ca.key", key, 0600, f);
	return e != ERR_OK ? e : file_put(dir, "ca.pem", cert, 0644, f);
}

static enum err
files_put(const char *dir, const struct pg_whole *w, struct fault *f)
{
	char why[DATA_WHY_MAX];
	struct buf conf = { 0 };
	enum err e = ERR_OK;

	for (unsigned i = 0; i < w->nsecret && e == ERR_OK; i++)
		e = secret_put(dir, w->secrets[i].name, buf_view(&w->secrets[i].value), f);
	options_template(&conf);
	if (e == ERR_OK)
		e = file_put(dir, CONF_FILE, buf_view(&conf), 0644, f);
	buf_fini(&conf);
	if (e == ERR_OK && (e = data_hub_make(dir, str_of(w->id), why, sizeof(why))) != ERR_OK)
		fault_set(f, F_ServerError, "%.400s", why);
	return e;
}

enum err
carry_out(const struct pg_options *o, const char *dir, struct pg_whole *w, struct carried *told,
    struct fault *f)
{
	char store[DATA_PATH_MAX];
	enum err e;

	if (!data_path(store, dir, "store"))
		return fault_set(f, F_ArgumentInvalid, "the path of --to is too long");
	if (mkdir(dir, 0700) != 0)
		return os_fault(f, "making", dir);
	if ((e = store_fill(o, store, w, told, f)) == ERR_OK)
		e = files_put(dir, w, f);
	return e;
}
