/* WebSocket: the upgrade, frames in all cuts, what is refused, and how connections end. */
#include <event2/buffer.h>
#include <event2/http.h>

#include "net_tls_rig.h"
#include "ws/ws.h"

#define KEY    "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455, 1.3 */
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

struct ws_rig {
	struct tls_rig t; /* its TLS part only where a test asks for it */
	struct evhttp *http;
	struct https_port *port;
	struct ws_conf conf;
	struct stream_user user;
};

static void
on_request(struct evhttp_request *req, void *arg)
{
	struct ws_rig *w = arg;
	struct fault f = { 0 };

	if (ws_take(w->t.r.loop, req, &w->conf, &w->user, &w->t.r, &f))
		evhttp_send_reply(req, fault_status(f.code), f.text, NULL);
}

static int
bound_fd(struct ws_rig *w)
{
	char why[NET_WHY_MAX];
	int fd;

	assert_int_equal(net_bind("127.0.0.1", 0, 1, &fd, &w->t.r.port, why), ERR_OK);
	return fd;
}

static void
ws_init(struct ws_rig *w)
{
	memset(w, 0, sizeof *w);
	rig_init(&w->t.r);
	w->conf.subprotocol = "mqtt";
	w->user = rig_echo;
	w->http = evhttp_new(loop_base(w->t.r.loop));
	evhttp_set_gencb(w->http, on_request, w);
}

static void
ws_start(struct ws_rig *w)
{
	int fd = bound_fd(w);

	assert_int_equal(listen(fd, 10), 0);
	assert_int_equal(evhttp_accept_socket(w->http, fd), 0);
	assert_int_equal(loop_start(w->t.r.loop), ERR_OK);
}

static void
ws_fini(struct ws_rig *w)
{
	rig_stop(&w->t.r);
	loop_abort_streams(w->t.r.loop);
	evhttp_free(w->http);
	rig_fini(&w->t.r);
}

/* ---- a client ---- */

static void
send_all(int fd, const void *p, size_t n)
{
	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* A frame as a client sends it. first: FIN, reserved bits, opcode. */
static void
put_frame(struct buf *b, unsigned first, struct str payload)
{
	static const char mask[4] = { 0x12, 0x34, 0x56, 0x78 };

	buf_putc(b, (char)first);
	if (payload.n < 126) {
		buf_putc(b, (char)(0x80 | payload.n));
	} else if (payload.n < 65536) {
		buf_putc(b, (char)(0x80 | 126));
		buf_u16be(b, (uint16_t)payload.n);
	} else {
		buf_putc(b, (char)(0x80 | 127));
		for (int shift = 56; shift >= 0; shift -= 8)
			buf_putc(b, (char)((uint64_t)payload.n >> shift));
	}
	buf_put(b, mask, 4);
	for (size_t i = 0; i < payload.n; i++)
		buf_putc(b, (char)(payload.p[i] ^ mask[i % 4]));
}

static void
send_frame(int fd, unsigned first, struct str payload)
{
	struct buf b = { 0 };

	put_frame(&b, first, payload);
	send_all(fd, b.p, b.n);
	buf_fini(&b);
}

/* The next frame from the server, unmasked; false if the connection ended. */
static bool
recv_frame(int fd, unsigned *first, struct buf *payload)
{
	unsigned char h[8];
	uint64_t n;

	if (!client_read(fd, h, 2))
		return false;
	*first = h[0];
	n = h[1];
	assert_true(n <= 127); /* a server does not mask */
	if (n >= 126) {
		size_t more = n == 126 ? 2 : 8;

		assert_true(client_read(fd, h, more));
		n = 0;
		for (size_t i = 0; i < more; i++)
			n = n << 8 | h[i];
	}
	payload->n = 0;
	buf_reserve(payload, n + 1);
	payload->n = n;
	return client_read(fd, payload->p, n);
}

static void
expect_frame(int fd, unsigned first, struct str want)
{
	struct buf got = { 0 };
	unsigned was;

	assert_true(recv_frame(fd, &was, &got));
	assert_int_equal(was, first);
	assert_int_equal(got.n, want.n);
	if (want.n)
		assert_memory_equal(got.p, want.p, want.n);
	buf_fini(&got);
}

/* Binary messages until that many bytes have come. */
static void
expect_bytes(int fd, struct str want)
{
	struct buf got = { 0 }, all = { 0 };
	unsigned first = 0;

	while (all.n < want.n) {
		assert_true(recv_frame(fd, &first, &got));
		assert_int_equal(first, 0x82);
		buf_str(&all, buf_view(&got));
	}
	assert_int_equal(all.n, want.n);
	assert_memory_equal(all.p, want.p, want.n);
	buf_fini(&got);
	buf_fini(&all);
}

static void
expect_close(int fd, unsigned code)
{
	char payload[2] = { (char)(code >> 8), (char)code };

	expect_frame(fd, 0x88, (struct str){ payload, 2 });
}

#define REQUEST_HEAD                                                                               \
	"GET /$iothub/websocket?iothub-no-client-cert=true HTTP/1.1\r\nHost: hub:443\r\n"          \
	"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
#define REQUEST_MQTT                                                                               \
	REQUEST_HEAD "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY                        \
	             "\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"

/* The reply's head, up to the blank line. */
static void
recv_head(int fd, char out[2048])
{
	size_t n = 0;

	do {
		assert_true(n < 2047);
		assert_true(client_read(fd, out + n, 1));
		out[++n] = 0;
	} while (n < 4 || strcmp(out + n - 4, "\r\n\r\n") != 0);
}

static int
ws_connect(struct ws_rig *w)
{
	char head[2048];
	int fd = client_connect(w->t.r.port);

	send_all(fd, REQUEST_MQTT, sizeof REQUEST_MQTT - 1);
	recv_head(fd, head);
	assert_memory_equal(head, "HTTP/1.1 101 ", 13);
	return fd;
}

static void
expect_end(struct ws_rig *w, enum stream_end why)
{
	assert_true(rig_wait(&w->t.r, &w->t.r.nclose, 1));
	assert_int_equal(w->t.r.why, why);
}

/* ---- the upgrade ---- */

/* The reply's head to a request made of these headers. */
static void
try_upgrade(struct ws_rig *w, const char *request, char head[2048])
{
	int fd = client_connect(w->t.r.port);

	send_all(fd, request, strlen(request));
	recv_head(fd, head);
	close(fd);
}

static void
upgrade__answers_with_the_key_and_the_subprotocol_as_spelt(void **state)
{
	static const char *const spelt[] = { "mqtt", "MQTT", "soap, Mqtt ,x",
		"soap\r\nSec-WebSocket-Protocol: mqtt" };
	static const char *const echoed[] = { "mqtt", "MQTT", "Mqtt", "mqtt" };
	char request[1024], head[2048], line[128];
	struct ws_rig w;

	(void)state;
	ws_init(&w);
	ws_start(&w);
	for (int i = 0; i < 4; i++) {
		snprintf(request, sizeof request,
		    REQUEST_HEAD "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY
		                 "\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		    spelt[i]);
		try_upgrade(&w, request, head);
		assert_memory_equal(head, "HTTP/1.1 101 ", 13);
		assert_non_null(strstr(head, "\r\nSec-WebSocket-Accept: " ACCEPT "\r\n"));
		snprintf(line, sizeof line, "\r\nSec-WebSocket-Protocol: %s\r\n", echoed[i]);
		assert_non_null(strstr(head, line));
	}
	try_upgrade(&w,
	    REQUEST_HEAD "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n", head);
	assert_memory_equal(head, "HTTP/1.1 101 ", 13);
	assert_null(strstr(head, "Protocol:"));
	ws_fini(&w);
}

static void
upgrade__refuses_what_it_cannot_serve(void **state)
{
	static const char *const bad[] = {
		REQUEST_HEAD "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
		REQUEST_HEAD "Sec-WebSocket-Key: " KEY "\r\n\r\n",
		REQUEST_HEAD "Sec-WebSocket-Version: 13\r\n\r\n",
		REQUEST_HEAD "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhl\r\n\r\n",
		REQUEST_HEAD "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY
		             "\r\nSec-WebSocket-Protocol: AMQPWSB10\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: " KEY "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: "
		"websocket\r\nContent-Length: 0\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
	};
	struct ws_rig w;
	char head[2048];

	(void)state;
	ws_init(&w);
	ws_start(&w);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		try_upgrade(&w, bad[i], head);
		assert_memory_equal(head, "HTTP/1.1 400 ", 13);
	}
	ws_fini(&w);
	assert_int_equal(w.t.r.nopen, 0);
}

static void
upgrade__frames_sent_with_the_request_are_not_lost(void **state)
{
	struct buf b = { 0 };
	struct ws_rig w;
	char head[2048];
	int fd;

	(void)state;
	ws_init(&w);
	ws_start(&w);
	fd = client_connect(w.t.r.port);
	buf_cstr(&b, REQUEST_MQTT);
	put_frame(&b, 0x82, STR("eager"));
	send_all(fd, b.p, b.n);
	recv_head(fd, head);
	expect_frame(fd, 0x82, STR("eager"));
	buf_fini(&b);
	close(fd);
	expect_end(&w, STREAM_EOF);
	ws_fini(&w);
}

/* ---- frames ---- */

static void
frames__split_byte_by_byte_and_merged(void **state)
{
	struct buf b = { 0 };
	struct ws_rig w;
	int fd;

	(void)state;
	ws_init(&w);
	ws_start(&w);
	fd = ws_connect(&w);
	put_frame(&b, 0x82, STR("one"));
	put_frame(&b, 0x82, STR(""));
	put_frame(&b, 0x82, STR("two"));
	put_frame(&b, 0x82, STR("three"));
	send_all(fd, b.p, b.n);
	expect_bytes(fd, STR("onetwothree"));
	for (size_t i = 0; i < b.n; i++)
		send_all(fd, b.p + i, 1);
	expect_bytes(fd, STR("onetwothree"));
	buf_fini(&b);
	close(fd);
	ws_fini(&w);
}

static void
frames__message_in_parts_with_a_ping_between(void **state)
{
	struct buf got = { 0 }, data = { 0 };
	struct ws_rig w;
	bool pong = false;
	unsigned first;
	int fd;

	(void)state;
	ws_init(&w);
	ws_start(&w);
	fd = ws_connect(&w);
	send_frame(fd, 0x02, STR("par"));
	send_frame(fd, 0x89, STR("are you there"));
	send_frame(fd, 0x00, STR("t"));
	send_frame(fd, 0x8a, STR("unasked pong"));
	send_frame(fd, 0x80, STR("s"));
	send_frame(fd, 0x82, STR("!"));
	while (data.n < 6 || !pong) {
		assert_true(recv_frame(fd, &first, &got));
		if (first == 0x8a) {
			assert_true(str_eq(buf_view(&got), STR("are you there")));
			pong = true;
		} else {
			assert_int_equal(first, 0x82);
			buf_str(&data, buf_view(&got));
		}
	}
	assert_true(str_eq(buf_view(&data), STR("parts!")));
	buf_fini(&got);
	buf_fini(&data);
	close(fd);
	ws_fini(&w);
}

static void
frames__large_messages_of_all_length_forms(void **state)
{
	static const size_t sizes[] = { 1, 125, 126, 4095, 4096, 4097, 65535, 65536, 300000 };
	struct ws_rig w;
	int fd;

	(void)state;
	ws_init(&w);
	ws_start(&w);
	fd = ws_connect(&w);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char *p = xmalloc(sizes[i]);

		for (size_t j = 0; j < sizes[i]; j++)
			p[j] = (char)(j * 31 + i);
		send_frame(fd, 0x82, (struct str){ p, sizes[i] });
		expect_bytes(fd, (struct str){ p, sizes[i] });
		free(p);
	}
	close(fd);
	ws_fini(&w);
}

/* What is sent, and the code of the Close that it earns. */
static void
refused(const void *p, size_t n, unsigned code)
{
	struct ws_rig w;
	int fd;

	ws_init(&w);
	ws_start(&w);
	fd = ws_connect(&w);
	send_all(fd, p, n);
	expect_close(fd, code);
	assert_true(client_sees_end(fd));
	close(fd);
	expect_end(&w, STREAM_PROTOCOL);
	ws_fini(&w);
	assert_int_equal(w.t.r.nbytes, 0);
}

static void
refused_frame(unsigned first, struct str payload, unsigned code)
{
	struct buf b = { 0 };

	put_frame(&b, first, payload);
	refused(b.p, b.n, code);
	buf_fini(&b);
}

static void
frames__unmasked_is_refused(void **state)
{
	(void)state;
	refused("\x82\x02hi", 4, 1002);
}

static void
frames__text_is_refused(void **state)
{
	(void)state;
	refused_frame(0x81, STR("hello"), 1003);
}

static void
frames__broken_framing_is_refused(void **state)
{
	char long_ping[126] = { 0 };

	(void)state;
	refused_frame(0x80, STR("goes on from nothing"), 1002);
	refused_frame(0xc2, STR("reserved bit"), 1002);
	refused_frame(0x83, STR("reserved opcode"), 1002);
	refused_frame(0x8b, STR("reserved control opcode"), 1002);
	refused_frame(0x09, STR("ping in parts"), 1002);
	refused_frame(0x89, (struct str){ long_ping, sizeof long_ping }, 1002);
}

static void
frames__new_message_inside_another_is_refused(void **state)
{
	struct ws_rig w;
	int fd;

	(void)state;
	ws_init(&w);
	ws_start(&w);
	fd = ws_connect(&w);
	send_frame(fd, 0x02, STR("begun"));
	expect_bytes(fd, STR("begun"));
	send_frame(fd, 0x82, STR("another"));
	expect_close(fd, 1002);
	close(fd);
	expect_end(&w, STREAM_PROTOCOL);
	ws_fini(&w);
}

/* ---- ends ---- */

static void
peer_closes(struct str payload, unsigned answer)
{
	struct ws_rig w;
	int fd;

	ws_init(&w);
	ws_start(&w);
	fd = ws_connect(&w);
	send_frame(fd, 0x82, STR("last"));
	send_frame(fd, 0x88, payload);
	expect_frame(fd, 0x82, STR("last"));
	expect_close(fd, answer);
	assert_true(client_sees_end(fd)); /* the server ends the connection: RFC 6455, 7.1.1 */
	close(fd);
	expect_end(&w, STREAM_EOF);
	ws_fini(&w);
}

static void
close__is_answered_and_ends(void **state)
{
	(void)state;
	peer_closes(STR("\x03\xe8"), 1000);
	peer_closes(STR("\x03\xe9going away"), 1001);
	peer_closes(STR(""), 1000);
	peer_closes(STR("\x03"), 1002);
	peer_closes(STR("\x03\xed"), 1002); /* 1005 must not be sent */
}

#define BIG (6 * 1024 * 1024) /* more than the kernel's buffers take */

static void
write_big(void *arg)
{
	static char big[BIG];
	struct rig *r = arg;

	stream_write(r->last, (struct str){ big, sizeof big });
}

static void
close__is_answered_behind_output_that_waits(void **state)
{
	struct buf got = { 0 };
	struct ws_rig w;
	unsigned first;
	int fd;

	(void)state;
	ws_init(&w);
	w.conf.limits.max_out_bytes = 2 * BIG;
	ws_start(&w);
	fd = ws_connect(&w);
	assert_true(rig_wait(&w.t.r, &w.t.r.nopen, 1));
	rig_on_loop(&w.t.r, write_big, &w.t.r);
	send_frame(fd, 0x88, STR("\x03\xe8"));
	assert_true(recv_frame(fd, &first, &got));
	assert_int_equal(first, 0x82);
	assert_int_equal(got.n, BIG);
	expect_close(fd, 1000);
	buf_fini(&got);
	close(fd);
	expect_end(&w, STREAM_EOF);
	ws_fini(&w);
}

static void
close_last(void *arg)
{
	struct rig *r = arg;

	stream_write(r->last, STR("goodbye"));
	stream_close(r->last);
}

static void
close__of_the_owner_sends_all_and_waits_for_the_answer(void **state)
{
	struct ws_rig w;
	int fd;

	(void)state;
	ws_init(&w);
	ws_start(&w);
	fd = ws_connect(&w);
	assert_true(rig_wait(&w.t.r, &w.t.r.nopen, 1));
	send_frame(fd, 0x02, STR("half a mes"));
	expect_bytes(fd, STR("half a mes"));
	rig_on_loop(&w.t.r, close_last, &w.t.r);
	expect_frame(fd, 0x82, STR("goodbye"));
	expect_close(fd, 1000);
	send_frame(fd, 0x80, STR("sage")); /* was under way */
	assert_int_equal(w.t.r.nclose, 0);
	send_frame(fd, 0x88, STR("\x03\xe8"));
	assert_true(client_sees_end(fd));
	close(fd);
	expect_end(&w, STREAM_CLOSED);
	assert_int_equal(w.t.r.nbytes, 10);
	ws_fini(&w);
}

static void
close__of_the_owner_ends_in_time_without_an_answer(void **state)
{
	int64_t before;
	struct ws_rig w;
	int fd;

	(void)state;
	ws_init(&w);
	ws_start(&w);
	fd = ws_connect(&w);
	assert_true(rig_wait(&w.t.r, &w.t.r.nopen, 1));
	before = clock_mono_us();
	rig_on_loop(&w.t.r, close_last, &w.t.r);
	expect_end(&w, STREAM_CLOSED);
	assert_true(clock_mono_us() - before >= STREAM_LINGER_US);
	close(fd);
	ws_fini(&w);
}

static void
stream__deadline_ends_a_silent_device(void **state)
{
	struct ws_rig w;
	int fd;

	(void)state;
	ws_init(&w);
	w.conf.due_us = clock_mono_us() + 150000;
	ws_start(&w);
	fd = ws_connect(&w);
	assert_true(client_sees_end(fd));
	close(fd);
	expect_end(&w, STREAM_TIMEOUT);
	ws_fini(&w);
}

static void
stream__outlives_the_timeout_of_evhttp(void **state)
{
	struct timespec longer = { 1, 500000000 };
	struct ws_rig w;
	int fd;

	(void)state;
	ws_init(&w);
	evhttp_set_timeout(w.http, 1);
	ws_start(&w);
	fd = ws_connect(&w);
	nanosleep(&longer, NULL);
	send_frame(fd, 0x82, STR("still here"));
	expect_bytes(fd, STR("still here"));
	close(fd);
	ws_fini(&w);
}

static void
flood_last(void *arg)
{
	static char part[64 * 1024];
	struct rig *r = arg;

	for (int i = 0; i < 1024; i++)
		stream_write(r->last, (struct str){ part, sizeof part });
}

static void
stream__client_that_never_reads_hits_the_bound(void **state)
{
	struct ws_rig w;
	int fd;

	(void)state;
	ws_init(&w);
	ws_start(&w);
	fd = ws_connect(&w);
	assert_true(rig_wait(&w.t.r, &w.t.r.nopen, 1));
	rig_on_loop(&w.t.r, flood_last, &w.t.r);
	expect_end(&w, STREAM_OVERFLOW);
	close(fd);
	ws_fini(&w);
}

/* Pongs are not the owner's output, but bounded with it. */
static void
stream__client_that_only_pings_hits_the_bound(void **state)
{
	char payload[125] = { 0 };
	struct buf b = { 0 };
	struct ws_rig w;
	int fd;

	(void)state;
	ws_init(&w);
	w.conf.limits.max_out_bytes = 10000;
	ws_start(&w);
	fd = ws_connect(&w);
	for (int i = 0; i < 1000; i++)
		put_frame(&b, 0x89, (struct str){ payload, sizeof payload });
	for (int i = 0; i < 1000; i++)
		if (send(fd, b.p, b.n, MSG_NOSIGNAL) <= 0)
			break;
	expect_end(&w, STREAM_OVERFLOW);
	buf_fini(&b);
	close(fd);
	ws_fini(&w);
}

static size_t
on_data_pause(struct stream *s, struct str in, void *ctx)
{
	rig_on_data(s, (struct str){ in.p, 1 }, ctx);
	stream_pause(s);
	return 1;
}

static void
resume_last(void *arg)
{
	struct rig *r = arg;

	stream_resume(r->last);
}

static void
stream__paused_input_waits_and_comes_after_resume(void **state)
{
	struct ws_rig w;
	int fd;

	(void)state;
	ws_init(&w);
	w.user.on_data = on_data_pause;
	ws_start(&w);
	fd = ws_connect(&w);
	send_frame(fd, 0x82, STR("abc"));
	send_frame(fd, 0x82, STR("de"));
	for (int i = 0; i < 5; i++) {
		expect_bytes(fd, (struct str){ "abcde" + i, 1 });
		rig_on_loop(&w.t.r, resume_last, &w.t.r);
	}
	close(fd);
	ws_fini(&w);
}

static void
stream__ends_when_evhttp_goes_first(void **state)
{
	struct ws_rig w;
	int fd;

	(void)state;
	ws_init(&w);
	ws_start(&w);
	fd = ws_connect(&w);
	assert_true(rig_wait(&w.t.r, &w.t.r.nopen, 1));
	rig_stop(&w.t.r);
	evhttp_free(w.http);
	rig_fini(&w.t.r);
	assert_int_equal(w.t.r.nclose, 1);
	assert_int_equal(w.t.r.why, STREAM_SHUTDOWN);
	close(fd);
}

/* ---- over TLS ---- */

static void
stream__over_tls_knows_the_clients_certificate(void **state)
{
	struct made_cert self = make_cert("dev-6", false, NULL);
	struct https_conf conf = {
		.deadline_us = 300000, .max_head_bytes = 16384, .max_body_bytes = 65536
	};
	char head[2048], got[7];
	struct buf b = { 0 };
	struct ws_rig w;
	struct client c;
	struct conn n;
	size_t have = 0, k;

	(void)state;
	ws_init(&w);
	tls_rig_certs(&w.t);
	conf.tls = w.t.tls;
	conf.admission = admission_new(10, 0);
	assert_int_equal(https_port_new(w.t.r.loop, w.http, bound_fd(&w), &conf, &w.port), ERR_OK);
	assert_int_equal(loop_start(w.t.r.loop), ERR_OK);
	client_init(&c, w.t.dir, &self);
	assert_true(conn_try(&c, w.t.r.port, &n));
	assert_int_equal(
	    SSL_write(n.ssl, REQUEST_MQTT, sizeof REQUEST_MQTT - 1), sizeof REQUEST_MQTT - 1);
	do {
		assert_int_equal(SSL_read_ex(n.ssl, head + have, 1, &k), 1);
		head[++have] = 0;
	} while (!strstr(head, "\r\n\r\n"));
	assert_memory_equal(head, "HTTP/1.1 101 ", 13);
	nanosleep(
	    &(struct timespec){ 0, 400000000 }, NULL); /* beyond the deadline of the HTTPS port */
	put_frame(&b, 0x82, STR("hello"));
	assert_int_equal(SSL_write(n.ssl, b.p, (int)b.n), (int)b.n);
	for (have = 0; have < 7; have += k)
		assert_int_equal(SSL_read_ex(n.ssl, got + have, 7 - have, &k), 1);
	assert_memory_equal(got, "\x82\x05hello", 7);
	assert_string_equal(w.t.r.peer.cn, "dev-6");
	assert_int_equal(admission_count(conf.admission), 1);
	conn_close(&n);
	expect_end(&w, STREAM_EOF);
	client_fini(&c);
	ws_fini(&w);
	https_port_free(w.port);
	assert_int_equal(admission_count(conf.admission), 0);
	admission_free(conf.admission);
	tls_free(w.t.tls);
	temp_dir_drop(w.t.dir);
	buf_fini(&b);
	made_cert_fini(&self);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(upgrade__answers_with_the_key_and_the_subprotocol_as_spelt),
		cmocka_unit_test(upgrade__refuses_what_it_cannot_serve),
		cmocka_unit_test(upgrade__frames_sent_with_the_request_are_not_lost),
		cmocka_unit_test(frames__split_byte_by_byte_and_merged),
		cmocka_unit_test(frames__message_in_parts_with_a_ping_between),
		cmocka_unit_test(frames__large_messages_of_all_length_forms),
		cmocka_unit_test(frames__unmasked_is_refused),
		cmocka_unit_test(frames__text_is_refused),
		cmocka_unit_test(frames__broken_framing_is_refused),
		cmocka_unit_test(frames__new_message_inside_another_is_refused),
		cmocka_unit_test(close__is_answered_and_ends),
		cmocka_unit_test(close__is_answered_behind_output_that_waits),
		cmocka_unit_test(close__of_the_owner_sends_all_and_waits_for_the_answer),
		cmocka_unit_test(close__of_the_owner_ends_in_time_without_an_answer),
		cmocka_unit_test(stream__deadline_ends_a_silent_device),
		cmocka_unit_test(stream__outlives_the_timeout_of_evhttp),
		cmocka_unit_test(stream__client_that_never_reads_hits_the_bound),
		cmocka_unit_test(stream__client_that_only_pings_hits_the_bound),
		cmocka_unit_test(stream__paused_input_waits_and_comes_after_resume),
		cmocka_unit_test(stream__ends_when_evhttp_goes_first),
		cmocka_unit_test(stream__over_tls_knows_the_clients_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
