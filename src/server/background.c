/*
 * serve --background: the shell has its prompt back when the hub is ready, not before. The program splits in two: who was called
 * waits for the line "twinhub ready" of the other one, prints it and ends with code 0, or ends as that one did.
 */
#include "os/os.h"
#include "server/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static int
end_of(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return EX_OSERR;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A line, or all there is until the other side closes. */
static void
line_take(int fd, struct buf *line)
{
	char piece[512];
	ssize_t n;

	while (line->n == 0 || line->p[line->n - 1] != '\n') {
		n = read(fd, piece, sizeof(piece));
		if (n > 0)
			buf_put(line, piece, (size_t)n);
		else if (n == 0 || errno != EINTR)
			return;
	}
}

static int
caller_waits(int fd, pid_t child)
{
	struct buf line = { 0 };
	bool ready;

	line_take(fd, &line);
	ready = line.n > 0 && line.p[line.n - 1] == '\n';
	if (ready)
		(void)os_write_all(STDOUT_FILENO, buf_view(&line));
	buf_fini(&line);
	return ready ? 0 : end_of(child);
}

static enum err
log_named(struct server *s)
{
	static char path[DATA_PATH_MAX];

	if (s->o.log_file != NULL)
		return ERR_OK;
	if (!data_path(path, s->o.data, BACKGROUND_LOG))
		return fail(s, "the path of --data is too long");
	s->o.log_file = path;
	return data_make(s->o.data, s->why, sizeof(s->why));
}

bool
background_split(struct server *s, int *code)
{
	int ends[2] = { -1, -1 };
	pid_t child = -1;

	*code = 1;
	if (log_named(s) != ERR_OK)
		return false;
	if (pipe2(ends, O_CLOEXEC) != 0 || (child = fork()) < 0) {
		fail(s, "a second process cannot be started: %s", strerror(errno));
		return false;
	}
	if (child > 0) {
		close(ends[1]);
		*code = caller_waits(ends[0], child);
		return false;
	}
	setsid();
	close(ends[0]);
	dup2(ends[1], STDOUT_FILENO);
	close(ends[1]);
	return true;
}

/* A library's last words, an assertion's: where the log is. */
static void
point_at(int fd, const char *path, int flags)
{
	int opened = open(path, flags | O_CLOEXEC, 0600);

	if (opened < 0)
		return;
	dup2(opened, fd);
	close(opened);
}

void
background_settle(const struct server *s)
{
	point_at(STDIN_FILENO, "/dev/null", O_RDONLY);
	point_at(STDOUT_FILENO, "/dev/null", O_WRONLY);
	point_at(STDERR_FILENO, s->o.log_file, O_WRONLY | O_APPEND | O_CREAT);
}
