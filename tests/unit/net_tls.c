/* TLS: handshakes of all kinds of clients, client certificates and what resumption keeps of them, reloads. */
#include "net_tls_rig.h"

static void
use_cas(struct tls_rig *t, const struct made_cert *cas, unsigned n, uint64_t version)
{
	struct tls_text pem[4];
	struct tls_client_cas from = { .ca = pem, .nca = n, .version = version };
	char *texts[4], why[NET_WHY_MAX] = "";

	for (unsigned i = 0; i < n; i++) {
		texts[i] = pem_of(&cas[i]);
		pem[i] = (struct tls_text){ "a CA", str_of(texts[i]) };
	}
	assert_int_equal(tls_set_client_cas(t->tls, &from, why), ERR_OK);
	for (unsigned i = 0; i < n; i++)
		free(texts[i]);
}

/* One connection, with an echo, until the server has seen its end. What the server saw is in t->r.peer. */
static bool
visit(struct tls_rig *t, struct client *c)
{
	struct conn n = conn_open(c, t->r.port);
	bool reused = SSL_session_reused(n.ssl) == 1;

	conn_close(&n);
	assert_true(rig_wait(&t->r, &t->r.nclose, t->r.nopen));
	return reused;
}

static void
tls__client_without_certificate_is_served(void **state)
{
	struct tls_rig t;
	struct client c;

	(void)state;
	tls_rig_init(&t);
	rig_listen(&t.r);
	client_init(&c, t.dir, NULL);
	assert_false(visit(&t, &c));
	assert_false(t.r.peer.has_cert);
	assert_false(t.r.peer.chain_ok);
	assert_int_equal(t.r.why, STREAM_EOF);
	assert_true(visit(&t, &c)); /* and it may resume */
	client_fini(&c);
	tls_rig_fini(&t);
}

static void
tls__client_of_tls_12_only_is_served_and_resumes(void **state)
{
	struct tls_rig t;
	struct client c;

	(void)state;
	tls_rig_init(&t);
	rig_listen(&t.r);
	client_init(&c, t.dir, NULL);
	SSL_CTX_set_max_proto_version(c.ctx, TLS1_2_VERSION);
	assert_false(visit(&t, &c));
	assert_true(visit(&t, &c));
	client_fini(&c);
	tls_rig_fini(&t);
}

static void
tls__old_versions_are_refused(void **state)
{
	struct tls_rig t;
	struct client c;
	struct conn n;

	(void)state;
	tls_rig_init(&t);
	rig_listen(&t.r);
	client_init(&c, t.dir, NULL);
	SSL_CTX_set_max_proto_version(c.ctx, TLS1_1_VERSION);
	SSL_CTX_set_security_level(c.ctx, 0);
	SSL_CTX_set_cipher_list(c.ctx, "ALL:@SECLEVEL=0");
	assert_false(conn_try(&c, t.r.port, &n));
	conn_close(&n);
	client_fini(&c);
	rig_stop(&t.r);
	assert_int_equal(listener_stats(t.r.listener).nhandshake_failed, 1);
	assert_int_equal(t.r.nopen, 0);
	tls_rig_fini(&t);
}

static void
tls__rsa_only_client_gets_the_rsa_certificate(void **state)
{
	struct tls_rig t;
	struct client c;
	struct conn n;

	(void)state;
	tls_rig_init(&t);
	rig_listen(&t.r);
	client_init(&c, t.dir, NULL);
	n = conn_open(&c, t.r.port);
	assert_int_equal(
	    EVP_PKEY_get_base_id(X509_get0_pubkey(SSL_get0_peer_certificate(n.ssl))), EVP_PKEY_EC);
	conn_close(&n);
	client_fini(&c);

	client_init(&c, t.dir, NULL);
	SSL_CTX_set_max_proto_version(c.ctx, TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(c.ctx, "ECDHE-RSA-AES128-GCM-SHA256");
	n = conn_open(&c, t.r.port);
	assert_int_equal(
	    EVP_PKEY_get_base_id(X509_get0_pubkey(SSL_get0_peer_certificate(n.ssl))), EVP_PKEY_RSA);
	conn_close(&n);
	client_fini(&c);
	tls_rig_fini(&t);
}

/* A self-signed certificate is accepted, its thumbprint known, its chain not trusted; also after resumption. */
static void
tls__self_signed_certificate_shows_its_thumbprint(void **state)
{
	struct made_cert self = make_cert("dev-1", false, NULL);
	unsigned char sha1[20], sha256[32];
	struct tls_rig t;
	struct client c;

	(void)state;
	X509_digest(self.cert, EVP_sha1(), sha1, NULL);
	X509_digest(self.cert, EVP_sha256(), sha256, NULL);
	tls_rig_init(&t);
	rig_listen(&t.r);
	client_init(&c, t.dir, &self);
	for (int resumed = 0; resumed < 2; resumed++) {
		memset(&t.r.peer, 0, sizeof t.r.peer);
		assert_int_equal(visit(&t, &c), resumed);
		assert_true(t.r.peer.has_cert);
		assert_false(t.r.peer.chain_ok);
		assert_memory_equal(t.r.peer.sha1, sha1, 20);
		assert_memory_equal(t.r.peer.sha256, sha256, 32);
		assert_string_equal(t.r.peer.cn, "dev-1");
		assert_true(t.r.peer.not_after_us > clock_wall_us());
		assert_true(t.r.peer.not_before_us < clock_wall_us());
	}
	client_fini(&c);
	made_cert_fini(&self);
	tls_rig_fini(&t);
}

static void
expect_chain(struct tls_rig *t, bool ok, uint32_t ca, uint64_t version)
{
	assert_true(t->r.peer.has_cert);
	assert_int_equal(t->r.peer.chain_ok, ok);
	if (ok)
		assert_int_equal(t->r.peer.ca, ca);
	assert_int_equal(t->r.peer.ca_version, version);
	assert_string_equal(t->r.peer.cn, "dev-2");
}

/* A device behind an intermediate CA: the chain is not there after a resumption, the verdict is; and it is asked
 * again when the set of CAs is another one. */
static void
resumed_chain(int max_version)
{
	struct made_cert cas[2] = { make_cert("Other CA", true, NULL),
		make_cert("Fleet CA", true, NULL) };
	struct made_cert mid = make_cert("Line 7", true, &cas[1]),
	                 dev = make_cert("dev-2", false, &mid);
	struct tls_rig t;
	struct client c;

	tls_rig_init(&t);
	use_cas(&t, cas, 2, 10);
	rig_listen(&t.r);
	client_init(&c, t.dir, &dev);
	SSL_CTX_set_max_proto_version(c.ctx, max_version);
	SSL_CTX_add1_chain_cert(c.ctx, mid.cert);

	assert_false(visit(&t, &c));
	expect_chain(&t, true, 1, 10);
	assert_true(visit(&t, &c));
	expect_chain(&t, true, 1, 10);
	assert_true(visit(&t, &c)); /* a ticket given to a resumed session */
	expect_chain(&t, true, 1, 10);

	use_cas(&t, &cas[1], 1, 11); /* the same CA has another number now */
	assert_false(visit(&t, &c));
	expect_chain(&t, true, 0, 11);

	use_cas(&t, cas, 1, 12); /* the CA was removed */
	assert_false(visit(&t, &c));
	expect_chain(&t, false, 0, 12);
	assert_true(visit(&t, &c));
	expect_chain(&t, false, 0, 12);

	use_cas(&t, &mid, 1, 13); /* an intermediate alone will do */
	assert_false(visit(&t, &c));
	expect_chain(&t, true, 0, 13);

	client_fini(&c);
	made_cert_fini(&cas[0]);
	made_cert_fini(&cas[1]);
	made_cert_fini(&mid);
	made_cert_fini(&dev);
	tls_rig_fini(&t);
}

static void
tls13__resumption_keeps_the_chain_of_the_same_ca_version_only(void **state)
{
	(void)state;
	resumed_chain(TLS1_3_VERSION);
}

static void
tls12__resumption_keeps_the_chain_of_the_same_ca_version_only(void **state)
{
	(void)state;
	resumed_chain(TLS1_2_VERSION);
}

/* The leaf's own days are told by themselves. */
static void
tls__D84_a_chain_with_a_ca_that_has_ended_is_told_from_one_that_leads_nowhere(void **state)
{
	struct made_cert ca = make_cert("Fleet CA", true, NULL),
	                 old_ca = make_cert_ended("Old CA", true, NULL, 2),
	                 mid = make_cert_ended("Line 8", true, &ca, 1),
	                 dev = make_cert("dev-5", false, &mid),
	                 other = make_cert("dev-6", false, &old_ca);
	struct tls_rig t;
	struct client c;

	(void)state;
	tls_rig_init(&t);
	use_cas(&t, (struct made_cert[]){ ca, old_ca }, 2, 1);
	rig_listen(&t.r);
	for (int resumed = 0; resumed < 2; resumed++) {
		if (resumed == 0) {
			client_init(&c, t.dir, &dev);
			SSL_CTX_add1_chain_cert(c.ctx, mid.cert);
		}
		assert_int_equal(visit(&t, &c), resumed);
		assert_true(t.r.peer.chain_outdated);
		assert_false(t.r.peer.chain_ok);
		assert_int_equal(t.r.peer.ca_print, 0);
	}
	client_fini(&c);

	client_init(&c, t.dir, &other); /* the registered one itself */
	assert_false(visit(&t, &c));
	assert_true(t.r.peer.chain_outdated);
	client_fini(&c);

	use_cas(&t, &ca, 1, 2);
	client_init(&c, t.dir, &other); /* nobody knows it */
	assert_false(visit(&t, &c));
	assert_false(t.r.peer.chain_outdated);
	assert_false(t.r.peer.chain_ok);
	client_fini(&c);
	made_cert_fini(&ca);
	made_cert_fini(&old_ca);
	made_cert_fini(&mid);
	made_cert_fini(&dev);
	made_cert_fini(&other);
	tls_rig_fini(&t);
}

static void
tls__D83_cbc_is_spoken_only_if_asked_for(void **state)
{
	static const char *const suites[] = { "ECDHE-RSA-AES128-SHA256",
		"ECDHE-ECDSA-AES256-SHA384" };
	char why[NET_WHY_MAX] = "";

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct tls_rig t;
		struct client c;
		struct conn n;

		rig_init(&t.r);
		tls_rig_certs(&t);
		t.conf.legacy = i >= 2;
		tls_free(t.tls);
		assert_int_equal(tls_new(&t.conf, &t.tls, why), ERR_OK);
		assert_int_equal(tls_reload(t.tls, &t.conf, why), ERR_OK); /* which keeps to it */
		t.r.conf.tls = t.tls;
		rig_listen(&t.r);
		client_init(&c, t.dir, NULL);
		SSL_CTX_set_max_proto_version(c.ctx, TLS1_2_VERSION);
		SSL_CTX_set_cipher_list(c.ctx, suites[i % 2]);
		assert_int_equal(conn_try(&c, t.r.port, &n), t.conf.legacy);
		conn_close(&n);
		client_fini(&c);
		tls_rig_fini(&t);
	}
}

static void
tls__client_ca_must_be_one(void **state)
{
	struct made_cert dev = make_cert("dev-3", false, NULL);
	char why[NET_WHY_MAX] = "", *text = pem_of(&dev);
	struct tls_text bad[3] = { { "x.pem", str_of(text) },
		{ "x.pem", STR("-----BEGIN CERTIFICATE-----\nrubbish\n") }, { "x.pem", STR_NONE } };
	struct tls_rig t;

	(void)state;
	tls_rig_init(&t);
	for (int i = 0; i < 3; i++) {
		struct tls_client_cas from = { .ca = &bad[i], .nca = 1, .version = 1 };

		assert_int_equal(tls_set_client_cas(t.tls, &from, why), ERR_ARG);
		assert_string_equal(why, "x.pem: no PEM certificate that may sign others");
	}
	free(text);
	made_cert_fini(&dev);
	tls_rig_fini(&t);
}

static void
tls__tickets_outlive_a_reload_and_not_a_rotation(void **state)
{
	char why[NET_WHY_MAX] = "";
	struct tls_rig t;
	struct client c;

	(void)state;
	tls_rig_init(&t);
	rig_listen(&t.r);
	client_init(&c, t.dir, NULL);
	assert_false(visit(&t, &c));
	assert_int_equal(tls_reload(t.tls, &t.conf, why), ERR_OK);
	assert_true(visit(&t, &c));
	assert_int_equal(tls_rotate_tickets(t.tls), ERR_OK);
	assert_false(visit(&t, &c));
	assert_true(visit(&t, &c));
	client_fini(&c);
	tls_rig_fini(&t);
}

/* Key number k of those that were ever drawn. */
static void
turned(unsigned char keys[TLS_TICKETS * TLS_TICKET_BYTES], int next)
{
	for (int i = 0; i < TLS_TICKETS; i++)
		memset(keys + i * TLS_TICKET_BYTES, next - i, TLS_TICKET_BYTES);
}

/* The client has a ticket of a's, which has turned to 11; b has not. */
static void
resumes_on(struct tls_rig *a, struct tls_rig *b, struct client *c)
{
	unsigned char keys[TLS_TICKETS * TLS_TICKET_BYTES];

	assert_true(visit(b, c));
	turned(keys, 12);
	assert_int_equal(tls_set_tickets(b->tls, keys), ERR_OK);
	assert_true(visit(a, c)); /* with one of b's former key */
	turned(keys, 14);
	assert_int_equal(tls_set_tickets(b->tls, keys), ERR_OK);
	assert_false(visit(b, c)); /* too old */
}

static void
resumes_elsewhere(int max_version)
{
	unsigned char keys[TLS_TICKETS * TLS_TICKET_BYTES];
	struct tls_rig a, b;
	struct client c;

	tls_rig_init(&a);
	rig_listen(&a.r);
	tls_rig_init(&b);
	rig_listen(&b.r);
	client_init(&c, a.dir, NULL);
	SSL_CTX_set_verify(c.ctx, SSL_VERIFY_NONE, NULL); /* each has a CA of its own here */
	SSL_CTX_set_max_proto_version(c.ctx, max_version);
	assert_false(visit(&a, &c));
	assert_false(visit(&b, &c)); /* keys of its own */
	turned(keys, 10);
	assert_int_equal(tls_set_tickets(a.tls, keys), ERR_OK);
	assert_int_equal(tls_set_tickets(b.tls, keys), ERR_OK);
	assert_false(visit(&a, &c));
	assert_true(visit(&b, &c));
	assert_true(visit(&a, &c));
	turned(keys, 11); /* a has turned, and b does not know it yet */
	assert_int_equal(tls_set_tickets(a.tls, keys), ERR_OK);
	assert_true(visit(&a, &c));
	if (max_version ==
	    TLS1_3_VERSION) /* OpenSSL's client keeps no ticket that comes with a resumption of 1.2 */
		resumes_on(&a, &b, &c);
	client_fini(&c);
	tls_rig_fini(&a);
	tls_rig_fini(&b);
}

static void
tls__O224_a_session_is_resumed_at_who_has_the_same_keys(void **state)
{
	(void)state;
	resumes_elsewhere(TLS1_3_VERSION);
	resumes_elsewhere(TLS1_2_VERSION);
}

static void
tls__bad_file_keeps_the_old_context(void **state)
{
	struct tls_conf bad;
	char why[NET_WHY_MAX] = "";
	struct tls_rig t;
	struct client c;

	(void)state;
	tls_rig_init(&t);
	rig_listen(&t.r);
	client_init(&c, t.dir, NULL);

	bad = t.conf;
	bad.pair[0].key = t.path[3]; /* another certificate's key */
	assert_int_equal(tls_reload(t.tls, &bad, why), ERR_ARG);
	assert_non_null(strstr(why, "not the key of the certificate"));
	bad = t.conf;
	bad.pair[1].cert = t.path[3]; /* a key where a certificate should be */
	assert_int_equal(tls_reload(t.tls, &bad, why), ERR_ARG);
	assert_non_null(strstr(why, "no certificate"));
	bad = t.conf;
	bad.pair[0].key = "/nonexistent";
	assert_int_equal(tls_reload(t.tls, &bad, why), ERR_ARG);
	assert_non_null(strstr(why, "/nonexistent"));
	bad = t.conf;
	bad.pair[1] = bad.pair[0];
	assert_int_equal(tls_reload(t.tls, &bad, why), ERR_ARG);
	assert_non_null(strstr(why, "same kind of key"));

	assert_false(visit(&t, &c));
	client_fini(&c);
	tls_rig_fini(&t);
}

static void
tls__reload_changes_the_certificate_of_new_connections_only(void **state)
{
	char why[NET_WHY_MAX] = "";
	struct tls_conf rsa_only;
	struct tls_rig t;
	struct client c;
	struct conn old, fresh;

	(void)state;
	tls_rig_init(&t);
	rsa_only = (struct tls_conf){ .pair = { t.conf.pair[1] } };
	rig_listen(&t.r);
	client_init(&c, t.dir, NULL);
	old = conn_open(&c, t.r.port);
	assert_int_equal(tls_reload(t.tls, &rsa_only, why), ERR_OK);
	SSL_SESSION_free(c.session);
	c.session = NULL;
	fresh = conn_open(&c, t.r.port);
	conn_echo(&old, "still here");
	assert_int_equal(
	    EVP_PKEY_get_base_id(X509_get0_pubkey(SSL_get0_peer_certificate(fresh.ssl))),
	    EVP_PKEY_RSA);
	conn_close(&old);
	conn_close(&fresh);
	client_fini(&c);
	tls_rig_fini(&t);
}

static void
tls__asks_for_a_certificate_with_an_empty_ca_list_or_not_at_all(void **state)
{
	struct made_cert ca = make_cert("Fleet CA", true, NULL),
	                 dev = make_cert("dev-4", false, &ca);
	struct tls_rig t;
	struct client c;
	struct conn n;

	(void)state;
	tls_rig_init(&t);
	use_cas(&t, &ca, 1, 1);
	rig_listen(&t.r);
	client_init(&c, t.dir, &dev);
	n = conn_open(&c, t.r.port);
	assert_int_equal(sk_X509_NAME_num(SSL_get0_peer_CA_list(n.ssl)) > 0, 0);
	conn_close(&n);
	assert_true(rig_wait(&t.r, &t.r.nclose, 1));
	assert_true(t.r.peer.chain_ok);
	client_fini(&c);
	tls_rig_fini(&t);

	tls_rig_init(&t);
	t.r.conf.no_client_cert = true;
	rig_listen(&t.r);
	client_init(&c, t.dir, &dev);
	assert_false(visit(&t, &c));
	assert_false(t.r.peer.has_cert);
	client_fini(&c);
	made_cert_fini(&ca);
	made_cert_fini(&dev);
	tls_rig_fini(&t);
}

static void
tls__alpn_takes_http11_and_ignores_the_rest(void **state)
{
	static const unsigned char mqtt[] = "\x04mqtt", both[] = "\x02h2\x08http/1.1";
	const unsigned char *got;
	struct tls_rig t;
	struct client c;
	struct conn n;
	unsigned len;

	(void)state;
	tls_rig_init(&t);
	rig_listen(&t.r);
	client_init(&c, t.dir, NULL);
	SSL_CTX_set_alpn_protos(c.ctx, mqtt, sizeof mqtt - 1);
	n = conn_open(&c, t.r.port);
	SSL_get0_alpn_selected(n.ssl, &got, &len);
	assert_int_equal(len, 0);
	conn_close(&n);
	SSL_CTX_set_alpn_protos(c.ctx, both, sizeof both - 1);
	n = conn_open(&c, t.r.port);
	SSL_get0_alpn_selected(n.ssl, &got, &len);
	assert_int_equal(len, 8);
	assert_memory_equal(got, "http/1.1", 8);
	conn_close(&n);
	client_fini(&c);
	tls_rig_fini(&t);
}

/* ---- bytes ---- */

static void
tls__silent_and_half_spoken_handshakes_end_at_the_deadline(void **state)
{
	struct tls_rig t;
	int64_t before;
	int silent, half;

	(void)state;
	tls_rig_init(&t);
	t.r.conf.deadline_us = 200000;
	rig_listen(&t.r);
	before = clock_mono_us();
	silent = client_connect(t.r.port);
	half = client_connect(t.r.port);
	assert_int_equal(send(half, "\x16\x03\x01", 3, 0), 3);
	assert_true(client_sees_end(silent));
	assert_true(client_sees_end(half));
	assert_true(clock_mono_us() - before >= 200000);
	close(silent);
	close(half);
	rig_stop(&t.r);
	assert_int_equal(t.r.nopen, 0); /* the owner never heard of them */
	assert_int_equal(t.r.nclose, 0);
	assert_int_equal(listener_stats(t.r.listener).nhandshake_failed, 2);
	tls_rig_fini(&t);
}

static void
tls__plain_text_is_refused(void **state)
{
	struct tls_rig t;
	char got[64];
	int fd;

	(void)state;
	tls_rig_init(&t);
	rig_listen(&t.r);
	fd = client_connect(t.r.port);
	assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
	while (recv(fd, got, sizeof got, 0) > 0) /* an alert, perhaps */
		;
	assert_true(client_sees_end(fd));
	close(fd);
	tls_rig_fini(&t);
	assert_int_equal(t.r.nopen, 0);
}

/* What the client's SSL wrote into memory, sent one byte at a time. */
static void
send_bytewise(int fd, BIO *from)
{
	char c;

	while (BIO_read(from, &c, 1) == 1)
		assert_int_equal(send(fd, &c, 1, 0), 1);
}

static void
recv_into(int fd, BIO *to)
{
	char got[4096];
	ssize_t n = recv(fd, got, sizeof got, 0);

	assert_true(n > 0);
	assert_int_equal(BIO_write(to, got, (int)n), (int)n);
}

/* With a certificate that does not verify: what OpenSSL noted about it must not meet the next wait for input. */
static void
tls__byte_by_byte_sender_is_understood(void **state)
{
	struct made_cert self = make_cert("dev-7", false, NULL);
	struct tls_rig t;
	struct client c;
	BIO *to, *from;
	char got[6];
	int fd, rc;
	SSL *ssl;

	(void)state;
	tls_rig_init(&t);
	rig_listen(&t.r);
	client_init(&c, t.dir, &self);
	fd = client_connect(t.r.port);
	ssl = SSL_new(c.ctx);
	to = BIO_new(BIO_s_mem());
	from = BIO_new(BIO_s_mem());
	SSL_set_bio(ssl, to, from);
	while ((rc = SSL_connect(ssl)) != 1) {
		assert_int_equal(SSL_get_error(ssl, rc), SSL_ERROR_WANT_READ);
		send_bytewise(fd, from);
		recv_into(fd, to);
	}
	assert_int_equal(SSL_write(ssl, "slowly", 6), 6);
	send_bytewise(fd, from);
	while ((rc = SSL_read(ssl, got, sizeof got)) <= 0) {
		assert_int_equal(SSL_get_error(ssl, rc), SSL_ERROR_WANT_READ);
		recv_into(fd, to);
	}
	assert_int_equal(rc, 6);
	assert_memory_equal(got, "slowly", 6);
	SSL_free(ssl);
	close(fd);
	client_fini(&c);
	assert_true(t.r.peer.has_cert);
	tls_rig_fini(&t);
	made_cert_fini(&self);
}

static void
tls__megabytes_pass_both_ways_in_order(void **state)
{
	uint32_t *part = xmalloc(65536), next_out = 0, next_in = 0;
	struct tls_rig t;
	struct client c;
	struct conn n;

	(void)state;
	tls_rig_init(&t);
	rig_listen(&t.r);
	client_init(&c, t.dir, NULL);
	n = conn_open(&c, t.r.port);
	for (int round = 0; round < 64; round++) {
		size_t have = 0, k;

		for (int i = 0; i < 16384; i++)
			part[i] = next_out++;
		assert_int_equal(SSL_write(n.ssl, part, 65536), 65536);
		for (; have < 65536; have += k)
			assert_int_equal(
			    SSL_read_ex(n.ssl, (char *)part + have, 65536 - have, &k), 1);
		for (int i = 0; i < 16384; i++)
			assert_int_equal(part[i], next_in++);
	}
	conn_close(&n);
	client_fini(&c);
	tls_rig_fini(&t);
	free(part);
}

static int nrecord;

static void
count_records(int writing, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	(void)version;
	(void)ssl;
	(void)arg;
	if (!writing && type == SSL3_RT_HEADER && n == 5 &&
	    ((const char *)p)[0] == SSL3_RT_APPLICATION_DATA)
		nrecord++;
}

static void
write_many(void *arg)
{
	struct rig *r = arg;

	for (int i = 0; i < 100; i++)
		stream_write(r->last, STR("0123456789"));
}

static void
stream__writes_of_one_turn_are_one_record(void **state)
{
	struct tls_rig t;
	struct client c;
	struct conn n;
	char got[1000];

	(void)state;
	tls_rig_init(&t);
	rig_listen(&t.r);
	client_init(&c, t.dir, NULL);
	n = conn_open(&c, t.r.port);
	SSL_set_msg_callback(n.ssl, count_records);
	nrecord = 0;
	rig_on_loop(&t.r, write_many, &t.r);
	assert_int_equal(SSL_read(n.ssl, got, sizeof got), sizeof got);
	assert_int_equal(nrecord, 1);
	conn_close(&n);
	client_fini(&c);
	tls_rig_fini(&t);
}

static void
close_last(void *arg)
{
	struct rig *r = arg;

	stream_write(r->last, STR("bye"));
	stream_close(r->last);
}

static void
stream__close_says_close_notify_after_the_last_bytes(void **state)
{
	struct tls_rig t;
	struct client c;
	struct conn n;
	char got[8];
	int rc;

	(void)state;
	tls_rig_init(&t);
	rig_listen(&t.r);
	client_init(&c, t.dir, NULL);
	n = conn_open(&c, t.r.port);
	rig_on_loop(&t.r, close_last, &t.r);
	assert_int_equal(SSL_read(n.ssl, got, sizeof got), 3);
	rc = SSL_read(n.ssl, got, sizeof got);
	assert_int_equal(SSL_get_error(n.ssl, rc), SSL_ERROR_ZERO_RETURN);
	conn_close(&n);
	assert_true(rig_wait(&t.r, &t.r.nclose, 1));
	assert_int_equal(t.r.why, STREAM_CLOSED);
	client_fini(&c);
	tls_rig_fini(&t);
}

static void
flood_last(void *arg)
{
	static char part[64 * 1024];
	struct rig *r = arg;

	for (int i = 0; i < 80 * 1024 * 1024 / (int)sizeof part; i++)
		stream_write(r->last, (struct str){ part, sizeof part });
}

static void
tls__client_that_never_reads_hits_the_bound(void **state)
{
	struct tls_rig t;
	struct client c;
	struct conn n;

	(void)state;
	tls_rig_init(&t);
	rig_listen(&t.r);
	client_init(&c, t.dir, NULL);
	n = conn_open(&c, t.r.port);
	rig_on_loop(&t.r, flood_last, &t.r);
	assert_true(rig_wait(&t.r, &t.r.nclose, 1));
	assert_int_equal(t.r.why, STREAM_OVERFLOW);
	conn_close(&n);
	client_fini(&c);
	tls_rig_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls__client_without_certificate_is_served),
		cmocka_unit_test(tls__client_of_tls_12_only_is_served_and_resumes),
		cmocka_unit_test(tls__old_versions_are_refused),
		cmocka_unit_test(tls__rsa_only_client_gets_the_rsa_certificate),
		cmocka_unit_test(tls__self_signed_certificate_shows_its_thumbprint),
		cmocka_unit_test(tls13__resumption_keeps_the_chain_of_the_same_ca_version_only),
		cmocka_unit_test(tls12__resumption_keeps_the_chain_of_the_same_ca_version_only),
		cmocka_unit_test(
		    tls__D84_a_chain_with_a_ca_that_has_ended_is_told_from_one_that_leads_nowhere),
		cmocka_unit_test(tls__D83_cbc_is_spoken_only_if_asked_for),
		cmocka_unit_test(tls__client_ca_must_be_one),
		cmocka_unit_test(tls__tickets_outlive_a_reload_and_not_a_rotation),
		cmocka_unit_test(tls__O224_a_session_is_resumed_at_who_has_the_same_keys),
		cmocka_unit_test(tls__bad_file_keeps_the_old_context),
		cmocka_unit_test(tls__reload_changes_the_certificate_of_new_connections_only),
		cmocka_unit_test(tls__asks_for_a_certificate_with_an_empty_ca_list_or_not_at_all),
		cmocka_unit_test(tls__alpn_takes_http11_and_ignores_the_rest),
		cmocka_unit_test(tls__silent_and_half_spoken_handshakes_end_at_the_deadline),
		cmocka_unit_test(tls__plain_text_is_refused),
		cmocka_unit_test(tls__byte_by_byte_sender_is_understood),
		cmocka_unit_test(tls__megabytes_pass_both_ways_in_order),
		cmocka_unit_test(stream__writes_of_one_turn_are_one_record),
		cmocka_unit_test(stream__close_says_close_notify_after_the_last_bytes),
		cmocka_unit_test(tls__client_that_never_reads_hits_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
