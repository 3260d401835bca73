/* Which hub a command speaks to, and as whom. */
#include "cli/priv.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OWNER           "iothubowner" /* the policy that may do everything */
#define CONNECTION_NAME "TWINHUB_CONNECTION_STRING"
#define CA_NAME         "TWINHUB_CA"

static bool
put_text(char *out, size_t room, struct str s)
{
	return snprintf(out, room, STR_FMT, STR_ARG(s)) < (int)room;
}

/* ---- data directories ---- */

const char *
data_named(const struct args *a)
{
	return a->option[OPT_DATA] != NULL ? a->option[OPT_DATA] : data_of_environment();
}

int
data_open(const struct args *a, const char **dir)
{
	char why[WHY_MAX];
	enum err e;

	*dir = data_named(a);
	if (*dir == NULL)
		return cli_fail(EXIT_USAGE, "--data DIR is needed, or " DATA_NAME);
	if (data_allowed(*dir) != EXIT_DONE)
		return EXIT_DENIED;
	e = data_check(*dir, why, sizeof(why));
	return e == ERR_OK ? EXIT_DONE : cli_fail(exit_of(e), "%s", why);
}

int
policy_key(const char *dir, struct str policy, bool primary, char out[KEY_TEXT_MAX])
{
	char why[DATA_WHY_MAX];
	struct policies *all;
	const struct policy *p;
	enum err e = policies_load(dir, &all, why, sizeof(why));
	int code = EXIT_DONE;

	if (e != ERR_OK)
		return cli_fail(exit_of(e), "%s", why);
	p = policy_find(all->v, all->n, policy);
	if (p == NULL)
		code =
		    cli_fail(EXIT_NOT_FOUND, "there is no policy '" STR_FMT "'", STR_ARG(policy));
	else
		put_text(out, KEY_TEXT_MAX, primary ? p->primary : p->secondary);
	policies_free(all);
	return code;
}

static void
path_if_there(char out[DATA_PATH_MAX], const char *dir, const char *name)
{
	if (!data_path(out, dir, name) || access(out, R_OK) != 0)
		out[0] = '\0';
}

int
target_of_data(const struct args *a, const char *dir, struct target *t)
{
	struct endpoint e;
	enum err err = endpoint_read(dir, &e);

	if (err != ERR_OK)
		return cli_fail(err == ERR_CORRUPT ? EXIT_DAMAGED : EXIT_UNREACHABLE,
		    err == ERR_CORRUPT ? "%s/endpoint.json is damaged"
		                       : "no hub has been started on %s yet",
		    dir);
	put_text(t->host, sizeof(t->host), str_of(e.host));
	put_text(t->address, sizeof(t->address), str_of(e.address));
	t->port = e.https_port;
	put_text(t->policy, sizeof(t->policy), STR(OWNER));
	if (a->option[OPT_CA] == NULL) {
		path_if_there(
		    t->ca, dir, "ca.pem"); /* a hub with certificates from elsewhere has none */
		path_if_there(t->served, dir, SERVED_FILE);
	}
	return policy_key(dir, STR(OWNER), true, t->key);
}

/* ---- connection strings ---- */

int
target_of_text(const char *text, struct target *t)
{
	struct conn_string c;
	char why[WHY_MAX];

	if (!conn_string_parse(str_of(text), &c, why, sizeof(why)))
		return cli_fail(EXIT_USAGE, "%s", why);
	if (c.policy.n == 0)
		return cli_fail(
		    EXIT_USAGE, "the connection string is a device's; this needs a policy's");
	put_text(t->host, sizeof(t->host), c.host);
	put_text(t->address, sizeof(t->address), c.host);
	put_text(t->policy, sizeof(t->policy), c.policy);
	put_text(t->key, sizeof(t->key), c.key);
	t->port = c.port;
	return EXIT_DONE;
}

/* Of the environment; NULL: not set, or empty. */
static const char *
variable(const char *name)
{
	const char *text = getenv(name);

	return text != NULL && text[0] != '\0' ? text : NULL;
}

/* What is on the command line wins over the environment. Which of two variables somebody has meant is not guessed: a command may
 * delete things. */
int
connection_named(const struct args *a, const char **text)
{
	*text = a->option[OPT_CONNECTION];
	if (*text != NULL && a->option[OPT_DATA] != NULL)
		return cli_fail(EXIT_USAGE, "--data and --connection-string are both given");
	if (*text != NULL || a->option[OPT_DATA] != NULL)
		return EXIT_DONE;
	*text = variable(CONNECTION_NAME);
	if (*text != NULL && data_of_environment() != NULL)
		return cli_fail(EXIT_USAGE,
		    DATA_NAME " and " CONNECTION_NAME " are both set: give --data or "
		              "--connection-string");
	if (*text == NULL && data_of_environment() == NULL)
		return cli_fail(EXIT_USAGE,
		    "which hub? give --data DIR or --connection-string TEXT, or set " DATA_NAME
		    " or " CONNECTION_NAME);
	return EXIT_DONE;
}

/* A CA of the environment is for hubs that are elsewhere: --data knows its own. */
static int
target_find(const struct args *a, struct target *t)
{
	const char *text, *dir, *ca = variable(CA_NAME);
	int code = connection_named(a, &text);

	if (code != EXIT_DONE)
		return code;
	if (text == NULL) {
		code = data_open(a, &dir);
		return code == EXIT_DONE ? target_of_data(a, dir, t) : code;
	}
	if (a->option[OPT_CA] == NULL && ca != NULL && !put_text(t->ca, sizeof(t->ca), str_of(ca)))
		return cli_fail(EXIT_USAGE, "the path in " CA_NAME " is too long");
	return target_of_text(text, t);
}

int
target_init(const struct args *a, enum option ca, struct target *t)
{
	*t = (struct target){ .timeout_s = a->number[OPT_TIMEOUT] };
	if (a->option[ca] != NULL && !put_text(t->ca, sizeof(t->ca), str_of(a->option[ca])))
		return cli_fail(EXIT_USAGE, "the path of --%s is too long", option_name(ca));
	return EXIT_DONE;
}

int
target_open(const struct args *a, struct target *t)
{
	int code = target_init(a, OPT_CA, t);

	return code == EXIT_DONE ? target_find(a, t) : code;
}

void
target_fini(struct target *t)
{
	OPENSSL_cleanse(t->key, sizeof(t->key));
}
