/* In place of libFuzzer: gives a target each file of some directories, once. So a corpus is replayed by every build. */
#include "base/base.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static char path[4096], last_words[4200];
static size_t nlast_words;

/* Of exactly its size, so that a sanitizer sees a byte too far. */
static void
replay_file(void)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data;
	long n;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) < 0) {
		perror(path);
		exit(1);
	}
	rewind(f);
	data = malloc((size_t)n);
	if (fread(data, 1, (size_t)n, f) != (size_t)n) {
		perror(path);
		exit(1);
	}
	fclose(f);
	nlast_words = (size_t)snprintf(last_words, sizeof(last_words), "fails with %s\n", path);
	LLVMFuzzerTestOneInput(data, (size_t)n);
	free(data);
}

static unsigned
replay_directory(const char *name)
{
	DIR *dir = opendir(name);
	struct dirent *d;
	unsigned n = 0;

	if (dir == NULL) {
		perror(name);
		exit(1);
	}
	while ((d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", name, d->d_name);
		replay_file();
		n++;
	}
	closedir(dir);
	return n;
}

/* A target that aborts says nothing: this says of what. */
static void
on_abort(int sig)
{
	(void)sig;
	(void)!write(STDERR_FILENO, last_words, nlast_words);
}

int
main(int argc, char **argv)
{
	unsigned n = 0;

	signal(SIGABRT, on_abort);
	if (LLVMFuzzerInitialize != NULL)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		n += replay_directory(argv[i]);
	printf("%u inputs\n", n);
	return n > 0 ? 0 : 1;
}
