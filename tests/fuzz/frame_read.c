/* Any bytes as frames of another node: refused, or what may be used and is written again as it was said. */
#include "frame/frame.h"
#include "fuzz.h"

static struct asked asked;

/* What was read and is written again is read as the same: written once more it is the same bytes. */
static void
op_again(struct str body)
{
	struct buf once = { 0 }, twice = { 0 };
	struct fault f;

	if (asked_read(body, &asked, &f) != ERR_OK)
		return;
	require(asked.op.kind < OP_KINDS && op_shard(&asked.op) == asked.shard);
	asked_write(&once, &asked);
	require(asked_read(buf_view(&once), &asked, &f) == ERR_OK);
	asked_write(&twice, &asked);
	require(str_eq(buf_view(&once), buf_view(&twice)));
	buf_fini(&once);
	buf_fini(&twice);
}

static void
reply_again(struct str body)
{
	struct answered a;
	struct fault f;

	if (answered_read(body, &a, &f) != ERR_OK)
		return;
	require(strnlen(a.reply.etag, sizeof(a.reply.etag)) < sizeof(a.reply.etag));
	require(strnlen(a.reply.fault.text, FAULT_TEXT_MAX) < FAULT_TEXT_MAX);
	require(a.reply.verdict.policy_n <= POLICY_NAME_MAX);
	reply_fini(&a.reply);
}

/* A part of a question, or its answer: what is read is read again from what is written. */
static void
walk_again(struct str body)
{
	struct walk_asked asked_walk;
	struct walk_answer answer = { 0 }, again = { 0 };
	struct buf once = { 0 };
	struct fault f;

	if (walk_asked_read(body, &asked_walk, &f) == ERR_OK) {
		walk_asked_write(&once, &asked_walk);
		require(walk_asked_read(buf_view(&once), &asked_walk, &f) == ERR_OK);
	}
	if (walk_answer_read(body, &answer, &f) == ERR_OK) {
		once.n = 0;
		walk_answer_write(&once, &answer);
		require(walk_answer_read(buf_view(&once), &again, &f) == ERR_OK);
		require(again.nrow == answer.nrow && again.shards == answer.shards);
		walk_answer_fini(&again);
		walk_answer_fini(&answer);
	}
	buf_fini(&once);
}

static void
call_again(struct str body)
{
	struct part_told part;
	struct jobs_asked jobs;
	struct called called;
	struct fault f;

	if (called_read(body, &called, &f) != ERR_OK)
		return;
	walk_again(called.body);
	(void)jobs_asked_read(called.body, &jobs, &f);
	if (part_told_read(called.body, &part, &f) == ERR_OK)
		require(part.shard < SHARDS && part.ended <= 1 && part.broken <= 1);
}

static void
answer_again(struct str body)
{
	struct call_answer answer;
	struct jobs_told told;
	struct fault f;

	if (call_answer_read(body, &answer, &f) != ERR_OK)
		return;
	walk_again(answer.body);
	if (jobs_told_read(answer.body, &told, &f) == ERR_OK)
		require(told.version <= told.latest);
}

static struct cargo parcel, parcel_twice;

static void
parcel_again(struct str body)
{
	struct parcel_asked a;
	struct buf once = { 0 };
	struct fault f;

	cargo_init(&parcel, STR_NONE);
	if (parcel_read(body, &a, &parcel, &f) == ERR_OK) {
		parcel_write(&once, &a, &parcel);
		cargo_init(&parcel_twice, STR_NONE);
		require(parcel_read(buf_view(&once), &a, &parcel_twice, &f) == ERR_OK);
		require(parcel_twice.n == parcel.n && parcel_twice.bytes.n == parcel.bytes.n);
		cargo_fini(&parcel_twice);
	}
	cargo_fini(&parcel);
	buf_fini(&once);
}

static void
parcel_done_again(struct str body)
{
	struct parcel_done d;
	struct fault f;

	cargo_init(&parcel, STR_NONE);
	parcel.n = 3;
	memset(parcel.items, 0, 3 * sizeof(*parcel.items));
	if (parcel_done_read(body, &d, &f) == ERR_OK)
		(void)parcel_done_take(&d, &parcel, &f);
	cargo_fini(&parcel);
}

static void
one(const struct frame *frame)
{
	struct shard_map map;
	struct hello hello;
	struct not_mine not_mine;
	struct effect effect;
	struct fault f;
	uint64_t a, b;

	require(frame_name(frame->kind) != NULL);
	switch (frame->kind) {
	case FRAME_HELLO: hello_read(frame->body, &hello, &f); break;
	case FRAME_MAP: map_read(frame->body, &map, &f); break;
	case FRAME_OP: op_again(frame->body); break;
	case FRAME_REPLY: reply_again(frame->body); break;
	case FRAME_NOT_MINE: not_mine_read(frame->body, &not_mine, &f); break;
	case FRAME_EFFECT: effect_read(frame->body, &effect, &f); break;
	case FRAME_CALL: call_again(frame->body); break;
	case FRAME_ANSWER: answer_again(frame->body); break;
	case FRAME_PARCEL: parcel_again(frame->body); break;
	case FRAME_PARCEL_DONE: parcel_done_again(frame->body); break;
	default: numbers_read(frame->body, &a, &b, &f);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size };
	struct frame frame;
	struct fault f;
	size_t took;

	while (frame_read(rest, &frame, &took, &f) == ERR_OK) {
		one(&frame);
		rest = str_sub(rest, took);
	}
	return 0;
}
