#include "frame/fields.h"

static uint64_t
number_at(const struct field *f, const void *from)
{
	const char *p = (const char *)from + f->at;
	uint64_t v = 0;
	uint8_t v1;
	uint16_t v2;
	uint32_t v4;

	switch (f->size) {
	case 1: memcpy(&v1, p, 1), v = v1; break;
	case 2: memcpy(&v2, p, 2), v = v2; break;
	case 4: memcpy(&v4, p, 4), v = v4; break;
	default: assert(f->size == 8), memcpy(&v, p, 8);
	}
	return v;
}

static void
number_set(const struct field *f, void *to, uint64_t v)
{
	char *p = (char *)to + f->at;
	uint8_t v1 = (uint8_t)v;
	uint16_t v2 = (uint16_t)v;
	uint32_t v4 = (uint32_t)v;

	switch (f->size) {
	case 1: memcpy(p, &v1, 1); break;
	case 2: memcpy(p, &v2, 2); break;
	case 4: memcpy(p, &v4, 4); break;
	default: assert(f->size == 8), memcpy(p, &v, 8);
	}
}

/* Small ones of either sign are short: 0, -1, 1, -2 ... */
static uint64_t
folded(const struct field *f, const void *from)
{
	int64_t v = f->size == 4 ? (int32_t)number_at(f, from) : (int64_t)number_at(f, from);

	return (uint64_t)v << 1 ^ (uint64_t)(v < 0 ? -1 : 0);
}

static int64_t
unfolded(uint64_t v)
{
	return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

static struct str
bytes_at(const struct field *f, const void *from)
{
	const char *p = (const char *)from + f->at;
	static const char zero[128];

	switch (f->type) {
	case FIELD_TEXT: return *(const struct str *)(const void *)p;
	case FIELD_BUF: return buf_view((const struct buf *)(const void *)p);
	case FIELD_CHARS: return (struct str){ p, strnlen(p, f->size) };
	default:
		assert(f->size <= sizeof(zero));
		return memcmp(p, zero, f->size) == 0 ? STR_NONE : (struct str){ p, f->size };
	}
}

static bool
is_number(const struct field *f)
{
	return f->type == FIELD_NUMBER || f->type == FIELD_SIGNED;
}

void
fields_write(struct buf *out, const struct field *f, size_t n, const void *from)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v = !is_number(&f[i])  ? 0
		    : f[i].type == FIELD_SIGNED ? folded(&f[i], from)
		                                : number_at(&f[i], from);
		struct str bytes = is_number(&f[i]) ? STR_NONE : bytes_at(&f[i], from);

		if (v != 0) {
			buf_varint(out, (uint64_t)f[i].tag << 1);
			buf_varint(out, v);
		} else if (bytes.n != 0) {
			buf_varint(out, (uint64_t)f[i].tag << 1 | 1);
			buf_lstr(out, bytes);
		}
	}
}

static enum err
wrong(struct fault *fault, const struct field *f, const char *what)
{
	fault_set(fault, F_ServerError, "the field %s of a frame %s", f->name, what);
	return ERR_PROTOCOL;
}

static enum err
number_read(const struct field *f, uint64_t v, void *to, struct fault *fault)
{
	int64_t n = unfolded(v);

	if (f->type == FIELD_SIGNED) {
		if (f->size == 4 && (n < INT32_MIN || n > INT32_MAX))
			return wrong(fault, f, "is out of its range");
		v = (uint64_t)n;
	} else if (v > f->most) {
		return wrong(fault, f, "is out of its range");
	}
	number_set(f, to, v);
	return ERR_OK;
}

static bool
length_is_good(const struct field *f, size_t n)
{
	switch (f->type) {
	case FIELD_BYTES: return n == f->size;
	case FIELD_CHARS: return n < f->size;
	default: return n <= f->most;
	}
}

static enum err
bytes_read(const struct field *f, struct str s, void *to, struct fault *fault)
{
	char *p = (char *)to + f->at;

	if (!length_is_good(f, s.n))
		return wrong(fault, f, "has a length that it may not have");
	if (f->type == FIELD_TEXT)
		*(struct str *)(void *)p = s;
	else if (f->type == FIELD_BUF)
		buf_str((struct buf *)(void *)p, s);
	else
		memcpy(p, s.p, s.n);
	return ERR_OK;
}

static void
all_made_zero(const struct field *f, size_t n, void *to)
{
	for (size_t i = 0; i < n; i++)
		if (f[i].type != FIELD_BUF)
			memset((char *)to + f[i].at, 0, f[i].size);
}

enum err
fields_read(struct str in, const struct field *f, size_t n, void *to, struct fault *fault)
{
	struct rd rd = rd_of(in);
	uint64_t last = 0;
	bool rising = true;
	size_t i = 0;

	all_made_zero(f, n, to);
	while (rising && !rd.bad && rd.p < rd.end) {
		uint64_t head = rd_varint(&rd), tag = head >> 1, v = 0;
		struct str s = STR_NONE;
		enum err e;

		if (head & 1)
			s = rd_lstr(&rd);
		else
			v = rd_varint(&rd);
		rising = tag > last;
		last = tag;
		while (i < n && f[i].tag < tag)
			i++;
		if (rd.bad || !rising || i == n || f[i].tag != tag)
			continue; /* the last two: it is of a later release */
		if ((head & 1) == is_number(&f[i]))
			return wrong(fault, &f[i], "is of another type");
		e = head & 1 ? bytes_read(&f[i], s, to, fault) : number_read(&f[i], v, to, fault);
		if (e != ERR_OK)
			return e;
	}
	if (!rd.bad && rising)
		return ERR_OK;
	fault_set(fault, F_ServerError, "a frame breaks off, or its fields are out of order");
	return ERR_PROTOCOL;
}
