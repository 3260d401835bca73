/*
 * link: one outgoing connection of a load generator, plain or TLS, without blocking. It is driven by
 * a level-triggered epoll: call link_advance() until it says LINK_OPEN, then link_read() and
 * link_flush(). EPOLLOUT is watched only while something waits to be written.
 */
#ifndef TWINHUB_BENCH_LINK_H
#define TWINHUB_BENCH_LINK_H

#include "base/base.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/types.h>

/* Where all links of a run go. */
struct target {
	struct sockaddr_in to;
	SSL_CTX *tls;     /* NULL: plain TCP */
	const char *name; /* the name verified in the certificate */
	/* links start from this many loopback addresses in turn; 0: let the kernel choose */
	unsigned nsource;
};

enum link_state { LINK_CLOSED, LINK_CONNECTING, LINK_HANDSHAKE, LINK_OPEN };

struct link {
	int fd, epoll;
	void *owner; /* what epoll returns */
	SSL *ssl;
	enum link_state state;
	bool wants_out;
	struct buf out; /* bytes not yet written, from `sent` on */
	size_t sent;
};

/* Ends the program with one line if the address or the CA file cannot be used. A NULL ca_file means plain TCP. */
void target_init(
    struct target *t, const char *host, int port, const char *ca_file, const char *name);
void target_fini(struct target *t);

/* Start to connect; the nth link of the run. Errors: ERR_IO, with errno. */
enum err link_open(struct link *l, const struct target *t, unsigned nth, int epoll, void *owner);
/* After an event while not LINK_OPEN. ERR_OK: look at l->state. ERR_IO: refused, or TLS failed. */
enum err link_advance(struct link *l, const struct target *t);
/* Bytes read; 0: none now; -1: the peer is gone. */
ssize_t link_read(struct link *l, void *p, size_t n);
/* True if TLS has read more from the socket than link_read() returned: no event will come for it. */
bool link_has_more(const struct link *l);
/* Write what is in l->out, as far as it goes. */
enum err link_flush(struct link *l);
void link_close(struct link *l);

#endif
