/*
 * Any bytes as a record of the event log: what is one is written again as the same, and is told: its fields, once they are what they are said to
 * be, as records of this hub are, make one line of JSON.
 */
#include "doc/doc.h"
#include "event/telemetry.h"
#include "shard/past.h"
#include "shard/told.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool held)
{
	if (!held)
		abort();
}

static void
again(const struct event *e)
{
	struct buf b = { 0 };
	struct event back;

	event_encode(&b, e);
	require(event_decode(buf_view(&b), &back) == ERR_OK);
	/* format 1 could have had a device without a name act; format 2 leaves out one that acts for itself */
	require(str_eq(back.actor_name, e->actor_name) ||
	    (e->actor == ACTOR_DEVICE && e->actor_name.n == 0));
	require(back.kind == e->kind && back.time_us == e->time_us && back.actor == e->actor &&
	    str_eq(back.device, e->device) && str_eq(back.module, e->module));
	require(memcmp(back.numbers, e->numbers, sizeof(e->numbers)) == 0);
	for (int i = 0; i < EVENT_FIELDS; i++)
		require(str_eq(back.fields[i], e->fields[i]));
	buf_fini(&b);
}

static void
tell(struct event *e)
{
	static struct teller *teller;
	static struct doc_parser *parser;
	struct buf json = { 0 }, doc = { 0 };
	struct doc_parsed info;
	struct fault f;

	if (teller == NULL) {
		teller = teller_new(STR("hub"));
		parser = doc_parser_new(1 << 24);
	}
	e->position = UINT64_MAX;
	require((told_type(e) == NULL) == (told_source_of(e) == TOLD_NOBODY));
	if (told_type(e) != NULL) {
		told_write(teller, &json, e, 63, e->position);
		require(doc_parse(parser, buf_view(&json), &doc, &info, &f) == ERR_OK);
		require(told_schema(e)[0] != '\0');
		(void)told_operation(e);
	}
	json.n = 0;
	past_entry(&json, e, 63, e->position);
	buf_fini(&json);
	buf_fini(&doc);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str record = { (const char *)data, size };
	struct event e;

	if (event_decode(record, &e) != ERR_OK)
		return 0;
	again(&e);
	if (event_is_message(e.kind)) {
		struct telemetry_property p;
		struct str rest = e.fields[EVENT_BODY];

		while (telemetry_next(&rest, &p))
			require(rest.n < e.fields[EVENT_BODY].n);
	}
	if (told_sound(&e))
		tell(&e);
	return 0;
}
