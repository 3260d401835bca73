/* Addresses, and sockets bound to them. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/priv.h"

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

struct net_addr
net_addr_of(const struct sockaddr *sa)
{
	struct net_addr a = { .port = 0 };

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)sa;

		memcpy(a.ip, v4_prefix, 12);
		memcpy(a.ip + 12, &v4->sin_addr, 4);
		a.port = ntohs(v4->sin_port);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)sa;

		memcpy(a.ip, &v6->sin6_addr, 16);
		a.port = ntohs(v6->sin6_port);
	}
	return a;
}

struct str
net_addr_party(const struct net_addr *a)
{
	return (struct str){ (const char *)a->ip, memcmp(a->ip, v4_prefix, 12) == 0 ? 16 : 8 };
}

const char *
net_addr_text(const struct net_addr *a, char out[NET_ADDR_TEXT_MAX])
{
	char ip[INET6_ADDRSTRLEN];

	if (memcmp(a->ip, v4_prefix, 12) == 0) {
		inet_ntop(AF_INET, a->ip + 12, ip, sizeof ip);
		snprintf(out, NET_ADDR_TEXT_MAX, "%s:%u", ip, a->port);
	} else {
		inet_ntop(AF_INET6, a->ip, ip, sizeof ip);
		snprintf(out, NET_ADDR_TEXT_MAX, "[%s]:%u", ip, a->port);
	}
	return out;
}

socklen_t
net_addr_put(const struct net_addr *a, struct sockaddr_storage *sa)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)sa;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa;

	memset(sa, 0, sizeof *sa);
	if (memcmp(a->ip, v4_prefix, 12) == 0) {
		v4->sin_family = AF_INET;
		memcpy(&v4->sin_addr, a->ip + 12, 4);
		v4->sin_port = htons(a->port);
		return sizeof *v4;
	}
	v6->sin6_family = AF_INET6;
	memcpy(&v6->sin6_addr, a->ip, 16);
	v6->sin6_port = htons(a->port);
	return sizeof *v6;
}

/* A port, and nothing behind it. */
static bool
port_parse(const char *text, uint16_t *port)
{
	unsigned long v = 0;
	size_t n = strlen(text);

	if (n == 0 || n > 5 || strspn(text, "0123456789") != n)
		return false;
	v = strtoul(text, NULL, 10);
	*port = (uint16_t)v;
	return v > 0 && v <= UINT16_MAX;
}

enum err
net_addr_parse(const char *text, struct net_addr *out)
{
	const char *colon = strrchr(text, ':');
	char ip[INET6_ADDRSTRLEN + 2];
	size_t n = colon == NULL ? 0 : (size_t)(colon - text);

	if (n == 0 || n >= sizeof ip || !port_parse(colon + 1, &out->port))
		return ERR_ARG;
	memcpy(ip, text, n);
	ip[n] = '\0';
	if (ip[0] == '[' && ip[n - 1] == ']') {
		ip[n - 1] = '\0';
		return inet_pton(AF_INET6, ip + 1, out->ip) == 1 ? ERR_OK : ERR_ARG;
	}
	memcpy(out->ip, v4_prefix, 12);
	return inet_pton(AF_INET, ip, out->ip + 12) == 1 ? ERR_OK : ERR_ARG;
}

static enum err
bind_fault(const char *address, uint16_t port, char why[NET_WHY_MAX])
{
	int error = errno;

	switch (error) {
	case EADDRINUSE:
		why_set(why, "%s port %u: the port is taken by another program", address, port);
		return ERR_EXISTS;
	case EACCES:
	case EPERM:
		why_set(why,
		    "%s port %u: no right to listen on this port (below 1024 needs "
		    "CAP_NET_BIND_SERVICE)",
		    address, port);
		return ERR_DENIED;
	case EADDRNOTAVAIL:
		why_set(why, "%s: this machine has no such address", address);
		return ERR_ARG;
	default: why_set(why, "%s port %u: %s", address, port, strerror(error)); return ERR_IO;
	}
}

/* What a listening socket has, sockets that it accepts inherit. TCP_NODELAY: evhttp writes an answer in parts, and none may
 * wait 40 ms for the peer's delayed acknowledgement of the part before it. TCP_NOTSENT_LOWAT: what a peer does not read stays
 * with us, where it is counted; the kernel would take 4 MB of it. */
static bool
socket_prepare(int fd, int family, bool shared)
{
	const struct {
		bool wanted;
		int level, name, value;
	} options[] = {
		{ true, SOL_SOCKET, SO_REUSEADDR, 1 },
		{ true, IPPROTO_TCP, TCP_NODELAY, 1 },
		{ true, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NET_UNSENT_MAX },
		{ shared, SOL_SOCKET, SO_REUSEPORT, 1 },
		{ family == AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, 1 },
	};

	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (options[i].wanted &&
		    setsockopt(
		        fd, options[i].level, options[i].name, &options[i].value, sizeof(int)))
			return false;
	return true;
}

/* A bound socket, or -1 with errno. */
static int
bind_one(const struct sockaddr *sa, socklen_t len, bool shared)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error;

	if (fd < 0)
		return -1;
	if (!socket_prepare(fd, sa->sa_family, shared) || bind(fd, sa, len)) {
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static enum err
resolve(const char *address, uint16_t port, struct sockaddr_storage *sa, socklen_t *len,
    char why[NET_WHY_MAX])
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM },
	                *ai;
	char service[8];
	int rc;

	snprintf(service, sizeof service, "%u", port);
	if ((rc = getaddrinfo(address, service, &hints, &ai))) {
		why_set(why, "%s: not an address of this machine: %s", address, gai_strerror(rc));
		return ERR_ARG;
	}
	memcpy(sa, ai->ai_addr, ai->ai_addrlen);
	*len = ai->ai_addrlen;
	freeaddrinfo(ai);
	return ERR_OK;
}

/* Among sockets with SO_REUSEPORT a second hub of the same user would share the port in silence. So the first
 * socket is bound without it: that fails where anyone listens. It is closed at once and bound again. */
static enum err
probe(struct sockaddr_storage *sa, socklen_t len, const char *address, uint16_t port,
    char why[NET_WHY_MAX])
{
	int fd = bind_one((struct sockaddr *)sa, len, false);

	if (fd < 0 || getsockname(fd, (struct sockaddr *)sa, &len)) {
		enum err e = bind_fault(address, port, why);

		if (fd >= 0)
			close(fd);
		return e;
	}
	close(fd);
	return ERR_OK;
}

enum err
net_bind(const char *address, uint16_t port, unsigned n, int *fds, uint16_t *bound,
    char why[NET_WHY_MAX])
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = 0;
	unsigned i;
	enum err e;

	if ((e = resolve(address, port, &sa, &len, why)) ||
	    (e = probe(&sa, len, address, port, why)))
		return e;
	for (i = 0; i < n; i++) {
		if ((fds[i] = bind_one((struct sockaddr *)&sa, len, true)) >= 0)
			continue;
		e = bind_fault(address, port, why);
		while (i-- > 0)
			close(fds[i]);
		return e;
	}
	*bound = net_addr_of((struct sockaddr *)&sa).port;
	return ERR_OK;
}
