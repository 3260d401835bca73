/*
 * What the log says of the hub itself (E-95, E-97): each act that was acknowledged has its record, once, and none that was refused; each job that was
 * made has one end. What a failed commit or a crash may have left is not known: such an act has a record, or none.
 */
#include "world.h"

#include <stdlib.h>

#include "event/event.h"

#define ACTOR "owner" /* of works; requests over HTTP have other ones */

struct noted {
	enum admin_what what;
	char name[16];
	uint32_t done, perhaps, told;
	uint32_t ends; /* of a job: records of its end */
};

static struct {
	struct noted *v;
	uint32_t n, room;
} noted;

void
noticed_new(void)
{
	memset(&noted, 0, sizeof(noted));
}

void
noticed_free(void)
{
	free(noted.v);
}

static struct noted *
noted_of(enum admin_what what, struct str name)
{
	struct noted *e;

	for (uint32_t i = 0; i < noted.n; i++)
		if (noted.v[i].what == what && str_eq(str_of(noted.v[i].name), name))
			return &noted.v[i];
	if (noted.n == noted.room) {
		noted.room = noted.room ? noted.room * 2 : 64;
		noted.v = xrealloc(noted.v, noted.room * sizeof(*noted.v));
	}
	e = &noted.v[noted.n++];
	*e = (struct noted){ .what = what };
	if (name.n >= sizeof(e->name))
		world_fail("an act on " STR_FMT, STR_ARG(name));
	memcpy(e->name, name.p, name.n);
	return e;
}

static enum admin_what
act_of(enum op_kind kind)
{
	switch (kind) {
	case OP_CONFIGURATION_PUT: return ADMIN_CONFIGURATION_WRITTEN;
	case OP_CONFIGURATION_DELETE: return ADMIN_CONFIGURATION_DELETED;
	case OP_ROLLOUT: return ADMIN_ROLLOUT;
	case OP_JOB_PUT: return ADMIN_JOB_CREATED;
	case OP_JOB_CANCEL: return ADMIN_JOB_CANCELLED;
	default: return ADMIN_NONE;
	}
}

void
noticed_heard(const struct world *w, const struct work *k)
{
	enum admin_what what = act_of(k->op.kind);
	struct noted *e;

	if (what == ADMIN_NONE)
		return;
	e = noted_of(what, k->op.name);
	if (w->dead || k->reply.fault.code == F_ServiceUnavailable)
		e->perhaps++;
	else
		e->done += k->reply.fault.code == F_NONE;
}

void
noticed_record(const struct event *e)
{
	struct doc about = doc_of(e->fields[EVENT_ABOUT]);

	if (e->kind == EVENT_JOB_ENDED) {
		if (e->actor != ACTOR_JOB ||
		    !str_eq(e->actor_name, doc_str(doc_getc(about, "jobId"))))
			world_fail("the end of a job is told by another one");
		noted_of(ADMIN_JOB_CREATED, e->actor_name)->ends++;
	} else if (e->kind == EVENT_ADMIN && str_eq(e->actor_name, STR(ACTOR))) {
		noted_of(
		    (enum admin_what)e->numbers[EVENT_ADMIN_WHAT], doc_str(doc_getc(about, "name")))
		    ->told++;
	}
}

/* When the log has been gone through, and all jobs have ended. */
void
noticed_check(void)
{
	for (uint32_t i = 0; i < noted.n; i++) {
		struct noted *e = &noted.v[i];

		if (e->told < e->done || e->told > e->done + e->perhaps)
			world_fail(
			    "act %d on %s was done %u times, %u more perhaps, and is told %u "
			    "times",
			    (int)e->what, e->name, e->done, e->perhaps, e->told);
		if (e->what == ADMIN_JOB_CREATED && e->ends != e->told)
			world_fail("the job %s was made %u times, and its end is told %u times",
			    e->name, e->told, e->ends);
		seen.acts += e->told;
		seen.ends += e->ends;
		e->told = e->ends = 0;
	}
}
