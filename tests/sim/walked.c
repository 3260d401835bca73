/*
 * A query that goes on for long, while rows come to meet its condition and cease to. Walks look at the end of a turn: so after each
 * turn of a worker its rows are asked, and of the answer, all pages together, this holds:
 *
 *   what has met the condition all the time is in it once; what never has is not
 *   a row shows no write that was not acknowledged before, or was undone
 */
#include "draw.h"
#include "world.h"

#include <stdlib.h>

#define STEPS_MAX 60u

struct walked_row {
	uint32_t row; /* at the beginning; TABLE_NONE: there was none */
	bool moved;   /* it is another row now: it may come twice, or not at all */
	bool always, ever;
	uint32_t n; /* times in the answer */
};

static struct {
	bool on;
	struct query *q;
	struct buf text;
	struct query_bookmark bookmark;
	uint32_t limit, npage;
	struct walked_row rows[DEVICES_MAX];
} walked;

static const struct query_options options = { .extensions = true };

static void
look_again(struct world *w, uint32_t i)
{
	struct walked_row *r = &walked.rows[i];
	struct shard *sh = contact_shard(w, hub_shard_of(str_of(w->ids[i])));
	uint32_t row = shard_find(sh, str_of(w->ids[i]), STR_NONE);
	bool match = row != TABLE_NONE && look_matches(w, walked.q, sh, row);

	r->moved |= row != r->row;
	r->always &= match && row == r->row;
	r->ever |= match;
}

void
walked_turn(struct world *w, unsigned worker)
{
	for (uint32_t i = 0; walked.on && !w->dead && i < w->nid; i++)
		if (contact_worker_of(w, hub_shard_of(str_of(w->ids[i]))) == worker)
			look_again(w, i);
}

void
walked_drop(void)
{
	walked.on = false;
	query_free(walked.q);
	walked.q = NULL;
	buf_fini(&walked.text);
}

/* ---- the answer ---- */

static uint32_t
number_of(const struct world *w, struct str id)
{
	uint32_t i = 0;

	while (i < w->nid && !str_eq(str_of(w->ids[i]), id))
		i++;
	if (i == w->nid)
		world_fail("a query shows " STR_FMT ", which nobody has made", STR_ARG(id));
	return i;
}

static void
take_rows(struct world *w, struct str rows)
{
	struct buf json = { 0 };
	struct doc_parsed info;
	struct doc_iter it;
	struct str key;
	struct doc v;

	buf_printf(&json, "[" STR_FMT "]", STR_ARG(rows));
	w->doc.n = 0;
	if (doc_parse(w->parser, buf_view(&json), &w->doc, &info, NULL) != ERR_OK)
		world_fail("no JSON: " STR_FMT, STR_ARG(rows));
	it = doc_iter(doc_of(buf_view(&w->doc)));
	while (doc_next(&it, &key, &v)) {
		struct doc own = doc_getc(v, "own");
		uint32_t i = number_of(w, doc_text(doc_getc(v, "deviceId")));

		walked.rows[i].n++;
		if (doc_kind(own) == DOC_INT)
			ledger_shown(w, w->ids[i], (uint32_t)doc_int(own));
	}
	buf_fini(&json);
}

static void
check_rows(const struct world *w)
{
	for (uint32_t i = 0; i < w->nid; i++) {
		const struct walked_row *r = &walked.rows[i];

		if (r->always ? r->n == 0 : !r->ever && r->n > 0)
			world_fail(STR_FMT " in %u pages: %s %s it, and is %sin the answer",
			    STR_ARG(buf_view(&walked.text)), walked.npage, w->ids[i],
			    r->always ? "has met" : "has never met", r->n > 0 ? "" : "not ");
		if (r->n > 1 && !r->moved)
			world_fail(STR_FMT " in %u pages: %s is in the answer %u times",
			    STR_ARG(buf_view(&walked.text)), walked.npage, w->ids[i], r->n);
		seen.walked += r->always;
		seen.wavered += r->ever && !r->always;
	}
}

static void ask_page(struct world *w);

static void
page_back(struct inquiry *a)
{
	struct world *w = a->owner;
	bool more = a->more;

	w->nwalk--;
	w->nhome++;
	walked.bookmark = a->bookmark;
	walked.npage++;
	if (w->dead || !walked.on || a->fault.code != F_NONE || contact_stopping(w)) {
		walked_drop();
	} else {
		take_rows(w, buf_view(&a->rows));
		if (more) {
			ask_page(w);
		} else {
			check_rows(w);
			walked_drop();
		}
	}
	ask_free(a);
}

static void
ask_page(struct world *w)
{
	struct inquiry *a = ask_new(ASK_QUERY, w, page_back);
	struct fault f = { .text = "" };

	if (query_parse(buf_view(&walked.text), &options, &a->query, &f) != ERR_OK)
		world_fail(STR_FMT ": %s", STR_ARG(buf_view(&walked.text)), f.text);
	a->limit = walked.limit;
	a->bookmark = walked.bookmark;
	w->nwalk++;
	ask_send(w, a);
}

/* ---- the question ---- */

static void
begin(struct world *w)
{
	static const uint32_t limits[] = { 3, 20, 100, 1000 };
	struct fault f = { .text = "" };

	buf_cstr(&walked.text, "SELECT deviceId, tags.own AS own FROM devices WHERE ");
	switch (rnd_below(&w->rnd, 3)) {
	case 0: buf_cstr(&walked.text, "tags.hop = 1"); break;
	case 1: buf_cstr(&walked.text, "tags.hop = 1 OR tags.level > 80"); break;
	default: draw_condition(&w->rnd, &walked.text); break;
	}
	if (query_parse(buf_view(&walked.text), &options, &walked.q, &f) != ERR_OK)
		world_fail(STR_FMT ": %s", STR_ARG(buf_view(&walked.text)), f.text);
	walked.bookmark = (struct query_bookmark){ 0 };
	walked.npage = 0;
	walked.limit = limits[rnd_below(&w->rnd, 4)];
	walked.on = true;
	for (uint32_t i = 0; i < w->nid; i++) {
		struct shard *sh = contact_shard(w, hub_shard_of(str_of(w->ids[i])));

		walked.rows[i] =
		    (struct walked_row){ .row = shard_find(sh, str_of(w->ids[i]), STR_NONE),
			    .always = true };
		look_again(w, i);
	}
	ask_page(w);
}

/* Devices leave the condition, or come back to it. */
static void
write_hop(struct world *w)
{
	const char *device = world_device(w);
	uint32_t number = ledger_note(w, OP_TWIN_PATCH, device, "");

	buf_printf(&w->text, "{\"tags\":{\"hop\":%u,\"own\":%u}}", rnd_below(&w->rnd, 2), number);
	world_send_noted(w, world_work(w, OP_TWIN_PATCH, device, ""), number);
}

/* Turns end at the first look at the clock: the walk takes as many as it can. */
void
step_walked(struct world *w)
{
	uint32_t look_us = w->look_us;

	if (walked.on)
		return;
	begin(w);
	w->look_us = 3000;
	for (uint32_t n = 0; walked.on && n < STEPS_MAX; n++) {
		if (rnd_below(&w->rnd, 3) > 0)
			write_hop(w);
		if (rnd_below(&w->rnd, 16) == 0)
			write_delete(w);
		world_turn(w, rnd_below(&w->rnd, w->o.nworker));
		if (rnd_below(&w->rnd, 2))
			world_commit(w, rnd_below(&w->rnd, w->o.nworker));
		if (rnd_below(&w->rnd, 100) == 0)
			world_commit_fails(w);
		if (rnd_below(&w->rnd, 20) == 0)
			sim_store_set(w->store, SIM_READY);
	}
	w->look_us = look_us;
}
