/*
 * Client certificates. Any is accepted in the handshake; whether its chain ends at one of our CAs is kept,
 * for CONNECT to decide. The chain itself is gone after a resumption, so the answer travels in the ticket:
 * the number of the CA or why there is none, and the version of the set it counts in. A ticket of a client with a certificate from another
 * version is refused, and the full handshake that follows asks the new set. Where there are lists of revoked certificates, so is one of a
 * client with a CA between its certificate and ours: that one may be revoked while the connection is open.
 */
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "net/tls.h"

/* What a ticket bears. With shared keys (tls_set_tickets) it may be another node's, of another program: another layout gets another size. */
struct verdict {
	uint64_t version;
	uint32_t ca;      /* index + 1; CA_NONE, CA_OUTDATED, CA_REVOKED */
	uint32_t between; /* is there a CA between its certificate and that one? */
};

#define CA_NONE     0u         /* the chain ends nowhere */
#define CA_OUTDATED UINT32_MAX /* one above the leaf is outside its days */
#define CA_REVOKED  (UINT32_MAX - 1)

static int cas_index;   /* SSL_CTX: struct tls_cas */
static int ca_of_index; /* SSL: struct verdict's ca, as a pointer */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
cas_free(void *parent, void *p, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	(void)parent, (void)ad, (void)index, (void)argl, (void)argp;
	tls_cas_unref(p);
}

static void
make_indexes(void)
{
	cas_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, cas_free);
	ca_of_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

struct tls_cas *
tls_bound_cas(const SSL_CTX *ctx)
{
	return SSL_CTX_get_ex_data(ctx, cas_index);
}

static const struct tls_cas *
cas_of(const SSL *ssl)
{
	return tls_bound_cas(SSL_get_SSL_CTX(ssl));
}

static uint32_t
find_ca(const struct tls_cas *cas, X509 *anchor)
{
	for (unsigned i = 0; i < cas->n; i++)
		if (X509_cmp(cas->ca[i], anchor) == 0)
			return i + 1;
	return CA_NONE;
}

static bool
ca_outdated(X509_STORE_CTX *x)
{
	int why = X509_STORE_CTX_get_error(x);

	return X509_STORE_CTX_get_error_depth(x) > 0 &&
	    (why == X509_V_ERR_CERT_HAS_EXPIRED || why == X509_V_ERR_CERT_NOT_YET_VALID);
}

/* One of the chain, but for who is trusted. */
static bool
chain_revoked(const struct tls_cas *cas, STACK_OF(X509) * chain)
{
	for (int i = 0; i + 1 < sk_X509_num(chain) || i == 0; i++)
		if (tls_cas_revoke(cas, sk_X509_value(chain, i)))
			return true;
	return false;
}

bool
tls_cas_revoke_peer(const struct tls_cas *cas, SSL *ssl)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);

	/* after a resumption there is none, and no CA between (open_ticket) */
	return sk_X509_num(chain) > 0 ? chain_revoked(cas, chain)
	                              : tls_cas_revoke(cas, SSL_get0_peer_certificate(ssl));
}

/* Always 1: the handshake goes on. */
static int
verify_client(X509_STORE_CTX *x, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
	uint32_t ca = CA_NONE;

	(void)arg;
	X509_STORE_CTX_set_time(x, 0, (time_t)(clock_clients_us() / 1000000));
	if (X509_verify_cert(x) == 1) {
		STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(x);

		ca = find_ca(cas_of(ssl), sk_X509_value(chain, sk_X509_num(chain) - 1));
		if (ca != CA_NONE && chain_revoked(cas_of(ssl), chain))
			ca = CA_REVOKED;
	} else if (tls_cas_revoke(cas_of(ssl), X509_STORE_CTX_get0_cert(x))) {
		ca = CA_REVOKED;
	} else if (ca_outdated(x)) {
		ca = CA_OUTDATED;
	}
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): a number, where OpenSSL has room for a pointer */
	SSL_set_ex_data(ssl, ca_of_index, (void *)(uintptr_t)ca);
	ERR_clear_error(); /* SSL_get_error would take what is left there for its own */
	return 1;
}

static bool
read_verdict(SSL_SESSION *ss, struct verdict *v)
{
	void *data;
	size_t n;

	if (!SSL_SESSION_get0_ticket_appdata(ss, &data, &n) || n != sizeof *v)
		return false;
	memcpy(v, data, sizeof *v);
	return true;
}

static struct verdict
verdict_of(SSL *ssl)
{
	struct verdict v = { 0 };

	if (SSL_session_reused(ssl)) {
		if (!read_verdict(SSL_get_session(ssl), &v))
			v.ca = CA_NONE;
	} else {
		v.version = cas_of(ssl)->version;
		v.ca = (uint32_t)(uintptr_t)SSL_get_ex_data(ssl, ca_of_index);
		v.between = sk_X509_num(SSL_get0_verified_chain(ssl)) > 2;
	}
	return v;
}

static int
make_ticket(SSL *ssl, void *arg)
{
	struct verdict v = { 0 }, from = verdict_of(ssl);

	(void)arg;
	v.version = from.version; /* field by field: no stray bytes of padding in the ticket */
	v.ca = from.ca;
	v.between = from.between;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &v, sizeof v);
}

static SSL_TICKET_RETURN
open_ticket(SSL *ssl, SSL_SESSION *ss, const unsigned char *name, size_t namelen,
    SSL_TICKET_STATUS status, void *arg)
{
	struct verdict v;

	(void)name;
	(void)namelen;
	(void)arg;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (!read_verdict(ss, &v))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (SSL_SESSION_get0_peer(ss) &&
	    (v.version != cas_of(ssl)->version ||
	        (v.between && sk_X509_CRL_num(cas_of(ssl)->crls) > 0)))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

bool
tls_bind_cas(SSL_CTX *ctx, struct tls_cas *cas)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);

	pthread_once(&once, make_indexes);
	if (!SSL_CTX_set_ex_data(ctx, cas_index, cas))
		return false;
	tls_cas_ref(cas);
	for (unsigned i = 0; i < cas->n; i++)
		if (!X509_STORE_add_cert(store, cas->ca[i]))
			return false;
	X509_STORE_set_flags(
	    store, X509_V_FLAG_PARTIAL_CHAIN); /* an intermediate CA may be registered alone */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, verify_client, NULL);
	return SSL_CTX_set_session_ticket_cb(ctx, make_ticket, open_ticket, NULL);
}

/* ---- what the rest of the program asks ---- */

/* The last common name, as RFC 6125 reads a subject; one with NUL inside or too long is none. */
static void
common_name(X509 *leaf, char out[TLS_CN_MAX])
{
	X509_NAME *subject = X509_get_subject_name(leaf);
	unsigned char *utf8;
	int i = -1, last = -1, n;

	while ((i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0)
		last = i;
	if (last < 0)
		return;
	n = ASN1_STRING_to_UTF8(
	    &utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
	if (n < 0)
		return;
	if (n < TLS_CN_MAX && memchr(utf8, 0, (size_t)n) == NULL)
		memcpy(out, utf8, (size_t)n);
	OPENSSL_free(utf8);
}

void
tls_leaf_read(X509 *leaf, struct tls_peer *out)
{
	struct cert_life life = cert_life_of(leaf);

	X509_digest(leaf, EVP_sha1(), out->sha1, NULL);
	X509_digest(leaf, EVP_sha256(), out->sha256, NULL);
	out->not_before_us = life.from_us;
	out->not_after_us = life.until_us;
	common_name(leaf, out->cn);
	ERR_clear_error();
}

void
tls_peer_of(SSL *ssl, struct tls_peer *out)
{
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	struct verdict v;

	memset(out, 0, sizeof *out);
	if (leaf == NULL)
		return;
	v = verdict_of(ssl);
	out->has_cert = true;
	out->chain_outdated = v.ca == CA_OUTDATED;
	out->revoked = v.ca == CA_REVOKED;
	out->chain_ok = v.ca != CA_NONE && v.ca < CA_REVOKED;
	out->ca = out->chain_ok ? v.ca - 1 : 0;
	out->ca_version = v.version;
	if (out->chain_ok && v.ca <= cas_of(ssl)->n && v.version == cas_of(ssl)->version)
		out->ca_print = cas_of(ssl)->print[v.ca - 1];
	tls_leaf_read(leaf, out);
}
