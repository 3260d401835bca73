/* Memory: checked allocation, growable buffers, the reader of what they wrote, arenas. */
#include "base/base.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool
put(int fd, struct str line, int wait_ms)
{
	struct pollfd out = { .fd = fd, .events = POLLOUT };

	while (line.n > 0) {
		/* A pipe that can be written to takes so much without blocking. */
		size_t some = line.n < PIPE_BUF ? line.n : PIPE_BUF;
		ssize_t n = poll(&out, 1, wait_ms) == 1 ? write(fd, line.p, some) : -1;

		if (n <= 0)
			return false;
		line = str_sub(line, (size_t)n);
	}
	return true;
}

void
stderr_put(struct str line, int wait_ms)
{
	put(STDERR_FILENO, line, wait_ms); /* if nobody is there, nobody can be told */
}

bool
stdout_put(struct str line, int wait_ms)
{
	return put(STDOUT_FILENO, line, wait_ms);
}

void
out_of_memory(size_t wanted_bytes)
{
	char line[80];
	int len = snprintf(
	    line, sizeof(line), "twinhub: out of memory (%zu bytes wanted)\n", wanted_bytes);

	stderr_put((struct str){ line, (size_t)len }, 1000);
	abort();
}

void *
xmalloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (p == NULL)
		out_of_memory(n);
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (p == NULL)
		out_of_memory(n * size);
	return p;
}

void *
xrealloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (p == NULL)
		out_of_memory(n);
	return p;
}

void
buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ 0 };
}

void
buf_wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_fini(b);
}

void
buf_reserve(struct buf *b, size_t more)
{
	size_t cap;

	if (b->cap - b->n >= more)
		return;
	cap = b->cap ? b->cap + b->cap / 2 : 64;
	if (cap < b->n + more)
		cap = b->n + more;
	b->p = xrealloc(b->p, cap);
	b->cap = cap;
}

void
buf_put(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	buf_reserve(b, n);
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

void
buf_putc(struct buf *b, char c)
{
	buf_reserve(b, 1);
	b->p[b->n++] = c;
}

void
buf_str(struct buf *b, struct str s)
{
	buf_put(b, s.p, s.n);
}

void
buf_cstr(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	buf_reserve(b, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

void
buf_u64(struct buf *b, uint64_t v)
{
	char tmp[20];
	size_t i = sizeof(tmp);

	do {
		tmp[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	buf_put(b, tmp + i, sizeof(tmp) - i);
}

void
buf_u16be(struct buf *b, uint16_t v)
{
	unsigned char t[2] = { (unsigned char)(v >> 8), (unsigned char)v };

	buf_put(b, t, 2);
}

void
buf_percent(struct buf *b, struct str s)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    c == '-' || c == '_' || c == '.' || c == '~') {
			buf_putc(b, (char)c);
		} else {
			char t[3] = { '%', digits[c >> 4], digits[c & 15] };
			buf_put(b, t, 3);
		}
	}
}

void
buf_varint(struct buf *b, uint64_t v)
{
	unsigned char t[10];
	size_t n = 0;

	while (v >= 0x80) {
		t[n++] = (unsigned char)(v | 0x80);
		v >>= 7;
	}
	t[n++] = (unsigned char)v;
	buf_put(b, t, n);
}

void
buf_le64(struct buf *b, uint64_t v)
{
	unsigned char t[8];

	for (int i = 0; i < 8; i++)
		t[i] = (unsigned char)(v >> (8 * i));
	buf_put(b, t, 8);
}

void
buf_lstr(struct buf *b, struct str s)
{
	buf_varint(b, s.n);
	buf_str(b, s);
}

struct rd
rd_of(struct str s)
{
	const uint8_t *p =
	    (const uint8_t *)(s.n ? s.p : ""); /* never NULL: the reader adds to it */

	return (struct rd){ p, p + s.n, false };
}

uint8_t
rd_u8(struct rd *r)
{
	if (r->bad || r->p == r->end) {
		r->bad = true;
		return 0;
	}
	return *r->p++;
}

uint64_t
rd_varint(struct rd *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t c = rd_u8(r);
		v |= (uint64_t)(c & 0x7F) << shift;
		if (!(c & 0x80))
			return r->bad ? 0 : v;
	}
	r->bad = true;
	return 0;
}

uint64_t
rd_le64(struct rd *r)
{
	struct str s = rd_bytes(r, 8);
	uint64_t v = 0;

	for (size_t i = s.n; i-- > 0;)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

struct str
rd_bytes(struct rd *r, size_t n)
{
	struct str s = { (const char *)r->p, n };

	if (r->bad || (size_t)(r->end - r->p) < n) {
		r->bad = true;
		return STR_NONE;
	}
	r->p += n;
	return s;
}

struct str
rd_lstr(struct rd *r)
{
	uint64_t n = rd_varint(r);

	if (n > (uint64_t)(r->end - r->p))
		r->bad = true;
	return rd_bytes(r, r->bad ? 0 : (size_t)n);
}

/* An arena is a stack of chunks, each twice the one below it up to 1 MB. */
struct arena_chunk {
	struct arena_chunk *below;
	size_t cap, used;
	_Alignas(16) char bytes[];
};

void
arena_fini(struct arena *a)
{
	while (a->top != NULL) {
		struct arena_chunk *c = a->top;
		a->top = c->below;
		free(c);
	}
	a->used_bytes = 0;
}

void
arena_reset(struct arena *a)
{
	while (a->top != NULL && a->top->below != NULL) {
		struct arena_chunk *c = a->top;
		a->top = c->below;
		free(c);
	}
	if (a->top != NULL) {
		memset(a->top->bytes, 0, a->top->used);
		a->top->used = 0;
	}
	a->used_bytes = 0;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	struct arena_chunk *c = a->top;
	void *p;

	n = (n + 15) & ~(size_t)15;
	if (c == NULL || c->cap - c->used < n) {
		size_t cap = c == NULL ? 1024 : c->cap < (1u << 20) ? c->cap * 2 : c->cap;
		if (cap < n)
			cap = n;
		c = xcalloc(1, sizeof(*c) + cap);
		c->below = a->top;
		c->cap = cap;
		a->top = c;
	}
	p = c->bytes + c->used;
	c->used += n;
	a->used_bytes += n;
	return p;
}

struct str
arena_str(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct str){ p, s.n };
}
