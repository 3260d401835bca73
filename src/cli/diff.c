/*
 * diff: another hub and this one, identity by identity. Both are made the lines of an import, and those are compared: without
 * what is each hub's own ($metadata, etags, generations, times).
 */
#include "cli/source.h"

#include <stdio.h>
#include <stdlib.h>

#define LINE_MAX_BYTES ((size_t)2 << 20)
#define DEPTH_MAX      24u

/* Ids of the source, to find what is here alone. */
struct seen {
	struct buf bytes; /* device, module; each with its length before it */
	struct table index;
};

struct side {
	struct buf json, doc;
};

struct diff {
	struct source source; /* the other hub: "there" */
	struct source here;
	struct doc_parser *parser;
	struct seen seen;
	struct side there_line, here_line;
	bool json;
	uint64_t nidentity, nconfiguration, ndifferent;
	struct str device, module, configuration; /* whom it is about */
	bool told;                                /* a difference of it */
};

/* ---- telling ---- */

static void
put_subject(struct out *o, const struct diff *d)
{
	if (d->configuration.n > 0) {
		out_str(out_key(o, "configuration"), d->configuration);
		return;
	}
	out_str_or_null(out_key(o, "deviceId"), d->device);
	out_some_str(o, "moduleId", d->module);
}

static void
put_name(struct buf *out, const struct diff *d)
{
	put_visible(out, d->configuration.n > 0 ? d->configuration : d->device, UINT32_MAX);
	if (d->module.n > 0) {
		buf_putc(out, '/');
		put_visible(out, d->module, UINT32_MAX);
	}
}

static void
put_cell(struct buf *out, struct doc v)
{
	if (!doc_defined(v))
		buf_cstr(out, "missing");
	else
		cell_text(out, v, 60);
}

/* A key is a secret: that it differs is enough. */
static struct doc
visible_value(struct str path, struct doc v)
{
	return str_starts(path, STR("authentication.symmetricKey")) ? DOC_NONE : v;
}

static void
put_row(struct buf *out, const struct diff *d, struct str path, struct doc there, struct doc here)
{
	struct out o = out_to(out);

	out_open(&o);
	put_subject(&o, d);
	out_str_or_null(out_key(&o, "path"), path);
	out_some_doc(&o, "there", visible_value(path, there));
	out_some_doc(&o, "here", visible_value(path, here));
	out_close(&o);
	buf_putc(out, '\n');
}

static void
put_line(struct buf *out, const struct diff *d, struct str path, struct doc there, struct doc here)
{
	put_name(out, d);
	buf_putc(out, ' ');
	put_visible(out, path, UINT32_MAX);
	if (str_starts(path, STR("authentication.symmetricKey"))) {
		buf_cstr(out, " differs\n");
		return;
	}
	buf_cstr(out, ": there ");
	put_cell(out, there);
	buf_cstr(out, ", here ");
	put_cell(out, here);
	buf_putc(out, '\n');
}

static void
told(struct diff *d, const struct buf *out)
{
	d->ndifferent += !d->told;
	d->told = true;
	say_str(buf_view(out));
}

/* A side that does not have it is undefined. */
static void
tell(struct diff *d, struct str path, struct doc there, struct doc here)
{
	struct buf out = { 0 };

	(d->json ? put_row : put_line)(&out, d, path, there, here);
	told(d, &out);
	buf_fini(&out);
}

/* One side has all of it, the other nothing. */
static void
tell_only(struct diff *d, const char *where)
{
	struct buf out = { 0 };
	struct out o = out_to(&out);

	if (d->json) {
		out_open(&o);
		put_subject(&o, d);
		out_cstr(out_key(&o, "only"), where);
		out_close(&o);
		buf_putc(&out, '\n');
	} else {
		put_name(&out, d);
		buf_printf(&out, ": only %s\n", where);
	}
	told(d, &out);
	buf_fini(&out);
}

/* ---- comparing ---- */

/* What is each hub's own. */
static bool
is_own(struct str key)
{
	static const char *const own[] = { "$metadata", "eTag", "twinETag", "generationId",
		"statusUpdatedTime", "lastActivityTime" };

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (str_eq(key, str_of(own[i])))
			return true;
	return false;
}

/* Nothing, null, and what is empty are the same. */
static bool
is_empty(struct doc d)
{
	enum doc_kind kind = doc_kind(d);

	return !doc_defined(d) || kind == DOC_NULL || (kind == DOC_STRING && doc_str(d).n == 0) ||
	    ((kind == DOC_OBJECT || kind == DOC_ARRAY) && doc_count(d) == 0);
}

static void compare(
    struct diff *d, struct buf *path, struct doc there, struct doc here, unsigned depth);

static void
compare_member(struct diff *d, struct buf *path, struct str key, struct doc there, struct doc here,
    unsigned depth)
{
	size_t n = path->n;

	if (is_own(key))
		return;
	if (n > 0)
		buf_putc(path, '.');
	buf_str(path, key);
	compare(d, path, there, here, depth + 1);
	path->n = n;
}

static void
compare_members(struct diff *d, struct buf *path, struct doc there, struct doc here, unsigned depth)
{
	struct doc_iter it = doc_iter(there);
	struct doc v;
	struct str key;

	while (doc_next(&it, &key, &v))
		compare_member(d, path, key, v, doc_get(here, key), depth);
	it = doc_iter(here);
	while (doc_next(&it, &key, &v))
		if (!doc_defined(doc_get(there, key)))
			compare_member(d, path, key, DOC_NONE, v, depth);
}

static void
compare(struct diff *d, struct buf *path, struct doc there, struct doc here, unsigned depth)
{
	bool objects = (doc_kind(there) == DOC_OBJECT || !doc_defined(there)) &&
	    (doc_kind(here) == DOC_OBJECT || !doc_defined(here));

	if (is_empty(there) && is_empty(here))
		return;
	if (objects && depth < DEPTH_MAX)
		compare_members(d, path, there, here, depth);
	else if (!doc_defined(there) || !doc_defined(here) || !doc_equal(there, here))
		tell(d, buf_view(path), there, here);
}

static struct doc
side_doc(struct diff *d, struct side *s)
{
	struct doc_parsed info;

	s->doc.n = 0;
	return doc_parse(d->parser, buf_view(&s->json), &s->doc, &info, NULL) == ERR_OK
	    ? doc_of(buf_view(&s->doc))
	    : DOC_NONE;
}

static void
compare_sides(struct diff *d)
{
	struct buf path = { 0 };

	compare(d, &path, side_doc(d, &d->there_line), side_doc(d, &d->here_line), 0);
	buf_fini(&path);
}

/* ---- identities ---- */

static bool
same_id(const void *ctx, uint32_t value, const void *key)
{
	const struct seen *s = ctx;
	const struct subject *who = key;
	struct rd r = rd_of(str_sub(buf_view(&s->bytes), value));
	struct str device = rd_lstr(&r), module = rd_lstr(&r);

	return str_eq(device, who->device) && str_eq(module, who->module);
}

static uint64_t
id_hash(const struct subject *who)
{
	return hash_table(who->device) * 31 + hash_table(who->module);
}

static bool
seen_has(const struct seen *s, const struct subject *who)
{
	return table_get(&s->index, id_hash(who), same_id, s, who) != TABLE_NONE;
}

static void
seen_add(struct seen *s, const struct subject *who)
{
	if (seen_has(s, who))
		return;
	table_add(&s->index, id_hash(who), (uint32_t)s->bytes.n);
	buf_lstr(&s->bytes, who->device);
	buf_lstr(&s->bytes, who->module);
}

static void
begin(struct diff *d, struct subject who)
{
	d->device = who.device;
	d->module = who.module;
	d->told = false;
	d->there_line.json.n = d->here_line.json.n = 0;
}

static int
here_line(struct diff *d, struct subject who)
{
	struct answer twin = { 0 };
	struct foreign_entry e;
	int code = source_twin(&d->here, who, &twin);

	d->here.identities = d->source.identities; /* keys that one does not show cannot differ */
	if (code != EXIT_DONE)
		goto done;
	if ((code = source_entry(&d->here, doc_of(buf_view(&twin.doc)), &e)) != EXIT_DONE)
		goto done;
	foreign_line(&d->here_line.json, &e);
done:
	answer_fini(&twin);
	return code;
}

static int
there_row(struct diff *d, struct doc row)
{
	struct subject who = { doc_text(doc_getc(row, "deviceId")),
		doc_text(doc_getc(row, "moduleId")) };
	struct foreign_entry e;
	int code = source_entry(&d->source, row, &e);

	if (code != EXIT_DONE)
		return code == EXIT_NOT_FOUND ? EXIT_DONE : code;
	begin(d, who);
	d->nidentity++;
	seen_add(&d->seen, &who);
	foreign_line(&d->there_line.json, &e);
	code = here_line(d, who);
	if (code == EXIT_NOT_FOUND) {
		tell_only(d, "there");
		return EXIT_DONE;
	}
	if (code == EXIT_DONE)
		compare_sides(d);
	return code;
}

static int
here_row(struct diff *d, struct doc row)
{
	struct subject who = { doc_text(doc_getc(row, "deviceId")),
		doc_text(doc_getc(row, "moduleId")) };

	if (seen_has(&d->seen, &who))
		return EXIT_DONE;
	begin(d, who);
	tell_only(d, "here");
	return EXIT_DONE;
}

static int
walk(struct diff *d, struct source *s, const char *query, int (*take)(struct diff *, struct doc))
{
	struct buf continuation = { 0 };
	struct answer page = { 0 };
	int code;

	do {
		struct doc_iter it;
		struct doc row;
		struct str key;

		code = source_page(s, query, &continuation, &page);
		it = doc_iter(page.doc.n > 0 ? doc_of(buf_view(&page.doc)) : DOC_NONE);
		while (code == EXIT_DONE && doc_next(&it, &key, &row))
			code = take(d, row);
	} while (code == EXIT_DONE && continuation.n > 0 && !ferror(stdout));
	answer_fini(&page);
	buf_fini(&continuation);
	return code;
}

/* ---- configurations ---- */

static struct doc
configuration_of(struct doc all, struct str id)
{
	struct doc_iter it = doc_iter(all);
	struct doc c;
	struct str key;

	while (doc_next(&it, &key, &c))
		if (str_eq(doc_text(doc_getc(c, "id")), id))
			return c;
	return DOC_NONE;
}

static void
configurations_compare(struct diff *d, struct doc there, struct doc here)
{
	struct doc_iter it = doc_iter(there);
	struct doc c, other;
	struct str key;

	while (doc_next(&it, &key, &c)) {
		d->configuration = doc_text(doc_getc(c, "id"));
		begin(d, (struct subject){ 0 });
		d->nconfiguration++;
		other = configuration_of(here, d->configuration);
		foreign_configuration(&d->there_line.json, d->configuration, c);
		if (doc_defined(other))
			foreign_configuration(&d->here_line.json, d->configuration, other);
		if (doc_defined(other))
			compare_sides(d);
		else
			tell_only(d, "there");
	}
	it = doc_iter(here);
	while (doc_next(&it, &key, &c)) {
		d->configuration = doc_text(doc_getc(c, "id"));
		begin(d, (struct subject){ 0 });
		if (!doc_defined(configuration_of(there, d->configuration)))
			tell_only(d, "here");
	}
}

static int
configurations_walk(struct diff *d)
{
	struct answer there = { 0 }, here = { 0 };
	int code = source_configurations(&d->source, &there);

	if (code != EXIT_DONE)
		goto done;
	if ((code = source_configurations(&d->here, &here)) != EXIT_DONE)
		goto done;
	configurations_compare(d, doc_of(buf_view(&there.doc)), doc_of(buf_view(&here.doc)));
done:
	answer_fini(&there);
	answer_fini(&here);
	return code;
}

/* ---- the whole ---- */

static int
all_of_it(struct diff *d)
{
	static const char *const queries[] = { "SELECT * FROM devices",
		"SELECT * FROM devices.modules" };
	int code = EXIT_DONE;

	for (size_t i = 0; i < 2 && code == EXIT_DONE; i++)
		code = walk(d, &d->source, queries[i], there_row);
	for (size_t i = 0; i < 2 && code == EXIT_DONE; i++)
		code = walk(d, &d->here, queries[i], here_row);
	return code == EXIT_DONE ? configurations_walk(d) : code;
}

static int
show_diff(const struct diff *d)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (d->json) {
		out_open(&o);
		out_u64(out_key(&o, "identities"), d->nidentity);
		out_u64(out_key(&o, "configurations"), d->nconfiguration);
		out_u64(out_key(&o, "different"), d->ndifferent);
		out_close(&o);
		json_say(&json);
	} else {
		printf("%llu identities and %llu configurations of the other hub compared, %llu "
		       "differ\n",
		    (unsigned long long)d->nidentity, (unsigned long long)d->nconfiguration,
		    (unsigned long long)d->ndifferent);
	}
	return d->ndifferent == 0 ? EXIT_DONE : EXIT_FAILED;
}

int
cli_diff(const struct args *a)
{
	struct diff d = { .json = output_json(a) };
	int code;

	d.parser = doc_parser_new(LINE_MAX_BYTES);
	if ((code = source_open(a, &d.source)) != EXIT_DONE)
		goto done;
	if ((code = target_open(a, &d.here.target)) != EXIT_DONE)
		goto done;
	if ((code = all_of_it(&d)) != EXIT_DONE)
		goto done;
	code = show_diff(&d);
done:
	doc_parser_free(d.parser);
	buf_fini(&d.there_line.json);
	buf_fini(&d.there_line.doc);
	buf_fini(&d.here_line.json);
	buf_fini(&d.here_line.doc);
	buf_fini(&d.seen.bytes);
	table_fini(&d.seen.index);
	source_fini(&d.source);
	source_fini(&d.here);
	return code;
}
