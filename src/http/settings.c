/* The hub's settings (docs/spec/events.md 8): those in force are shown, an operation on shard 0 changes them. */
#include "http/priv.h"

void
on_settings_get(struct request *r)
{
	struct settings *s = r->hl->o.admin.settings(r->hl->o.admin.ctx);
	struct out o;
	char etag[32];

	r->hl->json.n = 0;
	o = out_to(&r->hl->json);
	settings_show(&o, s);
	settings_etag(s, etag);
	settings_unref(s);
	reply_etag(r, 200, buf_view(&r->hl->json), etag);
}

/* They are in force by now. */
static void
done_settings_patch(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL)
		on_settings_get(r);
	work_free(w);
}

void
on_settings_patch(struct request *r)
{
	struct doc_parsed info;
	struct work *w;

	if (!request_doc(r, &body_settings, &info))
		return;
	w = named_work(r, OP_SETTINGS_PATCH, STR_NONE, r->hl->doc.n, done_settings_patch);
	w->op.payload = work_str(w, buf_view(&r->hl->doc));
	w->op.nduplicate = info.nduplicate;
	request_submit(r, w);
}
