/*
 * shape: what the scalars of a request's body are, and the one reader that makes them so.
 *
 * The JSON library of the real service reads a member as the type that it has there, however it is written: "30", 30.0 and
 * 30 are the same number, "true" and 1 the same truth, 5 the same text as "5"; and it finds the member whose name is the same but
 * for the case of its letters (service-rest.md 5.4). So a body goes through doc_shape before anybody looks at it, and what is
 * behind it reads the names and kinds of one table and nothing else. What a table only names (SHAPE_ANY) stays as it is: in a
 * twin's own values "30" is a text, and `On` is not `on`.
 */
#ifndef TWINHUB_DOC_SHAPE_H
#define TWINHUB_DOC_SHAPE_H

#include "doc/doc.h"

enum shape_kind {
	SHAPE_TEXT,
	SHAPE_BOOL,
	SHAPE_INT,    /* from least to most */
	SHAPE_NUMBER, /* any; its bounds are the reader's */
	SHAPE_ANY,    /* as it is */
	SHAPE_OBJECT, /* of: its members, one without a name behind the last; others are as they are */
	SHAPE_LIST, /* of: one shape, each element's */
	SHAPE_MAP   /* of: one shape, each member's */
};

struct shape {
	struct str name; /* of the member */
	enum shape_kind kind;
	int64_t least, most;
	const struct shape *of;
};

#define SHAPE_MEMBERS_MAX 64 /* of one object */

#define SHAPE_NAME(literal)                                                                        \
	{                                                                                          \
		literal, sizeof(literal) - 1                                                       \
	}
#define SHAPE_END                                                                                  \
	{                                                                                          \
		{ NULL, 0 }, SHAPE_TEXT, 0, 0, NULL                                                \
	}

/*
 * d with each member that the shape names in its kind, under the shape's name: a member whose name is written exactly so or, if
 * none in the table is, in other letters' case. Of several that come to the same the last stays; all are looked at. Null stays
 * null. Containers of another kind than the shape's are left for their reader to refuse.
 *
 *   room  what is not as it should be makes a copy, appended here; else nothing is
 *   out   d itself, or the copy: borrowed from room until the next append
 *
 * ERR_ARG, F_ArgumentInvalid: the fault names the member's path, its bounds and what was found; room is as before.
 */
enum err doc_shape(
    struct doc d, const struct shape *s, struct buf *room, struct doc *out, struct fault *f);

/* The last member of d that doc_shape would take for `name`, if that is in the table; DOC_NONE: none. */
struct doc shape_get(struct doc d, const struct shape *s, struct str name);

/* The same for a text that stands alone, as a parameter does. False: it is none. */
bool text_to_int(struct str text, int64_t least, int64_t most, int64_t *out);
bool text_to_bool(struct str text, bool *out);

#endif
