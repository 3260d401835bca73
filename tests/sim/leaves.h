/*
 * A section of a twin, the plain way: its leaves - values that are no object, and empty objects - by their paths, each with the
 * configuration that has written it. A path is its keys, each behind a byte 1.
 */
#ifndef SIM_LEAVES_H
#define SIM_LEAVES_H

#include "doc/doc.h"

struct leaf {
	struct buf path, value; /* as JSON */
	struct buf by;          /* empty: it is by hand */
};

struct leaves {
	struct leaf *v; /* in no order */
	uint32_t n, cap;
};

void leaves_fini(struct leaves *s);
/* What a view of the section has, $metadata and $version aside; metadata NONE: all is by hand. */
void leaves_read(struct leaves *s, struct str path, struct doc section, struct doc metadata);
/* All at this path and below goes; whether there was something. */
bool leaves_drop(struct leaves *s, struct str path);
/* All that is not by hand goes. */
void leaves_drop_written(struct leaves *s);
/* As a JSON Merge Patch (RFC 7396), in the name of its author. */
void leaves_merge(struct leaves *s, struct str path, struct doc patch, struct str by);
const struct leaf *leaves_find(const struct leaves *s, struct str path);
bool leaves_has_below(const struct leaves *s, struct str path); /* at it, or below */
/* The first of a that b does not have just so; NULL: there is none. */
const struct leaf *leaves_odd(const struct leaves *a, const struct leaves *b);
/* A path and one more key, in *room. */
struct str path_child(struct buf *room, struct str path, struct str key);

#endif
