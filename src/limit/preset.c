/* What Azure's editions of a hub may do, and have (limits.md 1 to 3, 7): each rate is counted for the whole hub, and what one unit of time brings may come at once. */
#include "limit/limit.h"

#include <stdio.h>

#define SECOND_NS INT64_C(1000000000)
#define MINUTE_S  60

/* So many for each unit, but at least so many whatever the units. */
struct throttle {
	uint32_t each, least;
	int64_t span_s;
};

#define PER_S(each, least)                                                                         \
	{                                                                                          \
		(each), (least), 1                                                                 \
	}
#define PER_MINUTE(each)                                                                           \
	{                                                                                          \
		(each), 0, MINUTE_S                                                                \
	}

static const struct edition {
	const char *name;
	uint64_t units, daily, block; /* at most; of each unit; bytes of a message */
	struct limit_counts counts;
	struct throttle of[LIMIT_KINDS];
} editions[] = {
#define SMALL                                                                                      \
	{                                                                                          \
		[LIMIT_CONNECTIONS] = PER_S(12, 100), [LIMIT_SENDS] = PER_S(12, 100),              \
		[LIMIT_READS] = PER_S(0, 100), [LIMIT_UPDATES] = PER_S(0, 50),                     \
		[LIMIT_METHODS] = PER_S(40, 0), [LIMIT_REGISTRY] = PER_MINUTE(100),                \
		[LIMIT_QUERIES] = PER_MINUTE(20), [LIMIT_JOBS] = PER_MINUTE(100),                  \
		[LIMIT_CONFIGURATIONS] = PER_MINUTE(20), [LIMIT_MESSAGES] = PER_MINUTE(100),       \
		[LIMIT_RECEIVES] = PER_MINUTE(1000), [LIMIT_JOB_DEVICES] = PER_S(0, 10)            \
	}
#define FREE                                                                                       \
	{                                                                                          \
		[LIMIT_IDENTITIES] = 500, [LIMIT_ALL_CONFIGURATIONS] = 10, [LIMIT_ROUTES] = 5,     \
		[LIMIT_SINKS] = 1, [LIMIT_ACTIVE_JOBS] = 1                                         \
	}
	{ "F1", 1, 8000, 512, { FREE }, SMALL },
	{ "S1", 200, 400000, 4096, { { [LIMIT_ACTIVE_JOBS] = 1 } }, SMALL },
	{ "S2", 200, 6000000, 4096, { { [LIMIT_ACTIVE_JOBS] = 5 } },
	    { [LIMIT_CONNECTIONS] = PER_S(120, 0),
	        [LIMIT_SENDS] = PER_S(120, 0),
	        [LIMIT_READS] = PER_S(10, 100),
	        [LIMIT_UPDATES] = PER_S(5, 50),
	        [LIMIT_METHODS] = PER_S(120, 0),
	        [LIMIT_REGISTRY] = PER_MINUTE(100),
	        [LIMIT_QUERIES] = PER_MINUTE(20),
	        [LIMIT_JOBS] = PER_MINUTE(100),
	        [LIMIT_CONFIGURATIONS] = PER_MINUTE(20),
	        [LIMIT_MESSAGES] = PER_MINUTE(100),
	        [LIMIT_RECEIVES] = PER_MINUTE(1000),
	        [LIMIT_JOB_DEVICES] = PER_S(1, 10) } },
	{ "S3", 10, 300000000, 4096, { { [LIMIT_ACTIVE_JOBS] = 10 } },
	    { [LIMIT_CONNECTIONS] = PER_S(6000, 0),
	        [LIMIT_SENDS] = PER_S(6000, 0),
	        [LIMIT_READS] = PER_S(500, 0),
	        [LIMIT_UPDATES] = PER_S(250, 0),
	        [LIMIT_METHODS] = PER_S(6144, 0),
	        [LIMIT_REGISTRY] = PER_MINUTE(5000),
	        [LIMIT_QUERIES] = PER_MINUTE(1000),
	        [LIMIT_JOBS] = PER_MINUTE(5000),
	        [LIMIT_CONFIGURATIONS] = PER_MINUTE(20),
	        [LIMIT_MESSAGES] = PER_MINUTE(5000),
	        [LIMIT_RECEIVES] = PER_MINUTE(50000),
	        [LIMIT_JOB_DEVICES] = PER_S(50, 0) } },
};

static const struct edition *
edition_find(struct str name)
{
	for (size_t i = 0; i < sizeof(editions) / sizeof(editions[0]); i++)
		if (str_eq(name, str_of(editions[i].name)))
			return &editions[i];
	return NULL;
}

static struct limit_rate
rate_of(const struct throttle *t, uint64_t units)
{
	uint64_t n = t->each * units > t->least ? t->each * units : t->least;

	return (struct limit_rate){ .each_ns = t->span_s * SECOND_NS / (int64_t)n,
		.burst = (uint32_t)n };
}

enum err
limit_preset(struct str name, uint64_t units, struct limit_rules *out, char *why, size_t nwhy)
{
	const struct edition *e = edition_find(name);

	if (e == NULL) {
		snprintf(why, nwhy, "'" STR_FMT "' is no edition: F1, S1, S2 or S3", STR_ARG(name));
		return ERR_ARG;
	}
	if (units < 1 || units > e->units) {
		snprintf(why, nwhy, "%s has 1 to %llu units, not %llu", e->name,
		    (unsigned long long)e->units, (unsigned long long)units);
		return ERR_ARG;
	}
	*out = (struct limit_rules){
		.n = LIMIT_KINDS, .daily = e->daily * units, .block = e->block, .counts = e->counts
	};
	for (unsigned kind = 0; kind < LIMIT_KINDS; kind++)
		out->rate[LIMIT_HUB][kind] = rate_of(&e->of[kind], units);
	return ERR_OK;
}
