/*
 * The finisher: a thread that makes answers of large results. To merge and sort some hundred thousand groups takes up to a
 * second, in which a worker would answer no device and look at no limit of time. What is small is concluded where it is.
 */
#include "worker/priv.h"

#define SMALL_MAX (256u << 10) /* bytes of groups and rows: 1 to 2 ms, as a slice of a tour */

/* ---- the thread ---- */

static void
tour_came(struct msg *m)
{
	struct tour *k = container_of(m, struct tour, msg);

	tour_conclude(k->at->fleet, k);
}

static void
last_came(struct msg *m)
{
	struct finisher *fin = container_of(m, struct finisher, last);

	fin->over = true;
}

static void
finisher_main(void *arg)
{
	struct finisher *fin = arg;
	struct msg *m, *next;

	while (!fin->over) {
		mailbox_wait(&fin->box, -1);
		for (m = mailbox_take_all(&fin->box); m != NULL; m = next) {
			next = m->next;
			m->run(m);
		}
	}
}

/* ---- from outside ---- */

static size_t
result_bytes(const struct tour *k)
{
	size_t n = task_bytes(k->task) + walk_bytes(k->walk);

	for (unsigned i = 0; i < k->npart; i++)
		n += task_bytes(k->parts[i].task);
	return n;
}

bool
finisher_takes(struct fleet *f, struct tour *k)
{
	if (!f->finisher.thread.runs || result_bytes(k) <= SMALL_MAX)
		return false;
	k->at = f->workers; /* any: it stands for the fleet */
	k->msg.run = tour_came;
	mailbox_post(&f->finisher.box, &k->msg);
	return true;
}

enum err
finisher_open(struct fleet *f)
{
	f->finisher.has_box = f->finisher.has_box || mailbox_init(&f->finisher.box) == ERR_OK;
	return f->finisher.has_box ? ERR_OK : ERR_IO;
}

enum err
finisher_start(struct fleet *f)
{
	return thread_start(&f->finisher.thread, finisher_main, &f->finisher, NULL, "finisher");
}

void
finisher_stop(struct fleet *f)
{
	if (!f->finisher.thread.runs)
		return;
	f->finisher.last.run = last_came;
	mailbox_post(&f->finisher.box, &f->finisher.last);
	thread_join(&f->finisher.thread);
}

void
finisher_fini(struct fleet *f)
{
	if (f->finisher.has_box)
		mailbox_fini(&f->finisher.box);
}
