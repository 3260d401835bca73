/* What each asker has on its way: so that one that floods shards of other nodes, or of nobody, leaves room in the router for all others. */
#include "peers/priv.h"

#include <stdlib.h>

struct share_of {
	uint64_t asker, bytes;
	uint32_t n, next_free;
};

struct shares {
	struct table by_asker;
	struct share_of *v;
	uint32_t used, cap, free;
};

struct shares *
shares_new(void)
{
	struct shares *s = xcalloc(1, sizeof(*s));

	s->free = TABLE_NONE;
	return s;
}

void
shares_free(struct shares *s)
{
	if (s == NULL)
		return;
	table_fini(&s->by_asker);
	free(s->v);
	free(s);
}

static bool
same_asker(const void *ctx, uint32_t value, const void *key)
{
	return ((const struct shares *)ctx)->v[value].asker == *(const uint64_t *)key;
}

static uint32_t
share_find(const struct shares *s, uint64_t asker)
{
	return table_get(&s->by_asker, asker, same_asker, s, &asker);
}

static uint32_t
share_new(struct shares *s, uint64_t asker)
{
	uint32_t i = s->free;

	if (i != TABLE_NONE) {
		s->free = s->v[i].next_free;
	} else {
		if (s->used == s->cap) {
			s->cap = s->cap == 0 ? 64 : 2 * s->cap;
			s->v = xrealloc(s->v, s->cap * sizeof(*s->v));
		}
		i = s->used++;
	}
	s->v[i] = (struct share_of){ .asker = asker };
	table_add(&s->by_asker, asker, i);
	return i;
}

bool
shares_take(struct shares *s, uint64_t asker, uint32_t bytes, bool must)
{
	uint32_t i = share_find(s, asker);
	struct share_of *o;

	if (!must && asker != 0 && i != TABLE_NONE &&
	    (s->v[i].n >= PEERS_SHARE || s->v[i].bytes + bytes > PEERS_SHARE_BYTES))
		return false;
	if (i == TABLE_NONE)
		i = share_new(s, asker);
	o = &s->v[i];
	o->n++;
	o->bytes += bytes;
	return true;
}

void
shares_give(struct shares *s, uint64_t asker, uint32_t bytes)
{
	uint32_t i = share_find(s, asker);
	struct share_of *o = &s->v[i];

	assert(i != TABLE_NONE && o->n > 0);
	o->bytes -= bytes;
	if (--o->n > 0)
		return;
	table_remove(&s->by_asker, asker, i);
	o->next_free = s->free;
	s->free = i;
}
