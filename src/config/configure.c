/*
 * Configurations applied to twins, inside the commit of the change that concerns them (J-42 to J-54).
 *
 *   a record is written --row_write--> the row is due --end of the operation--> evaluated
 *   another set of configurations --configure_use--> every row is due: sweep.c
 *
 * A deployment is for edge devices and says what their modules' twins have. So an edge device and its modules are evaluated
 * together, modules that a deployment names are made, and $edgeAgent, the last, bears what has become of each deployment.
 */
#include <stdio.h>
#include <stdlib.h>

#include "config/configure.h"

#define DUE_MAX 4096u /* rows of one operation: a device with its modules, and some to spare */

/* ---- one row ---- */

/* The wave that a rollout of this configuration is in, as a cause; empty: none. */
static struct str
wave_of(const struct configurations *set, struct str id, char room[24])
{
	const struct configuration *c = configurations_find(set, id);

	if (c == NULL || c->rollout == NULL || c->rollout->begun == 0)
		return STR_NONE;
	snprintf(room, 24, "wave:%u", c->rollout->begun);
	return str_of(room);
}

static void
write_row(struct shard *sh, struct row *r, const struct evaluation *e, const struct hub_env *env)
{
	struct configure *c = configure_of(sh);
	struct log_cause was;
	struct str bytes;
	char wave[24];

	if (c->swept != c->ev.set->hash && c->swept != UNSWEPT)
		swept_write(sh, UNSWEPT, env); /* else the old set, come back, would seem to hold */
	if (e->changed) {
		c->notify.n = 0;
		section_difference(e->wanted.desired.root, e->desired.root,
		    evaluator_stamps(&c->ev, &e->desired), e->desired.version, &c->notify);
	}
	env->scratch->n = 0;
	wanted_encode(env->scratch, e->wanted.counter + e->steps, e->wanted.tags.bytes,
	    e->desired.bytes, e->configurations, e->before_rollout);
	bytes = buf_view(env->scratch);
	was = log_because(sh, ACTOR_CONFIGURATION, section_stamp(&e->desired, 0).by);
	sh->log.cause.why = wave_of(c->ev.set, sh->log.cause.name, wave);
	row_write(sh, r, RECORD_WANTED, &bytes, env);
	sh->log.cause = was;
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

/* What evaluating a row takes: what is written of it has its twin's version in the log. */
unsigned
row_wants(const struct configure *c, const struct row *r)
{
	return c->records | row_version_needs(r);
}

static bool
at_hand(const struct row *r, unsigned records)
{
	for (unsigned k = 0; k < RECORD_KINDS; k++)
		if ((records & RECORD_BIT(k)) && r->records[k] == NULL)
			return false;
	return true;
}

/* Is the row evaluated with its device, and this an edge one? */
struct row *
row_family_of(struct shard *sh, struct row *r)
{
	struct row *device = r->module_n != 0 ? row_find(sh, row_device(r), STR_NONE) : r;

	return configure_of(sh)->ev.set->edge && device->edge ? device : NULL;
}

/* A row of the family, or this row alone, of which some of these are not in memory; NULL: none. */
struct row *
row_not_at_hand(struct shard *sh, struct row *r, unsigned records)
{
	struct row *device = row_family_of(sh, r), *m;

	if (device == NULL)
		return at_hand(r, records) ? NULL : r;
	if (!at_hand(device, records))
		return device;
	for (m = module_first(sh, device); m != NULL; m = module_next(sh, m))
		if (!at_hand(m, records))
			return m;
	return NULL;
}

struct row *
row_not_ready(struct shard *sh, struct row *r)
{
	const struct configure *c = configure_of(sh);
	struct row *device = row_family_of(sh, r), *m;

	if (device == NULL)
		return at_hand(r, row_wants(c, r)) ? NULL : r;
	if (!at_hand(device, row_wants(c, device)))
		return device;
	for (m = module_first(sh, device); m != NULL; m = module_next(sh, m))
		if (!at_hand(m, row_wants(c, m)))
			return m;
	return NULL;
}

/* Of the device's own room each change of its modules tells; of the hub's nobody does, so the next round looks again. */
static bool
room_for_module(struct shard *sh, const struct row *device, const struct hub_env *env)
{
	struct configure *c = configure_of(sh);
	uint32_t made = sh->nidentity > c->identities ? sh->nidentity - c->identities : 0;

	if (modules_check_room(sh, device, 1, NULL) != ERR_OK)
		return false;
	c->postponed |= made >= env->identities_left;
	return made < env->identities_left;
}

/* A module that a deployment names and that is not there is made, by it. false: there is no room for it. */
static bool
module_there(struct shard *sh, struct str device, struct str module, struct str deployment,
    const struct hub_env *env)
{
	struct identity_request w = {
		.id = { .enabled = true, .auth = AUTH_SAS, .managed_by = STR("IotEdge") }
	};
	struct log_cause was;

	if (shard_find(sh, device, module) != TABLE_NONE)
		return true;
	if (!room_for_module(sh, row_find(sh, device, STR_NONE), env))
		return false;
	was = log_because(sh, ACTOR_CONFIGURATION, deployment);
	identity_make(sh, device, module, &w, env);
	sh->log.cause = was;
	identity_request_fini(&w);
	return true;
}

static void
modules_there(struct shard *sh, struct str device, struct family *family, const struct hub_env *env)
{
	const struct configurations *set = configure_of(sh)->ev.set;

	for (uint32_t o = 0; o < set->n; o++) {
		uint32_t i = set->order[o];

		for (uint32_t k = 0; chosen_has(&family->force, i) && k < set->v[i]->npath; k++)
			if (!module_there(
			        sh, device, set->v[i]->paths[k].module, set->v[i]->id, env))
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
void
row_bring_in_line(struct shard *sh, struct row *r, const struct hub_env *env)
{
	struct configure *c = configure_of(sh);
	struct row *device = row_family_of(sh, r);

	if (row_not_ready(sh, r) != NULL) {
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
void
configure_row_changed(struct shard *sh, struct row *r, unsigned what)
{
	struct configure *c = configure_of(sh);
	struct row *device;

	if (what & WATCH_EDGE) {
		for (struct row *m = module_first(sh, r); m != NULL; m = module_next(sh, m))
			mark(c, row_number(sh, m));
		return;
	}
	device = row_family_of(sh, r);
	mark(c, row_number(sh, device != NULL ? device : r));
}

/* Deployments of its device may name a module, or wait for its place. */
void
configure_row_leaves(struct shard *sh, struct row *r, const struct hub_env *env)
{
	(void)env;
	if (r->module_n != 0 && configure_of(sh)->watch != 0)
		configure_row_changed(sh, r, RECORD_BIT(RECORD_IDENTITY));
}

/* ---- around an operation ---- */

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
	case OP_EVENTS:
	case OP_TELEMETRY: return 0;
	default:
		if (!op_writes(kind))
			return 0;
	}
	return configure_of(sh)->watch & changes ? configure_of(sh)->records : 0;
}

unsigned
configure_missing(struct shard *sh, const struct op *op, struct buf *key)
{
	unsigned records = configure_needs(sh, op->kind), missing;
	struct row *device = row_find(sh, op->device, STR_NONE), *m;
	bool may_turn =
	    op->module.n == 0 && (op->kind == OP_IDENTITY_PUT || op->kind == OP_IDENTITY_IMPORT);

	if (records == 0 || !configure_of(sh)->ev.set->edge || device == NULL ||
	    !(device->edge || may_turn))
		return 0;
	missing =
	    shard_row_missing(sh, row_number(sh, device), records | row_version_needs(device), key);
	for (m = module_first(sh, device); m != NULL && missing == 0; m = module_next(sh, m))
		missing =
		    shard_row_missing(sh, row_number(sh, m), records | row_version_needs(m), key);
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

void
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
			row_bring_in_line(sh, due, env);
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
void
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

uint32_t
configure_family_row(struct shard *sh, uint32_t row, unsigned *records)
{
	struct row *missing = NULL;

	if (configure_of(sh)->watch != 0 && row < sh->nrow && row_at(sh, row)->id != NULL) {
		missing = row_not_ready(sh, row_at(sh, row));
		*records = missing != NULL ? row_wants(configure_of(sh), missing) : 0;
	}
	return missing != NULL ? row_number(sh, missing) : TABLE_NONE;
}
