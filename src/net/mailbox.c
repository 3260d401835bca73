/*
 * A mailbox is a stack of messages that posters push and the taker takes whole, turning it round.
 * Who pushes onto an empty stack writes to the eventfd; all others find the taker woken already.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/priv.h"

enum err
mailbox_init(struct mailbox *mb)
{
	atomic_init(&mb->newest, NULL);
	mb->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return mb->wake_fd < 0 ? ERR_IO : ERR_OK;
}

void
mailbox_fini(struct mailbox *mb)
{
	assert(atomic_load(&mb->newest) == NULL);
	close(mb->wake_fd);
}

void
mailbox_post(struct mailbox *mb, struct msg *m)
{
	struct msg *top = atomic_load_explicit(&mb->newest, memory_order_relaxed);

	do {
		m->next = top;
	} while (!atomic_compare_exchange_weak_explicit(
	    &mb->newest, &top, m, memory_order_release, memory_order_relaxed));
	/* m may be run and freed by now. A full eventfd (2^64 - 2 unread wake-ups) cannot be. */
	if (top == NULL)
		(void)!write(mb->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

struct msg *
mailbox_take_all(struct mailbox *mb)
{
	struct msg *m = atomic_exchange_explicit(&mb->newest, NULL, memory_order_acquire);
	struct msg *oldest = NULL;

	while (m) {
		struct msg *next = m->next;

		m->next = oldest;
		oldest = m;
		m = next;
	}
	return oldest;
}

/* The eventfd is emptied before the box is: a post in between costs a needless wake-up, never a lost one. */
bool
mailbox_wait(struct mailbox *mb, int64_t timeout_us)
{
	struct timespec ts = { timeout_us / 1000000, timeout_us % 1000000 * 1000 };
	struct pollfd p = { .fd = mb->wake_fd, .events = POLLIN };
	uint64_t n;

	if (ppoll(&p, 1, timeout_us < 0 ? NULL : &ts, NULL) > 0)
		(void)!read(mb->wake_fd, &n, sizeof n);
	return atomic_load_explicit(&mb->newest, memory_order_relaxed) != NULL;
}
