/*
 * Configurations (docs/spec/jobs-and-configurations.md, part B): what desired properties the twins of a target have. Each is
 * an immutable value, made from its stored form and shared by counted reference between threads; so is a set of them, which
 * is part of the catalogue.
 */
#ifndef TWINHUB_CONFIG_CONFIGURATION_H
#define TWINHUB_CONFIG_CONFIGURATION_H

#include "base/refs.h"
#include "config/rollout.h"
#include "query/query.h"

#define CONFIGURATIONS_MAX           100u /* L-32 */
#define CONFIGURATION_METRICS_MAX    5u   /* L-33 */
#define CONFIGURATION_PATHS_MAX      1000u
#define CONFIGURATION_ID_MAX         128u
#define CONFIGURATION_SIZE_MAX       (256u << 10) /* bytes of the stored form */
#define CONFIGURATION_SYSTEM_METRICS 4u           /* at most: edge deployments have four (J-38) */
#define CONFIGURATION_RESULTS_MAX                                                                  \
	(CONFIGURATION_SYSTEM_METRICS + CONFIGURATION_METRICS_MAX + ROLLOUT_COUNTS)

/* What its content is for, and so which rows its condition is about. A deployment's is about edge devices, its content for
 * their modules. */
enum configuration_kind { CONFIGURATION_DEVICE, CONFIGURATION_MODULE, CONFIGURATION_EDGE };

/* One key of the content: `properties.desired.a.b` and its value. */
struct configuration_path {
	struct str module; /* of a deployment: for this one; else empty */
	struct str text;   /* the key */
	struct doc patch;  /* {a:{b:value}}: the value as a patch of desired */
	bool has_nulls;    /* somewhere in it */
	bool whole; /* of a deployment, `properties.desired`: nothing else is to be there (J-58) */
};

struct configuration {
	struct refs refs;
	struct str id;
	enum configuration_kind kind;
	/* a deployment that says all of $edgeAgent: others are layers on top of it (J-44) */
	bool base;
	struct query *target;
	struct str target_text;
	int64_t priority, created_us, updated_us;
	uint64_t counter; /* the etag: base64 of its decimal digits */
	uint32_t npath;
	struct configuration_path *paths;
	/* what was sent, checked: id, schemaVersion, labels, content, metrics, ... */
	struct doc body;
	struct rollout *rollout; /* NULL: it holds for the whole target at once */
	struct str record;       /* the stored form */
	struct arena arena;
};

/*
 * The record of a request's body (a doc object without repeated keys); old: the configuration that it replaces, or NULL.
 * Appended to out. ERR_ARG: f says what is wrong (J-31 to J-40, J-57 to J-60).
 */
enum err configuration_encode(struct buf *out, struct str id, struct doc body,
    const struct configuration *old, struct str actor, int64_t now_us, struct fault *f);
/* The record of the same configuration whose rollout has moved. */
void configuration_moved(
    struct buf *out, const struct configuration *c, const struct rollout *rollout);
/* ERR_CORRUPT: not a record. The caller holds the only reference. */
enum err configuration_new(struct str record, struct configuration **out);
struct configuration *configuration_ref(struct configuration *c);
void configuration_unref(struct configuration *c); /* NULL is fine */

bool configuration_id_valid(struct str id);
void configuration_etag(const struct configuration *c, char out[32]);
/* $lastUpdatedByDigest (T-30): ticks of the last update. */
int64_t configuration_digest(const struct configuration *c);
/* The condition that a twin has it. */
void configuration_condition(struct str id, struct buf *out);
/* As the API shows it. results: of the system metrics, then the user's in their order, then those of the rollout; NULL:
 * none are known yet. */
void configuration_write(struct buf *json, const struct configuration *c, const uint64_t *results);

/* ---- metrics ---- */

/* System's and user's, and while a wave of a rollout is under way the first ROLLOUT_COUNTS of these: */
enum configuration_count {
	COUNT_TARGETED, /* only rows that the rollout has reached count */
	COUNT_SUCCEEDED,
	COUNT_FAILED,
	COUNT_APPLIED,
	COUNT_HOLDERS /* applied or not */
};
uint32_t configuration_metrics(const struct configuration *c);
uint32_t configuration_system_metrics(const struct configuration *c);
/* The text of one, appended to out; empty: its result is 0. */
void configuration_metric(const struct configuration *c, uint32_t i, struct buf *out);
bool configuration_metric_reached(const struct configuration *c, uint32_t i); /* COUNT_TARGETED */
/* The same of one with a rollout. */
void configuration_count(
    const struct configuration *c, enum configuration_count which, struct buf *out);
/* Plans of a target condition and of a user metric. ERR_ARG: 400401 and 400404. */
enum err configuration_target(
    struct str text, enum configuration_kind kind, struct query **out, struct fault *f);
enum err configuration_metric_plan(struct str text, struct query **out, struct fault *f);

/* ---- sets ---- */

/* no set has this hash: what `swept` says while a shard's rows are in line with different ones */
#define UNSWEPT UINT64_MAX

struct configurations {
	uint64_t hash; /* of all in it: equal for equal sets, 0 for the empty one */
	uint32_t n;
	struct configuration **v; /* by id, in byte order */
	uint64_t *hashes;         /* of each: equal if a twin gets the same of both */
	uint8_t *order;           /* indexes into v: who wins first (J-43) */
	uint32_t **numbers;       /* of each configuration's paths: equal ones have equal numbers */
	uint32_t nnumber;
	uint64_t roots; /* what the target conditions ask for */
	uint8_t sections;
	bool edge;    /* some of them are deployments */
	bool guarded; /* there are rollouts */
};

/* Takes a reference to each. v need not be in order. */
struct configurations *configurations_new(struct configuration *const *v, uint32_t n);
struct configurations *configurations_copy(
    const struct configurations *set);                /* NULL: the empty one */
void configurations_free(struct configurations *set); /* NULL is fine */
/* A copy with one more, or another one in the place of its namesake; c NULL: without the one of that id. */
struct configurations *configurations_with(
    const struct configurations *set, struct str id, struct configuration *c);
struct configuration *configurations_find(const struct configurations *set, struct str id);

#endif
