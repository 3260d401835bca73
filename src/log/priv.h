/* log: what its files share. */
#ifndef TWINHUB_LOG_PRIV_H
#define TWINHUB_LOG_PRIV_H

#include <stdatomic.h>

#include "log/log.h"
#include "os/clock.h"
#include "os/thread.h"

/* ---- line.c: one line being made; pure ---- */

struct log_line {
	char text[LOG_LINE_MAX]; /* n bytes, no line end yet, no NUL */
	size_t n;
	bool cut; /* something did not fit */
	/* an object, all of whose values but counts are strings; else logfmt. Before log_line_begin */
	bool json;
};

/* ts, level and msg. */
void log_line_begin(struct log_line *l, int64_t wall_us, enum log_level level, struct str msg);
/* ` key=value`; an empty value is left out. Whatever a terminal, a line reader or an eye could take for something else is
 * escaped as \uXXXX: C0, DEL, C1, line and paragraph separators, marks and overrides of direction, invisible characters,
 * bytes that are not UTF-8 (as U+FFFD). For secrets with their name before them (secret.c) stands "***". */
void log_line_put(struct log_line *l, const char *key, struct str value);
void log_line_number(struct log_line *l, const char *key, uint64_t value);
/* Ends it with a line end; n counts it. */
void log_line_end(struct log_line *l);

/* ---- secret.c: what is not to be in a line, whoever sent it; pure ---- */

/* Is there at `at` the name of a secret, as "sig="? Its length, with what stands for "="; 0: no. */
size_t log_secret_name(struct str all, size_t at);
/* How long the secret is that s begins with. */
size_t log_secret_length(struct str s);

/* ---- queue.c: lines on their way to the thread ---- */

struct log_queue {
	pthread_mutex_t mutex; /* held for a copy, never while anything is written */
	pthread_cond_t filled, emptied;
	char *fill, *drain; /* `max` bytes each: one is filled while the other is written */
	size_t n, max;
	unsigned nline;
	uint64_t ndropped; /* since the last batch */
	bool writing, stopping, nudged;
};

struct log_batch {
	const char *p; /* until the next take */
	size_t n;
	unsigned nline;
	uint64_t ndropped; /* after the last of these lines */
};

void log_queue_init(struct log_queue *q, size_t max);
void log_queue_fini(struct log_queue *q);
/* False: it is full, and the line is counted as dropped. */
bool log_queue_put(struct log_queue *q, const char *line, size_t n);
/* Wait for lines or a nudge, at most wait_us. False: stopping, and nothing is left; then log_queue_done is to follow. */
bool log_queue_take(struct log_queue *q, int64_t wait_us, struct log_batch *out);
size_t log_queue_bytes(struct log_queue *q); /* that wait */
void log_queue_nudge(struct log_queue *q);
void log_queue_begin(struct log_queue *q); /* again, after an end */
void log_queue_stop(struct log_queue *q);
void log_queue_done(struct log_queue *q); /* the taker's last word */
/* Until all is taken and written (the taker has come back for more, or is done); false: not in time. */
bool log_queue_await(struct log_queue *q, int64_t timeout_us);

/* ---- fold.c: how often one reason may be told, of one asker and of all ---- */

#define LOG_FOLD_WAYS    4u /* places that an entry can have */
#define LOG_FOLD_SETS    (LOG_FOLDS / LOG_FOLD_WAYS)
#define LOG_FOLD_STRIPES 16u
#define LOG_ADDRESS_MAX  48u
#define LOG_WHO_PARTS    4u
#define LOG_WHO_TEXT     (3 * ID_MAX + LOG_ADDRESS_MAX)

/* Empty: not known. With a device neither policy nor address count. */
struct log_who {
	struct str device, module, policy, address; /* address: with its port, or without */
};

struct log_repeat {
	uint64_t key; /* 0: none */
	enum reason reason;
	uint32_t began_s, span_s, ntold, nleft;
	uint8_t n[LOG_WHO_PARTS]; /* bytes of each part, one behind the other in text */
	char text[LOG_WHO_TEXT];
};

struct log_fold {
	_Atomic uint64_t window[REASONS]; /* the second, times 2^32, and lines in it */
	atomic_uint left_out[REASONS];
	pthread_mutex_t mutex[LOG_FOLD_STRIPES]; /* of sets of repeats */
	struct log_repeat repeats[LOG_FOLDS];
};

struct log_folded {
	enum reason reason;
	struct log_who who; /* in text */
	uint32_t count;
	uint32_t seconds; /* since the span began; 0: not known */
	char text[LOG_WHO_TEXT];
};

void log_fold_init(struct log_fold *f); /* of zeros */
bool log_fold_admits(struct log_fold *f, enum reason r, const struct log_who *w, uint32_t second);
/* How many of one reason were left out whoever asked, if its second is over; 0: none, or not yet. */
unsigned log_fold_settle(struct log_fold *f, enum reason r, uint32_t second);
/* From *at on, 0 at first, the next one whose span is over and has left something out. False: there is none. UINT32_MAX: all are over. */
bool log_fold_next(struct log_fold *f, uint32_t *at, uint32_t second, struct log_folded *out);

#endif
