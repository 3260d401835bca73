#include "hub/bodies.h"

#include "hub/hub.h"

#define TEXT(literal)                                                                              \
	{                                                                                          \
		SHAPE_NAME(literal), SHAPE_TEXT, 0, 0, NULL                                        \
	}
#define BOOL(literal)                                                                              \
	{                                                                                          \
		SHAPE_NAME(literal), SHAPE_BOOL, 0, 0, NULL                                        \
	}
#define INT(literal, least, most)                                                                  \
	{                                                                                          \
		SHAPE_NAME(literal), SHAPE_INT, least, most, NULL                                  \
	}
#define NUMBER(literal)                                                                            \
	{                                                                                          \
		SHAPE_NAME(literal), SHAPE_NUMBER, 0, 0, NULL                                      \
	}
#define ANY(literal)                                                                               \
	{                                                                                          \
		SHAPE_NAME(literal), SHAPE_ANY, 0, 0, NULL                                         \
	}
#define OBJECT(literal, members)                                                                   \
	{                                                                                          \
		SHAPE_NAME(literal), SHAPE_OBJECT, 0, 0, members                                   \
	}
#define LIST(literal, each)                                                                        \
	{                                                                                          \
		SHAPE_NAME(literal), SHAPE_LIST, 0, 0, each                                        \
	}
#define MAP(literal, each)                                                                         \
	{                                                                                          \
		SHAPE_NAME(literal), SHAPE_MAP, 0, 0, each                                         \
	}
#define BODY(members)                                                                              \
	{                                                                                          \
		{ NULL, 0 }, SHAPE_OBJECT, 0, 0, members                                           \
	}

/* Texts of the query language are as they are: a number is none, and their readers say so. So are values of twins, payloads, and
 * what stands in a configuration under paths and modules' names. */

static const struct shape text = { { NULL, 0 }, SHAPE_TEXT, 0, 0, NULL };

/* ---- identities ---- */

static const struct shape key_members[] = { TEXT("primaryKey"), TEXT("secondaryKey"), SHAPE_END };
static const struct shape thumbprint_members[] = { TEXT("primaryThumbprint"),
	TEXT("secondaryThumbprint"), SHAPE_END };
static const struct shape authentication_members[] = { TEXT("type"),
	OBJECT("symmetricKey", key_members), OBJECT("x509Thumbprint", thumbprint_members),
	SHAPE_END };
static const struct shape capability_members[] = { BOOL("iotEdge"), SHAPE_END };

#define IDENTITY                                                                                   \
	TEXT("moduleId"), TEXT("status"), TEXT("statusReason"), TEXT("managedBy"),                 \
	    TEXT("deviceScope"), LIST("parentScopes", &text),                                      \
	    OBJECT("authentication", authentication_members),                                      \
	    OBJECT("capabilities", capability_members)

static const struct shape identity_members[] = { TEXT("deviceId"), IDENTITY, SHAPE_END };
const struct shape body_identity = BODY(identity_members);

static const struct shape section_members[] = { ANY("desired"), ANY("reported"), SHAPE_END };
static const struct shape item_members[] = { TEXT("id"), TEXT("importMode"), TEXT("eTag"),
	TEXT("etag"), TEXT("twinETag"), IDENTITY, TEXT("generationId"), TEXT("modelId"),
	TEXT("statusUpdatedTime"), TEXT("lastActivityTime"), ANY("tags"),
	OBJECT("properties", section_members), SHAPE_END };
const struct shape body_item = BODY(item_members);

static const struct shape keys_members[] = { TEXT("policyKey"), ANY("devices"), SHAPE_END };
const struct shape body_keys = BODY(keys_members);

/* ---- twins, methods, jobs ---- */

/* All that a twin has, what is only read included: nothing else is a member of one. */
static const struct shape twin_members[] = { TEXT("deviceId"), TEXT("moduleId"), TEXT("etag"),
	ANY("tags"), OBJECT("properties", section_members), ANY("deviceEtag"), ANY("version"),
	ANY("status"), ANY("statusReason"), ANY("statusUpdateTime"), ANY("connectionState"),
	ANY("lastActivityTime"), ANY("cloudToDeviceMessageCount"), ANY("authenticationType"),
	ANY("x509Thumbprint"), ANY("modelId"), ANY("configurations"), ANY("capabilities"),
	ANY("deviceScope"), ANY("parentScopes"), SHAPE_END };
const struct shape body_twin = BODY(twin_members);

static const struct shape method_members[] = { TEXT("methodName"),
	INT("responseTimeoutInSeconds", METHOD_RESPONSE_MIN_S, METHOD_WAIT_MAX_S),
	INT("connectTimeoutInSeconds", 0, METHOD_WAIT_MAX_S), ANY("payload"), SHAPE_END };
const struct shape body_method = BODY(method_members);

static const struct shape job_members[] = { TEXT("jobId"), TEXT("type"), TEXT("startTime"),
	ANY("queryCondition"), INT("maxExecutionTimeInSeconds", 1, INT32_MAX),
	INT("maxUpdatesPerSecond", 1, JOB_RATE_MAX), OBJECT("cloudToDeviceMethod", method_members),
	OBJECT("updateTwin", twin_members), SHAPE_END };
const struct shape body_job = BODY(job_members);

static const struct shape query_members[] = { ANY("query"), SHAPE_END };
const struct shape body_query = BODY(query_members);

static const struct shape event_members[] = { ANY("body"), BOOL("base64Encoded"),
	MAP("properties", &text), SHAPE_END };
static const struct shape event = BODY(event_members);
const struct shape body_events = { { NULL, 0 }, SHAPE_LIST, 0, 0, &event };

/* ---- configurations ---- */

static const struct shape wave_members[] = { NUMBER("percent"), INT("count", 1, ROLLOUT_COUNT_MAX),
	NUMBER("minSuccessPercent"), NUMBER("maxFailurePercent"),
	INT("soakSeconds", 0, ROLLOUT_SOAK_MAX_S), ANY("successQuery"), ANY("failureQuery"),
	SHAPE_END };
static const struct shape wave = BODY(wave_members);
static const struct shape rollout_members[] = { LIST("waves", &wave), TEXT("onFailure"),
	SHAPE_END };
#define CONTENT ANY("deviceContent"), ANY("moduleContent"), ANY("modulesContent")
static const struct shape content_members[] = { CONTENT, SHAPE_END };
static const struct shape metric_members[] = { ANY("queries"), SHAPE_END };
static const struct shape configuration_members[] = { TEXT("id"), TEXT("schemaVersion"),
	TEXT("contentType"), TEXT("etag"), MAP("labels", &text), ANY("targetCondition"),
	OBJECT("content", content_members), OBJECT("metrics", metric_members),
	INT("priority", 0, CONFIGURATION_PRIORITY_MAX), OBJECT("rollout", rollout_members),
	SHAPE_END };
const struct shape body_configuration = BODY(configuration_members);

static const struct shape applied_members[] = { CONTENT, OBJECT("content", content_members),
	SHAPE_END };
const struct shape body_content = BODY(applied_members);

static const struct shape test_members[] = { ANY("targetCondition"), ANY("customMetricQueries"),
	SHAPE_END };
const struct shape body_test_queries = BODY(test_members);

/* ---- imports and exports ---- */

static const struct shape file_job_members[] = { TEXT("type"), TEXT("inputBlobContainerUri"),
	TEXT("outputBlobContainerUri"), TEXT("inputBlobName"), TEXT("outputBlobName"),
	BOOL("excludeKeysInExport"), BOOL("includeConfigurations"), SHAPE_END };
const struct shape body_file_job = BODY(file_job_members);

/* ---- what a twin does not have ---- */

#define KEY_SHOWN 64u

/* The start of a key, short enough for a sentence. */
static struct str
shown(struct str key)
{
	size_t n = key.n <= KEY_SHOWN ? key.n : KEY_SHOWN;

	while (n < key.n && ((unsigned char)key.p[n] & 0xC0) == 0x80)
		n--;
	return (struct str){ key.p, n };
}

static bool
is_member(struct str key, const struct shape *members)
{
	for (; members->name.p != NULL; members++)
		if (str_eq(members->name, key))
			return true;
	return false;
}

static bool
stray_of(struct doc object, const struct shape *members, struct str *out)
{
	struct doc_iter it = doc_iter(doc_kind(object) == DOC_OBJECT ? object : DOC_NONE);
	struct doc v;

	while (doc_next(&it, out, &v))
		if (!is_member(*out, members))
			return true;
	return false;
}

bool
twin_stray(struct doc twin, struct buf *why)
{
	struct str key;

	if (stray_of(twin, twin_members, &key)) {
		key = shown(key);
		buf_printf(why, STR_FMT " is no member of a twin", STR_ARG(key));
		if (is_member(key, section_members))
			buf_printf(why, ", properties." STR_FMT " is", STR_ARG(key));
		return true;
	}
	if (!stray_of(doc_getc(twin, "properties"), section_members, &key))
		return false;
	key = shown(key);
	buf_printf(why,
	    "properties." STR_FMT " is no member of a twin, properties.desired." STR_FMT " may be",
	    STR_ARG(key), STR_ARG(key));
	return true;
}
