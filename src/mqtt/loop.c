/* The loop's side of sessions: streams, slots, timers and works. It gives to a session what comes, and does what that says. */
#include "mqtt/loop.h"
#include "os/clock.h"

#include <openssl/rand.h>
#include <stdlib.h>

/* ---- what sessions ask ---- */

static bool
world_host_is_mine(struct session *s, struct str host)
{
	struct catalogue_box *box = link_of(s)->ml->o.catalogue;
	const struct catalogue *c = catalogue_use(box);
	bool mine = host_known(c->hosts, host);

	catalogue_drop(box, c);
	return mine;
}

static void
world_shows(struct session *s, struct tls_peer *out)
{
	stream_tls_peer(link_of(s)->stream, out);
}

/* With where it comes from, which a session does not know. */
static struct limit_asker
from_there(struct session *s, const struct limit_asker *asker)
{
	struct limit_asker a = *asker;

	if (a.key[LIMIT_ADDRESS] != 0)
		memcpy(a.ip, stream_peer(link_of(s)->stream)->ip, sizeof(a.ip));
	return a;
}

static bool
world_allows(struct session *s, enum limit_kind kind, const struct limit_asker *asker,
    struct limit_refusal *why)
{
	struct limit_asker a = from_there(s, asker);

	return limiter_allows(link_of(s)->ml->o.limiter, kind, &a, why);
}

static bool
world_takes(struct session *s, enum limit_kind kind, const struct limit_asker *asker,
    struct limit_refusal *why)
{
	struct limit_asker a = from_there(s, asker);

	return limiter_takes(link_of(s)->ml->o.limiter, kind, &a, why);
}

static void
world_meters(struct session *s, uint64_t bytes)
{
	limiter_meters(link_of(s)->ml->o.limiter, bytes);
}

static bool
world_meets(struct session *s, enum mishap what, struct mishap_met *out)
{
	const struct mqtt_loop *ml = link_of(s)->ml;

	return mishap_meets(ml->o.mishaps, what, s->device, loop_now_us(ml->loop), out);
}

static void
world_moves(struct session *s)
{
	fleet_move(link_of(s)->ml->o.fleet, hub_shard_of(s->device));
}

static struct backoff_who
who_of(const struct session *s)
{
	return (struct backoff_who){ asker_key(s->device, s->module), s->address };
}

static bool
world_holds(struct session *s, struct backoff_wait *out)
{
	const struct link *l = link_of(s);

	return l->ml->o.offenders != NULL &&
	    offenders_hold(l->ml->o.offenders, who_of(s), told_known(l), out);
}

static bool
world_failed(struct session *s, enum reason why, struct backoff_wait *out)
{
	return offenders_failed(link_of(s)->ml->o.offenders, who_of(s), why, out);
}

static void
world_passed(struct session *s)
{
	offenders_passed(link_of(s)->ml->o.offenders, who_of(s));
}

static int64_t
world_wall_us(struct session *s)
{
	(void)s;
	return clock_wall_us();
}

static const char *
world_from(struct session *s, char out[NET_ADDR_TEXT_MAX])
{
	return net_addr_text(stream_peer(link_of(s)->stream), out);
}

static void
world_random(struct session *s, unsigned char out[16])
{
	(void)s;
	(void)RAND_bytes(out, 16);
}

static struct session_world
world_of(const struct mqtt_options *o)
{
	return (struct session_world){ .host_is_mine = world_host_is_mine,
		.shows = world_shows,
		.outdated = link_outdated,
		.revoked = o->tls != NULL ? link_revoked : NULL,
		.meets = o->mishaps != NULL ? world_meets : NULL,
		.moves = world_moves,
		.holds = o->offenders != NULL ? world_holds : NULL,
		.failed = o->offenders != NULL ? world_failed : NULL,
		.passed = o->offenders != NULL ? world_passed : NULL,
		.limited = o->limiter != NULL ? limiter_flag(o->limiter) : NULL,
		.allows = world_allows,
		.takes = world_takes,
		.meters = world_meters,
		.wall_us = world_wall_us,
		.from = world_from,
		.random = world_random };
}

static void link_reads(struct link *l);

/* ---- begin and end ---- */

struct mqtt_loop *
mqtt_loop_new(struct loop *l, const struct mqtt_options *o)
{
	struct mqtt_loop *ml = xcalloc(1, sizeof(*ml));

	ml->loop = l;
	ml->o = *o;
	ml->world = world_of(o);
	sessions_init(&ml->sessions, &ml->world, o->max_in_flight);
	turns_init(&ml->turns, o->work_bytes ? o->work_bytes : MQTT_WORK_BYTES);
	links_init(ml);
	comebacks_init(ml);
	return ml;
}

void
mqtt_loop_free(struct mqtt_loop *ml)
{
	if (ml == NULL)
		return;
	assert(ml->nsession == 0 && ml->nwork == 0); /* and the loop has gone: its timers with it */
	sessions_fini(&ml->sessions);
	slots_fini(&ml->links);
	free(ml);
}

uint32_t
mqtt_loop_busy(const struct mqtt_loop *ml)
{
	return ml->nsession + ml->nwork;
}

static struct link *
link_to(struct mqtt_loop *ml, struct reply_to to)
{
	return slot_get(&ml->links, to.slot, to.generation);
}

/* ---- works ---- */

static void
links_go_on(struct mqtt_loop *ml)
{
	struct link *l;

	while ((l = turn_next(&ml->turns)) != NULL) {
		session_hold(&l->session, false, loop_now_us(ml->loop));
		link_reads(l);
	}
}

struct link *
link_of_work(struct mqtt_loop *ml, const struct work *w)
{
	ml->nwork--;
	ml->turns.bytes -= w->room;
	links_go_on(ml);
	return link_to(ml, w->op.reply_to);
}

static void
on_gone(struct work *w)
{
	struct log_story line;

	(void)link_of_work(w->owner, w);
	if (session_will_lost(w, &line))
		log_reason(&line);
	work_free(w);
}

static void
on_answer(struct work *w)
{
	struct mqtt_loop *ml = w->owner;
	struct link *l = link_of_work(ml, w);
	struct actions a = { 0 };

	if (l != NULL) {
		session_answer(&l->session, w, &a);
		link_perform(l, &a);
	}
	if (w->op.kind == OP_RESUME)
		comeback_heard(ml, w->shard, l);
	work_free(w);
}

static void on_verdict(struct work *w);

static void
submit(struct mqtt_loop *ml, struct work *w)
{
	w->home = ml->loop;
	w->owner = ml;
	w->done = w->op.kind == OP_CONNECT ? on_verdict
	    : w->op.kind == OP_DISCONNECT  ? on_gone
	                                   : on_answer;
	ml->nwork++;
	ml->turns.bytes += w->room;
	w->roomy = true;
	fleet_submit(ml->o.fleet, w);
}

static void
on_verdict(struct work *w)
{
	struct mqtt_loop *ml = w->owner;
	struct link *l = link_of_work(ml, w);
	struct actions a = { 0 };

	if (l != NULL) {
		session_verdict(&l->session, w, loop_now_us(ml->loop), clock_clients_us(), &a);
		link_perform(l, &a);
	} else if (w->reply.fault.code == F_NONE) {
		submit(ml, session_orphan(w));
	}
	work_free(w);
}

/* ---- actions ---- */

static void
tell(const struct link *l, struct log_story *story)
{
	char peer[NET_ADDR_TEXT_MAX];

	story->peer = net_addr_text(stream_peer(l->stream), peer);
	log_reason(story);
}

static void
keep_time(struct link *l)
{
	int64_t due_us = session_due_us(&l->session);

	if (due_us == SESSION_NEVER)
		loop_timer_clear(l->ml->loop, &l->timer);
	else if (!loop_timer_is_set(&l->timer) || l->timer.due_us != due_us)
		loop_timer_set(l->ml->loop, &l->timer, due_us);
}

static void
link_reads(struct link *l)
{
	if (session_reads(&l->session))
		stream_resume(l->stream);
	else
		stream_pause(l->stream);
}

void
link_perform(struct link *l, struct actions *a)
{
	if (a->line.reason != REASON_NONE)
		tell(l, &a->line);
	if (a->line.event == LOG_CONNECT_REFUSED && a->line.reason != REASON_NONE)
		told_refused(l, &a->line);
	if (a->accepted)
		told_accepted(l);
	told_performed(l, a);
	if (a->send.n != 0)
		stream_write(l->stream, a->send);
	if (a->work != NULL)
		submit(l->ml, a->work);
	if (a->accepted)
		stream_deadline(l->stream, 0);
	link_reads(l);
	if (a->ending == SESSION_LEAVES)
		stream_close(l->stream);
	else if (a->ending == SESSION_DROPS)
		stream_abort(l->stream);
	keep_time(l);
	if (a->doomed)
		link_doomed(l);
}

static void
on_due(struct loop_timer *t)
{
	struct link *l = container_of(t, struct link, timer);
	struct actions a = { 0 };

	session_tick(&l->session, loop_now_us(l->ml->loop), &a);
	link_perform(l, &a);
}

/* ---- streams ---- */

/* Operations of sessions wait for one another; a CONNECT does not. */
static bool
link_waits(struct link *l)
{
	if (l->session.state != S_LIVE || !turn_awaited(&l->ml->turns, l))
		return false;
	session_hold(&l->session, true, loop_now_us(l->ml->loop));
	link_reads(l); /* before it may be told to go on */
	return true;
}

static size_t
on_data(struct stream *st, struct str in, void *ctx)
{
	struct link *l = ctx;
	struct actions rest = { 0 };
	enum err e = ERR_OK;
	size_t used = 0;

	while (e == ERR_OK && used < in.n && session_reads(&l->session) && stream_is_open(st) &&
	    !link_waits(l)) {
		struct actions a = { 0 };
		size_t size = 0;

		e = session_bytes(
		    &l->session, str_sub(in, used), loop_now_us(l->ml->loop), &size, &a);
		turn_over(&l->ml->turns, l);
		if (e == ERR_OK)
			told_received(l, (struct str){ in.p + used, size });
		link_perform(l, &a);
		if (e == ERR_OK)
			used += size;
	}
	links_go_on(l->ml);
	session_waits(&l->session, in.n - used, &rest);
	if (rest.ending != SESSION_STAYS)
		link_perform(l, &rest);
	return used;
}

/* Whom rates by address count it for. */
static uint64_t
address_key(const struct mqtt_loop *ml, const struct net_addr *peer)
{
	if ((ml->o.limiter == NULL && ml->o.offenders == NULL) ||
	    (ml->o.address_free != NULL && nets_have(ml->o.address_free, peer)))
		return 0;
	return asker_key(net_addr_party(peer), STR_NONE);
}

static void
on_open(struct stream *st, void *ctx)
{
	struct mqtt_loop *ml = ctx;
	struct link *l = xcalloc(1, sizeof(*l));
	struct reply_to self = { .node = (uint8_t)fleet_slot(ml->o.fleet),
		.loop = (uint16_t)loop_index(ml->loop),
		.slot = slot_take(&ml->links, l) };

	self.generation = slot_generation(&ml->links, self.slot);
	l->ml = ml;
	l->stream = st;
	l->timer.fire = on_due;
	session_open(&l->session, &ml->sessions, self, address_key(ml, stream_peer(st)));
	ml->nsession++;
	stream_set_user(st, &mqtt_user, l);
}

static void
on_close(struct stream *st, enum stream_end why, void *ctx)
{
	struct link *l = ctx;
	struct mqtt_loop *ml = l->ml;
	struct actions a = { 0 };

	(void)st;
	session_end(&l->session, why, &a);
	told_closed(l, a.line.reason);
	link_perform(l, &a);
	slot_free(&ml->links, l->session.self.slot);
	ml->nsession--;
	turn_dropped(&ml->turns, l);
	links_go_on(ml);
	reaper_ended(&ml->reaper, &l->session);
	session_fini(&l->session);
	free(l);
}

const struct stream_user mqtt_user = {
	.on_open = on_open, .on_data = on_data, .on_close = on_close
};

void
mqtt_loop_close(struct mqtt_loop *ml)
{
	for (uint32_t i = 0; i < ml->links.n; i++) {
		struct link *l = slot_at(&ml->links, i);
		struct actions a = { 0 };

		if (l != NULL) {
			session_stop(&l->session, &a);
			link_perform(l, &a);
		}
	}
}

struct later {
	struct msg msg;
	struct mqtt_loop *ml;
	int64_t by_us;
};

static void
on_later(struct msg *m)
{
	struct later *later = container_of(m, struct later, msg);

	for (uint32_t i = 0; i < later->ml->links.n; i++) {
		struct link *l = slot_at(&later->ml->links, i);

		if (l != NULL) {
			session_later(&l->session, later->by_us);
			keep_time(l);
		}
	}
	free(later);
}

void
mqtt_loop_later(struct mqtt_loop *ml, int64_t by_us)
{
	struct later *later = xcalloc(1, sizeof(*later));

	later->msg.run = on_later;
	later->ml = ml;
	later->by_us = by_us;
	loop_post(ml->loop, &later->msg);
}

void
mqtt_note(struct mqtt_loop *ml, const struct note *n)
{
	struct link *l = link_to(ml, n->session);
	struct actions a = { 0 };

	if (l == NULL)
		return;
	session_note(&l->session, n, &a);
	link_perform(l, &a);
}
