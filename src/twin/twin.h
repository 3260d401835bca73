/*
 * twin: one section of a twin (tags, desired, reported) as an immutable document whose nodes know when they were last
 * changed, the operations that make the next one from it, and the views that devices and back ends see.
 * Rules: docs/spec/twins.md, T-14 to T-85. Pure: time and identity of the writer come in as arguments.
 *
 * A stored section:
 *
 *   format (1 byte) | version (varint) | counted size in bytes, T-81 (varint) | stamp width (1 byte)
 *   | stamp count (varint) | bytes of the stamps (varint) | stamps | tree: a doc of kind object whose nodes bear that
 *   stamp width
 *
 *   stamp: time_us (varint) | version (varint) | by (length as varint, bytes) | by_digest (8 bytes), if by is not empty
 *
 * A stamp is what a node's $metadata says: time, the section's $version then, and the configuration that wrote it,
 * if one did (T-24, T-30). All nodes changed by one operation share one stamp; stamps that no node bears any more
 * are dropped when the section is rewritten, and the others are numbered as the tree first shows them: one content
 * has one stored form. Width 1 up to 250 stamps, 2 above. Tags, whose stamps nobody sees, have one only.
 *
 * There are never more stamps than nodes, a node with its key takes at least 4 bytes, and a section of any kind at
 * most SECTION_STORED_MAX: 32,768 stamps, so two bytes do.
 */
#ifndef TWINHUB_TWIN_H
#define TWINHUB_TWIN_H

#include "doc/doc.h"

enum section_kind { SECTION_TAGS, SECTION_DESIRED, SECTION_REPORTED, SECTION_KINDS };

#define TAGS_SIZE_MAX         8192u /* T-80, counted as T-81 */
#define PROPERTIES_SIZE_MAX   32768u
#define SECTION_STORED_FACTOR 4u /* T-81a: stored bytes are at most this times the limit */
#define SECTION_STORED_MAX    (SECTION_STORED_FACTOR * PROPERTIES_SIZE_MAX)
#define TWIN_KEY_MAX          1024u                     /* T-73 */
#define TWIN_STRING_MAX       4096u                     /* T-78 */
#define TWIN_DEPTH_MAX        10u                       /* T-79 */
#define TWIN_INT_MAX          INT64_C(4503599627370495) /* T-76 */
#define TWIN_INT_MIN          INT64_C(-4503599627370496)

struct stamp {
	int64_t time_us;
	uint32_t version;  /* $lastUpdatedVersion; 0: never written, no such member (T-07) */
	int64_t by_digest; /* $lastUpdatedByDigest; meaningful when by.n > 0 */
	struct str by;     /* $lastUpdatedBy: configuration id, or empty */
};

/* A view of a stored section; borrowed from its bytes. */
struct section {
	/* $version, 1 to INT32_MAX (then 1 again); tags: a plain change counter */
	uint32_t version;
	uint32_t size; /* T-81 */
	uint32_t nstamp;
	struct str stamps; /* encoded stamp table */
	struct doc root;   /* DOC_OBJECT, stamped */
	struct str bytes;  /* the whole stored form */
};

/* Look at stored bytes that section_check has passed, or that this module wrote. */
struct section section_of(struct str bytes);
/* Full validation of bytes from outside this process: ERR_CORRUPT, or ERR_VERSION for a format that is not known.
 * What passes can be given to every function here; keys are not compared with each other. */
enum err section_check(struct str bytes);
/* The stamp with that index; index < nstamp. */
struct stamp section_stamp(const struct section *s, uint32_t index);
/* All nstamp of them; borrowed from the section. */
void section_stamps(const struct section *s, struct stamp *out);
static inline bool
section_empty(const struct section *s)
{
	return doc_count(s->root) == 0;
}

/* Has the name of a member no control character, '.', '$' or space (T-74)? */
bool twin_key_legal(struct str key);

/* The first form of a section (T-07): version 1, empty, stamped with the time of creation and version 0. */
void section_new(struct buf *out, int64_t now_us);

/* Who writes, when: the stamp of everything the operation touches. The version is filled in by the operation. */
struct section_write {
	enum section_kind kind;
	int64_t now_us;
	struct str by; /* configuration id; empty for people, programs and devices */
	int64_t by_digest;
	bool any_size; /* section_merge: T-80 to T-82 are the caller's affair */
};

/* A first form with content (T-10): version 1 all the same. The value's rules are those of section_replace. */
enum err section_new_with(struct buf *out, struct doc value, uint32_t nduplicate,
    const struct section_write *wr, struct fault *f);

/*
 * Make desired or reported again from what section_write_service has shown, for an import: members, `$version`, and of
 * `$metadata` each node's stamp. What `$metadata` leaves out has its parent's stamp, the root without it now_us's; times
 * after now_us become now_us. Without `$version` it is 1. The members' rules and sizes are those of section_replace.
 * ERR_ARG: as there; *f names the path.
 */
enum err section_restore(struct buf *out, enum section_kind kind, struct doc view,
    uint32_t nduplicate, int64_t now_us, struct fault *f);

/*
 * Merge a patch (T-35 to T-43, T-58 to T-60, T-73 to T-85) into `old` and append the new stored section to `out`.
 *
 *   patch   a doc of any kind, as doc_parse gives it (duplicate keys kept: all are checked, the last wins), and like
 *           `old` of sound bytes: parsed, written by a doc_writer, or checked; nduplicate as counted by doc_parse.
 *           DOC_NULL clears the section for the back end (T-41), DOC_NONE leaves it alone.
 *   wr      kind SECTION_REPORTED follows the device's rules: every accepted patch is a change (T-60), any '$' key is
 *           an error (T-64). Tags and desired follow the back end's: a no-op is no change (T-39), `$metadata` and
 *           `$version` at the root are ignored (T-33).
 *   notify  for SECTION_DESIRED, may be NULL: if changed, the notification's members as one doc object without
 *           $version is appended (T-66, T-41: a cleared section gives nulls).
 *
 *   changed out: false means that out was not written and the old section stands (T-39)
 *
 * On ERR_ARG nothing is appended and *f names the path (e.g. "properties.reported.a.b"), the limit and the size found.
 * Cost: linear in the two documents, also for objects with thousands of keys.
 */
enum err section_merge(const struct section *old, struct doc patch, uint32_t nduplicate,
    const struct section_write *wr, struct buf *out, struct buf *notify, bool *changed,
    struct fault *f);

/*
 * Replace a section whole (T-44 to T-48). value DOC_NONE, DOC_NULL or an empty object empties it. A null inside is a
 * fault (T-46). changed is false only if the section was empty and stays so. The notification is the merge patch
 * that leads from old to new: all new members, and null for each that went, at each level (T-48).
 */
enum err section_replace(const struct section *old, struct doc value, uint32_t nduplicate,
    const struct section_write *wr, struct buf *out, struct buf *notify, bool *changed,
    struct fault *f);

/* ---- what configurations together say (config/effective.h) ---- */

struct overlay {
	struct doc want; /* DOC_OBJECT, stamped: no nulls in it */
	/* an object of nulls at places where want has nothing: gone, whoever wrote it; or DOC_NONE */
	struct doc nulls;
	const uint8_t *owner_of;    /* by want's stamps: the owner of a leaf, an index into */
	const struct stamp *owners; /* `by` and `by_digest` alone count */
	uint32_t nowner;
	bool whole;       /* what want does not say goes, also if it was written by hand */
	bool only_remove; /* nothing of want is written: what it does not say goes */
	bool begun; /* part of a change that is one already: the next $version whatever differs */
};

enum laid {
	LAID_NOTHING, /* all is as it should be; out was not written */
	LAID_OWNERS,  /* values have another owner: $version stands, nobody is to be told */
	LAID_VALUES   /* a change: the next $version */
};

/*
 * Lay it over `old`, and append the new section to out. A leaf of want replaces what is there; a leaf that a configuration
 * has written and want does not say goes, and with it the objects that come out empty. An empty object in want is a leaf
 * where there is none, and satisfied by any object. Whatever `old` is, nothing is refused: section_fits says whether the
 * new one is within the limits (T-80, T-81a). Linear in the two.
 */
enum laid section_lay(
    const struct section *old, const struct overlay *o, int64_t now_us, struct buf *out);
bool section_fits(const struct section *s, enum section_kind kind);

/* ---- what a step has changed ---- */

/*
 * What differs between two forms of one section, in values or stamps (of tags: in values and the version, their stamp is shown to nobody):
 *
 *   before   a section's stored form: version, size and stamps of `old`, and of its members those that differ, an object with those of its
 *            members that do; null where `old` had nothing. section_take_back makes `old` of `new` with it
 *   patch    a doc: the merge patch (RFC 7396) that leads from `old` to `new`, with what has got another stamp alone, too
 *
 * Both are appended. False: nothing differs, and nothing is. Linear in the two, and in their stamps.
 */
bool section_delta(const struct section *old, const struct section *new, enum section_kind kind,
    struct buf *before, struct buf *patch);
/* Is that what section_delta gave as `before`? For bytes from outside this process. */
enum err section_before_check(struct str before);
/* The section before that step, appended: what `after` it was, and what section_delta gave (or section_before_check has passed; of another
 * section it is nonsense, but a sound one as far as its bytes go). Members that the step removed stand at the end of their objects. */
void section_take_back(
    const struct section *after, struct str before, enum section_kind kind, struct buf *out);

/* ---- views, appended as JSON text ---- */

/* The section as a device sees it: members, then "$version":N (T-52). */
void section_write_device(struct buf *out, const struct section *s);
/* As the back end sees desired and reported: members, "$metadata":{...} (T-23 to T-31), "$version":N. */
void section_write_service(struct buf *out, const struct section *s, enum section_kind kind);
/* Tags: members only. */
void section_write_tags(struct buf *out, const struct section *s);
/* A notification body: the members of `members` (a doc object), then "$version":N (T-66). */
void section_write_notification(struct buf *out, struct doc members, uint32_t version);

/*
 * For queries: the value at a path of keys below a section, where "$version" (last) and "$metadata" (first key) give
 * what the back end's view would show. For plain members the result views the section; for $version and
 * $metadata the value is appended to scratch as a doc and viewed there (scratch must not be moved meanwhile: the
 * caller reserves, or copies). DOC_NONE if there is none. npath 0 is the whole section with $metadata and $version.
 */
struct doc section_get(const struct section *s, enum section_kind kind, const struct str *path,
    unsigned npath, struct buf *scratch);

/* ---- convergence (twins.md 14): is what is desired reported? ---- */

enum convergence {
	NOTHING_DESIRED, /* there is no desired property at the path */
	CONVERGED,
	PENDING
};

/* Of the desired property at a path of keys with all below it; npath 0: of all of them (T-117 to T-121). Both sections are
 * of one twin. Linear in the two, as is section_pending. */
enum convergence section_convergence(const struct section *desired, const struct section *reported,
    const struct str *path, unsigned npath);

struct pending {
	const struct str *keys; /* from the root of desired */
	unsigned nkey;
	struct doc desired, reported; /* reported, or acknowledged; DOC_NONE: there is none */
	bool acknowledged;            /* T-113: then there are these, a description perhaps */
	struct doc status, version, description;
};
/* false: no more of them. What it views is borrowed for the call. */
typedef bool pending_fn(void *ctx, const struct pending *p);
/* Each desired property that is not equal in reported, in the order of desired. */
void section_pending(
    const struct section *desired, const struct section *reported, pending_fn *each, void *ctx);

/* The counted size of a plain document (T-81). */
uint32_t twin_counted_size(struct doc d);

#endif
