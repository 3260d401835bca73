/*
 * story: what is remembered of the connections of each device and module: the one there is, how the last one ended and which was refused
 * last, how often it has come in the last hour. O-10 to O-14.
 *
 * In memory only, and bounded: an identity that is connected has a story; of those that were, the STORIES_GONE_MAX that have left last; of those
 * of whom nothing is known but that somebody claimed to be one and was refused, the last STORIES_CLAIMED_MAX. So a stranger with many
 * names takes nobody's story away. One costs STORY_BYTES at most, half of that in the usual case.
 *
 * Any thread. What changes with each packet (struct story_counts) is written by the loop of the connection alone, without a lock.
 */
#ifndef TWINHUB_STORY_H
#define TWINHUB_STORY_H

#include "base/base.h"
#include "base/reason.h"
#include "net/net.h"

#include <stdatomic.h>

#define STORIES_GONE_MAX    65536u
#define STORIES_CLAIMED_MAX 4096u
#define STORY_CLIENT_MAX    128u /* bytes that are kept of what a client calls itself */
#define STORY_BYTES         768u

struct stories;
struct story;

struct story_event {
	enum reason reason; /* REASON_NONE: there was none */
	int64_t at_us;
	struct net_addr from;
	/* of REASON_AUTH_BACKOFF: why it had failed before, and how long it has to wait */
	enum reason cause;
	int64_t wait_us;
};

struct stories *stories_new(void);
void stories_free(struct stories *st); /* nobody is connected; NULL is fine */

/* ---- what is told ---- */

/* A connection, as it is accepted. */
struct story_link {
	uint64_t number; /* of all that this identity ever has; not 0 */
	struct net_addr from;
	const char *tls; /* "TLSv1.3", for ever; NULL: plain text */
	bool websocket;
	struct str client; /* what it calls itself; empty: nothing */
};

/* Of the connection that there is, or of the last one. */
struct story_counts {
	atomic_uint_least64_t received_bytes, received, sent_bytes,
	    sent; /* received, sent: messages, each a PUBLISH */
	atomic_uint
	    in_flight; /* operations that have no answer, messages without their acknowledgement */
	atomic_uint
	    desired; /* $version of the desired properties that was sent last; 0: none was */
};

/* By the one thread that writes it. */
static inline void
story_count(atomic_uint_least64_t *count, uint64_t n)
{
	atomic_store_explicit(
	    count, atomic_load_explicit(count, memory_order_relaxed) + n, memory_order_relaxed);
}

/* It stays until story_ended. now_us: the wall clock, everywhere here. */
struct story *story_began(struct stories *st, struct str device, struct str module,
    const struct story_link *link, int64_t now_us);
/* For the connection's loop, until story_ended. */
struct story_counts *story_counts(struct story *s);
/* The connection is over, by what it was begun with: another one may have taken its place. s is not to be used again. */
void story_ended(struct stories *st, struct story *s, const struct story_link *link,
    enum reason why, int64_t now_us);
/* Somebody who claimed to be this one, in a CONNECT or a request; ids that can be none are ignored. */
void story_refused(
    struct stories *st, struct str device, struct str module, const struct story_event *what);

/* ---- what is asked ---- */

/* As it was at one moment. */
struct story_view {
	struct str device, module, client; /* in text */
	bool connected, websocket;
	const char *tls;
	int64_t since_us; /* of the connection that there is, or was last; 0: there was none */
	struct net_addr from;
	uint64_t received_bytes, received, sent_bytes, sent;
	uint32_t in_flight, desired;
	uint32_t nconnect; /* in the last hour, in steps of five minutes */
	uint32_t nrefused; /* since it was connected last */
	struct story_event ended, refused;
	char text[2 * ID_MAX + STORY_CLIENT_MAX];
};

/* False: nothing is known, and *out says so (empty strings, zeros). */
bool story_read(struct stories *st, struct str device, struct str module, int64_t now_us,
    struct story_view *out);

enum story_state { STORY_ANY, STORY_CONNECTED, STORY_GONE };

/* A page of them, by id, or by how often they have come in the last hour, most first. */
struct stories_ask {
	bool by_connects;
	enum story_state state;
	enum reason reason;          /* of the last end or refusal; REASON_NONE: any */
	const struct net_addr *from; /* its address without the port; NULL: any */
	uint32_t limit;              /* from 1 */
	/* Behind this one; device empty: from the first on. */
	struct {
		struct str device, module;
		uint32_t nconnect; /* by_connects only */
	} after;
};
/* put is called in order. True: there are more. Holds up those who connect for less than a millisecond at a time, and takes its
 * own time: not for a loop. */
bool stories_list(struct stories *st, const struct stories_ask *ask, int64_t now_us,
    void (*put)(void *ctx, const struct story_view *v), void *ctx);

#endif
