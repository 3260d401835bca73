/*
 * Messages of devices, each with a number: what was acknowledged is in the log, once, and those of one device are there in the
 * order in which it has sent them, whatever the clock was set to.
 */
#include "world.h"

#include <stdlib.h>

static struct {
	struct logged {
		uint32_t link;
		bool done, found;
		bool will;  /* when it is sent nobody knows */
		bool never; /* it must not be there */
	} * v;              /* by number */
	uint32_t n, room;
} messages;

void
telemetry_new(void)
{
	memset(&messages, 0, sizeof(messages));
}

void
telemetry_free(void)
{
	free(messages.v);
}

uint32_t
telemetry_note(uint32_t link)
{
	if (messages.n + 1 >= messages.room) {
		messages.room = messages.room ? messages.room * 2 : 256;
		messages.v = xrealloc(messages.v, messages.room * sizeof(*messages.v));
	}
	messages.v[++messages.n] = (struct logged){ .link = link };
	return messages.n;
}

uint32_t
telemetry_note_will(uint32_t link)
{
	uint32_t number = telemetry_note(link);

	messages.v[number].will = true;
	return number;
}

void
telemetry_never(uint32_t number)
{
	messages.v[number].never = true;
}

void
telemetry_done(uint32_t number)
{
	messages.v[number].done = true;
}

/* The body ends with the number, in six digits. */
uint32_t
telemetry_number(struct str record)
{
	uint64_t n = 0;

	if (record.n < 6 || !str_u64(str_sub(record, record.n - 6), &n) || n == 0 || n > messages.n)
		world_fail("a record of the log is none that was sent");
	return (uint32_t)n;
}

static void
check_record(struct str record, uint32_t *last)
{
	uint32_t number = telemetry_number(record);
	struct logged *m = &messages.v[number];

	if (m->found)
		world_fail("message %u is in the log twice", number);
	if (m->never)
		world_fail(
		    "message %u is in the log, and was the will of a link that was left", number);
	m->found = true;
	if (m->will)
		return;
	if (last[m->link] > number)
		world_fail(
		    "message %u is in the log behind %u, which came later", number, last[m->link]);
	last[m->link] = number;
}

void
telemetry_check(struct world *w)
{
	uint32_t *last = xcalloc(DEVICES_MAX * 2, sizeof(*last));
	struct store_cursor *c;
	struct str key, value;

	if (store_cursor_open(w->store, STORE_LOG, STR_NONE, STR_NONE, STORE_SCAN, &c) != ERR_OK)
		world_fail("no cursor");
	while (store_next(c, &key, &value) == ERR_OK)
		check_record(value, last);
	store_cursor_close(c);
	for (uint32_t i = 1; i <= messages.n; i++)
		if (messages.v[i].done && !messages.v[i].found)
			world_fail("message %u was acknowledged, and is not in the log", i);
	seen.messages += messages.n;
	free(last);
}
