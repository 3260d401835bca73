/*
 * Lines in: parsed here, sent to the workers in parcels, some of them under way at a time, and waited for.
 */
#include "transfer/transfer.h"

#include <pthread.h>
#include <stdlib.h>

#define UNDER_WAY_MAX 64u        /* parcels of one call */
#define LINE_MAX      (8u << 20) /* bytes */

struct import {
	const struct import_options *o;
	struct import_result *out;
	struct doc_parser *parser;
	struct buf doc;
	struct parcel **filling; /* one a worker; NULL: none is begun */
	unsigned nworker, under_way;
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
was_there(const struct import *im, const struct parcel_item *item)
{
	if (!im->o->again)
		return false;
	return item->fault == F_DeviceAlreadyExists ||
	    item->fault == F_ModuleAlreadyExistsOnDevice ||
	    (item->kind == OP_IDENTITY_DELETE &&
	        (item->fault == F_DeviceNotFound || item->fault == F_ModuleNotFound));
}

static void
item_back(struct import *im, const struct parcel *p, const struct parcel_item *item)
{
	uint64_t line = im->o->first_line + item->line;
	int status = fault_status(item->fault);
	struct str text = span_str(&p->texts, item->text);
	struct import_fault *f;

	if (item->fault == F_NONE || was_there(im, item)) {
		im->out->ndone++;
		im->out->nthere += item->fault != F_NONE;
	} else if (status == 503 || status == 429) {
		fault_set(&im->stop, item->fault, STR_FMT, STR_ARG(text));
	} else {
		f = fault_add(im->out, line, item->fault, text);
		f->device = keep(im->out, span_str(&p->bytes, item->device));
		f->module = keep(im->out, span_str(&p->bytes, item->module));
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
			for (uint32_t i = 0; i < p->n; i++)
				item_back(im, p, &p->items[i]);
			parcel_free(p);
		}
	} while (im->under_way > most);
}

static void
parcel_send(struct import *im, unsigned worker)
{
	struct parcel *p = im->filling[worker];

	im->filling[worker] = NULL;
	if (p == NULL)
		return;
	parcels_back(im, UNDER_WAY_MAX - 1);
	im->under_way++;
	fleet_parcel(im->o->fleet, worker, p);
}

/* ---- one line ---- */

static bool
take_id(struct doc d, struct str key, struct str *out)
{
	struct doc v = doc_get(d, key);

	*out = doc_kind(v) == DOC_STRING ? doc_str(v) : STR_NONE;
	return doc_kind(v) == DOC_STRING || doc_kind(v) == DOC_NULL || !doc_defined(v);
}

static bool
ids_fit(struct doc d, struct str *device, struct str *module, struct fault *f)
{
	*device = *module = STR_NONE;
	if (doc_kind(d) != DOC_OBJECT)
		fault_set(f, F_ArgumentInvalid, "the line is not a JSON object");
	else if (!take_id(d, STR("id"), device) || !take_id(d, STR("moduleId"), module))
		fault_set(f, F_ArgumentInvalid, "id or moduleId is not a string");
	else if (!id_valid(*device) || (module->n != 0 && !id_valid(*module)))
		fault_set(f, F_ArgumentInvalid,
		    "the id is not 1 to %d of the characters that ids may have", ID_MAX);
	return f->code == F_NONE;
}

/* A part of the document, where it lies in the parcel. */
static struct span
moved(struct str part, const struct buf *doc, size_t at)
{
	if (part.n == 0)
		return (struct span){ 0, 0 };
	return (struct span){ (uint32_t)(at + (size_t)(part.p - doc->p)), (uint32_t)part.n };
}

static void
item_add(struct import *im, struct str device, struct str module, const struct import_mode *mode,
    uint32_t nduplicate, uint32_t line)
{
	unsigned worker = fleet_worker_of(im->o->fleet, device);
	struct str tag = tag_plain(import_tag(doc_of(buf_view(&im->doc)), mode));
	struct parcel *p = im->filling[worker];
	struct parcel_item *item;
	size_t at;

	if (p == NULL)
		p = im->filling[worker] = parcel_new(parcel_done, im, im->o->actor);
	at = p->bytes.n;
	buf_str(&p->bytes, buf_view(&im->doc));
	item = &p->items[p->n++];
	*item = (struct parcel_item){ .kind = mode->op,
		.import = mode->import | (im->o->whole ? IMPORT_WHOLE : 0),
		.nduplicate = nduplicate,
		.line = line,
		.device = moved(device, &im->doc, at),
		.module = moved(module, &im->doc, at),
		.payload = { (uint32_t)at, (uint32_t)im->doc.n } };
	if (mode->tag != NULL) {
		item->if_match = str_eq(tag, STR("*")) ? IF_ANY : IF_TAG;
		item->if_tag = moved(tag, &im->doc, at);
	}
	if (p->n == PARCEL_ITEMS_MAX || p->bytes.n >= PARCEL_BYTES_MAX)
		parcel_send(im, worker);
}

static void
line_take(struct import *im, struct str text, uint32_t line)
{
	const struct import_mode *mode = NULL;
	struct str device = STR_NONE, module = STR_NONE;
	struct fault f = { 0 };
	struct doc_parsed info;
	struct doc d = DOC_NONE;

	im->doc.n = 0;
	if (doc_parse(im->parser, text, &im->doc, &info, &f) == ERR_OK) {
		d = doc_of(buf_view(&im->doc));
		if (ids_fit(d, &device, &module, &f))
			mode = import_mode_of(d, im->o->mode, &f);
	}
	if (mode != NULL) {
		item_add(im, device, module, mode, info.nduplicate, line);
	} else {
		struct import_fault *at =
		    fault_add(im->out, im->o->first_line + line, f.code, str_of(f.text));

		if (id_valid(device))
			at->device = keep(im->out, device);
		if (id_valid(module))
			at->module = keep(im->out, module);
	}
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
		if (!blank(line) && im->stop.code == F_NONE)
			line_take(im, line, i);
	}
	for (unsigned w = 0; w < im->nworker; w++)
		parcel_send(im, w);
	parcels_back(im, 0);
}

enum err
import_lines(
    const struct import_options *o, struct str text, struct import_result *out, struct fault *f)
{
	struct import im = { .o = o, .out = out, .nworker = fleet_workers(o->fleet) };

	*out = (struct import_result){ 0 };
	if (count_lines(text) > IMPORT_LINES_MAX) {
		fault_set(f, F_GenericRequestEntityTooLarge,
		    "there are more than %u lines, the limit", IMPORT_LINES_MAX);
		return ERR_SIZE;
	}
	im.parser = doc_parser_new(LINE_MAX);
	im.filling = xcalloc(im.nworker, sizeof(struct parcel *));
	pthread_mutex_init(&im.mu, NULL);
	pthread_cond_init(&im.came, NULL);
	take_lines(&im, text);
	pthread_cond_destroy(&im.came);
	pthread_mutex_destroy(&im.mu);
	doc_parser_free(im.parser);
	buf_fini(&im.doc);
	free(im.filling);
	if (out->nfault > 0)
		qsort(out->faults, out->nfault, sizeof(out->faults[0]), by_line);
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
	*r = (struct import_result){ 0 };
}

static void
put_text(struct buf *json, const char *name, struct str value)
{
	if (json->p[json->n - 1] != '{')
		buf_putc(json, ',');
	buf_printf(json, "\"%s\":", name);
	doc_write_json_str(json, value);
}

void
import_faults_write(struct buf *json, const struct import_result *r, bool lines)
{
	for (uint32_t i = 0; i < r->nfault; i++) {
		const struct import_fault *f = &r->faults[i];
		struct buf status = { 0 };

		if (i > 0 && !lines)
			buf_putc(json, ',');
		buf_putc(json, '{');
		if (!lines)
			buf_printf(json, "\"line\":%llu", (unsigned long long)f->line);
		if (f->device.n > 0)
			put_text(json, "deviceId", span_str(&r->texts, f->device));
		if (f->module.n > 0)
			put_text(json, "moduleId", span_str(&r->texts, f->module));
		if (json->p[json->n - 1] != '{')
			buf_putc(json, ',');
		buf_printf(json, "\"errorCode\":%d", (int)f->code);
		buf_cstr(&status, fault_name(f->code));
		buf_cstr(&status, ": ");
		buf_str(&status, span_str(&r->texts, f->text));
		put_text(json, "errorStatus", buf_view(&status));
		buf_cstr(json, lines ? "}\n" : "}");
		buf_fini(&status);
	}
}
