/* The data directory: what a hub is, on disk, besides its store. */
#include "doc/doc.h"
#include "os/os.h"
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
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

/* ---- JSON files ---- */

static enum err
json_read(const char *path, struct buf *out)
{
	struct doc_parser *ps;
	struct doc_parsed info;
	struct buf text = { 0 };
	enum err e = os_read_file(path, 1u << 20, &text, NULL);

	if (e == ERR_OK) {
		ps = doc_parser_new(1u << 20);
		if (doc_parse(ps, buf_view(&text), out, &info, NULL) != ERR_OK ||
		    doc_kind(doc_of(buf_view(out))) != DOC_OBJECT)
			e = ERR_CORRUPT;
		doc_parser_free(ps);
	}
	buf_fini(&text);
	return e;
}

static struct str
json_str(struct doc obj, struct str key)
{
	struct doc v = doc_get(obj, key);

	return doc_kind(v) == DOC_STRING ? doc_str(v) : STR_NONE;
}

static uint64_t
json_number(struct doc obj, struct str key)
{
	struct doc v = doc_get(obj, key);

	return doc_kind(v) == DOC_INT && doc_int(v) >= 0 ? (uint64_t)doc_int(v) : 0;
}

/* ---- hub.json ---- */

static enum err
hub_write(const char *path)
{
	unsigned char id[16];
	char t[TIME_TEXT_MAX];
	struct buf json = { 0 };
	size_t n = time_format((int64_t)time(NULL) * 1000000, t);
	enum err e;

	if (RAND_bytes(id, sizeof(id)) != 1)
		return ERR_IO;
	buf_printf(&json,
	    "{\"format\":%d,\"shards\":%d,\"hash\":\"%s\",\"created\":\"" STR_FMT "\",\"hubId\":\"",
	    DATA_FORMAT, SHARD_COUNT, HASH_NAME, (int)n, t);
	for (size_t i = 0; i < sizeof(id); i++)
		buf_printf(&json, "%02x", id[i]);
	buf_cstr(&json, "\"}\n");
	e = os_replace_file(path, buf_view(&json), 0644, NULL);
	buf_fini(&json);
	return e;
}

static enum err
hub_check(const char *path, char *why, size_t nwhy)
{
	struct buf json = { 0 };
	enum err e = json_read(path, &json);
	struct doc d = e == ERR_OK ? doc_of(buf_view(&json)) : DOC_NONE;

	if (e == ERR_OK && json_number(d, STR("format")) > DATA_FORMAT) {
		snprintf(why, nwhy, "%s: format %llu is newer than this program's, %d", path,
		    (unsigned long long)json_number(d, STR("format")), DATA_FORMAT);
		e = ERR_VERSION;
	} else if (e == ERR_OK &&
	    (json_number(d, STR("format")) == 0 || json_number(d, STR("shards")) != SHARD_COUNT ||
	        !str_eq(json_str(d, STR("hash")), STR(HASH_NAME)))) {
		e = ERR_CORRUPT;
	}
	if (e == ERR_CORRUPT)
		snprintf(why, nwhy, "%s is not a hub's description", path);
	else if (e != ERR_OK && e != ERR_VERSION)
		snprintf(why, nwhy, "%s cannot be read: %s", path,
		    e == ERR_NOT_FOUND ? "no such file" : strerror(errno));
	buf_fini(&json);
	return e;
}

/* ---- the directory ---- */

static enum err
ensure_conf(const char *path)
{
	struct buf text = { 0 };
	enum err e;

	options_template(&text);
	e = os_replace_file(path, buf_view(&text), 0644, NULL);
	buf_fini(&text);
	return e;
}

static enum err
ensure_policies(const char *dir)
{
	struct policies *p = policies_fresh();
	enum err e = p == NULL ? ERR_IO : policies_save(dir, p);

	policies_free(p);
	return e;
}

enum err
data_prepare(const char *dir, int *held, char *why, size_t nwhy)
{
	struct fault f = { 0 };
	char hub[DATA_PATH_MAX], conf[DATA_PATH_MAX], policies[DATA_PATH_MAX];

	if (!data_path(hub, dir, "hub.json") || !data_path(conf, dir, "twinhub.conf") ||
	    !data_path(policies, dir, "policies.json")) {
		snprintf(why, nwhy, "the path of --data is too long");
		return ERR_ARG;
	}
	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		snprintf(why, nwhy, "%s cannot be made: %s", dir, strerror(errno));
		return ERR_IO;
	}
	if (os_hold_dir(dir, held, &f) != ERR_OK) {
		snprintf(why, nwhy, "%s", f.text);
		return ERR_LOCKED;
	}
	/* hub.json comes last: a directory without it is one whose making was cut short */
	if (access(policies, F_OK) != 0 && ensure_policies(dir) != ERR_OK) {
		snprintf(why, nwhy, "%s cannot be written: %s", policies, strerror(errno));
		return ERR_IO;
	}
	if (access(conf, F_OK) != 0 && ensure_conf(conf) != ERR_OK) {
		snprintf(why, nwhy, "%s cannot be written: %s", conf, strerror(errno));
		return ERR_IO;
	}
	if (access(hub, F_OK) != 0 && hub_write(hub) != ERR_OK) {
		snprintf(why, nwhy, "%s cannot be written: %s", hub, strerror(errno));
		return ERR_IO;
	}
	return data_check(dir, why, nwhy);
}

enum err
data_check(const char *dir, char *why, size_t nwhy)
{
	char hub[DATA_PATH_MAX];

	if (!data_path(hub, dir, "hub.json")) {
		snprintf(why, nwhy, "the path of --data is too long");
		return ERR_ARG;
	}
	return hub_check(hub, why, nwhy);
}

/* ---- the endpoint ---- */

enum err
endpoint_write(const char *dir, const struct endpoint *e)
{
	char path[DATA_PATH_MAX];
	struct buf json = { 0 };
	enum err err = ERR_SIZE;

	if (data_path(path, dir, "endpoint.json")) {
		buf_cstr(&json, "{\"hostName\":");
		doc_write_json_str(&json, str_of(e->host));
		buf_cstr(&json, ",\"address\":");
		doc_write_json_str(&json, str_of(e->address));
		buf_printf(
		    &json, ",\"httpsPort\":%u,\"mqttsPort\":%u}\n", e->https_port, e->mqtts_port);
		err = os_replace_file(path, buf_view(&json), 0644, NULL);
	}
	buf_fini(&json);
	return err;
}

enum err
endpoint_read(const char *dir, struct endpoint *e)
{
	char path[DATA_PATH_MAX];
	struct buf json = { 0 };
	enum err err = data_path(path, dir, "endpoint.json") ? json_read(path, &json) : ERR_SIZE;
	struct doc d;

	*e = (struct endpoint){ 0 };
	if (err == ERR_OK) {
		d = doc_of(buf_view(&json));
		snprintf(e->host, sizeof(e->host), STR_FMT, STR_ARG(json_str(d, STR("hostName"))));
		snprintf(
		    e->address, sizeof(e->address), STR_FMT, STR_ARG(json_str(d, STR("address"))));
		e->https_port = (uint16_t)json_number(d, STR("httpsPort"));
		e->mqtts_port = (uint16_t)json_number(d, STR("mqttsPort"));
		if (e->host[0] == '\0' || e->address[0] == '\0')
			err = ERR_CORRUPT;
	}
	buf_fini(&json);
	return err;
}

/* ---- policies.json ---- */

static bool
policy_read(struct policies *p, struct doc d)
{
	struct policy *v = &p->v[p->n];
	struct doc_iter it = doc_iter(doc_getc(d, "rights"));
	struct str key;
	struct doc right;

	v->name = arena_str(&p->arena, json_str(d, STR("name")));
	v->primary = arena_str(&p->arena, json_str(d, STR("primaryKey")));
	v->secondary = arena_str(&p->arena, json_str(d, STR("secondaryKey")));
	v->rights = 0;
	while (doc_next(&it, &key, &right)) {
		unsigned r = doc_kind(right) == DOC_STRING ? right_of(doc_str(right)) : 0;

		if (r == 0)
			return false;
		v->rights |= r;
	}
	p->n++;
	return policy_name_valid(v->name) && key_valid(v->primary) && key_valid(v->secondary) &&
	    v->rights != 0;
}

enum err
policies_load(const char *dir, struct policies **out)
{
	char path[DATA_PATH_MAX];
	struct buf json = { 0 };
	enum err e = data_path(path, dir, "policies.json") ? json_read(path, &json) : ERR_SIZE;
	struct policies *p = xcalloc(1, sizeof(*p));
	struct doc list, d;
	struct doc_iter it;
	struct str key;

	if (e == ERR_OK) {
		list = doc_getc(doc_of(buf_view(&json)), "policies");
		p->v = xcalloc(doc_count(list) + 1, sizeof(*p->v));
		it = doc_iter(list);
		while (e == ERR_OK && doc_next(&it, &key, &d))
			if (!policy_read(p, d))
				e = ERR_CORRUPT;
		if (p->n == 0)
			e = ERR_CORRUPT;
	}
	buf_fini(&json);
	if (e == ERR_OK)
		*out = p;
	else
		policies_free(p);
	return e;
}

void
policy_write(struct buf *json, const struct policy *p)
{
	buf_cstr(json, "{\"name\":");
	doc_write_json_str(json, p->name);
	buf_cstr(json, ",\"rights\":[");
	for (unsigned bit = 1, first = 1; bit <= RIGHTS_ALL; bit <<= 1) {
		if (!(p->rights & bit))
			continue;
		if (!first)
			buf_putc(json, ',');
		first = 0;
		doc_write_json_str(json, str_of(right_name(bit)));
	}
	buf_cstr(json, "],\"primaryKey\":");
	doc_write_json_str(json, p->primary);
	buf_cstr(json, ",\"secondaryKey\":");
	doc_write_json_str(json, p->secondary);
	buf_putc(json, '}');
}

enum err
policies_save(const char *dir, const struct policies *p)
{
	char path[DATA_PATH_MAX];
	struct buf json = { 0 };
	enum err e = ERR_SIZE;

	buf_cstr(&json, "{\"policies\":[\n");
	for (size_t i = 0; i < p->n; i++) {
		policy_write(&json, &p->v[i]);
		buf_cstr(&json, i + 1 < p->n ? ",\n" : "\n");
	}
	buf_cstr(&json, "]}\n");
	if (data_path(path, dir, "policies.json"))
		e = os_replace_file(path, buf_view(&json), 0600, NULL);
	OPENSSL_cleanse(json.p, json.n);
	buf_fini(&json);
	return e;
}

static bool
random_key(struct arena *a, struct str *out)
{
	unsigned char key[32];
	struct buf b = { 0 };

	if (RAND_bytes(key, sizeof(key)) != 1)
		return false;
	base64_encode(&b, key, sizeof(key));
	*out = arena_str(a, buf_view(&b));
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(b.p, b.n);
	buf_fini(&b);
	return true;
}

struct policies *
policies_fresh(void)
{
	struct policies *p = xcalloc(1, sizeof(*p));

	p->v = xcalloc(POLICY_DEFAULTS, sizeof(*p->v));
	for (size_t i = 0; i < POLICY_DEFAULTS; i++) {
		p->v[i] = policy_defaults[i];
		if (!random_key(&p->arena, &p->v[i].primary) ||
		    !random_key(&p->arena, &p->v[i].secondary)) {
			policies_free(p);
			return NULL;
		}
		p->n++;
	}
	return p;
}

struct policies *
policies_copy(const struct policies *p)
{
	struct policies *c = xcalloc(1, sizeof(*c));

	c->v = xcalloc(p->n + 1, sizeof(*c->v));
	for (c->n = 0; c->n < p->n; c->n++) {
		c->v[c->n] = p->v[c->n];
		c->v[c->n].name = arena_str(&c->arena, p->v[c->n].name);
		c->v[c->n].primary = arena_str(&c->arena, p->v[c->n].primary);
		c->v[c->n].secondary = arena_str(&c->arena, p->v[c->n].secondary);
	}
	return c;
}

void
policies_free(struct policies *p)
{
	if (p == NULL)
		return;
	free(p->v);
	arena_fini(&p->arena);
	free(p);
}

enum err
policies_rotate(struct policies *p, struct str name, bool primary)
{
	for (size_t i = 0; i < p->n; i++) {
		if (!str_eq(p->v[i].name, name))
			continue;
		return random_key(&p->arena, primary ? &p->v[i].primary : &p->v[i].secondary)
		    ? ERR_OK
		    : ERR_IO;
	}
	return ERR_NOT_FOUND;
}
