/* cluster drain, revoke, remove, finish-upgrade, accept-loss: what is said to a hub's database. */
#include "cli/cluster.h"

#include <stdio.h>

#include "pg/operate.h"

static void __attribute__((format(printf, 3, 4)))
say(const struct args *a, const char *key, const char *fmt, ...)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (!output_json(a)) {
		printf("%s\n", line);
		return;
	}
	out_open(&o);
	out_cstr(out_key(&o, key), a->operand[0] != NULL ? a->operand[0] : line);
	out_close(&o);
	json_say(&json);
}

int
cli_cluster_drain(const struct args *a)
{
	bool back = a->option[OPT_UNDO] != NULL;
	struct pg_options o = { 0 };
	struct fault f = { 0 };
	enum err e;
	int code = db_named(a, &o);

	if (code != EXIT_DONE)
		return code;
	if ((e = pg_node_drain(&o, a->operand[0], back, &f)) != ERR_OK)
		return db_fail(e, &f);
	if (back)
		say(a, "live", "the node '%s' takes shards again", a->operand[0]);
	else
		say(a, "draining",
		    "the node '%s' gives its shards away, one after the other: stop it when "
		    "`twinhub "
		    "cluster status` says that it has none",
		    a->operand[0]);
	return EXIT_DONE;
}

int
cli_cluster_revoke(const struct args *a)
{
	struct pg_options o = { 0 };
	struct fault f = { 0 };
	enum err e;
	int code = db_named(a, &o);

	if (code != EXIT_DONE)
		return code;
	if ((e = pg_node_revoke(&o, a->operand[0], &f)) != ERR_OK)
		return db_fail(e, &f);
	say(a, "revoked",
	    "the node '%s' answers nothing any more, and does not begin again; what it knows of "
	    "the "
	    "database it still knows: close its role (ALTER ROLE ... NOLOGIN), or change the "
	    "password",
	    a->operand[0]);
	return EXIT_DONE;
}

int
cli_cluster_remove(const struct args *a)
{
	struct pg_options o = { 0 };
	struct fault f = { 0 };
	enum err e;
	int code = db_named(a, &o);

	if (code != EXIT_DONE)
		return code;
	if ((e = pg_node_remove(&o, a->operand[0], &f)) != ERR_OK)
		return db_fail(e, &f);
	say(a, "removed", "the node '%s' is no more the hub's", a->operand[0]);
	return EXIT_DONE;
}

int
cli_cluster_finish_upgrade(const struct args *a)
{
	struct pg_options o = { 0 };
	struct fault f = { 0 };
	unsigned level = 0;
	enum err e;
	int code = db_named(a, &o);

	if (code != EXIT_DONE)
		return code;
	if ((e = pg_finish_upgrade(&o, &level, &f)) != ERR_OK)
		return db_fail(e, &f);
	say(a, "finished",
	    "the hub's level is %u: programs that do not know it are refused from now on", level);
	return EXIT_DONE;
}

int
cli_cluster_accept_loss(const struct args *a)
{
	struct pg_options o = { 0 };
	struct fault f = { 0 };
	bool raised = false;
	enum err e;
	int code = db_named(a, &o);

	if (code != EXIT_DONE)
		return code;
	if ((e = pg_accept_loss(&o, &raised, &f)) != ERR_OK)
		return db_fail(e, &f);
	if (raised)
		say(a, "accepted",
		    "what is lost is taken as lost; positions and numbers go on above all that may "
		    "have "
		    "been given");
	else
		say(a, "accepted",
		    "what is lost is taken as lost; positions and numbers stay as they are, as "
		    "nodes "
		    "serve: after a restore stop all of them first");
	return EXIT_DONE;
}
