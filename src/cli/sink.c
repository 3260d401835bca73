/*
 * Sinks and routes: create|update|show|list|delete, and test of a route. The document is a file as the service API has it; the hub says
 * what is wrong with it.
 */
#include "cli/priv.h"

/* What both have of their own. */
struct collection {
	const char *path, *noun;
};
static const struct collection sinks = { "/sinks/", "sink" }, routes = { "/routes/", "route" };

/* A file's JSON as it is to be sent. */
static int
take_document(const struct args *a, const struct collection *c, struct buf *json)
{
	struct buf doc = { 0 };
	int code;

	if (a->option[OPT_FILE] == NULL)
		return cli_fail(EXIT_USAGE, "--file is missing: the %s's JSON document", c->noun);
	code = json_take_file(a->option[OPT_FILE], &doc);
	if (code == EXIT_DONE && doc_kind(doc_of(buf_view(&doc))) != DOC_OBJECT)
		code = cli_fail(EXIT_USAGE, "--file %s: not a JSON object", a->option[OPT_FILE]);
	if (code == EXIT_DONE)
		doc_write_json(json, doc_of(buf_view(&doc)));
	buf_fini(&doc);
	return code;
}

static int
call_and_show(const struct args *a, const struct target *t, const struct ask *ask)
{
	struct answer answer = { 0 };
	int code = hub_call(t, ask, &answer);

	if (code == EXIT_DONE && answer.doc.n > 0)
		code = show_sections(a, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	return code;
}

/* The hub's PUT replaces what is there; who makes one does not want that. */
static int
check_is_new(const struct target *t, const char *path, const struct collection *c, const char *id)
{
	struct answer answer = { 0 };
	char why[WHY_MAX] = "";
	int code = hub_try(t, &(struct ask){ .method = GET, .path = path }, &answer, why);

	answer_fini(&answer);
	if (code == EXIT_NOT_FOUND)
		return EXIT_DONE;
	if (code != EXIT_DONE)
		return cli_fail((enum exit_code)code, "%s", why);
	return cli_fail(EXIT_CONFLICT, "the %s %s exists: update changes it", c->noun, id);
}

/* tag: NULL for a new one. */
static int
put_document(const struct args *a, const struct collection *c, const char *tag)
{
	struct buf path = { 0 }, json = { 0 };
	struct target t = { 0 };
	int code = take_document(a, c, &json);

	path_of(&path, c->path, str_of(a->operand[0]));
	if (code == EXIT_DONE)
		code = target_open(a, &t);
	if (code == EXIT_DONE && tag == NULL)
		code = check_is_new(&t, path.p, c, a->operand[0]);
	if (code == EXIT_DONE)
		code = call_and_show(a, &t,
		    &(struct ask){
		        .method = PUT, .path = path.p, .body = buf_view(&json), .if_match = tag });
	target_fini(&t);
	buf_fini(&path);
	buf_fini(&json);
	return code;
}

/* Of any etag, if none is named. */
static int
update(const struct args *a, const struct collection *c)
{
	struct buf tag = { 0 };
	int code;

	if_match_of(&tag, str_of(a->option[OPT_ETAG]));
	code = put_document(a, c, tag.p);
	buf_fini(&tag);
	return code;
}

static int
show(const struct args *a, const struct collection *c)
{
	struct buf path = { 0 };
	struct answer answer = { 0 };
	int code;

	path_of(&path, c->path, str_of(a->operand[0]));
	code = hub_call_once(a, &(struct ask){ .method = GET, .path = path.p }, &answer);
	if (code == EXIT_DONE)
		code = show_sections(a, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}

static int
list(const struct args *a, const char *path)
{
	struct answer answer = { 0 };
	int code = hub_call_once(a, &(struct ask){ .method = GET, .path = path }, &answer);

	if (code == EXIT_DONE)
		code = rows_show(a, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	return code;
}

static int
delete_one(const struct args *a, const struct collection *c)
{
	struct buf path = { 0 }, tag = { 0 };
	struct answer answer = { 0 };
	int code;

	path_of(&path, c->path, str_of(a->operand[0]));
	if_match_of(&tag, str_of(a->option[OPT_ETAG]));
	code = hub_call_once(
	    a, &(struct ask){ .method = DELETE, .path = path.p, .if_match = tag.p }, &answer);
	answer_fini(&answer);
	buf_fini(&path);
	buf_fini(&tag);
	return code;
}

/* ---- what the rows name ---- */

int
cli_sink_create(const struct args *a)
{
	return put_document(a, &sinks, NULL);
}

int
cli_sink_update(const struct args *a)
{
	return update(a, &sinks);
}

int
cli_sink_show(const struct args *a)
{
	return show(a, &sinks);
}

int
cli_sink_list(const struct args *a)
{
	return list(a, "/sinks");
}

int
cli_sink_delete(const struct args *a)
{
	return delete_one(a, &sinks);
}

int
cli_route_create(const struct args *a)
{
	return put_document(a, &routes, NULL);
}

int
cli_route_update(const struct args *a)
{
	return update(a, &routes);
}

int
cli_route_show(const struct args *a)
{
	return show(a, &routes);
}

int
cli_route_list(const struct args *a)
{
	return list(a, "/routes");
}

int
cli_route_delete(const struct args *a)
{
	return delete_one(a, &routes);
}

int
cli_route_test(const struct args *a)
{
	static const struct collection sample = { NULL, "sample" };
	struct buf path = { 0 }, json = { 0 };
	struct target t = { 0 };
	int code = take_document(a, &sample, &json);

	path_of(&path, routes.path, str_of(a->operand[0]));
	path.n--; /* its NUL */
	buf_cstr(&path, "/test");
	buf_putc(&path, '\0');
	if (code == EXIT_DONE)
		code = target_open(a, &t);
	if (code == EXIT_DONE)
		code = call_and_show(a, &t,
		    &(struct ask){ .method = POST, .path = path.p, .body = buf_view(&json) });
	target_fini(&t);
	buf_fini(&path);
	buf_fini(&json);
	return code;
}
