/*
 * A terminal that is drawn anew again and again: on a screen of its own, without a cursor, keys heard as they are pressed. However the program ends,
 * the terminal is what it was: by a signal, too, and while it is stopped.
 */
#include "cli/priv.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\x1b[?1049h\x1b[?25l\x1b[H\x1b[J"
#define LEAVE "\x1b[?25h\x1b[?1049l"

static struct {
	volatile sig_atomic_t drawn, keys; /* the screen is ours; so is the keyboard */
	struct termios was, ours;
} the;

/* ---- there and back; of what a handler may call ---- */

static void
put(const char *sequence, size_t n)
{
	(void)!write(STDOUT_FILENO, sequence, n);
}

static void
enter(void)
{
	if (the.keys)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &the.ours);
	if (the.drawn)
		put(ENTER, sizeof(ENTER) - 1);
}

static void
leave(void)
{
	if (the.drawn)
		put(LEAVE, sizeof(LEAVE) - 1);
	if (the.keys)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &the.was);
}

/* ---- signals ---- */

static void
on_end(int sig)
{
	leave();
	if (sig == SIGINT) /* how one leaves it */
		_exit(EXIT_DONE);
	(void)raise(sig); /* what it does to others; the handler is gone */
}

static void on_stop(int sig);

static void
handle(int sig, void (*handler)(int sig))
{
	struct sigaction was,
	    now = { .sa_handler = handler, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER) };

	/* a script's job in the background has it ignored, and keeps it so */
	if (sigaction(sig, NULL, &was) == 0 && was.sa_handler != SIG_IGN)
		(void)sigaction(sig, &now, NULL);
}

static void
on_stop(int sig)
{
	sigset_t set;

	leave();
	/* If it were blocked here, as it is under ThreadSanitizer, it would come behind the end of this, over and over. */
	sigemptyset(&set);
	sigaddset(&set, sig);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	(void)raise(sig); /* and here it goes on with SIGCONT */
	handle(sig, on_stop);
	enter();
}

/* ---- its life ---- */

void
screen_open(bool draws)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGABRT };

	the.drawn = draws && isatty(STDOUT_FILENO);
	the.keys = the.drawn && isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &the.was) == 0;
	the.ours = the.was;
	the.ours.c_lflag &= ~(tcflag_t)(ICANON | ECHO); /* ISIG stays: Ctrl-C and Ctrl-Z */
	if (!the.drawn)
		return; /* signals do what they do */
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		handle(ends[i], on_end);
	handle(SIGTSTP, on_stop);
	enter();
}

void
screen_close(void)
{
	leave();
	the.drawn = the.keys = false;
}

bool
screen_ours(void)
{
	return the.drawn;
}

/* So many characters of it. */
static void
put_cut(struct buf *out, struct str line, unsigned most)
{
	const char *at = line.p;

	for (unsigned n = 0; n < most && line.n > 0; n++)
		(void)utf8_take(&line);
	buf_put(out, at, (size_t)(line.p - at));
}

/* What stands there is written over, so that nothing flickers; what is too long or too much is cut. */
void
screen_draw(struct str text)
{
	struct winsize size = { 0 };
	struct buf frame = { 0 };
	struct str line;

	if (!the.drawn) {
		printf(STR_FMT, STR_ARG(text));
		fflush(stdout);
		return;
	}
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	buf_cstr(&frame, "\x1b[H");
	for (unsigned i = 1; text.n > 0 && i < size.ws_row; i++) {
		str_cut(text, '\n', &line, &text);
		put_cut(&frame, line, size.ws_col);
		buf_cstr(&frame, "\x1b[K\n");
	}
	buf_cstr(&frame, "\x1b[J");
	buf_putc(&frame, '\0');
	terminal_control(frame.p);
	buf_fini(&frame);
}

bool
screen_wait(uint64_t seconds)
{
	int64_t until_us = clock_mono_us() + (int64_t)seconds * 1000000, left_us;
	struct pollfd keyboard = { .fd = STDIN_FILENO, .events = POLLIN };
	char key;

	while ((left_us = until_us - clock_mono_us()) > 0) {
		int n = poll(&keyboard, the.keys ? 1 : 0, (int)(left_us / 1000) + 1);

		if (n > 0 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q'))
			return false;
	}
	return true;
}
