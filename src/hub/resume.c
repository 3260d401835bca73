/*
 * A session whose link lives on while its shard gets another owner (O-231 to O-234). The edge that holds the link offers it; it is taken up if
 * everything that the new owner does not know cannot have mattered, and else its link is closed: the device comes again and asks for
 * what it has missed.
 *
 * Nothing is written for it. Locks of messages went with the former owner, so it is given what waits.
 */
#include "hub/priv.h"

#include <stdlib.h>

/* Etags of one generation differ, so these do. */
uint64_t
identity_stamp(const struct row *r)
{
	struct identity id;

	row_read_identity(r, &id);
	return id.generation ^ id.etag * UINT64_C(0x9E3779B97F4A7C15);
}

/* ---- may it go on? ---- */

/* For a module of its device, too, which may have changed while the module has not. */
static enum reason
judge_identity(struct shard *sh, const struct row *r, const struct op *op)
{
	const struct row *device = op->module.n == 0 ? r : row_find(sh, op->device, STR_NONE);
	struct identity id;
	struct auth_keys keys;

	if (r == NULL || device == NULL)
		return REASON_DELETED;
	if (device->disabled || r->disabled)
		return REASON_DISABLED;
	if (identity_stamp(r) != op->resume.identity)
		return REASON_IDENTITY_CHANGED;
	if (op->resume.opened.by != OPENED_BY_PARENT)
		return REASON_NONE;
	row_read_identity(device, &id);
	keys = identity_keys(&id);
	return opened_holds(&op->resume.opened, &keys) ? REASON_NONE : REASON_PARENT_KEY_CHANGED;
}

static bool
is_session(const struct presence *p, const struct op *op)
{
	return p != NULL && p->session_epoch == op->session_epoch &&
	    reply_to_same(&p->session, &op->reply_to);
}

/* A newer one is there; or has been, for a clean session leaves nothing stored and another one does. */
static bool
superseded(const struct row *r, const struct op *op)
{
	const struct presence *p = r->presence;

	if (p != NULL && p->session_epoch >= op->session_epoch && !is_session(p, op))
		return true;
	return op->resume.clean == (r->records[RECORD_SESSION] != &blob_none);
}

static bool
desired_missed(const struct row *r, const struct blob *filters, uint64_t told)
{
	struct wanted w;

	if (!(filters_mask(filters) & 1u << FILTER_DESIRED))
		return false;
	row_read_wanted(r, &w);
	return told != w.desired.version;
}

static enum reason
judge(struct shard *sh, const struct row *r, const struct op *op, const struct blob *filters)
{
	enum reason why = judge_identity(sh, r, op);

	if (why != REASON_NONE)
		return why;
	if (superseded(r, op))
		return REASON_TAKEN_OVER;
	return desired_missed(r, filters, op->resume.desired) ? REASON_DESIRED_MISSED : REASON_NONE;
}

/* ---- it goes on, or it does not ---- */

/* What it listens to, to be unreferenced. */
static struct blob *
filters_of(const struct row *r, const struct op *op)
{
	struct buf b = { 0 };
	struct blob *filters;

	if (!op->resume.clean && r != NULL)
		return blob_ref(r->records[RECORD_SESSION]);
	buf_putc(&b, SESSION_FORMAT);
	buf_str(&b, op->payload);
	filters = blob_new(buf_view(&b));
	buf_fini(&b);
	return filters;
}

static void
take_up(struct shard *sh, struct row *r, const struct op *op, struct blob *filters,
    const struct hub_env *env)
{
	struct presence *p = xcalloc(1, sizeof(*p));

	presence_close(sh, r, REASON_TAKEN_OVER, false, env); /* an older one */
	p->session = op->reply_to;
	p->opened = op->resume.opened;
	p->session_epoch = op->session_epoch;
	p->clean = op->resume.clean;
	p->filters = blob_ref(filters);
	p->listens = filters_mask(filters);
	row_set_presence(sh, r, p);
	r->presence_us = op->resume.since_us;
	if (r->activity_us < op->resume.since_us)
		r->activity_us = op->resume.since_us;
	connection_resumed(sh, r, env);
	calls_wake(sh, r, env);
	messages_look(sh, r, env);
}

void
on_resume(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct blob *filters = filters_of(r, op);
	enum reason why = judge(sh, r, op, filters);

	if (why == REASON_NONE && !is_session(r->presence, op)) {
		take_up(sh, r, op, filters, env);
	} else if (why != REASON_NONE) {
		if (r != NULL && is_session(r->presence, op))
			presence_close(sh, r, why, false, env);
		reply->gone = true;
		reply->reason = why;
		fault_set(&reply->fault, F_ConnectionForcefullyClosedOnNewConnection, "%s",
		    reason_text(why));
	}
	blob_unref(filters);
}
