/* The buckets of all askers: a table of sets, each of a few places, and beside it those of the hub, of shares and of who is named. */
#include "limit/limit.h"

#include <stdlib.h>

/* ---- the table ---- */

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

/* No rule for each of a sort: no table. */
static bool
needs_table(const struct limit_rules *rules)
{
	for (unsigned whose = 0; whose < LIMIT_HUB; whose++)
		for (unsigned kind = 0; kind < LIMIT_KINDS; kind++)
			if (rules->rate[whose][kind].each_ns != 0)
				return true;
	return false;
}

static void
table_init(struct limits *l, uint64_t nidentity)
{
	uint64_t wanted = nidentity * nrule_of_devices(&l->rules), n = LIMIT_BUCKETS_MIN;

	if (!needs_table(&l->rules))
		return;
	while (n < wanted && n < LIMIT_BUCKETS_MAX)
		n *= 2;
	l->nset = n / LIMIT_WAYS;
	l->buckets = xcalloc(n, sizeof(*l->buckets));
}

/* percent of a rate, never more than that; but one at once there always is. */
static struct limit_rate
rate_part(const struct limit_rate *whole, unsigned percent)
{
	uint32_t burst = (uint32_t)((uint64_t)whole->burst * percent / 100);

	return (struct limit_rate){ .each_ns = (whole->each_ns * 100 + percent - 1) / percent,
		.burst = burst > 0 ? burst : 1 };
}

static void
shares_init(struct limits *l, enum limit_kind kind)
{
	const struct limit_rate *whole = &l->rules.rate[LIMIT_HUB][kind];
	uint32_t given = 0;

	if (whole->each_ns == 0)
		return;
	if (kind == LIMIT_JOB_DEVICES) {
		l->rest[kind] = *whole;
		return;
	}
	for (unsigned i = 0; i < l->rules.nnamed; i++) {
		struct limit_rate *share = &l->own[i].share[kind];

		if (l->rules.named[i].share == 0)
			continue;
		*share = rate_part(whole, l->rules.named[i].share);
		given += share->burst;
	}
	l->rest[kind] = rate_part(whole, 100 - l->rules.shares);
	l->rest[kind].burst = whole->burst > given ? whole->burst - given : 1;
}

void
limits_init(struct limits *l, const struct limit_rules *rules, uint64_t nidentity)
{
	*l = (struct limits){ .rules = *rules };
	table_init(l, nidentity);
	for (unsigned kind = 0; kind < LIMIT_KINDS; kind++)
		shares_init(l, (enum limit_kind)kind);
}

void
limits_fini(struct limits *l)
{
	free(l->buckets);
	l->buckets = NULL;
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
static struct limit_bucket *
bucket_find(const struct limits *l, uint64_t key)
{
	struct limit_bucket *set = set_of(l, key);

	for (unsigned i = 0; i < LIMIT_WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

/* Its own, or the one that makes room for it, as full. */
static struct limit_bucket *
bucket_take(struct limits *l, uint64_t key, int64_t now_ns)
{
	struct limit_bucket *set = set_of(l, key), *fullest = set;

	for (unsigned i = 0; i < LIMIT_WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].until_ns < fullest->until_ns)
			fullest = &set[i];
	}
	l->pushed += fullest->until_ns > now_ns;
	*fullest = (struct limit_bucket){ .key = key };
	return fullest;
}

/* ---- who asks ---- */

/* Its places among those that rules name; NULL: not named. Of nets that have the address the smallest. */
struct asks {
	const struct limit_asker *asker;
	struct limit_named *named[LIMIT_WHOSE];
};

static bool
is_named(const struct limit_named *m, const struct limit_asker *asker)
{
	return asker->key[m->whose] != 0 &&
	    (m->whose == LIMIT_POLICY ? m->key == asker->key[LIMIT_POLICY]
	                              : ip_net_has(&m->net, asker->ip));
}

static struct asks
asks_of(struct limits *l, const struct limit_asker *asker)
{
	struct asks a = { .asker = asker };

	for (unsigned i = 0; i < l->rules.nnamed; i++) {
		struct limit_named *m = &l->rules.named[i], **best = &a.named[m->whose];

		if (is_named(m, asker) && (*best == NULL || m->net.bits > (*best)->net.bits))
			*best = m;
	}
	return a;
}

static struct limit_own *
own_of(struct limits *l, const struct limit_named *m)
{
	return &l->own[m - l->rules.named];
}

/* The bucket that a rule has for it, if there is a rule: of its own name, else of each of its sort. */
struct drawn {
	const struct limit_rate *rate; /* NULL: no rule */
	const struct limit_named *named;
	uint64_t key; /* of the table; 0: it is own_ns */
	int64_t *own_ns;
};

static struct drawn
drawn_of(struct limits *l, enum limit_kind kind, enum limit_whose whose, const struct asks *a)
{
	const struct limit_named *m = a->named[whose];
	struct drawn d = { 0 };

	if (a->asker->key[whose] == 0 || (a->asker->skip & LIMIT_BIT(whose)))
		return d;
	if (m != NULL && m->rate[kind].burst != 0) {
		d = (struct drawn){
			.rate = &m->rate[kind], .named = m, .own_ns = &own_of(l, m)->own_ns[kind]
		};
	} else {
		d.rate = &l->rules.rate[whose][kind];
		d.key = key_of(a->asker->key[whose], whose, kind);
	}
	if (d.rate->each_ns == 0)
		d.rate = NULL;
	return d;
}

static void
refused(struct limit_refusal *why, enum limit_kind kind, enum limit_whose whose,
    const struct limit_named *m, int64_t wait_ns)
{
	why->kind = kind;
	why->whose = whose;
	why->wait_ns = wait_ns;
	why->name[0] = '\0';
	if (m != NULL)
		memcpy(why->name, m->name, sizeof(why->name));
}

static bool
drawn_allows(const struct limits *l, const struct drawn *d, int64_t now_ns, int64_t *wait_ns)
{
	const struct limit_bucket *b;
	int64_t until_ns; /* a copy: nothing is taken */

	if (d->key == 0) {
		until_ns = *d->own_ns;
	} else {
		b = bucket_find(l, d->key);
		until_ns = b != NULL ? b->until_ns : 0;
	}
	return limit_take(&until_ns, d->rate, now_ns, wait_ns);
}

/* ---- what is the hub's ---- */

/* A bucket that may let it in: its policy's share, its net's, what is left for all. */
struct pool {
	const struct limit_rate *rate; /* NULL: there is no rule for the hub */
	int64_t *until_ns;
};

static unsigned
pools_of(struct limits *l, enum limit_kind kind, const struct asks *a, struct pool pools[3])
{
	static const enum limit_whose order[] = { LIMIT_POLICY, LIMIT_ADDRESS };
	unsigned n = 0;

	if (l->rest[kind].burst == 0 || (a->asker->skip & LIMIT_BIT(LIMIT_HUB)))
		return 0;
	for (unsigned i = 0; i < 2; i++) {
		const struct limit_named *m = a->named[order[i]];

		if (m != NULL && m->share != 0)
			pools[n++] = (struct pool){ &own_of(l, m)->share[kind],
				&own_of(l, m)->share_ns[kind] };
	}
	pools[n++] = (struct pool){ &l->rest[kind], &l->rest_ns[kind] };
	return n;
}

/* The first one that has room goes to *in. False: none has, before *wait_ns. */
static bool
hub_allows(struct limits *l, enum limit_kind kind, const struct asks *a, int64_t now_ns,
    struct pool *in, int64_t *wait_ns)
{
	struct pool pools[3];
	unsigned n = pools_of(l, kind, a, pools);
	int64_t until_ns, next_ns; /* a copy: nothing is taken */

	*in = (struct pool){ 0 };
	*wait_ns = INT64_MAX;
	for (unsigned i = 0; i < n; i++) {
		until_ns = *pools[i].until_ns;
		if (limit_take(&until_ns, pools[i].rate, now_ns, &next_ns)) {
			*in = pools[i];
			return true;
		}
		if (next_ns < *wait_ns)
			*wait_ns = next_ns;
	}
	return n == 0;
}

/* ---- asking ---- */

/* *in: of the hub's buckets the one that lets it in. */
static bool
allows(struct limits *l, enum limit_kind kind, const struct asks *a, int64_t now_ns,
    struct pool *in, struct limit_refusal *why)
{
	int64_t wait_ns;

	for (unsigned whose = 0; whose < LIMIT_HUB; whose++) {
		struct drawn d = drawn_of(l, kind, whose, a);

		if (d.rate != NULL && !drawn_allows(l, &d, now_ns, &wait_ns)) {
			refused(why, kind, whose, d.named, wait_ns);
			return false;
		}
	}
	if (hub_allows(l, kind, a, now_ns, in, &wait_ns))
		return true;
	refused(why, kind, LIMIT_HUB, NULL, wait_ns);
	return false;
}

static void
owe(struct limits *l, enum limit_kind kind, const struct asks *a, const struct pool *in, uint32_t n,
    int64_t now_ns)
{
	for (unsigned whose = 0; whose < LIMIT_HUB; whose++) {
		struct drawn d = drawn_of(l, kind, whose, a);

		if (d.rate != NULL)
			limit_owe(d.key == 0 ? d.own_ns : &bucket_take(l, d.key, now_ns)->until_ns,
			    d.rate, n, now_ns);
	}
	if (in->rate != NULL)
		limit_owe(in->until_ns, in->rate, n, now_ns);
}

bool
limits_allow(struct limits *l, enum limit_kind kind, const struct limit_asker *asker,
    int64_t now_ns, struct limit_refusal *why)
{
	struct asks a = asks_of(l, asker);
	struct pool in;

	return allows(l, kind, &a, now_ns, &in, why);
}

bool
limits_take(struct limits *l, enum limit_kind kind, const struct limit_asker *asker, int64_t now_ns,
    struct limit_refusal *why)
{
	struct asks a = asks_of(l, asker);
	struct pool in;

	if (!allows(l, kind, &a, now_ns, &in, why))
		return false;
	owe(l, kind, &a, &in, 1, now_ns);
	return true;
}

void
limits_owe(struct limits *l, enum limit_kind kind, const struct limit_asker *asker, uint32_t n,
    int64_t now_ns)
{
	struct asks a = asks_of(l, asker);
	struct pool pools[3] = { { 0 } };

	pools_of(l, kind, &a, pools); /* the first is its own, if it has one */
	owe(l, kind, &a, &pools[0], n, now_ns);
}
