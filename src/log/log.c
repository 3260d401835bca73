/* The log of the program: its thread, where it writes to, what becomes of lines that cannot be written. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/priv.h"
#include "metric/metric.h"

#define SECOND_US INT64_C(1000000)

static struct {
	atomic_bool running;
	atomic_int level;
	atomic_bool json;
	atomic_bool reopen;
	_Atomic uint64_t nput,
	    nwritten; /* lines: what SIGABRT waits for, where no mutex may be taken */
	char *path;
	int fd;          /* the thread's, once it runs */
	bool torn;       /* a line was written in part: the next one begins after a line end */
	bool aside;      /* the file could not be opened yet: fd is stderr's */
	uint32_t looked; /* when it was last tried, in seconds */
	uint64_t lost;   /* lines that the file did not take */
	struct thread thread;
	struct log_fold fold;
	struct log_queue queue;
	bool made; /* the queue: once, as late lines may come after log_stop */
} the = { .level = LOG_INFO, .fd = STDERR_FILENO };

static _Thread_local bool is_writer;

static uint32_t
mono_second(void)
{
	return (uint32_t)(clock_mono_us() / SECOND_US);
}

/* ---- the thread: writes, and may stand still as long as it likes ---- */

/* done: how much of it got out. */
static bool
write_all(const char *p, size_t n, size_t *done)
{
	for (*done = 0; *done < n;) {
		ssize_t w = write(the.fd, p + *done, n - *done);

		if (w > 0) {
			*done += (size_t)w;
			the.torn = p[*done - 1] != '\n';
		} else if (w < 0 && errno == EAGAIN) { /* somebody made our stderr non-blocking */
			struct pollfd ready = { .fd = the.fd, .events = POLLOUT };

			(void)poll(&ready, 1, -1);
		} else if (w == 0 || errno != EINTR) {
			return false;
		}
	}
	return true;
}

/* A disk that is full takes a part: a file of ours, which stderr is not, is to have whole lines. */
static void
take_back(size_t nbyte)
{
	struct stat st;

	if (nbyte > 0 && the.path != NULL && !the.aside && fstat(the.fd, &st) == 0 &&
	    S_ISREG(st.st_mode) && st.st_size >= (off_t)nbyte &&
	    ftruncate(the.fd, st.st_size - (off_t)nbyte) == 0)
		the.torn = false;
}

/* How many of these lines did not get out. */
static uint64_t
write_lines(const char *p, size_t n, uint64_t nline)
{
	size_t done, whole = 0;

	if (the.torn && !write_all("\n", 1, &done))
		return nline;
	if (write_all(p, n, &done))
		return 0;
	for (size_t i = 0; i < done; i++)
		if (p[i] == '\n') {
			whole = i + 1;
			nline--;
		}
	take_back(done - whole);
	return nline;
}

static void
line_begin(struct log_line *l, enum log_level level, struct str msg)
{
	l->json = atomic_load_explicit(&the.json, memory_order_relaxed);
	log_line_begin(l, clock_machine_us(), level, msg);
}

static void
write_line(struct log_line *l)
{
	log_line_end(l);
	the.lost += write_lines(l->text, l->n, 1);
}

static void
write_dropped(uint64_t count)
{
	struct log_line l;

	line_begin(&l, LOG_WARN, STR("log lines dropped"));
	log_line_number(&l, "count", count);
	write_line(&l);
}

/* As text, which all values but counts are (O-17); 0: none. */
static void
put_u32(struct log_line *l, const char *key, uint32_t value)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", value);

	if (value != 0)
		log_line_put(l, key, (struct str){ text, (size_t)n });
}

static void
write_folded(const struct log_folded *f)
{
	struct log_line l;

	line_begin(&l, reason_level(f->reason), STR("more lines of this reason"));
	log_line_put(&l, "reason", str_of(reason_id(f->reason)));
	log_line_put(&l, "device", f->who.device);
	log_line_put(&l, "module", f->who.module);
	log_line_put(&l, "policy", f->who.policy);
	log_line_put(&l, "address", f->who.address);
	log_line_number(&l, "count", f->count);
	put_u32(&l, "seconds", f->seconds);
	write_line(&l);
}

static void
write_batch(const struct log_batch *b)
{
	uint64_t missing = b->n > 0 ? write_lines(b->p, b->n, b->nline) : 0;

	metric_add(METRIC_LOG_DROPPED, 0, missing);
	atomic_fetch_add(&the.nwritten, b->nline);
	missing += the.lost + b->ndropped;
	the.lost = 0;
	if (missing == 0)
		return;
	write_dropped(missing);
	if (the.lost > 0) /* not even that could be written */
		the.lost = missing;
}

static void
settle_repeats(uint32_t second)
{
	struct log_folded f;
	uint32_t at = 0;

	while (log_fold_next(&the.fold, &at, second, &f))
		write_folded(&f);
	for (unsigned r = REASON_NONE + 1; r < REASONS; r++) {
		f = (struct log_folded){ .reason = (enum reason)r,
			.count = log_fold_settle(&the.fold, (enum reason)r, second) };
		if (f.count > 0)
			write_folded(&f);
	}
}

/* A pipe by name that nobody reads is an error, and not a wait: for a start that no signal ends, or for ever. */
static int
open_file(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
}

static void
reopen(void)
{
	int fd = open_file(the.path);

	if (fd < 0) {
		log_text(LOG_ERROR, "the log file %s cannot be opened, the old one stays: %s",
		    the.path, strerror(errno));
		return;
	}
	close(the.fd);
	the.fd = fd;
	the.torn = the.aside = false;
}

/* The disk may take files again. */
static void
come_back(uint32_t second)
{
	int fd;

	if (!the.aside || second == the.looked)
		return;
	the.looked = second;
	if ((fd = open_file(the.path)) < 0)
		return;
	close(the.fd);
	the.fd = fd;
	the.aside = false;
}

static void
writer(void *arg)
{
	struct log_batch b;

	(void)arg;
	is_writer = true;
	while (log_queue_take(&the.queue, SECOND_US, &b)) {
		write_batch(&b);
		if (atomic_exchange(&the.reopen, false) && the.path != NULL)
			reopen();
		settle_repeats(mono_second());
		come_back(mono_second());
	}
	settle_repeats(UINT32_MAX);
	log_queue_done(&the.queue);
}

/* ---- begin and end ---- */

/* abort() after a failed assertion, or for want of memory: what was said before it is what tells why. Other threads run
 * on while this one waits. */
static void
on_abort(int sig)
{
	(void)sig;
	for (int64_t left = LOG_STOP_US / 1000; left > 0 && !is_writer &&
	     atomic_load(&the.running) && atomic_load(&the.nwritten) != atomic_load(&the.nput);
	     left--)
		clock_sleep_us(1000);
}

/* Not of its path: it may be the one that the data are on, and a hub serves for reading from it. */
static bool
is_of_disk(int error)
{
	return error == EROFS || error == ENOSPC || error == EDQUOT || error == EIO;
}

enum err
log_start(const struct log_options *o)
{
	struct sigaction flush = { .sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND };
	int why;
	bool aside;

	atomic_store(&the.level, (int)o->level);
	atomic_store(&the.json, o->json);
	the.path = o->path != NULL ? str_dup0(str_of(o->path)) : NULL;
	the.fd = o->path != NULL ? open_file(o->path) : o->fd;
	why = errno;
	the.aside = aside = the.fd < 0 && is_of_disk(why);
	if (aside)
		the.fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 0);
	if (the.fd < 0)
		return ERR_IO;
	if (!the.made)
		log_queue_init(&the.queue, LOG_QUEUE_MAX);
	if (!the.made)
		log_fold_init(&the.fold);
	the.made = true;
	log_queue_begin(&the.queue);
	if (thread_start(&the.thread, writer, NULL, NULL, "log") != ERR_OK)
		return ERR_IO;
	sigaction(SIGABRT, &flush, NULL);
	atomic_store(&the.running, true);
	if (aside)
		log_text(LOG_WARN,
		    "the log file %s cannot be opened, lines go to stderr until it can: %s",
		    o->path, strerror(why));
	return ERR_OK;
}

void
log_reopen(void)
{
	atomic_store(&the.reopen, true);
	if (atomic_load(&the.running))
		log_queue_nudge(&the.queue);
}

bool
log_flush(int64_t timeout_us)
{
	return !atomic_load(&the.running) || log_queue_await(&the.queue, timeout_us);
}

void
log_stop(int64_t timeout_us)
{
	if (!atomic_exchange(&the.running, false))
		return;
	log_queue_stop(&the.queue);
	if (!log_queue_await(&the.queue, timeout_us)) {
		thread_let_go(&the.thread); /* nobody reads: the process ends under it */
		return;
	}
	thread_join(&the.thread);
	if (the.path != NULL)
		close(the.fd);
	free(the.path);
	the.path = NULL;
	the.fd = STDERR_FILENO;
}

void
log_fatal(const char *msg)
{
	log_text(LOG_ERROR, "%s", msg);
	log_flush(LOG_STOP_US);
	if (the.path != NULL) { /* the last word is where people look first, too */
		struct buf line = { 0 };

		buf_printf(&line, "twinhub: %s\n", msg);
		stderr_put(buf_view(&line), (int)(LOG_STOP_US / 1000));
		buf_fini(&line);
	}
}

/* ---- lines ---- */

static const char *const level_names[] = { "error", "warn", "info", "debug" };

const char *
log_level_name(enum log_level level)
{
	return level_names[level];
}

bool
log_wants(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&the.level, memory_order_relaxed);
}

static void
line_go(struct log_line *l, enum log_level level)
{
	log_line_end(l);
	metric_add(METRIC_LOG_LINES, level, 1);
	if (!atomic_load(&the.running))
		stderr_put((struct str){ l->text, l->n }, 0);
	else if (log_queue_put(&the.queue, l->text, l->n))
		atomic_fetch_add(&the.nput, 1);
	else
		metric_add(METRIC_LOG_DROPPED, 0, 1);
}

size_t
log_waiting(void)
{
	return the.made ? log_queue_bytes(&the.queue) : 0;
}

void
log_text(enum log_level level, const char *fmt, ...)
{
	char text[LOG_VALUE_MAX + 16]; /* what is over is cut, and marked, as any value */
	struct log_line l;
	va_list ap;

	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	line_begin(&l, level, str_of(text));
	line_go(&l, level);
}

void
log_pairs(enum log_level level, const char *msg, const struct log_pair *pairs)
{
	struct log_line l;

	if (!log_wants(level))
		return;
	line_begin(&l, level, str_of(msg));
	for (; pairs->key != NULL; pairs++)
		log_line_put(&l, pairs->key, pairs->value);
	line_go(&l, level);
}

/* Who asks for every session and request gets them; before there is a log nobody would tell a count. */
static bool
told_again(const struct log_story *s)
{
	struct log_who who = { s->device, s->module, s->policy, str_of(s->peer) };

	return log_wants(LOG_DEBUG) || !atomic_load(&the.running) ||
	    log_fold_admits(&the.fold, s->reason, &who, mono_second());
}

void
log_reason(const struct log_story *s)
{
	static const char *const events[] = {
		[LOG_NOT_ADMITTED] = "connection not admitted",
		[LOG_TLS_FAILED] = "TLS handshake failed",
		[LOG_CONNECT_REFUSED] = "CONNECT refused",
		[LOG_REQUEST_REFUSED] = "request refused",
		[LOG_SUBSCRIPTION_REFUSED] = "subscription refused",
		[LOG_PART_REFUSED] = "refused, the connection stays",
		[LOG_DELAYED] = "delayed, the connection stays",
		[LOG_CLOSED] = "connection closed",
		[LOG_WILL_LOST] = "will not published",
		[LOG_SLOW_QUERY] = "slow query",
		[LOG_RECORD_DAMAGED] = "a stored record is damaged",
		[LOG_MESSAGE_DAMAGED] = "a stored message is damaged",
	};
	enum log_level level = reason_level(s->reason);
	struct log_line l;

	if (!log_wants(level) || !told_again(s))
		return;
	line_begin(&l, level, str_of(events[s->event]));
	log_line_put(&l, "reason", str_of(reason_id(s->reason)));
	log_line_put(&l, "by", str_of(reason_by_name(reason_by(s->reason))));
	log_line_put(&l, "why", str_of(reason_text(s->reason)));
	log_line_put(&l, "device", s->device);
	log_line_put(&l, "module", s->module);
	log_line_put(&l, "policy", s->policy);
	put_u32(&l, "status", s->status);
	log_line_put(&l, "route", str_of(s->route));
	log_line_put(&l, "request", s->request);
	log_line_put(&l, "address", str_of(s->peer));
	put_u32(&l, "ms", s->ms);
	log_line_put(&l, "query", s->query);
	log_line_put(&l, "detail", s->detail);
	line_go(&l, level);
}
