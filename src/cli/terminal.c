/*
 * What a terminal gets. Ids, values, error texts: much of what is printed is a stranger's, and a terminal obeys what it is sent.
 * So if stdout or stderr is a terminal, everything printed there goes through one place that lets no hidden character pass:
 * it is escaped as JSON does it, so that JSON stays the same JSON. Tables have a ? in their cells already (put_visible).
 * A file or a pipe gets the bytes as they are.
 */
#include "cli/priv.h"
#include "os/os.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

struct guard {
	int fd;
	struct buf in, out; /* in: at most a character that is not whole yet, between two calls */
};

/* Of the last character, or line end, if more of it may come. */
static size_t
unfinished(struct str s)
{
	if (s.n > 0 && s.p[s.n - 1] == '\r')
		return 1;
	for (size_t n = 1; n <= 3 && n <= s.n; n++) {
		unsigned char c = (unsigned char)s.p[s.n - n];

		if (c >= 0xc0)
			return (c < 0xe0 ? 2u : c < 0xf0 ? 3u : 4u) > n ? n : 0;
		if (c < 0x80)
			break;
	}
	return 0;
}

/* CSV's lines end with CR LF. */
static bool
is_layout(uint32_t c, struct str rest)
{
	return c == '\n' || c == '\t' || (c == '\r' && rest.n > 0 && rest.p[0] == '\n');
}

static void
put_harmless(struct buf *out, struct str s)
{
	char escaped[UTF8_ESCAPE_MAX];

	while (s.n > 0) {
		const char *at = s.p;
		uint32_t c = utf8_take(&s);

		if (utf8_hidden(c) && !is_layout(c, s))
			buf_put(out, escaped, utf8_escape(c, escaped));
		else
			buf_put(out, at, (size_t)(s.p - at));
	}
}

/* As fopencookie asks for: 0 with errno, or all of it. */
static ssize_t
guard_write(void *cookie, const char *p, size_t n)
{
	struct guard *g = cookie;
	size_t later;

	buf_put(&g->in, p, n);
	later = unfinished(buf_view(&g->in));
	g->out.n = 0;
	put_harmless(&g->out, (struct str){ g->in.p, g->in.n - later });
	memmove(g->in.p, g->in.p + g->in.n - later, later);
	g->in.n = later;
	return os_write_all(g->fd, buf_view(&g->out)) ? (ssize_t)n : 0;
}

static FILE *
guarded(FILE *plain, struct guard *g, int fd)
{
	FILE *f = isatty(fd) ? fopencookie(g, "w", (cookie_io_functions_t){ .write = guard_write })
	                     : NULL;

	if (f == NULL)
		return plain;
	g->fd = fd;
	setvbuf(f, NULL, _IOLBF, BUFSIZ);
	return f;
}

void
terminal_guard(void)
{
	static struct guard out, err;

	stdout = guarded(stdout, &out, STDOUT_FILENO);
	stderr = guarded(stderr, &err, STDERR_FILENO);
}

void
terminal_control(const char *sequence)
{
	if (fflush(stdout) == 0 && isatty(STDOUT_FILENO))
		(void)os_write_all(STDOUT_FILENO, str_of(sequence));
}

bool
terminal_write(int fd, struct str bytes)
{
	FILE *f = fd == STDOUT_FILENO ? stdout : fd == STDERR_FILENO ? stderr : NULL;

	if (f == NULL)
		return os_write_all(fd, bytes);
	return bytes.n == 0 || (fwrite(bytes.p, 1, bytes.n, f) == bytes.n && fflush(f) == 0);
}
