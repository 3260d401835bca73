/* A session whose shard has another owner, who is to take it up (docs/spec/operate.md, O-230 and O-231). */
#include "hub/filters.h"
#include "mqtt/priv.h"

#include <stdlib.h>

static void
filters_set(struct session *s, const struct filter_list *l)
{
	struct buf b = { 0 };

	filter_list_put(&b, l);
	free(s->filters);                    /* the list's names were in it */
	s->filters = str_dup0(buf_view(&b)); /* no more than it takes: there are many sessions */
	s->filters_n = (uint32_t)b.n;
	buf_fini(&b);
}

static struct str
filters_of(const struct session *s)
{
	return (struct str){ s->filters, s->filters_n };
}

void
session_filters_granted(struct session *s, const struct work *w)
{
	struct rd rd = rd_of(w->op.payload);
	struct filter_list l;
	struct filter f;

	if (!s->clean)
		return;
	filter_list_read(&l, filters_of(s));
	for (size_t i = 0; i < w->reply.body.n && filters_next(&rd, &f); i++)
		if ((uint8_t)w->reply.body.p[i] != SUBACK_REFUSED)
			filter_list_add(&l, &f);
	filters_set(s, &l);
}

void
session_filters_gone(struct session *s, const struct work *w)
{
	struct rd rd = rd_of(w->op.payload);
	struct filter_list l;
	struct filter f;

	if (!s->clean)
		return;
	filter_list_read(&l, filters_of(s));
	while (filters_next(&rd, &f))
		filter_list_remove(&l, &f);
	filters_set(s, &l);
}

void
session_resume(struct session *s, struct actions *a)
{
	struct work *w;

	if (s->state != S_LIVE)
		return;
	w = session_work(s, OP_RESUME, filters_of(s).n);
	w->op.payload = work_str(w, filters_of(s));
	w->op.resume = (struct op_resume){ .identity = s->identity,
		.desired = s->desired_known,
		.since_us = s->since_us,
		.opened = s->opened,
		.clean = s->clean };
	s->owed = true;
	session_submit(s, w, a);
}

bool
session_owed(const struct session *s)
{
	return s->state == S_LIVE && s->owed;
}

/* Nobody has judged it, or nobody may say how. */
static bool
is_judged(const struct reply *r)
{
	return r->fault.code == F_NONE ||
	    (r->fault.code == F_ConnectionForcefullyClosedOnNewConnection &&
	        r->reason != REASON_NONE);
}

/* Whoever cannot be taken up comes anew. */
void
on_resumed(struct session *s, const struct work *w, struct actions *a)
{
	if (!is_judged(&w->reply))
		return;
	s->owed = false;
	if (w->reply.fault.code != F_NONE && s->doomed == REASON_NONE)
		session_leave(s, SESSION_DROPS, w->reply.reason, a);
}
