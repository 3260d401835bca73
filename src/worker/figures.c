/*
 * What metrics show of the fleet. What stands in shards is their worker's alone, so each sums its own up, a second after it had something to
 * do at the latest, and whoever asks adds up what the workers have said last: a worker that stands still makes nobody wait who wants to know why.
 */
#include "log/log.h"
#include "metric/metric.h"
#include "worker/priv.h"

#define FIGURES_US INT64_C(1000000)

_Static_assert((unsigned)JOB_STATUSES == METRIC_JOBS, "names of labels");
_Static_assert((unsigned)JOB_RUNNING == METRIC_JOB_RUNNING, "names of labels");
_Static_assert((unsigned)ROLLOUT_STATUSES == METRIC_ROLLOUTS, "names of labels");
_Static_assert((unsigned)MESSAGE_ENDS == METRIC_MESSAGE_ENDS, "names of labels");
_Static_assert(LOG_DEBUG + 1 == METRIC_LEVELS, "names of labels");

/* ---- a worker's ---- */

static void
look_at_shard(const struct shard *sh, uint64_t v[FIGURES], struct message_counts *messages)
{
	const struct shard_counts *of = shard_counts(sh);
	const struct columns *columns = shard_columns_there(sh);

	v[FIGURE_DEVICES] += of->devices;
	v[FIGURE_DISABLED] += of->disabled;
	v[FIGURE_CACHED_BYTES] += shard_cached_bytes(sh);
	messages_count(sh, messages);
	if (columns == NULL)
		return;
	v[FIGURE_COLUMNS] += columns_made(columns);
	v[FIGURE_COLUMN_BYTES] += columns_bytes(columns);
}

void
figures_look(struct worker *w)
{
	struct message_counts messages = { 0 };
	uint64_t v[FIGURES] = { 0 };

	for (uint32_t s = next_held(w, 0); s < SHARDS; s = next_held(w, s + 1))
		look_at_shard(w->shards[s], v, &messages);
	v[FIGURE_QUEUED] = messages.queued;
	v[FIGURE_FEEDBACK] = messages.feedback;
	for (unsigned i = 0; i < MESSAGE_ENDS; i++)
		v[FIGURE_DEAD + i] = messages.dead[i];
	for (unsigned i = 0; i < FIGURES; i++)
		atomic_store_explicit(&w->figures.v[i], v[i], memory_order_relaxed);
}

void
figures_turn(struct worker *w)
{
	w->figures.stale = w->env.elapsed_us - w->figures.looked_us < FIGURES_US;
	if (w->figures.stale)
		return;
	figures_look(w);
	w->figures.looked_us = w->env.elapsed_us;
}

int64_t
figures_patience_us(const struct worker *w)
{
	int64_t left_us = w->figures.looked_us + FIGURES_US - clock_mono_us();

	if (!w->figures.stale || w->stopping)
		return -1;
	return left_us > 0 ? left_us : 0;
}

/* ---- the fleet's ---- */

static uint64_t
sum(const struct fleet *f, unsigned figure)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < f->o.nworker; i++)
		n += atomic_load_explicit(&f->workers[i].figures.v[figure], memory_order_relaxed);
	return n;
}

static void
look_at_queues(struct fleet *f, struct metric_looks *looks)
{
	double *length = looks->queue_length, *bytes = looks->queue_bytes;

	length[QUEUE_OPERATIONS] = bytes[ROOM_OPERATIONS] = 0;
	for (unsigned i = 0; i < f->o.nworker; i++) {
		length[QUEUE_OPERATIONS] += atomic_load(&f->workers[i].nwork);
		bytes[ROOM_OPERATIONS] += (double)atomic_load(&f->workers[i].work_bytes);
	}
	length[QUEUE_QUERIES] = atomic_load(&f->ntour);
	bytes[ROOM_MESSAGES] = (double)atomic_load(&f->message_bytes);
	bytes[ROOM_WATCHES] = (double)atomic_load(&f->lives.waiting);
	pthread_mutex_lock(&f->seats.mutex);
	length[QUEUE_SEATS] = f->seats.nwaiting;
	bytes[ROOM_ANSWERS] = (double)f->seats.shares.all.used[SHARE_BYTES];
	pthread_mutex_unlock(&f->seats.mutex);
}

static void
look_at_jobs(struct fleet *f, double *jobs)
{
	for (unsigned i = 0; i < JOB_STATUSES; i++)
		jobs[i] = 0;
	pthread_mutex_lock(&f->jobs_mutex);
	for (uint32_t i = 0; f->jobs != NULL && i < f->jobs->n; i++)
		jobs[f->jobs->v[i]->state.status]++;
	pthread_mutex_unlock(&f->jobs_mutex);
}

static void
look_at_configurations(struct fleet *f, struct metric_looks *looks)
{
	const struct catalogue *c = catalogue_use(f->o.catalogue);
	const struct configurations *set = c->configurations;

	looks->configurations[0] = set == NULL ? 0 : set->n;
	for (unsigned i = 0; i < ROLLOUT_STATUSES; i++)
		looks->rollouts[i] = 0;
	for (uint32_t i = 0; set != NULL && i < set->n; i++)
		if (set->v[i]->rollout != NULL)
			looks->rollouts[set->v[i]->rollout->status]++;
	catalogue_drop(f->o.catalogue, c);
}

void
fleet_look(struct fleet *f, struct metric_looks *looks)
{
	looks->identities[0] = (double)fleet_identities(f);
	looks->devices[0] = (double)sum(f, FIGURE_DEVICES);
	looks->devices_disabled[0] = (double)sum(f, FIGURE_DISABLED);
	looks->document_cache_bytes[0] = (double)sum(f, FIGURE_CACHED_BYTES);
	looks->document_cache_max_bytes[0] = (double)f->o.cache_bytes;
	looks->columns[0] = (double)sum(f, FIGURE_COLUMNS);
	looks->columns_bytes[0] = (double)sum(f, FIGURE_COLUMN_BYTES);
	looks->columns_max_bytes[0] = (double)f->o.column_bytes;
	looks->messages_queued[0] = (double)sum(f, FIGURE_QUEUED);
	looks->feedback_messages[0] = (double)sum(f, FIGURE_FEEDBACK);
	for (unsigned i = 0; i < MESSAGE_ENDS; i++)
		looks->messages_dead_lettered[i] = (double)sum(f, FIGURE_DEAD + i);
	looks->event_records[0] = 0;
	for (uint32_t s = 0; s < SHARDS; s++)
		looks->event_records[0] += (double)(fleet_log_end(f, s) - 1);
	looks->watches[0] = lives_count(f);
	look_at_queues(f, looks);
	look_at_jobs(f, looks->jobs);
	look_at_configurations(f, looks);
}

const char *
fleet_label_name(enum metric_label label, unsigned i)
{
	switch (label) {
	case LABEL_OPERATION: return op_name(i);
	case LABEL_LEVEL: return log_level_name((enum log_level)i);
	case LABEL_JOB: return job_status_name((enum job_status)i);
	case LABEL_ROLLOUT: return rollout_status_names[i].p;
	/* one that has succeeded is no dead letter */
	case LABEL_MESSAGE_END:
		return i == MESSAGE_SUCCESS ? NULL : message_end_name((enum message_end)i).p;
	case LABEL_LIMITED: return limit_kind_name(i);
	case LABEL_LIMITER: return limit_whose_name(i);
	case LABEL_VERSION: return TWINHUB_VERSION;
	default: return NULL;
	}
}
