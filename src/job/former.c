/* A row as it was: see former.h. */
#include "job/former.h"

#include "shard/record.h"

void
former_forget(struct former *f)
{
	f->begun = false;
}

void
former_fini(struct former *f)
{
	past_fini(&f->past);
}

static void
begin(struct former *f, const struct shard *sh, uint32_t row, int64_t at_us)
{
	struct str wanted = blob_str(row_at(sh, row)->records[RECORD_WANTED]);
	uint64_t head = record_head(wanted);

	if (f->begun && f->shard == sh->index && f->row == row && f->head == head &&
	    f->at_us == at_us)
		return;
	f->again = f->shard == sh->index && f->row == row && f->at_us == at_us ? f->again + 1 : 0;
	past_begin_wanted(&f->past, wanted);
	f->fault.code = F_NONE;
	f->begun = true;
	f->ready = f->asked = false;
	f->shard = sh->index;
	f->row = row;
	f->back = 0;
	f->head = head;
	f->at_us = at_us;
	if (f->again > FORMER_AGAIN_MAX) {
		f->ready = true;
		fault_set(&f->fault, F_ServiceUnavailable,
		    "the twin changes faster than its past can be read");
	}
}

static void
not_there(struct former *f, enum fault_code code, const char *says, int64_t since_us)
{
	char text[TIME_TEXT_MAX];
	size_t n = time_format(since_us, text);

	fault_set(&f->fault, code, "%s %.*s", says, (int)n, text);
}

/* There is no older record of it: from when on all changes are kept it was so already. */
static void
at_end(struct former *f, int64_t kept_us)
{
	f->ready = true;
	if (f->at_us >= kept_us)
		return;
	if (kept_us == INT64_MAX)
		fault_set(&f->fault, F_HistoryNotKept, "nothing of what was before is kept");
	else
		not_there(f, F_HistoryNotKept, "what is kept of changes goes back to", kept_us);
}

static enum err
take_record(struct former *f, uint64_t at, struct str record)
{
	struct event e;

	if (event_decode(record, &e) != ERR_OK || !told_sound(&e))
		return ERR_CORRUPT;
	if (e.time_us <= f->at_us) {
		f->ready = true;
		return ERR_OK;
	}
	if (past_take_back(&f->past, &e, at) != ERR_OK)
		return ERR_CORRUPT;
	if (f->past.begun) {
		f->ready = true;
		not_there(f, F_GenericNotFound, "the twin was made at", e.time_us);
	} else if (++f->back == FORMER_BACK_MAX) {
		f->ready = true;
		fault_set(&f->fault, F_HistoryNotKept, "more than %u changes have been since",
		    FORMER_BACK_MAX);
	}
	return ERR_OK;
}

static enum former_step
take_answer(struct former *f, uint64_t at, const struct task_need *need)
{
	enum err e = need->e;

	if (e == ERR_OK)
		e = take_record(f, at, buf_view(&need->record));
	else if (e == ERR_NOT_FOUND)
		at_end(f, need->kept_us);
	if (e == ERR_CORRUPT) {
		f->ready = true;
		fault_set(&f->fault, F_StoredDamaged, "the event log is damaged");
	}
	return e == ERR_MORE ? FORMER_LATER : e == ERR_IO ? FORMER_UNREAD : FORMER_READY;
}

enum former_step
former_step(struct former *f, struct shard *sh, uint32_t row, int64_t at_us, struct slice *slice)
{
	struct task_need *need = &slice->need;
	enum former_step s;

	begin(f, sh, row, at_us);
	if (f->asked && need->answered && need->kind == NEED_LOG) {
		f->asked = false;
		s = take_answer(f, past_next(&f->past), need);
		if (s != FORMER_READY)
			return s;
		if (!f->ready && slice_spent(slice, SLICE_LOOK_EVERY / 8))
			return FORMER_OVER;
	}
	if (f->ready)
		return FORMER_READY;
	need->kind = NEED_LOG;
	need->position = past_next(&f->past);
	f->asked = true;
	return FORMER_NEEDS;
}

bool
former_is(const struct former *f, const struct row *r)
{
	struct wanted w;

	row_read_wanted(r, &w);
	return doc_equal(section_of(buf_view(&f->past.tags)).root, w.tags.root) &&
	    doc_equal(section_of(buf_view(&f->past.desired)).root, w.desired.root);
}

void
former_document(const struct former *f, struct buf *doc)
{
	struct doc_writer dw;

	doc_writer_init(&dw, doc, 0);
	doc_begin_object(&dw, 0);
	doc_key(&dw, STR("tags"));
	doc_put_copy(&dw, 0, section_of(buf_view(&f->past.tags)).root);
	doc_key(&dw, STR("properties"));
	doc_begin_object(&dw, 0);
	doc_key(&dw, STR("desired"));
	doc_put_copy(&dw, 0, section_of(buf_view(&f->past.desired)).root);
	doc_end(&dw);
	doc_end(&dw);
}
