/* Ropes: see base.h. */
#include "base/base.h"

#include <stdlib.h>

#define PIECE_ROOM (ROPE_PIECE_BYTES - sizeof(struct rope_piece))

static struct rope_piece *
piece_add(struct rope *r)
{
	struct rope_piece *p = xmalloc(ROPE_PIECE_BYTES);

	p->next = NULL;
	p->n = 0;
	if (r->last != NULL)
		r->last->next = p;
	else
		r->first = p;
	r->last = p;
	return p;
}

void
rope_put(struct rope *r, struct str s)
{
	r->n += s.n;
	while (s.n > 0) {
		struct rope_piece *p =
		    r->last != NULL && r->last->n < PIECE_ROOM ? r->last : piece_add(r);
		size_t n = PIECE_ROOM - p->n < s.n ? PIECE_ROOM - p->n : s.n;

		memcpy(p->bytes + p->n, s.p, n);
		p->n += n;
		s = str_sub(s, n);
	}
}

struct rope_piece *
rope_take(struct rope *r)
{
	struct rope_piece *p = r->first;

	if (p == NULL)
		return NULL;
	r->first = p->next;
	if (r->first == NULL)
		r->last = NULL;
	r->n -= p->n;
	return p;
}

void
rope_fini(struct rope *r)
{
	struct rope_piece *p;

	while ((p = rope_take(r)) != NULL)
		free(p);
}
