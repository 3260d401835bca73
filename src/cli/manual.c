/*
 * The manual, printed from the tables of commands and options: pages for man(1), and the tables of docs/operations.md. What the
 * tables say beyond --help has `code` and [links](to) in it, as Markdown has; pages show both in their own way.
 */
#include "cli/manual.h"

#include "server/server.h"

/* ---- roff ---- */

static void
put_roff(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if ((c == '.' || c == '\'') && (out->n == 0 || out->p[out->n - 1] == '\n'))
			buf_cstr(out, "\\&");
		if (c == '-')
			buf_cstr(out, "\\-");
		else if (c == '\\')
			buf_cstr(out, "\\e");
		else if (c == '^')
			buf_cstr(out, "\\(ha");
		else if (c == '~')
			buf_cstr(out, "\\(ti");
		else
			buf_putc(out, c);
	}
}

static void
put_roff_text(struct buf *out, const char *text)
{
	put_roff(out, str_of(text));
}

/* [text](to) at the beginning of s: *text, and *rest behind it. */
static bool
link_at(struct str s, struct str *text, struct str *rest)
{
	struct str to;

	return str_starts(s, STR("[")) && str_cut(str_sub(s, 1), ']', text, &to) &&
	    str_starts(to, STR("(")) && str_cut(str_sub(to, 1), ')', &s, rest);
}

/* A text with marks: code is bold, of a link the text stays. */
static void
put_marked(struct buf *out, const char *marked)
{
	struct str s = str_of(marked), text, rest;

	while (s.n > 0) {
		if (s.p[0] == '`' && str_cut(str_sub(s, 1), '`', &text, &rest)) {
			buf_cstr(out, "\\fB");
			put_roff(out, text);
			buf_cstr(out, "\\fR");
			s = rest;
		} else if (link_at(s, &text, &rest)) {
			put_roff(out, text);
			s = rest;
		} else {
			put_roff(out, (struct str){ s.p, 1 });
			s = str_sub(s, 1);
		}
	}
}

static void
put_section(struct buf *out, const char *name)
{
	buf_printf(out, ".SH %s\n", name);
}

/* A phrase as a sentence. */
static void
put_sentence(struct buf *out, const char *phrase)
{
	size_t at = out->n;

	put_roff_text(out, phrase);
	if (out->n > at && out->p[at] >= 'a' && out->p[at] <= 'z')
		out->p[at] = (char)(out->p[at] - 'a' + 'A');
	buf_cstr(out, ".\n");
}

/* ---- options of a page ---- */

static void
put_option_head(struct buf *out, const struct option_spec *spec)
{
	buf_cstr(out, ".TP\n\\fB\\-\\-");
	put_roff_text(out, spec->name);
	buf_cstr(out, "\\fR");
	if (spec->kind == OPTION_YES_NO)
		buf_cstr(out, "[=\\fByes\\fR|\\fBno\\fR]");
	else if (spec->value != NULL)
		buf_printf(out, " \\fI%s\\fR", spec->value);
	buf_putc(out, '\n');
}

static void
put_option(struct buf *out, const struct option_spec *spec)
{
	struct buf terms = { 0 };

	put_option_head(out, spec);
	put_sentence(out, spec->help);
	if (spec->note != NULL) {
		put_marked(out, spec->note);
		buf_putc(out, '\n');
	}
	option_terms(&terms, spec);
	if (terms.n > 0) {
		buf_putc(&terms, '\0');
		put_sentence(out, terms.p);
	}
	buf_fini(&terms);
}

/* Do the commands' rows have this name more than once? */
static bool
is_shared(const struct option_table *t, unsigned row)
{
	for (unsigned i = 0; i < t->n; i++)
		if (i != row && strcmp(t->v[i].name, t->v[row].name) == 0)
			return true;
	return false;
}

/* Of rows with one name: whose each is. */
static void
put_owners(struct buf *out, const struct manual *m, unsigned row)
{
	const char *between = "Of ";

	for (size_t i = 0; i < m->n; i++) {
		if (m->commands[i].table != NULL || !(m->commands[i].options >> row & 1))
			continue;
		buf_printf(out, "%s\\fB%s\\fR", between, m->commands[i].name);
		between = ", ";
	}
	buf_cstr(out, ".\n");
}

static void
put_options(struct buf *out, const struct manual *m)
{
	struct option_table t = command_options(&(struct command){ .options = ~(option_set)0 });

	put_section(out, "OPTIONS");
	buf_cstr(out, "Which of them a command takes stands with the command.\n");
	for (unsigned i = 0; i < t.n; i++) {
		put_option(out, &t.v[i]);
		if (is_shared(&t, i))
			put_owners(out, m, i);
	}
}

/* ---- a command ---- */

static void
put_example(struct buf *out, const char *example)
{
	buf_cstr(out, ".PP\n.EX\n");
	put_roff_text(out, example);
	buf_cstr(out, "\n.EE\n");
}

static void
put_note(struct buf *out, const char *note)
{
	struct str rest = str_of(note), line;

	while (rest.n > 0) {
		str_cut(rest, '\n', &line, &rest);
		buf_cstr(out, ".PP\n");
		put_roff(out, line);
		buf_putc(out, '\n');
	}
}

static void
put_taken(struct buf *out, const struct command *c)
{
	struct option_table t = command_options(c);
	const char *between = ".PP\nOptions: ";

	for (unsigned i = 0; i < t.n; i++) {
		if (!option_taken(&t, i))
			continue;
		buf_printf(out, "%s\\fB\\-\\-", between);
		put_roff_text(out, t.v[i].name);
		buf_cstr(out, "\\fR");
		between = ", ";
	}
	buf_cstr(out, ".\n");
}

static void
put_command(struct buf *out, const struct command *c)
{
	buf_cstr(out, ".SS ");
	put_roff_text(out, c->name);
	if (c->operands[0] != '\0') {
		buf_putc(out, ' ');
		put_roff_text(out, c->operands);
	}
	buf_putc(out, '\n');
	put_sentence(out, c->summary);
	if (c->table != NULL) {
		buf_printf(out, ".PP\nSee \\fBtwinhub\\-%s\\fR(8).\n", c->name);
		return;
	}
	put_note(out, c->note);
	put_taken(out, c);
	put_example(out, c->example);
}

/* ---- pages ---- */

static void
put_heading(struct buf *out, const char *name, unsigned section, const char *volume)
{
	buf_cstr(out, ".\\\" Made from the tables of commands and options: see scripts/manual.\n");
	buf_printf(
	    out, ".TH %s %u \"\" \"twinhub " TWINHUB_VERSION "\" \"%s\"\n", name, section, volume);
	put_section(out, "NAME");
}

static void
put_exit_codes(struct buf *out)
{
	put_section(out, "EXIT STATUS");
	for (size_t i = 0; i < exit_texts_n; i++) {
		buf_printf(out, ".TP\n%d\n", exit_texts[i].code);
		put_sentence(out, exit_texts[i].text);
		if (exit_texts[i].note != NULL) {
			put_marked(out, exit_texts[i].note);
			buf_putc(out, '\n');
		}
	}
}

void
manual_page(struct buf *out, const struct manual *m)
{
	put_heading(out, "TWINHUB", 1, "User Commands");
	buf_cstr(out, "twinhub \\- device twins of Azure IoT Hub, self\\-hosted\n");
	put_section(out, "SYNOPSIS");
	buf_cstr(out,
	    ".B twinhub\n\\fICOMMAND\\fR [\\fIoperands\\fR] [\\fIoptions\\fR]\n.br\n"
	    ".B twinhub help\n[\\fICOMMAND\\fR]\n.br\n"
	    ".B twinhub completion bash\n|\n.B zsh\n|\n.B fish\n");
	put_section(out, "DESCRIPTION");
	buf_cstr(out,
	    "\\fBtwinhub serve\\fR runs a hub; the other commands speak to a running one, or work "
	    "on the "
	    "data directory of one that is stopped.\n.PP\n"
	    "A command finds its hub by \\fB\\-\\-data\\fR on the same machine, or by "
	    "\\fB\\-\\-connection\\-string\\fR, or by \\fBTWINHUB_CONNECTION_STRING\\fR in the "
	    "environment.\n"
	    "Results are tables on a terminal and JSON when piped.\n"
	    "Options may stand anywhere; behind \\fB\\-\\-\\fR all words are operands.\n");
	put_section(out, "COMMANDS");
	for (size_t i = 0; i < m->n; i++)
		put_command(out, &m->commands[i]);
	put_options(out, m);
	put_exit_codes(out);
	put_section(out, "ENVIRONMENT");
	buf_cstr(out,
	    ".TP\n\\fBTWINHUB_DATA\\fR\nAs \\fB\\-\\-data\\fR, of \\fBserve\\fR too.\n"
	    ".TP\n\\fBTWINHUB_CONNECTION_STRING\\fR\nAs \\fB\\-\\-connection\\-string\\fR. "
	    "What is on the command line wins; both this and \\fBTWINHUB_DATA\\fR are an error.\n"
	    ".TP\n\\fBTWINHUB_CA\\fR\nAs \\fB\\-\\-ca\\fR, with a connection string.\n"
	    ".TP\n\\fBTWINHUB_FROM_CONNECTION_STRING\\fR\nAs \\fB\\-\\-from\\fR.\n"
	    ".TP\n\\fBTMPDIR\\fR\nWhere pages of CSV wait; else \\fI/tmp\\fR.\n");
	put_section(out, "SEE ALSO");
	buf_cstr(out, "\\fBtwinhub\\-serve\\fR(8)\n");
}

bool
manual_page_of(struct buf *out, const struct manual *m, const char *name)
{
	const struct command *c = NULL;

	for (size_t i = 0; i < m->n; i++)
		if (m->commands[i].table != NULL && strcmp(m->commands[i].name, name) == 0)
			c = &m->commands[i];
	if (c == NULL)
		return false;
	put_heading(out, "TWINHUB\\-SERVE", 8, "System Administration");
	buf_cstr(out, "twinhub\\-serve, twinhub.conf \\- run a hub of device twins\n");
	put_section(out, "SYNOPSIS");
	buf_cstr(out, ".B twinhub serve \\-\\-data\n\\fIDIR\\fR [\\fIoptions\\fR]\n");
	put_section(out, "DESCRIPTION");
	put_sentence(out, c->summary);
	put_note(out, c->note);
	put_section(out, "OPTIONS");
	for (unsigned i = 0; i < c->table->n; i++)
		put_option(out, &c->table->v[i]);
	put_section(out, "FILES");
	buf_cstr(out,
	    ".TP\n\\fIDIR\\fR/twinhub.conf\nSettings: lines of an option's name, without dashes, "
	    "and its value; lines that "
	    "begin with # are comments.\nThe first start writes one with every option commented "
	    "out.\n"
	    "The command line wins; a list given there replaces the file's.\n");
	put_section(out, "EXAMPLES");
	put_example(out, c->example);
	put_section(out, "SEE ALSO");
	buf_cstr(out, "\\fBtwinhub\\fR(1)\n");
	return true;
}

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
		{ "settings", table_settings },
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (strcmp(tables[i].name, which) == 0) {
			tables[i].put(out, m);
			return true;
		}
	return false;
}
