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

/* Texts of the query language are in no table: a number is none, and their readers say so. */

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

static const struct shape item_members[] = { TEXT("id"), TEXT("importMode"), TEXT("eTag"),
	TEXT("etag"), TEXT("twinETag"), IDENTITY, TEXT("generationId"), TEXT("modelId"),
	TEXT("statusUpdatedTime"), TEXT("lastActivityTime"), SHAPE_END };
const struct shape body_item = BODY(item_members);

static const struct shape keys_members[] = { TEXT("policyKey"), SHAPE_END };
const struct shape body_keys = BODY(keys_members);

/* ---- twins, methods, jobs ---- */

static const struct shape twin_members[] = { TEXT("deviceId"), TEXT("moduleId"), TEXT("etag"),
	SHAPE_END };
const struct shape body_twin = BODY(twin_members);

static const struct shape method_members[] = { TEXT("methodName"),
	INT("responseTimeoutInSeconds", METHOD_RESPONSE_MIN_S, METHOD_WAIT_MAX_S),
	INT("connectTimeoutInSeconds", 0, METHOD_WAIT_MAX_S), SHAPE_END };
const struct shape body_method = BODY(method_members);

static const struct shape job_members[] = { TEXT("jobId"), TEXT("type"), TEXT("startTime"),
	INT("maxExecutionTimeInSeconds", 1, INT32_MAX), INT("maxUpdatesPerSecond", 1, JOB_RATE_MAX),
	OBJECT("cloudToDeviceMethod", method_members), OBJECT("updateTwin", twin_members),
	SHAPE_END };
const struct shape body_job = BODY(job_members);

static const struct shape event_members[] = { BOOL("base64Encoded"), MAP("properties", &text),
	SHAPE_END };
static const struct shape event = BODY(event_members);
const struct shape body_events = { { NULL, 0 }, SHAPE_LIST, 0, 0, &event };

/* ---- configurations ---- */

static const struct shape wave_members[] = { NUMBER("percent"), INT("count", 1, ROLLOUT_COUNT_MAX),
	NUMBER("minSuccessPercent"), NUMBER("maxFailurePercent"),
	INT("soakSeconds", 0, ROLLOUT_SOAK_MAX_S), SHAPE_END };
static const struct shape wave = BODY(wave_members);
static const struct shape rollout_members[] = { LIST("waves", &wave), TEXT("onFailure"),
	SHAPE_END };
static const struct shape configuration_members[] = { TEXT("id"), TEXT("schemaVersion"),
	TEXT("contentType"), TEXT("etag"), MAP("labels", &text),
	INT("priority", 0, CONFIGURATION_PRIORITY_MAX), OBJECT("rollout", rollout_members),
	SHAPE_END };
const struct shape body_configuration = BODY(configuration_members);

/* ---- imports and exports ---- */

static const struct shape file_job_members[] = { TEXT("type"), TEXT("inputBlobContainerUri"),
	TEXT("outputBlobContainerUri"), TEXT("inputBlobName"), TEXT("outputBlobName"),
	BOOL("excludeKeysInExport"), BOOL("includeConfigurations"), SHAPE_END };
const struct shape body_file_job = BODY(file_job_members);
