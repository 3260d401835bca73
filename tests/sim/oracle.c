/*
 * The oracle: whoever looks at columns, for whatever reason, goes through the functions below (the linker's --wrap), and
 * what columns say is compared with what the row evaluator says of the documents at that moment. What is counted or put in
 * order by columns is counted and put in order by documents beside it, and the results are compared, to the last bit.
 */
#include "query/vector.h"
#include "world.h"

#include <stdlib.h>

/* ---- documents ---- */

static void
give_record(struct world *w, struct look *l, enum record_kind kind)
{
	struct str value;

	if (!sim_store_peek(w->store, contact_table(kind), buf_view(&l->key), &value))
		world_fail("no record %d of row %u", (int)kind, l->row.row);
	if (!hub_row_give(&l->row, kind, value))
		world_fail("record %d of row %u is damaged", (int)kind, l->row.row);
}

void
look_open(struct world *w, struct shard *sh, uint32_t row, const struct query_needs *needs,
    struct look *l)
{
	unsigned missing;

	l->key = (struct buf){ 0 };
	hub_row_open(&l->row, sh, row);
	missing = shard_row_missing(sh, row, hub_records_of(needs), &l->key);
	for (int k = 0; k < RECORD_KINDS; k++)
		if (missing & RECORD_BIT(k))
			give_record(w, l, (enum record_kind)k);
}

void
look_load(struct world *w, struct shard *sh, uint32_t row, const struct query_needs *needs,
    struct look *l)
{
	struct str device, module, value;
	unsigned missing;

	l->key = (struct buf){ 0 };
	(void)shard_row(sh, row, &device, &module);
	missing = shard_row_missing(sh, row, hub_records_of(needs), &l->key);
	for (int k = 0; k < RECORD_KINDS; k++) {
		if (!(missing & RECORD_BIT(k)))
			continue;
		if (!sim_store_peek(
		        w->store, contact_table((enum record_kind)k), buf_view(&l->key), &value) ||
		    hub_fill(sh, device, module, (enum record_kind)k, &value) != ERR_OK)
			world_fail("record %d of row %u cannot be had", k, row);
	}
	hub_row_open(&l->row, sh, row);
}

void
look_close(struct look *l)
{
	buf_fini(&l->key);
}

bool
look_matches(struct world *w, const struct query *q, struct shard *sh, uint32_t row)
{
	const struct query_facts *f = query_facts(q);
	struct str device, module;
	struct look l;
	bool match;

	if (!shard_row(sh, row, &device, &module) ||
	    (module.n != 0) != (f->collection == QUERY_MODULES))
		return false;
	look_open(w, sh, row, &f->match, &l);
	match = query_match(q, &hub_query_ops, &l.row, &w->scratch);
	look_close(&l);
	return match;
}

static struct shard *
shard_of(const struct vector *v)
{
	return v->columns->bring_rows;
}

static bool
is_job(const struct vector *v)
{
	return contact_job_chooses(the_world, v);
}

/* ---- verdicts ---- */

static void
check_verdict(const struct vector *v, struct shard *sh, uint32_t row, uint8_t verdict, bool any)
{
	bool match = row < shard_rows(sh) && look_matches(the_world, v->q, sh, row),
	     may = verdict & VERDICT_POSSIBLE, asks = verdict_asks(verdict);

	if ((match && !may) || (!match && may && !asks) || (may && !any))
		world_fail("row %u: the verdict is %u, by its document it is %d%s", row, verdict,
		    match, is_job(v) ? " (a job's condition)" : "");
	seen.certain += !asks;
}

WRAP(bool, vector_judge, struct vector *v, uint32_t from, uint32_t n, uint8_t *verdicts)
{
	bool any = __real_vector_judge(v, from, n, verdicts);
	struct shard *sh = shard_of(v);

	for (uint32_t i = 0; i < n; i++)
		check_verdict(v, sh, from + i, verdicts[i], any);
	seen.looks++;
	seen.judged += n;
	seen.job_rows += is_job(v) ? n : 0;
	return any;
}

WRAP(uint32_t, vector_rows, struct vector *v)
{
	uint32_t n = __real_vector_rows(v), there = shard_rows(shard_of(v));

	if (n != there)
		world_fail("columns say %u rows, there are %u", n, there);
	return n;
}

/* ---- beside groups and orders: the same by documents ---- */

#define SHADOW_BYTES (64u << 20)

struct shadow {
	const void *of; /* groups, or an order */
	struct query_groups *groups;
	struct query_order *order;
	const struct query *q;
	struct shadow *next;
};

static struct shadow *shadows;

static struct shadow *
shadow_of(const void *of)
{
	struct shadow *s = shadows;

	while (s != NULL && s->of != of)
		s = s->next;
	return s;
}

static struct shadow *
shadow_new(const void *of, const struct query *q)
{
	struct shadow *s = xcalloc(1, sizeof(*s));

	s->of = of;
	s->q = q;
	s->next = shadows;
	return shadows = s;
}

WRAP(void, query_groups_free, struct query_groups *g);
WRAP(void, query_order_free, struct query_order *o);

/* It goes, or it is full and good for nothing. */
static void
shadow_drop(const void *of)
{
	for (struct shadow **at = &shadows; *at != NULL; at = &(*at)->next) {
		struct shadow *s = *at;

		if (s->of != of)
			continue;
		*at = s->next;
		__real_query_groups_free(s->groups);
		__real_query_order_free(s->order);
		free(s);
		return;
	}
}

static void
same_results(struct buf *got, struct buf *want, const char *what)
{
	if (!str_eq(buf_view(got), buf_view(want)))
		world_fail("%s by columns:\n  " STR_FMT "\nby documents:\n  " STR_FMT, what,
		    STR_ARG(buf_view(got)), STR_ARG(buf_view(want)));
	buf_fini(got);
	buf_fini(want);
}

/* ---- groups ---- */

WRAP(struct query_groups *, query_groups_new, const struct query *q, size_t max_bytes)
{
	struct query_groups *g = __real_query_groups_new(q, max_bytes);

	shadow_new(g, q)->groups = __real_query_groups_new(q, SHADOW_BYTES);
	return g;
}

void
__wrap_query_groups_free(struct query_groups *g)
{
	shadow_drop(g);
	__real_query_groups_free(g);
}

WRAP(enum err, query_groups_add, struct query_groups *g, const struct query_row_ops *ops,
    const void *row, struct query_scratch *scratch, struct fault *f)
{
	enum err e = __real_query_groups_add(g, ops, row, scratch, f);
	struct shadow *s = shadow_of(g);

	if (e != ERR_OK)
		shadow_drop(g);
	else if (s != NULL)
		(void)__real_query_groups_add(s->groups, ops, row, scratch, NULL);
	return e;
}

/* Shadows of parts that were put last, by the parts' bytes: those of several owners are put before the first is merged. */
static struct part_shadow {
	uint64_t part;
	struct buf bytes;
} part_shadows[64];
static unsigned npart;

/* Where the shadow of the part behind `from` goes. */
static struct buf *
part_put(const struct buf *out, size_t from)
{
	struct part_shadow *p = &part_shadows[npart++ % 64];

	p->part = hash_checksum(out->p + from, out->n - from);
	p->bytes.n = 0;
	return &p->bytes;
}

/* Of the part between; nothing: it has none. */
static struct str
part_taken(const char *from, const char *to)
{
	uint64_t part = hash_checksum(from, (size_t)(to - from));

	for (unsigned i = 0; i < 64; i++)
		if (part_shadows[i].part == part && part_shadows[i].bytes.n > 0)
			return buf_view(&part_shadows[i].bytes);
	return STR_NONE;
}

WRAP(void, query_groups_put, const struct query_groups *g, struct buf *out)
{
	struct shadow *s = shadow_of(g);
	size_t from = out->n;
	struct buf *shadow;

	__real_query_groups_put(g, out);
	shadow = part_put(out, from);
	if (s != NULL)
		__real_query_groups_put(s->groups, shadow);
}

WRAP(enum err, query_groups_merge, struct query_groups *into, struct str *parts, struct fault *f)
{
	const char *from = parts->p;
	enum err e = __real_query_groups_merge(into, parts, f);
	struct shadow *to = shadow_of(into);
	struct str shadow = part_taken(from, parts->p);

	if (e != ERR_OK || shadow.n == 0)
		shadow_drop(into);
	else if (to != NULL && __real_query_groups_merge(to->groups, &shadow, NULL) != ERR_OK)
		world_fail("groups that are right do not come back from bytes");
	return e;
}

/* Rows of the block judged last whose match is certain: they are counted without a look at their documents. */
WRAP(enum err, vector_add, struct vector *v, const uint8_t *verdicts, uint32_t i, uint32_t n,
    struct query_groups *g, uint32_t *stop, struct fault *f)
{
	enum err e = __real_vector_add(v, verdicts, i, n, g, stop, f);
	struct shadow *s = shadow_of(g);
	struct shard *sh = shard_of(v);

	if (e != ERR_OK)
		shadow_drop(g);
	for (; e == ERR_OK && s != NULL && i < *stop; i++) {
		struct look l;

		if (verdicts[i] != VERDICT_MATCH)
			continue;
		look_open(the_world, sh, v->from + i, &query_facts(v->q)->output, &l);
		(void)__real_query_groups_add(
		    s->groups, &hub_query_ops, &l.row, &the_world->scratch, NULL);
		look_close(&l);
		seen.tallied++;
	}
	return e;
}

WRAP(void, query_groups_finish, struct query_groups *g)
{
	struct shadow *s = shadow_of(g);
	struct buf got = { 0 }, want = { 0 };

	__real_query_groups_finish(g);
	if (s == NULL)
		return;
	__real_query_groups_finish(s->groups);
	query_groups_write(g, 0, UINT32_MAX, &got);
	query_groups_write(s->groups, 0, UINT32_MAX, &want);
	same_results(&got, &want, "groups");
	seen.grouped++;
}

/* ---- rows in order ---- */

WRAP(struct query_order *, query_order_new, const struct query *q, uint64_t want, size_t max_bytes)
{
	struct query_order *o = __real_query_order_new(q, want, max_bytes);

	shadow_new(o, q)->order = __real_query_order_new(q, want, SHADOW_BYTES);
	return o;
}

void
__wrap_query_order_free(struct query_order *o)
{
	shadow_drop(o);
	__real_query_order_free(o);
}

WRAP(bool, query_order_wants, struct query_order *o, const struct query_row_ops *ops,
    const void *row, struct query_scratch *scratch)
{
	bool wants = __real_query_order_wants(o, ops, row, scratch);
	struct shadow *s = shadow_of(o);

	if (s != NULL && __real_query_order_wants(s->order, ops, row, scratch) != wants)
		world_fail(
		    "a row is %sone of the first, but not by documents alone", wants ? "" : "not ");
	return wants;
}

WRAP(enum order_view, vector_order, struct vector *v, uint32_t row, struct query_order *o)
{
	enum order_view view = __real_vector_order(v, row, o);
	struct shadow *s = shadow_of(o);
	struct look l;
	bool wants;

	if (view == ORDER_ASK || s == NULL)
		return view;
	look_open(the_world, shard_of(v), row, &query_facts(v->q)->match, &l);
	wants = __real_query_order_wants(s->order, &hub_query_ops, &l.row, &the_world->scratch);
	look_close(&l);
	if (wants != (view == ORDER_TAKE))
		world_fail("row %u is %sone of the first, by documents it is the other way", row,
		    wants ? "not " : "");
	seen.viewed++;
	return view;
}

WRAP(enum err, query_order_take, struct query_order *o, uint32_t shard,
    const struct query_row_ops *ops, const void *row, struct query_scratch *scratch,
    struct fault *f)
{
	enum err e = __real_query_order_take(o, shard, ops, row, scratch, f);
	struct shadow *s = shadow_of(o);

	if (e != ERR_OK)
		shadow_drop(o);
	else if (s != NULL)
		(void)__real_query_order_take(s->order, shard, ops, row, scratch, NULL);
	return e;
}

WRAP(void, query_order_put, const struct query_order *o, struct buf *out)
{
	struct shadow *s = shadow_of(o);
	size_t from = out->n;
	struct buf *shadow;

	__real_query_order_put(o, out);
	shadow = part_put(out, from);
	if (s != NULL)
		__real_query_order_put(s->order, shadow);
}

WRAP(enum err, query_order_merge, struct query_order *into, struct str *parts, struct fault *f)
{
	const char *from = parts->p;
	enum err e = __real_query_order_merge(into, parts, f);
	struct shadow *to = shadow_of(into);
	struct str shadow = part_taken(from, parts->p);

	if (e != ERR_OK || shadow.n == 0)
		shadow_drop(into);
	else if (to != NULL && __real_query_order_merge(to->order, &shadow, NULL) != ERR_OK)
		world_fail("rows in order that are right do not come back from bytes");
	return e;
}

WRAP(void, query_order_finish, struct query_order *o)
{
	struct shadow *s = shadow_of(o);
	struct buf got = { 0 }, want = { 0 };

	__real_query_order_finish(o);
	if (s == NULL)
		return;
	__real_query_order_finish(s->order);
	query_order_write(o, 0, UINT32_MAX, SIZE_MAX, &got);
	query_order_write(s->order, 0, UINT32_MAX, SIZE_MAX, &want);
	same_results(&got, &want, "rows in order");
	seen.ordered++;
}

/* ---- only counted: columns that go for want of memory, steps of rollouts ---- */

WRAP(void, columns_trim, struct columns *c)
{
	uint64_t before = c->changes;

	__real_columns_trim(c);
	seen.dropped += c->changes - before;
}

WRAP(bool, rollout_look, struct rollout *r, const struct rollout_seen *counted, int64_t now_us)
{
	bool moved = __real_rollout_look(r, counted, now_us);

	seen.waves += moved;
	return moved;
}
