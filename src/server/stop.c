/* Stopping: no new work, answers to what is in hand, goodbyes, then everything is taken down. */
#include "server/priv.h"
#include "transfer/transfer.h"

#include <stdlib.h>
#include <unistd.h>

struct stop_msg {
	struct msg msg;
	struct io *io;
	atomic_uint *busy;
};

static void
stop_listening(struct msg *m)
{
	struct stop_msg *sm = container_of(m, struct stop_msg, msg);

	for (unsigned i = 0; i < sm->io->nlistener; i++)
		listener_free(sm->io->listeners[i]);
	sm->io->nlistener = 0;
	if (sm->io->rollouts != NULL)
		rollouts_stop(sm->io->rollouts);
	http_loop_stop(sm->io->http);
	free(sm);
}

static void
close_sessions(struct msg *m)
{
	struct stop_msg *sm = container_of(m, struct stop_msg, msg);

	mqtt_loop_close(sm->io->mqtt);
	free(sm);
}

static void
count_busy(struct msg *m)
{
	struct stop_msg *sm = container_of(m, struct stop_msg, msg);

	atomic_store(sm->busy,
	    mqtt_loop_busy(sm->io->mqtt) + http_loop_busy(sm->io->http) +
	        (sm->io->rollouts != NULL && rollouts_busy(sm->io->rollouts)) + 1);
	free(sm);
}

static void
tell(struct server *s, unsigned i, void (*run)(struct msg *m), atomic_uint *busy)
{
	struct stop_msg *sm = xcalloc(1, sizeof(*sm));

	sm->msg.run = run;
	sm->io = &s->io[i];
	sm->busy = busy;
	loop_post(s->loops[i], &sm->msg);
}

/* Until nothing is under way on any loop, or the time is over: then false. */
static bool
wait_idle(struct server *s, int64_t until_us)
{
	for (unsigned i = 0; i < s->nio;) {
		atomic_uint busy = 0;

		tell(s, i, count_busy, &busy);
		while (atomic_load(&busy) == 0)
			clock_sleep_us(1000);
		if (atomic_load(&busy) == 1)
			i++;
		else if (clock_mono_us() >= until_us)
			return false;
		else
			clock_sleep_us(10000);
	}
	return true;
}

void
server_stop(struct server *s)
{
	int64_t until_us = clock_mono_us() + STOP_US;

	for (unsigned i = 0; i < s->nio; i++)
		tell(s, i, stop_listening, NULL);
	/* Sessions end first, while their shards still hear of it: wills are stored. */
	for (unsigned i = 0; i < s->nio; i++)
		tell(s, i, close_sessions, NULL);
	backups_stop(s);
	wait_idle(s, until_us);
	metrics_stop(s);
	chart_stop(s);
	file_jobs_stop(s->file_jobs);   /* while the end of one can still be written */
	deliveries_stop(s->deliveries); /* as can cursors */
	common_stop();
	nodes_stop(s);
	fleet_stop(s->fleet);
	if (!wait_idle(s, until_us)) {
		/* A client that takes no answer. All that was acknowledged is on disk. */
		log_text(LOG_WARN, "stopped before everything under way had its answer");
		log_stop(LOG_STOP_US);
		_exit(0);
	}
	for (unsigned i = 0; i < s->nio; i++)
		loop_stop(s->loops[i]);
	for (unsigned i = 0; i < s->nio; i++)
		loop_join(s->loops[i]);
	nodes_part(s);
	for (unsigned i = 0; i < s->nio; i++) {
		loop_abort_streams(s->loops[i]);
		http_loop_free(s->io[i].http);
		rollouts_free(s->io[i].rollouts);
		loop_free(s->loops[i]);
		mqtt_loop_free(s->io[i].mqtt);
	}
	deliveries_free(s->deliveries);
	feed_free(s->feed);
	file_jobs_free(s->file_jobs);
	store_close(s->store);
	common_free();
	nodes_free(s);
	fleet_free(s->fleet);
	backups_free(s);
	catalogue_box_free(s->catalogue);
	policies_free(s->policies);
	buf_wipe(&s->policies_stored);
	buf_wipe(&s->ca_stored);
	settings_unref(s->settings);
	configurations_free(s->configurations);
	tls_free(s->tls);
	admission_free(s->admission);
	limiter_free(s->limiter);
	offenders_free(s->offenders);
	stories_free(s->stories);
	mishaps_free(s->mishaps);
	chart_free(s->chart);
}
