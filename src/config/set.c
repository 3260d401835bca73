/* Sets of configurations: who wins, which paths are the same, and a hash that tells two sets apart. */
#include "config/configuration.h"

#include <stdlib.h>

#include "config/priv.h"

static int
by_id(const void *a, const void *b)
{
	return str_cmp(
	    (*(struct configuration *const *)a)->id, (*(struct configuration *const *)b)->id);
}

/* J-43: the highest priority, then the latest creation. */
static bool
wins(const struct configuration *a, const struct configuration *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (a->created_us != b->created_us)
		return a->created_us > b->created_us;
	return str_cmp(a->id, b->id) < 0;
}

static void
put_in_order(struct configurations *set)
{
	set->order = xcalloc(set->n + 1, 1);
	for (uint32_t i = 0; i < set->n; i++) {
		uint32_t at = i;

		for (; at > 0 && wins(set->v[i], set->v[set->order[at - 1]]); at--)
			set->order[at] = set->order[at - 1];
		set->order[at] = (uint8_t)i;
	}
}

struct numbering {
	const struct configuration_path **of; /* each number's first path */
};

static bool
same_path(const void *ctx, uint32_t number, const void *key)
{
	const struct configuration_path *a = ((const struct numbering *)ctx)->of[number], *b = key;

	return str_eq(a->text, b->text) && str_eq(a->module, b->module);
}

static void
number_paths(struct configurations *set)
{
	struct numbering nb;
	struct table t = { 0 };
	uint32_t all = 0;

	for (uint32_t i = 0; i < set->n; i++)
		all += set->v[i]->npath;
	nb.of = xcalloc(all + 1, sizeof(struct configuration_path *));
	set->numbers = xcalloc(set->n + 1, sizeof(*set->numbers));
	for (uint32_t i = 0; i < set->n; i++) {
		const struct configuration *c = set->v[i];

		set->numbers[i] = xcalloc(c->npath + 1, sizeof(**set->numbers));
		for (uint32_t k = 0; k < c->npath; k++) {
			uint64_t h = hash_table(c->paths[k].text) ^ hash_table(c->paths[k].module);
			uint32_t n = table_get(&t, h, same_path, &nb, &c->paths[k]);

			if (n == TABLE_NONE) {
				n = set->nnumber++;
				nb.of[n] = &c->paths[k];
				table_add(&t, h, n);
			}
			set->numbers[i][k] = n;
		}
	}
	table_fini(&t);
	free(nb.of);
}

/* Of all that evaluation depends on: what a rollout remembers besides is left out. */
static uint64_t
configuration_hash(const struct configuration *c)
{
	const struct rollout *r = c->rollout;
	struct buf b = { 0 };
	uint64_t h;

	if (r == NULL)
		return hash_stable(c->record);
	buf_le64(&b, hash_stable(doc_bytes(c->body)));
	buf_varint(&b, (uint64_t)c->priority);
	buf_varint(&b, c->counter);
	buf_le64(&b, r->salt);
	buf_varint(&b, rollout_restores(r) ? 0 : r->bound);
	buf_putc(&b, r->status == ROLLOUT_HALTED);
	h = hash_stable(buf_view(&b));
	buf_fini(&b);
	return h;
}

static void
sum_up(struct configurations *set)
{
	set->hashes = xcalloc(set->n + 1, sizeof(*set->hashes));
	for (uint32_t i = 0; i < set->n; i++) {
		const struct query_facts *facts = query_facts(set->v[i]->target);

		set->hashes[i] = configuration_hash(set->v[i]);
		set->edge |= set->v[i]->kind == CONFIGURATION_EDGE;
		if (!facts->nothing) {
			set->roots |= facts->match.roots;
			set->sections |= facts->match.sections;
		}
		set->hash = (set->hash ^ set->hashes[i]) * UINT64_C(0x9E3779B97F4A7C15);
		set->guarded |= set->v[i]->rollout != NULL;
	}
	if (set->edge) /* whether a device is one decides, too */
		set->roots |= QUERY_ROOT_BIT(QUERY_ROOT_CAPABILITIES);
	if (set->n > 0 && (set->hash == 0 || set->hash == UNSWEPT))
		set->hash = 1;
}

struct configurations *
configurations_new(struct configuration *const *v, uint32_t n)
{
	struct configurations *set = xcalloc(1, sizeof(*set));

	assert(n <= CONFIGURATIONS_MAX);
	set->n = n;
	set->v = xcalloc(n + 1, sizeof(struct configuration *));
	for (uint32_t i = 0; i < n; i++)
		set->v[i] = configuration_ref(v[i]);
	array_sort(set->v, n, sizeof(struct configuration *), by_id);
	put_in_order(set);
	number_paths(set);
	sum_up(set);
	return set;
}

struct configurations *
configurations_copy(const struct configurations *set)
{
	return set == NULL ? configurations_new(NULL, 0) : configurations_new(set->v, set->n);
}

void
configurations_free(struct configurations *set)
{
	if (set == NULL)
		return;
	for (uint32_t i = 0; i < set->n; i++) {
		configuration_unref(set->v[i]);
		free(set->numbers[i]);
	}
	free(set->numbers);
	free(set->order);
	free(set->hashes);
	free(set->v);
	free(set);
}

struct configurations *
configurations_with(const struct configurations *set, struct str id, struct configuration *c)
{
	struct configuration *v[CONFIGURATIONS_MAX + 1];
	uint32_t n = 0;

	for (uint32_t i = 0; set != NULL && i < set->n; i++)
		if (!str_eq(set->v[i]->id, id))
			v[n++] = set->v[i];
	if (c != NULL)
		v[n++] = c;
	return configurations_new(v, n);
}

struct configuration *
configurations_find(const struct configurations *set, struct str id)
{
	for (uint32_t i = 0; set != NULL && i < set->n; i++)
		if (str_eq(set->v[i]->id, id))
			return set->v[i];
	return NULL;
}
