/* The members of the bodies that requests have, their names and scalars, one table for each kind of body (service-rest.md 5.4): see doc/shape.h. */
#ifndef TWINHUB_HUB_BODIES_H
#define TWINHUB_HUB_BODIES_H

#include "doc/shape.h"

/* What members that are numbers may be at most. */
#define JOB_RATE_MAX               1000000 /* maxUpdatesPerSecond */
#define ROLLOUT_COUNT_MAX          INT64_C(1000000000)
#define ROLLOUT_SOAK_MAX_S         (30 * 86400)
#define CONFIGURATION_PRIORITY_MAX INT64_C(2147483647)

extern const struct shape body_identity; /* PUT of a device or a module */
extern const struct shape body_item;     /* of a bulk call, and a line of an import */
extern const struct shape body_keys;     /* POST /devices/keys/regenerate, its items not */
extern const struct shape body_twin;     /* what is not its own values */
extern const struct shape body_method;
extern const struct shape body_job;
extern const struct shape body_events; /* a batch; its bodies are data, and as they are */
extern const struct shape body_configuration;
extern const struct shape body_sink, body_route, body_route_test, body_settings;
extern const struct shape body_content;      /* applyConfigurationContent, wrapped or not */
extern const struct shape body_test_queries; /* POST /configurations/testQueries */
extern const struct shape body_query;        /* POST /devices/query */
extern const struct shape body_file_job;     /* POST /jobs/create */

/* What is given and is no member of such a body: one sentence is appended, about the first. False: nothing is. */
bool body_stray(struct doc body, const struct shape *s, struct buf *why);

#endif
