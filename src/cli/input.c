/* JSON that the user gives: on the command line, in a file, on stdin. */
#include "cli/priv.h"
#include "os/os.h"

#include <stdio.h>

#define DOCUMENT_MAX ((size_t)1 << 20)

int
json_take(struct str text, const char *what, struct buf *doc)
{
	struct doc_parser *ps = doc_parser_new(DOCUMENT_MAX);
	struct doc_parsed info;
	struct fault f = { 0 };
	int code = EXIT_DONE;

	if (doc_parse(ps, text, doc, &info, &f) != ERR_OK)
		code = cli_fail(EXIT_USAGE, "%s: %s", what, f.text);
	doc_parser_free(ps);
	return code;
}

/* By its descriptor: /dev/stdin cannot be opened when it is a socket. */
static enum err
read_stdin(struct buf *text)
{
	size_t n;

	do {
		buf_reserve(text, 4096);
		n = fread(text->p + text->n, 1, 4096, stdin);
		text->n += n;
	} while (n > 0 && text->n <= DOCUMENT_MAX);
	return text->n > DOCUMENT_MAX ? ERR_SIZE : ferror(stdin) ? ERR_IO : ERR_OK;
}

int
bytes_take_file(const char *path, struct buf *bytes)
{
	enum err e = strcmp(path, "-") == 0 ? read_stdin(bytes)
	                                    : os_read_file(path, DOCUMENT_MAX, bytes, NULL);

	if (e == ERR_OK)
		return EXIT_DONE;
	return cli_fail(e == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_USAGE, "--file %s: %s", path,
	    e == ERR_NOT_FOUND  ? "there is no such file"
	        : e == ERR_SIZE ? "larger than 1 MB"
	                        : "cannot be read");
}

int
json_take_file(const char *path, struct buf *doc)
{
	struct buf text = { 0 };
	int code = bytes_take_file(path, &text);

	if (code == EXIT_DONE)
		code = json_take(buf_view(&text), path, doc);
	buf_fini(&text);
	return code;
}
