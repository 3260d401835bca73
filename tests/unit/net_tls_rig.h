/* For tests with TLS: a server's certificates, device certificates made to order, a blocking client. */
#ifndef NET_TLS_RIG_H
#define NET_TLS_RIG_H

#include "net_rig.h"
#include "os/clock.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct tls_rig {
	struct rig r;
	char *dir;
	char path[4][256]; /* ecdsa cert, key, rsa cert, key */
	struct tls_conf conf;
	struct tls *tls;
};

static UNUSED void
tls_rig_certs(struct tls_rig *t)
{
	static const char *const names[] = { "hub.example", "127.0.0.1" };
	static const char *const files[] = { "server-ecdsa.pem", "server-ecdsa.key",
		"server-rsa.pem", "server-rsa.key" };
	char why[NET_WHY_MAX] = "";
	bool changed;

	t->dir = temp_dir();
	assert_int_equal(
	    certs_ensure(t->dir, names, 2, clock_wall_us(), true, &changed, why), ERR_OK);
	for (int i = 0; i < 4; i++)
		snprintf(t->path[i], sizeof t->path[i], "%s/%s", t->dir, files[i]);
	t->conf =
	    (struct tls_conf){ .pair = { { t->path[0], t->path[1] }, { t->path[2], t->path[3] } } };
	assert_int_equal(tls_new(&t->conf, &t->tls, why), ERR_OK);
}

static UNUSED void
tls_rig_init(struct tls_rig *t)
{
	rig_init(&t->r);
	tls_rig_certs(t);
	t->r.conf.tls = t->tls;
}

static UNUSED void
tls_rig_fini(struct tls_rig *t)
{
	rig_fini(&t->r);
	tls_free(t->tls);
	temp_dir_drop(t->dir);
}

/* ---- certificates of devices ---- */

struct made_cert {
	X509 *cert;
	EVP_PKEY *key;
};

/* Signed by `by`, or by itself if NULL. Good for a day, or until `days` days ago. */
static UNUSED struct made_cert
make_cert_ended(const char *cn, bool is_ca, const struct made_cert *by, int days)
{
	static long serial = 100;
	struct made_cert m = { X509_new(), EVP_EC_gen("P-256") };
	X509_EXTENSION *ext;

	X509_set_version(m.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(m.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(m.cert), days ? -86400L * 365 : -3600);
	X509_gmtime_adj(X509_getm_notAfter(m.cert), days ? -86400L * days : 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(m.cert), "CN", MBSTRING_UTF8,
	    (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(m.cert, X509_get_subject_name(by ? by->cert : m.cert));
	X509_set_pubkey(m.cert, m.key);
	ext = X509V3_EXT_conf_nid(
	    NULL, NULL, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	X509_add_ext(m.cert, ext, -1);
	X509_EXTENSION_free(ext);
	assert_true(X509_sign(m.cert, by ? by->key : m.key, EVP_sha256()));
	return m;
}

static UNUSED struct made_cert
make_cert(const char *cn, bool is_ca, const struct made_cert *by)
{
	return make_cert_ended(cn, is_ca, by, 0);
}

static UNUSED void
made_cert_fini(struct made_cert *m)
{
	X509_free(m->cert);
	EVP_PKEY_free(m->key);
}

static UNUSED char *
pem_of(const struct made_cert *m)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *p, *copy;
	long n;

	PEM_write_bio_X509(out, m->cert);
	n = BIO_get_mem_data(out, &p);
	copy = str_dup0((struct str){ p, (size_t)n });
	BIO_free(out);
	return copy;
}

/* ---- the client ---- */

struct client {
	SSL_CTX *ctx;
	SSL_SESSION *session; /* the newest ticket */
	struct str first;     /* sent before TLS */
};

struct conn {
	int fd;
	SSL *ssl;
};

static UNUSED int
on_new_session(SSL *ssl, SSL_SESSION *ss)
{
	struct client *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	SSL_SESSION_free(c->session);
	c->session = ss;
	return 1;
}

static UNUSED void
client_init(struct client *c, const char *ca_dir, const struct made_cert *cert)
{
	char path[256];

	memset(c, 0, sizeof *c);
	c->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_app_data(c->ctx, c);
	snprintf(path, sizeof path, "%s/ca.pem", ca_dir);
	assert_int_equal(SSL_CTX_load_verify_file(c->ctx, path), 1);
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ctx, on_new_session);
	if (cert) {
		assert_int_equal(SSL_CTX_use_certificate(c->ctx, cert->cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(c->ctx, cert->key), 1);
	}
}

static UNUSED void
client_fini(struct client *c)
{
	SSL_SESSION_free(c->session);
	SSL_CTX_free(c->ctx);
}

/* Connect and shake hands, resuming if there is a session; false if TLS failed. */
static UNUSED bool
conn_try(struct client *c, uint16_t port, struct conn *n)
{
	n->fd = client_connect(port);
	assert_int_equal(send(n->fd, c->first.p, c->first.n, 0), c->first.n);
	n->ssl = SSL_new(c->ctx);
	SSL_set_fd(n->ssl, n->fd);
	SSL_set_tlsext_host_name(n->ssl, "hub.example");
	SSL_set1_host(n->ssl, "hub.example");
	if (c->session)
		SSL_set_session(n->ssl, c->session);
	return SSL_connect(n->ssl) == 1;
}

static UNUSED void
conn_echo(struct conn *n, const char *text)
{
	char got[256];
	size_t len = strlen(text), have = 0, k;

	assert_int_equal(SSL_write(n->ssl, text, (int)len), (int)len);
	while (have < len) {
		assert_int_equal(SSL_read_ex(n->ssl, got + have, len - have, &k), 1);
		have += k;
	}
	assert_memory_equal(got, text, len);
}

/* With an echo, which also brings the tickets of TLS 1.3. */
static UNUSED struct conn
conn_open(struct client *c, uint16_t port)
{
	struct conn n;

	if (!conn_try(c, port, &n)) {
		ERR_print_errors_fp(stderr);
		fail();
	}
	conn_echo(&n, "hello");
	return n;
}

static UNUSED void
conn_close(struct conn *n)
{
	SSL_shutdown(n->ssl);
	SSL_free(n->ssl);
	close(n->fd);
}

#endif
