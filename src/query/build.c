/*
 * Filling columns. A row's value is taken once, whoever brings it first: a sweep over records in the order of their keys,
 * a change of the row, or its turn by number. What has been seen stays: a record that a sweep meets may be older.
 */
#include "query/vector.h"

/* ---- in the order of keys ---- */

/* Does this slot's column belong to a sweep of the source? */
static bool
sweeps(const struct vector *v, uint32_t i, column_source *source, void *ctx, unsigned of)
{
	const struct column *c = v->building[i];
	unsigned s = c == NULL || c->swept ? 0 : source(ctx, &c->needs);

	return s != 0 && (of == 0 || s == of);
}

/* The least key that a column of the sweep waits for; true if it is less than the one before. */
static bool
key_below(const struct column *c, struct str key, bool any)
{
	return !any || str_cmp(buf_view(&c->next_key), key) < 0;
}

bool
vector_sweep(struct vector *v, column_source *source, void *ctx, struct column_sweep *sweep)
{
	bool any = false, bound = false;

	vector_settle(v);
	*sweep = (struct column_sweep){ 0 };
	for (uint32_t i = 0; i < v->q->nslot; i++) {
		if (!sweeps(v, i, source, ctx, sweep->source))
			continue;
		sweep->source = source(ctx, &v->building[i]->needs);
		if (key_below(v->building[i], sweep->from, any))
			sweep->from = buf_view(&v->building[i]->next_key);
		any = true;
	}
	for (uint32_t i = 0; i < v->q->nslot; i++) {
		struct column *c = v->building[i];
		bool mine = any && sweeps(v, i, source, ctx, sweep->source);
		bool now = mine && str_eq(buf_view(&c->next_key), sweep->from);
		v->sweeping[i] = now ? c : NULL;
		if (mine && !now && key_below(c, sweep->to, bound)) {
			sweep->to = buf_view(&c->next_key);
			bound = true;
		}
	}
	v->sweep_to = sweep->to;
	return any;
}

void
vector_take(struct vector *v, uint32_t row, const struct query_row_ops *ops, const void *data,
    struct query_scratch *s)
{
	vector_settle(v);
	for (uint32_t i = 0; i < v->q->nslot; i++) {
		struct column *c = v->sweeping[i];
		if (c == NULL || column_saw(c, row))
			continue;
		column_take(c, row, ops, data, s);
		column_see(c, row, true);
	}
	vector_wrote(v);
}

void
vector_swept(struct vector *v, struct str key, bool all_to)
{
	vector_settle(v);
	for (uint32_t i = 0; i < v->q->nslot; i++) {
		struct column *c = v->sweeping[i];
		if (c == NULL)
			continue;
		c->swept = all_to && v->sweep_to.n == 0;
		if (!all_to && key.n == 0)
			continue;
		c->next_key.n = 0;
		buf_str(&c->next_key, all_to ? v->sweep_to : key);
		if (!all_to)
			buf_putc(&c->next_key, '\0'); /* the least key above it */
	}
}

/* ---- by number ---- */

bool
vector_wants(struct vector *v, uint32_t *row, struct query_needs *needs)
{
	uint32_t first;

	vector_settle(v);
	first = v->rows;
	for (uint32_t i = 0; i < v->q->nslot; i++) {
		if (v->building[i] == NULL)
			continue;
		column_advance(v->building[i], v->rows);
		if (v->building[i]->complete)
			vector_turn_to(v, i, v->building[i]);
		else if (v->building[i]->built < first)
			first = v->building[i]->built;
	}
	*row = first;
	*needs = (struct query_needs){ 0 };
	for (uint32_t i = 0; i < v->q->nslot; i++) {
		if (v->building[i] != NULL && v->building[i]->built == first) {
			needs->roots |= v->building[i]->needs.roots;
			needs->sections |= v->building[i]->needs.sections;
		}
	}
	return first < v->rows;
}

void
vector_show(struct vector *v, uint32_t row, enum row_kind kind, const struct query_row_ops *ops,
    const void *data, struct query_scratch *s)
{
	vector_settle(v);
	for (uint32_t i = 0; i < v->q->nslot; i++) {
		struct column *c = v->building[i];
		if (c == NULL || c->built != row)
			continue;
		column_take(c, row, kind == ROW_FREE ? NULL : ops, data, s);
		c->built = row + 1;
	}
	vector_wrote(v);
}

/* ---- from documents that were asked ---- */

/* Convergence is of two records, of which often only the one that changes is in memory, so it is lost more often than
 * other values. It is a truth value, so no dictionary, and with it no verdict or group of a block, depends on it. */
void
vector_learn(struct vector *v, uint32_t row, const struct query_row_ops *ops, const void *data,
    struct query_scratch *s)
{
	vector_settle(v);
	for (uint32_t i = 0; i < v->q->nslot && row < v->rows; i++) {
		struct column *c = v->held[i];
		if (c == NULL || c->path.kind != PATH_CONVERGED ||
		    column_cell(c, row) != cell_of_code(CODE_STALE))
			continue;
		column_take(c, row, ops, data, s);
		vector_wrote(v);
	}
}
