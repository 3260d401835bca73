/*
 * The current context. Contexts are never changed once connections use them: a reload, another set of CAs and a
 * rotation of ticket keys each build a new one from the parts and swap the pointer. Running connections
 * hold a reference to theirs.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/tls.h"

struct tls {
	pthread_mutex_t build; /* one rebuild at a time; holds `parts` */
	pthread_mutex_t lock;  /* `current` only */
	struct tls_parts parts;
	SSL_CTX *current;
};

/* RFC 9325: forward secrecy and AEAD. CBC with SHA-2 (device-mqtt.md 1.2) only if the operator asks for it. */
static const char ciphers_12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
static const char ciphers_12_legacy[] =
    "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES+SHA256:ECDHE+AES+SHA384";

/* MQTT clients may offer anything or nothing; HTTP/2 must not be agreed on. */
static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in,
    unsigned inlen, void *arg)
{
	static const unsigned char http11[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, outlen, http11, sizeof http11 - 1, in, inlen) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static void
set_modes(SSL_CTX *ctx)
{
	SSL_CTX_set_options(
	    ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_max_cert_list(ctx, 16 * 1024); /* before anybody is authenticated */
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
}

static bool
use_pair(SSL_CTX *ctx, const struct tls_pair *p)
{
	return SSL_CTX_use_certificate(ctx, p->leaf) == 1 &&
	    SSL_CTX_use_PrivateKey(ctx, p->key) == 1 && SSL_CTX_check_private_key(ctx) == 1 &&
	    SSL_CTX_set1_chain(ctx, p->chain) == 1;
}

SSL_CTX *
tls_context_new(const struct tls_parts *parts, char why[NET_WHY_MAX])
{
	static const unsigned char id[] =
	    "twinhub"; /* with VERIFY_PEER, resuming fails without one */
	unsigned char keys[TICKET_KEYS_SIZE];
	SSL_CTX *ctx;

	ERR_clear_error();
	memcpy(keys, parts->ticket_keys, sizeof keys);
	if ((ctx = SSL_CTX_new(TLS_server_method())) == NULL)
		goto failed;
	set_modes(ctx);
	if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
	    !SSL_CTX_set_cipher_list(ctx, parts->legacy ? ciphers_12_legacy : ciphers_12) ||
	    !SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1) ||
	    !(parts->shared ? tls_bind_tickets(ctx, parts->ticket_keys)
	                    : SSL_CTX_set_tlsext_ticket_keys(ctx, keys, sizeof keys)) ||
	    !tls_bind_cas(ctx, parts->cas))
		goto failed;
	for (unsigned i = 0; i < parts->npair; i++)
		if (!use_pair(ctx, &parts->pair[i]))
			goto failed;
	OPENSSL_cleanse(keys, sizeof keys);
	return ctx;
failed:
	why_ssl(why, "cannot be used", "TLS certificate");
	OPENSSL_cleanse(keys, sizeof keys);
	SSL_CTX_free(ctx);
	return NULL;
}

/* Build from the parts and swap. The caller holds `build`, or nobody else has t yet. */
static enum err
replace(struct tls *t, const struct tls_parts *parts, char why[NET_WHY_MAX])
{
	SSL_CTX *fresh = tls_context_new(parts, why), *old;

	if (fresh == NULL)
		return ERR_ARG;
	pthread_mutex_lock(&t->lock);
	old = t->current;
	t->current = fresh;
	pthread_mutex_unlock(&t->lock);
	SSL_CTX_free(old);
	return ERR_OK;
}

enum err
tls_new(const struct tls_conf *conf, struct tls **out, char why[NET_WHY_MAX])
{
	struct tls *t = xcalloc(1, sizeof *t);
	enum err e;

	pthread_mutex_init(&t->build, NULL);
	pthread_mutex_init(&t->lock, NULL);
	t->parts.legacy = conf->legacy;
	if ((e = tls_cas_parse(NULL, &t->parts.cas, why)) ||
	    (e = tls_pairs_load(conf, t->parts.pair, &t->parts.npair, why)))
		goto failed;
	if (RAND_bytes(t->parts.ticket_keys, TICKET_KEYS_SIZE) != 1) {
		why_ssl(why, "no random numbers", "TLS");
		e = ERR_IO;
		goto failed;
	}
	if ((e = replace(t, &t->parts, why)))
		goto failed;
	*out = t;
	return ERR_OK;
failed:
	tls_free(t);
	return e;
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->current);
	tls_pairs_fini(t->parts.pair);
	tls_cas_unref(t->parts.cas);
	OPENSSL_cleanse(t->parts.ticket_keys, sizeof t->parts.ticket_keys);
	pthread_mutex_destroy(&t->build);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

enum err
tls_reload(struct tls *t, const struct tls_conf *conf, char why[NET_WHY_MAX])
{
	struct tls_parts next;
	enum err e;

	pthread_mutex_lock(&t->build);
	next = t->parts;
	memset(next.pair, 0, sizeof next.pair);
	e = tls_pairs_load(conf, next.pair, &next.npair, why);
	if (e == ERR_OK)
		e = replace(t, &next, why);
	if (e == ERR_OK) {
		tls_pairs_fini(t->parts.pair);
		t->parts = next;
	} else {
		tls_pairs_fini(next.pair);
	}
	OPENSSL_cleanse(next.ticket_keys, sizeof next.ticket_keys);
	pthread_mutex_unlock(&t->build);
	return e;
}

enum err
tls_rotate_tickets(struct tls *t)
{
	char why[NET_WHY_MAX];
	struct tls_parts next;
	enum err e = ERR_IO;

	pthread_mutex_lock(&t->build);
	next = t->parts;
	next.shared = false;
	if (RAND_bytes(next.ticket_keys, TICKET_KEYS_SIZE) == 1 &&
	    (e = replace(t, &next, why)) == ERR_OK)
		t->parts = next;
	OPENSSL_cleanse(next.ticket_keys, sizeof next.ticket_keys);
	pthread_mutex_unlock(&t->build);
	return e;
}

enum err
tls_set_tickets(struct tls *t, const unsigned char keys[TLS_TICKETS * TLS_TICKET_BYTES])
{
	char why[NET_WHY_MAX];
	struct tls_parts next;
	enum err e;

	pthread_mutex_lock(&t->build);
	next = t->parts;
	memcpy(next.ticket_keys, keys, sizeof next.ticket_keys);
	next.shared = true;
	if ((e = replace(t, &next, why)) == ERR_OK)
		t->parts = next;
	OPENSSL_cleanse(next.ticket_keys, sizeof next.ticket_keys);
	pthread_mutex_unlock(&t->build);
	return e;
}

enum err
tls_client_cas_check(const struct tls_client_cas *from, char why[NET_WHY_MAX])
{
	struct tls_cas *cas = NULL;
	enum err e = tls_cas_parse(from, &cas, why);

	if (e == ERR_OK)
		tls_cas_unref(cas);
	return e;
}

enum err
tls_set_client_cas(struct tls *t, const struct tls_client_cas *from, char why[NET_WHY_MAX])
{
	struct tls_parts next;
	struct tls_cas *cas;
	enum err e;

	if ((e = tls_cas_parse(from, &cas, why)))
		return e;
	pthread_mutex_lock(&t->build);
	next = t->parts;
	next.cas = cas;
	if ((e = replace(t, &next, why)) == ERR_OK) {
		tls_cas_unref(t->parts.cas);
		t->parts.cas = cas;
	} else {
		tls_cas_unref(cas);
	}
	OPENSSL_cleanse(next.ticket_keys, sizeof next.ticket_keys);
	pthread_mutex_unlock(&t->build);
	return e;
}

bool
tls_revokes(struct tls *t, SSL *ssl)
{
	struct tls_cas *cas;
	bool revoked;

	if (SSL_get0_peer_certificate(ssl) == NULL)
		return false;
	pthread_mutex_lock(&t->lock);
	cas = tls_cas_ref(tls_bound_cas(t->current));
	pthread_mutex_unlock(&t->lock);
	revoked = tls_cas_revoke_peer(cas, ssl);
	tls_cas_unref(cas);
	return revoked;
}

bool
tls_is_revoked(struct tls *t, const struct stream *s)
{
	return stream_is_tls(s) && tls_revokes(t, s->ops->ssl(s));
}

void
tls_review(struct tls *t, int64_t now_us, cert_tell *tell, void *ctx)
{
	pthread_mutex_lock(&t->build);
	for (unsigned i = 0; i < t->parts.npair; i++) {
		const struct tls_pair *p = &t->parts.pair[i];

		cert_review(p->leaf, "server certificate", now_us, tell, ctx);
		for (int k = 0; k < sk_X509_num(p->chain); k++)
			cert_review(sk_X509_value(p->chain, k), "CA of the server certificate",
			    now_us, tell, ctx);
	}
	for (unsigned i = 0; i < t->parts.cas->n; i++)
		cert_review(t->parts.cas->ca[i], "client CA", now_us, tell, ctx);
	for (int i = 0; i < sk_X509_CRL_num(t->parts.cas->crls); i++)
		crl_review(sk_X509_CRL_value(t->parts.cas->crls, i), now_us, tell, ctx);
	pthread_mutex_unlock(&t->build);
}

static void
ends(int64_t *first_us, const X509 *x)
{
	struct cert_life life = cert_life_of(x);

	if (life.until_us < *first_us)
		*first_us = life.until_us;
}

void
tls_ends(struct tls *t, struct tls_ends *out)
{
	*out = (struct tls_ends){ INT64_MAX, INT64_MAX, INT64_MAX };
	pthread_mutex_lock(&t->build);
	for (unsigned i = 0; i < t->parts.npair; i++) {
		const struct tls_pair *p = &t->parts.pair[i];

		ends(&out->server_us, p->leaf);
		for (int k = 0; k < sk_X509_num(p->chain); k++)
			ends(&out->server_ca_us, sk_X509_value(p->chain, k));
	}
	for (unsigned i = 0; i < t->parts.cas->n; i++)
		ends(&out->client_ca_us, t->parts.cas->ca[i]);
	pthread_mutex_unlock(&t->build);
}

void
tls_judge(struct tls *t, const char *const *names, unsigned nname, cert_flaw *tell, void *ctx)
{
	pthread_mutex_lock(&t->build);
	for (unsigned i = 0; i < t->parts.npair; i++)
		cert_judge(&t->parts.pair[i], names, nname, tell, ctx);
	pthread_mutex_unlock(&t->build);
}

void
tls_served(struct tls *t, struct buf *pem)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *text;
	long n;

	if (out == NULL)
		out_of_memory(0);
	pthread_mutex_lock(&t->build);
	for (unsigned i = 0; i < t->parts.npair; i++)
		(void)PEM_write_bio_X509(out, t->parts.pair[i].leaf);
	pthread_mutex_unlock(&t->build);
	n = BIO_get_mem_data(out, &text);
	buf_put(pem, text, (size_t)n);
	BIO_free(out);
}

unsigned
tls_client_cas(struct tls *t, uint64_t *print, unsigned max)
{
	unsigned n;

	pthread_mutex_lock(&t->build);
	n = t->parts.cas->n;
	for (unsigned i = 0; i < n && i < max; i++)
		print[i] = t->parts.cas->print[i];
	pthread_mutex_unlock(&t->build);
	return n;
}

SSL *
tls_accept(struct tls *t, bool ask_client_cert)
{
	SSL_CTX *ctx;
	SSL *ssl;

	pthread_mutex_lock(&t->lock);
	ctx = t->current;
	SSL_CTX_up_ref(ctx);
	pthread_mutex_unlock(&t->lock);
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx); /* ssl holds its own */
	if (ssl == NULL) {
		log_fatal("out of memory for a TLS connection");
		abort();
	}
	SSL_set_verify(ssl, ask_client_cert ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	return ssl;
}
