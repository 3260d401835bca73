/* When a sender tries again, and with how much (E-39, E-43). Pure: time and randomness are arguments. */
#ifndef TWINHUB_SINK_PACE_H
#define TWINHUB_SINK_PACE_H

#include "base/base.h"

#define PACE_AGAIN_US   (INT64_C(1) * 1000000) /* the first wait */
#define PACE_REFUSED_US (INT64_C(60) * 1000000)
#define PACE_MOST_US    (INT64_C(300) * 1000000)
#define PACE_ASKED_US   (INT64_C(3600) * 1000000) /* the longest wait that a receiver may ask for */

/* How an attempt ended. */
enum attempt_end {
	ATTEMPT_TAKEN,
	ATTEMPT_AGAIN, /* something that passes */
	ATTEMPT_REFUSED, /* the request is wrong, or the receiver is not there: it will hardly be mended in a second */
	ATTEMPT_TOO_LARGE, /* less of it may go */
	ATTEMPT_GONE
};

struct pace {
	uint64_t attempts; /* that have failed, one after the other */
	int64_t due_us;    /* no attempt before; monotonic */
};

void pace_good(struct pace *p);
/* asked_us: how long the receiver wants to be left alone; 0: it did not say. random: any 64 bits. */
void pace_failed(
    struct pace *p, enum attempt_end end, int64_t now_us, int64_t asked_us, uint64_t random);
/* No attempt before that. */
void pace_not_before(struct pace *p, int64_t us);

/* What the status of an HTTP answer says of a batch. */
enum attempt_end attempt_of_status(long status);

#endif
