/*
 * relay: the way of operations to shards that other nodes have. For each shard one owner at a time, a count of what is out there, and a line of
 * what waits.
 *
 *   settled      an operation goes to the owner at once
 *   unsettled    the owner is not known, has said NOT_MINE, or its link went: operations wait. When all that was out has come home, what was
 *                refused goes first, in its order, then the line, to the owner that is known by then
 *
 * So operations of one device are applied in the order in which they came, or answered as unknown; they never overtake each other. What was out
 * on a link that went is answered as unknown and never sent again: it may have been applied. What was refused by NOT_MINE was not. Each is sent
 * with the shard's epoch, and who has the shard by another one refuses it: else a node that gave the shard away and got it back would refuse the
 * first of two that are on their way and apply the second.
 *
 * Pure: no clock, no threads; callbacks come from inside the calls and must not call back. docs/cluster-design.md, 7.
 */
#ifndef TWINHUB_RELAY_H
#define TWINHUB_RELAY_H

#include "base/base.h"
#include "base/slots.h"

#define RELAY_SHARDS      64u
#define RELAY_LINE_MAX    4096u       /* operations that wait, of all shards */
#define RELAY_LINE_BYTES  (8u << 20)  /* of them */
#define RELAY_OUT_MAX     16384u      /* out at one node */
#define RELAY_OUT_BYTES   (16u << 20) /* of them */
#define RELAY_PATIENCE_US INT64_C(5000000)
#define RELAY_PATIENT_US  INT64_C(30000000)

enum relay_owner { RELAY_NOBODY = -1, RELAY_SELF = -2 }; /* else a slot */

enum relay_kind {
	RELAY_USUAL,   /* what is not sent in time is refused */
	RELAY_PATIENT, /* its only other answer is the end of its session: it waits longer */
	RELAY_MUST,    /* is always taken: the end of a session */
	/* Goes before all that waits, also where that is held back: the taking up of a session. Who sends them has the bound: the lines do not count them */
	RELAY_FIRST
};

/* One operation; its owner's memory, until it is answered, refused or handed over. */
struct relay_item {
	struct relay_item *next, *prev; /* the relay's, as is all but the last three */
	uint64_t order;                 /* in which they came */
	uint32_t slot, generation;      /* how its answer names it, while it is out */
	/* of the shard, as it is sent with: an owner of another one says NOT_MINE */
	uint64_t epoch;
	int64_t until_us;
	uint8_t shard;
	uint8_t kind; /* enum relay_kind */
	uint32_t bytes;
};

enum relay_end {
	RELAY_LATE,   /* nobody could be asked in time: nothing was done */
	RELAY_FULL,   /* too many wait: nothing was done */
	RELAY_UNKNOWN /* it was sent, and its node is not heard of any more: it may have been done */
};

struct relay_face {
	/* To the node of that slot. False: the link is down, and nothing was sent. */
	bool (*send)(void *ctx, uint16_t slot, struct relay_item *item);
	/* The shard is this node's: to its worker. */
	void (*here)(void *ctx, struct relay_item *item);
	void (*ends)(void *ctx, struct relay_item *item, enum relay_end why);
	void *ctx;
};

struct relay;

struct relay *relay_new(const struct relay_face *face);
void relay_free(struct relay *r); /* nothing may be in it: relay_stop */

/* shard, kind and bytes are set. May call ends at once. */
void relay_submit(struct relay *r, struct relay_item *item, int64_t now_us);
/* Its answer has come: it is its owner's again. NULL: there is none of that name, as its link went meanwhile. */
struct relay_item *relay_answered(struct relay *r, uint32_t slot, uint32_t generation);
/* It was not applied, as the shard is not the asked node's; the highest epoch that it knows of the shard, 0: none. */
void relay_not_mine(struct relay *r, uint32_t slot, uint32_t generation, uint64_t epoch);
/* As relay_not_mine, of one that this node's worker had, handed over from here or not: in their order, before the shard has another owner. */
void relay_again(struct relay *r, struct relay_item *item, int64_t now_us);
/* Whose the shard is, as somebody says; a lower epoch than one that is known says nothing. To be said again now and then: who was refused by a
 * node that was not ready yet asks it again. */
void relay_owner_is(struct relay *r, uint32_t shard, uint64_t epoch, int owner);
/* What waits for the shard goes on waiting, but for RELAY_FIRST, whoever has it, until relay_go. */
void relay_hold(struct relay *r, uint32_t shard);
void relay_go(struct relay *r, uint32_t shard);
/* Somebody has it, nothing else is out, and what waits is held back: is that so? */
bool relay_is_held(const struct relay *r, uint32_t shard);
/* Who has had it has it no more: what comes waits until somebody says that it has it. */
void relay_nobody(struct relay *r, uint32_t shard);
/* The shard is this node's own, and nothing for it is out or waits: who has it may be asked without the router from here on. */
bool relay_is_clear(const struct relay *r, uint32_t shard);
/* Its node says again, when it is up, what it has. */
void relay_link_down(struct relay *r, uint16_t slot);
/* What has waited too long; when to ask again, INT64_MAX: nothing waits. */
int64_t relay_tick(struct relay *r, int64_t now_us);
/* All ends: what is out is unknown, what waits is late. */
void relay_stop(struct relay *r);

struct relay_view {
	uint32_t waiting, out;
	uint64_t waiting_bytes, unsettled; /* shards, a bit each */
};
void relay_look(const struct relay *r, struct relay_view *out);

#endif
