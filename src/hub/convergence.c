/* What of a twin's desired properties is not reported, as the API tells it (twins.md 14). */
#include "hub/priv.h"

#define PENDING_MAX 1000u /* entries of one answer */

struct listing {
	struct buf *json;
	uint32_t n;
};

static void
put_path(struct buf *json, const struct pending *p)
{
	struct buf path = { 0 };

	buf_cstr(&path, "properties.desired");
	for (unsigned i = 0; i < p->nkey; i++) {
		buf_putc(&path, '.');
		query_step_write(&path, p->keys[i]);
	}
	doc_write_json_str(json, buf_view(&path));
	buf_fini(&path);
}

static void
put_acknowledgement(struct buf *json, const struct pending *p)
{
	buf_cstr(json, ",\"ack\":{\"status\":");
	doc_write_json(json, p->status);
	buf_cstr(json, ",\"version\":");
	doc_write_json(json, p->version);
	if (doc_defined(p->description)) {
		buf_cstr(json, ",\"description\":");
		doc_write_json(json, p->description);
	}
	buf_putc(json, '}');
}

static bool
put_pending(void *ctx, const struct pending *p)
{
	struct listing *l = ctx;

	if (l->n++ >= PENDING_MAX)
		return true; /* counted only */
	buf_cstr(l->json, l->n > 1 ? ",{\"path\":" : "{\"path\":");
	put_path(l->json, p);
	buf_cstr(l->json, ",\"desired\":");
	doc_write_json(l->json, p->desired);
	if (doc_defined(p->reported)) {
		buf_cstr(l->json, ",\"reported\":");
		doc_write_json(l->json, p->reported);
	}
	if (p->acknowledged)
		put_acknowledgement(l->json, p);
	buf_putc(l->json, '}');
	return true;
}

void
on_twin_convergence(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct buf entries = { 0 }, *json = &reply->body;
	struct listing l = { &entries, 0 };
	struct section reported;
	struct wanted w;
	int64_t activity;
	bool ok = wanted_decode(blob_str(r->records[RECORD_WANTED]), &w) &&
	    reported_decode(blob_str(r->records[RECORD_REPORTED]), &activity, &reported);

	assert(ok);
	(void)ok, (void)sh, (void)op, (void)env;
	section_pending(&w.desired, &reported, put_pending, &l);
	buf_cstr(json, "{\"deviceId\":");
	doc_write_json_str(json, row_device(r));
	if (r->module_n != 0) {
		buf_cstr(json, ",\"moduleId\":");
		doc_write_json_str(json, row_module(r));
	}
	buf_printf(json,
	    ",\"converged\":%s,\"desiredVersion\":%u,\"reportedVersion\":%u,\"pendingCount\":%u,"
	    "\"truncated\":%s,\"pending\":[",
	    l.n == 0 ? "true" : "false", w.desired.version, reported.version, l.n,
	    l.n > PENDING_MAX ? "true" : "false");
	buf_str(json, buf_view(&entries));
	buf_putc(json, ']');
	buf_putc(json, '}');
	buf_fini(&entries);
}
