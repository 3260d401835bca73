/*
 * Completion of the command line, as a script for bash, zsh or fish (completion_fish.c): which words and options there are, and for values that are words,
 * files or directories which ones. Nothing is asked of a hub.
 */
#include "cli/completion.h"

const char *const completion_shells[] = { "bash", "zsh", "fish", NULL };

static bool
names_files(const struct command *c)
{
	return strstr(c->operands, "FILE") != NULL || strstr(c->operands, "DIR") != NULL ||
	    strstr(c->operands, "BACKUP") != NULL;
}

bool
completion_files(const struct command *c)
{
	return names_files(c) && c->raw == NULL;
}

/* The first word of the name; is it the first command that has it? */
static bool
is_first_of_family(const struct manual *m, size_t i, struct str *word)
{
	struct str other, rest;

	str_cut(str_of(m->commands[i].name), ' ', word, &rest);
	if (i == 0)
		return true;
	str_cut(str_of(m->commands[i - 1].name), ' ', &other, &rest);
	return !str_eq(*word, other);
}

bool
completion_first(const struct manual *m, size_t i)
{
	struct str word;

	return is_first_of_family(m, i, &word);
}

static bool
second_word(const struct command *c, struct str family, struct str *second)
{
	struct str first;

	return str_cut(str_of(c->name), ' ', &first, second) && str_eq(first, family);
}

/* ---- bash ---- */

static void
bash_words(struct buf *out, const struct manual *m)
{
	struct str family, second;

	buf_cstr(out, "_twinhub_words() {\n\tcase $1 in\n\t'') echo 'help completion version");
	for (size_t i = 0; i < m->n; i++)
		if (is_first_of_family(m, i, &family))
			buf_printf(out, " " STR_FMT, STR_ARG(family));
	buf_cstr(out, "' ;;\n\tcompletion) echo 'bash zsh fish' ;;\n");
	for (size_t i = 0; i < m->n; i++) {
		if (!is_first_of_family(m, i, &family) ||
		    !second_word(&m->commands[i], family, &second))
			continue;
		buf_printf(out, "\t" STR_FMT ") echo '", STR_ARG(family));
		for (size_t k = i; k < m->n && second_word(&m->commands[k], family, &second); k++)
			buf_printf(out, "%s" STR_FMT, k > i ? " " : "", STR_ARG(second));
		buf_cstr(out, "' ;;\n");
	}
	buf_cstr(out, "\tesac\n}\n");
}

static void
bash_options(struct buf *out, const struct manual *m)
{
	buf_cstr(out, "_twinhub_options() {\n\tcase $1 in\n");
	for (size_t i = 0; i < m->n; i++) {
		struct option_table t = command_options(&m->commands[i]);

		buf_printf(out, "\t'%s') echo '--help", m->commands[i].name);
		for (unsigned o = 0; o < t.n; o++)
			if (option_taken(&t, o))
				buf_printf(out, " --%s", t.v[o].name);
		buf_cstr(out, "' ;;\n");
	}
	buf_cstr(out, "\tesac\n}\n");
}

static void
bash_value(struct buf *out, const char *command, const struct option_spec *spec)
{
	buf_printf(out, "\t'%s --%s') ", command, spec->name);
	if (spec->kind == OPTION_FILE)
		buf_cstr(out, "echo -f");
	else if (spec->kind == OPTION_DIR)
		buf_cstr(out, "echo -d");
	else if (spec->kind == OPTION_WORD) {
		buf_cstr(out, "echo -W '");
		for (size_t i = 0; spec->words[i] != NULL; i++)
			buf_printf(out, "%s%s", i > 0 ? " " : "", spec->words[i]);
		buf_putc(out, '\'');
	}
	buf_cstr(out, " ;;\n");
}

static void
bash_values(struct buf *out, const struct manual *m)
{
	buf_cstr(out,
	    "# What the value of an option is; fails where it takes none.\n"
	    "_twinhub_value() {\n\tcase $1 in\n");
	for (size_t i = 0; i < m->n; i++) {
		struct option_table t = command_options(&m->commands[i]);

		for (unsigned o = 0; o < t.n; o++)
			if (option_taken(&t, o) && t.v[o].kind != OPTION_SWITCH &&
			    t.v[o].kind != OPTION_YES_NO)
				bash_value(out, m->commands[i].name, &t.v[o]);
	}
	buf_cstr(out, "\t*) return 1 ;;\n\tesac\n}\n");
}

static void
bash_files(struct buf *out, const struct manual *m)
{
	const char *between = "";

	buf_cstr(out, "_twinhub_takes_files() {\n\tcase $1 in\n\t");
	for (size_t i = 0; i < m->n; i++) {
		if (!names_files(&m->commands[i]) || m->commands[i].raw != NULL)
			continue;
		buf_printf(out, "%s'%s'", between, m->commands[i].name);
		between = " | ";
	}
	buf_cstr(out, ") return 0 ;;\n\t*) return 1 ;;\n\tesac\n}\n");
}

static void
bash_script(struct buf *out, const struct manual *m)
{
	buf_cstr(out, "# Completion of twinhub for bash. Made by `twinhub completion bash`.\n\n");
	bash_words(out, m);
	bash_options(out, m);
	bash_values(out, m);
	bash_files(out, m);
	buf_cstr(out,
	    "_twinhub() {\n"
	    "\tlocal current=${COMP_WORDS[COMP_CWORD]} former=${COMP_WORDS[COMP_CWORD - 1]} at=1 "
	    "command value\n"
	    "\tCOMPREPLY=()\n"
	    "\t[[ $current == '=' ]] && current='' || { [[ $former == '=' ]] && "
	    "former=${COMP_WORDS[COMP_CWORD - 2]}; }\n"
	    "\tcommand=${COMP_WORDS[1]}\n"
	    "\t[[ $command == help ]] && command=${COMP_WORDS[2]} at=2\n"
	    "\tif ((COMP_CWORD == at)); then\n"
	    "\t\tCOMPREPLY=($(compgen -W \"$(_twinhub_words '')\" -- \"$current\"))\n"
	    "\t\treturn\n"
	    "\tfi\n"
	    "\tvalue=$(_twinhub_words \"$command\")\n"
	    "\tif [[ -n $value ]] && ((COMP_CWORD == at + 1)); then\n"
	    "\t\tCOMPREPLY=($(compgen -W \"$value\" -- \"$current\"))\n"
	    "\t\treturn\n"
	    "\tfi\n"
	    "\t[[ -n $value ]] && command=\"$command ${COMP_WORDS[at + 1]}\"\n"
	    "\tif value=$(_twinhub_value \"$command $former\"); then\n"
	    "\t\tcase $value in\n"
	    "\t\t-W*) COMPREPLY=($(compgen -W \"${value:3}\" -- \"$current\")) ;;\n"
	    "\t\t-*) compopt -o filenames; mapfile -t COMPREPLY < <(compgen \"$value\" -- "
	    "\"$current\") ;;\n"
	    "\t\tesac\n"
	    "\telif [[ $current == -* || $at == 2 ]] || ! _twinhub_takes_files \"$command\"; then\n"
	    "\t\tCOMPREPLY=($(compgen -W \"$(_twinhub_options \"$command\")\" -- \"$current\"))\n"
	    "\telse\n"
	    "\t\tcompopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
	    "\tfi\n"
	    "}\n"
	    "complete -F _twinhub twinhub\n");
}

/* ---- zsh ---- */

/* Within '...' and a description that ends with ] or before a colon. */
static void
zsh_text(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			buf_cstr(out, "'\\'");
		else if (char_among(*text, "[]:\\"))
			buf_putc(out, '\\');
		buf_putc(out, *text);
	}
}

static void
zsh_option(struct buf *out, const struct option_spec *spec)
{
	buf_printf(out, " '%s--%s%s[", spec->many ? "*" : "", spec->name,
	    spec->kind == OPTION_SWITCH       ? ""
	        : spec->kind == OPTION_YES_NO ? "=-"
	                                      : "=");
	zsh_text(out, spec->help);
	buf_putc(out, ']');
	if (spec->kind == OPTION_YES_NO)
		buf_cstr(out, "::yes or no:(yes no)");
	else if (spec->kind != OPTION_SWITCH)
		buf_printf(out, ":%s:", spec->value);
	if (spec->kind == OPTION_FILE)
		buf_cstr(out, "_files");
	else if (spec->kind == OPTION_DIR)
		buf_cstr(out, "_files -/");
	else if (spec->kind == OPTION_WORD) {
		for (size_t i = 0; spec->words[i] != NULL; i++)
			buf_printf(out, "%s%s", i > 0 ? " " : "(", spec->words[i]);
		buf_putc(out, ')');
	}
	buf_putc(out, '\'');
}

static void
zsh_options(struct buf *out, const struct manual *m)
{
	buf_cstr(out, "\tcase $command in\n");
	for (size_t i = 0; i < m->n; i++) {
		struct option_table t = command_options(&m->commands[i]);

		buf_printf(out, "\t'%s') taken=(--help", m->commands[i].name);
		for (unsigned o = 0; o < t.n; o++)
			if (option_taken(&t, o))
				zsh_option(out, &t.v[o]);
		buf_cstr(out,
		    names_files(&m->commands[i]) && m->commands[i].raw == NULL
		        ? " '*:file:_files') ;;\n"
		        : ") ;;\n");
	}
	buf_cstr(out, "\tesac\n");
}

static void
zsh_word(struct buf *out, struct str word, const char *help)
{
	buf_printf(out, " '" STR_FMT ":", STR_ARG(word));
	zsh_text(out, help);
	buf_putc(out, '\'');
}

static void
zsh_words(struct buf *out, const struct manual *m)
{
	struct str family, second;

	buf_cstr(out,
	    "\tfirst=('help:what a command does' 'completion:what a shell completes by' "
	    "'version:the version of the program'");
	for (size_t i = 0; i < m->n; i++)
		if (is_first_of_family(m, i, &family))
			zsh_word(out, family,
			    second_word(&m->commands[i], family, &second) ? "commands"
			                                                  : m->commands[i].summary);
	buf_cstr(out, ")\n\tcase $words[2] in\n\tcompletion) second=(bash zsh fish) ;;\n");
	for (size_t i = 0; i < m->n; i++) {
		if (!is_first_of_family(m, i, &family) ||
		    !second_word(&m->commands[i], family, &second))
			continue;
		buf_printf(out, "\t" STR_FMT ") second=(", STR_ARG(family));
		for (size_t k = i; k < m->n && second_word(&m->commands[k], family, &second); k++)
			zsh_word(out, second, m->commands[k].summary);
		buf_cstr(out, ") ;;\n");
	}
	buf_cstr(out, "\tesac\n");
}

static void
zsh_script(struct buf *out, const struct manual *m)
{
	buf_cstr(out,
	    "#compdef twinhub\n# Completion of twinhub for zsh. Made by `twinhub completion "
	    "zsh`.\n\n"
	    "_twinhub() {\n\tlocal -a first second taken\n\tlocal command\n");
	zsh_words(out, m);
	buf_cstr(out,
	    "\tif ((CURRENT == 2)); then\n\t\t_describe command first\n\t\treturn\n\tfi\n"
	    "\tif ((CURRENT == 3 && $#second)); then\n\t\t_describe command "
	    "second\n\t\treturn\n\tfi\n"
	    "\tcommand=$words[2]\n"
	    "\t(($#second)) && command=\"$command $words[3]\"\n");
	zsh_options(out, m);
	buf_cstr(out,
	    "\tshift words; ((CURRENT--))\n"
	    "\t(($#second)) && { shift words; ((CURRENT--)) }\n"
	    "\t_arguments $taken\n}\n"
	    "_twinhub \"$@\"\n");
}

bool
completion_script(struct buf *out, const struct manual *m, const char *shell)
{
	if (strcmp(shell, "bash") == 0)
		bash_script(out, m);
	else if (strcmp(shell, "zsh") == 0)
		zsh_script(out, m);
	else if (strcmp(shell, "fish") == 0)
		completion_fish(out, m);
	else
		return false;
	return true;
}
