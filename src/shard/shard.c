/*
 * A shard's rows: who is where, which records are in memory.
 *
 * A row number is an identity's durable place: it never moves while the identity lives, and rests ROW_GRACE_US after its
 * end. A row holds its records as blobs, immutable: a change puts a new blob in the old one's place, so whoever needs the
 * old one (an undo entry) keeps a reference.
 */
#include "shard/feature.h"
#include "shard/record.h"

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
blob_new_headed(struct str bytes, uint64_t position)
{
	struct blob *b = xmalloc(sizeof(*b) + bytes.n + RECORD_HEAD);

	b->refs = 1;
	b->n = (uint32_t)(bytes.n + RECORD_HEAD);
	memcpy(b->bytes, bytes.p, bytes.n);
	record_put_head(b->bytes, bytes.n, position);
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
calls_free(struct call *first)
{
	struct call *next;

	for (; first != NULL; first = next) {
		next = first->next;
		free(first);
	}
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
shard_new(uint32_t index, const struct feature *const *features)
{
	struct shard *sh = xcalloc(1, sizeof(*sh));

	sh->index = index;
	sh->number_next = 1;
	sh->log.end.next = 1;
	features_init(sh, features);
	return sh;
}

void
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
		row_fini(row_at(sh, i));
	for (uint32_t i = 0; i < sh->nchunk; i++)
		free(sh->chunks[i]);
	columns_free(sh->columns);
	free(sh->changed.bits);
	free(sh->changed.rows);
	calls_free(sh->waiting);
	free(sh->chunks);
	free(sh->free);
	table_fini(&sh->ids);
	features_fini(sh);
	log_fini(sh);
	connections_fini(sh);
	locks_fini(&sh->locks);
	free(sh);
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

uint64_t
shard_row_hash(const struct shard *sh, uint32_t row)
{
	return hash_stable(row_key(row_at(sh, row)));
}

struct id {
	struct str device, module;
};

static bool
row_is(const void *ctx, uint32_t row, const void *key)
{
	const struct shard *sh = ctx;
	const struct id *id = key;

	return str_eq(row_device(row_at(sh, row)), id->device) &&
	    str_eq(row_module(row_at(sh, row)), id->module);
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

	if (n >= sh->nrow || row_at(sh, n)->id == NULL || !row_is(sh, n, &id))
		n = shard_find(sh, device, module);
	if (n == TABLE_NONE)
		return NULL;
	sh->last = n;
	return row_at(sh, n);
}

/* ---- modules ---- */

static struct row *
chained(struct shard *sh, uint32_t chain)
{
	return chain == 0 ? NULL : row_at(sh, chain - 1);
}

struct row *
module_first(struct shard *sh, const struct row *device)
{
	return device->module_n == 0 ? chained(sh, device->chain) : NULL;
}

struct row *
module_next(struct shard *sh, const struct row *module)
{
	return chained(sh, module->chain);
}

uint32_t
shard_module_row(const struct shard *sh, uint32_t device, uint32_t after)
{
	const struct row *r = row_at(sh, after == TABLE_NONE ? device : after);

	return r->chain == 0 ? TABLE_NONE : r->chain - 1;
}

/* ---- room ---- */

/* Room for row number n; new rows are free. */
static void
rows_reserve(struct shard *sh, uint32_t n)
{
	uint32_t chunks = n / ROWS_CHUNK + 1;

	if (chunks > sh->capchunk) {
		uint32_t cap = sh->capchunk + sh->capchunk / 2;

		sh->capchunk = cap > chunks ? cap : chunks;
		sh->chunks = xrealloc(sh->chunks, sh->capchunk * sizeof(*sh->chunks));
	}
	while (sh->nchunk < chunks)
		sh->chunks[sh->nchunk++] = xcalloc(ROWS_CHUNK, sizeof(struct row));
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
	struct row *r = row_at(sh, n);

	table_add(&sh->ids, id_hash(row_device(r), row_module(r)), n);
	columns_note_row(sh, r, CHANGED_ALL);
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
	struct row *r = row_at(sh, n);

	if (r->module_n == 0) {
		assert(r->chain == 0);
		sh->counts.devices--;
		sh->counts.disabled -= r->disabled;
	} else {
		uint32_t *at = &owner_of(sh, r)->chain;

		while (*at != n + 1)
			at = &row_at(sh, *at - 1)->chain;
		*at = r->chain;
		r->chain = 0;
	}
	table_remove(&sh->ids, id_hash(row_device(r), row_module(r)), n);
	columns_note_row(sh, r, CHANGED_ALL);
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
	if (sh->watch & WATCH_PRESENCE)
		features_change(sh, r, WATCH_PRESENCE);
	if (r->module_n == 0)
		sh->counts.connected += (uint32_t)(p != NULL) - (uint32_t)(r->presence != NULL);
	if (r->presence != NULL)
		sh->ncall -= r->presence->ncall;
	presence_free(r->presence);
	r->presence = p;
	columns_note_row(sh, r, CHANGED_PRESENCE);
	if (sh->watch & WATCH_PRESENCE)
		features_changed(sh, r, WATCH_PRESENCE);
}

static struct row *
row_name(struct shard *sh, uint32_t n, struct str device, struct str module)
{
	struct row *r = row_at(sh, n);
	struct buf key = { 0 };

	assert(r->id == NULL && device.n <= ID_MAX && module.n <= ID_MAX);
	buf_reserve(&key, KEY_SHARD + device.n + module.n + 2);
	hub_key(&key, sh->index, device, module);
	buf_putc(&key, '\0');
	r->id = key.p; /* the row's from here on */
	r->number = n;
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
free_push(struct shard *sh, uint32_t row, int64_t elapsed_us)
{
	free_reserve(sh);
	sh->free[sh->free_from + sh->nfree++] = (struct free_row){ row, elapsed_us };
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

/* Remembered when the record goes from memory. */
static void
row_see_version(struct row *r, enum record_kind kind, struct str record)
{
	if (kind == RECORD_WANTED)
		r->counter = wanted_counter(record);
	else if (kind == RECORD_REPORTED)
		r->reported_version = reported_version(record);
}

/* How many messages wait for it now. */
static void
row_see_messages(struct shard *sh, struct row *r, unsigned n)
{
	sh->nmessage += n - (uint64_t)r->nmessage;
	r->nmessage = (uint8_t)n;
}

unsigned
row_version_needs(const struct row *r)
{
	return (r->counter == 0 ? RECORD_BIT(RECORD_WANTED) : 0) |
	    (r->reported_version == 0 ? RECORD_BIT(RECORD_REPORTED) : 0);
}

void
row_set_cached(struct shard *sh, struct row *r, enum record_kind kind, struct blob *b)
{
	struct blob *old = r->records[kind];

	if (b != NULL && b != &blob_none)
		row_see_version(r, kind, blob_str(b));
	if (b != NULL && kind == RECORD_QUEUE)
		row_see_messages(sh, r, b == &blob_none ? 0 : queue_count(blob_str(b)));

	if (old != NULL)
		sh->cached_bytes -= old->n;
	if (b != NULL)
		sh->cached_bytes += b->n;
	sh->cached[kind] += (uint32_t)(b != NULL) - (uint32_t)(old != NULL);
	r->records[kind] = b;
	r->touched = true;
	blob_unref(old);
}

/* ---- rows that come and go ---- */

#define ROW_GREW (-1) /* since_us of a row that was not a free one before */

struct row *
row_take(
    struct shard *sh, struct str device, struct str module, int64_t elapsed_us, int64_t *since_us)
{
	uint32_t n = sh->nrow;

	*since_us = ROW_GREW;
	if (sh->nfree > 0 && elapsed_us - sh->free[sh->free_from].since_us >= ROW_GRACE_US) {
		n = sh->free[sh->free_from].row;
		*since_us = sh->free[sh->free_from].since_us;
		sh->free_from++;
		sh->nfree--;
	}
	rows_reserve(sh, n);
	return row_name(sh, n, device, module);
}

void
row_untake(struct shard *sh, uint32_t row, int64_t since_us)
{
	struct row *r = row_at(sh, row);

	row_set_presence(sh, r, NULL);
	row_unlink(sh, row);
	for (int k = 0; k < RECORD_KINDS; k++)
		row_set_cached(sh, r, (enum record_kind)k, NULL);
	row_see_messages(sh, r, 0);
	row_fini(r);
	if (since_us != ROW_GREW) {
		free_unshift(sh, row, since_us);
	} else {
		assert(row == sh->nrow - 1); /* newest first: what grew later has shrunk */
		sh->nrow--;
	}
}

void
row_take_out(struct shard *sh, uint32_t row, int64_t elapsed_us, struct row *out)
{
	struct row *r = row_at(sh, row);

	row_unlink(sh, row);
	for (int k = 0; k < RECORD_KINDS; k++) {
		if (r->records[k] == NULL)
			continue;
		sh->cached_bytes -= r->records[k]->n;
		sh->cached[k]--;
	}
	sh->nmessage -= r->nmessage;
	*out = *r;
	*r = (struct row){ 0 };
	free_push(sh, row, elapsed_us);
}

void
row_put_back(struct shard *sh, uint32_t row, struct row *from)
{
	struct row *r = row_at(sh, row);

	free_pull(sh, row);
	*r = *from;
	sh->nmessage += r->nmessage;
	from->id = NULL;
	from->presence = NULL;
	for (int k = 0; k < RECORD_KINDS; k++) {
		if (blob_ref(r->records[k]) == NULL)
			continue;
		sh->cached_bytes += r->records[k]->n;
		sh->cached[k]++;
	}
	row_link(sh, row);
}

/* ---- start ---- */

enum err
shard_load(struct shard *sh, struct str key, struct str record)
{
	struct identity id;
	struct str device, module;

	if (key.n < 4 || !record_valid(RECORD_IDENTITY, record) || !identity_decode(record, &id))
		return ERR_CORRUPT;
	if (!str_cut(str_sub(key, 2), '\0', &device, &module) || !id_valid(device) ||
	    (module.n && !id_valid(module)))
		return ERR_CORRUPT;
	if (id.row > UINT32_C(1) << 28 || (id.row < sh->nrow && row_at(sh, id.row)->id != NULL))
		return ERR_CORRUPT;
	if (module.n && shard_find(sh, device, STR_NONE) == TABLE_NONE)
		return ERR_CORRUPT; /* keys are in order: the device's would have come before */
	rows_reserve(sh, id.row);
	row_see_identity(sh, row_name(sh, id.row, device, module), &id);
	if (id.generation > sh->generation)
		sh->generation = id.generation;
	return ERR_OK;
}

enum err
shard_load_queue(struct shard *sh, struct str key, struct str record)
{
	struct str device, module;
	struct row *r;
	unsigned n = queue_count(record);

	if (key.n < 4 || !str_cut(str_sub(key, 2), '\0', &device, &module) || module.n != 0 ||
	    n == 0 || (r = row_find(sh, device, STR_NONE)) == NULL)
		return ERR_CORRUPT;
	row_see_messages(sh, r, n);
	return ERR_OK;
}

/* Nobody knows when the free rows became so: they may be named by what was handed out just before the stop. */
int64_t
shard_loaded(struct shard *sh, const struct shard_begin *b)
{
	int64_t from_us = epoch_begin(sh, b);

	for (uint32_t i = 0; i < sh->nrow; i++)
		if (row_at(sh, i)->id == NULL)
			free_push(sh, i, b->elapsed_us);
	connections_loaded(sh, b);
	if (b->position >= sh->log.end.next)
		sh->log.end.next = b->position + 1;
	return from_us;
}
