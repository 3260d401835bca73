/* Rules as they are written, and what is said of who passes one. */
#include "limit/limit.h"

#include <stdio.h>

#define SECOND_NS INT64_C(1000000000)
#define RATE_MAX  1000000u
/* of an empty bucket: far from what an int64_t has */
#define FILL_MAX (INT64_C(366) * 86400 * SECOND_NS)

static const char *const kinds[LIMIT_KINDS] = { "connections", "sends", "reads", "updates",
	"methods", "registry", "queries", "jobs", "configurations" };
static const char *const whose_names[LIMIT_WHOSE] = { "device", "module", "policy", "address" };

/* What devices and modules ask for; the rest is for back ends. */
static const bool of_devices[LIMIT_KINDS] = { [LIMIT_CONNECTIONS] = true,
	[LIMIT_SENDS] = true,
	[LIMIT_READS] = true,
	[LIMIT_UPDATES] = true,
	[LIMIT_REGISTRY] = true };

const char *
limit_kind_name(enum limit_kind kind)
{
	return kinds[kind];
}

const char *
limit_whose_name(enum limit_whose whose)
{
	return whose_names[whose];
}

static unsigned
name_find(const char *const *names, unsigned n, struct str name)
{
	unsigned i = 0;

	while (i < n && !str_eq(name, str_of(names[i])))
		i++;
	return i;
}

/* 0: it is none */
static int64_t
unit_ns(struct str unit)
{
	static const struct {
		const char *name;
		int64_t s;
	} units[] = { { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (str_eq(unit, str_of(units[i].name)))
			return units[i].s * SECOND_NS;
	return 0;
}

static bool
number(struct str text, uint64_t *n)
{
	return str_u64(text, n) && *n > 0 && *n <= RATE_MAX;
}

/* N/UNIT[,BURST] */
static bool
rate_parse(struct str text, struct limit_rate *rate)
{
	struct str each, burst_text, n_text, unit;
	bool has_burst = str_cut(text, ',', &each, &burst_text);
	uint64_t n, burst = 0;
	int64_t span_ns;

	if (!str_cut(each, '/', &n_text, &unit) || !number(n_text, &n) ||
	    (span_ns = unit_ns(unit)) == 0 || (has_burst && !number(burst_text, &burst)))
		return false;
	*rate = (struct limit_rate){ .each_ns = span_ns / (int64_t)n, .burst = (uint32_t)burst };
	if (!has_burst)
		rate->burst = rate->each_ns < SECOND_NS ? (uint32_t)(SECOND_NS / rate->each_ns) : 1;
	return true;
}

/* WHOSE:KIND=rate */
static bool
rule_parse(struct str text, unsigned *whose, unsigned *kind, struct limit_rate *rate)
{
	struct str whose_text, rest, kind_text, rate_text;

	return str_cut(text, ':', &whose_text, &rest) &&
	    str_cut(rest, '=', &kind_text, &rate_text) &&
	    (*whose = name_find(whose_names, LIMIT_WHOSE, whose_text)) < LIMIT_WHOSE &&
	    (*kind = name_find(kinds, LIMIT_KINDS, kind_text)) < LIMIT_KINDS &&
	    rate_parse(rate_text, rate);
}

/* One that would not do what it seems to is none. */
static bool
rule_useful(unsigned whose, unsigned kind, const struct limit_rate *rate,
    const struct limit_rules *rules, char *why, size_t nwhy)
{
	if (whose <= LIMIT_MODULE && !of_devices[kind])
		snprintf(why, nwhy, "a rate limit for %s:%s would limit nothing: no %s asks for %s",
		    whose_names[whose], kinds[kind], whose_names[whose], kinds[kind]);
	else if (rate->burst > FILL_MAX / rate->each_ns)
		snprintf(why, nwhy,
		    "the rate limit for %s:%s takes more than a year until %u may be done at once",
		    whose_names[whose], kinds[kind], rate->burst);
	else if (rules->rate[whose][kind].each_ns != 0)
		snprintf(why, nwhy, "there are two rate limits for %s:%s", whose_names[whose],
		    kinds[kind]);
	else
		return true;
	return false;
}

enum err
limit_rule_parse(struct str text, struct limit_rules *rules, char *why, size_t nwhy)
{
	struct limit_rate rate;
	unsigned whose, kind;

	if (!rule_parse(text, &whose, &kind, &rate)) {
		snprintf(why, nwhy,
		    "'" STR_FMT
		    "' is no rate limit as device:updates=10/s or policy:queries=20/m,5",
		    STR_ARG(text));
		return ERR_ARG;
	}
	if (!rule_useful(whose, kind, &rate, rules, why, nwhy))
		return ERR_ARG;
	rules->rate[whose][kind] = rate;
	rules->n++;
	return ERR_OK;
}

int64_t
limit_wait_s(const struct limit_refusal *why)
{
	return (why->wait_ns + SECOND_NS - 1) / SECOND_NS;
}

void
limit_fault(const struct limit_refusal *why, struct fault *f)
{
	bool device = why->whose == LIMIT_DEVICE || why->whose == LIMIT_MODULE;

	fault_set(f, device ? F_DeviceThrottlingLimitExceeded : F_ThrottlingException,
	    "request has been throttled, wait %lld seconds, operation type %s, by the rate limit "
	    "of "
	    "each %s",
	    (long long)limit_wait_s(why), kinds[why->kind], whose_names[why->whose]);
}
