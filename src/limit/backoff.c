/* The table of those who fail: sets of a few places, as that of rate limits. */
#include "limit/backoff.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND_NS INT64_C(1000000000)

static_assert(REASONS <= UINT8_MAX, "struct backoff_entry.cause");

void
backoff_init(struct backoff *b, int64_t most_ns)
{
	b->most_ns = most_ns;
	b->entries = xcalloc(BACKOFF_ENTRIES, sizeof(*b->entries));
}

void
backoff_fini(struct backoff *b)
{
	free(b->entries);
}

bool
backoff_counts(enum reason why)
{
	switch (why) {
	case REASON_NO_CREDENTIALS:
	case REASON_TOKEN_FORM:
	case REASON_TOKEN_SECONDS:
	case REASON_TOKEN_EXPIRED:
	case REASON_TOKEN_RESOURCE:
	case REASON_POLICY_UNKNOWN:
	case REASON_POLICY_SIGNATURE:
	case REASON_KEY_NOT_USED:
	case REASON_KEY_SIGNATURE:
	case REASON_CERTIFICATE_NOT_USED:
	case REASON_CERTIFICATE_EXPIRED:
	case REASON_CERTIFICATE_EARLY:
	case REASON_CERTIFICATE_PRINT:
	case REASON_CERTIFICATE_CA:
	case REASON_CERTIFICATE_CA_DAYS:
	case REASON_CERTIFICATE_REVOKED:
	case REASON_CERTIFICATE_NAME:
	case REASON_IDENTITY_UNKNOWN: return true;
	default: return false;
	}
}

/* ---- the table ---- */

static uint64_t
mixed(uint64_t h)
{
	h = (h ^ h >> 32) * UINT64_C(0xD6E8FEB86659FD93);
	h ^= h >> 32;
	return h != 0 ? h : 1;
}

static uint64_t
pair_key(struct backoff_who who)
{
	return mixed(who.name * UINT64_C(0x9E3779B97F4A7C15) ^ who.address);
}

static uint64_t
address_key(struct backoff_who who)
{
	return mixed(who.address + 1);
}

static struct backoff_entry *
set_of(const struct backoff *b, uint64_t key)
{
	return &b->entries[key % (BACKOFF_ENTRIES / BACKOFF_WAYS) * BACKOFF_WAYS];
}

static int64_t
quiet_ns(const struct backoff_entry *e)
{
	int64_t wait_ns = e->until_ns - e->seen_ns, least_ns = BACKOFF_QUIET_S * SECOND_NS;

	return wait_ns > least_ns / 10 ? wait_ns * 10 : least_ns;
}

/* NULL: nothing is held against it. */
static struct backoff_entry *
find(const struct backoff *b, uint64_t key, int64_t now_ns)
{
	struct backoff_entry *set = set_of(b, key);

	for (unsigned i = 0; i < BACKOFF_WAYS; i++)
		if (set[i].key == key)
			return now_ns - set[i].seen_ns < quiet_ns(&set[i]) ? &set[i] : NULL;
	return NULL;
}

static struct backoff_entry *
take(struct backoff *b, uint64_t key, int64_t now_ns)
{
	struct backoff_entry *e = find(b, key, now_ns), *set = set_of(b, key);

	if (e != NULL)
		return e;
	e = set;
	for (unsigned i = 1; i < BACKOFF_WAYS && e->key != key; i++)
		if (set[i].key == key || set[i].seen_ns < e->seen_ns)
			e = &set[i];
	*e = (struct backoff_entry){ .key = key, .seen_ns = now_ns };
	return e;
}

/* ---- waits ---- */

/* After the n-th failure, of which the free-th is the first with a wait. */
static int64_t
wait_after(uint32_t n, uint32_t free_n, int64_t most_ns)
{
	uint32_t doublings = n < free_n ? 0 : n - free_n;
	int64_t wait_ns = doublings < 20 ? SECOND_NS << doublings : most_ns;

	if (n < free_n)
		return 0;
	return wait_ns < most_ns ? wait_ns : most_ns;
}

static void
count(struct backoff_entry *e, enum reason why, int64_t now_ns)
{
	e->failures += e->failures < UINT32_MAX;
	e->cause = (uint8_t)why;
	e->seen_ns = now_ns;
}

static void
show(const struct backoff_entry *e, int64_t now_ns, struct backoff_wait *out)
{
	*out = (struct backoff_wait){ .wait_ns = e->until_ns > now_ns ? e->until_ns - now_ns : 0,
		.failures = e->failures,
		.cause = (enum reason)e->cause };
}

bool
backoff_holds(const struct backoff *b, struct backoff_who who, bool known, int64_t now_ns,
    struct backoff_wait *out)
{
	const struct backoff_entry *e = who.address != 0 ? find(b, pair_key(who), now_ns) : NULL;

	if (e == NULL || e->until_ns <= now_ns || known || e->known)
		return false;
	show(e, now_ns, out);
	return true;
}

/* True: it is one whose pairs wait from their first failure on. */
static bool
address_failed(struct backoff *b, struct backoff_who who, enum reason why, int64_t now_ns)
{
	struct backoff_entry *e = take(b, address_key(who), now_ns);

	count(e, why, now_ns);
	e->until_ns = now_ns + wait_after(e->failures, BACKOFF_ADDRESS_FREE, b->most_ns);
	return e->failures >= BACKOFF_ADDRESS_FREE;
}

bool
backoff_failed(struct backoff *b, struct backoff_who who, enum reason why, int64_t now_ns,
    struct backoff_wait *out)
{
	struct backoff_entry *pair;
	bool offends;

	*out = (struct backoff_wait){ .wait_ns = 0 };
	if (who.address == 0 || !backoff_counts(why))
		return false;
	pair = find(b, pair_key(who), now_ns);
	if (pair != NULL &&
	    pair->until_ns > now_ns) { /* it is known, and was judged all the same */
		show(pair, now_ns, out);
		return true;
	}
	offends = address_failed(b, who, why, now_ns);
	pair = take(b, pair_key(who), now_ns);
	count(pair, why, now_ns);
	pair->until_ns =
	    now_ns + wait_after(pair->failures, offends ? 1 : BACKOFF_PAIR_FREE, b->most_ns);
	show(pair, now_ns, out);
	out->by_address = offends && pair->failures < BACKOFF_PAIR_FREE;
	return out->by_address;
}

/* What its address has brought upon itself stays: one right key is easily had. */
void
backoff_passed(struct backoff *b, struct backoff_who who, int64_t now_ns)
{
	struct backoff_entry *e = who.address != 0 ? find(b, pair_key(who), now_ns) : NULL;

	if (e == NULL)
		return;
	e->failures = 0;
	e->until_ns = e->seen_ns = now_ns;
	e->known = true;
}

uint32_t
backoff_waiting(const struct backoff *b, int64_t now_ns)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < BACKOFF_ENTRIES; i++)
		n += b->entries[i].until_ns > now_ns;
	return n;
}

int64_t
backoff_wait_s(const struct backoff_wait *w)
{
	return (w->wait_ns + SECOND_NS - 1) / SECOND_NS;
}

const char *
backoff_text(const struct backoff_wait *w, char out[BACKOFF_TEXT_MAX])
{
	snprintf(out, BACKOFF_TEXT_MAX,
	    "%u attempts have failed%s, the last one for %s, the next is judged in %lld s",
	    w->failures, w->by_address ? ", and many more of its address" : "", reason_id(w->cause),
	    (long long)backoff_wait_s(w));
	return out;
}
