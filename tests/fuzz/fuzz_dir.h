/* For targets that read files: a directory that goes when the program ends. */
#ifndef FUZZ_DIR_H
#define FUZZ_DIR_H

#include "fuzz.h"
#include "os/os.h"

#include <stdio.h>

static char fuzz_dir[128];

static void
fuzz_dir_remove(void)
{
	os_remove_tree(fuzz_dir, 8, NULL);
}

/* Made at the first call, of which this tells. */
static inline bool
fuzz_dir_make(void)
{
	const char *tmp = getenv("TMPDIR");

	if (fuzz_dir[0] != '\0')
		return false;
	snprintf(fuzz_dir, sizeof(fuzz_dir), "%s/twinhub-fuzz-XXXXXX",
	    tmp != NULL && strlen(tmp) < 90 ? tmp : "/tmp");
	require(mkdtemp(fuzz_dir) != NULL);
	atexit(fuzz_dir_remove);
	return true;
}

/* DIR/name, valid until the next call. */
static inline const char *
fuzz_path(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", fuzz_dir, name);
	return path;
}

static inline void
fuzz_file(const char *name, struct str text)
{
	FILE *f = fopen(fuzz_path(name), "wb");

	require(
	    f != NULL && (text.n == 0 || fwrite(text.p, 1, text.n, f) == text.n) && fclose(f) == 0);
}

#endif
