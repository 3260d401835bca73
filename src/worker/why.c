/* Why configurations are where they are (config/why.h): a walk that asks each row, or one device's. */
#include "worker/priv.h"

static struct why_when
when_of(struct worker *w)
{
	int64_t left_us = w->sweep_again_us - clock_mono_us();

	worker_identities_left(w);
	return (struct why_when){ .now_us = w->env.now_us,
		.again_us =
		    w->sweep_again_us == 0 ? 0 : w->env.now_us + (left_us > 0 ? left_us : 0),
		.can_write = w->env.can_write,
		.has_room = w->env.identities_left > 0 };
}

/* Entries go into the page; false: it is full, and the row is the next one's, or all is said. */
static bool
deliver(struct walk *k, struct str entries, uint32_t n)
{
	if (n == 0)
		return true;
	if (walk_page_full(k)) {
		k->more = true;
		return false;
	}
	walk_row_begins(k);
	buf_str(&k->json, entries);
	walk_row_ends(k);
	return true;
}

bool
why_walk_visit(struct worker *w, struct walk *k, struct shard *sh, uint32_t row)
{
	struct why_when when = when_of(w);
	struct buf entries = { 0 };
	unsigned records;
	uint32_t other, n;
	bool go_on;

	if (!why_wants(k->why, sh, row))
		return true;
	while ((other = why_row(k->why, sh, row, &records)) != TABLE_NONE)
		if (worker_load_row(w, sh, other, records, &k->fault) != ERR_OK)
			return false;
	k->found = true;
	if (!why_is_there(k->why, sh, row, &k->fault))
		return false;
	n = why_visit(k->why, sh, row, &when, &entries);
	go_on = deliver(k, buf_view(&entries), n);
	buf_fini(&entries);
	if (why_ids(k->why)->given) {
		k->place.shard = SHARDS; /* no other row matters */
		return false;
	}
	return go_on;
}
