/* node.json: what tells a directory of a hub from others of the same hub. */
#include "os/os.h"
#include "sealed/sealed.h"
#include "server/server.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <unistd.h>

static enum err
node_write(const char *path, const char *id)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);
	enum err e;

	out_open(&o);
	out_cstr(out_key(&o, "dirId"), id);
	sealed_end(&json);
	e = os_replace_file(path, buf_view(&json), 0644, NULL);
	buf_fini(&json);
	return e;
}

static enum err
node_make(const char *path, const char *former, char id[DATA_ID_MAX], char *why, size_t nwhy)
{
	unsigned char bytes[16];
	enum err e = ERR_IO;

	if (former != NULL) {
		snprintf(id, DATA_ID_MAX, "%s", former);
		e = ERR_OK;
	} else if (RAND_bytes(bytes, sizeof(bytes)) == 1) {
		hex_write(id, bytes, sizeof(bytes));
		id[2 * sizeof(bytes)] = '\0';
		e = ERR_OK;
	}
	if (e == ERR_OK)
		e = node_write(path, id);
	if (e != ERR_OK)
		snprintf(why, nwhy, "%s cannot be written: %s", path, strerror(errno));
	return e;
}

enum err
data_dir_id(const char *dir, const char *former, char id[DATA_ID_MAX], char *why, size_t nwhy)
{
	static const char *const members[] = { "dirId", NULL };
	char path[DATA_PATH_MAX];
	struct sealed file = { 0 };
	enum err e;

	if (!data_path(path, dir, "node.json")) {
		snprintf(why, nwhy, "the path of --data is too long");
		return ERR_ARG;
	}
	if (access(path, F_OK) != 0)
		return node_make(path, former, id, why, nwhy);
	if ((e = sealed_read(path, &file, why, nwhy)) == ERR_OK) {
		snprintf(id, DATA_ID_MAX, STR_FMT,
		    STR_ARG(json_str(doc_of(buf_view(&file.json)), "dirId")));
		e = sealed_known(&file, path, members, why, nwhy);
	}
	sealed_fini(&file);
	return e;
}
