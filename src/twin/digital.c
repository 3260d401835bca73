/* The digital twin as it is read: reported values, and beside them what is desired and what the device says of it. */
#include "twin/digital.h"

#include "twin/priv.h"

/* What there is to say of one property. */
struct property {
	struct doc desired, reported;
};

struct face {
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

static void
put_metadata(struct face *fc, const struct property *p, struct out *o)
{
	struct answer a;

	out_open(o);
	if (doc_defined(p->desired)) {
		out_doc(out_key(o, "desiredValue"), p->desired);
		out_u64(out_key(o, "desiredVersion"),
		    stamp_at(fc->desired, &fc->desired_stamps, doc_stamp(p->desired)).version);
	}
	if (answer_take(p->reported, &a)) {
		out_some_doc(o, "ackVersion", a.version);
		out_some_doc(o, "ackCode", a.code);
		out_some_doc(o, "ackDescription", a.description);
	}
	if (doc_defined(p->reported))
		out_time(out_key(o, "lastUpdateTime"),
		    stamp_at(fc->reported, &fc->reported_stamps, doc_stamp(p->reported)).time_us);
	out_close(o);
}

static void put_component(struct face *fc, const struct property *p, struct out *o);

static void
put_one(struct face *fc, struct str key, const struct property *p, bool root, struct out *o,
    struct out *metadata)
{
	struct doc shown;
	struct answer a;

	if (root && (digital_is_component(p->reported) || digital_is_component(p->desired))) {
		put_component(fc, p, out_key_str(o, key));
		return;
	}
	shown = answer_take(p->reported, &a) ? a.value : p->reported;
	if (doc_defined(shown))
		out_doc(out_key_str(o, key), shown);
	put_metadata(fc, p, out_key_str(metadata, key));
}

/* All properties, those that are reported first; what there is to say of them goes to `metadata`. */
static void
put_properties(struct face *fc, struct doc desired, struct doc reported, bool root, struct out *o,
    struct out *metadata)
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
			put_one(fc, key, &p, root, o, metadata);
	}
	for (uint32_t i = 0; i < wanted.n; i++) {
		p = (struct property){ wanted.v[i].value, DOC_NONE };
		if (!wanted.v[i].taken && (root || !is_mark(wanted.v[i].key, p.desired)))
			put_one(fc, wanted.v[i].key, &p, root, o, metadata);
	}
	members_fini(&wanted);
}

static void
put_component(struct face *fc, const struct property *p, struct out *o)
{
	struct buf metadata = { 0 };
	struct out meta = out_to(&metadata);

	out_open(o);
	out_open(&meta);
	put_properties(fc, p->desired, p->reported, false, o, &meta);
	out_close(&meta);
	out_json(out_key(o, "$metadata"), buf_view(&metadata));
	out_close(o);
	buf_fini(&metadata);
}

void
digital_write(struct buf *json, struct str id, struct str model, const struct section *desired,
    const struct section *reported)
{
	struct face fc = { .desired = desired, .reported = reported };
	struct buf metadata = { 0 };
	struct out o = out_to(json), meta = out_to(&metadata);

	stamp_index_init(&fc.desired_stamps, desired);
	stamp_index_init(&fc.reported_stamps, reported);
	out_open(&o);
	out_str(out_key(&o, "$dtId"), id);
	out_open(&meta);
	out_str(out_key(&meta, "$model"), model);
	put_properties(&fc, desired->root, reported->root, true, &o, &meta);
	out_close(&meta);
	out_json(out_key(&o, "$metadata"), buf_view(&metadata));
	out_close(&o);
	buf_fini(&metadata);
	stamp_index_fini(&fc.desired_stamps);
	stamp_index_fini(&fc.reported_stamps);
}
