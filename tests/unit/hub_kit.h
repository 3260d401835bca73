/*
 * For the tests of hub/: one shard over a simulated store, driven with JSON in which ' stands for ". Every operation
 * happens a second after the last and is committed at once, unless the test holds commits.
 *
 *   kit_patch(&k, "d1", NULL, "{'tags':{'a':1}}");  the answer is in k.reply; kit_at(&k, "tags/a") is "1"
 *   kit_effects(&k)                                  what left since the last look: "notify 7 v2 {...}" or "close 7"
 *
 * Slot numbers of sessions are the test's: they name whom an effect is for.
 */
#ifndef HUB_KIT_H
#define HUB_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "hub/priv.h"
#include "rnd.h"

#include <cmocka.h>

#define UNUSED __attribute__((unused))
#define SECOND INT64_C(1000000)
#define BEGIN  (INT64_C(1704067200) * SECOND) /* 2024-01-01T00:00:00Z */
#define KEY1   "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define KEY2   "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
#define HOST   "hub.example.test"
#define KIT_CA UINT64_C(77) /* the registered CA's print */

/* ---- the simulated store: rows in no order; a batch: rows to put, or to delete ---- */

struct kit_row {
	enum record_kind kind;
	bool put;
	struct buf key, value;
};

struct kit_rows {
	struct kit_row *v;
	uint32_t n, cap;
};

static UNUSED void
rows_add(struct kit_rows *r, enum record_kind kind, struct str key, const struct str *value)
{
	struct kit_row row = { .kind = kind, .put = value != NULL };

	buf_str(&row.key, key);
	if (value != NULL)
		buf_str(&row.value, *value);
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 16;
		r->v = xrealloc(r->v, r->cap * sizeof(*r->v));
	}
	r->v[r->n++] = row;
}

static UNUSED void
rows_drop(struct kit_rows *r, uint32_t i)
{
	buf_fini(&r->v[i].key);
	buf_fini(&r->v[i].value);
	r->v[i] = r->v[--r->n];
}

static UNUSED void
rows_clear(struct kit_rows *r)
{
	while (r->n > 0)
		rows_drop(r, r->n - 1);
}

static UNUSED void
rows_fini(struct kit_rows *r)
{
	rows_clear(r);
	free(r->v);
	*r = (struct kit_rows){ 0 };
}

static UNUSED struct kit_row *
rows_find(const struct kit_rows *r, enum record_kind kind, struct str key)
{
	assert(r->n == 0 || r->v != NULL);
	for (uint32_t i = 0; i < r->n; i++)
		if (r->v[i].kind == kind && str_eq(buf_view(&r->v[i].key), key))
			return &r->v[i];
	return NULL;
}

/* What a store does with a batch: the last one of a key wins. */
static UNUSED void
rows_apply(struct kit_rows *to, const struct kit_rows *batch)
{
	assert(batch->n == 0 || batch->v != NULL);
	for (uint32_t i = 0; i < batch->n; i++) {
		const struct kit_row *b = &batch->v[i];
		/* a position of the log is given once, or deleted before */
		bool new = b->put && (b->kind == RECORD_LOG || b->kind == RECORD_CHANGES);
		struct kit_row *r = new ? NULL : rows_find(to, b->kind, buf_view(&b->key));
		struct str value = buf_view(&b->value);

		if (r != NULL)
			rows_drop(to, (uint32_t)(r - to->v));
		if (b->put)
			rows_add(to, b->kind, buf_view(&b->key), &value);
	}
}

/* ---- the kit ---- */

struct kit {
	struct shard *sh;
	struct kit_rows store, batch;
	struct undo *undo;
	bool hold;           /* commits are the test's affair */
	int64_t patience_us; /* of a restart, with sessions that may come back */
	struct hub_env env;
	struct catalogue catalogue;
	struct policy policies[POLICY_DEFAULTS];
	struct str hosts[1];
	struct buf scratch, effects, doc, text, token, key;
	struct doc_parser *parser;
	struct rnd rnd;
	struct reply reply;
};

static UNUSED void
kit_random(void *ctx, void *p, size_t n)
{
	struct kit *k = ctx;

	for (size_t i = 0; i < n; i++)
		((unsigned char *)p)[i] = (unsigned char)(rnd_u64(&k->rnd) >> 32);
}

static UNUSED void
kit_put_row(void *ctx, uint32_t shard, enum record_kind kind, struct str key, struct str value)
{
	(void)shard;
	rows_add(&((struct kit *)ctx)->batch, kind, key, &value);
}

static UNUSED void
kit_del_row(void *ctx, uint32_t shard, enum record_kind kind, struct str key)
{
	(void)shard;
	rows_add(&((struct kit *)ctx)->batch, kind, key, NULL);
}

static UNUSED void
kit_effect(void *ctx, const struct effect *e)
{
	struct kit *k = ctx;

	if (e->kind == EFFECT_CONFIGURATIONS || e->kind == EFFECT_ERASE ||
	    e->kind == EFFECT_FEEDBACK || e->kind == EFFECT_ROUTING || e->kind == EFFECT_SETTINGS)
		return; /* the test's affair */
	if (k->effects.n > 0)
		buf_putc(&k->effects, '\n');
	if (e->kind == EFFECT_CLOSE)
		buf_printf(&k->effects, "close %u", e->session.slot);
	else
		buf_printf(&k->effects, "notify %u v%u " STR_FMT, e->session.slot, e->version,
		    STR_ARG(e->body));
}

static UNUSED void
kit_shard(struct kit *k, struct shard *sh)
{
	shard_free(k->sh);
	k->sh = sh;
}

/* Of its shards: a test of a room above hub says which before it includes this. */
#ifndef KIT_FEATURES
#define KIT_FEATURES NULL
#endif
static const struct feature *const kit_features[] = { KIT_FEATURES, NULL };

static const uint64_t kit_cas[] = { KIT_CA };

static UNUSED void
kit_init(struct kit *k)
{
	*k = (struct kit){ .rnd = { 88172645463325252u }, .hosts = { STR(HOST) } };
	for (int i = 0; i < POLICY_DEFAULTS; i++) {
		k->policies[i] = policy_defaults[i];
		k->policies[i].primary = STR(KEY1);
		k->policies[i].secondary = STR(KEY2);
	}
	k->catalogue = (struct catalogue){ .version = 1,
		.policies = k->policies,
		.npolicies = POLICY_DEFAULTS,
		.hosts = { k->hosts, 1 },
		.skew_s = SAS_SKEW_S,
		.cas = kit_cas,
		.nca = 1 };
	k->parser = doc_parser_new(1 << 22);
	k->undo = undo_new();
	k->env = (struct hub_env){ .now_us = BEGIN,
		.mac = sas_mac_new(),
		.catalogue = &k->catalogue,
		.identities_left = 1000000,
		.message_bytes_left = 1 << 20,
		.can_write = true,
		.scratch = &k->scratch,
		.ctx = k,
		.random = kit_random,
		.put = kit_put_row,
		.del = kit_del_row,
		.effect = kit_effect,
		.undo = k->undo };
	k->sh = shard_new(3, kit_features);
}

static UNUSED void
kit_fini(struct kit *k)
{
	undo_free(k->undo);
	shard_free(k->sh);
	rows_fini(&k->store);
	rows_fini(&k->batch);
	sas_mac_free(k->env.mac);
	doc_parser_free(k->parser);
	buf_fini(&k->scratch);
	buf_fini(&k->effects);
	buf_fini(&k->doc);
	buf_fini(&k->text);
	buf_fini(&k->token);
	buf_fini(&k->key);
	buf_fini(&k->reply.body);
	buf_fini(&k->reply.warning);
}

/* As who submits a batch does. */
static UNUSED void
kit_put_log_end(struct kit *k)
{
	const struct undo_sink sink = { k, kit_put_row, kit_del_row };

	shard_put_log_end(k->sh, &sink);
}

static UNUSED void
kit_commit(struct kit *k)
{
	kit_put_log_end(k);
	rows_apply(&k->store, &k->batch);
	rows_clear(&k->batch);
	undo_commit(k->undo);
}

/* The commit has failed. `found`: its batch is on disk all the same. What the sink hears is in the batch then. */
static UNUSED void
kit_fail(struct kit *k, bool found)
{
	struct undo_sink sink = { k, kit_put_row, kit_del_row };

	if (found) {
		kit_put_log_end(k);
		rows_apply(&k->store, &k->batch);
	}
	rows_clear(&k->batch);
	undo_rollback(k->undo, &sink);
}

/* The shard of a process that starts with what the store holds. */
static UNUSED void
kit_restart(struct kit *k)
{
	struct shard *sh = shard_new(k->sh->index, kit_features);

	undo_commit(k->undo);
	for (int modules = 0; modules < 2; modules++) /* after their devices */
		for (uint32_t i = 0; i < k->store.n; i++) {
			const struct kit_row *r = &k->store.v[i];
			bool module = r->key.p[r->key.n - 1] != '\0';

			if (r->kind == RECORD_IDENTITY && module == (modules != 0))
				assert_int_equal(
				    shard_load(sh, buf_view(&r->key), buf_view(&r->value)), ERR_OK);
		}
	for (uint32_t i = 0; i < k->store.n; i++) {
		const struct kit_row *r = &k->store.v[i];
		struct str key = buf_view(&r->key), value = buf_view(&r->value);

		if (r->kind == RECORD_COMMON &&
		    (str_starts(key, STR("events/")) || str_starts(key, STR("connected/")) ||
		        str_starts(key, STR("ended/")) || str_starts(key, STR("epoch/"))))
			assert_int_equal(shard_common(sh, key, &value), ERR_OK);
	}
	for (uint32_t i = 0; i < k->store.n; i++)
		if (k->store.v[i].kind == RECORD_QUEUE)
			assert_int_equal(shard_load_queue(sh, buf_view(&k->store.v[i].key),
			                     buf_view(&k->store.v[i].value)),
			    ERR_OK);
	shard_loaded(sh,
	    &(struct shard_begin){ .now_us = k->env.now_us,
	        .elapsed_us = k->env.elapsed_us,
	        .patience_us = k->patience_us });
	kit_shard(k, sh);
	shard_epoch_raise(sh, &k->env);
	kit_commit(k);
}

/* ---- operations ---- */

static UNUSED void
kit_quotes(struct buf *b, char from, char to)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->p[i] == from)
			b->p[i] = to;
}

/* A text with ' for " as a doc in k->doc. */
static UNUSED void
kit_doc(struct kit *k, const char *json, struct op *op)
{
	struct doc_parsed info;
	struct buf text = { 0 };

	buf_cstr(&text, json);
	kit_quotes(&text, '\'', '"');
	k->doc.n = 0;
	assert_int_equal(doc_parse(k->parser, buf_view(&text), &k->doc, &info, NULL), ERR_OK);
	buf_fini(&text);
	op->payload = buf_view(&k->doc);
	op->nduplicate = info.nduplicate;
}

/* The operations' device may be "d1" or a module "d1/m1". */
static UNUSED struct op
kit_op(enum op_kind kind, const char *id)
{
	struct op op = { .kind = kind };

	str_cut(str_of(id), '/', &op.device, &op.module);
	return op;
}

/* What is stored of identities: the log, and what belongs to no identity, not counted. */
static UNUSED uint32_t
kit_records(const struct kit *k)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < k->store.n; i++)
		n += k->store.v[i].kind < RECORD_KINDS;
	return n;
}

static UNUSED void
kit_fill(struct kit *k, struct str device, struct str module, unsigned missing)
{
	for (int i = 0; i < RECORD_KINDS; i++) {
		struct kit_row *r;
		struct str value;

		if (!(missing & RECORD_BIT(i)))
			continue;
		r = rows_find(&k->store, (enum record_kind)i, buf_view(&k->key));
		value = r != NULL ? buf_view(&r->value) : STR_NONE;
		assert_int_equal(
		    hub_fill(k->sh, device, module, (enum record_kind)i, r != NULL ? &value : NULL),
		    ERR_OK);
	}
}

static UNUSED enum fault_code
kit_run(struct kit *k, const struct op *op)
{
	struct buf body = k->reply.body, warning = k->reply.warning;
	unsigned missing;

	body.n = warning.n = 0;
	k->reply = (struct reply){ .body = body, .warning = warning };
	k->env.now_us += SECOND;
	k->env.elapsed_us += SECOND;
	while (k->key.n = 0, (missing = hub_missing(k->sh, op, &k->key)) != 0) {
		struct str device, module;

		str_cut(str_sub(buf_view(&k->key), 2), '\0', &device, &module);
		kit_fill(k, device, module, missing);
	}
	hub_apply(k->sh, op, &k->env, &k->reply);
	if (!k->hold)
		kit_commit(k);
	return k->reply.fault.code;
}

/* NULL: no If-Match; "*": any. */
static UNUSED void
kit_if(struct op *op, const char *etag)
{
	if (etag == NULL)
		return;
	op->if_match = strcmp(etag, "*") == 0 ? IF_ANY : IF_TAG;
	op->if_tag = str_of(etag);
}

static UNUSED enum fault_code
kit_body(struct kit *k, enum op_kind kind, const char *id, const char *etag, const char *json)
{
	struct op op = kit_op(kind, id);

	if (json != NULL)
		kit_doc(k, json, &op);
	kit_if(&op, etag);
	return kit_run(k, &op);
}

/* The ids of the path are added to a body that names none. */
static UNUSED enum fault_code
kit_put(struct kit *k, const char *id, const char *etag, const char *json)
{
	struct op op = kit_op(OP_IDENTITY_PUT, id);
	char body[2048];

	if (json[0] != '{' || strstr(json, "deviceId") != NULL)
		return kit_body(k, OP_IDENTITY_PUT, id, etag, json);
	snprintf(body, sizeof(body), "{'deviceId':'" STR_FMT "','moduleId':'" STR_FMT "'%s%s",
	    STR_ARG(op.device), STR_ARG(op.module), json[1] == '}' ? "" : ",", json + 1);
	return kit_body(k, OP_IDENTITY_PUT, id, etag, body);
}

/* A device that authenticates by KEY1 or KEY2. */
static UNUSED void
kit_device(struct kit *k, const char *id)
{
	assert_int_equal(kit_put(k, id, NULL,
	                     "{'authentication':{'symmetricKey':{'primaryKey':'" KEY1
	                     "','secondaryKey':'" KEY2 "'}}}"),
	    F_NONE);
}

static UNUSED enum fault_code
kit_get(struct kit *k, const char *id)
{
	return kit_body(k, OP_IDENTITY_GET, id, NULL, NULL);
}

static UNUSED enum fault_code
kit_delete(struct kit *k, const char *id, const char *etag)
{
	return kit_body(k, OP_IDENTITY_DELETE, id, etag, NULL);
}

static UNUSED enum fault_code
kit_read(struct kit *k, const char *id)
{
	return kit_body(k, OP_TWIN_READ, id, NULL, NULL);
}

static UNUSED enum fault_code
kit_patch(struct kit *k, const char *id, const char *etag, const char *json)
{
	return kit_body(k, OP_TWIN_PATCH, id, etag, json);
}

static UNUSED enum fault_code
kit_replace(struct kit *k, const char *id, const char *etag, const char *json)
{
	return kit_body(k, OP_TWIN_REPLACE, id, etag, json);
}

/* ---- sessions ---- */

/* A token of `key` for a resource below the host; policy NULL: the identity's own. */
static UNUSED struct str
kit_token(struct kit *k, const char *path, const char *key, int64_t expiry_s, const char *policy)
{
	struct buf resource = { 0 };

	buf_cstr(&resource, HOST);
	buf_cstr(&resource, path);
	k->token.n = 0;
	assert_int_equal(sas_make(k->env.mac, &k->token, buf_view(&resource), str_of(key), expiry_s,
	                     policy ? str_of(policy) : STR_NONE),
	    ERR_OK);
	buf_fini(&resource);
	return buf_view(&k->token);
}

static UNUSED struct op
kit_connect_op(struct kit *k, const char *id, uint32_t slot, bool clean)
{
	struct op op = kit_op(OP_CONNECT, id);
	char path[300];

	snprintf(path, sizeof(path), "/devices/" STR_FMT, STR_ARG(op.device));
	op.reply_to.slot = slot;
	op.connect.clean = clean;
	op.shown.token = kit_token(k, path, KEY1, k->env.now_us / SECOND + 3600, NULL);
	return op;
}

/* Connect with a good token; the session's epoch. */
static UNUSED uint64_t
kit_connect(struct kit *k, const char *id, uint32_t slot, bool clean)
{
	struct op op = kit_connect_op(k, id, slot, clean);

	assert_int_equal(kit_run(k, &op), F_NONE);
	return k->reply.session_epoch;
}

static UNUSED enum fault_code
kit_session_op(
    struct kit *k, enum op_kind kind, const char *id, uint64_t session_epoch, const char *json)
{
	struct op op = kit_op(kind, id);

	if (json != NULL)
		kit_doc(k, json, &op);
	op.session_epoch = session_epoch;
	return kit_run(k, &op);
}

/* Filters: a letter each, capitals QoS 1: t twin answers, d desired, m methods, c messages, x a foreign one, y a method
 * of its own, z another. */
static UNUSED void
kit_filters(struct buf *out, const char *letters)
{
	static const char known[] = "tdmcxyz";
	static const struct filter filters[] = { { FILTER_TWIN_RES, 0, { 0 } },
		{ FILTER_DESIRED, 0, { 0 } }, { FILTER_METHODS, 0, { 0 } },
		{ FILTER_C2D, 0, { 0 } }, { FILTER_REFUSED, 0, { 0 } },
		{ FILTER_METHOD, 0, { "reboot", 6 } }, { FILTER_METHOD, 0, { "update", 6 } } };

	for (; *letters; letters++) {
		bool capital = *letters < 'a';
		struct filter f =
		    filters[strchr(known, capital ? *letters + 32 : *letters) - known];

		f.qos = capital;
		filters_put(out, &f);
	}
}

/* The SUBACK's codes as digits, 'x' for a refusal. */
static UNUSED const char *
kit_subscribe(struct kit *k, const char *id, uint64_t session_epoch, const char *letters)
{
	struct op op = kit_op(OP_SUBSCRIBE, id);
	struct buf list = { 0 };

	kit_filters(&list, letters);
	op.payload = buf_view(&list);
	op.session_epoch = session_epoch;
	k->text.n = 0;
	if (kit_run(k, &op) == F_NONE)
		for (size_t i = 0; i < k->reply.body.n; i++)
			buf_putc(&k->text,
			    (uint8_t)k->reply.body.p[i] == SUBACK_REFUSED
			        ? 'x'
			        : (char)('0' + k->reply.body.p[i]));
	buf_putc(&k->text, '\0');
	buf_fini(&list);
	return k->text.p;
}

static UNUSED void
kit_unsubscribe(struct kit *k, const char *id, uint64_t session_epoch, const char *letters)
{
	struct op op = kit_op(OP_UNSUBSCRIBE, id);
	struct buf list = { 0 };

	kit_filters(&list, letters);
	op.payload = buf_view(&list);
	op.session_epoch = session_epoch;
	assert_int_equal(kit_run(k, &op), F_NONE);
	buf_fini(&list);
}

static UNUSED enum fault_code
kit_report(struct kit *k, const char *id, uint64_t session_epoch, const char *json)
{
	return kit_session_op(k, OP_REPORT, id, session_epoch, json);
}

/* ---- looking ---- */

/* The JSON at a path of keys in the last answer's body, with ' for "; "-" if there is none. */
static UNUSED const char *
kit_at(struct kit *k, const char *path)
{
	struct str rest = str_of(path), key;
	struct buf bytes = { 0 };
	struct doc d;

	assert_int_equal(
	    doc_parse(k->parser, buf_view(&k->reply.body), &bytes, &(struct doc_parsed){ 0 }, NULL),
	    ERR_OK);
	d = doc_of(buf_view(&bytes));
	while (rest.n > 0) {
		str_cut(rest, '/', &key, &rest);
		d = doc_get(d, key);
	}
	k->text.n = 0;
	if (doc_defined(d))
		doc_write_json(&k->text, d);
	else
		buf_putc(&k->text, '-');
	kit_quotes(&k->text, '"', '\'');
	buf_putc(&k->text, '\0');
	buf_fini(&bytes);
	return k->text.p;
}

#define kit_shows(k, path, want) assert_string_equal(kit_at((k), (path)), (want))

static UNUSED const char *
kit_body_text(struct kit *k)
{
	k->text.n = 0;
	buf_str(&k->text, buf_view(&k->reply.body));
	kit_quotes(&k->text, '"', '\'');
	buf_putc(&k->text, '\0');
	return k->text.p;
}

/* What left since the last look. */
static UNUSED const char *
kit_effects(struct kit *k)
{
	k->text.n = 0;
	buf_str(&k->text, buf_view(&k->effects));
	kit_quotes(&k->text, '"', '\'');
	buf_putc(&k->text, '\0');
	k->effects.n = 0;
	return k->text.p;
}

/* E, version, desired $version and reported $version of a twin, as "1 2 1 1". */
static UNUSED const char *
kit_counters(struct kit *k, const char *id)
{
	static char out[64];
	char version[16], desired[16], reported[16];
	struct buf e = { 0 };
	uint64_t counter = 0;

	assert_int_equal(kit_read(k, id), F_NONE);
	assert_true(base64_decode(&e, str_of(k->reply.etag)));
	for (size_t i = 0; i < e.n; i++)
		counter = counter << 8 | (unsigned char)e.p[i];
	buf_fini(&e);
	snprintf(version, sizeof(version), "%s", kit_at(k, "version"));
	snprintf(desired, sizeof(desired), "%s", kit_at(k, "properties/desired/$version"));
	snprintf(reported, sizeof(reported), "%s", kit_at(k, "properties/reported/$version"));
	snprintf(out, sizeof(out), "%llu %s %s %s", (unsigned long long)counter, version, desired,
	    reported);
	return out;
}

/* A copy of the last etag, for a later If-Match. */
static UNUSED const char *
kit_etag(struct kit *k, char out[32])
{
	memcpy(out, k->reply.etag, 32);
	return out;
}

static UNUSED int
kit_setup(void **state)
{
	struct kit *k = xmalloc(sizeof(*k));

	kit_init(k);
	*state = k;
	return 0;
}

static UNUSED int
kit_teardown(void **state)
{
	kit_fini(*state);
	free(*state);
	return 0;
}

#define kit_test(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

#endif
