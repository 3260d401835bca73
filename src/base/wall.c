/* The machine's wall clock, judged (wall.h). */
#include "base/wall.h"

static int64_t
distance(int64_t a, int64_t b)
{
	return a > b ? a - b : b - a;
}

static void
note_given(struct wall *w, int64_t now_us)
{
	if (now_us > w->latest_us)
		w->latest_us = now_us;
}

/* Ahead of the time by too much: is it to be followed by now? */
static bool
has_lasted(struct wall *w, int64_t offset_us, int64_t mono_us, enum wall_news *news)
{
	if (w->held && distance(offset_us, w->held_offset_us) <= WALL_AHEAD_US)
		return mono_us - w->held_since_us >= WALL_KEPT_US;
	w->held = true;
	w->held_offset_us = offset_us;
	w->held_since_us = mono_us;
	*news = WALL_HELD;
	return false;
}

int64_t
wall_judge(struct wall *w, int64_t wall_us, int64_t mono_us, enum wall_news *news, int64_t *by_us)
{
	int64_t offset_us = wall_us - mono_us, step_us = w->begun ? offset_us - w->offset_us : 0;

	*news = WALL_SAME;
	*by_us = distance(step_us, 0);
	if (w->begun) /* what has been given until now, where nobody noted it */
		note_given(w, mono_us + w->offset_us);
	if (step_us > WALL_AHEAD_US) {
		if (!has_lasted(w, offset_us, mono_us, news))
			return mono_us + w->offset_us;
		*news = WALL_FOLLOWED;
	} else if (step_us < -WALL_BACK_US) { /* further than the jump had come, if there was one */
		*news = WALL_SET_BACK;
	} else if (w->held) {
		*news = WALL_RETURNED;
		*by_us = distance(w->held_offset_us, w->offset_us);
	}
	w->begun = true;
	w->held = false;
	w->offset_us = offset_us;
	note_given(w, wall_us);
	return wall_us;
}

void
wall_given(struct wall *w, int64_t stored_us)
{
	note_given(w, stored_us);
}

struct wall_state
wall_state(const struct wall *w, int64_t mono_us)
{
	int64_t now_us = mono_us + w->offset_us;

	return (struct wall_state){ w->held ? w->held_offset_us - w->offset_us : 0,
		w->latest_us > now_us ? w->latest_us - now_us : 0 };
}
