/*
 * Rows as CSV. The heading names every member of every row, so it can be written only when the last page is there: until
 * then pages wait in a file, as they came, and are read back one by one. Memory holds one page and the names.
 */
#include "cli/priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- columns ---- */

static struct str
column_name(const struct csv_columns *c, uint32_t i)
{
	uint32_t from = i > 0 ? c->end[i - 1] : 0;

	return (struct str){ c->names.p + from, c->end[i] - from };
}

static bool
same_name(const void *ctx, uint32_t value, const void *key)
{
	return str_eq(column_name(ctx, value), *(const struct str *)key);
}

static uint32_t
column_find(const struct csv_columns *c, struct str name)
{
	return table_get(&c->index, hash_table(name), same_name, c, &name);
}

static bool
column_add(struct csv_columns *c, struct str name)
{
	if (c->n == CSV_COLUMNS_MAX)
		return false;
	buf_str(&c->names, name);
	c->end[c->n] = (uint32_t)c->names.n;
	table_add(&c->index, hash_table(name), c->n++);
	return true;
}

bool
csv_columns_add(struct csv_columns *c, struct doc rows)
{
	struct doc_iter it = doc_iter(rows), members;
	struct str key;
	struct doc row, v;

	while (doc_next(&it, &key, &row)) {
		members = doc_iter(row);
		while (doc_next(&members, &key, &v))
			if (column_find(c, key) == TABLE_NONE && !column_add(c, key))
				return false;
	}
	return true;
}

void
csv_columns_fini(struct csv_columns *c)
{
	buf_fini(&c->names);
	table_fini(&c->index);
}

/* ---- fields ---- */

/* In quotes when it has what would end it, or when it is empty: nothing at all is null. */
static void
put_field(struct buf *out, struct str text, bool visible)
{
	struct buf shown = { 0 };
	bool quotes = text.n == 0;

	if (visible) {
		put_visible(&shown, text, UINT32_MAX);
		text = buf_view(&shown);
	}
	for (size_t i = 0; i < text.n && !quotes; i++)
		quotes = char_among(text.p[i], ",\"\r\n");
	if (!quotes) {
		buf_str(out, text);
	} else {
		buf_putc(out, '"');
		for (size_t i = 0; i < text.n; i++) {
			if (text.p[i] == '"')
				buf_putc(out, '"');
			buf_putc(out, text.p[i]);
		}
		buf_putc(out, '"');
	}
	buf_fini(&shown);
}

static void
put_value(struct buf *out, struct doc v, bool visible)
{
	struct buf text = { 0 };

	if (!doc_defined(v) || doc_kind(v) == DOC_NULL)
		return;
	if (doc_kind(v) == DOC_STRING) {
		put_field(out, doc_str(v), visible);
		return;
	}
	doc_write_json(&text, v);
	put_field(out, buf_view(&text), visible);
	buf_fini(&text);
}

void
csv_head(struct buf *out, const struct csv_columns *c, bool visible)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (i > 0)
			buf_putc(out, ',');
		put_field(out, column_name(c, i), visible);
	}
	if (c->n > 0)
		buf_cstr(out, "\r\n");
}

static void
put_row(struct buf *out, const struct doc *cells, uint32_t n, bool visible)
{
	size_t from = out->n;

	for (uint32_t i = 0; i < n; i++) {
		if (i > 0)
			buf_putc(out, ',');
		put_value(out, cells[i], visible);
	}
	if (out->n == from)
		buf_cstr(out, "\"\""); /* readers pass over empty lines */
	buf_cstr(out, "\r\n");
}

void
csv_rows(struct buf *out, const struct csv_columns *c, struct doc rows, bool visible)
{
	struct doc *cells = xcalloc(c->n + 1, sizeof(*cells));
	struct doc_iter it = doc_iter(rows), members;
	struct str key;
	struct doc row, v;

	while (c->n > 0 && doc_next(&it, &key, &row)) {
		memset(cells, 0, c->n * sizeof(*cells));
		members = doc_iter(row);
		while (doc_next(&members, &key, &v))
			cells[column_find(c, key)] = v;
		put_row(out, cells, c->n, visible);
	}
	free(cells);
}

/* ---- pages ---- */

struct csv {
	struct csv_columns columns;
	FILE *waiting; /* pages: their length in eight bytes, then the rows as a doc */
	bool visible;
};

struct csv *
csv_new(void)
{
	struct csv *csv = xcalloc(1, sizeof(*csv));

	csv->visible = isatty(STDOUT_FILENO);
	return csv;
}

void
csv_free(struct csv *csv)
{
	if (csv == NULL)
		return;
	if (csv->waiting != NULL)
		fclose(csv->waiting);
	csv_columns_fini(&csv->columns);
	free(csv);
}

FILE *
file_without_name(void)
{
	const char *dir = getenv("TMPDIR");
	char path[DATA_PATH_MAX];
	int fd;

	if (!data_path(path, dir != NULL && dir[0] != '\0' ? dir : "/tmp", "twinhub-XXXXXX"))
		return NULL;
	fd = mkstemp(path);
	if (fd < 0)
		return NULL;
	unlink(path);
	return fdopen(fd, "w+b");
}

static int
page_keep(struct csv *csv, struct doc rows)
{
	struct str bytes = doc_bytes(rows);
	uint64_t n = bytes.n;

	if (csv->waiting == NULL)
		csv->waiting = file_without_name();
	if (csv->waiting != NULL && fwrite(&n, sizeof(n), 1, csv->waiting) == 1 &&
	    fwrite(bytes.p, 1, bytes.n, csv->waiting) == bytes.n)
		return EXIT_DONE;
	return cli_fail(EXIT_FAILED,
	    "the temporary file cannot be written: %s (TMPDIR names its directory)",
	    strerror(errno));
}

static void
page_print(const struct csv *csv, struct doc rows)
{
	struct buf text = { 0 };

	csv_rows(&text, &csv->columns, rows, csv->visible);
	say_str(buf_view(&text));
	buf_fini(&text);
}

static void
head_print(const struct csv *csv)
{
	struct buf text = { 0 };

	csv_head(&text, &csv->columns, csv->visible);
	say_str(buf_view(&text));
	buf_fini(&text);
}

int
csv_page(struct csv *csv, struct doc rows, bool more)
{
	if (!csv_columns_add(&csv->columns, rows))
		return cli_fail(EXIT_FAILED,
		    "the rows have more than %d columns: name the members that are wanted",
		    CSV_COLUMNS_MAX);
	if (more || csv->waiting != NULL)
		return page_keep(csv, rows);
	head_print(csv);
	page_print(csv, rows);
	return EXIT_DONE;
}

int
csv_end(struct csv *csv)
{
	struct buf page = { 0 };
	uint64_t n;
	bool ok;

	if (csv->waiting == NULL)
		return EXIT_DONE;
	ok = fflush(csv->waiting) == 0 && fseek(csv->waiting, 0, SEEK_SET) == 0;
	if (ok)
		head_print(csv);
	while (ok && !ferror(stdout) && fread(&n, sizeof(n), 1, csv->waiting) == 1) {
		page.n = 0;
		buf_reserve(&page, n);
		page.n = fread(page.p, 1, n, csv->waiting);
		ok = page.n == n;
		if (ok)
			page_print(csv, doc_of(buf_view(&page)));
	}
	ok = ok && !ferror(csv->waiting);
	buf_fini(&page);
	return ok ? EXIT_DONE
	          : cli_fail(EXIT_FAILED,
	                "the temporary file is cut short: %s (TMPDIR names its directory)",
	                strerror(errno));
}
