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

static const char *
wave_status(const struct rollout *r, uint32_t i)
{
	if (r->progress[i].ended_us != 0)
		return "completed";
	return rollout_status_names[r->status].p;
}

static void
put_wave(struct out *o, const struct rollout *r, uint32_t i, const struct rollout_counts *n)
{
	const struct rollout_progress *p = &r->progress[i];

	if (n == NULL)
		n = &p->counts;
	out_open(o);
	out_u64(out_key(o, "wave"), i + 1);
	out_cstr(out_key(o, "status"), wave_status(r, i));
	out_u64(out_key(o, "targeted"), n->targeted);
	out_u64(out_key(o, "applied"), n->applied);
	out_u64(out_key(o, "succeeded"), n->succeeded);
	out_u64(out_key(o, "failed"), n->failed);
	out_some_time(o, "startedTimeUtc", p->started_us);
	out_some_time(o, "soakingSinceTimeUtc", p->soaking_us);
	out_some_time(o, "endedTimeUtc", p->ended_us);
	out_close(o);
}

static void
put_event(struct out *o, const struct rollout_event *e)
{
	out_open(o);
	out_cstr(out_key(o, "event"), happening_names[e->kind]);
	out_u64(out_key(o, "wave"), e->wave);
	out_some_time(o, "timeUtc", e->time_us);
	out_some_str(o, "reason", str_of(e->reason));
	out_some_str(o, "by", str_of(e->actor));
	out_close(o);
}

void
rollout_put(struct out *o, const struct rollout *r, const struct rollout_counts *counts)
{
	out_open(o);
	out_str(out_key(o, "status"), rollout_status_names[r->status]);
	out_u64(out_key(o, "run"), r->generation);
	out_u64(out_key(o, "wave"), r->begun);
	out_list(out_key(o, "waves"));
	for (uint32_t i = 0; i < r->begun; i++)
		put_wave(
		    o, r, i, i + 1 == r->begun && r->progress[i].ended_us == 0 ? counts : NULL);
	out_close(o);
	out_list(out_key(o, "history"));
	for (uint32_t i = 0; i < r->nevent; i++)
		put_event(o, &r->events[i]);
	out_close(o);
	out_close(o);
}
