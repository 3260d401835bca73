/* Webhooks, to a receiver on loopback that speaks TLS and answers as it is told (E-40 to E-44). */
#include "sink_kit.h"
#include "metric/metric.h"

#include <arpa/inet.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/os.h"
#include "sink/priv.h"

/* ---- the receiver ---- */

#define REQUESTS_MAX 32
#define CLOSE_IT     "" /* no answer: the connection ends */
#define HANG         "hang"
#define DRIP         "drip"
#define ALLOW                                                                                      \
	"HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: hub.example\r\nContent-Length: 0\r\n"          \
	"Connection: close\r\n\r\n"
#define STATUS(line) "HTTP/1.1 " line "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

struct receiver {
	char dir[64];
	SSL_CTX *ctx;
	int fd;
	uint16_t port;
	struct buf ca;
	struct thread thread;
	pthread_mutex_t mu;
	pthread_cond_t more;
	const char *answers[REQUESTS_MAX]; /* of the requests in their order; NULL: 200 */
	char *requests[REQUESTS_MAX];
	char peer[64]; /* the name in the client's certificate */
	unsigned n, nconnection;
	bool stop;
};

static struct receiver rx;
static struct senders *all, *strict;

/* Until the whole request is there. */
static char *
read_request(SSL *ssl)
{
	struct buf b = { 0 };
	char *end, *length;
	int n;

	for (;;) {
		buf_reserve(&b, 65536);
		n = SSL_read(ssl, b.p + b.n, 65535);
		if (n <= 0) {
			buf_fini(&b);
			return NULL;
		}
		b.n += (size_t)n;
		b.p[b.n] = '\0';
		end = strstr(b.p, "\r\n\r\n");
		length = strcasestr(b.p, "\r\nContent-Length: ");
		if (end != NULL &&
		    (length == NULL || length > end ||
		        b.n >= (size_t)(end + 4 - b.p) + (size_t)atoi(length + 18)))
			return b.p;
	}
}

static void
peer_of(SSL *ssl)
{
	X509 *cert = SSL_get1_peer_certificate(ssl);

	if (cert != NULL)
		X509_NAME_get_text_by_NID(
		    X509_get_subject_name(cert), NID_commonName, rx.peer, sizeof rx.peer);
	X509_free(cert);
}

/* A header that goes on and on. */
static void
drip(SSL *ssl)
{
	bool stop = false;

	SSL_write(ssl, "HTTP/1.1 200 OK\r\nX: ", 20);
	while (!stop && SSL_write(ssl, "x", 1) == 1) {
		usleep(20000);
		pthread_mutex_lock(&rx.mu);
		stop = rx.stop;
		pthread_mutex_unlock(&rx.mu);
	}
}

static void
serve(SSL *ssl)
{
	char *request = SSL_accept(ssl) == 1 ? read_request(ssl) : NULL;
	const char *answer;

	if (request == NULL)
		return;
	pthread_mutex_lock(&rx.mu);
	peer_of(ssl);
	answer = rx.n < REQUESTS_MAX ? rx.answers[rx.n] : NULL;
	if (answer == NULL)
		answer = STATUS("200 OK");
	if (rx.n < REQUESTS_MAX)
		rx.requests[rx.n++] = request;
	pthread_cond_broadcast(&rx.more);
	while (strcmp(answer, HANG) == 0 && !rx.stop)
		pthread_cond_wait(&rx.more, &rx.mu);
	pthread_mutex_unlock(&rx.mu);
	if (strcmp(answer, DRIP) == 0)
		drip(ssl);
	else if (answer[0] != '\0')
		SSL_write(ssl, answer, (int)strlen(answer));
	SSL_shutdown(ssl);
}

static void
receiver_main(void *ctx)
{
	(void)ctx;
	for (;;) {
		int fd = accept(rx.fd, NULL, NULL);
		SSL *ssl;

		pthread_mutex_lock(&rx.mu);
		rx.nconnection++;
		pthread_mutex_unlock(&rx.mu);
		if (fd < 0)
			return;
		ssl = SSL_new(rx.ctx);
		SSL_set_fd(ssl, fd);
		serve(ssl);
		SSL_free(ssl);
		close(fd);
	}
}

static int
any_certificate(int good, X509_STORE_CTX *ctx)
{
	(void)good;
	(void)ctx;
	return 1;
}

static int
setup(void **state)
{
	static const char *const names[] = { "127.0.0.1" };
	struct senders_options o = { 0 };
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;
	char path[128], why[NET_WHY_MAX] = "";
	struct fault f;
	bool changed;

	(void)state;
	snprintf(rx.dir, sizeof rx.dir, "/tmp/twinhub-hook-XXXXXX");
	if (mkdtemp(rx.dir) == NULL ||
	    certs_ensure(rx.dir, names, 1, clock_wall_us(), true, &changed, why) != ERR_OK)
		return -1;
	snprintf(path, sizeof path, "%s/ca.pem", rx.dir);
	os_read_file(path, 65536, &rx.ca, NULL);
	rx.ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_session_id_context(rx.ctx, (const unsigned char *)"rx", 2);
	SSL_CTX_set_verify(rx.ctx, SSL_VERIFY_PEER, any_certificate);
	snprintf(path, sizeof path, "%s/server-ecdsa.pem", rx.dir);
	SSL_CTX_use_certificate_chain_file(rx.ctx, path);
	snprintf(path, sizeof path, "%s/server-ecdsa.key", rx.dir);
	SSL_CTX_use_PrivateKey_file(rx.ctx, path, SSL_FILETYPE_PEM);
	rx.fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(rx.fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(rx.fd, 16) != 0)
		return -1;
	getsockname(rx.fd, (struct sockaddr *)&at, &n);
	rx.port = ntohs(at.sin_port);
	pthread_mutex_init(&rx.mu, NULL);
	pthread_cond_init(&rx.more, NULL);
	if (senders_new(&o, &strict, &f) != ERR_OK)
		return -1;
	nets_add(&o.allow, "127.0.0.0/8");
	return senders_new(&o, &all, &f) == ERR_OK &&
	        thread_start(&rx.thread, receiver_main, NULL, &f, "receiver") == ERR_OK
	    ? 0
	    : -1;
}

static void
receiver_reset(void)
{
	pthread_mutex_lock(&rx.mu);
	for (unsigned i = 0; i < rx.n; i++)
		free(rx.requests[i]);
	memset(rx.answers, 0, sizeof rx.answers);
	rx.n = rx.nconnection = 0;
	rx.stop = false;
	rx.peer[0] = '\0';
	pthread_mutex_unlock(&rx.mu);
}

static int
teardown(void **state)
{
	(void)state;
	senders_free(all);
	senders_free(strict);
	shutdown(rx.fd, SHUT_RDWR);
	thread_join(&rx.thread);
	receiver_reset();
	close(rx.fd);
	SSL_CTX_free(rx.ctx);
	buf_fini(&rx.ca);
	return os_remove_tree(rx.dir, 1, NULL) == ERR_OK ? 0 : -1;
}

static const char *
request_await(unsigned i)
{
	const char *r;

	pthread_mutex_lock(&rx.mu);
	patience_await(&rx.more, &rx.mu, rx.n > i);
	r = rx.requests[i];
	pthread_mutex_unlock(&rx.mu);
	return r;
}

/* Without the handshake, unless a test gives it an origin. */
static struct sink_spec
spec_of(void)
{
	static char url[64];

	snprintf(url, sizeof url, "https://127.0.0.1:%u/events?x=1", rx.port);
	return (struct sink_spec){ .kind = SINK_WEBHOOK,
		.name = STR("w"),
		.url = str_of(url),
		.ca = buf_view(&rx.ca),
		.timeout_s = 20 };
}

static struct sender *
sender_of(struct senders *of, const struct sink_spec *spec)
{
	struct sender *s;
	struct fault f;

	receiver_reset();
	assert_int_equal(sender_new(of, spec, &s, &f), ERR_OK);
	return s;
}

/* Until an attempt has failed so often. */
static struct sender_state
failed_await(struct sender *s, unsigned attempts)
{
	struct sender_state st;

	do {
		usleep(1000);
		sender_look(s, &st);
	} while (st.attempts < attempts && st.phase != SENDER_STOPPED);
	return st;
}

static const char *
body_of(const char *request)
{
	return strstr(request, "\r\n\r\n") + 4;
}

static void
copy_header(char *out, size_t n, const char *request, const char *name)
{
	const char *at = strstr(request, name);

	assert_non_null(at);
	at += strlen(name);
	snprintf(out, n, "%.*s", (int)strcspn(at, "\r"), at);
}

/* ---- tests ---- */

static void
hook__E40_E42_a_batch_goes_after_the_handshake(void **state)
{
	struct sink_spec spec = spec_of();
	struct sender *s;
	struct owner o;
	const char *asked, *posted;

	(void)state;
	spec.origin = STR("hub.example");
	spec.token = STR("token-1");
	s = sender_of(all, &spec);
	rx.answers[0] = ALLOW;
	owner_init(&o);
	owner_fill(&o, 1, 3);
	assert_true(sender_offer(s, &o.batch));
	assert_true(owner_await(&o, 1));
	asked = request_await(0);
	posted = request_await(1);
	assert_true(str_starts(str_of(asked), STR("OPTIONS /events?x=1 HTTP/1.1\r\n")));
	assert_non_null(strstr(asked, "\r\nWebHook-Request-Origin: hub.example\r\n"));
	assert_non_null(strstr(asked, "\r\nWebHook-Request-Rate: *\r\n"));
	assert_string_equal(body_of(asked), "");
	assert_true(str_starts(str_of(posted), STR("POST /events?x=1 HTTP/1.1\r\n")));
	assert_non_null(strstr(
	    posted, "\r\nContent-Type: application/cloudevents-batch+json; charset=utf-8\r\n"));
	assert_non_null(strstr(posted, "\r\nAuthorization: Bearer token-1\r\n"));
	assert_null(strstr(posted, "webhook-signature"));
	assert_string_equal(body_of(posted), "[{\"id\":\"1\"},{\"id\":\"2\"},{\"id\":\"3\"}]");
	/* it is asked once */
	owner_fill(&o, 4, 1);
	assert_true(sender_offer(s, &o.batch));
	assert_true(owner_await(&o, 2));
	assert_string_equal(body_of(request_await(2)), "[{\"id\":\"4\"}]");
	sender_end(s);
	owner_fini(&o);
}

static void
hook__E42_who_does_not_want_them_gets_none(void **state)
{
	static const char *const no[] = { STATUS("200 OK"),
		"HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: other.example\r\nContent-Length: 0\r\n"
		"Connection: close\r\n\r\n",
		STATUS("405 Method Not Allowed"), STATUS("413 Too Large") };
	struct sink_spec spec = spec_of();
	struct sender_state st;
	struct sender *s;
	struct owner o;

	(void)state;
	spec.origin = STR("hub.example");
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		s = sender_of(all, &spec);
		rx.answers[0] = no[i];
		owner_init(&o);
		owner_fill(&o, 1, 2);
		assert_true(sender_offer(s, &o.batch));
		st = failed_await(s, 1);
		assert_non_null(strstr(st.error, "OPTIONS"));
		assert_true(
		    st.wait_us > INT64_C(20) * 1000000); /* it will hardly change its mind */
		sender_end(s);
		assert_false(o.taken);
		assert_int_equal(rx.n, 1);
		owner_fini(&o);
	}
}

static void
hook__E42_an_allowed_rate_is_kept(void **state)
{
	struct sink_spec spec = spec_of();
	struct sender_state st;
	struct sender *s;
	struct owner o;

	(void)state;
	spec.origin = STR("hub.example");
	s = sender_of(all, &spec);
	rx.answers[0] =
	    "HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: *\r\nWebHook-Allowed-Rate: 1\r\n"
	    "Content-Length: 0\r\nConnection: close\r\n\r\n";
	owner_init(&o);
	owner_fill(&o, 1, 1);
	assert_true(sender_offer(s, &o.batch));
	assert_true(owner_await(&o, 1));
	owner_fill(&o, 2, 1);
	assert_true(sender_offer(s, &o.batch));
	sender_look(s, &st);
	assert_int_equal(st.phase, SENDER_WAITING);
	assert_int_equal(st.attempts, 0);
	assert_true(st.wait_us > INT64_C(30) * 1000000);
	sender_end(s);
	owner_fini(&o);
}

/* The signature of the request, made again. */
static void
assert_signed(const char *request, const char *key, size_t nkey)
{
	char id[64], time_s[64], said[128];
	struct buf text = { 0 }, made = { 0 };
	unsigned char mac[32];
	unsigned n;

	copy_header(id, sizeof id, request, "\r\nwebhook-id: ");
	copy_header(time_s, sizeof time_s, request, "\r\nwebhook-timestamp: ");
	copy_header(said, sizeof said, request, "\r\nwebhook-signature: ");
	buf_printf(&text, "%s.%s.%s", id, time_s, body_of(request));
	HMAC(EVP_sha256(), key, (int)nkey, (unsigned char *)text.p, text.n, mac, &n);
	buf_cstr(&made, "v1,");
	base64_encode(&made, mac, n);
	assert_true(str_eq(buf_view(&made), str_of(said)));
	assert_true(llabs(atoll(time_s) - (long long)time(NULL)) < 600);
	buf_fini(&text);
	buf_fini(&made);
}

static void
hook__E41_E43_it_is_tried_again_and_signed_each_time(void **state)
{
	struct sink_spec spec = spec_of();
	struct sender_state st;
	char first[64], second[64];
	struct sender *s;
	struct owner o;

	(void)state;
	spec.secret = STR("0123456789abcdef");
	s = sender_of(all, &spec);
	rx.answers[0] = STATUS("503 Later\r\nRetry-After: 1");
	rx.answers[1] = CLOSE_IT;
	owner_init(&o);
	owner_fill(&o, 1, 2);
	assert_true(sender_offer(s, &o.batch));
	st = failed_await(s, 1);
	assert_string_equal(st.error, "the answer to POST is 503");
	assert_true(owner_await(&o, 1));
	for (unsigned i = 0; i < 3; i++) {
		assert_signed(request_await(i), "0123456789abcdef", 16);
		assert_string_equal(body_of(request_await(i)), "[{\"id\":\"1\"},{\"id\":\"2\"}]");
	}
	copy_header(first, sizeof first, request_await(0), "\r\nwebhook-id: ");
	copy_header(second, sizeof second, request_await(2), "\r\nwebhook-id: ");
	assert_string_equal(first, second);
	sender_look(s, &st);
	assert_int_equal(st.attempts, 0);
	assert_int_equal(st.delivered, 2);
	assert_non_null(strstr(st.error, "no answer"));
	sender_end(s);
	owner_fini(&o);
}

static void
hook__E43_gone_is_for_good(void **state)
{
	struct sink_spec spec = spec_of();
	struct sender *s = sender_of(all, &spec);
	struct sender_state st;
	struct owner o;

	(void)state;
	rx.answers[0] = STATUS("410 Gone");
	owner_init(&o);
	owner_fill(&o, 1, 1);
	assert_true(sender_offer(s, &o.batch));
	st = failed_await(s, 1);
	assert_int_equal(st.phase, SENDER_STOPPED);
	assert_int_equal(o.nover, 0);
	sender_end(s);
	assert_int_equal(rx.n, 1);
	assert_false(o.taken);
	owner_fini(&o);
}

static void
hook__E43_O120_what_is_too_large_comes_in_halves(void **state)
{
	uint64_t given_up = metric_read(METRIC_SINK_GIVEN_UP, METRIC_WEBHOOK),
	         delivered = metric_read(METRIC_SINK_EVENTS, METRIC_WEBHOOK);
	static const char *const bodies[] = {
		"[{\"id\":\"1\"},{\"id\":\"2\"},{\"id\":\"3\"},{\"id\":\"4\"}]",
		"[{\"id\":\"1\"},{\"id\":\"2\"}]", "[{\"id\":\"1\"}]", "[{\"id\":\"2\"}]",
		"[{\"id\":\"3\"}]", "[{\"id\":\"4\"}]"
	};
	struct sink_spec spec = spec_of();
	struct sender *s = sender_of(all, &spec);
	struct sender_state st;
	struct owner o;

	(void)state;
	rx.answers[0] = rx.answers[1] = rx.answers[3] = STATUS("413 Too Large");
	owner_init(&o);
	owner_fill(&o, 1, 4);
	assert_true(sender_offer(s, &o.batch));
	assert_true(owner_await(&o, 1));
	for (unsigned i = 0; i < 6; i++)
		assert_string_equal(body_of(request_await(i)), bodies[i]);
	sender_look(s, &st);
	assert_int_equal(st.delivered, 3);
	assert_int_equal(st.given_up, 1);
	assert_int_equal(metric_read(METRIC_SINK_GIVEN_UP, METRIC_WEBHOOK) - given_up, 1);
	assert_int_equal(metric_read(METRIC_SINK_EVENTS, METRIC_WEBHOOK) - delivered, 3);
	assert_int_equal(st.attempts, 0);
	sender_end(s);
	owner_fini(&o);
}

static void
hook__E40_E43_redirects_are_not_followed(void **state)
{
	struct sink_spec spec = spec_of();
	struct sender *s = sender_of(all, &spec);
	struct sender_state st;
	struct owner o;
	char answer[128];

	(void)state;
	snprintf(answer, sizeof answer,
	    "HTTP/1.1 307 There\r\nLocation: https://127.0.0.1:%u/x\r\nContent-Length: 0\r\n\r\n",
	    rx.port);
	rx.answers[0] = answer;
	owner_init(&o);
	owner_fill(&o, 1, 1);
	assert_true(sender_offer(s, &o.batch));
	st = failed_await(s, 1);
	assert_string_equal(st.error, "the answer to POST is 307");
	assert_true(st.wait_us > INT64_C(20) * 1000000);
	sender_end(s);
	assert_int_equal(rx.n, 1);
	owner_fini(&o);
}

static void
hook__E40_of_a_long_answer_little_is_read(void **state)
{
	struct sink_spec spec = spec_of();
	struct sender *s = sender_of(all, &spec);
	struct buf answer = { 0 };
	struct owner o;

	(void)state;
	buf_cstr(&answer, "HTTP/1.1 202 Accepted\r\nContent-Length: 1000000000\r\n\r\n");
	for (int i = 0; i < 4000; i++)
		buf_cstr(&answer, "0123456789012345678901234567890123456789");
	buf_putc(&answer, '\0');
	rx.answers[0] = answer.p;
	owner_init(&o);
	owner_fill(&o, 1, 1);
	assert_true(sender_offer(s, &o.batch));
	assert_true(owner_await(&o, 1));
	sender_end(s);
	owner_fini(&o);
	buf_fini(&answer);
}

/* Whatever it sends that is no answer: it is tried again later, and nothing of it is kept. */
static void
hook__E40_E43_what_is_no_answer_is_tried_again(void **state)
{
	struct sink_spec spec = spec_of();
	struct sender_state st;
	struct buf many = { 0 };
	struct owner o;

	(void)state;
	for (int i = 0; i < 5000; i++)
		buf_cstr(&many, "HTTP/1.1 100 Continue\r\nX: 0123456789\r\n\r\n");
	buf_putc(&many, '\0');
	const char *const answers[] = { "", "garbage\r\n\r\n", "\r\n", "HTTP/1.1 abc\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nless", many.p };
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct sender *s = sender_of(all, &spec);

		rx.answers[0] = answers[i];
		owner_init(&o);
		owner_fill(&o, 1, 1);
		assert_true(sender_offer(s, &o.batch));
		st = failed_await(s, 1);
		assert_int_equal(st.phase, SENDER_WAITING);
		assert_true(st.error[0] != '\0');
		sender_end(s);
		owner_fini(&o);
	}
	buf_fini(&many);
}

/* A byte now and then keeps it no longer than an answer may take. */
static void
hook__E40_an_answer_that_never_ends_is_given_up(void **state)
{
	struct sink_spec spec = spec_of();
	struct sender_state st;
	struct sender *s;
	struct owner o;

	(void)state;
	spec.timeout_s = 1;
	s = sender_of(all, &spec);
	rx.answers[0] = DRIP;
	owner_init(&o);
	owner_fill(&o, 1, 1);
	assert_true(sender_offer(s, &o.batch));
	st = failed_await(s, 1);
	assert_int_equal(st.phase, SENDER_WAITING);
	assert_non_null(strstr(st.error, "imed out"));
	pthread_mutex_lock(&rx.mu);
	rx.stop = true;
	pthread_mutex_unlock(&rx.mu);
	sender_end(s);
	owner_fini(&o);
}

/* By number and by name: it is the address that counts. */
static void
hook__E44_no_connection_is_opened_to_loopback(void **state)
{
	const char *const hosts[] = { "127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433",
		"0x7f.1", "0.0.0.0" };
	struct sink_spec spec = spec_of();
	struct sender_state st;
	struct sender *s;
	struct owner o;
	char url[64];

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		snprintf(url, sizeof url, "https://%s:%u/", hosts[i], rx.port);
		spec.url = str_of(url);
		s = sender_of(strict, &spec);
		owner_init(&o);
		owner_fill(&o, 1, 1);
		assert_true(sender_offer(s, &o.batch));
		st = failed_await(s, 1);
		assert_non_null(strstr(st.error, "is not public"));
		sender_end(s);
		assert_int_equal(rx.nconnection, 0);
		owner_fini(&o);
	}
}

static void
hook__E40_the_server_shows_a_certificate_of_the_ca(void **state)
{
	struct sink_spec spec = spec_of();
	struct sender_state st;
	struct sender *s;
	struct owner o;

	(void)state;
	spec.ca = STR_NONE; /* the system's, which do not know it */
	s = sender_of(all, &spec);
	owner_init(&o);
	owner_fill(&o, 1, 1);
	assert_true(sender_offer(s, &o.batch));
	st = failed_await(s, 1);
	assert_non_null(strstr(st.error, "certificate"));
	sender_end(s);
	assert_int_equal(rx.n, 0);
	owner_fini(&o);
}

static void
hook__E40_the_hub_shows_its_own(void **state)
{
	struct buf cert = { 0 }, key = { 0 };
	struct sink_spec spec = spec_of();
	struct sender *s;
	struct owner o;
	char path[128];

	(void)state;
	snprintf(path, sizeof path, "%s/server-rsa.pem", rx.dir);
	assert_int_equal(os_read_file(path, 65536, &cert, NULL), ERR_OK);
	snprintf(path, sizeof path, "%s/server-rsa.key", rx.dir);
	assert_int_equal(os_read_file(path, 65536, &key, NULL), ERR_OK);
	spec.client_certificate = buf_view(&cert);
	spec.client_key = buf_view(&key);
	s = sender_of(all, &spec);
	owner_init(&o);
	owner_fill(&o, 1, 1);
	assert_true(sender_offer(s, &o.batch));
	assert_true(owner_await(&o, 1));
	assert_string_equal(rx.peer, "127.0.0.1");
	sender_end(s);
	owner_fini(&o);
	buf_fini(&cert);
	buf_fini(&key);
}

static void
hook__E36_an_end_does_not_wait_for_an_answer(void **state)
{
	struct sink_spec spec = spec_of();
	struct sender *s = sender_of(all, &spec);
	struct sender_state st;
	struct owner o;

	(void)state;
	rx.answers[0] = HANG;
	owner_init(&o);
	owner_fill(&o, 1, 1);
	assert_true(sender_offer(s, &o.batch));
	(void)request_await(0);
	sender_look(s, &st);
	assert_int_equal(st.phase, SENDER_SENDING);
	sender_end(s);
	assert_int_equal(o.nover, 1);
	assert_false(o.taken);
	pthread_mutex_lock(&rx.mu);
	rx.stop = true;
	pthread_cond_broadcast(&rx.more);
	pthread_mutex_unlock(&rx.mu);
	owner_fini(&o);
}

static void
hook__E40_only_https_without_user(void **state)
{
	static const char *const bad[] = { "", "http://a/", "ftp://a/", "file:///etc/passwd", "a",
		"https://", "https://u:p@a/", "https://a b/", "gopher://a" };
	struct sink_spec spec = spec_of();
	struct sender *s;
	struct fault f;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		spec.url = str_of(bad[i]);
		if (sender_new(all, &spec, &s, &f) != ERR_ARG)
			fail_msg("%s is taken", bad[i]);
		assert_true(str_starts(str_of(f.text), STR("url")));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hook__E40_E42_a_batch_goes_after_the_handshake),
		cmocka_unit_test(hook__E42_who_does_not_want_them_gets_none),
		cmocka_unit_test(hook__E42_an_allowed_rate_is_kept),
		cmocka_unit_test(hook__E41_E43_it_is_tried_again_and_signed_each_time),
		cmocka_unit_test(hook__E43_gone_is_for_good),
		cmocka_unit_test(hook__E43_O120_what_is_too_large_comes_in_halves),
		cmocka_unit_test(hook__E40_E43_redirects_are_not_followed),
		cmocka_unit_test(hook__E40_of_a_long_answer_little_is_read),
		cmocka_unit_test(hook__E40_E43_what_is_no_answer_is_tried_again),
		cmocka_unit_test(hook__E40_an_answer_that_never_ends_is_given_up),
		cmocka_unit_test(hook__E44_no_connection_is_opened_to_loopback),
		cmocka_unit_test(hook__E40_the_server_shows_a_certificate_of_the_ca),
		cmocka_unit_test(hook__E40_the_hub_shows_its_own),
		cmocka_unit_test(hook__E36_an_end_does_not_wait_for_an_answer),
		cmocka_unit_test(hook__E40_only_https_without_user),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
