/* The process as a whole: signals, libevent's threads, descriptors, texts of reasons. */
#include <event2/event.h>
#include <event2/thread.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "net/priv.h"

/* Libevent's own way is a blocking write to stderr on the loop. */
static void
libevent_says(int severity, const char *msg)
{
	log_text(severity >= EVENT_LOG_ERR ? LOG_ERROR : LOG_WARN, "libevent: %s", msg);
}

void
net_init(void)
{
	event_set_log_callback(libevent_says);
	/* A client that leaves while evhttp writes to it would end the process. */
	signal(SIGPIPE, SIG_IGN);
	evthread_use_pthreads();
}

uint64_t
net_raise_nofile(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return 1024; /* POSIX's usual soft limit: the cautious guess */
	if (r.rlim_cur < r.rlim_max) {
		struct rlimit more = { .rlim_cur = r.rlim_max, .rlim_max = r.rlim_max };

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			r = more;
	}
	return r.rlim_cur;
}

void
log_peer(enum log_event event, enum reason why, const struct net_addr *a, struct str detail)
{
	char peer[NET_ADDR_TEXT_MAX];
	struct log_story s = { .event = event, .reason = why, .detail = detail };

	s.peer = net_addr_text(a, peer);
	log_reason(&s);
}

void
why_set(char why[NET_WHY_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, NET_WHY_MAX, fmt, ap);
	va_end(ap);
}

void
why_ssl(char why[NET_WHY_MAX], const char *what, const char *subject)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	why_set(why, "%s: %s: %s", subject, what, reason ? reason : "unknown reason");
	ERR_clear_error();
}
