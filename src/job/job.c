/*
 * Jobs as values: the stored form, the parts made ready for the work, and what the API shows.
 *
 *   record   format | number | status | stop | settled | created | start | began | stopped | end | max_s | rate
 *            | counts (all varints) | failure | id (each with its length) | body (a doc, to the end)
 */
#include "job/job.h"

#include <stdlib.h>

#include "hub/hub.h"

#define FORMAT 1

static const struct {
	const char *name, *member;
} types[JOB_TYPES] = {
	[JOB_TWIN] = { "scheduleUpdateTwin", "updateTwin" },
	[JOB_METHOD] = { "scheduleDeviceMethod", "cloudToDeviceMethod" },
	[JOB_MESSAGE] = { "scheduleDeviceMessage", "cloudToDeviceMessage" },
	[JOB_RESTORE] = { "scheduleRestoreTwin", "restoreTwin" },
};

const char *
job_type_name(enum job_type t)
{
	return types[t].name;
}

const char *
job_type_member(enum job_type t)
{
	return types[t].member;
}

enum job_type
job_type_find(struct str name)
{
	unsigned t = 0;

	while (t < JOB_TYPES && !str_ieq(name, str_of(types[t].name)))
		t++;
	return (enum job_type)t;
}

const char *
job_status_name(enum job_status s)
{
	static const char *const names[JOB_STATUSES] = { "queued", "scheduled", "running",
		"completed", "failed", "cancelled" };

	return names[s];
}

/* ---- the record ---- */

static void
put_counts(struct buf *out, const struct job_counts *c)
{
	buf_varint(out, c->devices);
	buf_varint(out, c->succeeded);
	buf_varint(out, c->failed);
	buf_varint(out, c->running);
	buf_varint(out, c->bytes);
}

static void
take_counts(struct rd *rd, struct job_counts *c)
{
	c->devices = rd_varint(rd);
	c->succeeded = rd_varint(rd);
	c->failed = rd_varint(rd);
	c->running = rd_varint(rd);
	c->bytes = rd_varint(rd);
}

void
job_encode(struct buf *out, const struct job *j, const struct job_state *state)
{
	buf_putc(out, FORMAT);
	buf_varint(out, j->number);
	buf_putc(out, (char)state->status);
	buf_putc(out, (char)state->stop);
	buf_putc(out, (char)state->settled);
	buf_varint(out, (uint64_t)j->created_us);
	buf_varint(out, (uint64_t)j->start_us);
	buf_varint(out, (uint64_t)state->began_us);
	buf_varint(out, (uint64_t)state->stopped_us);
	buf_varint(out, (uint64_t)state->end_us);
	buf_varint(out, (uint64_t)j->max_s);
	buf_varint(out, j->rate);
	put_counts(out, &state->counts);
	buf_lstr(out, state->failure);
	buf_lstr(out, j->id);
	buf_str(out, doc_bytes(j->body));
}

static struct str
text_of(struct doc d)
{
	return doc_kind(d) == DOC_STRING ? doc_str(d) : STR_NONE;
}

static enum err
take_twin(struct job *j, struct doc work)
{
	j->patch = work;
	return doc_kind(j->patch) == DOC_OBJECT ? ERR_OK : ERR_CORRUPT;
}

static enum err
take_method(struct job *j, struct doc work)
{
	struct buf payload = { 0 };
	struct method_ask ask;
	enum err e = method_ask_take(work, &ask, &payload, NULL);

	j->method = ask.name;
	j->payload = arena_str(&j->arena, buf_view(&payload));
	j->response_s = ask.response_s;
	j->connect_s = ask.connect_s;
	buf_fini(&payload);
	return e == ERR_OK ? ERR_OK : ERR_CORRUPT;
}

static enum err
take_message(struct job *j, struct doc work)
{
	struct buf payload = { 0 };
	struct op_message m = { 0 };
	enum err e = message_ask_take(work, &m, &j->message.life_s, &payload, NULL);

	j->payload = arena_str(&j->arena, buf_view(&payload));
	j->message.ack = (uint8_t)m.ack;
	j->message.bag_bytes = m.bag_bytes;
	j->message.named =
	    message_property_find((struct str){ j->payload.p, m.bag_bytes }, BAG_MESSAGE_ID).n > 0;
	buf_fini(&payload);
	return e == ERR_OK ? ERR_OK : ERR_CORRUPT;
}

static enum err
take_restore(struct job *j, struct doc work)
{
	return time_parse(text_of(doc_getc(work, "at")), &j->at_us) ? ERR_OK : ERR_CORRUPT;
}

/* What the body says of the work itself, checked when it came. */
static enum err
take_work(struct job *j)
{
	static enum err (*const take[JOB_TYPES])(
	    struct job * j, struct doc work) = { [JOB_TWIN] = take_twin,
		[JOB_METHOD] = take_method,
		[JOB_MESSAGE] = take_message,
		[JOB_RESTORE] = take_restore };
	struct str condition = text_of(doc_getc(j->body, "queryCondition"));

	if (query_parse_condition(condition, &j->target, NULL) != ERR_OK)
		return ERR_CORRUPT;
	j->type = job_type_find(text_of(doc_getc(j->body, "type")));
	if (j->type == JOB_TYPES)
		return ERR_CORRUPT;
	return take[j->type](j, doc_get(j->body, str_of(job_type_member(j->type))));
}

static enum err
decode(struct job *j)
{
	struct rd rd = rd_of(j->record);
	struct job_state *s = &j->state;
	struct str body;

	if (rd_u8(&rd) != FORMAT)
		return ERR_CORRUPT;
	j->number = rd_varint(&rd);
	s->status = (enum job_status)rd_u8(&rd);
	s->stop = (enum job_stop)rd_u8(&rd);
	s->settled = rd_u8(&rd) != 0;
	j->created_us = (int64_t)rd_varint(&rd);
	j->start_us = (int64_t)rd_varint(&rd);
	s->began_us = (int64_t)rd_varint(&rd);
	s->stopped_us = (int64_t)rd_varint(&rd);
	s->end_us = (int64_t)rd_varint(&rd);
	j->max_s = (int64_t)rd_varint(&rd);
	j->rate = (uint32_t)rd_varint(&rd);
	take_counts(&rd, &s->counts);
	s->failure = rd_lstr(&rd);
	j->id = rd_lstr(&rd);
	body = (struct str){ (const char *)rd.p, (size_t)(rd.end - rd.p) };
	if (rd.bad || s->status >= JOB_STATUSES || s->stop >= JOB_STOPS || j->number == 0 ||
	    !id_valid(j->id) || !doc_valid(body, 0, DOC_DEPTH_MAX))
		return ERR_CORRUPT;
	j->body = doc_of(body);
	return take_work(j);
}

enum err
job_new(struct str record, struct job **out)
{
	struct job *j = xcalloc(1, sizeof(*j));
	enum err e;

	refs_init(&j->refs);
	j->pace = xcalloc(1, sizeof(*j->pace));
	refs_init(&j->pace->refs);
	j->record = arena_str(&j->arena, record);
	if ((e = decode(j)) == ERR_OK)
		*out = j;
	else
		job_unref(j);
	return e;
}

struct job *
job_ref(struct job *j)
{
	refs_take(&j->refs);
	return j;
}

static void
pace_unref(struct job_pace *pace)
{
	if (refs_drop(&pace->refs))
		free(pace);
}

void
job_unref(struct job *j)
{
	if (j == NULL || !refs_drop(&j->refs))
		return;
	pace_unref(j->pace);
	query_free(j->target);
	arena_fini(&j->arena);
	free(j);
}

struct str
job_condition(const struct job *j)
{
	return text_of(doc_getc(j->body, "queryCondition"));
}

/* ---- sets ---- */

struct jobs *
jobs_ref(struct jobs *set)
{
	refs_take(&set->refs);
	return set;
}

void
jobs_unref(struct jobs *set)
{
	if (set == NULL || !refs_drop(&set->refs))
		return;
	for (uint32_t i = 0; i < set->n; i++)
		job_unref(set->v[i]);
	free(set);
}

struct jobs *
jobs_with(const struct jobs *set, uint64_t number, struct job *j)
{
	uint32_t n = set != NULL ? set->n : 0, from = set != NULL ? jobs_from(set, number) : 0;
	struct jobs *next = xcalloc(1, sizeof(*next) + (n + 1) * sizeof(next->v[0]));

	refs_init(&next->refs);
	for (uint32_t i = 0; i < from; i++)
		next->v[next->n++] = job_ref(set->v[i]);
	if (j != NULL)
		next->v[next->n++] = job_ref(j);
	for (uint32_t i = from; i < n; i++)
		if (set->v[i]->number != number)
			next->v[next->n++] = job_ref(set->v[i]);
	return next;
}

struct job *
jobs_find(const struct jobs *set, struct str id)
{
	for (uint32_t i = 0; set != NULL && i < set->n; i++)
		if (str_eq(set->v[i]->id, id))
			return set->v[i];
	return NULL;
}

uint32_t
jobs_from(const struct jobs *set, uint64_t number)
{
	uint32_t lo = 0, hi = set->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (set->v[mid]->number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct job *
jobs_number(const struct jobs *set, uint64_t number)
{
	uint32_t i = set != NULL ? jobs_from(set, number) : 0;

	return set != NULL && i < set->n && set->v[i]->number == number ? set->v[i] : NULL;
}

void
jobs_go_on(struct jobs *set, const struct jobs *former)
{
	for (uint32_t i = 0; i < set->n; i++) {
		struct job *j = set->v[i], *was = jobs_number(former, j->number);

		if (was == NULL || was->pace == j->pace)
			continue;
		refs_take(&was->pace->refs);
		pace_unref(j->pace);
		j->pace = was->pace;
	}
}
