/* deliver: what its files share. */
#ifndef TWINHUB_DELIVER_PRIV_H
#define TWINHUB_DELIVER_PRIV_H

#include "deliver/deliver.h"
#include "os/thread.h"

#define OUTLET_DISABLED "disabled" /* its state beside those of senders */

/* A sink at work. The thread's, but for what is said to be with the lock. */
struct outlet {
	struct sink_def *def;
	/* NULL: it is disabled, or cannot be one, and why. Changed with the lock */
	struct sender *sender;
	struct fault fault;
};

struct deliveries {
	struct deliveries_options o;
	struct senders *senders;
	struct thread thread;
	pthread_mutex_t mu;
	pthread_cond_t wake;
	/* with mu: */
	struct routing *set;
	bool changed, stop;
	struct outlet *v[SINKS_MAX];
	uint32_t n;
};

/* outlet.c */
struct outlet *outlet_new(struct sink_def *def);
void outlet_free(struct outlet *o);
/* Its sender, as the definition wants it; what it was before has ended. Without the lock. */
void outlet_begin(struct deliveries *d, struct outlet *o);
void outlet_end(struct deliveries *d, struct outlet *o);
/* The value of "status"; with the lock. */
void outlet_show(const struct outlet *o, struct out *out);

#endif
