/* What is done to the hub outside of its shards, told to the log by shard 0 (docs/spec/events.md, E-97). */
#include "http/priv.h"

#include <stdlib.h>

/* Until the record is on disk. */
struct telling {
	void *ctx;
	void (*then)(void *ctx);
};

void
admin_asker_take(struct admin_asker *a, const struct request *r)
{
	a->actor = str_dup0(r->asker);
	net_addr_text(&r->ask.from, a->peer);
}

void
admin_asker_fini(struct admin_asker *a)
{
	free(a->actor);
}

/* What has been done stands, though it could not be told. */
static void
done_telling(struct work *w)
{
	struct telling *t = w->owner;

	t->then(t->ctx);
	free(t);
	work_free(w);
}

void
admin_tell(struct http_loop *hl, const struct admin_asker *a, const struct admin_told *what,
    void *ctx, void (*then)(void *ctx))
{
	struct str actor = str_of(a->actor), peer = str_of(a->peer);
	struct work *w =
	    work_new(hl->loop, actor.n + peer.n + what->name.n + what->more.n, done_telling);
	struct telling *t = xcalloc(1, sizeof(*t));

	*t = (struct telling){ ctx, then };
	w->owner = t;
	w->op.kind = OP_ADMIN;
	w->op.admin = (uint8_t)what->what;
	w->op.actor = ACTOR_POLICY;
	w->op.actor_name = work_str(w, actor);
	w->op.peer = work_str(w, peer);
	w->op.name = work_str(w, what->name);
	w->op.told = work_str(w, what->more);
	fleet_submit(hl->o.fleet, w);
}

/* ---- by the operation itself ---- */

void
work_peer(struct work *w, const struct request *r)
{
	char text[NET_ADDR_TEXT_MAX];

	w->op.peer = work_str(w, str_of(net_addr_text(&r->ask.from, text)));
}

static struct out
told_begin(struct doc_writer *dw, struct buf *doc)
{
	struct out o;

	doc_writer_init(dw, doc, 0);
	o = out_to_doc(dw);
	out_open(&o);
	return o;
}

void
told_text(struct buf *doc, const char *name, struct str value)
{
	struct doc_writer dw;
	struct out o = told_begin(&dw, doc);

	out_str(out_key(&o, name), value);
	out_close(&o);
}

void
told_member(struct buf *doc, struct doc body, const char *name)
{
	struct doc value = doc_get(body, str_of(name));
	struct doc_writer dw;
	struct out o = told_begin(&dw, doc);

	if (doc_defined(value))
		out_doc(out_key(&o, name), value);
	out_close(&o);
}
