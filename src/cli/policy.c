/* policy show|create|delete|rotate: what operators ask of a running hub. */
#include "cli/priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int
operand_policy(const char *text, struct str *name)
{
	*name = str_of(text);
	if (policy_name_valid(*name))
		return EXIT_DONE;
	return cli_fail(EXIT_USAGE, "'%s' is no policy's name", text);
}

static void
policy_view(struct doc_writer *dw, struct doc policy, bool keys)
{
	struct doc_iter it = doc_iter(policy);
	struct str key;
	struct doc v;

	doc_begin_object(dw, 0);
	while (doc_next(&it, &key, &v)) {
		if (!keys && str_ends(key, STR("Key")))
			continue;
		doc_key(dw, key);
		doc_put_copy(dw, 0, v);
	}
	doc_end(dw);
}

/* An array of policies, or one, also as an array: keys are shown to who asks for them, not to who stands behind. */
static void
policies_view(struct buf *out, struct doc d, bool keys, bool as_rows)
{
	struct doc_iter it = doc_iter(d);
	struct doc_writer dw;
	struct str key;
	struct doc v;

	doc_writer_init(&dw, out, 0);
	if (doc_kind(d) != DOC_ARRAY && !as_rows) {
		policy_view(&dw, d, keys);
		return;
	}
	doc_begin_array(&dw, 0);
	if (doc_kind(d) != DOC_ARRAY)
		policy_view(&dw, d, keys);
	while (doc_kind(d) == DOC_ARRAY && doc_next(&it, &key, &v))
		policy_view(&dw, v, keys);
	doc_end(&dw);
}

int
cli_policy_show(const struct args *a)
{
	struct buf view = { 0 };
	bool one = a->operand[0] != NULL, rows;
	struct answer answer = { 0 };
	struct buf path = { 0 };
	struct str name;
	int code;

	if (one && operand_policy(a->operand[0], &name) != EXIT_DONE)
		return EXIT_USAGE;
	path_of(&path, one ? "/admin/policies/" : "/admin/policies", one ? name : STR_NONE);
	code = hub_call_once(a, &(struct ask){ .method = GET, .path = path.p }, &answer);
	if (code != EXIT_DONE)
		goto done;
	rows = !one || a->option[OPT_CSV] != NULL || output_names(a);
	policies_view(&view, doc_of(buf_view(&answer.doc)), a->option[OPT_KEYS] != NULL, rows);
	if (!rows)
		show_record(a, doc_of(buf_view(&view)));
	else
		code = rows_show(a, doc_of(buf_view(&view)));
done:
	buf_wipe(&view);
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}

int
cli_policy_create(const struct args *a)
{
	struct answer answer = { 0 };
	struct buf path = { 0 }, view = { 0 };
	struct str name;
	int code;

	if (operand_policy(a->operand[0], &name) != EXIT_DONE)
		return EXIT_USAGE;
	if (a->option[OPT_RIGHTS] == NULL)
		return cli_fail(EXIT_USAGE, "--rights is missing: what the policy may do");
	buf_cstr(&path, "/admin/policies/");
	buf_percent(&path, name);
	buf_cstr(&path, "?rights=");
	buf_percent(&path, str_of(a->option[OPT_RIGHTS]));
	buf_putc(&path, '\0');
	code = hub_call_once(a, &(struct ask){ .method = PUT, .path = path.p }, &answer);
	if (code == EXIT_DONE) {
		policies_view(
		    &view, doc_of(buf_view(&answer.doc)), a->option[OPT_KEYS] != NULL, false);
		show_record(a, doc_of(buf_view(&view)));
	}
	buf_wipe(&view);
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}

int
cli_policy_delete(const struct args *a)
{
	struct answer answer = { 0 };
	struct buf path = { 0 };
	struct str name;
	int code;

	if (operand_policy(a->operand[0], &name) != EXIT_DONE)
		return EXIT_USAGE;
	path_of(&path, "/admin/policies/", name);
	code = hub_call_once(a, &(struct ask){ .method = DELETE, .path = path.p }, &answer);
	if (code == EXIT_DONE && !output_json(a))
		printf("deleted %s\n", a->operand[0]);
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}

/* The new key is not shown: `policy show` and `connection-string` are for that. */
int
cli_policy_rotate(const struct args *a)
{
	struct answer answer = { 0 };
	struct buf path = { 0 };
	struct str name;
	struct buf json = { 0 };
	struct out o = out_to(&json);
	int code;

	if (operand_policy(a->operand[0], &name) != EXIT_DONE)
		return EXIT_USAGE;
	if (a->option[OPT_ROTATED_KEY] == NULL)
		return cli_fail(EXIT_USAGE, "which key? give --key primary or --key secondary");
	buf_cstr(&path, "/admin/policies/");
	buf_percent(&path, name);
	buf_printf(&path, "/rotate?key=%s", a->option[OPT_ROTATED_KEY]);
	buf_putc(&path, '\0');
	code = hub_call_once(a, &(struct ask){ .method = POST, .path = path.p }, &answer);
	if (code != EXIT_DONE)
		goto done;
	if (output_json(a)) {
		out_open(&o);
		out_cstr(out_key(&o, "name"), a->operand[0]);
		out_cstr(out_key(&o, "rotated"), a->option[OPT_ROTATED_KEY]);
		out_close(&o);
		json_say(&json);
	} else {
		printf("the %s key of %s is a new one; tokens of the old one are refused\n",
		    a->option[OPT_ROTATED_KEY], a->operand[0]);
	}
done:
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}
