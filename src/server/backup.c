/* An online backup: the files beside the store, and the store, in a new directory that is whole or not there. */
#include "os/os.h"
#include "server/priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define BACKUP_DEPTH 2 /* of directories in it: the store, and the store while it is made */

static enum err
copy_file(const char *from, const char *to_dir, const char *name, struct fault *f)
{
	char to[DATA_PATH_MAX];
	struct buf bytes = { 0 };
	struct stat st;
	enum err e;

	if (!data_path(to, to_dir, name))
		return fault_set(f, F_ArgumentInvalid, "the path is too long");
	if (stat(from, &st) != 0) /* certificates may be elsewhere */
		return errno == ENOENT ? ERR_OK : os_fault(f, "reading", from);
	e = os_read_file(from, 1u << 20, &bytes, f);
	if (e == ERR_OK)
		e = os_replace_file(to, buf_view(&bytes), st.st_mode & 0777, f);
	buf_fini(&bytes);
	return e;
}

static enum err
copy_own(const struct server *s, const char *to_dir, const char *name, struct fault *f)
{
	char from[DATA_PATH_MAX];

	/* The settings that are in force, wherever they are. */
	if (s->o.config != NULL && strcmp(name, CONF_FILE) == 0)
		return copy_file(s->o.config, to_dir, name, f);
	if (!data_path(from, s->o.data, name))
		return fault_set(f, F_ArgumentInvalid, "the path is too long");
	return copy_file(from, to_dir, name, f);
}

static enum err
copy_all(struct server *s, const char *dir, struct fault *f)
{
	static const char *const files[] = { "hub.json", CONF_FILE, "policies.json", "ca.pem",
		"ca.key", "server-ecdsa.pem", "server-ecdsa.key", "server-rsa.pem",
		"server-rsa.key" };
	char store[DATA_PATH_MAX];
	enum err e = ERR_OK;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && e == ERR_OK; i++)
		e = copy_own(s, dir, files[i], f);
	if (e == ERR_OK && !data_path(store, dir, "store"))
		e = fault_set(f, F_ArgumentInvalid, "the path is too long");
	if (e == ERR_OK)
		e = store_checkpoint(s->store, store, f);
	if (e == ERR_OK)
		e = backup_mark(dir, f);
	return e != ERR_OK ? e : os_sync_parent(dir, f);
}

/* The path's fault, unless it is the disk's or the machine's: errno. */
static enum err
not_made(const char *dir, const char *why, struct fault *f)
{
	bool ours = errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == ENOMEM;

	return fault_set(
	    f, ours ? F_ServerError : F_ArgumentInvalid, "%s cannot be made: %s", dir, why);
}

/* A backup in the hub's own directory would go with it, and be taken for a part of it. */
static enum err
target_check(const struct server *s, const char *dir, struct fault *f)
{
	bool below = false;
	struct fault why;

	if (os_is_below(dir, s->o.data, &below, &why) != ERR_OK)
		return not_made(dir, why.text, f);
	if (below)
		return fault_set(f, F_ArgumentInvalid, "%s is in the hub's data directory", dir);
	return ERR_OK;
}

enum err
admin_backup(void *ctx, struct str to, struct fault *f)
{
	struct server *s = ctx;
	char *dir = str_dup0(to);
	enum err e = target_check(s, dir, f);

	if (e == ERR_OK && mkdir(dir, 0700) != 0)
		e = not_made(dir, strerror(errno), f);
	else if (e == ERR_OK && (e = copy_all(s, dir, f)) != ERR_OK) {
		struct fault why;

		if (f->code == F_NONE)
			fault_set(f, F_ServerError, "the hub could not be copied");
		if (os_remove_tree(dir, BACKUP_DEPTH, &why) != ERR_OK)
			log_text(LOG_WARN, "%s", why.text);
	}
	free(dir);
	return e;
}
