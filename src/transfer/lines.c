/* A file of lines, cut into batches. */
#include "transfer/transfer.h"

#include <errno.h>
#include <unistd.h>

#define READ_BYTES ((size_t)1 << 20)

static struct str
unread(const struct line_reader *r)
{
	return (struct str){ r->in.p + r->from, r->in.n - r->from };
}

static enum err
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
		return ERR_IO;
	r->in.n += (size_t)n;
	r->eof = n == 0;
	return ERR_OK;
}

/* Enough for a batch, and for one line of any length that can be sent. */
static enum err
fill(struct line_reader *r)
{
	enum err e = ERR_OK;

	while (e == ERR_OK && !r->eof &&
	    (r->in.n - r->from < 2 * BATCH_BYTES ||
	        (r->in.n - r->from <= IMPORT_LINE_MAX &&
	            memchr(r->in.p + r->from, '\n', r->in.n - r->from) == NULL)))
		e = read_more(r);
	return e;
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

static bool
of_configuration(struct str line)
{
	return str_starts(line, STR("{\"configuration\":"));
}

/* How much of the text makes a batch, and how many lines that is. Configurations, which go another way, have theirs. */
static size_t
batch_size(const struct line_reader *r, struct str text, uint64_t *nline)
{
	size_t n = 0, size, cut = 0;
	uint64_t lines = 0, cut_lines = 0;
	bool configurations = of_configuration(text);

	while ((size = line_size(r, str_sub(text, n))) > 0) {
		if (of_configuration(str_sub(text, n)) != configurations) {
			*nline = lines;
			return n;
		}
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
static enum err
skip_line(struct line_reader *r, struct batch *b)
{
	size_t n;
	enum err e = ERR_OK;

	while (e == ERR_OK && line_size(r, unread(r)) == 0 && !r->eof) {
		b->too_long += unread(r).n;
		r->from = r->in.n;
		e = read_more(r);
	}
	n = line_size(r, unread(r));
	b->too_long += n;
	r->from += n;
	r->offset += b->too_long;
	r->line++;
	return e;
}

enum err
line_reader_peek(struct line_reader *r, struct str *head)
{
	enum err e = fill(r);

	*head = unread(r);
	return e;
}

enum err
batch_read(struct line_reader *r, struct batch *b)
{
	struct str text;
	uint64_t nline;
	size_t n;
	enum err e = fill(r);

	b->text.n = 0;
	b->too_long = 0;
	b->line = r->line;
	b->offset = r->offset;
	text = unread(r);
	n = line_size(r, text);
	if (e == ERR_OK && text.n > 0 && (n == 0 || n > IMPORT_LINE_MAX)) {
		e = skip_line(r, b);
	} else if (e == ERR_OK) {
		n = batch_size(r, text, &nline);
		buf_put(&b->text, text.p, n);
		r->from += n;
		r->offset += n;
		r->line += nline;
	}
	b->next_line = r->line;
	b->end = r->offset;
	text = buf_view(&b->text);
	b->configurations = of_configuration(text);
	b->alone = b->configurations || of_module((struct str){ text.p, line_size(r, text) });
	return e;
}
