/* ORDER BY on columns: most rows are none of the first, and columns tell so without a look at their documents. */
#include "query/vector.h"

/* The value of a sort key, if its column holds it. */
static bool
sort_value(const struct vector *v, const struct sort *k, uint32_t row, struct value *out)
{
	const struct column *c = vector_column(v, k->path->slot);
	uint64_t cell = column_cell(c, row);

	*out = column_value(c, cell);
	return !cell_unheld(cell);
}

enum order_view
vector_order(struct vector *v, uint32_t row, struct query_order *o)
{
	struct value value;
	struct buf *key;

	vector_settle(v);
	if (row >= v->rows)
		return ORDER_ASK;
	for (const struct sort *k = v->q->order; k != NULL; k = k->next)
		if (!sort_value(v, k, row, &value))
			return ORDER_ASK;
	key = order_begin(o);
	for (const struct sort *k = v->q->order; k != NULL; k = k->next) {
		size_t from = key->n;
		(void)sort_value(v, k, row, &value);
		key_put_value(key, &value);
		if (k->down)
			key_invert(key, from);
	}
	return order_wants(o) ? ORDER_TAKE : ORDER_PASS;
}
