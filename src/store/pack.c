/* Records of the log, many to a row: see pack.h. */
#include "store/pack.h"

#include <stdlib.h>

#define PACKED 0xb1u
#define SLOTS  64u /* of each table; shards that share one end each other's rows */

/* What a row may still get. */
struct pack {
	struct str key, first; /* of its first record */
	uint64_t position;     /* of the last one */
	uint32_t n;            /* records; 0: there is none */
	struct buf row;        /* from the second one on */
};

struct packer {
	pack_row *row;
	void *ctx;
	struct pack packs[2][SLOTS];
};

static uint64_t
position_of(struct str key)
{
	uint64_t position = 0;

	for (unsigned i = PACK_KEY - 8; i < PACK_KEY; i++)
		position = position << 8 | (unsigned char)key.p[i];
	return position;
}

/* ---- writing ---- */

struct packer *
packer_new(pack_row *row, void *ctx)
{
	struct packer *p = xcalloc(1, sizeof(*p));

	p->row = row;
	p->ctx = ctx;
	return p;
}

void
packer_free(struct packer *p)
{
	if (p == NULL)
		return;
	for (unsigned t = 0; t < 2; t++)
		for (unsigned i = 0; i < SLOTS; i++)
			buf_fini(&p->packs[t][i].row);
	free(p);
}

static void
put_record(struct pack *k, uint64_t distance, struct str value)
{
	buf_varint(&k->row, distance);
	buf_lstr(&k->row, value);
}

static void
put_first(struct pack *k)
{
	k->row.n = 0;
	buf_putc(&k->row, (char)PACKED);
	put_record(k, 0, k->first);
}

static bool
looks_packed(struct str value)
{
	return value.n > 0 && (unsigned char)value.p[0] == PACKED;
}

static void
pack_end(struct packer *p, enum store_table t, struct pack *k)
{
	bool alone = k->n == 1 && !looks_packed(k->first);

	if (k->n == 1 && !alone)
		put_first(k);
	if (k->n > 0)
		p->row(p->ctx, t, k->key, alone ? k->first : buf_view(&k->row));
	k->n = 0;
}

/* Of the same shard, behind the last one, and neither too many nor too much. */
static bool
pack_takes(const struct pack *k, struct str key, uint64_t position, struct str value)
{
	return k->n > 0 && k->n < PACK_RECORDS && position > k->position &&
	    memcmp(k->key.p, key.p, PACK_PREFIX) == 0 &&
	    (k->n == 1 ? k->first.n : k->row.n) + value.n <= PACK_BYTES;
}

void
packer_add(struct packer *p, enum store_table t, struct str key, struct str value)
{
	struct pack *k;
	uint64_t position;

	assert(pack_table(t));
	if (key.n != PACK_KEY) {
		p->row(p->ctx, t, key, value);
		return;
	}
	k = &p->packs[t == STORE_CHANGES][(unsigned char)key.p[1] % SLOTS];
	position = position_of(key);
	if (!pack_takes(k, key, position, value)) {
		pack_end(p, t, k);
		k->key = key;
		k->first = value;
	} else {
		if (k->n == 1)
			put_first(k);
		put_record(k, position - k->position, value);
	}
	k->position = position;
	k->n++;
}

void
packer_end(struct packer *p)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		pack_end(p, STORE_LOG, &p->packs[0][i]);
		pack_end(p, STORE_CHANGES, &p->packs[1][i]);
	}
}

/* ---- reading ---- */

void
pack_walk_begin(struct pack_walk *w, struct str key, struct str value)
{
	*w = (struct pack_walk){ .rd = rd_of(value), .row_key = key };
	w->packed = key.n == PACK_KEY && looks_packed(value);
	if (!w->packed)
		return;
	rd_u8(&w->rd);
	memcpy(w->key, key.p, PACK_KEY);
	w->position = position_of(key);
}

static enum err
next_packed(struct pack_walk *w, struct str *key, struct str *value)
{
	uint64_t distance;

	if (w->rd.p == w->rd.end)
		return w->begun ? ERR_END : ERR_CORRUPT;
	distance = rd_varint(&w->rd);
	*value = rd_lstr(&w->rd);
	if (w->rd.bad || (distance == 0) == w->begun || distance > PACK_STRETCH)
		return ERR_CORRUPT;
	w->begun = true;
	w->position += distance;
	for (unsigned i = 0; i < 8; i++)
		w->key[PACK_KEY - 1 - i] = (char)(w->position >> (8 * i));
	*key = (struct str){ w->key, PACK_KEY };
	return ERR_OK;
}

enum err
pack_walk_next(struct pack_walk *w, struct str *key, struct str *value)
{
	if (w->packed)
		return next_packed(w, key, value);
	if (w->begun)
		return ERR_END;
	w->begun = true;
	*key = w->row_key;
	*value = (struct str){ (const char *)w->rd.p, (size_t)(w->rd.end - w->rd.p) };
	return ERR_OK;
}

enum err
pack_find(struct str row_key, struct str row, struct str key, struct buf *out)
{
	struct pack_walk w;
	struct str k, value;
	enum err e;

	pack_walk_begin(&w, row_key, row);
	while ((e = pack_walk_next(&w, &k, &value)) == ERR_OK && !str_eq(k, key))
		;
	if (e == ERR_OK)
		buf_str(out, value);
	return e == ERR_END ? ERR_NOT_FOUND : e;
}

struct str
pack_seek_from(struct str key, char room[PACK_KEY])
{
	if (key.n != PACK_KEY)
		return key;
	memcpy(room, key.p, PACK_KEY);
	room[PACK_KEY - 1] = 0;
	return (struct str){ room, PACK_KEY };
}
