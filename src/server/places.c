/*
 * Where a hub keeps what all its nodes share: in its data directory, or, with --cluster, in the database (docs/cluster-design.md, 10 and 11). There the
 * database is the truth. The files of the directory are copies for commands on this machine, written at each start and after each change; the one time
 * when they count is when the database has nothing yet.
 */
#include "os/os.h"
#include "pg/pg.h"
#include "server/priv.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>

#define POLICIES_FILE   "policies.json"
#define POLICIES_SECRET "policies"

static void
wipe(struct buf *b)
{
	if (b->p != NULL)
		OPENSSL_cleanse(b->p, b->cap);
	buf_fini(b);
}

/* ---- the directory ---- */

static enum err
files_load(struct server *s, struct policies **out)
{
	return policies_load(s->o.data, out, s->why, sizeof(s->why));
}

static enum err
files_store(struct server *s, const struct policies *next, struct fault *f)
{
	(void)f;
	return policies_save(s->o.data, next);
}

/* ---- the database ---- */

static struct pg_options
database_of(const struct server *s)
{
	return (struct pg_options){ .url = s->o.cluster, .node = node_name(s) };
}

/* Of what the database has, for commands on this machine. */
static enum err
copy_write(struct server *s, const char *name, struct str bytes, unsigned mode)
{
	char path[DATA_PATH_MAX];

	if (!data_path(path, s->o.data, name))
		return fail(s, "the path of --data is too long");
	if (os_replace_file(path, bytes, mode, NULL) == ERR_OK)
		return ERR_OK;
	return fail(s, "%s cannot be written: %s", path, strerror(errno));
}

static enum err
file_read(struct server *s, const char *name, struct buf *out)
{
	char path[DATA_PATH_MAX];

	if (!data_path(path, s->o.data, name))
		return fail(s, "the path of --data is too long");
	if (os_read_file(path, PG_SECRET_MAX, out, NULL) == ERR_OK)
		return ERR_OK;
	return fail(s, "%s cannot be read: %s", path, strerror(errno));
}

/*
 * What the database has of it; where it has nothing, what the directory has goes there. Two that begin at once have one winner. first: what the
 * directory has is of this start, and nobody has ever used it.
 */
static enum err
secret_settle(struct server *s, const char *secret, const char *name, bool first, struct buf *out)
{
	const struct pg_options po = database_of(s);
	struct buf mine = { 0 };
	struct fault f = { 0 };
	enum err e = pg_secret_get(&po, secret, out, &f);

	if (e == ERR_NOT_FOUND || !first)
		if (file_read(s, name, &mine) != ERR_OK) {
			wipe(&mine);
			return ERR_IO;
		}
	if (e == ERR_NOT_FOUND) {
		e = pg_secret_set(&po, secret, NULL, buf_view(&mine), &f);
		if (e == ERR_OK || e == ERR_EXISTS)
			e = pg_secret_get(&po, secret, out, &f);
	}
	if (e == ERR_OK && !first && !str_eq(buf_view(&mine), buf_view(out)))
		log_text(LOG_WARN,
		    "%s/%s is not what the database has, which counts: it is written anew",
		    s->o.data, name);
	wipe(&mine);
	return e == ERR_OK ? ERR_OK : fail(s, "%s", f.text);
}

/* Into the directory, and from there: one reader for both. `stored` is what the next change must find. */
static enum err
policies_adopt(struct server *s, struct buf *bytes, struct policies **out)
{
	enum err e = copy_write(s, POLICIES_FILE, buf_view(bytes), 0600);

	if (e == ERR_OK)
		e = policies_load(s->o.data, out, s->why, sizeof(s->why));
	if (e != ERR_OK)
		return e;
	wipe(&s->policies_stored);
	s->policies_stored = *bytes;
	*bytes = (struct buf){ 0 };
	return ERR_OK;
}

static enum err
database_load(struct server *s, struct policies **out)
{
	struct buf bytes = { 0 };
	enum err e = secret_settle(s, POLICIES_SECRET, POLICIES_FILE, s->found.first, &bytes);

	if (e == ERR_OK)
		e = policies_adopt(s, &bytes, out);
	wipe(&bytes);
	return e;
}

/* What the database has is in force from now on; false: it cannot be had. With policies_mutex held. */
static bool
policies_again(struct server *s)
{
	const struct pg_options po = database_of(s);
	struct policies *now = NULL;
	struct buf bytes = { 0 };
	struct fault f = { 0 };

	if (pg_secret_get(&po, POLICIES_SECRET, &bytes, &f) != ERR_OK) {
		wipe(&bytes);
		return false;
	}
	if (policies_adopt(s, &bytes, &now) == ERR_OK) {
		policies_free(s->policies);
		s->policies = now;
		s->policies_doubt = false;
		catalogue_publish(s);
	} else {
		log_text(LOG_ERROR, "%s", s->why);
	}
	wipe(&bytes);
	return !s->policies_doubt;
}

static enum err
database_store(struct server *s, const struct policies *next, struct fault *f)
{
	const struct pg_options po = database_of(s);
	const struct str former = buf_view(&s->policies_stored);
	struct buf bytes = { 0 };
	enum err e;

	policies_text(next, &bytes);
	e = pg_secret_set(&po, POLICIES_SECRET, &former, buf_view(&bytes), f);
	if (e == ERR_OK) {
		wipe(&s->policies_stored);
		s->policies_stored = bytes;
		if (copy_write(s, POLICIES_FILE, buf_view(&bytes), 0600) != ERR_OK)
			log_text(LOG_WARN, "%s; commands with --data may sign in with a former key",
			    s->why);
		return ERR_OK;
	}
	wipe(&bytes);
	if (e == ERR_IO)
		return e;
	s->policies_doubt = true;
	fault_set(f, F_ServiceUnavailable, "%s",
	    e == ERR_EXISTS
	        ? "another node has changed the policies meanwhile: try again"
	        : "it is not known whether the policies could be stored: look at them, and try "
	          "again");
	(void)policies_again(s);
	s->policies_doubt =
	    true;          /* links are looked at by places_look, and it has become known by then */
	return ERR_LOCKED; /* f says it */
}

/* ---- the face ---- */

static const struct places in_directory = { files_load, files_store };
static const struct places in_database = { database_load, database_store };

const struct places *
places_of(const struct server *s)
{
	return s->o.cluster != NULL ? &in_database : &in_directory;
}

void
places_look(struct server *s)
{
	bool changed = false;

	if (s->o.cluster == NULL)
		return;
	pthread_mutex_lock(&s->policies_mutex);
	if (s->policies_doubt)
		changed = policies_again(s);
	pthread_mutex_unlock(&s->policies_mutex);
	if (changed)
		links_again(s);
}

const char *
node_name(const struct server *s)
{
	return s->o.node != NULL ? s->o.node : "node1";
}

enum err
places_join(struct server *s)
{
	struct pg_options po = database_of(s);
	char mine[DATA_ID_MAX], id[PG_ID_MAX] = "";
	struct fault f = { 0 };

	if (s->o.cluster == NULL)
		return ERR_OK;
	if (data_is_of(s->o.data, true, s->why, sizeof(s->why)) != ERR_OK ||
	    data_hub_id(s->o.data, mine, sizeof(mine), s->why, sizeof(s->why)) != ERR_OK)
		return ERR_IO;
	po.hub = mine;
	if (pg_join(&po, id, &f) != ERR_OK)
		return fail(s, "%s", f.text);
	if (strcmp(id, mine) != 0 && !s->found.first)
		return fail(s,
		    "the database is that of the hub %s, not of %s, whose directory %s is", id,
		    mine, s->o.data);
	if (strcmp(id, mine) != 0 && data_take_hub(s->o.data, id, s->why, sizeof(s->why)) != ERR_OK)
		return ERR_IO;
	return data_dir_id(
	    s->o.data, s->found.first ? NULL : id, s->dir_id, s->why, sizeof(s->why));
}
