/* Any bytes as the URI of a container: what is opened is a directory at or below the one that was allowed, in which there
 * are directories, a file, and links that lead out. */
#include "fuzz_dir.h"
#include "transfer/files.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static struct container_root root;
static char top[512];

static void
make_tree(void)
{
	char why[256];

	snprintf(top, sizeof(top), "%s", fuzz_path("in"));
	mkdir(top, 0700);
	mkdir(fuzz_path("in/a"), 0700);
	mkdir(fuzz_path("in/a/b"), 0700);
	mkdir(fuzz_path("in/% "), 0700);
	mkdir(fuzz_path("inside-out"), 0700);
	(void)!symlink("/", fuzz_path("in/top"));
	(void)!symlink("../../..", fuzz_path("in/a/up"));
	fuzz_file("in/file", STR("x"));
	require(root_open(&root, top, why, sizeof(why)) == ERR_OK);
}

static void
look_where(int fd)
{
	char link[64], where[PATH_MAX];
	size_t ntop = strlen(top);
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, where, sizeof(where) - 1);
	require(n >= (ssize_t)ntop);
	where[n] = '\0';
	require(strncmp(where, top, ntop) == 0 && (where[ntop] == '\0' || where[ntop] == '/'));
	require(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode));
}

static void
open_one(struct str uri)
{
	struct fault f = { 0 };
	int fd = container_open(&root, 1, uri, &f);

	require((fd < 0) == (f.code != F_NONE));
	if (fd >= 0)
		look_where(fd);
	if (fd >= 0)
		close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct buf uri = { 0 };

	if (fuzz_dir_make())
		make_tree();
	open_one(in);
	buf_str(&uri, STR("file://"));
	buf_cstr(&uri, top);
	buf_str(&uri, in);
	open_one(buf_view(&uri));
	if (blob_name_valid(in))
		require(memchr(in.p, '/', in.n) == NULL && in.p[0] != '.');
	buf_fini(&uri);
	return 0;
}
