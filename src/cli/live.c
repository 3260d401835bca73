/*
 * query --live, twin watch: what a query finds, and from then on what becomes of it, for as long as somebody reads. A connection that ends
 * is made again, and then all comes anew: what has been missed is not known otherwise.
 */
#include "cli/priv.h"

#include <stdio.h>

/* enter   thermostat-1/updater   {"temperature":21.5} */
static void
say_step(struct str step, struct doc d)
{
	struct str device = doc_str(doc_getc(d, "deviceId"));
	struct doc module = doc_getc(d, "moduleId"), row = doc_getc(d, "row");

	printf("%-6.*s  " STR_FMT, (int)step.n, step.p, STR_ARG(device));
	if (doc_kind(module) == DOC_STRING) {
		putchar('/');
		say_str(doc_str(module));
	}
	if (doc_defined(row)) {
		printf("  ");
		say_plain(row);
	}
	putchar('\n');
}

/* A first row is quick to come by, and there may be many; from `ready` on each is somebody's news. */
static void
take_event(void *ctx, struct str line, struct doc d)
{
	const struct args *a = ctx;
	struct str event = doc_str(doc_getc(d, "event"));

	if (str_eq(event, STR("beat")))
		return;
	if (output_json(a)) {
		say_str(line);
		putchar('\n');
	} else if (str_eq(event, STR("ready"))) {
		printf("ready   ");
		say_plain(doc_getc(d, "rows"));
		puts(" rows");
	} else {
		say_step(event, d);
	}
	if (!str_eq(event, STR("row")))
		fflush(stdout);
}

static int
live_run(const struct args *a, struct target *t, struct ask *ask)
{
	char why[WHY_MAX];
	struct lines l;
	int code;

	lines_init(&l, take_event, (void *)a);
	for (;;) {
		code = lines_read(&l, t, ask, why);
		if (ferror(stdout))
			break; /* the pipe is closed: who reads has had enough */
		if (!l.came || l.final || (code != EXIT_DONE && code != EXIT_UNREACHABLE))
			break;
		lines_rest(&l, "the first row");
	}
	lines_fini(&l);
	if (ferror(stdout))
		return EXIT_DONE;
	if (l.final)
		return EXIT_FAILED; /* said already */
	return code == EXIT_DONE
	    ? cli_fail(EXIT_UNREACHABLE, "the connection ended before anything came")
	    : cli_fail((enum exit_code)code, "%s", why);
}

int
query_live(const struct args *a, struct target *t, struct str body)
{
	return live_run(
	    a, t, &(struct ask){ .method = POST, .path = "/devices/query/watch", .body = body });
}

int
cli_twin_watch(const struct args *a)
{
	struct target t;
	struct subject s;
	struct buf path = { 0 };
	int code = subject_of(a->operand[0], a->option[OPT_MODULE], &s);

	if (code != EXIT_DONE || (code = target_open(a, &t)) != EXIT_DONE)
		return code;
	subject_path(&path, "/twins/", s, "/watch");
	code = live_run(a, &t, &(struct ask){ .method = GET, .path = path.p });
	target_fini(&t);
	buf_fini(&path);
	return code;
}
