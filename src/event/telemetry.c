/* Bodies of messages: see telemetry.h. */
#include "event/telemetry.h"

/* The byte before a property. A former release had one for both kinds: known names are the system's there. */
enum { MARK_END, MARK_FORMER, MARK_APPLICATION, MARK_SYSTEM };

static const char *const system_names[] = { "message-id", "correlation-id", "user-id", "to",
	"content-type", "content-encoding", "absolute-expiry-time", "iothub-creation-time-utc",
	"iothub-outputname", "iothub-interface-id", "dt-subject", "iothub-message-schema",
	"diagnostic-id", "diagnostic-context" };

static void
put(struct buf *out, int mark, struct str name, struct str value)
{
	buf_putc(out, (char)mark);
	buf_lstr(out, name);
	buf_lstr(out, value);
}

void
telemetry_put(struct buf *out, struct str name, struct str value)
{
	put(out, MARK_APPLICATION, name, value);
}

void
telemetry_put_system(struct buf *out, struct str name, struct str value)
{
	put(out, MARK_SYSTEM, name, value);
}

void
telemetry_end(struct buf *out, struct str payload)
{
	buf_putc(out, MARK_END);
	buf_lstr(out, payload);
}

static bool
is_system(struct str name)
{
	for (size_t i = 0; i < sizeof(system_names) / sizeof(system_names[0]); i++)
		if (str_eq(name, str_of(system_names[i])))
			return true;
	return false;
}

bool
telemetry_next(struct str *rest, struct telemetry_property *p)
{
	struct rd rd = rd_of(*rest);
	uint8_t mark = rd_u8(&rd);

	if (rd.bad || mark > MARK_SYSTEM) {
		*rest = STR_NONE;
		return false;
	}
	p->name = rd_lstr(&rd); /* or the payload */
	if (mark == MARK_END) {
		*rest = rd.bad ? STR_NONE : p->name;
		return false;
	}
	p->value = rd_lstr(&rd);
	p->system = mark == MARK_SYSTEM || (mark == MARK_FORMER && is_system(p->name));
	*rest = rd.bad ? STR_NONE : (struct str){ (const char *)rd.p, (size_t)(rd.end - rd.p) };
	return !rd.bad;
}
