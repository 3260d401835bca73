/* Durations of ISO 8601, as far as their length is known: without months and years. */
#include "base/base.h"

#define DIGITS_MAX 9

/* P2DT3H4M5S: the parts in this order, each once. */
static const struct part {
	char letter;
	bool time; /* behind the T */
	int64_t seconds;
} parts[] = { { 'W', false, 7 * 86400 }, { 'D', false, 86400 }, { 'H', true, 3600 },
	{ 'M', true, 60 }, { 'S', true, 1 } };
#define NPART (sizeof(parts) / sizeof(parts[0]))

static bool
number_take(struct str *s, int64_t *n)
{
	size_t digits = 0;

	*n = 0;
	while (digits < s->n && s->p[digits] >= '0' && s->p[digits] <= '9' && digits <= DIGITS_MAX)
		*n = *n * 10 + (s->p[digits++] - '0');
	*s = str_sub(*s, digits);
	return digits > 0 && digits <= DIGITS_MAX;
}

bool
duration_parse(struct str s, int64_t *seconds)
{
	bool time = false, some = false;
	int64_t sum = 0, n;
	size_t next = 0;

	if (s.n == 0 || s.p[0] != 'P')
		return false;
	s = str_sub(s, 1);
	while (s.n > 0) {
		if (!time && s.p[0] == 'T') {
			time = true;
			some = false;
			s = str_sub(s, 1);
			continue;
		}
		if (!number_take(&s, &n) || s.n == 0)
			return false;
		while (next < NPART && (parts[next].letter != s.p[0] || parts[next].time != time))
			next++;
		if (next == NPART)
			return false;
		sum += n * parts[next++].seconds;
		some = true;
		s = str_sub(s, 1);
	}
	if (!some) /* "P", "PT", "P1DT" */
		return false;
	*seconds = sum;
	return true;
}
