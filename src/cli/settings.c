/* Settings of the hub: show and set. The hub knows what there is and what is good; here a text becomes a value of JSON. */
#include "cli/priv.h"

#include <errno.h>
#include <stdlib.h>

#define PARTS_MAX 8u

/* A number with perhaps K, M, G or T behind it, as the options of serve take sizes. */
static bool
number_of(const char *text, int64_t *out)
{
	static const char units[] = "KMGT";
	char *end;
	const char *unit;
	unsigned shift;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (end == text || errno != 0)
		return false;
	unit = *end != '\0' ? strchr(units, *end) : NULL;
	if (*end != '\0' && (unit == NULL || end[1] != '\0'))
		return false;
	shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
	if (n < 0 ? shift > 0 : n > INT64_MAX >> shift)
		return false;
	*out = (int64_t)n << shift;
	return true;
}

static void
put_value(struct doc_writer *dw, const char *text)
{
	int64_t n;

	if (strcmp(text, "yes") == 0 || strcmp(text, "true") == 0)
		doc_put_bool(dw, 0, true);
	else if (strcmp(text, "no") == 0 || strcmp(text, "false") == 0)
		doc_put_bool(dw, 0, false);
	else if (strcmp(text, "default") == 0)
		doc_put_null(dw, 0);
	else if (number_of(text, &n))
		doc_put_int(dw, 0, n);
	else
		doc_put_str(dw, 0, str_of(text));
}

/* Up to the next dot that is in no parentheses: names of policies and nets have dots. */
static bool
part_cut(struct str s, struct str *part, struct str *rest)
{
	bool within = false;

	for (size_t i = 0; i < s.n; i++) {
		within = s.p[i] == '(' || (within && s.p[i] != ')');
		if (s.p[i] != '.' || within)
			continue;
		*part = (struct str){ s.p, i };
		*rest = str_sub(s, i + 1);
		return true;
	}
	*part = s;
	return false;
}

/* "a.b" and a value: {"a":{"b":value}} */
static int
put_setting(struct buf *json, const char *name, const char *value)
{
	struct buf bytes = { 0 };
	struct doc_writer dw;
	struct str part, rest = str_of(name);
	unsigned depth = 0;
	bool more = true;

	doc_writer_init(&dw, &bytes, 0);
	while (more && depth < PARTS_MAX) {
		more = part_cut(rest, &part, &rest);
		doc_begin_object(&dw, 0);
		doc_key(&dw, part);
		depth++;
	}
	put_value(&dw, value);
	while (depth-- > 0)
		doc_end(&dw);
	doc_write_json(json, doc_of(buf_view(&bytes)));
	buf_fini(&bytes);
	return more ? cli_fail(EXIT_USAGE, "there is no setting %s", name) : EXIT_DONE;
}

static int
call_and_show(const struct args *a, const struct ask *ask)
{
	struct answer answer = { 0 };
	int code = hub_call_once(a, ask, &answer);

	if (code == EXIT_DONE)
		code = show_sections(a, doc_of(buf_view(&answer.doc)));
	answer_fini(&answer);
	return code;
}

int
cli_settings_show(const struct args *a)
{
	return call_and_show(a, &(struct ask){ .method = GET, .path = "/settings" });
}

int
cli_settings_set(const struct args *a)
{
	struct buf json = { 0 }, tag = { 0 };
	int code = put_setting(&json, a->operand[0], a->operand[1]);

	if (a->option[OPT_ETAG] != NULL)
		if_match_of(&tag, str_of(a->option[OPT_ETAG]));
	if (code == EXIT_DONE)
		code = call_and_show(a,
		    &(struct ask){ .method = PATCH,
		        .path = "/settings",
		        .body = buf_view(&json),
		        .if_match = tag.p });
	buf_fini(&json);
	buf_fini(&tag);
	return code;
}
