/*
 * Configurations applied to twins, inside the commit of the change that concerns them (J-42 to J-54).
 *
 *   a record is written --row_write--> the row is due --end of the operation--> evaluated
 *   another set of configurations --shard_configure--> every row is due: the worker calls shard_sweep, slice by slice
 *
 * Evaluating a row that is in line with the set writes nothing (J-49), so a sweep may begin anew at any time: after a
 * restart, a failed commit, or another change of the set. The mark `swept` is written when it is over.
 */
#include <stdlib.h>

#include "hub/effective.h"
#include "hub/priv.h"

#define DUE_MAX 4096u /* rows of one operation: a device with its modules, and some to spare */

struct configure {
	const struct configurations *set; /* borrowed: shard_configure */
	unsigned records;                 /* what evaluation needs in memory */
	bool selfish;                     /* conditions look at what configurations write */
	bool timed;                       /* conditions that come true by time alone */
	bool running;                     /* what is written now is written by configurations */
	bool postponed;                   /* some row waits for the next round of all */
	bool again;                       /* that round is under way */
	uint64_t nlooped; /* rows that still changed at their second evaluation (J-36) */
	uint32_t *due, ndue, capdue;
	uint32_t row; /* of the sweep */
	struct query_scratch scratch;
	struct effective effective;
	struct stamp *stamps; /* of the section being compared */
	uint32_t capstamp;
	struct buf drafts[2], patch, notify, states;
};

static unsigned
records_of(uint64_t roots, uint8_t sections)
{
	struct query_needs needs = { .roots = roots, .sections = sections };

	return hub_records_of(&needs) | RECORD_BIT(RECORD_WANTED);
}

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
	if (records_of(set->roots, 0) & RECORD_BIT(RECORD_IDENTITY))
		watch |= RECORD_BIT(RECORD_IDENTITY);
	if (set->roots & QUERY_ROOT_BIT(QUERY_ROOT_CONNECTION_STATE))
		watch |= WATCH_PRESENCE;
	return watch;
}

void
shard_configure(struct shard *sh, const struct configurations *set)
{
	static const struct configurations none;
	struct configure *c = sh->configure;

	if (set == NULL)
		set = &none;
	if (c == NULL) {
		if (set->n == 0 && sh->swept == 0)
			return;
		c = sh->configure = xcalloc(1, sizeof(*c));
	}
	if (c->set == NULL || c->set->hash != set->hash) {
		c->row = 0;
		effective_drop(&c->effective);
	}
	c->set = set;
	c->records = records_of(set->roots, set->sections);
	c->selfish = (set->sections & QUERY_SECTION_BIT(SECTION_DESIRED)) ||
	    (set->roots &
	        (QUERY_ROOT_BIT(QUERY_ROOT_ETAG) | QUERY_ROOT_BIT(QUERY_ROOT_VERSION) |
	            QUERY_ROOT_BIT(QUERY_ROOT_CONFIGURATIONS)));
	c->timed = (set->roots & QUERY_ROOT_BIT(QUERY_ROOT_LAST_ACTIVITY_TIME)) != 0;
	sh->watch = watch_of(set);
}

void
configure_free(struct configure *c)
{
	if (c == NULL)
		return;
	effective_fini(&c->effective);
	query_scratch_fini(&c->scratch);
	for (int i = 0; i < 2; i++)
		buf_fini(&c->drafts[i]);
	buf_fini(&c->patch);
	buf_fini(&c->notify);
	buf_fini(&c->states);
	free(c->stamps);
	free(c->due);
	free(c);
}

/* ---- a row's desired properties on their way to what they should be ---- */

struct draft {
	struct configure *c;
	struct section was, is; /* before, and so far */
	unsigned at;            /* drafts[at] holds what is */
	bool changed;
	struct section_write wr;
};

static const struct stamp *
stamps_of(struct configure *c, const struct section *s)
{
	if (s->nstamp > c->capstamp) {
		c->capstamp = s->nstamp;
		c->stamps = xrealloc(c->stamps, c->capstamp * sizeof(*c->stamps));
	}
	section_stamps(s, c->stamps);
	return c->stamps;
}

/* Merge c->patch; false: it does not fit. However many patches there are, they are one change: all have the version after
 * that of `was`. */
static bool
draft_merge(struct draft *d, const struct configuration *by)
{
	struct section base = d->is;
	struct buf *out = &d->c->drafts[!d->at];
	bool changed;

	base.version = d->was.version;
	d->wr.by = by != NULL ? by->id : STR_NONE;
	d->wr.by_digest = by != NULL ? configuration_digest(by) : 0;
	out->n = 0;
	if (section_merge(&base, doc_of(buf_view(&d->c->patch)), 0, &d->wr, out, NULL, &changed,
	        NULL) != ERR_OK)
		return false;
	if (changed) {
		d->at = !d->at;
		d->is = section_of(buf_view(out));
		d->changed = true;
	}
	return true;
}

/* The content of one configuration; false if it does not fit beside what else is there. */
static bool
draft_write(struct draft *d, const struct configuration *by)
{
	struct configure *c = d->c;

	for (uint32_t n = 0; n < by->npath; n++) {
		c->patch.n = 0;
		if (!effective_nulls(&c->effective, by, d->is.root, &c->patch))
			break;
		if (!draft_merge(d, by))
			return false;
	}
	c->patch.n = 0;
	return !effective_write(&c->effective, by, d->is.root, stamps_of(c, &d->is), &c->patch) ||
	    draft_merge(d, by);
}

/* ---- the configurations section of the twin (J-45, J-46, J-53) ---- */

static struct doc
state_of(struct str configurations, struct str id)
{
	if (configurations.n == 0)
		return DOC_NONE;
	return doc_getc(doc_get(doc_of(configurations), id), "status");
}

static bool
state_is(struct doc state, const char *name)
{
	return doc_kind(state) == DOC_STRING && str_eq(doc_str(state), str_of(name));
}

struct states {
	bool targeted; /* an entry is new, or goes back to Targeted */
	bool applied;  /* one becomes Applied */
	bool gone;     /* one goes */
};

static struct states
states_write(const struct configurations *set, const struct chosen *matched,
    const struct chosen *applied, struct str old, struct buf *out)
{
	struct states st = { 0 };
	struct doc_writer dw;
	uint32_t n = 0, kept = 0;

	out->n = 0;
	doc_writer_init(&dw, out, 0);
	doc_begin_object(&dw, 0);
	for (uint32_t i = 0; i < set->n; i++) {
		struct doc was = state_of(old, set->v[i]->id);
		const char *now = chosen_has(applied, i) ? "Applied" : "Targeted";

		if (!chosen_has(matched, i))
			continue;
		n++;
		kept += doc_defined(was);
		st.targeted |=
		    !doc_defined(was) || (!chosen_has(applied, i) && !state_is(was, "Targeted"));
		st.applied |= chosen_has(applied, i) && !state_is(was, "Applied");
		doc_key(&dw, set->v[i]->id);
		doc_begin_object(&dw, 0);
		doc_key(&dw, STR("status"));
		doc_put_str(&dw, 0, str_of(now));
		doc_end(&dw);
	}
	doc_end(&dw);
	st.gone = old.n != 0 && doc_count(doc_of(old)) > kept;
	if (n == 0)
		out->n = 0;
	return st;
}

/* ---- one row ---- */

static struct chosen
match(struct shard *sh, struct row *r)
{
	struct configure *c = sh->configure;
	enum configuration_kind kind =
	    r->module_n != 0 ? CONFIGURATION_MODULE : CONFIGURATION_DEVICE;
	struct chosen matched = { 0 };
	struct hub_row hr;

	for (uint32_t i = 0; i < c->set->n; i++) {
		const struct configuration *cf = c->set->v[i];

		if (cf->kind != kind || query_facts(cf->target)->nothing)
			continue;
		hub_row_open(&hr, sh, row_number(sh, r));
		if (query_facts(cf->target)->everything ||
		    query_match(cf->target, &hub_query_ops, &hr, &c->scratch))
			chosen_add(&matched, i);
	}
	return matched;
}

/* Which of the chosen have their content in the draft afterwards. */
static struct chosen
draft_all(struct draft *d, const struct chosen *matched)
{
	struct configure *c = d->c;
	struct chosen applied;

	effective_make(&c->effective, c->set, matched);
	applied = c->effective.applied;
	c->patch.n = 0;
	if (effective_remove(&c->effective, d->is.root, stamps_of(c, &d->is), &c->patch))
		draft_merge(d, NULL);
	for (uint32_t i = 0; i < c->set->n; i++)
		if (chosen_has(&applied, i) && !draft_write(d, c->set->v[i]))
			chosen_drop(&applied, i);
	return applied;
}

static void
write_draft(struct shard *sh, struct row *r, const struct wanted *w, const struct draft *d,
    const struct states *st, const struct hub_env *env)
{
	struct configure *c = sh->configure;
	bool second = d->changed || st->applied, first = st->targeted || (st->gone && !second);
	struct str bytes;

	if (sh->swept != c->set->hash && sh->swept != UNSWEPT)
		swept_write(sh, UNSWEPT, env); /* else the old set, come back, would seem to hold */
	if (d->changed) {
		c->notify.n = 0;
		section_difference(
		    d->was.root, d->is.root, stamps_of(c, &d->is), d->is.version, &c->notify);
	}
	env->scratch->n = 0;
	wanted_encode(env->scratch, w->counter + first + second, w->tags.bytes, d->is.bytes,
	    buf_view(&c->states)); /* T-19: Targeted is a step, Applied another */
	bytes = buf_view(env->scratch);
	row_write(sh, r, RECORD_WANTED, &bytes, env);
	if (d->changed)
		desired_notify(r, doc_of(buf_view(&c->notify)), d->is.version, env);
}

/* Bring a row in line with the set; false if it was. Its records are in memory. */
static bool
evaluate(struct shard *sh, struct row *r, const struct hub_env *env)
{
	struct configure *c = sh->configure;
	struct chosen matched = match(sh, r), applied;
	struct draft d = { .c = c, .wr = { .kind = SECTION_DESIRED, .now_us = env->now_us } };
	struct states st;
	struct wanted w;
	bool ok = wanted_decode(blob_str(r->records[RECORD_WANTED]), &w);

	assert(ok);
	(void)ok;
	if (w.configurations.n == 0 && (matched.bits[0] | matched.bits[1]) == 0)
		return false;
	d.was = d.is = w.desired;
	applied = draft_all(&d, &matched);
	st = states_write(c->set, &matched, &applied, w.configurations, &c->states);
	if (!d.changed && !st.targeted && !st.applied && !st.gone)
		return false;
	write_draft(sh, r, &w, &d, &st, env);
	return true;
}

/* A configuration's own writing may change whom it is for: it is looked at once more, and then left until the next
 * round (J-36). */
static void
bring_in_line(struct shard *sh, struct row *r, const struct hub_env *env)
{
	struct configure *c = sh->configure;

	for (unsigned k = 0; k < RECORD_KINDS; k++) {
		if ((c->records & RECORD_BIT(k)) && r->records[k] == NULL) {
			c->postponed = true;
			return;
		}
	}
	c->running = true;
	if (evaluate(sh, r, env) && c->selfish && evaluate(sh, r, env)) {
		c->postponed = true;
		c->nlooped++;
	}
	c->running = false;
}

/* ---- rows that are due ---- */

void
configure_mark(struct shard *sh, const struct row *r)
{
	struct configure *c = sh->configure;
	uint32_t row = row_number(sh, r);

	if (c->running || (c->ndue > 0 && c->due[c->ndue - 1] == row))
		return;
	if (c->ndue == DUE_MAX) {
		c->postponed = true;
		return;
	}
	if (c->ndue == c->capdue) {
		c->capdue = c->capdue ? c->capdue * 2 : 16;
		c->due = xrealloc(c->due, c->capdue * sizeof(*c->due));
	}
	c->due[c->ndue++] = row;
}

unsigned
configure_needs(const struct shard *sh, enum op_kind kind)
{
	unsigned changes = RECORD_BIT(RECORD_WANTED);

	switch (kind) {
	case OP_REPORT: changes = RECORD_BIT(RECORD_REPORTED); break;
	case OP_CONNECT: changes = RECORD_BIT(RECORD_IDENTITY) | WATCH_PRESENCE; break;
	case OP_DISCONNECT: changes = WATCH_PRESENCE; break;
	case OP_SUBSCRIBE:
	case OP_UNSUBSCRIBE:
	case OP_TELEMETRY: return 0;
	default:
		if (!op_writes(kind))
			return 0;
	}
	return sh->watch & changes ? sh->configure->records : 0;
}

bool
configure_due(struct shard *sh, const struct op *op, const struct hub_env *env)
{
	struct configure *c = sh->configure;
	struct row *r = row_find(sh, op->device, op->module);
	const struct blob *before = r != NULL ? r->records[RECORD_WANTED] : NULL;

	for (uint32_t i = 0; i < c->ndue; i++) {
		struct row *due = c->due[i] < sh->nrow ? &sh->rows[c->due[i]] : NULL;

		if (due == NULL || due->id == NULL)
			continue;
		if (env->can_write)
			bring_in_line(sh, due, env);
		else
			c->postponed = true;
	}
	c->ndue = 0;
	return r != NULL && r->records[RECORD_WANTED] != before;
}

/* ---- all rows ---- */

bool
shard_sweep_awaited(const struct shard *sh)
{
	const struct configure *c = sh->configure;

	return c != NULL && (c->again || sh->swept != c->set->hash);
}

void
shard_sweep_restart(struct shard *sh)
{
	if (sh->configure != NULL)
		sh->configure->row = 0;
}

void
shard_sweep_again(struct shard *sh)
{
	struct configure *c = sh->configure;

	if (c == NULL || shard_sweep_awaited(sh) || !(c->timed || c->postponed))
		return;
	c->postponed = false;
	c->again = true;
	c->row = 0;
}

uint32_t
shard_sweep_row(const struct shard *sh, unsigned *records)
{
	const struct configure *c = sh->configure;

	*records = c->records;
	return c->row < sh->nrow && sh->rows[c->row].id != NULL ? c->row : TABLE_NONE;
}

void
shard_sweep(struct shard *sh, const struct hub_env *env)
{
	struct configure *c = sh->configure;

	if (c->row < sh->nrow) {
		if (sh->rows[c->row].id != NULL)
			bring_in_line(sh, &sh->rows[c->row], env);
		c->row++;
		return;
	}
	c->again = false;
	if (sh->swept != c->set->hash)
		swept_write(sh, c->set->hash, env);
}

uint64_t
shard_looped(const struct shard *sh)
{
	return sh->configure != NULL ? sh->configure->nlooped : 0;
}
