/* --watch: the same question again and again, until Ctrl-C or until what is waited for is there. */
#include "cli/priv.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

void
watch_open(const struct watch *w, bool piped_line)
{
	time_t now = (time_t)(clock_wall_us() / 1000000);
	struct tm tm;
	char text[32];

	if (w->every_s > 0 && isatty(STDOUT_FILENO)) {
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", localtime_r(&now, &tm));
		terminal_control("\x1b[H\x1b[J");
		printf("%s, every %llu s, Ctrl-C ends\n\n", text, (unsigned long long)w->every_s);
	} else if (w->nround > 0 && piped_line) {
		putchar('\n');
	}
}

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t interrupt_code;

/* At once, also in the middle of a call: nothing here outlives the process. */
static void
on_interrupt(int sig)
{
	(void)sig;
	_exit(interrupt_code);
}

static void
interrupt_ends(enum exit_code code)
{
	struct sigaction was, now = { .sa_handler = on_interrupt };

	interrupt_code = (sig_atomic_t)code;
	/* a script's job in the background has it ignored, and keeps it so */
	if (sigaction(SIGINT, NULL, &was) == 0 && was.sa_handler != SIG_IGN)
		sigaction(SIGINT, &now, NULL);
}

/* ---- rounds ---- */

/* Hubs restart: what may be otherwise the next time is asked again. What is gone stays gone. */
static bool
may_pass(int code)
{
	return code == EXIT_DONE || code == EXIT_FAILED || code == EXIT_UNREACHABLE;
}

int
watch_run(struct watch *w, int (*round)(void *ctx), void *ctx)
{
	int code;

	if (w->every_s > 0)
		interrupt_ends(w->goal ? EXIT_FAILED : EXIT_DONE);
	for (;; w->nround++) {
		code = round(ctx);
		if (w->every_s == 0 || w->reached || !may_pass(code) ||
		    (code != EXIT_DONE && w->nround == 0) || fflush(stdout) != 0 || ferror(stdout))
			return code;
		clock_sleep_us((int64_t)w->every_s * 1000000);
	}
}
