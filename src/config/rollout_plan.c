/* The plan of a rollout: what a request may say, what is kept of it, and the queries that it makes. */
#include "hub/bodies.h"
#include "config/configuration.h"
#include "config/rollout_priv.h"

static enum err
bad(struct fault *f, uint32_t wave, const char *what)
{
	return fault_set(f, F_ArgumentInvalid, "rollout.waves[%u] %s", wave, what);
}

static bool
is_known(struct str key, const struct str *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(key, names[i]))
			return true;
	return false;
}

/* A guard that is misspelt is none: whatever is not known is refused. */
static enum err
check_members(struct doc d, const struct str *names, size_t n, const char *where, struct fault *f)
{
	struct doc_iter it = doc_iter(d);
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v))
		if (!is_known(key, names, n))
			return fault_set(
			    f, F_ArgumentInvalid, "%s has no member " STR_FMT, where, STR_ARG(key));
	return ERR_OK;
}

/* ---- numbers ---- */

static const struct number {
	struct str name;
	double least, most;
	bool whole;
} numbers[] = {
	{ { "percent", 7 }, 0.0001, 100, false },
	{ { "count", 5 }, 1, (double)ROLLOUT_COUNT_MAX, true },
	{ { "minSuccessPercent", 17 }, 0, 100, false },
	{ { "maxFailurePercent", 17 }, 0, 100, false },
	{ { "soakSeconds", 11 }, 0, ROLLOUT_SOAK_MAX_S, true },
};

static enum err
check_numbers(struct doc wave, uint32_t at, struct fault *f)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct doc v = doc_get(wave, numbers[i].name);

		if (!doc_defined(v))
			continue;
		if (numbers[i].whole ? doc_kind(v) != DOC_INT : !doc_is_number(v))
			return fault_set(f, F_ArgumentInvalid,
			    "rollout.waves[%u]." STR_FMT " is not %s", at, STR_ARG(numbers[i].name),
			    numbers[i].whole ? "an integer" : "a number");
		if (doc_number(v) < numbers[i].least || doc_number(v) > numbers[i].most)
			return fault_set(f, F_ArgumentInvalid,
			    "rollout.waves[%u]." STR_FMT " is not from %.12g to %.12g", at,
			    STR_ARG(numbers[i].name), numbers[i].least, numbers[i].most);
	}
	return ERR_OK;
}

static double
number(struct doc wave, struct str name, double absent)
{
	struct doc v = doc_get(wave, name);

	return doc_is_number(v) ? doc_number(v) : absent;
}

/* Waves grow, each by the measure that it shares with the one before, and the last one is the whole target. */
static enum err
check_sizes(struct doc waves, struct fault *f)
{
	struct doc_iter it = doc_iter(waves);
	double percent = 0, count = 0, last = 0;
	struct str key;
	struct doc w;

	for (uint32_t i = 0; doc_next(&it, &key, &w); i++) {
		double p = number(w, STR("percent"), 0), c = number(w, STR("count"), 0);

		if ((p > 0) == (c > 0))
			return bad(f, i, "has not just one of percent and count");
		if ((p > 0 && p <= percent) || (c > 0 && c <= count))
			return bad(f, i, "is not larger than the one before it");
		percent = p > 0 ? p : percent;
		count = c > 0 ? c : count;
		last = p;
	}
	return last >= 100
	    ? ERR_OK
	    : fault_set(f, F_ArgumentInvalid, "the last of rollout.waves does not say percent 100");
}

/* ---- queries: a condition, or a query as metrics are ---- */

/* Is this the text's first word? */
static bool
begins_with(struct str text, struct str word)
{
	while (text.n > 0 && char_among(text.p[0], " \t\r\n"))
		text = str_sub(text, 1);
	return text.n > word.n && str_ieq((struct str){ text.p, word.n }, word) &&
	    char_among(text.p[word.n], " \t\r\n*");
}

static enum err
plan_of(struct str text, bool modules, struct query **out, struct fault *f)
{
	struct query_options o = { .from_optional = true,
		.from = modules ? QUERY_MODULES : QUERY_DEVICES };

	return begins_with(text, STR("select")) ? query_parse(text, &o, out, f)
	                                        : query_parse_condition(text, out, f);
}

/* The condition of a text in its own bytes; empty: there is none. */
static enum err
condition_of(struct str text, bool modules, struct str *out, struct fault *f)
{
	enum query_collection want = modules ? QUERY_MODULES : QUERY_DEVICES;
	const struct query_facts *facts;
	struct query *q;
	bool bare = !begins_with(text, STR("select")) && !begins_with(text, STR("from"));

	if (plan_of(text, modules, &q, f) != ERR_OK)
		return ERR_ARG;
	facts = query_facts(q);
	if (facts->nothing || (!bare && facts->collection != want) || facts->aggregate ||
	    facts->ordered || facts->top != UINT64_MAX) {
		query_free(q);
		return fault_set(f, F_ArgumentInvalid,
		    "it is not a condition, nor a plain SELECT, on the %s of the configuration",
		    modules ? "modules" : "devices");
	}
	*out = (struct str){ text.p + facts->condition_at, facts->condition_n };
	query_free(q);
	return ERR_OK;
}

void
rollout_query(struct str condition, struct str applied, bool modules, struct buf *out)
{
	buf_cstr(out,
	    modules ? "select deviceId from devices.modules where "
	            : "select deviceId from devices where ");
	buf_str(out, applied);
	if (condition.n != 0)
		buf_printf(out, " and (" STR_FMT ")", STR_ARG(condition));
}

static enum err
check_query(struct doc v, const char *name, struct str applied, bool modules, struct fault *f)
{
	struct buf whole = { 0 };
	struct query *q = NULL;
	struct str condition;
	struct fault why = { 0 };
	enum err e;

	if (!doc_defined(v))
		return ERR_OK;
	if (doc_kind(v) != DOC_STRING || doc_str(v).n == 0)
		return fault_set(f, F_InvalidConfigurationCustomMetricsQuery,
		    "%s of a wave is not a text", name);
	e = condition_of(doc_str(v), modules, &condition, &why);
	if (e == ERR_OK) {
		rollout_query(condition, applied, modules, &whole);
		e = query_parse(buf_view(&whole), NULL, &q, &why);
		if (e == ERR_OK)
			e = condition_check(q, F_InvalidConfigurationCustomMetricsQuery, &why);
		query_free(q);
	}
	buf_fini(&whole);
	if (e == ERR_OK)
		return ERR_OK;
	return fault_set(
	    f, F_InvalidConfigurationCustomMetricsQuery, "%s of a wave: %s", name, why.text);
}

/* ---- the whole ---- */

static const struct str wave_names[] = { { "percent", 7 }, { "count", 5 }, { "successQuery", 12 },
	{ "failureQuery", 12 }, { "minSuccessPercent", 17 }, { "maxFailurePercent", 17 },
	{ "soakSeconds", 11 } };
static const struct str plan_names[] = { { "waves", 5 }, { "onFailure", 9 }, { "state", 5 } };

static enum err
check_wave(struct doc wave, uint32_t at, struct str applied, bool modules, struct fault *f)
{
	enum err e;

	if (doc_kind(wave) != DOC_OBJECT)
		return bad(f, at, "is not an object");
	if ((e = check_members(
	         wave, wave_names, sizeof(wave_names) / sizeof(wave_names[0]), "a wave", f)) ||
	    (e = check_numbers(wave, at, f)) ||
	    (e = check_query(doc_getc(wave, "successQuery"), "successQuery", applied, modules, f)))
		return e;
	return check_query(doc_getc(wave, "failureQuery"), "failureQuery", applied, modules, f);
}

enum err
rollout_check(struct doc sent, struct str applied, bool modules, struct fault *f)
{
	struct doc waves = doc_getc(sent, "waves"), fails = doc_getc(sent, "onFailure"), w;
	struct doc_iter it = doc_iter(waves);
	struct str key;
	enum err e;

	if (doc_kind(sent) != DOC_OBJECT || doc_kind(waves) != DOC_ARRAY)
		return fault_set(f, F_ArgumentInvalid, "rollout is not an object with waves");
	if ((e = check_members(
	         sent, plan_names, sizeof(plan_names) / sizeof(plan_names[0]), "rollout", f)))
		return e;
	if (doc_count(waves) == 0 || doc_count(waves) > ROLLOUT_WAVES_MAX)
		return fault_set(f, F_ArgumentInvalid, "rollout has %u waves, 1 to %u are possible",
		    doc_count(waves), ROLLOUT_WAVES_MAX);
	if (doc_defined(fails) &&
	    (doc_kind(fails) != DOC_STRING ||
	        (!str_eq(doc_str(fails), STR("halt")) && !str_eq(doc_str(fails), STR("rollback")))))
		return fault_set(
		    f, F_ArgumentInvalid, "rollout.onFailure is neither halt nor rollback");
	for (uint32_t i = 0; doc_next(&it, &key, &w); i++)
		if ((e = check_wave(w, i, applied, modules, f)))
			return e;
	return check_sizes(waves, f);
}

void
rollout_put_plan(struct doc_writer *dw, struct doc sent)
{
	struct doc_iter it = doc_iter(sent);
	struct str key;
	struct doc v;

	doc_begin_object(dw, 0);
	while (doc_next(&it, &key, &v)) {
		if (str_eq(key, STR("state")))
			continue;
		doc_key(dw, key);
		doc_put_copy(dw, 0, v);
	}
	doc_end(dw);
}

bool
rollout_same_plan(struct doc sent, struct doc kept)
{
	struct buf b = { 0 };
	struct doc_writer dw;
	bool same;

	doc_writer_init(&dw, &b, 0);
	rollout_put_plan(&dw, sent);
	same = doc_equal(doc_of(buf_view(&b)), kept);
	buf_fini(&b);
	return same;
}

static bool
take_wave(struct rollout_wave *w, struct doc d, bool modules)
{
	struct doc success = doc_getc(d, "successQuery"), failure = doc_getc(d, "failureQuery");

	*w = (struct rollout_wave){ .percent = number(d, STR("percent"), 0),
		.count = (uint64_t)number(d, STR("count"), 0),
		.min_success = number(d, STR("minSuccessPercent"), 100),
		.max_failure = number(d, STR("maxFailurePercent"), 0),
		.soak_us = (int64_t)number(d, STR("soakSeconds"), 0) * 1000000,
		.fails = doc_kind(failure) == DOC_STRING };
	return (doc_kind(success) != DOC_STRING ||
	           condition_of(doc_str(success), modules, &w->success, NULL) == ERR_OK) &&
	    (!w->fails || condition_of(doc_str(failure), modules, &w->failure, NULL) == ERR_OK);
}

bool
rollout_take_plan(struct rollout *r, struct doc plan, bool modules)
{
	struct doc waves = doc_getc(plan, "waves"), fails = doc_getc(plan, "onFailure"), w;
	struct doc_iter it = doc_iter(waves);
	struct str key;

	r->nwave = 0;
	r->rolls_back = doc_kind(fails) == DOC_STRING && str_eq(doc_str(fails), STR("rollback"));
	if (doc_kind(waves) != DOC_ARRAY)
		return false;
	while (doc_next(&it, &key, &w))
		if (r->nwave == ROLLOUT_WAVES_MAX || !take_wave(&r->waves[r->nwave++], w, modules))
			return false;
	return r->nwave > 0;
}

/* ---- another plan ---- */

static bool
same_size(const struct rollout_wave *a, const struct rollout_wave *b)
{
	return a->percent == b->percent && a->count == b->count;
}

enum err
rollout_replan(const struct rollout *old, const struct rollout *plan, bool *anew, struct fault *f)
{
	*anew = old->status == ROLLOUT_ROLLED_BACK;
	if (*anew || (old->status == ROLLOUT_PENDING && old->begun == 0))
		return ERR_OK;
	if (old->status != ROLLOUT_HALTED)
		return fault_set(f, F_OperationNotAllowedInCurrentState,
		    "the rollout is " STR_FMT ", its plan changes when it is halted",
		    STR_ARG(rollout_status_names[old->status]));
	for (uint32_t i = 0; i < old->begun; i++)
		if (i >= plan->nwave || !same_size(&old->waves[i], &plan->waves[i]))
			return fault_set(f, F_OperationNotAllowedInCurrentState,
			    "wave %u has begun, its size stays", i + 1);
	return ERR_OK;
}
