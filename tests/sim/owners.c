/*
 * In some histories the shards are several owners', for questions: all of them are this process, asked apart, and what they say is put together
 * as that of other nodes. Who is asked has not all of it now and then, or is not heard of.
 */
#include "world.h"

#define AGAIN_US 50001

static struct rnd rnd;
static uint8_t owners[SHARDS];

static int
owner(void *ctx, uint32_t shard)
{
	(void)ctx;
	return owners[shard];
}

static void
ask(void *ctx, int of, const struct walk_asked *asked, struct walk_call *c)
{
	struct walk_asked some = *asked;

	(void)ctx, (void)of;
	seen.apart++;
	c->lost = rnd_below(&rnd, 16) == 0;
	if (!c->lost && rnd_below(&rnd, 8) == 0)
		some.shards &=
		    (uint64_t)rnd_below(&rnd, UINT32_MAX) << 32 | rnd_below(&rnd, UINT32_MAX);
	if (c->lost || some.shards != asked->shards)
		the_world->mono_us += AGAIN_US; /* it is asked again behind that */
	if (c->lost)
		c->done(c);
	else
		fleet_walk(the_world->fleet, &some, c);
}

const struct fleet_walks *
owners_drawn(uint64_t seed)
{
	static const struct fleet_walks walks = { .self = 0, .owner = owner, .ask = ask };

	rnd.state = seed * 2 + 1;
	for (uint32_t s = 0; s < SHARDS; s++)
		owners[s] =
		    s > 0 && rnd_below(&rnd, 3) > 0 ? owners[s - 1] : (uint8_t)rnd_below(&rnd, 3);
	return seed % 4 == 3 ? &walks : NULL;
}
