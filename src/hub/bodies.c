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

/* What answers show and only the hub writes: clients send it back. */
#define IDENTITY_SHOWN                                                                             \
	ANY("connectionState"), ANY("connectionStateUpdatedTime"), ANY("cloudToDeviceMessageCount")

static const struct shape identity_members[] = { TEXT("deviceId"), IDENTITY, IDENTITY_SHOWN,
	ANY("generationId"), ANY("etag"), ANY("statusUpdatedTime"), ANY("lastActivityTime"),
	SHAPE_END };
const struct shape body_identity = BODY(identity_members);

static const struct shape section_members[] = { ANY("desired"), ANY("reported"), SHAPE_END };
static const struct shape item_members[] = { TEXT("id"), TEXT("importMode"), TEXT("eTag"),
	TEXT("etag"), TEXT("twinETag"), IDENTITY, TEXT("generationId"), TEXT("modelId"),
	TEXT("statusUpdatedTime"), TEXT("lastActivityTime"), IDENTITY_SHOWN, ANY("deviceId"),
	ANY("tags"), OBJECT("properties", section_members), SHAPE_END };
const struct shape body_item = BODY(item_members);

static const struct shape keys_members[] = { TEXT("policyKey"), ANY("devices"), SHAPE_END };
const struct shape body_keys = BODY(keys_members);

/* ---- twins, methods, jobs ---- */

/* All that a twin has, what is only read included: nothing else is a member of one. Its times are nobody's to write. */
#define TIME                           ANY
#define X(id, name, collections, kind) kind(#name),
static const struct shape twin_members[] = { QUERY_TWIN_ROOTS(X) ANY("tags"),
	OBJECT("properties", section_members), SHAPE_END };
#undef X
#undef TIME
const struct shape body_twin = BODY(twin_members);

static const struct shape method_members[] = { TEXT("methodName"),
	INT("responseTimeoutInSeconds", METHOD_RESPONSE_MIN_S, METHOD_WAIT_MAX_S),
	INT("connectTimeoutInSeconds", 0, METHOD_WAIT_MAX_S), ANY("payload"), SHAPE_END };
const struct shape body_method = BODY(method_members);

static const struct shape message_members[] = { TEXT("body"), BOOL("base64Encoded"),
	MAP("properties", &text), TEXT("messageId"), TEXT("correlationId"), TEXT("userId"),
	TEXT("contentType"), TEXT("contentEncoding"), TEXT("ack"),
	INT("timeToLiveInSeconds", 1, 172800), SHAPE_END };
static const struct shape restore_members[] = { TEXT("at"), SHAPE_END };
static const struct shape job_members[] = { TEXT("jobId"), TEXT("type"), TEXT("startTime"),
	ANY("queryCondition"), INT("maxExecutionTimeInSeconds", 1, INT32_MAX),
	INT("maxUpdatesPerSecond", 1, JOB_RATE_MAX), OBJECT("cloudToDeviceMethod", method_members),
	OBJECT("cloudToDeviceMessage", message_members), OBJECT("updateTwin", twin_members),
	OBJECT("restoreTwin", restore_members), SHAPE_END };
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
static const struct shape metric_members[] = { ANY("queries"), ANY("results"), SHAPE_END };
static const struct shape configuration_members[] = { TEXT("id"), TEXT("schemaVersion"),
	TEXT("contentType"), TEXT("etag"), MAP("labels", &text), ANY("targetCondition"),
	OBJECT("content", content_members), OBJECT("metrics", metric_members),
	INT("priority", 0, CONFIGURATION_PRIORITY_MAX), OBJECT("rollout", rollout_members),
	ANY("systemMetrics"), ANY("createdTimeUtc"), ANY("lastUpdatedTimeUtc"), SHAPE_END };
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

/* ---- what a body does not have ---- */

/* Objects whose members are all in their table. Others may have more: a content its $schema, a wave is its reader's to check. */
static const struct {
	const struct shape *members;
	const char *noun;
} closed[] = {
	{ twin_members, "a twin" },
	{ section_members, "a twin" },
	{ identity_members, "an identity" },
	{ item_members, "an item" },
	{ method_members, "a method call" },
	{ job_members, "a job" },
	{ configuration_members, "a configuration" },
	{ metric_members, "a configuration" },
};

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

static const struct shape *
member_find(struct str key, const struct shape *members)
{
	for (; members->name.p != NULL; members++)
		if (str_ieq(members->name, key))
			return members;
	return NULL;
}

/* Where a body has a member of that name: its path is appended. */
static bool
path_find_name(struct str key, const struct shape *members, struct buf *path)
{
	size_t from = path->n;
	const struct shape *m = member_find(key, members);

	if (m != NULL) {
		buf_str(path, m->name);
		return true;
	}
	for (m = members; m->name.p != NULL; m++) {
		if (m->kind != SHAPE_OBJECT)
			continue;
		buf_printf(path, STR_FMT ".", STR_ARG(m->name));
		if (path_find_name(key, m->of, path))
			return true;
		path->n = from;
	}
	return false;
}

/* at: the path of the object that has it, with its dot behind. Below properties and metrics the first member has what is
 * anybody's to name. */
static void
say_stray(
    struct str at, struct str key, const struct shape *members, const char *noun, struct buf *why)
{
	struct buf path = { 0 };

	key = shown(key);
	buf_printf(why, STR_FMT STR_FMT " is no member of %s", STR_ARG(at), STR_ARG(key), noun);
	if (at.n == 0 && path_find_name(key, members, &path))
		buf_printf(why, ", " STR_FMT " is", STR_ARG(buf_view(&path)));
	else if (at.n > 0 && members->kind == SHAPE_ANY)
		buf_printf(why, ", " STR_FMT STR_FMT "." STR_FMT " may be", STR_ARG(at),
		    STR_ARG(members->name), STR_ARG(key));
	buf_fini(&path);
}

static bool
stray_below(struct doc object, const struct shape *members, struct str at, struct buf *why)
{
	struct doc_iter it = doc_iter(doc_kind(object) == DOC_OBJECT ? object : DOC_NONE);
	const char *noun = NULL;
	struct buf path = { 0 };
	bool found = false;
	struct str key;
	struct doc v;

	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
		if (closed[i].members == members)
			noun = closed[i].noun;
	while (noun != NULL && !found && doc_next(&it, &key, &v)) {
		const struct shape *m = member_find(key, members);

		if (m == NULL) {
			say_stray(at, key, members, noun, why);
			found = true;
		} else if (m->kind == SHAPE_OBJECT) {
			path.n = 0;
			buf_printf(&path, STR_FMT STR_FMT ".", STR_ARG(at), STR_ARG(m->name));
			found = stray_below(v, m->of, buf_view(&path), why);
		}
	}
	buf_fini(&path);
	return found;
}

bool
body_stray(struct doc body, const struct shape *s, struct buf *why)
{
	return stray_below(body, s->of, STR_NONE, why);
}

/* ---- sinks and routes: events.md 4 ---- */

static const struct shape sink_members[] = { TEXT("id"), TEXT("kind"), BOOL("enabled"),
	TEXT("from"), INT("batchEvents", 1, 500), TEXT("url"), INT("timeoutSeconds", 1, 120),
	BOOL("handshake"), TEXT("secret"), TEXT("token"), TEXT("clientCertificate"),
	TEXT("clientKey"), TEXT("ca"), TEXT("path"), INT("maxBytes", 64 << 10, INT64_C(4) << 30),
	INT("files", 1, 100), TEXT("brokers"), TEXT("topic"), BOOL("tls"), TEXT("mechanism"),
	TEXT("username"), TEXT("password"), TEXT("etag"), ANY("createdTime"),
	ANY("lastUpdatedTime"), ANY("status"), SHAPE_END };
const struct shape body_sink = BODY(sink_members);
static const struct shape route_members[] = { TEXT("id"), TEXT("name"), TEXT("source"),
	ANY("condition"), LIST("endpointNames", &text), BOOL("isEnabled"), TEXT("etag"),
	ANY("createdTime"), ANY("lastUpdatedTime"), SHAPE_END };
const struct shape body_route = BODY(route_members);
/* Their own table looks at them: settings/values.c. */
static const struct shape settings_members[] = { ANY("log"), SHAPE_END };
const struct shape body_settings = BODY(settings_members);
/* A sample's own values are as they are. */
static const struct shape sample_members[] = { ANY("body"), MAP("appProperties", &text),
	MAP("systemProperties", &text), SHAPE_END };
static const struct shape route_test_members[] = { OBJECT("message", sample_members), ANY("twin"),
	OBJECT("route", route_members), SHAPE_END };
const struct shape body_route_test = BODY(route_test_members);
