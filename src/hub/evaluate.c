/*
 * What configurations make of one row: which are true for it, what they say together, and how what is there becomes that
 * (J-43 to J-54). Nothing is written here.
 */
#include <stdlib.h>

#include "hub/evaluate.h"
#include "hub/former.h"

/* ---- the state ---- */

unsigned
evaluator_records(const struct configurations *set)
{
	struct query_needs needs = { .roots = set->roots, .sections = set->sections };

	return hub_records_of(&needs) | RECORD_BIT(RECORD_WANTED);
}

void
evaluator_use(struct evaluator *ev, const struct configurations *set)
{
	if (ev->set == NULL || ev->set->hash != set->hash)
		for (unsigned i = 0; i < EFFECTIVES; i++)
			effective_drop(&ev->kept[i]);
	ev->set = set;
}

void
evaluator_fini(struct evaluator *ev)
{
	for (unsigned i = 0; i < EFFECTIVES; i++)
		effective_fini(&ev->kept[i]);
	query_scratch_fini(&ev->scratch);
	for (int i = 0; i < 2; i++)
		buf_fini(&ev->drafts[i]);
	buf_fini(&ev->patch);
	buf_fini(&ev->states);
	buf_fini(&ev->former);
	free(ev->stamps);
}

/* ---- a row's desired properties on their way to what they should be ---- */

struct draft {
	struct evaluator *ev;
	struct section was, is; /* before, and so far */
	unsigned at;            /* drafts[at] holds what is */
	bool changed;
	struct section_write wr;
};

const struct stamp *
evaluator_stamps(struct evaluator *ev, const struct section *s)
{
	if (s->nstamp > ev->capstamp) {
		ev->capstamp = s->nstamp;
		ev->stamps = xrealloc(ev->stamps, ev->capstamp * sizeof(*ev->stamps));
	}
	section_stamps(s, ev->stamps);
	return ev->stamps;
}

/* Merge ev->patch; false: it does not fit. However many patches there are, they are one change: all have the version after
 * that of `was`. */
static bool
draft_merge(struct draft *d, const struct configuration *by)
{
	struct section base = d->is;
	struct buf *out = &d->ev->drafts[!d->at];
	bool changed;

	base.version = d->was.version;
	d->wr.by = by != NULL ? by->id : STR_NONE;
	d->wr.by_digest = by != NULL ? configuration_digest(by) : 0;
	out->n = 0;
	if (section_merge(&base, doc_of(buf_view(&d->ev->patch)), 0, &d->wr, out, NULL, &changed,
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
	struct evaluator *ev = d->ev;

	for (uint32_t n = 0; n < by->npath; n++) {
		ev->patch.n = 0;
		if (!effective_nulls(ev->effective, by, d->is.root, &ev->patch))
			break;
		if (!draft_merge(d, by))
			return false;
	}
	ev->patch.n = 0;
	return !effective_write(
	           ev->effective, by, d->is.root, evaluator_stamps(ev, &d->is), &ev->patch) ||
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
	bool targeted, applied, gone; /* as struct evaluation */
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

/* ---- what rollouts have overwritten (former.h) ---- */

/* The values before the configurations that are rolled back come again, where nothing else is. */
static void
draft_restore(struct draft *d, struct str former)
{
	struct evaluator *ev = d->ev;
	struct doc_iter ids = doc_iter(former.n != 0 ? doc_of(former) : DOC_NONE), patches;
	struct str id, key;
	struct doc all, patch;

	while (doc_next(&ids, &id, &all)) {
		const struct configuration *by = configurations_find(ev->set, id);

		if (by == NULL || by->rollout == NULL || !rollout_restores(by->rollout))
			continue;
		patches = doc_iter(all);
		while (doc_next(&patches, &key, &patch)) {
			ev->patch.n = 0;
			if (former_patch(
			        patch, d->is.root, ev->effective->section.root, &ev->patch))
				draft_merge(d, NULL);
		}
	}
}

/* Keep what there is of this configuration, or, if it comes to be applied, what it is about to overwrite. False: there is
 * no room for that. */
static bool
former_keep(struct draft *d, struct doc_writer *dw, const struct wanted *w,
    const struct configuration *by, bool applied)
{
	struct evaluator *ev = d->ev;
	struct doc kept = w->former.n != 0 ? doc_get(doc_of(w->former), by->id) : DOC_NONE;

	ev->patch.n = 0;
	if (!doc_defined(kept) && applied && by->rollout != NULL &&
	    !state_is(state_of(w->configurations, by->id), "Applied") &&
	    former_take(by, d->is.root, evaluator_stamps(ev, &d->is), &ev->patch))
		kept = doc_of(buf_view(&ev->patch));
	if (!doc_defined(kept))
		return true;
	if (dw->out->n + by->id.n + doc_size(kept) > FORMER_MAX)
		return false;
	doc_key(dw, by->id);
	doc_put_copy(dw, 0, kept);
	return true;
}

/* ---- one row ---- */

bool
row_matches(struct evaluator *ev, const struct shard *sh, const struct row *r,
    const struct configuration *c)
{
	const struct query_facts *facts = query_facts(c->target);
	struct hub_row hr;

	if (facts->nothing || facts->everything)
		return facts->everything;
	hub_row_open(&hr, sh, row_number(sh, r));
	return query_match(c->target, &hub_query_ops, &hr, &ev->scratch);
}

/* Those of a kind whose condition is true for the row, and that have reached it. */
static struct chosen
match(struct evaluator *ev, const struct shard *sh, const struct row *r,
    enum configuration_kind kind, struct str configurations)
{
	uint64_t key_hash = ev->set->guarded ? shard_row_hash(sh, row_number(sh, r)) : 0;
	struct chosen matched = { 0 };

	for (uint32_t i = 0; i < ev->set->n; i++) {
		const struct configuration *cf = ev->set->v[i];

		if (cf->kind != kind)
			continue;
		if (cf->rollout != NULL && cf != ev->everywhere &&
		    !rollout_reaches(
		        cf->rollout, key_hash, doc_defined(state_of(configurations, cf->id))))
			continue;
		if (row_matches(ev, sh, r, cf))
			chosen_add(&matched, i);
	}
	return matched;
}

/* Another one for each kind of rows and, mostly, for each name of a module. */
static void
make_effective(struct evaluator *ev, const struct chosen *chosen, struct str module)
{
	ev->effective = &ev->kept[module.n == 0 ? 0 : 1 + hash_table(module) % (EFFECTIVES - 1)];
	effective_make(ev->effective, ev->set, chosen, module);
}

/* The content of those that are to be applied; who does not fit is dropped. */
static void
draft_contents(
    struct draft *d, const struct wanted *w, const struct chosen *chosen, struct chosen *applied)
{
	struct evaluator *ev = d->ev;
	struct doc_writer dw;

	ev->former.n = 0;
	doc_writer_init(&dw, &ev->former, 0);
	doc_begin_object(&dw, 0);
	for (uint32_t i = 0; i < ev->set->n; i++) {
		const struct configuration *cf = ev->set->v[i];
		bool writes = chosen_has(applied, i);
		size_t from = ev->former.n;

		if (!chosen_has(chosen, i) ||
		    (former_keep(d, &dw, w, cf, writes) && (!writes || draft_write(d, cf))))
			continue;
		ev->former.n = from; /* it stays Targeted, with what was kept before */
		chosen_drop(applied, i);
		former_keep(d, &dw, w, cf, false);
	}
	doc_end(&dw);
	if (doc_count(doc_of(buf_view(&ev->former))) == 0)
		ev->former.n = 0;
}

/* Which of the chosen have their content in the draft afterwards. */
static struct chosen
draft_all(struct draft *d, const struct wanted *w, const struct chosen *chosen, struct str module)
{
	struct evaluator *ev = d->ev;
	struct chosen applied;

	make_effective(ev, chosen, module);
	applied = ev->effective->applied;
	ev->patch.n = 0;
	if (effective_remove(ev->effective, d->is.root, evaluator_stamps(ev, &d->is), &ev->patch))
		draft_merge(d, NULL);
	draft_restore(d, w->former);
	draft_contents(d, w, chosen, &applied);
	return applied;
}

void
family_begin(
    struct family *f, struct evaluator *ev, const struct shard *sh, const struct row *device)
{
	*f = (struct family){ 0 };
	if (device->edge)
		f->targeted = match(ev, sh, device, CONFIGURATION_EDGE, STR_NONE);
	f->force = deployments_in_force(ev->set, &f->targeted);
}

bool
row_is_agent(const struct row *r)
{
	return str_eq(row_module(r), STR("$edgeAgent"));
}

/* A module does not bear the names of deployments: only stamps tell that they have written there. */
static bool
written_by_any(struct evaluator *ev, const struct section *s)
{
	const struct stamp *stamps = evaluator_stamps(ev, s);

	for (uint32_t i = 0; i < s->nstamp; i++)
		if (stamps[i].by.n > 0)
			return true;
	return false;
}

static void
family_note(struct family *f, const struct effective *e, struct chosen applied)
{
	struct chosen owners = chosen_and(e->owners, f->force);

	f->owners = chosen_or(f->owners, owners);
	f->failed = chosen_or(f->failed, chosen_but(owners, applied));
}

struct doc
family_absent(struct family *f, struct evaluator *ev, struct str module)
{
	make_effective(ev, &f->force, module);
	family_note(f, ev->effective, ev->effective->applied);
	return ev->effective->section.root;
}

bool
row_evaluate(struct evaluator *ev, const struct shard *sh, const struct row *r,
    struct family *family, int64_t now_us, struct evaluation *out)
{
	struct draft d = { .ev = ev, .wr = { .kind = SECTION_DESIRED, .now_us = now_us } };
	struct chosen own, chosen, applied;
	struct states st;
	bool ok = wanted_decode(blob_str(r->records[RECORD_WANTED]), &out->wanted);

	assert(ok);
	(void)ok;
	own = match(ev, sh, r, r->module_n != 0 ? CONFIGURATION_MODULE : CONFIGURATION_DEVICE,
	    out->wanted.configurations);
	chosen = family != NULL ? chosen_or(own, family->force) : own;
	out->own = own;
	out->desired = d.was = d.is = out->wanted.desired;
	if (out->wanted.configurations.n == 0 && !chosen_any(&chosen) &&
	    !(family != NULL && row_is_agent(r) && chosen_any(&family->targeted)) &&
	    !(r->module_n != 0 && written_by_any(ev, &out->wanted.desired)))
		return false;
	applied = draft_all(&d, &out->wanted, &chosen, row_module(r));
	if (family != NULL)
		family_note(family, ev->effective, applied);
	applied = chosen_and(applied, own);
	if (family != NULL && row_is_agent(r)) {
		own = chosen_or(own, family->targeted);
		applied = chosen_or(applied, chosen_but(family->owners, family->failed));
	}
	st = states_write(ev->set, &own, &applied, out->wanted.configurations, &ev->states);
	out->desired = d.is;
	out->configurations = buf_view(&ev->states);
	out->former = buf_view(&ev->former);
	out->changed = d.changed;
	out->targeted = st.targeted;
	out->applied = st.applied;
	out->gone = st.gone;
	out->steps = d.changed || st.applied ? 1 + st.targeted : st.targeted || st.gone;
	return d.changed || st.targeted || st.applied || st.gone;
}
