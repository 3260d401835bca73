/*
 * For the tests of twin/: one section under change, driven and compared as short texts. Quotes are written ' in
 * inputs and expectations; operation n happens at second n; in a view `@n` stands for "$lastUpdated" of second n and
 * `/v` for ,"$lastUpdatedVersion":v. So {'a':1,'$metadata':{@1/2,'a':{@1/2}},'$version':2}.
 */
#ifndef TWIN_HELP_H
#define TWIN_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "twin/twin.h"

#include <cmocka.h>

#define SECOND      INT64_C(1000000)
#define BEGIN       (INT64_C(1704067200) * SECOND) /* 2024-01-01T00:00:00Z */
#define PARSE_BYTES (1 << 22)

struct sec {
	struct doc_parser *parser;
	struct buf bytes;  /* as stored */
	struct buf notify; /* JSON of the last notification's members; empty if none */
	struct buf text;   /* last view */
	struct fault fault;
	struct section_write wr;
	bool changed;
};

static inline struct section
sec_view(const struct sec *s)
{
	return section_of(buf_view(&s->bytes));
}

static inline void
sec_new(struct sec *s, enum section_kind kind)
{
	*s = (struct sec){ .wr.kind = kind, .wr.now_us = BEGIN };
	s->parser = doc_parser_new(PARSE_BYTES);
	section_new(&s->bytes, BEGIN);
}

static inline void
sec_free(struct sec *s)
{
	doc_parser_free(s->parser);
	buf_fini(&s->bytes);
	buf_fini(&s->notify);
	buf_fini(&s->text);
}

static inline void
quotes(char *p, size_t n, char from, char to)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] == from)
			p[i] = to;
}

/* Parse text with ' for "; the caller frees *out. */
static inline struct doc
sec_parse(struct sec *s, struct str text, struct buf *out, uint32_t *nduplicate)
{
	struct doc_parsed info;
	struct buf copy = { 0 };

	buf_str(&copy, text);
	quotes(copy.p, copy.n, '\'', '"');
	assert_int_equal(doc_parse(s->parser, buf_view(&copy), out, &info, NULL), ERR_OK);
	buf_fini(&copy);
	*nduplicate = info.nduplicate;
	return doc_of(buf_view(out));
}

typedef enum err sec_operation(const struct section *, struct doc, uint32_t,
    const struct section_write *, struct buf *, struct buf *, bool *, struct fault *);

/* One operation, a second after the last. The section moves on only if it was accepted and changed something. */
static inline enum err
sec_apply_doc(struct sec *s, sec_operation *op, struct doc d, uint32_t nduplicate)
{
	struct section old = sec_view(s);
	struct buf out = { 0 }, notify = { 0 };
	enum err e;

	s->wr.now_us += SECOND;
	s->fault = (struct fault){ 0 };
	s->notify.n = 0;
	e = op(&old, d, nduplicate, &s->wr, &out, &notify, &s->changed, &s->fault);
	assert_int_equal(out.n > 0, e == ERR_OK && s->changed);
	assert_int_equal(notify.n > 0, e == ERR_OK && s->changed);
	assert_int_equal(s->fault.code != 0, e != ERR_OK);
	if (out.n > 0) {
		assert_int_equal(section_check(buf_view(&out)), ERR_OK);
		doc_write_json(&s->notify, doc_of(buf_view(&notify)));
		buf_fini(&s->bytes);
		s->bytes = out;
		out = (struct buf){ 0 };
	}
	buf_fini(&out);
	buf_fini(&notify);
	return e;
}

static inline enum err
sec_apply(struct sec *s, sec_operation *op, struct str text)
{
	struct buf json = { 0 };
	uint32_t nduplicate;
	struct doc d = sec_parse(s, text, &json, &nduplicate);
	enum err e = sec_apply_doc(s, op, d, nduplicate);

	buf_fini(&json);
	return e;
}

/* An accepted operation that changes something, or does not. */
static inline void
sec_changes(struct sec *s, sec_operation *op, const char *text)
{
	assert_int_equal(sec_apply(s, op, str_of(text)), ERR_OK);
	assert_true(s->changed);
}

static inline void
sec_unchanged(struct sec *s, sec_operation *op, const char *text)
{
	struct buf before = { 0 };

	buf_str(&before, buf_view(&s->bytes));
	assert_int_equal(sec_apply(s, op, str_of(text)), ERR_OK);
	assert_false(s->changed);
	assert_true(str_eq(buf_view(&before), buf_view(&s->bytes)));
	buf_fini(&before);
}

/* A refused operation, whose fault's text has `part` in it. */
static inline void
sec_refuses_as(
    struct sec *s, sec_operation *op, enum fault_code code, const char *text, const char *part)
{
	struct buf before = { 0 };

	buf_str(&before, buf_view(&s->bytes));
	assert_int_equal(sec_apply(s, op, str_of(text)), ERR_ARG);
	assert_int_equal(s->fault.code, code);
	if (strstr(s->fault.text, part) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", part, s->fault.text);
	assert_true(str_eq(buf_view(&before), buf_view(&s->bytes)));
	buf_fini(&before);
}

static inline void
sec_refuses(struct sec *s, sec_operation *op, const char *text, const char *part)
{
	sec_refuses_as(s, op, F_ArgumentInvalid, text, part);
}

static inline void
sec_too_large(struct sec *s, sec_operation *op, const char *text, const char *part)
{
	sec_refuses_as(s, op, F_DeviceModelMaxPropertiesExceeded, text, part);
}

/* ---- views as short texts ---- */

static inline void
shorten(struct buf *b)
{
	const struct str updated = STR("\"$lastUpdated\":\""),
	                 version = STR(",\"$lastUpdatedVersion\":");
	struct str s = buf_view(b);
	struct buf out = { 0 };

	for (size_t i = 0; i < s.n;) {
		struct str rest = str_sub(s, i), time;
		int64_t us;
		if (str_starts(rest, version)) {
			buf_putc(&out, '/');
			i += version.n;
		} else if (str_starts(rest, updated)) {
			str_cut(str_sub(rest, updated.n), '"', &time, &rest);
			assert_true(time_parse(time, &us));
			buf_printf(
			    &out, "@%lld", us == 0 ? -1LL : (long long)((us - BEGIN) / SECOND));
			i += updated.n + 1 + time.n; /* and the quote behind it */
		} else {
			buf_putc(&out, s.p[i++]);
		}
	}
	buf_putc(&out, '\0');
	quotes(out.p, out.n, '"', '\'');
	buf_fini(b);
	*b = out;
}

static inline void
sec_shows(struct sec *s, const char *want)
{
	struct section v = sec_view(s);

	s->text.n = 0;
	section_write_service(&s->text, &v, s->wr.kind);
	shorten(&s->text);
	assert_string_equal(s->text.p, want);
}

static inline void
sec_device_shows(struct sec *s, const char *want)
{
	struct section v = sec_view(s);

	s->text.n = 0;
	section_write_device(&s->text, &v);
	shorten(&s->text);
	assert_string_equal(s->text.p, want);
}

static inline void
sec_notified(struct sec *s, const char *want)
{
	s->text.n = 0;
	buf_str(&s->text, buf_view(&s->notify));
	shorten(&s->text);
	assert_string_equal(s->text.p, want);
}

/* A fresh section of that kind with content. */
static inline void
sec_with(struct sec *s, enum section_kind kind, const char *content)
{
	sec_new(s, kind);
	sec_changes(s, section_merge, content);
}

#endif
