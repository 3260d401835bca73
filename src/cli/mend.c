/* ca renew, policy reset: what is lost beside a store is made anew, when somebody says so. No hub runs meanwhile. */
#include "cli/priv.h"

#include <stdio.h>
#include <unistd.h>

#include "net/net.h"
#include "os/os.h"

/* held: to be closed. */
static int
directory_hold(const struct args *a, const char **dir, int *held)
{
	char path[DATA_PATH_MAX], why[DATA_WHY_MAX];
	struct fault f = { 0 };
	enum err e;

	*dir = data_named(a);
	if (*dir == NULL)
		return cli_fail(EXIT_USAGE, "--data DIR is needed, or " DATA_NAME);
	if (data_allowed(*dir) != EXIT_DONE)
		return EXIT_DENIED;
	if (data_is_moved(*dir)) {
		data_moved_why(*dir, why, sizeof(why));
		return cli_fail(EXIT_CONFLICT, "%s", why);
	}
	if (data_is_of(*dir, false, why, sizeof(why)) != ERR_OK)
		return cli_fail(EXIT_FAILED,
		    "%s is that of a node of several: what this command makes is in PostgreSQL",
		    *dir);
	if (!data_path(path, *dir, "store"))
		return cli_fail(EXIT_USAGE, "the path of --data is too long");
	e = os_hold_dir(path, held, &f);
	if (e == ERR_LOCKED)
		return cli_fail(EXIT_LOCKED, "%s is in use by a hub: stop it first", *dir);
	return e == ERR_OK ? EXIT_DONE : cli_fail(exit_of(e), "%s", f.text);
}

static void
say(const struct args *a, const char *file, const char *text)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (!output_json(a)) {
		printf("%s\n", text);
		return;
	}
	out_open(&o);
	out_cstr(out_key(&o, "made"), file);
	out_close(&o);
	json_say(&json);
}

static int
unsynced(const char *file)
{
	return cli_fail(EXIT_FAILED,
	    "%s is a new one, but a crash of the machine may bring the old one back: do it again",
	    file);
}

int
cli_ca_renew(const struct args *a)
{
	bool new_key = a->option[OPT_NEW_KEY] != NULL;
	char why[NET_WHY_MAX];
	const char *dir;
	int held = -1, code = directory_hold(a, &dir, &held);
	enum err e;

	if (code != EXIT_DONE)
		return code;
	e = certs_renew_ca(dir, clock_wall_us(), &new_key, why);
	close(held);
	if (e == ERR_UNSYNCED)
		return unsynced("ca.pem");
	if (e != ERR_OK)
		return cli_fail(exit_of(e), "%s", why);
	say(a, "ca.pem",
	    new_key ? "ca.pem is a CA with another key: give it to all clients, nobody who has the "
	              "former one can connect"
	            : "ca.pem was made anew with its key; copies of the former one stay good");
	return EXIT_DONE;
}

int
cli_policy_reset(const struct args *a)
{
	struct policies *p;
	const char *dir;
	int held = -1, code = directory_hold(a, &dir, &held);
	enum err e;

	if (code != EXIT_DONE)
		return code;
	p = policies_fresh();
	e = p != NULL ? policies_save(dir, p) : ERR_IO;
	policies_free(p);
	close(held);
	if (e == ERR_UNSYNCED)
		return unsynced("policies.json");
	if (e != ERR_OK)
		return cli_fail(exit_of(e), "%s/policies.json cannot be written", dir);
	say(a, "policies.json",
	    "the policies are the five of a first start, with new keys: give them to all that had "
	    "the old ones");
	return EXIT_DONE;
}
