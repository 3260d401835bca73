/* Threads: begun, named, waited for; and conditions whose time is the monotonic clock's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>

#include "os/clock.h"
#include "os/thread.h"

struct seen {
	char name[64];
	sigset_t blocked;
	atomic_bool done;
};

static void
look(void *ctx)
{
	struct seen *s = ctx;

	pthread_getname_np(pthread_self(), s->name, sizeof s->name);
	pthread_sigmask(SIG_SETMASK, NULL, &s->blocked);
	atomic_store(&s->done, true);
}

static void
thread__bears_its_name_and_is_joined_once(void **state)
{
	struct thread t = { 0 };
	struct seen s = { 0 };

	(void)state;
	thread_join(&t); /* there is none */
	assert_int_equal(thread_start(&t, look, &s, NULL, "worker %u", 17u), ERR_OK);
	assert_true(t.runs);
	thread_join(&t);
	assert_true(atomic_load(&s.done));
	assert_string_equal(s.name, "worker 17");
	assert_false(t.runs);
	thread_join(&t);
	assert_int_equal(thread_start(&t, look, &s, NULL, "%s", "a name that is too long"), ERR_OK);
	thread_join(&t);
	assert_string_equal(s.name, "a name that is ");
}

static void
thread__takes_no_signal_of_the_main_threads(void **state)
{
	struct thread t = { 0 };
	struct seen s = { 0 };
	sigset_t own;

	(void)state;
	assert_int_equal(thread_start(&t, look, &s, NULL, "one"), ERR_OK);
	thread_join(&t);
	assert_true(sigismember(&s.blocked, SIGTERM) && sigismember(&s.blocked, SIGINT) &&
	    sigismember(&s.blocked, SIGHUP) && sigismember(&s.blocked, SIGALRM));
	assert_false(sigismember(&s.blocked, SIGSEGV) || sigismember(&s.blocked, SIGABRT));
	pthread_sigmask(SIG_SETMASK, NULL, &own);
	assert_false(sigismember(&own, SIGTERM)); /* its maker takes them as before */
}

static void
thread__that_is_let_go_ends_by_itself(void **state)
{
	static struct seen s;
	struct thread t = { 0 };

	(void)state;
	thread_let_go(&t); /* there is none */
	assert_int_equal(thread_start(&t, look, &s, NULL, "alone"), ERR_OK);
	thread_let_go(&t);
	assert_false(t.runs);
	thread_join(&t); /* returns, whether it has ended or not */
	while (!atomic_load(&s.done))
		clock_sleep_us(1000);
}

static void
thread__that_is_not_to_be_had_says_which(void **state)
{
	struct thread t = { 0 };
	struct seen s = { 0 };
	struct fault f = { 0 };
	pthread_attr_t usual, huge;

	(void)state;
	assert_int_equal(pthread_getattr_default_np(&usual), 0);
	assert_int_equal(pthread_attr_init(&huge), 0);
	assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 47), 0);
	assert_int_equal(pthread_setattr_default_np(&huge), 0);
	errno = 0;
	assert_int_equal(thread_start(&t, look, &s, &f, "loop %d", 3), ERR_IO);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(thread_start(&t, look, &s, NULL, "loop 4"), ERR_IO);
	assert_int_equal(pthread_setattr_default_np(&usual), 0);
	assert_int_equal(f.code, F_ServiceUnavailable);
	assert_string_equal(
	    f.text, "no thread is to be had for 'loop 3': Resource temporarily unavailable");
	assert_false(t.runs);
	thread_join(&t);
	assert_false(atomic_load(&s.done));
	assert_int_equal(thread_start(&t, look, &s, &f, "loop 3"), ERR_OK);
	thread_join(&t);
	pthread_attr_destroy(&huge);
	pthread_attr_destroy(&usual);
}

/* ---- conditions ---- */

struct meeting {
	pthread_mutex_t mu;
	pthread_cond_t c;
	bool there;
};

static void
come(void *ctx)
{
	struct meeting *m = ctx;

	pthread_mutex_lock(&m->mu);
	m->there = true;
	pthread_cond_signal(&m->c);
	pthread_mutex_unlock(&m->mu);
}

static void
cond__wakes_for_a_signal_or_when_the_monotonic_clock_is_there(void **state)
{
	struct meeting m = { .mu = PTHREAD_MUTEX_INITIALIZER };
	struct thread t = { 0 };
	int64_t until_us;

	(void)state;
	cond_init(&m.c);
	pthread_mutex_lock(&m.mu);
	assert_false(cond_wait_until(&m.c, &m.mu, 0)); /* long past */
	until_us = clock_mono_us() + 20000;
	while (cond_wait_until(&m.c, &m.mu, until_us))
		;
	assert_true(clock_mono_us() >= until_us);
	assert_int_equal(thread_start(&t, come, &m, NULL, "comes"), ERR_OK);
	until_us = clock_mono_us() + INT64_C(3600) * 1000000;
	while (!m.there)
		assert_true(cond_wait_until(&m.c, &m.mu, until_us));
	pthread_mutex_unlock(&m.mu);
	thread_join(&t);
	pthread_cond_destroy(&m.c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thread__bears_its_name_and_is_joined_once),
		cmocka_unit_test(thread__takes_no_signal_of_the_main_threads),
		cmocka_unit_test(thread__that_is_let_go_ends_by_itself),
		cmocka_unit_test(thread__that_is_not_to_be_had_says_which),
		cmocka_unit_test(cond__wakes_for_a_signal_or_when_the_monotonic_clock_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
