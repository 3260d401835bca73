/*
 * Events in partitions (E-100 to E-105): the appender as it is (deliver/appender.c), its reader of the log (feed/), over the simulated store, without
 * their threads. A reader of numbers looks now and then; what it has seen once stays as it is, over failed commits, starts and crashes:
 *
 *   - sequences are dense, each names a record of the log, those of a shard in the order of their positions, each once;
 *   - times are those of the records, and never fall;
 *   - what goes from the front is gone from the log;
 *   - at the end of the log all that routes send is numbered, and nothing else.
 *
 * Which routes there are is drawn for a history, and does not change in it.
 */
#include "world.h"

#include <stdlib.h>

#include "deliver/priv.h"
#include "feed/priv.h"
#include "shard/told.h"

/* As it was seen; position 0: it came and went unseen, by retention. */
struct numbers {
	struct partition_entry *v; /* by sequence */
	uint64_t n, room, begin;
	bool unseen; /* some are so */
};

static struct {
	uint32_t n; /* partitions */
	struct routing *set;
	unsigned sources; /* a bit for each enum told_source that goes to the endpoint */
	bool patches;     /* of twin changes those alone */
	struct feed *feed;
	struct deliveries d;
	bool asked, waits;
	struct rnd rnd;
	struct numbers of[PARTITIONS_MAX];
	uint64_t ahead[PARTITIONS_MAX]; /* the ends in memory, as they were last */
} numbered;

/* ---- waiting, where there is no thread to wait for ---- */

static void
numbered_round(struct world *w)
{
	world_round(w);
	feed_turn(numbered.feed);
}

WRAP(int, pthread_cond_wait, pthread_cond_t *c, pthread_mutex_t *mu)
{
	if (!numbered.waits)
		return __real_pthread_cond_wait(c, mu);
	pthread_mutex_unlock(mu);
	the_world->mono_us += 1000; /* who waits for a shard that cannot go is refused in time */
	numbered_round(the_world);
	pthread_mutex_lock(mu);
	return 0;
}

static void
appender_turn(struct world *w)
{
	numbered.waits = true;
	appender_look(numbered.d.appender, w->mono_us);
	numbered.waits = false;
}

/* ---- routes ---- */

static struct doc
body_of(struct world *w, const char *json)
{
	return world_doc(w, str_of(json));
}

static void
add_sink(struct world *w, const char *id, const char *json)
{
	struct buf record = { 0 };
	struct fault f = { .text = "" };

	if (sink_encode(&record, body_of(w, json), NULL, 1, &f) != ERR_OK ||
	    sink_def_new(str_of(id), buf_view(&record),
	        &numbered.set->sinks[numbered.set->nsink++]) != ERR_OK)
		world_fail("no sink: %s", f.text);
	buf_fini(&record);
}

static void
add_route(struct world *w, const char *id, const char *json)
{
	struct buf record = { 0 };
	struct fault f = { .text = "" };

	if (route_encode(&record, str_of(id), body_of(w, json), NULL, numbered.set, 1, &f) !=
	        ERR_OK ||
	    route_def_new(str_of(id), buf_view(&record),
	        &numbered.set->routes[numbered.set->nroute++]) != ERR_OK)
		world_fail("no route: %s", f.text);
	buf_fini(&record);
}

static void
add_source(struct world *w, enum told_source source, const char *id, const char *json)
{
	if (rnd_below(&w->rnd, 3) == 0)
		return;
	add_route(w, id, json);
	numbered.sources |= 1u << source;
}

/* Messages go by the fallback, unless another route takes them elsewhere. */
static void
draw_routes(struct world *w)
{
	numbered.set = routing_new();
	numbered.sources = 1u << TOLD_MESSAGES;
	if (rnd_below(&w->rnd, 4) == 0) {
		add_sink(w, "away", "{\"kind\":\"file\",\"path\":\"away\"}");
		add_route(w, "a", "{\"source\":\"DeviceMessages\",\"endpointNames\":[\"away\"]}");
		numbered.sources = 0;
	}
	numbered.patches = rnd_below(&w->rnd, 2) == 0;
	add_source(w, TOLD_TWINS, "t",
	    numbered.patches
	        ? "{\"source\":\"TwinChangeEvents\",\"condition\":\"opType = 'updateTwin'\","
	          "\"endpointNames\":[\"events\"]}"
	        : "{\"source\":\"TwinChangeEvents\",\"endpointNames\":[\"events\"]}");
	add_source(w, TOLD_LIFE_CYCLE, "u",
	    "{\"source\":\"DeviceLifecycleEvents\",\"endpointNames\":[\"events\"]}");
	add_source(w, TOLD_CONNECTIONS, "v",
	    "{\"source\":\"DeviceConnectionStateEvents\",\"endpointNames\":[\"events\"]}");
	add_source(w, TOLD_JOBS, "w",
	    "{\"source\":\"DeviceJobLifecycleEvents\",\"endpointNames\":[\"events\"]}");
	add_source(w, TOLD_ADMINISTRATION, "x",
	    "{\"source\":\"AdministrationEvents\",\"endpointNames\":[\"events\"]}");
}

static bool
is_routed(const struct event *e)
{
	enum told_source source = told_source_of(e);

	return source != TOLD_NOBODY && (numbered.sources & 1u << source) != 0 &&
	    (source != TOLD_TWINS || !numbered.patches || e->kind == EVENT_TWIN_CHANGED);
}

/* ---- life ---- */

void
numbered_new(struct world *w)
{
	memset(&numbered, 0, sizeof(numbered));
	numbered.rnd.state = rnd_u64(&w->rnd) | 1;
	numbered.n = 1u << rnd_below(&w->rnd, 6);
	w->retains = rnd_below(&w->rnd, 5) == 0;
	draw_routes(w);
}

void
numbered_free(void)
{
	for (uint32_t i = 0; i < numbered.n; i++)
		free(numbered.of[i].v);
	routing_unref(numbered.set);
}

void
numbered_up(struct world *w)
{
	const struct feed_options o = {
		.fleet = w->fleet, .store = w->store, .hub = 1, .name = STR(SIM_HOST)
	};

	if (feed_new(&o, &numbered.feed) != ERR_OK)
		world_fail("no feed");
}

void
numbered_begin(struct world *w)
{
	struct partition_end ends[PARTITIONS_MAX];

	numbered.asked = false;
	for (uint32_t i = 0; i < numbered.n; i++) {
		contact_partition(w, i, numbered.n, &ends[i]);
		numbered.ahead[i] = ends[i].next;
		for (uint32_t s = i; s < SHARDS; s += numbered.n) /* it goes on by itself */
			numbered.asked |= ends[i].at[s] > 1;
	}
	numbered.d.world = (struct deliveries_world){
		.fleet = w->fleet, .feed = numbered.feed, .store = w->store, .loop = w->loop
	};
	numbered.d.appender = appender_new(&numbered.d);
	appender_begin(numbered.d.appender, ends, numbered.n);
	appender_route(numbered.d.appender, numbered.set);
}

void
numbered_down(struct world *w)
{
	(void)w;
	numbered.waits = true;
	appender_end(numbered.d.appender);
	numbered.waits = false;
	appender_free(numbered.d.appender);
	numbered.d.appender = NULL;
}

void
numbered_end(void)
{
	feed_free(numbered.feed);
	numbered.feed = NULL;
}

/* ---- what a reader of numbers sees ---- */

static bool
record_of(const struct world *w, const struct partition_entry *p, struct event *e)
{
	enum store_table table = p->telemetry ? STORE_LOG : STORE_CHANGES;
	char key[EVENT_KEY];
	struct str record;

	event_key(key, p->shard, p->position);
	return sim_store_peek(w->store, table, (struct str){ key, EVENT_KEY }, &record) &&
	    event_decode(record, e) == ERR_OK;
}

static void
note(struct numbers *p, const struct partition_entry *e)
{
	if (p->n == p->room) {
		p->room = p->room ? p->room * 2 : 256;
		p->v = xrealloc(p->v, p->room * sizeof(*p->v));
	}
	p->v[p->n++] = *e;
}

/* One that was not there when it was looked last. */
static void
check_new(const struct world *w, uint32_t partition, const struct partition_entry *e)
{
	struct numbers *p = &numbered.of[partition];
	const struct partition_entry *before = p->n > 0 ? &p->v[p->n - 1] : NULL;
	struct event told;

	if (e->sequence != p->n)
		world_fail("partition %u goes from %llu to %llu", partition,
		    (unsigned long long)p->n - 1, (unsigned long long)e->sequence);
	if (e->shard % numbered.n != partition)
		world_fail("shard %u is in partition %u", e->shard, partition);
	for (uint64_t i = p->n; i-- > 0;)
		if (p->v[i].position != 0 && p->v[i].shard == e->shard) {
			if (p->v[i].position >= e->position)
				world_fail(
				    "partition %u: position %llu of shard %u comes behind %llu",
				    partition, (unsigned long long)e->position, e->shard,
				    (unsigned long long)p->v[i].position);
			break;
		}
	if (before != NULL && e->time_us < before->time_us)
		world_fail("partition %u: the time of %llu falls", partition,
		    (unsigned long long)e->sequence);
	if (record_of(w, e, &told)) {
		if (!is_routed(&told))
			world_fail("an event that no route sends is %llu of partition %u",
			    (unsigned long long)e->sequence, partition);
		if (e->time_us < told.time_us ||
		    (e->time_us > told.time_us && before != NULL && before->position != 0 &&
		        e->time_us != before->time_us))
			world_fail("the time of %llu in partition %u is nobody's",
			    (unsigned long long)e->sequence, partition);
	} else if (!w->retains) {
		world_fail("%llu of partition %u names no record", (unsigned long long)e->sequence,
		    partition);
	}
	seen.numbered++;
}

static void
check_known(uint32_t partition, const struct partition_entry *e)
{
	const struct partition_entry *was = &numbered.of[partition].v[e->sequence];

	if (was->position != 0 &&
	    (was->position != e->position || was->shard != e->shard || was->time_us != e->time_us ||
	        was->telemetry != e->telemetry))
		world_fail("%llu of partition %u was position %llu of shard %u, and is %llu of %u",
		    (unsigned long long)e->sequence, partition, (unsigned long long)was->position,
		    was->shard, (unsigned long long)e->position, e->shard);
}

/* What is gone from the front is gone from the log, the last one of it for certain. */
static void
check_begin(const struct world *w, uint32_t partition, uint64_t begin)
{
	struct numbers *p = &numbered.of[partition];
	struct event e;

	if (begin < p->begin)
		world_fail("partition %u begins earlier than it did", partition);
	if (begin > p->begin && p->v[begin - 1].position != 0 && record_of(w, &p->v[begin - 1], &e))
		world_fail("partition %u begins behind %llu, whose record is there", partition,
		    (unsigned long long)begin - 1);
	seen.trimmed += begin - p->begin;
	p->begin = begin;
}

/* Rows from a sequence on, as readers find them. */
static void
look_at_rows(struct world *w, uint32_t partition, uint64_t from, const struct partition_info *info)
{
	struct numbers *p = &numbered.of[partition];
	char first[EVENT_KEY], end[EVENT_KEY];
	struct store_cursor *c;
	struct str key, value;

	event_key(first, partition, from - from % PARTITION_STRETCH);
	event_key(end, partition, info->next);
	if (store_cursor_open(w->store, STORE_PARTITIONS, (struct str){ first, EVENT_KEY },
	        (struct str){ end, EVENT_KEY }, STORE_SCAN, &c) != ERR_OK)
		world_fail("no cursor");
	while (store_next(c, &key, &value) == ERR_OK) {
		struct partition_entry e;
		struct partition_row row;
		uint64_t sequence;
		uint32_t of;

		if (!event_key_decode(key, &of, &sequence))
			world_fail("a row of partitions has no key");
		partition_row_begin(&row, sequence, value);
		while (partition_row_next(&row, &e) == ERR_OK) {
			if (e.sequence >= info->next || e.sequence < info->begin)
				continue;
			if (e.sequence < p->n) {
				check_known(partition, &e);
				continue;
			}
			check_new(w, partition, &e);
			note(p, &e);
		}
	}
	store_cursor_close(c);
}

/* All that is new, or all that is left. */
static void
look_at_partition(struct world *w, uint32_t partition, bool all)
{
	struct partition_info info = appender_info(numbered.d.appender, partition);
	struct numbers *p = &numbered.of[partition];

	if (info.next < p->n)
		world_fail("partition %u ends with %llu, and has shown %llu", partition,
		    (unsigned long long)info.next, (unsigned long long)p->n);
	p->unseen |= p->n < info.begin;
	while (p->n < info.begin)
		note(p,
		    &(struct partition_entry){
		        .sequence = p->n, .time_us = p->n > 0 ? p->v[p->n - 1].time_us : 0 });
	check_begin(w, partition, info.begin);
	if (info.begin < info.next)
		look_at_rows(w, partition, all || p->n < info.begin ? info.begin : p->n, &info);
	if (p->n != info.next)
		world_fail("partition %u has %llu of %llu", partition, (unsigned long long)p->n,
		    (unsigned long long)info.next);
	if (p->n > info.begin && info.last_us != p->v[p->n - 1].time_us)
		world_fail("partition %u: another time of the last one", partition);
}

static void
look_at_all(struct world *w, bool all)
{
	for (uint32_t i = 0; i < numbered.n; i++)
		look_at_partition(w, i, all);
}

/* ---- steps ---- */

/* An append that was taken back. */
static void
count_undone(const struct world *w)
{
	struct partition_end end;

	for (uint32_t i = 0; i < numbered.n; i++) {
		contact_partition(w, i, numbered.n, &end);
		seen.appends += end.next < numbered.ahead[i];
		numbered.ahead[i] = end.next;
	}
}

/* The feed's thread has its turn whenever it has. */
void
numbered_turn(struct world *w)
{
	if (numbered.d.appender == NULL || numbered.waits)
		return;
	count_undone(w);
	if (rnd_below(&numbered.rnd, 4) == 0)
		feed_turn(numbered.feed);
}

/* That of sinks: it may have to wait for works under way, so commits end in it. */
void
step_appender(struct world *w)
{
	appender_turn(w);
}

/* One entry after the other, as GET /events/partitions/{n} has them. */
struct reading {
	uint32_t partition;
	uint64_t next, left;
};

static bool
reading_takes(void *ctx, const struct partition_entry *e, struct str record)
{
	struct reading *r = ctx;
	struct event told;

	if (e->sequence < r->next)
		world_fail("%llu comes behind %llu", (unsigned long long)e->sequence,
		    (unsigned long long)r->next);
	check_known(r->partition, e);
	if (event_decode(record, &told) != ERR_OK || !is_routed(&told))
		world_fail("another record is %llu", (unsigned long long)e->sequence);
	for (; r->next < e->sequence; r->next++)
		if (record_of(the_world, &numbered.of[r->partition].v[r->next], &told))
			world_fail("%llu of partition %u is passed over",
			    (unsigned long long)r->next, r->partition);
	r->next++;
	return --r->left > 0;
}

static void
read_some(struct world *w, uint32_t partition)
{
	const struct numbers *p = &numbered.of[partition];
	uint64_t from = rnd_below(&w->rnd, (uint32_t)p->n + 2);
	struct reading r = { partition, from > p->begin ? from : p->begin, 100 };

	if (partitions_read(&numbered.d, w->store, partition, from, reading_takes, &r) != ERR_OK)
		world_fail("partition %u cannot be read", partition);
}

void
step_numbered(struct world *w)
{
	bool begins;

	if (!numbered.asked && rnd_below(&w->rnd, 3) == 0) {
		appender_ask(numbered.d.appender, &begins);
		numbered.asked = true;
	}
	look_at_all(w, rnd_below(&w->rnd, 4) == 0);
	read_some(w, rnd_below(&w->rnd, numbered.n));
}

/* Records that are older than a time, of some shards a later one, as files of one time go one by one. */
static void
drop(struct world *w, enum store_table table, int64_t until_us, uint32_t some, int64_t later_us)
{
	struct buf keys = { 0 };
	struct store_cursor *c;
	struct str key, record;
	struct event e;
	uint64_t position;
	uint32_t shard;
	struct rd rd;

	if (store_cursor_open(w->store, table, STR_NONE, STR_NONE, STORE_SCAN, &c) != ERR_OK)
		world_fail("no cursor");
	while (store_next(c, &key, &record) == ERR_OK)
		if (event_key_decode(key, &shard, &position) &&
		    event_decode(record, &e) == ERR_OK &&
		    e.time_us < (shard < some ? later_us : until_us))
			buf_lstr(&keys, key);
	store_cursor_close(c);
	for (rd = rd_of(buf_view(&keys)); rd.p < rd.end; seen.retained++)
		sim_store_drop(w->store, table, rd_lstr(&rd));
	buf_fini(&keys);
}

void
step_retention(struct world *w)
{
	int64_t now_us = world_wall_us(w);

	if (!w->retains)
		return;
	world_rest(w); /* nobody is in the midst of reading */
	look_at_all(w, false);
	for (int i = 0; i < 2; i++) {
		int64_t until_us = now_us - 1 - rnd_below(&w->rnd, 3000) * SECOND;

		if (rnd_below(&w->rnd, 3) > 0)
			drop(w, i == 0 ? STORE_LOG : STORE_CHANGES, until_us,
			    rnd_below(&w->rnd, SHARDS),
			    until_us + rnd_below(&w->rnd, 100) * SECOND);
	}
}

/* ---- at the end of the log ---- */

static bool
at_end(const struct world *w)
{
	struct partition_end end;

	for (uint32_t i = 0; i < numbered.n; i++) {
		contact_partition(w, i, numbered.n, &end);
		if (appender_info(numbered.d.appender, i).next != end.next)
			return false;
		for (uint32_t s = i; s < SHARDS; s += numbered.n)
			if (end.at[s] != fleet_log_end(w->fleet, s))
				return false;
	}
	return true;
}

/* Of a shard, in their order: what is numbered. */
struct places {
	const struct numbers *p;
	uint32_t shard;
	uint64_t i;
};

static uint64_t
next_place(struct places *at)
{
	while (at->i < at->p->n &&
	    (at->p->v[at->i].position == 0 || at->p->v[at->i].shard != at->shard))
		at->i++;
	return at->i < at->p->n ? at->p->v[at->i++].position : UINT64_MAX;
}

/* All records of the shard that are routed are numbered, and no other ones. */
static void
compare_table(
    const struct world *w, enum store_table table, uint32_t shard, const struct numbers *p)
{
	struct places at = { p, shard, 0 };
	uint64_t place = next_place(&at), position;
	char from[EVENT_KEY], to[EVENT_KEY];
	struct store_cursor *c;
	struct str key, record;
	struct event e;
	uint32_t of;

	event_key(from, shard, 0);
	event_key(to, shard, fleet_log_end(w->fleet, shard));
	if (store_cursor_open(w->store, table, (struct str){ from, EVENT_KEY },
	        (struct str){ to, EVENT_KEY }, STORE_SCAN, &c) != ERR_OK)
		world_fail("no cursor");
	while (store_next(c, &key, &record) == ERR_OK) {
		if (!event_key_decode(key, &of, &position) || event_decode(record, &e) != ERR_OK)
			world_fail("a record of the log cannot be read");
		while (place < position)
			place = next_place(&at);
		if (place != position && p->unseen)
			continue; /* what went was perhaps numbered behind it */
		if ((place == position) != is_routed(&e))
			world_fail("record %llu of shard %u, kind %d by %d, %s, is %s",
			    (unsigned long long)position, shard, (int)e.kind, (int)e.actor,
			    told_sound(&e) ? "sound" : "not sound",
			    place == position ? "numbered" : "not numbered");
	}
	store_cursor_close(c);
}

/* When trimming is through, what a partition begins with is there. */
static void
check_trimmed(struct world *w)
{
	struct event e;

	for (int i = 0; i < 8; i++) {
		w->mono_us += 11 * SECOND;
		appender_turn(w);
		for (int k = 0; k < 4; k++)
			numbered_round(w);
	}
	look_at_all(w, false);
	for (uint32_t i = 0; i < numbered.n; i++) {
		const struct numbers *p = &numbered.of[i];

		if (p->begin < p->n && !record_of(w, &p->v[p->begin], &e))
			world_fail("partition %u begins with %llu, whose record is gone", i,
			    (unsigned long long)p->begin);
	}
}

bool
numbered_check(struct world *w, unsigned rounds)
{
	bool begins;

	if (!numbered.asked && rounds > 1000)
		appender_ask(numbered.d.appender, &begins);
	else if (!numbered.asked)
		return false;
	numbered.asked = true;
	sim_store_set(w->store, SIM_READY);
	for (; rounds > 0 && !at_end(w); rounds--) {
		w->mono_us += SECOND;
		appender_turn(w);
		numbered_round(w);
	}
	if (!at_end(w))
		return false;
	look_at_all(w, true);
	for (uint32_t s = 0; s < SHARDS; s++) {
		compare_table(w, STORE_LOG, s, &numbered.of[s % numbered.n]);
		compare_table(w, STORE_CHANGES, s, &numbered.of[s % numbered.n]);
	}
	seen.complete += numbered.n;
	if (w->retains)
		check_trimmed(w);
	return true;
}
