/*
 * Looks at rollouts, one configuration after the other, one tour after the other:
 *
 *   pending               how many devices the target has, and where they lie -> the bound of the next wave
 *   running, soaking      the four counts of the devices so far
 *   rolling back          who still has it
 *
 * The bound of a wave of k devices is found by two tours: the first counts places by their high 16 bits, the second, in
 * the one bucket that matters, by their low 16.
 */
#include "worker/rollouts.h"
#include "log/log.h"
#include "os/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define BUCKETS 65536u

enum stage {
	STAGE_DRAW,
	STAGE_DRAW_FINE,
	STAGE_TARGETED,
	STAGE_APPLIED,
	STAGE_SUCCEEDED,
	STAGE_FAILED,
	STAGE_HOLDERS,
	STAGE_OVER
};

struct rollouts {
	struct fleet *fleet;
	struct catalogue_box *catalogue;
	struct loop *loop;
	struct loop_timer timer;
	bool stopping, busy, moved;
	int64_t begun_us;
	struct configuration *v[CONFIGURATIONS_MAX]; /* to be looked at in this turn */
	uint32_t n, at;
	/* the one under way */
	enum stage stage;
	struct rollout_seen seen;
	struct draw draw;
	uint32_t buckets[BUCKETS];
	uint64_t below; /* devices whose place lies below the bucket */
	struct rollout next;
};

static void look_next(struct rollouts *r);
static void stage_run(struct rollouts *r);

static const struct configuration *
current(const struct rollouts *r)
{
	return r->v[r->at];
}

/* ---- the end of a look ---- */

/* By itself: what people ask for is an administrative act. */
static void
tell_step(const struct configuration *c, const struct rollout *now)
{
	static const char *const msgs[ROLLOUT_STATUSES] = {
		[ROLLOUT_HALTED] = "rollout halted",
		[ROLLOUT_ROLLING_BACK] = "rollout is rolled back",
		[ROLLOUT_ROLLED_BACK] = "rollout was rolled back",
		[ROLLOUT_COMPLETED] = "rollout completed",
	};
	const struct rollout_event *last = now->nevent > 0 ? &now->events[now->nevent - 1] : NULL;
	bool bad = now->status == ROLLOUT_HALTED || now->status == ROLLOUT_ROLLING_BACK;
	char wave[16];

	if (now->status == c->rollout->status || msgs[now->status] == NULL)
		return;
	snprintf(wave, sizeof(wave), "%u", now->begun);
	log_pairs(bad ? LOG_WARN : LOG_INFO, msgs[now->status],
	    (const struct log_pair[]){ { "configuration", c->id }, { "wave", str_of(wave) },
	        { "why", last != NULL ? str_of(last->reason) : STR_NONE }, { NULL, STR_NONE } });
}

static void
step_done(struct work *w)
{
	struct rollouts *r = w->owner;

	r->moved |= w->reply.fault.code == F_NONE;
	if (w->reply.fault.code == F_NONE)
		tell_step(current(r), &r->next);
	work_free(w);
	r->at++;
	look_next(r);
}

/* All is counted: does it take a step? */
static void
look_over(struct rollouts *r)
{
	const struct configuration *c = current(r);
	struct work *w;

	r->next = *c->rollout;
	if (!rollout_look(&r->next, &r->seen, clock_wall_us())) {
		r->at++;
		look_next(r);
		return;
	}
	w = work_new(r->loop, c->id.n, step_done);
	w->op.kind = OP_ROLLOUT;
	w->op.actor = ACTOR_HUB;
	w->op.name = work_str(w, c->id);
	w->op.rollout = (struct op_rollout){ .action = ROLLOUT_LOOK, .seen = r->seen };
	w->owner = r;
	fleet_submit(r->fleet, w);
}

/* ---- the draw ---- */

/* The first bucket that does not fit into so many devices as a whole; r->below: devices before it. */
static uint32_t
bucket_of(struct rollouts *r, uint64_t size)
{
	uint32_t b = 0;

	while (b < BUCKETS && r->below + r->buckets[b] <= size)
		r->below += r->buckets[b++];
	return b;
}

/* Is there no bucket to be looked into? */
static bool
draw_done(struct rollouts *r, uint64_t all)
{
	const struct rollout *plan = current(r)->rollout;
	uint64_t size = rollout_size(plan, all);
	uint32_t b;

	r->seen.all = all;
	r->seen.size = size;
	if (all == 0)
		return true;
	if (size >= all || plan->waves[plan->begun].percent >= 100) {
		r->seen.bound = ROLLOUT_ALL;
		return true;
	}
	r->below = 0;
	b = bucket_of(r, size);
	assert(b < BUCKETS); /* all of them would be more than size */
	r->draw.from = (uint64_t)b << 16;
	r->draw.to = r->draw.from + BUCKETS;
	r->draw.shift = 0;
	return false;
}

static void
draw_fine_done(struct rollouts *r)
{
	r->seen.bound = r->draw.from + bucket_of(r, r->seen.size);
	if (r->seen.bound == 0)
		r->seen.bound = 1; /* two devices at the very first place */
}

/* ---- stages ---- */

/* So many were counted in this stage: which is next? */
static enum stage
stage_after(struct rollouts *r, uint64_t n)
{
	switch (r->stage) {
	case STAGE_DRAW: return draw_done(r, n) ? STAGE_OVER : STAGE_DRAW_FINE;
	case STAGE_DRAW_FINE: draw_fine_done(r); break;
	case STAGE_TARGETED: r->seen.counts.targeted = n; return STAGE_APPLIED;
	case STAGE_APPLIED: r->seen.counts.applied = n; return STAGE_SUCCEEDED;
	case STAGE_SUCCEEDED: r->seen.counts.succeeded = n; return STAGE_FAILED;
	case STAGE_FAILED: r->seen.counts.failed = n; break;
	case STAGE_HOLDERS: r->seen.holders = n; break;
	case STAGE_OVER: break;
	}
	return STAGE_OVER;
}

static void
counted(struct tour *k)
{
	struct rollouts *r = k->owner;
	uint64_t n = k->task->bookmark.delivered;
	enum fault_code code = k->task->fault.code;
	bool good = code == F_NONE;

	/* to ask again would be of no use */
	r->seen.blind = code == F_QueryTooLong || code == F_QueryTooLarge;
	tour_free(k);
	if (good) {
		r->stage = stage_after(r, n);
		stage_run(r);
	} else if (r->seen.blind) {
		look_over(r);
	} else { /* too much else is under way, or the store cannot be read: another time */
		r->at++;
		look_next(r);
	}
}

static const enum configuration_count asks[STAGE_OVER] = { [STAGE_DRAW] = COUNT_TARGETED,
	[STAGE_DRAW_FINE] = COUNT_TARGETED,
	[STAGE_TARGETED] = COUNT_TARGETED,
	[STAGE_APPLIED] = COUNT_APPLIED,
	[STAGE_SUCCEEDED] = COUNT_SUCCEEDED,
	[STAGE_FAILED] = COUNT_FAILED,
	[STAGE_HOLDERS] = COUNT_HOLDERS };

/* NULL: the configuration has nothing that could be counted. */
static struct query *
count_query(const struct configuration *c, enum configuration_count what)
{
	struct buf text = { 0 };
	struct query *q = NULL;

	configuration_count(c, what, &text);
	if (text.n != 0 && configuration_metric_plan(buf_view(&text), &q, NULL) != ERR_OK)
		q = NULL;
	buf_fini(&text);
	return q;
}

static void
draw_prepare(struct rollouts *r)
{
	r->draw.buckets = r->stage == STAGE_TARGETED ? NULL : r->buckets;
	if (r->draw.buckets != NULL)
		memset(r->buckets, 0, sizeof(r->buckets));
}

static void
count_devices(struct rollouts *r, struct query *q, enum configuration_count what)
{
	struct query_task *t = query_task_new(q);
	struct tour *k = tour_new(r->loop, &t->task, counted);

	t->count = true;
	k->owner = r;
	if (what == COUNT_TARGETED) {
		draw_prepare(r);
		t->sink = &r->draw.sink;
	}
	fleet_tour(r->fleet, k);
}

/* Count what this stage asks for, or the first one behind it that has something to count; all is counted: what now? */
static void
stage_run(struct rollouts *r)
{
	while (r->stage != STAGE_OVER) {
		struct query *q = count_query(current(r), asks[r->stage]);

		if (q != NULL) {
			count_devices(r, q, asks[r->stage]);
			return;
		}
		r->stage = stage_after(r, 0);
	}
	look_over(r);
}

static void
look_begin(struct rollouts *r)
{
	const struct rollout *is = current(r)->rollout;

	r->seen = (struct rollout_seen){ .step = is->step };
	r->draw = (struct draw){ .sink = draw_sink(), .salt = is->salt };
	switch (is->status) {
	case ROLLOUT_PENDING:
		r->stage = STAGE_DRAW;
		r->draw.to = ROLLOUT_ALL;
		r->draw.shift = 16;
		break;
	case ROLLOUT_ROLLING_BACK: r->stage = STAGE_HOLDERS; break;
	default: r->stage = STAGE_TARGETED; r->draw.to = is->bound;
	}
	stage_run(r);
}

/* ---- a turn ---- */

static void
turn_over(struct rollouts *r)
{
	int64_t now_us = loop_now_us(r->loop), rest_us = 10 * (now_us - r->begun_us);

	for (uint32_t i = 0; i < r->n; i++)
		configuration_unref(r->v[i]);
	r->n = 0;
	r->busy = false;
	if (rest_us < ROLLOUT_PERIOD_US)
		rest_us = ROLLOUT_PERIOD_US;
	if (!r->stopping)
		loop_timer_set(r->loop, &r->timer, now_us + (r->moved ? ROLLOUT_SOON_US : rest_us));
}

static void
look_next(struct rollouts *r)
{
	if (r->at < r->n && !r->stopping)
		look_begin(r);
	else
		turn_over(r);
}

static void
turn_begins(struct loop_timer *t)
{
	struct rollouts *r = container_of(t, struct rollouts, timer);
	const struct catalogue *c = catalogue_use(r->catalogue);
	const struct configurations *set = c->configurations;

	/* of several nodes, that of shard 0 looks: it hears of each step first. A look that was begun elsewhere before is void by its step */
	bool looks = set != NULL && set->guarded && fleet_has_hub(r->fleet);

	for (uint32_t i = 0; looks && i < set->n; i++)
		if (set->v[i]->rollout != NULL && rollout_moves(set->v[i]->rollout))
			r->v[r->n++] = configuration_ref(set->v[i]);
	catalogue_drop(r->catalogue, c);
	r->busy = true;
	r->moved = false;
	r->at = 0;
	r->begun_us = loop_now_us(r->loop);
	look_next(r);
}

struct rollouts *
rollouts_new(struct fleet *f, struct catalogue_box *catalogue, struct loop *l)
{
	struct rollouts *r = xcalloc(1, sizeof(*r));

	r->fleet = f;
	r->catalogue = catalogue;
	r->loop = l;
	r->timer.fire = turn_begins;
	loop_timer_set(l, &r->timer, loop_now_us(l));
	return r;
}

void
rollouts_stop(struct rollouts *r)
{
	r->stopping = true;
	loop_timer_clear(r->loop, &r->timer);
}

bool
rollouts_busy(const struct rollouts *r)
{
	return r->busy;
}

void
rollouts_free(struct rollouts *r)
{
	if (r == NULL)
		return;
	for (uint32_t i = 0; i < r->n; i++)
		configuration_unref(r->v[i]);
	free(r);
}
