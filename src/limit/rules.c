/* Rules as they are written, one over another, and as text again. */
#include "limit/limit.h"

#include <stdio.h>

#define SECOND_NS INT64_C(1000000000)
#define RATE_MAX  1000000u
/* of an empty bucket: far from what an int64_t has */
#define FILL_MAX (INT64_C(366) * 86400 * SECOND_NS)

static const char *const kinds[LIMIT_KINDS] = { "connections", "sends", "reads", "updates",
	"methods", "registry", "queries", "jobs", "configurations", "messages", "receives",
	"jobDevices" };
static const char *const whose_names[LIMIT_SORTS] = { "device", "module", "policy", "address",
	"hub", "daily" };
static const char *const counts[LIMIT_COUNTS] = { "identities", "configurations", "routes", "sinks",
	"activeJobs" };

/* What devices and modules ask for; the rest is for back ends, but for what jobs do by themselves. */
static const bool of_devices[LIMIT_KINDS] = { [LIMIT_CONNECTIONS] = true,
	[LIMIT_SENDS] = true,
	[LIMIT_READS] = true,
	[LIMIT_UPDATES] = true,
	[LIMIT_REGISTRY] = true,
	[LIMIT_RECEIVES] = true };

static const struct unit {
	const char *name;
	int64_t s;
} units[] = { { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
#define UNITS (sizeof(units) / sizeof(units[0]))

const char *
limit_kind_name(unsigned kind)
{
	return kind < LIMIT_KINDS ? kinds[kind] : NULL;
}

const char *
limit_whose_name(unsigned whose)
{
	return whose < LIMIT_SORTS ? whose_names[whose] : NULL;
}

const char *
limit_count_name(unsigned what)
{
	return what < LIMIT_COUNTS ? counts[what] : NULL;
}

uint64_t
limit_most(const struct limit_counts *c, enum limit_count what, uint64_t bound)
{
	return c != NULL && c->most[what] != 0 && c->most[what] < bound ? c->most[what] : bound;
}

static unsigned
name_find(const char *const *names, unsigned n, struct str name)
{
	unsigned i = 0;

	while (i < n && !str_eq(name, str_of(names[i])))
		i++;
	return i;
}

/* ---- a rate ---- */

/* 0: it is none */
static int64_t
unit_ns(struct str unit)
{
	for (size_t i = 0; i < UNITS; i++)
		if (str_eq(unit, str_of(units[i].name)))
			return units[i].s * SECOND_NS;
	return 0;
}

static bool
number(struct str text, uint64_t *n)
{
	return str_u64(text, n) && *n > 0 && *n <= RATE_MAX;
}

static uint32_t
burst_otherwise(int64_t each_ns)
{
	return each_ns < SECOND_NS ? (uint32_t)(SECOND_NS / each_ns) : 1;
}

/* N/UNIT[,BURST], or none */
static bool
rate_parse(struct str text, struct limit_rate *rate)
{
	struct str each, burst_text, n_text, unit;
	bool has_burst = str_cut(text, ',', &each, &burst_text);
	uint64_t n, burst = 0;
	int64_t span_ns;

	if (str_eq(text, STR("none"))) {
		*rate = (struct limit_rate){ .burst = 1 };
		return true;
	}
	if (!str_cut(each, '/', &n_text, &unit) || !number(n_text, &n) ||
	    (span_ns = unit_ns(unit)) == 0 || (has_burst && !number(burst_text, &burst)))
		return false;
	*rate = (struct limit_rate){ .each_ns = span_ns / (int64_t)n, .burst = (uint32_t)burst };
	if (!has_burst)
		rate->burst = burst_otherwise(rate->each_ns);
	return true;
}

/* In the smallest unit that says it exactly. */
static void
rate_put(struct buf *out, const struct limit_rate *rate)
{
	int64_t n = 0;
	size_t i = 0;

	if (rate->each_ns == 0) {
		buf_cstr(out, "none");
		return;
	}
	for (; i < UNITS; i++) {
		n = units[i].s * SECOND_NS / rate->each_ns;
		if (n > 0 && units[i].s * SECOND_NS / n == rate->each_ns)
			break;
	}
	assert(i < UNITS); /* it was made from one */
	buf_printf(out, "%lld/%s", (long long)n, units[i].name);
	if (rate->burst != burst_otherwise(rate->each_ns))
		buf_printf(out, ",%u", rate->burst);
}

/* ---- whose ---- */

/* WHOSE, or WHOSE(NAME): name.p is NULL without one. */
static bool
whose_parse(struct str text, enum limit_whose *whose, struct str *name)
{
	struct str sort, rest;
	unsigned i;

	*name = STR_NONE;
	if (str_cut(text, '(', &sort, &rest)) {
		if (rest.n < 2 || rest.p[rest.n - 1] != ')')
			return false;
		*name = (struct str){ rest.p, rest.n - 1 };
	}
	i = name_find(whose_names, LIMIT_WHOSE, sort);
	*whose = (enum limit_whose)i;
	return i < LIMIT_WHOSE && (name->n == 0 || i == LIMIT_POLICY || i == LIMIT_ADDRESS);
}

static enum err
named_make(enum limit_whose whose, struct str name, struct limit_named *out, char *why, size_t nwhy)
{
	*out = (struct limit_named){ .whose = whose };
	if (name.n >= sizeof(out->name) || memchr(name.p, '(', name.n) != NULL ||
	    memchr(name.p, ')', name.n) != NULL) {
		snprintf(why, nwhy, "'" STR_FMT "' is no name of at most %u bytes", STR_ARG(name),
		    LIMIT_NAME_MAX - 1);
		return ERR_ARG;
	}
	bytes_copy(out->name, name.p, name.n);
	if (whose == LIMIT_ADDRESS && !ip_net_parse(name, &out->net)) {
		snprintf(why, nwhy,
		    "'" STR_FMT
		    "' is neither an address nor a net like 10.0.0.0/8 or fd00::/8, with no bit "
		    "set beyond its length",
		    STR_ARG(name));
		return ERR_ARG;
	}
	return ERR_OK;
}

static bool
named_same(const struct limit_named *a, const struct limit_named *b)
{
	if (a->whose != b->whose)
		return false;
	return a->whose == LIMIT_POLICY
	    ? strcmp(a->name, b->name) == 0
	    : a->net.bits == b->net.bits && memcmp(a->net.ip, b->net.ip, 16) == 0;
}

/* Its place; NULL: there is none left. */
static struct limit_named *
named_place(struct limit_rules *rules, const struct limit_named *like)
{
	for (unsigned i = 0; i < rules->nnamed; i++)
		if (named_same(&rules->named[i], like))
			return &rules->named[i];
	if (rules->nnamed == LIMIT_NAMED_MAX)
		return NULL;
	rules->named[rules->nnamed] =
	    (struct limit_named){ .whose = like->whose, .key = like->key, .net = like->net };
	memcpy(rules->named[rules->nnamed].name, like->name, sizeof(like->name));
	return &rules->named[rules->nnamed++];
}

static enum err
too_many(char *why, size_t nwhy)
{
	snprintf(why, nwhy, "rules and shares name more than %u policies and nets, the limit",
	    LIMIT_NAMED_MAX);
	return ERR_ARG;
}

/* ---- a rule ---- */

/* Is it something that such an asker asks for? */
static bool
asks_for(unsigned whose, unsigned kind)
{
	if (kind == LIMIT_JOB_DEVICES)
		return whose == LIMIT_HUB;
	return whose > LIMIT_MODULE || of_devices[kind];
}

/* One that would not do what it seems to is none. */
static bool
rule_useful(struct str key, unsigned whose, unsigned kind, const struct limit_rate *rate, char *why,
    size_t nwhy)
{
	if (!asks_for(whose, kind))
		snprintf(why, nwhy, "a rate limit for %s:%s would limit nothing: no %s asks for %s",
		    whose_names[whose], kinds[kind], whose_names[whose], kinds[kind]);
	else if (rate->each_ns != 0 && rate->burst > FILL_MAX / rate->each_ns)
		snprintf(why, nwhy,
		    "the rate limit for " STR_FMT
		    " takes more than a year until %u may be done at once",
		    STR_ARG(key), rate->burst);
	else
		return true;
	return false;
}

/* WHOSE:KIND, WHOSE(NAME):KIND */
static bool
key_parse(struct str key, enum limit_whose *whose, struct str *name, enum limit_kind *kind)
{
	const char *end = memchr(key.p, ')', key.n);
	size_t skip = end != NULL ? (size_t)(end - key.p) : 0;
	struct str before, kind_text;
	unsigned i;

	if (!str_cut(str_sub(key, skip), ':', &before, &kind_text) ||
	    !whose_parse((struct str){ key.p, skip + before.n }, whose, name))
		return false;
	i = name_find(kinds, LIMIT_KINDS, kind_text);
	*kind = (enum limit_kind)i;
	return i < LIMIT_KINDS;
}

static enum err
no_rule(struct str text, char *why, size_t nwhy)
{
	snprintf(why, nwhy,
	    "'" STR_FMT "' is no rate limit as device:updates=10/s or policy:queries=20/m,5",
	    STR_ARG(text));
	return ERR_ARG;
}

enum err
limit_rule_set(
    struct limit_rules *rules, struct str key, struct str rate_text, char *why, size_t nwhy)
{
	struct limit_rate rate, *place;
	struct limit_named like, *named;
	enum limit_whose whose;
	enum limit_kind kind;
	struct str name;

	if (key.n == 0 || !key_parse(key, &whose, &name, &kind))
		return no_rule(key, why, nwhy);
	if (!rate_parse(rate_text, &rate)) {
		snprintf(why, nwhy, STR_FMT ": '" STR_FMT "' is no rate as 10/s, 20/m,5 or none",
		    STR_ARG(key), STR_ARG(rate_text));
		return ERR_ARG;
	}
	if (!rule_useful(key, whose, kind, &rate, why, nwhy))
		return ERR_ARG;
	place = &rules->rate[whose][kind];
	if (name.n > 0) {
		if (named_make(whose, name, &like, why, nwhy) != ERR_OK)
			return ERR_ARG;
		if ((named = named_place(rules, &like)) == NULL)
			return too_many(why, nwhy);
		place = &named->rate[kind];
	}
	if (place->burst != 0) {
		snprintf(why, nwhy, "there are two rate limits for " STR_FMT, STR_ARG(key));
		return ERR_ARG;
	}
	*place = rate;
	rules->n++;
	return ERR_OK;
}

enum err
limit_rule_parse(struct str text, struct limit_rules *rules, char *why, size_t nwhy)
{
	const char *end = text.n > 0 ? memchr(text.p, ')', text.n) : NULL;
	size_t skip = end != NULL ? (size_t)(end - text.p) : 0;
	struct str key, rate_text;
	struct limit_rate rate;

	if (!str_cut(str_sub(text, skip), '=', &key, &rate_text) || !rate_parse(rate_text, &rate))
		return no_rule(text, why, nwhy);
	return limit_rule_set(rules, (struct str){ text.p, skip + key.n }, rate_text, why, nwhy);
}

/* ---- shares ---- */

enum err
limit_share_set(struct limit_rules *rules, struct str key, uint64_t share, char *why, size_t nwhy)
{
	struct limit_named like, *named;
	enum limit_whose whose;
	struct str name;

	if (key.n == 0 || !whose_parse(key, &whose, &name) || name.n == 0) {
		snprintf(why, nwhy,
		    "'" STR_FMT "' is nobody who may have a share, as policy(team-a) or "
		    "address(10.1.0.0/16)",
		    STR_ARG(key));
		return ERR_ARG;
	}
	if (share < 1 || share > LIMIT_SHARES || rules->shares + share > LIMIT_SHARES) {
		snprintf(why, nwhy,
		    "the share of " STR_FMT
		    " is a number of percent from 1 to %u, and all together at most %u, not %llu "
		    "beside %u",
		    STR_ARG(key), LIMIT_SHARES, LIMIT_SHARES, (unsigned long long)share,
		    rules->shares);
		return ERR_ARG;
	}
	if (named_make(whose, name, &like, why, nwhy) != ERR_OK)
		return ERR_ARG;
	if ((named = named_place(rules, &like)) == NULL)
		return too_many(why, nwhy);
	if (named->share != 0) {
		snprintf(why, nwhy, "there are two shares of " STR_FMT, STR_ARG(key));
		return ERR_ARG;
	}
	named->share = (unsigned)share;
	rules->shares += (unsigned)share;
	return ERR_OK;
}

/* ---- one over another ---- */

static void
rates_over(struct limit_rules *rules, struct limit_rate *to, const struct limit_rate *from)
{
	for (unsigned kind = 0; kind < LIMIT_KINDS; kind++) {
		if (from[kind].burst == 0)
			continue;
		rules->n += to[kind].burst == 0;
		to[kind] = from[kind];
	}
}

enum err
limit_rules_over(struct limit_rules *rules, const struct limit_rules *top)
{
	struct limit_named *named;
	enum err e = ERR_OK;

	for (unsigned whose = 0; whose < LIMIT_WHOSE; whose++)
		rates_over(rules, rules->rate[whose], top->rate[whose]);
	for (unsigned i = 0; i < top->nnamed; i++) {
		if ((named = named_place(rules, &top->named[i])) == NULL) {
			e = ERR_FULL;
			continue;
		}
		rates_over(rules, named->rate, top->named[i].rate);
		if (top->named[i].share != 0) {
			rules->shares += top->named[i].share - named->share;
			named->share = top->named[i].share;
		}
	}
	if (top->daily != 0) {
		rules->daily = top->daily;
		rules->block = top->block;
	}
	for (unsigned i = 0; i < LIMIT_COUNTS; i++)
		if (top->counts.most[i] != 0)
			rules->counts.most[i] = top->counts.most[i];
	return e;
}

/* ---- as text ---- */

static void
whose_put(struct buf *out, enum limit_whose whose, const struct limit_named *named)
{
	buf_cstr(out, whose_names[whose]);
	if (named != NULL)
		buf_printf(out, "(%s)", named->name);
}

/* i counts down to the one that is wanted. */
static bool
rates_find(const struct limit_rate *rates, unsigned *i, enum limit_whose whose,
    const struct limit_named *named, struct limit_text *out)
{
	for (unsigned kind = 0; kind < LIMIT_KINDS; kind++) {
		if (rates[kind].burst == 0 || (*i)-- != 0)
			continue;
		whose_put(&out->key, whose, named);
		buf_printf(&out->key, ":%s", kinds[kind]);
		rate_put(&out->rate, &rates[kind]);
		return true;
	}
	return false;
}

bool
limit_rule_text(const struct limit_rules *rules, unsigned i, struct limit_text *out)
{
	out->key.n = out->rate.n = 0;
	for (unsigned whose = 0; whose < LIMIT_WHOSE; whose++)
		if (rates_find(rules->rate[whose], &i, (enum limit_whose)whose, NULL, out))
			return true;
	for (unsigned m = 0; m < rules->nnamed; m++)
		if (rates_find(
		        rules->named[m].rate, &i, rules->named[m].whose, &rules->named[m], out))
			return true;
	return false;
}

bool
limit_share_text(const struct limit_rules *rules, unsigned i, struct limit_text *out)
{
	out->key.n = out->rate.n = 0;
	for (unsigned m = 0; m < rules->nnamed; m++) {
		if (rules->named[m].share == 0 || i-- != 0)
			continue;
		whose_put(&out->key, rules->named[m].whose, &rules->named[m]);
		buf_u64(&out->rate, rules->named[m].share);
		return true;
	}
	return false;
}
