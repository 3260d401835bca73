/* Parcels: many operations of back ends on devices of one shard, and what came of each. */
#include "frame/priv.h"

struct head {
	uint64_t seq, shard, epoch;
	struct str actor, items;
};

static const struct field head_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, head, seq, UINT64_MAX),
	FIELD_OF(2, FIELD_NUMBER, head, shard, SHARDS - 1),
	FIELD_OF(3, FIELD_NUMBER, head, epoch, UINT64_MAX),
	FIELD_OF(4, FIELD_TEXT, head, actor, POLICY_NAME_MAX),
	FIELD_OF(5, FIELD_TEXT, head, items, FRAME_MAX),
};

/* The items stand behind each other, each with its length. */
struct item {
	uint64_t kind, import, if_match, nduplicate;
	struct str device, module, if_tag, payload;
};

static const struct field item_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, item, kind, OP_KINDS - 1),
	FIELD_OF(2, FIELD_NUMBER, item, import, IMPORT_CREATE | IMPORT_REPLACE | IMPORT_WHOLE),
	FIELD_OF(3, FIELD_NUMBER, item, if_match, IF_TAG),
	FIELD_OF(4, FIELD_NUMBER, item, nduplicate, UINT32_MAX),
	FIELD_OF(5, FIELD_TEXT, item, device, ID_MAX),
	FIELD_OF(6, FIELD_TEXT, item, module, ID_MAX),
	FIELD_OF(7, FIELD_TEXT, item, if_tag, FRAME_MAX),
	FIELD_OF(8, FIELD_TEXT, item, payload, FRAME_MAX),
};

static const struct field done_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, parcel_done, seq, UINT64_MAX),
	FIELD_OF(2, FIELD_TEXT, parcel_done, faults, FRAME_MAX),
};

/* ---- there ---- */

void
parcel_write(struct buf *out, const struct parcel_asked *a, const struct cargo *c)
{
	struct buf all = { 0 }, one = { 0 };
	struct head head = {
		.seq = a->seq, .shard = a->shard, .epoch = a->epoch, .actor = c->actor
	};

	for (uint32_t i = 0; i < c->n; i++) {
		const struct cargo_item *from = &c->items[i];
		const struct item item = { .kind = from->kind,
			.import = from->import,
			.if_match = from->if_match,
			.nduplicate = from->nduplicate,
			.device = span_str(&c->bytes, from->device),
			.module = span_str(&c->bytes, from->module),
			.if_tag = span_str(&c->bytes, from->if_tag),
			.payload = span_str(&c->bytes, from->payload) };

		one.n = 0;
		fields_write(&one, item_fields, COUNT(item_fields), &item);
		buf_lstr(&all, buf_view(&one));
	}
	head.items = buf_view(&all);
	fields_write(out, head_fields, COUNT(head_fields), &head);
	buf_fini(&all);
	buf_fini(&one);
}

static struct span
kept(struct cargo *c, struct str s)
{
	struct span at = { (uint32_t)c->bytes.n, (uint32_t)s.n };

	buf_str(&c->bytes, s);
	return at;
}

static enum err
item_take(struct cargo *c, struct str one, uint64_t shard, struct fault *f)
{
	struct asked a = { .shard = shard };
	struct item item;
	enum err e;

	if (c->n == PARCEL_ITEMS_MAX)
		return frame_wrong(f, "has more items than one may");
	e = fields_read(one, item_fields, COUNT(item_fields), &item, f);
	if (e != ERR_OK)
		return e;
	a.op = (struct op){ .kind = (enum op_kind)item.kind,
		.device = item.device,
		.module = item.module,
		.payload = item.payload };
	if ((e = frame_op_good(&a, f)) != ERR_OK)
		return e;
	c->items[c->n++] = (struct cargo_item){ .kind = (enum op_kind)item.kind,
		.import = (uint8_t)item.import,
		.if_match = (enum precondition)item.if_match,
		.nduplicate = (uint32_t)item.nduplicate,
		.device = kept(c, item.device),
		.module = kept(c, item.module),
		.if_tag = kept(c, item.if_tag),
		.payload = kept(c, item.payload) };
	return ERR_OK;
}

enum err
parcel_read(struct str body, struct parcel_asked *a, struct cargo *c, struct fault *f)
{
	struct head head;
	struct rd rd;
	enum err e = fields_read(body, head_fields, COUNT(head_fields), &head, f);

	if (e != ERR_OK)
		return e;
	*a = (struct parcel_asked){ head.seq, head.shard, head.epoch, head.actor };
	rd = rd_of(head.items);
	while (e == ERR_OK && rd.p < rd.end) {
		struct str one = rd_lstr(&rd);

		e = rd.bad ? frame_wrong(f, "breaks off") : item_take(c, one, head.shard, f);
	}
	if (e == ERR_OK && c->n == 0)
		e = frame_wrong(f, "has no items");
	return e;
}

/* ---- and back ---- */

void
parcel_done_write(struct buf *out, uint64_t seq, const struct cargo *c)
{
	struct buf faults = { 0 };
	struct parcel_done done = { .seq = seq };

	for (uint32_t i = 0; i < c->n; i++) {
		if (c->items[i].fault == F_NONE)
			continue;
		buf_varint(&faults, i);
		buf_varint(&faults, c->items[i].fault);
		buf_lstr(&faults, span_str(&c->texts, c->items[i].text));
	}
	done.faults = buf_view(&faults);
	fields_write(out, done_fields, COUNT(done_fields), &done);
	buf_fini(&faults);
}

enum err
parcel_done_read(struct str body, struct parcel_done *d, struct fault *f)
{
	return fields_read(body, done_fields, COUNT(done_fields), d, f);
}

enum err
parcel_done_take(const struct parcel_done *d, struct cargo *c, struct fault *f)
{
	struct rd rd = rd_of(d->faults);

	while (rd.p < rd.end) {
		uint64_t i = rd_varint(&rd), code = rd_varint(&rd);
		struct str text = rd_lstr(&rd);
		struct fault why = { 0 };

		if (rd.bad || i >= c->n || code > UINT32_MAX || text.n >= FAULT_TEXT_MAX)
			return frame_wrong(f, "says of a parcel what cannot be");
		fault_set(&why, (enum fault_code)code, STR_FMT, STR_ARG(text));
		cargo_item_fails(c, (uint32_t)i, &why);
	}
	return ERR_OK;
}
