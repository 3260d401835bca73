/* PUT and POST /configurations/{id}?dryRun=true: what it would do, and nothing done (jobs-and-configurations.md 13). */
#include "http/priv.h"

static void
put_answer(struct request *r, struct tour *k)
{
	const struct dryrun_task *d = (const struct dryrun_task *)k->task;
	const struct dryrun_counts *c = dryrun_counts(d->run);
	struct buf json = { 0 };
	struct out o = out_to(&json);

	out_open(&o);
	if (d->counts) {
		out_u64(out_key(&o, "targetedCount"), c->targeted);
		out_u64(out_key(&o, "changedCount"), c->devices);
		out_u64(out_key(&o, "changedTwinCount"), c->twins);
		out_u64(out_key(&o, "changedDesiredCount"), c->desired);
	}
	body_until(r, out_key(&o, "devices"));
	body_page(r, k);
	if (d->counts) {
		out_list(out_key(&o, "sample"));
		out_json(&o, dryrun_sample(d->run));
		out_close(&o);
	}
	out_close(&o);
	body_str(r, buf_view(&json));
	buf_fini(&json);
}

static void
done_dry_run(struct tour *k)
{
	const struct dryrun_task *d = (const struct dryrun_task *)k->task;
	struct request *r = tour_back(k);

	if (r != NULL) {
		put_answer(r, k);
		if (d->over)
			add_continuation(r, &d->end);
		reply_body(r, 200, NULL);
	}
	tour_free(k);
}

static enum err
take_sample(struct request *r, unsigned *sample, struct fault *f)
{
	int64_t n = DRYRUN_SAMPLE_DEFAULT;
	enum err e = request_number(r, "sample", 0, DRYRUN_SAMPLE_MAX, &n, f);

	*sample = (unsigned)n;
	return e;
}

/* The same question of the same set: a page of another one would be of no use. */
static uint64_t
question(const struct request *r, const struct work *w, const struct configurations *set)
{
	uint64_t of_set = set != NULL ? set->hash : 0;

	return hash_stable(r->segment[1]) ^ hash_stable(w->op.payload) ^
	    of_set * UINT64_C(0x9E3779B97F4A7C15);
}

static enum err
prepare(struct request *r, struct dryrun_task *d, const struct work *w, struct fault *f)
{
	const struct catalogue *c = catalogue_use(r->hl->o.catalogue);
	const struct configurations *set = c->configurations;
	struct str token = request_header(r, "x-ms-continuation");
	struct buf record = { 0 };
	unsigned sample = 0;
	enum err e;

	r->query_hash = question(r, w, set);
	d->counts = token.n == 0;
	if ((e = take_sample(r, &sample, f)) == ERR_OK &&
	    (e = query_page_size(
	         request_header(r, "x-ms-max-item-count"), &d->task.page->limit, f)) == ERR_OK &&
	    (token.n == 0 ||
	        (e = query_token_read(token, r->query_hash, &d->task.bookmark, f)) == ERR_OK) &&
	    (e = configuration_record(set, &w->op, c->counts, clock_wall_us(), &record, f)) ==
	        ERR_OK)
		d->run = dryrun_new(set, buf_view(&record), d->counts ? sample : 0);
	catalogue_drop(r->hl->o.catalogue, c);
	buf_fini(&record);
	return e;
}

void
configuration_dry_run(struct request *r, struct work *w)
{
	struct dryrun_task *d = dryrun_task_new();
	struct fault f = { 0 };

	if (prepare(r, d, w, &f) == ERR_OK) {
		request_asks(r, request_tour(r, &d->task, done_dry_run));
	} else {
		reply_fault(r, &f);
		task_free(&d->task);
	}
	work_free(w);
}
