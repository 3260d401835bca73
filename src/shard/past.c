/* A twin as it was: see past.h. */
#include "shard/past.h"

#include <inttypes.h>

#include "doc/out.h"
#include "shard/record.h"

#define MARK_FORMAT 1

static void
keep(struct buf *to, struct str bytes)
{
	to->n = 0;
	buf_str(to, bytes);
}

enum err
past_begin(struct past *p, struct str identity, struct str wanted, struct str reported)
{
	struct str records[PAST_CHAINS] = { identity, wanted, reported };
	struct identity id;
	struct wanted w;
	struct section s;
	int64_t activity_us;

	p->begun = false;
	for (unsigned k = 0; k < PAST_CHAINS; k++)
		if (!record_valid((enum record_kind)k, records[k]))
			return ERR_CORRUPT;
	if (!identity_decode(identity, &id) || !wanted_decode(wanted, &w) ||
	    !reported_decode(reported, &activity_us, &s))
		return ERR_CORRUPT;
	for (unsigned k = 0; k < PAST_CHAINS; k++)
		p->heads[k] = record_head(records[k]);
	p->generation = id.generation;
	p->counter = w.counter;
	p->version = w.counter + s.version;
	keep(&p->identity, identity);
	keep(&p->tags, w.tags.bytes);
	keep(&p->desired, w.desired.bytes);
	keep(&p->reported, s.bytes);
	return ERR_OK;
}

enum err
past_begin_deleted(struct past *p, const struct event *e)
{
	enum err err;

	if (e->kind != EVENT_DELETED)
		return ERR_CORRUPT;
	err = past_begin(
	    p, e->fields[EVENT_IDENTITY], e->fields[EVENT_WANTED], e->fields[EVENT_REPORTED]);
	for (unsigned k = 0; k < PAST_CHAINS; k++)
		p->heads[k] = e->numbers[EVENT_BEFORE_IDENTITY + k];
	return err;
}

void
past_begin_wanted(struct past *p, struct str wanted)
{
	struct wanted w;

	bytes_read_wanted(wanted, &w);
	p->begun = false;
	memset(p->heads, 0, sizeof(p->heads));
	p->heads[RECORD_WANTED] = record_head(wanted);
	p->version = 0;
	p->identity.n = p->reported.n = 0;
	keep(&p->tags, w.tags.bytes);
	keep(&p->desired, w.desired.bytes);
}

void
past_fini(struct past *p)
{
	buf_fini(&p->identity);
	buf_fini(&p->tags);
	buf_fini(&p->desired);
	buf_fini(&p->reported);
	buf_fini(&p->spare);
}

uint64_t
past_next(const struct past *p)
{
	uint64_t newest = 0;

	for (unsigned k = 0; k < PAST_CHAINS; k++)
		if (p->heads[k] > newest)
			newest = p->heads[k];
	return newest;
}

void
past_pass(struct past *p, const struct event *e, uint64_t position)
{
	for (unsigned k = 0; k < PAST_CHAINS; k++)
		if (p->heads[k] == position)
			p->heads[k] = e->numbers[EVENT_BEFORE_IDENTITY + k];
	p->begun = p->begun || e->kind == EVENT_CREATED;
}

static enum err
section_back(struct past *p, struct buf *section, const struct event *e, enum section_kind kind)
{
	struct str before = e->fields[EVENT_WAS_TAGS + kind];
	struct section after;
	struct buf was;

	if (before.n == 0)
		return ERR_OK;
	if (section_before_check(before) != ERR_OK)
		return ERR_CORRUPT;
	after = section_of(buf_view(section));
	p->spare.n = 0;
	section_take_back(&after, before, kind, &p->spare);
	was = *section;
	*section = p->spare;
	p->spare = was;
	return ERR_OK;
}

/* What a device reports does not move the etag. */
static void
version_back(struct past *p, const struct event *e)
{
	bool reported = e->fields[EVENT_WAS_REPORTED].n != 0;

	p->counter = e->numbers[reported ? EVENT_COUNTER : EVENT_WAS_COUNTER];
	p->version = 0;
	if (p->counter != 0 && p->reported.n != 0)
		p->version = p->counter + section_of(buf_view(&p->reported)).version;
}

enum err
past_take_back(struct past *p, const struct event *e, uint64_t position)
{
	enum err err = section_back(p, &p->tags, e, SECTION_TAGS);

	if (err == ERR_OK)
		err = section_back(p, &p->desired, e, SECTION_DESIRED);
	if (err == ERR_OK)
		err = section_back(p, &p->reported, e, SECTION_REPORTED);
	if (err == ERR_OK && e->fields[EVENT_WAS_IDENTITY].n != 0)
		keep(&p->identity, e->fields[EVENT_WAS_IDENTITY]);
	if (e->numbers[EVENT_VERSION] != 0)
		version_back(p, e);
	past_pass(p, e, position);
	return err;
}

void
past_learn(struct past *p, const struct event *e)
{
	if (p->version != 0 || e->numbers[EVENT_VERSION] == 0)
		return;
	p->version = e->numbers[EVENT_VERSION];
	p->counter = e->numbers[EVENT_COUNTER];
}

/* ---- shown ---- */

static void
put_section(struct out *o, const struct event *e, enum section_kind kind, bool before)
{
	struct str bytes = e->fields[(before ? EVENT_WAS_TAGS : EVENT_PATCH_TAGS) + kind];

	if (before)
		out_doc(o, section_of(bytes).root);
	else
		out_doc(o, doc_of(bytes));
}

/* {"tags":{..},"properties":{"desired":{..}}}: those that the record has. */
static void
put_sections(struct out *o, const struct event *e, bool before)
{
	static const char *const names[] = { "tags", "desired", "reported" };
	bool properties =
	    e->fields[EVENT_PATCH_DESIRED].n != 0 || e->fields[EVENT_PATCH_REPORTED].n != 0;

	out_open(o);
	if (e->fields[EVENT_PATCH_TAGS].n != 0)
		put_section(out_key(o, "tags"), e, SECTION_TAGS, before);
	if (properties)
		out_open(out_key(o, "properties"));
	for (enum section_kind k = SECTION_DESIRED; k <= SECTION_REPORTED; k++)
		if (e->fields[EVENT_PATCH_TAGS + k].n != 0)
			put_section(out_key(o, names[k]), e, k, before);
	if (properties)
		out_close(o);
	out_close(o);
}

static void
put_identity(struct out *o, struct str record)
{
	struct identity id;

	out_open(o);
	if (identity_decode(record, &id)) {
		out_cstr(out_key(o, "status"), id.enabled ? "enabled" : "disabled");
		out_some_str(o, "statusReason", id.reason);
		out_str(out_key(o, "authenticationType"), auth_type_names[id.auth]);
		out_some_str(o, "primaryThumbprint", id.thumbs[0]);
		out_some_str(o, "secondaryThumbprint", id.thumbs[1]);
	}
	out_close(o);
}

static void
put_change(struct out *o, const struct event *e)
{
	if (e->kind == EVENT_CREATED)
		return;
	if (e->kind == EVENT_IDENTITY_CHANGED) {
		put_identity(out_key(o, "identity"), e->fields[EVENT_IDENTITY]);
		put_identity(out_key(o, "before"), e->fields[EVENT_WAS_IDENTITY]);
		return;
	}
	put_sections(out_key(o, "patch"), e, false);
	put_sections(out_key(o, "before"), e, true);
}

void
past_entry(struct buf *json, const struct event *e, uint32_t shard, uint64_t position)
{
	static const char *const changes[EVENT_KINDS] = {
		[EVENT_TWIN_CHANGED] = "changed",
		[EVENT_TWIN_REPLACED] = "replaced",
		[EVENT_CREATED] = "created",
		[EVENT_IDENTITY_CHANGED] = "identityChanged",
		[EVENT_DELETED] = "deleted",
	};
	struct out o = out_to(json);

	out_open(&o);
	out_format(out_key(&o, "id"), "%u-%" PRIu64, shard, position);
	out_time(out_key(&o, "time"), e->time_us);
	if (e->numbers[EVENT_VERSION] != 0)
		out_u64(out_key(&o, "version"), e->numbers[EVENT_VERSION]);
	if (changes[e->kind] != NULL)
		out_cstr(out_key(&o, "change"), changes[e->kind]);
	told_actor(&o, "actor", e);
	out_some_str(&o, "cause", e->fields[EVENT_CAUSE]);
	put_change(&o, e);
	out_close(&o);
}

/* ---- where a page ends ---- */

void
past_mark_write(struct buf *out, const struct past *p)
{
	struct buf b = { 0 };

	buf_putc(&b, MARK_FORMAT);
	buf_varint(&b, p->generation);
	for (unsigned k = 0; k < PAST_CHAINS; k++)
		buf_varint(&b, p->heads[k]);
	base64url_encode(out, b.p, b.n);
	buf_fini(&b);
}

bool
past_mark_read(struct str text, struct past *p, uint64_t *generation)
{
	struct buf b = { 0 };
	uint64_t heads[PAST_CHAINS];
	bool good = text.n <= 64 && base64url_decode(&b, text);
	struct rd rd = rd_of(buf_view(&b));

	good = good && rd_u8(&rd) == MARK_FORMAT;
	*generation = rd_varint(&rd);
	for (unsigned k = 0; k < PAST_CHAINS; k++)
		heads[k] = rd_varint(&rd);
	good = good && !rd.bad && rd.p == rd.end;
	if (good)
		memcpy(p->heads, heads, sizeof(heads));
	buf_fini(&b);
	return good;
}
