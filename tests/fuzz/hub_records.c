/* Any bytes as a stored record of each kind: it is none, or the hub starts with it, answers and changes what it tells of. */
#include "hub_kit_fuzz.h"

#define NUMBER "\0\0\0\0\0\0\0\1"

static const struct str commons[] = {
	{ "configuration/c1", 16 },
	{ "swept/\0\0", 8 },
	{ "job/j1", 6 },
	{ "jobrows/\0\0" NUMBER, 18 },
	{ "jobpart/\0\0" NUMBER, 18 },
	{ "jobdone/\0\0" NUMBER "\0\0\0\0", 22 },
};
#define NCOMMON (sizeof(commons) / sizeof(commons[0]))

static void
put_value(struct kit *k, enum record_kind kind, struct str key, struct str value)
{
	struct kit_row *r = rows_find(&k->store, kind, key);

	if (r != NULL)
		rows_drop(&k->store, (uint32_t)(r - k->store.v));
	rows_add(&k->store, kind, key, &value);
}

/* All that looks at a device's records, and changes them. Answers do not matter. */
static void
use(struct kit *k)
{
	struct op op = op_of(OP_JOB_GET, "j1", NULL);

	kit_get(k, "d1");
	kit_read(k, "d1");
	kit_body(k, OP_TWIN_CONVERGENCE, "d1", NULL, NULL);
	kit_patch(k, "d1", NULL, "{'tags':{'env':'u'},'properties':{'desired':{'a':null,'z':1}}}");
	op = kit_connect_op(k, "d1", 5, false);
	if (kit_run(k, &op) == F_NONE) {
		uint64_t session_epoch = k->reply.session_epoch;

		kit_session_op(k, OP_TWIN_GET, "d1", session_epoch, NULL);
		kit_session_op(k, OP_REPORT, "d1", session_epoch, "{'r':{'s':1},'a':null}");
	}
	op = op_of(OP_JOB_GET, "j1", NULL);
	kit_run(k, &op);
	op = op_of(OP_CONFIGURATION_DELETE, "c1", NULL);
	kit_run(k, &op);
	publish(k);
	sweep(k);
	op = op_of(OP_JOB_CANCEL, "j1", NULL);
	kit_run(k, &op);
	kit_delete(k, "d1", NULL);
}

static void
try_identity(struct kit *k, struct str key, struct str value)
{
	struct shard *sh = shard_new(0, kit_features);

	if (shard_load(sh, key, value) != ERR_OK) {
		shard_free(sh);
		return;
	}
	require(record_valid(RECORD_IDENTITY, value));
	shard_loaded(
	    sh, &(struct shard_begin){ .now_us = k->env.now_us, .elapsed_us = k->env.now_us });
	kit_shard(k, sh);
	put_value(k, RECORD_IDENTITY, key, value);
	publish(k);
	use(k);
}

static void
try_record(struct kit *k, enum record_kind kind, struct str key, struct str value)
{
	enum err e = hub_fill(k->sh, STR("d1"), STR_NONE, kind, &value);

	require((e == ERR_OK) == record_valid(kind, value));
	if (e != ERR_OK)
		return;
	put_value(k, kind, key, value);
	use(k);
}

static void
try_common(struct kit *k, struct str key, struct str value)
{
	if (shard_common(k->sh, key, &value) != ERR_OK)
		return;
	put_value(k, RECORD_COMMON, key, value);
	publish(k);
	sweep(k);
	use(k);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	unsigned choice = fuzz_choice(&in, RECORD_KINDS + NCOMMON);
	struct buf key = { 0 };
	struct kit k;

	fuzz_kit_start(&k);
	hub_key(&key, 0, STR("d1"), STR_NONE);
	if (choice >= RECORD_KINDS)
		try_common(&k, commons[choice - RECORD_KINDS], in);
	else if (choice == RECORD_IDENTITY)
		try_identity(&k, buf_view(&key), in);
	else
		try_record(&k, (enum record_kind)choice, buf_view(&key), in);
	buf_fini(&key);
	end(&k);
	return 0;
}
