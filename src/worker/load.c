/* Records from the store into memory: those that an operation or a tour needs, and with them what a tour needs next. */
#include "log/log.h"
#include "worker/priv.h"

#define AHEAD_MAX 256u /* records that one miss of a tour brings */
/* records in memory already, one after the other: the rest was brought before */
#define AHEAD_SEEN 8u

static void
names_of(struct str key, struct str *device, struct str *module)
{
	str_cut(str_sub(key, 2), '\0', device, module);
}

enum err
worker_load(struct worker *w, struct shard *sh, struct str key, unsigned missing, struct fault *f)
{
	struct str device, module;
	enum err e = ERR_OK;

	names_of(key, &device, &module);
	for (int k = 0; k < RECORD_KINDS && e == ERR_OK; k++) {
		struct str value;

		if (!(missing & RECORD_BIT(k)))
			continue;
		w->value.n = 0;
		e = store_get(w->fleet->o.store, record_tables[k], key, &w->value);
		value = buf_view(&w->value);
		if (e == ERR_OK || e == ERR_NOT_FOUND)
			e = hub_fill(
			    sh, device, module, (enum record_kind)k, e == ERR_OK ? &value : NULL);
	}
	if (e == ERR_CORRUPT) {
		log_reason(&(struct log_story){ .event = LOG_RECORD_DAMAGED,
		    .reason = REASON_FAILED,
		    .device = device,
		    .module = module });
		fault_set(f, F_StoredDamaged, "a stored record of " STR_FMT " is damaged",
		    STR_ARG(device));
	} else if (e != ERR_OK) {
		fault_set(f, F_ServiceUnavailable,
		    "the store cannot be read at the moment, try again later");
	}
	return e;
}

/* ---- ahead ---- */

/* Take one record in, if its row is without it. What memory holds is newer than the store, or the same. */
static bool
take_record(
    struct worker *w, struct shard *sh, enum record_kind kind, struct str key, struct str value)
{
	struct str device, module;
	uint32_t row;

	names_of(key, &device, &module);
	row = shard_find(sh, device, module);
	w->value.n = 0;
	if (row == TABLE_NONE || shard_row_missing(sh, row, RECORD_BIT(kind), &w->value) == 0)
		return false;
	(void)hub_fill(
	    sh, device, module, kind, &value); /* a damaged one is named when it is needed */
	return true;
}

static void
load_ahead(struct worker *w, struct shard *sh, struct str key, enum record_kind kind)
{
	char end[2] = { key.p[0], key.p[1] };
	struct store_cursor *c;
	struct str at, value;
	unsigned seen = 0;

	if ((unsigned char)++end[1] == 0)
		end[0]++;
	if (store_cursor_open(w->fleet->o.store, record_tables[kind], key, (struct str){ end, 2 },
	        STORE_SCAN, &c) != ERR_OK)
		return; /* the store says why when it is asked for the record itself */
	for (unsigned i = 0; i < AHEAD_MAX && seen < AHEAD_SEEN; i++) {
		if (store_next(c, &at, &value) != ERR_OK)
			break;
		seen = take_record(w, sh, kind, at, value) ? 0 : seen + 1;
	}
	store_cursor_close(c);
}

enum err
worker_load_row(struct worker *w, struct shard *sh, uint32_t row, unsigned records, struct fault *f)
{
	uint64_t share = w->fleet->o.cache_bytes / SHARDS;
	unsigned missing;

	w->key.n = 0;
	missing = shard_row_missing(sh, row, records, &w->key);
	if (missing == 0)
		return ERR_OK;
	for (int k = 0; k < RECORD_KINDS; k++)
		if ((missing & RECORD_BIT(k)) && shard_cached_bytes(sh) < share - share / 8)
			load_ahead(w, sh, buf_view(&w->key), (enum record_kind)k);
	w->key.n = 0;
	missing = shard_row_missing(sh, row, records, &w->key);
	return missing == 0 ? ERR_OK : worker_load(w, sh, buf_view(&w->key), missing, f);
}
