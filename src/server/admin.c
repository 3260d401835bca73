/* What operators ask of the program through the API: policies, backup, readiness. */
#include "server/priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static enum err
admin_policy_show(void *ctx, struct str name, struct buf *json)
{
	struct server *s = ctx;
	const struct policy *p;
	enum err e = ERR_OK;

	pthread_mutex_lock(&s->policies_mutex);
	if (name.n != 0) {
		p = policy_find(s->policies->v, s->policies->n, name);
		if (p == NULL)
			e = ERR_NOT_FOUND;
		else
			policy_write(json, p);
	} else {
		buf_putc(json, '[');
		for (size_t i = 0; i < s->policies->n; i++) {
			if (i > 0)
				buf_putc(json, ',');
			policy_write(json, &s->policies->v[i]);
		}
		buf_putc(json, ']');
	}
	pthread_mutex_unlock(&s->policies_mutex);
	return e;
}

/* On disk before it is in force, in force before it is answered. */
static enum err
admin_policy_rotate(void *ctx, struct str name, bool primary, struct buf *json, struct fault *f)
{
	struct server *s = ctx;
	struct policies *next;
	enum err e;

	pthread_mutex_lock(&s->policies_mutex);
	next = policies_copy(s->policies);
	e = policies_rotate(next, name, primary);
	if (e == ERR_OK && (e = policies_save(s->o.data, next)) != ERR_OK)
		fault_set(f, F_ServiceUnavailable, "the new key could not be stored");
	if (e == ERR_OK) {
		policies_free(s->policies);
		s->policies = next;
		catalogue_publish(s);
		policy_write(json, policy_find(next->v, next->n, name));
	} else {
		policies_free(next);
	}
	pthread_mutex_unlock(&s->policies_mutex);
	if (e == ERR_OK)
		links_again(s);
	return e;
}

static enum err
copy_file(const char *from_dir, const char *to_dir, const char *name)
{
	char from[DATA_PATH_MAX], to[DATA_PATH_MAX];
	struct buf bytes = { 0 };
	struct stat st;
	enum err e = ERR_SIZE;

	if (data_path(from, from_dir, name) && data_path(to, to_dir, name)) {
		e = data_read_file(from, 1u << 20, &bytes);
		if (e == ERR_OK)
			e = stat(from, &st) == 0
			    ? data_write_file(to, buf_view(&bytes), st.st_mode & 0777)
			    : ERR_IO;
		else if (e == ERR_NOT_FOUND)
			e = ERR_OK; /* certificates may be elsewhere */
	}
	buf_fini(&bytes);
	return e;
}

static enum err
admin_backup(void *ctx, struct str to, struct fault *f)
{
	static const char *const files[] = { "hub.json", "twinhub.conf", "policies.json", "ca.pem",
		"ca.key", "server-ecdsa.pem", "server-ecdsa.key", "server-rsa.pem",
		"server-rsa.key" };
	struct server *s = ctx;
	char *dir = str_dup0(to), store[DATA_PATH_MAX];
	enum err e = ERR_OK;

	if (!data_path(store, dir, "store"))
		e = fault_set(f, F_ArgumentInvalid, "the path is too long");
	else if (mkdir(dir, 0700) != 0)
		e = fault_set(f, F_ArgumentInvalid, "%s cannot be made: %s", dir, strerror(errno));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && e == ERR_OK; i++)
		if ((e = copy_file(s->o.data, dir, files[i])) != ERR_OK)
			fault_set(f, F_ServerError, "%s could not be copied", files[i]);
	if (e == ERR_OK && (e = store_checkpoint(s->store, store, f)) != ERR_OK &&
	    f->code == F_NONE)
		fault_set(f, F_ServerError, "the store could not be copied");
	free(dir);
	return e;
}

static const char *
admin_not_ready(void *ctx, char why[NET_WHY_MAX])
{
	struct server *s = ctx;
	struct fault f = { 0 };

	if (store_state(s->store, &f) != STORE_READY)
		snprintf(why, NET_WHY_MAX, "the store takes no writes: %.200s", f.text);
	else if (!store_has_space(s->store))
		snprintf(why, NET_WHY_MAX,
		    "the disk is full: %llu bytes are free, changes need %llu",
		    (unsigned long long)store_space(s->store),
		    (unsigned long long)s->o.free_space_bytes);
	else
		return NULL;
	return why;
}

struct http_admin
admin_of(struct server *s)
{
	return (struct http_admin){ s, admin_policy_show, admin_policy_rotate, admin_backup,
		admin_not_ready };
}
