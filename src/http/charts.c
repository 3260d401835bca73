/* GET /statistics/metrics: the figures of the last day (O-125). The answer is made on an errand's thread. */
#include "http/priv.h"
#include "metric/chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define STEP_S    (CHART_STEP_US / 1000000)
#define STEP_MOST 86400
#define FROM_S    3600 /* so long ago, if nothing else is asked for */

static void
put_value(struct out *o, double v)
{
	char text[32];

	if (isnan(v)) {
		out_null(o);
		return;
	}
	snprintf(text, sizeof(text), "%.7g", v);
	out_json(o, str_of(text));
}

static void
put_units(struct out *o)
{
	out_open(out_key(o, "units"));
	for (unsigned i = 0; i < CHART_FIGURES_N; i++)
		out_cstr(out_key(o, chart_names[i].name), chart_names[i].unit);
	out_close(o);
}

static void
put_now(struct out *o, const struct chart_point *now)
{
	out_open(out_key(o, "now"));
	out_time(out_key(o, "time"), now->time_us);
	for (unsigned i = 0; i < CHART_FIGURES_N; i++)
		put_value(out_key(o, chart_names[i].name), now->v[i]);
	out_close(o);
}

/* A list for each figure, a value for each time. */
static void
put_points(struct out *o, const struct chart_point *v, uint32_t n)
{
	out_list(out_key(o, "times"));
	for (uint32_t k = 0; k < n; k++)
		out_time(o, v[k].time_us);
	out_close(o);
	out_open(out_key(o, "figures"));
	for (unsigned i = 0; i < CHART_FIGURES_N; i++) {
		out_list(out_key(o, chart_names[i].name));
		for (uint32_t k = 0; k < n; k++)
			put_value(o, v[k].v[i]);
		out_close(o);
	}
	out_close(o);
}

void
figures_report_write(struct http_loop *hl, int64_t from_us, unsigned step_s, struct buf *json)
{
	const struct http_admin *a = &hl->o.admin;
	struct chart_point *v = xmalloc(CHART_POINTS * sizeof(*v)), now;
	struct out o = out_to(json);
	uint32_t n = chart_read(a->chart, from_us, (int64_t)step_s * 1000000, v);

	a->chart_now(a->ctx, &now);
	out_open(&o);
	out_u64(out_key(&o, "step"), step_s);
	put_units(&o);
	put_now(&o, &now);
	put_points(&o, v, n);
	out_close(&o);
	free(v);
}

static enum err
ask_read(struct request *r, int64_t *from_us, int64_t *step_s, struct fault *f)
{
	static const char *const names[] = { "api-version", "from", "step" };
	int64_t now_us = clock_wall_us();
	struct str from = request_param(r, "from");
	enum err e = request_knows(r, names, sizeof(names) / sizeof(names[0]), f);

	*from_us = now_us - INT64_C(1000000) * FROM_S;
	*step_s = STEP_S;
	if (e == ERR_OK)
		e = request_number(r, "step", STEP_S, STEP_MOST, step_s, f);
	if (e == ERR_OK && *step_s % STEP_S != 0)
		e = fault_set(
		    f, F_ArgumentInvalid, "step is a multiple of %d seconds", (int)STEP_S);
	/* from= as some clients write what they do not set */
	if (e == ERR_OK && from.n > 0 && (!time_parse(from, from_us) || *from_us > now_us))
		e = fault_set(
		    f, F_ArgumentInvalid, "from is a time that has been, as 2026-11-30T10:00:00Z");
	return e;
}

void
on_figures(struct request *r)
{
	struct fault f = { 0 };
	int64_t from_us, step_s;

	if (ask_read(r, &from_us, &step_s, &f) == ERR_OK)
		errand_figures(r, from_us, (unsigned)step_s);
	else
		reply_fault(r, &f);
}
