/*
 * Automatic configurations: create|list|update|delete. The document is a file as the service API has it; single members of
 * it can be given as options, which win. `show` has a file of its own.
 */
#include "cli/priv.h"

#include <stdio.h>

#include "config/configuration.h"

int
configuration_path(struct buf *path, const char *id)
{
	if (!configuration_id_valid(str_of(id)))
		return cli_fail(EXIT_USAGE,
		    "'%s' is no id of a configuration: 1 to %u of lower-case letters, digits and "
		    "punctuation, none of & ^ [ ] { } \\ / \" < > |",
		    id, CONFIGURATION_ID_MAX);
	path_of(path, "/configurations/", str_of(id));
	return EXIT_DONE;
}

/* ---- the document ---- */

/* The members of a configuration; a misspelt one would be passed over by the hub. */
static const char *const members[] = { "id", "schemaVersion", "labels", "content", "contentType",
	"targetCondition", "priority", "metrics", "systemMetrics", "createdTimeUtc",
	"lastUpdatedTimeUtc", "rollout", "etag" };

static bool
is_member(struct str key)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (str_eq(key, str_of(members[i])))
			return true;
	return false;
}

static int
check_members(struct doc document, struct str id, const char *file)
{
	struct doc_iter it = doc_iter(document);
	struct doc own = doc_getc(document, "id"), v;
	struct str key;

	if (doc_kind(document) != DOC_OBJECT)
		return cli_fail(EXIT_USAGE, "--file %s: not a JSON object", file);
	while (doc_next(&it, &key, &v)) {
		if (str_ends(key, STR("Content"))) /* az takes the content alone, too */
			return cli_fail(EXIT_USAGE,
			    "--file %s: '" STR_FMT "' belongs into the content: "
			    "{\"content\":{\"" STR_FMT "\":...}}",
			    file, STR_ARG(key), STR_ARG(key));
		if (!is_member(key))
			return cli_fail(EXIT_USAGE,
			    "--file %s: '" STR_FMT "' is no member of a configuration (content, "
			    "targetCondition, priority, labels, metrics, ...)",
			    file, STR_ARG(key));
	}
	if (doc_kind(own) == DOC_STRING && !str_eq(doc_str(own), id))
		return cli_fail(EXIT_USAGE, "--file %s: its id is '" STR_FMT "', not '" STR_FMT "'",
		    file, STR_ARG(doc_str(own)), STR_ARG(id));
	return EXIT_DONE;
}

static int
take_labels(const struct args *a, struct buf *doc)
{
	int code = json_take(str_of(a->option[OPT_LABELS]), "--labels", doc);

	if (code == EXIT_DONE && doc_kind(doc_of(buf_view(doc))) != DOC_OBJECT)
		code = cli_fail(EXIT_USAGE, "--labels is not a JSON object");
	return code;
}

/* Members that options name; those of the document that they do not name stay. */
static int
put_options(struct doc_writer *dw, const struct args *a)
{
	const char *condition = a->option[OPT_CONDITION];
	struct buf labels = { 0 };
	int code = EXIT_DONE;

	if (condition != NULL && !utf8_valid(str_of(condition)))
		return cli_fail(EXIT_USAGE, "--condition is not UTF-8");
	if (condition != NULL) {
		doc_key(dw, STR("targetCondition"));
		doc_put_str(dw, 0, str_of(condition));
	}
	if (a->option[OPT_PRIORITY] != NULL) {
		doc_key(dw, STR("priority"));
		doc_put_int(dw, 0, (int64_t)a->number[OPT_PRIORITY]);
	}
	if (a->option[OPT_LABELS] != NULL && (code = take_labels(a, &labels)) == EXIT_DONE) {
		doc_key(dw, STR("labels"));
		doc_put_copy(dw, 0, doc_of(buf_view(&labels)));
	}
	buf_fini(&labels);
	return code;
}

static bool
is_replaced(const struct args *a, struct str key)
{
	return str_eq(key, STR("id")) ||
	    (a->option[OPT_CONDITION] != NULL && str_eq(key, STR("targetCondition"))) ||
	    (a->option[OPT_PRIORITY] != NULL && str_eq(key, STR("priority"))) ||
	    (a->option[OPT_LABELS] != NULL && str_eq(key, STR("labels")));
}

static int
put_document(struct buf *json, const struct args *a, struct doc document)
{
	struct doc_iter it = doc_iter(document);
	struct buf out = { 0 };
	struct doc_writer dw;
	struct str key;
	struct doc v;
	int code;

	doc_writer_init(&dw, &out, 0);
	doc_begin_object(&dw, 0);
	doc_key(&dw, STR("id"));
	doc_put_str(&dw, 0, str_of(a->operand[0]));
	while (doc_next(&it, &key, &v)) {
		if (is_replaced(a, key))
			continue;
		doc_key(&dw, key);
		doc_put_copy(&dw, 0, v);
	}
	code = put_options(&dw, a);
	doc_end(&dw);
	if (code == EXIT_DONE)
		doc_write_json(json, doc_of(buf_view(&out)));
	buf_fini(&out);
	return code;
}

static int
take_file(struct buf *json, const struct args *a)
{
	const char *file = a->option[OPT_FILE];
	struct buf doc = { 0 };
	int code = json_take_file(file, &doc);

	if (code != EXIT_DONE)
		goto done;
	if ((code = check_members(doc_of(buf_view(&doc)), str_of(a->operand[0]), file)) !=
	    EXIT_DONE)
		goto done;
	code = put_document(json, a, doc_of(buf_view(&doc)));
done:
	buf_fini(&doc);
	return code;
}

/* ---- create, update ---- */

/* Of each twin its ids and the patch, or why there is none, or what is wrong with it there. */
static void
sample_rows(struct buf *out, struct doc sample)
{
	static const struct str names[] = { { "deviceId", 8 }, { "moduleId", 8 }, { "patch", 5 },
		{ "replacement", 11 }, { "error", 5 } };
	struct doc_iter it = doc_iter(sample);
	struct doc_writer dw;
	struct str key;
	struct doc v;

	doc_writer_init(&dw, out, 0);
	doc_begin_array(&dw, 0);
	while (doc_next(&it, &key, &v)) {
		doc_begin_object(&dw, 0);
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			if (!doc_defined(doc_get(v, names[i])))
				continue;
			doc_key(&dw, names[i]);
			doc_put_copy(&dw, 0, doc_get(v, names[i]));
		}
		if (doc_defined(doc_getc(v, "reasons")))
			reasons_line(&dw, v);
		doc_end(&dw);
	}
	doc_end(&dw);
}

void
dry_run_show(const struct args *a, struct doc d)
{
	struct doc sample = doc_getc(d, "sample");
	struct doc_iter it = doc_iter(d);
	struct buf head = { 0 }, rows = { 0 };
	struct doc_writer dw;
	struct str key;
	struct doc v;

	if (output_json(a)) {
		show_record(a, d);
		return;
	}
	doc_writer_init(&dw, &head, 0);
	doc_begin_object(&dw, 0);
	while (doc_next(&it, &key, &v)) {
		if (!doc_is_number(v))
			continue;
		doc_key(&dw, key);
		doc_put_copy(&dw, 0, v);
	}
	doc_end(&dw);
	show_record(a, doc_of(buf_view(&head)));
	sample_rows(&rows, doc_defined(sample) ? sample : doc_getc(d, "devices"));
	putchar('\n');
	(void)rows_show(a, doc_of(buf_view(&rows)));
	buf_fini(&head);
	buf_fini(&rows);
}

static int
dry_run(const struct args *a, const struct target *t, const char *path, struct str json,
    const char *if_match)
{
	struct answer answer = { 0 };
	struct buf full = { 0 };
	int code;

	buf_printf(&full, "%s?dryRun=true", path);
	buf_putc(&full, '\0');
	code = hub_call(t,
	    &(struct ask){ .method = PUT,
	        .path = full.p,
	        .body = json,
	        .if_match = if_match,
	        .page_size = 1000 },
	    &answer);
	if (code == EXIT_DONE)
		dry_run_show(a, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	buf_fini(&full);
	return code;
}

/* if_match: NULL for a new one. */
static int
configuration_put(const struct args *a, const struct target *t, const char *path, struct str json,
    const char *if_match)
{
	struct answer answer = { 0 };
	int code;

	if (a->option[OPT_DRY_RUN] != NULL)
		return dry_run(a, t, path, json, if_match);
	code = hub_call(t,
	    &(struct ask){ .method = PUT, .path = path, .body = json, .if_match = if_match },
	    &answer);
	if (code != EXIT_DONE)
		goto done;
	/* the answer to a new one has not counted anything yet */
	if (if_match == NULL && !output_json(a))
		code = hub_call(t, &(struct ask){ .method = GET, .path = path }, &answer);
	if (code != EXIT_DONE)
		goto done;
	configuration_print(a, doc_of(buf_view(&answer.doc)));
	if (if_match == NULL)
		matches_tell(
		    t, doc_text(doc_getc(doc_of(buf_view(&answer.doc)), "targetCondition")));
done:
	answer_fini(&answer);
	return code;
}

int
cli_configuration_create(const struct args *a)
{
	struct buf path = { 0 }, json = { 0 };
	struct target t = { 0 };
	int code = configuration_path(&path, a->operand[0]);

	if (code != EXIT_DONE)
		goto done;
	if (a->option[OPT_FILE] == NULL) {
		code = cli_fail(EXIT_USAGE, "--file is missing: the configuration's JSON document");
		goto done;
	}
	if ((code = take_file(&json, a)) != EXIT_DONE)
		goto done;
	if ((code = target_open(a, &t)) != EXIT_DONE)
		goto done;
	code = configuration_put(a, &t, path.p, buf_view(&json), NULL);
done:
	target_fini(&t);
	buf_fini(&path);
	buf_fini(&json);
	return code;
}

/* What the hub has with other members; only if it is still that. */
static int
change_members(const struct args *a, const struct target *t, const char *path)
{
	struct buf json = { 0 }, tag = { 0 };
	struct answer answer = { 0 };
	const char *etag = a->option[OPT_ETAG];
	struct doc was;
	int code = hub_call(t, &(struct ask){ .method = GET, .path = path }, &answer);

	if (code != EXIT_DONE)
		goto done;
	was = doc_of(buf_view(&answer.doc));
	if_match_of(&tag, etag != NULL ? str_of(etag) : doc_str(doc_getc(was, "etag")));
	code = put_document(&json, a, was);
	if (code != EXIT_DONE)
		goto done;
	code = configuration_put(a, t, path, buf_view(&json), tag.p);
done:
	answer_fini(&answer);
	buf_fini(&json);
	buf_fini(&tag);
	return code;
}

static int
replace_by_file(const struct args *a, const struct target *t, const char *path)
{
	struct buf json = { 0 }, tag = { 0 };
	int code = take_file(&json, a);

	if_match_of(&tag, str_of(a->option[OPT_ETAG]));
	if (code == EXIT_DONE)
		code = configuration_put(a, t, path, buf_view(&json), tag.p);
	buf_fini(&json);
	buf_fini(&tag);
	return code;
}

int
cli_configuration_update(const struct args *a)
{
	bool members_given = a->option[OPT_CONDITION] != NULL || a->option[OPT_PRIORITY] != NULL ||
	    a->option[OPT_LABELS] != NULL;
	struct buf path = { 0 };
	struct target t = { 0 };
	int code = configuration_path(&path, a->operand[0]);

	if (code != EXIT_DONE)
		goto done;
	if (a->option[OPT_FILE] == NULL && !members_given) {
		code = cli_fail(EXIT_USAGE,
		    "nothing to change: give --condition, --priority, --labels or --file");
		goto done;
	}
	if ((code = target_open(a, &t)) != EXIT_DONE)
		goto done;
	code = a->option[OPT_FILE] != NULL ? replace_by_file(a, &t, path.p)
	                                   : change_members(a, &t, path.p);
done:
	target_fini(&t);
	buf_fini(&path);
	return code;
}

/* ---- delete, list ---- */

int
cli_configuration_delete(const struct args *a)
{
	struct answer answer = { 0 };
	struct buf path = { 0 }, tag = { 0 };
	int code = configuration_path(&path, a->operand[0]);

	if_match_of(&tag, str_of(a->option[OPT_ETAG]));
	if (code != EXIT_DONE)
		goto done;
	if ((code = hub_call_once(a,
	         &(struct ask){ .method = DELETE, .path = path.p, .if_match = tag.p }, &answer)) !=
	    EXIT_DONE)
		goto done;
	if (!output_json(a))
		printf("deleted %s\n", a->operand[0]);
done:
	answer_fini(&answer);
	buf_fini(&path);
	buf_fini(&tag);
	return code;
}

static void
put_row(struct doc_writer *dw, struct doc c)
{
	static const struct {
		const char *name;
		bool counted;
	} columns[] = { { "id", false }, { "priority", false }, { "targetCondition", false },
		{ "targetedCount", true }, { "appliedCount", true }, { "labels", false },
		{ "lastUpdatedTimeUtc", false } };
	struct doc results = doc_getc(doc_getc(c, "systemMetrics"), "results"), v;

	doc_begin_object(dw, 0);
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		v = doc_get(columns[i].counted ? results : c, str_of(columns[i].name));
		doc_key(dw, str_of(columns[i].name));
		if (doc_defined(v))
			doc_put_copy(dw, 0, v);
		else
			doc_put_null(dw, 0);
	}
	doc_end(dw);
}

/* JSON as the hub has it; a table and CSV have what fits on a line. */
static int
show_list(const struct args *a, struct doc configurations)
{
	struct doc_iter it = doc_iter(configurations);
	struct buf rows = { 0 };
	struct doc_writer dw;
	struct str key;
	struct doc v;
	int code;

	if (output_json(a) && a->option[OPT_CSV] == NULL)
		return rows_show(a, configurations);
	doc_writer_init(&dw, &rows, 0);
	doc_begin_array(&dw, 0);
	while (doc_next(&it, &key, &v))
		put_row(&dw, v);
	doc_end(&dw);
	code = rows_show(a, doc_of(buf_view(&rows)));
	buf_fini(&rows);
	return code;
}

int
cli_configuration_list(const struct args *a)
{
	struct answer answer = { 0 };
	int code =
	    hub_call_once(a, &(struct ask){ .method = GET, .path = "/configurations" }, &answer);

	if (code == EXIT_DONE)
		code = show_list(a, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	return code;
}
