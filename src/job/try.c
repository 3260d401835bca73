/* What a job would make of a twin: prepared as in its turn, and shown instead of written. */
#include "hub/change.h"
#include "job/work.h"

static void
put_error(struct out *o, const struct fault *f)
{
	out_open(out_key(o, "error"));
	out_cstr(out_key(o, "code"), fault_name(f->code));
	out_cstr(out_key(o, "description"), f->text);
	out_close(o);
}

/* The parts of the body that count (T-35). */
static void
put_patch(struct out *o, struct doc patch)
{
	struct doc desired = doc_getc(doc_getc(patch, "properties"), "desired");

	out_open(out_key(o, "patch"));
	out_some_doc(o, "tags", doc_getc(patch, "tags"));
	if (doc_defined(desired)) {
		out_open(out_key(o, "properties"));
		out_doc(out_key(o, "desired"), desired);
		out_close(o);
	}
	out_close(o);
}

static void
put_twin(struct out *o, const struct shard *sh, const struct row *r, struct twin_next *next)
{
	struct wanted w = next->old;
	bool changed = next->tags.changed || next->desired.changed;

	if (next->tags.changed)
		w.tags = section_of(buf_view(&next->tags.bytes));
	if (next->desired.changed)
		w.desired = section_of(buf_view(&next->desired.bytes));
	w.counter += changed;
	out_bool(out_key(o, "changed"), changed);
	twin_write_as(sh, r, &w, out_value(out_key(o, "twin")));
}

void
target_write(const struct shard *sh, uint32_t row, struct buf *json)
{
	struct out o = out_to(json);

	out_open(&o);
	row_put_ids(&o, row_at(sh, row));
	out_close(&o);
}

/* The document that would take the place of tags and desired properties, if it is not what they are. */
static void
try_restore(struct out *o, const struct shard *sh, const struct row *r, const struct former *was,
    int64_t now_us)
{
	struct op op = {
		.kind = OP_TWIN_REPLACE, .device = row_device(r), .module = row_module(r)
	};
	struct hub_env env = { .now_us = now_us };
	struct twin_next next = { .tags = { .changed = false } };
	struct buf body = { 0 };
	struct fault f = was->fault;

	if (f.code == F_NONE && former_is(was, r)) {
		row_read_wanted(r, &next.old);
		put_twin(o, sh, r, &next);
		return;
	}
	if (f.code == F_NONE) {
		former_document(was, &body);
		out_doc(out_key(o, "replacement"), doc_of(buf_view(&body)));
		if (twin_prepare(r, &op, doc_of(buf_view(&body)), &env, &next, &f) == ERR_OK)
			put_twin(o, sh, r, &next);
	}
	if (f.code != F_NONE)
		put_error(o, &f);
	twin_next_fini(&next);
	buf_fini(&body);
}

void
part_try(struct shard *sh, uint32_t row, const struct job *j, const struct former *was,
    int64_t now_us, struct buf *json)
{
	const struct row *r = row_at(sh, row);
	struct op op = { .kind = OP_TWIN_PATCH, .device = row_device(r), .module = row_module(r) };
	struct hub_env env = { .now_us = now_us };
	struct out o = out_to(json);
	struct twin_next next;
	struct fault f;

	out_open(&o);
	row_put_ids(&o, r);
	if (j->type == JOB_RESTORE) {
		try_restore(&o, sh, r, was, now_us);
		out_close(&o);
		return;
	}
	put_patch(&o, j->patch);
	if (twin_prepare(r, &op, j->patch, &env, &next, &f) == ERR_OK)
		put_twin(&o, sh, r, &next);
	else
		put_error(&o, &f);
	out_close(&o);
	twin_next_fini(&next);
}
