/* twinhub: the table of its commands. */
#include "cli/cli.h"
#include "server/server.h"

#include <stdio.h>

#define SERVE_EXAMPLE "  twinhub serve --data /var/lib/twinhub --hostname hub.example.test"

static int
serve(int argc, char **argv)
{
	struct server_options o;
	struct buf help = { 0 };
	char why[1024];

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--help") != 0 && strcmp(argv[i], "-h") != 0)
			continue;
		options_help(&help);
		printf(
		    "usage: twinhub serve --data DIR [options]\n\nRun a hub until SIGTERM; SIGHUP "
		    "loads certificates anew.\n\noptions, also as lines of "
		    "DIR/twinhub.conf:\n" STR_FMT "\nexample:\n" SERVE_EXAMPLE "\n",
		    STR_ARG(buf_view(&help)));
		buf_fini(&help);
		return EXIT_DONE;
	}
	if (options_parse(argc, argv, &o, why, sizeof(why)) != ERR_OK) {
		fprintf(stderr, "twinhub: %s\n", why);
		return EXIT_USAGE;
	}
	return server_run(&o);
}

#define CREDENTIALS                                                                                \
	(OPT(PRIMARY_KEY) | OPT(SECONDARY_KEY) | OPT(THUMBPRINT) | OPT(SECONDARY_THUMBPRINT) |     \
	    OPT(X509_CA))
#define HUB      (OPTS_HUB | OPTS_OUTPUT)
#define DOCUMENT (OPT(TAGS) | OPT(DESIRED) | OPT(FILE) | OPT(ETAG))
#define SIGN_IN  (OPT(DATA) | OPT(POLICY) | OPT(DEVICE) | OPT(KEY) | OPT(HOSTNAME))

static const struct command commands[] = {
	{ "serve", "", 0, 0, 0, NULL, serve, "run a hub", SERVE_EXAMPLE },
	{ "device create", "ID", 1, 1,
	    HUB | CREDENTIALS | OPT(EDGE) | OPT(DISABLED) | OPT(STATUS_REASON), cli_device_create,
	    NULL, "register a device",
	    "  twinhub device create thermostat-1 --data /var/lib/twinhub\n"
	    "  twinhub device create pump-7 --thumbprint 2f1c...9a --data /var/lib/twinhub" },
	{ "device show", "ID", 1, 1, HUB, cli_device_show, NULL,
	    "a device's identity with its keys",
	    "  twinhub device show thermostat-1 --data /var/lib/twinhub" },
	{ "device list", "", 0, 0, HUB | OPT(PAGE_SIZE), cli_device_list, NULL, "all devices",
	    "  twinhub device list --data /var/lib/twinhub" },
	{ "device update", "ID", 1, 1,
	    HUB | CREDENTIALS | OPT(STATUS) | OPT(STATUS_REASON) | OPT(ETAG), cli_device_update,
	    NULL, "change a device's status or credentials",
	    "  twinhub device update thermostat-1 --status disabled --status-reason stolen --data "
	    "/var/lib/twinhub" },
	{ "device delete", "ID", 1, 1, HUB | OPT(ETAG), cli_device_delete, NULL,
	    "remove a device and its twin",
	    "  twinhub device delete thermostat-1 --data /var/lib/twinhub" },
	{ "twin show", "ID", 1, 1, HUB, cli_twin_show, NULL, "a device's twin",
	    "  twinhub twin show thermostat-1 --data /var/lib/twinhub" },
	{ "twin update", "ID [JSON]", 1, 2, HUB | DOCUMENT, cli_twin_update, NULL,
	    "merge changes into tags and desired properties; null removes",
	    "  twinhub twin update thermostat-1 --desired '{\"interval\":\"5m\"}' --data "
	    "/var/lib/twinhub\n"
	    "  twinhub twin update thermostat-1 '{\"tags\":{\"floor\":3}}' --data "
	    "/var/lib/twinhub" },
	{ "twin replace", "ID [JSON]", 1, 2, HUB | DOCUMENT, cli_twin_replace, NULL,
	    "replace tags and desired properties as a whole",
	    "  twinhub twin replace thermostat-1 --file twin.json --etag AAAAAAAAAAE= --data "
	    "/var/lib/twinhub" },
	{ "query", "TEXT", 1, 1, HUB | OPT(PAGE_SIZE), cli_query, NULL,
	    "what a query finds, all pages",
	    "  twinhub query \"SELECT deviceId FROM devices WHERE tags.floor = 3\" --data "
	    "/var/lib/twinhub" },
	{ "policy show", "[NAME]", 0, 1, HUB, cli_policy_show, NULL,
	    "shared access policies with their keys",
	    "  twinhub policy show service --data /var/lib/twinhub" },
	{ "policy rotate", "NAME", 1, 1, HUB | OPT(KEY), cli_policy_rotate, NULL,
	    "give a policy a new key",
	    "  twinhub policy rotate service --key secondary --data /var/lib/twinhub" },
	{ "connection-string", "", 0, 0, SIGN_IN, cli_connection_string, NULL,
	    "what a back end or a device connects with",
	    "  twinhub connection-string --policy service --data /var/lib/twinhub\n"
	    "  twinhub connection-string --device thermostat-1 --data /var/lib/twinhub" },
	{ "sas", "", 0, 0, SIGN_IN | OPT(TTL) | OPT(RESOURCE), cli_sas, NULL,
	    "make a shared access signature",
	    "  twinhub sas --policy service --ttl 600 --data /var/lib/twinhub" },
	{ "backup", "DIR", 1, 1, HUB, cli_backup, NULL,
	    "copy a running hub into a new directory on its machine",
	    "  twinhub backup /var/backups/twinhub-monday --data /var/lib/twinhub" },
	{ "restore", "BACKUP", 1, 1, OPT(DATA) | OPTS_OUTPUT, cli_restore, NULL,
	    "make a data directory of a backup",
	    "  twinhub restore /var/backups/twinhub-monday --data /var/lib/twinhub" },
	{ "check", "", 0, 0, OPT(DATA) | OPTS_OUTPUT, cli_check, NULL,
	    "verify each byte of a stopped hub's data", "  twinhub check --data /var/lib/twinhub" },
};

int
main(int argc, char **argv)
{
	return cli_main(
	    commands, sizeof(commands) / sizeof(commands[0]), argc > 0 ? argc - 1 : 0, argv + 1);
}
