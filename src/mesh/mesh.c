#include "mesh/mesh.h"

#include "log/log.h"
#include "os/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECTIONS_MAX (4 * MESH_PEERS_MAX) /* that others have made; a quarter from one address */
#define HELLO_US        INT64_C(5000000) /* from the first byte, or the dialling, to the peer's HELLO */
#define STRANGERS_US                                                                               \
	INT64_C(60000000)            /* between two lines of the log about links that are refused */
#define HELD_MAX ((size_t)256 << 20) /* bytes that all links hold */

/* One connection. */
struct wire {
	struct mesh *m;
	struct stream *s;  /* NULL: it is being dialled */
	struct peer *peer; /* NULL: not known yet */
	struct link talk;
	struct loop_timer tick;
	bool up; /* on_up was called, on_down was not */
	uint8_t print[PRINT_SIZE];
};

struct peer {
	struct mesh *m;
	struct mesh_peer is;
	struct wire *wire; /* that is up, or that is dialled; NULL: none */
	struct loop_timer redial;
	bool used, told;       /* told: the log knows that it is not reached */
	struct mesh_view view; /* under mu */
};

struct mesh {
	struct mesh_options o;
	struct hello self; /* common: the loop's */
	struct net_addr at;
	struct loop *loop;
	struct listener *listener;
	struct admission *admission;
	struct stream_user user;
	struct peer peers[MESH_PEERS_MAX];
	atomic_uint_least64_t common;
	uint64_t feedback;            /* the loop's */
	atomic_uint_least64_t others; /* mesh_feedback */
	pthread_mutex_t mu;
	uint16_t port;
	bool stopping;
	int64_t refused_us; /* the last line about a link that was refused */
	uint32_t nrefused;  /* since */
};

/* ---- what is said of a peer ---- */

static void
link_tell(struct peer *p, enum log_level level, const char *msg, const char *why)
{
	log_pairs(level, msg,
	    (struct log_pair[]){ { "node", str_of(p->is.node) },
	        { "address", str_of(p->is.address) },
	        { why != NULL ? "reason" : NULL, why != NULL ? str_of(why) : STR_NONE },
	        { NULL, STR_NONE } });
}

static void
view_set(struct peer *p, bool up, const char *why)
{
	pthread_mutex_lock(&p->m->mu);
	p->view.up = up;
	if (!up)
		p->view.trip_us = 0;
	snprintf(p->view.why, sizeof(p->view.why), "%s", why);
	pthread_mutex_unlock(&p->m->mu);
}

static void
view_count(struct peer *p, uint64_t sent, uint64_t received)
{
	pthread_mutex_lock(&p->m->mu);
	p->view.sent += sent;
	p->view.received += received;
	if (p->wire != NULL)
		p->view.trip_us = p->wire->talk.trip_us;
	pthread_mutex_unlock(&p->m->mu);
}

/* ---- the end of a connection ---- */

static bool
dials(const struct mesh *m, const struct peer *p)
{
	return strcmp(m->o.node, p->is.node) < 0;
}

static void
feedback_look(struct mesh *m)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < MESH_PEERS_MAX; i++)
		if (m->peers[i].used && m->peers[i].wire != NULL && m->peers[i].wire->up)
			all |= m->peers[i].wire->talk.feedback;
	atomic_store(&m->others, all);
}

/* Once for each on_up. */
static void
wire_down(struct wire *w, const char *why)
{
	struct peer *p = w->peer;

	if (p == NULL || p->wire != w)
		return;
	p->wire = NULL;
	view_set(p, false, why);
	feedback_look(w->m);
	if (w->up) {
		w->up = false;
		link_tell(p, LOG_WARN, "the link to a node is down", why);
		w->m->o.on_down(w->m->o.ctx, p->is.slot, why);
	} else if (!p->told) {
		p->told = true;
		link_tell(p, LOG_WARN, "a node is not reached", why);
	}
	if (p->used && dials(w->m, p) && !w->m->stopping)
		loop_timer_set(w->m->loop, &p->redial, loop_now_us(w->m->loop) + MESH_REDIAL_US);
}

static void
wire_free(struct wire *w)
{
	loop_timer_clear(w->m->loop, &w->tick);
	free(w);
}

/* Its stream goes at the end of the turn, and it with it. */
static void
wire_drop(struct wire *w, const char *why)
{
	wire_down(w, why);
	w->talk.state = LINK_OVER;
	if (w->s != NULL)
		stream_abort(w->s);
}

/* ---- the talk ---- */

static void
wire_write(struct wire *w, struct buf *out)
{
	if (out->n != 0)
		stream_write(w->s, buf_view(out));
	if (w->peer != NULL && out->n != 0)
		view_count(w->peer, out->n, 0);
	buf_fini(out);
}

static struct peer *
peer_named(struct mesh *m, struct str node)
{
	for (unsigned i = 0; i < MESH_PEERS_MAX; i++)
		if (m->peers[i].used && str_eq(str_of(m->peers[i].is.node), node))
			return &m->peers[i];
	return NULL;
}

/* The table of nodes says who it has to be. */
static enum err
is_peer(const struct wire *w, const struct peer *p, const struct hello *h, struct fault *f)
{
	if (p == NULL)
		return fault_set(f, F_ServerError,
		    "it is " STR_FMT ", which the table of nodes does not have", STR_ARG(h->node));
	if (memcmp(w->print, p->is.print, PRINT_SIZE) != 0)
		return fault_set(f, F_ServerError, "its certificate is not that of %s", p->is.node);
	if (h->slot != p->is.slot || h->generation != p->is.generation)
		return fault_set(f, F_ServerError,
		    "it is incarnation %llu of %s, the table of nodes has %llu",
		    (unsigned long long)h->generation, p->is.node,
		    (unsigned long long)p->is.generation);
	return ERR_OK;
}

static enum err
on_hello(void *ctx, const struct hello *h, struct fault *f)
{
	struct wire *w = ctx;
	struct peer *p = peer_named(w->m, h->node);
	enum err e = w->peer != NULL && w->peer != p
	    ? fault_set(f, F_ServerError, "it says that it is " STR_FMT, STR_ARG(h->node))
	    : is_peer(w, p, h, f);

	if (e != ERR_OK)
		return e;
	if (p->wire != NULL && p->wire != w)
		wire_drop(p->wire, "it has connected anew");
	loop_timer_clear(w->m->loop, &p->redial);
	w->peer = p;
	p->wire = w;
	p->told = false;
	w->up = true;
	stream_deadline(w->s, 0);
	view_set(p, true, "");
	link_tell(p, LOG_INFO, "the link to a node is up", NULL);
	w->m->o.on_up(w->m->o.ctx, p->is.slot);
	return ERR_OK;
}

static enum err
on_frame(void *ctx, const struct frame *frame, struct fault *f)
{
	struct wire *w = ctx;

	return w->m->o.on_frame(w->m->o.ctx, w->peer->is.slot, frame, f);
}

/* Nobody's link: whoever it is may try for ever. One line a minute at the most, with how many there were besides. */
static void
stranger_tell(struct wire *w)
{
	struct mesh *m = w->m;
	char from[NET_ADDR_TEXT_MAX], more[16];
	int64_t now_us = loop_now_us(m->loop);

	if (m->refused_us != 0 && now_us - m->refused_us < STRANGERS_US) {
		m->nrefused++;
		return;
	}
	snprintf(more, sizeof(more), "%u", m->nrefused);
	log_pairs(LOG_WARN, "a link to this node is refused",
	    (const struct log_pair[]){
	        { "address", str_of(net_addr_text(stream_peer(w->s), from)) },
	        { "reason", str_of(w->talk.why.text) }, { "more", str_of(more) },
	        { NULL, STR_NONE } });
	m->refused_us = now_us;
	m->nrefused = 0;
}

static void
refused(struct wire *w)
{
	if (w->peer == NULL)
		stranger_tell(w);
	wire_drop(w, w->talk.why.text);
}

static size_t
on_data(struct stream *s, struct str in, void *ctx)
{
	struct wire *w = ctx;
	const struct link_user user = { on_hello, on_frame, w };
	struct buf out = { 0 };
	uint64_t before = w->talk.feedback;
	size_t took;
	bool goes_on;

	(void)s;
	goes_on = link_take(&w->talk, &user, in, &took, &out, loop_now_us(w->m->loop));
	if (w->talk.feedback != before)
		feedback_look(w->m);
	wire_write(w, &out);
	if (w->peer != NULL)
		view_count(w->peer, 0, took);
	if (!goes_on && stream_is_open(w->s))
		refused(w);
	return goes_on ? took : in.n;
}

static const char *
end_text(enum stream_end why)
{
	switch (why) {
	case STREAM_EOF: return "the peer has closed it";
	case STREAM_TIMEOUT: return "there was no HELLO in time";
	case STREAM_OVERFLOW: return "the peer does not read what is sent to it";
	case STREAM_CROWDED: return "the links hold more than they may, and it most";
	case STREAM_SHUTDOWN: return "this node ends";
	default: return "the connection has failed";
	}
}

static void
on_close(struct stream *s, enum stream_end why, void *ctx)
{
	struct wire *w = ctx;

	(void)s;
	wire_down(w, end_text(why));
	wire_free(w);
}

static void
on_tick(struct loop_timer *t)
{
	struct wire *w = container_of(t, struct wire, tick);
	struct mesh *m = w->m;
	struct buf out = { 0 };
	bool goes_on = link_tick(&w->talk, m->feedback, &out, loop_now_us(m->loop));

	wire_write(w, &out);
	if (goes_on)
		loop_timer_set(m->loop, &w->tick, loop_now_us(m->loop) + m->o.times.ping_us / 4);
	else
		refused(w);
}

static bool
is_of_somebody(const struct mesh *m, const uint8_t print[PRINT_SIZE])
{
	for (unsigned i = 0; i < MESH_PEERS_MAX; i++)
		if (m->peers[i].used && memcmp(m->peers[i].is.print, print, PRINT_SIZE) == 0)
			return true;
	return false;
}

static void
begin(struct wire *w, struct stream *s)
{
	struct mesh *m = w->m;
	struct buf out = { 0 };

	w->s = s;
	m->self.common = atomic_load(&m->common);
	if (!stream_print(s, w->print) || !is_of_somebody(m, w->print)) {
		fault_set(&w->talk.why, F_ServerError,
		    "its certificate is nobody's in the table of nodes");
		refused(w);
		return;
	}
	link_begin(&w->talk, &m->self, &m->o.times, &out, loop_now_us(m->loop));
	wire_write(w, &out);
	w->tick.fire = on_tick;
	loop_timer_set(m->loop, &w->tick, loop_now_us(m->loop) + m->o.times.ping_us / 4);
}

/* ---- accepted ---- */

static void
on_open(struct stream *s, void *ctx)
{
	struct wire *w = xcalloc(1, sizeof(*w));

	w->m = ctx;
	stream_set_user(s, &w->m->user, w);
	stream_deadline(s, loop_now_us(w->m->loop) + HELLO_US);
	begin(w, s);
}

static struct ssl_st *
make_ssl(void *ctx)
{
	return pinned_ssl(((struct mesh *)ctx)->o.pinned);
}

/* ---- dialled ---- */

static void
on_dialled(struct stream *s, void *ctx)
{
	struct wire *w = ctx;

	if (w->peer->wire != w) /* it was given up meanwhile */
		stream_abort(s);
	else
		begin(w, s);
}

static void
on_failed(void *ctx, const char *why)
{
	struct wire *w = ctx;

	wire_down(w, why);
	wire_free(w);
}

static const struct stream_user dial_user = { on_dialled, on_data, on_close, NULL };

static void
dial(struct peer *p)
{
	struct mesh *m = p->m;
	struct wire *w = xcalloc(1, sizeof(*w));
	struct dial_conf conf = { .deadline_us = HELLO_US,
		.limits = { MESH_OUT_MAX, FRAME_HEAD + FRAME_MAX },
		.user = &dial_user,
		.on_failed = on_failed,
		.ctx = w };
	char why[NET_WHY_MAX] = "";

	w->m = m;
	w->peer = p;
	p->wire = w;
	if (net_addr_parse(p->is.address, &conf.to) != ERR_OK) {
		snprintf(why, sizeof(why), "its address is none");
	} else {
		conf.ssl = pinned_ssl(m->o.pinned);
		if (stream_dial(m->loop, &conf, &w->s, why) == ERR_OK)
			return;
	}
	wire_down(w, why);
	wire_free(w);
}

static void
on_redial(struct loop_timer *t)
{
	struct peer *p = container_of(t, struct peer, redial);

	if (p->used && p->wire == NULL)
		dial(p);
}

/* ---- who the peers are ---- */

struct peers_msg {
	struct msg msg;
	struct mesh *m;
	unsigned n;
	struct mesh_peer v[MESH_PEERS_MAX];
};

static bool
same_peer(const struct mesh_peer *a, const struct mesh_peer *b)
{
	return strcmp(a->node, b->node) == 0 && strcmp(a->address, b->address) == 0 &&
	    a->slot == b->slot && a->generation == b->generation &&
	    memcmp(a->print, b->print, PRINT_SIZE) == 0;
}

static bool
is_among(const struct mesh_peer *p, const struct mesh_peer *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (same_peer(p, &v[i]))
			return true;
	return false;
}

static void
peer_goes(struct peer *p)
{
	struct wire *w = p->wire;

	pthread_mutex_lock(&p->m->mu);
	p->used = false;
	pthread_mutex_unlock(&p->m->mu);
	loop_timer_clear(p->m->loop, &p->redial);
	if (w != NULL)
		wire_drop(w, "the table of nodes has it no more, or another incarnation of it");
}

static void
peer_comes(struct mesh *m, const struct mesh_peer *is)
{
	for (unsigned i = 0; i < MESH_PEERS_MAX; i++) {
		struct peer *p = &m->peers[i];

		if (p->used)
			continue;
		pthread_mutex_lock(&m->mu);
		p->m = m;
		p->is = *is;
		p->wire = NULL;
		p->used = true;
		p->told = false;
		p->view = (struct mesh_view){ .slot = is->slot, .why = "not connected yet" };
		memcpy(p->view.node, is->node, sizeof(is->node));
		pthread_mutex_unlock(&m->mu);
		p->redial.fire = on_redial;
		if (dials(m, p))
			dial(p);
		return;
	}
}

static void
peers_arrived(struct msg *msg)
{
	struct peers_msg *pm = (struct peers_msg *)msg;
	struct mesh *m = pm->m;

	for (unsigned i = 0; i < MESH_PEERS_MAX; i++)
		if (m->peers[i].used && !is_among(&m->peers[i].is, pm->v, pm->n))
			peer_goes(&m->peers[i]);
	for (unsigned i = 0; i < pm->n && !m->stopping; i++) {
		struct peer *p = peer_named(m, str_of(pm->v[i].node));

		if (p == NULL && strcmp(pm->v[i].node, m->o.node) != 0)
			peer_comes(m, &pm->v[i]);
	}
	free(pm);
}

void
mesh_peers(struct mesh *m, const struct mesh_peer *peers, unsigned n)
{
	struct peers_msg *pm = xcalloc(1, sizeof(*pm));

	assert(n <= MESH_PEERS_MAX);
	pm->msg.run = peers_arrived;
	pm->m = m;
	pm->n = n;
	memcpy(pm->v, peers, n * sizeof(*peers));
	loop_post(m->loop, &pm->msg);
}

void
mesh_say(struct mesh *m, uint64_t common)
{
	atomic_store(&m->common, common);
}

void
mesh_has_feedback(struct mesh *m, uint64_t shards)
{
	if (m->feedback == shards)
		return;
	m->feedback = shards;
	for (unsigned i = 0; i < MESH_PEERS_MAX; i++) {
		struct wire *w = m->peers[i].used ? m->peers[i].wire : NULL;
		struct buf out = { 0 };

		if (w == NULL || !w->up)
			continue;
		link_ping(&w->talk, shards, &out, loop_now_us(m->loop));
		wire_write(w, &out);
	}
}

uint64_t
mesh_feedback(const struct mesh *m)
{
	return atomic_load(&m->others);
}

/* ---- sending ---- */

static struct peer *
peer_at(const struct mesh *m, uint16_t slot)
{
	for (unsigned i = 0; i < MESH_PEERS_MAX; i++)
		if (m->peers[i].used && m->peers[i].is.slot == slot)
			return (struct peer *)&m->peers[i];
	return NULL;
}

bool
mesh_is_up(const struct mesh *m, uint16_t slot)
{
	const struct peer *p = peer_at(m, slot);

	return p != NULL && p->wire != NULL && p->wire->up;
}

size_t
mesh_waits(const struct mesh *m, uint16_t slot)
{
	return mesh_is_up(m, slot) ? stream_pending_output(peer_at(m, slot)->wire->s) : 0;
}

bool
mesh_send(struct mesh *m, uint16_t slot, struct str frame)
{
	struct peer *p = peer_at(m, slot);

	if (p == NULL || p->wire == NULL || !p->wire->up || !stream_is_open(p->wire->s))
		return false;
	stream_write(p->wire->s, frame);
	view_count(p, frame.n, 0);
	return true;
}

unsigned
mesh_look(struct mesh *m, struct mesh_view out[MESH_PEERS_MAX])
{
	unsigned n = 0;

	pthread_mutex_lock(&m->mu);
	for (unsigned i = 0; i < MESH_PEERS_MAX; i++)
		if (m->peers[i].used)
			out[n++] = m->peers[i].view;
	pthread_mutex_unlock(&m->mu);
	return n;
}

/* ---- begin and end ---- */

static enum err
listen_at(struct mesh *m, char why[NET_WHY_MAX])
{
	struct listen_conf conf = { .make_ssl = make_ssl,
		.admission = m->admission,
		.deadline_us = HELLO_US,
		.limits = { MESH_OUT_MAX, FRAME_HEAD + FRAME_MAX },
		.user = &m->user,
		.ctx = m };
	char host[NET_ADDR_TEXT_MAX];
	const char *colon = strrchr(m->o.address, ':');
	enum err e;
	int fd;

	snprintf(host, sizeof(host), "%.*s", (int)(colon - m->o.address), m->o.address);
	if (host[0] == '[')
		snprintf(
		    host, sizeof(host), "%.*s", (int)(colon - m->o.address - 2), m->o.address + 1);
	if ((e = net_bind(host, m->at.port, 1, &fd, &m->port, why)) != ERR_OK)
		return e;
	if ((e = listener_new(m->loop, fd, &conf, &m->listener)) != ERR_OK)
		snprintf(why, NET_WHY_MAX, "no listener for the mesh");
	return e;
}

enum err
mesh_open(const struct mesh_options *o, struct mesh **out, char why[NET_WHY_MAX])
{
	struct mesh *m = xcalloc(1, sizeof(*m));
	enum err e = ERR_OK;

	pthread_mutex_init(&m->mu, NULL);
	m->admission = admission_new(CONNECTIONS_MAX, CONNECTIONS_MAX / 4);
	m->o = *o;
	if (m->o.times.ping_us == 0)
		m->o.times = (struct link_times){ 1000000, 3000000 };
	m->user = (struct stream_user){ on_open, on_data, on_close, NULL };
	m->self = (struct hello){ .protocol_min = FRAME_PROTOCOL,
		.protocol_max = FRAME_PROTOCOL,
		.hub = str_of(o->hub),
		.node = str_of(o->node),
		.version = str_of(o->version),
		.slot = o->slot,
		.generation = o->generation };
	if (net_addr_parse(o->address, &m->at) != ERR_OK) {
		snprintf(
		    why, NET_WHY_MAX, "%s is no address with a port, as 10.0.0.1:7443", o->address);
		e = ERR_ARG;
	} else if ((e = loop_new(0, &m->loop)) != ERR_OK) {
		snprintf(why, NET_WHY_MAX, "no descriptors for the mesh");
	}
	if (e == ERR_OK) {
		loop_hold_at_most(m->loop, HELD_MAX);
		e = listen_at(m, why);
	}
	if (e != ERR_OK) {
		mesh_free(m);
		return e;
	}
	*out = m;
	return ERR_OK;
}

enum err
mesh_start(struct mesh *m)
{
	return loop_start(m->loop);
}

struct stop_msg {
	struct msg msg;
	struct mesh *m;
};

static void
stop_arrived(struct msg *msg)
{
	struct mesh *m = ((struct stop_msg *)msg)->m;

	m->stopping = true;
	loop_abort_streams(m->loop);
	free(msg);
}

void
mesh_stop(struct mesh *m)
{
	struct stop_msg *sm = xcalloc(1, sizeof(*sm));

	sm->msg.run = stop_arrived;
	sm->m = m;
	loop_post(m->loop, &sm->msg);
	loop_stop(m->loop);
	loop_join(m->loop);
}

void
mesh_free(struct mesh *m)
{
	if (m == NULL)
		return;
	m->stopping = true;
	if (m->listener != NULL)
		listener_free(m->listener);
	for (unsigned i = 0; m->loop != NULL && i < MESH_PEERS_MAX; i++)
		loop_timer_clear(m->loop, &m->peers[i].redial);
	loop_free(m->loop);
	admission_free(m->admission);
	pthread_mutex_destroy(&m->mu);
	free(m);
}

struct loop *
mesh_loop(struct mesh *m)
{
	return m->loop;
}

uint16_t
mesh_port(const struct mesh *m)
{
	return m->port;
}
