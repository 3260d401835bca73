/*
 * Group keys: a value as bytes that are equal exactly when the values are, members in any order and numbers by value
 * and whose memcmp order is undefined < null < boolean < number < string < array < object.
 *
 *   undefined, null, false, true   01, 02, 03, 04
 *   number    05, then the double big-endian, all bits inverted if negative, else the sign bit only
 *   string    06, the bytes with 00 as 00 FF, and EE, EF as F5, F6 so that the order is that of UTF-16; then 00 00
 *   array     07, the elements, 00
 *   object    08, name as string and value for each member in the order of the encoded names, 00
 */
#include "query/priv.h"

#include <math.h>
#include <stdlib.h>

enum { K_END, K_UNDEFINED, K_NULL, K_FALSE, K_TRUE, K_NUMBER, K_STRING, K_ARRAY, K_OBJECT };

static void
put_number(struct buf *key, double v)
{
	char bytes[9] = { K_NUMBER };
	uint64_t bits;

	if (v == 0)
		v = 0; /* -0 is 0 */
	memcpy(&bits, &v, sizeof(bits));
	bits = bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
	for (int i = 0; i < 8; i++)
		bytes[1 + i] = (char)(bits >> (56 - 8 * i));
	buf_put(key, bytes, sizeof(bytes));
}

static void
put_string(struct buf *key, struct str s)
{
	buf_putc(key, K_STRING);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == 0xEE || c == 0xEF)
			c += 7;
		buf_putc(key, (char)c);
		if (c == 0)
			buf_putc(key, (char)0xFF);
	}
	buf_put(key, "\0\0", 2);
}

struct member {
	struct str name;
	struct doc value;
};

static int
member_order(const void *a, const void *b)
{
	return utf16_cmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static void
put_object(struct buf *key, struct doc d, struct arena *a)
{
	uint32_t n = doc_count(d), i = 0;
	struct member *m = arena_alloc(a, n * sizeof(*m));
	struct doc_iter it = doc_iter(d);

	while (i < n && doc_next(&it, &m[i].name, &m[i].value))
		i++;
	array_sort(m, i, sizeof(*m), member_order);
	buf_putc(key, K_OBJECT);
	for (uint32_t k = 0; k < i; k++) {
		put_string(key, m[k].name);
		key_put(key, m[k].value, a);
	}
	buf_putc(key, K_END);
}

static void
put_array(struct buf *key, struct doc d, struct arena *a)
{
	struct doc_iter it = doc_iter(d);
	struct doc e;
	struct str none;

	buf_putc(key, K_ARRAY);
	while (doc_next(&it, &none, &e))
		key_put(key, e, a);
	buf_putc(key, K_END);
}

void
key_put(struct buf *key, struct doc d, struct arena *a)
{
	switch (doc_kind(d)) {
	case DOC_NULL: buf_putc(key, K_NULL); break;
	case DOC_FALSE: buf_putc(key, K_FALSE); break;
	case DOC_TRUE: buf_putc(key, K_TRUE); break;
	case DOC_INT:
	case DOC_DOUBLE: put_number(key, doc_number(d)); break;
	case DOC_STRING: put_string(key, doc_str(d)); break;
	case DOC_ARRAY: put_array(key, d, a); break;
	case DOC_OBJECT: put_object(key, d, a); break;
	default: buf_putc(key, K_UNDEFINED); break;
	}
}

void
key_put_value(struct buf *key, const struct value *v)
{
	assert(v->kind < V_ARRAY);
	switch (v->kind) {
	case V_NULL: buf_putc(key, K_NULL); break;
	case V_BOOL: buf_putc(key, v->truth ? K_TRUE : K_FALSE); break;
	case V_NUMBER: put_number(key, v->number); break;
	case V_STRING: put_string(key, v->string); break;
	default: buf_putc(key, K_UNDEFINED); break;
	}
}

/* ---- back to JSON ---- */

static double
read_number(struct rd *at)
{
	struct str bytes = rd_bytes(at, 8);
	uint64_t bits = 0;
	double v;

	for (size_t i = 0; i < bytes.n; i++)
		bits = bits << 8 | (uint8_t)bytes.p[i];
	bits = bits >> 63 ? bits & ~(UINT64_C(1) << 63) : ~bits;
	memcpy(&v, &bits, sizeof(v));
	return v;
}

static void
read_string(struct buf *text, struct rd *at)
{
	for (uint8_t c; !at->bad;) {
		if ((c = rd_u8(at)) == 0 && rd_u8(at) == 0)
			break;
		buf_putc(text, (char)(c == 0xF5 || c == 0xF6 ? c - 7 : c));
	}
}

static void
write_number(struct buf *json, struct rd *at)
{
	double v = read_number(at);

	if (json != NULL)
		number_write(json, v);
}

static void
write_string(struct buf *json, struct rd *at)
{
	struct buf text = { 0 };

	read_string(&text, at);
	if (json != NULL)
		doc_write_json_str(json, buf_view(&text));
	buf_fini(&text);
}

static void
put_char(struct buf *json, char c)
{
	if (json != NULL)
		buf_putc(json, c);
}

static void
write_members(struct buf *json, struct rd *at, bool object)
{
	bool first = true;

	put_char(json, object ? '{' : '[');
	while (at->p < at->end && *at->p != K_END) {
		if (!first)
			put_char(json, ',');
		first = false;
		key_write(json, at);
		if (object) {
			put_char(json, ':');
			key_write(json, at);
		}
	}
	rd_u8(at);
	put_char(json, object ? '}' : ']');
}

bool
key_write(struct buf *json, struct rd *at)
{
	static const char *const words[] = {
		[K_NULL] = "null", [K_FALSE] = "false", [K_TRUE] = "true"
	};
	uint8_t tag = rd_u8(at);

	switch (tag) {
	case K_NULL:
	case K_FALSE:
	case K_TRUE:
		if (json != NULL)
			buf_cstr(json, words[tag]);
		break;
	case K_NUMBER: write_number(json, at); break;
	case K_STRING: write_string(json, at); break;
	case K_ARRAY: write_members(json, at, false); break;
	case K_OBJECT: write_members(json, at, true); break;
	default: return false;
	}
	return true;
}

static struct value
string_value(struct rd *at, struct arena *a)
{
	struct buf text = { 0 };
	struct str s;

	read_string(&text, at);
	s = arena_str(a, buf_view(&text));
	buf_fini(&text);
	return value_string(s);
}

struct value
key_value(struct rd *at, struct arena *a)
{
	const uint8_t *from = at->p;

	switch (rd_u8(at)) {
	case K_NULL: return (struct value){ .kind = V_NULL };
	case K_FALSE: return value_bool(false);
	case K_TRUE: return value_bool(true);
	case K_NUMBER: return value_number(read_number(at));
	case K_STRING: return string_value(at, a);
	case K_ARRAY:
		at->p = from;
		key_write(NULL, at);
		return (struct value){ .kind = V_ARRAY };
	case K_OBJECT:
		at->p = from;
		key_write(NULL, at);
		return (struct value){ .kind = V_OBJECT };
	default: return VALUE_UNDEFINED;
	}
}

void
key_invert(struct buf *key, size_t from)
{
	for (size_t i = from; i < key->n; i++)
		key->p[i] = (char)~key->p[i];
}

/* ---- what comes from elsewhere ---- */

/* below that of the deepest document that rows are shown as */
#define KEY_DEPTH_MAX (DOC_DEPTH_MAX + 8)

static bool
number_valid(struct rd *at)
{
	double v = read_number(at);

	return !at->bad && isfinite(v) && !(v == 0 && signbit(v));
}

/* Is it, without 00 00 behind it, the way to write a text? */
static bool
text_valid(struct str s)
{
	struct buf text = { 0 };
	struct rd at;
	uint8_t high = 0;
	bool valid = true;

	for (size_t i = 0; i < s.n; i++)
		high |= (uint8_t)s.p[i];
	if (high < 0x80)
		return true;
	for (size_t i = 0; i < s.n; i++)
		valid &= (uint8_t)s.p[i] != 0xEE && (uint8_t)s.p[i] != 0xEF;
	if (!valid)
		return false;
	at = rd_of((struct str){ s.p, s.n + 2 });
	read_string(&text, &at);
	valid = utf8_valid(buf_view(&text));
	buf_fini(&text);
	return valid;
}

static bool
string_valid(struct rd *at)
{
	const uint8_t *from = at->p, *zero;

	while (at->p < at->end && (zero = memchr(at->p, 0, (size_t)(at->end - at->p))) != NULL) {
		if (at->end - zero < 2)
			return false;
		at->p = zero + 2;
		if (zero[1] == 0)
			return text_valid(
			    (struct str){ (const char *)from, (size_t)(zero - from) });
		if (zero[1] != 0xFF)
			return false;
	}
	return false;
}

static bool value_valid(struct rd *at, unsigned depth);

/* The name of a member, above the one before it. */
static bool
name_valid(struct rd *at, struct str *before)
{
	const uint8_t *from = at->p;
	struct str name;

	if (rd_u8(at) != K_STRING || !string_valid(at))
		return false;
	name = (struct str){ (const char *)from, (size_t)(at->p - from) };
	if (before->n > 0 && str_cmp(*before, name) >= 0)
		return false;
	*before = name;
	return true;
}

static bool
member_valid(struct rd *at, unsigned depth)
{
	return at->p < at->end && *at->p != K_UNDEFINED && value_valid(at, depth);
}

static bool
members_valid(struct rd *at, bool object, unsigned depth)
{
	struct str before = STR_NONE;

	if (depth == 0)
		return false;
	while (at->p < at->end && *at->p != K_END)
		if ((object && !name_valid(at, &before)) || !member_valid(at, depth - 1))
			return false;
	return rd_u8(at) == K_END && !at->bad;
}

static bool
value_valid(struct rd *at, unsigned depth)
{
	switch (rd_u8(at)) {
	case K_UNDEFINED:
	case K_NULL:
	case K_FALSE:
	case K_TRUE: return true;
	case K_NUMBER: return number_valid(at);
	case K_STRING: return string_valid(at);
	case K_ARRAY: return members_valid(at, false, depth);
	case K_OBJECT: return members_valid(at, true, depth);
	default: return false;
	}
}

bool
key_check(struct rd *at)
{
	return value_valid(at, KEY_DEPTH_MAX);
}

bool
key_undefined(struct str key)
{
	return (uint8_t)key.p[0] == K_UNDEFINED;
}
