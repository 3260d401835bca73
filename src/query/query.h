/*
 * query: the hub query language. A text becomes an immutable plan; the plan judges rows, writes what the select list
 * asks of them, gathers groups and sorts. Rules: docs/spec/query-language.md parts 1 to 7, Q-01 to.
 *
 * What this module does not know: where rows live and in which order they come. The caller finds rows, shows each one
 * through `struct query_row_ops`, counts what TOP allows, cuts pages and remembers the place in a page token.
 *
 *   plan:     query_parse -> query_facts: which collection, aggregate or not, point lookup, what must be loaded
 *   rows:     for each row: query_match, then query_project appends one JSON value
 *   groups:   one query_groups per worker: query_groups_add for each matching row; then query_groups_merge into one,
 *             query_groups_finish, query_groups_write
 *   order:    ORDER BY on rows: query_order_wants, query_order_take for each matching row; then query_order_write
 *
 * A plan is shared read-only between threads; a scratch and a query_groups belong to one thread at a time.
 */
#ifndef TWINHUB_QUERY_H
#define TWINHUB_QUERY_H

#include "doc/out.h"
#include "twin/twin.h"

#define QUERY_TEXT_MAX     8192u  /* code points */
#define QUERY_DEPTH_MAX    64u    /* levels of parentheses, calls, NOT and signs; deeper is a 400 */
#define QUERY_ITEMS_MAX    256u   /* select items, grouped paths */
#define QUERY_LIST_MAX     2048u  /* constants in one list */
#define QUERY_ARGS_MAX     32u    /* arguments of CONCAT */
#define QUERY_STEPS_MAX    64u    /* steps of one path */
#define QUERY_STRING_MAX   65536u /* bytes that a function may return; more is undefined */
#define QUERY_PATTERN_MAX  256u   /* characters of a pattern of LIKE */

#define QUERY_PAGE_DEFAULT 100u /* */
#define QUERY_PAGE_MAX     1000u

enum query_collection { QUERY_DEVICES, QUERY_MODULES, QUERY_DEVICE_JOBS, QUERY_JOBS };

enum query_item_type { QUERY_TWIN, QUERY_RAW, QUERY_DEVICE_JOB, QUERY_JOB_RESPONSE };
const char *query_item_type_name(enum query_item_type t); /* x-ms-item-type: "Twin", ... */

/* Root fields of the documents, as the documents spell them. Names in queries are resolved to these when the plan is
 * made, without regard to case. D devices, M devices.modules, R devices.jobs (results), J jobs. */
#define QUERY_ROOTS(X)                                                                             \
	X(DEVICE_ID, deviceId)                      /* D M R */                                    \
	X(MODULE_ID, moduleId)                      /* M R */                                      \
	X(ETAG, etag)                               /* D M */                                      \
	X(DEVICE_ETAG, deviceEtag)                  /* D M */                                      \
	X(STATUS, status)                           /* all */                                      \
	X(STATUS_REASON, statusReason)              /* D M */                                      \
	X(STATUS_UPDATE_TIME, statusUpdateTime)     /* D M */                                      \
	X(CONNECTION_STATE, connectionState)        /* D M */                                      \
	X(LAST_ACTIVITY_TIME, lastActivityTime)     /* D M */                                      \
	X(C2D_COUNT, cloudToDeviceMessageCount)     /* D M */                                      \
	X(AUTHENTICATION_TYPE, authenticationType)  /* D M */                                      \
	X(X509_THUMBPRINT, x509Thumbprint)          /* D M, object */                              \
	X(MODEL_ID, modelId)                        /* D M */                                      \
	X(VERSION, version)                         /* D M */                                      \
	X(CONFIGURATIONS, configurations)           /* D M, object */                              \
	X(CAPABILITIES, capabilities)               /* D, object */                                \
	X(DEVICE_SCOPE, deviceScope)                /* D */                                        \
	X(PARENT_SCOPES, parentScopes)              /* D, array */                                 \
	X(JOB_ID, jobId)                            /* R J */                                      \
	X(JOB_TYPE, jobType)                        /* R */                                        \
	X(START_TIME_UTC, startTimeUtc)             /* R */                                        \
	X(END_TIME_UTC, endTimeUtc)                 /* R */                                        \
	X(CREATED_UTC, createdDateTimeUtc)          /* R; also asked as createdTimeUtc (Q-24) */   \
	X(LAST_UPDATED_UTC, lastUpdatedDateTimeUtc) /* R */                                        \
	X(OUTCOME, outcome)                         /* R, object */                                \
	X(ERROR, error)                             /* R, object */                                \
	X(TYPE, type)                               /* J */                                        \
	X(QUERY_CONDITION, queryCondition)          /* J */                                        \
	X(CREATED_TIME, createdTime)                /* J */                                        \
	X(START_TIME, startTime)                    /* J */                                        \
	X(END_TIME, endTime)                        /* J */                                        \
	X(MAX_EXECUTION_TIME, maxExecutionTimeInSeconds) /* J */                                   \
	X(FAILURE_REASON, failureReason)                 /* J */                                   \
	X(STATUS_MESSAGE, statusMessage)                 /* J */

enum query_root {
#define X(id, name) QUERY_ROOT_##id,
	QUERY_ROOTS(X)
#undef X
	    QUERY_ROOT_COUNT,
	QUERY_ROOT_NONE = QUERY_ROOT_COUNT
};

#define QUERY_ROOT_BIT(root)    (UINT64_C(1) << (root))
#define QUERY_SECTION_BIT(kind) (1u << (kind))

/* ---- plans ---- */

struct query;

struct query_options {
	bool from_optional; /* metrics of configurations: a text without FROM is completed */
	enum query_collection from; /* with this; QUERY_DEVICES or QUERY_MODULES */
	bool extensions;            /* what the service itself refuses */
};

/*
 * Make the plan of a query text. `text` is borrowed for the call; options NULL is all false. *out is set only on
 * success and freed by query_free.
 * ERR_ARG: f (may be NULL) is F_ArgumentNull for an empty or blank text, else F_ArgumentInvalid, with the place as
 * "Line 1:29" (line:column in code points, from 1) in its text.
 */
enum err query_parse(
    struct str text, const struct query_options *options, struct query **out, struct fault *f);

/*
 * The same for a condition alone, as jobs and configurations have: `*` and the empty text, a condition,
 * or `FROM devices[.modules] [WHERE condition]`. The plan is that of SELECT *; an empty text gives one that no row
 * matches (facts.nothing). Columns in faults count from the completed text.
 */
enum err query_parse_condition(struct str text, struct query **out, struct fault *f);

void query_free(struct query *q); /* NULL is fine */

/* What a plan has that can have no effect. */
enum query_effect {
	QUERY_SOUND,
	QUERY_DOUBTFUL, /* it may be meant: a subtraction written like a name */
	QUERY_VAIN      /* a path that no document has, or a condition that is never true */
};

/* Unless it is sound, one sentence that names what it is is appended: at most QUERY_REVIEW_MAX bytes, without a full stop. */
enum query_effect query_review(const struct query *q, struct buf *why);
#define QUERY_REVIEW_MAX 400u

/* Ids that a row must have one of to match: sorted by byte, without duplicates. */
struct query_ids {
	bool given; /* false: any id; true with n 0: no row matches */
	uint32_t n;
	const struct str *v;
};

/* What has to be at hand. */
struct query_needs {
	uint64_t roots;   /* QUERY_ROOT_BIT */
	uint8_t sections; /* QUERY_SECTION_BIT */
};

struct query_facts {
	enum query_collection collection;
	enum query_item_type item_type;
	uint64_t hash;   /* of the text, for page tokens; stable over releases */
	uint64_t top;    /* TOP n: rows in all pages together; UINT64_MAX if not given */
	bool whole;      /* SELECT *: query_project calls write_document */
	bool aggregate;  /* aggregates, GROUP BY, DISTINCT: use query_groups, never query_project */
	bool ordered;    /* ORDER BY on rows: use query_order, never query_project */
	bool everything; /* no condition: every row matches */
	bool nothing;    /* no row matches: the empty target condition */
	uint32_t condition_at, condition_n; /* bytes of the text; 0 of them: no condition */
	struct query_ids device_ids; /* from a conjunct deviceId = 'x' or deviceId IN [...] */
	struct query_ids job_ids;    /* the same of jobId */
	struct query_needs match;    /* what query_match asks for */
	/* what query_project or query_groups_add ask for; all when `whole` */
	struct query_needs output;
};

/* Borrowed from the plan. */
const struct query_facts *query_facts(const struct query *q);

/* A key as a step of a path in a query: a name, or in double brackets where it is none. */
void query_step_write(struct buf *out, struct str key);

/* ---- rows ---- */

struct query_row_ops {
	/* The value of a root field, without stamps; DOC_NONE where the document has no such member. It views the
	 * row's own bytes, which stay as they are until the evaluation of the row is over, or is appended to
	 * scratch and viewed there: then it need only live until the next call of root or section. Called only
	 * for roots of the query's collection. */
	struct doc (*root)(const void *row, enum query_root root, struct buf *scratch);
	/* A section of the twin; NULL if the row has none. Never called for job rows. */
	const struct section *(*section)(const void *row, enum section_kind kind);
	/* Append the whole document as JSON text (SELECT *). */
	void (*write_document)(const void *row, struct buf *json);
};

/* A member of the documents that rows are shown as. A table of them, in the order of the document, writes it and answers
 * query_row_ops.root: what a GET shows and what a query reads is said once. */
struct query_member {
	const char *name;
	enum query_root root; /* QUERY_ROOT_NONE: no query asks for it */
	/* The member, under that name (out_key), or nothing if the row does not have it. */
	void (*put)(const void *row, const char *name, struct out *o);
	unsigned needs; /* the table's owner says what */
};
/* The document. */
void query_members_write(
    const struct query_member *members, size_t n, const void *row, struct buf *json);
/* The member that is a root; NULL: there is none. */
const struct query_member *query_member_of(
    const struct query_member *members, size_t n, enum query_root root);
/* The value of one, appended to scratch and viewed there; DOC_NONE: the row does not have it. m may be NULL. */
struct doc query_member_value(const struct query_member *m, const void *row, struct buf *scratch);

/* Working memory of one thread, kept from row to row: { 0 } is empty. */
struct query_scratch {
	struct buf bytes, build; /* values of roots and views being looked at */
	struct arena values;     /* strings and documents of the row under evaluation */
};

void query_scratch_fini(struct query_scratch *s);

/* Is the condition exactly true for this row? */
bool query_match(const struct query *q, const struct query_row_ops *ops, const void *row,
    struct query_scratch *s);

/* Append the result of a matching row as one JSON value. Not for aggregates. */
void query_project(const struct query *q, const struct query_row_ops *ops, const void *row,
    struct query_scratch *s, struct buf *json);

/* ---- groups: aggregates and GROUP BY (Q-48 to) ---- */

struct query_groups;

/* Groups of an aggregate plan, which must outlive them. max_bytes bounds what is counted: keys, counters and table
 * cells; the memory really held is at most twice that. */
struct query_groups *query_groups_new(const struct query *q, size_t max_bytes);
void query_groups_free(struct query_groups *g); /* NULL is fine */

/* Count a matching row. ERR_SIZE: the limit is reached, f says so (F_QueryTooLarge); the groups stay as they were. */
enum err query_groups_add(struct query_groups *g, const struct query_row_ops *ops, const void *row,
    struct query_scratch *s, struct fault *f);
/* Add the groups of `from`, a part made for the same plan by another worker. ERR_SIZE as above, but then `into` may
 * hold a part of them and is good for query_groups_free only. */
enum err query_groups_merge(
    struct query_groups *into, const struct query_groups *from, struct fault *f);
/* What it counts of its memory. */
size_t query_groups_bytes(const struct query_groups *g);
/* No more rows: put the groups in order (by their keys, the same whatever the order of rows and merges). */
void query_groups_finish(struct query_groups *g);
/* Rows of the finished result, TOP respected: 1 without GROUP BY, also for zero rows. */
uint32_t query_groups_count(const struct query_groups *g);
/* Append rows from, from + 1, ... (at most n, within the count) as JSON objects with commas between. */
void query_groups_write(const struct query_groups *g, uint32_t from, uint32_t n, struct buf *json);

/* ---- ORDER BY on rows (Q-88) ---- */

struct query_order;

/* The first `want` rows in the order of an ordered plan, which must outlive them. max_bytes bounds what they hold. */
struct query_order *query_order_new(const struct query *q, uint64_t want, size_t max_bytes);
void query_order_free(struct query_order *o); /* NULL is fine */

/* Is this matching row, as far as is known, one of the first? Then query_order_take is to follow, with the same row.
 * Asks for what facts.match names. Each row is shown once, in ascending (shard, row). */
bool query_order_wants(struct query_order *o, const struct query_row_ops *ops, const void *row,
    struct query_scratch *s);
/* Keep it. ERR_SIZE: the limit is reached, f says so (F_QueryTooLarge). */
enum err query_order_take(struct query_order *o, const struct query_row_ops *ops, const void *row,
    struct query_scratch *s, struct fault *f);
/* What it counts of its memory. */
size_t query_order_bytes(const struct query_order *o);
/* No more rows: put them in order. */
void query_order_finish(struct query_order *o);
/* Rows shown, at most TOP: those that pages deliver in all. */
uint64_t query_order_count(const struct query_order *o);
/* Append rows from, from + 1, ... (at most n, within what is kept; fewer once json has max_json bytes) with commas
 * between; how many. */
uint32_t query_order_write(
    const struct query_order *o, uint32_t from, uint32_t n, size_t max_json, struct buf *json);

/* ---- pages ---- */

/* Where the next page begins. The meaning of the fields is the executor's. */
struct query_place {
	uint32_t shard;
	uint64_t row;       /* first row not yet looked at */
	uint64_t delivered; /* rows given so far: for TOP, and the offset into groups */
	uint64_t generation;
};

#define QUERY_TOKEN_LEN 60

/* Append the token: QUERY_TOKEN_LEN characters of base64url. `hash` names the query: facts.hash, or any stable hash
 * of what a list was asked for. */
void query_token_write(struct buf *out, uint64_t hash, const struct query_place *place);
/* ERR_ARG with F_ArgumentInvalid for a damaged token and for one of another query. */
enum err query_token_read(
    struct str token, uint64_t hash, struct query_place *place, struct fault *f);

/* The page size of an x-ms-max-item-count header; STR_NONE if there is none. ERR_ARG: F_ArgumentInvalid. */
enum err query_page_size(struct str header, uint32_t *size, struct fault *f);

/* Can this condition be true of anything? Else ERR_ARG, with the code that is given. Of new ones only: what was stored
 * before this was asked is kept. */
enum err condition_check(const struct query *q, enum fault_code code, struct fault *f);

#endif
