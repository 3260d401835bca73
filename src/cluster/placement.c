/* Whose each shard should be: the same function of the same table on each node, and so nobody has to be asked. */
#include "cluster/priv.h"

#include <stdio.h>

static uint64_t
weight(const char *id, unsigned shard)
{
	char key[CLUSTER_ID_MAX + 16];
	int n = snprintf(key, sizeof(key), "%s/%u", id, shard);

	return hash_stable((struct str){ key, (size_t)n });
}

/* Those who take part, in order of id. */
static unsigned
takers(const struct cluster_view *v, int out[CLUSTER_NODES_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < v->nnode; i++) {
		unsigned at = n;

		if (v->nodes[i].state != CLUSTER_LIVE || !v->nodes[i].takes)
			continue;
		for (; at > 0 && strcmp(v->nodes[out[at - 1]].id, v->nodes[i].id) > 0; at--)
			out[at] = out[at - 1];
		out[at] = (int)i;
		n++;
	}
	return n;
}

void
cluster_place(const struct cluster_view *v, unsigned shards, int place[CLUSTER_SHARDS_MAX])
{
	int who[CLUSTER_NODES_MAX];
	unsigned n = takers(v, who), left[CLUSTER_NODES_MAX];

	for (unsigned k = 0; k < n; k++)
		left[k] = shards / n + (k < shards % n);
	for (unsigned s = 0; s < shards; s++) {
		unsigned best = n;

		for (unsigned k = 0; k < n; k++)
			if (left[k] > 0 &&
			    (best == n ||
			        weight(v->nodes[who[k]].id, s) > weight(v->nodes[who[best]].id, s)))
				best = k;
		place[s] = best == n ? -1 : who[best];
		if (best < n)
			left[best]--;
	}
}
