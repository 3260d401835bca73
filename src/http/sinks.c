/* Sinks and routes (docs/spec/events.md 4): operations on shard 0, shown from the set that is on disk, with what becomes of it. */
#include "http/priv.h"

/* ---- shown ---- */

static void
put_sink(struct request *r, struct out *o, const struct sink_def *d)
{
	sink_def_show(o, d);
	deliveries_show(r->hl->o.deliveries, d, o);
	out_close(o);
}

static void
put_built_in(struct out *o)
{
	built_in_show(o);
	out_close(o);
}

static void
put_route(struct out *o, const struct route_def *d)
{
	route_def_show(o, d);
	out_close(o);
}

static void
reply_shown(struct request *r, uint64_t counter)
{
	char etag[32];

	decimal_etag(counter, etag);
	if (counter != 0)
		reply_etag(r, 200, buf_view(&r->hl->json), etag);
	else /* nobody has written it */
		reply_json(r, 200, buf_view(&r->hl->json));
}

static struct out
json_begin(struct request *r)
{
	r->hl->json.n = 0;
	return out_to(&r->hl->json);
}

void
on_sink_get(struct request *r)
{
	struct routing *set = deliveries_routing(r->hl->o.deliveries);
	const struct sink_def *d = routing_sink(set, r->segment[1]);
	struct out o = json_begin(r);

	if (str_eq(r->segment[1], STR(BUILT_IN))) {
		put_built_in(&o);
		reply_shown(r, 0);
	} else if (d == NULL) {
		reply_error(
		    r, F_GenericNotFound, "there is no sink " STR_FMT, STR_ARG(r->segment[1]));
	} else {
		put_sink(r, &o, d);
		reply_shown(r, d->counter);
	}
	routing_unref(set);
}

void
on_sinks_list(struct request *r)
{
	struct routing *set = deliveries_routing(r->hl->o.deliveries);
	struct out o = json_begin(r);

	out_list(&o);
	put_built_in(&o);
	for (uint32_t i = 0; i < set->nsink; i++)
		put_sink(r, &o, set->sinks[i]);
	out_close(&o);
	reply_shown(r, 0);
	routing_unref(set);
}

void
on_route_get(struct request *r)
{
	struct routing *set = deliveries_routing(r->hl->o.deliveries);
	const struct route_def *d = routing_route(set, r->segment[1]);
	struct out o = json_begin(r);

	if (d == NULL) {
		reply_error(
		    r, F_GenericNotFound, "there is no route " STR_FMT, STR_ARG(r->segment[1]));
	} else {
		put_route(&o, d);
		reply_shown(r, d->counter);
	}
	routing_unref(set);
}

void
on_routes_list(struct request *r)
{
	struct routing *set = deliveries_routing(r->hl->o.deliveries);
	struct out o = json_begin(r);

	out_list(&o);
	for (uint32_t i = 0; i < set->nroute; i++)
		put_route(&o, set->routes[i]);
	out_close(&o);
	reply_shown(r, 0);
	routing_unref(set);
}

void
on_sink_statistics(struct request *r)
{
	struct out o = json_begin(r);

	deliveries_show_all(r->hl->o.deliveries, &o);
	reply_json(r, 200, buf_view(&r->hl->json));
}

/* ---- changed ---- */

static void
done_sink_put(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL)
		on_sink_get(r);
	work_free(w);
}

static void
done_route_put(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL)
		on_route_get(r);
	work_free(w);
}

static void
done_delete(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL)
		reply_empty(r, 204);
	work_free(w);
}

static void
put_from_body(
    struct request *r, enum op_kind kind, const struct shape *shape, void (*done)(struct work *w))
{
	struct doc_parsed info;
	struct work *w;

	if (!request_doc(r, shape, &info))
		return;
	w = named_work(r, kind, r->segment[1], r->hl->doc.n, done);
	w->op.payload = work_str(w, buf_view(&r->hl->doc));
	w->op.nduplicate = info.nduplicate;
	request_submit(r, w);
}

void
on_sink_put(struct request *r)
{
	put_from_body(r, OP_SINK_PUT, &body_sink, done_sink_put);
}

void
on_route_put(struct request *r)
{
	put_from_body(r, OP_ROUTE_PUT, &body_route, done_route_put);
}

void
on_sink_delete(struct request *r)
{
	request_submit(r, named_work(r, OP_SINK_DELETE, r->segment[1], 0, done_delete));
}

void
on_route_delete(struct request *r)
{
	request_submit(r, named_work(r, OP_ROUTE_DELETE, r->segment[1], 0, done_delete));
}

/* ---- POST /routes/{route}/test ---- */

void
on_route_test(struct request *r)
{
	struct routing *set;
	struct doc_parsed info;
	struct fault f = { 0 };
	struct out o;
	enum err e;

	if (!request_doc(r, &body_route_test, &info))
		return;
	o = json_begin(r);
	set = deliveries_routing(r->hl->o.deliveries);
	e = route_test(&o, doc_of(buf_view(&r->hl->doc)), routing_route(set, r->segment[1]),
	    r->hl->parser, &f);
	routing_unref(set);
	if (e == ERR_OK)
		reply_json(r, 200, buf_view(&r->hl->json));
	else
		reply_fault(r, &f);
}
