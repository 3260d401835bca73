/*
 * Any text as the body of an operation that reads JSON: identities, twins, lines of an import with all that an export says,
 * configurations with contents and rollout plans, contents for edge devices, jobs. What is refused changes nothing; after
 * what is taken a start finds records that it knows, and says the same.
 */
#include "hub_kit_fuzz.h"

#define ANY (IMPORT_CREATE | IMPORT_REPLACE)

static const struct op_choice {
	enum op_kind kind;
	const char *id, *name;
	uint8_t import;
	bool digital;
} choices[] = {
	{ OP_CONFIGURATION_PUT, "", "c2", 0, false },
	{ OP_CONFIGURATION_PUT, "", "c1", 0, false },
	{ OP_JOB_PUT, "", "j1", 0, false },
	{ OP_IDENTITY_IMPORT, "d2", "", ANY | IMPORT_WHOLE, false },
	{ OP_IDENTITY_IMPORT, "d1", "", ANY | IMPORT_WHOLE, false },
	{ OP_IDENTITY_IMPORT, "d1/m1", "", ANY, false },
	{ OP_IDENTITY_PUT, "d2", "", 0, false },
	{ OP_TWIN_PATCH, "d1", "", 0, false },
	{ OP_TWIN_REPLACE, "d1", "", 0, false },
	{ OP_TWIN_PATCH, "d1", "", 0, true },
	{ OP_APPLY_CONTENT, "e1", "", 0, false },
	{ OP_REPORT, "d1", "", 0, false },
};
#define NCHOICE (sizeof(choices) / sizeof(choices[0]))

static void
records_check(const struct kit *k)
{
	for (uint32_t i = 0; i < k->store.n; i++)
		if (k->store.v[i].kind < RECORD_KINDS)
			require(record_valid(k->store.v[i].kind, buf_view(&k->store.v[i].value)));
}

static void
twin_text(struct kit *k, struct buf *out)
{
	require(kit_read(k, "d1") == F_NONE);
	out->n = 0;
	buf_str(out, buf_view(&k->reply.body));
}

/* It is on disk, the set of configurations is told, its twins brought in line; then the hub starts anew. */
static void
goes_on(struct kit *k, bool connected)
{
	struct buf before = { 0 }, after = { 0 };

	k->hold = false;
	kit_commit(k);
	publish(k);
	sweep(k);
	records_check(k);
	twin_text(k, &before);
	restart(k);
	twin_text(k, &after);
	require(connected || str_eq(buf_view(&before), buf_view(&after)));
	buf_fini(&before);
	buf_fini(&after);
}

static void
run(struct kit *k, const struct op_choice *c, struct doc_parsed *info)
{
	struct op op = kit_op(c->kind, c->id);
	uint64_t session_epoch = c->kind == OP_REPORT ? kit_connect(k, "d1", 2, true) : 0;

	op.name = str_of(c->name);
	op.import = c->import;
	op.digital = c->digital;
	op.session_epoch = session_epoch;
	op.if_match = str_eq(op.name, STR("c1")) ? IF_ANY : IF_NONE;
	op.payload = buf_view(&k->doc);
	op.nduplicate = info->nduplicate;
	k->hold = true;
	k->effects.n = 0;
	if (kit_run(k, &op) == F_NONE) {
		goes_on(k, c->kind == OP_REPORT);
	} else {
		require(k->batch.n == 0 && k->effects.n == 0);
		require(k->reply.fault.text[0] != '\0');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	const struct op_choice *c = &choices[fuzz_choice(&in, NCHOICE)];
	struct doc_parsed info;
	struct kit k;

	fuzz_kit_start(&k);
	k.doc.n = 0;
	if (doc_parse(k.parser, in, &k.doc, &info, NULL) == ERR_OK)
		run(&k, c, &info);
	end(&k);
	return 0;
}
