/*
 * base: what every module stands on. Byte strings, growable buffers, arenas, error codes, hashing,
 * time formats, base64. No I/O, no threads, no clock.
 *
 * Memory that cannot be had ends the program with one line: every size here is bounded by the
 * limits of the callers, so a failed allocation is the machine's end, not a client's doing.
 *
 * Azure's table of codes (number, name, status) is here, not in http/: every room sets codes, and mqtt says numbers and statuses,
 * transfer's lines of errors numbers and names (its imports act on statuses), stored results of jobs and cli names. http/ alone
 * knows the form of bodies (faults.c).
 */
#ifndef TWINHUB_BASE_H
#define TWINHUB_BASE_H

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- error codes: what a function's caller can act on ---- */

enum err {
	ERR_OK = 0,
	ERR_END,      /* past the last element */
	ERR_MORE,     /* the input is a proper prefix: give more bytes */
	ERR_SYNTAX,   /* text or packet not of its grammar */
	ERR_RANGE,    /* a value outside its bounds */
	ERR_SIZE,     /* too many bytes, levels or elements */
	ERR_PROTOCOL, /* well-formed, but not allowed here */
	ERR_ARG,      /* a fault for the caller's client: see struct fault */
	ERR_NOT_FOUND,
	ERR_EXISTS,
	ERR_DENIED,  /* not authenticated, or not allowed */
	ERR_FULL,    /* no space on disk, or a bound reached */
	ERR_IO,      /* the disk or the network failed */
	ERR_CORRUPT, /* stored bytes that cannot be what was written */
	ERR_VERSION, /* stored by a newer format */
	ERR_LOCKED,  /* in use by another process */
	ERR_UNSYNCED /* done, but a crash may undo it: see os.h */
};

/* ---- structures ---- */

/*
 * The structure whose member p points to: container_of(m, struct work, msg), of a message, timer or the like that was put
 * into it. A p of another type than the member's does not compile; a member of a member may be named (a.b).
 */
#define container_of(p, type, member)                                                              \
	((type *)((char *)(1 ? (p) : &((type *)0)->member) - offsetof(type, member)))

/* ---- byte strings: borrowed, not NUL-terminated ---- */

struct str {
	const char *p;
	size_t n;
};

#define STR(literal)                                                                               \
	((struct str){ "" literal, sizeof(literal) - 1 }) /* a pointer does not compile */
#define STR_NONE   ((struct str){ NULL, 0 })
#define STR_FMT    "%.*s"
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct str
str_of(const char *c)
{
	return (struct str){ c, c ? strlen(c) : 0 };
}

static inline bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Is c one of these characters? A NUL never is, though strchr finds it at every text's end. */
static inline bool
char_among(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* memcpy, qsort and qsort_r for what may be empty, and then is often NULL, which those forbid. */
static inline void
bytes_copy(void *to, const void *from, size_t n)
{
	if (n > 0)
		memcpy(to, from, n);
}

static inline void
array_sort(void *v, size_t n, size_t size, int (*order)(const void *, const void *))
{
	if (n > 1)
		qsort(v, n, size, order);
}

static inline void
array_sort_with(
    void *v, size_t n, size_t size, int (*order)(const void *, const void *, void *), void *ctx)
{
	if (n > 1)
		qsort_r(v, n, size, order, ctx);
}

bool str_ieq(struct str a, struct str b); /* ASCII letters without case */
int str_cmp(struct str a, struct str b);  /* by byte; a prefix is smaller */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_sub(struct str s, size_t from); /* the rest from an offset <= n */
/* Where it ends. Of what is empty p may be NULL, to which C adds nothing, not even 0. */
static inline const char *
str_end(struct str s)
{
	return s.n != 0 ? s.p + s.n : s.p;
}
/* Cut s at the first c: returns what is before it, *rest what is after; false if there is no c. */
bool str_cut(struct str s, char c, struct str *before, struct str *rest);
/* A decimal number, digits only, no sign; false when empty, other characters, or over UINT64_MAX. */
bool str_u64(struct str s, uint64_t *out);
char *str_dup0(struct str s); /* NUL-terminated copy; free() it */

/* Compare two secrets in a time that depends on their lengths only. */
bool str_eq_secret(struct str a, struct str b);

/* Percent-decode once into out (at least s.n bytes); '+' stays '+'; an invalid sequence is kept
 * literally. Returns the decoded length. RFC 3986, section 2.1. */
size_t percent_decode(struct str s, char *out);

/* ---- hexadecimal ---- */

/* n bytes as 2 n small digits; no NUL. */
void hex_write(char *out, const void *bytes, size_t n);
/* What a digit of either case stands for; -1: it is none. */
static inline int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* ---- UTF-8 ---- */

bool utf8_valid(struct str s); /* RFC 3629: no surrogates, no overlong */
/* Decode the character at *p (valid UTF-8, p < end) and move p past it. */
uint32_t utf8_next(const char **p, const char *end);
/* Take the first character off s, which is not empty and may be any bytes; U+FFFD for a byte that begins none. */
uint32_t utf8_take(struct str *s);
/* What drives a terminal, ends a line, or is not seen and changes how the rest is: C0, DEL, C1, separators, marks and overrides
 * of direction, joiners, fillers, selectors, tags, private use, U+FFFD. */
bool utf8_hidden(uint32_t c);
#define UTF8_ESCAPE_MAX 13
/* As JSON escapes it: \u202e, or two surrogates. Returns the length; out ends with NUL. */
size_t utf8_escape(uint32_t c, char out[UTF8_ESCAPE_MAX]);

/* ---- growable buffers: { 0 } is empty; the owner calls buf_fini ---- */

struct buf {
	char *p;
	size_t n, cap;
};

void buf_fini(struct buf *b);
void buf_wipe(struct buf *b); /* the same, of what nobody may find in memory later */
void buf_reserve(struct buf *b, size_t more); /* room for that many bytes after n */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_putc(struct buf *b, char c);
void buf_str(struct buf *b, struct str s);
void buf_cstr(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_u64(struct buf *b, uint64_t v); /* decimal text */
void buf_u16be(struct buf *b, uint16_t v);
void buf_percent(struct buf *b, struct str s); /* all but A-Za-z0-9-_.~ as %XX */
/* Binary numbers for stored records: little-endian base-128, and fixed little-endian. */
void buf_varint(struct buf *b, uint64_t v);
void buf_le64(struct buf *b, uint64_t v);
/* A string with its length before it, as varint. */
void buf_lstr(struct buf *b, struct str s);

static inline struct str
buf_view(const struct buf *b)
{
	return (struct str){ b->p, b->n };
}

/* A reader of what buf_varint, buf_le64 and buf_lstr wrote. `bad` is set at the first read past the
 * end and stays; reads after it give zeros, so a decoder checks once at the end. */
struct rd {
	const uint8_t *p, *end;
	bool bad;
};

struct rd rd_of(struct str s);
uint8_t rd_u8(struct rd *r);
uint64_t rd_varint(struct rd *r);
uint64_t rd_le64(struct rd *r);
struct str rd_lstr(struct rd *r);
struct str rd_bytes(struct rd *r, size_t n);

/* ---- ropes: what may be large, in pieces that are written once and never moved; { 0 } is empty ---- */

/* A piece is so large that the allocator gives it back to the system by itself. */
#define ROPE_PIECE_BYTES (256u << 10)

struct rope_piece {
	struct rope_piece *next;
	size_t n;
	char bytes[];
};
struct rope {
	struct rope_piece *first, *last;
	size_t n; /* bytes in all of them */
};

void rope_put(struct rope *r, struct str s);
/* The first piece, the caller's from then on: free(). NULL: it is empty. */
struct rope_piece *rope_take(struct rope *r);
void rope_fini(struct rope *r);

/* The last word of a program that ends: at most 4 KB to stderr, unless nobody has read there for wait_ms. */
void stderr_put(struct str line, int wait_ms);
/* The same to stdout; false: it was not taken. */
bool stdout_put(struct str line, int wait_ms);

/* ---- memory ---- */

void *xmalloc(size_t n);
/* The end of the program, with one line: for who has memory from elsewhere. */
void out_of_memory(size_t wanted_bytes) __attribute__((noreturn));
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);

/* An arena: everything in it dies together. Zeroed memory, 16-byte aligned. */
struct arena_chunk;
struct arena {
	struct arena_chunk *top;
	size_t used_bytes; /* in all chunks */
};

void arena_fini(struct arena *a);
void arena_reset(struct arena *a); /* empties it, keeps one chunk */
void *arena_alloc(struct arena *a, size_t n);
struct str arena_str(struct arena *a, struct str s); /* a copy */

/* ---- hashing (xxHash) ---- */

/* Stable over releases and machines: places devices on shards, names queries in page tokens. */
uint64_t hash_stable(struct str s);
/* Keyed by a process-wide random seed against crafted collisions; hash_seed is called once at start. */
void hash_seed(uint64_t seed);
uint64_t hash_table(struct str s);
/* Checksum of stored files. */
uint64_t hash_checksum(const void *p, size_t n);

/* A hash table of 32-bit values (row numbers, slots). The caller holds the keys: `same` tells whether
 * value v has the key that is looked for. { 0 } is empty. */
struct table {
	struct table_cell *cells;
	uint32_t mask, used, gone;
};
#define TABLE_NONE UINT32_MAX

typedef bool table_same(const void *ctx, uint32_t value, const void *key);
void table_fini(struct table *t);
uint32_t table_get(
    const struct table *t, uint64_t hash, table_same *same, const void *ctx, const void *key);
/* The key must be absent; hash must be the same at get and remove. */
void table_add(struct table *t, uint64_t hash, uint32_t value);
void table_remove(struct table *t, uint64_t hash, uint32_t value);

/* ---- time: microseconds since 1970-01-01 UTC; 0 is "never" ---- */

#define TIME_TEXT_MAX 32

/* ISO 8601 with seven fractional digits and Z; 0 gives 0001-01-01T00:00:00Z (T-04). Returns the length. */
size_t time_format(int64_t us, char out[TIME_TEXT_MAX]);
/* Accepts 0 to 7 fractional digits and Z, an offset as +02:00, or nothing for UTC (T-04); any time of 0001-01-01 gives 0. */
bool time_parse(struct str s, int64_t *us);
/* P1DT2H3M4S or a part of it, weeks too; not months and years, whose length nobody knows. False: it is none. */
bool duration_parse(struct str s, int64_t *seconds);

/* ---- base64 (RFC 4648, section 4, with padding) ---- */

void base64_encode(struct buf *out, const void *p, size_t n);
/* The etag of what counts its changes: base64 of the decimal number. out holds 32 bytes, NUL-terminated. */
void decimal_etag(uint64_t n, char out[32]);
/* Appends the decoded bytes; false (and out unchanged) on anything but canonical base64. */
bool base64_decode(struct buf *out, struct str s);
/* The same for URLs (section 5), without padding. */
void base64url_encode(struct buf *out, const void *p, size_t n);
bool base64url_decode(struct buf *out, struct str s);

/* ---- faults: an error as a client of the API sees it (service-rest.md 4.2) ---- */

#define FAULT_CODES(X)                                                                             \
	X(400001, InvalidProtocolVersion)                                                          \
	X(400003, InvalidOperation)                                                                \
	X(400004, ArgumentInvalid)                                                                 \
	X(400005, ArgumentNull)                                                                    \
	X(400006, IotHubFormatError)                                                               \
	X(400008, BlobContainerValidationError)                                                    \
	X(400011, DeviceDefinedMultipleTimes)                                                      \
	X(400013, BulkRegistryOperationFailure)                                                    \
	X(400027, ConnectionForcefullyClosedOnNewConnection)                                       \
	X(400401, InvalidConfigurationTargetCondition)                                             \
	X(400402, InvalidConfigurationContent)                                                     \
	X(400403, CannotModifyImmutableConfigurationContent)                                       \
	X(400404, InvalidConfigurationCustomMetricsQuery)                                          \
	X(400507, InvalidDigitalTwinPatch)                                                         \
	X(400508, InvalidDigitalTwinPatchPath)                                                     \
	X(401001, IotHubNotFound)                                                                  \
	X(401002, IotHubUnauthorizedAccess)                                                        \
	X(401003, IotHubUnauthorized)                                                              \
	X(401100, SystemModuleModifyUnauthorizedAccess)                                            \
	X(403002, IotHubQuotaExceeded)                                                             \
	X(403003, JobQuotaExceeded)                                                                \
	X(403004, DeviceMaximumQueueDepthExceeded)                                                 \
	X(403010, OperationNotAvailableInCurrentTier)                                              \
	X(403100, DeviceModelMaxPropertiesExceeded)                                                \
	X(404000, GenericNotFound)                                                                 \
	X(404001, DeviceNotFound)                                                                  \
	X(404002, JobNotFound)                                                                     \
	X(404010, ModuleNotFound)                                                                  \
	X(404103, DeviceNotOnline)                                                                 \
	X(404104, DeviceConnectionClosedRemotely)                                                  \
	X(404301, ConfigurationNotFound)                                                           \
	X(405000, GenericMethodNotAllowed)                                                         \
	X(405102, OperationNotAllowedInCurrentState)                                               \
	X(409000, GenericConflict)                                                                 \
	X(409001, DeviceAlreadyExists)                                                             \
	X(409104, JobAlreadyExists)                                                                \
	X(409301, ModuleAlreadyExistsOnDevice)                                                     \
	X(409401, ConfigurationAlreadyExists)                                                      \
	X(410001, HistoryNotKept)                                                                  \
	X(412001, PreconditionFailed)                                                              \
	X(412002, DeviceMessageLockLost)                                                           \
	X(413000, GenericRequestEntityTooLarge)                                                    \
	X(413001, MessageTooLarge)                                                                 \
	X(413002, TooManyDevices)                                                                  \
	X(413003, TooManyModulesOnDevice)                                                          \
	X(413101, ConfigurationCountLimitExceeded)                                                 \
	X(415000, GenericUnsupportedMediaType)                                                     \
	X(429000, GenericTooManyRequests)                                                          \
	X(429001, ThrottlingException)                                                             \
	X(429002, ThrottleBacklogLimitExceeded)                                                    \
	X(429004, ThrottlingMaxActiveJobCountExceeded)                                             \
	X(429005, DeviceThrottlingLimitExceeded)                                                   \
	X(500001, ServerError)                                                                     \
	X(501000, GenericNotImplemented)                                                           \
	X(502000, GenericBadGateway)                                                               \
	X(503001, ServiceUnavailable)                                                              \
	X(504101, GatewayTimeout)

/*
 * What the program acts on is told apart also where Azure has one number for several things: its own name stands before the one that
 * clients see. The value is a count before that number, so that nothing has to be looked up.
 */
#define FAULT_CAUSES(X)                                                                            \
	X(1, QueryTooLarge, ArgumentInvalid) /* groups, or rows to be sorted, over their memory */ \
	X(2, QueryTooLong, ArgumentInvalid)  /* over its time */                                   \
	X(3, StoredDamaged, ServerError)     /* stored bytes that cannot be what was written */

#define FAULT_CAUSE 1000000

enum fault_code {
	F_NONE = 0,
#define X(number, name) F_##name = (number),
	FAULT_CODES(X)
#undef X
#define X(count, name, seen) F_##name = (count)*FAULT_CAUSE + F_##seen,
	    FAULT_CAUSES(X)
#undef X
};

#define FAULT_TEXT_MAX 512

struct fault {
	enum fault_code code;
	char text[FAULT_TEXT_MAX]; /* UTF-8, NUL-terminated, never with ';' (service-rest.md 4.1) */
};

/* Fill a fault; a NULL f is allowed. Control characters become '?', ';' becomes ','; cut at a character's edge.
 * Returns ERR_ARG, so that a checker can end with `return fault_set(...)`. */
enum err fault_set(struct fault *f, enum fault_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* As clients see it, Azure's: "DeviceNotFound", "ServerError" if unknown; its number; its HTTP status, three digits. */
const char *fault_name(enum fault_code code);
static inline int
fault_number(enum fault_code code)
{
	return (int)code % FAULT_CAUSE;
}
static inline int
fault_status(enum fault_code code)
{
	return fault_number(code) / 1000;
}

/* Ids of devices and modules: 1-128 of A-Za-z0-9 - : . + % _ # * ? ! ( ) , = @ ; $ ' (L-36) */
#define ID_MAX 128
bool id_valid(struct str id);
/* `.` and `..`: URLs leave them out of paths before they are sent, so nobody would reach what bears them. What an older
 * release has made stays. */
bool id_is_dots(struct str id);

#endif
