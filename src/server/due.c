/* What the main thread does, and when: from time to time, when the clock has jumped, at a signal. */
#include "server/priv.h"

#include <signal.h>

struct due
due_begin(int64_t now_us, unsigned njump, const struct wall_state *clock)
{
	return (struct due){ .hour_us = now_us,
		.day_us = now_us,
		.njump = njump,
		.behind = clock->behind_us >= WALL_BACK_US };
}

unsigned
due_step(struct due *d, int64_t now_us, unsigned njump, const struct wall_state *clock)
{
	bool was_behind = d->behind;
	unsigned what = 0;

	d->behind = clock->behind_us >= WALL_BACK_US;
	if (was_behind && !d->behind)
		what |= DUE_LOG_GOES_ON;
	if (njump != d->njump) {
		d->njump = njump;
		what |= DUE_CERTS | DUE_REVIEW;
	}
	if (now_us - d->hour_us >= HOUR_US) {
		d->hour_us = now_us;
		what |= DUE_CERTS;
	}
	if (now_us - d->day_us >= 24 * HOUR_US) {
		d->day_us = now_us;
		what |= DUE_REVIEW | DUE_TICKETS;
	}
	return what;
}

unsigned
signal_asks(int sig)
{
	switch (sig) {
	case SIGTERM:
	case SIGINT: return ASKED_END;
	case SIGHUP: return ASKED_LOG | ASKED_CERTS;
	case SIGUSR1: return ASKED_LOG;
	default: return 0; /* none has come: it is time to look at the clock */
	}
}
