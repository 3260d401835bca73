/*
 * link: one outgoing connection of a device, plain or TLS, without blocking. It is driven by
 * a level-triggered epoll: call link_advance() until it says LINK_OPEN, then link_read() and
 * link_flush(). EPOLLOUT is watched only while something waits to be written.
 */
#ifndef TWINHUB_DEVICE_LINK_H
#define TWINHUB_DEVICE_LINK_H

#include "base/base.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/types.h>

/* Where all links of a run go. */
struct link_target {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to;
	socklen_t nto;
	SSL_CTX *tls;     /* NULL: plain TCP */
	const char *name; /* the name verified in the certificate, unless */
	bool pinned;      /* the certificate is trusted as it is */
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

/* address: digits. tls, which may be NULL, is set to what links need. False: it is no address. */
bool link_target_of(
    struct link_target *t, const char *address, uint16_t port, SSL_CTX *tls, const char *name);

/* Start to connect; the nth link of the run. Errors: ERR_IO, with errno. */
enum err link_open(
    struct link *l, const struct link_target *t, unsigned nth, int epoll, void *owner);
/* After an event while not LINK_OPEN. ERR_OK: look at l->state. ERR_IO: refused, or TLS failed. */
enum err link_advance(struct link *l, const struct link_target *t);
/* Bytes read; 0: none now; -1: the peer is gone. */
ssize_t link_read(struct link *l, void *p, size_t n);
/* True if TLS has read more from the socket than link_read() returned: no event will come for it. */
bool link_has_more(const struct link *l);
/* Write what is in l->out, as far as it goes. */
enum err link_flush(struct link *l);
void link_close(struct link *l);

#endif
