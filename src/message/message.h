/*
 * message: messages to devices as they are stored and as they are read, the queue of a device, and the locks of what is out. Pure, and free
 * of transport: who delivers is hub/messages.c, what goes over the wire mqtt and http. Rules: docs/spec/messages.md.
 *
 * Two records, both in one table:
 *
 *   queue   under the device's key (hub_key):
 *           format | for each message, oldest first: number | expiry | size | deliveries (varints) | flags (1 byte) | message id
 *   body    under shard with MESSAGE_BODIES set (2 bytes) | expiry (8) | number (8), all big-endian:
 *           format | enqueued | expiry (varints) | flags (1 byte) | device | properties | 255 | payload, to the end
 *           a property: its key (1 byte, enum bag_key), of BAG_CUSTOM a name, its value (with their lengths before them)
 *
 * The queue is what counts: a body that no queue lists is nothing, and is erased at the latest when its time is over. So a body is
 * written with the queue that lists it, and erased behind the commit of the one that does not; no undo has to bring it back.
 *
 * Times are microseconds since 1970. What is decoded is borrowed from the record.
 */
#ifndef TWINHUB_MESSAGE_H
#define TWINHUB_MESSAGE_H

#include "codec/codec.h"

#define MESSAGES_MAX     50u    /* of a device (L-64) */
#define MESSAGE_SIZE_MAX 65536u /* body and properties (L-63) */
#define MESSAGE_BAG_MAX                                                                            \
	(16u << 10) /* of that, properties: names and values, and 2 bytes for each */
#define MESSAGE_PROPERTIES_MAX 100u                           /* how many */
#define MESSAGE_ID_MAX         128u                           /* bytes of a message id */
#define MESSAGE_LIFE_MAX_US    (INT64_C(2) * 86400 * 1000000) /* of any */
#define MESSAGES_OUT_MAX       16u                            /* of a device */
#define MESSAGES_OUT_BYTES     (256u << 10)                   /* of them, with one session */

/* What a hub's settings say of messages (L-65 to L-68). */
struct message_rules {
	int64_t life_us;          /* of one that does not say */
	int64_t lock_us;          /* of a delivery other than to a session */
	int64_t feedback_life_us; /* feedback is kept so long */
	int64_t feedback_lock_us;
	uint32_t deliveries; /* after so many a message is dead */
};
extern const struct message_rules message_rules_default;

/* For what its sender wants feedback: bits. */
enum message_ack { ACK_NONE = 0, ACK_POSITIVE = 1, ACK_NEGATIVE = 2, ACK_FULL = 3 };
#define ACK_KINDS 4
/* none, positive, negative, full, without case; false: none of them. */
bool message_ack_parse(struct str text, enum message_ack *ack);
struct str message_ack_name(enum message_ack ack);

/* How it ends: names of feedback and of counts. */
enum message_end {
	MESSAGE_SUCCESS,
	MESSAGE_EXPIRED,
	MESSAGE_DELIVERED_OUT,
	MESSAGE_REJECTED,
	MESSAGE_PURGED,
	MESSAGE_ENDS
};
struct str message_end_name(enum message_end end);

/* ---- a message ---- */

struct message_property {
	enum bag_key key; /* BAG_CUSTOM: the application's, by name */
	struct str name, value;
};

/* What a sender gives, and what there is of it besides. */
struct message {
	int64_t enqueued_us, expiry_us;
	enum message_ack ack;
	bool expires; /* its sender has said when */
	struct str device;
	struct str properties; /* message_put_property, one after the other */
	struct str payload;
};

/*
 * A property as it is stored, appended to what has come so far; *size and *n, 0 at first, count bytes and properties. ERR_SIZE: there are
 * more than there may be. ERR_ARG: the name is empty, or either is no text (M-04); f says which.
 */
enum err message_put_property(
    struct buf *out, const struct message_property *p, size_t *size, unsigned *n, struct fault *f);
/* The next one off what is left of them; false at the end. */
bool message_property_next(struct str *rest, struct message_property *p);
/* The first of that key; STR_NONE: there is none. */
struct str message_property_find(struct str properties, enum bag_key key);
/* Bytes that count (M-04). */
size_t message_size(const struct message *m);

void message_encode(struct buf *out, const struct message *m);
/* ERR_CORRUPT: it is none. Every byte is looked at. */
enum err message_decode(struct str record, struct message *m);

#define MESSAGE_BODIES 0x8000u /* in the shard of a body's key */
#define MESSAGE_KEY    18u
void message_key(char out[MESSAGE_KEY], uint32_t shard, int64_t expiry_us, uint64_t number);
/* false: these bytes are no such key. */
bool message_key_decode(struct str key, uint32_t *shard, int64_t *expiry_us, uint64_t *number);

/* What MQTT knows it by, 1 to 65535: no other one in the same queue has it (M-16). */
static inline uint16_t
message_packet_id(uint64_t number)
{
	return (uint16_t)(number % 65535 + 1);
}

/* ---- the queue ---- */

struct queue_entry {
	uint64_t number;
	int64_t expiry_us;
	uint32_t size, deliveries;
	enum message_ack ack;
	bool kept;     /* it was delivered in a durable session (M-18) */
	struct str id; /* what feedback names it by; empty without ack */
};

struct queue {
	unsigned n;
	struct queue_entry v[MESSAGES_MAX];
};

void queue_encode(struct buf *out, const struct queue *q);
/* ERR_CORRUPT: it is none. Every byte is looked at. One with no message is none. */
enum err queue_decode(struct str record, struct queue *q);
/* How many there are in a record that is one. */
unsigned queue_count(struct str record);
uint64_t queue_last_number(const struct queue *q); /* 0: it is empty */
/* May a message that comes now have this number? It is above all that are there, with a packet id of its own. */
bool queue_takes(const struct queue *q, uint64_t number);
/* MESSAGES_MAX: there is none of that number. */
unsigned queue_find(const struct queue *q, uint64_t number);
void queue_remove(struct queue *q, unsigned i);
/* Its time is over, or it has been delivered as often as it may: how it ends. MESSAGE_ENDS: it does not. */
enum message_end queue_entry_end(
    const struct queue_entry *e, const struct message_rules *rules, int64_t now_us);

/* ---- locks ---- */

#define LOCK_TOKEN      16u
#define LOCK_TOKEN_TEXT 37 /* a GUID and its NUL */
/* .NET's order of bytes: the first three groups little-endian (M-13). */
void lock_token_write(char out[LOCK_TOKEN_TEXT], const unsigned char token[LOCK_TOKEN]);
/* false: it is no GUID. */
bool lock_token_parse(struct str text, unsigned char token[LOCK_TOKEN]);

struct lock {
	uint64_t number;
	uint32_t size;
	uint64_t session_epoch; /* of the session that has it; 0: another receiver, until */
	int64_t until_us;       /* of elapsed time */
	unsigned char token[LOCK_TOKEN];
};

/* Of a shard, by row. { 0 } is empty; locks_fini. */
struct locks {
	struct table rows; /* row -> place in v */
	struct locks_row {
		uint32_t row;
		uint8_t n, room;
		struct lock *v;
	} * v;
	uint32_t nrow, cap;
	uint32_t n;      /* in all */
	int64_t next_us; /* no timed lock ends before; 0: there is none */
};
#define LOCKS_MAX 16384u /* of a shard; beyond it a row has one at a time */

void locks_fini(struct locks *l);
/* Those of a row, *n of them; NULL: it has none. Good until the next change. */
const struct lock *locks_of(const struct locks *l, uint32_t row, uint32_t *n);
const struct lock *locks_find(const struct locks *l, uint32_t row, uint64_t number);
const struct lock *locks_by_token(
    const struct locks *l, uint32_t row, const unsigned char token[LOCK_TOKEN]);
/* Is there room for one more? */
bool locks_room(const struct locks *l, uint32_t row);
void locks_add(struct locks *l, uint32_t row, const struct lock *lock);
void locks_remove(struct locks *l, uint32_t row, uint64_t number);
/* What is out no more: of other sessions than this one (0: there is none), and what is over. */
void locks_sweep(struct locks *l, uint32_t row, uint64_t session_epoch, int64_t elapsed_us);
void locks_drop(struct locks *l, uint32_t row);
/* A row of which a timed lock is over at that time; TABLE_NONE: there is none. locks_sweep it before the next question. */
uint32_t locks_over(struct locks *l, int64_t elapsed_us);

#endif
