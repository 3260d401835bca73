/* query: all pages of an answer, as they come; once, or again and again. */
#include "cli/priv.h"

#include <stdio.h>

#define PAGE_SIZE      1000
#define PAGE_SIZE_MOST 1000000 /* the hub has its own limit and says it */

struct inquiry {
	const struct args *args;
	struct target target;
	struct buf body;
	uint64_t page_size;
	struct watch watch;
};

/* Before the first page of a round: a terminal is cleared only now, when there is something to show. */
static void
round_open(struct inquiry *q, struct rows_view *view)
{
	watch_open(&q->watch, view->format == ROWS_TABLE);
	rows_open(view);
}

static int
all_pages(struct inquiry *q, struct rows_view *view)
{
	struct answer answer = { 0 };
	struct buf continuation = { 0 };
	int code;

	do {
		code = hub_call(&q->target,
		    &(struct ask){ .method = POST,
		        .path = "/devices/query",
		        .body = buf_view(&q->body),
		        .continuation = continuation.p,
		        .page_size = q->page_size },
		    &answer);
		if (code != EXIT_DONE)
			break;
		if (continuation.n == 0)
			round_open(q, view);
		continuation.n = 0;
		buf_str(&continuation, buf_view(&answer.continuation));
		code = rows_page(view, doc_of(buf_view(&answer.doc)), continuation.n > 0);
	} while (code == EXIT_DONE && continuation.n > 0 && !ferror(stdout));
	answer_fini(&answer);
	buf_fini(&continuation);
	return code;
}

static int
round_run(void *ctx)
{
	struct inquiry *q = ctx;
	struct rows_view view;
	int code;

	rows_init(&view, q->args);
	code = all_pages(q, &view);
	return rows_fini(&view, code);
}

/* ---- what it costs ---- */

static int
explain(struct inquiry *q)
{
	struct answer answer = { 0 };
	int code = hub_call(&q->target,
	    &(struct ask){ .method = POST,
	        .path = "/devices/query?explain=true",
	        .body = buf_view(&q->body),
	        .page_size = q->page_size },
	    &answer);

	if (code == EXIT_DONE)
		code = show_sections(q->args, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	return code;
}

int
cli_query(const struct args *a)
{
	struct inquiry q = { .args = a, .page_size = PAGE_SIZE };
	int code;

	if (option_number(a, OPT_PAGE_SIZE, 1, PAGE_SIZE_MOST, &q.page_size) != EXIT_DONE ||
	    watch_option(a, &q.watch) != EXIT_DONE)
		return EXIT_USAGE;
	if (q.watch.every_s > 0 && a->option[OPT_CSV] != NULL)
		return cli_fail(EXIT_USAGE, "--csv and --watch exclude each other");
	if (a->option[OPT_EXPLAIN] != NULL && (q.watch.every_s > 0 || a->option[OPT_CSV] != NULL))
		return cli_fail(EXIT_USAGE, "--explain excludes --csv and --watch");
	if (!utf8_valid(str_of(a->operand[0])))
		return cli_fail(EXIT_USAGE, "the query is not UTF-8");
	buf_putc(&q.body, '{');
	json_text(&q.body, "query", str_of(a->operand[0]));
	buf_putc(&q.body, '}');
	code = target_open(a, &q.target);
	if (code == EXIT_DONE)
		code = a->option[OPT_EXPLAIN] != NULL ? explain(&q)
		                                      : watch_run(&q.watch, round_run, &q);
	target_fini(&q.target);
	buf_fini(&q.body);
	return code;
}
