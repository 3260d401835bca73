/* The feed's thread and its readers: see feed.h. */
#include <stdatomic.h>
#include <stdlib.h>

#include "feed/priv.h"
#include "log/log.h"
#include "os/clock.h"
#include "os/thread.h"

#define TICK_US 1000000 /* between looks at readers that hear nothing */

struct feed_reader {
	struct msg opened, more, closed;
	struct feed_reader *next;
	struct feed *feed;
	struct feed_reader_conf c;
	struct buf text; /* of the filter */
	struct position at;
	uint64_t promised[SHARDS]; /* from here on nothing may be missing untold */
	uint64_t missing;
	uint64_t missing_shards; /* a bit each */
	uint32_t shard;          /* whose turn it is */
	struct stretch own;      /* for one that is behind */
	uint32_t own_shard;
	atomic_bool asked; /* `more` is on its way */
	bool room, failed;
};

struct feed {
	struct feed_options o;
	struct teller *teller;
	struct judge *judge;
	struct mailbox box;
	struct thread thread;
	struct msg grown, end;
	atomic_bool told;   /* `grown` is on its way */
	atomic_uint open;   /* readers */
	atomic_uint hidden; /* a bit for each enum told_source that nobody is shown */
	bool over;
	struct feed_reader *readers;
	struct stretch stretches[SHARDS];
	pthread_mutex_t mu; /* over askers */
	uint64_t askers[FEED_READERS_MAX];
	unsigned nasker;
};

void
feed_show(struct feed *f, const struct log_what *what)
{
	unsigned hidden = 0;

	if (!what->twin_changes)
		hidden |= 1u << TOLD_TWINS;
	if (!what->life_cycle)
		hidden |= 1u << TOLD_LIFE_CYCLE;
	atomic_store(&f->hidden, hidden);
}

/* ---- where a reader begins ---- */

void
feed_now(const struct feed *f, struct position *out)
{
	for (uint32_t s = 0; s < SHARDS; s++)
		out->next[s] = fleet_log_end(f->o.fleet, s);
}

static enum err
reader_begins(struct feed_reader *r)
{
	struct feed *f = r->feed;
	enum err e = ERR_OK;

	if (r->c.from == FEED_POSITION) {
		r->at = r->c.position;
		memcpy(r->promised, r->at.next, sizeof(r->promised));
		return ERR_OK;
	}
	feed_now(f, &r->at);
	memcpy(r->promised, r->at.next, sizeof(r->promised));
	for (uint32_t s = 0; s < SHARDS && e == ERR_OK; s++) {
		if (r->c.from == FEED_EARLIEST)
			r->at.next[s] = 1;
		else if (r->c.from == FEED_TIME)
			e = log_find_time(
			    f->o.store, s, r->at.next[s], r->c.time_us, &r->at.next[s]);
	}
	return e;
}

/* ---- a turn of a reader ---- */

/* Where what comes next, or is read into; one that reads at the end leaves it to the others. */
static enum err
reader_stretch(struct feed_reader *r, uint32_t s, uint64_t end, struct stretch **out)
{
	struct stretch *shared = &r->feed->stretches[s];
	uint64_t from = r->at.next[s];

	*out = shared;
	if (from >= shared->from && from < shared->to)
		return ERR_OK;
	if (from < shared->from) {
		*out = &r->own;
		if (r->own_shard == s && from >= r->own.from && from < r->own.to)
			return ERR_OK;
		r->own_shard = s;
	}
	return stretch_read(*out, &r->feed->o, s, from, end);
}

/* Positions up to `to` that are not there: retention has dropped them. */
static void
reader_passes(struct feed_reader *r, uint32_t s, uint64_t to)
{
	uint64_t from = r->at.next[s] > r->promised[s] ? r->at.next[s] : r->promised[s];

	if (from < to) {
		r->missing += to - from;
		r->missing_shards |= UINT64_C(1) << s;
	}
	r->at.next[s] = to;
}

static bool
reader_tells_gap(struct feed_reader *r)
{
	struct feed_event gap = { 0 };
	struct buf json = { 0 };
	bool taken;

	told_write_dropped(r->feed->teller, &json, r->missing,
	    (unsigned)__builtin_popcountll(r->missing_shards), clock_wall_us());
	gap.json = buf_view(&json);
	gap.missing = r->missing;
	taken = r->c.take(r->c.ctx, &gap);
	buf_fini(&json);
	if (taken)
		r->missing = r->missing_shards = 0;
	return taken;
}

/* False: it has no room. */
static bool
reader_takes(struct feed_reader *r, uint32_t s, struct stretch *stretch, struct stretch_item *item)
{
	struct event e;
	struct feed_event told = { .shard = s, .position = item->position, .e = &e };
	struct str record = { stretch->records.p + item->at, item->n };

	if (event_decode(record, &e) != ERR_OK || (!stretch->own && !told_sound(&e)))
		return true;
	e.position = item->position;
	told.source = told_source_of(&e);
	judge_look(r->feed->judge, &e, s);
	if ((atomic_load(&r->feed->hidden) & 1u << told.source) != 0 ||
	    !filter_takes(&r->c.filter, r->feed->judge, &e, told.source) ||
	    (r->c.wants != NULL && !r->c.wants(r->c.ctx, &told)))
		return true;
	if (r->missing != 0 && !reader_tells_gap(r))
		return false;
	if (item->json_n == 0) {
		item->json_at = (uint32_t)stretch->json.n;
		told_write(r->feed->teller, &stretch->json, &e, s, item->position);
		item->json_n = (uint32_t)(stretch->json.n - item->json_at);
	}
	told.json = (struct str){ stretch->json.p + item->json_at, item->json_n };
	return r->c.take(r->c.ctx, &told);
}

/* What is left of a turn. */
struct turn {
	uint32_t events;
	int64_t until_us;
};

static bool
turn_over(const struct turn *t)
{
	return t->events == 0 || clock_mono_us() >= t->until_us;
}

/* What there is of one shard, at most so much. False: it has no room. */
static bool
reader_reads(struct feed_reader *r, uint32_t s, uint64_t end, struct turn *turn, enum err *e)
{
	bool over = false;
	struct stretch *stretch;

	*e = reader_stretch(r, s, end, &stretch);
	if (*e != ERR_OK)
		return false;
	for (uint32_t i = stretch_find(stretch, r->at.next[s]); i < stretch->n && !over; i++) {
		reader_passes(r, s, stretch->v[i].position);
		if (!reader_takes(r, s, stretch, &stretch->v[i]))
			return false;
		r->at.next[s] = stretch->v[i].position + 1;
		turn->events--;
		over = turn_over(turn);
	}
	if (!over)
		reader_passes(r, s, stretch->to);
	return true;
}

static bool
reader_is_behind(const struct feed_reader *r)
{
	for (uint32_t s = 0; s < SHARDS; s++)
		if (r->at.next[s] < fleet_log_end(r->feed->o.fleet, s))
			return true;
	return false;
}

/* True: there is more for it, and it has room. */
static bool
reader_turn(struct feed_reader *r)
{
	struct turn turn = { FEED_TURN_EVENTS, clock_mono_us() + FEED_TURN_US };
	uint32_t quiet = 0;
	enum err e = ERR_OK;
	bool room = true, behind;

	while (room && !turn_over(&turn) && quiet < SHARDS) {
		uint32_t s = r->shard;
		uint64_t end = fleet_log_end(r->feed->o.fleet, s);

		r->shard = (s + 1) % SHARDS;
		if (r->at.next[s] >= end) {
			quiet++;
			continue;
		}
		quiet = 0;
		room = reader_reads(r, s, end, &turn, &e);
		if (!room)
			r->shard = s;
	}
	if (e != ERR_OK) {
		r->failed = true;
		r->c.fails(r->c.ctx, e);
		return false;
	}
	if (room && r->missing != 0)
		room = reader_tells_gap(r);
	behind = reader_is_behind(r);
	r->room = r->c.rest(r->c.ctx, &r->at, !behind) && room;
	return r->room && behind;
}

/* ---- the thread ---- */

static bool
all_turn(struct feed *f)
{
	bool more = false;

	for (struct feed_reader *r = f->readers; r != NULL; r = r->next)
		if (r->room && !r->failed)
			more |= reader_turn(r);
	return more;
}

static void
on_grown(struct msg *m)
{
	struct feed *f = container_of(m, struct feed, grown);

	atomic_store(&f->told, false); /* before the ends are looked at */
}

static void
on_end(struct msg *m)
{
	container_of(m, struct feed, end)->over = true;
}

bool
feed_turn(struct feed *f)
{
	struct msg *m, *next;

	for (m = mailbox_take_all(&f->box); m != NULL; m = next) {
		next = m->next;
		m->run(m);
	}
	return all_turn(f);
}

static void
feed_main(void *arg)
{
	struct feed *f = arg;
	bool more = false;

	while (!f->over) {
		mailbox_wait(&f->box, more ? 0 : f->readers != NULL ? TICK_US : -1);
		more = feed_turn(f);
	}
}

/* Any worker's thread, behind each commit that has records: nobody reads, mostly. */
static void
log_grew(void *ctx)
{
	struct feed *f = ctx;

	if (atomic_load(&f->open) != 0 && !atomic_exchange(&f->told, true))
		mailbox_post(&f->box, &f->grown);
}

/* ---- readers come and go ---- */

static void
on_opened(struct msg *m)
{
	struct feed_reader *r = container_of(m, struct feed_reader, opened);
	enum err e = reader_begins(r);

	r->next = r->feed->readers;
	r->feed->readers = r;
	r->room = true;
	fleet_reads_log(r->feed->o.fleet, true);
	if (e != ERR_OK) {
		r->failed = true;
		r->c.fails(r->c.ctx, e);
	}
}

static void
on_more(struct msg *m)
{
	struct feed_reader *r = container_of(m, struct feed_reader, more);

	atomic_store(&r->asked, false);
	r->room = true;
}

static void
reader_free(struct feed_reader *r)
{
	stretch_fini(&r->own);
	buf_fini(&r->text);
	free(r);
}

static void share_back(struct feed *f, uint64_t asker);

static void
on_closed(struct msg *m)
{
	struct feed_reader *r = container_of(m, struct feed_reader, closed);
	struct feed *f = r->feed;
	struct feed_reader **at = &f->readers;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	fleet_reads_log(f->o.fleet, f->readers != NULL);
	atomic_fetch_sub(&f->open, 1);
	share_back(f, r->c.asker);
	r->c.over(r->c.ctx);
	reader_free(r);
}

/* ---- shares ---- */

static bool
share_take(struct feed *f, uint64_t asker, struct fault *why)
{
	unsigned own = 0;
	bool ok;

	if (asker == 0)
		return true;
	pthread_mutex_lock(&f->mu);
	for (unsigned i = 0; i < f->nasker; i++)
		own += f->askers[i] == asker;
	ok = f->nasker < FEED_READERS_MAX && own < FEED_SHARE_MAX;
	if (ok)
		f->askers[f->nasker++] = asker;
	else if (own >= FEED_SHARE_MAX)
		fault_set(why, F_ThrottlingException,
		    "%u readers of events are open for this policy and address, which is the limit",
		    own);
	else
		fault_set(why, F_ThrottlingException,
		    "%u readers of events are open, which is the limit", FEED_READERS_MAX);
	pthread_mutex_unlock(&f->mu);
	return ok;
}

static void
share_back(struct feed *f, uint64_t asker)
{
	if (asker == 0)
		return;
	pthread_mutex_lock(&f->mu);
	for (unsigned i = 0; i < f->nasker; i++)
		if (f->askers[i] == asker) {
			f->askers[i] = f->askers[--f->nasker];
			break;
		}
	pthread_mutex_unlock(&f->mu);
}

/* ---- from outside ---- */

enum err
feed_open(
    struct feed *f, const struct feed_reader_conf *c, struct feed_reader **out, struct fault *why)
{
	struct feed_reader *r;

	if (!share_take(f, c->asker, why))
		return ERR_FULL;
	r = xcalloc(1, sizeof(*r));
	r->feed = f;
	r->c = *c;
	filter_copy(&r->c.filter, &r->text);
	if (c->from == FEED_NOW) { /* when it was asked for, not when the thread comes to it */
		feed_now(f, &r->c.position);
		r->c.from = FEED_POSITION;
	}
	r->opened.run = on_opened;
	r->more.run = on_more;
	r->closed.run = on_closed;
	*out = r;
	atomic_fetch_add(&f->open, 1);
	mailbox_post(&f->box, &r->opened);
	return ERR_OK;
}

void
feed_more(struct feed_reader *r)
{
	if (!atomic_exchange(&r->asked, true))
		mailbox_post(&r->feed->box, &r->more);
}

void
feed_close(struct feed_reader *r)
{
	mailbox_post(&r->feed->box, &r->closed);
}

bool
feed_matches(struct feed *f, const struct condition *c)
{
	return judge_matches(f->judge, c);
}

void
feed_run(struct feed *f, struct msg *m)
{
	mailbox_post(&f->box, m);
}

struct store *
feed_store(struct feed *f)
{
	return f->o.store;
}

uint32_t
feed_hub(const struct feed *f)
{
	return f->o.hub;
}

unsigned
feed_readers(const struct feed *f)
{
	return atomic_load(&f->open);
}

void
feed_position_write(const struct feed *f, struct buf *out, const struct position *p)
{
	position_write(out, p, f->o.hub);
}

enum err
feed_position_read(const struct feed *f, struct str text, struct position *out, struct fault *why)
{
	struct position end;
	enum err e = position_read(text, f->o.hub, out, why);

	feed_now(f, &end); /* of a shard that is elsewhere it may be known later */
	for (uint32_t s = 0; s < SHARDS && e == ERR_OK; s++)
		if (out->next[s] > end.next[s] && fleet_has_shard(f->o.fleet, s))
			e = fault_set(why, F_ArgumentInvalid,
			    "the position is beyond the end of the event log: it is from before a "
			    "restored backup");
	return e;
}

enum err
feed_new(const struct feed_options *o, struct feed **out)
{
	struct feed *f = xcalloc(1, sizeof(*f));

	f->o = *o;
	if (mailbox_init(&f->box) != ERR_OK) {
		free(f);
		return ERR_IO;
	}
	f->teller = teller_new(o->name);
	f->judge = judge_new(o->store, f->teller);
	f->o.name = STR_NONE;
	f->grown.run = on_grown;
	f->end.run = on_end;
	pthread_mutex_init(&f->mu, NULL);
	if (thread_start(&f->thread, feed_main, f, NULL, "feed") != ERR_OK) {
		feed_free(f);
		return ERR_IO;
	}
	fleet_hear_log(o->fleet, log_grew, f);
	*out = f;
	return ERR_OK;
}

void
feed_free(struct feed *f)
{
	if (f == NULL)
		return;
	if (f->thread.runs) {
		mailbox_post(&f->box, &f->end);
		thread_join(&f->thread);
	}
	assert(f->readers == NULL);
	mailbox_fini(&f->box);
	for (uint32_t s = 0; s < SHARDS; s++)
		stretch_fini(&f->stretches[s]);
	judge_free(f->judge);
	teller_free(f->teller);
	pthread_mutex_destroy(&f->mu);
	free(f);
}
