/*
 * Answers without an end: events, live queries. Who makes one puts a struct answer_stream into its own, and has one piece on its way at a time:
 *
 *   answer_stream_begin --> answer_stream_put --left()--> answer_stream_put ... --> answer_stream_end --ended()--> answer_stream_fini
 *
 * It ends by itself, too: the client leaves, or takes nothing for ten seconds (E-26), or what opened it counts no more (E-29), or the hub
 * stops. The client is told why where it still listens, the log always (nothing is said of one that is complete, or has left). All of it is the loop's of
 * its request.
 */
#ifndef TWINHUB_HTTP_ANSWER_STREAM_H
#define TWINHUB_HTTP_ANSWER_STREAM_H

#include "http/priv.h"

struct answer_stream;

struct answer_stream_face {
	/* What was put has gone to the system: there is room for the next piece. */
	void (*left)(struct answer_stream *s);
	/* Once, from within answer_stream_begin at the earliest: nothing is to be put any more. Whose it is calls answer_stream_fini, now or later. */
	void (*ended)(struct answer_stream *s);
};

struct answer_stream {
	struct request *r;
	const struct answer_stream_face *face;
	struct loop_timer stall;            /* set while a piece is on its way */
	struct answer_stream *next, **prev; /* of the loop */
	bool sse;                           /* server-sent events; else lines of JSON */
	bool closing, client;
};

/* What the client accepts. */
bool answer_stream_wants_sse(const struct request *r);
/* The answer of a request of a policy begins; the request is the stream's from here on. */
void answer_stream_begin(
    struct answer_stream *s, struct request *r, bool sse, const struct answer_stream_face *face);
/* The next piece, copied; of one that is ending it goes nowhere. Not before left() of the one before. */
void answer_stream_put(struct answer_stream *s, struct str bytes);
/* REASON_NONE: it is complete. What has been put still goes out, but for REASON_SLOW_READER's. Fine when it is ending. */
void answer_stream_end(struct answer_stream *s, enum reason why);
/* It is no more, and its request neither. */
void answer_stream_fini(struct answer_stream *s);
/* All of the loop end. */
void answer_streams_stop(struct http_loop *hl);

#endif
