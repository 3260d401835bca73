/*
 * Where a hub keeps what all its nodes share: in its data directory, or, with --cluster, in the database (docs/cluster-design.md, 10 and 11). There the
 * database is the truth. The files of the directory are copies for commands on this machine, written at each start and after each change; the one time
 * when they count is when the database has nothing yet.
 */
#include "os/os.h"
#include "pg/pg.h"
#include "server/priv.h"

#include <errno.h>
#include <stdio.h>

#define POLICIES_FILE "policies.json"
/* How often it is looked what became of a change: a server that stood still may yet do what it was asked. */
#define LOOKS 6

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

/* Of what the database has, for commands on this machine; a disk without room is no matter where it is there. why: not s->why, which is the main
 * thread's. */
static enum err
copy_write(const struct server *s, const char *name, struct str bytes, unsigned mode,
    char why[DATA_WHY_MAX])
{
	char path[DATA_PATH_MAX];
	struct buf there = { 0 };
	bool same;

	if (!data_path(path, s->o.data, name)) {
		snprintf(why, DATA_WHY_MAX, "the path of --data is too long");
		return ERR_ARG;
	}
	same = os_read_file(path, PG_SECRET_MAX, &there, NULL) == ERR_OK &&
	    str_eq(buf_view(&there), bytes);
	buf_wipe(&there);
	if (same || os_replace_file(path, bytes, mode, NULL) == ERR_OK)
		return ERR_OK;
	snprintf(why, DATA_WHY_MAX, "%s cannot be written: %s", path, strerror(errno));
	return ERR_IO;
}

static void
copy_policies(const struct server *s, struct str bytes)
{
	char why[DATA_WHY_MAX] = "";

	if (copy_write(s, POLICIES_FILE, bytes, 0600, why) != ERR_OK)
		log_text(LOG_WARN, "%s; commands with --data may sign in with a former key", why);
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

/* Is the file another one than these bytes, which are the database's? One that is missing or cannot be read is told of by nobody. */
static void
tell_other(struct server *s, const char *name, struct str bytes)
{
	struct buf mine = { 0 };

	if (!s->found.first && file_read(s, name, &mine) == ERR_OK &&
	    !str_eq(buf_view(&mine), bytes))
		log_text(LOG_WARN,
		    "%s/%s is not what the database has, which counts: it is written anew",
		    s->o.data, name);
	buf_wipe(&mine);
}

/* In force soon; `stored` is what the next change must find. A copy that cannot be written is no matter where the database has it. */
static enum err
policies_adopt(struct server *s, struct buf *bytes, struct policies **out, char why[DATA_WHY_MAX])
{
	enum err e = policies_parse("the secret '" POLICIES_SECRET "' in the database",
	    buf_view(bytes), out, why, DATA_WHY_MAX);

	if (e != ERR_OK)
		return e;
	copy_policies(s, buf_view(bytes));
	buf_wipe(&s->policies_stored);
	s->policies_stored = *bytes;
	*bytes = (struct buf){ 0 };
	return ERR_OK;
}

/* The directory's, which have been found good, where the database has none; two nodes that begin at once have one winner. */
static enum err
policies_carry(struct server *s, struct buf *bytes, struct fault *f)
{
	const struct pg_options po = database_of(s);
	struct policies *mine;
	enum err e;

	if (policies_load(s->o.data, &mine, s->why, sizeof(s->why)) != ERR_OK)
		return fault_set(f, F_ServerError, "%.400s", s->why);
	policies_text(mine, bytes);
	policies_free(mine);
	e = pg_secret_set(&po, POLICIES_SECRET, NULL, buf_view(bytes), f);
	if (e != ERR_EXISTS)
		return e;
	bytes->n = 0;
	return pg_secret_get(&po, POLICIES_SECRET, bytes, f);
}

static enum err
database_load(struct server *s, struct policies **out)
{
	const struct pg_options po = database_of(s);
	struct buf bytes = { 0 };
	struct fault f = { 0 };
	enum err e = pg_secret_get(&po, POLICIES_SECRET, &bytes, &f);

	if (e == ERR_NOT_FOUND)
		e = policies_carry(s, &bytes, &f);
	else if (e == ERR_OK)
		tell_other(s, POLICIES_FILE, buf_view(&bytes));
	e = e == ERR_OK ? policies_adopt(s, &bytes, out, s->why) : fail(s, "%s", f.text);
	buf_wipe(&bytes);
	return e;
}

static void
in_force(struct server *s, struct policies *now)
{
	policies_free(s->policies);
	s->policies = now;
	catalogue_publish(s);
}

enum err
policies_adopt_if(
    struct server *s, struct buf *bytes, uint64_t as_of, bool *changed, struct fault *f)
{
	char why[DATA_WHY_MAX] = "";
	struct policies *now = NULL;
	enum err e = ERR_OK;

	pthread_mutex_lock(&s->policies_mutex);
	if (s->policies_changes != as_of)
		e = ERR_LOCKED;
	else if (!str_eq(buf_view(&s->policies_stored), buf_view(bytes)))
		e = policies_adopt(s, bytes, &now, why);
	if (now != NULL)
		in_force(s, now);
	pthread_mutex_unlock(&s->policies_mutex);
	*changed = now != NULL;
	if (e != ERR_OK && e != ERR_LOCKED)
		fault_set(f, F_ServerError, "%.400s", why);
	return e;
}

/* What the database has is in force from now on; false: it cannot be had. With policies_mutex held. */
static bool
policies_again(struct server *s)
{
	const struct pg_options po = database_of(s);
	char why[DATA_WHY_MAX] = "";
	struct policies *now = NULL;
	struct buf bytes = { 0 };
	struct fault f = { 0 };

	if (pg_secret_get(&po, POLICIES_SECRET, &bytes, &f) != ERR_OK) {
		buf_wipe(&bytes);
		return false;
	}
	if (policies_adopt(s, &bytes, &now, why) == ERR_OK)
		in_force(s, now);
	else
		log_text(LOG_ERROR, "%s", why);
	buf_wipe(&bytes);
	return now != NULL;
}

static enum err
database_store(struct server *s, const struct policies *next, struct fault *f)
{
	const struct pg_options po = database_of(s);
	const struct str former = buf_view(&s->policies_stored);
	struct buf bytes = { 0 };
	enum err e;

	policies_text(next, &bytes);
	s->policies_changes++;
	e = pg_secret_set(&po, POLICIES_SECRET, &former, buf_view(&bytes), f);
	if (e == ERR_OK) {
		buf_wipe(&s->policies_stored);
		s->policies_stored = bytes;
		copy_policies(s, buf_view(&s->policies_stored));
		return ERR_OK;
	}
	buf_wipe(&bytes);
	if (e == ERR_IO)
		return e;
	s->policies_looks = LOOKS;
	fault_set(f, F_ServiceUnavailable, "%s",
	    e == ERR_EXISTS
	        ? "another node has changed the policies meanwhile: try again"
	        : "it is not known whether the policies could be stored: look at them, and try "
	          "again");
	(void)policies_again(s); /* links are looked at by places_look */
	return ERR_LOCKED;
}

/* ---- the CA: its certificate and its key are one secret, `ca.pem N`, a line end, N bytes of the certificate's file, and the key's ---- */

#define CA_CERT "ca.pem"
#define CA_KEY  "ca.key"

void
ca_secret_put(struct buf *out, struct str cert, struct str key)
{
	buf_printf(out, "%s %zu\n", CA_CERT, cert.n);
	buf_str(out, cert);
	buf_str(out, key);
}

bool
ca_secret_get(struct str bytes, struct str *cert, struct str *key)
{
	struct str head, name, rest;
	uint64_t n;

	if (!str_cut(bytes, '\n', &head, &rest) || !str_cut(head, ' ', &name, &head) ||
	    !str_eq(name, STR(CA_CERT)) || !str_u64(head, &n) || n > rest.n)
		return false;
	*cert = (struct str){ rest.p, n };
	*key = str_sub(rest, n);
	return true;
}

static enum err
ca_read(struct server *s, struct buf *out)
{
	struct buf cert = { 0 }, key = { 0 };
	enum err e = file_read(s, CA_CERT, &cert);

	if (e == ERR_OK)
		e = file_read(s, CA_KEY, &key);
	ca_secret_put(out, buf_view(&cert), buf_view(&key));
	buf_wipe(&cert);
	buf_wipe(&key);
	return e;
}

/* The key first: what a kill leaves is written anew by the next start. */
static enum err
ca_write(struct server *s, struct str bytes)
{
	struct str cert, key;

	if (!ca_secret_get(bytes, &cert, &key))
		return fail(s, "the secret '%s' in the database is damaged", CA_SECRET);
	if (copy_write(s, CA_KEY, key, 0600, s->why) != ERR_OK)
		return ERR_IO;
	return copy_write(s, CA_CERT, cert, 0644, s->why);
}

static enum err
database_ca_fetch(struct server *s)
{
	const struct pg_options po = database_of(s);
	struct buf bytes = { 0 }, mine = { 0 };
	struct fault f = { 0 };
	enum err e = pg_secret_get(&po, CA_SECRET, &bytes, &f);

	if (e == ERR_OK &&
	    (ca_read(s, &mine) != ERR_OK || !str_eq(buf_view(&mine), buf_view(&bytes)))) {
		tell_other(s, CA_CERT, buf_view(&bytes));
		e = ca_write(s, buf_view(&bytes));
	} else if (e != ERR_OK && e != ERR_NOT_FOUND) {
		e = fail(s, "%s", f.text);
	}
	buf_wipe(&s->ca_stored);
	s->ca_stored = bytes;
	buf_wipe(&mine);
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err
database_ca_keep(struct server *s, bool *other)
{
	const struct pg_options po = database_of(s);
	const struct str former = buf_view(&s->ca_stored);
	struct buf bytes = { 0 };
	struct fault f = { 0 };
	enum err e = ca_read(s, &bytes);

	*other = false;
	if (e == ERR_OK && !str_eq(buf_view(&bytes), former)) {
		e = pg_secret_set(
		    &po, CA_SECRET, former.n != 0 ? &former : NULL, buf_view(&bytes), &f);
		*other = e == ERR_EXISTS;
		if (e == ERR_OK) {
			buf_wipe(&s->ca_stored);
			s->ca_stored = bytes;
			return ERR_OK;
		}
		e = *other ? ERR_OK : fail(s, "the CA cannot be stored: %s", f.text);
	}
	buf_wipe(&bytes);
	return e;
}

static enum err
files_ca_fetch(struct server *s)
{
	(void)s;
	return ERR_OK;
}

static enum err
files_ca_keep(struct server *s, bool *other)
{
	(void)s;
	*other = false;
	return ERR_OK;
}

/* ---- the face ---- */

static const struct places in_directory = { files_load, files_store, files_ca_fetch,
	files_ca_keep };
static const struct places in_database = { database_load, database_store, database_ca_fetch,
	database_ca_keep };

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
	if (s->policies_looks > 0 && policies_again(s)) {
		s->policies_looks--;
		changed = true;
	}
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
