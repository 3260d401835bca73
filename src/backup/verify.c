/* Files read back, and held against a manifest. */
#include "backup/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES ((size_t)256 * 1024) /* a sync of the disk waits no longer than for this */
#define READ_ALIGN 4096                 /* of O_DIRECT */

/* ---- one file ---- */

/* Past the page cache, as what that holds may be better than the disk, and is left to others. */
static int
open_direct(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_DIRECT);

	return fd >= 0 || errno != EINVAL ? fd : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static enum err
sum_bytes(int fd, EVP_MD_CTX *ctx, backup_pace *pace, void *pacing, struct sums *out)
{
	void *chunk = aligned_alloc(READ_ALIGN, READ_BYTES);
	enum err e = chunk == NULL ? ERR_IO : ERR_OK;
	ssize_t n = 1;

	while (e == ERR_OK && n > 0) {
		while ((n = read(fd, chunk, READ_BYTES)) < 0 && errno == EINTR)
			;
		if (n < 0 || (n > 0 && EVP_DigestUpdate(ctx, chunk, (size_t)n) != 1))
			e = ERR_IO;
		if (n <= 0)
			continue;
		out->crc32c = store_crc32c(out->crc32c, chunk, (size_t)n);
		out->bytes += (uint64_t)n;
		if (pace != NULL && !pace(pacing, (size_t)n))
			e = ERR_END;
	}
	free(chunk);
	return e;
}

enum err
file_sums(const char *path, backup_pace *pace, void *pacing, struct sums *out, struct fault *f)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int fd = open_direct(path);
	unsigned n = 0;
	enum err e;

	*out = (struct sums){ 0 };
	if (fd < 0)
		e = os_fault(f, "opening", path);
	else if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		e = os_fault(f, "reading", path);
	else if ((e = sum_bytes(fd, ctx, pace, pacing, out)) == ERR_IO)
		e = os_fault(f, "reading", path);
	if (e == ERR_OK && EVP_DigestFinal_ex(ctx, digest, &n) == 1)
		hex_write(out->sha256, digest, n);
	EVP_MD_CTX_free(ctx);
	if (fd >= 0)
		close(fd);
	return e;
}

/* ---- all of them ---- */

struct verify {
	const char *dir, *below; /* below: "" or "store/" */
	const struct manifest *m;
	struct backup_checkup *up;
	bool any;
};

static void
bad(struct verify *v, const char *file, const char *why)
{
	v->any = true;
	v->up->bad(v->up->ctx, file, why);
}

static void
verify_file(struct verify *v, const struct backup_file *file)
{
	char path[OS_PATH_MAX], why[128];
	struct fault f = { 0 };
	struct sums found;
	struct stat st;
	enum err e;

	if (!join(path, v->dir, file->name) || lstat(path, &st) != 0) {
		bad(v, file->name, errno == ENOENT ? "missing" : strerror(errno));
		return;
	}
	if (!S_ISREG(st.st_mode)) {
		bad(v, file->name, "is no file");
		return;
	}
	if ((uint64_t)st.st_size != file->bytes) {
		snprintf(why, sizeof(why), "has %" PRIu64 " bytes, the manifest says %" PRIu64,
		    (uint64_t)st.st_size, file->bytes);
		bad(v, file->name, why);
		return;
	}
	e = file_sums(path, NULL, NULL, &found, &f);
	v->up->nfiles++;
	v->up->nbytes += found.bytes;
	if (e != ERR_OK)
		bad(v, file->name, f.text);
	else if (strcmp(found.sha256, file->sha256) != 0)
		bad(v, file->name, "does not match its checksum in the manifest");
}

/* What is there and was not when the backup was made. */
static enum err
verify_entry(void *ctx, const char *name)
{
	struct verify *v = ctx;
	char file[OS_PATH_MAX];

	if (v->below[0] == '\0' && (strcmp(name, BACKUP_FILE) == 0 || strcmp(name, "store") == 0))
		return ERR_OK;
	snprintf(file, sizeof(file), "%s%s", v->below, name);
	if (manifest_find(v->m, file) == NULL)
		bad(v, file, "is not in the manifest");
	return ERR_OK;
}

/* Both directories themselves: not what a link leads to, which may be the running hub's. */
static void
verify_dir(struct verify *v, const char *name)
{
	char path[OS_PATH_MAX];
	struct fault f = { 0 };
	struct stat st;

	v->below = name[0] == '\0' ? "" : "store/";
	if (!join(path, v->dir, name) || lstat(path, &st) != 0)
		bad(v, name, errno == ENOENT ? "missing" : strerror(errno));
	else if (name[0] != '\0' && !S_ISDIR(st.st_mode))
		bad(v, name, "is no directory");
	else if (os_each_entry(path, verify_entry, v, &f) != ERR_OK)
		bad(v, name, f.text);
}

enum err
backup_verify(const char *dir, const struct manifest *m, struct backup_checkup *up)
{
	struct verify v = { .dir = dir, .below = "", .m = m, .up = up };

	for (size_t i = 0; i < m->n; i++)
		verify_file(&v, &m->files[i]);
	verify_dir(&v, "");
	verify_dir(&v, "store");
	return v.any ? ERR_CORRUPT : ERR_OK;
}
