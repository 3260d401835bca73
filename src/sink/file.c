/*
 * Events as lines of files below the directory that the operator has named (E-45).
 *
 * The file is opened for each batch, so whoever moves it away gets what was there, and nothing is written where nobody looks. From the
 * directory one part after the other is opened, and no link is followed. What a failed attempt, or the end of the machine, has left of a line
 * is cut off before the next one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"
#include "sink/priv.h"

#define LOOK_BACK_BYTES 4096

/* The directory of the path, made if it is not there; *name: the path's last part. -1: errno. */
static int
directory_open(const struct sender *s, struct str path, struct str *name)
{
	int at = dup(s->all->dir), next;
	struct str part;
	char text[NAME_MAX + 1];

	*name = path;
	while (at >= 0 && str_cut(*name, '/', &part, &path)) {
		*name = path;
		snprintf(text, sizeof text, STR_FMT, STR_ARG(part));
		if (mkdirat(at, text, 0700) == 0)
			(void)fsync(at); /* if it is lost, it is made again */
		next = openat(at, text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		at = next;
	}
	return at;
}

static bool
is_plain(int fd, struct stat *st)
{
	if (fstat(fd, st) != 0)
		return false;
	errno = EINVAL;
	return S_ISREG(st->st_mode);
}

/* O_NONBLOCK: a FIFO without a reader is refused, not waited for. */
static int
file_open(int dir, const char *name, struct stat *st)
{
	int fd = openat(
	    dir, name, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	if (fd >= 0 && !is_plain(fd, st)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* To the end of the last whole line: what is behind it nobody has been told is there. */
static bool
cut_torn(int fd, struct stat *st)
{
	off_t end = st->st_size;
	char bytes[LOOK_BACK_BYTES];

	while (end > 0) {
		size_t n = (size_t)(end < LOOK_BACK_BYTES ? end : LOOK_BACK_BYTES);

		if (pread(fd, bytes, n, end - (off_t)n) != (ssize_t)n)
			return false;
		for (; n > 0 && bytes[n - 1] != '\n'; n--)
			end--;
		if (n > 0)
			break;
	}
	if (end != st->st_size && ftruncate(fd, end) != 0)
		return false;
	st->st_size = end;
	return true;
}

static bool
numbered(char out[NAME_MAX + 1], const char *name, unsigned i)
{
	errno = ENAMETOOLONG;
	return (i == 0 ? snprintf(out, NAME_MAX + 1, "%s", name)
	               : snprintf(out, NAME_MAX + 1, "%s.%u", name, i)) <= NAME_MAX;
}

/* NAME becomes NAME.1, and so on; the last one goes, as the one before takes its name. */
static bool
rotate(int dir, const char *name, uint32_t files)
{
	char from[NAME_MAX + 1], to[NAME_MAX + 1];

	for (unsigned i = files; i > 0; i--) {
		if (!numbered(from, name, i - 1) || !numbered(to, name, i))
			return false;
		if (renameat(dir, from, dir, to) != 0 && errno != ENOENT)
			return false;
	}
	return fsync(dir) == 0;
}

/* The file that the bytes go to, whole lines in it; -1: errno. */
static int
file_at_hand(const struct sender *s, int dir, const char *name, size_t bytes)
{
	struct stat st;
	int fd = file_open(dir, name, &st);

	if (fd >= 0 && st.st_size > 0 && (uint64_t)st.st_size + bytes > s->spec.max_bytes) {
		close(fd);
		fd = rotate(dir, name, s->spec.files) ? file_open(dir, name, &st) : -1;
	}
	if (fd >= 0 && (!cut_torn(fd, &st) || (st.st_size == 0 && fsync(dir) != 0))) {
		close(fd);
		return -1;
	}
	return fd;
}

static struct str
part_bytes(const struct sink_batch *b, struct part part)
{
	uint32_t from = part.from > 0 ? b->v[part.from - 1].json_end : 0;

	return (struct str){ b->json.p + from, b->v[part.from + part.n - 1].json_end - from };
}

static bool
append(const struct sender *s, int dir, struct str name, struct str bytes)
{
	char text[NAME_MAX + 1];
	bool good;
	int fd;

	snprintf(text, sizeof text, STR_FMT, STR_ARG(name));
	fd = file_at_hand(s, dir, text, bytes.n);
	if (fd < 0)
		return false;
	good = os_write_all(fd, bytes) && fdatasync(fd) == 0;
	return close(fd) == 0 && good;
}

static void
file_attempt(struct sender *s, void *own, struct part part, struct attempt *a)
{
	struct str name;
	int dir = directory_open(s, s->spec.path, &name);

	(void)own;
	if (dir < 0 || !append(s, dir, name, part_bytes(s->batch, part)))
		attempt_failed(a, ATTEMPT_AGAIN, "writing " STR_FMT ": %s", STR_ARG(s->spec.path),
		    strerror(errno));
	if (dir >= 0)
		close(dir);
}

static const struct waiting_ops waiting = { .attempt = file_attempt };

/* As routing has it; a path that is none would be a way out of the directory. */
static bool
path_good(struct str path)
{
	struct str part, rest;
	bool more = true;

	if (path.n == 0 || path.n > OS_PATH_MAX)
		return false;
	while (more) {
		more = str_cut(path, '/', &part, &rest);
		if (part.n == 0 || part.n > NAME_MAX || id_is_dots(part) ||
		    memchr(part.p, '\0', part.n) != NULL)
			return false;
		path = rest;
	}
	return true;
}

static enum err
file_sender_open(struct sender *s, struct fault *f)
{
	if (s->all->dir < 0)
		return fault_set(
		    f, F_ArgumentInvalid, "this hub writes no files: --sink-dir is not set");
	if (!path_good(s->spec.path))
		return fault_set(
		    f, F_ArgumentInvalid, "this is no path below the sinks' directory");
	return waiting_open(s, &waiting, NULL, f);
}

const struct sender_ops file_ops = { file_sender_open, waiting_wake, waiting_close };
