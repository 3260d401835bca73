/*
 * export: the fleet into a file, page by page. The file itself says how far it has got: its last whole line names the cursor
 * where the next page begins.
 */
#include "cli/priv.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer/transfer.h"

#define EXPORTED_LINE_MAX ((size_t)8 << 20)

struct outlet {
	const char *path;
	int fd;
	uint64_t nline;
	struct buf cursor; /* NUL-terminated text; n is 0 at the beginning */
};

static int
file_failed(const char *path, const char *did)
{
	return cli_fail(EXIT_FAILED, "%s cannot be %s: %s", path, did, strerror(errno));
}

/* ---- where a file ends ---- */

/* The last line that has its end, and where it ends in the file; n is 0 when there is none. */
static int
last_line(struct outlet *o, struct buf *line, off_t *end)
{
	off_t size = lseek(o->fd, 0, SEEK_END), from;
	struct str text;
	size_t stop, start;

	if (size < 0)
		return file_failed(o->path, "read");
	from = size > (off_t)EXPORTED_LINE_MAX ? size - (off_t)EXPORTED_LINE_MAX : 0;
	buf_reserve(line, (size_t)(size - from) + 1);
	if (pread(o->fd, line->p, (size_t)(size - from), from) != (ssize_t)(size - from))
		return file_failed(o->path, "read");
	text = (struct str){ line->p, (size_t)(size - from) };
	for (stop = text.n; stop > 0 && text.p[stop - 1] != '\n';)
		stop--;
	*end = from + (off_t)stop;
	if (stop == 0)
		return from == 0
		    ? EXIT_DONE
		    : cli_fail(EXIT_FAILED, "%s is no export: its last line is too long", o->path);
	for (start = stop - 1; start > 0 && text.p[start - 1] != '\n';)
		start--;
	line->n = stop - 1 - start;
	memmove(line->p, line->p + start, line->n);
	return EXIT_DONE;
}

static bool
cursor_of(struct str line, struct buf *cursor)
{
	struct doc_parser *ps = doc_parser_new(EXPORTED_LINE_MAX);
	struct buf doc = { 0 };
	struct doc_parsed info;
	struct str device = STR_NONE, module = STR_NONE;

	if (doc_parse(ps, line, &doc, &info, NULL) == ERR_OK) {
		device = doc_str(doc_getc(doc_of(buf_view(&doc)), "id"));
		module = doc_str(doc_getc(doc_of(buf_view(&doc)), "moduleId"));
	}
	if (id_valid(device) && (module.n == 0 || id_valid(module))) {
		export_cursor(cursor, device, module);
		buf_putc(cursor, '\0');
	}
	buf_fini(&doc);
	doc_parser_free(ps);
	return cursor->n > 0;
}

/* Behind the last whole line; what follows it was cut off. */
static int
go_to_end(struct outlet *o)
{
	struct buf line = { 0 };
	off_t end = 0;
	int code = last_line(o, &line, &end);

	if (code != EXIT_DONE)
		goto done;
	if (end > 0 && !cursor_of(buf_view(&line), &o->cursor)) {
		code = cli_fail(
		    EXIT_FAILED, "%s is no export: its last line names no identity", o->path);
		goto done;
	}
	if (ftruncate(o->fd, end) != 0 || lseek(o->fd, end, SEEK_SET) != end)
		code = file_failed(o->path, "written");
done:
	buf_fini(&line);
	return code;
}

static int
outlet_open(struct outlet *o, const struct args *a)
{
	bool resume = a->option[OPT_RESUME] != NULL;

	o->path = a->operand[0];
	if (strcmp(o->path, "-") == 0) {
		o->fd = STDOUT_FILENO;
		return resume ? cli_fail(EXIT_USAGE, "--resume needs a file") : EXIT_DONE;
	}
	o->fd = open(o->path, O_RDWR | O_CLOEXEC | (resume ? 0 : O_CREAT | O_EXCL), 0600);
	if (o->fd < 0 && errno == EEXIST)
		return cli_fail(EXIT_CONFLICT,
		    "%s exists: --resume goes on behind its last line, else name another file",
		    o->path);
	if (o->fd < 0)
		return cli_fail(errno == ENOENT && resume ? EXIT_NOT_FOUND : EXIT_FAILED,
		    "%s cannot be opened: %s", o->path, strerror(errno));
	return resume ? go_to_end(o) : EXIT_DONE;
}

/* ---- pages ---- */

static int
write_page(struct outlet *o, struct str page)
{
	if (!terminal_write(o->fd, page))
		return file_failed(o->path, "written");
	for (size_t i = 0; i < page.n; i++)
		o->nline += page.p[i] == '\n';
	return EXIT_DONE;
}

static int
all_pages(struct outlet *o, const struct args *a, const struct target *t)
{
	struct ask ask = { .method = GET,
		.path = a->option[OPT_NO_KEYS] != NULL ? "/admin/export?keys=no" : "/admin/export",
		.raw = true };
	struct answer answer = { 0 };
	int code;

	do {
		ask.continuation = o->cursor.p;
		code = hub_call(t, &ask, &answer);
		if (code == EXIT_DONE)
			code = write_page(o, buf_view(&answer.body));
		o->cursor.n = 0;
		buf_str(&o->cursor, buf_view(&answer.continuation));
	} while (code == EXIT_DONE && o->cursor.n > 0);
	answer_fini(&answer);
	return code;
}

static void
show_export(const struct args *a, const struct outlet *o)
{
	struct buf json = { 0 };
	struct out out = out_to(&json);

	if (o->fd == STDOUT_FILENO)
		return;
	if (!output_json(a)) {
		printf("%llu lines written to %s\n", (unsigned long long)o->nline, o->path);
		return;
	}
	out_open(&out);
	out_u64(out_key(&out, "lines"), o->nline);
	out_close(&out);
	json_say(&json);
}

int
cli_export(const struct args *a)
{
	struct outlet o = { .fd = -1 };
	struct target t;
	int code = target_open(a, &t);

	if (code != EXIT_DONE)
		goto done;
	if ((code = outlet_open(&o, a)) != EXIT_DONE)
		goto done;
	if ((code = all_pages(&o, a, &t)) != EXIT_DONE)
		goto done;
	if (o.fd != STDOUT_FILENO && fsync(o.fd) != 0)
		code = file_failed(o.path, "written");
done:
	if (o.fd >= 0 && o.fd != STDOUT_FILENO && close(o.fd) != 0 && code == EXIT_DONE)
		code = file_failed(o.path, "written");
	if (code == EXIT_DONE)
		show_export(a, &o);
	buf_fini(&o.cursor);
	target_fini(&t);
	return code;
}
