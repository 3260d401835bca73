/* net: between keeping certificates on disk (certs.c) and making them (certs_make.c). */
#ifndef TWINHUB_NET_CERTS_H
#define TWINHUB_NET_CERTS_H

#include <openssl/x509.h>

#include "net/priv.h"

#define CERT_PATH_MAX 4096

struct cert_paths {
	char cert[CERT_PATH_MAX], key[CERT_PATH_MAX];
};

struct issued {
	X509 *cert;
	EVP_PKEY *key;
};

struct leaf_request {
	const char *const *names; /* each one passes cert_is_ip or cert_is_dns */
	unsigned nname;
	int64_t now_us;
	bool rsa; /* RSA-2048 instead of ECDSA P-256 */
};

/* Files in PEM; the key first, and only its owner's. */
enum err cert_pair_write(const struct cert_paths *p, const struct issued *c, char why[NET_WHY_MAX]);
/* NULLs where there is none that can be read. */
void cert_pair_read(const struct cert_paths *p, struct issued *out);
/* Do they belong together, and does the key work? */
bool cert_pair_works(const struct issued *c);
void issued_fini(struct issued *c);

bool cert_is_ip(const char *name);
bool cert_is_dns(const char *name); /* letters, digits, hyphens and dots; "*." may come first */
/* False leaves the reason in OpenSSL's error queue. */
/* With this key again, which stays the caller's; NULL: with a new one. */
bool cert_make_ca(int64_t now_us, EVP_PKEY *key, struct issued *out);
/* Does its subject or its issuer have the name of those that cert_make_ca makes? */
bool cert_names_local_ca(const X509 *x);
/* Was it made by cert_make_ca? */
bool cert_is_local_ca(X509 *x);
/* Its own issuer, and no CA. */
bool cert_make_self(const char *name, int64_t now_us, struct issued *out);
bool cert_make_leaf(const struct issued *ca, const struct leaf_request *rq, struct issued *out);

#endif
