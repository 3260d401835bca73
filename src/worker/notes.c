/* What operations tell others, behind their commit: notifications to links, calls of methods, new sets of configurations and jobs. */
#include "worker/priv.h"

#include <stdlib.h>

static void
post(struct worker *w, struct note *n)
{
	const struct fleet_options *o = &w->fleet->o;

	if (o->elsewhere != NULL && n->session.node != o->slot)
		o->elsewhere->note(o->elsewhere->ctx, n);
	else
		loop_post(o->loops[n->session.loop], &n->msg);
}

bool
fleet_note(struct fleet *f, const struct effect *e)
{
	if (e->session.loop >= f->o.nloop || e->session.node != f->o.slot)
		return false;
	loop_post(f->o.loops[e->session.loop], &note_new(e, f->o.on_note)->msg);
	return true;
}

/* A device is not called: its caller does not wait for it, and cancels. */
static void
call_unsent(struct worker *w, const struct note *n)
{
	const struct effect e = { .kind = EFFECT_CALL_UNSENT, .session = n->caller };

	if (n->caller.caller == CALLER_JOB)
		job_call_heard(w, &e);
	else
		post(w, note_new(&e, w->fleet->o.on_note));
}

/* The session gets its message: the record is on disk by now. NULL: it cannot be read. */
static struct note *
message_note(struct worker *w, const struct note *n)
{
	struct effect e = { .kind = EFFECT_MESSAGE,
		.session = n->session,
		.call = n->call,
		.qos = n->qos,
		.dup = n->dup };
	struct note *whole = NULL;

	w->value.n = 0;
	if (message_fetch(w, n->body, &w->value) == ERR_OK) {
		e.body = buf_view(&w->value);
		e.size = n->size;
		whole = note_new(&e, w->fleet->o.on_note);
		whole->counted = &w->fleet->message_bytes;
	}
	return whole;
}

/* Its device does not hear of a change that stays: so it comes again, and reads its twin. */
static void
close_unheard(struct worker *w, const struct note *n)
{
	const struct effect e = { .kind = EFFECT_CLOSE,
		.session = n->session,
		.reason = REASON_UNAVAILABLE,
		.paced = true };

	post(w, note_new(&e, w->fleet->o.on_note));
}

/* After a failure nothing was promised: notifications go nowhere. A close still goes: its client comes back. So does
 * what a device answered: no store had a part in it. */
static void
note_goes(void *ctx, void *p, enum gate_end end)
{
	struct worker *w = ctx;
	struct note *n = p, *whole;

	if (n->kind == EFFECT_MESSAGE) {
		whole = end == GATE_ON_DISK ? message_note(w, n) : NULL;
		if (whole != NULL)
			post(w, whole);
		else
			close_unheard(w, n); /* it is out with this session: the next one gets it */
		if (whole != NULL)
			n->counted = NULL; /* counted in there */
		note_free(n);
		return;
	}
	if (end == GATE_ON_DISK || n->kind == EFFECT_CLOSE || n->kind == EFFECT_CALL_DONE) {
		post(w, n);
		return;
	}
	if (n->kind == EFFECT_METHOD)
		call_unsent(w, n);
	else if (n->kind == EFFECT_NOTIFY && end == GATE_UNSAID)
		close_unheard(w, n);
	free(n);
}

static void
configurations_go(void *ctx, void *p, enum gate_end end)
{
	struct worker *w = ctx;

	if (end == GATE_UNDONE || w->fleet->o.on_configurations == NULL) {
		configurations_free(p);
		return;
	}
	w->fleet->o.on_configurations(p);
	fleet_poke(w->fleet);
}

/* After a failure nobody has heard of the set. */
static void
routing_goes(void *ctx, void *p, enum gate_end end)
{
	struct worker *w = ctx;

	if (end == GATE_UNDONE || w->fleet->o.on_routing == NULL)
		routing_unref(p);
	else
		w->fleet->o.on_routing(p);
}

/* Workers look at the catalogue anew. */
static void
settings_go(void *ctx, void *p, enum gate_end end)
{
	struct worker *w = ctx;

	if (end == GATE_UNDONE || w->fleet->o.on_settings == NULL) {
		settings_unref(p);
		return;
	}
	w->fleet->o.on_settings(p);
	fleet_poke(w->fleet);
}

void
notes_effect(void *ctx, const struct effect *e)
{
	struct worker *w = ctx;
	struct note *n;

	if (e->kind == EFFECT_CONFIGURATIONS) {
		gate_after(&w->gate, configurations_go, configurations_stored(w->shards[0]));
		return;
	}
	if (e->kind == EFFECT_ROUTING) {
		gate_after(&w->gate, routing_goes, routing_stored(w->shards[0]));
		return;
	}
	if (e->kind == EFFECT_SETTINGS) {
		gate_after(&w->gate, settings_go, settings_stored(w->shards[0]));
		return;
	}
	if (e->kind == EFFECT_JOBS) {
		gate_after(&w->gate, jobs_set_goes, jobs_stored(w->shards[0]));
		return;
	}
	if (e->kind == EFFECT_ERASE) {
		body_erase(w, e->body);
		return;
	}
	if (e->kind == EFFECT_FEEDBACK) {
		gate_after(&w->gate, feedback_told, w->shards[e->version]);
		return;
	}
	if (effect_is_callers(e->kind) && e->session.caller == CALLER_JOB) {
		job_call_heard(w, e);
		return;
	}
	n = note_new(e, w->fleet->o.on_note);
	if (e->kind == EFFECT_MESSAGE) {
		n->counted = &w->fleet->message_bytes;
		atomic_fetch_add(n->counted, n->size);
		messages_begin(w);
	}
	if (e->kind < EFFECT_METHOD) {
		gate_after(&w->gate, note_goes, n);
		return;
	}
	n->msg.next = NULL;
	*w->later_end = &n->msg;
	w->later_end = &n->msg.next;
}

void
notes_behind_reply(struct worker *w)
{
	struct msg *m = w->later, *next;

	w->later = NULL;
	w->later_end = &w->later;
	for (; m != NULL; m = next) {
		next = m->next;
		gate_after(&w->gate, note_goes, container_of(m, struct note, msg));
	}
}
