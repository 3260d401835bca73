/* configuration show: how far the fleet is. JSON as the hub has it, or a view with bars for people. */
#include "cli/priv.h"

#include <stdio.h>

struct showing {
	const struct args *args;
	struct target target;
	struct buf path;
	struct watch watch;
};

static uint64_t
number(struct doc d)
{
	return doc_kind(d) == DOC_INT && doc_int(d) > 0 ? (uint64_t)doc_int(d) : 0;
}

static struct doc
system_result(struct doc c, struct str name)
{
	return doc_get(doc_getc(doc_getc(c, "systemMetrics"), "results"), name);
}

static struct doc
user_results(struct doc c)
{
	return doc_getc(doc_getc(c, "metrics"), "results");
}

bool
configuration_applied(struct doc c)
{
	return number(system_result(c, STR("appliedCount"))) ==
	    number(system_result(c, STR("targetedCount")));
}

/* ---- the view, part by part ---- */

static void
put_labels(struct view *v, struct doc labels)
{
	struct doc_iter it = doc_iter(labels);
	struct buf text = { 0 };
	struct str key;
	struct doc label;

	while (doc_next(&it, &key, &label)) {
		buf_cstr(&text, text.n > 0 ? ", " : "");
		buf_str(&text, key);
		buf_cstr(&text, ": ");
		cell_text(&text, label, UINT32_MAX);
	}
	view_text(v, "labels", text.n > 0 ? buf_view(&text) : STR("-"));
	buf_fini(&text);
}

static void
put_condition(struct view *v, struct doc target)
{
	struct str text = doc_str(target);

	if (text.n == 0)
		view_text(v, "condition", STR("- (no device)"));
	else if (str_eq(text, STR("*")))
		view_text(v, "condition", STR("* (all devices)"));
	else
		view_line(v, "condition", target);
}

static void
put_head(struct view *v, struct doc c)
{
	view_line(v, "id", doc_getc(c, "id"));
	put_condition(v, doc_getc(c, "targetCondition"));
	view_line(v, "priority", doc_getc(c, "priority"));
	put_labels(v, doc_getc(c, "labels"));
	view_time(v, "created", doc_getc(c, "createdTimeUtc"));
	view_time(v, "updated", doc_getc(c, "lastUpdatedTimeUtc"));
	view_line(v, "etag", doc_getc(c, "etag"));
}

/* Metrics are shares of what is targeted. */
static void
put_metrics(struct view *v, struct doc c)
{
	uint64_t targeted = number(system_result(c, STR("targetedCount")));
	struct doc_iter it = doc_iter(user_results(c));
	struct str name;
	struct doc n;

	view_line(v, "targeted", system_result(c, STR("targetedCount")));
	view_bar(v, STR("applied"), number(system_result(c, STR("appliedCount"))), targeted);
	while (doc_next(&it, &name, &n))
		view_bar(v, name, number(n), targeted);
}

void
configuration_view(struct view *v, struct doc c)
{
	struct doc_iter it = doc_iter(user_results(c));
	struct str name;
	struct doc n;

	while (doc_next(&it, &name, &n))
		view_widen(v, name);
	rollout_widen(v, doc_getc(c, "rollout"));
	put_head(v, c);
	view_empty_line(v);
	put_metrics(v, c);
	rollout_view(v, doc_getc(c, "rollout"));
	view_empty_line(v);
	view_block(v, "content", doc_getc(c, "content"));
}

void
configuration_print(const struct args *a, struct doc c)
{
	struct view v = { 0 };

	if (output_json(a)) {
		show_record(a, c);
		return;
	}
	configuration_view(&v, c);
	view_print(&v);
	view_fini(&v);
}

/* ---- once, or until all have it ---- */

/* A rollout that stands is not waited for. */
static int
check_stands(struct showing *s, struct doc rollout)
{
	const char *stands = rollout_stands(rollout);

	if (stands == NULL)
		return EXIT_DONE;
	s->watch.reached = true;
	return cli_fail(EXIT_FAILED, "the rollout is %s", stands);
}

static int
round_run(void *ctx)
{
	struct showing *s = ctx;
	struct answer answer = { 0 };
	struct doc c;
	int code = hub_call(&s->target, &(struct ask){ .method = GET, .path = s->path.p }, &answer);

	if (code == EXIT_DONE) {
		c = doc_of(buf_view(&answer.doc));
		watch_open(&s->watch, !output_json(s->args));
		configuration_print(s->args, c);
		s->watch.reached = s->watch.goal && configuration_applied(c);
		if (s->watch.goal && !s->watch.reached)
			code = check_stands(s, doc_getc(c, "rollout"));
	}
	answer_fini(&answer);
	return code;
}

int
cli_configuration_show(const struct args *a)
{
	struct showing s = { .args = a, .watch = { .every_s = a->number[OPT_WATCH] } };
	int code;

	s.watch.goal = a->option[OPT_UNTIL_APPLIED] != NULL;
	if (s.watch.goal && s.watch.every_s == 0)
		s.watch.every_s = 1;
	if (configuration_path(&s.path, a->operand[0]) != EXIT_DONE)
		return EXIT_USAGE;
	code = target_open(a, &s.target);
	if (code == EXIT_DONE)
		code = watch_run(&s.watch, round_run, &s);
	target_fini(&s.target);
	buf_fini(&s.path);
	return code;
}
