/* The members of an object by key: a look at the next, then a linear search, or a hash index when there are many. */
#include "twin/priv.h"

#include <stdlib.h>

void
members_init(struct members *ms, struct doc object)
{
	struct walk it = walk_of(object);
	struct member m = { .taken = false };
	uint32_t cap = MEMBERS_FEW;

	ms->v = ms->few;
	ms->n = ms->next = 0;
	ms->index = (struct table){ 0 };
	while (walk_next(&it, &m.key, &m.value)) {
		if (m.key.n > 0 && m.key.p[0] == '$')
			continue;
		if (ms->n == cap) {
			cap = doc_count(object);
			ms->v = xmalloc(cap * sizeof(*ms->v));
			memcpy(ms->v, ms->few, sizeof(ms->few));
		}
		ms->v[ms->n++] = m;
	}
	ms->left = ms->n;
}

void
members_fini(struct members *ms)
{
	if (ms->index.cells != NULL)
		table_fini(&ms->index);
	if (ms->v != ms->few)
		free(ms->v);
}

static bool
member_same(const void *ctx, uint32_t value, const void *key)
{
	const struct members *ms = ctx;
	const struct str *k = key;

	return str_eq(ms->v[value].key, *k);
}

static uint32_t
members_find(struct members *ms, struct str key)
{
	if (ms->next < ms->n && str_eq(ms->v[ms->next].key, key))
		return ms->next;
	if (ms->n <= MEMBERS_FEW) {
		for (uint32_t i = 0; i < ms->n; i++)
			if (str_eq(ms->v[i].key, key))
				return i;
		return TABLE_NONE;
	}
	if (ms->index.cells == NULL)
		for (uint32_t i = 0; i < ms->n; i++)
			table_add(&ms->index, hash_table(ms->v[i].key), i);
	return table_get(&ms->index, hash_table(key), member_same, ms, &key);
}

const struct member *
members_take(struct members *ms, struct str key)
{
	uint32_t i;

	if (ms->left == 0 || (i = members_find(ms, key)) == TABLE_NONE || ms->v[i].taken)
		return NULL;
	ms->v[i].taken = true;
	ms->next = i + 1;
	ms->left--;
	return &ms->v[i];
}
