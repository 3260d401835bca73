/*
 * What the files of doc/ share: the encoding of one node as code, in the plain C that C++ takes too, the finder of
 * repeated keys, and the C face of json.cc, the program's one file of C++.
 */
#ifndef TWINHUB_DOC_PRIV_H
#define TWINHUB_DOC_PRIV_H

#ifdef __cplusplus
extern "C" {
#endif

#include "doc/doc.h"

/* Levels at which a walk over bytes of any origin stops: recursion is bounded, whatever the bytes say. */
#define DEPTH_GUARD     (DOC_DEPTH_MAX + 8)

#define CLASS_SMALL_MAX 12 /* payload lengths that the tag holds itself */
#define HEAD_MAX        4  /* tag and length of a string, array or object */

/* ---- reading one node ---- */

/* The parts of a node, all inside the view's bounds. */
struct node {
	enum doc_kind kind;
	const uint8_t *payload, *end;
};

static inline uint32_t
load_le(const uint8_t *p, unsigned n)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint32_t)p[i] << (8 * i);
	return v;
}

/* False if the bytes are no node that ends before d.end. Says nothing of what is inside the payload. */
static inline bool
node_open(struct doc d, struct node *n)
{
	const uint8_t *p = d.p;
	unsigned kind, cls;
	size_t length;

	if (p == NULL || (size_t)(d.end - p) <= d.w)
		return false;
	p += d.w;
	kind = *p & 15;
	cls = *p++ >> 4;
	length = cls;
	if (kind < DOC_STRING) {
		if (kind == DOC_UNDEFINED || cls > 8 || (kind < DOC_INT && cls != 0) ||
		    (kind == DOC_DOUBLE && cls != 8))
			return false;
	} else if (kind > DOC_OBJECT) {
		return false;
	} else if (cls > CLASS_SMALL_MAX) {
		unsigned nlength = cls - CLASS_SMALL_MAX;
		if ((size_t)(d.end - p) < nlength)
			return false;
		length = load_le(p, nlength);
		p += nlength;
	}
	if ((size_t)(d.end - p) < length)
		return false;
	n->kind = (enum doc_kind)kind;
	n->payload = p;
	n->end = p + length;
	return true;
}

/* doc_next for the loops that must be fast. */
static inline bool
iter_next(struct doc_iter *it, struct str *key, struct doc *value)
{
	struct node k, v;

	if (it->p == it->end)
		return false;
	*key = STR_NONE;
	if (it->object) {
		if (!node_open((struct doc){ it->p, it->end, 0 }, &k) || k.kind != DOC_STRING)
			goto bad;
		*key = (struct str){ (const char *)k.payload, (size_t)(k.end - k.payload) };
		it->p = k.end;
	}
	*value = (struct doc){ it->p, it->end, it->w };
	if (!node_open(*value, &v))
		goto bad;
	it->p = v.end;
	return true;
bad:
	it->p = it->end;
	return false;
}

/* Most keys of one object differ in length or first byte. */
static inline bool
key_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || (a.p[0] == b.p[0] && memcmp(a.p, b.p, a.n) == 0));
}

/* ---- writing one node: each writes at p, which has the room, and returns the end ---- */

static inline uint8_t *
put_int(uint8_t *p, int64_t v)
{
	/* The bits that differ from the sign, and one for the sign itself. */
	uint64_t u = (uint64_t)v, magnitude = v < 0 ? ~u : u;
	unsigned n = v == 0  ? 0
	    : magnitude == 0 ? 1
	                     : (unsigned)(64 - __builtin_clzll(magnitude)) / 8 + 1;

	*p++ = (uint8_t)(DOC_INT | n << 4);
	for (unsigned i = 0; i < n; i++)
		*p++ = (uint8_t)(u >> (8 * i));
	return p;
}

static inline uint8_t *
put_double(uint8_t *p, double v)
{
	uint64_t u;

	memcpy(&u, &v, 8);
	*p++ = DOC_DOUBLE | 8 << 4;
	for (unsigned i = 0; i < 8; i++)
		*p++ = (uint8_t)(u >> (8 * i));
	return p;
}

/* Bytes behind the tag that say a length; 0: the tag does. */
static inline unsigned
length_bytes(size_t n)
{
	return n <= CLASS_SMALL_MAX ? 0 : n <= 0xFF ? 1 : n <= 0xFFFF ? 2 : 3;
}

/* Tag and length of a string, array or object of n <= DOC_PAYLOAD_MAX bytes. */
static inline uint8_t *
put_head(uint8_t *p, enum doc_kind kind, size_t n)
{
	unsigned nlength = length_bytes(n);

	*p++ = (uint8_t)(kind | (nlength == 0 ? (unsigned)n : CLASS_SMALL_MAX + nlength) << 4);
	for (unsigned i = 0; i < nlength; i++)
		*p++ = (uint8_t)(n >> (8 * i));
	return p;
}

static inline uint8_t *
put_str(uint8_t *p, const char *s, size_t n)
{
	p = put_head(p, DOC_STRING, n);
	if (n != 0)
		memcpy(p, s, n);
	return p + n;
}

/* A container is written after a head of two bytes, the likeliest length, and moved when the true one differs:
 * tag is where the head begins, p the end of the payload. */
#define HEAD_GUESS 2

static inline uint8_t *
put_end(uint8_t *tag, uint8_t *p, enum doc_kind kind)
{
	size_t n = (size_t)(p - tag) - HEAD_GUESS;
	uint8_t head[HEAD_MAX];
	size_t nhead = (size_t)(put_head(head, kind, n) - head);

	if (nhead != HEAD_GUESS)
		memmove(tag + nhead, tag + HEAD_GUESS, n);
	memcpy(tag, head, nhead);
	return tag + nhead + n;
}

/* ---- repeated keys (keys.c) ---- */

/* Scratch for finding a key among those seen; { 0 } is empty, keys_fini frees it. It grows to twice the members of
 * the largest object and stays, so that a parser that has seen its kind of text allocates no more. */
struct keys {
	struct keys_cell *cells;
	uint32_t size, mask;
};
#define KEYS_FEW 16 /* members up to which comparing each with each is faster */

void keys_fini(struct keys *k);
/* Forget all, and make room for n keys. */
void keys_start(struct keys *k, uint32_t n);
/* The number that was given with an equal key, or add this one and return `number` itself. The key's bytes must stay
 * where they are until the next keys_start. */
uint32_t keys_find_or_add(struct keys *k, struct str key, uint32_t number);
/* How many of the n members of an unstamped object repeat an earlier key; payload as encoded. */
uint32_t keys_repeated(struct keys *k, const uint8_t *payload, const uint8_t *end, uint32_t n);

/* ---- json.cc: simdjson and std::to_chars ---- */

struct json;
struct json *json_new(size_t max_bytes);
void json_free(struct json *j);

/* Parse one text and append the encoding. ERR_SYNTAX: the text is refused, json_locate knows why; ERR_SIZE: it needs
 * more memory than there is, or a string or container over DOC_PAYLOAD_MAX. Then out is unchanged. */
enum err json_encode(struct json *j, struct str text, struct buf *out, uint32_t *nduplicate);

#define JSON_DOUBLE_MAX 40
/* The text of a finite double as doc_write_json_double describes it, without NUL; returns its length. */
size_t json_double(double v, char out[JSON_DOUBLE_MAX]);

/* ---- locate.c ---- */

/* Why a text is refused: ERR_SYNTAX, ERR_RANGE (a number) or ERR_SIZE (levels), and at which byte. ERR_OK if this
 * scanner finds nothing wrong with it. text.p is not NULL. */
enum err json_locate(struct str text, size_t *at);

#ifdef __cplusplus
}
#endif

#endif
