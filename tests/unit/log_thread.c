/* The queue and the thread: who logs never waits; what is dropped is counted; files are opened anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "log/priv.h"
#include "metric/metric.h"
#include "os/os.h"

/* ---- the queue ---- */

static void
log_queue__a_full_one_drops_and_counts(void **state)
{
	struct log_queue q;
	struct log_batch b;

	(void)state;
	log_queue_init(&q, 20);
	assert_true(log_queue_put(&q, "12345678\n", 9));
	assert_false(log_queue_put(&q, "123456789012\n", 13));
	assert_false(
	    log_queue_put(&q, "1\n", 2)); /* it would fit, but would hide where lines are missing */
	assert_true(log_queue_take(&q, 0, &b));
	assert_int_equal(b.n, 9);
	assert_int_equal(b.nline, 1);
	assert_int_equal(b.ndropped, 2);
	assert_true(log_queue_put(&q, "1\n", 2));
	assert_true(log_queue_take(&q, 0, &b));
	assert_memory_equal(b.p, "1\n", 2);
	assert_int_equal(b.ndropped, 0);
	log_queue_stop(&q);
	assert_true(log_queue_put(&q, "2\n", 2));
	assert_true(log_queue_take(&q, 0, &b));  /* what was there comes before the end */
	assert_false(log_queue_await(&q, 1000)); /* it is being written */
	assert_false(log_queue_take(&q, 0, &b));
	log_queue_done(&q);
	assert_true(log_queue_await(&q, 0));
	log_queue_fini(&q);
}

/* ---- the log over a pipe or a file ---- */

static int reader, writer_end;

static void
start_on_pipe(enum log_level level)
{
	struct log_options o = { .level = level };
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	reader = ends[0];
	writer_end = o.fd = ends[1];
	assert_int_equal(log_start(&o), ERR_OK);
}

static struct buf
rest_of_pipe(void)
{
	struct buf all = { 0 };
	char some[4096];
	ssize_t n;

	close(writer_end);
	while ((n = read(reader, some, sizeof(some))) > 0)
		buf_put(&all, some, (size_t)n);
	buf_putc(&all, '\0');
	close(reader);
	return all;
}

static unsigned
count_of(const char *all, const char *what)
{
	unsigned n = 0;

	for (const char *p = all; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

static void *
read_all(void *arg)
{
	char some[4096];
	struct buf *all = arg;
	ssize_t n;

	while ((n = read(reader, some, sizeof(some))) > 0)
		buf_put(all, some, (size_t)n);
	return NULL;
}

/* Nobody reads: 100,000 lines go nowhere, and take no time. Then somebody reads: nothing is torn, and each line is there or
 * counted. */
static void
log__O120_a_stalled_reader_costs_lines_and_they_are_counted(void **state)
{
	const unsigned long nline = 100000;
	unsigned long there = 0, dropped = 0;
	uint64_t dropped_before = metric_read(METRIC_LOG_DROPPED, 0),
	         lines_before = metric_read(METRIC_LOG_LINES, LOG_INFO);
	struct buf all = { 0 };
	pthread_t thread;
	char *save;

	(void)state;
	start_on_pipe(LOG_INFO);
	for (unsigned long i = 0; i < nline; i++)
		log_text(LOG_INFO, "line %lu", i);
	assert_int_equal(pthread_create(&thread, NULL, read_all, &all), 0);
	log_stop(INT64_C(60000000));
	close(writer_end);
	pthread_join(thread, NULL);
	close(reader);
	buf_putc(&all, '\0');
	for (char *line = strtok_r(all.p, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		const char *count = strstr(line, "msg=\"log lines dropped\" count=");

		assert_memory_equal(line, "ts=", 3);
		if (count != NULL)
			dropped += strtoul(strrchr(count, '=') + 1, NULL, 10);
		else
			there++;
	}
	assert_true(dropped > 0);
	assert_int_equal(there + dropped, nline);
	assert_int_equal(metric_read(METRIC_LOG_DROPPED, 0) - dropped_before, dropped);
	assert_int_equal(metric_read(METRIC_LOG_LINES, LOG_INFO) - lines_before, nline);
	buf_fini(&all);
}

static void
log__ends_in_time_though_nobody_reads(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		start_on_pipe(LOG_INFO);
		for (int i = 0; i < 5000; i++)
			log_text(LOG_INFO, "line %d", i);
		log_stop(10000);
		_exit(3);
	}
	assert_int_equal(
	    waitpid(child, &status, 0), child); /* a hang is ended by the runner's limit */
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

static void
log__levels_and_repeats(void **state)
{
	struct log_story s = { .event = LOG_CLOSED,
		.reason = REASON_KEEP_ALIVE,
		.device = STR("d\n1"),
		.peer = "127.0.0.1:1" };
	struct buf all;

	(void)state;
	start_on_pipe(LOG_INFO);
	log_text(LOG_DEBUG, "not to be seen");
	log_text(LOG_ERROR, "seen");
	for (int i = 0; i < 1000; i++)
		log_reason(&s);
	s.reason = REASON_TLS_LEFT; /* debug */
	log_reason(&s);
	log_stop(INT64_C(60000000));
	all = rest_of_pipe();
	assert_null(strstr(all.p, "not to be seen"));
	assert_non_null(strstr(all.p, "level=error msg=seen\n"));
	assert_null(strstr(all.p, "tls-left"));
	assert_non_null(strstr(all.p,
	    "level=info msg=\"connection closed\" reason=keep-alive by=peer why=\"no packet for "
	    "one and a "
	    "half keep-alive intervals\" device=\"d\\n1\" address=127.0.0.1:1\n"));
	assert_int_equal(count_of(all.p, "msg=\"connection closed\""), LOG_REPEATS);
	assert_non_null(strstr(all.p,
	    "level=info msg=\"more lines of this reason\" reason=keep-alive device=\"d\\n1\" "
	    "count=997\n"));
	buf_fini(&all);
}

static struct buf
file_text(const char *path)
{
	struct buf b = { 0 };
	FILE *f = fopen(path, "r");
	char some[4096];
	size_t n;

	assert_non_null(f);
	while ((n = fread(some, 1, sizeof(some), f)) > 0)
		buf_put(&b, some, n);
	fclose(f);
	buf_putc(&b, '\0');
	return b;
}

/* A file that takes only so much, as on a full disk: what is in it are whole lines, and the count is of the others. */
static void
log__O31_a_full_disk_tears_no_line(void **state)
{
	char path[] = "/tmp/twinhub-log-XXXXXX";
	struct log_options o = { .level = LOG_INFO, .path = path, .json = true };
	struct rlimit all, small = { 0 };
	unsigned there = 0, dropped = 0;
	struct buf text = { 0 };
	char *save;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(log_start(&o), ERR_OK);
	small = (struct rlimit){ .rlim_cur = 1000, .rlim_max = all.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < 100; i++)
		log_text(LOG_INFO, "line %d", i);
	for (int i = 0; i < 12; i++) /* two of them are counted, and told by the thread itself */
		log_reason(&(struct log_story){ .reason = REASON_STOPPING });
	assert_true(log_flush(INT64_C(10000000)));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	log_text(LOG_INFO, "there is room again");
	log_stop(INT64_C(10000000));
	assert_int_equal(os_read_file(path, 1 << 20, &text, NULL), ERR_OK);
	unlink(path);
	buf_putc(&text, '\0');
	for (char *line = strtok_r(text.p, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		const char *count = strstr(line, "\"log lines dropped\",\"count\":");

		assert_memory_equal(line, "{\"ts\":", 6);
		assert_int_equal(line[strlen(line) - 1], '}');
		assert_null(strstr(line + 1, "{\"ts\":"));
		if (count != NULL)
			dropped += (unsigned)strtoul(strrchr(count, ':') + 1, NULL, 10);
		else
			there++;
	}
	assert_true(there > 2);
	assert_true(dropped > 0);
	/* and the line with the count of those two; or they came in two seconds, and were told */
	assert_in_range(there + dropped, 112, 113);
	buf_fini(&text);
}

static void
log__O17_a_long_text_is_cut_and_marked(void **state)
{
	char text[2 * LOG_VALUE_MAX];
	struct buf all;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	start_on_pipe(LOG_INFO);
	log_text(LOG_INFO, "%s", text);
	log_stop(INT64_C(10000000));
	all = rest_of_pipe();
	assert_non_null(strstr(all.p, "xx...\"\n"));
	buf_fini(&all);
}

static void
log__a_moved_file_is_opened_anew(void **state)
{
	char dir[] = "/tmp/twinhub-log-XXXXXX", path[64], moved[64];
	struct log_options o = { .level = LOG_INFO, .path = path };
	struct buf before, after;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(moved, sizeof(moved), "%s/log.1", dir);
	assert_int_equal(log_start(&o), ERR_OK);
	log_text(LOG_INFO, "first");
	assert_true(log_flush(INT64_C(60000000)));
	assert_int_equal(rename(path, moved), 0);
	log_text(LOG_INFO, "second"); /* still there */
	assert_true(log_flush(INT64_C(60000000)));
	log_reopen();
	while (stat(path, &st) != 0)
		usleep(1000);
	log_text(LOG_INFO, "third");
	log_stop(INT64_C(60000000));
	before = file_text(moved);
	after = file_text(path);
	assert_non_null(strstr(before.p, "msg=first"));
	assert_non_null(strstr(before.p, "msg=second"));
	assert_non_null(strstr(after.p, "msg=third"));
	assert_null(strstr(after.p, "msg=second"));
	buf_fini(&before);
	buf_fini(&after);
	unlink(path);
	unlink(moved);
	rmdir(dir);
	snprintf(path, sizeof(path), "%s/none/log", dir);
	assert_int_equal(log_start(&o), ERR_IO);
	assert_int_equal(errno, ENOENT);
}

static void
log__what_was_said_before_an_abort_gets_out(void **state)
{
	struct buf all;
	pid_t child;
	int status;

	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		struct log_options o = { .level = LOG_INFO, .fd = ends[1] };

		if (log_start(&o) != ERR_OK)
			_exit(1);
		for (int i = 0; i < 100; i++)
			log_text(LOG_INFO, "line %d", i);
		log_text(LOG_ERROR, "the last word");
		abort();
	}
	reader = ends[0];
	writer_end = ends[1];
	all = rest_of_pipe();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(all.p, "msg=\"the last word\"\n"));
	buf_fini(&all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_queue__a_full_one_drops_and_counts),
		cmocka_unit_test(log__what_was_said_before_an_abort_gets_out),
		cmocka_unit_test(log__ends_in_time_though_nobody_reads),
		cmocka_unit_test(log__O120_a_stalled_reader_costs_lines_and_they_are_counted),
		cmocka_unit_test(log__levels_and_repeats),
		cmocka_unit_test(log__O31_a_full_disk_tears_no_line),
		cmocka_unit_test(log__O17_a_long_text_is_cut_and_marked),
		cmocka_unit_test(log__a_moved_file_is_opened_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
