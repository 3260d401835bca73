/* cli: what its files share. */
#ifndef TWINHUB_CLI_PRIV_H
#define TWINHUB_CLI_PRIV_H

#include <openssl/types.h>

#include "cli/cli.h"
#include "doc/doc.h"
#include "server/server.h"

#define WHY_MAX      512
#define HOST_MAX     256
#define KEY_TEXT_MAX 128                /* base64 of KEY_BYTES_MAX, and room */
#define ANSWER_MAX   ((size_t)32 << 20) /* bytes of one answer: a page of a query has at most 16 MB */

/* ---- errors ---- */

/* One line on stderr, "twinhub: ..."; control characters become '?'. Returns the code. */
int cli_fail(enum exit_code code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The exit code for what a module returned. */
enum exit_code exit_of(enum err e);

/* ---- values of options ---- */

/* A number from least to most; *out keeps its value when the option was not given. Else EXIT_USAGE, said. */
int option_number(
    const struct args *a, enum option o, uint64_t least, uint64_t most, uint64_t *out);
/* primary (also when not given) or secondary. Else EXIT_USAGE, said. */
int option_key(const struct args *a, bool *primary);
/* The operand as an id. */
int operand_id(const char *text, struct str *id);

/* ---- connection strings ---- */

struct conn_string {
	struct str host; /* without port and brackets */
	uint16_t port;   /* 443 when none is given */
	struct str policy, device, key;
};

/* HostName=..;SharedAccessKeyName=..|DeviceId=..;SharedAccessKey=.. in any order; others are passed over. Fields borrow
 * from text. False: one line in why, without the key. */
bool conn_string_parse(struct str text, struct conn_string *out, char *why, size_t nwhy);

/* ---- a running hub ---- */

struct target {
	char host[HOST_MAX];    /* name in tokens and in its certificate */
	char address[HOST_MAX]; /* to dial */
	uint16_t port;
	char policy[POLICY_NAME_MAX + 1];
	char key[KEY_TEXT_MAX];
	char ca[DATA_PATH_MAX]; /* PEM file; empty: the system's trust store */
	uint64_t timeout_s;     /* for a whole call */
};

/* By --connection-string, --data or the environment. Errors are said. */
int target_open(const struct args *a, struct target *t);
/* By --data alone. */
int target_of_data(const struct args *a, const char *dir, struct target *t);
void target_fini(struct target *t); /* wipes the key */

enum method { GET, PUT, POST, PATCH, DELETE };

struct ask {
	enum method method;
	const char *
	    path; /* percent-encoded, from the slash, perhaps with parameters; api-version is added */
	struct str body;          /* JSON; empty: none */
	const char *if_match;     /* NULL: none */
	const char *continuation; /* NULL or empty: none */
	uint64_t page_size;       /* 0: none */
};

struct answer {
	int status;
	struct buf body;
	struct buf continuation; /* NUL-terminated text; n is 0 when there are no more pages */
	struct buf doc;          /* body parsed */
};
bool answer_parse(struct answer *a); /* body to doc, if there is a body; false: it is not JSON */
void answer_fini(struct answer *a);  /* wipes it; it can be used again */

/* An address of the target, as digits, that accepts connections. The lookup of the name has the resolver's own limit of
 * time, the rest ends at until_us (clock_mono_us). ERR_IO: one line in why. */
enum err reach(const struct target *t, int64_t until_us, char address[HOST_MAX], char why[WHY_MAX]);

/* One request over a connection of its own. ERR_OK: there is a status; else one line in why. */
enum err https_call(
    const struct target *t, const struct ask *ask, struct answer *out, char why[WHY_MAX]);

/* The same for commands: a status of 2xx and a body that is JSON or empty; else it is said, with the exit code. */
int hub_call(const struct target *t, const struct ask *ask, struct answer *out);
/* target_open, hub_call. */
int hub_call_once(const struct args *a, const struct ask *ask, struct answer *out);
/* "/devices/" and an id, percent-encoded, with its NUL. */
void path_of(struct buf *out, const char *collection, struct str id);

/* The header's value with its NUL: the etag in quotes, or * when it is empty. */
void if_match_of(struct buf *out, struct str etag);

/* ---- JSON and tables ---- */

/* Whether the output is JSON: asked for, or stdout is no terminal. */
bool output_json(const struct args *a);
/* A member's name and colon, after a comma when it is not the first. */
void json_member(struct buf *json, const char *name);
void json_text(struct buf *json, const char *name, struct str v); /* null when empty */
/* JSON for reading: line breaks, two blanks for each level, no $metadata. */
void json_indent(struct buf *out, struct doc d, unsigned level);
/* A value in one line of at most `most` characters, without what drives a terminal; - for nothing. */
void cell_text(struct buf *out, struct doc d, unsigned most);

/* One object: JSON in one line, or a line for each member. */
void show_record(const struct args *a, struct doc d);
/* Rows that come page by page. */
struct rows_view {
	bool json;
	uint64_t nrow;
	struct buf head; /* the heading that stands above the last rows */
};
void rows_init(struct rows_view *v, const struct args *a);
void rows_open(struct rows_view *v); /* before the first page, when it is sure to come */
void rows_page(struct rows_view *v, struct doc array);
void rows_fini(struct rows_view *v, bool whole); /* whole: no page is missing */

/* ---- a data directory ---- */

/* --data, checked to be a data directory. Errors are said. */
int data_open(const struct args *a, const char **dir);
/* A key of a policy in the directory. Errors are said. */
int policy_key(const char *dir, struct str policy, bool primary, char out[KEY_TEXT_MAX]);

/* ---- its store, while no hub has it open ---- */

/* Append the JSON of a device's identity. ERR_NOT_FOUND, ERR_LOCKED: a hub has it, ERR_CORRUPT, ERR_IO: one line in f. */
enum err device_from_store(const char *dir, struct str id, struct buf *json, struct fault *f);

/* Decode each record of identities, twins and sessions. bad is called for each one that is not what was written.
 * ERR_OK, ERR_CORRUPT when some were bad, or what store_open says. */
enum err records_check(const char *store_dir, void (*bad)(void *ctx, const char *what), void *ctx,
    uint64_t *nrecord, struct fault *f);

#endif
