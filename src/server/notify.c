/*
 * What a service manager is told (sd_notify, without its library): a datagram of NAME=value lines to the socket that NOTIFY_SOCKET names.
 * Without one nothing is told. O-102.
 */
#include "server/priv.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un manager;
static socklen_t nmanager; /* 0: nobody wants to know */

void
notify_begin(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path != NULL ? strlen(path) : 0;

	if (n < 2 || n >= sizeof(manager.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	manager.sun_family = AF_UNIX;
	bytes_copy(manager.sun_path, path, n);
	if (path[0] == '@') /* a name that is no file's */
		manager.sun_path[0] = '\0';
	nmanager = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

/* A manager that takes nothing must not keep the hub: it is not waited for. That has one line in the log, until it takes something again. */
void
notify_tell(const char *fmt, ...)
{
	static atomic_bool is_deaf;
	bool heard;
	char text[512];
	va_list ap;
	int fd, n;

	if (nmanager == 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	heard = fd >= 0 &&
	    sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (const struct sockaddr *)&manager,
	        nmanager) >= 0;
	if (!heard && !atomic_load(&is_deaf))
		log_text(LOG_WARN, "the service manager cannot be told: %s", strerror(errno));
	atomic_store(&is_deaf, !heard);
	if (fd >= 0)
		close(fd);
}

/* WATCHDOG_USEC, if it is meant for this process. */
int64_t
notify_watchdog_us(void)
{
	const char *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t us;

	if (text == NULL || nmanager == 0 || (pid != NULL && strtol(pid, NULL, 10) != getpid()))
		return 0;
	us = strtoull(text, NULL, 10);
	return us > 0 && us < INT64_MAX / 2 ? (int64_t)us : 0;
}
