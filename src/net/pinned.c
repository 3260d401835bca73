/* TLS between programs that know each other's certificates by their prints. */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/certs.h"

struct pinned {
	SSL_CTX *ctx;
	uint8_t print[PRINT_SIZE];
};

/* Any certificate: who opens the stream asks for its print. That its key is there the handshake has shown. */
static int
take_any(X509_STORE_CTX *x, void *arg)
{
	(void)x;
	(void)arg;
	return 1;
}

static enum err
pair_ensure(
    const char *dir, const char *name, int64_t now_us, struct issued *out, char why[NET_WHY_MAX])
{
	struct cert_paths p;
	enum err e;

	snprintf(p.cert, sizeof p.cert, "%s/mesh.pem", dir);
	snprintf(p.key, sizeof p.key, "%s/mesh.key", dir);
	cert_pair_read(&p, out);
	if (cert_pair_works(out))
		return ERR_OK;
	issued_fini(out);
	if (!cert_make_self(name, now_us, out)) {
		why_ssl(why, "cannot be made", p.cert);
		return ERR_IO;
	}
	if ((e = cert_pair_write(&p, out, why)) != ERR_OK)
		issued_fini(out);
	return e;
}

static SSL_CTX *
context_new(const struct issued *c)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	if (ctx == NULL || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
	    SSL_CTX_use_certificate(ctx, c->cert) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, c->key) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, take_any, NULL);
	return ctx;
}

enum err
pinned_open(
    const char *dir, const char *name, int64_t now_us, struct pinned **out, char why[NET_WHY_MAX])
{
	struct pinned *p = xcalloc(1, sizeof *p);
	struct issued c = { NULL, NULL };
	enum err e = pair_ensure(dir, name, now_us, &c, why);

	if (e == ERR_OK && (p->ctx = context_new(&c)) == NULL) {
		why_ssl(why, "cannot be used", "mesh.pem");
		e = ERR_IO;
	}
	if (e == ERR_OK)
		X509_digest(c.cert, EVP_sha256(), p->print, NULL);
	issued_fini(&c);
	if (e != ERR_OK) {
		pinned_free(p);
		return e;
	}
	*out = p;
	return ERR_OK;
}

void
pinned_free(struct pinned *p)
{
	if (p == NULL)
		return;
	SSL_CTX_free(p->ctx);
	free(p);
}

void
pinned_print(const struct pinned *p, uint8_t out[PRINT_SIZE])
{
	memcpy(out, p->print, PRINT_SIZE);
}

SSL *
pinned_ssl(struct pinned *p)
{
	SSL *ssl = SSL_new(p->ctx);

	if (ssl == NULL) {
		log_fatal("out of memory for a TLS connection");
		abort();
	}
	return ssl;
}

bool
stream_print(const struct stream *s, uint8_t out[PRINT_SIZE])
{
	SSL *ssl = s->ops->ssl != NULL ? s->ops->ssl(s) : NULL;
	X509 *leaf = ssl != NULL ? SSL_get0_peer_certificate(ssl) : NULL;

	return leaf != NULL && X509_digest(leaf, EVP_sha256(), out, NULL) == 1;
}
