/*
 * The thread around cluster_step: its questions are asked, each on the thread of its connection, and what comes of them is given back to it.
 *
 *   beat    the connection of the beat, and the clock's ticks
 *   work    start, burials, taking and giving
 *   load    reads a shard that was taken into the scratch
 *   the committer, or who begins, asks those of its own connection (drive_resolve)
 *
 * What a step says to the program (pg_calls) is told behind it, without the lock of the step, by one thread at a time and in the order of the steps.
 *
 * The lease is shown to those who answer as two numbers (cluster.h): until when is stored behind the run that it is of, and read before it.
 */
#include <stdlib.h>

#include "pg/priv.h"

/* ---- the step ---- */

static void
lease_show(struct drive *d)
{
	struct cluster_lease l = cluster_lease(d->cluster);

	atomic_store_explicit(&d->run, l.run, memory_order_release);
	atomic_store_explicit(&d->until_us, l.until_us, memory_order_release);
}

uint64_t
drive_lease(struct drive *d)
{
	struct cluster_lease l;

	l.until_us = atomic_load_explicit(&d->until_us, memory_order_acquire);
	l.run = atomic_load_explicit(&d->run, memory_order_acquire);
	return cluster_holds(l, clock_boot_us());
}

static uint64_t
bit(const struct cluster_do *o)
{
	return UINT64_C(1) << o->shard;
}

static void
perform(struct pg *p, const struct cluster_do *o)
{
	struct drive *d = &p->drive;

	switch (o->what) {
	case CLUSTER_ASK:
		d->jobs[o->conn].on = true;
		d->jobs[o->conn].ask = *o;
		break;
	case CLUSTER_LOAD: d->loads[o->shard] = *o, d->nload++; break;
	case CLUSTER_ATTACH: d->due.attach |= bit(o); break;
	case CLUSTER_DETACH: d->due.detach |= bit(o); break;
	case CLUSTER_APPLY: d->due.apply = o->common; break;
	case CLUSTER_RESULT: d->resolved = true, d->made = o->yes; break;
	case CLUSTER_DURABLE: break; /* pg_options have it for one node: it says so itself */
	case CLUSTER_SAY: break;
	case CLUSTER_END: d->ended = true; break;
	}
	if (o->what == CLUSTER_END || o->what == CLUSTER_SAY)
		d->said = *o;
	d->due.news |= o->what == CLUSTER_SAY;
}

/* With mu held. */
static void
step(struct pg *p, const struct cluster_input *in)
{
	struct drive *d = &p->drive;

	cluster_step(d->cluster, in, clock_boot_us(), &d->out);
	lease_show(d);
	d->stirs |= d->out.n > 0 || d->out.wake_us < d->wake_us;
	d->wake_us = d->out.wake_us;
	atomic_store(&p->generation, (uint64_t)cluster_generation(d->cluster));
	for (unsigned i = 0; i < d->out.n; i++)
		perform(p, &d->out.v[i]);
}

static void
tell_shards(const struct pg *p, uint64_t attach, uint64_t detach)
{
	const struct pg_calls *calls = &p->o.calls;

	for (unsigned s = 0; s < PG_SHARDS; s++) {
		if (attach >> s & 1)
			calls->attach(calls->ctx, s, p->taken[s].number);
		if (detach >> s & 1)
			calls->detach(calls->ctx, s);
	}
}

/* A shard that has come and is to go at once, does so in this order; the other way round somebody has to answer in between. */
static void
tell(struct pg *p)
{
	const struct pg_calls *calls = &p->o.calls;
	struct drive *d = &p->drive;
	struct cluster_do said;
	__typeof__(d->due) due;
	bool ended;

	pthread_mutex_lock(&d->telling);
	pthread_mutex_lock(&d->mu);
	due = d->due;
	d->due = (__typeof__(d->due)){ 0 };
	said = d->said;
	ended = d->ended && !d->starts;
	pthread_mutex_unlock(&d->mu);
	if (due.news && p->o.store.warn != NULL)
		p->o.store.warn(p->o.store.ctx, said.text);
	tell_shards(p, due.attach, due.detach);
	if (due.apply != 0)
		calls->apply(calls->ctx, due.apply);
	pthread_mutex_unlock(&d->telling);
	if (ended && said.code == CLUSTER_HISTORY)
		lost_note(p, said.text); /* no lease holds by now: nobody is answered meanwhile */
	if (ended)
		p->o.ends(p->o.store.ctx, (enum pg_end)said.code, said.text);
}

void
drive_step(struct pg *p, const struct cluster_input *in)
{
	struct drive *d = &p->drive;
	bool due;

	pthread_mutex_lock(&d->mu);
	step(p, in);
	while (d->due.apply != 0 && p->o.calls.apply == NULL) {
		d->due.apply = 0;
		step(p, &(struct cluster_input){ .what = CLUSTER_IN_FORCE });
	}
	due = d->due.attach != 0 || d->due.detach != 0 || d->due.apply != 0 || d->due.news ||
	    (d->ended && !d->starts);
	if (d->stirs) /* a commit that is made, is nobody's business */
		pthread_cond_broadcast(&d->wake);
	d->stirs = false;
	pthread_mutex_unlock(&d->mu);
	if (due)
		tell(p);
}

/* Two threads may say it: the lower one changes nothing. */
static void
epoch_known(struct pg *p, unsigned shard, int64_t epoch)
{
	int64_t was = atomic_load(&p->epochs[shard]);

	while (epoch > was && !atomic_compare_exchange_weak(&p->epochs[shard], &was, epoch))
		;
}

static void
tell_view(struct pg *p, const struct pg_view *view)
{
	for (unsigned i = 0; i < PG_SHARDS; i++)
		epoch_known(p, i, view->shards[i].epoch);
	if (p->o.calls.view == NULL)
		return;
	pthread_mutex_lock(&p->drive.telling);
	p->o.calls.view(p->o.calls.ctx, view);
	pthread_mutex_unlock(&p->drive.telling);
}

struct cluster_spread
drive_spread(struct pg *p)
{
	struct cluster_spread s;

	pthread_mutex_lock(&p->drive.mu);
	s = cluster_spread(p->drive.cluster);
	pthread_mutex_unlock(&p->drive.mu);
	return s;
}

static void
tell_given(struct pg *p)
{
	if (p->o.calls.given == NULL)
		return;
	pthread_mutex_lock(&p->drive.telling);
	p->o.calls.given(p->o.calls.ctx);
	pthread_mutex_unlock(&p->drive.telling);
}

/* ---- connections ---- */

/* Until there is a question for this connection; false: it stops, or until_us (clock_boot_us) has come. */
static bool
job_wait(struct drive *d, enum cluster_conn conn, bool ticks, struct cluster_do *ask)
{
	bool on;

	pthread_mutex_lock(&d->mu);
	while (!d->jobs[conn].on && !d->stop) {
		int64_t left_us = ticks ? d->wake_us - clock_boot_us() : PG_PATIENCE_US;

		if (ticks && left_us <= 0)
			break;
		cond_wait_until(&d->wake, &d->mu,
		    clock_mono_us() + (left_us < PG_PATIENCE_US ? left_us : PG_PATIENCE_US));
	}
	on = d->jobs[conn].on && !d->stop;
	*ask = d->jobs[conn].ask;
	d->jobs[conn].on = false;
	pthread_mutex_unlock(&d->mu);
	return on;
}

/* What has not gone well last, for a start that comes to nothing. */
static void
why_not(struct drive *d, const struct fault *f)
{
	if (f->text[0] == '\0')
		return;
	pthread_mutex_lock(&d->mu);
	d->why = *f;
	pthread_mutex_unlock(&d->mu);
}

static void
job_do(struct pg *p, struct conn *c, const struct cluster_do *ask, struct fault *f)
{
	struct beat_view *view = NULL;
	struct cluster_input in;

	if (ask->question == CLUSTER_ASK_BEAT)
		view = xcalloc(1, sizeof(*view));
	*f = (struct fault){ 0 };
	pg_asks(p, c, ask, &in, view, f);
	why_not(&p->drive, f);
	if (view != NULL)
		figures_beat(p, &in, &view->shown);
	drive_step(p, &in);
	if (view != NULL && in.answer == CLUSTER_OK)
		tell_view(p, &view->shown);
	if (ask->question == CLUSTER_GIVE && in.answer == CLUSTER_OK)
		tell_given(p);
	free(view);
}

static bool
stops(struct drive *d)
{
	bool stop;

	pthread_mutex_lock(&d->mu);
	stop = d->stop;
	pthread_mutex_unlock(&d->mu);
	return stop;
}

static void
conn_run(struct pg *p, enum cluster_conn conn)
{
	struct drive *d = &p->drive;
	struct conn *c = &d->conns[conn];
	struct cluster_do ask;
	struct fault f = { 0 };

	while (!stops(d))
		if (job_wait(d, conn, conn == CLUSTER_BEAT, &ask))
			job_do(p, c, &ask, &f);
		else if (conn == CLUSTER_BEAT && !stops(d))
			drive_step(p, &(struct cluster_input){ .what = CLUSTER_TICK });
}

static void
beat_main(void *p)
{
	conn_run(p, CLUSTER_BEAT);
}

static void
work_main(void *p)
{
	conn_run(p, CLUSTER_WORK);
}

/* ---- loading ---- */

static bool
load_wait(struct drive *d, struct cluster_do *load)
{
	bool found = false;

	pthread_mutex_lock(&d->mu);
	while (d->nload == 0 && !d->stop)
		pthread_cond_wait(&d->wake, &d->mu);
	for (unsigned s = 0; s < PG_SHARDS && !found && !d->stop; s++)
		if (d->loads[s].what == CLUSTER_LOAD) {
			*load = d->loads[s];
			d->loads[s].what = CLUSTER_ASK;
			d->nload--;
			found = true;
		}
	pthread_mutex_unlock(&d->mu);
	return found;
}

static void
is_read(struct pg *p, const struct cluster_do *load)
{
	p->taken[load->shard] = (struct store_epoch){ (uint64_t)load->epoch, load->at };
	epoch_known(p, load->shard, load->epoch);
	atomic_fetch_or(&p->held, UINT64_C(1) << load->shard);
}

static void
load_main(void *ctx)
{
	struct pg *p = ctx;
	struct drive *d = &p->drive;
	struct conn c = { 0 };
	struct cluster_do load;
	struct fault f = { 0 };
	unsigned host = 0;
	int64_t begin_us;

	while (load_wait(d, &load)) {
		enum err e = c.pg != NULL
		    ? ERR_OK
		    : conn_open(&c, &p->o, host, atomic_load(&p->generation), "load", &f);

		begin_us = clock_mono_us();
		if (e == ERR_OK)
			e = shard_read(p, &c, &load, &f);
		why_not(d, &f);
		if (e == ERR_OK)
			figures_load(p, clock_mono_us() - begin_us);
		if (e != ERR_OK)
			conn_close(&c), host++;
		else
			is_read(p, &load);
		drive_step(p,
		    &(struct cluster_input){
		        .what = e == ERR_OK ? CLUSTER_LOADED : CLUSTER_NOT_LOADED,
		        .shard = load.shard });
		if (load.shard == 0)
			upkeep_due(p);
	}
	conn_close(&c);
}

/* ---- the committer ---- */

bool
drive_fence(struct pg *p, uint32_t shard, int64_t *epoch, int64_t *pos)
{
	bool mine;

	pthread_mutex_lock(&p->drive.mu);
	mine = cluster_fence(p->drive.cluster, shard, epoch, pos);
	pthread_mutex_unlock(&p->drive.mu);
	return mine;
}

/* One look, as long as `for_us`: what is asked on the committer's connection is asked by who is here. */
bool
drive_resolve(struct pg *p, int64_t for_us, bool *made, struct fault *f)
{
	struct drive *d = &p->drive;
	int64_t until_us = clock_mono_us() + for_us;
	struct cluster_do ask;
	bool on, done;

	for (;;) {
		pthread_mutex_lock(&d->mu);
		while (!d->jobs[CLUSTER_COMMIT].on && !d->resolved && !d->ended &&
		    cond_wait_until(&d->wake, &d->mu, until_us))
			;
		on = d->jobs[CLUSTER_COMMIT].on && !d->ended;
		ask = d->jobs[CLUSTER_COMMIT].ask;
		d->jobs[CLUSTER_COMMIT].on = false;
		done = d->resolved;
		*made = d->made;
		if (done)
			d->resolved = false;
		pthread_mutex_unlock(&d->mu);
		if (!on)
			return done;
		job_do(p, &p->commit, &ask, f);
	}
}

/* ---- beginning and end ---- */

static bool
has_ended(struct drive *d)
{
	bool ended;

	pthread_mutex_lock(&d->mu);
	ended = d->ended;
	pthread_mutex_unlock(&d->mu);
	return ended;
}

/* Until it has begun and the committer has a connection. The start's own end is an error of the start. */
static enum err
begun_wait(struct pg *p, struct fault *f)
{
	struct drive *d = &p->drive;
	int64_t until_us = clock_mono_us() + PG_START_US;
	bool made, connected = false, over;

	while (!has_ended(d) && (!connected || atomic_load(&p->generation) == 0) &&
	    clock_mono_us() < until_us)
		connected |= drive_resolve(p, PG_RETRY_US / 20, &made, f);
	over = !connected || atomic_load(&p->generation) == 0;
	pthread_mutex_lock(&d->mu);
	d->starts = false;
	if (d->ended)
		fault_set(f, F_ServerError, "%s", d->said.text);
	else if (over)
		fault_set(f, F_ServerError, "the node cannot begin: %s",
		    d->why.text[0] != '\0' ? d->why.text : "PostgreSQL does not answer");
	over |= d->ended;
	pthread_mutex_unlock(&d->mu);
	return over ? ERR_LOCKED : ERR_OK;
}

void
drive_why(struct drive *d, struct fault *f)
{
	pthread_mutex_lock(&d->mu);
	*f = d->why;
	pthread_mutex_unlock(&d->mu);
}

static enum err
threads_start(struct pg *p, struct fault *f)
{
	struct drive *d = &p->drive;
	enum err e = thread_start(&d->threads[0], beat_main, p, f, "beat pg");

	if (e == ERR_OK)
		e = thread_start(&d->threads[1], work_main, p, f, "work pg");
	if (e == ERR_OK)
		e = thread_start(&d->threads[2], load_main, p, f, "load pg");
	return e;
}

void
drive_init(struct pg *p)
{
	struct drive *d = &p->drive;

	pthread_mutex_init(&d->mu, NULL);
	pthread_mutex_init(&d->telling, NULL);
	cond_init(&d->wake);
	d->dir = str_dup0(str_of(p->o.dir));
	d->address = p->o.address != NULL ? str_dup0(str_of(p->o.address)) : NULL;
	d->has_print = p->o.print != NULL;
	if (d->has_print)
		memcpy(d->print, p->o.print, PG_PRINT);
}

enum err
drive_start(struct pg *p, struct fault *f)
{
	struct drive *d = &p->drive;
	struct cluster_options o = { .node = p->o.node,
		.shards = PG_SHARDS,
		.hosts = conn_hosts(&p->o),
		.single = true,
		.times = cluster_times };
	enum err e;

	if (!p->o.several) /* one node serves at a time: none gives shards away */
		o.times.settle_us = INT64_MAX / 4;
	else if (p->o.times.settle_us != 0)
		o.times.settle_us = p->o.times.settle_us;
	d->cluster = cluster_new(&o);
	d->starts = true;
	drive_step(p, &(struct cluster_input){ .what = CLUSTER_TICK });
	drive_step(p, &(struct cluster_input){ .what = CLUSTER_UNKNOWN });
	e = threads_start(p, f);
	return e == ERR_OK ? begun_wait(p, f) : e;
}

void
drive_stop(struct pg *p)
{
	struct drive *d = &p->drive;

	pthread_mutex_lock(&d->mu);
	d->stop = true;
	pthread_cond_broadcast(&d->wake);
	pthread_mutex_unlock(&d->mu);
	for (unsigned i = 0; i < sizeof(d->threads) / sizeof(d->threads[0]); i++)
		thread_join(&d->threads[i]);
}

/* Nobody answers any more for this incarnation: who waits for its silence need not. Where that is not heard, they wait. */
static void
leave(struct pg *p)
{
	char generation[8];
	const struct param v[] = { { PG_TEXT, str_of(p->o.node), false },
		{ PG_INT8, { generation, 8 }, false } };
	struct conn *c = &p->drive.conns[CLUSTER_WORK];
	struct fault f;
	PGresult *r;

	be_put(generation, atomic_load(&p->generation), 8);
	if (c->pg != NULL && atomic_load(&p->generation) != 0 &&
	    conn_ask(c, "CALL th_leave($1, $2, NULL)", 2, v, clock_mono_us() + PG_LEAVE_US, &r,
	        &f) == ERR_OK)
		PQclear(r);
}

void
drive_fini(struct pg *p)
{
	struct drive *d = &p->drive;

	if (d->cluster != NULL)
		leave(p);
	for (unsigned i = 0; i < CLUSTER_COMMIT; i++)
		conn_close(&d->conns[i]);
	cluster_free(d->cluster);
	free(d->dir);
	free(d->address);
	pthread_cond_destroy(&d->wake);
	pthread_mutex_destroy(&d->telling);
	pthread_mutex_destroy(&d->mu);
}
