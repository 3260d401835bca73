/*
 * Live queries while all else goes on: workers take turns, commits fail, rows come and go. Of each that is watched:
 *
 *   what is told follows from what was told before: nobody enters twice, leaves or changes that is not there, and a change changes something
 *   what a client hears was acknowledged by then, and is not undone (E-55)
 *   when all rests, what was told gives the rows that the documents give, to the byte (E-54)
 *
 * One whose commit has failed ends, and another one is opened in its place.
 */
#include "draw.h"
#include "watch/watch.h"
#include "worker/live.h"
#include "world.h"

#include <stdlib.h>

#define WATCHES_MAX 3u
#define TOLD_MAX    4096u

struct watched {
	struct live *live; /* NULL: none */
	struct watch *watch;
	struct buf text, piece;
	bool ready, closing;
	struct buf rows[DEVICES_MAX]; /* as told; empty: it is not there */
};

static struct watched all[WATCHES_MAX];

/* Writes that were told, to be held against what clients know once they have heard what came with them. */
static struct {
	uint32_t device, own;
} told[TOLD_MAX];
static uint32_t ntold;

static uint32_t
number_of(const struct world *w, struct str id)
{
	uint32_t i = 0;

	while (i < w->nid && !str_eq(str_of(w->ids[i]), id))
		i++;
	if (i == w->nid)
		world_fail("a watch shows " STR_FMT ", which nobody has made", STR_ARG(id));
	return i;
}

/* ---- what is told ---- */

static void
take_event(struct world *w, struct watched *x, struct str line)
{
	struct doc d = world_doc(w, line), row = doc_getc(d, "row");
	struct str event = doc_str(doc_getc(d, "event")), text = STR_NONE;
	uint32_t i;
	bool there;

	if (str_eq(event, STR("ready"))) {
		x->ready = true;
		return;
	}
	i = number_of(w, doc_str(doc_getc(d, "deviceId")));
	there = x->rows[i].n > 0;
	if (there != (str_eq(event, STR("change")) || str_eq(event, STR("leave"))) ||
	    (x->ready && str_eq(event, STR("row"))))
		world_fail(STR_FMT ": " STR_FMT " of %s, which is %sthere",
		    STR_ARG(buf_view(&x->text)), STR_ARG(event), w->ids[i], there ? "" : "not ");
	if (doc_defined(row)) {
		struct doc own = doc_getc(row, "own");
		const char *at = strstr(line.p, ",\"row\":");

		text = (struct str){ at + 7, line.n - (size_t)(at + 7 - line.p) - 1 };
		if (doc_kind(own) == DOC_INT && ntold < TOLD_MAX) {
			told[ntold].device = i;
			told[ntold++].own = (uint32_t)doc_int(own);
		}
	}
	if (str_eq(event, STR("change")) && str_eq(text, buf_view(&x->rows[i])))
		world_fail(STR_FMT ": a change of %s, and it is as it was",
		    STR_ARG(buf_view(&x->text)), w->ids[i]);
	x->rows[i].n = 0;
	buf_str(&x->rows[i], text);
	seen.watched++;
}

static void
on_over(void *ctx)
{
	struct watched *x = ctx;

	watch_unref(x->watch);
	buf_fini(&x->text);
	buf_fini(&x->piece);
	for (uint32_t i = 0; i < DEVICES_MAX; i++)
		buf_fini(&x->rows[i]);
	*x = (struct watched){ 0 };
}

static void
end(struct watched *x)
{
	if (x->live == NULL || x->closing)
		return;
	x->closing = true;
	live_close(x->live);
}

static void
on_heard(void *ctx)
{
	struct watched *x = ctx;
	struct world *w = the_world;
	struct str rest, line;
	enum reason why;

	if (x->closing)
		return;
	x->piece.n = 0;
	why = live_take(x->live, &x->piece);
	buf_putc(&x->piece, '\0');
	rest = (struct str){ x->piece.p, x->piece.n - 1 };
	while (rest.n > 0 && !w->dead) {
		str_cut(rest, '\n', &line, &rest);
		take_event(w, x, line);
	}
	live_left(x->live);
	if (why == REASON_NONE)
		return;
	if (w->ntrouble == 0 && why != REASON_SHARD_MOVED)
		world_fail("a watch ends: %s", reason_text(why));
	seen.unwatched++;
	end(x);
}

void
watched_turn(struct world *w)
{
	for (uint32_t i = 0; i < ntold && !w->dead; i++)
		ledger_shown(w, w->ids[told[i].device], told[i].own);
	ntold = 0;
}

/* ---- they are opened ---- */

static void
draw_text(struct world *w, struct buf *text)
{
	static const char *const lists[] = { "tags.own AS own",
		"tags.own AS own, connectionState, status",
		"tags.level, properties.reported.a, properties.desired.b", "tags, tags.own AS own",
		"properties.reported" };

	text->n = 0;
	buf_printf(text, "SELECT deviceId, %s FROM devices", lists[rnd_below(&w->rnd, 5)]);
	if (rnd_below(&w->rnd, 4) == 0)
		return;
	buf_cstr(text, " WHERE ");
	switch (rnd_below(&w->rnd, 4)) {
	case 0: buf_printf(text, "tags.hop = %u", rnd_below(&w->rnd, 2)); break;
	case 1:
		buf_printf(text, "deviceId IN ['%s', '%s']", world_device(w), world_device(w));
		break;
	default: draw_condition(&w->rnd, text); break;
	}
}

void
step_watched(struct world *w)
{
	struct watched *x = &all[rnd_below(&w->rnd, WATCHES_MAX)];
	struct fault f = { .text = "" };

	if (x->live != NULL) {
		if (rnd_below(&w->rnd, 4) == 0)
			end(x);
		return;
	}
	do
		draw_text(w, &x->text);
	while (watch_compile(buf_view(&x->text), true, &x->watch, &f) != ERR_OK);
	if (fleet_watch(w->fleet,
	        &(struct live_conf){ .watch = x->watch,
	            .home = w->loop,
	            .heard = on_heard,
	            .over = on_over,
	            .ctx = x },
	        &x->live, &f) != ERR_OK)
		world_fail("%s", f.text);
}

/* ---- all rests ---- */

static void
check_device(struct world *w, struct watched *x, uint32_t i)
{
	struct shard *sh = contact_shard(w, hub_shard_of(str_of(w->ids[i])));
	uint32_t row = shard_find(sh, str_of(w->ids[i]), STR_NONE);
	const struct query *q = watch_query(x->watch);
	struct buf text = { 0 };
	struct look l;

	if (row != TABLE_NONE && look_matches(w, q, sh, row)) {
		look_open(w, sh, row, &query_facts(q)->output, &l);
		query_project(q, &hub_query_ops, &l.row, &w->scratch, &text);
		look_close(&l);
	}
	if (!str_eq(buf_view(&text), buf_view(&x->rows[i])))
		world_fail(STR_FMT ": of %s was told '" STR_FMT "', and it is '" STR_FMT "'",
		    STR_ARG(buf_view(&x->text)), w->ids[i], STR_ARG(buf_view(&x->rows[i])),
		    STR_ARG(buf_view(&text)));
	seen.followed += text.n > 0;
	buf_fini(&text);
}

void
watched_check(struct world *w)
{
	for (unsigned k = 0; k < WATCHES_MAX; k++) {
		struct watched *x = &all[k];

		for (unsigned n = 0; x->live != NULL && !x->ready && !x->closing; n++) {
			if (n > 10000)
				world_fail("the first rows are never found");
			w->mono_us += 100;
			world_round(w);
		}
	}
	if (!world_quiet(w, 50))
		return; /* jobs, or waves, go on */
	for (unsigned k = 0; k < WATCHES_MAX; k++)
		for (uint32_t i = 0; all[k].ready && !all[k].closing && i < w->nid; i++)
			check_device(w, &all[k], i);
}

/* The fleet goes. */
void
watched_drop(struct world *w)
{
	for (unsigned k = 0; k < WATCHES_MAX; k++) {
		end(&all[k]);
		for (unsigned n = 0; all[k].live != NULL; n++) {
			if (n > 10000)
				world_fail("a watch is never over");
			for (unsigned i = 0; i < w->o.nworker; i++)
				world_turn(w, i);
		}
	}
	ntold = 0;
}
