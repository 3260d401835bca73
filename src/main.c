/* twinhub: the table of its commands. */
#include "cli/cli.h"
#include "server/server.h"

#include <stdio.h>

#define SERVE_EXAMPLE "  twinhub serve --data /var/lib/twinhub --hostname hub.example.test"

static int
serve(int argc, char **argv)
{
	struct server_options o;
	char why[1024];

	if (options_parse(argc, argv, &o, why, sizeof(why)) != ERR_OK) {
		fprintf(stderr, "twinhub: %s\n", why);
		return EXIT_USAGE;
	}
	return server_run(&o);
}

#define DATA "--data /var/lib/twinhub"
#define CREDENTIALS                                                                                \
	(OPT(PRIMARY_KEY) | OPT(SECONDARY_KEY) | OPT(THUMBPRINT) | OPT(SECONDARY_THUMBPRINT) |     \
	    OPT(X509_CA))
#define HUB      (OPTS_HUB | OPTS_OUTPUT)
#define DOCUMENT (OPT(MODULE) | OPT(TAGS) | OPT(DESIRED) | OPT(FILE) | OPT(ETAG))
#define ROWS     ((HUB & ~OPT(OUTPUT)) | OPT(CSV) | OPT(OUTPUT_ROWS))
#define JOB                                                                                        \
	(OPT(CONDITION) | OPT(PATCH) | OPT(FILE) | OPT(TAGS) | OPT(DESIRED) | OPT(METHOD) |        \
	    OPT(PAYLOAD) | OPT(RESPONSE_TIMEOUT) | OPT(CONNECT_TIMEOUT) | OPT(START) |             \
	    OPT(MAX_TIME) | OPT(RATE))
#define CONFIGURATION (OPT(FILE) | OPT(CONDITION) | OPT(PRIORITY) | OPT(LABELS))
#define SIGN_IN       (OPTS_HUB | OPT(POLICY) | OPT(DEVICE) | OPT(MODULE) | OPT(KEY) | OPT(HOSTNAME))

/* clang-format off */
static const struct command commands[] = {
	{
		.name = "serve", .operands = "--data DIR", .raw = serve, .table = &server_settings,
		.summary = "run a hub",
		.note = "Until SIGTERM, or twinhub stop; SIGHUP loads certificates anew. The options are also lines of DIR/twinhub.conf, without dashes.",
		.example = SERVE_EXAMPLE,
	}, {
		.name = "wait", .operands = "", .run = cli_wait,
		.options = HUB,
		.summary = "until a hub is ready",
		.note = "It may be started later: a directory that is missing is waited for, too. When --timeout is over: exit code 3, and why.",
		.example = "  twinhub wait --timeout 30 " DATA,
	}, {
		.name = "stop", .operands = "", .run = cli_stop,
		.options = OPT(DATA) | OPT(TIMEOUT) | OPTS_OUTPUT,
		.summary = "end the hub on a data directory, and wait until it has ended",
		.note = "As SIGTERM does: what is in hand is answered and stored.",
		.example = "  twinhub stop " DATA,
	}, {
		.name = "device create", .operands = "ID", .least = 1, .most = 1, .run = cli_identity_create,
		.options = HUB | CREDENTIALS | OPT(EDGE) | OPT(DISABLED) | OPT(STATUS_REASON),
		.summary = "register a device",
		.note = "Without credentials the hub makes two keys. connectionString, of the first one, is what the device connects with.",
		.example = "  twinhub device create thermostat-1 " DATA "\n"
			"  twinhub device create pump-7 --thumbprint 2F1C...9A " DATA,
	}, {
		.name = "device show", .operands = "ID", .least = 1, .most = 1, .run = cli_identity_show,
		.options = HUB,
		.summary = "a device's identity with its keys",
		.example = "  twinhub device show thermostat-1 " DATA,
	}, {
		.name = "device list", .operands = "", .run = cli_device_list,
		.options = ROWS | OPT(PAGE_SIZE) | OPT(LIST_WHERE) | OPT(TOP) | OPT(ORDER),
		.summary = "all devices, or those of a condition",
		.example = "  twinhub device list " DATA "\n"
			"  twinhub device list --where \"tags.floor = 3\" --order \"lastActivityTime DESC\" --top 20 " DATA,
	}, {
		.name = "device update", .operands = "ID", .least = 1, .most = 1, .run = cli_identity_update,
		.options = HUB | CREDENTIALS | OPT(STATUS) | OPT(STATUS_REASON) | OPT(ETAG),
		.summary = "change a device's status or credentials",
		.note = "What is not named stays. Other credentials than before replace the old ones.",
		.example = "  twinhub device update thermostat-1 --status disabled --status-reason stolen " DATA,
	}, {
		.name = "device delete", .operands = "ID", .least = 1, .most = 1, .run = cli_identity_delete,
		.options = HUB | OPT(ETAG),
		.summary = "remove a device and its twin",
		.example = "  twinhub device delete thermostat-1 " DATA,
	}, {
		.name = "device renew-key", .operands = "ID", .least = 1, .most = 1, .run = cli_renew_key,
		.options = HUB | OPT(RENEWED_KEY),
		.summary = "give a device a new primary or secondary key, or both",
		.note = "What the old key has opened is closed. Shows the connection string with the primary key.",
		.example = "  twinhub device renew-key thermostat-1 --key secondary " DATA,
	}, {
		.name = "device children", .operands = "ID", .least = 1, .most = 1, .run = cli_device_children,
		.options = ROWS | OPT(PAGE_SIZE),
		.summary = "the devices behind an edge device",
		.example = "  twinhub device children gateway-1 " DATA,
	}, {
		.name = "device parent", .operands = "ID [PARENT]", .least = 1, .most = 2, .run = cli_device_parent,
		.options = HUB | OPT(NONE),
		.summary = "the edge device that a device is behind; show or set it",
		.example = "  twinhub device parent thermostat-1 gateway-1 " DATA "\n"
			"  twinhub device parent thermostat-1 --none " DATA,
	}, {
		.name = "device why", .operands = "ID", .least = 1, .most = 1, .run = cli_device_why,
		.options = HUB | OPT(MODULE),
		.summary = "why a device is not connected, or does not report what is desired",
		.note = "From what the running hub remembers; `connection show` has all of it.",
		.example = "  twinhub device why thermostat-1 " DATA,
	}, {
		.name = "connection list", .operands = "", .least = 0, .most = 0, .run = cli_connection_list,
		.options = ROWS | OPT(CONNECTION_ORDER) | OPT(CONNECTION_STATE) | OPT(REASON) | OPT(ADDRESS) | OPT(TOP),
		.summary = "connections of devices and modules: who is there, who left last and why",
		.note = "What the running hub remembers since its start, of modules, too.",
		.example = "  twinhub connection list --order connects --top 20 " DATA "\n"
			"  twinhub connection list --state disconnected --reason keep-alive " DATA,
	}, {
		.name = "connection show", .operands = "DEVICE", .least = 1, .most = 1, .run = cli_connection_show,
		.options = HUB | OPT(MODULE),
		.summary = "a device's connection, how the last one ended, what was refused last",
		.example = "  twinhub connection show thermostat-1 " DATA,
	}, {
		.name = "connection kick", .operands = "DEVICE", .least = 1, .most = 1, .run = cli_connection_kick,
		.options = OPTS_HUB | OPT(MODULE),
		.summary = "end a device's connection",
		.note = "It may come again at once, as most do. To keep it out: `device update ID --status disabled`.",
		.example = "  twinhub connection kick thermostat-1 " DATA,
	}, {
		.name = "module create", .operands = "DEVICE ID", .least = 2, .most = 2, .run = cli_identity_create,
		.options = HUB | CREDENTIALS,
		.summary = "register a module of a device",
		.note = "Without credentials the hub makes two keys. connectionString, of the first one, is what the module connects with.",
		.example = "  twinhub module create thermostat-1 updater " DATA "\n"
			"  twinhub connection-string --device thermostat-1 --module updater " DATA,
	}, {
		.name = "module show", .operands = "DEVICE ID", .least = 2, .most = 2, .run = cli_identity_show,
		.options = HUB,
		.summary = "a module's identity with its keys",
		.example = "  twinhub module show thermostat-1 updater " DATA,
	}, {
		.name = "module list", .operands = "DEVICE", .least = 1, .most = 1, .run = cli_module_list,
		.options = ROWS,
		.summary = "the modules of a device",
		.example = "  twinhub module list thermostat-1 " DATA,
	}, {
		.name = "module update", .operands = "DEVICE ID", .least = 2, .most = 2, .run = cli_identity_update,
		.options = HUB | CREDENTIALS | OPT(ETAG),
		.summary = "change a module's credentials",
		.note = "What is not named stays. Other credentials than before replace the old ones.",
		.example = "  twinhub module update thermostat-1 updater --thumbprint 2F1C...9A " DATA,
	}, {
		.name = "module delete", .operands = "DEVICE ID", .least = 2, .most = 2, .run = cli_identity_delete,
		.options = HUB | OPT(ETAG),
		.summary = "remove a module and its twin",
		.example = "  twinhub module delete thermostat-1 updater " DATA,
	}, {
		.name = "module renew-key", .operands = "DEVICE ID", .least = 2, .most = 2, .run = cli_renew_key,
		.options = HUB | OPT(RENEWED_KEY),
		.summary = "give a module a new primary or secondary key, or both",
		.note = "What the old key has opened is closed. Shows the connection string with the primary key.",
		.example = "  twinhub module renew-key thermostat-1 updater --key both " DATA,
	}, {
		.name = "method invoke", .operands = "DEVICE NAME", .least = 2, .most = 2, .run = cli_method_invoke,
		.options = (HUB & ~OPT(TIMEOUT)) | OPT(METHOD_TIMEOUT) | OPT(MODULE) | OPT(PAYLOAD) | OPT(FILE) | OPT(CONNECT_TIMEOUT),
		.summary = "call a method of a connected device or module",
		.note = "Prints the device's status and payload; any status counts as an answer, and the exit code is 0.\n"
			"--timeout: for the device's answer; --connect-timeout: before that.\n"
			"--file: the payload, instead of --payload.",
		.example = "  twinhub method invoke thermostat-1 reboot --payload '{\"delay\":5}' --connect-timeout 60 " DATA "\n"
			"  twinhub method invoke thermostat-1 status --module updater " DATA,
	}, {
		.name = "message send", .operands = "DEVICE", .least = 1, .most = 1, .run = cli_message_send,
		.options = OPTS_HUB | OPT(TEXT) | OPT(FILE) | OPT(PROPERTIES) | OPT(MESSAGE_ID) | OPT(CORRELATION_ID) | OPT(CONTENT_TYPE) | OPT(ACK) | OPT(EXPIRES_IN),
		.summary = "put a message into a device's queue",
		.note = "It waits there until the device takes it, or its time is over; the hub has it on disk when the command ends.\n"
			"--file: the body, of any bytes, instead of --text; without either it is empty.\n"
			"--ack: positive tells when the device has it, negative when it will never have it, full both (message feedback).",
		.example = "  twinhub message send thermostat-1 --text 'turn on' --properties '{\"level\":\"7\"}' --ack full --message-id on-1 " DATA "\n"
			"  twinhub message send thermostat-1 --file firmware.json --content-type application/json --expires-in 86400 " DATA,
	}, {
		.name = "message purge", .operands = "DEVICE", .least = 1, .most = 1, .run = cli_message_purge,
		.options = HUB,
		.summary = "empty a device's queue of messages",
		.note = "What the device has at the moment, and has not acknowledged, stays.",
		.example = "  twinhub message purge thermostat-1 " DATA,
	}, {
		.name = "message feedback", .operands = "", .run = cli_message_feedback,
		.options = HUB | OPT(KEEP),
		.summary = "what has become of messages that were sent with --ack",
		.note = "Shows what there is and takes it out: who asks next does not see it.\n"
			"--keep: nothing is taken out; what was shown is hidden from others for a minute.",
		.example = "  twinhub message feedback " DATA,
	}, {
		.name = "twin show", .operands = "ID", .least = 1, .most = 1, .run = cli_twin_show,
		.options = HUB | OPT(MODULE) | OPT(AT) | OPT(AT_VERSION),
		.summary = "a device's or module's twin",
		.note = "On a terminal without $metadata; --json shows all. --at and --at-version: as it was, within what the log keeps "
			"(serve --changes-max-age).",
		.example = "  twinhub twin show thermostat-1 " DATA "\n"
			"  twinhub twin show thermostat-1 --module updater " DATA,
	}, {
		.name = "twin watch", .operands = "ID", .least = 1, .most = 1, .run = cli_twin_watch,
		.options = HUB | OPT(MODULE),
		.summary = "a twin, then each change of it as it happens",
		.note = "A line each, without $metadata on a terminal, until Ctrl-C. A connection that ends is made again, with the twin as it is "
			"then.",
		.example = "  twinhub twin watch thermostat-1 " DATA,
	}, {
		.name = "twin log", .operands = "ID", .least = 1, .most = 1, .run = cli_twin_log,
		.options = HUB | OPT(MODULE),
		.summary = "what has happened to a twin, the newest first",
		.note = "A line each: when, with which version, what, by whom, the change. JSON has what was before, too.",
		.example = "  twinhub twin log thermostat-1 " DATA "\n"
			"  twinhub twin log thermostat-1 --json " DATA " | head -1",
	}, {
		.name = "twin diff", .operands = "ID", .least = 1, .most = 1, .run = cli_twin_diff,
		.options = OPTS_HUB | OPT(MODULE) | OPT(AT) | OPT(AT_VERSION),
		.summary = "in what a twin differs from what it was",
		.example = "  twinhub twin diff thermostat-1 --at 2026-11-29T10:00:00Z " DATA,
	}, {
		.name = "twin restore", .operands = "[ID]", .least = 0, .most = 1, .run = cli_twin_restore,
		.options = HUB | OPT(MODULE) | OPT(AT) | OPT(AT_VERSION) | OPT(DRY_RUN) | OPT(CONDITION),
		.summary = "make tags and desired properties what they were",
		.note = "Each change that it makes is a line. What the device has reported stays. Refused if the twin changes meanwhile.\n"
			"--condition: of all devices that match now, by a job of type restore, which is shown; job show and job results tell what becomes of it. "
			"With --dry-run: how many match, and for ten what would come back.",
		.example = "  twinhub twin restore thermostat-1 --at 2026-11-29T10:00:00Z --dry-run " DATA "\n"
			"  twinhub twin restore --condition \"tags.floor = 3\" --at 2026-11-29T10:00:00Z " DATA,
	}, {
		.name = "twin convergence", .operands = "ID", .least = 1, .most = 1, .run = cli_twin_convergence,
		.options = HUB | OPT(MODULE),
		.summary = "which desired properties are not reported yet",
		.note = "Of all devices: twinhub query \"SELECT deviceId FROM devices WHERE NOT IS_CONVERGED()\".",
		.example = "  twinhub twin convergence thermostat-1 " DATA,
	}, {
		.name = "twin update", .operands = "ID [JSON]", .least = 1, .most = 2, .run = cli_twin_update,
		.options = HUB | DOCUMENT,
		.summary = "merge changes into tags and desired properties",
		.note = "null removes a member. JSON is a twin document, as is --file: "
			"{\"tags\":{...},\"properties\":{\"desired\":{...}}}",
		.example = "  twinhub twin update thermostat-1 --desired '{\"interval\":\"5m\"}' " DATA "\n"
			"  twinhub twin update thermostat-1 '{\"tags\":{\"floor\":3}}' " DATA,
	}, {
		.name = "twin replace", .operands = "ID [JSON]", .least = 1, .most = 2, .run = cli_twin_replace,
		.options = HUB | DOCUMENT,
		.summary = "replace tags and desired properties as a whole",
		.example = "  twinhub twin replace thermostat-1 --file twin.json --etag AAAAAAAAAAE= " DATA,
	}, {
		.name = "configuration create", .operands = "ID", .least = 1, .most = 1, .run = cli_configuration_create,
		.options = HUB | CONFIGURATION | OPT(DRY_RUN),
		.summary = "write desired properties to all devices of a condition, now and later",
		.note = "--file: the configuration as in Azure's REST API, {\"content\": {\"deviceContent\": "
			"{\"properties.desired.PATH\": VALUE}}, \"targetCondition\": ..., \"priority\": ..., \"labels\": {...}, "
			"\"metrics\": {\"queries\": {NAME: QUERY}}}; the id may be left out. What is given as an option is taken "
			"instead of the file's. Without a condition no device has it.\n"
			"--dry-run: how many twins would change, the first 1,000 of them, and what ten would be like.",
		.example = "  twinhub configuration create winter --file winter.json --dry-run " DATA "\n"
			"  twinhub configuration create winter --file winter.json " DATA "\n"
			"  twinhub configuration create canary --file winter.json --condition \"tags.ring = 'canary'\" --priority 9 " DATA,
	}, {
		.name = "configuration show", .operands = "ID", .least = 1, .most = 1, .run = cli_configuration_show,
		.options = HUB | OPT(WATCH) | OPT(UNTIL_APPLIED),
		.summary = "a configuration, and how many devices have it",
		.note = "On a terminal with bars: applied, and each metric of its own, as shares of what is targeted; the waves of its "
			"rollout, and what has happened to it.\n"
			"--watch: drawn again until Ctrl-C; when piped, one JSON line after the other.\n"
			"--until-applied: until applied is targeted, exit code 0; every second unless --watch says otherwise.\n"
			"Ctrl-C before that, or a rollout that is halted or rolled back: exit code 1. One whose properties all belong "
			"to others of a higher priority is targeted and never applied.",
		.example = "  twinhub configuration show winter --watch 2 " DATA "\n"
			"  twinhub configuration show winter --until-applied --json " DATA " > /dev/null && echo done",
	}, {
		.name = "configuration list", .operands = "", .run = cli_configuration_list,
		.options = ROWS,
		.summary = "all configurations",
		.note = "JSON is whole; a table and CSV have the columns that fit on a line.",
		.example = "  twinhub configuration list " DATA,
	}, {
		.name = "configuration why", .operands = "ID [DEVICE]", .least = 1, .most = 2, .run = cli_configuration_why,
		.options = ROWS | OPT(STATE) | OPT(MODULE),
		.summary = "where a configuration is not applied, and what stands in the way",
		.note = "Without a device: all that are targeted and do not have it, or are in another --state. What stands in the way: "
			"a path of another configuration of higher priority, a limit and by how much it would be passed, a module that "
			"cannot be made, the waves of a rollout, or that it is not this twin's turn yet. JSON has it in members.",
		.example = "  twinhub configuration why winter " DATA "\n"
			"  twinhub configuration why winter thermostat-1 " DATA "\n"
			"  twinhub configuration why winter --state applied --csv " DATA " > applied.csv",
	}, {
		.name = "configuration update", .operands = "ID", .least = 1, .most = 1, .run = cli_configuration_update,
		.options = HUB | CONFIGURATION | OPT(ETAG) | OPT(DRY_RUN),
		.summary = "change a configuration's condition, priority, labels or metrics",
		.note = "Options change what they name, and only what nobody else has changed meanwhile. --file replaces all of it, "
			"except the content, which never changes: make another configuration for another content.",
		.example = "  twinhub configuration update winter --condition \"tags.ring IN ['canary', 'early']\" " DATA "\n"
			"  twinhub configuration update winter --file winter.json --etag MQ== " DATA,
	}, {
		.name = "configuration delete", .operands = "ID", .least = 1, .most = 1, .run = cli_configuration_delete,
		.options = HUB | OPT(ETAG),
		.summary = "remove a configuration, and what it wrote from all twins",
		.note = "Properties go to the configuration that is next by priority, if there is one.",
		.example = "  twinhub configuration delete winter " DATA,
	}, {
		.name = "configuration halt", .operands = "ID", .least = 1, .most = 1, .run = cli_rollout_halt,
		.options = HUB,
		.summary = "halt a configuration's rollout: who has it keeps it, nobody gets it",
		.example = "  twinhub configuration halt firmware-2 " DATA,
	}, {
		.name = "configuration resume", .operands = "ID", .least = 1, .most = 1, .run = cli_rollout_resume,
		.options = HUB,
		.summary = "let a rollout that is halted go on",
		.note = "The failures that there are now are accepted; it halts again when there are more.",
		.example = "  twinhub configuration resume firmware-2 " DATA,
	}, {
		.name = "configuration advance", .operands = "ID", .least = 1, .most = 1, .run = cli_rollout_advance,
		.options = HUB,
		.summary = "end a rollout's wave, whatever its devices say: the next one begins",
		.example = "  twinhub configuration advance firmware-2 " DATA,
	}, {
		.name = "configuration rollback", .operands = "ID", .least = 1, .most = 1, .run = cli_rollout_rollback,
		.options = HUB,
		.summary = "take a rollout's configuration from all devices, and put back what was there before",
		.example = "  twinhub configuration rollback firmware-2 " DATA,
	}, {
		.name = "settings show", .operands = "", .run = cli_settings_show,
		.options = HUB,
		.summary = "what is set for the whole hub: what is logged, how long it stays, messages to devices",
		.example = "  twinhub settings show " DATA,
	}, {
		.name = "settings set", .operands = "NAME VALUE", .least = 2, .most = 2, .run = cli_settings_set,
		.options = HUB | OPT(ETAG),
		.summary = "change one of them; it is in force at once",
		.note = "NAME as `settings show --json` has it: log.methods, retention.changesMaxAge. VALUE: yes or no, a number, also as 2G, or default.",
		.example = "  twinhub settings set log.methods yes " DATA "\n"
			"  twinhub settings set retention.logMaxSize 2G " DATA,
	}, {
		.name = "sink create", .operands = "ID", .least = 1, .most = 1, .run = cli_sink_create,
		.options = HUB | OPT(FILE),
		.summary = "a place that the hub brings events to: a webhook, a file, or a topic of Kafka",
		.note = "--file: {\"kind\": \"webhook\", \"url\": \"https://...\", \"secret\": \"whsec_...\"} or {\"kind\": \"file\", \"path\": \"a/b.ndjson\"}; "
			"all members are in the manual. Routes say what goes there.",
		.example = "  twinhub sink create alerts --file alerts.json " DATA,
	}, {
		.name = "sink show", .operands = "ID", .least = 1, .most = 1, .run = cli_sink_show,
		.options = HUB,
		.summary = "a sink, and how it goes: what was delivered, what is left, the last error",
		.example = "  twinhub sink show alerts " DATA,
	}, {
		.name = "sink list", .operands = "", .run = cli_sink_list,
		.options = ROWS,
		.summary = "all sinks",
		.example = "  twinhub sink list " DATA,
	}, {
		.name = "sink update", .operands = "ID", .least = 1, .most = 1, .run = cli_sink_update,
		.options = HUB | OPT(FILE) | OPT(ETAG),
		.summary = "replace a sink's definition; it goes on where it is",
		.note = "All of it is replaced, but secrets that the file leaves out or has as \"***\". One that has stopped begins again.",
		.example = "  twinhub sink update alerts --file alerts.json " DATA,
	}, {
		.name = "sink delete", .operands = "ID", .least = 1, .most = 1, .run = cli_sink_delete,
		.options = HUB | OPT(ETAG),
		.summary = "remove a sink, to which no route leads any more",
		.example = "  twinhub sink delete alerts " DATA,
	}, {
		.name = "route create", .operands = "ID", .least = 1, .most = 1, .run = cli_route_create,
		.options = HUB | OPT(FILE),
		.summary = "which events go to a sink",
		.note = "--file: {\"source\": \"DeviceMessages\", \"condition\": \"level = 'hot'\", \"endpointNames\": [\"alerts\"]}; without a condition all of "
			"that source.",
		.example = "  twinhub route create hot --file hot.json " DATA,
	}, {
		.name = "route show", .operands = "ID", .least = 1, .most = 1, .run = cli_route_show,
		.options = HUB,
		.summary = "a route",
		.example = "  twinhub route show hot " DATA,
	}, {
		.name = "route list", .operands = "", .run = cli_route_list,
		.options = ROWS,
		.summary = "all routes, the fallback route too",
		.example = "  twinhub route list " DATA,
	}, {
		.name = "route update", .operands = "ID", .least = 1, .most = 1, .run = cli_route_update,
		.options = HUB | OPT(FILE) | OPT(ETAG),
		.summary = "replace a route",
		.note = "Of the route $fallback only isEnabled can be changed.",
		.example = "  twinhub route update hot --file hot.json " DATA,
	}, {
		.name = "route delete", .operands = "ID", .least = 1, .most = 1, .run = cli_route_delete,
		.options = HUB | OPT(ETAG),
		.summary = "remove a route",
		.example = "  twinhub route delete hot " DATA,
	}, {
		.name = "route test", .operands = "ID", .least = 1, .most = 1, .run = cli_route_test,
		.options = HUB | OPT(FILE),
		.summary = "what a route says of a sample, and where its condition is wrong",
		.note = "--file: {\"message\": {\"body\": ..., \"appProperties\": {...}, \"systemProperties\": {...}}, \"twin\": {...}}, and perhaps \"route\" "
			"in the place of the stored one.",
		.example = "  twinhub route test hot --file sample.json " DATA,
	}, {
		.name = "job create", .operands = "TYPE ID", .least = 2, .most = 2, .run = cli_job_create,
		.options = HUB | JOB | OPT(DRY_RUN) | OPT(TEXT) | OPT(PROPERTIES) | OPT(MESSAGE_ID) | OPT(CORRELATION_ID) | OPT(CONTENT_TYPE) | OPT(ACK) | OPT(EXPIRES_IN) | OPT(AT),
		.summary = "change many twins, call a method of many devices, send them a message, or restore twins: TYPE is twin-update, method, message or restore",
		.note = "A job is on the devices that match when it starts; --condition is what stands behind WHERE, * for all devices, "
			"or FROM devices.modules WHERE ... for modules. A job's id cannot be used again for 30 days after its end.\n"
			"twin-update: --patch, --file, or --tags and --desired, merged into each twin, whether the device is connected "
			"or not.\n"
			"method: --method with --payload or --file; a device that is not connected fails after --connect-timeout.\n"
			"message: --text or --file (of any bytes), --properties and the rest as for message send; it waits in each device's queue.\n"
			"restore: makes tags and desired properties what they were --at a time; what devices have reported stays.\n"
			"--dry-run: how many devices match now, the first 1,000 of them, and for ten what their twins would be like.",
		.example = "  twinhub job create twin-update winter-1 --condition \"tags.floor = 3\" --desired '{\"mode\":\"winter\"}' " DATA "\n"
			"  twinhub job create method reboot-1 --condition '*' --method reboot --payload '{\"delay\":5}' --start +3600 --rate 50 " DATA "\n"
			"  twinhub job create message notice-1 --condition \"tags.floor = 3\" --text 'closed on Friday' --ack full " DATA "\n"
			"  twinhub job create restore undo-1 --condition \"tags.floor = 3\" --at 2026-11-29T10:00:00Z --rate 100 " DATA,
	}, {
		.name = "job show", .operands = "ID", .least = 1, .most = 1, .run = cli_job_show,
		.options = HUB | OPT(WATCH),
		.summary = "a job, and how far it is",
		.note = "--watch: until the job has ended; then the exit code is 0 if it was completed and failed on no device, else "
			"1.\n"
			"Ctrl-C before that: 1.",
		.example = "  twinhub job show reboot-1 --watch 2 " DATA,
	}, {
		.name = "job list", .operands = "", .run = cli_job_list,
		.options = ROWS | OPT(TYPE) | OPT(JOB_STATUS) | OPT(PAGE_SIZE),
		.summary = "all jobs, or those of a type or status",
		.note = "JSON is whole; a table and CSV have the columns that fit on a line.",
		.example = "  twinhub job list --type method --status running " DATA,
	}, {
		.name = "job cancel", .operands = "ID", .least = 1, .most = 1, .run = cli_job_cancel,
		.options = HUB,
		.summary = "let no more devices have their turn",
		.note = "What has been done stays done.",
		.example = "  twinhub job cancel reboot-1 " DATA,
	}, {
		.name = "job results", .operands = "ID", .least = 1, .most = 1, .run = cli_job_results,
		.options = ROWS | OPT(RESULT_STATUS) | OPT(PAGE_SIZE),
		.summary = "what has come of each device of a job",
		.example = "  twinhub job results reboot-1 --status failed " DATA "\n"
			"  twinhub job results reboot-1 --csv " DATA " > reboot-1.csv",
	}, {
		.name = "query", .operands = "TEXT", .least = 1, .most = 1, .run = cli_query,
		.options = ROWS | OPT(WATCH) | OPT(PAGE_SIZE) | OPT(EXPLAIN) | OPT(AT) | OPT(LIVE),
		.summary = "what a query finds, all pages",
		.note = "--csv: the heading has the members of all rows in the order in which they are first seen; null and missing are "
			"empty, an empty string is \"\", objects and arrays are JSON text. When there are several pages nothing is "
			"printed before the last: they wait in a file in TMPDIR.\n"
			"--at: of the fleet as it was then, as AS OF at the end of the query asks for it.\n"
			"--live: a line for each row, then for each that enters, changes or leaves, as it is written: what can be watched is "
			"SELECT of paths or * FROM devices or devices.modules, with a WHERE. JSON: one event a line.\n"
			"--watch: a terminal is cleared for each answer; when piped, one answer follows the other.\n"
			"--explain: which columns stood for the documents, how many rows were judged by columns, asked by document and "
			"shown to columns, and the time of each step, all workers together.",
		.example = "  twinhub query \"SELECT deviceId FROM devices WHERE tags.floor = 3\" " DATA "\n"
			"  twinhub query \"SELECT deviceId, properties.reported.temperature FROM devices WHERE tags.floor = 3\" --live " DATA "\n"
			"  twinhub query \"SELECT status, COUNT() AS n FROM devices GROUP BY status\" --watch 5 " DATA,
	}, {
		.name = "monitor", .operands = "", .run = cli_monitor,
		.options = HUB | OPT(DEVICE) | OPT(MODULE) | OPT(SOURCE) | OPT(PATH) | OPT(WHERE) | OPT(SINCE) | OPT(NO_FOLLOW),
		.summary = "events as they happen: telemetry, changes of twins, devices made, deleted, connected, jobs, administration",
		.note = "A line each on a terminal: when, whose, what, by whom, and the change or the message. --json, or piped: CloudEvents, one a "
			"line.\n"
			"Until Ctrl-C. A connection that ends is made again, from where it was.\n"
			"Sources: DeviceMessages, TwinChangeEvents, DeviceLifecycleEvents, DeviceConnectionStateEvents,\n"
			"DeviceJobLifecycleEvents, MethodEvents (off unless set), AdministrationEvents.",
		.example = "  twinhub monitor " DATA "\n"
			"  twinhub monitor --device pump-1 --from earliest " DATA "\n"
			"  twinhub monitor --source TwinChangeEvents --path properties.reported --json " DATA "\n"
			"  twinhub monitor --where \"level = 'alarm' AND $body.temperature > 80\" " DATA,
	}, {
		.name = "statistics", .operands = "[paths|queries]", .most = 1, .run = cli_statistics,
		.options = HUB | OPT(COLUMNS) | OPT(STORE) | OPT(EVENTS) | OPT(LIMITS) | OPT(MESSAGES) | OPT(BACKUPS) | OPT(PREFIX) | OPT(TOP),
		.summary = "how many devices there are, and how many are connected",
		.note = "Modules are not counted.\n"
			"statistics paths: which paths the twins of the fleet have, how many twins have each, with values of which kinds. Looks at every twin.\n"
			"statistics queries: the hundred queries of the last hour that took longest, with what they cost.",
		.example = "  twinhub statistics " DATA "\n"
			"  twinhub statistics --columns " DATA "\n"
			"  twinhub statistics --store " DATA "\n"
			"  twinhub statistics --events " DATA "\n"
			"  twinhub statistics --limits " DATA "\n"
			"  twinhub statistics --messages " DATA "\n"
			"  twinhub statistics --backups " DATA "\n"
			"  twinhub statistics paths --prefix properties.reported --top 20 " DATA "\n"
			"  twinhub statistics queries --table " DATA,
	}, {
		.name = "top", .operands = "", .run = cli_top,
		.options = HUB | OPT(WATCH) | OPT(ONCE),
		.summary = "what a hub does, live: rates, latencies, connections, queues, sinks, disk",
		.note = "Drawn anew every two seconds, or as --watch says; q or Ctrl-C ends it. Rates and percentiles are of the last 2 to 12 seconds.\n"
			"--json, or piped: all figures of each look as JSON in a line. --once: one look. Wants the right ServiceConnect.",
		.example = "  twinhub top " DATA "\n"
			"  twinhub top --once --json " DATA,
	}, {
		.name = "policy show", .operands = "[NAME]", .most = 1, .run = cli_policy_show,
		.options = ROWS | OPT(KEYS),
		.summary = "shared access policies and their rights",
		.note = "Without their keys, unless --keys.",
		.example = "  twinhub policy show " DATA "\n"
			"  twinhub policy show service --keys " DATA,
	}, {
		.name = "policy create", .operands = "NAME", .least = 1, .most = 1, .run = cli_policy_create,
		.options = HUB | OPT(RIGHTS) | OPT(KEYS),
		.summary = "make a shared access policy with two keys",
		.example = "  twinhub policy create dashboards --rights RegistryRead,ServiceConnect " DATA "\n"
			"  twinhub connection-string --policy dashboards " DATA,
	}, {
		.name = "policy delete", .operands = "NAME", .least = 1, .most = 1, .run = cli_policy_delete,
		.options = HUB,
		.summary = "remove a shared access policy, and end what its keys have opened",
		.note = "iothubowner stays: commands on the hub's machine sign in with it.",
		.example = "  twinhub policy delete dashboards " DATA,
	}, {
		.name = "policy rotate", .operands = "NAME", .least = 1, .most = 1, .run = cli_policy_rotate,
		.options = HUB | OPT(ROTATED_KEY),
		.summary = "give a policy a new primary or secondary key",
		.note = "Tokens that the old key has signed are refused at once.",
		.example = "  twinhub policy rotate service --key secondary " DATA,
	}, {
		.name = "policy reset", .operands = "", .run = cli_policy_reset,
		.options = OPT(DATA) | OPTS_OUTPUT,
		.summary = "make the five policies anew, with new keys, of a stopped hub",
		.note = "For a hub whose policies.json is lost: the keys of all back ends change.",
		.example = "  twinhub policy reset " DATA,
	}, {
		.name = "connection-string", .operands = "", .run = cli_connection_string,
		.options = SIGN_IN,
		.summary = "what a back end or a device connects with",
		.note = "Of a hub elsewhere by --connection-string of a policy that may read keys (RegistryRead for devices, iothubowner for "
			"policies), with --ca for a hub of its own CA.",
		.example = "  twinhub connection-string --policy service " DATA "\n"
			"  twinhub connection-string --device thermostat-1 --module updater " DATA,
	}, {
		.name = "sas", .operands = "", .run = cli_sas,
		.options = SIGN_IN | OPT(TTL) | OPT(RESOURCE),
		.summary = "make a shared access signature",
		.note = "The key comes from --data, or from a hub elsewhere by --connection-string, as for connection-string.",
		.example = "  twinhub sas --policy service --ttl 600 " DATA,
	}, {
		.name = "backup", .operands = "DIR", .least = 1, .most = 1, .run = cli_backup,
		.options = (HUB & ~OPT(TIMEOUT)) | OPT(BACKUP_TIMEOUT),
		.summary = "copy a running hub into a new directory on its machine",
		.note = "With a manifest of checksums, which restore and check verify. On the hub's own file system big files are shared by hard links: copy "
			"the backup elsewhere to be safe from a broken disk. It holds keys: guard it like the hub. For backups of its own accord: "
			"serve --backup-dir.",
		.example = "  twinhub backup /var/backups/twinhub-monday " DATA,
	}, {
		.name = "export", .operands = "FILE", .least = 1, .most = 1, .run = cli_export,
		.options = HUB | OPT(RESUME) | OPT(NO_KEYS),
		.summary = "write all identities and twins to a file, as lines of JSON",
		.note = "FILE must not exist, or be - for stdout. It holds keys, unless --no-keys: guard it like the hub.\n"
			"--resume: go on behind the last whole line of FILE.",
		.example = "  twinhub export fleet.ndjson " DATA "\n"
			"  twinhub export fleet.ndjson --resume " DATA,
	}, {
		.name = "import", .operands = "FILE", .least = 1, .most = 1, .run = cli_import,
		.options = HUB | OPT(RESUME) | OPT(MODE) | OPT(DRY_RUN) | OPT(YES),
		.summary = "make or change identities and twins by the lines of a file",
		.note = "What is new is as in the file, with its keys, etags, versions and times. FILE may be - for stdin.\n"
			"FILE may also be a state file of az iot hub state export, or CSV with a heading: deviceId, moduleId, status, "
			"primaryKey, ..., and paths as tags.site, desired.interval. --dry-run prints the lines that would be sent.\n"
			"--mode delete asks before it removes what the file names, or wants --yes.\n"
			"Lines that are refused are told in FILE.errors, and the exit code is 1.\n"
			"FILE.progress tells how far it has got; --resume goes on from there. --timeout is also how long a hub that "
			"does not answer is asked again.",
		.example = "  twinhub import fleet.ndjson " DATA "\n"
			"  twinhub import fleet.ndjson --resume " DATA,
	}, {
		.name = "migrate", .operands = "FILE", .least = 1, .most = 1, .run = cli_migrate,
		.options = OPT(FROM) | OPT(FROM_CA) | OPT(REQUEST_RATE) | OPT(RESUME) | OPT(NO_KEYS) | OPT(TIMEOUT) | OPTS_OUTPUT,
		.summary = "read another hub, Azure's too, into a file for import",
		.note = "By the service API alone: devices, modules, twins, configurations; keys if the policy may read them "
			"(RegistryRead). While the other hub is busy it is asked again. FILE must not exist; it holds keys, unless "
			"--no-keys. --resume: go on where FILE.progress says.",
		.example = "  twinhub migrate fleet.ndjson --from 'HostName=..;SharedAccessKeyName=..;SharedAccessKey=..'\n"
			"  twinhub import fleet.ndjson " DATA,
	}, {
		.name = "diff", .operands = "", .run = cli_diff,
		.options = HUB | OPT(FROM) | OPT(FROM_CA) | OPT(REQUEST_RATE) | OPT(NO_KEYS),
		.summary = "tell where another hub and this one differ",
		.note = "Identities, tags, desired and reported properties, their versions, configurations; not what is each hub's own: "
			"$metadata, etags, generations, times. The exit code is 1 if anything differs.",
		.example = "  twinhub diff --from 'HostName=..;SharedAccessKeyName=..;SharedAccessKey=..' " DATA,
	}, {
		.name = "restore", .operands = "BACKUP", .least = 1, .most = 1, .run = cli_restore,
		.options = OPT(DATA) | OPTS_OUTPUT,
		.summary = "make a data directory of a backup",
		.note = "The backup is held against its manifest first, and what has been copied once more; the directory must be missing or empty.",
		.example = "  twinhub restore /var/backups/twinhub-monday " DATA,
	}, {
		.name = "cluster init", .operands = "", .run = cli_cluster_init,
		.options = OPT(DB) | OPT(FROM_DATA) | OPT(NO_CA) | OPTS_OUTPUT,
		.summary = "make a hub in an empty database of PostgreSQL, for serve --cluster",
		.note = "With an id, policies with fresh keys and a CA; of --from with all that the directory has, which must not be served meanwhile, nor afterwards: "
			"it gets a mark that says so. All of it is one transaction: what is cut short is not there, and can be done again.",
		.example = "  twinhub cluster init --db postgresql://twinhub@db1.example/hub\n"
			"  twinhub cluster init --db postgresql://twinhub@db1.example/hub --from /var/lib/twinhub",
	}, {
		.name = "cluster export", .operands = "", .run = cli_cluster_export,
		.options = OPT(DB) | OPT(TO_DATA) | OPTS_OUTPUT,
		.summary = "make a data directory of a database, for serve without --cluster",
		.note = "As it was at one moment; no node serves the database meanwhile. The database stays as it is: serve only one of the two.",
		.example = "  twinhub cluster export --db postgresql://twinhub@db1.example/hub --to /var/lib/twinhub",
	}, {
		.name = "cluster status", .operands = "", .run = cli_cluster_status,
		.options = OPT(DB) | OPTS_OUTPUT,
		.summary = "what a hub's database says of it: nodes, who beats, whose the shards are",
		.note = "Asked of the database, so no node has to run. Settings of the server that cost what is acknowledged, or time, are told, too.",
		.example = "  twinhub cluster status --db postgresql://twinhub@db1.example/hub",
	}, {
		.name = "cluster drain", .operands = "NODE", .least = 1, .most = 1, .run = cli_cluster_drain,
		.options = OPT(DB) | OPT(UNDO) | OPTS_OUTPUT,
		.summary = "let a node give its shards to the others, before it is stopped",
		.example = "  twinhub cluster drain b --db postgresql://twinhub@db1.example/hub",
	}, {
		.name = "cluster revoke", .operands = "NODE", .least = 1, .most = 1, .run = cli_cluster_revoke,
		.options = OPT(DB) | OPTS_OUTPUT,
		.summary = "shut a node out, for ever",
		.note = "It ends with its next beat, and none of its name begins. The command ends when it can answer nothing any more, after 6 seconds. "
			"Its role in the database is yours to close.",
		.example = "  twinhub cluster revoke b --db postgresql://twinhub@db1.example/hub",
	}, {
		.name = "cluster remove", .operands = "NODE", .least = 1, .most = 1, .run = cli_cluster_remove,
		.options = OPT(DB) | OPTS_OUTPUT,
		.summary = "forget a node that is dead or revoked",
		.note = "One that nobody has found dead is waited for, 6 seconds; one that lives is refused.",
		.example = "  twinhub cluster remove b --db postgresql://twinhub@db1.example/hub",
	}, {
		.name = "cluster finish-upgrade", .operands = "", .run = cli_cluster_finish_upgrade,
		.options = OPT(DB) | OPTS_OUTPUT,
		.summary = "let all nodes write what only this program's release reads",
		.note = "When each node that lives has it; former programs are refused from then on.",
		.example = "  twinhub cluster finish-upgrade --db postgresql://twinhub@db1.example/hub",
	}, {
		.name = "cluster accept-loss", .operands = "", .run = cli_cluster_accept_loss,
		.options = OPT(DB) | OPTS_OUTPUT,
		.summary = "go on with a database that has lost something, or was restored",
		.note = "After a restore, before a node begins: positions of the log and numbers go on above all that the lost part may have given.",
		.example = "  twinhub cluster accept-loss --db postgresql://twinhub@db1.example/hub",
	}, {
		.name = "check", .operands = "", .run = cli_check,
		.options = HUB | OPT(ONLINE),
		.summary = "verify each byte of a stopped hub's data, or of a backup, and change none",
		.note = "Every bad file is named, and what a start would drop, remove or make anew. When all files are good, each "
			"record is decoded. A backup is held against its manifest besides: --data is its directory.\n"
			"--online: the hub runs, and its latest backup is verified, on the hub's machine. The exit code is 4 when it has none, and 1 when "
			"the backup is good but the hub's backups fail, or are overdue.",
		.example = "  twinhub check " DATA "\n"
			"  twinhub check --online " DATA,
	}, {
		.name = "simulate", .operands = "", .run = cli_simulate,
		.options = HUB | OPT(DEVICES) | OPT(PATTERN) | OPT(SIM_RATE) | OPT(SIM_TLS) | OPT(TTL) | OPT(FOR) | OPT(SIM_PREFIX) | OPT(CLEANUP),
		.summary = "run many devices in one process, that behave like real ones",
		.note = "They are registered, or taken over with the keys that they have when their ids are there already; --connection-string of one device runs "
			"that one. Until Ctrl-C, or --for.\n"
			"sensor: telemetry, and a patch of reported properties with each tenth message. tutorial: follows desired.telemetryConfig "
			"(configId, sendFrequency) and reports Pending, then Success or Failed. flaky: a sensor that comes and goes.\n"
			"Who is thrown out is back after 1, 2, 4, ... up to 60 s, any part of it by chance. How it goes is a line on stderr; what has come of it is a line of JSON on "
			"stdout at the end.\n"
			"--cleanup removes what it has registered, in this run or one before, and nothing that was there.",
		.example = "  twinhub simulate --devices 100 " DATA "\n"
			"  twinhub simulate --devices 1000 --pattern tutorial --for 60 --cleanup " DATA,
	}, {
		.name = "ca renew", .operands = "", .run = cli_ca_renew,
		.options = OPT(DATA) | OPT(NEW_KEY) | OPTS_OUTPUT,
		.summary = "make the certificate of a stopped hub's CA anew",
		.note = "Clients' copies of the former one go on to be good if ca.key is there. If that is lost, or with --new-key (it "
			"is in other hands), all clients need the new ca.pem.",
		.example = "  twinhub ca renew " DATA,
	},
};
/* clang-format on */

int
main(int argc, char **argv)
{
	return cli_main(
	    commands, sizeof(commands) / sizeof(commands[0]), argc > 0 ? argc - 1 : 0, argv + 1);
}
