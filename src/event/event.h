/*
 * event: the records of the log (docs/spec/events.md), as they are stored and as they are read. Pure.
 *
 * A record, format 2:
 *
 *   format (1 byte) | kind (1) | time_us (varint) | actor (1) | name of the actor | device | module (each with its length before it) |
 *   numbers, by enum event_number, how many (1 byte) and each a varint | fields: enum event_field (1 byte), bytes with their length,
 *   to the end, in rising order
 *
 * The name of a device that acts for itself is left out. Format 1, of telemetry alone: format | time_us | actor | name | device |
 * module | generation (varint) | authentication (1 byte) | body, to the end. Formats are read for ever; kinds, numbers and fields are
 * part of them: append only.
 *
 * Its key: shard (2 bytes, big-endian), position (8 bytes, big-endian). Positions begin with 1 in each shard and are dense (E-02).
 *
 * Ownership: what an event has of bytes is borrowed, from who fills it or from the record.
 */
#ifndef TWINHUB_EVENT_H
#define TWINHUB_EVENT_H

#include "base/base.h"

/* Who acts. */
enum actor_kind { ACTOR_HUB, ACTOR_DEVICE, ACTOR_POLICY, ACTOR_JOB, ACTOR_CONFIGURATION, ACTORS };

enum event_kind {
	EVENT_MESSAGE = 1, /* telemetry */
	EVENT_WILL = 2,    /* a will's message */
	EVENT_TWIN_CHANGED =
	    3, /* a step of its version; or other stamps alone: then no field is a patch of a section that counts it */
	EVENT_TWIN_REPLACED = 4,    /* by a PUT */
	EVENT_CREATED = 5,          /* an identity with its twin; an import's, too */
	EVENT_IDENTITY_CHANGED = 6, /* keys, authentication, status, scope */
	EVENT_DELETED = 7,
	EVENT_CONNECTED = 8, /* a session has begun */
	EVENT_DISCONNECTED = 9,
	EVENT_JOB_ENDED = 10,
	EVENT_METHOD_CALLED = 11,
	EVENT_METHOD_ANSWERED = 12,
	EVENT_ADMIN = 13, /* of the hub: numbers[EVENT_ADMIN_WHAT] */
	EVENT_KINDS
};
/* Of which of the log's two families is it? Else of the changes (E-07). */
static inline bool
event_is_message(enum event_kind kind)
{
	return kind == EVENT_MESSAGE || kind == EVENT_WILL;
}

enum event_number {
	EVENT_GENERATION,     /* of the identity; 0: not known */
	EVENT_AUTHENTICATION, /* enum auth_type; of messages */
	EVENT_VERSION,        /* of the twin, after it */
	EVENT_COUNTER,        /* of the twin's etag, after it */
	/* positions of the records before in the three chains that it belongs to (E-06); 0: it is the first, or not of that chain */
	EVENT_BEFORE_IDENTITY,
	EVENT_BEFORE_WANTED,
	EVENT_BEFORE_REPORTED,
	EVENT_WAS_COUNTER, /* of the twin's etag, before a change of tags and desired; 0: not known */
	EVENT_FLAPS, /* of connections: sessions that have begun and ended besides, before it */
	EVENT_ADMIN_WHAT, /* enum admin_what */
	EVENT_NUMBERS
};

enum event_field {
	EVENT_BODY = 1, /* of a message: bag and payload (message.h of who speaks; mqtt) */
	/* of changes: merge patches as docs, and what was before (section_delta) */
	EVENT_PATCH_TAGS,
	EVENT_PATCH_DESIRED,
	EVENT_PATCH_REPORTED,
	EVENT_WAS_TAGS,
	EVENT_WAS_DESIRED,
	EVENT_WAS_REPORTED,
	/* whole records as stored: of EVENT_CREATED as they are then; of EVENT_DELETED as they were; the reported one of EVENT_TWIN_REPLACED */
	EVENT_WANTED,
	EVENT_REPORTED,
	EVENT_IDENTITY,     /* a record without keys, after the change */
	EVENT_WAS_IDENTITY, /* before it */
	EVENT_REASON, /* of connections: the id of the reason for which the last session ended; none has: nothing */
	EVENT_ABOUT, /* of what is none of a twin: an object, as a doc, which is what is told of it */
	EVENT_CAUSE, /* of changes: what has made the actor do it, as a text; "import", "wave:2" */
	EVENT_FIELDS
};

/* What has been done to the hub. Append only. */
enum admin_what {
	ADMIN_NONE,
	ADMIN_POLICY_CREATED,
	ADMIN_POLICY_DELETED,
	ADMIN_KEY_ROTATED,
	ADMIN_BACKUP,
	ADMIN_EXPORT,
	ADMIN_IMPORT,
	ADMIN_FILE_JOB, /* an import or export of files has been asked for */
	ADMIN_SINK_WRITTEN,
	ADMIN_SINK_DELETED,
	ADMIN_ROUTE_WRITTEN,
	ADMIN_ROUTE_DELETED,
	ADMIN_CONFIGURATION_WRITTEN,
	ADMIN_CONFIGURATION_DELETED,
	ADMIN_SETTINGS_CHANGED,
	ADMIN_ROLLOUT, /* of a configuration: what was asked of it */
	ADMIN_JOB_CREATED,
	ADMIN_JOB_CANCELLED, /* of files, too */
	ADMIN_MESSAGES_PURGED,
	ADMIN_CONNECTION_CLOSED,
	ADMIN_WHATS
};

struct event {
	enum event_kind kind;
	int64_t time_us;
	enum actor_kind actor;
	struct str actor_name, device, module;
	uint64_t numbers[EVENT_NUMBERS];
	struct str fields[EVENT_FIELDS]; /* empty: there is none */
	uint64_t position; /* where it stands, if who read it says so: it is not in the record */
};

/* Append the record, in format 2. */
void event_encode(struct buf *out, const struct event *e);
/* From a record of either format. ERR_CORRUPT; ERR_VERSION: of a later format. Its fields are not looked into. */
enum err event_decode(struct str record, struct event *e);

#define EVENT_KEY 10u
void event_key(char out[EVENT_KEY], uint32_t shard, uint64_t position);
/* false: these bytes are no such key. */
bool event_key_decode(struct str key, uint32_t *shard, uint64_t *position);

#endif
