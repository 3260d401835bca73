/*
 * kill -9 at random moments: what was acknowledged is there, a batch is there whole or not at all.
 *
 * RocksDB's threads do not survive a fork, so this process never opens the store: one child writes and is killed, the
 * next opens, reads and tells by its exit status.
 */
#include "store_kit.h"

#include <signal.h>
#include <sys/wait.h>

#define ROUNDS    25
#define LANES     2
#define ROUND_MAX 3000 /* batches of a lane in a round */

struct ack {
	uint32_t lane, number;
};

struct life {
	unsigned first, acked[LANES]; /* numbers */
};

static int ack_fd;

static void
send_ack(void *ctx, unsigned lane, uint64_t cookie, enum store_result result)
{
	struct ack a = { lane, (uint32_t)cookie };

	if (result != STORE_OK || write(ack_fd, &a, sizeof a) != sizeof a)
		_exit(1);
	kit_done(ctx, lane, cookie, result);
}

static void
name_row(char key[32], unsigned lane, unsigned number)
{
	snprintf(key, 32, "%u/%08u", lane, number);
}

/* Sizes from a few bytes to several blocks of the log. */
static size_t
row_bytes(unsigned number)
{
	return number % 16 == 0 ? 20000 + number * 131 % 70000 : 16 + number * 37 % 900;
}

static struct store_batch *
make_batch(unsigned lane, unsigned number)
{
	struct store_batch *b = store_batch_new();
	size_t n = row_bytes(number);
	char key[32], *value = malloc(n);

	memset(value, (int)number & 0xff, n);
	name_row(key, lane, number);
	store_batch_put(b, 0, STORE_WANTED, str_of(key), (struct str){ value, n });
	store_batch_put(b, 0, STORE_REPORTED, str_of(key), (struct str){ value, n });
	free(value);
	return b;
}

static void
child_write(struct kit *k, unsigned first)
{
	k->o.done = send_ack;
	k->o.memory_bytes = 16 << 20;
	if (store_open(&k->o, &k->s, &k->f) != ERR_OK) {
		fprintf(stderr, "%s\n", k->f.text);
		_exit(1);
	}
	for (unsigned i = 0; i < ROUND_MAX; i++)
		for (unsigned lane = 0; lane < LANES; lane++) {
			if (i >= STORE_LANE_INFLIGHT)
				kit_await(k, lane, i + 1 - STORE_LANE_INFLIGHT);
			store_submit(k->s, lane, make_batch(lane, first + i), first + i);
		}
	pause(); /* the parent kills, whatever happens */
}

static bool
row_is_right(struct kit *k, enum store_table t, unsigned lane, unsigned number, bool *there)
{
	struct buf b = { 0 };
	char key[32];
	enum err e;
	bool right;

	name_row(key, lane, number);
	e = store_get(k->s, t, str_of(key), &b);
	*there = e == ERR_OK;
	right = e == ERR_NOT_FOUND ||
	    (e == ERR_OK && b.n == row_bytes(number) && (uint8_t)b.p[0] == (number & 0xff) &&
	        memcmp(b.p, b.p + 1, b.n - 1) == 0);
	buf_fini(&b);
	return right;
}

/* In a life each lane writes the numbers first.. in order: all to the last acknowledged must be there, a few more may. */
static bool
lane_is_right(struct kit *k, unsigned lane, const struct life *l)
{
	for (unsigned i = l->first; i <= l->acked[lane] + STORE_LANE_INFLIGHT; i++) {
		bool wanted = false, reported = false;

		if (row_is_right(k, STORE_WANTED, lane, i, &wanted) &&
		    row_is_right(k, STORE_REPORTED, lane, i, &reported) && wanted == reported &&
		    (wanted || i > l->acked[lane]))
			continue;
		fprintf(stderr, "lane %u batch %u (%u..%u acknowledged): %d %d\n", lane, i,
		    l->first, l->acked[lane], wanted, reported);
		return false;
	}
	return true;
}

static void
child_verify(struct kit *k, const struct life *lives, unsigned n)
{
	bool right = true;

	if (store_open(&k->o, &k->s, &k->f) != ERR_OK) {
		fprintf(stderr, "%s\n", k->f.text);
		_exit(1);
	}
	for (unsigned i = 0; i < n; i++)
		for (unsigned lane = 0; lane < LANES; lane++)
			right = right && lane_is_right(k, lane, &lives[i]);
	kit_close(k);
	_exit(right ? 0 : 2);
}

/* That many acknowledgements; false if the pipe ended before. */
static bool
take_acks(int fd, struct life *l, unsigned n)
{
	struct ack a;

	for (unsigned i = 0; i < n; i++) {
		if (read(fd, &a, sizeof a) != sizeof a)
			return false;
		assert_true(a.lane < LANES && a.number == l->acked[a.lane] + 1);
		l->acked[a.lane] = a.number;
	}
	return true;
}

static void
live_and_die(struct kit *k, struct life *l, unsigned nack, unsigned delay_us)
{
	int pipes[2];
	pid_t child;

	assert_int_equal(pipe(pipes), 0);
	if ((child = fork()) == 0) {
		close(pipes[0]);
		ack_fd = pipes[1];
		child_write(k, l->first);
	}
	close(pipes[1]);
	take_acks(pipes[0], l, nack);
	usleep(delay_us); /* the random moment */
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	while (take_acks(pipes[0], l, 1))
		;
	close(pipes[0]);
}

static void
expect_right(struct kit *k, const struct life *lives, unsigned n)
{
	pid_t child;
	int status;

	if ((child = fork()) == 0)
		child_verify(k, lives, n);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static unsigned
larger(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

/* Every fifth life is cut short while opening, or soon after. */
static void
store_submit__acknowledged_batches_survive_kill(void **state)
{
	struct kit *k = *state;
	struct life lives[ROUNDS];
	unsigned seed = 20240229, first = 1, total = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		bool early = i % 5 == 4;
		struct life *l = &lives[i];

		*l = (struct life){ first, { first - 1, first - 1 } };
		live_and_die(k, l, early ? 0 : (unsigned)rand_r(&seed) % 400,
		    (unsigned)rand_r(&seed) % (early ? 60000 : 3000));
		expect_right(k, l, 1);
		total += l->acked[0] + l->acked[1] + 2 - 2 * first;
		first = larger(l->acked[0], l->acked[1]) + STORE_LANE_INFLIGHT + 1;
	}
	expect_right(k, lives, ROUNDS);
	assert_true(total > ROUNDS * 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    store_submit__acknowledged_batches_survive_kill, kit_setup, kit_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
