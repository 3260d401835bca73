/*
 * framing: HTTP/1.x requests, cut out of a connection's bytes (RFC 9112) before evhttp sees them. Pure: bytes in, bytes out.
 *
 * Two readers that do not agree where a message ends are an attack, whoever of them is right. So evhttp is given one message
 * at a time, when it is whole, with a head of our own making: a request line with "/" for a target, the fields as they came,
 * and exactly one Content-Length where evhttp would look for one. What it cannot tell apart (chunks, bodies of methods whose
 * body it does not read, odd framing), and what it would answer in its own way (targets and expectations that it does not
 * understand), it never sees.
 *
 *   START --head--> BODY (of a length) ------> END --framing_next--> START
 *             |---> CHUNK <-> DATA, TRAILER -->^       anything else --> BAD, for good
 */
#ifndef TWINHUB_FRAMING_H
#define TWINHUB_FRAMING_H

#include "base/base.h"

/* bytes of a chunk's size with its extensions, which are ignored */
#define FRAMING_CHUNK_LINE_MAX 256u

enum framing_state {
	FRAMING_START,
	FRAMING_IN_BODY,
	FRAMING_IN_CHUNK, /* the line with its size */
	FRAMING_IN_DATA,
	FRAMING_IN_DATA_END, /* the line end behind it */
	FRAMING_IN_TRAILER,
	FRAMING_AT_END,
	FRAMING_IS_BAD
};

struct framing {
	uint32_t max_head, max_body; /* set by the owner; bytes */
	enum framing_state state;
	struct buf line;   /* a line that has not ended */
	struct buf head;   /* as evhttp is to see it */
	struct buf target; /* of the request line, until framing_next */
	uint32_t nline;    /* of the head so far */
	uint32_t nhead;    /* bytes of head, or trailer, so far */
	uint64_t left;     /* of the body, or of the chunk */
	uint64_t length;   /* of the body */
	uint32_t nhost, nlength, ncoding;
	bool takes_body; /* evhttp reads a body of this method; nobody reads others */
	bool old;        /* HTTP/1.0 */
	bool chunked;
	bool expects;    /* 100-continue */
	bool blank;      /* an empty line before the request has been forgiven */
	uint16_t status; /* BAD: 400 or 413 */
	const char *why;
};

enum framing_step {
	FRAMING_MORE,     /* taken in, nothing to be done; n is all that there was */
	FRAMING_TAKEN,    /* taken in, go on */
	FRAMING_CONTINUE, /* taken in; the client waits for 100 before it sends its body */
	FRAMING_BODY,     /* the n bytes are the message's body */
	FRAMING_WHOLE, /* taken in; the message is f->head and the body bytes since the last one */
	FRAMING_END,   /* n = 0: nothing is looked at until framing_next */
	FRAMING_BAD    /* f->why, f->status; for good */
};

/* Look at what comes next: says what the first *n bytes of `in` are. */
enum framing_step framing_step(struct framing *f, struct str in, size_t *n);
/* The message that has ended is answered: the next one may begin. */
void framing_next(struct framing *f);
/* Is there a message, whole? */
static inline bool
framing_ended(const struct framing *f)
{
	return f->state == FRAMING_AT_END;
}
/* Is there nothing of one? */
static inline bool
framing_idle(const struct framing *f)
{
	return f->state == FRAMING_START && f->nline == 0 && f->line.n == 0;
}
void framing_fini(struct framing *f);

#endif
