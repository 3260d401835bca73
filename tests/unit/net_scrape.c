/* The page of who comes for it over plain HTTP: what each request is answered. O-122, O-123. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/scrape.h"

/* What is asked for is what is answered. */
static const char *
write_page(void *ctx, struct str accept, struct buf *out)
{
	++*(unsigned *)ctx;
	buf_printf(out, "<" STR_FMT ">", STR_ARG(accept));
	return "text/page";
}

static unsigned npage;

/* NUL-terminated, until the next one. */
static const char *
answer(const char *token, const char *request)
{
	static struct buf out;
	struct scrape_options o = {
		.path = "/metrics", .token = token, .write = write_page, .ctx = &npage
	};

	out.n = 0;
	scrape_answer(&o, str_of(request), &out);
	buf_putc(&out, '\0');
	return out.p;
}

static void
is_status(const char *text, const char *status, bool body)
{
	const char *end = strstr(text, "\r\n\r\n");

	if (strncmp(text, "HTTP/1.1 ", 9) != 0 || strncmp(text + 9, status, 3) != 0)
		fail_msg("%s is no %s", text, status);
	assert_non_null(end);
	assert_int_equal(strlen(end) > 4, body);
	assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
}

static void
scrape__O122_the_page_and_nothing_else(void **state)
{
	(void)state;
	is_status(answer(NULL, "GET /metrics HTTP/1.1\r\n\r\n"), "200", true);
	is_status(answer(NULL, "GET /metrics HTTP/1.0\r\n\r\n"), "200", true);
	is_status(answer(NULL, "GET /metrics?name=x HTTP/1.1\r\n\r\n"), "200", true);
	is_status(answer(NULL, "HEAD /metrics HTTP/1.1\r\n\r\n"), "200", false);
	assert_int_equal(npage, 4);
	is_status(answer(NULL, "GET / HTTP/1.1\r\n\r\n"), "404", true);
	is_status(answer(NULL, "GET /metrics/ HTTP/1.1\r\n\r\n"), "404", true);
	is_status(answer(NULL, "HEAD /devices HTTP/1.1\r\n\r\n"), "404", false);
	is_status(answer(NULL, "POST /metrics HTTP/1.1\r\n\r\n"), "405", true);
	assert_non_null(
	    strstr(answer(NULL, "get /metrics HTTP/1.1\r\n\r\n"), "\r\nAllow: GET, HEAD\r\n"));
	is_status(answer(NULL, "GET /metrics\r\n\r\n"), "400", true);
	is_status(answer(NULL, "GET /metrics HTTP/2\r\n\r\n"), "400", true);
	is_status(answer(NULL, "\r\n\r\n"), "400", true);
	assert_int_equal(npage, 4);
}

static void
scrape__O121_what_is_accepted_is_handed_on(void **state)
{
	(void)state;
	assert_non_null(strstr(answer(NULL, "GET /metrics HTTP/1.1\r\n\r\n"), "\r\n\r\n<>"));
	assert_non_null(strstr(answer(NULL, "GET /metrics HTTP/1.1\r\nACCEPT:\t a/b;q=1 \r\n\r\n"),
	    "\r\n\r\n<a/b;q=1>"));
	assert_non_null(strstr(
	    answer(NULL, "GET /metrics HTTP/1.1\r\nAccept: a/b\r\nX: y\r\naccept: c/d\r\n\r\n"),
	    "\r\n\r\n<a/b,c/d>"));
}

static void
scrape__O123_who_shows_the_token(void **state)
{
	static const char *const bad[] = { "", "X: Bearer a-token\r\n",
		"Authorization: a-token\r\n", "Authorization: Basic a-token\r\n",
		"Authorization: Bearer\r\n", "Authorization: Bearer \r\n",
		"Authorization: Bearer a-toke\r\n", "Authorization: Bearer a-token2\r\n",
		"Authorization: Bearer A-token\r\n" };
	static const char *const good[] = { "Authorization: Bearer a-token\r\n",
		"authorization:bearer   a-token \r\n" };
	char request[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(request, sizeof(request), "GET /metrics HTTP/1.1\r\n%s\r\n", bad[i]);
		is_status(answer("a-token", request), "401", true);
	}
	assert_non_null(strstr(answer("a-token", "GET /metrics HTTP/1.1\r\n\r\n"),
	    "\r\nWWW-Authenticate: Bearer\r\n"));
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(request, sizeof(request), "GET /metrics HTTP/1.1\r\n%s\r\n", good[i]);
		is_status(answer("a-token", request), "200", true);
	}
	/* what there is to be read is no secret of other answers */
	is_status(answer("a-token", "GET / HTTP/1.1\r\n\r\n"), "404", true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scrape__O122_the_page_and_nothing_else),
		cmocka_unit_test(scrape__O121_what_is_accepted_is_handed_on),
		cmocka_unit_test(scrape__O123_who_shows_the_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
