/* For tests of senders: an owner of one batch, which waits until it is back. */
#ifndef SINK_KIT_H
#define SINK_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "patience.h"
#include "sink/sink.h"

struct owner {
	pthread_mutex_t mu;
	pthread_cond_t back;
	struct sink_batch batch;
	unsigned nover;
	bool taken;
};

static void
owner_over(struct sink_batch *b, bool taken)
{
	struct owner *o = b->owner;

	pthread_mutex_lock(&o->mu);
	o->nover++;
	o->taken = taken;
	pthread_cond_broadcast(&o->back);
	pthread_mutex_unlock(&o->mu);
}

static void
owner_init(struct owner *o)
{
	*o = (struct owner){ 0 };
	pthread_mutex_init(&o->mu, NULL);
	pthread_cond_init(&o->back, NULL);
	o->batch.over = owner_over;
	o->batch.owner = o;
}

/* n events, the first of number `from`. */
static void
owner_fill(struct owner *o, unsigned from, unsigned n)
{
	char text[64];

	sink_batch_empty(&o->batch);
	for (unsigned i = from; i < from + n; i++) {
		snprintf(text, sizeof text, "{\"id\":\"%u\"}", i);
		sink_batch_add(&o->batch, str_of(text), STR("device"));
	}
}

/* The nth time that it came back: had the place taken it? */
static bool
owner_await(struct owner *o, unsigned n)
{
	bool taken;

	pthread_mutex_lock(&o->mu);
	patience_await(&o->back, &o->mu, o->nover >= n);
	taken = o->taken;
	pthread_mutex_unlock(&o->mu);
	return taken;
}

static void
owner_fini(struct owner *o)
{
	sink_batch_fini(&o->batch);
	pthread_cond_destroy(&o->back);
	pthread_mutex_destroy(&o->mu);
}

#endif
