/*
 * net: one page over plain HTTP, for programs that come for it again and again: a thread, a few connections at once, each with a short
 * end. Not for the world: who listens beyond loopback gives a token. O-122, O-123.
 */
#ifndef TWINHUB_SCRAPE_H
#define TWINHUB_SCRAPE_H

#include "base/base.h"

#define SCRAPE_REQUEST_MAX 8192 /* bytes of a request's head; 431 beyond */
#define SCRAPE_VISITS                                                                              \
	16u /* connections at once; a further one takes the place of one that says nothing */
#define SCRAPE_US INT64_C(2000000) /* of a connection, from its first to its last byte */

struct scrape_options {
	int fd;            /* from net_bind: taken over, on errors too */
	const char *path;  /* "/metrics"; else 404 */
	const char *token; /* NULL: for everybody; else 401 without `Authorization: Bearer TOKEN` */
	/* The body, into out, and its media type, for who accepts this. On the page's thread. */
	const char *(*write)(void *ctx, struct str accept, struct buf *out);
	void *ctx;
};
/* Strings and ctx are borrowed until scrape_free. ERR_IO: errno. */
struct scrape;
enum err scrape_new(const struct scrape_options *o, struct scrape **out);
void scrape_free(struct scrape *p); /* when a page under way is written; NULL is fine */

/* Append what a request, whose head is whole, is answered, all of it. Pure but for o->write. */
void scrape_answer(const struct scrape_options *o, struct str request, struct buf *out);
/* What one is whose head is longer than SCRAPE_REQUEST_MAX. */
void scrape_too_long(struct buf *out);

#endif
