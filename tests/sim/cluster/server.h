/* PostgreSQL: what its files share. */
#ifndef SIM_CLUSTER_SERVER_H
#define SIM_CLUSTER_SERVER_H

#include "sim.h"

enum stage { TX_RUNS, TX_WAITS, TX_SYNC };

struct tx {
	struct tx *next;
	int server, backend;
	uint64_t id;
	enum stage stage;
	struct msg *m;
	struct {
		int row;
		bool share;
	} wants[2 * SHARDS + 2];
	unsigned nwant, got;
	bool rested;         /* between records and fence */
	struct tables after; /* of what it writes: */
	uint32_t nodes, shards, values;
	bool common, writes;
	int64_t lsn;
};

enum { ROW_NODE = 0, ROW_SHARD = NODES, ROW_REC = NODES + SHARDS, ROW_HUB = NODES + 2 * SHARDS };

/* server.c */
void tx_unlink(struct world *w, struct tx *tx);
void tx_over(struct world *w, struct tx *tx, enum cluster_answer answer);
void tx_visible(struct world *w, struct tx *tx, enum cluster_answer answer);
void waiting_go(struct world *w, int server);
void synced(
    struct world *w, int server); /* those that wait for the standby, and need not any more */
void log_send(struct world *w, int server);

/* calls.c */
void wants_make(struct tx *tx, int me); /* the locks of a call, in order */
enum cluster_answer call(struct world *w, struct tx *tx);

#endif
