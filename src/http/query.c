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
put_steps(struct out *o, const struct walk *k)
{
	out_key(o, "steps");
	out_list(o);
	for (unsigned i = 0; i < WALK_STEPS; i++) {
		out_open(o);
		out_key(o, "step");
		out_cstr(o, walk_step_names[i]);
		put_ms(o, "ms", k->facts.ns[i]);
		out_close(o);
	}
	out_close(o);
}

static void
reply_explained(struct request *r, const struct walk *k)
{
	const struct walk_facts *f = &k->facts;
	struct buf json = { 0 };
	struct out o = out_to(&json);

	out_open(&o);
	put_ms(&o, "engineMs", f->total_ns);
	put_number(&o, "workers", fleet_workers(r->hl->o.fleet));
	put_number(&o, "rowsReturned", k->nrow);
	out_key(&o, "more");
	out_bool(&o, k->more);
	put_number(&o, "rowsJudged", f->judged);
	put_number(&o, "rowsAsked", f->asked);
	put_number(&o, "rowsShown", f->shown);
	if (r->warning.n > 0) {
		out_key(&o, "warning");
		out_str(&o, r->warning);
	}
	put_steps(&o, k);
	out_key(&o, "columns");
	column_report_write(k->columns, true, out_value(&o));
	out_close(&o);
	reply_json(r, 200, buf_view(&json));
	buf_fini(&json);
}

/* ---- answers ---- */

void
body_rows(struct request *r, struct rope *page, const struct buf *rest)
{
	body_str(r, STR("["));
	body_rope(r, page);
	body_str(r, buf_view(rest));
	body_str(r, STR("]"));
}

void
body_page(struct request *r, struct walk *k)
{
	body_rows(r, &k->page, &k->json);
	r->ticket = k->ticket;
	r->walked = true;
	k->ticket = NULL;
}

void
done_query(struct walk *k)
{
	struct request *r = request_of(k->owner, k->reply_to);
	struct buf token = { 0 }, reflects = { 0 };

	if (r != NULL && k->fault.code != F_NONE) {
		reply_fault(r, &k->fault);
	} else if (r != NULL && k->explain) {
		reply_explained(r, k);
	} else if (r != NULL) {
		body_page(r, k);
		add_header(r, "x-ms-item-type", r->item_type);
		walk_reflects(k, &reflects);
		if (reflects.n > 0) {
			buf_putc(&reflects, '\0');
			add_header(r, "x-twinhub-reflects", reflects.p);
		}
		if (k->more) { /* never sent empty: R-59 */
			query_token_write(&token, r->query_hash, &k->place);
			buf_putc(&token, '\0');
			add_header(r, "x-ms-continuation", token.p);
		}
		reply_body(r, 200, NULL);
	}
	buf_fini(&token);
	buf_fini(&reflects);
	walk_free(k);
}

static enum err
walk_prepare(struct request *r, struct walk *k, struct str text, struct fault *f)
{
	struct str token = request_header(r, "x-ms-continuation"),
	           size = request_header(r, "x-ms-max-item-count");
	const struct query_options options = { .extensions = !r->hl->o.strict_queries };
	const struct query_facts *facts;
	int64_t begin_ns = clock_mono_ns();

	if (query_parse(text, &options, &k->query, f) != ERR_OK)
		return ERR_ARG;
	k->facts.ns[STEP_PARSE] = clock_mono_ns() - begin_ns;
	if (request_flag(r, "explain", &k->explain, f) != ERR_OK ||
	    query_page_size(size, &k->limit, f) != ERR_OK)
		return ERR_ARG;
	warn_query(r, "", k->query);
	facts = query_facts(k->query);
	r->query_hash = facts->hash;
	snprintf(r->item_type, sizeof(r->item_type), "%s", query_item_type_name(facts->item_type));
	return token.n == 0 ? ERR_OK : query_token_read(token, facts->hash, &k->place, f);
}

void
on_query(struct request *r)
{
	struct doc_parsed info;
	struct fault f = { 0 };
	struct walk *k;
	struct doc text;

	if (!request_doc(r, &body_query, &info))
		return;
	text = doc_getc(doc_of(buf_view(&r->hl->doc)), "query");
	if (doc_kind(text) != DOC_STRING || doc_str(text).n == 0) {
		reply_error(r, F_ArgumentNull, "BadRequest: the body has no query");
		return;
	}
	k = walk_new(r->hl->loop, WALK_QUERY, done_query);
	k->reply_to = request_address(r);
	k->owner = r->hl;
	if (walk_prepare(r, k, doc_str(text), &f) != ERR_OK) {
		reply_fault(r, &f);
		walk_free(k);
		return;
	}
	request_walk(r, k);
}
