/*
 * Any bytes as a state file and as CSV: what goes out is one JSON object a line, in the order of the file's lines, and
 * what cannot be read says why.
 */
#include "foreign/foreign.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool held)
{
	if (!held)
		abort();
}

static bool
take_line(void *ctx, uint64_t line, struct str json)
{
	struct buf doc = { 0 };
	struct doc_parsed info;

	require(line > 0 && memchr(json.p, '\n', json.n) == NULL);
	require(doc_parse(ctx, json, &doc, &info, NULL) == ERR_OK);
	require(doc_kind(doc_of(buf_view(&doc))) == DOC_OBJECT);
	buf_fini(&doc);
	return true;
}

static bool
take_fault(void *ctx, uint64_t line, struct str id, const char *why)
{
	(void)ctx, (void)id;
	require(line > 0 && why[0] != '\0');
	return true;
}

static void
take_passed(void *ctx, struct str name)
{
	(void)ctx, (void)name;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct doc_parser *ps = doc_parser_new(64u << 20);
	struct foreign_sink sink = {
		.ctx = ps, .line = take_line, .fault = take_fault, .passed_over = take_passed
	};
	struct str text = { (const char *)data, size };
	enum foreign_kind kinds[] = { FOREIGN_STATE, FOREIGN_CSV };

	require(foreign_name(foreign_kind(text)) != NULL);
	for (size_t i = 0; i < 2; i++) {
		struct fault f = { 0 };

		require((foreign_read(kinds[i], text, &sink, &f) == ERR_OK) == (f.code == F_NONE));
	}
	doc_parser_free(ps);
	return 0;
}
