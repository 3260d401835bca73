/* For targets that drive a whole shard: the unit tests' kit over rows that are made once. */
#ifndef HUB_KIT_FUZZ_H
#define HUB_KIT_FUZZ_H

#include "hub/messages.h"
#include "job/work.h"
#include "partition/partition.h"
#include "routing/routing.h"
#include "settings/settings.h"
#include "watch/touched.h"

/* as a worker has them */
#define KIT_FEATURES                                                                               \
	&configuration_feature, &job_feature, &message_feature, &routing_feature,                  \
	    &settings_feature, &partition_feature, &watch_feature
#include "../unit/configuration_kit.h"
#include "fuzz.h"

static struct kit_rows fuzz_rows; /* of a hub with a few identities, a configuration and a job */

static inline void
fuzz_rows_copy(struct kit_rows *to, const struct kit_rows *from)
{
	rows_clear(to);
	for (uint32_t i = 0; i < from->n; i++) {
		struct str value = buf_view(&from->v[i].value);

		rows_add(to, from->v[i].kind, buf_view(&from->v[i].key), &value);
	}
}

/* Shard 0, which has what is nobody's, too. */
static inline void
fuzz_kit_init(struct kit *k)
{
	kit_init(k);
	kit_shard(k, shard_new(0, kit_features));
}

static inline void
fuzz_rows_make(void)
{
	struct kit k;

	fuzz_kit_init(&k);
	kit_device(&k, "d1");
	require(kit_put(&k, "e1", NULL, "{'capabilities':{'iotEdge':true}}") == F_NONE);
	require(kit_put(&k, "d1/m1", NULL, "{}") == F_NONE);
	require(
	    kit_patch(&k, "d1", NULL,
	        "{'tags':{'env':'t'},'properties':{'desired':{'a':1,'b':{'c':[1,2]}}}}") == F_NONE);
	kit_connect(&k, "d1", 1, false);
	put(&k, "c1", NULL, simple(ENV_T, 1, ".x", "1"));
	fuzz_rows_copy(&fuzz_rows, &k.store);
	end(&k);
}

/* The hub as it is after a start with those rows. */
static inline void
fuzz_kit_start(struct kit *k)
{
	if (fuzz_rows.n == 0)
		fuzz_rows_make();
	fuzz_kit_init(k);
	fuzz_rows_copy(&k->store, &fuzz_rows);
	restart(k);
}

#endif
