/*
 * For hub_outcome.c: a twin as a list of leaves, each with its path ("a/b"), value and owner, and what configurations make of
 * it by the plainest means. Values are strings of one letter, short or so long that a dozen do not fit, or empty objects.
 */
#ifndef OUTCOME_MODEL_H
#define OUTCOME_MODEL_H

#include "configuration_kit.h"

#define LEAVES  160
#define ITEMS   24
#define CONFIGS 5
#define BIG     3900u
#define GONE    UINT32_MAX /* an item's size: null */

struct leaf {
	char path[12]; /* "a", "a/b", "a/b/c" */
	char letter;
	uint32_t size; /* of the string; 0: an empty object */
	int owner;     /* -1: by hand */
};

struct tree {
	struct leaf v[LEAVES];
	uint32_t n;
};

/* One key of a content, or a patch by hand: what it sets, one after the other. */
struct items {
	char at[12]; /* the key's path; empty: the root */
	struct leaf v[ITEMS];
	uint32_t n;
};

struct model_configuration {
	bool there;
	int priority;
	struct items key[2];
	uint32_t nkey;
};

struct model {
	struct model_configuration c[CONFIGS];
	struct tree twin;
	bool applied[CONFIGS];
};

/* ---- trees ---- */

/* Is b below a, or a itself? */
static bool
covers(const char *a, const char *b)
{
	size_t n = strlen(a);

	return n == 0 || (strncmp(a, b, n) == 0 && (b[n] == '\0' || b[n] == '/'));
}

static bool
below(const char *a, const char *b)
{
	return covers(a, b) && strcmp(a, b) != 0;
}

static void
tree_drop(struct tree *t, uint32_t i)
{
	t->v[i] = t->v[--t->n];
}

static void
tree_add(struct tree *t, const struct leaf *l)
{
	assert_true(t->n < LEAVES);
	t->v[t->n++] = *l;
}

static bool
has_below(const struct tree *t, const char *path)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (below(path, t->v[i].path))
			return true;
	return false;
}

static bool
has_object(const struct tree *t, const char *path)
{
	if (path[0] == '\0' || has_below(t, path))
		return true;
	for (uint32_t i = 0; i < t->n; i++)
		if (strcmp(t->v[i].path, path) == 0 && t->v[i].size == 0)
			return true;
	return false;
}

/* Who names an empty object has it. */
static void
name_empty(struct tree *t, const char *path, int owner)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (strcmp(t->v[i].path, path) == 0 && t->v[i].size == 0)
			t->v[i].owner = owner;
}

static void
parent_of(const char *path, char out[12])
{
	char *end;

	snprintf(out, 12, "%s", path);
	end = strrchr(out, '/');
	*(end != NULL ? end : out) = '\0';
}

static void
put_empty(struct tree *t, const char *path, int owner)
{
	struct leaf l = { .owner = owner };

	if (path[0] == '\0')
		return;
	snprintf(l.path, sizeof(l.path), "%s", path);
	tree_add(t, &l);
}

/* Leaves where an object is to be, from the root to that path. */
static void
clear_way(struct tree *t, const char *path)
{
	for (uint32_t i = 0; i < t->n;)
		if (covers(t->v[i].path, path))
			tree_drop(t, i);
		else
			i++;
}

/* RFC 7396, for one leaf. */
static void
tree_merge(struct tree *t, const struct leaf *item, int owner)
{
	struct leaf l = *item;
	char parent[12];
	bool was = false;

	l.owner = owner;
	parent_of(l.path, parent);
	if (l.size == 0 && has_object(t, l.path)) {
		name_empty(t, l.path, owner);
		return;
	}
	if (l.size != GONE) {
		clear_way(t, l.path);
		for (uint32_t i = 0; i < t->n;)
			if (covers(l.path, t->v[i].path))
				tree_drop(t, i);
			else
				i++;
		tree_add(t, &l);
		return;
	}
	for (uint32_t i = 0; i < t->n;)
		if (covers(l.path, t->v[i].path)) {
			tree_drop(t, i);
			was = true;
		} else {
			i++;
		}
	if (was ? !has_below(t, parent) : !has_object(t, parent)) {
		clear_way(t, parent);
		put_empty(t, parent, owner);
	} else {
		name_empty(t, parent, owner);
	}
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct leaf *)a)->path, ((const struct leaf *)b)->path);
}

/* T-81: each node's key, and each string. */
static uint32_t
tree_size(struct tree *t)
{
	uint32_t size = 0;

	qsort(t->v, t->n, sizeof(t->v[0]), by_path);
	for (uint32_t i = 0; i < t->n; i++) {
		const char *p = t->v[i].path, *q = i > 0 ? t->v[i - 1].path : "";
		size_t shared = 0;

		for (size_t k = 0; k <= strlen(p); k++)
			if ((p[k] == '/' || p[k] == '\0') && strncmp(p, q, k) == 0 &&
			    (q[k] == '/' || q[k] == '\0'))
				shared = k;
		for (size_t k = shared; k < strlen(p); k++)
			size += p[k] != '/';
		size += t->v[i].size;
	}
	return size;
}

/* ---- the naive evaluator ---- */

static uint32_t
in_order(const struct model *m, int order[CONFIGS])
{
	uint32_t n = 0;

	for (int i = 0; i < CONFIGS; i++) {
		uint32_t at = n;

		if (!m->c[i].there)
			continue;
		for (; at > 0 && m->c[order[at - 1]].priority < m->c[i].priority; at--)
			order[at] = order[at - 1];
		order[at] = i;
		n++;
	}
	return n;
}

/* Does somebody of these who comes before say this key? */
static bool
owns(const struct model *m, unsigned among, int i, uint32_t k)
{
	for (int j = 0; j < CONFIGS; j++)
		for (uint32_t q = 0; (among >> j & 1) && q < m->c[j].nkey; q++)
			if (m->c[j].priority > m->c[i].priority &&
			    strcmp(m->c[j].key[q].at, m->c[i].key[k].at) == 0)
				return false;
	return true;
}

/* What these say together. */
static void
effective_of(const struct model *m, unsigned among, struct tree *want)
{
	int order[CONFIGS];

	want->n = 0;
	for (uint32_t o = in_order(m, order); o-- > 0;) {
		const struct model_configuration *c = &m->c[order[o]];

		for (uint32_t k = c->nkey; (among >> order[o] & 1) && k-- > 0;)
			for (uint32_t i = 0; owns(m, among, order[o], k) && i < c->key[k].n; i++)
				tree_merge(want, &c->key[k].v[i], order[o]);
	}
}

/* Does a null of these take the leaf away? */
static bool
nulled(const struct model *m, unsigned among, const struct tree *want, const char *path)
{
	for (int c = 0; c < CONFIGS; c++)
		for (uint32_t k = 0; (among >> c & 1) && k < m->c[c].nkey; k++)
			for (uint32_t i = 0; owns(m, among, c, k) && i < m->c[c].key[k].n; i++) {
				const struct leaf *item = &m->c[c].key[k].v[i];

				if (item->size == GONE && covers(item->path, path) &&
				    !has_object(want, item->path)) {
					bool said = false;

					for (uint32_t w = 0; w < want->n; w++)
						said |= strcmp(want->v[w].path, item->path) == 0;
					if (!said)
						return true;
				}
			}
	return false;
}

/* A leaf by hand, under what is wanted. */
static bool
stands(const struct model *m, unsigned among, const struct tree *want, const struct leaf *h)
{
	if (nulled(m, among, want, h->path))
		return false;
	for (uint32_t i = 0; i < want->n; i++) {
		const struct leaf *w = &want->v[i];

		if (covers(h->path, w->path) || (covers(w->path, h->path) && w->size != 0))
			return false;
	}
	return true;
}

static void
lay_of(const struct model *m, unsigned among, const struct tree *have, struct tree *out)
{
	struct tree want;

	effective_of(m, among, &want);
	out->n = 0;
	for (uint32_t i = 0; i < have->n; i++)
		if (have->v[i].owner < 0 && stands(m, among, &want, &have->v[i]))
			tree_add(out, &have->v[i]);
	for (uint32_t i = 0; i < want.n; i++)
		if (want.v[i].size != 0 || !has_below(out, want.v[i].path))
			tree_add(out, &want.v[i]);
}

static bool
fits(const struct model *m, unsigned among, const struct tree *have)
{
	struct tree t;

	effective_of(m, among, &t);
	if (tree_size(&t) > PROPERTIES_SIZE_MAX)
		return false;
	lay_of(m, among, have, &t);
	return tree_size(&t) <= PROPERTIES_SIZE_MAX;
}

static unsigned
choose(const struct model *m, unsigned among, const struct tree *have)
{
	unsigned in = 0;
	int order[CONFIGS];
	uint32_t n = in_order(m, order);

	for (uint32_t o = 0; o < n; o++)
		if ((among >> order[o] & 1) && fits(m, in | 1u << order[o], have))
			in |= 1u << order[o];
	return in;
}

/* Leaves that no item of any of these touches. */
static void
uncontested_of(const struct model *m, unsigned among, const struct tree *have, struct tree *out)
{
	out->n = 0;
	for (uint32_t h = 0; h < have->n; h++) {
		bool touched = have->v[h].owner >= 0;

		for (int c = 0; c < CONFIGS; c++)
			for (uint32_t k = 0; (among >> c & 1) && k < m->c[c].nkey; k++)
				for (uint32_t i = 0; i < m->c[c].key[k].n; i++) {
					const struct leaf *l = &m->c[c].key[k].v[i];

					touched |= covers(have->v[h].path, l->path) ||
					    (covers(l->path, have->v[h].path) && l->size != 0);
				}
		if (!touched)
			tree_add(out, &have->v[h]);
	}
}

static unsigned
choose_among(const struct model *m, unsigned among, const struct tree *have, struct tree *laid)
{
	struct tree free_leaves;
	unsigned in;

	uncontested_of(m, among, have, &free_leaves);
	in = choose(m, among, &free_leaves);
	while (lay_of(m, in, have, laid), in != 0 && tree_size(laid) > PROPERTIES_SIZE_MAX)
		in = choose(m, in, laid);
	return in;
}

static unsigned
without_lowest(const struct model *m, unsigned among, unsigned in)
{
	int order[CONFIGS];

	for (uint32_t o = in_order(m, order); o-- > 0;)
		if (in >> order[o] & 1)
			return among & ~(1u << order[o]);
	return among;
}

static void
evaluate(struct model *m)
{
	struct tree have = m->twin, laid, again;
	unsigned among = 0, in;

	for (int i = 0; i < CONFIGS; i++)
		among |= (unsigned)m->c[i].there << i;
	while (in = choose_among(m, among, &have, &laid),
	    in != 0 && choose_among(m, among, &laid, &again) != in)
		among = without_lowest(m, among, in);
	m->twin = laid;
	for (int i = 0; i < CONFIGS; i++) {
		m->applied[i] = false;
		for (uint32_t k = 0; (in >> i & 1) && k < m->c[i].nkey; k++)
			m->applied[i] |= owns(m, in, i, k);
	}
}

#endif
