/* O-230 to O-235: sessions that go on while their shard gets another owner. */
#include "hub_kit.h"

#include "shard/record.h"

/* ---- a session as its edge has it ---- */

struct edge {
	const char *id;
	uint32_t slot;
	uint64_t session_epoch, identity;
	struct opened opened;
	uint64_t known;   /* desired version that its device has been told */
	const char *list; /* filters: kit_filters */
	int64_t since_us;
	bool clean;
	bool live;
	/* known; of a session that was restored also before its edge knows: changes since it began */
	uint64_t told;
	unsigned changes; /* of the identity, when it began */
	enum reason why;  /* it is not live */
};

static struct edge
edge_connect(struct kit *k, const char *id, uint32_t slot, bool clean)
{
	struct edge e = { .id = id, .slot = slot, .clean = clean, .list = "", .live = true };

	e.session_epoch = kit_connect(k, id, slot, clean);
	e.identity = k->reply.identity;
	e.opened = k->reply.verdict.opened;
	e.since_us = k->env.now_us;
	return e;
}

static void
edge_subscribe(struct kit *k, struct edge *e, const char *list)
{
	kit_subscribe(k, e->id, e->session_epoch, list);
	if (strchr(e->list, *list) == NULL) /* one of "td" and "m", after the other one */
		e->list = *e->list == '\0' ? list : "tdm";
	if (k->reply.version != 0)
		e->known = e->told = k->reply.version;
}

static enum reason
edge_resume(struct kit *k, struct edge *e)
{
	struct op op = kit_op(OP_RESUME, e->id);
	struct buf list = { 0 };

	if (e->clean)
		kit_filters(&list, e->list);
	op.payload = buf_view(&list);
	op.reply_to.slot = e->slot;
	op.session_epoch = e->session_epoch;
	op.resume = (struct op_resume){ .identity = e->identity,
		.desired = e->known,
		.since_us = e->since_us,
		.opened = e->opened,
		.clean = e->clean };
	kit_run(k, &op);
	buf_fini(&list);
	assert_true(k->reply.gone == (k->reply.reason != REASON_NONE));
	assert_true(k->reply.gone == (k->reply.fault.code != F_NONE));
	if (k->reply.gone)
		e->live = false, e->why = k->reply.reason;
	return k->reply.reason;
}

static const struct presence *
present(struct kit *k, const char *id)
{
	const struct op op = kit_op(OP_CONNECT, id);
	const struct row *r = row_find(k->sh, op.device, op.module);

	return r != NULL ? r->presence : NULL;
}

static bool
is_present(struct kit *k, const struct edge *e)
{
	const struct presence *p = present(k, e->id);

	return p != NULL && p->session_epoch == e->session_epoch && p->session.slot == e->slot;
}

#define AUTH "'authentication':{'symmetricKey':{'primaryKey':'" KEY1 "','secondaryKey':'" KEY2 "'}}"

/* ---- one rule each ---- */

static void
resume__O230_who_subscribes_and_who_reads_learns_the_version(void **state)
{
	struct kit *k = *state;
	struct edge e;

	kit_device(k, "d1");
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	kit_restart(k); /* its record is read for that */
	e = edge_connect(k, "d1", 7, true);
	kit_subscribe(k, "d1", e.session_epoch, "tm");
	assert_int_equal(k->reply.version, 0);
	kit_subscribe(k, "d1", e.session_epoch, "d");
	assert_int_equal(k->reply.version, 2);
	kit_unsubscribe(k, "d1", e.session_epoch, "d");
	assert_int_equal(k->reply.version, 0);
	kit_session_op(k, OP_TWIN_GET, "d1", e.session_epoch, NULL);
	assert_int_equal(k->reply.version, 2);
}

static void
resume__O231_a_session_that_missed_nothing_goes_on_as_it_was(void **state)
{
	struct kit *k = *state;
	struct edge e, f;

	kit_device(k, "d1");
	kit_device(k, "d2");
	e = edge_connect(k, "d1", 7, true);
	f = edge_connect(k, "d2", 8, false);
	edge_subscribe(k, &e, "dt");
	edge_subscribe(k, &f, "dm"); /* it is stored */
	kit_restart(k);
	assert_null(present(k, "d1"));
	assert_int_equal(edge_resume(k, &e), REASON_NONE);
	assert_int_equal(edge_resume(k, &f), REASON_NONE);
	assert_true(is_present(k, &e) && is_present(k, &f));
	assert_int_equal(present(k, "d2")->listens, 1u << FILTER_DESIRED | 1u << FILTER_METHODS);
	assert_string_equal(kit_effects(k), "");
	assert_int_equal(edge_resume(k, &e), REASON_NONE); /* said twice */
	assert_true(is_present(k, &e));
	assert_string_equal(kit_effects(k), "");
	kit_get(k, "d1");
	kit_shows(k, "connectionState", "'Connected'");
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_string_equal(kit_effects(k), "notify 7 v2 {'a':1,'$version':2}");
	assert_int_equal(kit_report(k, "d1", e.session_epoch, "{'r':1}"), F_NONE);
	/* a newer one takes it over, as ever */
	assert_true(kit_connect(k, "d1", 9, true) > e.session_epoch);
	assert_string_equal(kit_effects(k), "close 7");
}

static void
resume__O232_who_may_have_missed_a_change_is_closed(void **state)
{
	struct kit *k = *state;
	struct edge listens, does_not, told_none;

	kit_device(k, "d1");
	kit_device(k, "d2");
	kit_device(k, "d3");
	listens = edge_connect(k, "d1", 7, true);
	does_not = edge_connect(k, "d2", 8, true);
	told_none = edge_connect(k, "d3", 9, true);
	edge_subscribe(k, &listens, "d");
	edge_subscribe(k, &does_not, "t");
	edge_subscribe(k, &told_none, "d");
	told_none.known = 0;
	kit_restart(k);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	kit_patch(k, "d2", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_int_equal(edge_resume(k, &listens), REASON_DESIRED_MISSED);
	assert_null(present(k, "d1"));
	assert_int_equal(edge_resume(k, &does_not), REASON_NONE);
	assert_int_equal(edge_resume(k, &told_none), REASON_DESIRED_MISSED);
}

static void
resume__O232_who_is_not_the_identity_of_then_is_closed(void **state)
{
	struct kit *k = *state;
	struct edge changed, gone, namesake, disabled, missing;

	kit_device(k, "d1");
	kit_device(k, "d2");
	kit_device(k, "d3");
	kit_device(k, "d4");
	changed = edge_connect(k, "d1", 1, true);
	gone = edge_connect(k, "d2", 2, true);
	namesake = edge_connect(k, "d3", 3, true);
	disabled = edge_connect(k, "d4", 4, true);
	missing = gone;
	missing.id = "nobody";
	kit_restart(k);
	kit_put(k, "d1", "*", "{" AUTH ",'statusReason':'x'}");
	kit_delete(k, "d2", "*");
	kit_delete(k, "d3", "*");
	kit_device(k, "d3");
	kit_put(k, "d4", "*", "{'status':'disabled'," AUTH "}");
	assert_int_equal(edge_resume(k, &changed), REASON_IDENTITY_CHANGED);
	assert_int_equal(edge_resume(k, &gone), REASON_DELETED);
	assert_int_equal(edge_resume(k, &namesake), REASON_IDENTITY_CHANGED);
	assert_int_equal(edge_resume(k, &disabled), REASON_DISABLED);
	assert_int_equal(edge_resume(k, &missing), REASON_DELETED);
}

static void
resume__O232_a_module_falls_with_its_device(void **state)
{
	struct kit *k = *state;
	struct edge own, parents;

	kit_device(k, "d1");
	kit_put(k, "d1/m1", NULL, "{" AUTH "}");
	kit_put(k, "d1/m2", NULL, "{}"); /* keys of its own */
	own = edge_connect(k, "d1/m1", 1, true);
	own.opened.by = OPENED_BY_SELF;
	parents = edge_connect(k, "d1/m2", 2, true);
	assert_int_equal(parents.opened.by, OPENED_BY_PARENT);
	kit_restart(k);
	assert_int_equal(edge_resume(k, &own), REASON_NONE);
	assert_int_equal(edge_resume(k, &parents), REASON_NONE);
	kit_restart(k);
	assert_int_equal(kit_body(k, OP_KEYS_REGENERATE, "d1", NULL, NULL), F_NONE);
	k->reply.body.n = 0;
	kit_put(k, "d1", "*",
	    "{'authentication':{'symmetricKey':{'primaryKey':'" KEY2 "','secondaryKey':'" KEY2
	    "'}}}");
	own.live = parents.live = true;
	assert_int_equal(edge_resume(k, &own), REASON_NONE); /* what has opened it holds */
	assert_int_equal(edge_resume(k, &parents), REASON_PARENT_KEY_CHANGED);
	kit_restart(k);
	kit_put(k, "d1", "*", "{'status':'disabled'," AUTH "}");
	assert_int_equal(edge_resume(k, &own), REASON_DISABLED);
	kit_restart(k);
	kit_delete(k, "d1", "*");
	assert_int_equal(edge_resume(k, &own), REASON_DELETED);
}

static void
resume__O233_the_newest_session_goes_on_in_any_order(void **state)
{
	struct kit *k = *state;

	for (int order = 0; order < 2; order++) {
		struct edge older, newer, other;

		kit_device(k, "d1");
		older = edge_connect(k, "d1", 1, true);
		newer = edge_connect(k, "d1", 2, true); /* and the older one's CLOSE is lost */
		kit_restart(k);
		kit_effects(k);
		assert_int_equal(edge_resume(k, order ? &newer : &older), REASON_NONE);
		assert_int_equal(edge_resume(k, order ? &older : &newer),
		    order ? REASON_TAKEN_OVER : REASON_NONE);
		assert_string_equal(kit_effects(k), order ? "" : "close 1");
		assert_true(is_present(k, &newer));
		other = newer; /* another link cannot be this session */
		other.slot = 3;
		assert_int_equal(edge_resume(k, &other), REASON_TAKEN_OVER);
		assert_true(is_present(k, &newer));
		kit_connect(k, "d1", 4, true); /* in this owner's epoch */
		assert_int_equal(edge_resume(k, &newer), REASON_TAKEN_OVER);
		kit_delete(k, "d1", "*");
	}
}

static void
resume__O233_what_is_stored_says_that_there_was_a_newer_one(void **state)
{
	struct kit *k = *state;
	struct edge stored, clean;

	kit_device(k, "d1");
	kit_device(k, "d2");
	stored = edge_connect(k, "d1", 1, false);
	clean = edge_connect(k, "d2", 2, true);
	kit_connect(k, "d1", 3, true);
	kit_connect(k, "d2", 4, false);
	kit_restart(k); /* and neither of those two comes back */
	assert_int_equal(edge_resume(k, &stored), REASON_TAKEN_OVER);
	assert_int_equal(edge_resume(k, &clean), REASON_TAKEN_OVER);
}

/* It is there, as it never went; but its link may have lost what it was sent. */
static void
resume__O232_a_session_that_is_there_ends_when_it_is_refused(void **state)
{
	struct kit *k = *state;
	struct edge e;

	kit_device(k, "d1");
	e = edge_connect(k, "d1", 7, true);
	edge_subscribe(k, &e, "d");
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	kit_effects(k);
	assert_int_equal(edge_resume(k, &e), REASON_DESIRED_MISSED);
	assert_null(present(k, "d1"));
	assert_string_equal(kit_effects(k), "close 7");
}

/* ---- the log ---- */

static unsigned
records_of_sessions(const struct kit *k, uint64_t from)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < k->store.n; i++) {
		const struct kit_row *r = &k->store.v[i];
		struct event e = { 0 };

		if (r->kind == RECORD_CHANGES && event_decode(buf_view(&r->value), &e) == ERR_OK)
			n += e.kind == EVENT_CONNECTED || e.kind == EVENT_DISCONNECTED;
	}
	return n - (unsigned)from;
}

static unsigned
told(struct kit *k, unsigned before)
{
	connections_tell(k->sh, 100, &k->env);
	kit_commit(k);
	return records_of_sessions(k, before);
}

static void
resume__O234_a_session_that_is_resumed_is_no_event(void **state)
{
	struct kit *k = *state;
	struct edge e, f, not_told;

	kit_device(k, "d1");
	kit_device(k, "d2");
	kit_device(k, "d3");
	e = edge_connect(k, "d1", 1, true);
	f = edge_connect(k, "d2", 2, true);
	assert_int_equal(told(k, 0), 2);
	not_told = edge_connect(k, "d3", 3, true);
	kit_restart(k);
	assert_int_equal(edge_resume(k, &e), REASON_NONE);
	assert_int_equal(told(k, 2), 1); /* d2's end with its owner */
	assert_int_equal(edge_resume(k, &not_told), REASON_NONE);
	assert_int_equal(told(k, 3), 1); /* d3's begin */
	assert_int_equal(edge_resume(k, &f), REASON_NONE);
	assert_int_equal(told(k, 4), 1); /* it is back: begins alternate with ends */
	assert_int_equal(told(k, 5), 0);
	kit_restart(k);
	assert_int_equal(edge_resume(k, &e), REASON_NONE);
	assert_int_equal(edge_resume(k, &f), REASON_NONE);
	assert_int_equal(edge_resume(k, &not_told), REASON_NONE);
	assert_int_equal(told(k, 5), 0);
}

/* ---- messages ---- */

struct heard {
	unsigned messages, methods;
	uint32_t slot;
};

static struct heard heard;

static void
hear(void *ctx, const struct effect *e)
{
	(void)ctx;
	heard.messages += e->kind == EFFECT_MESSAGE;
	heard.methods += e->kind == EFFECT_METHOD;
	heard.slot = e->session.slot;
}

static void
resume__O235_messages_that_were_out_come_again(void **state)
{
	struct kit *k = *state;
	struct op send = kit_op(OP_MESSAGE_SEND, "d1");
	struct edge e;

	k->env.effect = hear;
	heard = (struct heard){ 0 };
	kit_device(k, "d1");
	e = edge_connect(k, "d1", 7, true);
	edge_subscribe(k, &e, "C");
	send.payload = STR("hello");
	assert_int_equal(kit_run(k, &send), F_NONE);
	assert_int_equal(heard.messages, 1);
	kit_restart(k);
	e.slot = 8;
	assert_int_equal(edge_resume(k, &e), REASON_NONE);
	assert_int_equal(heard.messages, 2);
	assert_int_equal(heard.slot, 8);
	assert_int_equal(edge_resume(k, &e), REASON_NONE); /* it is out now */
	assert_int_equal(heard.messages, 2);
}

static void
resume__O235_a_call_that_waits_for_the_device_is_sent(void **state)
{
	struct kit *k = *state;
	struct op call = kit_op(OP_METHOD, "d1");
	struct edge e;

	k->env.effect = hear;
	heard = (struct heard){ 0 };
	kit_device(k, "d1");
	e = edge_connect(k, "d1", 7, true);
	edge_subscribe(k, &e, "m");
	kit_restart(k);
	call.method.name = STR("reboot");
	call.method.wait = true;
	call.payload = STR("null");
	assert_int_equal(kit_run(k, &call), F_NONE);
	assert_int_equal(heard.methods, 0);
	assert_int_equal(edge_resume(k, &e), REASON_NONE);
	assert_int_equal(heard.methods, 1);
	assert_int_equal(heard.slot, 7);
}

/* ---- a model: edges, writes, an owner that dies ---- */

#define IDS   3
#define EDGES 64

static const char *const ids[IDS] = { "d0", "d1", "d0/m" };

struct model {
	struct kit *k;
	struct rnd rnd;
	struct edge edges[EDGES];
	unsigned n;
	unsigned changes[IDS]; /* of the identity */
	bool deaf;             /* what its owner says now is lost with it */
	unsigned taken, missed, outdated, older;
};

static struct model *model;

static unsigned
id_of(const struct edge *e)
{
	for (unsigned i = 0; i < IDS; i++)
		if (ids[i] == e->id)
			return i;
	abort();
}

static void
model_hears(void *ctx, const struct effect *e)
{
	(void)ctx;
	for (unsigned i = 0; i < model->n && !model->deaf; i++) {
		struct edge *to = &model->edges[i];

		if (to->slot != e->session.slot || !to->live)
			continue;
		if (e->kind == EFFECT_CLOSE)
			to->live = false, to->why = e->reason;
		else if (e->kind == EFFECT_NOTIFY)
			to->known = to->told = e->version;
	}
}

static uint64_t
desired_of(struct model *m, unsigned id)
{
	assert_int_equal(kit_read(m->k, ids[id]), F_NONE);
	return (uint64_t)strtoull(kit_at(m->k, "properties/desired/$version"), NULL, 10);
}

static struct edge *
some_live(struct model *m)
{
	unsigned at = m->n != 0 ? (unsigned)rnd_below(&m->rnd, m->n) : 0;

	return m->n != 0 && m->edges[at].live ? &m->edges[at] : NULL;
}

static void
model_connect(struct model *m)
{
	unsigned id = (unsigned)rnd_below(&m->rnd, IDS);
	struct edge *e;

	if (m->n == EDGES)
		return;
	e = &m->edges[m->n];
	*e = edge_connect(m->k, ids[id], m->n + 1, rnd_below(&m->rnd, 2) == 0);
	e->changes = m->changes[id];
	e->told = desired_of(m, id); /* should it listen already */
	m->n++;
}

static void
model_change_identity(struct model *m)
{
	unsigned id = (unsigned)rnd_below(&m->rnd, IDS);

	assert_int_equal(kit_put(m->k, ids[id], "*", "{" AUTH ",'statusReason':'x'}"), F_NONE);
	m->changes[id]++;
}

static void
model_step(struct model *m)
{
	struct edge *e = some_live(m);

	switch (rnd_below(&m->rnd, 8)) {
	case 0:
	case 1: model_connect(m); break;
	case 2:
		if (e != NULL && is_present(m->k, e))
			edge_subscribe(m->k, e, rnd_below(&m->rnd, 3) != 0 ? "td" : "m");
		break;
	case 3:
		if (e != NULL && is_present(m->k, e) &&
		    kit_session_op(m->k, OP_TWIN_GET, e->id, e->session_epoch, NULL) == F_NONE)
			e->known = e->told = m->k->reply.version;
		break;
	case 4:
		if (rnd_below(&m->rnd, 4) == 0)
			model_change_identity(m);
		break;
	default:
		kit_patch(
		    m->k, ids[rnd_below(&m->rnd, IDS)], NULL, "{'properties':{'desired':{'a':1}}}");
	}
}

/* All who have a link ask, some twice, while devices come and back ends write. */
static void
model_resume(struct model *m)
{
	unsigned order[EDGES], n = 0;

	for (unsigned i = 0; i < m->n; i++)
		if (m->edges[i].live)
			order[n++] = i;
	for (unsigned i = 0; i < n; i++) {
		unsigned at = i + (unsigned)rnd_below(&m->rnd, n - i), x = order[at];
		struct edge *e = &m->edges[x];
		bool same = e->changes == m->changes[id_of(e)];
		enum reason why;

		order[at] = order[i], order[i] = x;
		if (!e->live)
			continue;
		why = edge_resume(m->k, e);
		m->taken += why == REASON_NONE;
		m->missed += why == REASON_DESIRED_MISSED;
		m->outdated += why == REASON_IDENTITY_CHANGED;
		m->older += why == REASON_TAKEN_OVER;
		assert_true((why == REASON_IDENTITY_CHANGED) == !same);
		if (why == REASON_NONE)
			assert_true(is_present(m->k, e));
		if (rnd_below(&m->rnd, 4) == 0)
			model_step(m);
		if (rnd_below(&m->rnd, 8) == 0 && e->live)
			edge_resume(m->k, e);
	}
}

static void
model_holds(struct model *m)
{
	for (unsigned id = 0; id < IDS; id++) {
		uint64_t version = desired_of(m, id);
		const struct presence *p = present(m->k, ids[id]);
		const struct edge *newest = NULL;
		unsigned live = 0;

		for (unsigned i = 0; i < m->n; i++) {
			const struct edge *e = &m->edges[i];

			if (e->id != ids[id] || !e->live)
				continue;
			live++;
			newest = e;
		}
		assert_true(live <= 1);
		assert_true((p != NULL) == (live == 1));
		if (p == NULL || newest == NULL)
			continue;
		assert_true(is_present(m->k, newest));
		if (p->listens & 1u << FILTER_DESIRED)
			assert_int_equal(newest->told, version);
	}
}

/* Of each identity the newest session that has a link. */
static void
newest_of(const struct model *m, const struct edge *out[IDS])
{
	for (unsigned id = 0; id < IDS; id++) {
		out[id] = NULL;
		for (unsigned i = 0; i < m->n; i++)
			if (m->edges[i].live && m->edges[i].id == ids[id])
				out[id] = &m->edges[i];
	}
}

static bool
has_newer(const struct model *m, const struct edge *than)
{
	for (unsigned i = 0; i < m->n; i++)
		if (m->edges[i].id == than->id && m->edges[i].session_epoch > than->session_epoch)
			return true;
	return false;
}

static void
model_dies(struct model *m)
{
	m->deaf = rnd_below(&m->rnd, 2) == 0; /* it has said what nobody hears */
	for (unsigned i = 0; i < 3; i++)
		if (rnd_below(&m->rnd, 2) == 0)
			kit_patch(m->k, ids[rnd_below(&m->rnd, IDS)], NULL,
			    "{'properties':{'desired':{'b':1}}}");
	if (rnd_below(&m->rnd, 2) == 0)
		model_connect(m);
	m->deaf = m->k->hold = true; /* and has done what never was on disk */
	kit_patch(m->k, ids[rnd_below(&m->rnd, IDS)], NULL, "{'properties':{'desired':{'c':1}}}");
	rows_clear(&m->k->batch);
	m->deaf = m->k->hold = false;
	kit_restart(m->k);
}

static void
model_play(struct kit *k, uint64_t seed, unsigned totals[4])
{
	struct model m = { .k = k, .rnd = { seed * 2654435761u + 88172645463325252u } };

	model = &m;
	k->env.effect = model_hears;
	kit_device(k, "d0");
	kit_device(k, "d1");
	kit_put(k, "d0/m", NULL, "{" AUTH "}");
	for (unsigned round = 0; round < 4; round++) {
		const struct edge *newest[IDS];

		for (unsigned i = 0; i < 12; i++)
			model_step(&m);
		model_holds(&m);
		model_dies(&m);
		newest_of(&m, newest);
		model_resume(&m);
		for (unsigned id = 0; id < IDS; id++)
			if (newest[id] != NULL && !newest[id]->live &&
			    newest[id]->why == REASON_TAKEN_OVER)
				assert_true(has_newer(&m, newest[id]));
		model_holds(&m);
	}
	totals[0] += m.taken;
	totals[1] += m.missed;
	totals[2] += m.outdated;
	totals[3] += m.older;
}

static void
resume__O231_after_any_history_who_lives_has_been_told(void **state)
{
	unsigned totals[4] = { 0 };
	(void)state;

	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct kit k;

		kit_init(&k);
		model_play(&k, seed, totals);
		kit_fini(&k);
	}
	for (unsigned i = 0; i < 4; i++) /* each was there, often */
		assert_true(totals[i] >= 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(resume__O230_who_subscribes_and_who_reads_learns_the_version),
		kit_test(resume__O231_a_session_that_missed_nothing_goes_on_as_it_was),
		kit_test(resume__O232_who_may_have_missed_a_change_is_closed),
		kit_test(resume__O232_who_is_not_the_identity_of_then_is_closed),
		kit_test(resume__O232_a_module_falls_with_its_device),
		kit_test(resume__O232_a_session_that_is_there_ends_when_it_is_refused),
		kit_test(resume__O233_the_newest_session_goes_on_in_any_order),
		kit_test(resume__O233_what_is_stored_says_that_there_was_a_newer_one),
		kit_test(resume__O234_a_session_that_is_resumed_is_no_event),
		kit_test(resume__O235_messages_that_were_out_come_again),
		kit_test(resume__O235_a_call_that_waits_for_the_device_is_sent),
		cmocka_unit_test(resume__O231_after_any_history_who_lives_has_been_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
