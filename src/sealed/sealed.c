/* Files of JSON with a checksum at their end. */
#include "os/os.h"
#include "sealed/sealed.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>

#define SUM       ",\"sum\":\""
#define SUM_END   "\"}\n"
#define SUM_BYTES (sizeof(SUM) - 1 + 16 + sizeof(SUM_END) - 1)

void
sealed_end(struct buf *json)
{
	buf_printf(json, SUM "%016" PRIx64 SUM_END, hash_checksum(json->p, json->n));
}

static bool
has_sum(struct str text)
{
	return text.n > SUM_BYTES && str_ends(text, STR(SUM_END)) &&
	    str_starts(str_sub(text, text.n - SUM_BYTES), STR(SUM));
}

static bool
sum_fits(struct str text)
{
	struct buf again = { 0 };
	bool fits;

	buf_str(&again, (struct str){ text.p, text.n - SUM_BYTES });
	sealed_end(&again);
	fits = str_eq(buf_view(&again), text);
	OPENSSL_cleanse(again.p, again.n);
	buf_fini(&again);
	return fits;
}

static bool
is_object(struct str text, size_t max_bytes, struct buf *json)
{
	struct doc_parser *ps = doc_parser_new(max_bytes);
	struct doc_parsed info;
	bool yes = doc_parse(ps, text, json, &info, NULL) == ERR_OK &&
	    doc_kind(doc_of(buf_view(json))) == DOC_OBJECT;

	doc_parser_free(ps);
	return yes;
}

enum err
sealed_open(
    const char *name, struct str all, size_t max_bytes, struct sealed *out, char *why, size_t nwhy)
{
	enum err e = ERR_OK;

	*out = (struct sealed){ 0 };
	if ((out->has_sum = has_sum(all)) && !sum_fits(all)) {
		snprintf(why, nwhy, "%s is damaged: it is not what its checksum says", name);
		e = ERR_CORRUPT;
	} else if (!is_object(all, max_bytes, &out->json)) {
		snprintf(why, nwhy, "%s is damaged: it is no JSON object", name);
		e = ERR_CORRUPT;
	}
	if (e != ERR_OK)
		sealed_fini(out);
	return e;
}

enum err
sealed_read_most(const char *path, size_t max_bytes, struct sealed *out, char *why, size_t nwhy)
{
	struct buf text = { 0 };
	struct fault f = { 0 };
	enum err e = os_read_file(path, max_bytes, &text, &f);

	*out = (struct sealed){ 0 };
	if (e == ERR_NOT_FOUND)
		snprintf(why, nwhy, "%s is missing", path);
	else if (e != ERR_OK)
		snprintf(why, nwhy, "%s", f.text);
	else
		e = sealed_open(path, buf_view(&text), max_bytes, out, why, nwhy);
	buf_fini(&text);
	return e;
}

enum err
sealed_read(const char *path, struct sealed *out, char *why, size_t nwhy)
{
	return sealed_read_most(path, SEALED_MAX, out, why, nwhy);
}

static bool
is_among(struct str key, const char *const *members)
{
	while (*members != NULL && !str_eq(key, str_of(*members)))
		members++;
	return *members != NULL;
}

enum err
sealed_known(
    const struct sealed *file, const char *path, const char *const *members, char *why, size_t nwhy)
{
	struct doc_iter it = doc_iter(doc_of(buf_view(&file->json)));
	struct str key;
	struct doc value;

	while (!file->has_sum && doc_next(&it, &key, &value)) {
		if (is_among(key, members))
			continue;
		snprintf(why, nwhy, "%s is damaged: '" STR_FMT "' is none of its members", path,
		    (int)(key.n < 50 ? key.n : 50), key.p);
		return ERR_CORRUPT;
	}
	return ERR_OK;
}

void
sealed_fini(struct sealed *file)
{
	buf_wipe(&file->json);
}

enum err
sealed_add(const char *path, unsigned mode, struct fault *f)
{
	struct buf text = { 0 };
	enum err e = os_read_file(path, SEALED_MAX, &text, f);

	while (e == ERR_OK && text.n > 0 && text.p[text.n - 1] != '}')
		text.n--;
	if (e == ERR_OK && text.n > 0) {
		text.n--;
		sealed_end(&text);
		e = os_replace_file(path, buf_view(&text), mode, f);
	}
	buf_fini(&text);
	return e;
}

/* ---- members ---- */

struct str
json_str(struct doc obj, const char *key)
{
	struct doc v = doc_get(obj, str_of(key));

	return doc_kind(v) == DOC_STRING ? doc_str(v) : STR_NONE;
}

uint64_t
json_number(struct doc obj, const char *key)
{
	struct doc v = doc_get(obj, str_of(key));

	return doc_kind(v) == DOC_INT && doc_int(v) >= 0 ? (uint64_t)doc_int(v) : 0;
}
