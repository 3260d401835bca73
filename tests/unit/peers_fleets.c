/*
 * Three nodes of one hub: who asks any of them is answered as by one, while shards move between them and links go. docs/spec/operate.md, 14.
 */
#include "peers_kit.h"

#define DEVICES 48
#define FLIGHT  4 /* patches of each device under way at once */
#define MOVES   60

/* ---- shards that move for ever ---- */

struct mover {
	struct move move;
	unsigned moves;
	bool stops, idle; /* under k->mu */
};

static void
next_move(void *ctx)
{
	struct mover *m = ctx;
	bool stops;

	pthread_mutex_lock(&hub.k->mu);
	m->moves++;
	stops = m->idle = m->stops;
	pthread_cond_broadcast(&hub.k->changed);
	pthread_mutex_unlock(&hub.k->mu);
	if (stops)
		return;
	m->move.shard = (m->move.shard + 7) % SHARDS;
	m->move.to =
	    (unsigned)(atomic_load(&hub.owners[m->move.shard]) + 1 + m->moves % 2) % NODES_;
	move_begin(&m->move);
}

static void
mover_start(struct mover *m)
{
	*m = (struct mover){ .move = { .over = next_move, .ctx = m } };
	next_move(m);
}

static void
mover_stop(struct mover *m, unsigned least)
{
	kit_await(hub.k, m->moves >= least);
	pthread_mutex_lock(&hub.k->mu);
	m->stops = true;
	pthread_mutex_unlock(&hub.k->mu);
	kit_await(hub.k, m->idle);
}

static unsigned
moves_of(struct mover *m)
{
	unsigned n;

	pthread_mutex_lock(&hub.k->mu);
	n = m->moves;
	pthread_mutex_unlock(&hub.k->mu);
	return n;
}

/* ---- patches, whose order and number can be told ---- */

static void
patch(struct kit *k, unsigned device, unsigned n)
{
	char id[16], json[64];

	snprintf(id, sizeof(id), "d%u", device);
	snprintf(json, sizeof(json), "{'properties':{'desired':{'n':%u}}}", n);
	kit_send(k, OP_TWIN_PATCH, id, json);
}

static uint64_t
number_in(const struct buf *body, const char *name)
{
	struct buf text = { 0 };
	const char *at;
	uint64_t n;

	buf_str(&text, buf_view(body));
	buf_putc(&text, '\0');
	at = strstr(text.p, name);
	assert_non_null(at);
	n = strtoull(at + strlen(name), NULL, 10);
	buf_fini(&text);
	return n;
}

struct tally {
	uint64_t versions[DEVICES], done[DEVICES], last[DEVICES];
	unsigned refused, unknown;
};

/* In the order in which they were sent. */
static void
sort_back(struct kit *k, uint32_t first, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		while (k->back[i]->tag - first != i) {
			struct work *w = k->back[i];
			uint32_t to = w->tag - first;

			k->back[i] = k->back[to];
			k->back[to] = w;
		}
}

static void
round_of_patches(struct kit *k, struct tally *t, unsigned round)
{
	uint32_t first = k->tag;

	for (unsigned i = 0; i < FLIGHT; i++)
		for (unsigned d = 0; d < DEVICES; d++) {
			at_node((d + round) % NODES_);
			patch(k, d, round * FLIGHT + i + 1);
		}
	kit_await(k, k->nback == FLIGHT * DEVICES);
	sort_back(k, first, FLIGHT * DEVICES);
	for (unsigned i = 0; i < FLIGHT * DEVICES; i++) {
		const struct reply *r = &k->back[i]->reply;
		unsigned d = i % DEVICES;

		if (r->fault.code != F_NONE) {
			t->refused++;
			t->unknown += strstr(r->fault.text, "nobody knows") != NULL;
			continue;
		}
		assert_true(number_in(&r->body, "\"version\":") > t->versions[d]);
		t->versions[d] = number_in(&r->body, "\"version\":");
		t->last[d] = number_in(&r->body, "\"n\":");
		t->done[d]++;
	}
	kit_forget(k);
}

static void
peers__O250_any_node_answers_for_any_device(void **state)
{
	struct kit *k = *state;
	char id[16];

	kit_create(k, "d", DEVICES);
	for (unsigned d = 0; d < DEVICES; d++)
		for (unsigned n = 0; n < NODES_; n++) {
			at_node(n);
			snprintf(id, sizeof(id), "d%u", d);
			kit_shows(k, id, id);
		}
}

static void
peers__O250_shards_move_and_no_answer_is_lost_and_none_overtakes(void **state)
{
	struct kit *k = *state;
	struct tally t = { 0 };
	struct mover m;
	char id[16], want[32];

	kit_create(k, "d", DEVICES);
	mover_start(&m);
	for (unsigned round = 0; round < 400 && (moves_of(&m) < MOVES || round < 20); round++) {
		round_of_patches(k, &t, round);
		views_tell();
	}
	mover_stop(&m, MOVES);
	assert_int_equal(t.refused, 0); /* none has waited for five seconds */
	for (unsigned d = 0; d < DEVICES; d++) {
		at_node(d % NODES_);
		snprintf(id, sizeof(id), "d%u", d);
		snprintf(want, sizeof(want), "'n':%llu", (unsigned long long)t.last[d]);
		kit_shows(k, id, want);
		assert_int_equal(t.versions[d], 2 + t.done[d]); /* each was done once */
	}
}

/* ---- links that go ---- */

static void
cut(unsigned a, unsigned b, bool is_cut)
{
	hub.nodes[a].cut[b] = is_cut;
	views_tell();
}

/* Each is answered, done once or not, and where it is not said not to be, perhaps. */
static void
peers__O251_what_was_out_on_a_link_that_went_is_unknown(void **state)
{
	struct kit *k = *state;
	struct tally t = { 0 };
	char id[16];
	uint64_t version, perhaps = 0;

	kit_create(k, "d", DEVICES);
	for (unsigned round = 0; round < 60; round++) {
		uint32_t first = k->tag;

		for (unsigned i = 0; i < FLIGHT; i++)
			for (unsigned d = 0; d < DEVICES; d++) {
				at_node(d % NODES_);
				patch(k, d, round * FLIGHT + i + 1);
			}
		cut(round % NODES_, (round + 1) % NODES_, true);
		cut(round % NODES_, (round + 1) % NODES_, false);
		kit_await(k, k->nback == FLIGHT * DEVICES);
		sort_back(k, first, FLIGHT * DEVICES);
		for (unsigned i = 0; i < FLIGHT * DEVICES; i++) {
			const struct reply *r = &k->back[i]->reply;
			unsigned d = i % DEVICES;

			if (r->fault.code == F_NONE) {
				assert_true(number_in(&r->body, "\"version\":") > t.versions[d]);
				t.versions[d] = number_in(&r->body, "\"version\":");
				t.done[d]++;
			} else {
				assert_int_equal(r->fault.code, F_ServiceUnavailable);
				assert_non_null(strstr(r->fault.text, "nobody knows"));
				t.last[d]++;
				t.unknown++;
			}
		}
		kit_forget(k);
		await_links();
	}
	assert_true(t.unknown > 0);
	for (unsigned d = 0; d < DEVICES; d++) {
		at_node((d + 1) % NODES_);
		snprintf(id, sizeof(id), "d%u", d);
		kit_shows(k, id, id);
		version = number_in(&k->reply.body, "\"version\":");
		assert_true(version >= 2 + t.done[d]);
		assert_true(version <= 2 + t.done[d] + t.last[d]);
		perhaps += version - 2 - t.done[d];
	}
	print_message("%u unknown, %llu of them done\n", t.unknown, (unsigned long long)perhaps);
}

/* ---- effects ---- */

static struct work *
with_address(struct work *w, unsigned node, uint32_t slot)
{
	w->op.reply_to = (struct reply_to){
		.node = (uint8_t)node, .loop = (uint16_t)(slot % LOOPS), .slot = slot
	};
	return w;
}

/* Of a device's session at that node. */
static uint64_t
connect_at(struct kit *k, unsigned node, const char *device, uint32_t slot)
{
	struct work *w = with_address(kit_work(k, OP_CONNECT, device, NULL), node, slot);
	struct buf token = { 0 }, resource = { 0 };

	at_node(node);
	buf_printf(&resource, HOST "/devices/%s", device);
	assert_int_equal(sas_make(k->mac, &token, buf_view(&resource), STR(KEY1),
	                     clock_wall_us() / SECOND + 3600, STR_NONE),
	    ERR_OK);
	w->op.shown.token = work_str(w, buf_view(&token));
	w->op.connect.clean = true;
	buf_fini(&token);
	buf_fini(&resource);
	assert_int_equal(kit_do_work(k, w), F_NONE);
	return k->reply.session_epoch;
}

static void
listen_to(struct kit *k, const char *device, uint64_t epoch, enum filter_kind kind)
{
	const struct filter filter = { kind, 0, { NULL, 0 } };
	struct work *w = kit_work(k, OP_SUBSCRIBE, device, NULL);
	struct buf list = { 0 };

	filters_put(&list, &filter);
	w->op.payload = work_str(w, buf_view(&list));
	w->op.session_epoch = epoch;
	buf_fini(&list);
	assert_int_equal(kit_do_work(k, w), F_NONE);
}

static bool
noted(struct kit *k, const char *line)
{
	buf_putc(&k->notes, '\0');
	k->notes.n--;
	return strstr(k->notes.p, line) != NULL;
}

static void
await_note(struct kit *k, const char *line)
{
	kit_await(k, noted(k, line));
}

/* The device is on a, its shard on each in turn, and who changes its twin on c. */
static void
peers__O254_a_session_of_another_node_hears_of_each_change_in_order(void **state)
{
	struct kit *k = *state;
	char device[16], line[64];

	kit_create(k, "d", 12);
	for (unsigned d = 0; d < 12; d++) {
		snprintf(device, sizeof(device), "d%u", d);
		listen_to(k, device, connect_at(k, 0, device, 100 + d), FILTER_DESIRED);
		kit_forget(k);
		at_node(2);
		for (unsigned i = 0; i < 5; i++)
			patch(k, d, i);
		kit_await(k, k->nback == 5);
		snprintf(line, sizeof(line), "notify 0.%u v6 ", 100 + d);
		await_note(k, line);
		pthread_mutex_lock(&k->mu);
		for (const char *at = k->notes.p, *next, *i = "2345"; *i != '\0'; i++, at = next) {
			snprintf(line, sizeof(line), "notify 0.%u v%c ", 100 + d, *i);
			next = strstr(at, line);
			assert_non_null(next);
		}
		assert_int_equal(k->nnotes, 5);
		pthread_mutex_unlock(&k->mu);
	}
}

static struct work *
method_work(struct kit *k, const char *device, unsigned node, uint32_t slot)
{
	struct work *w = with_address(kit_work(k, OP_METHOD, device, NULL), node, slot);

	w->op.method.name = work_str(w, STR("reboot"));
	w->op.payload = work_str(w, STR("{}"));
	return w;
}

static void
peers__O254_a_method_goes_through_three_nodes_and_back(void **state)
{
	struct kit *k = *state;
	char device[16], line[64];

	kit_create(k, "d", 12);
	for (unsigned d = 0; d < 12; d++) {
		uint64_t epoch, call;
		struct work *w;

		snprintf(device, sizeof(device), "d%u", d);
		epoch = connect_at(k, d % NODES_, device, 100 + d);
		listen_to(k, device, epoch, FILTER_METHODS);
		kit_forget(k);
		at_node((d + 1) % NODES_);
		fleet_submit(k->fleet, method_work(k, device, (d + 1) % NODES_, 7));
		kit_await(k, k->nback == 1);
		assert_int_equal(k->back[0]->reply.fault.code, F_NONE);
		assert_true(k->back[0]->reply.deliver);
		snprintf(line, sizeof(line), "method %u.%u ", d % NODES_, 100 + d);
		await_note(k, line);
		pthread_mutex_lock(&k->mu);
		call = strtoull(strstr(strstr(k->notes.p, line), "call ") + 5, NULL, 10);
		pthread_mutex_unlock(&k->mu);
		at_node(d % NODES_);
		w = kit_work(k, OP_METHOD_RESPONSE, device, NULL);
		w->op.session_epoch = epoch;
		w->op.method.call = call;
		w->op.method.status = 200;
		w->op.payload = work_str(w, STR("{\"ok\":1}"));
		fleet_submit(k->fleet, w);
		kit_await(k, k->nback == 2);
		snprintf(line, sizeof(line), "done %u.7 ", (d + 1) % NODES_);
		await_note(k, line);
		kit_forget(k);
	}
}

/* ---- sessions whose shards move, and whose links go ---- */

/* One that listens to desired properties, which it has heard of all. */
static void
session_begins(struct kit *k, unsigned i, unsigned node)
{
	struct session_ *s = &sessions_[i];
	struct session_ new = { .live = true, .node = node };

	snprintf(new.device, sizeof(new.device), "d%u", i);
	new.epoch = connect_at(k, node, new.device, 100 + LOOPS * i);
	new.identity = k->reply.identity;
	new.opened = k->reply.verdict.opened;
	new.self = (struct reply_to){
		.node = (uint8_t)node, .loop = 100 % LOOPS, .slot = 100 + LOOPS * i
	};
	listen_to(k, new.device, new.epoch, FILTER_DESIRED);
	new.told = k->reply.version;
	assert_true(new.told > 0);
	pthread_mutex_lock(&k->mu);
	*s = new;
	pthread_mutex_unlock(&k->mu);
}

/* by: whose node changes the twins, counted from that of the session. */
static void
sessions_go_on(struct kit *k, unsigned by)
{
	struct mover m;

	kit_create(k, "d", DEVICES);
	for (unsigned i = 0; i < DEVICES; i++)
		session_begins(k, i, i % NODES_);
	mover_start(&m);
	for (unsigned round = 0; round < 400 && (moves_of(&m) < MOVES || round < 10); round++) {
		for (unsigned d = 0; d < DEVICES; d++) {
			at_node((d + by) % NODES_);
			patch(k, d, round);
		}
		kit_await(k, k->nback == DEVICES);
		for (unsigned d = 0; d < DEVICES; d++)
			assert_int_equal(k->back[d]->reply.fault.code, F_NONE);
		kit_forget(k);
		views_tell();
	}
	mover_stop(&m, MOVES);
	assert_true(nresumed > 0);
	for (unsigned d = 0; d < DEVICES; d++) {
		uint64_t version;

		assert_true(sessions_[d].live);
		at_node(d % NODES_);
		kit_shows(k, sessions_[d].device, "n");
		version = number_in(&k->reply.body, "$version\":");
		kit_await(k, sessions_[d].told == version);
	}
}

static void
peers__O256_sessions_go_on_while_their_shards_move(void **state)
{
	sessions_go_on(*state, 0);
}

static void
peers__O261_no_change_by_another_node_comes_before_the_sessions(void **state)
{
	sessions_go_on(*state, 1);
}

/* A node that is not through with its sessions holds others up for a second, and no longer. */
static void
peers__O261_a_node_that_takes_long_is_not_waited_for(void **state)
{
	struct kit *k = *state;
	uint32_t shard = hub_shard_of(STR("d0"));
	int64_t since_us;

	kit_create(k, "d", 1);
	mute = 0;
	move_to(shard, atomic_load(&hub.owners[shard]) == 1 ? 2 : 1);
	kit_await(k, muted != NULL);
	since_us = clock_mono_us();
	at_node(2);
	kit_shows(k, "d0", "d0");
	assert_true(clock_mono_us() - since_us < 4000000);
	at_node(0); /* its own waits behind its sessions */
	kit_send(k, OP_TWIN_READ, "d0", NULL);
	clock_sleep_us(50000);
	assert_int_equal(k->nback, 0);
	mute = NODES_;
	for (unsigned i = 0; i < LOOPS; i++)
		resumption_through(muted);
	kit_await(k, k->nback == 1);
	assert_int_equal(k->back[0]->reply.fault.code, F_NONE);
}

/* A change that it may have missed closes it; without one it hears of the next. */
static void
peers__O256_a_session_outlives_the_link_to_its_owner(void **state)
{
	struct kit *k = *state;
	unsigned quiet = DEVICES, missed = DEVICES;

	kit_create(k, "d", DEVICES);
	for (unsigned d = 0; d < DEVICES; d++) {
		char id[16];

		snprintf(id, sizeof(id), "d%u", d);
		if (hub_shard_of(str_of(id)) % NODES_ != 1)
			continue;
		if (quiet == DEVICES)
			quiet = d;
		else if (missed == DEVICES)
			missed = d;
	}
	session_begins(k, quiet, 0);
	session_begins(k, missed, 0);
	cut(0, 1, true);
	for (int64_t since_us = clock_mono_us(); nodes_linked();)
		kit_again(since_us, "the link is down");
	at_node(2);
	patch(k, missed, 7);
	kit_await(k, k->nback == 1);
	assert_int_equal(k->back[0]->reply.fault.code, F_NONE);
	cut(0, 1, false);
	await_links();
	kit_await(k, !sessions_[missed].live);
	assert_int_equal(sessions_[missed].closed, REASON_DESIRED_MISSED);
	kit_await(k, nresumed == 2);
	assert_true(sessions_[quiet].live);
	patch(k, quiet, 7);
	kit_await(k, sessions_[quiet].told == 2);
	assert_true(sessions_[quiet].live);
}

static uint64_t
shards_of(unsigned node)
{
	uint64_t all = 0;

	for (uint32_t s = 0; s < SHARDS; s++)
		all |= (uint64_t)(atomic_load(&hub.owners[s]) == (int)node) << s;
	return all;
}

/* It lives, so nobody else takes its shards. One that is not there is no such one. */
static void
peers__O262_who_lives_and_is_not_reached_is_cut_off(void **state)
{
	int64_t since_us = clock_mono_us();

	(void)state;
	atomic_store(&cut_shards, 0);
	cut(0, 2, true);
	hub.nodes[0].blind[1] = true;
	while (atomic_load(&cut_shards) == 0) {
		views_tell();
		clock_sleep_us(20000);
		kit_again(since_us, "it is cut off");
	}
	assert_true(clock_mono_us() - since_us >= 300000);
	assert_true(atomic_load(&cut_shards) == shards_of(1));
	hub.nodes[0].blind[1] = false;
	cut(0, 2, false);
	await_links();
	atomic_store(&cut_shards, 0);
	views_tell();
	clock_sleep_us(50000);
	assert_true(atomic_load(&cut_shards) == 0);
}

/* A call that is out ends with the link over which its device is reached. */
static void
peers__O256_a_call_ends_with_the_link_to_its_device(void **state)
{
	struct kit *k = *state;
	unsigned d = 0;
	char id[16];

	for (snprintf(id, sizeof(id), "d0"); hub_shard_of(str_of(id)) % NODES_ != 1;)
		snprintf(id, sizeof(id), "d%u", ++d);
	kit_create(k, "d", d + 1);
	listen_to(k, id, connect_at(k, 0, id, 100), FILTER_METHODS);
	kit_forget(k);
	at_node(2);
	fleet_submit(k->fleet, method_work(k, id, 2, 7));
	await_note(k, "method 0.100 ");
	cut(0, 1, true);
	await_note(k, "done 2.7 v0 f404104 ");
	cut(0, 1, false);
	await_links();
}

/* Whoever waits there for the answer of a device is told. */
static void
peers__O258_calls_over_a_link_that_goes_are_lost(void **state)
{
	uint64_t shards = 0;

	(void)state;
	for (uint32_t s = 0; s < SHARDS; s++)
		shards |= (uint64_t)(s % NODES_ != 2) << s;
	atomic_store(&lost_shards, 0);
	cut(0, 1, true);
	for (int64_t since_us = clock_mono_us(); atomic_load(&lost_shards) != shards;)
		kit_again(since_us, "both say what is lost");
	cut(0, 1, false);
	await_links();
}

/* ---- bounds ---- */

static void
nobody_over(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	(void)shard, (void)why;
	assert_int_equal(e, ERR_OK);
	one_over(ctx);
}

/* From now on nobody serves it. */
static void
take_away(uint32_t shard)
{
	struct moved_ moved = { false };

	peers_release(hub.nodes[atomic_load(&hub.owners[shard])].peers, shard, nobody_over, &moved);
	kit_await(hub.k, moved.over);
	atomic_store(&hub.owners[shard], -1);
}

static unsigned
answered(struct kit *k, enum fault_code code, const char *text)
{
	unsigned n = 0;

	for (unsigned i = 0; i < k->nback; i++)
		n += k->back[i]->reply.fault.code == code &&
		    (text == NULL || strstr(k->back[i]->reply.fault.text, text) != NULL);
	return n;
}

static void
read_as(struct kit *k, uint64_t asker)
{
	struct work *w = work_new(k->loops[0], 16, kit_work_back);

	w->op.kind = OP_TWIN_READ;
	w->op.device = work_str(w, STR("d0"));
	w->owner = k;
	w->asker = asker;
	fleet_submit(k->fleet, w);
}

/* One device's owner floods its shard; others that wait there, and in other shards, have room. */
static void
peers__O252_one_asker_leaves_room_for_others(void **state)
{
	struct kit *k = *state;
	unsigned n = 3 * PEERS_SHARE;

	kit_create(k, "d", 2);
	at_node(1);
	take_away(hub_shard_of(STR("d0")));
	for (unsigned i = 0; i < n; i++)
		read_as(k, 77);
	kit_await(k, answered(k, F_ThrottleBacklogLimitExceeded, "of yours") == n - PEERS_SHARE);
	for (unsigned i = 0; i < 10; i++)
		read_as(k, 78);
	kit_await(k, k->nback == n + 10); /* nobody came in time */
	assert_int_equal(answered(k, F_ThrottleBacklogLimitExceeded, NULL), n - PEERS_SHARE);
	assert_int_equal(answered(k, F_ServiceUnavailable, "nobody serves"), PEERS_SHARE + 10);
	kit_forget(k);
	kit_shows(k, "d1", "d1");
}

/* ---- parcels ---- */

static unsigned nparcel; /* under k->mu */

static void
parcel_back(struct parcel *c)
{
	(void)c;
	pthread_mutex_lock(&hub.k->mu);
	nparcel++;
	pthread_cond_broadcast(&hub.k->changed);
	pthread_mutex_unlock(&hub.k->mu);
}

static struct span
packed(struct cargo *c, struct str s)
{
	struct span at = { (uint32_t)c->bytes.n, (uint32_t)s.n };

	buf_str(&c->bytes, s);
	return at;
}

/* Patches of the device, and then one of a device that is not there. */
static struct parcel *
parcel_of(struct kit *k, const char *device, unsigned n, const char *missing)
{
	struct parcel *c = parcel_new(parcel_back, NULL, STR("importer"));

	for (unsigned i = 0; i <= n; i++) {
		struct cargo_item *item = &c->cargo.items[c->cargo.n++];
		struct doc_parsed info;
		struct buf text = { 0 }, doc = { 0 };

		buf_printf(&text, "{\"properties\":{\"desired\":{\"n\":%u}}}", i + 1);
		assert_int_equal(doc_parse(k->parser, buf_view(&text), &doc, &info, NULL), ERR_OK);
		*item = (struct cargo_item){ .kind = OP_TWIN_PATCH,
			.device = packed(&c->cargo, str_of(i < n ? device : missing)),
			.payload = packed(&c->cargo, buf_view(&doc)),
			.nduplicate = info.nduplicate };
		buf_fini(&text);
		buf_fini(&doc);
	}
	return c;
}

static void
peers__O257_parcels_go_to_whoever_has_the_shard(void **state)
{
	struct kit *k = *state;
	struct parcel *parcels[DEVICES];
	struct mover m;
	char id[16], missing[16], want[32];

	kit_create(k, "d", DEVICES);
	mover_start(&m);
	for (unsigned round = 0; round < 10 || moves_of(&m) < 20; round++) {
		nparcel = 0;
		for (unsigned d = 0, x = 0; d < DEVICES; d++) {
			snprintf(id, sizeof(id), "d%u", d);
			do
				snprintf(missing, sizeof(missing), "x%u", x++);
			while (hub_shard_of(str_of(missing)) != hub_shard_of(str_of(id)));
			parcels[d] = parcel_of(k, id, 5, missing);
			fleet_parcel(hub.nodes[(d + round) % NODES_].fleet,
			    hub_shard_of(str_of(id)), parcels[d]);
		}
		kit_await(k, nparcel == DEVICES);
		for (unsigned d = 0; d < DEVICES; d++) {
			const struct cargo *c = &parcels[d]->cargo;

			for (unsigned i = 0; i < 5; i++)
				assert_int_equal(c->items[i].fault, F_NONE);
			assert_int_equal(c->items[5].fault, F_DeviceNotFound);
			assert_true(c->items[5].text.n > 0);
			parcel_free(parcels[d]);
		}
		views_tell();
	}
	mover_stop(&m, 20);
	for (unsigned d = 0; d < DEVICES; d++) {
		snprintf(id, sizeof(id), "d%u", d);
		snprintf(want, sizeof(want), "'n':%u", 5);
		at_node(d % NODES_);
		kit_shows(k, id, want);
	}
}

/* ---- requests ---- */

struct heard_ {
	unsigned nok, nfailed, nfull;
	char text[FAULT_TEXT_MAX];
};

static void
call_back(void *ctx, enum err e, struct str body, const struct fault *why)
{
	struct heard_ *a = ctx;

	pthread_mutex_lock(&hub.k->mu);
	a->nok += e == ERR_OK && str_eq(body, STR("yes, ping"));
	a->nfull += e == ERR_FULL;
	if (e != ERR_OK && e != ERR_FULL) {
		a->nfailed++;
		snprintf(a->text, sizeof(a->text), "%s", why->text);
	}
	pthread_cond_broadcast(&hub.k->changed);
	pthread_mutex_unlock(&hub.k->mu);
}

static void
answers(void *ctx, uint16_t slot, struct str body, struct peers_asked *asked)
{
	struct buf text = { 0 };

	(void)ctx;
	assert_int_equal(slot, 0);
	buf_printf(&text, "yes, " STR_FMT, STR_ARG(body));
	peers_answer(asked, buf_view(&text));
	buf_fini(&text);
}

static struct peers_asked *kept[PEERS_CALLS_MAX];
static atomic_uint nkept;

static void
keeps(void *ctx, uint16_t slot, struct str body, struct peers_asked *asked)
{
	(void)ctx, (void)slot, (void)body;
	kept[atomic_fetch_add(&nkept, 1)] = asked;
}

static void
await_kept(unsigned n)
{
	for (int64_t since_us = clock_mono_us(); atomic_load(&nkept) != n;)
		kit_again(since_us, "the requests have come");
}

static void
peers__O255_a_request_is_answered_once(void **state)
{
	struct kit *k = *state;
	struct peers *p = hub.nodes[0].peers;
	struct heard_ a = { 0 };
	int64_t now_us = clock_mono_us();

	atomic_store(&nkept, 0);
	peers_handle(hub.nodes[1].peers, CALL_STORY, answers, NULL);
	peers_handle(hub.nodes[1].peers, CALL_PAST, keeps, NULL);
	peers_call(p, 1, CALL_STORY, STR("ping"), now_us + 60 * SECOND, call_back, &a);
	kit_await(k, a.nok == 1);
	/* who has no handler says so */
	peers_call(p, 2, CALL_STORY, STR("ping"), now_us + 60 * SECOND, call_back, &a);
	kit_await(k, a.nfailed == 1);
	assert_non_null(strstr(a.text, "does not answer requests of kind"));
	/* so many at once */
	for (unsigned i = 0; i < PEERS_CALLS_MAX; i++)
		peers_call(p, 1, CALL_PAST, STR("ping"), now_us + 60 * SECOND, call_back, &a);
	await_kept(PEERS_CALLS_MAX);
	peers_call(p, 1, CALL_PAST, STR("ping"), now_us + 60 * SECOND, call_back, &a);
	kit_await(k, a.nfull == 1);
	peers_answer(kept[0], STR("yes, ping"));
	kit_await(k, a.nok == 2);
	/* the link goes: what is under way has failed, and what is answered later is heard by nobody */
	cut(0, 1, true);
	kit_await(k, a.nfailed == 1 + PEERS_CALLS_MAX - 1);
	assert_non_null(strstr(a.text, "nobody knows"));
	for (unsigned i = 1; i < PEERS_CALLS_MAX; i++)
		peers_answer(kept[i], STR("yes, ping"));
	cut(0, 1, false);
	await_links();
	/* and a deadline */
	atomic_store(&nkept, 0);
	a.nfailed = 0;
	peers_call(p, 1, CALL_PAST, STR("ping"), clock_mono_us() + 2 * SECOND, call_back, &a);
	await_kept(1);
	kit_await(k, a.nfailed == 1);
	assert_non_null(strstr(a.text, "in time"));
	peers_answer(kept[0], STR("yes, ping"));
	assert_int_equal(a.nok, 2);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    peers__O250_any_node_answers_for_any_device, hub_setup, hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O250_shards_move_and_no_answer_is_lost_and_none_overtakes, hub_setup,
		    hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O251_what_was_out_on_a_link_that_went_is_unknown, hub_setup,
		    hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O254_a_session_of_another_node_hears_of_each_change_in_order, hub_setup,
		    hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O254_a_method_goes_through_three_nodes_and_back, hub_setup,
		    hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O256_sessions_go_on_while_their_shards_move, hub_setup, hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O261_no_change_by_another_node_comes_before_the_sessions, hub_setup,
		    hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O261_a_node_that_takes_long_is_not_waited_for, hub_setup, hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O256_a_session_outlives_the_link_to_its_owner, hub_setup, hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O262_who_lives_and_is_not_reached_is_cut_off, hub_setup, hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O256_a_call_ends_with_the_link_to_its_device, hub_setup, hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O258_calls_over_a_link_that_goes_are_lost, hub_setup, hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O252_one_asker_leaves_room_for_others, hub_setup, hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O257_parcels_go_to_whoever_has_the_shard, hub_setup, hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O255_a_request_is_answered_once, hub_setup, hub_teardown),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("peers_fleets", tests, NULL, NULL);
}
