/* The order in which a worker serves those who ask. Costs are told, not measured, so every order here is exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "net/net.h"
#include "worker/inbox.h"

#include <cmocka.h>

#define US    1000u
#define MS    1000000u
#define LARGE (3u * MS)   /* an operation that rewrites a full section */
#define SMALL (10u * US)  /* one of a quiet device */
#define QUIET UINT64_C(7) /* keys */
#define FLOOD UINT64_C(1000)

struct item {
	struct msg msg; /* first */
	uint64_t key;
	uint32_t nth; /* of its asker's */
};

static void
put(struct inbox *ib, struct item *it, uint64_t key, uint32_t nth)
{
	it->key = key;
	it->nth = nth;
	assert_true(inbox_put(ib, key, &it->msg, 0, false));
}

static struct item *
serve(struct inbox *ib, uint64_t cost_ns)
{
	struct item *it = (struct item *)inbox_take(ib, false);

	assert_non_null(it);
	inbox_paid(ib, cost_ns, 0);
	return it;
}

static uint64_t
cost_of(const struct item *it)
{
	return it->key >= FLOOD ? LARGE : SMALL;
}

/* Floods that always have `each` operations waiting: what was served comes again. */
struct floods {
	struct inbox ib;
	struct item *items;
	unsigned n, each;
};

static void
floods_init(struct floods *f, unsigned n, unsigned each)
{
	inbox_init(&f->ib);
	f->n = n;
	f->each = each;
	f->items = calloc((size_t)n * each, sizeof(*f->items));
	for (unsigned i = 0; i < n * each; i++)
		put(&f->ib, &f->items[i], FLOOD + i % n, i / n);
}

static void
floods_fini(struct floods *f)
{
	inbox_fini(&f->ib);
	free(f->items);
}

/* Operations served before `mine`, that one not among them. */
static unsigned
served_before(struct floods *f, const struct item *mine)
{
	struct item *it;
	unsigned n = 0;

	while ((it = (struct item *)inbox_take(&f->ib, false)) != mine) {
		inbox_paid(&f->ib, cost_of(it), 0);
		put(&f->ib, it, it->key, it->nth + f->each);
		n++;
	}
	inbox_paid(&f->ib, SMALL, 0);
	return n;
}

static void
inbox__a_quiet_asker_waits_for_no_flood_that_had_its_share(void **state)
{
	static const unsigned nfloods[] = { 1, 2, 50, 500 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct floods f;
		struct item mine;

		floods_init(&f, nfloods[i], 256);
		for (unsigned n = 0; n < 3 * nfloods[i]; n++) { /* each had some */
			struct item *it = serve(&f.ib, LARGE);

			put(&f.ib, it, it->key, it->nth + f.each);
		}
		put(&f.ib, &mine, QUIET, 0);
		assert_int_equal(served_before(&f, &mine), 0);
		floods_fini(&f);
	}
}

/* Also when it has come first and all at once: each flood gets one operation, not its queue. */
static void
inbox__a_newcomer_waits_for_one_operation_of_each(void **state)
{
	struct floods f;
	struct item mine;

	(void)state;
	floods_init(&f, 50, 256);
	put(&f.ib, &mine, QUIET, 0);
	assert_true(served_before(&f, &mine) <= 50);
	floods_fini(&f);
}

/* One that sends every few milliseconds, for a long time, beside two floods: it never waits for more than what a newcomer
 * does, and the floods are served as much as there is time. */
static void
inbox__a_quiet_asker_stays_quiet(void **state)
{
	struct floods f;
	struct item mine;
	uint64_t nflood = 0;

	(void)state;
	floods_init(&f, 2, 256);
	for (unsigned i = 0; i < 1000; i++) {
		unsigned n = 0;

		for (; n < 4; n++) {
			struct item *it = serve(&f.ib, LARGE);

			put(&f.ib, it, it->key, it->nth + f.each);
		}
		put(&f.ib, &mine, QUIET, i);
		n = served_before(&f, &mine);
		assert_true(n == 0 || (i == 0 && n <= 2));
		nflood += n + 4;
	}
	assert_true(nflood >= 4000);
	floods_fini(&f);
}

/* Sending the next one when the last is answered makes nobody new: time is shared as between two queues. */
static void
inbox__who_comes_again_at_once_is_not_new(void **state)
{
	struct inbox ib;
	struct item one = { .nth = 0 }, queue[64];
	uint64_t had[2] = { 0 };

	(void)state;
	inbox_init(&ib);
	for (unsigned i = 0; i < 64; i++)
		put(&ib, &queue[i], FLOOD, i);
	put(&ib, &one, FLOOD + 1, 0);
	for (unsigned i = 0; i < 20000; i++) {
		struct item *it = serve(&ib, MS);

		had[it == &one] += MS;
		put(&ib, it, it->key, it->nth + 1);
	}
	assert_true(had[0] <= had[1] + 2 * MS && had[1] <= had[0] + 2 * MS);
	inbox_fini(&ib);
}

/* Time is what is shared, not numbers: cheap operations and dear ones, each asker gets as much. */
static void
inbox__shares_are_of_time(void **state)
{
	static const uint64_t costs[] = { 20 * US, 300 * US, 3 * MS };
	struct inbox ib;
	struct item items[3][64];
	uint64_t had[3] = { 0 };

	(void)state;
	inbox_init(&ib);
	for (unsigned i = 0; i < 3 * 64; i++)
		put(&ib, &items[i % 3][i / 3], i % 3, i / 3);
	for (unsigned i = 0; i < 100000; i++) {
		struct item *it = (struct item *)inbox_take(&ib, false);

		inbox_paid(&ib, costs[it->key], 0);
		had[it->key] += costs[it->key];
		put(&ib, it, it->key, 0);
	}
	for (unsigned i = 0; i < 3; i++)
		for (unsigned j = 0; j < 3; j++)
			assert_true(had[i] <= had[j] + 2 * LARGE);
	inbox_fini(&ib);
}

/* first: only those whose share of this round is not used up. */
static void
inbox__who_had_its_share_is_not_first(void **state)
{
	struct floods f;
	struct item mine;

	(void)state;
	floods_init(&f, 3, 4);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(inbox_has(&f.ib, true));
		serve(&f.ib, LARGE);
	}
	assert_false(inbox_has(&f.ib, true));
	assert_null(inbox_take(&f.ib, true));
	assert_true(inbox_has(&f.ib, false));
	put(&f.ib, &mine, QUIET, 0);
	assert_ptr_equal(inbox_take(&f.ib, true), &mine);
	inbox_paid(&f.ib, SMALL, 0);
	assert_null(inbox_take(&f.ib, true));
	floods_fini(&f);
}

/* What one has had is no debt for ever: a rest makes up for it. */
static void
inbox__rest_forgives(void **state)
{
	struct inbox ib;
	struct item flood[2], other;

	(void)state;
	inbox_init(&ib);
	put(&ib, &flood[0], FLOOD, 0);
	serve(&ib, LARGE);
	assert_int_equal(ib.nasker, 1);
	inbox_rest(&ib, INBOX_FORGIVES * (LARGE + 2 * INBOX_ROUND_NS));
	assert_int_equal(ib.nasker, 0);
	put(&ib, &flood[1], FLOOD, 1);
	put(&ib, &other, QUIET, 0);
	assert_ptr_equal(inbox_take(&ib, true), &flood[1]); /* as one who comes anew: in order */
	inbox_paid(&ib, LARGE, 0);
	assert_ptr_equal(inbox_take(&ib, true), &other);
	inbox_paid(&ib, SMALL, 0);
	inbox_fini(&ib);
}

static void
inbox__one_asker_takes_its_share_of_the_room(void **state)
{
	struct item *items = calloc(INBOX_SHARE + 2, sizeof(*items)), mine;
	struct inbox ib;

	(void)state;
	inbox_init(&ib);
	for (uint32_t i = 0; i < INBOX_SHARE; i++)
		put(&ib, &items[i], FLOOD, i);
	assert_false(inbox_put(&ib, FLOOD, &items[INBOX_SHARE].msg, 0, false));
	assert_true(inbox_put(&ib, FLOOD, &items[INBOX_SHARE + 1].msg, 0, true));
	put(&ib, &mine, QUIET, 0);
	assert_int_equal(ib.nwaiting, INBOX_SHARE + 2);
	inbox_fini(&ib);
	free(items);
}

/* Askers that come once and never again are not remembered without bound; who waits is not forgotten. */
static void
inbox__askers_are_bounded(void **state)
{
	const uint64_t spread = UINT64_C(0x9E3779B97F4A7C15); /* keys are hashes */
	struct item once, waits[8];
	struct inbox ib;
	unsigned nwaits = 0;

	(void)state;
	inbox_init(&ib);
	for (uint64_t key = 0; key < 3 * INBOX_ASKERS; key++) {
		put(&ib, &once, (1000 + key) * spread, 0);
		assert_ptr_equal(serve(&ib, 1), &once);
		assert_true(ib.nasker <= INBOX_ASKERS);
	}
	assert_true(ib.cap <= INBOX_ASKERS);
	for (unsigned i = 0; i < 8; i++)
		put(&ib, &waits[i], i, 0);
	for (uint64_t key = 0; key < 2 * INBOX_ASKERS; key++) {
		struct item *it;

		put(&ib, &once, (1000 + key) * spread, 0);
		do {
			it = serve(&ib, 1);
			nwaits += it != &once;
		} while (it != &once);
	}
	assert_int_equal(nwaits, 8);
	assert_int_equal(ib.nwaiting, 0);
	inbox_fini(&ib);
}

/* ---- a model: random histories ---- */

#define KEYS  40u
#define ITEMS 4000u

struct history {
	struct inbox ib;
	struct item items[ITEMS];
	uint32_t nput[KEYS], nserved[KEYS], nwaiting;
	uint64_t seed;
};

static uint32_t
draw(struct history *h, uint32_t below)
{
	h->seed = h->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(h->seed >> 33) % below;
}

static void
history_serve(struct history *h, bool first)
{
	bool has = inbox_has(&h->ib, first);
	struct item *it = (struct item *)inbox_take(&h->ib, first);

	assert_int_equal(has, it != NULL);
	assert_true(first || has == (h->nwaiting > 0));
	if (it == NULL)
		return;
	assert_int_equal(it->nth, h->nserved[it->key]++);
	h->nwaiting--;
	inbox_paid(&h->ib, draw(h, 4) == 0 ? draw(h, 20 * MS) : draw(h, 100 * US), 0);
}

static void
history_run(struct history *h)
{
	uint32_t nitem = 0;

	while (nitem < ITEMS || h->nwaiting > 0)
		switch (draw(h, 8)) {
		case 0:
		case 1:
		case 2:
			if (nitem < ITEMS) {
				uint32_t key = draw(h, draw(h, 2) ? KEYS : 3);

				put(&h->ib, &h->items[nitem++], key, h->nput[key]++);
				h->nwaiting++;
			}
			break;
		case 3: inbox_rest(&h->ib, draw(h, 100 * MS)); break;
		case 4: history_serve(h, true); break;
		default: history_serve(h, false); break;
		}
}

static void
inbox__serves_each_once_and_in_its_askers_order(void **state)
{
	struct history *h = calloc(1, sizeof(*h));

	(void)state;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		*h = (struct history){ .seed = seed };
		inbox_init(&h->ib);
		history_run(h);
		for (unsigned key = 0; key < KEYS; key++)
			assert_int_equal(h->nput[key], h->nserved[key]);
		inbox_fini(&h->ib);
	}
	free(h);
}

static void
inbox__one_asker_has_a_share_of_the_bytes(void **state)
{
	static struct msg m[6];
	struct inbox ib;

	(void)state;
	inbox_init(&ib);
	ib.share_bytes = 1000;
	assert_true(inbox_put(&ib, 1, &m[0], 700, false));
	assert_false(inbox_put(&ib, 1, &m[1], 301, false));
	assert_true(inbox_put(&ib, 1, &m[1], 300, false));
	assert_true(inbox_put(&ib, 1, &m[2], 0, false));
	assert_true(inbox_put(&ib, 2, &m[3], 900, false));
	assert_ptr_equal(inbox_take(&ib, false), &m[0]);
	inbox_paid(&ib, 1, 700);
	assert_true(inbox_put(&ib, 1, &m[4], 700, false));
	assert_false(inbox_put(&ib, 1, &m[5], 1, false));
	assert_true(inbox_put(&ib, 1, &m[5], 1, true));
	inbox_fini(&ib);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inbox__one_asker_has_a_share_of_the_bytes),
		cmocka_unit_test(inbox__a_quiet_asker_waits_for_no_flood_that_had_its_share),
		cmocka_unit_test(inbox__a_newcomer_waits_for_one_operation_of_each),
		cmocka_unit_test(inbox__a_quiet_asker_stays_quiet),
		cmocka_unit_test(inbox__who_comes_again_at_once_is_not_new),
		cmocka_unit_test(inbox__shares_are_of_time),
		cmocka_unit_test(inbox__who_had_its_share_is_not_first),
		cmocka_unit_test(inbox__rest_forgives),
		cmocka_unit_test(inbox__one_asker_takes_its_share_of_the_room),
		cmocka_unit_test(inbox__askers_are_bounded),
		cmocka_unit_test(inbox__serves_each_once_and_in_its_askers_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
