/* Waits that double, drawn from their upper half, so that many who were refused together do not come back together. */
#include "sink/pace.h"

void
pace_good(struct pace *p)
{
	p->attempts = 0;
}

void
pace_not_before(struct pace *p, int64_t us)
{
	if (p->due_us < us)
		p->due_us = us;
}

static int64_t
wait_of(uint64_t attempts, int64_t first_us)
{
	int64_t us = first_us;

	for (uint64_t i = 1; i < attempts && us < PACE_MOST_US; i++)
		us *= 2;
	return us < PACE_MOST_US ? us : PACE_MOST_US;
}

void
pace_failed(struct pace *p, enum attempt_end end, int64_t now_us, int64_t asked_us, uint64_t random)
{
	int64_t wait_us =
	    wait_of(++p->attempts, end == ATTEMPT_REFUSED ? PACE_REFUSED_US : PACE_AGAIN_US);

	wait_us = wait_us / 2 + (int64_t)(random % (uint64_t)(wait_us / 2 + 1));
	if (asked_us > PACE_ASKED_US)
		asked_us = PACE_ASKED_US;
	p->due_us = now_us + (asked_us > wait_us ? asked_us : wait_us);
}

enum attempt_end
attempt_of_status(long status)
{
	switch (status) {
	case 408:
	case 425:
	case 429: return ATTEMPT_AGAIN;
	case 410: return ATTEMPT_GONE;
	case 413: return ATTEMPT_TOO_LARGE;
	default: break;
	}
	if (status >= 200 && status < 300)
		return ATTEMPT_TAKEN;
	return status >= 300 && status < 500 ? ATTEMPT_REFUSED : ATTEMPT_AGAIN;
}
