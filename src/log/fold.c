/*
 * Repeats: who is in a loop must not push everything else out of the log (O-24).
 *
 * Of each reason and asker (struct log_who) LOG_REPEATS lines are told in a span; what comes beyond them is counted, and the count told when the
 * span is over. A span with repeats is followed by one twice as long, one without ends the fold. So a device that is refused each second for a
 * night costs a dozen lines an hour, and its first lines come at once.
 *
 * The table has a fixed size. Who finds no place takes that of the fold which ends first; what that had counted goes to the count of its
 * reason alone, so no line is missing in the sum. Of one reason, whoever asks, LOG_SAME_MAX lines a second are told: names cost nothing.
 */
#include "log/priv.h"

#define STRIPE(f, set) (&(f)->mutex[(set) % LOG_FOLD_STRIPES])

void
log_fold_init(struct log_fold *f)
{
	for (unsigned i = 0; i < LOG_FOLD_STRIPES; i++)
		pthread_mutex_init(&f->mutex[i], NULL);
}

/* ---- one reason, whoever asks. No lock ---- */

static bool
reason_admits(struct log_fold *f, enum reason r, uint32_t second)
{
	uint64_t seen = atomic_load(&f->window[r]), next;

	do {
		next = (uint32_t)(seen >> 32) == second ? seen + 1 : (uint64_t)second << 32 | 1;
		if ((uint32_t)next > LOG_SAME_MAX) {
			atomic_fetch_add(&f->left_out[r], 1);
			return false;
		}
	} while (!atomic_compare_exchange_weak(&f->window[r], &seen, next));
	return true;
}

unsigned
log_fold_settle(struct log_fold *f, enum reason r, uint32_t second)
{
	if (atomic_load(&f->left_out[r]) == 0 ||
	    (uint32_t)(atomic_load(&f->window[r]) >> 32) == second)
		return 0;
	return atomic_exchange(&f->left_out[r], 0);
}

/* ---- one reason of one asker ---- */

static struct str
cut(struct str s, size_t max)
{
	return (struct str){ s.p, s.n < max ? s.n : max };
}

/* The port is another one each time. */
static struct str
host_of(struct str address)
{
	size_t n = address.n;

	while (n > 0 && address.p[n - 1] != ':')
		n--;
	return n > 0 ? (struct str){ address.p, n - 1 } : address;
}

/* 0: nobody is known to be it. A device is one wherever it comes from; a policy is many programs. */
static uint64_t
who_key(enum reason r, const struct log_who *w, struct log_who *kept)
{
	uint64_t h = (uint64_t)r * UINT64_C(0x9E3779B97F4A7C15);

	*kept =
	    (struct log_who){ cut(w->device, ID_MAX), cut(w->module, ID_MAX), STR_NONE, STR_NONE };
	if (w->device.n == 0) {
		kept->policy = cut(w->policy, ID_MAX);
		kept->address = cut(host_of(w->address), LOG_ADDRESS_MAX);
	}
	if (kept->device.n + kept->policy.n + kept->address.n == 0)
		return 0;
	h = (h ^ hash_table(kept->device)) * UINT64_C(0xD6E8FEB86659FD93);
	h = (h ^ hash_table(kept->module)) * UINT64_C(0xD6E8FEB86659FD93);
	h = (h ^ hash_table(kept->policy)) * UINT64_C(0xD6E8FEB86659FD93);
	h = (h ^ hash_table(kept->address)) * UINT64_C(0xD6E8FEB86659FD93);
	h ^= h >> 32;
	return h != 0 ? h : 1;
}

static void
keep(struct log_repeat *e, const struct log_who *w)
{
	const struct str parts[LOG_WHO_PARTS] = { w->device, w->module, w->policy, w->address };
	char *at = e->text;

	for (unsigned i = 0; i < LOG_WHO_PARTS; i++) {
		e->n[i] = (uint8_t)parts[i].n;
		if (parts[i].n > 0)
			memcpy(at, parts[i].p, parts[i].n);
		at += parts[i].n;
	}
}

static uint32_t
ends(const struct log_repeat *e)
{
	return e->began_s + e->span_s;
}

static struct log_repeat *
entry_of(struct log_fold *f, struct log_repeat *set, uint64_t key, enum reason r,
    const struct log_who *who, uint32_t second)
{
	struct log_repeat *e = set;

	for (unsigned i = 0; i < LOG_FOLD_WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	for (unsigned i = 0; i < LOG_FOLD_WAYS && e->key != 0; i++)
		if (set[i].key == 0 || ends(&set[i]) < ends(e))
			e = &set[i];
	if (e->key != 0)
		atomic_fetch_add(&f->left_out[e->reason], e->nleft);
	*e =
	    (struct log_repeat){ .key = key, .reason = r, .began_s = second, .span_s = LOG_SPAN_S };
	keep(e, who);
	return e;
}

static bool
who_admits(struct log_fold *f, enum reason r, const struct log_who *w, uint32_t second)
{
	struct log_who who;
	uint64_t key = who_key(r, w, &who);
	uint32_t set = (uint32_t)(key % LOG_FOLD_SETS);
	struct log_repeat *e;
	bool admits;

	if (key == 0)
		return true;
	pthread_mutex_lock(STRIPE(f, set));
	e = entry_of(f, &f->repeats[set * LOG_FOLD_WAYS], key, r, &who, second);
	if (e->nleft == 0 && second >= ends(e)) { /* the thread has not come by yet */
		e->began_s = second;
		e->span_s = LOG_SPAN_S;
		e->ntold = 0;
	}
	admits = e->ntold < LOG_REPEATS;
	if (admits)
		e->ntold++;
	else
		e->nleft++;
	pthread_mutex_unlock(STRIPE(f, set));
	return admits;
}

bool
log_fold_admits(struct log_fold *f, enum reason r, const struct log_who *w, uint32_t second)
{
	return who_admits(f, r, w, second) && reason_admits(f, r, second);
}

static void
show(const struct log_repeat *e, uint32_t second, struct log_folded *out)
{
	struct str parts[LOG_WHO_PARTS];
	const char *at = out->text;

	memcpy(out->text, e->text, sizeof(out->text));
	for (unsigned i = 0; i < LOG_WHO_PARTS; i++) {
		parts[i] = (struct str){ at, e->n[i] };
		at += e->n[i];
	}
	out->reason = e->reason;
	out->who = (struct log_who){ parts[0], parts[1], parts[2], parts[3] };
	out->count = e->nleft;
	out->seconds = second == UINT32_MAX ? 0 : second - e->began_s;
}

/* Its span is over. True: there is a count to tell, and the next span is longer. */
static bool
turn_over(struct log_repeat *e, uint32_t second, struct log_folded *out)
{
	if (e->nleft == 0) {
		e->key = 0;
		return false;
	}
	show(e, second, out);
	e->began_s = second;
	e->span_s = e->span_s < LOG_SPAN_MAX_S ? e->span_s * 2 : LOG_SPAN_MAX_S;
	e->ntold = e->nleft = 0;
	return true;
}

bool
log_fold_next(struct log_fold *f, uint32_t *at, uint32_t second, struct log_folded *out)
{
	bool found = false;

	for (; *at < LOG_FOLDS && !found; ++*at) {
		uint32_t set = *at / LOG_FOLD_WAYS;
		struct log_repeat *e = &f->repeats[*at];

		pthread_mutex_lock(STRIPE(f, set));
		found = e->key != 0 && second >= ends(e) && turn_over(e, second, out);
		pthread_mutex_unlock(STRIPE(f, set));
	}
	return found;
}
