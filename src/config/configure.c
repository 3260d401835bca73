/*
 * Configurations applied to twins, inside the commit of the change that concerns them (J-42 to J-54).
 *
 *   a record is written --row_write--> the row is due --end of the operation--> evaluated
 *   another set of configurations --shard_configure--> every row is due: the worker calls shard_sweep, slice by slice
 *
 * A deployment is for edge devices and says what their modules' twins have. So an edge device and its modules are evaluated
 * together, modules that a deployment names are made, and $edgeAgent, the last, bears what has become of each deployment.
 *
 * Evaluating a row that is in line with the set writes nothing (J-49), so a sweep may begin anew at any time: after a
 * restart, a failed commit, or another change of the set. The mark `swept` is written when it is over. A sweep evaluates
 * only rows that the change of the set may concern, as far as it is known what that is (touched.h).
 */
#include <stdlib.h>

#include "config/configure.h"

#define DUE_MAX 4096u /* rows of one operation: a device with its modules, and some to spare */

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

	if (c->ev.set != NULL && c->ev.set->hash == next->hash)
		return;
	c->row = 0;
	touched_add(&c->touched, in_line_with(sh, next), next);
}

void
shard_configure(struct shard *sh, const struct configurations *set)
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

static void
configure_fini(void *state)
{
	struct configure *c = state;

	configurations_free(c->stored);
	evaluator_fini(&c->ev);
	touched_fini(&c->touched);
	buf_fini(&c->notify);
	free(c->due);
}

/* ---- one row ---- */

static void
write_row(struct shard *sh, struct row *r, const struct evaluation *e, const struct hub_env *env)
{
	struct configure *c = configure_of(sh);
	struct str bytes;

	if (c->swept != c->ev.set->hash && c->swept != UNSWEPT)
		swept_write(sh, UNSWEPT, env); /* else the old set, come back, would seem to hold */
	if (e->changed) {
		c->notify.n = 0;
		section_difference(e->wanted.desired.root, e->desired.root,
		    evaluator_stamps(&c->ev, &e->desired), e->desired.version, &c->notify);
	}
	env->scratch->n = 0;
	wanted_encode(env->scratch, e->wanted.counter + e->steps, e->wanted.tags.bytes,
	    e->desired.bytes, e->configurations, e->former);
	bytes = buf_view(env->scratch);
	row_write(sh, r, RECORD_WANTED, &bytes, env);
	if (e->changed)
		desired_notify(r, doc_of(buf_view(&c->notify)), e->desired.version, env);
}

/* Bring a row in line with the set; false if it was. */
static bool
evaluate(struct shard *sh, struct row *r, struct family *family, const struct hub_env *env)
{
	struct evaluation e;

	if (!row_evaluate(&configure_of(sh)->ev, sh, r, family, env->now_us, &e))
		return false;
	write_row(sh, r, &e, env);
	return true;
}

/* A configuration's own writing may change whom it is for: the row is looked at once more, and then left until the next
 * round (J-36). */
static void
row_in_line(struct shard *sh, struct row *r, struct family *family, const struct hub_env *env)
{
	struct configure *c = configure_of(sh);

	if (evaluate(sh, r, family, env) && c->selfish && evaluate(sh, r, family, env)) {
		c->postponed = true;
		c->nlooped++;
	}
}

/* ---- an edge device and its modules ---- */

static bool
at_hand(const struct row *r, unsigned records)
{
	for (unsigned k = 0; k < RECORD_KINDS; k++)
		if ((records & RECORD_BIT(k)) && r->records[k] == NULL)
			return false;
	return true;
}

/* Is the row evaluated with its device, and this an edge one? */
static struct row *
family_of(struct shard *sh, struct row *r)
{
	struct row *device = r->module_n != 0 ? row_find(sh, row_device(r), STR_NONE) : r;

	return configure_of(sh)->ev.set->edge && device->edge ? device : NULL;
}

/* A row of the family, or this row alone, of which some of these are not in memory; NULL: none. */
static struct row *
not_at_hand(struct shard *sh, struct row *r, unsigned records)
{
	struct row *device = family_of(sh, r), *m;

	if (device == NULL)
		return at_hand(r, records) ? NULL : r;
	if (!at_hand(device, records))
		return device;
	for (m = module_first(sh, device); m != NULL; m = module_next(sh, m))
		if (!at_hand(m, records))
			return m;
	return NULL;
}

/* Of the device's own room each change of its modules tells; of the hub's nobody does, so the next round looks again. */
static bool
room_for_module(struct shard *sh, const struct row *device, const struct hub_env *env)
{
	struct configure *c = configure_of(sh);
	uint32_t made = sh->nidentity > c->identities ? sh->nidentity - c->identities : 0;
	struct reply unused = { 0 };

	if (!modules_allowed(sh, device, 1, &unused))
		return false;
	c->postponed |= made >= env->identities_left;
	return made < env->identities_left;
}

/* A module that a deployment names and that is not there is made. false: there is no room for it. */
static bool
module_there(struct shard *sh, struct str device, struct str module, const struct hub_env *env)
{
	struct wish w = { .id = {
		              .enabled = true, .auth = AUTH_SAS, .managed_by = STR("IotEdge") } };

	if (shard_find(sh, device, module) != TABLE_NONE)
		return true;
	if (!room_for_module(sh, row_find(sh, device, STR_NONE), env))
		return false;
	identity_make(sh, device, module, &w, env);
	wish_fini(&w);
	return true;
}

static void
modules_there(struct shard *sh, struct str device, struct family *family, const struct hub_env *env)
{
	const struct configurations *set = configure_of(sh)->ev.set;

	for (uint32_t o = 0; o < set->n; o++) {
		uint32_t i = set->order[o];

		for (uint32_t k = 0; chosen_has(&family->force, i) && k < set->v[i]->npath; k++)
			if (!module_there(sh, device, set->v[i]->paths[k].module, env))
				chosen_add(&family->failed, i);
	}
}

static void
family_in_line(struct shard *sh, uint32_t row, const struct hub_env *env)
{
	struct row *r = row_at(sh, row), *m, *agent = NULL;
	struct family family;

	row_in_line(sh, r, NULL, env);
	family_begin(&family, &configure_of(sh)->ev, sh, r);
	modules_there(sh, row_device(r), &family, env);
	for (m = module_first(sh, row_at(sh, row)); m != NULL; m = module_next(sh, m)) {
		if (row_is_agent(m))
			agent = m;
		else
			row_in_line(sh, m, &family, env);
	}
	if (agent != NULL)
		row_in_line(sh, agent, &family, env);
}

/* A row, or the family that it belongs to. */
static void
bring_in_line(struct shard *sh, struct row *r, const struct hub_env *env)
{
	struct configure *c = configure_of(sh);
	struct row *device = family_of(sh, r);

	if (not_at_hand(sh, r, c->records) != NULL) {
		c->postponed = true;
		return;
	}
	c->running = true;
	if (device != NULL)
		family_in_line(sh, row_number(sh, device), env);
	else
		row_in_line(sh, r, NULL, env);
	c->running = false;
}

/* ---- rows that are due ---- */

static void
mark(struct configure *c, uint32_t row)
{
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

/* It is evaluated at the end of the operation; where it becomes an edge device, or is none any more, its modules are, too. */
static void
configure_row_changed(struct shard *sh, struct row *r, unsigned what)
{
	struct configure *c = configure_of(sh);
	struct row *device;

	if (what & WATCH_EDGE) {
		for (struct row *m = module_first(sh, r); m != NULL; m = module_next(sh, m))
			mark(c, row_number(sh, m));
		return;
	}
	device = family_of(sh, r);
	mark(c, row_number(sh, device != NULL ? device : r));
}

/* Deployments of its device may name a module, or wait for its place. */
static void
configure_row_leaves(struct shard *sh, struct row *r, const struct hub_env *env)
{
	(void)env;
	if (r->module_n != 0 && configure_of(sh)->watch != 0)
		configure_row_changed(sh, r, RECORD_BIT(RECORD_IDENTITY));
}

/* ---- around an operation ---- */

static unsigned
configure_needs(const struct shard *sh, enum op_kind kind)
{
	unsigned changes = RECORD_BIT(RECORD_WANTED);

	switch (kind) {
	case OP_REPORT: changes = RECORD_BIT(RECORD_REPORTED); break;
	case OP_CONNECT: changes = RECORD_BIT(RECORD_IDENTITY) | WATCH_PRESENCE; break;
	case OP_DISCONNECT: changes = WATCH_PRESENCE; break;
	case OP_SUBSCRIBE:
	case OP_UNSUBSCRIBE:
	case OP_EVENTS:
	case OP_TELEMETRY: return 0;
	default:
		if (!op_writes(kind))
			return 0;
	}
	return configure_of(sh)->watch & changes ? configure_of(sh)->records : 0;
}

static unsigned
configure_missing(struct shard *sh, const struct op *op, struct buf *key)
{
	unsigned records = configure_needs(sh, op->kind), missing;
	struct row *device = row_find(sh, op->device, STR_NONE), *m;
	bool may_turn =
	    op->module.n == 0 && (op->kind == OP_IDENTITY_PUT || op->kind == OP_IDENTITY_IMPORT);

	if (records == 0 || !configure_of(sh)->ev.set->edge || device == NULL ||
	    !(device->edge || may_turn))
		return 0;
	missing = shard_row_missing(sh, row_number(sh, device), records, key);
	for (m = module_first(sh, device); m != NULL && missing == 0; m = module_next(sh, m))
		missing = shard_row_missing(sh, row_number(sh, m), records, key);
	return missing;
}

/* The twin's record, if it is one that a back end writes: from here on the caller's. */
static struct blob *
written_by_back_end(struct shard *sh, const struct op *op)
{
	struct row *r = NULL;

	if (op->kind == OP_TWIN_PATCH || op->kind == OP_TWIN_REPLACE)
		r = row_find(sh, op->device, op->module);
	return r != NULL ? blob_ref(r->records[RECORD_WANTED]) : NULL;
}

static void
configure_begin(struct shard *sh, const struct op *op)
{
	struct configure *c = configure_of(sh);

	c->identities = sh->nidentity;
	c->was = written_by_back_end(sh, op);
}

static void
evaluate_due(struct shard *sh, struct configure *c, const struct hub_env *env)
{
	for (uint32_t i = 0; i < c->ndue; i++) {
		struct row *due = c->due[i] < sh->nrow ? row_at(sh, c->due[i]) : NULL;

		if (due == NULL || due->id == NULL)
			continue;
		if (env->can_write)
			bring_in_line(sh, due, env);
		else
			c->postponed = true;
	}
	c->ndue = 0;
}

/* It is shown as it is now, so that its etag holds, and who wrote it is told what configurations did not let stand. */
static void
answer_again(struct shard *sh, const struct op *op, const struct blob *said,
    const struct hub_env *env, struct reply *reply)
{
	struct configure *c = configure_of(sh);
	struct row *r = row_find(sh, op->device, op->module);
	const struct blob *now = r->records[RECORD_WANTED];

	if (now == said || reply->fault.code != F_NONE)
		return;
	overruled_warn(c->ev.set, blob_str(c->was), blob_str(said), blob_str(now), &reply->warning);
	reply->body.n = 0;
	on_twin_read(sh, r, op, env, reply);
}

/* Configurations have the last word. */
static void
configure_end(struct shard *sh, const struct op *op, const struct hub_env *env, struct reply *reply)
{
	struct configure *c = configure_of(sh);
	struct blob *said = c->was != NULL ? written_by_back_end(sh, op) : NULL;

	evaluate_due(sh, c, env);
	if (said != NULL && reply != NULL)
		answer_again(sh, op, said, env, reply);
	blob_unref(said);
	blob_unref(c->was);
	c->was = NULL;
}

/* ---- all rows ---- */

bool
shard_sweep_awaited(const struct shard *sh)
{
	const struct configure *c = configure_of(sh);

	return c->ev.set != NULL && (c->again || c->swept != c->ev.set->hash);
}

void
shard_sweep_restart(struct shard *sh)
{
	struct configure *c = configure_of(sh);

	if (c->ev.set == NULL)
		return;
	c->row = 0;
	touched_all(&c->touched);
}

void
shard_sweep_again(struct shard *sh)
{
	struct configure *c = configure_of(sh);

	if (c->ev.set == NULL || shard_sweep_awaited(sh) || !(c->timed || c->postponed))
		return;
	c->postponed = false;
	c->again = true;
	c->row = 0;
	touched_all(&c->touched);
}

uint32_t
shard_family_row(struct shard *sh, uint32_t row, unsigned *records)
{
	struct row *missing = NULL;

	if (configure_of(sh)->watch != 0 && row < sh->nrow && row_at(sh, row)->id != NULL) {
		*records = configure_of(sh)->records;
		missing = not_at_hand(sh, row_at(sh, row), *records);
	}
	return missing != NULL ? row_number(sh, missing) : TABLE_NONE;
}

/* The row that the sweep is at; NULL: it is none, or a module that comes with its device. */
static struct row *
sweep_at(struct shard *sh)
{
	const struct configure *c = configure_of(sh);
	struct row *r = c->row < sh->nrow ? row_at(sh, c->row) : NULL;

	if (r == NULL || r->id == NULL || (r->module_n != 0 && family_of(sh, r) != NULL))
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
	struct row *device = family_of(sh, r), *m;
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
shard_sweep_row(struct shard *sh, unsigned *records)
{
	struct configure *c = configure_of(sh);
	struct row *r = sweep_at(sh), *missing = NULL;

	c->passes = false;
	if (r != NULL && !c->touched.all) {
		*records = records_to_decide(&c->touched);
		missing = not_at_hand(sh, r, *records);
		c->passes = missing == NULL && !concerns(sh, r);
	}
	if (r != NULL && missing == NULL && !c->passes) {
		*records = c->records;
		missing = not_at_hand(sh, r, *records);
	}
	return missing != NULL ? row_number(sh, missing) : TABLE_NONE;
}

void
shard_sweep(struct shard *sh, const struct hub_env *env)
{
	struct configure *c = configure_of(sh);
	struct row *r = sweep_at(sh);

	c->identities = sh->nidentity;
	if (c->row < sh->nrow) {
		if (r != NULL && !c->passes)
			bring_in_line(sh, r, env);
		c->row++;
		return;
	}
	c->again = false;
	touched_none(&c->touched);
	if (c->swept != c->ev.set->hash)
		swept_write(sh, c->ev.set->hash, env);
}

uint64_t
shard_looped(const struct shard *sh)
{
	return configure_of(sh)->nlooped;
}

/* ---- the feature ---- */

static const struct feature_ops operations = {
	.operations = { [OP_CONFIGURATION_PUT] = on_configuration_put,
	    [OP_CONFIGURATION_DELETE] = on_configuration_delete,
	    [OP_ROLLOUT] = on_rollout,
	    [OP_APPLY_CONTENT] = on_apply_content },
	.needs = configure_needs,
	.missing = configure_missing,
	.begin = configure_begin,
	.end = configure_end,
};

const struct feature configuration_feature = {
	.state_bytes = sizeof(struct configure),
	.fini = configure_fini,
	.key_prefixes = configure_key_prefixes,
	.load = configure_load,
	.next_prefix = configure_next_prefix,
	.value = configure_value,
	.row_changed = configure_row_changed,
	.row_leaves = configure_row_leaves,
	.ops = &operations,
};
