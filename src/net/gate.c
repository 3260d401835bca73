/*
 * The gate counts connections, in all and by address. One lock for all loops: it is taken twice in the life of a
 * connection. Addresses live in slots; free slots are chained through `count`.
 */
#include <stdlib.h>

#include "net/priv.h"

struct place {
	uint8_t key[16];
	uint32_t count; /* or the next free slot */
};

struct gate {
	pthread_mutex_t lock;
	uint32_t max_total, max_per_address, total;
	const struct nets *free; /* NULL: none */
	struct table by_key;
	struct place *places;
	uint32_t nplace, free_place; /* free_place: TABLE_NONE if none */
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
	return memcmp(((const struct gate *)ctx)->places[value].key, key, 16) == 0;
}

static uint64_t
key_hash(const uint8_t key[16])
{
	return hash_table((struct str){ (const char *)key, 16 });
}

struct gate *
gate_new(uint32_t max_total, uint32_t max_per_address)
{
	struct gate *g = xcalloc(1, sizeof *g);

	pthread_mutex_init(&g->lock, NULL);
	g->max_total = max_total ? max_total : UINT32_MAX;
	g->max_per_address = max_per_address ? max_per_address : UINT32_MAX;
	g->free_place = TABLE_NONE;
	return g;
}

void
gate_free(struct gate *g)
{
	if (g == NULL)
		return;
	pthread_mutex_destroy(&g->lock);
	table_fini(&g->by_key);
	free(g->places);
	free(g);
}

static uint32_t
place_add(struct gate *g, const uint8_t key[16])
{
	uint32_t i = g->free_place;

	if (i == TABLE_NONE) {
		i = g->nplace++;
		if ((i & (i - 1)) == 0) /* a power of two (or 0): full */
			g->places =
			    xrealloc(g->places, sizeof *g->places * (i ? 2 * (size_t)i : 1));
	} else {
		g->free_place = g->places[i].count;
	}
	memcpy(g->places[i].key, key, 16);
	g->places[i].count = 0;
	table_add(&g->by_key, key_hash(key), i);
	return i;
}

static void
place_remove(struct gate *g, uint32_t i)
{
	table_remove(&g->by_key, key_hash(g->places[i].key), i);
	g->places[i].count = g->free_place;
	g->free_place = i;
}

/* The lock is held, as in the two functions after this. */
static enum reason
total_enter(struct gate *g)
{
	if (g->total >= g->max_total)
		return REASON_TOO_MANY_CONNECTIONS;
	g->total++;
	return REASON_NONE;
}

static enum reason
address_enter(struct gate *g, const struct net_addr *a)
{
	uint8_t key[16];
	uint32_t i;

	key_of(a, key);
	i = table_get(&g->by_key, key_hash(key), same_key, g, key);
	if (i != TABLE_NONE && g->places[i].count >= g->max_per_address &&
	    (g->free == NULL || !nets_have(g->free, a)))
		return REASON_TOO_MANY_OF_ADDRESS;
	if (i == TABLE_NONE)
		i = place_add(g, key);
	g->places[i].count++;
	return REASON_NONE;
}

static void
address_leave(struct gate *g, const struct net_addr *a)
{
	uint8_t key[16];
	uint32_t i;

	key_of(a, key);
	i = table_get(&g->by_key, key_hash(key), same_key, g, key);
	assert(i != TABLE_NONE && g->places[i].count > 0);
	if (--g->places[i].count == 0)
		place_remove(g, i);
}

static enum reason
told(enum reason refused, const struct net_addr *a)
{
	if (refused != REASON_NONE)
		log_peer(LOG_NOT_ADMITTED, refused, a, STR_NONE);
	return refused;
}

enum reason
gate_enter(struct gate *g, const struct net_addr *a)
{
	enum reason refused;

	pthread_mutex_lock(&g->lock);
	refused = total_enter(g);
	if (refused == REASON_NONE && (refused = address_enter(g, a)) != REASON_NONE)
		g->total--;
	pthread_mutex_unlock(&g->lock);
	return told(refused, a);
}

enum reason
gate_enter_unknown(struct gate *g, const struct net_addr *proxy)
{
	enum reason refused;

	pthread_mutex_lock(&g->lock);
	refused = total_enter(g);
	pthread_mutex_unlock(&g->lock);
	return told(refused, proxy);
}

enum reason
gate_name(struct gate *g, const struct net_addr *a)
{
	enum reason refused;

	pthread_mutex_lock(&g->lock);
	refused = address_enter(g, a);
	pthread_mutex_unlock(&g->lock);
	return told(refused, a);
}

void
gate_leave(struct gate *g, const struct net_addr *a)
{
	pthread_mutex_lock(&g->lock);
	g->total--;
	if (a != NULL)
		address_leave(g, a);
	pthread_mutex_unlock(&g->lock);
}

void
gate_except(struct gate *g, const struct nets *nets)
{
	g->free = nets;
}

uint32_t
gate_count(struct gate *g)
{
	uint32_t n;

	pthread_mutex_lock(&g->lock);
	n = g->total;
	pthread_mutex_unlock(&g->lock);
	return n;
}
