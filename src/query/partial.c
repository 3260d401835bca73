/*
 * What a part of a query hands to the merge, as bytes: the frame, which is the same for groups and for rows in order.
 *
 *   part     FORMAT, kind | the query's hash (8) | length of the body (8) | body | checksum of all before (8)
 *
 * Numbers of eight bytes are little-endian.
 */
#include "query/priv.h"

#define PARTIAL_FORMAT 1
#define PARTIAL_HEAD   18
#define PARTIAL_CHECK  8

size_t
partial_begin(struct buf *out, enum partial_kind kind, const struct query *q, size_t room)
{
	size_t from = out->n;

	buf_reserve(out, PARTIAL_HEAD + room + PARTIAL_CHECK);
	buf_putc(out, PARTIAL_FORMAT);
	buf_putc(out, (char)kind);
	buf_le64(out, q->facts.hash);
	buf_le64(out, 0); /* its length, at the end */
	return from;
}

void
partial_end(struct buf *out, size_t from)
{
	uint64_t n = out->n - from - PARTIAL_HEAD;
	char *at = out->p + from + PARTIAL_HEAD - 8;

	for (int i = 0; i < 8; i++)
		at[i] = (char)(n >> (8 * i));
	buf_le64(out, hash_checksum(out->p + from, out->n - from));
}

enum err
partial_take(struct str *parts, enum partial_kind kind, const struct query *q, struct str *body)
{
	struct rd r = rd_of(*parts);
	uint8_t format = rd_u8(&r), of = rd_u8(&r);
	uint64_t hash = rd_le64(&r), n = rd_le64(&r);

	if (r.bad || n > (uint64_t)(r.end - r.p))
		return ERR_CORRUPT;
	*body = rd_bytes(&r, (size_t)n);
	if (rd_le64(&r) != hash_checksum(parts->p, PARTIAL_HEAD + (size_t)n) || r.bad)
		return ERR_CORRUPT;
	if (format != PARTIAL_FORMAT || of != kind || hash != q->facts.hash)
		return ERR_CORRUPT;
	*parts = str_sub(*parts, PARTIAL_HEAD + (size_t)n + PARTIAL_CHECK);
	return ERR_OK;
}

enum err
partial_damaged(struct fault *f)
{
	fault_set(f, F_ServerError, "A part of the query's result is damaged");
	return ERR_CORRUPT;
}
