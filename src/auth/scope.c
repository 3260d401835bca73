/*
 * Which resources a token is for. `sr` is {host}[/segment...], encoded in whole, in parts or not at all
 * (D-11); it covers everything that starts with all its segments.
 *
 * The signature was made over the text as sent; only here is it decoded.
 */
#include "auth/auth.h"

/* ---- hosts ---- */

/* Without `:port`. An IPv6 literal has its own colons and is in brackets when there is a port. */
static struct str
without_port(struct str host)
{
	size_t n = host.n;

	while (n > 0 && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
		n--;
	if (n == 0 || n == host.n || host.p[n - 1] != ':')
		return host;
	n--;
	if (n > 0 && host.p[n - 1] != ']' && memchr(host.p, ':', n) != NULL)
		return host;
	return (struct str){ host.p, n };
}

bool
host_known(struct hosts hosts, struct str host)
{
	host = without_port(host);
	if (host.n == 0)
		return false;
	for (size_t i = 0; i < hosts.n; i++)
		if (str_ieq(without_port(hosts.names[i]), host))
			return true;
	return false;
}

/* ---- the segments of `sr` ---- */

struct scope {
	char text[SAS_MAX];
	struct str rest; /* the segments after the host; none when p is NULL */
};

static void
cut_last(struct str *s, const char *slash)
{
	s->n = (size_t)(slash - s->p);
}

/* Drop one trailing '/' and one trailing `/api-version=...`, which old tools append. */
static struct str
trim(struct str s)
{
	const char *slash;

	if (str_ends(s, STR("/")))
		s.n--;
	slash = s.n > 0 ? memrchr(s.p, '/', s.n) : NULL;
	if (slash != NULL && str_starts(str_sub(s, (size_t)(slash - s.p) + 1), STR("api-version=")))
		cut_last(&s, slash);
	if (str_ends(s, STR("/")))
		s.n--;
	return s;
}

static bool
scope_open(struct scope *sc, const struct sas *t, struct hosts hosts)
{
	struct str s = { sc->text, 0 }, host;

	if (t->sr.n > sizeof(sc->text))
		return false;
	s.n = percent_decode(t->sr, sc->text);
	if (!str_cut(trim(s), '/', &host, &sc->rest))
		sc->rest = STR_NONE;
	return host_known(hosts, host);
}

/* The next segment; false after the last. An empty one is a segment too: it covers nothing. */
static bool
next_segment(struct str *rest, struct str *segment)
{
	if (rest->p == NULL)
		return false;
	if (!str_cut(*rest, '/', segment, rest))
		*rest = STR_NONE;
	return true;
}

static bool
same(struct str a, struct str b, enum scope_case how)
{
	return how == SCOPE_EXACT ? str_eq(a, b) : str_ieq(a, b);
}

/* Whether a, or what it decodes to, is b. a is never longer than a token. */
static bool
same_decoded(struct str a, struct str b, enum scope_case how)
{
	char text[SAS_MAX];

	if (same(a, b, how))
		return true;
	if (a.n > sizeof(text) || memchr(a.p, '%', a.n) == NULL)
		return false;
	return same((struct str){ text, percent_decode(a, text) }, b, how);
}

bool
sas_covers_device(const struct sas *t, struct hosts hosts, struct str device, struct str module,
    enum scope_case how)
{
	const struct str path[] = { STR("devices"), device, STR("modules"), module };
	size_t n = module.n > 0 ? 4 : 2;
	struct scope sc;
	struct str segment;

	if (!scope_open(&sc, t, hosts))
		return false;
	for (size_t i = 0; next_segment(&sc.rest, &segment); i++) {
		if (i >= n)
			return false;
		if (i % 2 == 0 ? !same(segment, path[i], how)
		               : !same_decoded(segment, path[i], how))
			return false;
	}
	return true;
}

bool
sas_covers_path(const struct sas *t, struct hosts hosts, struct str path, enum scope_case how)
{
	struct scope sc;
	struct str segment, want, rest = path.n > 0 && path.p[0] == '/' ? str_sub(path, 1) : path;

	if (!scope_open(&sc, t, hosts))
		return false;
	while (next_segment(&sc.rest, &segment)) {
		if (!next_segment(&rest, &want))
			return false;
		/* The path's segments are encoded; those of `sr` are so no more, or still once. */
		if (!same_decoded(want, segment, how))
			return false;
	}
	return true;
}
