/*
 * Rate limits of devices (limits.md 2): a request is answered 429, a CONNECT with code 3. Telemetry has no such answer; it
 * waits, and all that its session has sent behind it: reading stops until there is room.
 */
#include "mqtt/priv.h"

static uint64_t
address_key(const struct session *s)
{
	return asker_key(net_addr_party(stream_peer(s->stream)), STR_NONE);
}

bool
link_may_ask(const struct session *s, struct limit_refusal *why)
{
	struct limit_asker asker = { 0 };

	if (s->ml->o.limiter == NULL)
		return true;
	asker.key[LIMIT_ADDRESS] = address_key(s);
	return limiter_takes(s->ml->o.limiter, LIMIT_CONNECTIONS, &asker, why);
}

/* What a module does counts for its device, too. A CONNECT's address has been asked before. */
static bool
takes(const struct session *s, enum limit_kind kind, struct str policy, struct limit_refusal *why)
{
	struct limit_asker asker = { 0 };

	if (s->ml->o.limiter == NULL)
		return true;
	asker.key[LIMIT_DEVICE] = asker_key(s->device, STR_NONE);
	if (s->module.n > 0)
		asker.key[LIMIT_MODULE] = asker_key(s->device, s->module);
	if (policy.n > 0)
		asker.key[LIMIT_POLICY] = asker_key(policy, STR_NONE);
	if (kind != LIMIT_CONNECTIONS)
		asker.key[LIMIT_ADDRESS] = address_key(s);
	return limiter_takes(s->ml->o.limiter, kind, &asker, why);
}

bool
session_may_begin(const struct session *s, const struct verdict *v, struct limit_refusal *why)
{
	bool by_policy = v->opened.by == OPENED_BY_POLICY;

	return takes(s, LIMIT_CONNECTIONS,
	    by_policy ? (struct str){ v->policy, v->policy_n } : STR_NONE, why);
}

bool
session_may(const struct session *s, enum limit_kind kind, struct limit_refusal *why)
{
	return takes(s, kind, str_of(s->policy), why);
}

/* Its silence was ours. */
static void
on_rest(struct loop_timer *t)
{
	struct session *s = (struct session *)((char *)t - offsetof(struct session, rest));

	s->resting = false;
	s->heard_us = loop_now_us(s->ml->loop);
	if (!s->paused)
		stream_resume(s->stream);
}

void
session_rest_init(struct session *s)
{
	s->rest.fire = on_rest;
}

bool
session_may_send(struct session *s)
{
	struct limit_refusal why;

	if (session_may(s, LIMIT_SENDS, &why))
		return true;
	s->resting = true;
	stream_pause(s->stream);
	loop_timer_set(s->ml->loop, &s->rest, loop_now_us(s->ml->loop) + why.wait_ns / 1000 + 1);
	return false;
}
