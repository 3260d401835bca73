/* For the tests of configurations in a fleet: the program around it, which has a catalogue for each set of them. */
#ifndef WORKER_CONFIGURATIONS_H
#define WORKER_CONFIGURATIONS_H

#include "worker_kit.h"

static uint64_t version = 1;
static struct kit *kit_of_test;
static bool hold; /* the disk, from the moment of publication: the sweep cannot be over */

struct made {
	struct catalogue c;
	struct configurations *set;
};

static UNUSED void
made_release(struct catalogue *c)
{
	struct made *m = (struct made *)c;

	configurations_free(m->set);
	free(m);
}

static UNUSED void
publish(struct configurations *set)
{
	struct catalogue *like = catalogue_new(++version, 1);
	struct made *m = xcalloc(1, sizeof(*m));

	m->c = *like;
	m->c.configurations = m->set = set;
	free(like);
	if (hold)
		disk_hold();
	catalogue_set(kit_of_test->box, &m->c, made_release);
}

static UNUSED void
begin(struct kit *k, unsigned nworker)
{
	struct fault f = { 0 };

	kit_of_test = k;
	k->fo.on_configurations = publish;
	kit_open(k, nworker);
	if (fleet_load(k->fleet, &f) != ERR_OK)
		fail_msg("%s", f.text);
	publish(fleet_configurations(k->fleet));
	assert_int_equal(fleet_start(k->fleet), ERR_OK);
	k->running = true;
}

static UNUSED struct work *
change(struct kit *k, enum op_kind kind, const char *id, const char *json)
{
	struct work *w = kit_work(k, kind, "", json);

	w->op.name = work_str(w, str_of(id));
	return w;
}

static UNUSED const char *
body(const char *target, int priority, int value)
{
	static char text[256];

	snprintf(text, sizeof(text),
	    "{'targetCondition':'%s','priority':%d,'content':{'deviceContent':{'properties.desired."
	    "a':%d}}}",
	    target, priority, value);
	return text;
}

/* How many rows match: a query each time, until it is `want`. */
static UNUSED void
until(struct kit *k, const char *condition, unsigned want)
{
	char query[256], answer[64];

	snprintf(query, sizeof(query), "SELECT COUNT() AS n FROM devices WHERE %s", condition);
	snprintf(answer, sizeof(answer), "{'n':%u}", want);
	for (int64_t since_us = clock_mono_us();;) {
		struct tour *w = kit_do_tour(k, kit_tour(k, query, 100));
		bool there;

		k->text.n = 0;
		kit_put_rows(&k->text, w);
		for (size_t i = 0; i < k->text.n; i++)
			if (k->text.p[i] == '"')
				k->text.p[i] = '\'';
		there = w->task->fault.code == F_NONE && str_eq(buf_view(&k->text), str_of(answer));
		kit_forget(k);
		if (there)
			return;
		kit_again(since_us, condition);
	}
}

#endif
