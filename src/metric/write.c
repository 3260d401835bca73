/*
 * The page: Prometheus' text format 0.0.4, and OpenMetrics 1.0, which names a counter without _total in what describes it, names units, and ends
 * with # EOF. Histograms have lines once something was seen, all else from the start on, so that a first error is a rise.
 */
#include "metric/priv.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

static const struct looked {
	enum metric_kind kind;
	enum metric_label label;
	uint32_t at; /* in struct metric_looks, as doubles */
	const char *name, *help;
} looked[] = {
#define X(kind, label, name, help)                                                                 \
	{ METRIC_##kind, LABEL_##label, offsetof(struct metric_looks, name) / sizeof(double),      \
		#name, help },
	METRICS_LOOKED(X)
#undef X
};
#define LOOKS (sizeof(looked) / sizeof(looked[0]))

static const char *const units[] = { "_seconds", "_bytes", "_ratio" };
static const char *const kind_names[] = { "counter", "gauge", "histogram", "histogram" };

const char *
metric_type(enum metric_format f)
{
	return f == METRIC_OPENMETRICS
	    ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
	    : "text/plain; version=0.0.4; charset=utf-8";
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
	for (size_t i = 0; f == METRIC_OPENMETRICS && i < sizeof(units) / sizeof(units[0]); i++)
		if (str_ends(str_of(name), str_of(units[i])))
			buf_printf(out, "# UNIT twinhub_%s %s\n", name, units[i] + 1);
}

/* OpenMetrics wants to see that a bound is no whole number, and series have one name in both formats. */
static void
write_bound(struct buf *out, double bound)
{
	char text[32];

	snprintf(text, sizeof(text), "%.9g", bound);
	buf_printf(out, "%s%s", text, strpbrk(text, ".e") == NULL ? ".0" : "");
}

/* The names of labels that no room above has a table of. */
static const char *const own_names[LABELS][8] = {
	[LABEL_PROTOCOL] = { "mqtt", "websocket" },
	[LABEL_STATUS] = { "1xx", "2xx", "3xx", "4xx", "5xx" },
	[LABEL_QUEUE] = { "operations", "commits", "queries", "queries-waiting" },
	[LABEL_ROOM] = { "operations", "messages", "watches", "answers", "log" },
	[LABEL_COST] = { "cheap", "costly" },
	[LABEL_SINK] = { "webhook", "file", "kafka" },
	[LABEL_CERTIFICATE] = { "server", "server-ca", "client-ca" },
	[LABEL_JOB_KIND] = { "scheduled", "import-export" },
};

/* NULL: there is no such number. */
static const char *
label_name(enum metric_label label, const struct metric_names *names, unsigned i)
{
	if (label == LABEL_REASON)
		return i == REASON_NONE ? NULL : reason_id((enum reason)i);
	if (own_names[label][0] != NULL)
		return own_names[label][i];
	return names->of(label, i);
}

static const char *const results[] = { "ok", "refused", "failed" };

/* Two labels in one. */
static bool
pair_of(
    const struct metric_names *names, enum metric_label label, unsigned i, char *room, size_t nroom)
{
	bool result = label == LABEL_RESULT;
	unsigned n = result ? METRIC_RESULTS : METRIC_LIMITERS_MAX;
	const char *operation = names->of(result ? LABEL_OPERATION : LABEL_LIMITED, i / n);
	const char *second = result ? results[i % n] : names->of(LABEL_LIMITER, i % n);

	if (operation == NULL || second == NULL)
		return false;
	snprintf(room, nroom, "operation=\"%s\",%s=\"%s\"", operation, labels[label].key, second);
	return true;
}

/* Into room: the labels without braces, "" when there are none. False: there is no such number. */
static bool
labels_of(
    enum metric_label label, const struct metric_names *names, unsigned i, char *room, size_t nroom)
{
	const char *name;

	room[0] = '\0';
	if (label == LABEL_NONE)
		return true;
	if (label == LABEL_RESULT || label == LABEL_LIMIT)
		return pair_of(names, label, i, room, nroom);
	if ((name = label_name(label, names, i)) == NULL)
		return false;
	snprintf(room, nroom, "%s=\"%s\"", labels[label].key, name);
	return true;
}

static void
write_histogram(struct buf *out, const struct counted *c, uint32_t at, const char *label)
{
	const uint64_t *bounds = c->kind == METRIC_SECONDS ? bounds_ns : bounds_bytes;
	double unit = c->kind == METRIC_SECONDS ? 1e9 : 1;
	const char *comma = label[0] != '\0' ? "," : "", *open = label[0] != '\0' ? "{" : "",
	           *close = label[0] != '\0' ? "}" : "";
	uint64_t counts[METRIC_BOUNDS + 1], below = 0, all = 0;

	/* Read once, so that the lines are of one moment whatever is counted meanwhile. */
	for (unsigned i = 0; i <= METRIC_BOUNDS; i++)
		all += counts[i] = cells_sum(at + i);
	if (all == 0)
		return;
	for (unsigned i = 0; i < METRIC_BOUNDS; i++) {
		below += counts[i];
		buf_printf(out, "twinhub_%s_bucket{%s%sle=\"", c->name, label, comma);
		write_bound(out, (double)bounds[i] / unit);
		buf_printf(out, "\"} %llu\n", (unsigned long long)below);
	}
	buf_printf(out, "twinhub_%s_bucket{%s%sle=\"+Inf\"} %llu\n", c->name, label, comma,
	    (unsigned long long)all);
	buf_printf(out, "twinhub_%s_sum%s%s%s %.15g\n", c->name, open, label, close,
	    (double)cells_sum(at + METRIC_BOUNDS + 1) / unit);
	buf_printf(out, "twinhub_%s_count%s%s%s %llu\n", c->name, open, label, close,
	    (unsigned long long)all);
}

static void
write_name(struct buf *out, enum metric_kind kind, const char *name, const char *label)
{
	buf_printf(out, "twinhub_%s%s", name, suffix(kind));
	if (label[0] != '\0')
		buf_printf(out, "{%s}", label);
}

static void
write_counted(struct buf *out, const struct counted *c, const struct metric_names *names)
{
	unsigned width = width_of(c);
	char label[160];

	for (unsigned i = 0; i < labels[c->label].n; i++) {
		uint32_t at = c->at + i * width;

		if (!labels_of(c->label, names, i, label, sizeof(label)))
			continue;
		if (width > 1) {
			write_histogram(out, c, at, label);
			continue;
		}
		write_name(out, c->kind, c->name, label);
		buf_printf(out, " %lld\n", (long long)cells_sum(at));
	}
}

static void
write_looked(
    struct buf *out, const struct looked *l, const struct metric_names *names, const double *values)
{
	char label[160];

	for (unsigned i = 0; i < labels[l->label].n; i++) {
		if (isnan(values[i]) || !labels_of(l->label, names, i, label, sizeof(label)))
			continue;
		write_name(out, l->kind, l->name, label);
		buf_printf(out, " %.15g\n", values[i]);
	}
}

void
metric_write(struct buf *out, enum metric_format f, const struct metric_names *names,
    const struct metric_looks *looks)
{
	for (unsigned m = 0; m < METRICS; m++) {
		describe(out, f, counted[m].kind, counted[m].name, counted[m].help);
		write_counted(out, &counted[m], names);
	}
	for (unsigned m = 0; m < LOOKS; m++) {
		describe(out, f, looked[m].kind, looked[m].name, looked[m].help);
		write_looked(out, &looked[m], names, (const double *)looks + looked[m].at);
	}
	if (f == METRIC_OPENMETRICS)
		buf_cstr(out, "# EOF\n");
}

/* ---- the table ---- */

/* The values of a label, or how many there are when it is many. */
static void
put_values(struct buf *out, enum metric_label label, const struct metric_names *names)
{
	const char *name;
	bool first = true;

	if (label == LABEL_RESULT) {
		buf_cstr(out, "`operation`, `result` (ok, refused, failed)");
		return;
	}
	if (label == LABEL_LIMIT) {
		put_values(out, LABEL_LIMITED, names);
		buf_cstr(out, ", ");
		label = LABEL_LIMITER;
	}
	buf_printf(out, "`%s`", labels[label].key);
	if (label == LABEL_REASON || label == LABEL_OPERATION || label == LABEL_VERSION)
		return;
	for (unsigned i = 0; i < labels[label].n; i++) {
		if ((name = label_name(label, names, i)) == NULL)
			continue;
		buf_printf(out, "%s%s", first ? " (" : ", ", name);
		first = false;
	}
	buf_cstr(out, ")");
}

static void
put_row(struct buf *out, enum metric_kind kind, enum metric_label label, const char *name,
    const char *help, const struct metric_names *names)
{
	buf_printf(out, "| `twinhub_%s%s` | %s | ", name, suffix(kind), kind_names[kind]);
	if (label != LABEL_NONE)
		put_values(out, label, names);
	buf_printf(out, " | %s |\n", help);
}

void
metric_table(struct buf *out, const struct metric_names *names)
{
	buf_cstr(out, "| figure | type | labels | what |\n| --- | --- | --- | --- |\n");
	for (unsigned m = 0; m < METRICS; m++)
		put_row(out, counted[m].kind, counted[m].label, counted[m].name, counted[m].help,
		    names);
	for (unsigned m = 0; m < LOOKS; m++)
		put_row(
		    out, looked[m].kind, looked[m].label, looked[m].name, looked[m].help, names);
}
