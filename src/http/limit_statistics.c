/* GET /statistics/limits: which limits are in force, and what they have refused (O-156). */
#include "http/priv.h"
#include "metric/metric.h"

#include <stdlib.h>

#define DAY_US INT64_C(86400000000)

typedef bool text_of(const struct limit_rules *rules, unsigned i, struct limit_text *out);

static void
put_texts(
    struct out *o, const char *name, text_of *next, bool numbers, const struct limit_rules *rules)
{
	struct limit_text text = { { 0 }, { 0 } };
	uint64_t n;

	out_open(out_key(o, name));
	for (unsigned i = 0; next(rules, i, &text); i++) {
		buf_putc(&text.key, '\0');
		out_key(o, text.key.p);
		if (numbers && str_u64(buf_view(&text.rate), &n))
			out_u64(o, n);
		else
			out_str(o, buf_view(&text.rate));
	}
	out_close(o);
	buf_fini(&text.key);
	buf_fini(&text.rate);
}

static void
put_throttled_of(struct out *o, unsigned kind)
{
	bool any = false;
	uint64_t n;

	for (unsigned whose = 0; whose < LIMIT_SORTS; whose++) {
		n = metric_read(METRIC_THROTTLED, kind * METRIC_LIMITERS_MAX + whose);
		if (n == 0)
			continue;
		if (!any)
			out_open(out_key(o, limit_kind_name(kind)));
		any = true;
		out_u64(out_key(o, limit_whose_name(whose)), n);
	}
	if (any)
		out_close(o);
}

static void
put_throttle(struct out *o, const struct http_options *opt)
{
	out_key(o, "throttle");
	if (opt->throttle == NULL) {
		out_null(o);
		return;
	}
	out_open(o);
	out_cstr(out_key(o, "edition"), opt->throttle);
	out_u64(out_key(o, "units"), opt->units);
	out_close(o);
}

/* Those that are said. */
static void
put_counts(struct out *o, const struct limit_counts *c)
{
	out_open(out_key(o, "counts"));
	for (unsigned i = 0; i < LIMIT_COUNTS; i++)
		if (c->most[i] != 0)
			out_u64(out_key(o, limit_count_name(i)), c->most[i]);
	out_close(o);
}

static void
put_daily(struct out *o, const struct limit_daily *d)
{
	out_open(out_key(o, "dailyMessages"));
	out_u64(out_key(o, "used"), d->most != 0 ? d->used : 0);
	out_u64(out_key(o, "max"), d->most);
	if (d->most != 0) {
		out_u64(out_key(o, "block"), d->block);
		out_time(out_key(o, "resetTime"), (d->day + 1) * DAY_US);
	}
	out_close(o);
}

void
on_limit_statistics(struct request *r)
{
	struct limiter_state *state = xcalloc(1, sizeof(*state));
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (r->hl->o.limiter != NULL)
		limiter_look(r->hl->o.limiter, state);
	out_open(&o);
	put_throttle(&o, &r->hl->o);
	put_texts(&o, "rates", limit_rule_text, false, &state->rules);
	put_texts(&o, "shares", limit_share_text, true, &state->rules);
	put_counts(&o, &state->rules.counts);
	out_open(out_key(&o, "throttled"));
	for (unsigned kind = 0; kind < LIMIT_KINDS; kind++)
		put_throttled_of(&o, kind);
	out_close(&o);
	put_daily(&o, &state->daily);
	out_u64(out_key(&o, "buckets"), state->nbucket);
	out_u64(out_key(&o, "bucketsLost"), state->npushed);
	out_close(&o);
	free(state);
	reply_json(r, 200, buf_view(&json));
	buf_fini(&json);
}
