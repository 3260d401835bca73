/*
 * The body of a message's record (EVENT_BODY): its properties in their order, each with a byte before it that says what it is, then 0 and the
 * payload with its length. Pure.
 */
#ifndef TWINHUB_EVENT_TELEMETRY_H
#define TWINHUB_EVENT_TELEMETRY_H

#include "base/base.h"

/* Append a property: the application's; or one of the system's, by the name that it is shown with, as content-type. */
void telemetry_put(struct buf *out, struct str name, struct str value);
void telemetry_put_system(struct buf *out, struct str name, struct str value);
/* Behind them, once. */
void telemetry_end(struct buf *out, struct str payload);

struct telemetry_property {
	bool system;
	struct str name, value; /* any bytes */
};
/* The next one, borrowed; false: there is none, and *rest is the payload, or empty if these bytes are no message. */
bool telemetry_next(struct str *rest, struct telemetry_property *p);

#endif
