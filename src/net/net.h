/*
 * net: event loops, mailboxes between threads, byte streams over TCP and TLS, listeners, TLS
 * contexts, local certificates. Everything that touches a socket goes through here.
 *
 * Threads: a loop and all that hangs on it (streams, listeners, timers) belong to one thread. Before
 * loop_start and after loop_join that is the thread that made it. From other threads only
 * mailbox_post, loop_post, loop_stop and the tls_ and admission_ functions may be called.
 */
#ifndef TWINHUB_NET_H
#define TWINHUB_NET_H

#include <stdatomic.h>

#include "base/base.h"
#include "base/ip.h"
#include "base/reason.h"

struct event_base;
struct bufferevent;
struct evhttp;
struct evhttp_request;
struct sockaddr;
struct ssl_st;

#define NET_WHY_MAX 256 /* bytes of a reason in plain English, NUL included */

/* Once, before anything else here: SIGPIPE is ignored, libevent learns about threads. */
void net_init(void);

/* Raise the soft limit of open descriptors to the hard one. Returns the limit in force. */
uint64_t net_raise_nofile(void);

/* ---- mailboxes: many posters, one taker, in order for each poster ---- */

/* The head of a message; the rest of it is the poster's affair. run() owns the message and frees it. */
struct msg {
	struct msg *next;
	void (*run)(struct msg *m);
};

struct mailbox {
	_Atomic(struct msg *) newest;
	int wake_fd; /* eventfd, readable once the box was not empty; written only when it was empty */
};

enum err mailbox_init(struct mailbox *mb); /* ERR_IO: no descriptor */
void mailbox_fini(struct mailbox *mb);     /* the box must be empty */
void mailbox_post(struct mailbox *mb, struct msg *m);
/* All messages so far, oldest first, linked by next; NULL if none. Only the taker may call it. */
struct msg *mailbox_take_all(struct mailbox *mb);
/* For takers that are no event loop: sleep until there is a message or timeout_us has passed (< 0:
 * no limit). True if there is something to take. */
bool mailbox_wait(struct mailbox *mb, int64_t timeout_us);

/* ---- loops ---- */

struct loop;

enum err loop_new(unsigned index, struct loop **out); /* ERR_IO: no descriptors */
enum err loop_start(struct loop *l);                  /* in a thread of its own; ERR_IO */
void loop_run(struct loop *l);                        /* in this thread, until loop_stop */
void loop_stop(struct loop *l); /* any thread; what was posted before it still runs */
void loop_join(struct loop *l); /* wait for the thread; no-op if there is none */
/* Stops being used by anybody: streams end with STREAM_SHUTDOWN, posted messages are run (they must not post to loops
 * that are freed already). NULL is fine. */
void loop_free(struct loop *l);

struct event_base *loop_base(struct loop *l);
unsigned loop_index(const struct loop *l);
/* Monotonic; the same clock as clock_mono_us. */
int64_t loop_now_us(const struct loop *l);
/* Any thread: m->run(m) is executed on the loop; all that is in the box in one wake-up. */
void loop_post(struct loop *l, struct msg *m);
/* Streams (WebSocket ones too) that live on this loop. */
unsigned loop_nstream(const struct loop *l);
/* Bytes that all streams of the loop may hold together: output that their peers have not read, input that is not whole. Beyond
 * it the one that holds most ends with STREAM_CROWDED. Paused ones, which wait for their owners, have as much again for
 * themselves. Before the loop is started; LOOP_HELD_MAX without it. */
void loop_hold_at_most(struct loop *l, size_t bytes);
#define LOOP_HELD_MAX (64u << 20)
/* End all streams with STREAM_SHUTDOWN; their on_close runs before this returns. On the loop, but from
 * no stream's callback. To be called before evhttp_free where WebSocket streams may be alive. */
void loop_abort_streams(struct loop *l);

/* Coarse timers, cheap for very many connections: a wheel; setting and clearing are O(1), a timer
 * fires at its deadline or up to LOOP_TICK_US (and the loop's own delay) after it, never before it. */
#define LOOP_TICK_US 32768

struct loop_timer {
	struct loop_timer *next, **prev; /* prev NULL: not set */
	int64_t due_us;
	void (*fire)(struct loop_timer *t); /* filled in by the owner; may set, clear or free t */
};

/* Set or move. due_us on the clock of loop_now_us. */
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t due_us);
void loop_timer_clear(struct loop *l, struct loop_timer *t); /* fine if not set */
static inline bool
loop_timer_is_set(const struct loop_timer *t)
{
	return t->prev != NULL;
}

/* ---- addresses and counting ---- */

struct net_addr {
	uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;
};
#define NET_ADDR_TEXT_MAX 64

struct net_addr net_addr_of(const struct sockaddr *sa);
/* One party's, in the address: IPv4 whole; of IPv6 the /64, which is what one customer gets. */
struct str net_addr_party(const struct net_addr *a);
/* "127.0.0.1:8883", "[::1]:8883" */
const char *net_addr_text(const struct net_addr *a, char out[NET_ADDR_TEXT_MAX]);

#define NETS_MAX 32
struct nets {
	struct ip_net v[NETS_MAX];
	unsigned n;
};
/* "10.0.0.0/8", "fd00::/8", or an address alone. ERR_ARG: it is none, has bits set beyond its length, or is one too many. */
enum err nets_add(struct nets *nets, const char *text);
bool nets_have(const struct nets *nets, const struct net_addr *a);

/* How many connections there may be, in all and from one address (IPv6: one /64). Shared by all loops. */
struct admission;
struct admission *admission_new(uint32_t max_total, uint32_t max_per_address); /* 0: no limit */
void admission_free(struct admission *adm);                                    /* NULL is fine */
/* REASON_NONE: counted. Else REASON_TOO_MANY_CONNECTIONS or REASON_TOO_MANY_OF_ADDRESS, and a line in the log. */
enum reason admission_enter(struct admission *adm, const struct net_addr *a);
/* A connection whose client is not known yet, as a proxy will name it: counted in all, until it has its address. */
enum reason admission_enter_unknown(struct admission *adm, const struct net_addr *proxy);
enum reason admission_name(struct admission *adm, const struct net_addr *a);
/* As it entered: a NULL if it never got its address. */
void admission_leave(struct admission *adm, const struct net_addr *a);
/* Addresses there are free of the limit of one address. Before anybody enters; outlives it. */
void admission_except(struct admission *adm, const struct nets *nets);
uint32_t admission_count(struct admission *adm);

/* ---- streams ---- */

struct stream;

enum stream_end {
	STREAM_EOF,     /* the peer closed, cleanly or not */
	STREAM_FAILED,  /* a socket or TLS error */
	STREAM_TIMEOUT, /* the deadline passed */
	STREAM_OVERFLOW, /* the peer does not read: output over its bound; or an owner that left more input than its bound */
	STREAM_CROWDED, /* the streams of the loop hold more than they may, and this one holds most (loop_hold_at_most) */
	STREAM_PROTOCOL, /* the framing below the owner was violated (WebSocket) */
	STREAM_CLOSED,   /* stream_close or stream_abort by the owner */
	STREAM_SHUTDOWN  /* the loop goes away */
};

/*
 * The owner's side. Callbacks come from the loop and never from inside a stream_ function; after
 * stream_close and stream_abort only on_close comes. on_close comes exactly once for each stream that was
 * opened, is the last call, and the stream is gone when it returns.
 */
struct stream_user {
	/* Handshake done; the deadline set by the listener stays in force until stream_deadline changes it.
	 * ctx is the listener's; usually calls stream_set_user. */
	void (*on_open)(struct stream *s, void *ctx);
	/* All bytes received and not yet consumed, never empty. Returns how many of them were consumed
	 * (<= in.n); the rest comes again with more behind it. */
	size_t (*on_data)(struct stream *s, struct str in, void *ctx);
	void (*on_close)(struct stream *s, enum stream_end why, void *ctx);
	/* Optional: output has become empty after it was not. */
	void (*on_drain)(struct stream *s, void *ctx);
};

struct stream_limits {
	size_t max_out_bytes; /* output waiting for the peer; 0: STREAM_OUT_MAX */
	size_t max_in_bytes;  /* input left unconsumed by the owner; 0: STREAM_IN_MAX */
};
#define STREAM_OUT_MAX   (512u * 1024)
#define STREAM_IN_MAX    (512u * 1024)
#define STREAM_LINGER_US 2000000 /* for draining output after stream_close */

void stream_set_user(struct stream *s, const struct stream_user *user, void *ctx);
void *stream_ctx(const struct stream *s);
struct loop *stream_loop(const struct stream *s);

/* Queue bytes; they leave together at the end of the loop's turn, in one write or TLS record. If the peer
 * does not keep up, the stream ends with STREAM_OVERFLOW. Ignored on a closing stream. */
void stream_write(struct stream *s, struct str bytes);
/* Back-pressure: no more on_data until stream_resume, and soon no more reading from the peer. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
size_t stream_pending_output(const struct stream *s);
/* Send what is queued, say goodbye, close; within STREAM_LINGER_US. */
void stream_close(struct stream *s);
/* Drop it at once. */
void stream_abort(struct stream *s);
/* At due_us (loop_now_us's clock) the stream ends with STREAM_TIMEOUT. 0: never. One per stream. */
void stream_deadline(struct stream *s, int64_t due_us);
const struct net_addr *stream_peer(const struct stream *s);

/* What a TLS client has shown of itself. */
#define TLS_CN_MAX 256
struct tls_peer {
	bool has_cert;
	bool chain_ok; /* verified to the client CA number `ca` of catalogue version ca_version */
	/* a CA certificate of the chain was outside its days: so it is not ok */
	bool chain_outdated;
	bool revoked; /* it is, or one of its chain: so that is not ok */
	uint32_t ca;  /* index into the CAs that tls_set_client_cas was given */
	uint64_t ca_version;
	/* of that CA, the same in every version (tls_client_cas); 0 if not chain_ok */
	uint64_t ca_print;
	uint8_t sha1[20], sha256[32]; /* thumbprints of the leaf */
	/* common name of the leaf's subject (the last one), UTF-8; "" if none or too long */
	char cn[TLS_CN_MAX];
	int64_t not_before_us, not_after_us; /* the leaf's validity, wall clock: check it at use */
};

bool stream_is_tls(const struct stream *s);
/* "TLSv1.3", for ever; NULL: plain text. */
const char *stream_tls_version(const struct stream *s);
/* All zero without TLS or certificate. Costs two hashes. */
void stream_tls_peer(const struct stream *s, struct tls_peer *out);
void tls_peer_of(struct ssl_st *ssl, struct tls_peer *out);

/* ---- for those who make a new kind of stream (ws/): the owner's side above is shared ---- */

struct stream_ops {
	/* Move bytes from s->out towards the peer. ERR_OK: s->out is empty; ERR_MORE: would block, and
	 * stream_writable will be called when it no longer does; anything else ends the stream. */
	enum err (*flush)(struct stream *s);
	/* Look for input again: after stream_resume, or because STREAM_AGAIN was asked for. */
	void (*fill)(struct stream *s);
	void (*read_enable)(struct stream *s, bool on);
	/* Output has drained and the stream is to close: say goodbye, then end with stream_finish. NULL:
	 * finish at once. */
	void (*goodbye)(struct stream *s);
	size_t (*below)(const struct stream *s); /* bytes of output held below s->out; NULL: none */
	struct ssl_st *(*ssl)(const struct stream *s); /* NULL: never TLS */
	void (*destroy)(struct stream *s);             /* release everything, s itself too */
	bool websocket;                                /* bytes come in frames */
};

/* First member of each kind. Touch only what ops need. */
struct stream {
	const struct stream_ops *ops;
	const struct stream_user *user;
	void *ctx;
	struct loop *loop;
	struct stream *next, **prev; /* all streams of the loop */
	struct stream *todo; /* in the loop's list of work for the end of the turn, if `queued` */
	struct stream *fill_next; /* in its list for the next turn, if `want_fill` */
	struct buf in;            /* received, not consumed */
	struct buf out;           /* queued; out_from bytes of it are gone already */
	size_t out_from;
	uint32_t max_in, max_out;
	size_t held; /* of both, when they were last counted: at the end of a turn */
	struct held *held_in;
	struct stream *held_next, **held_prev;
	struct loop_timer deadline;
	struct net_addr peer;
	uint8_t state;                                  /* enum stream_state, in priv.h */
	uint8_t why;                                    /* enum stream_end, once it is decided */
	bool paused, queued, want_fill, told, was_full; /* told: on_open was called */
};

/* s is zeroed; reading is on. */
void stream_init(struct stream *s, struct loop *l, const struct stream_ops *ops,
    const struct stream_limits *limits, const struct net_addr *peer);
/* The handshake is done: on_open follows. */
void stream_opened(struct stream *s);
/* Bytes came; they are given to the owner at once (unless paused). False: s is ending, read no more. From
 * the loop only. */
bool stream_received(struct stream *s, struct str bytes);
/* Call ops->fill in the next turn. */
void stream_fill_later(struct stream *s);
/* Output below s->out has gone, or can be taken again. */
void stream_writable(struct stream *s);
/* The stream ends, output or not; on_close and destroy follow at the end of the turn. The first reason wins. */
void stream_finish(struct stream *s, enum stream_end why);
/* Is it neither closing nor ended? */
bool stream_is_open(const struct stream *s);

/* ---- the days of certificates ---- */

#define CERTS_WARN_DAYS 30

enum cert_days {
	CERT_GOOD,
	CERT_ENDS_SOON, /* CERTS_WARN_DAYS */
	CERT_EARLY,
	CERT_ENDED,
	CERT_LIST_OLD /* it is a list of revoked ones, and a newer one is due */
};

struct cert_life {
	int64_t from_us, until_us; /* wall clock; both belong to it */
};
enum cert_days cert_days_of(const struct cert_life *life, int64_t now_us);

/* One whose days are not good. */
struct cert_told {
	const char *what;  /* "server certificate" */
	char subject[256]; /* of a list: its issuer */
	struct cert_life life;
	enum cert_days days;
};
typedef void cert_tell(void *ctx, const struct cert_told *c);
/* Tell of those in a PEM file; nothing if it cannot be read. */
void certs_review(const char *path, const char *what, int64_t now_us, cert_tell *tell, void *ctx);
int64_t certs_end(const char *path); /* when the first of them ends; INT64_MAX: there is none */

/* ---- TLS ---- */

/* The current server context, replaceable while connections live; shared by all loops. */
struct tls;

struct tls_files {
	const char *cert, *key; /* PEM; cert: leaf first, then its chain */
};

struct tls_conf {
	struct tls_files pair[2]; /* ECDSA and RSA in any order; pair[1].cert NULL: only one */
	bool legacy;              /* TLS 1.2 with CBC suites, too; settled by tls_new */
};

/* ERR_ARG: a file cannot be read or parsed, key and certificate do not fit, two keys of one kind; `why` says which. */
enum err tls_new(const struct tls_conf *conf, struct tls **out, char why[NET_WHY_MAX]);
void tls_free(struct tls *t); /* NULL is fine; running connections keep what they need */
/* Read the files again (SIGHUP). On error the old context stays. */
enum err tls_reload(struct tls *t, const struct tls_conf *conf, char why[NET_WHY_MAX]);
/* New ticket keys; old tickets are worth a full handshake. To be called daily. */
enum err tls_rotate_tickets(struct tls *t);
/* Keys from elsewhere, the same for all who serve the same clients, from now on: one after the other. Bytes of each: random. ERR_ARG: out of memory. */
#define TLS_TICKET_BYTES 80
enum { TLS_TICKET_NEXT, TLS_TICKET_CURRENT, TLS_TICKET_FORMER, TLS_TICKETS };
enum err tls_set_tickets(struct tls *t, const unsigned char keys[TLS_TICKETS * TLS_TICKET_BYTES]);
/* Text in PEM, and where it is from, for `why`. */
struct tls_text {
	const char *name;
	struct str pem;
};
/*
 * The CAs that client certificates may descend from: ca[i] holds one certificate that may sign certificates. crl[i] holds lists of
 * revoked certificates, one at the least and each signed by one of them. A list whose days are over still counts. `version` must
 * change whenever anything in the set changes, removal and revocation too: tickets from another version are worth a full handshake.
 */
struct tls_client_cas {
	struct tls_text *ca, *crl;
	unsigned nca, ncrl;
	uint64_t version;
};
/* ERR_ARG: one of them is not what it should be, or its text is cut short; nothing changes. */
enum err tls_client_cas_check(const struct tls_client_cas *from, char why[NET_WHY_MAX]);
enum err tls_set_client_cas(
    struct tls *t, const struct tls_client_cas *from, char why[NET_WHY_MAX]);
/*
 * Does one of the lists in use name the certificate that the client of this stream has shown, or a CA of its chain? Any thread that may
 * touch s.
 */
bool tls_is_revoked(struct tls *t, const struct stream *s);
/* Prints of those CAs, as struct tls_peer has them: at most max; how many there are. */
unsigned tls_client_cas(struct tls *t, uint64_t *print, unsigned max);
/* Tell of each certificate in use whose days are not good: server certificates, their chains, client CAs. `tell` must not
 * call tls_ functions. */
void tls_review(struct tls *t, int64_t now_us, cert_tell *tell, void *ctx);
struct tls_ends {
	int64_t server_us, server_ca_us, client_ca_us;
};
/* When the first of them ends; INT64_MAX: there is none. */
void tls_ends(struct tls *t, struct tls_ends *out);
/* Tell what else clients hold against the server certificates in use: `what` for the certificate of `subject`. names: what clients
 * dial. `tell` must not call tls_ functions. */
typedef void cert_flaw(void *ctx, const char *subject, const char *what);
void tls_judge(struct tls *t, const char *const *names, unsigned nname, cert_flaw *tell, void *ctx);
/* Append the server certificates in use in PEM, without their chains. */
void tls_served(struct tls *t, struct buf *pem);
/* A new server-side SSL of the current context; never NULL. */
struct ssl_st *tls_accept(struct tls *t, bool ask_client_cert);

/* ---- TLS between programs that know each other's certificates by their prints: no CA, no names, no days ---- */

#define PRINT_SIZE 32 /* SHA-256 of a certificate */

/* A key and a certificate signed by it. TLS 1.3 alone, no tickets; whoever is dialled asks for a certificate, and takes any: the print is the
 * owner's to judge, once a stream is open. */
struct pinned;
/* DIR/mesh.key and DIR/mesh.pem; made, where one is missing or they do not belong together. ERR_IO: `why`. */
enum err pinned_open(
    const char *dir, const char *name, int64_t now_us, struct pinned **out, char why[NET_WHY_MAX]);
void pinned_free(struct pinned *p); /* NULL is fine; connections live on */
void pinned_print(const struct pinned *p, uint8_t out[PRINT_SIZE]);
/* A new SSL for a connection, accepted or dialled; never NULL. */
struct ssl_st *pinned_ssl(struct pinned *p);
/* What the peer has shown. False: nothing. */
bool stream_print(const struct stream *s, uint8_t out[PRINT_SIZE]);

/* ---- listeners ---- */

/*
 * n sockets bound to one address and port, each for one loop's listener (SO_REUSEPORT). port 0 picks one.
 *
 *   address  "0.0.0.0", "::", "127.0.0.1", or a name or literal of this machine; "::" is IPv6 only
 *   bound    out: the port
 *
 * ERR_ARG bad address      ERR_EXISTS port taken      ERR_DENIED no right to it      ERR_IO else
 * `why` says it with address and port. On error no descriptor is left open.
 */
enum err net_bind(const char *address, uint16_t port, unsigned n, int *fds, uint16_t *bound,
    char why[NET_WHY_MAX]);

struct listen_conf {
	struct tls *tls; /* NULL: plain TCP, unless make_ssl is given */
	/* a server-side SSL for the next connection, instead of tls: for who knows each of its peers */
	struct ssl_st *(*make_ssl)(void *ctx);
	struct admission *admission; /* NULL: not counted */
	const struct nets *proxies;  /* peers there name their clients (proxy.h); NULL: nobody */
	bool no_client_cert;         /* do not ask TLS clients for a certificate */
	/* from accept until the owner changes it: handshake and first packet */
	int64_t deadline_us;
	struct stream_limits limits;
	/* on_open is called for each stream once its handshake is done */
	const struct stream_user *user;
	void *ctx;
};

struct listen_stats {
	uint64_t naccept, nrefused, nhandshake_failed, nemfile;
};

struct listener;
/* Takes over fd (from net_bind), starts to listen; fd is closed on error too. ERR_IO. */
enum err listener_new(
    struct loop *l, int fd, const struct listen_conf *conf, struct listener **out);
void listener_free(struct listener *ln); /* its streams live on; NULL is fine */
struct listen_stats listener_stats(const struct listener *ln);

/* ---- dialling ---- */

struct dial_conf {
	struct net_addr to;
	struct ssl_st *ssl;  /* client-side, owned from then on; NULL: plain */
	int64_t deadline_us; /* until the owner changes it */
	struct stream_limits limits;
	/* on_open once the handshake is done; if that is never, on_failed, and the stream is gone when it returns */
	const struct stream_user *user;
	void (*on_failed)(void *ctx, const char *why);
	void *ctx;
};
/* Neither callback comes before it has returned. ERR_IO: no descriptor, or no way there: `why`; neither will come. */
enum err stream_dial(
    struct loop *l, const struct dial_conf *conf, struct stream **out, char why[NET_WHY_MAX]);
/* "10.0.0.1:7443", "[::1]:7443". ERR_ARG: it is no address with a port. */
enum err net_addr_parse(const char *text, struct net_addr *out);

/* ---- HTTPS: evhttp over TLS with a count and absolute deadlines, which evhttp lacks ---- */

struct https_conf {
	struct tls *tls;
	struct admission *admission; /* NULL: not counted */
	const struct nets *proxies;  /* peers there name their clients (proxy.h); NULL: nobody */
	bool no_client_cert;
	int64_t deadline_us; /* from accept to the first request, handshake included */
	uint32_t max_head_bytes, max_body_bytes; /* of a request; over them it is 400, and 413 */
};

/* Bytes of requests that have not arrived whole, on all connections together; over it the connection ends whose
 * bytes came last. */
#define HTTPS_WAITING_MAX (64u << 20)

struct https_port;
/* Make `http` (of loop_base) accept TLS connections on fd. To be freed after evhttp_free(http). fd is closed on
 * error too. ERR_IO. */
enum err https_port_new(struct loop *l, struct evhttp *http, int fd, const struct https_conf *conf,
    struct https_port **out);
/* Connections that end from here on end because of that, and none is accepted that was kept waiting. Before evhttp_free. */
void https_port_stop(struct https_port *hp);
void https_port_free(struct https_port *hp);
/*
 * A connection of an https_port; with other bufferevents these have no effect. Each request that evhttp delivers begins and
 * ends: in between there is no deadline (evhttp would free the request under a pending reply), and evhttp sees nothing of
 * the next one, until the answer has left.
 *
 * begins  NULL; or what arrived is no request, and why: to be answered with that status and `Connection: close`
 * answers the reply is about to be sent. Its client must read it: HTTPS_READ_LEAST bytes in each deadline_us, and where it is
 *         pressed HTTPS_READ_PRESSED in HTTPS_LOOK_US, or the connection ends with REASON_SLOW_READER. When it has left,
 *         the next request must come within idle_us
 * release it is HTTP no more (a WebSocket): bytes come as they are, without a deadline
 */
struct https_fault {
	unsigned status; /* 400, 413 */
	const char *why;
};
const struct https_fault *https_request_begins(struct evhttp_request *ev);
/* What it asks for, as it came: evhttp knows nothing of it. Borrowed until the request ends; empty if it is none. */
struct str https_target(struct evhttp_request *ev);

struct https_answer {
	void *ctx;
	void (*left)(void *ctx, size_t rest); /* so many bytes of it are still here */
	bool (*pressed)(void *ctx);           /* do others wait for what it holds? */
	void (*over)(
	    void *ctx); /* it has left, or its connection has ended: the last call, from the loop */
};
#define HTTPS_LOOK_US      (INT64_C(2) * 1000000)
#define HTTPS_READ_LEAST   (8u << 10)
#define HTTPS_READ_PRESSED (64u << 10)
/* a NULL: nobody wants to know. bytes: of its body. */
void https_answers(
    struct bufferevent *bev, size_t bytes, const struct https_answer *a, int64_t idle_us);
void https_release(struct bufferevent *bev);
/* An answer without an end begins, behind its head: no time limit of the connection's until it is over. gone: if it ends before. */
void https_streams(struct bufferevent *bev, void (*gone)(void *ctx), void *ctx);
/* evhttp takes the connection down, and its request is on its own from here on: gone(), unless that was called or the answer is over. (The
 * connection itself ends in a later turn of the loop.) */
void https_stream_gone(struct bufferevent *bev);
/* When all of it that has been put has gone to the system, perhaps at once: left(). */
void https_stream_waits(struct bufferevent *bev, void (*left)(void *ctx), void *ctx);
/* Its last bytes have been put, and have the time that an answer's have: left() when they have gone, perhaps at once, or gone(). */
void https_stream_over(struct bufferevent *bev, int64_t idle_us, void (*gone)(void *ctx),
    void (*left)(void *ctx), void *ctx);
/* Neither will be called any more. */
void https_stream_done(struct bufferevent *bev);
/* The connection ends in this turn of the loop, for that reason. */
void https_drop(struct bufferevent *bev, enum reason why);
/* What its client has shown of itself, as stream_tls_peer. */
void https_shown(struct bufferevent *bev, struct tls_peer *out);
/* Its address; false: not known. */
bool https_peer(struct bufferevent *bev, struct net_addr *out);
/* When it was accepted, or `now_us` if this is not its first request: what a time limit that began then counts from. */
int64_t https_began_us(struct bufferevent *bev, int64_t now_us);

/* ---- certificates of our own making ---- */

/*
 * Make sure that `dir` holds a CA and two server certificates for `names` (DNS names and IP literals, at least one):
 *   ca.pem ca.key  server-ecdsa.pem server-ecdsa.key  server-rsa.pem server-rsa.key    (keys: mode 0600)
 * What is there and fits is kept; server certificates are made anew when they lack a name, are not from this CA, are
 * not valid yet, or have less than CERTS_WARN_DAYS left. The CA (10 years) is made if ca.pem is
 * missing and `first`: who has trusted the one that was lost trusts no other. One that was
 * made here and has ended, or begins in the future, was made with a wrong clock or is old: it is made anew with the same
 * key and name, so that server certificates and those clients' copies that are good by now hold. One from elsewhere stays.
 * *changed: something was written. What was made anew is in the log. ERR_IO, ERR_ARG (a name that is neither),
 * ERR_CORRUPT,
 * ERR_NOT_FOUND (the CA is damaged, or missing).
 */
#define CERTS_LEAF_DAYS 397
#define CERTS_CA_DAYS   3650
enum err certs_ensure(const char *dir, const char *const *names, unsigned nname, int64_t now_us,
    bool first, bool *changed, char why[NET_WHY_MAX]);
/* ca.pem and ca.key are there, whole, and of each other. ERR_CORRUPT, ERR_NOT_FOUND: *file is which of them is not, as it is
 * named there. It keeps its value when the directory cannot be looked at. */
enum err certs_check_ca(const char *dir, const char **file, char why[NET_WHY_MAX]);
/* Tell what certs_ensure would make anew, but for names: the file's path, and why. */
typedef void certs_anew(void *ctx, const char *path, const char *why);
void certs_tell_anew(const char *dir, int64_t now_us, certs_anew *tell, void *ctx);
/* Make the CA's certificate anew: with the key that is there, so that clients' copies of the former one stay good; if it is missing,
 * damaged or not wanted any more (new_key), with another. Server certificates of the former key are made anew by certs_ensure. */
enum err certs_renew_ca(
    const char *dir, int64_t now_us, bool *new_key, char why[NET_WHY_MAX]); /* new_key: also out */

#endif
