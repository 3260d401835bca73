/* For the tests of configurations: the hub around a shard. It publishes what is on disk, and sweeps. */
#ifndef CONFIGURATION_KIT_H
#define CONFIGURATION_KIT_H

#include "config/configure.h"

#ifndef KIT_FEATURES
#define KIT_FEATURES &configuration_feature
#endif
#include "hub_kit.h"

static struct configurations *published;

static UNUSED void
publish(struct kit *k)
{
	struct configurations *old = published;

	published = configurations_stored(k->sh);
	configure_use(k->sh, published);
	configurations_free(old);
}

/* The records that it asked for. */
static UNUSED unsigned
sweep_one(struct kit *k)
{
	struct str device, module;
	unsigned records, asked = 0;
	uint32_t row;

	while ((row = configure_sweep_row(k->sh, &records)) != TABLE_NONE) {
		unsigned missing;

		asked |= records;
		k->key.n = 0;
		missing = shard_row_missing(k->sh, row, records, &k->key);
		str_cut(str_sub(buf_view(&k->key), 2), '\0', &device, &module);
		kit_fill(k, device, module, missing);
	}
	configure_sweep(k->sh, &k->env);
	return asked;
}

static UNUSED void
sweep(struct kit *k)
{
	k->env.now_us += SECOND;
	while (configure_sweep_awaited(k->sh))
		sweep_one(k);
	if (!k->hold)
		kit_commit(k);
}

static UNUSED struct op
op_of(enum op_kind kind, const char *name, const char *etag)
{
	struct op op = { .kind = kind, .name = str_of(name) };

	kit_if(&op, etag);
	return op;
}

static UNUSED enum fault_code
try_put(struct kit *k, const char *name, const char *etag, const char *json)
{
	struct op op = op_of(OP_CONFIGURATION_PUT, name, etag);

	kit_doc(k, json, &op);
	return kit_run(k, &op);
}

/* Put it, publish it, apply it everywhere. */
static UNUSED void
put(struct kit *k, const char *name, const char *etag, const char *json)
{
	assert_int_equal(try_put(k, name, etag, json), F_NONE);
	publish(k);
	sweep(k);
}

static UNUSED void
drop(struct kit *k, const char *name)
{
	struct op op = op_of(OP_CONFIGURATION_DELETE, name, NULL);

	assert_int_equal(kit_run(k, &op), F_NONE);
	publish(k);
	sweep(k);
}

static UNUSED void
end(struct kit *k)
{
	kit_fini(k);
	configurations_free(published);
	published = NULL;
}

static UNUSED void
restart(struct kit *k)
{
	kit_restart(k);
	for (uint32_t i = 0; i < k->store.n; i++) {
		struct str value = buf_view(&k->store.v[i].value);

		if (k->store.v[i].kind == RECORD_COMMON)
			assert_int_equal(
			    shard_common(k->sh, buf_view(&k->store.v[i].key), &value), ERR_OK);
	}
	publish(k);
}

#define twin_shows(k, id, path, want)                                                              \
	do {                                                                                       \
		assert_int_equal(kit_read((k), (id)), F_NONE);                                     \
		kit_shows((k), (path), (want));                                                    \
	} while (0)

/* A configuration of one path. */
static UNUSED const char *
simple(const char *target, int priority, const char *path, const char *value)
{
	static char text[1024];

	snprintf(text, sizeof(text),
	    "{'targetCondition':'%s','priority':%d,'content':{'deviceContent':{'properties.desired%"
	    "s':%s}}}",
	    target, priority, path, value);
	return text;
}

/* In JSON a quote inside a text. */
#define ENV_T "tags.env = \\u0027t\\u0027"

#endif
