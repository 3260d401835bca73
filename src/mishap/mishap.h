/*
 * mishap: what a test has ordered to go wrong (docs/spec/operate.md, O-175 to O-179). A hub that is not for tests has none: whoever might
 * meet one is given NULL, and asks nobody.
 *
 * An order says what, how often, and perhaps of which device. Whoever is at the point where it would happen asks mishap_meets; the oldest
 * order that fits is used up by one. All of it is called on any thread.
 */
#ifndef TWINHUB_MISHAP_H
#define TWINHUB_MISHAP_H

#include "doc/doc.h"
#include "doc/out.h"

enum mishap {
	MISHAP_DROP_LINK,      /* a link ends at a packet, which is not looked at */
	MISHAP_REFUSE_CONNECT, /* a CONNECT is answered "unavailable" */
	MISHAP_REFUSE_TWIN,    /* a twin request of a device is answered by a fault, and not done */
	MISHAP_DELAY_TWIN,     /* a twin request of a device is done, and answered, later */
	MISHAP_LOSE_NOTIFICATION, /* desired properties that have changed are not sent */
	MISHAP_UNAVAILABLE,       /* a request of the service API is answered 503 */
	MISHAP_TOKEN_SKEW,        /* a token is judged as by a clock that is ahead */
	MISHAP_MOVE_SHARD, /* whatever serves the device is given up, and taken anew, before its packet */
	MISHAPS
};

#define MISHAP_ORDERS_MAX 64u /* at once */

/* What has been ordered, to who meets it. */
struct mishap_met {
	enum fault_code code; /* MISHAP_REFUSE_TWIN */
	int64_t us;           /* MISHAP_DELAY_TWIN, MISHAP_TOKEN_SKEW */
};

struct mishaps;
struct mishaps *mishaps_new(void);
void mishaps_free(struct mishaps *m); /* NULL is fine */

/* Is it to happen now, to this device (empty: to none)? Then it has been used up by one. m NULL: never. */
bool mishap_meets(
    struct mishaps *m, enum mishap what, struct str device, int64_t now_us, struct mishap_met *out);

/*
 * Take an order: {"fault":"dropLink","count":2,"device":"d1"}. now_us: monotonic, for those that last so long.
 * ERR_ARG: f says which member is wrong; ERR_FULL: there are MISHAP_ORDERS_MAX. Else it is shown on out.
 */
enum err mishaps_order(
    struct mishaps *m, struct doc order, int64_t now_us, struct out *out, struct fault *f);
/* What is left of all of them: an array. */
void mishaps_show(struct mishaps *m, int64_t now_us, struct out *out);
void mishaps_clear(struct mishaps *m);

#endif
