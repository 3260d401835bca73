/*
 * settings: what is set for the whole hub while it runs (docs/spec/events.md 8): what is logged, how long the log stays, the number of
 * partitions, how messages to devices wait. An immutable value, shared by counted reference between threads; one record on shard 0. Pure.
 *
 *   PATCH --settings_patch--> record --common_write--> settings_read --EFFECT_SETTINGS--> the program
 *
 * A setting is a number: the table in values.c says its name, its bounds and what it is in a hub that has never heard of it. Beside these are
 * rates and shares, two lists of texts (docs/spec/operate.md 11; limits.c).
 */
#ifndef TWINHUB_SETTINGS_H
#define TWINHUB_SETTINGS_H

#include "base/refs.h"
#include "doc/out.h"
#include "event/what.h"
#include "limit/limit.h"
#include "message/message.h"
#include "shard/shard.h"

/* The numbers are part of the stored format: append only. */
enum setting {
	SETTING_LOG_TELEMETRY,
	SETTING_LOG_TWIN_CHANGES,
	SETTING_LOG_LIFE_CYCLE,
	SETTING_LOG_CONNECTIONS,
	SETTING_LOG_JOBS,
	SETTING_LOG_METHODS,
	SETTING_LOG_ADMINISTRATION,
	SETTING_LOG_MAX_SIZE, /* bytes; ages are seconds, 0: never by age */
	SETTING_LOG_MAX_AGE,
	SETTING_CHANGES_MAX_SIZE,
	SETTING_CHANGES_MAX_AGE,
	SETTING_PARTITIONS,
	SETTING_MESSAGE_LIFE, /* seconds, as those below but the count */
	SETTING_MESSAGE_DELIVERIES,
	SETTING_MESSAGE_LOCK,
	SETTING_FEEDBACK_LIFE,
	SETTING_FEEDBACK_LOCK,
	SETTING_DAILY_MESSAGES,
	SETTING_MESSAGE_BLOCK, /* bytes */
	SETTING_COUNTS,        /* the first of LIMIT_COUNTS, in the order of enum limit_count */
	SETTING_ACTIVE_JOBS = SETTING_COUNTS + LIMIT_ACTIVE_JOBS,
	SETTINGS
};

/* "policy(team-a):updates" and "100/s", "policy(team-a)" and "30"; by their keys. */
#define LIMIT_LINES_MAX 256u
struct limit_lines {
	struct limit_line {
		char key[96], value[32];
	} * v;
	unsigned n;
};

struct settings {
	struct refs refs;
	uint64_t counter; /* the etag; 0: nobody has stored them */
	int64_t updated_us;
	int64_t v[SETTINGS];
	struct limit_lines rates, shares;
};

/* Those of a hub that has none; the caller's. */
struct settings *settings_new(void);
struct settings *settings_ref(struct settings *s);
void settings_unref(struct settings *s); /* NULL is fine */

/* "log.telemetry" */
const char *setting_name(enum setting i);
/* As JSON: {"log": {"telemetry": true, ...}, ...}; the object is closed. */
void settings_show(struct out *o, const struct settings *s);
void settings_etag(const struct settings *s, char out[32]);

/*
 * The record of what s becomes by a merge patch (a doc without repeated members), null: as in a hub that has none; appended. `first`: what is
 * fixed may be set. ERR_ARG: f says which member is wrong, its bounds and what was found (E-81).
 */
enum err settings_patch(struct buf *record, const struct settings *s, struct doc patch, bool first,
    int64_t now_us, struct fault *f);
void settings_record(struct buf *out, const struct settings *s);
/* ERR_CORRUPT: no record. The caller's. */
enum err settings_read(struct str record, struct settings **out);

/* What others take of them. */
struct log_what settings_log(const struct settings *s);
struct message_rules settings_messages(const struct settings *s);
/* ERR_ARG: one line in why; never of settings that were taken by settings_patch. */
enum err settings_limits(const struct settings *s, struct limit_rules *out, char *why, size_t nwhy);
bool settings_limits_same(const struct settings *a, const struct settings *b);

/* ---- in a shard ---- */

extern const struct feature settings_feature;
/* The hub's, as shard 0 has them now, stored or not; the caller's. */
struct settings *settings_stored(const struct shard *sh);

#endif
