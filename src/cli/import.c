/*
 * import: batches of lines on their way to the hub, some at a time, each by a thread of its own. Their answers are taken in
 * the order of the file. Before a batch goes, FILE.progress says that it may have been applied: whoever resumes sends it
 * once more and tells the hub so.
 */
#include "cli/import.h"
#include "os/os.h"
#include "os/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SENDERS 3u

enum sender_state { SENDER_IDLE, SENDER_BUSY, SENDER_BACK, SENDER_END };

struct sender {
	struct import *import;
	struct thread thread;
	pthread_mutex_t mu;
	pthread_cond_t changed;
	enum sender_state state;
	struct batch batch;
	bool again;
	struct answer answer;
	int code;
	char why[WHY_MAX];
};

struct import {
	const struct args *args;
	struct target target;
	const char *path;
	struct line_reader reader;
	struct converted converted; /* of a file that holds no lines */
	struct progress progress;
	bool keeps; /* progress, in a file */
	char progress_path[DATA_PATH_MAX], errors_path[DATA_PATH_MAX];
	int file;              /* descriptor; -1: stdin */
	int errors;            /* descriptor; -1: there are none yet */
	uint64_t again_before; /* offset: what may have been applied by a run before this */
	struct sender senders[SENDERS];
	unsigned nsender;
	int64_t begun_us;
};

/* ---- a sender ---- */

/* The hub is away, or busy: the same may work in a moment. */
static bool
worth_another(const struct sender *s)
{
	return s->code == EXIT_UNREACHABLE || s->answer.status == 503 || s->answer.status == 429;
}

static void
batch_post(struct sender *s)
{
	const char *mode = s->import->args->option[OPT_MODE];
	struct buf path = { 0 };

	buf_printf(&path, "/admin/import?firstLine=%llu&strict=yes%s",
	    (unsigned long long)s->batch.line, s->again ? "&again=yes" : "");
	if (mode != NULL) {
		buf_cstr(&path, "&importMode=");
		buf_percent(&path, str_of(mode));
	}
	buf_putc(&path, '\0');
	s->code = hub_try(&s->import->target,
	    &(struct ask){ .method = POST, .path = path.p, .body = buf_view(&s->batch.text) },
	    &s->answer, s->why);
	buf_fini(&path);
}

static void
batch_send(struct sender *s)
{
	const struct target *t = &s->import->target;
	int64_t until_us = clock_mono_us() + (int64_t)t->timeout_s * 1000000;

	for (int64_t rest_us = 100000;; rest_us = rest_us < 1600000 ? 2 * rest_us : rest_us) {
		if (s->batch.configurations)
			s->code = configurations_send(
			    t, buf_view(&s->batch.text), s->batch.line, &s->answer, s->why);
		else
			batch_post(s);
		if (s->code == EXIT_DONE || !worth_another(s) || clock_mono_us() >= until_us)
			break;
		s->again = true;
		clock_sleep_us(rest_us);
	}
}

/* Until it is in one of two states; which one. */
static enum sender_state
sender_wait(struct sender *s, enum sender_state is, enum sender_state or)
{
	enum sender_state state;

	pthread_mutex_lock(&s->mu);
	while (s->state != is && s->state != or)
		pthread_cond_wait(&s->changed, &s->mu);
	state = s->state;
	pthread_mutex_unlock(&s->mu);
	return state;
}

static void
sender_set(struct sender *s, enum sender_state state)
{
	pthread_mutex_lock(&s->mu);
	s->state = state;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->mu);
}

static void
sender_main(void *arg)
{
	struct sender *s = arg;

	while (sender_wait(s, SENDER_BUSY, SENDER_END) == SENDER_BUSY) {
		batch_send(s);
		sender_set(s, SENDER_BACK);
	}
}

static int
senders_start(struct import *im)
{
	struct fault f;

	for (; im->nsender < SENDERS; im->nsender++) {
		struct sender *s = &im->senders[im->nsender];

		s->import = im;
		pthread_mutex_init(&s->mu, NULL);
		cond_init(&s->changed);
		if (thread_start(&s->thread, sender_main, s, &f, "sender %u", im->nsender) !=
		    ERR_OK)
			return cli_fail(EXIT_FAILED, "%s", f.text);
	}
	return EXIT_DONE;
}

/* Those that are busy end first. */
static void
senders_stop(struct import *im)
{
	for (unsigned i = 0; i < im->nsender; i++) {
		struct sender *s = &im->senders[i];

		sender_wait(s, SENDER_IDLE, SENDER_BACK);
		sender_set(s, SENDER_END);
		thread_join(&s->thread);
		answer_fini(&s->answer);
		buf_fini(&s->batch.text);
	}
}

/* ---- what came of a batch ---- */

static int
errors_open(struct import *im)
{
	if (im->errors >= 0)
		return EXIT_DONE;
	if (!im->keeps) {
		im->errors = STDERR_FILENO;
		return EXIT_DONE;
	}
	im->errors = open(im->errors_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (im->errors < 0 || lseek(im->errors, 0, SEEK_END) < 0)
		return cli_fail(
		    EXIT_FAILED, "%s cannot be written: %s", im->errors_path, strerror(errno));
	return EXIT_DONE;
}

static int
errors_put(struct import *im, struct str lines)
{
	int code = lines.n > 0 ? errors_open(im) : EXIT_DONE;

	im->progress.error_bytes += lines.n;
	if (code == EXIT_DONE && !terminal_write(im->errors, lines))
		code = cli_fail(EXIT_FAILED, "the errors cannot be written: %s", strerror(errno));
	return code;
}

static uint64_t
number(struct doc d, struct str key)
{
	struct doc v = doc_get(d, key);

	return doc_kind(v) == DOC_INT && doc_int(v) > 0 ? (uint64_t)doc_int(v) : 0;
}

/* The line's number is that in the file. */
static void
error_put(const struct import *im, struct buf *out, struct doc error)
{
	struct doc_iter it = doc_iter(error);
	uint64_t line = number(error, STR("line"));
	struct out o = out_to(out);
	struct str key;
	struct doc d;

	if (im->converted.lines != NULL && line > 0 && line <= im->converted.n)
		line = im->converted.origin[line - 1];
	out_open(&o);
	out_u64(out_key(&o, "line"), line);
	while (doc_next(&it, &key, &d))
		if (!str_eq(key, STR("line")))
			out_doc(out_key_str(&o, key), d);
	out_close(&o);
	buf_putc(out, '\n');
}

static int
answer_take(struct import *im, struct doc answer)
{
	struct doc_iter it = doc_iter(doc_getc(answer, "errors"));
	struct buf lines = { 0 };
	struct str key;
	struct doc d;
	int code;

	im->progress.done += number(answer, STR("done"));
	im->progress.there += number(answer, STR("there"));
	im->progress.failed += number(answer, STR("failed"));
	while (doc_next(&it, &key, &d))
		error_put(im, &lines, d);
	code = errors_put(im, buf_view(&lines));
	buf_fini(&lines);
	return code;
}

static int
batch_failed(const struct import *im, const struct sender *s)
{
	unsigned long long line = s->batch.line;

	if (im->keeps)
		return cli_fail((enum exit_code)s->code,
		    "%.300s (everything before line %llu is done, --resume goes on)", s->why, line);
	return cli_fail(
	    (enum exit_code)s->code, "%.300s (everything before line %llu is done)", s->why, line);
}

static int
batch_back(struct import *im, struct sender *s)
{
	int code;

	sender_wait(s, SENDER_BACK, SENDER_BACK);
	sender_set(s, SENDER_IDLE);
	if (s->code != EXIT_DONE)
		return batch_failed(im, s);
	code = answer_take(im, doc_of(buf_view(&s->answer.doc)));
	im->progress.offset = s->batch.end;
	im->progress.line = s->batch.next_line;
	return code;
}

/* ---- the run ---- */

static int
progress_keep(struct import *im)
{
	if (!im->keeps || progress_write(im->progress_path, &im->progress) == ERR_OK)
		return EXIT_DONE;
	return cli_fail(
	    EXIT_FAILED, "%s cannot be written: %s", im->progress_path, strerror(errno));
}

static int
line_too_long(struct import *im, const struct batch *b)
{
	struct buf line = { 0 };
	int code;

	import_long_line_write(&line, b->line, b->too_long);
	im->progress.failed++;
	im->progress.offset = b->end;
	im->progress.line = b->next_line;
	code = errors_put(im, buf_view(&line));
	buf_fini(&line);
	return code;
}

/* The batches from..to, oldest first. */
static int
batches_back(struct import *im, uint64_t *from, uint64_t to)
{
	int code = EXIT_DONE;

	while (*from < to && code == EXIT_DONE)
		code = batch_back(im, &im->senders[(*from)++ % SENDERS]);
	return code;
}

static int
batch_go(struct import *im, struct sender *s)
{
	int code;

	s->again = s->batch.offset < im->again_before;
	if (s->batch.end > im->progress.sent)
		im->progress.sent = s->batch.end;
	code = progress_keep(im);
	if (code == EXIT_DONE)
		sender_set(s, SENDER_BUSY);
	return code;
}

static int
import_run(struct import *im)
{
	uint64_t first = 0, next = 0; /* batches: the oldest under way, the one to be read */
	int code = senders_start(im);

	while (code == EXIT_DONE) {
		struct sender *s = &im->senders[next % SENDERS];

		if (next >= SENDERS &&
		    (code = batches_back(im, &first, next - SENDERS + 1)) != EXIT_DONE)
			break;
		if (batch_read(&im->reader, &s->batch) != ERR_OK)
			return cli_fail(
			    EXIT_FAILED, "%s cannot be read: %s", im->path, strerror(errno));
		if ((s->batch.alone || s->batch.too_long > 0 || s->batch.text.n == 0) &&
		    (code = batches_back(im, &first, next)) != EXIT_DONE)
			break;
		if (s->batch.too_long > 0) {
			code = line_too_long(im, &s->batch);
			continue;
		}
		if (s->batch.text.n == 0)
			break;
		code = batch_go(im, s);
		next++;
	}
	return code;
}

/* ---- begin and end ---- */

static int
go_on(struct import *im)
{
	enum err e = progress_read(im->progress_path, &im->progress);
	struct stat st;

	if (e != ERR_OK)
		return cli_fail(e == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_DAMAGED,
		    e == ERR_NOT_FOUND ? "there is no %s: nothing is to be resumed"
		                       : "%s cannot be read",
		    im->progress_path);
	if (fstat(im->reader.fd, &st) != 0 || (uint64_t)st.st_size != im->progress.size)
		return cli_fail(EXIT_FAILED, "%s is not the file that %s is about", im->path,
		    im->progress_path);
	if (lseek(im->reader.fd, (off_t)im->progress.offset, SEEK_SET) < 0)
		return cli_fail(EXIT_FAILED, "%s cannot be read: %s", im->path, strerror(errno));
	im->reader.in.n = im->reader.from = 0; /* what was read to see what it is */
	im->reader.eof = false;
	im->reader.offset = im->progress.offset;
	im->reader.line = im->progress.line;
	im->again_before = im->progress.sent;
	if (truncate(im->errors_path, (off_t)im->progress.error_bytes) != 0 && errno != ENOENT)
		return cli_fail(
		    EXIT_FAILED, "%s cannot be written: %s", im->errors_path, strerror(errno));
	return EXIT_DONE;
}

static int
begin(struct import *im, bool resume)
{
	struct stat st;

	if (resume)
		return go_on(im);
	if (im->args->option[OPT_DRY_RUN] != NULL)
		return EXIT_DONE;
	if (access(im->progress_path, F_OK) == 0)
		return cli_fail(EXIT_CONFLICT,
		    "%s exists, an import was cut short: --resume goes on with it, else remove it",
		    im->progress_path);
	if (fstat(im->reader.fd, &st) == 0)
		im->progress.size = (uint64_t)st.st_size;
	unlink(im->errors_path);
	im->progress.failed = im->converted.nfault;
	return errors_put(im, buf_view(&im->converted.faults));
}

/* What the file holds: its own lines, or what can be made into lines. */
static int
lines_find(struct import *im)
{
	bool dry = im->args->option[OPT_DRY_RUN] != NULL;
	enum foreign_kind kind;
	struct str head;
	int code;

	if (line_reader_peek(&im->reader, &head) != ERR_OK)
		return cli_fail(EXIT_FAILED, "%s cannot be read: %s", im->path, strerror(errno));
	kind = foreign_kind(head);
	if (kind == FOREIGN_LINES)
		return EXIT_DONE;
	if (kind != FOREIGN_STATE && kind != FOREIGN_CSV)
		return cli_fail(EXIT_USAGE,
		    "%s is %s: an import takes lines of JSON, one object each, a state file of az "
		    "iot "
		    "hub state export, or CSV with a heading, as UTF-8",
		    im->path, foreign_name(kind));
	if (!im->keeps)
		return cli_fail(EXIT_USAGE, "stdin is %s: give it as a file", foreign_name(kind));
	code = convert_file(dry ? NULL : &im->target, kind, im->path, im->file, &im->converted);
	if (code != EXIT_DONE)
		return code;
	buf_fini(&im->reader.in);
	im->reader = (struct line_reader){ .fd = fileno(im->converted.lines), .line = 1 };
	return EXIT_DONE;
}

static int
import_open(struct import *im)
{
	const char *path = im->args->operand[0];
	bool resume = im->args->option[OPT_RESUME] != NULL;
	int code;

	im->path = path;
	im->keeps = strcmp(path, "-") != 0;
	if (!im->keeps) {
		im->reader.fd = STDIN_FILENO;
		return resume ? cli_fail(EXIT_USAGE, "--resume needs a file") : lines_find(im);
	}
	if (snprintf(im->progress_path, DATA_PATH_MAX, "%s.progress", path) >= DATA_PATH_MAX ||
	    snprintf(im->errors_path, DATA_PATH_MAX, "%s.errors", path) >= DATA_PATH_MAX)
		return cli_fail(EXIT_USAGE, "the path of the file is too long");
	im->reader.fd = im->file = open(path, O_RDONLY | O_CLOEXEC);
	if (im->file < 0)
		return cli_fail(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED,
		    "%s cannot be opened: %s", path, strerror(errno));
	code = lines_find(im);
	return code == EXIT_DONE ? begin(im, resume) : code;
}

static void
show_import(const struct import *im)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);
	const struct progress *p = &im->progress;
	double s = (double)(clock_mono_us() - im->begun_us) / 1e6;
	unsigned long long done = p->done, there = p->there, failed = p->failed;

	if (output_json(im->args)) {
		out_open(&o);
		out_u64(out_key(&o, "done"), p->done);
		out_u64(out_key(&o, "there"), p->there);
		out_u64(out_key(&o, "failed"), p->failed);
		out_fixed(out_key(&o, "seconds"), s, 3);
		if (im->converted.passed.n > 0) {
			out_list(out_key(&o, "passedOver"));
			out_json(&o, buf_view(&im->converted.passed));
			out_close(&o);
		}
		out_close(&o);
		json_say(&json);
		return;
	}
	printf("%llu lines done in %.1f s", done, s);
	if (there > 0)
		printf(", %llu of them before", there);
	if (failed > 0)
		printf(", %llu refused", failed);
	printf("\n");
	if (im->converted.passed.n > 0)
		printf("passed over: [" STR_FMT "]\n", STR_ARG(buf_view(&im->converted.passed)));
}

static int
import_end(struct import *im)
{
	if (im->keeps && unlink(im->progress_path) != 0 && errno != ENOENT)
		return cli_fail(
		    EXIT_FAILED, "%s cannot be removed: %s", im->progress_path, strerror(errno));
	show_import(im);
	if (im->progress.done + im->progress.there + im->progress.failed == 0)
		cli_warn("the file has no lines: nothing was done");
	if (im->progress.failed == 0)
		return EXIT_DONE;
	if (!im->keeps)
		return EXIT_FAILED; /* told line by line */
	return cli_fail(EXIT_FAILED, "%llu lines were refused: see %s",
	    (unsigned long long)im->progress.failed, im->errors_path);
}

/* The lines as they would be sent. What cannot be made one is told on stderr. */
static int
dry_run(struct import *im)
{
	struct batch b = { 0 };
	enum err e;

	while ((e = batch_read(&im->reader, &b)) == ERR_OK && (b.text.n > 0 || b.too_long > 0))
		say_str(buf_view(&b.text));
	buf_fini(&b.text);
	if (e != ERR_OK)
		return cli_fail(EXIT_FAILED, "%s cannot be read: %s", im->path, strerror(errno));
	fflush(stdout);
	if (im->converted.nfault == 0)
		return EXIT_DONE;
	fwrite(im->converted.faults.p, 1, im->converted.faults.n, stderr);
	return cli_fail(
	    EXIT_FAILED, "%llu lines would be refused", (unsigned long long)im->converted.nfault);
}

static bool
deletes(const struct args *a)
{
	return a->option[OPT_MODE] != NULL &&
	    str_starts(str_of(a->option[OPT_MODE]), STR("delete"));
}

/* One word more or less turns a file that fills a hub into one that empties it. */
static int
may_begin(const struct args *a)
{
	char answer[8] = "";

	if (a->option[OPT_DRY_RUN] != NULL && a->option[OPT_RESUME] != NULL)
		return cli_fail(EXIT_USAGE, "--dry-run and --resume exclude each other");
	if (!deletes(a) || a->option[OPT_YES] != NULL || a->option[OPT_DRY_RUN] != NULL)
		return EXIT_DONE;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return cli_fail(EXIT_USAGE,
		    "--mode %s removes what the file names: give --yes, or --dry-run to see the "
		    "lines",
		    a->option[OPT_MODE]);
	fprintf(stderr,
	    "Remove all identities that %s names, with their twins? yes or no: ", a->operand[0]);
	fflush(stderr); /* a line of a guarded terminal waits for its end */
	if (fgets(answer, sizeof(answer), stdin) != NULL && strcmp(answer, "yes\n") == 0)
		return EXIT_DONE;
	return cli_fail(EXIT_FAILED, "nothing was removed");
}

int
cli_import(const struct args *a)
{
	struct import *im = xcalloc(1, sizeof(*im));
	int code;

	im->args = a;
	im->errors = im->file = im->reader.fd = -1;
	im->reader.line = im->progress.line = 1;
	im->begun_us = clock_mono_us();
	if ((code = may_begin(a)) != EXIT_DONE)
		goto done;
	if ((code = target_open(a, &im->target)) != EXIT_DONE)
		goto done;
	if ((code = import_open(im)) != EXIT_DONE)
		goto done;
	if (a->option[OPT_DRY_RUN] != NULL) {
		code = dry_run(im);
		goto done;
	}
	code = import_run(im);
	senders_stop(im);
	if (code == EXIT_DONE)
		code = import_end(im);
	else
		progress_keep(im);
done:
	converted_fini(&im->converted);
	if (im->file >= 0)
		close(im->file);
	if (im->keeps && im->errors >= 0)
		close(im->errors);
	buf_fini(&im->reader.in);
	target_fini(&im->target);
	free(im);
	return code;
}
