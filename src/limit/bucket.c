/* One bucket, as the time until which what was taken is paid for (the generic cell rate algorithm). */
#include "limit/limit.h"

#define SECOND_NS INT64_C(1000000000)

void
limit_owe(int64_t *until_ns, const struct limit_rate *rate, uint32_t n, int64_t now_ns)
{
	*until_ns = (*until_ns > now_ns ? *until_ns : now_ns) + (int64_t)n * rate->each_ns;
}

bool
limit_take(int64_t *until_ns, const struct limit_rate *rate, int64_t now_ns, int64_t *wait_ns)
{
	int64_t ahead_ns = *until_ns - now_ns, most_ns;

	if (rate->each_ns == 0)
		return true;
	most_ns = (int64_t)(rate->burst - 1) * rate->each_ns;
	if (ahead_ns > most_ns) {
		*wait_ns = ahead_ns - most_ns;
		return false;
	}
	limit_owe(until_ns, rate, 1, now_ns);
	return true;
}

struct limit_rate
limit_a_second(uint32_t n)
{
	uint32_t burst = n / 10 > 0 ? n / 10 : 1, rest = n > burst ? n - burst : 1;

	return (struct limit_rate){ .each_ns = (SECOND_NS + rest - 1) / rest, .burst = burst };
}
