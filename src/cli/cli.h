/*
 * cli: the subcommands beside `serve`. Some speak HTTPS to a running hub, the others work on its data directory.
 *
 * A subcommand is a row of a table (main.c): its name, its arguments, the options it takes, the function that does it.
 * Parsing, --help and the reports of errors are the same for all. A command prints what was asked for on stdout, tables
 * on a terminal and JSON otherwise; errors are one line on stderr.
 */
#ifndef TWINHUB_CLI_H
#define TWINHUB_CLI_H

#include "base/base.h"
#include "option/option.h"

/* Exit codes, as `twinhub --help` tells them. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,      /* refused by the hub, or something else went wrong */
	EXIT_USAGE = 2,       /* the command line is wrong */
	EXIT_UNREACHABLE = 3, /* no hub answers there, or its certificate is not trusted */
	EXIT_NOT_FOUND =
	    4, /* no such device, module, configuration, job, sink, route, policy, directory or file */
	EXIT_DAMAGED = 5,  /* stored data is damaged, or of a newer format */
	EXIT_LOCKED = 6,   /* another process has the data directory open */
	EXIT_CONFLICT = 7, /* it exists already, or has another etag by now */
	EXIT_DEVICE = 8,   /* the device is not connected, or has not answered */
	EXIT_DENIED = 9    /* this user may not read the data directory */
};

/*
 * The options of all commands but serve, which has a table of its own (server/settings.c). What differs from command to command
 * under one name has a row for each. X(id, name, what it takes, what it is for); args.c makes the table of them.
 */
/* clang-format off */
#define OPTIONS(X) \
	X(DATA, "data", TAKES_DIR("DIR"), "the hub's data directory; or set TWINHUB_DATA") \
	X(CONNECTION, "connection-string", TAKES_TEXT("TEXT"), "how to reach the hub and sign in; or set TWINHUB_CONNECTION_STRING") \
	X(CA, "ca", TAKES_FILE("FILE"), "trust the hub's certificate by this CA, not the system's; or set TWINHUB_CA") \
	X(TIMEOUT, "timeout", TAKES_SECONDS(1, 3600, "60"), "how long to wait for an answer") \
	X(BACKUP_TIMEOUT, "timeout", TAKES_SECONDS(1, 86400, "3600"), "how long it may take") \
	X(ONLINE, "online", TAKES_NOTHING, "the latest backup of the hub that runs, instead of a stopped one's data") \
	X(DEVICES, "devices", TAKES_NUMBER(1, 100000, NULL), "how many; it must be said") \
	X(PATTERN, "pattern", TAKES_WORD("PATTERN", option_patterns, "sensor"), "what they do") \
	X(SIM_RATE, "rate", TAKES_NUMBER(1, 1000000, NULL), "messages a second of all together; without it one of each device in ten seconds") \
	X(SIM_TLS, "tls", TAKES_NOTHING, "MQTT over TLS, as it always is") \
	X(FOR, "for", TAKES_NUMBER(1, 31536000, NULL), "seconds to run, instead of until Ctrl-C") \
	X(SIM_PREFIX, "prefix", TAKES_TEXT_OR("TEXT", "sim-"), "what their ids begin with") \
	X(CLEANUP, "cleanup", TAKES_NOTHING, "remove at the end what it has registered") \
	X(METHOD_TIMEOUT, "timeout", TAKES_SECONDS(5, 300, "30"), "how long the device may take to answer") \
	X(JSON, "json", TAKES_NOTHING, "print JSON on a terminal, too") \
	X(TABLE, "table", TAKES_NOTHING, "print tables when piped, too") \
	X(CSV, "csv", TAKES_NOTHING, "print CSV (RFC 4180)") \
	X(OUTPUT, "output", TAKES_WORD("FORMAT", option_outputs, NULL), "the same in one word; also -o") \
	X(OUTPUT_ROWS, "output", TAKES_WORD("FORMAT", option_outputs_rows, NULL), "the same in one word, name: the first column alone; also -o") \
	X(LIST_WHERE, "where", TAKES_TEXT("CONDITION"), "only those, as behind WHERE of a query") \
	X(TOP, "top", TAKES_NUMBER(1, 1000000, NULL), "only the first so many") \
	X(ORDER, "order", TAKES_TEXT("PATH"), "ordered by this path; \"PATH DESC\": the largest first") \
	X(KEYS, "keys", TAKES_NOTHING, "with the keys") \
	X(RIGHTS, "rights", TAKES_TEXT("LIST"), "RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect; with commas between") \
	X(NONE, "none", TAKES_NOTHING, "from now on none") \
	X(RENEWED_KEY, "key", TAKES_WORD("WHICH", option_renewals, NULL), "which of the two keys; it must be said") \
	X(EXPLAIN, "explain", TAKES_NOTHING, "run the first page, and show what it cost instead of its rows") \
	X(COLUMNS, "columns", TAKES_NOTHING, "the columns that queries have made, and their memory") \
	X(PREFIX, "prefix", TAKES_TEXT("TEXT"), "only paths that begin with it, as properties.reported.fw") \
	X(STORE, "store", TAKES_NOTHING, "what the store has on disk, has written and has read again") \
	X(BACKUPS, "backups", TAKES_NOTHING, "how backups went, and those that are there") \
	X(WATCH, "watch", TAKES_SECONDS(1, 86400, NULL), "ask again so long after each answer, until Ctrl-C") \
	X(ONCE, "once", TAKES_NOTHING, "look once, and end") \
	X(LIVE, "live", TAKES_NOTHING, "then what becomes of it, as it happens, until Ctrl-C") \
	X(MODULE, "module", TAKES_TEXT("ID"), "this module of the device") \
	X(PAYLOAD, "payload", TAKES_TEXT("JSON"), "what the device gets; any JSON value, or null without it") \
	X(TEXT, "text", TAKES_TEXT("TEXT"), "the message's body") \
	X(PROPERTIES, "properties", TAKES_TEXT("JSON"), "an object of texts, for the device's application") \
	X(MESSAGE_ID, "message-id", TAKES_TEXT_OR("ID", "a new one"), "what feedback names it by") \
	X(CORRELATION_ID, "correlation-id", TAKES_TEXT("ID"), "what it is about") \
	X(CONTENT_TYPE, "content-type", TAKES_TEXT("TYPE"), "of the body: application/json") \
	X(ACK, "ack", TAKES_WORD("ACK", option_acks, "none"), "for which ends feedback is wanted") \
	X(EXPIRES_IN, "expires-in", TAKES_SECONDS(1, 172800, "3600"), "how long it waits for the device") \
	X(KEEP, "keep", TAKES_NOTHING, "leave it there for others") \
	X(EVENTS, "events", TAKES_NOTHING, "how far the event log reaches back, and what it takes on disk") \
	X(LIMITS, "limits", TAKES_NOTHING, "rates, shares and quotas in force, and what they have refused") \
	X(MESSAGES, "messages", TAKES_NOTHING, "messages to devices that wait, and that nobody got") \
	X(CONNECT_TIMEOUT, "connect-timeout", TAKES_SECONDS(0, 300, "0"), "how long to wait for the device to connect") \
	X(POLICY, "policy", TAKES_TEXT_OR("NAME", "iothubowner, or that of --connection-string"), "the shared access policy") \
	X(DEVICE, "device", TAKES_TEXT("ID"), "the device, instead of a policy") \
	X(KEY, "key", TAKES_WORD("WHICH", option_keys, "primary"), "which of the two keys") \
	X(ROTATED_KEY, "key", TAKES_WORD("WHICH", option_keys, NULL), "which of the two keys; it must be said") \
	X(HOSTNAME, "hostname", TAKES_TEXT_OR("NAME", "what it calls itself"), "the hub's name") \
	X(TTL, "ttl", TAKES_SECONDS(1, 3162240000, "3600"), "how long the token is good") \
	X(RESOURCE, "resource", TAKES_TEXT_OR("URI", "all that the key is for"), "what the token is for") \
	X(STATUS, "status", TAKES_WORD("STATUS", option_statuses, NULL), "whether the device may connect") \
	X(JOB_STATUS, "status", TAKES_WORD("STATUS", option_job_statuses, NULL), "only jobs of this status") \
	X(RESULT_STATUS, "status", TAKES_WORD("STATUS", option_result_statuses, NULL), "only devices of this status") \
	X(STATE, "state", TAKES_WORD("STATE", option_states, "notApplied"), "only twins in this state") \
	X(CONNECTION_STATE, "state", TAKES_WORD("STATE", option_connections, NULL), "only these") \
	X(CONNECTION_ORDER, "order", TAKES_WORD("ORDER", option_connection_orders, "id"), "connects: who has connected most often in the last hour first") \
	X(REASON, "reason", TAKES_TEXT("REASON"), "only those whose last end or refusal had this reason, as keep-alive") \
	X(ADDRESS, "address", TAKES_TEXT("IP"), "only those of this address") \
	X(STATUS_REASON, "status-reason", TAKES_TEXT("TEXT"), "why; at most 128 characters") \
	X(DISABLED, "disabled", TAKES_NOTHING, "the device may not connect yet") \
	X(EDGE, "edge", TAKES_NOTHING, "it is an IoT Edge device") \
	X(PRIMARY_KEY, "primary-key", TAKES_TEXT_OR("KEY", "the hub's choice"), "base64 of 16 to 64 bytes") \
	X(SECONDARY_KEY, "secondary-key", TAKES_TEXT_OR("KEY", "the hub's choice"), "the same for the second key") \
	X(THUMBPRINT, "thumbprint", TAKES_TEXT("HEX"), "sign in by the certificate with this SHA-1 or SHA-256") \
	X(SECONDARY_THUMBPRINT, "secondary-thumbprint", TAKES_TEXT("HEX"), "another certificate, to roll over") \
	X(X509_CA, "x509-ca", TAKES_NOTHING, "sign in by any certificate of a CA that the hub trusts") \
	X(ETAG, "etag", TAKES_TEXT("ETAG"), "only if it still has this etag") \
	X(TAGS, "tags", TAKES_TEXT("JSON"), "the tags") \
	X(DESIRED, "desired", TAKES_TEXT("JSON"), "the desired properties") \
	X(FILE, "file", TAKES_FILE("FILE"), "read the document from a file; - is stdin") \
	X(PAGE_SIZE, "page-size", TAKES_NUMBER(1, 1000000, "1000"), "rows fetched at a time") \
	X(CONDITION, "condition", TAKES_TEXT("TEXT"), "which devices: * for all, or as behind WHERE") \
	X(PRIORITY, "priority", TAKES_NUMBER(0, 2147483647, NULL), "the larger one wins a property that several write") \
	X(LABELS, "labels", TAKES_TEXT("JSON"), "an object of texts, for people") \
	X(PATCH, "patch", TAKES_TEXT("JSON"), "{\"tags\":{...},\"properties\":{\"desired\":{...}}}") \
	X(METHOD, "method", TAKES_TEXT("NAME"), "the method to call") \
	X(RESPONSE_TIMEOUT, "response-timeout", TAKES_SECONDS(5, 300, "30"), "how long a device may take to answer") \
	X(START, "start", TAKES_TEXT_OR("TIME", "now"), "when: 2030-12-31T23:59:59Z, or with an offset +01:00; or +SECONDS") \
	X(MAX_TIME, "max-time", TAKES_SECONDS(1, 2147483647, "3600"), "how long the job may take") \
	X(RATE, "rate", TAKES_NUMBER(1, 1000000, NULL), "at most so many devices a second") \
	X(REQUEST_RATE, "rate", TAKES_NUMBER(1, 10000, NULL), "at most so many requests a second to the other hub") \
	X(TYPE, "type", TAKES_WORD("TYPE", option_job_types, NULL), "only jobs of this type") \
	X(DRY_RUN, "dry-run", TAKES_NOTHING, "only tell what it would do, and do nothing") \
	X(UNTIL_APPLIED, "until-applied", TAKES_NOTHING, "end when all that are targeted have it") \
	X(RESUME, "resume", TAKES_NOTHING, "go on where a run that was cut short has got to") \
	X(NO_KEYS, "no-keys", TAKES_NOTHING, "leave the symmetric keys out") \
	X(NEW_KEY, "new-key", TAKES_NOTHING, "another key, though the one that is there is good") \
	X(FROM, "from", TAKES_TEXT("TEXT"), "the hub to read: a policy's connection string; or set TWINHUB_FROM_CONNECTION_STRING") \
	X(FROM_CA, "from-ca", TAKES_FILE("FILE"), "trust that hub's certificate by this CA") \
	X(YES, "yes", TAKES_NOTHING, "do not ask") \
	X(AT, "at", TAKES_TEXT("TIME"), "as it was then: 2026-11-29T10:00:00Z") \
	X(AT_VERSION, "at-version", TAKES_NUMBER(1, 9223372036854775807, NULL), "as it was with this version") \
	X(SOURCE, "source", TAKES_TEXT("LIST"), "only events of these, as DeviceMessages,TwinChangeEvents") \
	X(PATH, "path", TAKES_TEXT("PATH"), "only changes of it, as properties.reported.a") \
	X(WHERE, "where", TAKES_TEXT("CONDITION"), "only events that a routing condition is true of") \
	X(SINCE, "from", TAKES_TEXT_OR("WHERE", "now"), "now, earliest, a time, or a position") \
	X(NO_FOLLOW, "no-follow", TAKES_NOTHING, "end when all that is there has come") \
	X(DB, "db", TAKES_TEXT("URL"), "the hub's database, postgresql://USER:PASSWORD@HOST:PORT/DATABASE; or set TWINHUB_CLUSTER") \
	X(FROM_DATA, "from", TAKES_DIR("DIR"), "a data directory whose hub goes into the database") \
	X(TO_DATA, "to", TAKES_DIR("DIR"), "the data directory to make") \
	X(UNDO, "undo", TAKES_NOTHING, "it shall have shards again") \
	X(NO_CA, "no-ca", TAKES_NOTHING, "the database gets no CA: each node has --cert") \
	X(MODE, "mode", TAKES_WORD("MODE", option_modes, "createOrUpdate"), "of lines without importMode")

enum option {
#define X(id, name, takes, help) OPT_##id,
	OPTIONS(X)
#undef X
	OPTION_COUNT
};
/* clang-format on */
_Static_assert(OPTION_COUNT <= OPTION_ROWS_MAX, "a command's options are bits");
#define OPT(id) OPTION_BIT(OPT_##id)

/* Who speaks to a running hub takes these; where output can be JSON or table, the last two. */
#define OPTS_HUB    (OPT(DATA) | OPT(CONNECTION) | OPT(CA) | OPT(TIMEOUT))
#define OPTS_OUTPUT (OPT(JSON) | OPT(TABLE) | OPT(OUTPUT))

#define ARGS_MAX    2

struct args {
	const char *operand[ARGS_MAX];    /* NULL: not given */
	const char *option[OPTION_COUNT]; /* NULL: not given; "" for one without a value */
	uint64_t number[OPTION_COUNT];    /* of numbers and words: what was given, or the default */
};

struct command {
	const char *name;     /* one word, or two: "device create" */
	const char *operands; /* for the usage line */
	unsigned least, most; /* operands, at most ARGS_MAX */
	option_set options;   /* OPT bits */
	/* Exactly one of the two; both return an exit code. `raw` reads its own words, by a table of its own. */
	int (*run)(const struct args *a);
	int (*raw)(int argc, char **argv);
	const struct option_table *table;
	const char *summary; /* one line */
	const char *example; /* one command line or more */
	const char *note;    /* NULL, or what else --help shall say; a line is a paragraph */
};

/* Do what the command line says (argv[0] is the first word after the program's name); returns the exit code. */
int cli_main(const struct command *commands, size_t n, int argc, char **argv);

/* The options that a command takes. */
struct option_table command_options(const struct command *c);

/* Take the words of a command apart. False: one line in why. A NULL in argv ends nothing: argc counts. */
bool args_parse(
    const struct command *c, int argc, char **argv, struct args *out, char *why, size_t nwhy);

/* ---- what the rows name ---- */

int cli_identity_create(const struct args *a); /* of a module, when there is a second operand */
int cli_identity_show(const struct args *a);
int cli_identity_update(const struct args *a);
int cli_identity_delete(const struct args *a);
int cli_device_list(const struct args *a);
int cli_module_list(const struct args *a);
int cli_twin_show(const struct args *a);
int cli_twin_watch(const struct args *a);
int cli_twin_log(const struct args *a);
int cli_twin_diff(const struct args *a);
int cli_twin_restore(const struct args *a);
int cli_twin_convergence(const struct args *a);
int cli_twin_update(const struct args *a);
int cli_twin_replace(const struct args *a);
int cli_query(const struct args *a);
int cli_monitor(const struct args *a);
int cli_method_invoke(const struct args *a);
int cli_message_send(const struct args *a);
int cli_message_purge(const struct args *a);
int cli_message_feedback(const struct args *a);
int cli_statistics(const struct args *a);
int cli_top(const struct args *a);
int cli_configuration_create(const struct args *a);
int cli_configuration_show(const struct args *a);
int cli_configuration_list(const struct args *a);
int cli_configuration_why(const struct args *a);
int cli_configuration_update(const struct args *a);
int cli_configuration_delete(const struct args *a);
int cli_rollout_halt(const struct args *a);
int cli_rollout_resume(const struct args *a);
int cli_rollout_advance(const struct args *a);
int cli_rollout_rollback(const struct args *a);
int cli_settings_show(const struct args *a);
int cli_settings_set(const struct args *a);
int cli_sink_create(const struct args *a);
int cli_sink_update(const struct args *a);
int cli_sink_show(const struct args *a);
int cli_sink_list(const struct args *a);
int cli_sink_delete(const struct args *a);
int cli_route_create(const struct args *a);
int cli_route_update(const struct args *a);
int cli_route_show(const struct args *a);
int cli_route_list(const struct args *a);
int cli_route_delete(const struct args *a);
int cli_route_test(const struct args *a);
int cli_job_create(const struct args *a);
int cli_job_show(const struct args *a);
int cli_job_list(const struct args *a);
int cli_job_cancel(const struct args *a);
int cli_job_results(const struct args *a);
int cli_policy_show(const struct args *a);
int cli_policy_create(const struct args *a);
int cli_policy_delete(const struct args *a);
int cli_policy_rotate(const struct args *a);
int cli_export(const struct args *a);
int cli_import(const struct args *a);
int cli_migrate(const struct args *a);
int cli_diff(const struct args *a);
int cli_backup(const struct args *a);
int cli_connection_string(const struct args *a);
int cli_sas(const struct args *a);
int cli_restore(const struct args *a);
int cli_cluster_init(const struct args *a);
int cli_cluster_export(const struct args *a);
int cli_cluster_status(const struct args *a);
int cli_cluster_drain(const struct args *a);
int cli_cluster_revoke(const struct args *a);
int cli_cluster_remove(const struct args *a);
int cli_cluster_finish_upgrade(const struct args *a);
int cli_cluster_accept_loss(const struct args *a);
int cli_check(const struct args *a);

int cli_renew_key(const struct args *a);
int cli_device_children(const struct args *a);
int cli_device_why(const struct args *a);
int cli_connection_list(const struct args *a);
int cli_connection_show(const struct args *a);
int cli_connection_kick(const struct args *a);
int cli_device_parent(const struct args *a);

int cli_wait(const struct args *a);
int cli_stop(const struct args *a);
int cli_simulate(const struct args *a);

/* mend.c */
int cli_ca_renew(const struct args *a);
int cli_policy_reset(const struct args *a);

#endif
