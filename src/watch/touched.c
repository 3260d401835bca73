/* See touched.h. */
#include "watch/touched.h"

#include "shard/feature.h"

#include <stdlib.h>

/* What watches can ask for; other records of a row are nobody's to see. */
#define SEEN_KINDS (RECORD_REPORTED + 1)

struct touched {
	uint32_t row;
	bool comes, goes;
	unsigned records; /* RECORD_BITs of those that were written */
	struct row was;   /* its records are held, as far as they were in memory */
};

struct noted {
	struct touched *v;
	uint32_t n, cap;
};

static struct presence somebody; /* there is a session: that is all that is seen of one */

static struct noted *
noted_of(const struct shard *sh)
{
	return shard_state(sh, &watch_feature);
}

static void
hold_records(struct row *was, const struct row *r)
{
	for (int k = 0; k < SEEN_KINDS; k++)
		if (was->records[k] == NULL)
			was->records[k] = blob_ref(r->records[k]);
}

static void
touched_fini(struct touched *t)
{
	for (int k = 0; k < SEEN_KINDS; k++)
		blob_unref(t->was.records[k]);
}

void
watch_forget(struct shard *sh)
{
	struct noted *all = noted_of(sh);

	while (all->n > 0)
		touched_fini(&all->v[--all->n]);
}

static void
noted_fini(void *state)
{
	struct noted *all = state;

	while (all->n > 0)
		touched_fini(&all->v[--all->n]);
	free(all->v);
}

/* The row's note, made at its first touch, while it is as it was. */
static struct touched *
touch(struct shard *sh, const struct row *r)
{
	struct noted *all = noted_of(sh);
	struct touched *t;

	for (uint32_t i = 0; i < all->n; i++)
		if (all->v[i].row == row_number(sh, r))
			return &all->v[i];
	if (all->n == all->cap) {
		all->cap = all->cap ? all->cap * 2 : 16;
		all->v = xrealloc(all->v, all->cap * sizeof(*all->v));
	}
	t = &all->v[all->n++];
	*t = (struct touched){ .row = row_number(sh, r), .was = *r };
	if (r->presence != NULL)
		t->was.presence = &somebody; /* its own may end */
	memset(t->was.records, 0, sizeof(t->was.records));
	hold_records(&t->was, r);
	return t;
}

/* ---- the feature ---- */

static void
row_changes(struct shard *sh, struct row *r, unsigned what)
{
	struct touched *t = touch(sh, r);

	t->records |= what & (RECORD_BIT(SEEN_KINDS) - 1);
}

static void
row_changed(struct shard *sh, struct row *r, unsigned what)
{
	if (what == WATCH_COMES)
		touch(sh, r)->comes = true;
}

static void
row_leaves(struct shard *sh, struct row *r, const struct hub_env *env)
{
	struct touched *t;

	(void)env;
	if (!(sh->watch & WATCH_COMES))
		return;
	t = touch(sh, r);
	t->goes = true;
	for (int k = 0; k < SEEN_KINDS; k++) /* what it has not changed is as it was */
		if (!(t->records & RECORD_BIT(k)) && t->was.records[k] == NULL)
			t->was.records[k] = blob_ref(r->records[k]);
}

static const char *const no_prefixes[] = { NULL };

const struct feature watch_feature = {
	.state_bytes = sizeof(struct noted),
	.fini = noted_fini,
	.key_prefixes = no_prefixes,
	.row_changes = row_changes,
	.row_changed = row_changed,
	.row_leaves = row_leaves,
};

void
watch_listen(struct shard *sh, const struct watch_index *ix)
{
	unsigned what = 0;

	if (watch_index_count(ix) > 0)
		what = watch_index_records(ix) | WATCH_COMES |
		    (watch_index_connection(ix) ? WATCH_PRESENCE : 0);
	shard_watch(sh, &watch_feature, what);
}

/* ---- whom it concerns ---- */

bool
watch_any(const struct shard *sh)
{
	return noted_of(sh)->n > 0;
}

unsigned
watch_missing(struct shard *sh, const struct watch_index *ix, struct buf *key)
{
	const struct noted *all = noted_of(sh);
	unsigned missing = 0;

	for (uint32_t i = 0; i < all->n && missing == 0; i++)
		if (!all->v[i].goes)
			missing =
			    shard_row_missing(sh, all->v[i].row, watch_index_records(ix), key);
	return missing;
}

struct asking {
	struct watch_news news;
	watch_row_asks *asks;
	watch_tell *tell;
	void *ctx;
};

static bool
asks(void *ctx, uint64_t id, bool moved)
{
	const struct asking *a = ctx;

	return a->asks(a->ctx, id, a->news.row, moved);
}

static void
heard(void *ctx, const struct watch_hit *hit)
{
	struct asking *a = ctx;

	a->news.hit = hit;
	a->tell(a->ctx, &a->news);
}

static void
ask(struct shard *sh, struct touched *t, struct watch_index *ix, struct query_scratch *s,
    struct asking *a)
{
	const struct row *r = t->goes ? NULL : row_at(sh, t->row);
	struct watch_change c = { .ops = &hub_query_ops, .records = t->records };
	struct hub_row was, is;

	if (t->comes && t->goes)
		return;
	c.connection = r != NULL && (r->presence != NULL) != (t->was.presence != NULL);
	if (!t->comes && r != NULL && t->records == 0 && !c.connection)
		return;
	if (r != NULL) {
		hub_row_open_as(&is, sh, r);
		hold_records(&t->was, r); /* those that it has not written, by now in memory */
		c.is = &is;
	}
	if (!t->comes) {
		hub_row_open_as(&was, sh, &t->was);
		c.was = &was;
	}
	c.collection = t->was.module_n != 0 ? QUERY_MODULES : QUERY_DEVICES;
	a->news = (struct watch_news){ .device = row_device(&t->was),
		.module = row_module(&t->was),
		.row = t->row,
		.ops = &hub_query_ops,
		.was = c.was,
		.is = c.is };
	watch_index_ask(ix, &c, s, asks, heard, a);
}

void
watch_touched(struct shard *sh, struct watch_index *ix, struct query_scratch *s,
    watch_row_asks *row_asks, watch_tell *tell, void *ctx)
{
	struct noted *all = noted_of(sh);
	struct asking a = { .asks = row_asks, .tell = tell, .ctx = ctx };

	for (uint32_t i = 0; i < all->n; i++)
		ask(sh, &all->v[i], ix, s, &a);
	watch_forget(sh);
}
