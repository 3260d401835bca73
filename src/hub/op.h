/*
 * Operations: what a hub is asked to do, as plain values. Who sends one fills `struct op`; hub_apply (hub/hub.h) does it.
 *
 *   who asks      actor and its name; `shown`, where that is still to be judged
 *   of what       device and module; `name` for what is no identity: a configuration, a job
 *   on condition  if_match and if_tag; base_version; session_epoch: the session that a device speaks through
 *   with what     payload, and the struct of the kind
 *
 * An op owns nothing: every str in it is the sender's, and stays until the reply is there. A field that the kind does not name is
 * 0. Texts from outside have become docs before (doc_parse), on the thread that took them; their members are checked by the
 * operation. Times are microseconds since 1970 where a name ends in _us, seconds where it ends in _s.
 *
 * A kind is added here, and as a row of the table in apply.c, or of a feature's (hub/change.h).
 */
#ifndef TWINHUB_HUB_OP_H
#define TWINHUB_HUB_OP_H

#include "base/reason.h"
#include "shard/shard.h"

/* ---- operations: plain values ---- */

enum op_kind {
	/* a device's, through its session */
	OP_CONNECT, /* authenticate by `shown`, take over, restore the session */
	/* the link is gone; payload: the will's record, if one is to be published. A fault: it is not, and nobody hears of it but the log */
	OP_DISCONNECT,
	OP_RESUME, /* a session that has begun under another owner of the shard is to go on: struct op_resume */
	OP_SUBSCRIBE, /* payload: filters, see struct filter */
	OP_UNSUBSCRIBE,
	OP_TWIN_GET,        /* device-mqtt.md 4.1 */
	OP_REPORT,          /* payload: the patch as a doc */
	OP_TELEMETRY,       /* payload: the log record's body */
	OP_METHOD_RESPONSE, /* payload: its JSON text; see struct op_method */
	OP_MESSAGE_ACK,     /* a PUBACK: message.packet_id is complete */
	OP_ACK, /* nothing to do but keep its place in the order of acknowledgements (D-40) */
	/* a device's without a session */
	OP_EVENTS, /* payload: bodies of log records, each with its length in front (buf_lstr): all of them, or none */
	OP_MESSAGE_RECEIVE, /* the next message, locked: reply.message */
	OP_MESSAGE_SETTLE,  /* message.token, by message.outcome */
	OP_SCOPE_READ,      /* the answer: the scope of this edge device */
	OP_SCOPE_MEMBER, /* the device, and its module `name` if that is given, if they are in the scope if_tag */
	OP_JUDGE, /* may who shows `shown` ask for path `name`? The answer: reply.verdict, for the device and its modules */
	/* a back end's */
	OP_MESSAGE_SEND, /* payload: properties and body (message_put_property; message.bag_bytes of the former); see struct op_message */
	OP_MESSAGES_PURGE, /* the answer: reply.version, how many */
	OP_FEEDBACK_RECEIVE, /* of message.shard. The answer: an array, locked; reply.etag its token. Empty: there is none */
	OP_FEEDBACK_SETTLE, /* message.token, by message.outcome */
	OP_IDENTITY_GET,
	OP_IDENTITY_PUT, /* payload: the identity as a doc */
	OP_IDENTITY_DELETE,
	OP_IDENTITY_IMPORT, /* payload: an item of a bulk call as a doc; the identity, with parts of its twin */
	OP_KEYS_REGENERATE, /* the answer: "primaryKey":"..","secondaryKey":".." */
	OP_MODULES_LIST,    /* of one device, by id */
	OP_SCOPE_CHECK, /* is if_tag the scope of this device, an edge one? Before a PUT that names it */
	OP_TWIN_READ,
	OP_TWIN_CONVERGENCE, /* which desired properties are not reported (T-120) */
	OP_TWIN_PATCH,       /* payload: the twin document as a doc */
	OP_TWIN_REPLACE,
	OP_METHOD, /* payload: the JSON text for the device. reply_to is the call's name: EFFECT_CALL_* go there */
	OP_METHOD_CANCEL, /* nobody waits any more for the call of this reply_to */
	OP_APPLY_CONTENT, /* payload: a content for the modules of an edge device */
	/* the hub's own, on shard 0 (op_shard); name: the configuration */
	OP_CONFIGURATION_PUT, /* payload: the configuration as a doc */
	OP_CONFIGURATION_DELETE,
	OP_JOB_PUT, /* name: the job; payload: what is asked for, as a doc */
	OP_JOB_GET,
	OP_JOB_CANCEL,
	OP_ROLLOUT,  /* rollout: what is asked of it, or has been seen of it */
	OP_SINK_PUT, /* name: the sink, or the route; payload: as a doc */
	OP_SINK_DELETE,
	OP_SINK_CURSOR, /* payload: how far the sink's place has taken the log; base_version: created_us of the sink */
	OP_ROUTE_PUT,
	OP_ROUTE_DELETE,
	OP_PARTITION_APPEND, /* partition; payload: partition_append_put */
	OP_SETTINGS_PATCH, /* payload: a merge patch as a doc; of the hub itself: the first ones, what is fixed among them */
	/* the hub's own, of a device: what is dead goes, what is free is delivered. payload: the key of a body that is due; if nothing lists
	 * it, it is erased */
	OP_MESSAGES_LOOK,
	/* a back end's, of connections */
	OP_CONNECTION_GET,   /* the answer: members of an object, what the shard knows of it */
	OP_CONNECTION_CLOSE, /* it ends, if there is one; if not, a fault */
	OP_ADMIN,    /* the hub's own, on shard 0: admin has been done to `name` (peer, told) */
	OP_JOB_TOLD, /* the hub's own, on shard 0: a job that shards know nothing of has ended; told: what is said of it */
	OP_KINDS
};

struct op_connect {
	bool clean;
	bool has_model_id;
	struct str model_id;
	struct str from; /* its address, for the log of whom it takes over */
};

/*
 * A session that its edge, which holds the link, would have a shard take up that has no presence of it: its owner has died, or the shard has
 * moved (O-231). It is named by reply_to and session_epoch. payload: its filters, if it is a clean one; what others listen to is stored.
 */
struct op_resume {
	uint64_t identity; /* reply.identity of its CONNECT */
	uint64_t desired;  /* version that its device has been told; 0: not known */
	int64_t since_us;  /* when it began */
	struct opened opened;
	bool clean;
};

enum precondition { IF_NONE, IF_ANY, IF_TAG };

/*
 * What OP_IDENTITY_IMPORT may do; if_match is for what exists. IMPORT_WHOLE takes more of the item than a bulk call does: what
 * is new gets the etags, versions, metadata, generation, times and reported properties that the item shows, and so does
 * a twin that is there but empty, as nobody has written it yet. What is already as the item has it stays untouched.
 */
enum { IMPORT_CREATE = 1, IMPORT_REPLACE = 2, IMPORT_WHOLE = 4 };

/* What an item's importMode asks for (service-rest.md 8.1). */
struct import_mode {
	struct str name;
	enum op_kind op;
	uint8_t import;
	const char *tag; /* the member that holds the etag it depends on; NULL: none */
};
/* The item's, or `fallback` when it names none. NULL: f says what is wrong. */
const struct import_mode *import_mode_of(
    struct doc item, const struct import_mode *fallback, struct fault *f);
const struct import_mode *import_mode_find(struct str name); /* without case; NULL: none */
extern const struct import_mode *const import_mode_default;  /* createOrUpdate */
/* The etag that the item names for its mode; STR_NONE: none. */
struct str import_tag(struct doc item, const struct import_mode *mode);
/* Without quotes and W/ (service-rest.md 5.1). */
struct str tag_plain(struct str tag);

/* The device that an edge scope names; false: it is none. */
bool scope_device(struct str scope, struct str *device);
/* The scope that an identity wants to be under: a leaf's own, an edge device's parent; empty: none. */
struct str scope_wanted(struct doc body);

/* A direct method (device-mqtt.md 5). */
struct op_method {
	struct str name;       /* OP_METHOD: method_name_valid() */
	bool wait;             /* OP_METHOD: for the device to connect and listen, if it does not */
	uint64_t call;         /* OP_METHOD_RESPONSE: the effect's */
	int32_t status;        /* the device's own */
	enum fault_code fault; /* what is wrong with the response; F_NONE: nothing */
};

/* ---- messages to devices ---- */

enum message_outcome { MESSAGE_COMPLETE, MESSAGE_REJECT, MESSAGE_ABANDON };

struct op_message {
	/* OP_MESSAGE_SEND */
	int64_t expiry_us; /* 0: its sender has not said */
	enum message_ack ack;
	uint32_t bag_bytes;
	/* of those that settle */
	enum message_outcome outcome;
	uint16_t packet_id;
	unsigned char token[LOCK_TOKEN];
	uint16_t lock_s; /* OP_MESSAGE_RECEIVE: 0: the usual time */
	uint8_t shard;   /* OP_FEEDBACK_* */
};

/*
 * What a body says of a message (service-rest.md 15, jobs-and-configurations.md 15): its properties and then its body are appended to payload,
 * m has ack and bag_bytes. life_s: how long it may wait; 0: it does not say. ERR_ARG, ERR_SIZE: f says what is wrong.
 */
enum err message_ask_take(
    struct doc body, struct op_message *m, uint32_t *life_s, struct buf *payload, struct fault *f);

/* ---- of a rollout (config/rollout.h) ---- */

enum rollout_action {
	ROLLOUT_LOOK, /* the hub's own */
	ROLLOUT_HALT,
	ROLLOUT_RESUME,
	ROLLOUT_ADVANCE, /* to the next wave, whatever this one's devices say */
	ROLLOUT_ROLLBACK,
	ROLLOUT_ACTIONS
};

/* Devices of the waves so far. */
struct rollout_counts {
	uint64_t targeted;  /* in the target, and reached */
	uint64_t applied;   /* of those, have it */
	uint64_t succeeded; /* of those again, meet the success query */
	uint64_t failed;
};

/* What was seen of the rollout at this step. */
struct rollout_seen {
	uint64_t step;
	uint64_t bound;     /* pending: of the next wave; 0: there is no device */
	uint64_t size, all; /* pending: devices below it, and in the target */
	struct rollout_counts counts;
	uint64_t holders; /* rolling back: devices that still have it */
	bool blind;       /* nothing: a query took too long. It goes no further, but tells so */
};

struct op_rollout {
	enum rollout_action action;
	struct rollout_seen seen; /* ROLLOUT_LOOK */
};

/* ---- of a method ---- */

#define METHOD_PAYLOAD_MAX    (128u << 10) /* bytes of JSON text, each way (L-69) */
#define METHOD_RESPONSE_S     30
#define METHOD_RESPONSE_MIN_S 5
#define METHOD_WAIT_MAX_S     300

/* What a request says of a call. */
struct method_ask {
	struct str name; /* borrowed */
	uint16_t response_s, connect_s;
};
/* From its body, a doc; the payload's JSON text is appended, nothing if it has none. ERR_ARG: f says what is wrong. */
enum err method_ask_take(
    struct doc body, struct method_ask *ask, struct buf *payload, struct fault *f);

struct op {
	enum op_kind kind;
	uint8_t partition; /* OP_PARTITION_APPEND: which, and so its shard */
	enum actor_kind actor;
	struct str actor_name;      /* device id, policy name, ... */
	struct str device, module;  /* module empty: the device itself */
	struct str name;            /* of what is no identity */
	uint64_t session_epoch;     /* of the session, for a device's operations */
	enum precondition if_match; /* OP_IDENTITY_*, OP_TWIN_PATCH, OP_TWIN_REPLACE */
	struct str if_tag;
	bool has_base_version; /* OP_REPORT: only if reported is at this version (T-61) */
	uint64_t base_version;
	struct str payload;
	uint32_t nduplicate; /* of payload, as doc_parse counted them */
	struct reply_to reply_to;
	struct credentials shown; /* OP_CONNECT, OP_JUDGE */
	struct op_connect connect;
	struct op_resume resume;
	enum reason ended; /* OP_DISCONNECT: why the link has */
	struct op_method method;
	struct op_rollout rollout;
	struct op_message message;
	bool digital; /* OP_TWIN_READ, OP_TWIN_PATCH (a JSON Patch): as a digital twin */
	/* of what is told as administration: the address of who does it; more of it, an object as a doc. Empty: not known */
	struct str peer, told;
	uint8_t admin;  /* OP_ADMIN: enum admin_what */
	uint8_t import; /* OP_IDENTITY_IMPORT */
	uint8_t keys;   /* OP_KEYS_REGENERATE: bit 0 the primary one, bit 1 the secondary one */
};

#endif
