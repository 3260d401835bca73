/*
 * monitor: events as they happen, by GET /events, for as long as somebody reads them. A connection that ends is made again, from the position
 * that came last, so nothing is missed and nothing shown twice but what came behind that position.
 */
#include "cli/priv.h"

#include <stdio.h>

struct monitor {
	const struct args *args;
	struct target target;
	struct lines lines;
	struct buf position, path;
	bool json;
};

/* ---- a line ---- */

/* What it is about, without what every event has. */
static void
say_data(struct doc type, struct doc data)
{
	struct str name = doc_str(type);
	struct doc shown = data;

	if (str_eq(name, STR("Microsoft.Devices.DeviceTelemetry")))
		shown = doc_getc(data, "body");
	else if (doc_defined(doc_getc(data, "deviceConnectionStateEventInfo")))
		shown = doc_getc(doc_getc(data, "deviceConnectionStateEventInfo"), "reason");
	else if (str_starts(name, STR("Microsoft.Devices.")))
		shown = DOC_NONE;
	if (doc_defined(shown))
		say_plain(shown);
}

/* 2026-11-30T10:00:00.0000000Z  devices/d1  twin.changed  policy:service  {...} */
static void
say_event(struct doc e)
{
	struct str type = doc_str(doc_getc(e, "type")), subject = doc_str(doc_getc(e, "subject")),
	           actor = doc_str(doc_getc(e, "twinhubactor")), rest;
	size_t dot;

	for (dot = type.n; dot > 0 && type.p[dot - 1] != '.'; dot--)
		;
	rest = str_sub(type, str_starts(type, STR("twinhub.")) ? 8 : dot);
	say_str(doc_str(doc_getc(e, "time")));
	printf("  ");
	say_str(str_starts(subject, STR("devices/")) ? str_sub(subject, 8) : subject);
	printf("  ");
	say_str(rest);
	if (!str_starts(actor, STR("device:"))) {
		printf("  ");
		say_str(actor);
	}
	if (doc_defined(doc_getc(e, "twinhubcause"))) {
		printf(" ");
		say_str(doc_str(doc_getc(e, "twinhubcause")));
	}
	printf("  ");
	say_data(doc_getc(e, "type"), doc_getc(e, "data"));
	putchar('\n');
}

static void
take_line(void *ctx, struct str line, struct doc e)
{
	struct monitor *m = ctx;

	if (doc_kind(doc_getc(e, "position")) == DOC_STRING) {
		m->position.n = 0;
		buf_str(&m->position, doc_str(doc_getc(e, "position")));
		fflush(stdout);
	} else if (m->json) {
		say_str(line);
		putchar('\n');
	} else {
		say_event(e);
	}
}

/* ---- the request ---- */

static void
put_parameter(struct buf *path, const char *name, struct str value)
{
	if (value.n == 0)
		return;
	buf_putc(path, '&');
	buf_cstr(path, name);
	buf_putc(path, '=');
	buf_percent(path, value);
}

static void
put_option(struct monitor *m, const char *name, enum option o)
{
	if (m->args->option[o] != NULL)
		put_parameter(&m->path, name, str_of(m->args->option[o]));
}

static void
path_make(struct monitor *m)
{
	m->path.n = 0;
	buf_cstr(&m->path, "/events?follow=");
	buf_cstr(&m->path, m->args->option[OPT_NO_FOLLOW] != NULL ? "false" : "true");
	put_option(m, "device", OPT_DEVICE);
	put_option(m, "module", OPT_MODULE);
	put_option(m, "source", OPT_SOURCE);
	put_option(m, "path", OPT_PATH);
	put_option(m, "where", OPT_WHERE);
	if (m->position.n != 0)
		put_parameter(&m->path, "from", buf_view(&m->position));
	else
		put_option(m, "from", OPT_SINCE);
	buf_putc(&m->path, '\0');
}

static int
monitor_run(struct monitor *m)
{
	bool follow = m->args->option[OPT_NO_FOLLOW] == NULL;
	char why[WHY_MAX];
	int code;

	for (;;) {
		path_make(m);
		code = lines_read(
		    &m->lines, &m->target, &(struct ask){ .method = GET, .path = m->path.p }, why);
		if (ferror(stdout))
			return EXIT_DONE; /* the pipe is closed: who reads has had enough */
		if (code == EXIT_DONE && !follow)
			return EXIT_DONE;
		if (m->position.n == 0 || (code != EXIT_DONE && code != EXIT_UNREACHABLE))
			break;
		lines_rest(&m->lines, "where it was");
	}
	return code == EXIT_DONE
	    ? cli_fail(EXIT_UNREACHABLE, "the connection ended before anything came")
	    : cli_fail((enum exit_code)code, "%s", why);
}

int
cli_monitor(const struct args *a)
{
	struct monitor m = { .args = a, .json = output_json(a) };
	int code = target_open(a, &m.target);

	lines_init(&m.lines, take_line, &m);
	if (code == EXIT_DONE)
		code = monitor_run(&m);
	lines_fini(&m.lines);
	target_fini(&m.target);
	buf_fini(&m.position);
	buf_fini(&m.path);
	return code;
}
