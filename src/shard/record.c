/* How records are stored: record.h. */
#include "shard/record.h"

#include <stdio.h>

#define FORMAT 1
/* of a wanted record: with the values before a rollout at its end */
#define FORMAT_BEFORE_ROLLOUT 2

/* Highest bit of a format: a position is at the end. */
#define HEADED 0x80u

/* ---- the position at the end ---- */

/* What is between the format and the position. The format is 0, which none is, of what is too short. */
static struct str
content_of(struct str record, uint8_t *format)
{
	bool headed = record.n > 0 && (uint8_t)record.p[0] & HEADED;
	size_t ends = 1 + (headed ? RECORD_HEAD : 0);

	*format = 0;
	if (record.n < ends)
		return STR_NONE;
	*format = (uint8_t)record.p[0] & (uint8_t)~HEADED;
	return (struct str){ record.p + 1, record.n - ends };
}

void
record_put_head(char *record, size_t n, uint64_t position)
{
	record[0] = (char)((uint8_t)record[0] | HEADED);
	for (unsigned i = 0; i < RECORD_HEAD; i++)
		record[n + i] = (char)(position >> (8 * i));
}

uint64_t
record_head(struct str record)
{
	struct rd rd;

	if (record.n < 1 + RECORD_HEAD || !((uint8_t)record.p[0] & HEADED))
		return 0;
	rd = rd_of(str_sub(record, record.n - RECORD_HEAD));
	return rd_le64(&rd);
}

bool
record_same(struct str a, struct str b)
{
	uint8_t fa, fb;
	struct str ca = content_of(a, &fa), cb = content_of(b, &fb);

	return fa == fb && str_eq(ca, cb);
}

void
hub_key(struct buf *out, uint32_t shard, struct str device, struct str module)
{
	buf_reserve(out, 3 + device.n + module.n);
	buf_u16be(out, (uint16_t)shard);
	buf_str(out, device);
	buf_putc(out, '\0');
	buf_str(out, module);
}

uint32_t
hub_shard_of(struct str device)
{
	return (uint32_t)(hash_stable(device) & (SHARDS - 1));
}

const struct str auth_type_names[AUTH_TYPES] = {
	[AUTH_SAS] = { "sas", 3 },
	[AUTH_SELF_SIGNED] = { "selfSigned", 10 },
	[AUTH_CA] = { "certificateAuthority", 20 },
	[AUTH_NONE] = { "none", 4 },
};

/* Members of the identity's doc, each by a one-letter key. */
enum { M_INT, M_STR };
static const struct member {
	char key;
	uint8_t type;
	size_t offset;
} members[] = {
	{ 's', M_STR, offsetof(struct identity, reason) },
	{ 'k', M_STR, offsetof(struct identity, keys[0]) },
	{ 'K', M_STR, offsetof(struct identity, keys[1]) },
	{ 't', M_STR, offsetof(struct identity, thumbs[0]) },
	{ 'T', M_STR, offsetof(struct identity, thumbs[1]) },
	{ 'o', M_STR, offsetof(struct identity, scope) },
	{ 'p', M_STR, offsetof(struct identity, parent_scope) },
	{ 'm', M_STR, offsetof(struct identity, model_id) },
	{ 'b', M_STR, offsetof(struct identity, managed_by) },
	{ 'g', M_INT, offsetof(struct identity, generation) },
	{ 'e', M_INT, offsetof(struct identity, etag) },
	{ 'u', M_INT, offsetof(struct identity, status_us) },
};
#define NMEMBERS (sizeof(members) / sizeof(members[0]))

static void
put_int(struct doc_writer *dw, char key, int64_t v)
{
	doc_key(dw, (struct str){ &key, 1 });
	doc_put_int(dw, 0, v);
}

void
identity_encode(struct buf *out, const struct identity *id)
{
	struct doc_writer dw;

	buf_putc(out, FORMAT);
	doc_writer_init(&dw, out, 0);
	doc_begin_object(&dw, 0);
	put_int(&dw, 'r', id->row);
	put_int(&dw, 'a', id->auth);
	if (!id->enabled)
		put_int(&dw, 'd', 1);
	if (id->edge)
		put_int(&dw, 'i', 1);
	for (size_t i = 0; i < NMEMBERS; i++) {
		const void *field = (const char *)id + members[i].offset;
		const struct str *s = field;
		const int64_t *n = field;

		if (members[i].type == M_INT && *n != 0) {
			put_int(&dw, members[i].key, *n);
		} else if (members[i].type == M_STR && s->n != 0) {
			doc_key(&dw, (struct str){ &members[i].key, 1 });
			doc_put_str(&dw, 0, *s);
		}
	}
	doc_end(&dw);
}

static bool
identity_member(struct identity *id, char key, struct doc v)
{
	if (doc_kind(v) == DOC_INT) {
		int64_t n = doc_int(v);
		switch (key) {
		case 'r': id->row = (uint32_t)n; return n >= 0 && n < TABLE_NONE - 1;
		case 'a': id->auth = (enum auth_type)n; return n >= 0 && n < AUTH_TYPES;
		case 'd': id->enabled = false; return true;
		case 'i': id->edge = true; return true;
		default: break;
		}
	}
	for (size_t i = 0; i < NMEMBERS; i++) {
		void *field = (char *)id + members[i].offset;

		if (members[i].key != key)
			continue;
		if (members[i].type == M_INT && doc_kind(v) == DOC_INT)
			*(int64_t *)field = doc_int(v);
		else if (members[i].type == M_STR && doc_kind(v) == DOC_STRING)
			*(struct str *)field = doc_str(v);
		else
			return false;
		return true;
	}
	return false;
}

bool
identity_decode(struct str bytes, struct identity *id)
{
	struct doc_iter it;
	struct str key, content;
	struct doc v;
	uint8_t format;

	*id = (struct identity){ .enabled = true };
	content = content_of(bytes, &format);
	if (content.n == 0 || format != FORMAT)
		return false;
	it = doc_iter(doc_of(content));
	while (doc_next(&it, &key, &v))
		if (key.n != 1 || !identity_member(id, key.p[0], v))
			return false;
	return id->generation != 0;
}

void
identity_etag(const struct identity *id, char out[32])
{
	decimal_etag((unsigned)id->etag, out);
}

void
wanted_encode(struct buf *out, uint64_t counter, struct str tags, struct str desired,
    struct str configurations, struct str before_rollout)
{
	buf_reserve(out, tags.n + desired.n + configurations.n + before_rollout.n + 28);
	buf_putc(out, before_rollout.n != 0 ? FORMAT_BEFORE_ROLLOUT : FORMAT);
	buf_varint(out, counter);
	buf_lstr(out, tags);
	buf_lstr(out, desired);
	buf_lstr(out, configurations);
	if (before_rollout.n != 0)
		buf_lstr(out, before_rollout);
}

/* The parts, none of them looked into. */
static bool
wanted_split(struct str bytes, struct wanted *w, struct str *tags, struct str *desired)
{
	uint8_t format;
	struct rd rd = rd_of(content_of(bytes, &format));

	w->counter = rd_varint(&rd);
	*tags = rd_lstr(&rd);
	*desired = rd_lstr(&rd);
	w->configurations = rd_lstr(&rd);
	w->before_rollout = format == FORMAT_BEFORE_ROLLOUT ? rd_lstr(&rd) : STR_NONE;
	return (format == FORMAT || format == FORMAT_BEFORE_ROLLOUT) && !rd.bad && rd.p == rd.end;
}

bool
wanted_decode(struct str bytes, struct wanted *w)
{
	struct str tags, desired;

	if (!wanted_split(bytes, w, &tags, &desired))
		return false;
	w->tags = section_of(tags);
	w->desired = section_of(desired);
	return true;
}

bool
wanted_check(struct str bytes)
{
	struct str tags, desired;
	struct wanted w;

	return wanted_split(bytes, &w, &tags, &desired) && section_check(tags) == ERR_OK &&
	    section_check(desired) == ERR_OK &&
	    (w.configurations.n == 0 || doc_valid(w.configurations, 0, DOC_DEPTH_MAX)) &&
	    (w.before_rollout.n == 0 || doc_valid(w.before_rollout, 0, DOC_DEPTH_MAX));
}

bool
reported_check(struct str bytes)
{
	uint8_t format;
	struct rd rd = rd_of(content_of(bytes, &format));

	rd_varint(&rd);
	return format == FORMAT && !rd.bad &&
	    section_check((struct str){ (const char *)rd.p, (size_t)(rd.end - rd.p) }) == ERR_OK;
}

uint64_t
wanted_counter(struct str bytes)
{
	struct rd rd = rd_of(str_sub(bytes, 1));

	return rd_varint(&rd);
}

uint32_t
reported_version(struct str bytes)
{
	struct section s;
	int64_t activity_us;

	return reported_decode(bytes, &activity_us, &s) ? s.version : 0;
}

int64_t
reported_activity(struct str bytes)
{
	struct rd rd = rd_of(bytes);

	rd_u8(&rd);
	return (int64_t)rd_varint(&rd);
}

void
wanted_etag(uint64_t counter, char out[32])
{
	unsigned char be[8];
	struct buf b = { 0 };

	for (int i = 0; i < 8; i++)
		be[i] = (unsigned char)(counter >> (56 - 8 * i));
	base64_encode(&b, be, 8);
	memcpy(out, b.p, b.n);
	out[b.n] = '\0';
	buf_fini(&b);
}

void
reported_encode(struct buf *out, int64_t activity_us, struct str section)
{
	buf_reserve(out, section.n + 12);
	buf_putc(out, FORMAT);
	buf_varint(out, (uint64_t)activity_us);
	buf_str(out, section);
}

bool
reported_decode(struct str bytes, int64_t *activity_us, struct section *s)
{
	uint8_t format;
	struct rd rd = rd_of(content_of(bytes, &format));

	*activity_us = (int64_t)rd_varint(&rd);
	if (format != FORMAT || rd.bad)
		return false;
	*s = section_of((struct str){ (const char *)rd.p, (size_t)(rd.end - rd.p) });
	return true;
}

void
filters_put(struct buf *out, const struct filter *f)
{
	buf_putc(out, (char)f->kind);
	buf_putc(out, (char)f->qos);
	buf_lstr(out, f->name);
}

bool
filters_next(struct rd *rd, struct filter *f)
{
	if (rd->bad || rd->p == rd->end)
		return false;
	f->kind = (enum filter_kind)rd_u8(rd);
	f->qos = rd_u8(rd);
	f->name = rd_lstr(rd);
	return !rd->bad;
}

unsigned
filters_mask(const struct blob *session)
{
	struct rd rd = rd_of(blob_str(session));
	unsigned mask = 0;
	struct filter f;

	rd_u8(&rd);
	while (filters_next(&rd, &f))
		mask |= 1u << f.kind;
	return mask;
}

bool
record_valid(enum record_kind kind, struct str bytes)
{
	struct identity id;
	struct rd rd = rd_of(bytes);
	struct filter f;
	uint8_t format;

	switch (kind) {
	case RECORD_IDENTITY:
		return doc_valid(content_of(bytes, &format), 0, 4) && identity_decode(bytes, &id);
	case RECORD_WANTED: return wanted_check(bytes);
	case RECORD_REPORTED: return reported_check(bytes);
	case RECORD_SESSION:
		if (rd_u8(&rd) != SESSION_FORMAT)
			return false;
		while (filters_next(&rd, &f))
			if (f.kind == FILTER_REFUSED || f.kind >= FILTER_KINDS)
				return false;
		return !rd.bad;
	case RECORD_QUEUE: return queue_count(bytes) > 0;
	default: return false;
	}
}
