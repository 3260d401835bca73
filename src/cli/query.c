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

/* The operand; with --at, its end comes before the semicolon that may stand there. False: that is no time. */
static bool
put_text(const struct args *a, struct buf *text)
{
	struct str query = str_of(a->operand[0]);
	int64_t at_us;

	if (a->option[OPT_AT] != NULL && !time_parse(str_of(a->option[OPT_AT]), &at_us))
		return false;
	if (a->option[OPT_AT] == NULL) {
		buf_str(text, query);
		return true;
	}
	while (query.n != 0 && char_among(query.p[query.n - 1], "; \t\r\n"))
		query.n--;
	buf_str(text, query);
	buf_printf(text, " AS OF '%s'", a->option[OPT_AT]);
	return true;
}

int
cli_query(const struct args *a)
{
	struct inquiry q = { .args = a,
		.page_size = a->number[OPT_PAGE_SIZE],
		.watch = { .every_s = a->number[OPT_WATCH] } };
	struct buf text = { 0 };
	struct out o;
	int code;

	if (q.watch.every_s > 0 && a->option[OPT_CSV] != NULL)
		return cli_fail(EXIT_USAGE, "--csv and --watch exclude each other");
	if (a->option[OPT_EXPLAIN] != NULL && (q.watch.every_s > 0 || a->option[OPT_CSV] != NULL))
		return cli_fail(EXIT_USAGE, "--explain excludes --csv and --watch");
	if (a->option[OPT_LIVE] != NULL &&
	    (q.watch.every_s > 0 || a->option[OPT_CSV] != NULL || a->option[OPT_EXPLAIN] != NULL ||
	        a->option[OPT_AT] != NULL))
		return cli_fail(EXIT_USAGE, "--live excludes --csv, --watch, --explain and --at");
	if (!utf8_valid(str_of(a->operand[0])))
		return cli_fail(EXIT_USAGE, "the query is not UTF-8");
	if (!put_text(a, &text))
		return cli_fail(EXIT_USAGE, "--at is a time, as 2026-11-29T10:00:00Z");
	o = out_to(&q.body);
	out_open(&o);
	out_str_or_null(out_key(&o, "query"), buf_view(&text));
	out_close(&o);
	buf_fini(&text);
	code = target_open(a, &q.target);
	if (code == EXIT_DONE)
		code = a->option[OPT_LIVE] != NULL   ? query_live(a, &q.target, buf_view(&q.body))
		    : a->option[OPT_EXPLAIN] != NULL ? explain(&q)
		                                     : watch_run(&q.watch, round_run, &q);
	target_fini(&q.target);
	buf_fini(&q.body);
	return code;
}
