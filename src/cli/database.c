/* Which database a command of a hub of several nodes means, and what it says. */
#include "cli/cluster.h"

#include <stdlib.h>
#include <unistd.h>

#define DB_NAME  "TWINHUB_CLUSTER" /* as for serve --cluster */
#define SAY_US   INT64_C(5000000)
#define SAY_ROWS 4096u /* between two looks at the clock */

int
db_named(const struct args *a, struct pg_options *o)
{
	const char *url = a->option[OPT_DB] != NULL ? a->option[OPT_DB] : getenv(DB_NAME);
	struct fault f = { 0 };

	if (url == NULL || *url == '\0')
		return cli_fail(EXIT_USAGE, "--db URL is needed, or " DB_NAME);
	*o = (struct pg_options){ .url = url, .node = "cli" };
	if (pg_url_check(url, &f) == ERR_OK)
		return EXIT_DONE;
	return cli_fail(EXIT_USAGE,
	    "--db is not of the form postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with %%XX for "
	    "what means something in it; where it is wrong is not shown, as that may be the "
	    "password");
}

int
db_fail(enum err e, const struct fault *f)
{
	return cli_fail(
	    exit_of(e), "%s", f->text[0] != '\0' ? f->text : "the database cannot be used");
}

void
carried_row(struct carried *c, size_t bytes)
{
	int64_t now_us;

	c->bytes += bytes;
	if (c->rows++ % SAY_ROWS != 0 || !isatty(STDERR_FILENO))
		return;
	now_us = clock_mono_us();
	if (c->said_us != 0 && now_us - c->said_us < SAY_US)
		return;
	if (c->said_us != 0)
		cli_note("%llu rows, %llu MB", (unsigned long long)c->rows,
		    (unsigned long long)(c->bytes / 1000000));
	c->said_us = now_us;
}
