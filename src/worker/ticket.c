/*
 * Tickets: what a request holds of its asker's share (share.h), from the tour that it asks for until its answer has left.
 * Tours without a seat wait here; a ticket that goes lets the next one in. One lock for the whole fleet: it is taken a few
 * times in the life of a tour.
 */
#include "worker/priv.h"

#include <stdlib.h>

struct ticket {
	struct fleet *fleet;
	struct share *share; /* NULL: the hub's own, which has no bounds here */
	enum share_kind lane;
	bool seated;
	uint32_t paths;
	size_t bytes;
};

void
seats_init(struct fleet *f)
{
	const uint64_t limit[SHARE_KINDS] = { [SHARE_CHEAP] = TOURS_CHEAP_MAX,
		[SHARE_COSTLY] = TOURS_COSTLY_MAX,
		[SHARE_BYTES] = f->o.answer_bytes };

	for (unsigned i = 0; i < SHARE_LANES; i++)
		f->seats.end[i] = &f->seats.line[i];
	pthread_mutex_init(&f->seats.mutex, NULL);
	shares_init(&f->seats.shares, limit);
}

void
seats_fini(struct fleet *f)
{
	shares_fini(&f->seats.shares);
	pthread_mutex_destroy(&f->seats.mutex);
}

struct ticket *
ticket_new(struct fleet *f, struct str who, struct str from)
{
	struct ticket *t = xcalloc(1, sizeof(*t));

	t->fleet = f;
	pthread_mutex_lock(&f->seats.mutex);
	t->share = share_get(&f->seats.shares, who, from);
	pthread_mutex_unlock(&f->seats.mutex);
	return t;
}

struct ticket *
ticket_own(struct fleet *f)
{
	struct ticket *t = xcalloc(1, sizeof(*t));

	t->fleet = f;
	return t;
}

struct share *
ticket_share(const struct ticket *t)
{
	return t->share;
}

/* Of a share, behind its parent's number (share.c). */
static void
name_put(struct buf *out, const struct share *s)
{
	buf_put(out, s->name.p + 8, s->name.n - 8);
}

void
ticket_asker(const struct ticket *t, struct buf *who, struct buf *from)
{
	if (t->share == NULL)
		return;
	name_put(who, t->share->parent);
	name_put(from, t->share);
}

/* ---- seats ---- */

static void
line_put(struct seats *s, struct share *sh, enum share_kind lane, struct tour *k)
{
	if (sh->first[lane] == NULL) {
		sh->next[lane] = NULL;
		*s->end[lane] = sh;
		s->end[lane] = &sh->next[lane];
	}
	k->next = NULL;
	*sh->end[lane] = k;
	sh->end[lane] = &k->next;
	share_want(sh, lane, 1);
}

/* The oldest tour of the share at this place of the line; it goes to the line's end, or out of it. */
static struct tour *
line_take(struct seats *s, struct share **at, enum share_kind lane)
{
	struct share *sh = *at;
	struct tour *k = sh->first[lane];

	sh->first[lane] = k->next;
	if (sh->first[lane] == NULL)
		sh->end[lane] = &sh->first[lane];
	*at = sh->next[lane];
	if (s->end[lane] == &sh->next[lane])
		s->end[lane] = at;
	if (sh->first[lane] != NULL) {
		sh->next[lane] = NULL;
		*s->end[lane] = sh;
		s->end[lane] = &sh->next[lane];
	}
	share_want(sh, lane, -1);
	return k;
}

/* Where a share stands whose first tour has waited too long, or else one that is within its share: of these the one
 * whose policy has the fewest seats. NULL: nobody. */
static struct share **
line_next(struct seats *s, enum share_kind lane, int64_t now_us)
{
	struct share **best = NULL;

	for (struct share **at = &s->line[lane]; *at != NULL; at = &(*at)->next[lane]) {
		if (now_us >= (*at)->first[lane]->deadline_us)
			return at;
		if (share_fits(&s->shares, *at, lane, 1) &&
		    (best == NULL || (*at)->parent->used[lane] < (*best)->parent->used[lane]))
			best = at;
	}
	return best;
}

static void
seat_take(struct ticket *t, enum share_kind lane)
{
	t->lane = lane;
	t->seated = true;
	share_use(t->share, lane, 1);
}

/* Those whose turn it is now, linked by next. The lock is held. */
static struct tour *
seats_fill(struct fleet *f, enum share_kind lane)
{
	struct tour *first = NULL, **end = &first, *k;
	int64_t now_us = clock_mono_us();
	struct share **at;

	while ((at = line_next(&f->seats, lane, now_us)) != NULL) {
		k = line_take(&f->seats, at, lane);
		f->seats.nwaiting--;
		if (now_us >= k->deadline_us)
			fault_set(&k->task->fault, F_ThrottlingException,
			    "too many queries at once: it has waited for its turn for as long as a "
			    "query may take");
		else
			seat_take(k->ticket, lane);
		k->next = NULL;
		*end = k;
		end = &k->next;
	}
	return first;
}

static void
start_all(struct fleet *f, struct tour *k)
{
	struct tour *next;

	for (; k != NULL; k = next) {
		next = k->next;
		tour_start(f, k);
	}
}

void
tour_seat(struct fleet *f, struct tour *k)
{
	struct ticket *t = k->ticket;
	bool waits = false;

	pthread_mutex_lock(&f->seats.mutex);
	if (atomic_load(&f->stop)) {
		fault_set(&k->task->fault, F_ServiceUnavailable, "the hub is stopping");
	} else if (t->share == NULL) {
		/* the hub's own has its seat */
	} else if (t->share->wanted[k->lane] == 0 &&
	    share_fits(&f->seats.shares, t->share, k->lane, 1)) {
		seat_take(t, k->lane);
	} else if (t->share->wanted[k->lane] < WAITING_SHARE_MAX &&
	    f->seats.nwaiting < WAITING_MAX) {
		line_put(&f->seats, t->share, k->lane, k);
		f->seats.nwaiting++;
		waits = true;
	} else {
		fault_set(&k->task->fault, F_ThrottlingException,
		    "too many queries at once: %u of this policy or device and address wait for "
		    "their turn",
		    (unsigned)t->share->wanted[k->lane]);
	}
	pthread_mutex_unlock(&f->seats.mutex);
	if (!waits)
		tour_start(f, k);
}

void
seats_stop(struct fleet *f)
{
	struct tour *all = NULL, *k;

	pthread_mutex_lock(&f->seats.mutex);
	for (int lane = 0; lane < SHARE_LANES; lane++)
		while (f->seats.line[lane] != NULL) {
			k = line_take(&f->seats, &f->seats.line[lane], (enum share_kind)lane);
			fault_set(&k->task->fault, F_ServiceUnavailable, "the hub is stopping");
			k->next = all;
			all = k;
		}
	f->seats.nwaiting = 0;
	pthread_mutex_unlock(&f->seats.mutex);
	start_all(f, all);
}

/* ---- memory of answers ---- */

bool
ticket_hold(struct ticket *t, size_t bytes)
{
	struct seats *s = &t->fleet->seats;
	bool fits = true;

	if (t->share == NULL || bytes == t->bytes)
		return true;
	pthread_mutex_lock(&s->mutex);
	if (bytes > t->bytes)
		fits = share_fits(&s->shares, t->share, SHARE_BYTES, bytes - t->bytes);
	if (fits) {
		share_use(t->share, SHARE_BYTES, (int64_t)bytes - (int64_t)t->bytes);
		t->bytes = bytes;
	}
	pthread_mutex_unlock(&s->mutex);
	return fits;
}

size_t
ticket_bytes(const struct ticket *t)
{
	return t->bytes;
}

bool
ticket_pressed(struct ticket *t)
{
	struct seats *s = &t->fleet->seats;
	bool pressed;

	if (t->share == NULL)
		return false;
	pthread_mutex_lock(&s->mutex);
	pressed = (t->seated && s->line[t->lane] != NULL) ||
	    (t->share->used[SHARE_BYTES] > t->bytes &&
	        !share_fits(&s->shares, t->share, SHARE_BYTES, t->share->used[SHARE_BYTES])) ||
	    s->shares.all.used[SHARE_BYTES] > s->shares.limit[SHARE_BYTES] / 2;
	pthread_mutex_unlock(&s->mutex);
	return pressed;
}

/* ---- columns that are made ---- */

bool
ticket_build(struct ticket *t, uint32_t paths)
{
	struct seats *s = &t->fleet->seats;
	bool may;

	if (t->share == NULL)
		return true;
	pthread_mutex_lock(&s->mutex);
	may = t->paths > 0 || t->share->paths + paths <= BUILDING_MAX;
	if (may && t->paths == 0) {
		t->paths = paths;
		t->share->paths += paths;
	}
	pthread_mutex_unlock(&s->mutex);
	return may;
}

void
ticket_built(struct ticket *t)
{
	bool was;

	if (t->share == NULL)
		return;
	pthread_mutex_lock(&t->fleet->seats.mutex);
	was = t->paths > 0;
	t->share->paths -= t->paths;
	t->paths = 0;
	pthread_mutex_unlock(&t->fleet->seats.mutex);
	if (was)
		fleet_poke(t->fleet); /* others may be waiting for that */
}

void
ticket_free(struct ticket *t)
{
	struct tour *next = NULL;
	struct fleet *f;

	if (t == NULL)
		return;
	f = t->fleet;
	if (t->share != NULL) {
		ticket_built(t);
		pthread_mutex_lock(&f->seats.mutex);
		share_use(t->share, SHARE_BYTES, -(int64_t)t->bytes);
		if (t->seated) {
			share_use(t->share, t->lane, -1);
			next = seats_fill(f, t->lane);
		}
		share_drop(&f->seats.shares, t->share);
		pthread_mutex_unlock(&f->seats.mutex);
	}
	free(t);
	start_all(f, next);
}
