/* backup: a running hub makes one. And which of its backups is the latest, for check --online. */
#include "cli/priv.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOUR_US  INT64_C(3600000000)
#define AHEAD_US INT64_C(300000000) /* by so much clocks of a machine may differ, as one is set */

/* A hub knows no working directory of its clients. */
static int
absolute(const char *path, struct buf *out)
{
	char cwd[DATA_PATH_MAX];

	if (path[0] != '/') {
		if (getcwd(cwd, sizeof(cwd)) == NULL)
			return cli_fail(EXIT_FAILED, "the working directory has no name");
		buf_cstr(out, cwd);
		buf_putc(out, '/');
	}
	buf_cstr(out, path);
	return EXIT_DONE;
}

static void
made_say(struct str dir, struct doc d)
{
	printf("backup in " STR_FMT ": %lld bytes in %lld files, %lld identities\n", STR_ARG(dir),
	    (long long)doc_int(doc_getc(d, "bytes")), (long long)doc_int(doc_getc(d, "files")),
	    (long long)doc_int(doc_getc(d, "identities")));
}

int
cli_backup(const struct args *a)
{
	struct answer answer = { 0 };
	struct args with = *a;
	struct buf path = { 0 }, dir = { 0 };
	int code = absolute(a->operand[0], &dir);

	if (code != EXIT_DONE)
		return code;
	with.number[OPT_TIMEOUT] = a->number[OPT_BACKUP_TIMEOUT];
	path_of(&path, "/admin/backup?to=", buf_view(&dir));
	code = hub_call_once(&with, &(struct ask){ .method = POST, .path = path.p }, &answer);
	if (code != EXIT_DONE)
		goto done;
	if (output_json(a))
		show_record(a, doc_of(buf_view(&answer.doc)));
	else
		made_say(buf_view(&dir), doc_of(buf_view(&answer.doc)));
done:
	answer_fini(&answer);
	buf_fini(&path);
	buf_fini(&dir);
	return code;
}

/* ---- the latest ---- */

/* most_us: of later it is not taken. */
static void
take(struct latest_backup *out, struct doc one, int64_t most_us)
{
	struct str path = doc_text(doc_getc(one, "path"));
	char named[DATA_PATH_MAX];
	int64_t made_us = 0;
	struct stat st;

	if (path.n == 0 || path.n >= sizeof(out->path) ||
	    !time_parse(doc_text(doc_getc(one, "made")), &made_us) || made_us > most_us ||
	    made_us <= out->made_us)
		return;
	out->said = true;
	snprintf(named, sizeof(named), STR_FMT, STR_ARG(path));
	if (stat(named, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
		return;
	snprintf(out->path, sizeof(out->path), "%s", named);
	out->made_us = made_us;
}

/* A disk that does not answer lets one be made for ever; a big hub's first one takes its time. */
static bool
is_making(struct doc d, int64_t every_us)
{
	int64_t since_us;

	return doc_kind(doc_getc(d, "running")) == DOC_TRUE &&
	    (!time_parse(doc_text(doc_getc(d, "runningSince")), &since_us) ||
	        clock_wall_us() - since_us <= 2 * every_us + HOUR_US);
}

static void
late_take(struct doc d, struct latest_backup *out)
{
	int64_t every_us = doc_int(doc_getc(d, "everySeconds")) * 1000000,
	        age_us = clock_wall_us() - out->made_us;

	if (doc_defined(doc_getc(d, "failingSince")))
		snprintf(out->late, sizeof(out->late),
		    "the hub's backups fail since " STR_FMT ": " STR_FMT,
		    STR_ARG(doc_text(doc_getc(d, "failingSince"))),
		    STR_ARG(doc_text(doc_getc(doc_getc(d, "lastFailure"), "why"))));
	else if (every_us > 0 && age_us > 2 * every_us && !is_making(d, every_us))
		snprintf(out->late, sizeof(out->late),
		    "the latest backup is %lld s old, and one is due every %lld s",
		    (long long)(age_us / 1000000), (long long)(every_us / 1000000));
}

static void
newest_take(struct doc d, struct latest_backup *out, int64_t most_us)
{
	struct doc_iter it = doc_iter(doc_getc(d, "backups"));
	struct str key;
	struct doc one;

	take(out, doc_getc(d, "lastSuccess"), most_us);
	while (doc_next(&it, &key, &one))
		take(out, one, most_us);
}

/* What the hub says of its backups: the newest that is here, and what is wrong with how they go. One that was made before a clock was set
 * back is no newer than those since. */
static void
answer_take(struct doc d, struct latest_backup *out)
{
	newest_take(d, out, clock_wall_us() + AHEAD_US);
	if (out->path[0] == '\0')
		newest_take(d, out, INT64_MAX);
	late_take(d, out);
}

int
backup_latest(const struct args *a, struct latest_backup *out)
{
	struct answer answer = { 0 };
	int code =
	    hub_call_once(a, &(struct ask){ .method = GET, .path = "/admin/backups" }, &answer);

	*out = (struct latest_backup){ 0 };
	if (code == EXIT_DONE) {
		answer_take(doc_of(buf_view(&answer.doc)), out);
		if (out->path[0] == '\0' && out->said)
			code = cli_fail(EXIT_NOT_FOUND,
			    "the hub's backups are not on this machine, or are gone: check "
			    "--online reads "
			    "their files, so it runs where they are");
		else if (out->path[0] == '\0' && out->late[0] != '\0')
			code = cli_fail(EXIT_NOT_FOUND, "there is no backup: %s", out->late);
		else if (out->path[0] == '\0')
			code = cli_fail(EXIT_NOT_FOUND,
			    "the hub has no backup yet: give it --backup-dir, or make one with "
			    "`twinhub "
			    "backup`");
	}
	answer_fini(&answer);
	return code;
}
