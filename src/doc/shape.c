#include "doc/shape.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* Where a value stands: the names from the body down to it. */
struct place {
	const struct place *up;
	struct str name;
	uint32_t index;
	bool in_list;
};

#define WHOLE_MAX 9007199254740992.0 /* a double knows each integer up to here */
#define SHOWN_MAX 40                 /* bytes of a value that a fault shows */

/* ---- texts ---- */

static struct str
trimmed(struct str s)
{
	while (s.n > 0 && char_among(s.p[0], " \t\r\n\v\f"))
		s = str_sub(s, 1);
	while (s.n > 0 && char_among(s.p[s.n - 1], " \t\r\n\v\f"))
		s.n--;
	return s;
}

bool
text_to_int(struct str text, int64_t least, int64_t most, int64_t *out)
{
	struct str digits = trimmed(text);
	bool minus = digits.n > 0 && digits.p[0] == '-';
	uint64_t n;

	if (digits.n > 0 && (minus || digits.p[0] == '+'))
		digits = str_sub(digits, 1);
	if (!str_u64(digits, &n) || n > INT64_MAX)
		return false;
	*out = minus ? -(int64_t)n : (int64_t)n;
	return *out >= least && *out <= most;
}

bool
text_to_bool(struct str text, bool *out)
{
	*out = str_ieq(trimmed(text), STR("true"));
	return *out || str_ieq(trimmed(text), STR("false"));
}

static bool
text_to_number(struct str text, double *out)
{
	char room[64];
	char *end;

	text = trimmed(text);
	if (text.n == 0 || text.n >= sizeof(room))
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (!char_among(text.p[i], "0123456789+-.eE"))
			return false;
	memcpy(room, text.p, text.n);
	room[text.n] = '\0';
	*out = strtod(room, &end);
	return *end == '\0' && isfinite(*out);
}

/* ---- faults ---- */

static void
put_place(struct buf *out, const struct place *at)
{
	if (at->up == NULL)
		return;
	put_place(out, at->up);
	if (at->in_list)
		buf_printf(out, "[%u]", at->index);
	else
		buf_printf(out, "%s" STR_FMT, out->n > 0 ? "." : "", STR_ARG(at->name));
}

static const char *
kind_name(enum shape_kind kind)
{
	return kind == SHAPE_BOOL ? "a boolean" : kind == SHAPE_NUMBER ? "a number" : "a string";
}

static enum err
refuse(struct doc d, const struct shape *s, const struct place *at, struct fault *f)
{
	struct buf path = { 0 }, found = { 0 };
	enum doc_kind kind = doc_kind(d);

	put_place(&path, at);
	if (kind == DOC_OBJECT || kind == DOC_ARRAY)
		buf_cstr(&found, kind == DOC_OBJECT ? "an object" : "an array");
	else
		doc_write_json(&found, d);
	if (found.n > SHOWN_MAX) {
		found.n = SHOWN_MAX;
		buf_cstr(&found, "...");
	}
	if (s->kind == SHAPE_INT)
		fault_set(f, F_ArgumentInvalid,
		    STR_FMT " is not an integer from %lld to %lld, it is " STR_FMT,
		    STR_ARG(buf_view(&path)), (long long)s->least, (long long)s->most,
		    STR_ARG(buf_view(&found)));
	else
		fault_set(f, F_ArgumentInvalid, STR_FMT " is not %s, it is " STR_FMT,
		    STR_ARG(buf_view(&path)), kind_name(s->kind), STR_ARG(buf_view(&found)));
	buf_fini(&path);
	buf_fini(&found);
	return ERR_ARG;
}

/* ---- scalars: each is what the shape says, or can be written so ---- */

static bool
scalar_fits(struct doc d, const struct shape *s)
{
	enum doc_kind kind = doc_kind(d);

	switch (s->kind) {
	case SHAPE_TEXT: return kind == DOC_STRING || kind == DOC_NULL;
	case SHAPE_BOOL: return kind == DOC_TRUE || kind == DOC_FALSE || kind == DOC_NULL;
	case SHAPE_INT:
		return kind == DOC_NULL ||
		    (kind == DOC_INT && doc_int(d) >= s->least && doc_int(d) <= s->most);
	case SHAPE_NUMBER: return doc_is_number(d) || kind == DOC_NULL;
	default: return true;
	}
}

static bool
put_text(struct doc_writer *dw, struct doc d)
{
	struct buf text = { 0 };

	if (doc_kind(d) == DOC_OBJECT || doc_kind(d) == DOC_ARRAY)
		return false;
	doc_write_json(&text, d);
	doc_put_str(dw, 0, buf_view(&text));
	buf_fini(&text);
	return true;
}

static bool
put_bool(struct doc_writer *dw, struct doc d)
{
	bool v;

	if (doc_is_number(d))
		v = doc_number(d) != 0;
	else if (doc_kind(d) != DOC_STRING || !text_to_bool(doc_str(d), &v))
		return false;
	doc_put_bool(dw, 0, v);
	return true;
}

static bool
put_int(struct doc_writer *dw, struct doc d, const struct shape *s)
{
	int64_t v;

	if (doc_kind(d) == DOC_DOUBLE) {
		double whole = doc_number(d);

		if (trunc(whole) != whole || fabs(whole) > WHOLE_MAX)
			return false;
		v = (int64_t)whole;
		if (v < s->least || v > s->most)
			return false;
	} else if (doc_kind(d) != DOC_STRING || !text_to_int(doc_str(d), s->least, s->most, &v)) {
		return false;
	}
	doc_put_int(dw, 0, v);
	return true;
}

static bool
put_number(struct doc_writer *dw, struct doc d)
{
	double v;

	if (doc_kind(d) != DOC_STRING || !text_to_number(doc_str(d), &v))
		return false;
	doc_put_double(dw, 0, v);
	return true;
}

static enum err
put_scalar(struct doc_writer *dw, struct doc d, const struct shape *s, const struct place *at,
    struct fault *f)
{
	bool done;

	if (scalar_fits(d, s)) {
		doc_put_copy(dw, 0, d);
		return ERR_OK;
	}
	switch (s->kind) {
	case SHAPE_TEXT: done = put_text(dw, d); break;
	case SHAPE_BOOL: done = put_bool(dw, d); break;
	case SHAPE_INT: done = put_int(dw, d, s); break;
	default: done = put_number(dw, d);
	}
	return done ? ERR_OK : refuse(d, s, at, f);
}

/* ---- the tree: as deep as its shape ---- */

/* The shape of a member or element; NULL: none is known. eTag and etag may stand in one table: so the exact name goes first. */
static const struct shape *
shape_below(const struct shape *s, struct str key)
{
	const struct shape *m = s->of, *alike = NULL;

	if (s->kind != SHAPE_OBJECT)
		return m;
	for (; m->name.p != NULL; m++) {
		if (str_eq(m->name, key))
			return m;
		if (alike == NULL && str_ieq(m->name, key))
			alike = m;
	}
	return alike;
}

/* The number of a member that its object's shape names. */
static unsigned
member_number(const struct shape *s, const struct shape *member)
{
	ptrdiff_t i = member - s->of;

	assert(i >= 0 && i < SHAPE_MEMBERS_MAX);
	return (unsigned)i;
}

static bool
is_container(struct doc d, const struct shape *s)
{
	return (s->kind == SHAPE_LIST && doc_kind(d) == DOC_ARRAY) ||
	    ((s->kind == SHAPE_OBJECT || s->kind == SHAPE_MAP) && doc_kind(d) == DOC_OBJECT);
}

/* Is the name of an object's member the shape's own, for the first time? */
static bool
name_fits(const struct shape *s, const struct shape *member, struct str key, uint64_t *met)
{
	uint64_t bit = 1ull << member_number(s, member);
	bool first = (*met & bit) == 0;

	*met |= bit;
	return first && str_eq(member->name, key);
}

static bool
fits(struct doc d, const struct shape *s)
{
	struct doc_iter it = doc_iter(d);
	uint64_t met = 0;
	struct str key;
	struct doc v;

	if (!is_container(d, s))
		return scalar_fits(d, s);
	while (doc_next(&it, &key, &v)) {
		const struct shape *below = shape_below(s, key);

		if (below == NULL)
			continue;
		if (!fits(v, below) || (s->kind == SHAPE_OBJECT && !name_fits(s, below, key, &met)))
			return false;
	}
	return true;
}

static enum err put(struct doc_writer *dw, struct doc d, const struct shape *s,
    const struct place *at, struct fault *f);

static enum err
put_list(struct doc_writer *dw, struct doc d, const struct shape *s, const struct place *at,
    struct fault *f)
{
	struct place below = { .up = at, .in_list = true };
	struct doc_iter it = doc_iter(d);
	enum err e = ERR_OK;
	struct doc v;

	doc_begin_array(dw, 0);
	for (; e == ERR_OK && doc_next(&it, &below.name, &v); below.index++)
		e = put(dw, v, s->of, &below, f);
	if (e == ERR_OK)
		doc_end(dw);
	return e;
}

/* Which of an object's members is the last that its shape knows by one name, by that name's number. */
static void
find_last(struct doc d, const struct shape *s, uint32_t last[SHAPE_MEMBERS_MAX])
{
	struct doc_iter it = doc_iter(d);
	struct str key;
	struct doc v;

	for (uint32_t i = 0; doc_next(&it, &key, &v); i++) {
		const struct shape *of = shape_below(s, key);

		if (of != NULL)
			last[member_number(s, of)] = i;
	}
}

/* A member that another one replaces is put and taken away again: what is wrong with it is told all the same. */
static enum err
put_object(struct doc_writer *dw, struct doc d, const struct shape *s, const struct place *at,
    struct fault *f)
{
	uint32_t last[SHAPE_MEMBERS_MAX];
	struct place below = { .up = at };
	struct doc_iter it = doc_iter(d);
	enum err e = ERR_OK;
	struct doc v;

	if (s->kind == SHAPE_OBJECT)
		find_last(d, s, last);
	doc_begin_object(dw, 0);
	for (; e == ERR_OK && doc_next(&it, &below.name, &v); below.index++) {
		const struct shape *of = shape_below(s, below.name);
		bool named = s->kind == SHAPE_OBJECT && of != NULL;
		size_t before = dw->out->n;

		doc_key(dw, named ? of->name : below.name);
		if (of == NULL)
			doc_put_copy(dw, 0, v);
		else
			e = put(dw, v, of, &below, f);
		if (named && last[member_number(s, of)] != below.index)
			dw->out->n = before;
	}
	if (e == ERR_OK)
		doc_end(dw);
	return e;
}

static enum err
put(struct doc_writer *dw, struct doc d, const struct shape *s, const struct place *at,
    struct fault *f)
{
	if (!is_container(d, s))
		return put_scalar(dw, d, s, at, f);
	return s->kind == SHAPE_LIST ? put_list(dw, d, s, at, f) : put_object(dw, d, s, at, f);
}

struct doc
shape_get(struct doc d, const struct shape *s, struct str name)
{
	struct doc_iter it = doc_iter(doc_kind(d) == DOC_OBJECT ? d : DOC_NONE);
	struct doc v, found = DOC_NONE;
	struct str key;

	while (doc_next(&it, &key, &v)) {
		const struct shape *of = shape_below(s, key);

		if (of != NULL && str_eq(of->name, name))
			found = v;
	}
	return found;
}

enum err
doc_shape(struct doc d, const struct shape *s, struct buf *room, struct doc *out, struct fault *f)
{
	const struct place root = { 0 };
	struct doc_writer dw;
	size_t start = room->n;
	enum err e;

	*out = d;
	if (fits(d, s))
		return ERR_OK;
	doc_writer_init(&dw, room, 0);
	e = put(&dw, d, s, &root, f);
	if (e == ERR_OK)
		*out = doc_of(str_sub(buf_view(room), start));
	else
		room->n = start;
	return e;
}
