/* Requests under way: slots for the answers to find them, their parts, and the works that come of them. */
#include "http/priv.h"
#include "metric/metric.h"

#include <stdlib.h>

struct request *
request_new(struct http_loop *hl, const struct transport *by, void *link, const struct ask *ask)
{
	struct request *r = xcalloc(1, sizeof(*r));

	r->hl = hl;
	r->by = by;
	r->link = link;
	r->ask = *ask;
	r->began_us = loop_now_us(hl->loop);
	r->slot = slot_take(&hl->requests, r);
	hl->nbusy++;
	metric_add(METRIC_REQUESTS_RUNNING, 0, 1);
	return r;
}

void
request_end(struct request *r)
{
	slot_free(&r->hl->requests, r->slot);
	r->hl->nbusy--;
	metric_add(METRIC_REQUESTS_RUNNING, 0, -1);
	work_free(r->then);
	ticket_free(r->ticket);
	loop_timer_clear(r->hl->loop, &r->timer);
	arena_fini(&r->arena);
	free(r);
}

struct reply_to
request_address(const struct request *r)
{
	return (struct reply_to){ .node = (uint8_t)fleet_slot(r->hl->o.fleet),
		.loop = (uint16_t)loop_index(r->hl->loop),
		.slot = r->slot,
		.generation = slot_generation(&r->hl->requests, r->slot) };
}

struct request *
request_of(struct http_loop *hl, struct reply_to to)
{
	return slot_get(&hl->requests, to.slot, to.generation);
}

/* ---- parts of a request ---- */

struct str
request_header(const struct request *r, const char *name)
{
	for (size_t i = 0; i < r->ask.nheader; i++)
		if (str_ieq(r->ask.headers[i].name, str_of(name)))
			return r->ask.headers[i].value;
	return STR_NONE;
}

struct str
request_decoded(struct request *r, struct str raw)
{
	char *p = arena_alloc(&r->arena, raw.n + 1);

	return (struct str){ p, percent_decode(raw, p) };
}

struct str
request_param(struct request *r, const char *name)
{
	struct str rest = r->query, pair, key, value;

	while (rest.n > 0) {
		str_cut(rest, '&', &pair, &rest);
		str_cut(pair, '=', &key, &value);
		if (str_ieq(key, str_of(name)))
			return request_decoded(r, value);
	}
	return STR_NONE;
}

bool
request_has_param(const struct request *r, const char *name)
{
	struct str rest = r->query, pair, key, value;

	while (rest.n > 0) {
		str_cut(rest, '&', &pair, &rest);
		str_cut(pair, '=', &key, &value);
		if (str_ieq(key, str_of(name)))
			return true;
	}
	return false;
}

enum err
request_knows(const struct request *r, const char *const *names, size_t n, struct fault *f)
{
	struct str rest = r->query, pair, key, value;

	while (rest.n > 0) {
		size_t i = 0;

		str_cut(rest, '&', &pair, &rest);
		str_cut(pair, '=', &key, &value);
		while (i < n && !str_ieq(key, str_of(names[i])))
			i++;
		if (i == n && key.n != 0)
			return fault_set(
			    f, F_ArgumentInvalid, STR_FMT " is no parameter of this", STR_ARG(key));
	}
	return ERR_OK;
}

enum err
request_flag(struct request *r, const char *name, bool *out, struct fault *f)
{
	struct str v = request_param(r, name);

	*out = false;
	if (v.p == NULL || text_to_bool(v, out))
		return ERR_OK;
	return fault_set(f, F_ArgumentInvalid, "%s is neither true nor false", name);
}

enum err
request_number(
    struct request *r, const char *name, int64_t least, int64_t most, int64_t *out, struct fault *f)
{
	struct str v = request_param(r, name);
	int64_t n;

	if (v.n == 0) /* name= as some clients write what they do not set */
		return ERR_OK;
	if (!text_to_int(v, least, most, &n))
		return fault_set(f, F_ArgumentInvalid, "%s is not a number from %lld to %lld", name,
		    (long long)least, (long long)most);
	*out = n;
	return ERR_OK;
}

/* What is written otherwise than its shape says is replaced by what it should be. */
static enum err
take_shape(struct http_loop *hl, const struct shape *shape, struct fault *f)
{
	struct doc body;
	struct buf as_sent = hl->doc;
	enum err e;

	hl->shaped.n = 0;
	e = doc_shape(doc_of(buf_view(&hl->doc)), shape, &hl->shaped, &body, f);
	if (e != ERR_OK)
		return e;
	if (hl->shaped.n > 0) {
		hl->doc = hl->shaped;
		hl->shaped = as_sent;
	}
	return ERR_OK;
}

enum err
request_parse(
    struct request *r, const struct shape *shape, struct doc_parsed *info, struct fault *f)
{
	enum err e;

	r->hl->doc.n = 0;
	if (r->ask.body.n == 0)
		return fault_set(f, F_ArgumentNull, "BadRequest: the request has no body");
	e = doc_parse(r->hl->parser, r->ask.body, &r->hl->doc, info, f);
	if (e != ERR_OK || shape == NULL)
		return e;
	return take_shape(r->hl, shape, f);
}

bool
request_doc(struct request *r, const struct shape *shape, struct doc_parsed *info)
{
	struct fault f = { 0 };

	if (request_parse(r, shape, info, &f) == ERR_OK)
		return true;
	reply_fault(r, &f);
	return false;
}

struct work *
request_work(struct request *r, enum op_kind kind, size_t room, void (*done)(struct work *w))
{
	struct str device = r->segment[1], module = path_module(r);
	struct work *w = work_new(r->hl->loop, room + device.n + module.n + r->asker.n, done);

	w->op.kind = kind;
	w->op.actor = r->actor;
	w->op.actor_name = work_str(w, r->asker);
	w->op.device = work_str(w, device);
	w->op.module = work_str(w, module);
	w->op.reply_to = request_address(r);
	w->owner = r->hl;
	return w;
}

size_t
request_if_match_room(const struct request *r)
{
	return request_header(r, "If-Match").n;
}

void
work_if_match(struct work *w, struct str tag)
{
	tag = tag_plain(tag);
	w->op.if_match = str_eq(tag, STR("*")) ? IF_ANY : IF_TAG;
	w->op.if_tag = work_str(w, tag);
}

void
request_if_match(struct request *r, struct work *w)
{
	struct str tag = request_header(r, "If-Match");

	if (tag.p != NULL)
		work_if_match(w, tag);
}

/* Whose share of the workers a request takes: a device's own, or a policy's from one address. What asks who it is, in the
 * name of a device, takes nothing from the device. */
static uint64_t
share_of(const struct request *r)
{
	if (r->actor == ACTOR_DEVICE)
		return asker_key(r->asker, STR_NONE);
	return asker_key(r->asker.n > 0 ? r->asker : r->segment[1], net_addr_party(&r->ask.from));
}

void
request_submit(struct request *r, struct work *w)
{
	w->asker = share_of(r);
	fleet_submit(r->hl->o.fleet, w);
}
