/*
 * One identity with its twin as a line. Azure's tools show the same things under several names: an identity of the registry
 * has `authentication`; one that a query shows has its members one level up, and those of the twin beside it; the Python
 * tools write some of them with underscores.
 */
#include "foreign/priv.h"

void
foreign_member(struct buf *json, struct str name)
{
	if (json->n > 0 && json->p[json->n - 1] != '{')
		buf_putc(json, ',');
	doc_write_json_str(json, name);
	buf_putc(json, ':');
}

/* ---- what is there ---- */

static bool
is_there(struct doc d)
{
	return doc_defined(d) && doc_kind(d) != DOC_NULL;
}

/* By the first of these names (empty: no more) that the identity has, else the twin. */
static struct doc
pick(const struct foreign_entry *e, struct str name, struct str other)
{
	struct doc d = doc_get(e->identity, name);

	if (!is_there(d) && other.n > 0)
		d = doc_get(e->identity, other);
	if (!is_there(d))
		d = doc_get(e->twin, name);
	return d;
}

static struct doc
section(const struct foreign_entry *e, struct str name)
{
	struct doc d = doc_get(doc_getc(e->twin, "properties"), name);

	return is_there(d) ? d : doc_get(doc_getc(e->identity, "properties"), name);
}

bool
foreign_is_edge(const struct foreign_entry *e)
{
	struct doc capabilities = pick(e, STR("capabilities"), STR_NONE);

	return e->module.n == 0 && doc_kind(doc_getc(capabilities, "iotEdge")) == DOC_TRUE;
}

/* ---- what is written ---- */

static void
put(struct buf *out, struct str name, struct doc d)
{
	if (!is_there(d))
		return;
	foreign_member(out, name);
	doc_write_json(out, d);
}

static void
put_str(struct buf *out, struct str name, struct str s)
{
	if (s.n == 0)
		return;
	foreign_member(out, name);
	doc_write_json_str(out, s);
}

static void
put_authentication(struct buf *out, const struct foreign_entry *e)
{
	struct doc whole = doc_getc(e->identity, "authentication"),
	           type = pick(e, STR("authenticationType"), STR("authentication_type"));

	if (doc_kind(whole) == DOC_OBJECT) {
		put(out, STR("authentication"), whole);
		return;
	}
	if (!is_there(type))
		return;
	foreign_member(out, STR("authentication"));
	buf_putc(out, '{');
	put(out, STR("type"), type);
	put(out, STR("symmetricKey"), pick(e, STR("symmetricKey"), STR("symmetric_key")));
	put(out, STR("x509Thumbprint"), pick(e, STR("x509Thumbprint"), STR("x509_thumbprint")));
	buf_putc(out, '}');
}

static void
put_scopes(struct buf *out, const struct foreign_entry *e)
{
	bool edge = foreign_is_edge(e);
	struct doc own = pick(e, STR("deviceScope"), STR_NONE),
	           parents = pick(e, STR("parentScopes"), STR_NONE);
	struct str scope = edge ? e->scope : e->parent_scope;

	if (e->module.n > 0)
		return;
	if (doc_kind(own) == DOC_STRING && doc_str(own).n > 0)
		scope = doc_str(own);
	put_str(out, STR("deviceScope"), scope);
	if (doc_kind(parents) == DOC_ARRAY && doc_count(parents) > 0) {
		put(out, STR("parentScopes"), parents);
	} else if (edge && e->parent_scope.n > 0) {
		foreign_member(out, STR("parentScopes"));
		buf_putc(out, '[');
		doc_write_json_str(out, e->parent_scope);
		buf_putc(out, ']');
	}
}

/* A device's etag is its twin's in what queries show, and the identity's beside it; a module's twin has its own alone. */
static void
put_tags_of_version(struct buf *out, const struct foreign_entry *e)
{
	struct doc twin = doc_get(e->twin, STR("etag")),
	           identity = doc_get(e->twin, STR("deviceEtag"));

	if (!is_there(identity))
		identity = doc_get(e->identity, STR("deviceEtag"));
	if (!is_there(identity) && !doc_defined(doc_getc(e->identity, "properties")))
		identity = doc_get(e->identity, STR("etag"));
	put(out, STR("eTag"), identity);
	put(out, STR("twinETag"), twin);
}

static void
put_properties(struct buf *out, const struct foreign_entry *e)
{
	struct doc desired = section(e, STR("desired")), reported = section(e, STR("reported"));

	if (!is_there(desired) && !is_there(reported))
		return;
	foreign_member(out, STR("properties"));
	buf_putc(out, '{');
	put(out, STR("desired"), desired);
	put(out, STR("reported"), reported);
	buf_putc(out, '}');
}

void
foreign_line(struct buf *out, const struct foreign_entry *e)
{
	buf_putc(out, '{');
	put_str(out, STR("id"), e->device);
	put_str(out, STR("moduleId"), e->module);
	put_tags_of_version(out, e);
	put(out, STR("generationId"), pick(e, STR("generationId"), STR("generation_id")));
	if (e->module.n == 0) {
		put(out, STR("status"), pick(e, STR("status"), STR_NONE));
		put(out, STR("statusReason"), pick(e, STR("statusReason"), STR_NONE));
		put(out, STR("statusUpdatedTime"),
		    pick(e, STR("statusUpdatedTime"), STR("statusUpdateTime")));
		put(out, STR("capabilities"), pick(e, STR("capabilities"), STR_NONE));
	}
	put_authentication(out, e);
	put_scopes(out, e);
	put(out, STR("managedBy"), pick(e, STR("managedBy"), STR("managed_by")));
	put(out, STR("modelId"), pick(e, STR("modelId"), STR_NONE));
	put(out, STR("lastActivityTime"), doc_get(e->twin, STR("lastActivityTime")));
	put(out, STR("tags"), pick(e, STR("tags"), STR_NONE));
	put_properties(out, e);
	buf_putc(out, '}');
}

void
foreign_configuration(struct buf *out, struct str id, struct doc configuration)
{
	static const char *const members[] = { "content", "targetCondition", "priority", "labels" };
	struct doc metrics = doc_getc(doc_getc(configuration, "metrics"), "queries");

	buf_cstr(out, "{\"configuration\":{");
	put_str(out, STR("id"), id);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		put(out, str_of(members[i]), doc_get(configuration, str_of(members[i])));
	if (is_there(metrics)) {
		foreign_member(out, STR("metrics"));
		buf_putc(out, '{');
		put(out, STR("queries"), metrics);
		buf_putc(out, '}');
	}
	buf_cstr(out, "}}");
}
