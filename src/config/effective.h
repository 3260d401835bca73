/* What configurations together say of a twin's desired properties, and how what is there differs from it (J-43, J-44). */
#ifndef TWINHUB_CONFIG_EFFECTIVE_H
#define TWINHUB_CONFIG_EFFECTIVE_H

#include "config/configuration.h"

/* Configurations of a set, one bit each. */
struct chosen {
	uint64_t bits[2];
};
static inline bool
chosen_has(const struct chosen *c, uint32_t i)
{
	return c->bits[i / 64] >> (i % 64) & 1;
}
static inline void
chosen_add(struct chosen *c, uint32_t i)
{
	c->bits[i / 64] |= UINT64_C(1) << (i % 64);
}
static inline void
chosen_drop(struct chosen *c, uint32_t i)
{
	c->bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

/* The desired properties that the chosen ones make together: a section whose leaves bear their owner's id. { 0 } is empty. */
struct effective {
	bool made;
	struct chosen of;       /* these configurations */
	struct buf module;      /* paths of deployments for this one */
	struct chosen accepted; /* of these, those whose contents fit beside each other */
	struct chosen owners;   /* of these, those that own a path */
	bool whole;             /* nothing else is to be there (J-58) */
	struct section section;
	struct buf nulls;    /* struct overlay; empty: none */
	struct buf owner_of; /* the same */
	struct stamp owner[CONFIGURATIONS_MAX + 1];
	uint32_t nowner;
	struct stamp *stamps;
	struct buf bytes, next;  /* working memory, as is all below */
	struct buf owned, taken; /* taken: by a path's number its owner's index + 1; 0: none */
};

static inline bool
chosen_any(const struct chosen *c)
{
	return (c->bits[0] | c->bits[1]) != 0;
}
static inline struct chosen
chosen_or(struct chosen a, struct chosen b)
{
	return (struct chosen){ { a.bits[0] | b.bits[0], a.bits[1] | b.bits[1] } };
}
static inline struct chosen
chosen_and(struct chosen a, struct chosen b)
{
	return (struct chosen){ { a.bits[0] & b.bits[0], a.bits[1] & b.bits[1] } };
}
static inline struct chosen
chosen_but(struct chosen a, struct chosen b)
{
	return (struct chosen){ { a.bits[0] & ~b.bits[0], a.bits[1] & ~b.bits[1] } };
}

/* Of the deployments that are for a device those that count: the highest base, and layers above it (J-44). */
struct chosen deployments_in_force(const struct configurations *set, const struct chosen *targeted);
/* The base because of which deployment i does not; NULL: it counts, or is not for the device. */
const struct configuration *deployment_above(const struct configurations *set,
    const struct chosen *targeted, const struct chosen *force, uint32_t i);

/*
 * Make it for a module, or a device (module empty), or keep it if it is of these already. The set must be the same until
 * effective_drop. If not all of them fit, those are left out that do not beside the ones before them in the order of
 * winning.
 */
void effective_make(struct effective *e, const struct configurations *set,
    const struct chosen *chosen, struct str module);
/* The same of all of these, or none: false, they do not fit. Not kept. */
bool effective_try(struct effective *e, const struct configurations *set,
    const struct chosen *chosen, struct str module);
/* Whose the kth path of configuration i is, of those it was made of; UINT32_MAX: nobody's. */
uint32_t effective_owner(
    const struct effective *e, const struct configurations *set, uint32_t i, uint32_t k);
void effective_drop(struct effective *e);
void effective_fini(struct effective *e);
/* For section_lay; views e. */
struct overlay effective_overlay(const struct effective *e);

/* Of a stamped tree what this configuration says nothing of, owner of its paths or not, in the place of out: a doc of the
 * same width. */
void configuration_spares(
    const struct configuration *c, struct str module, struct doc have, struct buf *out);

/* The members that an operation with this version has written or removed, as a patch (T-68). */
void section_difference(
    struct doc was, struct doc now, const struct stamp *stamps, uint32_t version, struct buf *out);

#endif
