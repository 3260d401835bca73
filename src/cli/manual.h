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

/* A page in mdoc: of "twinhub", of "twinhub.conf", or of a command by its name ("device create"). False: there is no such page. O-107. */
bool manual_page(struct buf *out, const struct manual *m, const char *name);
/* A line for each page: its file ("twinhub-device-create.1"), a blank, and the name that manual_page knows it by. */
void manual_names(struct buf *out, const struct manual *m);
/* A table in Markdown: "options" (of serve), "commands", "codes", "routes"; "openapi", which is JSON; "settings", a file of them; "pages", the lines of manual_names. False: there is no such table. */
bool manual_table(struct buf *out, const struct manual *m, const char *which);
/* What a shell completes by: "bash" or "zsh". False: another one. */
bool completion_script(struct buf *out, const struct manual *m, const char *shell);

#endif
