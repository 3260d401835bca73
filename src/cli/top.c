/*
 * top: what a hub does, live: rates, latencies, connections, queues, sinks, disk, as GET /statistics/metrics has them at the moment of each look
 * (O-127, O-128).
 */
#include "cli/priv.h"

#include <stdio.h>
#include <time.h>

#define EVERY_S     2
#define LABEL_WIDTH 13

/* How a figure is shown. */
enum shape { AS_NUMBER, AS_RATE, AS_BYTES, AS_BYTES_RATE, AS_TIME, AS_SHARE, AS_YES };

static const struct cell {
	const char *figure, *before, *behind; /* words around it */
	enum shape shape;
} lines[][6] = {
	{ { "connections", "", " connected", AS_NUMBER }, { "connects", "", " new", AS_RATE },
	    { "connectsRefused", "", " refused", AS_RATE },
	    { "disconnects", "", " ended", AS_RATE } },
	{ { "receivedBytes", "in ", "", AS_BYTES_RATE }, { "sentBytes", "out ", "", AS_BYTES_RATE },
	    { "messagesQueued", "", " messages wait for devices", AS_NUMBER } },
	{ { "operations", "", "", AS_RATE }, { "operationP50", "p50 ", "", AS_TIME },
	    { "operationP99", "p99 ", "", AS_TIME },
	    { "operationsRefused", "", " refused", AS_RATE },
	    { "operationsFailed", "", " failed", AS_RATE } },
	{ { "requests", "", "", AS_RATE }, { "requestsRefused", "", " refused", AS_RATE },
	    { "requestsFailed", "", " failed", AS_RATE },
	    { "requestsRunning", "", " under way", AS_NUMBER } },
	{ { "queries", "", "", AS_RATE }, { "queryP99", "p99 ", "", AS_TIME },
	    { "queriesRunning", "", " under way", AS_NUMBER },
	    { "queriesWaiting", "", " wait", AS_NUMBER } },
	{ { "commits", "", "", AS_RATE }, { "commitBytes", "", "", AS_BYTES_RATE },
	    { "commitP99", "p99 ", "", AS_TIME }, { "fsyncP99", "fsync p99 ", "", AS_TIME },
	    { "stalled", "stalled ", "", AS_SHARE } },
	{ { "operationsWaiting", "", " operations", AS_NUMBER },
	    { "commitsWaiting", "", " commits", AS_NUMBER },
	    { "queueWaitP99", "turn p99 ", "", AS_TIME },
	    { "gateWaitP99", "commit p99 ", "", AS_TIME } },
	{ { "documentHits", "documents ", "", AS_SHARE }, { "documentBytes", "", "", AS_BYTES },
	    { "blockHits", "blocks ", "", AS_SHARE }, { "columnBytes", "columns ", "", AS_BYTES } },
	{ { "eventRecords", "log ", "", AS_RATE }, { "sinkEvents", "sinks ", "", AS_RATE },
	    { "sinkLag", "lag ", "", AS_NUMBER }, { "sinksFailing", "", " failing", AS_NUMBER } },
	{ { "freeBytes", "free ", "", AS_BYTES }, { "tableBytes", "tables ", "", AS_BYTES },
	    { "walBytes", "write-ahead log ", "", AS_BYTES },
	    { "takesWrites", "takes changes: ", "", AS_YES } },
	{ { "identities", "", " identities", AS_NUMBER },
	    { "jobsRunning", "", " jobs run", AS_NUMBER } },
	{ { "cpu", "CPU ", "", AS_SHARE }, { "residentBytes", "memory ", "", AS_BYTES },
	    { "logLinesDropped", "log lines lost ", "", AS_RATE } },
};
static const char *const labels[] = { "Connections", "Traffic", "Operations", "HTTP", "Queries",
	"Commits", "Queues", "In memory", "Events", "Disk", "Fleet", "Process" };
#define LINES (sizeof(labels) / sizeof(labels[0]))
_Static_assert(LINES == sizeof(lines) / sizeof(lines[0]), "a label for each");

static void
put_number(struct buf *out, double v)
{
	buf_printf(out, v > 0 && v < 10 && v != (double)(int)v ? "%.1f" : "%.0f", v);
}

static void
put_bytes(struct buf *out, double v)
{
	static const char *const units[] = { "B", "KB", "MB", "GB", "TB" };
	unsigned i = 0;

	while (v >= 1000 && i < 4) {
		v /= 1000;
		i++;
	}
	buf_printf(out, i == 0 || v >= 100 ? "%.0f %s" : "%.1f %s", v, units[i]);
}

static void
put_time(struct buf *out, double s)
{
	if (s < 0.001)
		buf_printf(out, "%.0f us", s * 1e6);
	else if (s < 1)
		buf_printf(out, s < 0.1 ? "%.1f ms" : "%.0f ms", s * 1e3);
	else
		buf_printf(out, "%.1f s", s);
}

static void
put_value(struct buf *out, enum shape shape, struct doc value)
{
	double v = doc_is_number(value) ? doc_number(value) : 0;

	if (!doc_is_number(value)) {
		buf_putc(out, '-');
		return;
	}
	switch (shape) {
	case AS_NUMBER: put_number(out, v); break;
	case AS_RATE: put_number(out, v), buf_cstr(out, "/s"); break;
	case AS_BYTES: put_bytes(out, v); break;
	case AS_BYTES_RATE: put_bytes(out, v), buf_cstr(out, "/s"); break;
	case AS_TIME: put_time(out, v); break;
	case AS_SHARE: buf_printf(out, "%.1f %%", v * 100); break;
	case AS_YES: buf_cstr(out, v > 0 ? "yes" : "NO"); break;
	}
}

static void
put_line(struct buf *out, unsigned i, struct doc now)
{
	put_padded(out, str_of(labels[i]), LABEL_WIDTH);
	for (const struct cell *c = lines[i]; c < lines[i] + 6 && c->figure != NULL; c++) {
		if (c != lines[i])
			buf_cstr(out, "   ");
		buf_cstr(out, c->before);
		put_value(out, c->shape, doc_get(now, str_of(c->figure)));
		buf_cstr(out, c->behind);
	}
	buf_putc(out, '\n');
}

struct top {
	const struct args *a;
	struct target t;
	uint64_t every_s, nround;
};

static void
show(const struct top *top, struct doc now)
{
	struct str time, fraction;
	struct buf text = { 0 };

	(void)str_cut(doc_str(doc_getc(now, "time")), '.', &time, &fraction);
	if (top->nround > 0 && !screen_ours())
		buf_putc(&text, '\n');
	put_visible(&text, str_of(top->t.host), UINT32_MAX);
	buf_cstr(&text, "  ");
	put_visible(&text, time, UINT32_MAX);
	buf_putc(&text, 'Z');
	if (screen_ours())
		buf_printf(&text, "  every %llu s, q ends", (unsigned long long)top->every_s);
	buf_cstr(&text, "\n\n");
	for (unsigned i = 0; i < LINES; i++)
		put_line(&text, i, now);
	screen_draw(buf_view(&text));
	buf_fini(&text);
}

static void
say(struct doc now)
{
	struct buf json = { 0 };

	doc_write_json(&json, now);
	json_say(&json);
	fflush(stdout);
}

/* Its points are left out as far as can be: what is now is enough. */
static int
look(struct top *top, char why[WHY_MAX])
{
	struct answer answer = { 0 };
	int code = hub_try(&top->t,
	    &(struct ask){ .method = GET, .path = "/statistics/metrics?step=86400" }, &answer, why);
	struct doc now = doc_getc(doc_of(buf_view(&answer.doc)), "now");

	if (code == EXIT_DONE && output_json(top->a))
		say(now);
	else if (code == EXIT_DONE)
		show(top, now);
	answer_fini(&answer);
	return code;
}

/* Hubs restart. What is gone, or forbidden, stays so. */
static bool
may_pass(const struct top *top, int code)
{
	return top->nround > 0 && (code == EXIT_FAILED || code == EXIT_UNREACHABLE);
}

static void
show_why(const struct top *top, const char *why)
{
	struct buf text = { 0 };

	if (output_json(top->a) || !screen_ours()) {
		cli_note("%s", why);
		return;
	}
	put_visible(&text, str_of(why), UINT32_MAX);
	buf_putc(&text, '\n');
	screen_draw(buf_view(&text));
	buf_fini(&text);
}

static int
run(struct top *top, char why[WHY_MAX])
{
	int code;

	for (;; top->nround++) {
		code = look(top, why);
		if (code != EXIT_DONE && !may_pass(top, code))
			return code;
		if (code != EXIT_DONE)
			show_why(top, why);
		if (top->a->option[OPT_ONCE] != NULL || ferror(stdout) ||
		    !screen_wait(top->every_s))
			return EXIT_DONE;
	}
}

int
cli_top(const struct args *a)
{
	struct top top = { .a = a, .every_s = EVERY_S };
	bool live = a->option[OPT_ONCE] == NULL;
	char why[WHY_MAX] = "";
	int code = target_open(a, &top.t);

	if (code != EXIT_DONE)
		return code;
	if (a->option[OPT_WATCH] != NULL)
		top.every_s = a->number[OPT_WATCH];
	if (live)
		screen_open(!output_json(a));
	code = run(&top, why);
	screen_close();
	target_fini(&top.t);
	return code == EXIT_DONE ? EXIT_DONE : cli_fail((enum exit_code)code, "%s", why);
}
