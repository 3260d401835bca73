/*
 * A loop: libevent's base, a mailbox, a wheel of timers, and the end of the turn.
 *
 * Streams with work (output to flush, an end to tell) queue up and are served once by `turn_end`, an event
 * activated by hand: libevent appends it to the events that are active already, so it runs after all
 * sockets of one epoll_wait. What must see other sockets first (input over a turn's share) waits for
 * `again`, a timeout of zero.
 */
#include <stdlib.h>
#include <unistd.h>

#include "net/priv.h"

static void
run_messages(struct loop *l)
{
	struct msg *m = mailbox_take_all(&l->box), *next;

	for (; m; m = next) {
		next = m->next;
		m->run(m);
	}
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	bool stop = atomic_load(
	    &l->stopping); /* before the messages: all posted before the stop still run */
	uint64_t n;

	(void)what;
	(void)!read(fd, &n, sizeof n);
	run_messages(l);
	if (stop)
		event_base_loopexit(l->base, NULL);
}

static void
on_turn_end(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	streams_turn_end(arg);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	streams_fill(arg);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	wheel_advance(&l->wheel, clock_mono_us());
	if (l->wheel.ntimer == 0)
		event_del(l->tick);
}

static bool
loop_make_events(struct loop *l)
{
	struct event_config *cfg = event_config_new();

	if (cfg == NULL)
		return false;
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK); /* other threads only use the mailbox */
	l->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (l->base == NULL)
		return false;
	l->wake = event_new(l->base, l->box.wake_fd, EV_READ | EV_PERSIST, on_wake, l);
	l->turn_end = event_new(l->base, -1, 0, on_turn_end, l);
	l->again = event_new(l->base, -1, 0, on_again, l);
	l->tick = event_new(l->base, -1, EV_PERSIST, on_tick, l);
	return l->wake && l->turn_end && l->again && l->tick && event_add(l->wake, NULL) == 0;
}

static void
event_drop(struct event *ev)
{
	if (ev)
		event_free(ev);
}

static void
loop_destroy(struct loop *l)
{
	event_drop(l->wake);
	event_drop(l->turn_end);
	event_drop(l->again);
	event_drop(l->tick);
	if (l->base)
		event_base_free(l->base);
	mailbox_fini(&l->box);
	free(l->scratch);
	free(l);
}

enum err
loop_new(unsigned index, struct loop **out)
{
	struct loop *l = xcalloc(1, sizeof *l);

	l->index = index;
	held_init(&l->held, LOOP_HELD_MAX);
	held_init(&l->paused, LOOP_HELD_MAX);
	handshakes_init(&l->handshakes);
	atomic_init(&l->stopping, false);
	if (mailbox_init(&l->box)) {
		free(l);
		return ERR_IO;
	}
	l->scratch = xmalloc(READ_MAX);
	if (!loop_make_events(l)) {
		loop_destroy(l);
		return ERR_IO;
	}
	*out = l;
	return ERR_OK;
}

void
loop_run(struct loop *l)
{
	event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

static void
loop_main(void *arg)
{
	loop_run(arg);
}

enum err
loop_start(struct loop *l)
{
	return thread_start(&l->thread, loop_main, l, NULL, "loop %u", l->index);
}

void
loop_stop(struct loop *l)
{
	atomic_store(&l->stopping, true);
	(void)!write(l->box.wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

void
loop_join(struct loop *l)
{
	thread_join(&l->thread);
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	loop_join(l);
	loop_abort_streams(l);
	while (atomic_load(&l->box.newest))
		run_messages(l);
	loop_abort_streams(l); /* what those messages may have done to streams */
	loop_destroy(l);
}

struct event_base *
loop_base(struct loop *l)
{
	return l->base;
}

void
loop_hold_at_most(struct loop *l, size_t bytes)
{
	l->held.max_bytes = l->paused.max_bytes = bytes;
}

unsigned
loop_index(const struct loop *l)
{
	return l->index;
}

int64_t
loop_now_us(const struct loop *l)
{
	(void)l;
	return clock_mono_us();
}

void
loop_post(struct loop *l, struct msg *m)
{
	mailbox_post(&l->box, m);
}

unsigned
loop_nstream(const struct loop *l)
{
	return l->nstream;
}

void
loop_timer_set(struct loop *l, struct loop_timer *t, int64_t due_us)
{
	static const struct timeval every = { 0, LOOP_TICK_US };

	if (l->wheel.ntimer == 0)
		event_add(l->tick, &every);
	wheel_set(&l->wheel, t, due_us, clock_mono_us());
}

void
loop_timer_clear(struct loop *l, struct loop_timer *t)
{
	wheel_clear(&l->wheel, t);
}
