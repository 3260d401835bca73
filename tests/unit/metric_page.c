/* Figures: what is counted on any thread is in the page, once, in both formats. */
#include "metric/metric.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *
name_of(enum metric_label label, unsigned kind)
{
	if (label == LABEL_JOB)
		return kind == 1 ? NULL : "somehow";
	return kind == 0 ? "first" : kind == 3 ? "fourth" : NULL;
}

static const struct metric_names names = { name_of };

/* NUL-terminated; the caller's. */
static char *
page(enum metric_format f)
{
	static const struct metric_looks looks = { .store_stall_seconds = { 1.25 },
		.free_space_bytes = { 12345678901234 },
		.queue_length = { [QUEUE_SEATS] = 7 },
		.certificate_left_seconds = { -5.5, NAN } };
	struct buf out = { 0 };

	metric_write(&out, f, &names, &looks);
	buf_putc(&out, '\0');
	return out.p;
}

static bool
has_line(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *p = text; (p = strstr(p, line)) != NULL; p++)
		if ((p == text || p[-1] == '\n') && p[n] == '\n')
			return true;
	return false;
}

static void *
count_some(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 1000; i++)
		metric_add(METRIC_CONNECTS, METRIC_WEBSOCKET, 1);
	metric_add(METRIC_CONNECTIONS, METRIC_WEBSOCKET, 5);
	return NULL;
}

#define CROWD 250u
static pthread_barrier_t all_have_counted;

static void *
count_in_a_crowd(void *arg)
{
	(void)arg;
	metric_add(METRIC_DISCONNECTS, REASON_LEFT, 1);
	pthread_barrier_wait(&all_have_counted);
	for (unsigned i = 1; i < 1000; i++)
		metric_add(METRIC_DISCONNECTS, REASON_LEFT, 1);
	return NULL;
}

/* One after the other they have the same sets; more at once than there are sets share one. */
static void
metric__O120_what_any_thread_counts_is_summed(void **state)
{
	pthread_t t[8], crowd[CROWD];
	char *text;

	(void)state;
	for (unsigned round = 0; round < 30; round++) {
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(pthread_create(&t[i], NULL, count_some, NULL), 0);
		for (unsigned i = 0; i < 8; i++)
			pthread_join(t[i], NULL);
	}
	assert_int_equal(metric_read(METRIC_CONNECTS, METRIC_WEBSOCKET), 240000);
	pthread_barrier_init(&all_have_counted, NULL, CROWD);
	for (unsigned i = 0; i < CROWD; i++)
		assert_int_equal(pthread_create(&crowd[i], NULL, count_in_a_crowd, NULL), 0);
	for (unsigned i = 0; i < CROWD; i++)
		pthread_join(crowd[i], NULL);
	pthread_barrier_destroy(&all_have_counted);
	assert_int_equal(metric_read(METRIC_DISCONNECTS, REASON_LEFT), CROWD * 1000);
	metric_add(METRIC_CONNECTIONS, METRIC_WEBSOCKET, -200);
	text = page(METRIC_PROMETHEUS);
	assert_true(has_line(text, "twinhub_connects_total{protocol=\"websocket\"} 240000"));
	assert_true(has_line(text, "twinhub_connects_total{protocol=\"mqtt\"} 0"));
	assert_true(has_line(text, "twinhub_connections{protocol=\"websocket\"} 1000"));
	free(text);
}

static void
metric__O120_histograms_are_cumulative_and_in_base_units(void **state)
{
	char *text;

	(void)state;
	metric_seen(METRIC_OPERATION_SECONDS, 3, 50000);
	metric_seen(METRIC_OPERATION_SECONDS, 3, 50001);
	metric_seen(METRIC_OPERATION_SECONDS, 3, UINT64_C(20000000000));
	metric_seen(METRIC_COMMIT_SIZE, 0, 100);
	metric_add(METRIC_OPERATIONS, 3 * METRIC_RESULTS + METRIC_REFUSED, 2);
	text = page(METRIC_PROMETHEUS);
	assert_true(has_line(text, "# TYPE twinhub_operation_seconds histogram"));
	assert_true(has_line(
	    text, "twinhub_operation_seconds_bucket{operation=\"fourth\",le=\"5e-05\"} 1"));
	assert_true(has_line(
	    text, "twinhub_operation_seconds_bucket{operation=\"fourth\",le=\"0.0001\"} 2"));
	assert_true(
	    has_line(text, "twinhub_operation_seconds_bucket{operation=\"fourth\",le=\"10.0\"} 2"));
	assert_true(
	    has_line(text, "twinhub_operation_seconds_bucket{operation=\"fourth\",le=\"+Inf\"} 3"));
	assert_true(has_line(text, "twinhub_operation_seconds_count{operation=\"fourth\"} 3"));
	assert_true(
	    has_line(text, "twinhub_operation_seconds_sum{operation=\"fourth\"} 20.000100001"));
	assert_true(has_line(text, "twinhub_commit_size_bytes_bucket{le=\"128.0\"} 1"));
	assert_true(has_line(text, "twinhub_commit_size_bytes_sum 100"));
	assert_true(
	    has_line(text, "twinhub_operations_total{operation=\"fourth\",result=\"refused\"} 2"));
	assert_null(strstr(text, "operation=\"first\",le=")); /* nothing was seen */
	assert_true(has_line(text, "twinhub_store_stall_seconds_total 1.25"));
	assert_true(has_line(text, "twinhub_free_space_bytes 12345678901234"));
	assert_true(has_line(text, "twinhub_queue_length{queue=\"queries-waiting\"} 7"));
	assert_true(
	    has_line(text, "twinhub_certificate_left_seconds{certificate=\"server\"} -5.5"));
	/* not known */
	assert_null(strstr(text, "twinhub_certificate_left_seconds{certificate=\"server-ca\"}"));
	free(text);
}

static void
metric__O121_openmetrics_by_accept(void **state)
{
	static const char *const open[] = {
		"application/openmetrics-text",
		"application/OpenMetrics-Text ; Version=1.0.0",
		"application/openmetrics-text;version=0.0.1;q=1.000",
		"application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1",
		"text/plain;q=0.5;version=0.0.4,*/*;q=1,application/openmetrics-text; q=0.75",
		"text/html, application/openmetrics-text;q=0.001",
		"application/openmetrics-text;version=9,application/openmetrics-text;version=1.0.0",
		/* Prometheus 2 and 3 */
		"application/openmetrics-text;version=1.0.0,application/"
		"openmetrics-text;version=0.0.1;"
		"q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
		"application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
		"escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
	};
	static const char *const text_plain[] = {
		"",
		"*/*",
		"text/plain",
		"application/json",
		"application/*",
		"application/openmetrics-text;q=0",
		"application/openmetrics-text;q=0.000",
		"application/openmetrics-text;q=2",
		"application/openmetrics-text;q=",
		"application/openmetrics-text;q=0.5.5",
		"application/openmetrics-text;q=abc",
		"application/openmetrics-text;q=-1",
		"application/openmetrics-text;version=2.0.0",
		"application/openmetrics-text-x",
		"x-application/openmetrics-text",
		"text/html;a=application/openmetrics-text",
		"text/plain,application/openmetrics-text;q=0.5",
		"text/*;q=0.6,application/openmetrics-text;q=0.5",
		"application/openmetrics-text;q=0.5,*/*",
		",;,;q=;",
	};
	char *text;
	size_t n;

	(void)state;
	for (unsigned i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		if (metric_format_of(str_of(open[i])) != METRIC_OPENMETRICS)
			fail_msg("%s", open[i]);
	for (unsigned i = 0; i < sizeof(text_plain) / sizeof(text_plain[0]); i++)
		if (metric_format_of(str_of(text_plain[i])) != METRIC_PROMETHEUS)
			fail_msg("%s", text_plain[i]);
	metric_seen(METRIC_COMMIT_SECONDS, 0, 1);
	text = page(METRIC_OPENMETRICS);
	n = strlen(text);
	assert_true(has_line(text, "# TYPE twinhub_connects counter"));
	assert_null(strstr(text, "# TYPE twinhub_connects_total"));
	assert_true(has_line(text, "# UNIT twinhub_received_bytes bytes"));
	assert_true(has_line(text, "# UNIT twinhub_commit_seconds seconds"));
	assert_true(has_line(text, "# UNIT twinhub_scrub_progress_ratio ratio"));
	assert_null(strstr(text, "# UNIT twinhub_connects "));
	assert_true(has_line(text, "twinhub_commit_seconds_bucket{le=\"5e-05\"} 1"));
	assert_true(has_line(text, "twinhub_commit_seconds_bucket{le=\"0.25\"} 1"));
	assert_true(has_line(text, "twinhub_commit_seconds_bucket{le=\"10.0\"} 1"));
	assert_string_equal(text + n - 6, "# EOF\n");
	free(text);
	text = page(METRIC_PROMETHEUS);
	assert_true(has_line(text, "# TYPE twinhub_connects_total counter"));
	assert_null(strstr(text, "# EOF"));
	assert_null(strstr(text, "# UNIT"));
	assert_true(has_line(text, "twinhub_commit_seconds_bucket{le=\"10.0\"} 1"));
	free(text);
}

/* Each name of the page has its row, and no more; of what is not known there is no line. */
static void
metric__O124_the_table_has_a_row_for_each_figure(void **state)
{
	char *text = page(METRIC_PROMETHEUS), row[256];
	struct buf table = { 0 };
	unsigned nrow = 0, ntype = 0;

	(void)state;
	metric_table(&table, &names);
	buf_putc(&table, '\0');
	for (const char *p = table.p; (p = strstr(p, "| `twinhub_")) != NULL; p++)
		nrow++;
	for (const char *p = text; (p = strstr(p, "# TYPE ")) != NULL; p++, ntype++) {
		snprintf(row, sizeof(row), "| `%.*s` | ", (int)strcspn(p + 7, " "), p + 7);
		assert_non_null(strstr(table.p, row));
	}
	assert_true(ntype > 80);
	assert_int_equal(nrow, ntype);
	assert_null(strstr(text, "twinhub_certificate_left_seconds{certificate=\"server-ca\"}"));
	buf_fini(&table);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metric__O120_what_any_thread_counts_is_summed),
		cmocka_unit_test(metric__O120_histograms_are_cumulative_and_in_base_units),
		cmocka_unit_test(metric__O121_openmetrics_by_accept),
		cmocka_unit_test(metric__O124_the_table_has_a_row_for_each_figure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
