/* Options printed for a terminal, and as a file of settings. */
#include "option/option.h"

static void
put_amount(struct buf *out, const struct option_spec *spec, uint64_t n)
{
	static const char units[] = "TGMK";
	unsigned shift = 40;

	if (spec->kind == OPTION_SIZE)
		for (const char *unit = units; *unit != '\0'; unit++, shift -= 10)
			if (n != 0 && n % (UINT64_C(1) << shift) == 0) {
				buf_printf(out, "%llu%c", (unsigned long long)(n >> shift), *unit);
				return;
			}
	buf_u64(out, n);
}

/* a, b or c */
static void
put_words(struct buf *out, const char *const *words)
{
	for (size_t i = 0; words[i] != NULL; i++) {
		buf_cstr(out, i == 0 ? "" : words[i + 1] != NULL ? ", " : " or ");
		buf_cstr(out, words[i]);
	}
}

static void
put_numbers(struct buf *out, const struct option_spec *spec)
{
	if (spec->most != 0) {
		put_amount(out, spec, spec->least);
		buf_cstr(out, " to ");
		put_amount(out, spec, spec->most);
	} else if (spec->least > 0) {
		buf_cstr(out, "at least ");
		put_amount(out, spec, spec->least);
	}
}

void
option_range(struct buf *out, const struct option_spec *spec)
{
	switch (spec->kind) {
	case OPTION_NUMBER:
	case OPTION_SIZE: put_numbers(out, spec); return;
	case OPTION_WORD: put_words(out, spec->words); return;
	case OPTION_YES_NO: buf_cstr(out, "yes or no"); return;
	default: return;
	}
}

void
option_head(struct buf *out, const struct option_spec *spec)
{
	buf_printf(out, "--%s", spec->name);
	if (spec->kind == OPTION_YES_NO)
		buf_cstr(out, "[=yes|no]");
	else if (spec->value != NULL)
		buf_printf(out, " %s", spec->value);
}

static bool
is_zero(const char *text)
{
	return text != NULL && strcmp(text, "0") == 0;
}

void
option_without(struct buf *out, const struct option_spec *spec)
{
	if (spec->fallback != NULL)
		buf_cstr(out, spec->fallback);
	else if (spec->otherwise != NULL)
		buf_cstr(out, spec->otherwise);
}

/* "; " between parts, none before the first. */
static void
put_part(struct buf *out, size_t from)
{
	if (out->n > from)
		buf_cstr(out, "; ");
}

void
option_terms(struct buf *out, const struct option_spec *spec)
{
	size_t from = out->n;
	bool zero_holds = is_zero(spec->fallback) && spec->zero != NULL;

	if (spec->kind != OPTION_YES_NO)
		option_range(out, spec);
	if (spec->zero != NULL && !zero_holds) {
		put_part(out, from);
		buf_printf(out, "0: %s", spec->zero);
	}
	if (spec->many) {
		put_part(out, from);
		buf_cstr(out, "repeat for more");
	}
	if (spec->fallback != NULL || spec->otherwise != NULL) {
		put_part(out, from);
		buf_cstr(out, "default ");
		option_without(out, spec);
		if (zero_holds)
			buf_printf(out, ": %s", spec->zero);
	}
}

void
option_text(struct buf *out, struct str text, unsigned indent)
{
	unsigned column = indent;
	struct str word;

	while (text.n > 0) {
		str_cut(text, ' ', &word, &text);
		if (column > indent && column + 1 + word.n > OPTION_COLUMNS) {
			buf_printf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			buf_putc(out, ' ');
			column++;
		}
		buf_str(out, word);
		column += (unsigned)word.n;
	}
	buf_putc(out, '\n');
}

void
option_entry(struct buf *out, struct str head, struct str text, unsigned indent)
{
	unsigned column = 2 + (unsigned)head.n;

	buf_cstr(out, "  ");
	buf_str(out, head);
	if (column + 1 > indent)
		buf_printf(out, "\n%*s", (int)indent, "");
	else
		buf_printf(out, "%*s", (int)(indent - column), "");
	option_text(out, text, indent);
}

void
option_help(struct buf *out, const struct option_table *t, unsigned indent)
{
	struct buf head = { 0 }, text = { 0 }, terms = { 0 };

	for (unsigned i = 0; i < t->n; i++) {
		if (!option_taken(t, i))
			continue;
		head.n = text.n = terms.n = 0;
		option_head(&head, &t->v[i]);
		option_terms(&terms, &t->v[i]);
		buf_cstr(&text, t->v[i].help);
		if (terms.n > 0)
			buf_printf(&text, " (" STR_FMT ")", STR_ARG(buf_view(&terms)));
		option_entry(out, buf_view(&head), buf_view(&text), indent);
	}
	buf_fini(&head);
	buf_fini(&text);
	buf_fini(&terms);
}

void
option_template(struct buf *out, const struct option_table *t)
{
	struct buf terms = { 0 };

	for (unsigned i = 0; i < t->n; i++) {
		const struct option_spec *spec = &t->v[i];

		if (!option_taken(t, i) || spec->line_only)
			continue;
		terms.n = 0;
		option_terms(&terms, spec);
		buf_printf(out, "\n# %s", spec->help);
		if (terms.n > 0)
			buf_printf(out, " (" STR_FMT ")", STR_ARG(buf_view(&terms)));
		buf_printf(out, "\n# %s %s\n", spec->name,
		    spec->fallback != NULL ? spec->fallback : spec->value);
	}
	buf_fini(&terms);
}
