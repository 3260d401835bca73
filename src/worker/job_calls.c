/*
 * Calls of methods that jobs make. A call begins with a commit that says so, and only then is sent: after a crash it is
 * known to have been under way, and is failed, never sent twice (J-27). It ends with the commit of its result.
 *
 *   MADE --listed in its part--> BEGINS
 *   BEGINS --on disk--> READY --sent, or waits for the device--> OUT --answer, fault, patience--> ANSWERED
 *     |                   ^---no room for it, or not sent----------/                                |   ^
 *     +--not on disk--> gone                                           gone <--on disk-- SETTLES <--+   |
 *                                                                                           +--not on disk
 */
#include "worker/priv.h"

#include <stdlib.h>

#define CALLS_MAX 1024u /* of all jobs of one worker at once */
#define AGAIN_US  20000 /* a call for which there was no room */

enum call_state { CALL_MADE, CALL_BEGINS, CALL_READY, CALL_OUT, CALL_ANSWERED, CALL_SETTLES };

struct job_call {
	enum call_state state;
	uint32_t slot; /* of worker_jobs.calls: how its answer finds it */
	uint64_t job;
	uint32_t shard, row;
	bool sent;           /* CALL_OUT: the device has it */
	bool canceled;       /* CALL_ANSWERED: its job was, before it was sent */
	int64_t deadline_us; /* CALL_OUT: of patience; CALL_READY: not before; monotonic */
	enum fault_code fault;
	int32_t status;
	struct buf body; /* CALL_ANSWERED: JSON text, or the fault's */
};

bool
job_calls_full(const struct worker *w)
{
	return w->jobs.ncall >= CALLS_MAX;
}

static struct reply_to
address(const struct worker *w, const struct job_call *c)
{
	return (struct reply_to){ .caller = CALLER_JOB,
		.slot = c->slot,
		.generation = slot_generation(&w->jobs.calls, c->slot) };
}

static void
call_free(struct worker *w, struct job_call *c)
{
	slot_free(&w->jobs.calls, c->slot);
	w->jobs.ncall--;
	w->jobs.busy = true; /* there is room for another */
	buf_fini(&c->body);
	free(c);
}

void
job_calls_fini(struct worker *w)
{
	for (uint32_t i = 0; i < w->jobs.calls.n; i++)
		if (slot_at(&w->jobs.calls, i) != NULL)
			call_free(w, slot_at(&w->jobs.calls, i));
	slots_fini(&w->jobs.calls);
	doc_parser_free(w->jobs.parser);
}

void
job_call_begin(struct worker *w, const struct job *j, uint32_t shard, uint32_t row)
{
	struct worker_jobs *js = &w->jobs;
	struct job_call *c = xcalloc(1, sizeof(*c));

	js->ncall++;
	*c = (struct job_call){
		.slot = slot_take(&js->calls, c), .job = j->number, .shard = shard, .row = row
	};
	js->made = true;
}

/* Its commit has ended: the one that it begins with, or the one that has its result. */
static void
call_goes(void *ctx, void *p, enum gate_end end)
{
	struct worker *w = ctx;
	struct job_call *c = p;

	w->jobs.calls_due = true;
	if ((c->state == CALL_BEGINS) == (end == GATE_UNDONE))
		call_free(w, c); /* it never was; or its result is on disk */
	else
		c->state = c->state == CALL_BEGINS ? CALL_READY : CALL_ANSWERED;
}

/* Only now the round has what says that they are under way: what left before would not wait for that. */
void
job_calls_listed(struct worker *w)
{
	struct worker_jobs *js = &w->jobs;

	for (uint32_t i = 0; js->made && i < js->calls.n; i++) {
		struct job_call *c = slot_at(&js->calls, i);

		if (c == NULL || c->state != CALL_MADE)
			continue;
		assert(gate_writes(&w->gate) > 0);
		c->state = CALL_BEGINS;
		gate_after(&w->gate, call_goes, c);
	}
	js->made = false;
}

/* ---- sending ---- */

static void
answered(
    struct worker *w, struct job_call *c, enum fault_code fault, int32_t status, struct str body)
{
	c->state = CALL_ANSWERED;
	c->fault = fault;
	c->status = status;
	c->body.n = 0;
	buf_str(&c->body, body);
	w->jobs.calls_due = true;
}

static struct op
op_of(struct worker *w, const struct job_call *c, enum op_kind kind)
{
	struct op op = { .kind = kind, .actor = ACTOR_JOB, .reply_to = address(w, c) };

	if (!shard_row(w->shards[c->shard], c->row, &op.device, &op.module))
		op.device = op.module = STR_NONE; /* deleted */
	return op;
}

static int64_t
patience_us(const struct job_call *c, struct job *j)
{
	return clock_mono_us() + (c->sent ? j->response_s : j->connect_s) * INT64_C(1000000);
}

static void
call_again(struct job_call *c)
{
	c->state = CALL_READY;
	c->sent = false;
	c->deadline_us = clock_mono_us() + AGAIN_US;
}

static void
call_send(struct worker *w, struct job_call *c, struct job *j)
{
	struct op op = op_of(w, c, OP_METHOD);
	struct reply reply = { 0 };

	op.actor_name = j->id;
	op.method.name = j->method;
	op.method.wait = j->connect_s > 0;
	op.payload = j->payload;
	c->state = CALL_OUT;
	hub_apply(w->shards[c->shard], &op, &w->env, &reply);
	notes_behind_reply(w);
	if (reply.fault.code == F_ThrottleBacklogLimitExceeded ||
	    reply.fault.code == F_DeviceThrottlingLimitExceeded) {
		call_again(c);
	} else if (reply.fault.code != F_NONE) {
		answered(w, c, reply.fault.code, 0, str_of(reply.fault.text));
	} else if (c->state == CALL_OUT) {
		c->sent = reply.deliver;
		c->deadline_us = patience_us(c, j);
	}
	reply_fini(&reply);
}

static void
cancel(struct worker *w, const struct job_call *c)
{
	struct op op = op_of(w, c, OP_METHOD_CANCEL);
	struct reply reply = { 0 };

	hub_apply(w->shards[c->shard], &op, &w->env, &reply);
	reply_fini(&reply);
}

static void
call_unsent(struct worker *w, struct job_call *c)
{
	cancel(w, c);
	call_again(c);
	w->jobs.calls_due = true;
}

void
job_call_heard(struct worker *w, const struct effect *e)
{
	struct job_call *c = slot_get(&w->jobs.calls, e->session.slot, e->session.generation);
	struct job *j = c != NULL ? jobs_number(w->jobs.set, c->job) : NULL;

	if (c == NULL || c->state != CALL_OUT)
		return;
	if (e->kind == EFFECT_CALL_DONE) {
		answered(w, c, e->fault, e->status, e->body);
		return;
	}
	if (e->kind == EFFECT_CALL_UNSENT) {
		call_unsent(w, c);
		return;
	}
	c->sent = true;
	c->deadline_us = j != NULL ? patience_us(c, j) : 0;
	w->jobs.calls_due = true;
}

static void
call_late(struct worker *w, struct job_call *c, struct job *j)
{
	cancel(w, c);
	if (j == NULL || j->state.stop == JOB_STOP_LATE)
		answered(w, c, F_GatewayTimeout, 0,
		    STR("the job's time was over before the device had answered"));
	else if (c->sent)
		answered(w, c, F_GatewayTimeout, 0, STR("the device has not answered in time"));
	else
		answered(w, c, F_DeviceNotOnline, 0,
		    STR("Timed out waiting for device to connect, and to listen to this method"));
}

/* J-15: what was sent ends as it ends; nobody waits for a device any more. */
static void
call_cancel(struct worker *w, struct job_call *c)
{
	if (c->state == CALL_OUT)
		cancel(w, c);
	c->canceled = true;
	answered(w, c, F_NONE, 0, STR_NONE);
}

/* ---- results ---- */

/* What devices answer was checked to be JSON when it came. */
static bool
answer_doc(struct worker *w, const struct job_call *c, struct buf *out)
{
	struct doc_parsed info;

	if (w->jobs.parser == NULL)
		w->jobs.parser = doc_parser_new(METHOD_PAYLOAD_MAX + 1024);
	return doc_parse(w->jobs.parser, buf_view(&c->body), out, &info, NULL) == ERR_OK;
}

static void
call_settle(struct worker *w, struct job_call *c, struct job *j)
{
	struct job_answer a = { .canceled = c->canceled,
		.fault = c->fault,
		.text = buf_view(&c->body),
		.status = c->status };
	struct buf doc = { 0 };

	if (!c->canceled && c->fault == F_NONE && !answer_doc(w, c, &doc)) {
		a.fault = F_GenericBadGateway;
		a.text = STR("the device's answer is not JSON");
	}
	a.payload = buf_view(&doc);
	if (j != NULL) {
		part_answer(w->shards[c->shard], j, c->row, &a, &w->env);
		jobs_save(w, w->shards[c->shard], j);
	}
	buf_fini(&doc);
	c->state = CALL_SETTLES;
	gate_after(&w->gate, call_goes, c);
}

/* ---- its shard is given up ---- */

/* Those that are out are known by the record alone from then on, and fail where the shard is read. */
bool
job_calls_settled(const struct worker *w, uint32_t shard)
{
	for (uint32_t i = 0; i < w->jobs.calls.n; i++) {
		const struct job_call *c = slot_at(&w->jobs.calls, i);

		if (c != NULL && c->shard == shard && c->state != CALL_READY &&
		    c->state != CALL_OUT)
			return false;
	}
	return true;
}

void
job_calls_leave(struct worker *w, uint32_t shard)
{
	for (uint32_t i = 0; i < w->jobs.calls.n; i++) {
		struct job_call *c = slot_at(&w->jobs.calls, i);

		if (c != NULL && c->shard == shard)
			call_free(w, c);
	}
}

/* ---- turns ---- */

static bool
known(const struct worker *w, uint64_t job, uint32_t shard, uint32_t row)
{
	for (uint32_t i = 0; i < w->jobs.calls.n; i++) {
		const struct job_call *c = slot_at(&w->jobs.calls, i);

		if (c != NULL && c->job == job && c->shard == shard && c->row == row)
			return true;
	}
	return false;
}

/* Calls that are under way by the record alone: whether they were answered nobody knows any more. The record goes with their
 * results, in one round: with the results alone, an undo or a start would have the calls end once more, by numbers of rows that
 * may be free by then, or another's. */
static void
fail_lost(struct worker *w, struct job *j, uint32_t s)
{
	struct job_answer lost = { .fault = F_DeviceConnectionClosedRemotely,
		.text = STR("the hub was started anew before the device had answered") };
	uint32_t row, i = 0;
	bool ended = false;

	while ((row = part_called(w->shards[s], j, i)) != TABLE_NONE) {
		if (known(w, j->number, s, row)) {
			i++;
			continue;
		}
		part_answer(w->shards[s], j, row, &lost, &w->env);
		ended = true;
	}
	if (ended)
		jobs_save(w, w->shards[s], j);
}

static void
calls_check(struct worker *w)
{
	const struct jobs *set = w->jobs.set;

	w->jobs.calls_check = false;
	w->jobs.busy = true;
	for (uint32_t i = 0; i < set->n; i++) {
		struct job *j = set->v[i];

		if (!job_active(j) || j->type != JOB_METHOD)
			continue;
		for (uint32_t s = next_shard(w, 0); s < SHARDS; s = next_shard(w, s + 1))
			fail_lost(w, j, s);
	}
}

static void
call_step(struct worker *w, struct job_call *c, int64_t now_us)
{
	struct job *j = jobs_number(w->jobs.set, c->job);
	bool late = j == NULL || j->state.stop == JOB_STOP_LATE;

	if (!has_shard(w, c->shard)) { /* it is given up: what has been answered is written */
		if (c->state == CALL_ANSWERED && round_has_room(w, ROUND_JOBS) &&
		    shift_drains(w, c->shard))
			call_settle(w, c, j);
		return;
	}
	if ((c->state == CALL_READY || (c->state == CALL_OUT && !c->sent)) && j != NULL &&
	    j->state.stop == JOB_STOP_CANCELLED)
		call_cancel(w, c);
	if (c->state == CALL_READY && c->deadline_us <= now_us) {
		if (late)
			answered(w, c, F_GatewayTimeout, 0, STR("the job's time was over"));
		else
			call_send(w, c, j);
	}
	if (c->state == CALL_OUT && (late || c->deadline_us <= now_us))
		call_late(w, c, j);
	if (c->state == CALL_ANSWERED && round_has_room(w, ROUND_JOBS))
		call_settle(w, c, j);
}

/* Once all have been looked at: when is the next one to be? */
static void
calls_rest(struct worker_jobs *js)
{
	js->calls_due = false;
	js->calls_us = INT64_MAX;
	for (uint32_t i = 0; i < js->calls.n; i++) {
		const struct job_call *c = slot_at(&js->calls, i);

		if (c == NULL)
			continue;
		if (c->state == CALL_ANSWERED)
			js->calls_due = true;
		else if ((c->state == CALL_OUT || c->state == CALL_READY) &&
		    c->deadline_us < js->calls_us)
			js->calls_us = c->deadline_us;
	}
}

void
job_calls_turn(struct worker *w)
{
	struct worker_jobs *js = &w->jobs;
	int64_t now_us;

	if (js->calls_check)
		calls_check(w);
	if (js->ncall == 0) {
		js->calls_due = false;
		js->calls_us = INT64_MAX;
		return;
	}
	now_us = clock_mono_us();
	if (!js->calls_due && now_us < js->calls_us)
		return;
	for (uint32_t i = 0; i < js->calls.n; i++)
		if (slot_at(&js->calls, i) != NULL)
			call_step(w, slot_at(&js->calls, i), now_us);
	calls_rest(js);
}
