/*
 * Another set of configurations: which changes of a row make it due from now on, and the sweep, which brings every row in line with
 * the set, slice by slice.
 *
 * Evaluating a row that is in line writes nothing (J-49), so a sweep may begin anew at any time: after a restart, a failed
 * commit, or another change of the set. `swept` is written when it is over. A sweep evaluates only rows that the change
 * of the set may concern, as far as it is known what that is (touched.h).
 */
#include "config/configure.h"

/* ---- another set ---- */

/* Which changes of a row make it due. */
static unsigned
watch_of(const struct configurations *set)
{
	unsigned watch = RECORD_BIT(RECORD_WANTED);

	if (set->n == 0)
		return 0;
	if ((set->sections & QUERY_SECTION_BIT(SECTION_REPORTED)) ||
	    (set->roots & QUERY_ROOT_BIT(QUERY_ROOT_VERSION)))
		watch |= RECORD_BIT(RECORD_REPORTED);
	if (evaluator_records(set) & RECORD_BIT(RECORD_IDENTITY))
		watch |= RECORD_BIT(RECORD_IDENTITY);
	if (set->roots & QUERY_ROOT_BIT(QUERY_ROOT_CONNECTION_STATE))
		watch |= WATCH_PRESENCE;
	if (set->edge)
		watch |= WATCH_EDGE;
	return watch;
}

static const struct configurations none;

/* What every row is in line with, but for those that `touched` concerns; NULL: nobody knows. */
static const struct configurations *
in_line_with(const struct shard *sh, const struct configurations *next)
{
	const struct configure *c = configure_of(sh);

	if (c->postponed)
		return NULL;
	if (c->ev.set != NULL)
		return c->ev.set;
	return c->swept == next->hash ? next : c->swept == none.hash ? &none : NULL;
}

static void
set_changes(struct shard *sh, const struct configurations *next)
{
	struct configure *c = configure_of(sh);

	if (c->ev.set == NULL && (next->roots & QUERY_ROOT_BIT(QUERY_ROOT_CONNECTION_STATE))) {
		c->again =
		    true; /* links have ended with the last process, whatever its sweep saw */
		touched_all(&c->touched);
	}
	if (c->ev.set != NULL && c->ev.set->hash == next->hash)
		return;
	c->row = 0;
	touched_add(&c->touched, in_line_with(sh, next), next);
}

void
configure_use(struct shard *sh, const struct configurations *set)
{
	struct configure *c = configure_of(sh);

	if (set == NULL)
		set = &none;
	if (c->ev.set == NULL && set->n == 0 && c->swept == 0)
		return;
	set_changes(sh, set);
	evaluator_use(&c->ev, set);
	c->records = evaluator_records(set);
	c->selfish = (set->sections & QUERY_SECTION_BIT(SECTION_DESIRED)) ||
	    (set->roots &
	        (QUERY_ROOT_BIT(QUERY_ROOT_ETAG) | QUERY_ROOT_BIT(QUERY_ROOT_VERSION) |
	            QUERY_ROOT_BIT(QUERY_ROOT_CONFIGURATIONS)));
	c->timed = (set->roots & QUERY_ROOT_BIT(QUERY_ROOT_LAST_ACTIVITY_TIME)) != 0;
	c->watch = watch_of(set);
	shard_watch(sh, &configuration_feature, c->watch);
}

/* ---- all rows ---- */

bool
configure_sweep_awaited(const struct shard *sh)
{
	const struct configure *c = configure_of(sh);

	return c->ev.set != NULL && (c->again || c->swept != c->ev.set->hash);
}

void
configure_sweep_restart(struct shard *sh)
{
	struct configure *c = configure_of(sh);

	if (c->ev.set == NULL)
		return;
	c->row = 0;
	touched_all(&c->touched);
	/* That a link has ended is not undone with what configurations have written for it. */
	c->again |= (c->watch & WATCH_PRESENCE) != 0;
}

void
configure_sweep_again(struct shard *sh)
{
	struct configure *c = configure_of(sh);

	if (c->ev.set == NULL || configure_sweep_awaited(sh) || !(c->timed || c->postponed))
		return;
	c->postponed = false;
	c->again = true;
	c->row = 0;
	touched_all(&c->touched);
}

void
configure_sweep_due(struct shard *sh, int64_t elapsed_us)
{
	configure_of(sh)->due_us = elapsed_us;
}

int64_t
configure_sweep_due_us(const struct shard *sh)
{
	return configure_of(sh)->due_us;
}

/* The row that the sweep is at; NULL: it is none, or a module that comes with its device. */
static struct row *
sweep_at(struct shard *sh)
{
	const struct configure *c = configure_of(sh);
	struct row *r = c->row < sh->nrow ? row_at(sh, c->row) : NULL;

	if (r == NULL || r->id == NULL || (r->module_n != 0 && row_family_of(sh, r) != NULL))
		return NULL;
	return r;
}

/* Is one of the configurations that have changed for this row, or has been? */
static bool
concerns_row(struct shard *sh, const struct row *r)
{
	struct configure *c = configure_of(sh);
	struct str bears = STR_NONE;
	struct wanted w;

	if (wanted_decode(blob_str(r->records[RECORD_WANTED]), &w))
		bears = w.configurations;
	if (touched_bears(&c->touched, bears))
		return true;
	for (uint32_t i = 0; i < c->ev.set->n; i++) {
		const struct configuration *cf = c->ev.set->v[i];

		if (chosen_has(&c->touched.now, i) && row_is_about(r, cf) &&
		    row_is_reached(&c->ev, sh, r, cf, bears))
			return true;
	}
	return false;
}

/* For its family: only $edgeAgent bears the names of deployments, and where that is not evaluated with the others any more,
 * nothing tells what they have written. */
static bool
concerns(struct shard *sh, struct row *r)
{
	struct row *device = row_family_of(sh, r), *m;
	bool agent = false;

	if (device == NULL)
		return (r->module_n != 0 && configure_of(sh)->touched.edge) || concerns_row(sh, r);
	if (concerns_row(sh, device))
		return true;
	for (m = module_first(sh, device); m != NULL; m = module_next(sh, m)) {
		agent |= row_is_agent(m);
		if (concerns_row(sh, m))
			return true;
	}
	return !agent;
}

static unsigned
records_to_decide(const struct touched *t)
{
	return hub_records_of(&t->needs) | RECORD_BIT(RECORD_WANTED);
}

uint32_t
configure_sweep_row(struct shard *sh, unsigned *records)
{
	struct configure *c = configure_of(sh);
	struct row *r = sweep_at(sh), *missing = NULL;

	c->passes = false;
	if (r != NULL && !c->touched.all) {
		*records = records_to_decide(&c->touched);
		missing = row_not_at_hand(sh, r, *records);
		c->passes = missing == NULL && !concerns(sh, r);
	}
	if (r != NULL && missing == NULL && !c->passes) {
		missing = row_not_ready(sh, r);
		*records = missing != NULL ? row_wants(c, missing) : 0;
	}
	return missing != NULL ? row_number(sh, missing) : TABLE_NONE;
}

void
configure_sweep(struct shard *sh, const struct hub_env *env)
{
	struct configure *c = configure_of(sh);
	struct row *r = sweep_at(sh);

	c->identities = sh->nidentity;
	if (c->row < sh->nrow) {
		if (r != NULL && !c->passes)
			row_bring_in_line(sh, r, env);
		c->row++;
		return;
	}
	c->again = false;
	touched_none(&c->touched);
	if (c->swept != c->ev.set->hash)
		swept_write(sh, c->ev.set->hash, env);
}

uint64_t
configure_looped(const struct shard *sh)
{
	return configure_of(sh)->nlooped;
}
