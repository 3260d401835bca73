/* twin, inside: the stamp table, the rules for patches, members by key, and the last step of every write. */
#ifndef TWINHUB_TWIN_PRIV_H
#define TWINHUB_TWIN_PRIV_H

#include "doc/out.h"
#include "twin/twin.h"
#include "twin/walk.h"

#define SECTION_FORMAT  1
#define STAMPS_MAX      (SECTION_STORED_MAX / 4) /* no more than nodes: twin.h */
#define STAMP_WIDTH_TWO 250u /* from more stamps than this, their indexes take two bytes */

/* ---- stamp.c ---- */

/* Where each stamp begins in s->stamps, so that a walk over thousands of them stays linear; at[nstamp] is the end. */
#define STAMPS_FEW 64
struct stamp_index {
	uint32_t few[STAMPS_FEW + 1];
	uint32_t *at;
};

void stamp_index_init(struct stamp_index *ix, const struct section *s);
void stamp_index_fini(struct stamp_index *ix);
struct stamp stamp_at(const struct section *s, const struct stamp_index *ix, uint32_t index);
struct stamp stamp_read(struct rd *r);
void stamp_append(struct buf *out, const struct stamp *st);
/* merge.c: $version after a change */
uint32_t version_after(uint32_t version);

/* ---- view.c ---- */

/* The whole section as the back end sees desired and reported, to either sink. */
void section_put(struct out *o, const struct section *s, enum section_kind kind);
/* The $metadata of a node of s with all below it. */
void metadata_put(struct out *o, const struct section *s, enum section_kind kind, struct doc d);
/* The value of one of a stamp's members, $lastUpdated and so on; nothing if the stamp does not have it. */
void stamp_put_member(
    struct out *o, const struct stamp *st, enum section_kind kind, struct str name);

/* ---- check.c ---- */

enum null_rule {
	NULLS_DELETE, /* a null member deletes (T-35); none inside an array (T-42) */
	NULLS_REFUSED /* T-46 */
};

/* Every rule of keys, values and depth (T-42, T-46, T-64, T-73 to T-79) on a patch or a new content. */
enum err patch_check(
    struct doc patch, enum section_kind kind, enum null_rule nulls, struct fault *f);
/* The same for what section_write_service has shown: no nulls; `$metadata` and `$version` at the root are passed over. */
enum err view_check(struct doc view, enum section_kind kind, struct fault *f);
/* T-80 to T-82: may the section grow (or shrink) to these sizes? */
enum err size_check(const struct section *old, enum section_kind kind, uint32_t size, size_t stored,
    struct fault *f);

/* Bytes of a string that count: all but those of control characters (T-81), which keys never hold. */
uint32_t counted_str(struct str s);

/* ---- members.c: the members of an object, taken out by key one after the other ---- */

struct member {
	struct str key;
	struct doc value;
	bool taken;
};

#define MEMBERS_FEW 16
struct members {
	struct member few[MEMBERS_FEW];
	struct member *v;
	uint32_t n, left; /* in all; not yet taken */
	uint32_t next;    /* the one after the last taken: documents often agree in order */
	struct table index;
};

/* Keys are unique. Those that begin with '$' are left out: in a checked patch they are the ignored ones of T-33. */
void members_init(struct members *ms, struct doc object);
void members_fini(struct members *ms);
/* The member of that key, once; NULL if there is none. Constant time on average. */
const struct member *members_take(struct members *ms, struct str key);

/* ---- seal.c ---- */

struct section_head {
	uint32_t version, size;
	struct stamp stamp; /* of the operation: index old->nstamp in the tree */
	bool one_stamp;     /* every node gets it */
};

/* Bytes to leave free before the tree for what section_seal puts there. */
size_t section_gap(const struct section *old, const struct stamp *st);
/*
 * out holds, from `start`, a gap of that size and then the new tree with the indexes of the old stamp table (width as
 * old's): drop unused stamps, number the others anew, put the head before the tree.
 */
void section_seal(struct buf *out, size_t start, size_t gap, const struct section *old,
    const struct section_head *h);

#endif
