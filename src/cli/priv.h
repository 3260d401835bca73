/* cli: what its files share. */
#ifndef TWINHUB_CLI_PRIV_H
#define TWINHUB_CLI_PRIV_H

#include <openssl/types.h>
#include <stdio.h>

#include "cli/cli.h"
#include "doc/out.h"
#include "os/clock.h"
#include "server/server.h"

#define WHY_MAX      512
#define HOST_MAX     256
#define KEY_TEXT_MAX 128                /* base64 of KEY_BYTES_MAX, and room */
#define ANSWER_MAX   ((size_t)32 << 20) /* bytes of one answer: a page of a query has at most 16 MB */

/* ---- errors ---- */

/* One line on stderr, "twinhub: ..."; hidden characters become '?'. Returns the code. */
int cli_fail(enum exit_code code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for what was done all the same: "twinhub: warning: ...". */
void cli_warn(const char *what);
/* A line about what goes on. */
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The exit code for what a module returned. */
enum exit_code exit_of(enum err e);

/* ---- values of options ---- */

const char *option_name(enum option o); /* without dashes */
/* The word that was given, or the default. */
const char *option_word(const struct args *a, enum option o);
/* The first word of OPT_KEY. */
#define KEY_PRIMARY 0

/* A device; or one of its modules, when module is not empty. */
struct subject {
	struct str device, module;
};
/* Ids as the user gave them; module may be NULL. Else EXIT_USAGE, said. */
int subject_of(const char *device, const char *module, struct subject *out);

/* Parse one JSON value given by the user, or a file that holds one ("-": stdin), and append it as a doc. what: for the
 * message. Errors are said. */
int json_take(struct str text, const char *what, struct buf *doc);
int json_take_file(const char *path, struct buf *doc);
/* The bytes of a file, or of stdin, likewise. */
int bytes_take_file(const char *path, struct buf *bytes);

/* A change of a twin as JSON: of `text` (NULL: not given), or --file, or the parts --tags and --desired. Errors are said. */
int twin_change_take(const struct args *a, const char *text, struct buf *json);
/* The member "payload" of --payload or --file; without either it is left out. Errors are said. */
int method_payload_take(const struct args *a, struct out *o);

/* ---- connection strings ---- */

struct conn_string {
	struct str host; /* without port and brackets */
	uint16_t port;   /* 443 when none is given */
	struct str policy, device, key;
};

/* HostName=..;SharedAccessKeyName=..|DeviceId=..;SharedAccessKey=.. in any order; others are passed over. Fields borrow
 * from text. False: one line in why, without the key. */
bool conn_string_parse(struct str text, struct conn_string *out, char *why, size_t nwhy);

/* What a device or module connects with. key empty: it has a certificate. */
void subject_connection(struct buf *out, const char *host, struct subject s, struct str key);

/* ---- a running hub ---- */

struct target {
	char host[HOST_MAX];    /* name in tokens and in its certificate */
	char address[HOST_MAX]; /* to dial */
	uint16_t port;
	char policy[POLICY_NAME_MAX + 1];
	char key[KEY_TEXT_MAX];
	char ca[DATA_PATH_MAX]; /* PEM file; empty: the system's trust store */
	/* PEM file of certificates that are trusted as they are, whatever names and days they have; empty: none */
	char served[DATA_PATH_MAX];
	uint64_t timeout_s; /* for a whole call */
};

/* By --connection-string, --data or the environment. Errors are said. */
int target_open(const struct args *a, struct target *t);
/* A connection string by the command line or the environment; NULL: a directory is named. Errors, as none of both, are said. */
int connection_named(const struct args *a, const char **text);
/* By a data directory alone. */
int target_of_data(const struct args *a, const char *dir, struct target *t);
/* Its parts: --timeout and the option of a CA; a policy's connection string. Errors are said. */
int target_init(const struct args *a, enum option ca, struct target *t);
int target_of_text(const char *text, struct target *t);
void target_fini(struct target *t); /* wipes the key */

enum method { GET, PUT, POST, PATCH, DELETE };

struct ask {
	enum method method;
	/* percent-encoded, from the slash, perhaps with parameters; api-version is added */
	const char *path;
	struct str body;  /* JSON, unless type says what; empty: none */
	const char *type; /* its Content-Type; NULL: JSON's */
	/* more headers, name and value in turn, NULL at the end; NULL: none */
	const char *const *headers;
	const char *if_match;     /* NULL: none */
	const char *continuation; /* NULL or empty: none */
	uint64_t page_size;       /* 0: none */
	bool raw;                 /* the answer is lines of JSON */
	bool warned;              /* what the hub warns of is said elsewhere */
	/* NULL; or it gets the body of a success as it comes, which may be for ever: --timeout is for its head, then the hub may be silent for
	 * STREAM_SILENCE_S. False: it is enough */
	bool (*piece)(void *ctx, struct str bytes);
	void *piece_ctx;
};
#define STREAM_SILENCE_S 45 /* it says something every 15 s */

struct answer {
	int status;
	struct buf body;
	struct buf continuation; /* NUL-terminated text; n is 0 when there are no more pages */
	struct buf doc;          /* body parsed */
	unsigned retry_after_s;  /* 0: it does not say */
	struct buf warning;      /* x-twinhub-warning; a text as well */
	struct buf etag;         /* likewise, in quotes */
	bool lines;              /* it says that it is lines of JSON */
};
bool answer_parse(struct answer *a); /* body to doc, if there is a body; false: it is not JSON */
void answer_fini(struct answer *a);  /* wipes it; it can be used again */

/* Has the answer to this the shape that a hub's has? Of what is read nowhere, yes. O-95. */
bool answer_fits(const struct ask *ask, struct doc d);

/* An address of the target, as digits, that accepts connections. The lookup of the name has the resolver's own limit of
 * time, the rest ends at until_us (clock_mono_us). ERR_IO: one line in why. */
enum err reach(const struct target *t, int64_t until_us, char address[HOST_MAX], char why[WHY_MAX]);

/* What trusts as the target says; SSL_CTX_free. NULL: one line in why. */
SSL_CTX *https_context(const struct target *t, char why[WHY_MAX]);
/* One request over a connection of its own. ERR_OK: there is a status; else one line in why. */
enum err https_call(
    const struct target *t, const struct ask *ask, struct answer *out, char why[WHY_MAX]);

/* The same, and a status of 2xx with a body that is JSON as a hub's, empty, or raw as asked for; else the exit code, and why. status is
 * 0 when there was no answer. From any thread. */
int hub_try(const struct target *t, const struct ask *ask, struct answer *out, char why[WHY_MAX]);
/* The same for commands: a status of 2xx and a body that is JSON or empty; else it is said, with the exit code. */
int hub_call(const struct target *t, const struct ask *ask, struct answer *out);
/* Page after page, until the last, or until `page` returns another code than EXIT_DONE, or nobody reads any more. */
int hub_pages(const struct target *t, const struct ask *ask,
    int (*page)(void *ctx, struct doc rows, bool more), void *ctx);
/* target_open, hub_call. */
int hub_call_once(const struct args *a, const struct ask *ask, struct answer *out);
/* Warn if what a job or configuration is for is nothing at present. Its condition; empty: none. */
void matches_tell(const struct target *t, struct str condition);
/* A collection and a name in it, percent-encoded, with its NUL. */
void path_of(struct buf *out, const char *collection, struct str name);
/* "/devices/D" or "/devices/D/modules/M" of the collection "/devices/", then the tail and a NUL. */
void subject_path(struct buf *out, const char *collection, struct subject s, const char *tail);

/* "/twins/d1", as it was at the time or version that the options say, if they say one; with its NUL. */
void twin_past_path(const struct args *a, struct subject s, struct buf *path);

/* The header's value with its NUL: the etag in quotes, or * when it is empty. */
void if_match_of(struct buf *out, struct str etag);

/* ---- JSON and tables ---- */

/* Whether the output is JSON: asked for, or stdout is no terminal. */
bool output_json(const struct args *a);
/* Is it the first column alone? Then output_json says yes. */
bool output_names(const struct args *a);
/* A line to stdout; the buffer is done with. */
void json_say(struct buf *json);
/* JSON for reading: line breaks, two blanks for each level, no $metadata. */
void json_indent(struct buf *out, struct doc d, unsigned level);
/* A value in one line of at most `most` columns, without what drives a terminal; - for nothing. */
void cell_text(struct buf *out, struct doc d, unsigned most);
bool cell_void(struct doc d); /* nothing, or an object of nothing */

/* One object: JSON in one line, or a line for each member. */
void show_record(const struct args *a, struct doc d);
/* One object whose arrays are rows: the same, with a table behind it for each array. Returns an exit code. */
int show_sections(const struct args *a, struct doc d);
/* Rows that come page by page. As CSV, the heading has the columns of all pages: when there are several, they wait in a
 * temporary file (in TMPDIR, or /tmp; without a name) until the last one is there. Both return an exit code; errors are said. */
struct rows_view {
	enum rows_format { ROWS_TABLE, ROWS_JSON, ROWS_CSV, ROWS_NAME } format;
	uint64_t nrow;
	struct buf head;    /* ROWS_TABLE: the heading that stands above the last rows */
	struct buf dropped; /* ROWS_TABLE: names of columns for which there was no room */
	struct csv *csv;    /* ROWS_CSV */
};
void rows_init(struct rows_view *v, const struct args *a);
void rows_open(struct rows_view *v); /* before the first page, when it is sure to come */
int rows_page(struct rows_view *v, struct doc array, bool more); /* more: others follow */
/* code: of what came before; unless it is EXIT_DONE, pages are missing. Returns it, or its own. */
int rows_fini(struct rows_view *v, int code);
/* All of them at once. */
int rows_show(const struct args *a, struct doc array);

/* From here on nothing that is printed drives the terminal, or is not seen on it: terminal.c. */
void terminal_guard(void);
/* All bytes to a descriptor that may be stdout's or stderr's. False: errno. */
bool terminal_write(int fd, struct str bytes);
/* What does, if stdout is one: of our own making. */
void terminal_control(const char *sequence);

/* Append s, cut at `most` columns of a terminal (then "..."), with a ? for what is hidden (utf8_hidden) and for more marks on a letter than
 * anybody writes. */
void put_visible(struct buf *out, struct str s, unsigned most);
unsigned text_width(struct str s); /* columns of a terminal that put_visible's text of it takes */
void put_padded(struct buf *out, struct str s, unsigned width);

/* ---- a view: lines of a label and what it says, made whole in memory and printed at once ---- */

#define VIEW_LABEL_MOST 32 /* characters of a label; what is longer is cut */

struct view {
	struct buf text;
	unsigned width; /* of the labels */
};
/* Make room for this label; before the first line. */
void view_widen(struct view *v, struct str label);
void view_line(struct view *v, const char *label, struct doc value); /* cell_text, uncut */
void view_text(struct view *v, const char *label, struct str text);
void view_time(struct view *v, const char *label, struct doc iso);    /* whole seconds */
void view_block(struct view *v, const char *label, struct doc value); /* json_indent */
void view_empty_line(struct view *v);
/* How much of the whole: [######------]   12 of 24    50.0 %. More than the whole fills the bar. A whole of 0 has no share. */
void view_bar(struct view *v, struct str label, uint64_t part, uint64_t whole);
void view_print(struct view *v); /* and empties it */
void view_fini(struct view *v);

/* A file in TMPDIR, or /tmp, that has no name any more and so goes with the process. NULL, with errno. */
FILE *file_without_name(void);

/* ---- lines.c: answers that come line by line, perhaps for ever ---- */

struct lines {
	/* Each that is JSON, as it came and parsed; borrowed. Why the hub ends it is said already. */
	void (*take)(void *ctx, struct str line, struct doc d);
	void *ctx;
	bool came;  /* an event at all */
	bool final; /* what the hub has said will be so again */
	struct buf line, doc;
	struct doc_parser *parser;
	unsigned pause_s;
};
void lines_init(struct lines *l, void (*take)(void *ctx, struct str line, struct doc d), void *ctx);
void lines_fini(struct lines *l);
/* Until the connection ends. EXIT_UNREACHABLE: it may be tried again, after lines_rest. */
int lines_read(struct lines *l, struct target *t, struct ask *ask, char why[WHY_MAX]);
/* A while, longer each time that nothing has come since. */
void lines_rest(struct lines *l, const char *from_where);
void say_str(struct str s);
void say_plain(struct doc d); /* for people: without $metadata, in one line */
/* live.c: a query's body, watched */
int query_live(const struct args *a, struct target *t, struct str body);

/* ---- screen.c: a terminal that is drawn anew again and again ---- */

/* From now on it is ours, if stdout is one and `draws`; whatever ends the program, a signal too, it is given back. */
void screen_open(bool draws);
void screen_close(void);
bool screen_ours(void);
/* All of it; where it is not ours it is printed. */
void screen_draw(struct str text);
/* False: somebody wants to leave. */
bool screen_wait(uint64_t seconds);

/* ---- --watch ---- */

struct watch {
	uint64_t every_s; /* --watch; 0: one round only */
	uint64_t nround;  /* rounds that are over */
	bool goal;        /* something is waited for, so that Ctrl-C before it is a failure */
	bool reached;     /* set by the round: it is there, or nothing more will come */
};
/* When a round has its answer, before it prints: a terminal is cleared and gets a heading. piped_line: elsewhere rounds have
 * an empty line between them. */
void watch_open(const struct watch *w, bool piped_line);
/* Rounds, each of which returns an exit code, told already. Returns that of the last one: when what was waited for is there, when
 * the first one fails, when a later one fails in a way that time does not mend, or when nobody reads any more. */
int watch_run(struct watch *w, int (*round)(void *ctx), void *ctx);

/* ---- configurations ---- */

/* The path of one, with its NUL. Else EXIT_USAGE, said. */
int configuration_path(struct buf *path, const char *id);
/* As the hub's answer has it: JSON in one line, or the view with bars. */
void configuration_print(const struct args *a, struct doc c);
/* The member "why": the texts of an entry's reasons, in one line. */
void reasons_line(struct doc_writer *dw, struct doc entry);
/* What a dry run says: JSON in one line; for people the counts, then the first twins with their patches. */
/* twin restore of a set: a job of a name of its own. */
int job_restore(const struct args *a);
void dry_run_show(const struct args *a, struct doc d);
void configuration_view(struct view *v, struct doc c);
/* Have all that are targeted got it? */
bool configuration_applied(struct doc c);

/* Its rollout, as the hub shows it; DOC_NONE: there is none. */
void rollout_widen(struct view *v, struct doc rollout); /* before the first line */
void rollout_view(struct view *v, struct doc rollout);
/* Why it goes on to no device by itself: "halted"; NULL: it does, or there is none. */
const char *rollout_stands(struct doc rollout);

/* ---- jobs ---- */

/* The path of one, the tail and a NUL. Else EXIT_USAGE, said. */
int job_path(struct buf *path, const char *id, const char *tail);
/* As the hub's answer has it: JSON in one line, or the view with bars. */
void job_print(const struct args *a, struct doc job);

/* ---- CSV (RFC 4180): lines end with CRLF ---- */

#define CSV_COLUMNS_MAX 4096

/* Members of the rows in the order in which they were seen first. { 0 } is empty. */
struct csv_columns {
	struct buf names; /* one after the other */
	uint32_t n, end[CSV_COLUMNS_MAX];
	struct table index;
};
bool csv_columns_add(struct csv_columns *c, struct doc rows); /* false: more than CSV_COLUMNS_MAX */
void csv_columns_fini(struct csv_columns *c);
/* Nothing for null and for a member that is not there, "" for an empty string, arrays and objects as JSON text.
 * visible: with a ? for what drives a terminal. */
void csv_head(struct buf *out, const struct csv_columns *c, bool visible);
void csv_rows(struct buf *out, const struct csv_columns *c, struct doc rows, bool visible);

/* Pages on their way to stdout. */
struct csv *csv_new(void);
int csv_page(struct csv *csv, struct doc rows, bool more);
int csv_end(struct csv *csv); /* prints what waits */
void csv_free(struct csv *csv);

/* ---- backups ---- */

/* The newest one of a running hub that is on this machine. */
struct latest_backup {
	char path[DATA_PATH_MAX]; /* "" when there is none */
	int64_t made_us;
	bool said;                /* the hub knows of one, wherever it is */
	char late[WHY_MAX + 128]; /* a line when they fail, or are overdue; else "" */
};
int backup_latest(const struct args *a, struct latest_backup *out); /* EXIT_NOT_FOUND, said */
#define NO_MANIFEST                                                                                \
	"it lists no files, as those of former programs: what has checksums of its own is "        \
	"verified, and not whether all is there"

/* ---- a data directory ---- */

/* --data, or TWINHUB_DATA; NULL: neither. */
const char *data_named(const struct args *a);
/* The same, checked to be a data directory. Errors are said. */
int data_open(const struct args *a, const char **dir);
/* May this user read what says how to sign in; may it read everything? EXIT_DENIED, said; what is not there is no matter here. */
int data_allowed(const char *dir);
int data_allowed_whole(const char *dir);
/* A key of a policy in the directory. Errors are said. */
int policy_key(const char *dir, struct str policy, bool primary, char out[KEY_TEXT_MAX]);

/*
 * A data directory that a command fills, which is missing or empty: first in `stage`, a path of a directory in it that is still to be made,
 * then each file gets its name. what: "a restore". made: out, it was missing. stage_drop after an error. Errors are said.
 */
int stage_begin(const char *dir, const char *what, bool *made, char stage[DATA_PATH_MAX]);
int stage_end(const char *stage, const char *dir);
void stage_drop(const char *dir, bool made);

/* ---- its store, while no hub has it open ---- */

/* Append the JSON of an identity. ERR_NOT_FOUND, ERR_LOCKED: a hub has it, ERR_CORRUPT, ERR_IO: one line in f. */
enum err identity_from_store(const char *dir, struct subject s, struct buf *json, struct fault *f);

/* Decode each record of identities, twins and sessions, and count them. bad is called for each one that is not what was written.
 * ERR_OK, ERR_CORRUPT when some were bad, or what store_open says. */
enum err records_check(const char *store_dir, void (*bad)(void *ctx, const char *what), void *ctx,
    uint64_t *nrecord, uint64_t *nidentity, struct fault *f);

#endif
