/* What askers have taken, of all loops: one table under one mutex, held for a few look-ups. Without rules it is not taken. */
#include "metric/metric.h"
#include "os/clock.h"
#include "worker/worker.h"

#include <pthread.h>
#include <stdlib.h>

struct limiter {
	atomic_bool on, metering; /* there are rules; there is a day's quota */
	pthread_mutex_t mu;
	uint64_t nidentity;
	struct limit_rules start, rules; /* rules: as they are said */
	unsigned nodes;                  /* of the hub, from 1 */
	struct limits limits;            /* of this node's part of them */
	struct limit_daily daily;
};

static void
part_take(struct limiter *l)
{
	struct limit_rules *part = xmalloc(sizeof(*part));

	*part = l->rules;
	limit_rules_divide(part, l->nodes);
	limits_fini(&l->limits);
	limits_init(&l->limits, part, l->nidentity);
	l->daily.most = part->daily;
	l->daily.block = part->block;
	free(part);
}

static void
rules_take(struct limiter *l, struct limit_rules *rules)
{
	for (unsigned i = 0; i < rules->nnamed; i++)
		rules->named[i].key = rules->named[i].whose == LIMIT_POLICY
		    ? asker_key(str_of(rules->named[i].name), STR_NONE)
		    : 0;
	l->rules = *rules;
	part_take(l);
	atomic_store(&l->metering, rules->daily > 0);
	atomic_store(&l->on, rules->n > 0 || rules->daily > 0);
}

struct limiter *
limiter_new(const struct limit_rules *start, uint64_t nidentity)
{
	struct limiter *l = xcalloc(1, sizeof(*l));

	pthread_mutex_init(&l->mu, NULL);
	l->nidentity = nidentity;
	l->nodes = 1;
	l->start = *start;
	rules_take(l, &l->start);
	return l;
}

void
limiter_free(struct limiter *l)
{
	if (l == NULL)
		return;
	limits_fini(&l->limits);
	pthread_mutex_destroy(&l->mu);
	free(l);
}

enum err
limiter_set(struct limiter *l, const struct limit_rules *set)
{
	struct limit_rules *rules = xmalloc(sizeof(*rules));
	enum err e;

	*rules = l->start;
	e = limit_rules_over(rules, set);
	pthread_mutex_lock(&l->mu);
	rules_take(l, rules);
	pthread_mutex_unlock(&l->mu);
	free(rules);
	return e;
}

void
limiter_nodes(struct limiter *l, unsigned n)
{
	if (l == NULL || n == 0)
		return;
	pthread_mutex_lock(&l->mu);
	if (l->nodes != n) {
		l->nodes = n;
		part_take(l);
	}
	pthread_mutex_unlock(&l->mu);
}

struct limit_counts
limiter_counts(struct limiter *l)
{
	struct limit_counts counts;

	pthread_mutex_lock(&l->mu);
	counts = l->limits.rules.counts;
	pthread_mutex_unlock(&l->mu);
	return counts;
}

const atomic_bool *
limiter_flag(const struct limiter *l)
{
	return &l->on;
}

static bool
is_on(const struct limiter *l)
{
	return l != NULL && atomic_load_explicit(&l->on, memory_order_relaxed);
}

static bool
counted(bool allowed, const struct limit_refusal *why)
{
	if (!allowed)
		metric_add(METRIC_THROTTLED, why->kind * METRIC_LIMITERS_MAX + why->whose, 1);
	return allowed;
}

bool
limiter_allows(struct limiter *l, enum limit_kind kind, const struct limit_asker *asker,
    struct limit_refusal *why)
{
	bool allows;

	if (!is_on(l))
		return true;
	pthread_mutex_lock(&l->mu);
	allows = limit_daily_allows(&l->daily, kind, clock_wall_us(), why) &&
	    limits_allow(&l->limits, kind, asker, clock_mono_ns(), why);
	pthread_mutex_unlock(&l->mu);
	return counted(allows, why);
}

bool
limiter_takes(struct limiter *l, enum limit_kind kind, const struct limit_asker *asker,
    struct limit_refusal *why)
{
	bool takes;

	if (!is_on(l))
		return true;
	pthread_mutex_lock(&l->mu);
	takes = limit_daily_allows(&l->daily, kind, clock_wall_us(), why) &&
	    limits_take(&l->limits, kind, asker, clock_mono_ns(), why);
	pthread_mutex_unlock(&l->mu);
	return counted(takes, why);
}

bool
limiter_paces(struct limiter *l, bool again, int64_t *wait_ns)
{
	static const struct limit_asker nobody = { 0 };
	struct limit_refusal why;
	bool takes;

	if (!is_on(l))
		return true;
	pthread_mutex_lock(&l->mu);
	takes = limits_take(&l->limits, LIMIT_JOB_DEVICES, &nobody, clock_mono_ns(), &why);
	pthread_mutex_unlock(&l->mu);
	if (!takes)
		*wait_ns = why.wait_ns;
	return takes || (again ? false : counted(false, &why));
}

void
limiter_owes(struct limiter *l, enum limit_kind kind, const struct limit_asker *asker, uint32_t n)
{
	if (!is_on(l))
		return;
	pthread_mutex_lock(&l->mu);
	limits_owe(&l->limits, kind, asker, n, clock_mono_ns());
	pthread_mutex_unlock(&l->mu);
}

void
limiter_meters(struct limiter *l, uint64_t bytes)
{
	if (l == NULL || !atomic_load_explicit(&l->metering, memory_order_relaxed))
		return;
	pthread_mutex_lock(&l->mu);
	limit_daily_count(&l->daily, bytes, clock_wall_us());
	pthread_mutex_unlock(&l->mu);
}

void
limiter_look(struct limiter *l, struct limiter_state *out)
{
	pthread_mutex_lock(&l->mu);
	limit_daily_turn(&l->daily, clock_wall_us());
	*out = (struct limiter_state){ .rules = l->rules,
		.daily = l->daily,
		.nbucket = l->limits.nset * LIMIT_WAYS,
		.npushed = l->limits.pushed };
	pthread_mutex_unlock(&l->mu);
}
