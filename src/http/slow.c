/*
 * GET /statistics/queries: the queries of POST /devices/query that took longest (O-132 to O-134). A text has one entry, whichever page of it was asked
 * for, and stands in the order of its slowest run. There are SLOW_MAX; one that is not among them gets a place when it took longer than
 * the last of them, or when that was run more than SLOW_LIFE_US ago. Loops share them, under a lock.
 */
#include "http/priv.h"

#include <pthread.h>
#include <stdlib.h>

#define SLOW_MAX         100u
#define SLOW_TEXT_MAX    2048u /* bytes of a text that are kept */
#define SLOW_EXPLAIN_MAX 8192u /* bytes of an explanation; beyond it goes without its columns */
#define SLOW_LIFE_US     INT64_C(3600000000)

struct slow {
	uint64_t hash; /* of the whole text */
	struct buf text;
	bool cut;
	int64_t since_us, last_us, slowest_us; /* when: first and last run, the slowest one */
	int64_t slowest_ns, total_ns;
	uint64_t runs, failures, judged, asked, returned;
	struct buf explain; /* of the slowest run: JSON */
};

static struct {
	pthread_mutex_t mu;
	struct slow v[SLOW_MAX];
	unsigned n;
} slowest = { .mu = PTHREAD_MUTEX_INITIALIZER };

static bool
is_old(const struct slow *s, int64_t now_us)
{
	return now_us - s->last_us > SLOW_LIFE_US;
}

/* Which gives way first: one that has not been run for long, else the quickest. */
static struct slow *
last_of_all(int64_t now_us)
{
	struct slow *last = &slowest.v[0];

	for (unsigned i = 1; i < slowest.n; i++) {
		struct slow *s = &slowest.v[i];
		bool old = is_old(s, now_us);

		if (old != is_old(last, now_us) ? old : s->slowest_ns < last->slowest_ns)
			last = s;
	}
	return last;
}

/* A place for a text that has none; NULL: it is not slow enough. */
static struct slow *
place_for(const struct query_run *run)
{
	struct slow *s;

	if (slowest.n < SLOW_MAX) {
		s = &slowest.v[slowest.n++];
	} else {
		s = last_of_all(run->now_us);
		if (!is_old(s, run->now_us) && s->slowest_ns >= run->ns)
			return NULL;
	}
	*s = (struct slow){ .text = s->text, .explain = s->explain, .since_us = run->now_us };
	s->text.n = s->explain.n = 0;
	return s;
}

static void
keep_text(struct slow *s, struct str text)
{
	size_t n = text.n;

	if (n > SLOW_TEXT_MAX)
		for (n = SLOW_TEXT_MAX; ((unsigned char)text.p[n] & 0xC0) == 0x80;)
			n--;
	s->cut = n < text.n;
	buf_put(&s->text, text.p, n);
}

static void
keep_explanation(struct slow *s, const struct query_run *run)
{
	s->explain.n = 0;
	run->explain(run->ctx, true, &s->explain);
	if (s->explain.n <= SLOW_EXPLAIN_MAX)
		return;
	buf_fini(&s->explain);
	run->explain(run->ctx, false, &s->explain);
}

static struct slow *
find(uint64_t hash)
{
	for (unsigned i = 0; i < slowest.n; i++)
		if (slowest.v[i].hash == hash)
			return &slowest.v[i];
	return NULL;
}

void
slow_take(const struct query_run *run)
{
	uint64_t hash = hash_table(run->text);
	struct slow *s;

	pthread_mutex_lock(&slowest.mu);
	s = find(hash);
	if (s == NULL && (s = place_for(run)) != NULL) {
		s->hash = hash;
		keep_text(s, run->text);
	}
	if (s != NULL) {
		s->runs++;
		s->failures += run->failed;
		s->judged += run->judged;
		s->asked += run->asked;
		s->returned += run->returned;
		s->total_ns += run->ns;
		s->last_us = run->now_us;
		if (run->ns >= s->slowest_ns || run->now_us - s->slowest_us > SLOW_LIFE_US) {
			s->slowest_ns = run->ns;
			s->slowest_us = run->now_us;
			keep_explanation(s, run);
		}
	}
	pthread_mutex_unlock(&slowest.mu);
}

/* ---- the answer ---- */

static void
put_entry(const struct slow *s, struct out *o)
{
	out_open(o);
	out_fixed(out_key(o, "slowestMs"), (double)s->slowest_ns / 1e6, 3);
	out_u64(out_key(o, "runs"), s->runs);
	out_u64(out_key(o, "failures"), s->failures);
	out_fixed(out_key(o, "totalMs"), (double)s->total_ns / 1e6, 3);
	out_u64(out_key(o, "rowsJudged"), s->judged);
	out_u64(out_key(o, "rowsAsked"), s->asked);
	out_u64(out_key(o, "rowsReturned"), s->returned);
	out_str(out_key(o, "query"), buf_view(&s->text));
	out_bool(out_key(o, "queryCut"), s->cut);
	out_time(out_key(o, "slowestTime"), s->slowest_us);
	out_time(out_key(o, "firstTime"), s->since_us);
	out_time(out_key(o, "lastTime"), s->last_us);
	out_key(o, "explain");
	out_json(o, buf_view(&s->explain));
	out_close(o);
}

/* Repeats of one asker are counted, as those of any reason. */
static void
log_slow(const struct request *r, const struct query_run *run)
{
	struct log_story s = { .event = LOG_SLOW_QUERY,
		.reason = REASON_SLOW_QUERY,
		.ms = (uint32_t)(run->ns / 1000000),
		.query = run->text };
	char peer[NET_ADDR_TEXT_MAX];

	if (r != NULL)
		s.policy = r->asker;
	if (r != NULL && r->ask.named)
		s.peer = net_addr_text(&r->ask.from, peer);
	log_reason(&s);
}

void
slow_tell(const struct http_loop *hl, const struct request *r, const struct query_run *run)
{
	slow_take(run);
	if (hl->o.slow_query_us > 0 && run->ns / 1000 >= hl->o.slow_query_us)
		log_slow(r, run);
}

static int
order(const void *a, const void *b)
{
	const struct slow *const *x = a, *const *y = b;

	return ((*x)->slowest_ns < (*y)->slowest_ns) - ((*x)->slowest_ns > (*y)->slowest_ns);
}

void
on_query_statistics(struct request *r)
{
	static const char *const known[] = { "api-version" };
	const struct slow *sorted[SLOW_MAX];
	int64_t now_us = clock_wall_us();
	struct buf json = { 0 };
	struct out o = out_to(&json);
	struct fault f = { 0 };
	unsigned n = 0;

	if (request_knows(r, known, sizeof(known) / sizeof(known[0]), &f) != ERR_OK) {
		reply_fault(r, &f);
		return;
	}
	pthread_mutex_lock(&slowest.mu);
	for (unsigned i = 0; i < slowest.n; i++)
		if (!is_old(&slowest.v[i], now_us))
			sorted[n++] = &slowest.v[i];
	array_sort(sorted, n, sizeof(*sorted), order);
	out_open(&o);
	out_list(out_key(&o, "queries"));
	for (unsigned i = 0; i < n; i++)
		put_entry(sorted[i], &o);
	out_close(&o);
	out_close(&o);
	pthread_mutex_unlock(&slowest.mu);
	reply_json(r, 200, buf_view(&json));
	buf_fini(&json);
}
