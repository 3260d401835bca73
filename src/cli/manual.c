/* The tables of docs/operations.md and other files of the tree, printed from the tables of commands and options. */
#include "cli/manual.h"

#include "server/server.h"

/* ---- tables of docs/operations.md ---- */

static void
put_cell(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '|')
			buf_putc(out, '\\');
		buf_putc(out, s.p[i]);
	}
}

static void
put_cells(struct buf *out, const char *const *cells, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		buf_cstr(out, i == 0 ? "| " : " | ");
		put_cell(out, str_of(cells[i]));
	}
	buf_cstr(out, " |\n");
}

/* What a value is, and what holds without one; each with its NUL. */
static void
put_value(struct buf *value, struct buf *without, const struct option_spec *spec)
{
	bool zero_holds =
	    spec->zero != NULL && spec->fallback != NULL && strcmp(spec->fallback, "0") == 0;

	option_range(value, spec);
	if (spec->kind == OPTION_SWITCH)
		buf_cstr(value, "takes none");
	else if (value->n == 0)
		buf_printf(value, "`%s`", spec->value);
	if (spec->zero != NULL && !zero_holds)
		buf_printf(value, "; 0: %s", spec->zero);
	if (spec->many)
		buf_cstr(value, "; repeat for more");
	option_without(without, spec);
	if (without->n == 0)
		buf_cstr(without, "none");
	if (zero_holds)
		buf_printf(without, ": %s", spec->zero);
	buf_putc(value, '\0');
	buf_putc(without, '\0');
}

static void
table_options(struct buf *out, const struct manual *m)
{
	(void)m;
	buf_cstr(
	    out, "| option | value | without it | what to know |\n| --- | --- | --- | --- |\n");
	for (unsigned i = 0; i < server_settings.n; i++) {
		const struct option_spec *spec = &server_settings.v[i];
		struct buf name = { 0 }, value = { 0 }, without = { 0 }, text = { 0 };

		buf_printf(&name, "`%s`", spec->name);
		buf_putc(&name, '\0');
		put_value(&value, &without, spec);
		buf_printf(&text, "%s%s%s", spec->help, spec->note != NULL ? ". " : "",
		    spec->note != NULL ? spec->note : "");
		buf_putc(&text, '\0');
		put_cells(out, (const char *const[]){ name.p, value.p, without.p, text.p }, 4);
		buf_fini(&name);
		buf_fini(&value);
		buf_fini(&without);
		buf_fini(&text);
	}
}

static void
table_commands(struct buf *out, const struct manual *m)
{
	buf_cstr(out, "| command | what it does |\n| --- | --- |\n");
	for (size_t i = 0; i < m->n; i++) {
		struct buf name = { 0 };

		buf_printf(&name, "`%s%s%s`", m->commands[i].name,
		    m->commands[i].operands[0] != '\0' ? " " : "", m->commands[i].operands);
		buf_putc(&name, '\0');
		put_cells(out, (const char *const[]){ name.p, m->commands[i].summary }, 2);
		buf_fini(&name);
	}
}

static void
table_codes(struct buf *out, const struct manual *m)
{
	(void)m;
	buf_cstr(out, "| exit code | meaning |\n| --- | --- |\n");
	for (size_t i = 0; i < exit_texts_n; i++) {
		const struct exit_text *x = &exit_texts[i];

		buf_printf(out, "| %d | %s%s%s |\n", x->code, x->text, x->note != NULL ? ". " : "",
		    x->note != NULL ? x->note : "");
	}
}

static void
table_routes(struct buf *out, const struct manual *m)
{
	(void)m;
	server_routes_print(out, false);
}

static void
table_openapi(struct buf *out, const struct manual *m)
{
	(void)m;
	server_routes_print(out, true);
}

static void
table_metrics(struct buf *out, const struct manual *m)
{
	(void)m;
	server_metrics_print(out, false);
}

static void
table_figures(struct buf *out, const struct manual *m)
{
	(void)m;
	server_metrics_print(out, true);
}

/* The file of settings that a package puts into /etc. */
static void
table_settings(struct buf *out, const struct manual *m)
{
	(void)m;
	buf_cstr(out, "# The data directory.\ndata /var/lib/twinhub\n\n");
	options_template(out);
}

bool
manual_table(struct buf *out, const struct manual *m, const char *which)
{
	static const struct {
		const char *name;
		void (*put)(struct buf *out, const struct manual *m);
	} tables[] = {
		{ "options", table_options },
		{ "commands", table_commands },
		{ "codes", table_codes },
		{ "routes", table_routes },
		{ "openapi", table_openapi },
		{ "metrics", table_metrics },
		{ "figures", table_figures },
		{ "settings", table_settings },
		{ "pages", manual_names },
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (strcmp(tables[i].name, which) == 0) {
			tables[i].put(out, m);
			return true;
		}
	return false;
}
