/* Time: one queue of events in real time; each process has clocks of its own, and threads that may be stopped. */
#include "sim.h"

void *
need(size_t n)
{
	return xcalloc(1, n);
}

void
msg_free(struct msg *m)
{
	if (m != NULL)
		free(m->view);
	free(m);
}

static void
event_free(struct event *e)
{
	msg_free(e->m);
	free(e->d);
	free(e);
}

static bool
sooner_than(const struct event *a, const struct event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->seq < b->seq;
}

static void
heap_push(struct world *w, struct event *e)
{
	unsigned i;

	if (w->nheap == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 256;
		w->heap = xrealloc(w->heap, w->cap * sizeof(struct event *));
	}
	for (i = w->nheap++; i > 0 && sooner_than(e, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = e;
}

static struct event *
heap_pop(struct world *w)
{
	struct event *top = w->heap[0], *last = w->heap[--w->nheap];
	unsigned i = 0, k;

	while ((k = 2 * i + 1) < w->nheap) {
		if (k + 1 < w->nheap && sooner_than(w->heap[k + 1], w->heap[k]))
			k++;
		if (!sooner_than(w->heap[k], last))
			break;
		w->heap[i] = w->heap[k];
		i = k;
	}
	w->heap[i] = last;
	return top;
}

struct event *
later(struct world *w, int64_t in_us, event_run *run)
{
	struct event *e = need(sizeof(*e));

	assert(in_us >= 0);
	e->at_us = w->now_us + in_us;
	e->seq = w->nseq++;
	e->run = run;
	e->slot = -1;
	heap_push(w, e);
	return e;
}

struct event *
later_on(struct world *w, struct proc *p, enum thread_of t, int64_t in_us, event_run *run)
{
	struct event *e = later(w, in_us, run);

	e->slot = slot_of(w, p);
	e->life = p->life;
	e->thread = t;
	return e;
}

int
slot_of(const struct world *w, const struct proc *p)
{
	return (int)(p - w->procs);
}

/* The next one happens, later if its thread is stopped, not at all if its process has ended. */
bool
event_next(struct world *w)
{
	struct event *e;

	if (w->nheap == 0)
		return false;
	e = heap_pop(w);
	w->now_us = e->at_us;
	if (e->slot >= 0) {
		struct proc *p = &w->procs[e->slot];

		if (!p->alive || p->life != e->life) {
			if (e->op != NULL)
				answer_no(w, e->op, "its process has ended");
			event_free(e);
			return true;
		}
		if (p->until_us[e->thread] > w->now_us) {
			e->at_us = p->until_us[e->thread];
			heap_push(w, e);
			return true;
		}
	}
	e->run(w, e);
	event_free(e);
	return true;
}

void
events_free(struct world *w)
{
	for (unsigned i = 0; i < w->nheap; i++)
		event_free(w->heap[i]);
	free(w->heap);
}

int64_t
local_us(const struct world *w, const struct proc *p)
{
	return p->off_us + (int64_t)((double)w->now_us * p->rate);
}

int64_t
real_us(const struct proc *p, int64_t local)
{
	return (int64_t)((double)(local - p->off_us) / p->rate) + 1;
}

bool
one_in(struct world *w, uint32_t n)
{
	return rnd_below(&w->r, n) == 0;
}

int64_t
between(struct world *w, int64_t a, int64_t b)
{
	return a + (int64_t)(rnd_u64(&w->r) % (uint64_t)(b - a + 1));
}

/* What is sent into a cut comes when that is over, or never. */
int64_t
net_us(struct world *w, int slot, int server, bool back)
{
	int64_t us = between(w, 100, w->slow_us > 0 && one_in(w, 2) ? w->slow_us : 800);

	if (slot < 0 || !w->cut[slot][server][back])
		return us;
	if (one_in(w, 3))
		return -1;
	return w->cut_until_us[slot][server][back] - w->now_us + us;
}

int64_t
pause_us(struct world *w)
{
	if (w->peace || !one_in(w, 60))
		return between(w, 5, 60);
	return one_in(w, 40) ? between(w, 1 * S, 9 * S) : between(w, 1 * MS, 300 * MS);
}
