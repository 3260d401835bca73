/*
 * What a set of configurations makes of one row (J-43 to J-54). Nothing is written here: configure.c writes it, a dry run
 * asks the same of a set that does not hold.
 */
#ifndef TWINHUB_CONFIG_EVALUATE_H
#define TWINHUB_CONFIG_EVALUATE_H

#include "config/effective.h"
#include "shard/record.h"

#define EFFECTIVES 8u /* kept: rows of one kind, and modules of one name, mostly want the same */

/* The set and working memory; { 0 } is empty. */
struct evaluator {
	const struct configurations *set;       /* evaluator_use */
	const struct configuration *everywhere; /* as if its rollout were over; NULL: none */
	struct query_scratch scratch;
	struct effective *effective, kept[EFFECTIVES]; /* the one in use */
	struct effective trial, other;                 /* of some, where not all fit */
	struct stamp *stamps;
	uint32_t capstamp;
	struct buf drafts[2], patch, states, before_rollout, next, spared;
};

/* Another set, or the same again; borrowed until the next one. */
void evaluator_use(struct evaluator *ev, const struct configurations *set);
void evaluator_fini(struct evaluator *ev);
/* The stamps of a section; until the next call. */
const struct stamp *evaluator_stamps(struct evaluator *ev, const struct section *s);
/* Records of a row that must be in memory. */
unsigned evaluator_records(const struct configurations *set);

/* The deployments of an edge device, while its modules are evaluated. */
struct family {
	struct chosen targeted; /* they are for this device */
	struct chosen force;    /* of these, those that count */
	struct chosen owners,
	    failed; /* of these: has a path of a module; its content cannot be there */
};
/* Begin it, by the device's row. */
void family_begin(
    struct family *f, struct evaluator *ev, const struct shard *sh, const struct row *device);

/* What is to become of a row; views what the evaluator holds, until its next use. */
struct evaluation {
	struct wanted wanted; /* as it is */
	struct section desired;
	struct str configurations; /* as they are to be; empty: none */
	struct str before_rollout; /* the same (before_rollout.h) */
	bool changed;              /* desired does */
	bool targeted;         /* of `configurations`: an entry is new, or goes back to Targeted */
	bool applied;          /* one becomes Applied */
	bool gone;             /* one goes */
	unsigned steps;        /* of the etag's counter: Targeted is one, Applied another (T-19) */
	struct chosen own;     /* whose condition is true for the row itself, and that reach it */
	struct chosen holding; /* of these and the family's: own a path */
	struct chosen rejected, unkept; /* do not fit; of these, for what they would overwrite */
};

/* Evaluate a row whose records are in memory; false: it is as it should be. family: of an edge device's module, of which
 * $edgeAgent must be the last. */
bool row_evaluate(struct evaluator *ev, const struct shard *sh, const struct row *r,
    struct family *family, int64_t now_us, struct evaluation *out);
bool row_is_agent(const struct row *r);
/* Of a rejected one, directly after row_evaluate: how large desired would be with it and those that win over it, counted (at
 * most PROPERTIES_SIZE_MAX) and stored (SECTION_STORED_MAX). Within both: it would only fit for what it takes away (J-45). */
struct excess {
	uint32_t counted, stored;
};
struct excess row_excess(
    struct evaluator *ev, const struct evaluation *e, uint32_t i, struct str module);
/* Are conditions of its kind about such rows? */
bool row_is_about(const struct row *r, const struct configuration *c);
/* Is the condition of one true for the row? What it asks for is in memory. */
bool row_matches(struct evaluator *ev, const struct shard *sh, const struct row *r,
    const struct configuration *c);
/* And has it reached the row, whose twin has this section `configurations`? */
bool row_is_reached(struct evaluator *ev, const struct shard *sh, const struct row *r,
    const struct configuration *c, struct str configurations);
/* A module that is not there, and would be made: what its desired properties would be. */
struct doc family_absent(struct family *f, struct evaluator *ev, struct str module);

#endif
