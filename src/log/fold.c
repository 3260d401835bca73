/* Repeats of one reason: a client in a loop must not push everything else out of the log. No lock. */
#include "log/priv.h"

bool
log_fold_admits(struct log_fold *f, enum reason r, uint32_t second)
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
