/* Heads, and the small frames of the link itself. */
#include "frame/priv.h"

#define NAME_MAX_BYTES 256u /* of a hub's id, a node's name, a release */

static const char *const names[FRAME_KINDS] = {
	[FRAME_HELLO] = "HELLO",
	[FRAME_MAP] = "MAP",
	[FRAME_PING] = "PING",
	[FRAME_PONG] = "PONG",
	[FRAME_OP] = "OP",
	[FRAME_REPLY] = "REPLY",
	[FRAME_NOT_MINE] = "NOT_MINE",
	[FRAME_EFFECT] = "EFFECT",
	[FRAME_RESUMED] = "RESUMED",
	[FRAME_POKE] = "POKE",
	[FRAME_POKED] = "POKED",
	[FRAME_CALL] = "CALL",
	[FRAME_ANSWER] = "ANSWER",
	[FRAME_PARCEL] = "PARCEL",
	[FRAME_PARCEL_DONE] = "PARCEL_DONE",
};

const char *
frame_name(enum frame_kind kind)
{
	return (unsigned)kind < FRAME_KINDS && names[kind] != NULL ? names[kind] : "unknown";
}

/* ---- heads ---- */

static void
length_put(char *p, size_t n)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(n >> (24 - 8 * i));
}

static size_t
length_get(const char *p)
{
	size_t n = 0;

	for (int i = 0; i < 4; i++)
		n = n << 8 | (unsigned char)p[i];
	return n;
}

size_t
frame_begin(struct buf *out, enum frame_kind kind)
{
	size_t begun = out->n;
	char head[FRAME_HEAD] = { 0 };

	head[4] = (char)kind;
	buf_put(out, head, sizeof(head));
	return begun;
}

enum err
frame_end(struct buf *out, size_t begun)
{
	size_t n = out->n - begun - FRAME_HEAD;

	if (n > FRAME_MAX) {
		out->n = begun;
		return ERR_SIZE;
	}
	length_put(out->p + begun, n);
	return ERR_OK;
}

static enum err
wrong(struct fault *f, const char *what, unsigned long long found)
{
	fault_set(f, F_ServerError, what, found);
	return ERR_PROTOCOL;
}

enum err
frame_read(struct str in, struct frame *frame, size_t *size, struct fault *f)
{
	size_t n;

	*size = 0;
	if (in.n < FRAME_HEAD)
		return ERR_MORE;
	n = length_get(in.p);
	frame->kind = (unsigned char)in.p[4];
	if (n > FRAME_MAX)
		return wrong(f, "a frame of %llu bytes is larger than frames are", n);
	if (in.p[5] != 0)
		return wrong(f, "a frame has flags (%llu) that this release does not know",
		    (unsigned char)in.p[5]);
	*size = FRAME_HEAD + n;
	if (in.n < *size)
		return ERR_MORE;
	frame->body = (struct str){ in.p + FRAME_HEAD, n };
	return ERR_OK;
}

/* ---- HELLO ---- */

static const struct field hello_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, hello, protocol_min, UINT64_MAX),
	FIELD_OF(2, FIELD_NUMBER, hello, protocol_max, UINT64_MAX),
	FIELD_OF(3, FIELD_TEXT, hello, hub, NAME_MAX_BYTES),
	FIELD_OF(4, FIELD_TEXT, hello, node, NAME_MAX_BYTES),
	FIELD_OF(5, FIELD_NUMBER, hello, slot, UINT16_MAX),
	FIELD_OF(6, FIELD_NUMBER, hello, generation, UINT64_MAX),
	FIELD_OF(7, FIELD_TEXT, hello, version, NAME_MAX_BYTES),
	FIELD_OF(8, FIELD_NUMBER, hello, common, UINT64_MAX),
};

void
hello_write(struct buf *out, const struct hello *h)
{
	fields_write(out, hello_fields, COUNT(hello_fields), h);
}

enum err
hello_read(struct str body, struct hello *h, struct fault *f)
{
	enum err e = fields_read(body, hello_fields, COUNT(hello_fields), h, f);

	if (e == ERR_OK && h->protocol_min > h->protocol_max)
		e = wrong(f, "a HELLO speaks no protocol: its oldest is %llu", h->protocol_min);
	return e;
}

/* ---- MAP: for each shard three numbers ---- */

void
map_write(struct buf *out, const struct shard_map *m)
{
	for (uint32_t s = 0; s < SHARDS; s++) {
		buf_varint(out, m->of[s].epoch);
		buf_varint(out, m->of[s].slot);
		buf_varint(out, m->of[s].state);
	}
}

enum err
map_read(struct str body, struct shard_map *m, struct fault *f)
{
	struct rd rd = rd_of(body);

	for (uint32_t s = 0; s < SHARDS; s++) {
		uint64_t epoch = rd_varint(&rd), slot = rd_varint(&rd), state = rd_varint(&rd);

		if (slot > UINT16_MAX || state >= SHARD_STATES)
			return wrong(f, "a MAP says of shard %llu what cannot be", s);
		m->of[s] = (struct shard_at){ epoch, (uint16_t)slot, (uint8_t)state };
	}
	return rd.bad || rd.p != rd.end
	    ? wrong(f, "a MAP of %llu bytes is not one of all shards", body.n)
	    : ERR_OK;
}

/* ---- two numbers ---- */

struct two {
	uint64_t a, b;
};

static const struct field two_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, two, a, UINT64_MAX),
	FIELD_OF(2, FIELD_NUMBER, two, b, UINT64_MAX),
};

void
numbers_write(struct buf *out, uint64_t a, uint64_t b)
{
	const struct two two = { a, b };

	fields_write(out, two_fields, 2, &two);
}

enum err
numbers_read(struct str body, uint64_t *a, uint64_t *b, struct fault *f)
{
	struct two two;
	enum err e = fields_read(body, two_fields, 2, &two, f);

	*a = two.a;
	*b = two.b;
	return e;
}

/* ---- requests ---- */

static const struct field called_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, called, seq, UINT64_MAX),
	FIELD_OF(2, FIELD_NUMBER, called, kind, UINT8_MAX),
	FIELD_OF(3, FIELD_NUMBER, called, patience_us, INT64_MAX),
	FIELD_OF(4, FIELD_TEXT, called, body, FRAME_MAX),
};

static const struct field call_answer_fields[] = {
	FIELD_OF(1, FIELD_NUMBER, call_answer, seq, UINT64_MAX),
	FIELD_OF(2, FIELD_NUMBER, call_answer, code, UINT32_MAX),
	FIELD_OF(3, FIELD_TEXT, call_answer, text, FAULT_TEXT_MAX),
	FIELD_OF(4, FIELD_TEXT, call_answer, body, FRAME_MAX),
};

void
called_write(struct buf *out, const struct called *c)
{
	fields_write(out, called_fields, COUNT(called_fields), c);
}

void
call_answer_write(struct buf *out, const struct call_answer *a)
{
	fields_write(out, call_answer_fields, COUNT(call_answer_fields), a);
}

enum err
called_read(struct str body, struct called *c, struct fault *f)
{
	return fields_read(body, called_fields, COUNT(called_fields), c, f);
}

enum err
call_answer_read(struct str body, struct call_answer *a, struct fault *f)
{
	return fields_read(body, call_answer_fields, COUNT(call_answer_fields), a, f);
}
