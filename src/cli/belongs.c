/* Whose a stored row is. A store of one hub has no need to ask; a database has the shard as a column. */
#include "cli/cluster.h"
#include "shard/shard.h"

#define BODY                                                                                       \
	0x80u /* in the first byte of a key of messages: not the queue of a device, the body of a message */

/* Keys of the table hub, by what they begin with: where the shard's number stands behind it. */
enum where { NOWHERE, ONE_BYTE, TWO_BYTES };

static const struct {
	const char *prefix;
	enum where where;
} owners[] = {
	{ "configuration/", NOWHERE },
	{ "swept/", TWO_BYTES },
	{ "epoch/", TWO_BYTES },
	{ "events/", TWO_BYTES },
	{ "connected/", TWO_BYTES },
	{ "ended/", TWO_BYTES },
	{ "deadletters/", TWO_BYTES },
	{ "feedback/", TWO_BYTES },
	{ "job/", NOWHERE },
	{ "jobrows/", TWO_BYTES },
	{ "jobpart/", TWO_BYTES },
	{ "jobdone/", TWO_BYTES },
	{ "partition/", ONE_BYTE },
	{ "settings", NOWHERE },
	{ "sink/", NOWHERE },
	{ "sinkat/", NOWHERE },
	{ "route/", NOWHERE },
};

static bool
number_at(struct str key, size_t at, unsigned nbyte, uint32_t *out)
{
	if (key.n < at + nbyte)
		return false;
	*out = 0;
	for (unsigned i = 0; i < nbyte; i++)
		*out = *out << 8 | (unsigned char)key.p[at + i];
	return *out < SHARDS;
}

static bool
common_shard(struct str key, uint32_t *shard)
{
	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		struct str prefix = str_of(owners[i].prefix);

		if (!str_starts(key, prefix))
			continue;
		*shard = 0; /* what is the hub's is on shard 0 */
		return owners[i].where == NOWHERE ||
		    number_at(key, prefix.n, owners[i].where, shard);
	}
	return false;
}

bool
row_shard(enum store_table table, struct str key, uint32_t *shard)
{
	char first;

	if (table == STORE_HUB)
		return common_shard(key, shard);
	if (table != STORE_MESSAGES || key.n < 2 || !((unsigned char)key.p[0] & BODY))
		return number_at(key, 0, 2, shard);
	first = (char)((unsigned char)key.p[0] & ~BODY);
	*shard = (uint32_t)((unsigned char)first << 8 | (unsigned char)key.p[1]);
	return *shard < SHARDS;
}
