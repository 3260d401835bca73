/*
 * Rate limits of devices (limits.md 2): a request is answered 429, a CONNECT with code 3. Telemetry has no such answer; it
 * waits, and all that its session has sent behind it: reading stops until there is room. While it does, a peer that leaves is not
 * noticed; so who would have to wait for long is closed (L-22).
 */
#include "mqtt/priv.h"

static uint64_t
address_key(const struct session *s)
{
	const struct nets *free = s->ml->o.address_free;

	if (free != NULL && nets_have(free, stream_peer(s->stream)))
		return 0;
	return asker_key(net_addr_party(stream_peer(s->stream)), STR_NONE);
}

/* What a module does counts for its device, too. */
static struct limit_asker
asker_of(const struct session *s, struct str policy)
{
	struct limit_asker asker = { 0 };

	asker.key[LIMIT_DEVICE] = asker_key(s->device, STR_NONE);
	if (s->module.n > 0)
		asker.key[LIMIT_MODULE] = asker_key(s->device, s->module);
	if (policy.n > 0)
		asker.key[LIMIT_POLICY] = asker_key(policy, STR_NONE);
	return asker;
}

bool
link_may_ask(const struct session *s, struct str token, struct limit_refusal *why)
{
	struct limiter *l = s->ml->o.limiter;
	struct limit_asker claimed, from = { 0 };
	struct sas t;

	if (l == NULL)
		return true;
	claimed = asker_of(s, sas_parse(token, &t) == ERR_OK ? sas_policy(&t) : STR_NONE);
	from.key[LIMIT_ADDRESS] = address_key(s);
	return limiter_takes(l, LIMIT_CONNECTIONS, &from, why) &&
	    limiter_allows(l, LIMIT_CONNECTIONS, &claimed, why);
}

bool
session_may_begin(const struct session *s, const struct verdict *v, struct limit_refusal *why)
{
	bool by_policy = v->opened.by == OPENED_BY_POLICY;
	struct limit_asker asker;

	if (s->ml->o.limiter == NULL)
		return true;
	asker = asker_of(s, by_policy ? (struct str){ v->policy, v->policy_n } : STR_NONE);
	return limiter_takes(s->ml->o.limiter, LIMIT_CONNECTIONS, &asker, why);
}

bool
session_may(const struct session *s, enum limit_kind kind, struct limit_refusal *why)
{
	struct limit_asker asker;

	if (s->ml->o.limiter == NULL)
		return true;
	asker = asker_of(s, str_of(s->policy));
	asker.key[LIMIT_ADDRESS] = address_key(s);
	return limiter_takes(s->ml->o.limiter, kind, &asker, why);
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

/* The first time is told: who looks for what is late finds why. */
static void
rest(struct session *s, const struct limit_refusal *why)
{
	struct fault f = { 0 };

	if (!s->rested) {
		limit_fault(why, &f);
		session_log(s, LOG_DELAYED, REASON_RATE_LIMIT, STR_NONE, str_of(f.text));
	}
	s->resting = s->rested = true;
	stream_pause(s->stream);
	loop_timer_set(s->ml->loop, &s->rest, loop_now_us(s->ml->loop) + why->wait_ns / 1000 + 1);
}

enum err
session_may_send(struct session *s)
{
	struct limit_refusal why;

	if (session_may(s, LIMIT_SENDS, &why))
		return ERR_OK;
	if (why.wait_ns / 1000 > MQTT_REST_MAX_US)
		return session_fault(s, REASON_RATE_LIMIT); /* L-22 */
	rest(s, &why);
	return ERR_MORE;
}
