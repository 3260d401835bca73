/*
 * hub: what a device-twin hub decides. A shard's state, the operations on it, and what each one answers, writes and sets off.
 *
 *   hub_apply(shard, op, env) -> reply, and through env: writes, effects, undo entries
 *
 * Deterministic: time, randomness and the catalogue come in with env; documents that are not in memory are asked for by
 * hub_missing and given by hub_fill before hub_apply. No socket, file, clock, thread or global is touched, so a year of a
 * fleet's life runs in a test. One thread at a time may use a shard.
 *
 * Rules: docs/spec/twins.md, service-rest.md 5-9, device-mqtt.md 2-6; docs/architecture.md tells a change's way through.
 */
#ifndef TWINHUB_HUB_H
#define TWINHUB_HUB_H

#include "auth/auth.h"
#include "base/reason.h"
#include "codec/codec.h"
#include "hub/configuration.h"
#include "hub/job.h"
#include "query/query.h"
#include "twin/twin.h"

#define SHARDS 64u /* fixed when a data directory is made; a power of two */

/* The shard of a device and of its modules. */
uint32_t hub_shard_of(struct str device);

/* ---- the catalogue: what every shard knows, one immutable value, replaced whole ---- */

struct catalogue {
	uint64_t version;
	const struct policy *policies; /* borrowed for the catalogue's life */
	size_t npolicies;
	struct hosts hosts;  /* names that the hub answers to */
	int64_t skew_s;      /* tolerance of token expiry (L-79) */
	int64_t ttl_max_s;   /* longest life of a token that is taken; 0: any (L-79) */
	const uint64_t *cas; /* prints of the CAs of clients (struct credentials); borrowed */
	size_t nca;
	const struct configurations *configurations; /* borrowed; NULL: none */
};

/* What it says of who is good; who asks is left open. */
struct auth_ask catalogue_ask(const struct catalogue *c, int64_t now_us);

/* ---- operations: plain values ---- */

enum op_kind {
	/* a device's, through its session */
	OP_CONNECT,    /* authenticate by `shown`, take over, restore the session */
	OP_DISCONNECT, /* the link is gone; payload: the will's record, if one is to be published */
	OP_SUBSCRIBE,  /* payload: filters, see struct filter */
	OP_UNSUBSCRIBE,
	OP_TWIN_GET,        /* device-mqtt.md 4.1 */
	OP_REPORT,          /* payload: the patch as a doc */
	OP_TELEMETRY,       /* payload: the log record's body */
	OP_METHOD_RESPONSE, /* payload: its JSON text; see struct op_method */
	OP_ACK, /* nothing to do but keep its place in the order of acknowledgements (D-40) */
	/* a device's without a session */
	OP_EVENTS, /* payload: bodies of log records, each with its length in front (buf_lstr): all of them, or none */
	OP_SCOPE_READ, /* the answer: the scope of this edge device */
	OP_SCOPE_MEMBER, /* the device, and its module `name` if that is given, if they are in the scope if_tag */
	OP_JUDGE, /* may who shows `shown` ask for path `name`? The answer: reply.verdict, for the device and its modules */
	/* a back end's */
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
	OP_ROLLOUT, /* rollout: what is asked of it, or has been seen of it */
	OP_KINDS
};

enum { NODE_CLIENT, NODE_JOBS }; /* reply_to.node: whose call of a method it is */

enum actor_kind { ACTOR_HUB, ACTOR_DEVICE, ACTOR_POLICY, ACTOR_JOB, ACTOR_CONFIGURATION };

/* Where an answer goes. A stale generation is dropped silently by the receiver. */
struct reply_to {
	uint16_t node, loop;
	uint32_t slot, generation;
};

struct op_connect {
	bool clean;
	bool has_model_id;
	struct str model_id;
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

/* One line of an export: an item that OP_IDENTITY_IMPORT takes, as JSON without a line break. The records are as stored.
 * keys: with the symmetric keys. ERR_CORRUPT: they cannot be what was written; json is as before. */
enum err hub_export_item(struct buf *json, struct str key, struct str identity, struct str wanted,
    struct str reported, bool keys);

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

struct op_rollout {
	enum rollout_action action;
	struct rollout_seen seen; /* ROLLOUT_LOOK */
};

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
	enum actor_kind actor;
	struct str actor_name;      /* device id, policy name, ... */
	struct str device, module;  /* module empty: the device itself */
	struct str name;            /* of what is no identity */
	uint64_t epoch;             /* of the session, for a device's operations */
	enum precondition if_match; /* OP_IDENTITY_*, OP_TWIN_PATCH, OP_TWIN_REPLACE */
	struct str if_tag;
	bool has_base_version; /* OP_REPORT: only if reported is at this version (T-61) */
	uint64_t base_version;
	struct str payload;
	uint32_t nduplicate; /* of payload, as doc_parse counted them */
	struct reply_to reply_to;
	struct credentials shown; /* OP_CONNECT, OP_JUDGE */
	struct op_connect connect;
	struct op_method method;
	struct op_rollout rollout;
	bool digital;   /* OP_TWIN_READ, OP_TWIN_PATCH (a JSON Patch): as a digital twin */
	uint8_t import; /* OP_IDENTITY_IMPORT */
	uint8_t keys;   /* OP_KEYS_REGENERATE: bit 0 the primary one, bit 1 the secondary one */
};

/* The answer, filled by hub_apply. body is appended to; the caller owns it. */
struct reply {
	struct fault fault; /* code F_NONE: success */
	enum reason
	    reason; /* OP_CONNECT: why it is refused, for the log; REASON_NONE: the fault says all there is */
	uint64_t version;     /* OP_REPORT: reported $version */
	bool deliver;         /* OP_TWIN_GET, OP_REPORT: the session listens to twin answers (D-51);
	                     * OP_METHOD: the device has been called; else the call waits for it */
	bool session_present; /* OP_CONNECT */
	bool gone;            /* the session is not the identity's current one: no answer, close */
	uint64_t epoch;       /* OP_CONNECT: the new session's */
	struct verdict verdict; /* OP_CONNECT, OP_JUDGE; end_us is when the link must end (D-20) */
	uint64_t judged_by;     /* OP_CONNECT: version of the catalogue that it was judged by */
	char etag[32];          /* without quotes; empty: none */
	struct buf body;        /* JSON; OP_SUBSCRIBE: one return code a filter */
	struct buf
	    warning; /* OP_TWIN_PATCH, OP_TWIN_REPLACE: what configurations put back (J-68) */
};
/* All of it but the fault's text, which is long and mostly unused. */
static inline void
reply_init(struct reply *r)
{
	memset(r, 0, offsetof(struct fault, text) + 1);
	memset((char *)r + sizeof(r->fault), 0, sizeof(*r) - sizeof(r->fault));
}

static inline void
reply_fini(struct reply *r)
{
	buf_fini(&r->body);
	buf_fini(&r->warning);
}

/* ---- subscriptions, as OP_SUBSCRIBE and the stored session hold them ---- */

#define FILTERS_MAX 5 /* L-77 */

struct filter {
	enum filter_kind kind;
	uint8_t qos;     /* requested, or granted: 0 or 1 */
	struct str name; /* method name of a per-method filter; else the filter's text is implied */
};
void filters_put(struct buf *out, const struct filter *f);
bool filters_next(struct rd *rd, struct filter *f); /* false at the end, or when rd->bad */

/* ---- effects: what leaves besides the reply, in order, behind the commit ---- */

/* From EFFECT_METHOD on they leave behind the reply of the operation that sets them off: a session hears first that it
 * is accepted, a caller that its call is under way. */
enum effect_kind {
	EFFECT_NOTIFY,
	EFFECT_CLOSE,
	EFFECT_CONFIGURATIONS, /* shard_configurations has changed: a new catalogue */
	EFFECT_JOBS,           /* shard_jobs has changed: for all shards to know */
	EFFECT_METHOD,         /* to a session: call it */
	EFFECT_CALL_SENT,      /* to the caller: the device is there, and has been called */
	EFFECT_CALL_DONE,      /* to the caller: the response, or the fault */
	EFFECT_CALL_UNSENT /* to the caller, of EFFECT_METHOD whose commit has failed: nobody has
	                        * been called; the shard takes it for sent until it is cancelled */
};

struct effect {
	enum effect_kind kind;
	struct reply_to session; /* or the caller */
	enum reason reason;      /* EFFECT_CLOSE */
	uint32_t version;        /* EFFECT_NOTIFY: desired $version */
	uint64_t call;           /* EFFECT_METHOD: how the response names it */
	struct reply_to caller;  /* EFFECT_METHOD */
	struct str name;         /* EFFECT_METHOD; borrowed, as is body */
	struct str
	    body; /* EFFECT_NOTIFY: the whole notification; of methods: the JSON text, each way; of a fault: its text */
	int32_t status;        /* EFFECT_CALL_DONE: the device's own */
	enum fault_code fault; /* EFFECT_CALL_DONE: F_NONE: there is a response */
	bool paced;            /* EFFECT_CLOSE: one of many, perhaps: not all at once */
};

/* ---- records: what the store holds ---- */

enum record_kind {
	RECORD_IDENTITY, /* keys, authentication, row number */
	RECORD_WANTED,   /* etag counter, tags, desired, configurations */
	RECORD_REPORTED, /* last activity, reported */
	RECORD_SESSION,  /* filters of a durable session; absent: none */
	RECORD_KINDS,
	RECORD_LOG = RECORD_KINDS, /* the event log; only ever put */
	RECORD_COMMON              /* of no identity: configurations, marks; shard_common */
};
#define RECORD_BIT(kind) (1u << (kind))

/* Key: shard (2 bytes, big-endian), device id, 0, module id. At most HUB_KEY_MAX bytes. */
#define HUB_KEY_MAX    (3 + 2 * ID_MAX)
#define HUB_PREFIX_MAX 32 /* of keys of RECORD_COMMON */
void hub_key(struct buf *out, uint32_t shard, struct str device, struct str module);

/* ---- a shard ---- */

struct shard;

/* What the rooms above keep in it and hear of it: priv.h. NULL at the end. */
struct feature;
extern const struct feature configuration_feature, job_feature;

/* features: borrowed for its life; NULL: none. */
struct shard *shard_new(uint32_t index, const struct feature *const *features);
void shard_free(struct shard *sh);

/* At start: one identity record as stored, in the order of their keys. ERR_CORRUPT if it is not one, its row is taken,
 * or it is a module without its device. */
enum err shard_load(struct shard *sh, struct str key, struct str record);
/* One record of RECORD_COMMON as stored; value NULL: it is gone. ERR_CORRUPT. */
enum err shard_common(struct shard *sh, struct str key, const struct str *value);
/* The prefixes of the keys that a shard has there: give the one before, first STR_NONE, until false. */
bool shard_common_prefix(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX]);
/* After the last: the free rows begin their rest, log positions start above `log_position`. */
void shard_loaded(struct shard *sh, uint64_t log_position, int64_t elapsed_us);
/* Grows with every change of a row, over restarts too: of two moments the later one has the larger number. */
uint64_t shard_position(const struct shard *sh);

struct undo;
struct undo *undo_new(void);
void undo_free(struct undo *u);
/*
 * Put everything back that the operations since undo_new / the last undo_commit did, newest first. The sink hears what
 * the store must hold then: a batch that failed may be found there all the same. Until undo_commit is called the
 * documents that were put back stay in memory, so that nobody reads from the store what never happened.
 */
struct undo_sink {
	void *ctx;
	void (*put)(void *ctx, enum record_kind kind, struct str key, struct str value);
	void (*del)(void *ctx, enum record_kind kind, struct str key);
};
void undo_rollback(struct undo *u, const struct undo_sink *sink);
/* They are on disk, or, after a rollback, the sink's writes are: forget them. */
void undo_commit(struct undo *u);
/* Bytes of the documents that it keeps in memory; a rollback's writes are about as many. */
size_t undo_bytes(const struct undo *u);
/* Move the entries of `from` behind those of u. */
void undo_append(struct undo *u, struct undo *from);

struct hub_env {
	int64_t now_us; /* one instant per batch; goes back with the clock, if that is set back */
	int64_t
	    elapsed_us; /* since some point in the past; never goes back: for what has to rest */
	struct sas_mac *mac; /* of the calling thread */
	const struct catalogue *catalogue;
	uint64_t identities_left; /* how many more may be created (L-24) */
	bool can_write; /* false: the store takes no writes; only what op_writes denies comes */
	struct buf *scratch; /* working memory, kept from call to call */
	void *ctx;
	void (*random)(void *ctx, void *p, size_t n);
	void (*put)(void *ctx, enum record_kind kind, struct str key, struct str value);
	void (*del)(void *ctx, enum record_kind kind, struct str key);
	void (*effect)(void *ctx, const struct effect *e);
	struct undo *undo;
};

/* The shard that an operation is for. */
uint32_t op_shard(const struct op *op);
/* Does the operation write, so that it must be refused while the store cannot? Those that begin, change and end a session
 * may: they look at env->can_write themselves. */
bool op_writes(enum op_kind kind);

/* Which records does the operation need that are not in memory? Those of one row, whose key is appended to key: ask again
 * when they are there, until the answer is 0. */
unsigned hub_missing(struct shard *sh, const struct op *op, struct buf *key);
/* Give one record of the identity; value NULL: there is none. ERR_CORRUPT names nothing: the caller knows the key. */
enum err hub_fill(struct shard *sh, struct str device, struct str module, enum record_kind kind,
    const struct str *value);

/* The operation. Every record it needs is in memory. On a fault the state is as before. */
void hub_apply(
    struct shard *sh, const struct op *op, const struct hub_env *env, struct reply *reply);

/* ---- configurations (hub/configuration.h) ---- */

/* The record that OP_CONFIGURATION_PUT writes beside such a set; or why it does not: ERR_ARG. */
enum err configuration_record(const struct configurations *set, const struct op *op, int64_t now_us,
    struct buf *record, struct fault *f);

/* Those of the hub as last written, perhaps not on disk yet; shard 0 has them. The caller owns the set. */
struct configurations *shard_configurations(const struct shard *sh);
/* The set that holds from now on; NULL is the empty one. Borrowed until the next call. Every row is to be brought
 * in line with it: */
void shard_configure(struct shard *sh, const struct configurations *set);
/* Configurations are applied to an edge device and its modules together. Before a change of a row: another of its family, or
 * itself, whose records are needed for that and not in memory; TABLE_NONE: there is none. */
uint32_t shard_family_row(struct shard *sh, uint32_t row, unsigned *records);
/* Is there a row yet to be looked at? Then call shard_sweep_row, load these records of the row that it names, again until it
 * names none (TABLE_NONE) or a record is damaged, and call shard_sweep. */
bool shard_sweep_awaited(const struct shard *sh);
uint32_t shard_sweep_row(struct shard *sh, unsigned *records);
void shard_sweep(struct shard *sh, const struct hub_env *env);
/* From the first row again: what it wrote has been undone. */
void shard_sweep_restart(struct shard *sh);
/* Once in CONFIGURE_PERIOD_US (J-42): conditions may have come true by time, and rows have been put off (J-36). */
void shard_sweep_again(struct shard *sh);
#define CONFIGURE_PERIOD_US (INT64_C(300) * 1000000)
/* Rows that still changed at their second evaluation in one commit (J-36). */
uint64_t shard_looped(const struct shard *sh);

/*
 * ---- jobs (hub/job.h) ----
 *
 * Shard 0 has the jobs. The set of them, once on disk, is told to every shard (shard_jobs_know), and each does its part of
 * what is active in it: chooses its targets, once; gives each its turn, in the order of their keys, so that a part's place
 * is one key; and reports how far it is. Everything a part does is in the commits of the twins that it concerns, or undone
 * with them, so after any end of the process it goes on where it was.
 */

/* Shard 0: the set as last written, perhaps not on disk yet. The caller's reference. */
struct jobs *shard_jobs(const struct shard *sh);
/* Shard 0: how far a shard is, on disk. */
struct job_report {
	uint64_t number;
	uint32_t shard;
	bool ended;  /* nothing of the job is under way there any more */
	bool broken; /* its targets cannot be chosen there: a stored record is damaged */
	struct job_counts counts;
	uint64_t results; /* the shard's own: how many it had written */
};
void shard_job_reported(struct shard *sh, const struct job_report *r);
/* Shard 0: what the time and the reports have brought about. Returns when to come again, env->now_us at the earliest;
 * INT64_MAX: when something has happened. */
int64_t shard_jobs_tick(struct shard *sh, const struct hub_env *env);

/* Shard 0: as far as the shards have reported. */
struct job_counts shard_job_counts(const struct shard *sh, const struct job *j);

/* The set that holds from now on; takes a reference. */
void shard_jobs_know(struct shard *sh, struct jobs *set);
/* What has been done since the last commit has been undone. */
void shard_jobs_restart(struct shard *sh);

enum job_phase {
	JOB_CHOOSES, /* its targets: shard_job_targets is to be called */
	JOB_ORDERS,  /* them: shard_job_order */
	JOB_WORKS,   /* shard_job_row, then shard_job_step */
	JOB_ENDS     /* nothing is to be done here */
};
enum job_phase shard_job_phase(struct shard *sh, const struct job *j);
struct rowset;
/* Its targets. Those that are gone meanwhile do not count. */
void shard_job_targets(
    struct shard *sh, const struct job *j, const struct rowset *rows, const struct hub_env *env);
/* At most `steps` steps of putting what is left into order. */
void shard_job_order(struct shard *sh, const struct job *j, uint32_t steps);
/* The row whose turn it is, and which records it needs; TABLE_NONE: none is left. */
uint32_t shard_job_row(struct shard *sh, const struct job *j, unsigned *records);
/* Do it; damaged: its records cannot be had. True: its method is to be called, once this is on disk: then comes
 * shard_job_answer. */
bool shard_job_step(struct shard *sh, const struct job *j, bool damaged, const struct hub_env *env);
/* What has come of the call of a row; of one that is not under way any more nothing is heard. */
struct job_answer {
	bool canceled;         /* the job was, before the device had been called */
	enum fault_code fault; /* F_NONE: the device has answered */
	struct str text;       /* of the fault */
	int32_t status;        /* the device's own */
	struct str payload;    /* a doc */
};
void shard_job_answer(struct shard *sh, const struct job *j, uint32_t row,
    const struct job_answer *a, const struct hub_env *env);
/* What a job would do to a row whose records are in memory, and the twin as it would be; nothing is written. Appended. */
void shard_job_try(
    struct shard *sh, uint32_t row, const struct job *j, int64_t now_us, struct buf *json);
/* Its ids as a JSON object. */
void shard_job_target_write(const struct shard *sh, uint32_t row, struct buf *json);
/* The i-th row whose call is under way; TABLE_NONE: there are no more. */
uint32_t shard_job_called(const struct shard *sh, const struct job *j, uint32_t i);
/* A job that is known no more and has left something here: its number, and the prefix of its results, which go first;
 * 0: there is none. Then its part. */
uint64_t shard_job_forgotten(
    const struct shard *sh, char room[HUB_PREFIX_MAX], struct str *results);
void shard_job_forget(struct shard *sh, uint64_t number, const struct hub_env *env);
/* Write how far the part is, at the end of a turn; *r says so too. False: nothing has happened since. */
bool shard_job_save(
    struct shard *sh, const struct job *j, const struct hub_env *env, struct job_report *r);
/* That report is on disk. */
void shard_job_committed(struct shard *sh, const struct job_report *r);

/* ---- walking a shard: queries, lists, statistics ---- */

uint32_t shard_rows(const struct shard *sh);         /* row numbers are below this */
uint32_t shard_identities(const struct shard *sh);   /* devices and modules */
uint64_t shard_cached_bytes(const struct shard *sh); /* documents in memory */
/* Devices, modules not counted (service-rest.md 14). */
struct shard_counts {
	uint32_t devices, disabled, connected;
};
const struct shard_counts *shard_counts(const struct shard *sh);
/* Drop documents that no one needs until at most `bytes` are cached, by a clock over the rows; connected sessions
 * and rows touched since the hand passed stay longer. Never drops what an undo entry may put back. */
void shard_evict(struct shard *sh, uint64_t bytes);

/* A row by number: its ids. false when the row is free. */
bool shard_row(const struct shard *sh, uint32_t row, struct str *device, struct str *module);
/* The row of an identity, TABLE_NONE if there is none. */
uint32_t shard_find(const struct shard *sh, struct str device, struct str module);
/* Of its key, stable over releases: rollout_place. */
uint64_t shard_row_hash(const struct shard *sh, uint32_t row);
/* Records of that row among `wanted` that are not in memory; key as hub_missing. */
unsigned shard_row_missing(struct shard *sh, uint32_t row, unsigned wanted, struct buf *key);

/* The rows of a device's modules: the first after TABLE_NONE, then the next; TABLE_NONE: there are no more. */
uint32_t shard_module_row(const struct shard *sh, uint32_t device, uint32_t after);

/* How many identities have no such record in memory. */
uint32_t shard_records_missing(const struct shard *sh, enum record_kind kind);

/* Records that hold these fields and sections of a row. */
unsigned hub_records_of(const struct query_needs *needs);

/*
 * The shard's columns for queries (query/columns.h): made at the first call, with that limit. From then on what changes,
 * or is undone, is noted, and the columns learn of it before each look at them. Of a record that is not in memory any more by
 * then they only know that its values must be asked: hence shard_columns_settle, after changes and before shard_evict. It
 * keeps to the limit, too.
 */
struct columns *shard_columns(struct shard *sh, size_t max_bytes);
void shard_columns_settle(struct shard *sh, struct query_scratch *s);

/* A row as the query language sees it: hub_query_ops with a struct hub_row prepared for it. */
struct hub_row {
	const struct shard *shard;
	uint32_t row;
	struct section sections[SECTION_KINDS]; /* prepared on first use */
	unsigned have;                          /* sections prepared */
	struct str given[RECORD_KINDS];         /* records that are not in memory */
	unsigned ngiven;                        /* which, as RECORD_BITs */
};
extern const struct query_row_ops hub_query_ops;
void hub_row_open(struct hub_row *r, const struct shard *sh, uint32_t row);
/*
 * Records as a scan of the store meets them, for a look without taking them into memory: the row of a key, if there is one,
 * is opened; then each record that is looked at is given to it. What memory has of it is newer, or the same, and is what
 * counts. The scan must have been opened in this turn. Values are borrowed while the row is looked at. False: there is no
 * such row; the record is not what was written.
 */
bool hub_row_meet(struct hub_row *r, struct shard *sh, struct str key);
bool hub_row_give(struct hub_row *r, enum record_kind kind, struct str value);

/* A job as a row of the collection `jobs`: hub_job_ops. On shard 0. */
struct hub_job {
	const struct job *job;
	struct job_counts counts;
};
extern const struct query_row_ops hub_job_ops;
void hub_job_open(struct hub_job *row, const struct shard *sh, const struct job *j);

/* What has come of one device of a job, a row of `devices.jobs`: hub_target_ops. Borrowed. */
enum target_status {
	TARGET_PENDING,
	TARGET_RUNNING,
	TARGET_COMPLETED,
	TARGET_FAILED,
	TARGET_CANCELED,
	TARGET_STATUSES
};
struct hub_target {
	const struct job *job;
	struct str device, module;
	enum target_status status;
	int64_t began_us, ended_us, updated_us; /* 0: not yet */
	struct str code, text;                  /* TARGET_FAILED */
	bool answered;                          /* by the device: */
	int32_t answer_status;
	struct doc answer;
	bool damaged; /* its record is: nothing else holds */
};
extern const struct query_row_ops hub_target_ops;

/* The targets of the first job at or after this number that has some in the shard, in the order of their rows; NULL: there
 * is none. Until the shard changes. */
struct hub_targets;
struct hub_targets *shard_targets_open(const struct shard *sh, uint64_t number);
void shard_targets_close(struct hub_targets *ts); /* NULL is fine */
const struct job *shard_targets_job(const struct hub_targets *ts);
/* Results that are stored have these keys of RECORD_COMMON, the row in their last four bytes; appended. */
void shard_targets_key(const struct hub_targets *ts, uint32_t row, struct buf *out);
/* The next target at or after `row`; stored_row, stored: the next one that is stored, TABLE_NONE: none is. Its row;
 * TABLE_NONE: there is none. */
uint32_t shard_targets_next(const struct hub_targets *ts, uint32_t row, uint32_t stored_row,
    struct str stored, struct hub_target *t);
/* The identity of a row as the registry shows it (service-rest.md 6.1). */
void hub_row_write_identity(const struct shard *sh, uint32_t row, struct buf *json);

#endif
