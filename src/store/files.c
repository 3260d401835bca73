/* A store's directory and the small files in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/priv.h"

/* False if the path is longer than the system could open. */
static bool
path_join(char out[PATH_BYTES], const char *dir, const char *name)
{
	int n = snprintf(out, PATH_BYTES, "%s/%s", dir, name);

	if (n > 0 && n < PATH_BYTES)
		return true;
	errno = ENAMETOOLONG;
	return false;
}

bool
file_number(const char *name, const char *suffix, uint64_t *number)
{
	struct str s = str_of(name), end = str_of(suffix);

	return str_ends(s, end) && str_u64((struct str){ s.p, s.n - end.n }, number);
}

bool
dir_has(const char *dir, const char *name)
{
	char path[PATH_BYTES];

	return path_join(path, dir, name) && access(path, F_OK) == 0;
}

enum err
file_open(const char *dir, const char *name, int *fd, struct fault *f)
{
	char path[PATH_BYTES];

	*fd = path_join(path, dir, name) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	return *fd >= 0 ? ERR_OK : os_fault(f, "opening", name);
}

enum err
manifest_name(const char *dir, char *name, uint64_t *number, struct fault *f)
{
	struct buf text = { 0 };
	struct str line, rest;
	enum err e = file_read(dir, "CURRENT", NAME_BYTES - 1, &text, f);

	if (e == ERR_OK) {
		if (str_cut(buf_view(&text), '\n', &line, &rest) && rest.n == 0 &&
		    str_starts(line, STR("MANIFEST-")) &&
		    str_u64(str_sub(line, strlen("MANIFEST-")), number))
			snprintf(name, NAME_BYTES, STR_FMT, STR_ARG(line));
		else {
			fault_set(f, F_StoredDamaged, "does not name a manifest");
			e = ERR_CORRUPT;
		}
	}
	buf_fini(&text);
	return e;
}

/* The file has no name while it grows: a kill leaves nothing of its size behind. */
enum err
dir_takes(const char *dir, uint64_t bytes, struct fault *f)
{
	static const char zeros[4096];
	char path[PATH_BYTES];
	int fd = path_join(path, dir, "probe.tmp")
	    ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)
	    : -1;
	enum err e = ERR_OK;

	if (fd < 0)
		return os_fault(f, "creating", path);
	if (unlink(path) != 0 ||
	    (fallocate(fd, 0, 0, (off_t)(bytes + sizeof zeros)) != 0 && errno != EOPNOTSUPP) ||
	    write(fd, zeros, sizeof zeros) != sizeof zeros || fdatasync(fd) != 0)
		e = os_fault(f, "writing", path);
	close(fd);
	return e;
}

enum err
file_read(const char *dir, const char *name, size_t max, struct buf *out, struct fault *f)
{
	char path[PATH_BYTES];

	return path_join(path, dir, name) ? os_read_file(path, max, out, f)
	                                  : os_fault(f, "opening", dir);
}

enum err
file_replace(const char *dir, const char *name, struct str content, struct fault *f)
{
	char path[PATH_BYTES];

	return path_join(path, dir, name) ? os_replace_file(path, content, 0600, f)
	                                  : os_fault(f, "creating", dir);
}
