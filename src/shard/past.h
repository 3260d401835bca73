/*
 * past: a twin as it was, made of what it is and of the log's records about it, the newest first (docs/spec/events.md 7). Pure: whoever reads the
 * store gives the records.
 *
 *	past_begin(&p, identity, wanted, reported);     as the store has them, of one moment
 *	while ((at = past_next(&p)) != 0) {             the position of the newest record that is not taken back yet
 *		event_decode(record at it, &e);
 *		past_take_back(&p, &e, at);
 *	}
 */
#ifndef TWINHUB_SHARD_PAST_H
#define TWINHUB_SHARD_PAST_H

#include "query/rows.h"
#include "shard/told.h"

#define PAST_CHAINS 3u /* identity; tags and desired; reported: enum record_kind */

struct past {
	uint64_t heads
	    [PAST_CHAINS]; /* 0: nothing of it is left to take back, or nothing was ever kept */
	bool begun;        /* all is taken back: it was not there before */
	uint64_t generation;
	/* of the twin and its etag, as it is in here; 0: the next older record that has them says so. (Records since EVENT_WAS_COUNTER do.) */
	uint64_t version, counter;
	struct buf identity, tags, desired, reported; /* stored forms as they were then */
	struct buf spare;
};

/* ERR_CORRUPT: these are no records of a twin. p is { 0 } or was begun before; to be ended by past_fini. */
enum err past_begin(struct past *p, struct str identity, struct str wanted, struct str reported);
/* The same of what the record of a deletion has, which is to be the newest. */
enum err past_begin_deleted(struct past *p, const struct event *e);
/* Of tags and desired properties alone: a sound wanted record, in memory. Nothing else of p means anything then, and it has no version. */
void past_begin_wanted(struct past *p, struct str wanted);
void past_fini(struct past *p);
/* 0: nothing is left; it was made then (begun), or what was before is not kept. */
uint64_t past_next(const struct past *p);
/* The record is the one at past_next, of the same twin. ERR_CORRUPT: it is none that can be taken back. */
enum err past_take_back(struct past *p, const struct event *e, uint64_t position);
/* The same of the heads alone, for who shows records and no twin. */
void past_pass(struct past *p, const struct event *e, uint64_t position);

/* The twin as it is in p, whose version is known: a GET's document without what is not known of then (E-71). */
void past_write(struct buf *json, const struct past *p, struct str device, struct str module);
/* A record that is to be taken back next, or that is older: it says the version, if it has one and that is not known. */
void past_learn(struct past *p, const struct event *e);
/* One entry of a history: what the record says, with what was before. */
void past_entry(struct buf *json, const struct event *e, uint32_t shard, uint64_t position);

/* The same for queries; made anew when p changes. Their bytes are p's. */
struct past_row {
	const struct past *past;
	struct str device, module;
	unsigned have; /* sections, as QUERY_SECTION_BITs */
	struct section sections[SECTION_KINDS];
};
extern const struct query_row_ops past_query_ops;

/* Where a page of a history ends: heads and generation as text, and back. false: it is no such text. */
void past_mark_write(struct buf *out, const struct past *p);
bool past_mark_read(struct str text, struct past *p, uint64_t *generation);

#endif
