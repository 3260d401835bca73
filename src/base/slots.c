/* Slots: an array, and in its free elements a list of them. */
#include "base/slots.h"

#define SLOTS_FIRST 16u

void
slots_fini(struct slots *s)
{
	free(s->v);
	*s = (struct slots){ 0 };
}

static uint32_t
slot_new(struct slots *s)
{
	if (s->n == s->cap) {
		s->cap = s->cap != 0 ? 2 * s->cap : SLOTS_FIRST;
		s->v = xrealloc(s->v, s->cap * sizeof *s->v);
	}
	s->v[s->n] = (struct slot){ .generation = 1 };
	return s->n++;
}

uint32_t
slot_take(struct slots *s, void *held)
{
	uint32_t i;

	assert(held != NULL);
	if (s->free != 0) {
		i = s->free - 1;
		s->free = s->v[i].next_free;
	} else {
		i = slot_new(s);
	}
	s->v[i].held = held;
	return i;
}

void
slot_free(struct slots *s, uint32_t slot)
{
	struct slot *v = &s->v[slot];

	assert(slot < s->n && v->held != NULL);
	v->held = NULL;
	if (++v->generation == 0)
		v->generation = 1;
	v->next_free = s->free;
	s->free = slot + 1;
}
