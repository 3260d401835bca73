/*
 * Page tokens and page sizes.
 *
 *   token = base64url of: format (1 byte) | shard (4) | row (8) | delivered (8) | generation (8) | hash of the
 *           query (8) | checksum of all before (8); numbers little-endian. 45 bytes are 60 characters, no padding.
 */
#include "query/priv.h"

#define TOKEN_FORMAT 1
#define TOKEN_BYTES  45
#define TOKEN_SIGNED (TOKEN_BYTES - 8)

void
query_token_write(struct buf *out, uint64_t hash, const struct query_bookmark *bookmark)
{
	struct buf b = { 0 };

	buf_putc(&b, TOKEN_FORMAT);
	for (int i = 0; i < 32; i += 8)
		buf_putc(&b, (char)(bookmark->shard >> i));
	buf_le64(&b, bookmark->row);
	buf_le64(&b, bookmark->delivered);
	buf_le64(&b, bookmark->generation);
	buf_le64(&b, hash);
	buf_le64(&b, hash_checksum(b.p, b.n));
	base64url_encode(out, b.p, b.n);
	buf_fini(&b);
}

/* The bytes of a token whose form and checksum are right. */
static bool
token_bytes(struct str token, struct buf *out)
{
	struct rd r;

	if (token.n != QUERY_TOKEN_LEN || !base64url_decode(out, token) || out->n != TOKEN_BYTES)
		return false;
	r = rd_of(str_sub(buf_view(out), TOKEN_SIGNED));
	return out->p[0] == TOKEN_FORMAT && rd_le64(&r) == hash_checksum(out->p, TOKEN_SIGNED);
}

enum err
query_token_read(struct str token, uint64_t hash, struct query_bookmark *bookmark, struct fault *f)
{
	struct buf b = { 0 };
	struct query_bookmark got = { 0 };
	enum err e = ERR_OK;
	struct rd r;

	if (!token_bytes(token, &b)) {
		e = fault_set(f, F_ArgumentInvalid, "The continuation token is damaged");
		goto done;
	}
	r = rd_of(str_sub(buf_view(&b), 1));
	for (int i = 0; i < 32; i += 8)
		got.shard |= (uint32_t)rd_u8(&r) << i;
	got.row = rd_le64(&r);
	got.delivered = rd_le64(&r);
	got.generation = rd_le64(&r);
	if (rd_le64(&r) != hash)
		e = fault_set(f, F_ArgumentInvalid, "The continuation token is of another query");
	else
		*bookmark = got;
done:
	buf_fini(&b);
	return e;
}

/* ---- places by key: format | delivered (8) | hash (8) | key | checksum (8) ---- */

#define PLACE_FORMAT    2
#define PLACE_BYTES_MIN 25
#define PLACE_LEN_MAX   1024

void
query_place_write(struct buf *out, uint64_t hash, uint64_t delivered, struct str key)
{
	struct buf b = { 0 };

	buf_putc(&b, PLACE_FORMAT);
	buf_le64(&b, delivered);
	buf_le64(&b, hash);
	buf_str(&b, key);
	buf_le64(&b, hash_checksum(b.p, b.n));
	base64url_encode(out, b.p, b.n);
	buf_fini(&b);
}

enum err
query_place_read(
    struct str token, uint64_t hash, uint64_t *delivered, struct buf *key, struct fault *f)
{
	struct buf b = { 0 };
	enum err e = ERR_OK;
	struct rd r, sum;

	if (token.n > PLACE_LEN_MAX || !base64url_decode(&b, token) || b.n < PLACE_BYTES_MIN)
		goto damaged;
	r = rd_of((struct str){ b.p + 1, b.n - 1 });
	sum = rd_of(str_sub(buf_view(&b), b.n - 8));
	if (b.p[0] != PLACE_FORMAT || rd_le64(&sum) != hash_checksum(b.p, b.n - 8))
		goto damaged;
	*delivered = rd_le64(&r);
	if (rd_le64(&r) != hash)
		e = fault_set(f, F_ArgumentInvalid, "The continuation token is of another query");
	else
		buf_str(key, rd_bytes(&r, b.n - PLACE_BYTES_MIN));
	buf_fini(&b);
	return e;
damaged:
	buf_fini(&b);
	return fault_set(f, F_ArgumentInvalid, "The continuation token is damaged");
}

enum err
query_page_size(struct str header, uint32_t *size, struct fault *f)
{
	uint64_t n = 0;
	bool over;

	if (header.p == NULL) {
		*size = QUERY_PAGE_DEFAULT;
		return ERR_OK;
	}
	while (header.n > 1 &&
	    header.p[0] == '0') /* digits beyond 64 bits are a large number, not a bad one */
		header = str_sub(header, 1);
	over = header.n > 19;
	for (size_t i = 0; i < header.n; i++)
		if (header.p[i] < '0' || header.p[i] > '9')
			goto bad;
	if (!over && (!str_u64(header, &n) || n == 0))
		goto bad;
	*size = over || n > QUERY_PAGE_MAX ? QUERY_PAGE_MAX : (uint32_t)n;
	return ERR_OK;
bad:
	return fault_set(f, F_ArgumentInvalid, "x-ms-max-item-count should be a number from 1");
}
