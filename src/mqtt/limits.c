/*
 * Rate limits of devices (limits.md 2): a request is answered 429, a CONNECT with code 3. Telemetry has no such answer; it
 * waits, and all that its session has sent behind it: reading stops until there is room. While it does, a peer that leaves is not
 * noticed; so who would have to wait for long is closed (L-22).
 */
#include "mqtt/priv.h"

#define REST_LONGER_US INT64_C(1000000)

/* What a module does counts for its device, too. */
static struct limit_asker
asker_of(const struct session *s, struct str policy)
{
	struct limit_asker asker = { 0 };

	asker.key[LIMIT_DEVICE] = asker_key(s->device, STR_NONE);
	asker.key[LIMIT_ADDRESS] = s->address;
	if (s->module.n > 0)
		asker.key[LIMIT_MODULE] = asker_key(s->device, s->module);
	if (policy.n > 0)
		asker.key[LIMIT_POLICY] = asker_key(policy, STR_NONE);
	return asker;
}

static bool
limited(const struct session *s)
{
	const struct session_world *world = s->all->world;

	return world->limited != NULL && atomic_load_explicit(world->limited, memory_order_relaxed);
}

/* An address counts before anybody is known; of the others, and of the hub, nothing goes to strangers. */
bool
session_may_ask(struct session *s, struct str token, struct limit_refusal *why)
{
	const struct session_world *world = s->all->world;
	struct limit_asker claimed, from = { .skip = LIMIT_BIT(LIMIT_HUB) };
	struct sas t;

	if (!limited(s))
		return true;
	claimed = asker_of(s, sas_parse(token, &t) == ERR_OK ? sas_policy(&t) : STR_NONE);
	claimed.skip = LIMIT_BIT(LIMIT_ADDRESS);
	from.key[LIMIT_ADDRESS] = s->address;
	return world->takes(s, LIMIT_CONNECTIONS, &from, why) &&
	    world->allows(s, LIMIT_CONNECTIONS, &claimed, why);
}

bool
session_may_begin(struct session *s, const struct verdict *v, struct limit_refusal *why)
{
	bool by_policy = v->opened.by == OPENED_BY_POLICY;
	struct limit_asker asker;

	if (!limited(s))
		return true;
	asker = asker_of(s, by_policy ? (struct str){ v->policy, v->policy_n } : STR_NONE);
	asker.skip = LIMIT_BIT(LIMIT_ADDRESS);
	return s->all->world->takes(s, LIMIT_CONNECTIONS, &asker, why);
}

bool
session_may(struct session *s, enum limit_kind kind, struct limit_refusal *why)
{
	struct limit_asker asker;

	if (!limited(s))
		return true;
	asker = asker_of(s, str_of(s->policy));
	return s->all->world->takes(s, kind, &asker, why);
}

void
session_meters(struct session *s, uint64_t bytes)
{
	if (limited(s))
		s->all->world->meters(s, bytes);
}

/*
 * Many may wait for one bucket, and each is told the time of the next one in it: if all came then, all but one would wait again. So who was
 * told once waits longer, half as long again as it has waited, up to a second, no two sessions alike.
 */
static int64_t
rest_of(const struct session *s, int64_t wait_us, int64_t waited_us)
{
	int64_t longer_us = waited_us / 2 < REST_LONGER_US ? waited_us / 2 : REST_LONGER_US;

	longer_us += longer_us * (int64_t)(s->self.slot * 2654435761u >> 28) / 32;
	return wait_us > longer_us ? wait_us : longer_us;
}

/* The first time is told: who looks for what is late finds why. */
static void
rest(struct session *s, const struct limit_refusal *why, int64_t now_us, struct actions *a)
{
	if (!s->delayed) {
		limit_fault(why, &s->all->fault);
		session_log(
		    s, LOG_DELAYED, REASON_RATE_LIMIT, STR_NONE, str_of(s->all->fault.text), a);
	}
	s->delayed = true;
	s->rest_us = now_us + rest_of(s, why->wait_ns / 1000 + 1, now_us - s->late_us);
}

enum err
session_may_send(struct session *s, int64_t now_us, struct actions *a)
{
	struct limit_refusal why;

	if (session_may(s, LIMIT_SENDS, &why)) {
		s->late_us = 0;
		return ERR_OK;
	}
	if (why.whose == LIMIT_DAILY)
		return session_fault(s, REASON_QUOTA, a); /* L-23: it would wait for midnight */
	if (s->late_us == 0)
		s->late_us = now_us;
	if (now_us - s->late_us + why.wait_ns / 1000 > MQTT_REST_MAX_US)
		return session_fault(s, REASON_RATE_LIMIT, a); /* L-22 */
	rest(s, &why, now_us, a);
	return ERR_MORE;
}
