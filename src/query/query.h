/*
 * query: the hub query language. A text becomes an immutable plan; the plan judges rows, writes what the select list
 * asks of them, gathers groups and sorts. Rules: docs/spec/query-language.md parts 1 to 7, Q-01 to.
 *
 *   plan.h     the text: limits, collections, roots; query_parse, query_facts, query_review
 *   rows.h     one row: query_row_ops, query_match, query_project; tables of members
 *   paths.h    which paths a plan names, and what a row must have at one of them
 *   results.h  many rows: groups, ORDER BY, pages and their tokens
 *   columns.h  values of many rows at a path, kept beside the rows; column.h: one of them
 *   vector.h   a block of rows judged, counted and ordered by columns: the same answers as rows.h, or "ask the document"
 *
 * What this module does not know: where rows live and in which order they come. The caller finds rows, shows each one, counts what
 * TOP allows, cuts pages and remembers in a page token where it was.
 *
 * The order of calls:
 *
 *   query_parse                                          once, on any thread
 *   by query_facts: collection; ids, if only some can match; nothing, if none can
 *   for each row     match's records at hand, query_match; true: output's records at hand, and
 *     whole, paths     query_project                     appends one JSON value
 *     aggregate        query_groups_add                  then, over all parts, merge, finish, write
 *     ordered          query_order_wants, query_order_take    then finish, write
 *   query_token_write, if there is more
 *   query_free                                           when no thread uses it any more
 *
 * A plan is shared read-only between threads; a scratch, a query_groups and a query_order belong to one thread at a time.
 *
 * Pure: no I/O, no clock. Sizes are bytes, but for texts of queries, which are counted in code points.
 */
#ifndef TWINHUB_QUERY_H
#define TWINHUB_QUERY_H

#include "query/results.h"

#endif
