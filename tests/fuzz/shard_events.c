/*
 * Any bytes as a record of the log: what is taken is written again as the same; what is sound, too, is told, shown in a history, and a twin is taken
 * back by it, without harm and as JSON.
 */
#include "doc/out.h"
#include "fuzz.h"
#include "shard/past.h"
#include "shard/record.h"

#define NOW INT64_C(1800000000000000)

static struct doc_parser *parser;
static struct teller *teller;
static struct buf identity, wanted, reported;

static void
put_section(struct buf *out, enum section_kind kind)
{
	static const char text[] = "{\"a\":1,\"b\":{\"c\":[1,\"x\"],\"d\":null},\"e\":\"t\"}";
	struct section_write wr = { .kind = kind, .now_us = NOW };
	struct buf fresh = { 0 }, doc = { 0 };
	struct section old;
	bool changed;

	section_new(&fresh, NOW);
	old = section_of(buf_view(&fresh));
	require(doc_parse(parser, str_of(text), &doc, NULL, NULL) == ERR_OK);
	require(section_merge(&old, doc_of(buf_view(&doc)), 0, &wr, out, NULL, &changed, NULL) ==
	    ERR_OK);
	buf_fini(&fresh);
	buf_fini(&doc);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct identity id = { .generation = 7, .etag = 1, .enabled = true, .auth = AUTH_SAS };
	struct buf tags = { 0 }, desired = { 0 }, section = { 0 };

	(void)argc, (void)argv;
	parser = doc_parser_new(1u << 22);
	teller = teller_new(STR("hub"));
	put_section(&tags, SECTION_TAGS);
	put_section(&desired, SECTION_DESIRED);
	put_section(&section, SECTION_REPORTED);
	identity_encode(&identity, &id);
	wanted_encode(&wanted, 9, buf_view(&tags), buf_view(&desired), STR_NONE, STR_NONE);
	reported_encode(&reported, NOW, buf_view(&section));
	buf_fini(&tags);
	buf_fini(&desired);
	buf_fini(&section);
	return 0;
}

static void
require_json(struct buf *json)
{
	struct buf doc = { 0 };

	require(doc_parse(parser, buf_view(json), &doc, NULL, NULL) == ERR_OK);
	buf_fini(&doc);
	json->n = 0;
}

static void
same_again(const struct event *e)
{
	/* one of format 1 may name nobody: that is the device itself in format 2 */
	bool itself = e->actor == ACTOR_DEVICE && e->actor_name.n == 0;
	struct buf out = { 0 };
	struct event again;

	event_encode(&out, e);
	require(event_decode(buf_view(&out), &again) == ERR_OK);
	require(again.kind == e->kind && again.time_us == e->time_us && again.actor == e->actor &&
	    str_eq(again.actor_name, itself ? e->device : e->actor_name) &&
	    str_eq(again.device, e->device) && str_eq(again.module, e->module));
	require(memcmp(again.numbers, e->numbers, sizeof(e->numbers)) == 0);
	for (unsigned i = 0; i < EVENT_FIELDS; i++)
		require(str_eq(again.fields[i], e->fields[i]));
	buf_fini(&out);
}

static void
shown(const struct event *e)
{
	static const struct str path[] = { { "properties", 10 }, { "desired", 7 }, { "a", 1 } };
	struct buf json = { 0 };

	if (told_source_of(e) != TOLD_NOBODY) {
		told_write(teller, &json, e, 12, 345);
		require_json(&json);
	}
	(void)told_touches(e, path, 3);
	if (!event_is_message(e->kind)) {
		past_entry(&json, e, 12, 345);
		require_json(&json);
	}
	buf_fini(&json);
}

/* The twin as it was before it, and once more. */
static void
taken_back(struct past *p, const struct event *e)
{
	struct past_row row = { .past = p, .device = e->device, .module = e->module };
	struct buf json = { 0 }, scratch = { 0 };

	for (int i = 0; i < 2; i++) {
		uint64_t at = past_next(p);

		past_learn(p, e);
		if (past_take_back(p, e, at) != ERR_OK)
			break;
		row.have = 0;
		past_write(&json, p, e->device, e->module);
		require_json(&json);
		for (unsigned k = 0; k < SECTION_KINDS; k++)
			require(past_query_ops.section(&row, (enum section_kind)k) != NULL);
		for (unsigned r = 0; r < QUERY_ROOT_COUNT; r++)
			(void)past_query_ops.root(&row, (enum query_root)r, &scratch);
	}
	buf_fini(&json);
	buf_fini(&scratch);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str record = { (const char *)data, size };
	struct past p = { .begun = false }, gone = { .begun = false };
	uint64_t position, generation;
	struct event e;
	uint32_t shard;

	if (event_key_decode(record, &shard, &position)) {
		char key[EVENT_KEY];

		event_key(key, shard, position);
		require(memcmp(key, data, size) == 0);
	}
	(void)past_mark_read(record, &p, &generation);
	if (event_decode(record, &e) != ERR_OK)
		return 0;
	same_again(&e);
	if (!told_sound(&e))
		return 0;
	shown(&e);
	require(
	    past_begin(&p, buf_view(&identity), buf_view(&wanted), buf_view(&reported)) == ERR_OK);
	taken_back(&p, &e);
	if (past_begin_deleted(&gone, &e) == ERR_OK)
		taken_back(&gone, &e);
	past_fini(&p);
	past_fini(&gone);
	return 0;
}
