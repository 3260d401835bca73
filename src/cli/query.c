/* query: all pages of an answer, as they come; once, or again and again. */
#include "cli/priv.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PAGE_SIZE      1000
#define PAGE_SIZE_MOST 1000000 /* the hub has its own limit and says it */
#define WATCH_MOST_S   86400

/* What is asked, and how often: 0 is once. */
struct inquiry {
	const struct args *args;
	struct target target;
	struct buf body;
	uint64_t page_size, every_s, nround;
};

/* ---- one round ---- */

/* Before the first page of a round: a terminal is cleared only now, when there is something to show. */
static void
round_open(struct inquiry *q, struct rows_view *view)
{
	time_t now = time(NULL);
	struct tm tm;
	char text[32];

	if (q->every_s > 0 && isatty(STDOUT_FILENO)) {
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", localtime_r(&now, &tm));
		printf("\x1b[H\x1b[J%s, every %llu s, Ctrl-C ends\n\n", text,
		    (unsigned long long)q->every_s);
	} else if (q->nround > 0 && view->format == ROWS_TABLE) {
		putchar('\n');
	}
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
round_run(struct inquiry *q)
{
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

/* ---- again and again ---- */

/* At once, also in the middle of a call: nothing here outlives the process. */
static void
on_interrupt(int sig)
{
	(void)sig;
	_exit(EXIT_DONE);
}

static void
interrupt_ends_well(void)
{
	struct sigaction was, now = { .sa_handler = on_interrupt };

	/* a script's job in the background has it ignored, and keeps it so */
	if (sigaction(SIGINT, NULL, &was) == 0 && was.sa_handler != SIG_IGN)
		sigaction(SIGINT, &now, NULL);
}

/* Returns when the first round fails, or nobody reads any more. A later failure is told, and asked again: hubs restart. */
static int
watch(struct inquiry *q)
{
	int code;

	interrupt_ends_well();
	for (;; q->nround++) {
		code = round_run(q);
		if ((code != EXIT_DONE && q->nround == 0) || fflush(stdout) != 0 || ferror(stdout))
			return code;
		nanosleep(&(struct timespec){ .tv_sec = (time_t)q->every_s }, NULL);
	}
}

int
cli_query(const struct args *a)
{
	struct inquiry q = { .args = a, .page_size = PAGE_SIZE };
	int code;

	if (option_number(a, OPT_PAGE_SIZE, 1, PAGE_SIZE_MOST, &q.page_size) != EXIT_DONE ||
	    option_number(a, OPT_WATCH, 1, WATCH_MOST_S, &q.every_s) != EXIT_DONE)
		return EXIT_USAGE;
	if (q.every_s > 0 && a->option[OPT_CSV] != NULL)
		return cli_fail(EXIT_USAGE, "--csv and --watch exclude each other");
	if (a->option[OPT_EXPLAIN] != NULL && (q.every_s > 0 || a->option[OPT_CSV] != NULL))
		return cli_fail(EXIT_USAGE, "--explain excludes --csv and --watch");
	if (!utf8_valid(str_of(a->operand[0])))
		return cli_fail(EXIT_USAGE, "the query is not UTF-8");
	buf_putc(&q.body, '{');
	json_text(&q.body, "query", str_of(a->operand[0]));
	buf_putc(&q.body, '}');
	code = target_open(a, &q.target);
	if (code == EXIT_DONE)
		code = a->option[OPT_EXPLAIN] != NULL ? explain(&q)
		    : q.every_s > 0                   ? watch(&q)
		                                      : round_run(&q);
	target_fini(&q.target);
	buf_fini(&q.body);
	return code;
}
