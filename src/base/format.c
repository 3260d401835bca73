/*
 * Text forms: time, base64, faults.
 *
 * Base64 is written here, for keys are compared as bytes and so must have one text each: OpenSSL's EVP_DecodeBlock passes over
 * blanks, takes any bits behind the last byte, and leaves the padding in the length. This room has no OpenSSL besides.
 */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

/* Days since 1970-01-01 of a civil date, and back (proleptic Gregorian, years counted from March). */
static int64_t
days_from_civil(int64_t y, unsigned m, unsigned d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	unsigned yoe = (unsigned)(y - era * 400);
	unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + (int64_t)doe - 719468;
}

static void
civil_from_days(int64_t z, int64_t *y, unsigned *m, unsigned *d)
{
	z += 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;

	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = (int64_t)yoe + era * 400 + (*m <= 2);
}

static void
digits(char *out, unsigned n, uint64_t v)
{
	while (n-- > 0) {
		out[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

size_t
time_format(int64_t us, char out[TIME_TEXT_MAX])
{
	int64_t days = us / 86400000000, rest = us % 86400000000, y;
	unsigned m, d;

	if (us == 0) {
		memcpy(out, "0001-01-01T00:00:00Z", 21);
		return 20;
	}
	if (rest < 0) {
		rest += 86400000000;
		days--;
	}
	civil_from_days(days, &y, &m, &d);
	memcpy(out, "0000-00-00T00:00:00.0000000Z", 29);
	digits(out, 4, (uint64_t)(y < 0 ? 0 : y > 9999 ? 9999 : y));
	digits(out + 5, 2, m);
	digits(out + 8, 2, d);
	digits(out + 11, 2, (uint64_t)(rest / 3600000000));
	digits(out + 14, 2, (uint64_t)(rest / 60000000 % 60));
	digits(out + 17, 2, (uint64_t)(rest / 1000000 % 60));
	digits(out + 20, 6, (uint64_t)(rest % 1000000));
	return 28;
}

static bool
take_digits(struct str *s, unsigned n, unsigned *v)
{
	if (s->n < n)
		return false;
	*v = 0;
	for (unsigned i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		*v = *v * 10 + (unsigned)(s->p[i] - '0');
	}
	*s = str_sub(*s, n);
	return true;
}

static bool
take_char(struct str *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = str_sub(*s, 1);
	return true;
}

/* The fraction's first six digits count; a seventh is allowed and dropped. */
static bool
take_fraction(struct str *s, unsigned *us)
{
	unsigned n = 0;

	*us = 0;
	if (!take_char(s, '.'))
		return true;
	for (; s->n > 0 && s->p[0] >= '0' && s->p[0] <= '9'; n++, *s = str_sub(*s, 1))
		if (n < 6)
			*us = *us * 10 + (unsigned)(s->p[0] - '0');
	for (unsigned i = n; i < 6; i++)
		*us *= 10;
	return n >= 1 && n <= 7;
}

#define YEAR_1_US     INT64_C(-62135596800000000)
#define YEAR_10000_US INT64_C(253402300800000000)

/* Nothing, Z, or what local time is ahead of UTC, as +02:00; all of the rest. */
static bool
take_zone(struct str s, int64_t *ahead_us)
{
	bool west = s.n > 0 && s.p[0] == '-';
	unsigned h, m;

	*ahead_us = 0;
	if (s.n == 0 || str_eq(s, STR("Z")))
		return true;
	if ((!take_char(&s, '+') && !take_char(&s, '-')) || !take_digits(&s, 2, &h) ||
	    !take_char(&s, ':') || !take_digits(&s, 2, &m) || s.n != 0 || h > 23 || m > 59)
		return false;
	*ahead_us = (west ? -1 : 1) * (int64_t)(h * 60 + m) * 60000000;
	return true;
}

bool
time_parse(struct str s, int64_t *out)
{
	static const unsigned char days_in[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned y, mo, d, h, mi, sec, frac;
	int64_t us, ahead_us;
	bool leap;

	if (!take_digits(&s, 4, &y) || !take_char(&s, '-') || !take_digits(&s, 2, &mo) ||
	    !take_char(&s, '-') || !take_digits(&s, 2, &d) || !take_char(&s, 'T') ||
	    !take_digits(&s, 2, &h) || !take_char(&s, ':') || !take_digits(&s, 2, &mi) ||
	    !take_char(&s, ':') || !take_digits(&s, 2, &sec) || !take_fraction(&s, &frac) ||
	    !take_zone(s, &ahead_us))
		return false;
	leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	if (y == 0 || mo < 1 || mo > 12 || d < 1 ||
	    d > days_in[mo - 1] + (mo == 2 && leap ? 1u : 0u) || h > 23 || mi > 59 || sec > 59)
		return false;
	us = ((days_from_civil(y, mo, d) * 24 + h) * 60 + mi) * 60000000 + sec * INT64_C(1000000) +
	    frac - ahead_us;
	if (y == 1 && mo == 1 && d == 1) /* "never", in whatever zone the client lives */
		us = 0;
	else if (us < YEAR_1_US || us >= YEAR_10000_US) /* the offset led out of what has a text */
		return false;
	*out = us;
	return true;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct buf *out, const void *p, size_t n)
{
	const unsigned char *b = p;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)b[i] << 16 | (i + 1 < n ? (uint32_t)b[i + 1] << 8 : 0) |
		    (i + 2 < n ? b[i + 2] : 0);
		char t[4] = { base64_digits[v >> 18], base64_digits[v >> 12 & 63],
			i + 1 < n ? base64_digits[v >> 6 & 63] : '=',
			i + 2 < n ? base64_digits[v & 63] : '=' };
		buf_put(out, t, 4);
	}
}

static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One group of four; returns the bytes it holds (1 to 3), 0 when it is not canonical. */
static unsigned
base64_group(const char *c, bool last, unsigned char out[3])
{
	unsigned pad = last ? (c[3] == '=') + (c[3] == '=' && c[2] == '=') : 0;
	uint32_t v = 0;

	for (unsigned i = 0; i < 4; i++) {
		int d = i >= 4 - pad ? 0 : base64_value(c[i]);
		if (d < 0)
			return 0;
		v = v << 6 | (uint32_t)d;
	}
	out[0] = (unsigned char)(v >> 16);
	out[1] = (unsigned char)(v >> 8);
	out[2] = (unsigned char)v;
	if ((pad == 1 && out[2] != 0) || (pad == 2 && out[1] != 0))
		return 0;
	return 3 - pad;
}

void
decimal_etag(uint64_t n, char out[32])
{
	struct buf digits = { 0 }, b = { 0 };

	buf_u64(&digits, n);
	base64_encode(&b, digits.p, digits.n);
	assert(b.n < 32);
	memcpy(out, b.p, b.n);
	out[b.n] = '\0';
	buf_fini(&digits);
	buf_fini(&b);
}

bool
base64_decode(struct buf *out, struct str s)
{
	size_t start = out->n;

	if (s.n % 4 != 0)
		return false;
	for (size_t i = 0; i < s.n; i += 4) {
		unsigned char t[3];
		unsigned n = base64_group(s.p + i, i + 4 == s.n, t);
		if (n == 0) {
			out->n = start;
			return false;
		}
		buf_put(out, t, n);
	}
	return true;
}

static void
swap_chars(char *p, size_t n, const char from[2], const char to[2])
{
	for (size_t i = 0; i < n; i++)
		p[i] = p[i] == from[0] ? to[0] : p[i] == from[1] ? to[1] : p[i];
}

void
base64url_encode(struct buf *out, const void *p, size_t n)
{
	size_t from = out->n;

	base64_encode(out, p, n);
	while (out->n > from && out->p[out->n - 1] == '=')
		out->n--;
	swap_chars(out->p + from, out->n - from, "+/", "-_");
}

bool
base64url_decode(struct buf *out, struct str s)
{
	struct buf text = { 0 };
	bool ok = s.n == 0 ||
	    (memchr(s.p, '+', s.n) == NULL && memchr(s.p, '/', s.n) == NULL && s.p[s.n - 1] != '=');

	buf_str(&text, s);
	swap_chars(text.p, text.n, "-_", "+/");
	while (text.n % 4 != 0)
		buf_putc(&text, '=');
	ok = ok && base64_decode(out, buf_view(&text));
	buf_fini(&text);
	return ok;
}

enum err
fault_set(struct fault *f, enum fault_code code, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	if (f == NULL)
		return ERR_ARG;
	f->code = code;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	n = strlen(f->text);
	if (n == sizeof(f->text) - 1) /* perhaps cut inside a character */
		while (n > 0 && !utf8_valid((struct str){ f->text, n }) && sizeof(f->text) - n < 5)
			f->text[--n] = '\0';
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)f->text[i] < 0x20 || f->text[i] == 0x7F)
			f->text[i] = '?';
		else if (f->text[i] == ';')
			f->text[i] = ',';
	}
	return ERR_ARG;
}

const char *
fault_name(enum fault_code code)
{
	switch (fault_number(code)) {
#define X(number, name)                                                                            \
	case number: return #name;
		FAULT_CODES(X)
#undef X
	default: return "ServerError";
	}
}
