/* What is told of sessions (docs/spec/events.md, E-92 to E-94): see told.h. */
#include "shard/told_parts.h"

#include <inttypes.h>

#include "base/reason.h"

/* The reason of a stored id; REASON_NONE: none, or one of a later program. */
static enum reason
reason_of(struct str id)
{
	for (int r = REASON_NONE + 1; r < REASONS; r++)
		if (str_eq(id, str_of(reason_id((enum reason)r))))
			return (enum reason)r;
	return REASON_NONE;
}

enum reason
told_reason(const struct event *e)
{
	return reason_of(e->fields[EVENT_REASON]);
}

void
told_put_connection(struct out *o, const struct event *e)
{
	struct str id = e->fields[EVENT_REASON];
	enum reason why = reason_of(id);

	out_format(out_key(o, "sequenceNumber"), "%064" PRIX64, e->position);
	out_some_str(o, "reason", id);
	if (why != REASON_NONE)
		out_cstr(out_key(o, "closedBy"), reason_by_name(reason_by(why)));
	if (e->numbers[EVENT_FLAPS] != 0)
		out_u64(out_key(o, "flaps"), e->numbers[EVENT_FLAPS]);
}
