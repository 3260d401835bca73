/*
 * SIGTERM and SIGINT while the hub starts, which may take minutes: a thread waits for them in the main one's place, and ends the program as the
 * signal would. Nothing was acknowledged yet, and what is on disk stands any end (O-102).
 */
#include "log/log.h"
#include "os/thread.h"
#include "server/priv.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static struct thread thread;
static int started = -1, asked = -1;

static void
end_by(int sig)
{
	sigset_t set;

	log_text(LOG_WARN, "ended while it started: signal %d", sig);
	notify_tell("STOPPING=1");
	log_stop(LOG_STOP_US);
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	raise(sig);
	_exit(128 + sig);
}

static void
early_main(void *ctx)
{
	struct pollfd at[2] = { { started, POLLIN, 0 }, { asked, POLLIN, 0 } };
	struct signalfd_siginfo what;

	(void)ctx;
	for (;;) {
		if (poll(at, 2, -1) < 0)
			continue; /* EINTR */
		if (at[0].revents != 0)
			return;
		if (read(asked, &what, sizeof(what)) == (ssize_t)sizeof(what))
			end_by((int)what.ssi_signo);
	}
}

void
early_begin(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	started = eventfd(0, EFD_CLOEXEC);
	asked = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (started >= 0 && asked >= 0)
		(void)thread_start(&thread, early_main, NULL, NULL, "early");
}

void
early_end(void)
{
	if (thread.runs)
		(void)!eventfd_write(started, 1);
	thread_join(&thread);
	if (started >= 0)
		close(started);
	if (asked >= 0)
		close(asked);
}
