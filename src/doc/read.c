/*
 * Reading: views of nodes, iteration, comparison, and the check of bytes from outside.
 *
 * Every view that is handed out has been opened once, so its tag and length lie within its parent; the accessors open it
 * again, which costs a few instructions and makes them safe on bytes that nobody has checked.
 */
#include "doc/priv.h"

#include <math.h>

struct doc
doc_of_stamped(struct str bytes, uint8_t w)
{
	struct doc d = { (const uint8_t *)bytes.p, (const uint8_t *)bytes.p, w };
	struct node n;

	if (bytes.p != NULL)
		d.end += bytes.n;
	return node_open(d, &n) ? d : DOC_NONE;
}

struct doc
doc_of(struct str bytes)
{
	return doc_of_stamped(bytes, 0);
}

enum doc_kind
doc_kind(struct doc d)
{
	struct node n;

	return node_open(d, &n) ? n.kind : DOC_UNDEFINED;
}

bool
doc_is_number(struct doc d)
{
	enum doc_kind k = doc_kind(d);

	return k == DOC_INT || k == DOC_DOUBLE;
}

static int64_t
int_of(const struct node *n)
{
	size_t len = (size_t)(n->end - n->payload);
	uint64_t u = len > 0 && n->payload[len - 1] & 0x80 ? UINT64_MAX : 0;

	while (len-- > 0)
		u = u << 8 | n->payload[len];
	return (int64_t)u;
}

static double
double_of(const struct node *n)
{
	uint64_t u = load_le(n->payload, 4) | (uint64_t)load_le(n->payload + 4, 4) << 32;
	double v;

	memcpy(&v, &u, 8);
	return v;
}

int64_t
doc_int(struct doc d)
{
	struct node n;

	return node_open(d, &n) && n.kind == DOC_INT ? int_of(&n) : 0;
}

double
doc_number(struct doc d)
{
	struct node n;

	if (!node_open(d, &n))
		return 0;
	return n.kind == DOC_INT ? (double)int_of(&n) : n.kind == DOC_DOUBLE ? double_of(&n) : 0;
}

struct str
doc_str(struct doc d)
{
	struct node n;

	if (!node_open(d, &n) || n.kind != DOC_STRING)
		return STR_NONE;
	return (struct str){ (const char *)n.payload, (size_t)(n.end - n.payload) };
}

struct str
doc_text(struct doc d)
{
	return doc_kind(d) == DOC_STRING ? doc_str(d) : STR_NONE;
}

uint32_t
doc_stamp(struct doc d)
{
	return d.p == NULL || (size_t)(d.end - d.p) < d.w ? 0 : load_le(d.p, d.w);
}

size_t
doc_size(struct doc d)
{
	struct node n;

	return node_open(d, &n) ? (size_t)(n.end - d.p) : 0;
}

struct str
doc_bytes(struct doc d)
{
	return (struct str){ (const char *)d.p, doc_size(d) };
}

struct doc_iter
doc_iter(struct doc d)
{
	struct node n;

	if (!node_open(d, &n) || n.kind < DOC_ARRAY)
		return (struct doc_iter){ NULL, NULL, 0, false };
	/* Inside an array nothing is stamped. */
	return (struct doc_iter){ n.payload, n.end, n.kind == DOC_OBJECT ? d.w : 0,
		n.kind == DOC_OBJECT };
}

bool
doc_next(struct doc_iter *it, struct str *key, struct doc *value)
{
	return iter_next(it, key, value);
}

struct doc
doc_get(struct doc d, struct str key)
{
	struct doc_iter it = doc_iter(d);
	struct str k;
	struct doc v;

	if (!it.object)
		return DOC_NONE;
	while (iter_next(&it, &k, &v))
		if (key_eq(k, key))
			return v;
	return DOC_NONE;
}

uint32_t
doc_count(struct doc d)
{
	struct doc_iter it = doc_iter(d);
	struct str k;
	struct doc v;
	uint32_t n = 0;

	while (iter_next(&it, &k, &v))
		n++;
	return n;
}

/* ---- comparison ---- */

/* Exact: a conversion of the integer to double would make neighbours beyond 2^53 equal. */
static bool
int_is_double(int64_t i, double x)
{
	return x >= -0x1p63 && x < 0x1p63 && x == trunc(x) && (int64_t)x == i;
}

static bool
number_equal(const struct node *a, const struct node *b)
{
	if (a->kind == DOC_INT)
		return b->kind == DOC_INT ? int_of(a) == int_of(b)
		                          : int_is_double(int_of(a), double_of(b));
	return b->kind == DOC_INT ? int_is_double(int_of(b), double_of(a))
	                          : double_of(a) == double_of(b);
}

static bool equal(struct doc a, struct doc b, unsigned depth);

static bool
array_equal(struct doc a, struct doc b, unsigned depth)
{
	struct doc_iter ia = doc_iter(a), ib = doc_iter(b);
	struct str k;
	struct doc va, vb;

	while (doc_next(&ia, &k, &va))
		if (!doc_next(&ib, &k, &vb) || !equal(va, vb, depth + 1))
			return false;
	return !doc_next(&ib, &k, &vb);
}

/* The rest of two objects whose first members agree, when the order differs: each of a's found in b by hash. */
static bool
members_equal(struct doc_iter ia, struct doc_iter ib, unsigned depth)
{
	struct doc_iter at = ib;
	struct buf values = { 0 };
	struct keys keys = { 0 };
	uint32_t n = 0, i = 0;
	bool same = true;
	struct str k;
	struct doc v;

	while (doc_next(&at, &k, &v))
		n++;
	keys_start(&keys, n + 1);
	for (; doc_next(&ib, &k, &v); i++) {
		keys_find_or_add(&keys, k, i);
		buf_put(&values, &v, sizeof(v));
	}
	for (; same && doc_next(&ia, &k, &v); n--) {
		uint32_t found = keys_find_or_add(&keys, k, UINT32_MAX);
		struct doc other;
		same = found < i; /* else it was added just now */
		if (same) {
			memcpy(&other, values.p + found * sizeof(other), sizeof(other));
			same = equal(v, other, depth + 1);
		}
	}
	keys_fini(&keys);
	buf_fini(&values);
	return same && n == 0;
}

static bool
object_equal(struct doc a, struct doc b, unsigned depth)
{
	struct doc_iter ia = doc_iter(a), ib = doc_iter(b), rest_a = ia, rest_b = ib;
	struct str ka, kb;
	struct doc va, vb;

	for (; doc_next(&ia, &ka, &va); rest_a = ia, rest_b = ib) {
		if (!doc_next(&ib, &kb, &vb))
			return false;
		if (!str_eq(ka, kb))
			return members_equal(rest_a, rest_b, depth);
		if (!equal(va, vb, depth + 1))
			return false;
	}
	return !doc_next(&ib, &kb, &vb);
}

static bool
equal(struct doc a, struct doc b, unsigned depth)
{
	struct node na, nb;

	if (depth > DEPTH_GUARD || !node_open(a, &na) || !node_open(b, &nb))
		return !doc_defined(a) && !doc_defined(b);
	if (na.kind >= DOC_INT && na.kind <= DOC_DOUBLE && nb.kind >= DOC_INT &&
	    nb.kind <= DOC_DOUBLE)
		return number_equal(&na, &nb);
	if (na.kind != nb.kind)
		return false;
	switch (na.kind) {
	case DOC_STRING: return str_eq(doc_str(a), doc_str(b));
	case DOC_ARRAY: return array_equal(a, b, depth);
	case DOC_OBJECT: return object_equal(a, b, depth);
	default: return true;
	}
}

bool
doc_equal(struct doc a, struct doc b)
{
	return equal(a, b, 0);
}

/* ---- the check of bytes from outside ---- */

static bool
length_minimal(const struct doc *d, const struct node *n)
{
	return n->payload - (d->p + d->w) == 1 + length_bytes((size_t)(n->end - n->payload));
}

static bool
int_minimal(const struct node *n)
{
	uint8_t shortest[9];

	return put_int(shortest, int_of(n)) - shortest == n->end - n->payload + 1;
}

static bool
string_valid(const struct doc *d, const struct node *n)
{
	return n->kind == DOC_STRING && length_minimal(d, n) &&
	    utf8_valid((struct str){ (const char *)n->payload, (size_t)(n->end - n->payload) });
}

/* A valid node at d; its end in *end. */
static bool
valid(struct doc d, unsigned levels, const uint8_t **end)
{
	struct node n, key;
	struct doc in;

	if (!node_open(d, &n))
		return false;
	*end = n.end;
	switch (n.kind) {
	case DOC_INT: return int_minimal(&n);
	case DOC_DOUBLE: return isfinite(double_of(&n));
	case DOC_STRING: return string_valid(&d, &n);
	case DOC_ARRAY:
	case DOC_OBJECT:
		if (levels == 0 || !length_minimal(&d, &n))
			return false;
		in = (struct doc){ n.payload, n.end, n.kind == DOC_OBJECT ? d.w : 0 };
		while (in.p != in.end) {
			if (n.kind == DOC_OBJECT) {
				struct doc k = { in.p, in.end, 0 };
				if (!node_open(k, &key) || !string_valid(&k, &key))
					return false;
				in.p = key.end;
			}
			if (!valid(in, levels - 1, &in.p))
				return false;
		}
		return true;
	default: return true;
	}
}

bool
doc_valid(struct str bytes, uint8_t w, unsigned max_depth)
{
	const uint8_t *end;
	struct doc d = doc_of_stamped(bytes, w);

	return w <= 2 && doc_defined(d) &&
	    valid(d, max_depth < DEPTH_GUARD ? max_depth : DEPTH_GUARD, &end) && end == d.end;
}
