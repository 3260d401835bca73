/* Lists of constants, for IN. */
#include "query/priv.h"

static int
list_order(const void *a, const void *b)
{
	return value_order(a, b);
}

void
list_sort(struct value *v, uint32_t n)
{
	array_sort(v, n, sizeof(*v), list_order);
}

/* The OR of comparisons: true if one is, else undefined if one is, else false. With a constant of the value's own
 * kind, or null on either side, a comparison is never undefined. */
enum truth
list_has(const struct list *l, const struct value *v)
{
	uint32_t lo = 0, hi = l->n;
	unsigned comparable = 1u << V_NULL | 1u << v->kind;

	if (v->kind == V_UNDEFINED || v->kind >= V_ARRAY)
		return IS_UNDEFINED;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = value_order(&l->v[mid], v);
		if (c == 0)
			return IS_TRUE;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (v->kind == V_NULL)
		comparable = 1u << V_NULL | 1u << V_BOOL | 1u << V_NUMBER | 1u << V_STRING;
	return l->kinds & ~comparable ? IS_UNDEFINED : IS_FALSE;
}
