/*
 * What configurations make of one row: which are true for it, what they say together, and how what is there becomes that
 * (J-43 to J-54). Nothing is written here.
 */
#include <stdlib.h>

#include "config/evaluate.h"
#include "config/before_rollout.h"
#include "config/status.h"

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
	buf_fini(&ev->before_rollout);
	buf_fini(&ev->next);
	buf_fini(&ev->spared);
	effective_fini(&ev->trial);
	effective_fini(&ev->other);
	free(ev->stamps);
}

/* ---- a row's desired properties on their way to what they should be ---- */

struct draft {
	struct evaluator *ev;
	struct section was, is; /* before, and so far */
	unsigned at;            /* drafts[at] holds what is */
	bool changed, moved;    /* a value is another one; the owner of one is */
	struct chosen rejected; /* their contents are not in it, for want of room */
	struct chosen unkept;   /* of these: for what they would overwrite (before_rollout.h) */
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

/* What these say together, and nothing that others have said. */
static void
draft_lay(struct draft *d, const struct effective *e, bool only_remove)
{
	struct overlay o = effective_overlay(e);
	struct buf *out = &d->ev->drafts[!d->at];
	struct section base = d->is;
	enum laid laid;

	base.version = d->was.version;
	o.only_remove = only_remove;
	o.begun = d->changed;
	out->n = 0;
	laid = section_lay(&base, &o, d->wr.now_us, out);
	if (laid == LAID_NOTHING)
		return;
	d->at = !d->at;
	d->is = section_of(buf_view(out));
	d->changed |= laid == LAID_VALUES;
	d->moved |= laid == LAID_OWNERS;
}

/* ---- what rollouts have overwritten (before_rollout.h) ---- */

/* The values before the configurations that are rolled back come again, where nothing else is. */
static void
draft_restore(struct draft *d, struct str before_rollout)
{
	struct evaluator *ev = d->ev;
	struct doc_iter ids = doc_iter(before_rollout.n != 0 ? doc_of(before_rollout) : DOC_NONE),
	                patches;
	struct str id, key;
	struct doc all, patch;

	while (doc_next(&ids, &id, &all)) {
		const struct configuration *by = configurations_find(ev->set, id);

		if (by == NULL || by->rollout == NULL || !rollout_restores(by->rollout))
			continue;
		patches = doc_iter(all);
		while (doc_next(&patches, &key, &patch)) {
			ev->patch.n = 0;
			if (before_rollout_patch(
			        patch, d->is.root, ev->effective->section.root, &ev->patch))
				draft_merge(d, NULL);
		}
	}
}

/* Keep what there is of this configuration, or, if it comes to be applied, what it is about to overwrite. False: there is
 * no room for that. */
static bool
before_rollout_keep(struct draft *d, struct doc_writer *dw, const struct wanted *w,
    const struct configuration *by, bool applied)
{
	struct evaluator *ev = d->ev;
	struct doc kept =
	    w->before_rollout.n != 0 ? doc_get(doc_of(w->before_rollout), by->id) : DOC_NONE;

	ev->patch.n = 0;
	if (!doc_defined(kept) && applied && by->rollout != NULL &&
	    !status_is(status_of(w->configurations, by->id), "Applied") &&
	    before_rollout_take(by, d->is.root, evaluator_stamps(ev, &d->is), &ev->patch))
		kept = doc_of(buf_view(&ev->patch));
	if (!doc_defined(kept))
		return true;
	if (dw->out->n + by->id.n + doc_size(kept) > BEFORE_ROLLOUT_MAX)
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

bool
row_is_about(const struct row *r, const struct configuration *c)
{
	return (c->kind == CONFIGURATION_MODULE) == (r->module_n != 0) &&
	    (c->kind != CONFIGURATION_EDGE || r->edge);
}

bool
row_is_reached(struct evaluator *ev, const struct shard *sh, const struct row *r,
    const struct configuration *c, struct str configurations)
{
	if (c->rollout != NULL && c != ev->everywhere &&
	    !rollout_reaches(c->rollout, shard_row_hash(sh, row_number(sh, r)),
	        doc_defined(status_of(configurations, c->id))))
		return false;
	return row_matches(ev, sh, r, c);
}

/* Those of a kind whose condition is true for the row, and that have reached it. */
static struct chosen
match(struct evaluator *ev, const struct shard *sh, const struct row *r,
    enum configuration_kind kind, struct str configurations)
{
	struct chosen matched = { 0 };

	for (uint32_t i = 0; i < ev->set->n; i++) {
		const struct configuration *cf = ev->set->v[i];

		if (cf->kind == kind && row_is_reached(ev, sh, r, cf, configurations))
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

/* ---- who fits (J-45) ---- */

/* What the section is after they have been laid over it: counted and stored. */
static struct excess
laid_size(struct evaluator *ev, const struct section *base, const struct effective *e)
{
	struct overlay o = effective_overlay(e);
	struct section laid;

	ev->next.n = 0;
	if (section_lay(base, &o, 1, &ev->next) == LAID_NOTHING)
		return (struct excess){ .counted = twin_counted_size(base->root) };
	laid = section_of(buf_view(&ev->next));
	return (struct excess){ .counted = laid.size, .stored = (uint32_t)laid.bytes.n };
}

static bool
lies_within(struct evaluator *ev, const struct section *base, const struct effective *e)
{
	struct excess size = laid_size(ev, base, e);

	return size.counted <= PROPERTIES_SIZE_MAX && size.stored <= SECTION_STORED_MAX;
}

/* Of these, those that fit beside the ones before them in the order of winning, over that base. */
static struct chosen
choose_fitting(
    struct evaluator *ev, const struct section *base, const struct chosen *among, struct str module)
{
	struct chosen accepted = { 0 };

	for (uint32_t o = 0; o < ev->set->n; o++) {
		struct chosen with = accepted;

		if (!chosen_has(among, ev->set->order[o]))
			continue;
		chosen_add(&with, ev->set->order[o]);
		if (effective_try(&ev->trial, ev->set, &with, module) &&
		    lies_within(ev, base, &ev->trial))
			accepted = with;
	}
	return accepted;
}

/* As if all that any of them says something of were not there: so what one that is applied takes away never counts, and the
 * next evaluation, which does not see it any more, comes to the same. */
static struct section
uncontested(
    struct evaluator *ev, const struct section *is, const struct chosen *among, struct str module)
{
	struct section spared = *is;

	ev->spared.n = 0;
	buf_str(&ev->spared, doc_bytes(is->root));
	for (uint32_t i = 0; i < ev->set->n; i++) {
		if (!chosen_has(among, i))
			continue;
		configuration_spares(ev->set->v[i], module,
		    doc_of_stamped(buf_view(&ev->spared), is->root.w), &ev->patch);
		ev->spared.n = 0;
		buf_str(&ev->spared, buf_view(&ev->patch));
	}
	spared.root = doc_of_stamped(buf_view(&ev->spared), is->root.w);
	return spared;
}

/* Those of these that fit, and the draft with them. Chosen in the order of winning, at first over what nobody contests, then, of
 * those that are left, over what is really there: each round leaves one out at least. */
static struct chosen
draft_choose(struct draft *d, const struct chosen *among, struct str module)
{
	struct evaluator *ev = d->ev;
	struct draft before = *d;
	struct section base = uncontested(ev, &before.is, among, module);
	struct chosen in = choose_fitting(ev, &base, among, module);

	for (;;) {
		*d = before;
		effective_try(&ev->trial, ev->set, &in, module);
		draft_lay(d, &ev->trial, false);
		if (section_fits(&d->is, SECTION_DESIRED) || !chosen_any(&in))
			return in;
		base = d->is;
		in = choose_fitting(ev, &base, &in, module);
	}
}

static bool
chosen_same(struct chosen a, struct chosen b)
{
	return a.bits[0] == b.bits[0] && a.bits[1] == b.bits[1];
}

static void
drop_lowest(const struct configurations *set, struct chosen *among, struct chosen in)
{
	for (uint32_t o = set->n; o-- > 0;)
		if (chosen_has(&in, set->order[o])) {
			chosen_drop(among, set->order[o]);
			return;
		}
}

/*
 * All of a content, or nothing of it. Mostly all fit, and that is known from one look. Else some are chosen; but what a
 * lower one takes away, where a higher one that does not fit owned the path, may make room for that one, and then the
 * lower one would have taken it for nothing: so it is chosen again without the lowest, until that changes nothing.
 */
static struct chosen
draft_settle(struct draft *d, const struct chosen *chosen, struct str module)
{
	struct evaluator *ev = d->ev;
	struct chosen among = *chosen, in = ev->effective->accepted;
	const struct draft before = *d;

	draft_lay(d, ev->effective, false);
	if (section_fits(&d->is, SECTION_DESIRED) || !chosen_any(&in))
		return in;
	for (;;) {
		struct draft again;

		*d = before;
		in = draft_choose(d, &among, module);
		again = *d;
		if (!chosen_any(&in) || chosen_same(draft_choose(&again, &among, module), in))
			break;
		drop_lowest(ev->set, &among, in);
	}
	*d = before;
	effective_try(&ev->trial, ev->set, &in, module);
	draft_lay(d, &ev->trial, false);
	ev->effective = &ev->trial;
	return in;
}

/* Keep what rollouts overwrite, of the draft as it was; false: there is no room for that of *refused. */
static bool
before_rollout_keep_all(struct draft *before, const struct wanted *w, const struct chosen *chosen,
    const struct chosen *in, uint32_t *refused)
{
	struct evaluator *ev = before->ev;
	struct doc_writer dw;

	ev->before_rollout.n = 0;
	doc_writer_init(&dw, &ev->before_rollout, 0);
	doc_begin_object(&dw, 0);
	for (uint32_t i = 0; i < ev->set->n; i++) {
		if (chosen_has(chosen, i) &&
		    !before_rollout_keep(before, &dw, w, ev->set->v[i], chosen_has(in, i))) {
			*refused = i;
			return false;
		}
	}
	doc_end(&dw);
	if (doc_count(doc_of(buf_view(&ev->before_rollout))) == 0)
		ev->before_rollout.n = 0;
	return true;
}

/* Is there something to be put back? */
static bool
restores(const struct evaluator *ev, struct str before_rollout)
{
	struct doc_iter ids = doc_iter(before_rollout.n != 0 ? doc_of(before_rollout) : DOC_NONE);
	struct str id;
	struct doc all;

	while (doc_next(&ids, &id, &all)) {
		const struct configuration *by = configurations_find(ev->set, id);

		if (by != NULL && by->rollout != NULL && rollout_restores(by->rollout))
			return true;
	}
	return false;
}

/* Which of the chosen have their content in the draft afterwards. */
static struct chosen
draft_all(struct draft *d, const struct wanted *w, const struct chosen *chosen, struct str module)
{
	struct evaluator *ev = d->ev;
	struct chosen left = *chosen, in;
	struct draft before;
	uint32_t refused;

	make_effective(ev, &left, module);
	if (restores(ev, w->before_rollout)) {
		draft_lay(d, ev->effective, true);
		draft_restore(d, w->before_rollout);
	}
	before = *d;
	for (;;) {
		in = draft_settle(d, &left, module);
		in = chosen_and(in, ev->effective->owners);
		if (before_rollout_keep_all(&before, w, chosen, &in, &refused))
			break;
		*d = before;
		chosen_add(&d->unkept, refused);
		before.unkept = d->unkept;
		chosen_drop(&left, refused);
		make_effective(ev, &left, module);
	}
	d->rejected = chosen_but(*chosen, ev->effective->accepted);
	return in;
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
family_note(struct family *f, const struct effective *e, struct chosen rejected)
{
	f->owners = chosen_or(f->owners, chosen_and(e->owners, f->force));
	f->failed = chosen_or(f->failed, chosen_and(rejected, f->force));
}

struct doc
family_absent(struct family *f, struct evaluator *ev, struct str module)
{
	make_effective(ev, &f->force, module);
	family_note(f, ev->effective, chosen_but(f->force, ev->effective->accepted));
	return ev->effective->section.root;
}

bool
row_evaluate(struct evaluator *ev, const struct shard *sh, const struct row *r,
    struct family *family, int64_t now_us, struct evaluation *out)
{
	struct draft d = { .ev = ev, .wr = { .kind = SECTION_DESIRED, .now_us = now_us } };
	struct chosen own, chosen, applied;
	struct status_changes st;
	bool ok = wanted_decode(blob_str(r->records[RECORD_WANTED]), &out->wanted);

	assert(ok);
	(void)ok;
	own = match(ev, sh, r, r->module_n != 0 ? CONFIGURATION_MODULE : CONFIGURATION_DEVICE,
	    out->wanted.configurations);
	chosen = family != NULL ? chosen_or(own, family->force) : own;
	out->own = own;
	out->holding = out->rejected = out->unkept = (struct chosen){ 0 };
	out->desired = d.was = d.is = out->wanted.desired;
	if (out->wanted.configurations.n == 0 && !chosen_any(&chosen) &&
	    !(family != NULL && row_is_agent(r) && chosen_any(&family->targeted)) &&
	    !(r->module_n != 0 && written_by_any(ev, &out->wanted.desired)))
		return false;
	applied = draft_all(&d, &out->wanted, &chosen, row_module(r));
	out->holding = applied;
	out->rejected = d.rejected;
	out->unkept = d.unkept;
	if (family != NULL)
		family_note(family, ev->effective, d.rejected);
	applied = chosen_and(applied, own);
	if (family != NULL && row_is_agent(r)) {
		own = chosen_or(own, family->targeted);
		applied = chosen_or(applied, chosen_but(family->owners, family->failed));
	}
	st = statuses_write(ev->set, &own, &applied, out->wanted.configurations, &ev->states);
	out->desired = d.is;
	out->configurations = buf_view(&ev->states);
	out->before_rollout = buf_view(&ev->before_rollout);
	out->changed = d.changed;
	out->targeted = st.targeted;
	out->applied = st.applied;
	out->gone = st.gone;
	out->steps = d.changed || d.moved || st.applied ? 1 + st.targeted : st.targeted || st.gone;
	return d.changed || d.moved || st.targeted || st.applied || st.gone;
}

/* Those that win over i, of these, and i. */
static struct chosen
down_to(const struct configurations *set, const struct chosen *of, uint32_t i)
{
	struct chosen with = { 0 };

	for (uint32_t o = 0; o < set->n && set->order[o] != i; o++)
		if (chosen_has(of, set->order[o]))
			chosen_add(&with, set->order[o]);
	chosen_add(&with, i);
	return with;
}

struct excess
row_excess(struct evaluator *ev, const struct evaluation *e, uint32_t i, struct str module)
{
	struct chosen with = down_to(ev->set, &ev->effective->accepted, i), both;
	struct excess size;
	struct section free_of;

	if (!effective_try(&ev->other, ev->set, &with, module))
		return (struct excess){ .counted = ev->other.section.size,
			.stored = (uint32_t)ev->other.section.bytes.n };
	both = chosen_or(e->holding, e->rejected);
	free_of = uncontested(ev, &e->wanted.desired, &both, module);
	size = laid_size(ev, &free_of, &ev->other);
	if (size.counted <= PROPERTIES_SIZE_MAX && size.stored <= SECTION_STORED_MAX)
		size = laid_size(ev, &e->wanted.desired, &ev->other);
	return size;
}
