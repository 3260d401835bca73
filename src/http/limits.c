/* Rate limits of requests (limits.md 2, R-101): which kind of operation each route is, and 429 with Retry-After. */
#include "http/priv.h"

#include <stdio.h>

#define NONE LIMIT_KINDS

/* The first row whose path the route's begins with. */
static const struct {
	const char *path;
	enum limit_kind reads, writes; /* of GET, of others */
} kinds[] = {
	{ "twins/{device}/methods", LIMIT_METHODS, LIMIT_METHODS },
	{ "twins/{device}/modules/{module}/methods", LIMIT_METHODS, LIMIT_METHODS },
	{ "twins", LIMIT_READS, LIMIT_UPDATES },
	{ "digitaltwins/{device}/co", LIMIT_METHODS, LIMIT_METHODS }, /* commands, components */
	{ "digitaltwins", LIMIT_READS, LIMIT_UPDATES },
	{ "devices/query", LIMIT_QUERIES, LIMIT_QUERIES },
	{ "devices/{device}/messages/events", LIMIT_SENDS, LIMIT_SENDS },
	{ "devices/{device}/messages/deviceBound/", LIMIT_RECEIVES, LIMIT_RECEIVES },
	{ "devices/{device}/messages/deviceBound", LIMIT_RECEIVES, LIMIT_MESSAGES },
	{ "messages", LIMIT_RECEIVES, LIMIT_RECEIVES },
	{ "devices/{device}/modules/{module}/messages/events", LIMIT_SENDS, LIMIT_SENDS },
	{ "devices/{device}/applyConfigurationContent", LIMIT_CONFIGURATIONS,
	    LIMIT_CONFIGURATIONS },
	{ "devices", LIMIT_REGISTRY, LIMIT_REGISTRY },
	{ "statistics/limits", NONE, NONE }, /* who is limited may ask why */
	{ "statistics", LIMIT_REGISTRY, LIMIT_REGISTRY },
	{ "configurations", LIMIT_CONFIGURATIONS, LIMIT_CONFIGURATIONS },
	{ "jobs", LIMIT_JOBS, LIMIT_JOBS },
	{ "", NONE, NONE }, /* administration, and what is never there */
};

static enum limit_kind
kind_of(const struct route *route)
{
	size_t i = 0;

	while (!str_starts(str_of(route->path), str_of(kinds[i].path)))
		i++;
	return route->method == HTTP_GET ? kinds[i].reads : kinds[i].writes;
}

/* What a module does counts for its device, too; what is sent, for whom it is sent, whoever signed. */
static struct limit_asker
asker_of(const struct request *r, enum limit_kind kind)
{
	struct limit_asker asker = { 0 };
	bool sends = kind == LIMIT_SENDS;

	if (r->actor == ACTOR_DEVICE || sends)
		asker.key[LIMIT_DEVICE] = asker_key(r->segment[1], STR_NONE);
	if (r->actor == ACTOR_POLICY)
		asker.key[LIMIT_POLICY] = asker_key(r->asker, STR_NONE);
	if (path_module(r).n > 0 && (sends || (r->rights & RIGHT_MODULE_SELF)))
		asker.key[LIMIT_MODULE] = asker_key(r->segment[1], path_module(r));
	if (r->hl->o.address_free == NULL || !nets_have(r->hl->o.address_free, &r->ask.from)) {
		asker.key[LIMIT_ADDRESS] = asker_key(net_addr_party(&r->ask.from), STR_NONE);
		memcpy(asker.ip, r->ask.from.ip, sizeof(asker.ip));
	}
	return asker;
}

static void
refuse(struct request *r, const struct limit_refusal *why)
{
	char seconds[24];
	struct fault f;

	limit_fault(why, &f);
	if (why->whose != LIMIT_DAILY) {
		snprintf(seconds, sizeof(seconds), "%lld", (long long)limit_wait_s(why));
		add_header(r, "Retry-After", seconds);
	}
	r->refused = why->whose == LIMIT_DAILY ? REASON_QUOTA : REASON_RATE_LIMIT;
	reply_fault(r, &f);
}

/* Of what is written the request counts as messages; of what is read its answer (request_answered). */
static void
admitted(struct request *r, enum limit_kind kind, const struct limit_asker *asker)
{
	struct limiter *l = r->hl->o.limiter;

	if (kind == LIMIT_METHODS && r->ask.body.n > LIMIT_METHOD_BLOCK)
		limiter_owes(l, kind, asker, (uint32_t)((r->ask.body.n - 1) / LIMIT_METHOD_BLOCK));
	if (kind == LIMIT_SENDS || kind == LIMIT_UPDATES || kind == LIMIT_METHODS ||
	    kind == LIMIT_MESSAGES)
		limiter_meters(l, r->ask.body.n);
}

static bool
is_limited(const struct request *r)
{
	return r->hl->o.limiter != NULL &&
	    atomic_load_explicit(limiter_flag(r->hl->o.limiter), memory_order_relaxed);
}

bool
request_admitted(struct request *r)
{
	struct limit_refusal why;
	struct limit_asker asker;
	enum limit_kind kind;

	if (!is_limited(r) || (kind = kind_of(r->route)) == NONE)
		return true;
	asker = asker_of(r, kind);
	if (!limiter_takes(r->hl->o.limiter, kind, &asker, &why)) {
		refuse(r, &why);
		return false;
	}
	admitted(r, kind, &asker);
	return true;
}

void
request_counts(struct request *r, uint32_t n)
{
	struct limit_asker asker;
	enum limit_kind kind;

	if (!is_limited(r) || n < 2 || (kind = kind_of(r->route)) == NONE)
		return;
	asker = asker_of(r, kind);
	limiter_owes(r->hl->o.limiter, kind, &asker, n - 1);
	for (uint32_t i = 1; kind == LIMIT_SENDS && i < n; i++)
		limiter_meters(r->hl->o.limiter, 0);
}

void
request_answered(struct request *r, int status, uint64_t bytes)
{
	enum limit_kind kind;

	if (!is_limited(r) || r->route == NULL || status >= 300)
		return;
	kind = kind_of(r->route);
	if (kind == LIMIT_READS || kind == LIMIT_QUERIES || kind == LIMIT_METHODS)
		limiter_meters(r->hl->o.limiter, bytes);
}
