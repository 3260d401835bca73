/*
 * The log from its first record on, over an empty fleet, gives the twins that there are; its positions are dense, and its end is where the
 * store says (E-01 to E-06). Of each identity it tells who is connected, and each session once (E-90 to E-94).
 */
#include "world.h"

#include <stdlib.h>

#include "event/event.h"
#include "shard/record.h"
#include "shard/told.h"

/* An identity as the log tells of it. */
struct replica {
	struct buf key;
	struct buf sections[SECTION_KINDS];
	bool there, connected;
	bool configured; /* by a configuration, ever */
	uint32_t begun;  /* sessions */
	/* tags and desired properties as they were, each from its time on */
	struct once {
		int64_t time_us;
		struct buf sections[2];
	} * former;
	uint32_t nformer, room;
};

static struct {
	struct replica *v;
	uint32_t n, room;
} replicas;

static struct replica *
replica_of(struct str key)
{
	struct replica *r = NULL;

	for (uint32_t i = 0; i < replicas.n; i++)
		if (str_eq(buf_view(&replicas.v[i].key), key))
			return &replicas.v[i];
	if (replicas.n == replicas.room) {
		replicas.room = replicas.room ? replicas.room * 2 : 256;
		replicas.v = xrealloc(replicas.v, replicas.room * sizeof(*replicas.v));
	}
	r = &replicas.v[replicas.n++];
	*r = (struct replica){ .there = false };
	buf_str(&r->key, key);
	return r;
}

static void
forget(struct replica *r)
{
	for (uint32_t i = 0; i < r->nformer; i++) {
		buf_fini(&r->former[i].sections[0]);
		buf_fini(&r->former[i].sections[1]);
	}
	r->nformer = 0;
}

static void
remember(struct replica *r, int64_t time_us)
{
	struct once *f;

	if (r->nformer == r->room) {
		r->room = r->room ? r->room * 2 : 16;
		r->former = xrealloc(r->former, r->room * sizeof(*r->former));
	}
	f = &r->former[r->nformer++];
	*f = (struct once){ .time_us = time_us };
	buf_str(&f->sections[0], buf_view(&r->sections[SECTION_TAGS]));
	buf_str(&f->sections[1], buf_view(&r->sections[SECTION_DESIRED]));
}

/* A job has restored it: it is what it was at the job's time; what configurations say of desired properties goes before that (J-71). */
static void
check_restored(const struct replica *r, const struct event *e)
{
	static const enum section_kind kinds[] = { SECTION_TAGS, SECTION_DESIRED };
	const struct once *f = NULL;
	int64_t at_us;

	if (e->actor != ACTOR_JOB || !plan_restores(e->actor_name, &at_us))
		return;
	for (uint32_t i = 0; i < r->nformer && r->former[i].time_us <= at_us; i++)
		f = &r->former[i];
	if (f == NULL)
		world_fail(STR_FMT " restores " STR_FMT " to before it was there",
		    STR_ARG(e->actor_name), STR_ARG(e->device));
	for (unsigned i = 0; i < 2; i++) {
		struct section was = section_of(buf_view(&f->sections[i])),
		               is = section_of(buf_view(&r->sections[kinds[i]]));

		if ((i == 0 || !r->configured) && !doc_equal(was.root, is.root))
			world_fail(STR_FMT " does not restore section %u of " STR_FMT,
			    STR_ARG(e->actor_name), i, STR_ARG(e->device));
	}
	seen.restored++;
}

static void
set_section(struct replica *r, enum section_kind kind, const struct section *s)
{
	r->sections[kind].n = 0;
	buf_str(&r->sections[kind], s->bytes);
}

static void
created(struct replica *r, const struct event *e)
{
	struct wanted w;
	struct section reported;
	int64_t activity_us;

	if (r->there)
		world_fail("the log creates " STR_FMT " a second time", STR_ARG(e->device));
	if (!wanted_decode(e->fields[EVENT_WANTED], &w) ||
	    !reported_decode(e->fields[EVENT_REPORTED], &activity_us, &reported))
		world_fail("no twin in the record of " STR_FMT, STR_ARG(e->device));
	r->there = true;
	set_section(r, SECTION_TAGS, &w.tags);
	set_section(r, SECTION_DESIRED, &w.desired);
	set_section(r, SECTION_REPORTED, &reported);
	r->configured = e->actor == ACTOR_CONFIGURATION;
	forget(r);
	remember(r, e->time_us);
}

/* Patches have no '$' keys and no limits that the change was not within; what they say of stamps alone changes nothing here. */
static void
changed(struct replica *r, const struct event *e)
{
	for (enum section_kind kind = SECTION_TAGS; kind < SECTION_KINDS; kind++) {
		struct section_write wr = { .kind = kind, .now_us = e->time_us, .any_size = true };
		struct str patch = e->fields[EVENT_PATCH_TAGS + kind];
		struct section old = section_of(buf_view(&r->sections[kind]));
		struct buf out = { 0 };
		struct fault f;
		bool changed;

		if (patch.n == 0)
			continue;
		if (section_merge(&old, doc_of(patch), 0, &wr, &out, NULL, &changed, &f) != ERR_OK)
			world_fail("a patch of the log cannot be applied: %s", f.text);
		if (changed) {
			buf_fini(&r->sections[kind]);
			r->sections[kind] = out;
		} else {
			buf_fini(&out);
		}
	}
	r->configured |= e->actor == ACTOR_CONFIGURATION;
	check_restored(r, e);
	remember(r, e->time_us);
}

/* A beginning follows any state, as a session may take over; an end that nothing begins tells of sessions that came and went. */
static void
connection(struct replica *r, const struct event *e)
{
	bool begins = e->kind == EVENT_CONNECTED;
	uint32_t flaps = (uint32_t)e->numbers[EVENT_FLAPS];
	bool ended = !begins || r->connected || flaps > 0;

	if (!begins && !r->connected && flaps == 0)
		world_fail("the log ends a session of " STR_FMT " that it did not begin",
		    STR_ARG(e->device));
	if (ended != (e->fields[EVENT_REASON].n != 0))
		world_fail("a session of " STR_FMT " has %s reason for its end", STR_ARG(e->device),
		    ended ? "no" : "a");
	r->connected = begins;
	r->begun += flaps + begins;
	seen.sessions++;
}

static void
replay(struct str key, const struct event *e)
{
	struct replica *r;

	if (e->device.n == 0)
		noticed_record(e);
	if (event_is_message(e->kind) || e->device.n == 0)
		return;
	r = replica_of(key);
	if (e->kind != EVENT_CREATED && !r->there)
		world_fail("the log tells of " STR_FMT " before it is there", STR_ARG(e->device));
	if (e->kind == EVENT_CREATED)
		created(r, e);
	else if (e->kind == EVENT_CONNECTED || e->kind == EVENT_DISCONNECTED)
		connection(r, e);
	else if (e->kind == EVENT_DELETED)
		r->there = false;
	else if (e->kind != EVENT_IDENTITY_CHANGED)
		changed(r, e);
	seen.replayed++;
}

/* ---- the log, in its order ---- */

struct tail {
	struct store_cursor *c;
	struct str key, value;
	bool more;
};

static void
tail_next(struct tail *t)
{
	t->more = store_next(t->c, &t->key, &t->value) == ERR_OK;
}

static void
take_record(struct tail *t, uint32_t *shard, uint64_t *last)
{
	uint64_t position;
	uint32_t of;
	struct event e;
	struct buf key = { 0 };

	if (!event_key_decode(t->key, &of, &position) || event_decode(t->value, &e) != ERR_OK)
		world_fail("a record of the log cannot be read");
	if (!told_sound(&e)) /* readers trust what comes from memory to be that */
		world_fail("record %llu of shard %u, kind %d, is not sound",
		    (unsigned long long)position, of, (int)e.kind);
	if (of != *shard)
		*last = 0;
	*shard = of;
	if (position != *last + 1)
		world_fail("the log of shard %u goes from %llu to %llu", of,
		    (unsigned long long)*last, (unsigned long long)position);
	*last = position;
	hub_key(&key, of, e.device, e.module);
	replay(buf_view(&key), &e);
	buf_fini(&key);
	tail_next(t);
}

static void
replay_all(struct store_cursor *messages, struct store_cursor *changes)
{
	struct tail a = { .c = messages }, b = { .c = changes };
	uint32_t shard = UINT32_MAX;
	uint64_t last = 0;

	tail_next(&a);
	tail_next(&b);
	while (a.more || b.more)
		take_record(
		    !b.more || (a.more && str_cmp(a.key, b.key) < 0) ? &a : &b, &shard, &last);
}

/* ---- against the twins ---- */

static void
compare_section(const struct replica *r, enum section_kind kind, const struct section *s)
{
	struct section told = section_of(buf_view(&r->sections[kind]));

	if (!doc_equal(told.root, s->root))
		world_fail("section %d of " STR_FMT " is not what the log gives", (int)kind,
		    STR_ARG(str_sub(buf_view(&r->key), 2)));
}

static void
compare_table(struct store_cursor *c, enum store_table table)
{
	struct str key, value;
	uint32_t n = 0;

	while (store_next(c, &key, &value) == ERR_OK) {
		const struct replica *r = replica_of(key);
		struct wanted w;
		struct section s;
		int64_t activity_us;

		n++;
		if (!r->there)
			world_fail(STR_FMT " is not in the log", STR_ARG(str_sub(key, 2)));
		if (table == STORE_REPORTED && reported_decode(value, &activity_us, &s))
			compare_section(r, SECTION_REPORTED, &s);
		if (table == STORE_WANTED && wanted_decode(value, &w)) {
			compare_section(r, SECTION_TAGS, &w.tags);
			compare_section(r, SECTION_DESIRED, &w.desired);
		}
	}
	for (uint32_t i = 0; i < replicas.n; i++)
		n -= replicas.v[i].there;
	if (n != 0)
		world_fail("the log has %d twins more than the store", -(int)n);
}

/* Who is connected, as the log says: the stored bits say the same, and so does the shard, but for what it is yet to tell. */
static void
compare_sessions(struct world *w, const struct replica *r)
{
	struct str device, module;
	struct shard *sh;
	uint32_t n, accepted;
	const struct row *row;
	bool bit;

	str_cut(str_sub(buf_view(&r->key), 2), '\0', &device, &module);
	sh = contact_shard(w, hub_shard_of(device));
	n = shard_find(sh, device, module);
	if (!r->there && r->connected)
		world_fail(STR_FMT " has gone, and is connected", STR_ARG(device));
	if (n == TABLE_NONE)
		return;
	row = row_at(sh, n);
	bit = n / 8 < sh->connections.nbyte && (sh->connections.bits[n / 8] >> n % 8 & 1) != 0;
	if (bit != r->connected)
		world_fail(STR_FMT " is %sconnected, but not for the log", STR_ARG(device),
		    bit ? "" : "not ");
	if (!row->untold.listed && r->connected != (row->presence != NULL))
		world_fail("the log does not know that " STR_FMT " is %s", STR_ARG(device),
		    r->connected ? "gone" : "there");
	if (sessions_accepted(w, device, module, &accepted) &&
	    accepted != r->begun + row->untold.begun)
		world_fail("of %u sessions of " STR_FMT "/" STR_FMT " the log has %u, %u to come",
		    accepted, STR_ARG(device), STR_ARG(module), r->begun, row->untold.begun);
}

void
replayed_check(struct world *w)
{
	static const enum store_table tables[] = { STORE_LOG, STORE_CHANGES, STORE_WANTED,
		STORE_REPORTED };
	struct store_cursor *c[4];

	if (store_cursors_open(w->store, tables, 4, STR_NONE, STR_NONE, STORE_SCAN, c) != ERR_OK)
		world_fail("no cursors");
	replay_all(c[0], c[1]);
	compare_table(c[2], STORE_WANTED);
	compare_table(c[3], STORE_REPORTED);
	noticed_check();
	for (uint32_t i = 0; i < replicas.n; i++)
		compare_sessions(w, &replicas.v[i]);
	for (int i = 0; i < 4; i++)
		store_cursor_close(c[i]);
	for (uint32_t i = 0; i < replicas.n; i++) {
		buf_fini(&replicas.v[i].key);
		forget(&replicas.v[i]);
		free(replicas.v[i].former);
		for (int k = 0; k < SECTION_KINDS; k++)
			buf_fini(&replicas.v[i].sections[k]);
	}
	free(replicas.v);
	memset(&replicas, 0, sizeof(replicas));
}
