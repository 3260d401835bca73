#include "leaves.h"

#include <stdlib.h>

static void
leaf_fini(struct leaf *l)
{
	buf_fini(&l->path);
	buf_fini(&l->value);
	buf_fini(&l->by);
}

void
leaves_fini(struct leaves *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		leaf_fini(&s->v[i]);
	free(s->v);
	*s = (struct leaves){ 0 };
}

static void
leaf_add(struct leaves *s, struct str path, struct str value, struct str by)
{
	struct leaf *l;

	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 16;
		s->v = xrealloc(s->v, s->cap * sizeof(*s->v));
	}
	l = &s->v[s->n++];
	*l = (struct leaf){ 0 };
	buf_str(&l->path, path);
	buf_str(&l->value, value);
	buf_str(&l->by, by);
}

struct str
path_child(struct buf *room, struct str path, struct str key)
{
	room->n = 0;
	buf_str(room, path);
	buf_putc(room, 1);
	buf_str(room, key);
	return buf_view(room);
}

static bool
is_branch(struct doc d)
{
	return doc_kind(d) == DOC_OBJECT && doc_count(d) > 0;
}

/* Is a the same path as b, or one above it? */
static bool
path_covers(struct str a, struct str b)
{
	return str_starts(b, a) && (b.n == a.n || b.p[a.n] == 1);
}

static void
leaf_read(struct leaves *s, struct str path, struct doc value, struct str by)
{
	struct buf json = { 0 };

	doc_write_json(&json, value);
	leaf_add(s, path, buf_view(&json), by);
	buf_fini(&json);
}

void
leaves_read(struct leaves *s, struct str path, struct doc section, struct doc metadata)
{
	struct doc_iter it = doc_iter(section);
	struct buf room = { 0 };
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v)) {
		struct doc about = doc_get(metadata, key);
		struct str at = path_child(&room, path, key);

		if (path.n == 0 && (str_eq(key, STR("$metadata")) || str_eq(key, STR("$version"))))
			continue;
		if (is_branch(v))
			leaves_read(s, at, v, about);
		else
			leaf_read(s, at, v, doc_text(doc_getc(about, "$lastUpdatedBy")));
	}
	buf_fini(&room);
}

bool
leaves_drop(struct leaves *s, struct str path)
{
	uint32_t kept = 0, n = s->n;

	for (uint32_t i = 0; i < n; i++) {
		if (path_covers(path, buf_view(&s->v[i].path)))
			leaf_fini(&s->v[i]);
		else
			s->v[kept++] = s->v[i];
	}
	s->n = kept;
	return kept != n;
}

void
leaves_drop_written(struct leaves *s)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		if (s->v[i].by.n > 0)
			leaf_fini(&s->v[i]);
		else
			s->v[kept++] = s->v[i];
	}
	s->n = kept;
}

const struct leaf *
leaves_find(const struct leaves *s, struct str path)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (str_eq(buf_view(&s->v[i].path), path))
			return &s->v[i];
	return NULL;
}

bool
leaves_has_below(const struct leaves *s, struct str path)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (path_covers(path, buf_view(&s->v[i].path)))
			return true;
	return false;
}

/* Leaves above a path are no leaves any more when something comes below them. */
static void
make_way(struct leaves *s, struct str path)
{
	for (uint32_t i = 0; i < s->n; i++) {
		if (!path_covers(buf_view(&s->v[i].path), path))
			continue;
		leaf_fini(&s->v[i]);
		s->v[i--] = s->v[--s->n];
	}
}

static struct str
path_above(struct str path)
{
	while (path.n > 0 && path.p[--path.n] != 1)
		;
	return path;
}

/* It is an object, if nothing else is below it an empty one. */
static void
be_object(struct leaves *s, struct str path, struct str by)
{
	const struct leaf *there = leaves_find(s, path);

	if (path.n == 0 || (leaves_has_below(s, path) && there == NULL))
		return;
	if (there != NULL && str_eq(buf_view(&there->value), STR("{}")))
		return;
	make_way(s, path);
	leaf_add(s, path, STR("{}"), by);
}

void
leaves_merge(struct leaves *s, struct str path, struct doc patch, struct str by)
{
	struct doc_iter it = doc_iter(patch);
	struct buf room = { 0 };
	struct str key;
	struct doc v;

	if (doc_kind(patch) == DOC_NULL) {
		leaves_drop(s, path);
		be_object(s, path_above(path), by);
		return;
	}
	if (doc_kind(patch) != DOC_OBJECT) {
		leaves_drop(s, path);
		make_way(s, path);
		leaf_read(s, path, patch, by);
		return;
	}
	be_object(s, path, by);
	while (doc_next(&it, &key, &v)) {
		struct str at = path_child(&room, path, key);

		if (doc_kind(v) != DOC_NULL)
			make_way(s, at);
		leaves_merge(s, at, v, by);
	}
	buf_fini(&room);
}

const struct leaf *
leaves_odd(const struct leaves *a, const struct leaves *b)
{
	for (uint32_t i = 0; i < a->n; i++) {
		const struct leaf *l = &a->v[i], *o = leaves_find(b, buf_view(&l->path));

		if (o == NULL || !str_eq(buf_view(&l->value), buf_view(&o->value)) ||
		    !str_eq(buf_view(&l->by), buf_view(&o->by)))
			return l;
	}
	return NULL;
}
