/*
 * Reading of sound bytes: from doc_parse, from a doc_writer, or passed by section_check. Every update goes several times
 * over patch and section; doc_iter, which trusts nothing, took half of a merge's time. doc.h has the encoding.
 */
#ifndef TWINHUB_TWIN_WALK_H
#define TWINHUB_TWIN_WALK_H

#include "doc/doc.h"

static inline enum doc_kind
kind_of(struct doc d)
{
	return d.p == NULL ? DOC_UNDEFINED : (enum doc_kind)(d.p[d.w] & 15);
}

/* The end of the node whose tag this is; its payload goes from *payload to there. */
static inline const uint8_t *
node_end(const uint8_t *tag, const uint8_t **payload)
{
	unsigned class = *tag++ >> 4;
	size_t n = class;

	if (class > 12) {
		n = tag[0];
		if (class > 13)
			n |= (size_t)tag[1] << 8;
		if (class > 14)
			n |= (size_t)tag[2] << 16;
		tag += class - 12;
	}
	*payload = tag;
	return tag + n;
}

/* As doc_iter. */
struct walk {
	const uint8_t *p, *end;
	uint8_t w;
	bool object;
};

static inline struct walk
walk_of(struct doc d)
{
	enum doc_kind kind = kind_of(d);
	struct walk k = { NULL, NULL, kind == DOC_OBJECT ? d.w : 0, kind == DOC_OBJECT };

	if (kind >= DOC_ARRAY)
		k.end = node_end(d.p + d.w, &k.p);
	return k;
}

static inline bool
walk_next(struct walk *k, struct str *key, struct doc *value)
{
	const uint8_t *at = k->p, *payload;

	if (at == k->end)
		return false;
	*key = STR_NONE;
	if (k->object) {
		at = node_end(at, &payload);
		*key = (struct str){ (const char *)payload, (size_t)(at - payload) };
	}
	*value = (struct doc){ at, k->end, k->w };
	k->p = node_end(at + k->w, &payload);
	return true;
}

#endif
