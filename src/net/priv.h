/* net: what its files share. */
#ifndef TWINHUB_NET_PRIV_H
#define TWINHUB_NET_PRIV_H

#include <event2/event.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "log/log.h"
#include "net/net.h"
#include "net/proxy.h"
#include "os/clock.h"
#include "os/thread.h"

/* One read takes at most this much; a TLS record holds 16 KB. */
#define READ_MAX (64u * 1024)

/*
 * 1,024 slots of one tick each: 33.5 s around. A timer further away stays in its slot and is looked at once a
 * round: 20,000 connections with keep-alives of minutes cost 600 looks a second.
 */
#define WHEEL_SLOTS 1024u

struct wheel {
	struct loop_timer *slot[WHEEL_SLOTS];
	int64_t tick; /* slots up to and including this one have been served */
	unsigned ntimer;
};

void wheel_set(struct wheel *w, struct loop_timer *t, int64_t due_us, int64_t now_us);
void wheel_clear(struct wheel *w, struct loop_timer *t);
/* Fire all that is due. */
void wheel_advance(struct wheel *w, int64_t now_us);

/* held.c: what the streams of a loop hold, in all, and who holds how much */
#define HELD_LISTS 24
struct held {
	size_t bytes, max_bytes;
	struct held_list {
		struct stream *first, **last;
	} lists[HELD_LISTS];
};
void held_init(struct held *h, size_t max_bytes);
/* s, which must not move, holds so much; 0: it leaves. */
void held_set(struct held *h, struct stream *s, size_t bytes);
/* Who is to go, as together they hold more than they may; NULL: nobody. */
struct stream *held_most(const struct held *h);

/* handshakes.c: those of a loop that are under way, the oldest first */
#define HANDSHAKES_MAX    256u
#define HANDSHAKE_SLOW_US INT64_C(500000)
struct handshake {
	struct handshake *next, **prev; /* prev NULL: it does not count, or has ended */
	int64_t since_us;
	int fd; /* -1: not known yet */
};
/* What accepts connections on the loop: at the bound it rests. */
struct acceptor {
	struct acceptor *next, **prev;
	void (*rest)(struct acceptor *a, bool on);
};
struct handshakes {
	struct handshake *first, **last;
	unsigned n;
	struct acceptor *acceptors;
	bool told_full;
	struct loop_timer slow; /* when the oldest is looked at */
};
void handshakes_init(struct handshakes *hs);
bool handshakes_full(const struct loop *l);
void handshake_begin(struct loop *l, struct handshake *h, int fd);
void handshake_end(struct loop *l, struct handshake *h); /* fine if it has */
void acceptor_join(struct loop *l, struct acceptor *a);
void acceptor_leave(struct acceptor *a); /* fine if it has not joined */

struct loop {
	struct event_base *base;
	struct mailbox box;
	struct event *wake, *turn_end, *again, *tick;
	struct wheel wheel;
	struct stream *streams; /* all of them */
	struct stream *todo;    /* those with work at the end of the turn */
	unsigned nstream, index;
	struct handshakes handshakes;
	struct held held, paused; /* paused: by streams that wait for their owners */
	struct stream *filling;   /* those to look at again in the next turn */
	/* READ_MAX bytes: input passes here and is copied only if it is not consumed */
	char *scratch;
	struct thread thread;
	atomic_bool stopping;
};

/*
 *  OPENING --stream_opened--> OPEN --stream_close--> DRAINING --output gone--> LEAVING
 *     |                        |                        |                        |
 *     +------------------------+---- stream_finish -----+------------------------+--> ENDED
 * ENDED streams are told (on_close, if they were opened) and destroyed at the end of the turn.
 */
enum stream_state { ST_OPENING, ST_OPEN, ST_DRAINING, ST_LEAVING, ST_ENDED };

/* The end of a turn: flush, open, end. Called by the loop. */
void streams_turn_end(struct loop *l);
void streams_fill(struct loop *l);

/* TCP or TLS over an accepted descriptor, which it owns. It is counted out when it ends. */
struct sock_conf {
	int fd;
	SSL *ssl; /* NULL: plain */
	struct listener *from;
	const struct listen_conf *listen;
	struct net_addr peer;
	bool proxied; /* the peer is a balancer, who will name its client */
};
void sock_stream_new(struct loop *l, const struct sock_conf *conf);

/* Once for each sock_stream_new: the listener may be freed while handshakes are going on. */
void listener_handshake_done(struct listener *ln, bool ok);

/* Accept and drop one connection by means of a spare descriptor, when there is no other (EMFILE): else the
 * socket stays readable and the loop spins. Logged. */
void listen_shed(int fd, int *spare_fd);
int listen_spare(void);
#define LISTEN_REST_US 100000 /* a listener without descriptors rests for that long */
#define LISTEN_BACKLOG 4096
/* addr.c: bytes of a connection that the kernel has taken and not sent; of those that are sent the peer acknowledges soon */
#define NET_UNSENT_MAX (128 << 10)

/* addr.c: as the kernel has it; how many bytes of it */
socklen_t net_addr_put(const struct net_addr *a, struct sockaddr_storage *sa);

/* https.c: connections; https_port.c: what accepts them */
struct https_port {
	struct loop *loop;
	struct https_conf conf;
	struct evconnlistener *listener; /* evhttp's */
	int spare_fd;
	bool stopping, resting, full;
	struct loop_timer rest;
	struct acceptor acceptor;
	struct https_port *next;
};
/* For evhttp: a connection of this port, without its descriptor. */
struct bufferevent *https_bev(struct event_base *base, void *port);

/* proxied.c: the header of a balancer (proxy.h), from its socket */
/* No byte behind it is read. ERR_MORE: there is more to come; ERR_END, ERR_IO: the balancer has left; ERR_ARG: p->why. */
enum err proxy_read(int fd, struct proxy *p);
#define PROXY_LATE "the header was not there in time"
/* To be read by TLS instead of `below`, which it owns: `header` is asked before each read until it says ERR_OK, and anything
 * but that and ERR_MORE ends the connection. */
struct proxied {
	enum err (*header)(void *ctx);
	void *ctx;
	bool passed;
};
BIO *proxied_bio(struct proxied *p, BIO *below);

/* answer.c: an answer on its way to its client */
struct answer {
	bool leaving;
	struct https_answer told;
	size_t rest;   /* of its body, here */
	uint64_t sent; /* bytes that the socket has taken */
	/* of those, what the peer had at the last look, and when this round began; and when it did */
	uint64_t read, read_round;
	int64_t round_us;
};
void answer_begins(struct answer *a, size_t bytes, const struct https_answer *told, int64_t now_us);
void answer_left(struct answer *a, size_t n);
void answer_over(struct answer *a); /* fine if there is none */
/* To be asked every HTTPS_LOOK_US: does its client read? */
bool answer_moves(struct answer *a, int fd, int64_t now_us, int64_t patience_us);

/* One line about a connection of which no more is known than its address. `detail` may be empty. */
void log_peer(enum log_event event, enum reason why, const struct net_addr *a, struct str detail);

/* "what: the oldest error of OpenSSL's queue", which is emptied. */
void why_ssl(char why[NET_WHY_MAX], const char *what, const char *subject);
void why_set(char why[NET_WHY_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
