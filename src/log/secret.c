/*
 * Secrets where they do not belong: a connection string as a client id, a token in a path or topic. Whoever does that learns from the log what
 * is wrong, and the log does not learn the secret (O-18). Known by its name before it, as connection strings, tokens and URLs have it.
 */
#include "log/priv.h"

static bool
is_wordly(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* "=", or what stands for it in a URL. */
static size_t
equals(struct str s)
{
	if (s.n > 0 && s.p[0] == '=')
		return 1;
	return s.n >= 3 && str_ieq((struct str){ s.p, 3 }, STR("%3d")) ? 3 : 0;
}

size_t
log_secret_name(struct str all, size_t at)
{
	static const char *const names[] = { "sig", "sharedaccesskey", "accountkey", "password",
		"secret", "access_token" };
	struct str s = str_sub(all, at);

	if (at > 0 && is_wordly(all.p[at - 1]) && !(at > 2 && all.p[at - 3] == '%'))
		return 0; /* a part of a word; behind %26 it is none */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = strlen(names[i]), equal;

		if (s.n < n || !str_ieq((struct str){ s.p, n }, str_of(names[i])))
			continue;
		if ((equal = equals(str_sub(s, n))) > 0)
			return n + equal;
	}
	return 0;
}

size_t
log_secret_length(struct str s)
{
	size_t n = 0;

	if (s.n > 0 && (s.p[0] == '"' || s.p[0] == '\'')) {
		const char *end = memchr(s.p + 1, s.p[0], s.n - 1);

		return end != NULL ? (size_t)(end + 1 - s.p) : s.n;
	}
	while (n < s.n && (unsigned char)s.p[n] > ' ' && strchr("&;\"'<>", s.p[n]) == NULL)
		n++;
	return n;
}
