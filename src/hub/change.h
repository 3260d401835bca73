/*
 * What the rooms above do in a hub: operations of their own, changes of twins and identities, all in the way of hub_apply. For
 * config and job (scripts/rooms); nobody outside the core includes it.
 *
 * Two ways in:
 *
 *   an operation that is the feature's     a row of feature_ops.operations; hub_apply calls it between begin and end of all features
 *   a change that no client has asked for  a job's, made by the feature itself when its turn has come:
 *
 *       records: change_needs(sh, kind) of the row are in memory, and of rows beside it what the feature says (configure_family_row)
 *       change_begin(sh, &op)
 *       twin_prepare(row, &op, body, env, &next, &fault) == ERR_OK: twin_apply(...); else the fault says why not
 *       twin_next_fini(&next)
 *       change_end(sh, &op, env, NULL)
 *
 * What hub_missing would have asked for is in memory, or it is a mistake of ours (assert). A row pointer stays good until its
 * identity goes. On a fault in the reply nothing has changed: everything is checked and made first, then written.
 *
 * Everything that is written goes through env (row_write, common_write) and is undone with its round; nothing here is durable before
 * the gate says so.
 *
 * Rules: docs/spec/twins.md (T-10 to T-69), service-rest.md 5 and 6.
 */
#ifndef TWINHUB_HUB_CHANGE_H
#define TWINHUB_HUB_CHANGE_H

#include "hub/hub.h"
#include "shard/feature.h"
#include "shard/record.h"

/* ---- operations of features ---- */

/* One operation; r: the row of op's identity, or NULL. On a fault in the reply nothing has changed. */
typedef void op_fn(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply);
/* What hub_apply asks of a feature; what is NULL is not asked. */
struct feature_ops {
	/* those that are the feature's; asked whether it watches or not */
	op_fn *operations[OP_KINDS];
	/* Which records of its row a change of this kind needs besides. */
	unsigned (*needs)(const struct shard *sh, enum op_kind kind);
	/* Those of rows beside it, as hub_missing. */
	unsigned (*missing)(struct shard *sh, const struct op *op, struct buf *key);
	/* Around an operation: what it brings about is done in the end, within the same commit. reply NULL: nobody is
	 * shown it. */
	void (*begin)(struct shard *sh, const struct op *op);
	void (*end)(
	    struct shard *sh, const struct op *op, const struct hub_env *env, struct reply *reply);
};
/* The same of all features, for a change that is made beside hub_apply. */
unsigned change_needs(const struct shard *sh, enum op_kind kind);
void change_begin(struct shard *sh, const struct op *op);
void change_end(
    struct shard *sh, const struct op *op, const struct hub_env *env, struct reply *reply);

/* The op's precondition must be met by this tag. ERR_ARG: it is not, as the fault says (412). */
#define IF_MATCH_MISSING                                                                           \
	"and to change it the header If-Match is missing (its etag in quotes, or *)"
enum err precondition_check(const struct op *op, const char *etag, struct fault *f);

/* Its payload, a document, each member once; borrowed from it, or made in `unique`. */
struct doc op_body(const struct op *op, struct buf *unique);

/* ---- a change of a twin's wanted record: prepared, then written ---- */

/* A section's new form: what section_merge or section_replace gave. */
struct next_section {
	struct buf bytes, notify;
	bool changed;
};

struct twin_next {
	struct wanted old; /* borrowed from the row */
	struct next_section tags, desired;
};

/*
 * By the members tags and properties.desired of the body; nothing is written yet.
 *
 *   r      a row with its wanted record in memory
 *   op     OP_TWIN_PATCH or OP_TWIN_REPLACE; its precondition has been looked at (precondition_check)
 *   body   a checked twin document (body_twin), borrowed for the call
 *   next   out: what twin_apply writes; the caller's, to twin_next_fini, on an error too
 *
 * Errors as section_merge's; the fault says why not: 400 for what is malformed, 403 for what does not fit (T-80 to T-82).
 */
enum err twin_prepare(const struct row *r, const struct op *op, struct doc body,
    const struct hub_env *env, struct twin_next *next, struct fault *f);
/* Write it, and notify a session that listens. The wanted record is still the one of twin_prepare. */
void twin_apply(struct shard *sh, struct row *r, const struct op *op, const struct twin_next *next,
    const struct hub_env *env);
void twin_next_fini(struct twin_next *next);
/* A live session that listens hears of the change, in version order (T-65 to T-69). */
void desired_notify(
    const struct row *r, struct doc members, uint32_t version, const struct hub_env *env);
op_fn on_twin_read;

/* ---- messages to devices ---- */

/* Records of a row that a message to it needs in memory. */
static inline unsigned
message_needs(const struct row *r)
{
	return r->nmessage != 0 ? RECORD_BIT(RECORD_QUEUE) | RECORD_BIT(RECORD_IDENTITY) : 0;
}
/* As OP_MESSAGE_SEND; on an error the fault says why, and nothing has changed. */
enum err message_send(struct shard *sh, struct row *r, const struct op *op,
    const struct hub_env *env, struct fault *f);

/* ---- identities ---- */

/* What a PUT asks for. What is generated lives here until the record is written. */
struct identity_request {
	struct identity id;
	struct buf keys[2];
	char scope[SCOPE_MAX];
	/* first sections of a twin to be made; empty: new ones */
	struct buf tags, desired, reported;
	uint64_t counter; /* E of a twin to be made; 0: 1 */
	int64_t activity_us;
};
void identity_request_fini(struct identity_request *q);
/* A new identity with its twin, nothing checked: limits (hub_check_room, modules_check_room) are the caller's. What the request
 * leaves open - generation, etag, scope, counter, sections - is made. */
void identity_make(struct shard *sh, struct str device, struct str module,
    struct identity_request *q, const struct hub_env *env);

#define MODULES_MAX 50u /* of one device (L-25) */
/* Room for `n` more, of a hub and of a device (NULL: one to be made). ERR_FULL: there is none, and the fault says so (403, 413). */
enum err hub_check_room(uint32_t n, const struct hub_env *env, struct fault *f);
enum err modules_check_room(
    struct shard *sh, const struct row *device, uint32_t n, struct fault *f);
/* Has it a session that is to be called for this method? */
bool row_listens_to(const struct row *r, struct str name);

#endif
