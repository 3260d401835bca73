/* What columns there are: their facts, and a report that puts those of many shards together, path by path. */
#include "query/vector.h"

#include <stdlib.h>

#define FORMS    (COLUMN_HASHES + 1)
#define NAME_MAX 1024 /* bytes of a path that a report shows */

struct line {
	size_t name; /* in names; name_n 0: all that have no line of their own */
	size_t name_n;
	bool documents; /* its values are read from documents */
	uint32_t shards, held, made, of_form[FORMS];
	uint32_t values; /* of the shard that has most */
	uint64_t rows, bytes;
};

struct column_report {
	struct buf names;
	struct line *v;
	uint32_t n, room;
	struct table table; /* lines by name */
	/* of the plan that was added last: which line a slot has, plus one; 0: not known yet */
	const struct query *plan;
	uint32_t of_slot[SLOTS_MAX];
};

/* ---- facts ---- */

static void
path_name(struct buf *name, const struct path *p)
{
	static const char *const sections[] = { "tags", "properties.desired",
		"properties.reported" };
	static const char *const roots[] = {
#define X(id, name, ...) #name,
		QUERY_ROOTS(X)
#undef X
	};

	if (p->kind == PATH_ROOT || p->kind == PATH_SECTION)
		buf_cstr(name, p->kind == PATH_ROOT ? roots[p->root] : sections[p->section]);
	else if (p->kind == PATH_PROPERTIES)
		buf_cstr(name, "properties");
	else if (p->kind == PATH_CONVERGED)
		buf_cstr(name, p->nstep > 0 ? "IS_CONVERGED(properties.desired" : "IS_CONVERGED(");
	for (unsigned i = 0; i < p->nstep; i++) {
		if (i > 0 || p->kind != PATH_UNKNOWN)
			buf_putc(name, '.');
		query_step_write(name, p->steps[i]);
	}
	if (p->kind == PATH_CONVERGED)
		buf_putc(name, ')');
}

static struct column_facts
facts_of(const struct column *c)
{
	return (struct column_facts){ .form = c->form,
		.complete = c->complete,
		.uses = c->uses,
		.values = c->dict.held,
		.rows = c->form == COLUMN_SPARSE ? c->npair : c->rows,
		.bytes = column_bytes(c) };
}

bool
columns_facts(const struct columns *c, uint32_t n, struct column_facts *out, struct buf *name)
{
	if (n >= c->n)
		return false;
	*out = facts_of(c->v[n]);
	path_name(name, &c->v[n]->path);
	return true;
}

/* ---- lines ---- */

struct column_report *
column_report_new(void)
{
	return xcalloc(1, sizeof(struct column_report));
}

void
column_report_free(struct column_report *r)
{
	if (r == NULL)
		return;
	buf_fini(&r->names);
	table_fini(&r->table);
	free(r->v);
	free(r);
}

static struct str
line_name(const struct column_report *r, uint32_t i)
{
	return (struct str){ r->names.p + r->v[i].name, r->v[i].name_n };
}

static bool
same_name(const void *ctx, uint32_t value, const void *key)
{
	return str_eq(line_name(ctx, value), *(const struct str *)key);
}

/* The line of a path, made if there is none; the last one is for all paths that there is no room for. */
static struct line *
line_of(struct column_report *r, struct str name)
{
	uint64_t hash;
	uint32_t i;

	if (name.n > NAME_MAX)
		for (name.n = NAME_MAX; ((unsigned char)name.p[name.n] & 0xC0) == 0x80;)
			name.n--;
	hash = hash_table(name);
	i = table_get(&r->table, hash, same_name, r, &name);
	if (i != TABLE_NONE)
		return &r->v[i];
	if (r->n >= COLUMN_LINES_MAX - 1 && name.n > 0)
		return line_of(r, STR(""));
	if (r->n == r->room) {
		r->room = r->room == 0 ? 8 : 2 * r->room;
		r->v = xrealloc(r->v, r->room * sizeof(*r->v));
	}
	i = r->n++;
	r->v[i] = (struct line){ .name = r->names.n, .name_n = name.n };
	buf_str(&r->names, name);
	table_add(&r->table, hash, i);
	return &r->v[i];
}

static void
line_add(struct line *l, const struct column_facts *f, bool made)
{
	l->shards++;
	l->of_form[f->form]++;
	l->held += f->form != COLUMN_NONE && f->complete;
	l->made += made;
	l->values = f->values > l->values ? f->values : l->values;
	l->bytes += f->bytes;
	if (f->form != COLUMN_NONE)
		l->rows += f->rows;
}

void
column_report_shard(
    struct column_report *r, struct columns *c, struct query_scratch *s, size_t *bytes)
{
	struct column_facts f;
	struct buf name = { 0 };

	columns_settle(c, s);
	for (uint32_t i = 0; name.n = 0, columns_facts(c, i, &f, &name); i++)
		line_add(line_of(r, buf_view(&name)), &f, false);
	*bytes += columns_bytes(c);
	buf_fini(&name);
}

/* Each shard adds its figures, but names are looked up once: every query has a report. */
static struct line *
line_of_slot(struct column_report *r, const struct query *q, uint32_t slot)
{
	struct buf name = { 0 };
	struct line *l;

	if (r->plan != q) {
		r->plan = q;
		memset(r->of_slot, 0, sizeof(r->of_slot));
	}
	if (r->of_slot[slot] != 0)
		return &r->v[r->of_slot[slot] - 1];
	path_name(&name, q->slots[slot]);
	l = line_of(r, buf_view(&name));
	r->of_slot[slot] = (uint32_t)(l - r->v) + 1;
	buf_fini(&name);
	return l;
}

/* One path of a plan; c NULL: no column is looked at, or there is none. */
static void
report_path(struct column_report *r, const struct query *q, uint32_t slot, const struct column *c,
    bool made)
{
	static const struct column_facts none = { .form = COLUMN_NONE };
	struct column_facts f = c != NULL ? facts_of(c) : none;
	struct line *l = line_of_slot(r, q, slot);

	l->documents |= c == NULL;
	line_add(l, &f, made);
}

void
column_report_plan(struct column_report *r, const struct vector *v)
{
	for (uint32_t i = 0; i < v->q->nslot; i++) {
		const struct path *p = v->q->slots[i];
		report_path(r, v->q, i, v->wanted[i] ? columns_find(v->columns, p) : NULL,
		    v->missed[i] && v->held[i] != NULL);
	}
}

void
column_report_paths(struct column_report *r, const struct query *q)
{
	for (uint32_t i = 0; i < q->nslot; i++)
		report_path(r, q, i, NULL, false);
}

static void
line_merge(struct line *to, const struct line *l)
{
	to->documents |= l->documents;
	to->shards += l->shards;
	to->held += l->held;
	to->made += l->made;
	for (unsigned f = 0; f < FORMS; f++)
		to->of_form[f] += l->of_form[f];
	to->values = l->values > to->values ? l->values : to->values;
	to->rows += l->rows;
	to->bytes += l->bytes;
}

void
column_report_merge(struct column_report *into, const struct column_report *from)
{
	for (uint32_t i = 0; i < from->n; i++)
		line_merge(line_of(into, line_name(from, i)), &from->v[i]);
}

void
column_report_put(const struct column_report *r, struct buf *out)
{
	for (uint32_t i = 0; i < r->n; i++) {
		const struct line *l = &r->v[i];

		buf_lstr(out, line_name(r, i));
		buf_putc(out, (char)l->documents);
		buf_varint(out, l->shards);
		buf_varint(out, l->held);
		buf_varint(out, l->made);
		for (unsigned f = 0; f < FORMS; f++)
			buf_varint(out, l->of_form[f]);
		buf_varint(out, l->values);
		buf_varint(out, l->rows);
		buf_varint(out, l->bytes);
	}
}

/* Counts, of which a report has at most one a shard and path. */
static uint32_t
count_of(struct rd *rd)
{
	uint64_t n = rd_varint(rd);

	rd->bad |= n > UINT32_MAX;
	return (uint32_t)n;
}

enum err
column_report_take(struct column_report *into, struct str from)
{
	struct rd rd = rd_of(from);

	while (rd.p < rd.end) {
		struct str name = rd_lstr(&rd);
		struct line l = { .documents = rd_u8(&rd) != 0 };

		l.shards = count_of(&rd);
		l.held = count_of(&rd);
		l.made = count_of(&rd);
		for (unsigned f = 0; f < FORMS; f++)
			l.of_form[f] = count_of(&rd);
		l.values = count_of(&rd);
		l.rows = rd_varint(&rd);
		l.bytes = rd_varint(&rd);
		if (rd.bad || name.n > NAME_MAX)
			return ERR_CORRUPT;
		line_merge(line_of(into, name), &l);
	}
	return ERR_OK;
}

/* ---- writing ---- */

/* The form that most shards have; of equally many the largest. */
static enum column_form
form_most(const struct line *l)
{
	unsigned best = COLUMN_NONE;

	for (unsigned f = COLUMN_NONE; f < FORMS; f++)
		if (l->of_form[f] > 0 && l->of_form[f] >= l->of_form[best])
			best = f;
	return (enum column_form)best;
}

bool
column_report_find(const struct column_report *r, struct str name, struct column_facts *out)
{
	uint32_t i = table_get(&r->table, hash_table(name), same_name, r, &name);
	const struct line *l = i != TABLE_NONE ? &r->v[i] : NULL;

	if (l != NULL)
		*out = (struct column_facts){ .form = form_most(l),
			.values = l->values,
			.rows = (uint32_t)l->rows,
			.bytes = l->bytes };
	return l != NULL;
}

static void
put_line(struct out *o, const struct column_report *r, uint32_t i, bool of_plan)
{
	const struct line *l = &r->v[i];

	out_open(o);
	out_str_or_null(out_key(o, "path"), l->name_n > 0 ? line_name(r, i) : STR_NONE);
	if (of_plan)
		out_cstr(out_key(o, "from"), l->documents ? "documents" : "columns");
	out_cstr(out_key(o, "form"), column_form_name(form_most(l)));
	out_u64(out_key(o, "shards"), l->shards);
	out_u64(out_key(o, "held"), l->held);
	if (of_plan)
		out_u64(out_key(o, "made"), l->made);
	out_u64(out_key(o, "rows"), l->rows);
	out_u64(out_key(o, "values"), l->values);
	out_u64(out_key(o, "bytes"), l->bytes);
	out_close(o);
}

void
column_report_write(const struct column_report *r, bool of_plan, struct buf *json)
{
	struct out o = out_to(json);

	out_list(&o);
	for (uint32_t i = 0; i < r->n; i++)
		put_line(&o, r, i, of_plan);
	out_close(&o);
}
