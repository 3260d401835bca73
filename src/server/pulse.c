/*
 * Do loops and workers turn? A loop is posted a message and has to run it; a worker counts its turns, and a count that is odd says that it is
 * in one. Who stands still for too long is named in the log, once, and the service manager's watchdog is not fed until all turn
 * again. O-103.
 */
#include "server/priv.h"

#include <stdio.h>

bool
pulse_stands(struct pulse *p, bool busy, uint64_t count, int64_t now_us, int64_t limit_us)
{
	if (!busy || count != p->count || p->since_us == 0) {
		p->count = count;
		p->since_us = now_us;
	}
	return busy && now_us - p->since_us >= limit_us;
}

static void
on_ping(struct msg *m)
{
	struct ping *p = container_of(m, struct ping, msg);

	atomic_store(&p->out, false);
}

static void
tell(struct pulse *p, bool stands, const char *what, unsigned index, int64_t now_us)
{
	if (stands && !p->told)
		log_text(LOG_ERROR,
		    "%s %u has not turned for %lld s: it is stuck; if it goes on, a watchdog ends "
		    "the hub",
		    what, index, (long long)((now_us - p->since_us) / 1000000));
	else if (!stands && p->told)
		log_text(LOG_WARN, "%s %u turns again", what, index);
	p->told = stands;
}

static bool
loop_stands(struct server *s, unsigned i, int64_t now_us, int64_t limit_us)
{
	struct ping *p = &s->pings[i];
	bool out = atomic_load(&p->out), stands;

	stands = pulse_stands(&p->pulse, out, 0, now_us, limit_us);
	tell(&p->pulse, stands, "loop", i, now_us);
	if (!out) {
		atomic_store(&p->out, true);
		p->msg.run = on_ping;
		loop_post(s->loops[i], &p->msg);
	}
	return stands;
}

static bool
worker_stands(struct server *s, unsigned i, int64_t now_us, int64_t limit_us)
{
	struct pulse *p = &s->turns[i];
	uint64_t n = fleet_turns(s->fleet, i);
	bool stands = pulse_stands(p, n % 2 == 1, n, now_us, limit_us);

	tell(p, stands, "worker", i, now_us);
	return stands;
}

bool
pulses_good(struct server *s, int64_t now_us, int64_t limit_us)
{
	bool good = true;

	for (unsigned i = 0; i < s->nio; i++)
		if (loop_stands(s, i, now_us, limit_us))
			good = false;
	for (unsigned i = 0; i < fleet_workers(s->fleet); i++)
		if (worker_stands(s, i, now_us, limit_us))
			good = false;
	return good;
}
