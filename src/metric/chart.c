/* The ring, and how samples become points: see chart.h. */
#include "metric/chart.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "metric/priv.h"

/* ---- where figures come from ---- */

enum how {
	FROM_COUNTED, /* what is counted, as it is */
	FROM_RATE,    /* of what is counted */
	FROM_SEEN,    /* a rate, of how many a histogram has seen */
	FROM_RATIO,   /* of what is counted: this of this and that */
	FROM_PERCENTILE,
	FROM_LOOK, /* what is looked at, its labels summed up */
	FROM_LOOK_MOST,
	FROM_LOOK_RATE
};

struct source {
	enum how how;
	unsigned metric, other; /* enum metric_counted */
	unsigned first, stride; /* labels: the first, and every so many from there on */
	unsigned at, n;         /* doubles of struct metric_looks */
	double part;            /* of a percentile */
};

#define AT(name)                                                                                   \
	.at = offsetof(struct metric_looks, name) / sizeof(double),                                \
	.n = sizeof(((struct metric_looks *)NULL)->name) / sizeof(double)
#define NOW(id)                                                                                    \
	{                                                                                          \
		.how = FROM_COUNTED, .metric = METRIC_##id, .stride = 1                            \
	}
#define RATE(id)                                                                                   \
	{                                                                                          \
		.how = FROM_RATE, .metric = METRIC_##id, .stride = 1                               \
	}
#define RATE_OF(id, label, every)                                                                  \
	{                                                                                          \
		.how = FROM_RATE, .metric = METRIC_##id, .first = (label), .stride = (every)       \
	}
#define SEEN(id)                                                                                   \
	{                                                                                          \
		.how = FROM_SEEN, .metric = METRIC_##id, .stride = 1                               \
	}
#define RATIO(id, that)                                                                            \
	{                                                                                          \
		.how = FROM_RATIO, .metric = METRIC_##id, .other = METRIC_##that, .stride = 1      \
	}
#define PERCENTILE(id, share)                                                                      \
	{                                                                                          \
		.how = FROM_PERCENTILE, .metric = METRIC_##id, .stride = 1, .part = (share)        \
	}
#define LOOK(name)                                                                                 \
	{                                                                                          \
		.how = FROM_LOOK, AT(name)                                                         \
	}
#define LOOK_MOST(name)                                                                            \
	{                                                                                          \
		.how = FROM_LOOK_MOST, AT(name)                                                    \
	}
#define LOOK_RATE(name)                                                                            \
	{                                                                                          \
		.how = FROM_LOOK_RATE, AT(name)                                                    \
	}
#define LOOK_OF(name, i)                                                                           \
	{                                                                                          \
		.how = FROM_LOOK,                                                                  \
		.at = offsetof(struct metric_looks, name) / sizeof(double) + (i), .n = 1           \
	}

enum fold { FOLD_MEAN, FOLD_MOST, FOLD_LEAST };

static const struct {
	struct source from;
	enum fold fold;
} figures[CHART_FIGURES_N] = {
#define X(id, name, unit, fold, source, help) { source, FOLD_##fold },
	CHART_FIGURES(X)
#undef X
};

const struct chart_names chart_names[CHART_FIGURES_N] = {
#define X(id, name, unit, fold, source, help) { name, unit, help, fold_names_##fold },
#define fold_names_MEAN                       "mean"
#define fold_names_MOST                       "most"
#define fold_names_LEAST                      "least"
	CHART_FIGURES(X)
#undef X
};

/* ---- samples ---- */

static unsigned
labels_n(const struct source *s)
{
	return labels[counted[s->metric].label].n;
}

static double
sum_of(unsigned metric, const struct source *s)
{
	double sum = 0;

	for (unsigned i = s->first; i < labels[counted[metric].label].n; i += s->stride)
		sum += (double)(int64_t)cells_sum(counted[metric].at + i);
	return sum;
}

/* Of all labels together. */
static void
copy_seen(const struct source *s, uint64_t seen[METRIC_BOUNDS + 1])
{
	for (unsigned b = 0; b <= METRIC_BOUNDS; b++)
		seen[b] = 0;
	for (unsigned i = 0; i < labels_n(s); i++)
		for (unsigned b = 0; b <= METRIC_BOUNDS; b++)
			seen[b] += cells_sum(counted[s->metric].at + i * WIDTH + b);
}

static double
sum_seen(const struct source *s)
{
	uint64_t seen[METRIC_BOUNDS + 1], sum = 0;

	copy_seen(s, seen);
	for (unsigned b = 0; b <= METRIC_BOUNDS; b++)
		sum += seen[b];
	return (double)sum;
}

static double
look_at(const struct source *s, const struct metric_looks *looks)
{
	const double *v = (const double *)looks + s->at;
	double out = 0;

	for (unsigned i = 0; i < s->n; i++)
		out = s->how == FROM_LOOK_MOST ? fmax(out, v[i]) : out + v[i];
	return out;
}

void
chart_sample(
    struct chart_sample *out, const struct metric_looks *looks, int64_t wall_us, int64_t mono_us)
{
	unsigned npercentile = 0;

	*out = (struct chart_sample){ .wall_us = wall_us, .mono_us = mono_us };
	for (unsigned i = 0; i < CHART_FIGURES_N; i++) {
		const struct source *s = &figures[i].from;

		switch (s->how) {
		case FROM_RATIO: out->v[i][1] = sum_of(s->other, s); /* fall through */
		case FROM_COUNTED:
		case FROM_RATE: out->v[i][0] = sum_of(s->metric, s); break;
		case FROM_SEEN: out->v[i][0] = sum_seen(s); break;
		case FROM_PERCENTILE:
			assert(npercentile < CHART_PERCENTILES);
			copy_seen(s, out->seen[npercentile++]);
			break;
		default: out->v[i][0] = look_at(s, looks); break;
		}
	}
}

/* ---- points ---- */

/* As if what is within two bounds were spread evenly; beyond the last one it is that. */
static double
percentile(const uint64_t *before, const uint64_t *now, double part)
{
	double all = 0, below = 0, wanted;

	for (unsigned b = 0; b <= METRIC_BOUNDS; b++)
		all += (double)(now[b] - before[b]);
	if (all == 0)
		return NAN;
	wanted = part * all;
	for (unsigned b = 0; b < METRIC_BOUNDS; b++) {
		double here = (double)(now[b] - before[b]);
		double from = b == 0 ? 0 : (double)bounds_ns[b - 1];

		if (here > 0 && below + here >= wanted)
			return (from + ((double)bounds_ns[b] - from) * (wanted - below) / here) /
			    1e9;
		below += here;
	}
	return (double)bounds_ns[METRIC_BOUNDS - 1] / 1e9;
}

static double
value_of(const struct source *s, const double *before, const double *now, double seconds)
{
	double hits = now[0] - before[0], misses = now[1] - before[1];

	switch (s->how) {
	case FROM_RATIO: return hits + misses > 0 ? hits / (hits + misses) : NAN;
	case FROM_RATE:
	case FROM_SEEN:
	/* what the store counts begins anew when it is opened again */
	case FROM_LOOK_RATE: return seconds > 0 ? fmax(hits, 0) / seconds : NAN;
	default: return now[0];
	}
}

static void
point_of(const struct chart_sample *before, const struct chart_sample *now, struct chart_point *out)
{
	double seconds = (double)(now->mono_us - before->mono_us) / 1e6;
	unsigned npercentile = 0;

	out->time_us = now->wall_us;
	for (unsigned i = 0; i < CHART_FIGURES_N; i++) {
		const struct source *s = &figures[i].from;

		if (s->how == FROM_PERCENTILE) {
			out->v[i] =
			    percentile(before->seen[npercentile], now->seen[npercentile], s->part);
			npercentile++;
		} else {
			out->v[i] = value_of(s, before->v[i], now->v[i], seconds);
		}
	}
}

/* ---- the ring ---- */

struct chart {
	pthread_mutex_t mutex;
	unsigned nsample; /* of the two: the last, and the one before */
	struct chart_sample last, former;
	uint64_t n; /* points ever; those of the last CHART_POINTS are there */
	struct chart_point ring[CHART_POINTS];
};
_Static_assert(sizeof(struct chart) <= CHART_BYTES_MAX, "what a day of points takes");

struct chart *
chart_new(void)
{
	struct chart *p = xcalloc(1, sizeof(*p));

	pthread_mutex_init(&p->mutex, NULL);
	return p;
}

void
chart_free(struct chart *p)
{
	if (p == NULL)
		return;
	pthread_mutex_destroy(&p->mutex);
	free(p);
}

void
chart_add(struct chart *p, const struct chart_sample *now)
{
	pthread_mutex_lock(&p->mutex);
	if (p->nsample > 0)
		point_of(&p->last, now, &p->ring[p->n++ % CHART_POINTS]);
	p->former = p->nsample > 0 ? p->last : *now;
	p->last = *now;
	p->nsample++;
	pthread_mutex_unlock(&p->mutex);
}

void
chart_now(struct chart *p, const struct chart_sample *now, struct chart_point *out)
{
	pthread_mutex_lock(&p->mutex);
	if (p->nsample == 0)
		point_of(now, now, out);
	else if (now->mono_us - p->last.mono_us >= CHART_NOW_US)
		point_of(&p->last, now, out);
	else
		point_of(&p->former, now, out);
	pthread_mutex_unlock(&p->mutex);
}

/* ---- several to one ---- */

struct folding {
	struct chart_point *out;
	unsigned count[CHART_FIGURES_N]; /* of values that are known */
};

static void
fold_begin(struct folding *f, int64_t time_us)
{
	f->out->time_us = time_us;
	for (unsigned i = 0; i < CHART_FIGURES_N; i++) {
		f->out->v[i] = NAN;
		f->count[i] = 0;
	}
}

static void
fold_take(struct folding *f, const struct chart_point *p)
{
	for (unsigned i = 0; i < CHART_FIGURES_N; i++) {
		double *v = &f->out->v[i];

		if (isnan(p->v[i]))
			continue;
		if (f->count[i]++ == 0)
			*v = p->v[i];
		else if (figures[i].fold == FOLD_MEAN)
			*v += (p->v[i] - *v) / f->count[i];
		else
			*v = figures[i].fold == FOLD_MOST ? fmax(*v, p->v[i]) : fmin(*v, p->v[i]);
	}
}

/* The end of the step that it is in. */
static int64_t
step_end(int64_t us, int64_t step_us)
{
	return (us + step_us - 1) / step_us * step_us;
}

uint32_t
chart_read(struct chart *p, int64_t from_us, int64_t step_us, struct chart_point *out)
{
	struct folding f = { 0 };
	uint32_t n = 0;
	uint64_t first;

	pthread_mutex_lock(&p->mutex);
	first = p->n > CHART_POINTS ? p->n - CHART_POINTS : 0;
	for (uint64_t i = first; i < p->n; i++) {
		const struct chart_point *one = &p->ring[i % CHART_POINTS];
		int64_t end_us = step_end(one->time_us, step_us);

		if (one->time_us < from_us)
			continue;
		if (n == 0 || f.out->time_us != end_us) {
			f.out = &out[n++];
			fold_begin(&f, end_us);
		}
		fold_take(&f, one);
	}
	pthread_mutex_unlock(&p->mutex);
	return n;
}

/* ---- the table ---- */

void
chart_table(struct buf *out)
{
	buf_cstr(out, "| figure | unit | several as one | what |\n| --- | --- | --- | --- |\n");
	for (unsigned i = 0; i < CHART_FIGURES_N; i++)
		buf_printf(out, "| `%s` | %s | %s | %s |\n", chart_names[i].name,
		    chart_names[i].unit, chart_names[i].fold, chart_names[i].help);
}
