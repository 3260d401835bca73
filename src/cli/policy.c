/* policy show|rotate, and backup: what operators ask of a running hub. */
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

int
cli_policy_show(const struct args *a)
{
	bool one = a->operand[0] != NULL;
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
	if (one)
		show_record(a, doc_of(buf_view(&answer.doc)));
	else
		code = rows_show(a, doc_of(buf_view(&answer.doc)));
done:
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

/* A hub knows no working directory of its clients. */
static int
absolute(const char *path, struct buf *out)
{
	char cwd[DATA_PATH_MAX];

	if (path[0] != '/') {
		if (getcwd(cwd, sizeof(cwd)) == NULL)
			return cli_fail(EXIT_FAILED, "the working directory has no name");
		buf_cstr(out, cwd);
		buf_putc(out, '/');
	}
	buf_cstr(out, path);
	return EXIT_DONE;
}

int
cli_backup(const struct args *a)
{
	struct answer answer = { 0 };
	struct buf path = { 0 }, dir = { 0 };
	int code = absolute(a->operand[0], &dir);

	if (code != EXIT_DONE)
		return code;
	path_of(&path, "/admin/backup?to=", buf_view(&dir));
	code = hub_call_once(a, &(struct ask){ .method = POST, .path = path.p }, &answer);
	if (code != EXIT_DONE)
		goto done;
	if (output_json(a))
		show_record(a, doc_of(buf_view(&answer.doc)));
	else
		printf("backup in " STR_FMT "\n", STR_ARG(buf_view(&dir)));
done:
	answer_fini(&answer);
	buf_fini(&path);
	buf_fini(&dir);
	return code;
}
