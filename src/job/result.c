/* What has come of one target of a job, where the part alone does not tell (parts.h). */
#include "job/parts.h"

#define FORMAT 1

/*
 *   format | kind | began | ended (varints) | device | module, each with its length
 *   | RESULT_FAILED: code, text, each with its length
 *   | RESULT_RESPONSE: status (a varint of its 32 bits) | the payload as a doc, to the end
 */
static void
result_encode(struct buf *out, const struct job_result *r)
{
	buf_putc(out, FORMAT);
	buf_putc(out, (char)r->kind);
	buf_varint(out, (uint64_t)r->began_us);
	buf_varint(out, (uint64_t)r->ended_us);
	buf_lstr(out, r->device);
	buf_lstr(out, r->module);
	if (r->kind == RESULT_FAILED) {
		buf_lstr(out, r->code);
		buf_lstr(out, r->text);
	} else if (r->kind == RESULT_RESPONSE) {
		buf_varint(out, (uint32_t)r->status);
		buf_str(out, r->payload);
	}
}

bool
result_decode(struct str bytes, struct job_result *out)
{
	struct rd rd = rd_of(bytes);

	*out = (struct job_result){ 0 };
	if (rd_u8(&rd) != FORMAT)
		return false;
	out->kind = (enum result_kind)rd_u8(&rd);
	out->began_us = (int64_t)rd_varint(&rd);
	out->ended_us = (int64_t)rd_varint(&rd);
	out->device = rd_lstr(&rd);
	out->module = rd_lstr(&rd);
	if (out->kind == RESULT_FAILED) {
		out->code = rd_lstr(&rd);
		out->text = rd_lstr(&rd);
	} else if (out->kind == RESULT_RESPONSE) {
		out->status = (int32_t)(uint32_t)rd_varint(&rd);
		out->payload = rd_bytes(&rd, (size_t)(rd.end - rd.p));
	}
	return !rd.bad && rd.p == rd.end && out->kind < RESULT_KINDS && id_valid(out->device) &&
	    (out->kind != RESULT_RESPONSE || doc_valid(out->payload, 0, DOC_DEPTH_MAX));
}

void
result_key(struct buf *out, uint32_t shard, uint64_t number, uint32_t row)
{
	char room[HUB_PREFIX_MAX];

	buf_str(out, part_key(DONE_KEY, shard, number, room));
	buf_u16be(out, (uint16_t)(row >> 16));
	buf_u16be(out, (uint16_t)row);
}

void
result_write(struct shard *sh, struct job_part *p, const struct row *r,
    const struct job_result *what, const struct hub_env *env)
{
	struct job_result full = *what;
	struct buf key = { 0 }, value = { 0 };
	uint32_t row = row_number(sh, r);
	struct str bytes;

	full.device = row_device(r);
	full.module = row_module(r);
	result_encode(&value, &full);
	bytes = buf_view(&value);
	result_key(&key, sh->index, p->number, row);
	common_write(sh, buf_view(&key), &bytes, env);
	part_fresh_add(p, row, bytes);
	if (p->work != NULL)
		p->work->now.bytes += value.n;
	buf_fini(&key);
	buf_fini(&value);
}

void
result_of_stop(struct job_result *what, enum job_stop stop)
{
	what->kind = stop == JOB_STOP_CANCELLED ? RESULT_CANCELED : RESULT_FAILED;
	if (what->kind == RESULT_CANCELED)
		return;
	what->code = str_of(fault_name(stop == JOB_STOP_LATE ? F_GatewayTimeout : F_ServerError));
	what->text = stop == JOB_STOP_LATE
	    ? STR("the job's time was over before the device had its turn")
	    : STR("the job has failed before the device had its turn");
}

/* ---- identities that go ---- */

/* It had its turn, or shall not have it any more. */
static void
leaves_work(struct shard *sh, struct job_part *p, const struct row *r, const struct hub_env *env)
{
	struct part_work *w = p->work;
	uint32_t row = row_number(sh, r);
	bool done = str_cmp(part_cursor_of(r), (struct str){ w->now.cursor, w->now.cursor_n }) <= 0;
	struct job_result what = {
		.kind = RESULT_COMPLETED, .began_us = w->now.began_us, .ended_us = w->now.moved_us
	};
	bool called = part_lands(&w->now, row, &what.began_us);

	if (!called && !rowset_has(&w->left, row))
		return;
	if (called || !done) {
		what.kind = RESULT_FAILED;
		what.ended_us = env->now_us;
		if (!called)
			what.began_us = env->now_us;
		what.code = str_of(fault_name(F_DeviceNotFound));
		what.text = STR("the device was deleted before its turn was over");
		w->now.failed++;
		part_unorder(sh, w, row);
	}
	result_write(sh, p, r, &what, env);
	part_write(sh, p, env);
}

/* Of an ended part the targets are in the record only; one that came later into the same row is younger. */
static void
leaves_ended(struct shard *sh, struct job_part *p, const struct row *r, uint64_t generation,
    const struct hub_env *env)
{
	struct job_result what = { .kind = RESULT_COMPLETED };
	struct rowset rows = { 0 };
	struct part_state s;

	if (!part_decode(blob_str(p->record), &s) || generation > s.generation ||
	    !rowset_decode(blob_str(p->rows), &rows))
		return;
	what.began_us = s.began_us;
	what.ended_us = s.moved_us;
	if (s.stop != JOB_GOES_ON &&
	    str_cmp(part_cursor_of(r), (struct str){ s.cursor, s.cursor_n }) > 0)
		result_of_stop(&what, s.stop);
	if (rowset_has(&rows, row_number(sh, r)))
		result_write(sh, p, r, &what, env);
	rowset_fini(&rows);
}

bool
jobs_chose_between(const struct shard *sh, uint64_t a, uint64_t b)
{
	uint64_t low = a < b ? a : b, high = a < b ? b : a;
	const struct shard_jobs *js = jobs_of(sh);
	struct part_state s;

	for (uint32_t i = 0; i < js->npart; i++)
		if (js->part[i]->record != NULL && part_decode(blob_str(js->part[i]->record), &s) &&
		    s.generation >= low && s.generation < high)
			return true;
	return false;
}

void
jobs_row_leaves(struct shard *sh, struct row *r, const struct hub_env *env)
{
	const struct shard_jobs *js = jobs_of(sh);
	struct identity id;

	if (js->npart == 0 || !identity_decode(blob_str(r->records[RECORD_IDENTITY]), &id))
		return;
	for (uint32_t i = 0; i < js->npart; i++) {
		struct job_part *p = js->part[i];

		if (p->record == NULL || p->rows == NULL ||
		    (js->known != NULL && jobs_number(js->known, p->number) == NULL))
			continue;
		if (p->work != NULL && !p->work->now.ended)
			leaves_work(sh, p, r, env);
		else
			leaves_ended(sh, p, r, id.generation, env);
	}
}
