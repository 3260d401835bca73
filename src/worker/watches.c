/*
 * What a worker does for watches (live.h): it finds the rows that match, in slices, and hears what operations make of rows. All that it finds
 * waits behind the commit that it may have seen, in the order in which it was found; there, and not before, it becomes a step of what has
 * been shown (watch/shown.h). So what is undone has never been told, and what has been shown need not be taken back.
 *
 *   operation -> watches_hear -> told ---.
 *   slice     -> scan         -> told ---+--gate_after--> deliver -> watch_shown_take -> live_tell
 *
 * A failed commit ends the watches of the worker all the same: a session that has ended meanwhile stays ended (E-55), and who watched has not
 * heard of it.
 */
#include "worker/watches.h"

#include "task/query.h"
#include "watch/touched.h"

#include "doc/out.h"

#include <stdlib.h>

#define SCAN_BYTES   (64u << 10) /* of rows that one slice finds: then others have their turn */
#define SCAN_BUSY_US 500         /* of a slice while others wait */
/* What conditions may take of a worker, as each change of a row asks many. Those that are quick are always asked; all others together have so much at once, and
 * a quarter of the time that passes. */
#define WATCH_CHEAP_NS INT64_C(100000)
#define WATCH_BURST_NS INT64_C(20000000)
#define WATCH_SHARE    4
#define EVENT_BYTES    400u /* that an event has beside its members: its name, a position */

/* ---- what is found, on its way to be told ---- */

struct told_row {
	struct watching *x; /* a reference */
	struct watch_sight seen;
	uint64_t position;
	size_t at, n; /* members: in text */
	size_t pledged;
};

struct told {
	struct told_row *rows;
	uint32_t n, cap;
	struct buf text;
	struct watching *found; /* NULL; or its first rows are all found with these: a reference */
};

/* The index knows it by its address. */
static uint64_t
watching_id(const struct watching *x)
{
	return (uintptr_t)x;
}

static struct watching *
watching_of(uint64_t id)
{
	uintptr_t at = (uintptr_t)id;
	struct watching *x;

	memcpy(&x, &at, sizeof(x));
	return x;
}

static void
watching_drop(struct watching *x)
{
	if (--x->refs > 0)
		return;
	watch_shown_fini(&x->shown);
	watch_unref(x->watch);
	free(x);
}

/* Nothing more is told of it here. */
static void
watching_ends(struct worker *w, struct watching *x)
{
	x->over = true;
	if (!x->scans)
		return;
	x->scans = false;
	w->watches.nscan--;
	if (x->scan != NULL)
		task_free(&x->scan->task);
	x->scan = NULL;
}

static void
watching_cut(struct worker *w, struct watching *x, enum reason why)
{
	if (!x->over)
		live_cut(x->live, why);
	watching_ends(w, x);
}

static void
put_members(struct buf *out, struct str device, struct str module)
{
	struct buf ids = { 0 };
	struct out o = out_to(&ids);

	out_open(&o);
	out_str(out_key(&o, "deviceId"), device);
	out_some_str(&o, "moduleId", module);
	out_close(&o);
	buf_put(out, ids.p + 1, ids.n - 2);
	buf_fini(&ids);
}

/* What has been seen of a row, and of which; row: as it is, NULL: it is no more. */
struct sighting {
	struct watch_sight seen;
	uint64_t position;
	struct str device, module;
	const void *row;
};

/* false: it is too much, and the watch has ended: for watching_ends. */
static bool
told_add(struct worker *w, struct told *told, struct watching *x, const struct sighting *s)
{
	struct told_row r = {
		.x = x, .seen = s->seen, .position = s->position, .at = told->text.n
	};

	put_members(&told->text, s->device, s->module);
	if (s->seen.matches) {
		buf_cstr(&told->text, ",\"row\":");
		query_project(
		    watch_query(x->watch), &hub_query_ops, s->row, &w->query_scratch, &told->text);
	}
	r.n = told->text.n - r.at;
	r.pledged = r.n + EVENT_BYTES;
	if (!live_pledge(x->live, r.pledged, s->seen.first)) {
		told->text.n = r.at;
		return false;
	}
	if (told->n == told->cap) {
		told->cap = told->cap ? told->cap * 2 : 4;
		told->rows = xrealloc(told->rows, told->cap * sizeof(*told->rows));
	}
	x->refs++;
	told->rows[told->n++] = r;
	return true;
}

/* On disk: what is it to who has been shown what came before? */
static void
deliver_row(struct worker *w, const struct told *told, const struct told_row *r)
{
	struct watching *x = r->x;
	struct live_event e = { .shard = r->seen.shard,
		.position = r->position,
		.members = { told->text.p + r->at, r->n },
		.pledged = r->pledged };

	if (watch_shown_take(&x->shown, &r->seen, &e.step) != ERR_OK) {
		watching_cut(w, x, REASON_WATCH_ROWS);
	} else if (e.step != WATCH_NONE && !live_counts(x->live, e.step)) {
		watching_ends(w, x);
	} else if (e.step != WATCH_NONE) {
		live_tell(x->live, &e);
		return;
	}
	live_untold(x->live, r->pledged);
}

static void
told_free(struct told *told)
{
	for (uint32_t i = 0; i < told->n; i++)
		watching_drop(told->rows[i].x);
	if (told->found != NULL)
		watching_drop(told->found);
	free(told->rows);
	buf_fini(&told->text);
	free(told);
}

static void
deliver(void *ctx, void *p, enum gate_end end)
{
	struct worker *w = ctx;
	struct told *told = p;

	for (uint32_t i = 0; i < told->n; i++) {
		struct told_row *r = &told->rows[i];

		if (end != GATE_ON_DISK)
			watching_cut(w, r->x, REASON_UNAVAILABLE);
		if (r->x->live == NULL)
			lives_untold(w->fleet, r->pledged);
		else if (r->x->over)
			live_untold(r->x->live, r->pledged);
		else
			deliver_row(w, told, r);
	}
	if (told->found != NULL && !told->found->over)
		live_found(told->found->live);
	told_free(told);
}

static void
tell_behind_commit(struct worker *w, struct told *told)
{
	if (told->n > 0 || told->found != NULL)
		gate_after(&w->gate, deliver, told);
	else
		told_free(told);
}

/* ---- what an operation has made of rows ---- */

struct hearing {
	struct worker *w;
	struct shard *sh;
	struct told *told;
	/* when a condition began: by processor time if it may be costly, else clock_mono_ns */
	int64_t asked_ns;
	/* processor time when it began, or when one was slow that was not known to be */
	int64_t cpu_ns;
	bool slow; /* there was such a one: nobody is known to be quick */
};

/* What is on its way behind a commit may show it yet; first rows that are not found yet will show it as it is then. */
static bool
shows(const struct hearing *h, const struct watching *x, uint32_t row)
{
	return x->refs > 1 || watch_shown_has(&x->shown, shard_index(h->sh), row);
}

/* What costly conditions may take now. */
static int64_t
credit_now(struct worker *w)
{
	struct worker_watches *all = &w->watches;
	int64_t now_ns = clock_mono_ns(), more = (now_ns - all->credit_at_ns) / WATCH_SHARE;

	all->credit_ns =
	    more < WATCH_BURST_NS - all->credit_ns ? all->credit_ns + more : WATCH_BURST_NS;
	all->credit_at_ns = now_ns;
	return all->credit_ns;
}

static bool
asks(void *ctx, uint64_t id, uint32_t row, bool moved)
{
	struct hearing *h = ctx;
	struct watching *x = watching_of(id);

	if (x->over || !(moved || shows(h, x, row)))
		return false;
	if ((x->costly || h->slow) && credit_now(h->w) <= 0) {
		watching_cut(h->w, x, REASON_OVERLOADED);
		return false;
	}
	h->asked_ns = x->costly ? clock_thread_ns() : clock_mono_ns();
	return true;
}

static void
asked_costly(struct hearing *h, struct watching *x)
{
	int64_t taken_ns = clock_thread_ns() - h->asked_ns;

	x->slow = x->slow || taken_ns > WATCH_CHEAP_NS;
	x->costly = x->slow; /* once is enough, or it would be quick and slow in turn */
	if (taken_ns > WATCH_CHEAP_NS)
		h->w->watches.credit_ns -= taken_ns;
}

/* Slow by the clock: has another thread had the processor? */
static void
asked_long(struct hearing *h, struct watching *x)
{
	int64_t cpu_ns = clock_thread_ns(), taken_ns = cpu_ns - h->cpu_ns;

	h->cpu_ns = cpu_ns;
	if (taken_ns <= WATCH_CHEAP_NS)
		return;
	x->costly = x->slow = h->slow = true;
	h->w->watches.credit_ns -= taken_ns;
}

static void
asked(struct hearing *h, struct watching *x)
{
	if (x->costly)
		asked_costly(h, x);
	else if (clock_mono_ns() - h->asked_ns > WATCH_CHEAP_NS)
		asked_long(h, x);
}

static void
hear(void *ctx, const struct watch_news *n)
{
	struct hearing *h = ctx;
	struct watching *x = watching_of(n->hit->id);
	struct sighting s = { .seen = { .shard = shard_index(h->sh),
		                  .row = n->row,
		                  .matches = n->hit->matches,
		                  .differs = n->hit->differs },
		.position = shard_log_next(h->sh),
		.device = n->device,
		.module = n->module,
		.row = n->is };
	bool matched;

	/* who has been shown what it was, or will be, has nothing to hear: neither then nor now, or then as now */
	matched = n->hit->moved ? n->was != NULL &&
	        query_match(watch_query(x->watch), n->ops, n->was, &h->w->query_scratch)
	                        : s.seen.matches;
	asked(h, x);
	if (matched == s.seen.matches && !(matched && s.seen.differs))
		return;
	if (h->told == NULL)
		h->told = xcalloc(1, sizeof(*h->told));
	if (!told_add(h->w, h->told, x, &s))
		watching_ends(h->w, x);
}

/* Nobody knows what has become of a row. */
static void
watches_cut(struct worker *w, enum reason why)
{
	for (struct watching *x = w->watches.first; x != NULL; x = x->next)
		watching_cut(w, x, why);
}

void
watches_hear(struct worker *w, struct shard *sh)
{
	struct hearing h = { .w = w, .sh = sh };
	struct fault f;
	unsigned missing;

	if (w->watches.n == 0 || !watch_any(sh))
		return;
	h.cpu_ns = clock_thread_ns();
	while (w->key.n = 0, (missing = watch_missing(sh, w->watches.index, &w->key)) != 0) {
		enum err e = worker_load(w, sh, buf_view(&w->key), missing, &f);

		if (e == ERR_OK)
			continue;
		watches_cut(w, e == ERR_CORRUPT ? REASON_FAILED : REASON_UNAVAILABLE);
		watch_forget(sh);
		return;
	}
	watch_touched(sh, w->watches.index, &w->query_scratch, asks, hear, &h);
	if (h.told != NULL)
		tell_behind_commit(w, h.told);
}

void
watches_undone(struct worker *w)
{
	watches_cut(w, REASON_UNAVAILABLE);
	for (uint32_t s = next_held(w, 0); s < SHARDS; s = next_held(w, s + 1))
		watch_forget(w->shards[s]);
}

/* ---- the first rows ---- */

/* A row of them goes where the slice says. */
struct finding {
	struct sink sink;
	struct worker *w;
	struct watching *x;
	struct told *told;
	bool full; /* the slice has found enough: this row is the next one's */
	bool cut;
};

static enum step
find_row(struct sink *k, struct query_task *q, struct shard *sh, uint32_t row, struct slice *slice)
{
	struct finding *f = container_of(k, struct finding, sink);
	struct sighting s = {
		.seen = { .shard = shard_index(sh), .row = row, .first = true, .matches = true }
	};
	struct hub_row hr;

	f->full = f->told->text.n >= SCAN_BYTES;
	if (f->full)
		return task_ends(&q->task);
	if (!task_has(slice, sh, row, q->shows))
		return STEP_NEED;
	shard_row(sh, row, &s.device, &s.module);
	hub_row_open(&hr, sh, row);
	s.row = &hr;
	f->cut = !told_add(f->w, f->told, f->x, &s);
	return f->cut ? task_ends(&q->task) : STEP_DONE;
}

static void
scan_open(struct worker *w, struct watching *x)
{
	x->scan = query_task_borrow(watch_query(x->watch));
	x->scan->task.bookmark = x->at;
	task_begin(&x->scan->task, w->fleet->o.query_bytes);
}

static void
scan_close(struct watching *x)
{
	task_free(&x->scan->task);
	x->scan = NULL;
}

/* From shard to shard, while there is time; true: all have been seen, or it has ended. */
static bool
scan_shards(struct worker *w, struct watching *x, const struct finding *f)
{
	struct task *t = &x->scan->task;

	while (t->bookmark.shard < SHARDS && !t->ended) {
		enum step s = worker_step(w, t, w->shards[t->bookmark.shard]);

		if (s == STEP_OVER || f->full)
			return false;
		if (t->ended)
			break;
		t->bookmark.shard = next_shard(w, t->bookmark.shard + 1);
		t->bookmark.row = 0;
		if (w->slice.over(w))
			return t->bookmark.shard >= SHARDS;
	}
	return true;
}

static void
scan_done(struct worker *w, struct watching *x, struct told *told)
{
	scan_close(x);
	x->scans = false;
	w->watches.nscan--;
	x->refs++;
	told->found = x;
}

static void
scan_slice(struct worker *w, struct watching *x)
{
	struct told *told = xcalloc(1, sizeof(*told));
	struct finding f = { .sink.take = find_row, .w = w, .x = x, .told = told };
	enum fault_code code;
	bool all;

	worker_slice(w);
	if (serve_awaits(w)) /* nobody waits for first rows as devices wait for answers */
		w->slice_end_us -= SLICE_US - SCAN_BUSY_US;
	if (x->scan == NULL)
		scan_open(w, x);
	x->scan->sink = &f.sink;
	all = scan_shards(w, x, &f);
	x->scan->sink = NULL;
	x->at = x->scan->task.bookmark;
	code = x->scan->task.fault.code;
	if (f.cut)
		watching_ends(w, x);
	else if (code != F_NONE)
		watching_cut(w, x, code == F_StoredDamaged ? REASON_FAILED : REASON_UNAVAILABLE);
	else if (all)
		scan_done(w, x, told);
	else if (f.full)
		scan_close(x);
	tell_behind_commit(w, told);
}

/* The next one behind the one whose turn was last; NULL: none can go on. */
static struct watching *
next_scan(const struct worker *w)
{
	struct watching *last = w->watches.last, *x = last;

	for (uint32_t i = 0; i < w->watches.n; i++) {
		x = x != NULL && x->next != NULL ? x->next : w->watches.first;
		if (x->scans && live_has_room(x->live))
			return x;
	}
	return NULL;
}

void
watches_turn(struct worker *w)
{
	struct watching *x;

	if (w->watches.nscan == 0 || w->stopping || (x = next_scan(w)) == NULL)
		return;
	w->watches.last = x;
	scan_slice(w, x);
}

int64_t
watches_patience_us(const struct worker *w)
{
	return w->watches.nscan > 0 && !w->stopping && next_scan(w) != NULL ? 0 : -1;
}

/* ---- they come and go ---- */

static void
listen_all(struct worker *w)
{
	for (uint32_t s = next_shard(w, 0); s < SHARDS; s = next_shard(w, s + 1))
		watch_listen(w->shards[s], w->watches.index);
}

void
watches_moved(struct worker *w)
{
	watches_cut(w, REASON_SHARD_MOVED);
	listen_all(w);
}

void
live_arrives(struct msg *m)
{
	struct live_part *part = container_of(m, struct live_part, watch);
	struct worker *w = part->at;
	struct watching *x = xcalloc(1, sizeof(*x));
	struct fault f;
	enum err e;

	*x = (struct watching){ .live = part->live,
		.watch = watch_ref(live_watch(part->live)),
		.refs = 1,
		.costly = true,
		.scans = true,
		.at.shard = next_shard(w, 0),
		.next = w->watches.first,
		.prev = &w->watches.first };
	if (x->next != NULL)
		x->next->prev = &x->next;
	w->watches.first = part->x = x;
	w->watches.n++;
	w->watches.nscan++;
	e = watch_index_add(w->watches.index, x->watch, watching_id(x), &f);
	assert(e == ERR_OK); /* take_place */
	(void)e;
	for (uint32_t s = next_shard(w, 0); s < SHARDS; s = next_shard(w, s + 1))
		live_begins(x->live, s, shard_log_next(w->shards[s]));
	listen_all(w);
}

static void
watching_unlink(struct worker *w, struct watching *x)
{
	*x->prev = x->next;
	if (x->next != NULL)
		x->next->prev = x->prev;
	if (w->watches.last == x)
		w->watches.last = NULL;
	w->watches.n--;
	x->live = NULL;
	watching_drop(x);
}

void
live_leaves(struct msg *m)
{
	struct live_part *part = container_of(m, struct live_part, unwatch);
	struct worker *w = part->at;
	struct watching *x = part->x;

	watch_index_remove(w->watches.index, watching_id(x));
	listen_all(w);
	watching_ends(w, x);
	watching_unlink(w, x);
	live_part_over(part->live);
}

bool
watches_drop(struct msg *m)
{
	if (m->run == live_arrives)
		return true;
	if (m->run != live_leaves)
		return false;
	live_part_over(container_of(m, struct live_part, unwatch)->live); /* m goes with it */
	return true;
}

void
watches_init(struct worker *w)
{
	w->watches.index = watch_index_new();
}

void
watches_fini(struct worker *w)
{
	struct watching *next;

	for (struct watching *x = w->watches.first; x != NULL; x = next) {
		next = x->next;
		watching_ends(w, x);
		watching_drop(x);
	}
	watch_index_free(w->watches.index);
}
