/* The last day in figures: what a point is of, what several become, and how many there are. */
#include "metric/chart.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEN_US CHART_STEP_US

static struct metric_looks looks;
static struct chart_point points[CHART_POINTS];

static void
sample(struct chart *c, int64_t us)
{
	struct chart_sample now;

	chart_sample(&now, &looks, us, us);
	chart_add(c, &now);
}

static bool
near(double a, double b)
{
	return fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b));
}

/* What was counted before the first sample is nobody's. */
static void
metric__O125_rates_and_percentiles_are_of_the_time_between_two_points(void **state)
{
	struct chart *c = chart_new();

	(void)state;
	metric_add(METRIC_OPERATIONS, METRIC_FAILED, 1000);
	metric_seen(METRIC_OPERATION_SECONDS, 0, UINT64_C(9000000000));
	looks.store_commit_bytes[0] = 5000;
	sample(c, TEN_US);
	assert_int_equal(chart_read(c, 0, TEN_US, points), 0);
	metric_add(METRIC_OPERATIONS, METRIC_OK, 60);
	metric_add(METRIC_OPERATIONS, 3 * METRIC_RESULTS + METRIC_OK, 10);
	metric_add(METRIC_OPERATIONS, 3 * METRIC_RESULTS + METRIC_REFUSED, 30);
	for (unsigned i = 0; i < 100; i++)
		metric_seen(METRIC_OPERATION_SECONDS, i % 2, i < 98 ? 60000 : 7000000);
	metric_add(METRIC_DOCUMENT_HITS, 0, 3);
	metric_add(METRIC_DOCUMENT_MISSES, 0, 1);
	metric_add(METRIC_CONNECTIONS, METRIC_MQTT, 4);
	metric_add(METRIC_CONNECTIONS, METRIC_WEBSOCKET, 3);
	looks.store_commit_bytes[0] = 7000;
	looks.queue_length[QUEUE_SEATS] = 9;
	looks.sink_lag_events[METRIC_FILE] = 12;
	looks.sink_lag_events[METRIC_KAFKA] = 5;
	looks.jobs[METRIC_JOB_RUNNING] = 2;
	looks.jobs[METRIC_JOB_RUNNING + 1] = 50;
	sample(c, 2 * TEN_US);
	assert_int_equal(chart_read(c, 0, TEN_US, points), 1);
	assert_int_equal(points[0].time_us, 2 * TEN_US);
	assert_true(near(points[0].v[CHART_OPERATIONS], 10));
	assert_true(near(points[0].v[CHART_OPERATIONS_REFUSED], 3));
	assert_true(near(points[0].v[CHART_OPERATIONS_FAILED], 0));
	assert_true(near(points[0].v[CHART_OPERATION_P50], 50e-6 + 50e-6 * 50 / 98));
	/* the 99th of 100 is the first of two between 5 and 10 ms */
	assert_true(near(points[0].v[CHART_OPERATION_P99], 7.5e-3));
	assert_true(near(points[0].v[CHART_DOCUMENT_HITS], 0.75));
	assert_true(near(points[0].v[CHART_COMMIT_BYTES], 200));
	assert_true(near(points[0].v[CHART_CONNECTIONS], 7));
	assert_true(near(points[0].v[CHART_QUERIES_WAITING], 9));
	assert_true(near(points[0].v[CHART_SINK_LAG], 12));
	assert_true(near(points[0].v[CHART_JOBS_RUNNING], 2));
	assert_true(isnan(points[0].v[CHART_QUERY_P99]));
	assert_true(isnan(points[0].v[CHART_BLOCK_HITS]));
	chart_free(c);
}

/* The store counts from 0 again when it was opened again: that is no negative rate. */
static void
metric__O125_a_count_that_begins_anew_has_no_rate_below_0(void **state)
{
	struct chart *c = chart_new();

	(void)state;
	looks.store_commit_bytes[0] = 7000;
	sample(c, TEN_US);
	looks.store_commit_bytes[0] = 10;
	sample(c, 2 * TEN_US);
	assert_int_equal(chart_read(c, 0, TEN_US, points), 1);
	assert_true(points[0].v[CHART_COMMIT_BYTES] == 0);
	chart_free(c);
}

/* Mean, most and least, each by its figure; what is not known counts for nothing; a step's time is its end. */
static void
metric__O125_points_of_a_step_become_one(void **state)
{
	struct chart *c = chart_new();

	(void)state;
	sample(c, 5 * TEN_US);
	for (int i = 6; i <= 13; i++) { /* 7 to 12 are a minute */
		looks.free_space_bytes[0] = i == 9 ? 5 : 100;
		looks.queue_length[QUEUE_SEATS] = i == 8 ? 40 : 0;
		metric_add(METRIC_OPERATIONS, METRIC_OK, i == 12 ? 60 : 0);
		if (i == 11)
			metric_add(METRIC_DOCUMENT_HITS, 0, 1);
		sample(c, i * TEN_US);
	}
	assert_int_equal(chart_read(c, 0, 6 * TEN_US, points), 3);
	assert_int_equal(points[0].time_us, 6 * TEN_US);
	assert_int_equal(points[1].time_us, 12 * TEN_US);
	assert_int_equal(points[2].time_us, 18 * TEN_US);
	assert_true(points[1].v[CHART_FREE_BYTES] == 5);
	assert_true(points[1].v[CHART_QUERIES_WAITING] == 40);
	assert_true(near(points[1].v[CHART_OPERATIONS], 1));
	assert_true(points[1].v[CHART_DOCUMENT_HITS] == 1);
	assert_true(isnan(points[2].v[CHART_DOCUMENT_HITS]));
	/* from a time on, inclusively */
	assert_int_equal(chart_read(c, 13 * TEN_US, TEN_US, points), 1);
	assert_int_equal(chart_read(c, 13 * TEN_US + 1, TEN_US, points), 0);
	chart_free(c);
}

static void
metric__O126_the_ring_has_a_day_and_no_more(void **state)
{
	struct chart *c = chart_new();
	const uint32_t day = 24 * 60 * 6;

	(void)state;
	assert_int_equal(CHART_POINTS, day);
	assert_true(sizeof(points) <= CHART_BYTES_MAX);
	for (uint32_t i = 1; i <= day + 3; i++)
		sample(c, i * TEN_US);
	assert_int_equal(chart_read(c, 0, TEN_US, points), day);
	assert_int_equal(points[0].time_us, 4 * TEN_US);
	assert_int_equal(points[day - 1].time_us, (int64_t)(day + 3) * TEN_US);
	chart_free(c);
}

/* Shortly behind a sample it is of the one before: of a tenth of a second nothing can be said. */
static void
metric__O125_now_is_of_two_seconds_at_least(void **state)
{
	struct chart *c = chart_new();
	struct chart_sample now;
	struct chart_point p;

	(void)state;
	chart_sample(&now, &looks, TEN_US, TEN_US);
	chart_now(c, &now, &p);
	assert_true(isnan(p.v[CHART_OPERATIONS])); /* there was no sample yet */
	sample(c, TEN_US);
	metric_add(METRIC_OPERATIONS, METRIC_OK, 100);
	sample(c, 2 * TEN_US);
	metric_add(METRIC_OPERATIONS, METRIC_OK, 10);
	chart_sample(&now, &looks, 2 * TEN_US + 1000000, 2 * TEN_US + 1000000);
	chart_now(c, &now, &p);
	assert_true(near(p.v[CHART_OPERATIONS], 10));
	assert_int_equal(p.time_us, 2 * TEN_US + 1000000);
	chart_sample(&now, &looks, 2 * TEN_US + 4000000, 2 * TEN_US + 4000000);
	chart_now(c, &now, &p);
	assert_true(near(p.v[CHART_OPERATIONS], 2.5));
	chart_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    metric__O125_rates_and_percentiles_are_of_the_time_between_two_points),
		cmocka_unit_test(metric__O125_a_count_that_begins_anew_has_no_rate_below_0),
		cmocka_unit_test(metric__O125_points_of_a_step_become_one),
		cmocka_unit_test(metric__O126_the_ring_has_a_day_and_no_more),
		cmocka_unit_test(metric__O125_now_is_of_two_seconds_at_least),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
