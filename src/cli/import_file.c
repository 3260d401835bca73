/* What an import reads, and what it notes about itself. */
#include "cli/import.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define READ_BYTES ((size_t)1 << 20)

/* ---- lines ---- */

static struct str
unread(const struct line_reader *r)
{
	return (struct str){ r->in.p + r->from, r->in.n - r->from };
}

static int
read_more(struct line_reader *r)
{
	ssize_t n;

	if (r->from > 0) {
		memmove(r->in.p, r->in.p + r->from, r->in.n - r->from);
		r->in.n -= r->from;
		r->from = 0;
	}
	buf_reserve(&r->in, READ_BYTES);
	do
		n = read(r->fd, r->in.p + r->in.n, READ_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return cli_fail(EXIT_FAILED, "%s cannot be read: %s", r->path, strerror(errno));
	r->in.n += (size_t)n;
	r->eof = n == 0;
	return EXIT_DONE;
}

/* Enough for a batch, and for one line of any length that can be sent. */
static int
fill(struct line_reader *r)
{
	int code = EXIT_DONE;

	while (code == EXIT_DONE && !r->eof &&
	    (r->in.n - r->from < 2 * BATCH_BYTES ||
	        (r->in.n - r->from <= IMPORT_LINE_MAX &&
	            memchr(r->in.p + r->from, '\n', r->in.n - r->from) == NULL)))
		code = read_more(r);
	return code;
}

/* Bytes of the line that begins there, its end included; 0: it has none yet. */
static size_t
line_size(const struct line_reader *r, struct str text)
{
	const char *end = text.n > 0 ? memchr(text.p, '\n', text.n) : NULL;

	if (end != NULL)
		return (size_t)(end - text.p) + 1;
	return r->eof ? text.n : 0;
}

/* A module's line, or, rarely, one that only mentions the word: then a batch is cut elsewhere. */
static bool
of_module(struct str line)
{
	return line.n > 0 && memmem(line.p, line.n, "\"moduleId\"", 10) != NULL;
}

/* How much of the text makes a batch, and how many lines that is. */
static size_t
batch_size(const struct line_reader *r, struct str text, uint64_t *nline)
{
	size_t n = 0, size, cut = 0;
	uint64_t lines = 0, cut_lines = 0;

	while ((size = line_size(r, str_sub(text, n))) > 0) {
		if (lines > 0 && !of_module((struct str){ text.p + n, size })) {
			cut = n;
			cut_lines = lines;
		}
		if (lines > 0 && (n + size > BATCH_BYTES || lines == BATCH_LINES))
			break;
		n += size;
		lines++;
	}
	if (cut > 0 && (size > 0 || !r->eof)) { /* it is not the end: stay with whole devices */
		n = cut;
		lines = cut_lines;
	}
	*nline = lines;
	return n;
}

/* Past a line that no request can hold. */
static int
skip_line(struct line_reader *r, struct batch *b)
{
	size_t n;
	int code = EXIT_DONE;

	while (code == EXIT_DONE && (n = line_size(r, unread(r))) == 0 && !r->eof) {
		b->too_long += unread(r).n;
		r->from = r->in.n;
		code = read_more(r);
	}
	n = line_size(r, unread(r));
	b->too_long += n;
	r->from += n;
	r->offset += b->too_long;
	r->line++;
	return code;
}

int
batch_read(struct line_reader *r, struct batch *b)
{
	struct str text;
	uint64_t nline;
	size_t n;
	int code = fill(r);

	b->text.n = 0;
	b->too_long = 0;
	b->line = r->line;
	b->offset = r->offset;
	text = unread(r);
	n = line_size(r, text);
	if (code == EXIT_DONE && text.n > 0 && (n == 0 || n > IMPORT_LINE_MAX)) {
		code = skip_line(r, b);
	} else if (code == EXIT_DONE) {
		n = batch_size(r, text, &nline);
		buf_put(&b->text, text.p, n);
		r->from += n;
		r->offset += n;
		r->line += nline;
	}
	b->next_line = r->line;
	b->end = r->offset;
	text = buf_view(&b->text);
	b->alone = of_module((struct str){ text.p, line_size(r, text) });
	return code;
}

/* ---- progress ---- */

static const struct {
	const char *name;
	size_t at;
} members[] = {
	{ "size", offsetof(struct progress, size) },
	{ "offset", offsetof(struct progress, offset) },
	{ "line", offsetof(struct progress, line) },
	{ "sent", offsetof(struct progress, sent) },
	{ "done", offsetof(struct progress, done) },
	{ "there", offsetof(struct progress, there) },
	{ "failed", offsetof(struct progress, failed) },
	{ "errorBytes", offsetof(struct progress, error_bytes) },
};
#define NMEMBER (sizeof(members) / sizeof(members[0]))

enum err
progress_read(const char *path, struct progress *p)
{
	struct doc_parser *ps = doc_parser_new(4096);
	struct buf text = { 0 }, doc = { 0 };
	struct doc_parsed info;
	enum err e = data_read_file(path, 4096, &text);

	if (e == ERR_OK && doc_parse(ps, buf_view(&text), &doc, &info, NULL) != ERR_OK)
		e = ERR_CORRUPT;
	for (size_t i = 0; i < NMEMBER && e == ERR_OK; i++) {
		struct doc v = doc_get(doc_of(buf_view(&doc)), str_of(members[i].name));

		if (doc_kind(v) != DOC_INT || doc_int(v) < 0)
			e = ERR_CORRUPT;
		else
			*(uint64_t *)((char *)p + members[i].at) = (uint64_t)doc_int(v);
	}
	buf_fini(&text);
	buf_fini(&doc);
	doc_parser_free(ps);
	return e;
}

enum err
progress_write(const char *path, const struct progress *p)
{
	struct buf json = { 0 };
	enum err e;

	buf_putc(&json, '{');
	for (size_t i = 0; i < NMEMBER; i++) {
		json_member(&json, members[i].name);
		buf_u64(&json, *(const uint64_t *)((const char *)p + members[i].at));
	}
	buf_cstr(&json, "}\n");
	e = data_write_file(path, buf_view(&json), 0600);
	buf_fini(&json);
	return e;
}
