/* Any bytes as the body of a message, in each encoding: what is read is a document. */
#include "fuzz.h"
#include "route/route.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const encodings[] = { "utf-8", "utf-16", "utf-32" };
	static struct doc_parser *ps;
	struct str in = { (const char *)data, size };
	const char *encoding = encodings[fuzz_choice(&in, 3)];
	struct buf out = { 0 };

	if (ps == NULL)
		ps = doc_parser_new(1u << 20);
	if (route_body_parse(ps, STR("application/json"), str_of(encoding), in, &out))
		require(doc_valid(buf_view(&out), 0, DOC_DEPTH_MAX));
	else
		require(out.n == 0);
	buf_fini(&out);
	return 0;
}
