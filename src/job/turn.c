/* What a shard does for jobs when it is their turn, and what it knows of the set of them (parts.h). */
#include "job/parts.h"

static const uint8_t null_doc = DOC_NULL; /* doc.h: kind in the low four bits, no payload */

/* ---- turns ---- */

enum job_phase
part_phase(struct shard *sh, const struct job *j)
{
	const struct job_part *p = part_find(sh, j->number);
	const struct part_work *w = p != NULL ? p->work : NULL;

	if (w == NULL || w->now.ended)
		return JOB_ENDS;
	if (p->record == NULL)
		return j->state.stop == JOB_GOES_ON ? JOB_CHOOSES : JOB_ENDS;
	return w->ordered || j->state.stop != JOB_GOES_ON ? JOB_WORKS : JOB_ORDERS;
}

uint32_t
part_row(struct shard *sh, const struct job *j, unsigned *records)
{
	struct part_work *w = part_find(sh, j->number)->work;

	if (w->nheap == 0 || j->state.stop != JOB_GOES_ON || w->now.nflight == JOB_FLIGHTS_MAX)
		return TABLE_NONE;
	*records = 0;
	if (j->type == JOB_TWIN)
		*records = RECORD_BIT(RECORD_WANTED) | change_needs(sh, OP_TWIN_PATCH) |
		    row_version_needs(row_at(sh, w->heap[0]));
	else if (j->type == JOB_RESTORE)
		*records = RECORD_BIT(RECORD_WANTED) | RECORD_BIT(RECORD_REPORTED) |
		    change_needs(sh, OP_TWIN_REPLACE);
	else if (j->type == JOB_MESSAGE)
		*records = message_needs(row_at(sh, w->heap[0]));
	return w->heap[0];
}

static enum err
patch_twin(struct shard *sh, struct row *r, const struct job *j, const struct hub_env *env,
    struct fault *f)
{
	struct op op = { .kind = OP_TWIN_PATCH,
		.actor = ACTOR_JOB,
		.actor_name = j->id,
		.device = row_device(r),
		.module = row_module(r) };
	struct twin_next next;
	enum err e = twin_prepare(r, &op, j->patch, env, &next, f);

	if (e == ERR_OK) {
		change_begin(sh, &op);
		twin_apply(sh, r, &op, &next, env);
		change_end(sh, &op, env, NULL);
	}
	twin_next_fini(&next);
	return e;
}

/* With a message id of its own, unless all shall have the same (M-22 names it by that). */
static enum err
put_message_id(struct buf *payload, const struct hub_env *env, struct fault *f)
{
	unsigned char random[LOCK_TOKEN];
	char id[LOCK_TOKEN_TEXT];
	struct message_property p = { .key = BAG_MESSAGE_ID };
	size_t size = 0;
	unsigned n = 0;

	env->random(env->ctx, random, sizeof(random));
	lock_token_write(id, random);
	p.value = str_of(id);
	return message_put_property(payload, &p, &size, &n, f);
}

static enum err
send_message(struct shard *sh, struct row *r, const struct job *j, const struct hub_env *env,
    struct fault *f)
{
	struct op op = { .kind = OP_MESSAGE_SEND,
		.actor = ACTOR_JOB,
		.actor_name = j->id,
		.device = row_device(r),
		.module = row_module(r),
		.message = {
		    .ack = (enum message_ack)j->message.ack, .bag_bytes = j->message.bag_bytes } };
	struct buf payload = { 0 };
	enum err e = j->message.named ? ERR_OK : put_message_id(&payload, env, f);

	op.message.bag_bytes += (uint32_t)payload.n;
	if (j->message.life_s != 0)
		op.message.expiry_us = env->now_us + j->message.life_s * INT64_C(1000000);
	buf_str(&payload, j->payload);
	op.payload = buf_view(&payload);
	if (e == ERR_OK)
		e = message_send(sh, r, &op, env, f);
	buf_fini(&payload);
	return e;
}

static void
target_fails(struct shard *sh, struct job_part *p, const struct row *r, int64_t since_us,
    enum fault_code code, struct str text, const struct hub_env *env)
{
	struct job_result failed = { .kind = RESULT_FAILED,
		.began_us = since_us,
		.ended_us = env->now_us,
		.code = str_of(fault_name(code)),
		.text = text };

	result_write(sh, p, r, &failed, env);
	p->work->now.failed++;
	p->work->moved = true;
}

/* Where nobody listens, and nobody is to be waited for, there is no call. */
static bool
begin_call(struct shard *sh, struct job_part *p, struct row *r, const struct job *j,
    const struct hub_env *env)
{
	struct part_state *s = &p->work->now;

	if (j->connect_s == 0 && !row_listens_to(r, j->method)) {
		target_fails(sh, p, r, env->now_us, F_DeviceNotOnline,
		    STR("the device is not connected, or does not listen to this method"), env);
		return false;
	}
	s->flight[s->nflight++] =
	    (struct job_flight){ .row = row_number(sh, r), .since_us = env->now_us };
	return true;
}

/* The turn of the first one is over, whatever comes of it. */
static struct row *
take_turn(struct shard *sh, struct part_work *w)
{
	struct row *r = row_at(sh, w->heap[0]);

	part_set_cursor(&w->now, part_cursor_of(r));
	part_pop(sh, w, 0);
	w->moved = true;
	return r;
}

bool
part_step(struct shard *sh, const struct job *j, bool damaged, const struct hub_env *env)
{
	struct job_part *p = part_find(sh, j->number);
	struct part_work *w = p->work;
	struct row *r = take_turn(sh, w);
	struct fault f;
	enum err e;

	if (j->type == JOB_METHOD)
		return begin_call(sh, p, r, j, env);
	e = damaged ? fault_set(&f, F_StoredDamaged, "a stored record of the device is damaged")
	    : j->type == JOB_MESSAGE ? send_message(sh, r, j, env, &f)
	                             : patch_twin(sh, r, j, env, &f);
	if (e == ERR_OK)
		w->now.succeeded++;
	else
		target_fails(sh, p, r, env->now_us, f.code, str_of(f.text), env);
	return false;
}

/* ---- what was ---- */

static enum err
replace_twin(struct shard *sh, struct row *r, const struct job *j, const struct former *was,
    const struct hub_env *env, struct fault *f)
{
	struct op op = { .kind = OP_TWIN_REPLACE,
		.actor = ACTOR_JOB,
		.actor_name = j->id,
		.device = row_device(r),
		.module = row_module(r) };
	struct buf body = { 0 };
	struct twin_next next;
	enum err e;

	former_document(was, &body);
	e = twin_prepare(r, &op, doc_of(buf_view(&body)), env, &next, f);
	if (e == ERR_OK) {
		change_begin(sh, &op);
		twin_apply(sh, r, &op, &next, env);
		change_end(sh, &op, env, NULL);
	}
	twin_next_fini(&next);
	buf_fini(&body);
	return e;
}

void
part_restore(
    struct shard *sh, const struct job *j, const struct former *was, const struct hub_env *env)
{
	struct job_part *p = part_find(sh, j->number);
	struct part_work *w = p->work;
	struct row *r = take_turn(sh, w);
	struct job_result same = {
		.kind = RESULT_UNCHANGED, .began_us = env->now_us, .ended_us = env->now_us
	};
	struct fault f;
	enum err e = ERR_OK;

	if (was == NULL)
		e = fault_set(&f, F_StoredDamaged, "a stored record of the device is damaged");
	else if (was->fault.code != F_NONE)
		e = fault_set(&f, was->fault.code, "%s", was->fault.text);
	else if (former_is(was, r))
		result_write(sh, p, r, &same, env);
	else
		e = replace_twin(sh, r, j, was, env, &f);
	if (e == ERR_OK)
		w->now.succeeded++;
	else
		target_fails(sh, p, r, env->now_us, f.code, str_of(f.text), env);
}

/* ---- calls under way ---- */

bool
part_lands(struct part_state *s, uint32_t row, int64_t *since_us)
{
	for (uint32_t i = 0; i < s->nflight; i++) {
		if (s->flight[i].row != row)
			continue;
		*since_us = s->flight[i].since_us;
		s->flight[i] = s->flight[--s->nflight];
		return true;
	}
	return false;
}

uint32_t
part_called(const struct shard *sh, const struct job *j, uint32_t i)
{
	const struct job_part *p = part_find(sh, j->number);

	return p != NULL && p->work != NULL && i < p->work->now.nflight ? p->work->now.flight[i].row
	                                                                : TABLE_NONE;
}

void
part_answer(struct shard *sh, const struct job *j, uint32_t row, const struct job_answer *a,
    const struct hub_env *env)
{
	struct job_part *p = part_find(sh, j->number);
	struct job_result done = { .kind = RESULT_RESPONSE,
		.ended_us = env->now_us,
		.status = a->status,
		.payload = a->payload };

	if (p == NULL || p->work == NULL || !part_lands(&p->work->now, row, &done.began_us))
		return;
	p->work->moved = true;
	if (row_at(sh, row)->id == NULL) {
		/* Its device has gone, and the result that it has left stands: only a stop between two rounds of a former program, which wrote results
		 * before the part, leaves such a call. */
		p->work->now.failed += !a->canceled;
		return;
	}
	if (a->canceled) {
		done.kind = RESULT_CANCELED;
		result_write(sh, p, row_at(sh, row), &done, env);
		return;
	}
	if (a->fault != F_NONE) {
		target_fails(sh, p, row_at(sh, row), done.began_us, a->fault, a->text, env);
		return;
	}
	if (p->work->now.bytes + a->payload.n > JOB_PART_BYTES_MAX)
		done.payload = (struct str){ (const char *)&null_doc, 1 };
	result_write(sh, p, row_at(sh, row), &done, env);
	p->work->now.succeeded++;
}

/* ---- the end of a turn ---- */

static bool
is_over(const struct job_part *p, const struct job *j)
{
	const struct part_work *w = p->work;

	return p->record != NULL && !w->now.ended && w->now.nflight == 0 &&
	    (j->state.stop != JOB_GOES_ON || (w->ordered && w->nheap == 0));
}

static void
part_end(struct shard *sh, struct job_part *p, const struct job *j, const struct hub_env *env)
{
	struct part_state *s = &p->work->now;

	s->ended = true;
	s->stop = j->state.stop;
	if (s->stop == JOB_STOP_LATE || s->stop == JOB_STOP_FAILED) /* J-19 */
		s->failed = s->devices - s->succeeded;
	part_rows_write(sh, p, &p->work->left, env);
	p->work->moved = true;
}

bool
part_save(struct shard *sh, const struct job *j, const struct hub_env *env, struct job_report *r)
{
	struct job_part *p = part_find(sh, j->number);
	struct part_state s = { 0 };

	if (p->work != NULL && is_over(p, j))
		part_end(sh, p, j, env);
	if (p->work != NULL && p->work->moved) {
		p->work->now.moved_us = env->now_us;
		part_write(sh, p, env);
	}
	if (p->told)
		return false;
	p->told = true;
	if (p->record != NULL)
		part_decode(blob_str(p->record), &s);
	else
		s.ended = j->state.stop != JOB_GOES_ON;
	*r = (struct job_report){ .number = p->number,
		.shard = sh->index,
		.ended = s.ended,
		.counts = { s.devices, s.succeeded, s.failed, s.nflight, s.bytes },
		.results = p->work != NULL ? p->work->nresult : 0 };
	return true;
}

void
part_committed(struct shard *sh, const struct job_report *r)
{
	struct job_part *p = part_find(sh, r->number);

	if (p == NULL || p->work == NULL)
		return;
	part_fresh_drop(p->work, TABLE_NONE, r->results);
	if (!r->ended)
		return;
	part_work_free(p->work);
	p->work = NULL;
}

/* ---- the set of jobs ---- */

/* Parts that hold nothing, of jobs that are gone. */
static void
drop_shells(struct shard_jobs *js)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < js->npart; i++) {
		struct job_part *p = js->part[i];

		if (p->record != NULL || p->rows != NULL ||
		    jobs_number(js->known, p->number) != NULL)
			js->part[kept++] = p;
		else
			part_free(p);
	}
	js->npart = kept;
}

uint64_t
part_forgotten(const struct shard *sh, char room[HUB_PREFIX_MAX], struct str *results)
{
	const struct shard_jobs *js = jobs_of(sh);

	for (uint32_t i = 0; js->known != NULL && i < js->npart; i++) {
		const struct job_part *p = js->part[i];

		if ((p->record == NULL && p->rows == NULL) ||
		    jobs_number(js->known, p->number) != NULL)
			continue;
		*results = part_key(DONE_KEY, sh->index, p->number, room);
		return p->number;
	}
	return 0;
}

void
part_forget(struct shard *sh, uint64_t number, const struct hub_env *env)
{
	char room[HUB_PREFIX_MAX];

	common_write(sh, part_key(PART_KEY, sh->index, number, room), NULL, env);
	common_write(sh, part_key(ROWS_KEY, sh->index, number, room), NULL, env);
}

void
jobs_know(struct shard *sh, struct jobs *set)
{
	struct shard_jobs *js = jobs_of(sh);

	jobs_unref(js->known);
	js->known = jobs_ref(set);
	reports_trim(js);
	drop_shells(js);
	for (uint32_t i = 0; i < set->n; i++) {
		struct job_part *p;

		if (!job_active(set->v[i]))
			continue;
		p = part_make(sh, set->v[i]->number);
		p->told = false;
		if (p->record == NULL && p->work == NULL)
			p->work = xcalloc(1, sizeof(*p->work));
	}
}

void
jobs_undone(struct shard *sh)
{
	const struct shard_jobs *js = jobs_of(sh);

	for (uint32_t i = 0; i < js->npart; i++) {
		struct job_part *p = js->part[i];

		p->told = false;
		if (p->work == NULL)
			continue;
		p->work->ordered = false;
		p->work->nheap = p->work->gathered = 0;
		(void)part_reset(p); /* it has been one before */
	}
}
