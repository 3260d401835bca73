/* What of a shard is in memory, how much it is, and what goes first when it is too much. */
#include "shard/record.h"

uint32_t
shard_index(const struct shard *sh)
{
	return sh->index;
}

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
shard_messages(const struct shard *sh)
{
	return sh->nmessage;
}

uint64_t
shard_cached_bytes(const struct shard *sh)
{
	return sh->cached_bytes;
}

uint32_t
shard_records_missing(const struct shard *sh, enum record_kind kind)
{
	return sh->nidentity - sh->cached[kind];
}

bool
shard_row(const struct shard *sh, uint32_t row, struct str *device, struct str *module)
{
	if (row >= sh->nrow || row_at(sh, row)->id == NULL)
		return false;
	*device = row_device(row_at(sh, row));
	*module = row_module(row_at(sh, row));
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
	if (missing != 0 && key != NULL)
		buf_str(key, row_key(r));
	return missing;
}

static bool
record_may_lack(const struct row *r, enum record_kind kind)
{
	return kind == RECORD_SESSION || (kind == RECORD_QUEUE && r->nmessage == 0);
}

enum err
hub_fill(struct shard *sh, struct str device, struct str module, enum record_kind kind,
    const struct str *value)
{
	struct row *r = row_find(sh, device, module);

	assert(r != NULL && r->records[kind] == NULL);
	if (value == NULL ? !record_may_lack(r, kind) : !record_valid(kind, *value))
		return ERR_CORRUPT;
	row_set_cached(sh, r, kind, value == NULL ? &blob_none : blob_new(*value));
	if (kind == RECORD_REPORTED && r->activity_us == 0)
		r->activity_us = reported_activity(*value);
	return ERR_OK;
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
		r = row_at(sh, sh->hand++);
		if (r->id == NULL)
			continue;
		if (r->touched)
			r->touched = false;
		else
			row_evict(sh, r);
	}
}
