/* What is printed from the tables of commands and options beside --help. */
#ifndef TWINHUB_CLI_MANUAL_H
#define TWINHUB_CLI_MANUAL_H

#include "cli/cli.h"

struct exit_text {
	enum exit_code code;
	const char *text, *note; /* NULL: none */
};
extern const struct exit_text exit_texts[];
extern const size_t exit_texts_n;

struct manual {
	const struct command *commands;
	size_t n;
};

/* twinhub(1), in roff. */
void manual_page(struct buf *out, const struct manual *m);
/* The page of a command that has a table of options of its own: twinhub-serve(8). False: there is none of that name. */
bool manual_page_of(struct buf *out, const struct manual *m, const char *name);
/* A table in Markdown: "options" (of serve), "commands", "codes", "routes"; and "openapi", which is JSON. False: there is no such table. */
bool manual_table(struct buf *out, const struct manual *m, const char *which);
/* What a shell completes by: "bash" or "zsh". False: another one. */
bool completion_script(struct buf *out, const struct manual *m, const char *shell);

#endif
