/*
 * Undo leaves no trace. With nothing under way all that shards hold is written down: rows by number with their records and
 * modules, what rows were freed and when, counts, and the records of features. Then everybody writes, nothing of that
 * comes to the disk, and every batch on its way fails. When the workers have heard of it, what shards hold must be what it
 * was, to the last byte; and when each has brought its repair to the disk, so must the disk, though what had failed was found there
 * or not. Of the log and of links nothing is asked: what has ended has.
 */
#include "job/parts.h"
#include "shard/feature.h"
#include "shard/row.h"
#include "requests.h"
#include "world.h"

#include <stdlib.h>

/* ---- what shards hold ---- */

static struct str
record_of(const struct world *w, const struct row *r, int kind)
{
	const struct blob *b = r->records[kind];
	struct str stored;

	if (b != NULL)
		return b == &blob_none ? STR_NONE : blob_str(b);
	return sim_store_peek(w->store, contact_table((enum record_kind)kind), row_key(r), &stored)
	    ? stored
	    : STR_NONE;
}

/* Those of a device, in whatever order: that is nobody's to see. */
static uint64_t
modules_of(const struct shard *sh, const struct row *r)
{
	uint64_t all = 0;

	for (uint32_t m = TABLE_NONE;
	     r->module_n == 0 && (m = shard_module_row(sh, r->number, m)) != TABLE_NONE;)
		all += (m + 1) * UINT64_C(0x9E3779B97F4A7C15);
	return all;
}

static void
put_row(const struct world *w, const struct shard *sh, const struct row *r, struct buf *out)
{
	buf_printf(out, "shard %u row %u " STR_FMT "/" STR_FMT "%s%s modules %llx", sh->index,
	    r->number, STR_ARG(row_device(r)), STR_ARG(row_module(r)),
	    r->disabled ? " disabled" : "", r->edge ? " edge" : "",
	    (unsigned long long)modules_of(sh, r));
	for (int k = 0; k < RECORD_KINDS; k++) {
		struct str record = record_of(w, r, k);

		buf_printf(out, " %zu:%llx", record.n,
		    record.n > 0 ? (unsigned long long)hash_stable(record) : 0);
	}
	buf_putc(out, '\n');
}

static void
put_shard(const struct world *w, struct shard *sh, struct buf *out)
{
	const struct shard_counts *n = shard_counts(sh);

	buf_printf(out, "shard %u: %u identities, %u devices, %u disabled\n", sh->index,
	    shard_identities(sh), n->devices, n->disabled);
	for (uint32_t row = 0; row < sh->nrow; row++)
		if (row_at(sh, row)->id != NULL)
			put_row(w, sh, row_at(sh, row), out);
}

/* Its number stands behind the name; of what is the whole hub's, shard 0 has it. */
static uint32_t
shard_of_key(struct str key)
{
	const char *number = memchr(key.p, '/', key.n);
	const unsigned char *p = (const unsigned char *)number + 1;

	if (str_starts(key, STR(JOB_KEY)) || str_starts(key, STR("configuration/")))
		return 0;
	if (str_starts(key, STR("partition/")))
		return p[0];
	return (uint32_t)p[0] << 8 | p[1];
}

/* A feature's record, if it is one that is kept in memory. */
static void
put_common(const struct world *w, struct str key, struct buf *out)
{
	const struct shard *sh = contact_shard(w, shard_of_key(key));
	struct buf value = { 0 };

	for (uint32_t i = 0; i < sh->nfeature; i++) {
		const struct feature *f = sh->features[i].feature;

		for (const char *const *p = f->key_prefixes; *p != NULL; p++) {
			value.n = 0;
			if (!str_starts(key, str_of(*p)) || !f->value(sh, key, &value))
				continue;
			buf_printf(out, "shard %u has %s %llx: %zu:%llx\n", sh->index, *p,
			    (unsigned long long)hash_stable(key), value.n,
			    (unsigned long long)hash_stable(buf_view(&value)));
		}
	}
	buf_fini(&value);
}

/* keys: of features' records on the disk at the beginning. */
static void
put_all(const struct world *w, struct str keys, struct buf *out)
{
	struct rd rd = rd_of(keys);

	for (uint32_t s = 0; s < SHARDS; s++)
		put_shard(w, contact_shard(w, s), out);
	while (rd.p < rd.end)
		put_common(w, rd_lstr(&rd), out);
}

static bool
has_key(struct str keys, struct str key)
{
	struct rd rd = rd_of(keys);

	while (rd.p < rd.end)
		if (str_eq(rd_lstr(&rd), key))
			return true;
	return false;
}

/* Keys that were written since: what was not there must not be there now. */
static void
check_new(const struct world *w, struct str keys, struct str noted)
{
	struct rd rd = rd_of(noted);
	struct buf there = { 0 };

	while (rd.p < rd.end) {
		struct str key = rd_lstr(&rd);

		put_common(w, key, &there);
		if (there.n > 0 && !has_key(keys, key))
			world_fail(
			    "undo leaves a record in memory: " STR_FMT, STR_ARG(buf_view(&there)));
		there.n = 0;
	}
	buf_fini(&there);
}

/* The number of the rows that were free, of each shard, and since when. */
struct frees {
	struct free_row *of[SHARDS];
	uint32_t n[SHARDS];
};

static void
frees_take(const struct world *w, struct frees *f)
{
	for (uint32_t s = 0; s < SHARDS; s++) {
		const struct shard *sh = contact_shard(w, s);

		f->n[s] = sh->nfree;
		f->of[s] = xcalloc(f->n[s] + 1, sizeof(struct free_row));
		if (f->n[s] > 0)
			memcpy(
			    f->of[s], sh->free + sh->free_from, f->n[s] * sizeof(struct free_row));
	}
}

static void
frees_check(const struct world *w, struct frees *f)
{
	for (uint32_t s = 0; s < SHARDS; s++) {
		const struct shard *sh = contact_shard(w, s);

		for (uint32_t i = 0; i < f->n[s]; i++) {
			uint32_t k = sh->free_from, end = k + sh->nfree;

			while (k < end && sh->free[k].row != f->of[s][i].row)
				k++;
			if (k == end || sh->free[k].since_us != f->of[s][i].since_us)
				world_fail("shard %u: row %u, which was free, is %s", s,
				    f->of[s][i].row, k == end ? "not" : "free since another time");
		}
		free(f->of[s]);
	}
}

/* ---- before and after ---- */

/* The first line that is another one. */
static void
same(const struct buf *before, const struct buf *after, const char *when)
{
	struct str a = buf_view(before), b = buf_view(after), line_a, line_b;

	if (str_eq(a, b))
		return;
	do {
		str_cut(a, '\n', &line_a, &a);
		str_cut(b, '\n', &line_b, &b);
	} while (str_eq(line_a, line_b));
	world_fail(
	    "%s\nbefore: " STR_FMT "\nafter:  " STR_FMT, when, STR_ARG(line_a), STR_ARG(line_b));
}

/* All tables but the log. */
static void
put_disk(const struct world *w, struct buf *out)
{
	for (int t = 0; t < STORE_LOG; t++) {
		struct store_cursor *c;
		struct str key, value;

		if (store_cursor_open(w->store, (enum store_table)t, STR_NONE, STR_NONE, STORE_SCAN,
		        &c) != ERR_OK)
			world_fail("no cursor");
		while (store_next(c, &key, &value) == ERR_OK)
			buf_printf(out, "table %d " STR_FMT " %llx: %zu:%llx\n", t,
			    (int)(key.n > 2 ? key.n - 2 : 0), key.p + 2,
			    (unsigned long long)hash_stable(key), value.n,
			    (unsigned long long)hash_stable(value));
		store_cursor_close(c);
	}
}

static void
hub_keys(const struct world *w, struct buf *out)
{
	struct store_cursor *c;
	struct str key, value;

	if (store_cursor_open(w->store, STORE_HUB, STR_NONE, STR_NONE, STORE_SCAN, &c) != ERR_OK)
		world_fail("no cursor");
	while (store_next(c, &key, &value) == ERR_OK)
		if (!str_starts(key, STR(DONE_KEY))) /* those are on the disk only */
			buf_lstr(out, key);
	store_cursor_close(c);
}

/* ---- the step ---- */

static void
write_much(struct world *w)
{
	static void (*const some[])(struct world * w) = { write_identity, write_delete, write_keys,
		write_twin, request_send, request_send_bulk, write_import, write_report, write_read,
		write_connect, plan_job, plan_job_cancel, plan_configuration,
		plan_configuration_delete, plan_rollout, plan_content, question_ask };

	for (uint32_t n = 5 + rnd_below(&w->rnd, 30); n > 0; n--) {
		some[rnd_below(&w->rnd, sizeof(some) / sizeof(some[0]))](w);
		if (rnd_below(&w->rnd, 3) == 0)
			world_turn(w, rnd_below(&w->rnd, w->o.nworker));
	}
	for (unsigned i = 0; i < w->o.nworker; i++)
		world_turn(w, i);
}

/* Each worker brings its repair to the disk, and does nothing else yet. */
static void
repair_all(struct world *w)
{
	sim_store_set(w->store, SIM_READY);
	for (unsigned i = 0; i < w->o.nworker; i++) {
		if (!contact_repairs(w, i))
			continue;
		world_turn(w, i);
		world_commit(w, i);
		seen.repaired++;
	}
}

/* ---- which keys are written ---- */

static struct buf *noting; /* of STORE_HUB, each with its length in front; NULL: nobody asks */

static void
note_key(enum store_table t, struct str key)
{
	if (noting != NULL && t == STORE_HUB)
		buf_lstr(noting, key);
}

WRAP(void, store_batch_put, struct store_batch *b, uint32_t shard, enum store_table t,
    struct str key, struct str value)
{
	note_key(t, key);
	__real_store_batch_put(b, shard, t, key, value);
}

WRAP(void, store_batch_delete, struct store_batch *b, uint32_t shard, enum store_table t,
    struct str key)
{
	note_key(t, key);
	__real_store_batch_delete(b, shard, t, key);
}

void
step_undone(struct world *w)
{
	struct buf keys = { 0 }, noted = { 0 }, before = { 0 }, after = { 0 }, disk = { 0 },
	           repaired = { 0 };
	struct frees frees;

	world_rest(w);
	if (!world_quiet(w, 30))
		return;
	hub_keys(w, &keys);
	put_disk(w, &disk);
	frees_take(w, &frees);
	put_all(w, buf_view(&keys), &before);
	noting = &noted;
	write_much(w);
	noting = NULL;
	world_commit_fails(w);
	for (unsigned i = 0; i < w->o.nworker; i++)
		world_turn(w, i);
	put_all(w, buf_view(&keys), &after);
	same(&before, &after, "undo leaves a trace in memory");
	check_new(w, buf_view(&keys), buf_view(&noted));
	frees_check(w, &frees);
	repair_all(w);
	put_disk(w, &repaired);
	same(&disk, &repaired, "a repair leaves a trace on the disk");
	seen.undone++;
	seen.noted += noted.n > 0;
	buf_fini(&keys);
	buf_fini(&noted);
	buf_fini(&before);
	buf_fini(&after);
	buf_fini(&disk);
	buf_fini(&repaired);
}
