/* Binding, counting, and running out of descriptors. */
#include <poll.h>
#include <sys/resource.h>

#include "net_rig.h"

#include "net/priv.h"
#include "os/clock.h"

static void
bind__taken_port_is_told(void **state)
{
	char why[NET_WHY_MAX] = "", number[8];
	uint16_t port, again;
	struct rig r;
	int fd;

	(void)state;
	rig_init(&r);
	rig_listen(&r);
	assert_int_equal(net_bind("127.0.0.1", r.port, 1, &fd, &again, why), ERR_EXISTS);
	snprintf(number, sizeof number, "%u", r.port);
	assert_non_null(strstr(why, number));
	assert_non_null(strstr(why, "taken"));
	rig_fini(&r);
	assert_int_equal(net_bind("127.0.0.1", r.port, 1, &fd, &port, why), ERR_OK);
	close(fd);
}

static void
bind__bad_addresses_are_told(void **state)
{
	static const char *const bad[] = { "203.0.113.77", "300.1.1.1", "no-such-host.invalid",
		"" };
	char why[NET_WHY_MAX];
	uint16_t port;
	int fd;

	(void)state;
	net_init();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		why[0] = 0;
		assert_int_equal(net_bind(bad[i], 0, 1, &fd, &port, why), ERR_ARG);
		assert_non_null(strstr(why, bad[i]));
	}
}

/* Root may bind anywhere: then there is nothing to see here. */
static void
bind__port_without_right_is_told(void **state)
{
	char why[NET_WHY_MAX] = "";
	uint16_t port;
	int fd;
	enum err e = net_bind("127.0.0.1", 1, 1, &fd, &port, why);

	(void)state;
	if (e == ERR_OK) {
		close(fd);
		skip();
	}
	assert_int_equal(e, ERR_DENIED);
	assert_non_null(strstr(why, "right"));
}

static void
bind__several_loops_share_a_port(void **state)
{
	char why[NET_WHY_MAX];
	struct rig a, b;
	int fds[2], c[32];

	(void)state;
	rig_init(&a);
	rig_init(&b);
	assert_int_equal(net_bind("127.0.0.1", 0, 2, fds, &a.port, why), ERR_OK);
	assert_int_equal(listener_new(a.loop, fds[0], &a.conf, &a.listener), ERR_OK);
	assert_int_equal(listener_new(b.loop, fds[1], &b.conf, &b.listener), ERR_OK);
	assert_int_equal(loop_start(a.loop), ERR_OK);
	assert_int_equal(loop_start(b.loop), ERR_OK);
	for (int i = 0; i < 32; i++) {
		char got;

		c[i] = client_connect(a.port);
		assert_int_equal(send(c[i], "x", 1, 0), 1);
		assert_true(client_read(c[i], &got, 1));
	}
	rig_stop(&a);
	rig_stop(&b);
	assert_int_equal(a.nopen + b.nopen, 32);
	assert_true(a.nopen > 0 && b.nopen > 0); /* by chance false once in 2^31 */
	rig_fini(&a);
	rig_fini(&b);
	for (int i = 0; i < 32; i++)
		close(c[i]);
}

/* What a socket takes that nobody reads from. */
static size_t
taken(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	static char bytes[64 << 10];
	size_t sum = 0;

	while (poll(&p, 1, 500) > 0 && sum < (16u << 20)) {
		ssize_t n = send(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

		sum += n > 0 ? (size_t)n : 0;
	}
	return sum;
}

static void
bind__the_kernel_holds_little_of_what_a_peer_does_not_read(void **state)
{
	char why[NET_WHY_MAX];
	uint16_t port;
	int fd, client, server;

	(void)state;
	assert_int_equal(net_bind("127.0.0.1", 0, 1, &fd, &port, why), ERR_OK);
	assert_int_equal(listen(fd, 1), 0);
	client = client_connect(port);
	do
		server = accept(fd, NULL, NULL);
	while (server < 0 && errno == EAGAIN);
	assert_true(server >= 0);
	assert_in_range(taken(server), 1, 1u << 20);
	close(server);
	close(client);
	close(fd);
}

/* ---- handshakes under way ---- */

#define CROWD 300

/* Turns of the loop, in this thread, until so many connections were accepted; false: they are not within that time. */
static bool
accepts(struct rig *r, uint64_t n, int64_t for_us)
{
	int64_t until_us = clock_mono_us() + for_us;

	do
		event_base_loop(r->loop->base, EVLOOP_NONBLOCK);
	while (listener_stats(r->listener).naccept < n && clock_mono_us() < until_us);
	return listener_stats(r->listener).naccept == n;
}

/* Connections to a listener that waits for a balancer's header first: a handshake like TLS's, without its cost. */
static void
crowd_init(struct rig *r, struct nets *loopback, int client[CROWD])
{
	char why[NET_WHY_MAX];
	int fd;

	rig_init(r);
	assert_int_equal(nets_add(loopback, "127.0.0.0/8"), ERR_OK);
	r->conf.proxies = loopback;
	assert_int_equal(net_bind("127.0.0.1", 0, 1, &fd, &r->port, why), ERR_OK);
	assert_int_equal(listener_new(r->loop, fd, &r->conf, &r->listener), ERR_OK);
	for (int i = 0; i < CROWD; i++)
		client[i] = client_connect(r->port);
}

static void
crowd_fini(struct rig *r, const int client[CROWD])
{
	for (int i = 0; i < CROWD; i++)
		close(client[i]);
	rig_fini(r);
}

static void
handshakes__O220_at_the_bound_the_backlog_waits_until_one_is_done(void **state)
{
	/* of version 2: the balancer itself */
	static const char header[16] = "\r\n\r\n\0\r\nQUIT\n\x20";
	struct nets loopback = { 0 };
	int client[CROWD];
	struct rig r;

	(void)state;
	crowd_init(&r, &loopback, client);
	assert_true(accepts(&r, HANDSHAKES_MAX, PATIENCE_S * 1000000));
	for (int i = 0; i < 10; i++)
		event_base_loop(r.loop->base, EVLOOP_NONBLOCK);
	assert_int_equal(listener_stats(r.listener).naccept, HANDSHAKES_MAX);
	/* the oldest of all has the least time left to wait */
	assert_int_equal(send(client[0], header, sizeof header, 0), sizeof header);
	assert_true(accepts(&r, HANDSHAKES_MAX + 1, HANDSHAKE_SLOW_US / 2));
	assert_int_equal(r.nopen, 1);
	crowd_fini(&r, client);
}

static void
handshakes__O220_who_leaves_makes_room(void **state)
{
	struct nets loopback = { 0 };
	int client[CROWD];
	struct rig r;

	(void)state;
	crowd_init(&r, &loopback, client);
	assert_true(accepts(&r, HANDSHAKES_MAX, PATIENCE_S * 1000000));
	assert_int_equal(shutdown(client[3], SHUT_RDWR), 0);
	assert_true(accepts(&r, HANDSHAKES_MAX + 1, HANDSHAKE_SLOW_US / 2));
	crowd_fini(&r, client);
}

static void
handshakes__O220_the_silent_keep_nobody_out_for_long(void **state)
{
	struct nets loopback = { 0 };
	int client[CROWD];
	int64_t begun_us;
	struct rig r;

	(void)state;
	crowd_init(&r, &loopback, client);
	begun_us = clock_mono_us();
	assert_true(accepts(&r, HANDSHAKES_MAX, PATIENCE_S * 1000000));
	while (listener_stats(r.listener).naccept < CROWD &&
	    clock_mono_us() - begun_us < PATIENCE_S * INT64_C(1000000))
		event_base_loop(r.loop->base, EVLOOP_ONCE);
	assert_int_equal(listener_stats(r.listener).naccept, CROWD);
	assert_true(clock_mono_us() - begun_us >= HANDSHAKE_SLOW_US);
	crowd_fini(&r, client);
}

static void
wait_slow(struct rig *r)
{
	int64_t until_us = clock_mono_us() + HANDSHAKE_SLOW_US + 2 * LOOP_TICK_US;

	while (clock_mono_us() < until_us)
		event_base_loop(r->loop->base, EVLOOP_ONCE);
}

/* Its bytes are here: what is slow is this loop. */
static void
handshakes__O220_who_waits_for_the_loop_goes_on_counting(void **state)
{
	struct handshake late = { 0 }, silent = { 0 };
	int a[2], b[2];
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
	assert_int_equal(write(a[0], "x", 1), 1);
	handshake_begin(r.loop, &late, a[1]);
	handshake_begin(r.loop, &silent, b[1]);
	wait_slow(&r);
	assert_int_equal(r.loop->handshakes.n, 1);
	assert_ptr_equal(r.loop->handshakes.first, &late);
	handshake_end(r.loop, &silent); /* which counts no more: nothing */
	assert_int_equal(r.loop->handshakes.n, 1);
	handshake_end(r.loop, &late);
	handshake_end(r.loop, &late);
	assert_int_equal(r.loop->handshakes.n, 0);
	for (int i = 0; i < 2; i++)
		close(a[i]), close(b[i]);
	rig_fini(&r);
}

static struct net_addr
addr(const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return net_addr_of((struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return net_addr_of((struct sockaddr *)&v6);
}

static void
admission__counts_addresses_and_total(void **state)
{
	struct admission *adm = admission_new(4, 2);
	struct net_addr a = addr("10.0.0.1"), b = addr("10.0.0.2"), c = addr("2001:db8:0:1::1"),
	                d = addr("2001:db8:0:1:ffff::9"), e = addr("2001:db8:0:2::1");

	(void)state;
	assert_int_equal(admission_enter(adm, &a), REASON_NONE);
	assert_int_equal(admission_enter(adm, &a), REASON_NONE);
	assert_int_equal(admission_enter(adm, &a), REASON_TOO_MANY_OF_ADDRESS);
	assert_int_equal(admission_enter(adm, &b), REASON_NONE);
	admission_leave(adm, &a);
	assert_int_equal(admission_enter(adm, &c), REASON_NONE);
	assert_int_equal(admission_enter(adm, &d), REASON_NONE); /* of the same /64 */
	assert_int_equal(admission_count(adm), 4);
	assert_int_equal(admission_enter(adm, &e), REASON_TOO_MANY_CONNECTIONS); /* in all */
	admission_leave(adm, &a);
	assert_int_equal(admission_enter(adm, &d), REASON_TOO_MANY_OF_ADDRESS); /* of the /64 */
	assert_int_equal(admission_enter(adm, &e), REASON_NONE);
	admission_free(adm);
}

static void
admission__places_come_back(void **state)
{
	struct admission *adm = admission_new(0, 1);

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		struct net_addr a = addr("10.0.0.0");

		memcpy(a.ip + 12, &i, 4);
		assert_int_equal(admission_enter(adm, &a), REASON_NONE);
		assert_int_equal(admission_enter(adm, &a), REASON_TOO_MANY_OF_ADDRESS);
		admission_leave(adm, &a);
	}
	assert_int_equal(admission_count(adm), 0);
	admission_free(adm);
}

static void
addr__text_of_both_families(void **state)
{
	char text[NET_ADDR_TEXT_MAX];
	struct net_addr a = addr("127.0.0.1"), b = addr("::1");

	(void)state;
	a.port = 8883;
	b.port = 443;
	assert_string_equal(net_addr_text(&a, text), "127.0.0.1:8883");
	assert_string_equal(net_addr_text(&b, text), "[::1]:443");
}

static void
listener__connections_over_the_limit_are_refused_until_one_leaves(void **state)
{
	struct rig r;
	char got;
	int a, b, c;

	(void)state;
	rig_init(&r);
	r.conf.admission = admission_new(0, 2);
	rig_listen(&r);
	a = client_connect(r.port);
	b = client_connect(r.port);
	assert_true(rig_wait(&r, &r.nopen, 2));
	c = client_connect(r.port);
	assert_true(client_sees_end(c));
	close(c);
	close(a);
	assert_true(rig_wait(&r, &r.nclose, 1));
	while (admission_count(r.conf.admission) > 1) /* left right after on_close */
		sched_yield();
	c = client_connect(r.port);
	assert_int_equal(send(c, "x", 1, 0), 1);
	assert_true(client_read(c, &got, 1));
	close(b);
	close(c);
	rig_stop(&r);
	assert_int_equal(listener_stats(r.listener).nrefused, 1);
	rig_fini(&r);
	assert_int_equal(admission_count(r.conf.admission), 0);
	admission_free(r.conf.admission);
}

struct hold {
	struct rig *rig;
	pthread_mutex_t released;
	int nheld; /* under the rig's lock */
};

static void
hold_loop(void *arg)
{
	struct hold *h = arg;

	pthread_mutex_lock(&h->rig->lock);
	h->nheld++;
	pthread_cond_broadcast(&h->rig->moved);
	pthread_mutex_unlock(&h->rig->lock);
	pthread_mutex_lock(&h->released);
	pthread_mutex_unlock(&h->released);
}

static void *
hold_main(void *arg)
{
	struct hold *h = arg;

	rig_on_loop(h->rig, hold_loop, h);
	return NULL;
}

static void
connect_to(int fd, uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval patience = { .tv_sec = PATIENCE_S };

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
}

/* With the limit of descriptors reached, one connection is dropped, then the listener rests instead of spinning, and
 * later ones are served. The loop is held while two connections and the limit are made. */
static void
listener__recovers_from_running_out_of_descriptors(void **state)
{
	struct rlimit was, low;
	struct rig r;
	struct hold hold = { .rig = &r, .released = PTHREAD_MUTEX_INITIALIZER };
	int shed[2], later;
	int64_t released_us;
	pthread_t holder;
	char got;

	(void)state;
	rig_init(&r);
	rig_listen(&r);
	shed[0] = socket(AF_INET, SOCK_STREAM, 0);
	shed[1] = socket(AF_INET, SOCK_STREAM, 0);
	getrlimit(RLIMIT_NOFILE, &was);
	low = was;
	low.rlim_cur = (rlim_t)shed[1] + 1; /* whoever wants one more gets EMFILE */
	pthread_mutex_lock(&hold.released);
	pthread_create(&holder, NULL, hold_main, &hold);
	assert_true(rig_wait(&r, &hold.nheld, 1));
	connect_to(shed[0], r.port);
	connect_to(shed[1], r.port);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	released_us = clock_mono_us();
	pthread_mutex_unlock(&hold.released);
	assert_true(client_sees_end(shed[0]));
	assert_true(client_sees_end(shed[1]));
	assert_true(clock_mono_us() - released_us >= LISTEN_REST_US);
	pthread_join(holder, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	close(shed[0]);
	close(shed[1]);
	later = client_connect(r.port);
	assert_int_equal(send(later, "x", 1, 0), 1);
	assert_true(client_read(later, &got, 1));
	close(later);
	rig_stop(&r);
	assert_int_equal(listener_stats(r.listener).nemfile, 2);
	rig_fini(&r);
}

static void
net__raises_the_soft_limit_to_the_hard_one(void **state)
{
	struct rlimit was, low;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &was);
	low = was;
	low.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(net_raise_nofile(), was.rlim_max);
	setrlimit(RLIMIT_NOFILE, &was);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bind__taken_port_is_told),
		cmocka_unit_test(bind__bad_addresses_are_told),
		cmocka_unit_test(bind__port_without_right_is_told),
		cmocka_unit_test(bind__the_kernel_holds_little_of_what_a_peer_does_not_read),
		cmocka_unit_test(bind__several_loops_share_a_port),
		cmocka_unit_test(handshakes__O220_at_the_bound_the_backlog_waits_until_one_is_done),
		cmocka_unit_test(handshakes__O220_who_leaves_makes_room),
		cmocka_unit_test(handshakes__O220_the_silent_keep_nobody_out_for_long),
		cmocka_unit_test(handshakes__O220_who_waits_for_the_loop_goes_on_counting),
		cmocka_unit_test(admission__counts_addresses_and_total),
		cmocka_unit_test(admission__places_come_back),
		cmocka_unit_test(addr__text_of_both_families),
		cmocka_unit_test(listener__connections_over_the_limit_are_refused_until_one_leaves),
		cmocka_unit_test(listener__recovers_from_running_out_of_descriptors),
		cmocka_unit_test(net__raises_the_soft_limit_to_the_hard_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
