/*
 * What a commit that fails takes back. An entry for each change in memory, newest first at a rollback; documents are
 * immutable, so an entry keeps the old one and the row gets it again.
 */
#include "shard/feature.h"
#include "shard/record.h"

#include <stdlib.h>

enum undo_kind {
	UNDO_RECORD,
	UNDO_CREATED,
	UNDO_DELETED,
	UNDO_CONNECTED,
	UNDO_CONNECTION,
	UNDO_FILTERS,
	UNDO_COMMON,
	UNDO_LOGGED,
	UNDO_DONE /* rolled back: it only keeps documents in memory */
};

struct undo_entry {
	enum undo_kind kind;
	enum record_kind record;
	struct shard *shard;
	uint32_t row;
	uint64_t session_epoch;
	int64_t since_us;       /* UNDO_CREATED: how long the row had been free */
	struct log_end log_end; /* UNDO_LOGGED: before it */
	struct untold untold;   /* UNDO_CONNECTION: before it */
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
row_create(
    struct undo *u, struct shard *sh, struct str device, struct str module, int64_t elapsed_us)
{
	int64_t since_us;
	struct row *r = row_take(sh, device, module, elapsed_us, &since_us);

	undo_push(u, UNDO_CREATED, sh, row_number(sh, r))->since_us = since_us;
	if (sh->watch & WATCH_COMES)
		features_changed(sh, r, WATCH_COMES);
	return r;
}

void
undo_deleted(struct undo *u, struct shard *sh, uint32_t row, int64_t elapsed_us)
{
	struct undo_entry *e = undo_push(u, UNDO_DELETED, sh, row);

	e->deleted = xmalloc(sizeof(*e->deleted));
	row_take_out(sh, row, elapsed_us, e->deleted);
	for (int k = 0; k < RECORD_KINDS; k++)
		if (e->deleted->records[k] != NULL)
			u->bytes += e->deleted->records[k]->n;
}

void
undo_connected(struct undo *u, struct shard *sh, uint32_t row, uint64_t session_epoch)
{
	undo_push(u, UNDO_CONNECTED, sh, row)->session_epoch = session_epoch;
}

void
undo_connection(struct undo *u, struct shard *sh, uint32_t row, const struct untold *was)
{
	undo_push(u, UNDO_CONNECTION, sh, row)->untold = *was;
}

void
undo_filters(
    struct undo *u, struct shard *sh, uint32_t row, uint64_t session_epoch, struct blob *old)
{
	struct undo_entry *e = undo_push(u, UNDO_FILTERS, sh, row);

	e->session_epoch = session_epoch;
	e->old = blob_ref(old);
}

void
undo_logged(struct undo *u, struct shard *sh, enum record_kind family)
{
	struct undo_entry *e = undo_push(u, UNDO_LOGGED, sh, 0);

	e->record = family;
	e->log_end = sh->log.end;
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
	bool told = bytes != NULL && kind <= RECORD_REPORTED;
	uint64_t position =
	    told ? log_record_written(sh, r, kind, r->records[kind], *bytes, env) : 0;
	struct undo_entry *e = undo_push(env->undo, UNDO_RECORD, sh, row_number(sh, r));
	struct blob *b = bytes == NULL ? &blob_none
	    : told                     ? blob_new_headed(*bytes, position)
	                               : blob_new(*bytes);

	e->record = kind;
	e->old = blob_ref(r->records[kind]);
	e->new = blob_ref(b);
	if (e->old != NULL)
		env->undo->bytes += e->old->n;
	if (sh->watch & RECORD_BIT(kind))
		features_change(sh, r, RECORD_BIT(kind));
	row_set_cached(sh, r, kind, b);
	columns_note_row(sh, r, RECORD_BIT(kind));
	if (sh->watch & RECORD_BIT(kind))
		features_changed(sh, r, RECORD_BIT(kind));
	if (bytes == NULL)
		env->del(env->ctx, sh->index, kind, row_key(r));
	else
		env->put(env->ctx, sh->index, kind, row_key(r), blob_str(b));
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
			sink->del(sink->ctx, e->shard->index, (enum record_kind)k, row_key(r));
		else
			sink->put(sink->ctx, e->shard->index, (enum record_kind)k, row_key(r),
			    blob_str(b));
	}
}

static void
undo_record(struct undo_entry *e, struct row *r)
{
	struct identity id;

	row_set_cached(e->shard, r, e->record, blob_ref(e->old));
	columns_note_row(e->shard, r, RECORD_BIT(e->record));
	if (e->record == RECORD_IDENTITY && e->old != NULL &&
	    identity_decode(blob_str(e->old), &id))
		row_see_identity(e->shard, r, &id);
}

static void
undo_row(struct undo_entry *e, const struct undo_sink *sink)
{
	struct row *r = row_at(e->shard, e->row);
	bool current = r->presence != NULL && r->presence->session_epoch == e->session_epoch;

	switch (e->kind) {
	case UNDO_RECORD:
		undo_record(e, r);
		repair(e, r, sink);
		break;
	case UNDO_CREATED: row_untake(e->shard, e->row, e->since_us); break;
	case UNDO_DELETED:
		row_put_back(e->shard, e->row, e->deleted);
		connection_back(e->shard, r);
		repair(e, r, sink);
		break;
	case UNDO_CONNECTED:
		if (current)
			row_set_presence(e->shard, r, NULL);
		connection_unbegun(e->shard, r);
		break;
	case UNDO_CONNECTION: connection_untold(e->shard, r, &e->untold); break;
	case UNDO_FILTERS:
		if (current) {
			blob_unref(r->presence->filters);
			r->presence->filters = blob_ref(e->old);
			r->presence->listens = filters_mask(e->old);
		}
		break;
	case UNDO_COMMON:
	case UNDO_LOGGED:
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
		sink->del(sink->ctx, e->shard->index, RECORD_COMMON, key);
	else
		sink->put(sink->ctx, e->shard->index, RECORD_COMMON, key, old);
}

static void
undo_one(struct undo_entry *e, const struct undo_sink *sink)
{
	if (e->kind == UNDO_COMMON)
		undo_common_one(e, sink);
	else if (e->kind == UNDO_LOGGED)
		log_take_back(e->shard, e->record, &e->log_end, sink);
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
