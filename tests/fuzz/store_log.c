/* Any bytes in place of one file that a store is written as a log to: manifest, write-ahead log, or one of those that say
 * which files there are. They are judged before RocksDB opens anything; as they were, they are good. */
#include "fuzz_dir.h"
#include "store/priv.h"

#include <dirent.h>

#define FILES_MAX 8u

static struct {
	char name[256];
	struct buf text;
} files[FILES_MAX];
static unsigned nfile;

static bool
is_log(const char *name)
{
	return strcmp(name, "CURRENT") == 0 || strcmp(name, "NEWEST-WAL") == 0 ||
	    strcmp(name, "LENGTHS") == 0 || strncmp(name, "MANIFEST-", 9) == 0 ||
	    strstr(name, ".log") != NULL;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b); /* the name is first */
}

static void
remember_files(void)
{
	DIR *dir = opendir(fuzz_path("store"));
	struct dirent *d;

	require(dir != NULL);
	while ((d = readdir(dir)) != NULL)
		if (is_log(d->d_name)) {
			char name[300];

			require(nfile < FILES_MAX);
			snprintf(files[nfile].name, sizeof(files[nfile].name), "%s", d->d_name);
			snprintf(name, sizeof(name), "store/%s", d->d_name);
			require(os_read_file(fuzz_path(name), 1u << 20, &files[nfile++].text,
			            NULL) == ERR_OK);
		}
	closedir(dir);
	qsort(files, nfile, sizeof(files[0]), by_name);
}

static void
write_rows(struct store *s)
{
	struct store_batch *b = store_batch_new();

	store_batch_put(b, 0, STORE_WANTED, STR("key"), STR("value"));
	store_batch_put(b, 0, STORE_HUB, STR("other"), STR("a longer value"));
	store_batch_delete(b, 0, STORE_REPORTED, STR("gone"));
	store_submit(s, 0, b, 0);
}

static void
store_make(void)
{
	char dir[512];
	struct store_options o = {
		.dir = dir, .create = true, .lanes = 1, .memory_bytes = 16 << 20
	};
	struct store *s;
	struct fault f = { 0 };

	snprintf(dir, sizeof(dir), "%s", fuzz_path("store"));
	for (unsigned i = 0; i < 2; i++) {
		require(store_open(&o, &s, &f) == ERR_OK);
		write_rows(s);
		store_close(s);
	}
	remember_files();
}

static void
on_bad(void *ctx, const char *file, const char *why)
{
	require(file != NULL && why != NULL && why[0] != '\0');
	++*(unsigned *)ctx;
}

static void
on_note(void *ctx, const char *file, const char *why)
{
	(void)ctx;
	require(file != NULL && why != NULL && why[0] != '\0');
}

static unsigned
nbad(void)
{
	unsigned n = 0;
	const struct findings to = { on_bad, on_note, &n };
	uint64_t nfiles = 0;
	char dir[512];

	snprintf(dir, sizeof(dir), "%s", fuzz_path("store"));
	logs_check(dir, &to, &nfiles);
	lengths_check(dir, &to);
	return n;
}

static void
put_file(unsigned i, struct str text)
{
	char name[300];

	snprintf(name, sizeof(name), "store/%s", files[i].name);
	fuzz_file(name, text);
}

/* Not within the first input's time: the disk may be slow. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_dir_make();
	store_make();
	require(nbad() == 0);
	return 0;
}

/* The first byte says which file; the second, how many bytes of what it was come first. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct buf text = { 0 };
	unsigned which;
	size_t keep;

	which = fuzz_choice(&in, nfile);
	keep = fuzz_choice(&in, 256) * files[which].text.n / 255;
	buf_put(&text, files[which].text.p, keep);
	buf_str(&text, in);
	put_file(which, buf_view(&text));
	nbad();
	put_file(which, buf_view(&files[which].text));
	require(nbad() == 0);
	buf_fini(&text);
	return 0;
}
