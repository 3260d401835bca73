/* POST /devices/query (query-language.md 1, service-rest.md 9.3). */
#include "http/priv.h"

#include <stdio.h>

/* ---- explain=true: where the time of the page, or of the whole aggregate, went ---- */

static void
put_number(struct out *o, const char *name, uint64_t n)
{
	out_key(o, name);
	out_u64(o, n);
}

static void
put_ms(struct out *o, const char *name, int64_t ns)
{
	out_key(o, name);
	out_fixed(o, (double)ns / 1e6, 3);
}

static void
put_steps(struct out *o, const struct tour *k)
{
	out_key(o, "steps");
	out_list(o);
	for (unsigned i = 0; i < LAPS; i++) {
		out_open(o);
		out_key(o, "step");
		out_cstr(o, lap_names[i]);
		put_ms(o, "ms", k->ns[i]);
		out_close(o);
	}
	out_close(o);
}

/* warning, columns: with them. */
static void
explain_write(
    const struct tour *k, uint32_t workers, struct str warning, bool columns, struct buf *json)
{
	const struct query_task *q = query_task_of(k->task);
	const struct page *page = k->task->page;
	struct out o = out_to(json);

	out_open(&o);
	put_ms(&o, "engineMs", k->total_ns);
	put_number(&o, "workers", workers);
	put_number(&o, "rowsReturned", page->nrow);
	out_key(&o, "more");
	out_bool(&o, page->more);
	put_number(&o, "rowsJudged", q->seen.judged);
	put_number(&o, "rowsAsked", q->seen.asked);
	put_number(&o, "rowsShown", q->seen.shown);
	out_some_str(&o, "warning", warning);
	put_steps(&o, k);
	if (columns) {
		out_key(&o, "columns");
		column_report_write(q->columns, true, out_value(&o));
	}
	out_close(&o);
}

static void
reply_explained(struct request *r, const struct tour *k)
{
	struct buf json = { 0 };

	explain_write(k, fleet_workers(r->hl->o.fleet), r->warning, true, &json);
	reply_json(r, 200, buf_view(&json));
	buf_fini(&json);
}

static void
explain_for_slow(const void *ctx, bool columns, struct buf *json)
{
	const struct tour *k = ctx;

	explain_write(
	    k, fleet_workers(((struct http_loop *)k->owner)->o.fleet), STR_NONE, columns, json);
}

/* Also when nobody waits for the answer any more. */
static void
tell_slow(const struct tour *k, const struct request *r)
{
	const struct query_task *q = query_task_of(k->task);

	if (q->columns == NULL) /* it was refused before it ran: O-132 */
		return;
	slow_tell(k->owner, r,
	    &(struct query_run){ .text = query_text(q->query),
	        .now_us = clock_wall_us(),
	        .ns = k->ns[LAP_PARSE] + k->total_ns,
	        .failed = k->task->fault.code != F_NONE,
	        .judged = q->seen.judged,
	        .asked = q->seen.asked,
	        .returned = k->task->page->nrow,
	        .ctx = k,
	        .explain = explain_for_slow });
}

/* ---- answers ---- */

void
body_until(struct request *r, struct out *o)
{
	struct buf *json = out_value(o);

	body_str(r, buf_view(json));
	json->n = 0;
}

void
body_rows(struct request *r, struct page_rows *rows)
{
	body_str(r, STR("["));
	body_rope(r, &rows->pieces);
	body_str(r, buf_view(&rows->rest));
	body_str(r, STR("]"));
}

void
body_page(struct request *r, struct tour *k)
{
	body_rows(r, &k->task->page->rows);
	r->ticket = k->ticket;
	r->toured = true;
	k->ticket = NULL;
}

static void
add_reflects(struct request *r, const struct tour *k)
{
	struct buf reflects = { 0 };

	tour_reflects(k, &reflects);
	if (reflects.n > 0) {
		buf_putc(&reflects, '\0');
		add_header(r, "x-twinhub-reflects", reflects.p);
	}
	buf_fini(&reflects);
}

void
done_query(struct tour *k)
{
	struct request *r = tour_back(k);

	if (r != NULL && r->explain) {
		reply_explained(r, k);
	} else if (r != NULL) {
		body_page(r, k);
		add_header(r, "x-ms-item-type", r->item_type);
		add_reflects(r, k);
		if (k->task->page->more) /* never sent empty: R-59 */
			add_continuation(r, &k->task->bookmark);
		reply_body(r, 200, NULL);
	}
	tour_free(k);
}

static void
done_asked(struct tour *k)
{
	tell_slow(k, request_of(k->owner, k->reply_to));
	done_query(k);
}

/* NULL: f says what is wrong. */
static struct query_task *
task_prepare(struct request *r, struct query *q, struct fault *f)
{
	struct str token = request_header(r, "x-ms-continuation"),
	           size = request_header(r, "x-ms-max-item-count");
	const struct query_facts *facts = query_facts(q);
	struct query_task *t = any_query_task_new(q);

	if (request_flag(r, "explain", &r->explain, f) != ERR_OK ||
	    query_page_size(size, &t->task.page->limit, f) != ERR_OK ||
	    (token.n > 0 && query_token_read(token, facts->hash, &t->task.bookmark, f) != ERR_OK)) {
		task_free(&t->task);
		return NULL;
	}
	warn_query(r, "", q);
	r->query_hash = facts->hash;
	snprintf(r->item_type, sizeof(r->item_type), "%s", query_item_type_name(facts->item_type));
	return t;
}

static void
ask(struct request *r, struct str text)
{
	const struct query_options options = { .extensions = !r->hl->o.strict_queries,
		.past = true };
	int64_t begin_ns = clock_mono_ns(), parsed_ns;
	struct fault f = { 0 };
	struct query *q = NULL;
	struct query_task *t;
	struct tour *k;

	if (query_parse(text, &options, &q, &f) != ERR_OK) {
		reply_fault(r, &f);
		return;
	}
	if (query_facts(q)->past) {
		past_query_start(r, q);
		return;
	}
	parsed_ns = clock_mono_ns() - begin_ns;
	t = task_prepare(r, q, &f);
	if (t == NULL) {
		reply_fault(r, &f);
		return;
	}
	t->explain = true; /* for the slowest queries */
	k = request_tour(r, &t->task, done_asked);
	k->explain = r->explain;
	k->samples = true;
	k->ns[LAP_PARSE] = parsed_ns;
	request_asks(r, k);
}

void
on_query(struct request *r)
{
	struct doc_parsed info;
	struct doc text;

	if (!request_doc(r, &body_query, &info))
		return;
	text = doc_getc(doc_of(buf_view(&r->hl->doc)), "query");
	if (doc_kind(text) != DOC_STRING || doc_str(text).n == 0)
		reply_error(r, F_ArgumentNull, "BadRequest: the body has no query");
	else
		ask(r, doc_str(text));
}
