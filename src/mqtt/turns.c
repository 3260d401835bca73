/* Whose turn it is to send operations, when those under way fill the room for them. */
#include "mqtt/loop.h"

void
turns_init(struct turns *t, size_t max_bytes)
{
	*t = (struct turns){ .max_bytes = max_bytes };
	t->last = &t->first;
}

/* Without what those need whose turn it is. */
static size_t
bytes_left(const struct turns *t)
{
	size_t taken = t->bytes + (size_t)t->nmine * MQTT_MESSAGE_MAX;

	return t->max_bytes > taken ? t->max_bytes - taken : 0;
}

static void
line_leave(struct turns *t, struct link *l)
{
	*l->turn.prev = l->turn.next;
	if (l->turn.next)
		l->turn.next->turn.prev = l->turn.prev;
	else
		t->last = l->turn.prev;
	l->turn.prev = NULL;
}

static bool
in_line(const struct link *l)
{
	return l->turn.prev != NULL;
}

bool
turn_awaited(struct turns *t, struct link *l)
{
	if (in_line(l))
		return true;
	if (l->turn.mine || bytes_left(t) > 0)
		return false;
	l->turn.next = NULL;
	l->turn.prev = t->last;
	*t->last = l;
	t->last = &l->turn.next;
	return true;
}

void
turn_over(struct turns *t, struct link *l)
{
	if (l->turn.mine)
		t->nmine--;
	l->turn.mine = false;
}

void
turn_dropped(struct turns *t, struct link *l)
{
	turn_over(t, l);
	if (in_line(l))
		line_leave(t, l);
}

struct link *
turn_next(struct turns *t)
{
	struct link *l = t->first;

	if (l == NULL || bytes_left(t) == 0)
		return NULL;
	line_leave(t, l);
	l->turn.mine = true;
	t->nmine++;
	return l;
}
