/*
 * digital: the face of a plug and play device on its twin (service-rest.md 16). No model is resolved here: what is a
 * component is told by its mark, "__t":"c", and what is a property by everything else.
 */
#ifndef TWINHUB_TWIN_DIGITAL_H
#define TWINHUB_TWIN_DIGITAL_H

#include "twin/twin.h"

/* The digital twin as JSON text, appended. Linear in the two sections. */
void digital_write(struct buf *json, struct str id, struct str model, const struct section *desired,
    const struct section *reported);

#define DIGITAL_OPS_MAX 100u /* operations of one patch */

/*
 * A JSON Patch (RFC 6902: add, replace, remove) on a digital twin as the merge patch of its desired properties, appended as a
 * doc. Each operation sees what those before it did. What an operation writes is in the patch even if it was so already.
 *
 *   ops  an array of operations, no key twice in an object
 *
 * ERR_ARG: InvalidDigitalTwinPatch for what is no such operation, InvalidDigitalTwinPatchPath for a path that leads nowhere;
 * the fault names the operation by its place. Rules of values and sizes are section_merge's.
 */
enum err digital_patch(struct doc ops, const struct section *desired,
    const struct section *reported, struct buf *patch, struct fault *f);

/* {"__t":"c", ...} */
bool digital_is_component(struct doc d);

#endif
