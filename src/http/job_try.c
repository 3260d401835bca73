/* PUT and POST /jobs/v2/{id}?dryRun=true: which devices the job would be about now, and what would become of some of them. */
#include "http/priv.h"

#define SAMPLE_DEFAULT 10u
#define SAMPLE_MAX     100u

static void
put_answer(struct request *r, struct walk *k)
{
	const struct walk_trial *t = k->trial;
	struct buf json = { 0 };

	buf_putc(&json, '{');
	if (t->counts)
		buf_printf(&json, "\"targetedCount\":%llu,", (unsigned long long)t->devices);
	buf_cstr(&json, "\"devices\":");
	body_str(r, buf_view(&json));
	body_page(r, k);
	if (t->counts && t->job->type == JOB_TWIN) {
		body_str(r, STR(",\"sample\":["));
		body_str(r, buf_view(&t->samples));
		body_str(r, STR("]"));
	}
	body_str(r, STR("}"));
	buf_fini(&json);
}

static void
done_try(struct walk *k)
{
	struct request *r = request_of(k->owner, k->reply_to);
	struct buf token = { 0 };

	if (r != NULL && k->fault.code != F_NONE) {
		reply_fault(r, &k->fault);
	} else if (r != NULL) {
		put_answer(r, k);
		if (k->trial->over) {
			query_token_write(&token, r->query_hash, &k->trial->end);
			buf_putc(&token, '\0');
			add_header(r, "x-ms-continuation", token.p);
		}
		reply_body(r, 200, NULL);
	}
	buf_fini(&token);
	walk_free(k);
}

/* The job as it would be made: what is wrong with it is said as then. Nothing is kept, so any id will do. */
static enum err
take_job(struct request *r, struct doc body, struct job **out, struct fault *f)
{
	struct buf record = { 0 };
	enum err e = job_encode_new(&record, r->segment[2], 1, body, clock_wall_us(), f);

	if (e == ERR_OK)
		e = job_new(buf_view(&record), out);
	buf_fini(&record);
	return e;
}

static enum err
take_sample(struct request *r, unsigned *sample, struct fault *f)
{
	int64_t n = SAMPLE_DEFAULT;
	enum err e = request_number(r, "sample", 0, SAMPLE_MAX, &n, f);

	*sample = (unsigned)n;
	return e;
}

static enum err
prepare(struct request *r, struct walk *k, struct doc body, struct fault *f)
{
	struct str token = request_header(r, "x-ms-continuation");
	struct walk_trial *t = k->trial;

	r->query_hash = hash_stable(r->segment[2]) ^ hash_stable(doc_bytes(body));
	t->counts = token.n == 0;
	if (take_job(r, body, &t->job, f) != ERR_OK || take_sample(r, &t->left, f) != ERR_OK ||
	    query_page_size(request_header(r, "x-ms-max-item-count"), &k->limit, f) != ERR_OK)
		return ERR_ARG;
	if (!t->counts || t->job->type != JOB_TWIN)
		t->left = 0;
	if (query_parse_condition(job_condition(t->job), &k->query, f) != ERR_OK)
		return ERR_ARG;
	return t->counts ? ERR_OK : query_token_read(token, r->query_hash, &k->place, f);
}

void
job_dry_run(struct request *r, struct doc body)
{
	struct walk *k = walk_new(r->hl->loop, WALK_QUERY, done_try);
	struct fault f = { 0 };

	k->trial = xcalloc(1, sizeof(*k->trial));
	k->reply_to = request_address(r);
	k->owner = r->hl;
	if (prepare(r, k, body, &f) == ERR_OK) {
		request_walk(r, k);
		return;
	}
	reply_fault(r, &f);
	walk_free(k);
}
