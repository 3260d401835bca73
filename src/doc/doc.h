/*
 * doc: JSON values as bytes.
 *
 * A document is one immutable JSON value in one contiguous buffer, in a canonical encoding: what the store holds,
 * what is merged, what queries read and what JSON text is written from. Reading needs no parse and no allocation;
 * objects keep the order of insertion.
 *
 *   node    = [stamp] tag [length] [payload]
 *   stamp   = 0, 1 or 2 bytes (little-endian), the same width all through one tree: an index into a table of the
 *             owner (twin/ keeps times and versions there). Keys, and everything inside an array, bear none.
 *   tag     = kind in the low four bits, `class` in the high four:
 *             null, false, true   class 0, no payload
 *             integer             class = bytes of payload, 0 to 8: two's complement, little-endian, the fewest that
 *                                 hold the value (0 has none)
 *             double              class 8: IEEE 754, little-endian
 *             string, array,      class 0 to 12: that many bytes of payload; 13, 14, 15: the payload's length follows
 *             object              in 1, 2 or 3 bytes, little-endian, in the fewest that hold it
 *   array   : payload = nodes; object: payload = (key, node)*, a key being a string node without stamp
 *
 * A reader checks every length against its parent's end, so bytes of any origin can be walked without overrun; bytes
 * from a disk are checked once with doc_valid, after which the accessors cannot fail.
 */
#ifndef TWINHUB_DOC_H
#define TWINHUB_DOC_H

#include "base/base.h"

#define DOC_PAYLOAD_MAX ((1u << 24) - 1) /* bytes of one string, array or object */
#define DOC_DEPTH_MAX   64               /* levels of arrays and objects that doc_parse accepts */

enum doc_kind {
	DOC_UNDEFINED = 0, /* no value: a missing member. Never stored. */
	DOC_NULL,
	DOC_FALSE,
	DOC_TRUE,
	DOC_INT, /* written as an integer; what an int64_t holds */
	DOC_DOUBLE,
	DOC_STRING,
	DOC_ARRAY,
	DOC_OBJECT,
	DOC_KINDS
};

/* A view of one node. p points at its stamp (or tag, when w is 0), end is the end of what may be read:
 * the parent's end or the buffer's. p NULL is DOC_UNDEFINED. Borrowed: lives as long as the bytes. */
struct doc {
	const uint8_t *p, *end;
	uint8_t w; /* stamp width in bytes: 0, 1, 2 */
};
#define DOC_NONE ((struct doc){ NULL, NULL, 0 })

/* ---- reading ---- */

/* The view of a whole encoded value without stamps. */
struct doc doc_of(struct str bytes);
/* The same for a tree of stamp width w. */
struct doc doc_of_stamped(struct str bytes, uint8_t w);

enum doc_kind doc_kind(struct doc d);
static inline bool
doc_defined(struct doc d)
{
	return d.p != NULL;
}
/* Of another kind than the one named: 0, or STR_NONE. */
bool doc_is_number(struct doc d);   /* DOC_INT or DOC_DOUBLE */
int64_t doc_int(struct doc d);      /* DOC_INT only */
double doc_number(struct doc d);    /* DOC_INT or DOC_DOUBLE */
struct str doc_str(struct doc d);   /* DOC_STRING: the UTF-8 bytes, borrowed */
struct str doc_text(struct doc d);  /* the same, STR_NONE for all other kinds */
uint32_t doc_stamp(struct doc d);   /* 0 when w is 0 */
size_t doc_size(struct doc d);      /* encoded bytes of the node, stamp included */
struct str doc_bytes(struct doc d); /* those bytes */

/* Member of an object by exact key; DOC_NONE when d is no object or has no such key. Linear in the object. */
struct doc doc_get(struct doc d, struct str key);
#define doc_getc(d, literal) doc_get((d), STR(literal))

/* Iterate an array or object in order; any other kind is empty. key is STR_NONE in arrays. */
struct doc_iter {
	const uint8_t *p, *end;
	uint8_t w;
	bool object;
};
struct doc_iter doc_iter(struct doc d);
bool doc_next(struct doc_iter *it, struct str *key, struct doc *value);
uint32_t doc_count(struct doc d); /* members or elements; linear */

/* Equal as JSON values: members in any order, numbers by value (1 equals 1.0), stamps ignored. For objects without
 * repeated keys. Linear when the order is the same, by hashing (and an allocation) from where it differs. */
bool doc_equal(struct doc a, struct doc b);

/* Are these bytes exactly one node in canonical encoding, of at most max_depth levels, strings valid UTF-8,
 * keys without duplicates not checked? For bytes from outside this process. */
bool doc_valid(struct str bytes, uint8_t w, unsigned max_depth);

/* ---- writing: values are appended to a buffer that the caller owns ---- */

struct doc_writer {
	struct buf *out;
	uint8_t w;                         /* stamp width of this tree */
	unsigned depth, arrays;            /* open containers; open arrays (no stamps inside) */
	uint32_t start[DOC_DEPTH_MAX + 8]; /* offset of each open container's tag */
	uint8_t kind[DOC_DEPTH_MAX + 8];
};

void doc_writer_init(struct doc_writer *dw, struct buf *out, uint8_t w);
/* The stamp precedes the value that is written next; ignored when w is 0 or inside an array. */
void doc_put_null(struct doc_writer *dw, uint32_t stamp);
void doc_put_bool(struct doc_writer *dw, uint32_t stamp, bool v);
void doc_put_int(struct doc_writer *dw, uint32_t stamp, int64_t v);
void doc_put_double(
    struct doc_writer *dw, uint32_t stamp, double v); /* JSON has no NaN or infinity: null */
void doc_put_str(struct doc_writer *dw, uint32_t stamp, struct str v);
void doc_key(struct doc_writer *dw, struct str key); /* before each member's value */
void doc_begin_object(struct doc_writer *dw, uint32_t stamp);
void doc_begin_array(struct doc_writer *dw, uint32_t stamp);
void doc_end(struct doc_writer *dw); /* closes the innermost container */
/* The same of a member that began at `from` of the buffer, its key included; without anything in it it is none. Answers `some`. */
bool doc_end_some(struct doc_writer *dw, size_t from, bool some);
/* Copy a whole node. Every node of the copy gets `stamp` (its own stamps are dropped, widths may differ). */
void doc_put_copy(struct doc_writer *dw, uint32_t stamp, struct doc d);
/* Copy a whole node of the same stamp width with its stamps: one memcpy. */
void doc_put_same(struct doc_writer *dw, struct doc d);

/* ---- JSON text (RFC 8259) ---- */

/* A parser for one thread. Its memory stays at what the largest text needed, about 16 bytes for each of its bytes;
 * texts over max_bytes are refused. A text no larger than one before costs no allocation but out's growth. */
struct doc_parser;
struct doc_parser *doc_parser_new(size_t max_bytes);
void doc_parser_free(struct doc_parser *ps);

struct doc_parsed {
	uint32_t nduplicate; /* members that repeat a key of their object */
};

/*
 * Parse one JSON text and append it to out, without stamps. A leading BOM is skipped. Integers beyond an int64_t, and
 * numbers beyond a double, are faults of range. Duplicate keys are kept, in order, and counted: a checker sees
 * them all; doc_put_unique then drops all but the last.
 *
 * On error out is unchanged and f (may be NULL) says what and where:
 *   ERR_SYNTAX  not JSON: F_IotHubFormatError       ERR_SIZE  over max_bytes or DOC_DEPTH_MAX: F_ArgumentInvalid
 *   ERR_RANGE   a number out of range: F_ArgumentInvalid
 */
enum err doc_parse(struct doc_parser *ps, struct str text, struct buf *out, struct doc_parsed *info,
    struct fault *f);

/* Append a copy of d (no stamps) in which each object holds the last of several members of one key, at the place of
 * the first (T-83). In time proportional to the size (hashing), not to its square. */
void doc_put_unique(struct buf *out, struct doc d);

/* Append JSON text without blanks: numbers in shortest round-trip form, doubles with a fraction or exponent
 * (T-77: 1.0 stays 1.0), strings escaped as RFC 8259 section 7 demands and no more. Stamps are not shown. */
void doc_write_json(struct buf *out, struct doc d);
void doc_write_json_str(struct buf *out, struct str s); /* one string with its quotes */
void doc_write_json_double(struct buf *out, double v);  /* null if not finite */

#endif
