/* routing: what its files share. */
#ifndef TWINHUB_ROUTING_PRIV_H
#define TWINHUB_ROUTING_PRIV_H

#include "routing/routing.h"

#define ROUTING_FORMAT 1

/* What stands before the body of a record. */
struct record_head {
	uint64_t counter;
	int64_t created_us, updated_us, from_us;
};
void record_head_put(struct buf *out, const struct record_head *h);
/* false: not a record. */
bool record_head_take(struct rd *rd, struct record_head *h);

/* The next counter and times; h is zeroed where there was none before. */
void record_head_step(struct record_head *h, int64_t now_us);

bool routing_id_good(struct str id);
enum err routing_id_check(struct str id, struct fault *f);

/* members.c: the doc of a body with all members of the type */
enum err sink_body_put(struct buf *out, struct doc body, const struct sink_def *old,
    enum sink_type *type, struct fault *f);
/* Its members, secrets as "***". */
void sink_body_show(struct out *o, const struct sink_def *d);
/* sink_def_new asks: are they all there, and of their kinds? */
bool sink_body_whole(struct doc body, enum sink_type type);

/* The member `condition` of a route of that source, compiled once; error: where it is wrong, if the fault is about its text. */
enum err route_condition_of(struct doc body, enum route_source source, struct str *out,
    struct route_error *error, struct fault *f);

/* set.c: a copy with another one in the place of its namesake, or without it (NULL); references are taken */
struct routing *routing_with_sink(const struct routing *set, struct str id, struct sink_def *d);
struct routing *routing_with_route(const struct routing *set, struct str id, struct route_def *d);
struct routing *routing_with_cursor(const struct routing *set, struct str id, struct cursor *c);

/* Every hub's. */
struct route_def *fallback_new(void);

#endif
