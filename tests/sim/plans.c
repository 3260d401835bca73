/* Writers that go on by themselves: jobs, configurations, edge deployments and rollouts. */
#include "draw.h"
#include "world.h"

#include <stdio.h>

#define CONFIGURATIONS 8u /* names */

static struct work *
named(struct world *w, enum op_kind kind, const char *name)
{
	struct work *k = world_work(w, kind, "", "");

	k->op.name = work_str(k, str_of(name));
	return k;
}

/* A member whose value is a condition. */
static void
put_condition(struct world *w, const char *member)
{
	struct buf condition = { 0 };

	if (rnd_below(&w->rnd, 4) == 0)
		buf_cstr(&condition, "*");
	else
		draw_condition(&w->rnd, &condition);
	buf_printf(&w->text, "\"%s\":", member);
	draw_quoted(buf_view(&condition), &w->text);
	buf_fini(&condition);
}

/* ---- jobs ---- */

static const char *
job_name(struct world *w, unsigned number)
{
	snprintf(w->name, sizeof(w->name), "j%u", number);
	return w->name;
}

/* Jobs that restore, by number. */
static struct {
	unsigned job;
	int64_t at_us;
} restores[64];
static unsigned nrestore;

bool
plan_restores(struct str job, int64_t *at_us)
{
	uint64_t number;

	if (!str_starts(job, STR("j")) || !str_u64(str_sub(job, 1), &number))
		return false;
	for (unsigned i = 0; i < nrestore; i++)
		if (restores[i].job == number) {
			*at_us = restores[i].at_us;
			return true;
		}
	return false;
}

void
plan_forget(void)
{
	nrestore = 0;
}

static void
put_restore(struct world *w)
{
	static const uint32_t most_s[] = { 1, 10, 1000, 100000 };
	char at[TIME_TEXT_MAX];
	int64_t at_us = world_wall_us(w) - 2 * SECOND -
	    rnd_below(&w->rnd, most_s[rnd_below(&w->rnd, 4)]) * SECOND;

	restores[nrestore].job = w->njob;
	restores[nrestore++].at_us = at_us;
	(void)time_format(at_us, at);
	buf_printf(
	    &w->text, "{\"type\":\"scheduleRestoreTwin\",\"restoreTwin\":{\"at\":\"%s\"},", at);
}

/* One that calls a method calls it by its own name. */
static void
put_job(struct world *w, bool calls)
{
	struct buf *b = &w->text;
	char at[TIME_TEXT_MAX];

	if (!calls && w->restores && rnd_below(&w->rnd, 2) == 0 &&
	    nrestore < sizeof(restores) / sizeof(restores[0])) {
		put_restore(w);
	} else if (calls) {
		buf_printf(b,
		    "{\"type\":\"scheduleDeviceMethod\",\"cloudToDeviceMethod\":{\"methodName\":"
		    "\"j%u\",\"responseTimeoutInSeconds\":5,\"connectTimeoutInSeconds\":%u},",
		    w->njob, rnd_below(&w->rnd, 2) * 60);
	} else {
		buf_cstr(
		    b, "{\"type\":\"scheduleUpdateTwin\",\"updateTwin\":{\"etag\":\"*\",\"tags\":");
		draw_tags(&w->rnd, true, b);
		buf_cstr(b, ",\"properties\":{\"desired\":");
		draw_properties(&w->rnd, true, b);
		buf_cstr(b, "}},");
	}
	if (rnd_below(&w->rnd, 6) == 0) {
		(void)time_format(world_wall_us(w) + rnd_below(&w->rnd, 100) * SECOND, at);
		buf_printf(b, "\"startTime\":\"%s\",", at);
	}
	if (rnd_below(&w->rnd, 3) == 0)
		buf_printf(b, "\"maxUpdatesPerSecond\":%u,", 1 + rnd_below(&w->rnd, 200));
	buf_printf(b, "\"maxExecutionTimeInSeconds\":%u,", 10 + rnd_below(&w->rnd, 300));
	if (calls && rnd_below(&w->rnd, 2))
		buf_cstr(b, "\"queryCondition\":\"*\"");
	else
		put_condition(w, "queryCondition");
	buf_putc(b, '}');
}

void
plan_job(struct world *w)
{
	put_job(w, w->plain || rnd_below(&w->rnd, 3) == 0);
	world_send(w, named(w, OP_JOB_PUT, job_name(w, w->njob++)));
}

void
plan_connect_all(struct world *w)
{
	write_connect_all(w);
	buf_printf(&w->text,
	    "{\"type\":\"scheduleDeviceMethod\",\"queryCondition\":\"*\",\"cloudToDeviceMethod\":{"
	    "\"methodName\":\"j%u\",\"responseTimeoutInSeconds\":60}}",
	    w->njob);
	world_send(w, named(w, OP_JOB_PUT, job_name(w, w->njob++)));
	world_rest(w);
}

void
plan_job_cancel(struct world *w)
{
	unsigned back = 1 + rnd_below(&w->rnd, 4);

	if (w->njob >= back)
		world_send(w, named(w, OP_JOB_CANCEL, job_name(w, w->njob - back)));
}

/* ---- configurations ---- */

static const char *
configuration_name(struct world *w)
{
	snprintf(w->name, sizeof(w->name), "c%u", rnd_below(&w->rnd, CONFIGURATIONS));
	return w->name;
}

/* A layer: with $edgeHub and a module that there may not be yet. */
static void
put_layer(struct world *w)
{
	buf_printf(&w->text,
	    "\"modulesContent\":{\"$edgeHub\":{\"properties.desired.r\":%u},\"m1\":{"
	    "\"properties.desired.k1\":%u}}",
	    rnd_below(&w->rnd, 5), rnd_below(&w->rnd, 5));
}

/* A base: all of $edgeAgent, and of a module of which layers may say something, too. */
static void
put_base(struct world *w)
{
	buf_printf(&w->text,
	    "\"modulesContent\":{\"$edgeAgent\":{\"properties.desired\":{\"v\":%u}},\"$edgeHub\":{"
	    "\"properties.desired\":{\"r\":%u}},\"m1\":{\"properties.desired%s\":{\"k1\":%u}}}",
	    rnd_below(&w->rnd, 5), rnd_below(&w->rnd, 5), rnd_below(&w->rnd, 2) ? ".c" : "",
	    rnd_below(&w->rnd, 5));
}

static void
put_modules(struct world *w)
{
	if (rnd_below(&w->rnd, 3) == 0)
		put_base(w);
	else
		put_layer(w);
}

/* %u in it is a number. */
static void
put_value(struct world *w, const char *value)
{
	const char *at = strstr(value, "%u");

	if (at == NULL) {
		buf_cstr(&w->text, value);
		return;
	}
	buf_put(&w->text, value, (size_t)(at - value));
	buf_printf(&w->text, "%u", rnd_below(&w->rnd, 5));
	buf_cstr(&w->text, at + 2);
}

/* Keys that are each other's, or lie below each other; values that are objects, nothing, null. */
static void
put_content(struct world *w, const char *kind)
{
	static const char *const keys[] = { ".a", ".b", ".c.k1", ".k2", ".c", ".a.k1", "" };
	static const char *const values[] = { "%u", "%u", "%u", "{\"k1\":%u}", "{}", "null",
		"{\"k1\":null,\"k2\":%u}", "[%u]" };
	const char *key = keys[rnd_below(&w->rnd, 7)];
	struct buf *b = &w->text;

	buf_printf(b, "\"%s\":{\"properties.desired%s\":", kind, key);
	if (key[0] == '\0')
		buf_printf(b, "{\"k2\":%u}", rnd_below(&w->rnd, 5));
	else
		put_value(w, values[rnd_below(&w->rnd, 8)]);
	if (key[0] != '\0')
		buf_printf(b, ",\"properties.desired.by\":%u", rnd_below(&w->rnd, 3));
	buf_putc(b, '}');
}

static void
put_rollout(struct world *w)
{
	buf_printf(&w->text,
	    ",\"rollout\":{\"waves\":[{\"count\":%u},{\"percent\":40,\"successQuery\":"
	    "\"tags.flag = true\",\"minSuccessPercent\":1},{\"percent\":100}]}",
	    1 + rnd_below(&w->rnd, 9));
}

/* Does the condition look at what configurations write, or at the time? Then a twin may never come to rest (J-36). */
static bool
looks_at_itself(struct str condition)
{
	static const char *const words[] = { "desired", "version", "etag", "CONVERGED", "Time",
		"configurations" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (memmem(condition.p, condition.n, words[i], strlen(words[i])) != NULL)
			return true;
	return false;
}

/* One that looks at what configurations write in restless worlds only. */
static void
draw_target(struct world *w, struct buf *out)
{
	unsigned tries = 0;

	do {
		out->n = 0;
		draw_condition(&w->rnd, out);
	} while (!w->restless && looks_at_itself(buf_view(out)) && ++tries < 50);
	if (!w->restless && looks_at_itself(buf_view(out)))
		out->n = 0;
	if (out->n == 0)
		buf_cstr(out, "tags.level > 50");
}

static void
put_target(struct world *w, bool modules)
{
	struct buf condition = { 0 }, text = { 0 };

	draw_target(w, &condition);
	if (modules)
		buf_cstr(&text, "FROM devices.modules WHERE ");
	else if (rnd_below(&w->rnd, 4) == 0) {
		condition.n = 0;
		buf_cstr(&condition, rnd_below(&w->rnd, 5) ? "*" : "");
	}
	buf_str(&text, buf_view(&condition));
	buf_cstr(&w->text, "\"targetCondition\":");
	draw_quoted(buf_view(&text), &w->text);
	buf_fini(&condition);
	buf_fini(&text);
}

/* Each name has a kind of its own: what changes is the priority and the target mostly, as contents do not. */
void
plan_configuration(struct world *w)
{
	uint32_t number = rnd_below(&w->rnd, CONFIGURATIONS);
	bool edge = number == 0 || number == 1, modules = number == 2,
	     create = rnd_below(&w->rnd, 2);
	struct work *k;

	if (w->plain)
		return;
	buf_printf(&w->text, "{\"priority\":%u,", rnd_below(&w->rnd, 4));
	put_target(w, modules);
	if (create) { /* else it stays */
		buf_cstr(&w->text, ",\"content\":{");
		if (edge)
			put_modules(w);
		else
			put_content(w, modules ? "moduleContent" : "deviceContent");
		buf_putc(&w->text, '}');
	}
	if (!edge && rnd_below(&w->rnd, 3) == 0)
		put_rollout(w);
	buf_putc(&w->text, '}');
	snprintf(w->name, sizeof(w->name), "c%u", number);
	k = named(w, OP_CONFIGURATION_PUT, w->name);
	k->op.if_match = create ? IF_NONE : IF_ANY;
	world_send(w, k);
}

void
plan_configuration_delete(struct world *w)
{
	world_send(w, named(w, OP_CONFIGURATION_DELETE, configuration_name(w)));
}

void
plan_rollout(struct world *w)
{
	static const enum rollout_action actions[] = { ROLLOUT_ADVANCE, ROLLOUT_ADVANCE,
		ROLLOUT_HALT, ROLLOUT_RESUME, ROLLOUT_ROLLBACK };
	struct work *k = named(w, OP_ROLLOUT, configuration_name(w));

	k->op.rollout.action = actions[rnd_below(&w->rnd, 5)];
	world_send(w, k);
}

/* The modules of one edge device, at once. */
void
plan_content(struct world *w)
{
	const char *device = world_device(w);

	if (w->plain)
		return;
	buf_putc(&w->text, '{');
	put_modules(w);
	buf_putc(&w->text, '}');
	world_send(w, world_work(w, OP_APPLY_CONTENT, device, ""));
}
