/* Which format a scraper wants, by its Accept (RFC 9110, 12.5.1). */
#include "metric/metric.h"

/* What a media range says of one format: how much it is wanted, in thousandths, by the range that names it most closely. */
struct wish {
	unsigned closeness; /* 0: no range names it; 1: * / *, 2: text / *, 3: by name */
	unsigned q;
};

static struct str
trimmed(struct str s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_sub(s, 1);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* "0.25": 250. What is no such number is 0: it is not wanted. */
static unsigned
thousandths(struct str s)
{
	unsigned v = 0, place = 1000;

	if (s.n == 0 || s.n > 5 || (s.n > 1 && s.p[1] != '.'))
		return 0;
	for (size_t i = 0; i < s.n; i++) {
		if (i == 1)
			continue;
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
		v += (unsigned)(s.p[i] - '0') * place;
		place /= 10;
	}
	return v <= 1000 ? v : 0;
}

/* Versions whose readers can read what we write. */
static const char *const open_versions[] = { "1.0.0", "0.0.1", NULL };
static const char *const text_versions[] = { "0.0.4", NULL };
static const char *const all_versions[] = { NULL };

static bool
is_one_of(const char *const *versions, struct str version)
{
	bool found = *versions == NULL;

	for (; *versions != NULL; versions++)
		found |= str_eq(version, str_of(*versions));
	return found;
}

/* What the parameters of a range say. */
static unsigned
wanted(struct str parameters, const char *const *versions)
{
	struct str one, name, value;
	unsigned q = 1000;

	while (parameters.n > 0) {
		str_cut(parameters, ';', &one, &parameters);
		str_cut(one, '=', &name, &value);
		value = trimmed(value);
		if (str_ieq(trimmed(name), STR("q")))
			q = thousandths(value);
		else if (str_ieq(trimmed(name), STR("version")) && !is_one_of(versions, value))
			return 0;
	}
	return q;
}

static void
take(struct wish *w, unsigned closeness, unsigned q)
{
	if (closeness < w->closeness || (closeness == w->closeness && q <= w->q))
		return;
	w->closeness = closeness;
	w->q = q;
}

enum metric_format
metric_format_of(struct str accept)
{
	struct wish open = { 0 }, text = { 0 };
	struct str range, type;

	while (accept.n > 0) {
		str_cut(accept, ',', &range, &accept);
		str_cut(range, ';', &type, &range);
		type = trimmed(type);
		if (str_ieq(type, STR("application/openmetrics-text")))
			take(&open, 3, wanted(range, open_versions));
		else if (str_ieq(type, STR("text/plain")))
			take(&text, 3, wanted(range, text_versions));
		else if (str_eq(type, STR("text/*")))
			take(&text, 2, wanted(range, all_versions));
		else if (str_eq(type, STR("*/*")))
			take(&text, 1, wanted(range, all_versions));
	}
	return open.q > 0 && open.q >= text.q ? METRIC_OPENMETRICS : METRIC_PROMETHEUS;
}
