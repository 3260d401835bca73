/*
 * pg/operate: what who operates a hub asks of its database and tells it, with no node between (docs/cluster-design.md, 12). Each call has a
 * connection of its own; of the options url and node count.
 */
#ifndef TWINHUB_PG_OPERATE_H
#define TWINHUB_PG_OPERATE_H

#include "pg/pg.h"

#define PG_LEVEL       1u  /* of features that this program writes: hub.level */
#define PG_STATUS_MAX  64u /* nodes */
#define PG_STATUS_TEXT 128u

struct pg_status_node {
	char name[PG_STATUS_TEXT];
	char state[16];                            /* live, draining, buried, revoked */
	char version[32], address[PG_STATUS_TEXT]; /* empty: it has not said */
	unsigned slot;
	int64_t generation; /* also when it began, us */
	int64_t identities, common;
	unsigned level;
	bool takes; /* shards: its clock is right */
	bool beats; /* while this was asked */
	unsigned shards;
};

struct pg_status {
	char hub[PG_ID_MAX], database[PG_STATUS_TEXT], server[PG_STATUS_TEXT], timeline[16];
	char standbys
	    [PG_STATUS_TEXT]; /* synchronous_standby_names; empty: commits wait for nobody */
	char lost[512];       /* what the database has lost, until it is accepted; empty: nothing */
	int64_t now_us;       /* the server's clock */
	unsigned schema, level;
	int64_t common;
	unsigned nnode;
	struct pg_status_node nodes[PG_STATUS_MAX];
	struct {
		int64_t epoch;
		int owner; /* of nodes; -1: nobody who lives */
	} shards[64];
	unsigned norphan;
};

/* Takes until each node that is not dead has beaten, at most 2.5 s. ERR_NOT_FOUND: no hub; ERR_VERSION; ERR_IO. */
enum err pg_status_get(const struct pg_options *o, struct pg_status *out, struct fault *f);

/* What of the server's settings is not as it should be, a line each. grave: what is acknowledged may be lost; else it costs. */
typedef void pg_advise(void *ctx, const char *line, bool grave);
enum err pg_advice(const struct pg_options *o, pg_advise *tell, void *ctx, struct fault *f);

/*
 * ERR_NOT_FOUND: there is no such node; ERR_ARG: not in the state that it is in, f says why; ERR_IO: done or not, to be asked again, which does no
 * harm.
 *
 * drain   its shards go to others, it gets none; back: it is as others again
 * revoke  for ever: its next beat ends it, none begins. Returns when its lease is over
 * remove  the row of one that is dead or revoked. Waits 6 s for one that nobody has buried. ERR_LOCKED: it lives
 */
enum err pg_node_drain(const struct pg_options *o, const char *node, bool back, struct fault *f);
enum err pg_node_revoke(const struct pg_options *o, const char *node, struct fault *f);
enum err pg_node_remove(const struct pg_options *o, const char *node, struct fault *f);

/* The newest level of all nodes that are not dead. ERR_ARG: a node, which f names, has a former program. */
enum err pg_finish_upgrade(const struct pg_options *o, unsigned *level, struct fault *f);

/* hub.lost is emptied, and if no node lives all epochs go up by 1,000: positions of what is lost are given to nobody again. */
enum err pg_accept_loss(const struct pg_options *o, bool *raised, struct fault *f);

#endif
