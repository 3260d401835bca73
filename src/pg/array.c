/* Arrays in the binary form of PostgreSQL: dimensions, "has nulls", type, then for each dimension its length and lower bound; each element with its
 * length, -1 for null. Numbers are big-endian. (src/backend/utils/adt/arrayfuncs.c: array_recv.) */
#include "pg/priv.h"

#define HEAD 20u

void
be_put(char *to, uint64_t value, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		to[n - 1 - i] = (char)(value >> (8 * i));
}

uint64_t
be_get(struct str s)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s.n; i++)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

void
array_begin(struct array *a, enum pg_type of)
{
	static const char head[HEAD];

	a->of = of;
	a->n = 0;
	a->nulls = false;
	a->bytes.n = 0;
	buf_put(&a->bytes, head, HEAD);
}

static void
put_length(struct array *a, uint32_t n)
{
	char length[4];

	be_put(length, n, 4);
	buf_put(&a->bytes, length, 4);
	a->n++;
}

void
array_bytes(struct array *a, struct str value)
{
	put_length(a, (uint32_t)value.n);
	buf_str(&a->bytes, value);
}

void
array_null(struct array *a)
{
	put_length(a, UINT32_MAX);
	a->nulls = true;
}

void
array_int(struct array *a, int64_t value)
{
	unsigned n = a->of == PG_INT2 ? 2 : a->of == PG_INT4 ? 4 : 8;
	char number[8];

	be_put(number, (uint64_t)value, n);
	array_bytes(a, (struct str){ number, n });
}

struct str
array_view(struct array *a)
{
	be_put(a->bytes.p, a->n > 0, 4);
	be_put(a->bytes.p + 4, a->nulls, 4);
	be_put(a->bytes.p + 8, a->of, 4);
	be_put(a->bytes.p + 12, a->n, 4);
	be_put(a->bytes.p + 16, 1, 4);
	/* none has no dimension, and so no length */
	return (struct str){ a->bytes.p, a->n > 0 ? a->bytes.n : 12 };
}

void
array_fini(struct array *a)
{
	buf_fini(&a->bytes);
}
