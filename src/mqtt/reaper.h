/*
 * Links whose opener counts no more: the key of a policy that is rotated, a client CA that is removed, an identity's key
 * that is another one. Each is ended with its reason, all of them at a bounded rate, for each client that is cut off comes back
 * with a handshake (D-81). What waits for its turn is no queue but a mark on the session (doomed): the slots are gone through
 * again. Pure: time comes in, and ending a link is its owner's.
 */
#ifndef TWINHUB_MQTT_REAPER_H
#define TWINHUB_MQTT_REAPER_H

#include "mqtt/session.h"

#define REAPER_LOOKS_MAX 10000u /* slots looked at in one turn */
#define REAPER_TURN_US   (INT64_C(100) * 1000)

struct reaper {
	bool review; /* all sessions are to be looked at, from `at` on */
	uint32_t at; /* the next slot */
	uint32_t ndoomed;
	struct limit_rate rate; /* of ends */
	int64_t until_ns;
	int64_t due_us; /* when reaper_turn is to be called next; SESSION_NEVER */
};

/* The links that there are, by slot. */
struct reaper_links {
	void *ctx;
	uint32_t n;
	struct session *(*at)(void *ctx, uint32_t slot); /* NULL: none, or one that ends already */
	void (*end)(void *ctx, struct session *s);       /* now: session_turn */
};

void reaper_init(struct reaper *rp, uint32_t a_second);
/* Why what has opened it is in no catalogue any more; REASON_NONE: it is. */
enum reason reaper_outdated(const struct session *s, const struct catalogue *c);
/* The catalogue has changed: whom it does not know any more is doomed, and ends at its turn. */
void reaper_review(struct reaper *rp, int64_t now_us);
/* A session has been doomed (session_doom). True: its turn is now. */
bool reaper_doomed(struct reaper *rp, int64_t now_us);
void reaper_turn(
    struct reaper *rp, const struct catalogue *c, const struct reaper_links *links, int64_t now_us);
/* A session has ended, by this or by itself. */
void reaper_ended(struct reaper *rp, const struct session *s);

#endif
