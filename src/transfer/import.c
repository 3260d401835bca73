/*
 * Lines in: parsed here, sent to the workers in parcels, some of them under way at a time, and waited for.
 */
#include "transfer/transfer.h"

#include "hub/bodies.h"
#include "os/thread.h"

#include <stdlib.h>

#define UNDER_WAY_MAX 64u        /* parcels of one call */
#define LINE_MAX      (8u << 20) /* bytes */
#define SHARDS_STEP   37u        /* odd: each comes once, neighbours far from each other */

/* A line that can be applied. Its strings are in docs. */
struct item {
	const struct import_mode *mode;
	uint32_t shard, line, nduplicate;
	struct span device, module, tag, doc;
};

struct import {
	const struct import_options *o;
	struct import_result *out;
	struct doc_parser *parser;
	struct buf docs;   /* of all items */
	struct buf shaped; /* of one line */
	struct item *items;
	uint32_t n, cap;
	unsigned under_way; /* parcels */
	pthread_mutex_t mu;
	pthread_cond_t came;
	struct parcel *back; /* those that are done, with mu */
	struct fault stop;   /* why it cannot go on */
};

/* ---- faults ---- */

static struct span
keep(struct import_result *r, struct str s)
{
	struct span at = { (uint32_t)r->texts.n, (uint32_t)s.n };

	buf_str(&r->texts, s);
	return at;
}

static struct import_fault *
fault_add(struct import_result *r, uint64_t line, enum fault_code code, struct str text)
{
	struct import_fault *f;

	if (r->nfault == r->capfault) {
		r->capfault = r->capfault ? r->capfault * 2 : 64;
		r->faults = xrealloc(r->faults, r->capfault * sizeof(*r->faults));
	}
	f = &r->faults[r->nfault++];
	*f = (struct import_fault){ .line = line, .code = code, .text = keep(r, text) };
	return f;
}

static int
by_line(const void *a, const void *b)
{
	uint64_t x = ((const struct import_fault *)a)->line,
	         y = ((const struct import_fault *)b)->line;

	return (x > y) - (x < y);
}

/* ---- parcels that come back ---- */

static void
parcel_done(struct parcel *p)
{
	struct import *im = p->owner;

	pthread_mutex_lock(&im->mu);
	p->next = im->back;
	im->back = p;
	pthread_cond_signal(&im->came);
	pthread_mutex_unlock(&im->mu);
}

/* Was this line applied by a call whose answer got lost? */
static bool
was_there(const struct import *im, const struct cargo_item *item)
{
	if (!im->o->again)
		return false;
	return item->fault == F_DeviceAlreadyExists ||
	    item->fault == F_ModuleAlreadyExistsOnDevice ||
	    (item->kind == OP_IDENTITY_DELETE &&
	        (item->fault == F_DeviceNotFound || item->fault == F_ModuleNotFound));
}

static void
item_back(struct import *im, const struct parcel *p, const struct cargo_item *item)
{
	uint64_t line = im->o->first_line + item->line;
	int status = fault_status(item->fault);
	struct str text = span_str(&p->cargo.texts, item->text);
	struct import_fault *f;

	if (item->fault == F_NONE || was_there(im, item)) {
		im->out->ndone++;
		im->out->nthere += item->fault != F_NONE;
	} else if (status == 503 || status == 429) {
		fault_set(&im->stop, item->fault, STR_FMT, STR_ARG(text));
	} else {
		f = fault_add(im->out, line, item->fault, text);
		f->device = keep(im->out, span_str(&p->cargo.bytes, item->device));
		f->module = keep(im->out, span_str(&p->cargo.bytes, item->module));
	}
}

/* Take what is back; wait for it until at most `most` are under way. */
static void
parcels_back(struct import *im, unsigned most)
{
	struct parcel *p, *next;

	do {
		pthread_mutex_lock(&im->mu);
		while (im->back == NULL && im->under_way > most)
			pthread_cond_wait(&im->came, &im->mu);
		p = im->back;
		im->back = NULL;
		pthread_mutex_unlock(&im->mu);
		for (; p != NULL; p = next) {
			next = p->next;
			im->under_way--;
			for (uint32_t i = 0; i < p->cargo.n; i++)
				item_back(im, p, &p->cargo.items[i]);
			parcel_free(p);
		}
	} while (im->under_way > most);
}

/* ---- one line ---- */

static bool
take_id(struct doc d, struct str key, struct str *out)
{
	struct doc v = doc_get(d, key);

	*out = doc_kind(v) == DOC_STRING ? doc_str(v) : STR_NONE;
	return doc_kind(v) == DOC_STRING || doc_kind(v) == DOC_NULL || !doc_defined(v);
}

static enum err
take_ids(struct doc d, struct str *device, struct str *module, struct fault *f)
{
	*device = *module = STR_NONE;
	if (doc_kind(d) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "the line is not a JSON object");
	if (!doc_defined(doc_getc(d, "id")) && doc_defined(doc_getc(d, "deviceId")))
		return fault_set(f, F_ArgumentInvalid, "deviceId is no member of a line, id is");
	if (!take_id(d, STR("id"), device) || !take_id(d, STR("moduleId"), module))
		return fault_set(f, F_ArgumentInvalid, "id or moduleId is not a string");
	if (!id_valid(*device) || (module->n != 0 && !id_valid(*module)))
		return fault_set(f, F_ArgumentInvalid,
		    "the id is not 1 to %d of the characters that ids may have", ID_MAX);
	return ERR_OK;
}

/* Whose line it is that has not the shape of one. */
static void
ids_tell(struct doc d, struct str *device, struct str *module)
{
	*device = doc_text(shape_get(d, &body_item, STR("id")));
	*module = doc_text(shape_get(d, &body_item, STR("moduleId")));
}

/* A part of docs. */
static struct span
part(const struct import *im, struct str s)
{
	if (s.n == 0)
		return (struct span){ 0, 0 };
	return (struct span){ (uint32_t)(s.p - im->docs.p), (uint32_t)s.n };
}

/* docs ends with d. */
static void
item_add(struct import *im, struct doc d, struct str device, struct str module,
    const struct import_mode *mode, uint32_t nduplicate, uint32_t line)
{
	if (im->n == im->cap) {
		im->cap = im->cap ? im->cap * 2 : 256;
		im->items = xrealloc(im->items, im->cap * sizeof(*im->items));
	}
	im->items[im->n++] = (struct item){ .mode = mode,
		.shard = hub_shard_of(device),
		.line = line,
		.nduplicate = nduplicate,
		.device = part(im, device),
		.module = part(im, module),
		.tag = part(im, tag_plain(import_tag(d, mode))),
		.doc = part(im, doc_bytes(d)) };
}

/* The doc that docs ends with, its scalars in the kinds of an item. */
static enum err
take_shape(struct import *im, size_t start, struct fault *f)
{
	struct doc d = doc_of(str_sub(buf_view(&im->docs), start));
	enum err e;

	im->shaped.n = 0;
	if ((e = doc_shape(d, &body_item, &im->shaped, &d, f)) != ERR_OK)
		return e;
	if (im->shaped.n > 0) {
		im->docs.n = start;
		buf_str(&im->docs, buf_view(&im->shaped));
	}
	return ERR_OK;
}

/* What stands behind "name": in a line that is no JSON, perhaps for a fault behind it; a guess, for people. */
static struct str
text_member(struct str line, struct str name)
{
	const char *at = memmem(line.p, line.n, name.p, name.n);
	struct str value, rest;

	if (at == NULL)
		return STR_NONE;
	rest = str_sub(line, (size_t)(at - line.p) + name.n);
	while (rest.n > 0 && char_among(rest.p[0], " \t:"))
		rest = str_sub(rest, 1);
	if (rest.n == 0 || rest.p[0] != '"' || !str_cut(str_sub(rest, 1), '"', &value, &rest) ||
	    !id_valid(value))
		return STR_NONE;
	return value;
}

/* Whose line it is, as far as it says: also an id that is none, up to what one may have. */
static void
fault_name_it(struct import *im, struct import_fault *refused, struct str line, struct str device,
    struct str module)
{
	if (refused->code == F_IotHubFormatError) {
		device = text_member(line, STR("\"id\""));
		module = text_member(line, STR("\"moduleId\""));
	}
	if (device.n <= ID_MAX)
		refused->device = keep(im->out, device);
	if (module.n <= ID_MAX)
		refused->module = keep(im->out, module);
}

static enum err
stray_refuse(struct doc d, struct fault *f)
{
	struct buf why = { 0 };
	enum err e = ERR_OK;

	if (body_stray(d, &body_item, &why))
		e = fault_set(f, F_ArgumentInvalid, STR_FMT, STR_ARG(buf_view(&why)));
	buf_fini(&why);
	return e;
}

static void
stray_note(struct import *im, struct doc d, uint32_t line)
{
	unsigned long long at = im->o->first_line + line;
	struct buf why = { 0 };

	if (im->out->stray.n == 0 && body_stray(d, &body_item, &why))
		buf_printf(&im->out->stray, "line %llu: " STR_FMT, at, STR_ARG(buf_view(&why)));
	buf_fini(&why);
}

static void
line_take(struct import *im, struct str text, uint32_t line)
{
	const struct import_mode *mode = NULL;
	struct str device = STR_NONE, module = STR_NONE;
	size_t start = im->docs.n;
	struct fault f = { 0 };
	struct doc_parsed info;
	struct import_fault *refused;
	struct doc d;

	if (doc_parse(im->parser, text, &im->docs, &info, &f) == ERR_OK) {
		bool fits = take_shape(im, start, &f) == ERR_OK;

		d = doc_of(str_sub(buf_view(&im->docs), start));
		if (!fits)
			ids_tell(d, &device, &module);
		else if (take_ids(d, &device, &module, &f) == ERR_OK &&
		    (!im->o->strict || stray_refuse(d, &f) == ERR_OK))
			mode = import_mode_of(d, im->o->mode, &f);
	}
	if (mode != NULL) {
		stray_note(im, d, line);
		item_add(im, d, device, module, mode, info.nduplicate, line);
		return;
	}
	refused = fault_add(im->out, im->o->first_line + line, f.code, str_of(f.text));
	fault_name_it(im, refused, text, device, module);
	im->docs.n = start;
}

/* ---- items on their way: in the order of the store's keys, which is how it takes them best ---- */

static int
by_key(const void *a, const void *b, void *docs)
{
	const struct item *x = a, *y = b;
	int c;

	if (x->shard != y->shard)
		return x->shard < y->shard ? -1 : 1;
	c = str_cmp(span_str(docs, x->device), span_str(docs, y->device));
	if (c != 0)
		return c;
	return (x->line > y->line) - (x->line < y->line); /* a device's lines in their order */
}

static struct span
moved(struct span s, const struct item *item, size_t at)
{
	return s.n == 0 ? s : (struct span){ (uint32_t)(s.at - item->doc.at + at), s.n };
}

static void
parcel_add(struct import *im, struct parcel *p, const struct item *item)
{
	size_t at = p->cargo.bytes.n;
	struct str tag = span_str(&im->docs, item->tag);

	buf_str(&p->cargo.bytes, span_str(&im->docs, item->doc));
	p->cargo.items[p->cargo.n++] = (struct cargo_item){ .kind = item->mode->op,
		.import = item->mode->import | (im->o->whole ? IMPORT_WHOLE : 0),
		.if_match = item->mode->tag == NULL ? IF_NONE
		    : str_eq(tag, STR("*"))         ? IF_ANY
		                                    : IF_TAG,
		.nduplicate = item->nduplicate,
		.line = item->line,
		.device = moved(item->device, item, at),
		.module = moved(item->module, item, at),
		.if_tag = moved(item->tag, item, at),
		.payload = { (uint32_t)at, item->doc.n } };
}

/* One parcel of the items from..to, which are one shard's; where the next one begins. */
static uint32_t
parcel_send(struct import *im, uint32_t from, uint32_t to)
{
	struct parcel *p = parcel_new(parcel_done, im, im->o->actor);
	uint32_t shard = im->items[from].shard;

	while (from < to && p->cargo.n < PARCEL_ITEMS_MAX && p->cargo.bytes.n < PARCEL_BYTES_MAX)
		parcel_add(im, p, &im->items[from++]);
	parcels_back(im, UNDER_WAY_MAX - 1);
	im->under_way++;
	fleet_parcel(im->o->fleet, shard, p);
	return from;
}

/* All workers have something to do from the beginning: a parcel for each shard, in steps of a stretch of them, and again. */
static void
items_send(struct import *im)
{
	uint32_t at[SHARDS], to[SHARDS], i = 0;
	bool more = im->n > 0;

	array_sort_with(im->items, im->n, sizeof(im->items[0]), by_key, &im->docs);
	for (uint32_t s = 0; s < SHARDS; s++) {
		at[s] = i;
		while (i < im->n && im->items[i].shard == s)
			i++;
		to[s] = i;
	}
	while (more && im->stop.code == F_NONE) {
		more = false;
		for (uint32_t k = 0; k < SHARDS; k++) {
			uint32_t s = k * SHARDS_STEP % SHARDS;

			if (at[s] < to[s])
				at[s] = parcel_send(im, at[s], to[s]);
			more |= at[s] < to[s];
		}
	}
	parcels_back(im, 0);
}

/* ---- all of them ---- */

static bool
blank(struct str line)
{
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] != ' ' && line.p[i] != '\t' && line.p[i] != '\r')
			return false;
	return true;
}

static bool
next_line(struct str *rest, struct str *line)
{
	if (rest->n == 0)
		return false;
	str_cut(*rest, '\n', line, rest);
	return true;
}

static uint32_t
count_lines(struct str text)
{
	struct str line;
	uint32_t n = 0;

	while (next_line(&text, &line) && n <= IMPORT_LINES_MAX)
		n += !blank(line);
	return n;
}

static void
take_lines(struct import *im, struct str text)
{
	struct str line;

	for (uint32_t i = 0; next_line(&text, &line); i++) {
		im->out->nline++;
		if (!blank(line))
			line_take(im, line, i);
	}
	items_send(im);
}

enum err
import_lines(
    const struct import_options *o, struct str text, struct import_result *out, struct fault *f)
{
	struct import im = { .o = o, .out = out };

	*out = (struct import_result){ 0 };
	if (count_lines(text) > IMPORT_LINES_MAX) {
		fault_set(f, F_GenericRequestEntityTooLarge,
		    "there are more than %u lines, the limit", IMPORT_LINES_MAX);
		return ERR_SIZE;
	}
	im.parser = doc_parser_new(LINE_MAX);
	pthread_mutex_init(&im.mu, NULL);
	cond_init(&im.came);
	take_lines(&im, text);
	pthread_cond_destroy(&im.came);
	pthread_mutex_destroy(&im.mu);
	doc_parser_free(im.parser);
	buf_fini(&im.docs);
	buf_fini(&im.shaped);
	free(im.items);
	array_sort(out->faults, out->nfault, sizeof(out->faults[0]), by_line);
	if (im.stop.code == F_NONE)
		return ERR_OK;
	*f = im.stop;
	return ERR_IO;
}

void
import_result_fini(struct import_result *r)
{
	free(r->faults);
	buf_fini(&r->texts);
	buf_fini(&r->stray);
	*r = (struct import_result){ 0 };
}

static void
put_fault(struct out *o, const struct import_result *r, const struct import_fault *f)
{
	struct buf status = { 0 };

	out_open(o);
	out_u64(out_key(o, "line"), f->line);
	out_some_str(o, "deviceId", span_str(&r->texts, f->device));
	out_some_str(o, "moduleId", span_str(&r->texts, f->module));
	out_i64(out_key(o, "errorCode"), fault_number(f->code));
	buf_cstr(&status, fault_name(f->code));
	buf_cstr(&status, ": ");
	buf_str(&status, span_str(&r->texts, f->text));
	out_str(out_key(o, "errorStatus"), buf_view(&status));
	out_close(o);
	buf_fini(&status);
}

void
import_faults_put(struct out *o, const struct import_result *r)
{
	for (uint32_t i = 0; i < r->nfault; i++)
		put_fault(o, r, &r->faults[i]);
}

void
import_faults_write(struct buf *lines, const struct import_result *r)
{
	for (uint32_t i = 0; i < r->nfault; i++) {
		struct out o = out_to(lines);

		put_fault(&o, r, &r->faults[i]);
		buf_putc(lines, '\n');
	}
}

void
import_long_line_write(struct buf *lines, uint64_t line, uint64_t size)
{
	struct out o = out_to(lines);

	out_open(&o);
	out_u64(out_key(&o, "line"), line);
	out_i64(out_key(&o, "errorCode"), fault_number(F_GenericRequestEntityTooLarge));
	out_format(out_key(&o, "errorStatus"), "%s: the line has %llu bytes, the limit is %zu",
	    fault_name(F_GenericRequestEntityTooLarge), (unsigned long long)size, IMPORT_LINE_MAX);
	out_close(&o);
	buf_putc(lines, '\n');
}
