/*
 * A part's groups as bytes (the frame: partial.c), and the merge, which takes bytes only: a part may have been made elsewhere.
 *
 *   body     number of groups (varint), groups | number of met values (varint), met values
 *   group    key with its length | for each aggregate, in the order of the items: n (varint) and, if it is none of
 *            COUNT and n > 0, its sum or extreme (8: a double's bits)
 *   met      of COUNT(DISTINCT): number of the group, slot (varints) | value as a group key, with its length
 *
 * Numbers of eight bytes are little-endian. What a part says is checked before it counts: keys, values and slots are those that
 * this plan can make, so that no part, whoever sent it, has more to say than other rows could have said.
 */
#include "query/priv.h"

#include <math.h>
#include <stdlib.h>

static bool
has_number(const struct item *it)
{
	return it->kind != ITEM_PATH && it->kind != ITEM_COUNT && it->kind != ITEM_DISTINCT;
}

static bool
has_count(const struct item *it)
{
	return it->kind == ITEM_COUNT || has_number(it);
}

/* ---- to bytes ---- */

static void
put_tally(struct buf *b, const struct item *it, const struct tally *t)
{
	uint64_t bits;

	if (!has_count(it))
		return;
	buf_varint(b, t->n);
	if (has_number(it) && t->n > 0) {
		memcpy(&bits, &t->v, sizeof(bits));
		buf_le64(b, bits);
	}
}

static void
put_groups(struct buf *b, const struct query_groups *g)
{
	buf_varint(b, g->n);
	for (uint32_t i = 0; i < g->n; i++) {
		buf_lstr(b, groups_key(g, i));
		for (const struct item *it = g->q->items; it != NULL; it = it->next)
			put_tally(b, it, &g->tally[(size_t)i * g->q->ntally + it->slot]);
	}
	buf_varint(b, g->met.n);
	for (uint32_t i = 0; i < g->met.n; i++) {
		uint32_t group, slot;
		struct str value = groups_met(g, i, &group, &slot);

		buf_varint(b, group);
		buf_varint(b, slot);
		buf_lstr(b, value);
	}
}

void
query_groups_put(const struct query_groups *g, struct buf *out)
{
	size_t from = partial_begin(out, PARTIAL_GROUPS, g->q, query_groups_bytes(g));

	put_groups(out, g);
	partial_end(out, from);
}

/* ---- from bytes ---- */

/* The key of a group: as many values as there are grouped paths. */
static bool
group_valid(const struct query *q, struct str key)
{
	struct rd at = rd_of(key);

	for (uint32_t i = 0; i < q->ngroup; i++)
		if (!key_check(&at))
			return false;
	return at.p == at.end;
}

static bool
read_tally(struct rd *r, const struct item *it, struct tally *t)
{
	uint64_t bits;

	*t = (struct tally){ .n = rd_varint(r) };
	if (has_number(it) && t->n > 0) {
		bits = rd_le64(r);
		memcpy(&t->v, &bits, sizeof(bits));
		if ((it->kind == ITEM_MIN || it->kind == ITEM_MAX) && !isfinite(t->v))
			return false;
	}
	return !r->bad && t->n <= PARTIAL_ROWS_MAX;
}

/* Its number in `into` is *to. */
static enum err
merge_group(struct query_groups *into, struct rd *r, uint32_t *to, struct fault *f)
{
	struct str key = rd_lstr(r);
	enum err e;

	if (r->bad || !group_valid(into->q, key))
		return ERR_CORRUPT;
	if ((e = groups_find(into, key, to, f)))
		return e;
	for (const struct item *it = into->q->items; it != NULL; it = it->next) {
		struct tally t;

		if (!has_count(it))
			continue;
		if (!read_tally(r, it, &t))
			return ERR_CORRUPT;
		tally_add(
		    &into->tally[(size_t)*to * into->q->ntally + it->slot], it->kind, t.n, t.v);
	}
	return ERR_OK;
}

static bool
is_distinct(const struct query *q, uint64_t slot)
{
	for (const struct item *it = q->items; it != NULL; it = it->next)
		if (it->kind == ITEM_DISTINCT && it->slot == slot)
			return true;
	return false;
}

/* to: the numbers that the part's n groups have in `into`. */
static enum err
merge_met(struct query_groups *into, struct rd *r, const uint32_t *to, uint64_t n, struct fault *f)
{
	uint64_t group = rd_varint(r), slot = rd_varint(r);
	struct str value = rd_lstr(r);
	struct rd at = rd_of(value);

	if (r->bad || group >= n || !is_distinct(into->q, slot))
		return ERR_CORRUPT;
	if (!key_check(&at) || at.p != at.end || key_undefined(value))
		return ERR_CORRUPT;
	return groups_meet_key(into, to[group], (uint32_t)slot, value, f);
}

static enum err
merge_body(struct query_groups *into, struct str body, struct fault *f)
{
	struct rd r = rd_of(body);
	uint64_t n = rd_varint(&r), nmet;
	uint32_t *to;
	enum err e = ERR_OK;

	if (n > body.n) /* each takes a byte at least */
		return ERR_CORRUPT;
	to = xmalloc((n + 1) * sizeof(*to));
	for (uint64_t i = 0; e == ERR_OK && i < n; i++)
		e = merge_group(into, &r, &to[i], f);
	nmet = e == ERR_OK ? rd_varint(&r) : 0;
	for (uint64_t i = 0; e == ERR_OK && i < nmet; i++)
		e = merge_met(into, &r, to, n, f);
	if (e == ERR_OK && (r.bad || r.p != r.end))
		e = ERR_CORRUPT;
	free(to);
	return e;
}

enum err
query_groups_merge(struct query_groups *into, struct str *parts, struct fault *f)
{
	struct str body;
	enum err e = partial_take(parts, PARTIAL_GROUPS, into->q, &body);

	if (e == ERR_OK)
		e = merge_body(into, body, f);
	return e == ERR_CORRUPT ? partial_damaged(f) : e;
}
