/* A twin's past: twin log, twin show --at, twin diff, twin restore. */
#include "cli/priv.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#define HISTORY_PAGE 1000

/* "/twins/d1?at=..." of --at or --at-version; NUL-terminated. */
void
twin_past_path(const struct args *a, struct subject s, struct buf *path)
{
	bool version = a->option[OPT_AT] == NULL;

	subject_path(path, "/twins/", s, "");
	path->n--; /* its NUL */
	if (a->option[OPT_AT] != NULL || a->option[OPT_AT_VERSION] != NULL) {
		buf_cstr(path, version ? "?atVersion=" : "?at=");
		buf_percent(path, str_of(a->option[version ? OPT_AT_VERSION : OPT_AT]));
	}
	buf_putc(path, '\0');
}

static int
twin_get(const struct target *t, const char *path, struct answer *out)
{
	return hub_call(t, &(struct ask){ .method = GET, .path = path }, out);
}

/* ---- twin log ---- */

struct logging {
	const struct args *args;
	bool any;
};

static void
say_entry(struct doc e)
{
	struct buf json = { 0 }, text = { 0 };
	struct doc patch = doc_getc(e, "patch"), version = doc_getc(e, "version");

	if (!doc_defined(patch))
		patch = doc_getc(e, "identity");
	if (doc_defined(patch))
		doc_write_json(&json, patch);
	put_visible(&text, buf_view(&json), UINT_MAX);
	printf(STR_FMT "  ", STR_ARG(doc_str(doc_getc(e, "time"))));
	if (doc_defined(version))
		printf("v%" PRId64 "  ", doc_int(version));
	printf(STR_FMT "  " STR_FMT "  " STR_FMT "\n", STR_ARG(doc_str(doc_getc(e, "change"))),
	    STR_ARG(doc_str(doc_getc(e, "actor"))), STR_ARG(buf_view(&text)));
	buf_fini(&json);
	buf_fini(&text);
}

/* JSON: one entry a line, as it may be long. */
static int
say_page(void *ctx, struct doc rows, bool more)
{
	struct logging *l = ctx;

	(void)more;
	for (struct doc_iter it = doc_iter(rows);;) {
		struct buf line = { 0 };
		struct doc e;

		if (!doc_next(&it, &(struct str){ 0 }, &e))
			return EXIT_DONE;
		l->any = true;
		if (!output_json(l->args)) {
			say_entry(e);
			continue;
		}
		doc_write_json(&line, e);
		json_say(&line);
	}
}

int
cli_twin_log(const struct args *a)
{
	struct logging l = { .args = a };
	struct target t;
	struct subject s;
	struct buf path = { 0 };
	int code = subject_of(a->operand[0], a->option[OPT_MODULE], &s);

	if (code != EXIT_DONE || (code = target_open(a, &t)) != EXIT_DONE)
		return code;
	subject_path(&path, "/twins/", s, "/history");
	code =
	    hub_pages(&t, &(struct ask){ .method = GET, .path = path.p, .page_size = HISTORY_PAGE },
	        say_page, &l);
	if (code == EXIT_DONE && !l.any)
		cli_note("nothing of its past is kept");
	target_fini(&t);
	buf_fini(&path);
	return code;
}

/* ---- twin diff ---- */

static void
say_value(struct doc d)
{
	struct buf json = { 0 }, text = { 0 };

	if (!doc_defined(d)) {
		printf("(none)");
		return;
	}
	doc_write_json(&json, d);
	put_visible(&text, buf_view(&json), UINT_MAX);
	printf(STR_FMT, STR_ARG(buf_view(&text)));
	buf_fini(&json);
	buf_fini(&text);
}

static unsigned say_differences(struct buf *path, struct doc was, struct doc is);

static unsigned
say_member(struct buf *path, struct str key, struct doc was, struct doc is)
{
	size_t n = path->n;
	unsigned found;

	if (key.n != 0 && key.p[0] == '$')
		return 0; /* versions and times */
	if (n != 0)
		buf_putc(path, '.');
	put_visible(path, key, UINT_MAX);
	found = say_differences(path, was, is);
	path->n = n;
	return found;
}

/* A line for each leaf that differs; how many there are. */
static unsigned
say_differences(struct buf *path, struct doc was, struct doc is)
{
	struct doc_iter it;
	struct doc v;
	struct str key;
	unsigned n = 0;

	if (doc_kind(was) != DOC_OBJECT || doc_kind(is) != DOC_OBJECT) {
		if (doc_defined(was) && doc_defined(is) && doc_equal(was, is))
			return 0;
		printf(STR_FMT ": ", STR_ARG(buf_view(path)));
		say_value(was);
		printf(" -> ");
		say_value(is);
		putchar('\n');
		return 1;
	}
	it = doc_iter(was);
	while (doc_next(&it, &key, &v))
		n += say_member(path, key, v, doc_get(is, key));
	it = doc_iter(is);
	while (doc_next(&it, &key, &v))
		if (!doc_defined(doc_get(was, key)))
			n += say_member(path, key, DOC_NONE, v);
	return n;
}

static unsigned
say_twin_differences(struct doc was, struct doc is, bool reported)
{
	static const char *const sections[] = { "desired", "reported" };
	struct doc then = doc_getc(was, "properties"), now = doc_getc(is, "properties");
	struct buf path = { 0 };
	unsigned n;

	buf_cstr(&path, "tags");
	n = say_differences(&path, doc_getc(was, "tags"), doc_getc(is, "tags"));
	for (int i = 0; i < 1 + reported; i++) {
		path.n = 0;
		buf_cstr(&path, "properties.");
		buf_cstr(&path, sections[i]);
		n += say_differences(
		    &path, doc_get(then, str_of(sections[i])), doc_get(now, str_of(sections[i])));
	}
	buf_fini(&path);
	return n;
}

/* ---- twin restore ---- */

/* Tags and desired of then, as a PUT takes them; the device's own part is the device's. */
static void
put_members(struct out *o, struct doc d)
{
	struct doc_iter it = doc_iter(doc_kind(d) == DOC_OBJECT ? d : DOC_NONE);
	struct doc v;
	struct str key;

	out_open(o);
	while (doc_next(&it, &key, &v))
		if (key.n == 0 || key.p[0] != '$')
			out_doc(out_key_str(o, key), v);
	out_close(o);
}

static void
put_restored(struct buf *json, struct doc was)
{
	struct out o = out_to(json);

	out_open(&o);
	put_members(out_key(&o, "tags"), doc_getc(was, "tags"));
	out_open(out_key(&o, "properties"));
	put_members(out_key(&o, "desired"), doc_getc(doc_getc(was, "properties"), "desired"));
	out_close(&o);
	out_close(&o);
}

static int
restore(const struct target *t, const char *path, struct doc was, struct doc is)
{
	struct buf json = { 0 }, match = { 0 };
	struct answer done = { 0 };
	int code;

	put_restored(&json, was);
	if_match_of(&match, doc_str(doc_getc(is, "etag"))); /* of what was compared */
	code = hub_call(t,
	    &(struct ask){
	        .method = PUT, .path = path, .body = buf_view(&json), .if_match = match.p },
	    &done);
	answer_fini(&done);
	buf_fini(&json);
	buf_fini(&match);
	return code;
}

static int
twin_compare(const struct args *a, bool restores)
{
	struct answer was = { 0 }, is = { 0 };
	struct buf then = { 0 }, now = { 0 };
	struct target t;
	struct subject s;
	unsigned n = 0;
	int code = subject_of(a->operand[0], a->option[OPT_MODULE], &s);

	if (code != EXIT_DONE)
		return code;
	if ((a->option[OPT_AT] == NULL) == (a->option[OPT_AT_VERSION] == NULL))
		return cli_fail(EXIT_USAGE, "one of --at and --at-version says when");
	if ((code = target_open(a, &t)) != EXIT_DONE)
		return code;
	twin_past_path(a, s, &then);
	subject_path(&now, "/twins/", s, "");
	if ((code = twin_get(&t, then.p, &was)) == EXIT_DONE &&
	    (code = twin_get(&t, now.p, &is)) == EXIT_DONE) {
		struct doc w = doc_of(buf_view(&was.doc)), i = doc_of(buf_view(&is.doc));

		n = restores ? say_twin_differences(i, w, false) : say_twin_differences(w, i, true);
		if (n == 0)
			cli_note("nothing differs");
		else if (restores && a->option[OPT_DRY_RUN] == NULL)
			code = restore(&t, now.p, w, i);
	}
	answer_fini(&was);
	answer_fini(&is);
	target_fini(&t);
	buf_fini(&then);
	buf_fini(&now);
	return code;
}

int
cli_twin_diff(const struct args *a)
{
	return twin_compare(a, false);
}

int
cli_twin_restore(const struct args *a)
{
	bool one = a->operand[0] != NULL, set = a->option[OPT_CONDITION] != NULL;

	if (one == set)
		return cli_fail(EXIT_USAGE, "which twin, or --condition for a set of them");
	if (set && (a->option[OPT_MODULE] != NULL || a->option[OPT_AT_VERSION] != NULL))
		return cli_fail(
		    EXIT_USAGE, "--module and --at-version are of one twin, not of a set of them");
	if (set)
		return job_restore(a);
	return twin_compare(a, true);
}
