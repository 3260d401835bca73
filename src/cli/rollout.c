/* Rollouts of configurations: what people ask of them, and the part of the view that tells how they go. */
#include "cli/priv.h"

#include <stdio.h>

/* ---- halt, resume, advance, rollback ---- */

static int
rollout_action(const struct args *a, const char *action)
{
	struct answer answer = { 0 };
	struct buf path = { 0 };
	int code = configuration_path(&path, a->operand[0]);

	if (code != EXIT_DONE)
		goto done;
	path.n--; /* the NUL */
	buf_cstr(&path, "/rollout/");
	buf_cstr(&path, action);
	buf_putc(&path, '\0');
	code = hub_call_once(a, &(struct ask){ .method = POST, .path = path.p }, &answer);
	if (code != EXIT_DONE)
		goto done;
	configuration_print(a, doc_of(buf_view(&answer.doc)));
done:
	answer_fini(&answer);
	buf_fini(&path);
	return code;
}

int
cli_rollout_halt(const struct args *a)
{
	return rollout_action(a, "halt");
}

int
cli_rollout_resume(const struct args *a)
{
	return rollout_action(a, "resume");
}

int
cli_rollout_advance(const struct args *a)
{
	return rollout_action(a, "advance");
}

int
cli_rollout_rollback(const struct args *a)
{
	return rollout_action(a, "rollback");
}

/* ---- the view ---- */

static uint64_t
number(struct doc d)
{
	return doc_kind(d) == DOC_INT && doc_int(d) > 0 ? (uint64_t)doc_int(d) : 0;
}

/* The n-th element, from 0. */
static struct doc
element(struct doc array, uint64_t n)
{
	struct doc_iter it = doc_iter(array);
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v))
		if (n-- == 0)
			return v;
	return DOC_NONE;
}

static void
put_status(struct view *v, struct doc rollout)
{
	struct doc state = doc_getc(rollout, "state");
	struct str fails = doc_str(doc_getc(rollout, "onFailure"));
	struct buf text = { 0 };

	buf_str(&text, doc_str(doc_getc(state, "status")));
	buf_printf(&text, ", wave %llu of %u", (unsigned long long)number(doc_getc(state, "wave")),
	    doc_count(doc_getc(rollout, "waves")));
	if (number(doc_getc(state, "run")) > 1)
		buf_printf(&text, ", run %llu", (unsigned long long)number(doc_getc(state, "run")));
	view_text(v, "rollout", buf_view(&text));
	view_text(v, "on failure", fails.n > 0 ? fails : STR("halt"));
	buf_fini(&text);
}

static void
put_wave_head(struct view *v, struct doc plan, struct doc is, uint32_t n)
{
	struct doc percent = doc_getc(plan, "percent");
	struct buf text = { 0 };
	char label[24];

	snprintf(label, sizeof(label), "wave %u", n);
	cell_text(&text, doc_defined(percent) ? percent : doc_getc(plan, "count"), UINT32_MAX);
	buf_cstr(&text, doc_defined(percent) ? " % of all that are targeted, " : " devices, ");
	if (doc_defined(is))
		buf_printf(&text, STR_FMT "; of the %llu devices up to here:",
		    STR_ARG(doc_str(doc_getc(is, "status"))),
		    (unsigned long long)number(doc_getc(is, "targeted")));
	else
		buf_cstr(&text, "not begun");
	view_text(v, label, buf_view(&text));
	buf_fini(&text);
}

/* Bars as shares of the devices that the waves so far have. */
static void
put_wave(struct view *v, struct doc plan, struct doc is, uint32_t n)
{
	static const struct {
		struct str label, name;
	} bars[] = { { { "  applied", 9 }, { "applied", 7 } },
		{ { "  succeeded", 11 }, { "succeeded", 9 } },
		{ { "  failed", 8 }, { "failed", 6 } } };
	uint64_t targeted = number(doc_getc(is, "targeted"));

	put_wave_head(v, plan, is, n);
	for (size_t i = 0; doc_defined(is) && i < sizeof(bars) / sizeof(bars[0]); i++)
		view_bar(v, bars[i].label, number(doc_get(is, bars[i].name)), targeted);
}

static void
put_event(struct view *v, struct doc event, bool first)
{
	struct str time = doc_str(doc_getc(event, "timeUtc")),
	           reason = doc_str(doc_getc(event, "reason")), by = doc_str(doc_getc(event, "by")),
	           rest;
	struct buf text = { 0 };

	str_cut(time, '.', &time, &rest);
	buf_str(&text, time);
	buf_cstr(&text, "Z  ");
	buf_str(&text, doc_str(doc_getc(event, "event")));
	if (number(doc_getc(event, "wave")) > 0)
		buf_printf(
		    &text, ", wave %llu", (unsigned long long)number(doc_getc(event, "wave")));
	if (reason.n > 0)
		buf_printf(&text, ": " STR_FMT, STR_ARG(reason));
	if (by.n > 0)
		buf_printf(&text, " (" STR_FMT ")", STR_ARG(by));
	view_text(v, first ? "history" : "", buf_view(&text));
	buf_fini(&text);
}

void
rollout_widen(struct view *v, struct doc rollout)
{
	if (doc_defined(rollout))
		view_widen(v, STR("  succeeded"));
}

void
rollout_view(struct view *v, struct doc rollout)
{
	struct doc state = doc_getc(rollout, "state"), waves = doc_getc(state, "waves"), d;
	struct doc_iter it = doc_iter(doc_getc(rollout, "waves"));
	struct str key;

	if (!doc_defined(rollout))
		return;
	view_empty_line(v);
	put_status(v, rollout);
	for (uint32_t n = 1; doc_next(&it, &key, &d); n++)
		put_wave(v, d, element(waves, n - 1), n);
	it = doc_iter(doc_getc(state, "history"));
	for (bool first = true; doc_next(&it, &key, &d); first = false)
		put_event(v, d, first);
}

/* ---- waiting ---- */

const char *
rollout_stands(struct doc rollout)
{
	struct str status = doc_str(doc_getc(doc_getc(rollout, "state"), "status"));

	if (str_eq(status, STR("halted")))
		return "halted";
	if (str_eq(status, STR("rollingBack")) || str_eq(status, STR("rolledBack")))
		return "rolled back";
	return NULL;
}
