/* See touched.h. */
#include "config/touched.h"

void
touched_none(struct touched *t)
{
	struct buf ids = t->ids;

	ids.n = 0;
	*t = (struct touched){ .ids = ids };
}

void
touched_all(struct touched *t)
{
	touched_none(t);
	t->all = true;
}

void
touched_fini(struct touched *t)
{
	buf_fini(&t->ids);
}

static bool
knows(const struct touched *t, struct str id)
{
	struct rd rd = rd_of(buf_view(&t->ids));

	for (uint32_t i = 0; i < t->n; i++)
		if (str_eq(rd_lstr(&rd), id))
			return true;
	return false;
}

static void
note(struct touched *t, const struct configuration *c)
{
	t->edge |= c->kind == CONFIGURATION_EDGE;
	if (knows(t, c->id))
		return;
	buf_lstr(&t->ids, c->id);
	t->n++;
}

/* Both are in the order of ids. */
static void
note_differences(
    struct touched *t, const struct configurations *was, const struct configurations *now)
{
	uint32_t i = 0, k = 0;

	while (i < was->n || k < now->n) {
		int cmp = i == was->n ? 1
		    : k == now->n     ? -1
		                      : str_cmp(was->v[i]->id, now->v[k]->id);

		if (cmp < 0) {
			note(t, was->v[i]);
		} else if (cmp > 0) {
			note(t, now->v[k]);
		} else if (was->hashes[i] != now->hashes[k]) {
			note(t, was->v[i]); /* perhaps it went, and its name is another's */
			note(t, now->v[k]);
		}
		i += cmp <= 0;
		k += cmp >= 0;
	}
}

static void
note_conditions(struct touched *t, const struct configurations *now)
{
	t->now = (struct chosen){ 0 };
	t->needs = (struct query_needs){ 0 };
	for (uint32_t k = 0; k < now->n; k++) {
		const struct query_facts *facts = query_facts(now->v[k]->target);

		if (!knows(t, now->v[k]->id))
			continue;
		chosen_add(&t->now, k);
		if (facts->nothing)
			continue;
		t->needs.roots |= facts->match.roots;
		t->needs.sections |= facts->match.sections;
	}
}

void
touched_add(struct touched *t, const struct configurations *was, const struct configurations *now)
{
	if (was == NULL)
		t->all = true;
	if (!t->all)
		note_differences(t, was, now);
	if (t->all || t->n > CONFIGURATIONS_MAX)
		touched_all(t);
	else
		note_conditions(t, now);
}

bool
touched_bears(const struct touched *t, struct str configurations)
{
	struct rd rd = rd_of(buf_view(&t->ids));

	if (configurations.n == 0)
		return false;
	for (uint32_t i = 0; i < t->n; i++)
		if (doc_defined(doc_get(doc_of(configurations), rd_lstr(&rd))))
			return true;
	return false;
}
