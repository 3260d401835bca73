/*
 * frame: what goes between the nodes of a hub, as values, and back. No connection, no state.
 *
 *   head    length of the body (4 bytes, big-endian), kind, flags
 *   body    fields, in rising order of their tags: tag << 1 | 1 and bytes with their length, or tag << 1 and a number (buf_varint). What is 0
 *           or empty is left out; a tag that is not known is passed over, so a node of the next release may say more
 *
 * Frames of one link keep their order.
 *
 * Strings in what is read are borrowed from the frame's bytes. What is read is fit to be used: numbers are within their enums, ids are valid,
 * docs have been checked. docs/cluster-design.md, 6.
 */
#ifndef TWINHUB_FRAME_H
#define TWINHUB_FRAME_H

#include "hub/cargo.h"
#include "hub/hub.h"
#include "task/walk.h"

#define FRAME_PROTOCOL 1u /* the newest that this program speaks, and the oldest */
#define FRAME_HEAD     6u
#define FRAME_MAX      (4u << 20) /* bytes of a body */

enum frame_kind {
	FRAME_HELLO = 1,
	FRAME_MAP,
	FRAME_PING,
	FRAME_PONG,
	FRAME_OP,
	FRAME_REPLY,
	FRAME_NOT_MINE, /* the operation was not applied */
	FRAME_EFFECT,
	FRAME_RESUMED,
	FRAME_POKE,
	FRAME_POKED,
	FRAME_CALL, /* a request outside of any shard's order */
	FRAME_ANSWER,
	FRAME_PARCEL,
	FRAME_PARCEL_DONE,
	FRAME_KINDS
};

struct frame {
	enum frame_kind kind;
	struct str body; /* borrowed from what was read */
};

/* ---- heads ---- */

/* Where a body begins: frame_end fills in its length. ERR_SIZE: it is over FRAME_MAX, and is gone from out. */
size_t frame_begin(struct buf *out, enum frame_kind kind);
enum err frame_end(struct buf *out, size_t begun);

/*
 * The first frame of `in`, which may hold a part of one or more than one. size: bytes that it took.
 * ERR_MORE: it is not all there; size is what it will take, 0 while not known. ERR_PROTOCOL: f says why; the link is of no more use.
 */
enum err frame_read(struct str in, struct frame *frame, size_t *size, struct fault *f);

/* ---- what they say ---- */

struct hello {
	uint64_t protocol_min, protocol_max;
	struct str hub, node, version; /* the hub's id, the node's name, the program's release */
	uint64_t slot, generation;
	uint64_t common; /* version of what is hub-wide, as this node has it in force */
};

enum shard_state {
	SHARD_NOT_KNOWN,
	SHARD_LOADING,
	SHARD_SERVED,
	SHARD_LEAVING,
	SHARD_GREETS,
	SHARD_STATES
};

/* Of each shard, in its order: who has it, as the sender knows. */
/* SHARD_GREETS: it is to be served; sessions may be resumed there, and nothing else is taken yet */
struct shard_map {
	struct shard_at {
		uint64_t epoch;
		uint16_t slot; /* of the node */
		uint8_t state; /* enum shard_state */
	} of[SHARDS];
};

struct asked {
	uint64_t seq; /* the sender's: the answer names it */
	uint64_t shard,
	    epoch;      /* as the sender knows it: who has the shard by another one says NOT_MINE */
	uint64_t asker; /* whose share it takes, as struct work has it */
	struct op op;
};

struct answered {
	uint64_t seq;
	struct reply reply; /* read: body and warning are the caller's, appended to */
};

struct not_mine {
	uint64_t seq, shard;
	uint64_t epoch; /* the highest that is known of the shard; 0: none */
};

/* A cargo for one shard (hub/cargo.h); NOT_MINE is its other answer. */
struct parcel_asked {
	uint64_t seq, shard, epoch; /* as those of struct asked */
	struct str actor;
};

struct parcel_done {
	uint64_t seq;
	struct str faults; /* parcel_done_take */
};

/* What is asked of another node outside of any shard's order; the bodies are their rooms'. For ever of one meaning. */
enum call_kind {
	CALL_NONE,
	CALL_WALK,       /* a query's part */
	CALL_JOBS,       /* the hub's jobs, from shard 0's owner */
	CALL_JOB_REPORT, /* to it */
	CALL_POKE,       /* the version of what is hub-wide; the answer: it is in force */
	CALL_LOG_READ,
	CALL_STORY,
	CALL_PAST,
	CALL_WATCH,
	CALL_KINDS
};

struct called {
	uint64_t seq;  /* the sender's: the answer names it */
	uint64_t kind; /* enum call_kind; one that is not known here is answered by a fault */
	uint64_t patience_us;
	struct str body;
};

struct call_answer {
	uint64_t seq, code; /* enum fault_code; F_NONE: body is the answer */
	struct str text, body;
};

/* CALL_JOBS: the set of jobs that the asker has; 0: none. */
struct jobs_asked {
	uint64_t epoch, version;
};

/* Its answer, when there is another one: as struct jobs_news has it. Empty: there is none yet, ask again. */
struct jobs_told {
	uint64_t epoch, version, latest, whole;
	struct str records, numbers;
};

/* CALL_JOB_REPORT: each with its length in front; as struct job_report has it. */
struct part_told {
	uint64_t number, shard, epoch, ended, broken;
	uint64_t devices, succeeded, failed, running, bytes;
};
#define FRAME_PARTS 1024u /* of one call */

/* To be given to frame_end; frame_begin has been called with the kind. */
void hello_write(struct buf *out, const struct hello *h);
void map_write(struct buf *out, const struct shard_map *m);
void asked_write(struct buf *out, const struct asked *a);
void answered_write(struct buf *out, const struct answered *a);
void not_mine_write(struct buf *out, const struct not_mine *n);
void effect_write(struct buf *out, const struct effect *e);
void called_write(struct buf *out, const struct called *c);
void parcel_write(struct buf *out, const struct parcel_asked *a, const struct cargo *c);
void parcel_done_write(struct buf *out, uint64_t seq, const struct cargo *c);
void call_answer_write(struct buf *out, const struct call_answer *a);
void jobs_asked_write(struct buf *out, const struct jobs_asked *a);
void jobs_told_write(struct buf *out, const struct jobs_told *t);
void part_told_write(struct buf *out, const struct part_told *t);
/* RESUMED: shard and epoch, all of this node's sessions have been; PING, PONG: their number and a bit for each shard that has feedback; POKE, POKED: the version and 0. */
void numbers_write(struct buf *out, uint64_t a, uint64_t b);

/* ERR_PROTOCOL: f says what is wrong; nothing is left to be freed. */
enum err hello_read(struct str body, struct hello *h, struct fault *f);
enum err map_read(struct str body, struct shard_map *m, struct fault *f);
enum err asked_read(struct str body, struct asked *a, struct fault *f);
enum err answered_read(struct str body, struct answered *a, struct fault *f);
enum err not_mine_read(struct str body, struct not_mine *n, struct fault *f);
enum err effect_read(struct str body, struct effect *e, struct fault *f);
enum err called_read(struct str body, struct called *c, struct fault *f);
enum err call_answer_read(struct str body, struct call_answer *a, struct fault *f);
enum err jobs_asked_read(struct str body, struct jobs_asked *a, struct fault *f);
enum err jobs_told_read(struct str body, struct jobs_told *t, struct fault *f);
enum err part_told_read(struct str body, struct part_told *t, struct fault *f);
/* c is empty, and takes copies of the items; its actor is the caller's to set. */
enum err parcel_read(struct str body, struct parcel_asked *a, struct cargo *c, struct fault *f);
enum err parcel_done_read(struct str body, struct parcel_done *d, struct fault *f);
/* Faults of the cargo that was sent. */
enum err parcel_done_take(const struct parcel_done *d, struct cargo *c, struct fault *f);
enum err numbers_read(struct str body, uint64_t *a, uint64_t *b, struct fault *f);

/* A part of a question, and its answer (task/walk.h): bodies of CALL_WALK. Texts are borrowed; bufs of an answer that was read are its own. */
void walk_asked_write(struct buf *out, const struct walk_asked *a);
enum err walk_asked_read(struct str body, struct walk_asked *a, struct fault *f);
void walk_answer_write(struct buf *out, const struct walk_answer *a);
enum err walk_answer_read(struct str body, struct walk_answer *a, struct fault *f);

const char *frame_name(enum frame_kind kind);

#endif
