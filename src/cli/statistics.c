/* statistics: how many devices there are, and how many are connected; with --columns, what queries keep in memory; with
 * --store, the store's figures; with --messages, those of messages to devices. */
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

int
cli_statistics(const struct args *a)
{
	struct buf record = { 0 };
	struct doc_writer dw;
	struct target t;
	int code;

	if (a->option[OPT_COLUMNS] != NULL)
		return show_statistics(a, "/statistics/columns", true);
	if (a->option[OPT_STORE] != NULL)
		return show_statistics(a, "/statistics/store", false);
	if (a->option[OPT_EVENTS] != NULL)
		return show_statistics(a, "/statistics/events", true);
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
