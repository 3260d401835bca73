/* PROXY protocol headers and nets, as bytes and as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "net/proxy.h"

#define SIGN "\r\n\r\n\0\r\nQUIT\n"
#define V4   "\x21\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x34\x22\xb3"
#define V6                                                                                         \
	"\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0" \
	"\0\x01\x12\x35\x22\xb3"

/* In pieces of that size; *n: bytes that were taken. */
static enum proxy_step
read_all(struct proxy *p, struct str all, size_t piece, size_t *n)
{
	enum proxy_step step = PROXY_MORE;

	*p = (struct proxy){ 0 };
	for (*n = 0; step == PROXY_MORE && *n < all.n;) {
		size_t some = proxy_wants(p);

		assert_true(some > 0);
		if (some > piece)
			some = piece;
		if (some > all.n - *n)
			some = all.n - *n;
		step = proxy_take(p, (struct str){ all.p + *n, some });
		*n += some;
	}
	return step;
}

#define BYTES(text) ((struct str){ text, sizeof(text) - 1 })

static void
proxy__names_the_client_however_it_is_cut(void **state)
{
	static const struct {
		struct str header;
		const char *client; /* NULL: the balancer itself */
	} rows[] = {
		{ BYTES(SIGN V4), "192.0.2.7:4660" },
		{ BYTES(SIGN V6), "[2001:db8::9]:4661" },
		{ BYTES(SIGN "\x21\x11\x00\x13\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x34\x22\xb3"
		             "\x02\x00\x04host"),
		    "192.0.2.7:4660" }, /* a TLV: the authority */
		{ BYTES(SIGN "\x20\x00\x00\x00"), NULL },
		{ BYTES(SIGN "\x20\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x34\x22\xb3"),
		    NULL },
		{ BYTES(SIGN "\x21\x00\x00\x00"), NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t piece = 1; piece < 100; piece += 7) {
			char with_more[100], text[NET_ADDR_TEXT_MAX];
			struct net_addr a;
			struct proxy p;
			size_t n;

			memcpy(with_more, rows[i].header.p, rows[i].header.n);
			memset(with_more + rows[i].header.n, 0x16,
			    20); /* what is behind it is not taken */
			assert_int_equal(
			    read_all(
			        &p, (struct str){ with_more, rows[i].header.n + 20 }, piece, &n),
			    PROXY_DONE);
			assert_int_equal(n, rows[i].header.n);
			assert_int_equal(proxy_client(&p, &a), rows[i].client != NULL);
			if (rows[i].client != NULL)
				assert_string_equal(net_addr_text(&a, text), rows[i].client);
		}
}

static void
proxy__what_is_no_header_is_told(void **state)
{
	static const struct {
		struct str header;
		const char *why;
		size_t at_most; /* bytes until that is known */
	} rows[] = {
		{ BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 4660 8883\r\n"), "version 1", 16 },
		{ BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0\0\0"), "no header",
		    16 },
		{ BYTES("\x10\x15\x00\x04MQTT\x04\x02\0\0\0\0\0\0\0\0"), "no header", 16 },
		{ BYTES("\r\n\r\n\0\r\nQUIT\r"), "no header", 12 },
		{ BYTES(SIGN "\x11\x11\x00\x0c"), "another version", 16 },
		{ BYTES(SIGN "\x22\x11\x00\x0c"), "unknown command", 16 },
		{ BYTES(SIGN "\x21\x12\x00\x0c"), "other than TCP", 16 },
		{ BYTES(SIGN "\x21\x31\x00\xd8"), "other than TCP", 16 },
		{ BYTES(SIGN "\x21\x11\x00\x0b"), "room for its addresses", 16 },
		{ BYTES(SIGN "\x21\x21\x00\x23"), "room for its addresses", 16 },
		{ BYTES(SIGN "\x21\x11\x08\x01"), "longer than", 16 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t piece = 1; piece < 20; piece += 3) {
			struct proxy p;
			size_t n;

			assert_int_equal(read_all(&p, rows[i].header, piece, &n), PROXY_BAD);
			assert_non_null(strstr(p.why, rows[i].why));
			assert_true(n <= rows[i].at_most);
		}
}

static void
proxy__longest_header_is_read_and_its_tlvs_passed_over(void **state)
{
	char header[PROXY_MAX] = SIGN V4;
	char text[NET_ADDR_TEXT_MAX];
	struct net_addr a;
	struct proxy p;
	size_t n;

	(void)state;
	header[14] = 8;
	header[15] = 0;
	assert_int_equal(read_all(&p, (struct str){ header, sizeof header }, 1000, &n), PROXY_DONE);
	assert_int_equal(n, PROXY_MAX);
	assert_true(proxy_client(&p, &a));
	assert_string_equal(net_addr_text(&a, text), "192.0.2.7:4660");
}

static struct net_addr
address(const char *text)
{
	struct nets one = { 0 };
	struct net_addr a = { 0 };

	assert_int_equal(nets_add(&one, text), ERR_OK);
	memcpy(a.ip, one.v[0].ip, 16);
	return a;
}

static void
nets__have_what_begins_with_their_bits(void **state)
{
	static const struct {
		const char *net, *in, *out;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.0.1", "11.0.0.0" },
		{ "192.168.4.0/22", "192.168.7.255", "192.168.8.0" },
		{ "127.0.0.1", "127.0.0.1", "127.0.0.2" },
		{ "0.0.0.0/0", "255.1.2.3", "::1" },
		{ "fd00::/8", "fdff::9", "fe00::" },
		{ "2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::" },
		{ "::/0", "10.1.2.3", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct nets nets = { 0 };
		struct net_addr a = address(rows[i].in);

		assert_int_equal(nets_add(&nets, "203.0.113.9"), ERR_OK);
		assert_false(nets_have(&nets, &a));
		assert_int_equal(nets_add(&nets, rows[i].net), ERR_OK);
		assert_true(nets_have(&nets, &a));
		if (rows[i].out != NULL) {
			a = address(rows[i].out);
			assert_false(nets_have(&nets, &a));
		}
	}
}

static void
nets__what_is_none_is_refused(void **state)
{
	static const char *const bad[] = { "", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
		"10.0.0.1/8", "10.0.0/8", "fd00::/129", "fd00::1/64", "balancer", "10.0.0.0/8 ",
		"10.0.0.0/8/8", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc" };
	struct nets nets = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (nets_add(&nets, bad[i]) != ERR_ARG)
			fail_msg("%s is taken", bad[i]);
	assert_int_equal(nets.n, 0);
	for (unsigned i = 0; i < NETS_MAX; i++)
		assert_int_equal(nets_add(&nets, "10.0.0.0/8"), ERR_OK);
	assert_int_equal(nets_add(&nets, "10.0.0.0/8"), ERR_ARG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proxy__names_the_client_however_it_is_cut),
		cmocka_unit_test(proxy__what_is_no_header_is_told),
		cmocka_unit_test(proxy__longest_header_is_read_and_its_tlvs_passed_over),
		cmocka_unit_test(nets__have_what_begins_with_their_bits),
		cmocka_unit_test(nets__what_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
