/* query: all pages of an answer, as they come. */
#include "cli/priv.h"

#include <stdio.h>

#define PAGE_SIZE      1000
#define PAGE_SIZE_MOST 1000000 /* the hub has its own limit and says it */

static int
all_pages(const struct target *t, struct str body, uint64_t page_size, struct rows_view *view)
{
	struct answer answer = { 0 };
	struct buf continuation = { 0 };
	int code;

	do {
		code = hub_call(t,
		    &(struct ask){ .method = POST,
		        .path = "/devices/query",
		        .body = body,
		        .continuation = continuation.p,
		        .page_size = page_size },
		    &answer);
		if (code != EXIT_DONE)
			break;
		if (continuation.n == 0)
			rows_open(view);
		rows_page(view, doc_of(buf_view(&answer.doc)));
		continuation.n = 0;
		buf_str(&continuation, buf_view(&answer.continuation));
	} while (continuation.n > 0 && !ferror(stdout));
	answer_fini(&answer);
	buf_fini(&continuation);
	return code;
}

int
cli_query(const struct args *a)
{
	struct buf body = { 0 };
	struct rows_view view;
	struct target t;
	uint64_t page_size = PAGE_SIZE;
	int code;

	if (option_number(a, OPT_PAGE_SIZE, 1, PAGE_SIZE_MOST, &page_size) != EXIT_DONE)
		return EXIT_USAGE;
	if (!utf8_valid(str_of(a->operand[0])))
		return cli_fail(EXIT_USAGE, "the query is not UTF-8");
	buf_putc(&body, '{');
	json_text(&body, "query", str_of(a->operand[0]));
	buf_putc(&body, '}');
	code = target_open(a, &t);
	if (code == EXIT_DONE) {
		rows_init(&view, a);
		code = all_pages(&t, buf_view(&body), page_size, &view);
		rows_fini(&view, code == EXIT_DONE);
	}
	target_fini(&t);
	buf_fini(&body);
	return code;
}
