/* With --cluster: what of the server's settings may cost what is acknowledged, or time, is told once, at the start (O-293). */
#include "pg/operate.h"
#include "server/priv.h"

static void
advise(void *ctx, const char *line, bool grave)
{
	(void)ctx;
	log_text(grave ? LOG_WARN : LOG_INFO, "PostgreSQL's settings: %s", line);
}

void
database_advise(const struct server *s)
{
	const struct pg_options po = { .url = s->o.cluster, .node = node_name(s) };
	struct fault ignored;

	if (s->o.cluster != NULL)
		(void)pg_advice(
		    &po, advise, NULL, &ignored); /* a server that has gone is told of elsewhere */
}
