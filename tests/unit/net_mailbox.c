/* Mailboxes: order, nothing lost, few wake-ups; messages to a loop. */
#include <poll.h>

#include "net_rig.h"
#include "os/clock.h"

#define NPOSTER 4
#define NEACH   50000

struct numbered {
	struct msg m;
	int poster, number;
};

static struct mailbox shared_box;

static void *
poster_main(void *arg)
{
	struct numbered *all = arg;

	for (int i = 0; i < NEACH; i++)
		mailbox_post(&shared_box, &all[i].m);
	return NULL;
}

static void
mailbox__four_posters_lose_nothing_and_keep_their_order(void **state)
{
	struct numbered *all = xcalloc(NPOSTER * NEACH, sizeof *all);
	int seen[NPOSTER] = { 0 }, total = 0;
	pthread_t t[NPOSTER];

	(void)state;
	assert_int_equal(mailbox_init(&shared_box), ERR_OK);
	for (int p = 0; p < NPOSTER; p++) {
		for (int i = 0; i < NEACH; i++)
			all[p * NEACH + i] = (struct numbered){ .poster = p, .number = i };
		pthread_create(&t[p], NULL, poster_main, &all[p * NEACH]);
	}
	while (total < NPOSTER * NEACH) {
		struct msg *m;

		assert_true(mailbox_wait(&shared_box, PATIENCE_S * 1000000) ||
		    mailbox_wait(&shared_box, PATIENCE_S * 1000000));
		for (m = mailbox_take_all(&shared_box); m; m = m->next) {
			struct numbered *n = (struct numbered *)m;

			assert_int_equal(n->number, seen[n->poster]);
			seen[n->poster]++;
			total++;
		}
	}
	for (int p = 0; p < NPOSTER; p++)
		pthread_join(t[p], NULL);
	assert_null(mailbox_take_all(&shared_box));
	mailbox_fini(&shared_box);
	free(all);
}

static void
mailbox__wakes_once_for_many_posts(void **state)
{
	struct mailbox mb;
	struct msg m[3];
	uint64_t n;

	(void)state;
	assert_int_equal(mailbox_init(&mb), ERR_OK);
	for (int i = 0; i < 3; i++)
		mailbox_post(&mb, &m[i]);
	assert_int_equal(read(mb.wake_fd, &n, sizeof n), sizeof n);
	assert_int_equal(n, 1);
	assert_ptr_equal(mailbox_take_all(&mb), &m[0]);
	assert_ptr_equal(m[0].next, &m[1]);
	assert_ptr_equal(m[1].next, &m[2]);
	assert_null(m[2].next);
	mailbox_fini(&mb);
}

static void
mailbox__wait_ends_without_a_message(void **state)
{
	struct mailbox mb;
	int64_t before = clock_mono_us();

	(void)state;
	assert_int_equal(mailbox_init(&mb), ERR_OK);
	assert_false(mailbox_wait(&mb, 20000));
	assert_true(clock_mono_us() - before >= 20000);
	mailbox_fini(&mb);
}

static int nrun;

static void
count_run(struct msg *m)
{
	assert_int_equal(((struct numbered *)m)->number, nrun);
	nrun++;
}

static void
loop__runs_messages_in_order_and_all_before_a_stop(void **state)
{
	static struct numbered all[1000];
	struct rig r;

	(void)state;
	nrun = 0;
	rig_init(&r);
	assert_int_equal(loop_start(r.loop), ERR_OK);
	for (int i = 0; i < 1000; i++) {
		all[i] = (struct numbered){ .m.run = count_run, .number = i };
		loop_post(r.loop, &all[i].m);
	}
	rig_stop(&r);
	assert_int_equal(nrun, 1000);
	rig_fini(&r);
}

static void
loop__free_runs_what_was_posted_after_the_stop(void **state)
{
	static struct numbered late;
	struct rig r;

	(void)state;
	nrun = 0;
	rig_init(&r);
	late = (struct numbered){ .m.run = count_run };
	loop_post(r.loop, &late.m);
	rig_fini(&r);
	assert_int_equal(nrun, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mailbox__four_posters_lose_nothing_and_keep_their_order),
		cmocka_unit_test(mailbox__wakes_once_for_many_posts),
		cmocka_unit_test(mailbox__wait_ends_without_a_message),
		cmocka_unit_test(loop__runs_messages_in_order_and_all_before_a_stop),
		cmocka_unit_test(loop__free_runs_what_was_posted_after_the_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
