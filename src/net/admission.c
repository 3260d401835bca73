/*
 * Admission: connections are counted, in all and by address. One lock for all loops: it is taken twice in the life of a
 * connection. Addresses live in slots; free slots are chained through `count`.
 */
#include <stdio.h>
#include <stdlib.h>

#include "net/priv.h"

struct party {
	uint8_t key[16];
	uint32_t count; /* or the next free slot */
};

struct admission {
	pthread_mutex_t lock;
	uint32_t max_total, max_per_address, total;
	const struct nets *free; /* NULL: none */
	struct table by_key;
	struct party *parties;
	uint32_t nparty, free_party; /* free_party: TABLE_NONE if none */
};

static void
key_of(const struct net_addr *a, uint8_t key[16])
{
	struct str party = net_addr_party(a);

	memset(key, 0, 16);
	memcpy(key, party.p, party.n);
}

static bool
same_key(const void *ctx, uint32_t value, const void *key)
{
	return memcmp(((const struct admission *)ctx)->parties[value].key, key, 16) == 0;
}

static uint64_t
key_hash(const uint8_t key[16])
{
	return hash_table((struct str){ (const char *)key, 16 });
}

struct admission *
admission_new(uint32_t max_total, uint32_t max_per_address)
{
	struct admission *adm = xcalloc(1, sizeof *adm);

	pthread_mutex_init(&adm->lock, NULL);
	adm->max_total = max_total ? max_total : UINT32_MAX;
	adm->max_per_address = max_per_address ? max_per_address : UINT32_MAX;
	adm->free_party = TABLE_NONE;
	return adm;
}

void
admission_free(struct admission *adm)
{
	if (adm == NULL)
		return;
	pthread_mutex_destroy(&adm->lock);
	table_fini(&adm->by_key);
	free(adm->parties);
	free(adm);
}

static uint32_t
party_add(struct admission *adm, const uint8_t key[16])
{
	uint32_t i = adm->free_party;

	if (i == TABLE_NONE) {
		i = adm->nparty++;
		if ((i & (i - 1)) == 0) /* a power of two (or 0): full */
			adm->parties =
			    xrealloc(adm->parties, sizeof *adm->parties * (i ? 2 * (size_t)i : 1));
	} else {
		adm->free_party = adm->parties[i].count;
	}
	memcpy(adm->parties[i].key, key, 16);
	adm->parties[i].count = 0;
	table_add(&adm->by_key, key_hash(key), i);
	return i;
}

static void
party_remove(struct admission *adm, uint32_t i)
{
	table_remove(&adm->by_key, key_hash(adm->parties[i].key), i);
	adm->parties[i].count = adm->free_party;
	adm->free_party = i;
}

/* The lock is held, as in the two functions after this. */
static enum reason
total_enter(struct admission *adm)
{
	if (adm->total >= adm->max_total)
		return REASON_TOO_MANY_CONNECTIONS;
	adm->total++;
	return REASON_NONE;
}

static enum reason
address_enter(struct admission *adm, const struct net_addr *a)
{
	uint8_t key[16];
	uint32_t i;

	key_of(a, key);
	i = table_get(&adm->by_key, key_hash(key), same_key, adm, key);
	if (i != TABLE_NONE && adm->parties[i].count >= adm->max_per_address &&
	    (adm->free == NULL || !nets_have(adm->free, a)))
		return REASON_TOO_MANY_OF_ADDRESS;
	if (i == TABLE_NONE)
		i = party_add(adm, key);
	adm->parties[i].count++;
	return REASON_NONE;
}

static void
address_leave(struct admission *adm, const struct net_addr *a)
{
	uint8_t key[16];
	uint32_t i;

	key_of(a, key);
	i = table_get(&adm->by_key, key_hash(key), same_key, adm, key);
	assert(i != TABLE_NONE && adm->parties[i].count > 0);
	if (--adm->parties[i].count == 0)
		party_remove(adm, i);
}

/* With the limit that was met. */
static enum reason
told(const struct admission *adm, enum reason refused, const struct net_addr *a)
{
	uint32_t limit =
	    refused == REASON_TOO_MANY_OF_ADDRESS ? adm->max_per_address : adm->max_total;
	char text[32];
	int n = snprintf(text, sizeof(text), "the limit is %u", limit);

	if (refused != REASON_NONE)
		log_peer(LOG_NOT_ADMITTED, refused, a, (struct str){ text, (size_t)n });
	return refused;
}

enum reason
admission_enter(struct admission *adm, const struct net_addr *a)
{
	enum reason refused;

	pthread_mutex_lock(&adm->lock);
	refused = total_enter(adm);
	if (refused == REASON_NONE && (refused = address_enter(adm, a)) != REASON_NONE)
		adm->total--;
	pthread_mutex_unlock(&adm->lock);
	return told(adm, refused, a);
}

enum reason
admission_enter_unknown(struct admission *adm, const struct net_addr *proxy)
{
	enum reason refused;

	pthread_mutex_lock(&adm->lock);
	refused = total_enter(adm);
	pthread_mutex_unlock(&adm->lock);
	return told(adm, refused, proxy);
}

enum reason
admission_name(struct admission *adm, const struct net_addr *a)
{
	enum reason refused;

	pthread_mutex_lock(&adm->lock);
	refused = address_enter(adm, a);
	pthread_mutex_unlock(&adm->lock);
	return told(adm, refused, a);
}

void
admission_leave(struct admission *adm, const struct net_addr *a)
{
	pthread_mutex_lock(&adm->lock);
	adm->total--;
	if (a != NULL)
		address_leave(adm, a);
	pthread_mutex_unlock(&adm->lock);
}

void
admission_except(struct admission *adm, const struct nets *nets)
{
	adm->free = nets;
}

uint32_t
admission_count(struct admission *adm)
{
	uint32_t n;

	pthread_mutex_lock(&adm->lock);
	n = adm->total;
	pthread_mutex_unlock(&adm->lock);
	return n;
}
