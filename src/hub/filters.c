/* The list of a session's filters. */
#include "hub/filters.h"

#include "hub/priv.h"

void
filter_list_read(struct filter_list *l, struct str filters)
{
	struct rd rd = rd_of(filters);

	l->n = 0;
	while (l->n < FILTERS_MAX && filters_next(&rd, &l->v[l->n]))
		l->n++;
}

void
filter_list_put(struct buf *out, const struct filter_list *l)
{
	for (unsigned i = 0; i < l->n; i++)
		filters_put(out, &l->v[i]);
}

static unsigned
list_find(const struct filter_list *l, const struct filter *f)
{
	unsigned i = 0;

	while (i < l->n && !(l->v[i].kind == f->kind && str_eq(l->v[i].name, f->name)))
		i++;
	return i;
}

uint8_t
filter_list_add(struct filter_list *l, const struct filter *f)
{
	unsigned at = list_find(l, f);

	if (f->kind == FILTER_REFUSED || at == FILTERS_MAX)
		return SUBACK_REFUSED;
	l->v[at] = *f;
	l->v[at].qos = f->qos > 1 ? 1 : f->qos; /* D-34 */
	if (at == l->n)
		l->n++;
	return l->v[at].qos;
}

void
filter_list_remove(struct filter_list *l, const struct filter *f)
{
	unsigned at = list_find(l, f);

	if (at < l->n)
		memmove(&l->v[at], &l->v[at + 1], (--l->n - at) * sizeof(l->v[0]));
}

bool
filters_listen(struct str filters, enum filter_kind kind)
{
	struct rd rd = rd_of(filters);
	struct filter f;

	while (filters_next(&rd, &f))
		if (f.kind == kind)
			return true;
	return false;
}
