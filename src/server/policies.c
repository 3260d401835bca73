/* The shared access policies: policies.json, and what is done with them in memory. */
#include "doc/doc.h"
#include "os/os.h"
#include "sealed/sealed.h"
#include "server/server.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

static bool
policy_read(struct policies *p, struct doc d)
{
	struct policy *v = &p->v[p->n];
	struct doc_iter it = doc_iter(doc_getc(d, "rights"));
	struct str key;
	struct doc right;

	v->name = arena_str(&p->arena, json_str(d, "name"));
	v->primary = arena_str(&p->arena, json_str(d, "primaryKey"));
	v->secondary = arena_str(&p->arena, json_str(d, "secondaryKey"));
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

/* ERR_CORRUPT when there is none, or a member is wrong. */
static enum err
policies_read(struct policies *p, struct doc list)
{
	struct doc_iter it = doc_iter(list);
	struct str key;
	struct doc d;

	p->v = xcalloc(doc_count(list) + 1, sizeof(*p->v));
	while (doc_next(&it, &key, &d))
		if (!policy_read(p, d))
			return ERR_CORRUPT;
	return p->n > 0 ? ERR_OK : ERR_CORRUPT;
}

/* name: what the file is called. */
static enum err
policies_of_file(
    const struct sealed *file, const char *name, struct policies **out, char *why, size_t nwhy)
{
	static const char *const members[] = { "policies", NULL };
	struct policies *p = xcalloc(1, sizeof(*p));
	enum err e = policies_read(p, doc_getc(doc_of(buf_view(&file->json)), "policies"));

	if (e != ERR_OK)
		snprintf(why, nwhy, "%s is damaged: it holds no policies, or a wrong one", name);
	else
		e = sealed_known(file, name, members, why, nwhy);
	if (e == ERR_OK)
		*out = p;
	else
		policies_free(p);
	return e;
}

enum err
policies_load(const char *dir, struct policies **out, char *why, size_t nwhy)
{
	char path[DATA_PATH_MAX];
	struct sealed file = { 0 };
	enum err e = ERR_SIZE;

	if (!data_path(path, dir, "policies.json"))
		snprintf(why, nwhy, "the path of --data is too long");
	else if ((e = sealed_read(path, &file, why, nwhy)) == ERR_OK)
		e = policies_of_file(&file, path, out, why, nwhy);
	sealed_fini(&file);
	return e;
}

enum err
policies_parse(const char *name, struct str bytes, struct policies **out, char *why, size_t nwhy)
{
	struct sealed file = { 0 };
	enum err e = sealed_open(name, bytes, SEALED_MAX, &file, why, nwhy);

	if (e == ERR_OK)
		e = policies_of_file(&file, name, out, why, nwhy);
	sealed_fini(&file);
	return e;
}

void
policy_put(struct out *o, const struct policy *p)
{
	out_open(o);
	out_str(out_key(o, "name"), p->name);
	out_list(out_key(o, "rights"));
	for (unsigned bit = 1; bit <= RIGHTS_ALL; bit <<= 1)
		if (p->rights & bit)
			out_cstr(o, right_name(bit));
	out_close(o);
	out_str(out_key(o, "primaryKey"), p->primary);
	out_str(out_key(o, "secondaryKey"), p->secondary);
	out_close(o);
}

void
policies_text(const struct policies *p, struct buf *json)
{
	struct out o = out_to(json);

	out_open(&o);
	out_list(out_key(&o, "policies"));
	for (size_t i = 0; i < p->n; i++)
		policy_put(&o, &p->v[i]);
	out_close(&o);
	sealed_end(json);
}

enum err
policies_save(const char *dir, const struct policies *p)
{
	char path[DATA_PATH_MAX];
	struct buf json = { 0 };
	enum err e = ERR_SIZE;

	policies_text(p, &json);
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

	c->v = xcalloc(p->n + 1, sizeof(*c->v)); /* room for one more: policies_add */
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

/* p is a copy, which has room for one. */
enum err
policies_add(struct policies *p, struct str name, unsigned rights)
{
	struct policy *v = &p->v[p->n];

	if (policy_find(p->v, p->n, name) != NULL)
		return ERR_EXISTS;
	if (p->n >= HUB_POLICIES_MAX)
		return ERR_SIZE;
	*v = (struct policy){ .name = arena_str(&p->arena, name), .rights = rights };
	if (!random_key(&p->arena, &v->primary) || !random_key(&p->arena, &v->secondary))
		return ERR_IO;
	p->n++;
	return ERR_OK;
}

enum err
policies_remove(struct policies *p, struct str name)
{
	for (size_t i = 0; i < p->n; i++) {
		if (!str_eq(p->v[i].name, name))
			continue;
		memmove(&p->v[i], &p->v[i + 1], (p->n - i - 1) * sizeof(*p->v));
		p->n--;
		return ERR_OK;
	}
	return ERR_NOT_FOUND;
}
