/*
 * log: lines about the running program, to stderr or a file, in logfmt or, by option, as JSON with the same keys:
 *
 *   ts=2026-03-01T12:00:00.0000000Z level=info msg="connection closed" reason=keep-alive by=peer why="..." device=d1 address=10.0.0.7:3311
 *
 * Who logs never waits for who reads: a line goes into a bounded queue, a thread of its own writes it. What finds the
 * queue full is dropped, and a line tells how many were. Values are escaped (log_line_put), whoever sent them.
 *
 * One log in a program. Any thread may call log_text, log_pairs and log_reason; before log_start and after log_stop
 * lines go straight to stderr, or are lost if nobody reads it.
 */
#ifndef TWINHUB_LOG_H
#define TWINHUB_LOG_H

#include "base/base.h"
#include "base/reason.h"

#define LOG_LINE_MAX   2048          /* bytes of a line; what is beyond is cut and marked "..." */
#define LOG_VALUE_MAX  512           /* bytes of one value as it is written; likewise */
#define LOG_QUEUE_MAX  (256u * 1024) /* bytes of lines that wait; further ones are dropped */
#define LOG_SAME_MAX   10u           /* lines of one reason in a second; further ones are counted */
#define LOG_REPEATS    3u            /* lines of one reason and one asker in a span; likewise */
#define LOG_SPAN_S     10u /* a span; each that had repeats is followed by one twice as long */
#define LOG_SPAN_MAX_S 320u
#define LOG_FOLDS      1024u              /* askers that repeat themselves, at a time */
#define LOG_STOP_US    (INT64_C(1000000)) /* for what waits when the program ends */

struct log_options {
	enum log_level level; /* lines up to this one are written */
	const char *path;     /* appended to; NULL: to fd */
	int fd;
	bool json; /* not logfmt */
};

/*
 * A file that cannot be opened because of its disk (full, read-only) is tried once a
 * second, and lines go to fd until then. ERR_IO with errno: the file, for another reason, or the thread.
 */
enum err log_start(const struct log_options *o);
/* The file by its path again, as it may have been moved away. If that fails the old one stays, and a line says so. */
void log_reopen(void);
/* Until what waits is written, for at most timeout_us; false: some of it still waits. */
bool log_flush(int64_t timeout_us);
/* The same, and the end. */
void log_stop(int64_t timeout_us);
/* What waits, and then this line to stderr, in LOG_STOP_US: for who ends the program next. */
void log_fatal(const char *msg);
/* Bytes of lines that wait to be written. */
size_t log_waiting(void);

/* "error", ... and back; false if there is none of that name. */
const char *log_level_name(enum log_level level);
bool log_wants(enum log_level level);

/* A line whose msg is the formatted text; escaped as a whole. */
void log_text(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct log_pair {
	const char *key; /* NULL ends the list */
	struct str value;
};
void log_pairs(enum log_level level, const char *msg, const struct log_pair *pairs);

/* What a reason was the reason of. */
enum log_event {
	LOG_NOT_ADMITTED,    /* a connection, before its first byte */
	LOG_TLS_FAILED,      /* in its handshake */
	LOG_CONNECT_REFUSED, /* MQTT */
	LOG_REQUEST_REFUSED, /* HTTP */
	LOG_SUBSCRIPTION_REFUSED,
	LOG_PART_REFUSED, /* something else of a session that goes on */
	LOG_DELAYED,      /* the same: it is done later */
	LOG_CLOSED,
	LOG_WILL_LOST,      /* after the end of a session */
	LOG_SLOW_QUERY,     /* it was answered, or would have been */
	LOG_RECORD_DAMAGED, /* of the identity */
	LOG_MESSAGE_DAMAGED
};

struct log_story {
	enum log_event event;
	enum reason reason;
	struct str device, module;  /* empty: not known, none. As are the others */
	struct str policy, request; /* of HTTP; the path as sent */
	const char *route;          /* likewise, as the table of routes has it; NULL: none */
	unsigned status;            /* likewise; 0: none */
	uint32_t ms;                /* what it took; 0: not told */
	struct str query;           /* cut as any value */
	struct str detail;          /* what the library or the packet says beside it */
	const char *peer;           /* "10.0.0.7:3311"; NULL: not known */
};

/* One line. Repeats are counted, by reason and asker and by reason alone, and their count has a line of its own (O-24); at level debug each is told. */
void log_reason(const struct log_story *s);

#endif
