/*
 * The hub's jobs on several nodes (docs/cluster-design.md, 10). The node that has shard 0 has the set of them; others get what has changed of it, and
 * work by the last whole one that they have. One that has none yet works on nothing.
 *
 *   shard 0's:  jobs_set_goes --> hub_jobs_put: each change has a version --> fleet_jobs_since --> a node
 *   a node's:   --> fleet_jobs_learn: gathers, and when it is whole, all workers know it
 *
 * A set is named by (epoch of shard 0, version). With another epoch it begins anew: what shard 0 was told of parts was in its former owner's memory, so
 * all parts tell it again. Whoever hears of a new set does that, as it always has.
 */
#include "worker/priv.h"

#include <stdlib.h>

/* When a job was changed. */
struct job_age {
	uint64_t number, version;
};

void
hub_jobs_hear(struct fleet *f)
{
	void (*heard)(void *ctx);
	void *ctx;

	pthread_mutex_lock(&f->jobs_mutex);
	heard = f->hub_jobs.heard;
	ctx = f->hub_jobs.ctx;
	pthread_mutex_unlock(&f->jobs_mutex);
	if (heard != NULL)
		heard(ctx);
}

/* ---- shard 0's ---- */

/* Those of the set that were the same in the former one keep their age. With the mutex held. */
static void
ages_change(struct hub_jobs *h, const struct jobs *former, const struct jobs *set)
{
	struct job_age *ages = xcalloc(set->n + 1, sizeof(*ages));
	uint32_t at = 0, kept = 0;

	for (uint32_t i = 0; i < set->n; i++) {
		uint64_t number = set->v[i]->number;

		while (at < h->nage && h->ages[at].number < number)
			at++;
		kept += at < h->nage && h->ages[at].number == number;
		ages[i] = at < h->nage && h->ages[at].number == number &&
		        jobs_number(former, number) == set->v[i]
		    ? h->ages[at]
		    : (struct job_age){ number, ++h->version };
	}
	if (kept < h->nage)
		h->dropped = ++h->version;
	free(h->ages);
	h->ages = ages;
	h->nage = set->n;
}

void
hub_jobs_put(struct fleet *f, const struct jobs *former, const struct jobs *set)
{
	ages_change(&f->hub_jobs, former, set);
}

void
hub_jobs_begin(struct fleet *f, struct jobs *set)
{
	struct hub_jobs *h = &f->hub_jobs;
	struct store_epoch epoch = { 0 };
	struct jobs *old;

	(void)store_epoch(f->o.store, 0, &epoch);
	pthread_mutex_lock(&f->jobs_mutex);
	old = f->jobs;
	if (old != NULL)
		jobs_go_on(set, old);
	f->jobs = set;
	jobs_unref(h->staged);
	h->staged = NULL;
	h->own = true;
	h->epoch = epoch.number;
	h->version = 1; /* nobody has it yet, even if there is no job */
	h->dropped = h->nage = 0;
	ages_change(h, NULL, set);
	pthread_mutex_unlock(&f->jobs_mutex);
	jobs_unref(old);
	atomic_fetch_add(&f->jobs_version, 1);
	hub_jobs_hear(f);
}

void
hub_jobs_end(struct fleet *f)
{
	pthread_mutex_lock(&f->jobs_mutex);
	f->hub_jobs.own = false;
	pthread_mutex_unlock(&f->jobs_mutex);
}

bool
hub_jobs_knows(struct fleet *f, const struct jobs *set, uint64_t number)
{
	bool own;

	pthread_mutex_lock(&f->jobs_mutex);
	own = f->hub_jobs.own;
	pthread_mutex_unlock(&f->jobs_mutex);
	return own || (set->n > 0 && number < set->v[set->n - 1]->number);
}

void
fleet_hear_jobs(struct fleet *f, void (*changed)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&f->jobs_mutex);
	f->hub_jobs.heard = changed;
	f->hub_jobs.ctx = ctx;
	pthread_mutex_unlock(&f->jobs_mutex);
}

static int
by_version(const void *a, const void *b)
{
	uint64_t x = ((const struct job_age *)a)->version, y = ((const struct job_age *)b)->version;

	return (x > y) - (x < y);
}

/* Oldest changes first, so that what has been sent has a version. */
static void
put_records(const struct fleet *f, uint64_t base, size_t most, struct jobs_news *out)
{
	const struct hub_jobs *h = &f->hub_jobs;
	struct job_age *new = xcalloc(h->nage + 1, sizeof(*new));
	uint32_t n = 0, i = 0;

	for (uint32_t k = 0; k < h->nage; k++)
		if (h->ages[k].version > base)
			new[n++] = h->ages[k];
	qsort(new, n, sizeof(*new), by_version);
	for (; i < n && (i == 0 || out->records.n < most); i++) {
		buf_lstr(&out->records, jobs_number(f->jobs, new[i].number)->record);
		out->version = new[i].version;
	}
	if (i == n)
		out->version = h->version;
	free(new);
}

static void
put_numbers(const struct jobs *set, struct buf *out)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < set->n; i++) {
		buf_varint(out, set->v[i]->number - last);
		last = set->v[i]->number;
	}
}

enum err
fleet_jobs_since(
    struct fleet *f, uint64_t epoch, uint64_t version, size_t most, struct jobs_news *out)
{
	const struct hub_jobs *h = &f->hub_jobs;
	enum err e = ERR_OK;
	uint64_t base;

	pthread_mutex_lock(&f->jobs_mutex);
	base = epoch == h->epoch ? version : 0;
	out->epoch = h->epoch;
	out->latest = h->version;
	if (!h->own) {
		e = ERR_NOT_FOUND;
	} else if (base == h->version) {
		e = ERR_END;
	} else {
		put_records(f, base, most, out);
		out->whole = out->version == h->version && base < h->dropped;
		if (out->whole)
			put_numbers(f->jobs, &out->numbers);
	}
	pthread_mutex_unlock(&f->jobs_mutex);
	return e;
}

void
jobs_news_fini(struct jobs_news *n)
{
	buf_fini(&n->records);
	buf_fini(&n->numbers);
}

/* ---- another node's ---- */

void
fleet_jobs_at(struct fleet *f, uint64_t *epoch, uint64_t *version)
{
	const struct hub_jobs *h = &f->hub_jobs;

	pthread_mutex_lock(&f->jobs_mutex);
	*epoch = h->staged != NULL ? h->staged_epoch : f->jobs != NULL ? h->epoch : 0;
	*version = h->staged != NULL ? h->staged_version : f->jobs != NULL ? h->version : 0;
	pthread_mutex_unlock(&f->jobs_mutex);
}

static void
stage(struct hub_jobs *h, struct jobs *set)
{
	jobs_unref(h->staged);
	h->staged = set;
}

/* On top of what is in force, or of nothing. */
static void
staging_begins(struct fleet *f, uint64_t epoch)
{
	struct hub_jobs *h = &f->hub_jobs;
	bool on_top = f->jobs != NULL && h->epoch == epoch;

	if (h->staged != NULL && h->staged_epoch == epoch)
		return;
	stage(h, on_top ? jobs_ref(f->jobs) : jobs_with(NULL, 0, NULL));
	h->staged_epoch = epoch;
	h->staged_version = on_top ? h->version : 0;
}

static enum err
take_records(struct hub_jobs *h, struct str records)
{
	struct rd rd = rd_of(records);

	while (!rd.bad && rd.p < rd.end) {
		struct str record = rd_lstr(&rd);
		struct job *j;

		if (rd.bad || job_new(record, &j) != ERR_OK)
			return ERR_CORRUPT;
		if (h->staged->n < JOBS_MAX || jobs_number(h->staged, j->number) != NULL)
			stage(h, jobs_with(h->staged, j->number, j));
		job_unref(j);
	}
	return rd.bad ? ERR_CORRUPT : ERR_OK;
}

/* Both are in order. */
static void
drop_others(struct hub_jobs *h, struct str numbers)
{
	struct jobs *was = jobs_ref(h->staged);
	struct rd rd = rd_of(numbers);
	uint64_t at = 0;

	for (uint32_t i = 0; i < was->n; i++) {
		uint64_t number = was->v[i]->number;

		while (!rd.bad && rd.p < rd.end && at < number)
			at += rd_varint(&rd);
		if (at != number)
			stage(h, jobs_with(h->staged, number, NULL));
	}
	jobs_unref(was);
}

/* What was in force until now; NULL: nothing was. */
static struct jobs *
publish(struct fleet *f)
{
	struct hub_jobs *h = &f->hub_jobs;
	struct jobs *old = f->jobs;

	if (old != NULL)
		jobs_go_on(h->staged, old);
	f->jobs = h->staged;
	h->staged = NULL;
	h->epoch = h->staged_epoch;
	h->version = h->staged_version;
	return old;
}

enum err
fleet_jobs_learn(struct fleet *f, const struct jobs_news *news)
{
	struct hub_jobs *h = &f->hub_jobs;
	struct jobs *old = NULL;
	bool known = false;
	enum err e = ERR_OK;

	pthread_mutex_lock(&f->jobs_mutex);
	if (h->own || news->epoch < h->epoch ||
	    (h->staged != NULL && news->epoch < h->staged_epoch)) {
		pthread_mutex_unlock(&f->jobs_mutex);
		return ERR_OK; /* of a former owner */
	}
	staging_begins(f, news->epoch);
	e = take_records(h, buf_view(&news->records));
	if (e != ERR_OK) {
		stage(h, NULL);
	} else {
		if (news->whole)
			drop_others(h, buf_view(&news->numbers));
		h->staged_version = news->version;
		known = news->version == news->latest;
		if (known)
			old = publish(f);
	}
	pthread_mutex_unlock(&f->jobs_mutex);
	jobs_unref(old);
	if (known) {
		atomic_fetch_add(&f->jobs_version, 1);
		fleet_poke(f);
	}
	return e;
}

void
hub_jobs_fini(struct fleet *f)
{
	jobs_unref(f->hub_jobs.staged);
	free(f->hub_jobs.ages);
}

bool
fleet_has_shard(const struct fleet *f, uint32_t shard)
{
	return shard_worker(f, shard) != NULL;
}

unsigned
fleet_shards(const struct fleet *f)
{
	unsigned n = 0;

	for (uint32_t s = 0; s < SHARDS; s++)
		n += shard_worker(f, s) != NULL;
	return n;
}
