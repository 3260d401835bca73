/* twin show|update|replace. */
#include "cli/priv.h"

#include <stdio.h>

#define DOCUMENT_MAX ((size_t)1 << 20)

/* Parse one JSON object given by the user, and append it as a doc. what: for the message. */
static int
take_json(struct str text, const char *what, struct buf *doc)
{
	struct doc_parser *ps = doc_parser_new(DOCUMENT_MAX);
	struct doc_parsed info;
	struct fault f = { 0 };
	int code = EXIT_DONE;

	if (doc_parse(ps, text, doc, &info, &f) != ERR_OK)
		code = cli_fail(EXIT_USAGE, "%s: %s", what, f.text);
	else if (doc_kind(doc_of(buf_view(doc))) != DOC_OBJECT)
		code = cli_fail(EXIT_USAGE, "%s is not a JSON object", what);
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

static int
take_file(const char *path, struct buf *doc)
{
	struct buf text = { 0 };
	enum err e =
	    strcmp(path, "-") == 0 ? read_stdin(&text) : data_read_file(path, DOCUMENT_MAX, &text);
	int code;

	if (e == ERR_OK)
		code = take_json(buf_view(&text), path, doc);
	else
		code = cli_fail(e == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_USAGE, "--file %s: %s",
		    path,
		    e == ERR_NOT_FOUND  ? "there is no such file"
		        : e == ERR_SIZE ? "larger than 1 MB"
		                        : "cannot be read");
	buf_fini(&text);
	return code;
}

/* {"tags":...,"properties":{"desired":...}} of the two options */
static int
take_parts(const struct args *a, struct buf *json)
{
	struct buf tags = { 0 }, desired = { 0 };
	int code = EXIT_DONE;

	buf_putc(json, '{');
	if (a->option[OPT_TAGS] != NULL) {
		code = take_json(str_of(a->option[OPT_TAGS]), "--tags", &tags);
		json_member(json, "tags");
		buf_cstr(json, a->option[OPT_TAGS]);
	}
	if (code == EXIT_DONE && a->option[OPT_DESIRED] != NULL) {
		code = take_json(str_of(a->option[OPT_DESIRED]), "--desired", &desired);
		json_member(json, "properties");
		buf_printf(json, "{\"desired\":%s}", a->option[OPT_DESIRED]);
	}
	buf_putc(json, '}');
	buf_fini(&tags);
	buf_fini(&desired);
	return code;
}

/* The document to send: an operand, a file, or its parts. */
static int
take_document(const struct args *a, struct buf *json)
{
	bool parts = a->option[OPT_TAGS] != NULL || a->option[OPT_DESIRED] != NULL;
	struct buf doc = { 0 };
	int code;

	if (parts + (a->operand[1] != NULL) + (a->option[OPT_FILE] != NULL) != 1)
		return cli_fail(EXIT_USAGE,
		    "give the change once: as --tags and --desired, as a twin document, or as "
		    "--file");
	if (parts)
		return take_parts(a, json);
	code = a->operand[1] != NULL ? take_json(str_of(a->operand[1]), "the twin document", &doc)
	                             : take_file(a->option[OPT_FILE], &doc);
	if (code == EXIT_DONE)
		doc_write_json(json, doc_of(buf_view(&doc)));
	buf_fini(&doc);
	return code;
}

static int
twin_call(const struct args *a, enum method method, struct str body, const char *if_match)
{
	struct answer answer = { 0 };
	struct buf path = { 0 };
	struct str id;
	int code;

	if (operand_id(a->operand[0], &id) != EXIT_DONE)
		return EXIT_USAGE;
	path_of(&path, "/twins/", id);
	code = hub_call_once(a,
	    &(struct ask){ .method = method, .path = path.p, .body = body, .if_match = if_match },
	    &answer);
	if (code == EXIT_DONE)
		show_record(a, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}

static int
twin_write(const struct args *a, enum method method)
{
	struct buf body = { 0 }, tag = { 0 };
	int code = take_document(a, &body);

	if_match_of(&tag, str_of(a->option[OPT_ETAG]));
	if (code == EXIT_DONE)
		code = twin_call(a, method, buf_view(&body), tag.p);
	buf_fini(&body);
	buf_fini(&tag);
	return code;
}

int
cli_twin_show(const struct args *a)
{
	return twin_call(a, GET, STR_NONE, NULL);
}

int
cli_twin_update(const struct args *a)
{
	return twin_write(a, PATCH);
}

int
cli_twin_replace(const struct args *a)
{
	return twin_write(a, PUT);
}
