/* check: is everything in a data directory what was written? */
#include "cli/priv.h"

#include <stdio.h>
#include <unistd.h>

#include "backup/backup.h"
#include "net/net.h"
#include "store/store.h"

#define BAD_SAID_MOST 1000 /* lines; the rest is only counted */
#define ONLINE_TRIES  3

struct report {
	const char *dir;
	struct manifest manifest; /* of a backup */
	uint64_t nfile, nrow, nrecord, nidentity, nbad, nnote;
	struct buf json, notes; /* elements of "bad" and "notes" */
	bool quiet;             /* notes are for the JSON */
	bool locked;
	bool online, gone; /* a running hub's: it may remove it meanwhile */
};

static void
add_element(struct buf *json, const char *file, const char *name, const char *text)
{
	struct out o = out_next(json);

	out_open(&o);
	out_cstr(out_key(&o, "file"), file);
	out_cstr(out_key(&o, name), text);
	out_close(&o);
}

/* file: its name in the directory; why may name it already. */
static void
bad(struct report *r, const char *file, const char *why)
{
	if (r->online && access(r->dir, F_OK) != 0)
		r->gone = true;
	if (r->gone || r->nbad++ >= BAD_SAID_MOST)
		return;
	if (strstr(why, r->dir) != NULL)
		cli_fail(EXIT_DAMAGED, "%s", why);
	else
		cli_fail(EXIT_DAMAGED, "%s/%s: %s", r->dir, file, why);
	add_element(&r->json, file, "why", why);
}

/* Nothing is wrong with it, but a start would not leave it so. */
static void
note(struct report *r, const char *file, const char *what)
{
	if (r->nnote++ >= BAD_SAID_MOST)
		return;
	if (!r->quiet && strstr(what, r->dir) != NULL)
		printf("%s\n", what);
	else if (!r->quiet)
		printf("%s/%s: %s\n", r->dir, file, what);
	add_element(&r->notes, file, "what", what);
}

static bool
there(const struct report *r, const char *file)
{
	char path[DATA_PATH_MAX];

	return data_path(path, r->dir, file) && access(path, F_OK) == 0;
}

/* ---- the files beside the store ---- */

static void
on_bad_part(void *ctx, const char *file, const char *why)
{
	bad(ctx, file, why);
}

static void
on_part_anew(void *ctx, const char *file, const char *what)
{
	note(ctx, file, what);
}

static void
on_cert_anew(void *ctx, const char *path, const char *why)
{
	struct report *r = ctx;
	char what[NET_WHY_MAX + 64];

	snprintf(what, sizeof(what), "%s: a start makes it anew", why);
	note(r, path + strlen(r->dir) + 1, what);
}

/* Hubs with certificates from elsewhere have none here. */
static void
check_files(struct report *r)
{
	char why[WHY_MAX];
	struct server_options o;
	bool own_ca = false;

	r->nfile += 3;
	if (options_of_data(r->dir, &o, why, sizeof(why)) != ERR_OK)
		bad(r, "twinhub.conf", why);
	else
		own_ca = o.certs.n == 0 && data_has_own_ca(r->dir);
	data_check_parts(r->dir, own_ca, on_bad_part, r);
	data_tell_anew(r->dir, on_part_anew, r);
	if (!own_ca)
		return;
	certs_tell_anew(r->dir, clock_wall_us(), on_cert_anew, r);
	r->nfile += 6;
}

/* ---- the manifest of a backup ---- */

static void
check_manifest(struct report *r)
{
	char why[BACKUP_WHY_MAX];
	struct backup_checkup up = { .bad = on_bad_part, .ctx = r };
	enum err e = manifest_read(r->dir, &r->manifest, why, sizeof(why));

	if (e == ERR_NOT_FOUND) /* no backup, or of a program that has marked none */
		return;
	r->nfile++;
	if (e != ERR_OK)
		bad(r, BACKUP_FILE, why);
	else if (!r->manifest.listed)
		note(r, BACKUP_FILE, NO_MANIFEST);
	else
		backup_verify(r->dir, &r->manifest, &up);
}

/* Behind all else: files that are as the manifest says have what it says of them in them. */
static void
check_count(struct report *r)
{
	char why[128];

	if (!r->manifest.listed || r->nbad > 0 || r->locked ||
	    r->nidentity == r->manifest.identities)
		return;
	snprintf(why, sizeof(why), "says %llu identities, and there are %llu",
	    (unsigned long long)r->manifest.identities, (unsigned long long)r->nidentity);
	bad(r, BACKUP_FILE, why);
}

/* ---- the store ---- */

static void
on_bad_file(void *ctx, const char *file, const char *why)
{
	char name[DATA_PATH_MAX];

	bad(ctx, data_path(name, "store", file) ? name : file, why);
}

static void
on_note(void *ctx, const char *file, const char *what)
{
	struct report *r = ctx;
	char name[DATA_PATH_MAX];
	bool named = data_path(name, "store", file);

	/* RocksDB's IDENTITY is in no backup, and what is one's and missing is damage. */
	if (!r->manifest.listed || !named || strcmp(file, "IDENTITY") != 0)
		note(r, named ? name : file, what);
}

static void
on_bad_record(void *ctx, const char *what)
{
	bad(ctx, "store", what);
}

static void
check_store(struct report *r)
{
	char path[DATA_PATH_MAX];
	uint64_t nbad = r->nbad;
	struct store_checkup up = { .bad = on_bad_file, .note = on_note, .ctx = r };
	struct fault f = { 0 };
	enum err e;

	if (!there(r, "store")) {
		bad(r, "store", "it is missing");
		return;
	}
	if (!data_path(path, r->dir, "store")) {
		bad(r, "store", "its path is too long");
		return;
	}
	e = store_check(path, &up, &f);
	r->nfile += up.nfiles;
	r->nrow = up.nrows;
	if (e == ERR_OK) /* opening it is for stores whose bytes are good */
		e = records_check(path, on_bad_record, r, &r->nrecord, &r->nidentity, &f);
	r->locked = e == ERR_LOCKED;
	if (e != ERR_OK && !r->locked && r->nbad == nbad)
		bad(r, "store", f.text[0] != '\0' ? f.text : "it cannot be read");
}

/* ---- all of it ---- */

static void
put_backup(struct out *o, const struct manifest *m)
{
	out_open(out_key(o, "backup"));
	out_time(out_key(o, "made"), m->made_us);
	out_bool(out_key(o, "manifest"), m->listed);
	if (m->listed) {
		out_cstr(out_key(o, "program"), m->program);
		out_u64(out_key(o, "format"), m->format);
		out_u64(out_key(o, "identities"), m->identities);
		out_u64(out_key(o, "bytes"), m->bytes);
		out_cstr(out_key(o, "sha256"), m->sha256);
	}
	out_close(o);
}

static void
print_report(const struct args *a, const struct report *r)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (!output_json(a)) {
		printf("%s: %llu files, %llu rows, %llu records decoded, ", r->dir,
		    (unsigned long long)r->nfile, (unsigned long long)r->nrow,
		    (unsigned long long)r->nrecord);
		if (r->nbad == 0)
			printf("all good\n");
		else
			printf("%llu damaged\n", (unsigned long long)r->nbad);
		return;
	}
	out_open(&o);
	out_str_or_null(out_key(&o, "data"), str_of(r->dir));
	if (r->manifest.made_us != 0)
		put_backup(&o, &r->manifest);
	out_u64(out_key(&o, "files"), r->nfile);
	out_u64(out_key(&o, "rows"), r->nrow);
	out_u64(out_key(&o, "records"), r->nrecord);
	out_u64(out_key(&o, "damaged"), r->nbad);
	out_list(out_key(&o, "bad"));
	out_json(&o, buf_view(&r->json));
	out_close(&o);
	out_list(out_key(&o, "notes"));
	out_json(&o, buf_view(&r->notes));
	out_close(&o);
	out_close(&o);
	json_say(&json);
}

static void
report_fini(struct report *r)
{
	manifest_fini(&r->manifest);
	buf_fini(&r->json);
	buf_fini(&r->notes);
}

/* The exit code; of one that has gone meanwhile EXIT_NOT_FOUND, with nothing said. */
static int
check_dir(const struct args *a, struct report *r)
{
	char why[DATA_WHY_MAX];
	enum err e;

	if (data_allowed_whole(r->dir) != EXIT_DONE)
		return EXIT_DENIED;
	e = data_check(r->dir, why, sizeof(why));
	if (r->online && access(r->dir, F_OK) != 0)
		return EXIT_NOT_FOUND;
	if (e == ERR_VERSION || (e == ERR_NOT_FOUND && !there(r, "store")))
		return cli_fail(exit_of(e), "%s", why);
	check_manifest(r);
	check_files(r);
	check_store(r);
	check_count(r);
	if (r->gone)
		return EXIT_NOT_FOUND;
	if (r->locked)
		cli_fail(EXIT_LOCKED, "%s is in use by a hub: stop it first", r->dir);
	else
		print_report(a, r);
	return r->nbad > 0 ? EXIT_DAMAGED : r->locked ? EXIT_LOCKED : EXIT_DONE;
}

/* The hub may remove the one that is being read, when a newer one is whole: then that. */
static int
check_online(const struct args *a)
{
	struct latest_backup latest;
	int code;

	for (unsigned i = 0; i < ONLINE_TRIES; i++) {
		struct report r = { .dir = latest.path, .quiet = output_json(a), .online = true };

		if ((code = backup_latest(a, &latest)) != EXIT_DONE)
			return code;
		code = check_dir(a, &r);
		report_fini(&r);
		if (code != EXIT_NOT_FOUND)
			break;
	}
	if (code == EXIT_NOT_FOUND)
		return cli_fail(code, "backups go faster than they can be read: keep more of them");
	if (code == EXIT_DONE && latest.late[0] != '\0')
		return cli_fail(EXIT_FAILED, "%s", latest.late);
	return code;
}

int
cli_check(const struct args *a)
{
	struct report r = { .dir = data_named(a), .quiet = output_json(a) };
	int code;

	if (a->option[OPT_ONLINE] != NULL)
		return check_online(a);
	if (r.dir == NULL)
		return cli_fail(EXIT_USAGE, "--data DIR is needed, or " DATA_NAME);
	code = check_dir(a, &r);
	report_fini(&r);
	return code;
}
