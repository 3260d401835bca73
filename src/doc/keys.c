/* Repeated keys in one object, in time proportional to its members: open addressing over borrowed keys. */
#include "doc/priv.h"

#include <stdlib.h>

struct keys_cell {
	struct str key;
	uint32_t number;
	bool used;
};

void
keys_fini(struct keys *k)
{
	free(k->cells);
	*k = (struct keys){ 0 };
}

void
keys_start(struct keys *k, uint32_t n)
{
	uint32_t want = 16;

	while (want < n * 2)
		want *= 2;
	if (want > k->size) {
		k->cells = xrealloc(k->cells, want * sizeof(*k->cells));
		k->size = want;
	}
	/* Only as much as this object needs: a large one must not make the small ones after it slow. */
	k->mask = want - 1;
	memset(k->cells, 0, want * sizeof(*k->cells));
}

uint32_t
keys_find_or_add(struct keys *k, struct str key, uint32_t number)
{
	uint32_t i = (uint32_t)hash_table(key) & k->mask;

	for (; k->cells[i].used; i = (i + 1) & k->mask)
		if (key_eq(k->cells[i].key, key))
			return k->cells[i].number;
	k->cells[i] = (struct keys_cell){ key, number, true };
	return number;
}

/* Each with each. */
static uint32_t
repeated_few(struct doc_iter it, uint32_t n)
{
	struct str keys[KEYS_FEW];
	uint32_t repeated = 0;
	struct doc v;

	for (uint32_t i = 0; i < n && iter_next(&it, &keys[i], &v); i++) {
		uint32_t j = 0;
		while (j < i && !key_eq(keys[j], keys[i]))
			j++;
		repeated += j < i;
	}
	return repeated;
}

uint32_t
keys_repeated(struct keys *k, const uint8_t *payload, const uint8_t *end, uint32_t n)
{
	struct doc_iter it = { payload, end, 0, true };
	uint32_t repeated = 0;
	struct str key;
	struct doc v;

	if (n <= KEYS_FEW)
		return repeated_few(it, n);
	keys_start(k, n);
	for (uint32_t i = 0; iter_next(&it, &key, &v); i++)
		repeated += keys_find_or_add(k, key, i) != i;
	return repeated;
}
