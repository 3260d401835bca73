/* Settings as a table, as a record and as JSON. */
#include <inttypes.h>
#include <stdlib.h>

#include "settings/priv.h"

#define SETTINGS_FORMAT            2 /* 1: without rates and shares */
#define YEARS_10_S                 INT64_C(315360000)

#define OF(section, name)          section "." name, section, NULL, name
#define WITHIN(section, sub, name) section "." sub "." name, section, sub, name

/* A setting is SECTION.NAME, or SECTION.SUB.NAME; those of a section stand together. */
static const struct spec {
	const char *path, *section, *sub, *name;
	bool boolean, fixed; /* fixed: when the directory is made */
	int64_t least, most, otherwise;
	bool zero; /* 0 is fine, too */
} specs[SETTINGS] = {
	[SETTING_LOG_TELEMETRY] = { OF("log", "telemetry"), true, false, 0, 1, 1 },
	[SETTING_LOG_TWIN_CHANGES] = { OF("log", "twinChanges"), true, false, 0, 1, 1 },
	[SETTING_LOG_LIFE_CYCLE] = { OF("log", "lifeCycle"), true, false, 0, 1, 1 },
	[SETTING_LOG_CONNECTIONS] = { OF("log", "connections"), true, false, 0, 1, 1 },
	[SETTING_LOG_JOBS] = { OF("log", "jobs"), true, false, 0, 1, 1 },
	[SETTING_LOG_METHODS] = { OF("log", "methods"), true, false, 0, 1, 0 },
	[SETTING_LOG_ADMINISTRATION] = { OF("log", "administration"), true, false, 0, 1, 1 },
	[SETTING_LOG_MAX_SIZE] = { OF("retention", "logMaxSize"), false, false, 1 << 20,
	    INT64_C(1) << 62, INT64_C(1) << 30 },
	[SETTING_LOG_MAX_AGE] = { OF("retention", "logMaxAge"), false, false, 1, 604800, 86400,
	    true },
	[SETTING_CHANGES_MAX_SIZE] = { OF("retention", "changesMaxSize"), false, false, 1 << 20,
	    INT64_C(1) << 62, INT64_C(4) << 30 },
	[SETTING_CHANGES_MAX_AGE] = { OF("retention", "changesMaxAge"), false, false, 1, YEARS_10_S,
	    2592000, true },
	[SETTING_PARTITIONS] = { OF("events", "partitions"), false, true, 1, 32, 4 },
	[SETTING_MESSAGE_LIFE] = { OF("cloudToDevice", "defaultTimeToLive"), false, false, 60,
	    172800, 3600 },
	[SETTING_MESSAGE_DELIVERIES] = { OF("cloudToDevice", "maxDeliveryCount"), false, false, 1,
	    100, 10 },
	[SETTING_MESSAGE_LOCK] = { OF("cloudToDevice", "lockDuration"), false, false, 5, 300, 60 },
	[SETTING_FEEDBACK_LIFE] = { WITHIN("cloudToDevice", "feedback", "timeToLive"), false, false,
	    60, 172800, 3600 },
	[SETTING_FEEDBACK_LOCK] = { WITHIN("cloudToDevice", "feedback", "lockDuration"), false,
	    false, 5, 300, 60 },
	[SETTING_DAILY_MESSAGES] = { OF(LIMITS, "dailyMessages"), false, false, 1, INT64_C(1) << 50,
	    0, true },
	[SETTING_MESSAGE_BLOCK] = { OF(LIMITS, "messageBlock"), false, false, 512, 262144, 4096 },
	/* 0: as many as options and the program say */
	[SETTING_COUNTS +
	    LIMIT_IDENTITIES] = { OF(LIMITS, "identities"), false, false, 1, 100000000, 0, true },
	[SETTING_COUNTS + LIMIT_ALL_CONFIGURATIONS] = { OF(LIMITS, "configurations"), false, false,
	    1, 100, 0, true },
	[SETTING_COUNTS + LIMIT_ROUTES] = { OF(LIMITS, "routes"), false, false, 1, 99, 0, true },
	[SETTING_COUNTS + LIMIT_SINKS] = { OF(LIMITS, "sinks"), false, false, 1, 32, 0, true },
	[SETTING_ACTIVE_JOBS] = { OF(LIMITS, "activeJobs"), false, false, 1, 10, 0, true },
};

const char *
setting_name(enum setting i)
{
	return specs[i].path;
}

/* ---- values ---- */

struct settings *
settings_new(void)
{
	struct settings *s = xcalloc(1, sizeof(*s));

	refs_init(&s->refs);
	for (unsigned i = 0; i < SETTINGS; i++)
		s->v[i] = specs[i].otherwise;
	return s;
}

struct settings *
settings_ref(struct settings *s)
{
	refs_take(&s->refs);
	return s;
}

void
settings_unref(struct settings *s)
{
	if (s == NULL || !refs_drop(&s->refs))
		return;
	limit_lines_fini(&s->rates);
	limit_lines_fini(&s->shares);
	free(s);
}

void
settings_etag(const struct settings *s, char out[32])
{
	decimal_etag(s->counter, out);
}

struct log_what
settings_log(const struct settings *s)
{
	return (struct log_what){ .telemetry = s->v[SETTING_LOG_TELEMETRY] != 0,
		.twin_changes = s->v[SETTING_LOG_TWIN_CHANGES] != 0,
		.life_cycle = s->v[SETTING_LOG_LIFE_CYCLE] != 0,
		.connection = s->v[SETTING_LOG_CONNECTIONS] != 0,
		.jobs = s->v[SETTING_LOG_JOBS] != 0,
		.methods = s->v[SETTING_LOG_METHODS] != 0,
		.administration = s->v[SETTING_LOG_ADMINISTRATION] != 0 };
}

struct message_rules
settings_messages(const struct settings *s)
{
	return (struct message_rules){ .life_us = s->v[SETTING_MESSAGE_LIFE] * 1000000,
		.lock_us = s->v[SETTING_MESSAGE_LOCK] * 1000000,
		.feedback_life_us = s->v[SETTING_FEEDBACK_LIFE] * 1000000,
		.feedback_lock_us = s->v[SETTING_FEEDBACK_LOCK] * 1000000,
		.deliveries = (uint32_t)s->v[SETTING_MESSAGE_DELIVERIES] };
}

/* ---- shown ---- */

/* Its section, and what is within that, are the same text's where they are the same. */
static bool
same(const char *a, const char *b)
{
	return (a == NULL && b == NULL) || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void
section_end(struct out *o, const struct settings *s, const char *section)
{
	if (strcmp(section, LIMITS) == 0)
		settings_limits_show(o, s);
	out_close(o);
}

void
settings_show(struct out *o, const struct settings *s)
{
	const char *section = NULL, *sub = NULL;

	out_open(o);
	for (unsigned i = 0; i < SETTINGS; i++) {
		const struct spec *p = &specs[i];

		if (sub != NULL && !same(sub, p->sub)) {
			out_close(o);
			sub = NULL;
		}
		if (!same(section, p->section)) {
			if (section != NULL)
				section_end(o, s, section);
			out_open(out_key(o, section = p->section));
		}
		if (p->sub != NULL && sub == NULL)
			out_open(out_key(o, sub = p->sub));
		out_key(o, p->name);
		if (p->boolean)
			out_bool(o, s->v[i] != 0);
		else
			out_u64(o, (uint64_t)s->v[i]);
	}
	if (sub != NULL)
		out_close(o);
	section_end(o, s, section);
	out_close(o);
}

/* ---- changed ---- */

static enum err
value_take(enum setting i, struct doc v, int64_t *out, struct fault *f)
{
	const struct spec *p = &specs[i];
	enum doc_kind kind = doc_kind(v);
	struct buf found = { 0 };
	bool good;

	if (kind == DOC_NULL) {
		*out = p->otherwise;
		return ERR_OK;
	}
	good = p->boolean ? kind == DOC_TRUE || kind == DOC_FALSE : kind == DOC_INT;
	if (good)
		*out = p->boolean ? kind == DOC_TRUE : doc_int(v);
	if (good && !p->boolean)
		good = (*out >= p->least && *out <= p->most) || (p->zero && *out == 0);
	if (good && i == SETTING_PARTITIONS)
		good = (*out & (*out - 1)) == 0;
	if (good)
		return ERR_OK;
	doc_write_json(&found, v);
	if (p->boolean)
		fault_set(f, F_ArgumentInvalid, "%s is true or false, not %.*s", setting_name(i),
		    (int)(found.n < 100 ? found.n : 100), found.p);
	else
		fault_set(f, F_ArgumentInvalid,
		    "%s is a %s from %" PRId64 " to %" PRId64 "%s, not %.*s", setting_name(i),
		    i == SETTING_PARTITIONS ? "power of two" : "number", p->least, p->most,
		    p->zero ? ", or 0" : "", (int)(found.n < 100 ? found.n : 100), found.p);
	buf_fini(&found);
	return ERR_ARG;
}

static bool
is_of(const struct spec *p, const char *section, const char *sub)
{
	return section != NULL && strcmp(p->section, section) == 0 && same(p->sub, sub);
}

/* What is named so at this place: a setting, or (i == SETTINGS) a section or sub-section. */
static bool
find(struct str name, const char *section, const char *sub, enum setting *i, const char **deeper)
{
	*deeper = NULL;
	for (*i = 0; *i < SETTINGS; (*i)++) {
		const struct spec *p = &specs[*i];

		if (is_of(p, section, sub) && str_eq(name, str_of(p->name)))
			return true;
		if (section == NULL)
			*deeper = p->section;
		else if (sub == NULL && p->sub != NULL && strcmp(p->section, section) == 0)
			*deeper = p->sub;
		else
			continue;
		if (str_eq(name, str_of(*deeper))) {
			*i = SETTINGS;
			return true;
		}
	}
	return false;
}

struct patch {
	struct settings *to;
	bool first;
	struct fault *f;
};

static enum err
set(struct patch *t, enum setting i, struct doc v)
{
	int64_t next = 0;
	enum err e = value_take(i, v, &next, t->f);

	if (e == ERR_OK && specs[i].fixed && !t->first && next != t->to->v[i])
		return fault_set(t->f, F_ArgumentInvalid,
		    "%s is fixed when the data directory is made: it is %" PRId64 ", not %" PRId64,
		    setting_name(i), t->to->v[i], next);
	if (e == ERR_OK)
		t->to->v[i] = next;
	return e;
}

static bool
is_list(const char *section, struct str key)
{
	return section != NULL && strcmp(section, LIMITS) == 0 &&
	    (str_eq(key, STR(RATES)) || str_eq(key, STR(SHARES)));
}

/* The members of one level; at most two are below the first. */
static enum err
level(struct patch *t, struct doc d, const char *section, const char *sub)
{
	const char *at = sub != NULL ? sub : section, *deeper;
	struct doc_iter it;
	enum err e = ERR_OK;
	enum setting i;
	struct str key;
	struct doc v;

	if (doc_kind(d) != DOC_OBJECT)
		return fault_set(t->f, F_ArgumentInvalid, "%s is not an object",
		    at != NULL ? at : "the document of settings");
	it = doc_iter(d);
	while (e == ERR_OK && doc_next(&it, &key, &v)) {
		if (is_list(section, key)) {
			e = settings_limits_patch(t->to, key, v, t->f);
			continue;
		}
		if (!find(key, section, sub, &i, &deeper))
			return fault_set(t->f, F_ArgumentInvalid,
			    "there is no setting %s%s%s%s%.*s", section != NULL ? section : "",
			    section != NULL ? "." : "", sub != NULL ? sub : "",
			    sub != NULL ? "." : "", (int)(key.n < 100 ? key.n : 100), key.p);
		if (i < SETTINGS)
			e = set(t, i, v);
		else if (section == NULL)
			e = level(t, v, deeper, NULL);
		else
			e = level(t, v, section, deeper);
	}
	return e;
}

/* ---- records: format | counter | time | how many | each, by its number | rates | shares ---- */

enum err
settings_patch(struct buf *record, const struct settings *s, struct doc patch, bool first,
    int64_t now_us, struct fault *f)
{
	struct settings next = *s;
	enum err e;

	limit_lines_copy(&next.rates, &s->rates);
	limit_lines_copy(&next.shares, &s->shares);
	e = level(&(struct patch){ &next, first, f }, patch, NULL, NULL);
	if (e == ERR_OK)
		e = settings_limits_check(&next, f);
	next.counter++;
	next.updated_us = now_us;
	if (e == ERR_OK)
		settings_record(record, &next);
	limit_lines_fini(&next.rates);
	limit_lines_fini(&next.shares);
	return e;
}

void
settings_record(struct buf *out, const struct settings *s)
{
	buf_putc(out, SETTINGS_FORMAT);
	buf_varint(out, s->counter);
	buf_varint(out, (uint64_t)s->updated_us);
	buf_varint(out, SETTINGS);
	for (unsigned i = 0; i < SETTINGS; i++)
		buf_varint(out, (uint64_t)s->v[i]);
	limit_lines_put(out, &s->rates);
	limit_lines_put(out, &s->shares);
}

/* One of a former program has less of them: the others are as in a hub that has none. */
enum err
settings_read(struct str record, struct settings **out)
{
	struct rd rd = rd_of(record);
	struct settings *s = settings_new();
	uint8_t format = rd_u8(&rd);
	bool good = format >= 1 && format <= SETTINGS_FORMAT;
	uint64_t n;

	s->counter = rd_varint(&rd);
	s->updated_us = (int64_t)rd_varint(&rd);
	n = rd_varint(&rd);
	good = good && n <= SETTINGS && s->counter != 0;
	for (unsigned i = 0; good && i < n; i++) {
		s->v[i] = (int64_t)rd_varint(&rd);
		good = (s->v[i] >= specs[i].least && s->v[i] <= specs[i].most) ||
		    (specs[i].zero && s->v[i] == 0);
	}
	if (good && format > 1)
		good = limit_lines_read(&rd, &s->rates) && limit_lines_read(&rd, &s->shares);
	if (!good || rd.bad || rd.p != rd.end) {
		settings_unref(s);
		return ERR_CORRUPT;
	}
	*out = s;
	return ERR_OK;
}
