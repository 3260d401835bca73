/*
 * The machine's wall clock, judged. It may be wrong for a moment (a bad answer of NTP, a hand that slips), and what was
 * stamped then stays. So a jump ahead is followed only once it has lasted; a step back, and small steps, at once.
 *
 *   FOLLOWS --ahead by more than WALL_AHEAD_US--> HOLDS     the time goes on by the monotonic clock
 *   HOLDS --kept for WALL_KEPT_US--> FOLLOWS                it is the time now
 *   HOLDS --back within WALL_AHEAD_US--> FOLLOWS            as if nothing had been
 *   either --back by more than WALL_BACK_US--> FOLLOWS      of the time, not of a jump that it held
 *
 * Pure: whoever has both clocks asks.
 */
#ifndef TWINHUB_WALL_H
#define TWINHUB_WALL_H

#include "base/base.h"

#define WALL_AHEAD_US (INT64_C(3600) * 1000000)
#define WALL_KEPT_US  (INT64_C(60) * 1000000)
#define WALL_BACK_US  (INT64_C(1) * 1000000) /* smaller steps back are not worth a word */

struct wall {
	int64_t offset_us; /* of the time that is followed, to the monotonic clock */
	int64_t latest_us; /* the latest time that was ever given */
	int64_t held_offset_us, held_since_us; /* of the jump, if `held` */
	bool begun, held;
};

enum wall_news {
	WALL_SAME,
	WALL_HELD,     /* it has jumped ahead: not followed yet */
	WALL_FOLLOWED, /* the jump has lasted, and is followed */
	WALL_RETURNED, /* the jump was undone, and nothing has come of it */
	WALL_SET_BACK
};

/* By how much the clock differs from the time, or the time from what was given before. */
struct wall_state {
	int64_t held_us; /* the clock is ahead of the time by so much; 0: it is followed */
	/* the time is before the latest one that was given, by so much; 0: it is not */
	int64_t behind_us;
};

/* The time. *by_us: how far the step of the news went. The monotonic clock counts through a suspension: waking up is no jump. */
int64_t wall_judge(
    struct wall *w, int64_t wall_us, int64_t mono_us, enum wall_news *news, int64_t *by_us);
/* What was stored before this start may be of a later time than now. */
void wall_given(struct wall *w, int64_t stored_us);
struct wall_state wall_state(const struct wall *w, int64_t mono_us);

#endif
