/* twin show|convergence|update|replace, of a device or of one of its modules. */
#include "cli/priv.h"

#include <stdio.h>

#include "hub/bodies.h"

static int
is_object(const struct buf *doc, const char *what)
{
	if (doc_kind(doc_of(buf_view(doc))) == DOC_OBJECT)
		return EXIT_DONE;
	return cli_fail(EXIT_USAGE, "%s is not a JSON object", what);
}

static int
take_object(const char *text, const char *what, struct buf *doc)
{
	int code = json_take(str_of(text), what, doc);

	return code == EXIT_DONE ? is_object(doc, what) : code;
}

static int
take_file(const char *path, struct buf *doc)
{
	int code = json_take_file(path, doc);

	return code == EXIT_DONE ? is_object(doc, path) : code;
}

/* {"tags":...,"properties":{"desired":...}} of the two options */
static int
take_parts(const struct args *a, struct buf *json)
{
	struct buf tags = { 0 }, desired = { 0 };
	struct out o = out_to(json);
	int code = EXIT_DONE;

	out_open(&o);
	if (a->option[OPT_TAGS] != NULL) {
		code = take_object(a->option[OPT_TAGS], "--tags", &tags);
		out_json(out_key(&o, "tags"), str_of(a->option[OPT_TAGS]));
	}
	if (code == EXIT_DONE && a->option[OPT_DESIRED] != NULL) {
		code = take_object(a->option[OPT_DESIRED], "--desired", &desired);
		out_open(out_key(&o, "properties"));
		out_json(out_key(&o, "desired"), str_of(a->option[OPT_DESIRED]));
		out_close(&o);
	}
	out_close(&o);
	buf_fini(&tags);
	buf_fini(&desired);
	return code;
}

int
twin_change_take(const struct args *a, const char *text, struct buf *json)
{
	bool parts = a->option[OPT_TAGS] != NULL || a->option[OPT_DESIRED] != NULL;
	struct buf doc = { 0 };
	int code;

	if (parts + (text != NULL) + (a->option[OPT_FILE] != NULL) != 1)
		return cli_fail(EXIT_USAGE,
		    "give the change once: as --tags and --desired, as a twin document, or as "
		    "--file");
	if (parts)
		return take_parts(a, json);
	code = text != NULL ? take_object(text, "the twin document", &doc)
	                    : take_file(a->option[OPT_FILE], &doc);
	if (code == EXIT_DONE)
		doc_write_json(json, doc_of(buf_view(&doc)));
	buf_fini(&doc);
	return code;
}

static int
twin_call(const struct args *a, enum method method, const char *tail, struct str body,
    const char *if_match, void (*show)(const struct args *a, struct doc d))
{
	struct answer answer = { 0 };
	struct buf path = { 0 };
	struct subject s;
	int code;

	if (subject_of(a->operand[0], a->option[OPT_MODULE], &s) != EXIT_DONE)
		return EXIT_USAGE;
	subject_path(&path, "/twins/", s, tail);
	code = hub_call_once(a,
	    &(struct ask){ .method = method, .path = path.p, .body = body, .if_match = if_match },
	    &answer);
	if (code == EXIT_DONE)
		show(a, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}

/* A member that no twin has, or has elsewhere, would be accepted and change nothing. Of what was read from a twin and is given back
 * the members that are the hub's own are no such thing; $version tells that reported properties were read. */
static int
change_judge(struct str json, bool merge)
{
	struct buf doc = { 0 }, why = { 0 };
	int code = json_take(json, "the twin document", &doc);
	struct doc d = doc_of(buf_view(&doc)), properties = doc_getc(d, "properties"),
	           reported = doc_getc(properties, "reported");

	if (code != EXIT_DONE)
		goto done;
	if (body_stray(d, &body_twin, &why))
		code = cli_fail(EXIT_USAGE, STR_FMT, STR_ARG(buf_view(&why)));
	else if (doc_count(reported) > 0 && !doc_defined(doc_getc(reported, "$version")))
		code = cli_fail(EXIT_USAGE, "properties.reported is written by the device alone");
	else if (merge && !doc_defined(doc_getc(d, "tags")) &&
	    !doc_defined(doc_getc(properties, "desired")))
		code =
		    cli_fail(EXIT_USAGE, "nothing to change: neither tags nor properties.desired");
done:
	buf_fini(&doc);
	buf_fini(&why);
	return code;
}

static int
twin_write(const struct args *a, enum method method)
{
	struct buf body = { 0 }, tag = { 0 };
	int code = twin_change_take(a, a->operand[1], &body);

	if (code == EXIT_DONE)
		code = change_judge(buf_view(&body), method == PATCH);

	if_match_of(&tag, str_of(a->option[OPT_ETAG]));
	if (code == EXIT_DONE)
		code = twin_call(a, method, "", buf_view(&body), tag.p, show_record);
	buf_fini(&body);
	buf_fini(&tag);
	return code;
}

int
cli_twin_show(const struct args *a)
{
	struct answer answer = { 0 };
	struct buf path = { 0 };
	struct subject s;
	int code = subject_of(a->operand[0], a->option[OPT_MODULE], &s);

	if (code != EXIT_DONE)
		return code;
	if (a->option[OPT_AT] != NULL && a->option[OPT_AT_VERSION] != NULL)
		return cli_fail(EXIT_USAGE, "--at and --at-version exclude each other");
	twin_past_path(a, s, &path);
	code = hub_call_once(a, &(struct ask){ .method = GET, .path = path.p }, &answer);
	if (code == EXIT_DONE)
		show_record(a, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}

/* For people: the twin's state in lines, what is pending as rows. */
static void
show_convergence(const struct args *a, struct doc d)
{
	struct doc pending = doc_getc(d, "pending"), v;
	struct doc_iter it = doc_iter(d);
	struct buf head = { 0 };
	struct doc_writer dw;
	struct str key;

	if (output_json(a)) {
		show_record(a, d);
		return;
	}
	doc_writer_init(&dw, &head, 0);
	doc_begin_object(&dw, 0);
	while (doc_next(&it, &key, &v)) {
		if (str_eq(key, STR("pending")))
			continue;
		doc_key(&dw, key);
		doc_put_copy(&dw, 0, v);
	}
	doc_end(&dw);
	show_record(a, doc_of(buf_view(&head)));
	buf_fini(&head);
	if (doc_count(pending) == 0)
		return;
	putchar('\n');
	(void)rows_show(a, pending);
}

int
cli_twin_convergence(const struct args *a)
{
	return twin_call(a, GET, "/convergence", STR_NONE, NULL, show_convergence);
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
