/* What a walk delivers: the page, row by row or at the end, when all are known that it is chosen from. */
#include "worker/priv.h"

#include <stdlib.h>

#define SPILL_BYTES (64u << 10)

/* The smallest ids so far, as a heap with the largest on top, and what the registry shows of each. */
struct walk_ids {
	uint32_t n, max;
	struct walk_id {
		struct buf id, json;
	} v[];
};

/* ---- the page ---- */

bool
walk_page_full(const struct walk *k)
{
	return k->nrow == k->limit || k->short_of_room ||
	    k->page.n + k->json.n + k->module_page.n + k->modules.n >= WALK_BYTES_MAX;
}

void
walk_row_begins(struct walk *k)
{
	if (k->nrow++ > 0)
		buf_putc(&k->json, ',');
}

/* Rows gather in a buffer; a growing one would be moved, and be in memory twice, when it is large. What is gathered comes with
 * the walk's seat, the rest of the page is of its share: where that is used up the page ends early. */
static void
spill(struct rope *page, struct buf *rows)
{
	if (rows->n < SPILL_BYTES)
		return;
	rope_put(page, buf_view(rows));
	rows->n = 0;
}

void
walk_row_ends(struct walk *k)
{
	if (k->json.n < SPILL_BYTES && k->modules.n < SPILL_BYTES)
		return;
	spill(&k->page, &k->json);
	spill(&k->module_page, &k->modules);
	k->short_of_room = !ticket_hold(k->ticket, k->page.n + k->module_page.n);
}

void
walk_reflects(const struct walk *k, struct buf *out)
{
	struct buf numbers = { 0 };
	unsigned first = 0, end;
	uint64_t least;

	while (first < SHARDS && k->reflects[first] == 0)
		first++;
	if (first == SHARDS)
		return;
	least = k->reflects[first];
	for (end = first; end < SHARDS && k->reflects[end] != 0; end++)
		if (k->reflects[end] < least)
			least = k->reflects[end];
	buf_varint(&numbers, first);
	buf_varint(&numbers, end - first);
	buf_varint(&numbers, least);
	for (unsigned s = first; s < end; s++)
		buf_varint(&numbers, k->reflects[s] - least);
	base64_encode(out, numbers.p, numbers.n);
	buf_fini(&numbers);
}

/* ---- lists: the smallest ids ---- */

struct walk_ids *
walk_ids_new(uint32_t max)
{
	struct walk_ids *ids = xcalloc(1, sizeof(*ids) + max * sizeof(ids->v[0]));

	ids->max = max;
	return ids;
}

void
walk_ids_free(struct walk_ids *ids)
{
	for (uint32_t i = 0; ids != NULL && i < ids->n; i++) {
		buf_fini(&ids->v[i].id);
		buf_fini(&ids->v[i].json);
	}
	free(ids);
}

static int
id_order(const void *a, const void *b)
{
	return str_cmp(
	    buf_view(&((const struct walk_id *)a)->id), buf_view(&((const struct walk_id *)b)->id));
}

static void
ids_sift(struct walk_ids *ids, uint32_t i)
{
	for (;;) {
		uint32_t c = 2 * i + 1, top = i;
		struct walk_id t;

		for (uint32_t j = c; j < c + 2 && j < ids->n; j++)
			if (id_order(&ids->v[j], &ids->v[top]) > 0)
				top = j;
		if (top == i)
			return;
		t = ids->v[i];
		ids->v[i] = ids->v[top];
		ids->v[top] = t;
		i = top;
	}
}

bool
walk_list_row(struct worker *w, struct walk *k, struct shard *sh, uint32_t row, struct str device)
{
	struct walk_ids *ids = k->ids;
	struct walk_id *v = &ids->v[ids->n < ids->max ? ids->n : 0];

	if (ids->n == ids->max && str_cmp(device, buf_view(&v->id)) >= 0)
		return true;
	if (worker_load_row(w, sh, row, RECORD_BIT(RECORD_IDENTITY) | RECORD_BIT(RECORD_REPORTED),
	        &k->fault) != ERR_OK)
		return false;
	v->id.n = v->json.n = 0;
	buf_str(&v->id, device);
	hub_row_write_identity(sh, row, &v->json);
	if (ids->n == ids->max) {
		ids_sift(ids, 0);
	} else if (++ids->n == ids->max) {
		for (uint32_t i = ids->n / 2 + 1; i-- > 0;)
			ids_sift(ids, i);
	}
	return true;
}

/* ---- the end ---- */

static void
ids_finish(struct walk *k)
{
	array_sort(k->ids->v, k->ids->n, sizeof(k->ids->v[0]), id_order);
	for (uint32_t i = 0; i < k->ids->n; i++) {
		walk_row_begins(k);
		buf_str(&k->json, buf_view(&k->ids->v[i].json));
		walk_row_ends(k);
	}
}

static void
groups_finish(struct walk *k)
{
	uint32_t from = k->place.delivered > UINT32_MAX ? UINT32_MAX : (uint32_t)k->place.delivered,
	         count;

	query_groups_finish(k->groups);
	count = query_groups_count(k->groups);
	if (k->count) {
		k->place.delivered = count;
		return;
	}
	if (from > count)
		from = count;
	while (from + k->nrow < count && !walk_page_full(k)) {
		walk_row_begins(k);
		query_groups_write(k->groups, from + k->nrow - 1, 1, &k->json);
		walk_row_ends(k);
	}
	k->place = (struct query_place){ .delivered = from + k->nrow };
	k->more = from + k->nrow < count;
}

/* Rows in the order asked for: every page sorts anew, and skips what the pages before it have given. */
static void
order_finish(struct walk *k)
{
	uint64_t from = k->place.delivered, count;

	query_order_finish(k->order);
	count = query_order_count(k->order);
	while (from < UINT32_MAX && from + k->nrow < count && !walk_page_full(k)) {
		walk_row_begins(k);
		query_order_write(k->order, (uint32_t)from + k->nrow - 1, 1, SIZE_MAX, &k->json);
		walk_row_ends(k);
	}
	k->place = (struct query_place){ .delivered = from + k->nrow };
	k->more = k->nrow > 0 && from + k->nrow < count;
}

void
walk_page_finish(struct walk *k)
{
	if (k->groups != NULL)
		groups_finish(k);
	else if (k->order != NULL)
		order_finish(k);
	else if (k->ids != NULL)
		ids_finish(k);
}
