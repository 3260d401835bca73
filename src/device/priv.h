/* device: what the crowd's files share. */
#ifndef TWINHUB_DEVICE_PRIV_H
#define TWINHUB_DEVICE_PRIV_H

#include "auth/auth.h"
#include "device/crowd.h"
#include "device/packet.h"
#include "doc/doc.h"
#include "os/clock.h"

#define SECOND_US INT64_C(1000000)
#define ANSWER_US (60 * SECOND_US)
#define RES       "$iothub/twin/res/"
#define DESIRED   "$iothub/twin/PATCH/properties/desired/"

enum device_state { DEVICE_AWAY, DEVICE_OPENING, DEVICE_READY };
/* What has had no answer yet. */
enum device_question { ASKED_NOTHING, ASKED_MESSAGE, ASKED_UPDATE, ASKED_TWIN };
enum device_step { STEP_IDLE, STEP_PENDING, STEP_WORKING, STEP_ENDING };

struct device {
	struct crowd *crowd;
	struct link link;
	uint32_t nth, place; /* in the heap */
	enum device_state state;
	enum device_question question;
	enum device_step step; /* tutorial */
	bool heard;            /* tutorial: of a desired change that it has not read yet */
	uint16_t packet_id;
	uint32_t count;   /* of what it has sent */
	int64_t due_us;   /* the earliest of the times below that matters */
	int64_t state_us; /* AWAY: when it is back; OPENING: when that has taken too long */
	int64_t back_us;  /* how long it is away after the next failure, at the most */
	int64_t act_us;   /* what its pattern does; INT64_MAX: nothing */
	int64_t leave_us, ping_us;
	int64_t asked_us,
	    answer_us; /* when the question left, 0: none; until when its answer is waited for */
	struct buf in; /* a part of a packet */
	struct buf config; /* tutorial: desired.telemetryConfig that is being applied, JSON */
};

struct crowd {
	struct crowd_options o;
	struct crowd_figures figures;
	int epoll;
	unsigned nopening;
	int64_t now_us;
	uint64_t random;
	struct device *devices;
	uint32_t *heap;
	struct sas_mac *mac;
	struct doc_parser *parser;
	struct buf text, topic, resource, doc; /* of what is being made or read */
	char piece[16384];
};

uint64_t crowd_random(struct crowd *c);
int64_t crowd_below(struct crowd *c, int64_t us); /* 0 to us - 1 */

/* It has left, or failed: what it has, but its identity, is let go. */
void device_goes(struct device *d, bool politely);
void device_fails(struct device *d, enum crowd_error why);
/* It has put a packet that will be answered. */
void device_asks(struct device *d, enum device_question what);

/* pattern.c: on what happens. */
void pattern_ready(struct device *d);
void pattern_acts(struct device *d);                      /* act_us has come */
void pattern_answered(struct device *d, struct doc twin); /* twin: of ASKED_TWIN */
void pattern_desired(struct device *d);
void pattern_leaves(struct device *d); /* leave_us has come */

#endif
