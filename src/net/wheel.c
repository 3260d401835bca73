/* The wheel of coarse timers; see priv.h. Slot i holds the timers whose tick, rounded up, is i modulo the slots. */
#include "net/priv.h"

static void
link_in(struct loop_timer **head, struct loop_timer *t)
{
	t->next = *head;
	t->prev = head;
	if (t->next)
		t->next->prev = &t->next;
	*head = t;
}

static void
unlink_from(struct loop_timer *t)
{
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->prev = NULL;
}

static struct loop_timer **
slot_of(struct wheel *w, int64_t due_us)
{
	int64_t tick = (due_us + LOOP_TICK_US - 1) / LOOP_TICK_US;

	if (tick <= w->tick) /* overdue: the next one */
		tick = w->tick + 1;
	return &w->slot[tick % WHEEL_SLOTS];
}

void
wheel_set(struct wheel *w, struct loop_timer *t, int64_t due_us, int64_t now_us)
{
	if (w->ntimer == 0) /* nobody turned it while it was empty */
		w->tick = now_us / LOOP_TICK_US;
	wheel_clear(w, t);
	t->due_us = due_us;
	link_in(slot_of(w, due_us), t);
	w->ntimer++;
}

void
wheel_clear(struct wheel *w, struct loop_timer *t)
{
	if (t->prev) {
		unlink_from(t);
		w->ntimer--;
	}
}

/* fire() may set and clear any timer, those of this slot too: so the slot is emptied onto a list of its own, which is
 * consumed from its head. */
static void
slot_fire(struct wheel *w, struct loop_timer **slot, int64_t now_us)
{
	struct loop_timer *list = NULL, *t;

	while ((t = *slot) != NULL) {
		unlink_from(t);
		link_in(&list, t);
	}
	while ((t = list) != NULL) {
		unlink_from(t);
		if (t->due_us > now_us) {
			link_in(slot_of(w, t->due_us), t);
		} else {
			w->ntimer--;
			t->fire(t);
		}
	}
}

void
wheel_advance(struct wheel *w, int64_t now_us)
{
	int64_t now = now_us / LOOP_TICK_US;

	if (now - w->tick > WHEEL_SLOTS) /* asleep for more than a round: each slot once */
		w->tick = now - WHEEL_SLOTS;
	while (w->tick < now) {
		w->tick++;
		slot_fire(w, &w->slot[w->tick % WHEEL_SLOTS], now_us);
	}
}
