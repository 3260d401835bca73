/* configuration why: which twins a configuration is not applied to, and what stands in the way. */
#include "cli/priv.h"

#define PAGE_SIZE 1000u

void
reasons_line(struct doc_writer *dw, struct doc entry)
{
	struct doc_iter it = doc_iter(doc_getc(entry, "reasons"));
	struct doc more = doc_getc(entry, "moreReasons");
	struct buf text = { 0 };
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v)) {
		buf_cstr(&text, text.n > 0 ? "; " : "");
		buf_str(&text, doc_text(doc_getc(v, "text")));
	}
	if (doc_defined(more))
		buf_printf(&text, "; and %lld more", (long long)doc_int(more));
	doc_key(dw, STR("why"));
	doc_put_str(dw, 0, buf_view(&text));
	buf_fini(&text);
}

static void
put_row(struct doc_writer *dw, struct doc entry)
{
	static const char *const members[] = { "deviceId", "moduleId", "targeted", "reached",
		"applied" };

	doc_begin_object(dw, 0);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		struct doc v = doc_get(entry, str_of(members[i]));

		if (!doc_defined(v))
			continue;
		doc_key(dw, str_of(members[i]));
		doc_put_copy(dw, 0, v);
	}
	reasons_line(dw, entry);
	doc_end(dw);
}

struct listing {
	struct rows_view view;
	struct str only; /* of this configuration; empty: all */
	uint64_t n;
	bool opened;
};

static int
on_page(void *ctx, struct doc entries, bool more)
{
	struct listing *l = ctx;
	struct doc_iter it = doc_iter(entries);
	struct buf rows = { 0 };
	struct doc_writer dw;
	struct str key;
	struct doc v;
	int code;

	if (!l->opened)
		rows_open(&l->view);
	l->opened = true;
	doc_writer_init(&dw, &rows, 0);
	doc_begin_array(&dw, 0);
	while (doc_next(&it, &key, &v)) {
		if (l->only.n > 0 && !str_eq(doc_text(doc_getc(v, "configurationId")), l->only))
			continue;
		l->n++;
		if (l->view.format == ROWS_JSON)
			doc_put_copy(&dw, 0, v);
		else
			put_row(&dw, v);
	}
	doc_end(&dw);
	code = rows_page(&l->view, doc_of(buf_view(&rows)), more);
	buf_fini(&rows);
	return code;
}

static int
why_path(const struct args *a, struct buf *path)
{
	const char *state = a->option[OPT_STATE], *device = a->operand[1];
	struct subject s;
	int code = configuration_path(path, a->operand[0]);

	if (code != EXIT_DONE)
		return code;
	path->n--; /* its NUL */
	if (device == NULL && a->option[OPT_MODULE] != NULL)
		return cli_fail(EXIT_USAGE, "--module needs a device");
	if (device != NULL && state != NULL)
		return cli_fail(EXIT_USAGE, "--state is of a list, not of one device");
	if (device != NULL) {
		path->n = 0;
		code = subject_of(device, a->option[OPT_MODULE], &s);
		if (code == EXIT_DONE)
			subject_path(path, "/twins/", s, "/configurations");
		return code;
	}
	buf_cstr(path, "/devices?state=");
	buf_percent(path, str_of(option_word(a, OPT_STATE)));
	buf_putc(path, '\0');
	return EXIT_DONE;
}

static int
why_ask(const struct args *a, const struct target *t, const char *path)
{
	struct listing l = { .only = a->operand[1] != NULL ? str_of(a->operand[0]) : STR_NONE };
	int code;

	rows_init(&l.view, a);
	code = rows_fini(&l.view,
	    hub_pages(t, &(struct ask){ .method = GET, .path = path, .page_size = PAGE_SIZE },
	        on_page, &l));
	if (code == EXIT_DONE && l.only.n > 0 && l.n == 0)
		code = cli_fail(EXIT_NOT_FOUND, "'%s' is no configuration that is about this %s",
		    a->operand[0], a->option[OPT_MODULE] != NULL ? "module" : "device");
	return code;
}

int
cli_configuration_why(const struct args *a)
{
	struct buf path = { 0 };
	struct target t = { 0 };
	int code = why_path(a, &path);

	if (code != EXIT_DONE)
		goto done;
	if ((code = target_open(a, &t)) != EXIT_DONE)
		goto done;
	code = why_ask(a, &t, path.p);
done:
	target_fini(&t);
	buf_fini(&path);
	return code;
}
