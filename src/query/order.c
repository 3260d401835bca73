/*
 * ORDER BY on rows: the first rows seen so far, as a heap with the last of them on top. A row's place is its sort key,
 * bytes in memcmp order, and then its turn: its shard, and within that the order in which rows are shown, their own. So the first
 * rows of all parts are the first rows, whichever shards a part has.
 *
 * A part's rows as bytes (the frame: partial.c), in no order:
 *
 *   body     rows seen (varint) | number of rows (varint), rows
 *   row      turn (varint) | sort key | JSON, each with its length
 *
 * Sort keys are compared with others and never read: any bytes will do. JSON goes to clients: it has to be a JSON text.
 */
#include "query/priv.h"

#include <stdlib.h>

#define KEPT_BYTES 48 /* of a row beside its bytes: in the heap, and what malloc needs */

struct kept {
	char *bytes; /* key, then JSON */
	size_t nkey, n;
	uint64_t turn;
};

struct query_order {
	const struct query *q;
	uint64_t want, seen;
	size_t max_bytes, held;
	struct kept *v;
	uint32_t n, cap;
	struct buf key, json; /* of the row at hand */
};

#define TURN_SHARD 48 /* bits of a turn below its shard */

struct query_order *
query_order_new(const struct query *q, uint64_t want, size_t max_bytes)
{
	struct query_order *o = xcalloc(1, sizeof(*o));

	assert(q->facts.ordered && want > 0);
	o->q = q;
	o->want = want < q->facts.top ? want : q->facts.top;
	if (o->want > UINT32_MAX)
		o->want = UINT32_MAX;
	o->max_bytes = max_bytes;
	return o;
}

void
query_order_free(struct query_order *o)
{
	if (o == NULL)
		return;
	for (uint32_t i = 0; i < o->n; i++)
		free(o->v[i].bytes);
	free(o->v);
	buf_fini(&o->key);
	buf_fini(&o->json);
	free(o);
}

/* ---- the heap ---- */

static int
kept_order(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;
	int c = str_cmp((struct str){ x->bytes, x->nkey }, (struct str){ y->bytes, y->nkey });

	return c != 0 ? c : (x->turn > y->turn) - (x->turn < y->turn);
}

static void
swap(struct kept *a, struct kept *b)
{
	struct kept t = *a;

	*a = *b;
	*b = t;
}

static void
sift_down(struct query_order *o)
{
	for (uint32_t i = 0, top = 0;; i = top) {
		for (uint64_t j = 2 * (uint64_t)i + 1; j < 2 * (uint64_t)i + 3 && j < o->n; j++)
			if (kept_order(&o->v[j], &o->v[top]) > 0)
				top = (uint32_t)j;
		if (top == i)
			return;
		swap(&o->v[i], &o->v[top]);
	}
}

static void
sift_up(struct query_order *o, uint32_t i)
{
	for (; i > 0 && kept_order(&o->v[i], &o->v[(i - 1) / 2]) > 0; i = (i - 1) / 2)
		swap(&o->v[i], &o->v[(i - 1) / 2]);
}

static void
push(struct query_order *o, struct kept k)
{
	if (o->n == o->want) {
		o->held -= o->v[0].n + KEPT_BYTES;
		free(o->v[0].bytes);
		o->v[0] = k;
		sift_down(o);
		return;
	}
	if (o->n == o->cap) {
		o->cap = o->cap ? o->cap * 2 : 16;
		o->v = xrealloc(o->v, o->cap * sizeof(*o->v));
	}
	o->v[o->n] = k;
	sift_up(o, o->n++);
}

/* ---- rows ---- */

struct buf *
order_begin(struct query_order *o)
{
	o->seen++;
	o->key.n = 0;
	return &o->key;
}

bool
order_wants(const struct query_order *o)
{
	return o->n < o->want ||
	    str_cmp(buf_view(&o->key), (struct str){ o->v[0].bytes, o->v[0].nkey }) < 0;
}

bool
query_order_wants(struct query_order *o, const struct query_row_ops *ops, const void *row,
    struct query_scratch *s)
{
	struct row r = { ops, row, s, NULL };

	row_begin(&r);
	order_begin(o);
	for (const struct sort *k = o->q->order; k != NULL; k = k->next) {
		size_t from = o->key.n;
		key_put(&o->key, path_get(&r, k->path), &s->values);
		if (k->down)
			key_invert(&o->key, from);
	}
	return order_wants(o);
}

/* A row that is one of the first, as far as is known. */
static enum err
keep(struct query_order *o, uint64_t turn, struct str key, struct str json, struct fault *f)
{
	size_t freed = o->n == o->want ? o->v[0].n + KEPT_BYTES : 0, n = key.n + json.n;
	char *bytes;

	if (o->n > 0 && o->held - freed + n + KEPT_BYTES > o->max_bytes) {
		fault_set(f, F_QueryTooLarge,
		    "The query sorts more than fits into its limit of %zu bytes, after %u rows",
		    o->max_bytes, (unsigned)o->n);
		return ERR_SIZE;
	}
	bytes = xmalloc(n + 1);
	bytes_copy(bytes, key.p, key.n);
	bytes_copy(bytes + key.n, json.p, json.n);
	push(o, (struct kept){ bytes, key.n, n, turn });
	o->held += n + KEPT_BYTES;
	return ERR_OK;
}

enum err
query_order_take(struct query_order *o, uint32_t shard, const struct query_row_ops *ops,
    const void *row, struct query_scratch *s, struct fault *f)
{
	o->json.n = 0;
	query_project(o->q, ops, row, s, &o->json);
	return keep(
	    o, (uint64_t)shard << TURN_SHARD | o->seen, buf_view(&o->key), buf_view(&o->json), f);
}

/* ---- as bytes ---- */

void
query_order_put(const struct query_order *o, struct buf *out)
{
	size_t from = partial_begin(out, PARTIAL_ORDER, o->q, o->held);

	buf_varint(out, o->seen);
	buf_varint(out, o->n);
	for (uint32_t i = 0; i < o->n; i++) {
		const struct kept *k = &o->v[i];

		buf_varint(out, k->turn);
		buf_lstr(out, (struct str){ k->bytes, k->nkey });
		buf_lstr(out, (struct str){ k->bytes + k->nkey, k->n - k->nkey });
	}
	partial_end(out, from);
}

static bool
is_json(struct doc_parser *ps, struct str text, struct buf *doc)
{
	doc->n = 0;
	return doc_parse(ps, text, doc, NULL, NULL) == ERR_OK;
}

/* Of equal keys the earlier turn comes first. */
static bool
is_first(const struct query_order *o, struct str key, uint64_t turn)
{
	int c;

	if (o->n < o->want)
		return true;
	c = str_cmp(key, (struct str){ o->v[0].bytes, o->v[0].nkey });
	return c < 0 || (c == 0 && turn < o->v[0].turn);
}

static enum err
merge_rows(struct query_order *into, struct str body, struct doc_parser *ps, struct fault *f)
{
	struct rd r = rd_of(body);
	uint64_t nseen = rd_varint(&r), n = rd_varint(&r);
	struct buf doc = { 0 };
	enum err e = ERR_OK;

	if (nseen > PARTIAL_ROWS_MAX || n > nseen)
		e = ERR_CORRUPT;
	for (uint64_t i = 0; e == ERR_OK && i < n; i++) {
		uint64_t turn = rd_varint(&r);
		struct str key = rd_lstr(&r), json = rd_lstr(&r);

		if (r.bad)
			e = ERR_CORRUPT;
		else if (is_first(into, key, turn)) /* no other one is shown to anybody */
			e = is_json(ps, json, &doc) ? keep(into, turn, key, json, f) : ERR_CORRUPT;
	}
	if (e == ERR_OK && (r.bad || r.p != r.end))
		e = ERR_CORRUPT;
	if (e == ERR_OK)
		into->seen += nseen;
	buf_fini(&doc);
	return e;
}

enum err
query_order_merge(struct query_order *into, struct str *parts, struct fault *f)
{
	struct str body;
	struct doc_parser *ps;
	enum err e = partial_take(parts, PARTIAL_ORDER, into->q, &body);

	if (e == ERR_OK) {
		ps = doc_parser_new(body.n);
		e = merge_rows(into, body, ps, f);
		doc_parser_free(ps);
	}
	return e == ERR_CORRUPT ? partial_damaged(f) : e;
}

/* ---- results ---- */

size_t
query_order_bytes(const struct query_order *o)
{
	return o->held;
}

void
query_order_finish(struct query_order *o)
{
	array_sort(o->v, o->n, sizeof(*o->v), kept_order);
}

uint64_t
query_order_count(const struct query_order *o)
{
	return o->seen < o->q->facts.top ? o->seen : o->q->facts.top;
}

uint32_t
query_order_write(
    const struct query_order *o, uint32_t from, uint32_t n, size_t max_json, struct buf *json)
{
	uint32_t done = 0;

	for (; done < n && from < o->n && done < o->n - from && json->n < max_json; done++) {
		const struct kept *k = &o->v[from + done];
		if (done > 0)
			buf_putc(json, ',');
		buf_put(json, k->bytes + k->nkey, k->n - k->nkey);
	}
	return done;
}
