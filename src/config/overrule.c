/*
 * What a back end has written and configurations have not let stand (J-50, J-58, J-59), told by three states of desired: before
 * the operation, after it, and after the configurations. What differs from the first to the second the operation has written;
 * of that, what differs from the second to the third they have overruled.
 */
#include <stdlib.h>

#include "config/configuration.h"
#include "config/priv.h"

struct overruled {
	struct buf path;      /* so far */
	struct buf first;     /* the first path */
	struct str by;        /* whose it is; empty: it is there no more */
	uint32_t n;           /* paths */
	struct stamp *stamps; /* of what is there now */
};

/* Who has written the first leaf of it. */
static struct str
writer_of(const struct overruled *o, struct doc d)
{
	struct doc_iter it = doc_iter(doc_kind(d) == DOC_OBJECT ? d : DOC_NONE);
	struct str key;
	struct doc v;

	if (!doc_defined(d))
		return STR_NONE;
	return doc_next(&it, &key, &v) ? writer_of(o, v) : o->stamps[doc_stamp(d)].by;
}

static void
note(struct overruled *o, struct doc now)
{
	if (o->n++ > 0)
		return;
	buf_str(&o->first, buf_view(&o->path));
	o->by = writer_of(o, now);
}

static void look(struct overruled *o, struct doc was, struct doc said, struct doc now);

static void
look_member(struct overruled *o, struct str key, struct doc was, struct doc said, struct doc now)
{
	size_t from = o->path.n;

	buf_putc(&o->path, '.');
	buf_str(&o->path, key);
	look(o, doc_get(was, key), doc_get(said, key), doc_get(now, key));
	o->path.n = from;
}

static bool
same(struct doc a, struct doc b)
{
	return doc_defined(a) ? doc_defined(b) && doc_equal(a, b) : !doc_defined(b);
}

/* At most TWIN_DEPTH_MAX deep. */
static void
look(struct overruled *o, struct doc was, struct doc said, struct doc now)
{
	struct doc_iter it;
	struct str key;
	struct doc v;

	if (same(said, now) || same(was, said))
		return;
	if (doc_kind(said) != DOC_OBJECT || doc_kind(now) != DOC_OBJECT) {
		note(o, now);
		return;
	}
	it = doc_iter(said);
	while (doc_next(&it, &key, &v))
		look_member(o, key, was, said, now);
	it = doc_iter(now);
	while (doc_next(&it, &key, &v))
		if (!doc_defined(doc_get(said, key)))
			look_member(o, key, was, said, now);
}

static void
put_warning(const struct overruled *o, const struct configurations *set, struct buf *out)
{
	const struct configuration *c = configurations_find(set, o->by);

	buf_str(out, buf_view(&o->first));
	if (c != NULL)
		buf_printf(out,
		    " is owned by the configuration '" STR_FMT
		    "' (priority %lld), and its value was put back",
		    STR_ARG(c->id), (long long)c->priority);
	else
		buf_cstr(out, " was taken away again: a configuration says that it is not there");
	if (o->n > 1)
		buf_printf(out, "; and %u more path%s likewise", o->n - 1, o->n > 2 ? "s" : "");
}

void
overruled_warn(const struct configurations *set, struct str was, struct str said, struct str now,
    struct buf *out)
{
	struct overruled o = { 0 };
	struct wanted before, after, is;

	if (!wanted_decode(was, &before) || !wanted_decode(said, &after) ||
	    !wanted_decode(now, &is))
		return;
	o.stamps = xcalloc(is.desired.nstamp + 1, sizeof(*o.stamps));
	section_stamps(&is.desired, o.stamps);
	buf_cstr(&o.path, "properties.desired");
	look(&o, before.desired.root, after.desired.root, is.desired.root);
	if (o.n > 0)
		put_warning(&o, set, out);
	free(o.stamps);
	buf_fini(&o.path);
	buf_fini(&o.first);
}
