/* A view of one thing: labels, values and bars, made whole and printed at once, so that a redrawn terminal does not flicker. */
#include "cli/priv.h"

#include <stdio.h>

#define LABEL_LEAST 10
#define GAP         2
#define BAR         30 /* characters between the brackets */

void
view_widen(struct view *v, struct str label)
{
	unsigned n = text_width(label);

	if (n > VIEW_LABEL_MOST)
		n = VIEW_LABEL_MOST;
	if (n > v->width)
		v->width = n;
}

static void
put_label(struct view *v, struct str label)
{
	unsigned width = v->width < LABEL_LEAST ? LABEL_LEAST : v->width;
	struct buf shown = { 0 };

	/* what is cut bears three dots */
	put_visible(
	    &shown, label, text_width(label) > VIEW_LABEL_MOST ? VIEW_LABEL_MOST - 3 : UINT32_MAX);
	put_padded(&v->text, buf_view(&shown), width + GAP);
	buf_fini(&shown);
}

void
view_line(struct view *v, const char *label, struct doc value)
{
	put_label(v, str_of(label));
	cell_text(&v->text, value, UINT32_MAX);
	buf_putc(&v->text, '\n');
}

void
view_text(struct view *v, const char *label, struct str text)
{
	put_label(v, str_of(label));
	put_visible(&v->text, text, UINT32_MAX);
	buf_putc(&v->text, '\n');
}

void
view_time(struct view *v, const char *label, struct doc iso)
{
	struct str text, fraction;

	if (str_cut(doc_str(iso), '.', &text, &fraction)) {
		put_label(v, str_of(label));
		put_visible(&v->text, text, UINT32_MAX);
		buf_cstr(&v->text, "Z\n");
	} else {
		view_line(v, label, iso);
	}
}

void
view_block(struct view *v, const char *label, struct doc value)
{
	struct buf json = { 0 };
	struct str rest, line;

	json_indent(&json, value, 0);
	put_label(v, str_of(label));
	for (rest = buf_view(&json); rest.n > 0;) {
		str_cut(rest, '\n', &line, &rest);
		put_visible(&v->text, line, UINT32_MAX);
		buf_putc(&v->text, '\n');
		if (rest.n > 0)
			put_label(v, STR_NONE);
	}
	buf_fini(&json);
}

void
view_empty_line(struct view *v)
{
	buf_putc(&v->text, '\n');
}

/* Rounded down, so that only the whole looks like the whole; but something is never nothing. */
static unsigned
cells(uint64_t part, uint64_t whole)
{
	unsigned n;

	if (whole == 0 || part == 0)
		return 0;
	if (part >= whole)
		return BAR;
	n = (unsigned)((double)part / (double)whole * BAR);
	return n == 0 ? 1 : n == BAR ? BAR - 1 : n;
}

static void
put_share(struct buf *out, uint64_t part, uint64_t whole)
{
	double tenths = (double)part * 1000 / (double)whole;

	/* digits beyond those of a double: 999.99... must not become 1000 */
	if (part < whole && tenths >= 1000)
		tenths = 999;
	buf_printf(out, "  %3llu.%llu %%", (unsigned long long)tenths / 10,
	    (unsigned long long)tenths % 10);
}

void
view_bar(struct view *v, struct str label, uint64_t part, uint64_t whole)
{
	unsigned n = cells(part, whole);

	put_label(v, label);
	buf_putc(&v->text, '[');
	for (unsigned i = 0; i < BAR; i++)
		buf_putc(&v->text, i < n ? '#' : '-');
	/* bars of the same whole have their numbers below each other */
	buf_printf(&v->text, "]  %*llu of %llu",
	    snprintf(NULL, 0, "%llu", (unsigned long long)whole), (unsigned long long)part,
	    (unsigned long long)whole);
	if (whole > 0)
		put_share(&v->text, part, whole);
	buf_putc(&v->text, '\n');
}

void
view_print(struct view *v)
{
	say_str(buf_view(&v->text));
	v->text.n = 0;
}

void
view_fini(struct view *v)
{
	buf_fini(&v->text);
}
