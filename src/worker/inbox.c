#include "worker/inbox.h"

#include "net/net.h"

#include <stdlib.h>

#define FIRST INBOX_ROUNDS /* the line of those who are served first */

void
inbox_init(struct inbox *ib)
{
	*ib = (struct inbox){ .free = TABLE_NONE, .serving = TABLE_NONE };
	for (unsigned i = 0; i <= INBOX_ROUNDS; i++)
		ib->lines[i] = (struct asker_line){ TABLE_NONE, TABLE_NONE };
}

void
inbox_fini(struct inbox *ib)
{
	table_fini(&ib->by_key);
	free(ib->askers);
}

/* ---- lines ---- */

static void
line_push(struct inbox *ib, uint32_t line, uint32_t i)
{
	struct asker_line *l = &ib->lines[line];
	struct asker *a = &ib->askers[i];

	a->line = line;
	a->next = TABLE_NONE;
	a->prev = l->last;
	if (l->last == TABLE_NONE)
		l->first = i;
	else
		ib->askers[l->last].next = i;
	l->last = i;
	if (line < INBOX_ROUNDS)
		ib->filled |= UINT64_C(1) << line;
}

static void
line_push_front(struct inbox *ib, uint32_t line, uint32_t i)
{
	struct asker_line *l = &ib->lines[line];
	uint32_t next = l->first;

	if (next == TABLE_NONE) {
		line_push(ib, line, i);
		return;
	}
	ib->askers[i].line = line;
	ib->askers[i].prev = TABLE_NONE;
	ib->askers[i].next = next;
	ib->askers[next].prev = l->first = i;
}

static void
line_drop(struct inbox *ib, uint32_t i)
{
	const struct asker *a = &ib->askers[i];
	struct asker_line *l = &ib->lines[a->line];

	if (a->prev == TABLE_NONE)
		l->first = a->next;
	else
		ib->askers[a->prev].next = a->next;
	if (a->next == TABLE_NONE)
		l->last = a->prev;
	else
		ib->askers[a->next].prev = a->prev;
	if (l->first == TABLE_NONE && a->line < INBOX_ROUNDS)
		ib->filled &= ~(UINT64_C(1) << a->line);
}

static uint64_t
round_now(const struct inbox *ib)
{
	return ib->clock_ns / INBOX_ROUND_NS;
}

/* The line where its share has come to; beyond the last one what is too much is forgiven. Who is being served goes on
 * until the share of this round is used up. */
static void
asker_wait(struct inbox *ib, uint32_t i)
{
	struct asker *a = &ib->askers[i];
	uint64_t last = round_now(ib) + INBOX_ROUNDS - 1, round = a->share_ns / INBOX_ROUND_NS;

	if (round > last)
		a->share_ns = (round = last) * INBOX_ROUND_NS;
	if (a->first == NULL || round > round_now(ib))
		line_push(ib, (uint32_t)(round % INBOX_ROUNDS), i);
	else if (ib->serving == i)
		line_push_front(ib, FIRST, i);
	else
		line_push(ib, FIRST, i);
}

/* Of the rounds that are not empty, how far the first one is; INBOX_ROUNDS: there is none. */
static unsigned
rounds_ahead(const struct inbox *ib)
{
	unsigned at = (unsigned)(round_now(ib) % INBOX_ROUNDS);
	uint64_t turned =
	    at == 0 ? ib->filled : ib->filled >> at | ib->filled << (INBOX_ROUNDS - at);

	return turned == 0 ? INBOX_ROUNDS : (unsigned)__builtin_ctzll(turned);
}

/* The next one of the first round that is not empty, which is where the clock goes. */
static uint32_t
round_first(struct inbox *ib)
{
	unsigned ahead = rounds_ahead(ib);

	assert(ahead < INBOX_ROUNDS);
	if (ahead > 0)
		ib->clock_ns = (round_now(ib) + ahead) * INBOX_ROUND_NS;
	return ib->lines[round_now(ib) % INBOX_ROUNDS].first;
}

/* ---- askers ---- */

static bool
same_key(const void *ctx, uint32_t value, const void *key)
{
	return ((const struct inbox *)ctx)->askers[value].key == *(const uint64_t *)key;
}

static void
asker_forget(struct inbox *ib, uint32_t i)
{
	line_drop(ib, i);
	table_remove(&ib->by_key, ib->askers[i].key, i);
	ib->askers[i].next = ib->free;
	ib->free = i;
	ib->nasker--;
}

/* All that wait for nothing: what they have had too much is forgiven. */
static void
forget_idle(struct inbox *ib)
{
	for (uint32_t line = 0; line < INBOX_ROUNDS; line++)
		for (uint32_t i = ib->lines[line].first, next; i != TABLE_NONE; i = next) {
			next = ib->askers[i].next;
			if (ib->askers[i].first == NULL)
				asker_forget(ib, i);
		}
}

static uint32_t
asker_room(struct inbox *ib)
{
	uint32_t i = ib->free;

	if (i != TABLE_NONE) {
		ib->free = ib->askers[i].next;
		return i;
	}
	if (ib->used == ib->cap) {
		ib->cap = ib->cap == 0 ? 64 : ib->cap * 2;
		ib->askers = xrealloc(ib->askers, ib->cap * sizeof(*ib->askers));
	}
	return ib->used++;
}

static uint32_t
asker_new(struct inbox *ib, uint64_t key)
{
	uint32_t i;

	if (ib->nasker >= INBOX_ASKERS)
		forget_idle(ib);
	i = asker_room(ib);
	ib->askers[i] = (struct asker){ .key = key, .share_ns = ib->clock_ns };
	table_add(&ib->by_key, key, i);
	ib->nasker++;
	return i;
}

/* One that has nothing waiting gets something: it may be its turn at once. */
static uint32_t
asker_wakes(struct inbox *ib, uint64_t key, uint32_t i)
{
	if (i == TABLE_NONE)
		return asker_new(ib, key);
	line_drop(ib, i);
	if (ib->askers[i].share_ns < ib->clock_ns)
		ib->askers[i].share_ns = ib->clock_ns;
	return i;
}

/* ---- from outside ---- */

/* What holds no bytes of the room is held against nobody. */
static bool
over_share(const struct inbox *ib, const struct asker *a, size_t bytes)
{
	return ib->share_bytes != 0 && bytes != 0 && a->bytes + bytes > ib->share_bytes;
}

bool
inbox_put(struct inbox *ib, uint64_t key, struct msg *m, size_t bytes, bool must)
{
	uint32_t i = table_get(&ib->by_key, key, same_key, ib, &key);
	bool idle = i == TABLE_NONE || ib->askers[i].first == NULL;
	struct asker *a;

	if (!idle && !must &&
	    (ib->askers[i].nwaiting >= INBOX_SHARE || over_share(ib, &ib->askers[i], bytes)))
		return false;
	if (idle)
		i = asker_wakes(ib, key, i);
	a = &ib->askers[i];
	m->next = NULL;
	if (a->first == NULL)
		a->first = m;
	else
		a->last->next = m;
	a->last = m;
	a->bytes += bytes;
	a->nwaiting++;
	ib->nwaiting++;
	if (idle)
		asker_wait(ib, i);
	return true;
}

bool
inbox_has(const struct inbox *ib, bool first)
{
	return first ? ib->lines[FIRST].first != TABLE_NONE : ib->nwaiting > 0;
}

struct msg *
inbox_take(struct inbox *ib, bool first)
{
	struct asker *a;
	struct msg *m;
	uint32_t i;

	assert(ib->serving == TABLE_NONE);
	if (!inbox_has(ib, first))
		return NULL;
	if ((i = ib->lines[FIRST].first) == TABLE_NONE)
		while (i = round_first(ib), ib->askers[i].first == NULL)
			asker_forget(ib, i);
	line_drop(ib, i);
	a = &ib->askers[i];
	m = a->first;
	a->first = m->next;
	a->nwaiting--;
	ib->nwaiting--;
	ib->serving = i;
	return m;
}

void
inbox_paid(struct inbox *ib, uint64_t cost_ns, size_t bytes)
{
	struct asker *a = &ib->askers[ib->serving];

	if (a->share_ns < ib->clock_ns)
		a->share_ns = ib->clock_ns;
	a->share_ns += cost_ns;
	a->bytes -= bytes;
	asker_wait(ib, ib->serving);
	ib->serving = TABLE_NONE;
}

void
inbox_rest(struct inbox *ib, uint64_t rest_ns)
{
	uint64_t to_ns = ib->clock_ns + rest_ns / INBOX_FORGIVES;

	if (ib->nwaiting > 0)
		return;
	while (rounds_ahead(ib) < INBOX_ROUNDS &&
	    round_now(ib) + rounds_ahead(ib) < to_ns / INBOX_ROUND_NS)
		asker_forget(ib, round_first(ib));
	ib->clock_ns = to_ns;
}
