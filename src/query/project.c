/* Results of rows: whole documents, or an object with what the select list names. */
#include "query/priv.h"

static void
write_section(const struct row *r, enum section_kind kind, struct buf *json)
{
	const struct section *s = r->ops->section(r->row, kind);

	if (kind == SECTION_TAGS)
		section_write_tags(json, s);
	else
		section_write_service(json, s, kind);
}

/* `properties`: both sections as GET shows them. */
static void
write_properties(const struct row *r, struct buf *json)
{
	static const char *const keys[] = {
		[SECTION_DESIRED] = "\"desired\":", [SECTION_REPORTED] = "\"reported\":"
	};
	char sep = '{';

	for (int k = SECTION_DESIRED; k <= SECTION_REPORTED; k++) {
		if (r->ops->section(r->row, (enum section_kind)k) == NULL)
			continue;
		buf_putc(json, sep);
		buf_cstr(json, keys[k]);
		write_section(r, (enum section_kind)k, json);
		sep = ',';
	}
	buf_cstr(json, sep == '{' ? "{}" : "}");
}

/* One member, or nothing if the item is undefined. */
static bool
write_member(const struct row *r, const struct item *it, char sep, struct buf *json)
{
	const struct path *p = it->path;
	bool section = p->kind == PATH_SECTION && p->nstep == 0,
	     view = section || p->kind == PATH_PROPERTIES;
	struct doc d = view ? DOC_NONE : path_get(r, p);

	if (view ? !path_defined(r, p) : !doc_defined(d))
		return false;
	buf_putc(json, sep);
	buf_str(json, it->key);
	if (section)
		write_section(r, p->section, json);
	else if (view)
		write_properties(r, json);
	else
		doc_write_json(json, d);
	return true;
}

void
query_project(const struct query *q, const struct query_row_ops *ops, const void *row,
    struct query_scratch *s, struct buf *json)
{
	struct row r = { ops, row, s, NULL };
	char sep = '{';

	assert(!q->facts.aggregate);
	if (q->facts.whole) {
		ops->write_document(row, json);
		return;
	}
	row_begin(&r);
	for (const struct item *it = q->items; it != NULL; it = it->next)
		if (write_member(&r, it, sep, json))
			sep = ',';
	buf_cstr(json, sep == '{' ? "{}" : "}");
}
