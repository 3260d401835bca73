/* What features keep in a shard, and what they hear: two of the test's own, over a shard that knows neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "shard/feature.h"
#include "shard/record.h"

#include <cmocka.h>

/* It keeps one number, and writes down what it hears. */
struct note {
	uint64_t value;
	bool there;
};

static char heard[256];
static unsigned nfini;

static void
hear(const char *who, const char *what, const struct row *r)
{
	size_t n = strlen(heard);

	snprintf(
	    heard + n, sizeof(heard) - n, "%s %s " STR_FMT ";", who, what, STR_ARG(row_device(r)));
}

static void
note_fini(void *state)
{
	(void)state;
	nfini++;
}

extern const struct feature first, second;

static enum err
load(struct note *n, const struct str *value)
{
	struct rd rd = rd_of(value != NULL ? *value : STR_NONE);

	if (value != NULL && value->n != 8)
		return ERR_CORRUPT;
	n->there = value != NULL;
	n->value = value != NULL ? rd_le64(&rd) : 0;
	return ERR_OK;
}

static enum err
first_load(struct shard *sh, struct str key, const struct str *value)
{
	(void)key;
	return load(shard_state(sh, &first), value);
}

static enum err
second_load(struct shard *sh, struct str key, const struct str *value)
{
	(void)key;
	return load(shard_state(sh, &second), value);
}

static bool
value_of(const struct note *n, struct buf *out)
{
	if (n->there)
		buf_le64(out, n->value);
	return n->there;
}

static bool
first_value(const struct shard *sh, struct str key, struct buf *out)
{
	(void)key;
	return value_of(shard_state(sh, &first), out);
}

static bool
second_value(const struct shard *sh, struct str key, struct buf *out)
{
	(void)key;
	return value_of(shard_state(sh, &second), out);
}

static const char *const first_keys[] = { "one/", "uno/", NULL },
                         *const second_keys[] = { "two/", NULL };

/* As many as it has. */
static bool
next_of(const char *const *keys, struct str *prefix)
{
	while (prefix->n != 0 && *keys != NULL && !str_eq(*prefix, str_of(*keys)))
		keys++;
	if (prefix->n != 0)
		keys++;
	if (*keys == NULL)
		return false;
	*prefix = str_of(*keys);
	return true;
}

static bool
first_next(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX])
{
	(void)sh, (void)room;
	return next_of(first_keys, prefix);
}

static bool
second_next(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX])
{
	(void)sh, (void)room;
	return next_of(second_keys, prefix);
}

static const char *
name_of(unsigned what)
{
	return what == RECORD_BIT(RECORD_WANTED) ? "wanted"
	    : what == WATCH_PRESENCE             ? "presence"
	    : what == WATCH_EDGE                 ? "edge"
	                                         : "other";
}

static void
first_changed(struct shard *sh, struct row *r, unsigned what)
{
	(void)sh;
	hear("first", name_of(what), r);
}

static void
second_changed(struct shard *sh, struct row *r, unsigned what)
{
	(void)sh;
	hear("second", name_of(what), r);
}

static void
second_leaves(struct shard *sh, struct row *r, const struct hub_env *env)
{
	(void)sh, (void)env;
	hear("second", "leaves", r);
}

static bool
second_chose(const struct shard *sh, uint64_t a, uint64_t b)
{
	(void)sh;
	return a < 5 && b > 5;
}

const struct feature first = { .state_bytes = sizeof(struct note),
	.fini = note_fini,
	.key_prefixes = first_keys,
	.load = first_load,
	.next_prefix = first_next,
	.value = first_value,
	.row_changed = first_changed };
const struct feature second = { .state_bytes = sizeof(struct note),
	.fini = note_fini,
	.key_prefixes = second_keys,
	.load = second_load,
	.next_prefix = second_next,
	.value = second_value,
	.row_changed = second_changed,
	.row_leaves = second_leaves,
	.chose_between = second_chose };
static const struct feature *const both[] = { &first, &second, NULL };

/* ---- a store of one line: the last write ---- */

static char written[64];

static void
put(void *ctx, uint32_t shard, enum record_kind kind, struct str key, struct str value)
{
	(void)ctx, (void)shard;
	snprintf(written, sizeof(written), "put %d " STR_FMT " %zu", (int)(kind == RECORD_COMMON),
	    STR_ARG(key), value.n);
}

static void
del(void *ctx, uint32_t shard, enum record_kind kind, struct str key)
{
	(void)ctx, (void)shard;
	snprintf(written, sizeof(written), "del %d " STR_FMT, (int)(kind == RECORD_COMMON),
	    STR_ARG(key));
}

static struct str
number(uint64_t v, struct buf *room)
{
	room->n = 0;
	buf_le64(room, v);
	return buf_view(room);
}

/* ---- tests ---- */

static void
feature__its_records_are_its_own_and_undone(void **state)
{
	struct shard *sh = shard_new(2, both);
	struct note *a = shard_state(sh, &first), *b = shard_state(sh, &second);
	struct undo_sink sink = { NULL, put, del };
	struct undo *u = undo_new();
	struct hub_env env = { .undo = u, .put = put, .del = del };
	struct buf room = { 0 };
	struct str v = number(7, &room);

	(void)state;
	assert_int_equal(shard_common(sh, STR("uno/x"), &v), ERR_OK);
	assert_int_equal(shard_common(sh, STR("three/x"), &v), ERR_OK); /* nobody's here */
	assert_int_equal(shard_common(sh, STR("two/x"), &(struct str){ "bad", 3 }), ERR_CORRUPT);
	assert_true(a->value == 7 && !b->there);
	v = number(8, &room);
	common_write(sh, STR("one/x"), &v, &env);
	assert_string_equal(written, "put 1 one/x 8");
	common_write(sh, STR("two/x"), &v, &env);
	common_write(sh, STR("one/x"), NULL, &env);
	assert_string_equal(written, "del 1 one/x");
	assert_true(!a->there && b->value == 8);
	undo_rollback(u, &sink);
	assert_string_equal(written, "put 1 one/x 8"); /* what was there first comes last */
	assert_true(a->value == 7 && a->there && !b->there);
	undo_free(u);
	nfini = 0;
	shard_free(sh);
	assert_int_equal(nfini, 2);
	buf_fini(&room);
}

static void
feature__a_start_reads_one_after_the_other(void **state)
{
	struct shard *sh = shard_new(2, both), *none = shard_new(2, NULL);
	struct str prefix = STR_NONE;
	char room[HUB_PREFIX_MAX], all[64] = "";

	(void)state;
	while (shard_common_prefix(sh, &prefix, room))
		strncat(all, prefix.p, prefix.n);
	assert_string_equal(all,
	    "epoch/events/connected/ended/one/uno/two/"); /* with the shard's number: two zeros */
	prefix = STR_NONE;
	for (int i = 0; i < 4; i++) /* of the epoch, the log and sessions */
		assert_true(shard_common_prefix(none, &prefix, room));
	assert_false(shard_common_prefix(none, &prefix, room));
	shard_free(sh);
	shard_free(none);
}

static void
feature__it_hears_of_what_it_watches(void **state)
{
	struct shard *sh = shard_new(2, both);
	struct undo *u = undo_new();
	struct hub_env env = { .undo = u, .put = put, .del = del };
	struct row *r = row_create(u, sh, STR("d"), STR_NONE, 0);
	struct str bytes = STR("x");

	(void)state;
	heard[0] = '\0';
	row_write(sh, r, RECORD_WANTED, &bytes, &env);
	assert_string_equal(heard, ""); /* nothing is watched */
	shard_watch(sh, &second, RECORD_BIT(RECORD_WANTED) | WATCH_PRESENCE);
	row_write(sh, r, RECORD_WANTED, &bytes, &env);
	row_write(sh, r, RECORD_REPORTED, &bytes, &env);
	row_set_presence(sh, r, NULL);
	assert_string_equal(heard, "second wanted d;second presence d;");
	shard_watch(sh, &first, RECORD_BIT(RECORD_WANTED));
	shard_watch(sh, &second, 0);
	heard[0] = '\0';
	row_write(sh, r, RECORD_WANTED, &bytes, &env);
	row_set_presence(sh, r, NULL);
	assert_string_equal(heard, "first wanted d;");
	heard[0] = '\0';
	features_row_leaves(sh, r, &env); /* whether it watches or not */
	assert_string_equal(heard, "second leaves d;");
	assert_true(features_chose_between(sh, 4, 6));
	assert_false(features_chose_between(sh, 6, 7));
	undo_free(u);
	shard_free(sh);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(feature__its_records_are_its_own_and_undone),
		cmocka_unit_test(feature__a_start_reads_one_after_the_other),
		cmocka_unit_test(feature__it_hears_of_what_it_watches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
