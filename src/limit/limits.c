/* The buckets of all askers: a table of sets, each of a few places. */
#include "limit/limit.h"

#include <stdlib.h>

/* Rules that give each device or module a bucket. */
static uint64_t
nrule_of_devices(const struct limit_rules *rules)
{
	uint64_t n = 0;

	for (unsigned whose = LIMIT_DEVICE; whose <= LIMIT_MODULE; whose++)
		for (unsigned kind = 0; kind < LIMIT_KINDS; kind++)
			n += rules->rate[whose][kind].each_ns != 0;
	return n;
}

void
limits_init(struct limits *l, const struct limit_rules *rules, uint64_t nidentity)
{
	uint64_t wanted = nidentity * nrule_of_devices(rules), n = LIMIT_BUCKETS_MIN;

	while (n < wanted && n < LIMIT_BUCKETS_MAX)
		n *= 2;
	l->rules = *rules;
	l->nset = n / LIMIT_WAYS;
	l->buckets = xcalloc(n, sizeof(*l->buckets));
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

static struct limit_bucket *
set_of(const struct limits *l, uint64_t key)
{
	return &l->buckets[key % l->nset * LIMIT_WAYS];
}

/* NULL: it is full. */
static const struct limit_bucket *
bucket_find(const struct limits *l, uint64_t key)
{
	const struct limit_bucket *set = set_of(l, key);

	for (unsigned i = 0; i < LIMIT_WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

/* Its own, or the one that makes room for it, as full. */
static struct limit_bucket *
bucket_take(struct limits *l, uint64_t key)
{
	struct limit_bucket *set = set_of(l, key), *fullest = set;

	for (unsigned i = 0; i < LIMIT_WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].until_ns < fullest->until_ns)
			fullest = &set[i];
	}
	*fullest = (struct limit_bucket){ .key = key };
	return fullest;
}

/* 0: no rule for such a one. */
static uint64_t
key_by(const struct limits *l, enum limit_kind kind, enum limit_whose whose,
    const struct limit_asker *asker)
{
	if (l->rules.rate[whose][kind].each_ns == 0 || asker->key[whose] == 0)
		return 0;
	return key_of(asker->key[whose], whose, kind);
}

bool
limits_allow(const struct limits *l, enum limit_kind kind, const struct limit_asker *asker,
    int64_t now_ns, struct limit_refusal *why)
{
	for (unsigned whose = 0; whose < LIMIT_WHOSE; whose++) {
		uint64_t key = key_by(l, kind, whose, asker);
		const struct limit_bucket *b = key != 0 ? bucket_find(l, key) : NULL;
		int64_t until_ns = b != NULL ? b->until_ns : 0; /* a copy: nothing is taken */

		if (b != NULL &&
		    !limit_take(&until_ns, &l->rules.rate[whose][kind], now_ns, &why->wait_ns)) {
			why->kind = kind;
			why->whose = whose;
			return false;
		}
	}
	return true;
}

bool
limits_take(struct limits *l, enum limit_kind kind, const struct limit_asker *asker, int64_t now_ns,
    struct limit_refusal *why)
{
	if (!limits_allow(l, kind, asker, now_ns, why))
		return false;
	limits_owe(l, kind, asker, 1, now_ns);
	return true;
}

void
limits_owe(struct limits *l, enum limit_kind kind, const struct limit_asker *asker, uint32_t n,
    int64_t now_ns)
{
	for (unsigned whose = 0; whose < LIMIT_WHOSE; whose++) {
		uint64_t key = key_by(l, kind, whose, asker);

		if (key != 0)
			limit_owe(
			    &bucket_take(l, key)->until_ns, &l->rules.rate[whose][kind], n, now_ns);
	}
}
