/*
 * mqtt: devices' sessions over a stream, whatever carries it: TCP, TLS, WebSocket. Packets become operations on the fleet,
 * answers and notes become packets. Rules: docs/spec/device-mqtt.md 2 to 7; MQTT 3.1.1. What a session decides is in
 * session.h, and needs no stream; here is what the program sees.
 *
 * One mqtt_loop for each event loop; it and its sessions belong to that loop's thread.
 */
#ifndef TWINHUB_MQTT_H
#define TWINHUB_MQTT_H

#include "net/net.h"
#include "story/story.h"
#include "worker/worker.h"

struct mqtt_options {
	struct fleet *fleet;
	struct catalogue_box *catalogue;
	struct limiter *limiter;         /* NULL: no rate limits */
	struct mishaps *mishaps;         /* NULL: nothing goes wrong by order */
	struct offenders *offenders;     /* NULL: nobody is held off */
	struct stories *stories;         /* NULL: nobody is told */
	struct tls *tls;                 /* NULL: no certificate is revoked while it is in use */
	const struct nets *address_free; /* no rate limits by address for these; NULL: for all */
	size_t work_bytes; /* of all its sessions' operations on their way; 0: MQTT_WORK_BYTES */
	unsigned nloop;    /* that share what is bounded for all; 0: 1 */
	/* operations of one session on their way; at it reading stops. 0: MQTT_IN_FLIGHT */
	uint32_t max_in_flight;
};

#define MQTT_IN_FLIGHT       256u
#define MQTT_IN_FLIGHT_BYTES (1u << 20)  /* of such operations; at it reading stops */
#define MQTT_WORK_BYTES      (32u << 20) /* of all of a loop; at it they wait for one another */
#define MQTT_MESSAGE_MAX     262144u     /* payload and properties of telemetry (D-64) */
/* bytes of unfinished CONNECTs on one loop; over it the link ends that sent last */
#define MQTT_STRANGERS_MAX (8u << 20)
#define MQTT_IDLE_MAX_S    1767u             /* L-74 */
#define MQTT_REST_MAX_US   INT64_C(60000000) /* that telemetry waits for a rate limit: L-97 */

struct mqtt_loop;

/* ERR_IO: no memory for a parser. */
struct mqtt_loop *mqtt_loop_new(struct loop *l, const struct mqtt_options *o);
/* Once `l` is freed, whose last streams still end here: no session is left, none of its works is under way, and what timer
 * it had is not touched any more. */
void mqtt_loop_free(struct mqtt_loop *ml);

/* The user of each stream that speaks MQTT; ctx is the loop's mqtt_loop. The deadline that whoever made the stream has set
 * is the CONNECT's: one time from accept to the verdict. */
extern const struct stream_user mqtt_user;

/* What the fleet sends to one of the loop's sessions; borrowed. */
void mqtt_note(struct mqtt_loop *ml, const struct note *n);

/* The catalogue's policies or client CAs have changed: links that what has gone had opened are closed, at most
 * MQTT_CLOSINGS_A_SECOND on all loops together, each with its reason. Any thread; the loop runs, or is to run. */
void mqtt_loop_review(struct mqtt_loop *ml);
#define MQTT_CLOSINGS_A_SECOND 1000u

/* The hub's clock has been advanced: tokens of links that are there end so much sooner. As mqtt_loop_review. */
void mqtt_loop_later(struct mqtt_loop *ml, int64_t by_us);

/* A shard has come: sessions of it are taken up, and it says resumption_through when they have been. Any thread, one resumption a shard at a time; the
 * loop runs. */
void mqtt_loop_resume(struct mqtt_loop *ml, struct resumption *r);

/* Who serves these shards, a bit each, is not reached: their sessions are closed, at the pace of mqtt_loop_review. Any thread; the loop runs. */
void mqtt_loop_cut(struct mqtt_loop *ml, uint64_t shards);

/* End every session as if its link had failed: at a stop. Wills are published. */
void mqtt_loop_close(struct mqtt_loop *ml);
/* Sessions and works of this loop under way. */
uint32_t mqtt_loop_busy(const struct mqtt_loop *ml);

#endif
