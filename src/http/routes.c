/*
 * The routes of the service API, and what each one needs (service-rest.md 3.3, 3.5, 6, 9). Rights are asked for here and nowhere
 * else: a route says of which any is enough, or that it takes all of them.
 */
#include "http/priv.h"

#define ANY(of)                                                                                    \
	{                                                                                          \
		false, (of)                                                                        \
	}
#define ALL(of)                                                                                    \
	{                                                                                          \
		true, (of)                                                                         \
	}
#define READ_REGISTRY  RIGHT_REGISTRY_READ
#define WRITE_REGISTRY RIGHT_REGISTRY_WRITE
#define SERVICE        RIGHT_SERVICE_CONNECT
#define OF_DEVICE      RIGHT_DEVICE_SELF /* the device's own, for its modules */
#define OF_SELF        (RIGHT_DEVICE_SELF | RIGHT_MODULE_SELF) /* the identity's own, or its device's */
#define CONNECTS       (OF_SELF | RIGHT_DEVICE_CONNECT)

const struct route routes[] = {
	{ HTTP_GET, "devices", ANY(READ_REGISTRY), on_devices_list, false },
	{ HTTP_POST, "devices", ANY(WRITE_REGISTRY), on_bulk, true },
	{ HTTP_POST, "devices/keys/regenerate", ANY(WRITE_REGISTRY), on_keys, false },
	{ HTTP_POST, "devices/query", ANY(SERVICE | READ_REGISTRY), on_query, false },
	{ HTTP_POST, "devices/query/watch", ANY(SERVICE | READ_REGISTRY), on_query_watch, false },
	{ HTTP_GET, "devices/{device}", ANY(READ_REGISTRY), on_device_get, false },
	{ HTTP_PUT, "devices/{device}", ANY(WRITE_REGISTRY), on_device_put, false },
	{ HTTP_DELETE, "devices/{device}", ANY(WRITE_REGISTRY), on_device_delete, false },
	{ HTTP_GET, "devices/{device}/modules", ANY(READ_REGISTRY | OF_DEVICE), on_device_modules,
	    false },
	{ HTTP_GET, "devices/{device}/modules/{module}", ANY(READ_REGISTRY | OF_DEVICE),
	    on_device_get, false },
	{ HTTP_PUT, "devices/{device}/modules/{module}", ANY(WRITE_REGISTRY | OF_DEVICE),
	    on_device_put, false },
	{ HTTP_DELETE, "devices/{device}/modules/{module}", ANY(WRITE_REGISTRY | OF_DEVICE),
	    on_device_delete, false },
	{ HTTP_GET, "twins/{device}", ANY(SERVICE), on_twin, false },
	{ HTTP_PATCH, "twins/{device}", ANY(SERVICE), on_twin, false },
	{ HTTP_PUT, "twins/{device}", ANY(SERVICE), on_twin, false },
	{ HTTP_GET, "twins/{device}/modules/{module}", ANY(SERVICE), on_twin, false },
	{ HTTP_PATCH, "twins/{device}/modules/{module}", ANY(SERVICE), on_twin, false },
	{ HTTP_PUT, "twins/{device}/modules/{module}", ANY(SERVICE), on_twin, false },
	{ HTTP_GET, "twins/{device}/watch", ANY(SERVICE), on_twin_watch, false },
	{ HTTP_GET, "twins/{device}/modules/{module}/watch", ANY(SERVICE), on_twin_watch, false },
	{ HTTP_GET, "twins/{device}/history", ANY(SERVICE), on_twin_history, false },
	{ HTTP_GET, "twins/{device}/modules/{module}/history", ANY(SERVICE), on_twin_history,
	    false },
	{ HTTP_GET, "twins/{device}/convergence", ANY(SERVICE), on_convergence, false },
	{ HTTP_GET, "twins/{device}/modules/{module}/convergence", ANY(SERVICE), on_convergence,
	    false },
	{ HTTP_GET, "twins/{device}/configurations", ANY(SERVICE), on_twin_configurations, false },
	{ HTTP_GET, "twins/{device}/modules/{module}/configurations", ANY(SERVICE),
	    on_twin_configurations, false },
	{ HTTP_POST, "twins/{device}/methods", ANY(SERVICE), on_method_call, false },
	{ HTTP_POST, "twins/{device}/modules/{module}/methods", ANY(SERVICE), on_method_call,
	    false },
	{ HTTP_DELETE, "devices/{device}/commands", ANY(SERVICE | WRITE_REGISTRY), on_purge,
	    false },
	{ HTTP_POST, "devices/{device}/messages/deviceBound", ANY(SERVICE), on_message_post,
	    false },
	{ HTTP_GET, "messages/serviceBound/feedback", ANY(SERVICE), on_feedback, false },
	{ HTTP_DELETE, "messages/serviceBound/feedback/{lock}", ANY(SERVICE), on_feedback_settled,
	    false },
	{ HTTP_POST, "messages/serviceBound/feedback/{lock}/abandon", ANY(SERVICE),
	    on_feedback_settled, false },
	/* operate.md 4 */
	{ HTTP_GET, "connections", ANY(SERVICE | READ_REGISTRY), on_connections, false },
	{ HTTP_GET, "devices/{device}/connection", ANY(SERVICE | READ_REGISTRY), on_connection,
	    false },
	{ HTTP_GET, "devices/{device}/modules/{module}/connection", ANY(SERVICE | READ_REGISTRY),
	    on_connection, false },
	{ HTTP_DELETE, "devices/{device}/connection", ANY(WRITE_REGISTRY), on_connection_end,
	    false },
	{ HTTP_DELETE, "devices/{device}/modules/{module}/connection", ANY(WRITE_REGISTRY),
	    on_connection_end, false },
	{ HTTP_GET, "statistics/messages", ANY(SERVICE | READ_REGISTRY), on_message_statistics,
	    false },
	{ HTTP_GET, "statistics/devices", ANY(SERVICE | READ_REGISTRY), on_statistics, false },
	{ HTTP_GET, "statistics/service", ANY(SERVICE | READ_REGISTRY), on_statistics, false },
	{ HTTP_GET, "statistics/configurations", ANY(SERVICE | READ_REGISTRY), on_statistics,
	    false },
	{ HTTP_GET, "statistics/columns", ANY(SERVICE | READ_REGISTRY), on_column_statistics,
	    false },
	{ HTTP_GET, "statistics/paths", ANY(SERVICE | READ_REGISTRY), on_path_statistics, false },
	{ HTTP_GET, "statistics/queries", ANY(SERVICE), on_query_statistics, false },
	{ HTTP_GET, "statistics/store", ANY(SERVICE | READ_REGISTRY), on_store_statistics, false },
	{ HTTP_GET, "statistics/metrics", ANY(SERVICE), on_figures, false },
	{ HTTP_GET, "statistics/events", ANY(SERVICE | READ_REGISTRY), on_log_statistics, false },
	{ HTTP_GET, "statistics/limits", ANY(SERVICE | READ_REGISTRY), on_limit_statistics, false },
	{ HTTP_GET, "events/partitions", ANY(SERVICE), on_partitions, false },
	{ HTTP_GET, "events/partitions/{partition}", ANY(SERVICE), on_partition_read, false },
	{ HTTP_GET, "events", ANY(SERVICE), on_events_read, false },
	{ HTTP_GET, "configurations", ANY(SERVICE | READ_REGISTRY), on_configurations_list, false },
	{ HTTP_POST, "configurations/testQueries", ANY(SERVICE | WRITE_REGISTRY), on_test_queries,
	    false },
	{ HTTP_GET, "configurations/{configuration}", ANY(SERVICE | READ_REGISTRY),
	    on_configuration_get, false },
	{ HTTP_GET, "configurations/{configuration}/devices", ANY(SERVICE | READ_REGISTRY),
	    on_configuration_devices, false },
	{ HTTP_PUT, "configurations/{configuration}", ANY(SERVICE | WRITE_REGISTRY),
	    on_configuration_update, false },
	{ HTTP_POST, "configurations/{configuration}", ANY(SERVICE | WRITE_REGISTRY),
	    on_configuration_post, false },
	{ HTTP_DELETE, "configurations/{configuration}", ANY(SERVICE | WRITE_REGISTRY),
	    on_configuration_remove, false },
	{ HTTP_POST, "configurations/{configuration}/rollout/{action}",
	    ANY(SERVICE | WRITE_REGISTRY), on_rollout_action, false },
	{ HTTP_POST, "devices/{device}/applyConfigurationContent", ANY(SERVICE | WRITE_REGISTRY),
	    on_apply_configuration, false },
	{ HTTP_GET, "admin/policies", ALL(RIGHTS_ALL), on_policies, false },
	{ HTTP_GET, "admin/policies/{name}", ALL(RIGHTS_ALL), on_policies, false },
	{ HTTP_PUT, "admin/policies/{name}", ALL(RIGHTS_ALL), on_policy_create, false },
	{ HTTP_DELETE, "admin/policies/{name}", ALL(RIGHTS_ALL), on_policy_delete, false },
	{ HTTP_POST, "admin/policies/{name}/rotate", ALL(RIGHTS_ALL), on_policy_rotate, false },
	{ HTTP_POST, "admin/backup", ALL(RIGHTS_ALL), on_backup, false },
	{ HTTP_GET, "admin/clock", ALL(RIGHTS_ALL), on_clock_get, false },
	{ HTTP_POST, "admin/clock", ALL(RIGHTS_ALL), on_clock_post, false },
	{ HTTP_GET, "admin/faults", ALL(RIGHTS_ALL), on_mishaps_list, false },
	{ HTTP_POST, "admin/faults", ALL(RIGHTS_ALL), on_mishaps_order, false },
	{ HTTP_DELETE, "admin/faults", ALL(RIGHTS_ALL), on_mishaps_clear, false },
	{ HTTP_GET, "admin/backups", ALL(RIGHTS_ALL), on_backups, false },
	{ HTTP_GET, "jobs/v2/query", ANY(SERVICE | READ_REGISTRY), on_jobs_list, false },
	{ HTTP_POST, "jobs/v2/{job}", ANY(SERVICE | WRITE_REGISTRY), on_job_try, false },
	{ HTTP_PUT, "jobs/v2/{job}", ANY(SERVICE | WRITE_REGISTRY), on_job_create, false },
	{ HTTP_GET, "jobs/v2/{job}", ANY(SERVICE | READ_REGISTRY), on_job_read, false },
	{ HTTP_POST, "jobs/v2/{job}/cancel", ANY(SERVICE | WRITE_REGISTRY), on_job_stop, false },
	{ HTTP_GET, "admin/export", ALL(READ_REGISTRY | SERVICE), on_export, false },
	{ HTTP_POST, "admin/import", ALL(WRITE_REGISTRY | SERVICE), on_import, true },
	{ HTTP_POST, "jobs/create", ANY(WRITE_REGISTRY), on_file_job_create, false },
	{ HTTP_GET, "jobs", ANY(READ_REGISTRY), on_file_jobs_list, false },
	{ HTTP_GET, "jobs/{job}", ANY(READ_REGISTRY), on_file_job_read, false },
	{ HTTP_DELETE, "jobs/{job}", ANY(WRITE_REGISTRY), on_file_job_cancel, false },
	{ HTTP_GET, "digitaltwins/{device}", ANY(SERVICE), on_digital_twin_get, false },
	{ HTTP_PATCH, "digitaltwins/{device}", ANY(SERVICE), on_digital_twin_patch, false },
	{ HTTP_POST, "digitaltwins/{device}/commands/{command}", ANY(SERVICE), on_digital_command,
	    false },
	{ HTTP_POST, "digitaltwins/{device}/components/{component}/commands/{command}",
	    ANY(SERVICE), on_digital_command, false },
	/* sinks and routes: events.md 4 */
	{ HTTP_GET, "sinks", ANY(SERVICE), on_sinks_list, false },
	{ HTTP_GET, "sinks/{sink}", ANY(SERVICE), on_sink_get, false },
	{ HTTP_PUT, "sinks/{sink}", ALL(RIGHTS_ALL), on_sink_put, false },
	{ HTTP_DELETE, "sinks/{sink}", ALL(RIGHTS_ALL), on_sink_delete, false },
	{ HTTP_GET, "routes", ANY(SERVICE), on_routes_list, false },
	{ HTTP_GET, "routes/{route}", ANY(SERVICE), on_route_get, false },
	{ HTTP_PUT, "routes/{route}", ALL(RIGHTS_ALL), on_route_put, false },
	{ HTTP_DELETE, "routes/{route}", ALL(RIGHTS_ALL), on_route_delete, false },
	{ HTTP_POST, "routes/{route}/test", ANY(SERVICE), on_route_test, false },
	{ HTTP_GET, "statistics/sinks", ANY(SERVICE | READ_REGISTRY), on_sink_statistics, false },
	{ HTTP_GET, "settings", ANY(SERVICE | READ_REGISTRY), on_settings_get, false },
	{ HTTP_PATCH, "settings", ALL(RIGHTS_ALL), on_settings_patch, false },
	/* devices' own: service-rest.md 3.5 */
	{ HTTP_POST, "devices/{device}/messages/events", ANY(CONNECTS), on_events_post, false },
	{ HTTP_POST, "devices/{device}/modules/{module}/messages/events", ANY(CONNECTS),
	    on_events_post, false },
	{ HTTP_GET, "devices/{device}/modules/$edgeHub/devicesAndModulesInDeviceScope",
	    ANY(OF_SELF), on_scope_list, false },
	{ HTTP_GET, "devices/{device}/modules/$edgeHub/deviceAndModuleInDeviceScope", ANY(OF_SELF),
	    on_scope_target, false },
	{ HTTP_POST, "devices/{device}/modules/{module}/devicesAndModulesInTargetDeviceScope",
	    ANY(OF_SELF), on_nested, false },
	{ HTTP_POST, "devices/{device}/modules/{module}/getDeviceAndModuleOnBehalfOf", ANY(OF_SELF),
	    on_nested, false },
	{ HTTP_POST, "devices/{device}/modules/{module}/putModuleOnBehalfOf", ANY(OF_SELF),
	    on_nested, false },
	{ HTTP_POST, "devices/{device}/modules/{module}/getModuleOnBehalfOf", ANY(OF_SELF),
	    on_nested, false },
	{ HTTP_POST, "devices/{device}/modules/{module}/getModulesOnTargetDevice", ANY(OF_SELF),
	    on_nested, false },
	{ HTTP_POST, "devices/{device}/modules/{module}/deleteModuleOnBehalfOf", ANY(OF_SELF),
	    on_nested, false },
	{ HTTP_POST, "devices/{device}/files", ANY(CONNECTS), on_no_files, false },
	{ HTTP_POST, "devices/{device}/files/notifications", ANY(CONNECTS), on_no_files, false },
	{ HTTP_GET, "devices/{device}/messages/deviceBound", ANY(CONNECTS), on_message_poll,
	    false },
	{ HTTP_DELETE, "devices/{device}/messages/deviceBound/{lock}", ANY(CONNECTS),
	    on_message_settled, false },
	{ HTTP_POST, "devices/{device}/messages/deviceBound/{lock}/abandon", ANY(CONNECTS),
	    on_message_settled, false },
};
const size_t nroutes = sizeof(routes) / sizeof(routes[0]);

bool
need_met(struct need need, unsigned have)
{
	return need.all ? rights_allow_all(have, need.rights) : rights_allow(have, need.rights);
}

void
on_no_files(struct request *r)
{
	reply_error(r, F_GenericNotImplemented, "uploads of files are not served here");
}

void
on_nested(struct request *r)
{
	reply_error(r, F_GenericNotImplemented,
	    "edge devices below edge devices (nested edge) are not served here: let $edgeHub have "
	    "NestedEdgeEnabled=false");
}
