/*
 * watch: live queries. Who watches a query is told its rows and then what becomes of them.
 *
 *   watch_compile           a query's text: watchable or not, and why (E-51); immutable, counted
 *   struct watch_index      (index.h) the watches of one thread's shards by the paths that they look at: a change asks those that it may concern
 *   struct watch_shown      (shown.h) which rows one watcher has been shown, so that it is known whether a change is an entry or an end
 *
 * Rules: docs/spec/events.md (E-50 to E-58). Pure: no I/O, no threads, no clock, no globals; one thread at a time may use an
 * index or a set of rows, a watch belongs to all of them.
 */
#ifndef TWINHUB_WATCH_H
#define TWINHUB_WATCH_H

#include "query/query.h"

struct watch;

/*
 * Take a query to be watched. extensions: as query_options. *out is set only on success.
 * ERR_ARG: f says why not, 400: what query_parse refuses, and what cannot be watched (E-51).
 */
enum err watch_compile(struct str text, bool extensions, struct watch **out, struct fault *f);
struct watch *watch_ref(const struct watch *w);
void watch_unref(struct watch *w); /* NULL is fine; the last one frees it. Any thread */

const struct query *watch_query(const struct watch *w);
/* What a row's document must have at hand to be judged and shown. */
struct query_needs watch_needs(const struct watch *w);

#endif
