/* Stories: found by a hash, pinned by who is connected, the others in lists from which the oldest goes. */
#include "story/priv.h"

#include <stdlib.h>

#define BUCKETS_LEAST 64u

static const uint32_t list_max[STORY_KINDS] = {
	[KIND_GONE] = STORIES_GONE_MAX / STRIPES,
	[KIND_CLAIMED] = STORIES_CLAIMED_MAX / STRIPES,
};

struct stories *
stories_new(void)
{
	struct stories *st = xcalloc(1, sizeof(*st));

	for (unsigned i = 0; i < STRIPES; i++) {
		struct stripe *p = &st->stripes[i];

		pthread_mutex_init(&p->mutex, NULL);
		p->nbucket = BUCKETS_LEAST;
		p->buckets = xcalloc(p->nbucket, sizeof(struct story *));
	}
	return st;
}

static void
story_free(struct story *s)
{
	free(s->client);
	free(s);
}

void
stories_free(struct stories *st)
{
	if (st == NULL)
		return;
	for (unsigned i = 0; i < STRIPES; i++) {
		struct stripe *p = &st->stripes[i];

		for (uint32_t b = 0; b < p->nbucket; b++)
			for (struct story *s = p->buckets[b], *next; s != NULL; s = next) {
				next = s->chain;
				story_free(s);
			}
		free(p->buckets);
		pthread_mutex_destroy(&p->mutex);
	}
	free(st);
}

/* ---- the table ---- */

static struct str
device_of(const struct story *s)
{
	return (struct str){ s->ids, s->device_n };
}

static struct str
module_of(const struct story *s)
{
	return (struct str){ s->ids + s->device_n, s->module_n };
}

static uint64_t
hash_of(struct str device, struct str module)
{
	return hash_table(device) * 31 + (module.n > 0 ? hash_table(module) : 0);
}

static struct stripe *
stripe_of(struct stories *st, uint64_t hash)
{
	return &st->stripes[hash >> 58];
}

static struct story **
bucket_of(struct stripe *p, uint64_t hash)
{
	return &p->buckets[hash & (p->nbucket - 1)];
}

static struct story *
find(struct stripe *p, uint64_t hash, struct str device, struct str module)
{
	struct story *s = *bucket_of(p, hash);

	while (s != NULL &&
	    !(s->hash == hash && str_eq(device_of(s), device) && str_eq(module_of(s), module)))
		s = s->chain;
	return s;
}

static void
grow(struct stripe *p)
{
	struct story **old = p->buckets;
	uint32_t n = p->nbucket;

	p->nbucket = 2 * n;
	p->buckets = xcalloc(p->nbucket, sizeof(struct story *));
	for (uint32_t b = 0; b < n; b++)
		for (struct story *s = old[b], *next; s != NULL; s = next) {
			struct story **at = bucket_of(p, s->hash);

			next = s->chain;
			s->chain = *at;
			*at = s;
		}
	free(old);
}

static void
list_take(struct stripe *p, struct story *s)
{
	enum story_kind kind = s->known ? KIND_GONE : KIND_CLAIMED;

	*(s->prev != NULL ? &s->prev->next : &p->lists[kind].first) = s->next;
	*(s->next != NULL ? &s->next->prev : &p->lists[kind].last) = s->prev;
	p->lists[kind].n--;
}

static void
forget(struct stripe *p, struct story *s)
{
	struct story **at = bucket_of(p, s->hash);

	while (*at != s)
		at = &(*at)->chain;
	*at = s->chain;
	p->n--;
	story_free(s);
}

/* As the newest one. The oldest goes, when it is one too many. */
static void
list_put(struct stripe *p, struct story *s)
{
	enum story_kind kind = s->known ? KIND_GONE : KIND_CLAIMED;
	struct story *first = p->lists[kind].first, *oldest;

	s->prev = NULL;
	s->next = first;
	*(first != NULL ? &first->prev : &p->lists[kind].last) = s;
	p->lists[kind].first = s;
	if (++p->lists[kind].n <= list_max[kind])
		return;
	oldest = p->lists[kind].last;
	list_take(p, oldest);
	forget(p, oldest);
}

/* In no list: the caller puts it where it belongs. */
static struct story *
take(struct stripe *p, uint64_t hash, struct str device, struct str module)
{
	struct story *s = find(p, hash, device, module), **at;

	if (s != NULL) {
		if (s->nlive == 0)
			list_take(p, s);
		return s;
	}
	if (p->n >= p->nbucket)
		grow(p);
	s = xcalloc(1, sizeof(*s) + device.n + module.n);
	s->hash = hash;
	s->device_n = (uint8_t)device.n;
	s->module_n = (uint8_t)module.n;
	memcpy(s->ids, device.p, device.n);
	if (module.n > 0)
		memcpy(s->ids + device.n, module.p, module.n);
	at = bucket_of(p, hash);
	s->chain = *at;
	*at = s;
	p->n++;
	return s;
}

/* ---- what is told ---- */

/* Stretches that have come since the newest one begin at 0. A clock that went back counts for the newest. */
static void
slots_reach(struct story *s, int64_t now_us)
{
	int64_t slot = now_us / SLOT_US;

	for (int64_t n = slot - s->slot; n > 0; n--) {
		if (n > (int64_t)SLOTS)
			n = SLOTS;
		s->nconnect[(uint64_t)(slot - n + 1) % SLOTS] = 0;
	}
	if (slot > s->slot)
		s->slot = slot;
}

static void
counts_begin(struct story_counts *c)
{
	atomic_store(&c->received_bytes, 0);
	atomic_store(&c->received, 0);
	atomic_store(&c->sent_bytes, 0);
	atomic_store(&c->sent, 0);
	atomic_store(&c->in_flight, 0);
	atomic_store(&c->desired, 0);
}

static struct str
cut_client(struct str client)
{
	if (client.n > STORY_CLIENT_MAX)
		for (client.n = STORY_CLIENT_MAX;
		     ((unsigned char)client.p[client.n] & 0xC0) == 0x80;)
			client.n--; /* no half of a character */
	return client;
}

struct story *
story_began(struct stories *st, struct str device, struct str module, const struct story_link *link,
    int64_t now_us)
{
	uint64_t hash = hash_of(device, module);
	struct stripe *p = stripe_of(st, hash);
	struct str client = cut_client(link->client);
	struct story *s;
	uint16_t *n;

	pthread_mutex_lock(&p->mutex);
	s = take(p, hash, device, module);
	s->nlive++;
	s->known = s->connected = true;
	s->number = link->number;
	s->since_us = now_us;
	s->from = link->from;
	s->tls = link->tls;
	s->websocket = link->websocket;
	free(s->client);
	s->client = client.n > 0 ? str_dup0(client) : NULL;
	s->nrefused = 0;
	counts_begin(&s->counts);
	slots_reach(s, now_us);
	n = &s->nconnect[(uint64_t)s->slot % SLOTS];
	*n = (uint16_t)(*n + (*n < UINT16_MAX));
	pthread_mutex_unlock(&p->mutex);
	return s;
}

struct story_counts *
story_counts(struct story *s)
{
	return &s->counts;
}

void
story_ended(struct stories *st, struct story *s, const struct story_link *link, enum reason why,
    int64_t now_us)
{
	struct stripe *p = stripe_of(st, s->hash);

	pthread_mutex_lock(&p->mutex);
	s->ended = (struct story_event){ .reason = why, .at_us = now_us, .from = link->from };
	if (s->number == link->number) {
		s->connected = false;
		atomic_store(&s->counts.in_flight, 0);
	}
	if (--s->nlive == 0)
		list_put(p, s);
	pthread_mutex_unlock(&p->mutex);
}

void
story_refused(
    struct stories *st, struct str device, struct str module, const struct story_event *what)
{
	uint64_t hash;
	struct stripe *p;
	struct story *s;

	if (!id_valid(device) || (module.n > 0 && !id_valid(module)))
		return;
	hash = hash_of(device, module);
	p = stripe_of(st, hash);
	pthread_mutex_lock(&p->mutex);
	s = take(p, hash, device, module);
	s->refused = *what;
	s->nrefused += s->nrefused < UINT32_MAX;
	if (s->nlive == 0)
		list_put(p, s);
	pthread_mutex_unlock(&p->mutex);
}

/* ---- what is asked ---- */

uint32_t
story_connects(const struct story *s, int64_t now_us)
{
	int64_t slot = now_us / SLOT_US, oldest = slot - (int64_t)SLOTS + 1;
	uint32_t n = 0;

	for (int64_t at = s->slot; at >= oldest && at > s->slot - (int64_t)SLOTS && at >= 0; at--)
		n += s->nconnect[(uint64_t)at % SLOTS];
	return n;
}

static struct str
copy_to(char **at, struct str s)
{
	struct str copy = { *at, s.n };

	if (s.n > 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

void
story_show(const struct story *s, int64_t now_us, struct story_view *out)
{
	char *at = out->text;

	out->device = copy_to(&at, device_of(s));
	out->module = copy_to(&at, module_of(s));
	out->client = copy_to(&at, str_of(s->client));
	out->connected = s->connected;
	out->websocket = s->websocket;
	out->tls = s->tls;
	out->since_us = s->since_us;
	out->from = s->from;
	out->received_bytes = atomic_load(&s->counts.received_bytes);
	out->received = atomic_load(&s->counts.received);
	out->sent_bytes = atomic_load(&s->counts.sent_bytes);
	out->sent = atomic_load(&s->counts.sent);
	out->in_flight = atomic_load(&s->counts.in_flight);
	out->desired = atomic_load(&s->counts.desired);
	out->nconnect = story_connects(s, now_us);
	out->nrefused = s->nrefused;
	out->ended = s->ended;
	out->refused = s->refused;
}

bool
story_read(struct stories *st, struct str device, struct str module, int64_t now_us,
    struct story_view *out)
{
	uint64_t hash = hash_of(device, module);
	struct stripe *p = stripe_of(st, hash);
	const struct story *s;

	memset(out, 0, offsetof(struct story_view, text));
	pthread_mutex_lock(&p->mutex);
	s = find(p, hash, device, module);
	if (s != NULL)
		story_show(s, now_us, out);
	pthread_mutex_unlock(&p->mutex);
	return s != NULL;
}
