/* Configurations (service-rest.md 13). Their metrics are counted when they are shown, so they are never old. */
#include "http/priv.h"

#include <stdlib.h>

/* Configurations on their way to being shown: the metrics are counted one after another. */
struct shown {
	struct http_loop *hl;
	struct reply_to to;
	bool list;
	uint32_t n, at, metric; /* configurations; the one, and its metric, that is being counted */
	uint64_t results[CONFIGURATION_RESULTS_MAX];
	struct draw draw;
	struct buf json;
	struct out out; /* into it */
	struct configuration *v[CONFIGURATIONS_MAX];
};

static void shown_next(struct shown *s);

static void
shown_free(struct shown *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		configuration_unref(s->v[i]);
	buf_fini(&s->json);
	free(s);
}

static void
shown_reply(struct shown *s)
{
	struct request *r = request_of(s->hl, s->to);
	char etag[32] = "";

	if (r != NULL && s->list) {
		out_close(&s->out);
		reply_json(r, 200, buf_view(&s->json));
	} else if (r != NULL) {
		configuration_etag(s->v[0], etag);
		reply_etag(r, 200, buf_view(&s->json), etag);
	}
	shown_free(s);
}

static void
counted(struct tour *k)
{
	struct shown *s = k->owner;
	struct request *r = request_of(s->hl, s->to);
	struct fault f = k->task->fault;

	s->results[s->metric++] = k->task->bookmark.delivered;
	tour_free(k); /* before s, which has the draw */
	if (r != NULL && f.code == F_NONE) {
		shown_next(s);
		return;
	}
	if (r != NULL)
		reply_fault(r, &f);
	shown_free(s);
}

/* False: the result is known without counting. */
static bool
count(struct shown *s)
{
	struct query *q = NULL;
	struct buf text = { 0 };
	struct request *r;
	struct query_task *t;
	struct tour *k;

	configuration_metric(s->v[s->at], s->metric, &text);
	if (text.n == 0 || configuration_metric_plan(buf_view(&text), &q, NULL) != ERR_OK) {
		s->results[s->metric++] = 0;
	} else {
		t = any_query_task_new(q);
		t->count = true;
		k = tour_new(s->hl->loop, &t->task, counted);
		k->owner = s;
		if (configuration_metric_reached(s->v[s->at], s->metric)) {
			s->draw = (struct draw){ .sink = draw_sink(),
				.salt = s->v[s->at]->rollout->salt,
				.to = s->v[s->at]->rollout->bound };
			t->sink = &s->draw.sink;
		}
		if ((r = request_of(s->hl, s->to)) != NULL)
			k->ticket = request_ticket(r);
		fleet_tour(s->hl->o.fleet, k);
	}
	buf_fini(&text);
	return q != NULL;
}

static void
shown_next(struct shown *s)
{
	for (; s->at < s->n; s->at++, s->metric = 0) {
		while (s->metric < configuration_metrics(s->v[s->at]))
			if (count(s))
				return;
		configuration_write(out_value(&s->out), s->v[s->at], s->results);
	}
	shown_reply(s);
}

static struct shown *
shown_new(struct request *r, bool list)
{
	struct shown *s = xcalloc(1, sizeof(*s));

	s->hl = r->hl;
	s->to = request_address(r);
	s->list = list;
	s->out = out_to(&s->json);
	if (list)
		out_list(&s->out);
	return s;
}

static void
show_one(struct request *r, struct str id)
{
	struct catalogue_box *box = r->hl->o.catalogue; /* r is gone when it has been answered */
	const struct catalogue *c = catalogue_use(box);
	struct configuration *found = configurations_find(c->configurations, id);
	struct shown *s;

	if (found == NULL) {
		reply_error(r, F_ConfigurationNotFound, STR_FMT, STR_ARG(id));
	} else {
		s = shown_new(r, false);
		s->v[s->n++] = configuration_ref(found);
		shown_next(s);
	}
	catalogue_drop(box, c);
}

void
on_configuration_get(struct request *r)
{
	show_one(r, r->segment[1]);
}

void
on_configurations_list(struct request *r)
{
	const struct catalogue *c = catalogue_use(r->hl->o.catalogue);
	const struct configurations *set = c->configurations;
	struct shown *s = shown_new(r, true);
	int64_t top = CONFIGURATIONS_MAX;

	(void)request_number(r, "top", 1, CONFIGURATIONS_MAX, &top, NULL);
	while (set != NULL && s->n < set->n && s->n < (uint32_t)top) {
		s->v[s->n] = configuration_ref(set->v[s->n]);
		s->n++;
	}
	catalogue_drop(r->hl->o.catalogue, c);
	shown_next(s);
}

/* ---- changes ---- */

/* A new one counts nothing yet; of one that was there the metrics are shown. */
static void
done_put(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL && w->op.if_match == IF_NONE)
		reply_etag(r, 200, buf_view(&w->reply.body), w->reply.etag);
	else if (r != NULL)
		show_one(r, w->op.name);
	work_free(w);
}

struct work *
named_work(
    struct request *r, enum op_kind kind, struct str id, size_t room, void (*done)(struct work *w))
{
	struct work *w = work_new(r->hl->loop,
	    id.n + r->asker.n + WORK_PEER_ROOM + room + request_if_match_room(r), done);

	w->op.kind = kind;
	w->op.actor = ACTOR_POLICY;
	w->op.actor_name = work_str(w, r->asker);
	w->op.name = work_str(w, id);
	work_peer(w, r);
	w->op.reply_to = request_address(r);
	w->owner = r->hl;
	request_if_match(r, w);
	return w;
}

void
on_configuration_update(struct request *r)
{
	struct doc_parsed info;
	struct fault f = { 0 };
	struct work *w;
	struct doc body;
	bool dry;

	if (request_flag(r, "dryRun", &dry, &f) != ERR_OK) {
		reply_fault(r, &f);
		return;
	}
	if (!request_doc(r, &body_configuration, &info))
		return;
	body = doc_of(buf_view(&r->hl->doc));
	warn_body(r, "", body, &body_configuration);
	warn_condition(r, "targetCondition", doc_getc(body, "targetCondition"));
	warn_metrics(r, doc_getc(doc_getc(body, "metrics"), "queries"));
	w = named_work(r, OP_CONFIGURATION_PUT, r->segment[1], r->hl->doc.n, done_put);
	w->op.payload = work_str(w, buf_view(&r->hl->doc));
	w->op.nduplicate = info.nduplicate;
	if (dry)
		configuration_dry_run(r, w);
	else
		request_submit(r, w);
}

/* Only to ask what it would do: a POST changes nothing. */
void
on_configuration_post(struct request *r)
{
	bool dry;

	if (request_flag(r, "dryRun", &dry, NULL) == ERR_OK && dry)
		on_configuration_update(r);
	else
		reply_error(r, F_GenericMethodNotAllowed, "this path does not have this method");
}

void
on_configuration_remove(struct request *r)
{
	request_submit(r, named_work(r, OP_CONFIGURATION_DELETE, r->segment[1], 0, done_empty));
}

/* ---- POST /configurations/{configuration}/rollout/{action} ---- */

static void
done_rollout(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL)
		show_one(r, w->op.name);
	work_free(w);
}

void
on_rollout_action(struct request *r)
{
	struct buf told = { 0 };
	struct work *w;

	for (int a = ROLLOUT_LOOK + 1; a < ROLLOUT_ACTIONS; a++) {
		if (!str_eq(r->segment[3], rollout_action_names[a]))
			continue;
		told_text(&told, "action", r->segment[3]);
		w = named_work(r, OP_ROLLOUT, r->segment[1], told.n, done_rollout);
		w->op.rollout.action = (enum rollout_action)a;
		w->op.told = work_str(w, buf_view(&told));
		buf_fini(&told);
		request_submit(r, w);
		return;
	}
	reply_error(
	    r, F_GenericNotFound, "a rollout has no action " STR_FMT, STR_ARG(r->segment[3]));
}

/* ---- POST /configurations/testQueries (J-30) ---- */

static void
test_target(struct out *o, struct doc target)
{
	struct fault f = { 0 };
	struct query *q = NULL;
	struct str text = doc_kind(target) == DOC_STRING ? doc_str(target) : STR_NONE;

	out_key(o, "targetConditionError");
	if (doc_defined(target) && doc_kind(target) != DOC_STRING && doc_kind(target) != DOC_NULL)
		out_cstr(o, "targetCondition is not a string");
	else if (query_parse_condition(text, &q, &f) == ERR_OK &&
	    condition_check(q, F_InvalidConfigurationTargetCondition, &f) == ERR_OK)
		out_null(o);
	else
		out_cstr(o, f.text);
	query_free(q);
}

static void
test_metrics(struct out *o, struct doc queries)
{
	struct doc_iter it = doc_iter(queries);
	struct str name;
	struct doc v;

	out_key(o, "customMetricQueryErrors");
	out_open(o);
	while (doc_next(&it, &name, &v)) {
		struct fault f = { 0 };
		struct query *q = NULL;

		if (doc_kind(v) != DOC_STRING)
			fault_set(&f, F_ArgumentInvalid, "the query is not a string");
		else if (configuration_metric_plan(doc_str(v), &q, &f) == ERR_OK) {
			query_free(q);
			continue;
		}
		out_key_str(o, name);
		out_cstr(o, f.text);
	}
	out_close(o);
}

void
on_test_queries(struct request *r)
{
	struct out o = out_to(&r->hl->json);
	struct doc_parsed info;
	struct doc body;

	if (!request_doc(r, &body_test_queries, &info))
		return;
	body = doc_of(buf_view(&r->hl->doc));
	if (doc_kind(body) != DOC_OBJECT) {
		reply_error(r, F_ArgumentInvalid, "the body is not a JSON object");
		return;
	}
	r->hl->json.n = 0;
	out_open(&o);
	test_target(&o, doc_getc(body, "targetCondition"));
	test_metrics(&o, doc_getc(body, "customMetricQueries"));
	out_close(&o);
	warn_metrics(r, doc_getc(body, "customMetricQueries"));
	reply_json(r, 200, buf_view(&r->hl->json));
}

/* ---- POST /devices/{device}/applyConfigurationContent ---- */

/* As it is, or wrapped as in a configuration: the C SDK's form. */
static struct doc
content_of(struct doc body)
{
	struct doc inner = doc_getc(body, "content");

	return doc_kind(inner) == DOC_OBJECT && !doc_defined(doc_getc(body, "modulesContent"))
	    ? inner
	    : body;
}

void
on_apply_configuration(struct request *r)
{
	struct doc_parsed info;
	struct str content;
	struct work *w;

	if (!request_doc(r, &body_content, &info))
		return;
	content = doc_bytes(content_of(doc_of(buf_view(&r->hl->doc))));
	w = request_work(r, OP_APPLY_CONTENT, content.n, done_empty);
	w->op.payload = work_str(w, content);
	w->op.nduplicate = info.nduplicate;
	request_submit(r, w);
}
