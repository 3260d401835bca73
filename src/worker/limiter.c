/* What askers have taken, of all loops: one table under one mutex, held for four look-ups. */
#include "worker/worker.h"
#include "os/clock.h"

#include <pthread.h>
#include <stdlib.h>

struct limiter {
	pthread_mutex_t mu;
	struct limits limits;
};

struct limiter *
limiter_new(const struct limit_rules *rules, uint64_t nidentity)
{
	struct limiter *l;

	if (rules->n == 0)
		return NULL;
	l = xcalloc(1, sizeof(*l));
	pthread_mutex_init(&l->mu, NULL);
	limits_init(&l->limits, rules, nidentity);
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

bool
limiter_allows(struct limiter *l, enum limit_kind kind, const struct limit_asker *asker,
    struct limit_refusal *why)
{
	bool allows;

	if (l == NULL)
		return true;
	pthread_mutex_lock(&l->mu);
	allows = limits_allow(&l->limits, kind, asker, clock_mono_ns(), why);
	pthread_mutex_unlock(&l->mu);
	return allows;
}

bool
limiter_takes(struct limiter *l, enum limit_kind kind, const struct limit_asker *asker,
    struct limit_refusal *why)
{
	bool takes;

	if (l == NULL)
		return true;
	pthread_mutex_lock(&l->mu);
	takes = limits_take(&l->limits, kind, asker, clock_mono_ns(), why);
	pthread_mutex_unlock(&l->mu);
	return takes;
}

void
limiter_owes(struct limiter *l, enum limit_kind kind, const struct limit_asker *asker, uint32_t n)
{
	if (l == NULL)
		return;
	pthread_mutex_lock(&l->mu);
	limits_owe(&l->limits, kind, asker, n, clock_mono_ns());
	pthread_mutex_unlock(&l->mu);
}
