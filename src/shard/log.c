/*
 * The log of a shard: what happened to its rows, in the commit of what it tells of (docs/spec/events.md, E-01 to E-08).
 *
 * Changes are found here and not by those who make them: row_write asks, with the record as it was and as it will be, so that no step of a
 * version is without its record whoever writes. Only what stands for several records at once, an identity that is made or goes, is told
 * from outside.
 */
#include "shard/record.h"

#define END_FORMAT 1

/* ---- its end ---- */

struct str
log_end_key(const struct shard *sh, char room[HUB_PREFIX_MAX])
{
	size_t n = sizeof(LOG_END_PREFIX) - 1;

	memcpy(room, LOG_END_PREFIX, n);
	room[n] = (char)(sh->index >> 8);
	room[n + 1] = (char)sh->index;
	return (struct str){ room, n + 2 };
}

static enum err
end_read(struct str value, struct log_end *out)
{
	struct rd rd = rd_of(value);
	uint64_t next;
	int64_t time_us;

	if (rd_u8(&rd) != END_FORMAT)
		return ERR_CORRUPT;
	next = rd_varint(&rd);
	time_us = (int64_t)rd_varint(&rd);
	if (rd.bad || rd.p != rd.end || next == 0 || time_us < 0)
		return ERR_CORRUPT;
	*out = (struct log_end){ next, time_us, true };
	return ERR_OK;
}

enum err
log_end_load(struct shard *sh, const struct str *value)
{
	if (value != NULL)
		return end_read(*value, &sh->log.end);
	sh->log.end =
	    (struct log_end){ .next = 1 }; /* the write of the first record is taken back */
	return ERR_OK;
}

uint64_t
log_end_position(struct str record)
{
	struct log_end end;

	return end_read(record, &end) == ERR_OK ? end.next : 0;
}

bool
log_end_value(const struct shard *sh, struct buf *out)
{
	if (!sh->log.end.stored)
		return false;
	buf_putc(out, END_FORMAT);
	buf_varint(out, sh->log.end.next);
	buf_varint(out, (uint64_t)sh->log.end.time_us);
	return true;
}

void
shard_put_log_end(struct shard *sh, const struct undo_sink *sink)
{
	char room[HUB_PREFIX_MAX];
	struct buf *value = &sh->log.record;

	value->n = 0;
	if (log_end_value(sh, value))
		sink->put(
		    sink->ctx, sh->index, RECORD_COMMON, log_end_key(sh, room), buf_view(value));
}

void
log_take_back(struct shard *sh, enum record_kind family, const struct log_end *end,
    const struct undo_sink *sink)
{
	char key[EVENT_KEY], room[HUB_PREFIX_MAX];

	assert(end->next + 1 == sh->log.end.next); /* newest first */
	sh->log.end = *end;
	event_key(key, sh->index, end->next);
	sink->del(sink->ctx, sh->index, family, (struct str){ key, sizeof(key) });
	if (sh->log.end.stored)
		shard_put_log_end(sh, sink);
	else
		sink->del(sink->ctx, sh->index, RECORD_COMMON, log_end_key(sh, room));
}

bool
shard_log_known(const struct shard *sh)
{
	return sh->log.end.stored;
}

uint64_t
shard_log_next(const struct shard *sh)
{
	return sh->log.end.next;
}

void
log_fini(struct shard *sh)
{
	buf_fini(&sh->log.record);
	for (size_t i = 0; i < sizeof(sh->log.parts) / sizeof(sh->log.parts[0]); i++)
		buf_fini(&sh->log.parts[i]);
}

/* ---- a record ---- */

uint64_t
log_append(struct shard *sh, struct event *e, const struct hub_env *env)
{
	enum record_kind family = event_is_message(e->kind) ? RECORD_LOG : RECORD_CHANGES;
	uint64_t position = sh->log.end.next;
	struct buf *record = &sh->log.record;
	char key[EVENT_KEY];

	undo_logged(env->undo, sh, family);
	if (env->now_us > sh->log.end.time_us)
		sh->log.end.time_us = env->now_us;
	if (sh->epoch.at_us > sh->log.end.time_us)
		sh->log.end.time_us = sh->epoch.at_us;
	e->time_us = sh->log.end.time_us;
	record->n = 0;
	event_encode(record, e);
	event_key(key, sh->index, position);
	sh->log.end.next = position + 1;
	sh->log.end.stored = true;
	env->put(env->ctx, sh->index, family, (struct str){ key, sizeof(key) }, buf_view(record));
	return position;
}

struct log_cause
log_because(struct shard *sh, enum actor_kind actor, struct str name)
{
	struct log_cause was = sh->log.cause;

	sh->log.cause = (struct log_cause){ .actor = actor, .name = name };
	return was;
}

/* Of this row, by the cause. */
static struct event
event_of(const struct shard *sh, const struct row *r, enum event_kind kind)
{
	return (struct event){ .kind = kind,
		.actor = sh->log.cause.actor,
		.actor_name = sh->log.cause.name,
		.device = row_device(r),
		.module = row_module(r),
		.fields[EVENT_CAUSE] = event_is_message(kind) ? STR_NONE : sh->log.cause.why };
}

uint64_t
log_notice(struct shard *sh, struct event *e, const struct hub_env *env)
{
	e->actor = sh->log.cause.actor;
	e->actor_name = sh->log.cause.name;
	return log_append(sh, e, env);
}

void
log_sent(struct shard *sh, const struct row *r, enum event_kind kind, struct str body,
    const struct hub_env *env)
{
	struct event e = event_of(sh, r, kind);
	struct identity id;

	if (!env_logs(env)->telemetry)
		return;
	row_read_identity(r, &id);
	e.numbers[EVENT_GENERATION] = id.generation;
	e.numbers[EVENT_AUTHENTICATION] = (uint64_t)id.auth;
	e.fields[EVENT_BODY] = body;
	log_append(sh, &e, env);
}

/* ---- an identity comes, changes, goes ---- */

/* The record without what nobody may read; its place in `parts`. */
static struct str
identity_public(struct shard *sh, unsigned part, struct str record)
{
	struct buf *b = &sh->log.parts[part];
	struct identity id;

	b->n = 0;
	if (!identity_decode(record, &id))
		return STR_NONE;
	id.keys[0] = id.keys[1] = STR_NONE;
	identity_encode(b, &id);
	return buf_view(b);
}

static uint64_t
generation_of(const struct row *r)
{
	struct identity id;

	row_read_identity(r, &id);
	return id.generation;
}

/* The whole identity: all that its records say. */
static void
event_whole(struct shard *sh, const struct row *r, struct event *e)
{
	e->numbers[EVENT_GENERATION] = generation_of(r);
	e->numbers[EVENT_VERSION] = r->counter + r->reported_version;
	e->numbers[EVENT_COUNTER] = r->counter;
	e->fields[EVENT_WANTED] = blob_str(r->records[RECORD_WANTED]);
	e->fields[EVENT_REPORTED] = blob_str(r->records[RECORD_REPORTED]);
	e->fields[EVENT_IDENTITY] = identity_public(sh, 0, blob_str(r->records[RECORD_IDENTITY]));
}

void
log_create_begin(struct shard *sh)
{
	assert(sh->log.whole == 0);
	sh->log.whole = sh->log.end.next;
}

void
log_create_end(struct shard *sh, const struct row *r, const struct hub_env *env)
{
	struct event e = event_of(sh, r, EVENT_CREATED);

	event_whole(sh, r, &e);
	log_append(sh, &e, env);
	assert(sh->log.end.next == sh->log.whole + 1);
	sh->log.whole = 0;
}

void
log_deleted(struct shard *sh, const struct row *r, const struct hub_env *env)
{
	struct event e = event_of(sh, r, EVENT_DELETED);

	event_whole(sh, r, &e);
	for (int k = RECORD_IDENTITY; k <= RECORD_REPORTED; k++)
		e.numbers[EVENT_BEFORE_IDENTITY + k] = record_head(blob_str(r->records[k]));
	log_append(sh, &e, env);
}

/* ---- a record of an identity changes ---- */

/* A section's part of the event; false: it is as it was. */
static bool
take_section(struct shard *sh, struct event *e, const struct section *old,
    const struct section *new, enum section_kind kind)
{
	struct buf *was = &sh->log.parts[kind], *patch = &sh->log.parts[SECTION_KINDS + kind];

	was->n = patch->n = 0;
	if (str_eq(old->bytes, new->bytes) || !section_delta(old, new, kind, was, patch))
		return false;
	e->fields[EVENT_WAS_TAGS + kind] = buf_view(was);
	e->fields[EVENT_PATCH_TAGS + kind] = buf_view(patch);
	return true;
}

/* A record that no twin can be made of is not one to be compared: it tells nothing. */
static bool
take_wanted(struct shard *sh, const struct row *r, struct event *e, struct str old, struct str new)
{
	struct wanted was, is;
	bool changed;

	if (!wanted_decode(old, &was) || !wanted_decode(new, &is))
		return false;
	changed = was.counter != is.counter;
	changed |= take_section(sh, e, &was.tags, &is.tags, SECTION_TAGS);
	changed |= take_section(sh, e, &was.desired, &is.desired, SECTION_DESIRED);
	e->numbers[EVENT_COUNTER] = is.counter;
	e->numbers[EVENT_WAS_COUNTER] = was.counter;
	assert(r->reported_version != 0); /* row_version_needs */
	e->numbers[EVENT_VERSION] = is.counter + r->reported_version;
	if (sh->log.cause.replaces && r->records[RECORD_REPORTED] != NULL) {
		e->kind = EVENT_TWIN_REPLACED;
		e->fields[EVENT_WANTED] = new;
		e->fields[EVENT_REPORTED] = blob_str(r->records[RECORD_REPORTED]);
	}
	return changed;
}

static bool
take_reported(
    struct shard *sh, const struct row *r, struct event *e, struct str old, struct str new)
{
	struct section was, is;
	int64_t activity_us;

	if (!reported_decode(old, &activity_us, &was) || !reported_decode(new, &activity_us, &is) ||
	    !take_section(sh, e, &was, &is, SECTION_REPORTED))
		return false;
	assert(r->counter != 0); /* row_version_needs */
	e->numbers[EVENT_COUNTER] = r->counter;
	e->numbers[EVENT_VERSION] = r->counter + is.version;
	return true;
}

static bool
take_identity(
    struct shard *sh, const struct row *r, struct event *e, struct str old, struct str new)
{
	e->kind = EVENT_IDENTITY_CHANGED;
	e->numbers[EVENT_GENERATION] = generation_of(r);
	e->fields[EVENT_WAS_IDENTITY] = identity_public(sh, 0, old);
	e->fields[EVENT_IDENTITY] = identity_public(sh, 1, new);
	return true;
}

uint64_t
log_record_written(struct shard *sh, const struct row *r, enum record_kind kind,
    const struct blob *old, struct str bytes, const struct hub_env *env)
{
	static bool (*const take[])(
	    struct shard *, const struct row *, struct event *, struct str, struct str) = {
		[RECORD_IDENTITY] = take_identity,
		[RECORD_WANTED] = take_wanted,
		[RECORD_REPORTED] = take_reported,
	};
	struct event e = event_of(sh, r, EVENT_TWIN_CHANGED);

	if (sh->log.whole != 0)
		return sh->log.whole;
	if (old == NULL || old == &blob_none)
		return 0; /* nothing was known of it, so nothing has changed */
	e.numbers[EVENT_BEFORE_IDENTITY + kind] = record_head(blob_str(old));
	if (!take[kind](sh, r, &e, blob_str(old), bytes))
		return record_head(blob_str(old));
	return log_append(sh, &e, env);
}
