/* Who fails to authenticate again and again, of all loops: one table under one mutex, held for two look-ups. */
#include "worker/worker.h"
#include "os/clock.h"

#include <pthread.h>
#include <stdlib.h>

struct offenders {
	pthread_mutex_t mu;
	struct backoff backoff;
};

struct offenders *
offenders_new(uint32_t most_s)
{
	struct offenders *o;

	if (most_s == 0)
		return NULL;
	o = xcalloc(1, sizeof(*o));
	pthread_mutex_init(&o->mu, NULL);
	backoff_init(&o->backoff, (int64_t)most_s * 1000000000);
	return o;
}

void
offenders_free(struct offenders *o)
{
	if (o == NULL)
		return;
	backoff_fini(&o->backoff);
	pthread_mutex_destroy(&o->mu);
	free(o);
}

bool
offenders_hold(struct offenders *o, struct backoff_who who, bool known, struct backoff_wait *out)
{
	bool holds;

	if (o == NULL)
		return false;
	pthread_mutex_lock(&o->mu);
	holds = backoff_holds(&o->backoff, who, known, clock_mono_ns(), out);
	pthread_mutex_unlock(&o->mu);
	return holds;
}

bool
offenders_failed(
    struct offenders *o, struct backoff_who who, enum reason why, struct backoff_wait *out)
{
	bool told;

	if (o == NULL)
		return false;
	pthread_mutex_lock(&o->mu);
	told = backoff_failed(&o->backoff, who, why, clock_mono_ns(), out);
	pthread_mutex_unlock(&o->mu);
	return told;
}

void
offenders_passed(struct offenders *o, struct backoff_who who)
{
	if (o == NULL)
		return;
	pthread_mutex_lock(&o->mu);
	backoff_passed(&o->backoff, who, clock_mono_ns());
	pthread_mutex_unlock(&o->mu);
}

uint32_t
offenders_waiting(struct offenders *o)
{
	uint32_t n;

	if (o == NULL)
		return 0;
	pthread_mutex_lock(&o->mu);
	n = backoff_waiting(&o->backoff, clock_mono_ns());
	pthread_mutex_unlock(&o->mu);
	return n;
}
