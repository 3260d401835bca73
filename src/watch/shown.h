/*
 * What one watcher has been shown: a set of rows, and the step that a change of a row is for it.
 *
 * All that concerns a shard comes to it in the order in which it was applied there: rows of the first result and changes. So a row of the
 * first result that is in the set already came as a change before, and is as new there.
 *
 *          first      matches              matches not
 *   shown not   ROW        ENTER                NONE
 *   shown       NONE       CHANGE if it differs LEAVE
 */
#ifndef TWINHUB_WATCH_SHOWN_H
#define TWINHUB_WATCH_SHOWN_H

#include "shard/shard.h"

#define WATCH_ROWS_MAX 100000u /* rows that one watcher is shown at a time */

enum watch_step { WATCH_NONE, WATCH_ROW, WATCH_ENTER, WATCH_CHANGE, WATCH_LEAVE };

struct watch_shown {
	struct {
		uint64_t *bits; /* by row */
		uint32_t words;
	} shards[SHARDS];
	uint32_t n; /* rows in it */
};

void watch_shown_fini(struct watch_shown *s);

bool watch_shown_has(const struct watch_shown *s, uint32_t shard, uint32_t row);

/* What has been seen of a row. */
struct watch_sight {
	uint32_t shard, row;
	bool first; /* it is of the first result: it matches */
	bool matches;
	bool differs; /* from what it was, in what is shown */
};
/* ERR_FULL: it would be one row too many; nothing has changed. */
enum err watch_shown_take(
    struct watch_shown *s, const struct watch_sight *seen, enum watch_step *step);

#endif
