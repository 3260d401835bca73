/*
 * told: an event of the log as those who read it see it: a CloudEvent 1.0 in structured JSON (docs/spec/events.md, E-23 and E-24), with the
 * bodies of twins.md 8. Pure.
 */
#ifndef TWINHUB_SHARD_TOLD_H
#define TWINHUB_SHARD_TOLD_H

#include "doc/doc.h"
#include "base/reason.h"
#include "event/event.h"

/* Sources of events, as routes name them. */
enum told_source {
	TOLD_MESSAGES,
	TOLD_TWINS,
	TOLD_LIFE_CYCLE,
	TOLD_CONNECTIONS,
	TOLD_JOBS,
	TOLD_METHODS,
	TOLD_ADMINISTRATION,
	TOLD_SOURCES,
	TOLD_NOBODY = TOLD_SOURCES /* it is in the log, and shown to nobody: E-08 */
};
extern const struct str told_source_names[TOLD_SOURCES]; /* TwinChangeEvents */

enum told_source told_source_of(const struct event *e);

/* Its type; NULL for TOLD_NOBODY's. */
const char *told_type(const struct event *e);
/* Writes them; for one thread. hub: its host name, copied. */
struct teller;
#define TOLD_JSON_MAX (1u << 20) /* of a message that is told as JSON; a longer one is base64 */
struct teller *teller_new(struct str hub);
void teller_free(struct teller *t); /* NULL is fine */

/* Of one that event_decode has taken: are its names and fields sound? Who reads the log asks once; all below trusts it. */
bool told_sound(const struct event *e);
/* The body of twins.md 8, as JSON; of a message its data in Event Grid's form. Its fields are sound records of this hub. */
void told_body(struct teller *t, struct buf *json, const struct event *e);
/* The whole CloudEvent, one line without its end. */
void told_write(
    struct teller *t, struct buf *json, const struct event *e, uint32_t shard, uint64_t position);
/* One that stands for `missing` positions of so many shards that retention has dropped (E-12). */
void told_write_dropped(
    struct teller *t, struct buf *json, uint64_t missing, unsigned shards, int64_t now_us);

struct out;
/* A member: who did it, "policy:service". */
void told_actor(struct out *o, const char *name, const struct event *e);
/* Of a message: how its device proved itself, as Azure writes it; empty: it did not. */
struct str told_auth_method(const struct event *e);
struct str teller_hub(const struct teller *t);
/* Of an event that is no message: iothub-message-schema and opType (twins.md 8.1). */
const char *told_schema(const struct event *e);
const char *told_operation(const struct event *e);
/* The value at a path of a twin, "tags", "a" or "properties", "desired", "a", of its wanted and reported records as they come from the
 * store; DOC_NONE: there is none, or the records are none. */
struct doc told_twin_get(
    struct str wanted, struct str reported, const struct str *path, unsigned nstep);

/* Does a twin change touch this path, tags.a or properties.reported.a.b? (T-98) n: its steps. */
bool told_touches(const struct event *e, const struct str *path, unsigned n);

/* Of a connection's record: why the last session ended. REASON_NONE: none has, or for a reason of a later program. */
enum reason told_reason(const struct event *e);

#endif
