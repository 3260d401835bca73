/* Any bytes as an encoded document: readers stay inside, and what the check accepts has no second form. */
#include "doc/priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool held)
{
	if (!held)
		abort();
}

/* Node by node through the writer: the canonical bytes of what is read. */
static void
rewrite(struct doc_writer *dw, struct doc d)
{
	struct doc_iter it = doc_iter(d);
	struct str key;
	struct doc v;

	switch (doc_kind(d)) {
	case DOC_INT: doc_put_int(dw, doc_stamp(d), doc_int(d)); return;
	case DOC_DOUBLE: doc_put_double(dw, doc_stamp(d), doc_number(d)); return;
	case DOC_STRING: doc_put_str(dw, doc_stamp(d), doc_str(d)); return;
	case DOC_FALSE:
	case DOC_TRUE: doc_put_bool(dw, doc_stamp(d), doc_kind(d) == DOC_TRUE); return;
	case DOC_OBJECT: doc_begin_object(dw, doc_stamp(d)); break;
	case DOC_ARRAY: doc_begin_array(dw, doc_stamp(d)); break;
	default: doc_put_null(dw, doc_stamp(d)); return;
	}
	while (doc_next(&it, &key, &v)) {
		if (it.object)
			doc_key(dw, key);
		rewrite(dw, v);
	}
	doc_end(dw);
}

/* The first byte chooses the stamp width. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t w = size > 0 ? data[0] % 3 : 0;
	struct str bytes = { (const char *)data + (size > 0), size - (size > 0) };
	struct doc d = doc_of_stamped(bytes, w);
	struct buf out = { 0 };
	struct doc_writer dw;

	doc_write_json(&out, d);
	(void)doc_count(d);
	(void)doc_get(d, STR("a"));
	(void)doc_equal(d, d);
	if (doc_valid(bytes, w, DOC_DEPTH_MAX)) {
		require(utf8_valid(buf_view(&out)));
		out.n = 0;
		doc_writer_init(&dw, &out, w);
		rewrite(&dw, d);
		require(str_eq(buf_view(&out), bytes));
	}
	buf_fini(&out);
	return 0;
}
