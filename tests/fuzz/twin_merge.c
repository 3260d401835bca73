/*
 * Lines of JSON as writes to one section, the first byte of a line saying which: r replaces, anything else merges; a
 * line that begins with d or t writes as reported or tags. What is accepted is a sound section, and what the device is
 * told leads from the old one to the new one.
 */
#include "twin/twin.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool held)
{
	if (!held)
		abort();
}

static void
view(const struct section *s, enum section_kind kind)
{
	struct buf text = { 0 }, scratch = { 0 }, again = { 0 };

	section_write_device(&text, s);
	text.n = 0;
	section_write_service(&text, s, kind);
	if (kind != SECTION_TAGS) {
		doc_write_json(&again, section_get(s, kind, NULL, 0, &scratch));
		require(str_eq(buf_view(&again), buf_view(&text)));
	}
	buf_fini(&text);
	buf_fini(&scratch);
	buf_fini(&again);
}

/* Size bounds may refuse the detour over the old section; its keys and values cannot be at fault. */
static void
check_notification(const struct section *old, const struct section *new, struct str notify)
{
	const struct section_write wr = { .kind = SECTION_DESIRED, .now_us = 1 };
	struct section s = *old;
	struct buf out = { 0 };
	bool changed;

	require(doc_valid(notify, 0, TWIN_DEPTH_MAX + 1));
	if (section_merge(old, doc_of(notify), 0, &wr, &out, NULL, &changed, NULL) == ERR_OK) {
		if (changed)
			s = section_of(buf_view(&out));
		require(doc_equal(s.root, new->root));
	}
	buf_fini(&out);
}

/* Returns the section that stands after the write. */
static struct buf
write_line(struct buf bytes, char op, struct doc d, uint32_t nduplicate, int64_t now_us)
{
	const struct section_write wr = { .kind = op == 'd' ? SECTION_REPORTED
		    : op == 't'                             ? SECTION_TAGS
		                                            : SECTION_DESIRED,
		.now_us = now_us,
		.by = op == 'c' ? STR("conf") : STR_NONE };
	const struct section old = section_of(buf_view(&bytes));
	struct buf out = { 0 }, notify = { 0 };
	struct fault f = { .code = F_NONE };
	struct section new;
	bool changed;
	enum err e = op == 'r'
	    ? section_replace(&old, d, nduplicate, &wr, &out, &notify, &changed, &f)
	    : section_merge(&old, d, nduplicate, &wr, &out, &notify, &changed, &f);

	require(e == ERR_OK ||
	    (e == ERR_ARG && f.code == F_ArgumentInvalid && utf8_valid(str_of(f.text))));
	require((out.n > 0) == (e == ERR_OK && changed));
	if (out.n > 0) {
		require(section_check(buf_view(&out)) == ERR_OK);
		new = section_of(buf_view(&out));
		require(new.version == old.version + 1);
		view(&new, wr.kind);
		check_notification(&old, &new, buf_view(&notify));
		buf_fini(&bytes);
		bytes = out;
		out = (struct buf){ 0 };
	}
	buf_fini(&out);
	buf_fini(&notify);
	return bytes;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct doc_parser *parser;
	struct str rest = { (const char *)data, size }, line;
	struct buf bytes = { 0 }, json = { 0 };
	struct doc_parsed info;

	if (parser == NULL)
		parser = doc_parser_new(1 << 20);
	section_new(&bytes, 1);
	for (int64_t now_us = 2; rest.n > 0; now_us++) {
		str_cut(rest, '\n', &line, &rest);
		json.n = 0;
		if (line.n > 1 && doc_parse(parser, str_sub(line, 1), &json, &info, NULL) == ERR_OK)
			bytes = write_line(
			    bytes, line.p[0], doc_of(buf_view(&json)), info.nduplicate, now_us);
	}
	buf_fini(&bytes);
	buf_fini(&json);
	return 0;
}
