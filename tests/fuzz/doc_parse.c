/*
 * Any bytes as JSON text. What is accepted must be a valid encoding, must survive the way to text and back byte for byte,
 * and must equal its own copies; what is refused must leave nothing behind, and the plain scanner must agree.
 */
#include "doc/priv.h"

#include <stdlib.h>

#define TEXT_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool held)
{
	if (!held)
		abort();
}

/* Without its BOM: the scanner is given the text after it. */
static struct str
scanned(struct str text)
{
	return str_starts(text, STR("\xEF\xBB\xBF")) ? str_sub(text, 3) : text;
}

static void
accepted(struct doc_parser *ps, const struct buf *enc, uint32_t nduplicate)
{
	struct doc d = doc_of(buf_view(enc));
	struct buf text = { 0 }, again = { 0 };
	struct doc_parsed info;
	struct doc_writer dw;

	require(doc_valid(buf_view(enc), 0, DOC_DEPTH_MAX));
	doc_write_json(&text, d);
	require(doc_parse(ps, buf_view(&text), &again, &info, NULL) == ERR_OK);
	require(str_eq(buf_view(&again), buf_view(enc)) && info.nduplicate == nduplicate);

	again.n = 0;
	doc_put_unique(&again, d);
	require(nduplicate > 0 || str_eq(buf_view(&again), buf_view(enc)));
	d = doc_of(buf_view(&again));
	text.n = 0;
	doc_writer_init(&dw, &text, 2);
	doc_put_copy(&dw, 300, d);
	require(doc_valid(buf_view(&text), 2, DOC_DEPTH_MAX));
	require(doc_equal(d, doc_of_stamped(buf_view(&text), 2)));
	buf_fini(&text);
	buf_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct doc_parser *ps;
	struct str text = { (const char *)data, size };
	struct buf enc = { 0 };
	struct doc_parsed info;
	struct fault f = { .text = "" };
	size_t at;
	enum err e;

	if (ps == NULL)
		ps = doc_parser_new(TEXT_MAX);
	e = doc_parse(ps, text, &enc, &info, &f);
	if (size <= TEXT_MAX && size > 0)
		require(json_locate(scanned(text), &at) == e);
	if (e == ERR_OK)
		accepted(ps, &enc, info.nduplicate);
	else
		require(enc.n == 0 && f.code != F_NONE);
	buf_fini(&enc);
	return 0;
}
