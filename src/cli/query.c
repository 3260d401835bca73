/* query: all pages of an answer, as they come; once, or again and again. */
#include "cli/priv.h"

#include <stdio.h>

struct inquiry {
	const struct args *args;
	struct target target;
	struct buf body;
	uint64_t page_size;
	struct watch watch;
};

/* A round's rows. */
struct round {
	struct inquiry *q;
	struct rows_view view;
	bool opened;
};

static int
on_page(void *ctx, struct doc rows, bool more)
{
	struct round *r = ctx;

	/* a terminal is cleared only now, when there is something to show */
	if (!r->opened) {
		watch_open(&r->q->watch, r->view.format == ROWS_TABLE);
		rows_open(&r->view);
	}
	r->opened = true;
	return rows_page(&r->view, rows, more);
}

static int
round_run(void *ctx)
{
	struct round r = { .q = ctx };

	rows_init(&r.view, r.q->args);
	return rows_fini(&r.view,
	    hub_pages(&r.q->target,
	        &(struct ask){ .method = POST,
	            .path = "/devices/query",
	            .body = buf_view(&r.q->body),
	            .page_size = r.q->page_size },
	        on_page, &r));
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
	        .page_size = q->page_size,
	        .warned = true }, /* it is in the body, too */
	    &answer);

	if (code == EXIT_DONE)
		code = show_sections(q->args, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	return code;
}

int
cli_query(const struct args *a)
{
	struct inquiry q = { .args = a,
		.page_size = a->number[OPT_PAGE_SIZE],
		.watch = { .every_s = a->number[OPT_WATCH] } };
	struct out o;
	int code;

	if (q.watch.every_s > 0 && a->option[OPT_CSV] != NULL)
		return cli_fail(EXIT_USAGE, "--csv and --watch exclude each other");
	if (a->option[OPT_EXPLAIN] != NULL && (q.watch.every_s > 0 || a->option[OPT_CSV] != NULL))
		return cli_fail(EXIT_USAGE, "--explain excludes --csv and --watch");
	if (!utf8_valid(str_of(a->operand[0])))
		return cli_fail(EXIT_USAGE, "the query is not UTF-8");
	o = out_to(&q.body);
	out_open(&o);
	out_str_or_null(out_key(&o, "query"), str_of(a->operand[0]));
	out_close(&o);
	code = target_open(a, &q.target);
	if (code == EXIT_DONE)
		code = a->option[OPT_EXPLAIN] != NULL ? explain(&q)
		                                      : watch_run(&q.watch, round_run, &q);
	target_fini(&q.target);
	buf_fini(&q.body);
	return code;
}
