/* POST /devices/query (query-language.md 1, service-rest.md 9.3). */
#include "http/priv.h"

#include <stdio.h>

/* ---- explain=true: where the time of the page, or of the whole aggregate, went ---- */

static void
put_steps(struct buf *json, const struct walk *k)
{
	buf_cstr(json, ",\"steps\":[");
	for (unsigned i = 0; i < WALK_STEPS; i++)
		buf_printf(json, "%s{\"step\":\"%s\",\"ms\":%.3f}", i > 0 ? "," : "",
		    walk_step_names[i], (double)k->facts.ns[i] / 1e6);
	buf_putc(json, ']');
}

static void
reply_explained(struct request *r, const struct walk *k)
{
	const struct walk_facts *f = &k->facts;
	struct buf json = { 0 };

	buf_printf(&json,
	    "{\"engineMs\":%.3f,\"workers\":%u,\"rowsReturned\":%u,\"more\":%s,"
	    "\"rowsJudged\":%llu,\"rowsAsked\":%llu,\"rowsShown\":%llu",
	    (double)f->total_ns / 1e6, fleet_workers(r->hl->o.fleet), (unsigned)k->nrow,
	    k->more ? "true" : "false", (unsigned long long)f->judged, (unsigned long long)f->asked,
	    (unsigned long long)f->shown);
	if (r->warning.n > 0) {
		buf_cstr(&json, ",\"warning\":");
		doc_write_json_str(&json, r->warning);
	}
	put_steps(&json, k);
	buf_cstr(&json, ",\"columns\":");
	column_report_write(k->columns, true, &json);
	buf_putc(&json, '}');
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
