/* A sample of the figures each 10 s, by the wall clock's tens, on a thread of its own: who looks asks the file system, too. */
#include "server/priv.h"

static void
sample(struct server *s, int64_t wall_us, struct chart_sample *out)
{
	struct metric_looks *looks = xcalloc(1, sizeof(*looks));

	metrics_look(s, looks);
	atomic_store(&s->takes_nothing, looks->store_takes_writes[0] == 0);
	chart_sample(out, looks, wall_us, clock_mono_us());
	free(looks);
}

void
admin_chart_now(void *ctx, struct chart_point *out)
{
	struct server *s = ctx;
	struct chart_sample *now = xmalloc(sizeof(*now));

	sample(s, clock_wall_us(), now);
	chart_now(s->chart, now, out);
	free(now);
}

/* False: it is to end. */
static bool
wait_until(struct server *s, int64_t mono_us)
{
	bool stop;

	pthread_mutex_lock(&s->chart_mutex);
	while (!s->chart_stop && cond_wait_until(&s->chart_wake, &s->chart_mutex, mono_us))
		;
	stop = s->chart_stop;
	pthread_mutex_unlock(&s->chart_mutex);
	return !stop;
}

static int64_t
nearest_ten(int64_t wall_us)
{
	return (wall_us + CHART_STEP_US / 2) / CHART_STEP_US * CHART_STEP_US;
}

/* The clock may be set at any moment: a time is what it is when the sample is taken, and no wait is longer than 15 s. */
static void
chart_main(void *arg)
{
	struct server *s = arg;
	struct chart_sample *now = xmalloc(sizeof(*now));
	int64_t wall_us;

	do {
		sample(s, nearest_ten(clock_wall_us()), now);
		chart_add(s->chart, now);
		wall_us = clock_wall_us();
	} while (wait_until(s, clock_mono_us() + nearest_ten(wall_us) + CHART_STEP_US - wall_us));
	free(now);
}

enum err
chart_start(struct server *s)
{
	struct fault f = { 0 };

	pthread_mutex_init(&s->chart_mutex, NULL);
	cond_init(&s->chart_wake);
	if (thread_start(&s->chart_thread, chart_main, s, &f, "figures") == ERR_OK)
		return ERR_OK;
	return fail(s, "%s", f.text);
}

void
chart_stop(struct server *s)
{
	if (!s->chart_thread.runs)
		return;
	pthread_mutex_lock(&s->chart_mutex);
	s->chart_stop = true;
	pthread_cond_signal(&s->chart_wake);
	pthread_mutex_unlock(&s->chart_mutex);
	thread_join(&s->chart_thread);
	pthread_cond_destroy(&s->chart_wake);
	pthread_mutex_destroy(&s->chart_mutex);
}
