/*
 * Back ends, which ask over HTTP with the keys of policies: what http/ is given and what it sends is all that is the simulator's.
 * Each answer says whether its policy was enough (policies.c); the ledger hears what was done to twins, and that what was refused
 * is not. Calls of many items are answered once; what became of each item is seen as its work comes back, and must be what the
 * answer says.
 */
#include "requests.h"

#include "front.h"

#include "http/priv.h"
#include "world.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>

#define API       "?api-version=2021-04-12"
#define ITEMS_MAX 100u /* of one call */
#define TOKEN_S   3600
#define IN_FORCE  "is in force" /* what is told of a key that could not be synced */

struct item {
	uint32_t number; /* the ledger's */
	const char *device, *module;
	bool worked, listed; /* its work is back; the answer says that it has failed */
	enum fault_code code;
};

struct asked;

struct kind {
	enum http_method method;
	unsigned need;
	bool all;
	/* The request's path, body and number. */
	void (*write)(struct world *w, struct asked *a);
	/* NULL: its answer is the ledger's affair, if that knows it. */
	void (*heard)(struct world *w, struct asked *a, int status, struct str body);
	unsigned share;
};

struct asked {
	struct asked *next;
	const struct kind *kind;
	struct pass pass;
	struct buf target, token, tag, body;
	struct header headers[3];
	struct evbuffer *answer;
	struct reply_to address;
	uint32_t number;
	struct rotation rotation;
	uint32_t nitem;
	struct item *items;
};

static struct asked *under_way;

/* ---- the transport ---- */

static void
shown(void *link, struct tls_peer *out)
{
	(void)link;
	*out = (struct tls_peer){ 0 };
}

static struct evbuffer *
body_of(void *link)
{
	return ((struct asked *)link)->answer;
}

static void
upgrade(struct request *r)
{
	(void)r;
	world_fail("a request becomes a stream, and nobody has asked for that");
}

static void
asked_free(struct asked *a)
{
	buf_fini(&a->target);
	buf_fini(&a->token);
	buf_fini(&a->tag);
	buf_fini(&a->body);
	evbuffer_free(a->answer);
	free(a->items);
	free(a);
}

static enum fault_code
code_of(const struct answer *a)
{
#define X(number, name) F_##name,
	static const enum fault_code codes[] = { FAULT_CODES(X) };
#undef X
	for (size_t h = 0; h < a->nheader; h++) {
		if (strcmp(a->headers[h].name, "iothub-errorcode") != 0)
			continue;
		for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
			if (strcmp(fault_name(codes[i]), a->headers[h].value) == 0)
				return codes[i];
	}
	return F_NONE;
}

/* What says nothing of rights: there was no look at them, or nobody could. */
static bool
is_verdict(int status)
{
	return status < 500;
}

static void
tell_ledger(struct world *w, const struct asked *a, enum fault_code code, struct str body)
{
	struct reply reply = { 0 };

	buf_str(&reply.body, body);
	ledger_heard(w, a->number, code, &reply, false);
	buf_fini(&reply.body);
}

static void
hear(struct world *w, struct asked *a, const struct answer *answer)
{
	size_t n = evbuffer_get_length(a->answer);
	struct str body = { n > 0 ? (const char *)evbuffer_pullup(a->answer, -1) : "", n };
	enum fault_code code = code_of(answer);

	if (answer->status == 500 || (answer->status >= 300 && code == F_NONE))
		world_fail("HTTP answers %d: " STR_FMT, answer->status, STR_ARG(body));
	if (is_verdict(answer->status))
		policies_judged(&a->pass, answer->status != 401);
	if (a->kind->heard != NULL)
		a->kind->heard(w, a, answer->status, body);
	for (uint32_t i = 0; i < a->nitem; i++)
		if (!a->items[i].worked)
			ledger_heard(w, a->items[i].number, code, NULL, false);
	if (a->number != 0)
		tell_ledger(w, a, code, body);
}

static void
sent(void *link, const struct answer *answer, const struct https_answer *hold)
{
	struct asked *a = link, **at = &under_way;
	struct world *w = the_world;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	w->nwork--;
	w->nhome++;
	if (!w->dead)
		hear(w, a, answer);
	if (hold != NULL)
		hold->over(hold->ctx);
	asked_free(a);
}

static const struct transport by_simulator = {
	.shown = shown, .body = body_of, .send = sent, .upgrade = upgrade
};

/* ---- works ---- */

static struct asked *
asked_at(struct reply_to to)
{
	struct asked *a = under_way;

	while (a != NULL && (a->address.slot != to.slot || a->address.generation != to.generation))
		a = a->next;
	return a;
}

void
request_work_back(struct world *w, const struct work *k)
{
	struct asked *a = asked_at(k->op.reply_to);
	struct item *item;

	world_check_fault(&k->reply.fault);
	full_heard(k);
	if (a == NULL || a->nitem == 0)
		return;
	item = &a->items[k->tag];
	item->worked = true;
	item->code = k->reply.fault.code;
	ledger_heard(w, item->number, item->code, NULL, false);
}

/* ---- what is asked ---- */

/* /AREA/{device}[/modules/{module}] */
static void
put_path(struct asked *a, const char *area, const char *device, const char *module)
{
	buf_printf(
	    &a->target, "/%s/%s%s%s" API, area, device, module[0] ? "/modules/" : "", module);
}

static void
take_text(struct world *w, struct asked *a)
{
	buf_str(&a->body, buf_view(&w->text));
	w->text.n = 0;
}

static void
some_identity(struct world *w, struct asked *a, const char *area, enum op_kind kind)
{
	const char *device = world_device(w), *module = world_module(w);

	put_path(a, area, device, module);
	if (kind != OP_IDENTITY_GET)
		a->number = ledger_note(w, kind, device, module);
	if (kind == OP_IDENTITY_PUT)
		world_put_identity(w, device, module);
	take_text(w, a);
}

static void
ask_identity(struct world *w, struct asked *a)
{
	some_identity(w, a, "devices", OP_IDENTITY_GET);
}

static void
ask_put(struct world *w, struct asked *a)
{
	some_identity(w, a, "devices", OP_IDENTITY_PUT);
	if (rnd_below(&w->rnd, 3) == 0)
		buf_putc(&a->tag, '*');
}

static void
ask_delete(struct world *w, struct asked *a)
{
	some_identity(w, a, "devices", OP_IDENTITY_DELETE);
}

static void
ask_twin(struct world *w, struct asked *a)
{
	some_identity(w, a, "twins", OP_TWIN_READ);
}

static void
write_to_twin(struct world *w, struct asked *a, enum op_kind kind)
{
	struct str tag;

	some_identity(w, a, "twins", kind);
	buf_putc(&w->text, '{');
	world_put_sections(w, kind == OP_TWIN_PATCH,
	    kind != OP_TWIN_PATCH || rnd_below(&w->rnd, 4) > 0, false, a->number);
	buf_putc(&w->text, '}');
	take_text(w, a);
	tag = rnd_below(&w->rnd, 3) == 0 ? ledger_tag(a->number) : STR_NONE;
	if (tag.n > 0)
		buf_printf(&a->tag, "\"" STR_FMT "\"", STR_ARG(tag));
}

static void
ask_patch(struct world *w, struct asked *a)
{
	write_to_twin(w, a, OP_TWIN_PATCH);
}

static void
ask_replace(struct world *w, struct asked *a)
{
	write_to_twin(w, a, OP_TWIN_REPLACE);
}

static void
ask_query(struct world *w, struct asked *a)
{
	(void)w;
	buf_cstr(&a->target, "/devices/query" API);
	buf_cstr(&a->body, "{\"query\":\"SELECT deviceId FROM devices WHERE tags.level > 50\"}");
}

static void
ask_list(struct world *w, struct asked *a)
{
	(void)w;
	buf_cstr(&a->target, "/devices" API "&top=5");
}

/* ---- of policies ---- */

static void
ask_policies(struct world *w, struct asked *a)
{
	(void)w;
	buf_cstr(&a->target, "/admin/policies" API);
}

static void
hear_policies(struct world *w, struct asked *a, int status, struct str body)
{
	struct doc_iter it;
	struct str key;
	struct doc d, right;

	if (status != 200)
		return;
	it = doc_iter(world_doc(w, body));
	while (doc_next(&it, &key, &d)) {
		struct doc_iter rights = doc_iter(doc_getc(d, "rights"));
		struct policy p = { doc_text(doc_getc(d, "name")), 0,
			doc_text(doc_getc(d, "primaryKey")),
			doc_text(doc_getc(d, "secondaryKey")) };

		while (doc_next(&rights, &key, &right))
			p.rights |= right_of(doc_text(right));
		policies_shown(&a->pass, &p);
	}
}

static void
ask_rotation(struct world *w, struct asked *a)
{
	if (!policies_rotates(w, &a->rotation))
		snprintf(a->rotation.name, sizeof(a->rotation.name), "nobody's");
	buf_printf(&a->target, "/admin/policies/%s/rotate" API "&key=%s", a->rotation.name,
	    a->rotation.side == 0 ? "primary" : "secondary");
}

static void
hear_rotation(struct world *w, struct asked *a, int status, struct str body)
{
	if (strcmp(a->rotation.name, "nobody's") == 0) {
		if (status == 200)
			world_fail("nobody's policy has a new key");
	} else if (status == 200) {
		policies_rotated(&a->rotation, world_doc(w, body));
	} else if (memmem(body.p, body.n, IN_FORCE, sizeof(IN_FORCE) - 1) != NULL) {
		policies_unsynced(&a->rotation);
	} else {
		policies_kept(&a->rotation);
	}
}

/* ---- calls of many items ---- */

static void
put_item(struct world *w, struct asked *a, const char *device, const char *module)
{
	struct item *item = &a->items[a->nitem++];

	item->device = device;
	item->module = module;
	if (a->nitem > 1)
		buf_putc(&w->text, ',');
	(void)world_put_item(w, device, module, 0, &item->number);
}

/* As many as one may have, if there are so many identities; or a few, and perhaps one of them twice. */
static void
ask_bulk(struct world *w, struct asked *a)
{
	static const char *const modules[] = { "", "m0", "m1" };
	bool largest = rnd_below(&w->rnd, 12) == 0;
	uint32_t all = w->nid * 3, from = rnd_below(&w->rnd, all);
	uint32_t n = largest ? all < ITEMS_MAX ? all : ITEMS_MAX : 1 + rnd_below(&w->rnd, 6);

	a->items = xcalloc(n, sizeof(*a->items));
	buf_cstr(&a->target, "/devices" API);
	buf_putc(&w->text, '[');
	for (uint32_t i = 0; i < n; i++, from = (from + 1) % all) {
		if (largest)
			put_item(w, a, w->ids[from / 3], modules[from % 3]);
		else
			put_item(w, a, world_device(w), world_module(w));
	}
	buf_putc(&w->text, ']');
	take_text(w, a);
}

/* Its line of the answer. */
static void
hear_failed(struct asked *a, struct doc line)
{
	struct str device = doc_text(doc_getc(line, "deviceId")),
	           module = doc_text(doc_getc(line, "moduleId"));
	int64_t number = doc_int(doc_getc(line, "errorCode"));

	for (uint32_t i = 0; i < a->nitem; i++) {
		struct item *item = &a->items[i];

		if (!str_eq(device, str_of(item->device)) || !str_eq(module, str_of(item->module)))
			continue;
		if (item->listed || (item->worked && number != fault_number(item->code)))
			world_fail("%s of a call is told %lld, and it was %s", item->device,
			    (long long)number, fault_name(item->code));
		item->listed = true;
		return;
	}
	world_fail("a call is told of " STR_FMT ", which it did not have", STR_ARG(device));
}

static void
hear_bulk(struct world *w, struct asked *a, int status, struct str body)
{
	struct doc d = world_doc(w, body), flag = doc_getc(d, "isSuccessful"), line;
	struct doc_iter it = doc_iter(doc_getc(d, "errors"));
	uint32_t nfailed = 0, nworked = 0;
	struct str key;

	for (uint32_t i = 0; i < a->nitem; i++)
		nworked += a->items[i].worked;
	if (!doc_defined(flag)) {
		if (nworked > 0)
			world_fail("a call is refused, and %u of its items were tried", nworked);
		return;
	}
	while (doc_next(&it, &key, &line)) {
		hear_failed(a, line);
		nfailed++;
	}
	for (uint32_t i = 0; i < a->nitem; i++)
		if (a->items[i].listed != (!a->items[i].worked || a->items[i].code != F_NONE))
			world_fail("item %u of a call is %s, and told otherwise", i,
			    a->items[i].worked ? fault_name(a->items[i].code) : "not tried");
	if ((status == 200) != (nfailed == 0) || (doc_kind(flag) == DOC_TRUE) != (nfailed == 0))
		world_fail(
		    "%u items of a call have failed, and it is answered %d", nfailed, status);
	seen.bulk += a->nitem == ITEMS_MAX;
	seen.mixed += nfailed > 0 && nfailed < a->nitem;
}

/* ---- all of them ---- */

#define READS    RIGHT_REGISTRY_READ
#define WRITES   RIGHT_REGISTRY_WRITE
#define SERVICES RIGHT_SERVICE_CONNECT

/* What each needs: service-rest.md 3.3. */
static const struct kind kinds[] = {
	{ HTTP_GET, READS, false, ask_identity, NULL, 6 },
	{ HTTP_PUT, WRITES, false, ask_put, NULL, 10 },
	{ HTTP_DELETE, WRITES, false, ask_delete, NULL, 3 },
	{ HTTP_GET, SERVICES, false, ask_twin, NULL, 10 },
	{ HTTP_PATCH, SERVICES, false, ask_patch, NULL, 20 },
	{ HTTP_PUT, SERVICES, false, ask_replace, NULL, 6 },
	{ HTTP_POST, SERVICES | READS, false, ask_query, NULL, 2 },
	{ HTTP_GET, READS, false, ask_list, NULL, 2 },
	{ HTTP_GET, RIGHTS_ALL, true, ask_policies, hear_policies, 4 },
	{ HTTP_POST, RIGHTS_ALL, true, ask_rotation, hear_rotation, 12 },
};
static const struct kind of_many = { HTTP_POST, WRITES, false, ask_bulk, hear_bulk, 0 };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct kind *
some_kind(struct world *w)
{
	unsigned all = 0;
	uint32_t at;

	for (size_t i = 0; i < KINDS; i++)
		all += kinds[i].share;
	at = rnd_below(&w->rnd, all);
	for (const struct kind *k = kinds;; k++) {
		if (at < k->share)
			return k;
		at -= k->share;
	}
}

static void
put_token(struct world *w, struct asked *a)
{
	if (sas_make(w->mac, &a->token, STR(SIM_HOST), str_of(a->pass.key),
	        world_wall_us(w) / SECOND + TOKEN_S, str_of(a->pass.name)) != ERR_OK)
		world_fail("no token of %s", a->pass.name);
}

static void
ask_as(struct world *w, const struct kind *kind)
{
	struct asked *a = xcalloc(1, sizeof(*a));
	struct ask ask = { .method = kind->method, .headers = a->headers, .nheader = 2 };
	struct request *r;

	a->kind = kind;
	a->pass.need = kind->need;
	a->pass.all = kind->all;
	a->answer = evbuffer_new();
	policies_pass(w, &a->pass);
	put_token(w, a);
	kind->write(w, a);
	policies_asked(&a->pass);
	a->headers[0] = (struct header){ STR("Host"), STR(SIM_HOST) };
	a->headers[1] = (struct header){ STR("Authorization"), buf_view(&a->token) };
	if (a->tag.n > 0)
		a->headers[ask.nheader++] = (struct header){ STR("If-Match"), buf_view(&a->tag) };
	ask.target = buf_view(&a->target);
	ask.body = buf_view(&a->body);
	a->next = under_way;
	under_way = a;
	w->nwork++;
	w->sent++;
	seen.asked++;
	r = request_new(front_http(), &by_simulator, a, &ask);
	a->address = request_address(r);
	request_begin(r);
}

void
request_send(struct world *w)
{
	ask_as(w, some_kind(w));
}

void
request_send_bulk(struct world *w)
{
	ask_as(w, &of_many);
}
