/* The digital twin as it is read: reported values, and beside them what is desired and what the device says of it. */
#include "twin/digital.h"

#include "twin/priv.h"

/* What there is to say of one property. */
struct property {
	struct doc desired, reported;
};

struct face {
	struct buf *json;
	const struct section *desired, *reported;
	struct stamp_index desired_stamps, reported_stamps;
};

static bool
is_mark(struct str key, struct doc v)
{
	return str_eq(key, STR("__t")) && kind_of(v) == DOC_STRING && str_eq(doc_str(v), STR("c"));
}

bool
digital_is_component(struct doc d)
{
	struct walk it = walk_of(kind_of(d) == DOC_OBJECT ? d : DOC_NONE);
	struct str key;
	struct doc v;

	while (walk_next(&it, &key, &v))
		if (is_mark(key, v))
			return true;
	return false;
}

/* ---- acknowledgements: {value, ac, av, ad}; some devices leave av out ---- */

struct answer {
	struct doc value, code, version, description;
};

static bool
answer_take(struct doc d, struct answer *a)
{
	struct walk it = walk_of(kind_of(d) == DOC_OBJECT ? d : DOC_NONE);
	struct str key;
	struct doc v;

	*a = (struct answer){ DOC_NONE, DOC_NONE, DOC_NONE, DOC_NONE };
	while (walk_next(&it, &key, &v)) {
		if (str_eq(key, STR("value")))
			a->value = v;
		else if (str_eq(key, STR("ac")))
			a->code = v;
		else if (str_eq(key, STR("av")))
			a->version = v;
		else if (str_eq(key, STR("ad")))
			a->description = v;
		else
			return false;
	}
	return doc_defined(a->value) && doc_is_number(a->code);
}

/* ---- writing ---- */

/* The name of a member, in an object that is open. */
static void
put_key(struct buf *json, struct str key)
{
	if (json->p[json->n - 1] != '{')
		buf_putc(json, ',');
	doc_write_json_str(json, key);
	buf_putc(json, ':');
}

static void
put_member(struct buf *json, struct str key, struct doc v)
{
	if (!doc_defined(v))
		return;
	put_key(json, key);
	doc_write_json(json, v);
}

static void
put_metadata(struct face *fc, const struct property *p)
{
	struct buf *json = fc->json;
	struct answer a;

	buf_putc(json, '{');
	if (doc_defined(p->desired)) {
		put_member(json, STR("desiredValue"), p->desired);
		put_key(json, STR("desiredVersion"));
		buf_u64(json,
		    stamp_at(fc->desired, &fc->desired_stamps, doc_stamp(p->desired)).version);
	}
	if (answer_take(p->reported, &a)) {
		put_member(json, STR("ackVersion"), a.version);
		put_member(json, STR("ackCode"), a.code);
		put_member(json, STR("ackDescription"), a.description);
	}
	if (doc_defined(p->reported)) {
		char time[TIME_TEXT_MAX];
		struct stamp st =
		    stamp_at(fc->reported, &fc->reported_stamps, doc_stamp(p->reported));

		put_key(json, STR("lastUpdateTime"));
		doc_write_json_str(json, (struct str){ time, time_format(st.time_us, time) });
	}
	buf_putc(json, '}');
}

static void put_component(struct face *fc, struct doc desired, struct doc reported);

static void
put_one(struct face *fc, struct str key, const struct property *p, bool root, struct buf *metadata)
{
	struct buf *json = fc->json;
	struct answer a;

	if (root && (digital_is_component(p->reported) || digital_is_component(p->desired))) {
		put_key(json, key);
		buf_putc(json, '{');
		put_component(fc, p->desired, p->reported);
		buf_putc(json, '}');
		return;
	}
	put_member(json, key, answer_take(p->reported, &a) ? a.value : p->reported);
	fc->json = metadata;
	put_key(metadata, key);
	put_metadata(fc, p);
	fc->json = json;
}

/* All properties, those that are reported first; what there is to say of them goes to `metadata`. */
static void
put_properties(
    struct face *fc, struct doc desired, struct doc reported, bool root, struct buf *metadata)
{
	struct walk it = walk_of(kind_of(reported) == DOC_OBJECT ? reported : DOC_NONE);
	struct property p = { DOC_NONE, DOC_NONE };
	const struct member *m;
	struct members wanted;
	struct str key;

	members_init(&wanted, kind_of(desired) == DOC_OBJECT ? desired : DOC_NONE);
	while (walk_next(&it, &key, &p.reported)) {
		m = members_take(&wanted, key);
		p.desired = m != NULL ? m->value : DOC_NONE;
		if (root || !is_mark(key, p.reported))
			put_one(fc, key, &p, root, metadata);
	}
	for (uint32_t i = 0; i < wanted.n; i++) {
		p = (struct property){ wanted.v[i].value, DOC_NONE };
		if (!wanted.v[i].taken && (root || !is_mark(wanted.v[i].key, p.desired)))
			put_one(fc, wanted.v[i].key, &p, root, metadata);
	}
	members_fini(&wanted);
}

static void
put_component(struct face *fc, struct doc desired, struct doc reported)
{
	struct buf metadata = { 0 };

	buf_putc(&metadata, '{');
	put_properties(fc, desired, reported, false, &metadata);
	buf_putc(&metadata, '}');
	put_key(fc->json, STR("$metadata"));
	buf_str(fc->json, buf_view(&metadata));
	buf_fini(&metadata);
}

void
digital_write(struct buf *json, struct str id, struct str model, const struct section *desired,
    const struct section *reported)
{
	struct face fc = { .json = json, .desired = desired, .reported = reported };
	struct buf metadata = { 0 };

	stamp_index_init(&fc.desired_stamps, desired);
	stamp_index_init(&fc.reported_stamps, reported);
	buf_putc(json, '{');
	put_key(json, STR("$dtId"));
	doc_write_json_str(json, id);
	buf_putc(&metadata, '{');
	put_key(&metadata, STR("$model"));
	doc_write_json_str(&metadata, model);
	put_properties(&fc, desired->root, reported->root, true, &metadata);
	buf_putc(&metadata, '}');
	put_key(json, STR("$metadata"));
	buf_str(json, buf_view(&metadata));
	buf_putc(json, '}');
	buf_fini(&metadata);
	stamp_index_fini(&fc.desired_stamps);
	stamp_index_fini(&fc.reported_stamps);
}
