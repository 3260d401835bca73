/* Buffers, the reader of what they wrote, arenas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/base.h"
#include "rnd.h"

static void
buf__grows_and_keeps_what_it_has(void **state)
{
	struct buf b = { 0 };
	(void)state;

	for (int i = 0; i < 10000; i++)
		buf_putc(&b, (char)i);
	assert_int_equal(b.n, 10000);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(b.p[i], (char)i);
	buf_reserve(&b, 5000);
	assert_true(b.cap >= 15000);
	assert_int_equal(b.n, 10000);
	buf_put(&b, NULL, 0);
	buf_str(&b, STR_NONE);
	assert_int_equal(b.n, 10000);
	buf_fini(&b);
	assert_null(b.p);
	assert_int_equal(b.n + b.cap, 0);
	buf_fini(&b);
}

static void
buf_printf__appends_without_a_terminator(void **state)
{
	struct buf b = { 0 };
	(void)state;

	buf_cstr(&b, "x");
	buf_printf(&b, "%d-%s", 42, "y");
	buf_printf(&b, "%0200d", 7);
	assert_int_equal(b.n, 5 + 200);
	assert_memory_equal(b.p, "x42-y000", 8);
	assert_int_equal(b.p[b.n - 1], '7');
	buf_fini(&b);
}

static void
buf_u64__decimal_as_printf_has_it(void **state)
{
	static const uint64_t values[] = { 0, 1, 9, 10, 99, 100, 4294967295u,
		UINT64_C(9999999999999999999), UINT64_MAX };
	char want[24];
	(void)state;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct buf b = { 0 };
		int n = snprintf(want, sizeof(want), "%llu", (unsigned long long)values[i]);
		buf_u64(&b, values[i]);
		assert_int_equal(b.n, n);
		assert_memory_equal(b.p, want, (size_t)n);
		buf_fini(&b);
	}
}

static void
rd__reads_what_buf_wrote(void **state)
{
	struct rnd r = { 5 }, again;
	struct buf b = { 0 };
	struct rd rd;
	(void)state;

	again = r;
	for (int i = 0; i < 2000; i++) {
		uint64_t v = rnd_u64(&r) >> rnd_below(&r, 64);
		buf_varint(&b, v);
		buf_le64(&b, ~v);
		buf_lstr(&b, (struct str){ (char *)&v, v % 9 });
		buf_putc(&b, (char)v);
	}
	rd = rd_of(buf_view(&b));
	for (int i = 0; i < 2000; i++) {
		uint64_t v = rnd_u64(&again) >> rnd_below(&again, 64);
		assert_true(rd_varint(&rd) == v);
		assert_true(rd_le64(&rd) == ~v);
		assert_true(str_eq(rd_lstr(&rd), (struct str){ (char *)&v, v % 9 }));
		assert_int_equal(rd_u8(&rd), (uint8_t)v);
	}
	assert_false(rd.bad);
	assert_ptr_equal(rd.p, rd.end);
	buf_fini(&b);
}

static void
buf__documented_byte_orders(void **state)
{
	struct buf b = { 0 };
	(void)state;

	buf_u16be(&b, 0x1234);
	buf_le64(&b, UINT64_C(0x0807060504030201));
	buf_varint(&b, 0x7F);
	buf_varint(&b, 0x80);
	buf_lstr(&b, STR("hi"));
	assert_int_equal(b.n, 16);
	assert_memory_equal(b.p, "\x12\x34\x01\x02\x03\x04\x05\x06\x07\x08\x7F\x80\x01\x02hi", 16);
	buf_fini(&b);
}

/* Cut anywhere: bad is set, nothing beyond the end is read (the block has just that size), zeros follow. */
static void
rd__is_bad_after_any_cut(void **state)
{
	struct buf b = { 0 };
	(void)state;

	buf_varint(&b, 1u << 20);
	buf_lstr(&b, STR("hello"));
	buf_le64(&b, 99);
	for (size_t cut = 0; cut < b.n; cut++) {
		char *exact = xmalloc(cut);
		memcpy(exact, b.p, cut);
		struct rd rd = rd_of((struct str){ exact, cut });
		rd_varint(&rd);
		rd_lstr(&rd);
		rd_le64(&rd);
		assert_true(rd.bad);
		assert_int_equal(rd_u8(&rd), 0);
		assert_int_equal(rd_varint(&rd), 0);
		assert_int_equal(rd_le64(&rd), 0);
		assert_int_equal(rd_lstr(&rd).n, 0);
		assert_int_equal(rd_bytes(&rd, 0).n, 0);
		free(exact);
	}
	buf_fini(&b);
}

static void
rd__empty_and_endless_input(void **state)
{
	struct rd rd = rd_of(STR_NONE);
	(void)state;

	assert_false(rd.bad);
	assert_int_equal(rd_bytes(&rd, 0).n, 0);
	assert_false(rd.bad);
	assert_int_equal(rd_u8(&rd), 0);
	assert_true(rd.bad);
	rd = rd_of(STR("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"));
	assert_int_equal(rd_varint(&rd), 0);
	assert_true(rd.bad);
	rd = rd_of(STR("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01zz")); /* a length of 2^64 - 1 */
	assert_int_equal(rd_lstr(&rd).n, 0);
	assert_true(rd.bad);
}

static void
arena__blocks_are_zeroed_aligned_and_apart(void **state)
{
	struct arena a = { 0 };
	struct rnd r = { 7 };
	unsigned char *blocks[500];
	size_t sizes[500];
	(void)state;

	for (int reset = 0; reset < 3; reset++) {
		for (int i = 0; i < 500; i++) {
			sizes[i] = rnd_below(&r, i % 50 == 0 ? 100000 : 200);
			blocks[i] = arena_alloc(&a, sizes[i]);
			assert_int_equal((uintptr_t)blocks[i] % 16, 0);
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(blocks[i][k], 0);
			memset(blocks[i], i & 0xFF, sizes[i]);
		}
		for (int i = 0; i < 500; i++)
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(blocks[i][k], i & 0xFF);
		assert_true(a.used_bytes > 0);
		arena_reset(&a);
		assert_int_equal(a.used_bytes, 0);
	}
	arena_fini(&a);
	arena_fini(&a);
}

static void
arena_str__copies(void **state)
{
	struct arena a = { 0 };
	char text[] = "abc";
	struct str s = arena_str(&a, str_of(text)), none = arena_str(&a, STR_NONE);
	(void)state;

	text[0] = 'z';
	assert_true(str_eq(s, STR("abc")));
	assert_int_equal(none.n, 0);
	arena_fini(&a);
}

static void
rope__holds_what_was_put_in_pieces_of_one_size(void **state)
{
	struct rope r = { 0 };
	struct buf want = { 0 }, got = { 0 };
	struct rope_piece *p;

	(void)state;
	assert_null(rope_take(&r));
	for (uint32_t i = 0; want.n < 3 * ROPE_PIECE_BYTES; i++) {
		size_t from = want.n;

		for (uint32_t j = 0; j < i * 7 % 50000; j++)
			buf_putc(&want, (char)(i + j));
		rope_put(&r, str_sub(buf_view(&want), from));
		assert_int_equal(r.n, want.n);
	}
	while ((p = rope_take(&r)) != NULL) {
		assert_true(p->n > 0 && p->n + sizeof(*p) <= ROPE_PIECE_BYTES);
		assert_true(r.first == NULL || p->n + sizeof(*p) == ROPE_PIECE_BYTES);
		buf_put(&got, p->bytes, p->n);
		assert_int_equal(got.n + r.n, want.n);
		free(p);
	}
	assert_true(str_eq(buf_view(&got), buf_view(&want)));
	rope_put(&r, STR("again"));
	rope_fini(&r);
	assert_int_equal(r.n, 0);
	assert_null(r.first);
	buf_fini(&want);
	buf_fini(&got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rope__holds_what_was_put_in_pieces_of_one_size),
		cmocka_unit_test(buf__grows_and_keeps_what_it_has),
		cmocka_unit_test(buf_printf__appends_without_a_terminator),
		cmocka_unit_test(buf_u64__decimal_as_printf_has_it),
		cmocka_unit_test(rd__reads_what_buf_wrote),
		cmocka_unit_test(buf__documented_byte_orders),
		cmocka_unit_test(rd__is_bad_after_any_cut),
		cmocka_unit_test(rd__empty_and_endless_input),
		cmocka_unit_test(arena__blocks_are_zeroed_aligned_and_apart),
		cmocka_unit_test(arena_str__copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
