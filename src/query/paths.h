/*
 * The paths that a plan names: for who wants to know whether a change of a row can concern it (watch/).
 *
 *   query_path_next   one after the other, the condition's and the select list's; none of HAVING and ORDER BY of groups
 *   query_path_get    its value in a row
 *   query_key_of      what a row must have at one path to match at all
 *
 * A path is the plan's and lives as long.
 */
#ifndef TWINHUB_QUERY_PATHS_H
#define TWINHUB_QUERY_PATHS_H

#include "query/rows.h"
#include "value/value.h"

struct path;

/* The one behind `before`, the first behind NULL; NULL: there are no more. Equal ones come as often as they are written. */
const struct path *query_path_next(const struct query *q, const struct path *before);
/* Of any two plans. */
bool query_path_same(const struct path *a, const struct path *b);
bool query_path_in_condition(const struct path *p);
/* What a document must have at hand for it. */
struct query_needs query_path_needs(const struct path *p);
/* DOC_NONE: undefined. A view that is good until the scratch is used again or the row is gone. */
struct doc query_path_get(const struct path *p, const struct query_row_ops *ops, const void *row,
    struct query_scratch *s);

/*
 * A conjunct of the condition that compares one path with constants: a row whose value there equals none of them does not match. Only
 * paths of sections, without $, and ids are taken; constants are booleans, numbers and strings.
 */
struct query_key {
	const struct path *path;
	uint32_t n;
	const struct value *v;
};
/* Of several the one with the fewest constants. false: there is none. */
bool query_key_of(const struct query *q, struct query_key *key);

#endif
