/* The fleet: workers and their shards made, loaded from the store, started and stopped. */
#include "worker/priv.h"

#include <stdio.h>
#include <stdlib.h>

unsigned
fleet_worker_of(const struct fleet *f, uint32_t shard)
{
	/* i * SHARDS / n is the first of worker i */
	return ((shard + 1) * f->o.nworker - 1) / SHARDS;
}

/* Each worker's shards: even stretches, unless it is said whose they are. */
static uint64_t
shards_of(const struct fleet *f, unsigned worker)
{
	const uint8_t *owners = f->o.owners;
	uint64_t mine = 0;

	for (uint32_t s = 0; s < SHARDS; s++)
		if ((owners != NULL ? owners[s] : fleet_worker_of(f, s)) == worker)
			mine |= UINT64_C(1) << s;
	return mine;
}

/* Those that nobody has: what waits for them is looked at by the worker of the stretch. */
static uint64_t
nobodys(const struct fleet *f, unsigned worker)
{
	uint64_t nobodys = 0;

	for (uint32_t s = 0; s < SHARDS; s++)
		if (f->o.owners != NULL && f->o.owners[s] == FLEET_NOBODY &&
		    fleet_worker_of(f, s) == worker)
			nobodys |= UINT64_C(1) << s;
	return nobodys;
}

struct fleet *
fleet_new(const struct fleet_options *o)
{
	struct fleet *f = xcalloc(1, sizeof(*f));

	assert(o->nworker >= 1 && o->nworker <= SHARDS);
	f->o = *o;
	if (f->o.work_bytes == 0)
		f->o.work_bytes = WORK_BYTES_MAX;
	pthread_mutex_init(&f->jobs_mutex, NULL);
	seats_init(f);
	lives_init(f);
	routes_init(f);
	shifts_init(f);
	for (uint32_t s = 0; s < SHARDS; s++)
		tail_init(&f->tails[s]);
	f->workers = xcalloc(o->nworker, sizeof(*f->workers));
	f->wake = xcalloc(o->nworker, sizeof(*f->wake));
	for (unsigned i = 0; i < o->nworker; i++) {
		struct worker *w = &f->workers[i];

		worker_init(w, f, i, shards_of(f, i));
		w->left = nobodys(f, i);
		for (uint32_t s = next_shard(w, 0); s < SHARDS; s = next_shard(w, s + 1))
			atomic_init(&f->of_shard[s], w);
	}
	return f;
}

/* ---- reading the identities ---- */

static void
load_main(void *arg)
{
	struct worker *w = arg;
	int64_t now_us = clock_wall_us(), from_us;

	for (uint32_t s = next_shard(w, 0); s < SHARDS; s = next_shard(w, s + 1)) {
		struct shard_begin begin = { .now_us = now_us };

		w->load_err =
		    shard_from_store(w->fleet, w->shards[s], &begin, &from_us, &w->load_fault);
		if (w->load_err != ERR_OK)
			break;
		epochs_begun(w, from_us, now_us);
		feedback_told(w, w->shards[s], GATE_ON_DISK);
		atomic_store(&w->fleet->log_ends[s], shard_log_next(w->shards[s]));
		atomic_fetch_add(&w->fleet->identities, shard_identities(w->shards[s]));
	}
}

/* Boxes are there before anybody runs: a worker that starts first may post to one that has not begun. */
static enum err
open_boxes(struct fleet *f)
{
	for (unsigned i = 0; i < f->o.nworker; i++) {
		struct worker *w = &f->workers[i];

		w->has_box = w->has_box || mailbox_init(&w->box) == ERR_OK;
		if (!w->has_box)
			return ERR_IO;
	}
	return finisher_open(f) == ERR_OK ? walker_open(f) : ERR_IO;
}

enum err
fleet_load(struct fleet *f, struct fault *why)
{
	enum err e = open_boxes(f);

	if (e != ERR_OK) {
		fault_set(why, F_ServerError, "no descriptors are left for the workers");
		return e;
	}
	for (unsigned i = 0; i < f->o.nworker; i++)
		if (thread_start(&f->workers[i].thread, load_main, &f->workers[i], NULL, "load %u",
		        i) != ERR_OK)
			load_main(&f->workers[i]);
	for (unsigned i = 0; i < f->o.nworker; i++) {
		struct worker *w = &f->workers[i];

		thread_join(&w->thread);
		if (w->load_err != ERR_OK && e == ERR_OK) {
			e = w->load_err;
			*why = w->load_fault;
			if (why->code == F_NONE)
				store_state(f->o.store, why);
			if (why->text[0] == '\0')
				fault_set(why, F_ServerError, "the store cannot be read");
		}
	}
	return e;
}

enum err
fleet_partition(
    struct fleet *f, uint32_t partition, uint32_t n, struct partition_end *out, struct fault *why)
{
	char room[PARTITION_KEY];
	struct buf value = { 0 };
	enum err e = store_get(f->o.store, STORE_HUB, partition_key(partition, room), &value);

	if (e == ERR_OK || e == ERR_NOT_FOUND)
		e = partition_end_of(buf_view(&value), partition, n, out);
	if (e == ERR_CORRUPT)
		fault_set(why, F_StoredDamaged, "the end of partition %u is damaged", partition);
	else if (e != ERR_OK)
		store_state(f->o.store, why);
	buf_fini(&value);
	return e;
}

/* ---- start and stop ---- */

void
fleet_begin(struct fleet *f)
{
	const struct worker *w = shard_worker(f, 0);

	if (w != NULL) /* else nobody has said yet which jobs there are */
		hub_jobs_begin(f, jobs_stored(w->shards[0]));
}

enum err
fleet_start(struct fleet *f)
{
	fleet_begin(f);
	if (finisher_start(f) != ERR_OK || walker_start(f) != ERR_OK)
		return ERR_IO;
	for (unsigned i = 0; i < f->o.nworker; i++) {
		struct worker *w = &f->workers[i];

		if (thread_start(&w->thread, worker_main, w, NULL, "worker %u", i) != ERR_OK) {
			fleet_stop(f);
			return ERR_IO;
		}
	}
	return ERR_OK;
}

static void
awake(struct msg *m)
{
	(void)m;
}

static void
poke_arrived(struct msg *m)
{
	struct worker *w = container_of(m, struct worker, poke);

	atomic_store(&w->poked, false); /* the next turn looks at the catalogue */
}

/* Workers that have nothing to do look at the catalogue too. */
void
fleet_poke(struct fleet *f)
{
	for (unsigned i = 0; i < f->o.nworker; i++) {
		struct worker *w = &f->workers[i];

		if (atomic_exchange(&w->poked, true))
			continue;
		w->poke.run = poke_arrived;
		mailbox_post(&w->box, &w->poke);
	}
}

/* What came too late: wakes, pokes, reports. */
static void
drop_all(struct msg *m)
{
	struct msg *next;

	for (; m != NULL; m = next) {
		next = m->next;
		if (!watches_drop(m) && !shifts_drop(m) && !edges_drop(m))
			jobs_drop(m);
	}
}

void
fleet_stop(struct fleet *f)
{
	atomic_store(&f->stop, true);
	seats_stop(f);
	routes_stop(f);
	for (unsigned i = 0; i < f->o.nworker && f->workers[i].thread.runs; i++) {
		f->wake[i].run = awake;
		mailbox_post(&f->workers[i].box, &f->wake[i]);
	}
	for (unsigned i = 0; i < f->o.nworker && f->workers[i].thread.runs; i++) {
		thread_join(&f->workers[i].thread);
	}
	walker_stop(f);
	finisher_stop(f);
	shifts_stop(f);
	for (unsigned i = 0; i < f->o.nworker && f->workers[i].has_box; i++)
		drop_all(mailbox_take_all(&f->workers[i].box));
}

void
fleet_free(struct fleet *f)
{
	if (f == NULL)
		return;
	for (unsigned i = 0; i < f->o.nworker; i++)
		worker_fini(&f->workers[i]);
	finisher_fini(f);
	walker_fini(f);
	seats_fini(f);
	lives_fini(f);
	routes_fini(f);
	shifts_fini(f);
	for (uint32_t s = 0; s < SHARDS; s++)
		tail_fini(&f->tails[s]);
	jobs_unref(f->jobs);
	hub_jobs_fini(f);
	pthread_mutex_destroy(&f->jobs_mutex);
	free(f->workers);
	free(f->wake);
	free(f);
}

uint16_t
fleet_slot(const struct fleet *f)
{
	return f->o.slot;
}

unsigned
fleet_workers(const struct fleet *f)
{
	return f->o.nworker;
}

uint64_t
fleet_turns(const struct fleet *f, unsigned worker)
{
	return atomic_load(&f->workers[worker].turns);
}

size_t
fleet_query_bytes(const struct fleet *f)
{
	return f->o.query_bytes;
}

uint64_t
fleet_column_bytes(const struct fleet *f)
{
	return f->o.column_bytes;
}

uint64_t
fleet_feedback(const struct fleet *f)
{
	return atomic_load(&f->feedback);
}

uint64_t
fleet_feedback_anywhere(const struct fleet *f)
{
	const struct elsewhere *e = f->o.elsewhere;

	return fleet_feedback(f) | (e != NULL ? e->feedback(e->ctx) : 0);
}

uint64_t
fleet_identities(const struct fleet *f)
{
	return atomic_load(&f->identities);
}

void
fleet_identities_of_others(struct fleet *f, uint64_t n)
{
	atomic_store(&f->identities_of_others, n);
}
