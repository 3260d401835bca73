/* cluster export: a database's hub becomes a data directory, to be served alone. */
#include "cli/cluster.h"

#include <stdio.h>
#include <stdlib.h>

static void
say(const struct args *a, const struct pg_whole *w, const struct carried *told, const char *dir)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (!output_json(a)) {
		printf("%s has the hub %s; serve it with: twinhub serve --data %s\n"
		       "The database has it, too: serve only one of the two\n",
		    dir, w->id, dir);
		return;
	}
	out_open(&o);
	out_cstr(out_key(&o, "hubId"), w->id);
	out_u64(out_key(&o, "rows"), told->rows);
	out_u64(out_key(&o, "bytes"), told->bytes);
	out_close(&o);
	json_say(&json);
}

static int export(
    const struct args *a, const struct pg_options *o, const char *dir, struct pg_whole *w)
{
	char stage[DATA_PATH_MAX];
	struct carried told = { 0 };
	struct fault f = { 0 };
	bool made;
	enum err e;
	int code = stage_begin(dir, "an export", &made, stage);

	if (code != EXIT_DONE)
		return code;
	if ((e = carry_out(o, stage, w, &told, &f)) != ERR_OK)
		code = db_fail(e, &f);
	else
		code = stage_end(stage, dir);
	if (code != EXIT_DONE)
		stage_drop(dir, made);
	else
		say(a, w, &told, dir);
	return code;
}

int
cli_cluster_export(const struct args *a)
{
	const char *dir = a->option[OPT_TO_DATA];
	struct pg_options o = { 0 };
	struct pg_whole *w;
	int code = db_named(a, &o);

	if (code == EXIT_DONE && dir == NULL)
		code = cli_fail(EXIT_USAGE, "--to DIR is needed");
	if (code != EXIT_DONE)
		return code;
	w = xcalloc(1, sizeof(*w));
	code = export(a, &o, dir, w);
	pg_whole_fini(w);
	free(w);
	return code;
}
