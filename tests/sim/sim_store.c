#include "sim_store.h"

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

struct store {
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

/* Changes one behind the other: table * 2 + (is it a put?), key, value. */
struct store_batch {
	struct buf ops;
	uint32_t n;
};

struct store_cursor {
	const struct store *s;
	const struct table_rows *t;
	uint32_t at;
	uint64_t changes;
	struct buf to;
};

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
	const struct table_rows *rows = &s->tables[t];
	uint32_t at = rows_at(rows, key);

	if (!rows_hold(rows, at, key))
		return false;
	*value = buf_view(&rows->v[at].value);
	return true;
}

enum err
store_get(struct store *s, enum store_table t, struct str key, struct buf *out)
{
	struct str value;

	if (!sim_store_peek(s, t, key, &value))
		return ERR_NOT_FOUND;
	buf_str(out, value);
	return ERR_OK;
}

enum err
store_cursor_open(struct store *s, enum store_table t, struct str from, struct str to,
    enum store_scan how, struct store_cursor **out)
{
	struct store_cursor *c = xcalloc(1, sizeof(*c));

	(void)how;
	c->s = s;
	c->t = &s->tables[t];
	c->at = rows_at(c->t, from);
	c->changes = s->changes;
	buf_str(&c->to, to);
	*out = c;
	return ERR_OK;
}

enum err
store_next(struct store_cursor *c, struct str *key, struct str *value)
{
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

void
store_cursor_close(struct store_cursor *c)
{
	if (c == NULL)
		return;
	buf_fini(&c->to);
	free(c);
}

/* ---- writing ---- */

static struct buf *noted; /* NULL: nobody asks */

void
sim_store_note_keys(struct buf *keys)
{
	noted = keys;
}

static void
note_key(enum store_table t, struct str key)
{
	if (noted != NULL && t == STORE_HUB)
		buf_lstr(noted, key);
}

struct store_batch *
store_batch_new(void)
{
	return xcalloc(1, sizeof(struct store_batch));
}

struct store_batch *
store_batch_next(struct store *s, unsigned lane)
{
	(void)s;
	(void)lane;
	return store_batch_new();
}

void
store_batch_free(struct store_batch *b)
{
	if (b == NULL)
		return;
	buf_fini(&b->ops);
	free(b);
}

void
store_batch_put(
    struct store_batch *b, uint32_t shard, enum store_table t, struct str key, struct str value)
{
	(void)shard;
	note_key(t, key);
	buf_putc(&b->ops, (char)(t * 2 + 1));
	buf_lstr(&b->ops, key);
	buf_lstr(&b->ops, value);
	b->n++;
}

void
store_batch_delete(struct store_batch *b, uint32_t shard, enum store_table t, struct str key)
{
	(void)shard;
	note_key(t, key);
	buf_putc(&b->ops, (char)(t * 2));
	buf_lstr(&b->ops, key);
	b->n++;
}

uint32_t
store_batch_count(const struct store_batch *b)
{
	return b->n;
}

size_t
store_batch_bytes(const struct store_batch *b)
{
	return b->ops.n;
}

void
store_batch_clear(struct store_batch *b)
{
	b->ops.n = 0;
	b->n = 0;
}

static void
batch_apply(struct store *s, const struct store_batch *b)
{
	struct rd rd = rd_of(buf_view(&b->ops));

	for (uint32_t i = 0; i < b->n; i++) {
		unsigned head = rd_u8(&rd);
		struct str key = rd_lstr(&rd);

		if (head & 1)
			rows_put(&s->tables[head / 2], key, rd_lstr(&rd));
		else
			rows_delete(&s->tables[head / 2], key);
	}
	assert(!rd.bad);
	s->changes++;
}

static void
tell(const struct store *s, unsigned lane, enum sim_commit what)
{
	if (s->watch != NULL)
		s->watch(lane, what);
}

void
store_submit(struct store *s, unsigned lane, struct store_batch *b, uint64_t cookie)
{
	assert(lane < s->nlane && s->lanes[lane].batch == NULL);
	s->lanes[lane].batch = b;
	s->lanes[lane].cookie = cookie;
	tell(s, lane, SIM_SUBMITTED);
}

void
store_resume(struct store *s, unsigned lane)
{
	s->lanes[lane].failed = false;
}

enum store_state
store_state(struct store *s, struct fault *why)
{
	if (why != NULL)
		why->text[0] = '\0';
	return s->state == SIM_BROKEN ? STORE_IS_FAILED
	    : s->state == SIM_FULL    ? STORE_IS_FULL
	                              : STORE_READY;
}

bool
store_has_space(const struct store *s)
{
	return s->state != SIM_CRAMPED && s->state != SIM_FULL;
}

/* ---- the simulator's side ---- */

static bool
takes_batches(const struct store *s)
{
	return s->state == SIM_READY || s->state == SIM_CRAMPED;
}

bool
sim_store_awaits(const struct store *s, unsigned lane)
{
	return s->lanes[lane].batch != NULL;
}

void
sim_store_end(struct store *s, unsigned lane, bool ok, bool on_disk)
{
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
	s->watch = watch;
}

void
sim_store_lands(struct store *s, unsigned lane)
{
	batch_apply(s, s->lanes[lane].batch);
}

struct sim_disk *
sim_store_copy(const struct store *s)
{
	struct sim_disk *d = xcalloc(1, sizeof(*d));

	for (int t = 0; t < STORE_TABLES; t++)
		for (uint32_t i = 0; i < s->tables[t].n; i++)
			rows_put(&d->tables[t], buf_view(&s->tables[t].v[i].key),
			    buf_view(&s->tables[t].v[i].value));
	return d;
}

void
sim_store_back(struct store *s, struct sim_disk *d)
{
	for (int t = 0; t < STORE_TABLES; t++) {
		rows_free(&s->tables[t]);
		s->tables[t] = d->tables[t];
	}
	s->changes++;
	free(d);
}

void
sim_store_set(struct store *s, enum sim_state state)
{
	s->state = state;
}

uint64_t
sim_store_changes(const struct store *s)
{
	return s->changes;
}

struct store *
sim_store_new(unsigned lanes, void *ctx, store_done *done)
{
	struct store *s = xcalloc(1, sizeof(*s));

	s->nlane = lanes;
	s->ctx = ctx;
	s->done = done;
	return s;
}

void
sim_store_reopen(struct store *s, unsigned lanes)
{
	s->nlane = lanes;
	s->state = SIM_READY;
	memset(s->lanes, 0, sizeof(s->lanes));
}

void
sim_store_free(struct store *s)
{
	for (int t = 0; t < STORE_TABLES; t++)
		rows_free(&s->tables[t]);
	free(s);
}
