/* The buckets of all askers: a table of sets, each of a few places. */
#include "limit/limit.h"

#include <stdlib.h>

void
limits_init(struct limits *l, const struct limit_rules *rules)
{
	l->rules = *rules;
	l->buckets = xcalloc(LIMIT_BUCKETS, sizeof(*l->buckets));
}

void
limits_fini(struct limits *l)
{
	free(l->buckets);
}

static uint64_t
key_of(uint64_t asker, enum limit_whose whose, enum limit_kind kind)
{
	uint64_t key =
	    (asker ^ (uint64_t)(whose * LIMIT_KINDS + kind + 1) * UINT64_C(0x9E3779B97F4A7C15)) *
	    UINT64_C(0xD6E8FEB86659FD93);

	key ^= key >> 32;
	return key != 0 ? key : 1;
}

/* Its own, or the one that makes room for it, as full. */
static struct limit_bucket *
bucket_find(struct limits *l, uint64_t key)
{
	struct limit_bucket *set = &l->buckets[key % (LIMIT_BUCKETS / LIMIT_WAYS) * LIMIT_WAYS],
	                    *fullest = set;

	for (unsigned i = 0; i < LIMIT_WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].until_ns < fullest->until_ns)
			fullest = &set[i];
	}
	*fullest = (struct limit_bucket){ .key = key };
	return fullest;
}

/* NULL: no rule for such a one. */
static struct limit_bucket *
bucket_of(
    struct limits *l, enum limit_kind kind, enum limit_whose whose, const struct limit_asker *asker)
{
	if (l->rules.rate[whose][kind].each_ns == 0 || asker->key[whose] == 0)
		return NULL;
	return bucket_find(l, key_of(asker->key[whose], whose, kind));
}

bool
limits_take(struct limits *l, enum limit_kind kind, const struct limit_asker *asker, int64_t now_ns,
    struct limit_refusal *why)
{
	for (unsigned whose = 0; whose < LIMIT_WHOSE; whose++) {
		const struct limit_bucket *b = bucket_of(l, kind, whose, asker);
		int64_t until_ns = b != NULL ? b->until_ns : 0; /* a copy: another may refuse */

		if (b != NULL &&
		    !limit_take(&until_ns, &l->rules.rate[whose][kind], now_ns, &why->wait_ns)) {
			why->kind = kind;
			why->whose = whose;
			return false;
		}
	}
	limits_owe(l, kind, asker, 1, now_ns);
	return true;
}

void
limits_owe(struct limits *l, enum limit_kind kind, const struct limit_asker *asker, uint32_t n,
    int64_t now_ns)
{
	for (unsigned whose = 0; whose < LIMIT_WHOSE; whose++) {
		struct limit_bucket *b = bucket_of(l, kind, whose, asker);

		if (b != NULL)
			limit_owe(&b->until_ns, &l->rules.rate[whose][kind], n, now_ns);
	}
}
