/*
 * Jobs between nodes (docs/cluster-design.md, 10). A node that has not shard 0 asks who serves it for the set of jobs, by the name of the one that it
 * has; the answer comes when there is another. How far its parts are it tells there, of each part the newest alone. What is lost on the way is told
 * again: what has not been acknowledged with the next call, and all of it when shard 0 has another owner, whose set has another name.
 *
 * All of it is on the mesh's loop, but what workers report.
 */
#include "peers/priv.h"

#include <stdlib.h>

#define ASK_US      INT64_C(30000000) /* for the next set */
#define HELD_US     INT64_C(10000000) /* the answer "none yet", by then */
#define REPORT_US   INT64_C(5000000)
#define RECORDS_MAX ((size_t)2 << 20) /* of one answer; the last record may be over it */
/* Parts of jobs that are active: JOBS_ACTIVE_MAX, and those that end */
#define PARTS_MAX (4u * JOBS_ACTIVE_MAX * SHARDS)

struct part {
	struct job_report r;
	bool due;      /* it is not acknowledged */
	uint64_t told; /* the call that has told it */
};

struct hub_jobs_of {
	struct peers *p;
	struct msg changed; /* posted when the set has: posted says whether it is under way */
	atomic_bool posted;
	bool asking;
	uint64_t call; /* of reports; 0: none is out */
	uint64_t ncall;
	/* who waits for the next set, what it has, and since when */
	struct {
		struct peers_asked *asked;
		struct jobs_asked has;
		int64_t since_us;
	} askers[NODES];
	pthread_mutex_t mu; /* what follows */
	uint32_t npart, cap;
	struct part *parts;
};

static int
owner_of(const struct peers *p)
{
	int owner = p->servers[0].owner;

	return owner >= 0 && owner < (int)NODES && owner != p->o.slot ? owner : -1;
}

/* ---- the set: who asks ---- */

static void
say_unread(const char *why)
{
	log_text(LOG_WARN, "jobs that another node has told of cannot be read: %s", why);
}

static void
jobs_came(void *ctx, enum err e, struct str body, const struct fault *why)
{
	struct hub_jobs_of *j = ctx;
	struct jobs_told t;
	struct fault f;

	(void)why;
	j->asking = false;
	if (e != ERR_OK || body.n == 0)
		return; /* again, with the next look */
	if (jobs_told_read(body, &t, &f) == ERR_OK) {
		struct jobs_news news = { .epoch = t.epoch,
			.version = t.version,
			.latest = t.latest,
			.whole = t.whole != 0 };

		buf_str(&news.records, t.records);
		buf_str(&news.numbers, t.numbers);
		e = fleet_jobs_learn(j->p->fleet, &news);
		jobs_news_fini(&news);
		if (e == ERR_OK)
			hub_jobs_look(j->p);
		else
			say_unread("a record is damaged");
	} else {
		say_unread(f.text);
	}
}

static void
ask(struct hub_jobs_of *j, uint16_t owner)
{
	struct jobs_asked a;
	struct buf body = { 0 };

	fleet_jobs_at(j->p->fleet, &a.epoch, &a.version);
	jobs_asked_write(&body, &a);
	j->asking = true;
	peers_call(j->p, owner, CALL_JOBS, buf_view(&body), loop_now_us(j->p->loop) + ASK_US,
	    jobs_came, j);
	buf_fini(&body);
}

/* ---- the set: who has it ---- */

static bool
answer_news(struct hub_jobs_of *j, struct peers_asked *asked, const struct jobs_asked *a)
{
	struct jobs_news news = { 0 };
	enum err e = fleet_jobs_since(j->p->fleet, a->epoch, a->version, RECORDS_MAX, &news);
	struct buf body = { 0 };

	if (e == ERR_OK) {
		const struct jobs_told t = { news.epoch, news.version, news.latest, news.whole,
			buf_view(&news.records), buf_view(&news.numbers) };

		jobs_told_write(&body, &t);
	}
	if (e != ERR_END) /* where shard 0 is not, there is none: empty */
		peers_answer(asked, buf_view(&body));
	jobs_news_fini(&news);
	buf_fini(&body);
	return e != ERR_END;
}

static void
let_go(struct hub_jobs_of *j, uint16_t slot)
{
	if (j->askers[slot].asked != NULL)
		peers_answer(j->askers[slot].asked, STR_NONE);
	j->askers[slot].asked = NULL;
}

static void
jobs_asked_for(void *ctx, uint16_t slot, struct str body, struct peers_asked *asked)
{
	struct hub_jobs_of *j = ctx;
	struct jobs_asked a;
	struct fault f;

	let_go(j, slot); /* of an earlier link, perhaps */
	if (jobs_asked_read(body, &a, &f) != ERR_OK) {
		peers_refuse(asked, &f);
	} else if (!answer_news(j, asked, &a)) {
		j->askers[slot].asked = asked;
		j->askers[slot].has = a;
		j->askers[slot].since_us = loop_now_us(j->p->loop);
	}
}

static void
jobs_changed(struct msg *m)
{
	struct hub_jobs_of *j = container_of(m, struct hub_jobs_of, changed);

	atomic_store(&j->posted, false);
	for (uint16_t slot = 0; slot < NODES; slot++)
		if (j->askers[slot].asked != NULL &&
		    answer_news(j, j->askers[slot].asked, &j->askers[slot].has))
			j->askers[slot].asked = NULL;
	hub_jobs_look(j->p);
}

static void
heard(void *ctx)
{
	struct hub_jobs_of *j = ctx;

	if (!atomic_exchange(&j->posted, true))
		loop_post(j->p->loop, &j->changed);
}

/* ---- reports: who tells ---- */

static struct part *
part_of(struct hub_jobs_of *j, const struct job_report *r)
{
	uint32_t spare = UINT32_MAX;

	for (uint32_t i = 0; i < j->npart; i++) {
		struct part *x = &j->parts[i];

		if (x->r.number == r->number && x->r.shard == r->shard && x->r.broken == r->broken)
			return x;
		if (!x->due)
			spare = i;
	}
	if (spare != UINT32_MAX)
		return &j->parts[spare];
	if (j->npart == PARTS_MAX)
		return NULL;
	if (j->npart == j->cap) {
		j->cap = j->cap ? 2 * j->cap : 64;
		j->parts = xrealloc(j->parts, j->cap * sizeof(*j->parts));
	}
	return &j->parts[j->npart++];
}

/* One for which there is no room is told with the next set. */
void
hub_jobs_report(void *ctx, const struct job_report *r)
{
	struct peers *p = ctx;
	struct hub_jobs_of *j = p->hub_jobs;
	struct part *x;

	pthread_mutex_lock(&j->mu);
	x = part_of(j, r);
	if (x != NULL)
		*x = (struct part){ *r, true, 0 };
	pthread_mutex_unlock(&j->mu);
	heard(j);
}

static struct part_told
told_of(const struct job_report *r)
{
	return (struct part_told){ .number = r->number,
		.shard = r->shard,
		.epoch = r->epoch,
		.ended = r->ended,
		.broken = r->broken,
		.devices = r->counts.devices,
		.succeeded = r->counts.succeeded,
		.failed = r->counts.failed,
		.running = r->counts.running,
		.bytes = r->counts.bytes };
}

static void
reports_heard(void *ctx, enum err e, struct str body, const struct fault *why)
{
	struct hub_jobs_of *j = ctx;

	(void)body, (void)why;
	pthread_mutex_lock(&j->mu);
	for (uint32_t i = 0; i < j->npart; i++)
		if (j->parts[i].told == j->call)
			j->parts[i].due &= e != ERR_OK, j->parts[i].told = 0;
	pthread_mutex_unlock(&j->mu);
	j->call = 0;
	if (e == ERR_OK)
		hub_jobs_look(j->p);
}

/* Those that are due, into one call; false: none is. */
static bool
put_reports(struct hub_jobs_of *j, struct buf *body)
{
	struct buf one = { 0 };
	uint32_t n = 0;

	pthread_mutex_lock(&j->mu);
	for (uint32_t i = 0; i < j->npart && n < FRAME_PARTS; i++) {
		struct part *x = &j->parts[i];
		const struct part_told t = told_of(&x->r);

		if (!x->due)
			continue;
		one.n = 0;
		part_told_write(&one, &t);
		buf_lstr(body, buf_view(&one));
		x->told = j->ncall + 1;
		n++;
	}
	pthread_mutex_unlock(&j->mu);
	buf_fini(&one);
	return n > 0;
}

static void
report(struct hub_jobs_of *j, uint16_t owner)
{
	struct buf body = { 0 };

	if (put_reports(j, &body)) {
		j->call = ++j->ncall;
		peers_call(j->p, owner, CALL_JOB_REPORT, buf_view(&body),
		    loop_now_us(j->p->loop) + REPORT_US, reports_heard, j);
	}
	buf_fini(&body);
}

/* ---- reports: who hears them ---- */

static enum err
take_report(struct peers *p, struct str bytes, struct fault *f)
{
	struct part_told t;
	struct job_report r;
	enum err e = part_told_read(bytes, &t, f);

	if (e != ERR_OK)
		return e;
	r = (struct job_report){ .number = t.number,
		.shard = (uint32_t)t.shard,
		.ended = t.ended != 0,
		.broken = t.broken != 0,
		.epoch = t.epoch,
		.counts = { t.devices, t.succeeded, t.failed, t.running, t.bytes } };
	if (fleet_job_reported(p->fleet, &r))
		return ERR_OK;
	fault_set(f, F_ServiceUnavailable, "shard 0 is not here");
	return ERR_NOT_FOUND;
}

static void
jobs_reported_to(void *ctx, uint16_t slot, struct str body, struct peers_asked *asked)
{
	struct hub_jobs_of *j = ctx;
	struct rd rd = rd_of(body);
	struct fault f = { 0 };
	enum err e = ERR_OK;

	(void)slot;
	while (e == ERR_OK && !rd.bad && rd.p < rd.end) {
		struct str one = rd_lstr(&rd);

		if (!rd.bad)
			e = take_report(j->p, one, &f);
	}
	if (e == ERR_OK && rd.bad)
		e = fault_set(&f, F_ServerError, "reports of jobs break off");
	if (e == ERR_OK)
		peers_answer(asked, STR_NONE);
	else
		peers_refuse(asked, &f);
}

/* ---- */

/* At each tick, and when something has changed: what is to be asked and told, is. */
void
hub_jobs_look(struct peers *p)
{
	struct hub_jobs_of *j = p->hub_jobs;
	int owner = owner_of(p);
	int64_t now_us = loop_now_us(p->loop);

	for (uint16_t slot = 0; slot < NODES; slot++)
		if (j->askers[slot].asked != NULL && now_us - j->askers[slot].since_us > HELD_US)
			let_go(j, slot);
	if (owner < 0 || p->stopped || !p->nodes[owner].up)
		return;
	if (!j->asking)
		ask(j, (uint16_t)owner);
	if (j->call == 0)
		report(j, (uint16_t)owner);
}

void
hub_jobs_init(struct peers *p)
{
	struct hub_jobs_of *j = xcalloc(1, sizeof(*j));

	j->p = p;
	j->changed.run = jobs_changed;
	pthread_mutex_init(&j->mu, NULL);
	p->hub_jobs = j;
	p->elsewhere.job_report = hub_jobs_report;
	peers_handle(p, CALL_JOBS, jobs_asked_for, j);
	peers_handle(p, CALL_JOB_REPORT, jobs_reported_to, j);
}

void
hub_jobs_start(struct peers *p)
{
	fleet_hear_jobs(p->fleet, heard, p->hub_jobs);
}

void
hub_jobs_stop(struct peers *p)
{
	fleet_hear_jobs(p->fleet, NULL, NULL);
	for (uint16_t slot = 0; slot < NODES; slot++)
		let_go(p->hub_jobs, slot);
}

void
hub_jobs_free(struct peers *p)
{
	struct hub_jobs_of *j = p->hub_jobs;

	if (j == NULL)
		return;
	pthread_mutex_destroy(&j->mu);
	free(j->parts);
	free(j);
	p->hub_jobs = NULL;
}
