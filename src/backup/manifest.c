/* backup.json: written, read, and one file of it found. */
#include "backup/priv.h"

#include <errno.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doc/out.h"
#include "sealed/sealed.h"

#define MANIFEST_MAX ((size_t)16 << 20) /* bytes: BACKUP_FILES_MAX of them take 12 MB */

bool
join(char out[OS_PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(out, OS_PATH_MAX, "%s/%s", dir, name);

	if (n > 0 && n < OS_PATH_MAX)
		return true;
	errno = ENAMETOOLONG;
	return false;
}

void
manifest_fini(struct manifest *m)
{
	free(m->files);
	m->files = NULL;
	m->n = 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct backup_file *)a)->name, ((const struct backup_file *)b)->name);
}

const struct backup_file *
manifest_find(const struct manifest *m, const char *name)
{
	struct backup_file key;
	int n = snprintf(key.name, sizeof(key.name), "%s", name);

	if (n < 0 || (size_t)n >= sizeof(key.name) || m->n == 0)
		return NULL;
	return bsearch(&key, m->files, m->n, sizeof(*m->files), by_name);
}

/* Of the lines that sha256sum(1) would print of the files. */
static bool
sum_of_all(const struct manifest *m, char out[SHA256_TEXT_MAX])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
	char line[SHA256_TEXT_MAX + 2 + BACKUP_NAME_MAX];

	for (size_t i = 0; i < m->n && ok; i++) {
		int len =
		    snprintf(line, sizeof(line), "%s  %s\n", m->files[i].sha256, m->files[i].name);

		ok = EVP_DigestUpdate(ctx, line, (size_t)len) == 1;
	}
	ok = ok && EVP_DigestFinal_ex(ctx, digest, &n) == 1;
	EVP_MD_CTX_free(ctx);
	if (ok)
		hex_write(out, digest, n);
	out[ok ? SHA256_TEXT_MAX - 1 : 0] = '\0';
	return ok;
}

/* ---- writing ---- */

static void
put_files(struct out *o, const struct manifest *m)
{
	out_list(out_key(o, "files"));
	for (size_t i = 0; i < m->n; i++) {
		out_open(o);
		out_cstr(out_key(o, "name"), m->files[i].name);
		out_u64(out_key(o, "bytes"), m->files[i].bytes);
		out_cstr(out_key(o, "sha256"), m->files[i].sha256);
		out_close(o);
	}
	out_close(o);
}

enum err
manifest_write(const char *dir, struct manifest *m, struct fault *f)
{
	char path[OS_PATH_MAX];
	struct buf json = { 0 };
	struct out o = out_to(&json);
	enum err e = ERR_IO;

	array_sort(m->files, m->n, sizeof(*m->files), by_name);
	if (!join(path, dir, BACKUP_FILE))
		return os_fault(f, "writing", dir);
	if (!sum_of_all(m, m->sha256)) {
		fault_set(f, F_ServerError, "the library gives no SHA-256");
		return ERR_IO;
	}
	out_open(&o);
	out_time(out_key(&o, "made"), m->made_us);
	out_cstr(out_key(&o, "program"), m->program);
	out_u64(out_key(&o, "format"), m->format);
	out_cstr(out_key(&o, "hubId"), m->hub);
	out_u64(out_key(&o, "identities"), m->identities);
	out_u64(out_key(&o, "bytes"), m->bytes);
	put_files(&o, m);
	out_cstr(out_key(&o, "sha256"), m->sha256);
	sealed_end(&json);
	e = os_replace_file(path, buf_view(&json), 0600, f);
	buf_fini(&json);
	return e;
}

/* ---- reading ---- */

static bool
copy_text(char *out, size_t room, struct str s)
{
	if (s.n >= room || memchr(s.p != NULL ? s.p : "", '\0', s.n) != NULL)
		return false;
	snprintf(out, room, STR_FMT, STR_ARG(s));
	return true;
}

/* A name that leads out of the directory would be read, and restored, there; one with a line feed in it is two to sha256sum(1). */
static bool
name_good(struct str name)
{
	static const char of[] =
	    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-";
	struct str below = str_starts(name, STR("store/")) ? str_sub(name, 6) : name;
	bool good = below.n > 0 && below.p[0] != '.';

	for (size_t i = 0; i < below.n && good; i++)
		good = memchr(of, below.p[i], sizeof(of) - 1) != NULL;
	return good;
}

static bool
sha256_good(struct str s)
{
	bool good = s.n == SHA256_TEXT_MAX - 1;

	for (size_t i = 0; i < s.n && good; i++)
		good = hex_digit(s.p[i]) >= 0;
	return good;
}

static bool
read_file(struct doc d, struct backup_file *out)
{
	struct str name = json_str(d, "name"), sum = json_str(d, "sha256");

	out->bytes = json_number(d, "bytes");
	return name_good(name) && sha256_good(sum) &&
	    copy_text(out->name, sizeof(out->name), name) &&
	    copy_text(out->sha256, sizeof(out->sha256), sum);
}

/* In order, each once, and the sum of all is what it says. */
static bool
read_files(struct doc list, struct manifest *m)
{
	uint32_t n = doc_count(list);
	struct doc_iter it = doc_iter(list);
	char sum[SHA256_TEXT_MAX];
	struct str key;
	struct doc one;

	if (n > BACKUP_FILES_MAX)
		return false;
	m->files = xcalloc(n > 0 ? n : 1, sizeof(*m->files));
	for (; doc_next(&it, &key, &one); m->n++) {
		if (!read_file(one, &m->files[m->n]) ||
		    (m->n > 0 && by_name(&m->files[m->n - 1], &m->files[m->n]) >= 0))
			return false;
	}
	return sum_of_all(m, sum) && strcmp(sum, m->sha256) == 0;
}

static bool
read_members(struct doc d, struct manifest *m)
{
	m->format = json_number(d, "format");
	m->identities = json_number(d, "identities");
	m->bytes = json_number(d, "bytes");
	return copy_text(m->program, sizeof(m->program), json_str(d, "program")) &&
	    copy_text(m->hub, sizeof(m->hub), json_str(d, "hubId")) &&
	    copy_text(m->sha256, sizeof(m->sha256), json_str(d, "sha256")) &&
	    read_files(doc_getc(d, "files"), m);
}

/* In a data directory there is none of it, nor of former programs' backups. What is cut short has no manifest, but a mark. */
static enum err
none_there(const char *dir, char *why, size_t nwhy)
{
	char mark[OS_PATH_MAX];

	if (!join(mark, dir, BACKUP_MARK) || access(mark, F_OK) != 0)
		return ERR_NOT_FOUND;
	snprintf(why, nwhy, "%s is no backup: it was cut short, or is being made", dir);
	return ERR_CORRUPT;
}

/* Who reads a pipe or a device waits for it, or has no end of it. */
static enum err
file_take(const char *dir, const char *path, struct sealed *file, char *why, size_t nwhy)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? none_there(dir, why, nwhy)
		                       : sealed_read_most(path, MANIFEST_MAX, file, why, nwhy);
	if (S_ISREG(st.st_mode))
		return sealed_read_most(path, MANIFEST_MAX, file, why, nwhy);
	snprintf(why, nwhy, "%s is no file", path);
	return ERR_CORRUPT;
}

enum err
manifest_read(const char *dir, struct manifest *out, char *why, size_t nwhy)
{
	char path[OS_PATH_MAX];
	struct sealed file = { 0 };
	struct doc d;
	enum err e;

	*out = (struct manifest){ 0 };
	if (!join(path, dir, BACKUP_FILE)) {
		snprintf(why, nwhy, "the path of the backup is too long");
		return ERR_SIZE;
	}
	if ((e = file_take(dir, path, &file, why, nwhy)) != ERR_OK)
		return e;
	d = doc_of(buf_view(&file.json));
	out->listed = doc_defined(doc_getc(d, "files"));
	if (!time_parse(json_str(d, "made"), &out->made_us) || (out->listed && !file.has_sum) ||
	    (out->listed && !read_members(d, out))) {
		snprintf(why, nwhy, "%s is damaged: it is no manifest of a backup", path);
		e = ERR_CORRUPT;
	}
	sealed_fini(&file);
	return e;
}
