/* Streams over plain TCP: buffers, bounds, back-pressure, ends. What TLS adds is in net_tls.c. */
#include "net_rig.h"
#include "os/clock.h"

#define BIG (6 * 1024 * 1024) /* more than the kernel's buffers take */

/* ---- owners ---- */

/* Frames of four bytes, echoed one at a time: input must be kept until it is whole. */
static size_t
on_data_fours(struct stream *s, struct str in, void *ctx)
{
	size_t used = 0;

	(void)ctx;
	for (; in.n - used >= 4; used += 4)
		stream_write(s, (struct str){ in.p + used, 4 });
	return used;
}

static size_t
on_data_keep(struct stream *s, struct str in, void *ctx)
{
	(void)s;
	(void)in;
	(void)ctx;
	return 0;
}

static size_t
on_data_close(struct stream *s, struct str in, void *ctx)
{
	static char big[BIG];

	(void)ctx;
	memset(big, 'b', sizeof big);
	stream_write(s, (struct str){ big, sizeof big });
	stream_close(s);
	stream_write(s, STR("never sent"));
	return in.n / 2;
}

static size_t
on_data_abort(struct stream *s, struct str in, void *ctx)
{
	(void)ctx;
	stream_abort(s);
	return in.n;
}

/* Sends ten times what the peer may leave unread. */
static size_t
on_data_flood(struct stream *s, struct str in, void *ctx)
{
	static char part[64 * 1024];

	(void)ctx;
	for (int i = 0; i < 80 * 1024 * 1024 / (int)sizeof part; i++) {
		assert_true(stream_pending_output(s) <= STREAM_OUT_MAX);
		stream_write(s, (struct str){ part, sizeof part });
	}
	return in.n;
}

/* Says ten times what may wait for the peer, all in one turn, and less than the kernel holds for it. */
static size_t
on_data_burst(struct stream *s, struct str in, void *ctx)
{
	static char part[1000];

	(void)ctx;
	for (int i = 0; i < 40; i++) {
		memset(part, 'a' + i % 26, sizeof part);
		stream_write(s, (struct str){ part, sizeof part });
	}
	return in.n;
}

static size_t
on_data_pause(struct stream *s, struct str in, void *ctx)
{
	struct rig *r = ctx;
	size_t half = (in.n + 1) / 2;

	pthread_mutex_lock(&r->lock);
	r->nbytes += half;
	r->ndrain++; /* counts the calls here */
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
	stream_write(s, (struct str){ in.p, half });
	stream_pause(s);
	return half;
}

static void
rig_with(
    struct rig *r, size_t (*on_data)(struct stream *, struct str, void *), struct stream_user *user)
{
	rig_init(r);
	*user = rig_echo;
	user->on_data = on_data;
	r->conf.user = user;
}

/* ---- tests ---- */

static void
stream__echoes_and_tells_the_peers_end(void **state)
{
	struct rig r;
	char got[5];
	int fd;

	(void)state;
	rig_init(&r);
	rig_listen(&r);
	fd = client_connect(r.port);
	assert_int_equal(send(fd, "hello", 5, 0), 5);
	assert_true(client_read(fd, got, 5));
	assert_memory_equal(got, "hello", 5);
	close(fd);
	assert_true(rig_wait(&r, &r.nclose, 1));
	assert_int_equal(r.why, STREAM_EOF);
	assert_false(r.peer.has_cert);
	rig_fini(&r);
	assert_int_equal(r.nclose, 1);
}

static void
stream__byte_by_byte_sender_is_understood(void **state)
{
	struct stream_user user;
	struct rig r;
	char got[4];
	int fd;

	(void)state;
	rig_with(&r, on_data_fours, &user);
	rig_listen(&r);
	fd = client_connect(r.port);
	for (int i = 0; i < 10; i++) {
		for (int j = 0; j < 4; j++)
			assert_int_equal(send(fd, &"abcd"[j], 1, 0), 1);
		assert_true(client_read(fd, got, 4));
		assert_memory_equal(got, "abcd", 4);
	}
	close(fd);
	rig_fini(&r);
}

static void
stream__unconsumed_input_has_a_bound(void **state)
{
	struct stream_user user;
	struct rig r;
	char part[1000] = { 0 };
	int fd;

	(void)state;
	rig_with(&r, on_data_keep, &user);
	r.conf.limits.max_in_bytes = 4000;
	rig_listen(&r);
	fd = client_connect(r.port);
	for (int i = 0; i < 5; i++)
		(void)!send(fd, part, sizeof part, MSG_NOSIGNAL);
	assert_true(rig_wait(&r, &r.nclose, 1));
	assert_int_equal(r.why, STREAM_OVERFLOW);
	close(fd);
	rig_fini(&r);
}

static void
stream__close_sends_all_even_with_unread_input(void **state)
{
	struct stream_user user;
	struct rig r;
	char *got = xmalloc(BIG);
	int fd;

	(void)state;
	rig_with(&r, on_data_close, &user);
	r.conf.limits.max_out_bytes = 2 * BIG;
	rig_listen(&r);
	fd = client_connect(r.port);
	assert_int_equal(send(fd, "some input", 10, 0), 10);
	assert_true(rig_wait(&r, &r.nopen, 1));
	assert_int_equal(send(fd, "and more, which nobody reads", 28, MSG_NOSIGNAL), 28);
	assert_true(client_read(fd, got, BIG));
	assert_int_equal(got[BIG - 1], 'b');
	assert_int_equal(recv(fd, got, 1, 0), 0); /* FIN, not a reset */
	close(fd);
	assert_true(rig_wait(&r, &r.nclose, 1));
	assert_int_equal(r.why, STREAM_CLOSED);
	rig_fini(&r);
	free(got);
}

static void
stream__close_ends_in_time_for_a_peer_that_stays(void **state)
{
	struct stream_user user;
	struct rig r;
	int64_t before = clock_mono_us();
	int fd;

	(void)state;
	rig_with(&r, on_data_close, &user);
	r.conf.limits.max_out_bytes = 2 * BIG;
	rig_listen(&r);
	fd = client_connect(r.port);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_true(rig_wait(&r, &r.nclose, 1)); /* nothing read, no FIN from here */
	assert_true(clock_mono_us() - before >= STREAM_LINGER_US);
	assert_int_equal(r.why, STREAM_CLOSED);
	close(fd);
	rig_fini(&r);
}

static void
stream__abort_drops_at_once(void **state)
{
	struct stream_user user;
	struct rig r;
	int fd;

	(void)state;
	rig_with(&r, on_data_abort, &user);
	rig_listen(&r);
	fd = client_connect(r.port);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_true(client_sees_end(fd));
	assert_true(rig_wait(&r, &r.nclose, 1));
	assert_int_equal(r.why, STREAM_CLOSED);
	close(fd);
	rig_fini(&r);
}

static void
stream__client_that_never_reads_hits_the_bound(void **state)
{
	struct stream_user user;
	struct rig r;
	int fd;

	(void)state;
	rig_with(&r, on_data_flood, &user);
	rig_listen(&r);
	fd = client_connect(r.port);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_true(rig_wait(&r, &r.nclose, 1));
	assert_int_equal(r.why, STREAM_OVERFLOW);
	close(fd);
	rig_fini(&r);
}

static void
stream__burst_of_one_turn_does_not_end_a_peer_that_reads(void **state)
{
	struct stream_user user;
	char got[40 * 1000];
	struct rig r;
	int fd;

	(void)state;
	rig_with(&r, on_data_burst, &user);
	r.conf.limits.max_out_bytes = 4000;
	rig_listen(&r);
	fd = client_connect(r.port);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_true(client_read(fd, got, sizeof got));
	for (size_t i = 0; i < sizeof got; i++)
		assert_int_equal(got[i], 'a' + i / 1000 % 26);
	close(fd);
	assert_true(rig_wait(&r, &r.nclose, 1));
	assert_int_equal(r.why, STREAM_EOF);
	rig_fini(&r);
}

static void
stream__slow_reader_gets_everything_in_order(void **state)
{
	struct rig r;
	size_t total = 4 * 1024 * 1024, sent = 0, got = 0;
	uint32_t *out = xmalloc(65536), *in = xmalloc(65536), next_out = 0, next_in = 0;
	int fd;

	(void)state;
	rig_init(&r);
	rig_listen(&r);
	fd = client_connect(r.port);
	while (got < total) {
		if (sent < total && sent - got < 400 * 1024) {
			for (int i = 0; i < 16384; i++)
				out[i] = next_out++;
			assert_int_equal(send(fd, out, 65536, 0), 65536);
			sent += 65536;
			continue;
		}
		assert_true(client_read(fd, in, 65536));
		for (int i = 0; i < 16384; i++)
			assert_int_equal(in[i], next_in++);
		got += 65536;
	}
	close(fd);
	rig_fini(&r);
	free(out);
	free(in);
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
	struct stream_user user;
	struct rig r;
	char got[16];
	int fd, ncall = 0;
	size_t nread = 0;

	(void)state;
	rig_with(&r, on_data_pause, &user);
	rig_listen(&r);
	fd = client_connect(r.port);
	assert_int_equal(send(fd, "0123456789abcdef", 16, 0), 16);
	while (nread < 16) {
		size_t n;

		assert_true(rig_wait(&r, &r.ndrain, ++ncall));
		pthread_mutex_lock(&r.lock);
		assert_int_equal(r.ndrain, ncall); /* once for each resume */
		n = r.nbytes - nread;
		pthread_mutex_unlock(&r.lock);
		assert_true(client_read(fd, got + nread, n));
		nread += n;
		rig_on_loop(&r, resume_last, &r);
	}
	assert_memory_equal(got, "0123456789abcdef", 16);
	close(fd);
	rig_fini(&r);
}

static void
stream__deadline_ends_a_silent_connection_in_time(void **state)
{
	struct rig r;
	int64_t before = clock_mono_us();
	int fd;

	(void)state;
	rig_init(&r);
	r.conf.deadline_us = 150000;
	rig_listen(&r);
	fd = client_connect(r.port);
	assert_true(client_sees_end(fd));
	assert_true(clock_mono_us() - before >= 150000);
	assert_true(rig_wait(&r, &r.nclose, 1));
	assert_int_equal(r.why, STREAM_TIMEOUT);
	close(fd);
	rig_fini(&r);
}

static void
write_many(void *arg)
{
	struct rig *r = arg;

	for (int i = 0; i < 1000; i++)
		stream_write(r->last, STR("0123456789"));
	assert_int_equal(stream_pending_output(r->last), 10000);
}

static void
stream__writes_of_one_turn_leave_together(void **state)
{
	struct rig r;
	char got[10000];
	int fd;

	(void)state;
	rig_init(&r);
	rig_listen(&r);
	fd = client_connect(r.port);
	assert_true(rig_wait(&r, &r.nopen, 1));
	rig_on_loop(&r, write_many, &r);
	assert_true(client_read(fd, got, sizeof got));
	close(fd);
	rig_fini(&r);
}

static void
loop__free_ends_its_streams(void **state)
{
	struct rig r;
	int a, b;

	(void)state;
	rig_init(&r);
	rig_listen(&r);
	a = client_connect(r.port);
	b = client_connect(r.port);
	assert_true(rig_wait(&r, &r.nopen, 2));
	rig_fini(&r);
	assert_int_equal(r.nclose, 2);
	assert_int_equal(r.why, STREAM_SHUTDOWN);
	assert_true(client_sees_end(a));
	assert_true(client_sees_end(b));
	close(a);
	close(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stream__echoes_and_tells_the_peers_end),
		cmocka_unit_test(stream__byte_by_byte_sender_is_understood),
		cmocka_unit_test(stream__unconsumed_input_has_a_bound),
		cmocka_unit_test(stream__close_sends_all_even_with_unread_input),
		cmocka_unit_test(stream__close_ends_in_time_for_a_peer_that_stays),
		cmocka_unit_test(stream__abort_drops_at_once),
		cmocka_unit_test(stream__client_that_never_reads_hits_the_bound),
		cmocka_unit_test(stream__burst_of_one_turn_does_not_end_a_peer_that_reads),
		cmocka_unit_test(stream__slow_reader_gets_everything_in_order),
		cmocka_unit_test(stream__paused_input_waits_and_comes_after_resume),
		cmocka_unit_test(stream__deadline_ends_a_silent_connection_in_time),
		cmocka_unit_test(stream__writes_of_one_turn_leave_together),
		cmocka_unit_test(loop__free_ends_its_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
