/*
 * limit: how often may it be done? Rates by the kind of an operation and by who asks, each a bucket that fills with time.
 * Nothing else in the program counts how often an asker does something.
 *
 * A rule, `device:updates=10/s`, is for each asker of that sort; `policy(team-a):updates=100/s` for one in place of that; `hub:updates=50/s`
 * for all together. Where there is no rule there is no limit. Of what the hub may do a policy, or a net, may have a share of its own: nobody
 * else takes from it, and beyond it the one whose it is takes from the rest, as all without a share do.
 *
 * What askers have taken is kept in a table of fixed size, by a hash. One that is not in it has a full bucket; if there is
 * no place, whose bucket is fullest of the few that could make room goes. So a stranger with many names can make others' buckets
 * full, never empty, and the table costs the same whoever comes. What has a name in a rule, shares and the hub have places of their own.
 *
 * Pure: the time is an argument, in nanoseconds, and never goes back.
 */
#ifndef TWINHUB_LIMIT_LIMIT_H
#define TWINHUB_LIMIT_LIMIT_H

#include "base/base.h"
#include "base/ip.h"

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
	LIMIT_METHODS,        /* calls, in blocks of LIMIT_METHOD_BLOCK */
	LIMIT_REGISTRY,       /* of identities, each of a bulk call */
	LIMIT_QUERIES,        /* pages */
	LIMIT_JOBS,           /* requests about jobs */
	LIMIT_CONFIGURATIONS, /* requests about configurations */
	LIMIT_MESSAGES,       /* to devices: sent */
	LIMIT_RECEIVES,       /* the same: fetched and settled over HTTPS, and feedback */
	LIMIT_JOB_DEVICES,    /* that jobs change or call: no asker's, so no share is of it */
	LIMIT_KINDS
};
#define LIMIT_METHOD_BLOCK 4096u /* bytes of a call's payload that count as one */

enum limit_whose {
	LIMIT_DEVICE,
	LIMIT_MODULE,
	LIMIT_POLICY,
	LIMIT_ADDRESS,
	LIMIT_HUB, /* all together */
	LIMIT_WHOSE,
	LIMIT_DAILY = LIMIT_WHOSE, /* the day's messages: daily.c */
	LIMIT_SORTS
};

/* How many there may be at once. */
enum limit_count {
	LIMIT_IDENTITIES, /* devices and modules */
	LIMIT_ALL_CONFIGURATIONS,
	LIMIT_ROUTES,
	LIMIT_SINKS,
	LIMIT_ACTIVE_JOBS, /* that run, or are queued to run at once */
	LIMIT_COUNTS
};
struct limit_counts {
	uint64_t most[LIMIT_COUNTS]; /* 0: nothing is said */
};
/* "activeJobs"; NULL: there is no such number. */
const char *limit_count_name(unsigned what);
/* So many at most where the program itself takes `bound`. counts NULL: nothing is said. */
uint64_t limit_most(const struct limit_counts *counts, enum limit_count what, uint64_t bound);

/* "updates", "policy"; NULL: there is no such number. */
const char *limit_kind_name(unsigned kind);
const char *limit_whose_name(unsigned whose);

#define LIMIT_NAMED_MAX 64u /* policies and nets that rules or shares name */
#define LIMIT_NAME_MAX  64u /* bytes of a name, NUL included */
#define LIMIT_SHARES    99u /* percent, all together: something is left for who has none */

struct limit_named {
	enum limit_whose whose; /* LIMIT_POLICY, LIMIT_ADDRESS: a net, all of it together */
	char name[LIMIT_NAME_MAX];
	uint64_t key; /* of a policy, as askers have it; the caller's to set */
	struct ip_net net;
	/* in place of that of each; burst 0: nothing is said */
	struct limit_rate rate[LIMIT_KINDS];
	unsigned share; /* percent of the hub's rates; 0: none */
};

/* A rate with burst 0: nothing is said. With each_ns 0: that there is no limit. */
struct limit_rules {
	struct limit_rate rate[LIMIT_WHOSE][LIMIT_KINDS];
	struct limit_named named[LIMIT_NAMED_MAX];
	unsigned nnamed;
	unsigned shares;       /* percent that are given away */
	unsigned n;            /* rates that are said */
	uint64_t daily, block; /* messages a day, 0: any number; bytes of one */
	struct limit_counts counts;
};

/*
 * "device:updates=10/s", "policy:queries=20/m,5", "policy(team-a):updates=100/s", "address(10.1.0.0/16):sends=500/s": N a second (s), minute
 * (m), hour (h) or day (d), at most BURST in one go; by default what a second brings, at least one. "none" for the rate: no limit. ERR_ARG:
 * one line in why, and the rules are as before. One that would limit nothing is refused, too, one whose BURST comes together in no
 * year, and one too many.
 */
enum err limit_rule_parse(struct str text, struct limit_rules *rules, char *why, size_t nwhy);
/* The same in two: "device:updates", "10/s". */
enum err limit_rule_set(
    struct limit_rules *rules, struct str key, struct str rate, char *why, size_t nwhy);
/* "policy(team-a)", percent. As limit_rule_parse. */
enum err limit_share_set(
    struct limit_rules *rules, struct str key, uint64_t share, char *why, size_t nwhy);
/* What top says holds in place of what rules say of the same. ERR_FULL: of too many by name, some of which are missing. */
enum err limit_rules_over(struct limit_rules *rules, const struct limit_rules *top);

/* What one of n nodes may let through of them, so that all together keep to them: rates but those of devices and modules, and the day's messages. */
void limit_rules_divide(struct limit_rules *rules, unsigned n);

/* Rules and shares as text: the number of one, from 0. False: there is no such number; then the buffers are empty. */
struct limit_text {
	struct buf key,
	    rate; /* "policy(team-a):updates", "100/s,200"; of a share "policy(team-a)", "30" */
};
bool limit_rule_text(const struct limit_rules *rules, unsigned i, struct limit_text *out);
bool limit_share_text(const struct limit_rules *rules, unsigned i, struct limit_text *out);

/* ---- those of Azure's editions (limits.md 1, 2) ---- */

/*
 * The rates, counted for the hub, the day's messages and the counts of "F1", "S1", "S2" or "S3" with so many units. ERR_ARG: there is no such
 * edition, or it has no so many; one line in why.
 */
enum err limit_preset(
    struct str edition, uint64_t units, struct limit_rules *out, char *why, size_t nwhy);

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
	uint64_t nset;                       /* of LIMIT_WAYS each */
	uint64_t pushed;                     /* buckets that were not full when they made room */
	struct limit_rate rest[LIMIT_KINDS]; /* of the hub's, what no share takes */
	int64_t rest_ns[LIMIT_KINDS];
	struct limit_own {
		struct limit_rate share[LIMIT_KINDS];
		int64_t share_ns[LIMIT_KINDS], own_ns[LIMIT_KINDS];
	} own[LIMIT_NAMED_MAX]; /* of rules.named */
};

/* nidentity: so many devices and modules there may be. All buckets are full. */
void limits_init(struct limits *l, const struct limit_rules *rules, uint64_t nidentity);
void limits_fini(struct limits *l);

/* Hashes; 0: not by such a one. */
struct limit_asker {
	uint64_t key[LIMIT_WHOSE]; /* the hub's is not looked at */
	uint8_t ip[16];            /* with key[LIMIT_ADDRESS] */
	unsigned skip;             /* bits of enum limit_whose: rules that do not count this time */
};
#define LIMIT_BIT(whose) (1u << (whose))

struct limit_refusal {
	enum limit_kind kind;
	enum limit_whose whose; /* limit it would pass */
	int64_t wait_ns;
	char name[LIMIT_NAME_MAX]; /* of whom the limit names; empty: it is for each */
	uint64_t used, most;       /* LIMIT_DAILY */
};

/* May the asker do one of the kind, by all of its rules? Nothing is taken. */
bool limits_allow(struct limits *l, enum limit_kind kind, const struct limit_asker *asker,
    int64_t now_ns, struct limit_refusal *why);
/* ...then it is done. */
bool limits_take(struct limits *l, enum limit_kind kind, const struct limit_asker *asker,
    int64_t now_ns, struct limit_refusal *why);
/* n more are done, whatever the limits: of what has been let in as one. Of who has a share it is a debt of that, nobody else's. */
void limits_owe(struct limits *l, enum limit_kind kind, const struct limit_asker *asker, uint32_t n,
    int64_t now_ns);

/* ---- the day's messages (L-20, L-23) ---- */

struct limit_daily {
	uint64_t most, block; /* messages, 0: any number; bytes of one */
	uint64_t used;
	int64_t day; /* since 1970, of UTC */
};
/* Is there one left, for an operation that counts as messages? A day that is over is forgotten. A clock that goes back opens none; by days, what was
 * used is of the day that it says then. */
bool limit_daily_allows(
    struct limit_daily *d, enum limit_kind kind, int64_t wall_us, struct limit_refusal *why);
/* The day is over by then: nothing was used of the next. */
void limit_daily_turn(struct limit_daily *d, int64_t wall_us);
/* So many bytes went, as one message or more. */
void limit_daily_count(struct limit_daily *d, uint64_t bytes, int64_t wall_us);

int64_t limit_wait_s(const struct limit_refusal *why); /* rounded up */
/* What is said of it: F_IotHubQuotaExceeded of the day's messages, F_DeviceThrottlingLimitExceeded for devices and modules, else
 * F_ThrottlingException. */
void limit_fault(const struct limit_refusal *why, struct fault *f);

#endif
