/* Shares: see share.h. */
#include "worker/share.h"

#include <stdlib.h>

void
shares_init(struct shares *s, const uint64_t limit[SHARE_KINDS])
{
	*s = (struct shares){ 0 };
	memcpy(s->limit, limit, sizeof(s->limit));
}

void
shares_fini(struct shares *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		assert(s->v[i] == NULL);
	free(s->v);
	table_fini(&s->by_name);
}

/* ---- the tree ---- */

static bool
same_name(const void *ctx, uint32_t number, const void *name)
{
	const struct shares *s = ctx;

	return str_eq(buf_view(&s->v[number]->name), *(const struct str *)name);
}

static uint32_t
number_free(struct shares *s)
{
	uint32_t i = s->taken;

	while (i < s->n && s->v[i] != NULL)
		i++;
	s->taken = i + 1;
	if (i == s->n) {
		s->n = s->n > 0 ? 2 * s->n : 16;
		s->v = xrealloc(s->v, s->n * sizeof(struct share *));
		memset(s->v + i, 0, (s->n - i) * sizeof(struct share *));
	}
	return i;
}

static struct share *
share_new(struct shares *s, struct share *parent, struct buf *name, uint64_t hash)
{
	struct share *sh = xcalloc(1, sizeof(*sh));

	sh->parent = parent;
	sh->name = *name;
	sh->hash = hash;
	sh->number = number_free(s);
	for (unsigned i = 0; i < SHARE_LANES; i++)
		sh->end[i] = &sh->first[i];
	parent->refs++;
	s->v[sh->number] = sh;
	table_add(&s->by_name, hash, sh->number);
	return sh;
}

static struct share *
child_get(struct shares *s, struct share *parent, struct str own)
{
	struct buf name = { 0 };
	struct str key;
	uint64_t hash;
	uint32_t i;

	buf_le64(&name, parent == &s->all ? UINT64_MAX : parent->number);
	buf_str(&name, own);
	key = buf_view(&name);
	hash = hash_table(key);
	i = table_get(&s->by_name, hash, same_name, s, &key);
	if (i == TABLE_NONE)
		return share_new(s, parent, &name, hash);
	buf_fini(&name);
	return s->v[i];
}

struct share *
share_get(struct shares *s, struct str who, struct str from)
{
	struct share *sh = child_get(s, child_get(s, &s->all, who), from);

	sh->refs++;
	return sh;
}

void
share_drop(struct shares *s, struct share *sh)
{
	while (sh != &s->all && --sh->refs == 0) {
		struct share *parent = sh->parent;

		table_remove(&s->by_name, sh->hash, sh->number);
		s->v[sh->number] = NULL;
		if (sh->number < s->taken)
			s->taken = sh->number;
		buf_fini(&sh->name);
		free(sh);
		sh = parent;
	}
}

/* ---- who has how much ---- */

static bool
active(const struct share *sh, enum share_kind kind)
{
	return sh->used[kind] + sh->wanted[kind] > 0;
}

/* What it may have in all. Who asks for it counts as one who has some. */
static uint64_t
cap(const struct shares *s, const struct share *sh, enum share_kind kind)
{
	uint64_t part;

	if (sh->parent == NULL)
		return s->limit[kind];
	part =
	    cap(s, sh->parent, kind) / (sh->parent->nactive[kind] + (active(sh, kind) ? 0 : 1) + 1);
	return part > 0 ? part : 1;
}

bool
share_fits(const struct shares *s, const struct share *sh, enum share_kind kind, uint64_t n)
{
	for (; sh != NULL; sh = sh->parent)
		if (sh->used[kind] + n > cap(s, sh, kind))
			return false;
	return true;
}

/* Who has been away does not have its time made up for. */
static void
catch_up(struct share *sh, enum share_kind lane)
{
	uint64_t clock = atomic_load(&sh->parent->clock_ns[lane]);

	if (atomic_load(&sh->served_ns[lane]) < clock)
		atomic_store(&sh->served_ns[lane], clock);
}

static void
change(struct share *sh, enum share_kind kind, int64_t used, int64_t wanted)
{
	for (; sh != NULL; sh = sh->parent) {
		bool was = active(sh, kind);

		sh->used[kind] += (uint64_t)used;
		sh->wanted[kind] += (uint64_t)wanted;
		assert((int64_t)sh->used[kind] >= 0 && (int64_t)sh->wanted[kind] >= 0);
		if (sh->parent == NULL || active(sh, kind) == was)
			continue;
		if (!was && kind < SHARE_LANES)
			catch_up(sh, kind);
		sh->parent->nactive[kind] += was ? -1U : 1U;
	}
}

void
share_use(struct share *sh, enum share_kind kind, int64_t by)
{
	change(sh, kind, by, 0);
}

void
share_want(struct share *sh, enum share_kind kind, int64_t by)
{
	change(sh, kind, 0, by);
}

/* ---- time of workers ---- */

/* The clock is nearly the least: two workers may differ. */
void
share_served(struct share *sh, enum share_kind lane, uint64_t ns)
{
	for (; sh->parent != NULL; sh = sh->parent) {
		uint64_t begin = atomic_fetch_add(&sh->served_ns[lane], ns);

		if (atomic_load(&sh->parent->clock_ns[lane]) < begin)
			atomic_store(&sh->parent->clock_ns[lane], begin);
	}
}

bool
share_before(const struct share *a, const struct share *b, enum share_kind lane)
{
	if (a->parent != b->parent) {
		a = a->parent;
		b = b->parent;
	}
	return atomic_load(&a->served_ns[lane]) < atomic_load(&b->served_ns[lane]);
}
