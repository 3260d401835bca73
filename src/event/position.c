/* The text of a position: see position.h. */
#include "event/position.h"

#define VERSION   1
#define CHECK     2u
#define LEAST_MAX ((UINT64_C(1) << 56) - 1) /* 8 bytes as a varint; nobody counts as far */
#define BYTES_MAX (1 + 4 + 1 + 1 + 8 + POSITION_SHARDS * POSITION_BITS / 8 + CHECK)
static_assert(BYTES_MAX * 4 / 3 <= POSITION_TEXT_MAX, "E-10");

/* ---- bits, the lowest first ---- */

struct bits {
	uint8_t bytes[POSITION_SHARDS * POSITION_BITS / 8 + 8];
	unsigned n;
};

static void
bits_put(struct bits *b, uint64_t v, unsigned width)
{
	for (unsigned i = 0; i < width; i++, b->n++)
		if (v >> i & 1)
			b->bytes[b->n / 8] |= (uint8_t)(1u << b->n % 8);
}

static uint64_t
bits_take(struct bits *b, unsigned width)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < width; i++, b->n++)
		v |= (uint64_t)(b->bytes[b->n / 8] >> b->n % 8 & 1) << i;
	return v;
}

static unsigned
width_of(uint64_t v)
{
	unsigned n = 0;

	for (; v != 0; v >>= 1)
		n++;
	return n;
}

/* ---- */

static uint64_t
least_of(const struct position *p, uint64_t *most)
{
	uint64_t least = p->next[0];

	*most = p->next[0];
	for (unsigned s = 1; s < POSITION_SHARDS; s++) {
		if (p->next[s] < least)
			least = p->next[s];
		if (p->next[s] > *most)
			*most = p->next[s];
	}
	return least < LEAST_MAX ? least : LEAST_MAX;
}

static uint16_t
check_of(struct str bytes)
{
	return (uint16_t)hash_stable(bytes);
}

void
position_write(struct buf *out, const struct position *p, uint32_t hub)
{
	uint64_t most, least = least_of(p, &most);
	unsigned width = width_of(most - least), dropped = 0;
	struct buf b = { 0 };
	struct bits bits = { 0 };

	if (width > POSITION_BITS) {
		dropped = width - POSITION_BITS;
		width = POSITION_BITS;
	}
	buf_putc(&b, VERSION);
	for (int i = 0; i < 4; i++)
		buf_putc(&b, (char)(hub >> 8 * i));
	buf_putc(&b, (char)dropped);
	buf_putc(&b, (char)width);
	buf_varint(&b, least);
	for (unsigned s = 0; s < POSITION_SHARDS; s++)
		bits_put(&bits, (p->next[s] - least) >> dropped, width);
	buf_put(&b, bits.bytes, (bits.n + 7) / 8);
	buf_u16be(&b, check_of(buf_view(&b)));
	base64url_encode(out, b.p, b.n);
	buf_fini(&b);
}

static bool
take(struct str bytes, uint32_t hub, struct position *out, bool *foreign)
{
	struct rd rd = rd_of((struct str){ bytes.p, bytes.n - CHECK });
	struct bits bits = { 0 };
	unsigned dropped, width;
	uint64_t least;
	uint32_t of = 0;
	struct str rest;

	if (rd_u8(&rd) != VERSION)
		return false;
	for (int i = 0; i < 4; i++)
		of |= (uint32_t)rd_u8(&rd) << 8 * i;
	dropped = rd_u8(&rd);
	width = rd_u8(&rd);
	least = rd_varint(&rd);
	if (rd.bad || width > POSITION_BITS || dropped + width > 63 || least > LEAST_MAX)
		return false;
	rest = rd_bytes(&rd, (POSITION_SHARDS * width + 7) / 8);
	if (rd.bad || rd.p != rd.end)
		return false;
	memcpy(bits.bytes, rest.p, rest.n);
	for (unsigned s = 0; s < POSITION_SHARDS; s++)
		out->next[s] = least + (bits_take(&bits, width) << dropped);
	*foreign = of != hub;
	return true;
}

enum err
position_read(struct str text, uint32_t hub, struct position *out, struct fault *f)
{
	struct buf bytes = { 0 };
	bool foreign = false,
	     good = text.n <= POSITION_TEXT_MAX && base64url_decode(&bytes, text) &&
	    bytes.n > CHECK && bytes.n <= BYTES_MAX;
	struct str b = buf_view(&bytes);

	if (good) {
		struct str said = str_sub(b, b.n - CHECK);

		good = check_of((struct str){ b.p, b.n - CHECK }) ==
		        (uint16_t)((unsigned char)said.p[0] << 8 | (unsigned char)said.p[1]) &&
		    take(b, hub, out, &foreign);
	}
	buf_fini(&bytes);
	if (good && !foreign)
		return ERR_OK;
	fault_set(f, F_ArgumentInvalid,
	    good ? "the position is one of another hub"
	         : "this is no position of the event log, nor now, earliest or a time");
	return ERR_ARG;
}
