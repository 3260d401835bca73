/*
 * Devices that speak MQTT: one in four. Streams of the simulator carry their packets to mqtt/ as it is - its loop, its sessions -
 * and back. wire.c has the streams, and what must hold of links; spoken.c what is said.
 */
#ifndef SIM_WIRE_H
#define SIM_WIRE_H

#include "mqtt/loop.h"
#include "policies.h"
#include "world.h"

#define FILTERS 3u /* that each subscribes to */

struct told { /* what the shard has said of a report, before the device reads it */
	uint32_t number;
	enum fault_code code;
	uint64_t version;
};

struct wire {
	struct stream stream; /* first */
	struct wire *next;
	uint32_t link;
	bool accepted;      /* CONNACK has come */
	bool goodbye, left; /* DISCONNECT is written; the hub has read it */
	bool willed;        /* the hub has handed the will to its shard */
	bool clean;
	unsigned ngranted;   /* filters; FILTERS: it hears all */
	uint32_t nget;       /* asked for, and not yet answered */
	bool by_policy;      /* it connects with pass */
	bool policy_refused; /* the log says that it is for that */
	struct pass pass;
	uint32_t will; /* its number; 0: none */
	int64_t idle_us;
	int64_t sent_us, whole_us; /* when bytes went, and when none was left, last */
	struct buf to_hub, from_hub;
	struct told *told;
	uint32_t ntold;
};

/* ---- wire.c ---- */

bool wire_takes(uint32_t link); /* such links are wires */
void wire_new_disk(void);       /* no session is kept there */
void wire_up(struct world *w);  /* a process begins */
void wire_stop(void);           /* every session ends */
void wire_down(void);           /* behind the end of its loop */
struct mqtt_loop *wire_mqtt(void);
/* What is written goes to the hub, a part of it at a time. */
void wire_move(struct world *w);
bool wire_busy(void);
void wire_check(struct world *w); /* all rests */
/* Its works, as they go to the fleet (row and trouble: to be kept until they are back), and as they are back. */
void wire_work_goes(struct world *w, const struct work *k, uint32_t *row);
void wire_work_back(struct world *w, const struct work *k, uint32_t row);
uint64_t wire_wills_lost(void); /* lines that say so */
void wire_logged(struct world *w, const struct log_story *story);
struct wire *wire_new(struct world *w, uint32_t link); /* a link that is up */
/* The one of a link that the hub has accepted last; NULL: none. */
struct wire *wire_of(uint32_t link);
void wire_accepted(struct world *w, struct wire *d);
void wire_breaks(struct world *w, uint32_t link); /* the link is lost */

/* A session of this link that outlives it has all filters, as SUBACKs have said. */
bool *wire_durable(uint32_t link);
bool wire_is_youngest(const struct wire *d); /* of its identity's */
/* One that has not been accepted yet is lost; false: there is none. */
bool wire_gives_up(uint32_t link);

/* ---- spoken.c: steps, on links that are wires ---- */

void wire_connect(struct world *w, uint32_t link);
void wire_report(struct world *w, uint32_t link);
void wire_telemetry(struct world *w, uint32_t link);
void wire_leave(struct world *w, uint32_t link); /* with DISCONNECT */
void wire_ping(struct world *w, uint32_t link);
void wire_get(struct wire *d);
/* Whole packets are taken off what has come. */
void wire_read(struct world *w, struct wire *d);

#endif
