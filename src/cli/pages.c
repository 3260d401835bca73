/*
 * The manual's pages in mdoc, printed from the tables of commands and options: one for the program, one for each command, one for the file of
 * settings. Lines are short and sentences begin on lines of their own, as `mandoc -T lint` wants them. What the tables say beyond --help has
 * `code` and [links](to) in it, as Markdown has: code is bold here, of a link its text stays. O-107.
 */
#include "cli/manual.h"

#include "server/server.h"

#include <ctype.h>

#define PAGE_DATE    "November 30, 2026" /* when what does not come from the tables was last changed */
#define LINE_COLUMNS 78                  /* of the source */
#define CONF_PAGE    "twinhub.conf"

/* ---- text ---- */

/* Between () stands nothing: mandoc would have them marked as a function. */
static void
put_char(struct buf *out, char c)
{
	if (c == ')' && out->n > 0 && out->p[out->n - 1] == '(')
		buf_cstr(out, "\\&");
	switch (c) {
	case '-': buf_cstr(out, "\\-"); return;
	case '\\': buf_cstr(out, "\\e"); return;
	case '^': buf_cstr(out, "\\(ha"); return;
	case '~': buf_cstr(out, "\\(ti"); return;
	case '"': buf_cstr(out, "\\(dq"); return;
	default: buf_putc(out, c);
	}
}

static void
put_escaped(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		put_char(out, s.p[i]);
}

/* [text](to) at the beginning of s: *text, and *rest behind it. */
static bool
link_at(struct str s, struct str *text, struct str *rest)
{
	struct str to;

	return str_starts(s, STR("[")) && str_cut(str_sub(s, 1), ']', text, &to) &&
	    str_starts(to, STR("(")) && str_cut(str_sub(to, 1), ')', &s, rest);
}

static void
put_marked(struct buf *out, struct str s)
{
	struct str text, rest;

	while (s.n > 0) {
		if (s.p[0] == '`' && str_cut(str_sub(s, 1), '`', &text, &rest)) {
			buf_cstr(out, "\\fB");
			put_escaped(out, text);
			buf_cstr(out, "\\fR");
			s = rest;
		} else if (link_at(s, &text, &rest)) {
			put_escaped(out, text);
			s = rest;
		} else {
			put_char(out, s.p[0]);
			s = str_sub(s, 1);
		}
	}
}

static bool
ends_sentence(struct str word)
{
	while (word.n > 0 && char_among(word.p[word.n - 1], ")'"))
		word.n--;
	return word.n > 0 && char_among(word.p[word.n - 1], ".!?");
}

/* Words as lines that are not too long, each sentence from a line of its own. A line that roff would take for a request begins with nothing. */
static void
put_lines(struct buf *out, struct str text)
{
	struct str word;
	size_t column = 0;
	bool turn = false;

	while (text.n > 0) {
		str_cut(text, ' ', &word, &text);
		if (word.n == 0)
			continue;
		if (column > 0) {
			turn = turn || column + 1 + word.n > LINE_COLUMNS;
			buf_putc(out, turn ? '\n' : ' ');
			column = turn ? 0 : column + 1;
		}
		if (column == 0 && char_among(word.p[0], ".'"))
			buf_cstr(out, "\\&");
		buf_str(out, word);
		column += word.n;
		turn = ends_sentence(word);
	}
	buf_putc(out, '\n');
}

static void
put_paragraph(struct buf *out, struct str marked)
{
	struct buf text = { 0 };

	put_marked(&text, marked);
	put_lines(out, buf_view(&text));
	buf_fini(&text);
}

static void
put_text(struct buf *out, const char *marked)
{
	put_paragraph(out, str_of(marked));
}

/* A phrase as a sentence. */
static void
put_sentence(struct buf *out, const char *phrase)
{
	struct buf text = { 0 };

	buf_printf(&text, "%c%s.", toupper((unsigned char)phrase[0]), phrase + 1);
	put_paragraph(out, buf_view(&text));
	buf_fini(&text);
}

/* Lines of a note: a paragraph each. */
static void
put_note(struct buf *out, const char *note)
{
	struct str rest = str_of(note), line;

	while (rest.n > 0) {
		str_cut(rest, '\n', &line, &rest);
		buf_cstr(out, ".Pp\n");
		put_paragraph(out, line);
	}
}

/* ---- options ---- */

/* What stands behind the name: a value, or yes and no. */
static void
put_value(struct buf *out, const struct option_spec *spec)
{
	if (spec->kind == OPTION_YES_NO)
		buf_cstr(out, " Ns Oo = Ns Cm yes Ns | Ns Cm no Oc");
	else if (spec->value != NULL)
		buf_printf(out, " Ar %s", spec->value);
	buf_putc(out, '\n');
}

static void
put_meaning(struct buf *out, const struct option_spec *spec)
{
	struct buf terms = { 0 };

	put_sentence(out, spec->help);
	if (spec->note != NULL)
		put_text(out, spec->note);
	option_terms(&terms, spec);
	/* As it is: words are written so. */
	if (terms.n > 0) {
		buf_putc(&terms, '.');
		put_paragraph(out, buf_view(&terms));
	}
	buf_fini(&terms);
}

static void
put_options(struct buf *out, const struct option_table *t)
{
	buf_cstr(out, ".Bl -tag -width Ds\n");
	for (unsigned i = 0; i < t->n; i++) {
		if (!option_taken(t, i))
			continue;
		buf_cstr(out, ".It Fl \\-");
		put_escaped(out, str_of(t->v[i].name));
		put_value(out, &t->v[i]);
		put_meaning(out, &t->v[i]);
	}
	buf_cstr(out, ".El\n");
}

/* ---- parts of a page ---- */

static void
put_section(struct buf *out, const char *name)
{
	buf_printf(out, ".Sh %s\n", name);
}

/* The page's name of a command: its words with dashes between them. */
static void
put_page_name(struct buf *out, const char *command)
{
	buf_cstr(out, "twinhub-");
	for (; *command != '\0'; command++)
		buf_putc(out, *command == ' ' ? '-' : *command);
}

static void
put_heading(struct buf *out, struct str name, unsigned section, const char *summary)
{
	buf_cstr(
	    out, ".\\\" Made from the tables of commands and options.\n.Dd " PAGE_DATE "\n.Dt ");
	for (size_t i = 0; i < name.n; i++)
		buf_putc(out, (char)toupper((unsigned char)name.p[i]));
	buf_printf(out, " %u\n.Os\n", section);
	put_section(out, "NAME");
	buf_printf(out, ".Nm " STR_FMT "\n.Nd ", STR_ARG(name));
	put_escaped(out, str_of(summary));
	buf_putc(out, '\n');
}

static void
put_example(struct buf *out, const char *example)
{
	struct str rest = str_of(example), line;

	put_section(out, "EXAMPLES");
	buf_cstr(out, ".Bd -literal\n");
	while (rest.n > 0) {
		str_cut(rest, '\n', &line, &rest);
		put_escaped(out, line);
		buf_putc(out, '\n');
	}
	buf_cstr(out, ".Ed\n");
}

/* A list of names and what they are. */
struct entry {
	const char *name, *text;
};

static void
put_entries(struct buf *out, const char *macro, const struct entry *entries, size_t n)
{
	buf_cstr(out, ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, ".It %s%s", macro, macro[0] != '\0' ? " " : "");
		put_escaped(out, str_of(entries[i].name));
		buf_putc(out, '\n');
		put_text(out, entries[i].text);
	}
	buf_cstr(out, ".El\n");
}

#define PUT_ENTRIES(out, macro, entries)                                                           \
	put_entries(out, macro, entries, sizeof(entries) / sizeof((entries)[0]))

static void
put_exit_codes(struct buf *out)
{
	put_section(out, "EXIT STATUS");
	buf_cstr(out, ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < exit_texts_n; i++) {
		buf_printf(out, ".It %d\n", exit_texts[i].code);
		put_sentence(out, exit_texts[i].text);
		if (exit_texts[i].note != NULL)
			put_text(out, exit_texts[i].note);
	}
	buf_cstr(out, ".El\n");
}

static unsigned
section_of(const struct command *c)
{
	return c->table != NULL ? 8 : 1;
}

/* ---- twinhub(1) ---- */

static void
put_commands(struct buf *out, const struct manual *m)
{
	put_section(out, "COMMANDS");
	buf_cstr(out, ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < m->n; i++) {
		buf_cstr(out, ".It Xr ");
		put_page_name(out, m->commands[i].name);
		buf_printf(out, " %u\n", section_of(&m->commands[i]));
		put_sentence(out, m->commands[i].summary);
	}
	buf_cstr(out, ".El\n");
}

static void
page_of_program(struct buf *out, const struct manual *m)
{
	static const struct entry environment[] = {
		{ "TWINHUB_DATA", "As `--data`, of `serve` too." },
		{ "TWINHUB_CONNECTION_STRING",
		    "As `--connection-string`. What is on the command line wins; both this and "
		    "`TWINHUB_DATA` are an error." },
		{ "TWINHUB_CA", "As `--ca`, with a connection string." },
		{ "TWINHUB_FROM_CONNECTION_STRING", "As `--from`." },
		{ "TMPDIR", "Where pages of CSV wait; else `/tmp`." },
	};
	struct option_table common =
	    command_options(&(struct command){ .options = OPTS_HUB | OPTS_OUTPUT });

	put_heading(out, STR("twinhub"), 1, "device twins of Azure IoT Hub, self-hosted");
	put_section(out, "SYNOPSIS");
	buf_cstr(out,
	    ".Nm\n.Ar command\n.Op Ar operand ...\n.Op Ar option ...\n"
	    ".Nm\n.Cm help\n.Op Ar command\n"
	    ".Nm\n.Cm completion\n.Cm bash | zsh | fish\n"
	    ".Nm\n.Cm version\n");
	put_section(out, "DESCRIPTION");
	put_text(out,
	    "`twinhub serve` runs a hub; the other commands speak to a running one, or work on "
	    "the data directory of one that is stopped.");
	put_note(out,
	    "A command finds its hub by `--data` on the same machine, or by `--connection-string`, "
	    "or by `TWINHUB_CONNECTION_STRING` in the environment. Results are tables on a "
	    "terminal and JSON when piped. Options may stand anywhere; behind `--` all words are "
	    "operands.\n"
	    "Each command has a page of its own. What most of them take:");
	put_options(out, &common);
	put_commands(out, m);
	put_section(out, "ENVIRONMENT");
	PUT_ENTRIES(out, "Ev", environment);
	put_exit_codes(out);
	put_section(out, "SEE ALSO");
	buf_cstr(out, ".Xr twinhub.conf 5 ,\n.Xr twinhub-serve 8\n");
}

/* ---- the page of a command ---- */

/* Operands as a usage line has them: "ID [PARENT]". */
static void
put_operands(struct buf *out, const char *operands)
{
	struct str rest = str_of(operands), word;

	while (rest.n > 0) {
		str_cut(rest, ' ', &word, &rest);
		if (str_starts(word, STR("[")) && word.p[word.n - 1] == ']')
			buf_printf(out, ".Op Ar " STR_FMT "\n", (int)word.n - 2, word.p + 1);
		else
			buf_printf(out, ".Ar " STR_FMT "\n", STR_ARG(word));
	}
}

static void
put_description(struct buf *out, const struct command *c)
{
	put_section(out, "DESCRIPTION");
	put_sentence(out, c->summary);
	if (c->note != NULL)
		put_note(out, c->note);
	buf_cstr(out, ".Pp\nThe options are:\n");
}

static void
page_of_command(struct buf *out, const struct command *c)
{
	struct option_table t = command_options(c);
	struct buf name = { 0 };

	put_page_name(&name, c->name);
	put_heading(out, buf_view(&name), 1, c->summary);
	put_section(out, "SYNOPSIS");
	buf_printf(out, ".Nm twinhub %s\n", c->name);
	put_operands(out, c->operands);
	buf_cstr(out, ".Op Ar option ...\n");
	put_description(out, c);
	put_options(out, &t);
	put_section(out, "EXIT STATUS");
	buf_cstr(out, "The codes of\n.Xr twinhub 1 .\n");
	put_example(out, c->example);
	put_section(out, "SEE ALSO");
	buf_cstr(out, ".Xr twinhub 1\n");
	buf_fini(&name);
}

/* ---- twinhub-serve(8) and twinhub.conf(5) ---- */

static void
put_files(struct buf *out)
{
	static const struct entry files[] = {
		{ "/etc/twinhub/twinhub.conf", "The settings of the hub that a package runs." },
		{ "DATA/twinhub.conf",
		    "The settings where no file is named. The first start writes one with every "
		    "setting commented out." },
		{ "/var/lib/twinhub", "The data of the hub that a package runs." },
		{ "/var/lib/twinhub-backup",
		    "A place that this hub may write backups to; kept when the package is "
		    "purged." },
	};

	put_section(out, "FILES");
	PUT_ENTRIES(out, "Pa", files);
}

static void
page_of_serve(struct buf *out, const struct command *c)
{
	static const struct entry signals[] = {
		{ "SIGTERM, SIGINT", "Answer and store what is in hand, and end." },
		{ "SIGHUP", "Load certificates anew, and open the log file anew." },
		{ "SIGUSR1", "Open the log file anew." },
	};
	static const struct entry codes[] = {
		{ "0", "Stopped by a signal." },
		{ "1", "It could not start; the last line on stderr says why." },
		{ "2", "The command line, the environment or the file of settings is wrong." },
		{ "74",
		    "A sync of the disk failed: what is on disk is not known. Look at the disk "
		    "before "
		    "you start again." },
	};

	put_heading(out, STR("twinhub-serve"), 8, c->summary);
	put_section(out, "SYNOPSIS");
	buf_cstr(out, ".Nm twinhub serve\n.Fl \\-data Ar DIR\n.Op Ar option ...\n");
	put_description(out, c);
	put_options(out, &(struct option_table){ c->table->v, c->table->n, ~(option_set)0 });
	buf_cstr(out, ".Pp\nSignals:\n");
	PUT_ENTRIES(out, "Dv", signals);
	put_section(out, "ENVIRONMENT");
	put_text(out,
	    "Each setting of a file is also a variable: `TWINHUB_` and its name in capitals, with "
	    "`_` for `-`. A list has blanks between its values. An empty variable is none.");
	put_files(out);
	put_section(out, "EXIT STATUS");
	PUT_ENTRIES(out, "", codes);
	put_example(out, c->example);
	put_section(out, "SEE ALSO");
	buf_cstr(out, ".Xr twinhub 1 ,\n.Xr twinhub.conf 5\n");
}

static void
put_settings(struct buf *out, const struct option_table *t)
{
	buf_cstr(out, ".Bl -tag -width Ds\n");
	for (unsigned i = 0; i < t->n; i++) {
		if (t->v[i].line_only)
			continue;
		buf_cstr(out, ".It Ic ");
		put_escaped(out, str_of(t->v[i].name));
		if (t->v[i].kind == OPTION_YES_NO)
			buf_cstr(out, " Cm yes | no\n");
		else
			put_value(out, &t->v[i]);
		put_meaning(out, &t->v[i]);
	}
	buf_cstr(out, ".El\n");
}

static void
page_of_settings(struct buf *out)
{
	put_heading(out, STR(CONF_PAGE), 5, "settings of a hub of device twins");
	put_section(out, "DESCRIPTION");
	put_text(out,
	    "A line has a setting's name, blanks, and its value up to the end of the line, without "
	    "quotes. Blanks around both mean nothing, as do empty lines and lines that begin with "
	    "`#`; a comment has a line of its own. A setting that may be repeated is a list: a "
	    "line for each value; of one that may not the last line counts, and a warning tells. "
	    "Sizes take K, M, G or T behind the number: powers of 1024. A name that is none, a "
	    "value that is out of range, or a name without a value ends the start with the line's "
	    "number. A line has at most 4096 bytes, the file 1 MB.");
	put_note(out,
	    "`twinhub serve` reads the file that `--config` or `TWINHUB_CONFIG` names, else "
	    "`DATA/twinhub.conf`, at its start. The command line wins over the environment, that "
	    "over the file, that over what holds without; a list of one replaces the one below it. "
	    "`twinhub serve --check` tells what is wrong with a file, starts nothing, and prints "
	    "each setting with where it comes from.\n"
	    "The settings are:");
	put_settings(out, &server_settings);
	put_files(out);
	put_example(out,
	    "hostname hub.example.test\nhostname hub-internal.example.test\n"
	    "client-ca /etc/twinhub/fleet-ca.pem\nmemory 8G");
	put_section(out, "SEE ALSO");
	buf_cstr(out, ".Xr twinhub 1 ,\n.Xr twinhub-serve 8\n");
}

/* ---- which page ---- */

bool
manual_page(struct buf *out, const struct manual *m, const char *name)
{
	if (strcmp(name, "twinhub") == 0) {
		page_of_program(out, m);
		return true;
	}
	if (strcmp(name, CONF_PAGE) == 0) {
		page_of_settings(out);
		return true;
	}
	for (size_t i = 0; i < m->n; i++) {
		if (strcmp(m->commands[i].name, name) != 0)
			continue;
		if (m->commands[i].table != NULL)
			page_of_serve(out, &m->commands[i]);
		else
			page_of_command(out, &m->commands[i]);
		return true;
	}
	return false;
}

void
manual_names(struct buf *out, const struct manual *m)
{
	buf_cstr(out, "twinhub.1 twinhub\n" CONF_PAGE ".5 " CONF_PAGE "\n");
	for (size_t i = 0; i < m->n; i++) {
		put_page_name(out, m->commands[i].name);
		buf_printf(out, ".%u %s\n", section_of(&m->commands[i]), m->commands[i].name);
	}
}
