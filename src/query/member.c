/* Documents that rows are shown as, from tables of their members. */
#include "query/query.h"

void
query_members_write(const struct query_member *members, size_t n, const void *row, struct out *o)
{
	for (const struct query_member *m = members; m < members + n; m++)
		m->put(row, m->name, o);
}

const struct query_member *
query_member_of(const struct query_member *members, size_t n, enum query_root root)
{
	if (root < n && members[root].root == root) /* a twin's first ones are at their number */
		return &members[root];
	for (const struct query_member *m = members; m < members + n; m++)
		if (m->root == root)
			return m;
	return NULL;
}

struct doc
query_member_value(const struct query_member *m, const void *row, struct buf *scratch)
{
	struct doc_writer dw;
	size_t from = scratch->n;
	struct out o;

	if (m == NULL)
		return DOC_NONE;
	doc_writer_init(&dw, scratch, 0);
	o = out_to_doc(&dw);
	m->put(row, NULL, &o);
	if (scratch->n == from)
		return DOC_NONE;
	return doc_of((struct str){ scratch->p + from, scratch->n - from });
}
