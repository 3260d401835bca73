/* What is told of what is done to the hub (docs/spec/events.md, E-97): see told.h. */
#include "shard/told_parts.h"

#define TYPE(name) TOLD_ADMIN_PREFIX name

const char *
told_admin_type(const struct event *e)
{
	static const char *const types[ADMIN_WHATS] = {
		[ADMIN_POLICY_CREATED] = TYPE("policy.created"),
		[ADMIN_POLICY_DELETED] = TYPE("policy.deleted"),
		[ADMIN_KEY_ROTATED] = TYPE("policy.keyRotated"),
		[ADMIN_BACKUP] = TYPE("backup"),
		[ADMIN_EXPORT] = TYPE("export"),
		[ADMIN_IMPORT] = TYPE("import"),
		[ADMIN_FILE_JOB] = TYPE("fileJob"),
		[ADMIN_SINK_WRITTEN] = TYPE("sink.written"),
		[ADMIN_SINK_DELETED] = TYPE("sink.deleted"),
		[ADMIN_ROUTE_WRITTEN] = TYPE("route.written"),
		[ADMIN_ROUTE_DELETED] = TYPE("route.deleted"),
		[ADMIN_CONFIGURATION_WRITTEN] = TYPE("configuration.written"),
		[ADMIN_CONFIGURATION_DELETED] = TYPE("configuration.deleted"),
		[ADMIN_SETTINGS_CHANGED] = TYPE("settings.changed"),
		[ADMIN_ROLLOUT] = TYPE("configuration.rollout"),
		[ADMIN_JOB_CREATED] = TYPE("job.created"),
		[ADMIN_JOB_CANCELLED] = TYPE("job.cancelled"),
		[ADMIN_MESSAGES_PURGED] = TYPE("messages.purged"),
		[ADMIN_CONNECTION_CLOSED] = TYPE("connection.closed"),
	};
	uint64_t what = e->numbers[EVENT_ADMIN_WHAT];

	return what < ADMIN_WHATS ? types[what] : NULL;
}
