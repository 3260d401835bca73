/* JSON for programs, tables and indented text for people. What a value looks like in a table: cell.c. */
#include "cli/priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CELL_MOST   80 /* columns of the terminal */
#define COLUMNS_MAX 64
#define GAP         2
#define ROOM_MOST   100000
#define CUT_LEAST   12 /* columns of the terminal that a column keeps */

bool
output_names(const struct args *a)
{
	return a->option[OPT_OUTPUT_ROWS] != NULL &&
	    strcmp(a->option[OPT_OUTPUT_ROWS], "name") == 0;
}

bool
output_json(const struct args *a)
{
	if (a->option[OPT_JSON] != NULL || a->option[OPT_TABLE] != NULL)
		return a->option[OPT_JSON] != NULL;
	if (output_names(a))
		return true; /* of what is whole: the view for people has no columns */
	return !isatty(STDOUT_FILENO);
}

/* ---- writing JSON ---- */

void
json_say(struct buf *json)
{
	printf(STR_FMT "\n", STR_ARG(buf_view(json)));
	buf_fini(json);
}

static void
new_line(struct buf *out, unsigned level)
{
	buf_putc(out, '\n');
	for (unsigned i = 0; i < level; i++)
		buf_cstr(out, "  ");
}

/* A twin's bookkeeping is twice the size of what it is about; who wants it takes the JSON. */
static bool
is_noise(struct str key)
{
	return str_eq(key, STR("$metadata"));
}

void
json_indent(struct buf *out, struct doc d, unsigned level)
{
	struct doc_iter it = doc_iter(d);
	bool object = doc_kind(d) == DOC_OBJECT, first = true;
	struct str key;
	struct doc v;

	if ((!object && doc_kind(d) != DOC_ARRAY) || doc_count(d) == 0) {
		doc_write_json(out, d);
		return;
	}
	buf_putc(out, object ? '{' : '[');
	while (doc_next(&it, &key, &v)) {
		if (is_noise(key))
			continue;
		if (!first)
			buf_putc(out, ',');
		first = false;
		new_line(out, level + 1);
		if (object) {
			doc_write_json_str(out, key);
			buf_cstr(out, ": ");
		}
		json_indent(out, v, level + 1);
	}
	new_line(out, level);
	buf_putc(out, object ? '}' : ']');
}

/* ---- lines ---- */

static void
print(struct buf *line)
{
	while (line->n > 0 && line->p[line->n - 1] == ' ')
		line->n--;
	buf_putc(line, '\n');
	say_str(buf_view(line));
	line->n = 0;
}

/* ---- one object ---- */

static void
print_members(struct doc d)
{
	struct doc_iter it = doc_iter(d);
	struct buf line = { 0 }, name = { 0 }, nested = { 0 };
	unsigned width = 0;
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v))
		if (text_width(key) > width)
			width = text_width(key);
	it = doc_iter(d);
	while (doc_next(&it, &key, &v)) {
		name.n = nested.n = 0;
		put_visible(&name, key, CELL_MOST);
		put_padded(&line, buf_view(&name), width + GAP);
		if (doc_kind(v) == DOC_OBJECT && !cell_void(v)) {
			struct str rest, one;

			json_indent(&nested, v, 0);
			for (rest = buf_view(&nested); rest.n > 0;) {
				str_cut(rest, '\n', &one, &rest);
				put_visible(&line, one, UINT32_MAX);
				print(&line);
				put_padded(&line, STR_NONE, rest.n > 0 ? width + GAP : 0);
			}
		} else {
			cell_text(&line, v, UINT32_MAX);
			print(&line);
		}
	}
	buf_fini(&line);
	buf_fini(&name);
	buf_fini(&nested);
}

void
show_record(const struct args *a, struct doc d)
{
	struct buf json = { 0 };

	if (!output_json(a) && doc_kind(d) == DOC_OBJECT) {
		print_members(d);
		return;
	}
	doc_write_json(&json, d);
	print(&json);
	buf_fini(&json);
}

/* ---- rows ---- */

struct columns {
	struct str name[COLUMNS_MAX];
	unsigned width[COLUMNS_MAX];
	unsigned n;
};

static unsigned
column_of(struct columns *c, struct str name)
{
	unsigned i = 0;

	while (i < c->n && !str_eq(c->name[i], name))
		i++;
	if (i == c->n && c->n < COLUMNS_MAX) {
		c->name[c->n] = name;
		c->width[c->n++] = text_width(name);
	}
	return i;
}

static void
measure(struct columns *c, struct doc array)
{
	struct doc_iter rows = doc_iter(array), members;
	struct buf cell = { 0 };
	struct str key;
	struct doc row, v;

	while (doc_next(&rows, &key, &row)) {
		members = doc_iter(row);
		while (doc_next(&members, &key, &v)) {
			unsigned i = column_of(c, key);

			if (i == COLUMNS_MAX)
				continue; /* more than anybody reads side by side */
			cell.n = 0;
			cell_text(&cell, v, CELL_MOST);
			if (text_width(buf_view(&cell)) > c->width[i])
				c->width[i] = text_width(buf_view(&cell));
		}
	}
	buf_fini(&cell);
}

/* Of the terminal; 0: there is none, and no limit. Who sets COLUMNS knows better, or has a terminal that does not know. */
static unsigned
room(void)
{
	const char *said = getenv("COLUMNS");
	struct winsize w;
	uint64_t n;

	if (!isatty(STDOUT_FILENO))
		return 0;
	if (said != NULL && str_u64(str_of(said), &n) && n > 0 && n <= ROOM_MOST)
		return (unsigned)n;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

static unsigned
width_of(const struct columns *c)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < c->n; i++)
		sum += c->width[i] + (i > 0 ? GAP : 0);
	return sum;
}

static unsigned
widest(const struct columns *c)
{
	unsigned at = 0;

	for (unsigned i = 1; i < c->n; i++)
		if (c->width[i] > c->width[at])
			at = i;
	return at;
}

/* A row is one line: the widest columns are cut, and when that is not enough the last ones are left out, and named at the end. */
static void
fit(struct rows_view *v, struct columns *c, unsigned most)
{
	unsigned over, i;

	v->dropped.n = 0;
	while (most > 0 && width_of(c) > most) {
		over = width_of(c) - most;
		i = widest(c);
		if (c->width[i] > CUT_LEAST) {
			c->width[i] =
			    c->width[i] > CUT_LEAST + over ? c->width[i] - over : CUT_LEAST;
			continue;
		}
		if (c->n == 1)
			return;
		c->n--;
		buf_cstr(&v->dropped, v->dropped.n > 0 ? ", " : "");
		put_visible(&v->dropped, c->name[c->n], CELL_MOST);
	}
}

/* A cell in its column. */
static void
put_cell(struct buf *line, struct str cell, unsigned width)
{
	struct buf cut = { 0 };

	if (text_width(cell) > width) {
		put_visible(&cut, cell, width - 3); /* and "..." */
		cell = buf_view(&cut);
	}
	put_padded(line, cell, width + GAP);
	buf_fini(&cut);
}

static void
print_head(struct rows_view *v, const struct columns *c)
{
	struct buf line = { 0 }, cell = { 0 };

	for (unsigned i = 0; i < c->n; i++) {
		cell.n = 0;
		put_visible(&cell, c->name[i], UINT32_MAX);
		put_cell(&line, buf_view(&cell), c->width[i]);
	}
	/* the same columns need no new heading */
	if (!str_eq(buf_view(&v->head), buf_view(&line))) {
		v->head.n = 0;
		buf_str(&v->head, buf_view(&line));
		if (v->nrow > 0)
			putchar('\n');
		print(&line);
	}
	buf_fini(&cell);
	buf_fini(&line);
}

static void
print_rows(const struct columns *c, struct doc array)
{
	struct doc_iter rows = doc_iter(array);
	struct buf line = { 0 }, cell = { 0 };
	struct str key;
	struct doc row;

	while (doc_next(&rows, &key, &row)) {
		for (unsigned i = 0; i < c->n; i++) {
			cell.n = 0;
			cell_text(&cell, doc_get(row, c->name[i]), CELL_MOST);
			put_cell(&line, buf_view(&cell), c->width[i]);
		}
		print(&line);
	}
	buf_fini(&cell);
	buf_fini(&line);
}

void
rows_init(struct rows_view *v, const struct args *a)
{
	*v = (struct rows_view){ .format = output_names(a) ? ROWS_NAME
		    : output_json(a)                       ? ROWS_JSON
		                                           : ROWS_TABLE };
	if (a->option[OPT_CSV] != NULL) {
		v->format = ROWS_CSV;
		v->csv = csv_new();
	}
}

void
rows_open(struct rows_view *v)
{
	if (v->format == ROWS_JSON)
		putchar('[');
}

static void
print_json_rows(struct rows_view *v, struct doc array)
{
	struct doc_iter it = doc_iter(array);
	struct buf json = { 0 };
	uint64_t n = v->nrow;
	struct str key;
	struct doc row;

	while (doc_next(&it, &key, &row)) {
		buf_cstr(&json, n++ > 0 ? ",\n" : "\n");
		doc_write_json(&json, row);
	}
	say_str(buf_view(&json));
	buf_fini(&json);
}

static void
print_table_rows(struct rows_view *v, struct doc array)
{
	struct columns *c;

	if (doc_count(array) == 0)
		return;
	c = xcalloc(1, sizeof(*c));
	measure(c, array);
	fit(v, c, room());
	print_head(v, c);
	print_rows(c, array);
	free(c);
}

static bool
has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20)
			return true;
	return false;
}

/* For loops of a shell: the first column, a line each. A text with a line break in it, which may be a stranger's, is one as JSON. */
static void
print_names(struct doc array)
{
	struct doc_iter rows = doc_iter(array), members;
	struct buf line = { 0 };
	struct str key;
	struct doc row, v;

	while (doc_next(&rows, &key, &row)) {
		members = doc_iter(row);
		if (!doc_next(&members, &key, &v))
			continue;
		if (doc_kind(v) == DOC_STRING && !has_control(doc_str(v)))
			buf_str(&line, doc_str(v));
		else
			doc_write_json(&line, v);
		print(&line);
	}
	buf_fini(&line);
}

/* The members that are no arrays, as an object of their own. */
static void
plain_members(struct buf *out, struct doc d)
{
	struct doc_iter it = doc_iter(d);
	struct doc_writer dw;
	struct str key;
	struct doc v;

	doc_writer_init(&dw, out, 0);
	doc_begin_object(&dw, 0);
	while (doc_next(&it, &key, &v)) {
		if (doc_kind(v) == DOC_ARRAY)
			continue;
		doc_key(&dw, key);
		doc_put_copy(&dw, 0, v);
	}
	doc_end(&dw);
}

int
show_sections(const struct args *a, struct doc d)
{
	struct doc_iter it = doc_iter(d);
	struct buf plain = { 0 };
	struct rows_view view;
	struct str key;
	struct doc v;

	if (output_json(a)) {
		show_record(a, d);
		return EXIT_DONE;
	}
	plain_members(&plain, d);
	print_members(doc_of(buf_view(&plain)));
	buf_fini(&plain);
	while (doc_next(&it, &key, &v)) {
		if (doc_kind(v) != DOC_ARRAY || doc_count(v) == 0)
			continue;
		putchar('\n');
		view = (struct rows_view){ .format = ROWS_TABLE };
		print_table_rows(&view, v);
		buf_fini(&view.head);
		buf_fini(&view.dropped);
	}
	return EXIT_DONE;
}

int
rows_page(struct rows_view *v, struct doc array, bool more)
{
	int code = EXIT_DONE;

	switch (v->format) {
	case ROWS_TABLE: print_table_rows(v, array); break;
	case ROWS_JSON: print_json_rows(v, array); break;
	case ROWS_NAME: print_names(array); break;
	case ROWS_CSV: code = csv_page(v->csv, array, more); break;
	}
	v->nrow += doc_count(array);
	return code;
}

static void
rows_end(const struct rows_view *v)
{
	printf("%s%llu row%s\n", v->nrow > 0 ? "\n" : "", (unsigned long long)v->nrow,
	    v->nrow == 1 ? "" : "s");
	if (v->dropped.n > 0)
		printf("not shown for want of room: " STR_FMT " (--json has all)\n",
		    STR_ARG(buf_view(&v->dropped)));
}

int
rows_fini(struct rows_view *v, int code)
{
	if (code == EXIT_DONE && v->format == ROWS_CSV)
		code = csv_end(v->csv);
	else if (code == EXIT_DONE && v->format == ROWS_JSON)
		printf("%s]\n", v->nrow > 0 ? "\n" : "");
	else if (code == EXIT_DONE && v->format == ROWS_TABLE)
		rows_end(v);
	csv_free(v->csv);
	buf_fini(&v->head);
	buf_fini(&v->dropped);
	return code;
}

int
rows_show(const struct args *a, struct doc array)
{
	struct rows_view view;

	rows_init(&view, a);
	rows_open(&view);
	return rows_fini(&view, rows_page(&view, array, false));
}
