/* Requests cut out of bytes: however the bytes are cut, the same messages come out, and what is none ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/framing.h"

/* All that comes out of some bytes, as text: [head|body] for each message, then {status why}. */
struct outcome {
	struct buf text;
	unsigned ncontinue;
};

static void
run_on(struct framing *f, struct str in, struct outcome *o, struct buf *body)
{
	size_t n;

	for (;;) {
		enum framing_step s = framing_step(f, in, &n);

		assert_true(n <= in.n);
		switch (s) {
		case FRAMING_CONTINUE: o->ncontinue++; break;
		case FRAMING_BODY: buf_put(body, in.p, n); break;
		case FRAMING_WHOLE:
			assert_true(framing_ended(f));
			buf_printf(&o->text, "[" STR_FMT " " STR_FMT "|" STR_FMT "]",
			    STR_ARG(buf_view(&f->target)), STR_ARG(buf_view(&f->head)),
			    STR_ARG(buf_view(body)));
			body->n = 0;
			break;
		case FRAMING_TAKEN: break;
		case FRAMING_MORE: assert_int_equal(n, in.n); return;
		case FRAMING_BAD: buf_printf(&o->text, "{%u %s}", f->status, f->why); return;
		case FRAMING_END: framing_next(f); break;
		}
		in = str_sub(in, n);
	}
}

/* In pieces of `piece` bytes. */
static struct outcome
outcome_of(struct str all, size_t piece)
{
	struct framing f = { .max_head = 512, .max_body = 1000 };
	struct outcome o = { 0 };
	struct buf body = { 0 };

	while (all.n > 0 && f.state != FRAMING_IS_BAD) {
		struct str some = { all.p, piece < all.n ? piece : all.n };

		run_on(&f, some, &o, &body);
		all = str_sub(all, some.n);
	}
	buf_putc(&o.text, '\0');
	buf_fini(&body);
	framing_fini(&f);
	return o;
}

static void
expect(const char *bytes, const char *outcome)
{
	struct str all = str_of(bytes);

	for (size_t piece = 1; piece <= all.n; piece++) {
		struct outcome o = outcome_of(all, piece);

		assert_string_equal(o.text.p, outcome);
		buf_fini(&o.text);
	}
}

static void
framing__R14_lengths_and_chunks_become_one_length(void **state)
{
	(void)state;
	expect("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 003\r\n\r\nxyz",
	    "[/a POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n|xyz]");
	expect("PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked \r\nTrailer: T\r\n\r\n"
	       "2\r\nxy\r\n1 ; e=\"1\"\r\nz\r\n0\r\nT: 1\r\n\r\n",
	    "[/a PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n|xyz]");
	expect("PATCH /a HTTP/1.1\r\nHost: h\r\n\r\n",
	    "[/a PATCH / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n|]");
}

static void
framing__R14_bodies_that_nobody_reads_are_gone(void **state)
{
	(void)state;
	expect("GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 19\r\n\r\nGET /b HTTP/1.1\r\n\r\n"
	       "\r\nDELETE /c HTTP/1.0\r\n\r\n"
	       "BREW /d HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
	    "[/a GET / HTTP/1.1\r\nHost: h\r\n\r\n|][/c DELETE / HTTP/1.0\r\n\r\n|]"
	    "[/d BREW / HTTP/1.1\r\nHost:\r\n\r\n|]");
}

static void
framing__R14_what_goes_wrong_shows_nothing_of_its_message(void **state)
{
	(void)state;
	expect("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\nX : 1\r\n\r\n",
	    "[/a GET / HTTP/1.1\r\nHost: h\r\n\r\n|]"
	    "{400 a header's name has characters that no name has}");
	expect("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
	       "chunked\r\n\r\n2\r\nxyz\r\n0\r\n\r\n",
	    "{400 a chunk is longer than it says}");
	expect("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n",
	    "{413 the body is longer than any that is read}");
	expect("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n",
	    "{413 the body is longer than any that is read}");
}

static void
framing__R14_what_is_asked_to_continue_is_told_once(void **state)
{
	static const char *const asked[] = {
		"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nHost: h\r\n"
		"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
		"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nHost: h\r\n"
		"Content-Length: 1\r\n\r\nx"
	};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct outcome o = outcome_of(str_of(asked[i]), 7);

		assert_int_equal(o.ncontinue, 1);
		assert_string_equal(
		    o.text.p, "[/a POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n|x]");
		buf_fini(&o.text);
	}
	expect("POST /a HTTP/1.1\r\nHost: h\r\nExpect: more\r\n\r\n",
	    "{400 the request expects something else than 100-continue}");
}

static void
framing__R14_heads_are_bounded(void **state)
{
	struct buf b = { 0 };
	struct outcome o;

	(void)state;
	buf_cstr(&b, "GET /a HTTP/1.1\r\nHost: h\r\n");
	while (b.n < 600)
		buf_cstr(&b, "X: 1\r\n");
	o = outcome_of(buf_view(&b), 5);
	assert_string_equal(
	    o.text.p, "{400 a line of the request, or all its header, is too long}");
	buf_fini(&o.text);
	b.n = 0;
	buf_cstr(&b, "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
	while (b.n < 700)
		buf_cstr(&b, "X: 1\r\n");
	o = outcome_of(buf_view(&b), 5);
	assert_string_equal(
	    o.text.p, "{400 a line of the request, or all its header, is too long}");
	buf_fini(&o.text);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(framing__R14_lengths_and_chunks_become_one_length),
		cmocka_unit_test(framing__R14_bodies_that_nobody_reads_are_gone),
		cmocka_unit_test(framing__R14_what_goes_wrong_shows_nothing_of_its_message),
		cmocka_unit_test(framing__R14_what_is_asked_to_continue_is_told_once),
		cmocka_unit_test(framing__R14_heads_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
