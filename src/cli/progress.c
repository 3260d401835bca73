/* How far an import has got: FILE.progress. */
#include "cli/import.h"
#include "os/os.h"

static const struct {
	const char *name;
	size_t at;
} members[] = {
	{ "size", offsetof(struct progress, size) },
	{ "offset", offsetof(struct progress, offset) },
	{ "line", offsetof(struct progress, line) },
	{ "sent", offsetof(struct progress, sent) },
	{ "done", offsetof(struct progress, done) },
	{ "there", offsetof(struct progress, there) },
	{ "failed", offsetof(struct progress, failed) },
	{ "errorBytes", offsetof(struct progress, error_bytes) },
};
#define NMEMBER (sizeof(members) / sizeof(members[0]))

enum err
progress_read(const char *path, struct progress *p)
{
	struct doc_parser *ps = doc_parser_new(4096);
	struct buf text = { 0 }, doc = { 0 };
	struct doc_parsed info;
	enum err e = os_read_file(path, 4096, &text, NULL);

	if (e == ERR_OK && doc_parse(ps, buf_view(&text), &doc, &info, NULL) != ERR_OK)
		e = ERR_CORRUPT;
	for (size_t i = 0; i < NMEMBER && e == ERR_OK; i++) {
		struct doc v = doc_get(doc_of(buf_view(&doc)), str_of(members[i].name));

		if (doc_kind(v) != DOC_INT || doc_int(v) < 0)
			e = ERR_CORRUPT;
		else
			*(uint64_t *)((char *)p + members[i].at) = (uint64_t)doc_int(v);
	}
	buf_fini(&text);
	buf_fini(&doc);
	doc_parser_free(ps);
	return e;
}

enum err
progress_write(const char *path, const struct progress *p)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);
	enum err e;

	out_open(&o);
	for (size_t i = 0; i < NMEMBER; i++)
		out_u64(out_key(&o, members[i].name),
		    *(const uint64_t *)((const char *)p + members[i].at));
	out_close(&o);
	buf_putc(&json, '\n');
	e = os_replace_file(path, buf_view(&json), 0600, NULL);
	buf_fini(&json);
	return e;
}
