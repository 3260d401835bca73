#include "task/paths.h"
#include "task/walk.h"

#include <stdlib.h>

#include "doc/out.h"

enum path_kind { OF_BOOLEAN, OF_NUMBER, OF_STRING, OF_OBJECT, OF_ARRAY, PATH_KINDS };

static const char *const kind_names[PATH_KINDS] = { "boolean", "number", "string", "object",
	"array" };

struct seen_path {
	uint32_t text, ntext; /* in names */
	uint32_t parent;      /* which has it as a member, plus one; 0: none that is asked for */
	uint32_t nchild;      /* members that are remembered */
	uint64_t twins, modules;
	uint64_t kinds[PATH_KINDS];
	uint64_t others; /* members of it that are not, met so often */
};

struct paths_task {
	struct task task;
	struct buf prefix;
	unsigned records; /* RECORD_BITs of those that can have such a path */
	struct buf from;  /* of the shard: where to go on; empty: at its beginning */
	bool reading;
	struct column_report *columns;
	size_t column_bytes;
	uint64_t twins, unread, uncounted;
	struct buf path; /* of the member at hand */
	struct buf names;
	struct seen_path *v;
	uint32_t n;
	struct table table; /* v by text */
};

#define NOWHERE TABLE_NONE /* an object whose path is none of those that are asked for */

static const char *const roots[SECTION_KINDS] = { [SECTION_TAGS] = "tags",
	[SECTION_DESIRED] = "properties.desired",
	[SECTION_REPORTED] = "properties.reported" };

static struct paths_task *
paths_of(struct task *t)
{
	return (struct paths_task *)t;
}

/* ---- which are meant ---- */

enum meant { MEANT_NOT, MEANT_BELOW, MEANT };

/* By the prefix: not; not itself, but perhaps what is below; it is. */
static enum meant
meant(const struct paths_task *p, struct str path)
{
	size_t n = path.n < p->prefix.n ? path.n : p->prefix.n;

	if (n > 0 && memcmp(path.p, p->prefix.p, n) != 0)
		return MEANT_NOT;
	return path.n < p->prefix.n ? MEANT_BELOW : MEANT;
}

/* ---- what is remembered ---- */

static struct str
text_of(const struct paths_task *p, const struct seen_path *s)
{
	return (struct str){ p->names.p + s->text, s->ntext };
}

static bool
same_text(const void *ctx, uint32_t value, const void *key)
{
	const struct paths_task *p = ctx;

	return str_eq(text_of(p, &p->v[value]), *(const struct str *)key);
}

static bool
has_room(const struct paths_task *p, uint32_t parent, struct str path)
{
	return p->n < PATHS_MAX && path.n <= PATH_TEXT_MAX &&
	    p->names.n + path.n <= PATH_NAMES_MAX &&
	    (parent == NOWHERE || p->v[parent].nchild < PATH_CHILDREN_MAX);
}

/* TABLE_NONE: there is no room for it. */
static uint32_t
path_seen(struct paths_task *p, uint32_t parent, struct str path)
{
	uint64_t hash = hash_table(path);
	uint32_t i = table_get(&p->table, hash, same_text, p, &path);

	if (i != TABLE_NONE)
		return i;
	if (!has_room(p, parent, path)) {
		p->uncounted++;
		if (parent != NOWHERE)
			p->v[parent].others++;
		return TABLE_NONE;
	}
	if (parent != NOWHERE)
		p->v[parent].nchild++;
	if (p->v == NULL)
		p->v = xcalloc(PATHS_MAX, sizeof(*p->v));
	i = p->n++;
	p->v[i] = (struct seen_path){ .text = (uint32_t)p->names.n,
		.ntext = (uint32_t)path.n,
		.parent = parent == NOWHERE ? 0 : parent + 1 };
	buf_str(&p->names, path);
	table_add(&p->table, hash, i);
	return i;
}

/* ---- a twin ---- */

static enum path_kind
kind_of(struct doc d)
{
	switch (doc_kind(d)) {
	case DOC_INT:
	case DOC_DOUBLE: return OF_NUMBER;
	case DOC_STRING: return OF_STRING;
	case DOC_OBJECT: return OF_OBJECT;
	case DOC_ARRAY: return OF_ARRAY;
	default: return OF_BOOLEAN; /* a twin holds no null */
	}
}

static void see(struct paths_task *p, uint32_t parent, struct doc d, bool module);

static void
see_members(struct paths_task *p, uint32_t self, struct doc d, bool module)
{
	struct doc_iter it = doc_iter(d);
	size_t n = p->path.n;
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v)) {
		buf_putc(&p->path, '.');
		query_step_write(&p->path, key);
		see(p, self, v, module);
		p->path.n = n;
	}
}

/* The value at p->path. As deep as twins are (TWIN_DEPTH_MAX). */
static void
see(struct paths_task *p, uint32_t parent, struct doc d, bool module)
{
	enum meant m = meant(p, buf_view(&p->path));
	uint32_t i = NOWHERE;

	if (m == MEANT_NOT)
		return;
	if (m == MEANT) {
		if ((i = path_seen(p, parent, buf_view(&p->path))) == TABLE_NONE)
			return;
		p->v[i].twins++;
		p->v[i].modules += module;
		p->v[i].kinds[kind_of(d)]++;
	}
	if (doc_kind(d) == DOC_OBJECT)
		see_members(p, i, d, module);
}

static unsigned
records_of(enum section_kind k)
{
	return hub_records_of(&(struct query_needs){ .sections = 1u << k });
}

static bool
give_records(struct hub_row *hr, const struct task_need *need)
{
	for (int k = 0; k < RECORD_KINDS; k++)
		if ((need->records & RECORD_BIT(k)) &&
		    !hub_row_give(hr, (enum record_kind)k, need->values[k]))
			return false;
	return true;
}

static void
see_twin(struct paths_task *p, struct shard *sh, const struct task_need *need)
{
	struct str device, module;
	struct hub_row hr;

	if (!hub_row_meet(&hr, sh, need->key))
		return;
	p->twins++;
	if (!give_records(&hr, need)) {
		p->unread++;
		return;
	}
	shard_row(sh, hr.row, &device, &module);
	for (unsigned k = 0; k < SECTION_KINDS; k++) {
		const struct section *s;

		if ((records_of((enum section_kind)k) & p->records) == 0)
			continue;
		s = hub_query_ops.section(&hr, (enum section_kind)k);
		p->path.n = 0;
		buf_cstr(&p->path, roots[k]);
		if (s != NULL && !section_empty(s))
			see(p, NOWHERE, s->root, module.n > 0);
	}
}

/* ---- the task ---- */

static void
put_shard(struct buf *out, uint64_t shard)
{
	out->n = 0;
	buf_putc(out, (char)(shard >> 8));
	buf_putc(out, (char)shard);
}

static enum step
range_begins(struct paths_task *p, struct shard *sh, struct slice *slice)
{
	struct task_need *need = &slice->need;

	if (p->from.n == 0) {
		column_report_shard(p->columns, shard_columns(sh, slice->column_bytes),
		    slice->scratch, &p->column_bytes);
		put_shard(&p->from, p->task.bookmark.shard);
	}
	need->kind = NEED_RANGE;
	need->records = p->records;
	need->once = true;
	need->from.n = 0;
	buf_str(&need->from, buf_view(&p->from));
	put_shard(&need->to, p->task.bookmark.shard + 1);
	p->reading = true;
	return STEP_NEED;
}

static enum step
paths_step(struct task *t, struct shard *sh, struct slice *slice)
{
	struct paths_task *p = paths_of(t);
	struct task_need *need = &slice->need;

	if (p->records == 0)
		return task_ends(t);
	if (!p->reading)
		return range_begins(p, sh, slice);
	for (; need->e == ERR_OK; slice->next(slice->ctx)) {
		see_twin(p, sh, need);
		if (slice_spent(slice, SLICE_LOOK_EVERY / 8)) {
			p->from.n = 0;
			buf_str(&p->from, need->key);
			buf_putc(&p->from, '\0'); /* the first key behind it */
			p->reading = false;
			return STEP_OVER;
		}
	}
	p->reading = false;
	p->from.n = 0;
	if (need->e == ERR_END)
		return STEP_DONE;
	fault_set(&t->fault, need->e == ERR_CORRUPT ? F_StoredDamaged : F_ServiceUnavailable,
	    "stored twins could not be read");
	return task_fails(t);
}

static bool
paths_cheap(const struct task *t)
{
	(void)t;
	return false;
}

static void
paths_free(struct task *t)
{
	struct paths_task *p = paths_of(t);

	column_report_free(p->columns);
	buf_fini(&p->prefix);
	buf_fini(&p->from);
	buf_fini(&p->path);
	buf_fini(&p->names);
	table_fini(&p->table);
	free(p->v);
	free(p);
}

/* ---- of several nodes ---- */

static void
paths_ask(const struct task *t, struct buf *out)
{
	buf_str(out, buf_view(&((const struct paths_task *)t)->prefix));
}

/* Parents stand before their members, whose number among those of the parent's is counted again where they are taken. */
static void
paths_put(const struct task *t, struct buf *out)
{
	const struct paths_task *p = (const struct paths_task *)t;
	struct buf columns = { 0 };

	column_report_put(p->columns, &columns);
	buf_lstr(out, buf_view(&columns));
	buf_fini(&columns);
	buf_varint(out, p->column_bytes);
	buf_varint(out, p->twins);
	buf_varint(out, p->unread);
	buf_varint(out, p->uncounted);
	for (uint32_t i = 0; i < p->n; i++) {
		const struct seen_path *s = &p->v[i];

		buf_lstr(out, text_of(p, s));
		buf_varint(out, s->parent);
		buf_varint(out, s->twins);
		buf_varint(out, s->modules);
		for (unsigned k = 0; k < PATH_KINDS; k++)
			buf_varint(out, s->kinds[k]);
		buf_varint(out, s->others);
	}
}

static void
path_take(struct paths_task *p, uint32_t i, struct rd *rd)
{
	struct seen_path none = { 0 }, *s = i != TABLE_NONE ? &p->v[i] : &none;

	s->twins += rd_varint(rd);
	s->modules += rd_varint(rd);
	for (unsigned k = 0; k < PATH_KINDS; k++)
		s->kinds[k] += rd_varint(rd);
	s->others += rd_varint(rd);
	if (i == TABLE_NONE && s->twins > 0)
		p->uncounted += s->twins - 1; /* one is, as there was no room */
}

static enum err
paths_take_all(struct paths_task *p, struct rd *rd)
{
	uint32_t *of = xcalloc(PATHS_MAX, sizeof(*of)), n = 0;

	while (rd->p < rd->end && n < PATHS_MAX) {
		struct str text = rd_lstr(rd);
		uint64_t parent = rd_varint(rd);

		if (rd->bad || text.n > PATH_TEXT_MAX || parent > n)
			break;
		of[n] = path_seen(p, parent > 0 ? of[parent - 1] : NOWHERE, text);
		path_take(p, of[n++], rd);
	}
	free(of);
	return rd->bad || rd->p < rd->end ? ERR_CORRUPT : ERR_OK;
}

static enum err
paths_take(struct task *t, struct str part)
{
	struct paths_task *p = paths_of(t);
	struct rd rd = rd_of(part);
	struct str columns = rd_lstr(&rd);

	p->column_bytes += rd_varint(&rd);
	p->twins += rd_varint(&rd);
	p->unread += rd_varint(&rd);
	p->uncounted += rd_varint(&rd);
	if (rd.bad || column_report_take(p->columns, columns) != ERR_OK)
		return ERR_CORRUPT;
	return paths_take_all(p, &rd);
}

static const struct task_far paths_far = {
	.kind = WALK_PATHS, .ask = paths_ask, .put = paths_put, .take = paths_take
};

static const struct task_kind paths_kind = { .name = "paths of twins",
	.step = paths_step,
	.cheap = paths_cheap,
	.free = paths_free,
	.far = &paths_far };

struct task *
paths_task_new(struct str prefix)
{
	struct paths_task *p = xcalloc(1, sizeof(*p));

	p->task.kind = &paths_kind;
	p->columns = column_report_new();
	buf_str(&p->prefix, prefix);
	for (unsigned k = 0; k < SECTION_KINDS; k++)
		if (meant(p, str_of(roots[k])) != MEANT_NOT)
			p->records |= records_of((enum section_kind)k);
	return &p->task;
}

/* ---- the answer ---- */

/* Most first; of equally many by their text. */
static int
order(const void *a, const void *b, void *ctx)
{
	const struct seen_path *x = a, *y = b;

	if (x->twins != y->twins)
		return x->twins < y->twins ? 1 : -1;
	return str_cmp(text_of(ctx, x), text_of(ctx, y));
}

static void
put_column(const struct paths_task *p, struct str path, struct out *o)
{
	struct column_facts f;

	if (!column_report_find(p->columns, path, &f) || f.form == COLUMN_NONE)
		return;
	out_open(out_key(o, "column"));
	out_cstr(out_key(o, "form"), column_form_name(f.form));
	out_u64(out_key(o, "bytes"), f.bytes);
	out_close(o);
}

static void
put_path(const struct paths_task *p, const struct seen_path *s, struct out *o)
{
	out_open(o);
	out_str(out_key(o, "path"), text_of(p, s));
	out_u64(out_key(o, "twins"), s->twins);
	out_u64(out_key(o, "modules"), s->modules);
	out_open(out_key(o, "kinds"));
	for (unsigned k = 0; k < PATH_KINDS; k++)
		if (s->kinds[k] > 0)
			out_u64(out_key(o, kind_names[k]), s->kinds[k]);
	out_close(o);
	if (s->others > 0)
		out_u64(out_key(o, "otherMembers"), s->others);
	put_column(p, text_of(p, s), o);
	out_close(o);
}

void
paths_write(struct task *t, uint32_t top, struct buf *json)
{
	struct paths_task *p = paths_of(t);
	struct out o = out_to(json);
	uint32_t n = p->n < top ? p->n : top;

	array_sort_with(p->v, p->n, sizeof(*p->v), order, p);
	out_open(&o);
	out_u64(out_key(&o, "twins"), p->twins);
	out_u64(out_key(&o, "damagedTwins"), p->unread);
	out_u64(out_key(&o, "morePaths"), p->n - n);
	out_u64(out_key(&o, "uncounted"), p->uncounted);
	out_list(out_key(&o, "paths"));
	for (uint32_t i = 0; i < n; i++)
		put_path(p, &p->v[i], &o);
	out_close(&o);
	out_close(&o);
}
