/* evhttp over TLS: served, counted, and ended at absolute deadlines. */
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>

#include "net_tls_rig.h"

#include "net/priv.h"

struct https_rig {
	struct tls_rig t;
	struct evhttp *http;
	struct https_port *port;
	struct https_conf conf;
	struct tls_peer peer;
};

static void
on_request(struct evhttp_request *req, void *arg)
{
	struct https_rig *h = arg;
	struct bufferevent *bev =
	    evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
	struct evbuffer *body = evbuffer_new();

	assert_null(https_request_begins(req));
	tls_peer_of(bufferevent_openssl_get_ssl(bev), &h->peer);
	evbuffer_add(body, "hello", 5);
	https_answers(bev, 0, NULL, 300000);
	evhttp_send_reply(req, 200, "OK", body);
	evbuffer_free(body);
}

static void
https_init_behind(
    struct https_rig *h, int64_t deadline_us, uint32_t max_per_address, const struct nets *proxies)
{
	char why[NET_WHY_MAX];
	int fd;

	memset(h, 0, sizeof *h);
	tls_rig_init(&h->t);
	h->conf.tls = h->t.tls;
	h->conf.proxies = proxies;
	h->conf.deadline_us = deadline_us;
	h->conf.max_head_bytes = 4096;
	h->conf.max_body_bytes = 65536;
	h->conf.admission = admission_new(0, max_per_address);
	h->http = evhttp_new(loop_base(h->t.r.loop));
	evhttp_set_gencb(h->http, on_request, h);
	assert_int_equal(net_bind("127.0.0.1", 0, 1, &fd, &h->t.r.port, why), ERR_OK);
	assert_int_equal(https_port_new(h->t.r.loop, h->http, fd, &h->conf, &h->port), ERR_OK);
	assert_int_equal(loop_start(h->t.r.loop), ERR_OK);
}

static void
https_init(struct https_rig *h, int64_t deadline_us, uint32_t max_per_address)
{
	https_init_behind(h, deadline_us, max_per_address, NULL);
}

static void
https_fini(struct https_rig *h)
{
	rig_stop(&h->t.r);
	https_port_stop(h->port);
	evhttp_free(h->http);
	event_base_loop(loop_base(h->t.r.loop), EVLOOP_NONBLOCK); /* connections end a turn later */
	assert_int_equal(admission_count(h->conf.admission), 0);
	https_port_free(h->port);
	admission_free(h->conf.admission);
	tls_rig_fini(&h->t);
}

/* ---- handshakes under way ---- */

#define CROWD 300

/* How many are accepted before any of them may have become too slow to count: at most so many. */
static uint32_t
accepted_at_once(struct https_rig *h, int client[CROWD])
{
	int64_t begun_us = clock_mono_us();
	uint32_t n, most = 0;

	for (int i = 0; i < CROWD; i++)
		client[i] = client_connect(h->t.r.port);
	for (;;) {
		n = admission_count(h->conf.admission);
		if (clock_mono_us() - begun_us >= HANDSHAKE_SLOW_US)
			return most;
		most = n > most ? n : most;
		usleep(1000);
	}
}

static void
https__O220_silent_connections_wait_in_the_backlog_and_keep_nobody_out(void **state)
{
	int64_t until_us = clock_mono_us() + PATIENCE_S * INT64_C(1000000);
	int client[CROWD];
	struct https_rig h;

	(void)state;
	https_init(&h, 30000000, 0);
	assert_true(accepted_at_once(&h, client) <= HANDSHAKES_MAX);
	while (admission_count(h.conf.admission) < CROWD && clock_mono_us() < until_us)
		usleep(1000);
	assert_int_equal(admission_count(h.conf.admission), CROWD);
	for (int i = 0; i < CROWD; i++)
		close(client[i]);
	https_fini(&h);
}

static void
https__O220_a_port_may_end_at_the_bound(void **state)
{
	int client[CROWD];
	struct https_rig h;

	(void)state;
	https_init(&h, 30000000, 0);
	for (int i = 0; i < CROWD; i++)
		client[i] = client_connect(h.t.r.port);
	usleep(50000);
	https_fini(&h);
	for (int i = 0; i < CROWD; i++)
		close(client[i]);
}

static void
get(struct conn *n)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: hub.example\r\n\r\n";
	char got[4096];
	size_t have = 0, k;

	assert_int_equal(SSL_write(n->ssl, request, sizeof request - 1), sizeof request - 1);
	do {
		assert_int_equal(SSL_read_ex(n->ssl, got + have, sizeof got - 1 - have, &k), 1);
		have += k;
		got[have] = 0;
	} while (!strstr(got, "\r\n\r\nhello"));
	assert_memory_equal(got, "HTTP/1.1 200", 12);
}

static void
https__serves_and_knows_the_clients_certificate(void **state)
{
	struct made_cert self = make_cert("dev-5", false, NULL);
	struct https_rig h;
	struct client c;
	struct conn n;

	(void)state;
	https_init(&h, 5000000, 0);
	client_init(&c, h.t.dir, &self);
	assert_true(conn_try(&c, h.t.r.port, &n));
	get(&n);
	get(&n);
	conn_close(&n);
	assert_true(conn_try(&c, h.t.r.port, &n)); /* resumed, as Node's agent does */
	assert_true(SSL_session_reused(n.ssl));
	get(&n);
	conn_close(&n);
	client_fini(&c);
	https_fini(&h);
	assert_string_equal(h.peer.cn, "dev-5");
	made_cert_fini(&self);
}

static void
https__request_of_a_byte_now_and_then_ends_at_the_deadline(void **state)
{
	int64_t before = clock_mono_us();
	struct https_rig h;
	struct client c;
	struct conn n;
	char got;

	(void)state;
	https_init(&h, 500000, 0);
	client_init(&c, h.t.dir, NULL);
	assert_true(conn_try(&c, h.t.r.port, &n));
	do { /* each byte would move a read timeout */
		struct timespec pause = { 0, 20000000 };

		nanosleep(&pause, NULL);
		if (SSL_write(n.ssl, "G", 1) != 1)
			break;
	} while (clock_mono_us() - before < PATIENCE_S * INT64_C(1000000) &&
	    !(recv(n.fd, &got, 1, MSG_DONTWAIT | MSG_PEEK) == 0 || errno == ECONNRESET));
	assert_true(clock_mono_us() - before >= 500000);
	assert_true(clock_mono_us() - before < PATIENCE_S * INT64_C(1000000));
	conn_close(&n);
	client_fini(&c);
	https_fini(&h);
}

static void
https__silent_and_idle_connections_end_at_their_deadlines(void **state)
{
	struct https_rig h;
	struct client c;
	struct conn n;
	int silent;
	char got;

	(void)state;
	https_init(&h, 1000000, 0);
	client_init(&c, h.t.dir, NULL);
	silent = client_connect(h.t.r.port);
	assert_true(conn_try(&c, h.t.r.port, &n));
	get(&n);
	assert_true(SSL_read(n.ssl, &got, 1) <= 0); /* 300 ms after the reply */
	assert_true(client_sees_end(silent));
	close(silent);
	conn_close(&n);
	client_fini(&c);
	https_fini(&h);
}

static void
https__connections_over_the_limit_are_refused(void **state)
{
	struct https_rig h;
	struct client c;
	struct conn a, b;
	char got;

	(void)state;
	https_init(&h, 5000000, 1);
	client_init(&c, h.t.dir, NULL);
	assert_true(conn_try(&c, h.t.r.port, &a));
	get(&a);
	if (conn_try(&c, h.t.r.port, &b)) /* resumption is cheap: it may end a turn later */
		assert_true(SSL_read(b.ssl, &got, 1) <= 0);
	conn_close(&b);
	SSL_SESSION_free(c.session);
	c.session = NULL;
	assert_false(conn_try(&c, h.t.r.port, &b)); /* without a signature of ours */
	conn_close(&b);
	conn_close(&a);
	while (admission_count(h.conf.admission) > 0)
		sched_yield();
	assert_true(conn_try(&c, h.t.r.port, &a));
	get(&a);
	conn_close(&a);
	client_fini(&c);
	https_fini(&h);
}

#define HEADER(client)                                                                             \
	{                                                                                          \
		"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02" client                          \
		"\x7f\0\0\1\x12\x34\1\xbb",                                                        \
		    28                                                                             \
	}

/* Of each there may be one connection; the balancer has three. */
static void
https__L99_a_balancer_names_its_clients(void **state)
{
	static const struct str one = HEADER("\7"), other = HEADER("\10");
	struct nets loopback = { 0 };
	struct https_rig h;
	struct conn a, b, c;
	struct client who;

	(void)state;
	assert_int_equal(nets_add(&loopback, "127.0.0.0/8"), ERR_OK);
	https_init_behind(&h, 5000000, 1, &loopback);
	client_init(&who, h.t.dir, NULL);
	who.first = one;
	assert_true(conn_try(&who, h.t.r.port, &a));
	get(&a);
	who.first = other;
	assert_true(conn_try(&who, h.t.r.port, &b));
	get(&b);
	assert_int_equal(admission_count(h.conf.admission), 2);
	assert_false(conn_try(&who, h.t.r.port, &c));
	conn_close(&c);
	who.first = STR("PROXY TCP4 192.0.2.9 127.0.0.1 4660 443\r\n");
	assert_false(conn_try(&who, h.t.r.port, &c));
	conn_close(&c);
	get(&a);
	conn_close(&a);
	conn_close(&b);
	client_fini(&who);
	https_fini(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    https__O220_silent_connections_wait_in_the_backlog_and_keep_nobody_out),
		cmocka_unit_test(https__O220_a_port_may_end_at_the_bound),
		cmocka_unit_test(https__serves_and_knows_the_clients_certificate),
		cmocka_unit_test(https__request_of_a_byte_now_and_then_ends_at_the_deadline),
		cmocka_unit_test(https__silent_and_idle_connections_end_at_their_deadlines),
		cmocka_unit_test(https__L99_a_balancer_names_its_clients),
		cmocka_unit_test(https__connections_over_the_limit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
