/* The routes of the service API, and what each one needs (service-rest.md 3.3, 6, 9). */
#include "http/priv.h"

#define READ_REGISTRY  RIGHT_REGISTRY_READ
#define WRITE_REGISTRY RIGHT_REGISTRY_WRITE
#define SERVICE        RIGHT_SERVICE_CONNECT
#define OF_DEVICE      RIGHT_DEVICE_SELF /* the device's own, for its modules */
#define OF_SELF        (RIGHT_DEVICE_SELF | RIGHT_MODULE_SELF) /* the identity's own, or its device's */
#define CONNECTS       (OF_SELF | RIGHT_DEVICE_CONNECT)

const struct route routes[] = {
	{ EVHTTP_REQ_GET, "devices", READ_REGISTRY, on_devices_list, false },
	{ EVHTTP_REQ_POST, "devices", WRITE_REGISTRY, on_bulk, true },
	{ EVHTTP_REQ_POST, "devices/keys/regenerate", WRITE_REGISTRY, on_keys, false },
	{ EVHTTP_REQ_POST, "devices/query", SERVICE | READ_REGISTRY, on_query, false },
	{ EVHTTP_REQ_GET, "devices/{device}", READ_REGISTRY, on_device_get, false },
	{ EVHTTP_REQ_PUT, "devices/{device}", WRITE_REGISTRY, on_device_put, false },
	{ EVHTTP_REQ_DELETE, "devices/{device}", WRITE_REGISTRY, on_device_delete, false },
	{ EVHTTP_REQ_GET, "devices/{device}/modules", READ_REGISTRY | OF_DEVICE, on_device_modules,
	    false },
	{ EVHTTP_REQ_GET, "devices/{device}/modules/{module}", READ_REGISTRY | OF_DEVICE,
	    on_device_get, false },
	{ EVHTTP_REQ_PUT, "devices/{device}/modules/{module}", WRITE_REGISTRY | OF_DEVICE,
	    on_device_put, false },
	{ EVHTTP_REQ_DELETE, "devices/{device}/modules/{module}", WRITE_REGISTRY | OF_DEVICE,
	    on_device_delete, false },
	{ EVHTTP_REQ_GET, "twins/{device}", SERVICE, on_twin, false },
	{ EVHTTP_REQ_PATCH, "twins/{device}", SERVICE, on_twin, false },
	{ EVHTTP_REQ_PUT, "twins/{device}", SERVICE, on_twin, false },
	{ EVHTTP_REQ_GET, "twins/{device}/modules/{module}", SERVICE, on_twin, false },
	{ EVHTTP_REQ_PATCH, "twins/{device}/modules/{module}", SERVICE, on_twin, false },
	{ EVHTTP_REQ_PUT, "twins/{device}/modules/{module}", SERVICE, on_twin, false },
	{ EVHTTP_REQ_GET, "twins/{device}/convergence", SERVICE, on_convergence, false },
	{ EVHTTP_REQ_GET, "twins/{device}/modules/{module}/convergence", SERVICE, on_convergence,
	    false },
	{ EVHTTP_REQ_GET, "twins/{device}/configurations", SERVICE, on_twin_configurations, false },
	{ EVHTTP_REQ_GET, "twins/{device}/modules/{module}/configurations", SERVICE,
	    on_twin_configurations, false },
	{ EVHTTP_REQ_POST, "twins/{device}/methods", SERVICE, on_method_call, false },
	{ EVHTTP_REQ_POST, "twins/{device}/modules/{module}/methods", SERVICE, on_method_call,
	    false },
	{ EVHTTP_REQ_DELETE, "devices/{device}/commands", SERVICE | WRITE_REGISTRY, on_purge,
	    false },
	{ EVHTTP_REQ_GET, "messages/serviceBound/feedback", SERVICE, on_feedback, false },
	{ EVHTTP_REQ_GET, "statistics/devices", SERVICE | READ_REGISTRY, on_statistics, false },
	{ EVHTTP_REQ_GET, "statistics/service", SERVICE | READ_REGISTRY, on_statistics, false },
	{ EVHTTP_REQ_GET, "statistics/configurations", SERVICE | READ_REGISTRY, on_statistics,
	    false },
	{ EVHTTP_REQ_GET, "statistics/columns", SERVICE | READ_REGISTRY, on_column_statistics,
	    false },
	{ EVHTTP_REQ_GET, "statistics/store", SERVICE | READ_REGISTRY, on_store_statistics, false },
	{ EVHTTP_REQ_GET, "configurations", SERVICE | READ_REGISTRY, on_configurations_list,
	    false },
	{ EVHTTP_REQ_POST, "configurations/testQueries", SERVICE | WRITE_REGISTRY, on_test_queries,
	    false },
	{ EVHTTP_REQ_GET, "configurations/{configuration}", SERVICE | READ_REGISTRY,
	    on_configuration_get, false },
	{ EVHTTP_REQ_GET, "configurations/{configuration}/devices", SERVICE | READ_REGISTRY,
	    on_configuration_devices, false },
	{ EVHTTP_REQ_PUT, "configurations/{configuration}", SERVICE | WRITE_REGISTRY,
	    on_configuration_update, false },
	{ EVHTTP_REQ_POST, "configurations/{configuration}", SERVICE | WRITE_REGISTRY,
	    on_configuration_post, false },
	{ EVHTTP_REQ_DELETE, "configurations/{configuration}", SERVICE | WRITE_REGISTRY,
	    on_configuration_remove, false },
	{ EVHTTP_REQ_POST, "configurations/{configuration}/rollout/{action}",
	    SERVICE | WRITE_REGISTRY, on_rollout_action, false },
	{ EVHTTP_REQ_POST, "devices/{device}/applyConfigurationContent", SERVICE | WRITE_REGISTRY,
	    on_apply_configuration, false },
	{ EVHTTP_REQ_GET, "admin/policies", RIGHTS_ALL, on_policies, false },
	{ EVHTTP_REQ_GET, "admin/policies/{name}", RIGHTS_ALL, on_policies, false },
	{ EVHTTP_REQ_POST, "admin/policies/{name}/rotate", RIGHTS_ALL, on_policy_rotate, false },
	{ EVHTTP_REQ_POST, "admin/backup", RIGHTS_ALL, on_backup, false },
	{ EVHTTP_REQ_GET, "jobs/v2/query", SERVICE | READ_REGISTRY, on_jobs_list, false },
	{ EVHTTP_REQ_POST, "jobs/v2/{job}", SERVICE | WRITE_REGISTRY, on_job_try, false },
	{ EVHTTP_REQ_PUT, "jobs/v2/{job}", SERVICE | WRITE_REGISTRY, on_job_create, false },
	{ EVHTTP_REQ_GET, "jobs/v2/{job}", SERVICE | READ_REGISTRY, on_job_read, false },
	{ EVHTTP_REQ_POST, "jobs/v2/{job}/cancel", SERVICE | WRITE_REGISTRY, on_job_stop, false },
	{ EVHTTP_REQ_GET, "admin/export", READ_REGISTRY, on_export, false },
	{ EVHTTP_REQ_POST, "admin/import", WRITE_REGISTRY, on_import, true },
	{ EVHTTP_REQ_POST, "jobs/create", WRITE_REGISTRY, on_file_job_create, false },
	{ EVHTTP_REQ_GET, "jobs", READ_REGISTRY, on_file_jobs_list, false },
	{ EVHTTP_REQ_GET, "jobs/{job}", READ_REGISTRY, on_file_job_read, false },
	{ EVHTTP_REQ_DELETE, "jobs/{job}", WRITE_REGISTRY, on_file_job_cancel, false },
	{ EVHTTP_REQ_GET, "digitaltwins/{device}", SERVICE, on_digital_twin_get, false },
	{ EVHTTP_REQ_PATCH, "digitaltwins/{device}", SERVICE, on_digital_twin_patch, false },
	{ EVHTTP_REQ_POST, "digitaltwins/{device}/commands/{command}", SERVICE, on_digital_command,
	    false },
	{ EVHTTP_REQ_POST, "digitaltwins/{device}/components/{component}/commands/{command}",
	    SERVICE, on_digital_command, false },
	/* devices' own: service-rest.md 3.5 */
	{ EVHTTP_REQ_POST, "devices/{device}/messages/events", CONNECTS, on_events_post, false },
	{ EVHTTP_REQ_POST, "devices/{device}/modules/{module}/messages/events", CONNECTS,
	    on_events_post, false },
	{ EVHTTP_REQ_GET, "devices/{device}/modules/$edgeHub/devicesAndModulesInDeviceScope",
	    OF_SELF, on_scope_list, false },
	{ EVHTTP_REQ_GET, "devices/{device}/modules/$edgeHub/deviceAndModuleInDeviceScope", OF_SELF,
	    on_scope_target, false },
	{ EVHTTP_REQ_POST, "devices/{device}/modules/{module}/devicesAndModulesInTargetDeviceScope",
	    OF_SELF, on_nested, false },
	{ EVHTTP_REQ_POST, "devices/{device}/modules/{module}/getDeviceAndModuleOnBehalfOf",
	    OF_SELF, on_nested, false },
	{ EVHTTP_REQ_POST, "devices/{device}/modules/{module}/putModuleOnBehalfOf", OF_SELF,
	    on_nested, false },
	{ EVHTTP_REQ_POST, "devices/{device}/modules/{module}/getModuleOnBehalfOf", OF_SELF,
	    on_nested, false },
	{ EVHTTP_REQ_POST, "devices/{device}/modules/{module}/getModulesOnTargetDevice", OF_SELF,
	    on_nested, false },
	{ EVHTTP_REQ_POST, "devices/{device}/modules/{module}/deleteModuleOnBehalfOf", OF_SELF,
	    on_nested, false },
	{ EVHTTP_REQ_POST, "devices/{device}/files", CONNECTS, on_no_files, false },
	{ EVHTTP_REQ_POST, "devices/{device}/files/notifications", CONNECTS, on_no_files, false },
	{ EVHTTP_REQ_GET, "devices/{device}/messages/deviceBound", CONNECTS, on_no_messages,
	    false },
	{ EVHTTP_REQ_DELETE, "devices/{device}/messages/deviceBound/{lock}", CONNECTS,
	    on_no_messages, false },
	{ EVHTTP_REQ_POST, "devices/{device}/messages/deviceBound/{lock}/abandon", CONNECTS,
	    on_no_messages, false },
};
const size_t nroutes = sizeof(routes) / sizeof(routes[0]);

void
on_no_files(struct request *r)
{
	reply_error(r, F_GenericNotImplemented, "uploads of files are not served here");
}

void
on_no_messages(struct request *r)
{
	reply_error(r, F_GenericNotImplemented, "messages to devices are not served here");
}

void
on_nested(struct request *r)
{
	reply_error(r, F_GenericNotImplemented,
	    "edge devices below edge devices (nested edge) are not served here: let $edgeHub have "
	    "NestedEdgeEnabled=false");
}
