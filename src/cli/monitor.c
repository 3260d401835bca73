/*
 * monitor: events as they happen, by GET /events, for as long as somebody reads them. A connection that ends is made again, from the position
 * that came last, so nothing is missed and nothing shown twice but what came behind that position.
 */
#include "cli/priv.h"

#include <limits.h>
#include <stdio.h>

#define LINE_MAX_BYTES                                                                             \
	((size_t)4                                                                                 \
	    << 20) /* of one event: its message has at most 256 KB, a twin's sections 160 KB */
#define PAUSE_MOST_S 10u

struct monitor {
	const struct args *args;
	struct target target;
	struct buf line, position, path;
	struct doc_parser *parser;
	struct buf doc;
	bool json;
	unsigned pause_s;
};

/* ---- a line ---- */

static void
say_str(struct str s)
{
	fwrite(s.p, 1, s.n, stdout);
}

/* For people: without $metadata. */
static void
put_plain(struct out *o, struct doc d)
{
	struct doc_iter it;
	struct doc value;
	struct str key;

	if (doc_kind(d) != DOC_OBJECT) {
		out_doc(o, d);
		return;
	}
	it = doc_iter(d);
	out_open(o);
	while (doc_next(&it, &key, &value))
		if (!str_eq(key, STR("$metadata")))
			put_plain(out_key_str(o, key), value);
	out_close(o);
}

/* What it is about, without what every event has. */
static void
say_data(struct doc type, struct doc data)
{
	struct str name = doc_str(type);
	struct buf text = { 0 };
	struct doc shown = data;

	if (str_eq(name, STR("Microsoft.Devices.DeviceTelemetry")))
		shown = doc_getc(data, "body");
	else if (str_starts(name, STR("Microsoft.Devices.")))
		shown = DOC_NONE;
	if (doc_defined(shown)) {
		struct buf plain = { 0 };
		struct out o = out_to(&plain);

		put_plain(&o, shown);
		put_visible(&text, buf_view(&plain), UINT_MAX);
		buf_fini(&plain);
	}
	say_str(buf_view(&text));
	buf_fini(&text);
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
	printf("  ");
	say_data(doc_getc(e, "type"), doc_getc(e, "data"));
	putchar('\n');
}

static void
take_line(struct monitor *m, struct str line)
{
	struct doc_parsed info;
	struct doc e;

	m->doc.n = 0;
	if (line.n == 0 || doc_parse(m->parser, line, &m->doc, &info, NULL) != ERR_OK)
		return;
	e = doc_of(buf_view(&m->doc));
	if (doc_kind(doc_getc(e, "position")) == DOC_STRING) {
		m->position.n = 0;
		buf_str(&m->position, doc_str(doc_getc(e, "position")));
		fflush(stdout);
	} else if (doc_kind(doc_getc(e, "closed")) == DOC_STRING) {
		struct str text = doc_str(doc_getc(e, "text"));

		cli_note("the hub ends it: " STR_FMT, STR_ARG(text));
	} else if (m->json) {
		say_str(line);
		putchar('\n');
	} else {
		say_event(e);
	}
}

/* Bytes as they come. False: nobody reads any more, or it is no line. */
static bool
on_piece(void *ctx, struct str bytes)
{
	struct monitor *m = ctx;
	size_t from = 0;

	m->pause_s = 0;
	for (size_t i = 0; i < bytes.n; i++) {
		if (bytes.p[i] != '\n')
			continue;
		buf_put(&m->line, bytes.p + from, i - from);
		take_line(m, buf_view(&m->line));
		m->line.n = 0;
		from = i + 1;
	}
	buf_put(&m->line, bytes.p + from, bytes.n - from);
	return !ferror(stdout) && m->line.n <= LINE_MAX_BYTES;
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

/* Until the connection ends. EXIT_UNREACHABLE: it may be tried again. */
static int
monitor_once(struct monitor *m, char why[WHY_MAX])
{
	struct answer answer = { 0 };
	int code;

	path_make(m);
	m->line.n = 0;
	code = hub_try(&m->target,
	    &(struct ask){
	        .method = GET, .path = m->path.p, .raw = true, .piece = on_piece, .piece_ctx = m },
	    &answer, why);
	answer_fini(&answer);
	fflush(stdout);
	return code;
}

static int
monitor_run(struct monitor *m)
{
	bool follow = m->args->option[OPT_NO_FOLLOW] == NULL;
	char why[WHY_MAX];
	int code;

	for (;;) {
		code = monitor_once(m, why);
		if (ferror(stdout))
			return EXIT_DONE; /* the pipe is closed: who reads has had enough */
		if (code == EXIT_DONE && !follow)
			return EXIT_DONE;
		if (m->position.n == 0 || (code != EXIT_DONE && code != EXIT_UNREACHABLE))
			break;
		m->pause_s = m->pause_s == 0 ? 1 : m->pause_s * 2;
		if (m->pause_s > PAUSE_MOST_S)
			m->pause_s = PAUSE_MOST_S;
		cli_note("the connection has ended; again in %u s, from where it was", m->pause_s);
		clock_sleep_us((int64_t)m->pause_s * 1000000);
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

	m.parser = doc_parser_new(LINE_MAX_BYTES);
	if (code == EXIT_DONE)
		code = monitor_run(&m);
	doc_parser_free(m.parser);
	target_fini(&m.target);
	buf_fini(&m.line);
	buf_fini(&m.position);
	buf_fini(&m.path);
	buf_fini(&m.doc);
	return code;
}
