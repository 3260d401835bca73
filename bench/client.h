/*
 * client: one MQTT 3.1.1 device of the load. It keeps a fixed number of reported patches in flight:
 * every acknowledgement sends the next. Against a hub an acknowledgement is the 204 of the patch,
 * which follows its commit; against a broker, the PUBACK of the same publish.
 *
 *   CONNECT, SUBSCRIBE $iothub/twin/res/# (hub only) -> CONNACK, SUBACK -> ready
 *   PUBLISH x inflight -> acknowledgement -> PUBLISH -> ...
 *
 * With `rate` set nothing waits for an acknowledgement: patches leave at that rate, each from the next client that has none
 * in flight, and their times begin when they were due, so a server that stalls is seen to stall.
 *
 * With `per_session` set it instead sends that many patches as one device, disconnects, and goes on
 * as the next device until all devices of the run have been touched; there the packets up to the
 * first patches leave in one write.
 */
#ifndef TWINHUB_BENCH_CLIENT_H
#define TWINHUB_BENCH_CLIENT_H

#include "device/hist.h"
#include "target.h"

#include <stdatomic.h>

#define SECTIONS_MAX 16 /* parts of a run that are measured apart */

enum phase { PHASE_CONNECT, PHASE_WARM, PHASE_MEASURE, PHASE_END };

/* What every client does; not changed during the run. */
struct plan {
	struct link_target target;
	bool hub;       /* false: any broker */
	bool clean;     /* clean session flag */
	bool notify;    /* hear of desired properties, too */
	bool telemetry; /* messages, not patches; QoS 1, acknowledged by PUBACK */
	unsigned qos;   /* 0 or 1; 0 only against a hub */
	unsigned nclient, inflight, per_session, ndevice, stride;
	unsigned keys;    /* of each patch, all of them new values; 0: a device's about 100 bytes */
	unsigned rate;    /* patches a second of each thread; 0: as acknowledgements come */
	const char *name; /* host name in the user name */
	struct buf password;
};

/* What the threads of a run share. */
struct run {
	struct plan plan;
	atomic_int phase;
	atomic_uint section;                        /* where samples go */
	atomic_uint nready, nfinished, next_device; /* finished: devices of a rotating run */
	atomic_bool failed;
};

/* One thread's part: its clients and what they measured. */
struct worker {
	struct run *run;
	int epoll;
	struct client *clients;
	unsigned nclient, nopened, nopening;
	struct buf body; /* of a patch being made */
	unsigned turn;   /* rate: the client that is next */
	uint64_t due_us; /* rate: when */
	struct hist hists[SECTIONS_MAX];
	uint64_t nerror;   /* answers other than 204 */
	uint64_t nnote;    /* desired notifications */
	uint64_t nsession; /* accepted CONNECTs */
};

/* A stride prime to the number of devices: no key order, and every device once. */
unsigned stride_for(unsigned ndevice);

void worker_init(struct worker *w, struct run *run, unsigned nclient);
void worker_fini(struct worker *w);
/* Run until PHASE_END, or until a client fails: then run->failed is set and one line is on stderr. */
void worker_loop(struct worker *w);

#endif
