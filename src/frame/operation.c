/* Operations, their answers, and effects. */
#include "frame/priv.h"

#define ANY UINT64_MAX

/* Of texts that are no payload: the longest is a token of 4 KB, or the path of a request. */
#define TEXT_MAX 16384u

static const struct field op_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, asked, seq, ANY),
	FIELD_OF(2, FIELD_NUMBER, asked, shard, SHARDS - 1),
	FIELD_OF(3, FIELD_NUMBER, asked, op.kind, OP_KINDS - 1),
	FIELD_OF(4, FIELD_NUMBER, asked, op.partition, SHARDS - 1),
	FIELD_OF(5, FIELD_NUMBER, asked, op.actor, ACTORS - 1),
	FIELD_OF(6, FIELD_TEXT, asked, op.actor_name, TEXT_MAX),
	FIELD_OF(7, FIELD_TEXT, asked, op.device, ID_MAX),
	FIELD_OF(8, FIELD_TEXT, asked, op.module, ID_MAX),
	FIELD_OF(9, FIELD_TEXT, asked, op.name, TEXT_MAX),
	FIELD_OF(10, FIELD_NUMBER, asked, op.session_epoch, ANY),
	FIELD_OF(11, FIELD_NUMBER, asked, op.if_match, IF_TAG),
	FIELD_OF(12, FIELD_TEXT, asked, op.if_tag, TEXT_MAX),
	FIELD_OF(13, FIELD_NUMBER, asked, op.has_base_version, 1),
	FIELD_OF(14, FIELD_NUMBER, asked, op.base_version, ANY),
	FIELD_OF(15, FIELD_TEXT, asked, op.payload, FRAME_MAX),
	FIELD_OF(16, FIELD_NUMBER, asked, op.nduplicate, UINT32_MAX),
	FIELD_OF(17, FIELD_NUMBER, asked, op.reply_to.node, UINT8_MAX),
	FIELD_OF(18, FIELD_NUMBER, asked, op.reply_to.loop, UINT16_MAX),
	FIELD_OF(19, FIELD_NUMBER, asked, op.reply_to.slot, UINT32_MAX),
	FIELD_OF(20, FIELD_NUMBER, asked, op.reply_to.generation, UINT32_MAX),
	FIELD_OF(21, FIELD_TEXT, asked, op.shown.token, TEXT_MAX),
	FIELD_OF(22, FIELD_NUMBER, asked, op.shown.has_certificate, 1),
	FIELD_OF(23, FIELD_BYTES, asked, op.shown.print.sha1, 0),
	FIELD_OF(24, FIELD_BYTES, asked, op.shown.print.sha256, 0),
	FIELD_OF(25, FIELD_TEXT, asked, op.shown.common_name, TEXT_MAX),
	FIELD_OF(26, FIELD_NUMBER, asked, op.shown.ca, ANY),
	FIELD_OF(27, FIELD_NUMBER, asked, op.shown.ca_outdated, 1),
	FIELD_OF(28, FIELD_NUMBER, asked, op.shown.revoked, 1),
	FIELD_OF(29, FIELD_SIGNED, asked, op.shown.not_before_us, 0),
	FIELD_OF(30, FIELD_SIGNED, asked, op.shown.not_after_us, 0),
	FIELD_OF(31, FIELD_SIGNED, asked, op.shown.late_us, 0),
	FIELD_OF(32, FIELD_NUMBER, asked, op.connect.clean, 1),
	FIELD_OF(33, FIELD_NUMBER, asked, op.connect.has_model_id, 1),
	FIELD_OF(34, FIELD_TEXT, asked, op.connect.model_id, MODEL_ID_MAX),
	FIELD_OF(35, FIELD_TEXT, asked, op.connect.from, TEXT_MAX),
	FIELD_OF(36, FIELD_NUMBER, asked, op.ended, REASONS - 1),
	FIELD_OF(37, FIELD_TEXT, asked, op.method.name, TEXT_MAX),
	FIELD_OF(38, FIELD_NUMBER, asked, op.method.wait, 1),
	FIELD_OF(39, FIELD_NUMBER, asked, op.method.call, ANY),
	FIELD_OF(40, FIELD_SIGNED, asked, op.method.status, 0),
	FIELD_OF(41, FIELD_NUMBER, asked, op.method.fault, UINT32_MAX),
	FIELD_OF(42, FIELD_NUMBER, asked, op.rollout.action, ROLLOUT_ACTIONS - 1),
	FIELD_OF(43, FIELD_NUMBER, asked, op.rollout.seen.step, ANY),
	FIELD_OF(44, FIELD_NUMBER, asked, op.rollout.seen.bound, ANY),
	FIELD_OF(45, FIELD_NUMBER, asked, op.rollout.seen.size, ANY),
	FIELD_OF(46, FIELD_NUMBER, asked, op.rollout.seen.all, ANY),
	FIELD_OF(47, FIELD_NUMBER, asked, op.rollout.seen.counts.targeted, ANY),
	FIELD_OF(48, FIELD_NUMBER, asked, op.rollout.seen.counts.applied, ANY),
	FIELD_OF(49, FIELD_NUMBER, asked, op.rollout.seen.counts.succeeded, ANY),
	FIELD_OF(50, FIELD_NUMBER, asked, op.rollout.seen.counts.failed, ANY),
	FIELD_OF(51, FIELD_NUMBER, asked, op.rollout.seen.holders, ANY),
	FIELD_OF(52, FIELD_NUMBER, asked, op.rollout.seen.blind, 1),
	FIELD_OF(53, FIELD_SIGNED, asked, op.message.expiry_us, 0),
	FIELD_OF(54, FIELD_NUMBER, asked, op.message.ack, ACK_KINDS - 1),
	FIELD_OF(55, FIELD_NUMBER, asked, op.message.bag_bytes, FRAME_MAX),
	FIELD_OF(56, FIELD_NUMBER, asked, op.message.outcome, MESSAGE_ABANDON),
	FIELD_OF(57, FIELD_NUMBER, asked, op.message.packet_id, UINT16_MAX),
	FIELD_OF(58, FIELD_BYTES, asked, op.message.token, 0),
	FIELD_OF(59, FIELD_NUMBER, asked, op.message.lock_s, UINT16_MAX),
	FIELD_OF(60, FIELD_NUMBER, asked, op.message.shard, SHARDS - 1),
	FIELD_OF(61, FIELD_NUMBER, asked, op.digital, 1),
	FIELD_OF(62, FIELD_TEXT, asked, op.peer, TEXT_MAX),
	FIELD_OF(63, FIELD_TEXT, asked, op.told, FRAME_MAX),
	FIELD_OF(64, FIELD_NUMBER, asked, op.admin, UINT8_MAX),
	FIELD_OF(65, FIELD_NUMBER, asked, op.import, IMPORT_CREATE | IMPORT_REPLACE | IMPORT_WHOLE),
	FIELD_OF(66, FIELD_NUMBER, asked, op.keys, 3),
	FIELD_OF(67, FIELD_NUMBER, asked, epoch, ANY),
	FIELD_OF(68, FIELD_NUMBER, asked, op.resume.identity, ANY),
	FIELD_OF(69, FIELD_NUMBER, asked, op.resume.desired, ANY),
	FIELD_OF(70, FIELD_SIGNED, asked, op.resume.since_us, 0),
	FIELD_OF(71, FIELD_NUMBER, asked, op.resume.opened.by, OPENED_BY_PARENT),
	FIELD_OF(72, FIELD_NUMBER, asked, op.resume.opened.by_certificate, 1),
	FIELD_OF(73, FIELD_NUMBER, asked, op.resume.opened.print, ANY),
	FIELD_OF(74, FIELD_NUMBER, asked, op.resume.opened.ca, ANY),
	FIELD_OF(75, FIELD_NUMBER, asked, op.resume.clean, 1),
	FIELD_OF(76, FIELD_NUMBER, asked, op.reply_to.caller, CALLERS - 1),
	FIELD_OF(77, FIELD_NUMBER, asked, asker, ANY),
};

static const struct field reply_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, answered, seq, ANY),
	FIELD_OF(2, FIELD_NUMBER, answered, reply.fault.code, UINT32_MAX),
	FIELD_OF(3, FIELD_CHARS, answered, reply.fault.text, 0),
	FIELD_OF(4, FIELD_NUMBER, answered, reply.reason, REASONS - 1),
	FIELD_OF(5, FIELD_NUMBER, answered, reply.version, ANY),
	FIELD_OF(6, FIELD_NUMBER, answered, reply.deliver, 1),
	FIELD_OF(7, FIELD_NUMBER, answered, reply.session_present, 1),
	FIELD_OF(8, FIELD_NUMBER, answered, reply.gone, 1),
	FIELD_OF(9, FIELD_NUMBER, answered, reply.session_epoch, ANY),
	FIELD_OF(10, FIELD_NUMBER, answered, reply.verdict.refused, REASONS - 1),
	FIELD_OF(11, FIELD_NUMBER, answered, reply.verdict.tell, 1),
	FIELD_OF(12, FIELD_NUMBER, answered, reply.verdict.rights, UINT32_MAX),
	FIELD_OF(13, FIELD_SIGNED, answered, reply.verdict.end_us, 0),
	FIELD_OF(14, FIELD_NUMBER, answered, reply.verdict.opened.by, OPENED_BY_PARENT),
	FIELD_OF(15, FIELD_NUMBER, answered, reply.verdict.opened.print, ANY),
	FIELD_OF(16, FIELD_NUMBER, answered, reply.verdict.opened.ca, ANY),
	FIELD_OF(17, FIELD_NUMBER, answered, reply.verdict.policy_n, POLICY_NAME_MAX),
	FIELD_OF(18, FIELD_BYTES, answered, reply.verdict.policy, 0),
	FIELD_OF(19, FIELD_NUMBER, answered, reply.judged_by, ANY),
	FIELD_OF(20, FIELD_CHARS, answered, reply.etag, 0),
	FIELD_OF(21, FIELD_NUMBER, answered, reply.message.number, ANY),
	FIELD_OF(22, FIELD_NUMBER, answered, reply.message.deliveries, UINT32_MAX),
	FIELD_OF(23, FIELD_BYTES, answered, reply.message.key, 0),
	FIELD_OF(24, FIELD_BUF, answered, reply.body, FRAME_MAX),
	FIELD_OF(25, FIELD_BUF, answered, reply.warning, FRAME_MAX),
	FIELD_OF(26, FIELD_NUMBER, answered, reply.verdict.opened.by_certificate, 1),
	FIELD_OF(27, FIELD_NUMBER, answered, reply.identity, ANY),
};

static const struct field effect_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, effect, kind, EFFECT_MESSAGE),
	FIELD_OF(2, FIELD_NUMBER, effect, session.node, UINT8_MAX),
	FIELD_OF(3, FIELD_NUMBER, effect, session.loop, UINT16_MAX),
	FIELD_OF(4, FIELD_NUMBER, effect, session.slot, UINT32_MAX),
	FIELD_OF(5, FIELD_NUMBER, effect, session.generation, UINT32_MAX),
	FIELD_OF(6, FIELD_NUMBER, effect, reason, REASONS - 1),
	FIELD_OF(7, FIELD_NUMBER, effect, version, UINT32_MAX),
	FIELD_OF(8, FIELD_NUMBER, effect, call, ANY),
	FIELD_OF(9, FIELD_NUMBER, effect, caller.node, UINT8_MAX),
	FIELD_OF(10, FIELD_NUMBER, effect, caller.loop, UINT16_MAX),
	FIELD_OF(11, FIELD_NUMBER, effect, caller.slot, UINT32_MAX),
	FIELD_OF(12, FIELD_NUMBER, effect, caller.generation, UINT32_MAX),
	FIELD_OF(13, FIELD_TEXT, effect, name, TEXT_MAX),
	FIELD_OF(14, FIELD_TEXT, effect, body, FRAME_MAX),
	FIELD_OF(15, FIELD_SIGNED, effect, status, 0),
	FIELD_OF(16, FIELD_NUMBER, effect, fault, UINT32_MAX),
	FIELD_OF(17, FIELD_NUMBER, effect, size, UINT32_MAX),
	FIELD_OF(18, FIELD_NUMBER, effect, qos, 1),
	FIELD_OF(19, FIELD_NUMBER, effect, dup, 1),
	FIELD_OF(20, FIELD_NUMBER, effect, paced, 1),
	FIELD_OF(21, FIELD_NUMBER, effect, session.caller, CALLERS - 1),
	FIELD_OF(22, FIELD_NUMBER, effect, caller.caller, CALLERS - 1),
};

static const struct field not_mine_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, not_mine, seq, ANY),
	FIELD_OF(2, FIELD_NUMBER, not_mine, shard, SHARDS - 1),
	FIELD_OF(3, FIELD_NUMBER, not_mine, epoch, ANY),
};

/* Who adds a member adds a row, and then the size here. */
#define IS_OF_SIZE(s, n)                                                                           \
	_Static_assert(sizeof(void *) != 8 || sizeof(struct s) == (n), "a row for each member")
IS_OF_SIZE(op, 672);
IS_OF_SIZE(reply, 800);
IS_OF_SIZE(effect, 96);

enum err
frame_wrong(struct fault *f, const char *what)
{
	fault_set(f, F_ServerError, "a frame %s", what);
	return ERR_PROTOCOL;
}

/* ---- operations ---- */

void
asked_write(struct buf *out, const struct asked *a)
{
	fields_write(out, op_fields, COUNT(op_fields), a);
}

/* Whose payload hub_apply reads as a doc. */
static bool
payload_is_doc(enum op_kind kind)
{
	switch (kind) {
	case OP_REPORT:
	case OP_IDENTITY_PUT:
	case OP_IDENTITY_IMPORT:
	case OP_TWIN_PATCH:
	case OP_TWIN_REPLACE:
	case OP_APPLY_CONTENT:
	case OP_CONFIGURATION_PUT:
	case OP_JOB_PUT:
	case OP_SINK_PUT:
	case OP_ROUTE_PUT:
	case OP_SETTINGS_PATCH: return true;
	default: return false;
	}
}

bool
frame_filters_good(struct str filters, unsigned most)
{
	struct rd rd = rd_of(filters);
	struct filter f;
	unsigned n = 0;

	while (filters_next(&rd, &f)) {
		if (f.kind >= FILTER_KINDS || f.qos > 1)
			return false;
		n++;
	}
	return !rd.bad && n <= most;
}

static bool
ids_are_good(const struct op *op)
{
	bool device = op->device.n == 0 || id_valid(op->device);

	return device && (op->module.n == 0 || (op->device.n != 0 && id_valid(op->module)));
}

enum err
frame_op_good(const struct asked *a, struct fault *f)
{
	const struct op *op = &a->op;

	if (!ids_are_good(op))
		return frame_wrong(f, "names an identity that cannot be");
	if (payload_is_doc(op->kind) && !doc_valid(op->payload, 0, DOC_DEPTH_MAX))
		return frame_wrong(f, "has a document that is none");
	if (op->told.n != 0 && !doc_valid(op->told, 0, DOC_DEPTH_MAX))
		return frame_wrong(f, "tells what is no document");
	if ((op->kind == OP_SUBSCRIBE || op->kind == OP_UNSUBSCRIBE) &&
	    !frame_filters_good(op->payload, MQTT_FILTERS_MAX))
		return frame_wrong(f, "has filters that cannot be");
	if (op->kind == OP_RESUME && !frame_filters_good(op->payload, FILTERS_MAX))
		return frame_wrong(f, "has filters that cannot be");
	if (op->message.bag_bytes > op->payload.n)
		return frame_wrong(f, "has properties beyond its end");
	if (op_shard(op) != a->shard)
		return frame_wrong(f, "is sent to a shard that is not its operation's");
	return ERR_OK;
}

enum err
asked_read(struct str body, struct asked *a, struct fault *f)
{
	enum err e;

	memset(a, 0, sizeof(*a));
	e = fields_read(body, op_fields, COUNT(op_fields), a, f);
	return e == ERR_OK ? frame_op_good(a, f) : e;
}

/* ---- answers ---- */

void
answered_write(struct buf *out, const struct answered *a)
{
	fields_write(out, reply_fields, COUNT(reply_fields), a);
}

enum err
answered_read(struct str body, struct answered *a, struct fault *f)
{
	enum err e;

	reply_init(&a->reply);
	e = fields_read(body, reply_fields, COUNT(reply_fields), a, f);
	if (e != ERR_OK)
		reply_fini(&a->reply);
	return e;
}

void
not_mine_write(struct buf *out, const struct not_mine *n)
{
	fields_write(out, not_mine_fields, COUNT(not_mine_fields), n);
}

enum err
not_mine_read(struct str body, struct not_mine *n, struct fault *f)
{
	return fields_read(body, not_mine_fields, COUNT(not_mine_fields), n, f);
}

/* ---- effects ---- */

void
effect_write(struct buf *out, const struct effect *e)
{
	fields_write(out, effect_fields, COUNT(effect_fields), e);
}

/* Those on what only the shard's own node has are none of another's. */
static bool
goes_to_others(enum effect_kind kind)
{
	switch (kind) {
	case EFFECT_CONFIGURATIONS:
	case EFFECT_SETTINGS:
	case EFFECT_ROUTING:
	case EFFECT_JOBS:
	case EFFECT_ERASE:
	case EFFECT_FEEDBACK: return false;
	default: return true;
	}
}

enum err
effect_read(struct str body, struct effect *e, struct fault *f)
{
	enum err err;

	memset(e, 0, sizeof(*e));
	err = fields_read(body, effect_fields, COUNT(effect_fields), e, f);
	if (err == ERR_OK && !goes_to_others(e->kind))
		err = frame_wrong(f, "has an effect that stays on its node");
	return err;
}
