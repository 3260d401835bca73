/* Connections, and what happens to a server: ends of backends, crashes, promotions. */
#include "server.h"

/* ---- connections ---- */

int
server_connect(struct world *w, int server, struct msg *m)
{
	struct server *s = &w->servers[server];
	const struct proc *p = &w->procs[m->slot];

	if (s->role != ROLE_PRIMARY)
		return -1;
	if ((s->nbackend & (s->nbackend - 1)) == 0)
		s->backends = xrealloc(s->backends,
		    (size_t)(s->nbackend ? s->nbackend * 2 : 1) * sizeof(*s->backends));
	s->backends[s->nbackend] = (struct backend){ .alive = true,
		.slot = m->slot,
		.id = p->id,
		.conn = m->conn,
		.life = m->life,
		.serial = m->serial,
		.generation = cluster_generation(p->c) };
	return s->nbackend++;
}

/* What its client hears of it: the connection ends. */
static void
hang_up(struct world *w, int server, const struct backend *b)
{
	struct proc *p = &w->procs[b->slot];
	int64_t us = net_us(w, b->slot, server, true);
	struct msg *m;

	if (us < 0 || !p->alive || p->life != b->life)
		return;
	m = need(sizeof(*m));
	m->slot = b->slot;
	m->conn = b->conn;
	m->serial = b->serial;
	m->number = p->conns[b->conn].number;
	m->server = server;
	m->in.what = CLUSTER_ANSWER;
	m->in.answer = CLUSTER_LOST;
	later_on(w, p, (enum thread_of)b->conn, us, client_hears)->m = m;
}

void
server_kill(struct world *w, int server, int backend, bool cancel)
{
	struct backend *b = &w->servers[server].backends[backend];
	struct tx *tx = b->tx;

	if (tx != NULL && tx->stage == TX_SYNC) {
		tx_visible(w, tx, CLUSTER_LOST); /* a WARNING is no less */
	} else if (tx != NULL && cancel) {
		tx_over(w, tx, CLUSTER_FAILED);
		return;
	} else if (tx != NULL) {
		tx_unlink(w, tx);
		msg_free(tx->m);
		free(tx);
		waiting_go(w, server);
	}
	b = &w->servers[server].backends[backend];
	if (cancel || !b->alive)
		return;
	b->alive = false;
	hang_up(w, server, b);
}

/* ---- what happens to a server ---- */

static void
all_die(struct world *w, int server, bool told)
{
	struct server *s = &w->servers[server];

	while (s->txs != NULL) {
		struct tx *tx = s->txs;

		tx_unlink(w, tx);
		msg_free(tx->m);
		free(tx);
	}
	for (int b = 0; b < s->nbackend; b++)
		if (s->backends[b].alive) {
			s->backends[b].alive = false;
			if (told)
				hang_up(w, server, &s->backends[b]);
		}
}

void
server_crash(struct world *w, int server)
{
	all_die(w, server, one_in(w, 2)); /* a machine that is gone says nothing */
	w->servers[server].role = ROLE_DOWN;
}

/* What was in its log has happened. */
void
server_restart(struct world *w, int server)
{
	struct server *s = &w->servers[server];

	s->visible = s->local;
	s->role = ROLE_PRIMARY;
	log_send(w, server);
}

void
server_promote(struct world *w, int server)
{
	struct server *s = &w->servers[server];
	struct tables before = w->servers[!server].visible;

	s->visible = s->local;
	s->role = ROLE_PRIMARY;
	s->timeline = w->servers[!server].timeline + 1;
	s->acked = 0;
	s->linked = true;
	s->names = true;
	w->truth = server;
	seen.failovers++;
	if (w->forgetful)
		forgotten(w, &before);
}

void
server_joins(struct world *w, int server)
{
	struct server *s = &w->servers[server], *p = &w->servers[!server];

	all_die(w, server, true);
	s->role = ROLE_STANDBY;
	s->timeline = p->timeline;
	s->lsn = -1;
	log_send(w, !server);
}

void
server_names(struct world *w, int server, bool names)
{
	w->servers[server].names = names;
	synced(w, server);
}

void
server_link(struct world *w, bool linked)
{
	w->servers[w->truth].linked = linked;
	log_send(w, w->truth);
}

void
servers_begin(struct world *w)
{
	struct tables t = { .common = 1 };

	for (int s = 0; s < SHARDS; s++)
		t.shard[s].owner = -1;
	for (int i = 0; i < SERVERS; i++) {
		w->servers[i].local = w->servers[i].visible = t;
		w->servers[i].role = i == 0 ? ROLE_PRIMARY : ROLE_STANDBY;
		w->servers[i].names = w->servers[i].linked = true;
		w->servers[i].clock_off_us = between(w, -1 * S, 1 * S);
	}
}

void
servers_free(struct world *w)
{
	for (int i = 0; i < SERVERS; i++) {
		all_die(w, i, false);
		free(w->servers[i].backends);
	}
}
