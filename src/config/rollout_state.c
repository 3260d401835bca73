/*
 * The state of a rollout: stored, and shown.
 *
 *   format | status | step | generation | bound | waves begun | accepted | each begun wave | events | each event
 *   wave    targeted | applied | succeeded | failed | started | soaking | ended        (varints, all of it)
 *   event   time | kind | wave | reason | actor
 */
#include "config/rollout_priv.h"

#define FORMAT 1

static void
put_time(struct buf *out, int64_t us)
{
	buf_varint(out, (uint64_t)us);
}

static void
encode_wave(struct buf *out, const struct rollout_progress *p)
{
	buf_varint(out, p->counts.targeted);
	buf_varint(out, p->counts.applied);
	buf_varint(out, p->counts.succeeded);
	buf_varint(out, p->counts.failed);
	put_time(out, p->started_us);
	put_time(out, p->soaking_us);
	put_time(out, p->ended_us);
}

void
rollout_encode(struct buf *out, const struct rollout *r)
{
	buf_putc(out, FORMAT);
	buf_putc(out, (char)r->status);
	buf_varint(out, r->step);
	buf_varint(out, r->generation);
	buf_varint(out, r->bound);
	buf_varint(out, r->begun);
	buf_varint(out, r->accepted);
	for (uint32_t i = 0; i < r->begun; i++)
		encode_wave(out, &r->progress[i]);
	buf_varint(out, r->nevent);
	for (uint32_t i = 0; i < r->nevent; i++) {
		put_time(out, r->events[i].time_us);
		buf_putc(out, (char)r->events[i].kind);
		buf_varint(out, r->events[i].wave);
		buf_lstr(out, str_of(r->events[i].reason));
		buf_lstr(out, str_of(r->events[i].actor));
	}
}

static void
decode_wave(struct rd *rd, struct rollout_progress *p)
{
	p->counts.targeted = rd_varint(rd);
	p->counts.applied = rd_varint(rd);
	p->counts.succeeded = rd_varint(rd);
	p->counts.failed = rd_varint(rd);
	p->started_us = (int64_t)rd_varint(rd);
	p->soaking_us = (int64_t)rd_varint(rd);
	p->ended_us = (int64_t)rd_varint(rd);
}

static bool
take_text(struct rd *rd, char *out, size_t room)
{
	struct str s = rd_lstr(rd);

	if (s.n >= room || !utf8_valid(s))
		return false;
	if (s.n > 0)
		memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

static bool
decode_event(struct rd *rd, struct rollout_event *e)
{
	e->time_us = (int64_t)rd_varint(rd);
	e->kind = rd_u8(rd);
	e->wave = (uint32_t)rd_varint(rd);
	return take_text(rd, e->reason, sizeof(e->reason)) &&
	    take_text(rd, e->actor, sizeof(e->actor)) && e->kind < HAPPENINGS;
}

bool
rollout_decode(struct rollout *r, struct str bytes)
{
	struct rd rd = rd_of(bytes);
	uint64_t begun, nevent;

	if (rd_u8(&rd) != FORMAT)
		return false;
	r->status = (enum rollout_status)rd_u8(&rd);
	r->step = rd_varint(&rd);
	r->generation = rd_varint(&rd);
	r->bound = rd_varint(&rd);
	begun = rd_varint(&rd);
	r->accepted = rd_varint(&rd);
	if (r->status >= ROLLOUT_STATUSES || r->bound > ROLLOUT_ALL || begun > r->nwave ||
	    (begun == 0 && (r->status == ROLLOUT_RUNNING || r->status == ROLLOUT_SOAKING)) ||
	    (begun == r->nwave && r->status == ROLLOUT_PENDING))
		return false;
	r->begun = (uint32_t)begun;
	for (uint32_t i = 0; i < r->begun; i++)
		decode_wave(&rd, &r->progress[i]);
	nevent = rd_varint(&rd);
	if (nevent > ROLLOUT_HISTORY_MAX)
		return false;
	r->nevent = (uint32_t)nevent;
	for (uint32_t i = 0; i < r->nevent; i++)
		if (!decode_event(&rd, &r->events[i]))
			return false;
	return !rd.bad && rd.p == rd.end;
}

/* ---- as the API shows it ---- */

static const char *const happening_names[HAPPENINGS] = { [HAPPENED_CREATED] = "created",
	[HAPPENED_WAVE] = "waveStarted",
	[HAPPENED_SOAK] = "soakStarted",
	[HAPPENED_SOAK_BROKEN] = "soakBroken",
	[HAPPENED_HALTED] = "halted",
	[HAPPENED_RESUMED] = "resumed",
	[HAPPENED_ADVANCED] = "advanced",
	[HAPPENED_COMPLETED] = "completed",
	[HAPPENED_ROLLBACK] = "rollbackStarted",
	[HAPPENED_ROLLED_BACK] = "rolledBack",
	[HAPPENED_PLANNED] = "planChanged",
	[HAPPENED_BLIND] = "notCounted" };

static void
write_time(struct buf *json, const char *name, int64_t us)
{
	char t[TIME_TEXT_MAX];
	size_t n;

	if (us == 0)
		return;
	n = time_format(us, t);
	buf_printf(json, ",\"%s\":\"" STR_FMT "\"", name, (int)n, t);
}

static const char *
wave_status(const struct rollout *r, uint32_t i)
{
	if (r->progress[i].ended_us != 0)
		return "completed";
	return rollout_status_names[r->status].p;
}

static void
write_wave(struct buf *json, const struct rollout *r, uint32_t i, const struct rollout_counts *n)
{
	const struct rollout_progress *p = &r->progress[i];

	if (n == NULL)
		n = &p->counts;
	buf_printf(json,
	    "%s{\"wave\":%u,\"status\":\"%s\",\"targeted\":%llu,\"applied\":%llu,\"succeeded\":%"
	    "llu,"
	    "\"failed\":%llu",
	    i > 0 ? "," : "", i + 1, wave_status(r, i), (unsigned long long)n->targeted,
	    (unsigned long long)n->applied, (unsigned long long)n->succeeded,
	    (unsigned long long)n->failed);
	write_time(json, "startedTimeUtc", p->started_us);
	write_time(json, "soakingSinceTimeUtc", p->soaking_us);
	write_time(json, "endedTimeUtc", p->ended_us);
	buf_putc(json, '}');
}

static void
write_event(struct buf *json, const struct rollout_event *e, bool first)
{
	buf_printf(json, "%s{\"event\":\"%s\",\"wave\":%u", first ? "" : ",",
	    happening_names[e->kind], e->wave);
	write_time(json, "timeUtc", e->time_us);
	if (e->reason[0] != '\0') {
		buf_cstr(json, ",\"reason\":");
		doc_write_json_str(json, str_of(e->reason));
	}
	if (e->actor[0] != '\0') {
		buf_cstr(json, ",\"by\":");
		doc_write_json_str(json, str_of(e->actor));
	}
	buf_putc(json, '}');
}

void
rollout_write(struct buf *json, const struct rollout *r, const struct rollout_counts *counts)
{
	buf_printf(json, "{\"status\":\"%s\",\"run\":%llu,\"wave\":%u,\"waves\":[",
	    rollout_status_names[r->status].p, (unsigned long long)r->generation, r->begun);
	for (uint32_t i = 0; i < r->begun; i++)
		write_wave(
		    json, r, i, i + 1 == r->begun && r->progress[i].ended_us == 0 ? counts : NULL);
	buf_cstr(json, "],\"history\":[");
	for (uint32_t i = 0; i < r->nevent; i++)
		write_event(json, &r->events[i], i == 0);
	buf_cstr(json, "]}");
}
