/*
 * CSV with a heading (RFC 4180): a column is a member of the identity or a path below tags, desired or reported.
 *
 * A cell has the type that it looks like: what is JSON's number, true, false or null is that; in quotes it is text; what
 * begins with a bracket and is JSON is that value. An empty cell is a member that is not there, and "" an empty text: as
 * the CSV of a query has it. Columns may also be cut by semicolons or tabs, as spreadsheets do where a comma is for decimals.
 */
#include "foreign/priv.h"

#include <stdio.h>
#include <stdlib.h>

#define COLUMNS_MAX 4096u
#define STEPS_MAX   64u
#define CELL_MAX    ((size_t)1 << 20)

/* Where a cell goes in the line. */
enum part { TOP, SYMMETRIC, THUMBPRINT, TYPE, EDGE, TAGS, DESIRED, REPORTED, NOWHERE };

struct column {
	enum part part;
	struct str name;  /* of the member; of a path: all of it, with dots */
	struct str title; /* as in the heading */
	uint32_t cell;
};

struct cell {
	struct str text; /* in `row` */
	bool quoted, there;
};

struct csv {
	const struct foreign_sink *sink;
	struct doc_parser *parser;
	const char *p, *end;
	uint64_t line; /* where p is */
	char separator;
	struct buf row;    /* texts of the cells */
	struct buf titles; /* of the heading's */
	struct cell *cells;
	uint32_t ncell;
	struct column *columns; /* paths by name, so that members of one object are neighbours */
	uint32_t ncolumn;
	struct buf out, doc;
	struct fault *f;
};

static const struct {
	const char *title;
	enum part part;
	const char *name;
} known[] = {
	{ "id", TOP, "id" },
	{ "deviceId", TOP, "id" },
	{ "moduleId", TOP, "moduleId" },
	{ "importMode", TOP, "importMode" },
	{ "eTag", TOP, "eTag" },
	{ "status", TOP, "status" },
	{ "statusReason", TOP, "statusReason" },
	{ "deviceScope", TOP, "deviceScope" },
	{ "managedBy", TOP, "managedBy" },
	{ "primaryKey", SYMMETRIC, "primaryKey" },
	{ "secondaryKey", SYMMETRIC, "secondaryKey" },
	{ "authentication.symmetricKey.primaryKey", SYMMETRIC, "primaryKey" },
	{ "authentication.symmetricKey.secondaryKey", SYMMETRIC, "secondaryKey" },
	{ "primaryThumbprint", THUMBPRINT, "primaryThumbprint" },
	{ "secondaryThumbprint", THUMBPRINT, "secondaryThumbprint" },
	{ "authentication.x509Thumbprint.primaryThumbprint", THUMBPRINT, "primaryThumbprint" },
	{ "authentication.x509Thumbprint.secondaryThumbprint", THUMBPRINT, "secondaryThumbprint" },
	{ "authenticationType", TYPE, "type" },
	{ "authentication.type", TYPE, "type" },
	{ "iotEdge", EDGE, "iotEdge" },
	{ "capabilities.iotEdge", EDGE, "iotEdge" },
	/* what queries show and nobody sets */
	{ "etag", NOWHERE, "" },
	{ "deviceEtag", NOWHERE, "" },
	{ "version", NOWHERE, "" },
	{ "connectionState", NOWHERE, "" },
	{ "lastActivityTime", NOWHERE, "" },
	{ "statusUpdateTime", NOWHERE, "" },
	{ "cloudToDeviceMessageCount", NOWHERE, "" },
};

static const struct {
	struct str prefix;
	enum part part;
} trees[] = {
	{ { "tags", 4 }, TAGS },
	{ { "desired", 7 }, DESIRED },
	{ { "properties.desired", 18 }, DESIRED },
	{ { "reported", 8 }, REPORTED },
	{ { "properties.reported", 19 }, REPORTED },
};

/* ---- a row ---- */

static enum err
wrong(struct csv *c, uint64_t line, const char *what)
{
	fault_set(c->f, F_IotHubFormatError, "line %llu: %s", (unsigned long long)line, what);
	return ERR_SYNTAX;
}

static bool
at_line_end(const struct csv *c)
{
	return c->p == c->end || *c->p == '\n' ||
	    (*c->p == '\r' && (c->p + 1 == c->end || c->p[1] == '\n'));
}

/* Behind the opening quote; to behind the closing one. */
static bool
quoted_cell(struct csv *c)
{
	for (; c->p < c->end; c->p++) {
		if (*c->p == '"' && (c->p + 1 == c->end || c->p[1] != '"')) {
			c->p++;
			return at_line_end(c) || *c->p == c->separator;
		}
		if (*c->p == '"')
			c->p++;
		c->line += *c->p == '\n';
		buf_putc(&c->row, *c->p);
	}
	return false;
}

static enum err
cell_read(struct csv *c, struct cell *cell)
{
	uint64_t line = c->line;
	size_t from = c->row.n;

	*cell = (struct cell){ .quoted = c->p < c->end && *c->p == '"' };
	if (cell->quoted) {
		c->p++;
		if (!quoted_cell(c))
			return wrong(c, line, "a quote that opens a cell is not closed at its end");
	} else {
		while (!at_line_end(c) && *c->p != c->separator)
			buf_putc(&c->row, *c->p++);
	}
	cell->text.n = c->row.n - from;
	cell->there = cell->quoted || cell->text.n > 0;
	return cell->text.n <= CELL_MAX ? ERR_OK : wrong(c, line, "a cell is larger than 1 MB");
}

/* The cells of the next row, which may be empty: then there is one cell that is not there. ERR_END: none follows. */
static enum err
row_read(struct csv *c)
{
	enum err e = ERR_OK;
	size_t at = 0;

	c->ncell = 0;
	c->row.n = 0;
	buf_reserve(&c->row, 1); /* an empty cell has an address, too */
	if (c->p == c->end)
		return ERR_END;
	for (;;) {
		if (c->ncell == COLUMNS_MAX)
			return wrong(c, c->line, "there are more than 4096 columns");
		e = cell_read(c, &c->cells[c->ncell++]);
		if (e != ERR_OK || at_line_end(c))
			break;
		c->p++;
	}
	if (c->p < c->end && *c->p == '\r')
		c->p++;
	if (c->p < c->end)
		c->p++;
	for (uint32_t i = 0; i < c->ncell; i++) { /* the buffer no longer moves */
		c->cells[i].text.p = c->row.p + at;
		at += c->cells[i].text.n;
	}
	return e;
}

static bool
row_is_text(const struct csv *c)
{
	for (uint32_t i = 0; i < c->ncell; i++)
		if (!utf8_valid(c->cells[i].text))
			return false;
	return true;
}

/* ---- the heading ---- */

static bool
tree_of(struct str title, struct column *col)
{
	for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
		struct str prefix = trees[i].prefix, rest = STR_NONE;

		if (title.n < prefix.n || !str_ieq((struct str){ title.p, prefix.n }, prefix) ||
		    (title.n > prefix.n && title.p[prefix.n] != '.'))
			continue;
		if (title.n > prefix.n)
			rest = str_sub(title, prefix.n + 1);
		*col = (struct column){ .part = trees[i].part, .name = rest };
		return title.n == prefix.n || rest.n > 0;
	}
	return false;
}

static bool
column_of(struct str title, struct column *col)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		bool exact = str_eq(title, str_of(known[i].title));

		/* etag and eTag mean two things */
		if (exact || (str_ieq(title, str_of(known[i].title)) && title.n != 4)) {
			*col =
			    (struct column){ .part = known[i].part, .name = str_of(known[i].name) };
			return true;
		}
	}
	return tree_of(title, col);
}

/* The place in the line; of paths a prefix comes first, as the end counts less than any character. */
static int
by_place(const void *a, const void *b)
{
	const struct column *x = a, *y = b;
	size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;

	if (x->part != y->part)
		return x->part < y->part ? -1 : 1;
	for (size_t i = 0; i < n; i++) {
		/* a dot is less than any other, so that a.b stands beside a.c and not behind a-b */
		int p = x->name.p[i] == '.' ? 0 : (unsigned char)x->name.p[i] + 1,
		    q = y->name.p[i] == '.' ? 0 : (unsigned char)y->name.p[i] + 1;

		if (p != q)
			return p < q ? -1 : 1;
	}
	return (x->name.n > y->name.n) - (x->name.n < y->name.n);
}

/* Is a the same place as b, or one above it? */
static bool
holds(const struct column *a, const struct column *b)
{
	if (a->part != b->part || a->part == NOWHERE || !str_starts(b->name, a->name))
		return false;
	return a->name.n == b->name.n ||
	    (a->part >= TAGS && (a->name.n == 0 || b->name.p[a->name.n] == '.'));
}

static bool
steps_fit(struct str name)
{
	struct str step, rest = name;
	unsigned n = 0;

	for (bool more = name.n > 0; more; n++) {
		more = str_cut(rest, '.', &step, &rest);
		if (step.n == 0)
			return false;
	}
	return n <= STEPS_MAX;
}

static enum err
wrong_column(struct csv *c, struct str title, const char *what)
{
	fault_set(c->f, F_ArgumentInvalid, "line 1: column " STR_FMT ": %s",
	    (int)(title.n < 128 ? title.n : 128), title.p != NULL ? title.p : "", what);
	return ERR_SYNTAX;
}

static enum err
columns_fit(struct csv *c)
{
	bool id = false;

	for (uint32_t i = 0; i < c->ncolumn; i++) {
		const struct column *col = &c->columns[i];

		id |= col->part == TOP && str_eq(col->name, STR("id"));
		if (col->part >= TAGS && col->part < NOWHERE && !steps_fit(col->name))
			return wrong_column(
			    c, col->title, "a step of the path is empty, or there are too many");
		if (i > 0 && holds(&c->columns[i - 1], col))
			return wrong_column(
			    c, col->title, "another column is for the same member or one above it");
	}
	if (!id)
		return wrong(c, 1, "no column is named deviceId or id");
	return ERR_OK;
}

static enum err
heading_read(struct csv *c)
{
	enum err e = row_read(c);

	if (e != ERR_OK)
		return e == ERR_END ? wrong(c, 1, "there is no heading") : e;
	if (!row_is_text(c))
		return wrong(c, 1, "the heading is not UTF-8: save the file as such");
	buf_reserve(&c->titles, c->row.n + 1);
	buf_str(&c->titles, buf_view(&c->row));
	c->columns = xcalloc(c->ncell, sizeof(*c->columns));
	for (uint32_t i = 0; i < c->ncell; i++) {
		struct str title = c->cells[i].text;
		struct column *col = &c->columns[c->ncolumn];

		title.p = c->titles.p + (title.p - c->row.p);
		if (!column_of(title, col))
			return wrong_column(c, title,
			    "it is none of an identity, nor a path below tags, desired or "
			    "reported");
		col->title = title;
		col->cell = i;
		if (col->part == NOWHERE)
			c->sink->passed_over(c->sink->ctx, title);
		else
			c->ncolumn++;
	}
	qsort(c->columns, c->ncolumn, sizeof(*c->columns), by_place);
	return columns_fit(c);
}

/* ---- a line ---- */

static bool
is_literal(struct str s)
{
	return str_eq(s, STR("true")) || str_eq(s, STR("false")) || str_eq(s, STR("null"));
}

/* Is the text one JSON value of such a kind? Then c->doc is it. */
static bool
is_json(struct csv *c, struct str text)
{
	struct doc_parsed info;

	c->doc.n = 0;
	return doc_parse(c->parser, text, &c->doc, &info, NULL) == ERR_OK;
}

/* Keys, thumbprints and the like are text whatever they look like. */
static void
put_cell(struct csv *c, const struct column *col)
{
	const struct cell *cell = &c->cells[col->cell];
	struct str s = cell->text;
	char first = s.n > 0 ? s.p[0] : '\0';
	bool number = !cell->quoted && (first == '-' || (first >= '0' && first <= '9')),
	     value = (!cell->quoted && is_literal(s)) || first == '{' || first == '[';

	if (col->part >= EDGE && (number || value) && is_json(c, s))
		doc_write_json(&c->out, doc_of(buf_view(&c->doc)));
	else
		doc_write_json_str(&c->out, s);
}

static const struct cell *
cell_of(const struct csv *c, const struct column *col)
{
	return &c->cells[col->cell];
}

/* Columns from..to, all of one part, those whose cells are there; true: there was one. */
static bool
any_there(const struct csv *c, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (cell_of(c, &c->columns[i])->there)
			return true;
	return false;
}

/* The step that begins at `at` of a path. */
static struct str
step_at(const struct column *col, size_t at)
{
	struct str rest = str_sub(col->name, at), step, tail;

	return str_cut(rest, '.', &step, &tail) ? step : rest;
}

/* The members of an object: columns from..to, whose names agree up to `at`. */
static void
put_tree(struct csv *c, uint32_t from, uint32_t to, size_t at)
{
	buf_putc(&c->out, '{');
	for (uint32_t i = from, j; i < to; i = j) {
		struct str step = step_at(&c->columns[i], at);
		size_t below = at + step.n;

		for (j = i + 1; j < to && str_eq(step_at(&c->columns[j], at), step);)
			j++;
		if (!any_there(c, i, j))
			continue;
		foreign_member(&c->out, step);
		if (c->columns[i].name.n == below)
			put_cell(c, &c->columns[i]);
		else
			put_tree(c, i, j, below + 1);
	}
	buf_putc(&c->out, '}');
}

/* The columns of a part: where they begin; *to: where they end. */
static uint32_t
part_of(const struct csv *c, enum part part, uint32_t *to)
{
	uint32_t from = 0;

	while (from < c->ncolumn && c->columns[from].part < part)
		from++;
	for (*to = from; *to < c->ncolumn && c->columns[*to].part == part;)
		++*to;
	return from;
}

/* name:{...} of a part's columns, or name:value of the one that is for all of it. */
static void
put_part(struct csv *c, enum part part, struct str name)
{
	uint32_t to, from = part_of(c, part, &to);

	if (!any_there(c, from, to))
		return;
	foreign_member(&c->out, name);
	if (part >= TAGS && c->columns[from].name.n == 0)
		put_cell(c, &c->columns[from]);
	else
		put_tree(c, from, to, 0);
}

/* Text whatever it looks like: ids and keys may be digits only. */
static void
put_top(struct csv *c)
{
	uint32_t to, from = part_of(c, TOP, &to);

	for (uint32_t i = from; i < to; i++) {
		const struct cell *cell = cell_of(c, &c->columns[i]);

		if (!cell->there)
			continue;
		foreign_member(&c->out, c->columns[i].name);
		doc_write_json_str(&c->out, cell->text);
	}
}

static void
put_authentication(struct csv *c)
{
	uint32_t to, from = part_of(c, SYMMETRIC, &to), last;
	bool any = any_there(c, from, to);

	part_of(c, TYPE, &last);
	if (!any && !any_there(c, from, last))
		return;
	foreign_member(&c->out, STR("authentication"));
	buf_putc(&c->out, '{');
	from = part_of(c, TYPE, &to);
	if (any_there(c, from, to)) {
		foreign_member(&c->out, STR("type"));
		doc_write_json_str(&c->out, cell_of(c, &c->columns[from])->text);
	}
	put_part(c, SYMMETRIC, STR("symmetricKey"));
	put_part(c, THUMBPRINT, STR("x509Thumbprint"));
	buf_putc(&c->out, '}');
}

static void
put_line(struct csv *c)
{
	uint32_t to, from = part_of(c, DESIRED, &to), last;

	c->out.n = 0;
	buf_putc(&c->out, '{');
	put_top(c);
	put_authentication(c);
	put_part(c, EDGE, STR("capabilities"));
	put_part(c, TAGS, STR("tags"));
	part_of(c, REPORTED, &last);
	if (any_there(c, from, last)) {
		foreign_member(&c->out, STR("properties"));
		buf_putc(&c->out, '{');
		put_part(c, DESIRED, STR("desired"));
		put_part(c, REPORTED, STR("reported"));
		buf_putc(&c->out, '}');
	}
	buf_putc(&c->out, '}');
}

/* False: the sink stops. */
static bool
row_take(struct csv *c, uint64_t line, uint32_t width)
{
	char why[96];

	if (c->ncell == 1 && !c->cells[0].there)
		return true; /* an empty line */
	if (c->ncell != width) {
		snprintf(
		    why, sizeof(why), "the line has %u cells, the heading %u", c->ncell, width);
		return c->sink->fault(c->sink->ctx, line, STR_NONE, why);
	}
	if (!row_is_text(c))
		return c->sink->fault(
		    c->sink->ctx, line, STR_NONE, "the line is not UTF-8: save the file as such");
	put_line(c);
	return c->sink->line(c->sink->ctx, line, buf_view(&c->out));
}

/* The first of the three that stands in the heading, outside of quotes. */
static char
separator_of(struct str text)
{
	bool quoted = false;

	for (size_t i = 0; i < text.n && (quoted || text.p[i] != '\n'); i++) {
		if (text.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text.p[i] == ',' || text.p[i] == ';' || text.p[i] == '\t'))
			return text.p[i];
	}
	return ',';
}

enum err
csv_read(struct str text, const struct foreign_sink *sink, struct fault *f)
{
	struct csv c = { .sink = sink,
		.parser = doc_parser_new(CELL_MAX),
		.p = text.p,
		.end = str_end(text),
		.line = 1,
		.separator = separator_of(text),
		.cells = xcalloc(COLUMNS_MAX, sizeof(struct cell)),
		.f = f };
	enum err e = heading_read(&c);
	uint32_t width = c.ncell;
	bool stopped = false;

	while (e == ERR_OK && !stopped) {
		uint64_t line;

		c.line++; /* behind the line end of the row before */
		line = c.line;
		e = row_read(&c);
		if (e == ERR_OK)
			stopped = !row_take(&c, line, width);
	}
	if (e == ERR_END)
		e = ERR_OK;
	buf_fini(&c.row);
	buf_fini(&c.titles);
	buf_fini(&c.out);
	buf_fini(&c.doc);
	doc_parser_free(c.parser);
	free(c.columns);
	free(c.cells);
	return stopped ? ERR_END : e;
}
