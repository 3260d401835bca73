/* PUT and POST /jobs/v2/{id}?dryRun=true: which devices the job would be about now, and what would become of some of them. */
#include "http/priv.h"

#define SAMPLE_DEFAULT 10u

static const struct trial *
trial_of(const struct tour *k)
{
	return (const struct trial *)query_task_of(k->task)->sink;
}

static bool
shows_twins(const struct job *j)
{
	return j->type == JOB_TWIN || j->type == JOB_RESTORE;
}

static void
put_answer(struct request *r, struct tour *k, const struct trial *t)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);

	out_open(&o);
	if (t->counts)
		out_u64(out_key(&o, "targetedCount"), t->devices);
	body_until(r, out_key(&o, "devices"));
	body_page(r, k);
	if (t->counts && shows_twins(t->job)) {
		out_list(out_key(&o, "sample"));
		out_json(&o, buf_view(&t->samples.text));
		out_close(&o);
	}
	out_close(&o);
	body_str(r, buf_view(&json));
	buf_fini(&json);
}

static void
done_try(struct tour *k)
{
	const struct trial *t = trial_of(k);
	struct request *r = tour_back(k);

	if (r != NULL) {
		put_answer(r, k, t);
		if (t->over)
			add_continuation(r, &t->end);
		reply_body(r, 200, NULL);
	}
	tour_free(k);
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
	enum err e = request_number(r, "sample", 0, TRIAL_SAMPLE_MAX, &n, f);

	*sample = (unsigned)n;
	return e;
}

/* The question, if nothing is wrong with it; else f says what is. */
static struct query_task *
prepare(struct request *r, struct doc body, struct fault *f)
{
	struct str token = request_header(r, "x-ms-continuation");
	struct query_task *q;
	struct query *target = NULL;
	struct job *job = NULL;
	struct trial *t;
	unsigned sample;

	if (take_job(r, body, &job, f) != ERR_OK)
		return NULL;
	r->query_hash = hash_stable(r->segment[2]) ^ hash_stable(doc_bytes(body));
	if (take_sample(r, &sample, f) != ERR_OK ||
	    query_parse_condition(job_condition(job), &target, f) != ERR_OK) {
		job_unref(job);
		return NULL;
	}
	t = trial_new(job, token.n == 0, token.n == 0 && shows_twins(job) ? sample : 0);
	q = query_task_new(target);
	q->sink = &t->sink;
	if (query_page_size(request_header(r, "x-ms-max-item-count"), &q->task.page->limit, f) !=
	        ERR_OK ||
	    (token.n > 0 &&
	        query_token_read(token, r->query_hash, &q->task.bookmark, f) != ERR_OK)) {
		task_free(&q->task);
		return NULL;
	}
	return q;
}

void
job_dry_run(struct request *r, struct doc body)
{
	struct fault f = { 0 };
	struct query_task *q = prepare(r, body, &f);

	if (q != NULL)
		request_asks(r, request_tour(r, &q->task, done_try));
	else
		reply_fault(r, &f);
}
