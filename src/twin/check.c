/*
 * What may be written into a section: keys, values, depth (T-42, T-46, T-64, T-73 to T-79) and sizes (T-80 to T-82).
 * A fault ends with the path of the offender.
 */
#include "twin/priv.h"

#include <inttypes.h>
#include <stdio.h>

/* The way from a value up to its section, on the stack of the recursion. */
struct place {
	const struct place *up;
	struct str key;
	uint32_t index;
	bool element; /* `index` in an array, not `key` */
};

struct check {
	enum section_kind kind;
	enum null_rule nulls;
	struct fault *f;
	bool view; /* what section_write_service has shown, not a patch */
};

static struct str
kind_name(enum section_kind kind)
{
	static const char *const names[SECTION_KINDS] = { "tags", "properties.desired",
		"properties.reported" };

	return str_of(names[kind]);
}

/* Encoded bytes of a patch: with stamps it is at most twice as long, which a doc can hold. Servers read less. */
#define PATCH_MAX  (DOC_PAYLOAD_MAX / 4)
#define KEY_SHOWN  64  /* bytes of one key in a fault's text */
#define PATH_SHOWN 380 /* bytes of a path: leaves room for the sentence before it */

/* The offset of a character's first byte, at or before `at`. */
static size_t
char_floor(struct str s, size_t at)
{
	while (at > 0 && at < s.n && ((unsigned char)s.p[at] & 0xC0) == 0x80)
		at--;
	return at;
}

static void
path_put(struct buf *out, const struct place *at)
{
	size_t n;

	if (at->up == NULL) {
		buf_str(out, at->key);
		return;
	}
	path_put(out, at->up);
	if (at->element) {
		buf_printf(out, "[%" PRIu32 "]", at->index);
		return;
	}
	n = at->key.n <= KEY_SHOWN ? at->key.n : char_floor(at->key, KEY_SHOWN);
	buf_putc(out, '.');
	for (size_t i = 0; i < n; i++)
		buf_putc(out, at->key.p[i] == '\0' ? '?' : at->key.p[i]);
	if (n < at->key.n)
		buf_cstr(out, "...");
}

static enum err __attribute__((format(printf, 4, 0))) refuse_as(const struct check *c,
    enum fault_code code, const struct place *at, const char *fmt, va_list ap)
{
	struct buf path = { 0 };
	struct str tail;
	char what[FAULT_TEXT_MAX - PATH_SHOWN];

	vsnprintf(what, sizeof(what), fmt, ap);
	path_put(&path, at);
	tail = buf_view(&path);
	if (tail.n > PATH_SHOWN)
		tail = str_sub(tail, char_floor(tail, tail.n - (PATH_SHOWN - 8)));
	fault_set(c->f, code, "%s: %s" STR_FMT, what, tail.n < path.n ? "..." : "", STR_ARG(tail));
	buf_fini(&path);
	return ERR_ARG;
}

static enum err __attribute__((format(printf, 3, 4)))
refuse(const struct check *c, const struct place *at, const char *fmt, ...)
{
	va_list ap;
	enum err e;

	va_start(ap, fmt);
	e = refuse_as(c, F_ArgumentInvalid, at, fmt, ap);
	va_end(ap);
	return e;
}

/* The section as a whole is too large, however it is counted (T-80, T-81a). */
static enum err __attribute__((format(printf, 3, 4)))
refuse_size(const struct check *c, const struct place *at, const char *fmt, ...)
{
	va_list ap;
	enum err e;

	va_start(ap, fmt);
	e = refuse_as(c, F_DeviceModelMaxPropertiesExceeded, at, fmt, ap);
	va_end(ap);
	return e;
}

/* T-74: 1 is forbidden, 2 begins a C1 control if below A0 follows (C2 80 to C2 9F). */
static const uint8_t key_bytes[256] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, [' '] = 1, ['$'] = 1, ['.'] = 1, [0x7F] = 1, [0xC2] = 2 };

bool
twin_key_legal(struct str key)
{
	for (size_t i = 0; i < key.n; i++) {
		uint8_t class = key_bytes[(unsigned char)key.p[i]];
		if (class == 1 ||
		    (class == 2 && i + 1 < key.n && (unsigned char)key.p[i + 1] < 0xA0))
			return false;
	}
	return true;
}

static enum err
key_check(const struct check *c, const struct place *at)
{
	if (at->key.n == 0)
		return refuse(c, at, "An empty name");
	if (at->key.n > TWIN_KEY_MAX)
		return refuse(
		    c, at, "A name of %zu bytes, over the limit of %u", at->key.n, TWIN_KEY_MAX);
	if (!twin_key_legal(at->key))
		return refuse(c, at,
		    "A name with an illegal character (control character, '.', '$' or space)");
	return ERR_OK;
}

static enum err
scalar_check(const struct check *c, struct doc d, const struct place *at)
{
	struct str s;
	int64_t v;

	switch (kind_of(d)) {
	case DOC_INT:
		v = doc_int(d);
		if (v < TWIN_INT_MIN || v > TWIN_INT_MAX)
			return refuse(c, at,
			    "The integer %" PRId64 " is outside %" PRId64 " to %" PRId64, v,
			    TWIN_INT_MIN, TWIN_INT_MAX);
		return ERR_OK;
	case DOC_STRING:
		s = doc_str(d);
		if (s.n > TWIN_STRING_MAX && counted_str(s) > TWIN_STRING_MAX)
			return refuse(c, at, "A string of %" PRIu32 " bytes, over the limit of %u",
			    counted_str(s), TWIN_STRING_MAX);
		return ERR_OK;
	case DOC_NULL:
		if (at->element || c->nulls == NULLS_REFUSED)
			return refuse(c, at, "A property or tag cannot be null%s",
			    at->element ? " inside an array" : "");
		return ERR_OK;
	default: return ERR_OK;
	}
}

/* T-33: what the back end may leave in a document that it sends back whole. */
static bool
key_ignored(const struct check *c, struct str key, unsigned level)
{
	return level == 0 && key.n > 0 && key.p[0] == '$' &&
	    (c->view || c->kind != SECTION_REPORTED) &&
	    (str_eq(key, STR("$metadata")) || str_eq(key, STR("$version")));
}

static enum err container_check(
    const struct check *c, struct doc d, const struct place *at, unsigned level);

static enum err
value_check(const struct check *c, struct doc d, const struct place *at, unsigned level)
{
	return kind_of(d) >= DOC_ARRAY ? container_check(c, d, at, level) : scalar_check(c, d, at);
}

/* level: containers above d, the section itself being 0 (T-79). */
static enum err
container_check(const struct check *c, struct doc d, const struct place *at, unsigned level)
{
	struct place below = { .up = at, .element = kind_of(d) == DOC_ARRAY };
	struct check inner = *c;
	struct walk it;
	struct doc value;
	enum err e;

	if (level > TWIN_DEPTH_MAX)
		return refuse(
		    c, at, "A depth of %u levels, over the limit of %u", level, TWIN_DEPTH_MAX);
	if (below.element)
		inner.nulls = NULLS_REFUSED; /* also for the members of its objects: T-42 */
	for (it = walk_of(d); walk_next(&it, &below.key, &value); below.index++) {
		if (!below.element && key_ignored(c, below.key, level))
			continue;
		if (!below.element && (e = key_check(c, &below)))
			return e;
		if ((e = value_check(&inner, value, &below, level + 1)))
			return e;
	}
	return ERR_OK;
}

static enum err
section_value_check(const struct check *c, struct doc value)
{
	const struct place root = { .key = kind_name(c->kind) };

	if (doc_kind(value) != DOC_OBJECT)
		return refuse(c, &root, "A section has to be an object");
	if (doc_size(value) > PATCH_MAX)
		return refuse_size(c, &root, "A patch of %zu bytes, over the limit of %u",
		    doc_size(value), PATCH_MAX);
	return value_check(c, value, &root, 0);
}

enum err
patch_check(struct doc patch, enum section_kind kind, enum null_rule nulls, struct fault *f)
{
	return section_value_check(&(struct check){ kind, nulls, f, false }, patch);
}

enum err
view_check(struct doc view, enum section_kind kind, struct fault *f)
{
	return section_value_check(&(struct check){ kind, NULLS_REFUSED, f, true }, view);
}

enum err
size_check(const struct section *old, enum section_kind kind, uint32_t size, size_t stored,
    struct fault *f)
{
	const struct check c = { kind, NULLS_DELETE, f, false };
	const struct place root = { .key = kind_name(kind) };
	uint32_t limit = kind == SECTION_TAGS ? TAGS_SIZE_MAX : PROPERTIES_SIZE_MAX;
	uint32_t stored_limit = SECTION_STORED_FACTOR * limit;

	if (size > limit && size > old->size)
		return refuse_size(&c, &root,
		    "A size of %" PRIu32 " bytes, over the limit of %" PRIu32, size, limit);
	if (stored > stored_limit && stored > old->bytes.n)
		return refuse_size(&c, &root,
		    "A size of %zu bytes as stored, over the limit of %" PRIu32, stored,
		    stored_limit);
	return ERR_OK;
}
