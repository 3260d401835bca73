/*
 * cluster init: a database becomes a hub's. Of a directory that was served alone, with all that is in it.
 *
 * The directory is marked before the database is touched for good, and what the mark says is in the database, too: who is killed in between
 * learns what became of it when it is done again, and the directory is not served meanwhile.
 */
#include "cli/cluster.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/net.h"
#include "os/os.h"

#define PEM_MAX ((size_t)1 << 20)

/* ---- secrets ---- */

static struct buf *
secret_new(struct pg_whole *w, const char *name)
{
	snprintf(w->secrets[w->nsecret].name, PG_SECRET_NAME, "%s", name);
	return &w->secrets[w->nsecret++].value;
}

static int
policies_take(struct pg_whole *w, const char *from)
{
	char why[DATA_WHY_MAX] = "no random numbers";
	struct policies *p = NULL;
	enum err e = ERR_IO;

	if (from != NULL)
		e = policies_load(from, &p, why, sizeof(why));
	else if ((p = policies_fresh()) != NULL)
		e = ERR_OK;
	if (e != ERR_OK)
		return cli_fail(exit_of(e), "%s", why);
	policies_text(p, secret_new(w, POLICIES_SECRET));
	policies_free(p);
	return EXIT_DONE;
}

static enum err
pem_read(const char *dir, const char *name, struct buf *out, struct fault *f)
{
	char path[DATA_PATH_MAX];

	if (!data_path(path, dir, name))
		return fault_set(f, F_ArgumentInvalid, "the path of %s is too long", name);
	return os_read_file(path, PEM_MAX, out, f);
}

static int
ca_take(struct pg_whole *w, const char *dir)
{
	struct buf cert = { 0 }, key = { 0 };
	struct fault f = { 0 };
	enum err e = pem_read(dir, "ca.pem", &cert, &f);

	if (e == ERR_OK)
		e = pem_read(dir, "ca.key", &key, &f);
	if (e == ERR_OK)
		ca_secret_put(secret_new(w, CA_SECRET), buf_view(&cert), buf_view(&key));
	buf_wipe(&cert);
	buf_wipe(&key);
	return e == ERR_OK ? EXIT_DONE : cli_fail(exit_of(e), "%s", f.text);
}

/* In a directory that nobody else can look into, and that is gone at the end. */
static int
ca_make(struct pg_whole *w)
{
	const char *tmp = getenv("TMPDIR");
	char dir[DATA_PATH_MAX], why[NET_WHY_MAX];
	struct fault f = { 0 };
	bool new_key = true;
	int code;

	snprintf(dir, sizeof(dir), "%.1000s/twinhub-XXXXXX", tmp != NULL && *tmp ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL)
		return cli_fail(EXIT_FAILED, "%s cannot be made", dir);
	if (certs_renew_ca(dir, clock_wall_us(), &new_key, why) != ERR_OK)
		code = cli_fail(EXIT_FAILED, "a CA cannot be made: %s", why);
	else
		code = ca_take(w, dir);
	if (os_remove_tree(dir, 0, &f) != ERR_OK && code == EXIT_DONE)
		code = cli_fail(
		    EXIT_FAILED, "%s, which has a key, cannot be removed: %s", dir, f.text);
	return code;
}

/* ---- a directory that was served alone ---- */

struct source {
	const char *dir;
	int held;
	struct store *store;
	struct data_moved mark;
	bool marked; /* by a former run, whose end is not known */
	bool no_ca, own_ca;
};

static void
bad_part(void *ctx, const char *file, const char *why)
{
	(void)ctx, (void)file;
	cli_fail(EXIT_DAMAGED, "%s", why);
}

/* Is it a hub's by itself, and whole? */
static int
source_check(struct source *s)
{
	char why[DATA_WHY_MAX];
	struct server_options o;
	enum err e;

	if (options_of_data(s->dir, &o, why, sizeof(why)) != ERR_OK)
		return cli_fail(EXIT_USAGE, "%s", why);
	s->own_ca = o.certs.n == 0 && !s->no_ca;
	if (data_strange(s->dir, why, sizeof(why)) != ERR_OK)
		return cli_fail(EXIT_CONFLICT, "%s", why);
	if (!data_is_moved(s->dir) && data_is_of(s->dir, false, why, sizeof(why)) != ERR_OK)
		return cli_fail(EXIT_CONFLICT, "%s", why);
	e = data_check_parts(s->dir, s->own_ca, bad_part, NULL);
	return e == ERR_OK ? EXIT_DONE : exit_of(e);
}

static int
source_open(struct source *s)
{
	struct store_options so = {
		.read_only = true, .lanes = 1, .retention = { UINT64_MAX, 0, UINT64_MAX, 0 }
	};
	char path[DATA_PATH_MAX], why[DATA_WHY_MAX];
	struct fault f = { 0 };
	enum err e;
	int code;

	if (data_allowed_whole(s->dir) != EXIT_DONE)
		return EXIT_DENIED;
	if ((e = data_hold(s->dir, &s->held, why, sizeof(why))) != ERR_OK)
		return cli_fail(exit_of(e), "%s", why);
	if ((code = source_check(s)) != EXIT_DONE)
		return code;
	if (!data_path(path, s->dir, "store"))
		return cli_fail(EXIT_USAGE, "the path of --from is too long");
	so.dir = path;
	e = store_open(&so, &s->store, &f);
	return e == ERR_OK ? EXIT_DONE : cli_fail(exit_of(e), "%s", f.text);
}

static void
source_close(struct source *s)
{
	store_close(s->store);
	if (s->held >= 0)
		close(s->held);
}

/* Until the mark is taken back, or says that all is there, the directory is not served. */
static int
source_mark(struct source *s, const struct pg_options *o)
{
	char why[DATA_WHY_MAX], place[sizeof(s->mark.database)];
	enum err e = data_moved_read(s->dir, &s->mark, why, sizeof(why));

	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return cli_fail(exit_of(e), "%s", why);
	if (e == ERR_OK && s->mark.whole) {
		data_moved_why(s->dir, why, sizeof(why));
		return cli_fail(EXIT_CONFLICT, "%s", why);
	}
	pg_url_place(o->url, place, sizeof(place));
	s->marked = e == ERR_OK;
	if (s->marked) {
		if (strcmp(place, s->mark.database) == 0)
			return EXIT_DONE;
		data_moved_why(s->dir, why, sizeof(why));
		return cli_fail(EXIT_CONFLICT, "%s", why);
	}
	if (!data_hub_fresh(s->mark.token))
		return cli_fail(EXIT_FAILED, "no random numbers");
	snprintf(s->mark.database, sizeof(s->mark.database), "%s", place);
	if (data_moved_write(s->dir, &s->mark, why, sizeof(why)) != ERR_OK)
		return cli_fail(EXIT_FAILED, "%s", why);
	return EXIT_DONE;
}

static int
source_is_whole(struct source *s)
{
	char why[DATA_WHY_MAX];

	s->mark.whole = true;
	if (data_moved_write(s->dir, &s->mark, why, sizeof(why)) == ERR_OK)
		return EXIT_DONE;
	return cli_fail(EXIT_FAILED,
	    "the database has all of the hub, but %s: serve the database, and %s not any more", why,
	    s->dir);
}

/* Nothing of this run is there: the directory is what it was, unless a former run has left that open. */
static void
source_stays(const struct source *s)
{
	if (s->dir != NULL && !s->marked && data_moved_remove(s->dir) != ERR_OK)
		cli_warn("the mark moved.json cannot be removed: remove it before the directory is "
		         "served again");
}

/* ---- the command ---- */

static int
whole_begin(struct pg_whole *w, const struct source *s)
{
	char why[DATA_WHY_MAX];
	enum err e;
	int code;

	w->now_us = clock_wall_us();
	if (s->dir != NULL) {
		if ((e = data_hub_id(s->dir, w->id, sizeof(w->id), why, sizeof(why))) != ERR_OK)
			return cli_fail(exit_of(e), "%s", why);
		snprintf(w->token, sizeof(w->token), "%s", s->mark.token);
	} else if (!data_hub_fresh(w->id) || !data_hub_fresh(w->token)) {
		return cli_fail(EXIT_FAILED, "no random numbers");
	}
	if ((code = policies_take(w, s->dir)) != EXIT_DONE || s->no_ca)
		return code;
	if (s->dir == NULL)
		return ca_make(w);
	return s->own_ca ? ca_take(w, s->dir) : EXIT_DONE;
}

/* *open: it is not known what became of it. */
static enum err
whole_move(const struct pg_options *o, struct pg_whole *w, struct store *store,
    struct carried *told, bool *open, struct fault *f)
{
	struct pg_mover *m = NULL;
	bool done = false;
	enum err e = store != NULL ? carry_survey(store, w, f) : ERR_OK;

	*open = false;
	if (e == ERR_OK)
		e = pg_move_in(o, w, &m, &done, f);
	if (e != ERR_OK || done)
		return e;
	if (store != NULL && (e = carry_in(store, w, m, told, f)) != ERR_OK) {
		pg_move_drop(m);
		return e;
	}
	e = pg_move_end(m, w, f);
	*open = e == ERR_UNSYNCED;
	return e;
}

static void
say(const struct args *a, const struct pg_whole *w, const struct carried *told, const char *from)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (!output_json(a)) {
		printf(
		    "the database has the hub %s%s%s; serve it with: twinhub serve --cluster URL "
		    "--node NAME --data NEW\n",
		    w->id, from != NULL ? " of " : "", from != NULL ? from : "");
		return;
	}
	out_open(&o);
	out_cstr(out_key(&o, "hubId"), w->id);
	out_u64(out_key(&o, "rows"), told->rows);
	out_u64(out_key(&o, "bytes"), told->bytes);
	out_close(&o);
	json_say(&json);
}

static int
move_failed(enum err e, bool open, const struct source *s, const struct fault *f)
{
	if (!open) {
		source_stays(s);
		return db_fail(e, f);
	}
	if (s->dir != NULL)
		return cli_fail(EXIT_FAILED,
		    "%s. Whether the database has the hub is not known: do it again, which finds "
		    "it "
		    "out; until then %s is not served",
		    f->text, s->dir);
	return cli_fail(EXIT_FAILED,
	    "%s. Whether the database has the hub is not known: `twinhub cluster status` tells",
	    f->text);
}

static int
init(const struct args *a, const struct pg_options *o, struct source *s, struct pg_whole *w)
{
	struct carried told = { 0 };
	struct fault f = { 0 };
	bool open;
	enum err e;
	int code;

	if (s->dir != NULL &&
	    ((code = source_open(s)) != EXIT_DONE || (code = source_mark(s, o)) != EXIT_DONE))
		return code;
	if ((code = whole_begin(w, s)) != EXIT_DONE) {
		source_stays(s);
		return code;
	}
	if ((e = whole_move(o, w, s->store, &told, &open, &f)) != ERR_OK)
		return move_failed(e, open, s, &f);
	if (s->dir != NULL && (code = source_is_whole(s)) != EXIT_DONE)
		return code;
	say(a, w, &told, s->dir);
	return EXIT_DONE;
}

int
cli_cluster_init(const struct args *a)
{
	struct source s = {
		.dir = a->option[OPT_FROM_DATA], .held = -1, .no_ca = a->option[OPT_NO_CA] != NULL
	};
	struct pg_options o = { 0 };
	struct pg_whole *w = xcalloc(1, sizeof(*w));
	int code = db_named(a, &o);

	if (code == EXIT_DONE)
		code = init(a, &o, &s, w);
	source_close(&s);
	pg_whole_fini(w);
	free(w);
	return code;
}
