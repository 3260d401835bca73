/*
 * source: another hub, read by Azure's service API alone: queries, identities, configurations. It is asked no faster than it
 * likes: --rate, and a rest whenever it says 429 or 503.
 */
#ifndef TWINHUB_CLI_SOURCE_H
#define TWINHUB_CLI_SOURCE_H

#include "cli/priv.h"
#include "foreign/foreign.h"

#define SOURCE_PAGE_ROWS 100u /* what Azure gives at most */

struct source {
	struct target target;
	uint64_t rate;   /* requests a second; 0: no limit of ours */
	int64_t next_us; /* not before, monotonic */
	bool identities; /* ask for each identity: queries show neither keys nor generations */
	/* its policy may not read them, which has been told: keys cannot be compared */
	bool keys_closed;
	struct answer identity;
};

/* By --from, --from-ca and --rate, or the environment. Errors are said. */
int source_open(const struct args *a, struct source *s);
void source_fini(struct source *s);

/*
 * All of these ask again while the source is busy (429, 503) or away, for SOURCE_PATIENCE_S, and return an exit code, said.
 */
#define SOURCE_PATIENCE_S 900u

/* One page of a query. continuation: from the page before, or { 0 }; gets that of the next one, n is 0 behind the last. */
int source_page(struct source *s, const char *query, struct buf *continuation, struct answer *page);

/* What the row of a query and the registry say of one identity, borrowed from both until the next call. EXIT_NOT_FOUND, not said: it
 * went meanwhile. */
int source_entry(struct source *s, struct doc row, struct foreign_entry *out);

/* The twin of one. EXIT_NOT_FOUND, not said: there is none. */
int source_twin(struct source *s, struct subject who, struct answer *out);

/* All configurations and deployments: an array. */
int source_configurations(struct source *s, struct answer *out);

#endif
