/* Any bytes as a page token, and as the header of a page's size: a token that is taken is the one that its bookmark is
 * written as, and another query's is not taken. */
#include "fuzz.h"
#include "query/query.h"

#define HASH UINT64_C(0x1122334455667788)

static void
round_trip(struct str token)
{
	struct query_bookmark bookmark, again;
	struct buf out = { 0 };
	struct fault f = { 0 };

	if (query_token_read(token, HASH, &bookmark, &f) != ERR_OK) {
		require(f.code == F_ArgumentInvalid);
		return;
	}
	query_token_write(&out, HASH, &bookmark);
	require(out.n == QUERY_TOKEN_LEN);
	require(query_token_read(buf_view(&out), HASH, &again, &f) == ERR_OK);
	require(again.shard == bookmark.shard && again.row == bookmark.row &&
	    again.delivered == bookmark.delivered && again.generation == bookmark.generation);
	require(query_token_read(buf_view(&out), HASH + 1, &again, &f) == ERR_ARG);
	buf_fini(&out);
}

/* The bytes as a bookmark: a fuzzer does not find a checksum. */
static void
place_trip(const uint8_t *data, size_t size)
{
	struct query_bookmark bookmark = { 0 };
	struct buf out = { 0 };

	memcpy(&bookmark.row, data, size < 8 ? size : 8);
	bookmark.shard = size > 8 ? data[8] % 64 : 0;
	bookmark.delivered = size;
	query_token_write(&out, HASH, &bookmark);
	round_trip(buf_view(&out));
	if (size > 9 && out.n > 0) { /* one character is another one */
		struct fault f = { 0 };
		char *at = &out.p[data[9] % out.n];

		*at = *at == 'A' ? 'B' : 'A';
		require(query_token_read(buf_view(&out), HASH, &bookmark, &f) == ERR_ARG);
	}
	buf_fini(&out);
}

/* A place by key: the same. */
static void
key_trip(struct str token)
{
	struct buf key = { 0 }, out = { 0 }, again = { 0 };
	struct fault f = { 0 };
	uint64_t delivered, other;

	if (query_place_read(token, HASH, &delivered, &key, &f) != ERR_OK) {
		require(f.code == F_ArgumentInvalid && key.n == 0);
		return;
	}
	query_place_write(&out, HASH, delivered, buf_view(&key));
	require(query_place_read(buf_view(&out), HASH, &other, &again, &f) == ERR_OK);
	require(other == delivered && str_eq(buf_view(&key), buf_view(&again)));
	require(query_place_read(buf_view(&out), HASH + 1, &other, &again, &f) == ERR_ARG);
	buf_fini(&key);
	buf_fini(&out);
	buf_fini(&again);
}

static void
any_key(struct str key)
{
	struct buf out = { 0 };

	query_place_write(&out, HASH, key.n, (struct str){ key.p, key.n < 300 ? key.n : 300 });
	key_trip(buf_view(&out));
	if (key.n > 0) { /* one character is another one */
		char *at = &out.p[(unsigned char)key.p[0] % out.n];
		struct fault f = { 0 };
		struct buf none = { 0 };
		uint64_t delivered;

		*at = *at == 'A' ? 'B' : 'A';
		require(query_place_read(buf_view(&out), HASH, &delivered, &none, &f) == ERR_ARG);
		require(none.n == 0);
	}
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct fault f = { 0 };
	uint32_t page;

	round_trip(text);
	place_trip(data, size);
	key_trip(text);
	any_key(text);
	if (query_page_size(text, &page, &f) == ERR_OK)
		require(page > 0 && page <= QUERY_PAGE_MAX);
	else
		require(f.code == F_ArgumentInvalid);
	return 0;
}
