/* Views: the twin and the identity as JSON (twins.md 1, service-rest.md 6.1), and a row as queries see it. */
#include "shard/record.h"

void
row_put_ids(struct out *o, const struct row *r)
{
	out_str(out_key(o, "deviceId"), row_device(r));
	out_some_str(o, "moduleId", row_module(r));
}

static struct str
connection_state(const struct row *r)
{
	return r->presence != NULL ? STR("Connected") : STR("Disconnected");
}

/* A leaf's parent is its own scope (service-rest.md 6.1). */
static struct str
parent_scope(const struct identity *id)
{
	return id->edge ? id->parent_scope : id->scope;
}

void
bytes_read_identity(struct str bytes, struct identity *id)
{
	bool ok = identity_decode(bytes, id);

	assert(ok);
	(void)ok;
}

void
bytes_read_wanted(struct str bytes, struct wanted *w)
{
	bool ok = wanted_decode(bytes, w);

	assert(ok);
	(void)ok;
}

int64_t
bytes_read_reported(struct str bytes, const struct row *r, struct section *s)
{
	int64_t activity;
	bool ok = reported_decode(bytes, &activity, s);

	assert(ok);
	(void)ok;
	return r->activity_us > activity ? r->activity_us : activity;
}

void
row_read_identity(const struct row *r, struct identity *id)
{
	bytes_read_identity(blob_str(r->records[RECORD_IDENTITY]), id);
}

void
row_read_wanted(const struct row *r, struct wanted *w)
{
	bytes_read_wanted(blob_str(r->records[RECORD_WANTED]), w);
}

void
row_read_reported(const struct row *r, struct section *s)
{
	bytes_read_reported(blob_str(r->records[RECORD_REPORTED]), r, s);
}

/* ---- what twin, identity and export have in common ---- */

static void
put_status(struct out *o, const char *name, const struct identity *id)
{
	out_str(out_key(o, name), id->enabled ? STR("enabled") : STR("disabled"));
}

static void
put_thumbprints(struct out *o, const char *name, const struct identity *id)
{
	out_open(out_key(o, name));
	out_str_or_null(out_key(o, "primaryThumbprint"), id->thumbs[0]);
	out_str_or_null(out_key(o, "secondaryThumbprint"), id->thumbs[1]);
	out_close(o);
}

static void
put_capabilities(struct out *o, const char *name, const struct identity *id)
{
	out_open(out_key(o, name));
	out_bool(out_key(o, "iotEdge"), id->edge);
	out_close(o);
}

static void
put_parent_scopes(struct out *o, const char *name, const struct identity *id)
{
	if (parent_scope(id).n == 0)
		return;
	out_list(out_key(o, name));
	out_str(o, parent_scope(id));
	out_close(o);
}

static void
put_sections(struct out *o, const struct section *desired, const struct section *reported)
{
	out_open(out_key(o, "properties"));
	section_write_service(out_value(out_key(o, "desired")), desired, SECTION_DESIRED);
	section_write_service(out_value(out_key(o, "reported")), reported, SECTION_REPORTED);
	out_close(o);
}

/* ---- the twin ---- */

static const struct view *
view_of(const void *row)
{
	return row;
}

static bool
is_module(const struct view *v)
{
	return v->module.n != 0;
}

static void
put_device_id(const void *row, const char *name, struct out *o)
{
	out_str(out_key(o, name), view_of(row)->device);
}

static void
put_module_id(const void *row, const char *name, struct out *o)
{
	out_some_str(o, name, view_of(row)->module);
}

static void
put_etag(const void *row, const char *name, struct out *o)
{
	char etag[32];

	wanted_etag(view_of(row)->w.counter, etag);
	out_cstr(out_key(o, name), etag);
}

static void
put_device_etag(const void *row, const char *name, struct out *o)
{
	char etag[32];

	identity_etag(&view_of(row)->id, etag);
	out_cstr(out_key(o, name), etag);
}

static void
put_twin_status(const void *row, const char *name, struct out *o)
{
	put_status(o, name, &view_of(row)->id);
}

static void
put_reason(const void *row, const char *name, struct out *o)
{
	out_some_str(o, name, view_of(row)->id.reason);
}

static void
put_status_time(const void *row, const char *name, struct out *o)
{
	out_time(out_key(o, name), view_of(row)->id.status_us);
}

static void
put_connection(const void *row, const char *name, struct out *o)
{
	out_str(out_key(o, name), connection_state(view_of(row)->r));
}

static void
put_activity(const void *row, const char *name, struct out *o)
{
	out_time(out_key(o, name), view_of(row)->activity_us);
}

static void
put_c2d(const void *row, const char *name, struct out *o)
{
	out_u64(out_key(o, name), view_of(row)->r->nmessage);
}

static void
put_auth_type(const void *row, const char *name, struct out *o)
{
	out_str(out_key(o, name), auth_type_names[view_of(row)->id.auth]);
}

static void
put_twin_thumbprints(const void *row, const char *name, struct out *o)
{
	put_thumbprints(o, name, &view_of(row)->id);
}

static void
put_model(const void *row, const char *name, struct out *o)
{
	out_str(out_key(o, name), view_of(row)->id.model_id);
}

static void
put_version(const void *row, const char *name, struct out *o)
{
	out_u64(out_key(o, name), view_of(row)->w.counter + view_of(row)->reported.version);
}

static void
put_tags(const void *row, const char *name, struct out *o)
{
	if (!section_empty(&view_of(row)->w.tags))
		section_write_tags(out_value(out_key(o, name)), &view_of(row)->w.tags);
}

static void
put_properties(const void *row, const char *name, struct out *o)
{
	(void)name;
	put_sections(o, &view_of(row)->w.desired, &view_of(row)->reported);
}

static void
put_configurations(const void *row, const char *name, struct out *o)
{
	if (view_of(row)->w.configurations.n != 0)
		out_doc(out_key(o, name), doc_of(view_of(row)->w.configurations));
}

static void
put_twin_capabilities(const void *row, const char *name, struct out *o)
{
	if (!is_module(row))
		put_capabilities(o, name, &view_of(row)->id);
}

static void
put_scope(const void *row, const char *name, struct out *o)
{
	if (!is_module(row))
		out_some_str(o, name, view_of(row)->id.scope);
}

static void
put_twin_parents(const void *row, const char *name, struct out *o)
{
	if (!is_module(row))
		put_parent_scopes(o, name, &view_of(row)->id);
}

#define IDENTITY RECORD_BIT(RECORD_IDENTITY)
#define WANTED   RECORD_BIT(RECORD_WANTED)
#define REPORTED RECORD_BIT(RECORD_REPORTED)
#define ROOT(id) QUERY_ROOT_##id

const struct query_member twin_members[TWIN_MEMBERS] = {
	{ "deviceId", ROOT(DEVICE_ID), put_device_id, 0 },
	{ "moduleId", ROOT(MODULE_ID), put_module_id, 0 },
	{ "etag", ROOT(ETAG), put_etag, WANTED },
	{ "deviceEtag", ROOT(DEVICE_ETAG), put_device_etag, IDENTITY },
	{ "status", ROOT(STATUS), put_twin_status, IDENTITY },
	{ "statusReason", ROOT(STATUS_REASON), put_reason, IDENTITY },
	{ "statusUpdateTime", ROOT(STATUS_UPDATE_TIME), put_status_time, IDENTITY },
	{ "connectionState", ROOT(CONNECTION_STATE), put_connection, 0 },
	{ "lastActivityTime", ROOT(LAST_ACTIVITY_TIME), put_activity, REPORTED },
	{ "cloudToDeviceMessageCount", ROOT(C2D_COUNT), put_c2d, 0 },
	{ "authenticationType", ROOT(AUTHENTICATION_TYPE), put_auth_type, IDENTITY },
	{ "x509Thumbprint", ROOT(X509_THUMBPRINT), put_twin_thumbprints, IDENTITY },
	{ "modelId", ROOT(MODEL_ID), put_model, IDENTITY },
	{ "version", ROOT(VERSION), put_version, WANTED | REPORTED },
	{ "tags", ROOT(NONE), put_tags, WANTED }, /* queries: row_section */
	{ "properties", ROOT(NONE), put_properties, WANTED | REPORTED },
	{ "configurations", ROOT(CONFIGURATIONS), put_configurations, WANTED },
	{ "capabilities", ROOT(CAPABILITIES), put_twin_capabilities, IDENTITY },
	{ "deviceScope", ROOT(DEVICE_SCOPE), put_scope, IDENTITY },
	{ "parentScopes", ROOT(PARENT_SCOPES), put_twin_parents, IDENTITY },
};

void
twin_write(const struct shard *sh, const struct row *r, struct buf *json)
{
	struct wanted w;

	row_read_wanted(r, &w);
	twin_write_as(sh, r, &w, json);
}

void
twin_write_as(
    const struct shard *sh, const struct row *r, const struct wanted *wanted, struct buf *json)
{
	struct view v = { .r = r, .device = row_device(r), .module = row_module(r), .w = *wanted };
	struct out o = out_to(json);

	(void)sh;
	row_read_identity(r, &v.id);
	v.activity_us = bytes_read_reported(blob_str(r->records[RECORD_REPORTED]), r, &v.reported);
	out_open(&o);
	query_members_write(twin_members, TWIN_MEMBERS, &v, &o);
	out_close(&o);
}

/* ---- the identity ---- */

static void
put_authentication(struct out *o, const struct identity *id)
{
	out_open(out_key(o, "authentication"));
	out_open(out_key(o, "symmetricKey"));
	out_str_or_null(out_key(o, "primaryKey"), id->keys[0]);
	out_str_or_null(out_key(o, "secondaryKey"), id->keys[1]);
	out_close(o);
	put_thumbprints(o, "x509Thumbprint", id);
	out_str(out_key(o, "type"), auth_type_names[id->auth]); /* last: R-32 */
	out_close(o);
}

/* Of a device. */
static void
put_edge(struct out *o, const struct identity *id)
{
	put_capabilities(o, "capabilities", id);
	out_some_str(o, "deviceScope", id->scope);
	put_parent_scopes(o, "parentScopes", id);
}

static void
put_generation(struct out *o, const struct identity *id)
{
	out_format(out_key(o, "generationId"), "%llu", (unsigned long long)id->generation);
}

void
identity_write(const struct shard *sh, const struct row *r, struct buf *json)
{
	bool module = r->module_n != 0;
	struct out o = out_to(json);
	struct identity id;
	char etag[32];

	(void)sh;
	row_read_identity(r, &id);
	identity_etag(&id, etag);
	out_open(&o);
	row_put_ids(&o, r);
	put_generation(&o, &id);
	out_cstr(out_key(&o, "etag"), etag);
	out_str(out_key(&o, "connectionState"), connection_state(r));
	if (!module) {
		put_status(&o, "status", &id);
		out_str_or_null(out_key(&o, "statusReason"), id.reason);
	}
	out_time(out_key(&o, "connectionStateUpdatedTime"), r->presence_us);
	if (!module)
		out_time(out_key(&o, "statusUpdatedTime"), id.status_us);
	out_time(out_key(&o, "lastActivityTime"), r->activity_us);
	out_u64(out_key(&o, "cloudToDeviceMessageCount"), r->nmessage);
	put_authentication(&o, &id);
	if (!module)
		put_edge(&o, &id);
	else
		out_str_or_null(out_key(&o, "managedBy"), id.managed_by);
	out_close(&o);
}

/* ---- an export's item: ExportImportDevice (service-rest.md 8.1, 12), and what IMPORT_WHOLE takes besides ---- */

static void
item_identity(struct out *o, struct str device, struct str module, const struct identity *id)
{
	char etag[32];

	identity_etag(id, etag);
	out_str(out_key(o, "id"), device);
	out_some_str(o, "moduleId", module);
	out_cstr(out_key(o, "eTag"), etag);
	put_generation(o, id);
	if (module.n == 0) {
		put_status(o, "status", id);
		out_some_str(o, "statusReason", id->reason);
		out_some_time(o, "statusUpdatedTime", id->status_us);
	} else {
		out_some_str(o, "managedBy", id->managed_by);
	}
	put_authentication(o, id);
	if (module.n == 0)
		put_edge(o, id);
	out_some_str(o, "modelId", id->model_id);
}

static void
item_twin(struct out *o, const struct wanted *w, const struct section *reported)
{
	char etag[32];

	wanted_etag(w->counter, etag);
	out_cstr(out_key(o, "twinETag"), etag);
	section_write_tags(out_value(out_key(o, "tags")), &w->tags);
	put_sections(o, &w->desired, reported);
}

enum err
hub_export_item(struct buf *json, struct str key, struct str identity, struct str wanted,
    struct str reported, bool keys)
{
	struct out o = out_to(json);
	struct str device, module;
	struct section section;
	struct identity id;
	struct wanted w;
	int64_t activity;

	if (key.n < 4 || !str_cut(str_sub(key, 2), '\0', &device, &module) ||
	    !record_valid(RECORD_IDENTITY, identity) || !record_valid(RECORD_WANTED, wanted) ||
	    !record_valid(RECORD_REPORTED, reported) || !identity_decode(identity, &id) ||
	    !wanted_decode(wanted, &w) || !reported_decode(reported, &activity, &section))
		return ERR_CORRUPT;
	if (!keys)
		id.keys[0] = id.keys[1] = STR_NONE;
	out_open(&o);
	item_identity(&o, device, module, &id);
	out_some_time(&o, "lastActivityTime", activity);
	item_twin(&o, &w, &section);
	out_close(&o);
	return ERR_OK;
}

void
hub_row_write_identity(const struct shard *sh, uint32_t row, struct buf *json)
{
	identity_write(sh, row_at(sh, row), json);
}
