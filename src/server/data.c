/* The data directory: what a hub is, on disk, besides its store. */
#include "backup/backup.h"
#include "net/net.h"
#include "os/os.h"
#include "sealed/sealed.h"
#include "server/server.h"
#include "os/clock.h"

#include <errno.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SHARD_COUNT 64
#define HASH_NAME   "xxh3-64"

bool
data_path(char out[DATA_PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(out, DATA_PATH_MAX, "%s/%s", dir, name);

	return n > 0 && n < DATA_PATH_MAX;
}

static enum err
too_long(char *why, size_t nwhy)
{
	snprintf(why, nwhy, "the path of --data is too long");
	return ERR_ARG;
}

static bool
is_there(const char *dir, const char *name)
{
	char path[DATA_PATH_MAX];

	return data_path(path, dir, name) && access(path, F_OK) == 0;
}

static enum err
any_entry(void *ctx, const char *name)
{
	(void)ctx, (void)name;
	return ERR_EXISTS;
}

static bool
has_files(const char *dir, const char *name)
{
	char path[DATA_PATH_MAX];

	return data_path(path, dir, name) &&
	    os_each_entry(path, any_entry, NULL, NULL) == ERR_EXISTS;
}

/* A node of several, also one whose scratch has gone with its disk, as it may. */
static bool
is_node(const char *dir)
{
	return has_files(dir, CLUSTER_SCRATCH) || is_there(dir, "node.json");
}

/* ---- hub.json ---- */

static enum err
hub_put(const char *path, struct str created, struct str id)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);
	enum err e;

	out_open(&o);
	out_u64(out_key(&o, "format"), DATA_FORMAT);
	out_u64(out_key(&o, "shards"), SHARD_COUNT);
	out_cstr(out_key(&o, "hash"), HASH_NAME);
	out_str(out_key(&o, "created"), created);
	out_str(out_key(&o, "hubId"), id);
	sealed_end(&json);
	e = os_replace_file(path, buf_view(&json), 0644, NULL);
	buf_fini(&json);
	return e;
}

bool
data_hub_fresh(char id[DATA_ID_MAX])
{
	unsigned char bytes[16];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	hex_write(id, bytes, sizeof(bytes));
	id[2 * sizeof(bytes)] = '\0';
	return true;
}

static enum err
hub_write(const char *path, struct str id)
{
	char created[TIME_TEXT_MAX], fresh[DATA_ID_MAX];
	size_t n = time_format(clock_wall_us(), created);

	if (id.n == 0 && !data_hub_fresh(fresh))
		return ERR_IO;
	return hub_put(path, (struct str){ created, n }, id.n != 0 ? id : str_of(fresh));
}

enum err
data_hub_make(const char *dir, struct str id, char *why, size_t nwhy)
{
	char path[DATA_PATH_MAX];

	if (!data_path(path, dir, "hub.json"))
		return too_long(why, nwhy);
	if (hub_write(path, id) == ERR_OK)
		return ERR_OK;
	snprintf(why, nwhy, "%s cannot be written: %s", path, strerror(errno));
	return ERR_IO;
}

static enum err
hub_read(const char *path, const struct sealed *file, char *why, size_t nwhy)
{
	static const char *const members[] = { "format", "shards", "hash", "created", "hubId",
		NULL };
	struct doc d = doc_of(buf_view(&file->json));
	uint64_t format = json_number(d, "format");

	if (format > DATA_FORMAT) {
		snprintf(why, nwhy, "%s: format %llu is newer than this program's, %d", path,
		    (unsigned long long)format, DATA_FORMAT);
		return ERR_VERSION;
	}
	if (format == 0 || json_number(d, "shards") != SHARD_COUNT ||
	    !str_eq(json_str(d, "hash"), STR(HASH_NAME))) {
		snprintf(why, nwhy, "%s is damaged: it is not a hub's description", path);
		return ERR_CORRUPT;
	}
	return sealed_known(file, path, members, why, nwhy);
}

static enum err
hub_check(const char *dir, char *why, size_t nwhy)
{
	char path[DATA_PATH_MAX];
	struct sealed file;
	enum err e;

	if (!data_path(path, dir, "hub.json"))
		return too_long(why, nwhy);
	if ((e = sealed_read(path, &file, why, nwhy)) == ERR_OK)
		e = hub_read(path, &file, why, nwhy);
	sealed_fini(&file);
	return e;
}

/* ---- a node of several ---- */

enum err
data_take_hub(const char *dir, const char *id, char *why, size_t nwhy)
{
	char path[DATA_PATH_MAX];
	struct sealed file;
	enum err e;

	if (!data_path(path, dir, "hub.json"))
		return too_long(why, nwhy);
	if ((e = sealed_read(path, &file, why, nwhy)) == ERR_OK &&
	    (e = hub_put(path, json_str(doc_of(buf_view(&file.json)), "created"), str_of(id))) !=
	        ERR_OK)
		snprintf(why, nwhy, "%s cannot be written: %s", path, strerror(errno));
	sealed_fini(&file);
	return e;
}

/* ---- the parts ---- */

static enum err
hub_part(const char *dir, const char **file, char *why, size_t nwhy)
{
	(void)file;
	return hub_check(dir, why, nwhy);
}

static enum err
policies_part(const char *dir, const char **file, char *why, size_t nwhy)
{
	struct policies *p;
	enum err e = policies_load(dir, &p, why, nwhy);

	(void)file;
	if (e == ERR_OK)
		policies_free(p);
	return e;
}

static enum err
ca_part(const char *dir, const char **file, char *why, size_t nwhy)
{
	char text[NET_WHY_MAX] = "";
	enum err e = certs_check_ca(dir, file, text);

	snprintf(why, nwhy, "%s", text);
	return e;
}

/* What a hub cannot make anew without losing what others rely on. */
static const struct part {
	const char *name;
	enum err (*check)(const char *dir, const char **file, char *why, size_t nwhy);
	const char *mend;
} parts[] = {
	{ "hub.json", hub_part, "restore a backup with `twinhub restore`" },
	{ "policies.json", policies_part,
	    "make new keys with `twinhub policy reset`, or restore a backup with `twinhub "
	    "restore`" },
	{ "ca.pem", ca_part,
	    "make a CA with `twinhub ca renew`, or restore a backup with `twinhub restore`" },
};

enum err
data_check_parts(const char *dir, bool own_ca, data_bad *bad, void *ctx)
{
	char why[DATA_WHY_MAX], line[sizeof(why) + 256];
	enum err e, first = ERR_OK;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const char *file = parts[i].name;

		if (parts[i].check == ca_part && !own_ca)
			continue;
		if (parts[i].check != hub_part && is_node(dir))
			continue; /* a copy, which the start writes */
		if ((e = parts[i].check(dir, &file, why, sizeof(why))) == ERR_OK)
			continue;
		if (parts[i].check == ca_part && !data_has_own_ca(dir))
			snprintf(line, sizeof(line),
			    "%s: the hub had certificates from elsewhere, and is started without: "
			    "give "
			    "the former --cert and --key, or %s",
			    why, parts[i].mend);
		else
			snprintf(line, sizeof(line), "%s%s%s", why, e == ERR_VERSION ? "" : "; ",
			    e == ERR_VERSION ? "" : parts[i].mend);
		bad(ctx, file, line);
		if (first == ERR_OK)
			first = e;
	}
	return first;
}

bool
data_has_own_ca(const char *dir)
{
	static const char *const files[] = { "ca.pem", "ca.key", "server-ecdsa.pem",
		"server-ecdsa.key", "server-rsa.pem", "server-rsa.key" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (is_there(dir, files[i]))
			return true;
	return false;
}

/* ---- the directory ---- */

static enum err
ensure_policies(const char *dir)
{
	struct policies *p = policies_fresh();
	enum err e = p == NULL ? ERR_IO : policies_save(dir, p);

	policies_free(p);
	return e;
}

/* Of its own, or what a node of several keeps of one that is elsewhere. */
static bool
has_store(const char *dir)
{
	return has_files(dir, "store") || is_node(dir);
}

enum err
data_is_of(const char *dir, bool cluster, char *why, size_t nwhy)
{
	if (data_is_moved(dir)) {
		data_moved_why(dir, why, nwhy);
		return ERR_EXISTS;
	}
	if (cluster ? !has_files(dir, "store") : !is_node(dir))
		return ERR_OK;
	snprintf(why, nwhy,
	    cluster
	        ? "%s has a store of its own: a hub by itself, which is served without --cluster"
	        : "%s is that of a node of several: serve it with --cluster",
	    dir);
	return ERR_EXISTS;
}

struct first {
	char *why;
	size_t nwhy;
	bool any;
};

static void
keep_first(void *ctx, const char *file, const char *why)
{
	struct first *f = ctx;

	(void)file;
	if (!f->any)
		snprintf(f->why, f->nwhy, "%s", why);
	f->any = true;
}

static const struct sealed_file {
	const char *name;
	unsigned mode;
} sealed_files[] = { { "hub.json", 0644 }, { "policies.json", 0600 } };

/* Good, and of a former program. */
static bool
lacks_sum(const char *dir, const struct sealed_file *sf, char path[DATA_PATH_MAX])
{
	char why[DATA_WHY_MAX];
	struct sealed file;
	bool lacks;

	if (!data_path(path, dir, sf->name) || sealed_read(path, &file, why, sizeof(why)) != ERR_OK)
		return false;
	lacks = !file.has_sum;
	sealed_fini(&file);
	return lacks;
}

/* A disk that takes none is told of elsewhere. */
static void
add_sums(const char *dir)
{
	char path[DATA_PATH_MAX];

	for (size_t i = 0; i < sizeof(sealed_files) / sizeof(sealed_files[0]); i++)
		if (lacks_sum(dir, &sealed_files[i], path))
			(void)sealed_add(path, sealed_files[i].mode, NULL);
}

void
data_tell_anew(const char *dir, data_bad *tell, void *ctx)
{
	char path[DATA_PATH_MAX];

	for (size_t i = 0; i < sizeof(sealed_files) / sizeof(sealed_files[0]); i++)
		if (lacks_sum(dir, &sealed_files[i], path))
			tell(ctx, sealed_files[i].name, "it has no checksum: a start adds it");
	if (!is_there(dir, "twinhub.conf"))
		tell(ctx, "twinhub.conf",
		    "it is missing: a start makes one with the defaults, which are in force");
}

/* What may be in a directory that is no hub's yet: of the file system, of who has written the settings first, of a start that
 * was cut short. */
static enum err
strange_entry(void *ctx, const char *name)
{
	static const char *const known[] = { "lost+found", "twinhub.conf", "twinhub.conf.new",
		"policies.json", "policies.json.new", "hub.json.new", "hub.log" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(name, known[i]) == 0)
			return ERR_OK;
	snprintf(ctx, NAME_MAX + 1, "%s", name);
	return ERR_EXISTS;
}

bool
data_is_hub(const char *dir)
{
	return is_there(dir, "hub.json") || is_there(dir, "endpoint.json") || has_store(dir);
}

enum err
data_make(const char *dir, char *why, size_t nwhy)
{
	if (mkdir(dir, 0700) == 0 ? os_sync_parent(dir, NULL) != ERR_OK : errno != EEXIST) {
		snprintf(why, nwhy, "%s cannot be made: %s", dir, strerror(errno));
		return ERR_IO;
	}
	return data_strange(dir, why, nwhy);
}

enum err
data_strange(const char *dir, char *why, size_t nwhy)
{
	char strange[NAME_MAX + 1];

	if (is_there(dir, BACKUP_FILE)) {
		snprintf(why, nwhy,
		    "%s is a backup, and stays one: make a data directory of it with `twinhub "
		    "restore %s --data NEW`",
		    dir, dir);
		return ERR_EXISTS;
	}
	if (is_there(dir, BACKUP_MARK)) {
		snprintf(why, nwhy, "%s is no hub's: a backup that was cut short, or is being made",
		    dir);
		return ERR_EXISTS;
	}
	if (data_is_hub(dir) || os_each_entry(dir, strange_entry, strange, NULL) != ERR_EXISTS)
		return ERR_OK;
	snprintf(why, nwhy,
	    "%s is not empty (there is '%s') and was never a hub's: give --data a folder of its "
	    "own",
	    dir, strange);
	return ERR_EXISTS;
}

/* One that a hub has filled: nothing in it is made anew that only looks as if it were its first start. */
static enum err
data_resume(const char *dir, bool own_ca, char *why, size_t nwhy)
{
	struct first first = { why, nwhy, false };
	enum err e;

	if (!has_store(dir)) {
		snprintf(why, nwhy,
		    "%s/store is missing, and a hub has served from here: restore a backup with "
		    "`twinhub restore`, or begin anew in another directory",
		    dir);
		return ERR_NOT_FOUND;
	}
	if ((e = data_check_parts(dir, own_ca, keep_first, &first)) == ERR_OK)
		add_sums(dir);
	return e;
}

/* hub.json comes last: a directory without it is one whose making was cut short. */
static enum err
data_begin(const char *dir, char *why, size_t nwhy)
{
	enum err e = ERR_OK;

	if (!is_there(dir, "policies.json") && ensure_policies(dir) != ERR_OK) {
		snprintf(why, nwhy, "%s/policies.json cannot be written: %s", dir, strerror(errno));
		return ERR_IO;
	}
	if (!is_there(dir, "hub.json"))
		e = data_hub_make(dir, STR_NONE, why, nwhy);
	return e == ERR_OK ? data_check(dir, why, nwhy) : e;
}

/* Also against a program that holds the store only. */
enum err
data_hold(const char *dir, int *held, char *why, size_t nwhy)
{
	char store[DATA_PATH_MAX];
	struct fault f = { 0 };
	enum err e = os_hold_dir(dir, held, &f);
	int fd;

	if (e == ERR_OK && data_path(store, dir, "store")) {
		e = os_hold_dir(store, &fd, &f);
		if (e == ERR_OK)
			close(fd);
		else if (e == ERR_NOT_FOUND)
			e = ERR_OK;
	}
	if (e == ERR_LOCKED)
		snprintf(why, nwhy, "%s is in use by another hub", dir);
	else if (e != ERR_OK)
		snprintf(why, nwhy, "%s", f.text);
	return e;
}

static enum err
ensure_conf(const char *dir, struct data_found *found, char *why, size_t nwhy)
{
	char path[DATA_PATH_MAX];
	struct buf text = { 0 };
	enum err e;

	if (is_there(dir, "twinhub.conf"))
		return ERR_OK;
	if (!data_path(path, dir, "twinhub.conf"))
		return too_long(why, nwhy);
	options_template(&text);
	e = os_replace_file(path, buf_view(&text), 0644, NULL);
	buf_fini(&text);
	found->settings_lost = !found->first;
	if (e == ERR_OK || !found->first) /* the defaults are in force all the same */
		return ERR_OK;
	snprintf(why, nwhy, "%s cannot be written: %s", path, strerror(errno));
	return e;
}

enum err
data_prepare(
    const char *dir, bool own_ca, bool own_conf, struct data_found *found, char *why, size_t nwhy)
{
	enum err e;

	if ((e = data_make(dir, why, nwhy)) != ERR_OK)
		return e;
	*found = (struct data_found){ .held = -1 };
	if ((e = data_hold(dir, &found->held, why, nwhy)) != ERR_OK)
		return e;
	if (data_is_moved(dir)) {
		data_moved_why(dir, why, nwhy);
		return ERR_EXISTS;
	}
	found->first = !has_store(dir) && !is_there(dir, "endpoint.json");
	e = found->first ? data_begin(dir, why, nwhy) : data_resume(dir, own_ca, why, nwhy);
	return e != ERR_OK || !own_conf ? e : ensure_conf(dir, found, why, nwhy);
}

/*
 * Format 2 has the log of changes, and positions at the ends of records, in its store: the store makes the one when it is opened to be
 * written, and the others come as records are written, as do the rows of many records of format 3. Format 4 has epochs of shards, which the first
 * commit writes. So all that is to be done is to say so first: a former program would take each of these for damage, or begin below what epochs
 * have begun with.
 */
enum err
data_raise(const char *dir, char *why, size_t nwhy)
{
	char path[DATA_PATH_MAX];
	struct sealed file;
	struct doc d;
	enum err e;

	if (!data_path(path, dir, "hub.json"))
		return too_long(why, nwhy);
	if ((e = sealed_read(path, &file, why, nwhy)) == ERR_OK) {
		d = doc_of(buf_view(&file.json));
		if (json_number(d, "format") < DATA_FORMAT &&
		    (e = hub_put(path, json_str(d, "created"), json_str(d, "hubId"))) != ERR_OK)
			snprintf(why, nwhy, "%s cannot be brought to format %d: %s", path,
			    DATA_FORMAT, strerror(errno));
	}
	sealed_fini(&file);
	return e;
}

enum err
data_hub_id(const char *dir, char *out, size_t room, char *why, size_t nwhy)
{
	char path[DATA_PATH_MAX];
	struct sealed file;
	enum err e;

	if (!data_path(path, dir, "hub.json"))
		return too_long(why, nwhy);
	if ((e = sealed_read(path, &file, why, nwhy)) == ERR_OK)
		snprintf(
		    out, room, STR_FMT, STR_ARG(json_str(doc_of(buf_view(&file.json)), "hubId")));
	sealed_fini(&file);
	return e;
}

enum err
data_hub_number(const char *dir, uint32_t *number, char *why, size_t nwhy)
{
	char path[DATA_PATH_MAX];
	struct sealed file;
	enum err e;

	if (!data_path(path, dir, "hub.json"))
		return too_long(why, nwhy);
	if ((e = sealed_read(path, &file, why, nwhy)) == ERR_OK)
		*number = (uint32_t)hash_stable(json_str(doc_of(buf_view(&file.json)), "hubId"));
	sealed_fini(&file);
	return e;
}

enum err
data_check(const char *dir, char *why, size_t nwhy)
{
	return hub_check(dir, why, nwhy);
}

/* ---- the endpoint ---- */

enum err
endpoint_write(const char *dir, const struct endpoint *e)
{
	char path[DATA_PATH_MAX];
	struct buf json = { 0 };
	struct out o = out_to(&json);
	enum err err = ERR_SIZE;

	if (data_path(path, dir, "endpoint.json")) {
		out_open(&o);
		out_cstr(out_key(&o, "hostName"), e->host);
		out_cstr(out_key(&o, "address"), e->address);
		out_u64(out_key(&o, "httpsPort"), e->https_port);
		out_u64(out_key(&o, "mqttsPort"), e->mqtts_port);
		out_u64(out_key(&o, "pid"), e->pid);
		out_cstr(out_key(&o, "names"), e->names);
		sealed_end(&json);
		err = os_replace_file(path, buf_view(&json), 0644, NULL);
	}
	buf_fini(&json);
	return err;
}

enum err
endpoint_read(const char *dir, struct endpoint *e)
{
	char path[DATA_PATH_MAX], why[DATA_WHY_MAX];
	struct sealed file = { 0 };
	enum err err = data_path(path, dir, "endpoint.json")
	    ? sealed_read(path, &file, why, sizeof(why))
	    : ERR_SIZE;
	struct doc d;

	*e = (struct endpoint){ 0 };
	if (err == ERR_OK) {
		d = doc_of(buf_view(&file.json));
		snprintf(e->host, sizeof(e->host), STR_FMT, STR_ARG(json_str(d, "hostName")));
		snprintf(e->address, sizeof(e->address), STR_FMT, STR_ARG(json_str(d, "address")));
		e->https_port = (uint16_t)json_number(d, "httpsPort");
		e->mqtts_port = (uint16_t)json_number(d, "mqttsPort");
		e->pid = (uint32_t)json_number(d, "pid");
		snprintf(e->names, sizeof(e->names), STR_FMT, STR_ARG(json_str(d, "names")));
		if (e->host[0] == '\0' || e->address[0] == '\0')
			err = ERR_CORRUPT;
	}
	sealed_fini(&file);
	return err;
}
