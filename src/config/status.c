/* See status.h. */
#include "config/status.h"

struct doc
status_of(struct str configurations, struct str id)
{
	if (configurations.n == 0)
		return DOC_NONE;
	return doc_getc(doc_get(doc_of(configurations), id), "status");
}

bool
status_is(struct doc state, const char *name)
{
	return doc_kind(state) == DOC_STRING && str_eq(doc_str(state), str_of(name));
}

/* The old states along with the set: both are in the order of ids. An order of somebody else's making only costs time. */
struct old_statuses {
	struct str all;
	struct doc_iter it;
	struct str key;
	struct doc state;
	bool more, sorted;
};

static void
old_statuses_next(struct old_statuses *os)
{
	struct doc v;

	os->more = doc_next(&os->it, &os->key, &v);
	os->state = os->more ? doc_getc(v, "status") : DOC_NONE;
}

static void
old_statuses_init(struct old_statuses *os, struct str all)
{
	struct str last = STR_NONE;

	*os = (struct old_statuses){ .all = all, .sorted = true };
	os->it = doc_iter(all.n != 0 ? doc_of(all) : DOC_NONE);
	for (struct doc_iter it = os->it; doc_next(&it, &os->key, &os->state); last = os->key)
		os->sorted = os->sorted && str_cmp(last, os->key) < 0;
	old_statuses_next(os);
}

static struct doc
old_statuses_find(struct old_statuses *os, struct str id)
{
	if (!os->sorted)
		return status_of(os->all, id);
	while (os->more && str_cmp(os->key, id) < 0)
		old_statuses_next(os);
	return os->more && str_eq(os->key, id) ? os->state : DOC_NONE;
}

struct status_changes
statuses_write(const struct configurations *set, const struct chosen *matched,
    const struct chosen *applied, struct str old, struct buf *out)
{
	struct status_changes st = { 0 };
	struct old_statuses os;
	struct doc_writer dw;
	uint32_t n = 0, kept = 0;

	old_statuses_init(&os, old);
	out->n = 0;
	doc_writer_init(&dw, out, 0);
	doc_begin_object(&dw, 0);
	for (uint32_t i = 0; i < set->n; i++) {
		struct doc was = old_statuses_find(&os, set->v[i]->id);
		const char *now = chosen_has(applied, i) ? "Applied" : "Targeted";

		if (!chosen_has(matched, i))
			continue;
		n++;
		kept += doc_defined(was);
		st.targeted |=
		    !doc_defined(was) || (!chosen_has(applied, i) && !status_is(was, "Targeted"));
		st.applied |= chosen_has(applied, i) && !status_is(was, "Applied");
		doc_key(&dw, set->v[i]->id);
		doc_begin_object(&dw, 0);
		doc_key(&dw, STR("status"));
		doc_put_str(&dw, 0, str_of(now));
		doc_end(&dw);
	}
	doc_end(&dw);
	st.gone = old.n != 0 && doc_count(doc_of(old)) > kept;
	if (n == 0)
		out->n = 0;
	return st;
}
