/* Parts of questions: what is asked (CALL_WALK), and its answer. */
#include "frame/priv.h"

#define WHO_MAX  16384u
#define LEFT_MAX INT64_C(3600000000) /* us */

static const struct field asked_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, walk_asked, kind, UINT8_MAX),
	FIELD_OF(2, FIELD_NUMBER, walk_asked, explain, 1),
	FIELD_OF(3, FIELD_NUMBER, walk_asked, samples, 1),
	FIELD_OF(4, FIELD_NUMBER, walk_asked, limit, QUERY_PAGE_MAX),
	FIELD_OF(5, FIELD_NUMBER, walk_asked, shards, UINT64_MAX),
	FIELD_OF(6, FIELD_NUMBER, walk_asked, from.shard, SHARDS),
	FIELD_OF(7, FIELD_NUMBER, walk_asked, from.row, UINT64_MAX),
	FIELD_OF(8, FIELD_NUMBER, walk_asked, from.delivered, UINT64_MAX),
	FIELD_OF(9, FIELD_NUMBER, walk_asked, from.generation, UINT64_MAX),
	FIELD_OF(10, FIELD_SIGNED, walk_asked, left_us, 0),
	FIELD_OF(11, FIELD_TEXT, walk_asked, text, FRAME_MAX),
	FIELD_OF(12, FIELD_TEXT, walk_asked, who, WHO_MAX),
	FIELD_OF(13, FIELD_TEXT, walk_asked, peer, WHO_MAX),
};

void
walk_asked_write(struct buf *out, const struct walk_asked *a)
{
	fields_write(out, asked_fields, COUNT(asked_fields), a);
}

enum err
walk_asked_read(struct str body, struct walk_asked *a, struct fault *f)
{
	enum err e;

	memset(a, 0, sizeof(*a));
	e = fields_read(body, asked_fields, COUNT(asked_fields), a, f);
	if (e == ERR_OK && a->shards == 0)
		e = frame_wrong(f, "asks for no shard");
	if (e == ERR_OK && (a->left_us < 0 || a->left_us > LEFT_MAX))
		e = frame_wrong(f, "asks for an answer within a time that cannot be");
	return e;
}

/* The answer's, and its lists of numbers: of each of its shards what it reflects, times by their laps. */
struct told {
	struct walk_answer a;
	struct str reflects, ns;
};

static const struct field answer_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, told, a.fault.code, UINT32_MAX),
	FIELD_OF(2, FIELD_CHARS, told, a.fault.text, 0),
	FIELD_OF(3, FIELD_NUMBER, told, a.shards, UINT64_MAX),
	FIELD_OF(4, FIELD_NUMBER, told, a.ended, 1),
	FIELD_OF(5, FIELD_NUMBER, told, a.more, 1),
	FIELD_OF(6, FIELD_NUMBER, told, a.end.shard, SHARDS),
	FIELD_OF(7, FIELD_NUMBER, told, a.end.row, UINT64_MAX),
	FIELD_OF(8, FIELD_NUMBER, told, a.end.delivered, UINT64_MAX),
	FIELD_OF(9, FIELD_NUMBER, told, a.end.generation, UINT64_MAX),
	FIELD_OF(10, FIELD_NUMBER, told, a.nrow, QUERY_PAGE_MAX),
	FIELD_OF(11, FIELD_BUF, told, a.marks, FRAME_MAX),
	FIELD_OF(12, FIELD_BUF, told, a.rows, FRAME_MAX),
	FIELD_OF(13, FIELD_BUF, told, a.modules, FRAME_MAX),
	FIELD_OF(14, FIELD_BUF, told, a.sum, FRAME_MAX),
	FIELD_OF(15, FIELD_TEXT, told, reflects, SHARDS * 10),
	FIELD_OF(16, FIELD_TEXT, told, ns, LAPS * 10),
	FIELD_OF(17, FIELD_SIGNED, told, a.unsplit_ns, 0),
	FIELD_OF(18, FIELD_NUMBER, told, a.too_large, 1),
};

void
walk_answer_write(struct buf *out, const struct walk_answer *a)
{
	struct told t = { .a = *a }; /* its bufs are the answer's */
	struct buf reflects = { 0 }, ns = { 0 };

	for (uint32_t s = 0; s < SHARDS; s++)
		if (a->shards >> s & 1)
			buf_varint(&reflects, a->reflects[s]);
	for (unsigned i = 0; i < LAPS; i++)
		buf_varint(&ns, (uint64_t)a->ns[i]);
	t.reflects = buf_view(&reflects);
	t.ns = buf_view(&ns);
	fields_write(out, answer_fields, COUNT(answer_fields), &t);
	buf_fini(&reflects);
	buf_fini(&ns);
}

static bool
numbers_take(struct told *t)
{
	struct rd reflects = rd_of(t->reflects), ns = rd_of(t->ns);

	for (uint32_t s = 0; s < SHARDS; s++)
		if (t->a.shards >> s & 1)
			t->a.reflects[s] = rd_varint(&reflects);
	for (unsigned i = 0; i < LAPS && t->ns.n > 0; i++)
		t->a.ns[i] = (int64_t)rd_varint(&ns);
	return !reflects.bad && !ns.bad;
}

enum err
walk_answer_read(struct str body, struct walk_answer *a, struct fault *f)
{
	struct told t = { 0 };
	enum err e = fields_read(body, answer_fields, COUNT(answer_fields), &t, f);

	if (e == ERR_OK && !numbers_take(&t))
		e = frame_wrong(f, "breaks off");
	if (e == ERR_OK && walk_answer_check(&t.a) != ERR_OK)
		e = frame_wrong(f, "has rows that are not where they are said to be");
	if (e == ERR_OK)
		*a = t.a;
	else
		walk_answer_fini(&t.a);
	return e;
}
