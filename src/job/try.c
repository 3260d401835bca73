/* What a job would make of a twin: prepared as in its turn, and shown instead of written. */
#include "hub/change.h"
#include "job/work.h"

static void
put_error(struct buf *json, const struct fault *f)
{
	buf_cstr(json, ",\"error\":{\"code\":");
	doc_write_json_str(json, str_of(fault_name(f->code)));
	buf_cstr(json, ",\"description\":");
	doc_write_json_str(json, str_of(f->text));
	buf_putc(json, '}');
}

/* The parts of the body that count (T-35). */
static void
put_patch(struct buf *json, struct doc patch)
{
	struct doc tags = doc_getc(patch, "tags"),
	           desired = doc_getc(doc_getc(patch, "properties"), "desired");

	buf_cstr(json, ",\"patch\":{");
	if (doc_defined(tags)) {
		buf_cstr(json, "\"tags\":");
		doc_write_json(json, tags);
	}
	if (doc_defined(desired)) {
		buf_cstr(json,
		    doc_defined(tags) ? ",\"properties\":{\"desired\":"
		                      : "\"properties\":{\"desired\":");
		doc_write_json(json, desired);
		buf_putc(json, '}');
	}
	buf_putc(json, '}');
}

static void
put_twin(struct buf *json, const struct shard *sh, const struct row *r, struct twin_next *next)
{
	struct wanted w = next->old;

	if (next->tags.changed)
		w.tags = section_of(buf_view(&next->tags.bytes));
	if (next->desired.changed)
		w.desired = section_of(buf_view(&next->desired.bytes));
	w.counter += next->tags.changed || next->desired.changed;
	buf_printf(json, ",\"changed\":%s,\"twin\":",
	    next->tags.changed || next->desired.changed ? "true" : "false");
	twin_write_as(sh, r, &w, json);
}

void
shard_job_target_write(const struct shard *sh, uint32_t row, struct buf *json)
{
	const struct row *r = row_at(sh, row);

	buf_cstr(json, "{\"deviceId\":");
	doc_write_json_str(json, row_device(r));
	if (r->module_n != 0) {
		buf_cstr(json, ",\"moduleId\":");
		doc_write_json_str(json, row_module(r));
	}
	buf_putc(json, '}');
}

void
shard_job_try(struct shard *sh, uint32_t row, const struct job *j, int64_t now_us, struct buf *json)
{
	const struct row *r = row_at(sh, row);
	struct op op = { .kind = OP_TWIN_PATCH, .device = row_device(r), .module = row_module(r) };
	struct hub_env env = { .now_us = now_us };
	struct reply reply = { 0 };
	struct twin_next next;

	shard_job_target_write(sh, row, json);
	json->n--; /* the object goes on */
	put_patch(json, j->patch);
	if (twin_prepare(r, &op, j->patch, &env, &next, &reply))
		put_twin(json, sh, r, &next);
	else
		put_error(json, &reply.fault);
	buf_putc(json, '}');
	twin_next_fini(&next);
	reply_fini(&reply);
}
