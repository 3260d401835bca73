/* Rows as queries see them: one that is there, and a twin as it was (past.h). */
#include "shard/past.h"
#include "shard/record.h"

#define IDENTITY RECORD_BIT(RECORD_IDENTITY)
#define WANTED   RECORD_BIT(RECORD_WANTED)
#define REPORTED RECORD_BIT(RECORD_REPORTED)

/* ---- a row as queries see it ---- */

void
hub_row_open(struct hub_row *r, const struct shard *sh, uint32_t row)
{
	r->shard = sh;
	r->row = row;
	r->as = row < sh->nrow ? row_at(sh, row) : NULL; /* of one that has gone nothing is asked */
	r->have = 0;
	r->ngiven = 0;
}

void
hub_row_open_as(struct hub_row *r, const struct shard *sh, const struct row *as)
{
	hub_row_open(r, sh, row_number(sh, as));
	r->as = as;
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
	if (r->as->records[kind] != NULL)
		return true;
	r->given[kind] = value;
	r->ngiven |= RECORD_BIT(kind);
	return record_valid(kind, value);
}

static struct str
record_of(const struct hub_row *hr, enum record_kind kind)
{
	return hr->ngiven & RECORD_BIT(kind) ? hr->given[kind] : blob_str(hr->as->records[kind]);
}

static struct doc
row_root(const void *row, enum query_root root, struct buf *scratch)
{
	const struct query_member *m = query_member_of(twin_members, TWIN_MEMBERS, root);
	const struct hub_row *hr = row;
	struct view v;

	v.r = hr->as;
	v.device = row_device(v.r);
	v.module = row_module(v.r);
	if (m == NULL)
		return DOC_NONE;
	if (m->needs & IDENTITY)
		bytes_read_identity(record_of(hr, RECORD_IDENTITY), &v.id);
	if (m->needs & WANTED)
		bytes_read_wanted(record_of(hr, RECORD_WANTED), &v.w);
	if (m->needs & REPORTED)
		v.activity_us =
		    bytes_read_reported(record_of(hr, RECORD_REPORTED), v.r, &v.reported);
	return query_member_value(m, &v, scratch);
}

static const struct section *
row_section(const void *row, enum section_kind kind)
{
	struct hub_row *hr = (struct hub_row *)row; /* prepared on first use */
	const struct row *r = hr->as;
	struct wanted w;

	if (!(hr->have & (1u << kind))) {
		if (kind == SECTION_REPORTED) {
			bytes_read_reported(
			    record_of(hr, RECORD_REPORTED), r, &hr->sections[SECTION_REPORTED]);
			hr->have |= 1u << SECTION_REPORTED;
		} else {
			bytes_read_wanted(record_of(hr, RECORD_WANTED), &w);
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

	twin_write(hr->shard, hr->as, json);
}

const struct query_row_ops hub_query_ops = { row_root, row_section, row_write_document };

/* ---- a twin that is past ---- */

/* Of what is not in the log nothing is said. */
static bool
is_known(const struct query_member *m)
{
	switch (m->root) {
	case QUERY_ROOT_CONNECTION_STATE:
	case QUERY_ROOT_LAST_ACTIVITY_TIME:
	case QUERY_ROOT_C2D_COUNT:
	case QUERY_ROOT_CONFIGURATIONS: return false;
	default: return true;
	}
}

static void
past_view(const struct past *p, struct str device, struct str module, struct view *v)
{
	*v = (struct view){ .device = device,
		.module = module,
		.w = { .counter = p->counter,
		    .tags = section_of(buf_view(&p->tags)),
		    .desired = section_of(buf_view(&p->desired)) },
		.reported = section_of(buf_view(&p->reported)) };
	bytes_read_identity(buf_view(&p->identity), &v->id);
}

void
past_write(struct buf *json, const struct past *p, struct str device, struct str module)
{
	struct out o = out_to(json);
	struct view v;

	past_view(p, device, module, &v);
	out_open(&o);
	for (unsigned i = 0; i < TWIN_MEMBERS; i++)
		if (is_known(&twin_members[i]))
			twin_members[i].put(&v, twin_members[i].name, &o);
	out_close(&o);
}

static struct doc
past_root(const void *row, enum query_root root, struct buf *scratch)
{
	const struct query_member *m = query_member_of(twin_members, TWIN_MEMBERS, root);
	const struct past_row *pr = row;
	struct view v;

	if (m == NULL || !is_known(m))
		return DOC_NONE;
	past_view(pr->past, pr->device, pr->module, &v);
	return query_member_value(m, &v, scratch);
}

static const struct section *
past_section(const void *row, enum section_kind kind)
{
	struct past_row *pr = (struct past_row *)row; /* prepared on first use */
	const struct past *p = pr->past;
	const struct buf *bytes[SECTION_KINDS] = { &p->tags, &p->desired, &p->reported };

	if (!(pr->have & QUERY_SECTION_BIT(kind)))
		pr->sections[kind] = section_of(buf_view(bytes[kind]));
	pr->have |= QUERY_SECTION_BIT(kind);
	return &pr->sections[kind];
}

static void
past_write_document(const void *row, struct buf *json)
{
	const struct past_row *pr = row;

	past_write(json, pr->past, pr->device, pr->module);
}

const struct query_row_ops past_query_ops = { past_root, past_section, past_write_document };
