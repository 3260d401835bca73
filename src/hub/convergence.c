/* What of a twin's desired properties is not reported, as the API tells it (twins.md 14). */
#include "hub/priv.h"

#define PENDING_MAX 1000u /* entries of one answer */

struct listing {
	struct out out;
	uint32_t n;
};

static void
put_path(struct out *o, const struct pending *p)
{
	struct buf path = { 0 };

	buf_cstr(&path, "properties.desired");
	for (unsigned i = 0; i < p->nkey; i++) {
		buf_putc(&path, '.');
		query_step_write(&path, p->keys[i]);
	}
	out_str(out_key(o, "path"), buf_view(&path));
	buf_fini(&path);
}

static void
put_acknowledgement(struct out *o, const struct pending *p)
{
	out_open(out_key(o, "ack"));
	out_doc(out_key(o, "status"), p->status);
	out_doc(out_key(o, "version"), p->version);
	out_some_doc(o, "description", p->description);
	out_close(o);
}

static bool
put_pending(void *ctx, const struct pending *p)
{
	struct listing *l = ctx;
	struct out *o = &l->out;

	if (l->n++ >= PENDING_MAX)
		return true; /* counted only */
	out_open(o);
	put_path(o, p);
	out_doc(out_key(o, "desired"), p->desired);
	out_some_doc(o, "reported", p->reported);
	if (p->acknowledged)
		put_acknowledgement(o, p);
	out_close(o);
	return true;
}

void
on_twin_convergence(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct buf entries = { 0 };
	struct listing l = { out_to(&entries), 0 };
	struct out o = out_to(&reply->body);
	struct section reported;
	struct wanted w;

	(void)sh, (void)op, (void)env;
	row_read_wanted(r, &w);
	row_read_reported(r, &reported);
	section_pending(&w.desired, &reported, put_pending, &l);
	out_open(&o);
	row_put_ids(&o, r);
	out_bool(out_key(&o, "converged"), l.n == 0);
	out_u64(out_key(&o, "desiredVersion"), w.desired.version);
	out_u64(out_key(&o, "reportedVersion"), reported.version);
	out_u64(out_key(&o, "pendingCount"), l.n);
	out_bool(out_key(&o, "truncated"), l.n > PENDING_MAX);
	out_list(out_key(&o, "pending"));
	out_json(&o, buf_view(&entries));
	out_close(&o);
	out_close(&o);
	buf_fini(&entries);
}
