/*
 * What jobs do, seen from outside: which devices they touch and what of that reaches the disk, which devices they call, what
 * they leave behind. A job touches each of its targets once, whatever fails meanwhile, and no more of them a second than was
 * asked for; a device is called behind the commit that says so, and never twice (J-27); a result is a target's, and what a
 * shard keeps of a job has a bound; what is forgotten leaves nothing; all jobs end.
 */
#include "job/parts.h"
#include "job/rowset.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#define END_STEP_US (20 * SECOND)
#define END_STEPS   600u /* of them: longer than any job may take, on a clock that was set back */
#define PACE_SLACK  2u
#define RESULT_ROOM 512u /* bytes of a result beside its payload */

/* ---- sets of numbers ---- */

struct keyset {
	uint64_t *v; /* 0: free */
	uint32_t n, room;
};

static bool
keyset_has(const struct keyset *s, uint64_t key)
{
	for (uint32_t i = (uint32_t)key; s->room > 0; i++) {
		uint64_t there = s->v[i & (s->room - 1)];

		if (there == key || there == 0)
			return there == key;
	}
	return false;
}

static void keyset_grow(struct keyset *s);

/* false: it is in it already. */
static bool
keyset_add(struct keyset *s, uint64_t key)
{
	uint32_t i = (uint32_t)key;

	if (keyset_has(s, key))
		return false;
	if (s->n * 2 >= s->room)
		keyset_grow(s);
	while (s->v[i & (s->room - 1)] != 0)
		i++;
	s->v[i & (s->room - 1)] = key;
	s->n++;
	return true;
}

static void
keyset_grow(struct keyset *s)
{
	struct keyset old = *s;

	s->room = old.room ? old.room * 2 : 64;
	s->v = xcalloc(s->room, sizeof(*s->v));
	s->n = 0;
	for (uint32_t i = 0; i < old.room; i++)
		if (old.v[i] != 0)
			keyset_add(s, old.v[i]);
	free(old.v);
}

/* A job and one of its devices, or modules. */
static uint64_t
key_of(uint64_t job, struct str device, struct str module)
{
	uint64_t h = UINT64_C(0xCBF29CE484222325) ^ job;

	for (size_t i = 0; i < device.n; i++)
		h = (h ^ (unsigned char)device.p[i]) * UINT64_C(0x100000001B3);
	for (size_t i = 0; i < module.n; i++)
		h = (h ^ (unsigned char)module.p[i] ^ 0x100) * UINT64_C(0x100000001B3);
	return h | 1;
}

/* ---- what is seen ---- */

struct touch {
	uint64_t key, job;
	unsigned lane;
	bool flying;
};

struct pace {
	uint64_t job;
	int64_t from_us;
	uint64_t n;
};

static struct {
	struct keyset targets, touched, called;
	struct touch *touches; /* not on disk yet */
	uint32_t ntouch, room;
	struct pace *paces;
	uint32_t npace;
} watch;

void
job_watch_new(struct world *w)
{
	(void)w;
	memset(&watch, 0, sizeof(watch));
}

void
job_watch_free(void)
{
	free(watch.targets.v);
	free(watch.touched.v);
	free(watch.called.v);
	free(watch.touches);
	free(watch.paces);
}

void
job_watch_life(void)
{
	watch.ntouch = watch.npace = 0;
}

/* ---- targets, and their turns ---- */

WRAP(void, part_targets, struct shard *sh, const struct job *j, const struct rowset *rows,
    const struct hub_env *env)
{
	struct str device, module;

	for (uint32_t row = 0; !the_world->dead && row < shard_rows(sh); row++)
		if (rowset_has(rows, row) && shard_row(sh, row, &device, &module))
			keyset_add(&watch.targets, key_of(j->number, device, module));
	__real_part_targets(sh, j, rows, env);
}

static struct pace *
pace_of(uint64_t job, int64_t now_us)
{
	for (uint32_t i = 0; i < watch.npace; i++)
		if (watch.paces[i].job == job)
			return &watch.paces[i];
	watch.paces = xrealloc(watch.paces, (watch.npace + 1) * sizeof(*watch.paces));
	watch.paces[watch.npace] = (struct pace){ .job = job, .from_us = now_us };
	return &watch.paces[watch.npace++];
}

/* Since its first device: so many a second, and what a job that could not go on may catch up on. */
static void
check_pace(const struct world *w, const struct job *j)
{
	struct pace *p = pace_of(j->number, w->mono_us);
	uint64_t may = PACE_SLACK + (uint64_t)j->rate / 5 +
	    (uint64_t)(w->mono_us - p->from_us) * j->rate / (uint64_t)SECOND;

	if (++p->n > may)
		world_fail("job " STR_FMT
		           " has touched %llu devices in %lld us, %u a second are allowed",
		    STR_ARG(j->id), (unsigned long long)p->n, (long long)(w->mono_us - p->from_us),
		    j->rate);
	seen.paced++;
}

static void
touch(struct world *w, struct shard *sh, const struct job *j)
{
	struct str device = STR_NONE, module = STR_NONE;
	unsigned records;

	(void)shard_row(sh, part_row(sh, j, &records), &device, &module);
	if (j->rate != 0)
		check_pace(w, j);
	if (watch.ntouch == watch.room) {
		watch.room = watch.room ? watch.room * 2 : 64;
		watch.touches = xrealloc(watch.touches, watch.room * sizeof(*watch.touches));
	}
	watch.touches[watch.ntouch++] = (struct touch){ .key = key_of(j->number, device, module),
		.job = j->number,
		.lane = contact_worker_of(w, hub_shard_of(device)) };
}

WRAP(
    bool, part_step, struct shard *sh, const struct job *j, bool damaged, const struct hub_env *env)
{
	if (!the_world->dead)
		touch(the_world, sh, j);
	return __real_part_step(sh, j, damaged, env);
}

/* ---- commits ---- */

static void
touch_landed(const struct touch *t)
{
	if (!keyset_add(&watch.touched, t->key))
		world_fail(
		    "job number %llu has touched a device twice", (unsigned long long)t->job);
	if (!keyset_has(&watch.targets, t->key))
		world_fail("job number %llu has touched a device that is none of its targets",
		    (unsigned long long)t->job);
	seen.touches++;
}

void
job_watch_commit(unsigned lane, enum sim_commit what)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < watch.ntouch && !the_world->dead; i++) {
		struct touch *t = &watch.touches[i];

		if (t->lane == lane && what == SIM_SUBMITTED)
			t->flying = true;
		else if (t->lane == lane && what == SIM_FAILED)
			continue;
		if (t->lane == lane && what == SIM_LANDED && t->flying)
			touch_landed(t);
		else
			watch.touches[kept++] = *t;
	}
	if (!the_world->dead)
		watch.ntouch = kept;
}

/* ---- calls ---- */

/* Is it on the disk that the device has had its turn? */
static bool
had_its_turn(const struct world *w, const struct job *j, const char *device, const char *module)
{
	uint32_t s = hub_shard_of(str_of(device));
	char room[HUB_PREFIX_MAX];
	struct part_state part;
	struct buf key = { 0 };
	struct str value;
	bool had = false;

	hub_key(&key, s, str_of(device), str_of(module));
	if (sim_store_peek(w->store, STORE_HUB, part_key(PART_KEY, s, j->number, room), &value) &&
	    part_decode(value, &part))
		had = str_cmp(str_sub(buf_view(&key), 2),
		          (struct str){ part.cursor, part.cursor_n }) <= 0;
	buf_fini(&key);
	return had;
}

void
job_watch_called(struct world *w, struct str name, const char *device, const char *module)
{
	struct jobs *set = jobs_stored(contact_shard(w, 0));
	const struct job *j = jobs_find(set, name);

	if (j == NULL)
		world_fail(STR_FMT " calls %s, and is no job", STR_ARG(name), device);
	if (!had_its_turn(w, j, device, module))
		world_fail("job " STR_FMT " calls %s/%s, and nothing on the disk says so",
		    STR_ARG(name), device, module);
	if (!keyset_add(&watch.called, key_of(j->number, str_of(device), str_of(module))))
		world_fail("job " STR_FMT " calls %s/%s twice", STR_ARG(name), device, module);
	jobs_unref(set);
}

/* ---- results ---- */

struct kept { /* of one job in one shard */
	uint64_t job;
	unsigned shard;
	size_t bytes, most;
};

static void
check_result(const struct jobs *set, struct str key, struct str value, struct kept *kept, bool gone)
{
	struct rd rd = rd_of(str_sub(key, sizeof(DONE_KEY) - 1));
	unsigned shard = rd_u8(&rd) << 8;
	struct job_result r;
	uint64_t job = 0;

	shard |= rd_u8(&rd);
	for (int i = 0; i < 8; i++)
		job = job << 8 | rd_u8(&rd);
	if (!result_decode(value, &r))
		world_fail("a result of job number %llu is damaged", (unsigned long long)job);
	if (!keyset_has(&watch.targets, key_of(job, r.device, r.module)))
		world_fail("a result of job number %llu is that of " STR_FMT "/" STR_FMT
		           ", which was none of its targets",
		    (unsigned long long)job, STR_ARG(r.device), STR_ARG(r.module));
	if (gone && jobs_number(set, job) == NULL)
		world_fail("a result of job number %llu is left, and the job is forgotten",
		    (unsigned long long)job);
	if (kept->job != job || kept->shard != shard)
		*kept = (struct kept){ .job = job, .shard = shard, .most = JOB_PART_BYTES_MAX };
	kept->most += RESULT_ROOM;
	if ((kept->bytes += value.n) > kept->most)
		world_fail("shard %u keeps %zu bytes of results of job number %llu", shard,
		    kept->bytes, (unsigned long long)job);
	seen.results++;
}

void
job_watch_results(struct world *w, bool all_forgotten)
{
	struct jobs *set = jobs_stored(contact_shard(w, 0));
	struct store_cursor *c;
	struct kept kept = { 0 };
	struct str key, value;

	if (store_cursor_open(w->store, STORE_HUB, STR(DONE_KEY), STR_NONE, STORE_SCAN, &c) !=
	    ERR_OK)
		world_fail("no cursor");
	while (store_next(c, &key, &value) == ERR_OK && str_starts(key, STR(DONE_KEY)))
		check_result(set, key, value, &kept, all_forgotten && set != NULL);
	store_cursor_close(c);
	jobs_unref(set);
}

/* ---- the end ---- */

/* One that has neither ended nor may wait; NULL: none. */
static const struct job *
job_unfinished(const struct jobs *set)
{
	for (uint32_t i = 0; set != NULL && i < set->n; i++)
		if (!job_ended(set->v[i]) || job_active(set->v[i]))
			return set->v[i];
	return NULL;
}

static void
check_counts(const struct jobs *set)
{
	for (uint32_t i = 0; set != NULL && i < set->n; i++) {
		const struct job_counts *c = &set->v[i]->state.counts;

		if (set->v[i]->state.status == JOB_COMPLETED &&
		    (c->succeeded + c->failed != c->devices || c->running != 0))
			world_fail("job " STR_FMT
			           " is completed: %llu devices, %llu succeeded, %llu failed",
			    STR_ARG(set->v[i]->id), (unsigned long long)c->devices,
			    (unsigned long long)c->succeeded, (unsigned long long)c->failed);
	}
}

/* Have the workers deleted all that jobs have left which are known no more? */
static bool
forgotten(struct world *w)
{
	bool forgets = true;

	for (unsigned n = 0; forgets && n < END_STEPS; n++) {
		forgets = !world_quiet(w, 30) || contact_forgets(w);
	}
	return !forgets;
}

void
job_watch_end(struct world *w)
{
	struct jobs *set = NULL;
	const struct job *j = NULL;
	bool quiet = false;

	for (unsigned n = 0; n < END_STEPS && (j != NULL || !quiet || n == 0); n++) {
		jobs_unref(set);
		w->mono_us += END_STEP_US;
		quiet = world_quiet(w, 30);
		set = jobs_stored(contact_shard(w, 0));
		j = job_unfinished(set);
	}
	if (j != NULL)
		world_fail("job " STR_FMT " never ends: it is %s", STR_ARG(j->id),
		    job_status_name(j->state.status));
	check_counts(set);
	jobs_unref(set);
	job_watch_results(w, forgotten(w));
}
