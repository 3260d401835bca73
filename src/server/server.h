/*
 * server: puts everything together for `serve`: options, the data directory, start, signals, stop. And what the command
 * line does on a data directory while no hub has it open.
 */
#ifndef TWINHUB_SERVER_H
#define TWINHUB_SERVER_H

#include "auth/auth.h"
#include "base/base.h"
#include "base/reason.h"
#include "doc/out.h"
#include "limit/limit.h"
#include "option/option.h"

/* ---- options: one table for the command line, the environment and the file of settings ---- */

#define LIST_MAX      32
#define DATA_PATH_MAX 4096
/* Tokens that the command line makes for itself; a hub takes no limit that would refuse them, on clocks 300 s apart. */
#define COMMAND_TOKEN_S   600
#define TOKEN_TTL_LEAST_S (COMMAND_TOKEN_S + 300)

struct option_list {
	const char *v[LIST_MAX];
	unsigned n;
};

/* Where a value comes from; what stands further down wins (O-100). */
enum option_source { OPTION_FALLBACK, OPTION_OF_FILE, OPTION_OF_ENVIRONMENT, OPTION_OF_LINE };
const char *option_source_name(enum option_source from);
struct option_told {
	enum option_source from;
	unsigned line,
	    former; /* of a file; 0: none. former: of a value that does not count, since this one came */
	/* The value as it was written; of a list the last one; NULL: nobody has said. */
	const char *text;
};

struct server_options {
	struct option_told told[OPTION_ROWS_MAX]; /* by row */
	const char *data;
	const char *config; /* the file of settings that was named; NULL: DATA/twinhub.conf */
	struct option_list hostnames, binds, certs, keys, client_cas, client_crls;
	uint64_t mqtts_port, https_port, mqtt_port; /* mqtt_port 0: off */
	uint64_t memory_bytes; /* documents, columns, block cache and write buffers together */
	uint64_t workers, io_threads; /* 0: by the number of cores */
	uint64_t max_devices;         /* identities (L-24) */
	uint64_t max_connections, max_connections_per_address;
	struct option_list address_free, proxies; /* nets: 10.0.0.0/8 */
	uint64_t connect_timeout_s, request_timeout_s;
	uint64_t query_timeout_s;
	uint64_t token_skew_s, token_ttl_max_s;        /* L-79; 0: any */
	uint64_t log_max_bytes, log_max_age_s;         /* the log's messages */
	uint64_t changes_max_bytes, changes_max_age_s; /* and all else of it */
	uint64_t partitions;                           /* of events, in a new directory */
	uint64_t free_space_bytes;                     /* below it changes are refused */
	const char *backup_dir;                        /* NULL: backups are made by hand alone */
	uint64_t backup_every_s, backup_keep;
	uint64_t backup_bytes; /* a second that one reads or writes; 0: as fast as it goes */
	struct option_list rate_limits; /* as they are written, and read: */
	struct limit_rules limits;
	uint64_t auth_backoff_s; /* the longest wait; 0: nobody is held off */
	enum throttle_edition {
		THROTTLE_OFF,
		THROTTLE_F1,
		THROTTLE_S1,
		THROTTLE_S2,
		THROTTLE_S3
	} throttle;
	uint64_t units; /* of that edition of Azure's, whose limits are below those */
	struct option_list import_export_dirs; /* directories that jobs may read and write */
	const char *sink_dir;                  /* files of sinks are below; NULL: none */
	struct option_list sink_allow; /* nets: where webhooks may go besides what is public */
	const char *log_file;          /* NULL: stderr */
	enum log_level log_level;
	uint64_t slow_query_ms, slow_sweep_ms; /* from where on there is a line; 0: never */
	enum log_format { LOG_LOGFMT, LOG_JSON } log_format;
	const char *metrics_bind, *metrics_token_file; /* NULL: the usual place; none */
	bool tls_legacy;                               /* CBC suites of TLS 1.2 */
	uint64_t scrub_bytes;                          /* a second; 0: no scrub */
	bool verify;                                   /* every stored file, before serving */
	bool strict_queries; /* only what the service itself understands: Q-88 */
	bool rehearse;       /* a restore is tried: loopback only, no deliveries, no backups */
	bool background;     /* end when the hub is ready, which goes on */
	bool check;          /* tell what is wrong, and end */
	const char *cluster; /* where PostgreSQL is; NULL: the hub has a store of its own */
	const char *node;    /* of several: its name */
	/* where it listens for the others, "10.0.0.1:7443"; NULL: it is the only one */
	const char *mesh;
	bool ephemeral; /* data is NULL until the hub has made its own */
	enum port_choice { PORTS_STANDARD, PORTS_ANY } ports;
	bool clock;       /* of an ephemeral hub: it may be put ahead */
	const char *seed; /* lines that an ephemeral hub begins with; NULL: none */
	option_set given; /* rows that somebody has given, by file or command line */
};

/* Defaults, then the file (--config, TWINHUB_CONFIG, else DATA/twinhub.conf), then TWINHUB_NAME of each option in the environment, then
 * the command line (argv[0] is the first option). ERR_ARG: one line in why. Strings are borrowed from argv, the environment and memory that
 * lives as long as the program. O-100, O-101. */
enum err options_parse(int argc, char **argv, struct server_options *o, char *why, size_t nwhy);
/* What DATA/twinhub.conf alone says, of a directory or backup that is not being served. ERR_ARG: as options_parse. */
enum err options_of_data(const char *dir, struct server_options *o, char *why, size_t nwhy);
/* The list of a row; NULL: it is none. */
const struct option_list *options_list(const struct server_options *o, unsigned row);
/* What of the settings is not in force although it stands somewhere, a call for each: a DATA/twinhub.conf that says something when another
 * file was named, and a line of the file that a later one has taken the place of (O-101). */
void options_idle(
    const struct server_options *o, void (*tell)(void *ctx, const char *text), void *ctx);
#define CONF_FILE "twinhub.conf"
/* TWINHUB_DATA, for want of --data; NULL: not set, or empty. */
#define DATA_NAME "TWINHUB_DATA"
const char *data_of_environment(void);
/* "S1" */
const char *throttle_name(enum throttle_edition edition);
/* The table: settings.c. */
extern const struct option_table server_settings;
/* The text of a fresh twinhub.conf: every option with its default, commented out. */
void options_template(struct buf *out);
/* May metrics be served where they are asked for? ERR_ARG: one line in why. */
enum err metrics_check(const struct server_options *o, char *why, size_t nwhy);
/* Does --mesh say where a node of several can be reached? ERR_ARG: why. */
enum err mesh_check(const struct server_options *o, char *why, size_t nwhy);

/* The routes that a hub serves, printed (http/reference.c): OpenAPI, or a table in Markdown. */
void server_routes_print(struct buf *out, bool openapi);
/* The table of metrics, or of what GET /statistics/metrics has: Markdown (O-124). */
void server_metrics_print(struct buf *out, bool chart);

/* Run until SIGTERM or SIGINT. Returns the exit code. */
int server_run(const struct server_options *o);

/* ---- the data directory ---- */

#define DATA_FORMAT 4

/* DIR/name; false when too long. */
bool data_path(char out[DATA_PATH_MAX], const char *dir, const char *name);

/* The directory, mode 0700, if it is missing. ERR_EXISTS: it is no hub's, and holds something else; ERR_IO. One line in why. */
enum err data_make(const char *dir, char *why, size_t nwhy);

/*
 * Make the directory (data_make) and what is in it at a first start: hub.json, twinhub.conf, policies.json with fresh keys. In one
 * that a hub has filled nothing is made but twinhub.conf: what is missing or damaged is refused, with the command that mends it.
 * Before anything is written the directory is taken: until found->held is closed, or the program ends, no other hub has it.
 * own_ca: the certificates are the hub's own; own_conf: its settings are in the directory; found: out, how it was.
 * ERR_EXISTS, ERR_LOCKED, ERR_VERSION: made by a newer format, ERR_CORRUPT, ERR_NOT_FOUND, ERR_IO: one line in why, naming the file.
 */
struct data_found {
	bool first;         /* it is the first start */
	bool settings_lost; /* it is not, and there was no twinhub.conf */
	int held;           /* the directory */
};
enum err data_prepare(
    const char *dir, bool own_ca, bool own_conf, struct data_found *found, char *why, size_t nwhy);
/* Bring the description of a checked directory of a former format to this program's, before its store is written. A kill leaves the one or
 * the other. ERR_FULL, ERR_IO, and as data_check: one line in why. */
enum err data_raise(const char *dir, char *why, size_t nwhy);
/* The first half of it, which changes nothing: is the directory, if it is there, a hub's or one that may become one? */
enum err data_strange(const char *dir, char *why, size_t nwhy);
bool data_is_hub(const char *dir); /* has a start filled it? */
/* The server certificates in use, in PEM: what commands with --data trust. Written at each start and reload. */
#define SERVED_FILE "served.pem"
/* A number of this hub's, by its hubId: in positions of its log. */
/* A node of several: what it keeps beside the truth, which is elsewhere. Emptied at each start. */
#define CLUSTER_SCRATCH "scratch"
#define DATA_ID_MAX     64
/* A hub by itself has a store, a node of several has none: is the directory of that kind? */
enum err data_is_of(const char *dir, bool cluster, char *why, size_t nwhy);
/* Another hub's node from now on: of a directory that nothing was served from. */
enum err data_take_hub(const char *dir, const char *id, char *why, size_t nwhy);
/* The directory's own id, which tells it from others of the hub: node.json, made where it is missing, with `former` if that is not NULL. */
enum err data_dir_id(
    const char *dir, const char *former, char id[DATA_ID_MAX], char *why, size_t nwhy);
enum err data_hub_number(const char *dir, uint32_t *number, char *why, size_t nwhy);
/* Its hubId. */
enum err data_hub_id(const char *dir, char *out, size_t room, char *why, size_t nwhy);
/* hub.json must be there: for commands that work on an existing directory. */
enum err data_check(const char *dir, char *why, size_t nwhy);
/* Calls bad for each of hub.json, policies.json and the CA that is missing or damaged: its file, and a line that names it and says what
 * mends it. ERR_OK when all are good, else what the first one is. */
#define DATA_WHY_MAX (DATA_PATH_MAX + 256)
typedef void data_bad(void *ctx, const char *file, const char *why);
enum err data_check_parts(const char *dir, bool own_ca, data_bad *bad, void *ctx);
/* What a start makes or adds, certificates aside: the file, and a line. */
void data_tell_anew(const char *dir, data_bad *tell, void *ctx);
/* Is there any certificate or key of the hub's own making? */
bool data_has_own_ca(const char *dir);

/* The same as data_prepare does: until *held is closed nobody else has it. ERR_LOCKED, ERR_NOT_FOUND, ERR_IO: one line in why. */
enum err data_hold(const char *dir, int *held, char *why, size_t nwhy);
/* DIR/hub.json of the hub with this id, made now. ERR_IO: one line in why. */
enum err data_hub_make(const char *dir, struct str id, char *why, size_t nwhy);
/* A fresh hubId; false: no random numbers. */
bool data_hub_fresh(char id[DATA_ID_MAX]);

/* The hub is going into a database, or has gone there (O-284): DIR/moved.json, which serve refuses. */
struct data_moved {
	char token[DATA_ID_MAX]; /* what the database says of it, too */
	char database[256];      /* for people */
	bool whole;              /* it is there */
};
bool data_is_moved(const char *dir);
/* ERR_NOT_FOUND: it is not; ERR_CORRUPT, ERR_IO: one line in why. */
enum err data_moved_read(const char *dir, struct data_moved *m, char *why, size_t nwhy);
enum err data_moved_write(const char *dir, const struct data_moved *m, char *why, size_t nwhy);
enum err data_moved_remove(const char *dir);
/* Why it is not served. */
void data_moved_why(const char *dir, char *why, size_t nwhy);

/* Where a running hub is reached: DIR/endpoint.json, written at each start. */
struct endpoint {
	char host[256];   /* name for tokens and certificates */
	char address[64]; /* to dial */
	uint16_t https_port, mqtts_port;
	uint32_t pid; /* of the hub; 0: it was a former program */
	char names
	    [2048]; /* all that clients may call it by, with blanks between; empty: not known */
};
enum err endpoint_write(const char *dir, const struct endpoint *e);
enum err endpoint_read(const char *dir, struct endpoint *e);

/* ---- policies ---- */

struct policies {
	struct policy *v;
	size_t n;
	struct arena arena; /* their strings */
};
/* A deep copy; policies_free frees it. */
struct policies *policies_copy(const struct policies *p);
void policies_free(struct policies *p);
/* DIR/policies.json. ERR_CORRUPT, ERR_IO, ERR_NOT_FOUND: one line in why; save: those of os_replace_file. */
enum err policies_load(const char *dir, struct policies **out, char *why, size_t nwhy);
/* The bytes of such a file, which is called so. ERR_CORRUPT: why. */
enum err policies_parse(
    const char *name, struct str bytes, struct policies **out, char *why, size_t nwhy);
enum err policies_save(const char *dir, const struct policies *p);
/* The bytes of that file: a secret. */
void policies_text(const struct policies *p, struct buf *json);
/* The names of secrets that all nodes of a hub share, and the CA as one of them: its certificate's file and its key's. */
#define POLICIES_SECRET "policies"
#define CA_SECRET       "ca"
void ca_secret_put(struct buf *out, struct str cert, struct str key);
bool ca_secret_get(struct str bytes, struct str *cert, struct str *key);
/* The five defaults, each with two random keys. */
struct policies *policies_fresh(void);
/* One more, with random keys, at most HUB_POLICIES_MAX. ERR_EXISTS, ERR_SIZE, ERR_IO: no random numbers. */
#define HUB_POLICIES_MAX 64
enum err policies_add(struct policies *p, struct str name, unsigned rights);
enum err policies_remove(struct policies *p, struct str name); /* ERR_NOT_FOUND */
/* A new random key for one side of a policy. ERR_NOT_FOUND. */
enum err policies_rotate(struct policies *p, struct str name, bool primary);
/* {"name","rights":[...],"primaryKey","secondaryKey"} */
void policy_put(struct out *o, const struct policy *p);

#endif
