/*
 * Bulk calls (service-rest.md 8): each item becomes an operation of its own, on its own shard; the answer is written when
 * the last has come back. Items stand alone: what one fails with is its own line in the answer.
 *
 * Two rounds: first the edge scopes that items name are checked, then all items go, in their order, so that a module may
 * follow its device.
 */
#include "http/priv.h"

#include <stdio.h>

#define BULK_MAX 100u /* items (L-38) */

struct item {
	struct str device, module, mode; /* in the arena */
	struct doc body;                 /* as its shape says: as sent, or in room */
	struct buf room;
	struct work *work; /* NULL: submitted, or never to be */
	struct fault fault;
	struct buf answer;
};

struct gather {
	uint32_t n, nleft;
	void (*reply)(struct request *r);
	struct str keys; /* policyKey of a regeneration */
	struct item item[];
};

/* ---- rounds ---- */

static void
done_item(struct work *w)
{
	struct request *r = request_of(w->owner, w->op.reply_to);
	struct gather *g = r->gather; /* it waits for this one */
	struct item *item = &g->item[w->tag];

	item->fault = w->reply.fault;
	item->answer = w->reply.body;
	w->reply.body = (struct buf){ 0 };
	work_free(w);
	if (--g->nleft == 0)
		g->reply(r);
}

static void
submit_items(struct request *r)
{
	struct gather *g = r->gather;

	g->nleft = 1; /* nobody answers while items are still to go */
	for (uint32_t i = 0; i < g->n; i++) {
		struct work *w = g->item[i].work;

		g->item[i].work = NULL;
		if (g->item[i].fault.code != F_NONE || w == NULL) {
			work_free(w);
			continue;
		}
		g->nleft++;
		request_submit(r, w);
	}
	if (--g->nleft == 0)
		g->reply(r);
}

static void
done_scope(struct work *w)
{
	struct request *r = request_of(w->owner, w->op.reply_to);

	r->gather->item[w->tag].fault = w->reply.fault;
	work_free(w);
	if (--r->gather->nleft == 0)
		submit_items(r);
}

static struct work *
item_work(
    struct request *r, uint32_t i, enum op_kind kind, size_t room, void (*done)(struct work *))
{
	const struct item *item = &r->gather->item[i];
	struct work *w =
	    work_new(r->hl->loop, room + item->device.n + item->module.n + r->asker.n, done);

	w->op.kind = kind;
	w->op.actor = ACTOR_POLICY;
	w->op.actor_name = work_str(w, r->asker);
	w->op.device = work_str(w, item->device);
	w->op.module = work_str(w, item->module);
	w->op.reply_to = request_address(r);
	w->owner = r->hl;
	w->tag = i;
	return w;
}

/* The scope of an edge device, or a fault. NULL: nothing to ask. */
static struct work *
scope_work(struct request *r, uint32_t i)
{
	struct item *item = &r->gather->item[i];
	struct str scope, device;
	struct work *w;

	if (item->work == NULL || item->work->op.kind != OP_IDENTITY_IMPORT || item->module.n != 0)
		return NULL;
	scope = scope_wanted(doc_of(item->work->op.payload));
	if (scope.n == 0)
		return NULL;
	if (!scope_device(scope, &device)) {
		fault_set(&item->fault, F_ArgumentInvalid,
		    "deviceScope is not the scope of an edge device");
		return NULL;
	}
	w = work_new(r->hl->loop, scope.n + device.n, done_scope);
	w->op.kind = OP_SCOPE_CHECK;
	w->op.actor = ACTOR_POLICY;
	w->op.device = work_str(w, device);
	w->op.if_tag = work_str(w, scope);
	w->op.reply_to = request_address(r);
	w->owner = r->hl;
	w->tag = i;
	return w;
}

static void
begin(struct request *r)
{
	struct gather *g = r->gather;

	g->nleft = 1;
	for (uint32_t i = 0; i < g->n; i++) {
		struct work *w = scope_work(r, i);

		if (w == NULL)
			continue;
		g->nleft++;
		request_submit(r, w);
	}
	if (--g->nleft == 0)
		submit_items(r);
}

/* ---- the items of a body ---- */

static bool
take_id(struct request *r, struct doc d, struct str key, struct str *out)
{
	struct doc v = shape_get(d, &body_item, key);

	*out = STR_NONE;
	if (doc_kind(v) != DOC_STRING)
		return !doc_defined(v) || doc_kind(v) == DOC_NULL;
	*out = arena_str(&r->arena, doc_str(v));
	return true;
}

static void
gather_fini(struct gather *g)
{
	for (uint32_t i = 0; i < g->n; i++)
		buf_fini(&g->item[i].answer), buf_fini(&g->item[i].room);
}

static enum err
take_item(struct request *r, struct doc d, uint32_t i, struct fault *f)
{
	struct item *item = &r->gather->item[i];

	if (doc_shape(d, &body_item, &item->room, &d, &item->fault) == ERR_OK)
		item->body = d;
	if (doc_kind(d) != DOC_OBJECT || !take_id(r, d, STR("id"), &item->device) ||
	    item->device.n == 0 || !take_id(r, d, STR("moduleId"), &item->module))
		return fault_set(f, F_ArgumentInvalid, "item %u is not an object with an id", i);
	if (!id_valid(item->device) || (item->module.n != 0 && !id_valid(item->module)))
		fault_set(&item->fault, F_ArgumentInvalid,
		    "the id is not 1 to %d of the characters that ids may have", ID_MAX);
	for (uint32_t j = 0; j < i; j++) {
		if (str_eq(item->device, r->gather->item[j].device) &&
		    str_eq(item->module, r->gather->item[j].module))
			return fault_set(f, F_DeviceDefinedMultipleTimes, STR_FMT " is there twice",
			    STR_ARG(item->device));
	}
	return ERR_OK;
}

/* Every item by its id, in r->gather; on false the request is answered. */
static bool
take_items(struct request *r, struct doc list, void (*reply)(struct request *r))
{
	uint32_t n = doc_kind(list) == DOC_ARRAY ? doc_count(list) : 0;
	struct doc_iter it = doc_iter(list);
	struct fault f = { 0 };
	struct str key;
	struct doc d;

	if (n == 0) {
		reply_error(r, F_ArgumentInvalid, "there is no array of items");
		return false;
	}
	if (n > BULK_MAX) {
		reply_error(
		    r, F_TooManyDevices, "there are %u items, the limit is %u", n, BULK_MAX);
		return false;
	}
	r->gather = arena_alloc(&r->arena, sizeof(*r->gather) + n * sizeof(struct item));
	r->gather->n = n;
	r->gather->reply = reply;
	request_counts(r, n);
	for (uint32_t i = 0; i < n && doc_next(&it, &key, &d); i++) {
		if (take_item(r, d, i, &f) != ERR_OK) {
			gather_fini(r->gather);
			reply_fault(r, &f);
			return false;
		}
	}
	return true;
}

/* ---- POST /devices ---- */

static struct work *
bulk_work(struct request *r, uint32_t i, const struct doc_parsed *info)
{
	struct item *item = &r->gather->item[i];
	struct doc d = item->body;
	const struct import_mode *mode = import_mode_of(d, import_mode_default, &item->fault);
	struct str bytes, tag;
	struct work *w;

	if (mode == NULL || item->fault.code != F_NONE)
		return NULL;
	bytes = doc_bytes(d);
	item->mode = mode->name;
	tag = import_tag(d, mode);
	w = item_work(r, i, mode->op, bytes.n + tag.n, done_item);
	w->op.payload = work_str(w, bytes);
	w->op.nduplicate = info->nduplicate;
	w->op.import = mode->import;
	if (mode->tag != NULL)
		work_if_match(w, tag);
	return w;
}

static void
put_member(struct out *o, const char *name, struct str value)
{
	out_key(o, name);
	out_str(o, value);
}

/* The object of an item, open. */
static void
put_item(struct out *o, const struct item *item, const char *id)
{
	out_open(o);
	put_member(o, id, item->device);
	if (item->module.n != 0)
		put_member(o, "moduleId", item->module);
}

/* Those that failed. */
static void
put_errors(struct out *o, const struct gather *g, const char *id)
{
	char status[FAULT_TEXT_MAX + 64];

	out_key(o, "errors");
	out_list(o);
	for (uint32_t i = 0; i < g->n; i++) {
		const struct item *item = &g->item[i];

		if (item->fault.code == F_NONE)
			continue;
		put_item(o, item, id);
		out_key(o, "errorCode");
		out_i64(o, fault_number(item->fault.code));
		snprintf(status, sizeof(status), "%s: %s", fault_name(item->fault.code),
		    item->fault.text);
		put_member(o, "errorStatus", str_of(status));
		if (item->mode.n != 0)
			put_member(o, "operation", item->mode);
		out_close(o);
	}
	out_close(o);
}

static uint32_t
count_failed(const struct gather *g)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->n; i++)
		n += g->item[i].fault.code != F_NONE;
	return n;
}

static void
reply_bulk(struct request *r)
{
	uint32_t n = count_failed(r->gather);
	struct buf json = { 0 };
	struct out o = out_to(&json);

	out_open(&o);
	out_key(&o, "isSuccessful");
	out_bool(&o, n == 0);
	put_errors(&o, r->gather, "deviceId");
	out_key(&o, "warnings");
	out_list(&o);
	out_close(&o);
	out_close(&o);
	if (n > 0) { /* C# looks at the second name */
		add_header(r, "iothub-errorcode", fault_name(F_BulkRegistryOperationFailure));
		add_header(r, "IotHubErrorCode", fault_name(F_BulkRegistryOperationFailure));
	}
	gather_fini(r->gather);
	reply_json(r, n == 0 ? 200 : 400, buf_view(&json));
	buf_fini(&json);
}

void
on_bulk(struct request *r)
{
	struct doc_parsed info;

	if (!request_doc(r, NULL, &info) ||
	    !take_items(r, doc_of(buf_view(&r->hl->doc)), reply_bulk))
		return;
	for (uint32_t i = 0; i < r->gather->n; i++) {
		char prefix[16];

		snprintf(prefix, sizeof(prefix), "[%u].", i);
		warn_body(r, prefix, r->gather->item[i].body, &body_item);
		r->gather->item[i].work = bulk_work(r, i, &info);
	}
	begin(r);
}

/* ---- POST /devices/keys/regenerate (8.2) ---- */

static void
reply_keys(struct request *r)
{
	struct gather *g = r->gather;
	struct buf json = { 0 };
	struct out o = out_to(&json);
	uint32_t n = count_failed(g);

	out_open(&o);
	put_member(&o, "policyKey", g->keys);
	out_key(&o, "rotatedKeys");
	out_list(&o);
	for (uint32_t i = 0; i < g->n; i++) {
		if (g->item[i].fault.code != F_NONE)
			continue;
		put_item(&o, &g->item[i], "id");
		out_json(&o, buf_view(&g->item[i].answer)); /* members */
		out_close(&o);
	}
	out_close(&o);
	put_errors(&o, g, "id");
	out_close(&o);
	gather_fini(g);
	reply_json(r, n == 0 ? 200 : n < g->n ? 207 : 400, buf_view(&json));
	buf_fini(&json);
}

/* Bits of struct op's keys; 0: none of the three. */
static uint8_t
keys_of(struct str policy_key)
{
	return str_ieq(policy_key, STR("primaryKey"))  ? 1
	    : str_ieq(policy_key, STR("secondaryKey")) ? 2
	    : str_ieq(policy_key, STR("both"))         ? 3
	                                               : 0;
}

void
on_keys(struct request *r)
{
	struct doc_parsed info;
	struct doc body, key;

	if (!request_doc(r, &body_keys, &info))
		return;
	body = doc_of(buf_view(&r->hl->doc));
	key = doc_getc(body, "policyKey");
	if (doc_kind(key) != DOC_STRING || keys_of(doc_str(key)) == 0) {
		reply_error(
		    r, F_ArgumentInvalid, "policyKey is none of primaryKey, secondaryKey, both");
		return;
	}
	if (!take_items(r, doc_getc(body, "devices"), reply_keys))
		return;
	r->gather->keys = arena_str(&r->arena, doc_str(key));
	for (uint32_t i = 0; i < r->gather->n; i++) {
		struct item *item = &r->gather->item[i];

		if (item->fault.code != F_NONE)
			continue;
		item->work = item_work(r, i, OP_KEYS_REGENERATE, 0, done_item);
		item->work->op.keys = keys_of(r->gather->keys);
	}
	begin(r);
}
