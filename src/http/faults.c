/*
 * How a fault leaves (service-rest.md 4): by its status the words of the status line, what the log calls it and when its client may
 * come again; by its code the form of its body. Nothing else in http/ asks what a code or a status means.
 */
#include "http/priv.h"

#include <time.h>

#define RETRY_AFTER_S "2" /* who does not read is cut in that time */

static const struct outcome outcomes[] = {
	{ 200, "OK", REASON_NONE, NULL }, { 202, "Accepted", REASON_NONE, NULL },
	{ 204, "No Content", REASON_NONE, NULL }, { 207, "Multi-Status", REASON_NONE, NULL },
	{ 400, "Bad Request", REASON_NONE, NULL },
	{ 401, "Unauthorized", REASON_NONE,
	    NULL }, /* who asks is judged where the reason is known */
	{ 403, "Forbidden", REASON_QUOTA, NULL }, { 404, "Not Found", REASON_NONE, NULL },
	{ 405, "Method Not Allowed", REASON_NONE, NULL }, { 409, "Conflict", REASON_NONE, NULL },
	{ 410, "Gone", REASON_NONE, NULL }, { 412, "Precondition Failed", REASON_NONE, NULL },
	{ 413, "Payload Too Large", REASON_NONE, NULL },
	{ 415, "Unsupported Media Type", REASON_NONE, NULL },
	{ 429, "Too Many Requests", REASON_OVERLOADED, RETRY_AFTER_S },
	{ 501, "Not Implemented", REASON_NOT_SERVED, NULL },
	{ 502, "Bad Gateway", REASON_DEVICE_ANSWER, NULL },
	{ 503, "Service Unavailable", REASON_UNAVAILABLE, RETRY_AFTER_S },
	{ 504, "Gateway Timeout", REASON_DEVICE_LATE, NULL },
	{ 500, "Internal Server Error", REASON_FAILED, NULL }, /* the last: any other, too */
};
#define NOUTCOME (sizeof(outcomes) / sizeof(outcomes[0]))

/* What devices did wrong with a method is told in format B (4.1). */
static const enum fault_code of_devices[] = { F_DeviceNotOnline, F_DeviceConnectionClosedRemotely,
	F_GenericBadGateway, F_GatewayTimeout };

const struct outcome *
outcome_of(int status)
{
	size_t i = 0;

	while (i < NOUTCOME - 1 && outcomes[i].status != status)
		i++;
	return &outcomes[i];
}

static bool
is_of_device(enum fault_code code)
{
	for (size_t i = 0; i < sizeof(of_devices) / sizeof(of_devices[0]); i++)
		if (of_devices[i] == code)
			return true;
	return false;
}

static void
put_body(struct buf *json, struct str message, struct str exception)
{
	struct out o = out_to(json);

	out_open(&o);
	out_key(&o, "Message");
	out_str(&o, message);
	out_key(&o, "ExceptionMessage");
	out_str(&o, exception);
	out_close(&o);
}

static void
put_format_a(struct buf *json, const struct fault *f, const char *id, int64_t now_us)
{
	struct buf text = { 0 }, tracking = { 0 };
	char stamp[32];
	time_t now = (time_t)(now_us / 1000000);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%m/%d/%Y %H:%M:%S", &tm);
	buf_printf(&text, "ErrorCode:%s;%s", fault_name(f->code),
	    f->text[0] != '\0' ? f->text : outcome_of(fault_status(f->code))->words);
	buf_printf(&tracking, "Tracking ID:%s-G:0-TimeStamp:%s", id, stamp);
	put_body(json, buf_view(&text), buf_view(&tracking));
	buf_fini(&tracking);
	buf_fini(&text);
}

static void
put_format_b(struct buf *json, const struct fault *f, const char *id, int64_t now_us)
{
	struct buf inner = { 0 };
	struct out o = out_to(&inner);
	char t[TIME_TEXT_MAX];
	size_t n = time_format(now_us, t);

	out_open(&o);
	out_key(&o, "errorCode");
	out_i64(&o, fault_number(f->code));
	out_key(&o, "trackingId");
	out_cstr(&o, id);
	out_key(&o, "message");
	out_cstr(&o, f->text);
	out_key(&o, "timestampUtc");
	out_str(&o, (struct str){ t, n });
	out_close(&o);
	put_body(json, buf_view(&inner), STR(""));
	buf_fini(&inner);
}

void
fault_write(struct buf *json, const struct fault *f, const char *id, int64_t now_us)
{
	if (is_of_device(f->code))
		put_format_b(json, f, id, now_us);
	else
		put_format_a(json, f, id, now_us);
}
