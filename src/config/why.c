/*
 * See why.h. A row is evaluated as a commit would (row_evaluate); what it bears tells what is so, and what the evaluation left
 * out tells why. Deployments are told of once for a device, after all of its modules.
 */
#include "config/why.h"

#include <stdlib.h>

#include "config/config.h"
#include "config/reasons.h"
#include "config/status.h"

const char *const why_state_names[WHY_STATES] = { [WHY_ALL] = "",
	[WHY_TARGETED] = "targeted",
	[WHY_REACHED] = "reached",
	[WHY_APPLIED] = "applied",
	[WHY_NOT_REACHED] = "notReached",
	[WHY_NOT_APPLIED] = "notApplied" };

struct why {
	struct configurations *set;
	struct evaluator ev;
	uint32_t one; /* index of the configuration asked for; set->n: all */
	enum why_state state;
	struct buf names; /* of the twin asked for */
	struct str id, module;
	struct query_ids ids;
	/* the row at hand */
	struct shard *sh;
	const struct row *row;
	const struct why_when *when;
	struct reasons reasons[CONFIGURATIONS_MAX];
	uint32_t n;     /* entries written */
	struct out out; /* of them */
};

static struct why *
new_of(const struct configurations *set)
{
	struct why *y = xcalloc(1, sizeof(*y));

	y->set = configurations_copy(set);
	y->one = y->set->n;
	evaluator_use(&y->ev, y->set);
	return y;
}

struct why *
why_new(const struct configurations *set, struct str id, enum why_state state)
{
	struct why *y = new_of(set);

	y->state = state;
	for (y->one = 0; y->one < y->set->n && !str_eq(y->set->v[y->one]->id, id);)
		y->one++;
	assert(y->one < y->set->n);
	return y;
}

struct why *
why_twin(const struct configurations *set, struct str device, struct str module)
{
	struct why *y = new_of(set);

	buf_str(&y->names, device);
	buf_str(&y->names, module);
	y->id = (struct str){ y->names.p, device.n };
	y->module = str_sub(buf_view(&y->names), device.n);
	y->ids = (struct query_ids){ .given = true, .n = 1, .v = &y->id };
	return y;
}

void
why_ask(const struct why *y, struct buf *out)
{
	buf_le64(out, y->set->hash);
	buf_putc(out, (char)y->state);
	buf_lstr(out, y->id);
	buf_lstr(out, y->module);
	buf_lstr(out, y->one < y->set->n ? y->set->v[y->one]->id : STR_NONE);
}

enum err
why_made(const struct configurations *set, struct str text, struct why **out, struct fault *f)
{
	struct rd rd = rd_of(text);
	uint64_t hash = rd_le64(&rd);
	unsigned state = rd_u8(&rd);
	struct str device = rd_lstr(&rd), module = rd_lstr(&rd), id = rd_lstr(&rd);

	if (rd.bad || state >= WHY_STATES || (device.n == 0) == (id.n == 0))
		return fault_set(f, F_ServerError, "a node asks what cannot be read");
	if (hash != (set != NULL ? set->hash : 0) ||
	    (id.n > 0 && configurations_find(set, id) == NULL))
		return fault_set(f, F_ServiceUnavailable,
		    "the nodes have different configurations at the moment, try again later");
	*out = id.n > 0 ? why_new(set, id, (enum why_state)state) : why_twin(set, device, module);
	return ERR_OK;
}

void
why_free(struct why *y)
{
	if (y == NULL)
		return;
	for (uint32_t i = 0; i < CONFIGURATIONS_MAX; i++)
		reasons_fini(&y->reasons[i]);
	evaluator_fini(&y->ev);
	configurations_free(y->set);
	buf_fini(&y->names);
	free(y);
}

const struct query_ids *
why_ids(const struct why *y)
{
	return &y->ids;
}

static const struct configuration *
asked_for(const struct why *y)
{
	return y->one < y->set->n ? y->set->v[y->one] : NULL;
}

/* ---- which rows ---- */

/* The row that a walk comes by for the twin asked for is its device's. */
bool
why_wants(const struct why *y, const struct shard *sh, uint32_t row)
{
	const struct configuration *c = asked_for(y);
	const struct row *r = row_at(sh, row);

	if (r->id == NULL)
		return false;
	if (c == NULL)
		return r->module_n == 0;
	return row_is_about(r, c);
}

static struct row *
row_asked(const struct why *y, struct shard *sh, uint32_t row)
{
	return y->module.n == 0 ? row_at(sh, row) : row_find(sh, y->id, y->module);
}

enum err
why_check_row(const struct why *y, struct shard *sh, uint32_t row, struct fault *f)
{
	if (row_asked(y, sh, row) != NULL)
		return ERR_OK;
	return fault_set(
	    f, F_ModuleNotFound, STR_FMT "/" STR_FMT, STR_ARG(y->id), STR_ARG(y->module));
}

/* Are deployments among what is asked for, and does the row belong to an edge device? */
static struct row *
family_of(const struct why *y, struct shard *sh, const struct row *r)
{
	const struct configuration *c = asked_for(y);
	struct row *device = row_find(sh, row_device(r), STR_NONE);

	if (!y->set->edge || device == NULL || !device->edge)
		return NULL;
	return c == NULL || c->kind != CONFIGURATION_DEVICE ? device : NULL;
}

static bool
is_missing(const struct row *r, unsigned records)
{
	for (unsigned k = 0; k < RECORD_KINDS; k++)
		if ((records & RECORD_BIT(k)) && r->records[k] == NULL)
			return true;
	return false;
}

uint32_t
why_row(struct why *y, struct shard *sh, uint32_t row, unsigned *records)
{
	struct row *r = row_asked(y, sh, row), *device, *m;

	*records = evaluator_records(y->set);
	if (r == NULL)
		return TABLE_NONE;
	if (is_missing(r, *records))
		return row_number(sh, r);
	if ((device = family_of(y, sh, r)) == NULL)
		return TABLE_NONE;
	if (is_missing(device, *records))
		return row_number(sh, device);
	for (m = module_first(sh, device); m != NULL; m = module_next(sh, m))
		if (is_missing(m, *records))
			return row_number(sh, m);
	return TABLE_NONE;
}

/* ---- an entry ---- */

struct standing {
	bool targeted, reached, applied;
};

static bool
is_wanted(enum why_state state, const struct standing *v)
{
	switch (state) {
	case WHY_TARGETED: return v->targeted;
	case WHY_REACHED: return v->targeted && v->reached;
	case WHY_APPLIED: return v->applied;
	case WHY_NOT_REACHED: return v->targeted && !v->reached;
	case WHY_NOT_APPLIED: return v->targeted && !v->applied;
	default: return v->targeted || v->applied;
	}
}

static void
put_entry(struct why *y, uint32_t i, const struct standing *v)
{
	const struct configuration *c = y->set->v[i];
	struct out *o = &y->out;

	if (asked_for(y) != NULL && !is_wanted(y->state, v))
		return;
	y->n++;
	out_open(o);
	row_put_ids(o, y->row);
	out_str(out_key(o, "configurationId"), c->id);
	out_i64(out_key(o, "priority"), c->priority);
	out_bool(out_key(o, "targeted"), v->targeted);
	out_bool(out_key(o, "reached"), v->reached);
	out_bool(out_key(o, "applied"), v->applied);
	reasons_put(&y->reasons[i], o);
	out_close(o);
}

static bool
is_asked(const struct why *y, uint32_t i)
{
	return y->one == y->set->n || y->one == i;
}

static struct str
bears(const struct row *r)
{
	struct wanted w;

	return wanted_decode(blob_str(r->records[RECORD_WANTED]), &w) ? w.configurations : STR_NONE;
}

static void
late(struct why *y, uint32_t i)
{
	reason_late(&y->reasons[i], configure_sweep_awaited(y->sh), y->when);
}

/* Its condition is true for the row, but it may not have reached it. */
static void
note_target(struct why *y, const struct row *r, uint32_t i, struct str names, struct standing *v)
{
	const struct configuration *c = y->set->v[i];

	v->targeted = row_matches(&y->ev, y->sh, r, c);
	v->reached = v->targeted && row_is_reached(&y->ev, y->sh, r, c, names);
	if (!v->targeted)
		reason_condition(&y->reasons[i]);
	else if (!v->reached)
		reason_rollout(
		    &y->reasons[i], c->rollout, shard_row_hash(y->sh, row_number(y->sh, r)));
}

/* ---- device and module configurations ---- */

static void
row_entries(struct why *y, struct family *family)
{
	struct evaluation e;
	struct str names = bears(y->row);
	bool changes = row_evaluate(&y->ev, y->sh, y->row, family, y->when->now_us, &e);

	for (uint32_t i = 0; i < y->set->n; i++) {
		const struct configuration *c = y->set->v[i];
		struct standing v = { .applied = status_is(status_of(names, c->id), "Applied") };

		if (!is_asked(y, i) || c->kind == CONFIGURATION_EDGE || !row_is_about(y->row, c))
			continue;
		note_target(y, y->row, i, names, &v);
		if (chosen_has(&e.own, i))
			reasons_of_content(&y->reasons[i], &y->ev, &e, i, row_module(y->row));
		if (changes && v.applied != chosen_has(&e.holding, i))
			late(y, i);
		put_entry(y, i, &v);
	}
}

/* ---- deployments ---- */

/* Modules that deployment i names and that are not there: those for which there is no room are told. How many are absent. */
static uint32_t
absent_modules(struct why *y, const struct row *device, uint32_t i)
{
	const struct configuration *c = y->set->v[i];
	bool fits = modules_check_room(y->sh, device, 1, NULL) == ERR_OK;
	uint32_t n = 0;

	for (uint32_t k = 0; k < c->npath; k++) {
		struct str module = c->paths[k].module;

		if (shard_find(y->sh, row_device(device), module) != TABLE_NONE ||
		    (k > 0 && str_eq(c->paths[k - 1].module, module)))
			continue;
		n++;
		if (!fits || !y->when->has_room)
			reason_module(&y->reasons[i], module, !fits);
	}
	return n;
}

/* Of the deployments that count, what becomes of them in this module. */
static void
module_reasons(struct why *y, const struct row *m, struct family *f, struct evaluation *e)
{
	(void)row_evaluate(&y->ev, y->sh, m, f, y->when->now_us, e);
	for (uint32_t i = 0; i < y->set->n; i++)
		if (is_asked(y, i) && chosen_has(&f->force, i))
			reasons_of_content(&y->reasons[i], &y->ev, e, i, row_module(m));
}

static const struct row *
family_reasons(struct why *y, const struct row *device, struct family *f)
{
	const struct row *m, *agent = NULL;
	struct evaluation e;

	family_begin(f, &y->ev, y->sh, device);
	for (m = module_first(y->sh, device); m != NULL; m = module_next(y->sh, m)) {
		if (row_is_agent(m))
			agent = m;
		else
			module_reasons(y, m, f, &e);
	}
	if (agent != NULL)
		module_reasons(y, agent, f, &e);
	return agent;
}

static void
deployment_entry(
    struct why *y, const struct row *device, const struct family *f, uint32_t i, struct str names)
{
	const struct configuration *c = y->set->v[i],
	                           *base = deployment_above(y->set, &f->targeted, &f->force, i);
	struct standing v = { .applied = status_is(status_of(names, c->id), "Applied") };
	bool due = chosen_has(&f->owners, i) && !chosen_has(&f->failed, i);
	uint32_t told;

	note_target(y, device, i, STR_NONE, &v);
	if (base != NULL)
		reason_base(&y->reasons[i], base);
	told = y->reasons[i].n;
	if (chosen_has(&f->force, i) && absent_modules(y, device, i) > 0)
		due = y->reasons[i].n == told; /* if there is room, they are about to be made */
	if (due != v.applied)
		late(y, i);
	put_entry(y, i, &v);
}

static void
device_entries(struct why *y, const struct row *device)
{
	struct family f;
	const struct row *agent = family_reasons(y, device, &f);
	struct str names = agent != NULL ? bears(agent) : STR_NONE;

	for (uint32_t i = 0; i < y->set->n; i++)
		if (is_asked(y, i) && y->set->v[i]->kind == CONFIGURATION_EDGE)
			deployment_entry(y, device, &f, i, names);
}

/* Of a module the deployments of its device that name it; whether they are applied is asked of the module alone. */
static bool
names_module(const struct configuration *c, struct str module)
{
	for (uint32_t k = 0; c->kind == CONFIGURATION_EDGE && k < c->npath; k++)
		if (str_eq(c->paths[k].module, module))
			return true;
	return false;
}

static void
module_entries(struct why *y, const struct row *device)
{
	struct evaluation e;
	struct family f;

	family_begin(&f, &y->ev, y->sh, device);
	module_reasons(y, y->row, &f, &e);
	for (uint32_t i = 0; i < y->set->n; i++) {
		const struct configuration *base =
		    deployment_above(y->set, &f.targeted, &f.force, i);
		bool targeted = chosen_has(&f.targeted, i);
		struct standing v = { targeted, targeted, chosen_has(&e.holding, i) };

		if (!names_module(y->set->v[i], row_module(y->row)))
			continue;
		if (!targeted)
			reason_condition(&y->reasons[i]);
		if (base != NULL)
			reason_base(&y->reasons[i], base);
		put_entry(y, i, &v);
	}
}

static void
entries(struct why *y)
{
	const struct configuration *c = asked_for(y);
	const struct row *device = family_of(y, y->sh, y->row);
	bool is_module = y->row->module_n > 0, edge = c != NULL && c->kind == CONFIGURATION_EDGE;
	struct family f;

	if (device != NULL)
		family_begin(&f, &y->ev, y->sh, device);
	if (!edge)
		row_entries(y, device != NULL && is_module ? &f : NULL);
	if (device != NULL && !is_module && (c == NULL || edge))
		device_entries(y, device);
	else if (device != NULL && is_module && c == NULL)
		module_entries(y, device);
}

uint32_t
why_visit(
    struct why *y, struct shard *sh, uint32_t row, const struct why_when *when, struct buf *json)
{
	y->sh = sh;
	y->row = row_asked(y, sh, row);
	y->when = when;
	y->out = out_to(json);
	y->n = 0;
	for (uint32_t i = 0; i < y->set->n; i++)
		reasons_fini(&y->reasons[i]);
	if (y->row != NULL)
		entries(y);
	return y->n;
}
