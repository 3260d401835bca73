/*
 * PostgreSQL, as far as the cluster's calls see it. Each call is one transaction that commits itself: it gets its row locks in order, judges what it
 * finds, is in the log (local), waits for the standby, and then is visible, lets go of its locks, and is answered. What waits for the standby is
 * visible, and perhaps not replicated, when its backend is ended or cancelled.
 */
#include "server.h"

static uint64_t ids;

const struct tables *
truth(const struct world *w)
{
	return &w->servers[w->truth].visible;
}

/* ---- answers ---- */

static void
reply(struct world *w, struct tx *tx, enum cluster_answer answer)
{
	struct msg *m = tx->m;
	struct proc *p;
	int64_t us;

	tx->m = NULL;
	m->in.what = CLUSTER_ANSWER;
	m->in.answer = answer;
	if (m->slot < 0) {
		if (answer == CLUSTER_OK && (int)m->d.question == Q_PUT)
			w->put_common = tx->after.common;
		msg_free(m);
		return;
	}
	p = &w->procs[m->slot];
	us = net_us(w, m->slot, m->server, true);
	if (us < 0 || !p->alive || p->life != m->life) {
		msg_free(m);
		return;
	}
	later_on(w, p, (enum thread_of)m->conn, us, client_hears)->m = m;
}

/* ---- locks ---- */

static bool
lock_get(struct server *s, struct tx *tx, int row, bool share)
{
	struct row_lock *l = &s->locks[row];

	if (l->owner != NULL || (!share && l->nshare > 0))
		return false;
	if (share)
		l->nshare++;
	else
		l->owner = tx;
	return true;
}

static void
locks_drop(struct server *s, struct tx *tx)
{
	for (unsigned i = 0; i < tx->got; i++) {
		struct row_lock *l = &s->locks[tx->wants[i].row];

		if (tx->wants[i].share)
			l->nshare--;
		else
			l->owner = NULL;
	}
	tx->got = 0;
}

static void tx_go(struct world *w, struct tx *tx);

void
tx_unlink(struct world *w, struct tx *tx)
{
	struct server *s = &w->servers[tx->server];

	for (struct tx **at = &s->txs; *at != NULL; at = &(*at)->next)
		if (*at == tx) {
			*at = tx->next;
			break;
		}
	if (tx->backend >= 0)
		s->backends[tx->backend].tx = NULL;
	locks_drop(s, tx);
}

void
waiting_go(struct world *w, int server)
{
	struct tx *tx;

again:
	for (tx = w->servers[server].txs; tx != NULL; tx = tx->next) {
		unsigned got = tx->got;
		uint64_t id = tx->id;

		if (tx->stage != TX_WAITS)
			continue;
		tx_go(w, tx);
		for (tx = w->servers[server].txs; tx != NULL && tx->id != id; tx = tx->next)
			;
		if (tx == NULL || tx->stage != TX_WAITS || tx->got != got)
			goto again;
	}
}

/* By a server that is the primary no more, and waits for no standby: shards of which its client will know what is gone. */
static uint32_t
told_in_vain(const struct msg *m)
{
	return m->d.question == Q_COMMIT    ? (uint32_t)m->mask
	    : m->d.question == CLUSTER_TAKE ? 1u << m->d.shard
	                                    : 1u << SHARDS;
}

void
tx_over(struct world *w, struct tx *tx, enum cluster_answer answer)
{
	int server = tx->server;

	if (w->forgets > 0 && server != w->truth && answer == CLUSTER_OK && tx->stage == TX_SYNC)
		tx->m->vain = told_in_vain(tx->m);
	tx->m->in.there |= server == w->truth && tx->m->d.question == Q_COMMIT;
	tx_unlink(w, tx);
	reply(w, tx, answer);
	free(tx);
	waiting_go(w, server);
}

static struct tx *
tx_find(struct world *w, int server, uint64_t id)
{
	struct tx *tx = w->servers[server].txs;

	while (tx != NULL && tx->id != id)
		tx = tx->next;
	return tx;
}

static void
lock_timeout(struct world *w, struct event *e)
{
	struct tx *tx = tx_find(w, e->a, (uint64_t)e->x);

	if (tx == NULL || tx->stage != TX_WAITS)
		return;
	seen.lock_timeouts++;
	tx_over(w, tx, tx->m->d.question == Q_COMMIT ? CLUSTER_FAILED : CLUSTER_LOCKED);
}

/* ---- replication ---- */

static void
merge(struct tables *to, const struct tx *tx)
{
	for (int i = 0; i < NODES; i++)
		if (tx->nodes >> i & 1)
			to->node[i] = tx->after.node[i];
	for (int s = 0; s < SHARDS; s++) {
		if (tx->shards >> s & 1)
			to->shard[s] = tx->after.shard[s];
		if (tx->values >> s & 1)
			to->value[s] = tx->after.value[s];
	}
	if (tx->common)
		to->common = tx->after.common;
}

void
tx_visible(struct world *w, struct tx *tx, enum cluster_answer answer)
{
	merge(&w->servers[tx->server].visible, tx);
	tx_over(w, tx, answer);
}

void
synced(struct world *w, int server)
{
	struct server *s = &w->servers[server];
	struct tx *tx;

again:
	for (tx = s->txs; tx != NULL; tx = tx->next)
		if (tx->stage == TX_SYNC && (!s->names || w->forgetful || tx->lsn <= s->acked)) {
			tx_visible(w, tx, CLUSTER_OK);
			goto again;
		}
}

struct log_msg {
	struct tables tables;
	int64_t lsn;
	unsigned timeline;
};

static void
log_acked(struct world *w, struct event *e)
{
	struct server *s = &w->servers[e->a];

	if (s->role != ROLE_PRIMARY || s->timeline != e->life || e->x <= s->acked)
		return;
	s->acked = e->x;
	synced(w, e->a);
}

static void
log_arrives(struct world *w, struct event *e)
{
	const struct server *from = &w->servers[!e->a];
	struct server *to = &w->servers[e->a];
	struct log_msg *l = (void *)e->d;

	if (to->role == ROLE_STANDBY && to->timeline == l->timeline && l->lsn >= to->lsn) {
		struct event *ack;

		to->local = l->tables;
		to->lsn = l->lsn;
		if (from->linked) {
			ack = later(w, between(w, 100, 600), log_acked);
			ack->a = !e->a;
			ack->x = l->lsn;
			ack->life = l->timeline;
		}
	}
}

void
log_send(struct world *w, int server)
{
	struct server *s = &w->servers[server];
	int64_t at_us = w->now_us +
	    (w->forgetful ? between(w, 1 * MS, 2 * S)
	                  : between(w, 100, one_in(w, 30) ? 200 * MS : 900));
	struct event *e;
	struct log_msg *l;

	if (s->role != ROLE_PRIMARY || !s->linked || w->servers[!server].role != ROLE_STANDBY)
		return;
	s->sent_us = at_us > s->sent_us ? at_us : s->sent_us;
	l = need(sizeof(*l));
	*l = (struct log_msg){ s->local, s->lsn, s->timeline };
	e = later(w, s->sent_us - w->now_us, log_arrives);
	e->a = !server;
	e->d = (void *)l;
}

static void
tx_commit(struct world *w, struct tx *tx)
{
	struct server *s = &w->servers[tx->server];
	int server = tx->server;

	merge(&s->local, tx);
	tx->lsn = ++s->lsn;
	tx->stage = TX_SYNC;
	log_send(w, server);
	synced(w, server);
}

/* ---- transactions ---- */

static void
tx_again(struct world *w, struct event *e)
{
	struct tx *tx = tx_find(w, e->a, (uint64_t)e->x);

	if (tx != NULL)
		tx_go(w, tx);
}

static void
tx_waits(struct world *w, struct tx *tx)
{
	struct event *e;

	if (tx->stage == TX_WAITS)
		return;
	tx->stage = TX_WAITS;
	e = later(w, tx->m->d.question == Q_COMMIT ? 5 * S : 500 * MS, lock_timeout);
	e->a = tx->server;
	e->x = (int64_t)tx->id;
}

/* The records are written, the fence comes later. */
static bool
rests(struct world *w, struct tx *tx)
{
	struct event *e;

	if (tx->m->d.question != Q_COMMIT || tx->rested || tx->wants[tx->got].row >= ROW_REC)
		return false;
	tx->rested = true;
	tx->stage = TX_RUNS;
	e = later(w, between(w, 50, one_in(w, 50) && !w->peace ? 2 * S : 500), tx_again);
	e->a = tx->server;
	e->x = (int64_t)tx->id;
	return true;
}

static void
tx_go(struct world *w, struct tx *tx)
{
	struct server *s = &w->servers[tx->server];
	enum cluster_answer answer;

	while (tx->got < tx->nwant) {
		if (rests(w, tx))
			return;
		if (!lock_get(s, tx, tx->wants[tx->got].row, tx->wants[tx->got].share)) {
			tx_waits(w, tx);
			return;
		}
		tx->got++;
	}
	tx->stage = TX_RUNS;
	tx->after = s->visible;
	answer = call(w, tx);
	if (answer == CLUSTER_OK && (tx->nodes || tx->shards || tx->values || tx->common))
		tx_commit(w, tx);
	else
		tx_over(w, tx, answer);
}

static struct tx *
tx_new(struct world *w, int server, int backend, struct msg *m)
{
	struct server *s = &w->servers[server];
	struct tx *tx = need(sizeof(*tx)), **at = &s->txs;

	tx->id = ++ids;
	tx->server = server;
	tx->backend = backend;
	tx->m = m;
	wants_make(tx, backend < 0 ? -1 : s->backends[backend].id);
	while (*at != NULL)
		at = &(*at)->next;
	*at = tx;
	return tx;
}

void
server_hears(struct world *w, struct event *e)
{
	struct msg *m = e->m;
	struct server *s = &w->servers[m->server];
	struct backend *b = &s->backends[m->backend];

	if (!b->alive || b->tx != NULL)
		return;
	e->m = NULL;
	b->tx = tx_new(w, m->server, m->backend, m);
	tx_go(w, b->tx);
}

/* By somebody at the primary. */
static struct msg *
by_hand(enum cluster_question question)
{
	struct msg *m = need(sizeof(*m));

	m->slot = -1;
	m->d.question = question;
	return m;
}

void
server_put(struct world *w)
{
	if (w->servers[w->truth].role != ROLE_PRIMARY)
		return;
	seen.puts++;
	tx_go(w, tx_new(w, w->truth, -1, by_hand(Q_PUT)));
}

void
server_mark(struct world *w, int id, enum cluster_state state)
{
	struct msg *m;

	if (w->servers[w->truth].role != ROLE_PRIMARY)
		return;
	m = by_hand(Q_MARK);
	m->d.node[0] = (char)('a' + id);
	m->d.beat = state;
	tx_go(w, tx_new(w, w->truth, -1, m));
}
