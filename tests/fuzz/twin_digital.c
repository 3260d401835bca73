/*
 * Lines of JSON: the first is what is desired, the second what is reported, each of the others a patch of the digital twin. Its
 * merge patch is a sound document, and what the section makes of it has a face that is JSON.
 */
#include "twin/digital.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct doc_parser *parser;

static void
require(bool held)
{
	if (!held)
		abort();
}

/* The section that stands after it; bytes are replaced if it is accepted. */
static void
merge(struct buf *bytes, struct doc d, enum section_kind kind)
{
	const struct section_write wr = { .kind = kind, .now_us = 2 };
	const struct section old = section_of(buf_view(bytes));
	struct buf out = { 0 };
	bool changed;

	if (section_merge(&old, d, 0, &wr, &out, NULL, &changed, NULL) == ERR_OK && changed) {
		buf_fini(bytes);
		*bytes = out;
		return;
	}
	buf_fini(&out);
}

static void
face(const struct section *desired, const struct section *reported)
{
	struct buf text = { 0 }, doc = { 0 };

	digital_write(&text, STR("d"), STR(""), desired, reported);
	require(doc_parse(parser, buf_view(&text), &doc, NULL, NULL) == ERR_OK);
	buf_fini(&text);
	buf_fini(&doc);
}

static void
patch(struct buf *desired, const struct buf *reported, struct doc ops)
{
	const struct section d = section_of(buf_view(desired)), r = section_of(buf_view(reported));
	struct buf out = { 0 };
	struct fault f = { .code = F_NONE };

	if (digital_patch(ops, &d, &r, &out, &f) == ERR_OK) {
		require(doc_valid(buf_view(&out), 0, DOC_DEPTH_MAX + TWIN_DEPTH_MAX));
		merge(desired, doc_of(buf_view(&out)), SECTION_DESIRED);
	} else {
		require(out.n == 0 && utf8_valid(str_of(f.text)));
	}
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size }, line;
	struct buf sections[2] = { { 0 }, { 0 } }, json = { 0 }, once = { 0 };

	if (parser == NULL)
		parser = doc_parser_new(1 << 20);
	section_new(&sections[0], 1);
	section_new(&sections[1], 1);
	for (unsigned i = 0; rest.n > 0; i++) {
		str_cut(rest, '\n', &line, &rest);
		json.n = once.n = 0;
		if (doc_parse(parser, line, &json, NULL, NULL) != ERR_OK)
			continue;
		doc_put_unique(&once, doc_of(buf_view(&json)));
		if (i < 2)
			merge(&sections[i], doc_of(buf_view(&once)),
			    i == 0 ? SECTION_DESIRED : SECTION_REPORTED);
		else
			patch(&sections[0], &sections[1], doc_of(buf_view(&once)));
	}
	{
		const struct section d = section_of(buf_view(&sections[0])),
		                     r = section_of(buf_view(&sections[1]));
		face(&d, &r);
	}
	buf_fini(&sections[0]), buf_fini(&sections[1]);
	buf_fini(&json), buf_fini(&once);
	return 0;
}
