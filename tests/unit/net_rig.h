/*
 * A loop in a thread with an echoing listener, for tests whose own thread is a blocking client. What the server
 * sees is recorded under a lock; rig_wait waits for it.
 */
#ifndef NET_RIG_H
#define NET_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net.h"
#include "patience.h"

#define UNUSED     __attribute__((unused))
#define PATIENCE_S 20 /* for what must happen; sanitizers on a busy machine are slow */

struct rig {
	struct loop *loop;
	struct listener *listener;
	struct listen_conf conf;
	uint16_t port;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	/* under lock */
	int nopen, nclose, ndrain;
	enum stream_end why;
	struct tls_peer peer;
	size_t nbytes; /* received */
	struct stream *last;
};

static UNUSED void
rig_on_open(struct stream *s, void *ctx)
{
	struct rig *r = ctx;

	pthread_mutex_lock(&r->lock);
	stream_tls_peer(s, &r->peer);
	r->last = s;
	r->nopen++;
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
}

static UNUSED size_t
rig_on_data(struct stream *s, struct str in, void *ctx)
{
	struct rig *r = ctx;

	stream_write(s, in);
	pthread_mutex_lock(&r->lock);
	r->nbytes += in.n;
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
	return in.n;
}

static UNUSED void
rig_on_close(struct stream *s, enum stream_end why, void *ctx)
{
	struct rig *r = ctx;

	(void)s;
	pthread_mutex_lock(&r->lock);
	r->why = why;
	r->nclose++;
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
}

static UNUSED void
rig_on_drain(struct stream *s, void *ctx)
{
	struct rig *r = ctx;

	(void)s;
	pthread_mutex_lock(&r->lock);
	r->ndrain++;
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
}

static const struct stream_user rig_echo UNUSED = { rig_on_open, rig_on_data, rig_on_close,
	rig_on_drain };

static UNUSED void
rig_init(struct rig *r)
{
	net_init();
	memset(r, 0, sizeof *r);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->moved, NULL);
	r->conf.user = &rig_echo;
	r->conf.ctx = r;
	assert_int_equal(loop_new(0, &r->loop), ERR_OK);
}

static UNUSED void
rig_listen(struct rig *r)
{
	char why[NET_WHY_MAX];
	int fd;

	assert_int_equal(net_bind("127.0.0.1", 0, 1, &fd, &r->port, why), ERR_OK);
	assert_int_equal(listener_new(r->loop, fd, &r->conf, &r->listener), ERR_OK);
	assert_int_equal(loop_start(r->loop), ERR_OK);
}

static UNUSED void
rig_stop(struct rig *r)
{
	loop_stop(r->loop);
	loop_join(r->loop);
}

static UNUSED void
rig_fini(struct rig *r)
{
	rig_stop(r);
	listener_free(r->listener);
	loop_free(r->loop);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->moved);
}

/* Wait until *count, which the lock guards, is at least n; false after PATIENCE_S. */
static UNUSED bool
rig_wait(struct rig *r, const int *count, int n)
{
	struct timespec until;
	bool ok;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&r->lock);
	while (*count < n && rc == 0)
		rc = pthread_cond_timedwait(&r->moved, &r->lock, &until);
	ok = *count >= n;
	pthread_mutex_unlock(&r->lock);
	return ok;
}

/* ---- run a function on the loop and wait for it ---- */

struct rig_call {
	struct msg m;
	void (*fn)(void *);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	bool done;
};

static UNUSED void
rig_call_run(struct msg *m)
{
	struct rig_call *c = (struct rig_call *)m;

	c->fn(c->arg);
	pthread_mutex_lock(&c->lock);
	c->done = true;
	pthread_cond_signal(&c->moved);
	pthread_mutex_unlock(&c->lock);
}

static UNUSED void
rig_on_loop(struct rig *r, void (*fn)(void *), void *arg)
{
	struct rig_call c = { .m.run = rig_call_run, .fn = fn, .arg = arg };

	pthread_mutex_init(&c.lock, NULL);
	pthread_cond_init(&c.moved, NULL);
	loop_post(r->loop, &c.m);
	pthread_mutex_lock(&c.lock);
	patience_await(&c.moved, &c.lock, c.done);
	pthread_mutex_unlock(&c.lock);
	pthread_mutex_destroy(&c.lock);
	pthread_cond_destroy(&c.moved);
}

/* ---- clients ---- */

static UNUSED int
client_connect(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	assert_true(fd >= 0);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	return fd;
}

/* Exactly n bytes. */
static UNUSED bool
client_read(int fd, void *out, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t rc = recv(fd, (char *)out + got, n - got, 0);

		if (rc <= 0)
			return false;
		got += (size_t)rc;
	}
	return true;
}

/* The connection ends (FIN or reset) with no more bytes within the patience. */
static UNUSED bool
client_sees_end(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, 0);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* A directory for one test, under /tmp. */
static UNUSED char *
temp_dir(void)
{
	char *dir = strdup("/tmp/twinhub-net-XXXXXX");

	assert_non_null(mkdtemp(dir));
	return dir;
}

static UNUSED void
temp_dir_drop(char *dir)
{
	char cmd[128];

	snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
	assert_int_equal(system(cmd), 0);
	free(dir);
}

#endif
