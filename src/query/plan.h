/*
 * Plans: a query text taken apart, once; read only, shared between threads without a lock.
 *
 *   query_parse, query_parse_condition -> query_facts: which collection, aggregate or not, ids, what must be at hand
 *                                      -> query_review, condition_check: can it have any effect?
 *
 * Texts are UTF-8 and counted in code points where people are told of a place; names of roots and functions know no case.
 *
 * Errors are ERR_ARG and a fault for who wrote the text. A plan owns all that it shows; it is freed by the last user, whose business that
 * is to know. What is above a limit below is refused when it is parsed, so evaluation needs no bound of its own but VALUE_STRING_MAX.
 *
 * Rules: docs/spec/query-language.md parts 1 to 4, Q-01 to.
 */
#ifndef TWINHUB_QUERY_PLAN_H
#define TWINHUB_QUERY_PLAN_H

#include "twin/twin.h"

#define QUERY_TEXT_MAX     8192u /* code points */
#define QUERY_DEPTH_MAX    64u   /* levels of parentheses, calls, NOT and signs; deeper is a 400 */
#define QUERY_ITEMS_MAX    256u  /* select items, grouped paths */
#define QUERY_LIST_MAX     2048u /* constants in one list */
#define QUERY_STEPS_MAX    64u   /* steps of one path */
#define QUERY_PATTERN_MAX  256u  /* characters of a pattern of LIKE */

#define QUERY_PAGE_DEFAULT 100u /* */
#define QUERY_PAGE_MAX     1000u

enum query_collection { QUERY_DEVICES, QUERY_MODULES, QUERY_DEVICE_JOBS, QUERY_JOBS };

enum query_item_type { QUERY_TWIN, QUERY_RAW, QUERY_DEVICE_JOB, QUERY_JOB_RESPONSE };
const char *query_item_type_name(enum query_item_type t); /* x-ms-item-type: "Twin", ... */

/*
 * Root fields of the documents, as the documents spell them. Names in queries are resolved to these when the plan is made,
 * without regard to case. For each: the collections that have it (D devices, M devices.modules, R devices.jobs, J jobs),
 * and what a document's own writer puts there: a TEXT, a TIME (a text, too), or ANY value. Those of twins are first.
 */
#define QUERY_TWIN_ROOTS(X)                                                                        \
	X(DEVICE_ID, deviceId, D | M | R, TEXT)                                                    \
	X(MODULE_ID, moduleId, M | R, TEXT)                                                        \
	X(ETAG, etag, D | M, TEXT)                                                                 \
	X(DEVICE_ETAG, deviceEtag, D | M, ANY)                                                     \
	X(STATUS, status, D | M | R | J, ANY)                                                      \
	X(STATUS_REASON, statusReason, D | M, ANY)                                                 \
	X(STATUS_UPDATE_TIME, statusUpdateTime, D | M, TIME)                                       \
	X(CONNECTION_STATE, connectionState, D | M, ANY)                                           \
	X(LAST_ACTIVITY_TIME, lastActivityTime, D | M, TIME)                                       \
	X(C2D_COUNT, cloudToDeviceMessageCount, D | M, ANY)                                        \
	X(AUTHENTICATION_TYPE, authenticationType, D | M, ANY)                                     \
	X(X509_THUMBPRINT, x509Thumbprint, D | M, ANY)                                             \
	X(MODEL_ID, modelId, D | M, ANY)                                                           \
	X(VERSION, version, D | M, ANY)                                                            \
	X(CONFIGURATIONS, configurations, D | M, ANY)                                              \
	X(CAPABILITIES, capabilities, D, ANY)                                                      \
	X(DEVICE_SCOPE, deviceScope, D, ANY)                                                       \
	X(PARENT_SCOPES, parentScopes, D, ANY)
#define QUERY_JOB_ROOTS(X)                                                                         \
	X(JOB_ID, jobId, R | J, ANY)                                                               \
	X(JOB_TYPE, jobType, R, ANY)                                                               \
	X(START_TIME_UTC, startTimeUtc, R, TIME)                                                   \
	X(END_TIME_UTC, endTimeUtc, R, TIME)                                                       \
	X(CREATED_UTC, createdDateTimeUtc, R, TIME)                                                \
	X(LAST_UPDATED_UTC, lastUpdatedDateTimeUtc, R, TIME)                                       \
	X(OUTCOME, outcome, R, ANY)                                                                \
	X(ERROR, error, R, ANY)                                                                    \
	X(TYPE, type, J, ANY)                                                                      \
	X(QUERY_CONDITION, queryCondition, J, ANY)                                                 \
	X(CREATED_TIME, createdTime, J, TIME)                                                      \
	X(START_TIME, startTime, J, TIME)                                                          \
	X(END_TIME, endTime, J, TIME)                                                              \
	X(MAX_EXECUTION_TIME, maxExecutionTimeInSeconds, J, ANY)                                   \
	X(FAILURE_REASON, failureReason, J, ANY)                                                   \
	X(STATUS_MESSAGE, statusMessage, J, ANY)
#define QUERY_ROOTS(X) QUERY_TWIN_ROOTS(X) QUERY_JOB_ROOTS(X)

enum query_root {
#define X(id, ...) QUERY_ROOT_##id,
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
	bool past;                  /* with these, AS OF */
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
	bool alone;      /* a condition alone: query_parse_condition makes it again */
	bool past; /* of the fleet as it was at as_of_us, which is the caller's business */
	int64_t as_of_us;
	uint32_t condition_at, condition_n; /* bytes of the text; 0 of them: no condition */
	struct query_ids device_ids; /* from a conjunct deviceId = 'x' or deviceId IN [...] */
	struct query_ids job_ids;    /* the same of jobId */
	struct query_needs match;    /* what query_match asks for */
	/* what query_project or query_groups_add ask for; all when `whole` */
	struct query_needs output;
};

/* Borrowed from the plan. */
const struct query_facts *query_facts(const struct query *q);

/* As it was given. Borrowed from the plan. */
struct str query_text(const struct query *q);

/* A key as a step of a path in a query: a name, or in double brackets where it is none. */
void query_step_write(struct buf *out, struct str key);

/* Can this condition be true of anything? Else ERR_ARG, with the code that is given. Of new ones only: what was stored
 * before this was asked is kept. */
enum err condition_check(const struct query *q, enum fault_code code, struct fault *f);

#endif
