/* story: what its files share. */
#ifndef TWINHUB_STORY_PRIV_H
#define TWINHUB_STORY_PRIV_H

#include "story/story.h"

#include <pthread.h>

#define STRIPES 64u /* each with a lock of its own */
#define SLOTS   12u /* of an hour */
#define SLOT_US (INT64_C(300) * 1000000)

/* In which list it is, when nobody pins it. */
enum story_kind { KIND_GONE, KIND_CLAIMED, STORY_KINDS };

struct story {
	struct story_counts counts;
	struct story *chain;       /* the next one of its bucket */
	struct story *next, *prev; /* of its list, if nlive is 0: newest first */
	uint64_t hash;
	uint64_t number;        /* of the connection that it tells of */
	int64_t since_us, slot; /* slot: the newest of nconnect, in SLOT_US since 1970 */
	struct story_event ended, refused;
	const char *tls;
	char *client;
	uint32_t nlive; /* connections that hold it: two while one is taken over */
	uint32_t nrefused;
	struct net_addr from;
	uint16_t nconnect[SLOTS];
	bool connected, websocket, known; /* known: it was connected once */
	uint8_t device_n, module_n;
	char ids[]; /* device, module */
};

struct stripe {
	pthread_mutex_t mutex;
	struct story **buckets;
	uint32_t nbucket, n; /* nbucket: a power of two */
	struct {
		struct story *first, *last;
		uint32_t n;
	} lists[STORY_KINDS];
};

struct stories {
	struct stripe stripes[STRIPES];
};

/* With the stripe's lock. */
void story_show(const struct story *s, int64_t now_us, struct story_view *out);
uint32_t story_connects(const struct story *s, int64_t now_us);

#endif
