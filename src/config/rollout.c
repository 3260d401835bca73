/* Rollouts: what happens next. The states are drawn in rollout.h. */
#include "config/rollout.h"

#include <math.h>
#include <stdio.h>

#include "config/rollout_priv.h"

const struct str rollout_action_names[ROLLOUT_ACTIONS] = { [ROLLOUT_LOOK] = { "look", 4 },
	[ROLLOUT_HALT] = { "halt", 4 },
	[ROLLOUT_RESUME] = { "resume", 6 },
	[ROLLOUT_ADVANCE] = { "advance", 7 },
	[ROLLOUT_ROLLBACK] = { "rollback", 8 } };

const struct str rollout_status_names[ROLLOUT_STATUSES] = { [ROLLOUT_PENDING] = { "pending", 7 },
	[ROLLOUT_RUNNING] = { "running", 7 },
	[ROLLOUT_SOAKING] = { "soaking", 7 },
	[ROLLOUT_HALTED] = { "halted", 6 },
	[ROLLOUT_COMPLETED] = { "completed", 9 },
	[ROLLOUT_ROLLING_BACK] = { "rollingBack", 11 },
	[ROLLOUT_ROLLED_BACK] = { "rolledBack", 10 } };

#define BIT(status) (1u << (status))
#define ACCEPT_NEXT UINT64_MAX /* accepted: the failures that the next look finds */
#define UNDER_WAY   (BIT(ROLLOUT_PENDING) | BIT(ROLLOUT_RUNNING) | BIT(ROLLOUT_SOAKING))

static const unsigned allowed_in[ROLLOUT_ACTIONS] = {
	[ROLLOUT_HALT] = UNDER_WAY,
	[ROLLOUT_RESUME] = BIT(ROLLOUT_HALTED),
	[ROLLOUT_ADVANCE] = BIT(ROLLOUT_RUNNING) | BIT(ROLLOUT_SOAKING) | BIT(ROLLOUT_HALTED),
	[ROLLOUT_ROLLBACK] = UNDER_WAY | BIT(ROLLOUT_HALTED) | BIT(ROLLOUT_COMPLETED),
};

/* ---- membership ---- */

void
rollout_salt(struct rollout *r, struct str id, int64_t created_us)
{
	struct buf b = { 0 };

	buf_le64(&b, (uint64_t)created_us);
	buf_le64(&b, r->generation);
	buf_str(&b, id);
	r->salt = hash_stable(buf_view(&b));
	buf_fini(&b);
}

/* The finaliser of MurmurHash3: every bit of the input moves every bit of the output. */
uint64_t
rollout_place(uint64_t salt, uint64_t key_hash)
{
	uint64_t h = salt ^ key_hash;

	h = (h ^ h >> 33) * UINT64_C(0xFF51AFD7ED558CCD);
	h = (h ^ h >> 33) * UINT64_C(0xC4CEB9FE1A85EC53);
	return (h ^ h >> 33) >> 32;
}

bool
rollout_reaches(const struct rollout *r, uint64_t key_hash, bool has)
{
	switch (r->status) {
	case ROLLOUT_ROLLING_BACK:
	case ROLLOUT_ROLLED_BACK: return false;
	case ROLLOUT_HALTED: return has;
	default: return rollout_place(r->salt, key_hash) < r->bound;
	}
}

bool
rollout_restores(const struct rollout *r)
{
	return r->status == ROLLOUT_ROLLING_BACK || r->status == ROLLOUT_ROLLED_BACK;
}

bool
rollout_moves(const struct rollout *r)
{
	return (BIT(r->status) & (UNDER_WAY | BIT(ROLLOUT_ROLLING_BACK))) != 0;
}

bool
rollout_counts_wave(const struct rollout *r)
{
	return r->begun > 0 && r->progress[r->begun - 1].ended_us == 0 &&
	    (BIT(r->status) & (UNDER_WAY | BIT(ROLLOUT_HALTED))) != 0;
}

uint64_t
rollout_size(const struct rollout *r, uint64_t all)
{
	const struct rollout_wave *w = &r->waves[r->begun];
	uint64_t n = w->count;

	assert(r->begun < r->nwave);
	if (w->percent > 0)
		n = (uint64_t)ceil((double)all * w->percent / 100 - 1e-9);
	return n > all ? all : n == 0 && all > 0 ? 1 : n;
}

/* ---- history ---- */

/* As much as there is room for, cut at a character. */
static void
copy_text(char *out, size_t room, struct str s)
{
	if (s.n >= room)
		s.n = room - 1;
	while (s.n > 0 && !utf8_valid(s))
		s.n--;
	if (s.n > 0)
		memcpy(out, s.p, s.n);
	out[s.n] = '\0';
}

static void
note(struct rollout *r, enum rollout_happening kind, struct str actor, int64_t now_us,
    const char *reason)
{
	struct rollout_event *e;

	if (r->nevent == ROLLOUT_HISTORY_MAX) {
		memmove(r->events, r->events + 1, (r->nevent - 1) * sizeof(*e));
		r->nevent--;
	}
	e = &r->events[r->nevent++];
	*e = (struct rollout_event){ .time_us = now_us, .kind = (uint8_t)kind, .wave = r->begun };
	copy_text(e->reason, sizeof(e->reason), str_of(reason));
	copy_text(e->actor, sizeof(e->actor), actor);
}

void
rollout_begin(struct rollout *r, uint64_t generation, struct str actor, int64_t now_us)
{
	r->status = ROLLOUT_PENDING;
	r->generation = generation;
	r->step++;
	r->bound = 0;
	r->begun = 0;
	r->accepted = 0;
	note(r, HAPPENED_CREATED, actor, now_us, "");
}

void
rollout_note_plan(struct rollout *r, struct str actor, int64_t now_us)
{
	r->step++;
	note(r, HAPPENED_PLANNED, actor, now_us, "");
}

/* ---- by what was seen ---- */

static struct rollout_progress *
progress(struct rollout *r)
{
	return r->begun > 0 ? &r->progress[r->begun - 1] : NULL;
}

static void
wave_begins(struct rollout *r, const struct rollout_seen *seen, int64_t now_us)
{
	char why[ROLLOUT_REASON_MAX];

	if (seen->bound > r->bound)
		r->bound = seen->bound;
	r->progress[r->begun++] = (struct rollout_progress){ .started_us = now_us };
	r->accepted = 0;
	r->status = ROLLOUT_RUNNING;
	snprintf(why, sizeof(why), "%llu of %llu devices", (unsigned long long)seen->size,
	    (unsigned long long)seen->all);
	note(r, HAPPENED_WAVE, STR_NONE, now_us, why);
}

/* The wave is over; behind the last one is nothing more. */
static void
wave_ends(struct rollout *r, int64_t now_us)
{
	progress(r)->ended_us = now_us;
	r->status = r->begun < r->nwave ? ROLLOUT_PENDING : ROLLOUT_COMPLETED;
	if (r->status == ROLLOUT_COMPLETED) {
		r->bound = ROLLOUT_ALL;
		note(r, HAPPENED_COMPLETED, STR_NONE, now_us, "");
	}
}

static void
go_back(struct rollout *r, struct str actor, int64_t now_us, const char *reason)
{
	r->status = ROLLOUT_ROLLING_BACK;
	note(r, HAPPENED_ROLLBACK, actor, now_us, reason);
}

static void
wave_fails(struct rollout *r, const struct rollout_counts *n, int64_t now_us)
{
	char why[ROLLOUT_REASON_MAX];

	snprintf(why, sizeof(why), "%llu of %llu devices fail, over %.6g %%",
	    (unsigned long long)n->failed, (unsigned long long)n->targeted,
	    r->waves[r->begun - 1].max_failure);
	if (r->rolls_back) {
		go_back(r, STR_NONE, now_us, why);
		return;
	}
	r->status = ROLLOUT_HALTED;
	note(r, HAPPENED_HALTED, STR_NONE, now_us, why);
}

static bool
share_over(uint64_t part, uint64_t whole, double percent)
{
	return (double)part * 100 > (double)whole * percent;
}

static bool
look_at_wave(struct rollout *r, const struct rollout_counts *n, int64_t now_us)
{
	const struct rollout_wave *w = &r->waves[r->begun - 1];
	struct rollout_progress *p = progress(r);
	bool enough =
	    n->targeted > 0 && (double)n->succeeded * 100 >= (double)n->targeted * w->min_success;
	bool accepts = r->accepted == ACCEPT_NEXT;

	if (accepts)
		r->accepted = n->failed;
	if (n->failed > r->accepted && share_over(n->failed, n->targeted, w->max_failure)) {
		wave_fails(r, n, now_us);
	} else if (r->status == ROLLOUT_SOAKING && !enough) {
		r->status = ROLLOUT_RUNNING;
		p->soaking_us = 0;
		note(r, HAPPENED_SOAK_BROKEN, STR_NONE, now_us, "too few devices succeed");
	} else if (r->status == ROLLOUT_SOAKING && now_us - p->soaking_us >= w->soak_us) {
		wave_ends(r, now_us);
	} else if (r->status == ROLLOUT_RUNNING && enough) {
		r->status = ROLLOUT_SOAKING;
		p->soaking_us = now_us;
		note(r, HAPPENED_SOAK, STR_NONE, now_us, "");
	} else if (!accepts) {
		return false;
	}
	p->counts = *n;
	return true;
}

/* Said once, until something else happens. */
static bool
look_blind(struct rollout *r, int64_t now_us)
{
	if (r->nevent > 0 && r->events[r->nevent - 1].kind == HAPPENED_BLIND)
		return false;
	note(r, HAPPENED_BLIND, STR_NONE, now_us, "counting takes longer than --query-timeout");
	return true;
}

bool
rollout_look(struct rollout *r, const struct rollout_seen *seen, int64_t now_us)
{
	bool moved = false;

	if (seen->step != r->step)
		return false;
	if (seen->blind) {
		moved = look_blind(r, now_us);
	} else if (r->status == ROLLOUT_PENDING && seen->bound > 0) {
		wave_begins(r, seen, now_us);
		moved = true;
	} else if (r->status == ROLLOUT_RUNNING || r->status == ROLLOUT_SOAKING) {
		moved = look_at_wave(r, &seen->counts, now_us);
	} else if (r->status == ROLLOUT_ROLLING_BACK && seen->holders == 0) {
		r->status = ROLLOUT_ROLLED_BACK;
		r->bound = 0;
		note(r, HAPPENED_ROLLED_BACK, STR_NONE, now_us, "");
		moved = true;
	}
	r->step += moved;
	return moved;
}

/* ---- by what people ask for ---- */

static void
resume(struct rollout *r, struct str actor, int64_t now_us)
{
	struct rollout_progress *p = progress(r);

	note(r, HAPPENED_RESUMED, actor, now_us, "");
	if (p == NULL || p->ended_us != 0) { /* halted between two waves */
		r->status = ROLLOUT_PENDING;
		return;
	}
	r->accepted = ACCEPT_NEXT;
	r->status = ROLLOUT_RUNNING;
	p->soaking_us = 0;
}

enum err
rollout_act(struct rollout *r, enum rollout_action action, struct str actor, int64_t now_us,
    struct fault *f)
{
	if (!(allowed_in[action] & BIT(r->status)) || (action == ROLLOUT_ADVANCE && r->begun == 0))
		return fault_set(f, F_OperationNotAllowedInCurrentState,
		    "the rollout is " STR_FMT ", " STR_FMT " is not possible",
		    STR_ARG(rollout_status_names[r->status]),
		    STR_ARG(rollout_action_names[action]));
	r->step++;
	if (action == ROLLOUT_HALT) {
		r->status = ROLLOUT_HALTED;
		note(r, HAPPENED_HALTED, actor, now_us, "asked for");
	} else if (action == ROLLOUT_RESUME) {
		resume(r, actor, now_us);
	} else if (action == ROLLOUT_ADVANCE) {
		note(r, HAPPENED_ADVANCED, actor, now_us, "");
		wave_ends(r, now_us);
	} else {
		go_back(r, actor, now_us, "asked for");
	}
	return ERR_OK;
}
