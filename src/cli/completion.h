/* completion: what the shells' files share. */
#ifndef TWINHUB_CLI_COMPLETION_H
#define TWINHUB_CLI_COMPLETION_H

#include <stdio.h>

#include "cli/manual.h"

extern const char *const completion_shells[]; /* NULL ends them */

/* Are the command's operands files? */
bool completion_files(const struct command *c);
/* Is it the first command with this first word? */
bool completion_first(const struct manual *m, size_t i);

void completion_fish(struct buf *out, const struct manual *m);

#endif
