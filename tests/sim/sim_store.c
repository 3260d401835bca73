#include "sim_store.h"

#include "store/face.h"

#include <stdlib.h>

struct stored {
	struct buf key, value;
};

struct table_rows { /* in the order of their keys */
	struct stored *v;
	uint32_t n, cap;
};

struct lane {
	struct store_batch *batch; /* on its way; NULL: none */
	uint64_t cookie;
	bool failed; /* until store_resume */
};

struct sim_store {
	struct store face; /* first */
	struct table_rows tables[STORE_TABLES];
	struct lane lanes[STORE_LANES_MAX];
	unsigned nlane;
	enum sim_state state;
	uint64_t changes; /* a cursor must not outlive one */
	void *ctx;
	store_done *done;
	void (*watch)(unsigned lane, enum sim_commit what); /* NULL: nobody does */
};

struct sim_disk {
	struct table_rows tables[STORE_TABLES];
};

struct sim_cursor {
	struct store_cursor face; /* first */
	const struct sim_store *s;
	const struct table_rows *t;
	uint32_t at;
	uint64_t changes;
	struct buf to;
};

static struct sim_store *
sim_of(const struct store *face)
{
	return (struct sim_store *)face;
}

/* ---- rows ---- */

/* The first row that is not before the key. */
static uint32_t
rows_at(const struct table_rows *t, struct str key)
{
	uint32_t from = 0, to = t->n;

	while (from < to) {
		uint32_t mid = from + (to - from) / 2;

		if (str_cmp(buf_view(&t->v[mid].key), key) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static bool
rows_hold(const struct table_rows *t, uint32_t at, struct str key)
{
	return at < t->n && str_eq(buf_view(&t->v[at].key), key);
}

static void
rows_put(struct table_rows *t, struct str key, struct str value)
{
	uint32_t at = rows_at(t, key);

	if (!rows_hold(t, at, key)) {
		if (t->n == t->cap) {
			t->cap = t->cap ? t->cap * 2 : 64;
			t->v = xrealloc(t->v, t->cap * sizeof(*t->v));
		}
		memmove(t->v + at + 1, t->v + at, (t->n++ - at) * sizeof(*t->v));
		t->v[at] = (struct stored){ 0 };
		buf_str(&t->v[at].key, key);
	}
	t->v[at].value.n = 0;
	buf_str(&t->v[at].value, value);
}

static void
rows_free(struct table_rows *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		buf_fini(&t->v[i].key);
		buf_fini(&t->v[i].value);
	}
	free(t->v);
}

static void
rows_delete(struct table_rows *t, struct str key)
{
	uint32_t at = rows_at(t, key);

	if (!rows_hold(t, at, key))
		return;
	buf_fini(&t->v[at].key);
	buf_fini(&t->v[at].value);
	memmove(t->v + at, t->v + at + 1, (--t->n - at) * sizeof(*t->v));
}

/* ---- reading ---- */

bool
sim_store_peek(const struct store *s, enum store_table t, struct str key, struct str *value)
{
	const struct table_rows *rows = &sim_of(s)->tables[t];
	uint32_t at = rows_at(rows, key);

	if (!rows_hold(rows, at, key))
		return false;
	*value = buf_view(&rows->v[at].value);
	return true;
}

static enum err
sim_get(struct store *s, enum store_table t, struct str key, struct buf *out)
{
	struct str value;

	if (!sim_store_peek(s, t, key, &value))
		return ERR_NOT_FOUND;
	buf_str(out, value);
	return ERR_OK;
}

static enum err
sim_cursors_open(struct store *face, const enum store_table *tables, unsigned n, struct str from,
    struct str to, enum store_scan how, struct store_cursor **out)
{
	(void)how;
	for (unsigned i = 0; i < n; i++) {
		struct sim_cursor *c = xcalloc(1, sizeof(*c));

		c->face.ops = face->ops;
		c->s = sim_of(face);
		c->t = &c->s->tables[tables[i]];
		c->at = rows_at(c->t, from);
		c->changes = c->s->changes;
		buf_str(&c->to, to);
		out[i] = &c->face;
	}
	return ERR_OK;
}

static enum err
sim_next(struct store_cursor *face, struct str *key, struct str *value)
{
	struct sim_cursor *c = (struct sim_cursor *)face;
	const struct stored *r;

	assert(c->changes == c->s->changes);
	if (c->at == c->t->n)
		return ERR_END;
	r = &c->t->v[c->at];
	if (c->to.n > 0 && str_cmp(buf_view(&r->key), buf_view(&c->to)) >= 0)
		return ERR_END;
	*key = buf_view(&r->key);
	*value = buf_view(&r->value);
	c->at++;
	return ERR_OK;
}

static void
sim_cursor_close(struct store_cursor *face)
{
	struct sim_cursor *c = (struct sim_cursor *)face;

	buf_fini(&c->to);
	free(c);
}

/* ---- writing ---- */

static struct store_batch *
sim_batch_next(struct store *s, unsigned lane)
{
	(void)s;
	(void)lane;
	return store_batch_new();
}

static void
batch_apply(struct sim_store *s, const struct store_batch *b)
{
	struct store_change c;
	size_t at = 0;

	while (store_batch_next_change(b, &at, &c)) {
		if (c.put)
			rows_put(&s->tables[c.table], c.key, c.value);
		else
			rows_delete(&s->tables[c.table], c.key);
	}
	s->changes++;
}

static void
tell(const struct sim_store *s, unsigned lane, enum sim_commit what)
{
	if (s->watch != NULL)
		s->watch(lane, what);
}

static void
sim_submit(struct store *face, unsigned lane, struct store_batch *b, uint64_t cookie)
{
	struct sim_store *s = sim_of(face);

	assert(lane < s->nlane && s->lanes[lane].batch == NULL);
	s->lanes[lane].batch = b;
	s->lanes[lane].cookie = cookie;
	tell(s, lane, SIM_SUBMITTED);
}

static void
sim_resume(struct store *s, unsigned lane)
{
	sim_of(s)->lanes[lane].failed = false;
}

/* ---- state ---- */

static enum store_state
sim_state(struct store *s, struct fault *why)
{
	if (why != NULL)
		why->text[0] = '\0';
	switch (sim_of(s)->state) {
	case SIM_BROKEN: return STORE_IS_FAILED;
	case SIM_FULL: return STORE_IS_FULL;
	default: return STORE_READY;
	}
}

static uint32_t
sim_generation(const struct store *s)
{
	(void)s;
	return 0;
}

static uint64_t
sim_space(const struct store *s)
{
	(void)s;
	return UINT64_MAX;
}

static bool
sim_has_space(const struct store *s)
{
	return sim_of(s)->state != SIM_CRAMPED && sim_of(s)->state != SIM_FULL;
}

static void
sim_damage(struct store *s, struct store_damage *out)
{
	(void)s;
	*out = (struct store_damage){ 0 };
}

static void
sim_stats(struct store *s, struct store_stats *out)
{
	(void)s;
	*out = (struct store_stats){ 0 };
}

static enum err
sim_checkpoint(struct store *s, const char *dir, struct fault *f)
{
	(void)s;
	fault_set(f, F_ServerError, "what is in memory has no files for %s", dir);
	return ERR_IO;
}

/* ---- the simulator's side ---- */

static bool
takes_batches(const struct sim_store *s)
{
	return s->state == SIM_READY || s->state == SIM_CRAMPED;
}

bool
sim_store_awaits(const struct store *s, unsigned lane)
{
	return sim_of(s)->lanes[lane].batch != NULL;
}

void
sim_store_end(struct store *face, unsigned lane, bool ok, bool on_disk)
{
	struct sim_store *s = sim_of(face);
	struct lane *l = &s->lanes[lane];
	struct store_batch *b = l->batch;
	enum store_result result = STORE_OK;

	l->batch = NULL;
	if (!ok)
		result = s->state == SIM_FULL ? STORE_FULL : STORE_FAILED;
	else if (l->failed || !takes_batches(s))
		result = STORE_UNDONE;
	l->failed |= result != STORE_OK;
	if (result == STORE_OK || (result != STORE_UNDONE && on_disk))
		batch_apply(s, b);
	store_batch_free(b);
	tell(s, lane, result == STORE_OK ? SIM_LANDED : SIM_FAILED);
	s->done(s->ctx, lane, l->cookie, result);
}

void
sim_store_watch(struct store *s, void (*watch)(unsigned lane, enum sim_commit what))
{
	sim_of(s)->watch = watch;
}

void
sim_store_lands(struct store *s, unsigned lane)
{
	batch_apply(sim_of(s), sim_of(s)->lanes[lane].batch);
}

struct sim_disk *
sim_store_copy(const struct store *face)
{
	const struct sim_store *s = sim_of(face);
	struct sim_disk *d = xcalloc(1, sizeof(*d));

	for (int t = 0; t < STORE_TABLES; t++)
		for (uint32_t i = 0; i < s->tables[t].n; i++)
			rows_put(&d->tables[t], buf_view(&s->tables[t].v[i].key),
			    buf_view(&s->tables[t].v[i].value));
	return d;
}

void
sim_store_back(struct store *face, struct sim_disk *d)
{
	struct sim_store *s = sim_of(face);

	for (int t = 0; t < STORE_TABLES; t++) {
		rows_free(&s->tables[t]);
		s->tables[t] = d->tables[t];
	}
	s->changes++;
	free(d);
}

void
sim_store_drop(struct store *face, enum store_table t, struct str key)
{
	struct sim_store *s = sim_of(face);

	rows_delete(&s->tables[t], key);
	s->changes++;
}

void
sim_store_set(struct store *s, enum sim_state state)
{
	sim_of(s)->state = state;
}

uint64_t
sim_store_changes(const struct store *s)
{
	return sim_of(s)->changes;
}

static void
sim_close(struct store *face)
{
	struct sim_store *s = sim_of(face);

	for (int t = 0; t < STORE_TABLES; t++)
		rows_free(&s->tables[t]);
	free(s);
}

static const struct store_ops sim_ops = {
	.close = sim_close,
	.get = sim_get,
	.cursors_open = sim_cursors_open,
	.next = sim_next,
	.cursor_close = sim_cursor_close,
	.batch_next = sim_batch_next,
	.submit = sim_submit,
	.resume = sim_resume,
	.state = sim_state,
	.generation = sim_generation,
	.space = sim_space,
	.has_space = sim_has_space,
	.damage = sim_damage,
	.stats = sim_stats,
	.checkpoint = sim_checkpoint,
};

struct store *
sim_store_new(unsigned lanes, void *ctx, store_done *done)
{
	struct sim_store *s = xcalloc(1, sizeof(*s));

	s->face.ops = &sim_ops;
	s->nlane = lanes;
	s->ctx = ctx;
	s->done = done;
	return &s->face;
}

void
sim_store_reopen(struct store *face, unsigned lanes)
{
	struct sim_store *s = sim_of(face);

	s->nlane = lanes;
	s->state = SIM_READY;
	memset(s->lanes, 0, sizeof(s->lanes));
}

void
sim_store_free(struct store *s)
{
	store_close(s);
}
