/* Answers that come line by line, perhaps for ever: lines of JSON, as they come. */
#include "cli/priv.h"

#include <limits.h>
#include <stdio.h>

/* of one line: a message has at most 256 KB, a twin's sections 160 KB */
#define LINE_MAX_BYTES ((size_t)4 << 20)
#define PAUSE_MOST_S   10u

/* ---- a line ---- */

void
lines_init(struct lines *l, void (*take)(void *ctx, struct str line, struct doc d), void *ctx)
{
	*l = (struct lines){ .take = take, .ctx = ctx, .parser = doc_parser_new(LINE_MAX_BYTES) };
}

void
lines_fini(struct lines *l)
{
	doc_parser_free(l->parser);
	buf_fini(&l->line);
	buf_fini(&l->doc);
}

static void
take_line(struct lines *l)
{
	struct str line = buf_view(&l->line);
	struct doc_parsed info;
	struct doc d;

	l->doc.n = 0;
	if (line.n == 0 || doc_parse(l->parser, line, &l->doc, &info, NULL) != ERR_OK)
		return;
	d = doc_of(buf_view(&l->doc));
	if (doc_kind(d) != DOC_OBJECT)
		return;
	l->pause_s = 0;
	l->came = true;
	if (doc_kind(doc_getc(d, "closed")) == DOC_STRING) {
		struct str text = doc_str(doc_getc(d, "text"));

		l->final = str_eq(doc_str(doc_getc(d, "closed")), STR("watch-rows"));
		cli_note("the hub ends it: " STR_FMT, STR_ARG(text));
	} else {
		l->take(l->ctx, line, d);
	}
}

/* Bytes as they come. False: nobody reads any more, or it is no line. */
static bool
on_piece(void *ctx, struct str bytes)
{
	struct lines *l = ctx;
	size_t from = 0;

	for (size_t i = 0; i < bytes.n; i++) {
		if (bytes.p[i] != '\n')
			continue;
		buf_put(&l->line, bytes.p + from, i - from);
		take_line(l);
		l->line.n = 0;
		from = i + 1;
	}
	buf_put(&l->line, bytes.p + from, bytes.n - from);
	return !ferror(stdout) && l->line.n <= LINE_MAX_BYTES;
}

int
lines_read(struct lines *l, struct target *t, struct ask *ask, char why[WHY_MAX])
{
	struct answer answer = { 0 };
	int code;

	l->line.n = 0;
	ask->raw = true;
	ask->piece = on_piece;
	ask->piece_ctx = l;
	code = hub_try(t, ask, &answer, why);
	answer_fini(&answer);
	fflush(stdout);
	return code;
}

void
lines_rest(struct lines *l, const char *from_where)
{
	l->pause_s = l->pause_s == 0 ? 1 : l->pause_s * 2;
	if (l->pause_s > PAUSE_MOST_S)
		l->pause_s = PAUSE_MOST_S;
	cli_note("the connection has ended; again in %u s, from %s", l->pause_s, from_where);
	clock_sleep_us((int64_t)l->pause_s * 1000000);
}

/* ---- what is said ---- */

void
say_str(struct str s)
{
	if (s.n > 0) /* of nothing there may be no pointer */
		fwrite(s.p, 1, s.n, stdout);
}

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

void
say_plain(struct doc d)
{
	struct buf plain = { 0 }, text = { 0 };
	struct out o = out_to(&plain);

	put_plain(&o, d);
	put_visible(&text, buf_view(&plain), UINT_MAX);
	say_str(buf_view(&text));
	buf_fini(&plain);
	buf_fini(&text);
}
