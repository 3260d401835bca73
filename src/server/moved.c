/* moved.json: the mark that a hub's data is going, or has gone, from this directory into a database (O-284). */
#include "os/os.h"
#include "sealed/sealed.h"
#include "server/server.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define MOVED_FILE "moved.json"

static bool
moved_path(const char *dir, char path[DATA_PATH_MAX])
{
	return data_path(path, dir, MOVED_FILE);
}

bool
data_is_moved(const char *dir)
{
	char path[DATA_PATH_MAX];

	return moved_path(dir, path) && access(path, F_OK) == 0;
}

static enum err
moved_take(
    const struct sealed *file, const char *path, struct data_moved *m, char *why, size_t nwhy)
{
	static const char *const members[] = { "token", "database", "whole", NULL };
	struct doc d = doc_of(buf_view(&file->json));

	snprintf(m->token, sizeof(m->token), STR_FMT, STR_ARG(json_str(d, "token")));
	snprintf(m->database, sizeof(m->database), STR_FMT, STR_ARG(json_str(d, "database")));
	m->whole = json_number(d, "whole") != 0;
	return sealed_known(file, path, members, why, nwhy);
}

enum err
data_moved_read(const char *dir, struct data_moved *m, char *why, size_t nwhy)
{
	char path[DATA_PATH_MAX];
	struct sealed file = { 0 };
	enum err e;

	*m = (struct data_moved){ 0 };
	if (!moved_path(dir, path)) {
		snprintf(why, nwhy, "the path of the directory is too long");
		return ERR_ARG;
	}
	if (access(path, F_OK) != 0)
		return ERR_NOT_FOUND;
	if ((e = sealed_read(path, &file, why, nwhy)) == ERR_OK)
		e = moved_take(&file, path, m, why, nwhy);
	sealed_fini(&file);
	return e;
}

enum err
data_moved_write(const char *dir, const struct data_moved *m, char *why, size_t nwhy)
{
	char path[DATA_PATH_MAX] = "";
	struct buf json = { 0 };
	struct out o = out_to(&json);
	enum err e = ERR_ARG;

	out_open(&o);
	out_cstr(out_key(&o, "token"), m->token);
	out_cstr(out_key(&o, "database"), m->database);
	out_u64(out_key(&o, "whole"), m->whole);
	sealed_end(&json);
	if (moved_path(dir, path))
		e = os_replace_file(path, buf_view(&json), 0644, NULL);
	if (e != ERR_OK)
		snprintf(
		    why, nwhy, "%s/" MOVED_FILE " cannot be written: %s", dir, strerror(errno));
	buf_fini(&json);
	return e;
}

enum err
data_moved_remove(const char *dir)
{
	char path[DATA_PATH_MAX];

	if (!moved_path(dir, path) || (unlink(path) != 0 && errno != ENOENT))
		return ERR_IO;
	return os_sync_dir(dir, NULL);
}

void
data_moved_why(const char *dir, char *why, size_t nwhy)
{
	struct data_moved m;
	char text[DATA_WHY_MAX];

	if (data_moved_read(dir, &m, text, sizeof(text)) != ERR_OK)
		snprintf(why, nwhy, "%s has been moved into a database: %s", dir, text);
	else if (m.whole)
		snprintf(why, nwhy,
		    "the hub of %s is in the database %s, and served from there: what is here is "
		    "as "
		    "it was when it went",
		    dir, m.database);
	else
		snprintf(why, nwhy,
		    "the hub of %s may be in the database %s: end that with `twinhub cluster init "
		    "--db URL --from %s`, or, where that database has no hub, by removing "
		    "%s/" MOVED_FILE,
		    dir, m.database, dir, dir);
}
