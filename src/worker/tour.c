/* Tours: from worker to worker, or to all of them at once, and home. */
#include "metric/metric.h"
#include "worker/priv.h"

#include <stdlib.h>

_Static_assert(
    (int)SHARE_COSTLY == METRIC_COSTLY && (int)SHARE_LANES == METRIC_COSTS, "as metrics name them");

#define SAMPLED 8u

static void
tour_lap(struct tour *k, enum lap lap)
{
	int64_t now;

	if (!k->explain && !k->samples)
		return;
	now = clock_mono_ns();
	k->ns[lap] += now - k->lap_ns;
	k->lap_ns = now;
}

struct tour *
tour_new(struct loop *home, struct task *task, void (*done)(struct tour *t))
{
	struct tour *k = xcalloc(1, sizeof(*k));

	k->home = home;
	k->task = task;
	k->done = done;
	k->shards = UINT64_MAX;
	return k;
}

static void
parts_free(struct tour *k)
{
	for (unsigned i = 0; i < k->npart; i++)
		task_free(k->parts[i].task);
	free(k->parts);
	k->parts = NULL;
	k->npart = 0;
}

void
tour_free(struct tour *k)
{
	if (k == NULL)
		return;
	parts_free(k);
	walk_free(k->walk);
	task_free(k->task);
	ticket_free(k->ticket);
	free(k);
}

void
tour_reflects(const struct tour *k, struct buf *out)
{
	struct buf numbers = { 0 };
	unsigned first = 0, end;
	uint64_t least;

	while (first < SHARDS && k->reflects[first] == 0)
		first++;
	if (first == SHARDS)
		return;
	least = k->reflects[first];
	for (end = first; end < SHARDS && k->reflects[end] != 0; end++)
		if (k->reflects[end] < least)
			least = k->reflects[end];
	buf_varint(&numbers, first);
	buf_varint(&numbers, end - first);
	buf_varint(&numbers, least);
	for (unsigned s = first; s < end; s++)
		buf_varint(&numbers, k->reflects[s] - least);
	base64_encode(out, numbers.p, numbers.n);
	buf_fini(&numbers);
}

/* ---- home ---- */

static void
tour_is_home(struct msg *m)
{
	struct tour *k = container_of(m, struct tour, msg);

	k->done(k);
}

/* What was not told apart is divided as what was. */
static void
laps_split(struct tour *k)
{
	int64_t known = 0;

	for (unsigned lap = LAP_BUILD; lap <= LAP_OUTPUT; lap++)
		known += k->ns[lap];
	if (known == 0)
		return;
	for (unsigned lap = LAP_BUILD; lap <= LAP_OUTPUT; lap++)
		k->ns[lap] += (int64_t)((double)k->ns[lap] / (double)known * (double)k->unsplit_ns);
	k->unsplit_ns = 0;
}

static void
tour_home(struct fleet *f, struct tour *k)
{
	tour_lap(k, LAP_FINISH);
	laps_split(k);
	ticket_built(k->ticket);
	if (k->call != NULL) {
		walk_home(f, k);
		return;
	}
	k->total_ns = clock_mono_ns() - k->begin_ns;
	metric_seen(METRIC_QUERY_SECONDS, k->lane, (uint64_t)k->total_ns);
	k->msg.run = tour_is_home;
	loop_post(k->home, &k->msg);
	atomic_fetch_sub(&f->ntour, 1);
}

/* Past its limit of time it has failed. */
void
tour_judge_time(const struct fleet *f, struct tour *k)
{
	struct fault *fault = &k->task->fault;

	if (fault->code == F_NONE && clock_mono_us() >= k->deadline_us)
		fault_set(fault, F_QueryTooLong, "the query took longer than %d s, the limit",
		    (int)(f->o.tour_us / 1000000));
}

static void
parts_merge(struct fleet *f, struct tour *k)
{
	for (unsigned i = 0; i < k->npart && k->task->fault.code == F_NONE; i++) {
		tour_judge_time(f, k);
		task_merge(k->task, k->parts[i].task);
		for (unsigned s = 0; s < SHARDS; s++)
			k->reflects[s] += k->parts[i].reflects[s]; /* each shard is of one part */
	}
}

void
tour_conclude(struct fleet *f, struct tour *k)
{
	tour_lap(k, LAP_WAIT);
	parts_merge(f, k);
	if (k->walk != NULL)
		walk_merge(f, k);
	tour_judge_time(f, k);
	if (k->call != NULL)
		walk_conclude(k);
	else
		task_finish(k->task);
	tour_home(f, k);
}

void
tour_ends(struct fleet *f, struct tour *k)
{
	if (k->task->fault.code != F_NONE || !finisher_takes(f, k))
		tour_conclude(f, k);
}

static void
tour_enters(struct worker *w, struct msg *m)
{
	container_of(m, struct tour, msg)->at = w;
	m->run = tour_arrived;
	mailbox_post(&w->box, m);
}

static void part_ends(struct fleet *f, struct tour *part);

static void
tour_refused(struct fleet *f, struct msg *m, enum fault_code code, const char *why)
{
	struct tour *k = container_of(m, struct tour, msg);

	fault_set(&k->task->fault, code, "%s", why);
	if (k->whole != NULL)
		part_ends(f, k);
	else
		tour_ends(f, k);
}

/* They have a limit of their own, by which they were let in. */
static bool
tour_must(const struct msg *m)
{
	(void)m;
	return true;
}

static int64_t
tour_patience_us(const struct msg *m)
{
	return container_of((struct msg *)m, struct tour, msg)->deadline_us > clock_mono_us() ? -1
	                                                                                      : 0;
}

static const struct traveller travels = { .enter = tour_enters,
	.refuse = tour_refused,
	.must = tour_must,
	.patience_us = tour_patience_us };

static void next_bookmark(struct tour *k);

/* To whoever has its shard; one that is through with all of them ends at any worker. What another node asks goes on without shards that nobody
 * here has. */
static void
send_on(struct fleet *f, struct tour *k)
{
	struct query_bookmark *at = &k->task->bookmark;
	bool far = k->call != NULL || (k->whole != NULL && k->whole->call != NULL);

	while (far && at->shard < SHARDS) {
		if (route_enter(f, at->shard, &travels, &k->msg))
			return;
		next_bookmark(k);
	}
	if (at->shard < SHARDS)
		route_send(f, at->shard, &travels, &k->msg);
	else
		tour_enters(&f->workers[0], &k->msg);
}

/* ---- parts ---- */

/* Each part has only its share of the memory. Where that was too little, the task goes the long way, with all of it. */
static bool
goes_alone(struct fleet *f, struct tour *k)
{
	bool full = false;

	for (unsigned i = 0; i < k->npart; i++) {
		enum fault_code code = k->parts[i].task->fault.code;

		if (code != F_NONE && code != F_QueryTooLarge)
			return false;
		full |= code == F_QueryTooLarge;
	}
	if (!full || clock_mono_us() >= k->deadline_us)
		return false;
	parts_free(k);
	k->seen = 0;
	send_on(f, k);
	return true;
}

/* With the last part that is done they are put together. */
static void
part_ends(struct fleet *f, struct tour *part)
{
	struct tour *k = part->whole;

	tour_lap(part, LAP_WAIT);
	if (atomic_fetch_sub(&k->waiting, 1) > 1)
		return;
	for (unsigned i = 0; i < k->npart; i++) {
		for (unsigned lap = 0; lap < LAPS; lap++)
			k->ns[lap] += k->parts[i].ns[lap];
		k->unsplit_ns += k->parts[i].unsplit_ns;
		k->seen |= k->parts[i].seen;
	}
	k->lap_ns = k->explain || k->samples ? clock_mono_ns() : 0; /* their time is counted */
	if (!goes_alone(f, k))
		tour_ends(f, k);
}

/* Each shard is of one part: that of the worker which has it, or of any, if none has. Where it goes meanwhile its part follows. */
static void
share_shards(const struct fleet *f, uint64_t all, uint64_t shards[])
{
	for (uint32_t s = next_of(all, 0); s < SHARDS; s = next_of(all, s + 1)) {
		const struct worker *w = shard_worker(f, s);

		shards[w != NULL ? w->index : 0] |= UINT64_C(1) << s;
	}
}

/* false: it has no parts. */
static bool
send_parts(struct fleet *f, struct tour *k)
{
	unsigned n = f->o.nworker;
	struct task *first = n > 1 ? task_part(k->task, n) : NULL;
	uint64_t shards[SHARDS] = { 0 };

	if (first == NULL)
		return false;
	share_shards(f, k->shards, shards);
	k->npart = n;
	k->parts = xcalloc(n, sizeof(*k->parts));
	atomic_store(&k->waiting, n);
	for (unsigned i = 0; i < n; i++) {
		struct tour *p = &k->parts[i];

		p->task = i == 0 ? first : task_part(k->task, n);
		p->shards = shards[i];
		p->task->bookmark.shard = next_of(p->shards, 0);
		p->deadline_us = k->deadline_us;
		p->lane = k->lane;
		p->explain = k->explain;
		p->samples = k->samples;
		p->lap_ns = k->begin_ns;
		p->whole = k;
	}
	for (unsigned i = 0; i < n; i++)
		send_on(f, &k->parts[i]);
	return true;
}

/* ---- on its way ---- */

/* A worker's part is durable: on to the next worker, or home. */
static void
goes_on(struct worker *w, struct tour *k)
{
	struct fleet *f = w->fleet;
	struct task *t = k->task;

	if (t->fault.code == F_NONE && !t->ended && t->bookmark.shard < SHARDS)
		send_on(f, k);
	else if (k->whole != NULL)
		part_ends(f, k);
	else
		tour_ends(f, k);
}

static bool
page_may_hold(void *ctx, size_t bytes)
{
	return ticket_hold(ctx, bytes);
}

/* It has failed, or there is nothing to be seen. */
static void
tour_begins_not(struct fleet *f, struct tour *k)
{
	if (k->call != NULL)
		walk_conclude(k);
	tour_home(f, k);
}

/* It has its seat, or a fault. */
void
tour_start(struct fleet *f, struct tour *k)
{
	struct task *t = k->task;

	if (t->page != NULL) {
		t->page->hold = page_may_hold;
		t->page->ctx = k->ticket;
	}
	if (k->call != NULL)
		walk_begin(k);
	if (t->fault.code == F_NONE)
		task_begin(t, f->o.query_bytes);
	if (t->fault.code != F_NONE || t->ended)
		tour_begins_not(f, k);
	else if (!walker_takes(f, k) && !send_parts(f, k))
		send_on(f, k);
}

/* The counter is raised before anybody looks at `stop`: workers wait for whoever was not refused. */
void
fleet_tour(struct fleet *f, struct tour *k)
{
	k->begin_ns = k->lap_ns = clock_mono_ns();
	k->deadline_us = k->begin_ns / 1000 + f->o.tour_us;
	k->lane = task_cheap(k->task) ? SHARE_CHEAP : SHARE_COSTLY;
	if (k->ticket == NULL)
		k->ticket = ticket_own(f);
	atomic_fetch_add(&f->ntour, 1);
	tour_seat(f, k);
}

/* ---- at a worker ---- */

static void
undone(struct tour *k)
{
	fault_set(&k->task->fault, F_ServiceUnavailable,
	    "the state that was seen could not be stored, try again later");
}

void
tours_undone(struct worker *w)
{
	for (unsigned i = 0; i < SHARE_LANES; i++)
		for (struct tour *k = w->lanes[i].first; k != NULL; k = k->next)
			undone(k);
}

static void
lap_of(void *ctx, enum lap lap)
{
	tour_lap(((struct worker *)ctx)->touring, lap);
}

/* Where it goes on behind this shard: a part to the next of its own. */
static void
next_bookmark(struct tour *k)
{
	struct query_bookmark *at = &k->task->bookmark;

	at->shard = next_of(k->shards, at->shard + 1);
	at->row = 0;
	k->inside = 0;
}

/* In a shard that is given up it goes on to the end of it, if it has begun. */
static bool
is_here(const struct worker *w, const struct tour *k)
{
	uint32_t s = k->task->bookmark.shard;

	return !k->task->ended && s < SHARDS && holds_shard(w, s) &&
	    (has_shard(w, s) || k->inside == s + 1);
}

/* Go on in this worker's shards; true when its part is done. */
static bool
visit_shards(struct worker *w, struct tour *k)
{
	struct task *t = k->task;

	while (is_here(w, k)) {
		struct shard *sh = w->shards[t->bookmark.shard];

		k->inside = t->bookmark.shard + 1;
		if (k->reflects[t->bookmark.shard] == 0)
			k->reflects[t->bookmark.shard] = shard_mark(sh);
		if (worker_step(w, t, sh) == STEP_OVER)
			return false;
		k->seen |= UINT64_C(1) << t->bookmark.shard;
		if (t->ended)
			return true;
		next_bookmark(k);
		if (w->slice.over(w))
			return !is_here(w, k);
	}
	return true;
}

static bool
may_go_on(struct worker *w, struct tour *k)
{
	if (w->stopping)
		fault_set(&k->task->fault, F_ServiceUnavailable, "the hub is stopping");
	else
		tour_judge_time(w->fleet, k);
	return k->task->fault.code == F_NONE;
}

/* The slice that is over was not looked at closely. */
static void
slice_unsplit(struct tour *k)
{
	int64_t now = clock_mono_ns();

	k->unsplit_ns += now - k->lap_ns;
	k->lap_ns = now;
}

bool
tour_slice(struct worker *w, struct tour *k)
{
	bool sampled = k->samples && k->nslice++ % SAMPLED == 0, done = true;

	tour_lap(k, LAP_WAIT);
	if (may_go_on(w, k)) {
		worker_slice(w);
		w->touring = k;
		w->slice.lap = k->explain || sampled ? lap_of : NULL;
		done = visit_shards(w, k);
		if (k->samples && w->slice.lap == NULL)
			slice_unsplit(k);
		w->touring = NULL;
		w->slice.lap = NULL;
	}
	return done;
}

void
tour_leaves(void *ctx, void *p, enum gate_end end)
{
	struct tour *k = p;

	if (end == GATE_UNDONE)
		undone(k);
	else if (end == GATE_UNSAID)
		fault_set(&k->task->fault, F_ServiceUnavailable, "%s", MAY_NOT_ANSWER);
	goes_on(ctx, k);
}
