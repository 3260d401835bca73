/* The messages of a day, and what is said of who passes a limit. */
#include "limit/limit.h"

#define SECOND_NS INT64_C(1000000000)
#define DAY_US    INT64_C(86400000000)

/* What counts as messages. */
static const bool counts[LIMIT_KINDS] = { [LIMIT_SENDS] = true,
	[LIMIT_READS] = true,
	[LIMIT_UPDATES] = true,
	[LIMIT_METHODS] = true,
	[LIMIT_QUERIES] = true,
	[LIMIT_MESSAGES] = true };

void
limit_daily_turn(struct limit_daily *d, int64_t wall_us)
{
	int64_t day = wall_us / DAY_US;

	if (day == d->day || day == d->day - 1)
		return;
	/* A clock that was far ahead, and was set right, must not hold what was used until that far day. */
	if (day > d->day)
		d->used = 0;
	d->day = day;
}

bool
limit_daily_allows(
    struct limit_daily *d, enum limit_kind kind, int64_t wall_us, struct limit_refusal *why)
{
	if (d->most == 0 || !counts[kind])
		return true;
	limit_daily_turn(d, wall_us);
	if (d->used < d->most)
		return true;
	*why = (struct limit_refusal){ .kind = kind,
		.whose = LIMIT_DAILY,
		.wait_ns = ((d->day + 1) * DAY_US - wall_us) * 1000,
		.used = d->used,
		.most = d->most };
	return false;
}

void
limit_daily_count(struct limit_daily *d, uint64_t bytes, int64_t wall_us)
{
	if (d->most == 0)
		return;
	limit_daily_turn(d, wall_us);
	d->used += bytes > 0 ? (bytes + d->block - 1) / d->block : 1;
}

int64_t
limit_wait_s(const struct limit_refusal *why)
{
	return (why->wait_ns + SECOND_NS - 1) / SECOND_NS;
}

static void
rate_fault(const struct limit_refusal *why, struct fault *f)
{
	bool device = why->whose == LIMIT_DEVICE || why->whose == LIMIT_MODULE;
	const char *of = why->whose == LIMIT_HUB ? "the " : why->name[0] == '\0' ? "each " : "";

	fault_set(f, device ? F_DeviceThrottlingLimitExceeded : F_ThrottlingException,
	    "request has been throttled, wait %lld seconds, operation type %s, by the rate limit "
	    "of "
	    "%s%s%s%s",
	    (long long)limit_wait_s(why), limit_kind_name(why->kind), of,
	    limit_whose_name(why->whose), why->name[0] != '\0' ? " " : "", why->name);
}

void
limit_fault(const struct limit_refusal *why, struct fault *f)
{
	if (why->whose == LIMIT_DAILY)
		fault_set(f, F_IotHubQuotaExceeded,
		    "Total number of messages on this hub exceeded the allocated quota. Max "
		    "allowed message count : '%llu', current message count : '%llu'. They are "
		    "counted anew from the next UTC day on, in %lld seconds",
		    (unsigned long long)why->most, (unsigned long long)why->used,
		    (long long)limit_wait_s(why));
	else
		rate_fault(why, f);
}
