/*
 * limit: how often may it be done? Rates by the kind of an operation and by who asks, each a bucket that fills with time.
 * Nothing else in the program counts how often an asker does something.
 *
 * A rule, `device:updates=10/s`, is for each asker of that sort. Where there is no rule there is no limit.
 *
 * What askers have taken is kept in a table of fixed size, by a hash. One that is not in it has a full bucket; if there is
 * no place, whose bucket is fullest of the few that could make room goes. So a stranger with many names can make others' buckets
 * full, never empty, and the table costs the same whoever comes.
 *
 * Pure: the time is an argument, in nanoseconds, and never goes back.
 */
#ifndef TWINHUB_LIMIT_LIMIT_H
#define TWINHUB_LIMIT_LIMIT_H

#include "base/base.h"

/* ---- one bucket ---- */

struct limit_rate {
	int64_t each_ns; /* until one more may be done; 0: no limit */
	uint32_t burst;  /* at once, from 1 */
};

/*
 * `until_ns` is when all that was taken is paid for, 0 at first. May one more be done now? Then it is. No: after *wait_ns it
 * may be asked again. In any span t there are at most burst + t / each_ns, but for what is owed.
 */
bool limit_take(int64_t *until_ns, const struct limit_rate *rate, int64_t now_ns, int64_t *wait_ns);
/* n more are done, whether they may or not. */
void limit_owe(int64_t *until_ns, const struct limit_rate *rate, uint32_t n, int64_t now_ns);
/* So many in any second, not in one go but for a tenth of them. From 1. */
struct limit_rate limit_a_second(uint32_t n);

/* ---- rules ---- */

enum limit_kind {
	LIMIT_CONNECTIONS,    /* of devices: MQTT CONNECT */
	LIMIT_SENDS,          /* telemetry */
	LIMIT_READS,          /* of a twin, by device or back end */
	LIMIT_UPDATES,        /* the same */
	LIMIT_METHODS,        /* calls */
	LIMIT_REGISTRY,       /* of identities, each of a bulk call */
	LIMIT_QUERIES,        /* pages */
	LIMIT_JOBS,           /* requests about jobs */
	LIMIT_CONFIGURATIONS, /* requests about configurations */
	LIMIT_KINDS
};

enum limit_whose { LIMIT_DEVICE, LIMIT_MODULE, LIMIT_POLICY, LIMIT_ADDRESS, LIMIT_WHOSE };

const char *limit_kind_name(enum limit_kind kind); /* "updates" */
const char *limit_whose_name(enum limit_whose whose);

struct limit_rules {
	struct limit_rate rate[LIMIT_WHOSE][LIMIT_KINDS];
	unsigned n; /* rules */
};

/*
 * "device:updates=10/s", "policy:queries=20/m,5": N a second (s), minute (m), hour (h) or day (d), at most BURST in one go;
 * by default what a second brings, at least one. ERR_ARG: one line in why, and the rules are as before. One that would limit
 * nothing is refused, too, and one whose BURST comes together in no year.
 */
enum err limit_rule_parse(struct str text, struct limit_rules *rules, char *why, size_t nwhy);

/* ---- what askers have taken ---- */

#define LIMIT_BUCKETS_MIN 65536u /* 1 MB */
/* 16 MB; in between one for each identity and rule of devices or modules */
#define LIMIT_BUCKETS_MAX 1048576u
#define LIMIT_WAYS        4u /* places that a bucket can have */

struct limit_bucket {
	uint64_t key; /* 0: none yet */
	int64_t until_ns;
};

struct limits {
	struct limit_rules rules;
	struct limit_bucket *buckets;
	uint64_t nset; /* of LIMIT_WAYS each */
};

/* nidentity: so many devices and modules there may be. */
void limits_init(struct limits *l, const struct limit_rules *rules, uint64_t nidentity);
void limits_fini(struct limits *l);

/* Hashes; 0: not by such a one. */
struct limit_asker {
	uint64_t key[LIMIT_WHOSE];
};

struct limit_refusal {
	enum limit_kind kind;
	enum limit_whose whose; /* limit it would pass */
	int64_t wait_ns;
};

/* May the asker do one of the kind, by all of its rules? Nothing is taken. */
bool limits_allow(const struct limits *l, enum limit_kind kind, const struct limit_asker *asker,
    int64_t now_ns, struct limit_refusal *why);
/* ...then it is done. */
bool limits_take(struct limits *l, enum limit_kind kind, const struct limit_asker *asker,
    int64_t now_ns, struct limit_refusal *why);
/* n more are done, whatever the limits: of what has been let in as one. */
void limits_owe(struct limits *l, enum limit_kind kind, const struct limit_asker *asker, uint32_t n,
    int64_t now_ns);

int64_t limit_wait_s(const struct limit_refusal *why); /* rounded up */
/* What is said of it: F_DeviceThrottlingLimitExceeded for devices and modules, else F_ThrottlingException. */
void limit_fault(const struct limit_refusal *why, struct fault *f);

#endif
