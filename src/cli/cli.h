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

/* Exit codes, as `twinhub --help` tells them. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,      /* refused by the hub, or something else went wrong */
	EXIT_USAGE = 2,       /* the command line is wrong */
	EXIT_UNREACHABLE = 3, /* no hub answers there, or its certificate is not trusted */
	EXIT_NOT_FOUND =
	    4, /* no such device, module, configuration, job, policy, directory or file */
	EXIT_DAMAGED = 5,  /* stored data is damaged, or of a newer format */
	EXIT_LOCKED = 6,   /* another process has the data directory open */
	EXIT_CONFLICT = 7, /* it exists already, or has another etag by now */
	EXIT_DEVICE = 8    /* the device is not connected, or has not answered */
};

#define OPTIONS(X)                                                                                 \
	X(DATA, "data", "DIR", "the hub's data directory")                                         \
	X(CONNECTION, "connection-string", "TEXT",                                                 \
	    "how to reach the hub and sign in; or set TWINHUB_CONNECTION_STRING")                  \
	X(CA, "ca", "FILE", "trust the hub's certificate by this CA, not the system's")            \
	X(TIMEOUT, "timeout", "SECONDS",                                                           \
	    "how long to wait for an answer (default 60; a method's: 30)")                         \
	X(JSON, "json", NULL, "print JSON on a terminal, too")                                     \
	X(TABLE, "table", NULL, "print tables when piped, too")                                    \
	X(CSV, "csv", NULL, "print CSV (RFC 4180)")                                                \
	X(EXPLAIN, "explain", NULL,                                                                \
	    "run the first page, and show what it cost instead of its rows")                       \
	X(COLUMNS, "columns", NULL, "the columns that queries have made, and their memory")        \
	X(STORE, "store", NULL, "what the store has on disk, has written and has read again")      \
	X(WATCH, "watch", "SECONDS", "ask again so long after each answer, until Ctrl-C")          \
	X(MODULE, "module", "ID", "this module of the device")                                     \
	X(PAYLOAD, "payload", "JSON", "what the device gets; any JSON value (default null)")       \
	X(CONNECT_TIMEOUT, "connect-timeout", "SECONDS",                                           \
	    "how long to wait for the device to connect (default 0)")                              \
	X(POLICY, "policy", "NAME", "the shared access policy (default iothubowner)")              \
	X(DEVICE, "device", "ID", "the device, instead of a policy")                               \
	X(KEY, "key", "WHICH", "primary or secondary")                                             \
	X(HOSTNAME, "hostname", "NAME", "the hub's name (default: what it calls itself)")          \
	X(TTL, "ttl", "SECONDS", "how long the token is good (default 3600)")                      \
	X(RESOURCE, "resource", "URI", "what the token is for (default: all that the key is for)") \
	X(STATUS, "status", "STATUS",                                                              \
	    "a device's: enabled or disabled; a job's: queued, scheduled, running, completed, "    \
	    "...")                                                                                 \
	X(STATE, "state", "STATE",                                                                 \
	    "targeted, reached, applied, notReached or notApplied (default notApplied)")           \
	X(STATUS_REASON, "status-reason", "TEXT", "why; at most 128 characters")                   \
	X(DISABLED, "disabled", NULL, "the device may not connect yet")                            \
	X(EDGE, "edge", NULL, "it is an IoT Edge device")                                          \
	X(PRIMARY_KEY, "primary-key", "KEY",                                                       \
	    "base64 of 16 to 64 bytes (default: the hub's choice)")                                \
	X(SECONDARY_KEY, "secondary-key", "KEY", "the same for the second key")                    \
	X(THUMBPRINT, "thumbprint", "HEX",                                                         \
	    "sign in by the certificate with this SHA-1 or SHA-256")                               \
	X(SECONDARY_THUMBPRINT, "secondary-thumbprint", "HEX",                                     \
	    "another certificate, to roll over")                                                   \
	X(X509_CA, "x509-ca", NULL, "sign in by any certificate of a CA that the hub trusts")      \
	X(ETAG, "etag", "ETAG", "only if it still has this etag")                                  \
	X(TAGS, "tags", "JSON", "the tags")                                                        \
	X(DESIRED, "desired", "JSON", "the desired properties")                                    \
	X(FILE, "file", "FILE", "read the document from a file; - is stdin")                       \
	X(PAGE_SIZE, "page-size", "N", "rows fetched at a time (default 1000)")                    \
	X(CONDITION, "condition", "TEXT", "which devices: * for all, or as behind WHERE")          \
	X(PRIORITY, "priority", "N", "the larger one wins a property that several write")          \
	X(LABELS, "labels", "JSON", "an object of texts, for people")                              \
	X(PATCH, "patch", "JSON", "{\"tags\":{...},\"properties\":{\"desired\":{...}}}")           \
	X(METHOD, "method", "NAME", "the method to call")                                          \
	X(RESPONSE_TIMEOUT, "response-timeout", "SECONDS",                                         \
	    "how long a device may take to answer, 5 to 300 (default 30)")                         \
	X(START, "start", "TIME",                                                                  \
	    "when: 2030-12-31T23:59:59Z, or with an offset +01:00; or +SECONDS (default: now)")    \
	X(MAX_TIME, "max-time", "SECONDS", "how long the job may take (default 3600)")             \
	X(RATE, "rate", "N", "at most so many devices (of another hub: requests) a second")        \
	X(TYPE, "type", "TYPE", "twin-update or method")                                           \
	X(DRY_RUN, "dry-run", NULL, "only tell what it would do, and do nothing")                  \
	X(UNTIL_APPLIED, "until-applied", NULL, "end when all that are targeted have it")          \
	X(RESUME, "resume", NULL, "go on where a run that was cut short has got to")               \
	X(NO_KEYS, "no-keys", NULL, "leave the symmetric keys out")                                \
	X(NEW_KEY, "new-key", NULL, "another key, though the one that is there is good")           \
	X(FROM, "from", "TEXT",                                                                    \
	    "the hub to read: a policy's connection string; or set "                               \
	    "TWINHUB_FROM_CONNECTION_STRING")                                                      \
	X(FROM_CA, "from-ca", "FILE", "trust that hub's certificate by this CA")                   \
	X(MODE, "mode", "MODE", "of lines without importMode (default createOrUpdate)")

enum option {
#define X(id, name, value, help) OPT_##id,
	OPTIONS(X)
#undef X
	    OPTION_COUNT
};
_Static_assert(OPTION_COUNT <= 64, "a command's options are bits");
#define OPT(id) (UINT64_C(1) << OPT_##id)

/* Who speaks to a running hub takes these; where output can be JSON or table, the last two. */
#define OPTS_HUB    (OPT(DATA) | OPT(CONNECTION) | OPT(CA) | OPT(TIMEOUT))
#define OPTS_OUTPUT (OPT(JSON) | OPT(TABLE))

#define ARGS_MAX    2

struct args {
	const char *operand[ARGS_MAX];    /* NULL: not given */
	const char *option[OPTION_COUNT]; /* NULL: not given; "" for one without a value */
};

struct command {
	const char *name;     /* one word, or two: "device create" */
	const char *operands; /* for the usage line */
	unsigned least, most; /* operands, at most ARGS_MAX */
	uint64_t options;     /* OPT bits */
	/* Exactly one of the two; both return an exit code. `raw` parses its own arguments and --help. */
	int (*run)(const struct args *a);
	int (*raw)(int argc, char **argv);
	const char *summary; /* one line */
	const char *example; /* one command line or more */
	const char *note;    /* NULL, or what else --help shall say, in lines */
};

/* Do what the command line says (argv[0] is the first word after the program's name); returns the exit code. */
int cli_main(const struct command *commands, size_t n, int argc, char **argv);

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
int cli_twin_convergence(const struct args *a);
int cli_twin_update(const struct args *a);
int cli_twin_replace(const struct args *a);
int cli_query(const struct args *a);
int cli_method_invoke(const struct args *a);
int cli_statistics(const struct args *a);
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
int cli_job_create(const struct args *a);
int cli_job_show(const struct args *a);
int cli_job_list(const struct args *a);
int cli_job_cancel(const struct args *a);
int cli_job_results(const struct args *a);
int cli_policy_show(const struct args *a);
int cli_policy_rotate(const struct args *a);
int cli_export(const struct args *a);
int cli_import(const struct args *a);
int cli_migrate(const struct args *a);
int cli_diff(const struct args *a);
int cli_backup(const struct args *a);
int cli_connection_string(const struct args *a);
int cli_sas(const struct args *a);
int cli_restore(const struct args *a);
int cli_check(const struct args *a);

/* mend.c */
int cli_ca_renew(const struct args *a);
int cli_policy_reset(const struct args *a);

#endif
