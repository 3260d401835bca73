/* What the control group of this process, or one above it, lets it have of memory: less than the machine has, in a container and under a
 * service manager (O-104). Version 2 of control groups, or what version 1 calls its memory controller; without them there is no such limit. */
#include "os/os.h"
#include "server/priv.h"

#include <stdio.h>
#include <stdlib.h>

#define CGROUP_ROOT     "/sys/fs/cgroup"
#define CGROUP_FILE_MAX 65536

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
		least = least_of(least, limit_in(dir, "memory.limit_in_bytes")); /* version 1 */
		if (group.n == 0)
			return least;
		do
			group.n--;
		while (group.n > 0 && group.p[group.n] != '/');
	}
}

static bool
is_among(struct str list, struct str name)
{
	struct str one;

	while (list.n > 0) {
		str_cut(list, ',', &one, &list);
		if (str_eq(one, name))
			return true;
	}
	return false;
}

/* Lines of NUMBER:CONTROLLERS:/path; of version 2 it is "0::/path", and version 1 has a tree for the memory's. */
uint64_t
cgroup_limits(const char *root, struct str self)
{
	struct str line, number, controllers, path;
	char memory[DATA_PATH_MAX];
	uint64_t limit = 0;

	while (self.n > 0) {
		str_cut(self, '\n', &line, &self);
		str_cut(line, ':', &number, &line);
		str_cut(line, ':', &controllers, &path);
		if (controllers.n == 0)
			limit = least_of(limit, cgroup_limit(root, path));
		else if (is_among(controllers, STR("memory")) && data_path(memory, root, "memory"))
			limit = least_of(limit, cgroup_limit(memory, path));
	}
	return limit;
}

uint64_t
cgroup_memory(void)
{
	struct buf text = { 0 };
	uint64_t limit = 0;

	if (os_read_file("/proc/self/cgroup", CGROUP_FILE_MAX, &text, NULL) == ERR_OK)
		limit = cgroup_limits(CGROUP_ROOT, buf_view(&text));
	buf_fini(&text);
	return limit;
}
