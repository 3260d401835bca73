/* The stamp table of a section, read. Entries differ in length: see twin.h. */
#include "twin/priv.h"

#include <stdlib.h>

struct stamp
stamp_read(struct rd *r)
{
	struct stamp st = { 0 };

	st.time_us = (int64_t)rd_varint(r);
	st.version = (uint32_t)rd_varint(r);
	st.by = rd_lstr(r);
	if (st.by.n > 0)
		st.by_digest = (int64_t)rd_le64(r);
	return st;
}

void
stamp_append(struct buf *out, const struct stamp *st)
{
	buf_varint(out, (uint64_t)st->time_us);
	buf_varint(out, st->version);
	buf_lstr(out, st->by);
	if (st->by.n > 0)
		buf_le64(out, (uint64_t)st->by_digest);
}

/* Past one entry of a table that has been checked: every merge goes through the whole table. */
static const uint8_t *
stamp_skip(const uint8_t *p)
{
	size_t by = 0;

	for (int i = 0; i < 2; i++) /* time, version */
		while (*p++ & 0x80)
			;
	for (unsigned shift = 0;; shift += 7) {
		by |= (size_t)(*p & 0x7F) << shift;
		if (!(*p++ & 0x80))
			break;
	}
	return by > 0 ? p + by + 8 : p;
}

void
stamp_index_init(struct stamp_index *ix, const struct section *s)
{
	const uint8_t *base = (const uint8_t *)s->stamps.p, *p = base;

	ix->at = s->nstamp <= STAMPS_FEW ? ix->few : xmalloc((s->nstamp + 1) * sizeof(*ix->at));
	for (uint32_t i = 0; i < s->nstamp; i++) {
		ix->at[i] = (uint32_t)(p - base);
		p = stamp_skip(p);
	}
	ix->at[s->nstamp] = (uint32_t)(p - base);
}

void
stamp_index_fini(struct stamp_index *ix)
{
	if (ix->at != ix->few)
		free(ix->at);
}

struct stamp
stamp_at(const struct section *s, const struct stamp_index *ix, uint32_t index)
{
	struct rd r;

	assert(index < s->nstamp);
	r = rd_of(str_sub(s->stamps, ix->at[index]));
	return stamp_read(&r);
}

struct stamp
section_stamp(const struct section *s, uint32_t index)
{
	struct rd r = rd_of(s->stamps);
	struct stamp st = stamp_read(&r);

	assert(index < s->nstamp);
	while (index-- > 0)
		st = stamp_read(&r);
	return st;
}

void
section_stamps(const struct section *s, struct stamp *out)
{
	struct rd r = rd_of(s->stamps);

	for (uint32_t i = 0; i < s->nstamp; i++)
		out[i] = stamp_read(&r);
}
