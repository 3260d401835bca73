/*
 * A naive model of JSON values for tests: a tree of pointers, random ones, and their JSON text written another way than
 * the writer's. All of it lives in `arena`.
 */
#ifndef TEST_DOC_MODEL_H
#define TEST_DOC_MODEL_H

#include "doc_help.h"
#include "rnd.h"

#define MANY 40

struct model {
	enum doc_kind kind;
	int64_t i;
	double x;
	char text[24];
	unsigned n;
	char key[MANY][24];
	struct model *child[MANY];
};

static struct arena arena;

static inline void
random_text(struct rnd *r, char *out)
{
	static const char *const parts[] = { "a", "b", "key", "\"", "\\", "\n", "\x01", "\xC3\xA9",
		"\xE2\x82\xAC", "\xF0\x9F\x98\x80", " ", "/" };
	unsigned n = rnd_below(r, 5);

	out[0] = '\0';
	while (n-- > 0)
		strcat(out, parts[rnd_below(r, 12)]);
}

static inline double
random_double(struct rnd *r)
{
	uint64_t u;
	double v;

	if (rnd_below(r, 2))
		return (double)rnd_below(r, 1000) / 8 - 50;
	do {
		u = rnd_u64(r);
		memcpy(&v, &u, 8);
	} while (v != v || v - v != 0);
	return v;
}

static inline bool
has_key(const struct model *m, const char *key)
{
	for (unsigned i = 0; i < m->n; i++)
		if (strcmp(m->key[i], key) == 0)
			return true;
	return false;
}

static inline struct model *
random_model(struct rnd *r, unsigned depth)
{
	struct model *m = arena_alloc(&arena, sizeof(*m));
	unsigned n = 0;

	m->kind = (enum doc_kind)(1 + rnd_below(r, depth > 0 ? 8 : 6));
	switch (m->kind) {
	case DOC_INT: m->i = (int64_t)rnd_u64(r) >> rnd_below(r, 64); break;
	case DOC_DOUBLE: m->x = random_double(r); break;
	case DOC_STRING: random_text(r, m->text); break;
	case DOC_ARRAY:
	case DOC_OBJECT: n = rnd_below(r, rnd_below(r, 8) ? 5 : MANY); break;
	default: break;
	}
	while (n-- > 0) {
		random_text(r, m->key[m->n]);
		if (m->kind == DOC_OBJECT && has_key(m, m->key[m->n]))
			continue;
		m->child[m->n++] = random_model(r, depth - 1);
	}
	return m;
}

static inline void
model_put(struct doc_writer *w, const struct model *m, struct rnd *stamps)
{
	uint32_t stamp = stamps && w->w ? rnd_below(stamps, 251) : 0;

	switch (m->kind) {
	case DOC_FALSE:
	case DOC_TRUE: doc_put_bool(w, stamp, m->kind == DOC_TRUE); break;
	case DOC_INT: doc_put_int(w, stamp, m->i); break;
	case DOC_DOUBLE: doc_put_double(w, stamp, m->x); break;
	case DOC_STRING: doc_put_str(w, stamp, str_of(m->text)); break;
	case DOC_ARRAY:
	case DOC_OBJECT:
		if (m->kind == DOC_ARRAY)
			doc_begin_array(w, stamp);
		else
			doc_begin_object(w, stamp);
		for (unsigned i = 0; i < m->n; i++) {
			if (m->kind == DOC_OBJECT)
				doc_key(w, str_of(m->key[i]));
			model_put(w, m->child[i], stamps);
		}
		doc_end(w);
		break;
	default: doc_put_null(w, stamp); break;
	}
}

static inline struct doc
model_doc(struct buf *b, const struct model *m, uint8_t w, struct rnd *stamps)
{
	struct doc_writer dw;

	b->n = 0;
	doc_writer_init(&dw, b, w);
	model_put(&dw, m, stamps);
	return doc_of_stamped(buf_view(b), w);
}

/* JSON text with every character escaped that may be, and blanks where they may be. */
static inline void
model_string_text(struct buf *out, const char *s)
{
	const char *end = s + strlen(s);

	buf_putc(out, '"');
	while (s < end) {
		uint32_t c = utf8_next(&s, end);
		if (c >= 0x10000)
			buf_printf(out, "\\u%04X\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
			    0xDC00 + (c & 0x3FF));
		else
			buf_printf(out, "\\u%04x", c);
	}
	buf_putc(out, '"');
}

static inline void
model_text(struct buf *out, const struct model *m)
{
	char close = m->kind == DOC_ARRAY ? ']' : '}';

	switch (m->kind) {
	case DOC_FALSE: buf_cstr(out, " false "); break;
	case DOC_TRUE: buf_cstr(out, "\ttrue"); break;
	case DOC_INT: buf_printf(out, "%lld", (long long)m->i); break;
	case DOC_DOUBLE: buf_printf(out, "%.17e", m->x); break;
	case DOC_STRING: model_string_text(out, m->text); break;
	case DOC_ARRAY:
	case DOC_OBJECT:
		buf_cstr(out, m->kind == DOC_ARRAY ? "[\n" : "{ ");
		for (unsigned i = 0; i < m->n; i++) {
			if (i > 0)
				buf_cstr(out, ", ");
			if (m->kind == DOC_OBJECT) {
				model_string_text(out, m->key[i]);
				buf_cstr(out, " : ");
			}
			model_text(out, m->child[i]);
		}
		buf_putc(out, close);
		break;
	default: buf_cstr(out, "null "); break;
	}
}

#endif
