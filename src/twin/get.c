/* Values for queries: a section's members where they stand, $version and $metadata as a small doc in the scratch. */
#include "twin/priv.h"

#include <inttypes.h>
#include <stdio.h>

struct metadata {
	struct doc_writer dw;
	const struct section *s;
	bool desired;
	struct stamp_index stamps;
};

/* The stamp's members, or only the one that is asked for; false if the stamp has no such member. */
static bool
stamp_members(struct metadata *m, struct stamp st, bool keyed, const struct str *only)
{
	struct {
		struct str name;
		bool there;
	} member[] = { { STR("$lastUpdated"), true },
		{ STR("$lastUpdatedVersion"), m->desired && st.version > 0 },
		{ STR("$lastUpdatedBy"), st.by.n > 0 },
		{ STR("$lastUpdatedByDigest"), st.by.n > 0 } };
	char text[TIME_TEXT_MAX];
	bool any = false;

	for (unsigned i = 0; i < 4; i++) {
		if (!member[i].there || (only != NULL && !str_eq(*only, member[i].name)))
			continue;
		any = true;
		if (keyed)
			doc_key(&m->dw, member[i].name);
		switch (i) {
		case 0:
			doc_put_str(&m->dw, 0, (struct str){ text, time_format(st.time_us, text) });
			break;
		case 1: doc_put_int(&m->dw, 0, st.version); break;
		case 2: doc_put_str(&m->dw, 0, st.by); break;
		default:
			snprintf(text, sizeof(text), "%" PRId64, st.by_digest);
			doc_put_str(&m->dw, 0, str_of(text));
		}
	}
	return any;
}

static void
entry_put(struct metadata *m, struct doc d)
{
	struct doc_iter it;
	struct doc value;
	struct str key;

	doc_begin_object(&m->dw, 0);
	stamp_members(m, stamp_at(m->s, &m->stamps, doc_stamp(d)), true, NULL);
	if (doc_kind(d) == DOC_OBJECT) {
		for (it = doc_iter(d); doc_next(&it, &key, &value);) {
			doc_key(&m->dw, key);
			entry_put(m, value);
		}
	}
	doc_end(&m->dw);
}

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

/* What $metadata shows at a path below it. */
static bool
metadata_put(struct metadata *m, const struct str *path, unsigned npath)
{
	bool member = npath > 0 && dollar(path[npath - 1]);
	struct doc d = descend(m->s->root, path, npath - member);

	if (!doc_defined(d))
		return false;
	if (member)
		return stamp_members(m, section_stamp(m->s, doc_stamp(d)), false, &path[npath - 1]);
	stamp_index_init(&m->stamps, m->s);
	entry_put(m, d);
	stamp_index_fini(&m->stamps);
	return true;
}

static void
whole_put(struct metadata *m)
{
	struct doc_iter it = doc_iter(m->s->root);
	struct doc value;
	struct str key;

	doc_begin_object(&m->dw, 0);
	while (doc_next(&it, &key, &value)) {
		doc_key(&m->dw, key);
		doc_put_copy(&m->dw, 0, value);
	}
	doc_key(&m->dw, STR("$metadata"));
	metadata_put(m, NULL, 0);
	doc_key(&m->dw, STR("$version"));
	doc_put_int(&m->dw, 0, m->s->version);
	doc_end(&m->dw);
}

struct doc
section_get(const struct section *s, enum section_kind kind, const struct str *path, unsigned npath,
    struct buf *scratch)
{
	struct metadata m = { .s = s, .desired = kind == SECTION_DESIRED };
	size_t start = scratch->n;

	if (kind == SECTION_TAGS || (npath > 0 && !dollar(path[0])))
		return descend(s->root, path, npath);
	doc_writer_init(&m.dw, scratch, 0);
	if (npath == 0)
		whole_put(&m);
	else if (npath == 1 && str_eq(path[0], STR("$version")))
		doc_put_int(&m.dw, 0, s->version);
	else if (!str_eq(path[0], STR("$metadata")) || !metadata_put(&m, path + 1, npath - 1))
		return DOC_NONE;
	return doc_of((struct str){ scratch->p + start, scratch->n - start });
}
