/* Completion for fish: a line for each command, each option, each value that is a word. What it asks is which words stand before. */
#include "cli/completion.h"

/* Within '...'. */
static void
fish_text(struct buf *out, const char *text)
{
	buf_putc(out, '\'');
	for (; *text != '\0'; text++) {
		if (char_among(*text, "'\\"))
			buf_putc(out, '\\');
		buf_putc(out, *text);
	}
	buf_putc(out, '\'');
}

static void
fish_word(struct buf *out, const char *before, struct str word, const char *help)
{
	buf_printf(out, "complete -c twinhub -n '__twinhub_at%s%s' -a '" STR_FMT "' -d ",
	    before[0] != '\0' ? " " : "", before, STR_ARG(word));
	fish_text(out, help);
	buf_putc(out, '\n');
}

static void
fish_value(struct buf *out, const struct option_spec *spec)
{
	switch (spec->kind) {
	case OPTION_SWITCH: return;
	case OPTION_YES_NO: buf_cstr(out, " -a 'yes no'"); return;
	case OPTION_FILE: buf_cstr(out, " -r -F"); return;
	case OPTION_DIR: buf_cstr(out, " -x -a '(__fish_complete_directories)'"); return;
	case OPTION_WORD:
		buf_cstr(out, " -x -a '");
		for (size_t i = 0; spec->words[i] != NULL; i++)
			buf_printf(out, "%s%s", i > 0 ? " " : "", spec->words[i]);
		buf_putc(out, '\'');
		return;
	default: buf_cstr(out, " -x"); return;
	}
}

static void
fish_options(struct buf *out, const struct command *c)
{
	struct option_table t = command_options(c);

	for (unsigned i = 0; i < t.n; i++) {
		if (!option_taken(&t, i))
			continue;
		buf_printf(
		    out, "complete -c twinhub -n '__twinhub_is %s' -l %s", c->name, t.v[i].name);
		fish_value(out, &t.v[i]);
		buf_cstr(out, " -d ");
		fish_text(out, t.v[i].help);
		buf_putc(out, '\n');
	}
	buf_printf(
	    out, "complete -c twinhub -n '__twinhub_is %s' -l help -d 'what it does'\n", c->name);
	if (completion_files(c))
		buf_printf(out, "complete -c twinhub -n '__twinhub_is %s' -F\n", c->name);
}

void
completion_fish(struct buf *out, const struct manual *m)
{
	char family[64];
	struct str first, second;

	buf_cstr(out,
	    "# Completion of twinhub for fish. Made by `twinhub completion fish`.\n\n"
	    "# Are these the first words, others or none behind them?\n"
	    "function __twinhub_is\n"
	    "    set -l words (commandline -opc)\n"
	    "    test (count $words) -gt (count $argv); or return 1\n"
	    "    set -l last (math (count $argv) + 1)\n"
	    "    set -l first $words[2..$last]\n"
	    "    test \"$first\" = \"$argv\"\n"
	    "end\n"
	    "# Are these all of the words?\n"
	    "function __twinhub_at\n"
	    "    set -l words (commandline -opc)\n"
	    "    set -l first $words[2..-1]\n"
	    "    test \"$first\" = \"$argv\"\n"
	    "end\n\n"
	    "complete -c twinhub -f\n");
	fish_word(out, "", STR("help"), "what a command does");
	fish_word(out, "", STR("completion"), "what a shell completes by");
	fish_word(out, "", STR("version"), "the program's version");
	for (size_t i = 0; i < 3; i++)
		fish_word(out, "completion", str_of(completion_shells[i]), "shell");
	for (size_t i = 0; i < m->n; i++) {
		bool two = str_cut(str_of(m->commands[i].name), ' ', &first, &second);

		if (completion_first(m, i))
			fish_word(out, "", first, two ? "commands" : m->commands[i].summary);
		snprintf(family, sizeof(family), STR_FMT, STR_ARG(first));
		if (two)
			fish_word(out, family, second, m->commands[i].summary);
		fish_options(out, &m->commands[i]);
	}
}
