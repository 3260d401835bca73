/*
 * Which of a name's addresses accepts connections? libevent's HTTP client tries the first one only and loses the reason
 * when it is refused, so a connection is tried here before, and closed again.
 */
#include "cli/priv.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net.h"

/* 0, or errno. What is connected by now is, however late it is: the deadline of the call says what was not in time. */
static int
wait_connected(int fd, int64_t until_us)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int64_t left_us = until_us - clock_mono_us();
	socklen_t n = sizeof(int);
	int e = 0;

	if (poll(&p, 1, left_us > 0 ? (int)(left_us / 1000) + 1 : 0) == 0)
		return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) == 0 ? e : errno;
}

static int
try_connect(const struct addrinfo *ai, int64_t until_us)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), e = 0;

	if (fd < 0)
		return errno;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) != 0)
		e = errno == EINPROGRESS ? wait_connected(fd, until_us) : errno;
	close(fd);
	return e;
}

enum err
reach(const struct target *t, int64_t until_us, char address[HOST_MAX], char why[WHY_MAX])
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *all = NULL;
	char port[8];
	int e, first = 0;

	snprintf(port, sizeof(port), "%u", t->port);
	e = getaddrinfo(t->address, port, &hints, &all);
	if (e != 0) {
		snprintf(why, WHY_MAX, "%s: %s", t->address, gai_strerror(e));
		return ERR_IO;
	}
	for (const struct addrinfo *ai = all; ai != NULL; ai = ai->ai_next) {
		e = try_connect(ai, until_us);
		if (e == 0)
			e = getnameinfo(ai->ai_addr, ai->ai_addrlen, address, HOST_MAX, NULL, 0,
			        NI_NUMERICHOST) == 0
			    ? 0
			    : EAFNOSUPPORT;
		if (e == 0)
			break;
		if (first == 0)
			first = e;
	}
	freeaddrinfo(all);
	if (e == 0)
		return ERR_OK;
	snprintf(why, WHY_MAX, "no hub answers at %s:%u: %s", t->address, t->port, strerror(first));
	return ERR_IO;
}
