/* Views: the twin and the identity as JSON (twins.md 1, service-rest.md 6.1), and a row as queries see it. */
#include "shard/record.h"

static void
member(struct buf *json, const char *name)
{
	if (json->n > 0 && json->p[json->n - 1] != '{')
		buf_putc(json, ',');
	buf_putc(json, '"');
	buf_cstr(json, name);
	buf_cstr(json, "\":");
}

static void
put_str(struct buf *json, const char *name, struct str v)
{
	member(json, name);
	doc_write_json_str(json, v);
}

static void
put_str_or_null(struct buf *json, const char *name, struct str v)
{
	if (v.n != 0) {
		put_str(json, name, v);
		return;
	}
	member(json, name);
	buf_cstr(json, "null");
}

static void
put_time(struct buf *json, const char *name, int64_t us)
{
	char t[TIME_TEXT_MAX];
	size_t n = time_format(us, t);

	put_str(json, name, (struct str){ t, n });
}

static void
put_number(struct buf *json, const char *name, uint64_t v)
{
	member(json, name);
	buf_u64(json, v);
}

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

static void
put_thumbprints(struct buf *json, const struct identity *id)
{
	member(json, "x509Thumbprint");
	buf_putc(json, '{');
	put_str_or_null(json, "primaryThumbprint", id->thumbs[0]);
	put_str_or_null(json, "secondaryThumbprint", id->thumbs[1]);
	buf_putc(json, '}');
}

static void
put_capabilities(struct buf *json, const struct identity *id)
{
	member(json, "capabilities");
	buf_cstr(json, id->edge ? "{\"iotEdge\":true}" : "{\"iotEdge\":false}");
}

/* A leaf's parent is its own scope (service-rest.md 6.1). */
static struct str
parent_scope(const struct identity *id)
{
	return id->edge ? id->parent_scope : id->scope;
}

static void
put_scopes(struct buf *json, const struct identity *id)
{
	if (id->scope.n != 0)
		put_str(json, "deviceScope", id->scope);
	if (parent_scope(id).n != 0) {
		member(json, "parentScopes");
		buf_putc(json, '[');
		doc_write_json_str(json, parent_scope(id));
		buf_putc(json, ']');
	}
}

static void
read_identity(struct str bytes, struct identity *id)
{
	bool ok = identity_decode(bytes, id);

	assert(ok);
	(void)ok;
}

static void
read_wanted(struct str bytes, struct wanted *w)
{
	bool ok = wanted_decode(bytes, w);

	assert(ok);
	(void)ok;
}

static int64_t
read_reported(struct str bytes, const struct row *r, struct section *s)
{
	int64_t activity;
	bool ok = reported_decode(bytes, &activity, s);

	assert(ok);
	(void)ok;
	return r->activity_us > activity ? r->activity_us : activity;
}

void
twin_write(const struct shard *sh, const struct row *r, struct buf *json)
{
	struct wanted w;

	read_wanted(blob_str(r->records[RECORD_WANTED]), &w);
	twin_write_as(sh, r, &w, json);
}

void
twin_write_as(
    const struct shard *sh, const struct row *r, const struct wanted *wanted, struct buf *json)
{
	struct wanted w = *wanted;
	struct identity id;
	struct section reported;
	int64_t activity;
	char etag[32];

	(void)sh;
	read_identity(blob_str(r->records[RECORD_IDENTITY]), &id);
	activity = read_reported(blob_str(r->records[RECORD_REPORTED]), r, &reported);
	buf_putc(json, '{');
	put_str(json, "deviceId", row_device(r));
	if (r->module_n != 0)
		put_str(json, "moduleId", row_module(r));
	wanted_etag(w.counter, etag);
	put_str(json, "etag", str_of(etag));
	identity_etag(&id, etag);
	put_str(json, "deviceEtag", str_of(etag));
	put_str(json, "status", id.enabled ? STR("enabled") : STR("disabled"));
	if (id.reason.n != 0)
		put_str(json, "statusReason", id.reason);
	put_time(json, "statusUpdateTime", id.status_us);
	put_str(json, "connectionState", connection_state(r));
	put_time(json, "lastActivityTime", activity);
	put_number(json, "cloudToDeviceMessageCount", 0);
	put_str(json, "authenticationType", auth_type_names[id.auth]);
	put_thumbprints(json, &id);
	put_str(json, "modelId", id.model_id);
	put_number(json, "version", w.counter + reported.version);
	if (!section_empty(&w.tags)) {
		member(json, "tags");
		section_write_tags(json, &w.tags);
	}
	member(json, "properties");
	buf_cstr(json, "{\"desired\":");
	section_write_service(json, &w.desired, SECTION_DESIRED);
	buf_cstr(json, ",\"reported\":");
	section_write_service(json, &reported, SECTION_REPORTED);
	buf_putc(json, '}');
	if (w.configurations.n != 0) {
		member(json, "configurations");
		doc_write_json(json, doc_of(w.configurations));
	}
	if (r->module_n == 0) {
		put_capabilities(json, &id);
		put_scopes(json, &id);
	}
	buf_putc(json, '}');
}

static void
put_authentication(struct buf *json, const struct identity *id)
{
	member(json, "authentication");
	buf_cstr(json, "{\"symmetricKey\":{");
	put_str_or_null(json, "primaryKey", id->keys[0]);
	put_str_or_null(json, "secondaryKey", id->keys[1]);
	buf_putc(json, '}');
	put_thumbprints(json, id);
	put_str(json, "type", auth_type_names[id->auth]); /* last: R-32 */
	buf_putc(json, '}');
}

void
identity_write(const struct shard *sh, const struct row *r, struct buf *json)
{
	struct identity id;
	char etag[32];

	(void)sh;
	read_identity(blob_str(r->records[RECORD_IDENTITY]), &id);
	identity_etag(&id, etag);
	buf_putc(json, '{');
	put_str(json, "deviceId", row_device(r));
	if (r->module_n != 0)
		put_str(json, "moduleId", row_module(r));
	member(json, "generationId");
	buf_putc(json, '"');
	buf_u64(json, id.generation);
	buf_putc(json, '"');
	put_str(json, "etag", str_of(etag));
	put_str(json, "connectionState", connection_state(r));
	if (r->module_n == 0) {
		put_str(json, "status", id.enabled ? STR("enabled") : STR("disabled"));
		put_str_or_null(json, "statusReason", id.reason);
	}
	put_time(json, "connectionStateUpdatedTime", r->presence_us);
	if (r->module_n == 0)
		put_time(json, "statusUpdatedTime", id.status_us);
	put_time(json, "lastActivityTime", r->activity_us);
	put_number(json, "cloudToDeviceMessageCount", 0);
	put_authentication(json, &id);
	if (r->module_n == 0) {
		put_capabilities(json, &id);
		put_scopes(json, &id);
	} else {
		put_str_or_null(json, "managedBy", id.managed_by);
	}
	buf_putc(json, '}');
}

/* ---- an export's item: ExportImportDevice (service-rest.md 8.1, 12), and what IMPORT_WHOLE takes besides ---- */

static void
put_known_time(struct buf *json, const char *name, int64_t us)
{
	if (us != 0)
		put_time(json, name, us);
}

static void
item_identity(struct buf *json, struct str device, struct str module, const struct identity *id)
{
	char etag[32];

	identity_etag(id, etag);
	put_str(json, "id", device);
	if (module.n != 0)
		put_str(json, "moduleId", module);
	put_str(json, "eTag", str_of(etag));
	member(json, "generationId");
	buf_printf(json, "\"%llu\"", (unsigned long long)id->generation);
	if (module.n == 0) {
		put_str(json, "status", id->enabled ? STR("enabled") : STR("disabled"));
		if (id->reason.n != 0)
			put_str(json, "statusReason", id->reason);
		put_known_time(json, "statusUpdatedTime", id->status_us);
	} else if (id->managed_by.n != 0) {
		put_str(json, "managedBy", id->managed_by);
	}
	put_authentication(json, id);
	if (module.n == 0) {
		put_capabilities(json, id);
		put_scopes(json, id);
	}
	if (id->model_id.n != 0)
		put_str(json, "modelId", id->model_id);
}

static void
item_twin(struct buf *json, const struct wanted *w, const struct section *reported)
{
	char etag[32];

	wanted_etag(w->counter, etag);
	put_str(json, "twinETag", str_of(etag));
	member(json, "tags");
	section_write_tags(json, &w->tags);
	member(json, "properties");
	buf_cstr(json, "{\"desired\":");
	section_write_service(json, &w->desired, SECTION_DESIRED);
	buf_cstr(json, ",\"reported\":");
	section_write_service(json, reported, SECTION_REPORTED);
	buf_putc(json, '}');
}

enum err
hub_export_item(struct buf *json, struct str key, struct str identity, struct str wanted,
    struct str reported, bool keys)
{
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
	buf_putc(json, '{');
	item_identity(json, device, module, &id);
	put_known_time(json, "lastActivityTime", activity);
	item_twin(json, &w, &section);
	buf_putc(json, '}');
	return ERR_OK;
}

void
hub_row_write_identity(const struct shard *sh, uint32_t row, struct buf *json)
{
	identity_write(sh, row_at(sh, row), json);
}

/* ---- a row as queries see it ---- */

void
hub_row_open(struct hub_row *r, const struct shard *sh, uint32_t row)
{
	r->shard = sh;
	r->row = row;
	r->have = 0;
	r->ngiven = 0;
}

bool
hub_row_meet(struct hub_row *r, struct shard *sh, struct str key)
{
	struct str device, module;
	uint32_t row;

	str_cut(str_sub(key, 2), '\0', &device, &module);
	row = shard_find(sh, device, module);
	if (row != TABLE_NONE)
		hub_row_open(r, sh, row);
	return row != TABLE_NONE;
}

bool
hub_row_give(struct hub_row *r, enum record_kind kind, struct str value)
{
	if (row_at(r->shard, r->row)->records[kind] != NULL)
		return true;
	r->given[kind] = value;
	r->ngiven |= RECORD_BIT(kind);
	return record_valid(kind, value);
}

static struct str
record_of(const struct hub_row *hr, enum record_kind kind)
{
	return hr->ngiven & RECORD_BIT(kind) ? hr->given[kind]
	                                     : blob_str(row_at(hr->shard, hr->row)->records[kind]);
}

static struct doc
value_str(struct buf *scratch, struct str s)
{
	struct doc_writer dw;
	size_t from = scratch->n;

	doc_writer_init(&dw, scratch, 0);
	doc_put_str(&dw, 0, s);
	return doc_of((struct str){ scratch->p + from, scratch->n - from });
}

static struct doc
value_time(struct buf *scratch, int64_t us)
{
	char t[TIME_TEXT_MAX];
	size_t n = time_format(us, t);

	return value_str(scratch, (struct str){ t, n });
}

static struct doc
value_int(struct buf *scratch, int64_t v)
{
	struct doc_writer dw;
	size_t from = scratch->n;

	doc_writer_init(&dw, scratch, 0);
	doc_put_int(&dw, 0, v);
	return doc_of((struct str){ scratch->p + from, scratch->n - from });
}

static struct doc
value_optional(struct buf *scratch, struct str s)
{
	return s.n == 0 ? DOC_NONE : value_str(scratch, s);
}

static void
put_thumb(struct doc_writer *dw, struct str key, struct str thumb)
{
	doc_key(dw, key);
	if (thumb.n != 0)
		doc_put_str(dw, 0, thumb);
	else
		doc_put_null(dw, 0);
}

/* Objects and arrays among the root fields. */
static struct doc
value_composed(struct buf *scratch, enum query_root root, const struct identity *id)
{
	struct doc_writer dw;
	size_t from = scratch->n;

	doc_writer_init(&dw, scratch, 0);
	if (root == QUERY_ROOT_PARENT_SCOPES) {
		if (parent_scope(id).n == 0)
			return DOC_NONE;
		doc_begin_array(&dw, 0);
		doc_put_str(&dw, 0, parent_scope(id));
	} else {
		doc_begin_object(&dw, 0);
		if (root == QUERY_ROOT_X509_THUMBPRINT) {
			put_thumb(&dw, STR("primaryThumbprint"), id->thumbs[0]);
			put_thumb(&dw, STR("secondaryThumbprint"), id->thumbs[1]);
		} else {
			doc_key(&dw, STR("iotEdge"));
			doc_put_bool(&dw, 0, id->edge);
		}
	}
	doc_end(&dw);
	return doc_of((struct str){ scratch->p + from, scratch->n - from });
}

/* Fields that live in the identity record. */
static struct doc
identity_root(const struct hub_row *hr, enum query_root root, struct buf *scratch)
{
	struct identity id;
	char etag[32];

	read_identity(record_of(hr, RECORD_IDENTITY), &id);
	if (row_at(hr->shard, hr->row)->module_n != 0 &&
	    (root == QUERY_ROOT_CAPABILITIES || root == QUERY_ROOT_DEVICE_SCOPE ||
	        root == QUERY_ROOT_PARENT_SCOPES))
		return DOC_NONE;
	switch (root) {
	case QUERY_ROOT_DEVICE_ETAG:
		identity_etag(&id, etag);
		return value_str(scratch, str_of(etag));
	case QUERY_ROOT_STATUS:
		return value_str(scratch, id.enabled ? STR("enabled") : STR("disabled"));
	case QUERY_ROOT_STATUS_REASON: return value_optional(scratch, id.reason);
	case QUERY_ROOT_STATUS_UPDATE_TIME: return value_time(scratch, id.status_us);
	case QUERY_ROOT_AUTHENTICATION_TYPE: return value_str(scratch, auth_type_names[id.auth]);
	case QUERY_ROOT_MODEL_ID: return value_str(scratch, id.model_id);
	case QUERY_ROOT_DEVICE_SCOPE: return value_optional(scratch, id.scope);
	default: return value_composed(scratch, root, &id);
	}
}

static struct doc
row_root(const void *row, enum query_root root, struct buf *scratch)
{
	const struct hub_row *hr = row;
	const struct row *r = row_at(hr->shard, hr->row);
	struct section reported;
	struct wanted w;
	char etag[32];

	switch (root) {
	case QUERY_ROOT_DEVICE_ID: return value_str(scratch, row_device(r));
	case QUERY_ROOT_MODULE_ID: return value_optional(scratch, row_module(r));
	case QUERY_ROOT_CONNECTION_STATE: return value_str(scratch, connection_state(r));
	case QUERY_ROOT_LAST_ACTIVITY_TIME:
		return value_time(
		    scratch, read_reported(record_of(hr, RECORD_REPORTED), r, &reported));
	case QUERY_ROOT_C2D_COUNT: return value_int(scratch, 0);
	case QUERY_ROOT_ETAG:
		read_wanted(record_of(hr, RECORD_WANTED), &w);
		wanted_etag(w.counter, etag);
		return value_str(scratch, str_of(etag));
	case QUERY_ROOT_VERSION:
		read_wanted(record_of(hr, RECORD_WANTED), &w);
		read_reported(record_of(hr, RECORD_REPORTED), r, &reported);
		return value_int(scratch, (int64_t)(w.counter + reported.version));
	case QUERY_ROOT_CONFIGURATIONS:
		read_wanted(record_of(hr, RECORD_WANTED), &w);
		return w.configurations.n == 0 ? DOC_NONE : doc_of(w.configurations);
	default: return identity_root(hr, root, scratch);
	}
}

static const struct section *
row_section(const void *row, enum section_kind kind)
{
	struct hub_row *hr = (struct hub_row *)row; /* prepared on first use */
	const struct row *r = row_at(hr->shard, hr->row);
	struct wanted w;

	if (!(hr->have & (1u << kind))) {
		if (kind == SECTION_REPORTED) {
			read_reported(
			    record_of(hr, RECORD_REPORTED), r, &hr->sections[SECTION_REPORTED]);
			hr->have |= 1u << SECTION_REPORTED;
		} else {
			read_wanted(record_of(hr, RECORD_WANTED), &w);
			hr->sections[SECTION_TAGS] = w.tags;
			hr->sections[SECTION_DESIRED] = w.desired;
			hr->have |= 1u << SECTION_TAGS | 1u << SECTION_DESIRED;
		}
	}
	return &hr->sections[kind];
}

static void
row_write_document(const void *row, struct buf *json)
{
	const struct hub_row *hr = row;

	twin_write(hr->shard, row_at(hr->shard, hr->row), json);
}

const struct query_row_ops hub_query_ops = { row_root, row_section, row_write_document };
