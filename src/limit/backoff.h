/*
 * Who fails to authenticate again and again waits, longer each time (O-33 to O-35).
 *
 * What is kept is of a pair, an identity or policy that somebody says to be and the address that says so, and of the address. Never of the
 * identity alone: else whoever sends wrong keys for it from anywhere would lock it out everywhere.
 *
 *   pair      from the 5th failure in a row on it waits 1 s, 2 s, 4 s, ... `most`. While it waits it is not judged, whatever it shows; but one
 *             that is known to have shown a right key there is: a right one is let in, a wrong one changes nothing. So who sends wrong keys from
 *             behind the same address, however fast, keeps nobody out who was in. A policy is always known, as several programs use it
 *   address   from the 50th failure on, of whoever, each pair of it waits from its first failure on, and is said to be held by its address.
 *             Who shows a right key first is let in all the same: an address may be a whole site
 *
 * A table of fixed size, by hashes. Who finds no place takes that of who has been quiet longest of a few; so a stranger with many names makes
 * the hub forget who waits, and never makes anybody wait. Who has been quiet for ten times its wait, at least ten minutes, begins anew.
 *
 * Pure: the time is an argument, in nanoseconds, and never goes back.
 */
#ifndef TWINHUB_LIMIT_BACKOFF_H
#define TWINHUB_LIMIT_BACKOFF_H

#include "base/base.h"
#include "base/reason.h"

#define BACKOFF_ENTRIES      65536u /* of 32 bytes */
#define BACKOFF_WAYS         4u     /* places that one can have */
#define BACKOFF_PAIR_FREE    5u     /* the failure that is the first to be followed by a wait */
#define BACKOFF_ADDRESS_FREE 50u
#define BACKOFF_QUIET_S      600

struct backoff_entry {
	uint64_t key; /* 0: none yet */
	int64_t until_ns, seen_ns;
	uint32_t failures; /* in a row */
	uint8_t cause;     /* enum reason, of the last one */
	bool known;        /* it has shown a right key since */
};

struct backoff {
	int64_t most_ns;
	struct backoff_entry *entries;
};

/* Who is it? Hashes; address 0: one that limits by address do not concern, so nothing is kept. */
struct backoff_who {
	uint64_t name, address;
};

struct backoff_wait {
	int64_t wait_ns; /* until it is judged again; 0: at once */
	uint32_t failures;
	enum reason cause; /* of the last failure */
	bool by_address;
};

void backoff_init(struct backoff *b, int64_t most_ns);
void backoff_fini(struct backoff *b);
/* Is it a failure of authentication, and not of rights, of a status or of the hub? */
bool backoff_counts(enum reason why);
/* True: it has to wait, and is not to be judged. known: see above, if the caller knows. */
bool backoff_holds(const struct backoff *b, struct backoff_who who, bool known, int64_t now_ns,
    struct backoff_wait *out);
/* It was judged and has failed. True: *out is to be told, and not why: it waits already, or its address has failed so often. */
bool backoff_failed(struct backoff *b, struct backoff_who who, enum reason why, int64_t now_ns,
    struct backoff_wait *out);
/* It was judged and is good. */
void backoff_passed(struct backoff *b, struct backoff_who who, int64_t now_ns);
/* How many wait. */
uint32_t backoff_waiting(const struct backoff *b, int64_t now_ns);

int64_t backoff_wait_s(const struct backoff_wait *w); /* rounded up */
#define BACKOFF_TEXT_MAX 160
/* For the log, and who may know. */
const char *backoff_text(const struct backoff_wait *w, char out[BACKOFF_TEXT_MAX]);

#endif
