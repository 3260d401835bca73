/*
 * A twin as it was, and what has happened to it (docs/spec/events.md 7): GET /twins/{id}/history, GET /twins/{id}?at= and ?atVersion=. The
 * feed's thread reads, some records at a time; the request waits.
 */
#include "http/priv.h"

#include <stdlib.h>

#include "feed/feed.h"

#define HISTORY_STEP      64u   /* records read at a time, between turns of readers of events */
#define HISTORY_PAGE      100u  /* entries, if nothing is said */
#define HISTORY_PAGE_MAX  1000u /* and at most */
#define HISTORY_BYTES_MAX (4u << 20) /* of a page: it ends with the entry that goes over it */
#define HISTORY_ASKED     16u        /* at a time, of a loop */
#define HISTORY_BACK_MAX  100000u    /* changes that a twin is taken back by */

enum history_kind { HISTORY_PAGE_OF, HISTORY_AT_TIME, HISTORY_AT_VERSION };

struct history {
	struct msg msg, back;
	struct http_loop *hl;
	struct feed *feed;
	struct reply_to to;
	enum history_kind kind;
	int64_t time_us;
	uint64_t version;
	uint64_t generation; /* of a continuation; 0: none */
	uint32_t left;       /* entries, or changes */
	uint32_t shard;
	struct str device, module;
	struct past past;
	bool begun;
	bool homed;        /* of a module: its device is there */
	bool then;         /* the twin is as it was then; only its version is looked for */
	int64_t oldest_us; /* of the records read */
	struct buf record, json, mark, ids;
	struct fault fault;
};

static void
history_free(struct history *h)
{
	past_fini(&h->past);
	buf_fini(&h->record);
	buf_fini(&h->json);
	buf_fini(&h->mark);
	buf_fini(&h->ids);
	free(h);
}

/* ---- on the feed's thread ---- */

static void
fail(struct history *h, enum err e)
{
	if (e == ERR_NOT_FOUND && h->module.n != 0 && h->homed)
		fault_set(&h->fault, F_ModuleNotFound, STR_FMT "/" STR_FMT, STR_ARG(h->device),
		    STR_ARG(h->module));
	else if (e == ERR_NOT_FOUND)
		fault_set(&h->fault, F_DeviceNotFound, STR_FMT, STR_ARG(h->device));
	else
		fault_set(&h->fault, F_ServerError, "the event log cannot be read");
}

static void
put_twin(struct history *h)
{
	past_write(&h->json, &h->past, h->device, h->module);
}

/* 410: what was before the oldest record is not known. */
static void
not_kept(struct history *h, int64_t kept_us)
{
	char text[TIME_TEXT_MAX];
	size_t n;

	if (h->oldest_us != 0 && h->oldest_us < kept_us)
		kept_us = h->oldest_us;
	n = kept_us == INT64_MAX ? 0 : time_format(kept_us, text);
	if (n == 0)
		fault_set(&h->fault, F_HistoryNotKept, "nothing of what was before is kept");
	else
		fault_set(
		    &h->fault, F_HistoryNotKept, "what is kept goes back to %.*s", (int)n, text);
}

/* There is no older record of the twin. That says nothing of a time from which on all changes are kept: it was so already then. */
static void
at_end(struct history *h)
{
	char text[TIME_TEXT_MAX];
	int64_t kept_us;

	if (h->past.begun) {
		size_t n = time_format(h->oldest_us, text);

		fault_set(&h->fault, F_GenericNotFound, "the twin was made at %.*s", (int)n, text);
	} else if (feed_kept_since(h->feed, &kept_us) != ERR_OK) {
		fail(h, ERR_IO);
	} else if (h->past.version != 0 && h->kind == HISTORY_AT_TIME && h->time_us >= kept_us) {
		put_twin(h);
	} else if (h->past.version != 0 && h->kind == HISTORY_AT_VERSION &&
	    h->past.version == h->version) {
		put_twin(h);
	} else {
		not_kept(h, kept_us);
	}
}

static enum err
begin(struct history *h)
{
	struct past as = { .begun = false };
	uint64_t generation;
	enum err e = feed_twin(h->feed, h->device, h->module, &h->past);

	if (e == ERR_NOT_FOUND && h->module.n != 0) {
		struct past home = { .begun = false };

		h->homed = feed_twin(h->feed, h->device, STR_NONE, &home) == ERR_OK;
		past_fini(&home);
	}
	if (e != ERR_OK || h->mark.n == 0)
		return e;
	if (!past_mark_read(buf_view(&h->mark), &as, &generation) ||
	    generation != h->past.generation) {
		fault_set(&h->fault, F_ArgumentInvalid,
		    "the continuation is damaged, or of a twin that has been made anew");
		return ERR_OK;
	}
	memcpy(h->past.heads, as.heads, sizeof(as.heads));
	return ERR_OK;
}

/* Is this record of the time that is asked for, so that the twin stands as it left it? */
static bool
is_then(const struct history *h, const struct event *e)
{
	if (h->kind == HISTORY_AT_TIME)
		return e->time_us <= h->time_us;
	return e->numbers[EVENT_VERSION] != 0 && e->numbers[EVENT_VERSION] <= h->version;
}

static void
put_entry(struct history *h, const struct event *e, uint64_t at)
{
	if (h->json.n != 0)
		buf_putc(&h->json, ',');
	past_entry(&h->json, e, h->shard, at);
	past_pass(&h->past, e, at);
	h->left--;
}

/* The next older record. True: there is more to do. */
static bool
step(struct history *h)
{
	uint64_t at = past_next(&h->past);
	struct event e;
	enum err err;

	h->record.n = 0;
	if (at == 0)
		err = ERR_NOT_FOUND;
	else
		err = feed_record(h->feed, h->shard, at, &h->record);
	if (err == ERR_NOT_FOUND) {
		if (h->kind != HISTORY_PAGE_OF)
			at_end(h);
		memset(h->past.heads, 0, sizeof(h->past.heads));
		return false;
	}
	if (err != ERR_OK || event_decode(buf_view(&h->record), &e) != ERR_OK || !told_sound(&e)) {
		fail(h, ERR_CORRUPT);
		return false;
	}
	h->oldest_us = e.time_us;
	if (h->kind == HISTORY_PAGE_OF) {
		put_entry(h, &e, at);
		return h->left != 0 && h->json.n < HISTORY_BYTES_MAX;
	}
	h->then = h->then || is_then(h, &e);
	past_learn(&h->past, &e);
	if (h->then && h->past.version != 0) {
		if (h->kind == HISTORY_AT_VERSION && h->past.version != h->version)
			fault_set(&h->fault, F_GenericNotFound, "no step had version %llu",
			    (unsigned long long)h->version);
		else
			put_twin(h);
		return false;
	}
	if (h->then) {
		past_pass(&h->past, &e, at);
		return true;
	}
	if (h->left-- == 0) {
		fault_set(&h->fault, F_HistoryNotKept, "more than %u changes have been since",
		    HISTORY_BACK_MAX);
		return false;
	}
	if (past_take_back(&h->past, &e, at) != ERR_OK) {
		fail(h, ERR_CORRUPT);
		return false;
	}
	return true;
}

static void
on_read(struct msg *m)
{
	struct history *h = container_of(m, struct history, msg);
	bool more = true;
	enum err e;

	if (!h->begun) {
		h->begun = true;
		e = begin(h);
		if (e != ERR_OK)
			fail(h, e);
	}
	for (unsigned i = 0; i < HISTORY_STEP && more && h->fault.code == F_NONE; i++)
		more = step(h);
	if (more && h->fault.code == F_NONE)
		feed_run(h->feed, &h->msg);
	else
		loop_post(h->hl->loop, &h->back);
}

/* ---- on the loop ---- */

static void
on_back(struct msg *m)
{
	struct history *h = container_of(m, struct history, back);
	struct request *r = request_of(h->hl, h->to);

	h->hl->nhistory--;
	if (r != NULL && h->fault.code != F_NONE) {
		reply_fault(r, &h->fault);
	} else if (r != NULL && h->kind == HISTORY_PAGE_OF) {
		if (past_next(&h->past) != 0) {
			h->mark.n = 0;
			past_mark_write(&h->mark, &h->past);
			buf_putc(&h->mark, '\0');
			add_header(r, "x-ms-continuation", h->mark.p);
		}
		body_str(r, STR("["));
		body_str(r, buf_view(&h->json));
		body_str(r, STR("]"));
		reply_body(r, 200, NULL);
	} else if (r != NULL) {
		reply_json(r, 200, buf_view(&h->json));
	}
	history_free(h);
}

static struct history *
history_new(struct request *r, enum history_kind kind, uint32_t left)
{
	struct history *h = xcalloc(1, sizeof(*h));
	struct str module = path_module(r);

	h->msg.run = on_read;
	h->back.run = on_back;
	h->hl = r->hl;
	h->feed = r->hl->o.feed;
	h->kind = kind;
	h->left = left;
	h->to = request_address(r);
	buf_str(&h->ids, r->segment[1]);
	buf_str(&h->ids, module);
	h->device = (struct str){ h->ids.p, r->segment[1].n };
	h->module = str_sub(buf_view(&h->ids), h->device.n);
	h->shard = hub_shard_of(h->device);
	return h;
}

/* At most HISTORY_ASKED of a loop at a time: each has a twin in memory. */
static void
history_goes(struct request *r, struct history *h, const struct fault *f)
{
	if (f->code != F_NONE) {
		reply_fault(r, f);
		history_free(h);
	} else if (r->hl->nhistory == HISTORY_ASKED) {
		reply_error(r, F_ThrottlingException,
		    "%u questions about the past are under way, which is the limit", HISTORY_ASKED);
		history_free(h);
	} else {
		r->hl->nhistory++;
		feed_run(h->feed, &h->msg);
	}
}

void
on_twin_history(struct request *r)
{
	struct str mark = request_header(r, "x-ms-continuation"),
	           most = request_header(r, "x-ms-max-item-count");
	static const char *const known[] = { "api-version" };
	struct history *h = history_new(r, HISTORY_PAGE_OF, HISTORY_PAGE);
	struct fault f = { 0 };
	int64_t n;

	if (request_knows(r, known, 1, &f) == ERR_OK && most.n != 0) {
		if (!text_to_int(most, 1, INT64_MAX, &n))
			fault_set(
			    &f, F_ArgumentInvalid, "x-ms-max-item-count is not a positive number");
		else
			h->left = n > HISTORY_PAGE_MAX ? HISTORY_PAGE_MAX : (uint32_t)n;
	}
	buf_str(&h->mark, mark);
	history_goes(r, h, &f);
}

bool
on_twin_past(struct request *r)
{
	struct str at = request_param(r, "at"), version = request_param(r, "atVersion");
	struct history *h;
	struct fault f = { 0 };
	int64_t n;

	if (at.n == 0 && version.n == 0)
		return false;
	h = history_new(r, at.n != 0 ? HISTORY_AT_TIME : HISTORY_AT_VERSION, HISTORY_BACK_MAX);
	if (at.n != 0 && version.n != 0)
		fault_set(&f, F_ArgumentInvalid, "at and atVersion exclude each other");
	else if (at.n != 0 && !time_parse(at, &h->time_us))
		fault_set(&f, F_ArgumentInvalid, "at is not a time, as 2026-11-29T10:00:00Z");
	else if (version.n != 0 && !text_to_int(version, 1, INT64_MAX, &n))
		fault_set(&f, F_ArgumentInvalid, "atVersion is not a positive number");
	else if (version.n != 0)
		h->version = (uint64_t)n;
	history_goes(r, h, &f);
	return true;
}
