/*
 * Records, as they are stored and as they are read: the bytes are in memory as they are on disk, and these take them apart.
 *
 *   identity   format | a doc object with short keys; members at their default are left out
 *   wanted     format | counter E | tags | desired | configurations | [before_rollout] (strings with their length before them)
 *   reported   format | last activity | section
 *   session    format | filters (filters_put), to the end
 *
 * Identity, wanted and reported records have the position of the newest record of the log that tells of them (E-06) at their end: RECORD_HEAD
 * bytes, little-endian, if the highest bit of the format is set. Those of a directory of format 1 have none.
 *
 * Format is one byte, numbers are varints, sections as in twin/twin.h. A key is hub_key's (shard/shard.h).
 *
 * Every byte has been checked when it came from the store (record_valid, by hub_fill), and what was written since was made here: so the
 * decoders trust what they are given, and their false means that it is no such record at all, a mistake of ours for one from a row.
 *
 * Ownership: strings and sections that a decoder gives are borrowed from the bytes, and a record in memory (struct blob) never changes:
 * another value is another blob. So they are good until the row gets another record and its undo has been forgotten. Encoders append to a
 * buffer of the caller's.
 *
 * Formats are read for ever: a new one has another number, and the old one stays in decode and check.
 *
 * Times are microseconds since 1970, but for generations and what the registry calls ticks (ticks_of).
 */
#ifndef TWINHUB_SHARD_RECORD_H
#define TWINHUB_SHARD_RECORD_H

#include "shard/row.h"

/* ---- the position at the end ---- */

#define RECORD_HEAD 8u
/* Put it behind n bytes of a record; there is room. */
void record_put_head(char *record, size_t n, uint64_t position);
/* 0: it has none. */
uint64_t record_head(struct str record);
/* Do they say the same, wherever they stand in the log? */
bool record_same(struct str a, struct str b);

/* ---- the identity record ---- */

extern const struct str auth_type_names[AUTH_TYPES];

struct identity {
	uint32_t row;
	uint64_t generation; /* digits of generationId */
	uint64_t etag;
	bool enabled;
	struct str reason; /* empty: null */
	int64_t status_us;
	enum auth_type auth;
	struct str keys[2], thumbs[2]; /* empty: null */
	bool edge;
	struct str scope, parent_scope; /* empty: none */
	struct str model_id;
	struct str managed_by; /* modules */
};

#define SCOPE_MAX (ID_MAX + 64)

void identity_encode(struct buf *out, const struct identity *id);
/* false: not an identity record. */
bool identity_decode(struct str bytes, struct identity *id);
/* base64 of the decimal etag (T-17); out holds 32 bytes, NUL-terminated. */
void identity_etag(const struct identity *id, char out[32]);

#define TICKS_OF_1970 INT64_C(621355968000000000) /* .NET ticks of 100 ns since 0001-01-01 */
static inline uint64_t
ticks_of(int64_t us)
{
	return (uint64_t)(us * 10 + TICKS_OF_1970);
}

/* ---- the wanted record ---- */

struct wanted {
	uint64_t counter; /* E of T-16 */
	struct section tags, desired;
	struct str configurations; /* a doc, or empty */
	struct str before_rollout; /* a doc, or empty: what rollouts have overwritten */
};

void wanted_encode(struct buf *out, uint64_t counter, struct str tags, struct str desired,
    struct str configurations, struct str before_rollout);
bool wanted_decode(struct str bytes, struct wanted *w);
uint64_t wanted_counter(struct str bytes);
/* Is every byte of it valid? For records from the store: record_valid. */
bool wanted_check(struct str bytes);
bool reported_check(struct str bytes);
void wanted_etag(uint64_t counter, char out[32]);
/* The $version after this one (twin.h). */
static inline uint32_t
version_after(uint32_t version)
{
	return version < INT32_MAX ? version + 1 : 1;
}

/* ---- the reported record ---- */

void reported_encode(struct buf *out, int64_t activity_us, struct str section);
bool reported_decode(struct str bytes, int64_t *activity_us, struct section *s);
int64_t reported_activity(struct str bytes);
uint32_t reported_version(struct str bytes);

/*
 * The same of a row's record that is in memory. That is a record of ours, or was valid when it came from the store (hub_fill), so
 * these cannot fail; one that is not in memory is a mistake of the caller's. What they give is borrowed from the record.
 */
void row_read_identity(const struct row *r, struct identity *id);
void row_read_wanted(const struct row *r, struct wanted *w);
void row_read_reported(const struct row *r, struct section *s);
/* And of bytes that are known to be such a record; the row may know of a later activity. */
void bytes_read_identity(struct str bytes, struct identity *id);
void bytes_read_wanted(struct str bytes, struct wanted *w);
int64_t bytes_read_reported(struct str bytes, const struct row *r, struct section *s);

/* ---- the session record: this byte, then filters (filters_put) ---- */

#define SESSION_FORMAT 1
/* The kinds of filters in one, one bit each. */
unsigned filters_mask(const struct blob *session);

/* ---- as JSON: view.c ---- */

/* Members of an open object: deviceId, and of a module moduleId. */
void row_put_ids(struct out *o, const struct row *r);

/* A row taken apart: of the records, those that are asked for. */
struct view {
	const struct row *r; /* NULL: of a twin that is past */
	struct str device, module;
	struct identity id;
	struct wanted w;
	struct section reported;
	int64_t activity_us;
};

/* A twin's members (T-01), in order, each with the records that it comes from (RECORD_BITs). Of structs view. */
#define TWIN_MEMBERS 20u
extern const struct query_member twin_members[TWIN_MEMBERS];

/* The whole twin. All records of the row but the session are in memory. */
void twin_write(const struct shard *sh, const struct row *r, struct buf *json);
/* The same, as if its record were this one. */
void twin_write_as(
    const struct shard *sh, const struct row *r, const struct wanted *wanted, struct buf *json);
/* As the registry shows it (service-rest.md 6.1). */
void identity_write(const struct shard *sh, const struct row *r, struct buf *json);

#endif
