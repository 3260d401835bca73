/* hub: what its files share. */
#ifndef TWINHUB_HUB_PRIV_H
#define TWINHUB_HUB_PRIV_H

#include "hub/hub.h"
#include "hub/rowset.h"
#include "query/columns.h"

/* A stored record in memory, immutable. The row holds one reference, each undo entry that concerns it another: what has
 * more than one is younger than the store and must not be dropped from the cache. */
struct blob {
	uint32_t refs, n;
	char bytes[];
};

/* "There is no such record": distinct from NULL, "not in memory". */
extern struct blob blob_none;

struct blob *blob_new(struct str bytes);
struct blob *blob_ref(struct blob *b);
void blob_unref(struct blob *b); /* NULL and blob_none are fine */
static inline struct str
blob_str(const struct blob *b)
{
	return (struct str){ b->bytes, b->n };
}

/* A live session of an identity. */
struct presence {
	struct reply_to session;
	uint64_t epoch;
	bool clean;
	struct opened opened; /* what opened it */
	struct blob *filters; /* a session record; never NULL */
	unsigned listens;     /* bit per enum filter_kind */
	struct call *calls;   /* of methods, sent and not answered */
	uint32_t ncall, call_bytes;
};

struct row {
	char *id; /* its key: shard, device, 0, module; and one more 0. NULL: the row is free */
	uint8_t device_n, module_n;
	bool touched : 1;            /* since the eviction hand passed */
	bool disabled : 1, edge : 1; /* as the identity record says: row_see_identity */
	bool awaited : 1;            /* calls wait for it */
	uint32_t
	    chain; /* row number + 1 of a device's newest module; of a module: of the next one. 0: none */
	struct blob *records[RECORD_KINDS]; /* NULL: not in memory; &blob_none: there is none */
	struct presence *presence;          /* row_set_presence */
	int64_t activity_us, presence_us;   /* last activity; last change of the connection */
};

struct identity;

struct free_row {
	uint32_t row;
	int64_t since_us;
};

#define FEATURES_MAX 4u /* of a shard */

struct shard {
	uint32_t index;
	uint32_t nrow, caprow;
	struct row *rows;
	struct table ids;
	struct free_row *free; /* oldest first, from free_from on */
	uint32_t nfree, capfree, free_from;
	uint32_t nidentity;
	struct shard_counts counts;
	uint64_t cached_bytes;
	uint32_t cached[RECORD_KINDS]; /* rows with the record in memory */
	uint32_t hand;                 /* of the eviction clock */
	uint32_t last;                 /* row that row_find found last: an operation looks twice */
	struct call *waiting;          /* for their devices, oldest first */
	uint32_t ncall;                /* waiting and sent */
	size_t waiting_bytes;          /* of their payloads */
	uint64_t call_last;
	uint64_t log_next, epoch_next;
	uint64_t position;       /* one more with every change of a row; grows over restarts */
	uint64_t generation;     /* the newest identity's; each has one of its own */
	struct columns *columns; /* NULL until queries want them */
	struct {
		uint8_t *bits; /* by row: RECORD_BIT and the bits below; 0: not listed */
		uint32_t *rows;
		uint32_t n, room; /* rows listed; rows that bits holds */
	} changed;                /* since the columns were last brought up to date */
	struct {
		const struct feature *feature;
		void *state;
		unsigned watch;
	} features[FEATURES_MAX];
	uint32_t nfeature;
	unsigned watch; /* what any of them wants to hear of: RECORD_BITs and WATCH_* */
};

#define CHANGED_PRESENCE RECORD_BIT(RECORD_KINDS)
#define CHANGED_ALL      (RECORD_BIT(RECORD_KINDS + 1) - 1)

/* Note for the columns that a row has come, gone or changed. */
void row_changed(struct shard *sh, const struct row *r, unsigned what);

/* Page tokens and bitmaps name rows: a freed number rests this long before another identity gets it. */
#define ROW_GRACE_US (INT64_C(600) * 1000000)

struct row *row_at(struct shard *sh, uint32_t row);
struct str row_key(const struct row *r);
struct str row_device(const struct row *r);
struct str row_module(const struct row *r);
/* The row of an identity, NULL if there is none. */
struct row *row_find(struct shard *sh, struct str device, struct str module);
uint32_t row_number(const struct shard *sh, const struct row *r);
void row_set_cached(struct shard *sh, struct row *r, enum record_kind kind, struct blob *b);
void row_see_identity(struct shard *sh, struct row *r, const struct identity *id);
/* The former one is freed. */
void row_set_presence(struct shard *sh, struct row *r, struct presence *p);
void presence_free(struct presence *p);

/* ---- features: what the rooms above keep in a shard, and what they hear of its rows ---- */

#define WATCH_PRESENCE (1u << 8) /* a session has begun or ended */
#define WATCH_EDGE                                                                                 \
	(1u << 9) /* a device becomes an edge one, or is none any more: it is still as before */

struct feature_ops;

/* What is NULL is not asked. */
struct feature {
	size_t state_bytes; /* of what it keeps in each shard, at first zero: shard_state */
	void (*fini)(void *state);
	/* Its records among RECORD_COMMON: keys begin with one of these, NULL at the end. */
	const char *const *key_prefixes;
	/* What shard_common and shard_common_prefix do for them. */
	enum err (*load)(struct shard *sh, struct str key, const struct str *value);
	bool (*next_prefix)(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX]);
	/* The value in memory, appended; false: there is none. */
	bool (*value)(const struct shard *sh, struct str key, struct buf *out);
	/* What it watches (shard_watch) of a row has changed, in an operation. */
	void (*row_changed)(struct shard *sh, struct row *r, unsigned what);
	/* An identity is about to go. Its records are in memory. */
	void (*row_leaves)(struct shard *sh, struct row *r, const struct hub_env *env);
	/* Would it take an identity of generation b for what one of a is, or the other way round? So a row that was
	 * somebody else's takes no generation that tells it otherwise, whatever a line of an import says. */
	bool (*chose_between)(const struct shard *sh, uint64_t a, uint64_t b);
	const struct feature_ops *ops; /* what hub_apply asks of it */
};

/* For shard_new and shard_free. */
void features_init(struct shard *sh, const struct feature *const *features);
void features_fini(struct shard *sh);
/* What the feature keeps in this shard, which has it. */
void *shard_state(const struct shard *sh, const struct feature *f);
/* RECORD_BITs and WATCH_*: whose change in a row it wants to hear of from now on; hub_apply asks it as long as it
 * watches something. */
void shard_watch(struct shard *sh, const struct feature *f, unsigned what);
/* To be called where sh->watch has some of `what`. */
void features_changed(struct shard *sh, struct row *r, unsigned what);
void features_row_leaves(struct shard *sh, struct row *r, const struct hub_env *env);
bool features_chose_between(const struct shard *sh, uint64_t a, uint64_t b);

/* ---- modules: rows of their own, chained to their device's, newest first ---- */

#define MODULES_MAX 50u /* of one device (L-25) */

/* NULL: there is none (any more). */
struct row *module_first(struct shard *sh, const struct row *device);
struct row *module_next(struct shard *sh, const struct row *module);
/* $edgeAgent and $edgeHub are made with an edge device (service-rest.md 5.3). */
bool module_is_system(struct str module);
/* May `n` more be made? On false the reply's fault is set (413). device NULL: one to be made. */
bool modules_allowed(struct shard *sh, const struct row *device, uint32_t n, struct reply *reply);
/* How many of an edge device's system modules do not exist; NULL: a device to be made. */
uint32_t modules_system_missing(struct shard *sh, const struct row *device);
void modules_make_system(struct shard *sh, struct str device, const struct hub_env *env);
/* Close the sessions of all: their device is disabled. */
void modules_close(struct shard *sh, const struct row *device, const struct hub_env *env);

/* ---- calls of direct methods: in memory only, gone with the session or the process ---- */

#define CALLS_MAX 64u /* sent to one session and not answered */
#define CALL_BYTES_MAX                                                                             \
	(256u << 10)            /* of their payloads: less than a stream may hold for its peer */
#define CALLS_SHARD_MAX   4096u /* of all devices of a shard, sent or waiting */
#define WAITING_BYTES_MAX (1u << 20) /* of the payloads of a shard's waiting calls */

struct call;
/* Has it a session that is to be called for this method? */
bool row_listens_to(const struct row *r, struct str name);
void calls_free(struct call *first);
/* The session ends: its calls fail. */
void calls_lost(struct shard *sh, struct row *r, const struct hub_env *env);
/* The identity ends, or is disabled: what waits for it fails. */
void calls_refuse(struct shard *sh, struct row *r, const struct hub_env *env);
/* The session listens to more than before: what waited for that is sent. */
void calls_wake(struct shard *sh, struct row *r, const struct hub_env *env);

/* ---- rows that come and go, for undo.c ---- */

/* A row for a new identity; *since_us is for row_untake, which takes that back. */
struct row *row_take(
    struct shard *sh, struct str device, struct str module, int64_t elapsed_us, int64_t *since_us);
void row_untake(struct shard *sh, uint32_t row, int64_t since_us);
/* Move a row's contents to *out and free it; and back, when *from keeps a reference to each record. */
void row_take_out(struct shard *sh, uint32_t row, int64_t elapsed_us, struct row *out);
void row_put_back(struct shard *sh, uint32_t row, struct row *from);
void row_fini(struct row *r);

/* ---- undo ---- */

/* Take a row for a new identity, with no record in memory. */
struct row *row_create(
    struct undo *u, struct shard *sh, struct str device, struct str module, int64_t elapsed_us);
/* Moves the row's contents into the entry and frees the row. */
void undo_deleted(struct undo *u, struct shard *sh, uint32_t row, int64_t elapsed_us);
void undo_connected(struct undo *u, struct shard *sh, uint32_t row, uint64_t epoch);
void undo_filters(struct undo *u, struct shard *sh, uint32_t row, uint64_t epoch, struct blob *old);
/* Replace a record of a row by bytes (NULL: none), write it through env, and note how to undo it. */
void row_write(struct shard *sh, struct row *r, enum record_kind kind, const struct str *bytes,
    const struct hub_env *env);

/* The same for a record of RECORD_COMMON; old NULL: there was none. */
void undo_common(struct undo *u, struct shard *sh, struct str key, const struct str *old);

/* ---- configurations ---- */

#define CONFIGURATION_FORMAT         1
#define CONFIGURATION_FORMAT_ROLLOUT 2

/* The content that counts, device's or module's. */
struct doc configuration_content(struct doc content, enum configuration_kind *kind);
/* The keys of a content and their values (J-57, J-58, J-60). ERR_ARG: 400402. */
enum err configuration_paths_check(struct doc content, struct fault *f);
/* {a:{b:value}} of `properties.desired.a.b`, a checked key. */
void configuration_path_patch(struct buf *out, struct str key, struct doc value);
/* A sentence about what a back end has written into desired and configurations have put back or taken away, appended: by the
 * twin's record before, after its operation, and now. Nothing if they have not. */
void overruled_warn(const struct configurations *set, struct str was, struct str said,
    struct str now, struct buf *out);

/* Write a feature's record of RECORD_COMMON, value NULL: delete it; undone with the round. */
void common_write(
    struct shard *sh, struct str key, const struct str *value, const struct hub_env *env);

/* ---- the identity record, decoded: strings borrowed from the record ---- */

extern const struct str auth_type_names[AUTH_TYPES];

struct identity {
	uint32_t row;
	uint64_t generation; /* digits of generationId */
	uint64_t etag;
	bool enabled;
	struct str reason; /* empty: null */
	int64_t status_us;
	enum auth_type auth;
	struct str keys[2], thumbs[2]; /* empty: null */
	bool edge;
	struct str scope, parent_scope; /* empty: none */
	struct str model_id;
	struct str managed_by; /* modules */
};

#define SCOPE_MAX (ID_MAX + 64)

/* What a PUT asks for. What is generated lives here until the record is written. */
struct wish {
	struct identity id;
	struct buf keys[2];
	char scope[SCOPE_MAX];
	struct buf tags, desired,
	    reported;     /* first sections of a twin to be made; empty: new ones */
	uint64_t counter; /* E of a twin to be made; 0: 1 */
	int64_t activity_us;
};

#define TICKS_OF_1970 INT64_C(621355968000000000) /* .NET ticks of 100 ns since 0001-01-01 */
static inline uint64_t
ticks_of(int64_t us)
{
	return (uint64_t)(us * 10 + TICKS_OF_1970);
}

/* What IMPORT_WHOLE takes of an item besides: import_whole.c. */
void wish_take_whole(
    const struct op *op, struct doc item, struct wish *w, const struct hub_env *env);
/* The sections of a twin that nobody has seen, as the item shows them. */
bool wish_restore_twin(const struct op *op, struct doc item, struct wish *w,
    const struct hub_env *env, struct fault *f);
/* Tags and, if asked for, desired as a bulk call gives them to a new twin. */
bool wish_first_sections(const struct op *op, struct doc item, bool desired, struct wish *w,
    const struct hub_env *env, struct fault *f);
/* An item onto what exists, by IMPORT_WHOLE. */
void import_whole_over(struct shard *sh, struct row *r, const struct op *op, struct doc item,
    struct wish *w, const struct hub_env *env, struct reply *reply);
/* From the body of op, or a part of it; on false the fault says what is wrong. The strings are the body's. */
bool wish_take_put(const struct op *op, struct wish *w, struct fault *f);
bool wish_take(const struct op *op, struct doc body, struct wish *w, struct fault *f);
/* New random keys, for each bit of `which`. */
void wish_make_keys(struct wish *w, unsigned which, const struct hub_env *env);
void wish_fini(struct wish *w);

/* A new identity with its twin, nothing checked; the rows may move. What the wish leaves open - generation, etag, scope,
 * counter, sections - is made. */
void identity_make(struct shard *sh, struct str device, struct str module, struct wish *w,
    const struct hub_env *env);
/* Create or replace, within limits; the reply has the identity. */
void identity_create(struct shard *sh, const struct op *op, struct wish *w,
    const struct hub_env *env, struct reply *reply);
void identity_update(struct shard *sh, struct row *r, const struct op *op, struct wish *w,
    const struct hub_env *env, struct reply *reply);
/* Write this record; and the twin's first two. */
void identity_store(
    struct shard *sh, struct row *r, const struct identity *id, const struct hub_env *env);
void twin_write_first(
    struct shard *sh, struct row *r, const struct wish *w, const struct hub_env *env);
/* It goes, a device with its modules (T-91). */
void identity_remove(struct shard *sh, struct row *r, const struct hub_env *env);
/* The hub's own modules of an edge device are not a client's to change: on false the reply says so. */
bool identity_changeable(struct shard *sh, const struct op *op, struct reply *reply);

void identity_encode(struct buf *out, const struct identity *id);
/* false: not an identity record. */
bool identity_decode(struct str bytes, struct identity *id);
/* base64 of the decimal etag (T-17); out holds 32 bytes, NUL-terminated. */
void identity_etag(const struct identity *id, char out[32]);

/* Can these bytes be that record? Asked once, when they come from the store. */
bool record_valid(enum record_kind kind, struct str bytes);

/* ---- the wanted record ---- */

struct wanted {
	uint64_t counter; /* E of T-16 */
	struct section tags, desired;
	struct str configurations; /* a doc, or empty */
	struct str former;         /* a doc, or empty: what rollouts have overwritten (former.c) */
};

void wanted_encode(struct buf *out, uint64_t counter, struct str tags, struct str desired,
    struct str configurations, struct str former);
bool wanted_decode(struct str bytes, struct wanted *w);
/* Is every byte of it valid? For records from the store; the decoders above trust them then. */
bool wanted_check(struct str bytes);
bool reported_check(struct str bytes);
int64_t reported_activity(struct str bytes);
void wanted_etag(uint64_t counter, char out[32]);
/* The $version after this one (twin.h). */
static inline uint32_t
version_after(uint32_t version)
{
	return version < INT32_MAX ? version + 1 : 1;
}

/* ---- the reported record ---- */

void reported_encode(struct buf *out, int64_t activity_us, struct str section);
bool reported_decode(struct str bytes, int64_t *activity_us, struct section *s);

/* ---- the session record: this byte, then filters (filters_put) ---- */

#define SESSION_FORMAT 1

/* ---- views ---- */

/* The whole twin as JSON (T-01). All records of the row but the session are in memory. */
void twin_write(const struct shard *sh, const struct row *r, struct buf *json);
/* The same, as if its record were this one. */
void twin_write_as(
    const struct shard *sh, const struct row *r, const struct wanted *wanted, struct buf *json);
void identity_write(const struct shard *sh, const struct row *r, struct buf *json);

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

/* By the members tags and properties.desired of the body; nothing is written yet. On false the reply says why not. */
bool twin_prepare(const struct row *r, const struct op *op, struct doc body,
    const struct hub_env *env, struct twin_next *next, struct reply *reply);
/* Write it, and notify a session that listens. The wanted record is still the one of twin_prepare. */
void twin_apply(struct shard *sh, struct row *r, const struct op *op, const struct twin_next *next,
    const struct hub_env *env);
void twin_next_fini(struct twin_next *next);

/* ---- operations, one function a kind; apply.c has the table ---- */

typedef void op_fn(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply);
op_fn on_judge, on_events, on_scope_read, on_scope_member;
op_fn on_connect, on_disconnect, on_subscribe, on_unsubscribe, on_twin_get, on_report, on_telemetry,
    on_ack;
op_fn on_identity_get, on_identity_put, on_identity_delete, on_scope_check, on_modules_list;
op_fn on_identity_import, on_keys_regenerate;
op_fn on_method, on_method_cancel, on_method_response;
op_fn on_twin_read, on_twin_convergence, on_twin_patch, on_twin_replace;

/* ---- what hub_apply asks of features that watch something (struct feature); what is NULL is not asked ---- */

struct feature_ops {
	op_fn *operations
	    [OP_KINDS]; /* those that are the feature's; asked whether it watches or not */
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

/* A live session that listens hears of the change, in version order (T-65 to T-69). */
void desired_notify(
    const struct row *r, struct doc members, uint32_t version, const struct hub_env *env);
/* Is the op's precondition met by this tag? On false the reply's fault is set (412). */
#define IF_MATCH_MISSING                                                                           \
	"and to change it the header If-Match is missing (its etag in quotes, or *)"
bool precondition_holds(const struct op *op, const char *etag, struct reply *reply);
/* Neither the module nor, perhaps, its device is there: the reply says which. */
void reply_not_found(struct shard *sh, const struct op *op, struct reply *reply);
/* The kinds of filters in a session record, one bit each. */
unsigned filters_mask(const struct blob *session);
/* Drop the live session of a row, if any, and tell its link to close, and why: at once, or (paced) when its turn comes
 * among many. */
void presence_close(
    struct shard *sh, struct row *r, enum reason why, bool paced, const struct hub_env *env);

/* ---- who is it? judge.c ---- */

struct auth_keys identity_keys(const struct identity *id); /* borrowed from it */
/* Judge op->shown for the identity of the op; row NULL: a module that is not there, for which its device may speak. */
void identity_judge(struct shard *sh, const struct row *r, const struct op *op,
    const struct hub_env *env, struct verdict *v);
/* The identity has this record now: links of it and of its modules that other keys have opened close. */
void links_review(
    struct shard *sh, struct row *r, const struct identity *id, const struct hub_env *env);

#endif
