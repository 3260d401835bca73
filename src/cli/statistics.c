/* statistics: how many devices there are, and how many are connected; with --columns, what queries keep in memory; with
 * --store, the store's figures; with --backups, how those went; with --messages, those of messages to devices; with --limits, the limits in force. statistics paths: which paths twins have; statistics
 * queries: the slowest ones. */
#include "cli/priv.h"

/* Append the members of one answer. */
static int
add_members(const struct target *t, const char *path, struct doc_writer *dw)
{
	struct answer answer = { 0 };
	int code = hub_call(t, &(struct ask){ .method = GET, .path = path }, &answer);
	struct doc_iter it;
	struct str key;
	struct doc v;

	if (code == EXIT_DONE) {
		it = doc_iter(doc_of(buf_view(&answer.doc)));
		while (doc_next(&it, &key, &v)) {
			doc_key(dw, key);
			doc_put_copy(dw, 0, v);
		}
	}
	answer_fini(&answer);
	return code;
}

static int
show_statistics(const struct args *a, const char *path, bool sections)
{
	struct answer answer = { 0 };
	int code = hub_call_once(a, &(struct ask){ .method = GET, .path = path }, &answer);

	if (code != EXIT_DONE)
		goto done;
	if (sections)
		code = show_sections(a, doc_of(buf_view(&answer.doc)));
	else
		show_record(a, doc_of(buf_view(&answer.doc)));
done:
	answer_fini(&answer);
	return code;
}

static int
show_paths(const struct args *a)
{
	const char *prefix = a->option[OPT_PREFIX];
	struct buf path = { 0 };
	int code;

	buf_printf(&path, "/statistics/paths?top=%llu",
	    a->option[OPT_TOP] != NULL ? (unsigned long long)a->number[OPT_TOP] : 100);
	if (prefix != NULL) {
		buf_cstr(&path, "&prefix=");
		buf_percent(&path, str_of(prefix));
	}
	buf_putc(&path, '\0');
	code = show_statistics(a, path.p, true);
	buf_fini(&path);
	return code;
}

/* What the operand names. */
static int
show_named(const struct args *a)
{
	bool paths = strcmp(a->operand[0], "paths") == 0;

	if (a->option[OPT_COLUMNS] != NULL || a->option[OPT_STORE] != NULL ||
	    a->option[OPT_EVENTS] != NULL || a->option[OPT_MESSAGES] != NULL)
		return cli_fail(EXIT_USAGE,
		    "statistics %s takes none of --columns, --store, --events and --messages",
		    a->operand[0]);
	if (paths)
		return show_paths(a);
	if (strcmp(a->operand[0], "queries") != 0)
		return cli_fail(EXIT_USAGE,
		    "there are statistics of paths and queries, none of '%s'", a->operand[0]);
	if (a->option[OPT_PREFIX] != NULL || a->option[OPT_TOP] != NULL)
		return cli_fail(EXIT_USAGE, "--prefix and --top are for statistics paths");
	return show_statistics(a, "/statistics/queries", true);
}

int
cli_statistics(const struct args *a)
{
	struct buf record = { 0 };
	struct doc_writer dw;
	struct target t;
	int code;

	if (a->operand[0] != NULL)
		return show_named(a);
	if (a->option[OPT_PREFIX] != NULL || a->option[OPT_TOP] != NULL)
		return cli_fail(EXIT_USAGE, "--prefix and --top are for statistics paths");
	if (a->option[OPT_COLUMNS] != NULL)
		return show_statistics(a, "/statistics/columns", true);
	if (a->option[OPT_STORE] != NULL)
		return show_statistics(a, "/statistics/store", false);
	if (a->option[OPT_BACKUPS] != NULL)
		return show_statistics(a, "/admin/backups", true);
	if (a->option[OPT_EVENTS] != NULL)
		return show_statistics(a, "/statistics/events", true);
	if (a->option[OPT_LIMITS] != NULL)
		return show_statistics(a, "/statistics/limits", true);
	if (a->option[OPT_MESSAGES] != NULL)
		return show_statistics(a, "/statistics/messages", false);
	code = target_open(a, &t);
	doc_writer_init(&dw, &record, 0);
	doc_begin_object(&dw, 0);
	if (code != EXIT_DONE)
		goto done;
	if ((code = add_members(&t, "/statistics/devices", &dw)) != EXIT_DONE)
		goto done;
	if ((code = add_members(&t, "/statistics/service", &dw)) != EXIT_DONE)
		goto done;
	code = add_members(&t, "/statistics/configurations", &dw);
done:
	doc_end(&dw);
	if (code == EXIT_DONE)
		show_record(a, doc_of(buf_view(&record)));
	target_fini(&t);
	buf_fini(&record);
	return code;
}
