/* Values for queries: a section's members where they stand, $version and $metadata as a small doc in the scratch. */
#include "twin/priv.h"

static bool
dollar(struct str key)
{
	return key.n > 0 && key.p[0] == '$';
}

/* Follow plain keys; DOC_NONE when one is missing. */
static struct doc
descend(struct doc d, const struct str *path, unsigned npath)
{
	for (unsigned i = 0; i < npath && doc_defined(d); i++)
		d = doc_get(d, path[i]);
	return d;
}

/* What $metadata shows at a path below it: a node with all below it, or one member of its stamp. */
static void
put_metadata_at(struct out *o, const struct section *s, enum section_kind kind,
    const struct str *path, unsigned npath)
{
	bool member = npath > 0 && dollar(path[npath - 1]);
	struct doc d = descend(s->root, path, npath - member);
	struct stamp st;

	if (!doc_defined(d))
		return;
	if (!member) {
		metadata_put(o, s, kind, d);
		return;
	}
	st = section_stamp(s, doc_stamp(d));
	stamp_put_member(o, &st, kind, path[npath - 1]);
}

struct doc
section_get(const struct section *s, enum section_kind kind, const struct str *path, unsigned npath,
    struct buf *scratch)
{
	size_t start = scratch->n;
	struct doc_writer dw;
	struct out o;

	if (kind == SECTION_TAGS || (npath > 0 && !dollar(path[0])))
		return descend(s->root, path, npath);
	doc_writer_init(&dw, scratch, 0);
	o = out_to_doc(&dw);
	if (npath == 0)
		section_put(&o, s, kind);
	else if (npath == 1 && str_eq(path[0], STR("$version")))
		out_u64(&o, s->version);
	else if (str_eq(path[0], STR("$metadata")))
		put_metadata_at(&o, s, kind, path + 1, npath - 1);
	if (scratch->n == start)
		return DOC_NONE;
	return doc_of((struct str){ scratch->p + start, scratch->n - start });
}
