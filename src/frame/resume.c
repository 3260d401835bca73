/* Sessions that ask a shard's owner to take them up. */
#include "frame/priv.h"

#define FILTERS_TEXT_MAX (FILTERS_MAX * 512u)

static const struct field session_fields[] = {
	FIELD_OF(1, FIELD_TEXT, resumed_session, device, ID_MAX),
	FIELD_OF(2, FIELD_TEXT, resumed_session, module, ID_MAX),
	FIELD_OF(3, FIELD_NUMBER, resumed_session, session.node, UINT8_MAX),
	FIELD_OF(4, FIELD_NUMBER, resumed_session, session.loop, UINT16_MAX),
	FIELD_OF(5, FIELD_NUMBER, resumed_session, session.slot, UINT32_MAX),
	FIELD_OF(6, FIELD_NUMBER, resumed_session, session.generation, UINT32_MAX),
	FIELD_OF(7, FIELD_NUMBER, resumed_session, session_epoch, UINT64_MAX),
	FIELD_OF(8, FIELD_NUMBER, resumed_session, identity, UINT64_MAX),
	FIELD_OF(9, FIELD_TEXT, resumed_session, filters, FILTERS_TEXT_MAX),
	FIELD_OF(10, FIELD_NUMBER, resumed_session, opened.by, OPENED_BY_PARENT),
	FIELD_OF(11, FIELD_NUMBER, resumed_session, opened.print, UINT64_MAX),
	FIELD_OF(12, FIELD_NUMBER, resumed_session, opened.ca, UINT64_MAX),
	FIELD_OF(13, FIELD_NUMBER, resumed_session, desired, UINT64_MAX),
	FIELD_OF(14, FIELD_SIGNED, resumed_session, since_us, 0),
	FIELD_OF(15, FIELD_NUMBER, resumed_session, clean, 1),
	FIELD_OF(16, FIELD_NUMBER, resumed_session, opened.by_certificate, 1),
	FIELD_OF(17, FIELD_NUMBER, resumed_session, session.caller, CALLER_CLIENT),
};

/* The sessions stand behind each other, each with its length, in a field of their own. */
struct head {
	uint64_t seq, shard;
	struct str sessions;
};

static const struct field head_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, head, seq, UINT64_MAX),
	FIELD_OF(2, FIELD_NUMBER, head, shard, SHARDS - 1),
	FIELD_OF(3, FIELD_TEXT, head, sessions, FRAME_MAX),
};

void
resume_write(struct buf *out, const struct resume *r)
{
	struct buf all = { 0 }, one = { 0 };
	struct head head = { .seq = r->seq, .shard = r->shard };

	assert(r->n <= FRAME_SESSIONS);
	for (uint64_t i = 0; i < r->n; i++) {
		one.n = 0;
		fields_write(&one, session_fields, COUNT(session_fields), &r->sessions[i]);
		buf_lstr(&all, buf_view(&one));
	}
	head.sessions = buf_view(&all);
	fields_write(out, head_fields, COUNT(head_fields), &head);
	buf_fini(&all);
	buf_fini(&one);
}

static enum err
session_is_good(const struct resumed_session *s, uint64_t shard, struct fault *f)
{
	if (!id_valid(s->device) || (s->module.n != 0 && !id_valid(s->module)))
		return frame_wrong(f, "names an identity that cannot be");
	if (hub_shard_of(s->device) != shard)
		return frame_wrong(f, "names an identity of another shard");
	if (!frame_filters_good(s->filters, FILTERS_MAX))
		return frame_wrong(f, "has filters that cannot be");
	return ERR_OK;
}

enum err
resume_read(struct str body, struct resume *r, struct fault *f)
{
	struct head head;
	struct rd rd;
	enum err e = fields_read(body, head_fields, COUNT(head_fields), &head, f);

	if (e != ERR_OK)
		return e;
	r->seq = head.seq;
	r->shard = head.shard;
	r->n = 0;
	rd = rd_of(head.sessions);
	while (rd.p < rd.end) {
		struct resumed_session *s = &r->sessions[r->n % FRAME_SESSIONS];
		struct str one = rd_lstr(&rd);

		if (rd.bad)
			return frame_wrong(f, "breaks off");
		if (r->n == FRAME_SESSIONS)
			return frame_wrong(f, "has more sessions than one may");
		e = fields_read(one, session_fields, COUNT(session_fields), s, f);
		if (e == ERR_OK)
			e = session_is_good(s, r->shard, f);
		if (e != ERR_OK)
			return e;
		r->n++;
	}
	return ERR_OK;
}
