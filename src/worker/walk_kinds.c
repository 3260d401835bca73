/* The questions that other nodes may ask: tasks made of what was said. */
#include "hub/messages.h"
#include "config/questions.h"
#include "task/counts.h"
#include "task/paths.h"
#include "task/registry.h"
#include "worker/priv.h"

static struct sink *
sink_made(const struct query_asked *asked)
{
	switch (asked->sink) {
	case WALK_MEMBERS: return &registry_sink;
	case WALK_DRAW: return draw_made(asked->sink_text);
	case WALK_TRIAL: return trial_made(asked->sink_text);
	default: return NULL;
	}
}

static struct task *
query_made(struct fleet *fleet, struct str text, struct fault *f)
{
	struct query_asked asked;
	struct query_task *q;

	(void)fleet;
	if (query_asked(text, &asked, f) != ERR_OK)
		return NULL;
	q = any_query_task_new(asked.query);
	q->count = asked.count;
	q->explain = asked.explain;
	q->sink = asked.sink != WALK_NO_SINK ? sink_made(&asked) : NULL;
	if (asked.sink == WALK_NO_SINK || q->sink != NULL)
		return &q->task;
	fault_set(f, F_ServerError, "a node asks what this one does not know");
	task_free(&q->task);
	return NULL;
}

static struct task *
jobs_made(struct fleet *fleet, struct str text, struct fault *f)
{
	struct rd rd = rd_of(text);
	int type = (int)rd_u8(&rd) - 1, status = (int)rd_u8(&rd) - 1;

	(void)fleet, (void)f;
	return &jobs_task_new(type, status)->task;
}

static struct task *
identities_made(struct fleet *fleet, struct str text, struct fault *f)
{
	(void)fleet, (void)text, (void)f;
	return list_task_new();
}

static struct task *
counts_made(struct fleet *fleet, struct str text, struct fault *f)
{
	(void)fleet, (void)text, (void)f;
	return &counts_task_new()->task;
}

static struct task *
messages_made(struct fleet *fleet, struct str text, struct fault *f)
{
	(void)fleet, (void)text, (void)f;
	return &messages_task_new()->task;
}

static struct task *
loops_made(struct fleet *fleet, struct str text, struct fault *f)
{
	(void)fleet, (void)text, (void)f;
	return &loops_task_new()->task;
}

static struct task *
column_facts_made(struct fleet *fleet, struct str text, struct fault *f)
{
	(void)fleet, (void)text, (void)f;
	return &columns_task_new()->task;
}

static struct task *
paths_made(struct fleet *fleet, struct str text, struct fault *f)
{
	(void)fleet, (void)f;
	return paths_task_new(text);
}

/* Beside the configurations that are in force here: those of who asks are the same, or it asks again. */
static struct task *
beside_configurations(struct fleet *fleet, struct str text, struct fault *f,
    struct task *(*make)(const struct configurations *set, struct str text, struct fault *f))
{
	const struct catalogue *c = catalogue_use(fleet->o.catalogue);
	struct task *t = make(c->configurations, text, f);

	catalogue_drop(fleet->o.catalogue, c);
	return t;
}

static struct task *
dry_run_made(struct fleet *fleet, struct str text, struct fault *f)
{
	return beside_configurations(fleet, text, f, dryrun_task_made);
}

static struct task *
why_is_made(struct fleet *fleet, struct str text, struct fault *f)
{
	return beside_configurations(fleet, text, f, why_task_made);
}

static struct task *(*const made[WALK_KINDS])(
    struct fleet *fleet, struct str text, struct fault *f) = {
	[WALK_QUERY] = query_made,
	[WALK_JOBS] = jobs_made,
	[WALK_IDENTITIES] = identities_made,
	[WALK_COUNTS] = counts_made,
	[WALK_MESSAGES] = messages_made,
	[WALK_LOOPS] = loops_made,
	[WALK_COLUMNS] = column_facts_made,
	[WALK_PATHS] = paths_made,
	[WALK_DRY_RUN] = dry_run_made,
	[WALK_WHY] = why_is_made,
};

struct task *
walk_task_made(struct fleet *fleet, const struct walk_asked *asked, struct fault *f)
{
	struct task *t = NULL;

	if (asked->kind < WALK_KINDS && made[asked->kind] != NULL)
		t = made[asked->kind](fleet, asked->text, f);
	else
		fault_set(f, F_ServerError, "a node asks what this one does not know");
	if (t != NULL && t->page != NULL)
		t->page->limit = asked->limit;
	return t;
}
