/* What the control group of this process, or one above it, lets it have of memory: less than the machine has, in a container and under a
 * service manager (O-104). Version 2 of control groups; without them there is no such limit. */
#include "os/os.h"
#include "server/priv.h"

#include <stdio.h>
#include <stdlib.h>

#define CGROUP_ROOT     "/sys/fs/cgroup"
#define CGROUP_FILE_MAX 4096

static uint64_t
limit_in(const char *dir, const char *name)
{
	char path[DATA_PATH_MAX];
	struct buf text = { 0 };
	uint64_t limit = 0;

	if (data_path(path, dir, name) &&
	    os_read_file(path, CGROUP_FILE_MAX, &text, NULL) == ERR_OK) {
		buf_putc(&text, '\0');
		limit = strtoull(text.p, NULL, 10); /* "max": 0 */
	}
	buf_fini(&text);
	return limit;
}

static uint64_t
least_of(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

uint64_t
cgroup_limit(const char *root, struct str group)
{
	char dir[DATA_PATH_MAX];
	uint64_t least = 0;

	for (;;) {
		if (snprintf(dir, sizeof(dir), "%s" STR_FMT, root, STR_ARG(group)) >=
		    (int)sizeof(dir))
			return least;
		least = least_of(least, limit_in(dir, "memory.max"));
		least = least_of(least, limit_in(dir, "memory.high"));
		if (group.n == 0)
			return least;
		do
			group.n--;
		while (group.n > 0 && group.p[group.n] != '/');
	}
}

/* The line "0::/path" of /proc/self/cgroup. */
uint64_t
cgroup_memory(void)
{
	struct buf text = { 0 };
	struct str rest, line;
	uint64_t limit = 0;

	if (os_read_file("/proc/self/cgroup", CGROUP_FILE_MAX, &text, NULL) == ERR_OK) {
		rest = buf_view(&text);
		while (rest.n > 0) {
			str_cut(rest, '\n', &line, &rest);
			if (str_starts(line, STR("0::")))
				limit = cgroup_limit(CGROUP_ROOT, str_sub(line, 3));
		}
	}
	buf_fini(&text);
	return limit;
}
