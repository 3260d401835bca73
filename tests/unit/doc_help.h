/* Documents from JSON text and back, for tests. */
#ifndef TEST_DOC_HELP_H
#define TEST_DOC_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "doc/doc.h"

#define TEST_TEXT_MAX (1u << 24)

/* Parse text that must be JSON into b, emptied before. */
static inline struct doc
doc_from(struct buf *b, const char *text)
{
	struct doc_parser *ps = doc_parser_new(TEST_TEXT_MAX);
	struct fault f = { .text = "" };

	b->n = 0;
	if (doc_parse(ps, str_of(text), b, NULL, &f) != ERR_OK)
		fail_msg("%s: %s", text, f.text);
	doc_parser_free(ps);
	return doc_of(buf_view(b));
}

static inline void
assert_str(struct str got, const char *want)
{
	if (!str_eq(got, str_of(want)))
		fail_msg("got '" STR_FMT "', want '%s'", STR_ARG(got), want);
}

/* The JSON text of d is `want`. */
static inline void
assert_json(struct doc d, const char *want)
{
	struct buf out = { 0 };

	doc_write_json(&out, d);
	assert_str(buf_view(&out), want);
	buf_fini(&out);
}

static inline void
assert_bytes(struct str got, const char *want, size_t n)
{
	assert_int_equal(got.n, n);
	assert_memory_equal(got.p, want, n);
}

#endif
