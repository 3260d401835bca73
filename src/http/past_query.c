/*
 * POST /devices/query of a text with AS OF: the fleet as it was (docs/spec/events.md, E-74 to E-77). Each has a thread of its own while it is under
 * way, which reads the store alone (feed/then.h).
 */
#include "http/priv.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "feed/then.h"
#include "os/clock.h"

#define PAST_MAX       4u /* at a time: E-77 */
#define PAST_SHARE_MAX 2u /* of one asker */

static struct {
	pthread_mutex_t mu;
	uint64_t askers[PAST_MAX];
	unsigned n;
} under_way = { .mu = PTHREAD_MUTEX_INITIALIZER };

struct past_query {
	struct msg msg;
	struct http_loop *hl;
	struct reply_to reply_to;
	struct ticket *ticket;
	struct query_task *q;
	struct then then;
	uint64_t asker;
	bool explain;
	int64_t begin_us, took_us;
};

/* ---- shares ---- */

static bool
share_take(uint64_t asker, struct fault *f)
{
	unsigned own = 0;
	bool ok;

	pthread_mutex_lock(&under_way.mu);
	for (unsigned i = 0; i < under_way.n; i++)
		own += under_way.askers[i] == asker;
	ok = under_way.n < PAST_MAX && own < PAST_SHARE_MAX;
	if (ok)
		under_way.askers[under_way.n++] = asker;
	pthread_mutex_unlock(&under_way.mu);
	if (!ok)
		fault_set(f, F_ThrottlingException,
		    "%u queries AS OF a time are under way%s, which is the limit",
		    own == PAST_SHARE_MAX ? PAST_SHARE_MAX : PAST_MAX,
		    own == PAST_SHARE_MAX ? " for this policy" : "");
	return ok;
}

static void
share_back(uint64_t asker)
{
	pthread_mutex_lock(&under_way.mu);
	for (unsigned i = 0; i < under_way.n; i++)
		if (under_way.askers[i] == asker) {
			under_way.askers[i] = under_way.askers[--under_way.n];
			break;
		}
	pthread_mutex_unlock(&under_way.mu);
}

/* ---- on its thread ---- */

static void
past_query_free(struct past_query *p)
{
	share_back(p->asker);
	task_free(&p->q->task);
	ticket_free(p->ticket);
	buf_fini(&p->then.from);
	free(p);
}

static bool
page_may_hold(void *ctx, size_t bytes)
{
	return ticket_hold(ctx, bytes);
}

static bool
stops(void *ctx)
{
	return atomic_load(&((struct http_loop *)ctx)->stops);
}

static void
past_query_main(void *arg)
{
	struct past_query *p = arg;
	struct task *t = &p->q->task;

	t->page->hold = page_may_hold;
	t->page->ctx = p->ticket;
	task_begin(t, fleet_query_bytes(p->hl->o.fleet));
	if (!t->ended)
		then_run(&p->then);
	loop_post(p->hl->loop, &p->msg);
}

/* ---- on the loop ---- */

static void
put_count(struct out *o, const char *name, uint64_t n)
{
	out_u64(out_key(o, name), n);
}

/* What it has cost: E-76. */
static void
cost_write(const struct past_query *p, struct str warning, struct buf *json)
{
	const struct page *page = p->q->task.page;
	struct out o = out_to(json);

	out_open(&o);
	out_fixed(out_key(&o, "engineMs"), (double)p->took_us / 1e3, 3);
	put_count(&o, "rowsReturned", page->nrow);
	out_bool(out_key(&o, "more"), page->more);
	put_count(&o, "rowsJudged", p->q->seen.judged);
	put_count(&o, "rowsTakenBack", p->then.back);
	put_count(&o, "rowsGoneSince", p->then.gone);
	put_count(&o, "changesRead", p->then.changes);
	out_some_str(&o, "warning", warning);
	out_close(&o);
}

static void
reply_cost(struct request *r, const struct past_query *p)
{
	struct buf json = { 0 };

	cost_write(p, r->warning, &json);
	reply_json(r, 200, buf_view(&json));
	buf_fini(&json);
}

static void
cost_for_slow(const void *ctx, bool columns, struct buf *json)
{
	(void)columns; /* it has none */
	cost_write(ctx, STR_NONE, json);
}

static void
tell_slow(const struct past_query *p, const struct request *r)
{
	slow_tell(p->hl, r,
	    &(struct query_run){ .text = query_text(p->q->query),
	        .now_us = clock_wall_us(),
	        .ns = p->took_us * 1000,
	        .failed = p->q->task.fault.code != F_NONE,
	        .judged = p->q->seen.judged,
	        .asked = p->q->seen.judged, /* each by its document */
	        .returned = p->q->task.page->nrow,
	        .ctx = p,
	        .explain = cost_for_slow });
}

static void
add_place(struct request *r, const struct past_query *p)
{
	struct buf token = { 0 };

	query_place_write(
	    &token, r->query_hash, p->q->task.bookmark.delivered, buf_view(&p->then.from));
	buf_putc(&token, '\0');
	add_header(r, "x-ms-continuation", token.p);
	buf_fini(&token);
}

static void
past_query_done(struct msg *m)
{
	struct past_query *p = container_of(m, struct past_query, msg);
	struct request *r = request_of(p->hl, p->reply_to);
	struct task *t = &p->q->task;

	p->took_us = clock_mono_us() - p->begin_us;
	tell_slow(p, r);
	if (r != NULL && t->fault.code != F_NONE) {
		reply_fault(r, &t->fault);
	} else if (r != NULL && p->explain) {
		reply_cost(r, p);
	} else if (r != NULL) {
		body_rows(r, &t->page->rows);
		r->ticket = p->ticket;
		r->toured = true;
		p->ticket = NULL;
		add_header(r, "x-ms-item-type", r->item_type);
		if (t->page->more)
			add_place(r, p);
		reply_body(r, 200, NULL);
	}
	past_query_free(p);
}

/* ---- asked ---- */

static enum err
prepare(struct request *r, struct past_query *p, struct fault *f)
{
	struct str token = request_header(r, "x-ms-continuation"),
	           size = request_header(r, "x-ms-max-item-count");
	const struct query_facts *facts = query_facts(p->q->query);
	struct task *t = &p->q->task;

	if (request_flag(r, "explain", &p->explain, f) != ERR_OK ||
	    query_page_size(size, &t->page->limit, f) != ERR_OK ||
	    (token.n > 0 &&
	        query_place_read(token, facts->hash, &t->bookmark.delivered, &p->then.from, f) !=
	            ERR_OK))
		return ERR_ARG;
	if (facts->as_of_us > clock_wall_us())
		return fault_set(f, F_ArgumentInvalid, "AS OF is a time to come");
	warn_query(r, "", p->q->query);
	r->query_hash = facts->hash;
	snprintf(r->item_type, sizeof(r->item_type), "%s", query_item_type_name(facts->item_type));
	return ERR_OK;
}

void
past_query_start(struct request *r, struct query *query)
{
	struct past_query *p;
	struct thread thread = { 0 };
	uint64_t asker = asker_key(r->asker, STR_NONE);
	struct fault f = { 0 };

	if (!share_take(asker, &f)) {
		query_free(query);
		reply_fault(r, &f);
		return;
	}
	p = xcalloc(1, sizeof(*p));
	p->asker = asker;
	p->q = query_task_new(query);
	p->hl = r->hl;
	p->reply_to = request_address(r);
	p->msg.run = past_query_done;
	p->begin_us = clock_mono_us();
	p->then.store = r->hl->o.store;
	p->then.fleet = r->hl->o.fleet;
	p->then.q = p->q;
	p->then.stops = stops;
	p->then.ctx = r->hl;
	if (prepare(r, p, &f) == ERR_OK) {
		p->ticket = request_ticket(r);
		if (thread_start(&thread, past_query_main, p, &f, "past query") == ERR_OK) {
			thread_let_go(&thread);
			return;
		}
	}
	reply_fault(r, &f);
	past_query_free(p);
}
