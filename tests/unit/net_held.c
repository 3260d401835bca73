/* What the streams of a loop hold, in all: against a plain list of numbers. */
#include "net_rig.h"

#include "net/priv.h"
#include "rnd.h"

#define NSTREAM 300
#define STEPS   200000
#define MAX     2000000

static struct stream streams[NSTREAM];
static size_t model[NSTREAM];

static size_t
drawn_size(struct rnd *rnd)
{
	return rnd_below(rnd, 4) == 0 ? 0 : rnd_below(rnd, 1u << rnd_below(rnd, 20));
}

static void
held__who_holds_most_is_found_whatever_has_been(void **state)
{
	struct rnd rnd = { 7 };
	unsigned ncut = 0;
	struct held h;

	(void)state;
	held_init(&h, MAX);
	for (int step = 0; step < STEPS; step++) {
		unsigned i = rnd_below(&rnd, NSTREAM);
		size_t sum = 0, most = 0;
		struct stream *s;

		held_set(&h, &streams[i], model[i] = drawn_size(&rnd));
		for (unsigned k = 0; k < NSTREAM; k++) {
			sum += model[k];
			most = model[k] > most ? model[k] : most;
		}
		assert_int_equal(h.bytes, sum);
		s = held_most(&h);
		assert_int_equal(s != NULL, sum > MAX);
		if (s == NULL)
			continue;
		assert_true(s->held > most / 2); /* of the same list as the largest */
		assert_int_equal(s->held, model[s - streams]);
		held_set(&h, s, model[s - streams] = 0);
		ncut++;
	}
	assert_true(ncut > 1000);
	for (unsigned k = 0; k < NSTREAM; k++)
		held_set(&h, &streams[k], 0);
	assert_int_equal(h.bytes, 0);
	for (unsigned k = 0; k < HELD_LISTS; k++)
		assert_null(h.lists[k].first);
}

static void
held__who_came_first_goes_first_of_a_size(void **state)
{
	static struct stream s[3];
	struct held h;

	(void)state;
	held_init(&h, 100);
	held_set(&h, &s[0], 40);
	held_set(&h, &s[1], 40);
	assert_null(held_most(&h));
	held_set(&h, &s[0], 41);
	held_set(&h, &s[2], 40);
	assert_ptr_equal(held_most(&h), &s[0]);
	held_set(&h, &s[0], 0);
	assert_null(held_most(&h));
	held_set(&h, &s[0], 40);
	assert_ptr_equal(held_most(&h), &s[1]);
}

/* ---- on a loop ---- */

static size_t
on_data_keep(struct stream *s, struct str in, void *ctx)
{
	(void)s;
	(void)in;
	(void)ctx;
	return 0;
}

static void
loop__those_that_hold_most_end_and_a_small_one_stays(void **state)
{
	static char part[100 * 1024];
	struct stream_user user = rig_echo;
	int fd[9];
	char c;
	struct rig r;

	(void)state;
	rig_init(&r);
	user.on_data = on_data_keep;
	r.conf.user = &user;
	loop_hold_at_most(r.loop, 500 * 1024);
	rig_listen(&r);
	for (int i = 0; i < 9; i++) {
		fd[i] = client_connect(r.port);
		assert_true(rig_wait(&r, &r.nopen, i + 1));
		(void)!send(fd[i], part, i == 0 ? 1000 : sizeof part, MSG_NOSIGNAL);
	}
	assert_true(
	    rig_wait(&r, &r.nclose, 3)); /* eight of them are 800 KB: three at least must go */
	assert_int_equal(r.why, STREAM_CROWDED);
	assert_int_equal(recv(fd[0], &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	rig_stop(&r);
	assert_true(r.nclose <= 4);
	for (int i = 0; i < 9; i++)
		close(fd[i]);
	rig_fini(&r);
}

#define PART (60 * 1024)

/* Waits for its owner if it begins with w, else for the rest of it. Counts those that are so far. */
static size_t
on_data_wait(struct stream *s, struct str in, void *ctx)
{
	struct rig *r = ctx;

	if (in.p[0] == 'w')
		stream_pause(s);
	else if (in.n < PART)
		return 0;
	pthread_mutex_lock(&r->lock);
	r->ndrain++;
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
	return 0;
}

static void
loop__those_that_wait_for_their_owner_count_among_themselves(void **state)
{
	static char part[PART];
	struct stream_user user = rig_echo;
	struct rig r;
	int fd[6];

	(void)state;
	rig_init(&r);
	user.on_data = on_data_wait;
	r.conf.user = &user;
	loop_hold_at_most(r.loop, 200 * 1024); /* three have 180 KB */
	rig_listen(&r);
	for (int i = 0; i < 6; i++) {
		fd[i] = client_connect(r.port);
		part[0] = i % 2 ? 'w' : 'k';
		assert_int_equal(send(fd[i], part, PART, MSG_NOSIGNAL), PART);
	}
	assert_true(rig_wait(&r, &r.ndrain, 6));
	assert_int_equal(r.nclose, 0);
	for (int i = 0; i < 6; i++)
		close(fd[i]);
	rig_fini(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held__who_holds_most_is_found_whatever_has_been),
		cmocka_unit_test(held__who_came_first_goes_first_of_a_size),
		cmocka_unit_test(loop__those_that_hold_most_end_and_a_small_one_stays),
		cmocka_unit_test(loop__those_that_wait_for_their_owner_count_among_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
