/*
 * Why a configuration is where it is, and why it is not where it is not: of each twin that it is about whether it is targeted,
 * reached and applied, and what stands in the way (jobs-and-configurations.md 14). Nothing is written.
 */
#ifndef TWINHUB_CONFIG_WHY_H
#define TWINHUB_CONFIG_WHY_H

#include "config/configuration.h"
#include "hub/hub.h"

#define REASONS_MAX 20u /* told of one twin and configuration; how many more there are is counted */

/* Which twins are asked for. */
enum why_state {
	WHY_ALL, /* targeted, or bearing its name still */
	WHY_TARGETED,
	WHY_REACHED,
	WHY_APPLIED,
	WHY_NOT_REACHED, /* targeted, as is WHY_NOT_APPLIED */
	WHY_NOT_APPLIED,
	WHY_STATES
};
extern const char *const why_state_names[WHY_STATES]; /* "", "targeted", ... */

struct why;

/* Of one configuration, which is in the set: every twin that it is about. */
struct why *why_new(const struct configurations *set, struct str id, enum why_state state);
/* Of one twin: every configuration that is about it. The ids are copied. */
struct why *why_twin(const struct configurations *set, struct str device, struct str module);
void why_free(struct why *y); /* NULL is fine */

/* Of several nodes (task/walk.h): what is asked for, appended; and made of it. ERR_ARG: as dryrun_made. */
void why_ask(const struct why *y, struct buf *out);
enum err why_made(
    const struct configurations *set, struct str text, struct why **out, struct fault *f);

/* The device to look for; given false: any. Borrowed. */
const struct query_ids *why_ids(const struct why *y);
/* Is the row looked at? */
bool why_wants(const struct why *y, const struct shard *sh, uint32_t row);
/* Of a module asked for, at its device's row: it must be there. ERR_ARG: it is not, as the fault says. */
enum err why_check_row(const struct why *y, struct shard *sh, uint32_t row, struct fault *f);
/* Before why_visit: a row whose records are needed and not in memory, again until there is none (TABLE_NONE). */
uint32_t why_row(struct why *y, struct shard *sh, uint32_t row, unsigned *records);

/* What the shard cannot know. */
struct why_when {
	int64_t now_us, again_us; /* when all twins are evaluated next; 0: never */
	bool can_write;
	bool has_room; /* for one more identity */
};
/* Append the row's entries with commas between; how many. */
uint32_t why_visit(
    struct why *y, struct shard *sh, uint32_t row, const struct why_when *when, struct buf *json);

#endif
