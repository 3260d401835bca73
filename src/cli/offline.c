/* The store without its hub: one identity, and whether every record can be decoded. */
#include "cli/priv.h"

#include <stdio.h>

#include "hub/hub.h"
#include "store/store.h"

static enum err
open_store(const char *dir, struct store **out, struct fault *f)
{
	struct store_options o = {
		.dir = dir,
		.read_only = true,
		.lanes = 1,
		.retention = { UINT64_MAX, 0, UINT64_MAX,
		    0 }, /* the event log's bounds are the hub's business */
	};

	return store_open(&o, out, f);
}

/* ---- one identity ---- */

static enum err
identity_load(struct shard *sh, struct store *store, struct subject s)
{
	struct buf key = { 0 }, record = { 0 };
	struct str value;
	enum err e;

	hub_key(&key, hub_shard_of(s.device), s.device, s.module);
	e = store_get(store, STORE_IDENTITY, buf_view(&key), &record);
	value = buf_view(&record);
	if (e == ERR_OK)
		e = shard_load(sh, buf_view(&key), value);
	if (e == ERR_OK)
		e = hub_fill(sh, s.device, s.module, RECORD_IDENTITY, &value);
	buf_fini(&key);
	buf_fini(&record);
	return e;
}

static enum err
identity_json(struct store *store, struct subject s, struct buf *json)
{
	struct shard *sh = shard_new(hub_shard_of(s.device), NULL);
	enum err e = identity_load(sh, store, (struct subject){ .device = s.device });

	if (e == ERR_OK && s.module.n > 0)
		e = identity_load(sh, store, s);
	if (e == ERR_OK)
		hub_row_write_identity(sh, shard_find(sh, s.device, s.module), json);
	shard_free(sh);
	return e;
}

enum err
identity_from_store(const char *dir, struct subject s, struct buf *json, struct fault *f)
{
	char path[DATA_PATH_MAX];
	struct store *store = NULL;
	const char *slash = s.module.n > 0 ? "/" : "";
	enum err e = data_path(path, dir, "store") ? open_store(path, &store, f) : ERR_SIZE;

	if (e == ERR_OK)
		e = identity_json(store, s, json);
	if (e == ERR_NOT_FOUND)
		fault_set(f, F_DeviceNotFound, "there is no '" STR_FMT "%s" STR_FMT "'",
		    STR_ARG(s.device), slash, STR_ARG(s.module));
	else if (e != ERR_OK && f->text[0] == '\0')
		fault_set(f, F_ServerError, "the record of '" STR_FMT "%s" STR_FMT "' is damaged",
		    STR_ARG(s.device), slash, STR_ARG(s.module));
	store_close(store);
	return e;
}

/* ---- all records ---- */

struct scan {
	struct store *store;
	struct shard *shard;
	uint32_t index;
	uint64_t nrecord, nidentity, nbad;
	void (*bad)(void *ctx, const char *what);
	void *ctx;
};

static const struct kind {
	enum record_kind record;
	enum store_table table;
	const char *name;
} kinds[] = {
	{ RECORD_IDENTITY, STORE_IDENTITY, "identity" }, /* first: the others belong to one */
	{ RECORD_WANTED, STORE_WANTED, "desired properties and tags" },
	{ RECORD_REPORTED, STORE_REPORTED, "reported properties" },
	{ RECORD_SESSION, STORE_SESSION, "session" },
	{ RECORD_QUEUE, STORE_MESSAGES, "queue of messages" },
};

static void
bad_record(struct scan *sc, const struct kind *k, struct str key, const char *why)
{
	struct str device = key.n > 2 ? str_sub(key, 2) : STR_NONE, module = STR_NONE;
	struct fault line;

	str_cut(device, '\0', &device, &module);
	fault_set(&line, F_ServerError, "%s of '" STR_FMT "%s" STR_FMT "': %s", k->name,
	    STR_ARG(device), module.n > 0 ? "/" : "", STR_ARG(module), why);
	sc->nbad++;
	sc->bad(sc->ctx, line.text);
}

static void
record_check(struct scan *sc, const struct kind *k, struct str key, struct str value)
{
	struct str device, module;

	sc->nrecord++;
	sc->nidentity += k->record == RECORD_IDENTITY;
	if (key.n < 3 || !str_cut(str_sub(key, 2), '\0', &device, &module) ||
	    hub_shard_of(device) != sc->index)
		bad_record(sc, k, key, "its key is none");
	else if (k->record == RECORD_IDENTITY &&
	    (shard_load(sc->shard, key, value) != ERR_OK ||
	        hub_fill(sc->shard, device, module, k->record, &value) != ERR_OK))
		bad_record(sc, k, key, "damaged");
	else if (k->record == RECORD_IDENTITY)
		return;
	else if (shard_find(sc->shard, device, module) == TABLE_NONE)
		bad_record(sc, k, key, "its identity is missing");
	else if (hub_fill(sc->shard, device, module, k->record, &value) != ERR_OK)
		bad_record(sc, k, key, "damaged");
}

static enum err
table_check(struct scan *sc, const struct kind *k)
{
	char from[2] = { (char)(sc->index >> 8), (char)sc->index },
	     to[2] = { (char)((sc->index + 1) >> 8), (char)(sc->index + 1) };
	struct store_cursor *c;
	struct str key, value;
	enum err e = store_cursor_open(sc->store, k->table, (struct str){ from, 2 },
	    (struct str){ to, 2 }, STORE_SCAN_BULK, &c);

	if (e != ERR_OK)
		return e;
	while ((e = store_next(c, &key, &value)) == ERR_OK)
		record_check(sc, k, key, value);
	store_cursor_close(c);
	return e == ERR_END ? ERR_OK : e;
}

/* Each identity has both halves of its twin. */
static void
rows_complete(struct scan *sc)
{
	struct str device, module;
	struct buf key = { 0 };

	for (uint32_t row = 0; row < shard_rows(sc->shard); row++) {
		unsigned missing;

		if (!shard_row(sc->shard, row, &device, &module))
			continue;
		key.n = 0;
		missing = shard_row_missing(
		    sc->shard, row, RECORD_BIT(RECORD_WANTED) | RECORD_BIT(RECORD_REPORTED), &key);
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			if (missing & RECORD_BIT(kinds[i].record))
				bad_record(sc, &kinds[i], buf_view(&key), "missing");
	}
	buf_fini(&key);
}

/* One shard in memory at a time: what a shard holds is bounded by its identities. */
static enum err
shard_check(struct scan *sc)
{
	uint64_t nbad = sc->nbad;
	enum err e = ERR_OK;

	sc->shard = shard_new(sc->index, NULL);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && e == ERR_OK; i++)
		e = table_check(sc, &kinds[i]);
	if (e == ERR_OK && sc->nbad == nbad) /* what is damaged is not there, too: say it once */
		rows_complete(sc);
	shard_free(sc->shard);
	return e;
}

enum err
records_check(const char *store_dir, void (*bad)(void *ctx, const char *what), void *ctx,
    uint64_t *nrecord, uint64_t *nidentity, struct fault *f)
{
	struct scan sc = { .bad = bad, .ctx = ctx };
	enum err e = open_store(store_dir, &sc.store, f);

	for (sc.index = 0; sc.index < SHARDS && e == ERR_OK; sc.index++)
		e = shard_check(&sc);
	if (e != ERR_OK && f->text[0] == '\0')
		fault_set(f, F_ServerError, "%s cannot be read", store_dir);
	store_close(sc.store);
	*nrecord = sc.nrecord;
	*nidentity = sc.nidentity;
	return e == ERR_OK && sc.nbad > 0 ? ERR_CORRUPT : e;
}
