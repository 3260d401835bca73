/*
 * A value in a cell of a table: in one line, without what drives a terminal, and how wide a terminal draws it. Chinese characters and most
 * signs of emoji take two columns, accents that stand on a letter none.
 */
#include "cli/priv.h"

#include <uniwidth.h>

#define NEVER      "0001-01-01T00:00:00Z" /* what .NET has for a time that has not been */
#define MARKS_MOST 2 /* on a letter: more than that are drawn over the lines above and below */

/* What is drawn of the first character of s, in how many columns; marks: how many stand on the letter so far. */
static struct str
glyph_take(struct str *s, unsigned *marks, unsigned *columns)
{
	const char *at = s->p;
	uint32_t c = utf8_take(s);
	int width = uc_width(c, "UTF-8");

	*marks = width == 0 ? *marks + 1 : 0;
	*columns = width >= 0 ? (unsigned)width : 1;
	if (!utf8_hidden(c) && *marks <= MARKS_MOST)
		return (struct str){ at, (size_t)(s->p - at) };
	*columns = 1;
	return STR("?");
}

void
put_visible(struct buf *out, struct str s, unsigned most)
{
	unsigned marks = 0, n = 0, columns;
	struct str glyph;

	while (s.n > 0) {
		glyph = glyph_take(&s, &marks, &columns);
		if (columns > most - n) {
			buf_cstr(out, "...");
			return;
		}
		n += columns;
		buf_str(out, glyph);
	}
}

static bool
all_strings(struct doc d)
{
	struct doc_iter it = doc_iter(d);
	struct str key;
	struct doc v;

	if (doc_kind(d) != DOC_ARRAY || doc_count(d) == 0)
		return false;
	while (doc_next(&it, &key, &v))
		if (doc_kind(v) != DOC_STRING)
			return false;
	return true;
}

bool
cell_void(struct doc d)
{
	struct doc_iter it = doc_iter(d);
	struct str key;
	struct doc v;

	if (!doc_defined(d) || doc_kind(d) == DOC_NULL)
		return true;
	if (doc_kind(d) != DOC_OBJECT)
		return false;
	while (doc_next(&it, &key, &v))
		if (doc_kind(v) != DOC_NULL)
			return false;
	return true;
}

static void
put_list(struct buf *out, struct doc d)
{
	struct doc_iter it = doc_iter(d);
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v)) {
		if (out->n > 0)
			buf_cstr(out, ", ");
		buf_str(out, doc_str(v));
	}
}

void
cell_text(struct buf *out, struct doc d, unsigned most)
{
	struct buf text = { 0 };

	if (cell_void(d))
		buf_putc(&text, '-');
	else if (doc_kind(d) == DOC_STRING)
		buf_str(&text, str_eq(doc_str(d), STR(NEVER)) ? STR("never") : doc_str(d));
	else if (all_strings(d))
		put_list(&text, d);
	else
		doc_write_json(&text, d);
	put_visible(out, buf_view(&text), most);
	buf_fini(&text);
}

unsigned
text_width(struct str s)
{
	unsigned marks = 0, n = 0, columns;

	while (s.n > 0) {
		(void)glyph_take(&s, &marks, &columns);
		n += columns;
	}
	return n;
}

void
put_padded(struct buf *out, struct str s, unsigned width)
{
	buf_str(out, s);
	for (unsigned n = text_width(s); n < width; n++)
		buf_putc(out, ' ');
}
