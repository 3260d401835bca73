/*
 * Any bytes behind the upgrade to WebSocket, through a real loop and sockets: what comes back is whole frames of a server,
 * and what its owner received comes back in them, as the owner here sends all of it back.
 */
#include "fuzz.h"
#include "ws/ws.h"

#include <arpa/inet.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static const char upgrade[] = "GET /$iothub/websocket HTTP/1.1\r\n"
                              "Host: localhost\r\n"
                              "Connection: Upgrade\r\n"
                              "Upgrade: websocket\r\n"
                              "Sec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Protocol: mqtt\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "\r\n";

static struct loop *loop;
static struct evhttp *http;
static uint16_t port;
static const struct ws_conf conf = { .subprotocol = "mqtt" };

/* The loop's, until the connection has closed. */
static uint64_t nreceived;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static unsigned nclosed;

static void
on_open(struct stream *s, void *ctx)
{
	(void)s, (void)ctx;
}

static size_t
on_data(struct stream *s, struct str in, void *ctx)
{
	(void)ctx;
	require(in.n > 0);
	nreceived += in.n;
	stream_write(s, in);
	return in.n;
}

static void
on_close(struct stream *s, enum stream_end why, void *ctx)
{
	(void)s, (void)why, (void)ctx;
	pthread_mutex_lock(&mu);
	nclosed++;
	pthread_cond_signal(&moved);
	pthread_mutex_unlock(&mu);
}

static const struct stream_user user = { on_open, on_data, on_close, NULL };

static void
on_request(struct evhttp_request *req, void *arg)
{
	struct fault f = { 0 };

	(void)arg;
	require(ws_take(loop, req, &conf, &user, NULL, &f) == ERR_OK);
}

static void
server_make(void)
{
	char why[NET_WHY_MAX];
	int fd;

	net_init();
	require(loop_new(0, &loop) == ERR_OK);
	http = evhttp_new(loop_base(loop));
	evhttp_set_gencb(http, on_request, NULL);
	require(net_bind("127.0.0.1", 0, 1, &fd, &port, why) == ERR_OK);
	require(listen(fd, 10) == 0 && evhttp_accept_socket(http, fd) == 0);
	require(loop_start(loop) == ERR_OK);
}

/* From another address each time: else closed connections use up the ports. */
static int
client_connect(void)
{
	static uint32_t nth;
	struct sockaddr_in from = { .sin_family = AF_INET }, to = from;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	from.sin_addr.s_addr = htonl(0x7f000001u + ++nth % 60000 * 256);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(port);
	require(fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0);
	require(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	return fd;
}

/* Send all, then listen until the end. A server that ends first leaves the rest unsent. */
static void
client_talk(int fd, struct str in, struct buf *out)
{
	char room[4096];
	ssize_t n = 0;

	buf_fini(out);
	while (in.n > 0 && (n = send(fd, in.p, in.n, MSG_NOSIGNAL)) > 0)
		in = str_sub(in, (size_t)n);
	shutdown(fd, SHUT_WR);
	/* The server's next segment may wait for the acknowledgement of its last: not 40 ms. */
	while (setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &(int){ 1 }, sizeof(int)),
	    (n = recv(fd, room, sizeof(room), 0)) > 0)
		buf_put(out, room, (size_t)n);
	close(fd);
}

/* A reset throws away what was on its way, so the last frame may be cut. */
static void
frames_check(struct str in)
{
	uint64_t nechoed = 0;

	while (in.n >= 2) {
		unsigned char opcode = (unsigned char)in.p[0], length = (unsigned char)in.p[1];
		size_t head = length == 126 ? 4 : length == 127 ? 10 : 2, n = length;

		require(opcode == 0x82 || opcode == 0x88 || opcode == 0x8a);
		require(length <= 127); /* not masked */
		require(opcode == 0x82 || length <= 125);
		if (in.n < head)
			break;
		if (head > 2)
			n = 0;
		for (size_t i = 2; i < head; i++)
			n = n << 8 | (unsigned char)in.p[i];
		if (opcode == 0x82)
			nechoed += n;
		if (in.n - head < n)
			break;
		in = str_sub(in, head + n);
		require(opcode != 0x88 || in.n == 0); /* nothing follows a Close */
	}
	require(nechoed <= nreceived);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf all = { 0 }, back = { 0 };
	struct str answer;
	char *end;

	if (loop == NULL)
		server_make();
	nreceived = nclosed = 0;
	buf_cstr(&all, upgrade);
	buf_put(&all, data, size);
	client_talk(client_connect(), buf_view(&all), &back);
	pthread_mutex_lock(&mu);
	while (nclosed == 0)
		pthread_cond_wait(&moved, &mu);
	pthread_mutex_unlock(&mu);
	end = back.n > 0 ? memmem(back.p, back.n, "\r\n\r\n", 4) : NULL;
	if (end != NULL) {
		answer = str_sub(buf_view(&back), (size_t)(end - back.p) + 4);
		require(str_starts(buf_view(&back), STR("HTTP/1.1 101 ")));
		frames_check(answer);
	}
	buf_fini(&all);
	buf_fini(&back);
	return 0;
}
