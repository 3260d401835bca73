/* Any bytes as a stored section: what section_check lets pass can be looked at and written to. */
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
view(const struct section *s)
{
	const struct str path[] = { STR("$metadata"), STR("a"), STR("$lastUpdated") };
	struct buf text = { 0 }, scratch = { 0 };

	section_write_service(&text, s, SECTION_DESIRED);
	section_write_device(&text, s);
	for (unsigned n = 0; n <= 3; n++)
		section_get(s, SECTION_DESIRED, path, n, &scratch);
	buf_fini(&text);
	buf_fini(&scratch);
}

/* {"a":{"b":null}} */
static void
patch_put(struct buf *out)
{
	struct doc_writer dw;

	doc_writer_init(&dw, out, 0);
	doc_begin_object(&dw, 0);
	doc_key(&dw, STR("a"));
	doc_begin_object(&dw, 0);
	doc_key(&dw, STR("b"));
	doc_put_null(&dw, 0);
	doc_end(&dw);
	doc_end(&dw);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct section_write wr = { .kind = SECTION_REPORTED, .now_us = 1 };
	struct str bytes = { (const char *)data, size };
	struct buf patch = { 0 }, out = { 0 }, notify = { 0 };
	struct section s;
	bool changed;

	if (section_check(bytes) != ERR_OK)
		return 0;
	s = section_of(bytes);
	view(&s);
	patch_put(&patch);
	if (section_merge(&s, doc_of(buf_view(&patch)), 0, &wr, &out, &notify, &changed, NULL) ==
	    ERR_OK) {
		require(changed && section_check(buf_view(&out)) == ERR_OK);
		s = section_of(buf_view(&out));
		view(&s);
	}
	buf_fini(&patch);
	buf_fini(&out);
	buf_fini(&notify);
	return 0;
}
