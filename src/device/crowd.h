/*
 * crowd: many devices in one thread, that behave like real ones (O-180 to O-188). Each has a connection of its own, signs in with its own key, and
 * does what its pattern says:
 *
 *   sensor    telemetry (QoS 1), and a patch of reported properties with each tenth message
 *   tutorial  follows desired.telemetryConfig: reports Pending, works for a while, reports Success or Failed (examples/tutorial/device.js)
 *   flaky     a sensor that comes and goes: stays some seconds, leaves with or without a DISCONNECT, is back in some more
 *
 * What has gone is back after 1, 2, 4, ... up to 60 s, any part of it by chance, as SDKs do, so that a fleet that was thrown out does not come back at once.
 *
 *   AWAY --due--> OPENING --CONNACK, SUBACK--> READY --gone--> AWAY
 *
 * Bounded: for each device some hundred bytes, its TLS, and of its twin at most CROWD_CONFIG_MAX; CROWD_OPENING_MAX of them connect at once.
 */
#ifndef TWINHUB_DEVICE_CROWD_H
#define TWINHUB_DEVICE_CROWD_H

#include <signal.h>

#include "device/hist.h"
#include "device/link.h"

#define CROWD_MAX         100000u
#define CROWD_ID_MAX      48u /* bytes of an id, with the NUL */
#define CROWD_KEY_MAX     96u /* of its key in base64 */
#define CROWD_CONFIG_MAX  4096u
#define CROWD_OPENING_MAX 128u

enum crowd_pattern { CROWD_SENSOR, CROWD_TUTORIAL, CROWD_FLAKY };

/* Why something has not gone well. */
#define CROWD_ERRORS_OF(X)                                                                         \
	X(CONNECT, "connect")   /* no TCP connection, or no TLS */                                 \
	X(DENIED, "denied")     /* CONNACK 5 */                                                    \
	X(REFUSED, "refused")   /* another CONNACK, or a SUBACK that refuses */                    \
	X(CLOSED, "closed")     /* by the hub, or the network */                                   \
	X(TIMEOUT, "timeout")   /* no CONNACK in 30 s, no answer in 60 s */                        \
	X(ANSWER, "answer")     /* to a twin operation: other than 2xx */                          \
	X(PROTOCOL, "protocol") /* bytes that no hub should send */
enum crowd_error {
#define X(id, name) CROWD_##id,
	CROWD_ERRORS_OF(X)
#undef X
	    CROWD_ERRORS
};
extern const char *const crowd_error_names[CROWD_ERRORS];

struct crowd_key {
	char id[CROWD_ID_MAX], key[CROWD_KEY_MAX];
};

struct crowd_options {
	struct link_target target;
	const char *host; /* the hub's name: in user names and tokens */
	const struct crowd_key *keys;
	unsigned n; /* at most CROWD_MAX */
	enum crowd_pattern pattern;
	double rate;     /* messages a second, of all together */
	int64_t token_s; /* life of a token, from 1 */
	uint64_t seed;
};

struct crowd_figures {
	unsigned ready, most; /* connected now; the most at one time */
	uint64_t connects;    /* that were accepted */
	uint64_t messages;    /* telemetry that was acknowledged */
	uint64_t updates;     /* reported patches that were acknowledged */
	uint64_t settled;     /* tutorial: configurations brought to their end */
	uint64_t late;        /* messages that were due while the one before had no answer */
	uint64_t errors[CROWD_ERRORS];
	struct hist latency; /* of messages and updates, until they are acknowledged */
};

struct crowd;
/* ERR_IO, with errno: there are no descriptors. The options' strings are borrowed. */
enum err crowd_new(const struct crowd_options *o, struct crowd **out);
void crowd_free(struct crowd *c);
/* For `us`, or until *stop is set, by a signal. */
void crowd_run(struct crowd *c, int64_t us, const volatile sig_atomic_t *stop);
/* All that are connected say DISCONNECT, and go. */
void crowd_leave(struct crowd *c);
const struct crowd_figures *crowd_figures(const struct crowd *c);

#endif
