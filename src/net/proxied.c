/*
 * A balancer's header, taken off its connection before TLS sees a byte. Where the bytes are read by others (libevent reads
 * for HTTPS) it is taken off below them: by a BIO that lets nothing pass before the header has.
 */
#include <errno.h>
#include <openssl/bio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "net/priv.h"

enum err
proxy_read(int fd, struct proxy *p)
{
	char room[512];

	for (;;) {
		uint32_t wants = proxy_wants(p);
		ssize_t n = recv(fd, room, wants < sizeof room ? wants : sizeof room, 0);

		if (n == 0)
			return ERR_END;
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? ERR_MORE : ERR_IO;
		switch (proxy_take(p, (struct str){ room, (size_t)n })) {
		case PROXY_DONE: return ERR_OK;
		case PROXY_BAD: return ERR_ARG;
		case PROXY_MORE: break;
		}
	}
}

static int
bio_read(BIO *b, char *out, int n)
{
	struct proxied *p = BIO_get_data(b);
	enum err e = p->passed ? ERR_OK : p->header(p->ctx);

	BIO_clear_retry_flags(b);
	p->passed = e == ERR_OK;
	if (e == ERR_MORE)
		BIO_set_retry_read(b);
	if (e != ERR_OK)
		return -1;
	n = BIO_read(BIO_next(b), out, n);
	BIO_copy_next_retry(b);
	return n;
}

static long
bio_ctrl(BIO *b, int command, long number, void *p)
{
	return BIO_next(b) != NULL ? BIO_ctrl(BIO_next(b), command, number, p) : 0;
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void
method_make(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_FILTER, "proxied");
	if (method == NULL || !BIO_meth_set_read(method, bio_read) ||
	    !BIO_meth_set_ctrl(method, bio_ctrl))
		abort(); /* no memory */
}

BIO *
proxied_bio(struct proxied *p, BIO *below)
{
	BIO *b;

	pthread_once(&method_once, method_make);
	b = BIO_new(method);
	if (b == NULL)
		abort(); /* no memory; without it TLS would read the header as its own */
	BIO_set_data(b, p);
	BIO_set_init(b, 1);
	return BIO_push(b, below);
}
