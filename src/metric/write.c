/*
 * The page: Prometheus' text format 0.0.4, and OpenMetrics 1.0, which names a counter without _total in what describes it and ends
 * with # EOF. Histograms have lines once something was seen, all else from the start on, so that a first error is a rise.
 */
#include "metric/priv.h"

#include <stdio.h>

static const struct {
	enum metric_kind kind;
	const char *name, *help;
} looked[LOOKS] = {
#define X(id, kind, name, help) { METRIC_##kind, name, help },
	METRICS_LOOKED(X)
#undef X
};

static const char *const kind_names[] = { "counter", "gauge", "histogram", "histogram" };

const char *
metric_type(enum metric_format f)
{
	return f == METRIC_OPENMETRICS
	    ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
	    : "text/plain; version=0.0.4; charset=utf-8";
}

enum metric_format
metric_format_of(struct str accept)
{
	static const struct str want = { "application/openmetrics-text", 28 };

	for (size_t i = 0; i + want.n <= accept.n; i++)
		if (str_eq((struct str){ accept.p + i, want.n }, want))
			return METRIC_OPENMETRICS;
	return METRIC_PROMETHEUS;
}

static const char *
suffix(enum metric_kind kind)
{
	return kind == METRIC_COUNTER ? "_total" : "";
}

static void
describe(struct buf *out, enum metric_format f, enum metric_kind kind, const char *name,
    const char *help)
{
	const char *end = f == METRIC_OPENMETRICS ? "" : suffix(kind);

	buf_printf(out, "# HELP twinhub_%s%s %s\n# TYPE twinhub_%s%s %s\n", name, end, help, name,
	    end, kind_names[kind]);
}

/* Into room: the labels without braces, "" when there are none. False: there is no such number. */
static bool
labels_of(
    const struct counted *c, const struct metric_names *names, unsigned i, char *room, size_t nroom)
{
	static const char *const protocols[] = { "mqtt", "websocket" };
	static const char *const results[] = { "ok", "refused", "failed" };
	const char *operation;

	switch (c->label) {
	case LABEL_PROTOCOL: snprintf(room, nroom, "protocol=\"%s\"", protocols[i]); return true;
	case LABEL_REASON:
		snprintf(room, nroom, "reason=\"%s\"", reason_id((enum reason)i));
		return i != REASON_NONE;
	case LABEL_OPERATION:
		if ((operation = names->operation(i)) == NULL)
			return false;
		snprintf(room, nroom, "operation=\"%s\"", operation);
		return true;
	case LABEL_RESULT:
		if ((operation = names->operation(i / METRIC_RESULTS)) == NULL)
			return false;
		snprintf(room, nroom, "operation=\"%s\",result=\"%s\"", operation,
		    results[i % METRIC_RESULTS]);
		return true;
	default: room[0] = '\0'; return true;
	}
}

static void
write_histogram(struct buf *out, const struct counted *c, uint32_t at, const char *labels)
{
	const uint64_t *bounds = c->kind == METRIC_SECONDS ? bounds_ns : bounds_bytes;
	double unit = c->kind == METRIC_SECONDS ? 1e9 : 1;
	const char *comma = labels[0] != '\0' ? "," : "", *open = labels[0] != '\0' ? "{" : "",
	           *close = labels[0] != '\0' ? "}" : "";
	uint64_t counts[BOUNDS + 1], below = 0, all = 0;

	/* Read once, so that the lines are of one moment whatever is counted meanwhile. */
	for (unsigned i = 0; i <= BOUNDS; i++)
		all += counts[i] = cells_sum(at + i);
	if (all == 0)
		return;
	for (unsigned i = 0; i < BOUNDS; i++) {
		below += counts[i];
		buf_printf(out, "twinhub_%s_bucket{%s%sle=\"%.9g\"} %llu\n", c->name, labels, comma,
		    (double)bounds[i] / unit, (unsigned long long)below);
	}
	buf_printf(out, "twinhub_%s_bucket{%s%sle=\"+Inf\"} %llu\n", c->name, labels, comma,
	    (unsigned long long)all);
	buf_printf(out, "twinhub_%s_sum%s%s%s %.15g\n", c->name, open, labels, close,
	    (double)cells_sum(at + BOUNDS + 1) / unit);
	buf_printf(out, "twinhub_%s_count%s%s%s %llu\n", c->name, open, labels, close,
	    (unsigned long long)all);
}

static void
write_number(struct buf *out, const struct counted *c, uint32_t at, const char *labels)
{
	buf_printf(out, "twinhub_%s%s", c->name, suffix(c->kind));
	if (labels[0] != '\0')
		buf_printf(out, "{%s}", labels);
	buf_printf(out, " %lld\n", (long long)cells_sum(at));
}

static void
write_counted(struct buf *out, const struct counted *c, const struct metric_names *names)
{
	unsigned width = width_of(c);
	char labels[160];

	for (unsigned i = 0; i < label_sizes[c->label]; i++) {
		if (!labels_of(c, names, i, labels, sizeof(labels)))
			continue;
		if (width == 1)
			write_number(out, c, c->at + i, labels);
		else
			write_histogram(out, c, c->at + i * width, labels);
	}
}

void
metric_write(
    struct buf *out, enum metric_format f, const struct metric_names *names, const double *looks)
{
	for (unsigned m = 0; m < METRICS; m++) {
		describe(out, f, counted[m].kind, counted[m].name, counted[m].help);
		write_counted(out, &counted[m], names);
	}
	for (unsigned m = 0; m < LOOKS; m++) {
		describe(out, f, looked[m].kind, looked[m].name, looked[m].help);
		buf_printf(
		    out, "twinhub_%s%s %.15g\n", looked[m].name, suffix(looked[m].kind), looks[m]);
	}
	if (f == METRIC_OPENMETRICS)
		buf_cstr(out, "# EOF\n");
}
