/* What nodes say to each other: what is written is read, and whatever else comes is refused. docs/cluster-design.md, 6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "frame/fields.h"
#include "frame/frame.h"
#include "rnd.h"

static void
str_is(struct str got, struct str wanted)
{
	assert_int_equal(got.n, wanted.n);
	if (wanted.n != 0)
		assert_memory_equal(got.p, wanted.p, wanted.n);
}

/* ---- fields ---- */

struct some {
	uint8_t small;
	uint32_t middle;
	uint64_t large;
	int32_t below;
	int64_t far;
	struct str text;
	char bytes[4];
	char chars[8];
	struct buf buf;
};

static const struct field some_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, some, small, 3),
	FIELD_OF(2, FIELD_NUMBER, some, middle, UINT32_MAX),
	FIELD_OF(4, FIELD_NUMBER, some, large, UINT64_MAX),
	FIELD_OF(5, FIELD_SIGNED, some, below, 0),
	FIELD_OF(6, FIELD_SIGNED, some, far, 0),
	FIELD_OF(7, FIELD_TEXT, some, text, 5),
	FIELD_OF(8, FIELD_BYTES, some, bytes, 0),
	FIELD_OF(9, FIELD_CHARS, some, chars, 0),
	FIELD_OF(10, FIELD_BUF, some, buf, 9),
};
#define NSOME (sizeof(some_fields) / sizeof(*some_fields))

static enum err
some_read(struct str in, struct some *s, struct fault *f)
{
	memset(s, 0, sizeof(*s));
	return fields_read(in, some_fields, NSOME, s, f);
}

static void
fields__come_back(void **state)
{
	static const int64_t numbers[] = { 0, 1, -1, 127, -128, INT32_MAX, INT32_MIN };
	(void)state;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		struct some got,
		    from = { .small = (uint8_t)(i % 4),
			    .middle = (uint32_t)numbers[i],
			    .large = (uint64_t)numbers[i],
			    .below = (int32_t)numbers[i],
			    .far = i == 5 ? INT64_MAX
			        : i == 6  ? INT64_MIN
			                  : numbers[i],
			    .text = STR("ab\0de"),
			    .bytes = { 0, 0, 0, (char)i },
			    .chars = "seven77" };
		struct buf out = { 0 };
		struct fault f;

		buf_cstr(&from.buf, "warning");
		fields_write(&out, some_fields, NSOME, &from);
		assert_int_equal(some_read(buf_view(&out), &got, &f), ERR_OK);
		assert_int_equal(got.small, from.small);
		assert_int_equal(got.middle, from.middle);
		assert_true(got.large == from.large);
		assert_int_equal(got.below, from.below);
		assert_true(got.far == from.far);
		str_is(got.text, from.text);
		assert_memory_equal(got.bytes, from.bytes, 4);
		assert_string_equal(got.chars, from.chars);
		str_is(buf_view(&got.buf), STR("warning"));
		buf_fini(&got.buf);
		buf_fini(&from.buf);
		buf_fini(&out);
	}
}

static void
fields__what_is_nothing_takes_nothing(void **state)
{
	struct some none = { 0 };
	struct buf out = { 0 };
	(void)state;

	fields_write(&out, some_fields, NSOME, &none);
	assert_int_equal(out.n, 0);
	buf_fini(&out);
}

static void
put_number(struct buf *out, uint64_t tag, uint64_t v)
{
	buf_varint(out, tag << 1);
	buf_varint(out, v);
}

static void
put_bytes(struct buf *out, uint64_t tag, struct str s)
{
	buf_varint(out, tag << 1 | 1);
	buf_lstr(out, s);
}

static void
fields__of_a_later_release_are_passed_over(void **state)
{
	struct buf out = { 0 };
	struct some got;
	struct fault f;
	(void)state;

	put_number(&out, 2, 7);
	put_bytes(&out, 3, STR("new"));
	put_number(&out, 4, 8);
	put_number(&out, 1000, 9);
	assert_int_equal(some_read(buf_view(&out), &got, &f), ERR_OK);
	assert_int_equal(got.middle, 7);
	assert_int_equal(got.large, 8);
	buf_fini(&out);
}

/* Each wrong by itself; `says` is in what is said of it. */
static void
expect_refused(struct buf *out, const char *says)
{
	struct some got;
	struct fault f;

	assert_int_equal(some_read(buf_view(out), &got, &f), ERR_PROTOCOL);
	if (strstr(f.text, says) == NULL)
		fail_msg("%s: %s", says, f.text);
	buf_fini(&got.buf);
	out->n = 0;
}

static void
fields__that_cannot_be_are_refused(void **state)
{
	struct buf out = { 0 };
	(void)state;

	put_number(&out, 1, 4);
	expect_refused(&out, "the field small of a frame is out of its range");
	put_number(&out, 2, UINT64_C(1) << 32);
	expect_refused(&out, "the field middle of a frame is out of its range");
	put_number(&out, 5, UINT64_C(1) << 33);
	expect_refused(&out, "the field below of a frame is out of its range");
	put_bytes(&out, 1, STR("x"));
	expect_refused(&out, "the field small of a frame is of another type");
	put_number(&out, 7, 1);
	expect_refused(&out, "the field text of a frame is of another type");
	put_bytes(&out, 7, STR("sixsix"));
	expect_refused(&out, "the field text of a frame has a length");
	put_bytes(&out, 8, STR("abc"));
	expect_refused(&out, "the field bytes of a frame has a length");
	put_bytes(&out, 9, STR("eighteig"));
	expect_refused(&out, "the field chars of a frame has a length");
	put_number(&out, 2, 1), put_number(&out, 2, 1);
	expect_refused(&out, "out of order");
	put_number(&out, 4, 1), put_number(&out, 2, 1);
	expect_refused(&out, "out of order");
	put_number(&out, 0, 1);
	expect_refused(&out, "out of order");
	put_number(&out, 20, 1), put_number(&out, 20, 1);
	expect_refused(&out, "out of order");
	buf_varint(&out, 7 << 1 | 1), buf_varint(&out, 3), buf_cstr(&out, "ab");
	expect_refused(&out, "breaks off");
	buf_fini(&out);
}

/* ---- heads ---- */

static void
frame__is_read_when_it_is_whole(void **state)
{
	struct buf out = { 0 };
	struct frame frame;
	struct fault f;
	size_t size, begun;
	(void)state;

	begun = frame_begin(&out, FRAME_PING);
	numbers_write(&out, 5, 6);
	assert_int_equal(frame_end(&out, begun), ERR_OK);
	for (size_t n = 0; n < out.n; n++) {
		assert_int_equal(frame_read((struct str){ out.p, n }, &frame, &size, &f), ERR_MORE);
		assert_int_equal(size, n < FRAME_HEAD ? 0 : out.n);
	}
	buf_cstr(&out, "next");
	assert_int_equal(frame_read(buf_view(&out), &frame, &size, &f), ERR_OK);
	assert_int_equal(size, out.n - 4);
	assert_int_equal(frame.kind, FRAME_PING);
	buf_fini(&out);
}

static void
frame__that_is_too_large_is_not_waited_for(void **state)
{
	static char much[FRAME_MAX + 1];
	struct buf out = { 0 };
	struct frame frame;
	struct fault f;
	size_t size, begun;
	(void)state;

	begun = frame_begin(&out, FRAME_OP);
	buf_put(&out, much, FRAME_MAX);
	assert_int_equal(frame_end(&out, begun), ERR_OK);
	out.n = 0;
	begun = frame_begin(&out, FRAME_OP);
	buf_put(&out, much, sizeof(much));
	assert_int_equal(frame_end(&out, begun), ERR_SIZE);
	assert_int_equal(out.n, 0);
	assert_int_equal(
	    frame_read((struct str){ "\xff\0\0\0\1\0", 6 }, &frame, &size, &f), ERR_PROTOCOL);
	assert_non_null(strstr(f.text, "4278190080 bytes"));
	assert_int_equal(
	    frame_read((struct str){ "\0\0\0\0\1\1", 6 }, &frame, &size, &f), ERR_PROTOCOL);
	assert_non_null(strstr(f.text, "flags"));
	buf_fini(&out);
}

/* ---- what they say ---- */

#define TEXT(s)                                                                                    \
	{                                                                                          \
		(s), sizeof(s) - 1                                                                 \
	}
#define TRUE_DOC TEXT("\3")

/* Every member is other than 0; what is between members is 0, as it is static. */
static struct asked whole_op = { .seq = 77,
	.epoch = 78,
	.op = { .kind = OP_TWIN_PATCH,
	    .partition = 5,
	    .actor = ACTOR_POLICY,
	    .actor_name = TEXT("service"),
	    .device = TEXT("dev"),
	    .module = TEXT("mod"),
	    .name = TEXT("name"),
	    .session_epoch = UINT64_C(3) << 40,
	    .if_match = IF_TAG,
	    .if_tag = TEXT("tag"),
	    .has_base_version = true,
	    .base_version = 9,
	    .payload = TRUE_DOC,
	    .nduplicate = 2,
	    .reply_to = { 1, CALLER_JOB, 2, 3, 4 },
	    .shown = { .token = TEXT("SharedAccessSignature"),
	        .has_certificate = true,
	        .print = { "1", "2" },
	        .common_name = TEXT("cn"),
	        .ca = 8,
	        .ca_outdated = true,
	        .revoked = true,
	        .not_before_us = -5,
	        .not_after_us = INT64_MAX,
	        .late_us = 6 },
	    .connect = { true, true, TEXT("dtmi:a;1"), TEXT("10.0.0.1:7") },
	    .resume = { 16, 17, -18, { OPENED_BY_PARENT, true, 19, 20 }, true },
	    .ended = REASONS - 1,
	    .method = { TEXT("reboot"), true, 10, -11, F_DeviceNotFound },
	    .rollout = { ROLLOUT_ROLLBACK, { 1, 2, 3, 4, { 5, 6, 7, 8 }, 9, true } },
	    .message = { 12, ACK_FULL, 1, MESSAGE_ABANDON, 13, "fifteen-letters", 14, 15 },
	    .digital = true,
	    .peer = TEXT("10.0.0.2"),
	    .told = TRUE_DOC,
	    .admin = 3,
	    .import = IMPORT_WHOLE,
	    .keys = 3 } };

static void
op_is(const struct op *got, const struct op *from)
{
	static struct op a, b;
	struct str *texts[][2] = { { &a.actor_name, &b.actor_name }, { &a.device, &b.device },
		{ &a.module, &b.module }, { &a.name, &b.name }, { &a.if_tag, &b.if_tag },
		{ &a.payload, &b.payload }, { &a.shown.token, &b.shown.token },
		{ &a.shown.common_name, &b.shown.common_name },
		{ &a.connect.model_id, &b.connect.model_id }, { &a.connect.from, &b.connect.from },
		{ &a.method.name, &b.method.name }, { &a.peer, &b.peer }, { &a.told, &b.told } };

	memcpy(&a, got, sizeof(a));
	memcpy(&b, from, sizeof(b));
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		str_is(*texts[i][0], *texts[i][1]);
		*texts[i][0] = *texts[i][1] = STR_NONE;
	}
	/* what is left are numbers, flags and arrays; padding is 0 on both sides */
	assert_memory_equal(&a, &b, sizeof(a));
}

static void
op__comes_back_with_every_member(void **state)
{
	static struct asked got;
	struct buf out = { 0 };
	struct fault f;
	(void)state;

	whole_op.shard = hub_shard_of(STR("dev"));
	asked_write(&out, &whole_op);
	assert_int_equal(asked_read(buf_view(&out), &got, &f), ERR_OK);
	assert_int_equal(got.seq, 77);
	assert_int_equal(got.shard, whole_op.shard);
	assert_int_equal(got.epoch, 78);
	op_is(&got.op, &whole_op.op);
	buf_fini(&out);
}

static void
op_refused(const struct asked *a, const char *says)
{
	struct buf out = { 0 };
	struct asked got;
	struct fault f;

	asked_write(&out, a);
	assert_int_equal(asked_read(buf_view(&out), &got, &f), ERR_PROTOCOL);
	if (strstr(f.text, says) == NULL)
		fail_msg("%s: %s", says, f.text);
	buf_fini(&out);
}

static void
op__that_cannot_be_applied_is_refused(void **state)
{
	const struct asked good = { .shard = hub_shard_of(STR("dev")),
		.op = { .kind = OP_TWIN_PATCH, .device = STR("dev"), .payload = STR("\3") } };
	struct asked a = good;
	(void)state;

	a.op.payload = STR("\x0f\x0f");
	op_refused(&a, "has a document that is none");
	a = good, a.op.told = STR("\x09");
	op_refused(&a, "tells what is no document");
	a = good, a.op.device = STR("a b");
	op_refused(&a, "names an identity that cannot be");
	a = good, a.op.module = STR("\xff");
	op_refused(&a, "names an identity that cannot be");
	a = good, a.op.device = STR_NONE, a.op.module = STR("m"), a.shard = hub_shard_of(STR_NONE);
	op_refused(&a, "names an identity that cannot be");
	a = good, a.shard ^= 1;
	op_refused(&a, "is sent to a shard that is not its operation's");
	a = good, a.op.kind = OP_SUBSCRIBE, a.op.payload = STR("\xff\0\0");
	op_refused(&a, "has filters that cannot be");
	a = good, a.op.kind = OP_RESUME, a.op.payload = STR("\xff\0\0");
	op_refused(&a, "has filters that cannot be");
	a = good, a.op.kind = OP_MESSAGE_SEND, a.op.message.bag_bytes = 2;
	op_refused(&a, "has properties beyond its end");
	a = good, a.op.kind = OP_KINDS;
	op_refused(&a, "op.kind of a frame is out of its range");
	a = good, a.op.actor = ACTORS;
	op_refused(&a, "op.actor of a frame is out of its range");
}

static void
reply__comes_back_with_every_member(void **state)
{
	struct answered from = { .seq = 5 }, got;
	struct buf out = { 0 };
	struct fault f;
	(void)state;

	reply_init(&from.reply);
	from.reply.fault.code = F_DeviceNotFound;
	strcpy(from.reply.fault.text, "no device");
	from.reply.reason = REASONS - 1;
	from.reply.version = 6, from.reply.deliver = from.reply.session_present = true;
	from.reply.gone = true, from.reply.session_epoch = 7, from.reply.judged_by = 8;
	from.reply.identity = 9;
	from.reply.verdict.refused = REASONS - 1, from.reply.verdict.tell = true;
	from.reply.verdict.rights = RIGHT_DEVICE_SELF, from.reply.verdict.end_us = -9;
	from.reply.verdict.opened = (struct opened){ OPENED_BY_PARENT, true, 10, 11 };
	from.reply.verdict.policy_n = 6;
	memcpy(from.reply.verdict.policy, "device", 6);
	strcpy(from.reply.etag, "AAAAAAAAAAE=");
	from.reply.message.number = 12, from.reply.message.deliveries = 13;
	memset(from.reply.message.key, 'k', MESSAGE_KEY);
	buf_cstr(&from.reply.body, "{}"), buf_cstr(&from.reply.warning, "put back");

	answered_write(&out, &from);
	assert_int_equal(answered_read(buf_view(&out), &got, &f), ERR_OK);
	assert_int_equal(got.seq, 5);
	assert_int_equal(got.reply.fault.code, F_DeviceNotFound);
	assert_string_equal(got.reply.fault.text, "no device");
	assert_int_equal(got.reply.reason, REASONS - 1);
	assert_int_equal(got.reply.version, 6);
	assert_true(got.reply.deliver && got.reply.session_present && got.reply.gone);
	assert_int_equal(got.reply.session_epoch, 7);
	assert_int_equal(got.reply.judged_by, 8);
	assert_int_equal(got.reply.identity, 9);
	assert_int_equal(got.reply.verdict.refused, REASONS - 1);
	assert_true(got.reply.verdict.tell);
	assert_int_equal(got.reply.verdict.rights, RIGHT_DEVICE_SELF);
	assert_int_equal(got.reply.verdict.end_us, -9);
	assert_int_equal(got.reply.verdict.opened.by, OPENED_BY_PARENT);
	assert_true(got.reply.verdict.opened.by_certificate);
	assert_int_equal(got.reply.verdict.opened.print, 10);
	assert_int_equal(got.reply.verdict.opened.ca, 11);
	str_is((struct str){ got.reply.verdict.policy, got.reply.verdict.policy_n }, STR("device"));
	assert_string_equal(got.reply.etag, "AAAAAAAAAAE=");
	assert_int_equal(got.reply.message.number, 12);
	assert_int_equal(got.reply.message.deliveries, 13);
	assert_memory_equal(got.reply.message.key, from.reply.message.key, MESSAGE_KEY);
	str_is(buf_view(&got.reply.body), STR("{}"));
	str_is(buf_view(&got.reply.warning), STR("put back"));
	reply_fini(&got.reply);
	reply_fini(&from.reply);
	buf_fini(&out);
}

static void
effect__comes_back_unless_it_stays_on_its_node(void **state)
{
	const struct effect from = { EFFECT_METHOD, { 1, CALLER_JOB, 2, 3, 4 }, REASONS - 1, 5, 6,
		{ 7, CALLER_JOB, 8, 9, 10 }, STR("name"), STR("body"), -11, F_DeviceNotFound, 12, 1,
		true, true };
	struct effect got, stays = { .kind = EFFECT_JOBS };
	struct buf out = { 0 };
	struct fault f;
	(void)state;

	effect_write(&out, &from);
	assert_int_equal(effect_read(buf_view(&out), &got, &f), ERR_OK);
	assert_int_equal(got.kind, EFFECT_METHOD);
	assert_memory_equal(&got.session, &from.session, sizeof(got.session));
	assert_memory_equal(&got.caller, &from.caller, sizeof(got.caller));
	assert_int_equal(got.reason, REASONS - 1);
	assert_int_equal(got.version, 5);
	assert_int_equal(got.call, 6);
	str_is(got.name, from.name);
	str_is(got.body, from.body);
	assert_int_equal(got.status, -11);
	assert_int_equal(got.fault, F_DeviceNotFound);
	assert_int_equal(got.size, 12);
	assert_true(got.qos == 1 && got.dup && got.paced);
	out.n = 0;
	effect_write(&out, &stays);
	assert_int_equal(effect_read(buf_view(&out), &got, &f), ERR_PROTOCOL);
	buf_fini(&out);
}

static void
hello__and_map_come_back(void **state)
{
	struct hello hello, hi = { 1, 2, STR("hub"), STR("a"), STR("1.2.3"), 3, 4, 5 };
	static struct shard_map map, back;
	struct buf out = { 0 };
	struct fault f;
	(void)state;

	hello_write(&out, &hi);
	assert_int_equal(hello_read(buf_view(&out), &hello, &f), ERR_OK);
	str_is(hello.hub, hi.hub);
	str_is(hello.node, hi.node);
	str_is(hello.version, hi.version);
	assert_true(hello.protocol_min == 1 && hello.protocol_max == 2 && hello.slot == 3 &&
	    hello.generation == 4 && hello.common == 5);
	hi.protocol_min = 3;
	out.n = 0, hello_write(&out, &hi);
	assert_int_equal(hello_read(buf_view(&out), &hello, &f), ERR_PROTOCOL);
	for (uint32_t s = 0; s < SHARDS; s++)
		map.of[s] =
		    (struct shard_at){ UINT64_C(1) << s, (uint16_t)(s * 1000), SHARD_SERVED };
	out.n = 0, map_write(&out, &map);
	assert_int_equal(map_read(buf_view(&out), &back, &f), ERR_OK);
	for (uint32_t s = 0; s < SHARDS; s++)
		assert_true(back.of[s].epoch == map.of[s].epoch &&
		    back.of[s].slot == map.of[s].slot && back.of[s].state == SHARD_SERVED);
	assert_int_equal(map_read(str_sub(buf_view(&out), 1), &back, &f), ERR_PROTOCOL);
	buf_putc(&out, 0);
	assert_int_equal(map_read(buf_view(&out), &back, &f), ERR_PROTOCOL);
	map.of[3].state = SHARD_STATES;
	out.n = 0, map_write(&out, &map);
	assert_int_equal(map_read(buf_view(&out), &back, &f), ERR_PROTOCOL);
	buf_fini(&out);
}

static void
jobs__and_parts_come_back(void **state)
{
	const struct part_told part = { 1ull << 50, SHARDS - 1, 7, 1, 0, 10, 6, 3, 1, 999 };
	struct jobs_told told = { 5, 6, 9, 1, STR("records"), STR("numbers") }, t;
	struct jobs_asked a, asked_for = { 5, 6 };
	struct part_told p, wrong = part;
	struct buf out = { 0 };
	struct fault f;

	(void)state;
	part_told_write(&out, &part);
	assert_int_equal(part_told_read(buf_view(&out), &p, &f), ERR_OK);
	assert_memory_equal(&p, &part, sizeof(p));
	wrong.shard = SHARDS;
	out.n = 0, part_told_write(&out, &wrong);
	assert_int_equal(part_told_read(buf_view(&out), &p, &f), ERR_PROTOCOL);
	out.n = 0, jobs_asked_write(&out, &asked_for);
	assert_int_equal(jobs_asked_read(buf_view(&out), &a, &f), ERR_OK);
	assert_true(a.epoch == 5 && a.version == 6);
	out.n = 0, jobs_told_write(&out, &told);
	assert_int_equal(jobs_told_read(buf_view(&out), &t, &f), ERR_OK);
	assert_true(t.epoch == 5 && t.version == 6 && t.latest == 9 && t.whole == 1);
	str_is(t.records, told.records);
	str_is(t.numbers, told.numbers);
	told.version = 10;
	out.n = 0, jobs_told_write(&out, &told);
	assert_int_equal(jobs_told_read(buf_view(&out), &t, &f), ERR_PROTOCOL);
	buf_fini(&out);
}

/* Cut anywhere, and with any byte changed: refused, or something that may be. */
static void
frame__damaged_is_refused_or_fit_to_be_used(void **state)
{
	struct buf out = { 0 };
	struct asked got;
	struct rnd rnd = { 3 };
	struct fault f;
	(void)state;

	whole_op.shard = hub_shard_of(STR("dev"));
	asked_write(&out, &whole_op);
	for (size_t n = 0; n < out.n; n++)
		if (asked_read((struct str){ out.p, n }, &got, &f) == ERR_OK)
			assert_true(got.op.kind < OP_KINDS);
	for (int i = 0; i < 20000; i++) {
		size_t at = rnd_u64(&rnd) % out.n;
		char was = out.p[at];

		out.p[at] = (char)rnd_u64(&rnd);
		if (asked_read(buf_view(&out), &got, &f) == ERR_OK) {
			assert_true(got.op.kind < OP_KINDS && got.shard < SHARDS);
			assert_true(got.op.device.n == 0 || id_valid(got.op.device));
		}
		out.p[at] = was;
	}
	buf_fini(&out);
}

static void
frame__O257_a_parcel_goes_there_and_its_faults_come_back(void **state)
{
	static struct cargo sent, got;
	const struct parcel_asked asked = { 7, hub_shard_of(STR("dev")), 9, STR_NONE };
	struct parcel_asked a;
	struct parcel_done d;
	struct buf out = { 0 };
	struct fault f = { 0 };
	(void)state;

	cargo_init(&sent, STR("importer"));
	cargo_init(&got, STR_NONE);
	buf_str(&sent.bytes, STR("dev"));
	sent.n = 2;
	sent.items[0] = (struct cargo_item){ .kind = OP_IDENTITY_DELETE, .device = { 0, 3 } };
	sent.items[1] = sent.items[0];
	parcel_write(&out, &asked, &sent);
	assert_int_equal(parcel_read(buf_view(&out), &a, &got, &f), ERR_OK);
	assert_int_equal(a.seq, 7);
	assert_int_equal(a.epoch, 9);
	assert_true(str_eq(a.actor, STR("importer")));
	assert_int_equal(got.n, 2);
	assert_true(str_eq(span_str(&got.bytes, got.items[1].device), STR("dev")));
	fault_set(&f, F_DeviceNotFound, "no such device");
	cargo_item_fails(&got, 1, &f);
	out.n = 0;
	parcel_done_write(&out, a.seq, &got);
	assert_int_equal(parcel_done_read(buf_view(&out), &d, &f), ERR_OK);
	assert_int_equal(d.seq, 7);
	assert_int_equal(parcel_done_take(&d, &sent, &f), ERR_OK);
	assert_int_equal(sent.items[0].fault, F_NONE);
	assert_int_equal(sent.items[1].fault, F_DeviceNotFound);
	assert_true(str_eq(span_str(&sent.texts, sent.items[1].text), STR("no such device")));
	sent.n = 1; /* one that was not asked */
	assert_int_equal(parcel_done_take(&d, &sent, &f), ERR_PROTOCOL);
	cargo_fini(&sent);
	cargo_fini(&got);
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields__come_back),
		cmocka_unit_test(fields__what_is_nothing_takes_nothing),
		cmocka_unit_test(fields__of_a_later_release_are_passed_over),
		cmocka_unit_test(fields__that_cannot_be_are_refused),
		cmocka_unit_test(frame__is_read_when_it_is_whole),
		cmocka_unit_test(frame__that_is_too_large_is_not_waited_for),
		cmocka_unit_test(op__comes_back_with_every_member),
		cmocka_unit_test(op__that_cannot_be_applied_is_refused),
		cmocka_unit_test(reply__comes_back_with_every_member),
		cmocka_unit_test(effect__comes_back_unless_it_stays_on_its_node),
		cmocka_unit_test(hello__and_map_come_back),
		cmocka_unit_test(jobs__and_parts_come_back),
		cmocka_unit_test(frame__damaged_is_refused_or_fit_to_be_used),
		cmocka_unit_test(frame__O257_a_parcel_goes_there_and_its_faults_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
