/* What the simulated fleet's clients write and ask: JSON and queries, drawn from a random source. Appended to out. */
#ifndef SIM_DRAW_H
#define SIM_DRAW_H

#include "base/base.h"
#include "rnd.h"

/* Members of a section; nulls: some of them are null, as in a patch. */
void draw_tags(struct rnd *r, bool nulls, struct buf *out);
void draw_properties(struct rnd *r, bool nulls, struct buf *out);
void draw_condition(struct rnd *r, struct buf *out);
void draw_query(struct rnd *r, struct buf *out);
/* A string of JSON. */
void draw_quoted(struct str s, struct buf *out);

#endif
