/* net: what the files about TLS share. */
#ifndef TWINHUB_NET_TLS_H
#define TWINHUB_NET_TLS_H

#include <openssl/x509.h>

#include "base/refs.h"
#include "net/priv.h"

/* name, HMAC and AES keys: what SSL_CTX_set_tlsext_ticket_keys takes */
#define TICKET_KEYS_SIZE TLS_TICKET_BYTES

/* One server certificate as it was read. */
struct tls_pair {
	X509 *leaf;
	STACK_OF(X509) * chain; /* without the leaf */
	EVP_PKEY *key;
};

/* The client CAs of one version, immutable; counted, as each SSL_CTX holds them for its life. */
struct tls_cas {
	struct refs refs;
	uint64_t version;
	unsigned n;
	X509 **ca;
	uint64_t *print;           /* of each (net.h: tls_client_cas) */
	STACK_OF(X509_CRL) * crls; /* each of one of these */
};

/* Everything a context is made from. */
struct tls_parts {
	struct tls_pair pair[2];
	unsigned npair;
	struct tls_cas *cas;
	/* one of its own; or, if shared, all of those that others have, too */
	unsigned char ticket_keys[TLS_TICKETS * TLS_TICKET_BYTES];
	bool shared;
	bool legacy; /* as struct tls_conf has it */
};

enum err tls_pairs_load(
    const struct tls_conf *conf, struct tls_pair pair[2], unsigned *n, char why[NET_WHY_MAX]);
void tls_pairs_fini(struct tls_pair pair[2]);

/* from NULL: none. */
enum err tls_cas_parse(
    const struct tls_client_cas *from, struct tls_cas **out, char why[NET_WHY_MAX]);
/* Is the certificate on a list of the CA that has signed it? */
bool tls_cas_revoke(const struct tls_cas *cas, X509 *x);
struct tls_cas *tls_cas_ref(struct tls_cas *cas);
void tls_cas_unref(struct tls_cas *cas); /* NULL is fine */

/* Make a context check client certificates against the CAs and bind its tickets to them. False: no memory. */
bool tls_bind_cas(SSL_CTX *ctx, struct tls_cas *cas);

/* Of a context that it was bound to; borrowed. */
struct tls_cas *tls_bound_cas(const SSL_CTX *ctx);
/* Is what the client of this connection has shown revoked by these lists, or one of its chain? */
bool tls_cas_revoke_peer(const struct tls_cas *cas, SSL *ssl);
/* As tls_is_revoked. */
bool tls_revokes(struct tls *t, SSL *ssl);

/* tls_tickets.c: TLS_TICKETS of them. False: no memory. */
bool tls_bind_tickets(SSL_CTX *ctx, const unsigned char *keys);

/* certs_days.c */
struct cert_life cert_life_of(const X509 *x);
/* Tell of it, unless its days are good. */
void cert_review(X509 *x, const char *what, int64_t now_us, cert_tell *tell, void *ctx);
void crl_review(X509_CRL *crl, int64_t now_us, cert_tell *tell, void *ctx);

/* certs_judge.c: tls_judge, of one. */
void cert_judge(
    const struct tls_pair *p, const char *const *names, unsigned nname, cert_flaw *tell, void *ctx);

/* What a certificate says of its own: prints, common name, validity. The rest of out stays as it is. */
void tls_leaf_read(X509 *leaf, struct tls_peer *out);

/* A new context; NULL with `why`. */
SSL_CTX *tls_context_new(const struct tls_parts *parts, char why[NET_WHY_MAX]);

#endif
