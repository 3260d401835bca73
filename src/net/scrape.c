/* One page over plain HTTP: see scrape.h. A connection has two seconds in all, so that who says nothing holds up others no longer. */
#include "net/scrape.h"
#include "os/clock.h"
#include "os/thread.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRAPE_US      INT64_C(2000000)
#define SCRAPE_BACKLOG 16

struct scrape {
	struct scrape_options o;
	struct thread thread;
	int stop;
};

/* ---- what is asked and answered: pure ---- */

/* The value of a header, whatever case its name is in; empty: there is none. */
static struct str
header(struct str head, struct str name)
{
	struct str line, rest = head, key, value;

	while (rest.n > 0) {
		str_cut(rest, '\n', &line, &rest);
		str_cut(line, ':', &key, &value);
		if (key.n != name.n || strncasecmp(key.p, name.p, name.n) != 0)
			continue;
		while (value.n > 0 && value.p[0] == ' ')
			value = str_sub(value, 1);
		while (value.n > 0 && (value.p[value.n - 1] == '\r' || value.p[value.n - 1] == ' '))
			value.n--;
		return value;
	}
	return (struct str){ "", 0 };
}

static bool
may_read(const struct scrape_options *o, struct str head)
{
	struct str shown = header(head, STR("authorization"));

	if (o->token == NULL)
		return true;
	if (!str_starts(shown, STR("Bearer ")))
		return false;
	shown = str_sub(shown, 7);
	return shown.n == strlen(o->token) && CRYPTO_memcmp(shown.p, o->token, shown.n) == 0;
}

static void
put_answer(struct buf *out, const char *status, const char *type, struct str body, bool head)
{
	buf_printf(out,
	    "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n",
	    status, type, body.n,
	    strncmp(status, "401", 3) == 0 ? "WWW-Authenticate: Bearer\r\n" : "");
	if (!head)
		buf_str(out, body);
}

static void
put_error(struct buf *out, const char *status)
{
	struct buf body = { 0 };

	buf_printf(&body, "%s\n", status);
	put_answer(out, status, "text/plain", buf_view(&body), false);
	buf_fini(&body);
}

void
scrape_answer(const struct scrape_options *o, struct str request, struct buf *out)
{
	struct str line, rest, method, target, path, more;
	struct buf body = { 0 };
	const char *type;

	str_cut(request, '\n', &line, &rest);
	str_cut(line, ' ', &method, &target);
	str_cut(target, ' ', &target, &more);
	str_cut(target, '?', &path, &more);
	if (!str_eq(method, STR("GET")) && !str_eq(method, STR("HEAD"))) {
		put_error(out, "405 Method Not Allowed");
	} else if (!str_eq(path, str_of(o->path))) {
		put_error(out, "404 Not Found");
	} else if (!may_read(o, rest)) {
		put_error(out, "401 Unauthorized");
	} else {
		type = o->write(o->ctx, header(rest, STR("accept")), &body);
		put_answer(out, "200 OK", type, buf_view(&body), str_eq(method, STR("HEAD")));
	}
	buf_fini(&body);
}

/* ---- sockets ---- */

/* False: the time is over, or the connection. */
static bool
ready(int fd, short what, int64_t until_us)
{
	struct pollfd p = { fd, what, 0 };
	int64_t left_us = until_us - clock_mono_us();
	int n;

	while (left_us > 0) {
		n = poll(&p, 1, (int)(left_us / 1000) + 1);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		left_us = until_us - clock_mono_us();
	}
	return false;
}

static bool
whole(const char *p, size_t n)
{
	return memmem(p, n, "\r\n\r\n", 4) != NULL;
}

/* The head of a request; false: there is none. *n is SCRAPE_REQUEST_MAX when it is too long. */
static bool
take(int fd, char room[SCRAPE_REQUEST_MAX], size_t *n, int64_t until_us)
{
	ssize_t got;

	for (*n = 0; *n < SCRAPE_REQUEST_MAX && !whole(room, *n); *n += (size_t)got) {
		if (!ready(fd, POLLIN, until_us))
			return false;
		got = recv(fd, room + *n, SCRAPE_REQUEST_MAX - *n, 0);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			got = 0;
		else if (got <= 0)
			return false;
	}
	return true;
}

static void
give(int fd, struct str bytes, int64_t until_us)
{
	ssize_t n;

	while (bytes.n > 0 && ready(fd, POLLOUT, until_us)) {
		n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			bytes = str_sub(bytes, (size_t)n);
		else if (errno != EAGAIN && errno != EINTR)
			return;
	}
	shutdown(fd, SHUT_WR);
}

static void
serve(struct scrape *p, int fd)
{
	int64_t until_us = clock_mono_us() + SCRAPE_US;
	char room[SCRAPE_REQUEST_MAX];
	struct buf out = { 0 };
	size_t n;

	if (take(fd, room, &n, until_us)) {
		if (whole(room, n))
			scrape_answer(&p->o, (struct str){ room, n }, &out);
		else
			put_error(&out, "431 Request Header Fields Too Large");
		give(fd, buf_view(&out), until_us);
	}
	buf_fini(&out);
	close(fd);
}

static void
scrape_main(void *arg)
{
	struct scrape *p = arg;
	struct pollfd at[2] = { { p->o.fd, POLLIN, 0 }, { p->stop, POLLIN, 0 } };
	int fd;

	for (;;) {
		if (poll(at, 2, -1) < 0)
			continue; /* EINTR, as signals are not this thread's */
		if (at[1].revents != 0)
			return;
		fd = accept4(p->o.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			serve(p, fd);
		else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			clock_sleep_us(
			    100000); /* no descriptors: the connection stays in the queue */
	}
}

enum err
scrape_new(const struct scrape_options *o, struct scrape **out)
{
	struct scrape *p = xcalloc(1, sizeof(*p));

	p->o = *o;
	p->stop = eventfd(0, EFD_CLOEXEC);
	if (p->stop < 0 || listen(o->fd, SCRAPE_BACKLOG) != 0 ||
	    thread_start(&p->thread, scrape_main, p, NULL, "metrics") != ERR_OK) {
		scrape_free(p);
		return ERR_IO;
	}
	*out = p;
	return ERR_OK;
}

void
scrape_free(struct scrape *p)
{
	if (p == NULL)
		return;
	if (p->stop >= 0)
		(void)!eventfd_write(p->stop, 1);
	thread_join(&p->thread);
	close(p->o.fd);
	if (p->stop >= 0)
		close(p->stop);
	free(p);
}
