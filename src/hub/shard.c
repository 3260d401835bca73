/*
 * A shard's rows: who is where, which records are in memory.
 *
 * A row number is an identity's durable place: it never moves while the identity lives, and rests ROW_GRACE_US after its
 * end. A row holds its records as blobs, immutable: a change puts a new blob in the old one's place, so whoever needs the
 * old one (an undo entry) keeps a reference.
 */
#include "hub/priv.h"

#include <stdlib.h>

struct blob blob_none = { .refs = 1 };

struct blob *
blob_new(struct str bytes)
{
	struct blob *b = xmalloc(sizeof(*b) + bytes.n);

	b->refs = 1;
	b->n = (uint32_t)bytes.n;
	if (bytes.n)
		memcpy(b->bytes, bytes.p, bytes.n);
	return b;
}

struct blob *
blob_ref(struct blob *b)
{
	if (b != NULL && b != &blob_none)
		b->refs++;
	return b;
}

void
blob_unref(struct blob *b)
{
	if (b != NULL && b != &blob_none && --b->refs == 0)
		free(b);
}

void
presence_free(struct presence *p)
{
	if (p == NULL)
		return;
	blob_unref(p->filters);
	calls_free(p->calls);
	free(p);
}

struct shard *
shard_new(uint32_t index)
{
	struct shard *sh = xcalloc(1, sizeof(*sh));

	sh->index = index;
	sh->epoch_next = 1;
	return sh;
}

static void
row_fini(struct row *r)
{
	for (int k = 0; k < RECORD_KINDS; k++)
		blob_unref(r->records[k]);
	presence_free(r->presence);
	free(r->id);
	*r = (struct row){ 0 };
}

void
shard_free(struct shard *sh)
{
	if (sh == NULL)
		return;
	for (uint32_t i = 0; i < sh->nrow; i++)
		row_fini(&sh->rows[i]);
	columns_free(sh->columns);
	free(sh->changed.bits);
	free(sh->changed.rows);
	calls_free(sh->waiting);
	free(sh->rows);
	free(sh->free);
	table_fini(&sh->ids);
	configurations_free(sh->stored);
	configure_free(sh->configure);
	free(sh);
}

struct row *
row_at(struct shard *sh, uint32_t row)
{
	assert(row < sh->nrow);
	return &sh->rows[row];
}

uint32_t
row_number(const struct shard *sh, const struct row *r)
{
	return (uint32_t)(r - sh->rows);
}

#define KEY_SHARD 2 /* bytes of a key before the device's id */

struct str
row_key(const struct row *r)
{
	return (struct str){ r->id, KEY_SHARD + r->device_n + 1u + r->module_n };
}

struct str
row_device(const struct row *r)
{
	return (struct str){ r->id + KEY_SHARD, r->device_n };
}

struct str
row_module(const struct row *r)
{
	return (struct str){ r->id + KEY_SHARD + r->device_n + 1, r->module_n };
}

struct id {
	struct str device, module;
};

static bool
row_is(const void *ctx, uint32_t row, const void *key)
{
	const struct shard *sh = ctx;
	const struct id *id = key;

	return str_eq(row_device(&sh->rows[row]), id->device) &&
	    str_eq(row_module(&sh->rows[row]), id->module);
}

static uint64_t
id_hash(struct str device, struct str module)
{
	uint64_t h = hash_table(device);

	return module.n == 0 ? h : h ^ (hash_table(module) * UINT64_C(0x9E3779B97F4A7C15));
}

uint32_t
shard_find(const struct shard *sh, struct str device, struct str module)
{
	struct id id = { device, module };

	return table_get(&sh->ids, id_hash(device, module), row_is, sh, &id);
}

struct row *
row_find(struct shard *sh, struct str device, struct str module)
{
	struct id id = { device, module };
	uint32_t n = sh->last;

	if (n >= sh->nrow || sh->rows[n].id == NULL || !row_is(sh, n, &id))
		n = shard_find(sh, device, module);
	if (n == TABLE_NONE)
		return NULL;
	sh->last = n;
	return &sh->rows[n];
}

/* Room for row number n; new rows are free. */
static void
rows_reserve(struct shard *sh, uint32_t n)
{
	if (n >= sh->caprow) {
		uint32_t cap = sh->caprow ? sh->caprow + sh->caprow / 2 : 64;
		if (cap <= n)
			cap = n + 1;
		sh->rows = xrealloc(sh->rows, cap * sizeof(*sh->rows));
		memset(sh->rows + sh->caprow, 0, (cap - sh->caprow) * sizeof(*sh->rows));
		sh->caprow = cap;
	}
	if (n >= sh->nrow)
		sh->nrow = n + 1;
}

/* ---- where a row is known: by its name, by its device, in the counts ---- */

static struct row *
owner_of(struct shard *sh, const struct row *module)
{
	return row_at(sh, shard_find(sh, row_device(module), STR_NONE));
}

static void
row_link(struct shard *sh, uint32_t n)
{
	struct row *r = &sh->rows[n];

	table_add(&sh->ids, id_hash(row_device(r), row_module(r)), n);
	row_changed(sh, r, CHANGED_ALL);
	sh->nidentity++;
	if (r->module_n == 0) {
		sh->counts.devices++;
		sh->counts.disabled += r->disabled;
	} else {
		struct row *owner = owner_of(sh, r);

		r->chain = owner->chain;
		owner->chain = n + 1;
	}
}

/* The identity's name leads nowhere any more. Its session has ended; a device's modules are gone. */
static void
row_unlink(struct shard *sh, uint32_t n)
{
	struct row *r = &sh->rows[n];

	if (r->module_n == 0) {
		assert(r->chain == 0);
		sh->counts.devices--;
		sh->counts.disabled -= r->disabled;
	} else {
		uint32_t *at = &owner_of(sh, r)->chain;

		while (*at != n + 1)
			at = &sh->rows[*at - 1].chain;
		*at = r->chain;
		r->chain = 0;
	}
	table_remove(&sh->ids, id_hash(row_device(r), row_module(r)), n);
	row_changed(sh, r, CHANGED_ALL);
	sh->nidentity--;
}

void
row_see_identity(struct shard *sh, struct row *r, const struct identity *id)
{
	if (r->module_n == 0)
		sh->counts.disabled += (uint32_t)!id->enabled - (uint32_t)r->disabled;
	r->disabled = !id->enabled;
	r->edge = id->edge;
}

void
row_set_presence(struct shard *sh, struct row *r, struct presence *p)
{
	if (r->module_n == 0)
		sh->counts.connected += (uint32_t)(p != NULL) - (uint32_t)(r->presence != NULL);
	if (r->presence != NULL)
		sh->ncall -= r->presence->ncall;
	presence_free(r->presence);
	r->presence = p;
	row_changed(sh, r, CHANGED_PRESENCE);
	if (sh->watch & WATCH_PRESENCE)
		configure_mark(sh, r);
}

static struct row *
row_name(struct shard *sh, uint32_t n, struct str device, struct str module)
{
	struct row *r = &sh->rows[n];
	struct buf key = { 0 };

	assert(r->id == NULL && device.n <= ID_MAX && module.n <= ID_MAX);
	buf_reserve(&key, KEY_SHARD + device.n + module.n + 2);
	hub_key(&key, sh->index, device, module);
	buf_putc(&key, '\0');
	r->id = key.p; /* the row's from here on */
	r->device_n = (uint8_t)device.n;
	r->module_n = (uint8_t)module.n;
	row_link(sh, n);
	return r;
}

/* Room for one more free row at the end: what was taken from the front goes first. */
static void
free_reserve(struct shard *sh)
{
	if (sh->free_from + sh->nfree < sh->capfree)
		return;
	if (sh->free_from > sh->nfree) {
		memmove(sh->free, sh->free + sh->free_from, sh->nfree * sizeof(*sh->free));
		sh->free_from = 0;
	} else {
		sh->capfree = sh->capfree ? sh->capfree * 2 : 64;
		sh->free = xrealloc(sh->free, sh->capfree * sizeof(*sh->free));
	}
}

static void
free_push(struct shard *sh, uint32_t row, int64_t now_us)
{
	free_reserve(sh);
	sh->free[sh->free_from + sh->nfree++] = (struct free_row){ row, now_us };
}

/* Back to the front, from where it was taken. */
static void
free_unshift(struct shard *sh, uint32_t row, int64_t since_us)
{
	if (sh->free_from > 0) {
		sh->free_from--;
	} else {
		free_reserve(sh);
		memmove(sh->free + 1, sh->free, sh->nfree * sizeof(*sh->free));
	}
	sh->nfree++;
	sh->free[sh->free_from] = (struct free_row){ row, since_us };
}

/* Take a row back out of the free ones: most likely the last that came. */
static void
free_pull(struct shard *sh, uint32_t row)
{
	uint32_t end = sh->free_from + sh->nfree, i = end;

	while (sh->free[--i].row != row)
		assert(i > sh->free_from);
	memmove(sh->free + i, sh->free + i + 1, (end - i - 1) * sizeof(*sh->free));
	sh->nfree--;
}

void
row_set_cached(struct shard *sh, struct row *r, enum record_kind kind, struct blob *b)
{
	struct blob *old = r->records[kind];

	if (old != NULL)
		sh->cached_bytes -= old->n;
	if (b != NULL)
		sh->cached_bytes += b->n;
	r->records[kind] = b;
	r->touched = true;
	blob_unref(old);
}

/* ---- start ---- */

enum err
shard_load(struct shard *sh, struct str key, struct str record)
{
	struct identity id;
	struct str device, module;

	if (key.n < 4 || !doc_valid(record.n ? str_sub(record, 1) : record, 0, 4) ||
	    !identity_decode(record, &id))
		return ERR_CORRUPT;
	if (!str_cut(str_sub(key, 2), '\0', &device, &module) || !id_valid(device) ||
	    (module.n && !id_valid(module)))
		return ERR_CORRUPT;
	if (id.row > UINT32_C(1) << 28 || (id.row < sh->nrow && sh->rows[id.row].id != NULL))
		return ERR_CORRUPT;
	if (module.n && shard_find(sh, device, STR_NONE) == TABLE_NONE)
		return ERR_CORRUPT; /* keys are in order: the device's would have come before */
	rows_reserve(sh, id.row);
	row_see_identity(sh, row_name(sh, id.row, device, module), &id);
	if (id.generation > sh->generation)
		sh->generation = id.generation;
	return ERR_OK;
}

/* Nobody knows when the free rows became so: they may be named by what was handed out just before the stop. */
void
shard_loaded(struct shard *sh, uint64_t log_position, int64_t now_us)
{
	for (uint32_t i = 0; i < sh->nrow; i++)
		if (sh->rows[i].id == NULL)
			free_push(sh, i, now_us);
	sh->log_next = log_position + 1;
	sh->epoch_next = log_position + 1; /* grows over restarts, as positions do */
}

/* ---- undo ---- */

enum undo_kind {
	UNDO_RECORD,
	UNDO_CREATED,
	UNDO_DELETED,
	UNDO_CONNECTED,
	UNDO_FILTERS,
	UNDO_COMMON,
	UNDO_DONE /* rolled back: it only keeps documents in memory */
};

#define ROW_GREW (-1) /* since_us of a row that was not a free one before */

struct undo_entry {
	enum undo_kind kind;
	enum record_kind record;
	struct shard *shard;
	uint32_t row;
	uint64_t epoch;
	int64_t since_us; /* UNDO_CREATED: how long the row had been free */
	struct blob *old, *new;
	struct row *deleted;
};

struct undo {
	struct undo_entry *entries;
	uint32_t n, cap;
	size_t bytes;
};

struct undo *
undo_new(void)
{
	return xcalloc(1, sizeof(struct undo));
}

static struct undo_entry *
undo_push(struct undo *u, enum undo_kind kind, struct shard *sh, uint32_t row)
{
	if (u->n == u->cap) {
		u->cap = u->cap ? u->cap * 2 : 64;
		u->entries = xrealloc(u->entries, u->cap * sizeof(*u->entries));
	}
	u->entries[u->n] = (struct undo_entry){ .kind = kind, .shard = sh, .row = row };
	return &u->entries[u->n++];
}

static void
undo_entry_fini(struct undo_entry *e)
{
	blob_unref(e->old);
	blob_unref(e->new);
	if (e->deleted != NULL) {
		row_fini(e->deleted);
		free(e->deleted);
	}
}

void
undo_commit(struct undo *u)
{
	for (uint32_t i = 0; i < u->n; i++)
		undo_entry_fini(&u->entries[i]);
	u->n = 0;
	u->bytes = 0;
}

size_t
undo_bytes(const struct undo *u)
{
	return u->bytes;
}

void
undo_free(struct undo *u)
{
	if (u == NULL)
		return;
	undo_commit(u);
	free(u->entries);
	free(u);
}

void
undo_append(struct undo *u, struct undo *from)
{
	if (u->cap - u->n < from->n) {
		u->cap = u->n + from->n;
		u->entries = xrealloc(u->entries, u->cap * sizeof(*u->entries));
	}
	if (from->n > 0)
		memcpy(u->entries + u->n, from->entries, from->n * sizeof(*u->entries));
	u->n += from->n;
	u->bytes += from->bytes;
	from->n = 0;
	from->bytes = 0;
}

struct row *
row_create(struct undo *u, struct shard *sh, struct str device, struct str module, int64_t now_us)
{
	uint32_t n = sh->nrow;
	int64_t since_us = ROW_GREW;

	if (sh->nfree > 0 && now_us - sh->free[sh->free_from].since_us >= ROW_GRACE_US) {
		n = sh->free[sh->free_from].row;
		since_us = sh->free[sh->free_from].since_us;
		sh->free_from++;
		sh->nfree--;
	}
	rows_reserve(sh, n);
	undo_push(u, UNDO_CREATED, sh, n)->since_us = since_us;
	return row_name(sh, n, device, module);
}

void
undo_deleted(struct undo *u, struct shard *sh, uint32_t row, int64_t now_us)
{
	struct undo_entry *e = undo_push(u, UNDO_DELETED, sh, row);
	struct row *r = &sh->rows[row];

	row_unlink(sh, row);
	for (int k = 0; k < RECORD_KINDS; k++) {
		if (r->records[k] == NULL)
			continue;
		sh->cached_bytes -= r->records[k]->n;
		u->bytes += r->records[k]->n;
	}
	e->deleted = xmalloc(sizeof(*e->deleted));
	*e->deleted = *r;
	*r = (struct row){ 0 };
	free_push(sh, row, now_us);
}

void
undo_connected(struct undo *u, struct shard *sh, uint32_t row, uint64_t epoch)
{
	undo_push(u, UNDO_CONNECTED, sh, row)->epoch = epoch;
}

void
undo_filters(struct undo *u, struct shard *sh, uint32_t row, uint64_t epoch, struct blob *old)
{
	struct undo_entry *e = undo_push(u, UNDO_FILTERS, sh, row);

	e->epoch = epoch;
	e->old = blob_ref(old);
}

void
undo_common(struct undo *u, struct shard *sh, struct str key, const struct str *old)
{
	struct undo_entry *e = undo_push(u, UNDO_COMMON, sh, 0);

	e->new = blob_new(key);
	e->old = old != NULL ? blob_new(*old) : &blob_none;
	u->bytes += e->old->n;
}

void
row_write(struct shard *sh, struct row *r, enum record_kind kind, const struct str *bytes,
    const struct hub_env *env)
{
	struct undo_entry *e = undo_push(env->undo, UNDO_RECORD, sh, row_number(sh, r));
	struct blob *b = bytes == NULL ? &blob_none : blob_new(*bytes);

	e->record = kind;
	e->old = blob_ref(r->records[kind]);
	e->new = blob_ref(b);
	if (e->old != NULL)
		env->undo->bytes += e->old->n;
	row_set_cached(sh, r, kind, b);
	row_changed(sh, r, RECORD_BIT(kind));
	if (sh->watch & RECORD_BIT(kind))
		configure_mark(sh, r);
	if (bytes == NULL)
		env->del(env->ctx, kind, row_key(r));
	else
		env->put(env->ctx, kind, row_key(r), *bytes);
}

/* The store may yet hold what failed: tell it what was there before. */
static void
repair(const struct undo_entry *e, const struct row *r, const struct undo_sink *sink)
{
	for (int k = 0; k < RECORD_KINDS; k++) {
		const struct blob *b = r->records[k];

		if (e->kind == UNDO_RECORD && (int)e->record != k)
			continue;
		if (b == NULL || b == &blob_none)
			sink->del(sink->ctx, (enum record_kind)k, row_key(r));
		else
			sink->put(sink->ctx, (enum record_kind)k, row_key(r), blob_str(b));
	}
}

static void
undo_record(struct undo_entry *e, struct row *r)
{
	struct identity id;

	row_set_cached(e->shard, r, e->record, blob_ref(e->old));
	row_changed(e->shard, r, RECORD_BIT(e->record));
	if (e->record == RECORD_IDENTITY && e->old != NULL &&
	    identity_decode(blob_str(e->old), &id))
		row_see_identity(e->shard, r, &id);
}

static void
undo_create(struct undo_entry *e, struct row *r)
{
	row_set_presence(e->shard, r, NULL);
	row_unlink(e->shard, e->row);
	for (int k = 0; k < RECORD_KINDS; k++)
		row_set_cached(e->shard, r, (enum record_kind)k, NULL);
	row_fini(r);
	if (e->since_us != ROW_GREW) {
		free_unshift(e->shard, e->row, e->since_us);
	} else {
		assert(e->row == e->shard->nrow - 1); /* newest first: what grew later has shrunk */
		e->shard->nrow--;
	}
}

/* The entry keeps a reference to each record. */
static void
undo_delete(struct undo_entry *e, struct row *r)
{
	struct shard *sh = e->shard;

	free_pull(sh, e->row);
	*r = *e->deleted;
	e->deleted->id = NULL;
	e->deleted->presence = NULL;
	for (int k = 0; k < RECORD_KINDS; k++)
		if (blob_ref(r->records[k]) != NULL)
			sh->cached_bytes += r->records[k]->n;
	row_link(sh, e->row);
}

static void
undo_row(struct undo_entry *e, const struct undo_sink *sink)
{
	struct row *r = &e->shard->rows[e->row];
	bool current = r->presence != NULL && r->presence->epoch == e->epoch;

	switch (e->kind) {
	case UNDO_RECORD:
		undo_record(e, r);
		repair(e, r, sink);
		break;
	case UNDO_CREATED: undo_create(e, r); break;
	case UNDO_DELETED:
		undo_delete(e, r);
		repair(e, r, sink);
		break;
	case UNDO_CONNECTED:
		if (current)
			row_set_presence(e->shard, r, NULL);
		break;
	case UNDO_FILTERS:
		if (current) {
			blob_unref(r->presence->filters);
			r->presence->filters = blob_ref(e->old);
			r->presence->listens = filters_mask(e->old);
		}
		break;
	case UNDO_COMMON:
	case UNDO_DONE: break;
	}
}

static void
undo_common_one(struct undo_entry *e, const struct undo_sink *sink)
{
	struct str key = blob_str(e->new), old = blob_str(e->old);
	enum err err = shard_common(e->shard, key, e->old == &blob_none ? NULL : &old);

	assert(err == ERR_OK);
	(void)err;
	if (e->old == &blob_none)
		sink->del(sink->ctx, RECORD_COMMON, key);
	else
		sink->put(sink->ctx, RECORD_COMMON, key, old);
}

static void
undo_one(struct undo_entry *e, const struct undo_sink *sink)
{
	if (e->kind == UNDO_COMMON)
		undo_common_one(e, sink);
	else if (e->kind != UNDO_DONE)
		undo_row(e, sink);
	e->kind = UNDO_DONE;
}

void
undo_rollback(struct undo *u, const struct undo_sink *sink)
{
	for (uint32_t i = u->n; i > 0; i--)
		undo_one(&u->entries[i - 1], sink);
}

/* ---- the cache ---- */

uint32_t
shard_rows(const struct shard *sh)
{
	return sh->nrow;
}

uint32_t
shard_identities(const struct shard *sh)
{
	return sh->nidentity;
}

const struct shard_counts *
shard_counts(const struct shard *sh)
{
	return &sh->counts;
}

uint64_t
shard_cached_bytes(const struct shard *sh)
{
	return sh->cached_bytes;
}

bool
shard_row(const struct shard *sh, uint32_t row, struct str *device, struct str *module)
{
	if (row >= sh->nrow || sh->rows[row].id == NULL)
		return false;
	*device = row_device(&sh->rows[row]);
	*module = row_module(&sh->rows[row]);
	return true;
}

unsigned
shard_row_missing(struct shard *sh, uint32_t row, unsigned wanted, struct buf *key)
{
	struct row *r = row_at(sh, row);
	unsigned missing = 0;

	for (unsigned k = 0; k < RECORD_KINDS; k++)
		if ((wanted & RECORD_BIT(k)) && r->records[k] == NULL)
			missing |= RECORD_BIT(k);
	if (missing != 0)
		buf_str(key, row_key(r));
	return missing;
}

static void
row_evict(struct shard *sh, struct row *r)
{
	for (int k = 0; k < RECORD_KINDS; k++) {
		struct blob *b = r->records[k];
		if (b != NULL && b != &blob_none && b->refs == 1)
			row_set_cached(sh, r, (enum record_kind)k, NULL);
	}
	r->touched = false;
}

/* Two rounds at most: the first may only clear marks. */
void
shard_evict(struct shard *sh, uint64_t bytes)
{
	uint64_t steps = (uint64_t)sh->nrow * 2;

	for (; steps > 0 && sh->cached_bytes > bytes; steps--) {
		struct row *r;

		if (sh->hand >= sh->nrow)
			sh->hand = 0;
		r = &sh->rows[sh->hand++];
		if (r->id == NULL)
			continue;
		if (r->touched)
			r->touched = false;
		else
			row_evict(sh, r);
	}
}
