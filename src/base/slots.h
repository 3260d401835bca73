/*
 * slots: numbers for things that somebody elsewhere names later, when they may have gone: a request that an answer is for, a session
 * that a note is for. A slot is used again, its generation is not: who comes with an old one finds nothing.
 *
 *   slot 3, generation 1 --slot_free--> free --slot_take--> slot 3, generation 2
 *
 * { 0 } is empty. One thread's. All calls take the same time, however many slots there are; there are as many as were taken
 * at once, ever, 16 bytes each, so whoever takes them has the bound. A generation comes again after four thousand million uses
 * of its slot, and is never 0, so an address of zeros is nobody's.
 */
#ifndef TWINHUB_SLOTS_H
#define TWINHUB_SLOTS_H

#include "base/base.h"

struct slots {
	struct slot {
		void *held; /* NULL: free */
		uint32_t generation, next_free;
	} * v;
	uint32_t n, cap;
	uint32_t free; /* the one freed last, and 1; 0: none */
};

void slots_fini(struct slots *s);
/* A slot for what is held, which is not NULL and stays its owner's. */
uint32_t slot_take(struct slots *s, void *held);
void slot_free(struct slots *s, uint32_t slot); /* that was taken */

/* Of one that is taken: what it bears until it is freed. */
static inline uint32_t
slot_generation(const struct slots *s, uint32_t slot)
{
	assert(slot < s->n && s->v[slot].held != NULL);
	return s->v[slot].generation;
}

/* What it holds. NULL: it was freed since, or there is none; any numbers are fine. */
static inline void *
slot_get(const struct slots *s, uint32_t slot, uint32_t generation)
{
	return slot < s->n && s->v[slot].generation == generation ? s->v[slot].held : NULL;
}

/* For who goes through all, from 0 to s->n: what a slot holds; NULL if it is free. */
static inline void *
slot_at(const struct slots *s, uint32_t slot)
{
	assert(slot < s->n);
	return s->v[slot].held;
}

#endif
