/*
 * The walker: the thread that coordinates walks. It does little but to send and to wait; what is large is put together by the finisher.
 */
#include "worker/priv.h"

#include <stdlib.h>

#define AGAIN_US  INT64_C(50000) /* between two askings for a shard that nobody has answered for */
#define PARTS_MAX 4u /* times what one query may take: that parts of one question take together */
#define GRACE_US  INT64_C(2000000) /* beyond its time: who was asked says itself that it is over */

struct part {
	struct walk_call call; /* first */
	struct msg msg;
	struct walk *walk;
	struct part *next;
	int owner;
	uint64_t shards;
	bool kept; /* some shard's answer is its */
};

struct walk {
	struct fleet *fleet;
	struct tour *k; /* NULL: it has been answered, and waits for what is out */
	struct walk *next;
	struct part *parts; /* newest first */
	struct walk_answer *of[SHARDS];
	int owners[SHARDS]; /* who was asked last; -1: nobody yet */
	bool in_order;
	uint64_t leg;  /* shards that are asked for now */
	uint64_t rest; /* that come behind them */
	uint64_t owed, under_way;
	unsigned nout;
	size_t bytes;  /* that have been gathered, beside rows; what is out is its owner's still */
	unsigned most; /* shards of a part: fewer where answers are too large to be sent */
	int64_t again_us;
};

static uint64_t
bit(uint32_t s)
{
	return UINT64_C(1) << s;
}

static int
owner_of(const struct walk *w, uint32_t s)
{
	const struct fleet_walks *o = w->fleet->o.walks;

	return o->owner(o->ctx, s);
}

/* ---- parts ---- */

static void
part_free(struct part *p)
{
	walk_answer_fini(&p->call.answer);
	free(p);
}

void
walk_free(struct walk *w)
{
	struct part *next;

	if (w == NULL)
		return;
	for (struct part *p = w->parts; p != NULL; p = next) {
		next = p->next;
		part_free(p);
	}
	free(w);
}

static void part_is_back(struct msg *m);

static void
part_done(struct walk_call *c)
{
	struct part *p = (struct part *)c;

	p->msg.run = part_is_back;
	mailbox_post(&p->walk->fleet->walker.box, &p->msg);
}

static uint32_t
limit_of(const struct page *page)
{
	return page == NULL ? 0 : page_full(page) ? 0 : page->limit - page->nrow;
}

static void
part_send(struct walk *w, int owner, uint64_t shards)
{
	const struct fleet_walks *o = w->fleet->o.walks;
	struct part *p = xcalloc(1, sizeof(*p));
	struct tour *k = w->k;
	struct buf text = { 0 }, who = { 0 }, peer = { 0 };
	struct walk_asked asked = { .kind = k->task->kind->far->kind,
		.explain = k->explain,
		.samples = k->samples,
		.limit = limit_of(k->task->page),
		.shards = shards,
		.from = k->task->bookmark,
		.left_us = k->deadline_us - clock_mono_us() };

	p->call.done = part_done;
	p->walk = w;
	p->owner = owner;
	p->shards = shards;
	p->next = w->parts;
	w->parts = p;
	w->under_way |= shards;
	w->nout++;
	if (k->task->kind->far->ask != NULL)
		k->task->kind->far->ask(k->task, &text);
	ticket_asker(k->ticket, &who, &peer);
	asked.text = buf_view(&text);
	asked.who = buf_view(&who);
	asked.peer = buf_view(&peer);
	if (owner == o->self)
		fleet_walk(w->fleet, &asked, &p->call);
	else
		o->ask(o->ctx, owner, &asked, &p->call);
	buf_fini(&text);
	buf_fini(&who);
	buf_fini(&peer);
}

/* Each owner is asked for those of the shards that are owed and not under way. */
static void
walk_asks(struct walk *w)
{
	uint64_t due = w->owed & ~w->under_way;
	int owners[SHARDS];

	for (uint32_t s = next_of(due, 0); s < SHARDS; s = next_of(due, s + 1)) {
		owners[s] = owner_of(w, s);
		if (owners[s] < 0)
			due &= ~bit(s);
		else
			w->owners[s] = owners[s];
	}
	while (due != 0) {
		uint64_t shards = 0;
		int owner = owners[next_of(due, 0)];

		for (uint32_t s = next_of(due, 0), n = 0; s < SHARDS && n < w->most;
		     s = next_of(due, s + 1))
			if (owners[s] == owner) {
				shards |= bit(s);
				n++;
			}
		due &= ~shards;
		part_send(w, owner, shards);
	}
	w->again_us = clock_mono_us() + AGAIN_US;
}

/* ---- legs ---- */

/* Shards from the place on that have its owner, without a gap. */
static uint64_t
stretch(const struct walk *w, uint32_t s)
{
	int owner = owner_of(w, s);
	uint64_t shards = bit(s);

	while (++s < SHARDS && owner >= 0 && owner_of(w, s) == owner)
		shards |= bit(s);
	return shards;
}

static void
leg_begins(struct walk *w, uint64_t shards)
{
	w->leg = w->owed = shards;
	w->rest &= ~shards;
	walk_asks(w);
}

static void
walk_leaves(struct walk *w)
{
	struct walk **at = &w->fleet->walker.walks;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
}

/* Its answer is made, and it goes home; what is still out is waited for. */
static void
walk_ends(struct walk *w)
{
	struct fleet *f = w->fleet;
	struct tour *k = w->k;

	w->k = NULL;
	if (w->nout == 0) {
		walk_leaves(w);
		k->walk = w; /* its answers are put together there */
	}
	tour_ends(f, k);
}

static void
times_take(struct tour *k, const struct walk_answer *a)
{
	for (unsigned lap = 0; lap < LAPS; lap++)
		k->ns[lap] += a->ns[lap];
	k->unsplit_ns += a->unsplit_ns;
}

static void
reflects_take(struct walk *w, uint64_t shards)
{
	for (uint32_t s = next_of(shards, 0); s < SHARDS; s = next_of(shards, s + 1))
		w->k->reflects[s] = w->of[s]->reflects[s];
}

/* What was of the page is in it, or is thrown away. */
static void
rows_drop(struct walk *w)
{
	for (struct part *p = w->parts; p != NULL; p = p->next) {
		buf_fini(&p->call.answer.marks);
		buf_fini(&p->call.answer.rows);
		buf_fini(&p->call.answer.modules);
	}
}

/* From the place on that a part came to. */
static void
leg_again(struct walk *w)
{
	uint32_t s = w->k->task->bookmark.shard;

	w->rest = UINT64_MAX << s;
	leg_begins(w, stretch(w, s));
}

static void
leg_ends(struct walk *w)
{
	struct task *t = w->k->task;
	uint64_t seen = 0;
	enum walk_step step = WALK_OVER;

	if (t->page != NULL)
		step = walk_rows(t, w->leg, w->of, &seen);
	reflects_take(w, w->in_order ? seen : w->leg);
	rows_drop(w);
	if (step == WALK_AGAIN)
		leg_again(w);
	else if (step == WALK_OVER || w->rest == 0)
		walk_ends(w);
	else
		leg_begins(w, w->rest);
}

size_t
walk_bytes(const struct walk *w)
{
	return w != NULL ? w->bytes : 0;
}

void
walk_merge(struct fleet *f, struct tour *k)
{
	for (struct part *p = k->walk->parts; p != NULL; p = p->next) {
		if (!p->kept)
			continue;
		times_take(k, &p->call.answer);
		tour_judge_time(f, k);
		if (k->task->fault.code == F_NONE)
			walk_sum(k->task, &p->call.answer);
	}
}

/* ---- what comes back ---- */

/* The node is not the one to ask, or not at the moment. */
static bool
asks_again(const struct walk *w, const struct part *p)
{
	const struct walk_answer *a = &p->call.answer;

	return p->call.lost ||
	    (a->fault.code == F_ServiceUnavailable && a->shards == 0 &&
	        !atomic_load(&w->fleet->stop));
}

/* It has said nothing: a shard may be asked for a thousand times. */
static void
part_drop(struct walk *w, struct part *p)
{
	struct part **at = &w->parts;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	part_free(p);
}

static void
answer_keep(struct walk *w, struct part *p)
{
	uint64_t shards = p->call.answer.shards & p->shards & w->owed;

	p->kept = shards != 0;
	w->bytes += p->call.answer.sum.n;
	for (uint32_t s = next_of(shards, 0); s < SHARDS; s = next_of(shards, s + 1))
		w->of[s] = &p->call.answer;
	w->owed &= ~shards;
}

static void
part_is_back(struct msg *m)
{
	struct part *p = container_of(m, struct part, msg);
	struct walk *w = p->walk;

	w->nout--;
	w->under_way &= ~p->shards;
	if (w->k == NULL) {
		if (w->nout == 0) {
			walk_leaves(w);
			walk_free(w);
		}
		return;
	}
	if (asks_again(w, p)) {
		part_drop(w, p);
		return;
	}
	if (p->call.answer.too_large && (p->shards & (p->shards - 1)) != 0) {
		w->most = (unsigned)__builtin_popcountll(p->shards) / 2;
		part_drop(w, p);
		walk_asks(w);
		return;
	}
	if (p->call.answer.fault.code != F_NONE) {
		w->k->task->fault = p->call.answer.fault;
		walk_ends(w);
		return;
	}
	answer_keep(w, p);
	if (walk_bytes(w) > PARTS_MAX * w->fleet->o.query_bytes) {
		fault_set(&w->k->task->fault, F_QueryTooLarge,
		    "what the nodes have gathered is over %u times what one query may take, %zu "
		    "bytes",
		    PARTS_MAX, (size_t)w->fleet->o.query_bytes);
		walk_ends(w);
	} else if (w->owed == 0) {
		leg_ends(w);
	}
}

/* ---- time ---- */

static void
owner_name(const struct walk *w, uint32_t s, struct buf *out)
{
	const struct fleet_walks *o = w->fleet->o.walks;

	if (w->owners[s] >= 0 && o->name != NULL)
		o->name(o->ctx, w->owners[s], out);
	else
		buf_cstr(out, w->owners[s] >= 0 ? "another node" : "nobody");
}

static void
too_late(struct walk *w)
{
	uint32_t s = next_of(w->owed, 0);
	struct buf name = { 0 };

	owner_name(w, s, &name);
	fault_set(&w->k->task->fault, F_ServiceUnavailable,
	    "shard %u has not answered within the time of a query: it was asked of " STR_FMT
	    " last, try again later",
	    (unsigned)s, STR_ARG(buf_view(&name)));
	buf_fini(&name);
	walk_ends(w);
}

static void
walk_looks(struct walk *w, int64_t now_us)
{
	bool waits = (w->owed & ~w->under_way) == 0;

	if (w->k == NULL)
		return;
	if (atomic_load(&w->fleet->stop)) {
		if (w->nout == 0) {
			fault_set(&w->k->task->fault, F_ServiceUnavailable, "the hub is stopping");
			walk_ends(w);
		}
	} else if (now_us >= w->k->deadline_us + (waits ? GRACE_US : 0)) {
		too_late(w);
	} else if (!waits && now_us >= w->again_us) {
		walk_asks(w);
	}
}

/* When something is to be done, if nothing comes; -1: nothing is under way. */
static int64_t
walker_patience_us(const struct walker *wr)
{
	return wr->walks == NULL ? -1 : AGAIN_US;
}

void
walker_turn(struct fleet *f)
{
	struct walker *wr = &f->walker;
	struct walk *next;

	for (struct msg *m = mailbox_take_all(&wr->box), *after; m != NULL; m = after) {
		after = m->next;
		m->run(m);
	}
	for (struct walk *w = wr->walks; w != NULL; w = next) {
		next = w->next;
		walk_looks(w, clock_mono_us());
	}
}

/* ---- begin ---- */

static void
walk_came(struct msg *m)
{
	struct tour *k = container_of(m, struct tour, msg);
	struct walk *w = k->walk;
	uint32_t s = k->task->bookmark.shard;

	k->walk = NULL;
	w->next = w->fleet->walker.walks;
	w->fleet->walker.walks = w;
	w->in_order = walk_in_order(k->task);
	w->rest = UINT64_MAX << s;
	leg_begins(w, w->in_order ? stretch(w, s) : w->rest);
}

bool
walker_takes(struct fleet *f, struct tour *k)
{
	struct walk *w;

	if (f->o.walks == NULL || k->call != NULL || k->task->kind->far == NULL ||
	    k->task->bookmark.shard >= SHARDS)
		return false;
	w = xcalloc(1, sizeof(*w));
	w->fleet = f;
	w->k = k;
	w->most = SHARDS;
	for (uint32_t s = 0; s < SHARDS; s++)
		w->owners[s] = -1;
	k->walk = w;
	k->msg.run = walk_came;
	mailbox_post(&f->walker.box, &k->msg);
	return true;
}

/* ---- the thread ---- */

static void
walker_main(void *arg)
{
	struct fleet *f = arg;

	while (!atomic_load(&f->walker.over) || f->walker.walks != NULL) {
		mailbox_wait(&f->walker.box, walker_patience_us(&f->walker));
		walker_turn(f);
	}
}

static void
last_came(struct msg *m)
{
	struct walker *wr = container_of(m, struct walker, last);

	atomic_store(&wr->over, true);
}

enum err
walker_open(struct fleet *f)
{
	f->walker.has_box = f->walker.has_box || mailbox_init(&f->walker.box) == ERR_OK;
	return f->walker.has_box ? ERR_OK : ERR_IO;
}

enum err
walker_start(struct fleet *f)
{
	return f->o.walks == NULL ? ERR_OK
	                          : thread_start(&f->walker.thread, walker_main, f, NULL, "walker");
}

void
walker_stop(struct fleet *f)
{
	if (!f->walker.thread.runs)
		return;
	f->walker.last.run = last_came;
	mailbox_post(&f->walker.box, &f->walker.last);
	thread_join(&f->walker.thread);
}

void
walker_fini(struct fleet *f)
{
	if (f->walker.has_box)
		mailbox_fini(&f->walker.box);
}
