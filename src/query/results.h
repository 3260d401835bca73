/*
 * What many rows come to: groups, rows in order, pages.
 *
 *   groups:  one query_groups per part: query_groups_add for each matching row; then all into one by
 *            query_groups_put and query_groups_merge; query_groups_finish, query_groups_write
 *   order:   ORDER BY on rows: one query_order per part: query_order_wants, query_order_take for each matching row; then as groups:
 *            query_order_put, query_order_merge; query_order_finish, query_order_write
 *   pages:   query_page_size; where the next one begins is a struct query_bookmark, which travels as a token
 *
 * Both gather within max_bytes, the caller's: ERR_SIZE beyond it, never more memory than twice that. They outlive no plan. One
 * thread at a time.
 */
#ifndef TWINHUB_QUERY_RESULTS_H
#define TWINHUB_QUERY_RESULTS_H

#include "query/rows.h"

/* ---- groups: aggregates and GROUP BY (Q-48 to) ---- */

struct query_groups;

/* Groups of an aggregate plan, which must outlive them. max_bytes bounds what is counted: keys, counters and table
 * cells; the memory really held is at most twice that. */
struct query_groups *query_groups_new(const struct query *q, size_t max_bytes);
void query_groups_free(struct query_groups *g); /* NULL is fine */

/* Count a matching row. ERR_SIZE: the limit is reached, f says so (F_QueryTooLarge); the groups stay as they were. */
enum err query_groups_add(struct query_groups *g, const struct query_row_ops *ops, const void *row,
    struct query_scratch *s, struct fault *f);
/*
 * A part as bytes, appended: those of one query may stand one behind the other. The form (groups_bytes.c) has a version and bears
 * the query's hash; it is at most as long as what the part counts of its memory and 64 bytes.
 *
 * There is no other way to merge, from thread to thread neither: so what machines will send is what each query of several workers
 * shows to be right. It costs some 25 ns a group, beside the 200 of counting, merging, sorting and writing one; nothing where groups are few.
 */
void query_groups_put(const struct query_groups *g, struct buf *out);
/*
 * Take the part at the front of `parts` off it and add its groups: a part of the same query, made by another worker or machine, and
 * believed in nothing. The limit counts as it does for rows.
 *   ERR_SIZE     as above     ERR_CORRUPT  no such part, or one that the query cannot have made (F_ServerError)
 * On error `into` may hold some of it and is good for query_groups_free only.
 */
enum err query_groups_merge(struct query_groups *into, struct str *parts, struct fault *f);
/* What it counts of its memory. */
size_t query_groups_bytes(const struct query_groups *g);
/* No more rows: put the groups in order (by their keys, the same whatever the order of rows and merges). */
void query_groups_finish(struct query_groups *g);
/* Rows of the finished result, TOP respected: 1 without GROUP BY, also for zero rows. */
uint32_t query_groups_count(const struct query_groups *g);
/* Append rows from, from + 1, ... (at most n, within the count) as JSON objects with commas between. */
void query_groups_write(const struct query_groups *g, uint32_t from, uint32_t n, struct buf *json);

/* ---- ORDER BY on rows (Q-88) ---- */

struct query_order;

/* The first `want` rows in the order of an ordered plan, which must outlive them. max_bytes bounds what they hold. Parts of one
 * query want the same number. */
struct query_order *query_order_new(const struct query *q, uint64_t want, size_t max_bytes);
void query_order_free(struct query_order *o); /* NULL is fine */

/* Is this matching row, as far as is known, one of the first? Then query_order_take is to follow, with the same row.
 * Asks for what facts.match names. Each row is shown once, in ascending (shard, row). */
bool query_order_wants(struct query_order *o, const struct query_row_ops *ops, const void *row,
    struct query_scratch *s);
/* Keep it; shard: the row's, which no other part has. ERR_SIZE: the limit is reached, f says so (F_QueryTooLarge). */
enum err query_order_take(struct query_order *o, uint32_t shard, const struct query_row_ops *ops,
    const void *row, struct query_scratch *s, struct fault *f);
/* Parts as bytes: as query_groups_put and query_groups_merge. The form is in order.c. Before query_order_finish. */
void query_order_put(const struct query_order *o, struct buf *out);
enum err query_order_merge(struct query_order *into, struct str *parts, struct fault *f);
/* What it counts of its memory. */
size_t query_order_bytes(const struct query_order *o);
/* No more rows: put them in order. */
void query_order_finish(struct query_order *o);
/* Rows shown, at most TOP: those that pages deliver in all. */
uint64_t query_order_count(const struct query_order *o);
/* Append rows from, from + 1, ... (at most n, within what is kept; fewer once json has max_json bytes) with commas
 * between; how many. */
uint32_t query_order_write(
    const struct query_order *o, uint32_t from, uint32_t n, size_t max_json, struct buf *json);

/* ---- pages ---- */

/* Where the next page begins. The meaning of the fields is the executor's. */
struct query_bookmark {
	uint32_t shard;
	uint64_t row;       /* first row not yet looked at */
	uint64_t delivered; /* rows given so far: for TOP, and the offset into groups */
	uint64_t generation;
};

#define QUERY_TOKEN_LEN 60

/* Append the token: QUERY_TOKEN_LEN characters of base64url. `hash` names the query: facts.hash, or any stable hash
 * of what a list was asked for. */
void query_token_write(struct buf *out, uint64_t hash, const struct query_bookmark *bookmark);
/* ERR_ARG with F_ArgumentInvalid for a damaged token and for one of another query. */
enum err query_token_read(
    struct str token, uint64_t hash, struct query_bookmark *bookmark, struct fault *f);

/* The same of a place in the order of keys, for rows that have no number: of any length. key: appended to; empty: from the beginning on. */
void query_place_write(struct buf *out, uint64_t hash, uint64_t delivered, struct str key);
enum err query_place_read(
    struct str token, uint64_t hash, uint64_t *delivered, struct buf *key, struct fault *f);

/* The page size of an x-ms-max-item-count header; STR_NONE if there is none. ERR_ARG: F_ArgumentInvalid. */
enum err query_page_size(struct str header, uint32_t *size, struct fault *f);

#endif
